/**
 * A route with a logon that changes: laid over any other route, it puts the present token of the
 * endpoint's own client into each request.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/route.h"

#include "frun/gateway/worker.h"
#include "route_int.h"

#include <stdlib.h>

struct logon_route {
    struct route base;
    struct route_ops ops; /* with the inner route's name */
    struct route *inner;
    struct token *token;
    struct token_desk *desk;
    struct token_value *last; /* what the requests under way carry */
    struct token_waiter waiter;
    struct list waiting; /* requests, while there is no token */
    bool is_lacking;     /* the last open() found none */
    struct diag why;
    struct head head; /* scratch */
};

static frun_err logon_open(struct route *r, const struct head *req, const struct call_events *ev,
                           void *owner, struct call **out, const struct hub_way **via)
{
    struct logon_route *t = (struct logon_route *)r;
    struct token_value *v = NULL;
    frun_err err = token_take(t->token, t->desk, &v, &t->why);
    t->is_lacking = err;
    if (err) {
        return err;
    }
    token_value_unref(&t->last);
    t->last = v;
    route_copy_head(req, &t->head);
    if (head_add(&t->head, SPAN_LIT("Authorization"), token_value_text(v))) {
        return FRUN_E_LIMIT;
    }
    return t->inner->ops->open(t->inner, &t->head, ev, owner, out, via);
}

static void logon_wait(struct route *r, struct hub_waiter *w)
{
    struct logon_route *t = (struct logon_route *)r;
    if (!t->is_lacking) {
        t->inner->ops->wait(t->inner, w);
        return;
    }
    list_append(&t->waiting, &w->node);
    if (list_is_empty(&t->waiter.node)) {
        token_wait(t->token, t->desk, &t->waiter);
    }
}

static void on_token(struct token_waiter *w)
{
    struct logon_route *t = list_entry(w, struct logon_route, waiter);
    route_wake_all(&t->waiting);
}

static bool logon_is_usable(const struct route *r)
{
    const struct logon_route *t = (const struct logon_route *)r;
    return token_is_usable(t->token, t->desk) && t->inner->ops->is_usable(t->inner);
}

static void logon_why(struct route *r, struct call_failure *f)
{
    static const struct call_verdict no_token = {
        .status = 503,
        .error = "proxy_configuration_error",
        .kind = "no_logon_token",
        .detail =
            "there is no access token for Focused Run (auth = oauth2); the gateway's log says "
            "why",
        .retry_after_s = ROUTE_RETRY_S,
    };
    struct logon_route *t = (struct logon_route *)r;
    if (!t->is_lacking && t->inner->ops->why) {
        t->inner->ops->why(t->inner, f);
        return;
    }
    if (!t->is_lacking) {
        f->verdict = (struct call_verdict){
            .status = 503,
            .error = "destination_unavailable",
            .detail = "no connector for the endpoint's location ID is connected; check that "
                      "frunconnector runs and can reach this gateway",
            .retry_after_s = ROUTE_RETRY_S};
        return;
    }
    f->verdict = no_token;
    (void)snprintf(f->text, sizeof(f->text), "no access token: %.220s", t->why.text);
}

/* The token may have been revoked: the next request gets another, if this one is not brand-new. */
static void logon_refused(struct route *r)
{
    struct logon_route *t = (struct logon_route *)r;
    if (t->last) {
        (void)token_drop(t->token, t->desk, t->last);
    }
}

static bool logon_is_expected(const struct route *r)
{
    const struct route *inner = ((const struct logon_route *)r)->inner;
    return inner->ops->is_expected && inner->ops->is_expected(inner);
}

static void logon_free(struct route *r)
{
    struct logon_route *t = (struct logon_route *)r;
    t->inner->ops->free(t->inner);
    token_forget(&t->waiter);
    token_value_unref(&t->last);
    free(t);
}

frun_err route_logon_new(struct worker *w, const struct endpoint *e, struct route **inner,
                         struct route **out)
{
    struct logon_route *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->inner = *inner;
    *inner = NULL;
    t->ops = (struct route_ops){.name = t->inner->ops->name,
                                .open = logon_open,
                                .wait = logon_wait,
                                .is_usable = logon_is_usable,
                                .is_expected = logon_is_expected,
                                .free = logon_free,
                                .why = logon_why,
                                .refused = logon_refused};
    t->base.ops = &t->ops;
    t->token = e->logon;
    t->desk = w->desk;
    list_init(&t->waiting);
    list_init(&t->waiter.node);
    t->waiter.fn = on_token;
    route_fetch_early(t->token, t->desk);
    *out = &t->base;
    return FRUN_OK;
}
