/**
 * frunctl pusher: the command line of its commands, and the list.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_pusher.h"

#include "frun/base/span.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* "24h", "30m", "7d", "90s", "0" */
static bool parse_grace(const char *text, uint64_t *out)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct span s = span_of(text);
    uint64_t factor = s.n == 1 && s.p[0] == '0' ? 1 : 0;
    uint64_t n = 0;
    for (size_t i = 0; s.n && i < sizeof(units) / sizeof(units[0]); i++) {
        if (s.p[s.n - 1] == units[i].unit) {
            factor = units[i].seconds;
            s.n--;
            break;
        }
    }
    if (!factor || span_to_u64(s, &n) || n > 366 * (uint64_t)86400) {
        return false;
    }
    *out = n * factor;
    return *out <= 366 * (uint64_t)86400;
}

static int set_option(struct ctl_pusher_ask *a, int c, const char *value)
{
    switch (c) {
    case 'c':
        a->config = value;
        break;
    case 'e':
        a->endpoint = value;
        break;
    case 'C':
        a->certificate = value;
        break;
    case 'P':
        a->pki = value;
        break;
    case 'f':
        a->is_forced = true;
        break;
    case 'p':
        a->is_password = true;
        break;
    case 'x':
        a->is_x509 = true;
        break;
    case 'j':
        a->is_json = true;
        break;
    case 'g':
        return parse_grace(value, &a->grace_s)
                   ? 0
                   : ctl_misuse("'%s' is no time like 24h, 30m or 7d, at most a year", value);
    default:
        return EX_USAGE;
    }
    return 0;
}

int ctl_pusher_parse(int argc, char **argv, const char *allowed, struct ctl_pusher_ask *a)
{
    static const struct option all[] = {{"config", required_argument, NULL, 'c'},
                                        {"endpoint", required_argument, NULL, 'e'},
                                        {"grace", required_argument, NULL, 'g'},
                                        {"force", no_argument, NULL, 'f'},
                                        {"password", no_argument, NULL, 'p'},
                                        {"x509", no_argument, NULL, 'x'},
                                        {"certificate", required_argument, NULL, 'C'},
                                        {"pki", required_argument, NULL, 'P'},
                                        {"json", no_argument, NULL, 'j'},
                                        {NULL, 0, NULL, 0}};
    int c;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while ((c = getopt_long(argc, argv, "c:", all, NULL)) != -1) {
        if (c != '?' && !strchr(allowed, c)) {
            return ctl_misuse("an option does not belong to this command");
        }
        int status = set_option(a, c, optarg);
        if (status) {
            return status;
        }
    }
    if ((a->certificate || a->pki) && !a->is_x509) {
        return ctl_misuse("--certificate and --pki belong to --x509");
    }
    if ((a->certificate && a->pki) || (a->is_password && a->is_x509)) {
        return ctl_misuse("only one of --certificate and --pki, of --password and --x509");
    }
    if (!a->config) {
        return ctl_misuse("--config FILE is missing");
    }
    if (optind < argc && strchr(allowed, 'e')) {
        a->name = argv[optind++];
    }
    if (strchr(allowed, 'e') && !a->name) {
        return ctl_misuse("the pusher's NAME is missing");
    }
    return optind < argc ? ctl_misuse("'%s' is one argument too many", argv[optind]) : 0;
}

int ctl_pusher_load(const char *path, FILE *report, struct conf_gw **c)
{
    frun_err err = conf_gw_load(path, report, c);
    if (err == FRUN_E_SYNTAX) {
        return EX_CONFIG;
    }
    return err ? ctl_fail("%s", err_text(err)) : 0;
}

/* What it is known by where it proves itself. */
static const char *known_as(const struct conf_pusher *p)
{
    if (p->ways & CONF_AUTH_OAUTH2) {
        return p->client_id;
    }
    if (p->ways & CONF_AUTH_JWT) {
        return p->token_client.n ? p->token_client.items[0] : p->token_subject.items[0];
    }
    return p->user ? p->user : "-";
}

static void print_pusher(const struct conf_pusher *p)
{
    char ways[64] = "";
    size_t n = 0;
    for (size_t i = 0; i < p->auth.n && n < sizeof(ways); i++) {
        n += (size_t)snprintf(ways + n, sizeof(ways) - n, "%s%s", i ? ", " : "", p->auth.items[i]);
    }
    size_t n_certificates =
        p->certificate_subject.n + p->certificate_san.n + p->certificate_sha256.n;
    (void)printf("%-20s %-8s %-14s %-24s ", p->place.name, p->is_enabled ? "enabled" : "disabled",
                 ways, known_as(p));
    for (size_t i = 0; i < p->endpoint.n; i++) {
        (void)printf("%s%s", i ? ", " : "", p->endpoint.items[i]);
    }
    if (p->ways & CONF_AUTH_OAUTH2 && !p->secret.hash && !n_certificates) {
        (void)printf("  (no secret yet)");
    }
    if (n_certificates) {
        (void)printf("  (known by %zu certificate line%s)", n_certificates,
                     n_certificates == 1 ? "" : "s");
    }
    if (p->old_certificate_until) {
        (void)printf("  (old certificate until %s)", p->old_certificate_until);
    }
    if (p->secret.until) {
        (void)printf("  (old secret until %s)", p->secret.until);
    }
    if (p->password.until) {
        (void)printf("  (old password until %s)", p->password.until);
    }
    (void)puts("");
}

/* Nothing that proves anything: no hash, no secret. */
static json_t *pusher_json(const struct conf_pusher *p)
{
    json_t *ways = json_array();
    json_t *endpoints = json_array();
    for (size_t i = 0; i < p->auth.n; i++) {
        (void)json_array_append_new(ways, json_string(p->auth.items[i]));
    }
    for (size_t i = 0; i < p->endpoint.n; i++) {
        (void)json_array_append_new(endpoints, json_string(p->endpoint.items[i]));
    }
    return json_pack("{s:s, s:b, s:o, s:s, s:o, s:b, s:b, s:s*, s:s*, s:s*}", "name", p->place.name,
                     "enabled", p->is_enabled, "auth", ways, "known_as", known_as(p), "endpoints",
                     endpoints, "has_password", p->password.hash != NULL, "has_client_secret",
                     p->secret.hash != NULL, "old_secret_until", p->secret.until,
                     "old_password_until", p->password.until, "old_certificate_until",
                     p->old_certificate_until);
}

static void print_all_json(const struct conf_gw *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_pushers; i++) {
        (void)json_array_append_new(list, pusher_json(c->pushers[i]));
    }
    json_t *all = json_pack("{s:o}", "pushers", list);
    ctl_json_print(all);
    json_decref(all);
}

int ctl_pusher_list(int argc, char **argv)
{
    struct ctl_pusher_ask a = {.name = NULL};
    struct conf_gw *c = NULL;
    int status = ctl_pusher_parse(argc, argv, "cj", &a);
    status = status ? status : ctl_pusher_load(a.config, ctl_err(), &c);
    if (status) {
        return status;
    }
    if (a.is_json) {
        print_all_json(c);
        conf_gw_unref(&c);
        return EXIT_SUCCESS;
    }
    (void)printf("%-20s %-8s %-14s %-24s %s\n", "NAME", "STATE", "AUTH", "CLIENT ID OR USER",
                 "ENDPOINTS");
    for (size_t i = 0; i < c->n_pushers; i++) {
        print_pusher(c->pushers[i]);
    }
    conf_gw_unref(&c);
    return EXIT_SUCCESS;
}
