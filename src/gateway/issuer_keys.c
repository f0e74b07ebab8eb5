/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/issuer_keys.h"

#include "frun/base/list.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"
#include "frun/loop/offload.h"
#include "frun/oauth/issuer.h"
#include "frun/tunnel/backoff.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Threads that fetch: an issuer that hangs must not hold up the others. */
#define HELPERS 2

/** Fetches that may wait: one an issuer, of this configuration and of the one before. */
#define MAX_QUEUED ((size_t)CONF_MAX_ISSUERS * 2)

/** Longest pause between two tries without success, milliseconds. */
#define RETRY_MAX_MS UINT64_C(300000)

/** An issuer's max-age is honoured, but not below this, milliseconds. */
#define REFRESH_LEAST_MS UINT64_C(300000)

/** One issuer. */
struct item {
    struct list node; /* in issuer_keys.items; or unlinked: dropped while a flight is under way */
    struct issuer_keys *all;
    struct issuer *issuer; /* counted */
    struct deadline timer;
    struct backoff backoff;
    uint64_t good_ms; /* when keys last came, mono_now_ms() */
    uint64_t next_ms; /* when to fetch next */
    struct diag told; /* the last complaint: each is told once */
    bool is_asking;
    struct offload_job job;
    struct issuer_catch caught; /* the helper's while is_asking */
    struct diag why;            /* as caught */
    frun_err result;            /* as caught */
};

struct issuer_keys {
    struct loop *loop;
    struct gateway_shared *shared;
    struct offload *helpers; /* NULL: not needed yet */
    atomic_bool is_stopping;
    struct list items;
};

static void on_timer(struct deadline *d);
static void on_wanted(void *arg);

/* -- telling
 * ----------------------------------------------------------------------------------------------------
 */

static const char *name_of(const struct item *x)
{
    return issuer_conf(x->issuer)->place.name;
}

static void tell_keys(const struct item *x)
{
    char ids[256] = "";
    const struct jwks *k = x->caught.keys;
    for (size_t i = 0; i < jwks_count(k); i++) {
        const size_t n = strlen(ids);
        const char *id = jwks_at(k, i)->id;
        if (snprintf(ids + n, sizeof(ids) - n, "%s%s", i ? ", " : "", id[0] ? id : "(no name)") >=
            (int)(sizeof(ids) - n)) {
            break; /* the rest is not worth a longer line */
        }
    }
    for (size_t i = 0; ids[i]; i++) { /* names are the issuer's, the log is ours */
        ids[i] = (unsigned char)ids[i] < 0x20 || (unsigned char)ids[i] >= 0x7f ? '?' : ids[i];
    }
    log_info("jwt", "issuer %s: %zu key(s) from %s: %s", name_of(x), jwks_count(k), x->caught.url,
             ids);
    if (x->caught.skipped.n) {
        log_info("jwt", "issuer %s: %zu key(s) left out: %s", name_of(x), x->caught.skipped.n,
                 x->caught.skipped.why);
    }
}

static void tell_failure(struct item *x, uint64_t now_ms)
{
    const struct conf_issuer *c = issuer_conf(x->issuer);
    const char *why = x->why.text[0] ? x->why.text : err_text(x->result);
    unsigned long long retry_s = (x->next_ms - now_ms + 999) / 1000;
    if (strcmp(x->told.text, why) == 0) {
        return;
    }
    diag_set(&x->told, "%s", why);
    if (issuer_count(x->issuer)) {
        log_warning(
            "jwt",
            "issuer %s: keys not refreshed: %s; those that are here are used on, for %llu s "
            "at most; next try in %llu s",
            name_of(x), why, (unsigned long long)((x->good_ms + c->stale_ms - now_ms) / 1000),
            retry_s);
    } else {
        log_error("jwt",
                  "issuer %s: no keys, so that its tokens get 503: %s; next try in %llu s, then at "
                  "growing intervals of at most %llu s",
                  name_of(x), why, retry_s, (unsigned long long)(RETRY_MAX_MS / 1000));
    }
}

/* -- workers
 * ----------------------------------------------------------------------------------------------------
 */

static void deliver(void *arg)
{
    struct worker *w = arg;
    if (w->auth) { /* else the worker is being freed */
        auth_on_issuers(w->auth);
    }
}

/* If memory is refused, the patience of those who wait ends by itself. */
static void tell_workers(const struct issuer_keys *k)
{
    for (size_t i = 0; i < k->shared->n_workers; i++) {
        struct worker *w = k->shared->workers[i];
        (void)(loop_post(w->loop, deliver, w) == FRUN_OK);
    }
}

/* -- fetching
 * ---------------------------------------------------------------------------------------------------
 */

static void ask(struct offload_job *j)
{
    struct item *x = list_entry(j, struct item, job);
    x->why.text[0] = '\0';
    x->result =
        atomic_load(&x->all->is_stopping)
            ? FRUN_E_CLOSED
            : issuer_fetch(issuer_conf(x->issuer), &x->all->is_stopping, &x->caught, &x->why);
}

static void item_free(struct item *x)
{
    deadline_clear(&x->timer);
    issuer_catch_done(&x->caught);
    issuer_unref(&x->issuer);
    free(x);
}

/* What the issuer says of its keys' life counts between two bounds. */
static uint64_t refresh_of(const struct item *x)
{
    const struct conf_issuer *c = issuer_conf(x->issuer);
    uint64_t least_ms = c->refresh_ms < REFRESH_LEAST_MS ? c->refresh_ms : REFRESH_LEAST_MS;
    uint64_t ms = c->refresh_ms;
    if (x->caught.has_max_age && x->caught.max_age_s < c->refresh_ms / 1000) {
        ms = x->caught.max_age_s * 1000;
    }
    return ms < least_ms ? least_ms : ms;
}

static void drop_stale(struct item *x, uint64_t now_ms)
{
    if (x->good_ms && now_ms >= x->good_ms + issuer_conf(x->issuer)->stale_ms &&
        issuer_put(x->issuer, NULL)) {
        log_error(
            "jwt",
            "issuer %s: its keys could not be refreshed for %llu s and are not used any more: "
            "its tokens get 503 until they can",
            name_of(x), (unsigned long long)(issuer_conf(x->issuer)->stale_ms / 1000));
    }
}

static void settle(struct item *x)
{
    uint64_t now_ms = mono_now_ms();
    const struct conf_issuer *c = issuer_conf(x->issuer);
    if (x->result) {
        x->next_ms = now_ms + backoff_next(&x->backoff, c->refresh_min_ms);
        drop_stale(x, now_ms);
        tell_failure(x, now_ms);
    } else {
        bool is_back = x->told.text[0] != '\0';
        x->good_ms = now_ms;
        x->next_ms = now_ms + refresh_of(x);
        x->backoff.failures = 0;
        x->told.text[0] = '\0';
        if (issuer_put(x->issuer, x->caught.keys) || is_back) {
            tell_keys(x);
        }
        issuer_catch_done(&x->caught);
    }
    issuer_ended(x->issuer, now_ms + c->refresh_min_ms);
}

static void wait_for_next(struct item *x)
{
    uint64_t now_ms = mono_now_ms();
    uint64_t at_ms = x->next_ms;
    uint64_t stale_ms = x->good_ms + issuer_conf(x->issuer)->stale_ms;
    if (x->good_ms && stale_ms > now_ms && stale_ms < at_ms) {
        at_ms = stale_ms;
    }
    deadline_set(x->all->loop, &x->timer, at_ms > now_ms ? at_ms - now_ms : 1);
}

static void on_answered(struct offload_job *j)
{
    struct item *x = list_entry(j, struct item, job);
    x->is_asking = false;
    if (list_is_empty(&x->node)) { /* nobody's any more */
        issuer_ended(x->issuer, 0);
        item_free(x);
        return;
    }
    if (atomic_load(&x->all->is_stopping)) {
        return;
    }
    settle(x);
    wait_for_next(x);
    tell_workers(x->all);
}

static void begin(struct item *x)
{
    x->job.work = ask;
    x->job.done = on_answered;
    deadline_clear(&x->timer);
    issuer_began(x->issuer);
    x->is_asking = true;
    if (offload_submit(x->all->helpers, x->all->loop, &x->job)) {
        x->is_asking = false;
        x->next_ms = mono_now_ms() + issuer_conf(x->issuer)->refresh_min_ms;
        issuer_ended(x->issuer, x->next_ms);
        wait_for_next(x);
    }
}

static void on_timer(struct deadline *d)
{
    struct item *x = list_entry(d, struct item, timer);
    uint64_t now_ms = mono_now_ms();
    drop_stale(x, now_ms);
    if (now_ms + LOOP_TICK_MS >= x->next_ms) {
        begin(x);
    } else {
        wait_for_next(x);
    }
}

static struct item *find(const struct issuer_keys *k, const struct issuer *i)
{
    struct list *it;
    list_foreach (it, &k->items) {
        if (list_entry(it, struct item, node)->issuer == i) {
            return list_entry(it, struct item, node);
        }
    }
    return NULL;
}

/* A worker has met a key that it does not know. A want that came while nothing may be fetched is
 * answered all the same: somebody waits for the answer. */
static void on_wanted(void *arg)
{
    struct issuer *i = arg;
    struct issuer_keys *k = issuer_keeper(i);
    struct item *x = k && !atomic_load(&k->is_stopping) ? find(k, i) : NULL;
    if (!x) {
        issuer_ended(i, 0);
    } else if (!x->is_asking) {
        log_debug("jwt", "issuer %s: a token names an unknown key, keys are fetched", name_of(x));
        begin(x);
    }
    issuer_unref(&i);
}

/* -- life
 * -------------------------------------------------------------------------------------------------------
 */

frun_err issuer_keys_new(struct loop *l, struct gateway_shared *shared, struct issuer_keys **out)
{
    struct issuer_keys *k = calloc(1, sizeof(*k));
    if (!k) {
        return FRUN_E_NOMEM;
    }
    k->loop = l;
    k->shared = shared;
    atomic_init(&k->is_stopping, false);
    list_init(&k->items);
    *out = k;
    return FRUN_OK;
}

static frun_err item_new(struct issuer_keys *k, struct issuer *i, struct item **out)
{
    struct item *x = calloc(1, sizeof(*x));
    if (!x) {
        return FRUN_E_NOMEM;
    }
    uint64_t min_ms = issuer_conf(i)->refresh_min_ms;
    x->all = k;
    x->issuer = issuer_ref(i);
    list_init(&x->node);
    deadline_init(&x->timer, on_timer);
    backoff_init(&x->backoff, min_ms, min_ms < RETRY_MAX_MS ? RETRY_MAX_MS : min_ms);
    *out = x;
    return FRUN_OK;
}

static void drop(struct item *x)
{
    list_remove(&x->node);
    deadline_clear(&x->timer);
    issuer_tend(x->issuer, x->all->loop, on_wanted, NULL);
    if (!x->is_asking) {
        item_free(x);
    }
}

frun_err issuer_keys_follow(struct issuer_keys *k, const struct registry *r)
{
    const struct issuers *s = registry_issuers(r);
    struct list fresh;
    struct list *it;
    struct list *next;
    list_init(&fresh);
    frun_err err = s->n && !k->helpers ? offload_new(HELPERS, MAX_QUEUED, &k->helpers) : FRUN_OK;
    for (size_t i = 0; !err && i < s->n; i++) {
        struct item *x = NULL;
        if (!find(k, s->all[i].issuer)) {
            err = item_new(k, s->all[i].issuer, &x);
        }
        if (x) {
            list_append(&fresh, &x->node);
        }
    }
    list_foreach_safe (it, next, &fresh) {
        struct item *x = list_entry(it, struct item, node);
        list_remove(it);
        if (err) {
            item_free(x);
            continue;
        }
        list_append(&k->items, &x->node);
        issuer_tend(x->issuer, k->loop, on_wanted, k);
        begin(x);
    }
    list_foreach_safe (it, next, &k->items) {
        bool is_used = false;
        for (size_t i = 0; i < s->n; i++) {
            is_used |= s->all[i].issuer == list_entry(it, struct item, node)->issuer;
        }
        if (!err && !is_used) {
            drop(list_entry(it, struct item, node));
        }
    }
    return err;
}

void issuer_keys_stop(struct issuer_keys *k)
{
    if (!k) {
        return;
    }
    struct list *it;
    atomic_store(&k->is_stopping, true);
    list_foreach (it, &k->items) {
        deadline_clear(&list_entry(it, struct item, node)->timer);
    }
    offload_free(k->helpers);
    k->helpers = NULL;
}

void issuer_keys_free(struct issuer_keys *k)
{
    if (!k) {
        return;
    }
    for (struct list *it; (it = list_first(&k->items)) != NULL;) {
        struct item *x = list_entry(it, struct item, node);
        list_remove(it);
        item_free(x);
    }
    free(k);
}
