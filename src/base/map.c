/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/map.h"

#include <stdlib.h>

#define MAP_FIRST_SLOTS 16
#define MAP_MAX_ENTRIES ((size_t)1 << 20)

struct slot {
    struct span key;
    void *value; /* NULL: the slot is free */
};

struct map {
    struct slot *slots;
    size_t slot_count; /* power of two, never more than three quarters full */
    size_t used;
    bool is_nocase;
};

/* As FNV-1a, but eight octets at once, and the high half, where they end up, mixed into the low
 * one. Strangers only look up, they never fill, so they cannot build chains. */
static uint64_t hash(const struct map *m, struct span key)
{
    uint64_t h = 14695981039346656037U ^ key.n;

    for (size_t i = 0; i < key.n; i += 8) {
        uint64_t w = span_load8(key.p + i, key.n - i);

        h = (h ^ (m->is_nocase ? span_lower8(w) : w)) * 0x9e3779b97f4a7c15U;
        h ^= h >> 32;
    }
    return h;
}

/* The slot that holds the key, or the free one where it belongs. */
static struct slot *find(const struct map *m, struct span key)
{
    size_t i = (size_t)hash(m, key) & (m->slot_count - 1);

    while (m->slots[i].value) {
        struct span k = m->slots[i].key;
        if (m->is_nocase ? span_eq_nocase(k, key) : span_eq(k, key)) {
            break;
        }
        i = (i + 1) & (m->slot_count - 1);
    }
    return &m->slots[i];
}

frun_err map_new(bool is_nocase, struct map **out)
{
    struct map *m = calloc(1, sizeof(*m));

    if (!m) {
        return FRUN_E_NOMEM;
    }
    m->is_nocase = is_nocase;
    m->slot_count = MAP_FIRST_SLOTS;
    m->slots = calloc(m->slot_count, sizeof(*m->slots));
    if (!m->slots) {
        free(m);
        return FRUN_E_NOMEM;
    }
    *out = m;
    return FRUN_OK;
}

void map_free(struct map *m)
{
    if (!m) {
        return;
    }
    free(m->slots);
    free(m);
}

static frun_err grow(struct map *m)
{
    struct map bigger = *m;

    if (m->used >= MAP_MAX_ENTRIES) {
        return FRUN_E_NOMEM;
    }
    bigger.slot_count *= 2;
    bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
    if (!bigger.slots) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < m->slot_count; i++) {
        if (m->slots[i].value) {
            *find(&bigger, m->slots[i].key) = m->slots[i];
        }
    }
    free(m->slots);
    *m = bigger;
    return FRUN_OK;
}

frun_err map_put(struct map *m, struct span key, void *value)
{
    struct slot *s = find(m, key);

    if (s->value) {
        return FRUN_E_EXISTS;
    }
    if (m->used + 1 > m->slot_count / 4 * 3) {
        frun_err err = grow(m);
        if (err) {
            return err;
        }
        s = find(m, key);
    }
    *s = (struct slot){key, value};
    m->used++;
    return FRUN_OK;
}

void *map_get(const struct map *m, struct span key)
{
    return m->used > 0 ? find(m, key)->value : NULL;
}
