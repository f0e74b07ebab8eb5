/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/meter.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct seen {
    size_t rows;
    char names[8][32];
    uint64_t all[8];
};

static void on_row(void *ctx, struct span name, unsigned variant, const struct meter_sum *sum)
{
    struct seen *s = ctx;
    assert_true(s->rows < 8);
    assert_true(variant < METER_VARIANTS);
    (void)snprintf(s->names[s->rows], sizeof(s->names[0]), "%s%.*s/%u", name.p ? "" : "-",
                   SPAN_FMT(name), variant);
    s->all[s->rows++] = sum->all;
}

static void test_sums(void **state)
{
    (void)state;
    struct meter *m = NULL;
    struct meter_sum sum;
    struct seen s = {0};
    struct meter_event e = {.status = 204,
                            .origin = METER_ORIGIN_BACKEND,
                            .total_us = 10000,
                            .upstream_us = 10001,
                            .bytes_in = 5,
                            .bytes_out = 7,
                            .repeats = 1};
    assert_int_equal(meter_new(2, &m), FRUN_OK);
    meter_request(m, 0, 3, 0, SPAN_LIT("ACME"), &e);
    meter_request(m, 1, 3, 0, SPAN_LIT("ACME"), &e);
    e.status = 403;
    e.origin = METER_ORIGIN_OWN;
    e.denial = METER_DENIAL_FORBIDDEN;
    e.upstream_us = 0;
    e.total_us = 6000000;
    meter_request(m, 1, 3, 2, SPAN_LIT("ACME"), &e);
    meter_request(m, 0, METER_NOBODY, 3, (struct span){0}, &e);
    meter_request(m, 0, METER_MAX_SUBJECTS + 7, 0, SPAN_LIT("far"), &e);
    meter_of(m, 3, &sum);
    assert_int_equal(sum.all, 3);
    assert_int_equal(sum.requests[2][METER_ORIGIN_BACKEND], 2);
    assert_int_equal(sum.requests[4][METER_ORIGIN_OWN], 1);
    assert_int_equal(sum.denials[METER_DENIAL_FORBIDDEN], 1);
    assert_int_equal(sum.total_buckets[0], 2);    /* 10 ms belongs to "at most 10 ms" */
    assert_int_equal(sum.upstream_buckets[1], 2); /* a microsecond more does not */
    assert_int_equal(sum.total_buckets[METER_BOUNDS], 1);
    assert_int_equal(sum.total_us, 6020000);
    assert_int_equal(sum.bytes_in, 15);
    assert_int_equal(sum.bytes_out, 21);
    assert_int_equal(sum.repeats, 3);
    meter_each(m, on_row, &s);
    assert_int_equal(s.rows, 4);
    assert_string_equal(s.names[0], "ACME/0");
    assert_string_equal(s.names[1], "ACME/2");
    assert_string_equal(s.names[2], "-/3");
    assert_string_equal(s.names[3], "/0");
    assert_int_equal(s.all[0] + s.all[1] + s.all[2] + s.all[3], 5);
    struct meter_sum twice = sum;
    meter_merge(&twice, &sum);
    assert_int_equal(twice.all, 6);
    assert_int_equal(twice.total_us, 2 * sum.total_us);
    meter_free(m);
    meter_free(NULL);
}

/* An endpoint is taken out and put in again: it has another number then, and must not become a
 * second line of the same name. */
static void test_comes_back(void **state)
{
    (void)state;
    struct meter *m = NULL;
    struct meter_sum sum;
    struct seen s = {0};
    const struct meter_event e = {.status = 204, .origin = METER_ORIGIN_BACKEND, .bytes_in = 5};
    assert_int_equal(meter_new(2, &m), FRUN_OK);
    meter_request(m, 0, 0, 0, SPAN_LIT("ACME"), &e);
    meter_request(m, 0, 1, 0, SPAN_LIT("GLOBEX"), &e);
    meter_request(m, 1, 2, 0, SPAN_LIT("ACME"), &e);
    meter_request(m, 1, 2, 1, SPAN_LIT("ACME"), &e);
    meter_request(m, 1, 0, 0, SPAN_LIT("ACME"), &e); /* one that was still under way */
    meter_each(m, on_row, &s);
    assert_int_equal(s.rows, 3);
    assert_string_equal(s.names[0], "ACME/0");
    assert_int_equal(s.all[0], 3);
    assert_string_equal(s.names[1], "GLOBEX/0");
    assert_string_equal(s.names[2], "ACME/1");
    meter_of(m, 2, &sum);
    assert_int_equal(sum.all, 4);
    assert_int_equal(sum.bytes_in, 20);
    meter_free(m);
}

/* Each bound and a microsecond more. */
static void test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < METER_BOUNDS; i++) {
        struct meter *m = NULL;
        struct meter_sum sum;
        struct meter_event e = {.status = 200, .total_us = (uint64_t)meter_bound_ms(i) * 1000};
        assert_int_equal(meter_new(1, &m), FRUN_OK);
        meter_request(m, 0, 0, 0, SPAN_LIT("x"), &e);
        e.total_us++;
        meter_request(m, 0, 0, 0, SPAN_LIT("x"), &e);
        meter_of(m, 0, &sum);
        assert_int_equal(sum.total_buckets[i], 1);
        assert_int_equal(sum.total_buckets[i + 1], 1);
        meter_free(m);
    }
}

#define EACH    20000
#define WRITERS 4

struct writer {
    struct meter *m;
    size_t index;
};

static void *write_many(void *arg)
{
    const struct writer *w = arg;
    const struct meter_event e = {.status = 200, .origin = METER_ORIGIN_BACKEND, .bytes_in = 3};
    for (unsigned i = 0; i < EACH; i++) {
        meter_request(w->m, w->index, i % 5, i % 2, span_make(&"abcde"[i % 5], 1), &e);
    }
    return NULL;
}

/* Nothing is lost, and readers may look at any time. */
static void test_threads(void **state)
{
    (void)state;
    struct meter *m = NULL;
    struct meter_sum all = {0};
    struct writer w[WRITERS];
    pthread_t t[WRITERS];
    assert_int_equal(meter_new(WRITERS, &m), FRUN_OK);
    for (size_t i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){m, i};
        assert_int_equal(pthread_create(&t[i], NULL, write_many, &w[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        struct meter_sum part;
        meter_of(m, 0, &part);
        assert_true(part.all <= EACH * WRITERS / 5);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        struct meter_sum part;
        meter_of(m, i, &part);
        meter_merge(&all, &part);
    }
    assert_int_equal(all.all, EACH * WRITERS);
    assert_int_equal(all.bytes_in, 3 * EACH * WRITERS);
    meter_free(m);
}

static void test_denials(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        enum meter_denial want;
    } rows[] = {{200, METER_DENIAL_NONE},        {400, METER_DENIAL_MALFORMED},
                {401, METER_DENIAL_CREDENTIALS}, {403, METER_DENIAL_FORBIDDEN},
                {405, METER_DENIAL_NOT_FOUND},   {413, METER_DENIAL_TOO_LARGE},
                {429, METER_DENIAL_RATE},        {502, METER_DENIAL_FAILED},
                {503, METER_DENIAL_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(meter_denial_of(rows[i].status, METER_ORIGIN_OWN), rows[i].want);
        assert_int_equal(meter_denial_of(rows[i].status, METER_ORIGIN_BACKEND), METER_DENIAL_NONE);
    }
    for (enum meter_denial i = METER_DENIAL_NONE; i < METER_DENIALS; i++) {
        assert_non_null(meter_denial_word(i));
    }
}

static void test_quantiles(void **state)
{
    (void)state;
    uint64_t buckets[METER_BOUNDS + 1] = {0};
    assert_true(meter_quantile_ms(buckets, 500) == 0.0);
    buckets[1] = 10; /* 10..20 ms */
    assert_true(meter_quantile_ms(buckets, 500) == 15.0);
    buckets[METER_BOUNDS] = 90;
    assert_true(meter_quantile_ms(buckets, 950) == 5000.0);
    for (size_t i = 1; i < METER_BOUNDS; i++) {
        assert_true(meter_bound_ms(i) > meter_bound_ms(i - 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),    cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_denials), cmocka_unit_test(test_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
