/**
 * The addresses that a gateway listens on: opened at the start, taken over from systemd, and what a
 * changed configuration adds to them and takes away.
 *
 * Main thread's. Every worker has a socket of its own for each address (SO_REUSEPORT), or a copy of
 * the one that systemd handed over.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SOCKETS_INT_H
#define FRUN_GATEWAY_SOCKETS_INT_H

#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/worker.h"

#include <stdbool.h>
#include <stddef.h>

/** Octets of an address as it stands in a file. */
#define SOCKETS_TEXT_BYTES 320

/** One address. */
struct sockets_address {
    char text[SOCKETS_TEXT_BYTES]; /**< as configured */
    bool is_tunnel;                /**< tunnel's door, else front door */
    unsigned id;                   /**< what the workers know it by */
};

/** All of them. */
struct sockets {
    struct sockets_address all[WORKER_MAX_LISTEN]; /**< opened by ourselves */
    size_t n;                                      /**< their number */
    unsigned next_id;                              /**< not given yet */
    bool is_front_given;  /**< systemd has the front door's: listen says nothing */
    bool is_tunnel_given; /**< systemd has the tunnel's */
};

/** Open what the configuration names, or take what systemd hands over, for workers that have not
 * started. @param s zeroed, filled @param sh the workers @param c configuration @param d filled on
 * failure @return FRUN_OK; FRUN_E_IO; FRUN_E_SYNTAX; FRUN_E_LIMIT. Thread: main. */
frun_err sockets_open(struct sockets *s, const struct gateway_shared *sh, const struct conf_gw *c,
                      struct diag *d) FRUN_MUST_CHECK;

/** Open what a changed configuration adds, and say what it takes away. @param s in use @param sh
 * the workers @param c changed configuration @param changes one for each worker: add and remove are
 * filled, also on failure @param next out: what is in use then @param d filled on failure @return
 * FRUN_OK; FRUN_E_IO; FRUN_E_SYNTAX; FRUN_E_LIMIT. Thread: main. */
frun_err sockets_plan(const struct sockets *s, const struct gateway_shared *sh,
                      const struct conf_gw *c, struct worker_change *changes, struct sockets *next,
                      struct diag *d) FRUN_MUST_CHECK;

#endif
