/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/metrics.h"

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
    while (span_split(&rest, ',', &part)) {
        m->is_open |= span_starts_nocase(span_trim(part), SPAN_LIT("application/openmetrics-text"));
    }
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

/* A name may hold anything; what is no UTF-8 would spoil the whole text. */
static void put_label(struct admin_metrics *m, struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        switch (value.p[i]) {
        case '\n':
            put_text(m, "\\n");
            break;
        case '"':
            put_text(m, "\\\"");
            break;
        case '\\':
            put_text(m, "\\\\");
            break;
        default:
            put(m, (unsigned char)value.p[i] < 0x80 ? span_make(&value.p[i], 1) : SPAN_LIT("?"));
            break;
        }
    }
}

/* name_suffix{labels,le="..."} */
static void put_name(struct admin_metrics *m, const char *end, const struct admin_label *labels,
                     size_t n, const char *le)
{
    put_text(m, m->prefix);
    put_text(m, m->name);
    put_text(m, end);
    if (n || le) {
        put_text(m, "{");
    }
    for (size_t i = 0; i < n; i++) {
        put_text(m, i ? "," : "");
        put_text(m, labels[i].name);
        put_text(m, "=\"");
        put_label(m, labels[i].value);
        put_text(m, "\"");
    }
    if (le) {
        put_text(m, n ? ",le=\"" : "le=\"");
        put_text(m, le);
        put_text(m, "\"");
    }
    put_text(m, n || le ? "} " : " ");
}

static void put_number(struct admin_metrics *m, double v)
{
    char text[NUMBER_BYTES];
    (void)snprintf(text, sizeof(text), "%.15g\n", v);
    put_text(m, text);
}

void admin_metrics_value(struct admin_metrics *m, const struct admin_label *labels, size_t n,
                         double value)
{
    put_name(m, suffix(m), labels, n, NULL);
    put_number(m, value);
}

void admin_metrics_histogram(struct admin_metrics *m, const struct admin_label *labels, size_t n,
                             const uint64_t *buckets, uint64_t sum_us)
{
    uint64_t seen = 0;
    char le[NUMBER_BYTES];
    for (size_t i = 0; i <= METER_BOUNDS; i++) {
        seen += buckets[i];
        /* OpenMetrics wants a float: 1.0, not 1. */
        (void)snprintf(le, sizeof(le), i < METER_BOUNDS && meter_bound_ms(i) % 1000 ? "%g" : "%.1f",
                       i < METER_BOUNDS ? meter_bound_ms(i) / 1000.0 : 0.0);
        put_name(m, "_bucket", labels, n, i < METER_BOUNDS ? le : "+Inf");
        put_number(m, (double)seen);
    }
    put_name(m, "_sum", labels, n, NULL);
    put_number(m, (double)sum_us / 1e6);
    put_name(m, "_count", labels, n, NULL);
    put_number(m, (double)seen);
}

static double count_descriptors(void)
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
    admin_metrics_value(m, NULL, 0, count_descriptors());
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

void admin_metrics_answer(struct admin_metrics *m, struct admin_request *r)
{
    if (m->is_open) {
        put_text(m, "# EOF\n");
    }
    if (m->is_failed) {
        admin_request_fail(r, 500, "out of memory");
    } else {
        admin_request_answer(r, 200, m->is_open ? OPEN_TYPE : PLAIN_TYPE, &m->out);
    }
    buf_done(&m->out);
}
