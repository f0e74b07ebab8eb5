/**
 * Tokens: ours are accepted, everything forged, foreign, old or odd is refused with its reason.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/text.h"
#include "frun/oauth/jwt.h"
#include "oauth_fixture.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 1800000000U

static const struct jwt_realm realm = {"https://push.example.com", "push"};

struct bench {
    struct keys *k;
    struct keys *other;
    char id[KEYS_ID_BYTES];
    char other_id[KEYS_ID_BYTES];
};

static int set_up(void **state)
{
    static struct bench b;
    b.k = fixture_keys(b.id);
    b.other = fixture_keys(b.other_id);
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    keys_unref(&b->k);
    keys_unref(&b->other);
    return 0;
}

static const struct jwt_claims claims = {.client_id = "sb-s4-acme",
                                         .generation = "abcdefghijklmnopqrstuv",
                                         .issued_s = NOW,
                                         .expires_s = NOW + 3600};

static size_t make(const struct keys *k, char out[JWT_MAX_BYTES + 1])
{
    size_t n = 0;
    assert_int_equal(jwt_sign(k, &realm, &claims, "0123456789abcdef", out, &n), FRUN_OK);
    assert_int_equal(strlen(out), n);
    return n;
}

static frun_err verify(const struct keys *k, struct span token, uint64_t now_s, const char **why)
{
    struct jwt_claims out;
    *why = "";
    return jwt_verify(k, token, &realm, now_s, &out, why);
}

static void ours_is_accepted(void **state)
{
    struct bench *b = *state;
    char token[JWT_MAX_BYTES + 1];
    struct jwt_claims out;
    const char *why = "";
    size_t n = make(b->k, token);
    assert_int_equal(jwt_verify(b->k, span_make(token, n), &realm, NOW, &out, &why), FRUN_OK);
    assert_string_equal(out.client_id, claims.client_id);
    assert_string_equal(out.generation, claims.generation);
    assert_int_equal(out.expires_s, NOW + 3600);
    assert_int_equal(verify(b->k, span_make(token, n), NOW + 3599, &why), FRUN_OK);
    assert_int_equal(verify(b->k, span_make(token, n), NOW + 3600, &why), FRUN_E_TIMEOUT);
    assert_non_null(strstr(why, "expired"));
    assert_int_equal(verify(b->k, span_make(token, n), NOW - JWT_SKEW_S, &why), FRUN_OK);
    assert_int_equal(verify(b->k, span_make(token, n), NOW - JWT_SKEW_S - 1, &why), FRUN_E_DENIED);
    assert_int_equal(verify(b->other, span_make(token, n), NOW, &why), FRUN_E_DENIED);
    assert_non_null(strstr(why, "not known here"));
}

/* Sign any header and claims with our key, or with nothing. */
static struct span forge(const struct bench *b, const char *header, const char *body, char *out)
{
    unsigned char sig[KEYS_SIGNATURE_BYTES];
    size_t n = text_base64url(span_of(header), out);
    out[n++] = '.';
    n += text_base64url(span_of(body), out + n);
    assert_int_equal(keys_sign(b->k, span_make(out, n), sig), FRUN_OK);
    out[n++] = '.';
    n += text_base64url(span_make(sig, sizeof(sig)), out + n);
    return span_make(out, n);
}

#define THUMB "0123456789abcdefghijklmnopqrstuvwxyzABCDEF-"

#define CLAIMS                                                                                     \
    "\"iss\":\"https://push.example.com\",\"sub\":\"c\",\"client_id\":\"c\",\"gen\":\"g\","        \
    "\"aud\":\"https://push.example.com\",\"iat\":1800000000,\"nbf\":1800000000,"                  \
    "\"exp\":1800000100"

static void *shifted_malloc(size_t n)
{
    char *p = malloc(16 + n);
    return p ? p + 16 : NULL;
}

static void shifted_free(void *p)
{
    free(p ? (char *)p - 16 : NULL);
}

/* A program whose service keys are wiped gives jansson an allocator of its own; the gateway does.
 */
static void a_foreign_allocator_of_json_does_not_matter(void **state)
{
    struct bench *b = *state;
    char token[JWT_MAX_BYTES + 1];
    const char *why = "";
    json_set_alloc_funcs(shifted_malloc, shifted_free);
    size_t n = make(b->k, token);
    assert_int_equal(verify(b->k, span_make(token, n), NOW, &why), FRUN_OK);
    json_set_alloc_funcs(malloc, free);
}

static void odd_headers_are_refused(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *label;
        const char *header; /* %s is the key's name */
        const char *why;    /* NULL: accepted */
    } rows[] = {
        {"ours", "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", NULL},
        {"without typ", "{\"alg\":\"ES256\",\"kid\":\"%s\"}", NULL},
        {"alg none", "{\"alg\":\"none\",\"kid\":\"%s\"}", "ES256"},
        {"alg HS256", "{\"alg\":\"HS256\",\"kid\":\"%s\"}", "ES256"},
        {"alg RS256", "{\"alg\":\"RS256\",\"kid\":\"%s\"}", "ES256"},
        {"alg in small letters", "{\"alg\":\"es256\",\"kid\":\"%s\"}", "ES256"},
        {"alg no text", "{\"alg\":256,\"kid\":\"%s\"}", "ES256"},
        {"alg missing", "{\"kid\":\"%s\"}", "ES256"},
        {"alg twice", "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"%s\"}", "malformed"},
        {"kid twice", "{\"alg\":\"ES256\",\"kid\":\"x\",\"kid\":\"%s\"}", "malformed"},
        {"kid unknown", "{\"alg\":\"ES256\",\"kid\":\"x%.42s\"}", "not known"},
        {"kid missing", "{\"alg\":\"ES256\"}", "names no key"},
        {"kid no text", "{\"alg\":\"ES256\",\"kid\":[\"%s\"]}", "names no key"},
        {"kid too long", "{\"alg\":\"ES256\",\"kid\":\"%sxxxxxxxxxxxx\"}", "names no key"},
        {"crit", "{\"alg\":\"ES256\",\"kid\":\"%s\",\"crit\":[\"exp\"]}", "not understood"},
        {"other typ", "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", "not understood"},
        {"no object", "[\"ES256\",\"%s\"]", "malformed"},
        {"no JSON", "ES256 %s", "malformed"},
        {"junk behind", "{\"alg\":\"ES256\",\"kid\":\"%s\"}x", "malformed"},
        {"NUL", "{\"alg\":\"ES256\",\"kid\":\"%s\\u0000\"}", "malformed"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char header[256];
        char token[JWT_MAX_BYTES + 1];
        const char *why;
        if (strstr(rows[i].header, "%.42s")) {
            snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"x%.42s\"}", b->id);
        } else {
            const char *at = strstr(rows[i].header, "%s");
            size_t n = at ? (size_t)(at - rows[i].header) : strlen(rows[i].header);
            snprintf(header, sizeof(header), "%.*s%s%s", (int)n, rows[i].header, at ? b->id : "",
                     at ? at + 2 : "");
        }
        struct span t = forge(b, header, "{" CLAIMS "}", token);
        frun_err err = verify(b->k, t, NOW, &why);
        if (rows[i].why ? !err || !strstr(why, rows[i].why) : err != FRUN_OK) {
            fail_msg("%s: result %d, %s", rows[i].label, err, why);
        }
    }
}

static void odd_claims_are_refused(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *label;
        const char *from; /* part of CLAIMS to replace, NULL: add */
        const char *to;
        const char *why; /* NULL: accepted */
    } rows[] = {
        {"as they are", NULL, "", NULL},
        {"unknown member", NULL, ",\"zid\":\"x\"", NULL},
        {"bound to a certificate", NULL, ",\"cnf\":{\"x5t#S256\":\"" THUMB "\"}", NULL},
        {"bound to a short one", NULL, ",\"cnf\":{\"x5t#S256\":\"x\"}", "not understood"},
        {"bound to a long one", NULL, ",\"cnf\":{\"x5t#S256\":\"" THUMB "x\"}", "not understood"},
        {"bound to a key", NULL, ",\"cnf\":{\"jkt\":\"" THUMB "\"}", "not understood"},
        {"bound to both", NULL, ",\"cnf\":{\"x5t#S256\":\"" THUMB "\",\"jkt\":\"" THUMB "\"}",
         "not understood"},
        {"bound to nothing", NULL, ",\"cnf\":{}", "not understood"},
        {"bound to null", NULL, ",\"cnf\":null", "not understood"},
        {"bound to a text", NULL, ",\"cnf\":\"" THUMB "\"", "not understood"},
        {"list of audiences", "\"aud\":\"https://push.example.com\"",
         "\"aud\":[\"x\",\"https://push.example.com\"]", NULL},
        {"other issuer", "\"iss\":\"https://push.", "\"iss\":\"https://posh.", "somebody else"},
        {"other audience", "\"aud\":\"https://push.", "\"aud\":\"https://posh.", "somebody else"},
        {"no audience", "\"aud\":", "\"aux\":", "somebody else"},
        {"audience an object", "\"aud\":\"https://push.example.com\"", "\"aud\":{}",
         "somebody else"},
        {"no issuer", "\"iss\":", "\"isz\":", "somebody else"},
        {"issuer no text", "\"iss\":\"https://push.example.com\"", "\"iss\":1", "somebody else"},
        {"no client", "\"sub\":", "\"sup\":", "lacks"},
        {"two clients", "\"sub\":\"c\"", "\"sub\":\"d\"", "lacks"},
        {"client twice", NULL, ",\"sub\":\"c\"", "malformed"},
        {"exp twice", NULL, ",\"exp\":1900000000", "malformed"},
        {"empty client", "\"sub\":\"c\",\"client_id\":\"c\"", "\"sub\":\"\",\"client_id\":\"\"",
         "lacks"},
        {"no generation", "\"gen\":", "\"gem\":", "lacks"},
        {"long generation", "\"gen\":\"g\"", "\"gen\":\"abcdefghijklmnopqrstuvwxyz\"", "lacks"},
        {"no exp", "\"exp\":", "\"exq\":", "lacks"},
        {"exp a text", "1800000100", "\"1800000100\"", "lacks"},
        {"exp a real", "1800000100", "1.8e12", "lacks"},
        {"exp negative", "1800000100", "-1", "lacks"},
        {"exp too large for JSON", "1800000100", "18446744073709551616", "malformed"},
        {"expired", "1800000100", "1800000000", "expired"},
        {"not yet", "\"nbf\":1800000000", "\"nbf\":1800000061", "not valid yet"},
        {"from the future", "\"iat\":1800000000", "\"iat\":1800000061", "not valid yet"},
        {"no nbf", "\"nbf\":", "\"nbg\":", "lacks"},
    };
    char header[128];
    snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", b->id);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[1024];
        char token[JWT_MAX_BYTES + 1];
        const char *all = CLAIMS;
        const char *why;
        const char *at = rows[i].from ? strstr(all, rows[i].from) : all + strlen(all);
        assert_non_null(at);
        snprintf(body, sizeof(body), "{%.*s%s%s}", (int)(at - all), all, rows[i].to,
                 at + (rows[i].from ? strlen(rows[i].from) : 0));
        frun_err err = verify(b->k, forge(b, header, body, token), NOW, &why);
        if (rows[i].why ? !err || !strstr(why, rows[i].why) : err != FRUN_OK) {
            fail_msg("%s: result %d, %s", rows[i].label, err, why);
        }
    }
}

/* The classic: a symmetric signature made with the public key, which everybody knows. */
static void hmac_with_the_public_key(void **state)
{
    struct bench *b = *state;
    char header[128];
    char token[JWT_MAX_BYTES + 1];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    const char *why;
    struct span secret = keys_token_keys(b->k);
    snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}", b->id);
    size_t n = text_base64url(span_of(header), token);
    token[n++] = '.';
    n += text_base64url(span_of("{" CLAIMS "}"), token + n);
    assert_non_null(HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)token, n,
                         mac, &mac_len));
    token[n++] = '.';
    n += text_base64url(span_make(mac, mac_len), token + n);
    assert_int_equal(verify(b->k, span_make(token, n), NOW, &why), FRUN_E_DENIED);
}

/* Any cut and any changed octet is seen; base64url has one spelling only. */
static void damaged_tokens_are_refused(void **state)
{
    struct bench *b = *state;
    char token[JWT_MAX_BYTES + 1];
    const char *why;
    size_t n = make(b->k, token);
    for (size_t i = 0; i < n; i++) {
        assert_int_not_equal(verify(b->k, span_make(token, i), NOW, &why), FRUN_OK);
        char kept = token[i];
        token[i] = kept == 'A' ? 'B' : 'A';
        assert_int_not_equal(verify(b->k, span_make(token, n), NOW, &why), FRUN_OK);
        token[i] = '=';
        assert_int_not_equal(verify(b->k, span_make(token, n), NOW, &why), FRUN_OK);
        token[i] = kept;
    }
    static const char *const tails[] = {".", "=", "A", ".AAAA", " ", "\n"};
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        char longer[JWT_MAX_BYTES + 16];
        int len = snprintf(longer, sizeof(longer), "%s%s", token, tails[i]);
        assert_int_not_equal(verify(b->k, span_make(longer, (size_t)len), NOW, &why), FRUN_OK);
    }
    assert_int_equal(verify(b->k, span_of(""), NOW, &why), FRUN_E_SYNTAX);
    assert_int_equal(verify(b->k, span_of(".."), NOW, &why), FRUN_E_SYNTAX);
    char *huge = malloc(JWT_MAX_BYTES + 1);
    assert_non_null(huge);
    memset(huge, 'A', JWT_MAX_BYTES + 1);
    assert_int_equal(verify(b->k, span_make(huge, JWT_MAX_BYTES + 1), NOW, &why), FRUN_E_LIMIT);
    assert_int_equal(verify(b->k, span_make(huge, JWT_MAX_BYTES), NOW, &why), FRUN_E_SYNTAX);
    free(huge);
}

static void a_token_that_would_be_too_long_is_not_made(void **state)
{
    struct bench *b = *state;
    char token[JWT_MAX_BYTES + 1];
    size_t n = 0;
    char *scope = malloc(JWT_MAX_BYTES);
    assert_non_null(scope);
    memset(scope, 's', JWT_MAX_BYTES - 1);
    scope[JWT_MAX_BYTES - 1] = '\0';
    for (size_t cut = 0; cut < 2000; cut += 7) {
        const struct jwt_realm r = {realm.issuer, scope + cut};
        frun_err err = jwt_sign(b->k, &r, &claims, "j", token, &n);
        if (!err) {
            assert_true(n <= JWT_MAX_BYTES);
            break;
        }
        assert_int_equal(err, FRUN_E_LIMIT);
    }
    free(scope);
}

static void a_generation_follows_the_hash(void **state)
{
    char one[JWT_GENERATION_BYTES];
    char two[JWT_GENERATION_BYTES];
    (void)state;
    assert_int_equal(jwt_generation("$5$a$b", one), FRUN_OK);
    assert_int_equal(jwt_generation("$5$a$c", two), FRUN_OK);
    assert_int_equal(strlen(one), JWT_GENERATION_BYTES - 1);
    assert_string_not_equal(one, two);
    assert_int_equal(jwt_generation("$5$a$b", two), FRUN_OK);
    assert_string_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_is_accepted),
        cmocka_unit_test(a_foreign_allocator_of_json_does_not_matter),
        cmocka_unit_test(odd_headers_are_refused),
        cmocka_unit_test(odd_claims_are_refused),
        cmocka_unit_test(hmac_with_the_public_key),
        cmocka_unit_test(damaged_tokens_are_refused),
        cmocka_unit_test(a_token_that_would_be_too_long_is_not_made),
        cmocka_unit_test(a_generation_follows_the_hash),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
