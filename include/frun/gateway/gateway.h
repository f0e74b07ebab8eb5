/**
 * frunproxyd as a whole: certificates, sockets, workers, signals, the orderly end.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_GATEWAY_H
#define FRUN_GATEWAY_GATEWAY_H

#include "frun/base/err.h"
#include "frun/conf/gateway.h"

#include <stdbool.h>
#include <stdio.h>

/** The daemon. */
struct gateway;

/** Prepare everything that can fail: certificates, trust, endpoints, sockets unless @p is_check.
 * @param conf configuration, one reference is taken @param is_check open no sockets @param report
 * what is wrong with certificates, keys and CAs is told here, each with its place; NULL: nowhere
 * @param out daemon; gateway_free() it @param d filled on failure, with the remedy @return FRUN_OK;
 * FRUN_E_SYNTAX, FRUN_E_TLS configuration cannot be used; FRUN_E_IO socket or file; FRUN_E_NOMEM.
 * Thread: main. */
frun_err gateway_new(struct conf_gw *conf, bool is_check, FILE *report, struct gateway **out,
                     struct diag *d) FRUN_MUST_CHECK;

/** Run until SIGTERM or SIGINT and the drain that follows; a second signal ends at once. @param g
 * daemon @return FRUN_OK; FRUN_E_NOMEM, FRUN_E_IO workers could not be started. Thread: main. */
frun_err gateway_run(struct gateway *g) FRUN_MUST_CHECK;

/** Free. @param g daemon or NULL. Thread: main. */
void gateway_free(struct gateway *g);

#endif
