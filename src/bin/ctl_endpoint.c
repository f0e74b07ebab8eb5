/**
 * frunctl endpoint: what the managed services are given.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* --config FILE and at most one word beside it. */
static int parse(int argc, char **argv, const char **config, const char **word)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c != 'c') {
            return EX_USAGE;
        }
        *config = optarg;
    }
    if (!*config) {
        return ctl_misuse("--config FILE is missing");
    }
    if (optind < argc && word) {
        *word = argv[optind++];
    }
    return optind < argc ? ctl_misuse("'%s' is one argument too many", argv[optind]) : 0;
}

static int load(const char *path, struct conf_gw **c)
{
    frun_err err = conf_gw_load(path, stderr, c);
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
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", e->place.name, "customer_network",
                            e->customer_network, "system", e->system_name, "route",
                            route_name((enum conf_route)e->route), "root_url", e->root_url));
    }
    json_t *all = json_pack("{s:o}", "endpoints", list);
    ctl_control_print(all);
    json_decref(all);
}

/* The running daemon knows more than its files; if it cannot be asked they are read. */
int ctl_endpoint_list(int argc, char **argv)
{
    struct ctl_control ctl;
    struct conf_gw *c = NULL;
    int status = ctl_control_parse(argc, argv, 0, &ctl);
    if (status) {
        return status;
    }
    ctl.is_quiet = ctl.config != NULL;
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

int ctl_endpoint_root_url(int argc, char **argv)
{
    const char *config = NULL;
    const char *name = NULL;
    struct conf_gw *c = NULL;
    int status = parse(argc, argv, &config, &name);
    if (status) {
        return status;
    }
    if (!name) {
        return ctl_misuse("the endpoint's NAME is missing");
    }
    status = load(config, &c);
    if (status) {
        return status;
    }
    status = -1;
    for (size_t i = 0; i < c->n_endpoints && status < 0; i++) {
        if (strcmp(c->endpoints[i]->place.name, name) == 0) {
            (void)puts(c->endpoints[i]->root_url);
            for (size_t k = 0; k < c->endpoints[i]->host_name.n; k++) {
                (void)puts(c->endpoints[i]->host_urls[k]);
            }
            status = EXIT_SUCCESS;
        }
    }
    if (status < 0) {
        status = ctl_fail("there is no [endpoint %s] in %s; 'frunctl endpoint list' shows all",
                          name, config);
    }
    conf_gw_unref(&c);
    return status;
}
