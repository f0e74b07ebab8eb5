/**
 * Requests of the gateway's own, and those that wait when a road changes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_int.h"
#include "frun/gateway/count.h"

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

void exchange_tell(struct exchange *x)
{
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
