/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/rand.h>

static const char usage[] =
    "Usage: frunsim --listen ADDR:PORT (--certificate FILE --private-key FILE | --plain) "
    "[option]...\n"
    "A stand-in for SAP Focused Run in demo and tests.\n\n"
    "  --listen ADDR:PORT      where to listen; port 0 takes a free one and says which\n"
    "  --certificate FILE      PEM chain\n"
    "  --private-key FILE      PEM key\n"
    "  --client-ca FILE        ask for client certificates of this CA\n"
    "  --plain                 HTTP instead of HTTPS\n"
    "  --user NAME             technical user; without it nobody has to log on\n"
    "  --password-file FILE    its password, first line\n"
    "  --fence NETWORK=VALUE   admin request parameter of a customer network; repeatable\n"
    "  --fence-header NAME     field that carries it (X-Admin-Request-Parameter)\n"
    "  --fence-query NAME      query parameter that carries it (the same)\n"
    "  --system-id SID         (FR1)\n"
    "  --client NNN            (100)\n"
    "  --keep N                requests remembered for GET /_sim/received (1000)\n"
    "  --record FILE           append each request as a JSON line\n"
    "  --require-csrf          POST and PUT need the X-CSRF-Token\n"
    "  --idle SECONDS          keep-alive (60)\n"
    "  --fault LIST            faults of every request; a request adds its own by ?_sim=LIST:\n"
    "                          status:N delay:2s reset reset-early half-answer close early hints\n"
    "                          slow-read:RATE slow-answer:RATE big:BYTES chunked gzip\n"
    "                          location:URL headers:N raw:OCTETS (last)\n"
    "  --help, --version\n";

/** Work of one connection's thread. */
struct job {
    struct sim *sim; /**< whose */
    int fd;          /**< accepted socket */
    size_t slot;     /**< in sim->fds */
    unsigned number; /**< of the connection */
    char peer[64];   /**< address text */
};

static char *read_line(const char *path)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *f = fopen(path, "re");
    if (!f) {
        return NULL;
    }
    if (getline(&line, &cap, f) < 0) {
        free(line);
        line = NULL;
    } else {
        line[strcspn(line, "\r\n")] = '\0';
    }
    (void)fclose(f);
    return line;
}

static void address_text(const struct sockaddr_storage *ss, socklen_t len, char *out, size_t room)
{
    char host[48] = "?";
    char port[8] = "?";
    (void)getnameinfo((const struct sockaddr *)ss, len, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, room, ss->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void *run_job(void *arg)
{
    struct job *job = arg;
    struct sim *s = job->sim;
    struct wire *w = calloc(1, sizeof(*w));
    const struct timeval idle = {(time_t)s->opt.idle_s, 0};
    const int on = 1;
    (void)setsockopt(job->fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
    (void)setsockopt(job->fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof(idle));
    (void)setsockopt(job->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (w) {
        w->fd = job->fd;
        w->number = job->number;
        (void)snprintf(w->peer, sizeof(w->peer), "%s", job->peer);
        w->ssl = s->tls ? SSL_new(s->tls) : NULL;
        if (!s->tls) {
            sim_serve(s, w);
        } else if (w->ssl && SSL_set_fd(w->ssl, w->fd) == 1 && SSL_accept(w->ssl) == 1) {
            sim_serve(s, w);
            (void)SSL_shutdown(w->ssl);
        }
        SSL_free(w->ssl);
    }
    free(w);
    /* Now, not at the thread's end, which the leak check may overtake. */
    OPENSSL_thread_stop();
    (void)pthread_mutex_lock(&s->lock);
    s->fds[job->slot] = -1;
    (void)close(job->fd);
    if (--s->n_connections == 0) {
        (void)pthread_cond_signal(&s->idle);
    }
    (void)pthread_mutex_unlock(&s->lock);
    free(job);
    return NULL;
}

static bool start_job(struct sim *s, struct job *job)
{
    pthread_t thread;
    (void)pthread_mutex_lock(&s->lock);
    size_t slot = 0;
    while (slot < SIM_MAX_CONNECTIONS && s->fds[slot] >= 0) {
        slot++;
    }
    bool is_ok = slot < SIM_MAX_CONNECTIONS;
    if (is_ok) {
        job->slot = slot;
        is_ok = pthread_create(&thread, NULL, run_job, job) == 0;
    }
    if (is_ok) {
        (void)pthread_detach(thread);
        s->fds[slot] = job->fd;
        s->n_connections++;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return is_ok;
}

static void accept_one(struct sim *s, int listener, unsigned *number)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct job *job = calloc(1, sizeof(*job));
    if (!job) {
        (void)close(fd);
        return;
    }
    *job = (struct job){.sim = s, .fd = fd, .number = ++*number};
    address_text(&ss, len, job->peer, sizeof(job->peer));
    if (!start_job(s, job)) {
        (void)close(fd);
        free(job);
    }
}

static int open_listener(const char *where)
{
    char host[64];
    const char *colon = strrchr(where, ':');
    size_t n = colon ? (size_t)(colon - where) : sizeof(host);
    if (n >= sizeof(host)) {
        return -1;
    }
    bool is_bracketed = n > 2 && where[0] == '[';
    (void)snprintf(host, sizeof(host), "%.*s", (int)(is_bracketed ? n - 2 : n),
                   where + is_bracketed);
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
                    bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1024) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static SSL_CTX *open_tls(const struct sim_options *o)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, o->certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, o->private_key, SSL_FILETYPE_PEM) != 1 ||
        (o->client_ca && SSL_CTX_load_verify_locations(tls, o->client_ca, NULL) != 1)) {
        SSL_CTX_free(tls);
        return NULL;
    }
    if (o->client_ca) {
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    }
    (void)SSL_CTX_set_session_id_context(tls, (const unsigned char *)"frunsim", 7);
    return tls;
}

static bool parse_fence(struct sim_options *o, char *arg)
{
    char *eq = strchr(arg, '=');
    if (!eq || o->n_fences == SIM_MAX_FENCES) {
        return false;
    }
    *eq = '\0';
    o->fences[o->n_fences++] = (struct sim_fence){arg, eq + 1};
    return true;
}

static bool parse_number(const char *arg, uint64_t max, uint64_t *out)
{
    return text_size(arg, out) && *out <= max;
}

/** Take one option. */
static bool parse_option(struct sim_options *o, int c, char *arg)
{
    uint64_t n = 0;
    switch (c) {
    case 'l':
        o->listen = arg;
        return true;
    case 'c':
        o->certificate = arg;
        return true;
    case 'k':
        o->private_key = arg;
        return true;
    case 'a':
        o->client_ca = arg;
        return true;
    case 'p':
        o->is_plain = true;
        return true;
    case 'u':
        o->user = arg;
        return true;
    case 'w':
        o->password = read_line(arg);
        return o->password != NULL;
    case 'f':
        return parse_fence(o, arg);
    case 'H':
        o->fence_header = arg;
        return true;
    case 'Q':
        o->fence_query = arg;
        return true;
    case 's':
        o->system_id = arg;
        return true;
    case 'n':
        o->client = arg;
        return true;
    case 'K':
        o->keep = parse_number(arg, 1000000, &n) ? (size_t)n : 0;
        return n > 0;
    case 'r':
        o->record = arg;
        return true;
    case 'x':
        o->wants_csrf = true;
        return true;
    case 'i':
        o->idle_s = parse_number(arg, 86400, &n) ? (unsigned)n : 0;
        return n > 0;
    case 'F': {
        struct fault probe = {0};
        text_unescape(arg);
        o->fault = arg;
        return fault_parse(arg, &probe);
    }
    default:
        return false;
    }
}

/** Returns -1 to go on, or the exit code. */
static int parse_arguments(int argc, char **argv, struct sim_options *o)
{
    static const struct option rows[] = {
        {"listen", 1, NULL, 'l'},        {"certificate", 1, NULL, 'c'},
        {"private-key", 1, NULL, 'k'},   {"client-ca", 1, NULL, 'a'},
        {"plain", 0, NULL, 'p'},         {"user", 1, NULL, 'u'},
        {"password-file", 1, NULL, 'w'}, {"fence", 1, NULL, 'f'},
        {"fence-header", 1, NULL, 'H'},  {"fence-query", 1, NULL, 'Q'},
        {"system-id", 1, NULL, 's'},     {"client", 1, NULL, 'n'},
        {"keep", 1, NULL, 'K'},          {"record", 1, NULL, 'r'},
        {"require-csrf", 0, NULL, 'x'},  {"idle", 1, NULL, 'i'},
        {"fault", 1, NULL, 'F'},         {"help", 0, NULL, 'h'},
        {"version", 0, NULL, 'V'},       {NULL, 0, NULL, 0},
    };
    int at = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", rows, &at)) != -1) {
        if (c == 'h') {
            (void)fputs(usage, stdout);
            return 0;
        }
        if (c == 'V') {
            (void)puts("frunsim " FRUN_VERSION);
            return 0;
        }
        if (!parse_option(o, c, optarg)) {
            if (c != '?') {
                (void)fprintf(stderr, "frunsim: --%s: bad value\n", rows[at].name);
            }
            return 64;
        }
    }
    if (optind < argc || !o->listen || (!o->is_plain && (!o->certificate || !o->private_key))) {
        (void)fputs(usage, stderr);
        return 64;
    }
    return -1;
}

/** Wait until every connection is gone. */
static void drain(struct sim *s)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    atomic_store(&s->is_stopping, true);
    sim_wake();
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SIM_MAX_CONNECTIONS; i++) {
        if (s->fds[i] >= 0) {
            (void)shutdown(s->fds[i], SHUT_RDWR);
        }
    }
    while (s->n_connections > 0 &&
           pthread_cond_timedwait(&s->idle, &s->lock, &until) != ETIMEDOUT) {
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void serve_until_signal(struct sim *s, int listener, int signals)
{
    unsigned number = 0;
    struct pollfd fds[2] = {{listener, POLLIN, 0}, {signals, POLLIN, 0}};
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[1].revents) {
            break;
        }
        if (fds[0].revents) {
            accept_one(s, listener, &number);
        }
    }
}

static bool open_sim(struct sim *s)
{
    unsigned char raw[16];
    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(raw); i++) {
        (void)snprintf(s->token + 2 * i, 3, "%02x", raw[i]);
    }
    for (size_t i = 0; i < SIM_MAX_CONNECTIONS; i++) {
        s->fds[i] = -1;
    }
    s->received = json_array();
    s->record_fd =
        s->opt.record ? open(s->opt.record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (s->opt.record && s->record_fd < 0) {
        (void)fprintf(stderr, "frunsim: %s cannot be written\n", s->opt.record);
        return false;
    }
    s->tls = s->opt.is_plain ? NULL : open_tls(&s->opt);
    if (!s->opt.is_plain && !s->tls) {
        (void)fputs("frunsim: certificate, key or CA cannot be used\n", stderr);
        ERR_print_errors_fp(stderr);
        return false;
    }
    return s->received != NULL;
}

int main(int argc, char **argv)
{
    static struct sim s = {.opt = {.fence_header = "X-Admin-Request-Parameter",
                                   .fence_query = "X-Admin-Request-Parameter",
                                   .system_id = "FR1",
                                   .client = "100",
                                   .keep = 1000,
                                   .idle_s = 60},
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .idle = PTHREAD_COND_INITIALIZER};
    int code = parse_arguments(argc, argv, &s.opt);
    if (code >= 0) {
        return code;
    }
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    int listener = open_listener(s.opt.listen);
    if (signals < 0 || listener < 0) {
        (void)fprintf(stderr, "frunsim: cannot listen at %s: %s\n", s.opt.listen, strerror(errno));
        return 1;
    }
    if (!open_sim(&s)) {
        return 1;
    }
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char where[64];
    (void)getsockname(listener, (struct sockaddr *)&ss, &len);
    address_text(&ss, len, where, sizeof(where));
    (void)printf("frunsim listening on %s\n", where);
    (void)fflush(stdout);
    serve_until_signal(&s, listener, signals);
    (void)close(listener);
    drain(&s);
    (void)close(signals);
    if (s.record_fd >= 0) {
        (void)close(s.record_fd);
    }
    json_decref(s.received);
    SSL_CTX_free(s.tls);
    free((void *)(uintptr_t)s.opt.password);
    return 0;
}
