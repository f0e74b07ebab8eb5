/**
 * A small HTTP/1.1 server for administrators and monitoring: routes, requests, answers.
 *
 * Runs on one loop beside other work, so everything is bounded: connections, heads, bodies, time,
 * and what waits for a slow reader. Heads and bodies are read by the strict parsers of the http
 * room. Who may connect is decided by whoever hands a socket in (admin/control.h); the server knows
 * only what each peer may do.
 *
 * A handler gets a request and answers it exactly once, at once or later: the request lives until
 * then, whatever becomes of its connection and of the server.
 *
 *     idle <--> head --> body --> handler has it --> answering --> idle ...
 *                                        \--> streaming --> end
 *     any violation or time-out: answer if possible, finish
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_SERVER_H
#define FRUN_ADMIN_SERVER_H

#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/head.h"
#include "frun/loop/loop.h"
#include "frun/net/addr.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Connections at most; what comes above is closed at once. */
#define ADMIN_MAX_CONNECTIONS 64

/** Of them those that only peers without a gate may take. */
#define ADMIN_KEPT_CONNECTIONS 16

/** Octets of a request body at most. */
#define ADMIN_MAX_BODY_BYTES ((size_t)1 << 20)

/** Octets of an answer at most. */
#define ADMIN_MAX_ANSWER_BYTES ((size_t)64 << 20)

/** Parts in braces that a pattern may have. */
#define ADMIN_MAX_PARAMS 4

/** The server. */
struct admin_server;

/** One request, from its handler's call to its answer. */
struct admin_request;

/** Fields that a gate or a handler may add to an answer. */
#define ADMIN_MAX_EXTRA 12

/** A field of an answer. */
struct admin_field {
    const char *name;  /**< constant name */
    const char *value; /**< text, lives at least as long as the request */
};

/** Stands before the routes where connections come from strangers. */
struct admin_gate {
    /** Judge a head, before its body is read. @param ctx the peer's gate_ctx @param r request with
     * its head @param why out: text for a person, constant @return 0: go on; else the status of the
     * refusal. */
    unsigned (*look)(void *ctx, struct admin_request *r, const char **why);
    /** Make sure who asks, now or later: ends in admin_request_admit() or admin_request_fail().
     * @param ctx as above @param r complete request. */
    void (*verify)(void *ctx, struct admin_request *r);
    const struct admin_field *fields; /**< of every answer, constant */
    size_t n_fields;                  /**< their number */
    const char *challenge;            /**< WWW-Authenticate of a 401 */
};

/** Who is at the other end of a connection, and what it may do. */
struct admin_peer {
    bool may_read;                 /**< else every request is answered with 403 */
    bool may_write;                /**< else those of routes with is_write are */
    char name[64];                 /**< for the log, "uid 0" */
    const struct admin_gate *gate; /**< NULL: nobody stands there; outlives the connection */
    void *gate_ctx;                /**< for it */
};

/** Answers a request, now or later. @param ctx as given with the route @param r request; answer it
 * exactly once by admin_request_answer() or one of its kind. */
typedef void (*admin_fn)(void *ctx, struct admin_request *r);

/** What is served under a path. */
struct admin_route {
    const char *method;  /**< "GET" (HEAD comes with it), "POST", "DELETE" */
    const char *pattern; /**< "/api/v1/endpoints/{name}": a part in braces fits any segment */
    bool is_write;       /**< it changes something */
    admin_fn fn;         /**< called with a complete request */
};

/** Time-outs, milliseconds. */
struct admin_limits {
    uint64_t idle_ms;  /**< between requests */
    uint64_t head_ms;  /**< first to last octet of a head */
    uint64_t body_ms;  /**< first to last octet of a body */
    uint64_t write_ms; /**< in which the reader of an answer takes nothing */
};

/** What is sensible for frunctl and for monitoring. */
#define ADMIN_LIMITS_DEFAULT ((struct admin_limits){60000, 10000, 30000, 30000})

/** Make a server without connections and routes. @param l loop @param lim time-outs, copied @param
 * out server; admin_server_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: owner of @p l. */
frun_err admin_server_new(struct loop *l, const struct admin_limits *lim,
                          struct admin_server **out) FRUN_MUST_CHECK;

/** Close every connection and free; requests still to be answered are answered into nothing. @param
 * s server or NULL. Thread: owner. */
void admin_server_free(struct admin_server *s);

/** Serve more routes. @param s server @param routes table, must outlive the server @param n its
 * length @param ctx for its handlers @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err admin_server_add(struct admin_server *s, const struct admin_route *routes, size_t n,
                          void *ctx) FRUN_MUST_CHECK;

struct audit;

/** Tell an audit log every command, and everybody who is refused. @param s server @param audit log,
 * must outlive the server; NULL: none. Thread: owner. */
void admin_server_audit(struct admin_server *s, struct audit *audit);

/** Serve a connection. @param s server @param fd socket from a listener, taken and set to -1 on
 * success @param from its address @param tls context, a reference is taken; NULL: plain @param peer
 * who it is, copied @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO; FRUN_E_LIMIT too many connections.
 * Thread: owner. */
frun_err admin_server_take(struct admin_server *s, int *fd, const struct addr *from,
                           struct tls_ctx *tls, const struct admin_peer *peer) FRUN_MUST_CHECK;

/** A part of the path that stood in braces. @param r request @param i 0.. in order of the pattern
 * @return decoded text, NUL behind it, lives with @p r. Thread: owner. */
struct span admin_request_param(const struct admin_request *r, size_t i);

/** A parameter of the query. @param r request @param name plain name @return decoded text, lives
 * with @p r; absent if there is none, or if it is badly encoded. Thread: owner. */
struct span admin_request_query(struct admin_request *r, const char *name);

/** The request's head. @param r request @return head, lives with @p r. Thread: owner. */
const struct head *admin_request_head(const struct admin_request *r);

/** The request's body. @param r request @return octets, live with @p r. Thread: owner. */
struct span admin_request_body(const struct admin_request *r);

/** A parameter that may come several times. @param r request @param name name @param i which of
 * them, 0.. @return value, decoded; absent: there are no more, or it is badly encoded. Thread:
 * owner.
 */
struct span admin_request_query_at(struct admin_request *r, const char *name, size_t i);

/** Who asks. @param r request @return peer, lives with @p r. Thread: owner. */
const struct admin_peer *admin_request_peer(const struct admin_request *r);

/** From its gate: the request may pass; its route's handler is called. @param r request with a gate
 * @param name who it is, for the log; NULL: as before. Thread: owner. */
void admin_request_admit(struct admin_request *r, const char *name);

/** Add a field to the answer; one that is added anyhow is replaced. @param r request @param name
 * constant name @param value text, copied; left out when memory is refused. Thread: owner. */
void admin_request_set(struct admin_request *r, const char *name, struct span value);

/** Has the peer gone? Then the answer is still due, but nobody will read it. A question from
 * within has no peer, and has not gone while its answer is awaited. @param r request
 * @return true if so. Thread: owner. */
bool admin_request_is_gone(const struct admin_request *r);

/** Answer; the request is gone afterwards. @param r request @param status 200..599 @param type
 * Content-Type @param body its content is taken, the buffer is empty afterwards. Thread: owner. */
void admin_request_answer(struct admin_request *r, unsigned status, const char *type,
                          struct buf *body);

/** Answer with an error as application/problem+json; the request is gone afterwards. @param r
 * request @param status 400..599 @param fmt printf format: what is wrong and what to do. Thread:
 * owner. Source: RFC 9457. */
void admin_request_fail(struct admin_request *r, unsigned status, const char *fmt, ...)
    FRUN_PRINTF(3, 4);

/** Begin an answer of unknown length; admin_request_send() and admin_request_end() follow. @param r
 * request @param type Content-Type. Thread: owner. */
void admin_request_begin(struct admin_request *r, const char *type);

/** Send a part of an answer that has begun. @param r request @param data octets, copied @return
 * FRUN_OK; FRUN_E_CLOSED the peer has gone, or read too slowly and was cut off: end it. Thread:
 * owner. */
frun_err admin_request_send(struct admin_request *r, struct span data) FRUN_MUST_CHECK;

/** Octets that admin_request_send() takes now. @param r request whose answer has begun @return
 * count, 0 also when the peer has gone. Thread: owner. */
size_t admin_request_room(const struct admin_request *r);

/** Be told when there is room again, or when the peer has gone: also while the server is freed.
 * @param r request @param fn called at the end of a pass as a rule; may end the request @param ctx
 * for it. Thread: owner. */
void admin_request_on_room(struct admin_request *r, void (*fn)(void *ctx), void *ctx);

/** Cut an answer that has begun off: the connection is closed at once, so that what was sent is not
 * taken for all of it; the request is gone afterwards. @param r request. Thread: owner. */
void admin_request_abort(struct admin_request *r);

/** Told an answer. @param ctx the caller's @param status of it @param body its text, lives until
 * the return. */
typedef void (*admin_heard_fn)(void *ctx, unsigned status, struct span body);

/** Ask a route from within, as a reader without a connection. @param s server @param path of a GET
 * route, constant @param fn told once, now or later, but never after admin_server_free()
 * @param ctx for it @return FRUN_OK; FRUN_E_NOT_FOUND no such route; FRUN_E_NOMEM. Thread: owner.
 */
frun_err admin_server_ask(struct admin_server *s, const char *path, admin_heard_fn fn,
                          void *ctx) FRUN_MUST_CHECK;

/** End an answer that has begun; the request is gone afterwards. @param r request. Thread: owner.
 */
void admin_request_end(struct admin_request *r);

#endif
