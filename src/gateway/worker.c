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
#include "frun/gateway/porch.h"

#include <errno.h>
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
    for (size_t i = 0; i < w->n_listen; i++) {
        if (w->listen[i].listener && !w->listen[i].is_tunnel) {
            listener_accept_on(w->listen[i].listener, is_on);
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
    frun_err err = porch_enter(w, fd, peer, false);
    if (err) {
        log_error(NULL, "a connection could not be taken on: %s", err_text(err));
    }
}

static void on_door(void *ctx, int *fd, const struct addr *peer)
{
    struct worker *w = ctx;
    frun_err err = porch_enter(w, fd, peer, true);
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

bool worker_takes_tunnels(const struct worker *w)
{
    return !w->is_saying_goodbye && !w->is_stopped;
}

/* Connectors come again by themselves; pushers in the queue would be told of a reset. */
static void end_listening(struct worker_door *d)
{
    struct listener *l = d->listener;
    d->listener = NULL;
    (d->is_tunnel ? listener_free : listener_drain)(l);
}

static void end_doors(struct worker *w, bool is_tunnel)
{
    for (size_t i = 0; i < w->n_listen; i++) {
        if (w->listen[i].is_tunnel == is_tunnel) {
            end_listening(&w->listen[i]);
        }
    }
    for (struct list *d; is_tunnel && (d = list_first(&w->doors)) != NULL;) {
        door_kill((struct door *)d);
    }
}

static void stopped(struct worker *w)
{
    if (w->is_stopped) {
        return;
    }
    w->is_stopped = true;
    end_doors(w, true);
    deadline_clear(&w->drain_deadline);
    if (loop_post(w->shared->main_loop, w->shared->on_stopped, w->shared->on_stopped_arg) !=
        FRUN_OK) {
        log_error(NULL, "out of memory while stopping");
    }
    /* The loop turns on until main ends it: administrators ask every worker as long as any of them
     * drains. */
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
        end_doors(w, true);
        deadline_set(w->loop, &w->drain_deadline, WORKER_GOODBYE_MS);
        hub_drain(w->hub);
    }
}

static void on_tunnel_gone(void *ctx, const struct hub_member *m, const char *why)
{
    struct worker *w = ctx;
    seat_leave(m->seat, w->index);
    seat_ended(m->seat, why);
    atomic_fetch_sub(&w->shared->n_tunnels, 1);
    meter_add(&w->count.tunnels_closed, 1);
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
    exchange_kill_errands(w);
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

/* Before they are closed: with systemd's copy calls wait for the next start. A datagram that
 * systemd takes at once. */
static void keep_sockets(const struct worker *w)
{
    int fds[WORKER_MAX_LISTEN];
    size_t n = 0;
    for (size_t i = 0; i < w->n_listen; i++) {
        if (w->listen[i].listener && !w->listen[i].is_given) {
            fds[n++] = listener_fd(w->listen[i].listener);
        }
    }
    service_keep_sockets(fds, n);
}

static void drain_job(void *arg)
{
    struct worker *w = arg;
    if (w->is_draining) {
        return;
    }
    w->is_draining = true;
    keep_sockets(w);
    end_doors(w, false);
    deadline_clear(&w->accept_deadline);
    w->drain_ends_ms = loop_now_ms(w->loop) + w->conf->gateway->drain_timeout_ms;
    deadline_set(w->loop, &w->drain_deadline, w->conf->gateway->drain_timeout_ms);
    struct list *it;
    struct list *next;
    list_foreach_safe (it, next, &w->fronts) {
        front_drain((struct front *)it);
    }
    exchange_kill_errands(w);
    worker_on_gone(w);
}

void worker_drain(struct worker *w)
{
    if (loop_post(w->loop, drain_job, w) != FRUN_OK) {
        loop_stop(w->loop); /* without memory it is cut short, and cannot say so itself */
        w->shared->on_stopped(w->shared->on_stopped_arg);
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
    const struct h2_settings none = {.is_client = true};
    err = hub_new(w->loop, &none, on_tunnel_gone, w, &w->hub);
    return err ? err : origins_new(w->loop, w->shared->resolvers, &w->origins);
}

frun_err worker_new(struct gateway_shared *shared, unsigned index, struct worker **out)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        return FRUN_E_NOMEM;
    }
    w->shared = shared;
    w->index = index;
    list_init(&w->all_roads);
    list_init(&w->fronts);
    list_init(&w->orphans);
    list_init(&w->errands);
    list_init(&w->held);
    list_init(&w->doors);
    list_init(&w->spare);
    deadline_init(&w->drain_deadline, on_drain_deadline);
    deadline_init(&w->accept_deadline, on_accept_deadline);
    deadline_init(&w->beat, on_beat);
    atomic_init(&w->turned_ms, mono_now_ms()); /* the watchdog looks before the loop's first turn */
    buf_init(&w->scratch, WORKER_SCRATCH_BYTES);
    frun_err err = make_parts(w);
    if (err) {
        worker_free(w);
        return err;
    }
    *out = w;
    return FRUN_OK;
}

frun_err worker_listen(struct worker *w, const struct worker_door *d)
{
    if (w->n_listen >= WORKER_MAX_LISTEN) {
        return FRUN_E_LIMIT;
    }
    w->listen[w->n_listen++] = *d;
    return FRUN_OK;
}

static frun_err listen_on(struct worker *w, struct worker_door *d)
{
    frun_err err =
        listener_new(w->loop, &d->fd, d->is_tunnel ? on_door : on_front, w, &d->listener);
    if (!err) {
        listener_on_starved(d->listener, on_starved);
    }
    return err;
}

/* -- another configuration
 * ---------------------------------------------------------------------------------------------- */

static struct h2_settings tunnel_settings(struct worker *w, const struct conf_tunnel *t)
{
    return (struct h2_settings){.is_client = true,
                                .max_streams = t ? (uint32_t)t->max_streams : 1,
                                .stream_window =
                                    t ? (uint32_t)t->stream_window : EXCHANGE_BUFFER_BYTES,
                                .budget = &w->windows,
                                .max_frame_bytes = EXCHANGE_BUFFER_BYTES,
                                .max_head_bytes = WORKER_SCRATCH_BYTES / 4,
                                .ping_interval_ms = t ? t->ping_interval_ms : 15000,
                                .ping_timeout_ms = t ? t->ping_timeout_ms : 10000};
}

/* A connector that is to show another CA's certificate dials again: that is how it is checked. */
static bool is_wanted(void *ctx, const struct hub_member *m)
{
    const struct generation *g = ctx;
    return !g->is_new_ca && door_knows(g, m);
}

/* Everything at once, and nothing of it can fail. */
static void install(struct worker *w, struct roads *roads)
{
    struct roads *old = w->roads;
    struct generation *g = roads->gen;
    const struct h2_settings set = tunnel_settings(w, g->conf->tunnel);
    roads_settle(roads); /* one may have been switched since it was prepared */
    w->roads = roads;
    w->gen = g;
    w->conf = g->conf;
    auth_set_registry(w->auth, g->registry);
    hub_set(w->hub, &set);
    if (!old) {
        w->windows.all_bytes = (size_t)w->conf->gateway->window_memory;
        w->windows.left_bytes = w->windows.all_bytes;
    } else {
        hub_review(w->hub, is_wanted, g);
    }
    roads_unref(&old);
    auth_on_issuers(w->auth); /* who waits for keys of an issuer that has gone need not any more */
}

/* Its first token needs a desk; the office has opened before. */
static frun_err make_desk(struct worker *w)
{
    return w->desk || !w->shared->tokens ? FRUN_OK
                                         : token_desk_new(w->shared->tokens, w->loop, &w->desk);
}

frun_err worker_begin(struct worker *w, struct generation *g)
{
    struct roads *roads = NULL;
    frun_err err = make_desk(w);
    err = err ? err : roads_new(w, g, &roads);
    if (!err) {
        install(w, roads);
    }
    return err;
}

static void step(struct worker_change *c, enum worker_change_state state)
{
    struct loop *main_loop = c->w->shared->main_loop;
    loop_job_fn fn = c->on_step;
    void *arg = c->arg;
    atomic_store(&c->state, (int)state);
    (void)!loop_post(main_loop, fn, arg); /* main looks from time to time too */
}

/* What a change has brought and what is not in use. */
static void drop_change(struct worker_change *c)
{
    for (size_t i = 0; i < c->n_add; i++) {
        listener_free(c->add[i].listener);
        c->add[i].listener = NULL;
    }
    c->w->change = NULL;
    roads_unref(&c->roads);
}

void worker_prepare(void *change)
{
    struct worker_change *c = change;
    struct worker *w = c->w;
    frun_err err = w->is_stopped ? FRUN_E_CLOSED : make_desk(w);
    w->change = w->is_stopped ? NULL : c;
    err = err ? err : roads_new(w, c->gen, &c->roads);
    for (size_t i = 0; !err && i < c->n_add; i++) {
        err = listen_on(w, &c->add[i]);
        if (!err) {
            listener_accept_on(c->add[i].listener, false);
        }
    }
    c->err = err;
    if (err && !w->is_stopped) {
        drop_change(c);
    }
    step(c, err ? WORKER_CHANGE_FAILED : WORKER_CHANGE_PREPARED);
}

void worker_abort(void *change)
{
    struct worker_change *c = change;
    if (c->w->change == c) {
        drop_change(c);
    }
    step(c, WORKER_CHANGE_DONE);
}

static void change_doors(struct worker *w, struct worker_change *c)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_listen; i++) {
        bool is_left = true;
        for (size_t k = 0; k < c->n_remove && is_left; k++) {
            is_left = w->listen[i].id != c->remove[k];
        }
        if (is_left) {
            w->listen[n++] = w->listen[i];
        } else {
            end_listening(&w->listen[i]);
        }
    }
    for (size_t i = 0; i < c->n_add; i++) {
        listener_accept_on(c->add[i].listener, c->add[i].is_tunnel || !is_full(w));
        w->listen[n++] = c->add[i];
        c->add[i].listener = NULL;
    }
    w->n_listen = n;
}

void worker_commit(void *change)
{
    struct worker_change *c = change;
    struct worker *w = c->w;
    if (w->change == c && !w->is_draining) {
        struct roads *roads = c->roads;
        c->roads = NULL;
        w->change = NULL;
        install(w, roads);
        change_doors(w, c);
    } else if (w->change == c) {
        drop_change(c); /* SIGTERM came in between: what drains ends as it is */
    }
    step(c, WORKER_CHANGE_DONE);
}

/* -- the start
 * ---------------------------------------------------------------------------------------------- */

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
    if (cpu < 0) {
        log_warning(NULL,
                    "worker %u is not pinned: this process may use none of the CPUs of "
                    "cpu_affinity = %s",
                    w->index, wish);
        return;
    }
    CPU_ZERO(&mine);
    CPU_SET((size_t)cpu, &mine);
    if (sched_setaffinity(0, sizeof(mine), &mine)) {
        log_warning(NULL,
                    "worker %u is not pinned to CPU %d (errno %d); under systemd the unit's "
                    "SystemCallFilter must allow sched_setaffinity",
                    w->index, cpu, errno);
    } else {
        log_debug(NULL, "worker %u stays on CPU %d", w->index, cpu);
    }
}

frun_err worker_start(struct worker *w)
{
    for (size_t i = 0; i < w->n_listen; i++) {
        frun_err err = listen_on(w, &w->listen[i]);
        if (err) {
            return err;
        }
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
    if (w->change) {
        drop_change(w->change);
    }
    for (size_t i = 0; i < w->n_listen; i++) {
        listener_free(w->listen[i].listener);
        if (w->listen[i].fd >= 0) {
            (void)close(w->listen[i].fd); /* never came to listening */
        }
    }
    kill_all(w);
    struct list *it;
    list_foreach (it, &w->all_roads) {
        roads_close(list_entry(it, struct roads, node));
    }
    roads_unref(&w->roads);
    origins_free(w->origins);
    token_desk_free(w->desk);
    hub_free(w->hub);
    auth_free(w->auth);
    w->hub = NULL; /* mail of main's and of other workers may still lie in the loop */
    w->auth = NULL;
    deadline_clear(&w->drain_deadline);
    deadline_clear(&w->accept_deadline);
    deadline_clear(&w->beat);
    loop_free(w->loop);
    exchange_drop_spare(w);
    buf_done(&w->scratch);
    free(w);
}

/* Is there one that works, or that nothing is known against? Tunnels have been looked at, and roads
 * that cannot be switched to direct ones. */
static bool has_usable_road(const struct worker *w)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(w->gen->registry, &n);
    for (size_t i = 0; i < n; i++) {
        bool is_asked = e[i].sap || e[i].conf->has_standby;
        if (is_asked && w->roads->all[i]->ops->is_usable(w->roads->all[i])) {
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
    if (w->gen->has_direct || atomic_load(&g->n_tunnels) > 0) {
        return NULL;
    }
    return has_usable_road(w)
               ? NULL
               : "no connector is connected, no endpoint has a direct route, and none has a usable "
                 "route through SAP's connectivity proxy";
}
