/**
 * One request on its way from a tunnel to a back end and the answer on its way back.
 *
 * It is judged here again, whatever the gateway did: canonical URI, system mapping, resource. Then
 * the head is rebuilt, sent through the mapping's pool, and bodies are pumped both ways. Errors of
 * our own are problem+json with Proxy-Status and say "frun-origin: connector"; an answer of the
 * back end is never replaced.
 *
 *     judging --denied--> refusing --> gone
 *        \--allowed--> (naming) --> calling --answer's head--> answering --> gone
 *                         \--failed: again at most twice, or refusing
 *
 * The request is sent again only when it provably was not processed, or when a kept connection was
 * stale and it is repeatable. Owned by one worker; frees itself.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_FORWARD_H
#define FRUN_CONNECTOR_FORWARD_H

#include "frun/admin/audit.h"
#include "frun/admin/recent.h"
#include "frun/base/meter.h"
#include "frun/conf/connector.h"
#include "frun/connector/backends.h"
#include "frun/connector/usage.h"
#include "frun/h2/session.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

/** How often a request is sent again at most. */
#define FORWARD_MAX_REPEATS 2

/** How many ended requests are kept with their memory for the next ones. */
#define FORWARD_MAX_SPARE 64

struct forward;

/** What all requests of a worker share. Zero it and set the first three; must outlive them all.
 * forward_env_done() when its loop is gone. */
struct forward_env {
    struct loop *loop;           /**< loop of the worker */
    const struct conf_cn *conf;  /**< configuration */
    struct backends *backends;   /**< pools */
    struct h2_budget *windows;   /**< what the windows of its tunnels may grow by, or NULL */
    size_t in_flight;            /**< requests now under way */
    size_t n_lent;               /**< places whose heads are not complete */
    bool is_closing;             /**< set before everything is freed: nothing is sent again */
    struct forward *spare;       /**< ended requests, for the next ones */
    size_t n_spare;              /**< their number */
    const unsigned *serials;     /**< what each mapping is counted by; NULL: its index */
    struct meter *meter;         /**< requests counted by mapping; NULL: nobody counts */
    struct admin_recent *recent; /**< last requests; NULL: nobody remembers */
    struct audit *audit;         /**< audit log; NULL: none */
    struct usage *usage;         /**< who used what; NULL: nobody asks */
};

/** Lend the place where a request's head is built; it is not copied again. forward_begin() or
 * forward_lose() follows. @param env shared things @param subaccount membership it comes by, name
 * that lives as long as @p env's configuration @param place filled @return true; false: memory
 * refused. Thread: worker. */
bool forward_lend(struct forward_env *env, const char *subaccount, struct h2_place *place);

/** Take on a request that a tunnel brought. @param scope whose log lines, must outlive the request
 * @param s served request, whose owner is that of the place where its head is. Thread: worker. */
void forward_begin(const char *scope, struct served *s);

/** The head will not be complete. @param owner of its place. Thread: worker. */
void forward_lose(void *owner);

/** Free what is kept for the next requests. @param env shared things, no request under way or
 * parked. Thread: worker. */
void forward_env_done(struct forward_env *env);

#endif
