/**
 * The tunnel's door: a connector dials in, shows its certificate, says hello, and is handed to the
 * worker that needs a tunnel most.
 *
 * Identity is the certificate's subject, looked up among the [connector] sections; the location ID
 * it asks for must be one of that section's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_DOOR_H
#define FRUN_GATEWAY_DOOR_H

#include "frun/base/err.h"
#include "frun/gateway/worker.h"
#include "frun/net/addr.h"
#include "frun/net/stream.h"

#include <stdbool.h>

/** Time from the TLS handshake to the complete hello, milliseconds. */
#define DOOR_HELLO_MS 10000

/** Connections at one worker's door at the same time. */
#define DOOR_MAX_CALLERS 256

/** A connection at the door. */
struct door;

/** Begin on a socket accepted at the tunnel's own port. @param w worker @param fd socket, taken and
 * set to -1 on success @param peer its address @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM;
 * FRUN_E_TLS; FRUN_E_IO. Thread: worker. */
frun_err door_new(struct worker *w, int *fd, const struct addr *peer) FRUN_MUST_CHECK;

/** Begin on a ready stream that asked for the tunnel by its SNI name. @param w worker @param s
 * stream, taken and set to NULL on success @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM. Thread:
 * worker. */
frun_err door_take(struct worker *w, struct stream **s) FRUN_MUST_CHECK;

/** Tell of a client certificate that was refused in the handshake: to whoever looks for the
 * connector of that subject, as a number, and some in a window of time to the log and the audit
 * log. The subject is what the peer says, no more. @param w worker @param s stream in its on_closed
 * @param peer its address as text @return true: there was one and it was told. Thread: worker. */
bool door_tell_unproved(struct worker *w, const struct stream *s, const char *peer);

/** Does a generation have a tunnel as it is: its certificate in the same [connector] section, which
 * may still serve its location? @param g generation @param m tunnel @return true if so. Thread:
 * any.
 */
bool door_knows(const struct generation *g, const struct hub_member *m);

/** Close at once. @param d connection. Thread: worker. */
void door_kill(struct door *d);

#endif
