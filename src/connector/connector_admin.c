/**
 * What administrators see and say through the control socket.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include "frun/admin/common.h"
#include "frun/admin/json.h"
#include "frun/base/log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *state_name(const struct connector *c)
{
    return c->is_draining ? "draining" : "running";
}

static void get_status(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    struct subaccount_count n = {0};
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        subaccount_count(c->subaccounts[i], &n);
    }
    json_t *v = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "daemon",
        "frunconnector", "version", FRUN_VERSION, "name", c->gen->conf->connector->name, "instance",
        c->instance, "pid", (int)getpid(), "state", state_name(c), "healthy", (int)(n.open > 0),
        "started", c->started, "uptime_seconds",
        (json_int_t)((mono_now_ms() - c->started_ms) / 1000), "subaccounts",
        (json_int_t)c->gen->conf->n_subaccounts, "systems", (json_int_t)c->gen->conf->n_mappings,
        "tunnels", (json_int_t)n.open, "tunnels_wanted", (json_int_t)n.wanted, "in_flight",
        (json_int_t)connector_in_flight(c), "log_level", log_level_name(log_level_now()));
    admin_json_answer(r, v);
}

static void on_drain(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, drain_asked);
    if (!c->is_draining) {
        connector_stop(c);
    }
}

/* Nothing may be in flight, and then the loop stops at once: the answer goes out first. */
static void post_drain(void *ctx, struct admin_request *r)
{
    struct connector *c = ctx;
    log_info("admin", "%s asks to drain", admin_request_peer(r)->name);
    deadline_set(c->loop, &c->drain_asked, 1);
    admin_json_answer(r, json_pack("{s:s}", "state", "draining"));
}

static void get_config(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    size_t n = 0;
    const struct conf_kind *kinds = conf_cn_kinds(&n);
    admin_json_answer(r, admin_common_config(c->gen->conf->doc, kinds, n));
}

/* Tunnels of one membership on their way into an array. */
struct gathering {
    const struct connector *c;
    const struct conf_subaccount *conf;
    json_t **list;
    bool is_steady; /* nothing that changes by itself is wanted */
};

static void on_tunnel(void *ctx, const struct subaccount_tunnel *t)
{
    const struct gathering *g = ctx;
    double age_s = t->open_since ? (double)(loop_now_ms(g->c->loop) - t->open_since) / 1000.0 : 0.0;
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:o, s:s}", "subaccount", g->conf->place.name,
        "gateway", t->gateway, "location_id", g->conf->location_id ? g->conf->location_id : "",
        "state", t->state, "in_flight", (json_int_t)t->in_flight, "max_in_flight",
        (json_int_t)t->max_in_flight, "since", t->since, "rtt_ms", admin_json_ms(t->rtt_us),
        "last_error", admin_json_text(t->why), "last_error_time", t->why_at);
    if (!g->is_steady) {
        admin_json_set(&o, "age_seconds", json_real(age_s));
    }
    admin_json_append(g->list, o);
}

static void get_tunnels(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    bool is_steady = span_eq(admin_request_query(r, "steady"), SPAN_LIT("1"));
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        struct gathering g = {c, subaccount_conf(c->subaccounts[i]), &list, is_steady};
        subaccount_look(c->subaccounts[i], on_tunnel, &g);
    }
    admin_json_answer(r, json_pack("{s:o}", "tunnels", list));
}

static void get_subaccounts(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        const struct conf_subaccount *s = subaccount_conf(c->subaccounts[i]);
        struct subaccount_count n = {0};
        json_t *gateways = json_array();
        for (size_t k = 0; k < s->gateway.n; k++) {
            admin_json_append(&gateways, json_string(s->gateway.items[k]));
        }
        subaccount_count(c->subaccounts[i], &n);
        admin_json_append(&list, json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "name",
                                           s->place.name, "state", n.open ? "connected" : "away",
                                           "location_id", s->location_id ? s->location_id : "",
                                           "gateways", gateways, "tunnels", (json_int_t)n.open,
                                           "tunnels_wanted", (json_int_t)n.wanted, "draining",
                                           (json_int_t)n.draining, "opened", (json_int_t)n.opened,
                                           "failed", (json_int_t)n.failed));
    }
    admin_json_answer(r, json_pack("{s:o}", "subaccounts", list));
}

/* What all memberships together did with a resource, or with a system. */
static struct usage_row used(const struct connector *c, const char *system, const char *resource)
{
    struct usage_row sum = {0};
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        const char *name = subaccount_conf(c->subaccounts[i])->place.name;
        const struct usage_row *u = usage_find(c->usage, name, system, resource);
        sum.calls += u ? u->calls : 0;
        sum.denied += u ? u->denied : 0;
    }
    return sum;
}

static json_t *resources_json(const struct connector *c, const struct conf_mapping *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_resources; i++) {
        const struct conf_resource *x = m->resources[i];
        admin_json_append(
            &list,
            json_pack("{s:s, s:s, s:s, s:b, s:I}", "name", x->place.name, "path", x->path, "policy",
                      x->policy ? "path-and-all-sub-paths" : "path-only", "active", (int)x->active,
                      "requests", (json_int_t)used(c, m->place.name, x->place.name).calls));
    }
    return list;
}

static void get_systems(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    json_t *list = json_array();
    for (size_t i = 0; i < c->gen->conf->n_mappings; i++) {
        const struct conf_mapping *m = c->gen->conf->mappings[i];
        struct meter_sum sum;
        meter_of(c->meter, c->gen->serials[i], &sum);
        json_int_t errors = 0;
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            errors += (json_int_t)(sum.requests[5][k] + sum.requests[0][k]);
        }
        admin_json_append(
            &list,
            json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:I}",
                      "name", m->place.name, "internal_host", m->internal_host, "internal_port",
                      (json_int_t)m->internal_port, "protocol", m->protocol ? "HTTP" : "HTTPS",
                      "sid", m->sid ? m->sid : "", "requests", (json_int_t)sum.all, "server_errors",
                      errors, "bytes_in", (json_int_t)sum.bytes_in, "bytes_out",
                      (json_int_t)sum.bytes_out, "p50_ms",
                      meter_quantile_ms(sum.total_buckets, 500), "p95_ms",
                      meter_quantile_ms(sum.total_buckets, 950), "seconds_in_all",
                      (double)sum.total_us / 1e6, "resources", resources_json(c, m), "denied",
                      (json_int_t)used(c, m->place.name, NULL).denied));
    }
    admin_json_answer(r, json_pack("{s:o}", "systems", list));
}

static void get_requests(void *ctx, struct admin_request *r)
{
    const struct connector *c = ctx;
    struct admin_recent_entry *all = malloc(ADMIN_RECENT_MAX * sizeof(*all));
    size_t n = all ? admin_recent_copy(&c->recent, all) : 0;
    json_t *list = all ? admin_recent_json(all, n) : NULL;
    free(all);
    admin_json_answer(r, list ? json_pack("{s:o}", "requests", list) : NULL);
}

struct showing {
    connector_certificate_fn fn;
    void *ctx;
    const char *subaccount;
};

static void on_gateway(void *ctx, const char *gateway, int64_t until_s)
{
    const struct showing *s = ctx;
    char name[256];
    (void)snprintf(name, sizeof(name), "%s at %s", s->subaccount, gateway);
    s->fn(s->ctx, "gateway", name, until_s);
}

void connector_certificates(const struct connector *c, connector_certificate_fn fn, void *ctx)
{
    const struct trust *t = c->gen->trust;
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        struct showing s = {fn, ctx, subaccount_conf(c->subaccounts[i])->place.name};
        subaccount_certificates(c->subaccounts[i], on_gateway, &s);
    }
    for (size_t i = 0; i < t->n_subaccounts; i++) {
        const char *name = c->gen->conf->subaccounts[i]->place.name;
        if (t->subaccounts[i]) {
            fn(ctx, "connector", name, tls_own_validity(t->subaccounts[i]).until);
            fn(ctx, "gateway-ca", name, tls_ca_validity(t->subaccounts[i]).until);
        }
    }
    for (size_t i = 0; i < t->n_mappings; i++) {
        const char *name = c->gen->conf->mappings[i]->place.name;
        struct tls_ctx *x = t->mappings[i];
        if (x && tls_ca_validity(x).until) {
            fn(ctx, "backend-ca", name, tls_ca_validity(x).until);
        }
        if (x && tls_own_validity(x).until) {
            fn(ctx, "system", name, tls_own_validity(x).until);
        }
        if (t->cas[i]) {
            fn(ctx, "principal-ca", name, shortcert_ca_until(t->cas[i]));
        }
    }
}

static void add_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    admin_json_append(ctx, admin_common_certificate(what, name, until_s));
}

static void get_certificates(void *ctx, struct admin_request *r)
{
    json_t *list = json_array();
    connector_certificates(ctx, add_certificate, &list);
    admin_json_answer(r, json_pack("{s:o}", "certificates", list));
}

static void post_reload(void *ctx, struct admin_request *r)
{
    struct connector *c = ctx;
    char cause[CONNECTOR_CAUSE_BYTES];
    if (c->is_draining) {
        admin_request_fail(r, 503, "the connector is stopping");
        return;
    }
    (void)snprintf(cause, sizeof(cause), "asked by %s", admin_request_peer(r)->name);
    admin_reloading_ask(&c->told, r);
    connector_reload(c, cause);
}

static void get_diff(void *ctx, struct admin_request *r)
{
    connector_preview(ctx, r);
}

static const struct admin_route routes[] = {
    {"GET", "/metrics", false, connector_metrics},
    {"POST", "/api/v1/reload", true, post_reload},
    {"GET", "/api/v1/config/diff", false, get_diff},
    {"GET", "/api/v1/status", false, get_status},
    {"GET", "/api/v1/config", false, get_config},
    {"GET", "/api/v1/subaccounts", false, get_subaccounts},
    {"GET", "/api/v1/tunnels", false, get_tunnels},
    {"GET", "/api/v1/systems", false, get_systems},
    {"GET", "/api/v1/requests", false, get_requests},
    {"GET", "/api/v1/certificates", false, get_certificates},
    {"POST", "/api/v1/drain", true, post_drain},
};

/* What a page that is open listens to. */
static const struct events_topic topics[] = {
    {"status", "/api/v1/status", 1000, NULL},
    {"subaccounts", "/api/v1/subaccounts", 2000, NULL},
    {"tunnels", "/api/v1/tunnels?steady=1", 2000, NULL},
    {"systems", "/api/v1/systems", 2000, NULL},
    {"requests", "/api/v1/requests", 1000, NULL},
    {"alerts", "/api/v1/alerts", 2000, NULL},
    {"certificates", "/api/v1/certificates", 60000, NULL},
    {"series", "/api/v1/series?name=", 20000, NULL},
};

frun_err connector_admin_open(struct connector *c, struct diag *d)
{
    mono_wall_text(c->started);
    c->started_ms = mono_now_ms();
    c->started_s = time(NULL);
    deadline_init(&c->drain_asked, on_drain);
    frun_err err = admin_server_new(c->loop, &ADMIN_LIMITS_DEFAULT, &c->admin);
    if (!err) {
        admin_server_audit(c->admin, c->audit);
        err = admin_server_add(c->admin, routes, sizeof(routes) / sizeof(routes[0]), c);
    }
    if (!err) {
        err = admin_common_add(c->admin);
    }
    err = err ? err : connector_scc_open(c);
    err = err ? err : alerts_new(c->loop, "frunconnector", &c->alerts);
    err = err ? err : alerts_serve(c->alerts, c->admin);
    err = err ? err : series_new(c->meter, &c->series);
    err = err ? err : series_serve(c->series, c->admin);
    err = err ? err
              : events_new(c->loop, c->admin, topics, sizeof(topics) / sizeof(topics[0]),
                           &EVENTS_TIMES_DEFAULT, &c->events);
    if (err) {
        diag_set(d, "%s", err_text(err));
        return err;
    }
    series_start(c->series, c->loop);
    connector_alerts_start(c);
    const struct conf_admin *conf = c->gen->conf->admin;
    err = admin_control_start(c->loop, c->admin, conf, &c->control, d);
    return err ? err : admin_web_start(c->loop, c->admin, conf, c->gen->trust->door, &c->web, d);
}

void connector_admin_close(struct connector *c)
{
    deadline_clear(&c->drain_asked);
    admin_control_free(c->control);
    admin_web_stop(c->web);
    admin_server_free(c->admin);
    admin_web_free(c->web);
    events_free(c->events);
    series_free(c->series);
    if (c->alerts) {
        deadline_clear(&c->look);
    }
    alerts_free(c->alerts);
    c->alerts = NULL;
    c->events = NULL;
    c->series = NULL;
    c->web = NULL;
    c->control = NULL;
    c->admin = NULL;
}
