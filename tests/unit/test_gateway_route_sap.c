/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/fetch/fetch.h"
#include "frun/fetch/token.h"
#include "frun/gateway/route.h"
#include "frun/gateway/sap_error.h"
#include "frun/gateway/worker.h"
#include "upstream_fixture.h"

#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NO_TUNNEL "There is no SAP Cloud Connector (SCC) connected to your subaccount"
#define AFFINITY  "One of the headers [X] was set with a different value"
#define DENIED    "Access denied to system frun-virtual:443."

/* What the owner of a call does, and when. */
enum whim { OBEDIENT, CANCEL_IN_HEAD, CANCEL_IN_BODY, CANCEL_WHILE_HELD, CANCEL_AT_ONCE };

struct client {
    struct rig *r;
    struct call *c;
    enum whim whim;
    size_t take_max; /* octets taken at a time, 0: all */
    struct later resume;
    unsigned status;
    size_t got;
    char text[256];
    unsigned heads, ends, fails, cancels;
    struct call_failure failure;
};

struct world {
    struct rig rig;
    struct gateway_shared shared;
    struct conf_gateway gateway;
    struct conf_gw conf;
    struct conf_sap sap;
    struct conf_endpoint endpoint;
    struct sap_proxy proxy;
    struct sap_state state;
    struct endpoint e;
    struct worker w;
    struct token_office *office;
    struct token *token;
    struct route *route;
    struct client k;
    struct hub_waiter waiter;
    unsigned woken;
};

static frun_err fake_fetch(const struct fetch_request *r, struct fetch_answer *out, struct diag *d)
{
    (void)d;
    *out = (struct fetch_answer){.status = 200, .is_secret = r->is_secret};
    buf_init(&out->head, 100);
    buf_init(&out->body, 1000);
    return buf_printf(&out->body, "{\"access_token\":\"t1\",\"expires_in\":3600}");
}

static bool is_gone(void *arg)
{
    const struct client *k = arg;
    return k->ends + k->fails + k->cancels > 0;
}

static void cancel(struct client *k)
{
    k->cancels++;
    k->c->ops->cancel(k->c);
    rig_look(k->r);
}

static void on_head(void *owner, const struct head *h)
{
    struct client *k = owner;
    assert_false(is_gone(k));
    k->heads++;
    k->status = h->status;
    for (size_t i = 0; i < h->n_fields; i++) {
        assert_true(
            head_is_token(h->fields[i].name)); /* a held head borrows nothing that is gone */
    }
    if (k->whim == CANCEL_IN_HEAD) {
        cancel(k);
    }
}

static size_t on_body(void *owner, struct span data)
{
    struct client *k = owner;
    assert_false(is_gone(k));
    assert_int_equal(k->heads, 1);
    if (k->whim == CANCEL_IN_BODY) {
        cancel(k);
        return 0;
    }
    size_t n = k->take_max && k->take_max < data.n ? k->take_max : data.n;
    for (size_t i = 0; i < n && k->got + i < sizeof(k->text) - 1; i++) {
        k->text[k->got + i] = data.p[i];
    }
    k->got += n;
    if (n < data.n) {
        later_arm(k->r->l, &k->resume);
    }
    return n;
}

static void on_resume(struct later *l)
{
    struct client *k = list_entry(l, struct client, resume);
    if (is_gone(k)) {
        return;
    }
    if (k->whim == CANCEL_WHILE_HELD) {
        cancel(k);
    } else {
        k->c->ops->resume(k->c);
    }
}

static void on_room(void *owner)
{
    assert_false(is_gone(owner));
}

static void on_end(void *owner)
{
    struct client *k = owner;
    assert_false(is_gone(k));
    k->ends++;
    rig_look(k->r);
}

static void on_fail(void *owner, const struct call_failure *f)
{
    struct client *k = owner;
    assert_false(is_gone(k));
    k->fails++;
    k->failure = *f;
    rig_look(k->r);
}

static const struct call_events events = {.on_head = on_head,
                                          .on_body = on_body,
                                          .on_room = on_room,
                                          .on_end = on_end,
                                          .on_fail = on_fail};

static bool has_token(void *arg)
{
    struct world *x = arg;
    struct token_value *v = NULL;
    bool is_there = token_take(x->token, x->w.desk, &v, NULL) == FRUN_OK;
    token_value_unref(&v);
    return is_there;
}

static void on_woken(struct hub_waiter *w)
{
    struct world *x = list_entry(w, struct world, waiter);
    x->woken++;
    rig_look(&x->rig);
}

static void world_open(struct world *x, const struct step *script)
{
    static const struct token_office_settings office = {.fetch = fake_fetch};
    static const struct token_source source = {.name = "sap-connectivity BTP",
                                               .url = "https://acme.example.com/oauth/token",
                                               .client_id = "sb-1",
                                               .connect_timeout_ms = 1000,
                                               .timeout_ms = 1000};
    memset(x, 0, sizeof(*x));
    rig_init(&x->rig, script);
    x->gateway = (struct conf_gateway){.response_timeout_ms = 10000,
                                       .body_timeout_ms = 10000,
                                       .max_head = 8192,
                                       .max_target = 8192,
                                       .max_fields = 40};
    x->conf.gateway = &x->gateway;
    x->sap = (struct conf_sap){.connect_timeout_ms = 5000,
                               .keepalive_ms = 5000,
                               .max_connections = 8,
                               .retry_min_ms = 200,
                               .retry_max_ms = 200};
    x->endpoint.location_id = "DC1";
    x->endpoint.sap_name = "BTP";
    assert_int_equal(token_office_new(&office, &x->office), 0);
    assert_int_equal(token_new(&source, &x->token), 0);
    x->proxy = (struct sap_proxy){&x->sap, strdup("127.0.0.1"), x->rig.set.target.port, x->token};
    x->e = (struct endpoint){.conf = &x->endpoint,
                             .name = SPAN_LIT("ACME_PROD"),
                             .sap = &x->proxy,
                             .sap_authority = SPAN_LIT("frun-virtual:443"),
                             .sap_state = &x->state};
    x->shared.resolvers = x->rig.o;
    x->w = (struct worker){.shared = &x->shared, .conf = &x->conf, .loop = x->rig.l};
    assert_int_equal(token_desk_new(x->office, x->rig.l, &x->w.desk), 0);
    assert_int_equal(route_sap_new(&x->w, &x->e, x->w.conf->gateway, &x->route), 0);
    list_init(&x->waiter.node);
    x->waiter.fn = on_woken;
    assert_true(rig_until(&x->rig, has_token, x));
}

static void world_done(struct world *x)
{
    hub_forget(&x->waiter);
    if (x->route) {
        x->route->ops->free(x->route);
    }
    token_office_free(x->office);
    token_desk_free(x->w.desk);
    later_cancel(&x->k.resume);
    rig_done(&x->rig);
    token_unref(&x->token);
    tokens_sap_done(&x->proxy);
}

static frun_err ask(struct world *x, const char *method, enum whim whim, size_t take_max)
{
    struct head h = {.method = span_of(method),
                     .target = SPAN_LIT("/sap/frun/x"),
                     .authority = SPAN_LIT("push.example.com"),
                     .minor = 1,
                     .is_keep_alive = true};
    const struct hub_way *via = NULL;
    x->k = (struct client){.r = &x->rig, .whim = whim, .take_max = take_max};
    later_init(&x->k.resume, on_resume);
    return x->route->ops->open(x->route, &h, &events, &x->k, &x->k.c, &via);
}

static void finish(struct world *x)
{
    assert_true(rig_until(&x->rig, is_gone, &x->k));
}

#define ANSWER(line, n, text) "HTTP/1.1 " line "\r\nContent-Length: " n "\r\nX-Own: 1\r\n\r\n" text

static const struct {
    const char *label;
    const char *method;
    struct step script[4];
    size_t take_max;
    unsigned status; /* of the answer, 0: none */
    size_t got;
    const char *kind; /* of the failure, or NULL */
    frun_err err;     /* of the failure */
    bool is_unprocessed;
} answers[] = {
    {"good", "GET", {WAIT_HEAD, SAY(ANSWER("200 OK", "2", "ok"))}, 0, 200, 2, NULL, 0, false},
    {"interim answers first",
     "GET",
     {WAIT_HEAD, SAY("HTTP/1.1 103 Early Hints\r\n\r\n" ANSWER("200 OK", "2", "ok"))},
     0,
     200,
     2,
     NULL,
     0,
     false},
    {"no tunnel",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("503 X", "70", NO_TUNNEL "    "))},
     0,
     0,
     0,
     "no_tunnel",
     FRUN_E_DENIED,
     true},
    {"no tunnel, in chunks",
     "GET",
     {WAIT_HEAD,
      SAY("HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nThere is no SAP \r\n"
          "1c\r\nCloud Connector is connected\r\n0\r\n\r\n")},
     0,
     0,
     0,
     "no_tunnel",
     FRUN_E_DENIED,
     true},
    {"no tunnel, told before the answer breaks off",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("503 X", "900", NO_TUNNEL)), CUT},
     0,
     0,
     0,
     "no_tunnel",
     FRUN_E_DENIED,
     true},
    {"Focused Run's own 503",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("503 X", "4", "busy"))},
     1,
     503,
     4,
     NULL,
     0,
     false},
    {"Focused Run's own 503 breaks off",
     "POST",
     {WAIT_HEAD, SAY(ANSWER("503 X", "400", "busy")), CUT},
     0,
     0,
     0,
     NULL,
     FRUN_E_CLOSED,
     false},
    {"longer than what is looked at",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("403 X", "20000", "")), MANY(20000)},
     700,
     403,
     20000,
     NULL,
     0,
     false},
    {"denied",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("403 X", "41", DENIED))},
     0,
     0,
     0,
     "access_denied_system",
     FRUN_E_DENIED,
     true},
    {"a HEAD has no text",
     "HEAD",
     {WAIT_HEAD, SAY(ANSWER("403 X", "41", ""))},
     0,
     403,
     0,
     NULL,
     0,
     false},
    {"a brand-new token is not accepted",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("407 X", "0", ""))},
     0,
     0,
     0,
     "proxy_auth",
     FRUN_E_DENIED,
     true},
    {"another tunnel's connection",
     "GET",
     {WAIT_HEAD, SAY(ANSWER("400 X", "53", AFFINITY))},
     0,
     0,
     0,
     "affinity",
     FRUN_E_CLOSED,
     true},
};

/* However the answer is cut into pieces, it is told as SAP's or passed on as it came. */
static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        for (int is_dripping = 0; is_dripping < 2; is_dripping++) {
            struct world x;
            world_open(&x, answers[i].script);
            x.rig.is_dripping = is_dripping;
            assert_int_equal(ask(&x, answers[i].method, OBEDIENT, answers[i].take_max), 0);
            finish(&x);
            const struct call_failure *f = &x.k.failure;
            bool is_kind = !answers[i].kind
                               ? !f->verdict.kind
                               : f->verdict.kind && !strcmp(f->verdict.kind, answers[i].kind);
            if (x.k.status != answers[i].status || x.k.got != answers[i].got ||
                f->err != answers[i].err || f->is_unprocessed != answers[i].is_unprocessed ||
                !is_kind) {
                fail_msg("%s: status %u, %zu octets, err %d, %s, %s", answers[i].label, x.k.status,
                         x.k.got, (int)f->err, f->verdict.kind ? f->verdict.kind : "no kind",
                         f->text);
            }
            world_done(&x);
        }
    }
}

/* The owner may go in every state, and the route with calls under way. */
static void test_owners_that_leave(void **state)
{
    static const struct step own[6] = {WAIT_HEAD, SAY(ANSWER("403 X", "8", "denied!!"))};
    static const struct step big[6] = {WAIT_HEAD, SAY(ANSWER("403 X", "20000", "")), MANY(20000)};
    static const struct step half[6] = {WAIT_HEAD, SAY(ANSWER("403 X", "8", "deni"))};
    static const struct step *const scripts[] = {own, big};
    static const enum whim whims[] = {CANCEL_IN_HEAD, CANCEL_IN_BODY, CANCEL_WHILE_HELD};
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sizeof(whims) / sizeof(whims[0]); i++) {
            struct world x;
            world_open(&x, scripts[s]);
            assert_int_equal(ask(&x, "GET", whims[i], 3), 0);
            finish(&x);
            assert_int_equal(x.k.cancels, 1);
            rig_turn(&x.rig, 1);
            world_done(&x);
        }
    }
    struct world x;
    world_open(&x, half);
    assert_int_equal(ask(&x, "GET", CANCEL_AT_ONCE, 0), 0);
    cancel(&x.k);
    assert_int_equal(ask(&x, "GET", OBEDIENT, 0), 0);
    rig_turn(&x.rig, 2);
    x.route->ops->free(x.route);
    x.route = NULL;
    assert_int_equal(x.k.fails, 1);
    assert_int_equal(x.k.heads, 0);
    world_done(&x);
}

static bool is_woken(void *arg)
{
    return ((const struct world *)arg)->woken > 0;
}

/* Open after no_tunnel; then one goes; its end without an answer lets the next one go. */
static void test_circuit(void **state)
{
    static const struct step none[6] = {WAIT_HEAD, SAY(ANSWER("503 X", "70", NO_TUNNEL "    ")),
                                        END};
    static const struct step deaf[6] = {DEAF};
    static const struct step good[6] = {WAIT_HEAD, SAY(ANSWER("403 X", "41", DENIED))};
    struct world x;
    struct call *silent;
    (void)state;
    world_open(&x, none);
    x.rig.scripts[1] = deaf;
    x.rig.scripts[2] = good;
    assert_int_equal(ask(&x, "GET", OBEDIENT, 0), 0);
    finish(&x);
    assert_false(x.route->ops->is_usable(x.route));
    assert_int_equal(ask(&x, "GET", OBEDIENT, 0), FRUN_E_AGAIN);
    struct call_failure f = {0};
    x.route->ops->why(x.route, &f);
    assert_string_equal(f.verdict.kind, "no_tunnel");
    x.route->ops->wait(x.route, &x.waiter);
    assert_true(rig_until(&x.rig, is_woken, &x));
    assert_true(x.route->ops->is_usable(x.route)); /* the pause is over, nobody tries */
    assert_int_equal(ask(&x, "GET", OBEDIENT, 0), 0);
    silent = x.k.c;
    rig_turn(&x.rig, 2);
    assert_false(x.route->ops->is_usable(x.route));
    assert_int_equal(ask(&x, "GET", OBEDIENT, 0), FRUN_E_AGAIN);
    x.woken = 0;
    x.route->ops->wait(x.route, &x.waiter);
    silent->ops->cancel(silent);
    assert_true(rig_until(&x.rig, is_woken, &x));
    assert_int_equal(ask(&x, "GET", OBEDIENT, 0), 0);
    finish(&x);
    assert_string_equal(x.k.failure.verdict.kind, "access_denied_system");
    assert_true(x.route->ops->is_usable(x.route)); /* a refusal from behind the tunnel */
    assert_int_equal(atomic_load(&x.state.kind), SAP_ERROR_ACCESS_DENIED_SYSTEM);
    world_done(&x);
}

/* A good answer leaves its connection to the next request; another tunnel's does not. */
static void test_connections(void **state)
{
    static const struct step twice[6] = {WAIT_HEAD, SAY(ANSWER("200 OK", "2", "ok")), WAIT_HEAD,
                                         SAY(ANSWER("400 X", "53", AFFINITY))};
    static const struct step once[6] = {WAIT_HEAD, SAY(ANSWER("200 OK", "2", "ok"))};
    struct world x;
    (void)state;
    world_open(&x, twice);
    x.rig.scripts[1] = once;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ask(&x, "GET", OBEDIENT, 0), 0);
        finish(&x);
        assert_int_equal(x.k.fails, i == 1);
        assert_int_equal(x.rig.n_peers, i < 2 ? 1 : 2);
    }
    struct span wire = buf_span(&x.rig.peers[0].wire);
    static const char *const lines[] = {
        "GET http://frun-virtual:443/sap/frun/x HTTP/1.1\r\nHost: frun-virtual:443\r\n",
        "Proxy-Authorization: Bearer t1\r\n", "SAP-Connectivity-SCC-Location_ID: DC1\r\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_non_null(memmem(wire.p, wire.n, lines[i], strlen(lines[i])));
    }
    world_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_owners_that_leave),
        cmocka_unit_test(test_circuit),
        cmocka_unit_test(test_connections),
    };
    fetch_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fetch_stop();
    return failed;
}
