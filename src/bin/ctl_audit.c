/**
 * frunctl audit verify: is the audit log whole? And what its commands share.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_audit.h"

#include "frun/base/chain.h"
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_out.h"
#include "ctl_wish.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* "NUMBER:HASH", as verify prints it. */
static bool parse_expect(const char *text, struct chain_end *out)
{
    struct span s = span_of(text);
    size_t n = span_find(s, ':');
    if (n + 1 + CHAIN_HASH_BYTES - 1 != s.n || span_to_u64(span_head(s, n), &out->seq) ||
        out->seq == 0) {
        return false;
    }
    memcpy(out->hash, s.p + n + 1, CHAIN_HASH_BYTES);
    return true;
}

static int take(struct ctl_audit_ask *a, int o)
{
    switch (o) {
    case 'c':
        a->config = optarg;
        return EXIT_SUCCESS;
    case 'k':
        a->key_file = optarg;
        return EXIT_SUCCESS;
    case 'j':
        a->is_json = true;
        return EXIT_SUCCESS;
    case 's':
        a->since = optarg;
        return EXIT_SUCCESS;
    case 'u':
        a->until = optarg;
        return EXIT_SUCCESS;
    case 'e':
        a->event = optarg;
        return EXIT_SUCCESS;
    case 'x':
        return parse_expect(optarg, &a->expect)
                   ? EXIT_SUCCESS
                   : ctl_misuse("--expect takes NUMBER:HASH, as 'frunctl audit verify' prints it");
    default:
        return EX_USAGE;
    }
}

int ctl_audit_parse(int argc, char **argv, bool is_show, struct ctl_audit_ask *a)
{
    static const struct option for_verify[] = {{"config", required_argument, NULL, 'c'},
                                               {"key", required_argument, NULL, 'k'},
                                               {"expect", required_argument, NULL, 'x'},
                                               {"json", no_argument, NULL, 'j'},
                                               {NULL, 0, NULL, 0}};
    static const struct option for_show[] = {
        {"config", required_argument, NULL, 'c'}, {"since", required_argument, NULL, 's'},
        {"until", required_argument, NULL, 'u'},  {"event", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},         {NULL, 0, NULL, 0}};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (int o; (o = getopt_long(argc, argv, "", is_show ? for_show : for_verify, NULL)) != -1;) {
        int status = take(a, o);
        if (status) {
            return status;
        }
    }
    for (; optind < argc; optind++) {
        if (a->n_files == CTL_AUDIT_FILES) {
            return ctl_misuse("'%s' is one argument too many", argv[optind]);
        }
        a->files[a->n_files++] = argv[optind];
    }
    return EXIT_SUCCESS;
}

/* The file and the key that a configuration names, whichever daemon's it is. */
static int use_config(struct ctl_audit_ask *a)
{
    const struct conf_audit *conf = NULL;
    struct ctl_wish secrets = {.change = {.config = a->config}};
    int status = ctl_wish_folder(&secrets); /* the key may be one of systemd's credentials */
    if (status) {
        return status;
    }
    if (conf_gw_load(a->config, NULL, &a->gw) == FRUN_OK) {
        conf = a->gw->audit;
    } else if (conf_cn_load(a->config, NULL, &a->cn) == FRUN_OK) {
        conf = a->cn->audit;
    }
    if (!conf) {
        (void)ctl_fail("%s cannot be read or is not good; 'frunctl config check %s' tells why",
                       a->config, a->config);
        return EX_CONFIG;
    }
    if (a->n_files == 0) {
        a->files[a->n_files++] = conf->path;
    }
    if (conf->key && !a->key && secret_new(secret_span(conf->key), &a->key)) {
        return ctl_fail("out of memory");
    }
    return EXIT_SUCCESS;
}

int ctl_audit_prepare(struct ctl_audit_ask *a)
{
    struct diag d = {.text = ""};
    if (a->key_file) {
        char where[4096];
        (void)snprintf(where, sizeof(where), "file:%s", a->key_file);
        if (secret_fetch(where, NULL, &a->key, NULL, &d)) {
            return ctl_fail("%s", d.text);
        }
    }
    if (a->config) {
        return use_config(a);
    }
    if (a->n_files == 0) {
        bool is_connector = access(CONF_AUDIT_GATEWAY_FILE, F_OK) != 0 &&
                            access(CONF_AUDIT_CONNECTOR_FILE, F_OK) == 0;
        a->files[a->n_files++] = is_connector ? CONF_AUDIT_CONNECTOR_FILE : CONF_AUDIT_GATEWAY_FILE;
    }
    return EXIT_SUCCESS;
}

void ctl_audit_done(struct ctl_audit_ask *a)
{
    secret_free(a->key);
    conf_gw_unref(&a->gw);
    conf_cn_unref(&a->cn);
    json_decref(a->list);
}

struct chain_check ctl_audit_check(struct ctl_audit_ask *a, const char *file)
{
    return (struct chain_check){.path = file,
                                .key = a->key ? secret_span(a->key) : (struct span){0},
                                .expect = a->expect,
                                .ctx = a};
}

/* -- verify
 * -------------------------------------------------------------------------------------------------
 */

static void on_fault(void *ctx, const char *file, uint64_t line, const char *why)
{
    struct ctl_audit_ask *a = ctx;
    if (a->is_json) {
        (void)json_array_append_new(a->list, json_pack("{s:s, s:I, s:s}", "file", file, "line",
                                                       (json_int_t)line, "why", why));
    } else if (line) {
        (void)printf("%s:%" PRIu64 ": %s\n", file, line, why);
    } else {
        (void)printf("%s: %s\n", file, why);
    }
}

static int verify(struct ctl_audit_ask *a, const char *file)
{
    struct diag d = {.text = ""};
    struct chain_check c = ctl_audit_check(a, file);
    c.fault = on_fault;
    json_decref(a->list);
    a->list = json_array();
    if (chain_verify(&c, &d)) {
        if (!a->is_json) {
            return ctl_fail("%s", d.text);
        }
        on_fault(a, file, 0, d.text);
        c.n_faults++;
    }
    if (a->is_json) {
        (void)json_array_append_new(
            a->all, json_pack("{s:s, s:b, s:I, s:I, s:s, s:O}", "file", file, "good",
                              (int)(c.n_faults == 0), "records", (json_int_t)c.n_records, "last",
                              (json_int_t)c.end.seq, "hash", c.end.hash, "faults", a->list));
    } else if (c.n_faults == 0) {
        (void)printf("%s: good: %" PRIu64 " record(s), the last one is %" PRIu64 ":%s\n", file,
                     c.n_records, c.end.seq, c.end.hash);
    } else {
        (void)printf("%s: NOT good: %" PRIu64 " fault(s) in %" PRIu64 " record(s)\n", file,
                     c.n_faults, c.n_records);
    }
    return c.n_faults ? EXIT_FAILURE : EXIT_SUCCESS;
}

int ctl_audit_verify(int argc, char **argv)
{
    struct ctl_audit_ask a = {.is_json = false};
    int status = ctl_audit_parse(argc, argv, false, &a);
    status = status ? status : ctl_audit_prepare(&a);
    a.all = status ? NULL : json_array();
    for (size_t i = 0; i < a.n_files && (!status || status == EXIT_FAILURE); i++) {
        int one = verify(&a, a.files[i]);
        status = one ? one : status;
    }
    if (a.is_json && a.all) {
        ctl_json_take(json_pack("{s:b, s:O}", "good", (int)!status, "files", a.all));
    }
    json_decref(a.all);
    ctl_audit_done(&a);
    return status;
}
