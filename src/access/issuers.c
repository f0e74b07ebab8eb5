/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/issuers.h"

#include "frun/access/registry.h"
#include "frun/fetch/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Octets of a key of by_name: number of the issuer, kind, and the longest name. */
#define NAME_MAX_BYTES 300

/* Pushers that a client ID or subject may mean, in order of the configuration. */
struct holder {
    const struct pusher *p;
    struct holder *next;
};

/* What tokens call somebody: 'c' a client, 's' a subject. */
static struct span name_of(size_t issuer, char kind, struct span text, char out[NAME_MAX_BYTES])
{
    int n = snprintf(out, NAME_MAX_BYTES, "%zu%c%.*s", issuer, kind, SPAN_FMT(text));
    return n > 0 && n < NAME_MAX_BYTES ? span_make(out, (size_t)n) : (struct span){NULL, 0};
}

static struct foreign_rules rules_of(const struct conf_issuer *c)
{
    struct foreign_rules r = {.audience = c->audience.items,
                              .n_audience = c->audience.n,
                              .scope = c->scope.items,
                              .n_scope = c->scope.n,
                              .scope_claim = c->scope_claim.items,
                              .n_scope_claim = c->scope_claim.n,
                              .skew_s = c->clock_skew_ms / 1000,
                              .max_lifetime_s = c->max_token_lifetime_ms / 1000};
    for (size_t i = 0; i < c->algorithms.n; i++) {
        r.algs |= jwks_alg(span_of(c->algorithms.items[i]));
    }
    return r;
}

/* With the keys it has, if it was there before. */
static frun_err take(const struct issuers *s, const struct conf_issuer *c, struct issuer **out)
{
    for (size_t i = 0; s->before && i < s->before->n; i++) {
        if (issuer_is_of(s->before->all[i].issuer, c)) {
            *out = issuer_ref(s->before->all[i].issuer);
            return FRUN_OK;
        }
    }
    return issuer_new(c, out);
}

/* Told at the start, not by the first token. */
static frun_err need_client(const struct conf_gw *c, FILE *report)
{
    struct diag d = {.text = ""};
    frun_err err = fetch_load(&d);
    if (err == FRUN_E_UNSUPPORTED && report) {
        conf_place_print(c->doc, report, true, c->issuers[0], "issuer", d.text);
    }
    return err;
}

frun_err issuers_fill(struct issuers *s, const struct conf_gw *c, struct arena *arena, FILE *report)
{
    s->arena = arena;
    if (!c->n_issuers) {
        return FRUN_OK;
    }
    frun_err bad = need_client(c, report);
    if (bad) {
        return bad;
    }
    s->all = calloc(c->n_issuers, sizeof(*s->all));
    frun_err err = s->all ? map_new(false, &s->by_name) : FRUN_E_NOMEM;
    for (size_t i = 0; !err && i < c->n_issuers; i++) {
        s->all[i].conf = c->issuers[i];
        s->all[i].rules = rules_of(c->issuers[i]);
        err = take(s, c->issuers[i], &s->all[i].issuer);
        s->n = i + 1;
    }
    return err;
}

void issuers_done(struct issuers *s)
{
    for (size_t i = 0; i < s->n; i++) {
        issuer_unref(&s->all[i].issuer);
    }
    map_free(s->by_name);
    free(s->all);
    *s = (struct issuers){.all = NULL};
}

static frun_err add_name(struct issuers *s, const struct pusher *p, char kind, const char *text)
{
    struct span key = {NULL, 0};
    struct holder *h = arena_alloc(s->arena, sizeof(*h));
    frun_err err = h ? arena_printf(s->arena, &key, "%zu%c%s", p->conf->issuer_index, kind, text)
                     : FRUN_E_NOMEM;
    if (err) {
        return err;
    }
    *h = (struct holder){p, NULL};
    struct holder *at = map_get(s->by_name, key);
    if (!at) {
        return map_put(s->by_name, key, h);
    }
    while (at->next) {
        at = at->next;
    }
    at->next = h;
    return FRUN_OK;
}

/* By its clients if it has any: then the subject is only one more thing that must fit. */
frun_err issuers_add(struct issuers *s, const struct pusher *p)
{
    const struct conf_pusher *c = p->conf;
    bool has_client = c->token_client.n > 0;
    const struct conf_list *names = has_client ? &c->token_client : &c->token_subject;
    frun_err err = FRUN_OK;
    for (size_t i = 0; !err && i < names->n; i++) {
        err = add_name(s, p, has_client ? 'c' : 's', names->items[i]);
    }
    return err;
}

const struct issuers_item *issuers_find(const struct issuers *s, struct span iss)
{
    for (size_t i = 0; iss.n && i < s->n; i++) {
        if (span_eq(iss, span_of(s->all[i].conf->issuer))) {
            return &s->all[i];
        }
    }
    return NULL;
}

/* What else a pusher asks of its tokens. */
static bool is_meant(const struct conf_pusher *c, const struct foreign *f)
{
    struct span subject = foreign_subject(f);
    bool is_it = c->token_subject.n == 0;
    for (size_t i = 0; subject.n && !is_it && i < c->token_subject.n; i++) {
        is_it = span_eq(subject, span_of(c->token_subject.items[i]));
    }
    for (size_t i = 0; is_it && i < c->claim.n; i++) {
        is_it = foreign_has(f, span_of(c->claims[i].name), span_of(c->claims[i].value));
    }
    return is_it;
}

const struct pusher *issuers_pusher(const struct issuers *s, const struct issuers_item *x,
                                    const struct foreign *f, const struct endpoint *e,
                                    bool *is_listed)
{
    char room[NAME_MAX_BYTES];
    const struct pusher *first = NULL;
    const struct {
        char kind;
        struct span text;
    } names[] = {{'c', foreign_client(f)}, {'s', foreign_subject(f)}};
    *is_listed = false;
    for (size_t i = 0; i < 2; i++) {
        struct span key = names[i].text.n
                              ? name_of((size_t)(x - s->all), names[i].kind, names[i].text, room)
                              : names[i].text;
        const struct holder *h = key.n ? map_get(s->by_name, key) : NULL;
        for (; h; h = h->next) {
            if (!is_meant(h->p->conf, f)) {
                continue;
            }
            if (registry_may(h->p, e)) {
                *is_listed = true;
                return h->p;
            }
            first = first ? first : h->p;
        }
    }
    return first;
}
