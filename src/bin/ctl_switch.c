/**
 * frunctl endpoint switch, health: which road an endpoint takes, and how the roads are.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/steps.h"

#include "ctl.h"
#include "ctl_check.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* -- switch
 * ----------------------------------------------------------------------------------------------------------
 */

static void print_switch(const json_t *v)
{
    struct steps s;
    bool is_done = json_is_true(json_object_get(v, "switched"));
    const char *from = ctl_check_text(v, "from");
    const char *to = ctl_check_text(v, "to");
    if (is_done) {
        (void)printf(
            "%s: switched from %s to %s; %lld request(s) finish on the old road, %lld that "
            "waited take the new one\n",
            ctl_check_text(v, "endpoint"), from, to,
            (long long)json_integer_value(json_object_get(v, "in_flight")),
            (long long)json_integer_value(json_object_get(v, "moved")));
        if (!json_is_true(json_object_get(v, "kept"))) {
            (void)puts(
                "  it could not be kept for the next start: see the daemon's log and [gateway] "
                "state_directory");
        }
        return;
    }
    if (strcmp(from, to) == 0) {
        (void)printf("%s: takes %s already\n", ctl_check_text(v, "endpoint"), to);
        return;
    }
    (void)printf("%s: stays on %s, because %s is not good:\n", ctl_check_text(v, "endpoint"), from,
                 to);
    ctl_check_steps(json_object_get(v, "steps"), &s);
    steps_print(&s, stdout, 2);
}

int ctl_endpoint_switch(int argc, char **argv)
{
    struct ctl_check k;
    char coded[CTL_TARGET_BYTES / 2];
    char target[CTL_TARGET_BYTES];
    json_t *v = NULL;
    int status = ctl_check_parse(argc, argv, &k);
    if (status) {
        return status;
    }
    if (k.is_all || k.is_standby) {
        return ctl_misuse("endpoints are switched one by one, and to the other road");
    }
    if (!ctl_control_encode(k.control.words[0], coded, sizeof(coded))) {
        return ctl_misuse("the name is too long");
    }
    (void)snprintf(target, sizeof(target), "/api/v1/endpoints/%s/switch", coded);
    json_t *wish = k.to ? json_pack("{s:b, s:s}", "force", k.is_forced, "to", k.to)
                        : json_pack("{s:b}", "force", k.is_forced);
    char *body = json_dumps(wish, JSON_COMPACT);
    json_decref(wish);
    if (!body) {
        return ctl_fail("out of memory, or the argument of --to is no text");
    }
    status = ctl_control_ask(&k.control, "POST", target, body, &v);
    free(body);
    if (status) {
        return status;
    }
    if (k.control.is_json) {
        ctl_json_print(v);
    } else {
        print_switch(v);
    }
    bool is_good = json_is_true(json_object_get(v, "switched")) ||
                   strcmp(ctl_check_text(v, "from"), ctl_check_text(v, "to")) == 0;
    json_decref(v);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* -- health
 * ----------------------------------------------------------------------------------------------------------
 */

int ctl_endpoint_health(int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"ENDPOINT", "endpoint", false}, {"ROAD", "road", false},    {"HEALTH", "health", false},
        {"FOR s", "seconds", true},      {"CHECKS", "checks", true}, {"BAD", "failures", true},
        {"LAST ms", "last_ms", true},    {"FOUND", "found", false},
    };
    struct ctl_control c;
    json_t *v = NULL;
    int status = ctl_control_parse(argc, argv, 0, &c);
    if (!status) {
        status = ctl_control_ask(&c, "GET", "/api/v1/health", NULL, &v);
    }
    if (!status && c.is_json) {
        ctl_json_print(v);
    } else if (!status) {
        ctl_control_table(v, columns, sizeof(columns) / sizeof(columns[0]));
    }
    json_decref(v);
    return status;
}
