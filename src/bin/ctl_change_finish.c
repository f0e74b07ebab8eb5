/**
 * The end of a change: checked, written, told, and how it takes effect.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_change.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

int ctl_change_reload(const struct ctl_change *c)
{
    struct ctl_control control = {.config = c->config};
    json_t *v = NULL;
    if (!c->is_reload) {
        (void)fprintf(ctl_err(),
                      "frunctl: 'frunctl reload' puts it in force, on every gateway behind this "
                      "name\n");
        return EXIT_SUCCESS;
    }
    int status = ctl_control_ask(&control, "POST", "/api/v1/reload", NULL, &v);
    const char *result = json_string_value(json_object_get(v, "result"));
    const char *why = json_string_value(json_object_get(v, "why"));
    if (!status && (!result || strcmp(result, "used") != 0)) {
        (void)ctl_fail("the files are written, but the daemon keeps what it has: %s",
                       why ? why : "see its log");
        status = EX_CONFIG;
    }
    if (!status) {
        (void)fprintf(ctl_err(), "frunctl: the daemon uses it\n");
    }
    json_decref(v);
    return status;
}

static void tell(const struct ctl_change *c, const char *what, json_t *v)
{
    static const char *const words[2][2] = {{"made", "changed"}, {"would make", "would change"}};
    json_t *files = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct ctl_change_file *f = &c->files[i];
        if (!c->is_dry && !f->is_written) {
            continue;
        }
        const char *word =
            f->is_gone ? c->is_dry ? "would remove" : "removed" : words[c->is_dry][f->old != NULL];
        (void)json_array_append_new(files, json_pack("{s:s, s:s}", "file", f->path, "done", word));
        if (!c->is_json) {
            (void)printf("%s %s\n", word, f->path);
        }
    }
    if (c->is_json) {
        json_t *all =
            json_pack("{s:s, s:b, s:o}", "result", what, "dry_run", c->is_dry, "files", files);
        (void)json_object_update(all, v);
        ctl_json_print(all);
        json_decref(all);
        return;
    }
    json_decref(files);
    (void)puts(what);
}

int ctl_change_finish(struct ctl_change *c, const char *what, struct json_t *v)
{
    struct conf_gw *gw = NULL;
    int status = ctl_change_check(c, ctl_err(), &gw);
    conf_gw_unref(&gw);
    if (status == EX_CONFIG) {
        (void)fprintf(ctl_err(),
                      "frunctl: with this change the configuration is not good; nothing has been "
                      "changed\n");
    }
    if (!status && !c->is_dry) {
        status = ctl_change_write(c);
    }
    if (!status) {
        tell(c, what, v);
        status = c->is_dry ? EXIT_SUCCESS : ctl_change_reload(c);
    }
    json_decref(v);
    return status;
}
