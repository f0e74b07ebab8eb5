/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/sap_error.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_texts(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        enum sap_error_kind want;
    } rows[] = {
        {503,
         "There is no SAP Cloud Connector (SCC) connected to your subaccount matching the "
         "requested "
         "tunnel for subaccount \"0c5c\" and SCC location ID \"DC1\"",
         SAP_ERROR_NO_TUNNEL},
        {503, "<html><b>There is no SAP cloud connector (SCC) connected ...</b>",
         SAP_ERROR_NO_TUNNEL},
        {503, "No tunnels subscribed for tunnelId account:///0c5c/DC1", SAP_ERROR_NO_TUNNEL},
        {503, "Service Unavailable", SAP_ERROR_NONE},
        {503, "", SAP_ERROR_NONE},
        {403,
         "Access denied to system frun.virtual:443. In case this was a valid request, ensure to "
         "expose the system correctly in your cloud connector.",
         SAP_ERROR_ACCESS_DENIED_SYSTEM},
        {403,
         "Access denied to resource /sap/opu on system frun.virtual:443. In case this was a valid "
         "request, ensure to expose the resource correctly in your cloud connector.",
         SAP_ERROR_ACCESS_DENIED_RESOURCE},
        {403, "<title>Logon Error Message</title>", SAP_ERROR_NONE},
        {404, "Access denied to system frun.virtual:443", SAP_ERROR_NONE},
        {200, "Access denied to system frun.virtual:443", SAP_ERROR_NONE},
        {407, "", SAP_ERROR_PROXY_AUTH},
        {405, "HTTPS proxying is not supported", SAP_ERROR_HTTPS_NOT_ALLOWED},
        {405, "Method Not Allowed", SAP_ERROR_NONE},
        {502, "Unable to open connection to backend system frun.virtual:443",
         SAP_ERROR_BACKEND_UNREACHABLE},
        {502, "Unable to open connection to backend syste", SAP_ERROR_NONE},
        {400,
         "One of the headers [SAP-Connectivity-ConsumerAccount, SAP-Connectivity-SCC-Location_ID] "
         "was set with a different value than account:///0c5c/DC1",
         SAP_ERROR_AFFINITY},
        {400, "This combination of host and port requires TLS.", SAP_ERROR_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum sap_error_kind got = sap_error_find(rows[i].status, span_of(rows[i].body));
        if (got != rows[i].want || (got && !sap_error_is_suspect(rows[i].status))) {
            fail_msg("%u %s: %d", rows[i].status, rows[i].body, (int)got);
        }
    }
}

/* Whoever gets one knows who said it and what to do; only a missing tunnel is waited for. */
static void test_verdicts(void **state)
{
    (void)state;
    for (int k = SAP_ERROR_NO_TUNNEL; k <= SAP_ERROR_NO_SOCKS; k++) {
        const struct call_verdict *v = sap_error_verdict((enum sap_error_kind)k);
        assert_true(v->status >= 400 && v->error && v->kind && v->detail);
        assert_string_equal(v->by, "sap-connectivity");
        assert_int_equal(v->is_away, k == SAP_ERROR_NO_TUNNEL);
        assert_null(strchr(v->kind, '"'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_verdicts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
