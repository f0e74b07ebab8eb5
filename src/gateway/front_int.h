/**
 * What the front door's connections share, whatever they speak: their place in the worker's list
 * and how they are told to end.
 *
 *     front.c     accepting: TLS handshake, then one of those below, or the tunnel's door
 *     front_h1.c  a connection that speaks HTTP/1.1
 *     front_h2.c  a connection that speaks HTTP/2
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_FRONT_INT_H
#define FRUN_GATEWAY_FRONT_INT_H

#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/gateway/worker.h"
#include "frun/net/addr.h"
#include "frun/net/stream.h"

struct front;
struct identity;

/** How a connection is told to end. */
struct front_ops {
    void (*drain)(struct front *f); /**< front_drain() */
    void (*kill)(struct front *f);  /**< front_kill() */
};

/** What every connection begins with. */
struct front {
    struct list node; /**< in worker.fronts; first, because the worker knows no more of us */
    struct worker *w; /**< its worker */
    const struct front_ops *ops; /**< what it speaks */
    struct identity *identity;   /**< its certificate, or NULL */
    char peer[ADDR_TEXT_BYTES];  /**< address of the client, as text */
};

/** Take a place in the worker's list. @param f connection @param w worker @param ops what it speaks
 * @param peer address of the client. Thread: worker. */
void front_enter(struct front *f, struct worker *w, const struct front_ops *ops,
                 const struct addr *peer);

/** Take the certificate that the client has shown. @param f connection @param s its stream after
 * the handshake @return FRUN_OK, also without one; FRUN_E_NOMEM. Thread: worker. */
frun_err front_identify(struct front *f, const struct stream *s) FRUN_MUST_CHECK;

/** Leave it; draining may end by this. @param f connection. Thread: worker. */
void front_leave(struct front *f);

/** Serve HTTP/1.1 on a stream whose handshake is done. @param w worker @param s stream, taken and
 * set to NULL on success @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err front_h1_new(struct worker *w, struct stream **s) FRUN_MUST_CHECK;

/** Serve HTTP/2 on a stream whose handshake is done. @param w worker @param s stream, taken and set
 * to NULL on success @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err front_h2_new(struct worker *w, struct stream **s) FRUN_MUST_CHECK;

#endif
