/**
 * frunctl reload, config diff, config show: what a configuration says, and what changes with it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "frun/conf/diff.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_config_json.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* -- what a daemon answers */

static const char *text_of(const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    return text ? text : "";
}

static void print_changes(const json_t *list, const char *behind)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const char *before = text_of(v, "before");
        const char *now = text_of(v, "now");
        if (json_is_string(json_object_get(v, "key"))) {
            (void)printf("%s.%s: %s -> %s%s\n", text_of(v, "section"), text_of(v, "key"),
                         before[0] ? before : "(nothing)", now[0] ? now : "(nothing)", behind);
        } else {
            (void)printf("[%s] %s\n", text_of(v, "section"),
                         json_is_string(json_object_get(v, "now")) ? "added" : "removed");
        }
    }
}

static int tell(const json_t *v, bool is_json)
{
    const char *result = text_of(v, "result");
    const json_t *report = json_object_get(v, "report");
    bool is_good = strcmp(result, "used") == 0 || strcmp(result, "good") == 0;
    if (is_json) {
        ctl_json_print(v);
        return is_good ? EXIT_SUCCESS : EX_CONFIG;
    }
    for (size_t i = 0; i < json_array_size(report); i++) {
        (void)fprintf(ctl_err(), "%s\n", json_string_value(json_array_get(report, i)));
    }
    print_changes(json_object_get(v, "changes"), "");
    print_changes(json_object_get(v, "restart"), " (with the next restart)");
    if (strcmp(result, "used") == 0) {
        (void)printf("the changed configuration is in use\n");
    } else if (strcmp(result, "kept") == 0) {
        (void)fprintf(ctl_err(),
                      "frunctl: the configuration in use is kept, nothing has changed: %s\n",
                      text_of(v, "why"));
    } else if (!is_good) {
        (void)fprintf(ctl_err(), "frunctl: a reload would keep the configuration in use\n");
    }
    return is_good ? EXIT_SUCCESS : EX_CONFIG;
}

static int ask(struct ctl_control *c, const char *method, const char *target)
{
    json_t *v = NULL;
    int status = ctl_control_ask(c, method, target, NULL, &v);
    if (!status) {
        status = tell(v, c->is_json);
    }
    json_decref(v);
    return status;
}

int ctl_reload(int argc, char **argv)
{
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, 0, &c);
    return status ? status : ask(&c, "POST", "/api/v1/reload");
}

/* -- files */

/* One file, of whichever daemon. */
struct loaded {
    struct conf_gw *gw;
    struct conf_cn *cn;
    const struct conf_doc *doc;
};

static int load(const char *path, struct loaded *out)
{
    bool is_connector = false;
    int status = ctl_config_side(path, &is_connector);
    if (status) {
        return status;
    }
    frun_err err = is_connector ? conf_cn_load(path, ctl_err(), &out->cn)
                                : conf_gw_load(path, ctl_err(), &out->gw);
    if (!err) {
        out->doc = out->cn ? out->cn->doc : out->gw->doc;
    }
    return !err ? EXIT_SUCCESS : err == FRUN_E_NOMEM ? ctl_fail("%s", err_text(err)) : EX_CONFIG;
}

static void unload(struct loaded *x)
{
    conf_gw_unref(&x->gw);
    conf_cn_unref(&x->cn);
}

static void print_list(const struct conf_changes *c, const char *behind)
{
    char text[3 * CONF_CHANGE_BYTES];
    for (size_t i = 0; i < c->n; i++) {
        conf_change_text(&c->all[i], text, sizeof(text));
        (void)printf("%s%s\n", text, behind);
    }
}

static int compare(const char *one, const char *other, bool is_json)
{
    struct loaded a = {0};
    struct loaded b = {0};
    struct conf_changes live = {0};
    struct conf_changes restart = {0};
    int status = load(one, &a);
    status = status ? status : load(other, &b);
    if (!status && !a.cn != !b.cn) {
        status = ctl_misuse("one file is a gateway's, the other a connector's");
    }
    if (!status && (conf_diff(a.doc, b.doc, CONF_RELOAD_LIVE, &live) ||
                    conf_diff(a.doc, b.doc, CONF_RELOAD_RESTART, &restart))) {
        status = ctl_fail("out of memory");
    }
    if (!status && is_json) {
        status = ctl_json_take(json_pack("{s:o, s:o, s:I}", "changes", ctl_changes(&live),
                                         "restart", ctl_changes(&restart), "more",
                                         (json_int_t)live.n_more + (json_int_t)restart.n_more));
    } else {
        print_list(&live, "");
        print_list(&restart, " (with the next restart)");
    }
    conf_changes_done(&live);
    conf_changes_done(&restart);
    unload(&a);
    unload(&b);
    return status;
}

int ctl_config_diff(int argc, char **argv)
{
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, 2, &c);
    if (status) {
        return status;
    }
    if (c.n_words == 1) {
        return ctl_misuse("two files are wanted, or none: then the daemon compares");
    }
    return c.n_words ? compare(c.words[0], c.words[1], c.is_json)
                     : ask(&c, "GET", "/api/v1/config/diff");
}

int ctl_config_show(int argc, char **argv)
{
    struct ctl_control c;
    struct loaded x = {0};
    int status = ctl_control_parse(argc, argv, 1, &c);
    const char *path = c.n_words ? c.words[0] : c.config;
    if (status) {
        return status;
    }
    if (!path) {
        return ctl_misuse("one FILE is wanted");
    }
    status = load(path, &x);
    if (!status && c.is_json) {
        status = ctl_json_take(ctl_config_values(x.doc, x.cn != NULL));
    } else if (!status) {
        conf_print(x.doc, stdout);
    }
    unload(&x);
    return status;
}
