/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/check.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S43 "X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
#define S62 "0123456789ABCDEF0123456789abcdef0123456789ABCDEF0123456789abcd"
#define S63 S62 "0"
#define S64 S63 "0"
#define S86 S43 S43
#define S53 S43 "0123456789"

static const struct {
    const char *check;
    const char *value;
    bool want;
} rows[] = {
    {"address", "0.0.0.0:443", true},
    {"address", "[::]:443", true},
    {"address", "push.example.com:1", true},
    {"address", "push.example.com", false},
    {"address", "h:0", false},
    {"address", "h:65536", false},
    {"address", "h:", false},
    {"address", ":443", false},
    {"address", "::1:443", false},
    {"address", "[::1:443", false},
    {"address", "[::1]x:443", false},
    {"address", "h:4 4", false},
    {"listen", "127.0.0.1:0", true},
    {"listen", "[::1]:0", true},
    {"listen", "0.0.0.0:443", true},
    {"listen", ":0", false},
    {"listen", "::1:0", false},
    {"listen", "127.0.0.1", false},
    {"authority", "fr1_frun", true},
    {"authority", "fr1_frun:443", true},
    {"authority", "a..b", false},
    {"authority", "-a", false},
    {"authority", "a b", false},
    {"authority", "user@a", false},
    {"authority", "", false},
    {"host", "frun.corp", true},
    {"host", "frun.corp.", false},
    {"host", "frun.corp:1", false},
    {"name", "s4-acme", true},
    {"name", "a b", false},
    {"name", "a,b", false},
    {"sid", "FR1", true},
    {"sid", "fr1", false},
    {"sid", "1FR", false},
    {"sid", "FR12", false},
    {"client", "100", true},
    {"client", "1", false},
    {"client", "1O0", false},
    {"auth", "basic", true},
    {"auth", "certificate", true},
    {"auth", "cert", false},
    {"dn", "CN=s4-acme, O=ACME", true},
    {"dn", "s4-acme", false},
    {"san", "dns:client.acme.example", true},
    {"san", "uri:spiffe://acme/s4", true},
    {"san", "email:s4@acme.example", true},
    {"san", "DNS:client.acme.example", false},
    {"san", "dns:", false},
    {"san", "dns:a b", false},
    {"san", "client.acme.example", false},
    {"sha256", S64, true},
    {"sha256", "0", false},
    {"sha256", S64 "0", false},
    {"sha256", "g" S63, false},
    {"sha256",
     "0"
     ":" S63,
     false},
    {"sha256",
     "a0"
     ":" S62,
     true},
    {"sha256",
     "a0"
     "::" S62,
     false},
    {"sha256", S64 ":", false},
    {"sha256", ":" S64, false},
    {"auth", "oauth2", true},
    {"auth", "Basic", false},
    {"client_id", "sb-0815!b7|calm*x", true},
    {"client_id", "a:b", false},
    {"client_id", "a b", false},
    {"time", "2026-11-22T10:00:00Z", true},
    {"time", "2028-02-29T23:59:59Z", true},
    {"time", "2026-02-29T00:00:00Z", false},
    {"time", "2026-11-31T00:00:00Z", false},
    {"time", "2026-12-31T24:00:00Z", false},
    {"time", "2026-11-22 10:00:00Z", false},
    {"time", "2026-11-22T10:00:00+01:00", false},
    {"digits", "0031234567", true},
    {"digits", "", false},
    {"customer_network", "ACME PROD", true},
    {"customer_network", "ACME_PROD-1", true},
    {"customer_network", "ACME/PROD", false},
    {"customer_network", "0123456789012345678901234567890123456789", true},
    {"customer_network", "01234567890123456789012345678901234567890", false},
    {"fence", "acme-prod.proxy_1", true},
    {"fence", "acme prod", false},
    {"fence", "acme\"", false},
    {"user", "FRUN_PUSH", true},
    {"user", "a:b", false},
    {"method", "GET", true},
    {"method", "get", false},
    {"method", "TRACE", false},
    {"method", "CONNECT", false},
    {"public_url", "https://push.example.com", true},
    {"public_url", "http://127.0.0.1:8080", true},
    {"public_url", "https://[::1]:8443", true},
    {"public_url", "https://push.example.com/", false},
    {"public_url", "https://push.example.com/x", false},
    {"public_url", "push.example.com", false},
    {"public_url", "https://u@push.example.com", false},
    {"public_url", "ftp://push.example.com", false},
    {"proxy", "http://proxy.corp:3128", true},
    {"proxy", "http://proxy.corp", false},
    {"proxy", "https://proxy.corp:3128", false},
    {"proxy", "http://u:p@proxy.corp:3128", false},
    {"url", "https://frun.corp:44300/sap/bc", true},
    {"url", "frun.corp", false},
    {"subject", "CN=dc1-a", true},
    {"subject", "dc1-a", false},
    {"target", "stderr", true},
    {"target", "file:/var/log/x", true},
    {"target", "file:", false},
    {"target", "syslog", true},
    {"target", "syslog:/dev/log", true},
    {"target", "syslog:192.0.2.9:514", true},
    {"target", "syslog:[2001:db8::1]:514", true},
    {"target", "syslog:loghost.example:5140", true},
    {"target", "syslog:", false},
    {"target", "syslog:192.0.2.9", false},
    {"target", "syslog:dev/log", false},
    {"target", "journal", true},
    {"target", "journal:/run/systemd/journal.x/socket", true},
    {"target", "journal:x", false},
    {"target", "stdout", false},
    {"target", "stderr:", false},
    {"path", "/", true},
    {"path", "/sap/frun", true},
    {"path", "/sap/frun/", false},
    {"path", "sap", false},
    {"path", "/sap//frun", false},
    {"path", "/sap/../frun", false},
    {"path", "/sap/./frun", false},
    {"path", "/sap/..", false},
    {"path", "/sap/frun?x=1", false},
    {"path", "/sap/frun#x", false},
    {"path", "/sap/frun/*", false},
    {"path", "/sap/%66run", false},
    {"path", "/sap;x/frun", false},
    {"path", "/sap\\frun", false},
    {"hash", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$" S43, true},
    {"hash", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3D", false},
    {"hash", "$y$...", false},
    {"hash", "$6$rounds=5000$abc$" S86, true},
    {"hash", "$6$abc$" S86, true},
    {"hash", "$6$abc", false},
    {"hash", "$5$abc$" S43, true},
    {"hash", "$2b$12$" S53, true},
    {"hash", "$1$abc$0123456789012345678901", false},
    {"hash", "secret", false},
    {"hash", "$6$abc$" S43 S43 "!", false},
    {"carrier", "none", true},
    {"carrier", "header X-Fence", true},
    {"carrier", "query fence", true},
    {"carrier", "both X-Fence  fence", true},
    {"carrier", "both X-Fence", false},
    {"carrier", "header", false},
    {"carrier", "header X Y", false},
    {"carrier", "none x", false},
    {"carrier", "cookie x", false},
    {"carrier", "header Host", false},
    {"carrier", "header authorization", false},
    {"carrier", "header Content-Length", false},
    {"carrier", "header X-Forwarded-For", false},
    {"carrier", "header ssl_client_cert", false},
    {"carrier", "header X:Y", false},
    {"carrier", "query a&b", false},
    {"carrier", "query sap-client", false},
};

static void test_checks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = conf_check(rows[i].check, span_of(rows[i].value));
        if (!why != rows[i].want) {
            fail_msg("%s '%s': %s", rows[i].check, rows[i].value, why ? why : "accepted");
        }
    }
}

static void test_carrier_parts(void **state)
{
    (void)state;
    struct span h;
    struct span q;
    assert_null(conf_check_carrier(SPAN_LIT("both X-F f"), &h, &q));
    assert_true(span_eq(h, SPAN_LIT("X-F")) && span_eq(q, SPAN_LIT("f")));
    assert_null(conf_check_carrier(SPAN_LIT("query f"), &h, &q));
    assert_true(h.p == NULL && span_eq(q, SPAN_LIT("f")));
    assert_null(conf_check_carrier(SPAN_LIT("none"), &h, &q));
    assert_true(h.p == NULL && q.p == NULL);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const known[] = {"listen", "certificate", "private_key"};
    assert_string_equal(conf_check_nearest("listn", known, 3), "listen");
    assert_string_equal(conf_check_nearest("privatekey", known, 3), "private_key");
    assert_null(conf_check_nearest("workers", known, 3));
    char long_word[200];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_null(conf_check_nearest(long_word, known, 3));
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } times[] = {{"1970-01-01T00:00:00Z", 0},
                 {"2000-03-01T00:00:00Z", 951868800},
                 {"2026-11-22T10:00:00Z", 1795341600},
                 {"2038-01-19T03:14:08Z", 2147483648}};
    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        uint64_t got = 1;
        assert_true(conf_check_time(span_of(times[i].text), &got));
        assert_int_equal(got, times[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_carrier_parts),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
