/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/loop.h"

#include "frun/base/mono.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct loop *l;
    char trace[256]; /* one letter per event, in order */
};

static struct world w; /* one test at a time */

static void note(char c)
{
    size_t n = strlen(w.trace);
    if (n + 1 < sizeof(w.trace)) {
        w.trace[n] = c;
        w.trace[n + 1] = '\0';
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    return loop_new(&w.l);
}

static int teardown(void **state)
{
    (void)state;
    loop_free(w.l);
    return 0;
}

static void stop_job(void *arg)
{
    (void)arg;
    loop_stop(w.l);
}

static void note_job(void *arg)
{
    note(*(const char *)arg);
}

static void post(loop_job_fn fn, const char *arg)
{
    assert_int_equal(loop_post(w.l, fn, (void *)(uintptr_t)arg), FRUN_OK);
}

/* ---- later ---- */

static struct later later_a;
static struct later later_b;
static struct later later_c;

static void on_a(struct later *x)
{
    (void)x;
    note('a');
}

static void on_b_arms_c(struct later *x)
{
    (void)x;
    note('b');
    later_arm(w.l, &later_c);
}

static void on_c(struct later *x)
{
    (void)x;
    note('c');
}

static void arm_three(void *arg)
{
    (void)arg;
    later_arm(w.l, &later_b);
    later_arm(w.l, &later_a);
    later_arm(w.l, &later_b); /* twice is once */
    note('j');
}

static void test_later_order(void **state)
{
    (void)state;
    later_init(&later_a, on_a);
    later_init(&later_b, on_b_arms_c);
    later_init(&later_c, on_c);
    post(arm_three, NULL);
    post(note_job, "k");
    post(stop_job, NULL);
    loop_run(w.l);
    /* Jobs first, then later work in order, and what later work armed still in the same pass. */
    assert_string_equal(w.trace, "jkbac");
}

static void arm_and_cancel(void *arg)
{
    (void)arg;
    later_arm(w.l, &later_a);
    later_arm(w.l, &later_c);
    later_cancel(&later_a);
    later_cancel(&later_a);
}

static void test_later_cancel(void **state)
{
    (void)state;
    later_init(&later_a, on_a);
    later_init(&later_c, on_c);
    post(arm_and_cancel, NULL);
    post(stop_job, NULL);
    loop_run(w.l);
    assert_string_equal(w.trace, "c");
}

static unsigned turns;

static void on_again(struct later *x)
{
    turns++;
    if (turns == 1) {
        /* Mail arrives while we keep arming ourselves: it must be read. */
        post(note_job, "m");
        post(stop_job, NULL);
    }
    later_arm(w.l, x);
}

static void ping(struct later *x)
{
    (void)x;
    turns++;
    later_arm(w.l, &later_b);
}

static void pong(struct later *x)
{
    (void)x;
    later_arm(w.l, &later_a);
    if (turns == 1) {
        post(stop_job, NULL);
    }
}

static void test_later_does_not_starve(void **state)
{
    (void)state;
    turns = 0;
    later_init(&later_a, on_again);
    later_arm(w.l, &later_a);
    loop_run(w.l);
    assert_string_equal(w.trace, "m");
    assert_in_range(turns, 1, 4); /* once a pass */
    later_cancel(&later_a);

    turns = 0;
    later_init(&later_a, ping);
    later_init(&later_b, pong);
    later_arm(w.l, &later_a);
    loop_run(w.l);
    assert_in_range(turns, 1, 16);
    later_cancel(&later_a);
    later_cancel(&later_b);
}

/* ---- deadlines ---- */

struct alarm_clock {
    struct deadline d;
    uint64_t want_ms; /* 0: must not ring */
    uint64_t rang_ms;
};

static void on_ring(struct deadline *d)
{
    struct alarm_clock *a = list_entry(d, struct alarm_clock, d);
    assert_int_equal(d->at_ms, 0);
    a->rang_ms = mono_now_ms();
}

static void on_stop(struct deadline *d)
{
    (void)d;
    loop_stop(w.l);
}

static void test_deadlines(void **state)
{
    (void)state;
    static struct alarm_clock c[8];
    struct deadline stop;
    memset(c, 0, sizeof(c));
    for (size_t i = 0; i < 8; i++) {
        deadline_init(&c[i].d, on_ring);
    }
    uint64_t t0 = mono_now_ms();
    const struct {
        uint64_t first_ms;
        uint64_t then_ms; /* moved to, 0: not moved */
        bool is_cleared;
    } rows[] = {
        {1, 0, false},  {250, 0, false},      {100, 300, false},  {60000, 200, false},
        {150, 0, true}, {300, 9000000, true}, {50, 60000, false}, {350, 0, false},
    };
    for (size_t i = 0; i < 8; i++) {
        deadline_set(w.l, &c[i].d, rows[i].first_ms);
        uint64_t at_ms = rows[i].first_ms;
        if (rows[i].then_ms) {
            deadline_set(w.l, &c[i].d, rows[i].then_ms);
            at_ms = rows[i].then_ms;
        }
        if (rows[i].is_cleared) {
            deadline_clear(&c[i].d);
            deadline_clear(&c[i].d);
        }
        c[i].want_ms = rows[i].is_cleared || at_ms > 5000 ? 0 : at_ms;
    }
    deadline_init(&stop, on_stop);
    deadline_set(w.l, &stop, 700);
    loop_run(w.l);
    for (size_t i = 0; i < 8; i++) {
        if (c[i].want_ms == 0) {
            assert_int_equal(c[i].rang_ms, 0);
            continue;
        }
        /* The upper bound leaves room for a busy machine. */
        assert_in_range(c[i].rang_ms - t0, c[i].want_ms, c[i].want_ms + LOOP_TICK_MS + 250);
    }
    deadline_clear(&c[6].d);
}

static struct alarm_clock pair[2];

static void ring_and_clear_other(struct deadline *d)
{
    struct alarm_clock *a = list_entry(d, struct alarm_clock, d);
    a->rang_ms = mono_now_ms();
    deadline_clear(&pair[a == &pair[0] ? 1 : 0].d);
}

static void test_deadline_cleared_by_neighbour(void **state)
{
    (void)state;
    struct deadline stop;
    memset(pair, 0, sizeof(pair));
    deadline_init(&pair[0].d, ring_and_clear_other);
    deadline_init(&pair[1].d, ring_and_clear_other);
    deadline_set(w.l, &pair[0].d, 100);
    deadline_set(w.l, &pair[1].d, 100);
    deadline_init(&stop, on_stop);
    deadline_set(w.l, &stop, 300);
    loop_run(w.l);
    assert_true((pair[0].rang_ms != 0) != (pair[1].rang_ms != 0));
}

static unsigned rings;

static void ring_again(struct deadline *d)
{
    if (++rings == 4) {
        loop_stop(w.l);
    } else {
        deadline_set(w.l, d, 1);
    }
}

static void test_deadline_sets_itself(void **state)
{
    (void)state;
    struct deadline d;
    rings = 0;
    deadline_init(&d, ring_again);
    deadline_set(w.l, &d, 1);
    loop_run(w.l);
    assert_int_equal(rings, 4);
}

/* ---- mail ---- */

#define POSTERS 4
#define POSTS   5000

static unsigned next_of[POSTERS];
static unsigned total;

static void count_job(void *arg)
{
    uintptr_t v = (uintptr_t)arg;
    assert_int_equal(v / POSTS < POSTERS, 1);
    assert_int_equal(v % POSTS, next_of[v / POSTS]); /* in order of posting */
    next_of[v / POSTS]++;
    if (++total == POSTERS * POSTS) {
        loop_stop(w.l);
    }
}

static void *poster(void *arg)
{
    uintptr_t base = (uintptr_t)arg * POSTS;
    for (uintptr_t i = 0; i < POSTS; i++) {
        while (loop_post(w.l, count_job, (void *)(base + i))) {
        }
    }
    return NULL;
}

static void test_post_from_threads(void **state)
{
    (void)state;
    pthread_t t[POSTERS];
    memset(next_of, 0, sizeof(next_of));
    total = 0;
    for (uintptr_t i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, poster, (void *)i), 0);
    }
    loop_run(w.l);
    for (size_t i = 0; i < POSTERS; i++) {
        pthread_join(t[i], NULL);
    }
    assert_int_equal(total, POSTERS * POSTS);
}

static void test_free_runs_mail(void **state)
{
    (void)state;
    post(note_job, "x");
    loop_free(w.l);
    w.l = NULL;
    assert_string_equal(w.trace, "x");
}

static void *stopper(void *arg)
{
    (void)arg;
    loop_stop(w.l);
    return NULL;
}

static void test_stop_from_thread(void **state)
{
    (void)state;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, stopper, NULL), 0);
    loop_run(w.l);
    pthread_join(t, NULL);
    loop_stop(w.l); /* before the run counts too */
    loop_run(w.l);
}

/* ---- freeing later ---- */

static void note_free(void *obj)
{
    note('f');
    free(obj);
}

static void park(void *arg)
{
    (void)arg;
    loop_free_later(w.l, note_free, malloc(8));
    note('p');
    later_arm(w.l, &later_a);
}

static void test_free_later(void **state)
{
    (void)state;
    later_init(&later_a, on_a);
    post(park, NULL);
    post(note_job, "n");
    post(stop_job, NULL);
    loop_run(w.l);
    assert_string_equal(w.trace, "pnaf"); /* after everything else of the pass */
    for (int i = 0; i < 1000; i++) {
        loop_free_later(w.l, free, malloc(8)); /* not running: loop_free() does it */
    }
}

/* ---- descriptors ---- */

static struct io ios[2];
static int sv[2][2];

static void pairs_open(void)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv[i]),
                         0);
    }
}

static void pairs_close(void)
{
    for (int i = 0; i < 2; i++) {
        io_close(&ios[i]);
        close(sv[i][0]);
        close(sv[i][1]);
    }
}

static void close_both(struct io *io, int what)
{
    (void)io;
    assert_int_equal(what, IO_READ);
    note('r');
    io_close(&ios[0]);
    io_close(&ios[1]);
    io_close(&ios[1]);
    loop_stop(w.l);
}

static void test_io_close_in_pass(void **state)
{
    (void)state;
    pairs_open();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(io_open(&ios[i], w.l, sv[i][0], close_both), FRUN_OK);
        assert_int_equal(io_want(&ios[i], IO_READ), FRUN_OK);
        assert_int_equal(write(sv[i][1], "x", 1), 1);
    }
    loop_run(w.l);
    /* Both were readable in one pass: the first closes the other, which must stay silent. */
    assert_string_equal(w.trace, "r");
    pairs_close();
}

static void read_write(struct io *io, int what)
{
    note(what == IO_READ ? 'r' : 'w');
    if (what == IO_WRITE) {
        assert_int_equal(io_want(io, IO_READ), FRUN_OK);
        assert_int_equal(write(sv[0][1], "x", 1), 1);
    } else if (strlen(w.trace) < 4) {
        return; /* level-triggered: comes again */
    } else {
        loop_stop(w.l);
    }
}

static void test_io_wants(void **state)
{
    (void)state;
    pairs_open();
    assert_int_equal(io_open(&ios[0], w.l, sv[0][0], read_write), FRUN_OK);
    assert_int_equal(io_want(&ios[0], IO_READ | IO_WRITE), FRUN_OK);
    loop_run(w.l);
    assert_string_equal(w.trace, "wrrr");
    assert_int_equal(ios[0].wants, IO_READ);
    pairs_close();
}

/* ---- signals ---- */

static void test_signal(void **state)
{
    (void)state;
    assert_int_equal(loop_on_signal(w.l, SIGUSR1, stop_job, NULL), FRUN_OK);
    assert_int_equal(raise(SIGUSR1), 0);
    loop_run(w.l);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(loop_on_signal(w.l, SIGUSR2, stop_job, NULL), FRUN_OK);
    }
    assert_int_equal(loop_on_signal(w.l, SIGUSR2, stop_job, NULL), FRUN_E_LIMIT);
}

static void test_now(void **state)
{
    (void)state;
    uint64_t before = mono_now_ms();
    uint64_t now = loop_now_ms(w.l);
    assert_in_range(now, before, mono_now_ms());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_later_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_does_not_starve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadlines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline_cleared_by_neighbour, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline_sets_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_post_from_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_runs_mail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_from_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_io_close_in_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_io_wants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_now, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
