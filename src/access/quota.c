/**
 * Quotas shared by all workers.
 *
 * What changes with each request stands in one cache line of its own. Who waits is each worker's
 * own business (a lane); a bit says that a lane is not empty.
 *
 * Why nobody waits for ever beside a free place. All operations on the atomics are sequentially
 * consistent, so there is one order of them. Who waits sets its bit (1), then tries to take a place
 * (2). Who leaves looks for bits and hands its place over (3), or finds none, frees its place (4)
 * and looks again (5). If (2) finds no place, somebody holds it at that moment and comes to (3)
 * with it, or to (4), after (2). If to (4), then (5) comes after (1) and sees the bit: the place is
 * taken back for whoever waits, unless somebody else took it meanwhile, who holds it now and of
 * whom the same is true. If to (3), it goes to another waiter, who holds it now.
 *
 * Why no place is lost on its way. It is counted in the lane (6) before the lane is called (7). Who
 * is called takes the mark of the call away (8) and then what is counted (9). If (7) finds a call
 * under way, it came before its (8), so (6) comes before its (9). What arrives in a lane that has
 * become empty meanwhile is given back by (9). Only if memory for the call is refused does a place
 * stay in the lane until its worker waits, or stops waiting, for this quota the next time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/quota.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/** What processors fetch at once, octets. */
#define QUOTA_LINE_BYTES 64

/** Nanoseconds of a second and of a microsecond. */
#define SECOND_NS 1000000000U
#define MICRO_NS  1000U

/* Those of one worker who wait for a place of one quota. */
struct lane {
    _Alignas(QUOTA_LINE_BYTES) struct list waiters; /* oldest first */
    struct later wake;
    struct quota *quota;
    struct loop *loop;
    unsigned worker;
    atomic_uint granted;   /* places handed over, not taken up yet */
    atomic_bool is_called; /* mail is under way to the worker */
};

struct quota {
    _Alignas(QUOTA_LINE_BYTES) atomic_uint_fast64_t next_ns; /* end of all turns given so far */
    atomic_uint_fast64_t waiting;                            /* bit of each lane with waiters */
    atomic_size_t in_flight;
    _Alignas(QUOTA_LINE_BYTES) uint64_t period_ns; /* between two turns; 0: no rate */
    uint64_t slack_ns;                             /* how far turns may be ahead: the burst */
    size_t max_in_flight;                          /* 0: no ceiling */
    struct lane *lanes;                            /* one for each worker */
    size_t n_lanes;
};

struct quota_set {
    struct quota *quotas;
    struct lane *lanes;
    size_t n_quotas;
    size_t n_workers;
};

/* -- places
 * ---------------------------------------------------------------------------------------------------
 */

static bool take_place(struct quota *q)
{
    size_t n = atomic_load(&q->in_flight);
    while (n < q->max_in_flight) {
        if (atomic_compare_exchange_weak(&q->in_flight, &n, n + 1)) {
            return true;
        }
    }
    return false;
}

static void run_lane(struct lane *lane)
{
    struct quota *q = lane->quota;
    for (unsigned n = atomic_exchange(&lane->granted, 0); n > 0; n--) {
        struct list *it = list_first(&lane->waiters);
        if (!it) {
            quota_leave(q, lane->worker); /* they have gone away meanwhile */
            continue;
        }
        struct quota_waiter *w = list_entry(it, struct quota_waiter, node);
        quota_forget(w);
        w->fn(w);
    }
}

static void on_wake(struct later *l)
{
    run_lane(list_entry(l, struct lane, wake));
}

static void on_call(void *arg)
{
    struct lane *lane = arg;
    atomic_store(&lane->is_called, false);
    run_lane(lane);
}

/* Hand a place over to the next worker that waits, the caller's own being the last in the row. */
static bool pass_on(struct quota *q, unsigned from)
{
    uint_fast64_t waiting = atomic_load(&q->waiting);
    for (size_t i = 1; waiting && i <= q->n_lanes; i++) {
        struct lane *lane = &q->lanes[(from + i) % q->n_lanes];
        if (!(waiting >> lane->worker & 1)) {
            continue;
        }
        (void)atomic_fetch_add(&lane->granted, 1);
        if (lane->worker == from) {
            later_arm(lane->loop, &lane->wake);
        } else if (!atomic_exchange(&lane->is_called, true) &&
                   loop_post(lane->loop, on_call, lane) != FRUN_OK) {
            /* The place stays with the lane until its worker looks the next time. */
            atomic_store(&lane->is_called, false);
        }
        return true;
    }
    return false;
}

bool quota_enter(struct quota *q, unsigned worker)
{
    (void)worker;
    return !q->max_in_flight || (!atomic_load(&q->waiting) && take_place(q));
}

void quota_wait(struct quota *q, unsigned worker, struct quota_waiter *w)
{
    struct lane *lane = &q->lanes[worker];
    w->lane = lane;
    list_append(&lane->waiters, &w->node);
    (void)atomic_fetch_or(&q->waiting, (uint_fast64_t)1 << worker);
    if (take_place(q)) {
        (void)atomic_fetch_add(&lane->granted, 1);
    }
    if (atomic_load(&lane->granted)) {
        later_arm(lane->loop, &lane->wake);
    }
}

void quota_forget(struct quota_waiter *w)
{
    struct lane *lane = w->lane;
    if (!lane) {
        return;
    }
    w->lane = NULL;
    list_remove(&w->node);
    if (list_is_empty(&lane->waiters)) {
        (void)atomic_fetch_and(&lane->quota->waiting, ~((uint_fast64_t)1 << lane->worker));
        for (unsigned n = atomic_exchange(&lane->granted, 0); n > 0; n--) {
            quota_leave(lane->quota, lane->worker); /* came too late */
        }
    }
}

void quota_leave(struct quota *q, unsigned worker)
{
    while (q->max_in_flight && !pass_on(q, worker)) {
        (void)atomic_fetch_sub(&q->in_flight, 1);
        if (!atomic_load(&q->waiting) || !take_place(q)) {
            return;
        }
    }
}

size_t quota_in_flight(const struct quota *q)
{
    return atomic_load(&q->in_flight);
}

/* -- the rate
 * -------------------------------------------------------------------------------------------------
 */

uint64_t quota_pace(struct quota *q, uint64_t now_us, uint64_t patience_us)
{
    if (!q->period_ns) {
        return 0;
    }
    uint64_t now_ns = now_us * MICRO_NS;
    uint_fast64_t next_ns = atomic_load(&q->next_ns);
    uint64_t wait_us;
    uint64_t after_ns;
    do {
        uint64_t ahead_ns = next_ns > now_ns ? next_ns - now_ns : 0;
        uint64_t late_ns = ahead_ns > q->slack_ns ? ahead_ns - q->slack_ns : 0;
        wait_us = (late_ns + MICRO_NS - 1) / MICRO_NS;
        if (wait_us > patience_us) {
            return wait_us;
        }
        after_ns = now_ns + ahead_ns + q->period_ns;
    } while (!atomic_compare_exchange_weak(&q->next_ns, &next_ns, after_ns));
    return wait_us;
}

/* -- the set
 * -------------------------------------------------------------------------------------------------
 */

/* Zeroed, on a cache line of its own; at least one element. */
static void *rows_new(size_t n, size_t size)
{
    size_t bytes = (n ? n : 1) * size;
    void *p = n > SIZE_MAX / 2 / size ? NULL : aligned_alloc(QUOTA_LINE_BYTES, bytes);
    if (p) {
        memset(p, 0, bytes);
    }
    return p;
}

frun_err quota_set_new(size_t n, size_t n_workers, struct quota_set **out)
{
    assert(n_workers >= 1 && n_workers <= QUOTA_MAX_WORKERS);
    struct quota_set *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->n_quotas = n;
    s->n_workers = n_workers;
    s->quotas = rows_new(n, sizeof(*s->quotas));
    s->lanes = rows_new(n * n_workers, sizeof(*s->lanes));
    if (!s->quotas || !s->lanes) {
        quota_set_free(s);
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        s->quotas[i].lanes = &s->lanes[i * n_workers];
        s->quotas[i].n_lanes = n_workers;
        for (unsigned k = 0; k < n_workers; k++) {
            struct lane *lane = &s->quotas[i].lanes[k];
            list_init(&lane->waiters);
            later_init(&lane->wake, on_wake);
            lane->quota = &s->quotas[i];
            lane->worker = k;
        }
    }
    *out = s;
    return FRUN_OK;
}

void quota_set_free(struct quota_set *s)
{
    if (s) {
        free(s->quotas);
        free(s->lanes);
        free(s);
    }
}

void quota_set_loop(struct quota_set *s, unsigned worker, struct loop *l)
{
    for (size_t i = 0; i < s->n_quotas; i++) {
        s->quotas[i].lanes[worker].loop = l;
    }
}

void quota_set_limits(struct quota_set *s, size_t i, const struct quota_limits *lim)
{
    struct quota *q = &s->quotas[i];
    q->max_in_flight = (size_t)lim->in_flight;
    /* Rounded up: rather a little slower than faster than was said. */
    q->period_ns = lim->per_second ? (SECOND_NS + lim->per_second - 1) / lim->per_second : 0;
    q->slack_ns = lim->burst > 1 ? (lim->burst - 1) * q->period_ns : 0;
}

struct quota *quota_get(struct quota_set *s, size_t i)
{
    return &s->quotas[i];
}
