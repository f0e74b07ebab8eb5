/**
 * What the files of the connector share.
 *
 *     connector.c         preparing, signals, drain, the end
 *     connector_reload.c  another configuration while it runs
 *     connector_admin.c   what administrators see and say through the control socket
 *     connector_metrics.c the same for monitoring
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_CONNECTOR_INT_H
#define FRUN_CONNECTOR_CONNECTOR_INT_H

#include "frun/admin/alerts.h"
#include "frun/admin/control.h"
#include "frun/admin/events.h"
#include "frun/admin/recent.h"
#include "frun/admin/reloading.h"
#include "frun/admin/series.h"
#include "frun/admin/server.h"
#include "frun/admin/web.h"
#include "frun/base/meter.h"
#include "frun/base/mono.h"
#include "frun/connector/backends.h"
#include "frun/connector/connector.h"
#include "frun/connector/forward.h"
#include "frun/connector/subaccount.h"
#include "frun/connector/trust.h"
#include "frun/loop/heap.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/tunnel/ptth.h"

#include <stdbool.h>
#include <stdint.h>

/** Octets of what a reload is for. */
#define CONNECTOR_CAUSE_BYTES 128

/** Former configurations that may still finish. */
#define CONNECTOR_MAX_FORMER 64

/** Everything that is made of one configuration. */
struct connector_gen {
    struct list node;          /**< in connector.former, when it is not in use any more */
    struct conf_cn *conf;      /**< configuration; counted */
    const struct trust *trust; /**< contexts */
    struct trust *own_trust;   /**< the same, to be freed; NULL: lent */
    struct backends *backends; /**< towards Focused Run */
    struct forward_env env;    /**< for all requests */
    unsigned *serials;         /**< by mapping: the same wherever it has the same name */
    size_t n_users;            /**< memberships on their way out that use its texts */
    uint64_t retired_ms;       /**< when another one came */
};

/** Ticks of the processors, as /proc counts them. */
struct connector_cpu {
    uint64_t all;  /**< of all processors */
    uint64_t idle; /**< of them nobody's */
    uint64_t ours; /**< of them this process's */
};

/** The whole. */
struct connector {
    struct connector_cpu cpu;           /**< when it was last asked for */
    const struct conf_cn *first;        /**< configuration of the start */
    struct connector_gen *gen;          /**< in use */
    struct list former;                 /**< generations whose requests finish */
    size_t n_former;                    /**< their number */
    struct list leaving;                /**< memberships on their way out */
    struct deadline tick;               /**< looks after both */
    struct deadline mend;               /**< tries again what is owed */
    struct deadline watch;              /**< looks at the files of certificates */
    uint64_t files;                     /**< what they looked like when they were read */
    uint64_t changed;                   /**< what they looked like last */
    struct h2_budget windows;           /**< what the windows of all tunnels may grow by */
    struct admin_reloading told;        /**< of a reload */
    uint64_t wanted_ms;                 /**< when a reload began to wait for room; 0: none does */
    char wanted[CONNECTOR_CAUSE_BYTES]; /**< what it is for */
    bool owes_log;                      /**< memory was refused for the log of gen */
    bool owes_web;                      /**< the same for the door of the status page */
    struct loop *loop;                  /**< the only loop */
    struct offload *offload;            /**< resolver */
    struct subaccount **subaccounts;    /**< towards gateways */
    size_t n_subaccounts;               /**< count */
    struct deadline drain;              /**< ceiling of the drain */
    struct heap_watch heap;             /**< gives memory back behind a burst */
    char instance[PTTH_INSTANCE_BYTES]; /**< of this start */
    struct deadline drain_asked;        /**< begins the drain that was asked for */
    unsigned next_serial;               /**< of a mapping; not given yet */
    struct usage *usage;                /**< requests by membership, system, resource */
    struct meter *meter;                /**< requests by mapping */
    struct admin_recent recent;         /**< last requests */
    struct audit *audit;                /**< NULL: none */
    struct alerts *alerts;              /**< what somebody should know */
    struct deadline look;               /**< at what may be an alert */
    struct admin_server *admin;         /**< what administrators ask */
    struct admin_web *web;              /**< NULL: no status page */
    struct events *events;              /**< what its page listens to */
    struct series *series;              /**< for its charts */
    struct admin_control *control;      /**< NULL: no control socket */
    char started[MONO_WALL_TEXT_BYTES]; /**< wall clock */
    uint64_t started_ms;                /**< the same on the other clock */
    int64_t started_s;                  /**< the same, since 1970 */
    bool is_draining;                   /**< a signal came */
    bool is_cut_short;                  /**< the drain did not end by itself */
    struct subaccount_count shown;      /**< what the status line says */
    bool is_refused;                    /**< the last reload was refused */
    bool is_refused_shown;              /**< as the status line says */
};

/** Make everything of a configuration. @param c connector with its loop @param conf configuration,
 * one reference is taken @param t contexts, must outlive it unless own_trust is set @param out it;
 * connector_gen_free() it @return FRUN_OK; FRUN_E_NOMEM. */
frun_err connector_gen_new(struct connector *c, struct conf_cn *conf, const struct trust *t,
                           struct connector_gen **out) FRUN_MUST_CHECK;

/** Free. @param g it, no request under way; or NULL. */
void connector_gen_free(struct connector_gen *g);

/** Settings of a membership. @param c connector @param g generation @param i index in it @return
 * them. */
struct subaccount_settings connector_membership(struct connector *c, struct connector_gen *g,
                                                size_t i);

/** Counts of a membership may have changed. @param ctx connector. */
void connector_on_change(void *ctx);

/** Prepare for reloads. @param c connector. */
void connector_reload_init(struct connector *c);

/** End what is on its way out. @param c connector. */
void connector_reload_done(struct connector *c);

/** Drain what is on its way out; a reload that waits is not done any more. @param c connector that
 * drains. */
void connector_reload_drain(struct connector *c);

/** Read the configuration again and use it, or keep the present one. While too many former ones
 * have not ended it waits for room; those that are asked for meanwhile become one. @param c
 * connector @param cause what for, for the log. */
void connector_reload(struct connector *c, const char *cause);

/** Look after the files of certificates from now on. @param c connector that has started. */
void connector_watch(struct connector *c);

/** Tell an administrator what a reload would change. @param c connector @param q request. */
void connector_preview(struct connector *c, struct admin_request *q);

/** Requests in flight. @param c connector @return count. */
size_t connector_in_flight(const struct connector *c);

/** Open the control socket and serve what it offers. @param c connector with its loop @param d
 * filled on failure @return FRUN_OK, also when the socket that nobody asked for cannot be made;
 * else as admin_control_open(). */
frun_err connector_admin_open(struct connector *c, struct diag *d) FRUN_MUST_CHECK;

/** Begin to look for what is an alert. @param c connector with its alerts. */
void connector_alerts_start(struct connector *c);

/** Undo connector_admin_open(). @param c connector. */
void connector_admin_close(struct connector *c);

/** Told each certificate. @param ctx the caller's @param what "connector", "gateway-ca", "system",
 * "backend-ca" @param name whose @param until_s its last second, since 1970. */
typedef void (*connector_certificate_fn)(void *ctx, const char *what, const char *name,
                                         int64_t until_s);

/** Tell every certificate that is in use. @param c connector @param fn told @param ctx for it. */
void connector_certificates(const struct connector *c, connector_certificate_fn fn, void *ctx);

/** Serve what SAP Cloud Connector's monitoring API has, in its shapes. @param c connector with its
 * server @return FRUN_OK; FRUN_E_NOMEM. */
frun_err connector_scc_open(struct connector *c) FRUN_MUST_CHECK;

struct json_t;

/** The machine in the shapes of SAP Cloud Connector: { physicalKB, virtualKB, cloudConnectorHeapKB
 * }.
 * @return object; NULL: no memory. */
struct json_t *connector_scc_memory(void);

/** What of the processors' time between two looks was busy, and what of it ours, in percent. The
 * kernel counts both for itself: in a moment shorter than a tick our part may look larger than the
 * whole. @param was first look @param now second look @param total busy, 0 to 100 @param ours our
 * part, 0 to @p total. */
void connector_cpu_shares(const struct connector_cpu *was, const struct connector_cpu *now,
                          double *total, double *ours);

/** { total, CloudConnector }: percent since the call before, or since the start. @param c connector
 * @return object; NULL: no memory. */
struct json_t *connector_scc_cpu(struct connector *c);

/** { total, CloudConnector, others, free }: MB of the file system we run in. @return object; NULL:
 * no memory. */
struct json_t *connector_scc_disk(void);

/** Answer GET /metrics. @param ctx connector @param r request. */
void connector_metrics(void *ctx, struct admin_request *r);

/** Make all of it; nothing is dialled before its loop runs. @param c zeroed; connector_close() it,
 * also after a failure @param conf configuration, must outlive it; references are taken @param t
 * contexts, must outlive it @param d filled on failure @return as connector_run(). */
frun_err connector_open(struct connector *c, struct conf_cn *conf, const struct trust *t,
                        struct diag *d) FRUN_MUST_CHECK;

/** Free all of it. @param c opened, its loop does not run. */
void connector_close(struct connector *c);

/** Finish what is in flight and end; again: end at once. @param c connector. */
void connector_stop(struct connector *c);

#endif
