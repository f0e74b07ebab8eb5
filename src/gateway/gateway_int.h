/**
 * What the files of the daemon share.
 *
 *     gateway.c         preparing, sockets, signals, the end
 *     gateway_admin.c   what administrators see and say through the control socket
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_GATEWAY_INT_H
#define FRUN_GATEWAY_GATEWAY_INT_H

#include "frun/admin/control.h"
#include "frun/admin/server.h"
#include "frun/base/mono.h"
#include "frun/gateway/gateway.h"
#include "frun/gateway/keyring.h"
#include "frun/gateway/stapling.h"
#include "frun/gateway/worker.h"
#include "frun/loop/heap.h"

struct gateway {
    struct conf_gw *conf;
    struct gateway_shared shared;
    struct keyring *keyring; /* NULL: no tokens */
    struct stapling *stapling;
    struct loop *loop;
    struct heap_watch heap;
    struct deadline minute; /* changes the keys of session tickets */
    struct admin_server *admin;
    struct admin_control *control; /* NULL: no control socket */
    char started[MONO_WALL_TEXT_BYTES];
    uint64_t started_ms;
    size_t n_running; /* workers that have not stopped */
    int n_signals;
};

/** Open the control socket and serve what it offers. @param g daemon with its loop @param d filled
 * on failure @return FRUN_OK, also when the socket that nobody asked for cannot be made; else as
 * admin_control_open(). */
frun_err gateway_admin_open(struct gateway *g, struct diag *d) FRUN_MUST_CHECK;

/** Undo gateway_admin_open(). @param g daemon. */
void gateway_admin_close(struct gateway *g);

/** Finish what is under way and end; again: end at once. @param g daemon. */
void gateway_stop(struct gateway *g);

#endif
