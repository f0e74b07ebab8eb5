/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/connector.h"

#include "connector_int.h"
#include "frun/base/log.h"
#include "frun/base/text.h"
#include "frun/loop/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/** Helper threads for name resolution, and how many names may wait. */
enum { RESOLVER_THREADS = 2, RESOLVER_QUEUE = 1024 };

size_t connector_in_flight(const struct connector *c)
{
    size_t n = c->gen->env.in_flight;
    struct list *it;
    list_foreach (it, &c->former) {
        n += list_entry(it, struct connector_gen, node)->env.in_flight;
    }
    return n;
}

static void show_status(struct connector *c)
{
    struct subaccount_count n = {0};
    char text[128];
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        subaccount_count(c->subaccounts[i], &n);
    }
    if (n.open == c->shown.open && n.wanted == c->shown.wanted && n.draining == c->shown.draining &&
        c->is_refused == c->is_refused_shown) {
        return;
    }
    c->shown = n;
    c->is_refused_shown = c->is_refused;
    if (c->is_draining) {
        (void)snprintf(text, sizeof(text), "draining, %zu requests in flight",
                       connector_in_flight(c));
    } else {
        (void)snprintf(text, sizeof(text), "%zu of %zu tunnels open%s", n.open, n.wanted,
                       c->is_refused ? "; the last reload was refused, see the log" : "");
    }
    service_status(text);
}

void connector_on_change(void *ctx)
{
    struct connector *c = ctx;
    bool is_done = c->is_draining && list_is_empty(&c->leaving);
    show_status(c);
    for (size_t i = 0; is_done && i < c->n_subaccounts; i++) {
        is_done = subaccount_is_done(c->subaccounts[i]);
    }
    if (is_done) {
        loop_stop(c->loop);
    }
}

static void on_drain_over(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, drain);
    c->is_cut_short = true;
    log_warning(NULL, "drain_timeout is over with %zu requests in flight, stopping now",
                connector_in_flight(c));
    loop_stop(c->loop);
}

void connector_stop(struct connector *c)
{
    if (c->is_draining) {
        c->is_cut_short = true;
        log_warning(NULL, "second signal, stopping now with %zu requests in flight",
                    connector_in_flight(c));
        loop_stop(c->loop);
        return;
    }
    c->is_draining = true;
    log_info(NULL, "stopping: %zu requests in flight may finish within %.0f s",
             connector_in_flight(c), (double)c->gen->conf->connector->drain_timeout_ms / 1000.0);
    service_stopping();
    uint64_t drain_ms = c->gen->conf->connector->drain_timeout_ms;
    deadline_set(c->loop, &c->drain, drain_ms ? drain_ms : 1);
    connector_reload_drain(c);
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        subaccount_drain(c->subaccounts[i]);
    }
    connector_on_change(c);
}

static void on_stop_signal(void *arg)
{
    connector_stop(arg);
}

static void on_reopen(void *arg)
{
    (void)arg;
    log_reopen();
}

static void on_hangup(void *arg)
{
    log_reopen();
    connector_reload(arg, "SIGHUP");
}

static frun_err open_subaccounts(struct connector *c)
{
    size_t n = c->gen->conf->n_subaccounts;
    c->subaccounts = calloc(n + 1, sizeof(struct subaccount *));
    if (!c->subaccounts) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        struct subaccount_settings s = connector_membership(c, c->gen, i);
        frun_err err = subaccount_new(&s, &c->subaccounts[i]);
        if (err) {
            return err;
        }
        c->n_subaccounts++;
    }
    return FRUN_OK;
}

frun_err connector_open(struct connector *c, struct conf_cn *conf, const struct trust *t,
                        struct diag *d)
{
    c->first = conf;
    unsigned char entropy[(PTTH_INSTANCE_BYTES - 1) / 2];
    mono_entropy(entropy, sizeof(entropy));
    text_hex(span_make(entropy, sizeof(entropy)), c->instance);
    deadline_init(&c->drain, on_drain_over);
    connector_reload_init(c);
    frun_err err = loop_new(&c->loop);
    if (!err) {
        err = offload_new(RESOLVER_THREADS, RESOLVER_QUEUE, &c->offload);
    }
    if (!err) {
        err = meter_new(1, &c->meter);
    }
    if (!err) {
        err = audit_open(conf->audit, &c->audit, d);
    }
    if (!err) {
        err = usage_new(&c->usage);
    }
    if (!err) {
        c->windows.all_bytes = (size_t)conf->connector->window_memory;
        c->windows.left_bytes = c->windows.all_bytes;
        err = connector_gen_new(c, conf, t, &c->gen);
    }
    if (!err) {
        err = connector_admin_open(c, d);
    }
    if (!err) {
        err = open_subaccounts(c);
    }
    if (!err) {
        err = loop_on_signal(c->loop, SIGTERM, on_stop_signal, c);
    }
    if (!err) {
        err = loop_on_signal(c->loop, SIGINT, on_stop_signal, c);
    }
    if (!err) {
        err = loop_on_signal(c->loop, SIGHUP, on_hangup, c);
    }
    if (!err) {
        err = loop_on_signal(c->loop, SIGUSR1, on_reopen, c);
    }
    if (!err) {
        err = service_watchdog_start(c->loop, NULL, NULL);
    }
    if (!err) {
        heap_watch_start(&c->heap, c->loop);
    }
    return err;
}

/* Tunnels first: what they carry then lets go of the back ends. */
void connector_close(struct connector *c)
{
    struct list *it;
    list_foreach (it, &c->former) {
        list_entry(it, struct connector_gen, node)->env.is_closing = true;
    }
    if (c->gen) {
        c->gen->env.is_closing = true;
        list_append(&c->former, &c->gen->node);
    }
    service_watchdog_stop();
    connector_reload_done(c);
    connector_admin_close(c);
    heap_watch_stop(&c->heap);
    deadline_clear(&c->drain);
    for (size_t i = 0; i < c->n_subaccounts; i++) {
        subaccount_free(c->subaccounts[i]);
    }
    list_foreach (it, &c->former) {
        struct connector_gen *g = list_entry(it, struct connector_gen, node);
        backends_free(g->backends);
        g->backends = NULL;
    }
    offload_free(c->offload);
    loop_free(c->loop);
    while ((it = list_first(&c->former))) {
        list_remove(it);
        connector_gen_free(list_entry(it, struct connector_gen, node));
    }
    meter_free(c->meter);
    audit_free(c->audit);
    usage_free(c->usage);
    free(c->subaccounts);
}

static void warn_of_trust(const struct conf_cn *conf)
{
    for (size_t i = 0; i < conf->n_mappings; i++) {
        const struct conf_mapping *m = conf->mappings[i];
        if (m->protocol == 0 && !m->backend_ca) {
            log_warning(NULL,
                        "[system %s] has no backend_ca: no certificate of it is trusted, requests "
                        "to it are answered with 502",
                        m->place.name);
        }
    }
}

frun_err connector_run(struct conf_cn *conf, const struct trust *t, struct diag *d)
{
    struct connector c = {.first = NULL};
    struct diag why = {.text = ""};
    frun_err err = connector_open(&c, conf, t, &why);
    if (err) {
        diag_set(d, "the connector cannot start: %s", why.text[0] ? why.text : err_text(err));
    } else {
        log_info(NULL, "frunconnector %s \"%s\" runs, instance %s", FRUN_VERSION,
                 conf->connector->name, c.instance);
        audit_tell(c.audit, &(struct audit_event){.name = "daemon.started",
                                                  .outcome = "ok",
                                                  .object = SPAN_LIT("frunconnector"),
                                                  .detail = SPAN_LIT(FRUN_VERSION)});
        warn_of_trust(conf);
        connector_watch(&c);
        service_ready("no tunnel open yet");
        connector_on_change(&c);
        loop_run(c.loop);
        audit_tell(c.audit, &(struct audit_event){.name = "daemon.stopped",
                                                  .outcome = "ok",
                                                  .object = SPAN_LIT("frunconnector")});
    }
    connector_close(&c);
    if (!err) {
        log_info(NULL, "ended%s", c.is_cut_short ? ", the drain was cut short" : "");
    }
    return err;
}
