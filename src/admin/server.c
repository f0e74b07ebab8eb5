/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/server.h"

#include "frun/admin/audit.h"
#include "server_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

frun_err admin_server_new(struct loop *l, const struct admin_limits *lim, struct admin_server **out)
{
    struct admin_server *s = calloc(1, sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->loop = l;
    s->limits = *lim;
    list_init(&s->conns);
    list_init(&s->asked);
    list_init(&s->waiting);
    *out = s;
    return FRUN_OK;
}

void admin_server_free(struct admin_server *s)
{
    if (!s) {
        return;
    }
    for (struct list *it; (it = list_first(&s->conns)) != NULL;) {
        admin_conn_kill(it);
    }
    for (struct list *it; (it = list_first(&s->asked)) != NULL;) {
        list_remove(it);
        list_entry(it, struct admin_request, asked)->heard = NULL;
    }
    struct list *it;
    struct list *next;
    list_foreach_safe (it, next, &s->waiting) {
        struct admin_request *r = list_entry(it, struct admin_request, waiting);
        list_remove(it);
        r->on_room(r->on_room_ctx);
    }
    free(s);
}

frun_err admin_server_add(struct admin_server *s, const struct admin_route *routes, size_t n,
                          void *ctx)
{
    if (s->n_tables >= ADMIN_MAX_TABLES) {
        return FRUN_E_NOMEM;
    }
    s->tables[s->n_tables].routes = routes;
    s->tables[s->n_tables].n = n;
    s->tables[s->n_tables].ctx = ctx;
    s->n_tables++;
    return FRUN_OK;
}

frun_err admin_server_take(struct admin_server *s, int *fd, const struct addr *from,
                           struct tls_ctx *tls, const struct admin_peer *peer)
{
    /* Strangers may not take the places of those who come by the control socket. */
    size_t max =
        peer->gate ? ADMIN_MAX_CONNECTIONS - ADMIN_KEPT_CONNECTIONS : ADMIN_MAX_CONNECTIONS;
    if (s->n_conns >= max) {
        return FRUN_E_LIMIT;
    }
    return admin_conn_new(s, fd, from, tls, peer);
}

void admin_server_audit(struct admin_server *s, struct audit *audit)
{
    s->audit = audit;
}

/* -- routes
 * ----------------------------------------------------------------------------------------------------
 */

/* Does a path fit a pattern? What stands in braces is told. */
static bool fits(struct span pattern, struct span path, struct span *raw, size_t *n_raw)
{
    struct span want;
    struct span have;
    *n_raw = 0;
    while (span_split(&pattern, '/', &want)) {
        if (!span_split(&path, '/', &have)) {
            return false;
        }
        if (want.n > 0 && want.p[0] == '{') {
            if (have.n == 0 || *n_raw == ADMIN_MAX_PARAMS) {
                return false;
            }
            raw[(*n_raw)++] = have;
        } else if (!span_eq(want, have)) {
            return false;
        }
    }
    return path.p == NULL;
}

static bool is_method(const struct admin_route *t, struct span method)
{
    struct span want = span_of(t->method);
    return span_eq(want, method) ||
           (span_eq(want, SPAN_LIT("GET")) && span_eq(method, SPAN_LIT("HEAD")));
}

/* Commands, and whoever may not give them; without the query, which is nobody's business. */
void admin_server_audit_command(const struct admin_server *s, const struct admin_request *r,
                                bool is_allowed)
{
    char line[256];
    int n =
        snprintf(line, sizeof(line), "%.*s %.*s", SPAN_FMT(r->head.method), SPAN_FMT(r->uri.path));
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
    audit_tell(s->audit, &(struct audit_event){.name = "admin.command",
                                               .outcome = is_allowed ? "ok" : "denied",
                                               .who = span_of(r->peer.name),
                                               .object = span_make(line, len),
                                               .is_frequent = !is_allowed});
}

static unsigned take_route(struct admin_request *r, const struct admin_route *t, void *ctx,
                           const struct span *raw, size_t n_raw)
{
    if (t->is_write && !r->peer.may_write) {
        return 403;
    }
    for (size_t i = 0; i < n_raw; i++) {
        r->params[i] = admin_server_decode(r, raw[i], false);
        if (!r->params[i].p) {
            return 400;
        }
    }
    r->fn = t->fn;
    r->ctx = ctx;
    return 0;
}

static void tell_command(const struct admin_server *s, struct admin_request *r,
                         const struct admin_route *t)
{
    /* Behind a gate it is not known yet who asks: admin_request_admit() tells. */
    r->is_command = t->is_write;
    if (t->is_write && (!r->peer.gate || !r->peer.may_write)) {
        admin_server_audit_command(s, r, r->peer.may_write);
    }
}

unsigned admin_server_match(const struct admin_server *s, struct admin_request *r,
                            struct span *allow)
{
    struct span raw[ADMIN_MAX_PARAMS];
    size_t n_raw = 0;
    if (!r->peer.may_read) {
        admin_server_audit_command(s, r, false);
        return 403;
    }
    for (size_t i = 0; i < s->n_tables; i++) {
        for (size_t k = 0; k < s->tables[i].n; k++) {
            const struct admin_route *t = &s->tables[i].routes[k];
            if (!fits(span_of(t->pattern), r->uri.path, raw, &n_raw)) {
                continue;
            }
            if (is_method(t, r->head.method)) {
                tell_command(s, r, t);
                return take_route(r, t, s->tables[i].ctx, raw, n_raw);
            }
            if (arena_printf(&r->arena, allow, "%.*s%s%s", SPAN_FMT(*allow), allow->n ? ", " : "",
                             t->method) != FRUN_OK) {
                return 500;
            }
        }
    }
    return allow->n ? 405 : 404;
}

/* -- what a request is asked
 * ------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct span admin_server_decode(struct admin_request *r, struct span raw, bool is_query)
{
    struct span bad = {0};
    char *out = arena_alloc(&r->arena, raw.n + 1);
    size_t n = 0;
    if (!out) {
        return bad;
    }
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int high = i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1;
            int low = i + 2 < raw.n ? hex_digit(raw.p[i + 2]) : -1;
            if (i + 2 >= raw.n || high < 0 || low < 0 || (high == 0 && low == 0)) {
                return bad;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return span_make(out, n);
}

struct span admin_request_param(const struct admin_request *r, size_t i)
{
    return i < ADMIN_MAX_PARAMS ? r->params[i] : (struct span){0};
}

struct span admin_request_query_at(struct admin_request *r, const char *name, size_t i)
{
    struct span rest = r->uri.query;
    struct span part;
    while (span_split(&rest, '&', &part)) {
        size_t equals = span_find(part, '=');
        if (span_eq(span_head(part, equals), span_of(name)) && i-- == 0) {
            return admin_server_decode(
                r, equals < part.n ? span_skip(part, equals + 1) : SPAN_LIT(""), true);
        }
    }
    return (struct span){0};
}

struct span admin_request_query(struct admin_request *r, const char *name)
{
    return admin_request_query_at(r, name, 0);
}

const struct head *admin_request_head(const struct admin_request *r)
{
    return &r->head;
}

struct span admin_request_body(const struct admin_request *r)
{
    return buf_span(&r->body);
}

const struct admin_peer *admin_request_peer(const struct admin_request *r)
{
    return &r->peer;
}

bool admin_request_is_gone(const struct admin_request *r)
{
    return !r->conn && !r->heard; /* within somebody may listen without a connection */
}

void admin_request_set(struct admin_request *r, const char *name, struct span value)
{
    struct span copy = {0};
    if (r->n_extra < ADMIN_MAX_EXTRA &&
        arena_printf(&r->arena, &copy, "%.*s", SPAN_FMT(value)) == FRUN_OK) {
        r->extra[r->n_extra++] = (struct admin_field){name, copy.p};
    }
}

frun_err admin_server_ask(struct admin_server *s, const char *path, admin_heard_fn fn, void *ctx)
{
    struct span allow = {0};
    const char *why = NULL;
    struct admin_request *r = admin_request_new();
    if (!r) {
        return FRUN_E_NOMEM;
    }
    r->peer = (struct admin_peer){.may_read = true, .name = "the daemon"};
    r->head = (struct head){.method = SPAN_LIT("GET"), .target = span_of(path), .minor = 1};
    if (uri_parse(r->head.target, SPAN_LIT("localhost"), &r->uri, &why) != FRUN_OK ||
        admin_server_match(s, r, &allow) != 0) {
        admin_server_drop(r);
        return FRUN_E_NOT_FOUND;
    }
    r->heard = fn;
    r->heard_ctx = ctx;
    list_append(&s->asked, &r->asked);
    r->fn(r->ctx, r);
    return FRUN_OK;
}

void admin_server_tell(struct admin_request *r, unsigned status, struct span body)
{
    admin_heard_fn fn = r->heard;
    void *ctx = r->heard_ctx;
    if (fn) {
        list_remove(&r->asked);
        fn(ctx, status, body);
    }
    admin_server_drop(r);
}

void admin_server_drop(struct admin_request *r)
{
    list_remove(&r->waiting);
    later_cancel(&r->gone);
    arena_done(&r->arena);
    buf_done(&r->body);
    free(r);
}
