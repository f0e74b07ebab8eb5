/**
 * One check of one endpoint on one of its roads: a GET of the gateway's own, sent as a push would
 * be, and judged.
 *
 * Ordered on the main thread, done on a worker that has the road (the next one if it has not), told
 * on the main thread again.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_PROBE_H
#define FRUN_GATEWAY_PROBE_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/base/steps.h"
#include "frun/gateway/finding.h"
#include "frun/gateway/generation.h"
#include "frun/gateway/worker.h"

#include <stdbool.h>
#include <stdint.h>

/** Longest time a check takes, milliseconds. */
#define PROBE_TIMEOUT_MS 10000

/** A check waits so long for a tunnel or a token, milliseconds: a short interruption is no news. */
#define PROBE_HOLD_MS 2000

/** Which of an endpoint's roads. */
enum probe_road {
    PROBE_ROAD_ACTIVE, /**< whichever its requests take now */
    PROBE_ROAD_FIRST,  /**< route */
    PROBE_ROAD_STANDBY /**< standby_route */
};

/** What came of it. */
struct probe_result {
    enum finding_verdict verdict; /**< FINDING_UNKNOWN: it could not be made */
    enum conf_route road;         /**< the road it took */
    bool is_standby;              /**< that is the endpoint's standby_route */
    unsigned status;              /**< HTTP status, 0: none */
    uint64_t total_us;            /**< how long it took */
    struct steps steps;           /**< the road, step by step */
};

/** Told once. @param ctx as given @param r result, lives until the return. */
typedef void (*probe_fn)(void *ctx, const struct probe_result *r);

/** Begin. @param g the workers; they run @param gen generation the endpoint is of; pinned
 * meanwhile @param e endpoint @param road which road @param fn told on the main thread, later and
 * in any case
 * @param ctx for it @return FRUN_OK; FRUN_E_NOMEM, then @p fn is not called. Thread: main. */
frun_err probe_start(struct gateway_shared *g, struct generation *gen, const struct endpoint *e,
                     enum probe_road road, probe_fn fn, void *ctx) FRUN_MUST_CHECK;

struct json_t;

/** Steps as an array of objects: step, state, found, remedy. @param s steps @return value,
 * json_decref() it; NULL: no memory. Thread: any but a worker. */
struct json_t *probe_steps_json(const struct steps *s);

/** A result as an object: endpoint, road, standby, verdict, status, ms, steps. @param name
 * endpoint's @param r result @return value, json_decref() it; NULL: no memory. Thread: any but a
 * worker. */
struct json_t *probe_json(const char *name, const struct probe_result *r);

#endif
