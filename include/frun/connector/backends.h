/**
 * The back ends of one worker: a pool of kept connections per system mapping, and whether it
 * answers.
 *
 * That a back end broke, or works again, is logged once, not for every request. Owned by one
 * worker.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_BACKENDS_H
#define FRUN_CONNECTOR_BACKENDS_H

#include "frun/base/err.h"
#include "frun/conf/connector.h"
#include "frun/connector/principals.h"
#include "frun/connector/trust.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/upstream/upstream.h"

#include <stddef.h>

/** Connections at all to one back end; above it requests are answered with 503. */
#define BACKENDS_MAX_CONNECTIONS 1024

/** Idle connections kept to one back end. */
#define BACKENDS_MAX_IDLE 64

/** A broken back end is logged again after this time if the cause has changed, milliseconds. */
#define BACKENDS_NEWS_MS 60000

/** All pools of a worker. */
struct backends;

/** Make a pool for each mapping; nothing is dialled yet. @param l loop @param o helper threads for
 * the resolver @param conf configuration, must outlive the pools @param t contexts, must outlive
 * them too @param out pools; backends_free() them @return FRUN_OK; FRUN_E_NOMEM. Thread: owner of
 * @p l. */
frun_err backends_new(struct loop *l, struct offload *o, const struct conf_cn *conf,
                      const struct trust *t, struct backends **out) FRUN_MUST_CHECK;

/** Close all connections; calls in flight fail first. @param b pools or NULL. Thread: owner. */
void backends_free(struct backends *b);

/** Lend the pool of a mapping. @param b pools @param index of the mapping in the configuration
 * @return pool, never NULL. Thread: owner. */
struct upstream *backends_get(struct backends *b, size_t index);

/** Lend the certificates by which a back end is told who pushes. @param b pools @param index of the
 * mapping @return them, or NULL: it is not told. Thread: owner. */
struct principals *backends_principals(struct backends *b, size_t index);

/** Note that a back end answered; logged if it did not before. @param b pools @param index of the
 * mapping. Thread: owner. */
void backends_answered(struct backends *b, size_t index);

/** Note that a back end could not be reached or failed; logged if it worked before, or if the cause
 * changed. @param b pools @param index of the mapping @param why for a person. Thread: owner. */
void backends_failed(struct backends *b, size_t index, const char *why);

struct offload_view;

/** How the thread that signs short-lived certificates is doing. @param b back ends @param out
 * filled; zero: there is none. Thread: owner. */
void backends_look(const struct backends *b, struct offload_view *out);

#endif
