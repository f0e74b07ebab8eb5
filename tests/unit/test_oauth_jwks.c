/**
 * Key sets of identity providers: what can verify is taken, everything else is left out by name.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/jwks.h"
#include "issuer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
    EVP_PKEY *rsa;
    EVP_PKEY *weak;
    EVP_PKEY *p256;
    EVP_PKEY *p384;
};

static int set_up(void **state)
{
    static struct bench b;
    b.rsa = EVP_RSA_gen(2048);
    b.weak = EVP_RSA_gen(1024);
    b.p256 = EVP_EC_gen("P-256");
    b.p384 = EVP_EC_gen("P-384");
    *state = &b;
    return b.rsa && b.weak && b.p256 && b.p384 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    EVP_PKEY_free(b->rsa);
    EVP_PKEY_free(b->weak);
    EVP_PKEY_free(b->p256);
    EVP_PKEY_free(b->p384);
    return 0;
}

static frun_err parse(const char *keys, struct jwks **out, struct jwks_skipped *skipped)
{
    char text[FIXTURE_SET + 16];
    *skipped = (struct jwks_skipped){0, NULL};
    (void)snprintf(text, sizeof(text), "{\"keys\":[%s]}", keys);
    return jwks_parse(span_of(text), out, skipped);
}

static void one_key(const EVP_PKEY *key, const char *more, const char *why, unsigned algs)
{
    struct jwks *k = NULL;
    struct jwks_skipped skipped;
    frun_err err = parse(fixture_jwk(key, more), &k, &skipped);
    if ((why ? FRUN_E_NOT_FOUND : FRUN_OK) != err) {
        fail_msg("%s: %s %s", more, err_text(err), skipped.why ? skipped.why : "");
    }
    if (why) {
        assert_int_equal(skipped.n, 1);
        assert_non_null(strstr(skipped.why, why));
        return;
    }
    assert_int_equal(jwks_count(k), 1);
    assert_int_equal(jwks_at(k, 0)->algs, algs);
    jwks_unref(&k);
}

static void what_verifies_is_taken(void **state)
{
    const struct bench *b = *state;
    const unsigned rsa = JWKS_RS256 | JWKS_RS384 | JWKS_RS512 | JWKS_PS256;
    one_key(b->rsa, "", NULL, rsa);
    one_key(b->rsa, ",\"use\":\"sig\",\"kid\":\"k\"", NULL, rsa);
    one_key(b->rsa, ",\"alg\":\"RS256\",\"key_ops\":[\"verify\"]", NULL, JWKS_RS256);
    one_key(b->rsa, ",\"alg\":\"PS256\"", NULL, JWKS_PS256);
    one_key(b->rsa, ",\"value\":\"-----BEGIN PUBLIC KEY-----\\nAA\"", NULL, rsa); /* XSUAA */
    one_key(b->p256, ",\"x5c\":[\"AA\"]", NULL, JWKS_ES256);
    one_key(b->p384, ",\"alg\":\"ES384\"", NULL, JWKS_ES384);
}

static void what_does_not_is_left_out(void **state)
{
    const struct bench *b = *state;
    one_key(b->rsa, ",\"use\":\"enc\"", "not for signatures", 0);
    one_key(b->rsa, ",\"use\":1", "not for signatures", 0);
    one_key(b->rsa, ",\"key_ops\":[\"encrypt\"]", "not for signatures", 0);
    one_key(b->rsa, ",\"key_ops\":\"verify\"", "not for signatures", 0);
    one_key(b->rsa, ",\"alg\":\"HS256\"", "algorithm", 0);
    one_key(b->rsa, ",\"alg\":\"none\"", "algorithm", 0);
    one_key(b->rsa, ",\"alg\":\"ES256\"", "algorithm", 0);
    one_key(b->p256, ",\"alg\":\"ES384\"", "algorithm", 0);
    one_key(b->weak, "", "2048", 0);
}

static void odd_sets_are_refused(void **state)
{
    static const struct {
        const char *label;
        const char *json;
        frun_err want;
    } rows[] = {
        {"nothing", "", FRUN_E_SYNTAX},
        {"no JSON", "<html>", FRUN_E_SYNTAX},
        {"a list", "[]", FRUN_E_SYNTAX},
        {"no keys", "{}", FRUN_E_SYNTAX},
        {"keys twice", "{\"keys\":[],\"keys\":[]}", FRUN_E_SYNTAX},
        {"keys no list", "{\"keys\":{}}", FRUN_E_SYNTAX},
        {"empty", "{\"keys\":[]}", FRUN_E_NOT_FOUND},
        {"no objects", "{\"keys\":[1,\"a\",null,[]]}", FRUN_E_NOT_FOUND},
        {"symmetric", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"alg\":\"HS256\"}]}",
         FRUN_E_NOT_FOUND},
        {"RSA without n", "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", FRUN_E_NOT_FOUND},
        {"RSA e=1", "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQ\"}]}", FRUN_E_NOT_FOUND},
        {"point off the curve",
         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
         FRUN_E_NOT_FOUND},
        {"short coordinate",
         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}]}",
         FRUN_E_NOT_FOUND},
        {"other curve", "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\"}]}", FRUN_E_NOT_FOUND},
    };
    struct jwks_skipped skipped;
    struct jwks *k = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        frun_err err = jwks_parse(span_of(rows[i].json), &k, &skipped);
        if (err != rows[i].want || k) {
            fail_msg("%s: %s", rows[i].label, err_text(err));
        }
    }
    char *many = calloc(1, JWKS_MAX_BYTES + 2);
    assert_non_null(many);
    memset(many, ' ', JWKS_MAX_BYTES + 1);
    assert_int_equal(jwks_parse(span_of(many), &k, &skipped), FRUN_E_LIMIT);
    size_t n = (size_t)snprintf(many, 64, "{\"keys\":[{}");
    for (size_t i = 0; i < JWKS_MAX_KEYS; i++) {
        n += (size_t)snprintf(many + n, 8, ",{}");
    }
    (void)snprintf(many + n, 8, "]}");
    assert_int_equal(jwks_parse(span_of(many), &k, &skipped), FRUN_E_LIMIT);
    free(many);
}

static void two_keys_of_one_name(void **state)
{
    const struct bench *b = *state;
    struct jwks_skipped skipped;
    struct jwks *k = NULL;
    char text[FIXTURE_SET];
    (void)snprintf(text, sizeof(text), "%s,%s,%s", fixture_jwk(b->rsa, ",\"kid\":\"k\""),
                   fixture_jwk(b->rsa, ",\"kid\":\"k\""), fixture_jwk(b->p256, ",\"kid\":\"k\""));
    assert_int_equal(parse(text, &k, &skipped), FRUN_OK);
    assert_int_equal(jwks_count(k), 2); /* the EC key is another algorithm's: RFC 7517 4.5 */
    assert_int_equal(skipped.n, 1);
    struct jwks *again = NULL;
    assert_int_equal(parse(text, &again, &skipped), FRUN_OK);
    assert_true(jwks_same(k, again));
    jwks_unref(&again);
    assert_int_equal(parse(fixture_jwk(b->rsa, ",\"kid\":\"k\""), &again, &skipped), FRUN_OK);
    assert_false(jwks_same(k, again));
    assert_false(jwks_same(NULL, again));
    jwks_unref(&again);
    jwks_unref(&k);
}

static void each_algorithm_verifies_its_own(void **state)
{
    const struct bench *b = *state;
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384"};
    char text[FIXTURE_SET];
    unsigned char signature[1100];
    struct jwks_skipped skipped;
    struct jwks *k = NULL;
    struct span what = SPAN_LIT("header.claims");
    (void)snprintf(text, sizeof(text), "%s,%s,%s", fixture_jwk(b->rsa, ",\"kid\":\"r\""),
                   fixture_jwk(b->p256, ",\"kid\":\"e\""), fixture_jwk(b->p384, ",\"kid\":\"f\""));
    assert_int_equal(parse(text, &k, &skipped), FRUN_OK);
    for (size_t i = 0; i < 6; i++) {
        EVP_PKEY *key = i < 4 ? b->rsa : i == 4 ? b->p256 : b->p384;
        struct span id = span_of(i < 4 ? "r" : i == 4 ? "e" : "f");
        size_t n = fixture_sign(key, names[i], what, signature);
        for (size_t j = 0; j < 6; j++) {
            frun_err err =
                jwks_verify(k, jwks_alg(span_of(names[j])), id, what, span_make(signature, n));
            if ((err == FRUN_OK) != (i == j)) {
                fail_msg("%s as %s: %s", names[i], names[j], err_text(err));
            }
        }
        unsigned alg = jwks_alg(span_of(names[i]));
        assert_int_equal(jwks_verify(k, alg, span_of("x"), what, span_make(signature, n)),
                         FRUN_E_NOT_FOUND);
        assert_int_equal(jwks_verify(k, alg, span_of(""), what, span_make(signature, n)),
                         FRUN_E_NOT_FOUND);
        /* unnamed: the only one for that algorithm */
        assert_int_equal(jwks_verify(k, alg, (struct span){NULL, 0}, what, span_make(signature, n)),
                         FRUN_OK);
        assert_int_equal(jwks_verify(k, alg, id, what, span_make(signature, n - 1)), FRUN_E_DENIED);
        signature[n / 2] ^= 1;
        assert_int_equal(jwks_verify(k, alg, id, what, span_make(signature, n)), FRUN_E_DENIED);
    }
    assert_int_equal(jwks_verify(k, 0, span_of("r"), what, what), FRUN_E_UNSUPPORTED);
    assert_int_equal(jwks_alg(SPAN_LIT("none")), 0);
    assert_int_equal(jwks_alg(SPAN_LIT("HS256")), 0);
    assert_int_equal(jwks_alg(SPAN_LIT("rs256")), 0);
    jwks_unref(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_verifies_is_taken),
        cmocka_unit_test(what_does_not_is_left_out),
        cmocka_unit_test(odd_sets_are_refused),
        cmocka_unit_test(two_keys_of_one_name),
        cmocka_unit_test(each_algorithm_verifies_its_own),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
