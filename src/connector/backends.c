/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/backends.h"

#include "frun/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a remembered cause. */
#define MAX_WHY 512

/** Certificates of principals that may wait to be made. */
enum { SIGNER_QUEUE = 64 };

/** One back end. */
struct backend {
    const struct conf_mapping *mapping; /**< its mapping */
    struct upstream *pool;              /**< its connections */
    struct principals *principals;      /**< certificates it is told, or NULL */
    char scope[160];                    /**< for the log */
    char why[MAX_WHY];                  /**< cause of the last failure, "" while it answers */
    uint64_t logged_ms;                 /**< when a failure was logged last */
};

struct backends {
    struct loop *loop;       /**< worker */
    struct offload *signer;  /**< makes certificates of principals; NULL: nobody needs it */
    struct backend *backend; /**< by index of the mapping */
    size_t n;                /**< count */
};

static frun_err open_backend(struct backends *b, struct offload *o, const struct conf_cn *conf,
                             const struct trust *t, size_t i)
{
    const struct conf_connector *c = conf->connector;
    const struct conf_mapping *m = conf->mappings[i];
    struct upstream_settings s = {
        .target = {.host = m->internal_host,
                   .port = (unsigned)m->internal_port,
                   .tls = t->mappings[i],
                   .server_name = m->server_name,
                   .timeout_ms = c->connect_timeout_ms},
        .response_timeout_ms = c->response_timeout_ms,
        .body_timeout_ms = c->body_timeout_ms,
        .keepalive_ms = c->backend_keepalive_ms,
        .max_idle = BACKENDS_MAX_IDLE,
        .max_connections = BACKENDS_MAX_CONNECTIONS,
        .limits = HEAD_LIMITS_DEFAULT,
    };
    s.limits.max_head_bytes = (size_t)c->max_head;
    b->backend[i].mapping = m;
    (void)snprintf(b->backend[i].scope, sizeof(b->backend[i].scope), "system %s", m->place.name);
    frun_err err = upstream_new(b->loop, o, &s, &b->backend[i].pool);
    b->n = err ? b->n : i + 1;
    if (err || !t->cas || !t->cas[i]) {
        return err;
    }
    /* A thread of its own: the resolver's may all wait for a name server. */
    err = b->signer ? FRUN_OK : offload_new(1, SIGNER_QUEUE, &b->signer);
    return err ? err : principals_new(b->loop, b->signer, t->cas[i], &b->backend[i].principals);
}

frun_err backends_new(struct loop *l, struct offload *o, const struct conf_cn *conf,
                      const struct trust *t, struct backends **out)
{
    struct backends *b = calloc(1, sizeof(*b));
    if (!b) {
        return FRUN_E_NOMEM;
    }
    b->loop = l;
    b->backend = calloc(conf->n_mappings + 1, sizeof(struct backend));
    if (!b->backend) {
        backends_free(b);
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < conf->n_mappings; i++) {
        frun_err err = open_backend(b, o, conf, t, i);
        if (err) {
            backends_free(b);
            return err;
        }
    }
    *out = b;
    return FRUN_OK;
}

void backends_free(struct backends *b)
{
    if (!b) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        upstream_free(b->backend[i].pool);
        principals_free(b->backend[i].principals);
    }
    offload_free(b->signer);
    free(b->backend);
    free(b);
}

struct upstream *backends_get(struct backends *b, size_t index)
{
    return b->backend[index].pool;
}

struct principals *backends_principals(struct backends *b, size_t index)
{
    return b->backend[index].principals;
}

void backends_answered(struct backends *b, size_t index)
{
    struct backend *x = &b->backend[index];
    if (x->why[0]) {
        x->why[0] = '\0';
        log_info(x->scope, "%s:%u answers again", x->mapping->internal_host,
                 (unsigned)x->mapping->internal_port);
    }
}

void backends_failed(struct backends *b, size_t index, const char *why)
{
    struct backend *x = &b->backend[index];
    uint64_t now = loop_now_ms(b->loop);
    char cut[MAX_WHY];
    (void)snprintf(cut, sizeof(cut), "%s", why[0] ? why : "failed");
    if (x->why[0] && (strcmp(x->why, cut) == 0 || now - x->logged_ms < BACKENDS_NEWS_MS)) {
        return;
    }
    (void)memcpy(x->why, cut, sizeof(cut));
    x->logged_ms = now;
    log_warning(x->scope,
                "%s:%u does not answer as it should: %s; requests get an error until it does",
                x->mapping->internal_host, (unsigned)x->mapping->internal_port, x->why);
}

void backends_look(const struct backends *b, struct offload_view *out)
{
    offload_look(b->signer, out);
}
