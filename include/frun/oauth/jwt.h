/**
 * The tokens we issue: JSON Web Tokens, signed ES256, for one gateway (or several behind one name).
 *
 * Strict on purpose: only what jwt_sign() makes is accepted by jwt_verify(). Another algorithm, an
 * unknown key, "crit", a member that stands twice, padding, a missing claim or another audience
 * refuse the token, and the claims are looked at only after the signature. Pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_JWT_H
#define FRUN_OAUTH_JWT_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/oauth/keys.h"

#include <stddef.h>
#include <stdint.h>

/** Longest token, octets. */
#define JWT_MAX_BYTES 4096

/** Longest client ID, octets without the NUL. */
#define JWT_MAX_CLIENT 255

/** Octets of a generation with the final NUL. */
#define JWT_GENERATION_BYTES 23

/** Octets of a certificate's thumbprint, base64url of its SHA-256, with the final NUL. */
#define JWT_THUMBPRINT_BYTES 44

/** How far the clocks of two gateways may be apart, seconds. */
#define JWT_SKEW_S 60

/** What a token says. */
struct jwt_claims {
    char client_id[JWT_MAX_CLIENT + 1];    /**< "sub", "client_id" and "cid" */
    char generation[JWT_GENERATION_BYTES]; /**< "gen": which secret it was issued for */
    char bound_to[JWT_THUMBPRINT_BYTES];   /**< "cnf", "x5t#S256": the only certificate it is good
                                              with; "": any, or none. RFC 8705 3.1 */
    uint64_t issued_s;                     /**< "iat" and "nbf", seconds since 1970 */
    uint64_t expires_s;                    /**< "exp", seconds since 1970 */
};

/** For whom tokens are. */
struct jwt_realm {
    const char *issuer; /**< "iss" and "aud": the gateway's public URL */
    const char *scope;  /**< "scope" */
};

/**
 * Make a token.
 *
 * @param k        who signs
 * @param realm    for whom
 * @param c        what it says
 * @param jti      its own name, unpredictable
 * @param out      the token with a final NUL
 * @param n        out: its length, octets
 * @return FRUN_OK; FRUN_E_NOT_FOUND no private key; FRUN_E_LIMIT longer than JWT_MAX_BYTES;
 * FRUN_E_NOMEM
 * Thread: any. Source: RFC 7519 4; RFC 7515 3, 5.1; RFC 9068 2.
 */
frun_err jwt_sign(const struct keys *k, const struct jwt_realm *realm, const struct jwt_claims *c,
                  const char *jti, char out[JWT_MAX_BYTES + 1], size_t *n) FRUN_MUST_CHECK;

/**
 * Check a token completely.
 *
 * @param k        whose tokens are accepted
 * @param token    as sent
 * @param realm    for whom it must be
 * @param now_s    the time, seconds since 1970
 * @param out      filled on success
 * @param why      out: on failure what is wrong, constant text without '"' for error_description
 * @return FRUN_OK; FRUN_E_SYNTAX not a token; FRUN_E_LIMIT too long; FRUN_E_DENIED forged, foreign
 * or unknown key; FRUN_E_TIMEOUT expired; FRUN_E_NOMEM
 * Thread: any. Source: RFC 7515 5.2; RFC 7519 7.2; RFC 8725 3.
 */
frun_err jwt_verify(const struct keys *k, struct span token, const struct jwt_realm *realm,
                    uint64_t now_s, struct jwt_claims *out, const char **why) FRUN_MUST_CHECK;

/** The second part of jwt_verify(): read the claims once the signature was good. @param json claims
 * set @param realm for whom it must be @param now_s the time @param out filled on success @param
 * why as for jwt_verify() @return FRUN_OK; FRUN_E_SYNTAX; FRUN_E_DENIED; FRUN_E_TIMEOUT. Thread:
 * any. Source: RFC 7519 4. */
frun_err jwt_claims_read(struct span json, const struct jwt_realm *realm, uint64_t now_s,
                         struct jwt_claims *out, const char **why) FRUN_MUST_CHECK;

/** Which secret is it? A digest of its hash, so that a token dies with the secret it was issued
 * for. @param hash crypt(5) hash @param out text of JWT_GENERATION_BYTES with the NUL @return
 * FRUN_OK; FRUN_E_NOMEM. Thread: any. */
frun_err jwt_generation(const char *hash, char out[JWT_GENERATION_BYTES]) FRUN_MUST_CHECK;

#endif
