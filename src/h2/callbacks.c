/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <stdio.h>
#include <string.h>

/* What every callback returns: an owner may have called h2_free() in one of its events. */
static int verdict(const struct h2 *h)
{
    return h->is_freed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return id > 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

/* Frames that cost the sender nothing and move nothing. From a stranger also those that a good peer
 * sends seldom: a reset makes us open and cancel requests behind it. Source: CVE-2019-9511..9518,
 * CVE-2023-44487. */
static bool is_idle_frame(const struct h2 *h, const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
        return true;
    case NGHTTP2_DATA:
        return hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM);
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_GOAWAY:
    case NGHTTP2_CONTINUATION:
        return h->set.is_stranger;
    case NGHTTP2_HEADERS:
    case NGHTTP2_PUSH_PROMISE:
    case NGHTTP2_WINDOW_UPDATE:
        return false;
    default:
        return true;
    }
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct h2 *h = user;

    (void)ng;
    if ((is_idle_frame(h, hd) && !h2_flood_ok(h)) ||
        (hd->type == NGHTTP2_WINDOW_UPDATE && !h2_window_flood_ok(h))) {
        h2_break(h, NGHTTP2_ENHANCE_YOUR_CALM, FRUN_E_LIMIT, "the peer floods us with frames");
    }
    return verdict(h);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s;

    if (frame->hd.type != NGHTTP2_HEADERS) {
        h2_break(h, NGHTTP2_PROTOCOL_ERROR, FRUN_E_SYNTAX, "the peer pushes");
        return verdict(h);
    }
    s = stream_of(ng, frame->hd.stream_id);
    if (!s && !h->set.is_client && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s = h2_stream_new(h);
        if (!s) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        s->id = frame->hd.stream_id;
        (void)nghttp2_session_set_stream_user_data(ng, s->id, s);
    }
    if (s && h2_rx_begin(s) != FRUN_OK) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return verdict(h);
}

/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = h->rx.stream; /* field blocks are not interleaved: no need to search */

    (void)ng;
    (void)flags;
    if (s && s->id == frame->hd.stream_id &&
        h2_rx_field(s, span_make(name, name_n), span_make(value, value_n)) != FRUN_OK) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return verdict(h);
}

/* nghttp2 would drop a field that breaks the grammar and go on; we refuse the message: a request by
 * an answer, all else by a reset. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct h2_stream *s = stream_of(ng, frame->hd.stream_id);

    (void)name;
    (void)value;
    (void)flags;
    if (!s || h2_rx_bad_field(s) != FRUN_OK) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return verdict(user);
}

static void goaway_received(struct h2 *h, const nghttp2_goaway *frame)
{
    char text[96];

    if (frame->error_code != NGHTTP2_NO_ERROR) {
        (void)snprintf(text, sizeof(text), "the peer ended HTTP/2 with %s",
                       nghttp2_http2_strerror(frame->error_code));
        h2_set_end(h, FRUN_E_CLOSED, text);
    }
    h2_mark_draining(h);
}

static void end_of_body(struct h2_stream *s)
{
    if (s->is_owned && h2_has_own_rules(s->h) && !h2_rules_end(s)) {
        h2_stream_break(s);
    } else {
        h2_stream_in_end(s);
    }
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(ng, frame->hd.stream_id);
    bool is_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (s) {
            h2_rx_complete(s, is_end);
        }
        break;
    case NGHTTP2_DATA:
        if (s && is_end) {
            end_of_body(s);
        }
        break;
    case NGHTTP2_RST_STREAM:
        if (s) {
            s->is_reset_by_peer = true;
        }
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
            h2_ping_answered(h, frame->ping.opaque_data);
        }
        break;
    case NGHTTP2_GOAWAY:
        goaway_received(h, &frame->goaway);
        break;
    case NGHTTP2_SETTINGS:
        /* The peer's ceiling of streams may have moved. */
        h->is_capacity_due = true;
        break;
    default:
        break;
    }
    return verdict(h);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                         void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(ng, id);

    (void)flags;
    if (s && s->is_owned && h2_has_own_rules(h) && !h2_rules_body(s, n)) {
        h2_stream_break(s);
        s = NULL;
    }
    if (s) {
        h2_stream_data(s, span_make(p, n));
    } else {
        (void)nghttp2_session_consume(ng, id, n);
    }
    return verdict(h);
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *s = stream_of(ng, id);

    if (s) {
        (void)nghttp2_session_set_stream_user_data(ng, id, NULL);
        h2_stream_closed(s, code);
    }
    return verdict(user);
}

/* A stranger may make us reset its streams as well as do it itself. Source: CVE-2025-8671. */
static bool is_provoked(const struct h2 *h, const nghttp2_frame *frame)
{
    uint32_t code = frame->rst_stream.error_code;

    return h->set.is_stranger &&
           (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
            code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR);
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(ng, frame->hd.stream_id);
    bool is_end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (s) {
            s->is_head_out = s->is_head_out || h->set.is_client;
            if (is_end) {
                h2_stream_out_end(s);
            }
        }
        break;
    case NGHTTP2_RST_STREAM:
        if (is_provoked(h, frame) && !h2_flood_ok(h)) {
            h2_break(h, NGHTTP2_ENHANCE_YOUR_CALM, FRUN_E_LIMIT, "the peer floods us with errors");
        }
        break;
    case NGHTTP2_PING:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
            h2_ping_written(h, frame->ping.opaque_data);
        }
        break;
    case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
            h2_set_end(h, FRUN_E_SYNTAX,
                       h->lib_text[0] ? h->lib_text : "the peer broke the rules of HTTP/2");
        }
        break;
    default:
        break;
    }
    return verdict(h);
}

static int on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *frame, int rv, void *user)
{
    struct h2 *h = user;
    struct list *it;

    (void)ng;
    (void)rv;
    if (frame->hd.type != NGHTTP2_HEADERS || !h->set.is_client) {
        return verdict(h);
    }
    /* nghttp2 may never have opened the stream, then nothing else tells that it is over. */
    list_foreach (it, &h->streams) {
        struct h2_stream *s = list_entry(it, struct h2_stream, node);

        if (s->id == frame->hd.stream_id) {
            (void)nghttp2_session_set_stream_user_data(ng, s->id, NULL);
            h2_stream_closed(s, NGHTTP2_REFUSED_STREAM);
            break;
        }
    }
    return verdict(h);
}

/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *hd, size_t n,
                        nghttp2_data_source *source, void *user)
{
    (void)source;
    (void)user;
    return h2_stream_put_data(stream_of(ng, frame->hd.stream_id), hd, n);
}

/* A frame as large as what waits and the peer takes. */
/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static ssize_t on_frame_length(nghttp2_session *ng, uint8_t type, int32_t id,
                               int32_t connection_window, int32_t stream_window, uint32_t max,
                               void *user)
{
    struct h2_stream *s = stream_of(ng, id);
    size_t n = s ? buf_len(&s->out) : 0;

    (void)type;
    (void)connection_window;
    (void)stream_window;
    (void)user;
    if (n < H2_FRAME_MIN) {
        n = H2_FRAME_MIN;
    }
    return (ssize_t)(n < max ? n : max);
}

static int on_error(nghttp2_session *ng, int code, const char *msg, size_t len, void *user)
{
    struct h2 *h = user;

    (void)ng;
    (void)code;
    (void)snprintf(h->lib_text, sizeof(h->lib_text), "%.*s", (int)(len > 90 ? 90 : len), msg);
    return 0;
}

void h2_callbacks_set(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_frame_length);
    nghttp2_session_callbacks_set_error_callback2(cb, on_error);
}
