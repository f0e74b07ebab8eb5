/**
 * May this request go its way? The steps of DESIGN section 4 stand in this order in
 * exchange_admit(): canonical URI, endpoint, pusher, resource, method, size, head, route. What
 * fails first answers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_int.h"

#include <stdio.h>

#include <string.h>

/** When to come again while an issuer's keys are not here, seconds. */
#define NO_KEYS_RETRY_S 10

/* Everything about the request is in order: make its new head and send it on. */
void exchange_forward(struct exchange *x, struct route *r)
{
    if (x->who && x->e->conf->propagate_principal) { /* a check of our own is nobody's */
        x->facts.principal = x->who->principal;
    }
    frun_err err = policy_request(x->policy, &x->facts, &x->in, &x->arena, &x->out);
    if (err) {
        exchange_reply(x, &(struct reply){.status = err == FRUN_E_LIMIT ? 431 : 503,
                                          .error = err == FRUN_E_LIMIT ? "http_request_error"
                                                                       : "proxy_internal_error",
                                          .detail = err == FRUN_E_LIMIT
                                                        ? "too many fields in the request's head"
                                                        : "out of memory"});
        return;
    }
    exchange_take_route(x, r);
    exchange_open_route(x);
}

static void forward(struct exchange *x)
{
    exchange_forward(x, x->roads->all[x->e->index]);
}

void exchange_permit(const struct exchange *x, struct permit *p)
{
    p->e = x->e;
    p->who = x->who;
    p->g = x->w->conf->gateway;
    p->in = &x->in;
    p->root_path = x->policy->root_path;
    p->path = x->facts.path;
}

static void refuse_turn(struct exchange *x, enum turn_result result)
{
    struct permit permit;
    exchange_permit(x, &permit);
    struct reply no = permit_no_turn(&permit, result, x->turn.retry_after_s);
    exchange_reply(x, &no);
}

void exchange_on_turn(struct turn *t, enum turn_result result)
{
    struct exchange *x = list_entry(t, struct exchange, turn);
    x->hold_until_ms = t->until_ms; /* one patience for all waiting */
    if (result == TURN_COME) {
        forward(x);
    } else {
        refuse_turn(x, result);
    }
}

/* Everything is in order but for the limits. */
static void take_turn(struct exchange *x)
{
    struct worker *w = x->w;
    const struct generation *g = x->roads->gen;
    struct turn_terms terms = {.loop = w->loop,
                               .worker = w->index,
                               .hold_ms = w->conf->gateway->hold_ms,
                               .n_waiting = &w->n_waiting,
                               .max_waiting = w->conf->gateway->max_waiting};
    enum turn_result result = turn_begin(&x->turn, &terms, quota_get(g->quotas, x->who->index),
                                         quota_get(g->quotas, g->conf->n_pushers + x->e->index));
    if (result == TURN_COME) {
        forward(x);
    } else if (result == TURN_PENDING) {
        x->state = EXCHANGE_STATE_QUEUED;
        exchange_read_ahead(x);
    } else {
        refuse_turn(x, result);
    }
}

/* The pusher is known and may use the endpoint; may it do THIS? */
static void authorize(struct exchange *x)
{
    struct permit permit;
    struct reply no;
    if (x->facts.path.n > 1 &&
        pathmap_forward(&x->policy->map, x->facts.path, &x->arena, &x->facts.path) != FRUN_OK) {
        exchange_reply(x, &(struct reply){.status = 503,
                                          .error = "proxy_internal_error",
                                          .detail = "out of memory",
                                          .retry_after_s = 1});
        return;
    }
    exchange_permit(x, &permit);
    if (!permit_check(&permit, &no)) {
        exchange_reply(x, &no);
        return;
    }
    uint64_t max_body_bytes = permit_max_body(&permit);
    if (x->relay.request_bytes > max_body_bytes) { /* read while the credential was verified */
        no = permit_too_long(&permit);
        exchange_reply(x, &no);
        return;
    }
    relay_limit(&x->relay, max_body_bytes);
    take_turn(x);
}

/* A token that is not good: the Bearer challenge says why. */
static struct span bearer_challenge(struct exchange *x, const char *why)
{
    struct span text = SPAN_LIT("Bearer error=\"invalid_token\"");
    frun_err err = arena_printf(&x->arena, &text,
                                "Bearer realm=\"frunproxy\", error=\"invalid_token\", "
                                "error_description=\"%s\"",
                                why);
    return err ? SPAN_LIT("Bearer error=\"invalid_token\"") : text;
}

/* What is missing, or wrong, where no token was shown. */
static const char *lack_of(enum auth_verdict verdict, bool has_basic, bool has_bearer, bool has_own)
{
    if (verdict == AUTH_REFUSED) {
        return "user or password is wrong";
    }
    if (has_bearer && has_basic) {
        return "HTTP Basic credentials or a Bearer token are needed";
    }
    if (has_own) {
        return "a Bearer token is needed; /oauth/token issues it";
    }
    return has_bearer ? "a Bearer token is needed" : "HTTP Basic credentials are needed";
}

/* 401 with the ways that are open at this endpoint; the one that was tried comes first. */
static void challenge(struct exchange *x, enum auth_verdict verdict)
{
    struct span basic = SPAN_LIT("Basic realm=\"frunproxy\", charset=\"UTF-8\"");
    struct span bearer = SPAN_LIT("Bearer realm=\"frunproxy\"");
    bool has_own = x->e->ways & CONF_AUTH_OAUTH2 && auth_keys(x->w->auth);
    bool has_bearer = has_own || x->e->ways & CONF_AUTH_JWT;
    bool has_basic = x->e->ways & CONF_AUTH_BASIC || !has_bearer;
    bool is_bad_token = verdict == AUTH_BAD_TOKEN;
    struct reply r = {.status = 401, .error = "http_request_denied"};
    struct span why = {0};
    if (exchange_refuse_certificate(x, x->e->ways & CONF_AUTH_BASIC || has_bearer, &why)) {
        return;
    }
    if (is_bad_token) {
        why = span_of(x->auth_waiter.why);
        bearer = bearer_challenge(x, why.p);
    }
    r.detail = why.p ? why.p : lack_of(verdict, has_basic, has_bearer, has_own);
    r.challenge = has_basic && !is_bad_token ? basic : bearer;
    if (has_basic && (has_bearer || is_bad_token)) {
        r.other_challenge = is_bad_token ? basic : bearer;
    }
    exchange_reply(x, &r);
}

static void judge(struct exchange *x, enum auth_verdict verdict)
{
    char detail[256];
    switch (verdict) {
    case AUTH_GRANTED:
        authorize(x);
        return;
    case AUTH_FOREIGN:
        (void)snprintf(detail, sizeof(detail),
                       "the credentials are right, but this pusher may not use endpoint %.*s; add "
                       "it to the pusher's "
                       "endpoint list",
                       SPAN_FMT(x->e->name));
        exchange_reply(
            x, &(struct reply){.status = 403, .error = "http_request_denied", .detail = detail});
        return;
    case AUTH_NO_KEYS:
        exchange_reply(x,
                       &(struct reply){.status = 503,
                                       .error = "proxy_internal_error",
                                       .detail = "the keys of the token's issuer are not here yet",
                                       .retry_after_s = NO_KEYS_RETRY_S});
        return;
    case AUTH_BUSY:
        exchange_reply(
            x, &(struct reply){.status = 503,
                               .error = "proxy_internal_error",
                               .detail = "too many new credentials are being verified; try again",
                               .retry_after_s = 1});
        return;
    case AUTH_MISSING:
    case AUTH_REFUSED:
    case AUTH_BAD_TOKEN:
    case AUTH_PENDING:
        break;
    }
    challenge(x, verdict);
}

void exchange_on_verdict(struct auth_waiter *w, enum auth_verdict verdict, const struct pusher *who)
{
    struct exchange *x = list_entry(w, struct exchange, auth_waiter);
    x->who = who;
    judge(x, verdict);
}

static void authenticate(struct exchange *x)
{
    const struct field *f = NULL;
    for (size_t i = 0; i < x->in.n_fields; i++) {
        if (!span_eq_nocase(x->in.fields[i].name, SPAN_LIT("Authorization"))) {
            continue;
        }
        if (f) {
            exchange_reply(x, &(struct reply){.status = 400,
                                              .error = "http_request_error",
                                              .detail = "more than one Authorization field"});
            return;
        }
        f = &x->in.fields[i];
    }
    /* Credentials that are shown count, right or wrong; a certificate often is just there. */
    enum auth_verdict v = AUTH_MISSING;
    x->auth_waiter.shown = x->identity ? cert_sha256(identity_cert(x->identity)) : NULL;
    x->auth_waiter.from = x->facts.client_address;
    if (f && x->e->ways != CONF_AUTH_CERTIFICATE) {
        v = auth_check(x->w->auth, x->registry, x->e, f->value, &x->auth_waiter, &x->who);
    } else {
        v = exchange_check_certificate(x);
    }
    if (v == AUTH_PENDING) {
        x->state = EXCHANGE_STATE_VERIFYING;
        exchange_read_ahead(x);
        return;
    }
    judge(x, v);
}

static void on_own_answer(struct own_ask *a, const struct reply *r)
{
    struct exchange *x = list_entry(a, struct exchange, own);
    x->who = a->who;
    x->auth_waiter.way = a->waiter.way;
    exchange_reply(x, r);
}

/* One of the gateway's own resources? */
static bool is_own(struct exchange *x)
{
    struct own_ask *a = &x->own;
    a->w = x->w;
    a->registry = x->registry;
    a->identity = x->identity;
    a->trust = &x->trust;
    a->in = &x->in;
    a->query = x->uri.query;
    a->arena = &x->arena;
    a->answer = on_own_answer;
    if (!own_begin(a, x->uri.path)) {
        return false;
    }
    if (a->wants_body) {
        x->state = EXCHANGE_STATE_OWN;
        /* For all of it: who may be anybody shall not stay by an octet now and then. */
        deadline_set(x->w->loop, &x->deadline, x->w->conf->gateway->body_timeout_ms);
        x->is_body_open = true;
        x->served->ops->accept_body(x->served);
    }
    return true;
}

/* A connection speaks for the certificate it was opened by, in both directions: no request of one
 * customer on another's, whatever its Host says. By label, because a connection may be older than
 * the context that serves the name now. Source: RFC 9110 7.4, 15.5.20. */
static bool is_misdirected(const struct exchange *x, const struct endpoint_host *host)
{
    const struct tls_ctx *own = host ? host->e->front_tls : NULL;
    return x->shown && x->shown != own &&
           strcmp(tls_label(x->shown), own ? tls_label(own) : "") != 0;
}

static void find_endpoint(struct exchange *x, const struct endpoint_host *host)
{
    if (host) {
        x->e = host->e;
        x->policy = &host->policy;
        x->facts.path = x->uri.path;
        return;
    }
    x->e = registry_find(x->registry, x->uri.path, &x->facts.path);
    x->policy = x->e ? &x->e->policy : NULL;
}

void exchange_admit(struct exchange *x)
{
    const char *why = NULL;
    if (uri_parse(x->in.target, x->in.authority, &x->uri, &why) != FRUN_OK) {
        exchange_reply(
            x, &(struct reply){.status = 400, .error = "http_request_error", .detail = why});
        return;
    }
    const struct endpoint_host *host = registry_host(x->registry, x->in.authority);
    if (is_misdirected(x, host)) {
        exchange_reply(x, &(struct reply){.status = 421,
                                          .error = "http_request_error",
                                          .detail = "this connection was opened for another host "
                                                    "name than that of the request"});
        return;
    }
    exchange_set_trust(x, host);
    bool is_ping = host && span_eq(x->uri.path, SPAN_LIT("/sap/bc/ping"));
    if (!is_ping && is_own(x)) {
        return;
    }
    x->facts.query = x->uri.query;
    find_endpoint(x, host);
    if (!x->e) {
        exchange_reply(
            x,
            &(struct reply){
                .status = 404,
                .error = "destination_not_found",
                .detail = "no endpoint has this root URL; compare the first part of the path with "
                          "\"frunctl endpoint list\""});
        return;
    }
    authenticate(x);
}
