/**
 * Who used what: requests of each membership by system and resource, and those that took longest.
 *
 * What SAP Cloud Connector calls usage and performance. Rows are found by their names, so they go
 * on over a reload, and stay; above USAGE_MAX_ROWS what is new is not counted here. Owned by the
 * connector's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_USAGE_H
#define FRUN_CONNECTOR_USAGE_H

#include "frun/base/err.h"
#include "frun/base/meter.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Rows at most. */
#define USAGE_MAX_ROWS 4096

/** Requests remembered that took longest. */
#define USAGE_TOP 50

/** Octets of a path, name or identifier in them, with the final NUL; longer ones are cut. */
#define USAGE_TEXT_BYTES 128

/** A request that has ended. */
struct usage_event {
    const char *subaccount; /**< name of the membership */
    const char *system;     /**< name of the mapping; NULL: none, nothing is counted */
    const char *resource;   /**< name of the resource; NULL: denied */
    struct span path;       /**< canonical path without query */
    struct span id;         /**< request id, may be absent */
    bool is_denied;         /**< by access control */
    uint64_t total_us;      /**< head received to answer handed over */
    uint64_t upstream_us;   /**< of it: until the back end's head; 0: none came */
    uint64_t bytes_in;      /**< request body */
    uint64_t bytes_out;     /**< answer body */
};

/** What was counted of one system, or of one resource of it. */
struct usage_row {
    const char *subaccount;             /**< name of the membership */
    const char *system;                 /**< name of the mapping */
    const char *resource;               /**< name of the resource; NULL: the system as a whole */
    uint64_t calls;                     /**< requests that were let through */
    uint64_t denied;                    /**< requests that were not; of the system only */
    uint64_t bytes_in;                  /**< request bodies */
    uint64_t bytes_out;                 /**< answer bodies */
    uint64_t last_ms;                   /**< when the last one ended, since 1970; 0: never */
    uint64_t buckets[METER_BOUNDS + 1]; /**< by duration, as in the meter; of the system only */
};

/** A request that took long. */
struct usage_top {
    uint64_t began_ms;                 /**< since 1970 */
    uint64_t total_us;                 /**< as in the event */
    uint64_t upstream_us;              /**< as in the event */
    uint64_t bytes_in;                 /**< as in the event */
    uint64_t bytes_out;                /**< as in the event */
    char subaccount[USAGE_TEXT_BYTES]; /**< as in the event */
    char system[USAGE_TEXT_BYTES];     /**< as in the event */
    char path[USAGE_TEXT_BYTES];       /**< as in the event */
    char id[USAGE_TEXT_BYTES];         /**< as in the event */
};

/** The counters. */
struct usage;

/** Make them. @param out counters; usage_free() them @return FRUN_OK; FRUN_E_NOMEM. Thread: owner.
 */
frun_err usage_new(struct usage **out) FRUN_MUST_CHECK;

/** Free. @param u counters or NULL. Thread: owner. */
void usage_free(struct usage *u);

/** Count a request. @param u counters @param e it. Thread: owner. */
void usage_count(struct usage *u, const struct usage_event *e);

/** What was counted. @param u counters @param subaccount name @param system name @param resource
 * name; NULL: the system as a whole @return row, changes as requests end; NULL: nothing yet.
 * Thread: owner. */
const struct usage_row *usage_find(const struct usage *u, const char *subaccount,
                                   const char *system, const char *resource);

/** Those that took longest, the longest first. @param u counters @param out USAGE_TOP requests
 * @return how many. Thread: owner. */
size_t usage_longest(const struct usage *u, struct usage_top *out);

#endif
