/**
 * frunctl audit show: what does the audit log say?
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_audit.h"

#include "ctl.h"
#include "ctl_out.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* Times are compared as text: RFC 3339 in UTC, as far as they are given. */
static bool is_wanted(const struct ctl_audit_ask *a, const json_t *o)
{
    const char *time = text_of(o, "time");
    return !(a->since && strncmp(time, a->since, strlen(a->since)) < 0) &&
           !(a->until && strncmp(time, a->until, strlen(a->until)) > 0) &&
           !(a->event && fnmatch(a->event, text_of(o, "event"), 0) != 0);
}

static void print_part(const char *name, const json_t *o)
{
    const char *s = text_of(o, name);
    if (s[0]) {
        (void)printf("  %s=%s", name, s);
    }
}

static void on_record(void *ctx, uint64_t seq, struct span line)
{
    struct ctl_audit_ask *a = ctx;
    json_t *o = json_loadb(line.p, line.n, 0, NULL);
    if (!o || !is_wanted(a, o)) {
        json_decref(o);
        return;
    }
    a->n_shown++;
    if (a->is_json) {
        ctl_json_text(line.p, line.n);
    } else {
        (void)printf("%6" PRIu64 " %s %-16s %-6s", seq, text_of(o, "time"), text_of(o, "event"),
                     text_of(o, "outcome"));
        print_part("who", o);
        print_part("from", o);
        print_part("object", o);
        print_part("detail", o);
        json_int_t again = json_integer_value(json_object_get(o, "again"));
        if (again) {
            (void)printf("  again %" JSON_INTEGER_FORMAT " time(s)", again);
        }
        (void)puts("");
    }
    json_decref(o);
}

static void on_fault_shown(void *ctx, const char *file, uint64_t line, const char *why)
{
    (void)ctx;
    (void)file;
    (void)line;
    (void)why;
}

int ctl_audit_show(int argc, char **argv)
{
    struct ctl_audit_ask a = {.is_json = false};
    int status = ctl_audit_parse(argc, argv, true, &a);
    status = status ? status : ctl_audit_prepare(&a);
    for (size_t i = 0; i < a.n_files && !status; i++) {
        struct diag d = {.text = ""};
        struct chain_check c = ctl_audit_check(&a, a.files[i]);
        c.fault = on_fault_shown;
        c.record = on_record;
        frun_err err = chain_verify(&c, &d);
        status = err ? ctl_fail("%s", d.text) : EXIT_SUCCESS;
        if (c.n_faults) {
            (void)fprintf(ctl_err(),
                          "frunctl: %s is not whole, or its key is needed; 'frunctl audit verify' "
                          "tells more\n",
                          a.files[i]);
        }
    }
    ctl_audit_done(&a);
    return status;
}
