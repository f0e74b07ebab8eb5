/**
 * A world of one loop with ends of streams in it, for tests of the net room.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_STREAM_FIXTURE_H
#define FRUN_TESTS_STREAM_FIXTURE_H

#include "frun/loop/loop.h"
#include "frun/net/stream.h"
#include "frun/net/tls.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Longest wait for a condition. */
#define WORLD_PATIENCE_MS 30000

/** One loop, run until a condition holds. */
struct world {
    struct loop *l;
    bool (*is_met)(void *arg); /**< condition, looked at after each event */
    void *arg;                 /**< for it */
    struct deadline look;      /**< looks also when nothing happens */
    struct deadline patience;  /**< ends the wait */
    bool is_late;              /**< it did */
    int ticks;                 /**< times look came due */
};

/** One end of a connection. */
struct end {
    struct world *w;
    struct stream *s;
    bool is_ready;
    bool is_eof;
    bool is_closed;
    frun_err closed;
    frun_err read_err;     /**< last error of stream_read() but AGAIN and EOF */
    uint64_t got;          /**< octets read */
    uint32_t sum;          /**< of them, order matters */
    uint64_t to_send;      /**< octets still to be put by feed() */
    uint32_t sent_sum;     /**< of those put */
    uint64_t position;     /**< in the pattern */
    size_t most_waiting;   /**< largest stream_waiting() seen */
    size_t read_per_event; /**< octets read per on_readable, 0: until AGAIN */
    char first[64];        /**< first octets read */
    unsigned rooms;        /**< on_room events */
};

static inline uint32_t sum_more(uint32_t sum, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum = sum * 31 + p[i];
    }
    return sum;
}

static inline void world_look(struct world *w)
{
    if (w->is_met && w->is_met(w->arg)) {
        loop_stop(w->l);
    }
}

static inline void world_on_look(struct deadline *d)
{
    struct world *w = list_entry(d, struct world, look);
    deadline_set(w->l, d, 100);
    w->ticks++;
    world_look(w);
}

static inline void world_on_patience(struct deadline *d)
{
    struct world *w = list_entry(d, struct world, patience);
    w->is_late = true;
    loop_stop(w->l);
}

/** Run until the condition holds. @return false if it never did. */
static inline bool world_until(struct world *w, bool (*is_met)(void *arg), void *arg)
{
    w->is_met = is_met;
    w->arg = arg;
    w->is_late = false;
    deadline_init(&w->look, world_on_look);
    deadline_init(&w->patience, world_on_patience);
    deadline_set(w->l, &w->look, 1);
    deadline_set(w->l, &w->patience, WORLD_PATIENCE_MS);
    loop_run(w->l);
    deadline_clear(&w->look);
    deadline_clear(&w->patience);
    w->is_met = NULL;
    return !w->is_late;
}

static inline bool world_passed(void *arg)
{
    struct world *w = arg;
    return w->ticks >= 0;
}

/** Let the loop turn for about @p ticks tenths of a second. */
static inline void world_turn(struct world *w, int ticks)
{
    w->ticks = -ticks;
    bool is_met = world_until(w, world_passed, w);
    assert(is_met);
    (void)is_met;
}

/** Put as much as there is room for. */
static inline void end_feed(struct end *e)
{
    unsigned char part[5000];
    while (e->to_send > 0 && e->s && stream_room(e->s) > 0) {
        size_t room = stream_room(e->s);
        size_t n = sizeof(part) < room ? sizeof(part) : room;
        n = n < e->to_send ? n : (size_t)e->to_send;
        for (size_t i = 0; i < n; i++) {
            part[i] = (unsigned char)((e->position + i) * 2654435761u >> 13);
        }
        if (stream_put(e->s, span_make(part, n))) {
            return;
        }
        e->sent_sum = sum_more(e->sent_sum, part, n);
        e->position += n;
        e->to_send -= n;
        size_t waiting = stream_waiting(e->s);
        e->most_waiting = waiting > e->most_waiting ? waiting : e->most_waiting;
    }
}

static inline void end_on_ready(void *ctx)
{
    struct end *e = ctx;
    assert(!e->is_ready);
    e->is_ready = true;
    end_feed(e);
    world_look(e->w);
}

static inline void end_on_readable(void *ctx)
{
    struct end *e = ctx;
    unsigned char part[8192];
    size_t left = e->read_per_event ? e->read_per_event : SIZE_MAX;
    frun_err err = FRUN_OK;
    while (left > 0) {
        size_t n = 0;
        err = stream_read(e->s, part, left < sizeof(part) ? left : sizeof(part), &n);
        if (err) {
            break;
        }
        assert(n > 0 && n <= sizeof(part));
        for (size_t i = 0; i < n && e->got + i < sizeof(e->first) - 1; i++) {
            e->first[e->got + i] = (char)part[i];
        }
        e->sum = sum_more(e->sum, part, n);
        e->got += n;
        left -= n;
    }
    e->is_eof |= err == FRUN_E_EOF;
    if (err && err != FRUN_E_AGAIN && err != FRUN_E_EOF) {
        e->read_err = err;
    }
    world_look(e->w);
}

static inline void end_on_room(void *ctx)
{
    struct end *e = ctx;
    e->rooms++;
    end_feed(e);
    world_look(e->w);
}

static inline void end_on_closed(void *ctx, frun_err err)
{
    struct end *e = ctx;
    assert(!e->is_closed);
    e->is_closed = true;
    e->closed = err;
    world_look(e->w);
}

static const struct stream_events end_events = {.on_ready = end_on_ready,
                                                .on_readable = end_on_readable,
                                                .on_room = end_on_room,
                                                .on_closed = end_on_closed};

/** Make a stream of @p fd. */
static inline frun_err end_open(struct world *w, struct end *e, int fd, struct tls_ctx *tls,
                                const char *server_name)
{
    const struct stream_settings set = {.tls = tls,
                                        .server_name = server_name,
                                        .is_client = server_name != NULL,
                                        .handshake_ms = 10000};
    *e = (struct end){.w = w};
    frun_err err = stream_new(w->l, &fd, &set, &end_events, e, &e->s);
    assert(err || fd == -1);
    if (err) {
        close(fd);
        return err;
    }
    stream_read_on(e->s, true);
    return FRUN_OK;
}

/** Free the stream of an end. */
static inline void end_free(struct end *e)
{
    stream_free(e->s);
    e->s = NULL;
}

/** A connected pair of sockets, non-blocking. */
static inline void sockets_open(int fd[2])
{
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd);
    assert(rc == 0);
    (void)rc;
}

#endif
