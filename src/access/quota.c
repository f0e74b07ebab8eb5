/**
 * Quotas shared by all workers.
 *
 * Who waits is each worker's own business (a lane); a bit says that a lane is not empty.
 *
 * A place that is given back while nobody waits stays with the lane, for the worker's next request:
 * taking and giving back write only cache lines of the worker's own, and what workers share is
 * only read. Whoever finds no free place takes one that any lane keeps. A kept place counts as
 * taken; so there are never more of both than the ceiling.
 *
 * Why nobody waits for ever beside a free place. All operations on the atomics are sequentially
 * consistent, so there is one order of them. Who waits sets its bit (1), then tries to take a place
 * (2), also from every lane. Who leaves looks for bits and hands its place over (3), or finds none,
 * frees its place or keeps it (4) and looks again (5). If (2) finds no place, somebody holds it at
 * the moment when (2) looks where it is put afterwards, and comes to (3) with it, or to (4), after
 * that. If to (4), then (5) comes after (1) and sees the bit: the place is taken back for whoever
 * waits, unless somebody else took it meanwhile, who holds it now and of whom the same is true. If
 * to (3), it goes to another waiter, who holds it now.
 *
 * Why no place is lost on its way. It is counted in the lane (6) before the lane is called (7). Who
 * is called takes the mark of the call away (8) and then what is counted (9). If (7) finds a call
 * under way, it came before its (8), so (6) comes before its (9). What arrives in a lane that has
 * become empty meanwhile is given back by (9). Only if memory for the call is refused does a place
 * stay in the lane until its worker waits, or stops waiting, for this quota the next time.
 *
 * Ceilings may change while requests are under way. Above a lowered one, who leaves hands nothing
 * over until there are as few as it says, and whoever comes across a kept place frees it; then (5)
 * looks after those who wait. After a raised one every lane that has waiters is called, and takes
 * what it finds free. Whether places are counted at all never changes: what was let in without
 * being counted could not be counted out.
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
    bool is_armed;         /* wake is armed and holds a reference */
    atomic_uint granted;   /* places handed over, not taken up yet */
    atomic_bool is_called; /* mail is under way to the worker, with a reference */
    atomic_size_t kept;    /* places for the worker's next requests, or whoever needs one */
    atomic_size_t noted;   /* requests that wait; written by the worker */
};

struct quota {
    _Alignas(QUOTA_LINE_BYTES) atomic_uint_fast64_t next_ns; /* end of all turns given so far */
    _Alignas(QUOTA_LINE_BYTES) atomic_uint_fast64_t waiting; /* bit of each lane with waiters */
    atomic_size_t in_flight;                                 /* places taken or kept */
    atomic_uint_fast64_t period_ns;                          /* between two turns; 0: no rate */
    atomic_uint_fast64_t slack_ns; /* how far turns may be ahead: the burst */
    atomic_size_t max_in_flight;   /* SIZE_MAX: none any more */
    bool is_counted;               /* there was a ceiling of places from the beginning */
    atomic_uint refs;              /* sets, and calls under way */
    size_t n_lanes;
    struct lane lanes[]; /* one for each worker */
};

/* One quota of a set. */
struct seat {
    struct quota *quota; /* counted */
    struct quota_limits limits;
    bool is_kept; /* another set has it too: its limits change with quota_set_apply() */
};

struct quota_set {
    struct seat *seats;
    size_t n;
    size_t n_workers;
};

/* -- life
 * ---------------------------------------------------------------------------------------------------
 */

static struct quota *quota_ref(struct quota *q)
{
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    return q;
}

static void quota_unref(struct quota *q)
{
    if (q && atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1) {
        free(q);
    }
}

/* -- places
 * ---------------------------------------------------------------------------------------------------
 */

static bool take_place(struct quota *q)
{
    size_t n = atomic_load(&q->in_flight);
    while (n < atomic_load_explicit(&q->max_in_flight, memory_order_relaxed)) {
        if (atomic_compare_exchange_weak(&q->in_flight, &n, n + 1)) {
            return true;
        }
    }
    return false;
}

/* A lowered ceiling: what ends is given to nobody. */
static bool is_above(const struct quota *q)
{
    return atomic_load(&q->in_flight) >
           atomic_load_explicit(&q->max_in_flight, memory_order_relaxed);
}

static bool take_kept(struct lane *lane)
{
    size_t n = atomic_load(&lane->kept);
    while (n > 0) {
        if (atomic_compare_exchange_weak(&lane->kept, &n, n - 1)) {
            return true;
        }
    }
    return false;
}

/* One that a lane keeps. Above a lowered ceiling it is freed instead, and what is free then is
 * tried for. */
static bool take_over(struct quota *q, struct lane *lane)
{
    while (take_kept(lane)) {
        if (!is_above(q)) {
            return true;
        }
        (void)atomic_fetch_sub(&q->in_flight, 1);
        if (take_place(q)) {
            return true;
        }
    }
    return false;
}

/* The worker's own first, then a free one, then any other worker's. */
static bool take_any(struct quota *q, unsigned worker)
{
    if (take_over(q, &q->lanes[worker]) || take_place(q)) {
        return true;
    }
    for (size_t i = 1; i < q->n_lanes; i++) {
        if (take_over(q, &q->lanes[(worker + i) % q->n_lanes])) {
            return true;
        }
    }
    return false;
}

static void put_back(struct quota *q, unsigned worker)
{
    if (is_above(q)) {
        (void)atomic_fetch_sub(&q->in_flight, 1);
    } else {
        (void)atomic_fetch_add(&q->lanes[worker].kept, 1);
    }
}

/* node: of a waiter in a lane */
static void wake(struct list *node)
{
    struct quota_waiter *w = list_entry(node, struct quota_waiter, node);
    quota_forget(w);
    w->fn(w);
}

static void run_lane(struct lane *lane)
{
    struct quota *q = lane->quota;
    for (unsigned n = atomic_exchange(&lane->granted, 0); n > 0; n--) {
        struct list *first = list_first(&lane->waiters);
        if (first) {
            wake(first);
        } else {
            quota_leave(q, lane->worker); /* they have gone away meanwhile */
        }
    }
    /* The ceiling may have been raised. */
    for (struct list *first = list_first(&lane->waiters); first && take_any(q, lane->worker);
         first = list_first(&lane->waiters)) {
        wake(first);
    }
}

/* At the end of the pass; the wish keeps the quota alive. */
static void arm(struct lane *lane)
{
    if (!lane->is_armed) {
        lane->is_armed = true;
        (void)quota_ref(lane->quota);
        later_arm(lane->loop, &lane->wake);
    }
}

/* Nobody waits any more; whoever stopped waiting still holds the quota. */
static void disarm(struct lane *lane)
{
    if (lane->is_armed) {
        lane->is_armed = false;
        later_cancel(&lane->wake);
        quota_unref(lane->quota);
    }
}

static void on_wake(struct later *l)
{
    struct lane *lane = list_entry(l, struct lane, wake);
    lane->is_armed = false;
    run_lane(lane);
    quota_unref(lane->quota);
}

static void on_call(void *arg)
{
    struct lane *lane = arg;
    atomic_store(&lane->is_called, false);
    run_lane(lane);
    quota_unref(lane->quota);
}

static void call(struct lane *lane)
{
    if (atomic_exchange(&lane->is_called, true)) {
        return;
    }
    (void)quota_ref(lane->quota);
    if (loop_post(lane->loop, on_call, lane) != FRUN_OK) {
        /* What was handed over stays with the lane until its worker looks the next time. */
        atomic_store(&lane->is_called, false);
        quota_unref(lane->quota);
    }
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
            arm(lane);
        } else {
            call(lane);
        }
        return true;
    }
    return false;
}

bool quota_enter(struct quota *q, unsigned worker)
{
    return !q->is_counted || (!atomic_load(&q->waiting) && take_any(q, worker));
}

void quota_wait(struct quota *q, unsigned worker, struct quota_waiter *w)
{
    struct lane *lane = &q->lanes[worker];
    w->lane = lane;
    list_append(&lane->waiters, &w->node);
    (void)atomic_fetch_or(&q->waiting, (uint_fast64_t)1 << worker);
    if (take_any(q, worker)) {
        (void)atomic_fetch_add(&lane->granted, 1);
    }
    if (atomic_load(&lane->granted)) {
        arm(lane);
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
        disarm(lane);
    }
}

void quota_leave(struct quota *q, unsigned worker)
{
    while (q->is_counted && (is_above(q) || !pass_on(q, worker))) {
        put_back(q, worker);
        if (!atomic_load(&q->waiting) || !take_any(q, worker)) {
            return;
        }
    }
}

size_t quota_in_flight(const struct quota *q)
{
    size_t n = atomic_load(&q->in_flight);
    for (size_t i = 0; i < q->n_lanes; i++) {
        size_t kept = atomic_load(&q->lanes[i].kept);
        n -= kept < n ? kept : n;
    }
    return n;
}

void quota_note(struct quota *q, unsigned worker, bool is_waiting)
{
    atomic_size_t *n = &q->lanes[worker].noted;
    size_t now = atomic_load_explicit(n, memory_order_relaxed);
    atomic_store_explicit(n, is_waiting ? now + 1 : now - 1, memory_order_relaxed);
}

size_t quota_noted(const struct quota *q, unsigned worker)
{
    return atomic_load_explicit(&q->lanes[worker].noted, memory_order_relaxed);
}

void quota_look(const struct quota *q, struct quota_view *out)
{
    size_t max = atomic_load_explicit(&q->max_in_flight, memory_order_relaxed);
    *out = (struct quota_view){.in_flight = q->is_counted ? quota_in_flight(q) : 0,
                               .max_in_flight = q->is_counted && max < SIZE_MAX ? max : 0};
    for (size_t i = 0; i < q->n_lanes; i++) {
        out->waiting += atomic_load_explicit(&q->lanes[i].noted, memory_order_relaxed);
    }
}

/* -- the rate
 * -------------------------------------------------------------------------------------------------
 */

bool quota_is_paced(const struct quota *q)
{
    return q->period_ns != 0;
}

uint64_t quota_pace(struct quota *q, uint64_t now_us, uint64_t patience_us)
{
    uint64_t period_ns = atomic_load_explicit(&q->period_ns, memory_order_relaxed);
    uint64_t slack_ns = atomic_load_explicit(&q->slack_ns, memory_order_relaxed);
    if (!period_ns) {
        return 0;
    }
    uint64_t now_ns = now_us * MICRO_NS;
    uint_fast64_t next_ns = atomic_load(&q->next_ns);
    uint64_t wait_us;
    uint64_t after_ns;
    do {
        uint64_t ahead_ns = next_ns > now_ns ? next_ns - now_ns : 0;
        uint64_t late_ns = ahead_ns > slack_ns ? ahead_ns - slack_ns : 0;
        wait_us = (late_ns + MICRO_NS - 1) / MICRO_NS;
        if (wait_us > patience_us) {
            return wait_us;
        }
        after_ns = now_ns + ahead_ns + period_ns;
    } while (!atomic_compare_exchange_weak(&q->next_ns, &next_ns, after_ns));
    return wait_us;
}

/* -- the set
 * -------------------------------------------------------------------------------------------------
 */

static frun_err quota_new(size_t n_workers, struct quota **out)
{
    size_t bytes = sizeof(struct quota) + n_workers * sizeof(struct lane);
    struct quota *q = aligned_alloc(QUOTA_LINE_BYTES, bytes);
    if (!q) {
        return FRUN_E_NOMEM;
    }
    memset(q, 0, bytes);
    atomic_init(&q->refs, 1);
    q->n_lanes = n_workers;
    for (unsigned k = 0; k < n_workers; k++) {
        struct lane *lane = &q->lanes[k];
        list_init(&lane->waiters);
        later_init(&lane->wake, on_wake);
        lane->quota = q;
        lane->worker = k;
    }
    *out = q;
    return FRUN_OK;
}

static void set_limits(struct quota *q, const struct quota_limits *lim)
{
    /* Rounded up: rather a little slower than faster than was said. */
    uint64_t period_ns = lim->per_second ? (SECOND_NS + lim->per_second - 1) / lim->per_second : 0;
    atomic_store(&q->slack_ns, lim->burst > 1 ? (lim->burst - 1) * period_ns : 0);
    atomic_store(&q->period_ns, period_ns);
    atomic_store(&q->max_in_flight, lim->in_flight ? (size_t)lim->in_flight : SIZE_MAX);
}

frun_err quota_set_new(size_t n, size_t n_workers, struct quota_set **out)
{
    assert(n_workers >= 1 && n_workers <= QUOTA_MAX_WORKERS);
    struct quota_set *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->n_workers = n_workers;
    s->seats = calloc(n ? n : 1, sizeof(*s->seats));
    frun_err err = s->seats ? FRUN_OK : FRUN_E_NOMEM;
    for (size_t i = 0; !err && i < n; i++) {
        err = quota_new(n_workers, &s->seats[i].quota);
        s->n = err ? i : i + 1;
    }
    if (err) {
        quota_set_free(s);
        return err;
    }
    *out = s;
    return FRUN_OK;
}

void quota_set_free(struct quota_set *s)
{
    if (s) {
        for (size_t i = 0; i < s->n; i++) {
            quota_unref(s->seats[i].quota);
        }
        free(s->seats);
        free(s);
    }
}

void quota_set_loop(struct quota_set *s, unsigned worker, struct loop *l)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!s->seats[i].is_kept) {
            s->seats[i].quota->lanes[worker].loop = l;
        }
    }
}

void quota_set_limits(struct quota_set *s, size_t i, const struct quota_limits *lim)
{
    struct seat *x = &s->seats[i];
    x->limits = *lim;
    x->quota->is_counted = lim->in_flight > 0;
    set_limits(x->quota, lim);
}

void quota_set_keep(struct quota_set *s, size_t i, const struct quota_set *from, size_t k,
                    const struct quota_limits *lim)
{
    struct seat *x = &s->seats[i];
    struct quota *old = from->seats[k].quota;
    if (lim->in_flight && !old->is_counted) {
        atomic_store(&x->quota->next_ns, atomic_load(&old->next_ns));
        quota_set_limits(s, i, lim);
        return;
    }
    quota_unref(x->quota);
    *x = (struct seat){.quota = quota_ref(old), .limits = *lim, .is_kept = true};
}

void quota_set_apply(struct quota_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct quota *q = s->seats[i].quota;
        if (!s->seats[i].is_kept) {
            continue;
        }
        s->seats[i].is_kept = false;
        set_limits(q, &s->seats[i].limits);
        uint_fast64_t waiting = atomic_load(&q->waiting);
        for (size_t k = 0; waiting && k < q->n_lanes; k++) {
            if (waiting >> k & 1) {
                call(&q->lanes[k]);
            }
        }
    }
}

struct quota *quota_get(struct quota_set *s, size_t i)
{
    return s->seats[i].quota;
}
