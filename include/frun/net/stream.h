/**
 * A byte stream over a connected socket, plain or TLS: two constant operation tables, one
 * interface.
 *
 * Reading: on_readable says that stream_read() is worth a try; read until FRUN_E_AGAIN or until
 * there is no room, and switch reading off while there is none (level-triggered: on_readable comes
 * again when it is switched on and octets wait, also octets that TLS has decrypted already).
 * Writing: stream_put() gathers; at the end of the loop pass everything gathered is encrypted into
 * as few records as possible and given to the socket in one write. What the socket does not take
 * waits; on_room comes when less than half of the ceiling waits. Memory: an idle stream holds no
 * buffers of ours and, by SSL_MODE_RELEASE_BUFFERS, none of OpenSSL's.
 *
 *     connecting/handshaking --on_ready--> open --stream_finish()--> draining --> on_closed
 *                \______________________________________________________________/  any error:
 * on_closed
 *
 * TCP_NODELAY is set on every socket. All calls and events on the loop's thread; events may call
 * anything, also stream_free().
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_STREAM_H
#define FRUN_NET_STREAM_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/loop/loop.h"
#include "frun/net/addr.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stddef.h>

/** Octets of a window, and the most that stream_room() tells. */
#define STREAM_BUFFER_BYTES 65536

/** Octets more that may wait for the socket before stream_room() is 0. What is passed on has
 * another head than what came, and TLS adds to each record: without it the last octets of every
 * window would go out by a send of their own. */
#define STREAM_SLACK_BYTES 2048

/** A stream. */
struct stream;

/** What a stream reports. */
struct stream_events {
    /** TLS handshake done (plain: soon after stream_new()). Reading is off until stream_read_on().
     * May be NULL. */
    void (*on_ready)(void *ctx);
    /** stream_read() is worth a try; the peer's end is announced once. */
    void (*on_readable)(void *ctx);
    /** There is room again after stream_room() was short. May be NULL. */
    void (*on_room)(void *ctx);
    /** The stream is dead: FRUN_E_EOF after stream_finish(), FRUN_E_CLOSED reset or ended by the
     * peer while nobody read (and nothing was left to read), FRUN_E_TLS, FRUN_E_IO, FRUN_E_NOMEM,
     * FRUN_E_TIMEOUT handshake, or 30 s in which the peer took nothing after stream_finish(). Comes
     * once, never from within a call of ours, also after stream_read() or stream_put() have said so
     * already. Only stream_free() and the getters may follow. */
    void (*on_closed)(void *ctx, frun_err err);
};

/** How a stream begins. */
struct stream_settings {
    struct tls_ctx *tls;     /**< NULL: plain; a reference is taken */
    const char *server_name; /**< client: SNI and the name (or IP address) that the certificate must
                                carry */
    bool is_client;          /**< TLS role */
    uint64_t handshake_ms;   /**< ceiling of the handshake, 1.. */
    unsigned user_timeout_ms;    /**< TCP_USER_TIMEOUT, 0: the system's */
    const struct addr *accepted; /**< the socket comes from a listener, which has prepared it, and
                                    this is its peer; NULL: from elsewhere; copied */
};

/**
 * Make a stream of a connected, non-blocking socket and begin the handshake.
 *
 * @param l        loop
 * @param fd       socket; taken, and set to -1, on success
 * @param s        settings
 * @param ev       events, must outlive the stream
 * @param ctx      for the events
 * @param out      stream; stream_free() it
 * @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS; FRUN_E_IO; the socket is then still the caller's
 * Thread: owner of @p l.
 */
frun_err stream_new(struct loop *l, int *fd, const struct stream_settings *s,
                    const struct stream_events *ev, void *ctx, struct stream **out) FRUN_MUST_CHECK;

/** Change who gets the events. @param s stream @param ev events @param ctx for them. Thread: owner.
 */
void stream_set_events(struct stream *s, const struct stream_events *ev, void *ctx);

/** Close at once, whatever waits is lost; freed after the pass, no event follows. @param s stream
 * or NULL. Thread: owner. */
void stream_free(struct stream *s);

/** Close with a reset (RST) so that the peer cannot take the end for a good one. Like
 * stream_free(). @param s stream or NULL. Thread: owner. */
void stream_reset(struct stream *s);

/** Send what was put, then TLS close_notify, then close; on_closed(FRUN_E_EOF) follows. Octets that
 * still arrive are read and dropped for at most 2 s so that no reset destroys the answer. @param s
 * stream. Thread: owner. */
void stream_finish(struct stream *s);

/** Read. @param s stream @param p room @param max octets of room, 1.. @param n out: octets
 * read, 1.. @return FRUN_OK; FRUN_E_AGAIN nothing now; FRUN_E_EOF peer ended in good order;
 * FRUN_E_CLOSED reset, or TLS ended without close_notify; FRUN_E_TLS; FRUN_E_IO. Thread: owner. */
frun_err stream_read(struct stream *s, void *p, size_t max, size_t *n) FRUN_MUST_CHECK;

/** Switch on_readable on or off. @param s stream @param is_on state. Thread: owner. */
void stream_read_on(struct stream *s, bool is_on);

/** Gather octets for sending. Takes all of them, also above the ceiling (respect stream_room());
 * more than 16 MiB waiting kills the stream. @param s stream @param data octets, copied @return
 * FRUN_OK; FRUN_E_NOMEM; FRUN_E_CLOSED dead. Thread: owner. */
frun_err stream_put(struct stream *s, struct span data) FRUN_MUST_CHECK;

/** Octets that may be put before the ceiling. @param s stream @return 0..STREAM_BUFFER_BYTES.
 * Thread: owner. */
size_t stream_room(const struct stream *s);

/** Octets that wait for the socket. @param s stream @return count. Thread: owner. */
size_t stream_waiting(const struct stream *s);

/** Move to another loop: events stop here and go on there after stream_attach(). Nothing may wait
 * to be sent. @param s stream. Thread: owner of its loop. */
void stream_detach(struct stream *s);

/** Go on in loop @p l. @param s detached stream @param l loop @return FRUN_OK; FRUN_E_NOMEM, the
 * stream is dead. Thread: owner of @p l. */
frun_err stream_attach(struct stream *s, struct loop *l) FRUN_MUST_CHECK;

/** Which context served the handshake (after SNI)? @param s TLS stream @return context, or NULL for
 * plain. Thread: owner. */
const struct tls_ctx *stream_tls(const struct stream *s);

/** Which protocol did the handshake agree on (ALPN)? @param s stream @return name, lives with the
 * stream; absent for plain, before the handshake, or if none was offered. Thread: owner. Source:
 * RFC 7301. */
struct span stream_alpn(const struct stream *s);

/** Subject of the peer's verified certificate, RFC 2253 text ("CN=dc1-a"). @param s stream @param
 * out text @param max room @return FRUN_OK; FRUN_E_NOT_FOUND no certificate; FRUN_E_LIMIT. Thread:
 * owner. Source: RFC 2253. */
frun_err stream_peer_subject(const struct stream *s, char *out, size_t max) FRUN_MUST_CHECK;

/** Subject of a client certificate that a server which demands one has refused in the handshake:
 * what the peer says it is, proved by nothing. @param s stream, closed @param out text @param max
 * room @return FRUN_OK; FRUN_E_NOT_FOUND none was refused; FRUN_E_LIMIT. Thread: owner. Source: RFC
 * 2253. */
frun_err stream_refused_subject(const struct stream *s, char *out, size_t max) FRUN_MUST_CHECK;

/** Last second of the peer's verified certificate. @param s stream @return seconds since 1970; 0:
 * no certificate. Thread: owner. */
int64_t stream_peer_until(const struct stream *s);

/** The loop it belongs to. @param s stream @return loop, NULL while detached. Thread: owner. */
struct loop *stream_loop(const struct stream *s);

/** Address of the peer. @param s stream @return address, lives with the stream. Thread: owner. */
const struct addr *stream_peer(const struct stream *s);

/** Why TLS failed, in words ("certificate of frun.corp has expired"), after on_closed(FRUN_E_TLS).
 * @param s stream @return text, "" if nothing is known. Thread: owner. */
const char *stream_why(const struct stream *s);

#endif
