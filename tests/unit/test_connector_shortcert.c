/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/shortcert.h"

#include "frun/base/text.h"
#include "temp.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW ((int64_t)time(NULL))

static char folder[TEMP_NAME];

static const char *path(const char *name)
{
    static char paths[4][TEMP_PATH];
    static unsigned next;
    char *p = paths[next++ % 4];
    (void)snprintf(p, sizeof(paths[0]), "%s/%s", folder, name);
    return p;
}

/* A self-signed certificate, a CA or not. */
static void make_pair(const char *name, EVP_PKEY *key, bool is_ca, long days)
{
    char file[32];
    X509 *x = X509_new();
    X509V3_CTX ctx;
    assert_non_null(x);
    assert_non_null(key);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    if (is_ca) {
        const int nids[] = {NID_basic_constraints, NID_key_usage, NID_subject_key_identifier};
        const char *const values[] = {"critical,CA:TRUE", "critical,keyCertSign", "hash"};
        for (size_t i = 0; i < 3; i++) {
            X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nids[i], values[i]);
            assert_int_equal(X509_add_ext(x, e, -1), 1);
            X509_EXTENSION_free(e);
        }
    }
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    FILE *f = fopen(path(file), "we");
    assert_int_equal(PEM_write_X509(f, x), 1);
    (void)fclose(f);
    (void)snprintf(file, sizeof(file), "%s.key", name);
    f = fopen(path(file), "we");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int setup(void **state)
{
    (void)state;
    temp_folder(folder);
    make_pair("ec", EVP_EC_gen("P-256"), true, 30);
    make_pair("rsa", EVP_RSA_gen(2048), true, 30);
    make_pair("weak", EVP_RSA_gen(1024), true, 30);
    make_pair("leaf", EVP_EC_gen("P-256"), false, 30);
    make_pair("over", EVP_EC_gen("P-256"), true, -1);
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"ec", "rsa", "weak", "leaf", "over"};
    char file[32];
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(file, sizeof(file), "%s.pem", names[i]);
        (void)unlink(path(file));
        (void)snprintf(file, sizeof(file), "%s.key", names[i]);
        (void)unlink(path(file));
    }
    return rmdir(folder);
}

static frun_err load(const char *name, const char *key, const char *subject,
                     struct shortcert_ca **ca, struct diag *d)
{
    char c[32];
    char k[32];
    (void)snprintf(c, sizeof(c), "%s.pem", name);
    (void)snprintf(k, sizeof(k), "%s.key", key);
    const struct shortcert_terms t = {path(c), path(k), subject, 3600};
    return shortcert_ca_load(&t, ca, d);
}

static X509 *decode(const char *text)
{
    char der[8192];
    size_t n = 0;
    assert_null(strpbrk(text, "\r\n -")); /* one line, no marks */
    assert_true(strlen(text) < sizeof(der));
    assert_int_equal(text_base64_decode(span_of(text), der, &n), FRUN_OK);
    const unsigned char *p = (const unsigned char *)der;
    X509 *x = d2i_X509(NULL, &p, (long)n);
    assert_non_null(x);
    assert_int_equal((size_t)((const char *)p - der), n);
    return x;
}

static void subject_of(X509 *x, char out[512])
{
    BIO *b = BIO_new(BIO_s_mem());
    X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    int n = BIO_read(b, out, 511);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(b);
}

/* Names with every sign that means something in a subject stay one value. */
static void test_subjects(void **state)
{
    static const struct {
        const char *label;
        const char *subject;
        const char *name;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"plain", "CN=${name}", "s4-acme", "CN=s4-acme"},
        {"pattern", "CN=${name}, OU=Pushers, O=ACME, C=DE", "s4-acme",
         "CN=s4-acme,OU=Pushers,O=ACME,C=DE"},
        {"twice, with more around it", "CN=svc-${name}-x,UID=${name}", "a", "CN=svc-a-x,UID=a"},
        {"multi-valued", "CN=${name}+OU=P,O=A", "a", "OU=P+CN=a,O=A"},
        {"another RDN", "CN=${name},O=ACME", "a,O=EVIL", "CN=a\\,O=EVIL,O=ACME"},
        {"all that is special", "CN=${name}", "#a+\"b\\c<d>;e=f ",
         "CN=\\#a\\+\\\"b\\\\c\\<d\\>\\;e=f\\ "},
        {"the mark itself", "CN=${name}", "${name}", "CN=${name}"},
        {"UTF-8", "CN=${name}", "J\xc3\xbcrgen", "CN=J\xc3\xbcrgen"},
        {"64 octets", "CN=${name}",
         "0123456789012345678901234567890123456789012345678901234567890123",
         "CN=0123456789012345678901234567890123456789012345678901234567890123"},
        {"65 octets", "CN=${name}",
         "01234567890123456789012345678901234567890123456789012345678901234", NULL},
        {"too long with what is around it", "CN=x${name}",
         "0123456789012345678901234567890123456789012345678901234567890123", NULL},
        {"none", "CN=${name}", "", NULL},
        {"control", "CN=${name}", "a\nb", NULL},
        {"not UTF-8", "CN=${name}", "a\xff", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct shortcert_ca *ca = NULL;
        struct diag d = {.text = ""};
        char *text = NULL;
        int64_t until = 0;
        if (load("ec", "ec", rows[i].subject, &ca, &d)) {
            fail_msg("%s: %s", rows[i].label, d.text);
        }
        frun_err err = shortcert_make(ca, span_of(rows[i].name), NOW, &text, &until);
        if (!rows[i].want) {
            assert_true(err == FRUN_E_SYNTAX || err == FRUN_E_LIMIT);
            assert_null(text);
        } else {
            char got[512];
            assert_int_equal(err, FRUN_OK);
            X509 *x = decode(text);
            subject_of(x, got);
            if (strcmp(got, rows[i].want) != 0) {
                fail_msg("%s: %s", rows[i].label, got);
            }
            X509_free(x);
        }
        free(text);
        shortcert_ca_unref(&ca);
    }
}

static X509 *ca_of(const char *name)
{
    char file[32];
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    FILE *f = fopen(path(file), "re");
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    return x;
}

/* As a server does that has the CA in its store. */
static void assert_verifies(X509 *x, X509 *ca)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, x, NULL), 1);
    assert_int_equal(X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT), 1);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
    if (X509_verify_cert(ctx) != 1) {
        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

static void test_content(void **state)
{
    static const char *const kinds[] = {"ec", "rsa"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct shortcert_ca *ca = NULL;
        struct diag d = {.text = ""};
        char *text[2] = {NULL, NULL};
        int64_t until = 0;
        int64_t now = NOW;
        assert_int_equal(load(kinds[i], kinds[i], "CN=${name}", &ca, &d), FRUN_OK);
        assert_int_equal(shortcert_make(ca, SPAN_LIT("a"), now, &text[0], &until), FRUN_OK);
        assert_int_equal(shortcert_make(ca, SPAN_LIT("b"), now, &text[1], &until), FRUN_OK);
        assert_int_equal(until, now + 3600);
        X509 *x = decode(text[0]);
        X509 *y = decode(text[1]);
        X509 *issuer = ca_of(kinds[i]);
        assert_verifies(x, issuer);
        assert_verifies(y, issuer);
        assert_int_equal(X509_check_ca(x), 0);
        assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
        assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_CLIENT);
        time_t at = (time_t)(now - SHORTCERT_SKEW_S);
        assert_int_equal(ASN1_TIME_cmp_time_t(X509_get0_notBefore(x), at), 0);
        at = (time_t)until;
        assert_int_equal(ASN1_TIME_cmp_time_t(X509_get0_notAfter(x), at), 0);
        assert_true(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)) != 0);
        /* Not the CA's own key, and the same for all: nobody has the other half. */
        assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(issuer)), 1);
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(y)), 1);
        X509_free(x);
        X509_free(y);
        X509_free(issuer);
        free(text[0]);
        free(text[1]);
        shortcert_ca_unref(&ca);
    }
}

static void test_ends_with_its_ca(void **state)
{
    struct shortcert_ca *ca = NULL;
    struct diag d = {.text = ""};
    char *text = NULL;
    int64_t until = 0;
    (void)state;
    assert_int_equal(load("ec", "ec", "CN=${name}", &ca, &d), FRUN_OK);
    int64_t near_end = NOW + 30 * INT64_C(86400) - 600;
    assert_int_equal(shortcert_make(ca, SPAN_LIT("a"), near_end, &text, &until), FRUN_OK);
    assert_true(until < near_end + 3600 && until > near_end);
    free(text);
    text = NULL;
    assert_int_equal(shortcert_make(ca, SPAN_LIT("a"), until, &text, &until), FRUN_E_TLS);
    shortcert_ca_unref(&ca);
    assert_int_equal(load("over", "over", "CN=${name}", &ca, &d), FRUN_OK);
    assert_int_equal(shortcert_make(ca, SPAN_LIT("a"), NOW, &text, &until), FRUN_E_TLS);
    assert_null(text);
    shortcert_ca_unref(&ca);
}

static void test_refused(void **state)
{
    static const struct {
        const char *certificate;
        const char *key;
        const char *subject;
        frun_err want;
        const char *says;
    } rows[] = {
        {"leaf", "leaf", "CN=${name}", FRUN_E_TLS, "is no CA"},
        {"weak", "weak", "CN=${name}", FRUN_E_TLS, "too weak"},
        {"ec", "rsa", "CN=${name}", FRUN_E_TLS, "does not belong"},
        {"ec", "none", "CN=${name}", FRUN_E_IO, "none.key: cannot be read"},
        {"none", "ec", "CN=${name}", FRUN_E_IO, "none.pem: cannot be read"},
        {"ec", "ec", "CN=fixed", FRUN_E_SYNTAX, "has no ${name}"},
        {"ec", "ec", "CN=${name},C=Germany", FRUN_E_SYNTAX, "too long"},
        {"ec", "ec", "XX=${name}", FRUN_E_SYNTAX, "no certificate can carry"},
        {"ec", "ec", "CN=#0c0161,OU=${name}", FRUN_E_SYNTAX, "DER"},
        {"ec", "ec", "CN", FRUN_E_SYNTAX, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct shortcert_ca *ca = NULL;
        struct diag d = {.text = ""};
        frun_err err = load(rows[i].certificate, rows[i].key, rows[i].subject, &ca, &d);
        if (err != rows[i].want || !strstr(d.text, rows[i].says)) {
            fail_msg("%s, %s: %d %s", rows[i].certificate, rows[i].subject, err, d.text);
        }
        assert_null(ca);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subjects), cmocka_unit_test(test_content),
        cmocka_unit_test(test_ends_with_its_ca), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
