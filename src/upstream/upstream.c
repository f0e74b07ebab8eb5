/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/upstream/upstream.h"

#include "upstream_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request under way is looked at this often within its shorter timeout. */
#define CHECKS_PER_TIMEOUT 4

/* ---- states ---- */

static bool is_legal(enum conn_state from, enum conn_state to)
{
    switch (to) {
    case CONN_DIALLING:
        return from == CONN_DEAD;
    case CONN_BUSY:
        return from == CONN_DIALLING || from == CONN_IDLE;
    case CONN_IDLE:
        return from == CONN_BUSY;
    case CONN_DEAD:
        return from != CONN_DEAD;
    }
    return false;
}

static void set_state(struct conn *c, enum conn_state to)
{
    struct upstream *u = c->pool;

    assert(is_legal(c->state, to));
    if (c->state != CONN_DEAD) {
        list_remove(&c->node);
        u->counts[c->state]--;
    }
    if (to != CONN_DEAD) {
        list_prepend(&u->lists[to], &c->node); /* idle ones: newest first */
        u->counts[to]++;
    }
    c->state = to;
}

static struct conn *conn_first(const struct upstream *u, enum conn_state state)
{
    struct list *node = list_first(&u->lists[state]);
    return node ? list_entry(node, struct conn, node) : NULL;
}

/* ---- end of a call ---- */

static void conn_done(void *obj)
{
    struct conn *c = obj;

    buf_done(&c->in);
    buf_done(&c->out);
    free(c);
}

void upstream_conn_close(struct conn *c)
{
    set_state(c, CONN_DEAD);
    deadline_clear(&c->timer);
    later_cancel(&c->later);
    dial_cancel(c->dial);
    stream_free(c->stream);
    c->dial = NULL;
    c->stream = NULL;
    /* Buffers stay until then: an event that closes may still look at its head. */
    loop_free_later(c->pool->loop, conn_done, c);
}

/* Octets behind an answer belong to nobody, and a request that is not out completely would be
 * continued by the next one: neither connection may be used again. */
static bool is_reusable(const struct conn *c)
{
    const struct upstream *u = c->pool;

    return c->x.may_keep && c->x.is_answer_keepalive && c->x.is_sent && !c->x.fault &&
           !c->x.ended && stream_waiting(c->stream) == 0 && buf_len(&c->in) == 0 &&
           u->s.max_idle > 0 && !u->is_closing;
}

/* Also octets that came together with the answer and are not read yet: the next call would take
 * them for its own. Costs no system call when the last read emptied the socket. */
static bool has_more_to_say(const struct conn *c)
{
    char one;
    size_t n = 0;
    return stream_read(c->stream, &one, 1, &n) != FRUN_E_AGAIN;
}

static void make_idle(struct conn *c)
{
    struct upstream *u = c->pool;

    set_state(c, CONN_IDLE);
    later_cancel(&c->later);
    upstream_receive_release(c);
    stream_read_on(c->stream, true);
    deadline_set(u->loop, &c->timer, u->s.keepalive_ms);
    if (u->counts[CONN_IDLE] > u->s.max_idle) {
        upstream_conn_close(list_entry(u->lists[CONN_IDLE].prev, struct conn, node));
    }
}

void upstream_conn_end(struct conn *c)
{
    const struct call call = c->call;

    if (is_reusable(c) && !has_more_to_say(c)) {
        make_idle(c);
    } else {
        upstream_conn_close(c);
    }
    call.ev->on_end(call.owner);
}

static void fail(struct conn *c, struct call_failure *f)
{
    const struct call call = c->call;

    f->is_unprocessed = !c->x.is_handed;
    upstream_conn_close(c);
    call.ev->on_fail(call.owner, f);
}

static void fail_text(const struct conn *c, struct call_failure *f, const char *why)
{
    const struct dial_target *t = &c->pool->s.target;

    /* Who it was: at most half of the text, the cause must fit too. */
    (void)snprintf(f->text, sizeof(f->text), "%.72s:%u: %s", t->host, t->port, why);
}

void upstream_conn_fail(struct conn *c, frun_err err, const char *why)
{
    struct call_failure f = {.err = err};

    fail_text(c, &f, why);
    fail(c, &f);
}

void upstream_conn_lost(struct conn *c, frun_err err)
{
    struct call_failure f = {.err = err == FRUN_E_EOF ? FRUN_E_CLOSED : err};
    const char *why = "connection lost before an answer";

    f.is_stale = f.err == FRUN_E_CLOSED && c->x.is_reused && !c->x.has_answer_octets;
    if (err == FRUN_E_TLS && *stream_why(c->stream)) {
        why = stream_why(c->stream);
    } else if (c->x.is_head_seen) {
        why = "connection lost within the answer's body";
    } else if (c->x.has_answer_octets) {
        why = "connection lost within the answer's head";
    } else if (f.is_stale) {
        why = "kept connection had ended";
    }
    fail_text(c, &f, why);
    fail(c, &f);
}

/* ---- time ---- */

/* How long nothing has moved although it is the server's turn; 0 while it is the owner's. */
static uint64_t stalled_ms(struct conn *c, uint64_t now_ms, uint64_t *limit_ms, const char **why)
{
    const struct upstream_settings *s = &c->pool->s;
    size_t waiting = upstream_send_waiting(c);
    /* TLS adds to what waits, so the difference may shrink; only growth is progress. */
    uint64_t moved = c->x.put_bytes - waiting;

    if ((int64_t)(moved - c->x.moved_bytes) > 0 || waiting == 0) {
        c->x.write_at_ms = now_ms;
    }
    c->x.moved_bytes = moved;
    *limit_ms = s->body_timeout_ms;
    if (waiting > 0) {
        c->x.sent_at_ms = now_ms;
        *why = "the server takes no more of the request";
        return now_ms - c->x.write_at_ms;
    }
    if (!c->x.is_sent || c->x.is_held || c->x.ended) {
        return 0;
    }
    if (!c->x.is_head_seen) {
        *limit_ms = s->response_timeout_ms;
        *why = "no answer in time";
        return now_ms - c->x.sent_at_ms;
    }
    *why = "the answer came to a halt";
    return now_ms - (c->x.read_at_ms > c->x.sent_at_ms ? c->x.read_at_ms : c->x.sent_at_ms);
}

static void check_call(struct conn *c)
{
    struct upstream *u = c->pool;
    uint64_t limit_ms = 0;
    const char *why = "";
    uint64_t spent_ms = stalled_ms(c, loop_now_ms(u->loop), &limit_ms, &why);

    if (spent_ms >= limit_ms) {
        upstream_conn_fail(c, FRUN_E_TIMEOUT, why);
        return;
    }
    uint64_t rest_ms = limit_ms - spent_ms;
    if (!c->x.is_sent || upstream_send_waiting(c) > 0) {
        rest_ms = rest_ms < u->check_ms ? rest_ms : u->check_ms;
    }
    deadline_set(u->loop, &c->timer, rest_ms);
}

static void on_timer(struct deadline *d)
{
    struct conn *c = list_entry(d, struct conn, timer);

    if (c->state == CONN_IDLE) {
        upstream_conn_close(c);
    } else if (c->state == CONN_BUSY) {
        check_call(c);
    }
}

static void on_later(struct later *l)
{
    struct conn *c = list_entry(l, struct conn, later);

    c->x.is_handed |= c->state == CONN_BUSY;
    if (c->x.fault) {
        upstream_conn_fail(c, c->x.fault, c->x.fault_why);
        return;
    }
    if (!c->x.is_resumed) {
        return;
    }
    c->x.is_resumed = false;
    upstream_receive_process(c);
    if (c->state == CONN_BUSY && !c->x.is_held && !c->x.ended) {
        if (buf_len(&c->in) == 0) {
            upstream_receive_release(c);
        }
        stream_read_on(c->stream, true);
    }
}

/* ---- begin of a call ---- */

static void begin(struct conn *c, const struct call_events *ev, void *owner)
{
    c->call = (struct call){.ops = &upstream_call_ops, .ev = ev, .owner = owner};
    c->x = (struct conn_call){0};
}

static void on_dialled(void *ctx, frun_err err, struct stream *s, const char *why)
{
    struct conn *c = ctx;

    const struct dial *d = c->dial;
    c->dial = NULL;
    if (err) {
        struct call_failure f = {.err = err, .refusal = dial_refusal(d)};
        (void)snprintf(f.text, sizeof(f.text), "%s", why);
        fail(c, &f);
        return;
    }
    c->stream = s;
    stream_set_events(s, &upstream_stream_events, c);
    set_state(c, CONN_BUSY);
    later_arm(c->pool->loop, &c->later);
    deadline_set(c->pool->loop, &c->timer, c->pool->check_ms);
    stream_read_on(s, true);
    upstream_send_gathered(c);
}

/* Write the head at once; a connection that turns out to be dead is given up without a word. */
static frun_err reuse(struct upstream *u, struct conn *c, struct span head)
{
    /* Before the stream's own wish for the end of the pass: nothing has left until ours comes. */
    later_arm(u->loop, &c->later);
    frun_err err = stream_put(c->stream, head);
    if (err) {
        upstream_conn_close(c);
        return err;
    }
    set_state(c, CONN_BUSY);
    deadline_set(u->loop, &c->timer, u->check_ms);
    return FRUN_OK;
}

static frun_err call_idle(struct upstream *u, const struct head *req, const struct call_events *ev,
                          void *owner, struct call **out)
{
    struct conn *c;

    while ((c = conn_first(u, CONN_IDLE))) {
        frun_err err = reuse(u, c, buf_span(&u->head));
        if (err == FRUN_E_CLOSED) {
            continue;
        }
        if (err) {
            return err;
        }
        begin(c, ev, owner);
        c->x.is_reused = true;
        c->x.put_bytes = buf_len(&u->head);
        c->x.write_at_ms = loop_now_ms(u->loop);
        upstream_send_begin(c, req);
        *out = &c->call;
        return FRUN_OK;
    }
    return FRUN_E_NOT_FOUND;
}

static size_t connections(const struct upstream *u)
{
    return u->counts[CONN_DIALLING] + u->counts[CONN_BUSY] + u->counts[CONN_IDLE];
}

static frun_err call_new(struct upstream *u, const struct head *req, const struct call_events *ev,
                         void *owner, struct call **out)
{
    if (connections(u) >= u->s.max_connections) {
        return FRUN_E_LIMIT;
    }
    struct conn *c = calloc(1, sizeof(*c));
    if (!c) {
        return FRUN_E_NOMEM;
    }
    c->pool = u;
    c->state = CONN_DEAD;
    list_init(&c->node);
    deadline_init(&c->timer, on_timer);
    later_init(&c->later, on_later);
    buf_init(&c->in, UPSTREAM_READ_BYTES);
    begin(c, ev, owner);
    frun_err err = dial_start(u->loop, u->offload, &u->s.target, on_dialled, c, &c->dial);
    if (err) {
        conn_done(c);
        return err;
    }
    c->out = u->head;
    size_t head_max_bytes = u->head.max;
    c->out.max = buf_len(&c->out) + EXCHANGE_BUFFER_BYTES + UPSTREAM_FRAMING_BYTES;
    buf_init(&u->head, head_max_bytes);
    set_state(c, CONN_DIALLING);
    upstream_send_begin(c, req);
    *out = &c->call;
    return FRUN_OK;
}

frun_err upstream_call(struct upstream *u, const struct head *req, const struct call_events *ev,
                       void *owner, struct call **out)
{
    if (u->is_closing) {
        return FRUN_E_CLOSED;
    }
    buf_consume(&u->head, buf_len(&u->head));
    frun_err err = head_write_request(req, &u->head);
    if (err) {
        return err;
    }
    err = call_idle(u, req, ev, owner, out);
    if (err == FRUN_E_NOT_FOUND) {
        err = call_new(u, req, ev, owner, out);
    }
    return err;
}

/* ---- pool ---- */

frun_err upstream_new(struct loop *l, struct offload *o, const struct upstream_settings *s,
                      struct upstream **out)
{
    struct upstream *u = aligned_alloc(UPSTREAM_LINE_BYTES, sizeof(*u));

    if (!u) {
        return FRUN_E_NOMEM;
    }
    memset(u, 0, sizeof(*u));
    u->loop = l;
    u->offload = o;
    u->s = *s;
    if (u->s.limits.max_head_bytes > UPSTREAM_READ_BYTES) {
        u->s.limits.max_head_bytes = UPSTREAM_READ_BYTES;
    }
    size_t head_max_bytes = s->limits.max_head_bytes + UPSTREAM_ADDED_BYTES;
    if (head_max_bytes < UPSTREAM_MAX_HEAD_BYTES) {
        head_max_bytes = UPSTREAM_MAX_HEAD_BYTES;
    }
    u->check_ms =
        s->body_timeout_ms < s->response_timeout_ms ? s->body_timeout_ms : s->response_timeout_ms;
    u->check_ms = u->check_ms / CHECKS_PER_TIMEOUT + 1;
    for (size_t i = 0; i < CONN_LISTS; i++) {
        list_init(&u->lists[i]);
    }
    buf_init(&u->head, head_max_bytes);
    buf_init(&u->spare_in, UPSTREAM_READ_BYTES);
    *out = u;
    return FRUN_OK;
}

static void pool_done(void *obj)
{
    struct upstream *u = obj;

    buf_done(&u->head);
    buf_done(&u->spare_in);
    free(u);
}

void upstream_free(struct upstream *u)
{
    struct conn *c;

    if (!u) {
        return;
    }
    assert(!u->is_closing);
    u->is_closing = true;
    while ((c = conn_first(u, CONN_IDLE))) {
        upstream_conn_close(c);
    }
    /* Their owners may cancel others meanwhile: always the first one that is left. */
    while ((c = conn_first(u, CONN_BUSY)) || (c = conn_first(u, CONN_DIALLING))) {
        upstream_conn_fail(c, FRUN_E_CLOSED, "given up: the connection pool was closed");
    }
    loop_free_later(u->loop, pool_done, u);
}

size_t upstream_active(const struct upstream *u)
{
    size_t n = 0;
    for (size_t i = 0; i < CONN_LISTS; i++) {
        n += i != CONN_IDLE ? u->counts[i] : 0;
    }
    return n;
}

size_t upstream_idle(const struct upstream *u)
{
    return u->counts[CONN_IDLE];
}
