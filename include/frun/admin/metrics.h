/**
 * Writing metrics as text: OpenMetrics, or the text format of Prometheus for those who do not know
 * the other.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_METRICS_H
#define FRUN_ADMIN_METRICS_H

#include "frun/admin/server.h"
#include "frun/base/buf.h"
#include "frun/base/meter.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/** Labels of one sample at most. */
#define ADMIN_METRICS_LABELS 6

/** A text under way. */
struct admin_metrics {
    struct buf out;     /**< the text */
    const char *prefix; /**< "frunproxy_" */
    bool is_open;       /**< OpenMetrics, else Prometheus' format 0.0.4 */
    bool is_failed;     /**< memory was refused */
    const char *name;   /**< of the present family, without prefix */
    const char *type;   /**< of it */
};

/** A label. */
struct admin_label {
    const char *name;  /**< constant name */
    struct span value; /**< any text */
};

/** Begin. @param m storage @param prefix of all names, constant @param r request, whose Accept
 * field chooses the format. Thread: owner. Source: RFC 9110 12.5.1. */
void admin_metrics_begin(struct admin_metrics *m, const char *prefix,
                         const struct admin_request *r);

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

/** End, and answer with the text; the request is gone afterwards, and @p m empty. @param m text
 * @param r request. Thread: owner. */
void admin_metrics_answer(struct admin_metrics *m, struct admin_request *r);

#endif
