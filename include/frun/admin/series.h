/**
 * What was counted in each minute of the last hours, for the charts of the status page.
 *
 * Once a minute the meter's rows are read and what they grew by is kept in a ring for each name,
 * whatever its variants, and in one for everything together. Names come as the meter meets them and
 * stay; above SERIES_MAX_NAMES there is no ring for a name, but it counts in the sum. The present
 * minute is worked out when somebody asks. Main thread's; 20 octets a name and minute.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_SERIES_H
#define FRUN_ADMIN_SERIES_H

#include "frun/admin/server.h"
#include "frun/base/err.h"
#include "frun/base/meter.h"
#include "frun/loop/loop.h"

#include <stddef.h>
#include <stdint.h>

/** Minutes that are kept. */
#define SERIES_MINUTES 360

/** Names with a ring of their own at most. */
#define SERIES_MAX_NAMES 2048

/** The series of one table. */
struct series;

/** What was counted in one minute, or in several together. */
struct series_point {
    uint32_t requests; /**< all */
    uint32_t errors;   /**< those without an answer, or with 5xx */
    uint32_t refused;  /**< those with 4xx */
    float mean_ms;     /**< average time */
    float p95_ms;      /**< so fast were 95 % of them */
};

/** Begin: what is in the table now was before. @param m table, outlives the series @param out
 * series; series_free() it @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err series_new(const struct meter *m, struct series **out) FRUN_MUST_CHECK;

/** Free. @param s series or NULL. Thread: main. */
void series_free(struct series *s);

/** Read the table at the end of a minute. @param s series @param now_s seconds since 1970. Thread:
 * main. */
void series_take(struct series *s, uint64_t now_s);

/** Read the table each minute from now on. @param s series @param l loop. Thread: owner of @p l. */
void series_start(struct series *s, struct loop *l);

/** Points of a name, the oldest first, the last one the present minute, so far. @param s series
 * @param name name; absent: everything together; "(none)": what belongs to no name @param out
 * SERIES_MINUTES points; those from before the name was known are zero @return FRUN_OK;
 * FRUN_E_NOT_FOUND. Thread: main. */
frun_err series_read(struct series *s, struct span name, struct series_point *out) FRUN_MUST_CHECK;

/** Minutes that count as just now. */
#define SERIES_LATE_MINUTES 15

/** Errors of a name: requests without an answer, or with 5xx. */
struct series_errors {
    uint64_t all;  /**< of all minutes that are kept */
    uint64_t late; /**< of the last SERIES_LATE_MINUTES */
};

/** What a name has had of errors. @param s series @param name name @param now what the table has of
 * it now @param out filled; zero: it has no ring. Thread: main. */
void series_errors(const struct series *s, struct span name, const struct meter_sum *now,
                   struct series_errors *out);

/** Serve GET /api/v1/series (everything together by minutes, each name in steps of ten; with
 * ?name=A&name=B those names alone, with ?name= none) and GET /api/v1/series/{name} by minutes.
 * @param s series @param server server @return FRUN_OK; FRUN_E_NOMEM. Thread: main. */
frun_err series_serve(struct series *s, struct admin_server *server) FRUN_MUST_CHECK;

#endif
