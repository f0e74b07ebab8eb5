/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/health.h"

#include "gateway_fixture.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
    struct fixture f;
    struct gateway_shared shared;
    struct generation *gen;
    struct conf_system systems[2];
    struct health *h;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    fixture_init(&b->f);
    b->f.acme.system = b->f.globex.system = &b->systems[0];
    b->f.acme.health_check = b->f.globex.health_check = true;
    b->f.acme.health_interval_ms = b->f.globex.health_interval_ms = 60000;
    *state = b;
    return loop_new(&b->shared.main_loop);
}

static void begin(struct bench *b)
{
    b->gen = calloc(1, sizeof(*b->gen));
    assert_non_null(b->gen);
    atomic_init(&b->gen->refs, 1);
    b->gen->conf = conf_gw_ref(&b->f.gw);
    assert_int_equal(registry_new(&b->f.gw, NULL, &b->gen->registry), FRUN_OK);
    assert_int_equal(health_new(&b->shared, b->gen, &b->h), FRUN_OK);
    health_start(b->h);
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    health_stop(b->h);
    loop_free(b->shared.main_loop);
    health_free(b->h);
    generation_unref(&b->gen);
    fixture_done(&b->f);
    free(b);
    return 0;
}

static void note(struct bench *b, size_t index, enum finding_verdict v)
{
    struct probe_result r = {.verdict = v, .total_us = 1000};
    if (v != FINDING_UP) {
        steps_add(&r.steps, "logon", STEPS_FAIL, "no");
    }
    health_note(b->h, index, &r);
}

static enum endpoint_health look(const struct bench *b, size_t index)
{
    struct health_report r;
    health_read(b->h, index, &r);
    return r.state;
}

static void thresholds(void **state)
{
    static const struct {
        enum finding_verdict v;
        enum endpoint_health want;
    } walk[] = {
        {FINDING_UP, ENDPOINT_UNKNOWN},      {FINDING_UP, ENDPOINT_UP},
        {FINDING_DOWN, ENDPOINT_UP},         {FINDING_DOWN, ENDPOINT_UP},
        {FINDING_UNKNOWN, ENDPOINT_UP}, /* says nothing, breaks no row */
        {FINDING_UP, ENDPOINT_UP},           {FINDING_DOWN, ENDPOINT_UP},
        {FINDING_DOWN, ENDPOINT_UP},         {FINDING_DOWN, ENDPOINT_DOWN},
        {FINDING_UP, ENDPOINT_DOWN},         {FINDING_DOWN, ENDPOINT_DOWN},
        {FINDING_UNVERIFIED, ENDPOINT_DOWN}, {FINDING_UNVERIFIED, ENDPOINT_UNVERIFIED},
        {FINDING_UP, ENDPOINT_UNVERIFIED},   {FINDING_UP, ENDPOINT_UP},
    };
    struct bench *b = *state;
    begin(b);
    for (size_t i = 0; i < sizeof(walk) / sizeof(walk[0]); i++) {
        note(b, 0, walk[i].v);
        if (look(b, 0) != walk[i].want) {
            fail_msg("check %zu: %s", i, health_word(look(b, 0)));
        }
    }
    assert_int_equal(look(b, 1), ENDPOINT_UNKNOWN);
    struct health_report r;
    health_read(b->h, 0, &r);
    assert_int_equal(r.checks, 14);
    assert_int_equal(r.failures, 6);
    assert_string_equal(r.cause, "");
}

/* The two share system, user and password: one wrong logon is enough for both. */
static void one_refusal_parks_all_who_share_the_user(void **state)
{
    struct bench *b = *state;
    begin(b);
    note(b, 1, FINDING_UP);
    note(b, 1, FINDING_UP);
    note(b, 0, FINDING_REFUSED);
    assert_int_equal(look(b, 0), ENDPOINT_PARKED);
    assert_int_equal(look(b, 1), ENDPOINT_PARKED);
    uint64_t left_ms = 0;
    assert_false(health_may_log_on(b->h, 1, &left_ms));
    assert_in_range(left_ms, HEALTH_PARK_MS - 60000, HEALTH_PARK_MS);
    struct health_report r;
    health_read(b->h, 1, &r);
    assert_non_null(strstr(r.cause, "ACME_PROD"));
    /* Somebody corrected the user and checked by hand. */
    note(b, 0, FINDING_UP);
    assert_true(health_may_log_on(b->h, 0, NULL));
    assert_true(health_may_log_on(b->h, 1, NULL));
    assert_int_equal(look(b, 1), ENDPOINT_UNKNOWN);
    note(b, 0, FINDING_UP);
    assert_int_equal(look(b, 0), ENDPOINT_UP);
}

static void another_system_has_other_users(void **state)
{
    struct bench *b = *state;
    b->f.globex.system = &b->systems[1];
    begin(b);
    note(b, 0, FINDING_REFUSED);
    assert_int_equal(look(b, 0), ENDPOINT_PARKED);
    assert_int_equal(look(b, 1), ENDPOINT_UNKNOWN);
    assert_true(health_may_log_on(b->h, 1, NULL));
}

static void forgotten_with_the_road(void **state)
{
    struct bench *b = *state;
    begin(b);
    note(b, 0, FINDING_REFUSED);
    health_forget(b->h, 0);
    assert_int_equal(look(b, 0), ENDPOINT_UNKNOWN);
    assert_true(health_may_log_on(b->h, 0, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thresholds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_refusal_parks_all_who_share_the_user, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_system_has_other_users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgotten_with_the_road, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
