/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/recent.h"

#include "frun/admin/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Octets of a time as text. */
#define TIME_BYTES 40

struct admin_recent_entry *admin_recent_add(struct admin_recent *r)
{
    struct admin_recent_entry *e = &r->entries[r->next];
    r->next = (r->next + 1) % ADMIN_RECENT_MAX;
    r->n += r->n < ADMIN_RECENT_MAX;
    return e;
}

void admin_recent_text(char *to, size_t room, struct span text)
{
    size_t n = text.n < room - 1 ? text.n : room - 1;
    if (n) {
        memcpy(to, text.p, n);
    }
    to[n] = '\0';
}

size_t admin_recent_copy(const struct admin_recent *r, struct admin_recent_entry *out)
{
    for (size_t i = 0; i < r->n; i++) {
        out[i] = r->entries[(r->next + ADMIN_RECENT_MAX - 1 - i) % ADMIN_RECENT_MAX];
    }
    return r->n;
}

static int newest_first(const void *a, const void *b)
{
    const struct admin_recent_entry *x = a;
    const struct admin_recent_entry *y = b;
    return (x->ended_ms < y->ended_ms) - (x->ended_ms > y->ended_ms);
}

static void time_text(uint64_t ms, char out[TIME_BYTES])
{
    time_t s = (time_t)(ms / 1000);
    struct tm parts;
    size_t n = gmtime_r(&s, &parts) ? strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts) : 0;
    (void)snprintf(out + n, TIME_BYTES - n, ".%03uZ", (unsigned)(ms % 1000));
}

static void set_text(json_t **o, const char *key, const char *s)
{
    if (s && s[0]) {
        admin_json_set(o, key, admin_json_text(s));
    }
}

static json_t *entry_json(const struct admin_recent_entry *e)
{
    char at[TIME_BYTES];
    time_text(e->ended_ms, at);
    json_t *o =
        json_pack("{s:s, s:i, s:f, s:f, s:f, s:I, s:I}", "time", at, "status", (int)e->status, "ms",
                  (double)e->total_us / 1000.0, "wait_ms", (double)e->wait_us / 1000.0,
                  "upstream_ms", (double)e->upstream_us / 1000.0, "bytes_in",
                  (json_int_t)e->bytes_in, "bytes_out", (json_int_t)e->bytes_out);
    set_text(&o, "request_id", e->id);
    set_text(&o, "endpoint", e->endpoint);
    set_text(&o, "pusher", e->pusher);
    set_text(&o, "connector", e->connector);
    set_text(&o, "tunnel", e->tunnel);
    if (e->backend_us) {
        admin_json_set(&o, "backend_ms", json_real((double)e->backend_us / 1000.0));
    }
    set_text(&o, "method", e->method);
    set_text(&o, "path", e->path);
    set_text(&o, "route", e->route);
    set_text(&o, "by", e->by);
    set_text(&o, "error", e->error);
    return o;
}

struct json_t *admin_recent_json(struct admin_recent_entry *entries, size_t n)
{
    json_t *all = json_array();
    if (n) {
        qsort(entries, n, sizeof(*entries), newest_first);
    }
    for (size_t i = 0; all && i < n && i < ADMIN_RECENT_MAX; i++) {
        admin_json_append(&all, entry_json(&entries[i]));
    }
    return all;
}
