/**
 * Asking every worker for what only it knows, without stopping one: each looks at itself on its own
 * thread, and when the last has looked, main is told.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SURVEY_H
#define FRUN_GATEWAY_SURVEY_H

#include "frun/admin/recent.h"
#include "frun/base/err.h"
#include "frun/gateway/hub.h"
#include "frun/gateway/worker.h"

#include <stdbool.h>
#include <stddef.h>

/** What one worker found. */
struct survey_part {
    struct admin_recent_entry *recent; /**< its last requests, or NULL */
    size_t n_recent;                   /**< count */
    struct hub_view *tunnels;          /**< its tunnels, or NULL */
    size_t n_tunnels;                  /**< count */
    size_t n_waiting;                  /**< requests that wait for a tunnel or their turn */
    size_t n_fronts;                   /**< front-door connections */
    size_t n_orphans;                  /**< requests whose senders have gone */
    size_t n_spare;                    /**< exchanges kept for the next requests */
    size_t stock_bytes;                /**< octets of the buffers kept for the next */
    size_t windows_bytes;              /**< what its HTTP/2 windows may grow by */
    size_t windows_used_bytes;         /**< by how much of that they have grown */
    bool is_there;                     /**< it has looked; else it had stopped */
    bool is_healthy;                   /**< worker_unhealthy() had nothing to say */
};

/** What is looked at. */
enum {
    SURVEY_NUMBERS = 0, /**< the numbers alone */
    SURVEY_RECENT = 1,  /**< last requests too */
    SURVEY_TUNNELS = 2, /**< tunnels too */
    SURVEY_DRAIN = 4    /**< nothing: the connector's tunnels are drained */
};

/** All workers have looked. @param ctx the caller's @param parts one each @param n count. */
typedef void (*survey_fn)(void *ctx, const struct survey_part *parts, size_t n);

/** Ask all workers. @param shared what they share @param what SURVEY_ bits @param connector name
 * for SURVEY_DRAIN, copied; else NULL @param fn told on main's loop, exactly once, also when the
 * daemon ends @param ctx for it @return FRUN_OK; FRUN_E_NOMEM, and fn is not told. Thread: main. */
frun_err survey_start(struct gateway_shared *shared, unsigned what, const char *connector,
                      survey_fn fn, void *ctx) FRUN_MUST_CHECK;

#endif
