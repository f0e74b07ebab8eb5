/**
 * Everything that is made of one configuration before it is used: certificates, endpoints, pushers,
 * limits, connectors.
 *
 * Made completely on the main thread, then used by all workers, never changed, counted. What is
 * under way pins the generation it started with; the last one who lets go of it frees it. A
 * generation that takes the place of another goes on with what must not be forgotten: ticket keys,
 * access tokens, limits in use, the connectors' numbers of tunnels.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_GENERATION_H
#define FRUN_GATEWAY_GENERATION_H

#include "frun/access/quota.h"
#include "frun/access/registry.h"
#include "frun/admin/web.h"
#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/seat.h"
#include "frun/net/tls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct gateway_shared;

/** A generation. */
struct generation {
    atomic_uint refs;           /**< references */
    struct conf_gw *conf;       /**< snapshot */
    struct registry *registry;  /**< endpoints and pushers */
    struct tls_ctx *front_tls;  /**< front door; NULL: plain HTTP behind a terminator */
    struct tls_ctx *tunnel_tls; /**< tunnel's door; NULL: no tunnel */
    struct admin_door *door;    /**< of the status page */
    struct quota_set *quotas;   /**< of the pushers, then of the endpoints, in their order */
    struct seat **seats;        /**< in order of the [connector] sections */
    size_t n_seats;             /**< their number */
    bool has_direct;            /**< some endpoint needs no tunnel */
    bool is_new_ca;             /**< the connectors' CA is not that of the generation before */
};

/** Make one. @param conf snapshot, one reference is taken @param before the one in use, or NULL
 * @param sh the workers it is made for; none: for a check alone @param report everything that is
 * wrong is told here, and warnings; NULL: nowhere @param out generation with one reference @return
 * FRUN_OK; FRUN_E_TLS, FRUN_E_IO, FRUN_E_SYNTAX a file cannot be used; FRUN_E_NOMEM. Thread: main.
 */
frun_err generation_new(struct conf_gw *conf, const struct generation *before,
                        const struct gateway_shared *sh, FILE *report,
                        struct generation **out) FRUN_MUST_CHECK;

/** One more reference. @param g generation @return @p g. Thread: any. */
struct generation *generation_ref(struct generation *g);

/** Give a reference back and forget it. @param g address of the reference, may hold NULL. Thread:
 * any. */
void generation_unref(struct generation **g);

/** Go on with what has changed about the endpoints since it was made: the roads they were switched
 * to, their health. @param g generation nobody uses yet @param before the one in use. Thread: main.
 */
void generation_follow(struct generation *g, const struct generation *before);

/** It is in use from now on: ceilings of kept limits change. @param g generation. Thread: main. */
void generation_apply(struct generation *g);

/** Change the keys of session tickets that are due. @param g generation in use @param now_s seconds
 * since 1970. Thread: main, once a minute. */
void generation_turn_tickets(struct generation *g, int64_t now_s);

/** The [connector] section of a certificate. @param g generation @param subject of the certificate
 * @param index out: its place among the sections @return section, or NULL. Thread: any. */
const struct conf_gw_connector *generation_connector(const struct generation *g,
                                                     const char *subject, size_t *index);

/** May a connector serve a location? @param c its section @param location ID @return true if so.
 * Thread: any. */
bool generation_may_serve(const struct conf_gw_connector *c, struct span location);

#endif
