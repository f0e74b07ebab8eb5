/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/series.h"

#include "frun/admin/json.h"
#include "frun/base/list.h"
#include "frun/base/map.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** Milliseconds of a minute. */
#define MINUTE_MS 60000

/** Minutes of a step in the overview. */
#define STEP 10

/** What belongs to no name; real names hold no brackets. */
#define NOBODY "(none)"

/* One name. */
struct ring {
    char *name; /* NULL: everything together */
    struct meter_sum last;
    struct meter_sum now; /* while the table is read */
    struct series_point points[SERIES_MINUTES];
    uint64_t errors; /* of all points */
};

struct series {
    const struct meter *meter;
    struct loop *loop;
    struct deadline minute;
    struct map *by_name;
    struct ring *rings[SERIES_MAX_NAMES];
    size_t n;
    struct ring all;
    size_t next;     /* written next, in every ring */
    uint64_t last_s; /* when the table was last read, seconds since 1970 */
};

static struct ring *ring_new(struct series *s, struct span name)
{
    struct ring *r = s->n < SERIES_MAX_NAMES ? calloc(1, sizeof(*r)) : NULL;
    if (!r) {
        return NULL;
    }
    r->name = strndup(name.p, name.n);
    if (!r->name || map_put(s->by_name, span_of(r->name), r) != FRUN_OK) {
        free(r->name);
        free(r);
        return NULL;
    }
    s->rings[s->n++] = r;
    return r;
}

static void clear_now(struct series *s)
{
    s->all.now = (struct meter_sum){0};
    for (size_t i = 0; i < s->n; i++) {
        s->rings[i]->now = (struct meter_sum){0};
    }
}

static struct span shown(struct span name)
{
    return name.p ? name : SPAN_LIT(NOBODY);
}

static void on_row(void *ctx, struct span name, unsigned variant, const struct meter_sum *sum)
{
    struct series *s = ctx;
    struct ring *r = map_get(s->by_name, shown(name));
    (void)variant;
    r = r ? r : ring_new(s, shown(name));
    if (r) {
        meter_merge(&r->now, sum);
    }
    meter_merge(&s->all.now, sum);
}

/* What a sum has grown by. Each number only grows. */
static struct series_point point_of(const struct meter_sum *now, const struct meter_sum *last)
{
    struct series_point p = {0};
    uint64_t buckets[METER_BOUNDS + 1];
    for (size_t k = 0; k < METER_ORIGINS; k++) {
        p.errors += (uint32_t)(now->requests[0][k] - last->requests[0][k]) +
                    (uint32_t)(now->requests[5][k] - last->requests[5][k]);
        p.refused += (uint32_t)(now->requests[4][k] - last->requests[4][k]);
    }
    p.requests = (uint32_t)(now->all - last->all);
    for (size_t i = 0; i < METER_BOUNDS + 1; i++) {
        buckets[i] = now->total_buckets[i] - last->total_buckets[i];
    }
    if (p.requests) {
        p.mean_ms = (float)((double)(now->total_us - last->total_us) / 1000.0 / p.requests);
        p.p95_ms = (float)meter_quantile_ms(buckets, 950);
    }
    return p;
}

static void look(struct series *s)
{
    clear_now(s);
    meter_each(s->meter, on_row, s);
}

static void keep(struct series *s, struct ring *r)
{
    r->errors -= r->points[s->next].errors;
    r->points[s->next] = point_of(&r->now, &r->last);
    r->errors += r->points[s->next].errors;
    r->last = r->now;
}

void series_take(struct series *s, uint64_t now_s)
{
    look(s);
    for (size_t i = 0; i < s->n; i++) {
        keep(s, s->rings[i]);
    }
    keep(s, &s->all);
    s->next = (s->next + 1) % SERIES_MINUTES;
    s->last_s = now_s;
}

static void on_minute(struct deadline *d)
{
    struct series *s = list_entry(d, struct series, minute);
    series_take(s, (uint64_t)time(NULL));
    deadline_set(s->loop, d, MINUTE_MS);
}

frun_err series_new(const struct meter *m, struct series **out)
{
    struct series *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->meter = m;
    s->last_s = (uint64_t)time(NULL);
    deadline_init(&s->minute, on_minute);
    frun_err err = map_new(false, &s->by_name);
    if (err) {
        series_free(s);
        return err;
    }
    look(s);
    for (size_t i = 0; i < s->n; i++) {
        s->rings[i]->last = s->rings[i]->now;
    }
    s->all.last = s->all.now;
    *out = s;
    return FRUN_OK;
}

void series_free(struct series *s)
{
    if (!s) {
        return;
    }
    deadline_clear(&s->minute);
    map_free(s->by_name);
    for (size_t i = 0; i < s->n; i++) {
        free(s->rings[i]->name);
        free(s->rings[i]);
    }
    free(s);
}

void series_start(struct series *s, struct loop *l)
{
    s->loop = l;
    deadline_set(l, &s->minute, MINUTE_MS);
}

/* The ring in order of time: its oldest minute has given way to the present one. */
static void unroll(const struct series *s, const struct ring *r, struct series_point *out)
{
    for (size_t i = 0; i + 1 < SERIES_MINUTES; i++) {
        out[i] = r->points[(s->next + 1 + i) % SERIES_MINUTES];
    }
    out[SERIES_MINUTES - 1] = point_of(&r->now, &r->last);
}

frun_err series_read(struct series *s, struct span name, struct series_point *out)
{
    look(s);
    const struct ring *r = name.p ? map_get(s->by_name, name) : &s->all;
    if (!r) {
        return FRUN_E_NOT_FOUND;
    }
    unroll(s, r, out);
    return FRUN_OK;
}

static uint64_t errors_of(const struct meter_sum *sum)
{
    uint64_t n = 0;
    for (size_t k = 0; k < METER_ORIGINS; k++) {
        n += sum->requests[0][k] + sum->requests[5][k];
    }
    return n;
}

void series_errors(const struct series *s, struct span name, const struct meter_sum *now,
                   struct series_errors *out)
{
    const struct ring *r = map_get(s->by_name, name);
    *out = (struct series_errors){0};
    if (!r) {
        return;
    }
    uint64_t present = errors_of(now) - errors_of(&r->last);
    for (size_t i = 1; i < SERIES_LATE_MINUTES; i++) {
        out->late += r->points[(s->next + SERIES_MINUTES - i) % SERIES_MINUTES].errors;
    }
    out->late += present;
    out->all = r->errors + present;
}

/* -- as JSON
 * ---------------------------------------------------------------------------------------------------
 */

/* Several minutes in one point: times are weighted by their requests; of the quantiles the worst is
 * told. */
static struct series_point gather(const struct series_point *p, size_t n)
{
    struct series_point sum = {0};
    double ms = 0;
    for (size_t i = 0; i < n; i++) {
        sum.requests += p[i].requests;
        sum.errors += p[i].errors;
        sum.refused += p[i].refused;
        ms += (double)p[i].mean_ms * p[i].requests;
        sum.p95_ms = p[i].p95_ms > sum.p95_ms ? p[i].p95_ms : sum.p95_ms;
    }
    sum.mean_ms = sum.requests ? (float)(ms / sum.requests) : 0.0F;
    return sum;
}

/* Three digits are enough for a chart. */
static json_t *rounded(float ms)
{
    double scale = ms < 10.0F ? 100.0 : 1.0;
    double whole = (double)(int64_t)((double)ms * scale + 0.5);
    return json_real(whole / scale);
}

static json_t *points_json(const struct series_point *p, size_t step)
{
    json_t *requests = json_array();
    json_t *errors = json_array();
    json_t *refused = json_array();
    json_t *mean = json_array();
    json_t *p95 = json_array();
    for (size_t i = 0; i < SERIES_MINUTES; i += step) {
        struct series_point x = gather(p + i, step);
        (void)json_array_append_new(requests, json_integer(x.requests));
        (void)json_array_append_new(errors, json_integer(x.errors));
        (void)json_array_append_new(refused, json_integer(x.refused));
        (void)json_array_append_new(mean, rounded(x.mean_ms));
        (void)json_array_append_new(p95, rounded(x.p95_ms));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "requests", requests, "errors", errors, "refused",
                     refused, "mean_ms", mean, "p95_ms", p95);
}

static json_t *ring_json(const struct series *s, const struct ring *r, size_t step)
{
    struct series_point points[SERIES_MINUTES];
    unroll(s, r, points);
    json_t *o = points_json(points, step);
    if (o && r->name) {
        (void)json_object_set_new(o, "name", admin_json_text(r->name));
    }
    return o;
}

static json_t *frame(const struct series *s, size_t step)
{
    return json_pack("{s:I, s:I}", "step_seconds", (json_int_t)step * 60, "minute_began",
                     (json_int_t)s->last_s);
}

/* Those that are asked for; whoever asks for an empty name wants none. */
static json_t *some_json(const struct series *s, struct admin_request *r)
{
    json_t *list = json_array();
    struct span name;
    for (size_t i = 0; (name = admin_request_query_at(r, "name", i)).p; i++) {
        const struct ring *ring = name.n ? map_get(s->by_name, name) : NULL;
        if (ring) {
            admin_json_append(&list, ring_json(s, ring, STEP));
        }
    }
    return list;
}

static json_t *each_json(const struct series *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++) {
        admin_json_append(&list, ring_json(s, s->rings[i], STEP));
    }
    return list;
}

static void get_all(void *ctx, struct admin_request *r)
{
    struct series *s = ctx;
    bool is_chosen = admin_request_query(r, "name").p != NULL;
    json_t *o = frame(s, STEP);
    look(s);
    if (admin_request_query(r, "name").n == 0) {
        admin_json_set(&o, "all", ring_json(s, &s->all, 1));
    }
    admin_json_set(&o, "series", is_chosen ? some_json(s, r) : each_json(s));
    admin_json_answer(r, o);
}

static void get_one(void *ctx, struct admin_request *r)
{
    struct series *s = ctx;
    struct span name = admin_request_param(r, 0);
    look(s);
    const struct ring *ring = map_get(s->by_name, name);
    json_t *o = ring ? frame(s, 1) : NULL;
    if (!ring) {
        admin_request_fail(r, 404, "nothing was counted for \"%.*s\" yet", SPAN_FMT(name));
        return;
    }
    if (o) {
        json_t *points = ring_json(s, ring, 1);
        (void)json_object_update(o, points);
        json_decref(points);
    }
    admin_json_answer(r, o);
}

static const struct admin_route routes[] = {
    {"GET", "/api/v1/series", false, get_all},
    {"GET", "/api/v1/series/{name}", false, get_one},
};

frun_err series_serve(struct series *s, struct admin_server *server)
{
    return admin_server_add(server, routes, sizeof(routes) / sizeof(routes[0]), s);
}
