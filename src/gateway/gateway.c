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
#include "frun/conf/check.h"
#include "frun/net/addr.h"
#include "frun/net/tls_files.h"
#include "gateway_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static frun_err make_front_tls(struct gateway *g, FILE *report)
{
    const struct conf_gateway *c = g->conf->gateway;
    struct tls_source s = {
        .tls = {.certificate = c->certificate,
                .private_key = c->private_key,
                .ca_file = c->client_ca,
                .is_asking = c->asking.is_asking,
                .hides_ca = c->asking.hides_ca,
                .alpn = c->http2 ? "h2,http/1.1" : "http/1.1",
                .has_tickets = c->session_tickets,
                .ticket_secret = c->session_ticket_key},
        .certificate = {c, "certificate"},
        .private_key = {c, "private_key"},
        .ca = {c, "client_ca"},
    };
    return tls_files_load(&s, g->conf->doc, true, report, &g->shared.front_tls);
}

static frun_err make_tunnel_tls(struct gateway *g, FILE *report)
{
    const struct conf_tunnel *t = g->conf->tunnel;
    struct tls_source s = {
        .tls = {.certificate = t->certificate,
                .private_key = t->private_key,
                .ca_file = t->client_ca,
                .alpn = "http/1.1",
                .is_mutual = true},
        .certificate = {t, "certificate"},
        .private_key = {t, "private_key"},
        .ca = {t, "client_ca"},
    };
    if (conf_key_given(g->conf->doc, t, "certificate")) {
        return tls_files_load(&s, g->conf->doc, true, report, &g->shared.tunnel_tls);
    }
    s.certificate.section = s.private_key.section = g->conf->gateway;
    if (!g->shared.front_tls) {
        /* The gateway's pair, which failed and has been told: look at the CA alone. */
        struct tls_ctx *unused = NULL;
        s.tls.certificate = s.tls.private_key = NULL;
        frun_err err = tls_files_load(&s, g->conf->doc, false, report, &unused);
        tls_unref(&unused);
        return err;
    }
    return tls_files_load(&s, g->conf->doc, true, report, &g->shared.tunnel_tls);
}

/* A certificate that peers will not take for this name works here and nowhere else. */
static void check_name(const struct gateway *g, FILE *report, const struct tls_ctx *t,
                       struct tls_place at, const char *host)
{
    char why[512];
    if (!report || tls_carries(t, host)) {
        return;
    }
    (void)snprintf(why, sizeof(why),
                   "the certificate does not carry the name %s: who calls by that name refuses it",
                   host);
    conf_place_print(g->conf->doc, report, false, at.section, at.key, why);
}

/* Host names of endpoints: served by the certificate that is theirs, which must carry them. */
static frun_err add_hosts(struct gateway *g, FILE *report)
{
    size_t n = 0;
    const struct endpoint *all = registry_endpoints(g->shared.registry, &n);
    for (size_t i = 0; i < n; i++) {
        const struct endpoint *e = &all[i];
        struct tls_ctx *shown = e->front_tls ? e->front_tls : g->shared.front_tls;
        for (size_t k = 0; k < e->conf->host_name.n; k++) {
            const char *name = e->conf->host_name.items[k];
            check_name(g, report, shown, (struct tls_place){e->conf, "host_name"}, name);
            frun_err err = e->front_tls
                               ? tls_server_add_name(g->shared.front_tls, name, e->front_tls)
                               : FRUN_OK;
            if (err) {
                return err;
            }
        }
    }
    return FRUN_OK;
}

static void check_names(const struct gateway *g, FILE *report)
{
    const struct conf_gateway *c = g->conf->gateway;
    const struct conf_tunnel *t = g->conf->tunnel;
    struct span url = span_of(c->public_url);
    struct span host;
    char text[256];
    if (span_starts(url, SPAN_LIT("https://")) &&
        conf_check_authority(span_skip(url, 8), &host, NULL)) {
        if (host.n > 2 && host.p[0] == '[') {
            host = span_make(host.p + 1, host.n - 2);
        }
        (void)snprintf(text, sizeof(text), "%.*s", SPAN_FMT(host));
        check_name(g, report, g->shared.front_tls, (struct tls_place){c, "certificate"}, text);
    }
    if (t && t->server_name) {
        check_name(g, report, g->shared.tunnel_tls, (struct tls_place){t, "server_name"},
                   t->server_name);
    }
}

/* All certificates, keys and CAs; what is wrong is told at once. */
static frun_err load_files(struct gateway *g, FILE *report)
{
    struct gateway_shared *sh = &g->shared;
    const struct conf_tunnel *t = g->conf->tunnel;
    frun_err worst = make_front_tls(g, report);
    frun_err err = t && worst != FRUN_E_NOMEM ? make_tunnel_tls(g, report) : FRUN_OK;
    worst = err ? err : worst;
    if (worst != FRUN_E_NOMEM) {
        err = registry_new(g->conf, report, &sh->registry);
        worst = err ? err : worst;
    }
    if (!worst) {
        check_names(g, report);
    }
    if (!worst && t && t->server_name) {
        worst = tls_server_add_name(sh->front_tls, t->server_name, sh->tunnel_tls);
    }
    if (!worst) {
        worst = add_hosts(g, report);
    }
    if (!worst) {
        worst = stapling_new(g->conf, sh->front_tls, sh->registry, report, &g->stapling);
    }
    return worst;
}

static size_t count_workers(const struct conf_gateway *c)
{
    long n = c->workers ? (long)c->workers : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > WORKER_MAX ? WORKER_MAX : (size_t)n;
}

static frun_err make_quotas(struct gateway *g)
{
    struct gateway_shared *sh = &g->shared;
    const struct conf_gw *c = g->conf;
    frun_err err = quota_set_new(c->n_pushers + c->n_endpoints, sh->n_workers, &sh->quotas);
    if (err) {
        return err;
    }
    for (size_t i = 0; i < c->n_pushers; i++) {
        const struct conf_pusher *p = c->pushers[i];
        struct quota_limits lim = {p->max_requests_per_second, p->burst, p->max_in_flight};
        quota_set_limits(sh->quotas, i, &lim);
    }
    for (size_t i = 0; i < c->n_endpoints; i++) {
        struct quota_limits lim = {.in_flight = c->endpoints[i]->max_in_flight};
        quota_set_limits(sh->quotas, c->n_pushers + i, &lim);
    }
    for (unsigned i = 0; i < sh->n_workers; i++) {
        quota_set_loop(sh->quotas, i, sh->workers[i]->loop);
    }
    return FRUN_OK;
}

/* Helper threads speak here; a worker only sees whether there is a token. */
static void on_token_news(void *ctx, const struct token_news *n)
{
    (void)ctx;
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

static frun_err open_token_office(struct gateway_shared *sh)
{
    static const struct token_office_settings set = {.news = on_token_news};
    return registry_needs_tokens(sh->registry) ? token_office_new(&set, &sh->tokens) : FRUN_OK;
}

static frun_err make_workers(struct gateway *g)
{
    struct gateway_shared *sh = &g->shared;
    size_t n = count_workers(g->conf->gateway);
    sh->census = calloc(g->conf->n_connectors * n + 1, sizeof(*sh->census));
    sh->workers = calloc(n, sizeof(struct worker *));
    if (!sh->census || !sh->workers) {
        return FRUN_E_NOMEM;
    }
    frun_err err = offload_new(GATEWAY_HASHERS, GATEWAY_MAX_QUEUED, &sh->hashers);
    if (!err) {
        err = offload_new(GATEWAY_RESOLVERS, GATEWAY_MAX_QUEUED, &sh->resolvers);
    }
    if (!err) {
        err = open_token_office(sh);
    }
    sh->n_workers = n;
    for (size_t i = 0; !err && i < n; i++) {
        err = worker_new(sh, (unsigned)i, &sh->workers[i]);
    }
    return err ? err : make_quotas(g);
}

/* -- sockets
 * ---------------------------------------------------------------------------------------------------
 */

/* One socket for each worker: its own by SO_REUSEPORT. The kernel chooses by a hash of the
 * addresses and wakes one worker; a socket that all share (adopt()) wakes all who sleep, and the
 * first takes it. In one run of 4000 connections, one by one, two workers took 2001 and 1999 of
 * them, from a shared socket 2153 and 1847: what one socket costs is wake-ups, not balance. */
static frun_err open_address(struct gateway *g, const char *text, bool is_tunnel, struct diag *d)
{
    struct addr a;
    struct addr bound;
    frun_err err = addr_parse(text, &a);
    if (err) {
        diag_set(d, "%s.listen: \"%s\" is not IP:port or [IPv6]:port",
                 is_tunnel ? "tunnel" : "gateway", text);
        return FRUN_E_SYNTAX;
    }
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        int fd = -1;
        err = listener_socket(&a, &bound, &fd, d);
        if (err) {
            return err;
        }
        err = worker_listen(g->shared.workers[i], fd, is_tunnel);
        if (err) {
            (void)close(fd);
            diag_set(d, "more than %d listening addresses", WORKER_MAX_LISTEN);
            return err;
        }
        a = bound; /* port 0 became a number: the others share it */
    }
    char shown[ADDR_TEXT_BYTES];
    addr_text(&bound, shown);
    log_info(NULL, "%s listens on %s", is_tunnel ? "tunnel" : "gateway", shown);
    return FRUN_OK;
}

/* Sockets that systemd holds: every worker accepts from the same one. */
static frun_err adopt(struct gateway *g, const int *fds, size_t n, bool is_tunnel, struct diag *d)
{
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < g->shared.n_workers; i++) {
            int fd = i == 0 ? fds[k] : fcntl(fds[k], F_DUPFD_CLOEXEC, 3);
            if (fd < 0 || worker_listen(g->shared.workers[i], fd, is_tunnel) != FRUN_OK) {
                diag_set(d, "a socket handed over by systemd cannot be used (errno %d)", errno);
                return FRUN_E_IO;
            }
        }
    }
    if (n) {
        log_info(NULL, "%s uses %zu socket(s) handed over by systemd",
                 is_tunnel ? "tunnel" : "gateway", n);
    }
    return FRUN_OK;
}

static bool has_fd(const int *fds, size_t n, int fd)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] == fd) {
            return true;
        }
    }
    return false;
}

static frun_err open_sockets(struct gateway *g, struct diag *d)
{
    const struct conf_gateway *c = g->conf->gateway;
    const struct conf_tunnel *t = g->conf->tunnel;
    int tunnel_fds[WORKER_MAX_LISTEN];
    int front_fds[WORKER_MAX_LISTEN];
    size_t n_tunnel = t ? service_sockets("tunnel", tunnel_fds, WORKER_MAX_LISTEN) : 0;
    size_t n_all = service_sockets(NULL, front_fds, WORKER_MAX_LISTEN);
    size_t n_front = 0;
    for (size_t i = 0; i < n_all; i++) {
        /* Whatever systemd names otherwise is a front door. */
        if (!has_fd(tunnel_fds, n_tunnel, front_fds[i])) {
            front_fds[n_front++] = front_fds[i];
        }
    }
    frun_err err = adopt(g, front_fds, n_front, false, d);
    for (size_t i = 0; !err && !n_front && i < c->listen.n; i++) {
        err = open_address(g, c->listen.items[i], false, d);
    }
    if (!err) {
        err = adopt(g, tunnel_fds, n_tunnel, true, d);
    }
    for (size_t i = 0; !err && t && !n_tunnel && i < t->listen.n; i++) {
        err = open_address(g, t->listen.items[i], true, d);
    }
    return err;
}

static void on_minute(struct deadline *d)
{
    struct gateway *g = list_entry(d, struct gateway, minute);
    if (g->shared.front_tls) {
        tls_turn_tickets(g->shared.front_tls, (int64_t)time(NULL));
    }
    deadline_set(g->loop, d, GATEWAY_MINUTE_MS);
}

/* [oauth] alone opens nothing: no pusher, no keys, no token endpoint. */
static bool uses_tokens(const struct conf_gw *c)
{
    bool is_used = false;
    for (size_t i = 0; c->oauth && i < c->n_pushers; i++) {
        is_used |= c->pushers[i]->ways & CONF_AUTH_OAUTH2 && c->pushers[i]->is_enabled;
    }
    return is_used;
}

frun_err gateway_new(struct conf_gw *conf, bool is_check, FILE *report, struct gateway **out,
                     struct diag *d)
{
    struct gateway *g = calloc(1, sizeof(*g));
    if (!g) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    g->conf = conf_gw_ref(conf);
    deadline_init(&g->minute, on_minute);
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        g->shared.has_direct |= conf->endpoints[i]->route == CONF_ROUTE_DIRECT;
    }
    fetch_start();
    frun_err err = load_files(g, report);
    if (err) {
        diag_set(d, "%s",
                 err == FRUN_E_NOMEM
                     ? err_text(err)
                     : "a certificate, key, CA or service key cannot be used; frunproxyd --check "
                       "tells which");
    }
    if (!err && uses_tokens(conf)) {
        err = keyring_new(conf, is_check, &g->keyring, d);
    }
    if (!err && !is_check) {
        err = loop_new(&g->loop);
        g->shared.main_loop = g->loop;
        if (!err) {
            err = make_workers(g);
        }
        if (err) {
            diag_set(d, "workers cannot be made: %s", err_text(err));
        } else {
            err = open_sockets(g, d);
        }
        err = err ? err : gateway_admin_open(g, d);
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
                 (unsigned long long)(g->conf->gateway->drain_timeout_ms / 1000));
        service_stopping();
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

static void on_hangup(void *arg)
{
    (void)arg;
    log_reopen();
    log_info(NULL, "log reopened; a changed configuration takes effect at the next start");
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
        err = service_watchdog_start(g->loop, are_workers_alive, g);
    }
    if (!err) {
        err = stapling_start(g->stapling, g->loop);
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
                       g->conf->n_endpoints, g->shared.n_workers);
        log_info(NULL, "frunproxyd %s: %s", FRUN_VERSION, status);
        service_ready(status);
        loop_run(g->loop);
    } else {
        for (size_t i = 0; i < g->n_running; i++) {
            worker_stop(g->shared.workers[i]);
        }
    }
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        worker_join(g->shared.workers[i]);
    }
    heap_watch_stop(&g->heap);
    service_watchdog_stop();
    log_info(NULL, "stopped");
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
    for (size_t i = 0; i < sh->n_workers; i++) {
        worker_free(sh->workers[i]);
    }
    quota_set_free(sh->quotas);
    free(sh->workers);
    free(sh->census);
    deadline_clear(&g->minute);
    keyring_free(g->keyring);
    loop_free(g->loop);
    stapling_free(g->stapling);
    registry_unref(&sh->registry);
    tls_unref(&sh->front_tls);
    tls_unref(&sh->tunnel_tls);
    conf_gw_unref(&g->conf);
    fetch_stop();
    free(g);
}
