/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/seat.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seat {
    atomic_uint refs;
    atomic_uint numbers; /* given to tunnels */
    char *name;
    size_t n_workers;
    pthread_mutex_t lock; /* guards news; taken when a tunnel comes or goes */
    struct seat_news news;
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
    (void)pthread_mutex_init(&s->lock, NULL); /* of the plain kind: never fails */
    mono_wall_text(s->news.since);
    s->name = strdup(name);
    if (!s->name) {
        (void)pthread_mutex_destroy(&s->lock);
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
        (void)pthread_mutex_destroy(&old->lock);
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

void seat_move(struct seat *s, size_t from, size_t to)
{
    atomic_fetch_add(&s->tunnels[to], 1);
    atomic_fetch_sub(&s->tunnels[from], 1);
}

unsigned seat_next_number(struct seat *s)
{
    return atomic_fetch_add(&s->numbers, 1) + 1;
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

void seat_opened(struct seat *s, int64_t until_s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->news.was_here = true;
    s->news.until_s = until_s;
    (void)pthread_mutex_unlock(&s->lock);
}

static void keep(struct seat *s, const char *word, const char *why)
{
    (void)snprintf(s->news.last, sizeof(s->news.last), "%s%s", word, why);
    mono_wall_text(s->news.last_at);
}

void seat_ended(struct seat *s, const char *why)
{
    (void)pthread_mutex_lock(&s->lock);
    keep(s, "", why);
    memcpy(s->news.since, s->news.last_at, sizeof(s->news.since));
    (void)pthread_mutex_unlock(&s->lock);
}

void seat_refused(struct seat *s, const char *why)
{
    (void)pthread_mutex_lock(&s->lock);
    keep(s, "refused: ", why);
    (void)pthread_mutex_unlock(&s->lock);
}

void seat_read(struct seat *s, struct seat_news *out)
{
    (void)pthread_mutex_lock(&s->lock);
    *out = s->news;
    (void)pthread_mutex_unlock(&s->lock);
}
