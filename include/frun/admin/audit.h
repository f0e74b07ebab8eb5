/**
 * The audit log: what administrators did, who was let in, who was turned away.
 *
 * Anybody tells an event, from any thread and without waiting; a thread of the log's own writes it
 * into the chain (base/chain.h). What may come in floods is told once, then counted for a minute. A
 * disk that takes nothing is told once to the log; events wait in a bounded queue, and what it
 * cannot hold is counted and becomes a record itself. No secret, no payload, no query.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_AUDIT_H
#define FRUN_ADMIN_AUDIT_H

#include "frun/base/chain.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/conf/audit.h"
#include "frun/conf/diff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An audit log. */
struct audit;

/** Something that happened; absent texts are left out, long ones are cut. */
struct audit_event {
    const char *name;    /**< constant, "access.denied" */
    const char *outcome; /**< constant, "ok", "denied" or "failed" */
    struct span who;     /**< user, pusher, connector, "uid 0" */
    struct span from;    /**< address */
    struct span object;  /**< what it was done to: endpoint, file, request line */
    struct span detail;  /**< in words */
    bool is_routine;     /**< of level all only */
    bool is_frequent;    /**< may come in floods: the same again within a minute is counted */
};

/** How it goes. */
struct audit_state {
    bool is_failing;      /**< the disk takes nothing */
    uint64_t n_lost;      /**< events that are lost for good, since the start */
    uint64_t n_written;   /**< records written since the start */
    struct chain_end end; /**< of the chain */
    char why[256];        /**< what is failing */
};

/** Open the log that a configuration asks for and start its thread. A file that nobody asked for by
 * name may fail: that is logged, and @p out stays NULL; so does level off. @param conf [audit]
 * @param out log or NULL; audit_free() it @param d filled on failure @return FRUN_OK; FRUN_E_IO,
 * FRUN_E_TIMEOUT it cannot be written; FRUN_E_NOMEM. Thread: main. */
frun_err audit_open(const struct conf_audit *conf, struct audit **out,
                    struct diag *d) FRUN_MUST_CHECK;

/** Write what is queued, as far as the disk takes it, and close. @param a log or NULL. Thread:
 * main, when nobody tells any more. */
void audit_free(struct audit *a);

/** Is an event of this kind written? @param a log or NULL @param is_routine of level all only
 * @return true if so. Thread: any. */
bool audit_wants(const struct audit *a, bool is_routine);

/** Tell an event. @param a log or NULL @param e event, copied. Thread: any. */
void audit_tell(struct audit *a, const struct audit_event *e);

/** Another level from now on; the change is an event of its own. @param a log or NULL @param level
 * enum conf_audit_level. Thread: any. */
void audit_set_level(struct audit *a, int level);

/** How it goes. @param a log or NULL @param out filled. Thread: any. */
void audit_look(struct audit *a, struct audit_state *out);

/** Tell what a reload changed, key by key, secrets as "***". @param a log or NULL @param cause what
 * it was for @param c changes @param behind "" or what limits them, in words. Thread: main. */
void audit_changes(struct audit *a, const char *cause, const struct conf_changes *c,
                   const char *behind);

/** Write an event at once, for programs that end soon; a chain that no daemon began is not begun.
 * @param conf [audit] @param e event @param d filled on failure @return FRUN_OK, also when there is
 * no audit log; FRUN_E_IO, FRUN_E_TIMEOUT it cannot be written; FRUN_E_NOMEM. Thread: main
 * (blocks). */
frun_err audit_once(const struct conf_audit *conf, const struct audit_event *e,
                    struct diag *d) FRUN_MUST_CHECK;

#endif
