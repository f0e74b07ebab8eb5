/**
 * The public keys of somebody else who signs tokens: a JWK set as an identity provider shows it.
 *
 * Read once, then immutable and counted, so that any thread may verify with it without a lock; a
 * refreshed set is another set. What cannot verify a signature (encryption keys, symmetric keys,
 * RSA below 2048 bits, unknown curves) is left out and counted, never half accepted. A key verifies
 * the algorithms of its own type alone, so that a public key is never taken for the secret of an
 * HMAC.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_JWKS_H
#define FRUN_OAUTH_JWKS_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>

/** Keys of a set at most; above it the set is refused. */
#define JWKS_MAX_KEYS 64

/** Octets of a set at most. */
#define JWKS_MAX_BYTES ((size_t)256 * 1024)

/** Octets of a key ID with the final NUL; a key with a longer one is left out. */
#define JWKS_ID_BYTES 256

/** Signature algorithms; several are a sum. "none" and HMAC are not among them, on purpose. */
enum jwks_alg {
    JWKS_RS256 = 1,  /**< RSASSA-PKCS1-v1_5, SHA-256 */
    JWKS_RS384 = 2,  /**< RSASSA-PKCS1-v1_5, SHA-384 */
    JWKS_RS512 = 4,  /**< RSASSA-PKCS1-v1_5, SHA-512 */
    JWKS_PS256 = 8,  /**< RSASSA-PSS, SHA-256 */
    JWKS_ES256 = 16, /**< ECDSA on P-256, SHA-256 */
    JWKS_ES384 = 32  /**< ECDSA on P-384, SHA-384 */
};

/** A set. */
struct jwks;

/** What is known of one key. */
struct jwks_info {
    char id[JWKS_ID_BYTES]; /**< "kid"; "": it has none */
    const char *kind;       /**< "RSA" or "EC", constant */
    unsigned bits;          /**< of the modulus or the curve */
    unsigned algs;          /**< sum of enum jwks_alg it verifies */
};

/** What was left out of a set. */
struct jwks_skipped {
    size_t n;        /**< keys */
    const char *why; /**< of the first one, constant text; NULL: none was */
};

/** Which algorithm has that name? @param name as in "alg" @return enum jwks_alg; 0: none that is
 * allowed. Thread: any. Source: RFC 7518 3.1. */
unsigned jwks_alg(struct span name);

/** Read a set. @param json {"keys":[...]} @param out set with at least one key; jwks_unref() it
 * @param skipped filled on success and for NOT_FOUND: what was left out @return FRUN_OK;
 * FRUN_E_SYNTAX not a JWK set; FRUN_E_LIMIT too long or more than JWKS_MAX_KEYS; FRUN_E_NOT_FOUND
 * no key in it can be used; FRUN_E_NOMEM. Thread: any but a worker. Source: RFC 7517 4, 5; RFC 7518
 * 6. */
frun_err jwks_parse(struct span json, struct jwks **out,
                    struct jwks_skipped *skipped) FRUN_MUST_CHECK;

/** One more reference. @param k set @return @p k. Thread: any. */
struct jwks *jwks_ref(struct jwks *k);

/** Give a reference back and forget it. @param k address of the reference, may hold NULL. Thread:
 * any. */
void jwks_unref(struct jwks **k);

/** How many keys? @param k set @return their number. Thread: any. */
size_t jwks_count(const struct jwks *k);

/** A key. @param k set @param i 0.. @return it, lives with the set. Thread: any. */
const struct jwks_info *jwks_at(const struct jwks *k, size_t i);

/** Do two sets hold the same keys in the same order? @param a set or NULL @param b set @return true
 * if so. Thread: any. */
bool jwks_same(const struct jwks *a, const struct jwks *b);

/** Verify a signature. @param k set @param alg one enum jwks_alg, the token's @param id the token's
 * "kid"; absent: the only key for that algorithm is taken @param text what was signed @param
 * signature octets @return FRUN_OK; FRUN_E_NOT_FOUND no such key, or none was named and there are
 * several; FRUN_E_UNSUPPORTED the key is not for that algorithm; FRUN_E_DENIED the signature is
 * wrong; FRUN_E_NOMEM. Thread: any. Source: RFC 7515 5.2; RFC 7518 3; RFC 8725 3.1. */
frun_err jwks_verify(const struct jwks *k, unsigned alg, struct span id, struct span text,
                     struct span signature) FRUN_MUST_CHECK;

#endif
