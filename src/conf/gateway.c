/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/gateway.h"

#include "frun/base/map.h"
#include "frun/conf/check.h"
#include "schema_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Octets of a session_ticket_key: what AES-256 deserves. */
#define MIN_TICKET_KEY 32

/* The load under way: sections are still writable. */
struct work {
    struct conf_doc *d;
    struct conf_gateway *gateway;
    struct conf_tunnel *tunnel;
    struct conf_oauth *oauth;
    struct conf_gw_connector **connectors;
    size_t n_connectors;
    struct conf_system **systems;
    size_t n_systems;
    struct conf_sap **saps;
    size_t n_saps;
    struct conf_endpoint **endpoints;
    size_t n_endpoints;
    struct conf_issuer **issuers;
    size_t n_issuers;
    struct conf_pusher **pushers;
    size_t n_pushers;
    bool is_starved;
};

static void check_gateway(struct work *w)
{
    const struct conf_gateway *g = w->gateway;
    if (g->public_url && strncmp(g->public_url, "http://", 7) == 0) {
        conf_issue_add(w->d, false, g, "public_url",
                       "http:// sends passwords in the clear; only right behind a TLS terminator");
    }
    if (g->session_ticket_key && secret_span(g->session_ticket_key).n < MIN_TICKET_KEY) {
        conf_issue_add(w->d, true, g, "session_ticket_key",
                       "is shorter than %d octets; 'openssl rand -base64 48' makes a good one",
                       MIN_TICKET_KEY);
    } else if (g->session_ticket_key && !g->session_tickets) {
        conf_issue_add(w->d, false, g, "session_ticket_key", "has no effect: session_tickets = no");
    }
    if (g->ocsp_proxy && g->ocsp_stapling == CONF_STAPLING_OFF) {
        conf_issue_add(w->d, false, g, "ocsp_proxy", "has no effect: ocsp_stapling = off");
    }
    w->is_starved = !conf_proxied_resolve(w->d, g, &w->gateway->proxied) || w->is_starved;
    conf_order_check(w->d, g, "max_target", "max_head", g->max_target > g->max_head);
}

static void check_tunnel(struct work *w)
{
    struct conf_tunnel *t = w->tunnel;
    if (!t) {
        return;
    }
    w->is_starved = !conf_proxied_resolve(w->d, t, &t->proxied) || w->is_starved;
    conf_pair_check(w->d, t, "certificate", "private_key");
    if (w->gateway && !t->certificate) {
        t->certificate = w->gateway->certificate;
        t->private_key = w->gateway->private_key;
    }
    if (t->listen.n == 0 && !t->server_name && !conf_key_given(w->d, t, "listen")) {
        conf_issue_add(w->d, true, t, "listen",
                       "connectors have no way in; give listen, server_name or both");
    }
    if (!w->gateway) {
        return;
    }
    for (size_t i = 0; i < t->listen.n; i++) {
        for (size_t j = 0; j < w->gateway->listen.n; j++) {
            if (strcmp(t->listen.items[i], w->gateway->listen.items[j]) == 0) {
                conf_issue_add(w->d, true, t, "listen",
                               "%s is the gateway's own address; take another port, or use "
                               "server_name instead",
                               t->listen.items[i]);
            }
        }
    }
    struct span host = {NULL, 0};
    const char *url = w->gateway->public_url;
    const char *at = url ? strstr(url, "://") : NULL;
    if (at && t->server_name && conf_check_authority(span_of(at + 3), &host, NULL) &&
        span_eq_nocase(host, span_of(t->server_name))) {
        conf_issue_add(w->d, true, t, "server_name",
                       "is the host of public_url; connectors need a name of their own");
    }
}

static void check_connectors(const struct work *w)
{
    for (size_t i = 0; i < w->n_connectors; i++) {
        const struct conf_gw_connector *c = w->connectors[i];
        for (size_t j = 0; c->certificate_subject && j < i; j++) {
            const struct conf_gw_connector *o = w->connectors[j];
            if (o->certificate_subject &&
                strcmp(c->certificate_subject, o->certificate_subject) == 0) {
                conf_issue_add(w->d, true, c, "certificate_subject",
                               "is that of [connector %s] too; each connector needs a certificate "
                               "of its own",
                               o->place.name);
            }
        }
    }
    if (w->n_connectors && !w->tunnel) {
        conf_issue_add(w->d, false, w->connectors[0], NULL,
                       "without a [tunnel] section no connector can dial in");
    }
}

/* Is the location id served by any connector? */
static bool is_served(const struct work *w, const char *location_id)
{
    for (size_t i = 0; i < w->n_connectors; i++) {
        const struct conf_list *l = &w->connectors[i]->location_id;
        if (l->n == 0 && location_id[0] == '\0') {
            return true;
        }
        for (size_t j = 0; j < l->n; j++) {
            if (strcmp(l->items[j], location_id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void check_systems(const struct work *w)
{
    for (size_t i = 0; i < w->n_systems; i++) {
        conf_pair_check(w->d, w->systems[i], "proxy_user", "proxy_password");
        if (w->systems[i]->proxy_user && !w->systems[i]->proxy) {
            conf_issue_add(w->d, true, w->systems[i], "proxy_user", "needs proxy too");
        }
    }
}

/* What an endpoint does not say, its system says. */
static void inherit(const struct work *w, struct conf_endpoint *e)
{
    const struct conf_system *s = e->system;
    e->virtual_host = e->virtual_host ? e->virtual_host : s->virtual_host;
    e->location_id = e->location_id ? e->location_id : s->location_id;
    e->address = e->address ? e->address : s->address;
    e->backend_ca = e->backend_ca ? e->backend_ca : s->backend_ca;
    e->server_name = e->server_name ? e->server_name : s->server_name;
    if (!conf_key_given(w->d, e, "route")) {
        e->route = s->route;
    }
    if (!conf_key_given(w->d, e, "protocol")) {
        e->protocol = s->protocol;
    }
    e->has_standby =
        conf_key_given(w->d, e, "standby_route") || conf_key_given(w->d, s, "standby_route");
    if (!conf_key_given(w->d, e, "standby_route")) {
        e->standby_route = s->standby_route;
    }
    if (!conf_key_given(w->d, e, "health_check")) {
        e->health_check = s->health_check;
    }
    if (!conf_key_given(w->d, e, "health_interval")) {
        e->health_interval_ms = s->health_interval_ms;
    }
    e->health_path = e->health_path ? e->health_path : s->health_path;
    e->health_client = e->health_client ? e->health_client : s->client;
    e->sap_name = e->sap_name ? e->sap_name : s->sap_name;
    if (!e->proxy) {
        e->proxy = s->proxy;
        e->proxy_user = s->proxy_user;
        e->proxy_password = s->proxy_password;
    }
    if (!e->logical_system && s->system_id && s->client) {
        e->logical_system = conf_text(w->d, "%sCLNT%s", s->system_id, s->client);
    }
}

static void resolve_system(const struct work *w, struct conf_endpoint *e)
{
    for (size_t i = 0; e->system_name && i < w->n_systems; i++) {
        if (strcmp(e->system_name, w->systems[i]->place.name) == 0) {
            e->system = w->systems[i];
            inherit(w, e);
            return;
        }
    }
    if (e->system_name) {
        conf_issue_add(w->d, true, e, "system", "there is no [system %s]", e->system_name);
    }
}

static void resolve_sap(const struct work *w, struct conf_endpoint *e)
{
    bool is_used =
        e->route == CONF_ROUTE_SAP || (e->has_standby && e->standby_route == CONF_ROUTE_SAP);
    for (size_t i = 0; is_used && e->sap_name && i < w->n_saps; i++) {
        if (strcmp(e->sap_name, w->saps[i]->place.name) == 0) {
            e->sap = w->saps[i];
        }
    }
}

/* Root path and URL; blanks become '_' as in SAP Cloud ALM. */
static void make_root(const struct work *w, struct conf_endpoint *e)
{
    char path[64] = "/";
    size_t n = strlen(e->customer_network);
    if (n > 40) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        path[i + 1] = e->customer_network[i];
        if (path[i + 1] == ' ') {
            path[i + 1] = '_';
        }
    }
    path[n + 1] = '\0';
    if (strchr(path, '-')) {
        conf_issue_add(w->d, false, e, "customer_network",
                       "'-' is not usual in customer networks; is it '_' in Focused Run?");
    }
    if (strcasecmp(path, "/sap") == 0 || strcasecmp(path, "/oauth") == 0) {
        conf_issue_add(w->d, true, e, "customer_network",
                       "'%s' is taken: /sap/bc/ping and /oauth/token are the gateway's own; choose "
                       "another name",
                       e->customer_network);
    }
    e->root_path = conf_text(w->d, "%s", path);
    if (w->gateway && w->gateway->public_url) {
        e->root_url = conf_text(w->d, "%s%s", w->gateway->public_url, path);
    }
}

static void check_fence(const struct work *w, struct conf_endpoint *e)
{
    struct span header;
    struct span query;
    struct span carrier = span_of(e->admin_request_carrier);
    if (!carrier.p || conf_check_carrier(carrier, &header, &query)) {
        return;
    }
    bool is_none = !header.p && !query.p;
    if (is_none) {
        conf_issue_add(w->d, false, e, "admin_request_carrier",
                       "none: Focused Run cannot tell this customer network's data from others'");
    } else if (!conf_key_given(w->d, e, "admin_request_parameter")) {
        conf_issue_add(w->d, true, e, "admin_request_parameter",
                       "is missing: copy it from Focused Run's Network Administration, or set "
                       "admin_request_carrier = none");
    }
    if (is_none && e->admin_request_parameter) {
        conf_issue_add(w->d, true, e, "admin_request_parameter",
                       "is given but admin_request_carrier = none does not send it; remove one");
    }
    e->carrier.header = header.p ? conf_text(w->d, "%.*s", SPAN_FMT(header)) : NULL;
    e->carrier.query = query.p ? conf_text(w->d, "%.*s", SPAN_FMT(query)) : NULL;
}

/* What one of its two roads needs. */
static void check_road(const struct work *w, const struct conf_endpoint *e, enum conf_route road,
                       const char *key)
{
    if (road == CONF_ROUTE_DIRECT) {
        if (!e->address) {
            conf_issue_add(w->d, true, e, key,
                           "route direct needs address = host:port in the system or here");
        }
        if (e->protocol == 0 && !e->backend_ca && !conf_key_given(w->d, e, "backend_ca") &&
            !conf_key_given(w->d, e->system, "backend_ca")) {
            conf_issue_add(w->d, true, e, key,
                           "route direct with HTTPS needs backend_ca: without it no certificate is "
                           "trusted");
        }
        return;
    }
    if (road == CONF_ROUTE_SAP) {
        conf_sap_route_check(w->d, e, key);
        return;
    }
    if (!w->tunnel) {
        conf_issue_add(w->d, true, e, key,
                       "route tunnel needs a [tunnel] section with listen and client_ca");
    }
    if (e->location_id && !is_served(w, e->location_id)) {
        conf_issue_add(
            w->d, false, e, conf_key_given(w->d, e, "location_id") ? "location_id" : "system",
            "no [connector NAME] serves location id '%s'; requests would get 503", e->location_id);
    }
}

static void check_route(const struct work *w, const struct conf_endpoint *e)
{
    const char *key = conf_key_given(w->d, e, "route") ? "route" : "system";
    const char *other = conf_key_given(w->d, e, "standby_route") ? "standby_route" : "system";
    if (!e->virtual_host) {
        conf_issue_add(w->d, true, e, key,
                       "needs virtual_host, the Host that Focused Run sees; give it in the system "
                       "or here");
    }
    check_road(w, e, (enum conf_route)e->route, key);
    if (e->has_standby && e->standby_route == e->route) {
        conf_issue_add(w->d, true, e, other,
                       "standby_route is the same as route; name another way");
    } else if (e->has_standby) {
        check_road(w, e, (enum conf_route)e->standby_route, other);
    }
}

/* What stands before and behind the host in public_url. */
static const char *host_url(const struct work *w, const char *name)
{
    const char *url = w->gateway && w->gateway->public_url ? w->gateway->public_url : "https://";
    const char *at = strstr(url, "://");
    struct span host;
    unsigned port = 0;
    (void)(at && conf_check_authority(span_of(at + 3), &host, &port));
    return port ? conf_text(w->d, "%.*s%s:%u", at ? (int)(at + 3 - url) : 0, url, name, port)
                : conf_text(w->d, "%.*s%s", at ? (int)(at + 3 - url) : 0, url, name);
}

/* Host names mean one endpoint, and neither the gateway nor the tunnel. */
static void check_hosts(struct work *w, struct map *hosts, struct conf_endpoint *e)
{
    struct span public_host = {NULL, 0};
    const char *at =
        w->gateway && w->gateway->public_url ? strstr(w->gateway->public_url, "://") : NULL;
    if (!at || !conf_check_authority(span_of(at + 3), &public_host, NULL)) {
        public_host = (struct span){NULL, 0};
    }
    e->host_urls = arena_alloc(conf_arena(w->d), (e->host_name.n + 1) * sizeof(*e->host_urls));
    if (!e->host_urls) {
        w->is_starved = true;
        return;
    }
    conf_pair_check(w->d, e, "certificate", "private_key");
    if (e->certificate && !e->host_name.n) {
        conf_issue_add(w->d, true, e, "certificate", "needs host_name too");
    }
    for (size_t i = 0; i < e->host_name.n; i++) {
        struct span name = span_of(e->host_name.items[i]);
        const struct conf_endpoint *other = map_get(hosts, name);
        e->host_urls[i] = host_url(w, e->host_name.items[i]);
        if (span_eq_nocase(name, public_host)) {
            conf_issue_add(w->d, true, e, "host_name", "is the host of public_url");
        } else if (w->tunnel && w->tunnel->server_name &&
                   span_eq_nocase(name, span_of(w->tunnel->server_name))) {
            conf_issue_add(w->d, true, e, "host_name", "is server_name of the tunnel");
        } else if (other) {
            conf_issue_add(w->d, true, e, "host_name", "%s is that of [endpoint %s] too",
                           e->host_name.items[i], other->place.name);
        } else if (map_put(hosts, name, e)) {
            w->is_starved = true;
        }
    }
}

/* Two endpoints that share what must be theirs alone. */
static void check_unique(struct work *w, struct map *roots, struct map *fences,
                         struct conf_endpoint *e)
{
    struct conf_endpoint *other = e->root_path ? map_get(roots, span_of(e->root_path)) : NULL;
    if (other) {
        conf_issue_add(w->d, true, e, "customer_network",
                       "root path %s is that of [endpoint %s] too; one endpoint for each customer "
                       "network",
                       e->root_path, other->place.name);
    } else if (e->root_path && map_put(roots, span_of(e->root_path), e)) {
        w->is_starved = true;
    }
    if (!e->admin_request_parameter || !e->system) {
        return;
    }
    const char *fence = conf_text(w->d, "%s %s", e->system_name, e->admin_request_parameter);
    other = map_get(fences, span_of(fence));
    if (other) {
        conf_issue_add(w->d, false, e, "admin_request_parameter",
                       "is that of [endpoint %s] too; Focused Run would mix the two customer "
                       "networks",
                       other->place.name);
    } else if (map_put(fences, span_of(fence), e)) {
        w->is_starved = true;
    }
}

static void check_endpoints(struct work *w)
{
    struct map *roots = NULL;
    struct map *fences = NULL;
    struct map *hosts = NULL;
    if (map_new(false, &roots) || map_new(false, &fences) || map_new(true, &hosts)) {
        w->is_starved = true;
        goto out;
    }
    for (size_t i = 0; i < w->n_endpoints && !w->is_starved; i++) {
        struct conf_endpoint *e = w->endpoints[i];
        resolve_system(w, e);
        resolve_sap(w, e);
        if (e->customer_network) {
            make_root(w, e);
        }
        check_fence(w, e);
        w->is_starved = !conf_map_resolve(w->d, e) || w->is_starved;
        conf_logon_check(w->d, e);
        conf_pair_check(w->d, e, "proxy_user", "proxy_password");
        if (conf_key_given(w->d, e, "proxy_user") && !conf_key_given(w->d, e, "proxy")) {
            conf_issue_add(w->d, true, e, "proxy_user", "needs proxy in this section too");
        }
        if (e->system) {
            check_route(w, e);
            conf_health_check(w->d, e);
        }
        conf_principal_check(w->d, e);
        check_unique(w, roots, fences, e);
        check_hosts(w, hosts, e);
    }
out:
    map_free(roots);
    map_free(fences);
    map_free(hosts);
}

/* A user name at an endpoint belongs to one pusher. */
static void check_user(struct work *w, struct map *users, struct conf_pusher *p,
                       const struct conf_endpoint *e)
{
    if (!p->user || !(p->ways & CONF_AUTH_BASIC)) {
        return;
    }
    const char *key = conf_text(w->d, "%s %s", e->place.name, p->user);
    const struct conf_pusher *other = map_get(users, span_of(key));
    if (other) {
        conf_issue_add(w->d, true, p, "user",
                       "is that of [pusher %s] at endpoint %s too; users are unique at an endpoint",
                       other->place.name, e->place.name);
    } else if (map_put(users, span_of(key), p)) {
        w->is_starved = true;
    }
}

/* Tokens of one client mean one pusher at an endpoint, unless something else tells them apart. */
static void check_token_client(struct work *w, struct map *users, struct conf_pusher *p,
                               const struct conf_endpoint *e)
{
    bool is_told_apart = p->claim.n || p->token_subject.n;
    for (size_t i = 0; p->issuer && !is_told_apart && i < p->token_client.n; i++) {
        const char *client = p->token_client.items[i];
        /* No text of a configuration has a tab: this is no user's key. */
        const char *key = conf_text(w->d, "%s\t%s\t%s", e->place.name, p->issuer_name, client);
        const struct conf_pusher *other = map_get(users, span_of(key));
        if (other && other != p) {
            conf_issue_add(w->d, true, p, "token_client",
                           "%s is that of [pusher %s] at endpoint %s too; tell them apart by claim "
                           "or token_subject",
                           client, other->place.name, e->place.name);
        } else if (!other && map_put(users, span_of(key), p)) {
            w->is_starved = true;
        }
    }
}

/* One name for all its ways, so that it does not depend on how the pusher came. */
static void check_principal(const struct work *w, struct conf_pusher *p)
{
    bool is_told = false;
    if (!p->principal) {
        p->principal = p->user ? p->user : p->client_id ? p->client_id : p->place.name;
    }
    for (size_t i = 0; i < p->endpoint.n; i++) {
        is_told = is_told || (p->endpoints[i] && p->endpoints[i]->propagate_principal);
    }
    if (is_told && strlen(p->principal) > 64) {
        conf_issue_add(w->d, true, p, "principal",
                       "is missing: '%.80s...' is longer than the 64 octets of a common name",
                       p->principal);
    }
}

static uint64_t at_least_one(uint64_t n)
{
    return n ? n : 1;
}

/* One pusher, or one endpoint, must not be able to take all streams of a tunnel by slow bodies. */
static void limit_shares(const struct work *w)
{
    uint64_t streams = w->tunnel ? w->tunnel->max_streams : UINT64_MAX;
    for (size_t i = 0; i < w->n_endpoints; i++) {
        struct conf_endpoint *e = w->endpoints[i];
        bool is_own = conf_key_given(w->d, e, "max_in_flight");
        if (!is_own && e->max_in_flight > streams / 2) {
            e->max_in_flight = at_least_one(streams / 2);
        }
    }
    for (size_t i = 0; i < w->n_pushers; i++) {
        struct conf_pusher *p = w->pushers[i];
        bool is_own = conf_key_given(w->d, p, "max_in_flight");
        if (!is_own && p->max_in_flight > streams / 4) {
            p->max_in_flight = at_least_one(streams / 4);
        }
        if (is_own && w->tunnel && (!p->max_in_flight || p->max_in_flight >= streams)) {
            conf_issue_add(w->d, false, p, "max_in_flight",
                           "lets this pusher take all streams of a tunnel (max_streams = %llu)",
                           (unsigned long long)streams);
        }
    }
}

static void check_limits(const struct work *w, struct conf_pusher *p)
{
    if (conf_key_given(w->d, p, "burst") && !p->max_requests_per_second) {
        conf_issue_add(w->d, true, p, "burst", "needs max_requests_per_second too");
    }
    if (!p->burst) {
        p->burst = p->max_requests_per_second * 10;
    }
    if (w->gateway && p->max_body > w->gateway->max_body) {
        conf_issue_add(w->d, true, p, "max_body", "is above max_body of the gateway (%llu octets)",
                       (unsigned long long)w->gateway->max_body);
    }
}

/* An old hash and its end belong together. */
static void check_proof(const struct work *w, const struct conf_pusher *p, struct conf_proof *proof,
                        const char *old_key, const char *until_key)
{
    conf_pair_check(w->d, p, old_key, until_key);
    if (proof->until && conf_check_time(span_of(proof->until), &proof->until_s) &&
        proof->until_s <= (uint64_t)time(NULL)) {
        conf_issue_add(w->d, false, p, until_key, "has passed; %s can be removed", old_key);
    }
    if (!proof->hash && proof->old_hash) {
        conf_issue_add(w->d, true, p, old_key, "is nothing without the present hash");
    }
}

static void check_basic(const struct work *w, const struct conf_pusher *p)
{
    static const char *const keys[] = {"user", "password_hash"};
    for (size_t i = 0; i < 2; i++) {
        bool is_given = conf_key_given(w->d, p, keys[i]);
        if (p->ways & CONF_AUTH_BASIC && !is_given) {
            conf_issue_add(w->d, true, p, keys[i], "is missing; auth = basic needs it");
        } else if (!(p->ways & CONF_AUTH_BASIC) && is_given) {
            conf_issue_add(w->d, false, p, keys[i], "is not used: auth does not name basic");
        }
    }
}

static void check_oauth2(struct work *w, struct map *clients, struct conf_pusher *p)
{
    static const char *const keys[] = {"client_id", "client_secret_hash", "token_lifetime"};
    if (!(p->ways & CONF_AUTH_OAUTH2)) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            if (conf_key_given(w->d, p, keys[i])) {
                conf_issue_add(w->d, false, p, keys[i], "is not used: auth does not name oauth2");
            }
        }
        return;
    }
    if (!w->oauth) {
        conf_issue_add(w->d, true, p, "auth",
                       "oauth2 needs a section [oauth] with key_directory, a folder for the "
                       "signing keys");
    } else if (!p->token_lifetime_ms) {
        p->token_lifetime_ms = w->oauth->token_lifetime_ms;
    }
    if (!p->secret.hash && !conf_certs_given(p)) {
        conf_issue_add(w->d, false, p, "client_secret_hash",
                       "is missing, so it gets no token; 'frunctl pusher service-key %s' makes one",
                       p->place.name);
    }
    if (!p->client_id) {
        p->client_id = conf_text(w->d, "sb-%s", p->place.name);
    }
    const struct conf_pusher *other = map_get(clients, span_of(p->client_id));
    if (other) {
        conf_issue_add(w->d, true, p, conf_key_given(w->d, p, "client_id") ? "client_id" : NULL,
                       "client ID %s is that of [pusher %s] too; set another client_id",
                       p->client_id, other->place.name);
    } else if (map_put(clients, span_of(p->client_id), p)) {
        w->is_starved = true;
    }
}

static unsigned way_of(const char *name)
{
    if (strcmp(name, "jwt") == 0) {
        return CONF_AUTH_JWT;
    }
    return strcmp(name, "basic") == 0    ? CONF_AUTH_BASIC
           : strcmp(name, "oauth2") == 0 ? CONF_AUTH_OAUTH2
                                         : CONF_AUTH_CERTIFICATE;
}

static void check_ways(struct work *w, struct map *clients, struct conf_pusher *p)
{
    for (size_t i = 0; i < p->auth.n; i++) {
        p->ways |= way_of(p->auth.items[i]);
    }
    check_basic(w, p);
    check_oauth2(w, clients, p);
    w->is_starved = !conf_issuer_resolve(w->d, p, w->issuers, w->n_issuers) || w->is_starved;
    check_proof(w, p, &p->password, "old_password_hash", "old_password_until");
    check_proof(w, p, &p->secret, "old_client_secret_hash", "old_secret_until");
}

/* A key must have been read by all gateways before the next one comes. */
static void check_oauth(const struct work *w)
{
    struct conf_oauth *o = w->oauth;
    if (o && !o->cert_url && w->gateway) {
        o->cert_url = w->gateway->public_url;
    }
    if (o && o->rotate_after_ms && o->rotate_after_ms < 4 * o->reread_ms) {
        conf_issue_add(w->d, true, o, "rotate_after", "must be at least four times reread");
    }
}

static void resolve_pusher(struct work *w, struct map *names, struct map *users,
                           struct conf_pusher *p)
{
    p->endpoints =
        arena_alloc(conf_arena(w->d), (p->endpoint.n + 1) * sizeof(struct conf_endpoint *));
    if (!p->endpoints) {
        w->is_starved = true;
        return;
    }
    for (size_t i = 0; i < p->endpoint.n; i++) {
        struct conf_endpoint *e = map_get(names, span_of(p->endpoint.items[i]));
        p->endpoints[i] = e;
        if (e) {
            check_user(w, users, p, e);
            conf_certs_ask(w->gateway, e, p);
            check_token_client(w, users, p, e);
        } else {
            conf_issue_add(w->d, true, p, "endpoint", "there is no [endpoint %s]",
                           p->endpoint.items[i]);
        }
    }
}

/* Endpoints nobody may push to: most likely a forgotten section. */
static void check_unused(const struct work *w)
{
    for (size_t i = 0; i < w->n_endpoints; i++) {
        bool is_used = false;
        for (size_t j = 0; j < w->n_pushers && !is_used; j++) {
            for (size_t k = 0; k < w->pushers[j]->endpoint.n && !is_used; k++) {
                is_used =
                    w->pushers[j]->endpoints[k] == w->endpoints[i] && w->pushers[j]->is_enabled;
            }
        }
        if (!is_used) {
            conf_issue_add(w->d, false, w->endpoints[i], NULL,
                           "no [pusher NAME] may use it, so every push is answered 401");
        }
    }
}

static void check_pushers(struct work *w)
{
    struct map *names = NULL;
    struct map *users = NULL;
    struct map *clients = NULL;
    if (map_new(false, &names) || map_new(false, &users) || map_new(false, &clients)) {
        w->is_starved = true;
        goto out;
    }
    for (size_t i = 0; i < w->n_endpoints && !w->is_starved; i++) {
        w->is_starved = map_put(names, span_of(w->endpoints[i]->place.name), w->endpoints[i]) != 0;
    }
    for (size_t i = 0; i < w->n_pushers && !w->is_starved; i++) {
        check_ways(w, clients, w->pushers[i]);
        resolve_pusher(w, names, users, w->pushers[i]);
        if (!w->is_starved) {
            check_principal(w, w->pushers[i]);
        }
        check_limits(w, w->pushers[i]);
        if (!w->is_starved) {
            conf_certs_check(w->d, w->gateway, w->pushers[i]);
        }
    }
    if (!w->is_starved) {
        check_unused(w);
        conf_certs_conclude(w->d, w->gateway, w->endpoints, w->n_endpoints);
    }
out:
    map_free(names);
    map_free(users);
    map_free(clients);
}

/* Everything that no single row can see. */
static void cross_check(struct work *w)
{
    size_t n;
    void **one = conf_sections_open(w->d, "gateway", &n);
    w->gateway = n ? one[0] : NULL;
    one = conf_sections_open(w->d, "tunnel", &n);
    w->tunnel = n ? one[0] : NULL;
    one = conf_sections_open(w->d, "oauth", &n);
    w->oauth = n ? one[0] : NULL;
    w->connectors = conf_sections_open(w->d, "connector", &w->n_connectors);
    w->systems = conf_sections_open(w->d, "system", &w->n_systems);
    w->saps = conf_sections_open(w->d, "sap-connectivity", &w->n_saps);
    w->issuers = conf_sections_open(w->d, "issuer", &w->n_issuers);
    w->endpoints = conf_sections_open(w->d, "endpoint", &w->n_endpoints);
    w->pushers = conf_sections_open(w->d, "pusher", &w->n_pushers);
    if (w->gateway) {
        check_gateway(w);
    }
    check_tunnel(w);
    check_connectors(w);
    check_systems(w);
    check_oauth(w);
    for (size_t i = 0; i < w->n_saps; i++) {
        conf_sap_check(w->d, w->saps[i]);
    }
    conf_issuers_check(w->d, w->issuers, w->n_issuers, w->gateway);
    check_endpoints(w);
    limit_shares(w);
    if (!w->is_starved) {
        check_pushers(w);
    }
}

frun_err conf_gw_load_drafts(const char *path, const struct conf_drafts *drafts, FILE *report,
                             struct conf_gw **out)
{
    size_t n_kinds;
    const struct conf_kind *kinds = conf_gw_kinds(&n_kinds);
    struct work w = {0};
    const struct conf_log *log = NULL;
    const struct conf_admin *admin = NULL;
    const struct conf_audit *audit = NULL;
    frun_err err = conf_load_drafts(path, drafts, kinds, n_kinds, &w.d);
    if (err == FRUN_E_NOMEM) {
        return err;
    }
    cross_check(&w);
    struct conf_gw *c = calloc(1, sizeof(*c));
    const struct conf_alert *alert = conf_alert_resolve(w.d);
    w.is_starved |= !alert;
    err = c ? conf_conclude(w.d, w.is_starved, report, &log, &admin, &audit) : FRUN_E_NOMEM;
    if (err) {
        free(c);
        conf_free(w.d);
        return err;
    }
    *c = (struct conf_gw){
        .doc = w.d,
        .gateway = w.gateway,
        .tunnel = w.tunnel,
        .log = log,
        .admin = admin,
        .audit = audit,
        .alert = alert,
        .oauth = w.oauth,
        .connectors = (const struct conf_gw_connector *const *)w.connectors,
        .n_connectors = w.n_connectors,
        .systems = (const struct conf_system *const *)w.systems,
        .n_systems = w.n_systems,
        .saps = (const struct conf_sap *const *)w.saps,
        .n_saps = w.n_saps,
        .issuers = (const struct conf_issuer *const *)w.issuers,
        .n_issuers = w.n_issuers,
        .endpoints = (const struct conf_endpoint *const *)w.endpoints,
        .n_endpoints = w.n_endpoints,
        .pushers = (const struct conf_pusher *const *)w.pushers,
        .n_pushers = w.n_pushers,
        .refs = 1,
    };
    *out = c;
    return FRUN_OK;
}
