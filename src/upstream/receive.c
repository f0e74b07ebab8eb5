/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream_int.h"

/* Least room for a read: a TLS record's worth. */
#define READ_STEP_BYTES 16384

/* Reads per wake-up, so that one long answer does not keep the others waiting. */
#define READS_MAX 4

/* Interim answers before the final one; a server that sends more never comes to the point. */
#define INTERIM_MAX 8

/* ---- read buffer ---- */

static frun_err reserve(struct conn *c, char **at, size_t *max)
{
    struct buf *spare = &c->pool->spare_in;
    size_t want = buf_room(&c->in);

    if (c->in.cap == 0 && spare->cap > 0) {
        c->in = *spare;
        buf_init(spare, UPSTREAM_READ_BYTES);
        want = buf_room(&c->in);
    }
    want = want < READ_STEP_BYTES ? want : READ_STEP_BYTES;
    frun_err err = buf_reserve(&c->in, want, at);
    if (!err) {
        *max = c->in.cap - c->in.tail;
    }
    return err;
}

void upstream_receive_release(struct conn *c)
{
    struct buf *spare = &c->pool->spare_in;

    buf_consume(&c->in, buf_len(&c->in));
    if (c->in.cap > 0 && spare->cap == 0) {
        *spare = c->in;
        buf_init(&c->in, UPSTREAM_READ_BYTES);
        return;
    }
    buf_done(&c->in);
}

/* ---- answer ---- */

static void seen(struct conn *c, const struct head *h)
{
    body_begin(&c->x.body, h);
    c->x.is_head_seen = true;
    c->x.is_answer_keepalive = h->is_keep_alive && h->body != HEAD_BODY_UNTIL_CLOSE;
    c->call.ev->on_head(c->call.owner, h);
}

/* One head off the front. true: there may be another one behind it. */
static bool take_head(struct conn *c)
{
    const struct head_limits *lim = &c->pool->s.limits;
    struct span method = c->x.is_head_request ? SPAN_LIT("HEAD") : SPAN_LIT("GET");
    struct head_fault why = {0};
    struct head h;
    size_t len = 0;

    frun_err err = head_cut(buf_span(&c->in), lim, &c->x.scanned_bytes, &len, &why);
    if (err == FRUN_E_AGAIN) {
        return false;
    }
    if (!err) {
        err = head_parse_answer(span_head(buf_span(&c->in), len), lim, method, &h, &why);
    }
    if (err) {
        upstream_conn_fail(c, err, why.why ? why.why : "the answer is malformed");
        return false;
    }
    if (h.status == 101) {
        upstream_conn_fail(c, FRUN_E_SYNTAX, "switched protocols though nobody asked");
        return false;
    }
    if (h.status < 200) {
        if (++c->x.interim_count > INTERIM_MAX) {
            upstream_conn_fail(c, FRUN_E_LIMIT, "too many interim answers");
            return false;
        }
        c->x.scanned_bytes = 0;
        buf_consume(&c->in, len);
        return true;
    }
    seen(c, &h);
    if (c->state == CONN_BUSY) {
        buf_consume(&c->in, len);
    }
    return false;
}

static bool is_until_close(const struct conn *c)
{
    return c->x.body.framing == HEAD_BODY_UNTIL_CLOSE;
}

/* Stop reading, but where only the connection's end tells the answer's: that must be seen while
 * there is room, or a good end could not be told from a bad one. */
static void hold(struct conn *c)
{
    if (!c->x.ended) {
        stream_read_on(c->stream, is_until_close(c));
    }
}

/* Offer one run of content. true: all was taken and there may be more. */
static bool offer(struct conn *c, struct span content)
{
    c->x.is_held = true; /* before the event, which may call resume() */
    size_t taken = c->call.ev->on_body(c->call.owner, content);
    if (c->state != CONN_BUSY) {
        return false;
    }
    body_take(&c->x.body, taken);
    buf_consume(&c->in, taken);
    if (taken == content.n) {
        c->x.is_held = false;
        return true;
    }
    if (c->x.is_held) {
        hold(c);
    }
    return false;
}

static void input_ended(struct conn *c, frun_err err)
{
    if (c->x.is_head_seen && buf_len(&c->in) > 0) {
        /* The owner has not taken everything yet: the end waits for its turn. */
        if (!c->x.ended) {
            c->x.ended = err;
            stream_read_on(c->stream, false);
        }
        return;
    }
    if (c->x.is_head_seen && err == FRUN_E_EOF && body_end(&c->x.body) == FRUN_OK) {
        upstream_conn_end(c);
        return;
    }
    upstream_conn_lost(c, err);
}

static void take_body(struct conn *c)
{
    for (;;) {
        struct span content;
        size_t framing = 0;
        frun_err err = body_look(&c->x.body, buf_span(&c->in), &framing, &content);
        if (err) {
            upstream_conn_fail(c, err, "the answer's body is malformed");
            return;
        }
        buf_consume(&c->in, framing);
        if (body_is_done(&c->x.body)) {
            upstream_conn_end(c);
            return;
        }
        if (content.n == 0) {
            break;
        }
        if (!offer(c, content)) {
            return;
        }
    }
    if (c->x.ended) {
        input_ended(c, c->x.ended);
    }
}

void upstream_receive_process(struct conn *c)
{
    while (!c->x.is_head_seen && take_head(c)) {
    }
    if (c->state == CONN_BUSY && c->x.is_head_seen) {
        take_body(c);
    }
}

/* ---- events of the stream ---- */

/* Whatever an idle connection says, nobody asked: an end, or an answer to nothing. */
static void idle_readable(struct conn *c)
{
    char one;
    size_t n = 0;

    if (stream_read(c->stream, &one, 1, &n) != FRUN_E_AGAIN) {
        upstream_conn_close(c);
    }
}

/* One read. true: another one is worth it. */
static bool read_some(struct conn *c)
{
    char *at = NULL;
    size_t max = 0;
    size_t n = 0;

    if (buf_room(&c->in) == 0) {
        stream_read_on(c->stream, false);
        return false;
    }
    if (reserve(c, &at, &max)) {
        upstream_conn_fail(c, FRUN_E_NOMEM, "no memory for the answer");
        return false;
    }
    frun_err err = stream_read(c->stream, at, max, &n);
    if (err == FRUN_E_AGAIN) {
        return false;
    }
    if (err) {
        input_ended(c, err);
        return false;
    }
    buf_commit(&c->in, n);
    c->x.has_answer_octets = true;
    c->x.read_at_ms = loop_now_ms(c->pool->loop);
    if (!c->x.is_held) {
        upstream_receive_process(c);
    }
    return n == max && c->state == CONN_BUSY && (!c->x.is_held || is_until_close(c));
}

static void on_readable(void *ctx)
{
    struct conn *c = ctx;

    if (c->state == CONN_IDLE) {
        idle_readable(c);
        return;
    }
    for (int i = 0; i < READS_MAX && read_some(c); i++) {
    }
    if (c->state != CONN_BUSY) {
        return;
    }
    if (buf_len(&c->in) == 0) {
        upstream_receive_release(c);
    }
    if (c->x.is_head_seen && !c->x.is_timed) {
        c->x.is_timed = true;
        deadline_set(c->pool->loop, &c->timer, c->pool->check_ms);
    }
}

static void on_room(void *ctx)
{
    struct conn *c = ctx;

    if (c->state == CONN_BUSY && c->x.wants_room) {
        c->x.wants_room = false;
        c->call.ev->on_room(c->call.owner);
    }
}

static void on_closed(void *ctx, frun_err err)
{
    struct conn *c = ctx;

    if (c->state == CONN_IDLE) {
        upstream_conn_close(c);
        return;
    }
    /* What has been read and is held back is good, and may be all there is to come. */
    input_ended(c, err);
}

const struct stream_events upstream_stream_events = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_closed = on_closed,
};
