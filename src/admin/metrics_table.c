/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_int.h"

/** Rows of one piece: two histograms of a row are about six thousand octets. */
#define ROWS 8

/** Cursors of one family. */
#define FAMILY_SPAN ((size_t)1 << 20)

_Static_assert(((size_t)METER_MAX_SUBJECTS + 2) * METER_VARIANTS < FAMILY_SPAN, "cursors overlap");

static const char *const class_names[METER_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

/* A row's labels; the first `n` are the same in all of its lines. */
struct line {
    struct admin_metrics *m;
    const struct admin_metrics_table *t;
    struct admin_label labels[ADMIN_METRICS_LABELS];
    size_t n;
};

static const char *origin_name(const struct admin_metrics_table *t, size_t origin)
{
    static const char *const names[METER_ORIGINS] = {"none", "focused-run", "connector",
                                                     "sap-connectivity", NULL};
    return names[origin] ? names[origin] : t->own;
}

static void tell_requests(struct line *x, const struct meter_sum *sum)
{
    for (size_t i = 0; i < METER_CLASSES; i++) {
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            if (sum->requests[i][k]) {
                x->labels[x->n] = (struct admin_label){"code", span_of(class_names[i])};
                x->labels[x->n + 1] = (struct admin_label){"origin", span_of(origin_name(x->t, k))};
                admin_metrics_value(x->m, x->labels, x->n + 2, (double)sum->requests[i][k]);
            }
        }
    }
}

static void tell_denials(struct line *x, const struct meter_sum *sum)
{
    for (enum meter_denial i = METER_DENIAL_NONE; i < METER_DENIALS; i++) {
        if (sum->denials[i]) {
            x->labels[x->n] = (struct admin_label){"reason", span_of(meter_denial_word(i))};
            admin_metrics_value(x->m, x->labels, x->n + 1, (double)sum->denials[i]);
        }
    }
}

static void tell_denied(struct line *x, const struct meter_sum *sum)
{
    admin_metrics_value(x->m, x->labels, x->n, (double)sum->denials[METER_DENIAL_FORBIDDEN]);
}

static void tell_duration(struct line *x, const struct meter_sum *sum)
{
    admin_metrics_histogram(x->m, x->labels, x->n, sum->total_buckets, sum->total_us);
}

/* What was refused at the door, or never was anybody's, went nowhere: two dozen lines less. */
static void tell_upstream(struct line *x, const struct meter_sum *sum)
{
    uint64_t all = 0;
    for (size_t i = 0; i <= METER_BOUNDS; i++) {
        all += sum->upstream_buckets[i];
    }
    if (all) {
        admin_metrics_histogram(x->m, x->labels, x->n, sum->upstream_buckets, sum->upstream_us);
    }
}

static void tell_if(struct line *x, uint64_t n)
{
    if (n) {
        admin_metrics_value(x->m, x->labels, x->n, (double)n);
    }
}

static void tell_in(struct line *x, const struct meter_sum *sum)
{
    tell_if(x, sum->bytes_in);
}

static void tell_out(struct line *x, const struct meter_sum *sum)
{
    tell_if(x, sum->bytes_out);
}

static void tell_repeats(struct line *x, const struct meter_sum *sum)
{
    tell_if(x, sum->repeats);
}

/* What belongs to one family stands together in the text, so the rows are told once for each. */
static const struct {
    unsigned bit;
    const char *name;
    const char *type;
    const char *unit;
    const char *help;
    void (*tell)(struct line *x, const struct meter_sum *sum);
} families[] = {
    {ADMIN_METRICS_REQUESTS, "requests", "counter", "",
     "Ended requests by status class and who answered.", tell_requests},
    {ADMIN_METRICS_DENIALS, "denials", "counter", "",
     "Requests that did not come to Focused Run, by reason.", tell_denials},
    {ADMIN_METRICS_DENIED, "access_denied", "counter", "", "Requests that access control refused.",
     tell_denied},
    {ADMIN_METRICS_DURATION, "request_duration_seconds", "histogram", "seconds",
     "Head received to answer handed over.", tell_duration},
    {ADMIN_METRICS_UPSTREAM, "upstream_duration_seconds", "histogram", "seconds",
     "Request sent on to head of the answer.", tell_upstream},
    {ADMIN_METRICS_BYTES, "request_body_bytes", "counter", "bytes", "Octets of request bodies.",
     tell_in},
    {ADMIN_METRICS_BYTES, "answer_body_bytes", "counter", "bytes", "Octets of answer bodies.",
     tell_out},
    {ADMIN_METRICS_REPEATS, "repeats", "counter", "", "Times a request was sent on again.",
     tell_repeats},
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

/* Real names hold no brackets: these two cannot be taken for one. */
static struct span shown_name(struct span name)
{
    return !name.p ? SPAN_LIT("(none)") : name.n ? name : SPAN_LIT("(other)");
}

static bool is_shown(const struct admin_metrics_table *t, struct span name)
{
    return name.n == 0 || !t->is_shown || t->is_shown(t->ctx, name);
}

static void tell_row(struct admin_metrics *m, const struct admin_metrics_table *t, size_t family,
                     const struct meter_row *row)
{
    struct meter_sum sum;
    struct line x = {.m = m, .t = t, .labels = {{t->subject, shown_name(row->name)}}, .n = 1};
    if (t->route) {
        x.labels[x.n++] = (struct admin_label){"route", span_of(t->route(row->variant))};
    }
    meter_read(t->meter, row, &sum);
    families[family].tell(&x, &sum);
}

/* Some rows of a family; false: it is complete. */
static bool tell_rows(struct admin_metrics *m, const struct admin_metrics_table *t, size_t family,
                      size_t *at)
{
    struct meter_row row;
    for (int i = 0; i < ROWS; i++) {
        if (!meter_next(t->meter, at, &row)) {
            return false;
        }
        if (is_shown(t, row.name)) {
            tell_row(m, t, family, &row);
        }
    }
    return true;
}

bool admin_metrics_table(struct admin_metrics *m, const struct admin_metrics_table *t, size_t *at)
{
    size_t family = *at / FAMILY_SPAN;
    size_t row = *at % FAMILY_SPAN;
    while (family < FAMILIES && !(families[family].bit & t->families)) {
        family++;
    }
    if (family == FAMILIES) {
        return false;
    }
    if (row == 0) {
        admin_metrics_family(m, families[family].name, families[family].type, families[family].unit,
                             families[family].help);
    }
    bool is_more = tell_rows(m, t, family, &row);
    *at = is_more ? family * FAMILY_SPAN + row : (family + 1) * FAMILY_SPAN;
    return true;
}
