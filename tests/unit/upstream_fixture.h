/**
 * A world for tests of the pooled client: one loop, an origin in it that plays a script on each
 * connection, and owners of calls that note what they are told.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_UPSTREAM_FIXTURE_H
#define FRUN_TESTS_UPSTREAM_FIXTURE_H

#include "frun/base/buf.h"
#include "frun/base/mono.h"
#include "frun/http/body.h"
#include "frun/net/listener.h"
#include "frun/upstream/upstream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Longest wait for a condition. */
#define RIG_PATIENCE_MS 20000

/** Ceilings of one test. */
enum { RIG_MAX_PEERS = 16, RIG_WIRE_BYTES = 65536 };

/** What the origin does next on a connection. */
enum step_kind {
    STEP_STOP,  /**< nothing any more; it still reads and notes */
    STEP_WAIT,  /**< until text was received */
    STEP_SAY,   /**< text */
    STEP_MANY,  /**< n octets of the pattern */
    STEP_EAT,   /**< read n octets of the pattern; with text: in chunks, and their end */
    STEP_END,   /**< close in good order */
    STEP_CUT,   /**< close without close_notify */
    STEP_RESET, /**< reset */
    STEP_DEAF   /**< read nothing from now on */
};

/** One step. */
struct step {
    enum step_kind kind;
    const char *text;
    size_t n;
};

/* Scripts as tables of these. */
#define WAIT(t)                                                                                    \
    {                                                                                              \
        STEP_WAIT, (t), 0                                                                          \
    }
#define WAIT_HEAD WAIT("\r\n\r\n")
#define SAY(t)                                                                                     \
    {                                                                                              \
        STEP_SAY, (t), sizeof(t) - 1                                                               \
    }
#define MANY(octets)                                                                               \
    {                                                                                              \
        STEP_MANY, NULL, (octets)                                                                  \
    }
#define EAT(octets)                                                                                \
    {                                                                                              \
        STEP_EAT, NULL, (octets)                                                                   \
    }
#define EAT_CHUNKS(octets)                                                                         \
    {                                                                                              \
        STEP_EAT, "chunks", (octets)                                                               \
    }
#define END                                                                                        \
    {                                                                                              \
        STEP_END, NULL, 0                                                                          \
    }
#define CUT                                                                                        \
    {                                                                                              \
        STEP_CUT, NULL, 0                                                                          \
    }
#define RESET                                                                                      \
    {                                                                                              \
        STEP_RESET, NULL, 0                                                                        \
    }
#define DEAF                                                                                       \
    {                                                                                              \
        STEP_DEAF, NULL, 0                                                                         \
    }

struct rig;

/** The origin's end of one connection. */
struct peer {
    struct rig *r;
    struct stream *s;
    const struct step *step;
    size_t done_bytes;         /**< of the present step */
    size_t matched;            /**< end of what STEP_WAIT has used */
    struct buf wire;           /**< what was received and not eaten */
    struct later again;        /**< next octet when dripping */
    struct body_reader reader; /**< of STEP_EAT */
    bool is_gone;
    bool is_deaf;
};

/** One loop with an origin and a pool. */
struct rig {
    struct loop *l;
    struct offload *o;
    struct upstream *u;
    struct listener *listener;
    struct upstream_settings set;
    struct tls_ctx *server_tls;
    const struct step *scripts[RIG_MAX_PEERS]; /**< of each connection; NULL: as the one before */
    struct peer peers[RIG_MAX_PEERS];
    size_t n_peers;
    bool is_dripping; /**< the origin says one octet a pass */
    bool (*is_met)(void *arg);
    void *arg;
    struct deadline look;
    struct deadline patience;
    bool is_late;
};

static inline void rig_look(struct rig *r)
{
    if (r->is_met && r->is_met(r->arg)) {
        loop_stop(r->l);
    }
}

static inline void rig_on_look(struct deadline *d)
{
    struct rig *r = list_entry(d, struct rig, look);
    deadline_set(r->l, d, LOOP_TICK_MS);
    rig_look(r);
}

static inline void rig_on_patience(struct deadline *d)
{
    struct rig *r = list_entry(d, struct rig, patience);
    r->is_late = true;
    loop_stop(r->l);
}

/** Run until the condition holds. @return false if it never did. */
static inline bool rig_until(struct rig *r, bool (*is_met)(void *arg), void *arg)
{
    r->is_met = is_met;
    r->arg = arg;
    r->is_late = false;
    deadline_init(&r->look, rig_on_look);
    deadline_init(&r->patience, rig_on_patience);
    deadline_set(r->l, &r->look, 1);
    deadline_set(r->l, &r->patience, RIG_PATIENCE_MS);
    loop_run(r->l);
    deadline_clear(&r->look);
    deadline_clear(&r->patience);
    r->is_met = NULL;
    return !r->is_late;
}

static inline bool rig_passed(void *arg)
{
    return mono_now_ms() >= *(const uint64_t *)arg;
}

/** Let the loop turn for about @p ticks tenths of a second. */
static inline void rig_turn(struct rig *r, int ticks)
{
    uint64_t at_ms = mono_now_ms() + (uint64_t)ticks * LOOP_TICK_MS;
    bool is_met = rig_until(r, rig_passed, &at_ms);
    assert(is_met);
    (void)is_met;
}

/* ---- origin ---- */

static inline char rig_pattern(size_t at)
{
    return (char)((at * 2654435761u) >> 13);
}

static inline void peer_close(struct peer *p, bool is_reset)
{
    later_cancel(&p->again);
    if (is_reset) {
        stream_reset(p->s);
    } else {
        stream_free(p->s);
    }
    p->s = NULL;
    p->is_gone = true;
}

/* Each of these: true when its step is over. */

static inline bool peer_say(struct peer *p)
{
    size_t left = p->step->n - p->done_bytes;
    size_t n = p->r->is_dripping && left > 1 ? 1 : left;
    (void)!stream_put(p->s, span_make(p->step->text + p->done_bytes, n));
    p->done_bytes += n;
    if (p->done_bytes < p->step->n) {
        later_arm(p->r->l, &p->again);
        return false;
    }
    return true;
}

static inline bool peer_many(struct peer *p)
{
    char part[4096];
    while (p->done_bytes < p->step->n) {
        size_t room = stream_room(p->s);
        size_t n = p->step->n - p->done_bytes;
        n = n < sizeof(part) ? n : sizeof(part);
        n = n < room ? n : room;
        if (n == 0) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            part[i] = rig_pattern(p->done_bytes + i);
        }
        (void)!stream_put(p->s, span_make(part, n));
        p->done_bytes += n;
    }
    return true;
}

static inline bool peer_wait(struct peer *p)
{
    struct span got = span_skip(buf_span(&p->wire), p->matched);
    const char *hit = got.n ? memmem(got.p, got.n, p->step->text, strlen(p->step->text)) : NULL;
    if (!hit) {
        return false;
    }
    p->matched += (size_t)(hit - got.p) + strlen(p->step->text);
    return true;
}

static inline bool peer_eat(struct peer *p)
{
    if (p->done_bytes == 0 && p->reader.seen_bytes == 0) {
        struct head h = {.body = p->step->text ? HEAD_BODY_CHUNKED : HEAD_BODY_LENGTH,
                         .body_len_bytes = p->step->n};
        body_begin(&p->reader, &h);
    }
    buf_consume(&p->wire, p->matched);
    p->matched = 0;
    while (!body_is_done(&p->reader)) {
        struct span content;
        size_t framing = 0;
        frun_err err = body_look(&p->reader, buf_span(&p->wire), &framing, &content);
        assert(!err);
        (void)err;
        for (size_t i = 0; i < content.n; i++) {
            assert(content.p[i] == rig_pattern(p->done_bytes + i));
        }
        body_take(&p->reader, content.n);
        p->done_bytes += content.n;
        buf_consume(&p->wire, framing + content.n);
        if (content.n == 0) {
            break;
        }
    }
    return body_is_done(&p->reader) && p->done_bytes == p->step->n;
}

static inline bool peer_step(struct peer *p)
{
    switch (p->step->kind) {
    case STEP_WAIT:
        return peer_wait(p);
    case STEP_SAY:
        return peer_say(p);
    case STEP_MANY:
        return peer_many(p);
    case STEP_EAT:
        return peer_eat(p);
    case STEP_END:
        stream_finish(p->s);
        return false;
    case STEP_CUT:
        if (stream_waiting(p->s) > 0) {
            later_arm(p->r->l, &p->again);
            return false;
        }
        peer_close(p, false);
        return false;
    case STEP_RESET:
        if (stream_waiting(p->s) > 0) {
            later_arm(p->r->l, &p->again);
            return false;
        }
        peer_close(p, true);
        return false;
    case STEP_DEAF:
        p->is_deaf = true;
        stream_read_on(p->s, false);
        return true;
    case STEP_STOP:
        break;
    }
    return false;
}

static inline void peer_play(struct peer *p)
{
    while (p->s && peer_step(p)) {
        p->step++;
        p->done_bytes = 0;
    }
    rig_look(p->r);
}

static inline void peer_on_again(struct later *x)
{
    peer_play(list_entry(x, struct peer, again));
}

static inline void peer_on_ready(void *ctx)
{
    struct peer *p = ctx;
    stream_read_on(p->s, true);
    peer_play(p);
}

static inline void peer_on_readable(void *ctx)
{
    struct peer *p = ctx;
    size_t n = 0;
    char *at = NULL;
    if (p->is_deaf) {
        return;
    }
    if (buf_room(&p->wire) < 4096 || buf_reserve(&p->wire, 4096, &at)) {
        abort(); /* the origin's script leaves too much unread */
    }
    frun_err err = stream_read(p->s, at, 4096, &n);
    if (!err) {
        buf_commit(&p->wire, n);
        peer_play(p);
    } else if (err != FRUN_E_AGAIN) {
        peer_close(p, false);
        rig_look(p->r);
    }
}

static inline void peer_on_room(void *ctx)
{
    peer_play(ctx);
}

static inline void peer_on_closed(void *ctx, frun_err err)
{
    struct peer *p = ctx;
    (void)err;
    peer_close(p, false);
    rig_look(p->r);
}

static const struct stream_events peer_events = {.on_ready = peer_on_ready,
                                                 .on_readable = peer_on_readable,
                                                 .on_room = peer_on_room,
                                                 .on_closed = peer_on_closed};

static inline void rig_on_accept(void *ctx, int *fd, const struct addr *from)
{
    struct rig *r = ctx;
    const struct stream_settings set = {.tls = r->server_tls, .handshake_ms = 10000};
    (void)from;
    assert(r->n_peers < RIG_MAX_PEERS);
    size_t i = r->n_peers++;
    struct peer *p = &r->peers[i];
    while (i > 0 && !r->scripts[i]) {
        i--;
    }
    *p = (struct peer){.r = r, .step = r->scripts[i]};
    buf_init(&p->wire, RIG_WIRE_BYTES);
    later_init(&p->again, peer_on_again);
    frun_err err = stream_new(r->l, fd, &set, &peer_events, p, &p->s);
    assert(!err);
    (void)err;
}

/* ---- rig ---- */

/** A rig whose origin plays @p script on every connection. */
static inline void rig_init(struct rig *r, const struct step *script)
{
    struct addr any;
    struct addr bound;
    int fd = -1;
    *r = (struct rig){.scripts = {script}};
    frun_err err = loop_new(&r->l);
    assert(!err);
    err = offload_new(1, 16, &r->o);
    assert(!err);
    err = addr_parse("127.0.0.1:0", &any);
    assert(!err);
    err = listener_socket(&any, &bound, &fd, NULL);
    assert(!err);
    err = listener_new(r->l, &fd, rig_on_accept, r, &r->listener);
    assert(!err);
    (void)err;
    r->set = (struct upstream_settings){
        .target = {.host = "127.0.0.1", .port = addr_port(&bound), .timeout_ms = 5000},
        .response_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .keepalive_ms = 10000,
        .max_idle = 4,
        .max_connections = 8,
        .limits = {1024, 8192, 20}};
}

/** Make the pool of r->set. */
static inline void rig_open(struct rig *r)
{
    frun_err err = upstream_new(r->l, r->o, &r->set, &r->u);
    assert(!err);
    (void)err;
}

static inline void rig_done(struct rig *r)
{
    upstream_free(r->u);
    listener_free(r->listener);
    for (size_t i = 0; i < r->n_peers; i++) {
        if (r->peers[i].s) {
            peer_close(&r->peers[i], false);
        }
        buf_done(&r->peers[i].wire);
    }
    offload_free(r->o);
    loop_free(r->l);
}

#endif
