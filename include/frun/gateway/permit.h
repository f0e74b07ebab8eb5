/**
 * The pusher is known and may use the endpoint: may it do THIS?
 *
 * Path, method and announced length of a request against what its endpoint and pusher allow, and
 * the words in which it is refused. Pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_PERMIT_H
#define FRUN_GATEWAY_PERMIT_H

#include "frun/access/registry.h"
#include "frun/access/turn.h"
#include "frun/gateway/reply.h"
#include "frun/http/head.h"

#include <stdbool.h>
#include <stdint.h>

/** Octets of the longest detail. */
#define PERMIT_DETAIL_BYTES 384

/** What is asked. */
struct permit {
    const struct endpoint *e;         /**< endpoint */
    const struct pusher *who;         /**< pusher */
    const struct conf_gateway *g;     /**< the gateway's own ceilings */
    const struct head *in;            /**< the request's head */
    struct span root_path;            /**< what stands before it; empty by a host name */
    struct span path;                 /**< path towards Focused Run, mapped; empty: the bare root */
    char detail[PERMIT_DETAIL_BYTES]; /**< room for the answer's text */
};

/** Longest body. @param p what is asked @return octets. Thread: any. */
uint64_t permit_max_body(const struct permit *p);

/** The answer to a body above it. @param p what is asked @return answer, its text in @p p. Thread:
 * any. */
struct reply permit_too_long(struct permit *p);

/** The answer to a request whose turn does not come. @param p what is asked @param result
 * TURN_TOO_...
 * @param retry_after_s when to try again, seconds @return answer, its text in @p p. Thread: any. */
struct reply permit_no_turn(struct permit *p, enum turn_result result, unsigned retry_after_s);

/** May it? @param p what is asked @param no out: if not, the answer, its text in @p p @return true
 * if so. Thread: any. */
bool permit_check(struct permit *p, struct reply *no);

#endif
