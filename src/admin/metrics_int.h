/**
 * What the files of the metrics share.
 *
 *     metrics.c        lines: names, labels, numbers
 *     metrics_serve.c  a text in pieces, as fast as it is read
 *     metrics_table.c  what the meters have counted
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_METRICS_INT_H
#define FRUN_ADMIN_METRICS_INT_H

#include "frun/admin/metrics.h"

/* Begin; the request's Accept field chooses the format. */
void admin_metrics_begin(struct admin_metrics *m, const char *prefix,
                         const struct admin_request *r);

/* Content-Type. */
const char *admin_metrics_type(const struct admin_metrics *m);

/* What stands behind the last family. */
void admin_metrics_end(struct admin_metrics *m);

/* Give the memory back. */
void admin_metrics_done(struct admin_metrics *m);

#endif
