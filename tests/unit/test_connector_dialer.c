/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/dialer.h"

#include "connector_gateway.h"

#include "frun/base/mono.h"

#define UPGRADE                                                                                    \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\n"     \
    "frun-tunnels: 1\r\n\r\n"

static struct dialer *dialer;
static struct dialer_news news;
static unsigned opened;
static unsigned lost;
static unsigned drained;
static unsigned ended;
static unsigned wish;
static struct served *held;
static bool is_holding;
static struct head lent;
static struct arena lent_arena;

static void held_gone(void *owner, frun_err err, const char *why)
{
    (void)owner;
    (void)err;
    (void)why;
    held = NULL;
}

static const struct served_events held_events = {.on_gone = held_gone};

static void on_open(void *ctx, struct dialer *d, unsigned tunnels)
{
    assert_ptr_equal(ctx, &dialer);
    assert_int_equal(dialer_state(d), DIALER_OPEN);
    opened++;
    wish = tunnels;
}

static void answer(struct served *s)
{
    struct head h = {.status = 204, .minor = 1};
    assert_int_equal(s->ops->send_head(s, &h), FRUN_OK);
    (void)s->ops->send_body(s, SPAN_LIT(""), true);
}

/* One place for all: a head is of no interest once its request has come. */
static bool on_head(void *ctx, struct h2_place *place)
{
    (void)ctx;
    arena_reset(&lent_arena);
    *place = (struct h2_place){.head = &lent, .arena = &lent_arena};
    return true;
}

static void on_head_lost(void *ctx, void *owner)
{
    (void)ctx;
    assert_null(owner);
}

static void on_request(void *ctx, const char *scope, struct served *s)
{
    (void)ctx;
    assert_true(lent.method.n > 0);
    assert_non_null(strstr(scope, "tunnel provider at 127.0.0.1 #"));
    s->ev = &held_events;
    s->owner = &held;
    if (is_holding) {
        held = s;
    } else {
        answer(s);
    }
}

static void on_drain(void *ctx, struct dialer *d)
{
    (void)ctx;
    assert_int_equal(dialer_state(d), DIALER_DRAINING);
    drained++;
}

static void on_lost(void *ctx, struct dialer *d)
{
    (void)ctx;
    assert_int_equal(dialer_state(d), DIALER_WAITING);
    lost++;
}

static void on_ended(void *ctx, struct dialer *d)
{
    (void)ctx;
    assert_int_equal(dialer_state(d), DIALER_ENDED);
    ended++;
}

static const struct dialer_events events = {.on_open = on_open,
                                            .on_head = on_head,
                                            .on_request = on_request,
                                            .on_head_lost = on_head_lost,
                                            .on_drain = on_drain,
                                            .on_lost = on_lost,
                                            .on_ended = on_ended};

static int setup(void **state)
{
    (void)state;
    gateway_start();
    dialer = NULL;
    news = (struct dialer_news){0};
    opened = lost = drained = ended = wish = 0;
    held = NULL;
    is_holding = false;
    arena_init(&lent_arena, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dialer_free(dialer);
    gateway_stop();
    arena_done(&lent_arena);
    return 0;
}

static void start(void)
{
    struct dialer_settings s = {
        .loop = gw.loop,
        .offload = gw.offload,
        .target = {.host = "127.0.0.1",
                   .port = gw.port,
                   .timeout_ms = 1000,
                   .user_timeout_ms = 2000},
        .hello = {.subaccount = SPAN_LIT("provider"),
                  .location_id = SPAN_LIT("DC1"),
                  .instance = SPAN_LIT("0123456789abcdef0123456789abcdef"),
                  .name = SPAN_LIT("dc1-a"),
                  .version = SPAN_LIT("0.1"),
                  .wire_version = PTTH_WIRE_VERSION},
        .label = "provider at 127.0.0.1",
        .h2 = {.max_streams = 8,
               .stream_window = 65535,
               .max_head_bytes = 65536,
               .ping_interval_ms = 100,
               .ping_timeout_ms = 200},
        .retry_min_ms = 50,
        .retry_max_ms = 100,
        .greeting_ms = 200,
        .news = &news,
    };
    assert_int_equal(dialer_new(&s, NULL, &events, &dialer, &dialer), FRUN_OK);
}

static bool is_open(void)
{
    return opened > 0 && gateway_open_links() > 0;
}

static bool is_open_again(void)
{
    return opened > 1;
}

static bool is_lost(void)
{
    return lost > 0;
}

static bool is_lost_twice(void)
{
    return lost > 1;
}

static bool is_held(void)
{
    return held != NULL;
}

static bool has_drained(void)
{
    return drained > 0;
}

static bool has_ended(void)
{
    return ended > 0;
}

static void opens_and_serves(void **state)
{
    (void)state;
    gw.wish = 4;
    start();
    wait_until(is_open);
    assert_int_equal(wish, 4);
    assert_string_equal(gw.location, "DC1");
    assert_string_equal(gw.subaccount, "provider");
    gateway_call(&gw.links[0], "/x");
    wait_until(call_is_over);
    assert_int_equal(gw.status, 204);
    assert_int_equal(lost, 0);
}

struct refusal_row {
    const char *label;
    const char *answer;
    bool is_final;
    uint64_t wait_ms; /* before the next dial at least */
    const char *news; /* what the log says */
};

static const struct refusal_row refusal_rows[] = {
    {"unauthorised", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", true, 0, "401"},
    {"forbidden", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", true, 0, "403 Forbidden"},
    {"conflict", "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", true, 0, "409"},
    {"wire version", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", true, 0, "426"},
    {"busy", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", true,
     1000, "429"},
    {"draining", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n", true, 1000, "503"},
    {"a page", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true, 0, "200"},
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, 0, "HTTP"},
    {"bare line feeds", "HTTP/1.1 101 x\n\n", false, 0, "HTTP"},
    {"closed at once", "\r", true, 0, "gateway"},
    {"silent", "", false, 0, "does not answer the greeting"},
    {"upgrade to something else",
     "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false, 0, ""},
};

static void refusals(void **state)
{
    for (size_t i = 0; i < sizeof(refusal_rows) / sizeof(refusal_rows[0]); i++) {
        const struct refusal_row *r = &refusal_rows[i];
        assert_int_equal(setup(state), 0);
        gw.answer = r->answer;
        gw.is_answer_final = r->is_final;
        start();
        wait_until(is_lost);
        uint64_t refused_ms = mono_now_ms();
        if (opened || !strstr(news.text, r->news)) {
            fail_msg("%s: %s", r->label, news.text);
        }
        wait_until(is_lost_twice);
        uint64_t waited_ms = mono_now_ms() - refused_ms;
        if (waited_ms + 2 * LOOP_TICK_MS < r->wait_ms) {
            fail_msg("%s: waited %u ms only", r->label, (unsigned)waited_ms);
        }
        assert_int_equal(gw.n_links, 2);
        gw.answer = NULL; /* for ever also means: as soon as it is let in */
        wait_until(is_open);
        dialer_free(dialer);
        gateway_stop();
    }
}

static void too_long_a_greeting(void **state)
{
    static char answer_text[40000];
    (void)state;
    memset(answer_text, 'a', sizeof(answer_text) - 1);
    memcpy(answer_text, "HTTP/1.1 101 x\r\nX: ", 19);
    gw.answer = answer_text;
    start();
    wait_until(is_lost);
    assert_int_equal(opened, 0);
}

static void first_dial_fails(void **state)
{
    (void)state;
    gateway_unlisten();
    start();
    wait_until(is_lost_twice);
    assert_int_equal(opened, 0);
    assert_true(news.unsaid > 0); /* said once only */
    gateway_listen();
    wait_until(is_open);
}

static void killed_gateway(void **state)
{
    (void)state;
    is_holding = true;
    start();
    wait_until(is_open);
    gateway_call(&gw.links[0], "/x");
    wait_until(is_held);
    gateway_kill(&gw.links[0]);
    wait_until(is_open_again);
    assert_null(held); /* the request in it is gone */
    assert_int_equal(lost, 1);
}

static void half_open_tunnel(void **state)
{
    /* The preface and empty SETTINGS, then no word more, also not to a PING. */
    static char text[sizeof(UPGRADE) + 64];
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    (void)state;
    (void)snprintf(text, sizeof(text), "%s%s", UPGRADE, preface);
    gw.answer = text;
    start();
    wait_until(is_lost);
    assert_int_equal(opened, 1);
    assert_non_null(strstr(news.text, "lost: "));
}

static void gateway_drains(void **state)
{
    (void)state;
    is_holding = true;
    start();
    wait_until(is_open);
    gateway_call(&gw.links[0], "/x");
    wait_until(is_held);
    h2_drain(gw.links[0].h2);
    wait_until(has_drained);
    assert_int_equal(dialer_in_flight(dialer), 1);
    answer(held);
    held = NULL;
    wait_until(call_is_over);
    assert_false(gw.is_call_failed);
    wait_until(has_ended);
    assert_int_equal(lost, 0);
}

static void connector_drains(void **state)
{
    (void)state;
    is_holding = true;
    start();
    wait_until(is_open);
    gateway_call(&gw.links[0], "/x");
    wait_until(is_held);
    dialer_drain(dialer);
    assert_int_equal(dialer_state(dialer), DIALER_DRAINING);
    answer(held);
    held = NULL;
    wait_until(call_is_over);
    assert_false(gw.is_call_failed);
    wait_until(has_ended);
    assert_int_equal(drained, 0);
}

static void drains_without_connection(void **state)
{
    (void)state;
    gw.answer = "";
    start();
    dialer_drain(dialer);
    assert_int_equal(dialer_state(dialer), DIALER_ENDED);
}

static bool is_greeting(void)
{
    return dialer_state(dialer) == DIALER_GREETING && gw.n_links == 1 && gw.links[0].in.max == 0;
}

/* The gateway may have sent requests behind its welcome: they are answered. */
static void drains_while_greeting(void **state)
{
    const struct ptth_hello hello = {.location_id = SPAN_LIT(""), .subaccount = SPAN_LIT("")};
    (void)state;
    gw.answer = "";
    start();
    wait_until(is_greeting);
    dialer_drain(dialer);
    assert_int_equal(dialer_state(dialer), DIALER_GREETING);
    link_welcome(&gw.links[0], &hello);
    gateway_call(&gw.links[0], "/sap/frun/x");
    wait_until(call_is_over);
    assert_false(gw.is_call_failed);
    wait_until(has_ended);
}

static void drained_while_greeting_and_refused(void **state)
{
    (void)state;
    gw.answer = "";
    start();
    wait_until(is_greeting);
    dialer_drain(dialer);
    gateway_kill(&gw.links[0]);
    wait_until(has_ended);
}

static void replacement_remembers(void **state)
{
    struct dialer *second = NULL;
    (void)state;
    start();
    wait_until(is_open);
    struct dialer_settings s = {
        .loop = gw.loop, .label = "x", .retry_min_ms = 50, .retry_max_ms = 100, .news = &news};
    assert_int_equal(dialer_new(&s, dialer, &events, &dialer, &second), FRUN_OK);
    assert_int_equal(dialer_state(second), DIALER_WAITING);
    dialer_free(second);
}

int main(void)
{
#define WITH_GATEWAY(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_GATEWAY(opens_and_serves),
        WITH_GATEWAY(drains_while_greeting),
        WITH_GATEWAY(drained_while_greeting_and_refused),
        cmocka_unit_test(refusals),
        WITH_GATEWAY(too_long_a_greeting),
        WITH_GATEWAY(first_dial_fails),
        WITH_GATEWAY(killed_gateway),
        WITH_GATEWAY(half_open_tunnel),
        WITH_GATEWAY(gateway_drains),
        WITH_GATEWAY(connector_drains),
        WITH_GATEWAY(drains_without_connection),
        WITH_GATEWAY(replacement_remembers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
