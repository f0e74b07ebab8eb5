/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/guests.h"

#include "frun/base/cidr.h"
#include "frun/base/log.h"
#include "frun/base/mono.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct guests {
    struct loop *loop;
    struct issuer_view views[CONF_MAX_ISSUERS];
    bool has_changed;    /* a view, since guests_look() */
    struct list waiting; /* struct guest, in order of until_ms */
    size_t n_waiting;
    struct deadline deadline;                               /* of the first of them */
    uint64_t told_ms[CONF_MAX_ISSUERS + 1][FOREIGN_FAULTS]; /* the last row: no issuer of ours */
};

static void on_deadline(struct deadline *d);

frun_err guests_new(struct loop *l, struct guests **out)
{
    struct guests *g = calloc(1, sizeof(*g));
    if (!g) {
        return FRUN_E_NOMEM;
    }
    g->loop = l;
    list_init(&g->waiting);
    deadline_init(&g->deadline, on_deadline);
    *out = g;
    return FRUN_OK;
}

void guests_free(struct guests *g)
{
    if (!g) {
        return;
    }
    for (struct list *it; (it = list_first(&g->waiting)) != NULL;) {
        guests_forget(list_entry(it, struct guest, node));
    }
    deadline_clear(&g->deadline);
    for (size_t i = 0; i < CONF_MAX_ISSUERS; i++) {
        issuer_view_done(&g->views[i]);
    }
    free(g);
}

uint64_t guests_source(struct span address)
{
    struct cidr c;
    uint64_t out = 0;
    if (cidr_parse(address, &c) != FRUN_OK) {
        return 0;
    }
    memcpy(&out, c.net, sizeof(out)); /* of IPv4 the rest is 0, of IPv6 it is the network */
    return out;
}

bool guests_look(struct guests *g, const struct issuers *s)
{
    bool is_change = g->has_changed;
    g->has_changed = false;
    for (size_t i = 0; i < s->n; i++) {
        is_change |= issuer_look(s->all[i].issuer, &g->views[i]);
    }
    return is_change;
}

/* -- telling
 * ----------------------------------------------------------------------------------------------------
 */

/* In full for the administrator; strangers can make as many wrong tokens as they like, so each kind
 * is told seldom. */
static void tell(struct guests *g, const struct issuers *s, const struct issuers_item *x,
                 const struct foreign_no *no)
{
    static const char *const remedies[FOREIGN_FAULTS] = {
        [FOREIGN_HEADER] = "; see algorithms",
        [FOREIGN_ISSUER] = "; no [issuer] section has this issuer",
        [FOREIGN_KEY] = "; the issuer does not show that key",
        [FOREIGN_EXPIRED] = "; see clock_skew, or the pusher's cache of tokens",
        [FOREIGN_EARLY] = "; compare the clocks, see clock_skew",
        [FOREIGN_LIFETIME] = "; see max_token_lifetime",
        [FOREIGN_NOBODY] = "; see token_client, token_subject and claim of its pushers",
    };
    size_t row = x ? (size_t)(x - s->all) : CONF_MAX_ISSUERS;
    uint64_t now_ms = loop_now_ms(g->loop);
    uint64_t *told_ms = &g->told_ms[row][no->fault];
    if (*told_ms && now_ms < *told_ms + GUESTS_QUIET_MS) {
        return;
    }
    *told_ms = now_ms ? now_ms : 1;
    const struct conf_issuer *c = x ? x->conf : NULL;
    const char *wanted = "";
    const char *value = "";
    if (c && no->fault == FOREIGN_AUDIENCE) {
        wanted = "; expected audience ";
        value = c->audience.items[0];
    } else if (c && no->fault == FOREIGN_SCOPE) {
        wanted = "; expected scope ";
        value = c->scope.items[0];
    } else if (remedies[no->fault]) {
        wanted = remedies[no->fault];
    }
    log_warning("jwt", "%s%s%s%s%s%s%s%s (told once in %d s)", c ? "issuer " : "a token is refused",
                c ? c->place.name : "", ": ", no->why, no->seen[0] ? ", seen: " : "", no->seen,
                wanted, value, GUESTS_QUIET_MS / 1000);
}

/* -- judging
 * ----------------------------------------------------------------------------------------------------
 */

bool guests_is_ours(const struct issuers *s, struct span text)
{
    struct foreign *f = NULL;
    struct foreign_no no;
    if (foreign_open(text, &f, &no)) {
        return false;
    }
    bool is_it = issuers_find(s, foreign_issuer(f)) != NULL;
    foreign_free(f);
    return is_it;
}

static frun_err deny(struct guests *g, const struct issuers *s, const struct issuers_item *x,
                     const struct foreign_no *no, struct guests_verdict *out)
{
    tell(g, s, x, no);
    out->why = no->why;
    return FRUN_E_DENIED;
}

/* The view of the present registry, or of one that is about to go. */
static struct jwks *keys_of(struct guests *g, const struct issuers *s, const struct issuers_item *x)
{
    struct issuer_view *v = &g->views[x - s->all];
    g->has_changed |= issuer_look(x->issuer, v); /* they may come between two looks */
    return v->keys;
}

/* The keys that are here are not enough. One fetch that begins after the token came is asked for,
 * and its keys have the last word: what is made up must not ask again and again. Between two looks
 * a fetch may have ended. */
static frun_err look_again(struct guests *g, const struct issuers *s, const struct issuers_item *x,
                           const struct jwks *seen, struct guest *who)
{
    if (!who->until_ms) {
        who->fetch = issuer_next(x->issuer);
    }
    if (!issuer_has_ended(x->issuer, who->fetch) &&
        issuer_want(x->issuer, who->source, mono_now_ms())) {
        return FRUN_E_AGAIN;
    }
    if (keys_of(g, s, x) != seen) {
        return FRUN_OK;
    }
    return issuer_is_left(x->issuer) ? FRUN_E_CLOSED : FRUN_E_NOT_FOUND;
}

static frun_err verify(struct guests *g, const struct issuers *s, const struct issuers_item *x,
                       const struct foreign *f, struct guest *who, struct guests_verdict *out)
{
    struct foreign_no no = {.fault = FOREIGN_KEY, .seen = ""};
    for (int tries = 0; tries < 2; tries++) {
        const struct jwks *keys = keys_of(g, s, x);
        frun_err err =
            keys ? foreign_verify(f, keys, &x->rules, (uint64_t)time(NULL), &no) : FRUN_E_NOT_FOUND;
        if (!err) {
            issuer_know(x->issuer, who->source);
        }
        if (err != FRUN_E_NOT_FOUND) {
            return err == FRUN_E_NOMEM || !err ? err : deny(g, s, x, &no, out);
        }
        out->why = keys ? no.why : NULL;
        err = look_again(g, s, x, keys, who);
        if (err == FRUN_E_NOT_FOUND) {
            out->may_change = true;
            return keys ? deny(g, s, x, &no, out) : FRUN_E_NOT_FOUND;
        }
        if (err) {
            return err;
        }
    }
    return FRUN_E_NOT_FOUND;
}

frun_err guests_check(struct guests *g, struct registry *r, const struct endpoint *e,
                      struct span text, struct guest *who, struct guests_verdict *out)
{
    const struct issuers *s = registry_issuers(r);
    struct foreign *f = NULL;
    struct foreign_no no = {.fault = FOREIGN_GOOD, .seen = ""};
    frun_err err = foreign_open(text, &f, &no);
    if (err) {
        return err == FRUN_E_NOMEM ? err : deny(g, s, NULL, &no, out);
    }
    const struct issuers_item *x = issuers_find(s, foreign_issuer(f));
    if (!x) {
        foreign_no_issuer(f, &no);
        err = deny(g, s, NULL, &no, out);
    } else {
        err = verify(g, s, x, f, who, out);
    }
    if (!err) {
        out->who = issuers_pusher(s, x, f, e, &out->is_listed);
        out->until_s = foreign_until_s(f, &x->rules);
        if (!out->who) {
            foreign_no_pusher(f, &no);
            err = deny(g, s, x, &no, out);
        }
    }
    foreign_free(f);
    return err;
}

/* -- waiting
 * ----------------------------------------------------------------------------------------------------
 */

bool guests_wait(struct guests *g, struct guest *x, struct registry *r, const struct endpoint *e,
                 struct span text)
{
    uint64_t now_ms = loop_now_ms(g->loop);
    if (!x->until_ms) {
        x->until_ms = now_ms + GUESTS_HOLD_MS;
    }
    if (g->n_waiting >= GUESTS_MAX_WAITING || now_ms >= x->until_ms) {
        return false;
    }
    x->registry = r;
    x->e = e;
    x->text = text;
    x->all = g;
    list_append(&g->waiting, &x->node);
    g->n_waiting++;
    if (!g->deadline.at_ms) {
        deadline_set(g->loop, &g->deadline, x->until_ms - now_ms);
    }
    return true;
}

void guests_forget(struct guest *x)
{
    if (x->all) {
        x->all->n_waiting--;
        x->all = NULL;
        list_remove(&x->node);
    }
}

/* Each once: who waits on stands in the list again, behind those that are still to be called. */
void guests_wake(struct guests *g)
{
    struct list *it;
    for (size_t n = g->n_waiting; n && (it = list_first(&g->waiting)) != NULL; n--) {
        struct guest *x = list_entry(it, struct guest, node);
        guests_forget(x);
        x->fn(x);
    }
}

static void on_deadline(struct deadline *d)
{
    struct guests *g = list_entry(d, struct guests, deadline);
    guests_wake(g);
    if (g->n_waiting && !d->at_ms) {
        deadline_set(g->loop, d, GUESTS_HOLD_MS / 10);
    }
}
