/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/mono.h"

#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void clock_goes_forward(void **state)
{
    (void)state;
    uint64_t last = mono_now_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = mono_now_us();
        assert_true(now >= last);
        last = now;
    }
    assert_true(mono_now_ms() >= last / 1000);
}

/* Not time(): its clock is coarse and may still be in the second before. */
static time_t wall_second(void)
{
    struct timespec ts = {0};
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &ts), 0);
    return ts.tv_sec;
}

static void wall_text_is_rfc3339_in_utc(void **state)
{
    char text[MONO_WALL_TEXT_BYTES];
    struct tm parts = {0};
    time_t before = wall_second();

    (void)state;
    mono_wall_text(text);
    time_t after = wall_second();
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    assert_non_null(rest);
    assert_true(timegm(&parts) >= before && timegm(&parts) <= after);
    assert_int_equal(strlen(text), strlen("2026-11-21T06:36:00.123Z"));
    assert_int_equal(rest[0], '.');
    assert_int_equal(rest[4], 'Z');
}

static void chance_is_within_its_limit(void **state)
{
    static const uint64_t limits[] = {1, 2, 3, 10, (1ULL << 63) + 1, UINT64_MAX};
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        for (int n = 0; n < 200; n++) {
            assert_true(mono_entropy_below(limits[i]) < limits[i]);
        }
    }
    for (int n = 0; n < 1000; n++) {
        seen |= 1U << mono_entropy_below(10);
    }
    assert_int_equal(seen, 0x3ff); /* each of the ten came up */
}

static void entropy_fills_everything(void **state)
{
    unsigned char a[600];
    unsigned char any[600] = {0};

    (void)state;
    for (int round = 0; round < 8; round++) {
        mono_entropy(a, sizeof(a));
        for (size_t i = 0; i < sizeof(a); i++) {
            any[i] = (unsigned char)(any[i] | a[i]);
        }
    }
    for (size_t i = 0; i < sizeof(any); i++) {
        assert_int_not_equal(any[i], 0);
    }
    mono_entropy(NULL, 0);
}

/* Small draws come from a common stock: none may be given twice, whatever the sizes. */
static void entropy_is_given_once(void **state)
{
    char drawn[100][16];

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        char other[40];
        mono_entropy(drawn[i], sizeof(drawn[i]));
        mono_entropy(other, 1 + i % sizeof(other));
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(drawn[k], drawn[i], sizeof(drawn[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_goes_forward),         cmocka_unit_test(wall_text_is_rfc3339_in_utc),
        cmocka_unit_test(chance_is_within_its_limit), cmocka_unit_test(entropy_fills_everything),
        cmocka_unit_test(entropy_is_given_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
