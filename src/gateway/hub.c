/**
 * The tunnels of one worker.
 *
 * A location is made when a route or a tunnel first names it and goes with the last of them. Their
 * number is bounded by the configurations in use, because both the endpoints' and the connectors'
 * location IDs come from there.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/hub.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Waiters that are woken in one go; the others follow when these have been served. */
#define HUB_WAKE_AT_ONCE 64

struct hub_location {
    struct list node; /* in hub.locations */
    struct hub *hub;  /* owner */
    size_t refs;      /* routes and tunnels that name it */
    char id[PTTH_MAX_LOCATION + 1];
    size_t id_len;
    struct list tunnels; /* open ones that take new calls */
    struct list waiters; /* oldest first */
    struct seat *left;   /* connector that said last that it is going; NULL: it is back */
    struct later wake;   /* a tunnel came or has room: try the waiters */
};

/* What the log calls a tunnel is this and its name. */
#define HUB_SCOPE "tunnel "

struct tunnel {
    struct list node; /* in location.tunnels, or in hub.draining */
    struct hub *hub;
    struct hub_location *location;
    struct h2 *h2;
    struct hub_member member;
    bool is_suspect; /* of an earlier instance of its connector */
    uint64_t since_ms;
    const char *leave; /* why it was told to end, or says that it does; NULL: it stays */
    char since[MONO_WALL_TEXT_BYTES];
    struct hub_way way;
    char scope[sizeof(HUB_SCOPE) + HUB_NAME_BYTES];
};

struct hub {
    struct loop *loop;
    struct h2_settings settings;
    hub_gone_fn gone;
    void *ctx;
    struct list locations;
    struct list draining; /* tunnels that only finish what they have */
    size_t n_tunnels;
    bool is_draining;
};

static struct hub_location *find(const struct hub *h, struct span id)
{
    struct list *it;
    list_foreach (it, &h->locations) {
        struct hub_location *loc = list_entry(it, struct hub_location, node);
        if (span_eq(span_make(loc->id, loc->id_len), id)) {
            return loc;
        }
    }
    return NULL;
}

static struct tunnel *pick(const struct hub_location *loc);

/* Oldest first, as long as there is a tunnel with room; each takes its place or goes away. */
static void wake_waiters(struct later *l)
{
    struct hub_location *loc = list_entry(l, struct hub_location, wake);
    loc->refs++; /* the last exchange of a former configuration may end here, and its route with it
                  */
    for (int i = 0; i < HUB_WAKE_AT_ONCE; i++) {
        struct list *it = list_first(&loc->waiters);
        if (!it || !pick(loc)) {
            hub_leave(loc);
            return;
        }
        list_remove(it);
        struct hub_waiter *w = list_entry(it, struct hub_waiter, node);
        w->fn(w);
    }
    later_arm(loc->hub->loop, &loc->wake);
    hub_leave(loc);
}

static void location_free(struct hub_location *loc)
{
    while (list_first(&loc->waiters)) {
        list_remove(list_first(&loc->waiters));
    }
    later_cancel(&loc->wake);
    seat_unref(&loc->left);
    list_remove(&loc->node);
    free(loc);
}

void hub_leave(struct hub_location *loc)
{
    if (loc && --loc->refs == 0) {
        location_free(loc);
    }
}

frun_err hub_locate(struct hub *h, struct span id, struct hub_location **out)
{
    struct hub_location *loc = find(h, id);
    if (!loc) {
        if (id.n > PTTH_MAX_LOCATION) {
            return FRUN_E_LIMIT;
        }
        loc = calloc(1, sizeof(*loc));
        if (!loc) {
            return FRUN_E_NOMEM;
        }
        loc->hub = h;
        loc->id_len = id.n;
        if (id.n) {
            memcpy(loc->id, id.p, id.n);
        }
        list_init(&loc->tunnels);
        list_init(&loc->waiters);
        later_init(&loc->wake, wake_waiters);
        list_append(&h->locations, &loc->node);
    }
    loc->refs++;
    *out = loc;
    return FRUN_OK;
}

frun_err hub_new(struct loop *l, const struct h2_settings *set, hub_gone_fn gone, void *ctx,
                 struct hub **out)
{
    struct hub *h = calloc(1, sizeof(*h));
    if (!h) {
        return FRUN_E_NOMEM;
    }
    h->loop = l;
    h->settings = *set;
    h->settings.is_client = true;
    h->gone = gone;
    h->ctx = ctx;
    list_init(&h->locations);
    list_init(&h->draining);
    *out = h;
    return FRUN_OK;
}

static void tunnel_unlink(struct tunnel *t, const char *why)
{
    list_remove(&t->node);
    t->hub->n_tunnels--;
    if (t->hub->gone) {
        t->hub->gone(t->hub->ctx, &t->member, why);
    }
    seat_unref(&t->member.seat);
}

static void free_tunnels(struct list *tunnels)
{
    for (struct list *it; (it = list_first(tunnels)) != NULL;) {
        struct tunnel *t = list_entry(it, struct tunnel, node);
        struct hub *h = t->hub;
        tunnel_unlink(t, "the gateway ended");
        h2_free(t->h2);
        hub_leave(t->location);
        loop_free_later(h->loop, free, t);
    }
}

void hub_free(struct hub *h)
{
    if (!h) {
        return;
    }
    free_tunnels(&h->draining);
    for (struct list *it; (it = list_first(&h->locations)) != NULL;) {
        struct hub_location *loc = list_entry(it, struct hub_location, node);
        loc->refs++;
        free_tunnels(&loc->tunnels);
        location_free(loc);
    }
    free(h);
}

/* What administrators read as the end of this tunnel; the first reason counts. */
static void set_leave(struct tunnel *t, const char *why)
{
    t->leave = t->leave ? t->leave : why;
}

static void on_drain(void *ctx)
{
    struct tunnel *t = ctx;
    bool is_ours = t->leave != NULL; /* said when it was told to end */
    set_leave(t, "the connector closed it: it was stopped, restarted or reloaded, see its log");
    if (!is_ours) {
        log_info(t->scope, "connector says it is closing this tunnel; %zu request(s) finish on it",
                 h2_in_flight(t->h2));
    }
    if (!t->hub->is_draining) {
        seat_unref(&t->location->left);
        t->location->left = seat_ref(t->member.seat);
    }
    list_remove(&t->node);
    list_append(&t->hub->draining, &t->node);
}

static void on_capacity(void *ctx)
{
    struct tunnel *t = ctx;
    if (!list_is_empty(&t->location->waiters)) {
        later_arm(t->hub->loop, &t->location->wake);
    }
}

static void on_closed(void *ctx, frun_err err, const char *why)
{
    struct tunnel *t = ctx;
    struct hub *h = t->hub;
    uint64_t age_s = (loop_now_ms(h->loop) - t->since_ms) / 1000;
    why = err == FRUN_E_EOF && t->leave ? t->leave : why && *why ? why : err_text(err);
    tunnel_unlink(t, why);
    log_line(err == FRUN_E_EOF || h->is_draining ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, t->scope,
             "tunnel from %s (location \"%s\") ended after %llu s: %s", t->member.address,
             t->location->id, (unsigned long long)age_s, why);
    h2_free(t->h2);
    hub_leave(t->location);
    loop_free_later(h->loop, free, t);
}

static const struct h2_events tunnel_events = {
    .on_drain = on_drain,
    .on_capacity = on_capacity,
    .on_closed = on_closed,
};

/* A connector came back as a new instance: its former tunnels may be ghosts, so they must prove
 * themselves. */
static void suspect_former(struct hub_location *loc, const struct hub_member *m)
{
    struct list *it;
    list_foreach (it, &loc->tunnels) {
        struct tunnel *t = list_entry(it, struct tunnel, node);
        if (t->member.seat == m->seat && !t->is_suspect &&
            strcmp(t->member.instance, m->instance) != 0) {
            t->is_suspect = true;
            h2_probe(t->h2, HUB_PROBE_MS);
            log_info(t->scope,
                     "connector %s was started anew; probing the tunnel of its former start",
                     seat_name(m->seat));
        }
    }
}

frun_err hub_join(struct hub *h, struct stream **s, struct span first, const struct hub_member *m)
{
    struct hub_location *loc = NULL;
    frun_err err = hub_locate(h, span_of(m->location_id), &loc);
    struct tunnel *t = err ? NULL : calloc(1, sizeof(*t));
    if (!t) {
        hub_leave(loc);
        return err ? err : FRUN_E_NOMEM;
    }
    t->hub = h;
    t->location = loc;
    t->member = *m;
    t->member.seat = seat_ref(m->seat);
    t->since_ms = loop_now_ms(h->loop);
    mono_wall_text(t->since);
    (void)snprintf(t->scope, sizeof(t->scope), HUB_SCOPE "%.64s/%.8s#%u", seat_name(m->seat),
                   m->instance, seat_next_number(m->seat));
    t->way = (struct hub_way){seat_name(m->seat), t->scope + sizeof(HUB_SCOPE) - 1};
    err = h2_new(s, first, &h->settings, &tunnel_events, t, &t->h2);
    if (err) {
        seat_unref(&t->member.seat);
        free(t);
        hub_leave(loc);
        return err;
    }
    suspect_former(loc, m);
    seat_unref(&loc->left);
    h->n_tunnels++;
    list_append(&loc->tunnels, &t->node);
    log_info(t->scope, "tunnel from %s open: connector %s (version %s), location \"%s\"",
             m->address, seat_name(m->seat), m->version, loc->id);
    if (!list_is_empty(&loc->waiters)) {
        later_arm(h->loop, &loc->wake);
    }
    return FRUN_OK;
}

void hub_probe(struct hub *h, const struct seat *seat)
{
    struct list *loc_it;
    list_foreach (loc_it, &h->locations) {
        struct hub_location *loc = list_entry(loc_it, struct hub_location, node);
        struct list *it;
        list_foreach (it, &loc->tunnels) {
            struct tunnel *t = list_entry(it, struct tunnel, node);
            if (t->member.seat == seat) {
                h2_probe(t->h2, HUB_PROBE_MS);
            }
        }
    }
}

/* Least in flight among those that may take a call; suspects only if nothing else is there. */
static struct tunnel *pick(const struct hub_location *loc)
{
    struct tunnel *best = NULL;
    struct list *it;
    list_foreach (it, &loc->tunnels) {
        struct tunnel *t = list_entry(it, struct tunnel, node);
        if (!h2_may_call(t->h2)) {
            continue;
        }
        if (!best || best->is_suspect > t->is_suspect ||
            (best->is_suspect == t->is_suspect && h2_in_flight(t->h2) < h2_in_flight(best->h2))) {
            best = t;
        }
    }
    return best;
}

frun_err hub_call(struct hub_location *loc, const struct head *req, const struct call_events *ev,
                  void *owner, struct call **out, const struct hub_way **via)
{
    struct tunnel *t = pick(loc);
    if (!t) {
        return FRUN_E_AGAIN;
    }
    frun_err err = h2_call(t->h2, req, ev, owner, out);
    if (err == FRUN_E_LIMIT && h2_may_call(t->h2)) {
        return FRUN_E_UNSUPPORTED; /* not for lack of streams: waiting would not make it smaller */
    }
    if (err == FRUN_E_LIMIT || err == FRUN_E_CLOSED) {
        return FRUN_E_AGAIN;
    }
    if (!err) {
        *via = &t->way;
    }
    return err;
}

void hub_wait(struct hub_location *loc, struct hub_waiter *w)
{
    list_append(&loc->waiters, &w->node);
}

void hub_forget(struct hub_waiter *w)
{
    list_remove(&w->node);
}

bool hub_has(const struct hub_location *loc)
{
    return !list_is_empty(&loc->tunnels);
}

bool hub_is_expected(const struct hub_location *loc)
{
    return loc->left && seat_sum(loc->left) > 0;
}

size_t hub_count(const struct hub *h)
{
    return h->n_tunnels;
}

size_t hub_places(const struct hub *h)
{
    size_t n = 0;
    struct list *it;
    list_foreach (it, &h->locations) {
        n++;
    }
    return n;
}

void hub_set(struct hub *h, const struct h2_settings *set)
{
    h->settings = *set;
    h->settings.is_client = true;
}

void hub_review(struct hub *h, bool (*is_wanted)(void *ctx, const struct hub_member *m), void *ctx)
{
    struct list *loc_it;
    list_foreach (loc_it, &h->locations) {
        struct hub_location *loc = list_entry(loc_it, struct hub_location, node);
        struct list *it;
        struct list *next;
        list_foreach_safe (it, next, &loc->tunnels) {
            struct tunnel *t = list_entry(it, struct tunnel, node);
            if (is_wanted(ctx, &t->member)) {
                continue;
            }
            log_info(t->scope,
                     "the changed configuration does not have this tunnel as it is; %zu request(s) "
                     "finish on it",
                     h2_in_flight(t->h2));
            list_remove(&t->node);
            list_append(&h->draining, &t->node);
            set_leave(t, "a reload of the gateway replaced it; the connector dials anew");
            h2_drain(t->h2);
        }
    }
}

void hub_drain(struct hub *h)
{
    h->is_draining = true;
    struct list *loc_it;
    list_foreach (loc_it, &h->locations) {
        struct hub_location *loc = list_entry(loc_it, struct hub_location, node);
        struct list *it;
        struct list *next;
        list_foreach_safe (it, next, &loc->tunnels) {
            struct tunnel *t = list_entry(it, struct tunnel, node);
            set_leave(t, "the gateway stopped");
            h2_drain(t->h2);
        }
    }
}

static void view(const struct tunnel *t, bool is_draining, struct hub_view *out)
{
    *out = (struct hub_view){.member = t->member,
                             .in_flight = h2_in_flight(t->h2),
                             .max_in_flight = h2_max_in_flight(t->h2),
                             .age_ms = loop_now_ms(t->hub->loop) - t->since_ms,
                             .rtt_us = h2_rtt_us(t->h2),
                             .is_draining = is_draining,
                             .is_suspect = t->is_suspect};
    (void)snprintf(out->connector_name, sizeof(out->connector_name), "%s",
                   seat_name(t->member.seat));
    memcpy(out->since, t->since, sizeof(out->since));
    (void)snprintf(out->name, sizeof(out->name), "%s", t->way.tunnel);
    out->member.seat = NULL; /* whoever looks at it may live longer */
}

static size_t view_all(const struct list *tunnels, bool is_draining, struct hub_view *out,
                       size_t max)
{
    size_t n = 0;
    struct list *it;
    list_foreach (it, tunnels) {
        if (n < max) {
            view(list_entry(it, struct tunnel, node), is_draining, &out[n++]);
        }
    }
    return n;
}

size_t hub_look(const struct hub *h, struct hub_view *out, size_t max)
{
    size_t n = 0;
    struct list *it;
    list_foreach (it, &h->locations) {
        n += view_all(&list_entry(it, struct hub_location, node)->tunnels, h->is_draining, out + n,
                      max - n);
    }
    return n + view_all(&h->draining, true, out + n, max - n);
}

size_t hub_drain_connector(struct hub *h, const char *connector)
{
    size_t n = 0;
    struct list *loc_it;
    list_foreach (loc_it, &h->locations) {
        struct hub_location *loc = list_entry(loc_it, struct hub_location, node);
        struct list *it;
        struct list *next;
        list_foreach_safe (it, next, &loc->tunnels) {
            struct tunnel *t = list_entry(it, struct tunnel, node);
            if (strcmp(seat_name(t->member.seat), connector) == 0) {
                set_leave(t, "it was drained by command; the connector dials anew");
                h2_drain(t->h2);
                n++;
            }
        }
    }
    return n;
}
