/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/trust.h"

#include "frun/conf/connector.h"
#include "temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmocka.h>

static char folder[TEMP_NAME];

static void path_of(const char *name, char out[TEMP_PATH])
{
    (void)snprintf(out, TEMP_PATH, "%s/%s", folder, name);
}

static void write_text(const char *name, const char *text)
{
    char path[TEMP_PATH];
    path_of(name, path);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A self-signed certificate, its own CA, and its key. */
static void make_certificate(const char *pem, const char *key)
{
    char path[TEMP_PATH];
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(k && x);
    (void)X509_set_version(x, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), 90L * 86400);
    (void)X509_set_pubkey(x, k);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"dc1-a", -1, -1, 0);
    (void)X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, k, EVP_sha256()) > 0);
    path_of(pem, path);
    FILE *f = fopen(path, "we");
    assert_true(f && PEM_write_X509(f, x));
    assert_int_equal(fclose(f), 0);
    path_of(key, path);
    f = fopen(path, "we");
    assert_true(f && PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(fclose(f), 0);
    X509_free(x);
    EVP_PKEY_free(k);
}

static int setup(void **state)
{
    (void)state;
    temp_folder(folder);
    (void)umask(S_IRWXG | S_IRWXO); /* keys that others can read are told */
    make_certificate("a.pem", "a.key");
    make_certificate("b.pem", "b.key");
    write_text("broken.pem", "no PEM at all\n");
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"a.pem", "a.key", "b.pem", "b.key", "broken.pem", "c.ini"};
    char path[TEMP_PATH];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        (void)unlink(path);
    }
    return rmdir(folder);
}

struct row {
    const char *label;
    const char *connector;  /* lines of [connector] */
    const char *subaccount; /* lines of [subaccount provider] */
    const char *system;     /* lines of [system fr1_frun:443] */
    const char *want;       /* in the report; NULL: loads */
};

static const struct row rows[] = {
    {"all good", "certificate = a.pem\nprivate_key = a.key\n", "gateway_ca = b.pem\n",
     "backend_ca = b.pem\n", NULL},
    {"system certificate too", "certificate = a.pem\nprivate_key = a.key\n", "gateway_ca = b.pem\n",
     "backend_ca = b.pem\nsystem_certificate = a.pem\nsystem_private_key = a.key\n", NULL},
    {"HTTP needs nothing", "certificate = a.pem\nprivate_key = a.key\n", "gateway_ca = b.pem\n",
     "protocol = HTTP\n", NULL},
    {"foreign key", "certificate = a.pem\nprivate_key = b.key\n", "gateway_ca = b.pem\n",
     "backend_ca = b.pem\n", ": connector."},
    {"broken gateway CA", "certificate = a.pem\nprivate_key = a.key\n", "gateway_ca = broken.pem\n",
     "backend_ca = b.pem\n", ":8: subaccount provider.gateway_ca: "},
    {"own certificate that fits not", "certificate = a.pem\nprivate_key = a.key\n",
     "gateway_ca = b.pem\ncertificate = b.pem\nprivate_key = a.key\n", "backend_ca = b.pem\n",
     ": subaccount provider."},
    {"broken back-end CA", "certificate = a.pem\nprivate_key = a.key\n", "gateway_ca = b.pem\n",
     "backend_ca = broken.pem\n", ":12: system fr1_frun:443.backend_ca: "},
    {"broken system certificate", "certificate = a.pem\nprivate_key = a.key\n",
     "gateway_ca = b.pem\n",
     "backend_ca = b.pem\nsystem_certificate = broken.pem\nsystem_private_key = a.key\n",
     ":13: system fr1_frun:443.system_certificate: "},
};

static void loads_or_names_the_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        char text[2048];
        char path[TEMP_PATH];
        char *said = NULL;
        size_t n = 0;
        struct conf_cn *conf = NULL;
        struct trust *t = NULL;
        (void)snprintf(text, sizeof(text),
                       "[connector]\nname = dc1-a\n%s\n[subaccount provider]\n"
                       "gateway = localhost:8444\n%s\n[system fr1_frun:443]\n"
                       "internal_host = frun.corp\n%sinternal_port = 44300\n\n"
                       "[resource frun]\nsystem = fr1_frun\npath = /sap/frun\n",
                       r->connector, r->subaccount, r->system);
        write_text("c.ini", text);
        path_of("c.ini", path);
        if (conf_cn_load(path, stderr, &conf)) {
            fail_msg("%s: not read", r->label);
        }
        FILE *report = open_memstream(&said, &n);
        assert_non_null(report);
        frun_err err = trust_load(conf, NULL, report, &t);
        assert_int_equal(fclose(report), 0);
        if (r->want ? err != FRUN_E_TLS || !strstr(said, r->want) ||
                          strncmp(said, path, strlen(path)) != 0
                    : err != FRUN_OK || n > 0) {
            fail_msg("%s: %s: %s", r->label, err_text(err), said);
        }
        trust_free(t);
        conf_cn_unref(&conf);
        free(said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_or_names_the_key, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
