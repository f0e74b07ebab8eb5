/**
 * Requests of the gateway's own, and those that wait when a road changes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_int.h"
#include "frun/gateway/count.h"
#include "frun/tunnel/ptth.h"

void exchange_take_route(struct exchange *x, struct route *r)
{
    if (x->route) {
        x->route->n_users--;
    }
    x->route = r;
    if (r) {
        r->n_users++;
    }
}

void exchange_retake_route(struct exchange *x)
{
    if (!x->errand) {
        exchange_take_route(x, x->roads->all[x->e->index]);
    }
}

static const char *way_name(unsigned way)
{
    return way == CONF_AUTH_OAUTH2        ? "oauth2"
           : way == CONF_AUTH_CERTIFICATE ? "certificate"
           : way == CONF_AUTH_JWT         ? "jwt"
                                          : "basic";
}

/* What the exchange knows at its end; the rest has been noted as it came. */
static void note_facts(struct exchange *x)
{
    const struct field *agent = head_find(&x->in, SPAN_LIT("User-Agent"));
    x->log.method = x->in.method;
    x->log.protocol = x->in.is_http2 ? SPAN_LIT("HTTP/2.0")
                      : x->in.minor  ? SPAN_LIT("HTTP/1.1")
                                     : SPAN_LIT("HTTP/1.0");
    /* A target that was refused may be anything; one that is no path could carry credentials. */
    x->log.path = x->uri.path;
    if (!x->uri.path.p && x->in.target.n && x->in.target.p[0] == '/') {
        x->log.path = span_head(x->in.target, span_find(x->in.target, '?'));
    }
    x->log.user_agent = agent ? agent->value : (struct span){0};
    x->log.request_id = x->facts.request_id;
    x->log.traceparent = x->facts.traceparent;
    x->log.endpoint = x->e ? x->e->name : (struct span){0};
    x->log.pusher = x->who ? x->who->name : (struct span){0};
    x->log.auth = x->who ? way_name(x->auth_waiter.way) : NULL;
    x->log.route = x->route ? x->route->ops->name : NULL;
    x->log.connector = x->via.connector;
    x->log.tunnel = x->via.tunnel;
    x->log.repeats = x->repeats;
    x->log.bytes_in += x->relay.request_bytes;
    x->log.bytes_out += x->relay.answer_bytes;
    if (x->is_orphan) {
        x->log.bytes_out = 0; /* nobody got them */
    }
}

/* How long the request has been in the connector's hands; it is its own word, and no more than we
 * have waited. */
void exchange_note_backend(struct exchange *x, const struct head *h)
{
    const struct field *took = head_find(h, SPAN_LIT(PTTH_BACKEND_FIELD));
    uint64_t us = 0;
    if (took && span_to_u64(took->value, &us) == FRUN_OK && us <= x->log.upstream_us) {
        x->log.backend_us = us;
    }
}

void exchange_tell(struct exchange *x)
{
    note_facts(x);
    if (x->errand) {
        list_remove(&x->node);
        x->errand->done(x->errand, &x->log);
    } else {
        count_request(x->w, x->e, &x->log);
        accesslog_write(&x->log, (enum conf_access)x->w->conf->log->access);
    }
    exchange_take_route(x, NULL);
}

static void take_errand(struct exchange *x, struct exchange_errand *er)
{
    const struct endpoint *e = er->e;
    x->errand = er;
    x->e = e;
    x->policy = &e->policy;
    x->facts.path = er->path;
    x->facts.query = er->query;
    x->facts.request_id = policy_request_id(&x->in, x->id_made);
    x->facts.traceparent = policy_traceparent(&x->in, x->trace_made);
    list_append(&x->w->errands, &x->node);
}

void exchange_run(struct exchange *x, struct served *s, struct exchange_errand *er)
{
    x->in = (struct head){.method = SPAN_LIT("GET"),
                          .target = er->path,
                          .authority = er->e->policy.public_host,
                          .minor = 1,
                          .body = HEAD_BODY_NONE,
                          .is_keep_alive = true};
    x->in.fields[0] = (struct field){SPAN_LIT("User-Agent"), SPAN_LIT("frunproxyd/" FRUN_VERSION)};
    x->in.fields[1] = (struct field){SPAN_LIT("Accept"), SPAN_LIT("*/*")};
    x->in.n_fields = 2;
    exchange_take_on(x, s, (struct span){0});
    take_errand(x, er);
    exchange_forward(x, er->route);
}

/* Their patience is not renewed by it. */
size_t exchange_move_held(struct worker *w, const struct endpoint *e)
{
    struct list todo;
    struct list *it;
    struct list *next;
    size_t n = 0;
    list_init(&todo);
    list_foreach_safe (it, next, &w->held) {
        struct exchange *x = list_entry(it, struct exchange, held);
        if (x->e == e && !x->errand) {
            list_remove(it);
            list_append(&todo, it);
        }
    }
    for (; (it = list_first(&todo)) != NULL; n++) {
        struct exchange *x = list_entry(it, struct exchange, held);
        exchange_stop_waiting(x);
        exchange_take_route(x, x->roads->all[e->index]);
        exchange_open_route(x);
    }
    return n;
}

void exchange_kill_errands(struct worker *w)
{
    for (struct list *it; (it = list_first(&w->errands)) != NULL;) {
        struct exchange *x = list_entry(it, struct exchange, node);
        x->log.note = SPAN_LIT("the gateway is stopping");
        exchange_abandon(x, "connection_terminated");
    }
}
