/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/finding.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TUNNEL CONF_ROUTE_TUNNEL
#define DIRECT CONF_ROUTE_DIRECT
#define SAP    CONF_ROUTE_SAP

#define REFUSED "frunconnector; error=http_request_denied"

#define DENIED(what, more)                                                                         \
    "{\"title\":\"Forbidden\",\"detail\":\"Access denied to " what more "\",\"status\":403}"

/* What came back, the step it belongs to, and what it means. */
static const struct row {
    const char *label;
    enum conf_route road;
    unsigned status;
    const char *by;
    const char *error;
    const char *note;
    const char *type;
    const char *body;
    enum finding_verdict want;
    const char *step; /* the worst one; NULL: none */
} rows[] = {
    {"200", TUNNEL, 200, "focused-run", NULL, "", "text/html", "<html>Server reached</html>",
     FINDING_UP, NULL},
    {"204 direct", DIRECT, 204, "focused-run", NULL, "", "", "", FINDING_UP, NULL},
    {"logon page", DIRECT, 200, "focused-run", NULL, "", "Text/HTML; charset=utf-8",
     "<html><FORM action=logon>", FINDING_UNVERIFIED, "logon"},
    {"a form in JSON", DIRECT, 200, "focused-run", NULL, "", "application/json", "\"<form\"",
     FINDING_UP, NULL},
    {"redirect", DIRECT, 302, "focused-run", NULL, "", "", "", FINDING_UNVERIFIED, "logon"},
    {"401", TUNNEL, 401, "focused-run", NULL, "", "", "", FINDING_REFUSED, "logon"},
    {"403 of Focused Run", TUNNEL, 403, "focused-run", NULL, "", "", "", FINDING_UNVERIFIED,
     "ping"},
    {"404 of Focused Run", SAP, 404, "focused-run", NULL, "", "", "", FINDING_UNVERIFIED, "ping"},
    {"400", DIRECT, 400, "focused-run", NULL, "", "", "", FINDING_UNVERIFIED, "ping"},
    {"503 of Focused Run", DIRECT, 503, "focused-run", NULL, "", "", "", FINDING_DOWN, "ping"},
    {"broken off", DIRECT, 0, NULL, NULL, "", "", "", FINDING_DOWN, "ping"},

    {"no tunnel", TUNNEL, 503, "gateway", "destination_unavailable", "no connector for", "", "",
     FINDING_DOWN, "tunnel"},
    {"tunnel broke", TUNNEL, 502, "gateway", "connection_terminated", "", "", "", FINDING_DOWN,
     "tunnel"},
    {"no mapping", TUNNEL, 403, "connector", NULL, REFUSED, "", DENIED("system", " fr1:443"),
     FINDING_DOWN, "mapping"},
    {"no resource", TUNNEL, 403, "connector", NULL, REFUSED, "",
     DENIED("resource", " /x on system fr1:443"), FINDING_UNVERIFIED, "resource"},
    {"suspended", TUNNEL, 403, "connector", NULL, DENIED("resource", " /x: is suspended"), "", "",
     FINDING_UNVERIFIED, "resource"},
    {"name at the connector", TUNNEL, 502, "connector", NULL, "frunconnector; error=dns_error", "",
     "", FINDING_DOWN, "name"},
    {"refused at the connector", TUNNEL, 502, "connector", NULL,
     "frunconnector; error=connection_refused; details=\"x\"", "", "", FINDING_DOWN, "connection"},
    {"certificate at the connector", TUNNEL, 502, "connector", NULL,
     "frunconnector; error=tls_certificate_error; details=\"x\"", "", "", FINDING_DOWN, "tls"},
    {"slow behind the connector", TUNNEL, 504, "connector", NULL,
     "frunconnector; error=http_response_timeout", "", "", FINDING_DOWN, "ping"},

    {"name", DIRECT, 502, "gateway", "dns_error", "frun.corp cannot be resolved", "", "",
     FINDING_DOWN, "name"},
    {"slow DNS", DIRECT, 504, "gateway", "http_response_timeout",
     "the name frun.corp could not be resolved in time; check DNS", "", "", FINDING_DOWN, "name"},
    {"refused", DIRECT, 502, "gateway", "connection_refused", "cannot connect to", "", "",
     FINDING_DOWN, "connection"},
    {"filtered", DIRECT, 504, "gateway", "http_response_timeout",
     "cannot connect to frun.corp:443 (10.1.1.1:443): no answer in time", "", "", FINDING_DOWN,
     "connection"},
    {"proxy refuses", DIRECT, 502, "gateway", "destination_unavailable", "proxy: 407", "", "",
     FINDING_DOWN, "connection"},
    {"certificate", DIRECT, 502, "gateway", "tls_protocol_error", "TLS with", "", "", FINDING_DOWN,
     "tls"},
    {"no HTTP", DIRECT, 502, "gateway", "http_protocol_error", "", "", "", FINDING_DOWN, "ping"},
    {"no token to log on", DIRECT, 503, "gateway", "no_logon_token", "no access token: 401", "", "",
     FINDING_DOWN, "token"},

    {"no token for SAP", SAP, 503, "gateway", "proxy_auth", "no access token: 401", "", "",
     FINDING_DOWN, "token"},
    {"SAP refuses the token", SAP, 502, "sap-connectivity", "proxy_auth", "", "", "", FINDING_DOWN,
     "token"},
    {"no Cloud Connector", SAP, 503, "sap-connectivity", "no_tunnel", "There is no", "", "",
     FINDING_DOWN, "tunnel"},
    {"the pause after it", SAP, 503, "gateway", "no_tunnel", "", "", "", FINDING_DOWN, "tunnel"},
    {"no mapping at SAP", SAP, 403, "sap-connectivity", "access_denied_system", "Access denied", "",
     "", FINDING_DOWN, "mapping"},
    {"no resource at SAP", SAP, 403, "sap-connectivity", "access_denied_resource", "Access denied",
     "", "", FINDING_UNVERIFIED, "resource"},
    {"SAP cannot connect", SAP, 502, "sap-connectivity", "backend_unreachable", "Unable", "", "",
     FINDING_DOWN, "back-end"},
    {"not SAP's proxy", SAP, 502, "sap-connectivity", "https_not_allowed", "", "", "", FINDING_DOWN,
     "connection"},
    {"proxy's name", SAP, 502, "gateway", "dns_error", "", "", "", FINDING_DOWN, "name"},
    {"a table that does not fit", SAP, 502, "gateway", "tls_protocol_error", "", "", "",
     FINDING_DOWN, "tls"},
};

static void judged(void **state)
{
    static const struct conf_endpoint e = {.user = "FRUN_PUSH",
                                           .virtual_host = "fr1_frun:443",
                                           .address = "frun.corp:443",
                                           .location_id = "DC1"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        const struct finding_facts f = {.conf = &e,
                                        .road = r->road,
                                        .path = SPAN_LIT("/sap/bc/ping"),
                                        .status = r->status,
                                        .by = r->by,
                                        .error = r->error,
                                        .note = span_of(r->note),
                                        .content_type = span_of(r->type),
                                        .body = span_of(r->body)};
        struct steps s;
        enum finding_verdict v = finding_judge(&f, &s);
        const struct step *worst = steps_worst(&s);
        if (v != r->want || !worst != !r->step || (worst && strcmp(worst->name, r->step) != 0) ||
            (worst && !worst->remedy[0])) {
            fail_msg("%s: %s, %s", r->label, finding_word(v), worst ? worst->name : "all is well");
        }
        /* All before it is good, nothing behind it was reached. */
        bool is_past = false;
        for (size_t k = 0; k < s.n; k++) {
            enum steps_state want = is_past ? STEPS_SKIPPED : STEPS_OK;
            if (&s.items[k] == worst) {
                is_past = true;
            } else if (s.items[k].state != want) {
                fail_msg("%s: step %s", r->label, s.items[k].name);
            }
        }
    }
}

static void late_answers(void **state)
{
    static const struct conf_endpoint e = {.user = "U"};
    const struct finding_facts f = {.conf = &e,
                                    .road = DIRECT,
                                    .status = 408,
                                    .by = "gateway",
                                    .is_late = true,
                                    .total_us = 10012000};
    struct steps s;
    (void)state;
    assert_int_equal(finding_judge(&f, &s), FINDING_DOWN);
    assert_string_equal(steps_worst(&s)->name, "ping");
    assert_non_null(strstr(steps_worst(&s)->found, "within 10 s"));
}

static void other_system_answers(void **state)
{
    static const struct conf_endpoint e = {.user = "U", .logical_system = "FR1CLNT100"};
    struct finding_facts f = {.conf = &e,
                              .road = DIRECT,
                              .status = 200,
                              .by = "focused-run",
                              .session = SPAN_LIT("FR1_100")};
    struct steps s;
    (void)state;
    assert_int_equal(finding_judge(&f, &s), FINDING_UP);
    assert_null(steps_worst(&s));
    f.session = SPAN_LIT("FR1_200");
    assert_int_equal(finding_judge(&f, &s), FINDING_UP);
    assert_string_equal(steps_worst(&s)->name, "logon");
    assert_int_equal(steps_worst(&s)->state, STEPS_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(late_answers),
        cmocka_unit_test(other_system_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
