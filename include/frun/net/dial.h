/**
 * Dialling out: resolve, connect to one address after the other, pass an HTTP CONNECT proxy or the
 * SOCKS5 proxy of SAP BTP, shake hands; the result is an open stream.
 *
 * Names are resolved on a helper thread, anew for each dial. With a proxy the proxy resolves the
 * target. All addresses are tried in the order the resolver gives, each for at most half of what is
 * left of the time (the last for all of it).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_DIAL_H
#define FRUN_NET_DIAL_H

#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"
#include "frun/net/stream.h"
#include "frun/net/tls.h"

#include <stdint.h>

/** What the SOCKS5 proxy of SAP BTP is told. */
struct dial_socks {
    struct span token;       /**< access token (JWT), 1..DIAL_SOCKS_TOKEN_BYTES octets */
    struct span location_id; /**< of the Cloud Connector, at most DIAL_SOCKS_LOCATION_BYTES; empty:
                                the one without */
};

/** Longest access token for a SOCKS5 proxy, octets. */
#define DIAL_SOCKS_TOKEN_BYTES 65536

/** Longest location ID for a SOCKS5 proxy, octets: coded it has one octet for its length. */
#define DIAL_SOCKS_LOCATION_BYTES 189

/** Why a SOCKS5 proxy refused. */
enum dial_refusal {
    DIAL_REFUSAL_NONE,    /**< it did not: anything else, or success */
    DIAL_REFUSAL_FORM,    /**< it is none, takes no access tokens, or cannot do what we ask */
    DIAL_REFUSAL_LOGON,   /**< the token is not accepted */
    DIAL_REFUSAL_SYSTEM,  /**< no mapping for host and port */
    DIAL_REFUSAL_TUNNEL,  /**< no Cloud Connector for the location ID */
    DIAL_REFUSAL_BACKEND, /**< the Cloud Connector cannot reach the back-end system, or it hung up
                           */
};

/** Where to dial; texts and secret must outlive the dial. */
struct dial_target {
    const char *host;                    /**< name or numeric address, no brackets */
    unsigned port;                       /**< 1..65535 */
    struct tls_ctx *tls;                 /**< NULL: plain */
    const char *server_name;             /**< SNI and certificate name; NULL: host */
    const char *proxy;                   /**< "http://host:port" or NULL */
    const struct dial_socks *socks;      /**< the proxy speaks SAP's SOCKS5, and is told this; used
                                            by dial_start() alone, need not outlive it; NULL: it is
                                            an HTTP proxy */
    const char *proxy_user;              /**< Basic auth toward the proxy, or NULL */
    const struct secret *proxy_password; /**< with it */
    uint64_t timeout_ms;                 /**< for everything together, 1.. */
    unsigned user_timeout_ms;            /**< TCP_USER_TIMEOUT of the stream, 0: the system's */
};

/** A dial under way. */
struct dial;

/** The dial ended and is gone. @param ctx the caller's @param err FRUN_OK, FRUN_E_RESOLVE,
 * _CONNECT, _PROXY, _TLS, _TIMEOUT, _NOMEM, _IO @param s stream, ready, reading off; the caller's;
 * NULL unless FRUN_OK @param why for a person: host, address, cause, remedy; lives until the
 * return. */
typedef void (*dial_fn)(void *ctx, frun_err err, struct stream *s, const char *why);

/** Begin. @param l loop @param o helper threads for the resolver @param t target, copied except
 * what it points at @param fn called once, never from within dial_start() @param ctx for it @param
 * out handle for dial_cancel() @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_LIMIT resolver queue full.
 * Thread: owner of @p l. */
frun_err dial_start(struct loop *l, struct offload *o, const struct dial_target *t, dial_fn fn,
                    void *ctx, struct dial **out) FRUN_MUST_CHECK;

/** Why did the SOCKS5 proxy refuse? @param d dial @return reason. Thread: owner, from within its
 * dial_fn. Source: SAP BTP Connectivity, "Using the TCP Protocol for Cloud Applications". */
enum dial_refusal dial_refusal(const struct dial *d);

/** Forget it; fn is not called. @param d dial or NULL. Thread: owner. */
void dial_cancel(struct dial *d);

#endif
