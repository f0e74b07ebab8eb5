/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream_int.h"

#include <assert.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void now_sent(struct conn *c)
{
    c->x.is_sent = true;
    c->x.wants_room = false;
    c->x.sent_at_ms = loop_now_ms(c->pool->loop);
}

void upstream_send_begin(struct conn *c, const struct head *req)
{
    assert(req->body != HEAD_BODY_UNTIL_CLOSE);
    c->x.framing = req->body;
    c->x.left_bytes = req->body == HEAD_BODY_LENGTH ? req->body_len_bytes : 0;
    c->x.is_head_request = span_eq(req->method, SPAN_LIT("HEAD"));
    /* What follows an answer to CONNECT need not be HTTP any more. */
    c->x.may_keep = req->is_keep_alive && !span_eq(req->method, SPAN_LIT("CONNECT"));
    if (req->body == HEAD_BODY_NONE ||
        (req->body == HEAD_BODY_LENGTH && req->body_len_bytes == 0)) {
        now_sent(c);
    }
}

static size_t room(const struct conn *c)
{
    if (c->stream) {
        return stream_room(c->stream);
    }
    size_t free_bytes = buf_room(&c->out);
    return free_bytes > UPSTREAM_FRAMING_BYTES ? free_bytes - UPSTREAM_FRAMING_BYTES : 0;
}

/* Events must not come from within an operation: the failure waits for the end of the pass. */
static void fault(struct conn *c, frun_err err, const char *why)
{
    c->x.fault = err;
    c->x.fault_why = why;
    later_arm(c->pool->loop, &c->later);
}

static bool put(struct conn *c, struct span data)
{
    frun_err err = c->stream ? stream_put(c->stream, data) : buf_put(&c->out, data);
    if (err) {
        if (err != FRUN_E_CLOSED) { /* on_closed tells about that one */
            fault(c, FRUN_E_NOMEM, "no memory for the request");
        }
        return false;
    }
    c->x.put_bytes += data.n;
    return true;
}

static bool put_chunk(struct conn *c, struct span data)
{
    char line[BODY_CHUNK_HEAD_BYTES];
    size_t n = body_chunk_head(data.n, line);
    return put(c, span_make(line, n)) && put(c, data) && put(c, SPAN_LIT("\r\n"));
}

static bool put_body(struct conn *c, struct span data)
{
    if (data.n == 0) {
        return true;
    }
    if (c->x.framing == HEAD_BODY_CHUNKED) {
        return put_chunk(c, data);
    }
    c->x.left_bytes -= data.n;
    return put(c, data);
}

static bool put_end(struct conn *c)
{
    if (c->x.framing == HEAD_BODY_CHUNKED && !put(c, BODY_CHUNK_LAST)) {
        return false;
    }
    now_sent(c);
    return true;
}

/* Octets that the head did not announce would be taken for the next request. */
static bool is_as_announced(const struct conn *c, size_t n, bool is_last)
{
    if (c->x.is_sent) {
        return n == 0;
    }
    if (c->x.framing != HEAD_BODY_LENGTH) {
        return true;
    }
    return n < c->x.left_bytes ? !is_last : n == c->x.left_bytes;
}

static size_t call_send(struct call *call, struct span data, bool is_last)
{
    struct conn *c = upstream_conn(call);

    assert(c->state == CONN_DIALLING || c->state == CONN_BUSY);
    if (c->x.fault || c->x.ended) {
        return 0;
    }
    if (!is_as_announced(c, data.n, is_last)) {
        fault(c, FRUN_E_SYNTAX, "the request's body has not the length that its head announced");
        return 0;
    }
    if (c->x.is_sent) {
        return 0;
    }
    size_t n = least(data.n, room(c));
    if (!put_body(c, span_head(data, n))) {
        return 0;
    }
    if (n < data.n) {
        c->x.wants_room = true;
    } else if (is_last || (c->x.framing == HEAD_BODY_LENGTH && c->x.left_bytes == 0)) {
        if (!put_end(c)) {
            return 0;
        }
    }
    return n;
}

static void call_resume(struct call *call)
{
    struct conn *c = upstream_conn(call);

    assert(c->state == CONN_DIALLING || c->state == CONN_BUSY);
    if (c->x.is_held) {
        c->x.is_held = false;
        c->x.is_resumed = true;
        c->x.read_at_ms = loop_now_ms(c->pool->loop);
        later_arm(c->pool->loop, &c->later);
    }
}

static void call_cancel(struct call *call)
{
    struct conn *c = upstream_conn(call);

    assert(c->state == CONN_DIALLING || c->state == CONN_BUSY);
    upstream_conn_close(c);
}

const struct call_ops upstream_call_ops = {
    .send = call_send,
    .resume = call_resume,
    .cancel = call_cancel,
};

void upstream_send_gathered(struct conn *c)
{
    uint64_t now_ms = loop_now_ms(c->pool->loop);
    frun_err err = stream_put(c->stream, buf_span(&c->out));

    c->x.write_at_ms = c->x.sent_at_ms = now_ms;
    c->x.put_bytes = buf_len(&c->out);
    buf_done(&c->out);
    if (err) {
        upstream_conn_fail(c, err, "the connection ended before the request could be sent");
    }
    /* A body that was longer than its room fills the stream too: on_room comes from there. */
}
