/**
 * What the files of the daemon share.
 *
 *     gateway.c         start, signals, the end
 *     reload.c          another configuration while it runs
 *     sockets.c         the addresses it listens on
 *     gateway_admin.c   what administrators see and say through the control socket
 *     gateway_tunnels.c the same about connectors and their tunnels
 *     gateway_metrics.c the same for monitoring
 *     gateway_checks.c  the same about the endpoints' roads: health, checks, switching
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_GATEWAY_INT_H
#define FRUN_GATEWAY_GATEWAY_INT_H

#include "frun/admin/alerts.h"
#include "frun/admin/control.h"
#include "frun/admin/events.h"
#include "frun/admin/series.h"
#include "frun/admin/server.h"
#include "frun/admin/web.h"
#include "frun/base/err.h"
#include "frun/base/mono.h"
#include "frun/gateway/gateway.h"
#include "frun/gateway/generation.h"
#include "frun/gateway/health.h"
#include "frun/gateway/issuer_keys.h"
#include "frun/gateway/keyring.h"
#include "frun/gateway/stapling.h"
#include "frun/gateway/survey.h"
#include "frun/gateway/switchover.h"
#include "frun/gateway/worker.h"
#include "frun/loop/heap.h"
#include "frun/loop/loop.h"
#include "sockets_int.h"

#include <stdbool.h>
#include <stddef.h>

struct reload;

/** Connectors that are remembered because their tunnels are full. */
#define GATEWAY_MAX_CROWDED 64

/** A connector whose tunnels have little room. */
struct gateway_crowd {
    char name[96]; /**< for the alert */
    uint64_t used; /**< requests in its tunnels */
    uint64_t max;  /**< that these take */
};

/** What the workers said last. */
struct gateway_load {
    uint64_t waiting; /**< requests that wait in the worker with most of them */
    struct gateway_crowd crowded[GATEWAY_MAX_CROWDED]; /**< the first of them */
    size_t n_crowded;                                  /**< count */
    unsigned looks;                                    /**< times they were asked */
    bool is_asked;                                     /**< their answer is to come */
};

/** frunproxyd. Main thread's. */
struct gateway {
    char *path;             /**< configuration file */
    struct generation *gen; /**< in use */
    struct gateway_shared shared;
    struct sockets sockets;
    struct keyring *keyring; /**< NULL: no tokens */
    struct issuer_keys *issuer_keys;
    struct stapling *stapling;
    struct health *health;
    struct switchover *switchover;
    struct reload *reload; /**< its state; made with the gateway */
    struct loop *loop;
    struct heap_watch heap;
    struct deadline minute; /**< changes the keys of session tickets */
    struct admin_server *admin;
    struct alerts *alerts;
    struct deadline look;          /**< at what may be an alert */
    struct gateway_load load;      /**< for it */
    struct admin_control *control; /**< NULL: no control socket */
    struct admin_web *web;         /**< NULL: no status page */
    struct events *events;
    struct series *series;
    char started[MONO_WALL_TEXT_BYTES];
    uint64_t started_ms;
    int64_t started_s; /**< since 1970 */
    size_t n_running;  /**< workers that have not stopped */
    int n_signals;
};

/** Are there tokens? [oauth] alone opens nothing: no pusher, no keys, no token endpoint. @param c
 * configuration @return true if so. */
bool gateway_uses_tokens(const struct conf_gw *c);

/** Open the office where access tokens are fetched, if a generation needs it and there is none.
 * @param sh shared @param g generation @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO threads refused. */
frun_err gateway_open_office(struct gateway_shared *sh, const struct generation *g) FRUN_MUST_CHECK;

/** Prepare for changes. @param g gateway @param conf what it starts with @param out state;
 * reload_free() it @return FRUN_OK; FRUN_E_NOMEM. */
frun_err reload_new(struct gateway *g, struct conf_gw *conf, struct reload **out) FRUN_MUST_CHECK;

/** Read the configuration again and use it, or keep the present one. @param r state @param why what
 * for, for the log. */
void reload_begin(struct reload *r, const char *why);

/** Look after the files of certificates from now on. @param r state. */
void reload_watch(struct reload *r);

/** As reload_begin(), for an administrator who is told what came of it. @param r state @param q
 * request. */
void reload_ask(struct reload *r, struct admin_request *q);

/** Tell an administrator what a reload would change. @param r state @param q request. */
void reload_preview(struct reload *r, struct admin_request *q);

/** Begin nothing and finish nothing any more. @param r state or NULL. */
void reload_stop(struct reload *r);

/** Free; after all loops. @param r state or NULL. */
void reload_free(struct reload *r);

/** Open the control socket and serve what it offers. @param g daemon with its loop @param d filled
 * on failure @return FRUN_OK, also when the socket that nobody asked for cannot be made; else as
 * admin_control_open(). */
frun_err gateway_admin_open(struct gateway *g, struct diag *d) FRUN_MUST_CHECK;

/** Serve health, checks and switching. @param g daemon with its server @return FRUN_OK;
 * FRUN_E_NOMEM. */
frun_err gateway_checks_open(struct gateway *g) FRUN_MUST_CHECK;

/** Begin to look for what is an alert. @param g daemon with its alerts. */
void gateway_alerts_start(struct gateway *g);

/** Undo gateway_admin_open(). @param g daemon. */
void gateway_admin_close(struct gateway *g);

/** Told each certificate. @param ctx the caller's @param what "front", "tunnel", "client-ca",
 * "client-crl" (a revocation list), "backend-ca" @param name whose @param until_s its last second,
 * since 1970. */
typedef void (*gateway_certificate_fn)(void *ctx, const char *what, const char *name,
                                       int64_t until_s);

/** Told each context that looks clients up in revocation lists. @param ctx the caller's @param name
 * whose: "gateway", "tunnel" or an endpoint @param v of the list that ends first. */
typedef void (*gateway_crl_fn)(void *ctx, const char *name, struct tls_validity v);

/** Tell the revocation lists that are in use and end. @param g daemon @param fn told @param ctx for
 * it. */
void gateway_crls(const struct gateway *g, gateway_crl_fn fn, void *ctx);

/** Tell every certificate that is in use. @param g daemon @param fn told @param ctx for it. */
void gateway_certificates(const struct gateway *g, gateway_certificate_fn fn, void *ctx);

/** A request of an administrator that waits for the workers. */
struct gateway_inquiry;

/** Answers it. @param q inquiry, its request still waits @param parts what the workers say, one
 * each @param n count. */
typedef void (*gateway_inquiry_fn)(const struct gateway_inquiry *q, const struct survey_part *parts,
                                   size_t n);

struct gateway_inquiry {
    struct gateway *g;       /**< daemon */
    struct admin_request *r; /**< to be answered */
    gateway_inquiry_fn fn;   /**< by this */
};

/** Ask the workers, then answer. @param g daemon @param r request @param what SURVEY_ bits @param
 * connector for SURVEY_DRAIN, else NULL @param fn answers; is not called if the peer has gone
 * meanwhile, or the daemon ends. */
void gateway_inquire(struct gateway *g, struct admin_request *r, unsigned what,
                     const char *connector, gateway_inquiry_fn fn);

struct map;

/** A connector of the configuration, and what the workers know of it. */
struct gateway_connector {
    const struct conf_gw_connector *conf; /**< its section */
    struct seat *seat;                    /**< its seat */
    size_t open;                          /**< tunnels that take requests */
    size_t draining;                      /**< tunnels that only finish */
    size_t in_flight;                     /**< requests in all of them */
    size_t max_in_flight;                 /**< those that the open ones take */
};

/** All connectors of a generation. */
struct gateway_connectors {
    struct gateway_connector *all; /**< in order of their sections */
    size_t n;                      /**< count */
    struct map *by_name;           /**< to them */
};

/** Add up what the workers say. @param gen generation, outlives it @param parts with tunnels @param
 * n count @param out connectors; gateway_connectors_done() them @return FRUN_OK; FRUN_E_NOMEM. */
frun_err gateway_connectors_new(const struct generation *gen, const struct survey_part *parts,
                                size_t n, struct gateway_connectors *out) FRUN_MUST_CHECK;

/** Free. @param c connectors, or zeroed. */
void gateway_connectors_done(struct gateway_connectors *c);

/** Answer GET /api/v1/tunnels. @param ctx daemon @param r request. */
void gateway_get_tunnels(void *ctx, struct admin_request *r);

/** Answer GET /api/v1/connectors. @param ctx daemon @param r request. */
void gateway_get_connectors(void *ctx, struct admin_request *r);

/** Answer POST /api/v1/connectors/{name}/drain. @param ctx daemon @param r request. */
void gateway_drain_connector(void *ctx, struct admin_request *r);

/** Answer GET /metrics. @param ctx daemon @param r request. */
void gateway_metrics(void *ctx, struct admin_request *r);

/** Finish what is under way and end; again: end at once. @param g daemon. */
void gateway_stop(struct gateway *g);

#endif
