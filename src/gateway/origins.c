/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/origins.h"

#include "frun/base/list.h"
#include "frun/base/secret.h"
#include "frun/net/addr.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Texts of a pool. */
enum text { TEXT_HOST, TEXT_VIRTUAL_HOST, TEXT_SERVER_NAME, TEXT_PROXY, TEXT_PROXY_USER, TEXTS };

struct origins {
    struct loop *loop;
    struct offload *resolvers;
    struct list all; /* of struct origin */
    size_t n;
};

struct origin {
    struct list node;
    struct origins *table;
    unsigned refs;
    struct upstream *pool;
    struct upstream_settings set; /* points at what follows */
    char *texts[TEXTS];           /* NULL: not given */
    struct secret *proxy_password;
    struct tls_ctx *tls; /* NULL: plain */
};

/* What a pool shall be; everything borrowed. */
struct wish {
    struct upstream_settings set; /* target.host is not terminated: see host */
    struct span host;
    const char *virtual_host;
};

static frun_err wish_of(const struct endpoint *e, const struct conf_gateway *g, struct wish *out)
{
    const struct conf_endpoint *c = e->conf;
    unsigned port = 0;
    frun_err err = addr_split(span_of(c->address), &out->host, &port);
    out->virtual_host = c->virtual_host;
    out->set = (struct upstream_settings){
        .target = {.port = port,
                   .tls = e->backend_tls,
                   .server_name = c->server_name,
                   .proxy = c->proxy,
                   .proxy_user = c->proxy_user,
                   .proxy_password = c->proxy_password,
                   .timeout_ms = g->connect_timeout_ms},
        .response_timeout_ms = g->response_timeout_ms,
        .body_timeout_ms = g->body_timeout_ms,
        .keepalive_ms = g->upstream_keepalive_ms,
        .max_idle = ORIGINS_MAX_IDLE,
        .max_connections = ORIGINS_MAX_CONNECTIONS,
        .limits = {.max_head_bytes = g->max_head,
                   .max_target_bytes = g->max_target,
                   .max_fields = g->max_fields},
    };
    return err;
}

/* ---- the same? ---- */

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same_secret(const struct secret *a, const struct secret *b)
{
    return a && b ? secret_equal(secret_span(a), secret_span(b)) : a == b;
}

static bool is_same_peer(const struct origin *o, const struct wish *w)
{
    const struct dial_target *t = &w->set.target;

    return o->set.target.port == t->port && span_eq(span_of(o->texts[TEXT_HOST]), w->host) &&
           is_same_text(o->texts[TEXT_VIRTUAL_HOST], w->virtual_host) &&
           is_same_text(o->texts[TEXT_SERVER_NAME], t->server_name) &&
           is_same_text(o->texts[TEXT_PROXY], t->proxy) &&
           is_same_text(o->texts[TEXT_PROXY_USER], t->proxy_user) &&
           is_same_secret(o->proxy_password, t->proxy_password) &&
           tls_is_same_client(o->tls, t->tls);
}

/* A reload may have changed them. */
static bool is_same_times(const struct upstream_settings *a, const struct upstream_settings *b)
{
    return a->target.timeout_ms == b->target.timeout_ms &&
           a->response_timeout_ms == b->response_timeout_ms &&
           a->body_timeout_ms == b->body_timeout_ms && a->keepalive_ms == b->keepalive_ms &&
           a->limits.max_head_bytes == b->limits.max_head_bytes &&
           a->limits.max_target_bytes == b->limits.max_target_bytes &&
           a->limits.max_fields == b->limits.max_fields;
}

/* ---- life ---- */

static void done(struct origin *o)
{
    upstream_free(o->pool);
    for (size_t i = 0; i < TEXTS; i++) {
        free(o->texts[i]);
    }
    secret_free(o->proxy_password);
    tls_unref(&o->tls);
    free(o);
}

static bool copy_text(struct origin *o, enum text which, const char *from)
{
    o->texts[which] = from ? strdup(from) : NULL;
    return !from || o->texts[which];
}

static bool copy(struct origin *o, const struct wish *w)
{
    const struct dial_target *from = &w->set.target;
    struct dial_target *t = &o->set.target;

    o->set = w->set;
    o->tls = from->tls ? tls_ref(from->tls) : NULL;
    o->texts[TEXT_HOST] = strndup(w->host.p, w->host.n);
    if (!o->texts[TEXT_HOST] || !copy_text(o, TEXT_VIRTUAL_HOST, w->virtual_host) ||
        !copy_text(o, TEXT_SERVER_NAME, from->server_name) ||
        !copy_text(o, TEXT_PROXY, from->proxy) ||
        !copy_text(o, TEXT_PROXY_USER, from->proxy_user) ||
        (from->proxy_password &&
         secret_new(secret_span(from->proxy_password), &o->proxy_password))) {
        return false;
    }
    t->host = o->texts[TEXT_HOST];
    t->server_name = o->texts[TEXT_SERVER_NAME];
    t->proxy = o->texts[TEXT_PROXY];
    t->proxy_user = o->texts[TEXT_PROXY_USER];
    t->proxy_password = o->proxy_password;
    return true;
}

static frun_err add(struct origins *t, const struct wish *w, struct origin **out)
{
    struct origin *o = calloc(1, sizeof(*o));

    if (!o) {
        return FRUN_E_NOMEM;
    }
    frun_err err = copy(o, w) ? FRUN_OK : FRUN_E_NOMEM;
    err = err ? err : upstream_new(t->loop, t->resolvers, &o->set, &o->pool);
    if (err) {
        done(o);
        return err;
    }
    o->table = t;
    list_append(&t->all, &o->node);
    t->n++;
    *out = o;
    return FRUN_OK;
}

frun_err origins_get(struct origins *t, const struct endpoint *e, const struct conf_gateway *g,
                     struct origin **out)
{
    struct wish w = {0};
    struct origin *found = NULL;
    struct list *it;
    frun_err err = wish_of(e, g, &w);

    if (err) {
        return err;
    }
    list_foreach (it, &t->all) {
        struct origin *o = list_entry(it, struct origin, node);

        if (is_same_peer(o, &w) && is_same_times(&o->set, &w.set)) {
            found = o;
            break;
        }
    }
    err = found ? FRUN_OK : add(t, &w, &found);
    if (!err) {
        found->refs++;
        *out = found;
    }
    return err;
}

size_t origins_count(const struct origins *t)
{
    return t->n;
}

struct upstream *origin_pool(const struct origin *o)
{
    return o->pool;
}

void origin_unref(struct origin **o)
{
    struct origin *x = *o;

    *o = NULL;
    if (x && --x->refs == 0) {
        list_remove(&x->node);
        x->table->n--;
        done(x);
    }
}

frun_err origins_new(struct loop *l, struct offload *o, struct origins **out)
{
    struct origins *t = calloc(1, sizeof(*t));

    if (!t) {
        return FRUN_E_NOMEM;
    }
    t->loop = l;
    t->resolvers = o;
    list_init(&t->all);
    *out = t;
    return FRUN_OK;
}

void origins_free(struct origins *t)
{
    if (t) {
        assert(t->n == 0);
        free(t);
    }
}
