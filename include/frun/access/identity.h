/**
 * Who a connection belongs to by its client certificate.
 *
 * The certificate is taken once from the handshake; whose it is, is found out at the first request
 * and again only when the registry or the trusted CAs have been replaced, so that a pusher that is
 * disabled, or a CA that is taken away, counts at once. A request costs a look at the clock and the
 * pusher's list of endpoints.
 *
 * Several pushers may be known by one certificate, for other endpoints; at one endpoint the first
 * in the order of the configuration counts. Worker-local.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_IDENTITY_H
#define FRUN_ACCESS_IDENTITY_H

#include "frun/access/auth.h"
#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/net/cert.h"
#include "frun/net/stream.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stdint.h>

/** A connection's certificate, counted: requests may outlive the connection. */
struct identity;

/** By what a certificate is judged now, at the name the request was sent to. */
struct identity_trust {
    struct registry *registry; /**< the request's */
    const struct tls_ctx *tls; /**< context that serves the name */
    const char *ca;            /**< client_ca of that name, or NULL */
};

/** What a certificate is worth. */
struct identity_verdict {
    const struct pusher *who; /**< for GRANTED and FOREIGN */
    const struct rule *rule;  /**< for GRANTED and FOREIGN: what it is known by */
    uint64_t until_s;         /**< for GRANTED: its end, seconds since 1970 */
    const char *why;          /**< for REFUSED: constant text that follows "it is not
                                 accepted: " */
};

/** The certificate of a connection. @param s stream after its handshake @param out identity with
 * one reference @return FRUN_OK; FRUN_E_NOT_FOUND the client has shown none; FRUN_E_NOMEM. Thread:
 * worker. */
frun_err identity_new(const struct stream *s, struct identity **out) FRUN_MUST_CHECK;

/** One more reference. @param i identity or NULL @return @p i. Thread: worker. */
struct identity *identity_ref(struct identity *i);

/** Give a reference back and forget it. @param i address of the reference, may hold NULL. Thread:
 * worker. */
void identity_unref(struct identity **i);

/** Its certificate. @param i identity @return certificate, lives with @p i. Thread: worker. */
const struct cert *identity_cert(const struct identity *i);

/** Judge a push without other credentials. @param i identity @param t by what @param e endpoint
 * @param out filled @return AUTH_REFUSED; AUTH_FOREIGN a pusher that may not use @p e;
 * AUTH_GRANTED; AUTH_BUSY memory was refused. Thread: worker. */
enum auth_verdict identity_push(struct identity *i, const struct identity_trust *t,
                                const struct endpoint *e, struct identity_verdict *out);

/** Judge a client at the token endpoint. @param i identity @param t by what @param client_id as
 * sent @param out filled @return AUTH_REFUSED; AUTH_GRANTED the certificate is that client's;
 * AUTH_BUSY. Thread: worker. Source: RFC 8705 2. */
enum auth_verdict identity_client(struct identity *i, const struct identity_trust *t,
                                  struct span client_id, struct identity_verdict *out);

#endif
