/**
 * What administrators see and say through the control socket.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/common.h"
#include "frun/admin/json.h"
#include "frun/base/log.h"
#include "frun/gateway/survey.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* -- the daemon
 * ------------------------------------------------------------------------------------------------
 */

static const char *state_name(const struct gateway *g)
{
    if (atomic_load(&g->shared.is_draining)) {
        return "draining";
    }
    return atomic_load(&g->shared.is_ready) ? "running" : "starting";
}

/* What waits for an answer is not looked at when nobody reads it any more: also because at the
 * daemon's end the workers and what they counted have gone by then. */
static void on_surveyed(void *ctx, const struct survey_part *parts, size_t n)
{
    struct gateway_inquiry *q = ctx;
    if (admin_request_is_gone(q->r)) {
        admin_request_fail(q->r, 503, "nobody asks any more");
    } else {
        q->fn(q, parts, n);
    }
    free(q);
}

void gateway_inquire(struct gateway *g, struct admin_request *r, unsigned what,
                     const char *connector, gateway_inquiry_fn fn)
{
    struct gateway_inquiry *q = malloc(sizeof(*q));
    if (q) {
        *q = (struct gateway_inquiry){g, r, fn};
    }
    if (!q || survey_start(&g->shared, what, connector, on_surveyed, q) != FRUN_OK) {
        free(q);
        admin_request_fail(r, 500, "out of memory");
    }
}

/* { "up": 3, "down": 1 }: how many endpoints are in each state; what is not checked is unknown. */
static json_t *health_counts(const struct gateway *g)
{
    json_int_t counts[ENDPOINT_HEALTHS] = {0};
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->gen->registry, &n);
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++) {
        counts[atomic_load(&all[i].state->health)]++;
    }
    for (enum endpoint_health k = ENDPOINT_UNKNOWN; k < ENDPOINT_HEALTHS; k++) {
        if (counts[k]) {
            admin_json_set(&o, health_word(k), json_integer(counts[k]));
        }
    }
    return o;
}

static void tell_status(const struct gateway_inquiry *q, const struct survey_part *parts, size_t n)
{
    const struct gateway *g = q->g;
    const struct gateway_shared *sh = &g->shared;
    json_int_t waiting = 0;
    bool is_healthy = true;
    for (size_t i = 0; i < n; i++) {
        waiting += (json_int_t)parts[i].n_waiting;
        is_healthy &= parts[i].is_there && parts[i].is_healthy;
    }
    admin_json_answer(
        q->r,
        json_pack("{s:s, s:s, s:i, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}",
                  "daemon", "frunproxyd", "version", FRUN_VERSION, "pid", (int)getpid(), "state",
                  state_name(g), "healthy", (int)is_healthy, "started", g->started,
                  "uptime_seconds", (json_int_t)((mono_now_ms() - g->started_ms) / 1000), "workers",
                  (json_int_t)sh->n_workers, "endpoints", (json_int_t)g->gen->conf->n_endpoints,
                  "pushers", (json_int_t)g->gen->conf->n_pushers, "tunnels",
                  (json_int_t)atomic_load(&sh->n_tunnels), "connections",
                  (json_int_t)atomic_load(&sh->n_connections), "waiting", waiting, "log_level",
                  log_level_name(log_level_now()), "endpoint_health", health_counts(g)));
}

static void get_status(void *ctx, struct admin_request *r)
{
    gateway_inquire(ctx, r, SURVEY_NUMBERS, NULL, tell_status);
}

static void post_drain(void *ctx, struct admin_request *r)
{
    struct gateway *g = ctx;
    log_info("admin", "%s asks to drain", admin_request_peer(r)->name);
    if (!atomic_load(&g->shared.is_draining)) {
        gateway_stop(g);
    }
    admin_json_answer(r, json_pack("{s:s}", "state", state_name(g)));
}

static void get_config(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    size_t n = 0;
    const struct conf_kind *kinds = conf_gw_kinds(&n);
    admin_json_answer(r, admin_common_config(g->gen->conf->doc, kinds, n));
}

/* -- endpoints and pushers
 * ------------------------------------------------------------------------------------- */

static json_t *host_urls(const struct conf_endpoint *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->host_name.n; i++) {
        admin_json_append(&list, json_string(c->host_urls[i]));
    }
    return list;
}

/* Which tunnels carry an endpoint's requests now is not asked here: that is the workers' business.
 */
static json_t *endpoint_json(const struct gateway *g, const struct endpoint *e)
{
    const struct conf_endpoint *c = e->conf;
    struct meter_sum sum;
    uint64_t classes[METER_CLASSES] = {0};
    meter_of(g->shared.meter, e->serial, &sum);
    for (size_t i = 0; i < METER_CLASSES; i++) {
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            classes[i] += sum.requests[i][k];
        }
    }
    json_t *o = json_pack(
        "{s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}",
        "name", admin_json_text(c->place.name), "customer_network",
        admin_json_text(c->customer_network), "system", c->system_name, "logical_system",
        c->logical_system ? c->logical_system : "", "route", count_route_name((unsigned)c->route),
        "root_url", c->root_url, "description", admin_json_text(c->description), "requests",
        (json_int_t)sum.all, "ok", (json_int_t)classes[2], "client_errors", (json_int_t)classes[4],
        "server_errors", (json_int_t)classes[5], "unanswered", (json_int_t)classes[0], "bytes_in",
        (json_int_t)sum.bytes_in, "bytes_out", (json_int_t)sum.bytes_out, "p50_ms",
        meter_quantile_ms(sum.total_buckets, 500), "p95_ms",
        meter_quantile_ms(sum.total_buckets, 950), "seconds_in_all", (double)sum.total_us / 1e6);
    struct series_errors errors;
    series_errors(g->series, e->name, &sum, &errors);
    admin_json_set(&o, "errors_6h", json_integer((json_int_t)errors.all));
    admin_json_set(&o, "errors_15min", json_integer((json_int_t)errors.late));
    admin_json_set(&o, "road", json_string(switchover_name(switchover_now(e))));
    admin_json_set(&o, "health",
                   json_string(health_word((enum endpoint_health)atomic_load(&e->state->health))));
    if (c->host_name.n) {
        admin_json_set(&o, "host_urls", host_urls(c));
    }
    if (c->location_id) {
        admin_json_set(&o, "location_id", json_string(c->location_id));
    }
    if (c->virtual_host) {
        admin_json_set(&o, "virtual_host", json_string(c->virtual_host));
    }
    return o;
}

static void get_endpoints(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->gen->registry, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        admin_json_append(&list, endpoint_json(g, &all[i]));
    }
    admin_json_answer(r, json_pack("{s:o}", "endpoints", list));
}

static const struct {
    const char *name;
    enum meter_origin origin;
} origins[] = {{"focused-run", METER_ORIGIN_BACKEND},
               {"connector", METER_ORIGIN_CONNECTOR},
               {"sap-connectivity", METER_ORIGIN_SAP},
               {"gateway", METER_ORIGIN_OWN},
               {"nobody", METER_ORIGIN_NONE}};

/* { "2xx": { "focused-run": 4 } } */
static json_t *answers_json(const struct meter_sum *sum)
{
    static const char *const classes[METER_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    json_t *all = json_object();
    for (size_t i = 0; i < METER_CLASSES; i++) {
        json_t *one = json_object();
        for (size_t k = 0; k < sizeof(origins) / sizeof(origins[0]); k++) {
            uint64_t n = sum->requests[i][origins[k].origin];
            if (n) {
                admin_json_set(&one, origins[k].name, json_integer((json_int_t)n));
            }
        }
        if (json_object_size(one)) {
            admin_json_set(&all, classes[i], one);
        } else {
            json_decref(one);
        }
    }
    return all;
}

/* { "no_tunnel": 3 } */
static json_t *denials_json(const struct meter_sum *sum)
{
    json_t *o = json_object();
    for (enum meter_denial i = METER_DENIAL_NONE; i < METER_DENIALS; i++) {
        if (sum->denials[i]) {
            admin_json_set(&o, meter_denial_word(i), json_integer((json_int_t)sum->denials[i]));
        }
    }
    return o;
}

static void get_endpoint(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    struct span name = admin_request_param(r, 0);
    const struct endpoint *e = registry_endpoint_named(g->gen->registry, name);
    struct meter_sum sum;
    struct health_report h;
    if (!e) {
        admin_request_fail(r, 404, "there is no endpoint \"%.*s\"", SPAN_FMT(name));
        return;
    }
    json_t *o = endpoint_json(g, e);
    json_t *pushers = json_array();
    for (size_t i = 0; i < g->gen->conf->n_pushers; i++) {
        const struct pusher *p =
            registry_pusher_named(g->gen->registry, span_of(g->gen->conf->pushers[i]->place.name));
        if (p && registry_may(p, e)) {
            admin_json_append(&pushers, json_string(p->conf->place.name));
        }
    }
    meter_of(g->shared.meter, e->serial, &sum);
    admin_json_set(&o, "pushers", pushers);
    admin_json_set(&o, "answers", answers_json(&sum));
    admin_json_set(&o, "denials", denials_json(&sum));
    admin_json_set(&o, "repeats", json_integer((json_int_t)sum.repeats));
    health_read(g->health, e->index, &h);
    if (h.cause[0]) {
        admin_json_set(&o, "found", admin_json_text(h.cause));
        admin_json_set(&o, "remedy", admin_json_text(h.remedy));
    }
    admin_json_answer(r, o);
}

static json_t *system_json(const struct gateway *g, const struct conf_system *s)
{
    static const char *const roles[] = {"production", "quality", "development",
                                        "test",       "demo",    "training"};
    json_int_t n = 0;
    for (size_t i = 0; i < g->gen->conf->n_endpoints; i++) {
        n += g->gen->conf->endpoints[i]->system == s;
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:I}", "name", s->place.name,
                     "system_id", s->system_id, "client", s->client, "role", roles[s->role],
                     "logon_url", admin_json_text(s->logon_url ? s->logon_url : ""), "virtual_host",
                     s->virtual_host ? s->virtual_host : "", "location_id",
                     s->location_id ? s->location_id : "", "route",
                     count_route_name((unsigned)s->route), "installation_number",
                     s->installation_number ? s->installation_number : "", "endpoints", n);
}

static void get_systems(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    json_t *list = json_array();
    for (size_t i = 0; i < g->gen->conf->n_systems; i++) {
        admin_json_append(&list, system_json(g, g->gen->conf->systems[i]));
    }
    admin_json_answer(r, json_pack("{s:o}", "systems", list));
}

static void get_pushers(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    json_t *list = json_array();
    for (size_t i = 0; i < g->gen->conf->n_pushers; i++) {
        const struct conf_pusher *p = g->gen->conf->pushers[i];
        json_t *endpoints = json_array();
        json_t *ways = json_array();
        for (size_t k = 0; k < p->endpoint.n; k++) {
            admin_json_append(&endpoints, json_string(p->endpoint.items[k]));
        }
        for (size_t k = 0; k < p->auth.n; k++) {
            admin_json_append(&ways, json_string(p->auth.items[k]));
        }
        admin_json_append(&list, json_pack("{s:s, s:b, s:o, s:o, s:I, s:I}", "name", p->place.name,
                                           "enabled", (int)p->is_enabled, "auth", ways, "endpoints",
                                           endpoints, "max_requests_per_second",
                                           (json_int_t)p->max_requests_per_second, "max_in_flight",
                                           (json_int_t)p->max_in_flight));
    }
    admin_json_answer(r, json_pack("{s:o}", "pushers", list));
}

/* -- requests and certificates
 * --------------------------------------------------------------------------------- */

static void tell_requests(const struct gateway_inquiry *q, const struct survey_part *parts,
                          size_t n)
{
    struct admin_recent_entry *all = malloc((n + 1) * ADMIN_RECENT_MAX * sizeof(*all));
    size_t have = 0;
    for (size_t i = 0; all && i < n; i++) {
        if (parts[i].n_recent) {
            memcpy(all + have, parts[i].recent, parts[i].n_recent * sizeof(*all));
            have += parts[i].n_recent;
        }
    }
    json_t *list = all ? admin_recent_json(all, have) : NULL;
    free(all);
    admin_json_answer(q->r, list ? json_pack("{s:o}", "requests", list) : NULL);
}

static void get_requests(void *ctx, struct admin_request *r)
{
    gateway_inquire(ctx, r, SURVEY_RECENT, NULL, tell_requests);
}

static void add_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    admin_json_append(ctx, admin_common_certificate(what, name, until_s));
}

static void tell_crl(const struct tls_ctx *t, const char *name, gateway_crl_fn fn, void *ctx)
{
    struct tls_validity v = t ? tls_crl_validity(t) : (struct tls_validity){0, 0};
    if (v.until) {
        fn(ctx, name, v);
    }
}

void gateway_crls(const struct gateway *g, gateway_crl_fn fn, void *ctx)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->gen->registry, &n);
    tell_crl(g->gen->front_tls, "gateway", fn, ctx);
    tell_crl(g->gen->tunnel_tls, "tunnel", fn, ctx);
    for (size_t i = 0; i < n; i++) {
        if (all[i].conf->client_crl) {
            tell_crl(all[i].front_tls, all[i].conf->place.name, fn, ctx);
        }
    }
}

/* Lists stand among the certificates for whoever shows them all. */
struct crl_as_certificate {
    gateway_certificate_fn fn;
    void *ctx;
};

static void on_crl(void *ctx, const char *name, struct tls_validity v)
{
    const struct crl_as_certificate *x = ctx;
    x->fn(x->ctx, "client-crl", name, v.until);
}

void gateway_certificates(const struct gateway *g, gateway_certificate_fn fn, void *ctx)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->gen->registry, &n);
    if (g->gen->front_tls) {
        fn(ctx, "front", "gateway", tls_own_validity(g->gen->front_tls).until);
        if (tls_ca_validity(g->gen->front_tls).until) {
            fn(ctx, "client-ca", "gateway", tls_ca_validity(g->gen->front_tls).until);
        }
    }
    if (g->gen->tunnel_tls) {
        fn(ctx, "tunnel", "tunnel", tls_own_validity(g->gen->tunnel_tls).until);
        fn(ctx, "client-ca", "tunnel", tls_ca_validity(g->gen->tunnel_tls).until);
    }
    if (admin_door_until(g->gen->door)) {
        fn(ctx, "admin", "status page", admin_door_until(g->gen->door));
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = all[i].conf->place.name;
        if (all[i].front_tls) {
            fn(ctx, "front", name, tls_own_validity(all[i].front_tls).until);
            if (all[i].conf->client_ca && tls_ca_validity(all[i].front_tls).until) {
                fn(ctx, "client-ca", name, tls_ca_validity(all[i].front_tls).until);
            }
        }
        if (all[i].backend_tls && tls_ca_validity(all[i].backend_tls).until) {
            fn(ctx, "backend-ca", name, tls_ca_validity(all[i].backend_tls).until);
        }
        if (all[i].backend_tls && tls_own_validity(all[i].backend_tls).until) {
            fn(ctx, "system", name, tls_own_validity(all[i].backend_tls).until);
        }
    }
    for (size_t i = 0; i < g->gen->n_seats; i++) {
        struct seat_news news;
        seat_read(g->gen->seats[i], &news);
        if (news.until_s) {
            fn(ctx, "connector", seat_name(g->gen->seats[i]), news.until_s);
        }
    }
    gateway_crls(g, on_crl, &(struct crl_as_certificate){fn, ctx});
}

static void get_certificates(void *ctx, struct admin_request *r)
{
    json_t *list = json_array();
    gateway_certificates(ctx, add_certificate, &list);
    admin_json_answer(r, json_pack("{s:o}", "certificates", list));
}

/* -- another configuration
 * ------------------------------------------------------------------------------------- */

static void post_reload(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    reload_ask(g->reload, r);
}

static void get_diff(void *ctx, struct admin_request *r)
{
    const struct gateway *g = ctx;
    reload_preview(g->reload, r);
}

/* -- the socket
 * ------------------------------------------------------------------------------------------------
 */

static const struct admin_route routes[] = {
    {"GET", "/metrics", false, gateway_metrics},
    {"GET", "/api/v1/status", false, get_status},
    {"GET", "/api/v1/config", false, get_config},
    {"GET", "/api/v1/endpoints", false, get_endpoints},
    {"GET", "/api/v1/endpoints/{name}", false, get_endpoint},
    {"GET", "/api/v1/systems", false, get_systems},
    {"GET", "/api/v1/pushers", false, get_pushers},
    {"GET", "/api/v1/connectors", false, gateway_get_connectors},
    {"POST", "/api/v1/connectors/{name}/drain", true, gateway_drain_connector},
    {"GET", "/api/v1/tunnels", false, gateway_get_tunnels},
    {"GET", "/api/v1/requests", false, get_requests},
    {"GET", "/api/v1/certificates", false, get_certificates},
    {"POST", "/api/v1/drain", true, post_drain},
    {"POST", "/api/v1/reload", true, post_reload},
    {"GET", "/api/v1/config/diff", false, get_diff},
};

/* What a page that is open listens to. */
static const struct events_topic topics[] = {
    {"status", "/api/v1/status", 1000, NULL},
    {"endpoints", "/api/v1/endpoints", 2000, "name"},
    {"health", "/api/v1/health?steady=1", 2000, "endpoint"},
    {"tunnels", "/api/v1/tunnels?steady=1", 2000, "address"},
    {"connectors", "/api/v1/connectors", 2000, "name"},
    {"requests", "/api/v1/requests", 1000, NULL},
    {"alerts", "/api/v1/alerts", 2000, NULL},
    {"systems", "/api/v1/systems", 10000, NULL},
    {"certificates", "/api/v1/certificates", 60000, NULL},
    {"series", "/api/v1/series?name=", 20000, NULL},
};

frun_err gateway_admin_open(struct gateway *g, struct diag *d)
{
    mono_wall_text(g->started);
    g->started_ms = mono_now_ms();
    g->started_s = time(NULL);
    frun_err err = admin_server_new(g->loop, &ADMIN_LIMITS_DEFAULT, &g->admin);
    if (!err) {
        admin_server_audit(g->admin, g->shared.audit);
        err = admin_server_add(g->admin, routes, sizeof(routes) / sizeof(routes[0]), g);
    }
    if (!err) {
        err = admin_common_add(g->admin);
    }
    err = err ? err : gateway_checks_open(g);
    err = err ? err : alerts_new(g->loop, "frunproxyd", &g->alerts);
    err = err ? err : alerts_serve(g->alerts, g->admin);
    err = err ? err : series_new(g->shared.meter, &g->series);
    err = err ? err : series_serve(g->series, g->admin);
    err = err ? err
              : events_new(g->loop, g->admin, topics, sizeof(topics) / sizeof(topics[0]),
                           &EVENTS_TIMES_DEFAULT, &g->events);
    if (err) {
        diag_set(d, "%s", err_text(err));
        return err;
    }
    series_start(g->series, g->loop);
    gateway_alerts_start(g);
    const struct conf_admin *conf = g->gen->conf->admin;
    err = admin_control_start(g->loop, g->admin, conf, &g->control, d);
    return err ? err : admin_web_start(g->loop, g->admin, conf, g->gen->door, &g->web, d);
}

void gateway_admin_close(struct gateway *g)
{
    admin_control_free(g->control);
    admin_web_stop(g->web);
    admin_server_free(g->admin);
    admin_web_free(g->web);
    events_free(g->events);
    series_free(g->series);
    if (g->alerts) {
        deadline_clear(&g->look);
    }
    alerts_free(g->alerts);
    g->alerts = NULL;
    g->events = NULL;
    g->series = NULL;
    g->web = NULL;
    g->control = NULL;
    g->admin = NULL;
}
