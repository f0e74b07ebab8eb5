/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/stock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BLOCKS 600

static bool keeps(void)
{
    size_t n = 4096;
    void *p = stock_take(&n);

    assert_non_null(p);
    stock_give(p, n);
    bool is_kept = stock_spare_bytes() > 0;
    stock_trim();
    stock_trim();
    assert_int_equal(stock_spare_bytes(), 0);
    return is_kept;
}

/* Every size is served with at least as much, all of it ours. */
static void every_size_is_served(void **state)
{
    (void)state;
    for (size_t want = 1; want < 400000; want += want / 7 + 1) {
        size_t n = want;
        char *p = stock_take(&n);
        assert_non_null(p);
        assert_true(n >= want);
        memset(p, 'x', n);
        /* Both what it has and what was asked for name its class. */
        stock_give(p, want % 2 ? want : n);
    }
    stock_trim();
    stock_trim();
    assert_int_equal(stock_spare_bytes(), 0);
    stock_give(NULL, 5000);
}

static void the_last_one_comes_first(void **state)
{
    (void)state;
    if (!keeps()) {
        skip();
    }
    size_t n = 16384;
    size_t m = STOCK_RECORD_BYTES;
    void *a = stock_take(&n);
    void *b = stock_take(&m);
    assert_int_equal(n, m);
    stock_give(a, n);
    stock_give(b, n);
    assert_int_equal(stock_spare_bytes(), 2 * n);
    assert_ptr_equal(stock_take(&n), b);
    assert_ptr_equal(stock_take(&n), a);
    stock_give(a, n);
    stock_give(b, n);
    stock_trim();
    stock_trim();
}

static void a_burst_leaves_the_ceiling(void **state)
{
    static void *blocks[BLOCKS];

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t n = 5000 * (i % 20 + 1);
        blocks[i] = stock_take(&n);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        stock_give(blocks[i], 5000 * (i % 20 + 1));
        assert_true(stock_spare_bytes() <= STOCK_MAX_BYTES);
    }
    stock_trim();
    stock_trim();
    assert_int_equal(stock_spare_bytes(), 0);
}

/* What is in use from time to time stays, what a burst left goes. */
static void what_is_needed_stays(void **state)
{
    size_t n = 2048;

    (void)state;
    if (!keeps()) {
        skip();
    }
    void *a = stock_take(&n);
    void *b = stock_take(&n);
    void *c = stock_take(&n);
    stock_give(a, n);
    stock_give(b, n);
    stock_give(c, n);
    stock_trim();
    for (int i = 0; i < 3; i++) {
        stock_give(stock_take(&n), n);
        stock_trim();
        assert_int_equal(stock_spare_bytes(), n);
    }
    stock_trim();
    assert_int_equal(stock_spare_bytes(), 0);
}

/* The sanitizers and valgrind would see what a thread leaves behind. */
static void *other_thread(void *arg)
{
    size_t n = 8192;

    stock_give(arg, n);
    void *mine = stock_take(&n);
    if (mine) {
        memset(mine, 'y', n);
    }
    return mine;
}

static void blocks_change_threads(void **state)
{
    pthread_t t;
    void *back = NULL;
    size_t n = 8192;

    (void)state;
    void *p = stock_take(&n);
    assert_non_null(p);
    memset(p, 'z', n);
    assert_int_equal(pthread_create(&t, NULL, other_thread, p), 0);
    assert_int_equal(pthread_join(t, &back), 0);
    assert_non_null(back);
    stock_give(back, 8192);
    stock_trim();
    stock_trim();
    assert_int_equal(stock_spare_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_served),       cmocka_unit_test(the_last_one_comes_first),
        cmocka_unit_test(a_burst_leaves_the_ceiling), cmocka_unit_test(what_is_needed_stays),
        cmocka_unit_test(blocks_change_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
