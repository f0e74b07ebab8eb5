/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/client.h"

#include "frun/http/body.h"
#include "frun/http/head.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/** Octets read at once. */
#define READ_BYTES 65536

/** Octets of the answer's head at most. */
#define MAX_HEAD_BYTES 16384

/** Room for a text of strerror_r(). */
#define SYS_TEXT_BYTES 128

/* A call under way. */
struct work {
    const struct admin_call *call;
    struct diag *d;
    int fd;
    struct buf in;
};

static frun_err fail(const struct work *w, frun_err err, const char *what)
{
    char why[SYS_TEXT_BYTES];
    diag_set(w->d, "%s: %s: %s", w->call->socket, what, strerror_r(errno, why, sizeof(why)));
    return err;
}

static frun_err open_socket(struct work *w)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = (time_t)(w->call->timeout_ms / 1000),
                           .tv_usec = (suseconds_t)(w->call->timeout_ms % 1000 * 1000)};
    if (strlen(w->call->socket) >= sizeof(name.sun_path)) {
        diag_set(w->d, "%s: the name is too long for a UNIX socket", w->call->socket);
        return FRUN_E_LIMIT;
    }
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", w->call->socket);
    w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
        setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait))) {
        return fail(w, FRUN_E_IO, "no socket");
    }
    if (connect(w->fd, (const struct sockaddr *)&name, sizeof(name)) == 0) {
        return FRUN_OK;
    }
    if (errno == EACCES || errno == EPERM) {
        return fail(w, FRUN_E_DENIED, "not permitted");
    }
    return fail(w, FRUN_E_CONNECT, "the daemon cannot be reached");
}

static frun_err send_all(const struct work *w, struct span out)
{
    while (out.n > 0) {
        ssize_t n = send(w->fd, out.p, out.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EPIPE) {
            return FRUN_OK; /* it may have answered before it read everything */
        }
        if (n < 0) {
            bool is_late = errno == EAGAIN;
            return fail(w, is_late ? FRUN_E_TIMEOUT : FRUN_E_IO, "cannot send");
        }
        out = span_skip(out, (size_t)n);
    }
    return FRUN_OK;
}

static frun_err send_request(const struct work *w)
{
    const struct admin_call *c = w->call;
    struct head *h = calloc(1, sizeof(*h));
    struct buf out;
    buf_init(&out, MAX_HEAD_BYTES);
    if (!h) {
        diag_set(w->d, "out of memory");
        return FRUN_E_NOMEM;
    }
    h->method = span_of(c->method);
    h->target = span_of(c->target);
    h->authority = SPAN_LIT("localhost");
    h->body = c->body.n ? HEAD_BODY_LENGTH : HEAD_BODY_NONE;
    h->body_len_bytes = c->body.n;
    frun_err err = head_write_request(h, &out); /* is_keep_alive is false */
    free(h);
    if (err) {
        diag_set(w->d, "the request is too large");
    }
    err = err ? err : send_all(w, buf_span(&out));
    err = err ? err : send_all(w, c->body);
    buf_done(&out);
    return err;
}

/* FRUN_E_EOF: the daemon has ended the connection. */
static frun_err read_more(struct work *w)
{
    char *at = NULL;
    ssize_t n;
    frun_err err = buf_reserve(&w->in, READ_BYTES, &at);
    if (err) {
        diag_set(w->d, "%s", err_text(err));
        return err;
    }
    do {
        n = recv(w->fd, at, READ_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        diag_set(w->d, "%s: no answer within %llu s", w->call->socket,
                 (unsigned long long)(w->call->timeout_ms / 1000));
        return FRUN_E_TIMEOUT;
    }
    if (n < 0 && errno != ECONNRESET) {
        return fail(w, FRUN_E_IO, "cannot read");
    }
    if (n <= 0) {
        return FRUN_E_EOF;
    }
    buf_commit(&w->in, (size_t)n);
    return FRUN_OK;
}

static frun_err read_head(struct work *w, struct head *h)
{
    const struct head_limits lim = {MAX_HEAD_BYTES, MAX_HEAD_BYTES, 100};
    struct head_fault fault = {0};
    size_t scanned = 0;
    size_t len = 0;
    frun_err err;
    while ((err = head_cut(buf_span(&w->in), &lim, &scanned, &len, &fault)) == FRUN_E_AGAIN) {
        err = read_more(w);
        if (err == FRUN_E_EOF) {
            diag_set(w->d, "%s: the daemon closed the connection without an answer",
                     w->call->socket);
            return FRUN_E_CLOSED;
        }
        if (err) {
            return err;
        }
    }
    if (!err) {
        err = head_parse_answer(span_head(buf_span(&w->in), len), &lim, span_of(w->call->method), h,
                                &fault);
    }
    if (err) {
        diag_set(w->d, "%s: what answers there is no daemon of ours: %s", w->call->socket,
                 fault.why);
        return FRUN_E_SYNTAX;
    }
    buf_consume(&w->in, len);
    return FRUN_OK;
}

static frun_err read_body(struct work *w, const struct head *h, struct buf *body)
{
    struct body_reader r;
    body_begin(&r, h);
    while (!body_is_done(&r)) {
        size_t framing = 0;
        struct span content = {0};
        frun_err err = body_look(&r, buf_span(&w->in), &framing, &content);
        buf_consume(&w->in, err ? 0 : framing);
        if (!err && content.n) {
            err = buf_put(body, content);
            body_take(&r, content.n);
            buf_consume(&w->in, content.n);
        } else if (!err && !body_is_done(&r)) {
            err = read_more(w);
            if (err == FRUN_E_EOF) {
                err = body_end(&r);
                diag_set(w->d, "%s: the answer broke off", w->call->socket);
                return err ? FRUN_E_CLOSED : FRUN_OK;
            }
            if (err) {
                return err;
            }
        }
        if (err) {
            diag_set(w->d, "%s: the answer cannot be read: %s", w->call->socket, err_text(err));
            return err;
        }
    }
    return FRUN_OK;
}

frun_err admin_client_call(const struct admin_call *c, unsigned *status, struct buf *body,
                           struct diag *d)
{
    struct work w = {.call = c, .d = d, .fd = -1};
    struct head *h = calloc(1, sizeof(*h));
    buf_init(&w.in, (size_t)2 * READ_BYTES);
    if (!h) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    frun_err err = open_socket(&w);
    err = err ? err : send_request(&w);
    err = err ? err : read_head(&w, h);
    unsigned code = err ? 0 : h->status;
    err = err ? err : read_body(&w, h, body);
    if (!err) {
        *status = code;
    }
    if (w.fd >= 0) {
        (void)close(w.fd);
    }
    buf_done(&w.in);
    free(h);
    return err;
}
