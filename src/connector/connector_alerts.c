/**
 * What is an alert of the connector: gateways without a tunnel, certificates, limits and
 * queues, disks, an audit log that is not written.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include <stdio.h>
#include <time.h>

/** Between two looks, milliseconds. */
enum { LOOK_MS = 5000 };

struct round {
    const struct connector *c;
    int64_t now_s;
};

static void on_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct round *r = ctx;
    if (until_s == 0) {
        return; /* there is none */
    }
    alerts_certificate(r->c->alerts, r->c->gen->conf->alert->certificate_days, what, name,
                       until_s - r->now_s);
}

/* Requests against what the tunnels take, helper threads, descriptors. */
static void look_at_limits(const struct connector *c)
{
    const struct conf_alert *conf = c->gen->conf->alert;
    const struct alerts_limit_terms terms = {conf->limit_percent, conf->limit_for_ms};
    struct offload_view v;
    char name[160];
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        struct subaccount_count n = {0};
        subaccount_count(c->subaccounts[i], &n);
        (void)snprintf(name, sizeof(name), "tunnels of %s",
                       subaccount_conf(c->subaccounts[i])->place.name);
        alerts_limit(c->alerts, &terms,
                     &(struct alerts_limit){.name = name,
                                            .used = n.in_flight,
                                            .max = n.max_in_flight,
                                            .what = "requests are under way",
                                            .remedy = "raise max_streams on both sides, or see "
                                                      "why Focused Run is slow"});
    }
    offload_look(c->offload, &v);
    alerts_limit(c->alerts, &terms,
                 &(struct alerts_limit){.name = "resolution of names",
                                        .used = v.queued,
                                        .max = v.max_queued,
                                        .what = "names wait to be resolved",
                                        .remedy = "see whether the name servers answer"});
    alerts_descriptors(c->alerts, &terms);
}

static void on_look(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, look);
    const struct conf_cn *conf = c->gen->conf;
    struct round r = {.c = c, .now_s = (int64_t)time(NULL)};
    struct audit_state audit;
    deadline_set(c->loop, d, LOOK_MS);
    alerts_set_command(c->alerts, conf->alert->command);
    alerts_begin(c->alerts, mono_now_ms());
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        struct subaccount_count n = {0};
        subaccount_count(c->subaccounts[i], &n);
        if (n.open == 0) {
            alerts_tell(c->alerts, &(struct alerts_fact){
                                       .alert = "tunnel-down",
                                       .name = subaccount_conf(c->subaccounts[i])->place.name,
                                       .for_ms = conf->alert->tunnel_for_ms,
                                       .level = 1,
                                       .text = "there is no tunnel to the gateway",
                                       .remedy = "the log says why the last dial failed"});
        }
    }
    look_at_limits(c);
    connector_certificates(c, on_certificate, &r);
    alerts_disk(c->alerts, conf_log_file(conf->log), conf->alert->disk_free);
    alerts_disk(c->alerts, conf_log_access_file(conf->log), conf->alert->disk_free);
    alerts_disk(c->alerts, c->audit ? conf->audit->path : NULL, conf->alert->disk_free);
    audit_look(c->audit, &audit);
    if (audit.is_failing) {
        alerts_tell(c->alerts, &(struct alerts_fact){.alert = "audit-log",
                                                     .name = conf->audit->path,
                                                     .level = 1,
                                                     .text = audit.why,
                                                     .remedy = "make room or mend the disk"});
    }
    alerts_end(c->alerts);
}

void connector_alerts_start(struct connector *c)
{
    deadline_init(&c->look, on_look);
    deadline_set(c->loop, &c->look, LOOK_MS);
}
