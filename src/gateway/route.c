/**
 * Through a connector's tunnel, and straight to the address; and what all routes share.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/route.h"

#include "frun/base/list.h"
#include "frun/tunnel/ptth.h"
#include "frun/upstream/upstream.h"
#include "route_int.h"

#include <stdlib.h>
#include <string.h>

/* -- for all
 * ----------------------------------------------------------------------------------------------------
 */

void route_copy_head(const struct head *from, struct head *to)
{
    memcpy(to, from, offsetof(struct head, fields) + from->n_fields * sizeof(from->fields[0]));
}

void route_wake_all(struct list *waiting)
{
    struct list todo;
    struct list *it;
    list_init(&todo);
    while ((it = list_first(waiting))) {
        list_remove(it);
        list_append(&todo, it);
    }
    while ((it = list_first(&todo))) {
        list_remove(it);
        struct hub_waiter *w = list_entry(it, struct hub_waiter, node);
        w->fn(w);
    }
}

void route_fetch_early(struct token *t, struct token_desk *d)
{
    struct token_value *v = NULL;
    (void)!token_take(t, d, &v, NULL);
    token_value_unref(&v);
}

/* -- tunnel
 * ----------------------------------------------------------------------------------------------------
 */

struct tunnel_route {
    struct route base;
    struct hub_location *location;
    bool is_repeatable; /* what its method forbids, the endpoint allows */
};

static frun_err tunnel_open(struct route *r, const struct head *req, const struct call_events *ev,
                            void *owner, struct call **out, const struct hub_way **via)
{
    struct tunnel_route *t = (struct tunnel_route *)r;
    struct head told; /* read before the return; other roads must not see the field */
    if (t->is_repeatable && req->n_fields < HEAD_MAX_FIELDS) {
        route_copy_head(req, &told);
        (void)!head_add(&told, SPAN_LIT(PTTH_REPEATABLE_FIELD), SPAN_LIT("1"));
        return hub_call(t->location, &told, ev, owner, out, via);
    }
    return hub_call(t->location, req, ev, owner, out, via);
}

static void tunnel_wait(struct route *r, struct hub_waiter *w)
{
    hub_wait(((struct tunnel_route *)r)->location, w);
}

static bool tunnel_is_usable(const struct route *r)
{
    const struct tunnel_route *t = (const struct tunnel_route *)r;
    return hub_has(t->location);
}

static bool tunnel_is_expected(const struct route *r)
{
    return hub_is_expected(((const struct tunnel_route *)r)->location);
}

static void tunnel_free(struct route *r)
{
    hub_leave(((struct tunnel_route *)r)->location);
    free(r);
}

static const struct route_ops tunnel_ops = {
    .name = "tunnel",
    .open = tunnel_open,
    .wait = tunnel_wait,
    .is_usable = tunnel_is_usable,
    .is_expected = tunnel_is_expected,
    .free = tunnel_free,
};

frun_err route_tunnel_new(struct hub *h, const struct endpoint *e, struct route **out)
{
    struct tunnel_route *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->base.ops = &tunnel_ops;
    t->is_repeatable = e->conf->repeat_requests;
    frun_err err = hub_locate(h, span_of(e->conf->location_id), &t->location);
    if (err) {
        free(t);
        return err;
    }
    *out = &t->base;
    return FRUN_OK;
}

/* -- direct
 * ----------------------------------------------------------------------------------------------------
 */

struct direct_route {
    struct route base;
    struct origin *origin;
};

static frun_err direct_open(struct route *r, const struct head *req, const struct call_events *ev,
                            void *owner, struct call **out, const struct hub_way **via)
{
    struct direct_route *t = (struct direct_route *)r;
    *via = NULL;
    return upstream_call(origin_pool(t->origin), req, ev, owner, out);
}

/* A direct route never says "not now", so nobody comes here. */
static void direct_wait(struct route *r, struct hub_waiter *w)
{
    (void)r;
    (void)w;
}

static bool direct_is_usable(const struct route *r)
{
    (void)r;
    return true;
}

static void direct_free(struct route *r)
{
    struct direct_route *t = (struct direct_route *)r;
    origin_unref(&t->origin);
    free(t);
}

static const struct route_ops direct_ops = {
    .name = "direct",
    .open = direct_open,
    .wait = direct_wait,
    .is_usable = direct_is_usable,
    .free = direct_free,
};

frun_err route_direct_new(struct origins *o, const struct endpoint *e, const struct conf_gateway *g,
                          struct route **out)
{
    struct direct_route *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->base.ops = &direct_ops;
    frun_err err = origins_get(o, e, g, &t->origin);
    if (err) {
        free(t);
        return err;
    }
    *out = &t->base;
    return FRUN_OK;
}
