/**
 * frunctl doctor: what is wrong, and what to do about it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_doctor.h"

#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_out.h"

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Most findings. */
#define MAX_FINDINGS 2000

void doctor_area(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(d->area, sizeof(d->area), fmt, ap);
    va_end(ap);
}

void doctor_say(struct doctor *d, const char *step, enum steps_state state, const char *fmt, ...)
{
    va_list ap;
    if (d->n == MAX_FINDINGS) {
        return;
    }
    struct doctor_finding *f = &d->items[d->n++];
    *f = (struct doctor_finding){.state = state};
    (void)snprintf(f->area, sizeof(f->area), "%s", d->area);
    (void)snprintf(f->step, sizeof(f->step), "%s", step);
    va_start(ap, fmt);
    (void)vsnprintf(f->found, sizeof(f->found), fmt, ap);
    va_end(ap);
    for (char *p = f->found; *p; p++) {
        *p = (unsigned char)*p < ' ' ? '?' : *p; /* what a peer said must not move the cursor */
    }
}

void doctor_remedy(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    if (d->n == 0) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(d->items[d->n - 1].remedy, STEPS_TEXT_BYTES, fmt, ap);
    va_end(ap);
}

/* Every line of what the check reports. */
static void tell_report(struct doctor *d, const char *report)
{
    struct span rest = span_of(report);
    struct span line;
    while (rest.n && span_split(&rest, '\n', &line)) {
        if (line.n) {
            bool is_warning =
                strstr(line.p, "warning: ") && strstr(line.p, "warning: ") < line.p + line.n;
            doctor_say(d, "configuration", is_warning ? STEPS_WARN : STEPS_FAIL, "%.*s",
                       SPAN_FMT(line));
            doctor_remedy(d, "correct that line; docs/CONFIGURATION.md explains the key");
        }
    }
}

static int load(struct doctor *d)
{
    char *report = NULL;
    size_t n = 0;
    doctor_area(d, "%s", d->is_connector ? "connector" : "gateway");
    FILE *f = open_memstream(&report, &n);
    if (!f) {
        return ctl_fail("out of memory");
    }
    frun_err err = d->is_connector ? conf_cn_load(d->control.config, f, &d->cn)
                                   : conf_gw_load(d->control.config, f, &d->gw);
    (void)fclose(f);
    tell_report(d, report ? report : "");
    free(report);
    if (!err) {
        doctor_say(d, "configuration", STEPS_OK, "%s is good", d->control.config);
    }
    return err && err != FRUN_E_SYNTAX ? ctl_fail("%s", err_text(err)) : 0;
}

static void ask_daemon(struct doctor *d)
{
    json_t *v = NULL;
    d->control.is_quiet = true;
    d->is_running = ctl_control_ask(&d->control, "GET", "/api/v1/status", NULL, &v) == 0;
    const char *version = json_string_value(json_object_get(v, "version"));
    if (d->is_running) {
        doctor_say(d, "daemon", STEPS_OK, "runs, version %s", version ? version : "unknown");
        if (version && strcmp(version, FRUN_VERSION) != 0) {
            doctor_say(d, "version", STEPS_WARN, "the daemon is %s, frunctl %s", version,
                       FRUN_VERSION);
            doctor_remedy(d, "restart the daemon after the update");
        }
    } else {
        doctor_say(d, "daemon", STEPS_WARN, "no daemon answers at its control socket");
        doctor_remedy(d, "start it: systemctl start %s; or run this as root",
                      d->is_connector ? "frunconnector" : "frunproxyd");
    }
    json_decref(v);
}

/* -- telling */

static json_t *to_json(const struct doctor *d, int verdict)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->n; i++) {
        const struct doctor_finding *f = &d->items[i];
        json_t *v = json_pack("{s:s, s:s, s:s, s:s}", "area", f->area, "step", f->step, "state",
                              steps_word(f->state), "found", f->found);
        if (f->remedy[0]) {
            (void)json_object_set_new(v, "remedy", json_string(f->remedy));
        }
        (void)json_array_append_new(list, v);
    }
    return json_pack("{s:s, s:s, s:b, s:o}", "side", d->is_connector ? "connector" : "gateway",
                     "version", FRUN_VERSION, "healthy", verdict == 0, "findings", list);
}

static void print(const struct doctor *d)
{
    const char *area = "";
    size_t counts[4] = {0};
    for (size_t i = 0; i < d->n; i++) {
        const struct doctor_finding *f = &d->items[i];
        counts[f->state]++;
        if (strcmp(area, f->area) != 0) {
            area = f->area;
            (void)printf("%s\n", area);
        }
        (void)printf("  %-8s %-14s %s%s%s\n", steps_word(f->state), f->step, f->found,
                     f->remedy[0] ? " -> " : "", f->remedy);
    }
    (void)printf("%zu good, %zu to look at, %zu wrong, %zu not looked at\n", counts[STEPS_OK],
                 counts[STEPS_WARN], counts[STEPS_FAIL], counts[STEPS_SKIPPED]);
}

static int verdict_of(const struct doctor *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i].state == STEPS_FAIL) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static int tell(struct doctor *d)
{
    int verdict = verdict_of(d);
    json_t *v = to_json(d, verdict);
    int status = d->bundle ? doctor_bundle(d, v) : 0;
    if (d->control.is_json) {
        ctl_json_print(v);
    } else {
        print(d);
    }
    json_decref(v);
    return status ? status : verdict;
}

/* Our own options; the rest are those of all who speak to a daemon. */
static int parse(int argc, char **argv, struct doctor *d)
{
    for (int i = 1; i + 1 < argc;) {
        const char **option = strcmp(argv[i], "--bundle") == 0 ? &d->bundle
                              : strcmp(argv[i], "--ca") == 0   ? &d->ca
                                                               : NULL;
        if (!option) {
            i++;
            continue;
        }
        *option = argv[i + 1];
        memmove(&argv[i], &argv[i + 2], (size_t)(argc - i - 1) * sizeof(*argv));
        argc -= 2;
    }
    int status = ctl_control_parse(argc, argv, 0, &d->control);
    if (!status && !d->control.config) {
        d->control.config =
            access(CTL_CONFIG_GATEWAY, R_OK) == 0 ? CTL_CONFIG_GATEWAY : CTL_CONFIG_CONNECTOR;
    }
    return status;
}

int ctl_doctor(int argc, char **argv)
{
    struct doctor d = {.n = 0};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* a peer that hangs up is a finding */
    int status = parse(argc, argv, &d);
    status = status ? status : ctl_config_side(d.control.config, &d.is_connector);
    if (status) {
        return status;
    }
    d.items = calloc(MAX_FINDINGS, sizeof(*d.items));
    status = d.items ? load(&d) : ctl_fail("out of memory");
    if (!status) {
        ask_daemon(&d);
        if (d.gw) {
            doctor_gateway(&d);
        } else if (d.cn) {
            doctor_connector(&d);
        }
        status = tell(&d);
    }
    conf_gw_unref(&d.gw);
    conf_cn_unref(&d.cn);
    free(d.items);
    return status;
}
