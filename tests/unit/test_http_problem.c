/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void has(const struct head *h, const char *name, const char *want)
{
    const struct field *f = head_find(h, span_of(name));

    if ((f == NULL) != (want == NULL) || (f && !span_eq(f->value, span_of(want)))) {
        fail_msg("%s: %.*s", name, f ? (int)f->value.n : 0, f ? f->value.p : "");
    }
}

static void a_full_problem_says_everything(void **state)
{
    const struct problem p = {.status = 503,
                              .proxy = "frunproxyd",
                              .error = "destination_unavailable",
                              .detail = SPAN_LIT("no \"DC1\" \\ \x01\n\x7f \xc3\xa4"),
                              .request_id = SPAN_LIT("id-1"),
                              .retry_after_s = 5,
                              .allow = SPAN_LIT("GET, POST"),
                              .challenge = SPAN_LIT("Basic realm=\"x\"")};
    struct arena a;
    struct head h;
    struct span body;

    (void)state;
    arena_init(&a, 65536);
    assert_int_equal(problem_build(&p, &a, &h, &body), FRUN_OK);
    assert_true(span_eq(
        body, SPAN_LIT("{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
                       "\"detail\":\"no \\\"DC1\\\" \\\\ \\u0001\\u000a\\u007f \xc3\xa4\","
                       "\"instance\":\"id-1\"}\n")));
    assert_int_equal(h.status, 503);
    assert_true(span_eq(h.reason, SPAN_LIT("Service Unavailable")));
    assert_int_equal(h.body, HEAD_BODY_LENGTH);
    assert_int_equal(h.body_len_bytes, body.n);
    assert_true(h.is_keep_alive);
    has(&h, "Content-Type", "application/problem+json");
    has(&h, "Cache-Control", "no-store");
    has(&h, "Proxy-Status", "frunproxyd; error=destination_unavailable");
    has(&h, "X-Request-ID", "id-1");
    has(&h, "Retry-After", "5");
    has(&h, "Allow", "GET, POST");
    has(&h, "WWW-Authenticate", "Basic realm=\"x\"");
    arena_done(&a);
}

static void a_bare_problem_says_no_more_than_it_knows(void **state)
{
    const struct problem p = {.status = 599, .proxy = "frunconnector"};
    struct arena a;
    struct head h;
    struct span body;

    (void)state;
    arena_init(&a, 65536);
    assert_int_equal(problem_build(&p, &a, &h, &body), FRUN_OK);
    assert_true(span_eq(
        body,
        SPAN_LIT("{\"type\":\"about:blank\",\"title\":\"\",\"status\":599,\"detail\":\"\"}\n")));
    has(&h, "Proxy-Status", "frunconnector");
    has(&h, "X-Request-ID", NULL);
    has(&h, "Retry-After", NULL);
    has(&h, "Allow", NULL);
    has(&h, "WWW-Authenticate", NULL);
    arena_done(&a);
}

static void a_long_detail_is_cut_and_refused_memory_told(void **state)
{
    static char text[100000];
    const struct problem p = {.status = 400, .proxy = "frunproxyd", .detail = {text, sizeof(text)}};
    struct arena a;
    struct head h;
    struct span body;

    (void)state;
    memset(text, '"', sizeof(text));
    arena_init(&a, 131072);
    assert_int_equal(problem_build(&p, &a, &h, &body), FRUN_OK);
    assert_true(body.n < 16384);
    arena_done(&a);
    arena_init(&a, 64);
    assert_int_equal(problem_build(&p, &a, &h, &body), FRUN_E_NOMEM);
    arena_done(&a);
}

static void reasons_are_known(void **state)
{
    (void)state;
    assert_string_equal(problem_reason(200), "OK");
    assert_string_equal(problem_reason(413), "Content Too Large");
    assert_string_equal(problem_reason(431), "Request Header Fields Too Large");
    assert_string_equal(problem_reason(505), "HTTP Version Not Supported");
    assert_string_equal(problem_reason(299), "");
    assert_string_equal(problem_reason(0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_problem_says_everything),
        cmocka_unit_test(a_bare_problem_says_no_more_than_it_knows),
        cmocka_unit_test(a_long_detail_is_cut_and_refused_memory_told),
        cmocka_unit_test(reasons_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
