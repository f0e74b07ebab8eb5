/**
 * An issuer's keys between keeper and workers: who sees what, and how often fresh ones are wanted.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/issuer.h"

#include "issuer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int left = -1; /* allocations that still succeed; negative: all */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool refuses(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return refuses() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuses() ? NULL : __real_calloc(n, size);
}

struct bench {
    struct loop *loop;
    struct conf_issuer conf;
    struct issuer *issuer;
    int n_woken;
};

static struct bench *now; /* a job gets the issuer alone */

static void on_wanted(void *arg)
{
    struct issuer *i = arg;
    assert_ptr_equal(issuer_keeper(i), now);
    now->n_woken++;
    issuer_began(i);
    issuer_unref(&i);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->conf = (struct conf_issuer){.place = {.name = "IDP"},
                                   .issuer = "https://idp.example.com",
                                   .jwks_url = "https://idp.example.com/keys",
                                   .refresh_ms = 3600000,
                                   .refresh_min_ms = 30000,
                                   .stale_ms = 86400000,
                                   .connect_timeout_ms = 5000,
                                   .timeout_ms = 15000};
    assert_int_equal(loop_new(&b->loop), FRUN_OK);
    assert_int_equal(secret_new(SPAN_LIT("proxy-secret"), &b->conf.proxy_password), FRUN_OK);
    assert_int_equal(issuer_new(&b->conf, &b->issuer), FRUN_OK);
    now = b;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    loop_free(b->loop);
    issuer_unref(&b->issuer);
    secret_free(b->conf.proxy_password);
    free(b);
    return 0;
}

static struct jwks *make_keys(const char *id)
{
    char text[FIXTURE_SET];
    char more[64];
    struct jwks *k = NULL;
    struct jwks_skipped skipped;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    (void)snprintf(more, sizeof(more), ",\"kid\":\"%s\"", id);
    (void)snprintf(text, sizeof(text), "{\"keys\":[%s]}", fixture_jwk(pkey, more));
    assert_int_equal(jwks_parse(span_of(text), &k, &skipped), FRUN_OK);
    EVP_PKEY_free(pkey);
    return k;
}

static void on_end(void *arg)
{
    struct bench *b = arg;
    loop_stop(b->loop);
}

/* Jobs run in order of posting: all that were posted before have run. */
static void run(struct bench *b)
{
    assert_int_equal(loop_post(b->loop, on_end, b), FRUN_OK);
    loop_run(b->loop);
}

/* A want, the fetch it makes, and its end. */
static bool want_from(struct bench *b, uint64_t source, uint64_t at_ms)
{
    int before = b->n_woken;
    bool is_it = issuer_want(b->issuer, source, at_ms);
    run(b);
    assert_int_equal(b->n_woken, before + (is_it ? 1 : 0));
    if (is_it) {
        issuer_ended(b->issuer, at_ms + b->conf.refresh_min_ms);
    }
    return is_it;
}

/* From everywhere. */
static bool want(struct bench *b, uint64_t at_ms)
{
    static uint64_t source = 1000;
    return want_from(b, source++, at_ms);
}

static void views(void **state)
{
    struct bench *b = *state;
    struct issuer_view v = {.of = NULL};
    struct jwks *first = make_keys("a");
    struct jwks *second = make_keys("b");
    assert_true(issuer_look(b->issuer, &v));
    assert_null(v.keys);
    assert_false(issuer_look(b->issuer, &v));
    assert_false(issuer_put(b->issuer, NULL));
    assert_true(issuer_put(b->issuer, first));
    assert_false(issuer_put(b->issuer, first));
    assert_int_equal(issuer_count(b->issuer), 1);
    assert_true(issuer_look(b->issuer, &v));
    assert_ptr_equal(v.keys, first);
    assert_true(issuer_put(b->issuer, second));
    assert_ptr_equal(v.keys, first); /* held until the next look */
    assert_true(issuer_look(b->issuer, &v));
    assert_ptr_equal(v.keys, second);
    assert_true(issuer_put(b->issuer, NULL));
    assert_int_equal(issuer_count(b->issuer), 0);
    assert_true(issuer_look(b->issuer, &v));
    assert_null(v.keys);
    issuer_view_done(&v);
    jwks_unref(&first);
    jwks_unref(&second);
}

static void nobody_tends_it(void **state)
{
    struct bench *b = *state;
    assert_false(issuer_want(b->issuer, 1, 1000000));
}

static void a_few_may_come_early(void **state)
{
    struct bench *b = *state;
    uint64_t t = 1000000;
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    issuer_began(b->issuer);
    issuer_ended(b->issuer, t + b->conf.refresh_min_ms); /* the first fetch, by the keeper */
    for (unsigned i = 0; i < ISSUER_EXTRA_FETCHES; i++) {
        assert_true(want(b, t + 100 * (i + 1)));
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_false(want(b, t + 1000 + i));
    }
    unsigned n = 0;
    for (unsigned i = 0; i < 600; i++) { /* ten minutes of a want each second */
        n += want(b, t + 2000 + 1000 * i) ? 1 : 0;
    }
    assert_in_range(n, 19, 20);
    t += UINT64_C(3600000);
    for (unsigned i = 0; i <= ISSUER_EXTRA_FETCHES; i++) {
        assert_true(want(b, t + i)); /* all came back */
    }
    assert_false(want(b, t + 100));
}

/* One stranger does not use up what others need; many do, but not what is kept for those who are
 * known. */
static void who_wants_them_counts(void **state)
{
    struct bench *b = *state;
    uint64_t t = 1000000;
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    issuer_began(b->issuer);
    issuer_ended(b->issuer, t + b->conf.refresh_min_ms);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(want_from(b, 1, t + i) == (i < ISSUER_STRANGER_FETCHES));
    }
    issuer_know(b->issuer, 7);
    assert_true(want_from(b, 2, t + 200)); /* the third; all the others come too late */
    for (unsigned i = 0; i < 100; i++) {
        assert_false(want_from(b, 100 + i, t + 300));
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_true(want_from(b, 7, t + 400 + i) == (i < ISSUER_KNOWN_FETCHES));
    }
    for (unsigned i = 0; i < ISSUER_MAX_KNOWN; i++) {
        issuer_know(b->issuer, 1000 + i);
        issuer_know(b->issuer, 1000);
    }
    t += UINT64_C(3600000);
    for (unsigned i = 0; i < 100; i++) { /* it is a stranger again */
        assert_true(want_from(b, 7, t + i) == (i < ISSUER_STRANGER_FETCHES));
    }
    assert_true(want_from(b, 1000, t + 200)); /* it has always been there */
}

static void nobody_tends_it_any_more(void **state)
{
    struct bench *b = *state;
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    assert_true(want(b, 1000000));
    issuer_began(b->issuer);
    assert_false(issuer_is_left(b->issuer));
    issuer_tend(b->issuer, b->loop, on_wanted, NULL);
    assert_true(issuer_is_left(b->issuer));
    assert_false(issuer_want(b->issuer, 1, 1000000)); /* although one is under way */
}

static void many_wants_are_one(void **state)
{
    struct bench *b = *state;
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    for (int i = 0; i < 100; i++) {
        assert_true(issuer_want(b->issuer, 1, 1000000));
    }
    run(b);
    assert_int_equal(b->n_woken, 1);
    assert_true(issuer_want(b->issuer, 1, 1000000)); /* under way */
    run(b);
    assert_int_equal(b->n_woken, 1);
    issuer_ended(b->issuer, 0);
    assert_true(want(b, 1000001));
}

static void memory_is_refused(void **state)
{
    struct bench *b = *state;
    int n = 0;
    for (frun_err err = FRUN_E_NOMEM; err; n++) {
        struct issuer *i = NULL;
        left = n;
        err = issuer_new(&b->conf, &i);
        left = -1;
        assert_true(err == FRUN_OK ? i != NULL : err == FRUN_E_NOMEM && i == NULL);
        issuer_unref(&i);
    }
    assert_true(n > 2);
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    left = 0;
    assert_false(issuer_want(b->issuer, 1, 1000000)); /* the keeper could not be told */
    left = -1;
    assert_true(want(b, 1000001)); /* and is, the next time */
}

static void same_place(void **state)
{
    struct bench *b = *state;
    struct conf_issuer other = b->conf;
    struct secret *password = NULL;
    assert_true(issuer_is_of(b->issuer, &b->conf));
    other.audience.n = 7; /* decides about tokens, not about keys */
    assert_true(issuer_is_of(b->issuer, &other));
    other.ca = "/etc/ca.pem";
    assert_false(issuer_is_of(b->issuer, &other));
    other = b->conf;
    other.jwks_url = NULL;
    assert_false(issuer_is_of(b->issuer, &other));
    other = b->conf;
    assert_int_equal(secret_new(SPAN_LIT("another"), &password), FRUN_OK);
    other.proxy_password = password;
    assert_false(issuer_is_of(b->issuer, &other));
    secret_free(password);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(views, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_tends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_few_may_come_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_wants_them_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_tends_it_any_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_wants_are_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_place, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
