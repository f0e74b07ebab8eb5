/**
 * The whole connector: every membership, every back end, signals, systemd, drain.
 *
 * One loop on the main thread: the work of a request is small, and what may block (name resolution)
 * runs on helper threads. SIGTERM and SIGINT drain: no new dials, requests in flight finish, at
 * most drain_timeout; a second one ends at once. SIGHUP reads the configuration again
 * and reopens the log file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_CONNECTOR_H
#define FRUN_CONNECTOR_CONNECTOR_H

#include "frun/base/err.h"
#include "frun/conf/connector.h"
#include "frun/connector/trust.h"

/**
 * Run until a signal says stop and everything has drained.
 *
 * @param conf     configuration, must live until the return; references are taken
 * @param t        contexts, must live until the return
 * @param d        filled on failure
 * @return FRUN_OK ended in good order, also when the drain was cut short; FRUN_E_NOMEM; FRUN_E_IO
 * no descriptor or thread left; FRUN_E_LIMIT; FRUN_E_SYNTAX
 * Thread: main; the signals named above are taken over.
 */
frun_err connector_run(struct conf_cn *conf, const struct trust *t, struct diag *d) FRUN_MUST_CHECK;

#endif
