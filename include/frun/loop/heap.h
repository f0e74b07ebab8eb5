/**
 * Giving memory back behind a burst.
 *
 * malloc() returns to the system only what is free at the end of a heap, and what outlives a burst
 * (a counter, an entry of a table) stands anywhere: behind 5000 connections a gateway would hold
 * 80 MiB for ever. The main loop compares every 10 s what is resident with what is in use, and when
 * much is resident in vain at two looks in a row, all free pages go back. While the process is busy
 * "much" is a lot, for what is given back will soon be needed; while it does next to nothing, as
 * between the bursts of each minute, it is little: nobody waits, and a page that is wanted again
 * costs a quarter of a microsecond. Never for the buffers that come and go with each pass.
 *
 * Does nothing where the C library is not glibc 2.33 or later, or /proc is not there.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_LOOP_HEAP_H
#define FRUN_LOOP_HEAP_H

#include "frun/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How often the main loop looks, milliseconds. */
#define HEAP_LOOK_MS 10000

/** What may be resident in vain, octets, beyond what cannot be given back. */
#define HEAP_SPARE_BYTES ((size_t)8 << 20)

/** The same while the process is quiet. */
#define HEAP_QUIET_SPARE_BYTES ((size_t)1 << 20)

/** A process is quiet that has used no more CPU than this since the last look, milliseconds: two
 * per cent of one CPU. */
#define HEAP_QUIET_CPU_MS 200

/** What a process holds. */
struct heap_state {
    size_t resident; /**< octets of its own memory that are resident */
    size_t used;     /**< octets that malloc() has handed out */
    uint64_t cpu_ms; /**< CPU time of all threads since the start */
};

/** A watch; of the main thread, in its owner's memory. */
struct heap_watch {
    struct deadline again; /**< next look */
    struct loop *loop;     /**< main loop; NULL: not running */
    size_t least_resident; /**< smallest ever seen */
    size_t calm_idle;      /**< resident in vain, at the least since memory was given back last */
    uint64_t cpu_ms;       /**< at the last look */
    bool is_over;          /**< there was too much at the last look */
};

/** Read what this process holds. @param out filled on success @return true; false: it cannot be
 * told here. Thread: any. Source: proc(5) statm, mallinfo2(3),
 * clock_gettime(3). */
bool heap_read(struct heap_state *out);

/** Give all free pages back; other threads that allocate meanwhile wait, about 0.3 ms per MiB.
 * Thread: any. Source: malloc_trim(3). */
void heap_give_back(void);

/** Begin to judge. @param w watch @param now what is held. Thread: owner. */
void heap_watch_begin(struct heap_watch *w, struct heap_state now);

/** Is there memory to give back? @param w watch @param now what is held @return true: too much is
 * resident in vain for the second time in a row; call heap_give_back(), then heap_watch_gave().
 * Thread: owner. */
bool heap_watch_judge(struct heap_watch *w, struct heap_state now);

/** Note what could not be given back. @param w watch @param now what is held after
 * heap_give_back(). Thread: owner. */
void heap_watch_gave(struct heap_watch *w, struct heap_state now);

/** Look every HEAP_LOOK_MS. @param w zeroed watch @param l main loop. Thread: main. */
void heap_watch_start(struct heap_watch *w, struct loop *l);

/** End what heap_watch_start() began; nothing if it did not. @param w watch. Thread: main. */
void heap_watch_stop(struct heap_watch *w);

#endif
