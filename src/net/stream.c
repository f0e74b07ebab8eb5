/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/stream.h"

#include "stream_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long what the peer still sends is dropped after our end. */
#define LINGER_MS 2000

/* How long the peer may take nothing at all of what waits after stream_finish(). */
#define FINISH_IDLE_MS 30000

/* Octets dropped per wake-up while lingering. */
#define DROP_BYTES 65536

/* ---- state ---- */

static void set_state(struct stream *s, enum stream_state to)
{
    assert(to > s->state); /* a stream only ages */
    s->state = to;
}

/* Call an event; true if the stream is still ours to look at. */
static bool tell(struct stream *s, void (*event)(void *ctx))
{
    bool is_gone = false;
    s->is_gone = &is_gone;
    event(s->ctx);
    if (is_gone) {
        return false;
    }
    s->is_gone = NULL;
    return true;
}

static void mark_gone(struct stream *s)
{
    if (s->is_gone) {
        *s->is_gone = true;
        s->is_gone = NULL;
    }
}

static void close_socket(struct stream *s)
{
    io_close(&s->io);
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

/* End of everything: on_closed follows at the end of the pass, so never inside a caller's call. */
static void die(struct stream *s, frun_err err)
{
    if (s->state >= STREAM_DEAD) {
        return;
    }
    if (err == FRUN_E_TLS && buf_len(&s->out) > 0) {
        /* The alert that tells the peer why. Reading what is there keeps close() from turning it
         * into a reset. */
        char drop[4096];
        struct span alert = buf_span(&s->out);
        (void)!send(s->fd, alert.p, alert.n, MSG_NOSIGNAL);
        (void)shutdown(s->fd, SHUT_WR);
        (void)!recv(s->fd, drop, sizeof(drop), 0);
    }
    set_state(s, STREAM_DEAD);
    s->closed = err;
    deadline_clear(&s->timer);
    close_socket(s);
    buf_done(&s->out);
    buf_done(&s->stage);
    if (s->loop) {
        later_arm(s->loop, &s->flush);
    }
}

static void tell_closed(struct stream *s)
{
    if (!s->is_closed_told) {
        s->is_closed_told = true;
        s->ev->on_closed(s->ctx, s->closed);
    }
}

/* ---- socket ---- */

frun_err stream_sys_err(int number)
{
    switch (number) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ECONNABORTED:
        return FRUN_E_CLOSED;
    default:
        return FRUN_E_IO;
    }
}

frun_err stream_recv(struct stream *s, void *p, size_t max, size_t *n)
{
    if (s->is_fd_eof) {
        return FRUN_E_EOF;
    }
    if (s->is_drained) {
        return FRUN_E_AGAIN;
    }
    ssize_t got;
    do {
        got = recv(s->fd, p, max, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        s->is_drained = (size_t)got < max;
        *n = (size_t)got;
        return FRUN_OK;
    }
    if (got == 0) {
        s->is_fd_eof = true;
        /* The failed send has taken the socket's error: this end only looks like a good one. */
        return s->is_mute ? FRUN_E_CLOSED : FRUN_E_EOF;
    }
    if (errno == EAGAIN) {
        s->is_drained = true;
        return FRUN_E_AGAIN;
    }
    s->sys_errno = errno;
    return stream_sys_err(errno);
}

static void watch(struct stream *s, int wants)
{
    if (s->io.wants != wants && io_want(&s->io, wants)) {
        die(s, FRUN_E_IO);
    }
}

/* Give the socket what it takes of s->out. FRUN_E_AGAIN: some is left. */
static frun_err send_out(struct stream *s)
{
    struct span out = buf_span(&s->out);
    if (out.n > 0) {
        ssize_t sent;
        do {
            s->sends_count++;
            sent = send(s->fd, out.p, out.n, MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0 && errno != EAGAIN) {
            s->sys_errno = errno;
            return s->ops->last_words(s, stream_sys_err(errno));
        }
        if (sent > 0) {
            buf_consume(&s->out, (size_t)sent);
            if (s->state == STREAM_FINISHING) {
                deadline_set(s->loop, &s->timer, FINISH_IDLE_MS);
            }
        }
    }
    if (buf_len(&s->out) > 0) {
        return FRUN_E_AGAIN;
    }
    buf_trim(&s->out);
    return FRUN_OK;
}

/* ---- ending in good order ---- */

static void linger(struct stream *s)
{
    if (s->is_eof || s->is_fd_eof) {
        die(s, FRUN_E_EOF);
        return;
    }
    set_state(s, STREAM_LINGERING);
    (void)shutdown(s->fd, SHUT_WR);
    deadline_set(s->loop, &s->timer, LINGER_MS);
    s->is_drained = false;
    watch(s, IO_READ);
}

static void drop_input(struct stream *s)
{
    char drop[4096];
    for (size_t total = 0; total < DROP_BYTES;) {
        ssize_t got = recv(s->fd, drop, sizeof(drop), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            die(s, FRUN_E_EOF);
            return;
        }
        total += (size_t)got;
        if ((size_t)got < sizeof(drop)) {
            return;
        }
    }
}

static void begin_finish(struct stream *s)
{
    frun_err err = s->ops->seal(s);
    if (err) {
        die(s, err);
        return;
    }
    set_state(s, STREAM_FINISHING);
    s->ops->end(s);
    deadline_set(s->loop, &s->timer, FINISH_IDLE_MS);
    later_arm(s->loop, &s->flush);
}

void stream_finish(struct stream *s)
{
    assert(s->loop);
    s->is_reading = false;
    if (s->state == STREAM_HANDSHAKE) {
        s->is_finish_asked = true;
    } else if (s->state == STREAM_OPEN) {
        begin_finish(s);
    }
}

/* ---- sending ---- */

/* Encrypt and send what the pass gathered. While the socket is full, small pieces stay in the stage
 * and become full records later. */
static frun_err push_out(struct stream *s)
{
    frun_err err = FRUN_OK;
    if (s->is_mute) {
        buf_done(&s->out); /* alerts of OpenSSL */
        return FRUN_OK;
    }
    if (buf_len(&s->out) == 0 || !(s->io.wants & IO_WRITE)) {
        err = s->ops->seal(s);
    }
    if (!err) {
        err = send_out(s);
    }
    if (!err && buf_len(&s->stage) > 0 && s->state != STREAM_HANDSHAKE) {
        err = s->ops->seal(s);
        if (!err) {
            err = send_out(s);
        }
    }
    return err;
}

/* A server may answer, and close, before it has read all of a request. Its answer stands in our
 * socket although sending fails: whoever reads gets it first, then the end. */
static void go_mute(struct stream *s)
{
    s->is_mute = true;
    s->is_drained = false;
    buf_done(&s->out);
    buf_done(&s->stage);
    watch(s, IO_READ);
}

static void flush(struct stream *s)
{
    frun_err err = push_out(s);
    if (err == FRUN_E_CLOSED && s->state == STREAM_OPEN && s->is_reading) {
        go_mute(s);
        return;
    }
    if (err && err != FRUN_E_AGAIN) {
        die(s, err);
        return;
    }
    watch(s, (s->io.wants & IO_READ) | (err == FRUN_E_AGAIN ? IO_WRITE : 0));
    if (s->state == STREAM_FINISHING && err == FRUN_OK) {
        linger(s);
        return;
    }
    if (s->is_short && stream_waiting(s) < STREAM_BUFFER_BYTES / 2) {
        s->is_short = false;
        if (s->state == STREAM_OPEN && s->ev->on_room) {
            (void)tell(s, s->ev->on_room);
        }
    }
}

frun_err stream_put(struct stream *s, struct span data)
{
    if (s->state != STREAM_HANDSHAKE && s->state != STREAM_OPEN) {
        return FRUN_E_CLOSED;
    }
    if (s->is_finish_asked || s->is_mute) {
        return FRUN_E_CLOSED;
    }
    assert(s->loop);
    frun_err err = s->ops->put(s, data);
    if (err) {
        die(s, err == FRUN_E_LIMIT ? FRUN_E_NOMEM : err);
        return err == FRUN_E_TLS ? FRUN_E_CLOSED : FRUN_E_NOMEM;
    }
    if (stream_waiting(s) >= STREAM_BUFFER_BYTES / 2) {
        s->is_short = true;
    }
    later_arm(s->loop, &s->flush);
    return FRUN_OK;
}

size_t stream_waiting(const struct stream *s)
{
    return buf_len(&s->out) + buf_len(&s->stage);
}

size_t stream_room(const struct stream *s)
{
    size_t waiting = stream_waiting(s);
    size_t most = STREAM_BUFFER_BYTES + STREAM_SLACK_BYTES;
    size_t room = waiting < most ? most - waiting : 0;
    return room < STREAM_BUFFER_BYTES ? room : STREAM_BUFFER_BYTES;
}

/* ---- reading ---- */

frun_err stream_read(struct stream *s, void *p, size_t max, size_t *n)
{
    if (s->is_eof) {
        s->may_have_more = false;
        return FRUN_E_EOF;
    }
    if (s->state == STREAM_HANDSHAKE) {
        return FRUN_E_AGAIN;
    }
    if (s->state != STREAM_OPEN) {
        return FRUN_E_CLOSED;
    }
    frun_err err = s->ops->read(s, p, max, n);
    if (err == FRUN_E_EOF) {
        /* A socket at its end stays readable: watching it would spin. */
        if (s->loop) {
            watch(s, s->io.wants & ~IO_READ);
        }
    } else if (err && err != FRUN_E_AGAIN) {
        die(s, err);
    }
    return err;
}

void stream_read_on(struct stream *s, bool is_on)
{
    if (s->state > STREAM_OPEN || s->is_finish_asked) {
        return;
    }
    s->is_reading = is_on;
    /* Switched off lazily, at the next event: off and on again within a request costs no system
     * call. */
    if (!is_on || s->state != STREAM_OPEN || !s->loop) {
        return;
    }
    if (!s->is_eof) {
        watch(s, s->io.wants | IO_READ);
    }
    s->may_have_more |= s->is_eof;
    if (s->may_have_more) {
        later_arm(s->loop, &s->flush);
    }
}

/* false: the stream is no longer ours to look at. */
static bool tell_readable(struct stream *s)
{
    if (!tell(s, s->ev->on_readable)) {
        return false;
    }
    /* The reader stopped before the end to be fair to others; no socket event will call it again.
     */
    if (s->state == STREAM_OPEN && s->is_reading && s->may_have_more) {
        later_arm(s->loop, &s->flush);
    }
    return true;
}

static void readable_unwanted(struct stream *s)
{
    frun_err err = s->is_mute ? FRUN_E_CLOSED : s->ops->probe(s);
    if (err) {
        die(s, err == FRUN_E_EOF ? FRUN_E_CLOSED : err);
        return;
    }
    if (s->may_have_more || s->ops == &stream_plain_ops) {
        watch(s, s->io.wants & ~IO_READ);
    }
}

/* ---- handshake ---- */

/* In TLS 1.3 the client speaks last. With Nagle's algorithm on (Python's ssl, for one) it keeps its
 * request until we acknowledge that, and if we have nothing to say, the kernel takes 40 ms for it.
 */
static void acknowledge(const struct stream *s)
{
    int one = 1;
    if (s->state == STREAM_OPEN && !s->is_client && stream_waiting(s) == 0 && !s->may_have_more) {
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
    }
}

static void shake(struct stream *s)
{
    frun_err err = s->ops->handshake(s);
    if (err == FRUN_E_AGAIN) {
        return;
    }
    if (err) {
        die(s, err);
        return;
    }
    set_state(s, STREAM_OPEN);
    deadline_clear(&s->timer);
    if (s->is_finish_asked) {
        begin_finish(s);
        return;
    }
    if (stream_waiting(s) > 0) {
        later_arm(s->loop, &s->flush);
    }
    /* Also while nobody reads: the first event tells whether the peer is gone. */
    watch(s, s->io.wants | IO_READ);
    if (s->state != STREAM_OPEN) {
        return;
    }
    if (s->ev->on_ready && !tell(s, s->ev->on_ready)) {
        return;
    }
    if (s->ssl) {
        acknowledge(s);
    }
    if (s->state == STREAM_OPEN && s->is_reading) {
        stream_read_on(s, true);
    }
}

/* ---- events of the loop ---- */

static void on_io(struct io *io, int what)
{
    struct stream *s = list_entry(io, struct stream, io);
    if (what & IO_WRITE) {
        flush(s);
        return;
    }
    s->is_drained = false;
    switch (s->state) {
    case STREAM_HANDSHAKE:
        shake(s);
        break;
    case STREAM_OPEN:
        if (s->is_reading) {
            (void)tell_readable(s);
        } else {
            readable_unwanted(s);
        }
        break;
    case STREAM_FINISHING:
        /* Nobody reads any more: the rest is dropped once everything is sent. */
        watch(s, s->io.wants & ~IO_READ);
        break;
    case STREAM_LINGERING:
        drop_input(s);
        break;
    case STREAM_DEAD:
    case STREAM_FREED:
        break;
    }
}

static void on_flush(struct later *x)
{
    struct stream *s = list_entry(x, struct stream, flush);
    if (s->state == STREAM_DEAD) {
        tell_closed(s);
        return;
    }
    if (s->state == STREAM_HANDSHAKE && (!s->ssl || (s->is_client && buf_len(&s->out) == 0))) {
        shake(s);
        return; /* what it wrote has armed us again */
    }
    if (s->state == STREAM_OPEN && s->is_reading && s->may_have_more && !tell_readable(s)) {
        return;
    }
    if (s->state == STREAM_DEAD) {
        tell_closed(s);
    } else if (!(s->io.wants & IO_WRITE)) {
        flush(s); /* else the socket is full and will call */
    }
}

static void on_timer(struct deadline *d)
{
    struct stream *s = list_entry(d, struct stream, timer);
    die(s, s->state == STREAM_LINGERING ? FRUN_E_EOF : FRUN_E_TIMEOUT);
}

/* ---- life ---- */

static void set_options(const struct stream *s, const struct stream_settings *set)
{
    int one = 1;
    /* A socket pair has neither; that is no reason to refuse it. */
    if (!set->accepted) {
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)fcntl(s->fd, F_SETFD, FD_CLOEXEC);
    }
    if (set->user_timeout_ms) {
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &set->user_timeout_ms,
                         sizeof(set->user_timeout_ms));
    }
}

static void note_peer(struct stream *s, const struct addr *accepted)
{
    if (accepted) {
        s->peer = *accepted;
        return;
    }
    s->peer.len = sizeof(s->peer.ss);
    (void)getpeername(s->fd, (struct sockaddr *)&s->peer.ss, &s->peer.len);
}

static void stream_done(void *obj)
{
    struct stream *s = obj;
    if (s->ssl && !s->is_client) {
        X509_free(SSL_get_app_data(s->ssl)); /* that was refused, or NULL */
    }
    SSL_free(s->ssl);
    tls_unref(&s->tls);
    buf_done(&s->out);
    buf_done(&s->stage);
    free(s->name);
    free(s->why);
    free(s);
}

static frun_err start(struct stream *s, const struct stream_settings *set)
{
    frun_err err = io_open(&s->io, s->loop, s->fd, on_io);
    if (!err && set->tls) {
        s->tls = tls_ref(set->tls);
        err = stream_tls_open(s, set->server_name);
    }
    if (!err && set->tls) {
        err = io_want(&s->io, IO_READ);
    }
    return err;
}

frun_err stream_new(struct loop *l, int *fd, const struct stream_settings *set,
                    const struct stream_events *ev, void *ctx, struct stream **out)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->loop = l;
    s->fd = *fd;
    s->ev = ev;
    s->ctx = ctx;
    s->is_client = set->is_client;
    s->ops = set->tls ? &stream_tls_ops : &stream_plain_ops;
    buf_init(&s->out, STREAM_MAX_BYTES);
    buf_init(&s->stage, STREAM_MAX_BYTES);
    later_init(&s->flush, on_flush);
    deadline_init(&s->timer, on_timer);
    note_peer(s, set->accepted);
    frun_err err = start(s, set);
    if (err) {
        io_close(&s->io);
        stream_done(s);
        return err;
    }
    set_options(s, set);
    if (s->ssl) {
        deadline_set(l, &s->timer, set->handshake_ms);
    }
    later_arm(l, &s->flush);
    *fd = -1;
    *out = s;
    return FRUN_OK;
}

void stream_set_events(struct stream *s, const struct stream_events *ev, void *ctx)
{
    s->ev = ev;
    s->ctx = ctx;
}

void stream_free(struct stream *s)
{
    if (!s || s->state == STREAM_FREED) {
        return;
    }
    struct loop *l = s->loop;
    mark_gone(s);
    set_state(s, STREAM_FREED);
    deadline_clear(&s->timer);
    later_cancel(&s->flush);
    close_socket(s);
    if (l) {
        loop_free_later(l, stream_done, s);
    } else {
        stream_done(s); /* detached: no callback can see it */
    }
}

void stream_reset(struct stream *s)
{
    if (s && s->fd >= 0) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    stream_free(s);
}

void stream_detach(struct stream *s)
{
    assert(s->loop && s->state != STREAM_FREED);
    mark_gone(s);
    io_close(&s->io);
    later_cancel(&s->flush);
    deadline_clear(&s->timer);
    s->loop = NULL;
}

frun_err stream_attach(struct stream *s, struct loop *l)
{
    assert(!s->loop);
    s->loop = l;
    later_arm(l, &s->flush);
    if (s->state == STREAM_DEAD) {
        return FRUN_OK; /* on_closed follows */
    }
    s->is_drained = false;
    frun_err err = io_open(&s->io, l, s->fd, on_io);
    if (!err && !s->is_eof) {
        /* Also while nobody reads: the first event tells whether the peer is gone. */
        err = io_want(&s->io, IO_READ);
    }
    if (err) {
        die(s, FRUN_E_NOMEM);
        return FRUN_E_NOMEM;
    }
    return FRUN_OK;
}

struct loop *stream_loop(const struct stream *s)
{
    return s->loop;
}

const struct addr *stream_peer(const struct stream *s)
{
    return &s->peer;
}

const char *stream_why(const struct stream *s)
{
    return s->why ? s->why : "";
}
