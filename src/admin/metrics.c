/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/metrics.h"

#include "frun/base/log.h"
#include "metrics_int.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OPEN_TYPE  "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PLAIN_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** Octets of a number. */
#define NUMBER_BYTES 40

static void put(struct admin_metrics *m, struct span s)
{
    m->is_failed |= buf_put(&m->out, s) != FRUN_OK;
}

static void put_text(struct admin_metrics *m, const char *s)
{
    put(m, span_of(s));
}

void admin_metrics_begin(struct admin_metrics *m, const char *prefix, const struct admin_request *r)
{
    const struct field *accept = head_find(admin_request_head(r), SPAN_LIT("Accept"));
    struct span rest = accept ? accept->value : (struct span){0};
    struct span part;
    *m = (struct admin_metrics){.prefix = prefix};
    buf_init(&m->out, ADMIN_MAX_ANSWER_BYTES);
    buf_init(&m->labels, ADMIN_MAX_ANSWER_BYTES);
    while (span_split(&rest, ',', &part)) {
        m->is_open |= span_starts_nocase(span_trim(part), SPAN_LIT("application/openmetrics-text"));
    }
    for (size_t i = 0; i < METER_BOUNDS; i++) {
        unsigned ms = meter_bound_ms(i);
        /* OpenMetrics wants a float: 1.0, not 1. */
        (void)snprintf(m->bounds[i], sizeof(m->bounds[i]), ms % 1000 ? "%g" : "%.1f", ms / 1000.0);
    }
}

const char *admin_metrics_type(const struct admin_metrics *m)
{
    return m->is_open ? OPEN_TYPE : PLAIN_TYPE;
}

void admin_metrics_end(struct admin_metrics *m)
{
    if (m->is_open) {
        put_text(m, "# EOF\n");
    }
}

void admin_metrics_done(struct admin_metrics *m)
{
    buf_done(&m->out);
    buf_done(&m->labels);
}

static bool is_type(const struct admin_metrics *m, const char *type)
{
    return strcmp(m->type, type) == 0;
}

/* The suffix of a family's samples, which in Prometheus' format is part of the family's name. */
static const char *suffix(const struct admin_metrics *m)
{
    return is_type(m, "counter") ? "_total" : is_type(m, "info") ? "_info" : "";
}

static void put_comment(struct admin_metrics *m, const char *word, const char *text)
{
    put_text(m, "# ");
    put_text(m, word);
    put_text(m, " ");
    put_text(m, m->prefix);
    put_text(m, m->name);
    put_text(m, m->is_open ? "" : suffix(m));
    put_text(m, " ");
    put_text(m, text);
    put_text(m, "\n");
}

void admin_metrics_family(struct admin_metrics *m, const char *name, const char *type,
                          const char *unit, const char *help)
{
    m->name = name;
    m->type = type;
    put_comment(m, "TYPE", !m->is_open && is_type(m, "info") ? "gauge" : type);
    if (m->is_open && *unit) {
        put_comment(m, "UNIT", unit);
    }
    put_comment(m, "HELP", help);
}

static bool is_plain(char c)
{
    return (unsigned char)c < 0x80 && c != '\n' && c != '"' && c != '\\';
}

/* A name may hold anything; what is no UTF-8 would spoil the whole text. */
static void put_label(struct admin_metrics *m, struct buf *to, struct span value)
{
    size_t i = 0;
    while (i < value.n) {
        size_t from = i;
        while (i < value.n && is_plain(value.p[i])) {
            i++;
        }
        m->is_failed |= buf_put(to, span_make(value.p + from, i - from)) != FRUN_OK;
        if (i < value.n) {
            char c = value.p[i++];
            struct span escaped = c == '\n'   ? SPAN_LIT("\\n")
                                  : c == '"'  ? SPAN_LIT("\\\"")
                                  : c == '\\' ? SPAN_LIT("\\\\")
                                              : SPAN_LIT("?");
            m->is_failed |= buf_put(to, escaped) != FRUN_OK;
        }
    }
}

/* a="x",b="y" */
static void put_labels(struct admin_metrics *m, struct buf *to, const struct admin_label *labels,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        m->is_failed |= buf_printf(to, "%s%s=\"", i ? "," : "", labels[i].name) != FRUN_OK;
        put_label(m, to, labels[i].value);
        m->is_failed |= buf_put(to, SPAN_LIT("\"")) != FRUN_OK;
    }
}

/* Nearly all numbers are counts: printf() takes several times as long for them. */
static void put_number(struct admin_metrics *m, double v)
{
    char text[NUMBER_BYTES];
    if (v >= 0 && v < 1e15 && v == (double)(uint64_t)v) {
        uint64_t n = (uint64_t)v;
        char *p = text + sizeof(text);
        *--p = '\n';
        do {
            *--p = (char)('0' + n % 10);
            n /= 10;
        } while (n);
        put(m, span_make(p, (size_t)(text + sizeof(text) - p)));
        return;
    }
    (void)snprintf(text, sizeof(text), "%.15g\n", v);
    put_text(m, text);
}

void admin_metrics_value(struct admin_metrics *m, const struct admin_label *labels, size_t n,
                         double value)
{
    put_text(m, m->prefix);
    put_text(m, m->name);
    put_text(m, suffix(m));
    if (n) {
        put_text(m, "{");
        put_labels(m, &m->out, labels, n);
        put_text(m, "}");
    }
    put_text(m, " ");
    put_number(m, value);
}

/* name_end{labels,le="..."} value; the labels have been written once for all lines. */
static void put_line(struct admin_metrics *m, const char *end, const char *le, double value)
{
    struct span labels = buf_span(&m->labels);
    put_text(m, m->prefix);
    put_text(m, m->name);
    put_text(m, end);
    if (labels.n || le) {
        put_text(m, "{");
        put(m, labels);
        if (le) {
            put_text(m, labels.n ? ",le=\"" : "le=\"");
            put_text(m, le);
            put_text(m, "\"");
        }
        put_text(m, "}");
    }
    put_text(m, " ");
    put_number(m, value);
}

void admin_metrics_histogram(struct admin_metrics *m, const struct admin_label *labels, size_t n,
                             const uint64_t *buckets, uint64_t sum_us)
{
    uint64_t seen = 0;
    put_labels(m, &m->labels, labels, n);
    for (size_t i = 0; i <= METER_BOUNDS; i++) {
        seen += buckets[i];
        put_line(m, "_bucket", i < METER_BOUNDS ? m->bounds[i] : "+Inf", (double)seen);
    }
    put_line(m, "_sum", NULL, (double)sum_us / 1e6);
    put_line(m, "_count", NULL, (double)seen);
    buf_consume(&m->labels, buf_len(&m->labels));
}

static double pool_value(const struct offload_view *v, size_t which)
{
    const double all[] = {(double)v->threads,        (double)v->busy, (double)v->queued,
                          (double)v->max_queued,     (double)v->jobs, (double)v->refused,
                          (double)v->waited_us / 1e6};
    return all[which];
}

void admin_metrics_pools(struct admin_metrics *m, const struct admin_metrics_pool *pools, size_t n)
{
    static const struct {
        const char *name;
        const char *type;
        const char *unit;
        const char *help;
    } families[] = {
        {"helper_threads", "gauge", "", "Helper threads."},
        {"helper_busy_threads", "gauge", "", "Helper threads at work."},
        {"helper_queued_jobs", "gauge", "", "Jobs that wait for a helper thread."},
        {"helper_max_queued_jobs", "gauge", "", "Jobs that may wait."},
        {"helper_jobs", "counter", "", "Jobs that were begun."},
        {"helper_refused_jobs", "counter", "", "Jobs that found the queue full."},
        {"helper_wait_seconds", "counter", "seconds", "Time that begun jobs had waited."},
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        admin_metrics_family(m, families[i].name, families[i].type, families[i].unit,
                             families[i].help);
        for (size_t k = 0; k < n; k++) {
            const struct admin_label label = {"pool", span_of(pools[k].name)};
            if (pools[k].view.threads) {
                admin_metrics_value(m, &label, 1, pool_value(&pools[k].view, i));
            }
        }
    }
}

double admin_metrics_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    double n = 0;
    /* A DIR of our own: readdir() is safe. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    if (d) {
        (void)closedir(d);
        n -= 1; /* the one that looked */
    }
    return n;
}

static double resident_bytes(void)
{
    char text[128];
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    bool is_read = f && fgets(text, sizeof(text), f);
    if (f) {
        (void)fclose(f);
    }
    struct span rest = is_read ? span_of(text) : (struct span){0};
    struct span part = {0};
    uint64_t n = 0;
    (void)span_split(&rest, ' ', &part); /* the size of the program, then what of it is resident */
    if (span_split(&rest, ' ', &part) && span_to_u64(part, &n) == FRUN_OK) {
        pages = n;
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void put_log(struct admin_metrics *m)
{
    const struct admin_label event = {"log", SPAN_LIT("event")};
    const struct admin_label access = {"log", SPAN_LIT("access")};
    admin_metrics_family(m, "log_lines_lost", "counter", "",
                         "Lines that the queue had no room for, or their target refused.");
    admin_metrics_value(m, &event, 1, (double)log_lost(false));
    admin_metrics_value(m, &access, 1, (double)log_lost(true));
}

void admin_metrics_process(struct admin_metrics *m, double started_s)
{
    const struct admin_label build[] = {{"version", SPAN_LIT(FRUN_VERSION)}};
    struct rusage used;
    struct rlimit files;
    admin_metrics_family(m, "build", "info", "", "Version of the program.");
    admin_metrics_value(m, build, 1, 1);
    admin_metrics_family(m, "start_time_seconds", "gauge", "seconds",
                         "When the program started, seconds since 1970.");
    admin_metrics_value(m, NULL, 0, started_s);
    admin_metrics_family(m, "resident_memory_bytes", "gauge", "bytes", "Resident memory.");
    admin_metrics_value(m, NULL, 0, resident_bytes());
    admin_metrics_family(m, "open_descriptors", "gauge", "", "Open file descriptors.");
    admin_metrics_value(m, NULL, 0, admin_metrics_descriptors());
    put_log(m);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        admin_metrics_family(m, "max_descriptors", "gauge", "",
                             "File descriptors that may be open.");
        admin_metrics_value(m, NULL, 0, (double)files.rlim_cur);
    }
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        admin_metrics_family(m, "cpu_seconds", "counter", "seconds", "Processor time used.");
        admin_metrics_value(m, NULL, 0,
                            (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                                (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    }
}
