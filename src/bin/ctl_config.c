/**
 * frunctl config check, and which daemon's a file is.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/buf.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"
#include "frun/conf/ini.h"

#include "ctl.h"
#include "ctl_config_json.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Sections seen that only one of the two files has. */
struct votes {
    unsigned gateway;
    unsigned connector;
};

static void on_item(const struct conf_ini_item *it, void *ctx)
{
    static const char *const of_gateway[] = {"gateway", "tunnel", "endpoint", "pusher"};
    static const char *const of_connector[] = {"subaccount", "resource"};
    struct votes *v = ctx;
    if (it->kind != CONF_INI_SECTION) {
        return;
    }
    size_t n = strcspn(it->name, " \t");
    for (size_t i = 0; i < 4; i++) {
        v->gateway += strlen(of_gateway[i]) == n && strncmp(it->name, of_gateway[i], n) == 0;
    }
    for (size_t i = 0; i < 2; i++) {
        v->connector += strlen(of_connector[i]) == n && strncmp(it->name, of_connector[i], n) == 0;
    }
    /* [connector NAME] is the gateway's, [connector] the connector's */
    if (n == 9 && strncmp(it->name, "connector", 9) == 0) {
        v->gateway += it->name[n] != '\0';
        v->connector += it->name[n] == '\0';
    }
}

/* Which of the two is it? Only its section heads are looked at. */
static frun_err vote(const char *path, struct votes *v)
{
    struct buf b;
    char *at;
    size_t n = 1;
    buf_init(&b, CONF_MAX_FILE_BYTES + 4096);
    FILE *f = fopen(path, "re");
    frun_err err = f ? FRUN_OK : FRUN_E_IO;
    while (!err && n > 0) {
        err = buf_reserve(&b, 4096, &at);
        n = err ? 0 : fread(at, 1, 4096, f);
        buf_commit(&b, n);
    }
    if (!err) {
        err = conf_ini_scan(buf_span(&b), on_item, v);
    }
    if (f) {
        (void)fclose(f);
    }
    buf_done(&b);
    return err;
}

/* What was loaded of either, for a line or for JSON. */
struct outcome {
    json_t *counts;
    char text[160];
};

static frun_err check_gateway(const char *path, FILE *report, struct outcome *o)
{
    struct conf_gw *c = NULL;
    frun_err err = conf_gw_load(path, report, &c);
    if (!err) {
        (void)snprintf(o->text, sizeof(o->text),
                       "gateway: %zu systems, %zu endpoints, %zu pushers, %zu connectors",
                       c->n_systems, c->n_endpoints, c->n_pushers, c->n_connectors);
        o->counts = json_pack("{s:I, s:I, s:I, s:I}", "systems", (json_int_t)c->n_systems,
                              "endpoints", (json_int_t)c->n_endpoints, "pushers",
                              (json_int_t)c->n_pushers, "connectors", (json_int_t)c->n_connectors);
    }
    conf_gw_unref(&c);
    return err;
}

static frun_err check_connector(const char *path, FILE *report, struct outcome *o)
{
    struct conf_cn *c = NULL;
    frun_err err = conf_cn_load(path, report, &c);
    if (!err) {
        (void)snprintf(o->text, sizeof(o->text), "connector: %zu subaccounts, %zu systems",
                       c->n_subaccounts, c->n_mappings);
        o->counts = json_pack("{s:I, s:I}", "subaccounts", (json_int_t)c->n_subaccounts, "systems",
                              (json_int_t)c->n_mappings);
    }
    conf_cn_unref(&c);
    return err;
}

int ctl_config_side(const char *path, bool *is_connector)
{
    struct votes v = {0, 0};
    frun_err err = vote(path, &v);
    if (!err && v.gateway == 0 && v.connector == 0) {
        (void)fprintf(ctl_err(),
                      "%s:0: neither a gateway's nor a connector's file; 'frunctl config sample' "
                      "shows both\n",
                      path);
        return EX_CONFIG;
    }
    /* an unreadable file is explained by whoever loads it */
    *is_connector = v.connector > v.gateway;
    return EXIT_SUCCESS;
}

int ctl_config_check(int argc, char **argv)
{
    bool is_connector = false;
    struct ctl_control c;
    struct ctl_report report = {0};
    struct outcome o = {0};
    int status = ctl_control_parse(argc, argv, 1, &c);
    if (status) {
        return status;
    }
    const char *path = c.n_words ? c.words[0] : c.config;
    if (!path || (c.n_words && c.config)) {
        return ctl_misuse("one FILE is wanted");
    }
    status = ctl_config_side(path, &is_connector);
    if (status) {
        return status;
    }
    FILE *to = c.is_json ? ctl_report_open(&report) : ctl_err();
    frun_err err = !to            ? FRUN_E_NOMEM
                   : is_connector ? check_connector(path, to, &o)
                                  : check_gateway(path, to, &o);
    if (c.is_json) {
        status = ctl_json_take(json_pack("{s:s, s:s, s:s, s:o, s:o*}", "file", path, "side",
                                         is_connector ? "connector" : "gateway", "result",
                                         err ? "bad" : "good", "report", ctl_report_take(&report),
                                         "counts", o.counts));
    } else if (!err) {
        (void)printf("%s: good (%s)\n", path, o.text);
        json_decref(o.counts);
    }
    if (err && err != FRUN_E_SYNTAX) {
        return ctl_fail("%s", err_text(err));
    }
    return err ? EX_CONFIG : status;
}
