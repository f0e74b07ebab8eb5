/**
 * Keeping issuers' keys: the first fetch, failures, stale keys, reloads while a fetch is under way.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/issuer_keys.h"

#include "frun/base/mono.h"
#include "frun/oauth/issuer.h"
#include "gateway_fixture.h"
#include "issuer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static atomic_uint_fast64_t later_ms; /* added to the clock of the keeper */
static atomic_int n_fetches;
static atomic_bool is_held;   /* fetches wait */
static _Atomic frun_err with; /* what a fetch ends with */
static atomic_bool is_poor;   /* no memory for mail */
static struct jwks *keys;     /* what it brings */

uint64_t __real_mono_now_ms(void);
uint64_t __wrap_mono_now_ms(void);
frun_err __real_loop_post(struct loop *l, loop_job_fn fn, void *arg);
frun_err __wrap_loop_post(struct loop *l, loop_job_fn fn, void *arg);
frun_err __wrap_issuer_fetch(const struct conf_issuer *c, const atomic_bool *stop,
                             struct issuer_catch *out, struct diag *d);

uint64_t __wrap_mono_now_ms(void)
{
    return __real_mono_now_ms() + atomic_load(&later_ms);
}

frun_err __wrap_loop_post(struct loop *l, loop_job_fn fn, void *arg)
{
    return atomic_load(&is_poor) ? FRUN_E_NOMEM : __real_loop_post(l, fn, arg);
}

frun_err __wrap_issuer_fetch(const struct conf_issuer *c, const atomic_bool *stop,
                             struct issuer_catch *out, struct diag *d)
{
    (void)c;
    (void)atomic_fetch_add(&n_fetches, 1);
    while (atomic_load(&is_held) && !atomic_load(stop)) {
        (void)usleep(1000);
    }
    frun_err err = atomic_load(&with);
    if (err) {
        diag_set(d, "as the test says");
        return err;
    }
    *out = (struct issuer_catch){.keys = jwks_ref(keys), .url = "https://idp.example.com/keys"};
    return FRUN_OK;
}

struct bench {
    struct fixture f;
    struct conf_issuer idp;
    const struct conf_issuer *issuers[1];
    struct gateway_shared shared;
    struct registry *registry;
    struct issuer_keys *keeper;
    struct issuer *issuer; /* counted */
};

static struct bench *now;

static void make_keys(void)
{
    char text[FIXTURE_SET];
    struct jwks_skipped skipped;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    (void)snprintf(text, sizeof(text), "{\"keys\":[%s]}", fixture_jwk(pkey, ",\"kid\":\"k\""));
    assert_int_equal(jwks_parse(span_of(text), &keys, &skipped), FRUN_OK);
    EVP_PKEY_free(pkey);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    fixture_init(&b->f);
    atomic_store(&later_ms, 0);
    atomic_store(&n_fetches, 0);
    atomic_store(&is_held, false);
    atomic_store(&is_poor, false);
    atomic_store(&with, FRUN_OK);
    make_keys();
    b->idp = (struct conf_issuer){.place = {.name = "IDP"},
                                  .issuer = "https://idp.example.com",
                                  .refresh_ms = 3600000,
                                  .refresh_min_ms = 1000,
                                  .stale_ms = 7200000};
    b->issuers[0] = &b->idp;
    b->f.gw.issuers = b->issuers;
    b->f.gw.n_issuers = 1;
    assert_int_equal(loop_new(&b->shared.main_loop), FRUN_OK);
    assert_int_equal(registry_new(&b->f.gw, NULL, &b->registry), FRUN_OK);
    b->issuer = issuer_ref(registry_issuers(b->registry)->all[0].issuer);
    assert_int_equal(issuer_keys_new(b->shared.main_loop, &b->shared, &b->keeper), FRUN_OK);
    now = b;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    issuer_keys_stop(b->keeper);
    loop_free(b->shared.main_loop);
    issuer_keys_free(b->keeper);
    issuer_unref(&b->issuer);
    registry_unref(&b->registry);
    jwks_unref(&keys);
    fixture_done(&b->f);
    free(b);
    return 0;
}

static void on_end(struct deadline *d)
{
    (void)d;
    loop_stop(now->shared.main_loop);
}

static void turn(struct bench *b, uint64_t ms)
{
    struct deadline end;
    deadline_init(&end, on_end);
    deadline_set(b->shared.main_loop, &end, ms);
    loop_run(b->shared.main_loop);
}

static void until_fetches(struct bench *b, int n)
{
    for (int i = 0; i < 2000 && atomic_load(&n_fetches) < n; i++) {
        turn(b, 5);
    }
    assert_int_equal(atomic_load(&n_fetches), n);
    turn(b, 50);
}

static void follow(struct bench *b)
{
    assert_int_equal(issuer_keys_follow(b->keeper, b->registry), FRUN_OK);
}

static void comes_at_the_start(void **state)
{
    struct bench *b = *state;
    follow(b);
    until_fetches(b, 1);
    assert_int_equal(issuer_count(b->issuer), 1);
    follow(b); /* a reload that changes nothing */
    turn(b, 50);
    assert_int_equal(atomic_load(&n_fetches), 1);
    assert_true(issuer_want(b->issuer, 1, mono_now_ms()));
    until_fetches(b, 2);
}

static void until_keys(struct bench *b, size_t n)
{
    for (int i = 0; i < 2000 && issuer_count(b->issuer) != n; i++) {
        turn(b, 5);
    }
    assert_int_equal(issuer_count(b->issuer), n);
}

/* Clocks jump, so that timers run out too: how many fetches there are does not matter. */
static void failure_and_stale_keys(void **state)
{
    struct bench *b = *state;
    follow(b);
    until_fetches(b, 1);
    atomic_store(&with, FRUN_E_CONNECT);
    assert_true(issuer_want(b->issuer, 1, mono_now_ms()));
    until_fetches(b, 2);
    assert_int_equal(issuer_count(b->issuer), 1); /* used on */
    atomic_store(&later_ms, b->idp.stale_ms + 1000);
    until_keys(b, 0);
    atomic_store(&with, FRUN_OK);
    atomic_store(&later_ms, 2 * b->idp.stale_ms);
    until_keys(b, 1);
}

/* The section goes while its keys are on their way. */
static void leaves_in_the_middle(void **state)
{
    struct bench *b = *state;
    struct registry *without = NULL;
    atomic_store(&is_held, true);
    follow(b);
    until_fetches(b, 1);
    b->f.gw.n_issuers = 0;
    assert_int_equal(registry_next(&b->f.gw, b->registry, NULL, &without), FRUN_OK);
    assert_int_equal(issuer_keys_follow(b->keeper, without), FRUN_OK);
    atomic_store(&is_held, false);
    turn(b, 100);
    assert_int_equal(issuer_count(b->issuer), 0);
    /* Who still has the old registry asks in vain, and is not left waiting for ever. */
    (void)issuer_want(b->issuer, 1, mono_now_ms());
    turn(b, 20);
    assert_int_equal(atomic_load(&n_fetches), 1);
    registry_unref(&without);
}

static void ends_in_the_middle(void **state)
{
    struct bench *b = *state;
    atomic_store(&is_held, true);
    follow(b);
    until_fetches(b, 1); /* the rest is tear_down()'s */
}

static void ends_when_dropped_in_the_middle(void **state)
{
    struct bench *b = *state;
    struct registry *without = NULL;
    atomic_store(&is_held, true);
    follow(b);
    until_fetches(b, 1);
    b->f.gw.n_issuers = 0;
    assert_int_equal(registry_next(&b->f.gw, b->registry, NULL, &without), FRUN_OK);
    assert_int_equal(issuer_keys_follow(b->keeper, without), FRUN_OK);
    registry_unref(&without);
}

static void no_memory_to_tell(void **state)
{
    struct bench *b = *state;
    follow(b);
    until_fetches(b, 1);
    atomic_store(&is_poor, true);
    assert_false(issuer_want(b->issuer, 1, mono_now_ms()));
    atomic_store(&is_poor, false);
    assert_true(issuer_want(b->issuer, 1, mono_now_ms()));
    until_fetches(b, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_at_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failure_and_stale_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_when_dropped_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_to_tell, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
