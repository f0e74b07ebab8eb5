/**
 * Tokens of identity providers: the shapes XSUAA, IAS, Entra ID and Keycloak write are accepted,
 * everything forged, foreign, old or odd is refused with its reason.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/foreign.h"
#include "issuer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 1800000000U

#define HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k\"}"

#define CLAIMS                                                                                     \
    "\"iss\":\"https://idp.example.com\",\"sub\":\"s\",\"client_id\":\"c\",\"aud\":\"push\","      \
    "\"scope\":\"push\",\"exp\":1800000100"

static const char *const audience[] = {"other", "push"};
static const char *const scope[] = {"push"};
static const char *const scope_claim[] = {"scope", "scp"};

static const struct foreign_rules rules = {.audience = audience,
                                           .n_audience = 2,
                                           .scope = scope,
                                           .n_scope = 1,
                                           .scope_claim = scope_claim,
                                           .n_scope_claim = 2,
                                           .algs = JWKS_RS256 | JWKS_ES256,
                                           .skew_s = 60};

struct bench {
    EVP_PKEY *rsa;
    EVP_PKEY *other;
    EVP_PKEY *ec;
    struct jwks *keys;
};

static int set_up(void **state)
{
    static struct bench b;
    static char text[FIXTURE_SET];
    struct jwks_skipped skipped;
    b.rsa = EVP_RSA_gen(2048);
    b.other = EVP_RSA_gen(2048);
    b.ec = EVP_EC_gen("P-256");
    (void)snprintf(text, sizeof(text), "{\"keys\":[%s,%s,%s]}",
                   fixture_jwk(b.rsa, ",\"kid\":\"k\""), fixture_jwk(b.ec, ",\"kid\":\"e\""),
                   fixture_jwk(b.rsa, ",\"kid\":\"p\",\"alg\":\"PS256\""));
    *state = &b;
    return jwks_parse(span_of(text), &b.keys, &skipped) == FRUN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    EVP_PKEY_free(b->rsa);
    EVP_PKEY_free(b->other);
    EVP_PKEY_free(b->ec);
    jwks_unref(&b->keys);
    return 0;
}

static frun_err verify(const struct bench *b, struct span token, const struct foreign_rules *r,
                       struct foreign_no *no)
{
    struct foreign *f = NULL;
    *no = (struct foreign_no){FOREIGN_GOOD, "", ""};
    frun_err err = foreign_open(token, &f, no);
    err = err ? err : foreign_verify(f, b->keys, r, NOW, no);
    if (err && (!no->why[0] || strchr(no->why, '"'))) {
        fail_msg("no proper reason: %s", no->why);
    }
    foreign_free(f);
    return err;
}

static void headers(void **state)
{
    const struct bench *b = *state;
    static const struct {
        const char *label;
        const char *header;
        const char *alg; /* signed so */
        enum foreign_fault want;
    } rows[] = {
        {"plain", HEADER, "RS256", FOREIGN_GOOD},
        {"no type", "{\"alg\":\"RS256\",\"kid\":\"k\"}", "RS256", FOREIGN_GOOD},
        {"RFC 9068", "{\"typ\":\"at+jwt\",\"alg\":\"RS256\",\"kid\":\"k\"}", "RS256", FOREIGN_GOOD},
        {"long type", "{\"typ\":\"application/at+JWT\",\"alg\":\"RS256\",\"kid\":\"k\"}", "RS256",
         FOREIGN_GOOD},
        {"XSUAA's jku is not looked at",
         "{\"alg\":\"RS256\",\"jku\":\"https://evil.example.com/token_keys\",\"kid\":\"k\"}",
         "RS256", FOREIGN_GOOD},
        {"ES256", "{\"alg\":\"ES256\",\"kid\":\"e\"}", "ES256", FOREIGN_GOOD},
        {"the only key for ES256", "{\"alg\":\"ES256\"}", "ES256", FOREIGN_GOOD},
        {"the only key for RS256", "{\"alg\":\"RS256\"}", "RS256", FOREIGN_GOOD},
        {"unknown key", "{\"alg\":\"RS256\",\"kid\":\"x\"}", "RS256", FOREIGN_KEY},
        {"empty key", "{\"alg\":\"RS256\",\"kid\":\"\"}", "RS256", FOREIGN_KEY},
        {"none", "{\"alg\":\"none\",\"kid\":\"k\"}", "RS256", FOREIGN_HEADER},
        {"nOnE", "{\"alg\":\"nOnE\",\"kid\":\"k\"}", "RS256", FOREIGN_HEADER},
        {"HMAC with the public key", "{\"alg\":\"HS256\",\"kid\":\"k\"}", "HS256", FOREIGN_HEADER},
        {"HMAC signed, RSA said", HEADER, "HS256", FOREIGN_SIGNATURE},
        {"no alg", "{\"kid\":\"k\"}", "RS256", FOREIGN_HEADER},
        {"alg a number", "{\"alg\":1,\"kid\":\"k\"}", "RS256", FOREIGN_HEADER},
        {"allowed elsewhere", "{\"alg\":\"RS512\",\"kid\":\"k\"}", "RS512", FOREIGN_HEADER},
        {"key of another algorithm", "{\"alg\":\"RS256\",\"kid\":\"p\"}", "RS256",
         FOREIGN_SIGNATURE},
        {"key of another type", "{\"alg\":\"RS256\",\"kid\":\"e\"}", "RS256", FOREIGN_SIGNATURE},
        {"another hash than said", HEADER, "RS512", FOREIGN_SIGNATURE},
        {"PSS where PKCS1 is said", HEADER, "PS256", FOREIGN_SIGNATURE},
        {"crit", "{\"alg\":\"RS256\",\"kid\":\"k\",\"crit\":[\"b64\"],\"b64\":false}", "RS256",
         FOREIGN_HEADER},
        {"empty crit", "{\"alg\":\"RS256\",\"kid\":\"k\",\"crit\":[]}", "RS256", FOREIGN_HEADER},
        {"ID token of Keycloak's kind", "{\"typ\":\"ID\",\"alg\":\"RS256\",\"kid\":\"k\"}", "RS256",
         FOREIGN_HEADER},
        {"logout token", "{\"typ\":\"logout+jwt\",\"alg\":\"RS256\",\"kid\":\"k\"}", "RS256",
         FOREIGN_HEADER},
        {"kid a list", "{\"alg\":\"RS256\",\"kid\":[\"k\"]}", "RS256", FOREIGN_HEADER},
        {"alg twice", "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"k\"}", "RS256",
         FOREIGN_MALFORMED},
        {"no object", "[]", "RS256", FOREIGN_MALFORMED},
    };
    char text[FIXTURE_TEXT];
    struct foreign_no no;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *key = strcmp(rows[i].alg, "ES256") == 0 ? b->ec : b->rsa;
        struct span t = fixture_token(key, rows[i].alg, rows[i].header, "{" CLAIMS "}", text);
        frun_err err = verify(b, t, &rules, &no);
        if (no.fault != rows[i].want || (err == FRUN_OK) != (rows[i].want == FOREIGN_GOOD) ||
            (err == FRUN_E_NOT_FOUND) != (rows[i].want == FOREIGN_KEY)) {
            fail_msg("%s: fault %d, %s", rows[i].label, (int)no.fault, no.why);
        }
    }
}

static void claim_sets(void **state)
{
    const struct bench *b = *state;
    static const struct {
        const char *label;
        const char *claims;
        enum foreign_fault want;
        const char *seen; /* NULL: anything */
    } rows[] = {
        {"plain", "{" CLAIMS "}", FOREIGN_GOOD, NULL},
        {"audience a list", "{\"aud\":[\"x\",\"push\"],\"scope\":\"push\",\"exp\":1800000100}",
         FOREIGN_GOOD, NULL},
        {"scope a list", "{\"aud\":\"push\",\"scope\":[\"a\",\"push\"],\"exp\":1800000100}",
         FOREIGN_GOOD, NULL},
        {"scp", "{\"aud\":\"push\",\"scp\":\"a push b\",\"exp\":1800000100}", FOREIGN_GOOD, NULL},
        {"fractions", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":1800000100.5,\"iat\":1.5e9}",
         FOREIGN_GOOD, NULL},
        {"expired within skew", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":1799999941}",
         FOREIGN_GOOD, NULL},
        {"expired", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":1799999940}", FOREIGN_EXPIRED,
         "60 s ago"},
        {"nbf within skew", "{" CLAIMS ",\"nbf\":1800000060}", FOREIGN_GOOD, NULL},
        {"nbf", "{" CLAIMS ",\"nbf\":1800000061}", FOREIGN_EARLY, "in 61 s"},
        {"iat", "{" CLAIMS ",\"iat\":1800000061}", FOREIGN_EARLY, "in 61 s"},
        {"exp a text", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":\"1800000100\"}",
         FOREIGN_LIFETIME, NULL},
        {"exp null", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":null}", FOREIGN_LIFETIME, NULL},
        {"exp huge", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":1e300}", FOREIGN_LIFETIME, NULL},
        {"exp negative", "{\"aud\":\"push\",\"scp\":\"push\",\"exp\":-1}", FOREIGN_LIFETIME, NULL},
        {"no exp", "{\"aud\":\"push\",\"scope\":\"push\"}", FOREIGN_LIFETIME, NULL},
        {"no audience", "{\"scope\":\"push\",\"exp\":1800000100}", FOREIGN_AUDIENCE, ""},
        {"other audience", "{\"aud\":[\"a\",\"b c\"],\"scope\":\"push\",\"exp\":1800000100}",
         FOREIGN_AUDIENCE, "a,b?c"},
        {"audience with more behind", "{\"aud\":\"push x\",\"scope\":\"push\",\"exp\":1800000100}",
         FOREIGN_AUDIENCE, NULL},
        {"audience an object", "{\"aud\":{\"push\":1},\"scope\":\"push\",\"exp\":1800000100}",
         FOREIGN_AUDIENCE, NULL},
        {"no scope", "{\"aud\":\"push\",\"exp\":1800000100}", FOREIGN_SCOPE, ""},
        {"part of a scope", "{\"aud\":\"push\",\"scope\":\"push.read\",\"exp\":1800000100}",
         FOREIGN_SCOPE, "push.read"},
        {"blank in a list", "{\"aud\":\"push\",\"scope\":[\"a push\"],\"exp\":1800000100}",
         FOREIGN_SCOPE, NULL},
        {"twice", "{\"aud\":\"x\"," CLAIMS "}", FOREIGN_MALFORMED, NULL},
        {"twice, deep", "{" CLAIMS ",\"x\":{\"a\":1,\"a\":2}}", FOREIGN_MALFORMED, NULL},
        {"a list", "[{" CLAIMS "}]", FOREIGN_MALFORMED, NULL},
        {"NUL", "{" CLAIMS ",\"x\":\"\\u0000\"}", FOREIGN_MALFORMED, NULL},
        {"more behind", "{" CLAIMS "}{}", FOREIGN_MALFORMED, NULL},
    };
    char text[FIXTURE_TEXT];
    struct foreign_no no;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span t = fixture_token(b->rsa, "RS256", HEADER, rows[i].claims, text);
        frun_err err = verify(b, t, &rules, &no);
        if (no.fault != rows[i].want || (err == FRUN_OK) != (rows[i].want == FOREIGN_GOOD) ||
            (rows[i].seen && strcmp(rows[i].seen, no.seen) != 0)) {
            fail_msg("%s: fault %d, %s, seen %s", rows[i].label, (int)no.fault, no.why, no.seen);
        }
    }
}

static void a_longest_life(void **state)
{
    const struct bench *b = *state;
    struct foreign_rules r = rules;
    struct foreign_no no;
    char text[FIXTURE_TEXT];
    r.max_lifetime_s = 3600;
    struct span t = fixture_token(b->rsa, "RS256", HEADER, "{" CLAIMS ",\"iat\":1799996500}", text);
    assert_int_equal(verify(b, t, &r, &no), FRUN_OK);
    t = fixture_token(b->rsa, "RS256", HEADER, "{" CLAIMS ",\"iat\":1799996499}", text);
    assert_int_equal(verify(b, t, &r, &no), FRUN_E_DENIED);
    assert_int_equal(no.fault, FOREIGN_LIFETIME);
    assert_string_equal(no.seen, "3601 s");
    r.max_lifetime_s = 99;
    t = fixture_token(b->rsa, "RS256", HEADER, "{" CLAIMS "}", text); /* 100 s are left */
    assert_int_equal(verify(b, t, &r, &no), FRUN_E_DENIED);
}

static void forged_and_cut(void **state)
{
    const struct bench *b = *state;
    char text[FIXTURE_TEXT];
    struct foreign_no no;
    struct span t = fixture_token(b->other, "RS256", HEADER, "{" CLAIMS "}", text);
    assert_int_equal(verify(b, t, &rules, &no), FRUN_E_DENIED);
    assert_int_equal(no.fault, FOREIGN_SIGNATURE);
    t = fixture_token(b->rsa, "RS256", HEADER, "{" CLAIMS "}", text);
    assert_int_equal(verify(b, t, &rules, &no), FRUN_OK);
    for (size_t n = 0; n < t.n; n++) { /* whatever is missing, it is no token */
        if (verify(b, span_head(t, n), &rules, &no) == FRUN_OK) {
            fail_msg("cut at %zu", n);
        }
    }
    for (size_t i = 0; i < t.n; i++) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        if (verify(b, t, &rules, &no) == FRUN_OK) {
            fail_msg("changed at %zu", i);
        }
        text[i] = was;
    }
    char *huge = calloc(1, FOREIGN_MAX_BYTES + 2);
    assert_non_null(huge);
    memset(huge, 'A', FOREIGN_MAX_BYTES + 1);
    assert_int_equal(verify(b, span_of(huge), &rules, &no), FRUN_E_LIMIT);
    huge[FOREIGN_MAX_BYTES] = '\0';
    huge[1] = huge[FOREIGN_MAX_BYTES - 2] = '.';
    assert_int_equal(verify(b, span_of(huge), &rules, &no), FRUN_E_SYNTAX);
    free(huge);
    assert_int_equal(verify(b, SPAN_LIT("a.b.c.d.e"), &rules, &no), FRUN_E_SYNTAX);
    assert_int_equal(verify(b, SPAN_LIT("e30.e30."), &rules, &no), FRUN_E_SYNTAX);
}

static void who_it_is(void **state)
{
    static const struct {
        const char *claims;
        const char *client; /* NULL: none */
    } rows[] = {
        {"{\"azp\":\"a\"}", "a"},
        {"{\"client_id\":\"a\"}", "a"},
        {"{\"cid\":\"a\"}", "a"},
        {"{\"appid\":\"a\"}", "a"},
        {"{\"azp\":\"a\",\"cid\":\"a\",\"client_id\":\"a\"}", "a"},
        {"{\"azp\":\"a\",\"cid\":\"b\"}", NULL},
        {"{\"azp\":\"a\",\"cid\":1}", NULL},
        {"{\"azp\":null}", NULL},
        {"{\"sub\":\"a\"}", NULL},
    };
    const struct bench *b = *state;
    char text[FIXTURE_TEXT];
    struct foreign *f = NULL;
    struct foreign_no no;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span t = fixture_token(b->ec, "ES256", HEADER, rows[i].claims, text);
        assert_int_equal(foreign_open(t, &f, &no), FRUN_OK);
        struct span client = foreign_client(f);
        if (rows[i].client ? !span_eq(client, span_of(rows[i].client)) : client.p != NULL) {
            fail_msg("%s: %.*s", rows[i].claims, SPAN_FMT(client));
        }
        foreign_free(f);
    }
}

static void claims_by_name(void **state)
{
    static const char claims[] =
        "{\"iss\":\"https://idp.example.com\",\"sub\":\"s\",\"zid\":\"acme\",\"n\":7,\"yes\":true,"
        "\"list\":[\"a\",\"b\"],\"ext_attr\":{\"zdn\":\"acme\"},\"https://x.y/t\":\"u\",\"o\":{}}";
    static const struct {
        const char *name;
        const char *value;
        bool want;
    } rows[] = {
        {"zid", "acme", true},
        {"zid", "acm", false},
        {"zid", "acme2", false},
        {"zid", "", false},
        {"n", "7", true},
        {"n", "70", false},
        {"yes", "true", true},
        {"yes", "false", false},
        {"list", "b", true},
        {"list", "c", false},
        {"list", "a,b", false},
        {"ext_attr.zdn", "acme", true},
        {"ext_attr.x", "acme", false},
        {"ext_attr", "acme", false},
        {"https://x.y/t", "u", true},
        {"none", "", false},
        {"o", "", false},
        {"", "", false},
        {".", "", false},
        {"zid.x", "acme", false},
    };
    const struct bench *b = *state;
    char text[FIXTURE_TEXT];
    struct foreign *f = NULL;
    struct foreign_no no;
    struct span t = fixture_token(b->ec, "ES256", HEADER, claims, text);
    assert_int_equal(foreign_open(t, &f, &no), FRUN_OK);
    assert_true(span_eq(foreign_issuer(f), SPAN_LIT("https://idp.example.com")));
    assert_true(span_eq(foreign_subject(f), SPAN_LIT("s")));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (foreign_has(f, span_of(rows[i].name), span_of(rows[i].value)) != rows[i].want) {
            fail_msg("%s=%s", rows[i].name, rows[i].value);
        }
    }
    foreign_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),        cmocka_unit_test(claim_sets),
        cmocka_unit_test(a_longest_life), cmocka_unit_test(forged_and_cut),
        cmocka_unit_test(who_it_is),      cmocka_unit_test(claims_by_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
