/**
 * Endpoints and pushers prepared for the data path: maps, policies and texts made once from a
 * configuration snapshot.
 *
 * Immutable and counted: a request pins the registry it started with. Holds the endpoints'
 * credentials, so its memory is wiped when freed.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_REGISTRY_H
#define FRUN_ACCESS_REGISTRY_H

#include "frun/access/issuers.h"
#include "frun/access/rules.h"
#include "frun/access/tokens.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/conf/gateway.h"
#include "frun/http/policy.h"
#include "frun/net/tls.h"
#include "frun/oauth/jwt.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** A pusher as the data path sees it. */
struct pusher {
    const struct conf_pusher *conf;        /**< its section */
    struct span name;                      /**< section name, for the access line */
    struct span principal;                 /**< its name for connectors, as the field has it */
    struct pusher *next_same_user;         /**< other pushers with the same user name, or NULL */
    size_t index;                          /**< 0.. in the registry */
    char generation[JWT_GENERATION_BYTES]; /**< of its client secret, "" without */
    char old_generation[JWT_GENERATION_BYTES]; /**< of the one before, "" without */
    struct rules rules;                        /**< certificates it is known by */
};

/** What all workers together know of one endpoint's way through SAP's connectivity proxy. */
struct sap_state {
    atomic_int kind;                /**< enum sap_error_kind last told in the log */
    atomic_uint_fast64_t denied_ms; /**< when a path was last denied, as loop_now_ms() */
};

/** What an endpoint's checks have shown. */
enum endpoint_health {
    ENDPOINT_UNKNOWN,    /**< not checked often enough, or not at all */
    ENDPOINT_UP,         /**< Focused Run answers */
    ENDPOINT_DOWN,       /**< it cannot be reached, or is ill */
    ENDPOINT_UNVERIFIED, /**< something answers, but the check is not exposed */
    ENDPOINT_PARKED,     /**< 401: nothing is tried for a while, so that no user gets locked */
    ENDPOINT_HEALTHS     /**< count */
};

/** What changes about an endpoint while it is served. Written by main, read by anybody; shared by
 * the registries in which the endpoint has the same roads. */
struct endpoint_state {
    atomic_uint refs;        /**< registries it belongs to */
    atomic_int health;       /**< enum endpoint_health */
    atomic_bool is_switched; /**< its requests take standby_route */
};

/** An endpoint as the data path sees it. */
struct endpoint {
    const struct conf_endpoint *conf; /**< its section */
    struct span name;                 /**< section name */
    struct policy policy;             /**< what its requests get */
    struct span allow;                /**< "GET, HEAD, POST, PUT" */
    unsigned ways;                    /**< enum conf_auth of all pushers that may use it */
    struct tls_ctx *front_tls;        /**< serves its own host names, NULL: the gateway's */
    struct tls_ctx *backend_tls;      /**< TLS of our own with Focused Run, or NULL */
    const struct sap_proxy *sap;      /**< sap-connectivity: its section, else NULL */
    struct span sap_authority;        /**< sap-connectivity: virtual host and port, always both */
    struct sap_state *sap_state;      /**< sap-connectivity: what the workers know of the road */
    struct token *logon;              /**< auth = oauth2: its token, else NULL */
    struct endpoint_state *state;     /**< what changes */
    size_t index;                     /**< 0.. in the registry */
    unsigned serial;                  /**< the same in every registry that has it by this name */
};

/** A host name of an endpoint. */
struct endpoint_host {
    const struct endpoint *e; /**< endpoint */
    struct policy policy;     /**< the endpoint's, but for host and root path */
};

/** The registry. */
struct registry;

/** Prepare a configuration. @param conf snapshot, one reference is taken @param report each
 * backend_ca, service key and client certificate that does not load is told here; NULL: nowhere
 * @param out registry with one reference
 * @return FRUN_OK; FRUN_E_TLS, FRUN_E_IO a backend_ca does not load; FRUN_E_SYNTAX a service key or
 * client certificate; FRUN_E_NOMEM. Thread: main. */
frun_err registry_new(struct conf_gw *conf, FILE *report, struct registry **out) FRUN_MUST_CHECK;

/** As registry_new(), in the place of another: endpoints of the same name have the same serial,
 * tokens that are still the same are kept, and so are the keys of TLS session tickets. @param conf
 * as there @param before the registry that was used until now, or NULL @param report as there
 * @param out as there @return FRUN_OK; FRUN_E_TLS, FRUN_E_IO, FRUN_E_SYNTAX, FRUN_E_NOMEM, as
 * there. Thread: main. */
frun_err registry_next(struct conf_gw *conf, const struct registry *before, FILE *report,
                       struct registry **out) FRUN_MUST_CHECK;

/** Find an endpoint by its section's name. @param r registry @param name as written @return it, or
 * NULL. Thread: any. */
const struct endpoint *registry_endpoint_named(const struct registry *r, struct span name);

/** Find an endpoint by its serial. @param r registry @param serial as in this or a former registry
 * @return it, or NULL: this one has none of that name. Thread: any. */
const struct endpoint *registry_endpoint_of(const struct registry *r, unsigned serial);

/** Find a pusher by its section's name, enabled or not. @param r registry @param name as written
 * @return it, or NULL. Thread: any. */
const struct pusher *registry_pusher_named(const struct registry *r, struct span name);

/** Go on with what the endpoints' states were: health, and the road an endpoint was switched to, as
 * far as it still has that; again, if they may have changed since. @param r registry nobody uses
 * yet
 * @param before the one in use. Thread: main. */
void registry_follow(struct registry *r, const struct registry *before);

/** One more reference. @param r registry @return @p r. Thread: any. */
struct registry *registry_ref(struct registry *r);

/** Give a reference back and forget it. @param r address of the reference, may hold NULL. Thread:
 * any. */
void registry_unref(struct registry **r);

/** The snapshot it was made of. @param r registry @return configuration, lives with @p r. Thread:
 * any. */
const struct conf_gw *registry_conf(const struct registry *r);

/** What tells this registry from all others, before and after it. @param r registry @return a
 * random number, never 0. Thread: any. */
uint64_t registry_serial(const struct registry *r);

/** Pushers that are enabled and known by certificates. @param r registry @param n out: count
 * @return array in order of the configuration. Thread: any. */
const struct pusher *const *registry_certified(const struct registry *r, size_t *n);

/** Does anything of it need access tokens? @param r registry @return true if so. Thread: any. */
bool registry_needs_tokens(const struct registry *r);

/** All endpoints. @param r registry @param n out: count @return array in order of the
 * configuration. Thread: any. */
const struct endpoint *registry_endpoints(const struct registry *r, size_t *n);

/** Find the endpoint a canonical path belongs to. @param r registry @param path
 * "/ACME_PROD/sap/frun/x" @param rest out: "/sap/frun/x", empty for the bare root @return endpoint,
 * or NULL. Thread: any. */
const struct endpoint *registry_find(const struct registry *r, struct span path, struct span *rest);

/** Find the endpoint that has a host name. @param r registry @param authority Host or :authority as
 * received; port and case do not matter @return it, or NULL. Thread: any. */
const struct endpoint_host *registry_host(const struct registry *r, struct span authority);

/** Find the pusher that a user name means at an endpoint. @param r registry @param user as sent
 * @param e endpoint @param is_listed out: may it use @p e @return pusher, or NULL if no pusher has
 * that user. Thread: any. */
const struct pusher *registry_pusher(const struct registry *r, struct span user,
                                     const struct endpoint *e, bool *is_listed);

/** Find the pusher that a client ID means. @param r registry @param client_id as sent @return
 * pusher that is enabled and uses tokens, or NULL. Thread: any. */
const struct pusher *registry_client(const struct registry *r, struct span client_id);

/** The issuers whose tokens are accepted. @param r registry @return them, live with @p r. Thread:
 * any. */
const struct issuers *registry_issuers(const struct registry *r);

/** May a pusher use an endpoint? @param p pusher @param e endpoint @return true if so. Thread: any.
 */
bool registry_may(const struct pusher *p, const struct endpoint *e);

#endif
