/**
 * One growing run of octets with a ceiling; consumed at the front, filled at the end.
 *
 * Invariant (buf_sane): 0 <= head <= tail <= cap <= max; data is NULL exactly when cap is 0.
 * Used for heads, staging and what waits for a slow peer. Never grows above its ceiling.
 * Owned by one thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_BUF_H
#define FRUN_BASE_BUF_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>

/** A buffer; zero it and set max, or call buf_init(). */
struct buf {
    char *data;  /**< storage, NULL when cap is 0 */
    size_t head; /**< first octet still there */
    size_t tail; /**< one past the last octet */
    size_t cap;  /**< octets of storage */
    size_t max;  /**< ceiling of cap */
};

/** Make an empty buffer. @param b storage @param max_bytes ceiling, 1.. Thread: owner. */
void buf_init(struct buf *b, size_t max_bytes);

/** Give the storage back and empty the buffer; its ceiling stays, it may be filled again. @param b
 * buffer. Thread: owner. */
void buf_done(struct buf *b);

/** Does the invariant hold? @param b buffer @return true if so. Thread: owner. */
bool buf_sane(const struct buf *b);

/** Octets in it. @param b buffer @return count. Thread: owner. */
static inline size_t buf_len(const struct buf *b)
{
    return b->tail - b->head;
}

/** Octets that may still be added. @param b buffer @return count. Thread: owner. */
static inline size_t buf_room(const struct buf *b)
{
    return b->max - buf_len(b);
}

/** What is in it; valid until the next change. @param b buffer @return span. Thread: owner. */
static inline struct span buf_span(const struct buf *b)
{
    return span_make(b->data ? b->data + b->head : NULL, buf_len(b));
}

/**
 * Make room for @p n octets in one piece behind the content and lend it.
 *
 * @param b        buffer
 * @param n        octets wanted, 1..
 * @param at       out: where to write; call buf_commit() with what was written
 * @return FRUN_OK; FRUN_E_LIMIT content + n above the ceiling; FRUN_E_NOMEM; the buffer is then
 * unchanged Thread: owner.
 */
frun_err buf_reserve(struct buf *b, size_t n, char **at) FRUN_MUST_CHECK;

/** Count @p n octets written after buf_reserve(). @param b buffer @param n octets, at most what was
 * reserved. Thread: owner. */
static inline void buf_commit(struct buf *b, size_t n)
{
    b->tail += n;
}

/** Add octets. @param b buffer @param s octets @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM, nothing
 * added. Thread: owner. */
frun_err buf_put(struct buf *b, struct span s) FRUN_MUST_CHECK;

/** Add formatted text. @param b buffer @param fmt printf format @return FRUN_OK; FRUN_E_LIMIT;
 * FRUN_E_NOMEM, nothing added. Thread: owner. */
frun_err buf_printf(struct buf *b, const char *fmt, ...) FRUN_MUST_CHECK FRUN_PRINTF(2, 3);

/** Drop @p n octets at the front; storage stays. @param b buffer @param n octets, <= buf_len().
 * Thread: owner. */
static inline void buf_consume(struct buf *b, size_t n)
{
    b->head += n;
    if (b->head == b->tail) {
        b->head = b->tail = 0;
    }
}

/** Give the storage back if nothing is in it: an idle connection holds no buffer. @param b buffer.
 * Thread: owner. */
void buf_trim(struct buf *b);

#endif
