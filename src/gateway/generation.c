/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/generation.h"

#include "frun/conf/check.h"
#include "frun/gateway/worker.h"
#include "frun/net/tls_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- certificates
 * -------------------------------------------------------------------------------------------------
 */

static frun_err make_front_tls(struct generation *g, const struct generation *before, FILE *report)
{
    const struct conf_gateway *c = g->conf->gateway;
    struct tls_source s = {
        .tls = {.certificate = c->certificate,
                .private_key = c->private_key,
                .ca_file = c->client_ca,
                .crl_file = c->client_crl,
                .is_asking = c->asking.is_asking,
                .hides_ca = c->asking.hides_ca,
                .alpn = c->http2 ? "h2,http/1.1" : "http/1.1",
                .has_tickets = c->session_tickets,
                .ticket_secret = c->session_ticket_key,
                .before = before ? before->front_tls : NULL},
        .certificate = {c, "certificate"},
        .private_key = {c, "private_key"},
        .ca = {c, "client_ca"},
        .crl = {c, "client_crl"},
    };
    return tls_files_load(&s, g->conf->doc, true, report, &g->front_tls);
}

static frun_err make_tunnel_tls(struct generation *g, FILE *report)
{
    const struct conf_tunnel *t = g->conf->tunnel;
    struct tls_source s = {
        .tls = {.certificate = t->certificate,
                .private_key = t->private_key,
                .ca_file = t->client_ca,
                .crl_file = t->client_crl,
                .alpn = "http/1.1",
                .is_mutual = true},
        .certificate = {t, "certificate"},
        .private_key = {t, "private_key"},
        .ca = {t, "client_ca"},
        .crl = {t, "client_crl"},
    };
    if (conf_key_given(g->conf->doc, t, "certificate")) {
        return tls_files_load(&s, g->conf->doc, true, report, &g->tunnel_tls);
    }
    s.certificate.section = s.private_key.section = g->conf->gateway;
    if (!g->front_tls) {
        /* The gateway's pair, which failed and has been told: look at the CA alone. */
        struct tls_ctx *unused = NULL;
        s.tls.certificate = s.tls.private_key = NULL;
        frun_err err = tls_files_load(&s, g->conf->doc, false, report, &unused);
        tls_unref(&unused);
        return err;
    }
    return tls_files_load(&s, g->conf->doc, true, report, &g->tunnel_tls);
}

/* A certificate that peers will not take for this name works here and nowhere else. */
static void check_name(const struct generation *g, FILE *report, const struct tls_ctx *t,
                       struct tls_place at, const char *host)
{
    char why[512];
    if (!report || tls_carries(t, host)) {
        return;
    }
    (void)snprintf(why, sizeof(why),
                   "the certificate does not carry the name %s: who calls by that name refuses it",
                   host);
    conf_place_print(g->conf->doc, report, false, at.section, at.key, why);
}

/* Host names of endpoints: served by the certificate that is theirs, which must carry them. */
static frun_err add_hosts(struct generation *g, FILE *report)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->registry, &n);
    for (size_t i = 0; i < n; i++) {
        const struct endpoint *e = &all[i];
        struct tls_ctx *shown = e->front_tls ? e->front_tls : g->front_tls;
        for (size_t k = 0; k < e->conf->host_name.n; k++) {
            const char *name = e->conf->host_name.items[k];
            check_name(g, report, shown, (struct tls_place){e->conf, "host_name"}, name);
            frun_err err =
                e->front_tls ? tls_server_add_name(g->front_tls, name, e->front_tls) : FRUN_OK;
            if (err) {
                return err;
            }
        }
    }
    return FRUN_OK;
}

static void check_names(const struct generation *g, FILE *report)
{
    const struct conf_gateway *c = g->conf->gateway;
    const struct conf_tunnel *t = g->conf->tunnel;
    struct span url = span_of(c->public_url);
    struct span host;
    char text[256];
    if (span_starts(url, SPAN_LIT("https://")) &&
        conf_check_authority(span_skip(url, 8), &host, NULL)) {
        if (host.n > 2 && host.p[0] == '[') {
            host = span_make(host.p + 1, host.n - 2);
        }
        (void)snprintf(text, sizeof(text), "%.*s", SPAN_FMT(host));
        check_name(g, report, g->front_tls, (struct tls_place){c, "certificate"}, text);
    }
    if (t && t->server_name) {
        check_name(g, report, g->tunnel_tls, (struct tls_place){t, "server_name"}, t->server_name);
    }
}

/* All certificates, keys and CAs; what is wrong is told at once. */
static frun_err load_files(struct generation *g, const struct generation *before, FILE *report)
{
    const struct conf_tunnel *t = g->conf->tunnel;
    frun_err worst = make_front_tls(g, before, report);
    frun_err err = t && worst != FRUN_E_NOMEM ? make_tunnel_tls(g, report) : FRUN_OK;
    worst = err ? err : worst;
    if (worst != FRUN_E_NOMEM) {
        err = registry_next(g->conf, before ? before->registry : NULL, report, &g->registry);
        worst = err ? err : worst;
    }
    err = worst != FRUN_E_NOMEM ? admin_door_new(g->conf->doc, g->conf->admin, report, &g->door)
                                : FRUN_OK;
    worst = err ? err : worst;
    if (!worst) {
        check_names(g, report);
    }
    if (!worst && t && t->server_name) {
        worst = tls_server_add_name(g->front_tls, t->server_name, g->tunnel_tls);
    }
    if (!worst) {
        worst = add_hosts(g, report);
    }
    return worst;
}

/* -- limits and connectors
 * -------------------------------------------------------------------------------------------------
 */

/* Those of the same name go on, with other ceilings perhaps. */
static void set_quota(struct generation *g, size_t i, const struct generation *before,
                      const size_t *at, const struct quota_limits *lim)
{
    if (at) {
        quota_set_keep(g->quotas, i, before->quotas, *at, lim);
    } else {
        quota_set_limits(g->quotas, i, lim);
    }
}

static frun_err make_quotas(struct generation *g, const struct generation *before,
                            const struct gateway_shared *sh)
{
    const struct conf_gw *c = g->conf;
    const struct registry *old = before ? before->registry : NULL;
    frun_err err = quota_set_new(c->n_pushers + c->n_endpoints, sh->n_workers, &g->quotas);
    if (err) {
        return err;
    }
    for (unsigned i = 0; i < sh->n_workers; i++) {
        quota_set_loop(g->quotas, i, sh->workers[i]->loop);
    }
    for (size_t i = 0; i < c->n_pushers; i++) {
        const struct conf_pusher *p = c->pushers[i];
        const struct quota_limits lim = {p->max_requests_per_second, p->burst, p->max_in_flight};
        const struct pusher *was = old ? registry_pusher_named(old, span_of(p->place.name)) : NULL;
        set_quota(g, i, before, was ? &was->index : NULL, &lim);
    }
    for (size_t i = 0; i < c->n_endpoints; i++) {
        const struct conf_endpoint *e = c->endpoints[i];
        const struct quota_limits lim = {.in_flight = e->max_in_flight};
        const struct endpoint *was =
            old ? registry_endpoint_named(old, span_of(e->place.name)) : NULL;
        size_t at = was ? before->conf->n_pushers + was->index : 0;
        set_quota(g, c->n_pushers + i, before, was ? &at : NULL, &lim);
    }
    return FRUN_OK;
}

static struct seat *find_seat(const struct generation *g, const char *name)
{
    for (size_t i = 0; g && i < g->n_seats; i++) {
        if (strcmp(seat_name(g->seats[i]), name) == 0) {
            return g->seats[i];
        }
    }
    return NULL;
}

static frun_err make_seats(struct generation *g, const struct generation *before, size_t n_workers)
{
    frun_err err = FRUN_OK;
    g->seats = calloc(g->conf->n_connectors + 1, sizeof(struct seat *));
    if (!g->seats) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; !err && i < g->conf->n_connectors; i++) {
        const char *name = g->conf->connectors[i]->place.name;
        struct seat *old = find_seat(before, name);
        g->seats[i] = old ? seat_ref(old) : NULL;
        err = old ? FRUN_OK : seat_new(name, n_workers, &g->seats[i]);
        g->n_seats = err ? i : i + 1;
    }
    return err;
}

/* -- life
 * -------------------------------------------------------------------------------------------------
 */

static void destroy(struct generation *g)
{
    for (size_t i = 0; i < g->n_seats; i++) {
        seat_unref(&g->seats[i]);
    }
    free(g->seats);
    quota_set_free(g->quotas);
    registry_unref(&g->registry);
    tls_unref(&g->front_tls);
    tls_unref(&g->tunnel_tls);
    admin_door_unref(&g->door);
    conf_gw_unref(&g->conf);
    free(g);
}

frun_err generation_new(struct conf_gw *conf, const struct generation *before,
                        const struct gateway_shared *sh, FILE *report, struct generation **out)
{
    struct generation *g = calloc(1, sizeof(*g));
    if (!g) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&g->refs, 1);
    g->conf = conf_gw_ref(conf);
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        const struct conf_endpoint *e = conf->endpoints[i];
        g->has_direct |= e->route == CONF_ROUTE_DIRECT && !e->has_standby;
    }
    frun_err err = load_files(g, before, report);
    if (!err && before) {
        registry_follow(g->registry, before->registry);
    }
    if (!err && before && before->tunnel_tls && g->tunnel_tls) {
        g->is_new_ca = !tls_has_same_trust(before->tunnel_tls, g->tunnel_tls);
    }
    if (!err && sh->n_workers) {
        err = make_quotas(g, before, sh);
        err = err ? err : make_seats(g, before, sh->n_workers);
    }
    if (err) {
        destroy(g);
        return err;
    }
    *out = g;
    return FRUN_OK;
}

struct generation *generation_ref(struct generation *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void generation_unref(struct generation **g)
{
    struct generation *old = *g;
    *g = NULL;
    if (old && atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) == 1) {
        destroy(old);
    }
}

void generation_follow(struct generation *g, const struct generation *before)
{
    registry_follow(g->registry, before->registry);
}

void generation_apply(struct generation *g)
{
    if (g->quotas) {
        quota_set_apply(g->quotas);
    }
}

void generation_turn_tickets(struct generation *g, int64_t now_s)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->registry, &n);
    if (g->front_tls) {
        tls_turn_tickets(g->front_tls, now_s);
    }
    for (size_t i = 0; i < n; i++) {
        if (all[i].front_tls) {
            tls_turn_tickets(all[i].front_tls, now_s);
        }
    }
}

const struct conf_gw_connector *generation_connector(const struct generation *g,
                                                     const char *subject, size_t *index)
{
    for (size_t i = 0; i < g->conf->n_connectors; i++) {
        if (strcmp(g->conf->connectors[i]->certificate_subject, subject) == 0) {
            *index = i;
            return g->conf->connectors[i];
        }
    }
    return NULL;
}

bool generation_may_serve(const struct conf_gw_connector *c, struct span location)
{
    if (c->location_id.n == 0) {
        return location.n == 0;
    }
    for (size_t i = 0; i < c->location_id.n; i++) {
        if (span_eq(span_of(c->location_id.items[i]), location)) {
            return true;
        }
    }
    return false;
}
