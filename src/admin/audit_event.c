/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_int.h"

#include "frun/base/mono.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* -- as text
 * -------------------------------------------------------------------------------------------------
 */

/* Octets that would break a JSON text, or are no ASCII, as \u00XX. */
static size_t put_text(char *out, size_t at, const char *name, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    size_t room = AUDIT_VALUE_BYTES;

    if (!s.p) {
        return at;
    }
    at += (size_t)snprintf(out + at, CHAIN_RECORD_BYTES - at, ",\"%s\":\"", name);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
        size_t n = is_plain ? 1 : 6;
        if (n > room) {
            break;
        }
        room -= n;
        if (is_plain) {
            out[at++] = (char)c;
        } else {
            const char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            memcpy(out + at, esc, sizeof(esc));
            at += sizeof(esc);
        }
    }
    out[at++] = '"';
    return at;
}

size_t audit_write(const struct audit_event *e, uint64_t repeats, char *out)
{
    char now[MONO_WALL_TEXT_BYTES];

    mono_wall_text(now);
    size_t at =
        (size_t)snprintf(out, CHAIN_RECORD_BYTES, "\"time\":\"%s\",\"event\":\"%s\"", now, e->name);
    at = put_text(out, at, "outcome", span_of(e->outcome));
    at = put_text(out, at, "who", e->who);
    at = put_text(out, at, "from", e->from);
    at = put_text(out, at, "object", e->object);
    at = put_text(out, at, "detail", e->detail);
    if (repeats) {
        at += (size_t)snprintf(out + at, CHAIN_RECORD_BYTES - at, ",\"again\":%" PRIu64, repeats);
    }
    return at;
}

/* -- counting what comes again
 * ------------------------------------------------------------------------------- */

static void texts_of(const struct audit_event *e, struct span out[4])
{
    out[0] = e->who;
    out[1] = e->from;
    out[2] = e->object;
    out[3] = e->detail;
}

static struct span text_at(const struct audit_slot *s, size_t i)
{
    size_t at = 0;
    if (s->len[i] == SIZE_MAX) {
        return (struct span){0};
    }
    for (size_t k = 0; k < i; k++) {
        at += s->len[k] == SIZE_MAX ? 0 : s->len[k];
    }
    return span_make(s->text + at, s->len[i]);
}

/* The same but for the words: who, from where, to what. */
static bool is_same(const struct audit_slot *s, const struct audit_event *e)
{
    struct span texts[4];
    if (!s->name || strcmp(s->name, e->name) != 0 || strcmp(s->outcome, e->outcome) != 0) {
        return false;
    }
    texts_of(e, texts);
    for (size_t i = 0; i < 3 && !s->is_rest; i++) {
        struct span mine = text_at(s, i);
        struct span whole = texts[i];
        whole.n = whole.n > AUDIT_SLOT_BYTES / 4 ? AUDIT_SLOT_BYTES / 4 : whole.n;
        if (!mine.p != !whole.p || !span_eq(mine, whole)) {
            return false;
        }
    }
    return true;
}

static void fill(struct audit_slot *s, const struct audit_event *e, bool is_rest, uint64_t now_ms)
{
    struct span texts[4];
    size_t at = 0;

    texts_of(e, texts);
    *s = (struct audit_slot){
        .name = e->name, .outcome = e->outcome, .since_ms = now_ms, .is_rest = is_rest};
    for (size_t i = 0; i < 4; i++) {
        if (!texts[i].p || is_rest) {
            s->len[i] = SIZE_MAX;
            continue;
        }
        s->len[i] = texts[i].n > AUDIT_SLOT_BYTES / 4 ? AUDIT_SLOT_BYTES / 4 : texts[i].n;
        if (s->len[i]) {
            memcpy(s->text + at, texts[i].p, s->len[i]);
        }
        at += s->len[i];
    }
}

/* A quarter is kept for those that stand for all the rest, one for each name. */
#define OWN_SLOTS (AUDIT_SLOTS * 3 / 4)

bool audit_repeats_is_new(struct audit_repeats *r, const struct audit_event *e, uint64_t now_ms)
{
    struct audit_slot *rest = NULL;
    struct audit_slot *free_one = NULL;

    for (size_t i = 0; i < AUDIT_SLOTS; i++) {
        struct audit_slot *s = &r->slots[i];
        if (!s->name) {
            free_one = free_one ? free_one : s;
        } else if (is_same(s, e)) {
            if (!s->is_rest) {
                s->repeats++;
                return false;
            }
            rest = s;
        }
    }
    if (rest) {
        rest->repeats++;
        return false;
    }
    if (!free_one) {
        return false;
    }
    bool is_rest = r->n >= OWN_SLOTS;
    fill(free_one, e, is_rest, now_ms);
    r->n++;
    free_one->repeats = is_rest ? 1 : 0;
    return !is_rest;
}

bool audit_repeats_take(struct audit_repeats *r, uint64_t now_ms, struct audit_event *e,
                        struct audit_slot *copy, uint64_t *repeats)
{
    for (size_t i = 0; r->n > 0 && i < AUDIT_SLOTS; i++) {
        struct audit_slot *s = &r->slots[i];
        if (!s->name || (now_ms != UINT64_MAX && now_ms - s->since_ms < AUDIT_WINDOW_MS)) {
            continue;
        }
        *copy = *s;
        s->name = NULL;
        r->n--;
        if (copy->repeats == 0) {
            continue;
        }
        *e = (struct audit_event){.name = copy->name,
                                  .outcome = copy->outcome,
                                  .who = text_at(copy, 0),
                                  .from = text_at(copy, 1),
                                  .object = text_at(copy, 2),
                                  .detail = copy->is_rest
                                                ? SPAN_LIT("too many different ones to tell apart")
                                                : text_at(copy, 3)};
        *repeats = copy->repeats;
        return true;
    }
    return false;
}
