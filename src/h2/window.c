/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

/* Below it 64 KiB a round trip are more than 30 MB/s: nobody waits for windows. */
#define SHORT_PATH_US 2000

/* A window that arrives and leaves within so many round trips is what the sender waits for. */
#define ROUND_TRIPS 2

/* A round trip so many times longer than the shortest is spent in a queue: the path is full, and
 * more octets would only wait there. */
#define QUEUED_TIMES 2

/* For each octet that a stream's window grows by, the connection's grows by two: credit comes for
 * half a window at a time, so with one it would be the connection that holds the stream up. A peer
 * may use it for any stream, so both are paid. */
#define COST 2

/* Less is not worth a frame: all of the budget is in use. */
#define LEAST_GROWTH_BYTES 16384U

/* How long a round trip that was measured is believed, and how long the shortest one, and when an
 * unanswered PING is forgotten, milliseconds. */
#define PATH_FRESH_MS 1000
#define PATH_LEAST_MS 60000
#define PATH_LOST_MS  10000

/* ---- the path ---- */

void h2_path_measured(struct h2 *h, uint64_t us)
{
    uint64_t now = loop_now_ms(h->loop);

    h->path_us = us + (us == 0);
    if (h->path_least_us == 0 || h->path_us < h->path_least_us ||
        now >= h->path_least_ms + PATH_LEAST_MS) {
        h->path_least_us = h->path_us;
        h->path_least_ms = now;
    }
}

/* Somebody sends much: how long is the way? */
static void measure(struct h2 *h)
{
    uint64_t now = loop_now_ms(h->loop);
    uint64_t pause_ms = h->is_path_asked ? PATH_LOST_MS : PATH_FRESH_MS;

    if (h->path_ms == 0 || now >= h->path_ms + pause_ms) {
        h->path_ms = now + (now == 0);
        h->is_path_asked = true;
        h2_path_ask(h);
    }
}

static bool is_long(const struct h2 *h)
{
    return h->path_us >= SHORT_PATH_US && h->path_us <= QUEUED_TIMES * h->path_least_us;
}

/* ---- windows ---- */

/* How much larger may a window of this session become? */
static size_t room(const struct h2 *h)
{
    size_t own = H2_GROWN_CONNECTION_BYTES - h->grown_bytes;

    return (own < h->set.budget->left_bytes ? own : h->set.budget->left_bytes) / COST;
}

static void set_connection_window(struct h2 *h)
{
    if (nghttp2_session_set_local_window_size(
            h->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)(h->set.connection_window + h->grown_bytes)) !=
        0) {
        h2_break(h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
    }
    h2_wake(h);
}

static void grow(struct h2_stream *s, uint32_t to)
{
    struct h2 *h = s->h;
    uint32_t more;

    to = to < H2_GROWN_WINDOW_BYTES ? to : H2_GROWN_WINDOW_BYTES;
    more = to > s->window ? to - s->window : 0;
    more = more < room(h) ? more : (uint32_t)room(h);
    if (more < LEAST_GROWTH_BYTES) {
        return;
    }
    to = s->window + more;
    if (nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, s->id, (int32_t)to) != 0) {
        h2_break(h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
        return;
    }
    h->set.budget->left_bytes -= (size_t)COST * more;
    h->grown_bytes += COST * more;
    h->window_hint = to;
    s->window = to;
    s->in.max = to;
    set_connection_window(h);
}

void h2_window_begin(struct h2_stream *s)
{
    s->window = s->h->set.stream_window;
}

void h2_window_taken(struct h2_stream *s, size_t n)
{
    struct h2 *h = s->h;
    uint64_t now = loop_now_ms(h->loop);

    if (!h->set.budget || n == 0 || s->is_in_ended || s->is_closed || !h2_is_open(h)) {
        return;
    }
    if (!h->set.is_client && s->is_head_out) {
        return; /* answered: what still comes is dropped, as fast as it may come */
    }
    if (s->round_bytes == 0) {
        s->round_ms = now;
    }
    s->round_bytes += n;
    if (s->round_bytes < s->window / 2) {
        return;
    }
    measure(h);
    if (!is_long(h)) {
        s->round_bytes = s->round_bytes < s->window ? s->round_bytes : 0;
        return;
    }
    if (s->window == h->set.stream_window && h->window_hint > s->window) {
        s->round_bytes = 0;
        grow(s, h->window_hint); /* the path is known from streams before */
    } else if (s->round_bytes >= s->window) {
        s->round_bytes = 0;
        if ((now - s->round_ms) * 1000 <= ROUND_TRIPS * h->path_us) {
            grow(s, 2 * s->window);
        }
    }
}

void h2_window_end(struct h2_stream *s)
{
    struct h2 *h = s->h;
    uint32_t more = s->window - h->set.stream_window;

    if (more == 0) {
        return;
    }
    s->window = h->set.stream_window;
    h->grown_bytes -= COST * more;
    h->set.budget->left_bytes += (size_t)COST * more;
    if (h2_is_open(h)) {
        set_connection_window(h);
    }
}
