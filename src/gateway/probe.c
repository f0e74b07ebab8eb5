/**
 * A check between the threads: ordered on main, sent by a worker, judged there, told on main.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/probe.h"

#include "frun/base/mono.h"
#include "frun/gateway/exchange.h"
#include "frun/gateway/roads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets kept of a field of the answer. */
#define PROBE_FIELD_BYTES 256

struct probe {
    struct served served; /* first: takes the answer */
    struct gateway_shared *g;
    struct generation *gen; /* pinned */
    const struct endpoint *e;
    enum probe_road wish;
    probe_fn fn; /* main's */
    void *ctx;   /* main's */
    unsigned first_worker;
    unsigned n_asked; /* workers that were asked */
    struct worker *w; /* who does it */
    struct exchange_errand errand;
    struct later body;        /* tells the exchange that there is no body */
    struct deadline deadline; /* of the whole check */
    bool is_late;
    bool is_cut_off;
    char query[24];
    char content_type[PROBE_FIELD_BYTES];
    char location[PROBE_FIELD_BYTES];
    char session[16];
    char start[FINDING_BODY_BYTES];
    size_t n_start;
    uint64_t begun_us;
    struct probe_result result;
};

/* -- back to main
 * ------------------------------------------------------------------------------------------------
 */

static void tell(void *arg)
{
    struct probe *p = arg;
    p->fn(p->ctx, &p->result);
    generation_unref(&p->gen);
    free(p);
}

/* Nobody could be told otherwise: memory for one list node is not to be had. */
static void send_home(struct probe *p);

static void on_home_later(struct deadline *d)
{
    send_home(list_entry(d, struct probe, deadline));
}

static void send_home(struct probe *p)
{
    if (loop_post(p->g->main_loop, tell, p) != FRUN_OK) {
        deadline_init(&p->deadline, on_home_later);
        deadline_set(p->w->loop, &p->deadline, 1000);
    }
}

static void give_up(struct probe *p, const char *why)
{
    p->result.verdict = FINDING_UNKNOWN;
    steps_add(&p->result.steps, "gateway", STEPS_SKIPPED, "%s", why);
    send_home(p);
}

/* -- the side that takes the answer
 * ------------------------------------------------------------------------------ */

static void keep(char *to, size_t room, struct span s)
{
    size_t n = s.n < room - 1 ? s.n : room - 1;
    if (n) {
        memcpy(to, s.p, n);
    }
    to[n] = '\0';
}

/* SAP_SESSIONID_FR1_100=...: which system and client took the logon. */
static void keep_session(struct probe *p, struct span cookie)
{
    struct span prefix = SPAN_LIT("SAP_SESSIONID_");
    if (span_starts(cookie, prefix)) {
        struct span rest = span_skip(cookie, prefix.n);
        keep(p->session, sizeof(p->session), span_head(rest, span_find(rest, '=')));
    }
}

static void served_accept_body(struct served *s)
{
    struct probe *p = (struct probe *)s;
    later_arm(p->w->loop, &p->body);
}

static void on_body_end(struct later *l)
{
    struct probe *p = list_entry(l, struct probe, body);
    p->served.ev->on_body_end(p->served.owner);
}

static frun_err served_send_head(struct served *s, const struct head *h)
{
    struct probe *p = (struct probe *)s;
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];
        if (span_eq_nocase(f->name, SPAN_LIT("Content-Type"))) {
            keep(p->content_type, sizeof(p->content_type), f->value);
        } else if (span_eq_nocase(f->name, SPAN_LIT("Location"))) {
            keep(p->location, sizeof(p->location), f->value);
        } else if (span_eq_nocase(f->name, SPAN_LIT("Set-Cookie"))) {
            keep_session(p, f->value);
        }
    }
    return FRUN_OK;
}

static size_t served_send_body(struct served *s, struct span data, bool is_last)
{
    struct probe *p = (struct probe *)s;
    size_t room = sizeof(p->start) - p->n_start;
    size_t n = data.n < room ? data.n : room;
    (void)is_last;
    if (n) {
        memcpy(p->start + p->n_start, data.p, n);
        p->n_start += n;
    }
    return data.n; /* the rest is of no interest */
}

static void served_resume(struct served *s)
{
    (void)s;
}

static void served_abandon(struct served *s)
{
    ((struct probe *)s)->is_cut_off = true;
}

static const struct served_ops served_ops = {.accept_body = served_accept_body,
                                             .send_head = served_send_head,
                                             .send_body = served_send_body,
                                             .resume = served_resume,
                                             .abandon = served_abandon};

/* The exchange ends by it, and tells. */
static void on_late(struct deadline *d)
{
    struct probe *p = list_entry(d, struct probe, deadline);
    p->is_late = true;
    p->served.ev->on_gone(p->served.owner, FRUN_E_TIMEOUT, "the check took too long");
}

/* -- on the worker
 * -----------------------------------------------------------------------------------------------
 */

static struct route *route_of(const struct worker *w, const struct probe *p)
{
    struct route *now = w->roads->all[p->e->index];
    struct route *other = w->roads->standby[p->e->index];
    if (p->wish == PROBE_ROAD_ACTIVE || now->is_standby == (p->wish == PROBE_ROAD_STANDBY)) {
        return now;
    }
    return other;
}

static void on_done(struct exchange_errand *er, const struct accesslog_entry *log)
{
    struct probe *p = list_entry(er, struct probe, errand);
    deadline_clear(&p->deadline);
    later_cancel(&p->body);
    p->result.total_us = mono_now_us() - p->begun_us;
    p->result.status = p->is_late ? 0 : log->status;
    if (p->w->is_stopped || p->w->is_draining) {
        give_up(p, "the gateway is stopping");
        return;
    }
    const struct finding_facts facts = {
        .conf = p->e->conf,
        .road = p->result.road,
        .path = er->path,
        .status = p->is_cut_off ? 0 : log->status,
        .by = log->by,
        .error = log->error,
        .note = log->note,
        .connector = log->connector,
        .is_late = p->is_late,
        .content_type = span_of(p->content_type),
        .location = span_of(p->location),
        .session = span_of(p->session),
        .body = span_make(p->start, p->n_start),
        .total_us = p->result.total_us,
    };
    p->result.verdict = finding_judge(&facts, &p->result.steps);
    send_home(p);
}

static void begin(struct probe *p, struct route *r)
{
    struct worker *w = p->w;
    const struct conf_endpoint *c = p->e->conf;
    struct exchange *x = exchange_new(w);
    if (!x) {
        give_up(p, "out of memory");
        return;
    }
    p->result.is_standby = r->is_standby;
    p->result.road = (enum conf_route)(r->is_standby ? c->standby_route : c->route);
    if (c->health_client) {
        (void)snprintf(p->query, sizeof(p->query), "sap-client=%s", c->health_client);
    }
    p->errand = (struct exchange_errand){.e = p->e,
                                         .route = r,
                                         .path = span_of(c->health_path),
                                         .query = span_of(p->query[0] ? p->query : NULL),
                                         .hold_ms = PROBE_HOLD_MS,
                                         .done = on_done};
    p->served.ops = &served_ops;
    later_init(&p->body, on_body_end);
    deadline_init(&p->deadline, on_late);
    deadline_set(w->loop, &p->deadline, PROBE_TIMEOUT_MS);
    p->begun_us = mono_now_us();
    exchange_run(x, &p->served, &p->errand);
}

static void ask_next(struct probe *p);

static void on_worker(void *arg)
{
    struct probe *p = arg;
    struct worker *w = p->w;
    if (w->is_stopped || w->is_draining) {
        give_up(p, "the gateway is stopping");
        return;
    }
    if (w->gen != p->gen) {
        give_up(p, "the configuration was changed meanwhile");
        return;
    }
    struct route *r = route_of(w, p);
    if (!r) {
        give_up(p, "the endpoint has no standby_route");
    } else if (!r->ops->is_usable(r) && p->n_asked < p->g->n_workers) {
        ask_next(p); /* a tunnel may have come to another one */
    } else {
        begin(p, r);
    }
}

static void ask_next(struct probe *p)
{
    struct worker *here = p->w;
    p->w = p->g->workers[(p->first_worker + p->n_asked) % p->g->n_workers];
    p->n_asked++;
    if (loop_post(p->w->loop, on_worker, p) != FRUN_OK) {
        p->w = here;
        give_up(p, "out of memory");
    }
}

frun_err probe_start(struct gateway_shared *g, struct generation *gen, const struct endpoint *e,
                     enum probe_road road, probe_fn fn, void *ctx)
{
    struct probe *p = calloc(1, sizeof(*p));
    if (!p) {
        return FRUN_E_NOMEM;
    }
    p->g = g;
    p->e = e;
    p->wish = road;
    p->fn = fn;
    p->ctx = ctx;
    p->first_worker = (unsigned)mono_entropy_below(g->n_workers);
    p->n_asked = 1;
    p->w = g->workers[p->first_worker];
    p->gen = generation_ref(gen);
    frun_err err = loop_post(p->w->loop, on_worker, p);
    if (err) {
        generation_unref(&p->gen);
        free(p);
    }
    return err;
}
