/**
 * Registry and authenticator: who is found, who is let in, what is remembered.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/auth.h"
#include "frun/access/bearer.h"
#include "frun/base/text.h"
#include "gateway_fixture.h"
#include "oauth_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

/* Stands in for crypt_r() while is_counted: every password that begins with "right" is right. */
static atomic_bool is_counted;
static atomic_uint n_hashed;

char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    if (!atomic_load(&is_counted)) {
        return __real_crypt_r(phrase, setting, data);
    }
    (void)atomic_fetch_add(&n_hashed, 1);
    (void)snprintf(data->output, sizeof(data->output), "%s",
                   strncmp(phrase, "right", 5) == 0 ? setting : "*0");
    return data->output;
}

/* Added to both clocks, and to the wall clock alone. */
static uint64_t later_s;
static uint64_t step_s;

time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);
uint64_t __real_loop_now_ms(const struct loop *l);
uint64_t __wrap_loop_now_ms(const struct loop *l);

time_t __wrap_time(time_t *out)
{
    (void)out;
    return __real_time(NULL) + (time_t)(later_s + step_s);
}

uint64_t __wrap_loop_now_ms(const struct loop *l)
{
    return __real_loop_now_ms(l) + later_s * 1000;
}

struct bench {
    struct fixture f;
    struct keys *keys;
    char hash_old[128];
    struct registry *registry;
    const struct endpoint *endpoints;
    struct loop *loop;
    struct offload *hashers;
    struct auth *auth;
};

struct asker {
    struct auth_waiter w;
    struct bench *b;
    enum auth_verdict verdict;
    const struct pusher *who;
    int n_told;
    int n_expected;
    int *n_all;
};

static void fixture_client(struct conf_pusher *p, const char *client_id, const char *hash)
{
    p->ways |= CONF_AUTH_OAUTH2;
    p->client_id = client_id;
    p->secret.hash = hash;
    p->token_lifetime_ms = 7200000;
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    char id[KEYS_ID_BYTES];
    size_t n = 0;
    fixture_init(&b->f);
    later_s = step_s = 0;
    fixture_client(&b->f.s4_acme, "sb-s4-acme", b->f.hash_a);
    fixture_client(&b->f.same_user, "sb-ibp-globex", b->f.hash_g);
    b->f.s4_acme.secret.old_hash = fixture_hash("before", b->hash_old, sizeof(b->hash_old));
    b->f.s4_acme.secret.until_s = (uint64_t)time(NULL) + 3600;
    if (registry_new(&b->f.gw, NULL, &b->registry) || loop_new(&b->loop) ||
        offload_new(1, 8, &b->hashers) || auth_new(b->loop, b->hashers, &b->auth)) {
        return -1;
    }
    b->endpoints = registry_endpoints(b->registry, &n);
    b->keys = fixture_keys(id);
    auth_set_keys(b->auth, b->keys);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    offload_free(b->hashers);
    auth_free(b->auth);
    keys_unref(&b->keys);
    loop_free(b->loop);
    registry_unref(&b->registry);
    fixture_done(&b->f);
    free(b);
    return 0;
}

static void told(struct auth_waiter *w, enum auth_verdict verdict, const struct pusher *who)
{
    struct asker *a = (struct asker *)w;
    a->verdict = verdict;
    a->who = who;
    a->n_told++;
    if (--*a->n_all == 0) {
        loop_stop(a->b->loop);
    }
}

static struct span basic(const char *user_password, char *out)
{
    memcpy(out, "Basic ", 6);
    size_t n = text_base64(span_of(user_password), out + 6);
    return span_make(out, n + 6);
}

/* Ask once, run the loop until there is a verdict. */
static enum auth_verdict ask(struct bench *b, size_t endpoint, const char *credential,
                             const struct pusher **who)
{
    char value[512];
    int n_all = 1;
    struct asker a = {.w = {.fn = told}, .b = b, .n_all = &n_all};
    list_init(&a.w.node);
    enum auth_verdict v = auth_check(b->auth, b->registry, &b->endpoints[endpoint],
                                     basic(credential, value), &a.w, who);
    if (v != AUTH_PENDING) {
        return v;
    }
    loop_run(b->loop);
    assert_int_equal(a.n_told, 1);
    *who = a.who;
    return a.verdict;
}

static void registry_finds(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *label;
        const char *path;
        const char *endpoint;
        const char *rest;
    } rows[] = {
        {"path below the root", "/ACME_PROD/sap/frun/x", "ACME_PROD", "/sap/frun/x"},
        {"bare root", "/ACME_PROD", "ACME_PROD", ""},
        {"root with slash", "/GLOBEX_PROD/", "GLOBEX_PROD", "/"},
        {"unknown", "/INITECH/sap/frun", NULL, NULL},
        {"longer name", "/ACME_PROD2/sap/frun", NULL, NULL},
        {"shorter name", "/ACME/sap/frun", NULL, NULL},
        {"other case", "/acme_prod/sap/frun", NULL, NULL},
        {"root of the gateway", "/", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span rest = {0};
        const struct endpoint *e = registry_find(b->registry, span_of(rows[i].path), &rest);
        if (!rows[i].endpoint) {
            if (e) {
                fail_msg("%s: found %.*s", rows[i].label, SPAN_FMT(e->name));
            }
            continue;
        }
        if (!e || !span_eq(e->name, span_of(rows[i].endpoint)) ||
            !span_eq(rest, span_of(rows[i].rest))) {
            fail_msg("%s: wrong endpoint or rest", rows[i].label);
        }
    }
}

static void registry_prepares_logon_and_virtual_host(void **state)
{
    struct bench *b = *state;
    const struct policy *p = &b->endpoints[0].policy;
    char want[128];
    assert_true(span_eq(p->authorization, basic("FRUN_PUSH:backend-secret", want)));
    assert_true(span_eq(p->virtual_host, SPAN_LIT("fr1_frun")));
    assert_true(span_eq(p->public_host, SPAN_LIT("push.example.com")));
    assert_true(span_eq(b->endpoints[0].allow, SPAN_LIT("GET, HEAD, POST, PUT")));
}

static void verdicts(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *label;
        size_t endpoint;
        const char *credential;
        enum auth_verdict want;
        const char *who;
    } rows[] = {
        {"right", 0, "s4push:right", AUTH_GRANTED, "s4-acme"},
        {"same user name, other customer's password", 0, "s4push:other", AUTH_REFUSED, NULL},
        {"same user name at the other endpoint", 1, "s4push:other", AUTH_GRANTED, "s4-globex"},
        {"wrong password", 0, "s4push:wrong", AUTH_REFUSED, NULL},
        {"empty password", 0, "s4push:", AUTH_REFUSED, NULL},
        {"unknown user", 0, "nobody:right", AUTH_REFUSED, NULL},
        {"right credential, endpoint not listed", 0, "ibp:right", AUTH_FOREIGN, "ibp-globex"},
        {"wrong credential, endpoint not listed", 0, "ibp:wrong", AUTH_REFUSED, NULL},
        {"no colon", 0, "s4push", AUTH_MISSING, NULL},
    };
    for (int round = 0; round < 2; round++) { /* the second round is answered from memory */
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            const struct pusher *who = NULL;
            enum auth_verdict v = ask(b, rows[i].endpoint, rows[i].credential, &who);
            if (v != rows[i].want) {
                fail_msg("%s (round %d): verdict %d, wanted %d", rows[i].label, round, (int)v,
                         (int)rows[i].want);
            }
            if (rows[i].who && (!who || !span_eq(who->name, span_of(rows[i].who)))) {
                fail_msg("%s (round %d): wrong pusher", rows[i].label, round);
            }
        }
    }
}

static void what_was_verified_is_remembered_per_endpoint(void **state)
{
    struct bench *b = *state;
    const struct pusher *who = NULL;
    char value[128];
    struct auth_waiter w = {.fn = told};
    list_init(&w.node);
    assert_int_equal(ask(b, 0, "s4push:right", &who), AUTH_GRANTED);
    struct span v = basic("s4push:right", value);
    assert_int_equal(auth_check(b->auth, b->registry, &b->endpoints[0], v, &w, &who), AUTH_GRANTED);
    assert_int_equal(auth_check(b->auth, b->registry, &b->endpoints[1], v, &w, &who), AUTH_PENDING);
    auth_forget(&w);
}

/* -- another registry */

static void no_change(struct fixture *f)
{
    (void)f;
}

static void swap_endpoints(struct fixture *f)
{
    f->endpoints[0] = &f->globex;
    f->endpoints[1] = &f->acme;
}

static void change_password(struct fixture *f)
{
    f->s4_acme.password.hash = f->hash_g;
}

static void turn_password(struct fixture *f)
{
    f->s4_acme.password = (struct conf_proof){
        .hash = f->hash_g, .old_hash = f->hash_a, .until_s = (uint64_t)time(NULL) + 60};
}

static void end_old_password(struct fixture *f)
{
    turn_password(f);
    f->s4_acme.password.until_s = (uint64_t)time(NULL) - 60;
}

static void disable(struct fixture *f)
{
    f->s4_acme.is_enabled = false;
}

static void take_endpoint_away(struct fixture *f)
{
    f->s4_acme.endpoints = f->globex_only;
}

static void give_endpoint(struct fixture *f)
{
    f->same_user.endpoints = f->acme_only;
}

static void remove_pusher(struct fixture *f)
{
    f->pushers[0] = &f->s4_globex;
    f->pushers[1] = &f->same_user;
    f->gw.n_pushers = 2;
}

static void rename_endpoint(struct fixture *f)
{
    f->acme.place.name = "ACME_TEST";
}

static void rename_pusher(struct fixture *f)
{
    f->s4_acme.place.name = "ibp-acme";
}

/* What is known of credentials goes over to the next registry where the same hash still proves
 * them, with what that registry says; nobody is verified again for nothing. */
static void memory_goes_over(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        void (*change)(struct fixture *f);
        const char *credential;
        enum auth_verdict before;
        enum auth_verdict want; /* PENDING: not known any more */
        const char *who;
        bool is_old;
    } rows[] = {
        {"nothing", no_change, "s4push:right", AUTH_GRANTED, AUTH_GRANTED, "s4-acme", false},
        {"foreign", no_change, "ibp:right", AUTH_FOREIGN, AUTH_FOREIGN, "ibp-globex", false},
        {"order", swap_endpoints, "s4push:right", AUTH_GRANTED, AUTH_GRANTED, "s4-acme", false},
        {"password", change_password, "s4push:right", AUTH_GRANTED, AUTH_PENDING, NULL, false},
        {"now the old password", turn_password, "s4push:right", AUTH_GRANTED, AUTH_GRANTED,
         "s4-acme", true},
        {"ended", end_old_password, "s4push:right", AUTH_GRANTED, AUTH_PENDING, NULL, false},
        {"disabled", disable, "s4push:right", AUTH_GRANTED, AUTH_PENDING, NULL, false},
        {"endpoint taken away", take_endpoint_away, "s4push:right", AUTH_GRANTED, AUTH_FOREIGN,
         "s4-acme", false},
        {"endpoint given", give_endpoint, "ibp:right", AUTH_FOREIGN, AUTH_GRANTED, "ibp-globex",
         false},
        {"pusher removed", remove_pusher, "s4push:right", AUTH_GRANTED, AUTH_PENDING, NULL, false},
        {"pusher renamed", rename_pusher, "s4push:right", AUTH_GRANTED, AUTH_GRANTED, "ibp-acme",
         false},
        {"endpoint renamed", rename_endpoint, "s4push:right", AUTH_GRANTED, AUTH_PENDING, NULL,
         false},
        {"refused", no_change, "s4push:wrong", AUTH_REFUSED, AUTH_PENDING, NULL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        void *made = NULL;
        assert_int_equal(set_up(&made), 0);
        struct bench *b = made;
        struct registry *next = NULL;
        struct fixture f;
        const struct pusher *who = NULL;
        char value[128];
        struct auth_waiter w = {.fn = told};
        list_init(&w.node);
        fixture_init(&f);
        rows[i].change(&f);
        auth_set_registry(b->auth, b->registry);
        enum auth_verdict v = ask(b, 0, rows[i].credential, &who);
        assert_int_equal(registry_next(&f.gw, b->registry, NULL, &next), FRUN_OK);
        const struct endpoint *e = registry_endpoint_of(next, b->endpoints[0].serial);
        e = e ? e : registry_endpoints(next, &(size_t){0});
        auth_set_registry(b->auth, next);
        struct span shown = basic(rows[i].credential, value);
        enum auth_verdict now = auth_check(b->auth, next, e, shown, &w, &who);
        if (v != rows[i].before || now != rows[i].want ||
            (rows[i].who &&
             (!span_eq(who->name, span_of(rows[i].who)) ||
              who != registry_pusher_named(next, who->name) || w.is_old != rows[i].is_old))) {
            fail_msg("%s: %d, then %d", rows[i].label, (int)v, (int)now);
        }
        auth_forget(&w);
        /* Who still has the former registry hears nothing of this one. */
        assert_int_equal(auth_check(b->auth, b->registry, &b->endpoints[0], shown, &w, &who),
                         AUTH_PENDING);
        auth_forget(&w);
        (void)tear_down(&made);
        registry_unref(&next);
        fixture_done(&f);
    }
}

static void malformed_values_are_missing(void **state)
{
    struct bench *b = *state;
    static const char *const values[] = {"",          "Basic",    "Basic ",  "Bearer",
                                         "Basic %%%", "Basic YQ", "Digest x"};
    const struct pusher *who = NULL;
    struct auth_waiter w = {.fn = told};
    list_init(&w.node);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        enum auth_verdict v =
            auth_check(b->auth, b->registry, &b->endpoints[0], span_of(values[i]), &w, &who);
        if (v != AUTH_MISSING) {
            fail_msg("\"%s\": verdict %d", values[i], (int)v);
        }
    }
}

static void a_burst_is_verified_once(void **state)
{
    struct bench *b = *state;
    enum { N = 50 };
    struct asker askers[N];
    char value[128];
    struct span v = basic("s4push:right", value);
    int n_all = N;
    for (int i = 0; i < N; i++) { /* the queue holds 8: more jobs than one would be refused */
        const struct pusher *who = NULL;
        askers[i] = (struct asker){.w = {.fn = told}, .b = b, .n_all = &n_all};
        list_init(&askers[i].w.node);
        assert_int_equal(auth_check(b->auth, b->registry, &b->endpoints[0], v, &askers[i].w, &who),
                         AUTH_PENDING);
    }
    loop_run(b->loop);
    for (int i = 0; i < N; i++) {
        assert_int_equal(askers[i].verdict, AUTH_GRANTED);
        assert_int_equal(askers[i].n_told, 1);
    }
}

static void too_many_new_credentials_are_busy(void **state)
{
    struct bench *b = *state;
    struct auth_waiter w[200];
    int n_busy = 0;
    for (int i = 0; i < 200; i++) {
        char text[32];
        char value[128];
        const struct pusher *who = NULL;
        w[i] = (struct auth_waiter){.fn = told};
        list_init(&w[i].node);
        (void)snprintf(text, sizeof(text), "s4push:guess%d", i);
        n_busy += auth_check(b->auth, b->registry, &b->endpoints[0], basic(text, value), &w[i],
                             &who) == AUTH_BUSY;
    }
    assert_true(n_busy > 100);
    for (int i = 0; i < 200; i++) {
        auth_forget(&w[i]);
    }
}

/* Push with each of @p n credentials in turn, @p rounds times; hashes that the last round took. */
static unsigned hashes_of_last_round(struct bench *b, int n, int rounds)
{
    unsigned before = 0;
    atomic_store(&n_hashed, 0);
    atomic_store(&is_counted, true);
    for (int round = 0; round < rounds; round++) {
        before = atomic_load(&n_hashed);
        for (int i = 0; i < n; i++) {
            char text[32];
            const struct pusher *who = NULL;
            (void)snprintf(text, sizeof(text), "s4push:right%d", i);
            assert_int_equal(ask(b, 0, text, &who), AUTH_GRANTED);
        }
    }
    atomic_store(&is_counted, false);
    return atomic_load(&n_hashed) - before;
}

/* With places shared by a few, some of 1000 credentials pushed one another out for ever, and each
 * of their pushes cost a hash. */
static void credentials_in_use_are_verified_once(void **state)
{
    static const int counts[] = {1, 1000, AUTH_MAX_CACHED};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        assert_int_equal(hashes_of_last_round(*state, counts[i], 3), 0);
        /* what the rounds before have left of them is still known */
        assert_int_equal(atomic_load(&n_hashed), i ? counts[i] - counts[i - 1] : counts[i]);
    }
}

/* A tenth more than there is room for: the oldest is always the one that comes next, so whoever
 * gives the oldest up verifies every push. */
static void more_than_are_remembered_cost_little(void **state)
{
    int n = AUTH_MAX_CACHED + AUTH_MAX_CACHED / 10;
    unsigned n_hashes = hashes_of_last_round(*state, n, 6);
    assert_in_range(n_hashes, n - AUTH_MAX_CACHED, n / 4);
}

/* Guessing leaves what is known to be good alone. */
static void guesses_push_nothing_out(void **state)
{
    struct bench *b = *state;
    (void)hashes_of_last_round(b, AUTH_MAX_CACHED, 1);
    atomic_store(&is_counted, true);
    for (int i = 0; i < 2000; i++) {
        char text[32];
        const struct pusher *who = NULL;
        (void)snprintf(text, sizeof(text), "s4push:guess%d", i);
        assert_int_equal(ask(b, 0, text, &who), AUTH_REFUSED);
    }
    assert_int_equal(hashes_of_last_round(b, AUTH_MAX_CACHED, 1), 0);
}

/* -- tokens
 * ------------------------------------------------------------------------------------------------------
 */

/* What a token says that is not as it should be. */
struct twist {
    const char *client_id;
    const char *issuer;
    const char *generation; /* hash of the secret */
    int issued;             /* from now, seconds */
    int expires;            /* from now, seconds */
    bool is_foreign;        /* signed by somebody else's key */
};

/* "Bearer ..." signed with what @p t says. */
static struct span bearer(const struct bench *b, const struct twist *t, char *out)
{
    struct jwt_realm realm = {t->issuer ? t->issuer : "https://push.example.com", BEARER_SCOPE};
    struct jwt_claims c = {.issued_s = (uint64_t)(time(NULL) + t->issued),
                           .expires_s = (uint64_t)(time(NULL) + (t->expires ? t->expires : 60))};
    char id[KEYS_ID_BYTES];
    struct keys *foreign = t->is_foreign ? fixture_keys(id) : NULL;
    size_t n = 0;
    (void)snprintf(c.client_id, sizeof(c.client_id), "%s",
                   t->client_id ? t->client_id : "sb-s4-acme");
    assert_int_equal(jwt_generation(t->generation ? t->generation : b->f.hash_a, c.generation),
                     FRUN_OK);
    memcpy(out, "Bearer ", 7);
    assert_int_equal(jwt_sign(foreign ? foreign : b->keys, &realm, &c, "jti", out + 7, &n),
                     FRUN_OK);
    keys_unref(&foreign);
    return span_make(out, n + 7);
}

static enum auth_verdict show(struct bench *b, size_t endpoint, struct span value,
                              struct auth_waiter *w, const struct pusher **who)
{
    *w = (struct auth_waiter){.fn = told};
    *who = NULL;
    list_init(&w->node);
    return auth_check(b->auth, b->registry, &b->endpoints[endpoint], value, w, who);
}

static void tokens(void **state)
{
    struct bench *b = *state;
    const struct {
        const char *label;
        size_t endpoint;
        struct twist t;
        enum auth_verdict want;
        const char *say; /* whose it is, or in why */
        bool is_old;
    } rows[] = {
        {"good", 0, {0}, AUTH_GRANTED, "s4-acme", false},
        {"good, at another endpoint", 1, {0}, AUTH_FOREIGN, "s4-acme", false},
        {"of the old secret", 0, {.generation = b->hash_old}, AUTH_GRANTED, "s4-acme", true},
        {"of a secret that is gone", 0, {.generation = "x"}, AUTH_BAD_TOKEN, "secret", false},
        {"of another's secret", 0, {.generation = b->f.hash_g}, AUTH_BAD_TOKEN, "secret", false},
        {"unknown client", 0, {.client_id = "nobody"}, AUTH_BAD_TOKEN, "pusher", false},
        {"pusher without tokens", 0, {.client_id = "s4-globex"}, AUTH_BAD_TOKEN, "pusher", false},
        {"a user name", 0, {.client_id = "s4push"}, AUTH_BAD_TOKEN, "pusher", false},
        {"other issuer", 0, {.issuer = "https://x"}, AUTH_BAD_TOKEN, "somebody else", false},
        {"somebody's key", 0, {.is_foreign = true}, AUTH_BAD_TOKEN, "not known here", false},
        {"expired", 0, {.issued = -60, .expires = -1}, AUTH_BAD_TOKEN, "expired", false},
        {"from the future", 0, {.issued = 90, .expires = 99}, AUTH_BAD_TOKEN, "yet", false},
        {"a clock that is early", 0, {.issued = 30}, AUTH_GRANTED, "s4-acme", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[JWT_MAX_BYTES + 8];
        struct span value = bearer(b, &rows[i].t, text);
        for (int round = 0; round < 2; round++) { /* the second round is answered from memory */
            struct auth_waiter w;
            const struct pusher *who = NULL;
            enum auth_verdict v = show(b, rows[i].endpoint, value, &w, &who);
            const char *said = v == AUTH_BAD_TOKEN ? w.why : who ? who->conf->place.name : NULL;
            if (v != rows[i].want || w.is_old != rows[i].is_old || w.way != CONF_AUTH_OAUTH2 ||
                !said || !strstr(said, rows[i].say)) {
                fail_msg("%s (round %d): verdict %d, \"%s\"", rows[i].label, round, (int)v,
                         said ? said : "");
            }
        }
    }
}

/* Both schemes share a memory: what one has shown must not speak for the other. */
static void a_password_is_no_token(void **state)
{
    struct bench *b = *state;
    char text[128];
    char as_token[136] = "Bearer ";
    struct auth_waiter w;
    const struct pusher *who = NULL;
    struct span value = basic("s4push:right", text);
    size_t n = value.n - 6;
    memcpy(as_token + 7, value.p + 6, n);
    assert_int_equal(show(b, 0, span_make(as_token, n + 7), &w, &who), AUTH_BAD_TOKEN);
    assert_int_equal(ask(b, 0, "s4push:right", &who), AUTH_GRANTED);
    assert_int_equal(show(b, 0, span_make(as_token, n + 7), &w, &who), AUTH_BAD_TOKEN);
    assert_null(who);
}

static void a_token_ends_in_memory(void **state)
{
    struct bench *b = *state;
    char text[JWT_MAX_BYTES + 8];
    struct auth_waiter w;
    const struct pusher *who = NULL;
    struct span value = bearer(b, &(struct twist){.expires = 1000}, text);
    for (later_s = 0; later_s < 995; later_s += 199) {
        assert_int_equal(show(b, 0, value, &w, &who), AUTH_GRANTED);
    }
    later_s = 1001;
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_BAD_TOKEN);
}

/* The machine slept, or its clock was put right: what is used all the time ends nevertheless. */
static void memory_follows_the_wall_clock(void **state)
{
    struct bench *b = *state;
    char text[JWT_MAX_BYTES + 8];
    struct auth_waiter w;
    const struct pusher *who = NULL;
    struct span value = bearer(b, &(struct twist){.expires = 7200}, text);
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_GRANTED);
    step_s = 7201;
    for (int i = 0; i < 10; i++) {
        later_s += AUTH_GOOD_MS / 10000;
        (void)show(b, 0, value, &w, &who);
    }
    later_s++;
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_BAD_TOKEN);
}

static void a_key_that_goes_takes_its_tokens_along(void **state)
{
    struct bench *b = *state;
    char id[KEYS_ID_BYTES];
    char text[JWT_MAX_BYTES + 8];
    struct auth_waiter w;
    const struct pusher *who = NULL;
    struct keys *others = fixture_keys(id);
    struct span value = bearer(b, &(struct twist){0}, text);
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_GRANTED);
    auth_set_keys(b->auth, others);
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_BAD_TOKEN);
    auth_set_keys(b->auth, b->keys);
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_GRANTED);
    keys_unref(&others);
}

/* -- clients
 * ------------------------------------------------------------------------------------------------------
 */

static enum auth_verdict prove(struct bench *b, const char *id, const char *secret, struct asker *a)
{
    int n_all = 1;
    const struct pusher *who = NULL;
    *a = (struct asker){.w = {.fn = told}, .b = b, .n_all = &n_all};
    list_init(&a->w.node);
    enum auth_verdict v =
        auth_client(b->auth, b->registry, span_of(id), span_of(secret), &a->w, &who);
    if (v != AUTH_PENDING) {
        a->who = who;
        return v;
    }
    loop_run(b->loop);
    a->n_all = NULL;
    return a->verdict;
}

static void clients(void **state)
{
    struct bench *b = *state;
    static char long_secret[SECRET_MAX_BYTES + 2];
    static const struct {
        const char *label;
        const char *id;
        const char *secret;
        enum auth_verdict want;
        const char *who;
        bool is_old;
    } rows[] = {
        {"right", "sb-s4-acme", "right", AUTH_GRANTED, "s4-acme", false},
        {"the secret before", "sb-s4-acme", "before", AUTH_GRANTED, "s4-acme", true},
        {"wrong", "sb-s4-acme", "wrong", AUTH_REFUSED, NULL, false},
        {"another's secret", "sb-s4-acme", "other", AUTH_REFUSED, NULL, false},
        {"no old secret", "sb-ibp-globex", "before", AUTH_REFUSED, NULL, false},
        {"unknown client", "nobody", "right", AUTH_REFUSED, NULL, false},
        {"a user's name and password", "s4push", "right", AUTH_REFUSED, NULL, false},
        {"other case", "SB-s4-acme", "right", AUTH_REFUSED, NULL, false},
        {"moved border", "sb-s4-acmer", "ight", AUTH_REFUSED, NULL, false},
        {"long", "sb-s4-acme", long_secret, AUTH_REFUSED, NULL, false},
    };
    memset(long_secret, 'x', sizeof(long_secret) - 1);
    for (int round = 0; round < 2; round++) { /* the second round is answered from memory */
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct asker a;
            enum auth_verdict v = prove(b, rows[i].id, rows[i].secret, &a);
            if (v != rows[i].want || a.w.is_old != rows[i].is_old || a.w.way != CONF_AUTH_OAUTH2) {
                fail_msg("%s (round %d): verdict %d", rows[i].label, round, (int)v);
            }
            if (rows[i].who && (!a.who || strcmp(a.who->conf->place.name, rows[i].who) != 0)) {
                fail_msg("%s (round %d): wrong pusher", rows[i].label, round);
            }
        }
    }
}

/* A secret says who asks for tokens; it opens no endpoint by itself. */
static void a_secret_is_no_password(void **state)
{
    struct bench *b = *state;
    struct asker a;
    const struct pusher *who = NULL;
    assert_int_equal(prove(b, "sb-s4-acme", "right", &a), AUTH_GRANTED);
    assert_int_equal(ask(b, 0, "sb-s4-acme:right", &who), AUTH_REFUSED);
}

static void an_old_secret_ends(void **state)
{
    struct bench *b = *state;
    char text[JWT_MAX_BYTES + 8];
    struct auth_waiter w;
    const struct pusher *who = NULL;
    struct asker a;
    struct span value =
        bearer(b, &(struct twist){.generation = b->hash_old, .expires = 7200}, text);
    assert_int_equal(prove(b, "sb-s4-acme", "before", &a), AUTH_GRANTED);
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_GRANTED);
    later_s = 3599;
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_GRANTED);
    later_s = 3601;
    assert_int_equal(show(b, 0, value, &w, &who), AUTH_BAD_TOKEN);
    assert_int_equal(prove(b, "sb-s4-acme", "before", &a), AUTH_REFUSED);
    assert_int_equal(prove(b, "sb-s4-acme", "right", &a), AUTH_GRANTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registry_finds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(registry_prepares_logon_and_virtual_host, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_verified_is_remembered_per_endpoint, set_up,
                                        tear_down),
        cmocka_unit_test(memory_goes_over),
        cmocka_unit_test_setup_teardown(malformed_values_are_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_burst_is_verified_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_new_credentials_are_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credentials_in_use_are_verified_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_are_remembered_cost_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(guesses_push_nothing_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_is_no_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_ends_in_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_follows_the_wall_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_goes_takes_its_tokens_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_is_no_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_secret_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
