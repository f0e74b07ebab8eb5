/**
 * What the files of the server share.
 *
 *     server.c          routes, the list of connections, what a request is asked
 *     server_conn.c     a connection: octets to requests, answers to octets
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_SERVER_INT_H
#define FRUN_ADMIN_SERVER_INT_H

#include "frun/admin/server.h"
#include "frun/base/arena.h"
#include "frun/base/list.h"
#include "frun/http/body.h"
#include "frun/http/uri.h"
#include "frun/net/stream.h"

/** Tables of routes a server takes. */
#define ADMIN_MAX_TABLES 16

/** Octets of a request's head. */
#define ADMIN_MAX_HEAD_BYTES 16384

struct admin_server {
    struct loop *loop;
    struct admin_limits limits;
    struct list conns;
    size_t n_conns;
    struct list asked;   /* requests from within */
    struct list waiting; /* requests that are told of room */
    struct {
        const struct admin_route *routes;
        size_t n;
        void *ctx;
    } tables[ADMIN_MAX_TABLES];
    size_t n_tables;
    struct audit *audit; /* NULL: none */
};

struct admin_conn;
struct audit;

struct admin_request {
    struct admin_conn *conn; /* NULL: gone */
    struct admin_peer peer;
    struct arena arena;
    struct head head;
    struct uri uri;
    struct buf body;
    struct span params[ADMIN_MAX_PARAMS];
    struct admin_field extra[ADMIN_MAX_EXTRA];
    size_t n_extra;
    bool is_command; /* its route changes something */
    admin_fn fn;
    void *ctx;
    struct list asked;    /* in server.asked */
    admin_heard_fn heard; /* asked from within; NULL: by a connection, or nobody listens any more */
    void *heard_ctx;
    struct list waiting;        /* in server.waiting */
    void (*on_room)(void *ctx); /* NULL: nobody waits for it */
    void *on_room_ctx;
    struct later gone; /* tells whoever waits for room that there will be none */
};

/* Find the route of a request with head and uri: fn, ctx and params are filled. 0, or the status
 * that refuses it; allow then gets the methods there are (405). */
unsigned admin_server_match(const struct admin_server *s, struct admin_request *r,
                            struct span *allow);

/* Percent-decode into the request's memory; absent: badly encoded, or no memory. */
struct span admin_server_decode(struct admin_request *r, struct span raw, bool is_query);

/* Tell the audit log a command. */
void admin_server_audit_command(const struct admin_server *s, const struct admin_request *r,
                                bool is_allowed);

/* An empty request; NULL: no memory. */
struct admin_request *admin_request_new(void);

/* Tell whoever asked from within, and free the request: it has no connection. */
void admin_server_tell(struct admin_request *r, unsigned status, struct span body);

/* Free a request that nobody will ask for any more. */
void admin_server_drop(struct admin_request *r);

/* Serve a connection; as admin_server_take(). */
frun_err admin_conn_new(struct admin_server *s, int *fd, const struct addr *from,
                        struct tls_ctx *tls, const struct admin_peer *peer) FRUN_MUST_CHECK;

/* Close at once. */
void admin_conn_kill(struct list *node);

#endif
