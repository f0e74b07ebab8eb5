/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/alerts.h"

#include "alerts_int.h"
#include "frun/admin/json.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

/** Octets of a name and of a text with their final NULs; longer ones are cut. */
#define NAME_BYTES 160
#define TEXT_BYTES 512

/** Between two counts of the file descriptors, milliseconds. */
#define COUNT_MS 30000

/** The alert whose text has figures, which are others when it is over. */
#define LIMIT_NEAR "limit-near"

enum alert_state {
    ALERT_FREE,    /* nothing is known */
    ALERT_PENDING, /* bad, but not for long enough */
    ALERT_FIRING,  /* told */
    ALERT_OVER     /* its end was told; still shown */
};

struct alert {
    enum alert_state state;
    const char *alert;
    char name[NAME_BYTES];
    char text[TEXT_BYTES];
    const char *remedy;
    unsigned level;   /* worst that was told */
    bool is_told;     /* in this round */
    uint64_t bad_ms;  /* since when it is bad */
    uint64_t good_ms; /* since when it is good again; 0: it is not */
    uint64_t said_ms; /* when a good limit's text was written */
    char since[MONO_WALL_TEXT_BYTES];
    char until[MONO_WALL_TEXT_BYTES]; /* when it is over */
};

struct alerts {
    const char *daemon;
    struct alerts_command *command;
    uint64_t now_ms;
    bool is_full;        /* told */
    uint64_t counted_ms; /* when the descriptors were counted; 0: never */
    uint64_t descriptors;
    struct alert all[ALERTS_MAX];
};

static const char *word(enum alert_state s)
{
    return s == ALERT_FIRING ? "firing" : s == ALERT_OVER ? "resolved" : "pending";
}

static json_t *json_of(const struct alert *x)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:s, s:s, s:s*, s:I}", "alert", x->alert, "name",
                     admin_json_text(x->name), "state", word(x->state), "text",
                     admin_json_text(x->text), "remedy", x->remedy, "since", x->since, "until",
                     x->state == ALERT_OVER ? x->until : NULL, "level", (json_int_t)x->level);
}

static void tell_command(const struct alerts *a, const struct alert *x)
{
    char now[MONO_WALL_TEXT_BYTES];
    json_t *v = json_of(x);
    mono_wall_text(now);
    if (v) {
        (void)json_object_set_new(v, "daemon", json_string(a->daemon));
        (void)json_object_set_new(v, "time", json_string(now));
    }
    /* Not json_dumps(): its memory is that of whatever allocator jansson was given. */
    size_t n = v ? json_dumpb(v, NULL, 0, JSON_COMPACT) : 0;
    char *text = n ? calloc(1, n + 1) : NULL;
    if (text) {
        (void)json_dumpb(v, text, n, JSON_COMPACT);
    }
    json_decref(v);
    alerts_command_tell(a->command, text);
}

static void fire(struct alerts *a, struct alert *x, unsigned level)
{
    if (x->state != ALERT_FIRING) {
        mono_wall_text(x->since);
    }
    x->state = ALERT_FIRING;
    x->level = level;
    log_warning("alert", "%s %s: %s; %s", x->alert, x->name, x->text, x->remedy);
    tell_command(a, x);
}

static void end(struct alerts *a, struct alert *x)
{
    if (strcmp(x->alert, LIMIT_NEAR) == 0 && x->said_ms != a->now_ms) {
        (void)snprintf(x->text, sizeof(x->text), "far below its ceiling, or not there any more");
    }
    x->state = ALERT_OVER;
    mono_wall_text(x->until);
    log_info("alert", "%s %s: over, it began at %s", x->alert, x->name, x->since);
    tell_command(a, x);
}

frun_err alerts_new(struct loop *l, const char *daemon, struct alerts **out)
{
    struct alerts *a = calloc(1, sizeof(*a));
    frun_err err = a ? alerts_command_new(l, &a->command) : FRUN_E_NOMEM;
    if (err) {
        free(a);
        return err;
    }
    a->daemon = daemon;
    *out = a;
    return FRUN_OK;
}

void alerts_free(struct alerts *a)
{
    if (a) {
        alerts_command_free(a->command);
        free(a);
    }
}

void alerts_set_command(struct alerts *a, const char *command)
{
    alerts_command_set(a->command, command);
}

void alerts_begin(struct alerts *a, uint64_t now_ms)
{
    a->now_ms = now_ms;
    for (size_t i = 0; i < ALERTS_MAX; i++) {
        a->all[i].is_told = false;
    }
}

/* The alert of a fact, perhaps a new one; NULL: there are too many. */
static struct alert *find(struct alerts *a, const struct alerts_fact *f)
{
    struct alert *unused = NULL;
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s", f->name);
    for (size_t i = 0; i < ALERTS_MAX; i++) {
        struct alert *x = &a->all[i];
        if (x->state == ALERT_FREE) {
            unused = unused ? unused : x;
        } else if (strcmp(x->alert, f->alert) == 0 && strcmp(x->name, name) == 0) {
            return x;
        }
    }
    if (unused) {
        *unused = (struct alert){.state = ALERT_PENDING, .alert = f->alert, .bad_ms = a->now_ms};
        memcpy(unused->name, name, sizeof(name));
    } else if (!a->is_full) {
        a->is_full = true;
        log_error("alert", "more than %d alerts at a time; others are not told", ALERTS_MAX);
    }
    return unused;
}

void alerts_tell(struct alerts *a, const struct alerts_fact *f)
{
    struct alert *x = find(a, f);
    if (!x) {
        return;
    }
    if (x->state == ALERT_OVER) {
        x->state = ALERT_PENDING;
        x->bad_ms = a->now_ms;
        x->level = 0;
    }
    x->is_told = true;
    x->good_ms = 0;
    x->remedy = f->remedy;
    (void)snprintf(x->text, sizeof(x->text), "%s", f->text);
    bool is_due = x->state == ALERT_PENDING && a->now_ms - x->bad_ms >= f->for_ms;
    if (is_due || (x->state == ALERT_FIRING && f->level > x->level)) {
        fire(a, x, f->level);
    }
}

void alerts_certificate(struct alerts *a, uint64_t days, const char *what, const char *name,
                        int64_t left_s)
{
    static const int64_t steps[] = {14, 7, 1};
    char text[TEXT_BYTES];
    char label[NAME_BYTES];
    int64_t day_s = 86400;
    if (days == 0 || left_s > (int64_t)days * day_s) {
        return;
    }
    unsigned level = 1;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        level += left_s <= steps[i] * day_s;
    }
    level += left_s <= 0;
    (void)snprintf(label, sizeof(label), "%s %s", what, name);
    if (left_s <= 0) {
        (void)snprintf(text, sizeof(text), "the certificate has expired");
    } else {
        (void)snprintf(text, sizeof(text), "the certificate expires in %lld day(s)",
                       (long long)(left_s / day_s));
    }
    alerts_tell(
        a, &(struct alerts_fact){
               .alert = "certificate-expiry",
               .name = label,
               .level = level,
               .text = text,
               .remedy = "renew it, on whichever side it is, and put the new file in its place"});
}

void alerts_disk(struct alerts *a, const char *path, uint64_t least)
{
    struct statvfs st;
    char text[TEXT_BYTES];
    if (!path || least == 0 || statvfs(path, &st) != 0) {
        return;
    }
    uint64_t left = (uint64_t)st.f_bavail * st.f_frsize;
    if (left >= least) {
        return;
    }
    (void)snprintf(text, sizeof(text), "only %llu MiB are free on the disk",
                   (unsigned long long)(left >> 20));
    alerts_tell(a, &(struct alerts_fact){.alert = "disk-space",
                                         .name = path,
                                         .for_ms = ALERTS_CLEAR_MS,
                                         .level = left < least / 4 ? 2 : 1,
                                         .text = text,
                                         .remedy = "make room, or lower [alert] disk_free"});
}

static struct alert *firing(struct alerts *a, const char *alert, const char *name)
{
    for (size_t i = 0; i < ALERTS_MAX; i++) {
        struct alert *x = &a->all[i];
        if (x->state == ALERT_FIRING && strcmp(x->alert, alert) == 0 &&
            strncmp(x->name, name, sizeof(x->name) - 1) == 0) {
            return x;
        }
    }
    return NULL;
}

static void limit_text(const struct alerts_limit *x, char out[TEXT_BYTES])
{
    int n = snprintf(out, TEXT_BYTES, "%llu %s", (unsigned long long)x->used, x->what);
    if (x->max > 0 && n >= 0 && n < TEXT_BYTES) {
        (void)snprintf(out + n, TEXT_BYTES - (size_t)n, ", %llu are the most",
                       (unsigned long long)x->max);
    }
}

void alerts_limit(struct alerts *a, const struct alerts_limit_terms *terms,
                  const struct alerts_limit *x)
{
    char text[TEXT_BYTES];
    uint64_t percent = terms->percent;
    bool is_watched = percent > 0 && x->max > 0;
    bool is_near = is_watched && x->used * 100 >= percent * x->max;
    struct alert *old = is_near ? NULL : firing(a, LIMIT_NEAR, x->name);
    if (!is_near && !old) {
        return;
    }
    limit_text(x, text);
    if (!is_near && !(is_watched && x->used * 100 >= (percent - percent / 8) * x->max)) {
        /* Who is told that it is over wants to know how much it is now. */
        memcpy(old->text, text, sizeof(text));
        old->said_ms = a->now_ms;
        return;
    }
    alerts_tell(a, &(struct alerts_fact){.alert = LIMIT_NEAR,
                                         .name = x->name,
                                         .for_ms = terms->for_ms,
                                         .level = x->used >= x->max ? 2 : 1,
                                         .text = text,
                                         .remedy = x->remedy});
}

void alerts_descriptors(struct alerts *a, const struct alerts_limit_terms *terms)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return;
    }
    if (terms->percent == 0 && !firing(a, LIMIT_NEAR, "file descriptors")) {
        return;
    }
    if (!a->counted_ms || a->now_ms - a->counted_ms >= COUNT_MS) {
        a->counted_ms = a->now_ms;
        a->descriptors = (uint64_t)admin_metrics_descriptors();
    }
    alerts_limit(a, terms,
                 &(struct alerts_limit){.name = "file descriptors",
                                        .used = a->descriptors,
                                        .max = files.rlim_cur,
                                        .what = "file descriptors are open",
                                        .remedy = "raise LimitNOFILE of the unit"});
}

void alerts_end(struct alerts *a)
{
    for (size_t i = 0; i < ALERTS_MAX; i++) {
        struct alert *x = &a->all[i];
        if (x->state == ALERT_FREE || x->is_told) {
            continue;
        }
        x->good_ms = x->good_ms ? x->good_ms : a->now_ms;
        uint64_t good_for_ms = a->now_ms - x->good_ms;
        if (x->state == ALERT_PENDING ||
            (x->state == ALERT_OVER && good_for_ms >= ALERTS_SHOWN_MS)) {
            x->state = ALERT_FREE;
            a->is_full = false;
        } else if (x->state == ALERT_FIRING && good_for_ms >= ALERTS_CLEAR_MS) {
            end(a, x);
        }
    }
}

/* -- seen from outside
 * --------------------------------------------------------------------------------------- */

static void get_alerts(void *ctx, struct admin_request *r)
{
    const struct alerts *a = ctx;
    json_t *list = json_array();
    for (int over = 0; list && over < 2; over++) {
        for (size_t i = 0; i < ALERTS_MAX; i++) {
            const struct alert *x = &a->all[i];
            if (x->state == (over ? ALERT_OVER : ALERT_FIRING)) {
                (void)json_array_append_new(list, json_of(x));
            }
        }
    }
    admin_json_answer(r, json_pack("{s:o}", "alerts", list));
}

static const struct admin_route routes[] = {{"GET", "/api/v1/alerts", false, get_alerts}};

frun_err alerts_serve(struct alerts *a, struct admin_server *s)
{
    return admin_server_add(s, routes, sizeof(routes) / sizeof(routes[0]), a);
}

void alerts_metrics(const struct alerts *a, struct admin_metrics *m)
{
    admin_metrics_family(m, "alerts", "gauge", "", "Alerts that fire now, 1 each.");
    for (size_t i = 0; i < ALERTS_MAX; i++) {
        const struct alert *x = &a->all[i];
        if (x->state == ALERT_FIRING) {
            const struct admin_label labels[] = {{"alert", span_of(x->alert)},
                                                 {"name", span_of(x->name)}};
            admin_metrics_value(m, labels, 2, 1);
        }
    }
}
