/**
 * A front-door connection that speaks HTTP/1.1: one request after the other, served to exchanges.
 *
 *     idle <--> head --> serving --> idle ...      any violation, limit or time-out: answer if
 *                                                  possible, finish
 *
 * Octets behind the present request (pipelining) wait in the buffer until it has ended. An idle
 * connection holds no buffer.
 *
 * Reading is switched off lazily: only when octets arrive that nobody wants yet, because most
 * requests come in one piece and a switch is a system call.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "front_int.h"
#include "frun/base/buf.h"
#include "frun/base/log.h"
#include "frun/gateway/exchange.h"
#include "frun/gateway/front.h"
#include "frun/http/body.h"
#include "frun/http/head.h"
#include "frun/net/stream.h"

#include <stdlib.h>
#include <string.h>

/** Octets read at once: one TLS record. */
#define FRONT_READ_BYTES 16384

/** Octets of a connection's input buffer, unless max_head is larger. */
#define FRONT_BUFFER_BYTES 65536

/** Reads in one wake-up, so that one busy peer does not starve the others. */
#define FRONT_MAX_READS 4

/** Octets of an unread request body that are read and dropped so that the connection can go on. */
#define FRONT_MAX_DISCARD 65536

/** Octets that framing adds to a chunk at most: size line and CRLF. */
#define FRONT_CHUNK_EXTRA (BODY_CHUNK_HEAD_BYTES + 2)

/** While the worker drains, a connection that has not asked for anything yet may do so once, within
 * this time, milliseconds: its client has no reason to try again. */
#define FRONT_DRAIN_MS 2000

/** Idle connections end so long before everything is cut off, milliseconds. */
#define FRONT_DRAIN_LEAST_MS 50

/** Where a connection stands. */
enum front_state {
    FRONT_STATE_IDLE,       /**< between requests, nothing of the next one received */
    FRONT_STATE_HEAD,       /**< part of a head received */
    FRONT_STATE_SERVING,    /**< an exchange has the request */
    FRONT_STATE_DISCARDING, /**< answered; what is left of the request's body is dropped */
    FRONT_STATE_FINISHING,  /**< the last answer is on its way out */
    FRONT_STATE_GONE        /**< unlinked, freed after the pass */
};

struct front_h1 {
    struct front base; /* first */
    struct stream *stream;
    enum front_state state;
    struct served served;
    struct buf in;
    size_t scanned;
    struct body_reader body;
    struct deadline deadline;
    struct later work;       /* look at buffered octets again */
    uint64_t answer_left;    /* of Content-Length */
    uint64_t discarded;      /* octets dropped in FRONT_STATE_DISCARDING */
    unsigned minor;          /* of the request */
    bool is_reading;         /* stream_read_on() as last said */
    bool is_head_method;     /* the request is a HEAD */
    bool is_used;            /* a request has come */
    bool is_persistent;      /* the request allows another one */
    bool wants_continue;     /* 100 Continue is still owed */
    bool is_body_open;       /* accept_body() was called */
    bool is_paused;          /* the exchange did not take all */
    bool is_body_told;       /* on_body_end() was called */
    bool is_head_sent;       /* the answer's head went out */
    bool is_answer_bodiless; /* HEAD, 204, 304 */
    bool is_answer_chunked;  /* framing of the answer */
    bool is_answer_counted;  /* Content-Length: answer_left counts */
    bool is_room_wanted;     /* send_body() took less than offered */
    bool is_last;            /* close behind this answer */
};

static void set_state(struct front_h1 *f, enum front_state to);

/* -- state
 * -----------------------------------------------------------------------------------------------------
 */

/* How long an idle connection of a draining worker may still ask: its client knows nothing yet, and
 * would lose a request that crosses our good-bye. */
static uint64_t drain_grace_ms(const struct front_h1 *f)
{
    const struct worker *w = f->base.w;
    uint64_t grace = w->conf->gateway->drain_grace_ms;
    uint64_t now = loop_now_ms(w->loop) + FRONT_DRAIN_LEAST_MS;
    uint64_t left = w->drain_ends_ms > now ? w->drain_ends_ms - now : 0;
    if (!f->is_used && grace < FRONT_DRAIN_MS) {
        grace = FRONT_DRAIN_MS;
    }
    grace = grace < left ? grace : left;
    return grace ? grace : 1;
}

/* The one time-out that runs in this state. */
static void rearm(struct front_h1 *f)
{
    const struct conf_gateway *g = f->base.w->conf->gateway;
    uint64_t in_ms = 0;
    switch (f->state) {
    case FRONT_STATE_GONE:
        break;
    case FRONT_STATE_IDLE:
        in_ms = f->base.w->is_draining ? drain_grace_ms(f) : g->keepalive_timeout_ms;
        break;
    case FRONT_STATE_HEAD:
        in_ms = g->head_timeout_ms;
        break;
    case FRONT_STATE_SERVING:
        if (f->is_room_wanted || (f->is_body_open && !f->is_paused && !body_is_done(&f->body))) {
            in_ms = g->body_timeout_ms;
        }
        break;
    case FRONT_STATE_DISCARDING:
    case FRONT_STATE_FINISHING:
        in_ms = g->body_timeout_ms;
        break;
    }
    if (in_ms) {
        deadline_set(f->base.w->loop, &f->deadline, in_ms);
    } else {
        deadline_clear(&f->deadline);
    }
}

static void destroy(struct front_h1 *f)
{
    set_state(f, FRONT_STATE_GONE);
    later_cancel(&f->work);
    buf_done(&f->in);
    loop_free_later(f->base.w->loop, free, f);
    front_leave(&f->base);
}

static void set_state(struct front_h1 *f, enum front_state to)
{
    f->state = to;
    rearm(f);
}

static void close_now(struct front_h1 *f, bool is_reset)
{
    if (f->state == FRONT_STATE_GONE) {
        return;
    }
    struct stream *s = f->stream;
    f->stream = NULL;
    if (is_reset) {
        stream_reset(s);
    } else {
        stream_free(s);
    }
    destroy(f);
}

/* Everything put goes out, then the connection ends. */
static void finish(struct front_h1 *f)
{
    buf_done(&f->in);
    set_state(f, FRONT_STATE_FINISHING);
    stream_finish(f->stream);
}

static void want_reading(struct front_h1 *f, bool is_on)
{
    if (f->is_reading != is_on) {
        f->is_reading = is_on;
        stream_read_on(f->stream, is_on);
    }
}

/* The exchange is told that its request ends here; the handle is dead afterwards. */
static void tell_gone(struct front_h1 *f, frun_err err, const char *why)
{
    if (f->state == FRONT_STATE_SERVING && f->served.ev) {
        const struct served_events *ev = f->served.ev;
        f->served.ev = NULL;
        ev->on_gone(f->served.owner, err, why);
    }
}

/* The body broke its framing or stopped: nobody can be asked for an answer any more, so a short one
 * of our own goes out. */
static void fail_body(struct front_h1 *f, frun_err err, const char *why)
{
    static const char bad[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
        "Proxy-Status: frunproxyd; error=http_request_error\r\nConnection: close\r\n"
        "Content-Length: 67\r\n\r\n"
        "{\"status\":400,\"title\":\"Bad Request\",\"detail\":\"broken body framing\"}";
    static const char late[] =
        "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
        "Proxy-Status: frunproxyd; error=http_request_error\r\nConnection: close\r\n"
        "Content-Length: 83\r\n\r\n"
        "{\"status\":408,\"title\":\"Request Timeout\",\"detail\":\"the body stopped "
        "(body_timeout)\"}";
    bool is_answered = f->is_head_sent;
    tell_gone(f, err, why);
    if (f->state == FRONT_STATE_GONE) {
        return;
    }
    if (is_answered || err == FRUN_E_CLOSED ||
        stream_put(f->stream, err == FRUN_E_TIMEOUT ? span_make(late, sizeof(late) - 1)
                                                    : span_make(bad, sizeof(bad) - 1)) != FRUN_OK) {
        close_now(f, true);
        return;
    }
    finish(f);
}

/* -- the request's body
 * ---------------------------------------------------------------------------------------- */

static void pump_body(struct front_h1 *f)
{
    while (f->state == FRONT_STATE_SERVING && f->is_body_open && !f->is_paused &&
           !body_is_done(&f->body)) {
        size_t framing = 0;
        struct span content = {0};
        frun_err err = body_look(&f->body, buf_span(&f->in), &framing, &content);
        if (err) {
            /* Also one with too long extensions: the peer is told the same. */
            fail_body(f, FRUN_E_SYNTAX, "the request's body breaks its framing");
            return;
        }
        buf_consume(&f->in, framing);
        if (content.n == 0) {
            break;
        }
        size_t n = f->served.ev->on_body(f->served.owner, content);
        if (f->state != FRONT_STATE_SERVING) {
            return;
        }
        body_take(&f->body, n);
        buf_consume(&f->in, n);
        f->is_paused = n < content.n;
        rearm(f);
    }
    if (f->state == FRONT_STATE_SERVING && body_is_done(&f->body) && f->is_body_open &&
        !f->is_body_told) {
        f->is_body_told = true;
        rearm(f);
        f->served.ev->on_body_end(f->served.owner);
    }
}

/* The answer is out; a short rest of the body is read and dropped so that the connection can go on.
 */
static void discard_body(struct front_h1 *f)
{
    while (!body_is_done(&f->body)) {
        size_t framing = 0;
        struct span content = {0};
        if (body_look(&f->body, buf_span(&f->in), &framing, &content) != FRUN_OK) {
            finish(f);
            return;
        }
        buf_consume(&f->in, framing + content.n);
        body_take(&f->body, content.n);
        f->discarded += content.n;
        if (f->discarded > FRONT_MAX_DISCARD) {
            finish(f);
            return;
        }
        if (content.n == 0 && !body_is_done(&f->body)) {
            return;
        }
    }
    set_state(f, FRONT_STATE_IDLE);
}

/* -- the served request's operations
 * --------------------------------------------------------------------------- */

static struct front_h1 *front_of(struct served *s)
{
    return list_entry(s, struct front_h1, served);
}

static void op_accept_body(struct served *s)
{
    struct front_h1 *f = front_of(s);
    f->is_body_open = true;
    if (f->wants_continue && f->minor >= 1 && buf_len(&f->in) == 0 && !body_is_done(&f->body) &&
        stream_put(f->stream, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n")) == FRUN_OK) {
        f->wants_continue = false;
    }
    rearm(f);
    later_arm(f->base.w->loop, &f->work);
}

/* May the connection carry another request after this answer? */
static bool stays_open(const struct front_h1 *f, const struct head *h)
{
    if (!f->is_persistent || !h->is_keep_alive || f->base.w->is_draining) {
        return false;
    }
    if (body_is_done(&f->body)) {
        return true;
    }
    if (f->wants_continue) {
        return false; /* nobody knows whether the body will come */
    }
    return h->status < 400 ||
           (f->body.framing == HEAD_BODY_LENGTH && f->body.left_bytes <= FRONT_MAX_DISCARD);
}

static frun_err op_send_head(struct served *s, const struct head *h)
{
    struct front_h1 *f = front_of(s);
    struct buf *out = &f->base.w->scratch;
    struct span method = f->is_head_method ? SPAN_LIT("HEAD") : SPAN_LIT("GET");
    bool is_kept = stays_open(f, h);
    frun_err err;
    if (is_kept || !h->is_keep_alive) {
        err = head_write_answer(h, method, f->minor, out, &f->is_answer_chunked);
    } else {
        struct head closing = *h;
        closing.is_keep_alive = false;
        err = head_write_answer(&closing, method, f->minor, out, &f->is_answer_chunked);
    }
    if (!err) {
        err = stream_put(f->stream, buf_span(out));
    }
    buf_consume(out, buf_len(out));
    if (err) {
        return err == FRUN_E_CLOSED ? FRUN_OK
                                    : err; /* on_closed is on its way and tells the exchange */
    }
    f->is_head_sent = true;
    f->is_answer_bodiless =
        f->is_head_method || h->status == 204 || h->status == 304 || h->body == HEAD_BODY_NONE;
    f->is_answer_counted = h->body == HEAD_BODY_LENGTH;
    f->answer_left = h->body_len_bytes;
    f->is_last = !is_kept || (h->body == HEAD_BODY_UNTIL_CLOSE && !f->is_answer_chunked) ||
                 (h->body == HEAD_BODY_CHUNKED && !f->is_answer_chunked);
    return FRUN_OK;
}

/* The answer is complete: the served request is gone, the connection goes on or ends. */
static void answer_done(struct front_h1 *f)
{
    f->served.ev = NULL;
    if (f->is_answer_counted && !f->is_answer_bodiless && f->answer_left > 0) {
        close_now(f, true); /* shorter than announced: the pusher must see it */
        return;
    }
    if (f->is_last) {
        finish(f);
        return;
    }
    f->discarded = 0;
    set_state(f, body_is_done(&f->body) ? FRONT_STATE_IDLE : FRONT_STATE_DISCARDING);
    want_reading(f, true);
    if (buf_len(&f->in)) {
        later_arm(f->base.w->loop, &f->work);
    } else {
        buf_trim(&f->in);
    }
}

static frun_err put_body(struct front_h1 *f, struct span part)
{
    frun_err err = FRUN_OK;
    if (f->is_answer_chunked) {
        char line[BODY_CHUNK_HEAD_BYTES];
        size_t n = body_chunk_head(part.n, line);
        err = stream_put(f->stream, span_make(line, n));
    }
    if (!err) {
        err = stream_put(f->stream, part);
    }
    if (!err && f->is_answer_chunked) {
        err = stream_put(f->stream, SPAN_LIT("\r\n"));
    }
    return err;
}

static size_t op_send_body(struct served *s, struct span data, bool is_last)
{
    struct front_h1 *f = front_of(s);
    size_t n = data.n;
    bool is_dead = false;
    if (!f->is_answer_bodiless) {
        size_t room = stream_room(f->stream);
        room = room > FRONT_CHUNK_EXTRA ? room - FRONT_CHUNK_EXTRA : 0;
        n = n < room ? n : room;
        if (f->is_answer_counted) {
            /* More than announced is the other side's mistake: it never reaches the pusher. */
            uint64_t allowed = f->answer_left;
            struct span part = span_head(data, n < allowed ? n : (size_t)allowed);
            f->answer_left -= part.n;
            is_dead = part.n && put_body(f, part) != FRUN_OK;
        } else if (n) {
            is_dead = put_body(f, span_head(data, n)) != FRUN_OK;
        }
    }
    f->is_room_wanted = n < data.n;
    if (is_last && n == data.n) {
        if (!is_dead && f->is_answer_chunked && !f->is_answer_bodiless) {
            is_dead = stream_put(f->stream, BODY_CHUNK_LAST) != FRUN_OK;
        }
        if (is_dead) {
            /* With its last octet the exchange is gone, whoever got it; on_closed follows. */
            f->served.ev = NULL;
            set_state(f, FRONT_STATE_FINISHING);
            return n;
        }
        answer_done(f);
    } else {
        rearm(f);
    }
    return n;
}

static void op_resume(struct served *s)
{
    struct front_h1 *f = front_of(s);
    f->is_paused = false;
    rearm(f);
    later_arm(f->base.w->loop, &f->work);
}

static void op_abandon(struct served *s)
{
    struct front_h1 *f = front_of(s);
    f->served.ev = NULL;
    close_now(f, true);
}

static const struct served_ops served_ops = {
    .accept_body = op_accept_body,
    .send_head = op_send_head,
    .send_body = op_send_body,
    .resume = op_resume,
    .abandon = op_abandon,
};

/* -- heads
 * -----------------------------------------------------------------------------------------------------
 */

static void begin_request(struct front_h1 *f, const struct head *h)
{
    set_state(f, FRONT_STATE_SERVING);
    f->is_used = true;
    f->minor = h ? h->minor : 1;
    f->is_head_method = h && span_eq(h->method, SPAN_LIT("HEAD"));
    f->is_persistent = h && h->is_keep_alive;
    f->wants_continue = h && h->wants_continue;
    f->is_body_open = f->is_paused = f->is_body_told = false;
    f->is_head_sent = f->is_room_wanted = f->is_last = false;
    f->is_answer_chunked = f->is_answer_counted = f->is_answer_bodiless = false;
    f->served = (struct served){.ops = &served_ops};
    static const struct head none;
    body_begin(&f->body, h ? h : &none);
}

static void refuse(struct front_h1 *f, const struct head_fault *fault)
{
    struct exchange *x = exchange_new(f->base.w);
    if (!x) {
        close_now(f, false);
        return;
    }
    buf_consume(&f->in, buf_len(&f->in));
    begin_request(f, NULL);
    exchange_refuse(x, &f->served, span_of(f->base.peer), fault);
}

/* Returns false when more octets are needed, or the connection has ended. */
static bool take_head(struct front_h1 *f)
{
    const struct conf_gateway *g = f->base.w->conf->gateway;
    struct head_limits lim = {.max_head_bytes = g->max_head,
                              .max_target_bytes = g->max_target,
                              .max_fields = g->max_fields};
    struct head_fault fault = {.status = 400, .why = "malformed request"};
    size_t len = 0;
    frun_err err = head_cut(buf_span(&f->in), &lim, &f->scanned, &len, &fault);
    if (err == FRUN_E_AGAIN) {
        return false;
    }
    struct exchange *x = err ? NULL : exchange_new(f->base.w);
    struct span copy = {0};
    if (!err &&
        (!x || arena_copy(exchange_arena(x), span_head(buf_span(&f->in), len), &copy) != FRUN_OK)) {
        exchange_free(x);
        log_error(NULL, "out of memory: connection from %s closed", f->base.peer);
        close_now(f, false);
        return false;
    }
    if (!err) {
        err = head_parse_request(copy, &lim, exchange_head(x), &fault);
    }
    if (err) {
        exchange_free(x);
        refuse(f, &fault);
        return false;
    }
    buf_consume(&f->in, len);
    begin_request(f, exchange_head(x));
    exchange_start(x, &f->served, span_of(f->base.peer), stream_tls(f->stream), f->base.identity);
    return true;
}

static void process(struct front_h1 *f)
{
    for (bool is_going = true; is_going;) {
        is_going = false;
        switch (f->state) {
        case FRONT_STATE_IDLE:
            if (stream_room(f->stream) == 0) {
                break; /* answers wait for the pusher: no further request before it has read them */
            }
            if (buf_len(&f->in)) {
                f->scanned = 0;
                set_state(f, FRONT_STATE_HEAD);
                is_going = true;
            } else {
                buf_trim(&f->in);
            }
            break;
        case FRONT_STATE_HEAD:
            is_going = take_head(f);
            break;
        case FRONT_STATE_SERVING:
            pump_body(f);
            is_going = f->state == FRONT_STATE_DISCARDING;
            break;
        case FRONT_STATE_DISCARDING:
            discard_body(f);
            is_going = f->state == FRONT_STATE_IDLE;
            break;
        case FRONT_STATE_FINISHING:
        case FRONT_STATE_GONE:
            break;
        }
    }
}

/* -- events of the stream
 * -------------------------------------------------------------------------------------- */

static bool is_reading_wanted(const struct front_h1 *f)
{
    switch (f->state) {
    case FRONT_STATE_IDLE:
        return stream_room(f->stream) > 0;
    case FRONT_STATE_HEAD:
    case FRONT_STATE_DISCARDING:
        return true;
    case FRONT_STATE_SERVING:
        return f->is_body_open && !f->is_paused && !body_is_done(&f->body);
    case FRONT_STATE_FINISHING:
    case FRONT_STATE_GONE:
        break;
    }
    return false;
}

static void work(struct later *l)
{
    struct front_h1 *f = list_entry(l, struct front_h1, work);
    process(f);
    if (is_reading_wanted(f)) {
        want_reading(f, true);
    }
}

static void on_end(struct front_h1 *f, frun_err err)
{
    switch (f->state) {
    case FRONT_STATE_IDLE:
    case FRONT_STATE_DISCARDING:
        if (err == FRUN_E_EOF) {
            finish(f);
        } else {
            close_now(f, false);
        }
        break;
    case FRONT_STATE_SERVING:
        fail_body(f, FRUN_E_CLOSED, "the pusher ended the connection in the middle of its body");
        break;
    case FRONT_STATE_HEAD:
    case FRONT_STATE_FINISHING:
    case FRONT_STATE_GONE:
        close_now(f, false);
        break;
    }
}

static void on_readable(void *ctx)
{
    struct front_h1 *f = ctx;
    if (!is_reading_wanted(f)) {
        want_reading(f, false);
        return;
    }
    for (int i = 0; i < FRONT_MAX_READS && is_reading_wanted(f); i++) {
        char *at = NULL;
        size_t n = 0;
        size_t room = buf_room(&f->in);
        size_t want = room < FRONT_READ_BYTES ? room : FRONT_READ_BYTES;
        frun_err err = want ? buf_reserve(&f->in, want, &at) : FRUN_E_LIMIT;
        if (err) {
            log_error(NULL, "no buffer for the connection from %s: %s; closed", f->base.peer,
                      err_text(err));
            tell_gone(f, err, "no buffer");
            close_now(f, true);
            return;
        }
        err = stream_read(f->stream, at, want, &n);
        if (err == FRUN_E_AGAIN) {
            buf_trim(&f->in);
            return;
        }
        if (err) {
            on_end(f, err);
            return;
        }
        buf_commit(&f->in, n);
        process(f);
        if (n < FRONT_READ_BYTES) {
            break; /* most likely all there was; if not, we are called again */
        }
    }
}

static void on_room(void *ctx)
{
    struct front_h1 *f = ctx;
    rearm(f);
    if (f->state == FRONT_STATE_IDLE) {
        later_arm(f->base.w->loop, &f->work);
    }
    if (f->state == FRONT_STATE_SERVING && f->is_room_wanted && f->served.ev) {
        f->is_room_wanted = false;
        rearm(f);
        f->served.ev->on_room(f->served.owner);
    }
}

static void on_closed(void *ctx, frun_err err)
{
    struct front_h1 *f = ctx;
    tell_gone(f, err, "the pusher's connection was lost");
    close_now(f, false);
}

static const struct stream_events stream_events = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void on_deadline(struct deadline *d)
{
    struct front_h1 *f = list_entry(d, struct front_h1, deadline);
    switch (f->state) {
    case FRONT_STATE_IDLE:
    case FRONT_STATE_DISCARDING:
        finish(f);
        break;
    case FRONT_STATE_HEAD:
        refuse(f, &(struct head_fault){
                      .status = 408,
                      .why = "the request's head did not arrive in time (head_timeout)"});
        break;
    case FRONT_STATE_SERVING:
        if (f->is_room_wanted) {
            tell_gone(f, FRUN_E_TIMEOUT, "the pusher stopped reading the answer (body_timeout)");
            close_now(f, true);
        } else {
            fail_body(f, FRUN_E_TIMEOUT, "the pusher stopped sending its body (body_timeout)");
        }
        break;
    case FRONT_STATE_FINISHING:
        close_now(f, true);
        break;
    case FRONT_STATE_GONE:
        break;
    }
}

/* -- life
 * ------------------------------------------------------------------------------------------------------
 */

static void op_drain(struct front *base)
{
    struct front_h1 *f = list_entry(base, struct front_h1, base);
    if (f->state == FRONT_STATE_IDLE) {
        rearm(f);
    }
    /* In all other states stays_open() sees that the worker drains; so it does for the next request
     * of an idle connection, whose answer says that it is the last. */
}

static void op_kill(struct front *base)
{
    struct front_h1 *f = list_entry(base, struct front_h1, base);
    tell_gone(f, FRUN_E_CLOSED, "the gateway was stopped");
    close_now(f, true);
}

static const struct front_ops front_ops = {.drain = op_drain, .kill = op_kill};

frun_err front_h1_new(struct worker *w, struct stream **s)
{
    struct front_h1 *f = calloc(1, sizeof(*f));
    if (!f || front_identify(&f->base, *s)) {
        free(f);
        return FRUN_E_NOMEM;
    }
    size_t max_head = w->conf->gateway->max_head;
    buf_init(&f->in, max_head > FRONT_BUFFER_BYTES ? max_head : FRONT_BUFFER_BYTES);
    deadline_init(&f->deadline, on_deadline);
    later_init(&f->work, work);
    front_enter(&f->base, w, &front_ops, stream_peer(*s));
    f->stream = *s;
    *s = NULL;
    stream_set_events(f->stream, &stream_events, f);
    set_state(f, FRONT_STATE_IDLE);
    want_reading(f, true);
    return FRUN_OK;
}
