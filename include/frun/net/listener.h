/**
 * Listening sockets: one per worker and address (SO_REUSEPORT), or handed over by systemd and
 * shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_LISTENER_H
#define FRUN_NET_LISTENER_H

#include "frun/base/err.h"
#include "frun/loop/loop.h"
#include "frun/net/addr.h"

#include <stdbool.h>

/** A listener. */
struct listener;

/** A connection came. @param ctx the caller's @param fd non-blocking, close-on-exec; set it to -1
 * to take it, else it is closed; TCP_NODELAY is set @param peer its address. */
typedef void (*listener_fn)(void *ctx, int *fd, const struct addr *peer);

/** Open a listening socket with SO_REUSEPORT (IPV6_V6ONLY unless the address is "*"), not yet
 * accepting. @param a address, port 0: any free one @param bound out: the real address, may be NULL
 * @param out descriptor @param d filled on failure (address in use, not permitted: with the remedy)
 * @return FRUN_OK; FRUN_E_IO. Thread: main. */
frun_err listener_socket(const struct addr *a, struct addr *bound, int *out,
                         struct diag *d) FRUN_MUST_CHECK;

/** As listener_socket(), but for nobody else: while it is open no other socket gets the address.
 * @param a address, port 0: any free one @param bound out: the real address, may be NULL @param out
 * descriptor @param d filled on failure @return FRUN_OK; FRUN_E_IO. Thread: main. */
frun_err listener_socket_alone(const struct addr *a, struct addr *bound, int *out,
                               struct diag *d) FRUN_MUST_CHECK;

/** Descriptors ran out, or an accept succeeded again after that: report it, once each. @param ctx
 * the caller's @param is_starved state now. */
typedef void (*listener_starved_fn)(void *ctx, bool is_starved);

/** Accept from a listening socket; at most 32 connections a wake-up; when descriptors run out
 * accepting rests 100 ms and the fact is told once, see listener_on_starved(). @param l loop @param
 * fd listening socket; taken and set to -1 on success @param fn event @param ctx for it @param out
 * listener @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO. Thread: owner of @p l. */
frun_err listener_new(struct loop *l, int *fd, listener_fn fn, void *ctx,
                      struct listener **out) FRUN_MUST_CHECK;

/** Say who is told when descriptors run out. @param x listener @param fn event, called with the
 * listener's ctx; NULL: nobody. Thread: owner. */
void listener_on_starved(struct listener *x, listener_starved_fn fn);

/** Stop or go on accepting (ceiling of connections). @param x listener @param is_on state. Thread:
 * owner. */
void listener_accept_on(struct listener *x, bool is_on);

/** Its socket. @param x listener @return descriptor, lent. Thread: owner. */
int listener_fd(const struct listener *x);

/** Accept what waits already, then stop and close: connections in the queue of a closed socket get
 * a reset. @param x listener. Thread: owner. */
void listener_drain(struct listener *x);

/** Stop and close. @param x listener or NULL. Thread: owner. */
void listener_free(struct listener *x);

#endif
