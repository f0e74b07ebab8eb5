/**
 * An identity provider for unit tests: keys of every kind, their JWKs, and tokens signed with them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_ISSUER_FIXTURE_H
#define FRUN_TESTS_ISSUER_FIXTURE_H

#include "frun/base/span.h"
#include "frun/base/text.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a token or a key. */
#define FIXTURE_TEXT 8192

/** Octets of a key set. */
#define FIXTURE_SET (4 * FIXTURE_TEXT)

/** A public number of a key as base64url. */
static inline void fixture_number(const EVP_PKEY *k, const char *name, int width, char *out)
{
    unsigned char octets[1100];
    BIGNUM *n = NULL;
    if (EVP_PKEY_get_bn_param(k, name, &n) != 1) {
        abort();
    }
    int len = width ? BN_bn2binpad(n, octets, width) : BN_bn2bin(n, octets);
    (void)text_base64url(span_make(octets, (size_t)len), out);
    BN_free(n);
}

/** A key's JWK with more members behind. */
static inline const char *fixture_jwk(const EVP_PKEY *k, const char *more)
{
    static char out[4][FIXTURE_TEXT];
    static unsigned turn;
    char a[2048];
    char b[2048];
    char *to = out[turn++ & 3];
    if (EVP_PKEY_is_a(k, "RSA")) {
        fixture_number(k, OSSL_PKEY_PARAM_RSA_N, 0, a);
        fixture_number(k, OSSL_PKEY_PARAM_RSA_E, 0, b);
        (void)snprintf(to, FIXTURE_TEXT, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}", a, b,
                       more);
        return to;
    }
    int width = (EVP_PKEY_get_bits(k) + 7) / 8;
    fixture_number(k, OSSL_PKEY_PARAM_EC_PUB_X, width, a);
    fixture_number(k, OSSL_PKEY_PARAM_EC_PUB_Y, width, b);
    (void)snprintf(to, FIXTURE_TEXT,
                   "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                   EVP_PKEY_get_bits(k), a, b, more);
    return to;
}

/** Sign as "alg" says; for HS256 the key is the text of the public key. */
static inline size_t fixture_sign(EVP_PKEY *k, const char *alg, struct span text,
                                  unsigned char *out)
{
    const EVP_MD *md = strstr(alg, "384")   ? EVP_sha384()
                       : strstr(alg, "512") ? EVP_sha512()
                                            : EVP_sha256();
    unsigned char raw[1100];
    size_t n = sizeof(raw);
    if (alg[0] == 'H') {
        const char *jwk = fixture_jwk(k, "");
        unsigned len = 0;
        (void)HMAC(md, jwk, (int)strlen(jwk), (const unsigned char *)text.p, text.n, out, &len);
        return len;
    }
    EVP_PKEY_CTX *p = NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(c, &p, md, NULL, k) != 1 ||
        (alg[0] == 'P' && (EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) != 1 ||
                           EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) != 1)) ||
        EVP_DigestSign(c, raw, &n, (const unsigned char *)text.p, text.n) != 1) {
        abort();
    }
    EVP_MD_CTX_free(c);
    if (EVP_PKEY_is_a(k, "RSA")) {
        memcpy(out, raw, n);
        return n;
    }
    const unsigned char *at = raw;
    int half = EVP_PKEY_get_bits(k) / 8;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)n);
    (void)BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half);
    (void)BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half);
    ECDSA_SIG_free(pair);
    return (size_t)half * 2;
}

/** A token of these two JSON texts, signed as @p alg says whatever the header says. */
static inline struct span fixture_token(EVP_PKEY *k, const char *alg, const char *header,
                                        const char *claims, char out[FIXTURE_TEXT])
{
    unsigned char signature[1100];
    size_t n = text_base64url(span_of(header), out);
    out[n++] = '.';
    n += text_base64url(span_of(claims), out + n);
    size_t len = fixture_sign(k, alg, span_make(out, n), signature);
    out[n++] = '.';
    n += text_base64url(span_make(signature, len), out + n);
    return span_make(out, n);
}

#endif
