/**
 * OCSP stapling at the front door: for each certificate that it concerns, asks the CA's responder
 * in time, and hands what may be shown to the TLS context.
 *
 *     NONE --good--> GOOD --no answer--> KEPT --ends--> LOST
 *                     ^                    |              |
 *                     +------- good -------+---- good ----+
 *     any --revoked--> REVOKED
 *
 * Main thread's; questions run on helper threads of its own. Each change of state is logged once.
 * Nothing waits for a responder: the gateway serves at once, without a response until there is one.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_STAPLING_H
#define FRUN_GATEWAY_STAPLING_H

#include "frun/access/registry.h"
#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/loop/loop.h"
#include "frun/net/tls.h"

#include <stdio.h>

/** Stapling of all certificates of a gateway. */
struct stapling;

/** Find the certificates that are to be stapled, and prepare their contexts. @param conf snapshot,
 * one reference is taken @param front the gateway's context, or NULL @param r endpoints with
 * contexts of their own @param before that of the configuration in use, whose responses are shown
 * on; or NULL @param report a certificate that cannot be stapled although it should is
 * told here; NULL: nowhere @param out it; stapling_free() it @return FRUN_OK, maybe with warnings;
 * FRUN_E_NOMEM. Thread: main, before the contexts are used. */
frun_err stapling_new(struct conf_gw *conf, struct tls_ctx *front, const struct registry *r,
                      const struct stapling *before, FILE *report,
                      struct stapling **out) FRUN_MUST_CHECK;

/** Begin to ask; waits for nothing. @param s it @param l main's loop @return FRUN_OK; FRUN_E_NOMEM;
 * FRUN_E_IO threads refused. Thread: main, once. */
frun_err stapling_start(struct stapling *s, struct loop *l) FRUN_MUST_CHECK;

/** Break off what is asked, within a second; before loop_free(), which brings home what is on its
 * way. @param s it or NULL. Thread: main, its loop does not run any more. */
void stapling_stop(struct stapling *s);

/** Free; after loop_free(). @param s it or NULL. Thread: main. */
void stapling_free(struct stapling *s);

#endif
