/**
 * One worker: its loop, listeners, routes, and the orderly end.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/worker.h"

#include "frun/base/cpus.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/gateway/door.h"
#include "frun/gateway/exchange.h"
#include "frun/gateway/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/** Octets of the largest head we write: all fields of the largest head we take, and ours. */
#define WORKER_SCRATCH_BYTES 262144

/** How often a worker shows that it turns, milliseconds. */
#define WORKER_BEAT_MS 1000

/** How often a full worker looks whether it may accept again, milliseconds. */
#define WORKER_ACCEPT_AGAIN_MS 200

/** How long tunnels may take to say good-bye once the last request has ended, milliseconds. */
#define WORKER_GOODBYE_MS 2000

/* -- accepting
 * -------------------------------------------------------------------------------------------------
 */

static bool is_full(const struct worker *w)
{
    return atomic_load_explicit(&w->shared->n_connections, memory_order_relaxed) >=
           w->conf->gateway->max_connections;
}

static void accept_on(struct worker *w, bool is_on)
{
    for (size_t i = 0; i < w->n_front; i++) {
        if (w->listeners[i]) {
            listener_accept_on(w->listeners[i], is_on);
        }
    }
}

static void on_accept_deadline(struct deadline *d)
{
    struct worker *w = list_entry(d, struct worker, accept_deadline);
    if (is_full(w)) {
        deadline_set(w->loop, d, WORKER_ACCEPT_AGAIN_MS);
    } else {
        accept_on(w, true);
    }
}

static void on_front(void *ctx, int *fd, const struct addr *peer)
{
    struct worker *w = ctx;
    if (is_full(w)) {
        log_warning(NULL, "max_connections (%llu) reached; new connections wait until others end",
                    (unsigned long long)w->conf->gateway->max_connections);
        accept_on(w, false);
        deadline_set(w->loop, &w->accept_deadline, WORKER_ACCEPT_AGAIN_MS);
    }
    frun_err err = front_new(w, fd, peer);
    if (err) {
        log_error(NULL, "a connection could not be taken on: %s", err_text(err));
    }
}

static void on_door(void *ctx, int *fd, const struct addr *peer)
{
    struct worker *w = ctx;
    frun_err err = door_new(w, fd, peer);
    if (err) {
        log_error("tunnel", "a connection could not be taken on: %s", err_text(err));
    }
}

static void on_starved(void *ctx, bool is_starved)
{
    (void)ctx;
    if (is_starved) {
        log_error(NULL, "no file descriptor or memory left: new connections wait until others end; "
                        "raise LimitNOFILE (ulimit -n) or lower max_connections");
    } else {
        log_info(NULL, "new connections are accepted again");
    }
}

/* Shows main's watchdog that this worker still turns; what a quieter time needs no more goes back.
 */
static void on_beat(struct deadline *d)
{
    struct worker *w = list_entry(d, struct worker, beat);
    atomic_store(&w->turned_ms, mono_now_ms());
    exchange_trim_spare(w);
    deadline_set(w->loop, d, WORKER_BEAT_MS);
}

/* -- the end
 * ---------------------------------------------------------------------------------------------------
 */

static void stopped(struct worker *w)
{
    if (w->is_stopped) {
        return;
    }
    w->is_stopped = true;
    deadline_clear(&w->drain_deadline);
    if (loop_post(w->shared->main_loop, w->shared->on_stopped, w->shared->on_stopped_arg) !=
        FRUN_OK) {
        log_error(NULL, "out of memory while stopping");
    }
    loop_stop(w->loop);
}

void worker_on_gone(struct worker *w)
{
    if (!w->is_draining || w->is_stopped || w->n_fronts || w->n_orphans) {
        return;
    }
    if (hub_count(w->hub) == 0) {
        stopped(w);
        return;
    }
    if (!w->is_saying_goodbye) {
        w->is_saying_goodbye = true;
        deadline_set(w->loop, &w->drain_deadline, WORKER_GOODBYE_MS);
        hub_drain(w->hub);
    }
}

static void on_tunnel_gone(void *ctx, const struct hub_member *m)
{
    struct worker *w = ctx;
    struct gateway_shared *g = w->shared;
    atomic_fetch_sub(&g->census[m->connector_index * g->n_workers + w->index], 1);
    atomic_fetch_sub(&g->n_tunnels, 1);
    worker_on_gone(w);
}

static void kill_all(struct worker *w)
{
    for (struct list *it; (it = list_first(&w->fronts)) != NULL;) {
        front_kill((struct front *)it);
    }
    for (struct list *it; (it = list_first(&w->doors)) != NULL;) {
        door_kill((struct door *)it);
    }
    exchange_kill_orphans(w);
}

static void on_drain_deadline(struct deadline *d)
{
    struct worker *w = list_entry(d, struct worker, drain_deadline);
    if (w->n_fronts || w->n_orphans) {
        log_warning(NULL, "drain_timeout: %zu connection(s) cut off", w->n_fronts + w->n_orphans);
    }
    kill_all(w);
    stopped(w);
}

static void drain_job(void *arg)
{
    struct worker *w = arg;
    if (w->is_draining) {
        return;
    }
    w->is_draining = true;
    for (size_t i = 0; i < w->n_listen; i++) {
        /* Connectors come again by themselves; pushers in the queue would be told of a reset. */
        (i < w->n_front ? listener_drain : listener_free)(w->listeners[i]);
        w->listeners[i] = NULL;
    }
    deadline_clear(&w->accept_deadline);
    deadline_set(w->loop, &w->drain_deadline, w->conf->gateway->drain_timeout_ms);
    struct list *it;
    struct list *next;
    list_foreach_safe (it, next, &w->fronts) {
        front_drain((struct front *)it);
    }
    for (struct list *d; (d = list_first(&w->doors)) != NULL;) {
        door_kill((struct door *)d);
    }
    worker_on_gone(w);
}

void worker_drain(struct worker *w)
{
    if (loop_post(w->loop, drain_job, w) != FRUN_OK) {
        loop_stop(w->loop);
    }
}

void worker_stop(struct worker *w)
{
    loop_stop(w->loop);
}

void worker_join(struct worker *w)
{
    loop_thread_join(w->thread);
    w->thread = NULL;
}

/* -- the beginning
 * --------------------------------------------------------------------------------------------- */

static frun_err make_route(struct worker *w, const struct endpoint *e, struct route **out)
{
    struct route *r = NULL;
    frun_err err = FRUN_OK;
    switch ((enum conf_route)e->conf->route) {
    case CONF_ROUTE_TUNNEL:
        err = route_tunnel_new(w->hub, e, &r);
        break;
    case CONF_ROUTE_DIRECT:
        err = route_direct_new(w->origins, e, w->conf->gateway, &r);
        break;
    case CONF_ROUTE_SAP:
        err = route_sap_new(w, e, &r);
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

static frun_err make_routes(struct worker *w)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(w->registry, &n);
    w->routes = calloc(n + 1, sizeof(*w->routes));
    if (!w->routes) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        frun_err err = make_route(w, &e[i], &w->routes[i]);
        if (err) {
            return err;
        }
    }
    return FRUN_OK;
}

static frun_err make_parts(struct worker *w)
{
    frun_err err = loop_new(&w->loop);
    if (err) {
        return err;
    }
    err = auth_new(w->loop, w->shared->hashers, &w->auth);
    if (err) {
        return err;
    }
    const struct conf_tunnel *t = w->conf->tunnel;
    struct h2_settings set = {.is_client = true,
                              .max_streams = t ? (uint32_t)t->max_streams : 1,
                              .stream_window =
                                  t ? (uint32_t)t->stream_window : EXCHANGE_BUFFER_BYTES,
                              .max_frame_bytes = EXCHANGE_BUFFER_BYTES,
                              .max_head_bytes = WORKER_SCRATCH_BYTES / 4,
                              .ping_interval_ms = t ? t->ping_interval_ms : 15000,
                              .ping_timeout_ms = t ? t->ping_timeout_ms : 10000};
    err = hub_new(w->loop, &set, on_tunnel_gone, w, &w->hub);
    if (!err) {
        err = origins_new(w->loop, w->shared->resolvers, &w->origins);
    }
    if (!err && w->shared->tokens) {
        err = token_desk_new(w->shared->tokens, w->loop, &w->desk);
    }
    return err ? err : make_routes(w);
}

frun_err worker_new(struct gateway_shared *shared, unsigned index, struct worker **out)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        return FRUN_E_NOMEM;
    }
    w->shared = shared;
    w->registry = registry_ref(shared->registry);
    w->conf = registry_conf(w->registry);
    w->index = index;
    for (size_t i = 0; i < WORKER_MAX_LISTEN; i++) {
        w->listen_fds[i] = -1;
    }
    list_init(&w->fronts);
    list_init(&w->orphans);
    list_init(&w->doors);
    list_init(&w->spare);
    deadline_init(&w->drain_deadline, on_drain_deadline);
    deadline_init(&w->accept_deadline, on_accept_deadline);
    deadline_init(&w->beat, on_beat);
    buf_init(&w->scratch, WORKER_SCRATCH_BYTES);
    frun_err err = make_parts(w);
    if (err) {
        worker_free(w);
        return err;
    }
    *out = w;
    return FRUN_OK;
}

frun_err worker_listen(struct worker *w, int fd, bool is_tunnel)
{
    if (w->n_listen >= WORKER_MAX_LISTEN) {
        return FRUN_E_LIMIT;
    }
    w->listen_fds[w->n_listen++] = fd;
    if (!is_tunnel) {
        w->n_front = w->n_listen;
    }
    return FRUN_OK;
}

/* Runs on the worker's thread, whose mask is still the process'. */
static void pin(void *arg)
{
    const struct worker *w = arg;
    const char *wish = w->conf->gateway->cpu_affinity;
    cpu_set_t mine;
    cpu_set_t listed;
    if (sched_getaffinity(0, sizeof(mine), &mine)) {
        CPU_ZERO(&mine);
    }
    if (cpus_parse(span_of(wish), &listed) == FRUN_OK) {
        CPU_AND(&mine, &mine, &listed);
    }
    int cpu = cpus_pick(&mine, w->index);
    if (cpu >= 0) {
        CPU_ZERO(&mine);
        CPU_SET((size_t)cpu, &mine);
    }
    if (cpu < 0 || sched_setaffinity(0, sizeof(mine), &mine)) {
        log_warning(NULL,
                    "worker %u is not pinned: this process may use none of the CPUs of "
                    "cpu_affinity = %s",
                    w->index, wish);
    } else {
        log_debug(NULL, "worker %u stays on CPU %d", w->index, cpu);
    }
}

frun_err worker_start(struct worker *w)
{
    for (size_t i = 0; i < w->n_listen; i++) {
        frun_err err = listener_new(w->loop, &w->listen_fds[i], i < w->n_front ? on_front : on_door,
                                    w, &w->listeners[i]);
        if (err) {
            return err;
        }
        listener_on_starved(w->listeners[i], on_starved);
    }
    if (strcasecmp(w->conf->gateway->cpu_affinity, "no") != 0) {
        frun_err err = loop_post(w->loop, pin, w);
        if (err) {
            return err;
        }
    }
    on_beat(&w->beat);
    char name[16];
    (void)snprintf(name, sizeof(name), "worker-%u", w->index);
    return loop_thread_start(w->loop, name, &w->thread);
}

void worker_free(struct worker *w)
{
    if (!w) {
        return;
    }
    w->is_stopped = true;
    for (size_t i = 0; i < w->n_listen; i++) {
        listener_free(w->listeners[i]);
        if (w->listen_fds[i] >= 0) {
            (void)close(w->listen_fds[i]); /* never came to listening */
        }
    }
    kill_all(w);
    size_t n = 0;
    (void)registry_endpoints(w->registry, &n);
    for (size_t i = 0; w->routes && i < n; i++) {
        if (w->routes[i]) {
            w->routes[i]->ops->free(w->routes[i]);
        }
    }
    free(w->routes);
    origins_free(w->origins);
    token_desk_free(w->desk);
    hub_free(w->hub);
    auth_free(w->auth);
    deadline_clear(&w->drain_deadline);
    deadline_clear(&w->accept_deadline);
    deadline_clear(&w->beat);
    loop_free(w->loop);
    exchange_drop_spare(w);
    buf_done(&w->scratch);
    registry_unref(&w->registry);
    free(w);
}

/* Is there one that works, or that nothing is known against? */
static bool has_sap_road(const struct worker *w)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(w->registry, &n);
    for (size_t i = 0; i < n; i++) {
        if (e[i].sap && w->routes[i]->ops->is_usable(w->routes[i])) {
            return true;
        }
    }
    return false;
}

const char *worker_unhealthy(const struct worker *w)
{
    const struct gateway_shared *g = w->shared;
    if (!atomic_load(&g->is_ready)) {
        return "frunproxyd is starting";
    }
    if (atomic_load(&g->is_draining)) {
        return "frunproxyd is stopping";
    }
    if (g->has_direct || atomic_load(&g->n_tunnels) > 0) {
        return NULL;
    }
    return has_sap_road(w) ? NULL
                           : "no connector is connected, no endpoint has a direct route, and none "
                             "has a usable route through SAP's connectivity proxy";
}
