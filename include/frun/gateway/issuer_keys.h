/**
 * The keys of issuers in a running gateway: fetched at the start without holding it up, refreshed
 * on a timer, and when a worker meets a token whose key it does not know.
 *
 * Fetching happens on helper threads, one flight for each issuer; everything else here is main's. A
 * failed fetch leaves the keys as they are, until they are too old; what is the matter is told
 * once, not at each try.
 *
 *     none --start--> fetching --> fresh --refresh, or a worker wants--> fetching
 *                        \--> failed: retried with growing pauses; older than stale: none
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_ISSUER_KEYS_H
#define FRUN_GATEWAY_ISSUER_KEYS_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/gateway/worker.h"
#include "frun/loop/loop.h"

/** The keeper. */
struct issuer_keys;

/** Make one that looks after nothing yet. @param l main's loop @param shared the workers, who are
 * told when a fetch has ended @param out keeper; issuer_keys_free() it @return FRUN_OK;
 * FRUN_E_NOMEM. Thread: main. */
frun_err issuer_keys_new(struct loop *l, struct gateway_shared *shared,
                         struct issuer_keys **out) FRUN_MUST_CHECK;

/** Look after the issuers of this registry from now on, and no others; before workers use it.
 * Issuers it shares with the one before go on as they are, new ones are fetched. @param k keeper
 * @param r registry @return FRUN_OK; FRUN_E_NOMEM, FRUN_E_IO all is as before. Thread: main. */
frun_err issuer_keys_follow(struct issuer_keys *k, const struct registry *r) FRUN_MUST_CHECK;

/** Break off what is under way and end the threads; before the workers are freed. @param k keeper
 * or NULL. Thread: main. */
void issuer_keys_stop(struct issuer_keys *k);

/** Free; after the loops have run what was posted. @param k keeper, stopped, or NULL. Thread: main.
 */
void issuer_keys_free(struct issuer_keys *k);

#endif
