/**
 * Helper threads for what may block or take milliseconds: name resolution, password hashing. A
 * bounded queue each.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_LOOP_OFFLOAD_H
#define FRUN_LOOP_OFFLOAD_H

#include "frun/base/err.h"
#include "frun/loop/loop.h"

#include <stddef.h>
#include <stdint.h>

/** A pool of helper threads with one queue. */
struct offload;

/** One job: work on a helper thread, then done on the loop that asked. Embedded in its object,
 * which must live until done. */
struct offload_job {
    struct list node;                    /**< private */
    struct loop *loop;                   /**< where done runs; set by offload_submit() */
    void (*work)(struct offload_job *j); /**< on a helper thread: touches only the job's own data */
    void (*done)(
        struct offload_job *j); /**< on the loop; frees the job if nobody waits for it any more */
};

/** Start a pool. @param threads 1..16 @param max_queued jobs waiting at most, 1.. @param out pool;
 * offload_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_IO threads refused. Thread: main. */
frun_err offload_new(size_t threads, size_t max_queued, struct offload **out) FRUN_MUST_CHECK;

/** Finish what is queued and end the threads. The loops must still exist; their done jobs run in
 * them or in loop_free(). @param o pool or NULL. Thread: main. */
void offload_free(struct offload *o);

/** Hand a job in. @param o pool @param l the caller's loop @param j prepared job @return FRUN_OK;
 * FRUN_E_LIMIT queue full, try later. Thread: owner of @p l. */
frun_err offload_submit(struct offload *o, struct loop *l, struct offload_job *j) FRUN_MUST_CHECK;

/** How a pool is doing. */
struct offload_view {
    size_t threads;     /**< helper threads */
    size_t busy;        /**< of them at work */
    size_t queued;      /**< jobs that wait for one */
    size_t max_queued;  /**< ceiling of that */
    uint64_t jobs;      /**< jobs begun since the start */
    uint64_t refused;   /**< jobs that found the queue full */
    uint64_t waited_us; /**< microseconds that those begun had waited, together */
};

/** Look at a pool. @param o pool; NULL: there is none, all is zero @param out filled. Thread: any.
 */
void offload_look(struct offload *o, struct offload_view *out);

#endif
