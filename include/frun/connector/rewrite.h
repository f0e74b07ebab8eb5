/**
 * What the connector changes in heads: the request's towards the back end, the answer's towards the
 * gateway.
 *
 * Request: Host by the mapping, an empty SSL_CLIENT_CERT unless the system certificate is meant for
 * logon or a principal's takes its place, nothing that could pass for a client certificate, no
 * internal "frun-" field, no hop-by-hop field. Answer: who made it (PTTH_ORIGIN_FIELD), Location on
 * an internal host turned into the virtual one, no hop-by-hop field. Everything else passes
 * untouched. Pure: no I/O.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_REWRITE_H
#define FRUN_CONNECTOR_REWRITE_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/conf/connector.h"
#include "frun/http/head.h"
#include "frun/http/uri.h"

#include <stdbool.h>

/** Value of PTTH_ORIGIN_FIELD in an answer of the back end. */
#define REWRITE_ORIGIN_BACKEND "backend"

/** Value of PTTH_ORIGIN_FIELD in an answer of our own. */
#define REWRITE_ORIGIN_CONNECTOR "connector"

/** Whom the back end is to be told of. @param m mapping that was allowed @param in head as it came
 * through the tunnel @param a the request's memory, for @p name @param name out: the principal, as
 * the gateway named it; absent: nobody, or this system is not told @return FRUN_OK; FRUN_E_SYNTAX
 * the field is not proper, or stands twice; FRUN_E_NOMEM. Thread: owner of @p a. */
frun_err rewrite_principal(const struct conf_mapping *m, const struct head *in, struct arena *a,
                           struct span *name) FRUN_MUST_CHECK;

/**
 * Build the head that goes to the back end. If rewrite_principal() names somebody, his
 * SSL_CLIENT_CERT is the caller's to add, and nobody else's credentials go with it.
 *
 * @param m        the mapping that was allowed
 * @param in       head as it came through the tunnel
 * @param u        its target, taken apart and judged; exactly this is sent
 * @param a        the request's memory
 * @param out      new head; borrows from @p in and @p a
 * @return FRUN_OK; FRUN_E_LIMIT too many fields; FRUN_E_NOMEM
 * Thread: owner of @p a. Source: SAP Cloud Connector, "Configure Access Control (HTTP)", Host in
 * Request Header; RFC 9110 7.6.1.
 */
frun_err rewrite_request(const struct conf_mapping *m, const struct head *in, const struct uri *u,
                         struct arena *a, struct head *out) FRUN_MUST_CHECK;

/** May the request be sent twice: an idempotent method, or marked so by the gateway? @param in head
 * as it came through the tunnel @return true if so. Thread: any. Source: RFC 9110 9.2.2. */
bool rewrite_is_repeatable(const struct head *in);

/**
 * Build the head that goes back through the tunnel.
 *
 * @param conf     configuration, for the other mappings a Location may point at
 * @param m        the mapping that answered
 * @param in       the back end's head
 * @param a        the request's memory
 * @param out      new head; borrows from @p in and @p a
 * @return FRUN_OK; FRUN_E_LIMIT too many fields; FRUN_E_NOMEM
 * Thread: owner of @p a.
 */
frun_err rewrite_answer(const struct conf_cn *conf, const struct conf_mapping *m,
                        const struct head *in, struct arena *a, struct head *out) FRUN_MUST_CHECK;

#endif
