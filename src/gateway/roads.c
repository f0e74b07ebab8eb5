/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/roads.h"

#include "frun/gateway/worker.h"

#include <stdlib.h>

static frun_err make_route(struct worker *w, const struct generation *g, const struct endpoint *e,
                           enum conf_route road, struct route **out)
{
    struct route *r = NULL;
    frun_err err = FRUN_OK;
    switch (road) {
    case CONF_ROUTE_TUNNEL:
        err = route_tunnel_new(w->hub, e, &r);
        break;
    case CONF_ROUTE_DIRECT:
        err = route_direct_new(w->origins, e, g->conf->gateway, &r);
        break;
    case CONF_ROUTE_SAP:
        err = route_sap_new(w, e, g->conf->gateway, &r);
        break;
    }
    if (!err && e->logon) {
        err = route_logon_new(w, e, &r, out);
        if (err) {
            r->ops->free(r);
        }
        return err;
    }
    *out = r;
    return err;
}

/* Both roads of an endpoint, as configured. */
static frun_err make_pair(struct worker *w, const struct endpoint *e, struct roads *r)
{
    struct route **standby = &r->standby[e->index];
    frun_err err = make_route(w, r->gen, e, (enum conf_route)e->conf->route, &r->all[e->index]);
    if (!err && e->conf->has_standby) {
        err = make_route(w, r->gen, e, (enum conf_route)e->conf->standby_route, standby);
        if (!err) {
            (*standby)->is_standby = true;
        }
    }
    return err;
}

void roads_settle(struct roads *r)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(r->gen->registry, &n);
    for (size_t i = 0; i < r->n; i++) {
        struct route *now = r->all[i];
        if (r->standby[i] && now->is_standby != atomic_load(&e[i].state->is_switched)) {
            r->all[i] = r->standby[i];
            r->standby[i] = now;
        }
    }
}

frun_err roads_new(struct worker *w, struct generation *g, struct roads **out)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(g->registry, &n);
    struct roads *r = calloc(1, sizeof(*r));
    if (!r) {
        return FRUN_E_NOMEM;
    }
    r->refs = 1;
    r->gen = generation_ref(g);
    r->all = calloc(n + 1, sizeof(*r->all));
    list_init(&r->node);
    r->standby = calloc(n + 1, sizeof(*r->standby));
    frun_err err = r->all && r->standby ? FRUN_OK : FRUN_E_NOMEM;
    for (size_t i = 0; !err && i < n; i++) {
        err = make_pair(w, &e[i], r);
        r->n = i + 1;
    }
    if (err) {
        roads_unref(&r);
        return err;
    }
    roads_settle(r);
    list_append(&w->all_roads, &r->node);
    *out = r;
    return FRUN_OK;
}

struct roads *roads_ref(struct roads *r)
{
    r->refs++;
    return r;
}

void roads_close(struct roads *r)
{
    while (r->n > 0) {
        struct route *both[] = {r->all[--r->n], r->standby[r->n]};
        for (size_t i = 0; i < 2; i++) {
            if (both[i]) {
                both[i]->ops->free(both[i]);
            }
        }
    }
}

void roads_unref(struct roads **r)
{
    struct roads *old = *r;
    *r = NULL;
    if (!old || --old->refs > 0) {
        return;
    }
    list_remove(&old->node);
    roads_close(old);
    free(old->all);
    free(old->standby);
    generation_unref(&old->gen);
    free(old);
}
