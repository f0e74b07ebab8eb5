/**
 * What monitoring reads: /metrics.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/metrics.h"

static const char *const class_names[METER_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

static const char *const origin_names[METER_ORIGINS] = {"none", "focused-run", "connector",
                                                        "sap-connectivity", "gateway"};

/* Rows are told once for each family: what stands together in the text. */
enum family { REQUESTS, DENIALS, DURATION, UPSTREAM, BYTES_IN, BYTES_OUT, REPEATS };

struct teller {
    struct admin_metrics *m;
    enum family family;
};

static void tell_requests(struct admin_metrics *m, struct admin_label *labels,
                          const struct meter_sum *sum)
{
    for (size_t i = 0; i < METER_CLASSES; i++) {
        for (size_t k = 0; k < METER_ORIGINS; k++) {
            if (sum->requests[i][k]) {
                labels[2] = (struct admin_label){"code", span_of(class_names[i])};
                labels[3] = (struct admin_label){"origin", span_of(origin_names[k])};
                admin_metrics_value(m, labels, 4, (double)sum->requests[i][k]);
            }
        }
    }
}

static void tell_denials(struct admin_metrics *m, struct admin_label *labels,
                         const struct meter_sum *sum)
{
    for (enum meter_denial i = METER_DENIAL_NONE; i < METER_DENIALS; i++) {
        if (sum->denials[i]) {
            labels[2] = (struct admin_label){"reason", span_of(meter_denial_word(i))};
            admin_metrics_value(m, labels, 3, (double)sum->denials[i]);
        }
    }
}

static void on_row(void *ctx, struct span name, unsigned variant, const struct meter_sum *sum)
{
    const struct teller *t = ctx;
    /* Real names hold no brackets: these two cannot be taken for one. */
    struct span shown = !name.p ? SPAN_LIT("(none)") : name.n ? name : SPAN_LIT("(other)");
    struct admin_label labels[4] = {{"endpoint", shown},
                                    {"route", span_of(count_route_name(variant))}};
    switch (t->family) {
    case REQUESTS:
        tell_requests(t->m, labels, sum);
        break;
    case DENIALS:
        tell_denials(t->m, labels, sum);
        break;
    case DURATION:
        admin_metrics_histogram(t->m, labels, 2, sum->total_buckets, sum->total_us);
        break;
    case UPSTREAM:
        admin_metrics_histogram(t->m, labels, 2, sum->upstream_buckets, sum->upstream_us);
        break;
    case BYTES_IN:
        admin_metrics_value(t->m, labels, 2, (double)sum->bytes_in);
        break;
    case BYTES_OUT:
        admin_metrics_value(t->m, labels, 2, (double)sum->bytes_out);
        break;
    case REPEATS:
        admin_metrics_value(t->m, labels, 2, (double)sum->repeats);
        break;
    }
}

static void put_requests(struct admin_metrics *m, const struct gateway *g)
{
    static const struct {
        enum family family;
        const char *name;
        const char *type;
        const char *unit;
        const char *help;
    } families[] = {
        {REQUESTS, "requests", "counter", "", "Ended requests by status class and who answered."},
        {DENIALS, "denials", "counter", "",
         "Requests that did not come to Focused Run, by reason."},
        {DURATION, "request_duration_seconds", "histogram", "seconds",
         "Head received to answer handed over."},
        {UPSTREAM, "upstream_duration_seconds", "histogram", "seconds",
         "Request sent on to head of the answer."},
        {BYTES_IN, "request_body_bytes", "counter", "bytes", "Octets of request bodies."},
        {BYTES_OUT, "answer_body_bytes", "counter", "bytes", "Octets of answer bodies."},
        {REPEATS, "repeats", "counter", "", "Times a request was sent on again."},
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        struct teller t = {m, families[i].family};
        admin_metrics_family(m, families[i].name, families[i].type, families[i].unit,
                             families[i].help);
        meter_each(g->shared.meter, on_row, &t);
    }
}

static void single(struct admin_metrics *m, const char *name, const char *type, const char *help,
                   double value)
{
    admin_metrics_family(m, name, type, "", help);
    admin_metrics_value(m, NULL, 0, value);
}

static void put_counts(struct admin_metrics *m, const struct gateway *g)
{
    uint64_t sums[6] = {0};
    static const char *const results[] = {"fetched", "kept", "lost"};
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        const struct count *c = &g->shared.workers[i]->count;
        const meter_count *all[6] = {&c->connections,    &c->handshakes,     &c->handshakes_failed,
                                     &c->tunnels_opened, &c->tunnels_closed, &c->tunnels_refused};
        for (size_t k = 0; k < 6; k++) {
            sums[k] += meter_get(all[k]);
        }
    }
    single(m, "connections_accepted", "counter", "Connections accepted at the front door.",
           (double)sums[0]);
    single(m, "handshakes", "counter", "TLS handshakes done at the front door.", (double)sums[1]);
    single(m, "handshakes_failed", "counter", "TLS handshakes that failed there.", (double)sums[2]);
    single(m, "tunnels_opened", "counter", "Tunnels that came to stand.", (double)sums[3]);
    single(m, "tunnels_closed", "counter", "Tunnels that ended.", (double)sums[4]);
    single(m, "tunnels_refused", "counter", "Connectors that were turned away.", (double)sums[5]);
    admin_metrics_family(m, "token_fetches", "counter", "",
                         "Access tokens: fetched, not renewed but still valid, or not to be had.");
    for (size_t i = 0; i < 3; i++) {
        const struct admin_label result = {"result", span_of(results[i])};
        admin_metrics_value(m, &result, 1, (double)atomic_load(&g->shared.token_fetches[i]));
    }
}

static void put_tunnels(struct admin_metrics *m, const struct gateway *g,
                        const struct survey_part *parts, size_t n)
{
    const struct conf_gw *c = g->gen->conf;
    admin_metrics_family(m, "tunnels", "gauge", "", "Tunnels that take requests.");
    for (size_t i = 0; i < c->n_connectors; i++) {
        const char *name = c->connectors[i]->place.name;
        const struct admin_label label = {"connector", span_of(name)};
        double open = 0;
        for (size_t w = 0; w < n; w++) {
            for (size_t k = 0; k < parts[w].n_tunnels; k++) {
                const struct hub_view *t = &parts[w].tunnels[k];
                open += !t->is_draining && span_eq(span_of(t->connector_name), label.value);
            }
        }
        admin_metrics_value(m, &label, 1, open);
    }
}

static void put_state(struct admin_metrics *m, const struct gateway *g,
                      const struct survey_part *parts, size_t n)
{
    double waiting = 0;
    double orphans = 0;
    bool is_healthy = true;
    for (size_t i = 0; i < n; i++) {
        waiting += (double)parts[i].n_waiting;
        orphans += (double)parts[i].n_orphans;
        is_healthy &= parts[i].is_there && parts[i].is_healthy;
    }
    single(m, "healthy", "gauge", "1: the daemon can serve; 0: its health page says why not.",
           is_healthy);
    single(m, "connections", "gauge", "Open front-door connections.",
           (double)atomic_load(&g->shared.n_connections));
    single(m, "waiting_requests", "gauge", "Requests that wait for a tunnel or their turn.",
           waiting);
    single(m, "abandoned_requests", "gauge",
           "Requests that are delivered although their senders have gone.", orphans);
    single(m, "workers", "gauge", "Threads that carry requests.", (double)n);
    put_tunnels(m, g, parts, n);
}

/* As many rows as endpoints that are checked: a state each, told by which of them is 1. */
static void put_health(struct admin_metrics *m, const struct gateway *g)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->gen->registry, &n);
    struct health_report h;
    admin_metrics_family(m, "endpoint_health", "gauge", "",
                         "1 for the state that an endpoint's checks have found, 0 for the others.");
    for (size_t i = 0; i < n; i++) {
        health_read(g->health, all[i].index, &h);
        for (enum endpoint_health k = ENDPOINT_UNKNOWN; h.is_checked && k < ENDPOINT_HEALTHS; k++) {
            const struct admin_label labels[] = {{"endpoint", all[i].name},
                                                 {"state", span_of(health_word(k))}};
            admin_metrics_value(m, labels, 2, h.state == k);
        }
    }
    admin_metrics_family(m, "endpoint_checks", "counter", "",
                         "Checks of an endpoint that said something, by what they said.");
    for (size_t i = 0; i < n; i++) {
        health_read(g->health, all[i].index, &h);
        struct admin_label labels[] = {{"endpoint", all[i].name}, {"result", SPAN_LIT("good")}};
        if (h.is_checked) {
            admin_metrics_value(m, labels, 2, (double)(h.checks - h.failures));
            labels[1].value = SPAN_LIT("bad");
            admin_metrics_value(m, labels, 2, (double)h.failures);
        }
    }
}

static void put_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct admin_label labels[] = {{"what", span_of(what)}, {"name", span_of(name)}};
    admin_metrics_value(ctx, labels, 2, (double)until_s);
}

static void tell(const struct gateway_inquiry *q, const struct survey_part *parts, size_t n)
{
    struct admin_metrics m;
    admin_metrics_begin(&m, "frunproxy_", q->r);
    admin_metrics_process(&m, (double)q->g->started_s);
    put_state(&m, q->g, parts, n);
    put_health(&m, q->g);
    put_requests(&m, q->g);
    put_counts(&m, q->g);
    admin_metrics_family(&m, "certificate_expiry_seconds", "gauge", "seconds",
                         "When a certificate ends, seconds since 1970.");
    gateway_certificates(q->g, put_certificate, &m);
    alerts_metrics(q->g->alerts, &m);
    admin_metrics_answer(&m, q->r);
}

void gateway_metrics(void *ctx, struct admin_request *r)
{
    gateway_inquire(ctx, r, SURVEY_TUNNELS, NULL, tell);
}
