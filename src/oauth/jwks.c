/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/jwks.h"

#include "ecdsa_int.h"
#include "frun/base/text.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/** Shortest and longest modulus: what is shorter can be broken, what is longer makes each wrong
 * token expensive. Bits. */
#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192

/** Longest public exponent, bits; OpenSSL would otherwise verify with one as long as the modulus.
 */
#define EXPONENT_MAX_BITS 33

/** Octets of the longest member of a key: a modulus. */
#define MEMBER_MAX_BYTES (RSA_MAX_BITS / 8 + 1)

#define RSA_ALGS (JWKS_RS256 | JWKS_RS384 | JWKS_RS512 | JWKS_PS256)

struct jwk {
    struct jwks_info info;
    EVP_PKEY *pkey;
};

struct jwks {
    atomic_int refs;
    size_t n;
    struct jwk list[];
};

/* What an algorithm needs. */
static const struct alg {
    const char *name;
    unsigned alg;
    const char *curve;  /* ECDSA: OpenSSL's name */
    size_t point_bytes; /* ECDSA: of a coordinate */
    const EVP_MD *(*md)(void);
} algs[] = {
    {"RS256", JWKS_RS256, NULL, 0, EVP_sha256},     {"RS384", JWKS_RS384, NULL, 0, EVP_sha384},
    {"RS512", JWKS_RS512, NULL, 0, EVP_sha512},     {"PS256", JWKS_PS256, NULL, 0, EVP_sha256},
    {"ES256", JWKS_ES256, "P-256", 32, EVP_sha256}, {"ES384", JWKS_ES384, "P-384", 48, EVP_sha384},
};

unsigned jwks_alg(struct span name)
{
    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (span_eq(name, span_of(algs[i].name))) {
            return algs[i].alg;
        }
    }
    return 0;
}

static const struct alg *find_alg(unsigned alg)
{
    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (algs[i].alg == alg) {
            return &algs[i];
        }
    }
    return NULL;
}

/* -- one key
 * -----------------------------------------------------------------------------------------------------
 */

static struct span text_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return span_make(json_string_value(v), json_string_length(v));
}

/* A base64url member as octets. */
static bool octets_at(const json_t *object, const char *key, unsigned char *out, size_t *n)
{
    char room[MEMBER_MAX_BYTES + 4];
    struct span text = text_at(object, key);
    if (text.n == 0 || text.n / 4 * 3 + 3 > sizeof(room) ||
        text_base64url_decode(text, room, n) != FRUN_OK || *n == 0 || *n > MEMBER_MAX_BYTES) {
        return false;
    }
    memcpy(out, room, *n);
    return true;
}

static EVP_PKEY *make_pkey(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *c = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (c && EVP_PKEY_fromdata_init(c) == 1) {
        (void)EVP_PKEY_fromdata(c, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    }
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    return pkey;
}

static const char *read_rsa(const json_t *object, struct jwk *key)
{
    unsigned char octets[MEMBER_MAX_BYTES];
    size_t len = 0;
    const char *why = "an RSA key lacks its modulus or exponent";
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = octets_at(object, "n", octets, &len) ? BN_bin2bn(octets, (int)len, NULL) : NULL;
    BIGNUM *e = octets_at(object, "e", octets, &len) ? BN_bin2bn(octets, (int)len, NULL) : NULL;
    if (!n || !e || !build) {
        goto out;
    }
    key->info.kind = "RSA";
    key->info.bits = (unsigned)BN_num_bits(n);
    key->info.algs = RSA_ALGS;
    if (key->info.bits < RSA_MIN_BITS || key->info.bits > RSA_MAX_BITS) {
        why = "an RSA key is shorter than 2048 or longer than 8192 bits";
    } else if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) ||
               BN_num_bits(e) > EXPONENT_MAX_BITS) {
        why = "an RSA key has a modulus or exponent that cannot be right";
    } else if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
               OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        key->pkey = make_pkey("RSA", build);
        why = "an RSA key is not understood";
    }
out:
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(build);
    return why;
}

static const char *read_ec(const json_t *object, struct jwk *key)
{
    unsigned char point[1 + 2 * (MEMBER_MAX_BYTES)];
    size_t n_x = 0;
    size_t n_y = 0;
    struct span curve = text_at(object, "crv");
    const struct alg *a = NULL;
    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (algs[i].curve && span_eq(curve, span_of(algs[i].curve))) {
            a = &algs[i];
        }
    }
    if (!a) {
        return "an EC key is on another curve than P-256 and P-384";
    }
    point[0] = 4; /* uncompressed */
    if (!octets_at(object, "x", point + 1, &n_x) || n_x != a->point_bytes ||
        !octets_at(object, "y", point + 1 + n_x, &n_y) || n_y != a->point_bytes) {
        return "an EC key lacks a coordinate";
    }
    key->info.kind = "EC";
    key->info.bits = (unsigned)a->point_bytes * 8;
    key->info.algs = a->alg;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, a->curve, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + n_x + n_y) ==
            1) {
        key->pkey = make_pkey("EC", build); /* refuses a point that is not on the curve */
    }
    OSSL_PARAM_BLD_free(build);
    return "the point of an EC key is not on its curve";
}

/* "use" and "key_ops" may say that a key does not verify signatures. */
static bool is_for_verifying(const json_t *object)
{
    const json_t *use = json_object_get(object, "use");
    const json_t *ops = json_object_get(object, "key_ops");
    bool is_it = !ops;
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *one = json_array_get(ops, i);
        is_it |= json_is_string(one) && strcmp(json_string_value(one), "verify") == 0;
    }
    return is_it && (!use || span_eq(text_at(object, "use"), SPAN_LIT("sig")));
}

/* NULL: the key is good; else why it is left out. */
static const char *read_key(const json_t *object, struct jwk *key)
{
    struct span kind = text_at(object, "kty");
    struct span id = text_at(object, "kid");
    struct span name = text_at(object, "alg");
    const char *why = "a key is neither RSA nor EC";
    *key = (struct jwk){.info = {.id = ""}};
    if (!is_for_verifying(object)) {
        return "a key is not for signatures";
    }
    if (id.n >= JWKS_ID_BYTES) {
        return "the name of a key is too long";
    }
    if (span_eq(kind, SPAN_LIT("RSA"))) {
        why = read_rsa(object, key);
    } else if (span_eq(kind, SPAN_LIT("EC"))) {
        why = read_ec(object, key);
    }
    if (!key->pkey) {
        ERR_clear_error();
        return why;
    }
    key->info.algs &= name.p ? jwks_alg(name) : key->info.algs;
    if (!key->info.algs) {
        EVP_PKEY_free(key->pkey);
        key->pkey = NULL;
        return "a key is for an algorithm that is not used here";
    }
    if (id.n) {
        memcpy(key->info.id, id.p, id.n);
    }
    return NULL;
}

/* -- the set
 * -----------------------------------------------------------------------------------------------------
 */

static const struct jwk *find(const struct jwks *k, struct span id, unsigned alg)
{
    for (size_t i = 0; i < k->n; i++) {
        if (k->list[i].info.algs & alg && span_eq(id, span_of(k->list[i].info.id))) {
            return &k->list[i];
        }
    }
    return NULL;
}

static void take_keys(const json_t *keys, struct jwks *k, struct jwks_skipped *skipped)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        struct jwk *key = &k->list[k->n];
        const char *why = read_key(json_array_get(keys, i), key);
        if (!why && key->info.id[0] && find(k, span_of(key->info.id), key->info.algs)) {
            EVP_PKEY_free(key->pkey);
            why = "two keys have the same name";
        }
        if (why) {
            skipped->n++;
            skipped->why = skipped->why ? skipped->why : why;
        } else {
            k->n++;
        }
    }
}

frun_err jwks_parse(struct span json, struct jwks **out, struct jwks_skipped *skipped)
{
    if (json.n > JWKS_MAX_BYTES) {
        return FRUN_E_LIMIT;
    }
    json_t *root = json.n ? json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *keys = json_object_get(root, "keys");
    size_t n = json_array_size(keys);
    frun_err err = !json_is_array(keys) ? FRUN_E_SYNTAX
                   : n > JWKS_MAX_KEYS  ? FRUN_E_LIMIT
                                        : FRUN_OK;
    struct jwks *k = err ? NULL : calloc(1, sizeof(*k) + (n + 1) * sizeof(k->list[0]));
    if (!err && !k) {
        err = FRUN_E_NOMEM;
    }
    if (!err) {
        *skipped = (struct jwks_skipped){0, NULL};
        atomic_init(&k->refs, 1);
        take_keys(keys, k, skipped);
        err = k->n ? FRUN_OK : FRUN_E_NOT_FOUND;
    }
    json_decref(root);
    if (err) {
        jwks_unref(&k);
        return err;
    }
    *out = k;
    return FRUN_OK;
}

struct jwks *jwks_ref(struct jwks *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void jwks_unref(struct jwks **k)
{
    struct jwks *gone = *k;
    *k = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < gone->n; i++) {
        EVP_PKEY_free(gone->list[i].pkey);
    }
    free(gone);
}

size_t jwks_count(const struct jwks *k)
{
    return k->n;
}

const struct jwks_info *jwks_at(const struct jwks *k, size_t i)
{
    return &k->list[i].info;
}

bool jwks_same(const struct jwks *a, const struct jwks *b)
{
    bool is_same = a && a->n == b->n;
    for (size_t i = 0; is_same && i < a->n; i++) {
        is_same = strcmp(a->list[i].info.id, b->list[i].info.id) == 0 &&
                  a->list[i].info.algs == b->list[i].info.algs &&
                  EVP_PKEY_eq(a->list[i].pkey, b->list[i].pkey) == 1;
    }
    return is_same;
}

/* -- signatures
 * --------------------------------------------------------------------------------------------------
 */

/* The key a token means. */
static frun_err choose(const struct jwks *k, unsigned alg, struct span id, const struct jwk **out)
{
    const struct jwk *found = NULL;
    bool is_named = false;
    if (id.p) {
        found = id.n ? find(k, id, alg) : NULL;
        for (size_t i = 0; !found && i < k->n; i++) {
            is_named |= id.n && span_eq(id, span_of(k->list[i].info.id));
        }
        *out = found;
        return found ? FRUN_OK : is_named ? FRUN_E_UNSUPPORTED : FRUN_E_NOT_FOUND;
    }
    for (size_t i = 0; i < k->n; i++) {
        if (k->list[i].info.algs & alg) {
            if (found) {
                return FRUN_E_NOT_FOUND;
            }
            found = &k->list[i];
        }
    }
    *out = found;
    return found ? FRUN_OK : FRUN_E_NOT_FOUND;
}

static frun_err check(const struct jwk *key, const struct alg *a, struct span text,
                      const unsigned char *signature, size_t n)
{
    EVP_PKEY_CTX *p = NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    frun_err err = FRUN_E_NOMEM;
    bool is_ready = c && EVP_DigestVerifyInit(c, &p, a->md(), NULL, key->pkey) == 1;
    if (is_ready && a->alg == JWKS_PS256) {
        is_ready = EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
                   EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    if (is_ready) {
        err = EVP_DigestVerify(c, signature, n, (const unsigned char *)text.p, text.n) == 1
                  ? FRUN_OK
                  : FRUN_E_DENIED;
    }
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return err;
}

frun_err jwks_verify(const struct jwks *k, unsigned alg, struct span id, struct span text,
                     struct span signature)
{
    const struct jwk *key = NULL;
    const struct alg *a = find_alg(alg);
    if (!a) {
        return FRUN_E_UNSUPPORTED;
    }
    frun_err err = choose(k, alg, id, &key);
    if (err) {
        return err;
    }
    if (!a->curve) {
        return signature.n == (size_t)EVP_PKEY_get_size(key->pkey)
                   ? check(key, a, text, (const unsigned char *)signature.p, signature.n)
                   : FRUN_E_DENIED;
    }
    unsigned char *der = NULL;
    size_t n = 0;
    if (signature.n != 2 * a->point_bytes) {
        return FRUN_E_DENIED;
    }
    err = ecdsa_to_der(signature, &der, &n);
    err = err ? err : check(key, a, text, der, n);
    OPENSSL_free(der);
    return err;
}
