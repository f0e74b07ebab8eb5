/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/issuer.h"

#include "frun/base/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/** Ceiling of a section's texts, octets. */
#define TEXTS_MAX_BYTES 16384

/** Fetches that can have been granted to strangers within refresh_min, rounded up. */
#define MAX_TURNS 8

/* A stranger's fetch. */
struct turn {
    uint64_t source;
    uint64_t until_ms; /* counts against its source as long */
};

struct issuer {
    atomic_int refs;
    struct arena arena;      /* texts of conf */
    struct conf_issuer conf; /* immutable */
    struct loop *loop;       /* set once, before any worker sees this; NULL: nobody tends it */
    loop_job_fn wake;
    void *keeper; /* the keeper's thread alone; NULL: nobody */
    pthread_mutex_t lock;
    struct jwks *keys;                /* under the lock; NULL: none */
    atomic_uint generation;           /* grows with each change of keys, under the lock; never 0 */
    atomic_uint n_ended;              /* fetches, with the keys they brought in place */
    atomic_bool is_busy;              /* a fetch is under way */
    atomic_bool is_wanted;            /* wake has been posted and has not run */
    atomic_bool is_left;              /* nobody tends it any more */
    atomic_uint_fast64_t due_ms;      /* each wanted fetch moves it on by refresh_min_ms */
    struct turn turns[MAX_TURNS];     /* under the lock, as what follows */
    uint64_t known[ISSUER_MAX_KNOWN]; /* sources, the last one first */
    size_t n_known;
};

/* -- life
 * -------------------------------------------------------------------------------------------------------
 */

static frun_err copy_text(struct issuer *i, const char *from, const char **to)
{
    struct span copy = {NULL, 0};
    frun_err err = from ? arena_copy(&i->arena, span_of(from), &copy) : FRUN_OK;
    *to = copy.p;
    return err;
}

static frun_err copy_conf(struct issuer *i, const struct conf_issuer *c)
{
    struct conf_issuer *to = &i->conf;
    frun_err err = copy_text(i, c->place.name, &to->place.name);
    err = err ? err : copy_text(i, c->issuer, &to->issuer);
    err = err ? err : copy_text(i, c->jwks_url, &to->jwks_url);
    err = err ? err : copy_text(i, c->ca, &to->ca);
    err = err ? err : copy_text(i, c->proxy, &to->proxy);
    err = err ? err : copy_text(i, c->proxy_user, &to->proxy_user);
    if (!err && c->proxy_password) {
        err = secret_new(secret_span(c->proxy_password), &to->proxy_password);
    }
    to->refresh_ms = c->refresh_ms;
    to->refresh_min_ms = c->refresh_min_ms;
    to->stale_ms = c->stale_ms;
    to->connect_timeout_ms = c->connect_timeout_ms;
    to->timeout_ms = c->timeout_ms;
    return err;
}

frun_err issuer_new(const struct conf_issuer *c, struct issuer **out)
{
    struct issuer *i = calloc(1, sizeof(*i));
    if (!i) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&i->refs, 1);
    atomic_init(&i->generation, 1);
    atomic_init(&i->n_ended, 0);
    atomic_init(&i->is_busy, false);
    atomic_init(&i->is_wanted, false);
    atomic_init(&i->is_left, false);
    atomic_init(&i->due_ms, 0);
    (void)pthread_mutex_init(&i->lock, NULL);
    arena_init(&i->arena, TEXTS_MAX_BYTES);
    frun_err err = copy_conf(i, c);
    if (err) {
        issuer_unref(&i);
        return err;
    }
    *out = i;
    return FRUN_OK;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool issuer_is_of(const struct issuer *i, const struct conf_issuer *c)
{
    const struct conf_issuer *x = &i->conf;
    bool is_secret_same =
        x->proxy_password && c->proxy_password
            ? secret_equal(secret_span(x->proxy_password), secret_span(c->proxy_password))
            : x->proxy_password == c->proxy_password;
    return is_secret_same && is_same(x->place.name, c->place.name) &&
           is_same(x->issuer, c->issuer) && is_same(x->jwks_url, c->jwks_url) &&
           is_same(x->ca, c->ca) && is_same(x->proxy, c->proxy) &&
           is_same(x->proxy_user, c->proxy_user) && x->refresh_ms == c->refresh_ms &&
           x->refresh_min_ms == c->refresh_min_ms && x->stale_ms == c->stale_ms &&
           x->connect_timeout_ms == c->connect_timeout_ms && x->timeout_ms == c->timeout_ms;
}

struct issuer *issuer_ref(struct issuer *i)
{
    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

void issuer_unref(struct issuer **i)
{
    struct issuer *gone = *i;
    *i = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    jwks_unref(&gone->keys);
    secret_free(gone->conf.proxy_password);
    arena_done(&gone->arena);
    (void)pthread_mutex_destroy(&gone->lock);
    free(gone);
}

const struct conf_issuer *issuer_conf(const struct issuer *i)
{
    return &i->conf;
}

/* -- workers
 * ----------------------------------------------------------------------------------------------------
 */

bool issuer_look(struct issuer *i, struct issuer_view *v)
{
    if (v->of == i && v->generation == atomic_load_explicit(&i->generation, memory_order_acquire)) {
        return false;
    }
    struct issuer_view fresh = {.of = issuer_ref(i)};
    (void)pthread_mutex_lock(&i->lock);
    fresh.keys = i->keys ? jwks_ref(i->keys) : NULL;
    fresh.generation = atomic_load_explicit(&i->generation, memory_order_relaxed);
    (void)pthread_mutex_unlock(&i->lock);
    issuer_view_done(v);
    *v = fresh;
    return true;
}

void issuer_view_done(struct issuer_view *v)
{
    jwks_unref(&v->keys);
    issuer_unref(&v->of);
}

static size_t place_of(const struct issuer *i, uint64_t source)
{
    size_t at = 0;
    while (at < i->n_known && i->known[at] != source) {
        at++;
    }
    return at;
}

void issuer_know(struct issuer *i, uint64_t source)
{
    (void)pthread_mutex_lock(&i->lock);
    size_t at = place_of(i, source);
    if (at == i->n_known && at < ISSUER_MAX_KNOWN) {
        i->n_known++;
    } else if (at == i->n_known) {
        at--;
    }
    memmove(i->known + 1, i->known, at * sizeof(i->known[0]));
    i->known[0] = source;
    (void)pthread_mutex_unlock(&i->lock);
}

/* A place for one more fetch of a stranger; NULL: its source has had its share. */
static struct turn *stranger_place(struct issuer *i, uint64_t source, uint64_t now_ms)
{
    struct turn *oldest = &i->turns[0];
    unsigned n = 0;
    for (size_t k = 0; k < MAX_TURNS; k++) {
        struct turn *t = &i->turns[k];
        n += t->source == source && t->until_ms > now_ms ? 1 : 0;
        oldest = t->until_ms < oldest->until_ms ? t : oldest;
    }
    return n < ISSUER_STRANGER_FETCHES ? oldest : NULL;
}

/* A bucket of tokens, as the time at which it is full again. */
static bool take_token(struct issuer *i, unsigned n_early, uint64_t now_ms)
{
    uint64_t step_ms = i->conf.refresh_min_ms;
    uint_fast64_t due_ms = atomic_load(&i->due_ms);
    uint64_t next_ms;
    do {
        if (due_ms > now_ms + n_early * step_ms) {
            return false;
        }
        next_ms = (due_ms > now_ms ? due_ms : now_ms) + step_ms;
    } while (!atomic_compare_exchange_weak(&i->due_ms, &due_ms, next_ms));
    return true;
}

static bool take_turn(struct issuer *i, uint64_t source, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&i->lock);
    bool is_known = place_of(i, source) < i->n_known;
    struct turn *t = is_known ? NULL : stranger_place(i, source, now_ms);
    bool is_taken =
        (is_known || t) &&
        take_token(i, ISSUER_EXTRA_FETCHES + (is_known ? ISSUER_KNOWN_FETCHES : 0U), now_ms);
    if (is_taken && t) {
        *t = (struct turn){source, now_ms + i->conf.refresh_min_ms};
    }
    (void)pthread_mutex_unlock(&i->lock);
    return is_taken;
}

bool issuer_want(struct issuer *i, uint64_t source, uint64_t now_ms)
{
    if (!i->loop || atomic_load(&i->is_left)) {
        return false;
    }
    if (atomic_load(&i->is_busy)) {
        return true;
    }
    if (atomic_exchange(&i->is_wanted, true)) {
        return true;
    }
    struct issuer *given = issuer_ref(i);
    if (!take_turn(i, source, now_ms) || loop_post(i->loop, i->wake, given)) {
        issuer_unref(&given);
        atomic_store(&i->is_wanted, false);
        return false;
    }
    return true;
}

bool issuer_is_left(const struct issuer *i)
{
    return atomic_load(&i->is_left);
}

unsigned issuer_next(const struct issuer *i)
{
    unsigned n = atomic_load(&i->n_ended);
    return n + (atomic_load(&i->is_busy) ? 2 : 1);
}

bool issuer_has_ended(const struct issuer *i, unsigned number)
{
    return (int)(atomic_load(&i->n_ended) - number) >= 0;
}

/* -- the keeper
 * -------------------------------------------------------------------------------------------------
 */

void issuer_tend(struct issuer *i, struct loop *l, loop_job_fn fn, void *keeper)
{
    i->keeper = keeper;
    atomic_store(&i->is_left, !keeper);
    if (!i->loop) { /* workers may read it already, if it was another configuration's too */
        i->wake = fn;
        i->loop = l;
    }
}

void *issuer_keeper(const struct issuer *i)
{
    return i->keeper;
}

void issuer_began(struct issuer *i)
{
    atomic_store(&i->is_busy, true);
    atomic_store(&i->is_wanted, false);
}

/* In this order: who sees that nothing is under way sees the keys too, which were put before. */
void issuer_ended(struct issuer *i, uint64_t not_before_ms)
{
    uint_fast64_t due_ms = atomic_load(&i->due_ms);
    while (due_ms < not_before_ms &&
           !atomic_compare_exchange_weak(&i->due_ms, &due_ms, not_before_ms)) {
    }
    atomic_fetch_add(&i->n_ended, 1);
    atomic_store(&i->is_wanted, false);
    atomic_store(&i->is_busy, false);
}

bool issuer_put(struct issuer *i, struct jwks *k)
{
    struct jwks *gone = NULL;
    (void)pthread_mutex_lock(&i->lock);
    bool is_change = k ? !jwks_same(i->keys, k) : i->keys != NULL;
    if (is_change) {
        gone = i->keys;
        i->keys = k ? jwks_ref(k) : NULL;
        atomic_fetch_add_explicit(&i->generation, 1, memory_order_release);
    }
    (void)pthread_mutex_unlock(&i->lock);
    jwks_unref(&gone);
    return is_change;
}

size_t issuer_count(struct issuer *i)
{
    (void)pthread_mutex_lock(&i->lock);
    size_t n = i->keys ? jwks_count(i->keys) : 0;
    (void)pthread_mutex_unlock(&i->lock);
    return n;
}
