/**
 * The endpoints' roads without the daemon: what can be seen of them from the configuration's files
 * and from this machine, sent and judged as the daemon's own checks are.
 *
 * One worker without any listening socket. Direct roads and SAP's are walked to their end; of a
 * tunnel there is none here, so that tunnel, mapping and what lies behind stay unseen, and the
 * token and the certificate that connectors meet are looked at. Nothing is written.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_WALK_H
#define FRUN_GATEWAY_WALK_H

#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/gateway/probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** A walk. */
struct walk;

/** Prepare: read certificates, keys and service keys, start a worker. @param conf configuration,
 * one reference is taken @param report what is wrong with the files is told here; NULL: nowhere
 * @param out walk; walk_free() it @return FRUN_OK; FRUN_E_SYNTAX, FRUN_E_TLS files cannot be used;
 * FRUN_E_IO; FRUN_E_NOMEM. Thread: main, before others. */
frun_err walk_new(struct conf_gw *conf, FILE *report, struct walk **out) FRUN_MUST_CHECK;

/** Walk one road and wait for what comes of it, 10 s or so at most. Whose user and password were
 * refused once is not tried again, at whatever endpoint of the system, unless forced. @param w walk
 * @param index endpoint's place in the configuration @param is_standby the road that requests do
 * not take now; the endpoint has one @param is_forced see above @param out result @return FRUN_OK;
 * FRUN_E_NOMEM. Thread: main. */
frun_err walk_check(struct walk *w, size_t index, bool is_standby, bool is_forced,
                    struct probe_result *out) FRUN_MUST_CHECK;

/** Free. @param w walk or NULL. Thread: main. */
void walk_free(struct walk *w);

#endif
