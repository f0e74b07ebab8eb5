/**
 * Before the doors: where a balancer stands in front of the gateway and says, by the PROXY
 * protocol, whose connection it brings.
 *
 *     accepted --> trusted peer? --no--> closed
 *                      \--yes--> waiting for the head --> front door | tunnel's door
 *                                         \--malformed, too long, too late--> closed
 *
 * The head is taken from the socket octet for octet, and nothing behind it: TLS begins with the
 * next one. One worker's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_PORCH_H
#define FRUN_GATEWAY_PORCH_H

#include "frun/base/err.h"
#include "frun/gateway/worker.h"
#include "frun/net/addr.h"

#include <stdbool.h>

/** Let an accepted connection in, at once or after its PROXY head, as the configuration says.
 * @param w worker @param fd socket, taken and set to -1 on success; a peer that may not bring
 * others is closed and counts as success @param peer its address @param is_tunnel to the tunnel's
 * door, else to the front door @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM; FRUN_E_TLS; FRUN_E_IO.
 * Thread: worker. Source: the PROXY protocol, 2020/03/05. */
frun_err porch_enter(struct worker *w, int *fd, const struct addr *peer,
                     bool is_tunnel) FRUN_MUST_CHECK;

#endif
