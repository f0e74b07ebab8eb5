/**
 * Memory, processors and disk in the shapes of SAP Cloud Connector's monitoring API.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/** Octets of a line of /proc. */
#define LINE_BYTES 512

/** The fields of the first line of /proc/stat that are looked at: user to steal. */
#define STAT_FIELDS 8

/** Of them the one that counts idle time, and the one that counts waiting for disks. */
#define STAT_IDLE   3
#define STAT_IOWAIT 4

/** Fields of /proc/self/stat behind the name of the program: to utime and stime. */
#define SELF_UTIME 11
#define SELF_STIME 12

/* The number behind a name in a file of lines "Name:   4711 kB"; 0: not there. */
static json_int_t number_in(const char *path, const char *name)
{
    char line[LINE_BYTES];
    uint64_t found = 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        struct span rest = span_of(line);
        if (span_starts(rest, span_of(name)) && rest.p[strlen(name)] == ':') {
            rest = span_trim(span_skip(rest, strlen(name) + 1));
            if (span_to_u64(span_head(rest, span_find(rest, ' ')), &found)) {
                found = 0;
            }
            break;
        }
    }
    if (f) {
        (void)fclose(f);
    }
    return (json_int_t)found;
}

static json_t *shares(json_int_t total, json_int_t ours, json_int_t left)
{
    json_int_t others = total - left - ours;
    return json_pack("{s:I, s:I, s:I, s:I}", "total", total, "CloudConnector", ours, "others",
                     others > 0 ? others : 0, "free", left);
}

struct json_t *connector_scc_memory(void)
{
    json_int_t total = number_in("/proc/meminfo", "MemTotal");
    json_int_t left = number_in("/proc/meminfo", "MemAvailable");
    json_int_t swap = number_in("/proc/meminfo", "SwapTotal");
    json_int_t swap_left = number_in("/proc/meminfo", "SwapFree");
    json_int_t ours = number_in("/proc/self/status", "VmRSS");
    json_int_t swapped = number_in("/proc/self/status", "VmSwap");
    struct mallinfo2 heap = mallinfo2();
    json_int_t heap_kb = (json_int_t)((heap.arena + heap.hblkhd) / 1024);
    json_int_t used_kb = (json_int_t)((heap.uordblks + heap.hblkhd) / 1024);
    return json_pack("{s:o, s:o, s:{s:I, s:I, s:I}}", "physicalKB", shares(total, ours, left),
                     "virtualKB", shares(total + swap, ours + swapped, left + swap_left),
                     "cloudConnectorHeapKB", "total", heap_kb, "used", used_kb, "free",
                     heap_kb - used_kb);
}

/* The number in place i of words parted by blanks. */
static uint64_t word(struct span line, size_t i)
{
    struct span part = {0};
    uint64_t v = 0;
    while (span_split(&line, ' ', &part)) {
        part = span_trim(part);
        if (part.n && i-- == 0) {
            return span_to_u64(part, &v) ? 0 : v;
        }
    }
    return 0;
}

static bool first_line(const char *path, char line[LINE_BYTES])
{
    FILE *f = fopen(path, "re");
    bool is_read = f && fgets(line, LINE_BYTES, f);
    if (f) {
        (void)fclose(f);
    }
    return is_read;
}

static struct connector_cpu look(void)
{
    struct connector_cpu x = {0};
    char line[LINE_BYTES];
    if (first_line("/proc/stat", line)) {
        struct span s = span_of(line);
        for (size_t i = 0; i < STAT_FIELDS; i++) {
            uint64_t ticks = word(s, i + 1);
            x.all += ticks;
            x.idle += i == STAT_IDLE || i == STAT_IOWAIT ? ticks : 0;
        }
    }
    if (first_line("/proc/self/stat", line)) {
        const char *behind = strrchr(line, ')'); /* the name may hold blanks */
        struct span s = span_of(behind ? behind + 1 : "");
        x.ours = word(s, SELF_UTIME) + word(s, SELF_STIME);
    }
    return x;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? (double)(uint64_t)((double)part * 1000.0 / (double)whole + 0.5) / 10.0 : 0.0;
}

void connector_cpu_shares(const struct connector_cpu *was, const struct connector_cpu *now,
                          double *total, double *ours)
{
    uint64_t all = now->all - was->all;
    uint64_t idle = now->idle - was->idle; /* wraps where the kernel took some of it back */
    uint64_t busy = all > idle ? all - idle : 0;
    uint64_t own = now->ours - was->ours;
    *total = percent(busy, all);
    *ours = percent(own < busy ? own : busy, all);
}

struct json_t *connector_scc_cpu(struct connector *c)
{
    struct connector_cpu now = look();
    double total = 0;
    double ours = 0;
    connector_cpu_shares(&c->cpu, &now, &total, &ours);
    c->cpu = now;
    return json_pack("{s:f, s:f}", "total", total, "CloudConnector", ours);
}

struct json_t *connector_scc_disk(void)
{
    struct statvfs fs;
    if (statvfs(".", &fs)) {
        return shares(0, 0, 0);
    }
    const uint64_t mb = 1U << 20;
    return shares((json_int_t)(fs.f_blocks * fs.f_frsize / mb), 0,
                  (json_int_t)(fs.f_bavail * fs.f_frsize / mb));
}
