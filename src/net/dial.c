/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/dial.h"

#include "dial_int.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Addresses of one name that are tried. */
#define MAX_ADDRS 8

#define MAX_HOST_BYTES 256

/* Room for a text of strerror_r(). */
#define SYS_TEXT_BYTES 128

/* A question to the resolver. Its memory is its own: getaddrinfo() cannot be stopped, so it may
 * outlive the dial that asked. */
struct question {
    struct offload_job job;
    struct dial *asker; /* loop's thread only; NULL: cancelled */
    char host[MAX_HOST_BYTES];
    char port[8];
    struct addr addrs[MAX_ADDRS];
    size_t n_addrs;
    int gai;
    int sys_errno;
};

enum dial_state {
    DIAL_RESOLVING,  /* question is out */
    DIAL_CONNECTING, /* io waits for the socket */
    DIAL_PROXYING,   /* talking to the proxy over io */
    DIAL_SHAKING,    /* stream shakes hands */
    DIAL_ENDED       /* parked */
};

struct dial {
    struct loop *loop;
    struct offload *pool;
    struct dial_target t;
    dial_fn fn;
    void *ctx;
    struct question *question;
    struct later begin; /* numeric address: no question, but never from within dial_start() */
    frun_err refused;   /* what begin reports instead of beginning: the target makes no sense */
    struct deadline timer;
    uint64_t end_ms;
    struct addr addrs[MAX_ADDRS];
    size_t n_addrs;
    size_t at; /* address being tried */
    struct io io;
    int fd;
    struct buf out;
    struct buf in;
    size_t scanned;
    struct buf logon; /* SOCKS5: the message with the token, for each attempt */
    bool is_socks;    /* the proxy speaks SOCKS5 */
    enum dial_socks_state socks;
    enum dial_refusal refusal;
    struct stream *stream;
    enum dial_state state;
    char proxy_host[MAX_HOST_BYTES];
    unsigned proxy_port;
    char why[DIAL_WHY_BYTES];
};

static void try_next(struct dial *d, frun_err err);

static const char *next_host(const struct dial *d)
{
    return d->t.proxy ? d->proxy_host : d->t.host;
}

static unsigned next_port(const struct dial *d)
{
    return d->t.proxy ? d->proxy_port : d->t.port;
}

/* ---- ending ---- */

static void close_attempt(struct dial *d)
{
    io_close(&d->io);
    if (d->fd >= 0) {
        close(d->fd);
        d->fd = -1;
    }
    stream_free(d->stream);
    d->stream = NULL;
    if (d->out.data) {
        secret_wipe(d->out.data, d->out.cap); /* the proxy's password */
    }
    buf_done(&d->out);
    buf_done(&d->in);
}

static void retire(struct dial *d)
{
    d->state = DIAL_ENDED;
    close_attempt(d);
    if (d->logon.data) {
        secret_wipe(d->logon.data, d->logon.cap); /* the access token */
    }
    buf_done(&d->logon);
    deadline_clear(&d->timer);
    later_cancel(&d->begin);
    if (d->question) {
        d->question->asker = NULL;
        d->question = NULL;
    }
    loop_free_later(d->loop, free, d);
}

static void end(struct dial *d, frun_err err)
{
    struct stream *s = d->stream;
    if (err == FRUN_OK) {
        d->stream = NULL; /* the caller's now */
    }
    retire(d);
    d->fn(d->ctx, err, err ? NULL : s, d->why);
}

enum dial_refusal dial_refusal(const struct dial *d)
{
    return d->refusal;
}

void dial_cancel(struct dial *d)
{
    if (d && d->state != DIAL_ENDED) {
        retire(d);
    }
}

/* ---- TLS ---- */

static void on_ready(void *ctx)
{
    end(ctx, FRUN_OK);
}

static void on_nothing(void *ctx)
{
    (void)ctx;
}

static void describe(struct dial *d, const char *cause)
{
    char text[ADDR_TEXT_BYTES];
    addr_text(&d->addrs[d->at], text);
    (void)snprintf(d->why, sizeof(d->why), "cannot connect to %s%.200s:%u (%s): %s",
                   d->t.proxy ? "proxy " : "", next_host(d), next_port(d), text, cause);
}

static void on_closed(void *ctx, frun_err err)
{
    struct dial *d = ctx;
    const char *cause = stream_why(d->stream);
    if (err == FRUN_E_TLS) {
        char text[ADDR_TEXT_BYTES];
        addr_text(&d->addrs[d->at], text);
        (void)snprintf(d->why, sizeof(d->why), "TLS with %.200s:%u (%s%s): %s", d->t.host,
                       d->t.port, d->t.proxy ? "through proxy " : "", text, cause);
        end(d, FRUN_E_TLS);
        return;
    }
    describe(d, err == FRUN_E_TIMEOUT ? "no answer to the TLS handshake in time"
                                      : "closed during the TLS handshake; check that port and "
                                        "protocol belong together");
    try_next(d, err == FRUN_E_TIMEOUT ? FRUN_E_TIMEOUT : FRUN_E_CONNECT);
}

static const struct stream_events shake_events = {
    .on_ready = on_ready, .on_readable = on_nothing, .on_closed = on_closed};

static void shake(struct dial *d)
{
    uint64_t now_ms = loop_now_ms(d->loop);
    const struct stream_settings set = {
        .tls = d->t.tls,
        .server_name = d->t.server_name ? d->t.server_name : d->t.host,
        .is_client = true,
        /* Our own timer is shorter; this one is the net below it. */
        .handshake_ms = (d->end_ms > now_ms ? d->end_ms - now_ms : 1) + 2000,
        .user_timeout_ms = d->t.user_timeout_ms,
    };
    io_close(&d->io);
    d->state = DIAL_SHAKING;
    frun_err err = stream_new(d->loop, &d->fd, &set, &shake_events, d, &d->stream);
    if (err) {
        describe(d, err_text(err));
        end(d, err);
    }
}

/* What errno of a socket means to a person. */
static const char *sys_cause(int number, char text[SYS_TEXT_BYTES])
{
    switch (number) {
    case ECONNREFUSED:
        return "connection refused; check the port, and that the service runs";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "unreachable; check network, routing and firewall";
    case ETIMEDOUT:
        return "no answer in time; check host and firewall";
    case EADDRNOTAVAIL:
        return "no local port or address left for it";
    default:
        return strerror_r(number, text, SYS_TEXT_BYTES);
    }
}

/* ---- proxy ---- */

static frun_err say_refusal(struct dial *d)
{
    (void)snprintf(d->why, sizeof(d->why), "proxy %.200s refused the connection to %.200s:%u; %s",
                   d->t.proxy, d->t.host, d->t.port, dial_socks_words(d->refusal));
    return FRUN_E_PROXY;
}

/* What is to be said next: the target, when the token has been taken, is no secret. */
static frun_err socks_ask(struct dial *d)
{
    frun_err err = d->socks == DIAL_SOCKS_LOGON ? buf_put(&d->out, buf_span(&d->logon))
                                                : dial_socks_ask(d->socks, &d->t, NULL, &d->out);
    return err ? err : io_want(&d->io, IO_READ | IO_WRITE);
}

/* One answer for each of our messages: the proxy has no reason to speak out of turn. */
static frun_err socks_answer(struct dial *d)
{
    size_t used = 0;
    struct span in = buf_span(&d->in);
    frun_err err = dial_socks_answer(d->socks, in, &used, &d->refusal);
    if (err) {
        return err == FRUN_E_AGAIN ? err : say_refusal(d);
    }
    if (in.n > used) {
        (void)snprintf(d->why, sizeof(d->why),
                       "proxy %.200s sent data of its own into the connection; check the proxy",
                       d->t.proxy);
        return FRUN_E_PROXY;
    }
    buf_consume(&d->in, used);
    d->socks++;
    if (d->socks == DIAL_SOCKS_OPEN) {
        return FRUN_OK;
    }
    err = socks_ask(d);
    return err ? err : FRUN_E_AGAIN;
}

static void on_proxy_readable(struct dial *d)
{
    char text[SYS_TEXT_BYTES];
    char *room;
    if (buf_reserve(&d->in, 2048, &room)) {
        (void)snprintf(d->why, sizeof(d->why), "proxy %.200s sent an endless answer", d->t.proxy);
        end(d, FRUN_E_PROXY);
        return;
    }
    ssize_t got = recv(d->fd, room, 2048, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        describe(d, got           ? sys_cause(errno, text)
                    : d->is_socks ? "closed without an answer; check that it is a SOCKS5 proxy of "
                                    "SAP BTP"
                                  : "closed without an answer to CONNECT; check that it is "
                                    "an HTTP proxy");
        try_next(d, FRUN_E_PROXY);
        return;
    }
    buf_commit(&d->in, (size_t)got);
    frun_err err = d->is_socks ? socks_answer(d)
                               : dial_proxy_answer(&d->t, buf_span(&d->in), &d->scanned, d->why);
    if (err == FRUN_OK) {
        shake(d);
    } else if (err != FRUN_E_AGAIN) {
        end(d, err);
    }
}

static void on_proxy_writable(struct dial *d)
{
    char text[SYS_TEXT_BYTES];
    struct span out = buf_span(&d->out);
    ssize_t sent = send(d->fd, out.p, out.n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        describe(d, sys_cause(errno, text));
        try_next(d, FRUN_E_PROXY);
        return;
    }
    buf_consume(&d->out, sent > 0 ? (size_t)sent : 0);
    if (io_want(&d->io, buf_len(&d->out) ? IO_READ | IO_WRITE : IO_READ)) {
        end(d, FRUN_E_NOMEM);
    }
}

static void begin_proxy(struct dial *d)
{
    d->state = DIAL_PROXYING;
    d->scanned = 0;
    d->socks = DIAL_SOCKS_METHOD;
    frun_err err = d->is_socks ? socks_ask(d) : dial_proxy_request(&d->t, &d->out);
    if (err == FRUN_E_LIMIT) {
        (void)snprintf(d->why, sizeof(d->why), "proxy_user or proxy_password is too long");
        end(d, FRUN_E_PROXY);
        return;
    }
    if (err) {
        end(d, err);
        return;
    }
    on_proxy_writable(d);
}

/* ---- connecting ---- */

static void on_io(struct io *io, int what)
{
    struct dial *d = list_entry(io, struct dial, io);
    if (d->state == DIAL_PROXYING) {
        if (what & IO_READ) {
            on_proxy_readable(d);
        } else {
            on_proxy_writable(d);
        }
        return;
    }
    char text[SYS_TEXT_BYTES];
    int number = 0;
    socklen_t len = sizeof(number);
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &number, &len)) {
        number = errno;
    }
    if (number) {
        describe(d, sys_cause(number, text));
        try_next(d, FRUN_E_CONNECT);
    } else if (d->t.proxy) {
        begin_proxy(d);
    } else {
        shake(d);
    }
}

static frun_err begin_connect(struct dial *d)
{
    char text[SYS_TEXT_BYTES];
    const struct addr *a = &d->addrs[d->at];
    d->state = DIAL_CONNECTING;
    d->fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0 ||
        (connect(d->fd, (const struct sockaddr *)&a->ss, a->len) && errno != EINPROGRESS)) {
        describe(d, sys_cause(errno, text));
        return FRUN_E_CONNECT;
    }
    frun_err err = io_open(&d->io, d->loop, d->fd, on_io);
    if (!err) {
        err = io_want(&d->io, IO_WRITE);
    }
    if (err) {
        describe(d, err_text(err));
    }
    return err;
}

/* Each address gets half of the time that is left, the last one all of it. */
static void connect_here(struct dial *d)
{
    for (;;) {
        uint64_t now_ms = loop_now_ms(d->loop);
        uint64_t left_ms = d->end_ms > now_ms ? d->end_ms - now_ms : 1;
        uint64_t mine_ms = d->at + 1 < d->n_addrs ? left_ms / 2 : left_ms;
        deadline_set(d->loop, &d->timer, mine_ms ? mine_ms : 1);
        frun_err err = begin_connect(d);
        if (err == FRUN_OK) {
            return;
        }
        close_attempt(d);
        if (d->at + 1 >= d->n_addrs) {
            end(d, err);
            return;
        }
        d->at++;
    }
}

static void try_next(struct dial *d, frun_err err)
{
    if (d->at + 1 >= d->n_addrs || loop_now_ms(d->loop) >= d->end_ms) {
        end(d, err);
        return;
    }
    close_attempt(d);
    d->at++;
    connect_here(d);
}

static void on_timer(struct deadline *timer)
{
    struct dial *d = list_entry(timer, struct dial, timer);
    if (d->state == DIAL_RESOLVING) {
        (void)snprintf(d->why, sizeof(d->why),
                       "the name %.200s could not be resolved in time; check DNS", next_host(d));
    } else {
        describe(d, d->state == DIAL_CONNECTING ? "no answer in time; check host and firewall"
                    : d->state == DIAL_PROXYING ? d->is_socks
                                                      ? "the SOCKS5 proxy did not answer in time"
                                                      : "the proxy did not answer CONNECT in time"
                                                : "no answer to the TLS handshake in time");
    }
    try_next(d, FRUN_E_TIMEOUT);
}

/* ---- resolving ---- */

static int resolve(struct question *q, int flags)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    int gai = getaddrinfo(q->host, q->port, &hints, &list);
    if (gai) {
        q->sys_errno = errno;
        return gai;
    }
    for (const struct addrinfo *it = list; it && q->n_addrs < MAX_ADDRS; it = it->ai_next) {
        if (it->ai_addrlen <= sizeof(q->addrs[0].ss)) {
            struct addr *a = &q->addrs[q->n_addrs++];
            memcpy(&a->ss, it->ai_addr, it->ai_addrlen);
            a->len = it->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    return 0;
}

static void question_work(struct offload_job *j)
{
    struct question *q = list_entry(j, struct question, job);
    q->gai = resolve(q, AI_ADDRCONFIG);
}

static void take_addrs(struct dial *d, const struct question *q)
{
    memcpy(d->addrs, q->addrs, q->n_addrs * sizeof(q->addrs[0]));
    d->n_addrs = q->n_addrs;
}

static void question_done(struct offload_job *j)
{
    struct question *q = list_entry(j, struct question, job);
    struct dial *d = q->asker;
    if (!d) {
        free(q);
        return;
    }
    d->question = NULL;
    if (q->gai || q->n_addrs == 0) {
        char text[SYS_TEXT_BYTES];
        (void)snprintf(d->why, sizeof(d->why),
                       "the %sname %.200s cannot be resolved: %s; check the name and DNS",
                       d->t.proxy ? "proxy's " : "", q->host,
                       q->gai == EAI_SYSTEM ? strerror_r(q->sys_errno, text, sizeof(text))
                       : q->gai             ? gai_strerror(q->gai)
                                            : "no address");
        free(q);
        end(d, FRUN_E_RESOLVE);
        return;
    }
    take_addrs(d, q);
    free(q);
    connect_here(d);
}

static void on_begin(struct later *x)
{
    struct dial *d = list_entry(x, struct dial, begin);
    if (d->refused) {
        end(d, d->refused);
    } else {
        connect_here(d);
    }
}

/* ---- beginning ---- */

static frun_err ask(struct dial *d)
{
    struct question *q = calloc(1, sizeof(*q));
    if (!q) {
        return FRUN_E_NOMEM;
    }
    (void)snprintf(q->host, sizeof(q->host), "%s", next_host(d));
    (void)snprintf(q->port, sizeof(q->port), "%u", next_port(d));
    if (resolve(q, AI_NUMERICHOST) == 0) {
        take_addrs(d, q);
        free(q);
        later_arm(d->loop, &d->begin);
        return FRUN_OK;
    }
    q->job.work = question_work;
    q->job.done = question_done;
    q->asker = d;
    frun_err err = offload_submit(d->pool, d->loop, &q->job);
    if (err) {
        free(q);
        return err;
    }
    d->question = q;
    return FRUN_OK;
}

/* The token is the caller's, and may be replaced while we dial. */
static frun_err prepare_logon(struct dial *d)
{
    buf_init(&d->logon, DIAL_SOCKS_MESSAGE_BYTES);
    frun_err err = dial_socks_ask(DIAL_SOCKS_LOGON, &d->t, d->t.socks, &d->logon);
    d->t.socks = NULL;
    if (err == FRUN_E_LIMIT) {
        (void)snprintf(d->why, sizeof(d->why), "access token or location ID is too long");
        return FRUN_E_PROXY;
    }
    return err;
}

/* What no resolver need be asked about. */
static frun_err check_target(struct dial *d)
{
    if (strlen(d->t.host) >= MAX_HOST_BYTES) {
        (void)snprintf(d->why, sizeof(d->why), "the name %.100s... is too long for a host name",
                       d->t.host);
        return FRUN_E_RESOLVE;
    }
    if (!d->t.proxy) {
        return FRUN_OK;
    }
    struct span text = span_of(d->t.proxy);
    struct span host;
    if (span_starts_nocase(text, SPAN_LIT("http://"))) {
        text = span_skip(text, 7);
    }
    if (text.n > 0 && text.p[text.n - 1] == '/') {
        text.n--;
    }
    if (addr_split(text, &host, &d->proxy_port) || host.n >= sizeof(d->proxy_host)) {
        (void)snprintf(d->why, sizeof(d->why), "proxy %.200s is not of the form http://host:port",
                       d->t.proxy);
        return FRUN_E_PROXY;
    }
    memcpy(d->proxy_host, host.p, host.n);
    d->proxy_host[host.n] = '\0';
    return d->is_socks ? prepare_logon(d) : FRUN_OK;
}

frun_err dial_start(struct loop *l, struct offload *o, const struct dial_target *t, dial_fn fn,
                    void *ctx, struct dial **out)
{
    assert(t->host && t->timeout_ms > 0);
    struct dial *d = calloc(1, sizeof(*d));
    if (!d) {
        return FRUN_E_NOMEM;
    }
    d->loop = l;
    d->pool = o;
    d->t = *t;
    d->fn = fn;
    d->ctx = ctx;
    d->fd = -1;
    d->end_ms = loop_now_ms(l) + t->timeout_ms;
    later_init(&d->begin, on_begin);
    deadline_init(&d->timer, on_timer);
    d->is_socks = t->socks && t->proxy;
    buf_init(&d->out, d->is_socks ? DIAL_SOCKS_MESSAGE_BYTES : DIAL_PROXY_REQUEST_BYTES);
    buf_init(&d->in, DIAL_PROXY_ANSWER_BYTES + 2048);
    d->refused = check_target(d);
    if (d->refused) {
        later_arm(l, &d->begin);
        *out = d;
        return FRUN_OK;
    }
    frun_err err = ask(d);
    if (err) {
        buf_done(&d->logon);
        free(d);
        return err;
    }
    if (d->question) {
        deadline_set(l, &d->timer, t->timeout_ms);
    }
    *out = d;
    return FRUN_OK;
}
