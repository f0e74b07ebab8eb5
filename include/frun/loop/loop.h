/**
 * The event loop of one worker: file descriptors, coarse deadlines, work for the end of a pass,
 * mail from other threads.
 *
 * libevent is the reactor and is seen here and in the net room only. Everything except loop_post()
 * and loop_stop() belongs to the thread that runs the loop. Nothing is ever freed inside its own
 * callback: loop_free_later() parks it until the pass has ended.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_LOOP_LOOP_H
#define FRUN_LOOP_LOOP_H

#include "frun/base/err.h"
#include "frun/base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A loop. */
struct loop;

/** Granularity of deadlines, milliseconds: they fire at most this late. */
#define LOOP_TICK_MS 100

/** Make a loop; it runs once loop_run() is called, on whatever thread calls it. @param out loop;
 * loop_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO no descriptor left. Thread: any. */
frun_err loop_new(struct loop **out) FRUN_MUST_CHECK;

/** Free a loop that is not running: posted jobs that have not run are run, parked objects are
 * freed. @param l loop or NULL. Thread: the one that ran it, or made it. */
void loop_free(struct loop *l);

/** Run until loop_stop(). @param l loop. Thread: becomes the loop's owner. */
void loop_run(struct loop *l);

/** Make loop_run() return after the present pass. @param l loop. Thread: any. */
void loop_stop(struct loop *l);

/** Monotonic milliseconds, read once a pass. @param l loop @return time as mono_now_ms(). Thread:
 * owner. */
uint64_t loop_now_ms(const struct loop *l);

/** A job of another thread. */
typedef void (*loop_job_fn)(void *arg);

/** Run a job on the loop's thread, in order of posting. @param l loop @param fn job @param arg its
 * argument, owned by the job @return FRUN_OK; FRUN_E_NOMEM not posted. Thread: any. */
frun_err loop_post(struct loop *l, loop_job_fn fn, void *arg) FRUN_MUST_CHECK;

/** Work to do once at the end of the pass: flushing what the pass gathered. Embedded in its object.
 */
struct later {
    struct list node;            /**< private */
    void (*fn)(struct later *l); /**< called once; may arm itself again for the next pass, and
                                    others for this one */
};

/** Prepare. @param x node @param fn work. Thread: owner. */
void later_init(struct later *x, void (*fn)(struct later *l));

/** Ask for the work at the end of this pass; asking twice is once. @param l loop @param x prepared
 * node. Thread: owner. */
void later_arm(struct loop *l, struct later *x);

/** Take the wish back; harmless if not armed. @param x node. Thread: owner. */
void later_cancel(struct later *x);

/** Free an object after the pass, when no callback can still see it. @param l loop @param fn frees
 * @param obj object @return nothing; if memory is refused the object is leaked rather than freed
 * too early. Thread: owner. */
void loop_free_later(struct loop *l, void (*fn)(void *obj), void *obj);

/**
 * A deadline: fires once, at most LOOP_TICK_MS late. Cheap to move later (no list work), so it may
 * be set for every request.
 */
struct deadline {
    struct list node;               /**< private */
    uint64_t at_ms;                 /**< when it is due, 0: not set */
    uint64_t filed_ms;              /**< private: slot it stands in */
    void (*fn)(struct deadline *d); /**< called when due; it is then not set any more */
};

/** Prepare. @param d deadline @param fn what to do. Thread: owner. */
void deadline_init(struct deadline *d, void (*fn)(struct deadline *d));

/** Set or move. @param l loop @param d prepared @param in_ms from now, 1.. Thread: owner. */
void deadline_set(struct loop *l, struct deadline *d, uint64_t in_ms);

/** Unset; harmless if not set. @param d prepared. Thread: owner. */
void deadline_clear(struct deadline *d);

/** What happened to a descriptor. */
enum {
    IO_READ = 1, /**< readable, or ended, or in error */
    IO_WRITE = 2 /**< writable, or in error */
};

/** A watched descriptor; level-triggered. Embedded in its object; the descriptor stays the
 * object's. */
struct io {
    struct loop *loop;                   /**< owner, NULL before io_open() */
    void *ev_read;                       /**< private */
    void *ev_write;                      /**< private */
    int fd;                              /**< descriptor, borrowed */
    int wants;                           /**< IO_ bits now watched */
    void (*fn)(struct io *io, int what); /**< called with IO_ bits */
};

/** Begin to watch; nothing is wanted yet. @param io storage @param l loop @param fd descriptor
 * @param fn event @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err io_open(struct io *io, struct loop *l, int fd,
                 void (*fn)(struct io *io, int what)) FRUN_MUST_CHECK;

/** Say what to watch for from now on. @param io open @param wants IO_ bits @return FRUN_OK;
 * FRUN_E_NOMEM; FRUN_E_IO. Thread: owner. */
frun_err io_want(struct io *io, int wants) FRUN_MUST_CHECK;

/** End watching (not the descriptor); harmless if not open. No event follows, also not in this
 * pass. @param io watched or zeroed. Thread: owner. */
void io_close(struct io *io);

/** Call @p fn on signal @p signo in the loop of the main thread. @param l loop @param signo signal
 * @param fn job @param arg its argument @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_LIMIT more than 8
 * signals. Thread: main, before loop_run(). */
frun_err loop_on_signal(struct loop *l, int signo, loop_job_fn fn, void *arg) FRUN_MUST_CHECK;

#endif
