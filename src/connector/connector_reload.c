/**
 * Another configuration while the connector runs.
 *
 * Everything is read and made before anything changes. Then access control and trust count for the
 * next request, also in tunnels that are open already. A membership that is the same keeps its
 * tunnels; one that has changed is dialled anew beside the old one, which finishes when the new one
 * stands (or could not be had in time); one that has gone finishes. What was made of the former
 * configuration is freed when its last request has ended and no dial can look at it any more. There
 * is a ceiling of such ones: a reload that would be above it waits, and is one with all that are
 * asked for meanwhile.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "connector_int.h"

#include "frun/base/log.h"
#include "frun/conf/diff.h"
#include "frun/conf/files.h"
#include "frun/connector/dialer.h"
#include "frun/loop/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** How long a changed membership may take to stand before the old one ends all the same,
 * milliseconds. */
#define REPLACE_MS 30000

/** Behind the last dial that may have begun with a former configuration, milliseconds. */
#define GRACE_MS 5000

/** How often former configurations are looked at, milliseconds. */
#define TICK_MS 500

/** How often the files of certificates are looked at, milliseconds; what has changed must stay the
 * same for so long. */
#define WATCH_MS 5000

/** A reload waits so long for one of too many former configurations to end, milliseconds: less than
 * frunctl waits for its answer. */
#define WAIT_MS 40000

/** How soon it is tried again what a commit had no memory for, milliseconds. */
#define MEND_MS 1000

/* A membership on its way out. */
struct leaving {
    struct list node;              /* in connector.leaving */
    struct subaccount *a;          /* it */
    struct connector_gen *gen;     /* whose texts it uses */
    const struct subaccount *next; /* what takes its place; NULL: nothing */
    uint64_t until_ms;             /* drained at the latest then */
    bool is_draining;
};

/* -- what a configuration is made into
 * -------------------------------------------------------------------------------------------------
 */

void connector_gen_free(struct connector_gen *g)
{
    if (!g) {
        return;
    }
    backends_free(g->backends);
    forward_env_done(&g->env);
    trust_free(g->own_trust);
    free(g->serials);
    conf_cn_unref(&g->conf);
    free(g);
}

/* Its name is what a mapping is counted by over the times. */
static unsigned serial_of(struct connector *c, const char *name)
{
    for (size_t i = 0; c->gen && i < c->gen->conf->n_mappings; i++) {
        if (strcmp(c->gen->conf->mappings[i]->place.name, name) == 0) {
            return c->gen->serials[i];
        }
    }
    return c->next_serial++;
}

frun_err connector_gen_new(struct connector *c, struct conf_cn *conf, const struct trust *t,
                           struct connector_gen **out)
{
    struct connector_gen *g = calloc(1, sizeof(*g));
    if (!g) {
        return FRUN_E_NOMEM;
    }
    list_init(&g->node);
    g->conf = conf_cn_ref(conf);
    g->trust = t;
    g->serials = calloc(conf->n_mappings + 1, sizeof(*g->serials));
    frun_err err =
        g->serials ? backends_new(c->loop, c->offload, conf, t, &g->backends) : FRUN_E_NOMEM;
    if (err) {
        connector_gen_free(g);
        return err;
    }
    for (size_t i = 0; i < conf->n_mappings; i++) {
        g->serials[i] = serial_of(c, conf->mappings[i]->place.name);
    }
    g->env = (struct forward_env){.serials = g->serials,
                                  .loop = c->loop,
                                  .conf = conf,
                                  .backends = g->backends,
                                  .windows = &c->windows,
                                  .meter = c->meter,
                                  .recent = &c->recent,
                                  .audit = c->audit,
                                  .usage = c->usage};
    *out = g;
    return FRUN_OK;
}

struct subaccount_settings connector_membership(struct connector *c, struct connector_gen *g,
                                                size_t i)
{
    return (struct subaccount_settings){
        .loop = c->loop,
        .offload = c->offload,
        .connector = g->conf->connector,
        .conf = g->conf->subaccounts[i],
        .tls = g->trust->subaccounts[i],
        .instance = c->instance,
        .env = &g->env,
        .on_change = connector_on_change,
        .ctx = c,
    };
}

/* -- what is on its way out
 * -------------------------------------------------------------------------------------------------
 */

static void end_leaving(struct leaving *x)
{
    list_remove(&x->node);
    x->gen->n_users--;
    subaccount_free(x->a);
    free(x);
}

static bool stands(const struct subaccount *a)
{
    struct subaccount_count n = {0};
    subaccount_count(a, &n);
    return n.open > 0 && n.open >= n.wanted;
}

static void look_at_leaving(struct connector *c, uint64_t now_ms)
{
    struct list *it;
    struct list *next;
    list_foreach_safe (it, next, &c->leaving) {
        struct leaving *x = list_entry(it, struct leaving, node);
        if (!x->is_draining && (!x->next || now_ms >= x->until_ms || stands(x->next))) {
            x->is_draining = true;
            subaccount_drain(x->a);
        }
        if (x->is_draining && subaccount_is_done(x->a)) {
            end_leaving(x);
        }
    }
}

static uint64_t grace_ms(const struct connector_gen *g)
{
    return g->conf->connector->connect_timeout_ms + DIALER_GREETING_MS + GRACE_MS;
}

static void look_at_former(struct connector *c, uint64_t now_ms)
{
    struct list *it;
    struct list *next;
    list_foreach_safe (it, next, &c->former) {
        struct connector_gen *g = list_entry(it, struct connector_gen, node);
        bool is_used = g->n_users || g->env.in_flight || g->env.n_lent;
        if (!is_used && now_ms - g->retired_ms > grace_ms(g)) {
            list_remove(&g->node);
            c->n_former--;
            connector_gen_free(g);
        }
    }
}

static bool is_full(const struct connector *c)
{
    return c->n_former >= CONNECTOR_MAX_FORMER;
}

static void change(struct connector *c, const char *cause, bool is_files_only);

static void look_at_wanted(struct connector *c, uint64_t now_ms)
{
    if (c->wanted_ms && (!is_full(c) || now_ms - c->wanted_ms > WAIT_MS)) {
        c->wanted_ms = 0;
        change(c, c->wanted, false);
    }
}

static void on_tick(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, tick);
    uint64_t now_ms = loop_now_ms(c->loop);
    look_at_leaving(c, now_ms);
    look_at_former(c, now_ms);
    if (!list_is_empty(&c->leaving) || !list_is_empty(&c->former)) {
        deadline_set(c->loop, d, TICK_MS);
    }
    look_at_wanted(c, now_ms);
    if (c->is_draining) {
        connector_on_change(c);
    }
}

/* -- what is in use, and needs memory
 * -------------------------------------------------------------------------------------------------
 */

static bool lacks_log(const struct connector *c)
{
    struct diag d = {.text = ""};
    frun_err err = log_change(&c->gen->conf->log->settings, &d);
    if (err && err != FRUN_E_NOMEM) {
        log_error("reload", "%s; the log goes on where it went", d.text);
    }
    return err == FRUN_E_NOMEM;
}

static bool lacks_web(const struct connector *c)
{
    return admin_web_use(c->web, c->gen->trust->door) != FRUN_OK;
}

static void on_mend(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, mend);
    c->owes_log = c->owes_log && lacks_log(c);
    c->owes_web = c->owes_web && lacks_web(c);
    if (c->owes_log || c->owes_web) {
        deadline_set(c->loop, d, MEND_MS);
    }
}

static void use_rest(struct connector *c)
{
    c->owes_log = lacks_log(c);
    c->owes_web = lacks_web(c);
    if (c->owes_log) {
        log_error("reload", "no memory or threads: the log goes on where it went; tried again "
                            "every second");
    }
    if (c->owes_web) {
        log_error("reload", "no memory or threads: the status page keeps its former login and "
                            "TLS; tried again every second");
    }
    deadline_set(c->loop, &c->mend, MEND_MS);
}

/* -- life
 * -------------------------------------------------------------------------------------------------
 */

void connector_reload_init(struct connector *c)
{
    list_init(&c->leaving);
    list_init(&c->former);
    deadline_init(&c->tick, on_tick);
    deadline_init(&c->mend, on_mend);
    deadline_init(&c->watch, NULL);
}

void connector_reload_done(struct connector *c)
{
    deadline_clear(&c->tick);
    deadline_clear(&c->mend);
    deadline_clear(&c->watch);
    for (struct list *it; (it = list_first(&c->leaving)) != NULL;) {
        end_leaving(list_entry(it, struct leaving, node));
    }
    admin_reloading_done(&c->told);
}

void connector_reload_drain(struct connector *c)
{
    struct list *it;
    c->wanted_ms = 0;
    admin_reloading_done(&c->told); /* who waits for it need not wait for the drain */
    list_foreach (it, &c->leaving) {
        struct leaving *x = list_entry(it, struct leaving, node);
        if (!x->is_draining) {
            x->is_draining = true;
            subaccount_drain(x->a);
        }
    }
}

/* -- the change
 * -------------------------------------------------------------------------------------------------
 */

/* What is made before anything changes. */
struct plan {
    struct conf_cn *conf;
    uint64_t files; /* what they look like when they are read */
    struct trust *trust;
    struct connector_gen *gen;
    struct subaccount **subaccounts; /* made; NULL: the old one stays */
    struct leaving **leaving;        /* room for each old one */
    size_t n_old;
};

static size_t find(const struct conf_cn *c, const char *name)
{
    size_t i = 0;
    while (i < c->n_subaccounts && strcmp(c->subaccounts[i]->place.name, name) != 0) {
        i++;
    }
    return i;
}

static bool is_same(const struct connector_gen *old, size_t k, const struct connector_gen *now,
                    size_t i)
{
    const struct tls_ctx *a = old->trust->subaccounts[k];
    const struct tls_ctx *b = now->trust->subaccounts[i];
    return conf_is_same(old->conf->subaccounts[k], now->conf->subaccounts[i]) &&
           old->conf->connector->tunnels == now->conf->connector->tunnels &&
           tls_is_same_client(a, b);
}

static frun_err plan_memberships(struct connector *c, struct plan *p)
{
    p->n_old = c->n_subaccounts;
    p->subaccounts = calloc(p->conf->n_subaccounts + 1, sizeof(struct subaccount *));
    p->leaving = calloc(p->n_old + 1, sizeof(struct leaving *));
    if (!p->subaccounts || !p->leaving) {
        return FRUN_E_NOMEM;
    }
    for (size_t k = 0; k < p->n_old; k++) {
        p->leaving[k] = calloc(1, sizeof(struct leaving));
        if (!p->leaving[k]) {
            return FRUN_E_NOMEM;
        }
    }
    frun_err err = FRUN_OK;
    for (size_t i = 0; !err && i < p->conf->n_subaccounts; i++) {
        size_t k = find(c->gen->conf, p->conf->subaccounts[i]->place.name);
        if (k == p->n_old || !is_same(c->gen, k, p->gen, i)) {
            struct subaccount_settings s = connector_membership(c, p->gen, i);
            err = subaccount_new(&s, &p->subaccounts[i]);
        }
    }
    return err;
}

static frun_err prepare(struct connector *c, bool is_files_only, FILE *report, struct plan *p,
                        struct diag *d)
{
    if (is_full(c)) {
        diag_set(d, "too many former configurations have requests under way; try again later");
        return FRUN_E_LIMIT;
    }
    frun_err err = FRUN_OK;
    if (is_files_only) {
        p->conf = conf_cn_ref(c->gen->conf);
    } else {
        err = conf_cn_load(c->gen->conf->connector->place.file, report, &p->conf);
    }
    diag_set(d, "the file is not in order");
    if (!err) {
        p->files = conf_files_look(p->conf->doc);
        err = admin_reloading_compare(&c->told, c->first->doc, c->gen->conf->doc, p->conf->doc);
        err = err ? err : log_check(&p->conf->log->settings, d);
    }
    if (!err) {
        err = trust_load(p->conf, c->gen->trust, report, &p->trust);
        diag_set(d, "a certificate, key or CA cannot be used");
    }
    err = err ? err : connector_gen_new(c, p->conf, p->trust, &p->gen);
    if (!err) {
        p->gen->own_trust = p->trust;
        p->trust = NULL;
    }
    return err ? err : plan_memberships(c, p);
}

static void leave(struct connector *c, struct plan *p, size_t k, const struct subaccount *next)
{
    struct leaving *x = p->leaving[k];
    p->leaving[k] = NULL;
    *x = (struct leaving){.a = c->subaccounts[k],
                          .gen = c->gen,
                          .next = next,
                          .until_ms = loop_now_ms(c->loop) + REPLACE_MS};
    c->gen->n_users++;
    subaccount_set_env(x->a, &p->gen->env);
    list_append(&c->leaving, &x->node);
}

/* Whoever waits for one that leaves itself waits for what comes behind it. */
static void forget_successor(struct connector *c, const struct subaccount *gone,
                             const struct subaccount *next)
{
    struct list *it;
    list_foreach (it, &c->leaving) {
        struct leaving *x = list_entry(it, struct leaving, node);
        x->next = x->next == gone ? next : x->next;
        subaccount_set_env(x->a, &c->gen->env);
    }
}

static void commit(struct connector *c, struct plan *p)
{
    struct connector_gen *old = c->gen;
    for (size_t k = 0; k < p->n_old; k++) {
        size_t i = find(p->conf, old->conf->subaccounts[k]->place.name);
        bool is_kept = i < p->conf->n_subaccounts && !p->subaccounts[i];
        if (is_kept) {
            struct subaccount_settings s = connector_membership(c, p->gen, i);
            p->subaccounts[i] = c->subaccounts[k];
            subaccount_update(p->subaccounts[i], &s);
            continue;
        }
        const struct subaccount *next = i < p->conf->n_subaccounts ? p->subaccounts[i] : NULL;
        const struct subaccount *gone = c->subaccounts[k];
        leave(c, p, k, next);
        forget_successor(c, gone, next);
    }
    free(c->subaccounts);
    c->subaccounts = p->subaccounts;
    c->n_subaccounts = p->conf->n_subaccounts;
    p->subaccounts = NULL;
    c->gen = p->gen;
    c->files = p->files;
    p->gen = NULL;
    use_rest(c);
    forget_successor(c, NULL, NULL);
    old->retired_ms = loop_now_ms(c->loop);
    list_append(&c->former, &old->node);
    c->n_former++;
    deadline_set(c->loop, &c->tick, 1);
}

static void drop(struct plan *p)
{
    for (size_t i = 0; p->subaccounts && i < p->conf->n_subaccounts; i++) {
        subaccount_free(p->subaccounts[i]);
    }
    for (size_t k = 0; p->leaving && k < p->n_old; k++) {
        free(p->leaving[k]);
    }
    free(p->subaccounts);
    free(p->leaving);
    connector_gen_free(p->gen);
    trust_free(p->trust);
    conf_cn_unref(&p->conf);
}

static void change(struct connector *c, const char *cause, bool is_files_only)
{
    struct plan p = {0};
    struct diag d = {.text = ""};
    uint64_t begun_ms = mono_now_ms();
    service_reloading();
    log_info("reload", "%s: reading %s", cause,
             is_files_only ? "certificates, keys and CAs again"
                           : c->gen->conf->connector->place.file);
    c->told.audit = c->audit;
    FILE *report = admin_reloading_begin(&c->told);
    frun_err err = report ? prepare(c, is_files_only, report, &p, &d) : FRUN_E_NOMEM;
    if (!err) {
        audit_set_level(c->audit, p.conf->audit->level);
        commit(c, &p);
    }
    drop(&p);
    c->is_refused = err != FRUN_OK;
    admin_reloading_end(&c->told, cause,
                        !err                  ? NULL
                        : err == FRUN_E_NOMEM ? err_text(err)
                                              : d.text,
                        mono_now_ms() - begun_ms);
    service_reloaded();
    connector_on_change(c);
}

void connector_reload(struct connector *c, const char *cause)
{
    if (c->is_draining) {
        return;
    }
    if (!is_full(c) && !c->wanted_ms) {
        change(c, cause, false);
        return;
    }
    (void)snprintf(c->wanted, sizeof(c->wanted), "%s", cause);
    if (!c->wanted_ms) {
        log_info("reload", "%s: waits for one of %zu former configurations to end", cause,
                 c->n_former);
        c->wanted_ms = loop_now_ms(c->loop);
    }
}

/* What is being written looks different at each look: only what stays the same is read, once. */
static void on_watch(struct deadline *d)
{
    struct connector *c = list_entry(d, struct connector, watch);
    const struct conf_cn *conf = c->gen->conf;
    deadline_set(c->loop, d, WATCH_MS);
    if (!conf->connector->auto_reload_certificates || c->is_draining || is_full(c)) {
        return;
    }
    uint64_t now = conf_files_look(conf->doc);
    bool is_settled = now == c->changed;
    c->changed = now;
    if (now != c->files && is_settled) {
        c->files = now;
        change(c, "changed files", true);
    }
}

void connector_watch(struct connector *c)
{
    c->files = conf_files_look(c->gen->conf->doc);
    deadline_init(&c->watch, on_watch);
    deadline_set(c->loop, &c->watch, WATCH_MS);
}

void connector_preview(struct connector *c, struct admin_request *q)
{
    struct admin_reloading x = {0};
    struct conf_cn *conf = NULL;
    FILE *report = admin_reloading_begin(&x);
    frun_err err =
        report ? conf_cn_load(c->gen->conf->connector->place.file, report, &conf) : FRUN_E_NOMEM;
    if (!err) {
        err = admin_reloading_compare(&x, c->first->doc, c->gen->conf->doc, conf->doc);
    }
    admin_reloading_preview(&x, q, err == FRUN_OK);
    conf_cn_unref(&conf);
}
