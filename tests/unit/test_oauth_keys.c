/**
 * Key sets: what is a key, who signs, what the public texts say.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/keys.h"
#include "oauth_fixture.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void signs_and_verifies(void **state)
{
    char id[KEYS_ID_BYTES];
    unsigned char sig[KEYS_SIGNATURE_BYTES];
    struct keys *k = fixture_keys(id);
    struct keys *other = fixture_keys(id);
    (void)state;
    snprintf(id, sizeof(id), "%s", keys_signer(k)->id);
    assert_int_equal(strlen(id), KEYS_ID_BYTES - 1);
    for (int i = 0; i < 200; i++) { /* r and s with leading zeros come up */
        char text[16];
        snprintf(text, sizeof(text), "text %d", i);
        struct span good = span_make(sig, sizeof(sig));
        assert_int_equal(keys_sign(k, span_of(text), sig), FRUN_OK);
        assert_int_equal(keys_verify(k, span_of(id), span_of(text), good), FRUN_OK);
        assert_int_equal(keys_verify(k, span_of(id), span_of("other"), good), FRUN_E_DENIED);
        sig[i % 64] ^= 1;
        assert_int_equal(keys_verify(k, span_of(id), span_of(text), good), FRUN_E_DENIED);
    }
    struct span cut = span_make(sig, 63);
    assert_int_equal(keys_verify(k, span_of(id), span_of("x"), cut), FRUN_E_DENIED);
    assert_int_equal(keys_verify(other, span_of(id), span_of("x"), cut), FRUN_E_NOT_FOUND);
    memset(sig, 0, sizeof(sig));
    assert_int_equal(keys_verify(k, span_of(id), span_of("x"), span_make(sig, 64)), FRUN_E_DENIED);
    memset(sig, 0xff, sizeof(sig));
    assert_int_equal(keys_verify(k, span_of(id), span_of("x"), span_make(sig, 64)), FRUN_E_DENIED);
    keys_unref(&k);
    keys_unref(&other);
}

/* PEM text of a key, public or private. */
static size_t pem_of(EVP_PKEY *p, bool is_private, char *out, size_t size)
{
    BIO *b = BIO_new(BIO_s_mem());
    assert_non_null(p);
    if (is_private) {
        assert_int_equal(PEM_write_bio_PKCS8PrivateKey(b, p, NULL, NULL, 0, NULL, NULL), 1);
    } else {
        assert_int_equal(PEM_write_bio_PUBKEY(b, p), 1);
    }
    int n = BIO_read(b, out, (int)size);
    BIO_free(b);
    EVP_PKEY_free(p);
    return n > 0 ? (size_t)n : 0;
}

static void refuses_what_is_no_key(void **state)
{
    char pem[4096];
    struct keys *k = NULL;
    (void)state;
    assert_int_equal(keys_new(&k), FRUN_OK);
    assert_int_equal(keys_add(k, span_of(""), "empty", 1), FRUN_E_SYNTAX);
    assert_int_equal(keys_add(k, span_of("no key"), "text", 1), FRUN_E_SYNTAX);
    size_t n = pem_of(EVP_EC_gen("P-384"), true, pem, sizeof(pem));
    assert_int_equal(keys_add(k, span_make(pem, n), "p384", 1), FRUN_E_UNSUPPORTED);
    n = pem_of(EVP_RSA_gen(2048), true, pem, sizeof(pem));
    assert_int_equal(keys_add(k, span_make(pem, n), "rsa", 1), FRUN_E_UNSUPPORTED);
    n = pem_of(EVP_EC_gen("P-256"), true, pem, sizeof(pem));
    assert_int_equal(keys_add(k, span_make(pem, n / 2), "half", 1), FRUN_E_SYNTAX);
    assert_int_equal(keys_count(k), 0);
    assert_int_equal(keys_add(k, span_make(pem, n), "good", 1), FRUN_OK);
    assert_int_equal(keys_add(k, span_make(pem, n), "twice", 1), FRUN_E_EXISTS);
    assert_int_equal(keys_count(k), 1);
    keys_unref(&k);
}

static void newest_settled_key_signs(void **state)
{
    static const struct {
        const char *label;
        uint64_t made[3];
        uint64_t now;
        uint64_t want;
    } rows[] = {
        {"all settled", {100, 200, 300}, 1000, 300},
        {"newest is fresh", {100, 200, 995}, 1000, 200},
        {"two are fresh", {100, 991, 995}, 1000, 100},
        {"all are fresh", {991, 992, 993}, 1000, 991},
        {"just settled", {100, 200, 990}, 1000, 990},
        {"from the future", {100, 200, 5000}, 1000, 200},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct keys *k = NULL;
        assert_int_equal(keys_new(&k), FRUN_OK);
        for (size_t j = 0; j < 3; j++) {
            char id[KEYS_ID_BYTES];
            struct secret *pem = fixture_key(id);
            assert_int_equal(keys_add(k, secret_span(pem), "x.pem", rows[i].made[j]), FRUN_OK);
            secret_free(pem);
        }
        assert_int_equal(keys_seal(k, rows[i].now, 10), FRUN_OK);
        if (keys_signer(k)->made_s != rows[i].want) {
            fail_msg("%s: %llu signs", rows[i].label, (unsigned long long)keys_signer(k)->made_s);
        }
        assert_true(keys_at(k, 0)->made_s >= keys_at(k, 2)->made_s);
        keys_unref(&k);
    }
}

static void a_public_key_verifies_only(void **state)
{
    char id[KEYS_ID_BYTES];
    char pem[1024];
    unsigned char sig[KEYS_SIGNATURE_BYTES];
    struct keys *k = NULL;
    struct keys *pub = NULL;
    struct secret *text = fixture_key(id);
    (void)state;
    assert_int_equal(keys_new(&k), FRUN_OK);
    assert_int_equal(keys_add(k, secret_span(text), "a.pem", 1), FRUN_OK);
    assert_int_equal(keys_seal(k, 100, 0), FRUN_OK);
    assert_int_equal(keys_sign(k, span_of("x"), sig), FRUN_OK);
    BIO *b = BIO_new_mem_buf(secret_span(text).p, (int)secret_span(text).n);
    size_t n = pem_of(PEM_read_bio_PrivateKey(b, NULL, NULL, NULL), false, pem, sizeof(pem));
    BIO_free(b);
    assert_int_equal(keys_new(&pub), FRUN_OK);
    assert_int_equal(keys_add(pub, span_make(pem, n), "a.pub.pem", 1), FRUN_OK);
    assert_int_equal(keys_seal(pub, 100, 0), FRUN_OK);
    assert_null(keys_signer(pub));
    assert_false(keys_at(pub, 0)->is_private);
    assert_string_equal(keys_at(pub, 0)->id, id);
    assert_int_equal(keys_verify(pub, span_of(id), span_of("x"), span_make(sig, 64)), FRUN_OK);
    assert_int_equal(keys_sign(pub, span_of("x"), sig), FRUN_E_NOT_FOUND);
    assert_false(keys_same(k, pub));
    assert_true(keys_same(k, k));
    assert_false(keys_same(NULL, k));
    secret_free(text);
    keys_unref(&k);
    keys_unref(&pub);
}

/* The example of RFC 7638 is RSA; this is RFC 7517's P-256 key, its thumbprint taken with openssl.
 */
static void the_public_texts(void **state)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMKBCTNIcKUSDii11ySs3526iDZ8A\n"
                              "iTo7Tu6KPAqv7D7gS2XpJFbZiItSs3m9+9Ue6GnvHw/GW2ZZaVtszggXIw==\n"
                              "-----END PUBLIC KEY-----\n";
    struct keys *k = NULL;
    (void)state;
    assert_int_equal(keys_new(&k), FRUN_OK);
    assert_int_equal(keys_add(k, span_of(pem), "rfc.pem", 1), FRUN_OK);
    assert_int_equal(keys_seal(k, 100, 0), FRUN_OK);
    struct span jwks = keys_jwks(k);
    char want[512];
    int n = snprintf(want, sizeof(want),
                     "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                     "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
                     "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\","
                     "\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"%s\"}]}\n",
                     keys_at(k, 0)->id);
    assert_true(span_eq(jwks, span_make(want, (size_t)n)));
    assert_string_equal(keys_at(k, 0)->id, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    char text[2048];
    struct span shown = keys_token_keys(k);
    snprintf(text, sizeof(text), "%.*s", SPAN_FMT(shown));
    assert_non_null(strstr(text, "\"value\":\"-----BEGIN PUBLIC KEY-----\\nMFkw"));
    assert_non_null(strstr(text, "-----END PUBLIC KEY-----\\n\"}]}"));
    keys_unref(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_and_verifies),       cmocka_unit_test(refuses_what_is_no_key),
        cmocka_unit_test(newest_settled_key_signs), cmocka_unit_test(a_public_key_verifies_only),
        cmocka_unit_test(the_public_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
