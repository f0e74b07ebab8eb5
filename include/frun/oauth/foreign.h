/**
 * Tokens of somebody else: JSON Web Tokens of an identity provider that the administrator trusts.
 *
 * A token is opened first, because its "iss" says whose keys are to be taken; nothing of it is
 * believed before foreign_verify(). What the token itself says about keys ("jku", "jwk", "x5u",
 * "x5c") is never looked at. Members that stand twice, "crit", encryption, a type that is no access
 * token's, and every algorithm that is not allowed refuse it. Pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_FOREIGN_H
#define FRUN_OAUTH_FOREIGN_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/oauth/jwks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest token, octets; with many scopes XSUAA's take several thousand. */
#define FOREIGN_MAX_BYTES 16384

/** Octets of what a token says, as it is shown to an administrator, with the final NUL. */
#define FOREIGN_SEEN_BYTES 160

/** What is wrong with a token. */
enum foreign_fault {
    FOREIGN_GOOD,      /**< nothing */
    FOREIGN_MALFORMED, /**< not a JWT */
    FOREIGN_HEADER,    /**< type, "crit", or an algorithm that is not allowed */
    FOREIGN_ISSUER,    /**< of an issuer that is not known here */
    FOREIGN_KEY,       /**< signed with a key the issuer does not show */
    FOREIGN_SIGNATURE, /**< wrong */
    FOREIGN_AUDIENCE,  /**< for somebody else */
    FOREIGN_EXPIRED,   /**< by its "exp" */
    FOREIGN_EARLY,     /**< by its "nbf" or "iat" */
    FOREIGN_LIFETIME,  /**< longer than allowed, or no "exp" */
    FOREIGN_SCOPE,     /**< a scope is missing */
    FOREIGN_NOBODY,    /**< good, but no pusher is recognised by it */
    FOREIGN_FAULTS     /**< their number */
};

/** Why a token is refused. */
struct foreign_no {
    enum foreign_fault fault;      /**< kind */
    const char *why;               /**< for whoever sent it: constant, without '"' */
    char seen[FOREIGN_SEEN_BYTES]; /**< what it says instead, printable; "" if that is no help */
};

/** What is expected; all borrowed. */
struct foreign_rules {
    const char *const *audience;    /**< one of them must be in "aud" */
    size_t n_audience;              /**< 1.. */
    const char *const *scope;       /**< all of them must be there */
    size_t n_scope;                 /**< 1.. */
    const char *const *scope_claim; /**< in one of these claims each */
    size_t n_scope_claim;           /**< 1.. */
    unsigned algs;                  /**< sum of enum jwks_alg */
    uint64_t skew_s;                /**< how far clocks may be apart, seconds */
    uint64_t max_lifetime_s;        /**< longest life, seconds; 0: any */
};

/** An opened token. */
struct foreign;

/** Open a token: three parts, header and claims read, nothing believed. @param token as sent, must
 * outlive @p out @param out token; foreign_free() it @param no filled on failure @return FRUN_OK;
 * FRUN_E_SYNTAX; FRUN_E_LIMIT too long; FRUN_E_DENIED a header that is not understood or an
 * algorithm that is never allowed; FRUN_E_NOMEM. Thread: any. Source: RFC 7515 4.1, 5.2; RFC 7519
 * 7.2; RFC 8725 3. */
frun_err foreign_open(struct span token, struct foreign **out,
                      struct foreign_no *no) FRUN_MUST_CHECK;

/** Free it. @param f token or NULL. Thread: any. */
void foreign_free(struct foreign *f);

/** What its "iss" says, unproved before foreign_verify(). @param f token @return text, lives with
 * @p f; absent: it says nothing. Thread: any. */
struct span foreign_issuer(const struct foreign *f);

/** Check signature and claims; "iss" is the caller's, who chose @p k by it. @param f token @param k
 * keys of its issuer @param rules what is expected @param now_s the time, seconds since 1970 @param
 * no filled on failure @return FRUN_OK; FRUN_E_NOT_FOUND signed with a key that is not in @p k;
 * FRUN_E_DENIED; FRUN_E_TIMEOUT expired; FRUN_E_NOMEM. Thread: any. Source: RFC 7515 5.2; RFC 7519
 * 4.1. */
frun_err foreign_verify(const struct foreign *f, const struct jwks *k,
                        const struct foreign_rules *rules, uint64_t now_s,
                        struct foreign_no *no) FRUN_MUST_CHECK;

/** When a verified token ends, clock skew included. @param f token @param rules as verified @return
 * seconds since 1970. Thread: any. */
uint64_t foreign_until_s(const struct foreign *f, const struct foreign_rules *rules);

/** For which client was it issued? "azp", "client_id", "cid" or "appid"; where several are there
 * they must agree. @param f verified token @return ID, lives with @p f; absent: none, or they
 * differ. Thread: any. Source: OpenID Connect Core 2; RFC 9068 2.2; SAP XSUAA. */
struct span foreign_client(const struct foreign *f);

/** Its "sub". @param f verified token @return text, lives with @p f; absent: none. Thread: any. */
struct span foreign_subject(const struct foreign *f);

/** Say that no issuer of ours made it. @param f token @param no filled. Thread: any. */
void foreign_no_issuer(const struct foreign *f, struct foreign_no *no);

/** Say that nobody is recognised by it. @param f verified token @param no filled. Thread: any. */
void foreign_no_pusher(const struct foreign *f, struct foreign_no *no);

/** Does a claim have a value: as a text, number or truth value, or in a list? @param f verified
 * token @param name of the claim; "a.b" is member b of a, if there is no claim "a.b" @param value
 * text @return true if so. Thread: any. */
bool foreign_has(const struct foreign *f, struct span name, struct span value);

#endif
