/**
 * What every daemon serves in the same way: its configuration without secrets, and the log level.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_COMMON_H
#define FRUN_ADMIN_COMMON_H

#include "frun/admin/server.h"
#include "frun/conf/doc.h"

struct json_t;

/** Serve GET and POST /api/v1/log/level. @param s server @return FRUN_OK; FRUN_E_NOMEM. Thread:
 * owner. */
frun_err admin_common_add(struct admin_server *s) FRUN_MUST_CHECK;

/** A configuration as JSON: { "endpoint": [{ "name": ..., "key": value }] }. Secrets, hashes and
 * fence values are shown as "***". @param doc document @param kinds its schema @param n count
 * @return object, json_decref() it; NULL: no memory. Thread: main. */
struct json_t *admin_common_config(const struct conf_doc *doc, const struct conf_kind *kinds,
                                   size_t n);

/** A certificate's validity as JSON. @param what what it is for @param name of whom @param until_s
 * its last second, since 1970 @return object; NULL: no memory. Thread: any. */
struct json_t *admin_common_certificate(const char *what, const char *name, int64_t until_s);

#endif
