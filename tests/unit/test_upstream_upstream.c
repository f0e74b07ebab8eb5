/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/stock.h"
#include "upstream_client.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { MIB10 = 10 << 20 };

#define EMPTY SAY(OK_HEAD "Content-Length: 0\r\n\r\n")

static const struct step script_always_empty[] = {WAIT_HEAD, EMPTY,     WAIT_HEAD, EMPTY, WAIT_HEAD,
                                                  EMPTY,     WAIT_HEAD, EMPTY,     {0}};

/* ---- requests ---- */

struct request_row {
    const char *label;
    enum head_body framing;
    const char *method;
    const char *body;
    size_t announced;
    size_t step;
    const char *wire; /* behind the Host line */
    frun_err err;
};

static const struct request_row requests[] = {
    {"none", HEAD_BODY_NONE, "GET", NULL, 0, 0, "\r\n", 0},
    {"POST of nothing", HEAD_BODY_LENGTH, "POST", "", 0, 0, "Content-Length: 0\r\n\r\n", 0},
    {"length", HEAD_BODY_LENGTH, "POST", "hello", 0, 0, "Content-Length: 5\r\n\r\nhello", 0},
    {"length octet by octet", HEAD_BODY_LENGTH, "POST", "hello", 0, 1,
     "Content-Length: 5\r\n\r\nhello", 0},
    {"one span is one chunk", HEAD_BODY_CHUNKED, "POST", "hello world", 0, 6,
     "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n", 0},
    {"empty chunked body", HEAD_BODY_CHUNKED, "POST", "", 0, 0,
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
    {"less than announced", HEAD_BODY_LENGTH, "POST", "hello", 6, 0, NULL, FRUN_E_SYNTAX},
    {"more than announced", HEAD_BODY_LENGTH, "POST", "hello", 4, 0, NULL, FRUN_E_SYNTAX},
    {"more than announced, late", HEAD_BODY_LENGTH, "POST", "hello", 4, 1, NULL, FRUN_E_SYNTAX},
};

static struct client request_client(const struct request_row *row)
{
    return (struct client){.framing = row->framing,
                           .method = row->method,
                           .body = row->body,
                           .announced = row->announced,
                           .step = row->step};
}

static void check_request(const struct request_row *row, struct rig *r, size_t skip,
                          const char *how)
{
    struct client k = request_client(row);
    char want[256];

    client_run(&k, r);
    assert_int_equal(r->n_peers, 1);
    if (row->err) {
        if (k.fails != 1 || k.failure.err != row->err || upstream_idle(r->u) != 0) {
            fail_msg("%s, %s: error %d", row->label, how, k.failure.err);
        }
        return;
    }
    (void)snprintf(want, sizeof(want), "%s /sap/frun/x HTTP/1.1\r\nHost: fr1_frun\r\n%s",
                   row->method, row->wire);
    struct span wire = span_skip(buf_span(&r->peers[0].wire), skip);
    if (k.ends != 1 || !span_eq(wire, span_of(want))) {
        fail_msg("%s, %s: ends %u, %s; wire: %.*s", row->label, how, k.ends, k.failure.text,
                 SPAN_FMT(wire));
    }
}

/* The same octets, whether they wait for the dial or go to a kept connection. The origin answers
 * when the whole of it must have come. */
static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        const char *wire = requests[i].wire ? requests[i].wire : "never";
        const struct step cold[] = {WAIT(wire), EMPTY, {0}};
        const struct step warm[] = {WAIT_HEAD, EMPTY, WAIT(wire), EMPTY, {0}};
        struct rig r;
        struct client first = {0};

        rig_init(&r, cold);
        rig_open(&r);
        /* A fault is known before the dial is over: there may be no connection at all. */
        if (!requests[i].err) {
            check_request(&requests[i], &r, 0, "new connection");
        }
        rig_done(&r);

        rig_init(&r, warm);
        rig_open(&r);
        client_run(&first, &r);
        assert_int_equal(upstream_idle(r.u), 1);
        check_request(&requests[i], &r, buf_len(&r.peers[0].wire), "kept connection");
        rig_done(&r);
    }
}

/* ---- keeping connections ---- */

static void test_reuse(void **state)
{
    struct rig r;
    struct client third = {0};
    struct client second = {.next = &third};
    struct client first = {.next = &second};
    (void)state;
    rig_init(&r, script_always_empty);
    rig_open(&r);
    second.r = third.r = &r;
    /* The next call is opened in on_end of the one before: same connection. */
    first.r = &r;
    client_open(&first);
    assert_true(rig_until(&r, client_is_gone, &third));
    assert_int_equal(first.ends + second.ends + third.ends, 3);
    assert_int_equal(r.n_peers, 1);
    assert_int_equal(upstream_idle(r.u), 1);
    rig_done(&r);
}

static bool is_idle_now(void *arg)
{
    const struct rig *r = arg;
    return upstream_idle(r->u) > 0;
}

static bool is_nothing_idle(void *arg)
{
    const struct rig *r = arg;
    return upstream_idle(r->u) == 0;
}

static void test_idle_ends(void **state)
{
    static const struct {
        const char *label;
        struct step script[6];
        uint64_t keepalive_ms;
    } rows[] = {
        {"our keep-alive", {WAIT_HEAD, EMPTY}, 150},
        {"the server ends", {WAIT_HEAD, EMPTY, WAIT("x"), END}, 10000},
        {"the server resets", {WAIT_HEAD, EMPTY, WAIT("x"), RESET}, 10000},
        {"an answer to nothing", {WAIT_HEAD, EMPTY, WAIT("x"), EMPTY}, 10000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r;
        struct client k = {0};
        rig_init(&r, rows[i].script);
        r.set.keepalive_ms = rows[i].keepalive_ms;
        rig_open(&r);
        client_run(&k, &r);
        assert_true(rig_until(&r, is_idle_now, &r));
        struct peer *p = &r.peers[0];
        if (rows[i].script[2].kind == STEP_WAIT) {
            p->step++; /* the origin acts by itself */
            peer_play(p);
        }
        if (!rig_until(&r, is_nothing_idle, &r) || !rig_until(&r, is_no_connection_open, &r)) {
            fail_msg("%s: still there", rows[i].label);
        }
        rig_done(&r);
    }
}

/* The server gives a kept connection up just when the next request comes. */
static void test_stale(void **state)
{
    static const struct {
        const char *label;
        struct step script[6];
        bool is_stale;
    } rows[] = {
        {"ended", {WAIT_HEAD, EMPTY, WAIT_HEAD, END}, true},
        {"reset", {WAIT_HEAD, EMPTY, WAIT_HEAD, RESET}, true},
        {"ended within the head", {WAIT_HEAD, EMPTY, WAIT_HEAD, SAY("HTTP/1"), END}, false},
        {"ended after an interim answer",
         {WAIT_HEAD, EMPTY, WAIT_HEAD, SAY("HTTP/1.1 100 C\r\n\r\n"), END},
         false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r;
        struct client first = {0};
        struct client k = {0};
        rig_init(&r, rows[i].script);
        rig_open(&r);
        client_run(&first, &r);
        client_run(&k, &r);
        if (k.failure.err != FRUN_E_CLOSED || k.failure.is_stale != rows[i].is_stale ||
            k.failure.is_unprocessed || r.n_peers != 1) {
            fail_msg("%s: error %d, stale %d, unprocessed %d", rows[i].label, k.failure.err,
                     k.failure.is_stale, k.failure.is_unprocessed);
        }
        rig_done(&r);
    }
}

static void test_ceilings(void **state)
{
    static const struct step later[] = {WAIT_HEAD, WAIT("go"), EMPTY, {0}};
    struct rig r;
    struct client k[3] = {{0}};
    (void)state;
    rig_init(&r, later);
    r.set.max_connections = 2;
    r.set.max_idle = 1;
    rig_open(&r);
    for (size_t i = 0; i < 3; i++) {
        k[i].r = &r;
    }
    client_open(&k[0]);
    client_open(&k[1]);
    assert_int_equal(client_try(&k[2]), FRUN_E_LIMIT);
    while (r.n_peers < 2 || r.peers[0].step->kind != STEP_WAIT || r.peers[0].matched == 0 ||
           r.peers[1].matched == 0) {
        rig_turn(&r, 1);
    }
    for (size_t i = 0; i < 2; i++) {
        r.peers[i].step++;
        peer_play(&r.peers[i]);
    }
    assert_true(rig_until(&r, client_is_gone, &k[0]) && rig_until(&r, client_is_gone, &k[1]));
    assert_int_equal(k[0].ends + k[1].ends, 2);
    assert_int_equal(upstream_idle(r.u), 1);
    /* The one that is left is the newest, and it serves. */
    client_open(&k[2]);
    assert_int_equal(r.n_peers, 2);
    assert_int_equal(upstream_idle(r.u), 0);
    rig_done(&r);
    assert_int_equal(k[2].failure.err, FRUN_E_CLOSED);
}

/* Of two connections the one used last is used next: the other one may go in peace. */
static void test_newest_first(void **state)
{
    static const struct step waits[] = {WAIT_HEAD, WAIT("go"), EMPTY, WAIT_HEAD, EMPTY, {0}};
    struct rig r;
    struct client k[2] = {{0}};
    struct client last = {0};
    (void)state;
    rig_init(&r, waits);
    rig_open(&r);
    k[0].r = k[1].r = &r;
    client_open(&k[0]);
    client_open(&k[1]);
    while (r.n_peers < 2 || r.peers[0].matched == 0 || r.peers[1].matched == 0) {
        rig_turn(&r, 1);
    }
    for (size_t i = 2; i > 0; i--) {
        r.peers[i - 1].step++;
        peer_play(&r.peers[i - 1]);
        rig_turn(&r, 1);
    }
    assert_int_equal(upstream_idle(r.u), 2);
    size_t before = buf_len(&r.peers[0].wire);
    client_run(&last, &r);
    assert_true(buf_len(&r.peers[0].wire) > before);
    rig_done(&r);
}

/* A second answer arrives together with the first but is not read with it: the next call, opened
 * at once, must not take it for its own. */
static void test_smuggled_answer(void **state)
{
    static const char head[] = OK_HEAD "Content-Length: 16342\r\n\r\n";
    static const struct step script[] = {WAIT_HEAD,
                                         SAY(head),
                                         MANY(16342),
                                         SAY("HTTP/1.1 203 Smuggled\r\nContent-Length: 0\r\n\r\n"),
                                         {0}};
    struct rig r;
    struct client next = {0};
    struct client k = {.next = &next};
    (void)state;
    assert_int_equal(sizeof(head) - 1 + 16342, 16384); /* one read takes just that */
    rig_init(&r, script);
    r.scripts[1] = script_always_empty;
    rig_open(&r);
    k.r = next.r = &r;
    client_open(&k);
    assert_true(rig_until(&r, client_is_gone, &next));
    assert_int_equal(k.got, 16342);
    assert_int_equal(next.status, 200);
    assert_int_equal(r.n_peers, 2);
    rig_done(&r);
}

/* ---- answers before the request is over ---- */

static void test_early_answer(void **state)
{
    static const struct step script[] = {
        WAIT_HEAD, SAY("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"), {0}};
    static const enum head_body framings[] = {HEAD_BODY_LENGTH, HEAD_BODY_CHUNKED};
    (void)state;
    for (size_t i = 0; i < COUNT(framings); i++) {
        struct rig r;
        struct client k = {
            .method = "POST", .framing = framings[i], .total = 1000, .held_back = 500};
        rig_init(&r, script);
        rig_open(&r);
        client_run(&k, &r);
        assert_int_equal(k.ends, 1);
        assert_int_equal(k.status, 413);
        assert_string_equal(k.text, "big");
        /* Half a request is out: nobody may continue it. */
        assert_int_equal(upstream_idle(r.u), 0);
        assert_true(rig_until(&r, is_no_connection_open, &r));
        rig_done(&r);
    }
}

/* ---- back-pressure ---- */

static void check_bounded(const struct client *k)
{
    assert_true(k->max_in <= UPSTREAM_READ_BYTES);
    assert_true(k->max_waiting <= 2 * EXCHANGE_BUFFER_BYTES);
}

static void test_bulk_answers(void **state)
{
    static const struct {
        const char *label;
        struct step script[6];
        size_t take_max;
    } rows[] = {
        {"length", {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 10485760\r\n\r\n"), MANY(MIB10)}, 0},
        {"length, slow",
         {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 10485760\r\n\r\n"), MANY(MIB10)},
         9000},
        {"one chunk, slow",
         {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\na00000\r\n"), MANY(MIB10),
          SAY("\r\n0\r\n\r\n")},
         9000},
        {"until close", {WAIT_HEAD, SAY(OK_HEAD "\r\n"), MANY(MIB10), END}, 0},
        {"until close, slow", {WAIT_HEAD, SAY(OK_HEAD "\r\n"), MANY(MIB10), END}, 9000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r;
        struct client k = {.take_max = rows[i].take_max};
        rig_init(&r, rows[i].script);
        rig_open(&r);
        client_run(&k, &r);
        if (k.ends != 1 || k.got != MIB10 || k.is_garbled) {
            fail_msg("%s: ends %u, got %zu, garbled %d, %s", rows[i].label, k.ends, k.got,
                     k.is_garbled, k.failure.text);
        }
        check_bounded(&k);
        rig_done(&r);
    }
}

static void test_bulk_requests(void **state)
{
    static const struct {
        enum head_body framing;
        struct step script[4];
    } rows[] = {
        {HEAD_BODY_LENGTH, {WAIT_HEAD, EAT(MIB10), EMPTY}},
        {HEAD_BODY_CHUNKED, {WAIT_HEAD, EAT_CHUNKS(MIB10), EMPTY}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r;
        struct client k = {.method = "POST", .framing = rows[i].framing, .total = MIB10};
        rig_init(&r, rows[i].script);
        rig_open(&r);
        client_run(&k, &r);
        assert_int_equal(k.ends, 1);
        assert_int_equal(k.sent, MIB10);
        assert_true(k.rooms > 0);
        assert_int_equal(upstream_idle(r.u), 1);
        check_bounded(&k);
        rig_done(&r);
    }
}

/* An owner that takes nothing is not offered more, and nothing times out meanwhile. */
static void test_owner_holds_back(void **state)
{
    static const struct step script[] = {
        WAIT_HEAD, SAY(OK_HEAD "Content-Length: 10485760\r\n\r\n"), MANY(MIB10), {0}};
    struct rig r;
    struct client k = {.takes_nothing = true};
    (void)state;
    rig_init(&r, script);
    r.set.body_timeout_ms = r.set.response_timeout_ms = 200;
    rig_open(&r);
    k.r = &r;
    client_open(&k);
    rig_turn(&r, 8);
    assert_false(client_is_gone(&k));
    assert_int_equal(k.heads, 1);
    assert_true(r.peers[0].done_bytes < MIB10);
    /* Reading stopped with the first refusal. */
    assert_true(upstream_conn(k.c)->in.cap <= STOCK_RECORD_BYTES);
    check_bounded(&k);
    k.takes_nothing = false;
    on_resume(&k.resume);
    assert_true(rig_until(&r, client_is_gone, &k));
    assert_int_equal(k.got, MIB10);
    assert_int_equal(upstream_idle(r.u), 1);
    rig_done(&r);
}

/* What has arrived is delivered although the server has gone since. */
static void test_end_while_held(void **state)
{
    static const struct {
        const char *label;
        struct step script[5];
    } rows[] = {
        {"length", {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 5\r\n\r\nhello"), END}},
        {"chunks",
         {WAIT_HEAD,
          SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                      "0\r\n\r\n"),
          END}},
        {"until close", {WAIT_HEAD, SAY(OK_HEAD "\r\nhello"), END}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r;
        struct client k = {.takes_nothing = true};
        rig_init(&r, rows[i].script);
        rig_open(&r);
        k.r = &r;
        client_open(&k);
        rig_turn(&r, 3);
        assert_false(client_is_gone(&k));
        k.takes_nothing = false;
        on_resume(&k.resume);
        assert_true(rig_until(&r, client_is_gone, &k));
        if (k.ends != 1 || strcmp(k.text, "hello") != 0) {
            fail_msg("%s: %s", rows[i].label, k.failure.text);
        }
        assert_int_equal(upstream_idle(r.u), 0);
        rig_done(&r);
    }
}

/* ---- time ---- */

struct time_row {
    const char *label;
    struct step script[5];
    struct client k;
    uint64_t response_ms;
    uint64_t body_ms;
    const char *why; /* NULL: does not time out within 0.8 s */
};

static const struct time_row times[] = {
    {"no answer", {WAIT_HEAD}, {0}, 200, 10000, "no answer"},
    {"half a head", {WAIT_HEAD, SAY(OK_HEAD "X: ")}, {0}, 200, 10000, "no answer"},
    {"interim answers do not count",
     {WAIT_HEAD, SAY("HTTP/1.1 100 C\r\n\r\n")},
     {0},
     200,
     10000,
     "no answer"},
    {"answer comes to a halt",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 9\r\n\r\nhello")},
     {0},
     10000,
     200,
     "halt"},
    {"server takes nothing",
     {WAIT_HEAD, DEAF},
     {.method = "POST", .framing = HEAD_BODY_CHUNKED, .total = 64 * 1048576},
     10000,
     200,
     "takes no more"},
    {"owner has nothing to send",
     {WAIT_HEAD},
     {.method = "POST", .framing = HEAD_BODY_CHUNKED, .total = 9, .held_back = 5},
     200,
     200,
     NULL},
    {"owner has nothing to send, early head",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 9\r\n\r\nhello")},
     {.method = "POST", .framing = HEAD_BODY_LENGTH, .total = 9, .held_back = 5},
     200,
     200,
     NULL},
};

static void test_timeouts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(times); i++) {
        struct rig r;
        struct client k = times[i].k;
        rig_init(&r, times[i].script);
        r.set.response_timeout_ms = times[i].response_ms;
        r.set.body_timeout_ms = times[i].body_ms;
        rig_open(&r);
        if (!times[i].why) {
            k.r = &r;
            client_open(&k);
            rig_turn(&r, 8);
            if (client_is_gone(&k)) {
                fail_msg("%s: gone: %s", times[i].label, k.failure.text);
            }
        } else {
            client_run(&k, &r);
            if (k.failure.err != FRUN_E_TIMEOUT || !strstr(k.failure.text, times[i].why)) {
                fail_msg("%s: error %d, %s", times[i].label, k.failure.err, k.failure.text);
            }
            assert_false(k.failure.is_stale || k.failure.is_unprocessed);
        }
        rig_done(&r);
    }
}

static void test_refused(void **state)
{
    struct rig r;
    struct client k = {.method = "POST", .framing = HEAD_BODY_LENGTH, .body = "hello"};
    (void)state;
    rig_init(&r, script_always_empty);
    rig_open(&r);
    listener_free(r.listener);
    r.listener = NULL;
    client_run(&k, &r);
    assert_int_equal(k.failure.err, FRUN_E_CONNECT);
    assert_true(k.failure.is_unprocessed);
    assert_false(k.failure.is_stale);
    rig_done(&r);
}

/* ---- owners that leave ---- */

static void test_leaving(void **state)
{
    static const struct step script[] = {
        WAIT_HEAD, SAY(OK_HEAD "Content-Length: 10485760\r\n\r\n"), MANY(MIB10), {0}};
    static const struct step silent[] = {WAIT("never"), {0}};
    static const struct step eater[] = {WAIT_HEAD, EAT_CHUNKS(MIB10), EMPTY, {0}};
    static const struct step breaker[] = {WAIT_HEAD, SAY("nonsense\r\n\r\n"), {0}};
    static const struct {
        enum stage stage;
        const struct step *script;
    } rows[] = {
        {AT_OPEN, script}, {AT_ROOM, eater}, {AT_HEAD, script},  {AT_BODY, script},
        {AT_HOLD, script}, {AT_END, eater},  {AT_FAIL, breaker},
    };
    static const enum act acts[] = {CANCEL, FREE_POOL, FREE_POOL_AFTER_CANCEL};
    (void)state;
    for (size_t i = 0; i < COUNT(rows) * COUNT(acts); i++) {
        size_t at = i / COUNT(acts);
        struct rig r;
        struct client other = {
            .method = "POST", .framing = HEAD_BODY_CHUNKED, .total = 9, .held_back = 9};
        struct client k = {.stage = rows[at].stage, .act = acts[i % COUNT(acts)], .take_max = 1000};
        if (rows[at].script == eater) {
            k.method = "POST";
            k.framing = HEAD_BODY_CHUNKED;
            k.total = MIB10;
        }
        rig_init(&r, silent);
        r.scripts[1] = rows[at].script;
        rig_open(&r);
        other.r = &r;
        client_open(&other);
        client_run(&k, &r);
        rig_turn(&r, 1);
        assert_int_equal(k.ends + k.fails + k.cancels, 1);
        assert_int_equal(k.stage, AT_NEVER);
        if (k.act != CANCEL) {
            assert_int_equal(other.fails, 1);
            assert_int_equal(other.failure.err, FRUN_E_CLOSED);
            assert_true(rig_until(&r, is_no_connection_open, &r));
        }
        rig_done(&r);
    }
}

/* A pool that is being freed opens nothing. */
static void test_call_while_freeing(void **state)
{
    struct rig r;
    struct client k = {0};
    (void)state;
    rig_init(&r, script_always_empty);
    rig_open(&r);
    k.r = &r;
    client_open(&k);
    struct upstream *u = r.u;
    r.u->is_closing = true;
    struct client next = {.r = &r};
    assert_int_equal(client_try(&next), FRUN_E_CLOSED);
    u->is_closing = false;
    rig_done(&r);
    assert_int_equal(k.failure.err, FRUN_E_CLOSED);
    assert_true(k.failure.is_unprocessed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),         cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_idle_ends),        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_ceilings),         cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_smuggled_answer),  cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_bulk_answers),     cmocka_unit_test(test_bulk_requests),
        cmocka_unit_test(test_owner_holds_back), cmocka_unit_test(test_end_while_held),
        cmocka_unit_test(test_timeouts),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_leaving),          cmocka_unit_test(test_call_while_freeing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
