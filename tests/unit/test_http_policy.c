/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/policy.h"

#include "../../src/http/policy_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct policy acme = {
    .virtual_host = {"fr1_frun", 8},
    .authorization = {"Basic RlJVTg==", 14},
    .fence_value = {"acme prod/1", 11},
    .fence_header = {"X-Admin-Request-Parameter", 25},
    .fence_query = {"admin-request", 13},
    .public_scheme = {"https", 5},
    .public_host = {"push.example.com", 16},
    .root_path = {"/ACME_PROD", 10},
    .via_name = {"frunproxyd", 10},
};

static const struct policy bare = {
    .virtual_host = {"fr1_frun:44300", 14},
    .public_scheme = {"https", 5},
    .public_host = {"push.example.com:8443", 21},
    .root_path = {"/ACME_PROD", 10},
    .via_name = {"frunproxyd", 10},
};

/* Both heads of one test, and memory for them. */
struct fixture {
    struct arena arena;
    struct head in;
    struct head out;
    char text[8192];
};

static struct fixture fx;

static int begin(void **state)
{
    (void)state;
    arena_init(&fx.arena, 65536);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_done(&fx.arena);
    return 0;
}

static void parse_request(const char *fields)
{
    struct head_fault fault;
    int n = snprintf(fx.text, sizeof(fx.text),
                     "POST / HTTP/1.1\r\nHost: push.example.com\r\n%s\r\n", fields);

    if (head_parse_request(span_make(fx.text, (size_t)n), &HEAD_LIMITS_DEFAULT, &fx.in, &fault)) {
        fail_msg("%s: %s", fields, fault.why);
    }
}

static void parse_answer(const char *fields)
{
    struct head_fault fault;
    int n = snprintf(fx.text, sizeof(fx.text), "HTTP/1.1 200 OK\r\n%s\r\n", fields);

    if (head_parse_answer(span_make(fx.text, (size_t)n), &HEAD_LIMITS_DEFAULT, SPAN_LIT("GET"),
                          &fx.in, &fault)) {
        fail_msg("%s: %s", fields, fault.why);
    }
}

static const struct policy_facts plain_facts = {
    .client_address = {"192.0.2.7", 9},
    .host = {"push.example.com", 16},
    .path = {"/sap/frun/x", 11},
    .request_id = {"id-1", 4},
    .traceparent = {TRACE, sizeof(TRACE) - 1},
};

static void send_on(const struct policy *p, const struct policy_facts *f, const char *fields)
{
    parse_request(fields);
    assert_int_equal(policy_request(p, f, &fx.in, &fx.arena, &fx.out), FRUN_OK);
}

static size_t count(const struct head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields; i++) {
        n += policy_same_name(h->fields[i].name, span_of(name));
    }
    return n;
}

static void has_once(const char *name, const char *value)
{
    const struct field *f = head_find(&fx.out, span_of(name));

    if (count(&fx.out, name) != 1 || !f || !span_eq(f->value, span_of(value))) {
        fail_msg("%s: %zu times, \"%.*s\", wanted \"%s\"", name, count(&fx.out, name),
                 f ? (int)f->value.n : 0, f ? f->value.p : "", value);
    }
}

static bool has_value(const struct head *h, const char *value)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (span_eq(h->fields[i].value, span_of(value))) {
            return true;
        }
    }
    return false;
}

static void the_whole_head_is_as_promised(void **state)
{
    static const char want[] = "POST /sap/frun/x?a=b&admin-request=acme%20prod%2F1 HTTP/1.1\r\n"
                               "Host: fr1_frun\r\n"
                               "Content-Type: application/json\r\n"
                               "X-CSRF-Token: Fetch\r\n"
                               "Authorization: Basic RlJVTg==\r\n"
                               "X-Admin-Request-Parameter: acme prod/1\r\n"
                               "X-Forwarded-For: 192.0.2.7\r\n"
                               "X-Forwarded-Proto: https\r\n"
                               "X-Forwarded-Host: push.example.com\r\n"
                               "Forwarded: for=192.0.2.7;host=\"push.example.com\";proto=https\r\n"
                               "clientprotocol: https\r\n"
                               "X-Request-ID: id-1\r\n"
                               "traceparent: " TRACE "\r\n"
                               "Via: 1.1 frunproxyd\r\n"
                               "Content-Length: 7\r\n\r\n";
    struct policy_facts f = plain_facts;
    struct buf out;

    (void)state;
    f.query = SPAN_LIT("a=b");
    send_on(&acme, &f,
            "Content-Type: application/json\r\nAuthorization: Basic czRwdXNo\r\n"
            "Expect: 100-continue\r\nContent-Length: 7\r\nX-CSRF-Token: Fetch\r\n");
    assert_false(fx.out.wants_continue);
    assert_true(fx.out.is_keep_alive);
    buf_init(&out, 8192);
    assert_int_equal(head_write_request(&fx.out, &out), FRUN_OK);
    if (!span_eq(buf_span(&out), SPAN_LIT(want))) {
        fail_msg("%.*s", SPAN_FMT(buf_span(&out)));
    }
    buf_done(&out);
}

/* Names that never get through from a pusher, whatever else is in the head. */
static const char *const dropped[] = {
    "Authorization",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Proxy-Foo",
    "proxy_authorization",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "HTTP2-Settings",
    "Content_Length",
    "Transfer_Encoding",
    "SAP-Connectivity-SCC-Location_ID",
    "SAP-Connectivity-Authentication",
    "sap_connectivity_scc_location_id",
    "SAP-CP-Connectivity-Foo",
    "X-zid",
    "x_zid",
    "SSL_CLIENT_CERT",
    "SSL-Client-Cert",
    "SSL_CLIENT_CERT_CHAIN_1",
    "SSL_CIPHER_SUITE",
    "SSL-CIPHER-USEKEYSIZE",
    "x-sap-webdisp-target-sid",
    "X_SAP_WEBDISP_AP",
    "clientprotocol",
    "ClientProtocol",
    "MYSAPSSO2",
    "MySapSSO2",
    "SAP-R3AUTH",
    "sap_r3auth",
    "sap-user",
    "SAP_USER",
    "sap-password",
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Prefix",
    "Forwarded",
    "frun-origin",
    "FRUN_anything",
    "X-Admin-Request-Parameter",
    "x_admin_request_parameter",
    "X-ADMIN-REQUEST_PARAMETER",
    "admin-request",
    "X-Request-ID",
    "X_Request_ID",
    "traceparent",
    "tracestate",
};

static void forged_fields_are_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        char fields[256];

        (void)snprintf(fields, sizeof(fields), "A: 1\r\n%s: forged!\r\nB: 2\r\n%s: forged!\r\n",
                       dropped[i], dropped[i]);
        send_on(&acme, &plain_facts, fields);
        if (has_value(&fx.out, "forged!") || count(&fx.out, dropped[i]) > 1) {
            fail_msg("%s passed", dropped[i]);
        }
        has_once("A", "1");
        has_once("B", "2");
    }
}

static void everything_else_passes_untouched(void **state)
{
    static const char *const names[] = {
        "Accept",
        "Accept-Encoding",
        "Content-Encoding",
        "Content-Type",
        "Cookie",
        "X-CSRF-Token",
        "Sap-Passport",
        "User-Agent",
        "sap-client",
        "sap-language",
        "sap-username",
        "X-SAP-Foo",
        "Set-Cookie",
        "Location",
        "If-Match",
        "X_Under_Score",
        "Proxy",
        "ProxyFoo",
        "frun",
        "SSL_CLIENT_VERIFY",
        "Authorization-X",
        "X-Forwarded",
        "traceparent2",
        "x-request-id2",
        "Range",
        "Warning",
        "SOAPAction",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char fields[128];

        (void)snprintf(fields, sizeof(fields), "%s: /sap/ v\t; \xe4\"\r\n", names[i]);
        send_on(&acme, &plain_facts, fields);
        assert_true(fx.out.n_fields > 0);
        if (!span_eq(fx.out.fields[0].name, span_of(names[i])) ||
            !span_eq(fx.out.fields[0].value, SPAN_LIT("/sap/ v\t; \xe4\""))) {
            fail_msg("%s", names[i]);
        }
    }
}

/* The table against itself: sorted, reachable, and each row does what it says. */
static void each_row_is_found(void **state)
{
    const struct policy_row *row;
    char last = '\0';

    (void)state;
    for (size_t i = 0; (row = policy_row_at(i)) != NULL; i++) {
        char name[64];
        int n = snprintf(name, sizeof(name), "%s%s", row->name, row->is_prefix ? "zzz" : "");

        assert_true(row->name[0] >= last && row->why[0] != '\0');
        last = row->name[0];
        assert_ptr_equal(policy_row_find(span_make(name, (size_t)n)), row);
        for (int k = 0; k < n; k++) {
            name[k] = (char)(name[k] == '-'                     ? '_'
                             : name[k] >= 'a' && name[k] <= 'z' ? name[k] - 32
                                                                : name[k]);
        }
        assert_ptr_equal(policy_row_find(span_make(name, (size_t)n)), row);
        assert_ptr_not_equal(policy_row_find(span_make(name, n > 4 ? (size_t)n - 4 : 1)), row);
        if (!row->is_prefix) {
            name[n] = 'X';
            assert_ptr_not_equal(policy_row_find(span_make(name, (size_t)n + 1)), row);
        }
    }
    assert_null(policy_row_find(SPAN_LIT("")));
}

static void what_connection_names_is_dropped(void **state)
{
    (void)state;
    send_on(&acme, &plain_facts,
            "Connection: keep-alive, X-Hop\r\nX-Hop: forged!\r\nX-Stays: 1\r\n"
            "Connection: x-hop2 ,close\r\nX-HOP2: forged!\r\n");
    assert_false(has_value(&fx.out, "forged!"));
    assert_int_equal(count(&fx.out, "Connection"), 0);
    has_once("X-Stays", "1");
    /* What we add is ours: naming it takes nothing away. */
    send_on(&acme, &plain_facts,
            "Connection: close, Authorization, X-Admin-Request-Parameter, Host, Via, Forwarded, "
            "X-Forwarded-For, clientprotocol, X-Request-ID, traceparent, Content-Length\r\n"
            "Content-Length: 3\r\n");
    has_once("Authorization", "Basic RlJVTg==");
    has_once("X-Admin-Request-Parameter", "acme prod/1");
    has_once("X-Forwarded-For", "192.0.2.7");
    has_once("clientprotocol", "https");
    has_once("X-Request-ID", "id-1");
    has_once("Via", "1.1 frunproxyd");
    assert_int_equal(fx.out.body_len_bytes, 3);
    assert_true(span_eq(fx.out.authority, SPAN_LIT("fr1_frun")));
}

static void queries_lose_logon_and_fence(void **state)
{
    static const struct {
        const struct policy *p;
        const char *query;
        const char *want;
    } rows[] = {
        {&bare, NULL, "/sap/frun/x"},
        {&bare, "", "/sap/frun/x?"},
        {&bare, "sap-client=100&a=%7b", "/sap/frun/x?sap-client=100&a=%7b"},
        {&bare, "sap-user=u&sap-password=p", "/sap/frun/x"},
        {&bare, "a&SAP-USER=u;s%61p_password=p&b", "/sap/frun/x?a&b"},
        {&bare, "MYSAPSSO2=x&a", "/sap/frun/x?a"},
        {&bare, "admin-request=x", "/sap/frun/x?admin-request=x"},
        {&acme, NULL, "/sap/frun/x?admin-request=acme%20prod%2F1"},
        {&acme, "", "/sap/frun/x?admin-request=acme%20prod%2F1"},
        {&acme, "admin-request=x&Admin_Request=y&a=1&%61dmin-request=z",
         "/sap/frun/x?a=1&admin-request=acme%20prod%2F1"},
        {&acme, "X-Admin-Request-Parameter=x", "/sap/frun/x?admin-request=acme%20prod%2F1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_facts f = plain_facts;

        f.query = span_of(rows[i].query);
        send_on(rows[i].p, &f, "");
        if (!span_eq(fx.out.target, span_of(rows[i].want))) {
            fail_msg("%s: %.*s", rows[i].query, SPAN_FMT(fx.out.target));
        }
    }
}

static void cookies_lose_the_logon_ticket_only(void **state)
{
    static const struct {
        const char *in;
        const char *want; /* NULL: no field left */
    } rows[] = {
        {"a=1; SAP_SESSIONID_FR1_100=x%3d;b=\"2\"", "a=1; SAP_SESSIONID_FR1_100=x%3d;b=\"2\""},
        {"MYSAPSSO2=t", NULL},
        {"mysapsso2=t; a=1;  b=2", "a=1;  b=2"},
        {"a=1; MYSAPSSO2=t; b=2", "a=1; b=2"},
        {"a=1; MYSAPSSO2=t", "a=1"},
        {"a=1;MYSAPSSO2 =t;MySapSSO2=u", "a=1"},
        {"a=1,MYSAPSSO2=t", "a=1"},
        {"a=MYSAPSSO2; MYSAPSSO2X=1", "a=MYSAPSSO2; MYSAPSSO2X=1"},
        {"MYSAPSSO%32=t; a=1", "a=1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char fields[128];

        (void)snprintf(fields, sizeof(fields), "cookie: %s\r\n", rows[i].in);
        send_on(&acme, &plain_facts, fields);
        if (rows[i].want) {
            has_once("Cookie", rows[i].want);
        } else {
            assert_int_equal(count(&fx.out, "Cookie"), 0);
        }
    }
}

static void forwarding_fields_tell_the_client(void **state)
{
    struct policy_facts f = plain_facts;

    (void)state;
    f.client_address = SPAN_LIT("2001:db8::1");
    f.host = SPAN_LIT("push.example.com:8443");
    send_on(&bare, &f, "Via: 1.0 a\r\nVIA: 1.1 b, 1.1 c\r\n");
    has_once("X-Forwarded-For", "2001:db8::1");
    has_once("X-Forwarded-Host", "push.example.com:8443");
    has_once("Forwarded", "for=\"[2001:db8::1]\";host=\"push.example.com:8443\";proto=https");
    has_once("Via", "1.0 a, 1.1 b, 1.1 c, 1.1 frunproxyd");
    assert_int_equal(count(&fx.out, "Authorization"), 0);
    assert_true(span_eq(fx.out.authority, SPAN_LIT("fr1_frun:44300")));
    /* A peer without Host and address: what is known is said. */
    f.client_address = f.host = (struct span){0};
    send_on(&bare, &f, "");
    assert_int_equal(count(&fx.out, "X-Forwarded-For"), 0);
    has_once("X-Forwarded-Host", "push.example.com:8443");
    has_once("Forwarded", "for=unknown;host=\"push.example.com:8443\";proto=https");
}

static void request_ids_are_kept_or_made(void **state)
{
    static const struct {
        const char *fields;
        const char *want; /* NULL: made */
    } rows[] = {
        {"", NULL},
        {"X-Request-ID: aZ09._~+/=-\r\n", "aZ09._~+/=-"},
        {"x_request_id: a\r\n", "a"},
        {"X-Request-ID:\r\n", NULL},
        {"X-Request-ID: a b\r\n", NULL},
        {"X-Request-ID: a\"b\r\n", NULL},
        {"X-Request-ID: a\r\nX-Request-ID: a\r\n", NULL},
        {"X-Request-ID: "
         "0123456789012345678901234567890123456789012345678901234567890123"
         "0123456789012345678901234567890123456789012345678901234567890123\r\n",
         "0123456789012345678901234567890123456789012345678901234567890123"
         "0123456789012345678901234567890123456789012345678901234567890123"},
        {"X-Request-ID: "
         "0123456789012345678901234567890123456789012345678901234567890123"
         "01234567890123456789012345678901234567890123456789012345678901234\r\n",
         NULL},
    };
    char made[POLICY_ID_BYTES];
    char again[POLICY_ID_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span id;

        parse_request(rows[i].fields);
        id = policy_request_id(&fx.in, made);
        if (rows[i].want) {
            assert_true(span_eq(id, span_of(rows[i].want)));
        } else {
            assert_ptr_equal(id.p, made);
            assert_int_equal(id.n, 32);
        }
    }
    parse_request("");
    assert_false(span_eq(policy_request_id(&fx.in, made), policy_request_id(&fx.in, again)));
}

static void traces_are_kept_or_begun(void **state)
{
    static const struct {
        const char *fields;
        bool is_kept;
    } rows[] = {
        {"traceparent: " TRACE "\r\n", true},
        {"traceparent: 01" TRACE "\r\n", false},
        {"traceparent: " TRACE "-x\r\n", false},
        {"traceparent: cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x\r\n", true},
        {"traceparent: cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x\r\n", false},
        {"traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", false},
        {"traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\r\n", false},
        {"traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n", false},
        {"traceparent: 00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01\r\n", false},
        {"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\r\n", false},
        {"traceparent: " TRACE "\r\ntraceparent: " TRACE "\r\n", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_facts f = plain_facts;
        char fields[512];
        char made[POLICY_ID_BYTES];

        (void)snprintf(fields, sizeof(fields), "tracestate: a=b\r\n%s", rows[i].fields);
        parse_request(fields);
        f.traceparent = policy_traceparent(&fx.in, made);
        if ((f.traceparent.p != made) != rows[i].is_kept) {
            fail_msg("%s", rows[i].fields);
        }
        assert_int_equal(policy_request(&acme, &f, &fx.in, &fx.arena, &fx.out), FRUN_OK);
        assert_int_equal(count(&fx.out, "tracestate"), rows[i].is_kept);
        assert_int_equal(count(&fx.out, "traceparent"), 1);
        if (!rows[i].is_kept) {
            assert_int_equal(f.traceparent.n, 55);
            assert_true(span_starts(f.traceparent, SPAN_LIT("00-")));
            assert_true(span_eq(span_skip(f.traceparent, 52), SPAN_LIT("-00")));
        }
    }
}

static void a_full_head_still_fits(void **state)
{
    (void)state;
    parse_request("");
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(head_add(&fx.in, SPAN_LIT("A"), SPAN_LIT("b")), FRUN_OK);
    }
    assert_int_equal(policy_request(&acme, &plain_facts, &fx.in, &fx.arena, &fx.out), FRUN_OK);
    assert_int_equal(fx.out.n_fields, 110);
    while (head_add(&fx.in, SPAN_LIT("A"), SPAN_LIT("b")) == FRUN_OK) {
    }
    assert_int_equal(policy_request(&acme, &plain_facts, &fx.in, &fx.arena, &fx.out), FRUN_E_LIMIT);
    arena_done(&fx.arena);
    arena_init(&fx.arena, 1);
    parse_request("");
    assert_int_equal(policy_request(&acme, &plain_facts, &fx.in, &fx.arena, &fx.out), FRUN_E_NOMEM);
}

static void locations_become_the_root_url(void **state)
{
    static const struct {
        const char *in;
        const char *want; /* NULL: untouched */
    } rows[] = {
        {"https://fr1_frun:44300/sap/frun/x?a#b",
         "https://push.example.com:8443/ACME_PROD/sap/frun/x?a#b"},
        {"http://fr1_frun:44300/sap", "https://push.example.com:8443/ACME_PROD/sap"},
        {"HTTPS://FR1_Frun/sap", "https://push.example.com:8443/ACME_PROD/sap"},
        {"http://fr1_frun:80/sap", "https://push.example.com:8443/ACME_PROD/sap"},
        {"https://fr1_frun:443/sap", "https://push.example.com:8443/ACME_PROD/sap"},
        {"https://fr1_frun", "https://push.example.com:8443/ACME_PROD/"},
        {"https://fr1_frun?a", "https://push.example.com:8443/ACME_PROD/?a"},
        {"//fr1_frun/sap", "https://push.example.com:8443/ACME_PROD/sap"},
        {"/sap/frun/x", "/ACME_PROD/sap/frun/x"},
        {"/", "/ACME_PROD/"},
        {"https://fr1_frun:8000/sap", NULL},
        {"https://fr1_frunx/sap", NULL},
        {"https://fr1_frun.example.com/sap", NULL},
        {"https://fr1_frun@other.example.com/sap", NULL},
        {"https://other.example.com/fr1_frun", NULL},
        {"//other.example.com/sap", NULL},
        {"ftp://fr1_frun/sap", NULL},
        {"x/y", NULL},
        {"?a", NULL},
        {"", NULL},
    };
    static const char *const names[] = {"Location", "content-location"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < 2; k++) {
            char fields[256];

            (void)snprintf(fields, sizeof(fields), "%s: %s\r\n", names[k], rows[i].in);
            parse_answer(fields);
            assert_int_equal(policy_answer(&bare, SPAN_LIT("id"), &fx.in, &fx.arena, &fx.out), 0);
            has_once(names[k], rows[i].want ? rows[i].want : rows[i].in);
        }
    }
}

static void answers_pass_but_for_what_is_between_neighbours(void **state)
{
    (void)state;
    parse_answer("Connection: close, X-Hop\r\nX-Hop: forged!\r\nKeep-Alive: forged!\r\n"
                 "Proxy-Authenticate: forged!\r\nfrun-origin: forged!\r\nFRUN_Foo: forged!\r\n"
                 "Trailer: forged!\r\nUpgrade: forged!\r\nX-Request-ID: forged!\r\n"
                 "Proxy-Status: fr1; error=x\r\nSet-Cookie: a=1; path=/\r\nSet-Cookie: b=2\r\n"
                 "WWW-Authenticate: Basic realm=\"x\"\r\nX-CSRF-Token: Required\r\nsap-user: u\r\n"
                 "Via: 1.1 back\r\nContent-Length: 5\r\n");
    assert_int_equal(policy_answer(&acme, SPAN_LIT("id-1"), &fx.in, &fx.arena, &fx.out), FRUN_OK);
    assert_false(has_value(&fx.out, "forged!"));
    assert_int_equal(count(&fx.out, "Connection"), 0);
    assert_int_equal(count(&fx.out, "Content-Length"), 0);
    assert_int_equal(count(&fx.out, "Set-Cookie"), 2);
    has_once("Proxy-Status", "fr1; error=x");
    has_once("WWW-Authenticate", "Basic realm=\"x\"");
    has_once("X-CSRF-Token", "Required");
    has_once("sap-user", "u");
    has_once("X-Request-ID", "id-1");
    has_once("Via", "1.1 back, 1.1 frunproxyd");
    assert_int_equal(fx.out.status, 200);
    assert_true(span_eq(fx.out.reason, SPAN_LIT("OK")));
    assert_int_equal(fx.out.body, HEAD_BODY_LENGTH);
    assert_int_equal(fx.out.body_len_bytes, 5);
    /* The back end's "close" is not the pusher's. */
    assert_true(fx.out.is_keep_alive);
    /* A length that no body follows is worth telling. */
    fx.in.body = HEAD_BODY_NONE;
    assert_int_equal(policy_answer(&acme, SPAN_LIT("id-1"), &fx.in, &fx.arena, &fx.out), FRUN_OK);
    has_once("Content-Length", "5");
}

static void hop_fields_are_known(void **state)
{
    static const struct head no_fields;
    const struct policy_row *row;

    (void)state;
    for (size_t i = 0; (row = policy_row_at(i)) != NULL; i++) {
        assert_int_equal(policy_is_hop_field(&no_fields, span_of(row->name)), row->is_hop);
    }
    assert_false(policy_is_hop_field(&no_fields, SPAN_LIT("")));
    parse_request("Connection: close, X-Hop\r\n");
    assert_true(policy_is_hop_field(&fx.in, SPAN_LIT("connection")));
    assert_true(policy_is_hop_field(&fx.in, SPAN_LIT("x-hop")));
    assert_true(policy_is_hop_field(&fx.in, SPAN_LIT("Keep_Alive")));
    assert_false(policy_is_hop_field(&fx.in, SPAN_LIT("Proxy-Status")));
    assert_false(policy_is_hop_field(&fx.in, SPAN_LIT("Authorization")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_whole_head_is_as_promised, begin, end),
        cmocka_unit_test_setup_teardown(forged_fields_are_dropped, begin, end),
        cmocka_unit_test_setup_teardown(everything_else_passes_untouched, begin, end),
        cmocka_unit_test(each_row_is_found),
        cmocka_unit_test_setup_teardown(what_connection_names_is_dropped, begin, end),
        cmocka_unit_test_setup_teardown(queries_lose_logon_and_fence, begin, end),
        cmocka_unit_test_setup_teardown(cookies_lose_the_logon_ticket_only, begin, end),
        cmocka_unit_test_setup_teardown(forwarding_fields_tell_the_client, begin, end),
        cmocka_unit_test_setup_teardown(request_ids_are_kept_or_made, begin, end),
        cmocka_unit_test_setup_teardown(traces_are_kept_or_begun, begin, end),
        cmocka_unit_test_setup_teardown(a_full_head_still_fits, begin, end),
        cmocka_unit_test_setup_teardown(locations_become_the_root_url, begin, end),
        cmocka_unit_test_setup_teardown(answers_pass_but_for_what_is_between_neighbours, begin,
                                        end),
        cmocka_unit_test_setup_teardown(hop_fields_are_known, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
