/**
 * Pooled HTTP/1.1 client towards one origin (Focused Run or its Web Dispatcher): the gateway's
 * direct route and the connector's back end.
 *
 * A call takes an idle connection, newest first, or dials a new one. Answers are parsed as strictly
 * as requests. A connection goes back to the pool only after a complete request and a complete
 * answer that allows it. Idle connections are watched and dropped the moment the server ends them,
 * and after keepalive_ms. Nothing is sent twice here: a stale connection fails the call with
 * is_stale, and its owner decides.
 *
 *     dialling --> sending/receiving --> idle --> (next call) ; any error or limit --> closed
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_UPSTREAM_UPSTREAM_H
#define FRUN_UPSTREAM_UPSTREAM_H

#include "frun/base/err.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/net/dial.h"

#include <stddef.h>
#include <stdint.h>

/** A pool of connections to one origin, of one worker. */
struct upstream;

/** What a pool is told. */
struct upstream_settings {
    struct dial_target target;    /**< where; its texts must outlive the pool, and so must
                                     target.socks, which is read at each dial */
    uint64_t response_timeout_ms; /**< request completely sent to head of the answer, 1.. */
    uint64_t body_timeout_ms; /**< between two reads or writes of a body, 1..; does not run while
                                 the owner holds it back */
    uint64_t keepalive_ms;    /**< idle connection, 1.. */
    size_t max_idle;          /**< idle connections kept, 0.. */
    size_t max_connections; /**< connections at all, 1..; above it a call fails with FRUN_E_LIMIT */
    struct head_limits limits; /**< of an answer's head */
};

/** Make a pool. @param l loop @param o helper threads for the resolver @param s settings, copied
 * except what they point at @param out pool; upstream_free() it @return FRUN_OK; FRUN_E_NOMEM.
 * Thread: owner of @p l. */
frun_err upstream_new(struct loop *l, struct offload *o, const struct upstream_settings *s,
                      struct upstream **out) FRUN_MUST_CHECK;

/** Close idle connections; calls in flight fail with FRUN_E_CLOSED. @param u pool or NULL. Thread:
 * owner. */
void upstream_free(struct upstream *u);

/**
 * Open a call.
 *
 * @param u        pool
 * @param req      head to send; written out before the return; body NONE, LENGTH or CHUNKED
 * @param ev       events of the call; none comes from within this function
 * @param owner    for them
 * @param out      the call
 * @return FRUN_OK; FRUN_E_LIMIT too many connections, a head above 64 KiB, or the resolver's queue
 * is full; FRUN_E_NOMEM; FRUN_E_CLOSED the pool is being freed
 * Thread: owner.
 */
frun_err upstream_call(struct upstream *u, const struct head *req, const struct call_events *ev,
                       void *owner, struct call **out) FRUN_MUST_CHECK;

/** Connections now idle. @param u pool @return count. Thread: owner. */
size_t upstream_idle(const struct upstream *u);

/** Connections now dialled or in use. @param u pool @return count. Thread: owner. */
size_t upstream_active(const struct upstream *u);

#endif
