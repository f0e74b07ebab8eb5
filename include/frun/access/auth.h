/**
 * Who pushes? Basic credentials against password hashes, Bearer tokens against our own signing
 * keys or those of issuers, without ever stopping a worker.
 *
 * crypt(3) runs on helper threads; a verified credential is remembered per worker under a keyed
 * hash of endpoint and Authorization value (SipHash with a key made at start, never the password
 * itself), a refused one for a few seconds. Requests with the same credential that arrive while it
 * is being verified wait for the one verification. A token is verified on the worker at its first
 * use (70 microseconds measured, forged or not, nearly all of it ECDSA) and remembered in the same
 * way. What ends at a time of the wall clock, a token or an old password, is looked at again at
 * least every AUTH_GOOD_MS. Client certificates (identity.h) lead to the same verdicts.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_AUTH_H
#define FRUN_ACCESS_AUTH_H

#include "frun/access/guests.h"
#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/span.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/oauth/keys.h"

#include <stdbool.h>
#include <stddef.h>

/** Credentials a worker remembers at most, in 300 KiB. Up to that many are verified once for as
 * long as they are in use; of more, some are verified again (memo.h). */
#define AUTH_MAX_CACHED 4096

/** How long a verified credential is remembered after its last use, milliseconds; one that ends at
 * a time of the wall clock, after it was verified. */
#define AUTH_GOOD_MS 600000

/** How long a refused credential is remembered, milliseconds. */
#define AUTH_BAD_MS 5000

/** Longest Authorization value that is looked at, octets. */
#define AUTH_MAX_VALUE 2048

/** What is known of a credential. */
enum auth_verdict {
    AUTH_PENDING,   /**< being verified; the waiter will be told */
    AUTH_MISSING,   /**< no Authorization, another scheme, or not decodable: 401 */
    AUTH_REFUSED,   /**< unknown user or wrong password: 401 */
    AUTH_BAD_TOKEN, /**< a Bearer token that is not good: 401 with the reason */
    AUTH_FOREIGN,   /**< a right credential of a pusher that may not use this endpoint: 403 */
    AUTH_GRANTED,   /**< may use the endpoint */
    AUTH_NO_KEYS,   /**< a token whose issuer's keys are not here: 503 */
    AUTH_BUSY       /**< too many verifications wait: 503 */
};

/** The authenticator of one worker. */
struct auth;

/** Somebody who waits for a verdict; embedded in the exchange. */
struct auth_waiter {
    struct list node; /**< private; list_init() it before use */
    unsigned way;     /**< out: enum conf_auth that was tried, 0: none; set with the verdict */
    bool is_old;      /**< out: proved by the password or secret before the present one */
    const char *why;  /**< out: BAD_TOKEN: what is wrong, constant text */
    const unsigned char *shown; /**< in: SHA-256 of the connection's certificate, or NULL */
    struct span from;           /**< in: IP address of the sender, absent if unknown; borrowed */
    struct guest guest;         /**< private; zero before the first use */
    struct auth *auth;          /**< private */
    /** Told once: @p verdict is not AUTH_PENDING; @p who is set for GRANTED and FOREIGN. */
    void (*fn)(struct auth_waiter *w, enum auth_verdict verdict, const struct pusher *who);
};

/** Make one. @param l the worker's loop @param o helper threads for hashing, must outlive it @param
 * out authenticator; auth_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err auth_new(struct loop *l, struct offload *o, struct auth **out) FRUN_MUST_CHECK;

/** Free it; verifications under way end by themselves, their waiters are not told. @param a
 * authenticator or NULL. Thread: worker. */
void auth_free(struct auth *a);

/** Use this registry from now on: what is known of credentials that it takes as well goes over to
 * it, so that nobody is verified again; all the rest is forgotten. Requests that pinned another
 * registry are judged by that, without memory. Before the first call any registry is the present
 * one. @param a authenticator @param r registry, borrowed until the next call; that of the call
 * before still lives. Thread: worker. */
void auth_set_registry(struct auth *a, const struct registry *r);

/** Judge a request. @param a authenticator @param r registry the request pinned @param e endpoint
 * @param authorization value of the Authorization field, or absent @param w told later if the
 * result is AUTH_PENDING @param who out: pusher for GRANTED and FOREIGN @return the verdict.
 * Thread: worker. Source: RFC 7617; RFC 6750 2.1. */
enum auth_verdict auth_check(struct auth *a, struct registry *r, const struct endpoint *e,
                             struct span authorization, struct auth_waiter *w,
                             const struct pusher **who);

/** Judge a client at the token endpoint, by the same rules and at the same price as a user with a
 * password. @param a authenticator @param r registry the request pinned @param client_id as sent
 * @param secret as sent, without NUL @param w told later if the result is AUTH_PENDING @param who
 * out: pusher for GRANTED @return PENDING, REFUSED, GRANTED or BUSY. Thread: worker. Source: RFC
 * 6749 2.3.1. */
enum auth_verdict auth_client(struct auth *a, struct registry *r, struct span client_id,
                              struct span secret, struct auth_waiter *w, const struct pusher **who);

/** Use this key set from now on. What was remembered of tokens is forgotten, because the key of
 * one may have gone. @param a authenticator @param k set, one reference is taken; NULL: no tokens
 * any more. Thread: worker.
 */
void auth_set_keys(struct auth *a, struct keys *k);

/** The present key set. @param a authenticator @return set, borrowed until the next pass; NULL: no
 * tokens here. Thread: worker. */
struct keys *auth_keys(const struct auth *a);

/** Fresh keys of an issuer are here, or could not be had: whoever waits for them is judged. @param
 * a authenticator. Thread: worker. */
void auth_on_issuers(struct auth *a);

/** Do not wait any more; harmless if not waiting. @param w waiter. Thread: worker. */
void auth_forget(struct auth_waiter *w);

#endif
