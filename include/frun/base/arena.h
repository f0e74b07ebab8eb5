/**
 * Memory of one request: allocated bit by bit, given back at once.
 *
 * Nothing in an arena is freed singly. Ceiling in octets; blocks come from malloc. One thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_ARENA_H
#define FRUN_BASE_ARENA_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>

/** Opaque block of an arena. */
struct arena_block;

/** An arena; fields are private. */
struct arena {
    struct arena_block *blocks; /**< newest first */
    size_t used_bytes;          /**< octets of all blocks */
    size_t max_bytes;           /**< ceiling of used_bytes */
};

/** Make an empty arena. @param a storage @param max_bytes ceiling, 1.. Thread: owner. */
void arena_init(struct arena *a, size_t max_bytes);

/** Move the ceiling of what is allocated from now on. @param a arena @param max_bytes ceiling, not
 * below what is used: best while the arena is new or reset. Thread: owner. */
void arena_limit(struct arena *a, size_t max_bytes);

/** Free everything allocated from it; it may be used again. @param a arena. Thread: owner. */
void arena_done(struct arena *a);

/** Forget everything allocated from it, but keep one small block for the next use: an arena that
 * serves one request after the other then allocates nothing. @param a arena. Thread: owner. */
void arena_reset(struct arena *a);

/** Allocate, aligned for any type, not zeroed. @param a arena @param n octets, 0.. @return memory,
 * or NULL: refused or above the ceiling. Thread: owner. */
void *arena_alloc(struct arena *a, size_t n);

/** Copy a span; a NUL follows it. @param a arena @param s octets @param out the copy @return
 * FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err arena_copy(struct arena *a, struct span s, struct span *out) FRUN_MUST_CHECK;

/** Format into the arena; a NUL follows. @param a arena @param out the text @param fmt printf
 * format @return FRUN_OK; FRUN_E_NOMEM. Thread: owner. */
frun_err arena_printf(struct arena *a, struct span *out, const char *fmt, ...) FRUN_MUST_CHECK
    FRUN_PRINTF(3, 4);

#endif
