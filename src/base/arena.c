/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most requests fit into one block of this size: two heads' texts and the structure of one. */
#define ARENA_BLOCK_BYTES 8192

struct arena_block {
    struct arena_block *older; /* next in the chain */
    size_t used;               /* octets of mem given out */
    size_t cap;                /* octets of mem */
    alignas(max_align_t) char mem[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes};
}

void arena_limit(struct arena *a, size_t max_bytes)
{
    a->max_bytes = max_bytes > a->used_bytes ? max_bytes : a->used_bytes;
}

void arena_done(struct arena *a)
{
    if (!a) {
        return;
    }
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->older;
        free(b);
    }
    a->used_bytes = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;

    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->older;
        if (!kept && b->cap == ARENA_BLOCK_BYTES - sizeof(*b)) {
            kept = b;
        } else {
            free(b);
        }
    }
    a->used_bytes = 0;
    if (kept) {
        kept->older = NULL;
        kept->used = 0;
        a->blocks = kept;
        a->used_bytes = ARENA_BLOCK_BYTES;
    }
}

static struct arena_block *block_add(struct arena *a, size_t n)
{
    size_t left = a->max_bytes - a->used_bytes;

    if (left < sizeof(struct arena_block) || left - sizeof(struct arena_block) < n) {
        return NULL;
    }
    size_t size = sizeof(struct arena_block) + n;
    if (size < ARENA_BLOCK_BYTES) {
        size = left < ARENA_BLOCK_BYTES ? left : ARENA_BLOCK_BYTES;
    }
    struct arena_block *b = malloc(size);
    if (!b) {
        return NULL;
    }
    b->older = a->blocks;
    b->used = 0;
    b->cap = size - sizeof(*b);
    a->blocks = b;
    a->used_bytes += size;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t unit = alignof(max_align_t);
    struct arena_block *b = a->blocks;
    size_t at = b ? (b->used + unit - 1) / unit * unit : 0;

    if (!b || at > b->cap || b->cap - at < n) {
        b = block_add(a, n);
        if (!b) {
            return NULL;
        }
        at = 0;
    }
    b->used = at + n;
    return b->mem + at;
}

frun_err arena_copy(struct arena *a, struct span s, struct span *out)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

    if (!p) {
        return FRUN_E_NOMEM;
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    *out = span_make(p, s.n);
    return FRUN_OK;
}

frun_err arena_printf(struct arena *a, struct span *out, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return FRUN_E_NOMEM;
    }
    char *p = arena_alloc(a, (size_t)n + 1);
    if (!p) {
        return FRUN_E_NOMEM;
    }
    va_start(ap, fmt);
    n = vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return FRUN_E_NOMEM;
    }
    *out = span_make(p, (size_t)n);
    return FRUN_OK;
}
