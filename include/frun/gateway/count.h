/**
 * What a worker counts: requests that have ended, and what becomes of connections and tunnels.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_COUNT_H
#define FRUN_GATEWAY_COUNT_H

#include "frun/access/registry.h"
#include "frun/admin/accesslog.h"
#include "frun/base/meter.h"

struct worker;

/** A worker's counters beside those of requests; written by it, read by anybody. */
struct count {
    meter_count connections;       /**< accepted at the front door */
    meter_count handshakes;        /**< TLS handshakes done there */
    meter_count handshakes_failed; /**< and those that failed */
    meter_count tunnels_opened;    /**< tunnels that came to stand */
    meter_count tunnels_closed;    /**< tunnels that ended */
    meter_count tunnels_refused;   /**< connectors that were turned away */
};

/** Count an ended request and remember it. @param w worker @param e its endpoint, or NULL @param
 * log its access line. Thread: worker. */
void count_request(struct worker *w, const struct endpoint *e, const struct accesslog_entry *log);

/** A route's name for a variant of the meters. @param variant 0..METER_VARIANTS-1 @return "tunnel",
 * "direct", "sap-connectivity" or "none". Thread: any. */
const char *count_route_name(unsigned variant);

#endif
