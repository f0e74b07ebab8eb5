/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/principals.h"
#include "temp.h"

#include <openssl/evp.h>
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

enum { LIFE_S = 3600, CA_LIFE_S = 86400 };

/* ---- a clock that the test moves (linked with --wrap=time) ---- */

static time_t moved_s;

time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);

time_t __wrap_time(time_t *out)
{
    time_t now = __real_time(NULL) + moved_s;
    if (out) {
        *out = now;
    }
    return now;
}

/* ---- a loop, a helper thread, a CA ---- */

static char folder[TEMP_NAME];
static struct loop *l;
static struct offload *o;
static struct shortcert_ca *ca;
static struct principals *p;

struct asker {
    struct principals_waiter w;
    unsigned told;
    frun_err err;
    char text[2048];
};

static void on_told(struct principals_waiter *w, frun_err err, struct span text)
{
    struct asker *a = list_entry(w, struct asker, w);
    a->told++;
    a->err = err;
    (void)snprintf(a->text, sizeof(a->text), "%.*s", (int)text.n, text.n ? text.p : "");
    loop_stop(l);
}

static void write_ca(void)
{
    char file[TEMP_PATH];
    X509V3_CTX ctx;
    X509 *x = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(x);
    assert_non_null(key);
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), CA_LIFE_S);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"ca", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    const int nids[] = {NID_basic_constraints, NID_key_usage};
    const char *const values[] = {"critical,CA:TRUE", "critical,keyCertSign"};
    for (size_t i = 0; i < 2; i++) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nids[i], values[i]);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    (void)snprintf(file, sizeof(file), "%s/ca.pem", folder);
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    PEM_write_X509(f, x);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int setup(void **state)
{
    char file[TEMP_PATH];
    struct diag d = {.text = ""};
    (void)state;
    moved_s = 0;
    temp_folder(folder);
    write_ca();
    (void)snprintf(file, sizeof(file), "%s/ca.pem", folder);
    const struct shortcert_terms t = {file, file, "CN=${name}", LIFE_S};
    assert_int_equal(shortcert_ca_load(&t, &ca, &d), FRUN_OK);
    (void)unlink(file);
    (void)rmdir(folder);
    return loop_new(&l) || offload_new(1, 8, &o) || principals_new(l, o, ca, &p);
}

static int teardown(void **state)
{
    (void)state;
    principals_free(p);
    p = NULL;
    offload_free(o);
    loop_free(l);
    shortcert_ca_unref(&ca);
    return 0;
}

static void asker_init(struct asker *a)
{
    *a = (struct asker){.w.fn = on_told};
    list_init(&a->w.node);
}

/* Ask, and wait for the answer if it takes time. @return was it made anew? */
static bool ask(const char *name, char text[2048])
{
    struct asker a;
    struct span now = {0};
    asker_init(&a);
    frun_err err = principals_get(p, span_of(name), &a.w, &now);
    if (err == FRUN_OK) {
        (void)snprintf(text, 2048, "%.*s", (int)now.n, now.p);
        return false;
    }
    assert_int_equal(err, FRUN_E_AGAIN);
    assert_int_equal(a.told, 0); /* never from within */
    while (!a.told) {
        loop_run(l);
    }
    assert_int_equal(a.err, FRUN_OK);
    (void)snprintf(text, 2048, "%s", a.text);
    return true;
}

static void test_kept_and_apart(void **state)
{
    char one[2048];
    char other[2048];
    char again[2048];
    (void)state;
    assert_true(ask("one", one));
    assert_true(ask("other", other));
    assert_string_not_equal(one, other);
    assert_false(ask("one", again));
    assert_string_equal(one, again);
    assert_int_equal(principals_count(p), 2);
}

/* All who ask while it is made get the same; who goes is not told. */
static void test_one_job_for_all(void **state)
{
    struct asker a[8];
    struct span now = {0};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        asker_init(&a[i]);
        assert_int_equal(principals_get(p, SPAN_LIT("one"), &a[i].w, &now), FRUN_E_AGAIN);
    }
    principals_forget(&a[3].w);
    principals_forget(&a[3].w);
    while (!a[7].told) {
        loop_run(l);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(a[i].told, i != 3);
        assert_string_equal(a[i].text, i == 3 ? "" : a[0].text);
    }
}

static void on_soon(struct deadline *d)
{
    (void)d;
    loop_stop(l);
}

static void turn_until_changed(const char *name, const char *old)
{
    char text[2048];
    for (unsigned i = 0; i < 10000; i++) {
        assert_false(ask(name, text)); /* nobody waits for a renewal */
        if (strcmp(text, old) != 0) {
            return;
        }
        struct deadline soon;
        deadline_init(&soon, on_soon);
        deadline_set(l, &soon, 1);
        loop_run(l);
    }
    fail_msg("it was never renewed");
}

static void test_renewed_in_time(void **state)
{
    char one[2048];
    char two[2048];
    (void)state;
    assert_true(ask("one", one));
    moved_s = LIFE_S * 3 / 4 - 5;
    assert_false(ask("one", two));
    assert_string_equal(one, two);
    moved_s = LIFE_S * 3 / 4 + 5;
    turn_until_changed("one", one);
    moved_s += LIFE_S + 1; /* over: nobody gets it any more */
    assert_true(ask("one", two));
}

static void test_bounded(void **state)
{
    char text[2048];
    char name[16];
    (void)state;
    for (unsigned i = 0; i < PRINCIPALS_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        assert_true(ask(name, text));
        assert_false(ask("n0", text)); /* in use: stays */
    }
    assert_int_equal(principals_count(p), PRINCIPALS_MAX);
    assert_true(ask("n1", text)); /* was used the longest ago */
    assert_false(ask("n20", text));
}

static void test_refused(void **state)
{
    char name[80];
    struct asker a;
    struct span now = {0};
    (void)state;
    asker_init(&a);
    memset(name, 'n', sizeof(name));
    assert_int_equal(principals_get(p, span_make(name, 65), &a.w, &now), FRUN_E_SYNTAX);
    assert_int_equal(principals_get(p, SPAN_LIT(""), &a.w, &now), FRUN_E_SYNTAX);
    assert_int_equal(principals_get(p, SPAN_LIT("a\nb"), &a.w, &now), FRUN_E_AGAIN);
    while (!a.told) {
        loop_run(l);
    }
    assert_int_equal(a.err, FRUN_E_SYNTAX);
    assert_int_equal(principals_count(p), 0);
    moved_s = CA_LIFE_S + 1;
    assert_int_equal(principals_get(p, SPAN_LIT("a"), &a.w, &now), FRUN_E_AGAIN);
    while (a.told < 2) {
        loop_run(l);
    }
    assert_int_equal(a.err, FRUN_E_TLS);
}

/* The queue of the helper thread is a ceiling; what is being made when all ends is forgotten. */
static void test_floods_and_ends(void **state)
{
    struct asker a[64];
    struct span now = {0};
    char name[16];
    size_t n_waiting = 0;
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        asker_init(&a[i]);
        (void)snprintf(name, sizeof(name), "n%u", i);
        frun_err err = principals_get(p, span_of(name), &a[i].w, &now);
        assert_true(err == FRUN_E_AGAIN || err == FRUN_E_LIMIT);
        n_waiting += err == FRUN_E_AGAIN;
    }
    assert_int_equal(principals_count(p), n_waiting);
    principals_free(p);
    p = NULL;
    for (unsigned i = 0; i < 64; i++) {
        assert_true(a[i].told <= 1 && (!a[i].told || a[i].err == FRUN_E_CLOSED));
        n_waiting -= a[i].told;
    }
    assert_int_equal(n_waiting, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_kept_and_apart), T(test_one_job_for_all), T(test_renewed_in_time),
        T(test_bounded),        T(test_refused),         T(test_floods_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
