/**
 * The tokens of this gateway's pushers: what one is worth now, and a new one.
 *
 * A token is bound to its pusher and to the secret or the certificate's rule it was issued for:
 * both are looked up in the registry each time, so that it dies with either. One that was got with
 * a certificate may be bound to that too (RFC 8705 3).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_BEARER_H
#define FRUN_ACCESS_BEARER_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/oauth/jwt.h"

#include <stdbool.h>
#include <stdint.h>

/** Octets of a token's own name ("jti") with the final NUL. */
#define BEARER_ID_BYTES 33

/** What the scope of every token is. */
#define BEARER_SCOPE "push"

/** What a token is worth. */
struct bearer_verdict {
    const struct pusher *who; /**< whose it is */
    uint64_t until_s;         /**< how long it is good at most, seconds since 1970 */
    bool is_old;              /**< issued for the secret before the present one */
    const char *why;          /**< on failure: what is wrong, constant text */
};

/** By what a client has proved itself. */
struct bearer_proof {
    const char *generation;      /**< of its secret, or of the rule its certificate fits */
    uint64_t until_s;            /**< no token lives longer, seconds since 1970; 0: nothing known */
    const unsigned char *sha256; /**< certificate that the token is bound to, or NULL */
};

/** A new token. */
struct bearer_issued {
    char text[JWT_MAX_BYTES + 1]; /**< the token */
    char id[BEARER_ID_BYTES];     /**< its own name */
    uint64_t lifetime_s;          /**< from now */
};

/** Check a Bearer token: signature, time, pusher, secret or certificate. @param k accepted keys
 * @param r registry @param text as sent @param shown SHA-256 of the connection's certificate, or
 * NULL @param out verdict @return FRUN_OK; FRUN_E_DENIED it is not good, out->why tells;
 * FRUN_E_NOMEM. Thread: any. Source: RFC 6750 3.1; RFC 8705 3. */
frun_err bearer_check(const struct keys *k, const struct registry *r, struct span text,
                      const unsigned char *shown, struct bearer_verdict *out) FRUN_MUST_CHECK;

/** Issue a token. @param k who signs @param r registry @param who for whom @param proof by what
 * @param out token @return FRUN_OK; FRUN_E_DENIED the proof has just ended; FRUN_E_NOT_FOUND no key
 * can sign; FRUN_E_LIMIT; FRUN_E_NOMEM. Thread: any. */
frun_err bearer_issue(const struct keys *k, const struct registry *r, const struct pusher *who,
                      const struct bearer_proof *proof, struct bearer_issued *out) FRUN_MUST_CHECK;

#endif
