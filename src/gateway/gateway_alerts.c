/**
 * What is an alert of the gateway: connectors without a tunnel, endpoints that are down,
 * certificates, disks, an audit log that is not written.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/gateway/health.h"
#include "frun/gateway/seat.h"

#include <stdio.h>
#include <time.h>

/** Between two looks, milliseconds. */
#define LOOK_MS 5000

struct round {
    const struct gateway *g;
    int64_t now_s;
};

static void on_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct round *r = ctx;
    if (until_s == 0) {
        return; /* there is none */
    }
    alerts_certificate(r->g->alerts, r->g->gen->conf->alert->certificate_days, what, name,
                       until_s - r->now_s);
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
    gateway_certificates(g, on_certificate, &r);
    alerts_disk(g->alerts, conf->gateway->state_directory, conf->alert->disk_free);
    alerts_disk(g->alerts, conf->log->settings.path, conf->alert->disk_free);
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
}

void gateway_alerts_start(struct gateway *g)
{
    deadline_init(&g->look, on_look);
    deadline_set(g->loop, &g->look, LOOK_MS);
}
