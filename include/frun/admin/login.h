/**
 * Who logs on to the page: one user, HTTP Basic, crypt(5).
 *
 * Hashing runs on a helper thread. A right credential is remembered for a while by a keyed hash, so
 * that a page that asks every second costs nothing. Wrong ones are counted by address: after
 * LOGIN_MAX_FAILURES nothing of it is verified for LOGIN_LOCK_MS. An unknown user takes as long as
 * a wrong password. Owned by the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_LOGIN_H
#define FRUN_ADMIN_LOGIN_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/loop/loop.h"

#include <stdbool.h>

/** Wrong logins of one address in a row before it has to wait. */
#define LOGIN_MAX_FAILURES 5

/** So long it has to wait, milliseconds. */
#define LOGIN_LOCK_MS 30000

/** A right credential is not verified again for so long, milliseconds. */
#define LOGIN_REMEMBER_MS 600000

/** Verifications under way at most. */
#define LOGIN_MAX_JOBS 8

/** Longest Authorization value, octets. */
#define LOGIN_MAX_VALUE 1024

/** What is known of a credential. */
enum login_verdict {
    LOGIN_PENDING, /**< being verified; the waiter will be told */
    LOGIN_GRANTED, /**< it is right */
    LOGIN_REFUSED, /**< it is wrong, or no Basic credential */
    LOGIN_LOCKED,  /**< too many wrong ones came from this address */
    LOGIN_BUSY     /**< too many are being verified */
};

/** The login. */
struct login;

/** Told once. @param ctx the caller's @param verdict GRANTED, REFUSED or BUSY. */
typedef void (*login_fn)(void *ctx, enum login_verdict verdict);

/** Make one. @param l loop @param out login; login_free() it @return FRUN_OK; FRUN_E_NOMEM;
 * FRUN_E_IO no thread to be had. Thread: main. */
frun_err login_new(struct loop *l, struct login **out) FRUN_MUST_CHECK;

/** Free it; who waits is told BUSY. @param x login or NULL. Thread: owner. */
void login_free(struct login *x);

/** Say who may log on from now on; what was verified is forgotten if it is somebody else. @param x
 * login
 * @param user name, copied @param hash crypt(5), copied @return FRUN_OK; FRUN_E_NOMEM, nothing has
 * changed. Thread: owner. */
frun_err login_set(struct login *x, const char *user, const char *hash) FRUN_MUST_CHECK;

/** Judge a credential. @param x login @param authorization value of the field @param from address
 * without port, counted @param fn told if the result is PENDING @param ctx for it @return the
 * verdict. Thread: owner. Source: RFC 7617. */
enum login_verdict login_check(struct login *x, struct span authorization, const char *from,
                               login_fn fn, void *ctx);

#endif
