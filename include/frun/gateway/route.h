/**
 * The road an endpoint's requests take: one small table of operations; exchange, health and tests
 * see nothing else.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_ROUTE_H
#define FRUN_GATEWAY_ROUTE_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/gateway/hub.h"
#include "frun/gateway/origins.h"
#include "frun/http/exchange.h"
#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct route;
struct worker;

/** What a route can do. */
struct route_ops {
    const char *name; /**< "tunnel", "direct", "sap-connectivity": for the access line */
    /** Open a call; @p via out: connector and tunnel, or NULL. FRUN_OK; FRUN_E_AGAIN not usable
     * now, wait(); FRUN_E_LIMIT too much under way; FRUN_E_UNSUPPORTED the head is larger than the
     * connector takes; FRUN_E_DENIED not to be had, why() says it; FRUN_E_NOMEM. */
    frun_err (*open)(struct route *r, const struct head *req, const struct call_events *ev,
                     void *owner, struct call **out, const struct hub_way **via);
    /** Be told when open() may work; hub_forget() ends it. Only after FRUN_E_AGAIN.
     */
    void (*wait)(struct route *r, struct hub_waiter *w);
    /** Could a request be sent now? For health. */
    bool (*is_usable)(const struct route *r);
    /** Is who is away still finishing requests, so that it is worth waiting for it to come back?
     * NULL: never known. */
    bool (*is_expected)(const struct route *r);
    /** Free. */
    void (*free)(struct route *r);
    /** Why did open() give no call, or why does nobody come out of waiting? Fills err, text and
     * verdict. NULL: never FRUN_E_DENIED, and what is waited for is a tunnel. */
    void (*why)(struct route *r, struct call_failure *f);
    /** Focused Run answered 401 to our own credentials; NULL: they cannot be renewed. */
    void (*refused)(struct route *r);
};

/** A route of one endpoint in one worker. */
struct route {
    const struct route_ops *ops; /**< what it can do */
    size_t n_users;              /**< exchanges on it, or waiting for it */
    bool is_standby;             /**< it is the endpoint's standby_route */
};

/** Tunnel route. @param h the worker's hub, must outlive it @param e endpoint, must outlive it
 * @param out route @return FRUN_OK; FRUN_E_LIMIT location ID too long; FRUN_E_NOMEM. Thread:
 * worker. */
frun_err route_tunnel_new(struct hub *h, const struct endpoint *e,
                          struct route **out) FRUN_MUST_CHECK;

/** Direct route. @param o the worker's pools, must outlive it @param e endpoint @param g times
 * @param out route @return FRUN_OK; FRUN_E_SYNTAX address cannot be parsed; FRUN_E_NOMEM. Thread:
 * worker. */
frun_err route_direct_new(struct origins *o, const struct endpoint *e, const struct conf_gateway *g,
                          struct route **out) FRUN_MUST_CHECK;

/** Through SAP's connectivity proxy: connections of its own, so none is ever shared between
 * location IDs, virtual hosts, tenants or users. @param w worker with loop, desk and resolvers,
 * must outlive it @param e endpoint with its road @param g times and ceilings @param out route
 * @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. Source: SAP BTP Connectivity, "Consuming the
 * Connectivity Service". */
frun_err route_sap_new(struct worker *w, const struct endpoint *e, const struct conf_gateway *g,
                       struct route **out) FRUN_MUST_CHECK;

/** Lay over a route: every request gets "Authorization: Bearer ..." of the endpoint's own client.
 * @param w worker with a desk @param e endpoint with a logon @param inner route, taken and set to
 * NULL on success @param out route @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err route_logon_new(struct worker *w, const struct endpoint *e, struct route **inner,
                         struct route **out) FRUN_MUST_CHECK;

#endif
