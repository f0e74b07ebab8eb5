/**
 * Tokens of issuers on one worker: whom they mean, who waits for keys, what is remembered of them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/guests.h"

#include "frun/access/auth.h"
#include "frun/base/mono.h"
#include "gateway_fixture.h"
#include "issuer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static uint64_t later_ms; /* added to the clocks */

/* What happens when the clock is read by issuer_want(): a fetch that ends right then. */
static void (*on_clock)(void);

uint64_t __real_loop_now_ms(const struct loop *l);
uint64_t __wrap_loop_now_ms(const struct loop *l);
uint64_t __real_mono_now_ms(void);
uint64_t __wrap_mono_now_ms(void);

uint64_t __wrap_loop_now_ms(const struct loop *l)
{
    return __real_loop_now_ms(l) + later_ms;
}

uint64_t __wrap_mono_now_ms(void)
{
    void (*fn)(void) = on_clock;
    on_clock = NULL;
    if (fn) {
        fn();
    }
    return __real_mono_now_ms() + later_ms;
}

struct bench {
    struct fixture f;
    struct conf_issuer idp;
    const struct conf_issuer *issuers[1];
    const char *audience[1];
    const char *algorithms[1];
    const char *client[1];
    struct registry *registry;
    const struct endpoint *endpoints;
    struct issuer *issuer; /* the registry's */
    struct loop *loop;
    struct offload *hashers;
    struct auth *auth;
    EVP_PKEY *old;
    EVP_PKEY *fresh;
    int n_wanted;
};

static struct bench *now;

static void on_wanted(void *arg)
{
    struct issuer *i = arg;
    now->n_wanted++;
    issuer_began(i);
    issuer_unref(&i);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    size_t n = 0;
    assert_non_null(b);
    fixture_init(&b->f);
    later_ms = 0;
    on_clock = NULL;
    b->audience[0] = "frunproxy";
    b->algorithms[0] = "ES256";
    b->client[0] = "sb-acme";
    b->idp = (struct conf_issuer){.place = {.name = "IDP"},
                                  .issuer = "https://idp.example.com",
                                  .jwks_url = "https://idp.example.com/keys",
                                  .audience = {.items = b->audience, .n = 1},
                                  .algorithms = {.items = b->algorithms, .n = 1},
                                  .clock_skew_ms = 60000,
                                  .refresh_min_ms = 30000};
    b->issuers[0] = &b->idp;
    b->f.gw.issuers = b->issuers;
    b->f.gw.n_issuers = 1;
    b->f.s4_acme.ways |= CONF_AUTH_JWT;
    b->f.s4_acme.issuer = &b->idp;
    b->f.s4_acme.token_client = (struct conf_list){.items = b->client, .n = 1};
    b->old = EVP_EC_gen("P-256");
    b->fresh = EVP_EC_gen("P-256");
    assert_int_equal(registry_new(&b->f.gw, NULL, &b->registry), FRUN_OK);
    assert_int_equal(loop_new(&b->loop), FRUN_OK);
    assert_int_equal(offload_new(1, 8, &b->hashers), FRUN_OK);
    assert_int_equal(auth_new(b->loop, b->hashers, &b->auth), FRUN_OK);
    b->endpoints = registry_endpoints(b->registry, &n);
    b->issuer = registry_issuers(b->registry)->all[0].issuer;
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    now = b;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    on_clock = NULL;
    offload_free(b->hashers);
    auth_free(b->auth);
    loop_free(b->loop);
    registry_unref(&b->registry);
    EVP_PKEY_free(b->old);
    EVP_PKEY_free(b->fresh);
    fixture_done(&b->f);
    free(b);
    return 0;
}

/* The issuer shows these; NULL: one less. */
static void show(struct bench *b, const EVP_PKEY *one, const EVP_PKEY *two)
{
    char text[FIXTURE_SET];
    struct jwks *k = NULL;
    struct jwks_skipped skipped;
    const char *a = one ? fixture_jwk(one, ",\"kid\":\"old\"") : "";
    const char *c = two ? fixture_jwk(two, ",\"kid\":\"fresh\"") : "";
    (void)snprintf(text, sizeof(text), "{\"keys\":[%s%s%s]}", a, one && two ? "," : "", c);
    assert_int_equal(jwks_parse(span_of(text), &k, &skipped), FRUN_OK);
    (void)issuer_put(b->issuer, k);
    jwks_unref(&k);
}

static struct span token(EVP_PKEY *k, const char *kid, char out[FIXTURE_TEXT])
{
    char header[128];
    char claims[512];
    unsigned long long at = (unsigned long long)time(NULL);
    (void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"https://idp.example.com\",\"aud\":\"frunproxy\",\"azp\":\"sb-acme\","
                   "\"sub\":\"x\",\"iat\":%llu,\"exp\":%llu}",
                   at, at + 600);
    return fixture_token(k, "ES256", header, claims, out);
}

struct asker {
    struct auth_waiter w;
    char value[FIXTURE_TEXT + 8];
    enum auth_verdict verdict;
    const struct pusher *who;
    int n_told;
};

static void on_verdict(struct auth_waiter *w, enum auth_verdict verdict, const struct pusher *who)
{
    struct asker *a = list_entry(w, struct asker, w);
    a->verdict = verdict;
    a->who = who;
    a->n_told++;
}

static enum auth_verdict ask(struct bench *b, struct asker *a, EVP_PKEY *k, const char *kid)
{
    char text[FIXTURE_TEXT];
    memset(a, 0, sizeof(*a));
    list_init(&a->w.node);
    a->w.fn = on_verdict;
    (void)snprintf(a->value, sizeof(a->value), "Bearer %.*s", SPAN_FMT(token(k, kid, text)));
    return auth_check(b->auth, b->registry, &b->endpoints[0], span_of(a->value), &a->w, &a->who);
}

static enum auth_verdict again(struct bench *b, struct asker *a)
{
    return auth_check(b->auth, b->registry, &b->endpoints[0], span_of(a->value), &a->w, &a->who);
}

static void on_end(struct deadline *d)
{
    (void)d;
    loop_stop(now->loop);
}

static void run(struct bench *b)
{
    struct deadline end;
    deadline_init(&end, on_end);
    deadline_set(b->loop, &end, 1);
    loop_run(b->loop);
}

static void unknown_key_waits_for_the_fetch(void **state)
{
    struct bench *b = *state;
    struct asker a;
    struct asker other;
    show(b, b->old, NULL);
    assert_int_equal(ask(b, &a, b->old, "old"), AUTH_GRANTED);
    assert_int_equal(ask(b, &a, b->fresh, "fresh"), AUTH_PENDING);
    assert_int_equal(ask(b, &other, b->fresh, "nobody"), AUTH_PENDING);
    run(b);
    assert_int_equal(b->n_wanted, 1);
    auth_on_issuers(b->auth); /* another issuer's: they wait on */
    assert_int_equal(a.n_told + other.n_told, 0);
    show(b, b->old, b->fresh);
    issuer_ended(b->issuer, 0);
    auth_on_issuers(b->auth);
    run(b);
    assert_int_equal(b->n_wanted, 1); /* one is enough to tell */
    assert_int_equal(a.n_told, 1);
    assert_int_equal(a.verdict, AUTH_GRANTED);
    assert_string_equal(a.who->conf->place.name, "s4-acme");
    assert_int_equal(other.n_told, 1);
    assert_int_equal(other.verdict, AUTH_BAD_TOKEN);
    assert_int_equal(again(b, &a), AUTH_GRANTED);
}

/* The fetch under way may have read what the issuer showed before: one more is made. */
static void joins_a_fetch(void **state)
{
    struct bench *b = *state;
    struct asker a;
    show(b, b->old, NULL);
    issuer_began(b->issuer);
    assert_int_equal(ask(b, &a, b->fresh, "fresh"), AUTH_PENDING);
    run(b);
    assert_int_equal(b->n_wanted, 0);
    issuer_ended(b->issuer, 0);
    auth_on_issuers(b->auth);
    run(b);
    assert_int_equal(a.n_told, 0);
    assert_int_equal(b->n_wanted, 1);
    show(b, b->old, b->fresh);
    issuer_ended(b->issuer, 0);
    auth_on_issuers(b->auth);
    assert_int_equal(a.n_told, 1);
    assert_int_equal(a.verdict, AUTH_GRANTED);
}

/* An issuer that does not answer says nothing of a token. */
static void patience_ends(void **state)
{
    struct bench *b = *state;
    struct asker a;
    show(b, b->old, NULL);
    assert_int_equal(ask(b, &a, b->fresh, "fresh"), AUTH_PENDING);
    run(b);
    later_ms = GUESTS_HOLD_MS + 1;
    auth_on_issuers(b->auth);
    assert_int_equal(a.n_told, 1);
    assert_int_equal(a.verdict, AUTH_NO_KEYS);
    show(b, b->old, b->fresh);
    issuer_ended(b->issuer, 0);
    assert_int_equal(again(b, &a), AUTH_GRANTED);
}

static void made_up_keys_keep_nobody_out(void **state)
{
    struct bench *b = *state;
    struct asker *all = calloc(GUESTS_MAX_WAITING, sizeof(*all));
    struct asker a;
    assert_non_null(all);
    show(b, b->old, NULL);
    for (size_t i = 0; i < GUESTS_MAX_WAITING; i++) {
        if (i == 0) {
            assert_int_equal(ask(b, &all[i], b->fresh, "made-up"), AUTH_PENDING);
            continue;
        }
        memcpy(&all[i], &all[0], sizeof(all[i]));
        list_init(&all[i].w.node);
        assert_int_equal(again(b, &all[i]), AUTH_PENDING);
    }
    assert_int_equal(ask(b, &a, b->fresh, "fresh"), AUTH_NO_KEYS); /* 503, not 401 */
    assert_int_equal(ask(b, &a, b->old, "old"), AUTH_GRANTED);
    for (size_t i = 0; i < GUESTS_MAX_WAITING; i++) {
        auth_forget(&all[i].w);
    }
    free(all);
    assert_int_equal(ask(b, &a, b->fresh, "fresh"), AUTH_PENDING);
    auth_forget(&a.w);
}

/* No key of that name: nothing is remembered, the next look may find it. */
static void unknown_key_is_not_remembered(void **state)
{
    struct bench *b = *state;
    struct asker a;
    show(b, b->old, NULL);
    issuer_ended(b->issuer, UINT64_MAX / 2); /* nothing may be wanted */
    assert_int_equal(ask(b, &a, b->fresh, "fresh"), AUTH_BAD_TOKEN);
    issuer_tend(b->issuer, b->loop, on_wanted, b);
    show(b, b->old, b->fresh);
    assert_int_equal(again(b, &a), AUTH_GRANTED);
}

static void take_old_key_away(void)
{
    show(now, NULL, now->fresh);
}

/* The key goes between the look at the door and the judgement of another token: what was verified
 * with it must not live on in the memory. */
static void a_key_that_goes_in_between(void **state)
{
    struct bench *b = *state;
    struct asker a;
    struct asker other;
    show(b, b->old, NULL);
    issuer_ended(b->issuer, UINT64_MAX / 2);
    assert_int_equal(ask(b, &a, b->old, "old"), AUTH_GRANTED);
    on_clock = take_old_key_away;
    assert_int_equal(ask(b, &other, b->fresh, "fresh"), AUTH_GRANTED);
    assert_int_equal(again(b, &a), AUTH_BAD_TOKEN);
}

static void another_issuer_is_none_of_ours(void **state)
{
    struct bench *b = *state;
    struct asker a;
    show(b, b->old, NULL);
    b->idp.issuer = "https://other.example.com"; /* what the section says now */
    assert_int_equal(ask(b, &a, b->old, "old"), AUTH_BAD_TOKEN);
    assert_int_equal(b->n_wanted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unknown_key_waits_for_the_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(joins_a_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patience_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(made_up_keys_keep_nobody_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_key_is_not_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_goes_in_between, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_issuer_is_none_of_ours, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
