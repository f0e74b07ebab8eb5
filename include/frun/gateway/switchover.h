/**
 * Which of its two roads each endpoint takes, and switching by hand.
 *
 *     asked --> target road is checked --not up, not forced--> refused, nothing has changed
 *                       \--up, or forced--> every worker swaps --> kept in a file --> told
 *
 * Within a worker the swap is one step: requests that have begun finish on the old road, which
 * stays as it is; those that wait for it, and all new ones, take the new one. No road is ever left
 * by itself. What was switched outlives a restart by a small file; without it, or if it cannot be
 * understood, the configured route counts, and the log says so. Main thread's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SWITCHOVER_H
#define FRUN_GATEWAY_SWITCHOVER_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/probe.h"
#include "frun/gateway/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Roads of all endpoints. */
struct switchover;

/** What became of a switch. */
struct switchover_outcome {
    bool is_done;         /**< the endpoint takes the other road now */
    bool is_kept;         /**< and will after a restart */
    bool is_outdated;     /**< it does not: it has other roads by now, or has gone */
    enum conf_route from; /**< road before */
    enum conf_route to;   /**< the other one */
    size_t in_flight;     /**< requests that finish on the old road */
    size_t moved;         /**< requests that waited for the old road and take the new one */
    uint64_t took_us;     /**< first to last worker */
    const struct probe_result *probe; /**< the check of the new road */
};

/** Told once. @param ctx as given @param o outcome, lives until the return. */
typedef void (*switchover_fn)(void *ctx, const struct switchover_outcome *o);

/** A road as the key "route" writes it. @param road road @return constant text. Thread: any. */
const char *switchover_name(enum conf_route road);

/** The road that an endpoint's requests take now. @param e endpoint @return road. Thread: any. */
enum conf_route switchover_now(const struct endpoint *e);

/** Read what was switched before, and set the endpoints' states by it; before workers are made of
 * them. Without any standby_route nothing is read. @param g the workers to be @param reg endpoints
 * @param out roads; switchover_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: main (reads a
 * file). */
frun_err switchover_new(struct gateway_shared *g, const struct registry *reg,
                        struct switchover **out) FRUN_MUST_CHECK;

/** Set the endpoints' states by what was switched before, as switchover_new() does, and leave the
 * folder alone: for those who only look. @param reg endpoints no worker has been made of. Thread:
 * main (reads a file). */
void switchover_recall(const struct registry *reg);

/** Other endpoints are in use from now on; what is under way goes on if its endpoint still has the
 * same roads. @param r roads @param reg endpoints, their states are what they were; must live until
 * the next call or the end of @p r. Thread: main. */
void switchover_use(struct switchover *r, const struct registry *reg);

/** Move an endpoint to its other road. @param r roads; the workers run @param gen generation the
 * endpoint is of; pinned meanwhile @param e endpoint @param is_forced also if the
 * check of the other road fails @param fn told on the main thread, later and in any case @param ctx
 * for it @return FRUN_OK; FRUN_E_UNSUPPORTED it has no standby_route; FRUN_E_EXISTS a switch is
 * under way; FRUN_E_NOMEM. @p fn is called after FRUN_OK only. Thread: main. */
frun_err switchover_switch(struct switchover *r, struct generation *gen, const struct endpoint *e,
                           bool is_forced, switchover_fn fn, void *ctx) FRUN_MUST_CHECK;

/** Free; after the main loop, which brings home what is on its way. @param r roads or NULL. Thread:
 * main. */
void switchover_free(struct switchover *r);

#endif
