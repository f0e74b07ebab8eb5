/**
 * Endpoints and pushers prepared for the data path.
 *
 * Everything is allocated from one arena; the credentials in it are wiped when the last reference
 * goes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/registry.h"

#include "frun/base/arena.h"
#include "frun/base/map.h"
#include "frun/base/mono.h"
#include "frun/base/secret.h"
#include "frun/base/text.h"
#include "frun/conf/check.h"
#include "frun/http/uri.h"
#include "frun/net/tls_files.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/** Ceiling of what all endpoints and pushers take, octets. */
#define REGISTRY_MAX_BYTES ((size_t)256 * 1024 * 1024)

/** Octets of a cache line. */
#define REGISTRY_LINE_BYTES 64

struct registry {
    struct conf_gw *conf;
    struct arena arena;
    struct endpoint *endpoints;
    size_t n_endpoints;
    struct pusher *pushers;
    size_t n_pushers;
    const struct pusher **certified; /* known by certificates */
    size_t n_certified;
    uint64_t serial;
    struct span *fences; /* carrier names of all endpoints */
    size_t n_fences;
    struct tokens tokens;
    struct issuers issuers;
    struct sap_proxy *saps;       /* in order of the configuration's sections */
    struct sap_state *sap_states; /* by endpoint */
    struct endpoint_host *hosts;
    struct map *by_host;           /* without case -> endpoint_host */
    struct map *by_root;           /* first path segment without '/' -> endpoint */
    struct map *by_user;           /* user name -> first pusher of that name */
    struct map *by_client;         /* client ID -> pusher */
    struct map *by_name;           /* section name -> endpoint */
    struct map *by_serial;         /* octets of the serial -> endpoint */
    struct map *by_pusher;         /* section name -> pusher */
    unsigned next_serial;          /* not given to any endpoint yet, here or before */
    const struct registry *before; /* while it is being filled; or NULL */
    /* Written with each request by every worker; all above is only read. */
    _Alignas(REGISTRY_LINE_BYTES) atomic_int refs;
};

/* "GET, HEAD, POST, PUT" of a list. */
static frun_err join_methods(struct arena *a, const struct conf_list *methods, struct span *out)
{
    struct span joined = SPAN_LIT("");
    for (size_t i = 0; i < methods->n; i++) {
        frun_err err = arena_printf(a, &joined, "%.*s%s%s", SPAN_FMT(joined), i ? ", " : "",
                                    methods->items[i]);
        if (err) {
            return err;
        }
    }
    *out = joined;
    return FRUN_OK;
}

/* The endpoint's own logon, "Basic ...", made once instead of per request. */
static frun_err prepare_logon(struct registry *r, const struct conf_endpoint *c, struct span *out)
{
    if (!c->user) {
        *out = (struct span){NULL, 0};
        return FRUN_OK;
    }
    struct span password = secret_span(c->password);
    size_t user_len = strlen(c->user);
    size_t plain_len = user_len + 1 + password.n;
    char *plain = malloc(plain_len);
    char *coded = arena_alloc(&r->arena, 6 + TEXT_BASE64_BYTES(plain_len));
    if (!plain || !coded) {
        free(plain);
        return FRUN_E_NOMEM;
    }
    memcpy(plain, c->user, user_len);
    plain[user_len] = ':';
    if (password.n) {
        memcpy(plain + user_len + 1, password.p, password.n);
    }
    memcpy(coded, "Basic ", 6);
    size_t n = text_base64(span_make(plain, plain_len), coded + 6);
    secret_wipe(plain, plain_len);
    free(plain);
    *out = span_make(coded, 6 + n);
    return FRUN_OK;
}

/* Virtual host as it stands in Host: the default port is left out. */
static struct span virtual_host(const char *text)
{
    struct span s = span_of(text);
    if (s.n > 4 && memcmp(s.p + s.n - 4, ":443", 4) == 0) {
        s.n -= 4;
    }
    return s;
}

static struct span after_scheme(const char *url, struct span *scheme)
{
    struct span s = span_of(url);
    struct span https = SPAN_LIT("https://");
    *scheme = span_starts_nocase(s, https) ? SPAN_LIT("https") : SPAN_LIT("http");
    return span_skip(s, scheme->n + 3);
}

static bool has_road(const struct conf_endpoint *c, enum conf_route road)
{
    return c->route == (int)road || (c->has_standby && c->standby_route == (int)road);
}

/* Do we speak TLS with Focused Run itself, on one of its roads? */
static bool is_own_https(const struct conf_endpoint *c)
{
    bool is_socks = has_road(c, CONF_ROUTE_SAP) && c->sap && c->sap->via == CONF_SAP_SOCKS5;
    return (has_road(c, CONF_ROUTE_DIRECT) || is_socks) && c->protocol == 0;
}

static bool is_same_file(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* What the gateway shows to Focused Run, or NULL. */
static const char *own_certificate(const struct conf_endpoint *c)
{
    return c->auth == CONF_LOGON_CERTIFICATE ? c->client_certificate : NULL;
}

/* One context for all endpoints with the same files. */
static frun_err prepare_tls(struct registry *r, struct endpoint *e, FILE *report)
{
    const struct conf_endpoint *c = e->conf;
    if (!is_own_https(c)) {
        return FRUN_OK;
    }
    for (size_t i = 0; i < e->index; i++) {
        const struct endpoint *other = &r->endpoints[i];
        if (is_own_https(other->conf) && is_same_file(other->conf->backend_ca, c->backend_ca) &&
            is_same_file(own_certificate(other->conf), own_certificate(c)) &&
            (!own_certificate(c) || is_same_file(other->conf->client_key, c->client_key))) {
            /* None if that one failed: it has been told, once is enough. */
            e->backend_tls = other->backend_tls ? tls_ref(other->backend_tls) : NULL;
            return FRUN_OK;
        }
    }
    const struct conf_doc *doc = r->conf->doc;
    bool is_own = conf_key_given(doc, c, "backend_ca");
    const struct endpoint *old = r->before ? registry_endpoint_named(r->before, e->name) : NULL;
    struct tls_source s = {
        .tls = {.certificate = own_certificate(c),
                .private_key = own_certificate(c) ? c->client_key : NULL,
                .ca_file = c->backend_ca,
                .alpn = "http/1.1",
                .before = old ? old->backend_tls : NULL},
        .certificate = {c, "client_certificate"},
        .private_key = {c, "client_key"},
        .ca = {is_own ? (const void *)c : c->system, "backend_ca"},
    };
    return tls_files_load(&s, doc, false, report, &e->backend_tls);
}

static frun_err prepare_map(struct registry *r, const struct conf_endpoint *c, struct pathmap *out)
{
    struct pathmap_rule *rules = arena_alloc(&r->arena, (c->n_maps + 1) * sizeof(*rules));
    if (!rules) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < c->n_maps; i++) {
        rules[i] = (struct pathmap_rule){span_of(c->maps[i].from), span_of(c->maps[i].to)};
    }
    *out = (struct pathmap){rules, c->n_maps};
    return FRUN_OK;
}

/* Each section once, used or not: what is wrong with it is told in any case. */
static frun_err prepare_saps(struct registry *r, FILE *report)
{
    const struct conf_gw *c = r->conf;
    frun_err worst = FRUN_OK;
    r->saps = calloc(c->n_saps + 1, sizeof(*r->saps));
    r->sap_states = calloc(c->n_endpoints + 1, sizeof(*r->sap_states));
    if (!r->saps || !r->sap_states) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < c->n_saps; i++) {
        frun_err err = tokens_sap(&r->tokens, c->saps[i], c->doc, report, &r->saps[i]);
        worst = err && worst != FRUN_E_NOMEM ? err : worst;
    }
    return worst;
}

static frun_err prepare_sap_road(struct registry *r, struct endpoint *e)
{
    const struct conf_endpoint *c = e->conf;
    for (size_t i = 0; c->sap && i < r->conf->n_saps; i++) {
        if (r->conf->saps[i] == c->sap) {
            e->sap = &r->saps[i];
        }
    }
    if (!e->sap) {
        return FRUN_OK;
    }
    unsigned port = 0;
    (void)conf_check_authority(span_of(c->virtual_host), NULL, &port);
    e->sap_state = &r->sap_states[e->index];
    return arena_printf(&r->arena, &e->sap_authority, "%s%s", c->virtual_host, port ? "" : ":443");
}

static frun_err prepare_roads(struct registry *r, struct endpoint *e, FILE *report)
{
    frun_err err = prepare_sap_road(r, e);
    if (!err && e->conf->auth == CONF_LOGON_OAUTH2) {
        err = tokens_logon(&r->tokens, e->conf, r->conf->doc, report, &e->logon);
    }
    return err;
}

static frun_err prepare_endpoint(struct registry *r, const struct conf_endpoint *c,
                                 struct endpoint *e)
{
    e->conf = c;
    e->name = span_of(c->place.name);
    struct policy *p = &e->policy;
    p->virtual_host = virtual_host(c->virtual_host ? c->virtual_host : c->address);
    p->fence_value = span_of(c->admin_request_parameter);
    p->fence_header = span_of(c->carrier.header);
    p->fence_query = span_of(c->carrier.query);
    p->public_host = after_scheme(r->conf->gateway->public_url, &p->public_scheme);
    p->root_path = span_of(c->root_path);
    p->via_name = SPAN_LIT("frunproxyd");
    frun_err err = prepare_logon(r, c, &p->authorization);
    if (!err) {
        err = prepare_map(r, c, &p->map);
    }
    if (!err) {
        err = join_methods(&r->arena, &c->methods, &e->allow);
    }
    if (!err) {
        err = map_put(r->by_root, span_skip(p->root_path, 1), e);
    }
    return err;
}

/* The name is what an endpoint is known by over the times. */
static frun_err enrol(struct registry *r, struct endpoint *e)
{
    const struct endpoint *old = r->before ? registry_endpoint_named(r->before, e->name) : NULL;
    e->serial = old ? old->serial : r->next_serial++;
    frun_err err = map_put(r->by_name, e->name, e);
    return err ? err : map_put(r->by_serial, span_make(&e->serial, sizeof(e->serial)), e);
}

static bool has_name(const struct registry *r, struct span name)
{
    for (size_t i = 0; i < r->n_fences; i++) {
        if (span_eq_nocase(r->fences[i], name)) {
            return true;
        }
    }
    return false;
}

/* Every carrier name of any endpoint, each once; all endpoints share the list. */
static frun_err gather_fences(struct registry *r)
{
    r->fences = calloc(2 * r->n_endpoints + 1, sizeof(*r->fences));
    if (!r->fences) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < r->n_endpoints; i++) {
        const struct policy *p = &r->endpoints[i].policy;
        const struct span names[] = {p->fence_header, p->fence_query};
        for (size_t k = 0; k < 2; k++) {
            if (names[k].n && !has_name(r, names[k])) {
                r->fences[r->n_fences++] = names[k];
            }
        }
    }
    for (size_t i = 0; i < r->n_endpoints; i++) {
        r->endpoints[i].policy.foreign_fences = r->fences;
        r->endpoints[i].policy.n_foreign_fences = r->n_fences;
    }
    return FRUN_OK;
}

static frun_err file_user(struct registry *r, struct pusher *p)
{
    struct span user = span_of(p->conf->user);
    struct pusher *first = map_get(r->by_user, user);
    if (first) {
        p->next_same_user = first->next_same_user;
        first->next_same_user = p;
        return FRUN_OK;
    }
    return map_put(r->by_user, user, p);
}

static frun_err file_client(struct registry *r, struct pusher *p)
{
    const struct conf_proof *secret = &p->conf->secret;
    frun_err err = secret->hash ? jwt_generation(secret->hash, p->generation) : FRUN_OK;
    if (!err && secret->old_hash) {
        err = jwt_generation(secret->old_hash, p->old_generation);
    }
    return err ? err : map_put(r->by_client, span_of(p->conf->client_id), p);
}

/* A context for its own host names, if they show another certificate or ask for others. */
static frun_err prepare_front_tls(struct registry *r, struct endpoint *e, FILE *report)
{
    const struct conf_endpoint *c = e->conf;
    const struct conf_gateway *g = r->conf->gateway;
    if (!c->certificate && !c->client_ca) {
        return FRUN_OK;
    }
    const void *own = c->certificate ? (const void *)c : g;
    const struct endpoint *old = r->before ? registry_endpoint_named(r->before, e->name) : NULL;
    struct tls_source s = {
        .tls = {.certificate = c->certificate ? c->certificate : g->certificate,
                .private_key = c->certificate ? c->private_key : g->private_key,
                .ca_file = c->client_ca ? c->client_ca : g->client_ca,
                .crl_file = c->client_ca ? c->client_crl : g->client_crl,
                .is_asking = c->asking.is_asking,
                .hides_ca = c->asking.hides_ca,
                .alpn = g->http2 ? "h2,http/1.1" : "http/1.1",
                .has_tickets = g->session_tickets,
                .ticket_secret = g->session_ticket_key,
                .label = c->place.name,
                .before = old ? old->front_tls : NULL},
        .certificate = {own, "certificate"},
        .private_key = {own, "private_key"},
        .ca = {c->client_ca ? (const void *)c : g, "client_ca"},
        .crl = {c->client_ca ? (const void *)c : g, "client_crl"},
    };
    return tls_files_load(&s, r->conf->doc, true, report, &e->front_tls);
}

/* When everything else stands in the policies: theirs are copies. */
static frun_err gather_hosts(struct registry *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_endpoints; i++) {
        n += r->endpoints[i].conf->host_name.n;
    }
    r->hosts = calloc(n + 1, sizeof(*r->hosts));
    frun_err err = r->hosts ? map_new(true, &r->by_host) : FRUN_E_NOMEM;
    struct endpoint_host *h = r->hosts;
    for (size_t i = 0; i < r->n_endpoints && !err; i++) {
        const struct endpoint *e = &r->endpoints[i];
        for (size_t k = 0; k < e->conf->host_name.n && !err; k++, h++) {
            *h = (struct endpoint_host){.e = e, .policy = e->policy};
            h->policy.public_host = after_scheme(e->conf->host_urls[k], &h->policy.public_scheme);
            h->policy.root_path = SPAN_LIT("");
            err = map_put(r->by_host, span_of(e->conf->host_name.items[k]), h);
        }
    }
    return err;
}

static frun_err code_principal(struct registry *r, struct pusher *p)
{
    struct span name = span_of(p->conf->principal);
    char *coded = arena_alloc(&r->arena, TEXT_BASE64_BYTES(name.n));
    if (!coded) {
        return FRUN_E_NOMEM;
    }
    size_t n = name.n ? text_base64(name, coded) : 0;
    p->principal = span_make(coded, n);
    return FRUN_OK;
}

/* A pusher that is not enabled, or has no such way, is not found. */
static frun_err prepare_pusher(struct registry *r, const struct conf_pusher *c, struct pusher *p)
{
    p->conf = c;
    p->name = span_of(c->place.name);
    frun_err err = map_put(r->by_pusher, p->name, p);
    if (err || !c->is_enabled) {
        return err;
    }
    for (size_t i = 0; i < r->n_endpoints; i++) {
        struct endpoint *e = &r->endpoints[i];
        e->ways |= registry_may(p, e) ? c->ways : 0;
    }
    err = c->ways & CONF_AUTH_BASIC ? file_user(r, p) : FRUN_OK;
    if (!err && c->ways & CONF_AUTH_OAUTH2) {
        err = file_client(r, p);
    }
    if (!err && c->ways & CONF_AUTH_JWT) {
        err = issuers_add(&r->issuers, p);
    }
    if (!err && p->rules.n && c->ways & (CONF_AUTH_OAUTH2 | CONF_AUTH_CERTIFICATE)) {
        r->certified[r->n_certified++] = p;
    }
    return err ? err : code_principal(r, p);
}

static const struct endpoint *common_endpoint(const struct registry *r, const struct pusher *a,
                                              const struct pusher *b)
{
    for (size_t i = 0; i < r->n_endpoints; i++) {
        if (registry_may(a, &r->endpoints[i]) && registry_may(b, &r->endpoints[i])) {
            return &r->endpoints[i];
        }
    }
    return NULL;
}

/* A certificate at an endpoint belongs to one pusher, as far as rules tell. */
static frun_err check_certified(const struct registry *r, FILE *report)
{
    frun_err err = FRUN_OK;
    for (size_t i = 0; i < r->n_certified; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct pusher *a = r->certified[i];
            const struct pusher *b = r->certified[k];
            const struct rule *rule = rules_common(&a->rules, &b->rules);
            const struct endpoint *e = rule && a->conf->ways & b->conf->ways & CONF_AUTH_CERTIFICATE
                                           ? common_endpoint(r, a, b)
                                           : NULL;
            char why[256];
            if (!e) {
                continue;
            }
            (void)snprintf(why, sizeof(why),
                           "a certificate of [pusher %.*s] at endpoint %.*s too; certificates are "
                           "unique at an endpoint",
                           SPAN_FMT(b->name), SPAN_FMT(e->name));
            if (report) {
                conf_place_print(r->conf->doc, report, true, a->conf, rule->key, why);
            }
            err = FRUN_E_SYNTAX;
        }
    }
    return err;
}

/* All pushers; what is wrong with certificates of any is told. */
static frun_err prepare_pushers(struct registry *r, FILE *report)
{
    const struct conf_gw *c = r->conf;
    frun_err err = FRUN_OK;
    frun_err worst = FRUN_OK;
    for (size_t i = 0; !err && i < c->n_pushers; i++) {
        struct pusher *p = &r->pushers[i];
        p->index = i;
        r->n_pushers = i + 1;
        err = rules_load(c->pushers[i], c->doc, report, &p->rules);
        if (err == FRUN_E_SYNTAX) {
            worst = err;
            err = FRUN_OK;
        }
        err = err ? err : prepare_pusher(r, c->pushers[i], p);
    }
    if (!err && !worst) {
        worst = check_certified(r, report);
    }
    return err ? err : worst;
}

static frun_err make_maps(struct registry *r)
{
    struct map **const maps[] = {&r->by_root, &r->by_user,   &r->by_client,
                                 &r->by_name, &r->by_serial, &r->by_pusher};
    frun_err err = FRUN_OK;
    for (size_t i = 0; !err && i < sizeof(maps) / sizeof(maps[0]); i++) {
        err = map_new(false, maps[i]);
    }
    return err;
}

/* worst: of the files that were told to be wrong, which does not keep the others from being read.
 */
static frun_err add_endpoint(struct registry *r, size_t i, FILE *report, frun_err *worst)
{
    struct endpoint *e = &r->endpoints[i];
    e->index = i;
    r->n_endpoints = i + 1;
    e->state = calloc(1, sizeof(*e->state));
    if (!e->state) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&e->state->refs, 1);
    frun_err err = prepare_endpoint(r, r->conf->endpoints[i], e);
    if (!err) {
        err = enrol(r, e);
    }
    if (err) {
        return err;
    }
    frun_err bad = prepare_tls(r, e, report);
    *worst = bad ? bad : *worst;
    bad = prepare_front_tls(r, e, report);
    *worst = bad ? bad : *worst;
    bad = prepare_roads(r, e, report);
    *worst = bad ? bad : *worst;
    return FRUN_OK;
}

static frun_err fill(struct registry *r, FILE *report)
{
    const struct conf_gw *c = r->conf;
    r->endpoints = calloc(c->n_endpoints + 1, sizeof(*r->endpoints));
    r->pushers = calloc(c->n_pushers + 1, sizeof(*r->pushers));
    r->certified = calloc(c->n_pushers + 1, sizeof(*r->certified));
    if (!r->endpoints || !r->pushers || !r->certified) {
        return FRUN_E_NOMEM;
    }
    frun_err worst = prepare_saps(r, report);
    frun_err err = worst == FRUN_E_NOMEM ? worst : make_maps(r);
    if (!err) {
        err = issuers_fill(&r->issuers, c, &r->arena, report);
    }
    for (size_t i = 0; !err && i < c->n_endpoints; i++) {
        err = add_endpoint(r, i, report, &worst);
    }
    if (!err) {
        err = gather_fences(r);
    }
    if (!err) {
        err = gather_hosts(r);
    }
    if (!err) {
        frun_err bad = prepare_pushers(r, report);
        worst = bad ? bad : worst;
    }
    return err ? err : worst;
}

static void state_unref(struct endpoint_state *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        free(s);
    }
}

static const struct endpoint *find_named(const struct registry *r, struct span name)
{
    for (size_t i = 0; i < r->n_endpoints; i++) {
        if (span_eq(r->endpoints[i].name, name)) {
            return &r->endpoints[i];
        }
    }
    return NULL;
}

static bool has_same_roads(const struct conf_endpoint *a, const struct conf_endpoint *b)
{
    return a->route == b->route && a->has_standby == b->has_standby &&
           (!a->has_standby || a->standby_route == b->standby_route);
}

/* The order of two lists is mostly the same; where it is not, it is searched. */
void registry_follow(struct registry *r, const struct registry *before)
{
    for (size_t i = 0; i < r->n_endpoints; i++) {
        struct endpoint *e = &r->endpoints[i];
        bool is_there = i < before->n_endpoints && span_eq(before->endpoints[i].name, e->name);
        const struct endpoint *old = is_there ? &before->endpoints[i] : find_named(before, e->name);
        if (!old) {
            continue;
        }
        if (has_same_roads(e->conf, old->conf)) {
            state_unref(e->state);
            e->state = old->state;
            atomic_fetch_add_explicit(&e->state->refs, 1, memory_order_relaxed);
            continue;
        }
        bool was_switched = old->conf->has_standby && atomic_load(&old->state->is_switched);
        int road = was_switched ? old->conf->standby_route : old->conf->route;
        bool is_other = e->conf->has_standby && e->conf->route != road &&
                        e->conf->standby_route == road && was_switched;
        atomic_store(&e->state->is_switched, is_other);
        atomic_store(&e->state->health, atomic_load(&old->state->health));
    }
}

static void destroy(struct registry *r)
{
    for (size_t i = 0; i < r->n_endpoints; i++) {
        struct endpoint *e = &r->endpoints[i];
        if (e->policy.authorization.p) {
            /* The span lends it as const to everyone else; its memory is this registry's. */
            char *logon = (char *)(uintptr_t)e->policy.authorization.p;
            secret_wipe(logon, e->policy.authorization.n);
        }
        tls_unref(&e->backend_tls);
        tls_unref(&e->front_tls);
        state_unref(e->state);
    }
    map_free(r->by_host);
    free(r->hosts);
    for (size_t i = 0; r->saps && i < r->conf->n_saps; i++) {
        tokens_sap_done(&r->saps[i]);
    }
    free(r->saps);
    free(r->sap_states);
    tokens_done(&r->tokens);
    issuers_done(&r->issuers);
    map_free(r->by_root);
    map_free(r->by_user);
    map_free(r->by_client);
    map_free(r->by_name);
    map_free(r->by_serial);
    map_free(r->by_pusher);
    free(r->fences);
    free(r->endpoints);
    for (size_t i = 0; i < r->n_pushers; i++) {
        rules_done(&r->pushers[i].rules);
    }
    free(r->certified);
    free(r->pushers);
    arena_done(&r->arena);
    conf_gw_unref(&r->conf);
    free(r);
}

frun_err registry_next(struct conf_gw *conf, const struct registry *before, FILE *report,
                       struct registry **out)
{
    struct registry *r = aligned_alloc(REGISTRY_LINE_BYTES, sizeof(*r));
    if (!r) {
        return FRUN_E_NOMEM;
    }
    *r = (struct registry){0};
    atomic_init(&r->refs, 1);
    r->conf = conf_gw_ref(conf);
    arena_init(&r->arena, REGISTRY_MAX_BYTES);
    r->before = before;
    r->next_serial = before ? before->next_serial : 0;
    while (!r->serial) {
        mono_entropy(&r->serial, sizeof(r->serial));
    }
    r->tokens.before = before ? &before->tokens : NULL;
    r->issuers.before = before ? &before->issuers : NULL;
    frun_err err = fill(r, report);
    r->before = NULL;
    r->tokens.before = NULL;
    r->issuers.before = NULL;
    if (err) {
        destroy(r);
        return err;
    }
    *out = r;
    return FRUN_OK;
}

frun_err registry_new(struct conf_gw *conf, FILE *report, struct registry **out)
{
    return registry_next(conf, NULL, report, out);
}

struct registry *registry_ref(struct registry *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void registry_unref(struct registry **r)
{
    struct registry *x = *r;
    *r = NULL;
    if (x && atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1) {
        destroy(x);
    }
}

const struct conf_gw *registry_conf(const struct registry *r)
{
    return r->conf;
}

uint64_t registry_serial(const struct registry *r)
{
    return r->serial;
}

const struct pusher *const *registry_certified(const struct registry *r, size_t *n)
{
    *n = r->n_certified;
    return r->certified;
}

bool registry_needs_tokens(const struct registry *r)
{
    return r->tokens.n > 0;
}

const struct endpoint *registry_endpoints(const struct registry *r, size_t *n)
{
    *n = r->n_endpoints;
    return r->endpoints;
}

const struct endpoint_host *registry_host(const struct registry *r, struct span authority)
{
    struct span host;
    if (!uri_is_authority(authority, &host, NULL)) {
        return NULL;
    }
    if (host.n > 1 && host.p[host.n - 1] == '.') {
        host.n--; /* the same name, written in full */
    }
    return map_get(r->by_host, host);
}

const struct endpoint *registry_find(const struct registry *r, struct span path, struct span *rest)
{
    struct span tail = span_skip(path, 1);
    struct span segment = span_head(tail, span_find(tail, '/'));
    const struct endpoint *e = map_get(r->by_root, segment);
    if (e) {
        *rest = span_skip(tail, segment.n);
    }
    return e;
}

const struct endpoint *registry_endpoint_named(const struct registry *r, struct span name)
{
    return map_get(r->by_name, name);
}

const struct endpoint *registry_endpoint_of(const struct registry *r, unsigned serial)
{
    return map_get(r->by_serial, span_make(&serial, sizeof(serial)));
}

const struct pusher *registry_pusher_named(const struct registry *r, struct span name)
{
    return map_get(r->by_pusher, name);
}

bool registry_may(const struct pusher *p, const struct endpoint *e)
{
    for (size_t i = 0; i < p->conf->endpoint.n; i++) {
        if (p->conf->endpoints[i] == e->conf) {
            return true;
        }
    }
    return false;
}

const struct issuers *registry_issuers(const struct registry *r)
{
    return &r->issuers;
}

const struct pusher *registry_client(const struct registry *r, struct span client_id)
{
    return map_get(r->by_client, client_id);
}

const struct pusher *registry_pusher(const struct registry *r, struct span user,
                                     const struct endpoint *e, bool *is_listed)
{
    const struct pusher *first = map_get(r->by_user, user);
    for (const struct pusher *p = first; p; p = p->next_same_user) {
        if (registry_may(p, e)) {
            *is_listed = true;
            return p;
        }
    }
    *is_listed = false;
    return first;
}
