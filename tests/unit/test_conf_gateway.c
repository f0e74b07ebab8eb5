/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"
#include "temp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HASH "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"

static const char base[] =
    "[gateway]\npublic_url = https://push.example.com\nlisten = 127.0.0.1:8443\n"
    "certificate = pem\nprivate_key = pem\n"
    "[tunnel]\nlisten = 127.0.0.1:8444\nclient_ca = pem\n"
    "[connector DC1-A]\ncertificate_subject = CN=dc1-a\nlocation_id = DC1\n"
    "[system FR1]\nsystem_id = FR1\nclient = 100\nvirtual_host = fr1_frun:443\nlocation_id = DC1\n"
    "[endpoint ACME_PROD]\nsystem = FR1\ncustomer_network = ACME PROD\n"
    "admin_request_parameter = acme-prod\nuser = FRUN_PUSH\npassword = file:secret\n"
    "[pusher s4-acme]\nendpoint = ACME_PROD\nuser = s4push\npassword_hash = " HASH "\n";

static char dir[TEMP_NAME];
static char report[8192];

static void put(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Load a text as a file beside "pem" and "secret"; the report stays in a static buffer. */
static frun_err load(const char *text, struct conf_gw **c)
{
    char path[512];
    put("gw.ini", text);
    (void)snprintf(path, sizeof(path), "%s/gw.ini", dir);
    memset(report, 0, sizeof(report));
    FILE *f = fmemopen(report, sizeof(report) - 1, "w");
    assert_non_null(f);
    *c = NULL;
    frun_err err = conf_gw_load(path, f, c);
    assert_int_equal(fclose(f), 0);
    return err;
}

/* A change is judged before anything of it is on the disk: new files, changed ones, secrets. */
static void test_drafts(void **state)
{
    (void)state;
    char folder[512];
    char main_file[600];
    char inner[600];
    struct conf_gw *c = NULL;
    (void)snprintf(folder, sizeof(folder), "%s/drafts.d", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(main_file, sizeof(main_file), "%s/gw.ini", dir);
    (void)snprintf(inner, sizeof(inner), "%s/new.ini", folder);
    char text[4096];
    (void)snprintf(text, sizeof(text), "%s", base);
    put("gw.ini", text);
    (void)snprintf(text, sizeof(text), "[gateway]\ninclude = drafts.d/*.ini\n%s",
                   base + strlen("[gateway]\n"));
    static const char endpoint[] =
        "[endpoint NEW]\nsystem = FR1\ncustomer_network = NEW\nadmin_request_parameter = new\n"
        "user = U\npassword = file:../not-there\n"
        "[pusher new]\nendpoint = NEW\nuser = new\npassword_hash = " HASH "\n";
    char absolute[700];
    (void)snprintf(absolute, sizeof(absolute), "%s/../not-there", folder);
    const struct conf_draft items[] = {
        {main_file, span_of(text), false},
        {inner, SPAN_LIT(endpoint), false},
        {absolute, SPAN_LIT("Secret-1\n"), false},
    };
    assert_int_equal(conf_gw_load_drafts(main_file, &(struct conf_drafts){items, 3}, stderr, &c),
                     FRUN_OK);
    assert_int_equal(c->n_endpoints, 2);
    assert_true(span_eq(secret_span(c->endpoints[1]->password), SPAN_LIT("Secret-1")));
    conf_gw_unref(&c);
    assert_int_equal(access(inner, F_OK), -1);
    assert_int_equal(conf_gw_load_drafts(main_file, &(struct conf_drafts){items, 2}, NULL, &c),
                     FRUN_E_SYNTAX);
    put("drafts.d/bad.ini", "nonsense\n");
    char bad[600];
    (void)snprintf(bad, sizeof(bad), "%s/bad.ini", folder);
    const struct conf_draft without[] = {items[0], {bad, SPAN_LIT(""), true}};
    assert_int_equal(conf_gw_load_drafts(main_file, &(struct conf_drafts){without, 2}, stderr, &c),
                     FRUN_OK);
    assert_int_equal(c->n_endpoints, 1);
    conf_gw_unref(&c);
    (void)unlink(bad);
    (void)rmdir(folder);
}

static void test_resolved(void **state)
{
    (void)state;
    struct conf_gw *c;
    frun_err err = load(base, &c);
    assert_string_equal(report, "");
    assert_int_equal(err, FRUN_OK);
    assert_int_equal(c->n_endpoints, 1);
    const struct conf_endpoint *e = c->endpoints[0];
    assert_string_equal(e->root_path, "/ACME_PROD");
    assert_string_equal(e->root_url, "https://push.example.com/ACME_PROD");
    assert_string_equal(e->logical_system, "FR1CLNT100");
    assert_string_equal(e->virtual_host, "fr1_frun:443");
    assert_string_equal(e->location_id, "DC1");
    assert_string_equal(e->carrier.header, "X-Admin-Request-Parameter");
    assert_null(e->carrier.query);
    assert_int_equal(e->route, CONF_ROUTE_TUNNEL);
    assert_int_equal(e->methods.n, 4);
    assert_ptr_equal(e->system, c->systems[0]);
    assert_true(span_eq(secret_span(e->password), SPAN_LIT("geheim")));
    assert_ptr_equal(c->pushers[0]->endpoints[0], e);
    assert_string_equal(c->tunnel->certificate, c->gateway->certificate);
    assert_int_equal(c->gateway->max_head, 32768);
    assert_int_equal(c->gateway->hold_ms, 8000);
    assert_int_equal(c->log->settings.level, LOG_LEVEL_INFO);
    assert_int_equal(c->log->settings.events.target, LOG_TARGET_STDERR);
    struct conf_gw *pin = conf_gw_ref(c);
    conf_gw_unref(&c);
    assert_null(c);
    assert_string_equal(pin->endpoints[0]->root_path, "/ACME_PROD");
    conf_gw_unref(&pin);
    conf_gw_unref(&pin);
}

static void test_endpoint_overrides(void **state)
{
    (void)state;
    struct conf_gw *c;
    char text[4096];
    (void)snprintf(text, sizeof(text),
                   "%s[endpoint OTHER]\nsystem=FR1\ncustomer_network=OTHER\n"
                   "admin_request_carrier = none\nroute = direct\naddress = 127.0.0.1:1\n"
                   "protocol = http\nvirtual_host = x\nlocation_id =\nmethods = GET\n"
                   "proxy = http://p:1\nproxy_user = u\nproxy_password = file:secret\n"
                   "[log]\ntarget = file:logs/x\nlevel = debug\n",
                   base);
    assert_int_equal(load(text, &c), FRUN_OK);
    const struct conf_endpoint *e = c->endpoints[1];
    assert_int_equal(e->route, CONF_ROUTE_DIRECT);
    assert_int_equal(e->protocol, 1);
    assert_string_equal(e->virtual_host, "x");
    assert_string_equal(e->location_id, "");
    assert_null(e->carrier.header);
    assert_null(e->admin_request_parameter);
    assert_null(e->user);
    assert_int_equal(e->methods.n, 1);
    assert_string_equal(e->proxy_user, "u");
    assert_non_null(e->proxy_password);
    assert_int_equal(c->log->settings.events.target, LOG_TARGET_FILE);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/logs/x", dir);
    assert_string_equal(c->log->settings.events.name, path);
    /* nobody pushes to it, and it has no fence: warnings */
    assert_non_null(strstr(report, "warning: endpoint OTHER: no [pusher NAME]"));
    assert_non_null(strstr(report, "warning: endpoint OTHER.admin_request_carrier"));
    conf_gw_unref(&c);
}

/* The shares of a tunnel's streams, and the burst, unless given. */
static void test_shares(void **state)
{
    static const struct {
        const char *tunnel;
        const char *pusher;
        uint64_t in_flight, endpoint, burst;
    } rows[] = {
        {"", "", 64, 128, 0},
        {"max_streams = 1000\n", "max_requests_per_second = 7\n", 64, 128, 70},
        {"max_streams = 8\n", "max_requests_per_second = 7\nburst = 3\n", 2, 4, 3},
        {"max_streams = 1\n", "", 1, 1, 0},
        {"max_streams = 8\n", "max_in_flight = 5\n", 5, 4, 0},
        {"", "max_in_flight = 0\n", 0, 128, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_gw *c;
        char text[4096];
        const char *at = strstr(base, "client_ca");
        (void)snprintf(text, sizeof(text), "%.*s%s%s%s", (int)(at - base), base, rows[i].tunnel, at,
                       rows[i].pusher);
        assert_int_equal(load(text, &c), FRUN_OK);
        assert_int_equal(c->pushers[0]->max_in_flight, rows[i].in_flight);
        assert_int_equal(c->pushers[0]->burst, rows[i].burst);
        assert_int_equal(c->endpoints[0]->max_in_flight, rows[i].endpoint);
        conf_gw_unref(&c);
    }
}

/* One change to the base: the text `old` becomes `new`. */
struct change {
    const char *old;
    const char *new;
    const char *want;
    bool is_error;
};

static void check_changes(const struct change *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct conf_gw *c;
        char text[4096];
        const char *at = strstr(base, rows[i].old);
        assert_non_null(at);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - base), base, rows[i].new,
                       at + strlen(rows[i].old));
        frun_err err = load(text, &c);
        if (!strstr(report, rows[i].want) || (err != FRUN_OK) != rows[i].is_error) {
            fail_msg("%s: %d, %s", rows[i].new, err, report);
        }
        assert_null(strstr(report, "geheim"));
        conf_gw_unref(&c);
    }
}

static void test_limit_checks(void **state)
{
    (void)state;
    static const struct change rows[] = {
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nmax_body = 17M\n",
         "pusher s4-acme.max_body: is above max_body of the gateway", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nburst = 5\n",
         "pusher s4-acme.burst: needs max_requests_per_second too", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nmax_in_flight = 256\n",
         "pusher s4-acme.max_in_flight: lets this pusher take all streams", false},
    };
    check_changes(rows, sizeof(rows) / sizeof(rows[0]));
}

/* The preset, what overrides it, and what is refused. */
static void test_maps(void **state)
{
    static const struct {
        const char *keys;
        size_t n;
        const char *first_to; /* of /api/calm-metrics */
    } rows[] = {
        {"", 0, NULL},
        {"paths = cloud-alm\n", 3, "/sap/frun/ngdci/api/calm-metrics"},
        {"paths = cloud-alm\nmap = /api/calm-metrics /sap/frun/x\n", 3, "/sap/frun/x"},
        {"map = /api/calm-metrics /sap/frun/a, /b /sap/frun\nmap = / /sap/frun\n", 3,
         "/sap/frun/a"},
    };
    static const struct change wrong[] = {
        {"user = F", "host_name = PUSH.example.com\nuser = F", "is the host of public_url", true},
        {"user = F", "host_name = a.b, A.b\nuser = F", "is that of [endpoint ACME_PROD] too", true},
        {"user = F", "host_name = a b\nuser = F", "host_name", true},
        {"user = F", "certificate = pem\nprivate_key = pem\nuser = F", "needs host_name too", true},
        {"user = F", "host_name = a.b\ncertificate = pem\nuser = F", "needs private_key", true},
        {"user = F", "map = /a\nuser = F", "two paths", true},
        {"user = F", "map = /a /sap/frun /x\nuser = F", "two paths", true},
        {"user = F", "map = a /sap/frun\nuser = F", "begins with '/'", true},
        {"user = F", "map = /a/ /sap/frun\nuser = F", "no final '/'", true},
        {"user = F", "map = /a/../b /sap/frun\nuser = F", "no '.' and '..'", true},
        {"user = F", "map = /a%2fb /sap/frun\nuser = F", "nothing percent-encoded", true},
        {"user = F", "map = /a /sap/frunX\nuser = F", "TO must be /sap/frun", true},
        {"user = F", "map = /a /sap/bc/gui\nuser = F", "TO must be /sap/frun", true},
        {"user = F", "map = /a /sap/frun/../bc\nuser = F", "no '.' and '..'", true},
        {"user = F", "map = /a /sap/frun, /a /sap/frun/x\nuser = F", "/a is mapped twice", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_gw *c;
        char text[4096];
        const char *at = strstr(base, "user = FRUN_PUSH");
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - base), base, rows[i].keys, at);
        assert_int_equal(load(text, &c), FRUN_OK);
        const struct conf_endpoint *e = c->endpoints[0];
        assert_int_equal(e->n_maps, rows[i].n);
        const char *to = NULL;
        for (size_t k = 0; k < e->n_maps; k++) {
            to = strcmp(e->maps[k].from, "/api/calm-metrics") == 0 ? e->maps[k].to : to;
        }
        assert_string_equal(to ? to : "none", rows[i].first_to ? rows[i].first_to : "none");
        conf_gw_unref(&c);
    }
    check_changes(wrong, sizeof(wrong) / sizeof(wrong[0]));
}

#define PIN  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD "[pusher s4-acme]\n"

static void test_certificate_checks(void **state)
{
    (void)state;
    static const struct change rows[] = {
        {HEAD, HEAD "auth = certificate, basic\n", "auth: certificate needs certificate_sha256",
         true},
        {HEAD, HEAD "auth = certificate, basic\ncertificate_subject = CN=a\n",
         "pusher s4-acme.certificate_subject: needs client_ca", true},
        {HEAD, HEAD "auth = certificate, basic\ncertificate_san = dns:a\n",
         "pusher s4-acme.certificate_san: needs client_ca", true},
        {HEAD, HEAD "certificate_sha256 = " PIN "\n", "is not used: auth names neither", false},
        {HEAD, HEAD "auth = certificate, basic\ncertificate_sha256 = " PIN ", " PIN "\n",
         "is listed twice", true},
        {HEAD, HEAD "auth = certificate, basic\ncertificate_sha256 = 00" PIN "\n",
         "must be a SHA-256", true},
        {HEAD,
         HEAD "auth = certificate, basic\ncertificate_issuer = CN=ca\ncertificate_sha256 = " PIN
              "\n",
         "certificate_issuer: needs certificate_subject or certificate_san too", true},
        {HEAD,
         HEAD "auth = certificate, basic\ncertificate_sha256 = " PIN
              "\nold_certificate_sha256 = " PIN "\n",
         "needs old_certificate_until too", true},
        {HEAD,
         HEAD "auth = certificate, basic\ncertificate_sha256 = " PIN
              "\nold_certificate_sha256 = " PIN "\nold_certificate_until = 2020-01-01T00:00:00Z\n",
         "has passed; old_certificate_sha256 can be removed", false},
        {"user = F", "client_ca = pem\nuser = F", "endpoint ACME_PROD.client_ca: needs host_name",
         true},
        {"user = F", "host_name = a.b\nclient_ca = pem\nuser = F",
         "endpoint ACME_PROD.client_ca: has no effect", false},
        {"private_key = pem\n", "private_key = pem\nclient_ca = pem\n",
         "gateway.client_ca: has no effect", false},
    };
    check_changes(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Who is asked, and what about; nobody without need. */
static void test_asking(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *endpoint; /* more keys */
        const char *pusher;   /* more keys */
        bool at_gateway, at_endpoint, hides_ca;
    } rows[] = {
        {"nobody", "", "", false, false, false},
        {"by name", "", "auth = certificate, basic\ncertificate_subject = CN=a,O=b\n", true, true,
         false},
        {"by fingerprint", "", "auth = certificate, basic\ncertificate_sha256 = " PIN "\n", true,
         true, true},
        {"disabled", "", "enabled = no\nauth = certificate, basic\ncertificate_sha256 = " PIN "\n",
         false, false, false},
        {"CAs of its own", "host_name = a.b\nclient_ca = pem\n",
         "auth = certificate, basic\ncertificate_subject = CN=a,O=b\n", false, true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_gw *c;
        char text[8192];
        const char *e = strstr(base, "user = FRUN_PUSH");
        const char *p = strstr(base, "user = s4push");
        const char *g = strstr(base, "private_key = pem\n");
        (void)snprintf(text, sizeof(text), "%.*sclient_ca = pem\n%.*s%s%.*s%s%s", (int)(g - base),
                       base, (int)(e - g), g, rows[i].endpoint, (int)(p - e), e, rows[i].pusher, p);
        assert_int_equal(load(text, &c), FRUN_OK);
        if (c->gateway->asking.is_asking != rows[i].at_gateway ||
            c->endpoints[0]->asking.is_asking != rows[i].at_endpoint ||
            c->endpoints[0]->asking.hides_ca != rows[i].hides_ca) {
            fail_msg("%s", rows[i].label);
        }
        if (strstr(rows[i].pusher, "O=b")) { /* a comma belongs to the subject */
            assert_int_equal(c->pushers[0]->certificate_subject.n, 1);
            assert_string_equal(c->pushers[0]->certificate_subject.items[0], "CN=a,O=b");
        }
        conf_gw_unref(&c);
    }
}

static void test_proof_checks(void **state)
{
    (void)state;
    static const struct change rows[] = {
        {"user = s4push\n", "", "pusher s4-acme.user: is missing; auth = basic needs it", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nauth = digest\n",
         "pusher s4-acme.auth: 'digest': the ways are basic, oauth2, certificate and jwt", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nauth = basic, oauth2\n",
         "pusher s4-acme.auth: oauth2 needs a section [oauth]", true},
        {"[pusher s4-acme]\n",
         "[oauth]\nkey_directory = keys\n[pusher s4-acme]\nauth = basic, oauth2\n",
         "pusher s4-acme.client_secret_hash: is missing, so it gets no token; 'frunctl pusher "
         "service-key s4-acme' makes one",
         false},
        {"[pusher s4-acme]\n",
         "[oauth]\nkey_directory = keys\n[pusher b]\nendpoint = ACME_PROD\nauth = "
         "oauth2\nclient_id = sb-s4-acme\n[pusher s4-acme]\nauth = basic, oauth2\n",
         "client ID sb-s4-acme is that of [pusher b] too", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nclient_id = x\n",
         "pusher s4-acme.client_id: is not used: auth does not name oauth2", false},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nold_password_hash = " HASH "\n",
         "pusher s4-acme.old_password_hash: ", true},
        {"[pusher s4-acme]\n",
         "[pusher s4-acme]\nold_password_hash = " HASH
         "\nold_password_until = 2001-01-01T00:00:00Z\n",
         "pusher s4-acme.old_password_until: has passed; old_password_hash can be removed", false},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nold_secret_until = tomorrow\n",
         "pusher s4-acme.old_secret_until: 'tomorrow': must be a time in UTC", true},
        {"[pusher s4-acme]\n",
         "[oauth]\nkey_directory = keys\nrotate_after = 1 m\n[pusher s4-acme]\n",
         "oauth.rotate_after: must be at least four times reread", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\nenabled = no\n",
         "endpoint ACME_PROD: no [pusher NAME] may use it", false},
    };
    check_changes(rows, sizeof(rows) / sizeof(rows[0]));
}

#define ISSUER(more)                                                                               \
    "[issuer IDP]\nissuer = https://idp.example.com\naudience = a\nscope = s\n" more

#define JWT(more)                                                                                  \
    ISSUER("") "[pusher b]\nendpoint = ACME_PROD\nauth = jwt\n" more "[pusher s4-acme]\n"

static void test_issuer_checks(void **state)
{
    (void)state;
    static const struct change rows[] = {
        {"[pusher s4-acme]\n", JWT("issuer = IDP\ntoken_client = c\nclaim = zid = x\n"), "", false},
        {"[pusher s4-acme]\n", JWT("issuer = IDP\ntoken_subject = c\n"), "", false},
        {"[pusher s4-acme]\n", JWT("issuer = IDP\n"),
         "pusher b.auth: jwt needs token_client or token_subject", true},
        {"[pusher s4-acme]\n", JWT("issuer = IDP\nclaim = zid=x\n"),
         "pusher b.auth: jwt needs token_client or token_subject", true},
        {"[pusher s4-acme]\n", JWT("token_client = c\n"), "pusher b.auth: jwt needs issuer = NAME",
         true},
        {"[pusher s4-acme]\n", JWT("issuer = X\ntoken_client = c\n"),
         "pusher b.issuer: there is no [issuer X]", true},
        {"[pusher s4-acme]\n", JWT("issuer = IDP\ntoken_client = c\nclaim = zid\n"),
         "pusher b.claim: 'zid': must be NAME=VALUE", true},
        {"[pusher s4-acme]\n", JWT("issuer = IDP\ntoken_client = c\nclaim = zid=\n"),
         "must be NAME=VALUE", true},
        {"[pusher s4-acme]\n", "[pusher s4-acme]\ntoken_client = c\n",
         "pusher s4-acme.token_client: is not used: auth does not name jwt", false},
        {"[pusher s4-acme]\n",
         JWT("issuer = IDP\ntoken_client = c\n[pusher c]\nendpoint = ACME_PROD\nauth = jwt\n"
             "issuer = IDP\ntoken_client = d, c\n"),
         "pusher c.token_client: c is that of [pusher b] at endpoint ACME_PROD too", true},
        {"[pusher s4-acme]\n",
         JWT("issuer = IDP\ntoken_client = c\nclaim = zid=1\n[pusher c]\nendpoint = ACME_PROD\n"
             "auth = jwt\nissuer = IDP\ntoken_client = c\nclaim = zid=2\n"),
         "", false},
        {"[pusher s4-acme]\n", ISSUER("algorithms = RS256, HS256\n") "[pusher s4-acme]\n",
         "issuer IDP.algorithms: 'HS256': signatures are", true},
        {"[pusher s4-acme]\n", ISSUER("algorithms = none\n") "[pusher s4-acme]\n",
         "issuer IDP.algorithms: 'none': signatures are", true},
        {"[pusher s4-acme]\n", ISSUER("clock_skew = 6 m\n") "[pusher s4-acme]\n",
         "issuer IDP.clock_skew", true},
        {"[pusher s4-acme]\n", ISSUER("jwks_url = http://x\n") "[pusher s4-acme]\n",
         "issuer IDP.jwks_url: 'http://x': must be a URL that begins with https://", true},
        {"[pusher s4-acme]\n", ISSUER("proxy_user = u\n") "[pusher s4-acme]\n",
         "issuer IDP.proxy_user: needs proxy", true},
        {"[pusher s4-acme]\n", ISSUER("refresh = 10 s\n") "[pusher s4-acme]\n",
         "issuer IDP.refresh_min: must not be above refresh", true},
        {"[pusher s4-acme]\n",
         ISSUER(
             "[issuer B]\nissuer = https://idp.example.com\naudience = a\nscope = s\n") "[pusher "
                                                                                        "s4-acme]"
                                                                                        "\n",
         "issuer B.issuer: is that of [issuer IDP] too", true},
        {"[pusher s4-acme]\n",
         "[issuer B]\nissuer = http://idp.example.com\naudience = a\nscope = s\n[pusher s4-acme]\n",
         "issuer B.issuer: needs jwks_url too", true},
        {"[pusher s4-acme]\n",
         "[issuer B]\nissuer = https://push.example.com\naudience = a\nscope = s\n"
         "[pusher s4-acme]\n",
         "issuer B.issuer: is public_url", true},
        {"[pusher s4-acme]\n", "[issuer B]\nissuer = https://x\nscope = s\n[pusher s4-acme]\n",
         "issuer B.audience: is missing", true},
        {"[pusher s4-acme]\n", "[issuer B]\nissuer = https://x\naudience = s\n[pusher s4-acme]\n",
         "issuer B.scope: is missing", true},
    };
    check_changes(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_cross_checks(void **state)
{
    (void)state;
    static const struct change rows[] = {
        {"system = FR1\n", "system = FR2\n", "endpoint ACME_PROD.system: there is no [system FR2]",
         true},
        {"endpoint = ACME_PROD", "endpoint = ACME",
         "pusher s4-acme.endpoint: there is no [endpoint ACME]", true},
        {"password = file:secret\n", "", "endpoint ACME_PROD.user: needs password too", true},
        {"user = FRUN_PUSH\n", "", "endpoint ACME_PROD.password: needs user too", true},
        {"admin_request_parameter = acme-prod\n", "", "admin_request_parameter: is missing", true},
        {"admin_request_parameter = acme-prod\n",
         "admin_request_parameter = x\nadmin_request_carrier = none\n",
         "admin_request_carrier = none does not send it", true},
        {"virtual_host = fr1_frun:443\n", "", "endpoint ACME_PROD.system: needs virtual_host",
         true},
        {"virtual_host = fr1_frun:443\n", "virtual_host = fr1_frun:443\nroute = direct\n",
         "route direct needs address", true},
        {"virtual_host = fr1_frun:443\n",
         "virtual_host = fr1_frun:443\nroute = direct\naddress = h:1\n", "needs backend_ca", true},
        {"virtual_host = fr1_frun:443\n", "virtual_host = h:x\n", "system FR1.virtual_host: 'h:x'",
         true},
        {"[tunnel]\nlisten = 127.0.0.1:8444\nclient_ca = pem\n", "",
         "route tunnel needs a [tunnel] section", true},
        {"listen = 127.0.0.1:8444\n", "", "tunnel.listen: connectors have no way in", true},
        {"listen = 127.0.0.1:8444\n", "listen = 127.0.0.1:8443\n", "the gateway's own address",
         true},
        {"listen = 127.0.0.1:8444\n", "server_name = PUSH.example.com\n",
         "tunnel.server_name: is the host of public_url", true},
        {"listen = 127.0.0.1:8444\n", "listen = 127.0.0.1:8444\ncertificate = pem\n",
         "tunnel.certificate: needs private_key too", true},
        {"client_ca = pem", "client_ca = gone", "tunnel.client_ca: cannot read", true},
        {"location_id = DC1\n", "", "no [connector NAME] serves location id 'DC1'", false},
        {"public_url = https", "public_url = http", "gateway.public_url: http:// sends passwords",
         false},
        {"customer_network = ACME PROD", "customer_network = ACME-PROD", "'-' is not usual", false},
        {"password = file:secret", "password = geheim", "the secret itself stands in this file",
         false},
        {"listen = 127.0.0.1:8443\n", "listen = 127.0.0.1:8443\nmax_target = 64K\n",
         "gateway.max_target: must not be above max_head", true},
        {"[pusher", "[connector B]\ncertificate_subject = CN=dc1-a\n[pusher",
         "connector B.certificate_subject: is that of [connector DC1-A]", true},
        {"[pusher",
         "[pusher b]\nuser = s4push\nendpoint = ACME_PROD\npassword_hash = " HASH "\n[pusher",
         "pusher s4-acme.user: is that of [pusher b] at endpoint ACME_PROD", true},
        {"[pusher",
         "[endpoint B]\nsystem = FR1\ncustomer_network = ACME_PROD\n"
         "admin_request_parameter = b\n[pusher",
         "endpoint B.customer_network: root path /ACME_PROD is that of [endpoint ACME_PROD]", true},
        {"[pusher",
         "[endpoint B]\nsystem = FR1\ncustomer_network = B\n"
         "admin_request_parameter = acme-prod\n[pusher",
         "endpoint B.admin_request_parameter: is that of [endpoint ACME_PROD]", false},
        {"password_hash = $y$", "password_hash = $1$", "password_hash: ", true},
        {"[system FR1]", "[system FR1]\nproxy_user = u", "proxy_user: needs proxy_password too",
         true},
    };
    check_changes(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_sap_and_logon_checks(void **state)
{
    (void)state;
    static const struct change rows[] = {
        {"location_id = DC1\n[endpoint", "location_id = DC1\nroute = sap-connectivity\n[endpoint",
         "endpoint ACME_PROD.system: route sap-connectivity needs sap_connectivity = NAME", true},
        {"location_id = DC1\n[endpoint",
         "location_id = DC1\nroute = sap-connectivity\nsap_connectivity = BTP\n[endpoint",
         "endpoint ACME_PROD.system: there is no [sap-connectivity BTP]", true},
        {"location_id = DC1\n[endpoint",
         "location_id = DC1\nroute = sap-connectivity\nsap_connectivity = BTP\n"
         "[sap-connectivity BTP]\nservice_key = pem\n[endpoint",
         "'fr1_frun:443' has '_'", false},
        {"[pusher", "[sap-connectivity BTP]\n[pusher", "sap-connectivity BTP.service_key", true},
        {"[pusher", "[sap-connectivity BTP]\nservice_key = pem\nretry_min = 1m\n[pusher",
         "retry_min", true},
        {"[pusher", "[sap-connectivity BTP]\nservice_key = pem\ntoken_url = http://a\n[pusher",
         "token_url: 'http://a': must be a URL that begins with https://", true},
        {"[pusher",
         "[sap-connectivity BTP]\nservice_key = pem\ntoken_url = https://me:pw@a/oauth\n[pusher",
         "must not hold user or password", true},
        {"[pusher", "[sap-connectivity BTP]\nservice_key = pem\ntoken_url = https://a/x@y\n[pusher",
         "", false},
        {"[pusher", "[sap-connectivity BTP]\nservice_key = pem\ninstance_guid = a\n[pusher",
         "needs identity_key too", true},
        {"user = FRUN_PUSH\n", "user = FRUN_PUSH\ntoken_url = https://a\n",
         "token_url: needs auth = oauth2 too", true},
        {"user = FRUN_PUSH\n", "user = FRUN_PUSH\nauth = oauth2\n", "user: is for auth = basic",
         true},
        {"user = FRUN_PUSH\npassword = file:secret\n",
         "auth = oauth2\ntoken_url = https://a\nclient_id = c\n",
         "endpoint ACME_PROD.auth: oauth2 needs either client_secret", true},
        {"user = FRUN_PUSH\npassword = file:secret\n",
         "auth = oauth2\ntoken_url = https://a\nclient_secret = file:secret\n",
         "endpoint ACME_PROD.auth: oauth2 needs token_url and client_id", true},
    };
    check_changes(rows, sizeof(rows) / sizeof(rows[0]));
}

static int set_up(void **state)
{
    (void)state;
    temp_folder(dir);
    put("pem", "x");
    put("secret", "geheim\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"pem", "secret", "gw.ini", ""};
    char path[512];
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolved),
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_endpoint_overrides),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_limit_checks),
        cmocka_unit_test(test_certificate_checks),
        cmocka_unit_test(test_asking),
        cmocka_unit_test(test_proof_checks),
        cmocka_unit_test(test_issuer_checks),
        cmocka_unit_test(test_cross_checks),
        cmocka_unit_test(test_sap_and_logon_checks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
