/**
 * The connection pools of a worker's direct routes: one for each Focused Run, not for each
 * endpoint.
 *
 * Requests of all customer networks travel to a system over the same kept connections, as they do
 * behind the connector: each brings its own credentials and fence, and a connection with any doubt
 * about framing is closed. Never shared is a connection to another address, with another virtual
 * host, in other trust or under another name (SNI, name in the certificate), through another proxy
 * or as another user of it. Pools are counted and own what they need, so that endpoints of an old
 * and a new configuration share one as long as nothing of that has changed. Owned by one worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_ORIGINS_H
#define FRUN_GATEWAY_ORIGINS_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/upstream/upstream.h"

#include <stddef.h>

/** Connections at all to one system; above it requests are answered with 503. */
#define ORIGINS_MAX_CONNECTIONS 1024

/** Idle connections kept to one system. */
#define ORIGINS_MAX_IDLE 64

/** All pools of a worker. */
struct origins;
/** One pool, counted. */
struct origin;

/** Make a table without pools. @param l loop @param o helper threads for the resolver @param out
 * table; origins_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: owner of @p l, or main before it
 * runs. */
frun_err origins_new(struct loop *l, struct offload *o, struct origins **out) FRUN_MUST_CHECK;

/** Free the table; every pool has been given back. @param t table or NULL. Thread: owner. */
void origins_free(struct origins *t);

/**
 * Get the pool for an endpoint: one that is there, or a new one.
 *
 * @param t        table
 * @param e        endpoint with route direct; nothing of it is kept but a reference of its TLS
 * context
 * @param g        times and ceilings
 * @param out      pool; origin_unref() it
 * @return FRUN_OK; FRUN_E_SYNTAX its address cannot be parsed; FRUN_E_NOMEM
 * Thread: owner.
 */
frun_err origins_get(struct origins *t, const struct endpoint *e, const struct conf_gateway *g,
                     struct origin **out) FRUN_MUST_CHECK;

/** Pools that there are. @param t table @return count. Thread: owner. */
size_t origins_count(const struct origins *t);

/** Lend the connections. @param o pool @return them, until its last origin_unref(). Thread: owner.
 */
struct upstream *origin_pool(const struct origin *o);

/** Give a reference back and forget it; with the last one connections close, and calls in flight
 * fail. @param o address of the reference, may hold NULL. Thread: owner. */
void origin_unref(struct origin **o);

#endif
