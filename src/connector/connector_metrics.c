/**
 * What monitoring reads: /metrics. One thread does everything here, so the text is written in
 * pieces between the tunnels' work.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include "frun/admin/metrics.h"
#include "frun/base/stock.h"

#include <string.h>

static void single(struct admin_metrics *m, const char *name, const char *unit, const char *help,
                   double value)
{
    admin_metrics_family(m, name, "gauge", unit, help);
    admin_metrics_value(m, NULL, 0, value);
}

static bool put_state(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct connector *c = ctx;
    struct admin_metrics_pool pools[] = {{.name = "names"}, {.name = "signatures"}};
    *at = 0; /* in one go */
    admin_metrics_process(m, (double)c->started_s);
    single(m, "in_flight_requests", "", "Requests under way.", (double)connector_in_flight(c));
    single(m, "window_budget_bytes", "bytes", "What HTTP/2 windows may grow by.",
           (double)c->windows.all_bytes);
    single(m, "window_budget_used_bytes", "bytes", "By how much of that they have grown.",
           (double)(c->windows.all_bytes - c->windows.left_bytes));
    single(m, "buffer_stock_bytes", "bytes", "Buffers that are kept for the next use.",
           (double)stock_spare_bytes());
    single(m, "buffer_stock_max_bytes", "bytes", "What is kept at most.", (double)STOCK_MAX_BYTES);
    offload_look(c->offload, &pools[0].view);
    backends_look(c->gen->backends, &pools[1].view);
    admin_metrics_pools(m, pools, sizeof(pools) / sizeof(pools[0]));
    return false;
}

static double number_of(const struct subaccount_count *n, size_t which)
{
    const double all[] = {(double)n->open,          (double)n->wanted, (double)n->in_flight,
                          (double)n->max_in_flight, (double)n->opened, (double)n->failed};
    return all[which];
}

static bool put_tunnels(void *ctx, struct admin_metrics *m, size_t *at)
{
    static const struct {
        const char *name;
        const char *type;
        const char *help;
    } families[] = {{"tunnels", "gauge", "Tunnels that take requests."},
                    {"tunnels_wanted", "gauge", "Tunnels there should be."},
                    {"tunnel_requests", "gauge", "Requests in tunnels that take some."},
                    {"tunnel_max_requests", "gauge", "Requests that they take at a time."},
                    {"tunnels_opened", "counter", "Times a tunnel came to stand."},
                    {"tunnels_failed", "counter",
                     "Times a tunnel was lost or could not be made; it is dialled again."}};
    const struct connector *c = ctx;
    *at = 0; /* in one go */
    for (size_t k = 0; k < sizeof(families) / sizeof(families[0]); k++) {
        admin_metrics_family(m, families[k].name, families[k].type, "", families[k].help);
        for (size_t i = 0; i < c->n_subaccounts; i++) {
            struct subaccount_count n = {0};
            const char *name = subaccount_conf(c->subaccounts[i])->place.name;
            const struct admin_label label = {"subaccount", span_of(name)};
            subaccount_count(c->subaccounts[i], &n);
            admin_metrics_value(m, &label, 1, number_of(&n, k));
        }
    }
    return false;
}

static bool is_shown(void *ctx, struct span name)
{
    const struct connector *c = ctx;
    for (size_t i = 0; i < c->gen->conf->n_mappings; i++) {
        if (span_eq(span_of(c->gen->conf->mappings[i]->place.name), name)) {
            return true;
        }
    }
    return false;
}

static bool put_requests(void *ctx, struct admin_metrics *m, size_t *at)
{
    struct connector *c = ctx;
    const struct admin_metrics_table t = {
        .meter = c->meter,
        .subject = "system",
        .own = "connector",
        .families = ADMIN_METRICS_REQUESTS | ADMIN_METRICS_DENIED | ADMIN_METRICS_DURATION |
                    ADMIN_METRICS_BYTES | ADMIN_METRICS_REPEATS,
        .is_shown = is_shown,
        .ctx = c,
    };
    return admin_metrics_table(m, &t, at);
}

static void put_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct admin_label labels[] = {{"what", span_of(what)}, {"name", span_of(name)}};
    admin_metrics_value(ctx, labels, 2, (double)until_s);
}

static bool put_rest(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct connector *c = ctx;
    *at = 0; /* in one go */
    admin_metrics_family(m, "certificate_expiry_seconds", "gauge", "seconds",
                         "When a certificate ends, seconds since 1970.");
    connector_certificates(c, put_certificate, m);
    alerts_metrics(c->alerts, m);
    return false;
}

static const admin_metrics_part parts[] = {put_state, put_tunnels, put_requests, put_rest};

void connector_metrics(void *ctx, struct admin_request *r)
{
    struct connector *c = ctx;
    admin_metrics_serve(&(struct admin_metrics_job){.loop = c->loop,
                                                    .prefix = "frunconnector_",
                                                    .parts = parts,
                                                    .n_parts = sizeof(parts) / sizeof(parts[0]),
                                                    .stall_ms = ADMIN_LIMITS_DEFAULT.write_ms,
                                                    .ctx = c},
                        r);
}
