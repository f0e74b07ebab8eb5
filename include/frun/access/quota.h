/**
 * What a pusher or an endpoint may use at once: a rate with a burst, and places for requests in
 * flight, counted over all workers without a lock.
 *
 * Exactness: there are never more requests in flight than places, and a reservation of the rate is
 * one compare-and-swap on one clock, so that in any t seconds at most burst + rate * t requests are
 * let through (a request that waited for its turn is woken by the loop's clock, up to LOOP_TICK_MS
 * late, never early). A place that becomes free while somebody waits never becomes free to others:
 * it is handed to the worker that waits, in turn, and there to the one that has waited longest.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_QUOTA_H
#define FRUN_ACCESS_QUOTA_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most workers that share a quota: one bit each. */
#define QUOTA_MAX_WORKERS 64

/** Ceilings; 0: none. */
struct quota_limits {
    uint64_t per_second; /**< requests per second, sustained */
    uint64_t burst;      /**< requests that may come at once, 1.. with per_second */
    uint64_t in_flight;  /**< requests at the same time */
};

/** One pusher's or endpoint's; shared by all workers. */
struct quota;

/** All of a gateway. */
struct quota_set;

/** Somebody who waits for a place; embedded in its object. */
struct quota_waiter {
    struct list node;                   /**< private; list_init() it before use */
    void *lane;                         /**< private; NULL while not waiting */
    void (*fn)(struct quota_waiter *w); /**< told once: the place is taken, quota_leave() it */
};

/** Make a set without ceilings. @param n quotas @param n_workers workers, 1..QUOTA_MAX_WORKERS
 * @param out set; quota_set_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err quota_set_new(size_t n, size_t n_workers, struct quota_set **out) FRUN_MUST_CHECK;

/** Free a set that nobody uses any more; what another set keeps lives on. @param s set or NULL.
 * Thread: any. */
void quota_set_free(struct quota_set *s);

/** Say where a worker's waiters are woken. @param s set @param worker 0.. @param l its loop.
 * Thread: main, before the workers run. */
void quota_set_loop(struct quota_set *s, unsigned worker, struct loop *l);

/** Set the ceilings of one. @param s set @param i 0.. @param lim ceilings. Thread: main, before the
 * workers use @p s. */
void quota_set_limits(struct quota_set *s, size_t i, const struct quota_limits *lim);

/** Go on with one of another set: what is in flight and what was let through lately counts on.
 * After quota_set_loop(). @param s set nobody uses yet @param i 0.. in @p s @param from set in use
 * @param k 0.. in @p from @param lim ceilings from quota_set_apply() on; those of @p from hold
 * until then. Where places are limited now and were not before, those under way stay uncounted.
 * Thread: main. */
void quota_set_keep(struct quota_set *s, size_t i, const struct quota_set *from, size_t k,
                    const struct quota_limits *lim);

/** Put the ceilings given to quota_set_keep() into force, and wake those who wait for places that
 * there are now. @param s set. Thread: main. */
void quota_set_apply(struct quota_set *s);

/** One of the set. @param s set @param i 0.. @return quota, lives with @p s. Thread: any. */
struct quota *quota_get(struct quota_set *s, size_t i);

/** Has it a rate at all? Else nobody need look at the clock. @param q quota @return true if so.
 * Thread: any. */
bool quota_is_paced(const struct quota *q);

/** Take a turn of the rate. @param q quota @param now_us mono_now_us() @param patience_us longest
 * wait that is of use @return 0: now; up to @p patience_us: the turn is reserved and comes after so
 * many microseconds; more: nothing was reserved, the turn would be so far off. Thread: any. Source:
 * ITU-T I.371 (generic cell rate algorithm). */
uint64_t quota_pace(struct quota *q, uint64_t now_us, uint64_t patience_us);

/** Take a place if there is one and nobody waits. @param q quota @param worker the caller's index
 * @return true: taken, quota_leave() it. Thread: worker. */
bool quota_enter(struct quota *q, unsigned worker);

/** Wait for a place; fn comes later, never from within. @param q quota with a ceiling, not entered
 * @param worker the caller's index @param w waiter. Thread: worker. */
void quota_wait(struct quota *q, unsigned worker, struct quota_waiter *w);

/** Do not wait any more; harmless if not waiting. @param w waiter. Thread: the worker it waits on.
 */
void quota_forget(struct quota_waiter *w);

/** Give a place back. @param q quota entered @param worker the caller's index. Thread: worker. */
void quota_leave(struct quota *q, unsigned worker);

/** Places taken, and handed over but not taken up yet. @param q quota @return count. Thread: any.
 */
size_t quota_in_flight(const struct quota *q);

/** A request waits for its turn, by this quota or another that it passes: it is counted for whoever
 * looks, nothing else. @param q quota @param worker the caller's index @param is_waiting false: not
 * any more. Thread: worker. */
void quota_note(struct quota *q, unsigned worker, bool is_waiting);

/** How many wait by quota_note(). @param q quota @param worker the caller's index @return those of
 * this worker. Thread: worker. */
size_t quota_noted(const struct quota *q, unsigned worker);

/** A quota as administrators see it. */
struct quota_view {
    size_t in_flight;     /**< places taken; 0 if they are not counted */
    size_t max_in_flight; /**< ceiling of that; 0: none */
    size_t waiting;       /**< requests that wait for their turn */
};

/** Look at a quota. @param q quota @param out filled. Thread: any. */
void quota_look(const struct quota *q, struct quota_view *out);

#endif
