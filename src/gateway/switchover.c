/**
 * Switching between an endpoint's two roads; the file that remembers it is switchover_file.c's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/switchover.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/gateway/exchange.h"
#include "frun/gateway/roads.h"
#include "switchover_int.h"

#include <stdio.h>
#include <stdlib.h>

/** How soon a worker that could not be told is told again, milliseconds. */
#define SWITCHOVER_AGAIN_MS 100

/* One worker's part of a swap. */
struct part {
    struct swap *swap;
    struct worker *w;
    size_t in_flight;
    size_t moved;
    struct deadline again; /* the worker's: main is told later, if memory was refused */
};

/* One switch, from its check to its end. */
struct swap {
    struct switchover *roads;
    struct gateway_shared *g;
    struct generation *gen; /* pinned */
    const struct endpoint *e;
    bool is_forced;
    bool is_switched; /* what the state shall be */
    switchover_fn fn;
    void *ctx;
    struct probe_result probe;
    struct switchover_outcome outcome;
    struct deadline again;
    uint64_t begun_us;
    size_t n_posted;
    size_t n_done;
    struct part *parts; /* one for each worker */
};

const char *switchover_name(enum conf_route road)
{
    static const char *const names[] = {[CONF_ROUTE_TUNNEL] = "tunnel",
                                        [CONF_ROUTE_DIRECT] = "direct",
                                        [CONF_ROUTE_SAP] = "sap-connectivity"};
    return names[road];
}

enum conf_route switchover_now(const struct endpoint *e)
{
    bool is_switched = e->conf->has_standby && atomic_load(&e->state->is_switched);
    return (enum conf_route)(is_switched ? e->conf->standby_route : e->conf->route);
}

static void end(struct swap *s)
{
    s->outcome.probe = &s->probe;
    s->roads->busy = false;
    s->fn(s->ctx, &s->outcome);
    generation_unref(&s->gen);
    free(s->parts);
    free(s);
}

/* -- the swap
 * ------------------------------------------------------------------------------------------------------
 */

static void conclude(struct swap *s)
{
    struct switchover_outcome *o = &s->outcome;
    char scope[96];
    (void)snprintf(scope, sizeof(scope), "endpoint %.*s", SPAN_FMT(s->e->name));
    for (size_t i = 0; i < s->g->n_workers; i++) {
        o->in_flight += s->parts[i].in_flight;
        o->moved += s->parts[i].moved;
    }
    o->is_done = true;
    o->took_us = mono_now_us() - s->begun_us;
    log_info(scope,
             "switched from %s to %s%s; %zu request(s) finish on the old road, %zu that waited "
             "for it take the new one",
             switchover_name(o->from), switchover_name(o->to), s->is_forced ? " by force" : "",
             o->in_flight, o->moved);
    o->is_kept = switchover_file_write(s->roads, s->roads->now) == FRUN_OK;
    end(s);
}

static void on_part_done(void *arg)
{
    struct part *p = arg;
    struct swap *s = p->swap;
    if (++s->n_done == s->g->n_workers) {
        conclude(s);
    }
}

static void tell_main(struct part *p)
{
    if (loop_post(p->swap->g->main_loop, on_part_done, p) != FRUN_OK) {
        deadline_set(p->w->loop, &p->again, SWITCHOVER_AGAIN_MS);
    }
}

static void on_tell_again(struct deadline *d)
{
    tell_main(list_entry(d, struct part, again));
}

static void swap_here(void *arg)
{
    struct part *p = arg;
    struct swap *s = p->swap;
    struct worker *w = p->w;
    if (!w->is_stopped) {
        const struct route *old = w->gen == s->gen ? w->roads->all[s->e->index] : NULL;
        roads_settle(w->roads);
        if (old && old != w->roads->all[s->e->index]) {
            p->moved = exchange_move_held(w, s->e);
            p->in_flight = old->n_users;
        }
    }
    deadline_init(&p->again, on_tell_again);
    tell_main(p);
}

/* All workers, also those whom memory refused to tell at first: there must be no two opinions. */
static void post_parts(struct swap *s)
{
    for (; s->n_posted < s->g->n_workers; s->n_posted++) {
        struct part *p = &s->parts[s->n_posted];
        if (loop_post(p->w->loop, swap_here, p) != FRUN_OK) {
            deadline_set(s->g->main_loop, &s->again, SWITCHOVER_AGAIN_MS);
            return;
        }
    }
}

static void on_again(struct deadline *d)
{
    post_parts(list_entry(d, struct swap, again));
}

static void begin(struct swap *s)
{
    s->begun_us = mono_now_us();
    atomic_store(&s->e->state->is_switched, s->is_switched);
    for (size_t i = 0; i < s->g->n_workers; i++) {
        s->parts[i] = (struct part){.swap = s, .w = s->g->workers[i]};
    }
    post_parts(s);
}

/* -- the check before it
 * ------------------------------------------------------------------------------------------- */

/* A reload while it was checked may have given it other roads: what was asked for means nothing
 * there. */
static bool is_outdated(const struct swap *s)
{
    const struct endpoint *now = registry_endpoint_named(s->roads->now, s->e->name);
    return !now || now->state != s->e->state;
}

static void on_checked(void *ctx, const struct probe_result *r)
{
    struct swap *s = ctx;
    s->probe = *r;
    bool is_stopping = atomic_load(&s->g->is_draining);
    if (is_outdated(s)) {
        s->outcome.is_outdated = true;
        end(s);
        return;
    }
    if (!is_stopping && (r->verdict == FINDING_UP || s->is_forced)) {
        begin(s);
        return;
    }
    log_warning(NULL, "endpoint %.*s stays on %s: the check of %s says %s", SPAN_FMT(s->e->name),
                switchover_name(s->outcome.from), switchover_name(s->outcome.to),
                finding_word(r->verdict));
    end(s);
}

void switchover_use(struct switchover *r, const struct registry *reg)
{
    r->now = reg;
}

frun_err switchover_switch(struct switchover *r, struct generation *gen, const struct endpoint *e,
                           bool is_forced, switchover_fn fn, void *ctx)
{
    struct gateway_shared *g = r->g;
    if (!e->conf->has_standby) {
        return FRUN_E_UNSUPPORTED;
    }
    if (r->busy) {
        return FRUN_E_EXISTS;
    }
    struct swap *s = calloc(1, sizeof(*s));
    struct part *parts = calloc(g->n_workers, sizeof(*parts));
    if (!s || !parts) {
        free(s);
        free(parts);
        return FRUN_E_NOMEM;
    }
    *s = (struct swap){.roads = r,
                       .g = g,
                       .gen = generation_ref(gen),
                       .e = e,
                       .is_forced = is_forced,
                       .is_switched = !atomic_load(&e->state->is_switched),
                       .fn = fn,
                       .ctx = ctx,
                       .parts = parts};
    s->outcome.from = switchover_now(e);
    s->outcome.to = (enum conf_route)(s->is_switched ? e->conf->standby_route : e->conf->route);
    deadline_init(&s->again, on_again);
    enum probe_road target = s->is_switched ? PROBE_ROAD_STANDBY : PROBE_ROAD_FIRST;
    frun_err err = probe_start(g, gen, e, target, on_checked, s);
    if (err) {
        generation_unref(&s->gen);
        free(s->parts);
        free(s);
        return err;
    }
    r->busy = true;
    return FRUN_OK;
}
