/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/h2/h2_int.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Window of a stream before it grows, and of a connection with four of them. */
#define START 65536U

static uint64_t now_ms;
static struct h2 h;
static struct h2_budget budget;
static unsigned n_asked;   /* PINGs for the path */
static unsigned n_broken;  /* sessions given up */
static unsigned fail_from; /* nghttp2 refuses memory from this call on; 0: never */
static unsigned n_set;
static int32_t set_of[16]; /* last window by stream, 0: the connection */

uint64_t __wrap_loop_now_ms(const struct loop *l);
void __wrap_h2_path_ask(struct h2 *x);
void __wrap_h2_wake(struct h2 *x);
void __wrap_h2_break(struct h2 *x, uint32_t ng_code, frun_err err, const char *why);
int __wrap_nghttp2_session_set_local_window_size(nghttp2_session *s, uint8_t flags, int32_t id,
                                                 int32_t size);

uint64_t __wrap_loop_now_ms(const struct loop *l)
{
    (void)l;
    return now_ms;
}

void __wrap_h2_path_ask(struct h2 *x)
{
    (void)x;
    n_asked++;
}

void __wrap_h2_wake(struct h2 *x)
{
    (void)x;
}

void __wrap_h2_break(struct h2 *x, uint32_t ng_code, frun_err err, const char *why)
{
    assert_int_equal(ng_code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(err, FRUN_E_NOMEM);
    assert_non_null(why);
    x->is_stopped = true;
    n_broken++;
}

int __wrap_nghttp2_session_set_local_window_size(nghttp2_session *s, uint8_t flags, int32_t id,
                                                 int32_t size)
{
    (void)s;
    assert_int_equal(flags, NGHTTP2_FLAG_NONE);
    assert_in_range(id, 0, 15);
    if (fail_from && ++n_set >= fail_from) {
        return NGHTTP2_ERR_NOMEM;
    }
    set_of[id] = size;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    now_ms = 1000;
    n_asked = n_broken = n_set = fail_from = 0;
    memset(set_of, 0, sizeof(set_of));
    budget = (struct h2_budget){.left_bytes = 64U << 20};
    memset(&h, 0, sizeof(h));
    h.state = H2_STATE_OPEN;
    h.set = (struct h2_settings){.is_client = true,
                                 .stream_window = START,
                                 .connection_window = 4 * START,
                                 .budget = &budget};
    return 0;
}

static struct h2_stream stream(int32_t id)
{
    struct h2_stream s;
    memset(&s, 0, sizeof(s));
    s.h = &h;
    s.id = id;
    h2_window_begin(&s);
    assert_int_equal(s.window, START);
    return s;
}

/* The path is so long, and it was measured now. */
static void path(uint64_t us)
{
    h2_path_measured(&h, us);
    h.is_path_asked = false;
}

/* A window of octets arrives and is taken within so many milliseconds. */
static void window(struct h2_stream *s, uint64_t ms)
{
    size_t n = s->window;
    h2_window_taken(s, n / 2);
    now_ms += ms;
    h2_window_taken(s, n - n / 2);
}

/* What was taken from the budget is what the windows have grown by, always. */
static void check_sum(size_t all, const struct h2_stream *s, size_t n)
{
    size_t grown = 0;
    for (size_t i = 0; i < n; i++) {
        assert_in_range(s[i].window, START, H2_GROWN_WINDOW_BYTES);
        grown += 2 * (size_t)(s[i].window - START);
    }
    assert_int_equal(h.grown_bytes, grown);
    assert_int_equal(all - budget.left_bytes, grown);
    assert_true(h.grown_bytes <= H2_GROWN_CONNECTION_BYTES);
}

static void test_doubles_on_a_long_path_up_to_its_ceiling(void **state)
{
    (void)state;
    size_t all = budget.left_bytes;
    struct h2_stream s = stream(1);
    path(50000);
    for (uint32_t want = 2 * START; want <= H2_GROWN_WINDOW_BYTES; want *= 2) {
        window(&s, 100); /* two round trips: as fast as windows allow */
        assert_int_equal(s.window, want);
        assert_int_equal(set_of[1], (int32_t)want);
        assert_int_equal(set_of[0], (int32_t)(4 * START + 2 * (want - START)));
        assert_int_equal(s.in.max, want);
        check_sum(all, &s, 1);
    }
    window(&s, 100);
    assert_int_equal(s.window, H2_GROWN_WINDOW_BYTES);
    h2_window_end(&s);
    assert_int_equal(s.window, START);
    assert_int_equal(set_of[0], (int32_t)(4 * START));
    check_sum(all, &s, 1);
    h2_window_end(&s); /* once more: nothing */
    check_sum(all, &s, 1);
}

/* What stays as it is. */
static void test_stays(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        uint64_t path_us;
        uint64_t ms;
        bool is_answered;
        bool is_server;
        bool is_ended;
        bool is_closed;
        bool has_no_budget;
    } rows[] = {
        {.label = "not measured", .path_us = 0, .ms = 1},
        {.label = "short path", .path_us = 1999, .ms = 1},
        {.label = "slow sender", .path_us = 50000, .ms = 101},
        {.label = "server that has answered",
         .path_us = 50000,
         .ms = 1,
         .is_server = true,
         .is_answered = true},
        {.label = "body has ended", .path_us = 50000, .ms = 1, .is_ended = true},
        {.label = "stream is closed", .path_us = 50000, .ms = 1, .is_closed = true},
        {.label = "no budget at all", .path_us = 50000, .ms = 1, .has_no_budget = true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)setup(NULL);
        struct h2_stream s = stream(1);
        if (rows[i].path_us) {
            path(rows[i].path_us);
        }
        h.set.is_client = !rows[i].is_server;
        h.set.budget = rows[i].has_no_budget ? NULL : &budget;
        s.is_head_out = rows[i].is_answered;
        s.is_in_ended = rows[i].is_ended;
        s.is_closed = rows[i].is_closed;
        for (int k = 0; k < 10; k++) {
            window(&s, rows[i].ms);
        }
        if (s.window != START || h.grown_bytes || set_of[1]) {
            fail_msg("%s: %u", rows[i].label, s.window);
        }
        h2_window_end(&s);
    }
    /* a server that has not answered yet grows */
    (void)setup(NULL);
    struct h2_stream s = stream(1);
    path(50000);
    h.set.is_client = false;
    window(&s, 1);
    assert_int_equal(s.window, 2 * START);
}

/* More octets in a queue only wait there. */
static void test_a_full_path_is_not_filled_more(void **state)
{
    (void)state;
    struct h2_stream s = stream(1);
    path(10000);
    path(20001);
    window(&s, 1);
    assert_int_equal(s.window, START);
    path(20000);
    window(&s, 1);
    assert_int_equal(s.window, 2 * START);
    /* the way has become longer for good: the shortest of the last minute counts */
    path(90000);
    window(&s, 1);
    assert_int_equal(s.window, 2 * START);
    now_ms += 60001;
    path(90000);
    window(&s, 1);
    assert_int_equal(s.window, 4 * START);
}

static void test_the_path_is_asked_for_once_a_second(void **state)
{
    (void)state;
    struct h2_stream s = stream(1);
    h2_window_taken(&s, START / 2 - 1);
    assert_int_equal(n_asked, 0); /* a short body is not worth it */
    h2_window_taken(&s, 1);
    assert_int_equal(n_asked, 1);
    window(&s, 1);
    assert_int_equal(n_asked, 1);
    now_ms += 9990; /* no answer: asked again after ten seconds */
    window(&s, 1);
    assert_int_equal(n_asked, 1);
    now_ms += 20;
    window(&s, 1);
    assert_int_equal(n_asked, 2);
    path(50000);
    now_ms += 990;
    window(&s, 1);
    assert_int_equal(n_asked, 2);
    now_ms += 20;
    window(&s, 1);
    assert_int_equal(n_asked, 3);
}

/* The next stream needs no doubling: half a window tells that it is long, too. */
static void test_the_next_stream_starts_where_the_last_one_was(void **state)
{
    (void)state;
    size_t all = budget.left_bytes;
    struct h2_stream s[2] = {stream(1), stream(3)};
    path(50000);
    for (int i = 0; i < 3; i++) {
        window(&s[0], 10);
    }
    assert_int_equal(s[0].window, 8 * START);
    h2_window_end(&s[0]);
    h2_window_taken(&s[1], START / 2);
    assert_int_equal(s[1].window, 8 * START);
    check_sum(all, s, 2);
    h2_window_end(&s[1]);
    check_sum(all, s, 2);
}

/* Connection and worker have a ceiling each, and what is left is not cut into crumbs. */
static void test_budgets_end(void **state)
{
    (void)state;
    struct h2_stream s[8];
    for (size_t left = 0; left < 12 * START; left += 5000) {
        (void)setup(NULL);
        budget.left_bytes = left;
        path(50000);
        for (int32_t i = 0; i < 4; i++) {
            s[i] = stream(i + 1);
        }
        for (size_t i = 0; i < 20; i++) {
            window(&s[i % 4], 10);
            check_sum(left, s, 4);
        }
        for (size_t i = 0; i < 4; i++) {
            h2_window_end(&s[i]);
        }
        check_sum(left, s, 4);
        assert_int_equal(budget.left_bytes, left);
    }
    (void)setup(NULL);
    size_t all = budget.left_bytes;
    path(50000);
    for (int32_t i = 0; i < 8; i++) {
        s[i] = stream(i + 1);
    }
    for (size_t i = 0; i < 80; i++) {
        window(&s[i % 8], 10);
        check_sum(all, s, 8);
    }
    assert_true(h.grown_bytes > H2_GROWN_CONNECTION_BYTES - 2 * 16384);
    /* one that ends makes room for the others */
    h2_window_end(&s[0]);
    assert_true(h.grown_bytes < H2_GROWN_CONNECTION_BYTES);
    for (size_t i = 8; i < 40; i++) {
        window(&s[1 + i % 7], 10);
        check_sum(all, s, 8);
    }
    assert_true(h.grown_bytes > H2_GROWN_CONNECTION_BYTES - 2 * 16384);
}

/* What is owed comes back also when the session is broken or nghttp2 has no memory. */
static void test_no_memory(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 6; n++) {
        (void)setup(NULL);
        size_t all = budget.left_bytes;
        struct h2_stream s = stream(1);
        path(50000);
        fail_from = n;
        for (int i = 0; i < 3; i++) {
            window(&s, 10);
            check_sum(all, &s, 1);
        }
        assert_true(n_broken > 0);
        h2_window_end(&s);
        check_sum(all, &s, 1);
        assert_int_equal(budget.left_bytes, all);
    }
    (void)setup(NULL);
    size_t all = budget.left_bytes;
    struct h2_stream s = stream(1);
    path(50000);
    window(&s, 10);
    assert_int_equal(s.window, 2 * START);
    h.state = H2_STATE_ENDED;
    set_of[0] = 0;
    h2_window_end(&s);
    assert_int_equal(set_of[0], 0); /* there is no session to tell */
    check_sum(all, &s, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_doubles_on_a_long_path_up_to_its_ceiling, setup),
        cmocka_unit_test_setup(test_stays, setup),
        cmocka_unit_test_setup(test_a_full_path_is_not_filled_more, setup),
        cmocka_unit_test_setup(test_the_path_is_asked_for_once_a_second, setup),
        cmocka_unit_test_setup(test_the_next_stream_starts_where_the_last_one_was, setup),
        cmocka_unit_test_setup(test_budgets_end, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
