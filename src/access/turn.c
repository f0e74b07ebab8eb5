/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/turn.h"

#include "frun/base/mono.h"

#define MS_US 1000U

/* Those who share a second quota may take this many times the places to wait that they leave free:
 * three quarters of all when they are alone, less when others wait, never the last. */
#define WAITING_TO_FREE 3

/* Whichever of them it waits for: it waits as a request of both. */
static void note(struct turn *t, bool is_waiting)
{
    t->is_waiting = is_waiting;
    *t->n_waiting += is_waiting ? 1 : (size_t)-1;
    for (size_t i = 0; i < TURN_QUOTAS; i++) {
        quota_note(t->quotas[i], t->worker, is_waiting);
    }
}

static void stop_waiting(struct turn *t)
{
    quota_forget(&t->waiter);
    deadline_clear(&t->deadline);
    if (t->is_waiting) {
        note(t, false);
    }
}

static void wait(struct turn *t, uint64_t in_ms)
{
    if (!t->is_waiting) {
        note(t, true);
    }
    deadline_set(t->loop, &t->deadline, in_ms ? in_ms : 1);
}

static uint64_t patience_ms(const struct turn *t)
{
    uint64_t now_ms = loop_now_ms(t->loop);
    return t->until_ms > now_ms ? t->until_ms - now_ms : 0;
}

static unsigned seconds_of(uint64_t us)
{
    uint64_t s = (us + 999999) / 1000000;
    return s ? (unsigned)s : 1;
}

/* A place of each quota in their order. */
static enum turn_result enter(struct turn *t, bool may_wait)
{
    while (t->n_entered < TURN_QUOTAS) {
        struct quota *q = t->quotas[t->n_entered];
        if (quota_enter(q, t->worker)) {
            t->n_entered++;
            continue;
        }
        uint64_t in_ms = patience_ms(t);
        if (!may_wait || !in_ms) {
            return t->n_entered ? TURN_TOO_MANY_1 : TURN_TOO_MANY_0;
        }
        wait(t, in_ms);
        quota_wait(q, t->worker, &t->waiter);
        return TURN_PENDING;
    }
    return TURN_COME;
}

static void tell(struct turn *t, enum turn_result result)
{
    if (result != TURN_PENDING) {
        stop_waiting(t);
        t->fn(t, result);
    }
}

static void on_place(struct quota_waiter *w)
{
    struct turn *t = list_entry(w, struct turn, waiter);
    t->n_entered++;
    tell(t, enter(t, true));
}

static void on_deadline(struct deadline *d)
{
    struct turn *t = list_entry(d, struct turn, deadline);
    if (!t->is_paced) {
        t->is_paced = true;
        tell(t, enter(t, true));
        return;
    }
    tell(t, t->n_entered ? TURN_TOO_MANY_1 : TURN_TOO_MANY_0);
}

void turn_init(struct turn *t, void (*fn)(struct turn *t, enum turn_result result))
{
    *t = (struct turn){.fn = fn};
    list_init(&t->waiter.node);
    t->waiter.fn = on_place;
    deadline_init(&t->deadline, on_deadline);
}

static bool is_room_to_wait(const struct turn_terms *terms, const struct quota *second)
{
    uint64_t n = *terms->n_waiting;
    return n < terms->max_waiting &&
           quota_noted(second, terms->worker) < WAITING_TO_FREE * (terms->max_waiting - n);
}

enum turn_result turn_begin(struct turn *t, const struct turn_terms *terms, struct quota *first,
                            struct quota *second)
{
    bool may_wait = is_room_to_wait(terms, second);
    uint64_t hold_us = may_wait ? terms->hold_ms * MS_US : 0;
    t->loop = terms->loop;
    t->worker = terms->worker;
    t->n_waiting = terms->n_waiting;
    t->quotas[0] = first;
    t->quotas[1] = second;
    t->n_entered = 0;
    t->until_ms = loop_now_ms(t->loop) + terms->hold_ms;
    uint64_t late_us = quota_is_paced(first) ? quota_pace(first, mono_now_us(), hold_us) : 0;
    t->is_paced = late_us == 0;
    if (late_us > hold_us) {
        /* Then it would be let in, at the latest after waiting again. */
        t->retry_after_s = seconds_of(late_us - hold_us);
        return TURN_TOO_FAST;
    }
    /* Who waited in vain for the whole hold time had better stay away for as long. */
    t->retry_after_s = seconds_of(terms->hold_ms * MS_US);
    if (late_us) {
        wait(t, (late_us + MS_US - 1) / MS_US);
        return TURN_PENDING;
    }
    return enter(t, may_wait);
}

void turn_end(struct turn *t)
{
    if (!t->loop) {
        return;
    }
    stop_waiting(t);
    while (t->n_entered) {
        t->n_entered--;
        quota_leave(t->quotas[t->n_entered], t->worker);
    }
    t->loop = NULL;
}
