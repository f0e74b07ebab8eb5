/**
 * The table of the gateway's own resources, and the gathering of their bodies.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/own.h"

#include "own_int.h"

/** Retry-After while the daemon cannot serve, seconds. */
#define OWN_RETRY_S 5

struct own_resource {
    const char *path;
    size_t path_len;    /* every push is compared with all of them */
    const char *method; /* HEAD is answered as GET */
    void (*handle)(struct own_ask *a);
    bool needs_oauth; /* is there with [oauth] only */
};

/* GET /sap/bc/ping on the gateway's own root: the daemon itself. */
static void ping(struct own_ask *a)
{
    const char *why = worker_unhealthy(a->w);
    a->answer(a, &(struct reply){.status = why ? 503 : 200,
                                 .detail = why ? why : "frunproxyd is serving",
                                 .retry_after_s = why ? OWN_RETRY_S : 0,
                                 .is_plain = true});
}

#define PATH(s) s, sizeof(s) - 1

static const struct own_resource resources[] = {
    {PATH("/sap/bc/ping"), "GET", ping, false},
    {PATH("/oauth/token"), "POST", own_token, true},
    {PATH("/oauth/token"), "GET", own_token_get, true},
    {PATH("/oauth/token_keys"), "GET", own_token_keys, true},
    {PATH("/.well-known/jwks.json"), "GET", own_jwks, true},
    {PATH("/.well-known/openid-configuration"), "GET", own_metadata, true},
    {PATH("/.well-known/oauth-authorization-server"), "GET", own_metadata, true},
};

void own_init(struct own_ask *a)
{
    *a = (struct own_ask){.w = NULL};
    list_init(&a->waiter.node);
}

static bool is_method(const struct own_resource *r, struct span method)
{
    bool is_head =
        span_eq(method, SPAN_LIT("HEAD")) && span_eq(span_of(r->method), SPAN_LIT("GET"));
    return is_head || span_eq(method, span_of(r->method));
}

/* The first with that path and method; with that path only, if none has the method. */
static const struct own_resource *find(const struct own_ask *a, struct span path, bool *has_method)
{
    const struct own_resource *found = NULL;
    bool has_oauth = auth_keys(a->w->auth) != NULL;
    *has_method = false;
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]) && !*has_method; i++) {
        const struct own_resource *r = &resources[i];
        if (!span_eq(path, span_make(r->path, r->path_len)) || (r->needs_oauth && !has_oauth)) {
            continue;
        }
        *has_method = is_method(r, a->in->method);
        found = *has_method || !found ? r : found;
    }
    return found;
}

static void refuse_length(struct own_ask *a)
{
    a->answer(a, &(struct reply){.status = 413,
                                 .error = "http_request_error",
                                 .detail = "the body is longer than anything asked for here"});
}

bool own_begin(struct own_ask *a, struct span path)
{
    bool has_method = false;
    const struct own_resource *r = find(a, path, &has_method);
    if (!r) {
        return false;
    }
    a->what = r;
    if (!has_method) {
        bool is_post = span_eq(span_of(r->method), SPAN_LIT("POST"));
        a->answer(a, &(struct reply){.status = 405,
                                     .detail = is_post ? "ask with POST" : "ask with GET or HEAD",
                                     .allow = is_post ? SPAN_LIT("POST") : SPAN_LIT("GET, HEAD")});
        return true;
    }
    bool is_empty = a->in->body == HEAD_BODY_NONE || a->in->body_len_bytes == 0;
    if (!span_eq(span_of(r->method), SPAN_LIT("POST")) ||
        (is_empty && a->in->body != HEAD_BODY_CHUNKED)) {
        r->handle(a);
        return true;
    }
    if (a->in->body_len_bytes > OWN_MAX_BODY) {
        refuse_length(a);
        return true;
    }
    a->body = arena_alloc(a->arena, OWN_MAX_BODY);
    if (!a->body) {
        a->answer(a, &(struct reply){.status = 503,
                                     .error = "proxy_internal_error",
                                     .detail = "out of memory",
                                     .retry_after_s = OWN_RETRY_S});
        return true;
    }
    a->wants_body = true;
    return true;
}

size_t own_on_body(struct own_ask *a, struct span data)
{
    if (data.n > OWN_MAX_BODY - a->n_body) {
        refuse_length(a);
        return 0;
    }
    if (data.n) {
        memcpy(a->body + a->n_body, data.p, data.n);
    }
    a->n_body += data.n;
    return data.n;
}

void own_on_body_end(struct own_ask *a)
{
    a->wants_body = false;
    a->what->handle(a);
}

void own_forget(struct own_ask *a)
{
    auth_forget(&a->waiter);
    if (a->body) {
        secret_wipe(a->body, a->n_body);
        a->body = NULL;
    }
}
