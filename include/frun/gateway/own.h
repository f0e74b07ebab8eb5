/**
 * The gateway's own resources: what is answered on its root URL without an endpoint, such as
 * /sap/bc/ping and /oauth/token.
 *
 * One table names them all. The exchange hands a request over and gets one answer back; it goes on
 * owning the connection, the request's memory and the access line. A body is gathered first, below
 * a low ceiling. One worker's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_OWN_H
#define FRUN_GATEWAY_OWN_H

#include "frun/access/auth.h"
#include "frun/access/identity.h"
#include "frun/base/arena.h"
#include "frun/base/span.h"
#include "frun/gateway/reply.h"
#include "frun/gateway/worker.h"
#include "frun/http/head.h"

#include <stdbool.h>
#include <stddef.h>

/** Longest body of a request to one of them, octets. */
#define OWN_MAX_BODY 8192

struct own_resource;

/** A request to one of them; embedded in the exchange. */
struct own_ask {
    struct worker *w;                   /**< whose request it is */
    struct registry *registry;          /**< the request's */
    struct identity *identity;          /**< certificate of the connection, or NULL */
    const struct identity_trust *trust; /**< by what that is judged */
    const struct head *in;              /**< its head */
    struct span query;                  /**< its query, perhaps absent */
    struct arena *arena;                /**< its memory */
    /** Told once what to answer; @p r lives until the return. */
    void (*answer)(struct own_ask *a, const struct reply *r);
    bool wants_body;                 /**< out: own_on_body() and own_on_body_end() are to follow */
    const struct pusher *who;        /**< out: whose request it was, for the access line, or NULL */
    struct auth_waiter waiter;       /**< private, but its way is for the access line */
    const struct own_resource *what; /**< private: which one */
    char *body;                      /**< private: gathered, OWN_MAX_BODY octets */
    size_t n_body;                   /**< private: octets in it */
    bool is_basic;                   /**< private: the client used HTTP Basic */
};

/** Prepare. @param a storage. Thread: worker. */
void own_init(struct own_ask *a);

/** Is it one of the gateway's own? Then the request is taken on and answered through a->answer,
 * perhaps before the return. @param a the fields up to answer are set @param path canonical path
 * @return true if so. Thread: worker. */
bool own_begin(struct own_ask *a, struct span path);

/** Body octets. @param a taken on, wants_body @param data octets @return how many were taken: all,
 * or none because the answer has been given. Thread: worker. */
size_t own_on_body(struct own_ask *a, struct span data);

/** The body is complete. @param a taken on, wants_body. Thread: worker. */
void own_on_body_end(struct own_ask *a);

/** The answer is not wanted any more, or has been given: what may be a secret is wiped. Harmless if
 * nothing was taken on. @param a ask. Thread: worker. */
void own_forget(struct own_ask *a);

#endif
