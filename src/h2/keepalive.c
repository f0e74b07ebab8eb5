/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include "frun/base/mono.h"

#include <string.h>

/* Frames of no use per second before the peer counts as hostile. */
#define FLOOD_FRAMES 100

/* WINDOW_UPDATE frames of a stranger per second, beside one for so many octets that we sent. */
#define FLOOD_WINDOWS      1000
#define FLOOD_WINDOW_BYTES 1024

/* How often streams are looked at: so many times within body_timeout, but not more often than
 * every LOOK_MIN_MS and not less than every LOOK_MAX_MS, milliseconds. */
#define LOOK_PARTS  4
#define LOOK_MIN_MS 20
#define LOOK_MAX_MS 1000

/* How long the announcement of a drain may travel if no PING answer tells earlier, milliseconds. */
#define DRAIN_NOTICE_MS 1000

/* How long the last octets may take to leave, milliseconds. */
#define FINISH_MS 5000

/* A peer that sends but never answers PING is given up after so many timeouts: its answer may wait
 * behind a body on a slow line, so what arrives counts as life for a while. */
#define PING_PATIENCE 4

/* First octet of a PING's content: which of ours it is. */
#define PING_ALIVE 'k'
#define PING_DRAIN 'd'
#define PING_PATH  'p'

static void make_ping(uint8_t data[8], char kind, uint64_t serial)
{
    memset(data, 0, 8);
    data[0] = (uint8_t)kind;
    memcpy(data + 4, &(uint32_t){(uint32_t)serial}, 4);
}

static bool submit_ping(struct h2 *h, char kind, uint64_t serial)
{
    uint8_t data[8];

    make_ping(data, kind, serial);
    if (nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, data) != 0) {
        h2_break(h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
        return false;
    }
    h2_wake(h);
    return true;
}

static bool is_ping(const struct h2 *h, const uint8_t *data)
{
    uint8_t want[8];

    make_ping(want, PING_ALIVE, h->ping_serial);
    return h->ping_at_ms && memcmp(want, data, 8) == 0;
}

static bool is_path_ping(const struct h2 *h, const uint8_t *data)
{
    uint8_t want[8];

    make_ping(want, PING_PATH, h->path_ms);
    return h->is_path_asked && memcmp(want, data, 8) == 0;
}

void h2_path_ask(struct h2 *h)
{
    h->path_sent_us = mono_now_us();
    (void)submit_ping(h, PING_PATH, h->path_ms);
}

void h2_ping_written(struct h2 *h, const uint8_t *data)
{
    if (is_ping(h, data)) {
        h->ping_sent_us = mono_now_us();
    } else if (is_path_ping(h, data)) {
        h->path_sent_us = mono_now_us();
    }
}

static void drain_goaway(struct h2 *h)
{
    h->drain = H2_DRAIN_GOAWAY;
    if (nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
                              NULL, 0) != 0) {
        h2_break(h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
    }
    h2_wake(h);
}

void h2_ping_answered(struct h2 *h, const uint8_t *data)
{
    uint8_t drain[8];

    make_ping(drain, PING_DRAIN, 0);
    if (is_ping(h, data)) {
        h->rtt_us = mono_now_us() - h->ping_sent_us;
        h->rtt_us += h->rtt_us == 0;
        h->ping_at_ms = 0;
        h2_path_measured(h, h->rtt_us);
    } else if (is_path_ping(h, data)) {
        h->is_path_asked = false;
        h2_path_measured(h, mono_now_us() - h->path_sent_us);
    } else if (h->drain == H2_DRAIN_NOTICE && memcmp(drain, data, 8) == 0) {
        drain_goaway(h);
    }
}

static void ping(struct h2 *h, uint64_t timeout_ms)
{
    h->ping_at_ms = loop_now_ms(h->loop);
    h->ping_at_ms += h->ping_at_ms == 0;
    h->ping_timeout_ms = timeout_ms;
    h->ping_serial++;
    h->ping_sent_us = mono_now_us();
    (void)submit_ping(h, PING_ALIVE, h->ping_serial);
}

void h2_probe(struct h2 *h, uint64_t timeout_ms)
{
    uint64_t now = loop_now_ms(h->loop);

    if (!h2_is_open(h)) {
        return;
    }
    if (!h->ping_at_ms) {
        ping(h, timeout_ms);
    } else if (now + timeout_ms < h->ping_at_ms + h->ping_timeout_ms) {
        h->ping_timeout_ms = now + timeout_ms - h->ping_at_ms;
    }
    h2_tick_arm(h);
}

void h2_drain(struct h2 *h)
{
    if (!h2_is_open(h) || h->drain != H2_DRAIN_NO) {
        return;
    }
    h2_mark_draining(h);
    if (h->set.is_client) {
        drain_goaway(h);
        return;
    }
    /* Requests that are on their way while we say goodbye must still be served: announce first, and
     * name the last stream only when the announcement has certainly been read. Source: RFC 9113
     * 6.8. */
    h->drain = H2_DRAIN_NOTICE;
    h->drain_at_ms = loop_now_ms(h->loop);
    if (nghttp2_submit_shutdown_notice(h->ng) != 0) {
        h2_break(h, NGHTTP2_INTERNAL_ERROR, FRUN_E_NOMEM, "out of memory");
        return;
    }
    (void)submit_ping(h, PING_DRAIN, 0);
    h2_tick_arm(h);
}

/* When an unanswered PING means death. */
static uint64_t ping_death_ms(const struct h2 *h)
{
    uint64_t alive = h->last_rx_ms > h->ping_at_ms ? h->last_rx_ms : h->ping_at_ms;
    uint64_t soon = alive + h->ping_timeout_ms;
    uint64_t late = h->ping_at_ms + PING_PATIENCE * h->ping_timeout_ms;

    return soon < late ? soon : late;
}

/* ---- what strangers owe us ---- */

uint64_t h2_look_ms(const struct h2 *h)
{
    uint64_t part = h->set.body_timeout_ms / LOOK_PARTS;

    return h->set.body_timeout_ms == 0 ? 0
           : part < LOOK_MIN_MS        ? LOOK_MIN_MS
           : part > LOOK_MAX_MS        ? LOOK_MAX_MS
                                       : part;
}

static bool is_idle(const struct h2 *h)
{
    return h->n_open == 0 && h->set.idle_timeout_ms && h->drain == H2_DRAIN_NO;
}

/* Has the peer taken nothing of what waits in the socket's buffer? */
static bool is_stalled(struct h2 *h, uint64_t now)
{
    size_t waiting = stream_waiting(h->stream);

    if (waiting == 0 || waiting != h->stall_waiting_bytes || h->put_bytes != h->stall_put_bytes) {
        h->stall_waiting_bytes = waiting;
        h->stall_put_bytes = h->put_bytes;
        h->stall_since_ms = now;
    }
    return now >= h->stall_since_ms + h->set.body_timeout_ms;
}

static void look_at_streams(struct h2 *h, uint64_t now)
{
    struct list *it;

    list_foreach (it, &h->streams) {
        if (h2_stream_check_time(list_entry(it, struct h2_stream, node), now)) {
            it = &h->streams; /* its owner may have ended others: begin anew */
        }
        if (!h2_is_open(h)) {
            return;
        }
    }
}

/* False: the session has ended. */
static bool look(struct h2 *h, uint64_t now)
{
    if (h->set.head_timeout_ms && h->rx.stream && now >= h->rx.begun_ms + h->set.head_timeout_ms) {
        h2_rx_lost(h, "the request's head did not arrive in time (head_timeout)");
        h2_break(h, NGHTTP2_ENHANCE_YOUR_CALM, FRUN_E_TIMEOUT,
                 "a request's head did not arrive in time (head_timeout)");
        return true;
    }
    if (is_idle(h) && now >= h->idle_since_ms + h->set.idle_timeout_ms) {
        h2_drain(h);
    }
    if (h->set.body_timeout_ms && is_stalled(h, now)) {
        h2_end(h, FRUN_E_TIMEOUT, "the peer stopped reading (body_timeout)");
        return false;
    }
    if (h->set.body_timeout_ms) {
        look_at_streams(h, now);
    }
    return h2_is_open(h);
}

/* ---- the tick ---- */

static void sooner(uint64_t *next, uint64_t at_ms)
{
    *next = at_ms < *next ? at_ms : *next;
}

/* UINT64_MAX: nothing matters. */
static uint64_t next_ms(const struct h2 *h)
{
    uint64_t next = UINT64_MAX;

    if (h->state == H2_STATE_FINISHING) {
        return h->finish_at_ms + FINISH_MS;
    }
    if (h->ping_at_ms) {
        next = ping_death_ms(h);
    } else if (h->set.ping_interval_ms) {
        next = h->last_rx_ms + h->set.ping_interval_ms;
    }
    if (h->drain == H2_DRAIN_NOTICE) {
        sooner(&next, h->drain_at_ms + DRAIN_NOTICE_MS);
    }
    if (is_idle(h)) {
        sooner(&next, h->idle_since_ms + h->set.idle_timeout_ms);
    } else if (h2_look_ms(h)) {
        sooner(&next, loop_now_ms(h->loop) + h2_look_ms(h));
    }
    sooner(&next, h2_linger_end_ms(h));
    if (h->rx.stream && h->set.head_timeout_ms) {
        sooner(&next, h->rx.begun_ms + h->set.head_timeout_ms);
    }
    return next;
}

void h2_tick_arm(struct h2 *h)
{
    uint64_t now = loop_now_ms(h->loop);
    uint64_t next;

    if (h->is_freed || h->state == H2_STATE_ENDED || h->state == H2_STATE_DEAD) {
        return;
    }
    next = next_ms(h);
    if (next != UINT64_MAX) {
        deadline_set(h->loop, &h->tick, next > now ? next - now : 1);
    }
}

void h2_tick_soon(struct h2 *h, uint64_t in_ms)
{
    if (h2_is_open(h) && (!h->tick.at_ms || h->tick.at_ms > loop_now_ms(h->loop) + in_ms)) {
        deadline_set(h->loop, &h->tick, in_ms);
    }
}

static void ping_if_silent(struct h2 *h, uint64_t now)
{
    if (h->ping_at_ms && now >= ping_death_ms(h)) {
        h2_end(h, FRUN_E_TIMEOUT, "the peer did not answer PING in time");
    } else if (!h->ping_at_ms && h->set.ping_interval_ms &&
               now >= h->last_rx_ms + h->set.ping_interval_ms) {
        ping(h, h->set.ping_timeout_ms);
    }
}

void h2_tick(struct deadline *d)
{
    struct h2 *h = list_entry(d, struct h2, tick);
    uint64_t now = loop_now_ms(h->loop);

    if (h->state == H2_STATE_FINISHING) {
        if (now >= h->finish_at_ms + FINISH_MS) {
            h2_end(h, FRUN_E_TIMEOUT, "the last octets did not leave");
        }
    } else {
        ping_if_silent(h, now);
    }
    if (h2_is_open(h) && h->drain == H2_DRAIN_NOTICE && now >= h->drain_at_ms + DRAIN_NOTICE_MS) {
        drain_goaway(h);
    }
    if (h2_is_open(h)) {
        h2_linger_check(h, now);
    }
    if (h2_is_open(h) && !h->set.is_client && !look(h, now)) {
        return;
    }
    h2_tick_arm(h);
}

/* ---- floods ---- */

static void flood_turn(struct h2 *h)
{
    uint64_t second = loop_now_ms(h->loop) / 1000;

    if (second != h->flood_second) {
        h->flood_second = second;
        h->flood_frames = h->window_frames = 0;
        h->flood_put_bytes = h->put_bytes;
    }
}

bool h2_flood_ok(struct h2 *h)
{
    flood_turn(h);
    return ++h->flood_frames <= FLOOD_FRAMES;
}

bool h2_window_flood_ok(struct h2 *h)
{
    if (!h->set.is_stranger) {
        return true;
    }
    flood_turn(h);
    return ++h->window_frames <=
           FLOOD_WINDOWS + (h->put_bytes - h->flood_put_bytes) / FLOOD_WINDOW_BYTES;
}
