/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/series.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct meter *m;
static struct series *s;
static struct series_point p[SERIES_MINUTES];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(meter_new(1, &m), FRUN_OK);
    assert_int_equal(series_new(m, &s), FRUN_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    series_free(s);
    meter_free(m);
    s = NULL;
    m = NULL;
    return 0;
}

static void count(unsigned subject, unsigned variant, const char *name, unsigned status, unsigned n)
{
    const struct meter_event e = {.status = status,
                                  .origin = status ? METER_ORIGIN_BACKEND : METER_ORIGIN_NONE,
                                  .total_us = 15000};
    for (unsigned i = 0; i < n; i++) {
        meter_request(m, 0, subject, variant, span_of(name), &e);
    }
}

#define LAST (SERIES_MINUTES - 1)

static void test_minutes(void **state)
{
    (void)state;
    count(1, 0, "ACME", 200, 3);
    assert_int_equal(series_read(s, SPAN_LIT("ACME"), p), FRUN_OK);
    assert_int_equal(p[LAST].requests, 3); /* the present minute */
    assert_int_equal(p[LAST - 1].requests, 0);
    series_take(s, 60);
    count(1, 0, "ACME", 503, 2);
    count(1, 1, "ACME", 0, 1); /* another road, the same endpoint */
    count(1, 0, "ACME", 403, 4);
    count(2, 0, "GLOBEX", 200, 1);
    assert_int_equal(series_read(s, SPAN_LIT("ACME"), p), FRUN_OK);
    assert_int_equal(p[LAST - 1].requests, 3);
    assert_int_equal(p[LAST - 1].errors, 0);
    assert_int_equal(p[LAST].requests, 7);
    assert_int_equal(p[LAST].errors, 3);
    assert_int_equal(p[LAST].refused, 4);
    assert_true(p[LAST].mean_ms > 14.9F && p[LAST].mean_ms < 15.1F);
    assert_true(p[LAST].p95_ms > 10.0F && p[LAST].p95_ms <= 20.0F);
    assert_int_equal(series_read(s, (struct span){0}, p), FRUN_OK);
    assert_int_equal(p[LAST].requests, 8);
    assert_int_equal(series_read(s, SPAN_LIT("NOBODY"), p), FRUN_E_NOT_FOUND);
}

/* What is counted before the series begin is not theirs; what ends no endpoint has a name too. */
static void test_begin(void **state)
{
    struct series *late = NULL;
    (void)state;
    count(1, 0, "ACME", 200, 5);
    count(METER_NOBODY, 3, NULL, 401, 2);
    assert_int_equal(series_new(m, &late), FRUN_OK);
    assert_int_equal(series_read(late, SPAN_LIT("ACME"), p), FRUN_OK);
    assert_int_equal(p[LAST].requests, 0);
    count(METER_NOBODY, 3, NULL, 401, 2);
    assert_int_equal(series_read(late, SPAN_LIT("(none)"), p), FRUN_OK);
    assert_int_equal(p[LAST].refused, 2);
    series_free(late);
}

static void test_ring(void **state)
{
    (void)state;
    for (unsigned minute = 0; minute < SERIES_MINUTES + 10; minute++) {
        count(1, 0, "ACME", 200, minute % 7 + 1);
        series_take(s, (uint64_t)minute * 60);
    }
    assert_int_equal(series_read(s, SPAN_LIT("ACME"), p), FRUN_OK);
    assert_int_equal(p[LAST].requests, 0);
    for (unsigned i = 1; i < SERIES_MINUTES; i++) {
        unsigned minute = SERIES_MINUTES + 10 - i;
        assert_int_equal(p[LAST - i].requests, minute % 7 + 1);
    }
}

/* Names above the ceiling have no ring, but count in the sum. */
static void test_ceiling(void **state)
{
    char name[32];
    (void)state;
    for (unsigned i = 0; i < SERIES_MAX_NAMES + 50; i++) {
        (void)snprintf(name, sizeof(name), "E%u", i);
        count(i, 0, name, 200, 1);
    }
    assert_int_equal(series_read(s, SPAN_LIT("E0"), p), FRUN_OK);
    assert_int_equal(p[LAST].requests, 1);
    assert_int_equal(series_read(s, span_of(name), p), FRUN_E_NOT_FOUND);
    assert_int_equal(series_read(s, (struct span){0}, p), FRUN_OK);
    assert_int_equal(p[LAST].requests, SERIES_MAX_NAMES + 50);
}

/* Errors of all minutes, of the last ones, and of the present one at once. */
static void test_errors(void **state)
{
    struct series_errors e;
    struct meter_sum now;
    (void)state;
    count(1, 0, "ACME", 503, 2);
    count(1, 0, "ACME", 200, 2);
    series_take(s, 60);
    for (unsigned i = 2; i < 20; i++) {
        series_take(s, (uint64_t)i * 60);
    }
    count(1, 0, "ACME", 0, 3);
    meter_of(m, 1, &now);
    series_errors(s, SPAN_LIT("ACME"), &now, &e);
    assert_int_equal(e.all, 5);
    assert_int_equal(e.late, 3);
    for (unsigned i = 0; i < SERIES_MINUTES; i++) {
        series_take(s, (uint64_t)(20 + i) * 60);
    }
    series_errors(s, SPAN_LIT("ACME"), &now, &e);
    assert_int_equal(e.late, 0);
    assert_true(e.all <= 3);
    series_errors(s, SPAN_LIT("GLOBEX"), &now, &e);
    assert_int_equal(e.all, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_minutes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_begin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ceiling, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
