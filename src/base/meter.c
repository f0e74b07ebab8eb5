/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/meter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Two more subjects: none, and all that are above the ceiling. */
#define SUBJECTS (METER_MAX_SUBJECTS + 2u)
#define REST     (METER_MAX_SUBJECTS + 1u)

/* Every worker reads it for every request; whoever made it writes beside it. */
struct row {
    _Alignas(64) char *name; /* NULL: of nobody */
    unsigned subject;        /* which it was made for; others of the same name lead here too */
    struct meter_cells *cells;
};

struct meter {
    size_t workers;
    pthread_mutex_t lock; /* whoever makes a row */
    _Atomic(struct row *) rows[SUBJECTS][METER_VARIANTS];
};

static const unsigned bounds_ms[METER_BOUNDS] = {10,   20,   30,   40,   50,   75,  100,  125,
                                                 150,  200,  300,  400,  500,  750, 1000, 1250,
                                                 1500, 2000, 2500, 3000, 4000, 5000};

unsigned meter_bound_ms(size_t i)
{
    return bounds_ms[i];
}

frun_err meter_new(size_t workers, struct meter **out)
{
    /* Untouched pages of the pointers cost nothing. */
    struct meter *m = calloc(1, sizeof(*m));
    if (!m) {
        return FRUN_E_NOMEM;
    }
    m->workers = workers;
    (void)pthread_mutex_init(&m->lock, NULL); /* of the plain kind: never fails */
    *out = m;
    return FRUN_OK;
}

static void row_free(struct row *r)
{
    if (r) {
        free(r->name);
        free(r->cells);
        free(r);
    }
}

void meter_free(struct meter *m)
{
    if (!m) {
        return;
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        for (unsigned k = 0; k < METER_VARIANTS; k++) {
            struct row *r = atomic_load(&m->rows[i][k]);
            if (r && r->subject != i) {
                atomic_store(&m->rows[i][k], NULL); /* another subject's, before it goes */
            }
        }
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        for (unsigned k = 0; k < METER_VARIANTS; k++) {
            row_free(atomic_load(&m->rows[i][k]));
        }
    }
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

static struct row *row_new(const struct meter *m, unsigned subject, struct span name)
{
    struct row *r = aligned_alloc(_Alignof(struct row), sizeof(*r));
    size_t bytes = m->workers * sizeof(struct meter_cells);
    if (!r) {
        return NULL;
    }
    memset(r, 0, sizeof(*r));
    r->cells = aligned_alloc(_Alignof(struct meter_cells), bytes);
    r->name = subject == METER_NOBODY ? NULL
              : subject == REST       ? strdup("")
                                      : strndup(name.p ? name.p : "", name.n);
    if (!r->cells || (!r->name && subject != METER_NOBODY)) {
        row_free(r);
        return NULL;
    }
    memset(r->cells, 0, bytes);
    r->subject = subject;
    return r;
}

/* A row of the same name. Two of them would be the same line of the metrics twice, for which
 * monitoring refuses the whole text. */
static struct row *namesake(const struct meter *m, unsigned variant, struct span name)
{
    for (unsigned i = 0; name.p && i < METER_MAX_SUBJECTS; i++) {
        struct row *r = atomic_load_explicit(&m->rows[i][variant], memory_order_relaxed);
        if (r && span_eq(span_of(r->name), name)) {
            return r;
        }
    }
    return NULL;
}

/* The first worker that counts makes the row, once for each subject and variant. */
static struct row *make(struct meter *m, unsigned subject, unsigned variant, struct span name)
{
    (void)pthread_mutex_lock(&m->lock);
    struct row *r = atomic_load_explicit(&m->rows[subject][variant], memory_order_relaxed);
    if (!r && subject < METER_MAX_SUBJECTS) {
        r = namesake(m, variant, name);
    }
    if (!r) {
        r = row_new(m, subject, name);
    }
    atomic_store_explicit(&m->rows[subject][variant], r, memory_order_release);
    (void)pthread_mutex_unlock(&m->lock);
    return r;
}

static void observe(struct meter_histogram *h, uint64_t us)
{
    size_t i = 0;
    if (us > (uint64_t)bounds_ms[0] * 1000) { /* most are not */
        i = us > (uint64_t)bounds_ms[10] * 1000 ? 11 : 1;
        while (i < METER_BOUNDS && us > (uint64_t)bounds_ms[i] * 1000) {
            i++;
        }
    }
    meter_add(&h->buckets[i], 1);
    meter_add(&h->sum_us, us);
}

enum meter_denial meter_denial_of(unsigned status, enum meter_origin origin)
{
    if (origin != METER_ORIGIN_OWN || status < 400) {
        return METER_DENIAL_NONE;
    }
    switch (status) {
    case 401:
        return METER_DENIAL_CREDENTIALS;
    case 403:
        return METER_DENIAL_FORBIDDEN;
    case 404:
    case 405:
        return METER_DENIAL_NOT_FOUND;
    case 413:
    case 414:
    case 431:
        return METER_DENIAL_TOO_LARGE;
    case 429:
        return METER_DENIAL_RATE;
    case 500:
    case 502:
    case 504:
        return METER_DENIAL_FAILED;
    case 503:
        return METER_DENIAL_UNAVAILABLE;
    default:
        return METER_DENIAL_MALFORMED;
    }
}

const char *meter_denial_word(enum meter_denial reason)
{
    static const char *const words[METER_DENIALS] = {
        [METER_DENIAL_NONE] = "none",
        [METER_DENIAL_MALFORMED] = "malformed",
        [METER_DENIAL_CREDENTIALS] = "credentials",
        [METER_DENIAL_FORBIDDEN] = "forbidden",
        [METER_DENIAL_NOT_FOUND] = "not_found",
        [METER_DENIAL_TOO_LARGE] = "too_large",
        [METER_DENIAL_RATE] = "rate",
        [METER_DENIAL_FAILED] = "failed",
        [METER_DENIAL_UNAVAILABLE] = "unavailable",
        [METER_DENIAL_ACCESS_DENIED] = "access_denied",
        [METER_DENIAL_NO_TUNNEL] = "no_tunnel",
        [METER_DENIAL_ACCESS_DENIED_SYSTEM] = "access_denied_system",
        [METER_DENIAL_ACCESS_DENIED_RESOURCE] = "access_denied_resource",
        [METER_DENIAL_PROXY_AUTH] = "proxy_auth",
        [METER_DENIAL_BACKEND_UNREACHABLE] = "backend_unreachable",
        [METER_DENIAL_AFFINITY] = "affinity",
        [METER_DENIAL_HTTPS_NOT_ALLOWED] = "https_not_allowed",
        [METER_DENIAL_NO_SOCKS] = "no_socks5",
    };
    return words[reason];
}

void meter_request(struct meter *m, size_t worker, unsigned subject, unsigned variant,
                   struct span name, const struct meter_event *e)
{
    unsigned at = subject < REST ? subject : REST;
    struct row *r = atomic_load_explicit(&m->rows[at][variant], memory_order_acquire);
    if (!r && !(r = make(m, at, variant, name))) {
        return;
    }
    struct meter_cells *c = &r->cells[worker];
    unsigned class = e->status / 100;
    meter_add(&c->requests[class < METER_CLASSES ? class : 0][e->origin], 1);
    observe(&c->total, e->total_us);
    if (e->upstream_us) {
        observe(&c->upstream, e->upstream_us);
    }
    meter_add(&c->bytes_in, e->bytes_in);
    meter_add(&c->bytes_out, e->bytes_out);
    if (e->repeats) {
        meter_add(&c->repeats, e->repeats);
    }
    if (e->denial != METER_DENIAL_NONE) {
        meter_add(&c->denials[e->denial], 1);
    }
}

static void add_histogram(uint64_t *buckets, uint64_t *sum_us, const struct meter_histogram *h)
{
    for (size_t i = 0; i <= METER_BOUNDS; i++) {
        buckets[i] += meter_get(&h->buckets[i]);
    }
    *sum_us += meter_get(&h->sum_us);
}

static void add_cells(struct meter_sum *to, const struct meter_cells *c)
{
    for (size_t i = 0; i < METER_CLASSES; i++) {
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            uint64_t n = meter_get(&c->requests[i][k]);
            to->requests[i][k] += n;
            to->all += n;
        }
    }
    for (size_t i = 0; i < METER_DENIALS; i++) {
        to->denials[i] += meter_get(&c->denials[i]);
    }
    add_histogram(to->total_buckets, &to->total_us, &c->total);
    add_histogram(to->upstream_buckets, &to->upstream_us, &c->upstream);
    to->bytes_in += meter_get(&c->bytes_in);
    to->bytes_out += meter_get(&c->bytes_out);
    to->repeats += meter_get(&c->repeats);
}

static void add_row(const struct meter *m, unsigned subject, unsigned variant,
                    struct meter_sum *out)
{
    const struct row *r = atomic_load_explicit(&m->rows[subject][variant], memory_order_acquire);
    for (size_t w = 0; r && w < m->workers; w++) {
        add_cells(out, &r->cells[w]);
    }
}

bool meter_next(const struct meter *m, size_t *at, struct meter_row *out)
{
    while (*at < (size_t)SUBJECTS * METER_VARIANTS) {
        unsigned subject = (unsigned)(*at / METER_VARIANTS);
        unsigned variant = (unsigned)(*at % METER_VARIANTS);
        const struct row *r =
            atomic_load_explicit(&m->rows[subject][variant], memory_order_acquire);
        ++*at;
        if (r && r->subject == subject) {
            *out = (struct meter_row){span_of(r->name), variant, subject};
            return true;
        }
    }
    return false;
}

void meter_read(const struct meter *m, const struct meter_row *row, struct meter_sum *out)
{
    *out = (struct meter_sum){0};
    add_row(m, row->subject, row->variant, out);
}

void meter_each(const struct meter *m, meter_row_fn fn, void *ctx)
{
    struct meter_row row;
    struct meter_sum sum;
    for (size_t at = 0; meter_next(m, &at, &row);) {
        meter_read(m, &row, &sum);
        fn(ctx, row.name, row.variant, &sum);
    }
}

void meter_of(const struct meter *m, unsigned subject, struct meter_sum *out)
{
    *out = (struct meter_sum){0};
    for (unsigned k = 0; k < METER_VARIANTS; k++) {
        add_row(m, subject < REST ? subject : REST, k, out);
    }
}

void meter_merge(struct meter_sum *to, const struct meter_sum *from)
{
    for (size_t i = 0; i < METER_CLASSES; i++) {
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            to->requests[i][k] += from->requests[i][k];
        }
    }
    for (size_t i = 0; i < METER_DENIALS; i++) {
        to->denials[i] += from->denials[i];
    }
    for (size_t i = 0; i <= METER_BOUNDS; i++) {
        to->total_buckets[i] += from->total_buckets[i];
        to->upstream_buckets[i] += from->upstream_buckets[i];
    }
    to->total_us += from->total_us;
    to->upstream_us += from->upstream_us;
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
    to->repeats += from->repeats;
    to->all += from->all;
}

double meter_quantile_ms(const uint64_t *buckets, unsigned permille)
{
    uint64_t all = 0;
    uint64_t seen = 0;
    for (size_t i = 0; i <= METER_BOUNDS; i++) {
        all += buckets[i];
    }
    double wanted = (double)all * permille / 1000.0;
    for (size_t i = 0; all && i < METER_BOUNDS; i++) {
        if (buckets[i] && (double)(seen + buckets[i]) >= wanted) {
            double low = i ? bounds_ms[i - 1] : 0;
            double part = (wanted - (double)seen) / (double)buckets[i];
            return low + (bounds_ms[i] - low) * part;
        }
        seen += buckets[i];
    }
    return all ? bounds_ms[METER_BOUNDS - 1] : 0;
}
