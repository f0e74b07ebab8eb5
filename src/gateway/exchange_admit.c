/**
 * May this request go its way? The steps of DESIGN section 4 stand in this order in
 * exchange_admit(): canonical URI, endpoint, pusher, resource, method, size, head, route. What
 * fails first answers.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_int.h"

#include <stdio.h>

/* Everything about the request is in order: make its new head and send it on. */
static void forward(struct exchange *x)
{
    frun_err err = policy_request(&x->e->policy, &x->facts, &x->in, &x->arena, &x->out);
    if (err) {
        exchange_reply(x, &(struct reply){.status = err == FRUN_E_LIMIT ? 431 : 503,
                                          .error = err == FRUN_E_LIMIT ? "http_request_error"
                                                                       : "proxy_internal_error",
                                          .detail = err == FRUN_E_LIMIT
                                                        ? "too many fields in the request's head"
                                                        : "out of memory"});
        return;
    }
    x->route = x->w->routes[x->e->index];
    exchange_open_route(x);
}

static bool is_method_allowed(const struct endpoint *e, struct span method)
{
    for (size_t i = 0; i < e->conf->methods.n; i++) {
        if (span_eq(method, span_of(e->conf->methods.items[i]))) {
            return true;
        }
    }
    return false;
}

/* The pusher is known and may use the endpoint; may it do THIS? */
static void authorize(struct exchange *x)
{
    struct span path = x->facts.path;
    char detail[384];
    if (path.n == 0 || span_eq(path, SPAN_LIT("/"))) {
        (void)snprintf(detail, sizeof(detail),
                       "this is the root URL of endpoint %.*s and the credentials are right; "
                       "requests go to paths "
                       "below it, such as %.*s/sap/frun",
                       SPAN_FMT(x->e->name), SPAN_FMT(x->e->policy.root_path));
        exchange_reply(x, &(struct reply){.status = 400, .detail = detail});
        return;
    }
    if (!uri_is_under(path, SPAN_LIT("/sap/frun")) && !span_eq(path, SPAN_LIT("/sap/bc/ping"))) {
        exchange_reply(x, &(struct reply){.status = 403,
                                          .error = "http_request_denied",
                                          .detail =
                                              "only /sap/frun, paths below it and /sap/bc/ping are "
                                              "open behind the root URL"});
        return;
    }
    if (!is_method_allowed(x->e, x->in.method)) {
        exchange_reply(
            x, &(struct reply){.status = 405,
                               .error = "http_request_denied",
                               .detail = "the endpoint does not allow this method (methods)",
                               .allow = x->e->allow});
        return;
    }
    if (x->in.body == HEAD_BODY_LENGTH && x->in.body_len_bytes > x->w->conf->gateway->max_body) {
        (void)snprintf(detail, sizeof(detail), "the body is longer than max_body (%llu octets)",
                       (unsigned long long)x->w->conf->gateway->max_body);
        exchange_reply(
            x, &(struct reply){.status = 413, .error = "http_request_error", .detail = detail});
        return;
    }
    forward(x);
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
    case AUTH_BUSY:
        exchange_reply(
            x, &(struct reply){.status = 503,
                               .error = "proxy_internal_error",
                               .detail = "too many new credentials are being verified; try again",
                               .retry_after_s = 1});
        return;
    case AUTH_MISSING:
    case AUTH_REFUSED:
    case AUTH_PENDING:
        break;
    }
    exchange_reply(
        x, &(struct reply){.status = 401,
                           .error = "http_request_denied",
                           .detail = verdict == AUTH_MISSING ? "HTTP Basic credentials are needed"
                                                             : "user or password is wrong",
                           .challenge = SPAN_LIT("Basic realm=\"frunproxy\", charset=\"UTF-8\"")});
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
    enum auth_verdict v = AUTH_MISSING;
    if (f) {
        v = auth_check(x->w->auth, x->registry, x->e, f->value, &x->auth_waiter, &x->who);
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
    exchange_reply(list_entry(a, struct exchange, own), r);
}

void exchange_admit(struct exchange *x)
{
    const char *why = NULL;
    if (uri_parse(x->in.target, x->in.authority, &x->uri, &why) != FRUN_OK) {
        exchange_reply(
            x, &(struct reply){.status = 400, .error = "http_request_error", .detail = why});
        return;
    }
    x->own = (struct own_ask){.w = x->w, .in = &x->in, .answer = on_own_answer};
    if (own_begin(&x->own, x->uri.path)) {
        return;
    }
    x->facts.query = x->uri.query;
    x->e = registry_find(x->registry, x->uri.path, &x->facts.path);
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
