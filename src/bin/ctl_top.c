/**
 * frunctl top: what each endpoint carries now, refreshed like top(1).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/mono.h"
#include "frun/base/span.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* Rows shown on a terminal. */
#define MAX_ROWS 40

/* Longest pause, seconds. */
#define MAX_PAUSE_S 3600

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const json_t *find(const json_t *list, const char *name)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        const char *other = json_string_value(json_object_get(one, "name"));
        if (other && name && strcmp(other, name) == 0) {
            return one;
        }
    }
    return NULL;
}

static double rate(const json_t *now, const json_t *before, const char *key, double s)
{
    json_int_t grown = number(now, key) - (before ? number(before, key) : 0);
    return grown > 0 && s > 0 ? (double)grown / s : 0;
}

/* What happened since the last look, in a second; latency is the mean of these requests. */
static json_t *compare(const json_t *now, const json_t *before, double s)
{
    json_t *rows = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(now, "endpoints"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        const json_t *old = find(json_object_get(before, "endpoints"), name);
        double busy = json_real_value(json_object_get(one, "seconds_in_all")) -
                      json_real_value(json_object_get(old, "seconds_in_all"));
        double requests = rate(one, old, "requests", s);
        double errors = rate(one, old, "server_errors", s) + rate(one, old, "unanswered", s);
        double mean_ms = requests > 0 ? busy / (requests * s) * 1000 : 0;
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:O, s:O, s:O, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
                            name ? name : "", "route", json_object_get(one, "route"), "road",
                            json_object_get(one, "road"), "health", json_object_get(one, "health"),
                            "requests_per_second", requests, "refused_per_second",
                            rate(one, old, "client_errors", s), "errors_per_second", errors,
                            "bytes_in_per_second", rate(one, old, "bytes_in", s), "mean_ms",
                            mean_ms, "p95_ms", json_real_value(json_object_get(one, "p95_ms"))));
    }
    return rows;
}

static int busier(const void *a, const void *b)
{
    const json_t *const *x = a;
    const json_t *const *y = b;
    double left = json_real_value(json_object_get(*x, "requests_per_second"));
    double right = json_real_value(json_object_get(*y, "requests_per_second"));
    return (left < right) - (left > right);
}

/* The busiest first, as many as a terminal has room for. */
static json_t *busiest(const json_t *rows)
{
    size_t n = json_array_size(rows);
    const json_t **all = calloc(n + 1, sizeof(*all));
    json_t *some = json_array();
    for (size_t i = 0; all && i < n; i++) {
        all[i] = json_array_get(rows, i);
    }
    if (all) {
        qsort(all, n, sizeof(*all), busier);
    }
    for (size_t i = 0; all && i < n && i < MAX_ROWS; i++) {
        (void)json_array_append_new(some, json_deep_copy(all[i]));
    }
    free(all);
    return some;
}

static void show(const json_t *rows, const json_t *status, bool is_terminal)
{
    static const struct ctl_column columns[] = {
        {"ENDPOINT", "name", false},
        {"ROAD", "road", false},
        {"HEALTH", "health", false},
        {"REQ/S", "requests_per_second", true},
        {"4XX/S", "refused_per_second", true},
        {"ERR/S", "errors_per_second", true},
        {"IN B/S", "bytes_in_per_second", true},
        {"MEAN MS", "mean_ms", true},
        {"P95 MS", "p95_ms", true},
    };
    char room[4][64];
    json_t *some = busiest(rows);
    if (is_terminal) {
        (void)fputs("\033[H\033[2J", stdout);
    }
    (void)printf("%s %s, up %s s, %s tunnel(s), %s connection(s), %s waiting\n\n",
                 ctl_control_text(status, "daemon", room[0], sizeof(room[0])),
                 ctl_control_text(status, "state", room[0], sizeof(room[0])),
                 ctl_control_text(status, "uptime_seconds", room[0], sizeof(room[0])),
                 ctl_control_text(status, "tunnels", room[1], sizeof(room[1])),
                 ctl_control_text(status, "connections", room[2], sizeof(room[2])),
                 ctl_control_text(status, "waiting", room[3], sizeof(room[3])));
    ctl_control_table(some, columns, sizeof(columns) / sizeof(columns[0]));
    (void)fflush(stdout);
    json_decref(some);
}

/* One look; EXIT_SUCCESS, or reported. */
static int look(struct ctl_control *c, json_t **before, uint64_t *at_ms, bool is_shown)
{
    json_t *now = NULL;
    json_t *status = NULL;
    int failed = ctl_control_ask(c, "GET", "/api/v1/endpoints", NULL, &now);
    uint64_t now_ms = mono_now_ms();
    if (!failed && is_shown) {
        failed = ctl_control_ask(c, "GET", "/api/v1/status", NULL, &status);
    }
    if (!failed && is_shown) {
        json_t *rows = compare(now, *before, (double)(now_ms - *at_ms) / 1000.0);
        if (c->is_json) {
            json_t *line = json_pack("{s:O}", "endpoints", rows);
            ctl_json_line(line);
            json_decref(line);
        } else {
            show(rows, status, isatty(STDOUT_FILENO));
        }
        json_decref(rows);
    }
    json_decref(status);
    if (!failed) {
        json_decref(*before);
        *before = now;
        *at_ms = now_ms;
    }
    return failed;
}

/* A number among the words; 0: not given. */
static bool word(const struct ctl_control *c, size_t i, uint64_t *out)
{
    *out = 0;
    return i >= c->n_words ||
           (span_to_u64(span_of(c->words[i]), out) == FRUN_OK && *out > 0 && *out <= MAX_PAUSE_S);
}

int ctl_top(int argc, char **argv)
{
    struct ctl_control c;
    json_t *before = NULL;
    uint64_t at_ms = 0;
    uint64_t every_s = 0;
    uint64_t times = 0;
    int status = ctl_control_parse(argc, argv, 2, &c);
    if (status) {
        return status;
    }
    if (!word(&c, 0, &every_s) || !word(&c, 1, &times)) {
        return ctl_misuse("SECONDS and TIMES are numbers from 1 to %d", MAX_PAUSE_S);
    }
    const struct timespec pause = {.tv_sec = every_s ? (time_t)every_s : 2};
    status = look(&c, &before, &at_ms, false);
    for (uint64_t i = 0; !status && (!times || i < times); i++) {
        (void)nanosleep(&pause, NULL);
        status = look(&c, &before, &at_ms, true);
    }
    json_decref(before);
    return status;
}
