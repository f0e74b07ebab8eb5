/**
 * What monitoring reads: /metrics. The workers are asked once; then the text is written in pieces,
 * for the endpoints of the generation that was in use when it began.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/metrics.h"
#include "frun/base/stock.h"

#include <stdlib.h>

/** Endpoints, pushers or connectors of one piece. */
#define AT_ONCE 64

/* What the workers say, all together. */
struct sums {
    uint64_t waiting;
    uint64_t orphans;
    uint64_t spare;
    uint64_t stock_bytes;
    uint64_t windows_bytes;
    uint64_t windows_used_bytes;
    uint64_t workers;
    bool is_healthy;
};

/* A text under way. */
struct text {
    struct gateway *g;
    struct generation *gen; /* pinned */
    struct gateway_connectors connectors;
    struct sums sums;
    struct admin_metrics_table table;
};

static void single(struct admin_metrics *m, const char *name, const char *type, const char *help,
                   double value)
{
    admin_metrics_family(m, name, type, "", help);
    admin_metrics_value(m, NULL, 0, value);
}

static void octets(struct admin_metrics *m, const char *name, const char *help, double value)
{
    admin_metrics_family(m, name, "gauge", "bytes", help);
    admin_metrics_value(m, NULL, 0, value);
}

/* -- the daemon
 * -------------------------------------------------------------------------------------------------
 */

static bool put_state(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct text *t = ctx;
    const struct conf_gateway *c = t->gen->conf->gateway;
    *at = 0; /* in one go */
    admin_metrics_process(m, (double)t->g->started_s);
    single(m, "healthy", "gauge", "1: the daemon can serve; 0: its health page says why not.",
           t->sums.is_healthy);
    single(m, "connections", "gauge", "Open front-door connections.",
           (double)atomic_load(&t->g->shared.n_connections));
    single(m, "max_connections", "gauge", "Front-door connections that may be open.",
           (double)c->max_connections);
    single(m, "waiting_requests", "gauge", "Requests that wait for a tunnel or their turn.",
           (double)t->sums.waiting);
    single(m, "max_waiting_requests", "gauge", "Requests that may wait, in all workers together.",
           (double)(c->max_waiting * t->sums.workers));
    single(m, "abandoned_requests", "gauge",
           "Requests that are delivered although their senders have gone.",
           (double)t->sums.orphans);
    single(m, "workers", "gauge", "Threads that carry requests.", (double)t->sums.workers);
    octets(m, "window_budget_bytes", "What HTTP/2 windows may grow by, in all workers together.",
           (double)t->sums.windows_bytes);
    octets(m, "window_budget_used_bytes", "By how much of that they have grown.",
           (double)t->sums.windows_used_bytes);
    octets(m, "buffer_stock_bytes", "Buffers that workers keep for the next use.",
           (double)t->sums.stock_bytes);
    octets(m, "buffer_stock_max_bytes", "What they keep at most.",
           (double)(STOCK_MAX_BYTES * t->sums.workers));
    single(m, "spare_requests", "gauge", "Places of former requests, kept for the next ones.",
           (double)t->sums.spare);
    return false;
}

static bool put_helpers(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct gateway_shared *sh = &((const struct text *)ctx)->g->shared;
    struct admin_metrics_pool pools[] = {
        {.name = "passwords"}, {.name = "names"}, {.name = "tokens"}};
    *at = 0; /* in one go */
    offload_look(sh->hashers, &pools[0].view);
    offload_look(sh->resolvers, &pools[1].view);
    token_office_look(sh->tokens, &pools[2].view);
    admin_metrics_pools(m, pools, sizeof(pools) / sizeof(pools[0]));
    return false;
}

static bool put_counts(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct gateway *g = ((const struct text *)ctx)->g;
    uint64_t sums[6] = {0};
    static const char *const results[] = {"fetched", "kept", "lost"};
    *at = 0; /* in one go */
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
    return false;
}

/* -- lists: of each family all rows, some in a piece
 * -------------------------------------------------------------------------------------------------
 */

/* Cursors count rows: n for each family. The next row; NULL of a family: the first of it. false:
 * all have been told. */
static bool begin_piece(size_t at, size_t n, size_t n_families, size_t *family, size_t *row)
{
    if (n == 0) {
        *row = 0;
        *family = at;
        return at < n_families;
    }
    *family = at / n;
    *row = at % n;
    return *family < n_families;
}

static bool put_tunnels(void *ctx, struct admin_metrics *m, size_t *at)
{
    static const struct {
        const char *name;
        const char *help;
    } families[] = {
        {"tunnels", "Tunnels that take requests."},
        {"tunnel_requests", "Requests in a connector's tunnels."},
        {"tunnel_max_requests", "Requests that a connector's tunnels take at a time."},
    };
    const struct gateway_connectors *c = &((const struct text *)ctx)->connectors;
    size_t family = 0;
    size_t i = 0;
    if (!begin_piece(*at, c->n, sizeof(families) / sizeof(families[0]), &family, &i)) {
        return false;
    }
    if (i == 0) {
        admin_metrics_family(m, families[family].name, "gauge", "", families[family].help);
    }
    for (size_t k = 0; k < AT_ONCE && i < c->n; k++, i++) {
        const struct gateway_connector *one = &c->all[i];
        const struct admin_label label = {"connector", span_of(seat_name(one->seat))};
        size_t value = family == 0 ? one->open : family == 1 ? one->in_flight : one->max_in_flight;
        admin_metrics_value(m, &label, 1, (double)value);
    }
    *at = c->n ? family * c->n + i : *at + 1;
    return true;
}

/* Its place now: another configuration may be in use since the text began. */
static bool read_health(const struct text *t, const struct endpoint *e, struct health_report *h)
{
    const struct endpoint *now =
        t->gen == t->g->gen ? e : registry_endpoint_named(t->g->gen->registry, e->name);
    if (now) {
        health_read(t->g->health, now->index, h);
    }
    return now && h->is_checked;
}

static void put_checks(struct admin_metrics *m, const struct endpoint *e,
                       const struct health_report *h)
{
    struct admin_label labels[] = {{"endpoint", e->name}, {"result", SPAN_LIT("good")}};
    admin_metrics_value(m, labels, 2, (double)(h->checks - h->failures));
    labels[1].value = SPAN_LIT("bad");
    admin_metrics_value(m, labels, 2, (double)h->failures);
}

static void put_states(struct admin_metrics *m, const struct endpoint *e,
                       const struct health_report *h)
{
    for (enum endpoint_health k = ENDPOINT_UNKNOWN; k < ENDPOINT_HEALTHS; k++) {
        const struct admin_label labels[] = {{"endpoint", e->name},
                                             {"state", span_of(health_word(k))}};
        admin_metrics_value(m, labels, 2, h->state == k);
    }
}

/* As many rows as endpoints that are checked: a state each, told by which of them is 1. */
static bool put_health(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct text *t = ctx;
    size_t n = 0;
    size_t family = 0;
    size_t i = 0;
    const struct endpoint *all = registry_endpoints(t->gen->registry, &n);
    if (!begin_piece(*at, n, 2, &family, &i)) {
        return false;
    }
    if (i == 0 && family == 0) {
        admin_metrics_family(
            m, "endpoint_health", "gauge", "",
            "1 for the state that an endpoint's checks have found, 0 for the others.");
    } else if (i == 0) {
        admin_metrics_family(m, "endpoint_checks", "counter", "",
                             "Checks of an endpoint that said something, by what they said.");
    }
    for (size_t k = 0; k < AT_ONCE && i < n; k++, i++) {
        struct health_report h;
        if (read_health(t, &all[i], &h)) {
            (family == 0 ? put_states : put_checks)(m, &all[i], &h);
        }
    }
    *at = n ? family * n + i : *at + 1;
    return true;
}

/* -- limits: the quotas of the pushers, then of the endpoints
 * -------------------------------------------------------------------------------------------------
 */

static size_t number_of(const struct quota_view *v, size_t which)
{
    return which == 0 ? v->in_flight : which == 1 ? v->max_in_flight : v->waiting;
}

/* One with a ceiling is told always, one without if somebody waits: for its rate, or the other's
 * place. */
static bool put_quotas(const struct text *t, struct admin_metrics *m, size_t *at, bool is_pusher)
{
    static const struct {
        const char *names[2]; /* of endpoints, of pushers */
        const char *help;
    } families[] = {
        {{"endpoint_requests", "pusher_requests"},
         "Requests in flight, where their number is limited."},
        {{"endpoint_max_requests", "pusher_max_requests"}, "How many may be (max_in_flight)."},
        {{"endpoint_queued_requests", "pusher_queued_requests"},
         "Requests that wait for their turn."},
    };
    const struct conf_gw *conf = t->gen->conf;
    size_t n = is_pusher ? conf->n_pushers : conf->n_endpoints;
    size_t family = 0;
    size_t i = 0;
    if (!begin_piece(*at, n, sizeof(families) / sizeof(families[0]), &family, &i)) {
        return false;
    }
    if (i == 0) {
        admin_metrics_family(m, families[family].names[is_pusher], "gauge", "",
                             families[family].help);
    }
    for (size_t k = 0; k < AT_ONCE && i < n; k++, i++) {
        struct quota_view v;
        quota_look(quota_get(t->gen->quotas, is_pusher ? i : conf->n_pushers + i), &v);
        const char *name =
            is_pusher ? conf->pushers[i]->place.name : conf->endpoints[i]->place.name;
        const struct admin_label label = {is_pusher ? "pusher" : "endpoint", span_of(name)};
        if (v.max_in_flight || (family == 2 && v.waiting)) {
            admin_metrics_value(m, &label, 1, (double)number_of(&v, family));
        }
    }
    *at = n ? family * n + i : *at + 1;
    return true;
}

static bool put_endpoint_quotas(void *ctx, struct admin_metrics *m, size_t *at)
{
    return put_quotas(ctx, m, at, false);
}

static bool put_pusher_quotas(void *ctx, struct admin_metrics *m, size_t *at)
{
    return put_quotas(ctx, m, at, true);
}

/* -- requests, certificates, alerts
 * -------------------------------------------------------------------------------------------------
 */

static bool is_shown(void *ctx, struct span name)
{
    const struct text *t = ctx;
    return registry_endpoint_named(t->gen->registry, name) != NULL;
}

static bool put_requests(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct text *t = ctx;
    return admin_metrics_table(m, &t->table, at);
}

static void put_certificate(void *ctx, const char *what, const char *name, int64_t until_s)
{
    const struct admin_label labels[] = {{"what", span_of(what)}, {"name", span_of(name)}};
    admin_metrics_value(ctx, labels, 2, (double)until_s);
}

static bool put_rest(void *ctx, struct admin_metrics *m, size_t *at)
{
    const struct text *t = ctx;
    *at = 0; /* in one go */
    admin_metrics_family(m, "certificate_expiry_seconds", "gauge", "seconds",
                         "When a certificate ends, seconds since 1970.");
    gateway_certificates(t->g, put_certificate, m);
    alerts_metrics(t->g->alerts, m);
    return false;
}

static const admin_metrics_part parts[] = {
    put_state,           put_helpers,       put_counts,   put_tunnels, put_health,
    put_endpoint_quotas, put_pusher_quotas, put_requests, put_rest,
};

/* -- asking
 * -------------------------------------------------------------------------------------------------
 */

static void add_up(struct sums *s, const struct survey_part *p, size_t n)
{
    *s = (struct sums){.workers = n, .is_healthy = true};
    for (size_t i = 0; i < n; i++) {
        s->waiting += p[i].n_waiting;
        s->orphans += p[i].n_orphans;
        s->spare += p[i].n_spare;
        s->stock_bytes += p[i].stock_bytes;
        s->windows_bytes += p[i].windows_bytes;
        s->windows_used_bytes += p[i].windows_used_bytes;
        s->is_healthy &= p[i].is_there && p[i].is_healthy;
    }
}

static void on_done(void *ctx)
{
    struct text *t = ctx;
    gateway_connectors_done(&t->connectors);
    generation_unref(&t->gen);
    free(t);
}

static void tell(const struct gateway_inquiry *q, const struct survey_part *p, size_t n)
{
    struct text *t = calloc(1, sizeof(*t));
    if (!t || gateway_connectors_new(q->g->gen, p, n, &t->connectors) != FRUN_OK) {
        free(t);
        admin_request_fail(q->r, 500, "out of memory");
        return;
    }
    t->g = q->g;
    t->gen = generation_ref(q->g->gen);
    add_up(&t->sums, p, n);
    t->table = (struct admin_metrics_table){
        .meter = q->g->shared.meter,
        .subject = "endpoint",
        .route = count_route_name,
        .own = "gateway",
        .families = ADMIN_METRICS_REQUESTS | ADMIN_METRICS_DENIALS | ADMIN_METRICS_DURATION |
                    ADMIN_METRICS_UPSTREAM | ADMIN_METRICS_BYTES | ADMIN_METRICS_REPEATS,
        .is_shown = is_shown,
        .ctx = t,
    };
    admin_metrics_serve(&(struct admin_metrics_job){.loop = q->g->loop,
                                                    .prefix = "frunproxy_",
                                                    .parts = parts,
                                                    .n_parts = sizeof(parts) / sizeof(parts[0]),
                                                    .stall_ms = ADMIN_LIMITS_DEFAULT.write_ms,
                                                    .ctx = t,
                                                    .done = on_done},
                        q->r);
}

void gateway_metrics(void *ctx, struct admin_request *r)
{
    gateway_inquire(ctx, r, SURVEY_TUNNELS, NULL, tell);
}
