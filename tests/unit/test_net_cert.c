/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/cert.h"

#include "../../src/net/stream_int.h"
#include "pair_fixture.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- rules ---- */

/* One attribute of a subject. */
struct attribute {
    const char *type;
    int kind; /* V_ASN1_... */
    const char *value;
    int n;   /* octets, -1: up to the NUL */
    int set; /* -1: joined to the one before */
};

static void put_name(X509_NAME *name, const struct attribute *list)
{
    for (; list->type; list++) {
        assert_int_equal(X509_NAME_add_entry_by_txt(name, list->type, list->kind,
                                                    (const unsigned char *)list->value, list->n, -1,
                                                    list->set),
                         1);
    }
}

/* A subjectAltName with octets that the text form could not carry. */
static void put_san(X509 *x, int type, const char *value, size_t n)
{
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, value, (int)n);
    GENERAL_NAME_set0_value(one, type, text);
    sk_GENERAL_NAME_push(all, one);
    assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0), 1);
    GENERAL_NAMES_free(all);
}

static struct cert *cert_with(const struct attribute *subject, const char *san, int san_type,
                              size_t n_san)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    put_name(X509_get_subject_name(x), subject);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    if (san) {
        put_san(x, san_type, san, n_san);
    }
    X509_sign(x, key, EVP_sha256());
    FILE *f = fopen(fixture_path(&fix, "made.pem"), "we");
    assert_non_null(f);
    PEM_write_X509(f, x);
    (void)fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
    struct cert *c = NULL;
    struct diag d;
    assert_int_equal(cert_of_file(fixture_path(&fix, "made.pem"), &c, &d), FRUN_OK);
    return c;
}

#define UTF8 V_ASN1_UTF8STRING
#define PRIN V_ASN1_PRINTABLESTRING

static const struct attribute plain[] = {{"C", PRIN, "DE", -1, 0},
                                         {"O", UTF8, "ACME  Corp", -1, 0},
                                         {"CN", PRIN, "s4-acme", -1, 0},
                                         {NULL, 0, NULL, 0, 0}};
static const struct attribute joined[] = {{"O", UTF8, "ACME", -1, 0},
                                          {"OU", UTF8, "x", -1, 0},
                                          {"CN", UTF8, "a, b", -1, -1},
                                          {NULL, 0, NULL, 0, 0}};
static const struct attribute with_nul[] = {{"CN", UTF8, "s4-acme\0.evil", 13, 0},
                                            {NULL, 0, NULL, 0, 0}};
static const struct attribute long_one[] = {
    {"CN", UTF8, "0123456789012345678901234567890123456789012345678901234567890123456789", -1, 0},
    {NULL, 0, NULL, 0, 0}};

static const struct {
    const char *label;
    const struct attribute *subject;
    enum cert_look look;
    const char *text;
    bool want;
} name_rows[] = {
    {"as printed", plain, CERT_LOOK_SUBJECT, "CN=s4-acme,O=ACME  Corp,C=DE", true},
    {"blanks around, case, one blank for two", plain, CERT_LOOK_SUBJECT,
     "cn=S4-Acme, o=acme corp, c=de", true},
    {"types by number", plain, CERT_LOOK_SUBJECT, "2.5.4.3=s4-acme,2.5.4.10=ACME Corp,2.5.4.6=DE",
     true},
    {"DER", plain, CERT_LOOK_SUBJECT, "CN=#0C0773342D61636D65,O=ACME Corp,C=DE", true},
    {"issuer", plain, CERT_LOOK_ISSUER, "CN=s4-acme,O=ACME Corp,C=DE", true},
    {"the other way round", plain, CERT_LOOK_SUBJECT, "C=DE,O=ACME Corp,CN=s4-acme", false},
    {"only a part", plain, CERT_LOOK_SUBJECT, "CN=s4-acme", false},
    {"more", plain, CERT_LOOK_SUBJECT, "CN=s4-acme,O=ACME Corp,C=DE,DC=x", false},
    {"other value", plain, CERT_LOOK_SUBJECT, "CN=s4-acme2,O=ACME Corp,C=DE", false},
    {"other type", plain, CERT_LOOK_SUBJECT, "OU=s4-acme,O=ACME Corp,C=DE", false},
    {"joined instead of apart", plain, CERT_LOOK_SUBJECT, "CN=s4-acme+O=ACME Corp,C=DE", false},
    {"joined", joined, CERT_LOOK_SUBJECT, "CN=a\\, b+OU=x,O=ACME", true},
    {"joined in another order", joined, CERT_LOOK_SUBJECT, "OU=x+CN=\"a, b\",O=ACME", true},
    {"apart instead of joined", joined, CERT_LOOK_SUBJECT, "CN=a\\, b,OU=x,O=ACME", false},
    {"cut at a NUL", with_nul, CERT_LOOK_SUBJECT, "CN=s4-acme", false},
    {"longer than X.520 allows", long_one, CERT_LOOK_SUBJECT,
     "CN=0123456789012345678901234567890123456789012345678901234567890123456789", true},
};

static bool fits(const struct cert *c, enum cert_look look, const char *text)
{
    struct cert_rule *r = NULL;
    struct diag d;
    if (cert_rule_new(look, text, &r, &d)) {
        fail_msg("%s: %s", text, d.text);
    }
    bool is = cert_rule_fits(r, c);
    assert_true(cert_rule_equals(r, r));
    cert_rule_free(r);
    return is;
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(name_rows) / sizeof(name_rows[0]); i++) {
        struct cert *c = cert_with(name_rows[i].subject, NULL, 0, 0);
        if (fits(c, name_rows[i].look, name_rows[i].text) != name_rows[i].want) {
            fail_msg("%s", name_rows[i].label);
        }
        cert_free(c);
    }
}

static const struct {
    const char *label;
    int type;
    const char *value;
    size_t n;
    const char *text;
    bool want;
} san_rows[] = {
    {"dns", GEN_DNS, "s4.acme.example", 15, "dns:s4.acme.example", true},
    {"dns, case", GEN_DNS, "S4.ACME.example", 15, "dns:s4.acme.EXAMPLE", true},
    {"no wildcard", GEN_DNS, "*.acme.example", 14, "dns:s4.acme.example", false},
    {"NUL within", GEN_DNS, "s4.acme.example\0.evil", 21, "dns:s4.acme.example", false},
    {"longer", GEN_DNS, "s4.acme.example.evil", 20, "dns:s4.acme.example", false},
    {"kind", GEN_URI, "s4.acme.example", 15, "dns:s4.acme.example", false},
    {"uri", GEN_URI, "spiffe://acme/s4", 16, "uri:spiffe://acme/s4", true},
    {"uri, case", GEN_URI, "spiffe://acme/S4", 16, "uri:spiffe://acme/s4", false},
    {"email", GEN_EMAIL, "s4@ACME.example", 15, "email:s4@acme.example", true},
    {"email, local part", GEN_EMAIL, "S4@acme.example", 15, "email:s4@acme.example", false},
    {"none", 0, NULL, 0, "dns:s4.acme.example", false},
};

static void test_alternative_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(san_rows) / sizeof(san_rows[0]); i++) {
        struct cert *c = cert_with(plain, san_rows[i].value, san_rows[i].type, san_rows[i].n);
        if (fits(c, CERT_LOOK_SAN, san_rows[i].text) != san_rows[i].want) {
            fail_msg("%s", san_rows[i].label);
        }
        cert_free(c);
    }
}

static void test_sha256(void **state)
{
    (void)state;
    struct cert *c = cert_with(plain, NULL, 0, 0);
    char hex[2 * CERT_SHA256_BYTES + 1] = "";
    char colons[3 * CERT_SHA256_BYTES + 1] = "";
    for (size_t i = 0; i < CERT_SHA256_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", cert_sha256(c)[i]);
        (void)snprintf(colons + 3 * i, 4, "%s%02X", i ? ":" : "", cert_sha256(c)[i]);
        if (i) {
            (void)snprintf(colons + 3 * i - 1, 4, ":%02X", cert_sha256(c)[i]);
        }
    }
    assert_true(fits(c, CERT_LOOK_SHA256, hex));
    assert_true(fits(c, CERT_LOOK_SHA256, colons));
    hex[0] = hex[0] == '0' ? '1' : '0';
    assert_false(fits(c, CERT_LOOK_SHA256, hex));
    cert_free(c);
}

static void test_equal_rules(void **state)
{
    (void)state;
    static const struct {
        enum cert_look looks[2];
        const char *texts[2];
        bool want;
    } rows[] = {
        {{CERT_LOOK_SUBJECT, CERT_LOOK_SUBJECT}, {"CN=a,O=b", "cn=A, o=B"}, true},
        {{CERT_LOOK_SUBJECT, CERT_LOOK_SUBJECT}, {"CN=a,O=b", "CN=a"}, false},
        {{CERT_LOOK_SUBJECT, CERT_LOOK_ISSUER}, {"CN=a", "CN=a"}, false},
        {{CERT_LOOK_SAN, CERT_LOOK_SAN}, {"dns:a.example", "dns:A.example"}, true},
        {{CERT_LOOK_SAN, CERT_LOOK_SAN}, {"dns:a.example", "uri:a.example"}, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cert_rule *r[2] = {NULL, NULL};
        struct diag d;
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(cert_rule_new(rows[i].looks[k], rows[i].texts[k], &r[k], &d), FRUN_OK);
        }
        assert_int_equal(cert_rule_equals(r[0], r[1]), rows[i].want);
        cert_rule_free(r[0]);
        cert_rule_free(r[1]);
    }
}

static void test_bad_rules(void **state)
{
    (void)state;
    static const struct {
        enum cert_look look;
        const char *text;
    } rows[] = {{CERT_LOOK_SUBJECT, "s4"},         {CERT_LOOK_SUBJECT, "NOSUCHTYPE=a"},
                {CERT_LOOK_SUBJECT, "CN=#0C05AA"}, {CERT_LOOK_ISSUER, "CN=#0101FF"},
                {CERT_LOOK_SAN, "ip:10.0.0.1"},    {CERT_LOOK_SHA256, "abcd"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cert_rule *r = NULL;
        struct diag d = {.text = ""};
        assert_int_equal(cert_rule_new(rows[i].look, rows[i].text, &r, &d), FRUN_E_SYNTAX);
        assert_null(r);
        assert_string_not_equal(d.text, "");
    }
}

/* ---- handshakes ---- */

static const char *pem(const char *file)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.pem", file ? file : "");
    return file ? fixture_path(&fix, name) : NULL;
}

static const char *key(const char *file)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.key", file ? file : "");
    return file ? fixture_path(&fix, name) : NULL;
}

/* What is asked of clients, and by whose tickets. */
struct side {
    const char *cert;
    const char *ca; /* NULL: none is trusted */
    bool is_asking;
    const struct secret *secret;
    const char *label;
};

static struct tls_ctx *server(struct side s)
{
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    const struct tls_settings set = {.certificate = pem(s.cert),
                                     .private_key = key(s.cert),
                                     .ca_file = pem(s.ca),
                                     .is_asking = s.is_asking,
                                     .has_tickets = true,
                                     .ticket_secret = s.secret,
                                     .label = s.label};
    if (tls_server_new(&set, &t, &d)) {
        fail_msg("%s", d.text);
    }
    return t;
}

static struct tls_ctx *client(const char *cert, int version)
{
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    const struct tls_settings set = {
        .certificate = pem(cert), .private_key = key(cert), .ca_file = pem("ca")};
    assert_int_equal(tls_client_new(&set, &t, &d), FRUN_OK);
    SSL_CTX_set_max_proto_version(t->ssl, version);
    return t;
}

static bool all_got(void *arg)
{
    return a.got + b.got >= *(uint64_t *)arg;
}

/* Shake hands, offering @p session if there is one, and say a few words. */
static void meet(struct tls_ctx *s, struct tls_ctx *c, const char *name, SSL_SESSION *session)
{
    int fd[2];
    uint64_t want = 8;
    sockets_open(fd);
    assert_int_equal(end_open(&w, &a, fd[0], s, NULL), FRUN_OK);
    assert_int_equal(end_open(&w, &b, fd[1], c, name), FRUN_OK);
    if (session) {
        SSL_set_session(b.s->ssl, session);
    }
    assert_true(world_until(&w, pair_is_settled, NULL));
    assert_true(a.is_ready && b.is_ready);
    assert_int_equal(stream_put(a.s, SPAN_LIT("pong")), FRUN_OK);
    assert_int_equal(stream_put(b.s, SPAN_LIT("ping")), FRUN_OK);
    assert_true(world_until(&w, all_got, &want));
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_whatever_is_shown_passes(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *cert;
        const char *ca;
        bool is_shown;
        bool is_trusted;
        const char *why;
    } rows[] = {
        {"right", "dc1-a", "ca", true, true, NULL},
        {"none", NULL, "ca", false, false, NULL},
        {"expired", "expired", "ca", true, false, "has expired"},
        {"too early", "early", "ca", true, false, "not valid yet"},
        {"by itself", "self", "ca", true, false, "signed by itself"},
        {"other CA", "dc1-a", "other", true, false, "no CA of client_ca has signed it"},
        {"no CA", "dc1-a", NULL, true, false, "no CA of client_ca has signed it"},
    };
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        size_t k = i / 2;
        struct tls_ctx *s = server((struct side){"server", rows[k].ca, true, NULL, "a"});
        struct tls_ctx *c = client(rows[k].cert, versions[i % 2]);
        struct cert *cert = NULL;
        char subject[CERT_SUBJECT_BYTES];
        meet(s, c, "push.example.com", NULL);
        frun_err err = cert_of_peer(a.s, &cert);
        if ((err == FRUN_OK) != rows[k].is_shown || (err && err != FRUN_E_NOT_FOUND)) {
            fail_msg("%s: %d", rows[k].label, err);
        }
        /* Nobody takes it for verified who has not judged it. */
        assert_int_equal(stream_peer_subject(a.s, subject, sizeof(subject)), FRUN_E_NOT_FOUND);
        if (cert) {
            assert_false(cert_is_trusted(cert));
            cert_verify(cert, s);
            const char *why = cert_why(cert);
            if (cert_is_trusted(cert) != rows[k].is_trusted ||
                (rows[k].why ? !why || !strstr(why, rows[k].why) : why != NULL)) {
                fail_msg("%s: %s", rows[k].label, why ? why : "");
            }
            assert_true(cert_validity(cert).until <= cert_own_validity(cert).until);
            cert_subject(cert, subject);
            assert_int_equal(strncmp(subject, "CN=", 3), 0);
        }
        cert_free(cert);
        tls_unref(&s);
        tls_unref(&c);
        pair_again();
    }
}

/* What was trusted is not, once the CA has been replaced. */
static void test_judged_again(void **state)
{
    (void)state;
    struct tls_ctx *s = server((struct side){"server", "ca", true, NULL, "a"});
    struct tls_ctx *other = server((struct side){"server", "other", true, NULL, "a"});
    struct tls_ctx *c = client("dc1-a", TLS1_3_VERSION);
    struct cert *cert = NULL;
    meet(s, c, "push.example.com", NULL);
    assert_int_equal(cert_of_peer(a.s, &cert), FRUN_OK);
    cert_verify(cert, s);
    assert_true(cert_is_trusted(cert));
    cert_verify(cert, other);
    assert_false(cert_is_trusted(cert));
    cert_free(cert);
    tls_unref(&s);
    tls_unref(&other);
    tls_unref(&c);
}

/* ---- resumption ---- */

static SSL_SESSION *session_of(struct tls_ctx *s, struct tls_ctx *c, const char *name)
{
    meet(s, c, name, NULL);
    SSL_SESSION *session = SSL_get1_session(b.s->ssl);
    /* OpenSSL spoils the session of a connection that is freed without its end. */
    SSL_set_quiet_shutdown(b.s->ssl, 1);
    SSL_set_shutdown(b.s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    pair_again();
    return session;
}

static void test_no_session_carries_an_identity(void **state)
{
    (void)state;
    static const struct {
        const char *cert;
        bool want;
    } rows[] = {{"dc1-a", false}, {"self", false}, {NULL, true}};
    struct tls_ctx *s = server((struct side){"server", "ca", true, NULL, "a"});
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *c = client(rows[i / 2].cert, versions[i % 2]);
        SSL_SESSION *session = session_of(s, c, "push.example.com");
        if (SSL_SESSION_is_resumable(session) != (rows[i / 2].want ? 1 : 0)) {
            fail_msg("%s, version %d", rows[i / 2].cert ? rows[i / 2].cert : "none",
                     versions[i % 2]);
        }
        SSL_SESSION_free(session);
        tls_unref(&c);
    }
    tls_unref(&s);
}

/* A session of one host, of a time without certificates, or of other CAs begins nothing on another,
 * even where all have their ticket keys from one secret. Source: CVE-2025-23419. */
static void test_sessions_stay_where_they_were_made(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        struct side other;
        bool want;
    } rows[] = {
        {"the same again", {"server", "ca", true, NULL, "a"}, true},
        {"not asked", {"server", NULL, false, NULL, "a"}, false},
        {"asked without CA", {"server", NULL, true, NULL, "a"}, false},
        {"other CA", {"server", "other", true, NULL, "a"}, false},
        {"other label", {"server", "ca", true, NULL, "b"}, false},
        {"other certificate of the same", {"leaf", "ca", true, NULL, "a"}, true},
    };
    struct secret *secret = NULL;
    assert_int_equal(secret_new(SPAN_LIT("0123456789abcdef0123456789abcdef"), &secret), FRUN_OK);
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        struct side other = rows[i / 2].other;
        other.secret = secret;
        struct tls_ctx *s = server((struct side){"server", "ca", true, secret, "a"});
        struct tls_ctx *t = server(other);
        struct tls_ctx *c = client(NULL, versions[i % 2]);
        SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
        SSL_SESSION *session = session_of(s, c, "push.example.com");
        assert_true(SSL_SESSION_is_resumable(session));
        meet(t, c, "push.example.com", session);
        if (SSL_session_reused(a.s->ssl) != (rows[i / 2].want ? 1 : 0)) {
            fail_msg("%s, version %d", rows[i / 2].label, versions[i % 2]);
        }
        SSL_SESSION_free(session);
        pair_again();
        /* And back. */
        session = session_of(t, c, "push.example.com");
        meet(s, c, "push.example.com", session);
        assert_int_equal(SSL_session_reused(a.s->ssl), rows[i / 2].want ? 1 : 0);
        SSL_SESSION_free(session);
        pair_again();
        tls_unref(&s);
        tls_unref(&t);
        tls_unref(&c);
    }
    secret_free(secret);
}

/* Of two names on one port only the second asks. */
static void test_asked_by_name(void **state)
{
    (void)state;
    struct tls_ctx *base = server((struct side){"server", NULL, false, NULL, "a"});
    struct tls_ctx *named = server((struct side){"tunnel", "ca", true, NULL, "a"});
    assert_int_equal(tls_server_add_name(base, "tunnel.example.com", named), FRUN_OK);
    for (size_t i = 0; i < 4; i++) {
        bool is_named = i / 2;
        struct tls_ctx *c = client("dc1-a", versions[i % 2]);
        struct cert *cert = NULL;
        meet(base, c, is_named ? "tunnel.example.com" : "push.example.com", NULL);
        assert_int_equal(cert_of_peer(a.s, &cert), is_named ? FRUN_OK : FRUN_E_NOT_FOUND);
        assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(b.s->ssl)), is_named ? 1 : -1);
        cert_free(cert);
        tls_unref(&c);
        pair_again();
    }
    tls_unref(&base);
    tls_unref(&named);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_names),
        T(test_alternative_names),
        T(test_sha256),
        T(test_equal_rules),
        T(test_bad_rules),
        T(test_whatever_is_shown_passes),
        T(test_judged_again),
        T(test_no_session_carries_an_identity),
        T(test_sessions_stay_where_they_were_made),
        T(test_asked_by_name),
    };
    return cmocka_run_group_tests(tests, pair_setup_all, pair_teardown_all);
}
