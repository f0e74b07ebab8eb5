/**
 * The other end of a control socket: one request, one answer, blocking. For frunctl.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_CLIENT_H
#define FRUN_ADMIN_CLIENT_H

#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdint.h>

/** A request. */
struct admin_call {
    const char *socket;  /**< control socket */
    const char *method;  /**< "GET", "POST", "DELETE" */
    const char *target;  /**< "/api/v1/status" */
    struct span body;    /**< JSON, or empty */
    uint64_t timeout_ms; /**< of each wait for the daemon, 1.. */
};

/** Make a request and wait for its answer. @param c request @param status out: of the answer @param
 * body out: initialised by the caller; the answer's body is appended @param d filled on failure
 * @return FRUN_OK whatever the status; FRUN_E_DENIED we may not connect; FRUN_E_CONNECT nobody
 * listens there; FRUN_E_TIMEOUT no answer; FRUN_E_CLOSED closed without an answer; FRUN_E_SYNTAX
 * not HTTP; FRUN_E_LIMIT the answer, or the name of the socket, is too long; FRUN_E_NOMEM;
 * FRUN_E_IO. Thread: any but a worker (blocks). */
frun_err admin_client_call(const struct admin_call *c, unsigned *status, struct buf *body,
                           struct diag *d) FRUN_MUST_CHECK;

#endif
