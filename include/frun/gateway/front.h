/**
 * A front-door connection: accepted, TLS handshake, then HTTP/2 or HTTP/1.1 as agreed by ALPN, or
 * the tunnel's door where the client asked for the tunnel's name.
 *
 *     shaking hands --> HTTP/1.1 | HTTP/2 | tunnel's door
 *
 * One worker's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_FRONT_H
#define FRUN_GATEWAY_FRONT_H

#include "frun/base/err.h"
#include "frun/gateway/worker.h"
#include "frun/net/addr.h"

/** A connection. */
struct front;

/** Begin on an accepted socket. @param w worker @param fd socket, taken and set to -1 on success
 * @param peer its address @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS; FRUN_E_IO. Thread: worker. */
frun_err front_new(struct worker *w, int *fd, const struct addr *peer) FRUN_MUST_CHECK;

/** Draining: close if idle, else answer the present requests, the last with Connection: close or
 * after GOAWAY. @param f
 * connection. Thread: worker. */
void front_drain(struct front *f);

/** Close at once. @param f connection. Thread: worker. */
void front_kill(struct front *f);

#endif
