/**
 * Alerts: what is wrong for long enough that somebody should know, and when it is over.
 *
 *     nothing --bad--> pending --bad for its time--> firing --good for CLEAR--> over --an hour-->
 * nothing
 *                         \--good--> nothing           \--worse: told again
 *
 * The daemon tells facts in rounds; a fact that is not told in a round is good. Told are the
 * beginning, each worsening and the end, once each: to the log, to the API and metrics, and to a
 * command that gets JSON on its standard input. Main thread's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_ALERTS_H
#define FRUN_ADMIN_ALERTS_H

#include "frun/admin/metrics.h"
#include "frun/admin/server.h"
#include "frun/base/err.h"
#include "frun/loop/loop.h"

#include <stddef.h>
#include <stdint.h>

/** Alerts that are known at a time; what comes above is counted only. */
#define ALERTS_MAX 512

/** So long a fact must be good for its alert to be over, milliseconds. */
#define ALERTS_CLEAR_MS 15000

/** So long an alert that is over is shown, milliseconds. */
#define ALERTS_SHOWN_MS 3600000

/** Something bad. */
struct alerts_fact {
    const char *alert;  /**< constant, "tunnel-down" */
    const char *name;   /**< of what, copied */
    uint64_t for_ms;    /**< it counts when it has been so for this long */
    unsigned level;     /**< 1..: a higher one is worse and told again */
    const char *text;   /**< what is wrong, copied */
    const char *remedy; /**< what to do, constant */
};

/** The alerts of a daemon. */
struct alerts;

/** Make them. @param l loop @param daemon constant name for the command @param out alerts;
 * alerts_free() them @return FRUN_OK; FRUN_E_NOMEM. Thread: owner of @p l. */
frun_err alerts_new(struct loop *l, const char *daemon, struct alerts **out) FRUN_MUST_CHECK;

/** Free; a command that runs is killed. @param a alerts or NULL. Thread: owner. */
void alerts_free(struct alerts *a);

/** Which program is told from now on. @param a alerts @param command absolute name or NULL, copied.
 * Thread: owner. */
void alerts_set_command(struct alerts *a, const char *command);

/** A round begins. @param a alerts @param now_ms monotonic. Thread: owner. */
void alerts_begin(struct alerts *a, uint64_t now_ms);

/** Something is bad. @param a alerts, in a round @param f fact. Thread: owner. */
void alerts_tell(struct alerts *a, const struct alerts_fact *f);

/** A certificate ends. @param a alerts, in a round @param days ceiling of days that count @param
 * what what it is for @param name of whom @param left_s seconds left. Thread: owner. */
void alerts_certificate(struct alerts *a, uint64_t days, const char *what, const char *name,
                        int64_t left_s);

/** A folder is written to. @param a alerts, in a round @param path a file in it, or it; NULL:
 * nothing is @param least octets that must be free. Thread: owner (looks at the disk). */
void alerts_disk(struct alerts *a, const char *path, uint64_t least);

/** A ceiling, and how near it is. */
struct alerts_limit {
    const char *name;   /**< of what, copied */
    uint64_t used;      /**< how much is in use */
    uint64_t max;       /**< ceiling; 0: there is none */
    const char *what;   /**< what is counted: "requests wait", constant */
    const char *remedy; /**< what to do, constant */
};

/** When a limit is an alert. */
struct alerts_limit_terms {
    uint64_t percent; /**< of the ceiling; 0: never */
    uint64_t for_ms;  /**< for so long */
};

/** A limit: bad from so many percent on, worse at its ceiling, and good again an eighth of the
 * percents below, so that it does not come and go. @param a alerts, in a round @param terms when it
 * counts @param x limit. Thread: owner. */
void alerts_limit(struct alerts *a, const struct alerts_limit_terms *terms,
                  const struct alerts_limit *x);

/** The process's file descriptors as a limit; they are counted twice a minute. @param a alerts, in
 * a round @param terms when it counts. Thread: owner. */
void alerts_descriptors(struct alerts *a, const struct alerts_limit_terms *terms);

/** The round is over: what has not been told is good. @param a alerts. Thread: owner. */
void alerts_end(struct alerts *a);

/** Serve GET /api/v1/alerts. @param a alerts @param s server @return FRUN_OK; FRUN_E_NOMEM. Thread:
 * owner. */
frun_err alerts_serve(struct alerts *a, struct admin_server *s) FRUN_MUST_CHECK;

/** Write the family "alerts": 1 for each that fires. @param a alerts @param m text. Thread: owner.
 */
void alerts_metrics(const struct alerts *a, struct admin_metrics *m);

#endif
