/**
 * frunproxyd as a whole.
 *
 * Everything that can fail for a reason an administrator can mend is done in gateway_new(), before
 * anything is served; gateway_run() starts the workers and waits for signals.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/gateway.h"

#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/loop/service.h"
#include "gateway_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/** Threads for password hashes: verifying is rare, and must leave CPUs for the data path. */
#define GATEWAY_HASHERS 2

/** Threads for names. */
#define GATEWAY_RESOLVERS 2

/** A worker that has not turned for so long hangs, milliseconds. */
#define GATEWAY_STUCK_MS 10000

/** How often it is looked whether the keys of session tickets are to change, milliseconds. */
#define GATEWAY_MINUTE_MS 60000

/** Jobs that may wait for either. */
#define GATEWAY_MAX_QUEUED 1024

/* -- preparing
 * -------------------------------------------------------------------------------------------------
 */

static size_t count_workers(const struct conf_gateway *c)
{
    long n = c->workers ? (long)c->workers : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > WORKER_MAX ? WORKER_MAX : (size_t)n;
}

/* Helper threads speak here; a worker only sees whether there is a token. */
static void on_token_news(void *ctx, const struct token_news *n)
{
    struct gateway_shared *sh = ctx;
    atomic_fetch_add(&sh->token_fetches[n->event], 1);
    unsigned long long valid_s = n->valid_ms / 1000;
    unsigned long long retry_s = (n->retry_ms + 999) / 1000;
    switch (n->event) {
    case TOKEN_FETCHED:
        log_line(n->is_change ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, n->name,
                 "access token fetched, valid for %llu s", valid_s);
        return;
    case TOKEN_KEPT:
        log_line(n->is_change ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, n->name,
                 "the access token could not be renewed: %s; the present one is used on, valid for "
                 "%llu s; next try in %llu s",
                 n->text, valid_s, retry_s);
        return;
    case TOKEN_LOST:
        log_line(n->is_change ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, n->name,
                 "no access token: %s; next try in %llu s", n->text, retry_s);
        return;
    }
}

frun_err gateway_open_office(struct gateway_shared *sh, const struct generation *g)
{
    const struct token_office_settings set = {.news = on_token_news, .ctx = sh};
    return registry_needs_tokens(g->registry) && !sh->tokens ? token_office_new(&set, &sh->tokens)
                                                             : FRUN_OK;
}

static frun_err make_workers(struct gateway *g, const struct conf_gw *conf)
{
    struct gateway_shared *sh = &g->shared;
    size_t n = count_workers(conf->gateway);
    sh->workers = calloc(n, sizeof(struct worker *));
    if (!sh->workers) {
        return FRUN_E_NOMEM;
    }
    frun_err err = meter_new(n, &sh->meter);
    err = err ? err : offload_new(GATEWAY_HASHERS, GATEWAY_MAX_QUEUED, &sh->hashers);
    if (!err) {
        err = offload_new(GATEWAY_RESOLVERS, GATEWAY_MAX_QUEUED, &sh->resolvers);
    }
    sh->n_workers = n;
    for (size_t i = 0; !err && i < n; i++) {
        err = worker_new(sh, (unsigned)i, &sh->workers[i]);
    }
    return err;
}

/* What was prepared is in use from the start. */
static frun_err begin_workers(struct gateway *g)
{
    struct gateway_shared *sh = &g->shared;
    frun_err err = gateway_open_office(sh, g->gen);
    for (size_t i = 0; !err && i < sh->n_workers; i++) {
        err = worker_begin(sh->workers[i], g->gen);
    }
    return err;
}

static void on_minute(struct deadline *d)
{
    struct gateway *g = list_entry(d, struct gateway, minute);
    generation_turn_tickets(g->gen, (int64_t)time(NULL));
    deadline_set(g->loop, d, GATEWAY_MINUTE_MS);
}

bool gateway_uses_tokens(const struct conf_gw *c)
{
    bool is_used = false;
    for (size_t i = 0; c->oauth && i < c->n_pushers; i++) {
        is_used |= c->pushers[i]->ways & CONF_AUTH_OAUTH2 && c->pushers[i]->is_enabled;
    }
    return is_used;
}

/* Everything that is made of the configuration. */
static frun_err prepare(struct gateway *g, struct conf_gw *conf, bool is_check, FILE *report,
                        struct diag *d)
{
    frun_err err = generation_new(conf, NULL, &g->shared, report, &g->gen);
    err = err ? err
              : stapling_new(conf, g->gen->front_tls, g->gen->registry, NULL, report, &g->stapling);
    if (err) {
        diag_set(d, "%s",
                 err == FRUN_E_NOMEM
                     ? err_text(err)
                     : "a certificate, key, CA or service key cannot be used; frunproxyd --check "
                       "tells which");
        return err;
    }
    if (gateway_uses_tokens(conf)) {
        err = keyring_new(conf, is_check, &g->keyring, d);
    }
    if (err || is_check) {
        return err;
    }
    err = switchover_new(&g->shared, g->gen->registry, &g->switchover);
    err = err ? err : health_new(&g->shared, g->gen, &g->health);
    err = err ? err : begin_workers(g);
    if (err) {
        diag_set(d, "workers cannot be made: %s", err_text(err));
        return err;
    }
    err = audit_open(conf->audit, &g->shared.audit, d); /* in the folder that is there now */
    if (err) {
        return err;
    }
    err = sockets_open(&g->sockets, &g->shared, conf, d);
    return err ? err : gateway_admin_open(g, d);
}

frun_err gateway_new(struct conf_gw *conf, bool is_check, FILE *report, struct gateway **out,
                     struct diag *d)
{
    struct gateway *g = calloc(1, sizeof(*g));
    if (!g) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    deadline_init(&g->minute, on_minute);
    fetch_start();
    g->path = strdup(conf->gateway->place.file);
    frun_err err = g->path ? reload_new(g, conf, &g->reload) : FRUN_E_NOMEM;
    if (!err && !is_check) {
        err = loop_new(&g->loop);
        g->shared.main_loop = g->loop;
        err = err ? err : make_workers(g, conf);
    }
    if (err) {
        diag_set(d, "workers cannot be made: %s", err_text(err));
    } else {
        err = prepare(g, conf, is_check, report, d);
    }
    if (err) {
        gateway_free(g);
        return err;
    }
    *out = g;
    return FRUN_OK;
}

/* -- running
 * ---------------------------------------------------------------------------------------------------
 */

static void on_worker_stopped(void *arg)
{
    struct gateway *g = arg;
    if (--g->n_running == 0) {
        loop_stop(g->loop);
    }
}

void gateway_stop(struct gateway *g)
{
    if (g->n_signals++ == 0) {
        log_info(NULL,
                 "stopping: no new connections, requests under way are finished (at most %llu s)",
                 (unsigned long long)(g->gen->conf->gateway->drain_timeout_ms / 1000));
        service_stopping();
        reload_stop(g->reload);
        health_stop(g->health);
        atomic_store(&g->shared.is_draining, true);
        for (size_t i = 0; i < g->shared.n_workers; i++) {
            worker_drain(g->shared.workers[i]);
        }
        return;
    }
    log_warning(NULL, "second signal: stopping at once");
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        worker_stop(g->shared.workers[i]);
    }
    loop_stop(g->loop);
}

static void on_signal(void *arg)
{
    gateway_stop(arg);
}

static void on_reopen(void *arg)
{
    (void)arg;
    log_reopen();
}

static void on_hangup(void *arg)
{
    const struct gateway *g = arg;
    log_reopen();
    reload_begin(g->reload, "SIGHUP");
}

/* A worker that has not turned for so long hangs: then the watchdog shall not be kept quiet. */
static bool are_workers_alive(void *arg)
{
    const struct gateway *g = arg;
    uint64_t now_ms = mono_now_ms();
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        struct worker *w = g->shared.workers[i];
        if (!atomic_load(&g->shared.is_draining) &&
            now_ms - atomic_load(&w->turned_ms) > GATEWAY_STUCK_MS) {
            log_error(NULL, "worker %zu has not turned for %d s; leaving it to the watchdog", i,
                      GATEWAY_STUCK_MS / 1000);
            return false;
        }
    }
    return true;
}

static frun_err start(struct gateway *g)
{
    on_minute(&g->minute);
    reload_watch(g->reload);
    g->shared.on_stopped = on_worker_stopped;
    g->shared.on_stopped_arg = g;
    if (g->keyring) {
        keyring_start(g->keyring, g->loop, &g->shared);
    }
    frun_err err = loop_on_signal(g->loop, SIGTERM, on_signal, g);
    if (!err) {
        err = loop_on_signal(g->loop, SIGINT, on_signal, g);
    }
    if (!err) {
        err = loop_on_signal(g->loop, SIGHUP, on_hangup, g);
    }
    if (!err) {
        err = loop_on_signal(g->loop, SIGUSR1, on_reopen, g);
    }
    if (!err) {
        err = service_watchdog_start(g->loop, are_workers_alive, g);
    }
    if (!err) {
        err = stapling_start(g->stapling, g->loop);
    }
    if (!err) {
        err = issuer_keys_new(g->loop, &g->shared, &g->issuer_keys);
    }
    if (!err) {
        err = issuer_keys_follow(g->issuer_keys, g->gen->registry);
    }
    heap_watch_start(&g->heap, g->loop);
    for (size_t i = 0; !err && i < g->shared.n_workers; i++) {
        err = worker_start(g->shared.workers[i]);
        g->n_running += err ? 0 : 1;
    }
    return err;
}

frun_err gateway_run(struct gateway *g)
{
    frun_err err = start(g);
    if (!err) {
        atomic_store(&g->shared.is_ready, true);
        char status[128];
        (void)snprintf(status, sizeof(status), "serving %zu endpoint(s) with %zu worker(s)",
                       g->gen->conf->n_endpoints, g->shared.n_workers);
        log_info(NULL, "frunproxyd %s: %s", FRUN_VERSION, status);
        audit_tell(g->shared.audit, &(struct audit_event){.name = "daemon.started",
                                                          .outcome = "ok",
                                                          .object = SPAN_LIT("frunproxyd"),
                                                          .detail = SPAN_LIT(FRUN_VERSION)});
        service_ready(status);
        health_start(g->health);
        loop_run(g->loop);
    }
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        worker_stop(g->shared.workers[i]);
    }
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        worker_join(g->shared.workers[i]);
    }
    heap_watch_stop(&g->heap);
    service_watchdog_stop();
    log_info(NULL, "stopped");
    audit_tell(g->shared.audit, &(struct audit_event){.name = "daemon.stopped",
                                                      .outcome = err ? "failed" : "ok",
                                                      .object = SPAN_LIT("frunproxyd")});
    return err;
}

void gateway_free(struct gateway *g)
{
    if (!g) {
        return;
    }
    struct gateway_shared *sh = &g->shared;
    gateway_admin_close(g);
    /* Helper threads first: what they finish is posted to loops that still exist. */
    offload_free(sh->hashers);
    offload_free(sh->resolvers);
    token_office_free(sh->tokens);
    stapling_stop(g->stapling);
    reload_stop(g->reload);
    issuer_keys_stop(g->issuer_keys);
    health_stop(g->health);
    for (size_t i = 0; i < sh->n_workers; i++) {
        worker_free(sh->workers[i]);
    }
    audit_free(sh->audit);
    meter_free(sh->meter);
    free(sh->workers);
    deadline_clear(&g->minute);
    keyring_free(g->keyring);
    loop_free(g->loop);
    stapling_free(g->stapling);
    issuer_keys_free(g->issuer_keys);
    reload_free(g->reload);
    health_free(g->health);
    switchover_free(g->switchover);
    generation_unref(&g->gen);
    free(g->path);
    fetch_stop();
    free(g);
}
