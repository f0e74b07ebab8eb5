/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/tunnel/ptth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define INSTANCE "0123456789abcdef0123456789abcdef"

static const struct head_limits limits = {32768, 8192, 100};

static struct ptth_hello sample(void)
{
    return (struct ptth_hello){
        .subaccount = SPAN_LIT("provider"),
        .location_id = SPAN_LIT("DC1"),
        .instance = SPAN_LIT(INSTANCE),
        .name = SPAN_LIT("dc1-a"),
        .version = SPAN_LIT("0.1.0"),
        .wire_version = PTTH_WIRE_VERSION,
    };
}

static void parse_request(struct span in, struct head *out)
{
    struct head_fault fault = {0};
    size_t scanned = 0;
    size_t len = 0;

    assert_int_equal(head_cut(in, &limits, &scanned, &len, &fault), FRUN_OK);
    assert_int_equal(len, in.n);
    assert_int_equal(head_parse_request(in, &limits, out, &fault), FRUN_OK);
}

/* What one end writes the other reads, for every kind of location ID. */
static void test_hello_round_trip(void **state)
{
    static const char *const locations[] = {"", "DC1", "dc 1", "a/b", "100%", "..", "K\xc3\xb6ln"};

    (void)state;
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        struct ptth_hello h = sample();
        struct ptth_hello got = {0};
        struct head head = {0};
        struct buf out;
        unsigned status = 0;
        const char *why = NULL;

        buf_init(&out, 8192);
        h.location_id = span_of(locations[i]);
        assert_int_equal(ptth_write_hello(&h, SPAN_LIT("push.example.com:8444"), &out), FRUN_OK);
        parse_request(buf_span(&out), &head);
        if (ptth_read_hello(&head, &got, &status, &why) != FRUN_OK) {
            fail_msg("%s: %u %s", locations[i], status, why);
        }
        assert_true(span_eq(got.location_id, h.location_id));
        assert_true(span_eq(got.subaccount, h.subaccount));
        assert_true(span_eq(got.instance, h.instance));
        assert_true(span_eq(got.name, h.name));
        assert_true(span_eq(got.version, h.version));
        assert_int_equal(got.wire_version, 1);
        assert_true(span_eq(head.authority, SPAN_LIT("push.example.com:8444")));
        buf_done(&out);
    }
}

static void test_hello_refused_to_write(void **state)
{
    char long_id[PTTH_MAX_LOCATION + 2];
    struct buf out;

    (void)state;
    memset(long_id, 'x', sizeof(long_id));
    buf_init(&out, 8192);
    for (int i = 0; i < 5; i++) {
        struct ptth_hello h = sample();
        struct span host = SPAN_LIT("push.example.com");

        switch (i) {
        case 0:
            h.location_id = SPAN_LIT("DC1\r\nfrun-name: other");
            break;
        case 1:
            h.instance = SPAN_LIT("short");
            break;
        case 2:
            h.location_id = span_make(long_id, PTTH_MAX_LOCATION + 1);
            break;
        case 3:
            host = SPAN_LIT("");
            break;
        default:
            h.name = SPAN_LIT(" blank");
            break;
        }
        assert_int_equal(ptth_write_hello(&h, host, &out), FRUN_E_SYNTAX);
        assert_int_equal(buf_len(&out), 0);
    }
    buf_done(&out);
    buf_init(&out, 64);
    {
        struct ptth_hello h = sample();

        assert_int_equal(ptth_write_hello(&h, SPAN_LIT("h"), &out), FRUN_E_LIMIT);
        assert_int_equal(buf_len(&out), 0);
    }
    buf_done(&out);
}

#define LINE  "GET /.well-known/ptth/frun:DC1/ HTTP/1.1\r\nHost: push.example.com\r\n"
#define UP    "Connection: upgrade\r\nUpgrade: ptth\r\n"
#define ALPN  "ALPN: h2\r\n"
#define WIRE  "frun-wire-version: 1\r\n"
#define IDENT "frun-location-id: DC1\r\nfrun-instance: " INSTANCE "\r\nfrun-name: dc1-a\r\n"

static void test_hello_refusals(void **state)
{
    static const struct {
        const char *label;
        const char *input;
        unsigned want;
    } rows[] = {
        {"good", LINE UP ALPN WIRE IDENT, 0},
        {"upper case tokens", LINE "Connection: Upgrade\r\nUpgrade: PTTH\r\n" ALPN WIRE IDENT, 0},
        {"h2 among others", LINE UP "ALPN: h3, h2\r\n" WIRE IDENT, 0},
        {"other path", "GET /sap/frun HTTP/1.1\r\nHost: a\r\n" UP ALPN WIRE IDENT, 404},
        {"other origin",
         "GET /.well-known/ptth/https:DC1/ HTTP/1.1\r\nHost: a\r\n" UP ALPN WIRE IDENT, 404},
        {"path and field disagree",
         "GET /.well-known/ptth/frun:DC2/ HTTP/1.1\r\nHost: a\r\n" UP ALPN WIRE IDENT, 400},
        {"path goes on",
         "GET /.well-known/ptth/frun:DC1/x HTTP/1.1\r\nHost: a\r\n" UP ALPN WIRE IDENT, 400},
        {"no final slash",
         "GET /.well-known/ptth/frun:DC1 HTTP/1.1\r\nHost: a\r\n" UP ALPN WIRE IDENT, 400},
        {"POST", "POST /.well-known/ptth/frun:DC1/ HTTP/1.1\r\nHost: a\r\n" UP ALPN WIRE IDENT,
         400},
        {"body", LINE UP ALPN WIRE IDENT "Content-Length: 3\r\n", 400},
        {"no upgrade", LINE ALPN WIRE IDENT, 426},
        {"upgrade to websocket",
         LINE "Connection: upgrade\r\nUpgrade: websocket\r\n" ALPN WIRE IDENT, 426},
        {"other wire version", LINE UP ALPN "frun-wire-version: 2\r\n" IDENT, 426},
        {"no wire version", LINE UP ALPN IDENT, 400},
        {"odd wire version", LINE UP ALPN "frun-wire-version: one\r\n" IDENT, 400},
        {"no ALPN", LINE UP WIRE IDENT, 501},
        {"ALPN without h2", LINE UP "ALPN: h3\r\n" WIRE IDENT, 501},
        {"two location ids", LINE UP ALPN WIRE IDENT "frun-location-id: DC1\r\n", 400},
        {"no instance", LINE UP ALPN WIRE "frun-location-id: DC1\r\n", 400},
        {"upper case instance",
         LINE UP ALPN WIRE "frun-location-id: DC1\r\n"
                           "frun-instance: 0123456789ABCDEF0123456789abcdef\r\n",
         400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ptth_hello got = {0};
        struct head head = {0};
        char text[2048];
        unsigned status = 0;
        const char *why = NULL;
        frun_err err;

        (void)snprintf(text, sizeof(text), "%s\r\n", rows[i].input);
        parse_request(span_of(text), &head);
        err = ptth_read_hello(&head, &got, &status, &why);
        if ((err == FRUN_OK) != (rows[i].want == 0) || status != rows[i].want ||
            (err != FRUN_OK && !why)) {
            fail_msg("%s: got %d status %u (%s)", rows[i].label, err, status, why ? why : "");
        }
    }
}

static frun_err read_welcome(const char *text, unsigned *tunnels, unsigned *retry)
{
    struct head_fault fault = {0};
    struct head head = {0};
    const char *why = NULL;
    frun_err err;

    assert_int_equal(head_parse_answer(span_of(text), &limits, SPAN_LIT("GET"), &head, &fault),
                     FRUN_OK);
    err = ptth_read_welcome(&head, tunnels, retry, &why);
    assert_true(err == FRUN_OK || why);
    return err;
}

static void test_welcome(void **state)
{
    static const struct {
        const char *label;
        const char *input;
        frun_err want;
        unsigned tunnels;
        unsigned retry;
    } rows[] = {
        {"good", "101 S\r\n" UP ALPN "frun-tunnels: 4\r\n", FRUN_OK, 4, 0},
        {"no wish", "101 S\r\n" UP ALPN, FRUN_OK, 1, 0},
        {"too many", "101 S\r\n" UP ALPN "frun-tunnels: 9999\r\n", FRUN_OK, 64, 0},
        {"none", "101 S\r\n" UP ALPN "frun-tunnels: 0\r\n", FRUN_E_SYNTAX, 7, 0},
        {"odd wish", "101 S\r\n" UP ALPN "frun-tunnels: x\r\n", FRUN_E_SYNTAX, 7, 0},
        {"no ALPN", "101 S\r\n" UP, FRUN_E_SYNTAX, 7, 0},
        {"other protocol", "101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" ALPN,
         FRUN_E_SYNTAX, 7, 0},
        {"401", "401 U\r\nContent-Length: 0\r\n", FRUN_E_DENIED, 7, 0},
        {"403", "403 F\r\nContent-Length: 0\r\nRetry-After: 300\r\n", FRUN_E_DENIED, 7, 300},
        {"409", "409 C\r\nContent-Length: 0\r\n", FRUN_E_AGAIN, 7, 0},
        {"426", "426 U\r\nContent-Length: 0\r\n", FRUN_E_UNSUPPORTED, 7, 0},
        {"503", "503 S\r\nContent-Length: 0\r\nRetry-After: 5\r\n", FRUN_E_AGAIN, 7, 5},
        {"503 date", "503 S\r\nRetry-After: Sat, 21 Nov 2026 06:36:00 GMT\r\n", FRUN_E_AGAIN, 7, 0},
        {"503 long", "503 S\r\nRetry-After: 99999999999999999999999\r\n", FRUN_E_AGAIN, 7, 86400},
        {"302", "302 F\r\nContent-Length: 0\r\n", FRUN_E_AGAIN, 7, 0},
        {"200", "200 OK\r\nContent-Length: 0\r\n", FRUN_E_SYNTAX, 7, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[512];
        unsigned tunnels = 7;
        unsigned retry = 9;
        frun_err err;

        (void)snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n", rows[i].input);
        err = read_welcome(text, &tunnels, &retry);
        if (err != rows[i].want || tunnels != rows[i].tunnels || retry != rows[i].retry) {
            fail_msg("%s: got %d tunnels %u retry %u", rows[i].label, err, tunnels, retry);
        }
    }
}

static void test_welcome_round_trip(void **state)
{
    static const unsigned wishes[][2] = {{0, 1}, {1, 1}, {8, 8}, {64, 64}, {1000, 64}};

    (void)state;
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct buf out;
        unsigned tunnels = 0;
        unsigned retry = 0;

        buf_init(&out, 1024);
        assert_int_equal(ptth_write_welcome(wishes[i][0], &out), FRUN_OK);
        assert_int_equal(buf_put(&out, span_make("", 1)), FRUN_OK);
        assert_int_equal(read_welcome(buf_span(&out).p, &tunnels, &retry), FRUN_OK);
        assert_int_equal(tunnels, wishes[i][1]);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_round_trip),   cmocka_unit_test(test_hello_refused_to_write),
        cmocka_unit_test(test_hello_refusals),     cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_welcome_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
