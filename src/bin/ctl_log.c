/**
 * frunctl log level: how chatty a running daemon is.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int ctl_log_level(int argc, char **argv)
{
    struct ctl_control c;
    json_t *v = NULL;
    char *body = NULL;
    int status = ctl_control_parse(argc, argv, 1, &c);
    if (status) {
        return status;
    }
    if (c.n_words) {
        json_t *wish = json_pack("{s:s}", "level", c.words[0]);
        body = wish ? json_dumps(wish, JSON_COMPACT) : NULL;
        json_decref(wish);
        if (!body) {
            return ctl_misuse("LEVEL is error, warning, info or debug");
        }
    }
    status = ctl_control_ask(&c, body ? "POST" : "GET", "/api/v1/log/level", body, &v);
    if (!status && c.is_json) {
        ctl_json_print(v);
    } else if (!status) {
        (void)puts(json_string_value(json_object_get(v, "level")));
    }
    json_decref(v);
    free(body);
    return status;
}
