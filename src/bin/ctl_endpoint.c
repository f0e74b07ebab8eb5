/**
 * frunctl endpoint: what the managed services are given.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"
#include "ctl_wish.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int load(const char *path, struct conf_gw **c)
{
    frun_err err = conf_gw_load(path, ctl_err(), c);
    if (err == FRUN_E_SYNTAX) {
        return EX_CONFIG;
    }
    return err ? ctl_fail("%s", err_text(err)) : 0;
}

/* Width of the widest of five columns' texts so far. */
static void widen(size_t *widths, const char *const *cells)
{
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(cells[i]);
        widths[i] = n > widths[i] ? n : widths[i];
    }
}

/* As the key "route" writes it. */
static const char *route_name(enum conf_route route)
{
    switch (route) {
    case CONF_ROUTE_TUNNEL:
        return "tunnel";
    case CONF_ROUTE_DIRECT:
        return "direct";
    case CONF_ROUTE_SAP:
        return "sap-connectivity";
    }
    return "";
}

static void cells_of(const struct conf_endpoint *e, const char *cells[5])
{
    cells[0] = e->place.name;
    cells[1] = e->customer_network;
    cells[2] = e->system_name;
    cells[3] = route_name((enum conf_route)e->route);
    cells[4] = e->root_url;
}

static void print_row(const size_t *widths, const char *const *cells)
{
    for (size_t i = 0; i < 4; i++) {
        (void)printf("%-*s  ", (int)widths[i], cells[i]);
    }
    (void)puts(cells[4]);
}

/* Further URLs below the root URL. */
static void print_hosts(const size_t *widths, const struct conf_endpoint *e)
{
    const char *cells[5] = {"", "", "", "", NULL};
    for (size_t i = 0; i < e->host_name.n; i++) {
        cells[4] = e->host_urls[i];
        print_row(widths, cells);
    }
}

static void print_table(const struct conf_gw *c)
{
    static const char *const heads[] = {"NAME", "CUSTOMER NETWORK", "SYSTEM", "ROUTE", "ROOT URL"};
    const char *cells[5];
    size_t widths[4] = {0};
    widen(widths, heads);
    for (size_t i = 0; i < c->n_endpoints; i++) {
        cells_of(c->endpoints[i], cells);
        widen(widths, cells);
    }
    print_row(widths, heads);
    for (size_t i = 0; i < c->n_endpoints; i++) {
        cells_of(c->endpoints[i], cells);
        print_row(widths, cells);
        print_hosts(widths, c->endpoints[i]);
    }
}

static void print_json(const struct conf_gw *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_endpoints; i++) {
        const struct conf_endpoint *e = c->endpoints[i];
        json_t *o =
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", e->place.name, "customer_network",
                      e->customer_network, "system", e->system_name, "route",
                      route_name((enum conf_route)e->route), "root_url", e->root_url);
        json_t *hosts = e->host_name.n ? json_array() : NULL;
        for (size_t k = 0; k < e->host_name.n; k++) {
            (void)json_array_append_new(hosts, json_string(e->host_urls[k]));
        }
        if (hosts) {
            (void)json_object_set_new(o, "host_urls", hosts);
        }
        (void)json_array_append_new(list, o);
    }
    json_t *all = json_pack("{s:o}", "endpoints", list);
    ctl_json_print(all);
    json_decref(all);
}

/* The running daemon knows more than its files; if it cannot be asked they are read. */
int ctl_endpoint_list(int argc, char **argv)
{
    struct ctl_control ctl;
    struct conf_gw *c = NULL;
    bool is_connector = false;
    int status = ctl_control_parse(argc, argv, 0, &ctl);
    if (status) {
        return status;
    }
    ctl.is_quiet = ctl.config != NULL;
    status = ctl.config ? ctl_config_side(ctl.config, &is_connector) : EXIT_SUCCESS;
    if (status) {
        return status;
    }
    if (is_connector) {
        return ctl_misuse("%s is a connector's file; endpoints stand in the gateway's", ctl.config);
    }
    status = ctl_endpoint_live(&ctl);
    if (!status || !ctl.config) {
        return status;
    }
    status = load(ctl.config, &c);
    if (status) {
        return status;
    }
    if (ctl.is_json) {
        print_json(c);
    } else {
        print_table(c);
    }
    conf_gw_unref(&c);
    return EXIT_SUCCESS;
}

static void print_root_url(const struct conf_endpoint *e, bool is_json)
{
    json_t *hosts = json_array();
    if (!is_json) {
        (void)puts(e->root_url);
    }
    for (size_t k = 0; k < e->host_name.n; k++) {
        (void)json_array_append_new(hosts, json_string(e->host_urls[k]));
        if (!is_json) {
            (void)puts(e->host_urls[k]);
        }
    }
    json_t *v = json_pack("{s:s, s:s, s:o}", "endpoint", e->place.name, "root_url", e->root_url,
                          "host_urls", hosts);
    if (is_json) {
        ctl_json_print(v);
    }
    json_decref(v);
}

int ctl_endpoint_root_url(int argc, char **argv)
{
    struct ctl_control ctl;
    struct conf_gw *c = NULL;
    int status = ctl_control_parse(argc, argv, 1, &ctl);
    if (status) {
        return status;
    }
    if (!ctl.config || ctl.n_words == 0) {
        return ctl_misuse(ctl.config ? "the endpoint's NAME is missing"
                                     : "--config FILE is missing");
    }
    status = load(ctl.config, &c);
    if (status) {
        return status;
    }
    const struct conf_endpoint *e = ctl_find_endpoint(c, ctl.words[0]);
    if (e) {
        print_root_url(e, ctl.is_json);
    } else {
        status = ctl_fail("there is no [endpoint %s] in %s; 'frunctl endpoint list' shows all",
                          ctl.words[0], ctl.config);
    }
    conf_gw_unref(&c);
    return status;
}
