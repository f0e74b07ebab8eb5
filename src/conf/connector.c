/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"

#include "frun/conf/check.h"
#include "schema_int.h"

#include <stdlib.h>
#include <string.h>

/* The load under way: sections are still writable. */
struct work {
    struct conf_doc *d;
    struct conf_connector *connector;
    struct conf_subaccount **subaccounts;
    size_t n_subaccounts;
    struct conf_mapping **mappings;
    size_t n_mappings;
    struct conf_resource **resources;
    size_t n_resources;
    bool is_starved;
};

static void check_connector(const struct work *w)
{
    const struct conf_connector *c = w->connector;
    conf_order_check(w->d, c, "retry_min", "retry_max", c->retry_min_ms > c->retry_max_ms);
}

static void check_subaccounts(const struct work *w)
{
    for (size_t i = 0; i < w->n_subaccounts; i++) {
        struct conf_subaccount *s = w->subaccounts[i];
        conf_pair_check(w->d, s, "certificate", "private_key");
        conf_pair_check(w->d, s, "proxy_user", "proxy_password");
        if (conf_key_given(w->d, s, "proxy_user") && !conf_key_given(w->d, s, "proxy")) {
            conf_issue_add(w->d, true, s, "proxy_user", "needs proxy too");
        }
        if (w->connector && !s->certificate) {
            s->certificate = w->connector->certificate;
            s->private_key = w->connector->private_key;
        }
    }
}

/* The name behind "system" taken apart; the check of the name complained already if it is bad. */
static void name_mapping(const struct work *w, struct conf_mapping *m)
{
    struct span host;
    unsigned port;
    if (!conf_check_authority(span_of(m->place.name), &host, &port)) {
        m->virtual_host = "";
        return;
    }
    char lower[256];
    for (size_t i = 0; i < host.n && i < sizeof(lower); i++) {
        bool is_upper = host.p[i] >= 'A' && host.p[i] <= 'Z';
        lower[i] = (char)(is_upper ? host.p[i] + ('a' - 'A') : host.p[i]);
    }
    m->virtual_host = conf_text(w->d, "%.*s", (int)host.n, lower);
    m->virtual_port = port ? port : 443;
}

/* An IPv6 address may be written with brackets or without; inside we have it without. */
static void name_internal_host(const struct work *w, struct conf_mapping *m)
{
    struct span host = span_of(m->internal_host);
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        m->internal_host = conf_text(w->d, "%.*s", (int)(host.n - 2), host.p + 1);
    }
}

static void check_principals(const struct work *w, const struct conf_mapping *m)
{
    static const char *const rest[] = {"principal_subject", "principal_lifetime"};
    conf_pair_check(w->d, m, "principal_ca_certificate", "principal_ca_key");
    for (size_t i = 0; i < 2 && !m->principal_ca_certificate; i++) {
        if (conf_key_given(w->d, m, rest[i])) {
            conf_issue_add(w->d, true, m, rest[i], "needs principal_ca_certificate too");
        }
    }
    if (!m->principal_ca_certificate) {
        return;
    }
    if (m->principal_type != 1) {
        conf_issue_add(w->d, true, m, "principal_ca_certificate",
                       "needs principal_type = X.509 Certificate");
    }
    if (m->protocol != 0 || !m->system_certificate) {
        conf_issue_add(
            w->d, true, m, "principal_ca_certificate",
            "needs protocol = HTTPS and system_certificate: who pushes is told only over "
            "a connection on which both sides have shown a certificate");
    }
}

static void check_mapping(const struct work *w, struct conf_mapping *m)
{
    name_internal_host(w, m);
    conf_pair_check(w->d, m, "system_certificate", "system_private_key");
    check_principals(w, m);
    if (m->protocol == 0 && !conf_key_given(w->d, m, "backend_ca")) {
        conf_issue_add(w->d, true, m, "backend_ca",
                       "is missing: protocol HTTPS trusts no certificate without it");
    }
    if (m->system_certificate_for_logon && !conf_key_given(w->d, m, "system_certificate")) {
        conf_issue_add(w->d, true, m, "system_certificate_for_logon",
                       "needs system_certificate and system_private_key");
    }
    if (m->basic_credentials == 1 && !m->system_certificate_for_logon &&
        !m->principal_ca_certificate) {
        conf_issue_add(w->d, false, m, "basic_credentials",
                       "drop without system_certificate_for_logon: nothing logs on to this system");
    }
    if (m->system_certificate_for_logon && m->protocol != 0) {
        conf_issue_add(w->d, true, m, "system_certificate_for_logon",
                       "needs protocol = HTTPS: plain HTTP shows no certificate");
    }
}

static bool is_same_place(const struct conf_mapping *a, const struct conf_mapping *b)
{
    return a->virtual_port == b->virtual_port && a->virtual_host[0] &&
           strcmp(a->virtual_host, b->virtual_host) == 0;
}

static void check_mappings(const struct work *w)
{
    for (size_t i = 0; i < w->n_mappings; i++) {
        struct conf_mapping *m = w->mappings[i];
        name_mapping(w, m);
        check_mapping(w, m);
        for (size_t j = 0; j < i; j++) {
            if (is_same_place(m, w->mappings[j])) {
                conf_issue_add(w->d, true, m, NULL,
                               "is the same virtual host and port as [system %s]; remove one",
                               w->mappings[j]->place.name);
            }
        }
    }
    if (w->n_mappings == 0 && w->connector) {
        conf_issue_add(w->d, false, w->connector, NULL,
                       "no [system VHOST:PORT] section: every request is denied");
    }
}

/* Does the resource belong to the mapping? */
static bool is_of(const struct conf_resource *r, const struct conf_mapping *m)
{
    struct span host;
    unsigned port;
    return r->system && conf_check_authority(span_of(r->system), &host, &port) &&
           m->virtual_port == (port ? port : 443) && span_eq_nocase(host, span_of(m->virtual_host));
}

static void add_resources(struct work *w, struct conf_mapping *m, bool *is_owned)
{
    const struct conf_resource **list =
        arena_alloc(conf_arena(w->d), (w->n_resources + 1) * sizeof(*list));
    size_t active = 0;
    if (!list) {
        w->is_starved = true;
        return;
    }
    for (size_t i = 0; i < w->n_resources; i++) {
        const struct conf_resource *r = w->resources[i];
        if (!is_of(r, m)) {
            continue;
        }
        is_owned[i] = true;
        active += r->active ? 1 : 0;
        for (size_t j = 0; r->path && j < m->n_resources; j++) {
            if (list[j]->path && strcmp(list[j]->path, r->path) == 0) {
                conf_issue_add(w->d, true, r, "path", "is that of [resource %s] too; join the two",
                               list[j]->place.name);
            }
        }
        list[m->n_resources++] = r;
    }
    m->resources = list;
    if (active == 0) {
        conf_issue_add(w->d, false, m, NULL,
                       "has no active [resource NAME]: every request to it is denied");
    }
}

static void resolve_resources(struct work *w)
{
    bool *is_owned = calloc(w->n_resources + 1, sizeof(*is_owned));
    if (!is_owned) {
        w->is_starved = true;
        return;
    }
    for (size_t i = 0; i < w->n_mappings && !w->is_starved; i++) {
        add_resources(w, w->mappings[i], is_owned);
    }
    for (size_t i = 0; i < w->n_resources && !w->is_starved; i++) {
        if (!is_owned[i] && w->resources[i]->system) {
            conf_issue_add(w->d, true, w->resources[i], "system", "there is no [system %s]",
                           w->resources[i]->system);
        }
    }
    free(is_owned);
}

/* Everything that no single row can see. */
static void cross_check(struct work *w)
{
    size_t n;
    void **one = conf_sections_open(w->d, "connector", &n);
    w->connector = n ? one[0] : NULL;
    w->subaccounts = conf_sections_open(w->d, "subaccount", &w->n_subaccounts);
    w->mappings = conf_sections_open(w->d, "system", &w->n_mappings);
    w->resources = conf_sections_open(w->d, "resource", &w->n_resources);
    if (w->connector) {
        check_connector(w);
    }
    check_subaccounts(w);
    check_mappings(w);
    resolve_resources(w);
}

frun_err conf_cn_load(const char *path, FILE *report, struct conf_cn **out)
{
    size_t n_kinds;
    const struct conf_kind *kinds = conf_cn_kinds(&n_kinds);
    struct work w = {0};
    const struct conf_log *log = NULL;
    const struct conf_admin *admin = NULL;
    const struct conf_audit *audit = NULL;
    frun_err err = conf_load(path, kinds, n_kinds, &w.d);
    if (err == FRUN_E_NOMEM) {
        return err;
    }
    cross_check(&w);
    struct conf_cn *c = calloc(1, sizeof(*c));
    const struct conf_alert *alert = conf_alert_resolve(w.d);
    w.is_starved |= !alert;
    err = c ? conf_conclude(w.d, w.is_starved, report, &log, &admin, &audit) : FRUN_E_NOMEM;
    if (err) {
        free(c);
        conf_free(w.d);
        return err;
    }
    *c = (struct conf_cn){
        .doc = w.d,
        .connector = w.connector,
        .log = log,
        .admin = admin,
        .audit = audit,
        .alert = alert,
        .subaccounts = (const struct conf_subaccount *const *)w.subaccounts,
        .n_subaccounts = w.n_subaccounts,
        .mappings = (const struct conf_mapping *const *)w.mappings,
        .n_mappings = w.n_mappings,
        .refs = 1,
    };
    *out = c;
    return FRUN_OK;
}

struct conf_cn *conf_cn_ref(struct conf_cn *c)
{
    (void)__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void conf_cn_unref(struct conf_cn **c)
{
    struct conf_cn *gone = *c;
    *c = NULL;
    if (gone && __atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        conf_free(gone->doc);
        free(gone);
    }
}
