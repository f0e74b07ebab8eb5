/**
 * Who pushes? Basic credentials against password hashes, without ever stopping a worker.
 *
 * crypt(3) runs on helper threads; a verified credential is remembered per worker under a keyed
 * hash of endpoint and Authorization value (SipHash with a key made at start, never the password
 * itself), a refused one for a few seconds. Requests with the same credential that arrive while it
 * is being verified wait for the one verification. OAuth and client certificates will be further
 * sources of the same verdict.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_AUTH_H
#define FRUN_GATEWAY_AUTH_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/span.h"
#include "frun/gateway/registry.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"

#include <stddef.h>

/** Credentials a worker remembers at most; older ones make room. */
#define AUTH_MAX_CACHED 4096

/** How long a verified credential is remembered after its last use, milliseconds. */
#define AUTH_GOOD_MS 600000

/** How long a refused credential is remembered, milliseconds. */
#define AUTH_BAD_MS 5000

/** Longest Authorization value that is looked at, octets. */
#define AUTH_MAX_VALUE 2048

/** What is known of a credential. */
enum auth_verdict {
    AUTH_PENDING, /**< being verified; the waiter will be told */
    AUTH_MISSING, /**< no Authorization, another scheme, or not decodable: 401 */
    AUTH_REFUSED, /**< unknown user or wrong password: 401 */
    AUTH_FOREIGN, /**< a right credential of a pusher that may not use this endpoint: 403 */
    AUTH_GRANTED, /**< may use the endpoint */
    AUTH_BUSY     /**< too many verifications wait: 503 */
};

/** The authenticator of one worker. */
struct auth;

/** Somebody who waits for a verdict; embedded in the exchange. */
struct auth_waiter {
    struct list node; /**< private; list_init() it before use */
    /** Told once: @p verdict is not AUTH_PENDING; @p who is set for GRANTED and FOREIGN. */
    void (*fn)(struct auth_waiter *w, enum auth_verdict verdict, const struct pusher *who);
};

/** Make one. @param l the worker's loop @param o helper threads for hashing, must outlive it @param
 * out authenticator; auth_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS the keyed hash is not
 * available. Thread: worker. */
frun_err auth_new(struct loop *l, struct offload *o, struct auth **out) FRUN_MUST_CHECK;

/** Free it; verifications under way end by themselves, their waiters are not told. @param a
 * authenticator or NULL. Thread: worker. */
void auth_free(struct auth *a);

/** Judge a request. @param a authenticator @param r registry the request pinned @param e endpoint
 * @param authorization value of the Authorization field, or absent @param w told later if the
 * result is AUTH_PENDING @param who out: pusher for GRANTED and FOREIGN @return the verdict.
 * Thread: worker. Source: RFC 7617. */
enum auth_verdict auth_check(struct auth *a, struct registry *r, const struct endpoint *e,
                             struct span authorization, struct auth_waiter *w,
                             const struct pusher **who);

/** Do not wait any more; harmless if not waiting. @param w waiter. Thread: worker. */
void auth_forget(struct auth_waiter *w);

#endif
