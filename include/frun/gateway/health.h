/**
 * Health of the endpoints: checks on a timer, thresholds, one log line for each change.
 *
 *     unknown --2 good--> up <--2 good-- down, unverified        up, unverified --3 bad--> down
 *     any --2 times not exposed--> unverified                    any --one 401--> parked
 *
 * A 401 parks all endpoints that log on to the same system as the same user for HEALTH_PARK_MS: one
 * wrong password must not lock a user that hundreds of endpoints share. As long as nothing is known
 * about a logon, one check at a time tries it. Checks are spread over the interval with jitter, and
 * their number under way is bounded. Nothing is decided by health: it is told.
 *
 * Main thread's; what it shows is in each endpoint's state for everybody.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_HEALTH_H
#define FRUN_GATEWAY_HEALTH_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/base/steps.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/probe.h"
#include "frun/gateway/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Good checks in a row that make an endpoint up, or unverified. */
#define HEALTH_RISE 2

/** Bad checks in a row that make it down. */
#define HEALTH_FALL 3

/** So long nobody logs on as a user that was refused, milliseconds. */
#define HEALTH_PARK_MS 1800000

/** Checks under way at most. */
#define HEALTH_MAX_UNDER_WAY 32

/** Health of all endpoints. */
struct health;

/** What is known of one endpoint, for the log's readers, metrics and the API. */
struct health_report {
    enum endpoint_health state;    /**< now */
    bool is_checked;               /**< health_check is on */
    uint64_t since_ms;             /**< so long it is in that state, milliseconds */
    uint64_t checks;               /**< checks that said something */
    uint64_t failures;             /**< those among them that were bad */
    uint64_t last_ms;              /**< so long ago the last of them ended, milliseconds */
    uint64_t last_us;              /**< how long it took, microseconds */
    uint64_t parked_ms;            /**< parked: so long still, milliseconds */
    char cause[STEPS_TEXT_BYTES];  /**< what was found, "" while up */
    char remedy[STEPS_TEXT_BYTES]; /**< what to do, "" if nothing */
};

/** Make it; nothing is checked yet. @param g the workers @param gen whose endpoints; pinned @param
 * out health; health_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err health_new(struct gateway_shared *g, struct generation *gen,
                    struct health **out) FRUN_MUST_CHECK;

/** Go on with another generation's endpoints; what is known of those that stay, and of the logons
 * that have not changed, stays known. It cannot fail: endpoints are read by their place in the
 * generation that is in use. @param h address of the health, replaced @param next address of that
 * of the generation in use from now on, not started; taken. Thread: main. */
void health_follow(struct health **h, struct health **next);

/** Begin to check. @param h health; the workers run. Thread: main. */
void health_start(struct health *h);

/** Check no more; what is under way is told to nobody. @param h health or NULL. Thread: main. */
void health_stop(struct health *h);

/** Free; after health_stop() and the loops. @param h health or NULL. Thread: main. */
void health_free(struct health *h);

/** Read what is known. @param h health @param index endpoint's @param out filled. Thread: main. */
void health_read(const struct health *h, size_t index, struct health_report *out);

/** May its logon be tried now? @param h health @param index endpoint's @param left_ms out: parked
 * for so long still, milliseconds; may be NULL @return false: it was refused a while ago. Thread:
 * main. */
bool health_may_log_on(const struct health *h, size_t index, uint64_t *left_ms);

/** Take the result of a check that somebody else made of the active road into account; a refusal
 * parks here too. @param h health @param index endpoint's @param r result. Thread: main. */
void health_note(struct health *h, size_t index, const struct probe_result *r);

/** The endpoint has another road: what was known is not known of that one. Also ends parking, to
 * let a corrected user in Focused Run show. @param h health @param index endpoint's. Thread: main.
 */
void health_forget(struct health *h, size_t index);

/** A state in one word: "up", "down", "unverified", "parked", "unknown". @param state state @return
 * constant text. Thread: any. */
const char *health_word(enum endpoint_health state);

#endif
