/**
 * The routes of one worker by which a generation's endpoints are reached.
 *
 * Each request pins the roads it started with, and with them the generation: when the configuration
 * changes it finishes by these, and the last one to end closes their connections. One worker's, so
 * counted without atomics.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_ROADS_H
#define FRUN_GATEWAY_ROADS_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/gateway/generation.h"
#include "frun/gateway/route.h"

#include <stdbool.h>
#include <stddef.h>

struct worker;

/** The roads of one generation. */
struct roads {
    struct list node;       /**< in worker.all_roads */
    struct generation *gen; /**< pinned */
    struct route **all;     /**< by endpoint index: those that requests take */
    struct route **standby; /**< by endpoint index: the others, or NULL */
    size_t n;               /**< their number */
    size_t refs;            /**< references */
};

/** Make the routes. @param w worker, must outlive them @param g generation, one reference is taken
 * @param out roads with one reference @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_SYNTAX a route's
 * address; FRUN_E_LIMIT a location ID is too long. Thread: worker. */
frun_err roads_new(struct worker *w, struct generation *g, struct roads **out) FRUN_MUST_CHECK;

/** Put in front what each endpoint's state says: some have been switched. What has begun stays
 * where it is. @param r roads. Thread: worker. */
void roads_settle(struct roads *r);

/** One more reference. @param r roads @return @p r. Thread: worker. */
struct roads *roads_ref(struct roads *r);

/** Give a reference back and forget it. @param r address of the reference, may hold NULL. Thread:
 * worker. */
void roads_unref(struct roads **r);

/** End all routes now, whoever still pins them: nothing is under way on them any more. @param r
 * roads. Thread: worker, at its end. */
void roads_close(struct roads *r);

#endif
