/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/memo.h"

#include "frun/base/mono.h"
#include "frun/base/secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/** Heads of chains for each entry: most chains have one. */
#define MEMO_CHAINS_EACH 2

/** Entries of which one gives way. */
#define MEMO_SAMPLE 8

struct memo {
    struct memo_entry *entries;
    uint16_t *chains; /* first entry, counted from 1; 0: none */
    size_t max;
    size_t n_used;           /* entries that have ever been filled; the first ones */
    size_t hand;             /* where the search for expired ones goes on */
    uint64_t none_before_ms; /* until then no search: nothing can have expired */
};

frun_err memo_new(size_t max, struct memo **out)
{
    assert(max >= 1 && max <= MEMO_MAX_ENTRIES && (max & (max - 1)) == 0);
    struct memo *m = calloc(1, sizeof(*m));
    if (!m) {
        return FRUN_E_NOMEM;
    }
    m->max = max;
    m->entries = calloc(max, sizeof(*m->entries));
    m->chains = calloc(max * MEMO_CHAINS_EACH, sizeof(*m->chains));
    if (!m->entries || !m->chains) {
        memo_free(m);
        return FRUN_E_NOMEM;
    }
    *out = m;
    return FRUN_OK;
}

void memo_free(struct memo *m)
{
    if (!m) {
        return;
    }
    if (m->entries) {
        secret_wipe(m->entries, m->n_used * sizeof(*m->entries));
    }
    free(m->entries);
    free(m->chains);
    free(m);
}

static uint16_t *chain_of(const struct memo *m, const struct memo_tag *tag)
{
    uint32_t x = 0;
    memcpy(&x, tag->octets, sizeof(x));
    return &m->chains[x & (m->max * MEMO_CHAINS_EACH - 1)];
}

static struct memo_entry *lookup(const struct memo *m, const struct memo_tag *tag)
{
    for (size_t i = *chain_of(m, tag); i; i = m->entries[i - 1].next) {
        struct memo_entry *e = &m->entries[i - 1];
        if (secret_equal(span_make(e->tag.octets, MEMO_TAG_BYTES),
                         span_make(tag->octets, MEMO_TAG_BYTES))) {
            return e;
        }
    }
    return NULL;
}

struct memo_entry *memo_find(struct memo *m, const struct memo_tag *tag, uint64_t now_ms)
{
    struct memo_entry *e = lookup(m, tag);
    if (!e || e->until_ms <= now_ms) {
        return NULL;
    }
    e->is_used_again = true;
    return e;
}

/* Often looks at a few entries, and at all of them when none has expired,
 * but then not again before the first of them does. */
static struct memo_entry *find_expired(struct memo *m, uint64_t now_ms)
{
    uint64_t first_ms = UINT64_MAX;
    if (now_ms < m->none_before_ms) {
        return NULL;
    }
    for (size_t n = 0; n < m->n_used; n++) {
        m->hand = m->hand + 1 < m->n_used ? m->hand + 1 : 0;
        struct memo_entry *e = &m->entries[m->hand];
        if (e->until_ms <= now_ms) {
            return e;
        }
        first_ms = e->until_ms < first_ms ? e->until_ms : first_ms;
    }
    m->none_before_ms = first_ms;
    return NULL;
}

/* Those looked at lie apart, because neighbours were put, and perhaps used, together. */
static struct memo_entry *find_victim(struct memo *m)
{
    size_t at = (size_t)mono_entropy_below(m->max);
    for (size_t i = 0; i < MEMO_SAMPLE; i++) {
        struct memo_entry *e = &m->entries[(at + i * (m->max / MEMO_SAMPLE + 1)) & (m->max - 1)];
        if (!e->is_used_again) {
            return e;
        }
    }
    return &m->entries[at];
}

static void take_out(struct memo *m, const struct memo_entry *e)
{
    uint16_t *link = chain_of(m, &e->tag);
    while (&m->entries[*link - 1] != e) {
        link = &m->entries[*link - 1].next;
    }
    *link = e->next;
}

/* An entry that is in no chain. */
static struct memo_entry *make_room(struct memo *m, const struct memo_tag *tag, uint64_t now_ms)
{
    assert(m->entries); /* so what lookup() finds is not taken for nothing, also by the analyser */
    struct memo_entry *e = lookup(m, tag);
    if (!e) {
        e = find_expired(m, now_ms);
    }
    if (!e && m->n_used < m->max) {
        return &m->entries[m->n_used++];
    }
    if (!e) {
        e = find_victim(m);
    }
    take_out(m, e);
    return e;
}

void memo_put(struct memo *m, const struct memo_entry *e, uint64_t now_ms)
{
    struct memo_entry *mine = make_room(m, &e->tag, now_ms);
    uint16_t *chain = chain_of(m, &e->tag);
    *mine = *e;
    mine->is_used_again = false;
    mine->next = *chain;
    *chain = (uint16_t)(mine - m->entries + 1);
    if (e->until_ms < m->none_before_ms) {
        m->none_before_ms = e->until_ms;
    }
}

void memo_review(struct memo *m, uint64_t now_ms, bool (*keep)(void *ctx, struct memo_entry *e),
                 void *ctx)
{
    for (size_t i = 0; i < m->n_used; i++) {
        struct memo_entry *e = &m->entries[i];
        if (e->until_ms > now_ms) {
            bool is_kept = keep(ctx, e);
            e->until_ms = !is_kept ? 0 : e->until_ms < e->limit_ms ? e->until_ms : e->limit_ms;
        } else {
            e->until_ms = 0; /* what it points at may go */
        }
    }
    m->none_before_ms = 0;
}

void memo_forget(struct memo *m, unsigned way)
{
    for (size_t i = 0; i < m->n_used; i++) {
        if (m->entries[i].way == way) {
            m->entries[i].until_ms = 0;
        }
    }
    m->none_before_ms = 0;
}
