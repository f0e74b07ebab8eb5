/**
 * A thread's stock of buffers: blocks of a few sizes that are taken and given back with every pass.
 *
 * malloc() keeps only small blocks at hand; a buffer for a record or a body costs it as much as
 * parsing a head. Here such a block is the one given back last, so it is also still in the cache.
 * The stock of a thread has a ceiling, what comes above it is freed at once, and stock_trim() frees
 * what a quieter time no longer needs. Blocks are malloc()'s: they may be taken on one thread and
 * given back on another, and other sizes go straight through. An address sanitizer must see each
 * free(), so with one nothing is kept.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_STOCK_H
#define FRUN_BASE_STOCK_H

#include <stddef.h>

/** Ceiling of what one thread's stock holds. */
#define STOCK_MAX_BYTES ((size_t)1 << 20)

/** Octets of the class that fits a full TLS record with all that surrounds it. */
#define STOCK_RECORD_BYTES ((size_t)17408)

/** Take a block. @param n in: octets needed, 1..; out: octets there are, never fewer @return the
 * block, not zeroed, stock_give() it; NULL: refused, @p n is then untouched. Thread: any. */
void *stock_take(size_t *n);

/** Give a block back. @param p block from stock_take(), or NULL @param n octets it was said to
 * have, or that were needed. Thread: any. */
void stock_give(void *p, size_t n);

/** Free the blocks that nobody needed since the last call. Called by the loop every few seconds.
 * Thread: any, its own stock. */
void stock_trim(void);

/** What this thread's stock holds. @return octets, at most STOCK_MAX_BYTES. Thread: any. */
size_t stock_spare_bytes(void);

#endif
