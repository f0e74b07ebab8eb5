/**
 * frunctl config check, show, diff and keys with --json, and the columns of keys.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_config_json.h"

#include "frun/admin/common.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Octets of a range as text. */
#define RANGE_BYTES 256

/* -- what was found in a file */

FILE *ctl_report_open(struct ctl_report *r)
{
    *r = (struct ctl_report){0};
    r->file = open_memstream(&r->text, &r->len);
    return r->file;
}

struct json_t *ctl_report_take(struct ctl_report *r)
{
    json_t *list = json_array();
    bool is_whole = r->file && fclose(r->file) == 0;
    const char *at = is_whole && r->text ? r->text : "";
    while (list && *at) {
        size_t n = strcspn(at, "\n");
        if (n && json_array_append_new(list, json_stringn(at, n))) {
            json_decref(list);
            list = NULL;
        }
        at += n + (at[n] == '\n');
    }
    free(r->text);
    *r = (struct ctl_report){0};
    return list;
}

/* -- values and differences */

struct json_t *ctl_config_values(const struct conf_doc *doc, bool is_connector)
{
    size_t n = 0;
    const struct conf_kind *kinds = is_connector ? conf_cn_kinds(&n) : conf_gw_kinds(&n);
    return admin_common_config(doc, kinds, n);
}

struct json_t *ctl_changes(const struct conf_changes *c)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < c->n; i++) {
        const struct conf_change *x = &c->all[i];
        if (json_array_append_new(list,
                                  json_pack("{s:s, s:s?, s:s?, s:s?}", "section", x->section, "key",
                                            x->key, "before", x->before, "now", x->now))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* -- keys */

/* What bare digits count. */
static const char *unit_of(const struct conf_row *row)
{
    return row->type == CONF_TIME ? "s" : row->type == CONF_SIZE ? "octets" : NULL;
}

static json_t *key_json(const char *side, const struct conf_kind *kind, const struct conf_row *row)
{
    char range[RANGE_BYTES];
    ctl_row_range(row, false, range, sizeof(range));
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:b, s:s?, s:s, s:s, s:s}", "file", side,
                     "section", kind->word, "key", row->key, "type", ctl_row_type(row), "unit",
                     unit_of(row), "required", (int)row->is_required, "default", row->fallback,
                     "range", range, "changes",
                     row->reload == CONF_RELOAD_LIVE ? "reload" : "restart", "help", row->help);
}

static json_t *add_keys(json_t *list, const char *side, const struct conf_kind *kinds, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        for (size_t k = 0; list && k < kinds[i].n_rows; k++) {
            if (json_array_append_new(list, key_json(side, &kinds[i], &kinds[i].rows[k]))) {
                json_decref(list);
                list = NULL;
            }
        }
    }
    return list;
}

static void print_keys(const char *side, const struct conf_kind *kinds, size_t n)
{
    char range[RANGE_BYTES];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < kinds[i].n_rows; k++) {
            const struct conf_row *row = &kinds[i].rows[k];
            const char *unit = unit_of(row);
            ctl_row_range(row, false, range, sizeof(range));
            (void)printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", side, kinds[i].word, row->key,
                         ctl_row_type(row), unit ? unit : "",
                         row->is_required ? "required"
                         : row->fallback  ? row->fallback
                                          : "",
                         range, row->reload == CONF_RELOAD_LIVE ? "reload" : "restart", row->help);
        }
    }
}

int ctl_config_keys(int argc, char **argv)
{
    struct ctl_control c;
    size_t n_gw = 0;
    size_t n_cn = 0;
    int status = ctl_control_parse(argc, argv, 0, &c);
    if (status) {
        return status;
    }
    const struct conf_kind *gw = conf_gw_kinds(&n_gw);
    const struct conf_kind *cn = conf_cn_kinds(&n_cn);
    if (c.is_json) {
        json_t *list = add_keys(json_array(), "gateway", gw, n_gw);
        return ctl_json_take(add_keys(list, "connector", cn, n_cn));
    }
    print_keys("gateway", gw, n_gw);
    print_keys("connector", cn, n_cn);
    return EXIT_SUCCESS;
}
