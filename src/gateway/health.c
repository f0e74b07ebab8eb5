/**
 * When who is checked, and what follows from it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/health.h"

#include "frun/base/log.h"
#include "frun/base/map.h"
#include "frun/base/mono.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** First checks come so long after the start at the earliest: tunnels and tokens need a moment. */
#define HEALTH_FIRST_MS 1000

/** An endpoint that has to wait for its turn looks again after this time. */
#define HEALTH_AGAIN_MS 250

/** While an endpoint's state may be about to change it is checked so many times as often. */
#define HEALTH_HASTE 4

/** A check that is not told of within this time is taken as lost. */
#define HEALTH_LOST_MS ((uint64_t)3 * PROBE_TIMEOUT_MS)

/* Endpoints that log on to the same system by the same credentials. */
struct logon {
    const struct conf_system *system;
    struct logon *next;       /* same credentials at another system */
    uint64_t parked_until_ms; /* 0: not parked */
    size_t n_under_way;
    bool is_proven; /* the last answer to it was no 401 */
};

struct entry {
    struct health *h;
    const struct endpoint *e;
    struct logon *logon;
    struct deadline due;
    struct order *order; /* the check under way, or NULL */
    unsigned n_good;     /* in a row */
    unsigned n_bad;      /* in a row */
    unsigned n_soft;     /* in a row: not exposed */
    uint64_t since_ms;
    uint64_t checks;
    uint64_t failures;
    uint64_t last_at_ms;
    uint64_t last_us;
    char cause[STEPS_TEXT_BYTES];
    char remedy[STEPS_TEXT_BYTES];
};

struct health {
    struct gateway_shared *g;
    struct generation *gen; /* pinned */
    struct entry *entries;
    struct logon *logons;
    size_t n;
    size_t n_under_way;
    bool is_running;
};

/* One check under way; lives until it is told of, whatever became of its entry meanwhile. */
struct order {
    struct entry *entry; /* NULL: nobody wants to know any more */
};

/* -- states
 * ------------------------------------------------------------------------------------------------------
 */

const char *health_word(enum endpoint_health state)
{
    static const char *const words[ENDPOINT_HEALTHS] = {[ENDPOINT_UNKNOWN] = "unknown",
                                                        [ENDPOINT_UP] = "up",
                                                        [ENDPOINT_DOWN] = "down",
                                                        [ENDPOINT_UNVERIFIED] = "unverified",
                                                        [ENDPOINT_PARKED] = "parked"};
    return words[state];
}

static enum endpoint_health state_of(const struct entry *n)
{
    return (enum endpoint_health)atomic_load_explicit(&n->e->state->health, memory_order_relaxed);
}

static uint64_t now(const struct entry *n)
{
    return loop_now_ms(n->h->g->main_loop);
}

static void tell(const struct entry *n, enum endpoint_health from, enum endpoint_health to)
{
    char scope[96];
    const char *remedy = n->remedy[0] ? "; " : "";
    (void)snprintf(scope, sizeof(scope), "endpoint %.*s", SPAN_FMT(n->e->name));
    if (to == ENDPOINT_UP) {
        log_info(scope, "health: up (was %s)", health_word(from));
    } else if (to == ENDPOINT_PARKED) {
        log_error(scope, "health: parked: %s%s%s; next try in %d min", n->cause, remedy, n->remedy,
                  HEALTH_PARK_MS / 60000);
    } else if (to != ENDPOINT_UNKNOWN) {
        log_line(to == ENDPOINT_DOWN ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, scope,
                 "health: %s (was %s): %s%s%s", health_word(to), health_word(from), n->cause,
                 remedy, n->remedy);
    }
}

static void set_state(struct entry *n, enum endpoint_health to)
{
    enum endpoint_health from = state_of(n);
    if (from == to) {
        return;
    }
    atomic_store_explicit(&n->e->state->health, (int)to, memory_order_relaxed);
    n->since_ms = now(n);
    tell(n, from, to);
}

/* -- time
 * --------------------------------------------------------------------------------------------------------
 */

static bool is_parked(const struct entry *n)
{
    return n->logon->parked_until_ms > now(n);
}

static void schedule(struct entry *n, uint64_t in_ms)
{
    if (n->h->is_running && n->e->conf->health_check) {
        deadline_set(n->h->g->main_loop, &n->due, in_ms ? in_ms : 1);
    }
}

/* A tenth more or less: checks of many endpoints must not fall into step. */
static uint64_t jittered(uint64_t ms)
{
    return ms - ms / 10 + mono_entropy_below(ms / 5 + 1);
}

static void schedule_next(struct entry *n)
{
    static const bool is_good[] = {[ENDPOINT_UP] = true, [ENDPOINT_UNVERIFIED] = true};
    uint64_t ms = n->e->conf->health_interval_ms;
    enum endpoint_health state = state_of(n);
    bool is_pending =
        state == ENDPOINT_UNKNOWN || (state <= ENDPOINT_UNVERIFIED && is_good[state] && n->n_bad) ||
        (state != ENDPOINT_UP && n->n_good) || (state != ENDPOINT_UNVERIFIED && n->n_soft);
    if (is_parked(n)) {
        ms = n->logon->parked_until_ms - now(n);
        schedule(n, ms + mono_entropy_below(n->e->conf->health_interval_ms));
        return;
    }
    schedule(n, jittered(is_pending ? ms / HEALTH_HASTE + 1 : ms));
}

/* -- what a check says
 * ------------------------------------------------------------------------------------------- */

static void keep_words(struct entry *n, const struct probe_result *r)
{
    const struct step *worst = steps_worst(&r->steps);
    n->cause[0] = n->remedy[0] = '\0';
    if (worst) {
        (void)snprintf(n->cause, sizeof(n->cause), "%.23s: %.480s", worst->name, worst->found);
        (void)snprintf(n->remedy, sizeof(n->remedy), "%s", worst->remedy);
    }
}

/* Everybody who would log on the same way waits, whether checked already or not. */
static void park(struct entry *n)
{
    struct logon *logon = n->logon;
    logon->parked_until_ms = now(n) + HEALTH_PARK_MS;
    logon->is_proven = false;
    for (size_t i = 0; i < n->h->n; i++) {
        struct entry *other = &n->h->entries[i];
        if (other->logon != logon || !other->e->conf->health_check) {
            continue;
        }
        if (other != n) {
            (void)snprintf(other->cause, sizeof(other->cause),
                           "logon: the same credentials were refused at endpoint %.*s",
                           SPAN_FMT(n->e->name));
            (void)snprintf(other->remedy, sizeof(other->remedy), "%s", n->remedy);
        }
        set_state(other, ENDPOINT_PARKED);
        schedule_next(other);
    }
}

/* The user was corrected: all who share it are to be seen again soon. */
static void release(struct entry *n)
{
    if (n->logon->parked_until_ms == 0) {
        return;
    }
    n->logon->parked_until_ms = 0;
    for (size_t i = 0; i < n->h->n; i++) {
        struct entry *other = &n->h->entries[i];
        if (other != n && other->logon == n->logon && state_of(other) == ENDPOINT_PARKED) {
            set_state(other, ENDPOINT_UNKNOWN);
            if (!other->order) {
                schedule(other, jittered(HEALTH_AGAIN_MS));
            }
        }
    }
}

static void count(struct entry *n, enum finding_verdict v)
{
    bool is_good = v == FINDING_UP;
    bool is_soft = v == FINDING_UNVERIFIED;
    n->checks++;
    n->failures += is_good || is_soft ? 0 : 1;
    n->n_good = is_good ? n->n_good + 1 : 0;
    n->n_soft = is_soft ? n->n_soft + 1 : 0;
    n->n_bad = is_good || is_soft ? 0 : n->n_bad + 1;
    if (n->n_good >= HEALTH_RISE) {
        set_state(n, ENDPOINT_UP);
    } else if (n->n_soft >= HEALTH_RISE) {
        set_state(n, ENDPOINT_UNVERIFIED);
    } else if (n->n_bad >= HEALTH_FALL) {
        set_state(n, ENDPOINT_DOWN);
    } else if (state_of(n) == ENDPOINT_PARKED) {
        set_state(n, ENDPOINT_UNKNOWN); /* it was let try again, and was not refused */
    }
}

static void judge(struct entry *n, const struct probe_result *r)
{
    if (r->verdict == FINDING_UNKNOWN) {
        return;
    }
    n->last_at_ms = now(n);
    n->last_us = r->total_us;
    keep_words(n, r);
    if (r->verdict == FINDING_REFUSED) {
        n->checks++;
        n->failures++;
        n->n_good = n->n_bad = n->n_soft = 0;
        park(n);
        return;
    }
    if (r->verdict == FINDING_UP) {
        n->logon->is_proven = true; /* anything else does not say so */
        release(n);
    }
    count(n, r->verdict);
}

static void on_result(void *ctx, const struct probe_result *r)
{
    struct order *o = ctx;
    struct entry *n = o->entry;
    if (n) {
        n->order = NULL;
        n->logon->n_under_way--;
        n->h->n_under_way--;
        if (n->h->is_running) {
            judge(n, r);
            schedule_next(n);
        }
    }
    free(o);
}

/* -- the checks
 * --------------------------------------------------------------------------------------------------
 */

/* What was ordered so long ago does not come any more. */
static void lose(struct entry *n)
{
    n->order->entry = NULL;
    n->order = NULL;
    n->logon->n_under_way--;
    n->h->n_under_way--;
}

static void begin(struct entry *n)
{
    struct health *h = n->h;
    struct order *o = calloc(1, sizeof(*o));
    if (!o || probe_start(h->g, h->gen, n->e, PROBE_ROAD_ACTIVE, on_result, o)) {
        free(o);
        schedule_next(n);
        return;
    }
    o->entry = n;
    n->order = o;
    n->logon->n_under_way++;
    h->n_under_way++;
    schedule(n, HEALTH_LOST_MS);
}

static void on_due(struct deadline *d)
{
    struct entry *n = list_entry(d, struct entry, due);
    struct health *h = n->h;
    if (n->order) {
        lose(n);
        schedule_next(n);
    } else if (is_parked(n)) {
        schedule_next(n);
    } else if (h->n_under_way >= HEALTH_MAX_UNDER_WAY ||
               (!n->logon->is_proven && n->logon->n_under_way)) {
        schedule(n, jittered(HEALTH_AGAIN_MS));
    } else {
        begin(n);
    }
}

/* -- life
 * --------------------------------------------------------------------------------------------------------
 */

/* Same system, same Authorization: same user in Focused Run. Without credentials, or with a token
 * of its own, an endpoint stands alone. */
static frun_err group(struct health *h, struct map *known, struct entry *n)
{
    struct span key = n->e->policy.authorization;
    struct logon *own = &h->logons[n->e->index];
    n->logon = own;
    own->system = n->e->conf->system;
    if (!key.n) {
        return FRUN_OK;
    }
    struct logon *first = map_get(known, key);
    for (struct logon *it = first; it; it = it->next) {
        if (it->system == own->system) {
            n->logon = it;
            return FRUN_OK;
        }
    }
    if (first) {
        own->next = first->next;
        first->next = own;
        return FRUN_OK;
    }
    return map_put(known, key, own);
}

frun_err health_new(struct gateway_shared *g, struct generation *gen, struct health **out)
{
    size_t n = 0;
    const struct endpoint *e = registry_endpoints(gen->registry, &n);
    struct map *known = NULL;
    struct health *h = calloc(1, sizeof(*h));
    if (!h) {
        return FRUN_E_NOMEM;
    }
    h->g = g;
    h->gen = generation_ref(gen);
    h->n = n;
    h->entries = calloc(n + 1, sizeof(*h->entries));
    h->logons = calloc(n + 1, sizeof(*h->logons));
    frun_err err = h->entries && h->logons ? map_new(false, &known) : FRUN_E_NOMEM;
    for (size_t i = 0; !err && i < n; i++) {
        struct entry *it = &h->entries[i];
        it->h = h;
        it->e = &e[i];
        deadline_init(&it->due, on_due);
        err = group(h, known, it);
    }
    map_free(known);
    if (err) {
        h->n = 0; /* not all of them were made */
        health_free(h);
        return err;
    }
    *out = h;
    return FRUN_OK;
}

/* Spread over a part of the interval, so that their states are known soon. */
static void start_checks(struct health *h)
{
    size_t n = 0;
    size_t at = 0;
    h->is_running = true;
    for (size_t i = 0; i < h->n; i++) {
        n += h->entries[i].e->conf->health_check ? 1 : 0;
    }
    for (size_t i = 0; i < h->n; i++) {
        struct entry *it = &h->entries[i];
        if (it->e->conf->health_check) {
            uint64_t slot = it->e->conf->health_interval_ms * at++ / n / HEALTH_HASTE;
            schedule(it, HEALTH_FIRST_MS + jittered(slot));
        }
    }
}

static const struct entry *find(const struct health *h, struct span name)
{
    for (size_t i = 0; i < h->n; i++) {
        if (span_eq(h->entries[i].e->name, name)) {
            return &h->entries[i];
        }
    }
    return NULL;
}

/* The logon of an endpoint that has changed its password is another one: nothing is known of it. */
static void copy(struct entry *to, const struct entry *from)
{
    const struct conf_system *a = to->e->conf->system;
    const struct conf_system *b = from->e->conf->system;
    bool is_same_system = a && b && strcmp(a->place.name, b->place.name) == 0;
    to->n_good = from->n_good;
    to->n_bad = from->n_bad;
    to->n_soft = from->n_soft;
    to->since_ms = from->since_ms;
    to->checks = from->checks;
    to->failures = from->failures;
    to->last_at_ms = from->last_at_ms;
    to->last_us = from->last_us;
    memcpy(to->cause, from->cause, sizeof(to->cause));
    memcpy(to->remedy, from->remedy, sizeof(to->remedy));
    if (is_same_system && span_eq(to->e->policy.authorization, from->e->policy.authorization)) {
        to->logon->parked_until_ms = from->logon->parked_until_ms;
        to->logon->is_proven = from->logon->is_proven;
    }
}

void health_follow(struct health **h, struct health **next)
{
    struct health *old = *h;
    struct health *it = *next;
    *next = NULL;
    for (size_t i = 0; i < it->n; i++) {
        struct entry *n = &it->entries[i];
        bool is_there = i < old->n && span_eq(old->entries[i].e->name, n->e->name);
        const struct entry *before = is_there ? &old->entries[i] : find(old, n->e->name);
        n->since_ms = now(n);
        if (before) {
            copy(n, before);
        }
        if (!n->e->conf->health_check || (state_of(n) == ENDPOINT_PARKED && !is_parked(n))) {
            set_state(n, ENDPOINT_UNKNOWN);
        }
    }
    if (old->is_running) {
        start_checks(it);
    }
    health_stop(old);
    health_free(old);
    *h = it;
}

void health_start(struct health *h)
{
    for (size_t i = 0; i < h->n; i++) {
        h->entries[i].since_ms = now(&h->entries[i]);
    }
    start_checks(h);
}

void health_stop(struct health *h)
{
    for (size_t i = 0; h && i < h->n; i++) {
        struct entry *it = &h->entries[i];
        deadline_clear(&it->due);
        if (it->order) {
            lose(it);
        }
    }
    if (h) {
        h->is_running = false;
    }
}

void health_free(struct health *h)
{
    if (!h) {
        return;
    }
    free(h->entries);
    free(h->logons);
    generation_unref(&h->gen);
    free(h);
}

/* -- for others
 * -------------------------------------------------------------------------------------------------
 */

void health_read(const struct health *h, size_t index, struct health_report *out)
{
    const struct entry *n = &h->entries[index];
    uint64_t at_ms = now(n);
    *out = (struct health_report){
        .state = state_of(n),
        .is_checked = n->e->conf->health_check,
        .since_ms = at_ms - n->since_ms,
        .checks = n->checks,
        .failures = n->failures,
        .last_ms = n->last_at_ms ? at_ms - n->last_at_ms : 0,
        .last_us = n->last_us,
    };
    (void)health_may_log_on(h, index, &out->parked_ms);
    if (out->state != ENDPOINT_UP) {
        (void)snprintf(out->cause, sizeof(out->cause), "%s", n->cause);
        (void)snprintf(out->remedy, sizeof(out->remedy), "%s", n->remedy);
    }
}

bool health_may_log_on(const struct health *h, size_t index, uint64_t *left_ms)
{
    const struct entry *n = &h->entries[index];
    uint64_t at_ms = now(n);
    uint64_t until_ms = n->logon->parked_until_ms;
    if (left_ms) {
        *left_ms = until_ms > at_ms ? until_ms - at_ms : 0;
    }
    return until_ms <= at_ms;
}

void health_note(struct health *h, size_t index, const struct probe_result *r)
{
    struct entry *n = &h->entries[index];
    judge(n, r);
    if (n->e->conf->health_check && !n->order) {
        schedule_next(n);
    }
}

void health_forget(struct health *h, size_t index)
{
    struct entry *n = &h->entries[index];
    if (n->order) {
        lose(n);
    }
    n->n_good = n->n_bad = n->n_soft = 0;
    n->cause[0] = n->remedy[0] = '\0';
    release(n);
    set_state(n, ENDPOINT_UNKNOWN);
    schedule(n, jittered(HEALTH_AGAIN_MS));
}
