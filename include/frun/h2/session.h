/**
 * One HTTP/2 connection on an open stream, in either role, as calls or served requests
 * (http/exchange.h).
 *
 * The role is HTTP's, not TCP's: in a tunnel the gateway accepted the connection and is the HTTP/2
 * client, the connector dialled and is the server. nghttp2 does the protocol; this module joins it
 * to a net stream: gathered writes (all frames of a loop pass in as few records as possible),
 * window updates only when octets have been taken by the next hop (the window is the
 * back-pressure), PING from this side after idle time, dead when it is not answered, ceilings for
 * streams, windows and header lists, no push.
 *
 * A stream's window limits a body to so many octets in each round trip. On a long path it is
 * doubled while windows arrive and are taken as fast as round trips allow, up to
 * H2_GROWN_WINDOW_BYTES, and paid from a budget that all sessions of a worker share: what a slow
 * next hop may leave unread stays bounded. The path is measured by a PING, once a second at most
 * and only while a body is longer than half a window.
 *
 *     open --h2_drain() or GOAWAY of the peer--> draining --last stream ended--> on_closed
 *        \_____any error, PING not answered, stream closed_____/---------------> on_closed
 *
 * Draining: no new streams, old ones finish. After an error every call fails and every served
 * request is gone, except calls whose answer has arrived completely, and served requests of a
 * stranger whose body has: their owners take it in their own time, and on_closed waits for them.
 * The same holds for a stranger's request whose stream it resets.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_H2_SESSION_H
#define FRUN_H2_SESSION_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"
#include "frun/loop/loop.h"
#include "frun/net/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A session. */
struct h2;

/** Octets that one stream's receive window may grow to. */
#define H2_GROWN_WINDOW_BYTES 1048576U

/** Octets by which the connection's window may grow: twice what those of its streams do together.
 */
#define H2_GROWN_CONNECTION_BYTES 4194304U

/** What the windows of a worker's sessions may still grow by; the worker's, and outlives them. */
struct h2_budget {
    size_t left_bytes; /**< octets */
    size_t all_bytes;  /**< what it was when nothing had grown */
};

/** Ceilings and times. */
struct h2_settings {
    bool is_client;         /**< we send requests */
    bool is_stranger;       /**< server: the peer may be anybody; resets, window updates and other
                               frames that keep us busy are bounded tightly */
    uint32_t max_streams;   /**< requests in flight: what we announce (server), and our own ceiling
                               (client) */
    uint32_t stream_window; /**< octets of a stream's receive window, 65535..16 MiB */
    uint32_t connection_window; /**< octets of the connection's receive window; 0: stream_window *
                                   max_streams, at most 16 MiB */
    struct h2_budget *budget;   /**< windows grow on long paths as far as it lasts; NULL: never */
    uint32_t max_frame_bytes;   /**< largest frame the peer may send, 16384..16 MiB-1; 0: 16384. Of
                                   bodies in large frames more octets of one request come together,
                                   so each next hop gets fewer and larger pieces */
    uint32_t max_head_bytes;    /**< of a received header list */
    uint32_t max_target_bytes;  /**< server: of a request target; 0: max_head_bytes */
    uint32_t max_fields;        /**< server: fields of a request; 0: HEAD_MAX_FIELDS */
    uint64_t ping_interval_ms;  /**< idle time before a PING; 0: none is sent */
    uint64_t ping_timeout_ms;   /**< PING to dead */
    uint64_t idle_timeout_ms;   /**< server: time without a request before we drain; 0: any */
    uint64_t head_timeout_ms;   /**< server: first to last octet of a field block; 0: any */
    uint64_t body_timeout_ms;   /**< server: between two pieces of a request's body, and between two
                                   that the peer takes of an answer; 0: any */
};

/** Where a request's head is built. */
struct h2_place {
    struct head *head;   /**< room for it */
    struct arena *arena; /**< memory for its octets */
    void *owner;         /**< becomes served.owner */
};

/** What a session reports. */
struct h2_events {
    /** Server: a request's head begins: lend the place where it is built. One of on_request,
     * on_refused and on_head_lost follows. False: memory refused. NULL: the session uses a place of
     * its own, and heads live until on_request returns. */
    bool (*on_head)(void *ctx, struct h2_place *place);
    /** Server: a request head came. Set s->ev and s->owner and return; answer now or later. A
     * request that is not taken on (s->ev stays NULL) is refused with REFUSED_STREAM. Extended
     * CONNECT and CONNECT never get here. */
    void (*on_request)(void *ctx, struct served *s, const struct head *h);
    /** Server: a head came that is not acceptable; answer with @p fault. NULL: the session answers
     * with the bare status, and a place that was lent comes back by on_head_lost. */
    void (*on_refused)(void *ctx, struct served *s, const struct head_fault *fault);
    /** Server with on_head: the head will never be complete; @p owner is the place's, @p why a
     * constant text. */
    void (*on_head_lost)(void *ctx, void *owner, const char *why);
    /** The peer sent GOAWAY, or h2_drain() was called: no new streams; on_closed follows when the
     * last has ended. May be NULL. */
    void (*on_drain)(void *ctx);
    /** A call ended, so h2_may_call() may be true again. May be NULL. */
    void (*on_capacity)(void *ctx);
    /** The session is dead and its streams are gone; only h2_free() may follow. @p why for a
     * person. */
    void (*on_closed)(void *ctx, frun_err err, const char *why);
};

/**
 * Begin on an open stream; sends the preface and SETTINGS.
 *
 * @param s        stream, ready; taken and set to NULL on success
 * @param first    octets already read from the stream that belong to HTTP/2 (behind the 101), may
 * be empty
 * @param set      settings
 * @param ev       events, must outlive the session
 * @param ctx      for them
 * @param out      session; h2_free() it
 * @return FRUN_OK; FRUN_E_NOMEM
 * Thread: owner of the stream's loop. Source: RFC 9113.
 */
frun_err h2_new(struct stream **s, struct span first, const struct h2_settings *set,
                const struct h2_events *ev, void *ctx, struct h2 **out) FRUN_MUST_CHECK;

/** Close at once: calls fail with is_unprocessed true only where provable, served requests are
 * gone. Events follow for streams, not on_closed. Freed after the pass. @param h session or NULL.
 * Thread: owner. */
void h2_free(struct h2 *h);

/** Stop in good order: server: GOAWAY announcing, one round trip later GOAWAY with the true last
 * stream; then finish and close. Client: no new calls, GOAWAY, finish, close. @param h session.
 * Thread: owner. */
void h2_drain(struct h2 *h);

/** May a call be opened now (open, not draining, below the peer's and our ceiling)? @param h client
 * session @return true if so. Thread: owner. */
bool h2_may_call(const struct h2 *h);

/** Calls or served requests in flight. @param h session @return count. Thread: owner. */
size_t h2_in_flight(const struct h2 *h);

/** Calls or served requests that may be in flight at a time: the smaller of both ends' ceilings.
 * @param h session @return count. Thread: owner. */
size_t h2_max_in_flight(const struct h2 *h);

/** Ask for a PING now and declare the session dead if it is not answered in time. @param h session
 * @param timeout_ms 1.. Thread: owner. */
void h2_probe(struct h2 *h, uint64_t timeout_ms);

/** Round-trip time of the last PING. @param h session @return microseconds, 0: none yet. Thread:
 * owner. */
uint64_t h2_rtt_us(const struct h2 *h);

/**
 * Open a call: one stream.
 *
 * Connection-specific fields are not sent; names go in lower case; Authorization, Cookie and fields
 * marked by the caller are never indexed. The body follows through call_ops.send(); a head with
 * HEAD_BODY_NONE ends the stream at once. A reset with REFUSED_STREAM, or a GOAWAY below our
 * stream, fails with is_unprocessed.
 *
 * @param h        client session for which h2_may_call() is true
 * @param req      method, target (origin-form), authority, fields, framing; read before the return
 * @param ev       events of the call
 * @param owner    for them
 * @param out      the call
 * @return FRUN_OK; FRUN_E_LIMIT no more streams, or the head is larger than the peer takes;
 * FRUN_E_CLOSED draining or dead; FRUN_E_NOMEM
 * Thread: owner. Source: RFC 9113 8.
 */
frun_err h2_call(struct h2 *h, const struct head *req, const struct call_events *ev, void *owner,
                 struct call **out) FRUN_MUST_CHECK;

#endif
