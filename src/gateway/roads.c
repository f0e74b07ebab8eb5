/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/roads.h"

#include "frun/gateway/worker.h"

#include <stdlib.h>

static frun_err make_route(struct worker *w, const struct generation *g, const struct endpoint *e,
                           struct route **out)
{
    struct route *r = NULL;
    frun_err err = FRUN_OK;
    switch ((enum conf_route)e->conf->route) {
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
    frun_err err = r->all ? FRUN_OK : FRUN_E_NOMEM;
    for (size_t i = 0; !err && i < n; i++) {
        err = make_route(w, g, &e[i], &r->all[i]);
        r->n = err ? i : i + 1;
    }
    if (err) {
        roads_unref(&r);
        return err;
    }
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
        struct route *x = r->all[--r->n];
        x->ops->free(x);
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
    generation_unref(&old->gen);
    free(old);
}
