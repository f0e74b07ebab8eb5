/**
 * The exchange with a fake front door and a fake route: every answer of ours, sending again,
 * waiting, the pusher going away.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/text.h"
#include "frun/gateway/exchange.h"
#include "gateway_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIGHT "s4push:right"

/* What the fake front door saw. */
struct door {
    struct served s;
    unsigned status;
    char fields[4096];
    char body[4096];
    size_t n_body;
    bool is_ended;
    bool is_abandoned;
    bool is_body_accepted;
};

/* What the fake route saw, and how it behaves. */
struct road {
    struct route base;
    struct call call;
    frun_err open_result;
    int n_opened;
    int n_waiting;
    int n_cancelled;
    struct hub_waiter *waiter;
    char request[8192];
    char sent[4096];
    size_t n_sent;
    bool is_full; /* takes nothing */
    bool is_end_sent;
};

struct bench {
    struct fixture f;
    struct gateway_shared shared;
    struct worker w;
    struct route *routes[2];
    struct generation gen;
    struct roads roads;
    struct road road;
    struct door door;
};

/* -- the fakes
 * -------------------------------------------------------------------------------------------------
 */

static void append_head(char *to, size_t size, const struct head *h)
{
    size_t at = 0;
    at += (size_t)snprintf(to, size, "%.*s %.*s host=%.*s\n", SPAN_FMT(h->method),
                           SPAN_FMT(h->target), SPAN_FMT(h->authority));
    for (size_t i = 0; i < h->n_fields && at < size; i++) {
        at += (size_t)snprintf(to + at, size - at, "%.*s: %.*s\n", SPAN_FMT(h->fields[i].name),
                               SPAN_FMT(h->fields[i].value));
    }
}

static void door_accept_body(struct served *s)
{
    ((struct door *)s)->is_body_accepted = true;
}

static frun_err door_send_head(struct served *s, const struct head *h)
{
    struct door *d = (struct door *)s;
    assert_int_equal(d->status, 0);
    d->status = h->status;
    append_head(d->fields, sizeof(d->fields), h);
    return FRUN_OK;
}

static size_t door_send_body(struct served *s, struct span data, bool is_last)
{
    struct door *d = (struct door *)s;
    assert_false(d->is_ended);
    assert_true(d->n_body + data.n < sizeof(d->body));
    if (data.n) {
        memcpy(d->body + d->n_body, data.p, data.n);
    }
    d->n_body += data.n;
    d->is_ended = is_last;
    return data.n;
}

static void door_resume(struct served *s)
{
    (void)s;
}

static void door_abandon(struct served *s)
{
    ((struct door *)s)->is_abandoned = true;
}

static const struct served_ops door_ops = {door_accept_body, door_send_head, door_send_body,
                                           door_resume, door_abandon};

static size_t road_send(struct call *c, struct span data, bool is_last)
{
    struct road *r = list_entry(c, struct road, call);
    if (r->is_full) {
        return 0;
    }
    assert_true(r->n_sent + data.n < sizeof(r->sent));
    if (data.n) {
        memcpy(r->sent + r->n_sent, data.p, data.n);
    }
    r->n_sent += data.n;
    r->is_end_sent = is_last;
    return data.n;
}

static void road_resume(struct call *c)
{
    (void)c;
}

static void road_cancel(struct call *c)
{
    list_entry(c, struct road, call)->n_cancelled++;
}

static const struct call_ops road_call_ops = {road_send, road_resume, road_cancel};

static frun_err road_open(struct route *r, const struct head *req, const struct call_events *ev,
                          void *owner, struct call **out, const struct hub_way **via)
{
    struct road *road = (struct road *)r;
    if (road->open_result) {
        return road->open_result;
    }
    road->n_opened++;
    road->n_sent = 0;
    road->is_end_sent = false;
    append_head(road->request, sizeof(road->request), req);
    road->call = (struct call){.ops = &road_call_ops, .ev = ev, .owner = owner};
    *out = &road->call;
    static const struct hub_way way = {"dc1-a", "dc1-a/1#1"};
    *via = &way;
    return FRUN_OK;
}

static void road_wait(struct route *r, struct hub_waiter *w)
{
    ((struct road *)r)->n_waiting++;
    ((struct road *)r)->waiter = w;
}

static bool road_is_usable(const struct route *r)
{
    (void)r;
    return true;
}

static void road_free(struct route *r)
{
    (void)r;
}

static const struct route_ops road_ops = {.name = "tunnel",
                                          .open = road_open,
                                          .wait = road_wait,
                                          .is_usable = road_is_usable,
                                          .free = road_free};

/* -- the bench
 * -------------------------------------------------------------------------------------------------
 */

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    fixture_init(&b->f);
    struct worker *w = &b->w;
    w->shared = &b->shared;
    if (registry_new(&b->f.gw, NULL, &b->gen.registry) || loop_new(&w->loop) ||
        offload_new(1, 8, &b->shared.hashers) || auth_new(w->loop, b->shared.hashers, &w->auth)) {
        return -1;
    }
    if (quota_set_new(b->f.gw.n_pushers + b->f.gw.n_endpoints, 1, &b->gen.quotas)) {
        return -1;
    }
    quota_set_loop(b->gen.quotas, 0, w->loop);
    b->gen.conf = &b->f.gw;
    b->roads = (struct roads){.gen = &b->gen, .all = b->routes, .n = 2, .refs = 1};
    w->roads = &b->roads;
    w->gen = &b->gen;
    w->conf = &b->f.gw;
    list_init(&w->spare);
    list_init(&w->fronts);
    list_init(&w->orphans);
    list_init(&w->errands);
    list_init(&w->held);
    b->road.base.ops = &road_ops;
    b->routes[0] = b->routes[1] = &b->road.base;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    offload_free(b->shared.hashers);
    auth_free(b->w.auth);
    loop_free(b->w.loop);
    exchange_drop_spare(&b->w);
    quota_set_free(b->gen.quotas);
    registry_unref(&b->gen.registry);
    fixture_done(&b->f);
    free(b);
    return 0;
}

struct ticker {
    struct deadline d;
    struct bench *b;
    bool (*is_done)(struct bench *b);
    int left;
};

static void tick(struct deadline *d)
{
    struct ticker *t = (struct ticker *)d;
    if (t->is_done(t->b) || --t->left == 0) {
        loop_stop(t->b->w.loop);
        return;
    }
    deadline_set(t->b->w.loop, d, 1);
}

static void run_until(struct bench *b, bool (*is_done)(struct bench *b))
{
    struct ticker t = {.b = b, .is_done = is_done, .left = 100};
    if (is_done(b)) {
        return;
    }
    deadline_init(&t.d, tick);
    deadline_set(b->w.loop, &t.d, 1);
    loop_run(b->w.loop);
    assert_true(is_done(b));
}

static bool is_decided(struct bench *b)
{
    return b->door.status != 0 || b->road.n_opened > 0 || b->road.n_waiting > 0;
}

static bool is_answered(struct bench *b)
{
    return b->door.is_ended;
}

/* A request as text with "\r\n" line ends; "@" in it stands for the right Authorization field. */
static void ask(struct bench *b, const char *text, const char *credential)
{
    struct exchange *x = exchange_new(&b->w);
    assert_non_null(x);
    char auth[256] = "";
    if (credential) {
        char coded[200];
        (void)text_base64(span_of(credential), coded);
        (void)snprintf(auth, sizeof(auth), "Authorization: Basic %s\r\n", coded);
    }
    struct span head = {0};
    assert_int_equal(
        arena_printf(exchange_arena(x), &head, "%sHost: push.example.com\r\n%s\r\n", text, auth),
        FRUN_OK);
    struct head_limits lim = HEAD_LIMITS_DEFAULT;
    struct head_fault fault;
    assert_int_equal(head_parse_request(head, &lim, exchange_head(x), &fault), FRUN_OK);
    memset(&b->door, 0, sizeof(b->door));
    b->door.s.ops = &door_ops;
    exchange_start(x, &b->door.s, SPAN_LIT("192.0.2.7"), NULL, NULL);
    run_until(b, is_decided);
}

static void body(struct bench *b, const char *text)
{
    assert_true(b->door.is_body_accepted);
    assert_int_equal(b->door.s.ev->on_body(b->door.s.owner, span_of(text)), strlen(text));
    b->door.s.ev->on_body_end(b->door.s.owner);
}

static void answer(struct bench *b, unsigned status, const char *text)
{
    struct head h = {.status = status, .minor = 1, .body = HEAD_BODY_LENGTH, .is_keep_alive = true};
    h.body_len_bytes = strlen(text);
    assert_int_equal(head_add(&h, SPAN_LIT("frun-origin"), SPAN_LIT("backend")), FRUN_OK);
    struct call *c = &b->road.call;
    c->ev->on_head(c->owner, &h);
    assert_int_equal(c->ev->on_body(c->owner, span_of(text)), strlen(text));
    c->ev->on_end(c->owner);
}

static void fail_call(struct bench *b, frun_err err, bool is_unprocessed)
{
    struct call_failure f = {
        .err = err, .is_unprocessed = is_unprocessed, .text = "the tunnel was lost"};
    b->road.call.ev->on_fail(b->road.call.owner, &f);
}

/* -- tests
 * -----------------------------------------------------------------------------------------------------
 */

static void own_answers(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *label;
        const char *request;
        const char *credential;
        unsigned status;
        const char *says; /* in head or body */
    } rows[] = {
        {"unknown endpoint", "GET /INITECH/sap/frun HTTP/1.1\r\n", RIGHT, 404, "endpoint list"},
        {"no credentials", "GET /ACME_PROD/sap/frun HTTP/1.1\r\n", NULL, 401,
         "WWW-Authenticate: Basic realm="},
        {"wrong password", "GET /ACME_PROD/sap/frun HTTP/1.1\r\n", "s4push:no", 401,
         "user or password is wrong"},
        {"pusher of another endpoint", "GET /ACME_PROD/sap/frun HTTP/1.1\r\n", "ibp:right", 403,
         "may not use endpoint"},
        {"bare root", "GET /ACME_PROD HTTP/1.1\r\n", RIGHT, 400, "credentials are right"},
        {"bare root with slash", "POST /ACME_PROD/ HTTP/1.1\r\nContent-Length: 0\r\n", RIGHT, 400,
         "root URL"},
        {"other path", "GET /ACME_PROD/sap/bc/gui HTTP/1.1\r\n", RIGHT, 403, "only /sap/frun"},
        {"not on a segment boundary", "GET /ACME_PROD/sap/frunX HTTP/1.1\r\n", RIGHT, 403,
         "only /sap/frun"},
        {"below ping", "GET /ACME_PROD/sap/bc/ping/x HTTP/1.1\r\n", RIGHT, 403, "only /sap/frun"},
        {"method", "DELETE /ACME_PROD/sap/frun HTTP/1.1\r\n", RIGHT, 405,
         "Allow: GET, HEAD, POST, PUT"},
        {"too long", "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 1001\r\n", RIGHT, 413,
         "max_body"},
        {"encoded slash", "GET /ACME_PROD%2Fsap/frun HTTP/1.1\r\n", RIGHT, 400, "problem+json"},
        {"dot segments", "GET /ACME_PROD/sap/frun/../bc HTTP/1.1\r\n", RIGHT, 400, "problem+json"},
        {"health while starting", "GET /sap/bc/ping HTTP/1.1\r\n", NULL, 503, "starting"},
        {"health in small letters", "get /sap/bc/ping HTTP/1.1\r\n", NULL, 405, "GET or HEAD"},
        {"health by POST", "POST /sap/bc/ping HTTP/1.1\r\nContent-Length: 0\r\n", NULL, 405,
         "Allow: GET, HEAD"},
        {"two Authorization fields",
         "GET /ACME_PROD/sap/frun HTTP/1.1\r\nAuthorization: Basic YQ==\r\n", RIGHT, 400,
         "more than one Authorization"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(b, rows[i].request, rows[i].credential);
        run_until(b, is_answered);
        if (b->door.status != rows[i].status) {
            fail_msg("%s: status %u, wanted %u", rows[i].label, b->door.status, rows[i].status);
        }
        b->door.body[b->door.n_body] = 0;
        if (!strstr(b->door.fields, rows[i].says) && !strstr(b->door.body, rows[i].says)) {
            fail_msg("%s: \"%s\" is missing in\n%s\n%s", rows[i].label, rows[i].says,
                     b->door.fields, b->door.body);
        }
        assert_int_equal(b->road.n_opened, 0);
    }
}

static void a_push_goes_through(void **state)
{
    struct bench *b = *state;
    ask(b,
        "POST /ACME_PROD/sap/frun/ngdci?x=1 HTTP/1.1\r\nContent-Length: "
        "7\r\nX-Admin-Request-Parameter: forged\r\n",
        RIGHT);
    assert_int_equal(b->road.n_opened, 1);
    assert_non_null(strstr(b->road.request, "POST /sap/frun/ngdci?x=1 host=fr1_frun\n"));
    assert_non_null(strstr(b->road.request, "X-Admin-Request-Parameter: ACME_PROD\n"));
    assert_null(strstr(b->road.request, "forged"));
    body(b, "payload");
    assert_true(b->road.is_end_sent);
    assert_memory_equal(b->road.sent, "payload", 7);
    answer(b, 403, "no authorization in Focused Run");
    assert_int_equal(b->door.status, 403); /* never replaced */
    assert_true(b->door.is_ended);
    assert_null(strstr(b->door.fields, "frun-origin"));
    assert_memory_equal(b->door.body, "no authorization", 16);
}

static void another_endpoints_fence_is_not_passed_on(void **state)
{
    struct bench *b = *state;
    ask(b,
        "GET /ACME_PROD/sap/frun?x_globex_fence=GLOBEX_PROD&a=1 HTTP/1.1\r\n"
        "x-globex-fence: GLOBEX_PROD\r\n",
        RIGHT);
    assert_int_equal(b->road.n_opened, 1);
    assert_non_null(strstr(b->road.request, "GET /sap/frun?a=1 host="));
    assert_null(strcasestr(b->road.request, "globex"));
    answer(b, 200, "ok");
}

static void unprocessed_post_is_sent_again(void **state)
{
    struct bench *b = *state;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    fail_call(b, FRUN_E_CLOSED, true);
    assert_int_equal(b->road.n_opened, 2);
    assert_memory_equal(b->road.sent, "payload", 7);
    assert_true(b->road.is_end_sent);
    answer(b, 200, "ok");
    assert_int_equal(b->door.status, 200);
}

static void unclear_post_is_not_sent_again(void **state)
{
    struct bench *b = *state;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    fail_call(b, FRUN_E_CLOSED, false);
    assert_int_equal(b->road.n_opened, 1);
    assert_int_equal(b->door.status, 502);
    assert_non_null(strstr(b->door.body, "not sent again"));
}

static void unclear_post_is_sent_again_where_the_endpoint_says_so(void **state)
{
    struct bench *b = *state;
    b->f.acme.repeat_requests = true;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    fail_call(b, FRUN_E_CLOSED, false);
    assert_int_equal(b->road.n_opened, 2);
    answer(b, 200, "ok");
}

static void get_is_sent_again_but_not_for_ever(void **state)
{
    struct bench *b = *state;
    ask(b, "GET /ACME_PROD/sap/frun HTTP/1.1\r\n", RIGHT);
    for (int i = 0; i < EXCHANGE_MAX_REPEATS; i++) {
        fail_call(b, FRUN_E_CLOSED, false);
        assert_int_equal(b->door.status, 0);
    }
    fail_call(b, FRUN_E_CLOSED, false);
    assert_int_equal(b->road.n_opened, 1 + EXCHANGE_MAX_REPEATS);
    assert_int_equal(b->door.status, 502);
}

static void failures_map_to_statuses(void **state)
{
    struct bench *b = *state;
    static const struct {
        frun_err err;
        unsigned status;
        const char *error;
    } rows[] = {
        {FRUN_E_CONNECT, 502, "connection_refused"},    {FRUN_E_RESOLVE, 502, "dns_error"},
        {FRUN_E_TIMEOUT, 504, "http_response_timeout"}, {FRUN_E_TLS, 502, "tls_protocol_error"},
        {FRUN_E_SYNTAX, 502, "http_protocol_error"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(b, "GET /ACME_PROD/sap/frun HTTP/1.1\r\n", RIGHT);
        b->road.n_opened = 0;
        fail_call(b, rows[i].err, true);
        assert_int_equal(b->road.n_opened, 0);
        assert_int_equal(b->door.status, rows[i].status);
        assert_non_null(strstr(b->door.fields, rows[i].error));
    }
}

static void cut_off_answer_is_seen_by_the_pusher(void **state)
{
    struct bench *b = *state;
    ask(b, "GET /ACME_PROD/sap/frun HTTP/1.1\r\n", RIGHT);
    struct head h = {.status = 200, .minor = 1, .body = HEAD_BODY_CHUNKED, .is_keep_alive = true};
    b->road.call.ev->on_head(b->road.call.owner, &h);
    fail_call(b, FRUN_E_CLOSED, false);
    assert_true(b->door.is_abandoned);
    assert_false(b->door.is_ended);
}

static void no_tunnel_is_503_after_the_hold_time(void **state)
{
    struct bench *b = *state;
    b->road.open_result = FRUN_E_AGAIN;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\n",
        RIGHT);
    assert_int_equal(b->door.status, 0);
    assert_false(b->door.is_body_accepted);
    run_until(b, is_answered);
    assert_int_equal(b->door.status, 503);
    assert_non_null(strstr(b->door.fields, "Retry-After: "));
    assert_non_null(strstr(b->door.body, "DC1"));
    assert_int_equal(b->w.n_waiting, 0);
}

static void held_request_goes_when_a_tunnel_comes(void **state)
{
    struct bench *b = *state;
    b->road.open_result = FRUN_E_AGAIN;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    b->road.open_result = FRUN_OK;
    b->road.waiter->fn(b->road.waiter);
    assert_int_equal(b->road.n_opened, 1);
    body(b, "payload");
    answer(b, 200, "ok");
    assert_int_equal(b->door.status, 200);
    assert_int_equal(b->w.n_waiting, 0);
}

static void who_waited_in_vain_is_counted_out_once(void **state)
{
    struct bench *b = *state;
    static const frun_err rows[] = {FRUN_E_UNSUPPORTED, FRUN_E_LIMIT, FRUN_E_NOMEM};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        b->road.n_waiting = 0;
        b->road.open_result = FRUN_E_AGAIN;
        ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
        assert_int_equal(b->w.n_waiting, 1);
        b->road.open_result = rows[i]; /* a tunnel came, and does not take this request */
        b->road.waiter->fn(b->road.waiter);
        assert_true(b->door.is_ended);
        assert_int_equal(b->w.n_waiting, 0);
    }
}

/* Read ahead completely while it waited; then nobody offers it any more. */
static void complete_push_that_nothing_takes_ends(void **state)
{
    struct bench *b = *state;
    b->f.gateway.body_timeout_ms = 1;
    b->road.is_full = true;
    b->road.open_result = FRUN_E_AGAIN;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    b->road.open_result = FRUN_OK;
    b->road.waiter->fn(b->road.waiter);
    assert_int_equal(b->road.n_opened, 1);
    run_until(b, is_answered);
    assert_int_equal(b->door.status, 504);
    assert_non_null(strstr(b->door.body, "stopped taking the request"));
    assert_int_equal(b->road.n_cancelled, 1);
}

static void body_that_grows_too_long_is_413(void **state)
{
    struct bench *b = *state;
    char chunk[601];
    memset(chunk, 'x', 600);
    chunk[600] = 0;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", RIGHT);
    assert_int_equal(b->door.s.ev->on_body(b->door.s.owner, span_of(chunk)), 600);
    (void)b->door.s.ev->on_body(b->door.s.owner, span_of(chunk));
    assert_int_equal(b->door.status, 413);
    assert_int_equal(b->road.n_cancelled, 1);
}

static void pusher_that_goes_away_cancels_the_call(void **state)
{
    struct bench *b = *state;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    b->door.s.ev->on_gone(b->door.s.owner, FRUN_E_CLOSED, "gone");
    assert_int_equal(b->road.n_cancelled, 1);
}

static bool is_over(struct bench *b)
{
    return b->w.n_orphans == 0;
}

static void leave(struct bench *b)
{
    b->door.s.ev->on_gone(b->door.s.owner, FRUN_E_CLOSED, "gone");
    b->door.s.ev = NULL;
}

static void complete_push_is_delivered_without_its_sender(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *label;
        const char *request;
        bool is_complete;
        bool is_delivered;
    } rows[] = {
        {"POST", "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", true, true},
        {"PUT", "PUT /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", true, true},
        {"cut off", "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", false, false},
        {"GET", "GET /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", true, false},
        {"HEAD", "HEAD /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int n_cancelled = b->road.n_cancelled;
        ask(b, rows[i].request, RIGHT);
        assert_int_equal(b->door.s.ev->on_body(b->door.s.owner, SPAN_LIT("payload")), 7);
        if (rows[i].is_complete) {
            b->door.s.ev->on_body_end(b->door.s.owner);
        }
        leave(b);
        if (b->road.n_cancelled - n_cancelled != !rows[i].is_delivered ||
            b->w.n_orphans != rows[i].is_delivered) {
            fail_msg("%s", rows[i].label);
        }
        if (rows[i].is_delivered) {
            assert_int_equal(b->shared.n_connections, 1);
            answer(b, 200, "nobody reads this");
        }
        assert_int_equal(b->door.status, 0);
        assert_int_equal(b->w.n_orphans, 0);
        assert_int_equal(b->shared.n_connections, 0);
    }
}

static void held_push_is_delivered_without_its_sender(void **state)
{
    struct bench *b = *state;
    b->road.open_result = FRUN_E_AGAIN;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    leave(b);
    assert_int_equal(b->w.n_orphans, 1);
    b->road.open_result = FRUN_OK;
    b->road.waiter->fn(b->road.waiter);
    assert_int_equal(b->road.n_opened, 1);
    assert_true(b->road.is_end_sent);
    assert_memory_equal(b->road.sent, "payload", 7);
    fail_call(b, FRUN_E_CLOSED, true); /* and sent again like any other */
    assert_int_equal(b->road.n_opened, 2);
    assert_memory_equal(b->road.sent, "payload", 7);
    answer(b, 200, "ok");
    assert_int_equal(b->w.n_orphans, 0);
    /* No tunnel comes: its line says so, and that is all. */
    b->road.open_result = FRUN_E_AGAIN;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    leave(b);
    run_until(b, is_over);
    assert_int_equal(b->w.n_waiting, 0);
}

static void orphans_end_with_the_worker(void **state)
{
    struct bench *b = *state;
    ask(b, "POST /ACME_PROD/sap/frun HTTP/1.1\r\nContent-Length: 7\r\n", RIGHT);
    body(b, "payload");
    leave(b);
    exchange_kill_orphans(&b->w);
    assert_int_equal(b->w.n_orphans, 0);
    assert_int_equal(b->road.n_cancelled, 1);
}

/* What a connection has left behind counts until the work behind it has ended. */
static void a_connections_exchanges_are_counted(void **state)
{
    struct bench *b = *state;
    struct exchange_tally *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    struct exchange *one = exchange_new(&b->w);
    struct exchange *two = exchange_new(&b->w);
    assert_true(one && two);
    exchange_count_for(one, t);
    exchange_count_for(two, t);
    assert_int_equal(t->n, 2);
    exchange_lose(one, SPAN_LIT("192.0.2.1"), "lost");
    assert_int_equal(t->n, 1);
    exchange_tally_leave(t); /* the connection is gone, and this one is not */
    assert_true(t->n == 1 && t->is_left);
    exchange_lose(two, SPAN_LIT("192.0.2.1"), "lost"); /* frees it: the leak checker sees */
    t = calloc(1, sizeof(*t));
    exchange_tally_leave(t); /* nothing was left behind */
    exchange_tally_leave(NULL);
}

static bool has_three_spare(struct bench *b)
{
    return b->w.n_spare == 3;
}

/* Those that the last second needed stay, the others go. */
static void spare_exchanges_go_in_quiet_times(void **state)
{
    struct bench *b = *state;
    struct exchange *x[3];
    for (size_t i = 0; i < 3; i++) {
        x[i] = exchange_new(&b->w);
        assert_non_null(x[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        exchange_free(x[i]);
    }
    run_until(b, has_three_spare);
    exchange_trim_spare(&b->w);
    assert_int_equal(b->w.n_spare, 3); /* all were in use just now */
    x[0] = exchange_new(&b->w);
    exchange_free(x[0]);
    run_until(b, has_three_spare);
    exchange_trim_spare(&b->w);
    assert_int_equal(b->w.n_spare, 1);
    exchange_trim_spare(&b->w);
    assert_int_equal(b->w.n_spare, 0);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(own_answers),
        ROW(a_push_goes_through),
        ROW(another_endpoints_fence_is_not_passed_on),
        ROW(unprocessed_post_is_sent_again),
        ROW(unclear_post_is_not_sent_again),
        ROW(unclear_post_is_sent_again_where_the_endpoint_says_so),
        ROW(get_is_sent_again_but_not_for_ever),
        ROW(failures_map_to_statuses),
        ROW(cut_off_answer_is_seen_by_the_pusher),
        ROW(no_tunnel_is_503_after_the_hold_time),
        ROW(held_request_goes_when_a_tunnel_comes),
        ROW(who_waited_in_vain_is_counted_out_once),
        ROW(complete_push_that_nothing_takes_ends),
        ROW(body_that_grows_too_long_is_413),
        ROW(pusher_that_goes_away_cancels_the_call),
        ROW(complete_push_is_delivered_without_its_sender),
        ROW(held_push_is_delivered_without_its_sender),
        ROW(orphans_end_with_the_worker),
        ROW(a_connections_exchanges_are_counted),
        ROW(spare_exchanges_go_in_quiet_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
