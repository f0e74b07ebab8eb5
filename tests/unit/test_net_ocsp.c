/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/ocsp.h"

#include "../../src/net/tls_int.h"
#include "temp.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define URL  "http://ocsp.example.com/a"
#define HOUR INT64_C(3600)

/* A certificate and its key. */
struct pair {
    X509 *x;
    EVP_PKEY *key;
};

static char dir[TEMP_NAME];
static char cert_file[TEMP_PATH];
static char key_file[TEMP_PATH];
static struct pair ca;
static struct pair other_ca;
static struct pair delegate; /* of ca, may sign answers */
static struct pair sibling;  /* of ca, may not */
static struct pair stranger; /* of other_ca, may sign other_ca's answers */
static struct pair leaf;
static int64_t now_s;

/* ---- certificates ---- */

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (value) {
        X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        assert_non_null(ext);
        X509_add_ext(x, ext, -1);
        X509_EXTENSION_free(ext);
    }
}

/* What differs between certificates. */
struct says {
    const char *constraints;
    const char *usage;
    const char *access;
    const char *feature;
};

static struct pair issue(const char *cn, const struct pair *by, const struct says *s)
{
    static long serial = 1;
    struct pair p = {X509_new(), EVP_EC_gen("P-256")};
    const struct pair *signer = by ? by : &p;
    assert_non_null(p.x);
    assert_non_null(p.key);
    X509_set_version(p.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(p.x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(p.x), -86400);
    X509_gmtime_adj(X509_getm_notAfter(p.x), 86400);
    X509_set_pubkey(p.x, p.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(p.x), "CN", MBSTRING_UTF8,
                               (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(p.x, X509_get_subject_name(signer->x));
    add_ext(p.x, signer->x, NID_basic_constraints, s->constraints);
    add_ext(p.x, signer->x, NID_ext_key_usage, s->usage);
    add_ext(p.x, signer->x, NID_info_access, s->access);
    add_ext(p.x, signer->x, NID_tlsfeature, s->feature);
    assert_true(X509_sign(p.x, signer->key, EVP_sha256()) > 0);
    return p;
}

static void done(struct pair *p)
{
    X509_free(p->x);
    EVP_PKEY_free(p->key);
    *p = (struct pair){NULL, NULL};
}

/* A server context that shows @p own, with @p behind it in the file. */
static struct tls_ctx *load(const struct pair *own, X509 *behind)
{
    FILE *f = fopen(cert_file, "we");
    assert_non_null(f);
    PEM_write_X509(f, own->x);
    if (behind) {
        PEM_write_X509(f, behind);
    }
    (void)fclose(f);
    f = fopen(key_file, "we");
    assert_non_null(f);
    PEM_write_PrivateKey(f, own->key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(f);
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    const struct tls_settings s = {
        .certificate = cert_file, .private_key = key_file, .has_tickets = true};
    if (tls_server_new(&s, &t, &d)) {
        fail_msg("%s", d.text);
    }
    return t;
}

static int setup(void **state)
{
    (void)state;
    static const struct says authority = {.constraints = "critical,CA:TRUE"};
    static const struct says responder = {.constraints = "CA:FALSE", .usage = "OCSPSigning"};
    static const struct says plain = {.constraints = "CA:FALSE"};
    static const struct says server = {"CA:FALSE", NULL, "OCSP;URI:" URL, "status_request"};
    temp_folder(dir);
    (void)snprintf(cert_file, sizeof(cert_file), "%s/cert.pem", dir);
    (void)snprintf(key_file, sizeof(key_file), "%s/key.pem", dir);
    now_s = (int64_t)time(NULL);
    ca = issue("Test CA", NULL, &authority);
    other_ca = issue("Other CA", NULL, &authority);
    delegate = issue("Responder", &ca, &responder);
    sibling = issue("Sibling", &ca, &plain);
    stranger = issue("Stranger", &other_ca, &responder);
    leaf = issue("push.example.com", &ca, &server);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    done(&ca);
    done(&other_ca);
    done(&delegate);
    done(&sibling);
    done(&stranger);
    done(&leaf);
    (void)unlink(cert_file);
    (void)unlink(key_file);
    return rmdir(dir);
}

static void test_facts(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        struct says says;
        const struct pair *behind;
        struct ocsp_facts want;
    } rows[] = {
        {"all", {"CA:FALSE", NULL, "OCSP;URI:" URL, "status_request"}, &ca, {true, true, URL}},
        {"demands nothing", {"CA:FALSE", NULL, "OCSP;URI:" URL, NULL}, &ca, {false, true, URL}},
        {"no responder", {"CA:FALSE", NULL, NULL, "status_request"}, &ca, {true, true, NULL}},
        {"other feature", {"CA:FALSE", NULL, NULL, "17"}, &ca, {false, true, NULL}},
        {"both features", {"CA:FALSE", NULL, NULL, "17,5"}, &ca, {true, true, NULL}},
        {"ldap before http",
         {"CA:FALSE", NULL, "OCSP;URI:ldap://x/,caIssuers;URI:http://y/,OCSP;URI:" URL, NULL},
         &ca,
         {false, true, URL}},
        {"only ldap", {"CA:FALSE", NULL, "OCSP;URI:ldap://x/", NULL}, &ca, {false, true, NULL}},
        {"no issuer", {"CA:FALSE", NULL, "OCSP;URI:" URL, NULL}, NULL, {false, false, URL}},
        {"other issuer", {"CA:FALSE", NULL, NULL, NULL}, &other_ca, {false, false, NULL}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair p = issue("push.example.com", &ca, &rows[i].says);
        struct tls_ctx *t = load(&p, rows[i].behind ? rows[i].behind->x : NULL);
        struct ocsp *o = NULL;
        assert_int_equal(ocsp_new(t, &o), FRUN_OK);
        const struct ocsp_facts *got = ocsp_facts(o);
        const struct ocsp_facts *want = &rows[i].want;
        if (got->is_demanded != want->is_demanded || got->has_issuer != want->has_issuer ||
            !got->url != !want->url || (got->url && strcmp(got->url, want->url) != 0)) {
            fail_msg("%s: %d %d %s", rows[i].label, got->is_demanded, got->has_issuer, got->url);
        }
        ocsp_free(o);
        tls_unref(&t);
        done(&p);
    }
    ocsp_free(NULL);
}

static struct ocsp *prepare(void)
{
    struct tls_ctx *t = load(&leaf, ca.x);
    struct ocsp *o = NULL;
    assert_int_equal(ocsp_new(t, &o), FRUN_OK);
    tls_unref(&t);
    return o;
}

/* ---- questions and answers ---- */

static void test_question(void **state)
{
    (void)state;
    struct ocsp *o = prepare();
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(ocsp_ask(o, &b), FRUN_OK);
    const unsigned char *at = (const unsigned char *)buf_span(&b).p;
    OCSP_REQUEST *r = d2i_OCSP_REQUEST(NULL, &at, (long)buf_len(&b));
    assert_non_null(r);
    assert_int_equal(OCSP_request_onereq_count(r), 1);
    OCSP_CERTID *want = OCSP_cert_to_id(EVP_sha1(), leaf.x, ca.x);
    assert_int_equal(OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(r, 0)), want), 0);
    assert_int_equal(OCSP_REQUEST_get_ext_count(r), 0);
    OCSP_CERTID_free(want);
    OCSP_REQUEST_free(r);
    buf_done(&b);
    struct buf tight;
    buf_init(&tight, 8);
    assert_int_equal(ocsp_ask(o, &tight), FRUN_E_LIMIT);
    buf_done(&tight);
    ocsp_free(o);
}

/* What a responder says. */
struct reply {
    const char *label;
    int response;              /* OCSPResponseStatus */
    int status;                /* V_OCSP_CERTSTATUS_ */
    int64_t from;              /* thisUpdate, from now */
    int64_t until;             /* nextUpdate, from now; 0: none */
    const struct pair *signer; /* who signs */
    const struct pair *about;  /* whose status */
    frun_err want;
    const char *text; /* part of the reason */
};

static ASN1_TIME *time_of(int64_t in_s)
{
    return ASN1_GENERALIZEDTIME_set(NULL, (time_t)(now_s + in_s));
}

static unsigned char *write_reply(const struct reply *r, size_t *n)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), r->about->x, ca.x);
    ASN1_TIME *revoked = time_of(-10 * HOUR);
    ASN1_TIME *from = time_of(r->from);
    ASN1_TIME *until = r->until ? time_of(r->until) : NULL;
    assert_non_null(OCSP_basic_add1_status(basic, id, r->status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                                           revoked, from, until));
    assert_int_equal(OCSP_basic_sign(basic, r->signer->x, r->signer->key, EVP_sha256(), NULL, 0),
                     1);
    OCSP_RESPONSE *whole = OCSP_response_create(r->response, r->response ? NULL : basic);
    unsigned char *der = NULL;
    int len = i2d_OCSP_RESPONSE(whole, &der);
    assert_true(len > 0);
    *n = (size_t)len;
    OCSP_RESPONSE_free(whole);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(revoked);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return der;
}

static const struct reply good = {"good",  0,   V_OCSP_CERTSTATUS_GOOD, -HOUR, HOUR, &ca, &leaf,
                                  FRUN_OK, NULL};

static void test_answers(void **state)
{
    (void)state;
    enum { GOOD = V_OCSP_CERTSTATUS_GOOD, REVOKED = V_OCSP_CERTSTATUS_REVOKED };
    const struct reply rows[] = {
        good,
        {"delegate", 0, GOOD, -HOUR, HOUR, &delegate, &leaf, FRUN_OK, NULL},
        {"no end", 0, GOOD, -HOUR, 0, &ca, &leaf, FRUN_OK, NULL},
        {"clock a little behind", 0, GOOD, OCSP_SKEW_S, HOUR, &ca, &leaf, FRUN_OK, NULL},
        {"clock far behind", 0, GOOD, OCSP_SKEW_S + 1, HOUR, &ca, &leaf, FRUN_E_TIMEOUT,
         "not valid yet; check this machine's clock"},
        {"last second", 0, GOOD, -HOUR, 1, &ca, &leaf, FRUN_OK, NULL},
        {"expired", 0, GOOD, -HOUR, -1, &ca, &leaf, FRUN_E_TIMEOUT, "has expired"},
        {"revoked", 0, REVOKED, -HOUR, HOUR, &ca, &leaf, FRUN_E_DENIED, "revoked (keyCompromise)"},
        {"revoked, but long ago", 0, REVOKED, -HOUR, -1, &ca, &leaf, FRUN_E_TIMEOUT, NULL},
        {"unknown", 0, V_OCSP_CERTSTATUS_UNKNOWN, -HOUR, HOUR, &ca, &leaf, FRUN_E_NOT_FOUND,
         "does not know"},
        {"another", 0, GOOD, -HOUR, HOUR, &ca, &sibling, FRUN_E_NOT_FOUND, "another certificate"},
        {"sibling signs", 0, GOOD, -HOUR, HOUR, &sibling, &leaf, FRUN_E_TLS, "not signed by"},
        {"the leaf itself", 0, GOOD, -HOUR, HOUR, &leaf, &leaf, FRUN_E_TLS, "not signed by"},
        {"other CA", 0, GOOD, -HOUR, HOUR, &other_ca, &leaf, FRUN_E_TLS, "not signed by"},
        {"other CA's delegate", 0, GOOD, -HOUR, HOUR, &stranger, &leaf, FRUN_E_TLS, NULL},
        {"revoked by a stranger", 0, REVOKED, -HOUR, HOUR, &other_ca, &leaf, FRUN_E_TLS, NULL},
        {"later", OCSP_RESPONSE_STATUS_TRYLATER, GOOD, -HOUR, HOUR, &ca, &leaf, FRUN_E_AGAIN,
         "trylater"},
        {"not allowed", OCSP_RESPONSE_STATUS_UNAUTHORIZED, GOOD, -HOUR, HOUR, &ca, &leaf,
         FRUN_E_AGAIN, "unauthorized"},
    };
    struct ocsp *o = prepare();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = 0;
        unsigned char *der = write_reply(&rows[i], &n);
        struct ocsp_validity v = {-1, -1};
        struct diag d = {.text = ""};
        frun_err err = ocsp_verify(o, span_make(der, n), now_s, &v, &d);
        if (err != rows[i].want || !strstr(d.text, rows[i].text ? rows[i].text : "")) {
            fail_msg("%s: %d %s", rows[i].label, err, d.text);
        }
        assert_int_equal(v.from, err ? -1 : now_s + rows[i].from);
        assert_int_equal(v.until,
                         err ? -1 : now_s + (rows[i].until ? rows[i].until : OCSP_OPEN_END_S));
        OPENSSL_free(der);
    }
    ocsp_free(o);
}

static void test_delegate_expires(void **state)
{
    (void)state;
    struct reply r = good;
    struct ocsp_validity v;
    struct diag d = {.text = ""};
    size_t n = 0;
    r.signer = &delegate;
    r.until = 100 * HOUR;
    unsigned char *der = write_reply(&r, &n);
    struct ocsp *o = prepare();
    assert_int_equal(ocsp_verify(o, span_make(der, n), now_s + 20 * HOUR, &v, &d), FRUN_OK);
    assert_int_equal(ocsp_verify(o, span_make(der, n), now_s + 30 * HOUR, &v, &d), FRUN_E_TLS);
    OPENSSL_free(der);
    ocsp_free(o);
}

/* Cut, lengthened, and with every octet changed: never believed, unless it says the same. */
static void test_damage(void **state)
{
    (void)state;
    struct ocsp_validity v;
    struct diag d;
    size_t n = 0;
    struct reply r = good;
    r.signer = &delegate;
    unsigned char *der = write_reply(&r, &n);
    unsigned char *copy = calloc(1, n + 1);
    struct ocsp *o = prepare();
    assert_non_null(copy);
    assert_int_equal(ocsp_verify(o, span_make("<html>", 6), now_s, &v, &d), FRUN_E_SYNTAX);
    assert_int_equal(ocsp_verify(o, span_make(NULL, 0), now_s, &v, &d), FRUN_E_SYNTAX);
    memcpy(copy, der, n);
    assert_int_equal(ocsp_verify(o, span_make(copy, n + 1), now_s, &v, &d), FRUN_E_SYNTAX);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ocsp_verify(o, span_make(der, i), now_s, &v, &d), FRUN_E_SYNTAX);
    }
    for (size_t i = 0; i < n; i++) {
        copy[i] ^= 0x20;
        if (ocsp_verify(o, span_make(copy, n), now_s, &v, &d) == FRUN_OK) {
            assert_int_equal(v.until, now_s + HOUR); /* in a part of the delegate's certificate
                                                        or encoding that nothing depends on */
        }
        copy[i] ^= 0x20;
    }
    free(copy);
    OPENSSL_free(der);
    ocsp_free(o);
}

static void test_renewal(void **state)
{
    (void)state;
    static const struct {
        int64_t left;
        int64_t want;
    } rows[] = {{-5, 1},
                {0, 1},
                {4, 2},
                {599, 299},
                {600, 300},
                {2 * HOUR, HOUR},
                {48 * HOUR, 24 * HOUR},
                {168 * HOUR, 24 * HOUR}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ocsp_renew_s(now_s, now_s + rows[i].left), rows[i].want);
    }
}

/* ---- handshakes ---- */

/* What a client sees stapled; -1: nothing. */
static long shake(const struct tls_ctx *server, int version, bool is_asking, const char *name,
                  SSL_SESSION **session)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *c = SSL_new(ctx);
    SSL *s = SSL_new(server->ssl);
    BIO *near = NULL;
    BIO *far = NULL;
    const unsigned char *got = NULL;
    char octet;
    SSL_set_max_proto_version(c, version);
    if (is_asking) {
        SSL_set_tlsext_status_type(c, TLSEXT_STATUSTYPE_ocsp);
    }
    if (name) {
        char copy[64]; /* OpenSSL's macro casts constness away */
        (void)snprintf(copy, sizeof(copy), "%s", name);
        SSL_set_tlsext_host_name(c, copy);
    }
    if (session && *session) {
        SSL_set_session(c, *session);
    }
    assert_int_equal(BIO_new_bio_pair(&near, 0, &far, 0), 1);
    SSL_set_bio(c, near, near);
    SSL_set_bio(s, far, far);
    SSL_set_connect_state(c);
    SSL_set_accept_state(s);
    for (int i = 0; i < 10 && !(SSL_is_init_finished(c) && SSL_is_init_finished(s)); i++) {
        (void)SSL_do_handshake(c);
        (void)SSL_do_handshake(s);
    }
    assert_true(SSL_is_init_finished(c) && SSL_is_init_finished(s));
    long n = SSL_get_tlsext_status_ocsp_resp(c, &got);
    if (n > 0) {
        assert_memory_equal(got, "response", 8);
    }
    if (session && !*session) {
        (void)SSL_new_session_ticket(s);
        (void)SSL_write(s, "x", 1);
        (void)SSL_read(c, &octet, 1);
        *session = SSL_get1_session(c);
    } else if (session) {
        assert_true(SSL_session_reused(c));
        SSL_SESSION_free(*session);
    }
    (void)SSL_shutdown(c); /* else its session is bad */
    SSL_free(c);
    SSL_free(s);
    SSL_CTX_free(ctx);
    return n;
}

static void test_stapled(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        int v = versions[i];
        SSL_SESSION *session = NULL;
        struct tls_ctx *base = load(&leaf, ca.x);
        struct tls_ctx *own = load(&leaf, ca.x);
        assert_int_equal(tls_server_add_name(base, "acme.example.com", own), FRUN_OK);
        assert_int_equal(shake(base, v, true, NULL, NULL), -1);
        assert_int_equal(tls_stapling_start(own), FRUN_OK);
        assert_int_equal(shake(base, v, true, "acme.example.com", NULL), -1);
        assert_int_equal(tls_stapling_put(own, SPAN_LIT("response"), now_s + HOUR), FRUN_OK);
        assert_int_equal(shake(base, v, true, "acme.example.com", &session), 8);
        assert_int_equal(shake(base, v, true, "acme.example.com", &session), -1); /* resumed */
        assert_int_equal(shake(base, v, false, "acme.example.com", NULL), -1);
        assert_int_equal(shake(base, v, true, "other.example.com", NULL), -1);
        assert_int_equal(tls_stapling_put(own, SPAN_LIT("response"), now_s - 1), FRUN_OK);
        assert_int_equal(shake(base, v, true, "acme.example.com", NULL), -1); /* expired */
        tls_unref(&base);
        tls_unref(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),   cmocka_unit_test(test_question),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_delegate_expires),
        cmocka_unit_test(test_damage),  cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_stapled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
