/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct conf_mapping virt = {.place = {.name = "fr1_frun:443"},
                                         .virtual_host = "fr1_frun",
                                         .virtual_port = 443,
                                         .internal_host = "frun.corp",
                                         .internal_port = 44300};
static const struct conf_mapping internal = {.place = {.name = "fr2:8443"},
                                             .virtual_host = "fr2",
                                             .virtual_port = 8443,
                                             .internal_host = "2001:db8::5",
                                             .internal_port = 8001,
                                             .protocol = 1,
                                             .host_in_request_header = 1,
                                             .system_certificate_for_logon = true};
static const struct conf_mapping usual = {.place = {.name = "fr3"},
                                          .virtual_host = "fr3",
                                          .virtual_port = 443,
                                          .internal_host = "frun3.corp",
                                          .internal_port = 443,
                                          .host_in_request_header = 1};
static const struct conf_mapping logon = {.place = {.name = "fr4"},
                                          .virtual_host = "fr4",
                                          .virtual_port = 443,
                                          .internal_host = "frun4.corp",
                                          .internal_port = 443,
                                          .system_certificate_for_logon = true,
                                          .basic_credentials = 1};
static const struct conf_mapping naming = {.place = {.name = "fr5"},
                                           .virtual_host = "fr5",
                                           .virtual_port = 443,
                                           .internal_host = "frun5.corp",
                                           .internal_port = 443,
                                           .principal_type = 1,
                                           .principal_ca_certificate = "ca.pem"};
static const struct conf_mapping *const mappings[] = {&virt, &internal, &usual};
static const struct conf_cn conf = {.mappings = mappings, .n_mappings = 3};

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 65536);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* Head as text: "Name: value|Name: value". */
static void fill(struct head *h, const char *fields)
{
    struct span rest = span_of(fields);
    struct span part;
    while (span_split(&rest, '|', &part)) {
        size_t n = span_find(part, ':');
        if (n < part.n) {
            assert_int_equal(head_add(h, span_head(part, n), span_trim(span_skip(part, n + 1))),
                             FRUN_OK);
        }
    }
}

static void flatten(const struct head *h, char *out, size_t max)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < h->n_fields && n < max; i++) {
        n += (size_t)snprintf(out + n, max - n, "%s%.*s: %.*s", i ? "|" : "",
                              SPAN_FMT(h->fields[i].name), SPAN_FMT(h->fields[i].value));
    }
}

struct request_row {
    const char *label;
    const struct conf_mapping *mapping;
    const char *authority;
    const char *in;
    const char *want_host;
    const char *want;
};

static const struct request_row request_rows[] = {
    {"virtual host, default port omitted", &virt, "fr1_frun:443", "a: 1", "fr1_frun",
     "a: 1|SSL_CLIENT_CERT: "},
    {"virtual host as received", &virt, "FR1_frun", "", "FR1_frun", "SSL_CLIENT_CERT: "},
    {"X-Forwarded-Host stays with a virtual host", &virt, "fr1_frun",
     "X-Forwarded-Host: push.example.com", "fr1_frun",
     "X-Forwarded-Host: push.example.com|SSL_CLIENT_CERT: "},
    {"internal host, logon by certificate", &internal, "fr2:8443",
     "a: 1|x-forwarded-host: push.example.com", "[2001:db8::5]:8001",
     "a: 1|X-Forwarded-Host: fr2:8443"},
    {"internal host on its scheme's port", &usual, "fr3", "", "frun3.corp",
     "X-Forwarded-Host: fr3|SSL_CLIENT_CERT: "},
    {"forged certificates, every spelling", &virt, "fr1_frun",
     "SSL_CLIENT_CERT: x|ssl-client-cert: y|Ssl_Client-Cert_Chain_1: z|SSL_CIPHER_SUITE: q|b: 2",
     "fr1_frun", "b: 2|SSL_CLIENT_CERT: "},
    {"not even where the certificate may log on", &internal, "fr2:8443", "Ssl-Client-Cert: x",
     "[2001:db8::5]:8001", "X-Forwarded-Host: fr2:8443"},
    {"internal fields", &virt, "fr1_frun", "frun-repeatable: 1|FRUN_x: 2|frunc: 3", "fr1_frun",
     "frunc: 3|SSL_CLIENT_CERT: "},
    {"hop-by-hop and what Connection names", &virt, "fr1_frun",
     "Connection: close, x-mine|x-mine: 1|Keep-Alive: 5|TE: trailers|Upgrade: h2c|c: 3", "fr1_frun",
     "c: 3|SSL_CLIENT_CERT: "},
    {"framing, Host and Expect are made here", &virt, "fr1_frun",
     "Content-Length: 5|Host: evil|Expect: 100-continue|d: 4", "fr1_frun",
     "d: 4|SSL_CLIENT_CERT: "},
    {"everything else passes, repeated too", &virt, "fr1_frun",
     "Authorization: Basic x|Cookie: a=b|Cookie: c=d|X-CSRF-Token: Fetch|X-Unknown: 1", "fr1_frun",
     "Authorization: Basic x|Cookie: a=b|Cookie: c=d|X-CSRF-Token: Fetch|X-Unknown: "
     "1|SSL_CLIENT_CERT: "},
    {"credentials are dropped where they are not wanted", &logon, "fr4",
     "authorization: Basic x|Authorization_: y|AUTHORIZATION: z|e: 5", "fr4",
     "Authorization_: y|e: 5"},
    {"a principal brings no other's credentials", &naming, "fr5",
     "Authorization: Basic x|frun-principal: YQ==|SSL_CLIENT_CERT: forged|f: 6", "fr5", "f: 6"},
    {"nobody is named: as ever", &naming, "fr5", "Authorization: Basic x", "fr5",
     "Authorization: Basic x|SSL_CLIENT_CERT: "},
    {"a principal where nobody is told", &virt, "fr1_frun",
     "Authorization: Basic x|frun-principal: YQ==", "fr1_frun",
     "Authorization: Basic x|SSL_CLIENT_CERT: "},
};

static void requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
        const struct request_row *r = &request_rows[i];
        struct head in = {.method = SPAN_LIT("POST"),
                          .authority = span_of(r->authority),
                          .body = HEAD_BODY_LENGTH,
                          .body_len_bytes = 12,
                          .wants_continue = true};
        struct uri u = {.path = SPAN_LIT("/sap/frun"), .query = SPAN_LIT("a=%20b&c")};
        struct head out;
        char got[1024];
        fill(&in, r->in);
        assert_int_equal(rewrite_request(r->mapping, &in, &u, &arena, &out), FRUN_OK);
        flatten(&out, got, sizeof(got));
        if (strcmp(got, r->want) != 0 || !span_eq(out.authority, span_of(r->want_host))) {
            fail_msg("%s: Host: %.*s|%s", r->label, SPAN_FMT(out.authority), got);
        }
        assert_true(span_eq(out.target, SPAN_LIT("/sap/frun?a=%20b&c")));
        assert_true(span_eq(out.method, SPAN_LIT("POST")));
        assert_int_equal(out.body, HEAD_BODY_LENGTH);
        assert_int_equal(out.body_len_bytes, 12);
        assert_true(out.is_keep_alive && !out.wants_continue);
    }
}

static void principals(void **state)
{
    static const struct {
        const char *label;
        const struct conf_mapping *mapping;
        const char *in;
        frun_err want;
        const char *name; /* NULL: nobody */
    } rows[] = {
        {"named", &naming, "Frun-Principal: czRwdXNo", FRUN_OK, "s4push"},
        {"nobody", &naming, "a: 1", FRUN_OK, NULL},
        {"where nobody is told", &virt, "frun-principal: czRwdXNo", FRUN_OK, NULL},
        {"another spelling is another field", &naming, "frun_principal: czRwdXNo", FRUN_OK, NULL},
        {"two", &naming, "frun-principal: YQ==|frun-principal: YQ==", FRUN_E_SYNTAX, NULL},
        {"empty", &naming, "frun-principal: ", FRUN_E_SYNTAX, NULL},
        {"no base64", &naming, "frun-principal: s4 push", FRUN_E_SYNTAX, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct head in = {.n_fields = 0};
        struct span name;
        fill(&in, rows[i].in);
        frun_err err = rewrite_principal(rows[i].mapping, &in, &arena, &name);
        if (err != rows[i].want || (name.p != NULL) != (rows[i].name != NULL) ||
            (name.p && !span_eq(name, span_of(rows[i].name)))) {
            fail_msg("%s: %d, '%.*s'", rows[i].label, err, (int)name.n, name.n ? name.p : "");
        }
    }
}

static void target_keeps_its_query(void **state)
{
    struct head in = {.method = SPAN_LIT("GET"), .authority = SPAN_LIT("fr1_frun")};
    struct uri none = {.path = SPAN_LIT("/x")};
    struct uri empty = {.path = SPAN_LIT("/x"), .query = SPAN_LIT("")};
    struct head out;
    (void)state;
    assert_int_equal(rewrite_request(&virt, &in, &none, &arena, &out), FRUN_OK);
    assert_true(span_eq(out.target, SPAN_LIT("/x")));
    assert_int_equal(rewrite_request(&virt, &in, &empty, &arena, &out), FRUN_OK);
    assert_true(span_eq(out.target, SPAN_LIT("/x?")));
}

static void too_many_fields(void **state)
{
    struct head in = {.method = SPAN_LIT("GET"), .authority = SPAN_LIT("fr1_frun")};
    struct uri u = {.path = SPAN_LIT("/x")};
    struct head out;
    (void)state;
    for (size_t i = 0; i < HEAD_MAX_FIELDS; i++) {
        assert_int_equal(head_add(&in, SPAN_LIT("a"), SPAN_LIT("1")), FRUN_OK);
    }
    assert_int_equal(rewrite_request(&virt, &in, &u, &arena, &out), FRUN_E_LIMIT);
}

struct repeat_row {
    const char *method;
    const char *fields;
    bool want;
};

static const struct repeat_row repeat_rows[] = {
    {"GET", "", true},
    {"HEAD", "", true},
    {"PUT", "", true},
    {"DELETE", "", true},
    {"OPTIONS", "", true},
    {"POST", "", false},
    {"PATCH", "", false},
    {"get", "", false},
    {"POST", "Frun-Repeatable: 1", true},
    {"POST", "frun-repeatable: 0", false},
    {"POST", "frun-repeatable: yes", false},
};

static void repeatable(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(repeat_rows) / sizeof(repeat_rows[0]); i++) {
        const struct repeat_row *r = &repeat_rows[i];
        struct head in = {.method = span_of(r->method)};
        fill(&in, r->fields);
        if (rewrite_is_repeatable(&in) != r->want) {
            fail_msg("%s %s", r->method, r->fields);
        }
    }
}

struct answer_row {
    const char *label;
    const char *in;
    const char *want;
};

static const struct answer_row answer_rows[] = {
    {"says who answered", "a: 1", "a: 1|frun-origin: backend"},
    {"the back end cannot say it", "FRUN-Origin: connector|frun_x: 1", "frun-origin: backend"},
    {"hop-by-hop", "Connection: x-mine|x-mine: 1|Keep-Alive: timeout=5|b: 2",
     "b: 2|frun-origin: backend"},
    {"Connection that names no field", "Connection: keep-alive|Keep-Alive: timeout=5|b: 2",
     "b: 2|frun-origin: backend"},
    {"Location on the internal host", "Location: https://frun.corp:44300/sap/x?y#z",
     "Location: https://fr1_frun/sap/x?y#z|frun-origin: backend"},
    {"without case, plain http", "location: HTTP://FRUN.corp:44300",
     "location: https://fr1_frun|frun-origin: backend"},
    {"on another mapping's host", "Location: http://[2001:db8::5]:8001/a",
     "Location: https://fr2:8443/a|frun-origin: backend"},
    {"default port of the scheme", "Location: https://frun3.corp/a",
     "Location: https://fr3/a|frun-origin: backend"},
    {"other port stays", "Location: https://frun.corp:8000/a",
     "Location: https://frun.corp:8000/a|frun-origin: backend"},
    {"virtual host stays", "Location: https://fr1_frun/a",
     "Location: https://fr1_frun/a|frun-origin: backend"},
    {"relative stays", "Location: /sap/x", "Location: /sap/x|frun-origin: backend"},
    {"host only looks alike", "Location: https://frun.corp:44300@evil/a",
     "Location: https://frun.corp:44300@evil/a|frun-origin: backend"},
    {"cookies and challenge pass",
     "Set-Cookie: a=b|Set-Cookie: c|WWW-Authenticate: Basic realm=\"x\"",
     "Set-Cookie: a=b|Set-Cookie: c|WWW-Authenticate: Basic realm=\"x\"|frun-origin: backend"},
};

static void answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answer_rows) / sizeof(answer_rows[0]); i++) {
        const struct answer_row *r = &answer_rows[i];
        struct head in = {.status = 302, .reason = SPAN_LIT("Found"), .body = HEAD_BODY_CHUNKED};
        struct head out;
        char got[1024];
        fill(&in, r->in);
        assert_int_equal(rewrite_answer(&conf, &virt, &in, &arena, &out), FRUN_OK);
        flatten(&out, got, sizeof(got));
        if (strcmp(got, r->want) != 0) {
            fail_msg("%s: %s", r->label, got);
        }
        assert_int_equal(out.status, 302);
        assert_int_equal(out.body, HEAD_BODY_CHUNKED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests, setup, teardown),
        cmocka_unit_test_setup_teardown(principals, setup, teardown),
        cmocka_unit_test_setup_teardown(target_keeps_its_query, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_fields, setup, teardown),
        cmocka_unit_test(repeatable),
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
