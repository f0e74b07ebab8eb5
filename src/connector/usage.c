/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/usage.h"

#include "frun/base/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Octets of the three names and what parts them. */
#define KEY_BYTES 1024

/** Rows that are found without a look into the map; a power of two. */
#define NEAR 64

struct row {
    struct usage_row is;
    char key[]; /* subaccount, system, resource, each with its NUL */
};

struct usage {
    struct map *rows;
    struct row *all[USAGE_MAX_ROWS];
    size_t n;
    struct row *near[NEAR]; /* by the addresses of the names, checked by the names */
    struct usage_top top[USAGE_TOP];
    size_t n_top;
};

frun_err usage_new(struct usage **out)
{
    struct usage *u = calloc(1, sizeof(*u));
    frun_err err = u ? map_new(false, &u->rows) : FRUN_E_NOMEM;
    if (err) {
        free(u);
        return err;
    }
    *out = u;
    return FRUN_OK;
}

void usage_free(struct usage *u)
{
    if (!u) {
        return;
    }
    for (size_t i = 0; i < u->n; i++) {
        free(u->all[i]);
    }
    map_free(u->rows);
    free(u);
}

/* All three names in a row; 0: they are too long. */
static size_t make_key(char out[KEY_BYTES], const char *subaccount, const char *system,
                       const char *resource)
{
    int n =
        snprintf(out, KEY_BYTES, "%s%c%s%c%s", subaccount, 0, system, 0, resource ? resource : "");
    return n > 0 && n < KEY_BYTES ? (size_t)n + 1 : 0;
}

static bool is_row(const struct row *r, const char *subaccount, const char *system,
                   const char *resource)
{
    return r && strcmp(r->is.system, system) == 0 && strcmp(r->is.subaccount, subaccount) == 0 &&
           (resource ? r->is.resource && strcmp(r->is.resource, resource) == 0 : !r->is.resource);
}

static struct row *row_new(struct usage *u, const char *key, size_t n, bool has_resource)
{
    struct row *r = u->n < USAGE_MAX_ROWS ? calloc(1, sizeof(*r) + n) : NULL;
    if (!r) {
        return NULL;
    }
    memcpy(r->key, key, n);
    r->is.subaccount = r->key;
    r->is.system = r->key + strlen(r->key) + 1;
    r->is.resource = has_resource ? r->is.system + strlen(r->is.system) + 1 : NULL;
    if (map_put(u->rows, span_make(r->key, n), r) != FRUN_OK) {
        free(r);
        return NULL;
    }
    u->all[u->n++] = r;
    return r;
}

static struct row *row_of(struct usage *u, const char *subaccount, const char *system,
                          const char *resource)
{
    uintptr_t mix = (uintptr_t)subaccount * 31 + (uintptr_t)(resource ? resource : system);
    struct row **at = &u->near[(mix >> 4 ^ mix >> 10) % NEAR];
    char key[KEY_BYTES];
    if (is_row(*at, subaccount, system, resource)) {
        return *at;
    }
    size_t n = make_key(key, subaccount, system, resource);
    struct row *r = n ? map_get(u->rows, span_make(key, n)) : NULL;
    if (!r && n) {
        r = row_new(u, key, n, resource != NULL);
    }
    *at = r ? r : *at;
    return r;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void add(struct usage_row *r, const struct usage_event *e, uint64_t ended_ms)
{
    r->calls++;
    r->bytes_in += e->bytes_in;
    r->bytes_out += e->bytes_out;
    r->last_ms = ended_ms;
}

static void cut(char out[USAGE_TEXT_BYTES], struct span text)
{
    (void)snprintf(out, USAGE_TEXT_BYTES, "%.*s", SPAN_FMT(text));
}

/* The list is sorted, the longest first. */
static void keep_top(struct usage *u, const struct usage_event *e, uint64_t ended_ms)
{
    if (u->n_top == USAGE_TOP && e->total_us <= u->top[USAGE_TOP - 1].total_us) {
        return;
    }
    size_t i = u->n_top < USAGE_TOP ? u->n_top++ : USAGE_TOP - 1;
    for (; i > 0 && u->top[i - 1].total_us < e->total_us; i--) {
        u->top[i] = u->top[i - 1];
    }
    struct usage_top *t = &u->top[i];
    *t = (struct usage_top){.began_ms = ended_ms - e->total_us / 1000,
                            .total_us = e->total_us,
                            .upstream_us = e->upstream_us,
                            .bytes_in = e->bytes_in,
                            .bytes_out = e->bytes_out};
    cut(t->subaccount, span_of(e->subaccount));
    cut(t->system, span_of(e->system));
    cut(t->path, e->path);
    cut(t->id, e->id);
}

void usage_count(struct usage *u, const struct usage_event *e)
{
    struct row *system =
        e->system && e->subaccount ? row_of(u, e->subaccount, e->system, NULL) : NULL;
    if (!system) {
        return;
    }
    if (e->is_denied) {
        system->is.denied++;
        return;
    }
    uint64_t ended_ms = now_ms();
    size_t i = 0;
    while (i < METER_BOUNDS && e->total_us > (uint64_t)meter_bound_ms(i) * 1000) {
        i++;
    }
    system->is.buckets[i]++;
    add(&system->is, e, ended_ms);
    struct row *resource = e->resource ? row_of(u, e->subaccount, e->system, e->resource) : NULL;
    if (resource) {
        add(&resource->is, e, ended_ms);
    }
    keep_top(u, e, ended_ms);
}

const struct usage_row *usage_find(const struct usage *u, const char *subaccount,
                                   const char *system, const char *resource)
{
    char key[KEY_BYTES];
    size_t n = make_key(key, subaccount, system, resource);
    const struct row *r = n ? map_get(u->rows, span_make(key, n)) : NULL;
    return r ? &r->is : NULL;
}

size_t usage_longest(const struct usage *u, struct usage_top *out)
{
    memcpy(out, u->top, u->n_top * sizeof(*out));
    return u->n_top;
}
