/**
 * frunctl status, drain: what a running daemon says of itself, and its orderly end.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"
#include "ctl_control.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void print_object(const json_t *value)
{
    char room[64];
    const char *key;
    json_t *unused;
    /* jansson's iterator is not const. */
    json_t *v = json_deep_copy(value);
    json_object_foreach(v, key, unused)
    {
        if (!json_is_object(unused) && !json_is_array(unused)) {
            (void)printf("%-16s  %s\n", key, ctl_control_text(value, key, room, sizeof(room)));
        }
    }
    json_decref(v);
}

/* Ask one thing and print what comes. */
static int simple(int argc, char **argv, const char *method, const char *target)
{
    struct ctl_control c;
    json_t *v = NULL;
    int status = ctl_control_parse(argc, argv, 0, &c);
    if (!status) {
        status = ctl_control_ask(&c, method, target, NULL, &v);
    }
    if (!status && c.is_json) {
        ctl_control_print(v);
    } else if (!status) {
        print_object(v);
    }
    json_decref(v);
    return status;
}

int ctl_status(int argc, char **argv)
{
    return simple(argc, argv, "GET", "/api/v1/status");
}

int ctl_drain(int argc, char **argv)
{
    return simple(argc, argv, "POST", "/api/v1/drain");
}
