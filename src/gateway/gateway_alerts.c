/**
 * What is an alert of the gateway: connectors without a tunnel, endpoints that are down,
 * certificates, limits and queues, disks, an audit log that is not written.
 *
 * What only the workers know they are asked for in each look, and it is taken into account in the
 * next one: a worker that hangs must not keep the others' alerts back.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/gateway/health.h"
#include "frun/gateway/seat.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/** Between two looks, milliseconds. */
#define LOOK_MS 5000

/** Looks between two at the tunnels: each is copied for it. */
#define TUNNELS_EVERY 3

/** Remaining life of a revocation list that is late, seconds. */
#define CRL_LATE_S 86400

struct round {
    const struct gateway *g;
    int64_t now_s;
};

static void on_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct round *r = ctx;
    if (until_s == 0 || strcmp(what, "client-crl") == 0) {
        return; /* there is none; lists have an alert of their own */
    }
    alerts_certificate(r->g->alerts, r->g->gen->conf->alert->certificate_days, what, name,
                       until_s - r->now_s);
}

/* A list lives for days or weeks: it is late when a tenth of its life is left, a day at most. Once
 * it has ended its CA's certificates are refused. */
static void on_crl(void *ctx, const char *name, struct tls_validity v)
{
    const struct round *r = ctx;
    char text[160];
    int64_t left_s = v.until - r->now_s;
    int64_t tenth_s = v.from && v.from < v.until ? (v.until - v.from) / 10 : CRL_LATE_S;
    if (left_s > (tenth_s < CRL_LATE_S ? tenth_s : CRL_LATE_S)) {
        return;
    }
    if (left_s <= 0) {
        (void)snprintf(text, sizeof(text),
                       "a revocation list has expired: client certificates of its CA are refused");
    } else {
        (void)snprintf(text, sizeof(text), "a revocation list expires in %lld minute(s)",
                       (long long)(left_s / 60));
    }
    alerts_tell(r->g->alerts,
                &(struct alerts_fact){.alert = "crl-expiry",
                                      .name = name,
                                      .level = left_s <= 0 ? 2 : 1,
                                      .text = text,
                                      .remedy = "put the CA's newer list into client_crl"});
}

static void look_at_connectors(const struct gateway *g)
{
    const struct generation *gen = g->gen;
    for (size_t i = 0; i < gen->n_seats; i++) {
        if (seat_sum(gen->seats[i]) == 0) {
            alerts_tell(g->alerts,
                        &(struct alerts_fact){
                            .alert = "tunnel-down",
                            .name = seat_name(gen->seats[i]),
                            .for_ms = gen->conf->alert->tunnel_for_ms,
                            .level = 1,
                            .text = "the connector has no tunnel to this gateway",
                            .remedy = "see its log on the customer's side, and whether it runs"});
        }
    }
}

static void look_at_endpoints(const struct gateway *g)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->gen->registry, &n);
    for (size_t i = 0; i < n; i++) {
        struct health_report h;
        health_read(g->health, i, &h);
        if (!h.is_checked || (h.state != ENDPOINT_DOWN && h.state != ENDPOINT_PARKED)) {
            continue;
        }
        alerts_tell(g->alerts, &(struct alerts_fact){
                                   .alert = "endpoint-down",
                                   .name = all[i].conf->place.name,
                                   .for_ms = g->gen->conf->alert->endpoint_for_ms,
                                   .level = 1,
                                   .text = h.cause[0] ? h.cause : "its checks fail",
                                   .remedy = "'frunctl endpoint check NAME' walks its road"});
    }
}

/* -- limits
 * -------------------------------------------------------------------------------------------------
 */

static void keep_crowded(struct gateway_load *load, const struct gateway_connectors *c)
{
    load->n_crowded = 0;
    for (size_t i = 0; i < c->n && load->n_crowded < GATEWAY_MAX_CROWDED; i++) {
        const struct gateway_connector *x = &c->all[i];
        if (x->max_in_flight && x->in_flight * 2 >= x->max_in_flight) {
            struct gateway_crowd *to = &load->crowded[load->n_crowded++];
            (void)snprintf(to->name, sizeof(to->name), "tunnels of %s", seat_name(x->seat));
            to->used = x->in_flight;
            to->max = x->max_in_flight;
        }
    }
}

static void on_surveyed(void *ctx, const struct survey_part *parts, size_t n)
{
    struct gateway *g = ctx;
    struct gateway_load *load = &g->load;
    struct gateway_connectors c;
    load->is_asked = false;
    if (!g->alerts) {
        return; /* the daemon has ended */
    }
    load->waiting = 0;
    for (size_t i = 0; i < n; i++) {
        load->waiting = parts[i].n_waiting > load->waiting ? parts[i].n_waiting : load->waiting;
    }
    if (load->looks % TUNNELS_EVERY == 1 &&
        gateway_connectors_new(g->gen, parts, n, &c) == FRUN_OK) {
        keep_crowded(load, &c);
        gateway_connectors_done(&c);
    }
}

static void ask_workers(struct gateway *g)
{
    struct gateway_load *load = &g->load;
    if (load->is_asked) {
        return;
    }
    unsigned what = load->looks++ % TUNNELS_EVERY == 0 ? SURVEY_TUNNELS : SURVEY_NUMBERS;
    load->is_asked = survey_start(&g->shared, what, NULL, on_surveyed, g) == FRUN_OK;
}

static void look_at_pool(const struct gateway *g, const struct alerts_limit_terms *terms,
                         const char *name, const struct offload_view *v)
{
    alerts_limit(g->alerts, terms,
                 &(struct alerts_limit){.name = name,
                                        .used = v->queued,
                                        .max = v->max_queued,
                                        .what = "jobs wait for a helper thread",
                                        .remedy = "see what takes so long, and who asks so much"});
}

static void look_at_pools(const struct gateway *g, const struct alerts_limit_terms *terms)
{
    struct offload_view v;
    offload_look(g->shared.hashers, &v);
    look_at_pool(g, terms, "verification of passwords", &v);
    offload_look(g->shared.resolvers, &v);
    look_at_pool(g, terms, "resolution of names", &v);
    token_office_look(g->shared.tokens, &v);
    look_at_pool(g, terms, "fetching of access tokens", &v);
}

static void look_at_load(const struct gateway *g, const struct alerts_limit_terms *terms)
{
    const struct conf_gateway *c = g->gen->conf->gateway;
    alerts_limit(g->alerts, terms,
                 &(struct alerts_limit){.name = "front-door connections",
                                        .used = atomic_load(&g->shared.n_connections),
                                        .max = c->max_connections,
                                        .what = "connections are open",
                                        .remedy = "raise max_connections, or see who keeps them"});
    alerts_limit(g->alerts, terms,
                 &(struct alerts_limit){.name = "waiting requests",
                                        .used = g->load.waiting,
                                        .max = c->max_waiting,
                                        .what = "requests wait in one worker",
                                        .remedy = "see which endpoint or connector is slow"});
    for (size_t i = 0; i < g->load.n_crowded; i++) {
        const struct gateway_crowd *x = &g->load.crowded[i];
        alerts_limit(g->alerts, terms,
                     &(struct alerts_limit){.name = x->name,
                                            .used = x->used,
                                            .max = x->max,
                                            .what = "requests are in the connector's tunnels",
                                            .remedy = "raise max_streams on both sides, or see "
                                                      "why Focused Run is slow"});
    }
}

/* A place that is taken is no alert; somebody who waits for it all the time is. */
static void look_at_quota(const struct gateway *g, size_t i, const char *kind, const char *of)
{
    struct quota_view v;
    char name[160];
    char text[160];
    quota_look(quota_get(g->gen->quotas, i), &v);
    if (v.waiting == 0) {
        return;
    }
    (void)snprintf(name, sizeof(name), "%s %s", kind, of);
    int n = snprintf(text, sizeof(text), "%zu request(s) wait for their turn", v.waiting);
    if (v.max_in_flight && n > 0) {
        (void)snprintf(text + n, sizeof(text) - (size_t)n, ", %zu of %zu are under way",
                       v.in_flight, v.max_in_flight);
    }
    alerts_tell(g->alerts,
                &(struct alerts_fact){
                    .alert = "limit-reached",
                    .name = name,
                    .for_ms = g->gen->conf->alert->limit_for_ms,
                    .level = 1,
                    .text = text,
                    .remedy = "raise max_in_flight or max_requests_per_second, or see why Focused "
                              "Run is slow"});
}

static void look_at_quotas(const struct gateway *g)
{
    const struct conf_gw *c = g->gen->conf;
    for (size_t i = 0; i < c->n_pushers; i++) {
        look_at_quota(g, i, "pusher", c->pushers[i]->place.name);
    }
    for (size_t i = 0; i < c->n_endpoints; i++) {
        look_at_quota(g, c->n_pushers + i, "endpoint", c->endpoints[i]->place.name);
    }
}

static void look_at_limits(const struct gateway *g)
{
    const struct conf_alert *c = g->gen->conf->alert;
    const struct alerts_limit_terms terms = {c->limit_percent, c->limit_for_ms};
    if (c->limit_percent) {
        look_at_load(g, &terms);
        look_at_pools(g, &terms);
        look_at_quotas(g);
        alerts_descriptors(g->alerts, &terms);
    }
}

/* -- a look
 * -------------------------------------------------------------------------------------------------
 */

static void on_look(struct deadline *d)
{
    struct gateway *g = list_entry(d, struct gateway, look);
    const struct conf_gw *conf = g->gen->conf;
    struct round r = {.g = g, .now_s = (int64_t)time(NULL)};
    struct audit_state audit;
    deadline_set(g->loop, d, LOOK_MS);
    alerts_set_command(g->alerts, conf->alert->command);
    alerts_begin(g->alerts, mono_now_ms());
    look_at_connectors(g);
    look_at_endpoints(g);
    look_at_limits(g);
    gateway_certificates(g, on_certificate, &r);
    gateway_crls(g, on_crl, &r);
    alerts_disk(g->alerts, conf->gateway->state_directory, conf->alert->disk_free);
    alerts_disk(g->alerts, conf_log_file(conf->log), conf->alert->disk_free);
    alerts_disk(g->alerts, conf_log_access_file(conf->log), conf->alert->disk_free);
    alerts_disk(g->alerts, g->shared.audit ? conf->audit->path : NULL, conf->alert->disk_free);
    audit_look(g->shared.audit, &audit);
    if (audit.is_failing) {
        alerts_tell(g->alerts, &(struct alerts_fact){.alert = "audit-log",
                                                     .name = conf->audit->path,
                                                     .level = 1,
                                                     .text = audit.why,
                                                     .remedy = "make room or mend the disk"});
    }
    alerts_end(g->alerts);
    ask_workers(g);
}

void gateway_alerts_start(struct gateway *g)
{
    deadline_init(&g->look, on_look);
    deadline_set(g->loop, &g->look, LOOK_MS);
}
