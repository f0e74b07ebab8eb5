/**
 * Another configuration while the gateway runs.
 *
 *     idle --> reading, preparing on main --> workers prepare --> commit --> idle
 *                       \-- wrong: kept <--------- abort <--/
 *
 * Everything that can fail is done before anything changes; what comes behind cannot fail, only
 * wait for memory. One change at a time: who asks meanwhile gets the next one. Main never waits for
 * a worker: one that does not turn for RELOAD_PATIENCE_MS makes a change be given up, or, if it has
 * been put into force, takes it over when it turns again; who asked is told, and until then nothing
 * else is begun.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_int.h"

#include "frun/admin/reloading.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/conf/files.h"
#include "frun/loop/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Main looks by itself after this time, in case there was no memory for mail; milliseconds. */
#define RELOAD_LOOK_MS 200

/** Who asked is answered after this time of waiting for workers that do not turn, milliseconds. */
#define RELOAD_PATIENCE_MS 5000

/** How often the files of certificates are looked at, milliseconds; what has changed must stay the
 * same for so long. */
#define RELOAD_WATCH_MS 5000

/** How soon it is tried again what a commit had no memory for, milliseconds. */
#define RELOAD_MEND_MS 1000

/** Octets of what for. */
#define RELOAD_WHY_BYTES 128

enum phase {
    PHASE_IDLE,    /* nothing to do */
    PHASE_PREPARE, /* the workers prepare */
    PHASE_COMMIT,  /* the workers change over */
    PHASE_ABORT    /* the workers drop what they prepared */
};

struct reload {
    struct gateway *g;
    enum phase phase;
    bool is_wanted;  /* again, when this one has ended */
    bool is_stopped; /* nothing more */
    char why[RELOAD_WHY_BYTES];
    char next_why[RELOAD_WHY_BYTES]; /* with is_wanted */
    uint64_t begun_ms;
    uint64_t phase_ms;       /* when this phase began */
    bool is_told;            /* who asked has been answered */
    struct conf_gw *started; /* what keys that need a restart are compared with */
    struct admin_reloading told;
    char kept[sizeof(((struct diag *)NULL)->text)]; /* why; "": it is not */
    struct generation *gen;                         /* what is being prepared; counted */
    struct keyring *keyring;
    struct stapling *stapling;
    struct health *health;
    struct sockets sockets;
    struct worker_change *changes; /* one for each worker, while there is a change */
    bool *is_posted;               /* the job of this phase is with the worker */
    struct deadline look;
    struct deadline watch;
    struct deadline mend;
    bool owes_log;           /* memory was refused for it, as for the next ones */
    bool owes_web;           /* the status page has its former door */
    bool owes_stapling;      /* nobody fetches OCSP responses */
    bool owes_issuers;       /* nobody fetches new issuers' keys */
    struct stapling *former; /* to be freed; its mail may be on its way */
    bool is_files_only;      /* the configuration is the one in use, only its files are read */
    uint64_t files;          /* what they looked like when they were read */
    uint64_t next_files;     /* the same for what is being prepared */
    uint64_t changed;        /* what they looked like last, if different */
};

static void look(struct reload *r);

static void on_step(void *arg)
{
    look(arg);
}

static void on_look(struct deadline *d);

/* -- preparing
 * -------------------------------------------------------------------------------------------------
 */

/* What was prepared and is not used. */
static void drop(struct reload *r)
{
    struct gateway_shared *sh = &r->g->shared;
    for (size_t i = 0; r->changes && i < sh->n_workers; i++) {
        struct worker_change *c = &r->changes[i];
        for (size_t k = 0; k < c->n_add; k++) {
            if (c->add[k].fd >= 0) {
                (void)close(c->add[k].fd);
            }
        }
        generation_unref(&c->gen);
    }
    free(r->changes);
    free(r->is_posted);
    r->changes = NULL;
    r->is_posted = NULL;
    generation_unref(&r->gen);
    keyring_free(r->keyring);
    r->keyring = NULL;
    stapling_free(r->stapling);
    r->stapling = NULL;
    health_free(r->health);
    r->health = NULL;
}

static frun_err make_changes(struct reload *r, struct diag *d)
{
    struct gateway_shared *sh = &r->g->shared;
    r->changes = calloc(sh->n_workers, sizeof(*r->changes));
    r->is_posted = calloc(sh->n_workers, sizeof(*r->is_posted));
    if (!r->changes || !r->is_posted) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < sh->n_workers; i++) {
        struct worker_change *c = &r->changes[i];
        c->w = sh->workers[i];
        c->gen = generation_ref(r->gen);
        atomic_init(&c->state, WORKER_CHANGE_NEW);
        c->on_step = on_step;
        c->arg = r;
    }
    return sockets_plan(&r->g->sockets, sh, r->gen->conf, r->changes, &r->sockets, d);
}

static frun_err prepare(struct reload *r, FILE *report, struct diag *d)
{
    struct gateway *g = r->g;
    struct conf_gw *conf = NULL;
    frun_err err = FRUN_OK;
    if (r->is_files_only) {
        conf = conf_gw_ref(g->gen->conf);
    } else {
        err = conf_gw_load(g->path, report, &conf);
    }
    if (err) {
        diag_set(d, "the file is not in order");
        return err;
    }
    r->next_files = conf_files_look(conf->doc);
    err = admin_reloading_compare(&r->told, r->started->doc, g->gen->conf->doc, conf->doc);
    err = err ? err : log_check(&conf->log->settings, d);
    if (!err) {
        err = generation_new(conf, g->gen, &g->shared, report, &r->gen);
        if (err) {
            diag_set(d, "a certificate, key, CA or service key cannot be used");
        }
    }
    if (!err) {
        err = stapling_new(conf, r->gen->front_tls, r->gen->registry, g->stapling, report,
                           &r->stapling);
    }
    if (!err && gateway_uses_tokens(conf)) {
        err = keyring_new(conf, false, &r->keyring, d);
    }
    err = err ? err : health_new(&g->shared, r->gen, &r->health);
    err = err ? err : gateway_open_office(&g->shared, r->gen);
    err = err ? err : make_changes(r, d);
    conf_gw_unref(&conf);
    return err;
}

/* -- the steps
 * -------------------------------------------------------------------------------------------------
 */

static void keep(struct reload *r, const char *why)
{
    (void)snprintf(r->kept, sizeof(r->kept), "%s", why[0] ? why : "it cannot be used");
}

static void enter(struct reload *r, enum phase phase)
{
    r->phase = phase;
    r->phase_ms = mono_now_ms();
    for (size_t i = 0; i < r->g->shared.n_workers; i++) {
        r->is_posted[i] = false;
    }
}

/* For systemctl status: that a reload was refused stays there until one is not. */
static void show_status(const struct reload *r)
{
    const struct gateway *g = r->g;
    char status[128 + sizeof(r->kept)];
    (void)snprintf(status, sizeof(status), "serving %zu endpoint(s) with %zu worker(s)%s%s",
                   g->gen->conf->n_endpoints, g->shared.n_workers,
                   r->kept[0] ? "; the last reload was refused: " : "", r->kept);
    service_status(status);
}

static void tell(struct reload *r)
{
    if (!r->is_told) {
        r->is_told = true;
        show_status(r);
        admin_reloading_end(&r->told, r->why, r->kept[0] ? r->kept : NULL,
                            mono_now_ms() - r->begun_ms);
        service_reloaded();
    }
}

static void finish(struct reload *r)
{
    r->phase = PHASE_IDLE;
    deadline_clear(&r->look);
    drop(r);
    tell(r);
    if (r->is_wanted && !r->is_stopped) {
        deadline_set(r->g->loop, &r->look, 1);
    }
}

/* -- what is in use, and needs memory; true: not now
 * ------------------------------------------------------------------------------------------------
 */

static bool lacks_log(const struct reload *r)
{
    struct diag d = {.text = ""};
    frun_err err = log_change(&r->g->gen->conf->log->settings, &d);
    if (err && err != FRUN_E_NOMEM) {
        log_error("reload", "%s; the log goes on where it went", d.text);
    }
    return err == FRUN_E_NOMEM;
}

static bool lacks_web(const struct reload *r)
{
    return admin_web_use(r->g->web, r->g->gen->door) != FRUN_OK;
}

static bool lacks_stapling(const struct reload *r)
{
    return stapling_start(r->g->stapling, r->g->loop) != FRUN_OK;
}

/* Issuers that are the same go on with their keys; the keys of new ones are fetched now. */
static bool lacks_issuers(const struct reload *r)
{
    return issuer_keys_follow(r->g->issuer_keys, r->g->gen->registry) != FRUN_OK;
}

/* True: something is still owed. */
static bool mend(struct reload *r)
{
    stapling_free(r->former);
    r->former = NULL;
    r->owes_log = r->owes_log && lacks_log(r);
    r->owes_web = r->owes_web && lacks_web(r);
    r->owes_stapling = r->owes_stapling && lacks_stapling(r);
    r->owes_issuers = r->owes_issuers && lacks_issuers(r);
    return r->owes_log || r->owes_web || r->owes_stapling || r->owes_issuers;
}

static void on_mend(struct deadline *d)
{
    struct reload *r = list_entry(d, struct reload, mend);
    if (mend(r)) {
        deadline_set(r->g->loop, d, RELOAD_MEND_MS);
    }
}

static void tell_owed(const struct reload *r)
{
    const struct {
        bool is_owed;
        const char *what;
    } all[] = {
        {r->owes_log, "the log goes on where it went"},
        {r->owes_web, "the status page keeps its former login and TLS"},
        {r->owes_stapling, "no OCSP responses are fetched"},
        {r->owes_issuers, "no keys of new issuers are fetched"},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].is_owed) {
            log_error("reload", "no memory or threads: %s; tried again every second", all[i].what);
        }
    }
}

/* Its helpers have ended; what they sent is on its way to this loop. */
static void use_stapling(struct reload *r)
{
    struct gateway *g = r->g;
    stapling_free(r->former);
    r->former = g->stapling;
    g->stapling = r->stapling;
    r->stapling = NULL;
    stapling_stop(r->former);
}

static void use_keyring(struct reload *r)
{
    struct gateway *g = r->g;
    struct keyring *old = g->keyring;
    g->keyring = r->keyring;
    r->keyring = NULL;
    if (g->keyring) {
        keyring_replace(g->keyring, g->loop, &g->shared, old);
        keyring_free(old);
    } else {
        keyring_end(old);
    }
}

/* From here on there is no way back, and nothing that could fail for good. */
static void commit(struct reload *r)
{
    struct gateway *g = r->g;
    struct generation *old = g->gen;
    generation_follow(r->gen, old);
    g->gen = generation_ref(r->gen);
    switchover_use(g->switchover, g->gen->registry);
    g->sockets = r->sockets;
    r->files = r->next_files;
    audit_set_level(g->shared.audit, r->gen->conf->audit->level);
    generation_apply(g->gen);
    health_follow(&g->health, &r->health);
    use_keyring(r);
    use_stapling(r);
    r->owes_log = lacks_log(r);
    r->owes_web = lacks_web(r);
    r->owes_stapling = lacks_stapling(r);
    r->owes_issuers = lacks_issuers(r);
    tell_owed(r);
    deadline_set(g->loop, &r->mend, RELOAD_MEND_MS);
    generation_unref(&old);
    enter(r, PHASE_COMMIT);
}

/* Once it has been told to prepare, the change is the worker's until it has. */
static bool is_with_worker(const struct reload *r, const struct worker_change *c, int state)
{
    bool is_new = state == WORKER_CHANGE_NEW;
    return r->phase == PHASE_PREPARE ? is_new
                                     : state == WORKER_CHANGE_PREPARED || (is_new && c->is_asked);
}

/* Give every worker the job of this phase; true: all have finished it. */
static bool run_phase(struct reload *r, loop_job_fn job, bool *is_failed)
{
    bool is_over = true;
    for (size_t i = 0; i < r->g->shared.n_workers; i++) {
        struct worker_change *c = &r->changes[i];
        int state = atomic_load(&c->state);
        if (!r->is_posted[i] && (r->phase == PHASE_PREPARE || state == WORKER_CHANGE_PREPARED)) {
            r->is_posted[i] = loop_post(c->w->loop, job, c) == FRUN_OK;
            c->is_asked |= r->is_posted[i];
            is_over = false;
            continue;
        }
        is_over &= !is_with_worker(r, c, state);
        *is_failed |= state == WORKER_CHANGE_FAILED;
    }
    return is_over;
}

static void tell_failed(struct reload *r)
{
    frun_err err = FRUN_OK;
    for (size_t i = 0; i < r->g->shared.n_workers && err != FRUN_E_NOMEM; i++) {
        err = r->changes[i].err ? r->changes[i].err : err;
    }
    char text[sizeof(r->kept)];
    (void)snprintf(text, sizeof(text), "a worker could not prepare for it: %s", err_text(err));
    keep(r, text);
}

/* The first that keeps us waiting. */
static size_t find_slow(const struct reload *r)
{
    size_t i = 0;
    while (i + 1 < r->g->shared.n_workers &&
           !is_with_worker(r, &r->changes[i], atomic_load(&r->changes[i].state))) {
        i++;
    }
    return i;
}

static void lose_patience(struct reload *r)
{
    size_t i = find_slow(r);
    bool unused = false;
    char text[sizeof(r->kept)];
    if (r->phase == PHASE_COMMIT) {
        log_error("reload",
                  "worker %zu has not turned for %d s: it goes on with the former configuration "
                  "until it does",
                  i, RELOAD_PATIENCE_MS / 1000);
        tell(r);
    } else if (r->phase == PHASE_PREPARE) {
        (void)snprintf(text, sizeof(text),
                       "worker %zu has not turned for %d s; if it never does, restart the daemon",
                       i, RELOAD_PATIENCE_MS / 1000);
        keep(r, text);
        enter(r, PHASE_ABORT);
        (void)run_phase(r, worker_abort, &unused);
        tell(r);
    }
}

/* Nothing can be begun while a worker has not come to the end of the change before. */
static void refuse(struct reload *r, const char *cause)
{
    char text[sizeof(r->kept)];
    (void)snprintf(text, sizeof(text),
                   "worker %zu does not turn, and has not come to the end of the reload before; if "
                   "it never does, restart the daemon",
                   find_slow(r));
    (void)admin_reloading_begin(&r->told);
    admin_reloading_end(&r->told, cause, text, 0);
}

static void look(struct reload *r)
{
    bool is_failed = false;
    if (r->is_stopped || r->phase == PHASE_IDLE) {
        return;
    }
    deadline_set(r->g->loop, &r->look, RELOAD_LOOK_MS);
    if (r->phase == PHASE_PREPARE && run_phase(r, worker_prepare, &is_failed)) {
        if (is_failed) {
            tell_failed(r);
            enter(r, PHASE_ABORT);
        } else {
            commit(r);
        }
    }
    if ((r->phase == PHASE_COMMIT && run_phase(r, worker_commit, &is_failed)) ||
        (r->phase == PHASE_ABORT && run_phase(r, worker_abort, &is_failed))) {
        finish(r);
    } else if (!r->is_told && mono_now_ms() - r->phase_ms > RELOAD_PATIENCE_MS) {
        lose_patience(r);
    }
}

static void begin(struct reload *r, const char *why, bool is_files_only)
{
    if (r->is_stopped) {
        admin_reloading_done(&r->told);
        return;
    }
    if (r->phase != PHASE_IDLE && r->is_told) {
        refuse(r, why);
        return;
    }
    if (r->phase != PHASE_IDLE) {
        (void)snprintf(r->next_why, sizeof(r->next_why), "%s", why);
        r->is_wanted = true;
        return;
    }
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
    r->is_files_only = is_files_only;
    struct diag d = {.text = ""};
    r->told.audit = r->g->shared.audit;
    FILE *report = admin_reloading_begin(&r->told);
    r->begun_ms = mono_now_ms();
    r->kept[0] = '\0';
    r->is_told = false;
    service_reloading();
    log_info("reload", "%s: reading %s", r->why,
             is_files_only ? "certificates, keys and CAs again" : r->g->path);
    frun_err err = report ? prepare(r, report, &d) : FRUN_E_NOMEM;
    if (err) {
        keep(r, err == FRUN_E_NOMEM ? err_text(err) : d.text);
        finish(r);
        return;
    }
    enter(r, PHASE_PREPARE);
    look(r);
}

/* -- life
 * -------------------------------------------------------------------------------------------------
 */

static void on_look(struct deadline *d)
{
    struct reload *r = list_entry(d, struct reload, look);
    if (r->phase == PHASE_IDLE && r->is_wanted) {
        r->is_wanted = false;
        begin(r, r->next_why, false);
    } else {
        look(r);
    }
}

void reload_begin(struct reload *r, const char *why)
{
    begin(r, why, false);
}

/* What is being written looks different at each look: only what stays the same is read, once. */
static void on_watch(struct deadline *d)
{
    struct reload *r = list_entry(d, struct reload, watch);
    const struct conf_gw *conf = r->g->gen->conf;
    deadline_set(r->g->loop, d, RELOAD_WATCH_MS);
    if (!conf->gateway->auto_reload_certificates || r->phase != PHASE_IDLE || r->is_stopped) {
        return;
    }
    uint64_t now = conf_files_look(conf->doc);
    bool is_settled = now == r->changed;
    r->changed = now;
    if (now != r->files && is_settled) {
        r->files = now;
        begin(r, "changed files", true);
    }
}

void reload_watch(struct reload *r)
{
    on_watch(&r->watch);
}

frun_err reload_new(struct gateway *g, struct conf_gw *conf, struct reload **out)
{
    struct reload *r = calloc(1, sizeof(*r));
    if (!r) {
        return FRUN_E_NOMEM;
    }
    r->g = g;
    r->started = conf_gw_ref(conf);
    deadline_init(&r->look, on_look);
    deadline_init(&r->watch, on_watch);
    deadline_init(&r->mend, on_mend);
    r->files = conf_files_look(conf->doc);
    *out = r;
    return FRUN_OK;
}

void reload_ask(struct reload *r, struct admin_request *q)
{
    char why[RELOAD_WHY_BYTES];
    (void)snprintf(why, sizeof(why), "asked by %s", admin_request_peer(q)->name);
    admin_reloading_ask(&r->told, q);
    reload_begin(r, why);
}

void reload_preview(struct reload *r, struct admin_request *q)
{
    struct admin_reloading x = {0};
    struct conf_gw *conf = NULL;
    FILE *report = admin_reloading_begin(&x);
    frun_err err = report ? conf_gw_load(r->g->path, report, &conf) : FRUN_E_NOMEM;
    if (!err) {
        err = admin_reloading_compare(&x, r->started->doc, r->g->gen->conf->doc, conf->doc);
    }
    admin_reloading_preview(&x, q, err == FRUN_OK);
    conf_gw_unref(&conf);
}

void reload_stop(struct reload *r)
{
    if (r) {
        r->is_stopped = true;
        admin_reloading_done(&r->told);
        deadline_clear(&r->look);
        deadline_clear(&r->watch);
        deadline_clear(&r->mend);
    }
}

void reload_free(struct reload *r)
{
    if (r) {
        drop(r);
        stapling_free(r->former);
        admin_reloading_done(&r->told);
        conf_gw_unref(&r->started);
        free(r);
    }
}
