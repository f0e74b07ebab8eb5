/* SPDX-License-Identifier: Apache-2.0 */
/*
 * benchload: pushes over HTTP/1.1 and TLS for what wrk and h2load cannot do: a new TLS connection
 * (and a full handshake) for each push, a fixed rate whose latencies count from the moment a push
 * was due, and herds of connections that wait. One thread. An answer that is not "200" with the two
 * octets "ok", or a connection that breaks, is counted as failed.
 *
 *   benchload --to 127.0.0.1:PORT --path P --auth A [--octets N] [--connections N] [--seconds N]
 *             [--rate N] [--close]
 *       opens and warms its connections (not with --close), says "ready", begins when it is sent a
 * line, and prints one line of JSON benchload ... --herd idle|active reads numbers, brings the herd
 * to that many connections and repeats the number when it stands. Each idle one has pushed once;
 * each active one has sent a head and owes the one octet of its body.
 *
 * Connections leave from 127.0.0.2, 127.0.0.3, ... in turn, so that no client ports run short.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SOURCES = 16, ANSWER_MAX = 4096, EVENTS = 256, HERD_AT_ONCE = 32 };

static const uint64_t ns_per_s = 1000000000;

enum link_state {
    LINK_CLOSED,    /* no descriptor */
    LINK_HANDSHAKE, /* connecting, or in the TLS handshake */
    LINK_IDLE,      /* nothing under way */
    LINK_SENDING,   /* a request is being written */
    LINK_READING,   /* an answer is awaited */
    LINK_CLOSING,   /* answered; the peer is to close */
};

struct link {
    SSL *ssl;
    int fd;
    enum link_state state;
    size_t sent;     /* octets of the request */
    size_t got;      /* octets in answer */
    uint64_t due_ns; /* when its push should have begun */
    char *answer;    /* ANSWER_MAX octets while one is awaited */
};

static struct {
    struct sockaddr_in to;
    const char *host, *path, *auth, *herd;
    size_t octets;
    unsigned connections, seconds, rate;
    bool is_close;
} opt = {.path = "/", .auth = "", .octets = 1024, .connections = 16, .seconds = 2};

static struct {
    SSL_CTX *tls;
    int epoll;
    char *request;
    size_t request_len,
        sends; /* whole request, and what of it is sent: a herd may hold back the body */
    struct link *links;
    uint64_t *latency_ns;
    size_t done, latency_room;
    uint64_t failed;
    unsigned opening; /* in the handshake */
    uint64_t ticks;   /* pushes due at the fixed rate */
} run = {.epoll = -1};

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ns_per_s + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "benchload: %s: %s\n", what, errno ? strerror(errno) : "no");
    exit(1);
}

static void link_close(struct link *l)
{
    if (l->state == LINK_HANDSHAKE) {
        run.opening--;
    }
    SSL_free(l->ssl);
    free(l->answer);
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    *l = (struct link){.fd = -1, .due_ns = l->due_ns};
}

static void link_fail(struct link *l)
{
    run.failed++;
    link_close(l);
}

static void link_open(struct link *l)
{
    const int one = 1;
    const unsigned source = (unsigned)(l - run.links) % SOURCES;
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f000002U + source)};
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = l};

    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) {
        die("socket");
    }
    if (setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) ||
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
        bind(l->fd, (const struct sockaddr *)&from, sizeof(from)) ||
        (connect(l->fd, (const struct sockaddr *)&opt.to, sizeof(opt.to)) &&
         errno != EINPROGRESS) ||
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, l->fd, &want)) {
        die("connect");
    }
    l->ssl = SSL_new(run.tls);
    if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1) {
        die("TLS");
    }
    SSL_set_connect_state(l->ssl);
    l->state = LINK_HANDSHAKE;
    run.opening++;
}

/* What a call of OpenSSL that moved nothing means: wait, or the connection is broken. */
static bool is_waiting(const struct link *l, int result)
{
    const int why = SSL_get_error(l->ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* The end of the answer in l->answer: 1 right, 0 not complete, -1 wrong. */
static int answer_verdict(const struct link *l)
{
    l->answer[l->got] = '\0';
    const char *body = strstr(l->answer, "\r\n\r\n");
    if (!body) {
        return l->got + 1 < ANSWER_MAX ? 0 : -1;
    }
    if (strncmp(l->answer, "HTTP/1.1 200 ", 13) != 0 ||
        !strcasestr(l->answer, "\r\ncontent-length: 2\r\n")) {
        return -1;
    }
    const size_t have = strlen(body + 4);
    return have < 2 ? 0 : strcmp(body + 4, "ok") == 0 ? 1 : -1;
}

static void push_done(struct link *l)
{
    if (run.done == run.latency_room) {
        run.latency_room = run.latency_room ? run.latency_room * 2 : 65536;
        run.latency_ns = realloc(run.latency_ns, run.latency_room * sizeof(*run.latency_ns));
        if (!run.latency_ns) {
            die("memory");
        }
    }
    run.latency_ns[run.done++] = now_ns() - l->due_ns;
    free(l->answer);
    l->answer = NULL;
    l->state = opt.is_close ? LINK_CLOSING : LINK_IDLE;
}

static void link_read(struct link *l)
{
    while (l->state == LINK_READING) {
        const int n = SSL_read(l->ssl, l->answer + l->got, (int)(ANSWER_MAX - 1 - l->got));
        if (n <= 0) {
            if (!is_waiting(l, n)) {
                link_fail(l);
            }
            return;
        }
        l->got += (size_t)n;
        const int verdict = answer_verdict(l);
        if (verdict > 0) {
            push_done(l);
        } else if (verdict < 0) {
            (void)fprintf(stderr, "benchload: wrong answer: %.300s\n", l->answer);
            link_fail(l);
        }
    }
}

/* A connection with nothing under way hears tickets and the peer's close. */
static void link_listen(struct link *l)
{
    char text[300];
    const int n = SSL_read(l->ssl, text, sizeof(text));
    if (n <= 0 && is_waiting(l, n)) {
        return;
    }
    if (n <= 0 && l->state == LINK_CLOSING) {
        link_close(l);
        return;
    }
    (void)fprintf(stderr, "benchload: a connection that waited heard: %.*s\n", n > 0 ? n : 3,
                  n > 0 ? text : "end");
    link_fail(l);
}

static void link_write(struct link *l)
{
    while (l->sent < run.sends) {
        const int n = SSL_write(l->ssl, run.request + l->sent, (int)(run.sends - l->sent));
        if (n <= 0) {
            if (!is_waiting(l, n)) {
                link_fail(l);
            }
            return;
        }
        l->sent += (size_t)n;
    }
    if (run.sends < run.request_len) {
        l->state = LINK_IDLE; /* an active one of a herd stays like this */
        return;
    }
    l->state = LINK_READING;
    l->got = 0;
    l->answer = malloc(ANSWER_MAX);
    if (!l->answer) {
        die("memory");
    }
    link_read(l);
}

static void link_push(struct link *l, uint64_t due_ns)
{
    l->due_ns = due_ns;
    if (l->state == LINK_CLOSED) {
        link_open(l); /* the rest when the handshake is done */
        return;
    }
    l->state = LINK_SENDING;
    l->sent = 0;
    link_write(l);
}

static void link_event(struct link *l)
{
    if (l->state == LINK_HANDSHAKE) {
        const int n = SSL_do_handshake(l->ssl);
        if (n != 1) {
            if (!is_waiting(l, n)) {
                link_fail(l);
            }
            return;
        }
        run.opening--;
        l->state = LINK_SENDING;
        l->sent = 0;
    }
    if (l->state == LINK_SENDING) {
        link_write(l);
    } else if (l->state == LINK_READING) {
        link_read(l);
    }
    if (l->state == LINK_IDLE || l->state == LINK_CLOSING) {
        link_listen(l);
    }
}

/* Serve what has happened; a tick of the clock has no connection. */
static void wait_events(int timer, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(run.epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        uint64_t ticks = 0;
        if (events[i].data.ptr) {
            link_event(events[i].data.ptr);
        } else if (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks)) {
            run.ticks += ticks;
        }
    }
}

static bool is_free(const struct link *l)
{
    return l->state == LINK_IDLE || l->state == LINK_CLOSED;
}

static bool is_all_free(void)
{
    for (unsigned i = 0; i < opt.connections; i++) {
        if (!is_free(&run.links[i])) {
            return false;
        }
    }
    return true;
}

/* Let what is under way end. */
static void settle(int timer)
{
    const uint64_t end_ns = now_ns() + 10 * ns_per_s;
    while (!is_all_free() && now_ns() < end_ns) {
        wait_events(timer, 100);
    }
    if (!is_all_free()) {
        die("an answer has not come within 10 s");
    }
}

/* All connections push again as soon as they have their answer. */
static void at_full_speed(uint64_t end_ns)
{
    for (uint64_t t = now_ns(); t < end_ns; t = now_ns()) {
        for (unsigned i = 0; i < opt.connections; i++) {
            if (is_free(&run.links[i])) {
                link_push(&run.links[i], now_ns());
            }
        }
        wait_events(-1, 100);
    }
    settle(-1);
}

/* Pushes are due at regular times, whatever has become of those before; connections take turns. */
static void at_rate(uint64_t end_ns)
{
    const uint64_t step_ns = ns_per_s / opt.rate, begin_ns = now_ns();
    const struct timespec step = {.tv_sec = (time_t)(step_ns / ns_per_s),
                                  .tv_nsec = (long)(step_ns % ns_per_s)};
    const struct itimerspec every = {.it_interval = step, .it_value = step};
    struct epoll_event want = {.events = EPOLLIN};
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    uint64_t pushed = 0;
    unsigned turn = 0;

    if (timer < 0 || epoll_ctl(run.epoll, EPOLL_CTL_ADD, timer, &want) ||
        timerfd_settime(timer, 0, &every, NULL)) {
        die("timer");
    }
    while (now_ns() < end_ns) {
        wait_events(timer, 100);
        for (unsigned i = 0; i < opt.connections && pushed < run.ticks; i++) {
            struct link *l = &run.links[turn++ % opt.connections];
            if (is_free(l)) {
                pushed++;
                link_push(l, begin_ns + pushed * step_ns);
            }
        }
    }
    settle(timer);
    (void)close(timer);
}

static void prepare(void)
{
    const size_t room = opt.octets + strlen(opt.path) + strlen(opt.auth) + 400;
    run.request = malloc(room);
    run.tls = SSL_CTX_new(TLS_client_method());
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.links = calloc(opt.connections, sizeof(*run.links));
    if (!run.request || !run.tls || !run.links || run.epoll < 0) {
        die("start");
    }
    const int head = snprintf(run.request, room,
                              "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n"
                              "Content-Type: application/json\r\nX-Bench-Octets: %zu\r\n"
                              "Content-Length: %zu\r\n%s\r\n",
                              opt.path, opt.host, opt.auth, opt.octets, opt.octets,
                              opt.is_close ? "Connection: close\r\n" : "");
    memset(run.request + head, 'x', opt.octets);
    run.request_len = (size_t)head + opt.octets;
    run.sends = opt.herd && strcmp(opt.herd, "active") == 0 ? (size_t)head : run.request_len;
    for (unsigned i = 0; i < opt.connections; i++) {
        run.links[i].fd = -1;
    }
    (void)SSL_CTX_set_session_cache_mode(run.tls, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(run.tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
}

static int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_us(double share)
{
    return run.done ? (double)run.latency_ns[(size_t)((double)(run.done - 1) * share)] / 1000 : 0;
}

/* Three digits are enough for a percentile of many measurements together. */
static uint64_t rounded_us(uint64_t ns)
{
    uint64_t us = ns / 1000, step = 1;
    while (us / step >= 1000) {
        step *= 10;
    }
    return us / step * step;
}

/* All of them, "us:count us:count ...", so that percentiles can be taken over several measurements.
 */
static void print_times(void)
{
    (void)printf(",\"times\":\"");
    for (size_t i = 0, end; i < run.done; i = end) {
        const uint64_t us = rounded_us(run.latency_ns[i]);
        for (end = i + 1; end < run.done && rounded_us(run.latency_ns[end]) == us; end++) {
        }
        (void)printf("%s%llu:%zu", i ? " " : "", (unsigned long long)us, end - i);
    }
    (void)putchar('"');
}

static void measure(void)
{
    char line[16];
    if (!opt.is_close) {
        for (unsigned i = 0; i < opt.connections; i++) {
            link_push(&run.links[i], now_ns());
        }
        settle(-1);
        run.done = 0;
    }
    (void)puts("ready");
    (void)fflush(stdout);
    if (!fgets(line, sizeof(line), stdin)) {
        die("nobody says when");
    }
    const uint64_t begin_ns = now_ns(), end_ns = begin_ns + opt.seconds * ns_per_s;
    if (opt.rate) {
        at_rate(end_ns);
    } else {
        at_full_speed(end_ns);
    }
    const uint64_t took_ns = now_ns() - begin_ns;
    if (run.done) {
        qsort(run.latency_ns, run.done, sizeof(*run.latency_ns), by_time);
    }
    (void)printf("{\"requests\":%zu,\"us\":%.0f,\"failed\":%llu,\"p50_us\":%.0f,\"p90_us\":%.0f,"
                 "\"p99_us\":%.0f,\"max_us\":%.0f",
                 run.done, (double)took_ns / 1000, (unsigned long long)run.failed,
                 percentile_us(0.5), percentile_us(0.9), percentile_us(0.99), percentile_us(1));
    if (opt.rate) {
        print_times();
    }
    (void)puts("}");
}

/* Bring the herd to n connections; the last ones leave first. */
static void herd_to(unsigned n)
{
    const uint64_t end_ns = now_ns() + 120 * ns_per_s;
    for (unsigned i = n; i < opt.connections; i++) {
        link_close(&run.links[i]);
    }
    for (unsigned i = 0; i < n && !run.failed && now_ns() < end_ns; i++) {
        while (run.opening >= HERD_AT_ONCE) {
            wait_events(-1, 100);
        }
        if (run.links[i].state == LINK_CLOSED) {
            link_push(&run.links[i], now_ns());
        }
    }
    settle(-1);
    wait_events(-1, 0); /* hear who has been closed meanwhile */
    if (run.failed) {
        die("a connection of the herd broke");
    }
    (void)printf("%u\n", n);
    (void)fflush(stdout);
}

static void herd(void)
{
    char line[16];
    while (fgets(line, sizeof(line), stdin)) {
        const unsigned long n = strtoul(line, NULL, 10);
        if (n > opt.connections) {
            die("more than --connections");
        }
        herd_to((unsigned)n);
    }
}

static void target(char *to)
{
    char *colon = strrchr(to, ':');
    if (!colon) {
        die("--to wants HOST:PORT");
    }
    opt.host = to;
    opt.to.sin_family = AF_INET;
    opt.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    *colon = '\0';
    if (inet_pton(AF_INET, to, &opt.to.sin_addr) != 1) {
        die("--to wants an IPv4 address");
    }
    *colon = ':';
}

static void number(unsigned *to)
{
    *to = (unsigned)strtoul(optarg, NULL, 10);
}

static void options(int argc, char **argv)
{
    enum { TO = 1, PATH, AUTH, OCTETS, CONNECTIONS, SECONDS, RATE, CLOSE, HERD };
    static const struct option table[] = {
        {"to", 1, NULL, TO},
        {"path", 1, NULL, PATH},
        {"auth", 1, NULL, AUTH},
        {"octets", 1, NULL, OCTETS},
        {"seconds", 1, NULL, SECONDS},
        {"rate", 1, NULL, RATE},
        {"close", 0, NULL, CLOSE},
        {"herd", 1, NULL, HERD},
        {"connections", 1, NULL, CONNECTIONS},
        {NULL, 0, NULL, 0},
    };
    for (int c = 0; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (c) {
        case TO:
            target(optarg);
            break;
        case PATH:
            opt.path = optarg;
            break;
        case AUTH:
            opt.auth = optarg;
            break;
        case OCTETS:
            opt.octets = strtoul(optarg, NULL, 10);
            break;
        case CONNECTIONS:
            number(&opt.connections);
            break;
        case SECONDS:
            number(&opt.seconds);
            break;
        case RATE:
            number(&opt.rate);
            break;
        case CLOSE:
            opt.is_close = true;
            break;
        case HERD:
            opt.herd = optarg;
            break;
        default:
            exit(64);
        }
    }
    if (!opt.host || !opt.connections) {
        exit(64);
    }
}

int main(int argc, char **argv)
{
    options(argc, argv);
    prepare();
    if (opt.herd) {
        herd();
    } else {
        measure();
    }
    return run.failed ? 1 : 0;
}
