/**
 * The last requests a thread has ended, for people who want to see what is going on.
 *
 * Written by one thread and copied by the same: others ask it to. Holds no secret and no query.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_RECENT_H
#define FRUN_ADMIN_RECENT_H

#include "frun/base/span.h"

#include <stddef.h>
#include <stdint.h>

/** Requests that are remembered. */
#define ADMIN_RECENT_MAX 50

/** Octets of a name, an error or an identifier with its final NUL; a longer one is cut. */
#define ADMIN_RECENT_NAME_BYTES 64

/** Octets of a path with its final NUL; a longer one is cut. */
#define ADMIN_RECENT_PATH_BYTES 192

/** What is remembered of a request; an absent text is "". */
struct admin_recent_entry {
    uint64_t ended_ms;                       /**< wall clock, milliseconds since 1970 */
    char id[ADMIN_RECENT_NAME_BYTES];        /**< request id */
    char endpoint[ADMIN_RECENT_NAME_BYTES];  /**< endpoint, or virtual host:port */
    char pusher[ADMIN_RECENT_NAME_BYTES];    /**< pusher */
    char connector[ADMIN_RECENT_NAME_BYTES]; /**< connector on the way */
    char tunnel[ADMIN_RECENT_NAME_BYTES];    /**< which of its tunnels */
    char method[16];                         /**< method */
    char path[ADMIN_RECENT_PATH_BYTES];      /**< path without query */
    const char *route;                       /**< road it took, constant text; NULL: none */
    const char *by;                          /**< who produced the status, constant; NULL: nobody */
    char error[ADMIN_RECENT_NAME_BYTES];     /**< kind of error */
    unsigned status;                         /**< of the answer; 0: none */
    uint64_t total_us;                       /**< head received to answer handed over */
    uint64_t wait_us;                        /**< of it: waiting for verification and tunnel */
    uint64_t upstream_us;                    /**< of it: request sent on to head of the answer */
    uint64_t backend_us;                     /**< of that: with the connector; 0: not known */
    uint64_t bytes_in;                       /**< request body */
    uint64_t bytes_out;                      /**< answer body */
};

/** The memory of one thread. Zero it. */
struct admin_recent {
    struct admin_recent_entry entries[ADMIN_RECENT_MAX]; /**< a ring */
    size_t next;                                         /**< written next */
    size_t n;                                            /**< in use */
};

/** The place of the next entry; the oldest is forgotten. @param r memory @return entry to be filled
 * completely, still with what it had. Thread: owner. */
struct admin_recent_entry *admin_recent_add(struct admin_recent *r);

/** Copy a text into a field of an entry, cut to its size. @param to field @param room its size
 * @param text text, may be absent. Thread: owner. */
void admin_recent_text(char *to, size_t room, struct span text);

/** Copy all entries, newest first. @param r memory @param out ADMIN_RECENT_MAX entries @return how
 * many. Thread: owner. */
size_t admin_recent_copy(const struct admin_recent *r, struct admin_recent_entry *out);

struct json_t;

/** Turn the entries of several threads into JSON, newest first, at most ADMIN_RECENT_MAX. @param
 * entries all of them, reordered @param n count @return array, json_decref() it; NULL: no memory.
 * Thread: any. */
struct json_t *admin_recent_json(struct admin_recent_entry *entries, size_t n);

#endif
