/**
 * Certificates of principals kept ready: made on a helper thread when a name is first seen, renewed
 * while the old one is still good, forgotten when others are used more.
 *
 *     unknown --first request--> making --> ready --last quarter of its life--> ready, renewing
 *                                   \--failed: all who wait are told, forgotten
 *
 * At most PRINCIPALS_MAX names; the one that was used the longest ago makes room. One back end's in
 * one worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_PRINCIPALS_H
#define FRUN_CONNECTOR_PRINCIPALS_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/span.h"
#include "frun/connector/shortcert.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"

#include <stddef.h>

/** Names whose certificates are kept. */
#define PRINCIPALS_MAX 256

/** Certificates of one back end. */
struct principals;

/** Who waits for a certificate. Its node is initialised by its owner with list_init(). */
struct principals_waiter {
    struct list node; /**< private */
    /** It is there, or will not be: FRUN_OK with @p text, which lives until the return; else the
     * code of shortcert_make(), or FRUN_E_CLOSED. */
    void (*fn)(struct principals_waiter *w, frun_err err, struct span text);
};

/** Make an empty set. @param l loop @param o helper threads that sign, must outlive it @param ca
 * CA, one reference is taken @param out set; principals_free() it @return FRUN_OK; FRUN_E_NOMEM.
 * Thread: owner of @p l. */
frun_err principals_new(struct loop *l, struct offload *o, struct shortcert_ca *ca,
                        struct principals **out) FRUN_MUST_CHECK;

/** Forget all; who waits is told FRUN_E_CLOSED. @param p set or NULL. Thread: owner. */
void principals_free(struct principals *p);

/**
 * Get the certificate of a name.
 *
 * @param p        set
 * @param name     principal, at most SHORTCERT_NAME_BYTES
 * @param w        told later after FRUN_E_AGAIN, never from within; principals_forget() ends it
 * @param text     out: value of SSL_CLIENT_CERT, lives until the loop turns
 * @return FRUN_OK; FRUN_E_AGAIN it is being made; FRUN_E_SYNTAX name too long or empty;
 * FRUN_E_LIMIT too many are being made; FRUN_E_NOMEM Thread: owner.
 */
frun_err principals_get(struct principals *p, struct span name, struct principals_waiter *w,
                        struct span *text) FRUN_MUST_CHECK;

/** Wait no longer. @param w waiter, waiting or not. Thread: owner. */
void principals_forget(struct principals_waiter *w);

/** Names kept or being made. @param p set @return count. Thread: owner. */
size_t principals_count(const struct principals *p);

#endif
