/**
 * What changes, sent as it does: GET /api/v1/events (server-sent events).
 *
 * A topic is a route of the API. While somebody listens each topic is asked for in its period, once
 * for all listeners, and a text that differs from the one before goes out as an event of the
 * topic's name. Who reads slowly gets the newest text of each topic when it has read the one
 * before; who reads nothing for a while is cut off.
 *
 * Of a long list only the rows that have changed are sent, in events of some ten thousand octets:
 *
 *     { "first": true, "last": false, "set": [{...}], "gone": ["ACME_PROD"] }
 *
 * "first": forget what there was; "last": no more of this turn is to come. A topic whose answer
 * takes long is asked for less often, so that pages that are open cost a twentieth of the thread's
 * time at most. Main thread's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_EVENTS_H
#define FRUN_ADMIN_EVENTS_H

#include "frun/admin/server.h"
#include "frun/base/err.h"
#include "frun/loop/loop.h"

#include <stddef.h>
#include <stdint.h>

/** Topics at most. */
#define EVENTS_MAX_TOPICS 12

/** Listeners at most; others get a 503. */
#define EVENTS_MAX_LISTENERS 16

/** Octets of a text that is sent as a whole at most. */
#define EVENTS_MAX_BYTES ((size_t)8 << 20)

/** A topic. */
struct events_topic {
    const char *name;   /**< of the event */
    const char *path;   /**< GET route that is asked; one that is not there is left out */
    uint64_t period_ms; /**< how often, 1000.. */
    const char *key;    /**< the answer's first array has objects, and this member, a text, names
                           each: only changes are sent; NULL: the whole text */
};

/** Times, milliseconds. */
struct events_times {
    uint64_t tick_ms;  /**< the shortest period, and what others are multiples of */
    uint64_t stall_ms; /**< who takes nothing for so long is cut off */
};

/** What is sensible for status pages. */
#define EVENTS_TIMES_DEFAULT ((struct events_times){1000, 30000})

/** The events of one daemon. */
struct events;

/** Serve them. @param l loop @param s server @param topics constant table @param n its length
 * @param times copied @param out events; events_free() them @return FRUN_OK; FRUN_E_NOMEM. Thread:
 * owner of @p l. */
frun_err events_new(struct loop *l, struct admin_server *s, const struct events_topic *topics,
                    size_t n, const struct events_times *times,
                    struct events **out) FRUN_MUST_CHECK;

/** Free; after admin_server_free(). @param e events or NULL. Thread: owner. */
void events_free(struct events *e);

#endif
