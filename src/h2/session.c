/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/h2/session.h"

#include "h2_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Octets read at once, and how often per wake-up: one busy peer must not starve the others. */
#define READ_BYTES  16384
#define READ_ROUNDS 16

/* Events and frames may cause each other; after so many rounds the rest waits for the next pass. */
#define RUN_ROUNDS 8

/* Ceilings of windows, octets. */
#define WINDOW_MIN 65535U
#define WINDOW_MAX (16U << 20)

/* Answers to PING and SETTINGS that may wait for a peer that does not read. */
#define MAX_OUTBOUND_ACK 128

#ifdef FRUN_HAS_MAX_CONTINUATIONS
/* nghttp2 ends the connection without a word after 8, which also is too few for the largest
 * max_head. Ours are counted as frames of no use, and ended by a GOAWAY that says why. */
#define MAX_CONTINUATIONS 1000
#endif

/* What the peer may be sent before its SETTINGS have come. Source: RFC 9113 6.5.2 (advice). */
#define INITIAL_STREAMS 100U

/* ---- ends ---- */

void h2_wake(struct h2 *h)
{
    if (h->is_freed) {
        return;
    }
    if (h->is_running) {
        h->is_again = true;
    } else {
        later_arm(h->loop, &h->later);
    }
}

void h2_set_end(struct h2 *h, frun_err err, const char *why)
{
    if (h->end_err == FRUN_OK) {
        h->end_err = err;
        (void)snprintf(h->why, sizeof(h->why), "%s", why);
    }
}

void h2_mark_draining(struct h2 *h)
{
    h->is_draining = true;
    if (!h->is_drain_told) {
        h->is_drain_due = true;
    }
    h2_wake(h);
}

void h2_break(struct h2 *h, uint32_t ng_code, frun_err err, const char *why)
{
    if (h->is_stopped || !h2_is_open(h)) {
        return;
    }
    h->is_stopped = true;
    h->is_draining = true;
    h2_set_end(h, err, why);
    (void)nghttp2_session_terminate_session(h->ng, ng_code);
    h2_wake(h);
}

/* Each owner may do anything in its event, also end other streams or the session: begin anew. */
static void lose_streams(struct h2 *h)
{
    struct list *it;
    bool is_found;

    h2_rx_lost(h, "the connection ended in the middle of the request's head");
    do {
        is_found = false;
        list_foreach (it, &h->streams) {
            struct h2_stream *s = list_entry(it, struct h2_stream, node);

            if (!s->is_closed) {
                is_found = true;
                h2_stream_lost(s, h->end_err, h->why);
                break;
            }
        }
    } while (is_found);
    /* A served request whose answer has left may still be held by its owner. */
    list_foreach (it, &h->streams) {
        struct h2_stream *s = list_entry(it, struct h2_stream, node);

        if (s->is_owned && !s->gone_err && !h->set.is_client) {
            h2_stream_lost(s, h->end_err, h->why);
            it = &h->streams;
        }
    }
}

void h2_end(struct h2 *h, frun_err err, const char *why)
{
    if (h->is_freed || h->state == H2_STATE_ENDED || h->state == H2_STATE_DEAD) {
        return;
    }
    h2_set_end(h, err, why);
    h->state = H2_STATE_ENDED;
    h->is_draining = true;
    deadline_clear(&h->tick);
    stream_free(h->stream);
    h->stream = NULL;
    lose_streams(h);
    if (h->n_owned > 0) {
        h2_mark_draining(h);
    }
    h2_wake(h);
}

static void destroy_all(struct list *streams)
{
    struct list *node;

    while ((node = list_first(streams))) {
        h2_stream_destroy(list_entry(node, struct h2_stream, node));
    }
}

static void destroy(void *obj)
{
    struct h2 *h = obj;

    h->is_freed = true; /* nothing is kept for later */
    destroy_all(&h->streams);
    destroy_all(&h->over);
    destroy_all(&h->spare);
    h2_rx_done(&h->rx);
    nghttp2_session_del(h->ng);
    buf_done(&h->first);
    free(h);
}

void h2_free(struct h2 *h)
{
    struct list *it;

    if (!h || h->is_freed) {
        return;
    }
    h->is_freed = true;
    h->state = H2_STATE_DEAD;
    later_cancel(&h->later);
    deadline_clear(&h->tick);
    stream_free(h->stream);
    h->stream = NULL;
    /* Now: the budget may be gone when the session is. */
    list_foreach (it, &h->streams) {
        h2_window_end(list_entry(it, struct h2_stream, node));
    }
    list_foreach (it, &h->over) {
        h2_window_end(list_entry(it, struct h2_stream, node));
    }
    h2_rx_lost(h, "the HTTP/2 connection was closed by us");
    list_foreach (it, &h->streams) {
        struct h2_stream *s = list_entry(it, struct h2_stream, node);

        if (s->is_owned) {
            h2_stream_drop(s);
            it = &h->streams;
        }
    }
    loop_free_later(h->loop, destroy, h);
}

/* Nothing more is to be said: let what was put leave, then close. */
static void finish(struct h2 *h)
{
    h->state = H2_STATE_FINISHING;
    h->is_draining = true;
    h2_set_end(h, FRUN_E_EOF, "drained");
    h->finish_at_ms = loop_now_ms(h->loop);
    stream_read_on(h->stream, false);
    stream_finish(h->stream);
    h2_tick_arm(h);
    lose_streams(h);
}

/* ---- octets ---- */

/* Returns false when the session may not be touched any more. */
static bool feed(struct h2 *h, struct span in)
{
    ssize_t rv;

    h->last_rx_ms = loop_now_ms(h->loop);
    rv = nghttp2_session_mem_recv(h->ng, (const uint8_t *)in.p, in.n);
    if (h->is_freed) {
        return false;
    }
    if (rv < 0) {
        h2_end(h, rv == NGHTTP2_ERR_NOMEM ? FRUN_E_NOMEM : FRUN_E_SYNTAX,
               rv == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? "the peer does not speak HTTP/2"
                                                  : nghttp2_strerror((int)rv));
        return false;
    }
    if (h->rx.stream && h->set.head_timeout_ms) {
        h2_tick_soon(h, h->set.head_timeout_ms);
    }
    return true;
}

static const char *end_text(frun_err err)
{
    return err == FRUN_E_EOF ? "the peer closed the connection" : err_text(err);
}

static void on_readable(void *ctx)
{
    struct h2 *h = ctx;
    char in[READ_BYTES];

    for (int i = 0; i < READ_ROUNDS && h->state == H2_STATE_OPEN; i++) {
        size_t n = 0;
        frun_err err = stream_read(h->stream, in, sizeof(in), &n);

        if (err == FRUN_E_AGAIN) {
            break;
        }
        if (err) {
            h2_end(h, err, end_text(err));
            return;
        }
        if (!feed(h, span_make(in, n))) {
            return;
        }
    }
    h2_wake(h);
}

static void on_room(void *ctx)
{
    h2_wake(ctx);
}

static void on_closed(void *ctx, frun_err err)
{
    struct h2 *h = ctx;

    h2_end(h, err, end_text(err));
}

static const struct stream_events stream_events = {
    .on_readable = on_readable,
    .on_room = on_room,
    .on_closed = on_closed,
};

static void send_frames(struct h2 *h)
{
    while (h->state == H2_STATE_OPEN && stream_room(h->stream) > 0) {
        const uint8_t *p = NULL;
        ssize_t n = nghttp2_session_mem_send(h->ng, &p);

        if (h->is_freed || n == 0) {
            return;
        }
        if (n < 0 && n != NGHTTP2_ERR_CALLBACK_FAILURE) {
            h2_end(h, FRUN_E_NOMEM, nghttp2_strerror((int)n));
            return;
        }
        if (n < 0 || stream_put(h->stream, span_make(p, (size_t)n)) != FRUN_OK) {
            h2_end(h, FRUN_E_CLOSED, "the connection takes nothing any more");
            return;
        }
        h->put_bytes += (size_t)n;
    }
}

/* ---- end of the pass ---- */

static void run_due(struct h2 *h)
{
    struct list now;
    struct list *node;

    /* Only what is due now: an event may make its stream due again. */
    list_init(&now);
    while ((node = list_first(&h->due))) {
        list_remove(node);
        list_append(&now, node);
    }
    while ((node = list_first(&now))) {
        list_remove(node);
        h2_stream_run_due(list_entry(node, struct h2_stream, due_node));
    }
}

static void tell_session_events(struct h2 *h)
{
    if (!h->is_freed && h->is_drain_due && h->state != H2_STATE_DEAD) {
        h->is_drain_due = false;
        h->is_drain_told = true;
        if (h->ev->on_drain) {
            h->ev->on_drain(h->ctx);
        }
    }
    if (!h->is_freed && h->is_capacity_due) {
        h->is_capacity_due = false;
        if (h->ev->on_capacity && h2_may_call(h)) {
            h->ev->on_capacity(h->ctx);
        }
    }
}

/* What came with the upgrade goes first. */
static void start_reading(struct h2 *h)
{
    h->is_reading = true;
    if (buf_len(&h->first) == 0 || feed(h, buf_span(&h->first))) {
        stream_read_on(h->stream, true);
    }
    buf_done(&h->first);
}

static void settle(struct h2 *h)
{
    if (h->state == H2_STATE_OPEN && !nghttp2_session_want_read(h->ng) &&
        !nghttp2_session_want_write(h->ng)) {
        finish(h);
    }
    if (!h->is_freed && h->state == H2_STATE_ENDED && h->n_owned == 0) {
        h->state = H2_STATE_DEAD;
        h->ev->on_closed(h->ctx, h->end_err, h->why);
    }
}

static void run(struct later *x)
{
    struct h2 *h = list_entry(x, struct h2, later);
    int round = 0;

    h->is_running = true;
    if (h->state == H2_STATE_OPEN && !h->is_reading) {
        start_reading(h);
    }
    do {
        h->is_again = false;
        run_due(h);
        send_frames(h);
        tell_session_events(h);
    } while (!h->is_freed && h->is_again && ++round < RUN_ROUNDS);
    if (!h->is_freed) {
        settle(h);
        destroy_all(&h->over);
    }
    h->is_running = false;
    if (h->is_again && !h->is_freed && h->state != H2_STATE_DEAD) {
        later_arm(h->loop, &h->later);
    }
}

/* ---- begin ---- */

static uint32_t clamp(uint64_t n, uint32_t min, uint32_t max)
{
    return n < min ? min : n > max ? max : (uint32_t)n;
}

static void apply_ceilings(struct h2_settings *set)
{
    set->max_streams = clamp(set->max_streams, 1, 65536);
    set->stream_window = clamp(set->stream_window, WINDOW_MIN, WINDOW_MAX);
    set->connection_window =
        clamp(set->connection_window ? set->connection_window
                                     : (uint64_t)set->stream_window * set->max_streams,
              WINDOW_MIN, WINDOW_MAX);
    set->max_frame_bytes = clamp(set->max_frame_bytes, H2_FRAME_MIN, H2_FRAME_MAX);
    set->max_head_bytes = clamp(set->max_head_bytes, 1024, 1U << 20);
    set->max_target_bytes = set->max_target_bytes ? set->max_target_bytes : set->max_head_bytes;
    set->max_fields =
        set->max_fields ? clamp(set->max_fields, 1, HEAD_MAX_FIELDS) : HEAD_MAX_FIELDS;
    set->ping_timeout_ms = set->ping_timeout_ms ? set->ping_timeout_ms : 1;
}

static frun_err make_session(struct h2 *h)
{
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *opt = NULL;
    int rv = NGHTTP2_ERR_NOMEM;

    if (nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&opt) == 0) {
        h2_callbacks_set(cb);
        nghttp2_option_set_no_auto_window_update(opt, 1);
        nghttp2_option_set_peer_max_concurrent_streams(opt, INITIAL_STREAMS);
        nghttp2_option_set_max_outbound_ack(opt, MAX_OUTBOUND_ACK);
        nghttp2_option_set_no_closed_streams(opt, 1);
        nghttp2_option_set_no_http_messaging(opt, h2_has_own_rules(h));
#ifdef FRUN_HAS_MAX_CONTINUATIONS
        nghttp2_option_set_max_continuations(opt, MAX_CONTINUATIONS);
#endif
        rv = h->set.is_client ? nghttp2_session_client_new2(&h->ng, cb, h, opt)
                              : nghttp2_session_server_new2(&h->ng, cb, h, opt);
    }
    nghttp2_option_del(opt);
    nghttp2_session_callbacks_del(cb);
    return rv == 0 ? FRUN_OK : FRUN_E_NOMEM;
}

static frun_err submit_settings(struct h2 *h)
{
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h->set.is_client ? 0 : h->set.max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h->set.stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->set.max_head_bytes},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, h->set.max_frame_bytes},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    size_t n = sizeof(iv) / sizeof(iv[0]) - (h->set.is_client ? 0 : 1);

    if (nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, iv, n) != 0 ||
        nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
                                              (int32_t)h->set.connection_window) != 0) {
        return FRUN_E_NOMEM;
    }
    return FRUN_OK;
}

frun_err h2_new(struct stream **s, struct span first, const struct h2_settings *set,
                const struct h2_events *ev, void *ctx, struct h2 **out)
{
    struct h2 *h = calloc(1, sizeof(*h));

    if (!h) {
        return FRUN_E_NOMEM;
    }
    h->loop = stream_loop(*s);
    h->set = *set;
    h->ev = ev;
    h->ctx = ctx;
    h->last_rx_ms = h->idle_since_ms = loop_now_ms(h->loop);
    apply_ceilings(&h->set);
    list_init(&h->streams);
    list_init(&h->due);
    list_init(&h->over);
    list_init(&h->lingering);
    list_init(&h->spare);
    later_init(&h->later, run);
    deadline_init(&h->tick, h2_tick);
    buf_init(&h->first, first.n ? first.n : 1);
    if (make_session(h) || submit_settings(h) || (first.n && buf_put(&h->first, first))) {
        destroy(h);
        return FRUN_E_NOMEM;
    }
    h->stream = *s;
    *s = NULL;
    stream_set_events(h->stream, &stream_events, h);
    h2_tick_arm(h);
    h2_wake(h);
    *out = h;
    return FRUN_OK;
}

/* ---- getters ---- */

size_t h2_max_in_flight(const struct h2 *h)
{
    uint32_t peer;

    if (!h->set.is_client) {
        return h->set.max_streams;
    }
    peer = nghttp2_session_get_remote_settings(h->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return peer < h->set.max_streams ? peer : h->set.max_streams;
}

bool h2_may_call(const struct h2 *h)
{
    return h2_is_open(h) && !h->is_draining && h->set.is_client && h->n_open < h2_max_in_flight(h);
}

size_t h2_in_flight(const struct h2 *h)
{
    return h->n_owned;
}

uint64_t h2_rtt_us(const struct h2 *h)
{
    return h->rtt_us;
}
