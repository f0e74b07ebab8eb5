/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nghttp2 refuses to write a larger field block; asked first, the owner can answer something else.
 */
#define MAX_SENT_LIST_BYTES 60000

/* Header of a frame. Source: RFC 9113 4.1. */
#define FRAME_HEAD_BYTES 9

/* How long a stranger may go on sending a body that is not wanted, milliseconds. */
#define LINGER_MS 2000

static const struct call_ops call_ops;
static const struct served_ops served_ops;

/* ---- life ---- */

struct h2_stream *h2_stream_new(struct h2 *h)
{
    struct list *node = list_first(&h->spare);
    struct h2_stream *s = node ? list_entry(node, struct h2_stream, node) : malloc(sizeof(*s));

    if (!s) {
        return NULL;
    }
    if (node) {
        list_remove(node);
        h->n_spare--;
    }
    *s = (struct h2_stream){.h = h, .left_bytes = H2_LENGTH_UNKNOWN};
    h2_window_begin(s);
    buf_init(&s->in, h->set.stream_window);
    buf_init(&s->out, EXCHANGE_BUFFER_BYTES);
    list_init(&s->due_node);
    list_init(&s->late_node);
    list_append(&h->streams, &s->node);
    if (h->n_open++ == 0 && h2_look_ms(h)) {
        h2_tick_soon(h, h2_look_ms(h));
    }
    return s;
}

void h2_stream_destroy(struct h2_stream *s)
{
    struct h2 *h = s->h;

    list_remove(&s->node);
    h2_window_end(s);
    buf_done(&s->in);
    buf_done(&s->out);
    if (h->n_spare < H2_MAX_SPARE && !h->is_freed) {
        list_append(&h->spare, &s->node);
        h->n_spare++;
    } else {
        free(s);
    }
}

/* Not freed here: callers up the stack still look at it. */
static void free_if_over(struct h2_stream *s)
{
    if (!s->is_owned && s->is_closed) {
        list_remove(&s->node);
        list_append(&s->h->over, &s->node);
        h2_wake(s->h);
    }
}

/* Give the peer its window back: these octets have left for the next hop, or nobody wants them.
 * Then other streams need the connection's window, but a stranger does not get the stream's own: so
 * what it can still send there is bounded. */
static void credit(struct h2_stream *s, size_t n)
{
    struct h2 *h = s->h;
    int rv;

    if (n == 0 || !h2_is_open(h)) {
        return;
    }
    rv = h->set.is_stranger && !s->is_owned ? nghttp2_session_consume_connection(h->ng, n)
                                            : nghttp2_session_consume(h->ng, s->id, n);
    if (rv == NGHTTP2_ERR_NOMEM) {
        h2_break(h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
    }
    h2_wake(h);
}

static void drop_input(struct h2_stream *s)
{
    size_t n = buf_len(&s->in);

    buf_done(&s->in);
    credit(s, n);
}

/* The handle is gone for its owner. What a served request has given to send still goes out. */
static void let_go(struct h2_stream *s, bool is_output_kept)
{
    struct h2 *h = s->h;

    assert(s->is_owned);
    s->is_owned = false;
    h->n_owned--;
    s->due = 0;
    list_remove(&s->due_node);
    drop_input(s);
    if (!is_output_kept) {
        buf_done(&s->out);
    }
    h->is_capacity_due = true;
    h2_wake(h);
    free_if_over(s);
}

void h2_stream_reset(struct h2_stream *s, uint32_t code)
{
    if (s->is_closed || s->id == 0 || !h2_is_open(s->h)) {
        return;
    }
    if (nghttp2_submit_rst_stream(s->h->ng, NGHTTP2_FLAG_NONE, s->id, code) != 0) {
        h2_break(s->h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
    }
    h2_wake(s->h);
}

void h2_stream_break(struct h2_stream *s)
{
    if (!s->is_broken) {
        s->is_broken = true;
        h2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR);
    }
}

/* Tell the owner that it failed; for a served request @p why is what it gets. */
static void tell_failed(struct h2_stream *s, frun_err err, bool is_unprocessed, const char *why)
{
    void *owner;

    if (s->h->set.is_client) {
        const struct call_events *ev = s->u.call.ev;
        struct call_failure f = {.err = err, .is_unprocessed = is_unprocessed};

        owner = s->u.call.owner;
        (void)snprintf(f.text, sizeof(f.text), "%s", why);
        let_go(s, false);
        ev->on_fail(owner, &f);
    } else {
        const struct served_events *ev = s->u.served.ev;

        owner = s->u.served.owner;
        let_go(s, false);
        if (owner && ev) {
            ev->on_gone(owner, err, why);
        }
    }
}

void h2_stream_fail(struct h2_stream *s)
{
    h2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
    tell_failed(s, FRUN_E_NOMEM, false, "out of memory");
}

void h2_stream_drop(struct h2_stream *s)
{
    tell_failed(s, FRUN_E_CLOSED, s->h->set.is_client && !s->is_head_out,
                "the HTTP/2 connection was closed by us");
}

static bool is_complete(const struct h2_stream *s)
{
    return s->h->set.is_client ? s->is_in_ended : s->is_end_out;
}

static void count_out(struct h2 *h)
{
    if (--h->n_open == 0) {
        h->idle_since_ms = loop_now_ms(h->loop);
        if (h->set.idle_timeout_ms) {
            h2_tick_soon(h, h->set.idle_timeout_ms);
        }
    }
}

static void mark_closed(struct h2_stream *s)
{
    s->is_closed = true;
    list_remove(&s->late_node);
    count_out(s->h);
    if (s->h->rx.stream == s) {
        h2_rx_lost(s->h, H2_WHY_MALFORMED);
    }
    s->h->is_capacity_due = true;
    h2_wake(s->h);
}

/* The peer of a served request has gone. If it is a stranger and all of the request is here, its
 * owner takes it first: senders that keep nothing count on what they have sent. @p why must outlive
 * the stream. */
static void lose_served(struct h2_stream *s, frun_err err, const char *why)
{
    if (s->h->set.is_stranger && s->is_in_ended && !s->is_end_told && !s->is_head_out) {
        s->gone_err = err;
        s->gone_why = why;
    } else {
        tell_failed(s, err, false, why);
    }
}

/* Name the reason of a stream that nghttp2 closed before it was complete. */
static void tell_closed(struct h2_stream *s, uint32_t code)
{
    bool is_refused = code == NGHTTP2_REFUSED_STREAM && !s->is_head_in;
    char text[96];

    if (!s->h->set.is_client) {
        lose_served(s, FRUN_E_CLOSED,
                    s->is_reset_by_peer ? "the peer reset the stream"
                                        : "the request broke the rules of HTTP/2");
    } else if (is_refused || !s->is_head_out) {
        tell_failed(s, FRUN_E_CLOSED, true, "the HTTP/2 peer refused the request");
    } else if (s->is_limit) {
        tell_failed(s, FRUN_E_LIMIT, false, "the head of the answer is too large");
    } else if (s->is_reset_by_peer) {
        (void)snprintf(text, sizeof(text), "the HTTP/2 peer reset the request (%s)",
                       nghttp2_http2_strerror(code));
        tell_failed(s, FRUN_E_CLOSED, false, text);
    } else {
        tell_failed(s, FRUN_E_SYNTAX, false, "the answer broke the rules of HTTP/2");
    }
}

void h2_stream_closed(struct h2_stream *s, uint32_t code)
{
    if (s->is_closed) {
        return;
    }
    mark_closed(s);
    if (s->is_owned && !is_complete(s)) {
        tell_closed(s, code);
    }
    free_if_over(s);
}

void h2_stream_lost(struct h2_stream *s, frun_err err, const char *why)
{
    if (!s->is_closed) {
        mark_closed(s);
    }
    if (s->is_owned && !s->h->set.is_client) {
        lose_served(s, err, why);
    } else if (s->is_owned && !s->is_in_ended) {
        tell_failed(s, err, !s->is_head_out, why);
    }
    free_if_over(s);
}

/* ---- octets in ---- */

void h2_stream_make_due(struct h2_stream *s, unsigned bits)
{
    if (!s->is_owned) {
        return;
    }
    s->due |= bits;
    if (list_is_empty(&s->due_node)) {
        list_append(&s->h->due, &s->due_node);
    }
    h2_wake(s->h);
}

static size_t call_on_body(struct h2_stream *s, struct span data)
{
    size_t n;

    s->is_offering = true;
    n = s->h->set.is_client ? s->u.call.ev->on_body(s->u.call.owner, data)
                            : s->u.served.ev->on_body(s->u.served.owner, data);
    s->is_offering = false;
    assert(n <= data.n);
    return n;
}

/* Everything was taken: is this the end of the body? */
static void tell_end(struct h2_stream *s)
{
    void *owner;

    if (!s->is_owned || !s->is_accepted || !s->is_in_ended || buf_len(&s->in) > 0) {
        return;
    }
    if (!s->h->set.is_client) {
        if (!s->is_end_told) {
            s->is_end_told = true;
            s->u.served.ev->on_body_end(s->u.served.owner);
            if (s->is_owned && s->gone_err) {
                tell_failed(s, s->gone_err, false, s->gone_why);
            }
        }
        return;
    }
    if (!s->is_end_out) {
        /* The answer is there; the rest of the request is not wanted any more. */
        h2_stream_reset(s, NGHTTP2_CANCEL);
    }
    owner = s->u.call.owner;
    {
        const struct call_events *ev = s->u.call.ev;

        let_go(s, false);
        ev->on_end(owner);
    }
}

static void offer(struct h2_stream *s)
{
    size_t taken;

    if (!s->is_owned || !s->is_accepted) {
        return;
    }
    if (buf_len(&s->in) > 0) {
        taken = call_on_body(s, buf_span(&s->in));
        if (!s->is_owned) {
            return;
        }
        buf_consume(&s->in, taken);
        buf_trim(&s->in);
        credit(s, taken);
        h2_window_taken(s, taken);
        s->in_ms = loop_now_ms(s->h->loop);
    }
    tell_end(s);
}

void h2_stream_data(struct h2_stream *s, struct span data)
{
    size_t taken = 0;

    s->in_ms = loop_now_ms(s->h->loop);
    if (s->is_owned && s->is_accepted && buf_len(&s->in) == 0) {
        taken = call_on_body(s, data);
    }
    if (!s->is_owned) {
        credit(s, data.n);
        return;
    }
    credit(s, taken);
    h2_window_taken(s, taken);
    if (taken < data.n && buf_put(&s->in, span_skip(data, taken)) != FRUN_OK) {
        credit(s, data.n - taken);
        h2_stream_fail(s);
    }
}

void h2_stream_in_end(struct h2_stream *s)
{
    s->is_in_ended = true;
    tell_end(s);
}

void h2_stream_run_due(struct h2_stream *s)
{
    unsigned due = s->due;

    s->due = 0;
    if (due & H2_DUE_FAIL) {
        h2_stream_fail(s);
        return;
    }
    if (due & H2_DUE_GONE) {
        tell_failed(s, s->gone_err, false, s->gone_why);
        return;
    }
    if ((due & H2_DUE_ROOM) && s->is_owned && s->is_short) {
        s->is_short = false;
        if (s->h->set.is_client) {
            s->u.call.ev->on_room(s->u.call.owner);
        } else {
            s->u.served.ev->on_room(s->u.served.owner);
        }
    }
    if (due & H2_DUE_OFFER) {
        offer(s);
    }
}

/* ---- octets out ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter,readability-function-size): nghttp2's signature */
ssize_t h2_stream_read_out(nghttp2_session *ng, int32_t id, uint8_t *p, size_t max, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
    size_t waiting_bytes;
    size_t n;

    (void)p;
    (void)source;
    (void)user;
    if (!s || (!s->is_owned && !s->is_out_ended)) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    waiting_bytes = buf_len(&s->out);
    n = waiting_bytes < max ? waiting_bytes : max;
    if (n == waiting_bytes && s->is_out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (n == 0) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > 0) {
        /* Not through nghttp2's buffer: the octets are still ours until the frame is put. */
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    }
    return (ssize_t)n;
}

int h2_stream_put_data(struct h2_stream *s, const uint8_t *hd, size_t n)
{
    struct stream *to;

    if (!s || buf_len(&s->out) < n) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    to = s->h->stream;
    if (stream_room(to) == 0) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (stream_put(to, span_make(hd, FRAME_HEAD_BYTES)) != FRUN_OK ||
        stream_put(to, span_head(buf_span(&s->out), n)) != FRUN_OK) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    buf_consume(&s->out, n);
    s->h->put_bytes += FRAME_HEAD_BYTES + n;
    s->out_ms = loop_now_ms(s->h->loop);
    if (s->is_short && buf_len(&s->out) <= EXCHANGE_BUFFER_BYTES / 2) {
        h2_stream_make_due(s, H2_DUE_ROOM);
    }
    buf_trim(&s->out);
    return 0;
}

/* What does not fit behind the first octets will be long: all the room at once, to grow but once.
 */
static frun_err keep_out(struct h2_stream *s, struct span data)
{
    char *at;
    bool is_growing = s->out.cap > 0 && data.n > s->out.cap - s->out.tail;
    frun_err err = is_growing ? buf_reserve(&s->out, buf_room(&s->out), &at) : FRUN_OK;

    return err ? err : buf_put(&s->out, data);
}

/* Take what there is room for. */
static size_t put_out(struct h2_stream *s, struct span data, bool is_last)
{
    size_t room = buf_room(&s->out);
    size_t n = data.n < room ? data.n : room;

    if (buf_len(&s->out) == 0) {
        s->out_ms = loop_now_ms(s->h->loop);
    }
    if (n > 0 && keep_out(s, span_head(data, n)) != FRUN_OK) {
        h2_stream_make_due(s, H2_DUE_FAIL);
        return 0;
    }
    if (n < data.n) {
        s->is_short = true;
    } else if (is_last) {
        s->is_out_ended = true;
    }
    if (h2_is_open(s->h) && s->id != 0) {
        /* Refused unless nghttp2 had found nothing to send: then it will look by itself. */
        (void)nghttp2_session_resume_data(s->h->ng, s->id);
    }
    h2_wake(s->h);
    return n;
}

/* The answer is complete, the request is not: the peer may stop. Source: RFC 9113 8.1. A reset says
 * so, but clients that are about to send their body when it comes (curl 7.88) give up before they
 * look at the answer. A stranger is therefore left time to end by itself. */
static void end_early(struct h2_stream *s)
{
    struct h2 *h = s->h;

    if (!h->set.is_stranger) {
        h2_stream_reset(s, NGHTTP2_NO_ERROR);
    } else if (!s->is_closed && h2_is_open(h) && list_is_empty(&s->late_node)) {
        s->out_ms = loop_now_ms(h->loop);
        list_append(&h->lingering, &s->late_node);
        h2_tick_soon(h, LINGER_MS);
    }
}

uint64_t h2_linger_end_ms(const struct h2 *h)
{
    struct list *node = list_first(&h->lingering);

    return node ? list_entry(node, struct h2_stream, late_node)->out_ms + LINGER_MS : UINT64_MAX;
}

void h2_linger_check(struct h2 *h, uint64_t now_ms)
{
    struct list *node;

    while (now_ms >= h2_linger_end_ms(h) && (node = list_first(&h->lingering))) {
        list_remove(node);
        h2_stream_reset(list_entry(node, struct h2_stream, late_node), NGHTTP2_NO_ERROR);
    }
}

void h2_stream_out_end(struct h2_stream *s)
{
    s->is_end_out = true;
    if (!s->h->set.is_client && !s->is_owned && !s->is_in_ended) {
        end_early(s);
    }
}

static bool is_list_sendable(const struct h2 *h, const struct h2_list *list)
{
    size_t bytes = 0;
    uint32_t max =
        nghttp2_session_get_remote_settings(h->ng, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);

    for (size_t i = 0; i < list->n; i++) {
        bytes += list->nv[i].namelen + list->nv[i].valuelen + 32;
    }
    return bytes <= max && bytes <= MAX_SENT_LIST_BYTES;
}

/* ---- operations of a call ---- */

static struct h2_stream *of_call(struct call *c)
{
    return list_entry(c, struct h2_stream, u.call);
}

static size_t call_send(struct call *c, struct span data, bool is_last)
{
    struct h2_stream *s = of_call(c);

    if (s->is_bodiless || s->is_out_ended || s->is_closed) {
        return data.n;
    }
    return put_out(s, data, is_last);
}

static void call_resume(struct call *c)
{
    h2_stream_make_due(of_call(c), H2_DUE_OFFER);
}

static void call_cancel(struct call *c)
{
    struct h2_stream *s = of_call(c);

    h2_stream_reset(s, NGHTTP2_CANCEL);
    let_go(s, false);
}

static const struct call_ops call_ops = {
    .send = call_send,
    .resume = call_resume,
    .cancel = call_cancel,
};

/* Undo h2_stream_new() for a request that was never submitted. */
static frun_err forget(struct h2_stream *s, frun_err err)
{
    count_out(s->h);
    h2_stream_destroy(s);
    return err;
}

frun_err h2_call(struct h2 *h, const struct head *req, const struct call_events *ev, void *owner,
                 struct call **out)
{
    nghttp2_data_provider body = {.read_callback = h2_stream_read_out};
    struct h2_list list;
    struct h2_stream *s;

    if (!h2_is_open(h) || h->is_draining || h->is_stopped || !h->set.is_client) {
        return FRUN_E_CLOSED;
    }
    h2_list_request(req, h2_teaches(h), &list);
    if (!h2_may_call(h) || !is_list_sendable(h, &list)) {
        return FRUN_E_LIMIT;
    }
    s = h2_stream_new(h);
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->is_bodiless = req->body == HEAD_BODY_NONE;
    s->is_head_method = span_eq(req->method, SPAN_LIT("HEAD"));
    s->id = nghttp2_submit_request(h->ng, NULL, list.nv, list.n, s->is_bodiless ? NULL : &body, s);
    if (s->id < 0) {
        int rv = s->id;

        if (rv == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
            h2_mark_draining(h);
        }
        return forget(s, rv == NGHTTP2_ERR_NOMEM ? FRUN_E_NOMEM : FRUN_E_CLOSED);
    }
    s->u.call = (struct call){.ops = &call_ops, .ev = ev, .owner = owner};
    s->is_owned = true;
    h->n_owned++;
    h2_wake(h);
    *out = &s->u.call;
    return FRUN_OK;
}

/* ---- operations of a served request ---- */

static struct h2_stream *of_served(struct served *v)
{
    return list_entry(v, struct h2_stream, u.served);
}

/* "Go on." */
static void send_continue(struct h2_stream *s)
{
    static const struct head go_on = {.status = 100};
    struct h2_list list;

    h2_list_answer(&go_on, false, false, &list);
    if (nghttp2_submit_headers(s->h->ng, NGHTTP2_FLAG_NONE, s->id, NULL, list.nv, list.n, NULL) !=
        0) {
        h2_stream_make_due(s, H2_DUE_FAIL);
    }
}

static void served_accept_body(struct served *v)
{
    struct h2_stream *s = of_served(v);

    if (s->is_accepted) {
        return;
    }
    s->is_accepted = true;
    s->in_ms = loop_now_ms(s->h->loop);
    if (s->is_continue_due && !s->is_head_out && !s->is_in_ended && buf_len(&s->in) == 0 &&
        !s->is_closed && h2_is_open(s->h)) {
        send_continue(s);
    }
    s->is_continue_due = false;
    h2_stream_make_due(s, H2_DUE_OFFER);
}

static frun_err served_send_head(struct served *v, const struct head *h)
{
    struct h2_stream *s = of_served(v);
    nghttp2_data_provider body = {.read_callback = h2_stream_read_out};
    struct h2_list list;
    bool is_bodiless = h2_is_bodiless(h, s->is_head_method);

    assert(!s->is_head_out && h->status >= 200);
    if (!h2_is_open(s->h) || s->is_closed) {
        s->is_head_out = true;
        if (s->gone_err) {
            h2_stream_make_due(s, H2_DUE_GONE);
        } /* else on_gone is on its way */
        return FRUN_OK;
    }
    h2_list_answer(h, s->is_head_method, h2_teaches(s->h), &list);
    if (!is_list_sendable(s->h, &list)) {
        return FRUN_E_LIMIT;
    }
    if (nghttp2_submit_response(s->h->ng, s->id, list.nv, list.n, is_bodiless ? NULL : &body) !=
        0) {
        return FRUN_E_NOMEM;
    }
    s->is_bodiless = is_bodiless;
    s->is_head_out = true;
    s->out_ms = loop_now_ms(s->h->loop);
    h2_wake(s->h);
    return FRUN_OK;
}

static size_t served_send_body(struct served *v, struct span data, bool is_last)
{
    struct h2_stream *s = of_served(v);
    size_t n = data.n;

    assert(s->is_head_out);
    if (s->is_bodiless) {
        s->is_out_ended = is_last;
    } else {
        n = put_out(s, data, is_last);
    }
    if (s->is_out_ended) {
        let_go(s, true);
        if (s->is_end_out) {
            h2_stream_out_end(s);
        }
    }
    return n;
}

static void served_resume(struct served *v)
{
    h2_stream_make_due(of_served(v), H2_DUE_OFFER);
}

static void served_abandon(struct served *v)
{
    struct h2_stream *s = of_served(v);

    h2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
    let_go(s, false);
}

static const struct served_ops served_ops = {
    .accept_body = served_accept_body,
    .send_head = served_send_head,
    .send_body = served_send_body,
    .resume = served_resume,
    .abandon = served_abandon,
};

/* ---- serving ---- */

struct served *h2_stream_serve(struct h2_stream *s)
{
    s->u.served = (struct served){.ops = &served_ops};
    s->is_owned = true;
    s->h->n_owned++;
    return &s->u.served;
}

void h2_stream_check_taken(struct h2_stream *s)
{
    if (s->is_owned && !s->u.served.ev) {
        h2_stream_reset(s, NGHTTP2_REFUSED_STREAM);
        let_go(s, false);
    }
}

void h2_stream_answer_bare(struct h2_stream *s, unsigned status)
{
    struct head h = {.status = status, .body = HEAD_BODY_NONE};
    struct h2_list list;

    h2_list_answer(&h, false, false, &list);
    s->is_head_out = true;
    s->is_bodiless = true;
    s->out_ms = loop_now_ms(s->h->loop);
    if (nghttp2_submit_response(s->h->ng, s->id, list.nv, list.n, NULL) != 0) {
        h2_stream_reset(s, NGHTTP2_REFUSED_STREAM);
    }
    h2_wake(s->h);
}

/* The request's body is wanted, and all that came has been taken. */
static bool is_body_owed(const struct h2_stream *s)
{
    return s->is_owned && s->is_accepted && !s->is_in_ended && buf_len(&s->in) == 0;
}

/* Something of ours waits for the peer's window, or for its socket. */
static bool is_answer_waiting(const struct h2_stream *s)
{
    return s->is_head_out && !s->is_end_out &&
           (s->is_bodiless || s->is_out_ended || buf_len(&s->out) > 0);
}

bool h2_stream_check_time(struct h2_stream *s, uint64_t now_ms)
{
    uint64_t max_ms = s->h->set.body_timeout_ms;

    if (s->is_closed) {
        return false;
    }
    if (is_answer_waiting(s) && now_ms >= s->out_ms + max_ms) {
        s->out_ms = now_ms; /* the reset may have to wait, too */
        h2_stream_reset(s, NGHTTP2_CANCEL);
        if (s->is_owned) {
            tell_failed(s, FRUN_E_TIMEOUT, false,
                        "the peer stopped reading the answer (body_timeout)");
        }
        return true;
    }
    if (is_body_owed(s) && now_ms >= s->in_ms + max_ms) {
        if (s->is_head_out) {
            h2_stream_reset(s, NGHTTP2_CANCEL);
        } else {
            h2_stream_answer_bare(s, 408);
        }
        tell_failed(s, FRUN_E_TIMEOUT, false, "the peer stopped sending its body (body_timeout)");
        return true;
    }
    return false;
}
