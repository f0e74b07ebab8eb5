/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/usage.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct usage *u;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(usage_new(&u), FRUN_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    usage_free(u);
    return 0;
}

static void count(const char *subaccount, const char *system, const char *resource, uint64_t ms)
{
    const struct usage_event e = {.subaccount = subaccount,
                                  .system = system,
                                  .resource = resource,
                                  .is_denied = !resource,
                                  .path = SPAN_LIT("/sap/frun/x"),
                                  .id = SPAN_LIT("id"),
                                  .total_us = ms * 1000,
                                  .bytes_in = 10,
                                  .bytes_out = 1};
    usage_count(u, &e);
}

static void test_rows(void **state)
{
    (void)state;
    count("a", "fr1:443", "frun", 5);
    count("a", "fr1:443", "frun", 10);
    count("a", "fr1:443", "ping", 15);
    count("a", "fr1:443", NULL, 1);
    count("b", "fr1:443", "frun", 6000);
    count("a", NULL, NULL, 1); /* no system, nothing to count it under */
    const struct usage_row *r = usage_find(u, "a", "fr1:443", NULL);
    assert_non_null(r);
    assert_int_equal(r->calls, 3);
    assert_int_equal(r->denied, 1);
    assert_int_equal(r->bytes_in, 30);
    assert_int_equal(r->buckets[0], 2);
    assert_int_equal(r->buckets[1], 1);
    assert_true(r->last_ms > 0);
    assert_int_equal(usage_find(u, "a", "fr1:443", "frun")->calls, 2);
    assert_int_equal(usage_find(u, "a", "fr1:443", "ping")->calls, 1);
    assert_int_equal(usage_find(u, "b", "fr1:443", NULL)->buckets[METER_BOUNDS], 1);
    assert_null(usage_find(u, "b", "fr1:443", "ping"));
    assert_null(usage_find(u, "a", "fr2:443", NULL));
}

/* Names of another configuration may stand where those of a former one did. */
static void test_names_not_addresses(void **state)
{
    char name[16] = "frun";
    (void)state;
    count("a", "fr1:443", name, 5);
    (void)snprintf(name, sizeof(name), "ping");
    count("a", "fr1:443", name, 5);
    assert_int_equal(usage_find(u, "a", "fr1:443", "frun")->calls, 1);
    assert_int_equal(usage_find(u, "a", "fr1:443", "ping")->calls, 1);
}

static void test_longest(void **state)
{
    struct usage_top top[USAGE_TOP];
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        count("a", "fr1:443", "frun", i * 37 % 200);
    }
    assert_int_equal(usage_longest(u, top), USAGE_TOP);
    for (unsigned i = 0; i < USAGE_TOP; i++) {
        assert_int_equal(top[i].total_us, (199 - i) * 1000);
    }
    assert_string_equal(top[0].path, "/sap/frun/x");
}

static void test_ceiling(void **state)
{
    char name[32];
    (void)state;
    for (unsigned i = 0; i < USAGE_MAX_ROWS; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        count("a", name, "frun", 1);
    }
    assert_non_null(usage_find(u, "a", "s0", "frun"));
    assert_null(usage_find(u, "a", name, NULL));
    count("a", "s0", "frun", 1);
    assert_int_equal(usage_find(u, "a", "s0", NULL)->calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_not_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ceiling, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
