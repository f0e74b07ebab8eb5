/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/subaccount.h"

#include "connector_gateway.h"

/* Denials are logged. */
static const struct conf_audit audited = {.level = CONF_AUDIT_SECURITY};

static struct subaccount *membership;
static struct conf_connector connector;
static struct conf_subaccount conf_subaccount;
static struct conf_cn conf;
static struct trust trust;
static struct backends *backends;
static struct forward_env env;
static const char *addresses[2];
static char address[32];
static size_t want_open;

static int setup(void **state)
{
    (void)state;
    gateway_start();
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", gw.port);
    addresses[0] = address;
    addresses[1] = address;
    connector = (struct conf_connector){.name = "dc1-a",
                                        .max_head = 65536,
                                        .max_streams = 8,
                                        .stream_window = 65536,
                                        .connect_timeout_ms = 1000,
                                        .ping_interval_ms = 15000,
                                        .ping_timeout_ms = 10000,
                                        .retry_min_ms = 50,
                                        .retry_max_ms = 100};
    conf_subaccount = (struct conf_subaccount){
        .place = {.name = "provider"}, .gateway = {addresses, 1}, .location_id = ""};
    conf = (struct conf_cn){.connector = &connector, .audit = &audited};
    trust = (struct trust){0};
    membership = NULL;
    assert_int_equal(backends_new(gw.loop, gw.offload, &conf, &trust, &backends), FRUN_OK);
    env = (struct forward_env){.loop = gw.loop, .conf = &conf, .backends = backends};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    subaccount_free(membership);
    assert_int_equal(env.in_flight, 0);
    backends_free(backends);
    gateway_stop();
    forward_env_done(&env);
    return 0;
}

static void start(void)
{
    struct subaccount_settings s = {.loop = gw.loop,
                                    .offload = gw.offload,
                                    .connector = &connector,
                                    .conf = &conf_subaccount,
                                    .instance = "0123456789abcdef0123456789abcdef",
                                    .env = &env};
    assert_int_equal(subaccount_new(&s, &membership), FRUN_OK);
}

static struct subaccount_count count(void)
{
    struct subaccount_count n = {0};
    subaccount_count(membership, &n);
    return n;
}

static bool is_complete(void)
{
    struct subaccount_count n = count();
    return n.open == want_open && n.wanted == want_open && gateway_open_links() == want_open &&
           n.draining == 0;
}

static bool is_done(void)
{
    return subaccount_is_done(membership);
}

static void wait_for(size_t tunnels)
{
    want_open = tunnels;
    wait_until(is_complete);
}

static void grows_to_the_wish(void **state)
{
    (void)state;
    gw.wish = 5;
    start();
    assert_int_equal(count().wanted, 1);
    wait_for(5);
    assert_int_equal(gw.n_links, 5);
    assert_string_equal(gw.location, "");
}

static void configured_number_wins(void **state)
{
    (void)state;
    gw.wish = 5;
    connector.tunnels = 2;
    start();
    wait_for(2);
    assert_int_equal(gw.n_links, 2);
}

static void every_gateway_is_dialled(void **state)
{
    (void)state;
    conf_subaccount.gateway.n = 2;
    gw.wish = 2;
    start();
    wait_for(4);
}

static void killed_tunnel_comes_back(void **state)
{
    (void)state;
    gw.wish = 3;
    start();
    wait_for(3);
    gateway_kill(&gw.links[1]);
    wait_for(3);
    assert_true(gw.n_links >= 4);
}

static void drained_tunnel_is_replaced(void **state)
{
    (void)state;
    gw.wish = 2;
    start();
    wait_for(2);
    h2_drain(gw.links[0].h2);
    wait_for(2);
    assert_int_equal(gw.n_links, 3);
    assert_false(gw.links[0].is_open);
}

static void denied_request_through_the_tunnel(void **state)
{
    (void)state;
    start();
    wait_for(1);
    gateway_call(&gw.links[0], "/sap/frun");
    wait_until(call_is_over);
    assert_false(gw.is_call_failed);
    assert_int_equal(gw.status, 403);
    assert_string_equal(gw.origin, "connector");
}

static void drain_ends_everything(void **state)
{
    (void)state;
    gw.wish = 3;
    start();
    wait_for(3);
    assert_false(subaccount_is_done(membership));
    subaccount_drain(membership);
    wait_until(is_done);
    assert_int_equal(count().open + count().draining, 0);
    assert_int_equal(gw.n_links, 3); /* nothing was dialled again */
}

static void drain_while_nobody_answers(void **state)
{
    (void)state;
    gateway_unlisten();
    start();
    subaccount_drain(membership);
    assert_true(subaccount_is_done(membership));
}

static void look_at(void *ctx, const struct subaccount_tunnel *t)
{
    (void)snprintf(ctx, sizeof(address), "%s", t->gateway);
}

/* Nothing of a former configuration is looked at once it has been updated. */
static void former_texts_are_left(void **state)
{
    (void)state;
    char *former[] = {strdup(address)};
    const char *items[] = {former[0]};
    const struct conf_list list = {items, 1};
    struct subaccount_settings s = {.loop = gw.loop,
                                    .offload = gw.offload,
                                    .connector = &connector,
                                    .conf = &conf_subaccount,
                                    .instance = "0123456789abcdef0123456789abcdef",
                                    .env = &env};
    char seen[sizeof(address)] = "";
    conf_subaccount.gateway = list;
    start();
    wait_for(1);
    conf_subaccount.gateway.items = addresses;
    subaccount_update(membership, &s);
    free(former[0]);
    subaccount_look(membership, look_at, seen);
    assert_string_equal(seen, address);
}

static void bad_address_is_refused(void **state)
{
    struct subaccount_settings s = {.loop = gw.loop,
                                    .offload = gw.offload,
                                    .connector = &connector,
                                    .conf = &conf_subaccount,
                                    .instance = "0123456789abcdef0123456789abcdef",
                                    .env = &env};
    (void)state;
    addresses[1] = "no port";
    conf_subaccount.gateway.n = 2;
    assert_int_equal(subaccount_new(&s, &membership), FRUN_E_SYNTAX);
    assert_null(membership);
}

int main(void)
{
#define WITH_GATEWAY(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_GATEWAY(grows_to_the_wish),          WITH_GATEWAY(configured_number_wins),
        WITH_GATEWAY(every_gateway_is_dialled),   WITH_GATEWAY(killed_tunnel_comes_back),
        WITH_GATEWAY(drained_tunnel_is_replaced), WITH_GATEWAY(denied_request_through_the_tunnel),
        WITH_GATEWAY(drain_ends_everything),      WITH_GATEWAY(drain_while_nobody_answers),
        WITH_GATEWAY(bad_address_is_refused),     WITH_GATEWAY(former_texts_are_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
