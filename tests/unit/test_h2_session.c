/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- tests ---- */

static void test_small(void **state)
{
    static const struct {
        const char *label;
        const char *method;
        const char *path;
        uint64_t body;
        unsigned want_status;
        enum head_body want_body;
        const char *want_length;
        uint64_t want_got;
    } rows[] = {
        {"GET", "GET", "/get/5", 0, 200, HEAD_BODY_LENGTH, "5", 5},
        {"GET of unknown length", "GET", "/chunk/5000", 0, 200, HEAD_BODY_CHUNKED, "", 5000},
        {"empty of unknown length", "GET", "/chunk/0", 0, 200, HEAD_BODY_CHUNKED, "", 0},
        {"length 0", "GET", "/get/0", 0, 200, HEAD_BODY_LENGTH, "0", 0},
        {"POST", "POST", "/sink", 1000, 200, HEAD_BODY_LENGTH, "2", 2},
        {"POST without body", "POST", "/sink", 0, 200, HEAD_BODY_LENGTH, "2", 2},
        {"HEAD with told length", "HEAD", "/head", 0, 200, HEAD_BODY_NONE, "77", 0},
        {"HEAD with framed length", "HEAD", "/headlen", 0, 200, HEAD_BODY_NONE, "77", 0},
        {"204", "POST", "/status/204", 0, 204, HEAD_BODY_NONE, "", 0},
        {"304", "GET", "/status/304", 0, 304, HEAD_BODY_NONE, "77", 0},
        {"200 without body", "GET", "/status/200", 0, 200, HEAD_BODY_NONE, "0", 0},
        {"403 without body", "POST", "/status/403", 100, 403, HEAD_BODY_NONE, "0", 0},
        {"cookies joined", "POST", "/cookies", 1, 200, HEAD_BODY_LENGTH, "2", 2},
        {"other expectation", "POST", "/expect", 1, 417, HEAD_BODY_NONE, "0", 0},
        {"odd authority", "GET", "/badhost", 0, 400, HEAD_BODY_NONE, "0", 0},
        {"100-continue", "POST", "/continue", 3000, 200, HEAD_BODY_LENGTH, "2", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct env *e = rig_env_pair(NULL, NULL);
        struct cli *c = rig_open_call(e, rows[i].method, rows[i].path, rows[i].body);

        rig_spin(e, rig_all_done);
        if (!c->is_ended || c->status != rows[i].want_status || c->body != rows[i].want_body ||
            strcmp(c->field, rows[i].want_length) != 0 || c->got != rows[i].want_got) {
            fail_msg("%s: ended %d (%s) status %u body %d length %s got %llu", rows[i].label,
                     c->is_ended, c->failure.text, c->status, (int)c->body, c->field,
                     (unsigned long long)c->got);
        }
        assert_int_equal(e->srv[0].got, c->status == 200 ? rows[i].body : 0);
        assert_int_equal(e->srv[0].wants_continue, strcmp(rows[i].path, "/continue") == 0);
        assert_int_equal(h2_in_flight(e->client.h), 0);
        assert_true(h2_may_call(e->client.h));
        rig_env_free(e);
    }
}

static bool is_first_of_server(struct env *e)
{
    return e->n_srv > 0;
}

/* A push waits for 100 Continue's permission: nothing of the body is offered before. */
static void test_accept_gates_body(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c = rig_open_call(e, "POST", "/unread", 200000);

    (void)state;
    rig_spin(e, is_first_of_server);
    rig_open_call(e, "GET", "/get/3", 0);
    while (e->n_done < 1) {
        rig_spin(e, is_first_of_server);
        e->until = rig_all_done;
        deadline_set(e->loop, &e->guard, 300);
        loop_run(e->loop);
    }
    assert_int_equal(e->srv[0].got, 0);
    assert_false(e->srv[0].is_body_ended);
    /* What the client got rid of lies in its buffer and in the window, nowhere else. */
    assert_true(c->sent <= EXCHANGE_BUFFER_BYTES + WINDOW);
    e->srv[0].served->ops->accept_body(e->srv[0].served);
    rig_spin(e, rig_all_done);
    assert_int_equal(e->srv[0].got, 200000);
    assert_true(c->is_ended);
    rig_env_free(e);
}

static void test_many(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);

    (void)state;
    e->to_open = 1000;
    rig_client_capacity(e);
    rig_spin(e, rig_all_done);
    assert_int_equal(e->n_done, 1000);
    assert_int_equal(e->n_srv, 1000);
    assert_int_equal(e->most_in_flight, 64);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(e->cli[i].is_ended);
        assert_int_equal(e->cli[i].status, 200);
        assert_int_equal(e->srv[i].got, e->cli[i].to_send);
    }
    rig_env_free(e);
}

#define TEN_MIB (10U << 20)

/* A taker of small pieces gets everything in order. */
static void test_big_bodies(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *up;
    struct cli *down;

    (void)state;
    e->take_max = 8000;
    up = rig_open_call(e, "POST", "/sink", TEN_MIB);
    down = rig_open_call(e, "GET", "/get/10485760", 0);
    down->take_max = 7000;
    down->is_hungry = true;
    rig_spin(e, rig_all_done);
    assert_true(up->is_ended && down->is_ended);
    assert_int_equal(e->srv[0].got, TEN_MIB);
    assert_int_equal(down->got, TEN_MIB);
    rig_env_free(e);
}

/* Who takes nothing makes the other side stop: window and one buffer, not ten MiB. */
static void test_back_pressure(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *up;
    struct cli *down;

    (void)state;
    e->take_max = 1;
    up = rig_open_call(e, "POST", "/sink", TEN_MIB);
    down = rig_open_call(e, "GET", "/get/10485760", 0);
    down->take_max = 1;
    rig_settle(e, 200);
    assert_true(up->sent > 0 && up->sent <= WINDOW + EXCHANGE_BUFFER_BYTES);
    assert_true(e->srv[1].sent > 0 && e->srv[1].sent <= WINDOW + EXCHANGE_BUFFER_BYTES);
    e->srv[0].take_max = 0;
    e->srv[0].served->ops->resume(e->srv[0].served);
    down->take_max = 0;
    down->call->ops->resume(down->call);
    rig_spin(e, rig_all_done);
    assert_int_equal(e->srv[0].got, TEN_MIB);
    assert_int_equal(down->got, TEN_MIB);
    rig_env_free(e);
}

/* An answer before the body is read ends the call well, and the session goes on. */
static void test_early_answer(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct cli *c = rig_open_call(e, "POST", "/early", 300000);

        rig_spin(e, rig_all_done);
        assert_true(c->is_ended);
        assert_int_equal(c->status, 413);
        assert_int_equal(c->got, 10);
        assert_true(c->sent < 300000);
    }
    assert_false(e->client.is_closed || e->server.is_closed);
    /* The windows of the connection came back. */
    {
        struct cli *c = rig_open_call(e, "POST", "/sink", 2000000);

        rig_spin(e, rig_all_done);
        assert_true(c->is_ended);
    }
    rig_env_free(e);
}

static bool one_gone(struct env *e)
{
    return e->n_srv > 0 && e->srv[0].is_gone;
}

static void test_cancel(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c = rig_open_call(e, "POST", "/hold", 100000);

    (void)state;
    rig_spin(e, is_first_of_server);
    c->call->ops->cancel(c->call);
    rig_spin(e, one_gone);
    assert_int_equal(e->srv[0].gone_err, FRUN_E_CLOSED);
    assert_false(c->is_ended || c->is_failed);
    assert_int_equal(h2_in_flight(e->client.h), 0);
    /* Cancelled before anything left: the server never hears of it. */
    c = rig_open_call(e, "GET", "/get/1", 0);
    c->call->ops->cancel(c->call);
    rig_settle(e, 200);
    assert_int_equal(e->n_srv, 1);
    assert_true(h2_may_call(e->client.h));
    rig_env_free(e);
}

static void test_abandon_and_refuse(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *a = rig_open_call(e, "GET", "/abandon", 0);
    struct cli *r = rig_open_call(e, "POST", "/refuse", 10);

    (void)state;
    rig_spin(e, rig_all_done);
    assert_true(a->is_failed);
    assert_int_equal(a->failure.err, FRUN_E_CLOSED);
    assert_false(a->failure.is_unprocessed);
    assert_true(r->is_failed);
    assert_true(r->failure.is_unprocessed);
    assert_false(e->client.is_closed);
    rig_env_free(e);
}

/* More calls than the server wants, opened before its SETTINGS came: refused, not lost. */
static void test_refused_streams(void **state)
{
    struct h2_settings set = rig_settings(false);
    struct env *e;
    size_t refused = 0;

    (void)state;
    set.max_streams = 2;
    e = rig_env_pair(NULL, &set);
    for (int i = 0; i < 6; i++) {
        rig_open_call(e, "POST", "/sink", 100);
    }
    rig_spin(e, rig_all_done);
    for (int i = 0; i < 6; i++) {
        if (e->cli[i].is_failed) {
            assert_true(e->cli[i].failure.is_unprocessed);
            refused++;
        }
    }
    assert_int_equal(e->n_srv + refused, 6);
    rig_settle(e, 200);
    rig_open_call(e, "POST", "/hold", 100);
    rig_open_call(e, "POST", "/hold", 100);
    assert_false(h2_may_call(e->client.h));
    rig_env_free(e);
}

static bool client_drained(struct env *e)
{
    return e->client.is_drained;
}

/* Drain of the server: the request in flight is answered, then both ends close in good order. */
static void test_drain_server(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c = rig_open_call(e, "POST", "/hold", 100);
    struct cli *other;

    (void)state;
    rig_spin(e, is_first_of_server);
    h2_drain(e->server.h);
    h2_drain(e->server.h);
    rig_spin(e, client_drained);
    assert_false(h2_may_call(e->client.h));
    assert_int_equal(rig_try_open(e, "GET", "/get/1", 0, &other), FRUN_E_CLOSED);
    rig_settle(e, 200);
    assert_false(c->is_ended || c->is_failed);
    assert_false(e->client.is_closed || e->server.is_closed);
    rig_answer(&e->srv[0], 200, HEAD_BODY_LENGTH, 300000);
    rig_spin(e, rig_both_closed);
    assert_true(c->is_ended);
    assert_int_equal(c->got, 300000);
    assert_int_equal(e->client.err, FRUN_E_EOF);
    assert_int_equal(e->server.err, FRUN_E_EOF);
    rig_env_free(e);
}

/* A request that crosses the announcement is served. */
static void test_drain_crossing(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c;

    (void)state;
    rig_settle(e, 200);
    c = rig_open_call(e, "POST", "/sink", 100);
    h2_drain(e->server.h);
    rig_spin(e, rig_both_closed);
    assert_true(c->is_ended);
    rig_env_free(e);
}

static void test_drain_client(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c = rig_open_call(e, "POST", "/hold", 100);

    (void)state;
    rig_spin(e, is_first_of_server);
    h2_drain(e->client.h);
    assert_false(h2_may_call(e->client.h));
    rig_settle(e, 200);
    assert_false(e->client.is_closed);
    rig_answer(&e->srv[0], 200, HEAD_BODY_LENGTH, 3);
    rig_spin(e, rig_both_closed);
    assert_true(c->is_ended);
    assert_int_equal(e->client.err, FRUN_E_EOF);
    rig_env_free(e);
}

/* The server has answered, drained and closed; a slow owner still gets the whole answer. */
static void test_answer_outlives_connection(void **state)
{
    struct h2_settings set = rig_settings(true);
    struct env *e;
    struct cli *c;

    (void)state;
    set.stream_window = 1U << 20;
    e = rig_env_pair(&set, NULL);
    c = rig_open_call(e, "GET", "/get/500000", 0);
    c->take_max = 1;
    rig_spin(e, is_first_of_server);
    h2_drain(e->server.h);
    rig_spin(e, rig_server_is_closed);
    rig_settle(e, 200);
    assert_false(e->client.is_closed);
    assert_false(c->is_ended || c->is_failed);
    c->take_max = 9000;
    c->is_hungry = true;
    c->call->ops->resume(c->call);
    rig_spin(e, rig_client_is_closed);
    assert_true(c->is_ended);
    assert_int_equal(c->got, 500000);
    rig_env_free(e);
}

/* What may be sent again is told exactly: only what never left. */
static void test_killed(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *sent;
    struct cli *unsent;

    (void)state;
    sent = rig_open_call(e, "POST", "/hold", 100);
    rig_spin(e, is_first_of_server);
    unsent = rig_open_call(e, "POST", "/sink", 100);
    h2_free(e->server.h);
    e->server.h = NULL;
    assert_true(e->srv[0].is_gone);
    h2_free(e->client.h);
    e->client.h = NULL;
    assert_true(sent->is_failed && unsent->is_failed);
    assert_false(sent->failure.is_unprocessed);
    assert_true(unsent->failure.is_unprocessed);
    rig_env_free(e);
}

static void test_peer_killed(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c = rig_open_call(e, "GET", "/get/3000000", 0);

    (void)state;
    c->take_max = 1;
    rig_settle(e, 200);
    h2_free(e->server.h);
    e->server.h = NULL;
    rig_spin(e, rig_client_is_closed);
    assert_true(c->is_failed);
    assert_int_equal(c->status, 200);
    assert_false(c->failure.is_unprocessed);
    rig_env_free(e);
}

static void test_ping(void **state)
{
    struct h2_settings set = rig_settings(true);
    struct env *e;

    (void)state;
    set.ping_interval_ms = 100;
    set.ping_timeout_ms = 1000;
    e = rig_env_pair(&set, NULL);
    rig_settle(e, 200);
    rig_settle(e, 200);
    assert_false(e->client.is_closed);
    assert_true(h2_rtt_us(e->client.h) > 0);
    assert_true(h2_rtt_us(e->client.h) < 1000000);
    assert_int_equal(h2_rtt_us(e->server.h), 0);
    h2_probe(e->server.h, 5000);
    rig_settle(e, 200);
    assert_true(h2_rtt_us(e->server.h) > 0);
    rig_env_free(e);
}

/* Larger heads than allowed: refused with 431 unseen, or by the sender once it knows the limit. */
static void test_large_heads(void **state)
{
    struct env *e = rig_env_pair(NULL, NULL);
    struct cli *c = rig_open_call(e, "GET", "/bigfield", 0);
    struct cli *other;

    (void)state;
    rig_spin(e, rig_all_done);
    assert_true(c->is_ended);
    assert_int_equal(c->status, 431);
    assert_int_equal(e->n_srv, 0);
    assert_int_equal(rig_try_open(e, "GET", "/bigfield", 0, &other), FRUN_E_LIMIT);
    c = rig_open_call(e, "POST", "/bighead", 10);
    rig_spin(e, rig_all_done);
    assert_int_equal(e->srv[0].head_err, FRUN_E_LIMIT);
    assert_true(c->is_failed);
    assert_int_equal(h2_in_flight(e->client.h), 0);
    rig_env_free(e);
}

/* An owner may free its session in any event. */
static void test_free_in_events(void **state)
{
    (void)state;
    for (int spot = SPOT_REQUEST; spot < SPOT_COUNT; spot++) {
        struct env *e = rig_env_pair(NULL, NULL);

        e->spot = (enum spot)spot;
        rig_open_call(e, "POST", "/sink", 400000);
        rig_open_call(e, "GET", "/get/400000", 0);
        rig_open_call(e, "GET", "/abandon", 0);
        rig_open_call(e, "POST", "/hold", 10);
        rig_settle(e, 200);
        if (spot == SPOT_GONE && !e->is_spot_hit) {
            e->cli[3].call->ops->cancel(e->cli[3].call);
            rig_settle(e, 200);
        }
        if (spot == SPOT_DRAIN) {
            h2_drain(e->server.h);
            rig_settle(e, 200);
        }
        if (!e->is_spot_hit) {
            fail_msg("event %d did not come", spot);
        }
        rig_env_free(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_accept_gates_body),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_big_bodies),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_abandon_and_refuse),
        cmocka_unit_test(test_refused_streams),
        cmocka_unit_test(test_drain_server),
        cmocka_unit_test(test_drain_crossing),
        cmocka_unit_test(test_drain_client),
        cmocka_unit_test(test_answer_outlives_connection),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_peer_killed),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_large_heads),
        cmocka_unit_test(test_free_in_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
