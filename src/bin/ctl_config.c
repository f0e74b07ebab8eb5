/**
 * frunctl config check and keys.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/buf.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"
#include "frun/conf/ini.h"

#include "ctl.h"

#include <getopt.h>
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

static frun_err check_gateway(const char *path)
{
    struct conf_gw *c = NULL;
    frun_err err = conf_gw_load(path, stderr, &c);
    if (!err) {
        (void)printf(
            "%s: good (gateway: %zu systems, %zu endpoints, %zu pushers, %zu connectors)\n", path,
            c->n_systems, c->n_endpoints, c->n_pushers, c->n_connectors);
    }
    conf_gw_unref(&c);
    return err;
}

static frun_err check_connector(const char *path)
{
    struct conf_cn *c = NULL;
    frun_err err = conf_cn_load(path, stderr, &c);
    if (!err) {
        (void)printf("%s: good (connector: %zu subaccounts, %zu systems)\n", path, c->n_subaccounts,
                     c->n_mappings);
    }
    conf_cn_unref(&c);
    return err;
}

/* FILE, or --config FILE as the daemons have it. */
static int file_of(int argc, char **argv, const char **path)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c != 'c') {
            return EX_USAGE;
        }
        *path = optarg;
    }
    if (!*path && optind < argc) {
        *path = argv[optind++];
    }
    return !*path || optind < argc ? ctl_misuse("one FILE is wanted") : 0;
}

int ctl_config_side(const char *path, bool *is_connector)
{
    struct votes v = {0, 0};
    frun_err err = vote(path, &v);
    if (!err && v.gateway == 0 && v.connector == 0) {
        (void)fprintf(stderr,
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
    const char *path = NULL;
    int status = file_of(argc, argv, &path);
    if (status) {
        return status;
    }
    status = ctl_config_side(path, &is_connector);
    if (status) {
        return status;
    }
    frun_err err = is_connector ? check_connector(path) : check_gateway(path);
    if (err && err != FRUN_E_SYNTAX) {
        return ctl_fail("%s", err_text(err));
    }
    return err ? EX_CONFIG : EXIT_SUCCESS;
}

static void print_keys(const char *side, const struct conf_kind *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < kinds[i].n_rows; j++) {
            (void)printf("%s\t%s\t%s\n", side, kinds[i].word, kinds[i].rows[j].key);
        }
    }
}

int ctl_config_keys(int argc, char **argv)
{
    size_t n;
    (void)argv;
    if (argc != 1) {
        return ctl_misuse("config keys takes no argument");
    }
    const struct conf_kind *kinds = conf_gw_kinds(&n);
    print_keys("gateway", kinds, n);
    kinds = conf_cn_kinds(&n);
    print_keys("connector", kinds, n);
    return EXIT_SUCCESS;
}
