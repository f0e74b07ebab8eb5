/**
 * Quotas: exact numbers, also while many threads take and give back, and places that are handed
 * over.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/quota.h"
#include "frun/loop/service.h"

#include <pthread.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND 1000000U

static struct quota_set *set_of(const struct quota_limits *lim, size_t n_workers)
{
    struct quota_set *s = NULL;
    assert_int_equal(quota_set_new(1, n_workers, &s), FRUN_OK);
    quota_set_limits(s, 0, lim);
    return s;
}

static void no_ceilings(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){0}, 1);
    struct quota *q = quota_get(s, 0);
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(quota_pace(q, 5, 0), 0);
        assert_true(quota_enter(q, 0));
        quota_leave(q, 0);
    }
    quota_set_free(s);
    quota_set_free(NULL);
}

/* Calls at given times, and how long each has to wait. */
static void rate_and_burst(void **state)
{
    static const struct {
        uint64_t at_us;
        uint64_t patience_us;
        uint64_t want_us;
    } rows[] = {
        {SECOND, 0, 0}, /* burst of three */
        {SECOND, 0, 0},
        {SECOND, 0, 0},
        {SECOND, 0, SECOND / 10},               /* refused: nothing reserved */
        {SECOND, 0, SECOND / 10},               /* so the next one hears the same */
        {SECOND, SECOND, SECOND / 10},          /* reserved */
        {SECOND, SECOND, 2 * SECOND / 10},      /* behind it */
        {SECOND, SECOND / 10, 3 * SECOND / 10}, /* too far off */
        {SECOND + SECOND / 10, 0, 2 * SECOND / 10},
        {SECOND + 3 * SECOND / 10, 0, 0}, /* one turn has come */
        {SECOND + 3 * SECOND / 10, 0, SECOND / 10},
        {9 * SECOND, 0, 0}, /* rested: the burst again, and no more */
        {9 * SECOND, 0, 0},
        {9 * SECOND, 0, 0},
        {9 * SECOND, 0, SECOND / 10},
    };
    struct quota_set *s = set_of(&(struct quota_limits){.per_second = 10, .burst = 3}, 1);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t got = quota_pace(quota_get(s, 0), rows[i].at_us, rows[i].patience_us);
        if (got != rows[i].want_us) {
            fail_msg("row %zu: %llu us", i, (unsigned long long)got);
        }
    }
    quota_set_free(s);
}

struct guest {
    struct quota_waiter w;
    int n_told;
    struct loop *stop;
};

static void on_place(struct quota_waiter *w)
{
    struct guest *g = list_entry(w, struct guest, w);
    g->n_told++;
    if (g->stop) {
        loop_stop(g->stop);
    }
}

static void guest_init(struct guest *g)
{
    *g = (struct guest){.w = {.fn = on_place}};
    list_init(&g->w.node);
}

static void places_go_to_the_oldest(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){.in_flight = 2}, 1);
    struct quota *q = quota_get(s, 0);
    struct loop *l = NULL;
    struct guest g[3];
    (void)state;
    assert_int_equal(loop_new(&l), FRUN_OK);
    quota_set_loop(s, 0, l);
    assert_true(quota_enter(q, 0));
    assert_true(quota_enter(q, 0));
    assert_false(quota_enter(q, 0));
    for (size_t i = 0; i < 3; i++) {
        guest_init(&g[i]);
        quota_wait(q, 0, &g[i].w);
    }
    g[1].stop = l;
    quota_forget(&g[0].w);
    quota_forget(&g[0].w);
    quota_leave(q, 0);
    assert_int_equal(quota_in_flight(q), 2); /* handed over, never free in between */
    assert_false(quota_enter(q, 0));
    loop_run(l);
    assert_int_equal(g[0].n_told, 0);
    assert_int_equal(g[1].n_told, 1);
    assert_int_equal(g[2].n_told, 0);
    quota_leave(q, 0);
    quota_forget(&g[2].w); /* goes away with a place on its way: it must come back */
    assert_int_equal(g[2].n_told, 0);
    quota_leave(q, 0);
    assert_int_equal(quota_in_flight(q), 0);
    loop_free(l);
    quota_set_free(s);
}

/* Another set takes over, while requests are under way and wait. */
static void kept_in_another_set(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){1, 1, 2}, 1);
    struct quota_set *t = NULL;
    struct quota *q = quota_get(s, 0);
    struct loop *l = NULL;
    struct guest g[3];
    (void)state;
    assert_int_equal(loop_new(&l), FRUN_OK);
    quota_set_loop(s, 0, l);
    assert_int_equal(quota_pace(q, SECOND, 0), 0);
    assert_true(quota_enter(q, 0) && quota_enter(q, 0));
    for (size_t i = 0; i < 3; i++) {
        guest_init(&g[i]);
        quota_wait(q, 0, &g[i].w);
    }
    assert_int_equal(quota_set_new(2, 1, &t), FRUN_OK);
    quota_set_keep(t, 1, s, 0, &(struct quota_limits){2, 1, 4});
    quota_set_free(s);
    assert_ptr_equal(quota_get(t, 1), q);
    assert_int_equal(quota_pace(q, SECOND, 0), SECOND); /* nothing forgotten, nothing changed yet */
    quota_set_apply(t);
    g[1].stop = l;
    loop_run(l);
    assert_int_equal(quota_in_flight(q), 4);
    assert_int_equal(g[0].n_told + g[1].n_told, 2);
    assert_int_equal(g[2].n_told, 0);
    assert_int_equal(quota_pace(q, SECOND + SECOND, SECOND), 0);
    assert_int_equal(quota_pace(q, SECOND + SECOND, SECOND), SECOND / 2);
    /* Lowered: places that end are nobody's until there are few enough. */
    struct quota_set *u = NULL;
    assert_int_equal(quota_set_new(1, 1, &u), FRUN_OK);
    quota_set_keep(u, 0, t, 1, &(struct quota_limits){.in_flight = 1});
    quota_set_apply(u);
    quota_set_free(t);
    g[2].stop = l;
    for (size_t want = 3; want > 0; want--) {
        quota_leave(q, 0);
        assert_int_equal(quota_in_flight(q), want);
        assert_int_equal(g[2].n_told, 0);
    }
    quota_leave(q, 0);
    assert_int_equal(quota_in_flight(q), 1);
    quota_set_free(u); /* the call under way keeps it */
    loop_run(l);
    assert_int_equal(g[2].n_told, 1);
    loop_free(l);
}

/* What was let in uncounted is not counted out. */
static void places_limited_later(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){.per_second = 1, .burst = 1}, 1);
    struct quota_set *t = NULL;
    struct quota *old = quota_get(s, 0);
    (void)state;
    assert_int_equal(quota_pace(old, SECOND, 0), 0);
    assert_true(quota_enter(old, 0));
    assert_int_equal(quota_set_new(1, 1, &t), FRUN_OK);
    quota_set_keep(t, 0, s, 0, &(struct quota_limits){1, 1, 1});
    quota_set_apply(t);
    assert_int_equal(quota_pace(quota_get(t, 0), SECOND, 0), SECOND);
    quota_leave(old, 0);
    quota_set_free(s);
    assert_true(quota_enter(quota_get(t, 0), 0));
    assert_false(quota_enter(quota_get(t, 0), 0));
    quota_set_free(t);
}

/* What one worker gave back is free to all, whether they enter or wait. */
static void kept_by_one_for_all(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){.in_flight = 2}, 2);
    struct quota *q = quota_get(s, 0);
    struct loop *l = NULL;
    struct guest g;
    (void)state;
    assert_int_equal(loop_new(&l), FRUN_OK);
    quota_set_loop(s, 0, l);
    quota_set_loop(s, 1, l);
    assert_true(quota_enter(q, 0) && quota_enter(q, 0));
    quota_leave(q, 0);
    quota_leave(q, 0);
    assert_int_equal(quota_in_flight(q), 0);
    assert_true(quota_enter(q, 1) && quota_enter(q, 0));
    assert_int_equal(quota_in_flight(q), 2);
    assert_false(quota_enter(q, 0));
    assert_false(quota_enter(q, 1));
    quota_leave(q, 0);
    guest_init(&g);
    g.stop = l;
    quota_wait(q, 1, &g.w);
    loop_run(l);
    assert_int_equal(g.n_told, 1);
    assert_false(quota_enter(q, 0));
    quota_leave(q, 1);
    quota_leave(q, 1);
    assert_int_equal(quota_in_flight(q), 0);
    loop_free(l);
    quota_set_free(s);
}

/* Places that nobody uses are not above a lowered ceiling, and come back above a raised one. */
static void kept_above_a_lowered_ceiling(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){.in_flight = 8}, 2);
    struct quota *q = quota_get(s, 0);
    static const size_t ceilings[] = {3, 1, 5, 2};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_true(quota_enter(q, i % 2));
    }
    for (size_t i = 0; i < 8; i++) {
        quota_leave(q, i % 2);
    }
    for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
        struct quota_set *t = NULL;
        size_t n = 0;
        assert_int_equal(quota_set_new(1, 2, &t), FRUN_OK);
        quota_set_keep(t, 0, s, 0, &(struct quota_limits){.in_flight = ceilings[i]});
        quota_set_apply(t);
        quota_set_free(s);
        s = t;
        assert_int_equal(quota_in_flight(q), 0);
        while (quota_enter(q, n % 2)) {
            n++;
        }
        assert_int_equal(n, ceilings[i]);
        assert_false(quota_enter(q, (n + 1) % 2));
        while (n > 0) {
            quota_leave(q, --n % 2);
        }
    }
    quota_set_free(s);
}

#define N_WORKERS 4
#define N_ROUNDS  2000
#define N_PLACES  3
#define N_GUESTS  8

struct host;

/* Gets a place, gives it back at the end of the pass and waits again. */
struct visitor {
    struct quota_waiter w;
    struct later leave;
    struct host *host;
    int left;
};

/* One worker. */
struct host {
    struct loop *loop;
    struct quota *q;
    struct loop_thread *thread;
    struct visitor visitors[N_GUESTS];
    unsigned index;
    int n_busy;
};

static atomic_int inside;
static atomic_int most;

static void on_leave(struct later *l)
{
    struct visitor *v = list_entry(l, struct visitor, leave);
    struct host *h = v->host;
    atomic_fetch_sub(&inside, 1);
    quota_leave(h->q, h->index);
    if (--v->left == 0) {
        if (--h->n_busy == 0) {
            loop_stop(h->loop);
        }
    } else if (v->left % 2 && quota_enter(h->q, h->index)) {
        v->w.fn(&v->w);
    } else {
        quota_wait(h->q, h->index, &v->w);
    }
}

static void on_visit(struct quota_waiter *w)
{
    struct visitor *v = list_entry(w, struct visitor, w);
    int n = atomic_fetch_add(&inside, 1) + 1;
    int m = atomic_load(&most);
    while (n > m && !atomic_compare_exchange_weak(&most, &m, n)) {
    }
    later_arm(v->host->loop, &v->leave);
}

static void begin(void *arg)
{
    struct host *h = arg;
    for (int i = h->n_busy; i-- > 0;) {
        quota_wait(h->q, h->index, &h->visitors[i].w);
    }
}

static void share(int n_guests)
{
    static struct host hosts[N_WORKERS];
    struct quota_set *s = set_of(&(struct quota_limits){.in_flight = N_PLACES}, N_WORKERS);
    atomic_store(&most, 0);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct host *h = &hosts[i];
        h->q = quota_get(s, 0);
        h->index = i;
        h->n_busy = n_guests;
        assert_int_equal(loop_new(&h->loop), FRUN_OK);
        quota_set_loop(s, i, h->loop);
        for (size_t k = 0; k < N_GUESTS; k++) {
            struct visitor *v = &h->visitors[k];
            v->host = h;
            v->left = N_ROUNDS;
            v->w.fn = on_visit;
            list_init(&v->w.node);
            later_init(&v->leave, on_leave);
        }
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        assert_int_equal(loop_post(hosts[i].loop, begin, &hosts[i]), FRUN_OK);
        assert_int_equal(loop_thread_start(hosts[i].loop, "host", &hosts[i].thread), FRUN_OK);
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        loop_thread_join(hosts[i].thread);
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        loop_free(hosts[i].loop);
    }
    assert_in_range(atomic_load(&most), n_guests == N_GUESTS ? N_PLACES : 1, N_PLACES);
    assert_int_equal(quota_in_flight(quota_get(s, 0)), 0);
    quota_set_free(s);
}

/* Were a place lost, somebody would wait for ever; were one made up, there would be too many. With
 * one guest for each worker places are kept and taken over, with many they are handed over. */
static void many_workers_share_exactly(void **state)
{
    (void)state;
    for (int n = 1; n <= N_GUESTS; n *= 2) {
        share(n);
    }
}

struct racer {
    struct quota *q;
    size_t n_in;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    for (int i = 0; i < 100000; i++) {
        r->n_in += quota_pace(r->q, SECOND + (uint64_t)i * 10, 0) == 0;
    }
    return NULL;
}

/* One second of time on two threads: the burst and one second's worth, neither more nor less. */
static void rate_is_exact_across_threads(void **state)
{
    struct quota_set *s = set_of(&(struct quota_limits){.per_second = 500, .burst = 20}, 2);
    struct racer r[2] = {{quota_get(s, 0), 0}, {quota_get(s, 0), 0}};
    pthread_t threads[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, &r[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_in_range(r[0].n_in + r[1].n_in, 519, 520);
    quota_set_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_ceilings),
        cmocka_unit_test(rate_and_burst),
        cmocka_unit_test(places_go_to_the_oldest),
        cmocka_unit_test(kept_in_another_set),
        cmocka_unit_test(places_limited_later),
        cmocka_unit_test(kept_by_one_for_all),
        cmocka_unit_test(kept_above_a_lowered_ceiling),
        cmocka_unit_test(many_workers_share_exactly),
        cmocka_unit_test(rate_is_exact_across_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
