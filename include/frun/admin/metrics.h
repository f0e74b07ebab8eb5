/**
 * Writing metrics as text: OpenMetrics, or the text format of Prometheus for those who do not know
 * the other.
 *
 * Thousands of endpoints make tens of megabytes. So the text is written in pieces, one in a pass of
 * the loop, and only as fast as it is read: nothing else on the loop waits for more than a piece,
 * and never more than a piece is held. A text that fits into one piece is answered with its length,
 * a longer one in chunks; one that cannot be completed ends without the last chunk, so that nobody
 * takes half of it for all.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_METRICS_H
#define FRUN_ADMIN_METRICS_H

#include "frun/admin/server.h"
#include "frun/base/buf.h"
#include "frun/base/meter.h"
#include "frun/base/span.h"
#include "frun/loop/loop.h"
#include "frun/loop/offload.h"

#include <stdbool.h>
#include <stdint.h>

/** Labels of one sample at most. */
#define ADMIN_METRICS_LABELS 6

/** Octets of a bound's text. */
#define ADMIN_METRICS_BOUND_BYTES 8

/** A text under way. */
struct admin_metrics {
    struct buf out;     /**< what has not been sent yet */
    struct buf labels;  /**< of the present histogram */
    const char *prefix; /**< "frunproxy_" */
    bool is_open;       /**< OpenMetrics, else Prometheus' format 0.0.4 */
    bool is_failed;     /**< memory was refused */
    const char *name;   /**< of the present family, without prefix */
    const char *type;   /**< of it */
    char bounds[METER_BOUNDS][ADMIN_METRICS_BOUND_BYTES]; /**< of histograms, seconds */
};

/** A label. */
struct admin_label {
    const char *name;  /**< constant name */
    struct span value; /**< any text */
};

/** Writes one piece of a text: a family, or a part of one with some thousand octets. @param ctx the
 * job's @param m text @param at where the piece before ended, 0 for the first; out: where this one
 * did @return true: there is more. */
typedef bool (*admin_metrics_part)(void *ctx, struct admin_metrics *m, size_t *at);

/** A text to be written. */
struct admin_metrics_job {
    struct loop *loop;               /**< the server's */
    const char *prefix;              /**< of all names, constant */
    const admin_metrics_part *parts; /**< written one after the other, constant */
    size_t n_parts;                  /**< their number */
    uint64_t stall_ms;               /**< whoever reads nothing for so long is cut off, 1.. */
    void *ctx;                       /**< for the parts */
    void (*done)(void *ctx);         /**< all is written, or nobody reads any more; may be NULL */
};

/** Answer a request with a text; the request is gone some time afterwards. Its Accept field chooses
 * the format. @param job copied @param r request. Thread: owner. Source: RFC 9110 12.5.1. */
void admin_metrics_serve(const struct admin_metrics_job *job, struct admin_request *r);

/** Begin a family; its samples follow. @param m text @param name without prefix and without
 * "_total"
 * @param type "counter", "gauge", "histogram", "info" @param unit "seconds", "bytes" or "" @param
 * help one sentence. Thread: owner. */
void admin_metrics_family(struct admin_metrics *m, const char *name, const char *type,
                          const char *unit, const char *help);

/** A sample of a counter, gauge or info. @param m text in a family @param labels labels @param n
 * count @param value number. Thread: owner. */
void admin_metrics_value(struct admin_metrics *m, const struct admin_label *labels, size_t n,
                         double value);

/** A sample of a histogram in seconds. @param m text in a family @param labels labels @param n
 * count
 * @param buckets METER_BOUNDS + 1 numbers, not summed up @param sum_us microseconds in all. Thread:
 * owner. */
void admin_metrics_histogram(struct admin_metrics *m, const struct admin_label *labels, size_t n,
                             const uint64_t *buckets, uint64_t sum_us);

/** Families that every daemon has: build, start, memory, descriptors, processor time. @param m text
 * @param started_s start, seconds since 1970. Thread: owner. */
void admin_metrics_process(struct admin_metrics *m, double started_s);

/** File descriptors that are open. @return count. Thread: any (reads a folder of /proc). */
double admin_metrics_descriptors(void);

/** A pool of helper threads. */
struct admin_metrics_pool {
    const char *name;         /**< constant, "names" */
    struct offload_view view; /**< how it is doing; without threads it is left out */
};

/** Families of helper threads: their queues and how long jobs wait in them. @param m text @param
 * pools pools @param n count. Thread: owner. */
void admin_metrics_pools(struct admin_metrics *m, const struct admin_metrics_pool *pools, size_t n);

/** Families of a table of meters. */
enum {
    ADMIN_METRICS_REQUESTS = 1,  /**< requests by class and origin */
    ADMIN_METRICS_DENIALS = 2,   /**< refused ones by reason */
    ADMIN_METRICS_DENIED = 4,    /**< those that access control refused */
    ADMIN_METRICS_DURATION = 8,  /**< how long they took */
    ADMIN_METRICS_UPSTREAM = 16, /**< how long the other side took */
    ADMIN_METRICS_BYTES = 32,    /**< octets of bodies */
    ADMIN_METRICS_REPEATS = 64   /**< sent on again */
};

/** A table of meters to be told. */
struct admin_metrics_table {
    const struct meter *meter;                     /**< table */
    const char *subject;                           /**< label that a row's name has */
    const char *(*route)(unsigned variant);        /**< word for the label "route"; NULL: there is
                                                      one variant only, and no such label */
    const char *own;                               /**< origin of what this program answered */
    unsigned families;                             /**< ADMIN_METRICS_ bits */
    bool (*is_shown)(void *ctx, struct span name); /**< is there such a subject now? */
    void *ctx;                                     /**< for it */
};

/** A part that tells a table: rows that were counted in and are shown, and of those what ever
 * happened. @param m text @param t table, the same for all pieces @param at cursor @return true:
 * there is more. Thread: owner. */
bool admin_metrics_table(struct admin_metrics *m, const struct admin_metrics_table *t, size_t *at);

#endif
