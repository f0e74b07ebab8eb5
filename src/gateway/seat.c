/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/seat.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct seat {
    atomic_uint refs;
    char *name;
    size_t n_workers;
    atomic_uint tunnels[]; /* of each worker */
};

frun_err seat_new(const char *name, size_t n_workers, struct seat **out)
{
    struct seat *s = calloc(1, sizeof(*s) + n_workers * sizeof(s->tunnels[0]));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->n_workers = n_workers;
    s->name = strdup(name);
    if (!s->name) {
        free(s);
        return FRUN_E_NOMEM;
    }
    *out = s;
    return FRUN_OK;
}

struct seat *seat_ref(struct seat *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void seat_unref(struct seat **s)
{
    struct seat *old = *s;
    *s = NULL;
    if (old && atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) == 1) {
        free(old->name);
        free(old);
    }
}

const char *seat_name(const struct seat *s)
{
    return s->name;
}

size_t seat_enter(struct seat *s)
{
    for (;;) {
        size_t best = 0;
        unsigned least = atomic_load(&s->tunnels[0]);
        for (size_t i = 1; i < s->n_workers; i++) {
            unsigned n = atomic_load(&s->tunnels[i]);
            if (n < least) {
                least = n;
                best = i;
            }
        }
        if (atomic_compare_exchange_strong(&s->tunnels[best], &least, least + 1)) {
            return best;
        }
    }
}

void seat_leave(struct seat *s, size_t worker)
{
    atomic_fetch_sub(&s->tunnels[worker], 1);
}

size_t seat_sum(const struct seat *s)
{
    size_t sum = 0;
    for (size_t i = 0; i < s->n_workers; i++) {
        sum += atomic_load(&s->tunnels[i]);
    }
    return sum;
}
