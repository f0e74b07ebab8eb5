/**
 * The gateway's own resources: what is answered on its root URL without an endpoint, such as
 * /sap/bc/ping.
 *
 * One table names them all. The exchange hands a request over and gets one answer back; it goes on
 * owning the connection, the request's memory and the access line. One worker's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_OWN_H
#define FRUN_GATEWAY_OWN_H

#include "frun/base/span.h"
#include "frun/gateway/reply.h"
#include "frun/gateway/worker.h"
#include "frun/http/head.h"

#include <stdbool.h>

struct own_resource;

/** A request to one of them; embedded in the exchange. */
struct own_ask {
    struct worker *w;      /**< whose request it is */
    const struct head *in; /**< its head */
    /** Told once what to answer; @p r lives until the return. */
    void (*answer)(struct own_ask *a, const struct reply *r);
    const struct own_resource *what; /**< private: which one */
};

/** Is it one of the gateway's own? Then the request is taken on and answered through a->answer,
 * perhaps before the return. @param a w, in and answer are set @param path canonical path @return
 * true if so. Thread: worker. */
bool own_begin(struct own_ask *a, struct span path);

#endif
