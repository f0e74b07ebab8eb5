/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/permit.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_is_open(void **state)
{
    static const struct {
        const char *label;
        const char *method;
        const char *path;
        uint64_t length; /* octets announced */
        unsigned status; /* 0: allowed */
        const char *says;
    } rows[] = {
        {"a push", "POST", "/sap/frun/ngdci", 10, 0, ""},
        {"the root of the resources", "POST", "/sap/frun", 10, 0, ""},
        {"ping", "GET", "/sap/bc/ping", 0, 0, ""},
        {"below ping", "GET", "/sap/bc/ping/x", 0, 403, "only /sap/frun"},
        {"no segment boundary", "POST", "/sap/frunX", 0, 403, "only /sap/frun"},
        {"bare root", "POST", "", 0, 400, "such as /ACME/sap/frun"},
        {"method", "DELETE", "/sap/frun", 0, 405, "methods"},
        {"as long as allowed", "POST", "/sap/frun", 100, 0, ""},
        {"too long for the pusher", "POST", "/sap/frun", 101, 413, "(100 octets) of pusher s4"},
    };
    const char *methods[] = {"GET", "POST"};
    struct conf_endpoint ce = {.methods = {methods, 2}};
    struct conf_pusher cp = {.max_body = 100};
    struct conf_gateway g = {.max_body = 1000};
    struct endpoint e = {.conf = &ce, .name = SPAN_LIT("ACME"), .allow = SPAN_LIT("GET, POST")};
    struct pusher who = {.conf = &cp, .name = SPAN_LIT("s4")};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct head in = {.method = span_of(rows[i].method),
                          .body = HEAD_BODY_LENGTH,
                          .body_len_bytes = rows[i].length};
        struct permit p = {.e = &e,
                           .who = &who,
                           .g = &g,
                           .in = &in,
                           .root_path = SPAN_LIT("/ACME"),
                           .path = span_of(rows[i].path)};
        struct reply no = {0};
        if (permit_check(&p, &no) != (rows[i].status == 0) || no.status != rows[i].status ||
            (no.detail && !strstr(no.detail, rows[i].says))) {
            fail_msg("%s: %u %s", rows[i].label, no.status, no.detail ? no.detail : "");
        }
    }
}

static void bare_root_by_a_host_name(void **state)
{
    struct endpoint e = {.name = SPAN_LIT("ACME"), .policy = {.root_path = SPAN_LIT("/ACME")}};
    struct permit p = {.e = &e, .path = SPAN_LIT("/")};
    struct reply no = {0};
    (void)state;
    assert_false(permit_check(&p, &no));
    assert_int_equal(no.status, 400);
    assert_non_null(strstr(no.detail, "such as /sap/frun"));
}

static void the_lower_ceiling_counts_and_is_named(void **state)
{
    struct conf_pusher cp = {.max_body = 0};
    struct conf_gateway g = {.max_body = 1000};
    struct pusher who = {.conf = &cp, .name = SPAN_LIT("s4")};
    struct permit p = {.who = &who, .g = &g};
    (void)state;
    assert_int_equal(permit_max_body(&p), 1000);
    assert_null(strstr(permit_too_long(&p).detail, "s4"));
    cp.max_body = 10;
    assert_int_equal(permit_max_body(&p), 10);
    assert_non_null(strstr(permit_too_long(&p).detail, "pusher s4"));
}

static void refusals_name_key_and_section(void **state)
{
    struct endpoint e = {.name = SPAN_LIT("ACME")};
    struct pusher who = {.name = SPAN_LIT("s4")};
    struct permit p = {.e = &e, .who = &who};
    (void)state;
    struct reply no = permit_no_turn(&p, TURN_TOO_FAST, 3);
    assert_int_equal(no.status, 429);
    assert_int_equal(no.retry_after_s, 3);
    assert_string_equal(no.detail,
                        "max_requests_per_second of pusher s4 is reached; try again in 3 s");
    no = permit_no_turn(&p, TURN_TOO_MANY_0, 8);
    assert_string_equal(no.detail, "max_in_flight of pusher s4 is reached; try again in 8 s");
    no = permit_no_turn(&p, TURN_TOO_MANY_1, 8);
    assert_string_equal(no.detail, "max_in_flight of endpoint ACME is reached; try again in 8 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_open),
        cmocka_unit_test(bare_root_by_a_host_name),
        cmocka_unit_test(the_lower_ceiling_counts_and_is_named),
        cmocka_unit_test(refusals_name_key_and_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
