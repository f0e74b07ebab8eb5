/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/cert.h"
#include "frun/net/tls.h"

#include "tls_fixture.h"

#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct tls_fixture fix;

static int setup_all(void **state)
{
    (void)state;
    fixture_init(&fix);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    fixture_done(&fix);
    return 0;
}

/* A list to be. */
struct crl_wish {
    const X509 *issuer;
    EVP_PKEY *key;
    const X509 *revoked; /* or NULL */
    long from_s;         /* from now */
    long until_s;        /* from now; 0: it does not end */
};

static X509_CRL *make(const struct crl_wish *l)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, l->from_s);
    ASN1_TIME *until = X509_gmtime_adj(NULL, l->until_s);
    assert_int_equal(X509_CRL_set_version(crl, 1), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(l->issuer)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
    if (l->until_s) {
        assert_int_equal(X509_CRL_set1_nextUpdate(crl, until), 1);
    }
    if (l->revoked) {
        X509_REVOKED *one = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_dup(X509_get0_serialNumber(l->revoked));
        assert_int_equal(X509_REVOKED_set_serialNumber(one, serial), 1);
        assert_int_equal(X509_REVOKED_set_revocationDate(one, from), 1);
        assert_int_equal(X509_CRL_add0_revoked(crl, one), 1);
        ASN1_INTEGER_free(serial);
    }
    assert_true(X509_CRL_sign(crl, l->key, EVP_sha256()) > 0);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return crl;
}

/* Several in one file. */
static const char *put(const char *name, bool is_der, const struct crl_wish *lists, size_t n)
{
    const char *path = fixture_path(&fix, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) {
        X509_CRL *crl = make(&lists[i]);
        assert_int_equal(is_der ? i2d_X509_CRL_fp(f, crl) : PEM_write_X509_CRL(f, crl), 1);
        X509_CRL_free(crl);
    }
    assert_int_equal(fclose(f), 0);
    return path;
}

static frun_err load(const char *ca, const char *crl, struct tls_ctx **out, struct diag *d)
{
    const struct tls_settings s = {.certificate = fixture_path(&fix, "server.pem"),
                                   .private_key = fixture_path(&fix, "server.key"),
                                   .ca_file = fixture_path(&fix, ca),
                                   .crl_file = crl,
                                   .is_asking = true};
    return tls_server_new(&s, out, d);
}

static struct tls_ctx *server(const char *ca, const char *crl)
{
    struct tls_ctx *t = NULL;
    struct diag d = {.text = ""};
    if (load(ca, crl, &t, &d)) {
        fail_msg("%s", d.text);
    }
    return t;
}

static struct cert *judged(const char *file, const struct tls_ctx *t)
{
    struct cert *c = NULL;
    struct diag d = {.text = ""};
    assert_int_equal(cert_of_file(fixture_path(&fix, file), &c, &d), FRUN_OK);
    cert_verify(c, t);
    return c;
}

static X509 *read_cert(const char *file)
{
    FILE *f = fopen(fixture_path(&fix, file), "re");
    assert_non_null(f);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    assert_non_null(x);
    return x;
}

static void count(void *ctx, const char *text)
{
    assert_true(text[0] != '\0');
    ++*(unsigned *)ctx;
}

/* Lists, the file of CAs, a certificate, and what becomes of it. */
static void test_verdicts(void **state)
{
    (void)state;
    X509 *client = read_cert("dc1-a.pem");
    X509 *leaf = read_cert("leaf.pem");
    X509 *other = read_cert("other.pem");
    const struct crl_wish good = {fix.ca, fix.ca_key, NULL, -60, 3600};
    const struct crl_wish hit = {fix.ca, fix.ca_key, client, -60, 3600};
    const struct crl_wish endless = {fix.ca, fix.ca_key, client, -60, 0};
    const struct crl_wish ended = {fix.ca, fix.ca_key, NULL, -7200, -3600};
    const struct crl_wish early = {fix.ca, fix.ca_key, NULL, 3600, 7200};
    const struct crl_wish inter = {fix.inter, fix.inter_key, NULL, -60, 3600};
    const struct crl_wish deep = {fix.inter, fix.inter_key, leaf, -60, 3600};
    const struct crl_wish above = {fix.ca, fix.ca_key, fix.inter, -60, 3600};
    const struct crl_wish stranger = {other, fix.inter_key, NULL, -60, 3600};
    const struct {
        const char *label;
        const char *ca;
        const char *cert;
        struct crl_wish lists[2];
        size_t n;
        bool is_trusted;
        bool is_revoked;
        const char *why;
        unsigned doubts;
    } rows[] = {
        {"not on it", "ca.pem", "dc1-a.pem", {good}, 1, true, false, NULL, 0},
        {"on it", "ca.pem", "dc1-a.pem", {hit}, 1, false, true, "revoked", 0},
        {"no end", "ca.pem", "dc1-a.pem", {endless}, 1, false, true, "revoked", 0},
        {"ended", "ca.pem", "dc1-a.pem", {ended}, 1, false, false, "has expired", 1},
        {"not yet", "ca.pem", "dc1-a.pem", {early}, 1, false, false, "not valid yet", 0},
        {"stranger's", "ca.pem", "dc1-a.pem", {stranger}, 1, false, false, "no revocation list", 2},
        {"newer beside ended", "ca.pem", "dc1-a.pem", {ended, good}, 2, true, false, NULL, 1},
        {"chain", "bundle.pem", "leaf.pem", {inter}, 1, true, false, NULL, 0},
        {"leaf of chain", "bundle.pem", "leaf.pem", {good, deep}, 2, false, true, "revoked", 0},
        {"inner CA", "bundle.pem", "leaf.pem", {inter, above}, 2, false, true, "revoked", 0},
        {"chain, root's ended",
         "bundle.pem",
         "leaf.pem",
         {inter, ended},
         2,
         false,
         false,
         "has expired",
         1},
        {"chain, root's alone",
         "bundle.pem",
         "leaf.pem",
         {good},
         1,
         false,
         false,
         "no revocation list",
         1},
    };
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        size_t k = i / 2;
        bool is_der = i % 2;
        unsigned doubts = 0;
        if (is_der && rows[k].n > 1) {
            continue; /* one a file */
        }
        struct tls_ctx *t = server(rows[k].ca, put("list.crl", is_der, rows[k].lists, rows[k].n));
        struct cert *c = judged(rows[k].cert, t);
        const char *why = cert_why(c);
        tls_crl_doubts(t, count, &doubts);
        if (cert_is_trusted(c) != rows[k].is_trusted || cert_is_revoked(c) != rows[k].is_revoked ||
            (rows[k].why ? !why || !strstr(why, rows[k].why) : why != NULL) ||
            doubts != rows[k].doubts) {
            fail_msg("%s: %s, %u doubts", rows[k].label, why ? why : "trusted", doubts);
        }
        cert_free(c);
        tls_unref(&t);
    }
    X509_free(client);
    X509_free(leaf);
    X509_free(other);
}

/* Whoever is known by a fingerprint needs neither CA nor list, so what a list says of it counts
 * whatever else is wrong; unless nothing is, by a newer list. */
static void test_named(void **state)
{
    (void)state;
    X509 *client = read_cert("dc1-a.pem");
    const struct crl_wish good = {fix.ca, fix.ca_key, NULL, -60, 3600};
    const struct crl_wish hit = {fix.ca, fix.ca_key, client, -60, 3600};
    const struct crl_wish ended = {fix.ca, fix.ca_key, client, -7200, -3600};
    const struct {
        const char *label;
        const char *ca;
        struct crl_wish lists[2];
        bool is_revoked;
    } rows[] = {{"by one that has ended", "ca.pem", {ended, ended}, true},
                {"its CA is not known", "other.pem", {hit, hit}, true},
                {"a newer one does not", "ca.pem", {ended, good}, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *t = server(rows[i].ca, put("named.crl", false, rows[i].lists, 2));
        struct cert *c = judged("dc1-a.pem", t);
        const char *why = cert_why(c);
        if (cert_is_revoked(c) != rows[i].is_revoked || cert_is_trusted(c) == rows[i].is_revoked ||
            (rows[i].is_revoked && (!why || !strstr(why, "revoked")))) {
            fail_msg("%s: %s", rows[i].label, why ? why : "trusted");
        }
        cert_free(c);
        tls_unref(&t);
    }
    X509_free(client);
}

static void test_refused(void **state)
{
    (void)state;
    const struct crl_wish forged = {fix.ca, fix.inter_key, NULL, -60, 3600};
    const struct crl_wish good = {fix.ca, fix.ca_key, NULL, -60, 3600};
    const struct {
        const char *file;
        const char *why;
    } rows[] = {
        {put("forged.crl", false, &forged, 1), "is not signed by that CA"},
        {put("none.crl", false, NULL, 0), "no usable revocation list"},
        {fixture_path(&fix, "ca.pem"), "no usable revocation list"},
        {fix.dir, "is no file"},
        {"/nowhere/list.crl", "cannot be read"},
    };
    struct tls_ctx *t = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag d = {.text = ""};
        frun_err err = load("ca.pem", rows[i].file, &t, &d);
        if (!err || !strstr(d.text, rows[i].why)) {
            fail_msg("%s: %d %s", rows[i].file, err, d.text);
        }
    }
    /* two in DER: what stands behind the first would be overlooked */
    const struct crl_wish two[] = {good, good};
    struct diag d = {.text = ""};
    assert_int_equal(load("ca.pem", put("two.crl", true, two, 2), &t, &d), FRUN_E_TLS);
    /* a good one, cut anywhere but within the last line's end, is none */
    const char *path = put("cut.crl", false, &good, 1);
    char text[4096];
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    for (size_t cut = 0; cut + 2 < n; cut += 7) {
        f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, cut, f), cut);
        (void)fclose(f);
        d.text[0] = '\0';
        if (load("ca.pem", path, &t, &d) == FRUN_OK || !d.text[0]) {
            fail_msg("cut at %zu is taken", cut);
        }
    }
}

/* Verdicts stay until a list has ended behind them. */
static void test_ends(void **state)
{
    (void)state;
    int64_t now_s = (int64_t)time(NULL);
    const struct crl_wish lists[] = {{fix.ca, fix.ca_key, NULL, -60, 1000},
                                     {fix.inter, fix.inter_key, NULL, -60, 5000},
                                     {fix.ca, fix.ca_key, NULL, -60, 0}};
    struct tls_ctx *t = server("bundle.pem", put("ends.crl", false, lists, 3));
    struct tls_ctx *none = server("bundle.pem", NULL);
    struct tls_validity v = tls_crl_validity(t);
    assert_true(v.until >= now_s + 999 && v.until <= now_s + 1010 && v.from < now_s);
    assert_int_equal(tls_crl_validity(none).until, 0);
    assert_false(tls_crl_has_ended(t, now_s, now_s + 900));
    assert_true(tls_crl_has_ended(t, now_s, now_s + 1100));
    assert_false(tls_crl_has_ended(t, now_s + 1100, now_s + 1200));
    assert_true(tls_crl_has_ended(t, now_s + 1100, now_s + 6000));
    assert_false(tls_crl_has_ended(t, now_s + 6000, now_s + 900000));
    assert_false(tls_crl_has_ended(none, 0, INT64_MAX));
    /* another list is another trust: tunnels are to be made anew */
    assert_false(tls_has_same_trust(t, none));
    tls_unref(&t);
    tls_unref(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
