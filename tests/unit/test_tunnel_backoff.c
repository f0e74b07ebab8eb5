/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/tunnel/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Each wait lies in its range, and the range doubles up to the ceiling, for ever. */
static void test_ranges(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct backoff b;
        uint64_t ceiling = 500;

        backoff_init(&b, 500, 60000);
        for (int i = 0; i < 100; i++) {
            uint64_t ms = backoff_next(&b, 0);

            assert_in_range(ms, 250, ceiling);
            ceiling = ceiling * 2 > 60000 ? 60000 : ceiling * 2;
        }
    }
}

/* Waits of many connectors are spread: the late ones do not all come together. */
static void test_jitter(void **state)
{
    unsigned low = 0;
    unsigned high = 0;

    (void)state;
    for (int i = 0; i < 400; i++) {
        struct backoff b;

        backoff_init(&b, 500, 60000);
        b.failures = 20;
        if (backoff_next(&b, 0) < 30000) {
            low++;
        } else {
            high++;
        }
    }
    assert_true(low > 100 && high > 100);
}

static void test_retry_after(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 500, 60000);
    for (int i = 0; i < 50; i++) {
        assert_in_range(backoff_next(&b, 120000), 120000, 120499);
    }
}

static void test_worked(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 500, 60000);
    for (int i = 0; i < 9; i++) {
        (void)backoff_next(&b, 0);
    }
    backoff_worked(&b, 59999);
    assert_int_equal(b.failures, 9);
    backoff_worked(&b, 60000);
    assert_int_equal(b.failures, 0);
    assert_in_range(backoff_next(&b, 0), 250, 500);
}

static void test_odd_settings(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b, 0, 0);
    assert_in_range(backoff_next(&b, 0), 0, 1);
    backoff_init(&b, UINT64_MAX / 4, UINT64_MAX / 2);
    for (int i = 0; i < 100; i++) {
        assert_in_range(backoff_next(&b, 0), UINT64_MAX / 8, UINT64_MAX / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),       cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_retry_after),  cmocka_unit_test(test_worked),
        cmocka_unit_test(test_odd_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
