/**
 * What the files of the events share.
 *
 *     events.c       topics, listeners
 *     events_rows.c  lists of which only what has changed is sent
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_EVENTS_INT_H
#define FRUN_ADMIN_EVENTS_INT_H

#include "frun/admin/events.h"
#include "frun/base/buf.h"

/* The rows of a topic. */
struct events_rows;

/* How far a listener has come. Zero it. */
struct events_place {
    uint64_t epoch; /* of the rows; another one: from the beginning */
    uint64_t seen;  /* everything up to here has been sent */
    uint64_t until; /* what the present turn brings */
    size_t at;      /* row where the next event of the turn begins; 0: no turn under way */
};

/* Make rows; key is the member that names each. */
frun_err events_rows_new(const char *key, struct events_rows **out) FRUN_MUST_CHECK;

/* Free, or NULL. */
void events_rows_free(struct events_rows *x);

/* Take a new text: the first array in it, of objects, as compact JSON. FRUN_OK; FRUN_E_SYNTAX;
 * FRUN_E_NOMEM: what is there then is partly the old and partly the new. */
frun_err events_rows_take(struct events_rows *x, struct span text) FRUN_MUST_CHECK;

/* Is there something for a listener? */
bool events_rows_has(const struct events_rows *x, const struct events_place *p);

/* Put the data of its next event: {"first":b,"last":b,"set":[...],"gone":["..."]}. FRUN_OK, and the
 * listener has come on; FRUN_E_NOMEM, FRUN_E_LIMIT: nothing was put. */
frun_err events_rows_put(const struct events_rows *x, struct events_place *p,
                         struct buf *out) FRUN_MUST_CHECK;

#endif
