/**
 * Counting requests without locks: each worker writes cells of its own, whoever wants to know adds
 * them up.
 *
 * Cells stand in rows. A row belongs to a subject (an endpoint, a system) and a variant of it (a
 * route); it is made when it is first counted in and stays until the table goes, so that counters
 * survive a reload. A table has a ceiling: what comes above it is counted in one row for all the
 * rest. Every cell has one writer, so counting is a plain addition; readers may see the cells of
 * one request half counted, but each cell only grows.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_METER_H
#define FRUN_BASE_METER_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bounds of a histogram; one more bucket takes what is above the last. */
#define METER_BOUNDS 22

/** Variants of a subject at most. */
#define METER_VARIANTS 4

/** Subjects of a table at most. */
#define METER_MAX_SUBJECTS 16384

/** The subject of requests that belong to none. */
#define METER_NOBODY (METER_MAX_SUBJECTS + 0u)

/** Classes of a status: none, 1xx .. 5xx. */
#define METER_CLASSES 6

/** Who produced an answer. */
enum meter_origin {
    METER_ORIGIN_NONE,      /**< nobody: there was no answer */
    METER_ORIGIN_BACKEND,   /**< Focused Run */
    METER_ORIGIN_CONNECTOR, /**< the connector on the way */
    METER_ORIGIN_SAP,       /**< SAP's connectivity proxy or Cloud Connector */
    METER_ORIGIN_OWN,       /**< this program */
    METER_ORIGINS           /**< count */
};

/** Why a request did not come to Focused Run; none is not counted. */
enum meter_denial {
    METER_DENIAL_NONE,                   /**< it did */
    METER_DENIAL_MALFORMED,              /**< 400, 408, 417, 421, 501, 505: nothing we take */
    METER_DENIAL_CREDENTIALS,            /**< 401: who it is was not proved */
    METER_DENIAL_FORBIDDEN,              /**< 403: known, and not allowed */
    METER_DENIAL_NOT_FOUND,              /**< 404, 405: no such endpoint, path or method */
    METER_DENIAL_TOO_LARGE,              /**< 413, 414, 431 */
    METER_DENIAL_RATE,                   /**< 429: a limit is reached */
    METER_DENIAL_FAILED,                 /**< 500, 502, 504: the way to Focused Run failed */
    METER_DENIAL_UNAVAILABLE,            /**< 503: there is no way to Focused Run now */
    METER_DENIAL_ACCESS_DENIED,          /**< the connector's access control refused */
    METER_DENIAL_NO_TUNNEL,              /**< SAP: no Cloud Connector for the location */
    METER_DENIAL_ACCESS_DENIED_SYSTEM,   /**< SAP: no mapping for the virtual host */
    METER_DENIAL_ACCESS_DENIED_RESOURCE, /**< SAP: mapped, but not this path */
    METER_DENIAL_PROXY_AUTH,             /**< SAP: our token was not accepted, or there is none */
    METER_DENIAL_BACKEND_UNREACHABLE,    /**< SAP: the Cloud Connector cannot connect */
    METER_DENIAL_AFFINITY,               /**< SAP: the connection was taken for another's */
    METER_DENIAL_HTTPS_NOT_ALLOWED,      /**< SAP: the form of the request was refused */
    METER_DENIAL_NO_SOCKS,               /**< SAP: what answers is no SOCKS5 proxy */
    METER_DENIALS                        /**< count */
};

/** A number with one writer. */
typedef atomic_uint_fast64_t meter_count;

/** How long something took. */
struct meter_histogram {
    meter_count buckets[METER_BOUNDS + 1]; /**< each alone, not summed up */
    meter_count sum_us;                    /**< microseconds in all */
};

/** What one worker has counted of one subject and variant. */
struct meter_cells {
    _Alignas(64) meter_count requests[METER_CLASSES][METER_ORIGINS]; /**< ended requests */
    meter_count denials[METER_DENIALS];                              /**< those that were refused */
    struct meter_histogram total;    /**< head received to answer handed over */
    struct meter_histogram upstream; /**< request sent on to head of the answer */
    meter_count bytes_in;            /**< octets of request bodies */
    meter_count bytes_out;           /**< octets of answer bodies */
    meter_count repeats;             /**< times a request was sent again */
};

/** A request that has ended. */
struct meter_event {
    unsigned status;          /**< of the answer; 0: none */
    enum meter_origin origin; /**< whose */
    enum meter_denial denial; /**< why it was refused, meter_denial_of() as a rule */
    uint64_t total_us;        /**< head received to answer handed over */
    uint64_t upstream_us;     /**< request sent on to head of the answer; 0: not sent on */
    uint64_t bytes_in;        /**< request body */
    uint64_t bytes_out;       /**< answer body */
    unsigned repeats;         /**< times it was sent again */
};

/** The sum of a row. Plain numbers, made of all workers' cells. */
struct meter_sum {
    uint64_t requests[METER_CLASSES][METER_ORIGINS]; /**< as in the cells */
    uint64_t denials[METER_DENIALS];                 /**< as in the cells */
    uint64_t total_buckets[METER_BOUNDS + 1];        /**< as in the cells */
    uint64_t total_us;                               /**< as in the cells */
    uint64_t upstream_buckets[METER_BOUNDS + 1];     /**< as in the cells */
    uint64_t upstream_us;                            /**< as in the cells */
    uint64_t bytes_in;                               /**< as in the cells */
    uint64_t bytes_out;                              /**< as in the cells */
    uint64_t repeats;                                /**< as in the cells */
    uint64_t all;                                    /**< all requests */
};

/** A table. */
struct meter;

/** Make an empty table. @param workers writers, 1.. @param out table; meter_free() it @return
 * FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err meter_new(size_t workers, struct meter **out) FRUN_MUST_CHECK;

/** Free it. @param m table or NULL. Thread: main, when nobody counts any more. */
void meter_free(struct meter *m);

/** Add to a number. @param c number @param n 0.. Thread: its one writer. */
static inline void meter_add(meter_count *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/** Read a number. @param c number @return it. Thread: any. */
static inline uint64_t meter_get(const meter_count *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/** Count a request that has ended. @param m table @param worker 0.. @param subject its number,
 * below METER_MAX_SUBJECTS, or METER_NOBODY; what is above is counted with the rest @param variant
 * 0..METER_VARIANTS-1 @param name of the subject, copied when it is first seen; a subject that
 * comes back under another number, because it was gone in between, goes on in the row it had @param
 * e what is counted; nothing is if memory is refused for a new row. Thread: that worker. */
void meter_request(struct meter *m, size_t worker, unsigned subject, unsigned variant,
                   struct span name, const struct meter_event *e);

/** A row that was counted in. */
struct meter_row {
    struct span
        name; /**< of the subject; absent: of none; empty: of the rest; lives with the table */
    unsigned variant; /**< its variant */
    unsigned subject; /**< private */
};

/** Go to the next row that was ever counted in, in order of the subjects. Rows never go and never
 * move, so whoever does it piece by piece meets each row once. @param m table @param at where the
 * row before was, 0 at first; out: where this one is @param out the row @return false: there are no
 * more. Thread: any. */
bool meter_next(const struct meter *m, size_t *at, struct meter_row *out);

/** What was counted in a row. @param m table @param row from meter_next() @param out sum. Thread:
 * any. */
void meter_read(const struct meter *m, const struct meter_row *row, struct meter_sum *out);

/** Told each row. @param ctx the caller's @param name of the subject; absent: of none; empty: of
 * the rest @param variant its variant @param sum what was counted. */
typedef void (*meter_row_fn)(void *ctx, struct span name, unsigned variant,
                             const struct meter_sum *sum);

/** Tell each row that was ever counted in, in order of the subjects. @param m table @param fn told
 * @param ctx for it. Thread: any. */
void meter_each(const struct meter *m, meter_row_fn fn, void *ctx);

/** Add one sum to another. @param to sum @param from another. Thread: any. */
void meter_merge(struct meter_sum *to, const struct meter_sum *from);

/** What was counted of one subject, all variants. @param m table @param subject number @param out
 * sum, zero if nothing was. Thread: any. */
void meter_of(const struct meter *m, unsigned subject, struct meter_sum *out);

/** A bound of the histograms, those of SAP Cloud Connector's monitoring. @param i
 * 0..METER_BOUNDS-1 @return milliseconds. Thread: any. Source: SAP Cloud Connector, monitoring API,
 * performance/backends. */
unsigned meter_bound_ms(size_t i);

/** Why was a request refused, to go by the status? @param status 100..599 @param origin whose
 * @return reason; none for what other programs said. Thread: any. */
enum meter_denial meter_denial_of(unsigned status, enum meter_origin origin);

/** The word for a reason, as it stands in metrics and, where it is the same there, in log and
 * Proxy-Status. @param reason below METER_DENIALS @return constant text. Thread: any. */
const char *meter_denial_word(enum meter_denial reason);

/** A quantile of a histogram, as if the values of a bucket were spread evenly over it; the last
 * bound for what is above it. @param buckets METER_BOUNDS + 1 numbers @param permille 0..1000
 * @return milliseconds, 0: nothing was counted. Thread: any. */
double meter_quantile_ms(const uint64_t *buckets, unsigned permille);

#endif
