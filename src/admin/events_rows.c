/**
 * Rows: each with the version at which it last changed. What is gone stays as a row without a text,
 * for listeners that still have it; when there are too many of those, everything begins anew.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "events_int.h"

#include "frun/base/map.h"

#include <stdlib.h>
#include <string.h>

/** Octets of rows from which on an event is sent. */
#define EVENT_BYTES 32768

/** So many rows may be gone before everything begins anew, and as many as there are. */
#define GONE_MIN 64

struct row {
    char *key;  /* raw JSON, with its quotes */
    char *text; /* NULL: gone */
    size_t n;
    uint64_t version;
    bool is_there; /* in the text that is being taken */
};

struct events_rows {
    const char *key;
    struct map *by_key;
    struct row *rows;
    size_t n;
    size_t cap;
    size_t n_gone;
    uint64_t version;
    uint64_t epoch;
};

frun_err events_rows_new(const char *key, struct events_rows **out)
{
    struct events_rows *x = calloc(1, sizeof(*x));
    frun_err err = x ? map_new(false, &x->by_key) : FRUN_E_NOMEM;
    if (err) {
        free(x);
        return err;
    }
    x->key = key;
    x->epoch = 1;
    *out = x;
    return FRUN_OK;
}

static void clear(struct events_rows *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->rows[i].key);
        free(x->rows[i].text);
    }
    map_free(x->by_key);
    x->by_key = NULL;
    x->n = 0;
    x->n_gone = 0;
}

void events_rows_free(struct events_rows *x)
{
    if (x) {
        clear(x);
        free(x->rows);
        free(x);
    }
}

/* -- reading
 * -------------------------------------------------------------------------------------------------
 */

/* The string that begins at a quote, with its quotes; absent: it does not end. */
static struct span cut_string(struct span s)
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            return span_head(s, i + 1);
        }
    }
    return (struct span){0};
}

/* Is it the name of the key, with its quotes? */
static bool is_key(struct span string, const char *key)
{
    size_t n = strlen(key);
    return string.n == n + 2 && memcmp(string.p + 1, key, n) == 0;
}

/* The object at the beginning of a text, and the string that its key has. */
static frun_err cut_object(struct span s, const char *key, struct span *object, struct span *name)
{
    size_t depth = 0;
    bool is_next = false; /* the key's string follows */
    *name = (struct span){0};
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') {
            struct span string = cut_string(span_skip(s, i));
            if (!string.p) {
                return FRUN_E_SYNTAX;
            }
            i += string.n - 1;
            if (is_next) {
                *name = string;
            }
            is_next =
                depth == 1 && !name->p && i + 1 < s.n && s.p[i + 1] == ':' && is_key(string, key);
        } else if (s.p[i] == '{' || s.p[i] == '[') {
            depth++;
        } else if ((s.p[i] == '}' || s.p[i] == ']') && --depth == 0) {
            *object = span_head(s, i + 1);
            return name->p ? FRUN_OK : FRUN_E_SYNTAX;
        }
    }
    return FRUN_E_SYNTAX;
}

/* -- taking
 * -------------------------------------------------------------------------------------------------
 */

static frun_err grow(struct events_rows *x)
{
    if (x->n < x->cap) {
        return FRUN_OK;
    }
    size_t cap = x->cap ? x->cap * 2 : 64;
    struct row *more = realloc(x->rows, cap * sizeof(*more));
    if (!more) {
        return FRUN_E_NOMEM;
    }
    x->rows = more;
    x->cap = cap;
    return FRUN_OK;
}

/* The map has numbers, from 1 on: the rows move. */
static frun_err find(struct events_rows *x, struct span key, struct row **out)
{
    size_t at = (size_t)(uintptr_t)map_get(x->by_key, key);
    if (at) {
        *out = &x->rows[at - 1];
        return FRUN_OK;
    }
    frun_err err = grow(x);
    char *copy = err ? NULL : strndup(key.p, key.n);
    if (!copy) {
        return FRUN_E_NOMEM;
    }
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number, never followed */
    err = map_put(x->by_key, span_make(copy, key.n), (void *)(uintptr_t)(x->n + 1));
    if (err) {
        free(copy);
        return err;
    }
    x->rows[x->n] = (struct row){.key = copy};
    x->n_gone++; /* until it has a text */
    *out = &x->rows[x->n++];
    return FRUN_OK;
}

static frun_err take_row(struct events_rows *x, struct span key, struct span text, uint64_t version)
{
    struct row *r = NULL;
    frun_err err = find(x, key, &r);
    if (err) {
        return err;
    }
    r->is_there = true;
    if (r->text && span_eq(text, span_make(r->text, r->n))) {
        return FRUN_OK;
    }
    char *copy = malloc(text.n);
    if (!copy) {
        return FRUN_E_NOMEM;
    }
    memcpy(copy, text.p, text.n);
    x->n_gone -= r->text ? 0 : 1;
    free(r->text);
    r->text = copy;
    r->n = text.n;
    r->version = x->version = version;
    return FRUN_OK;
}

static void drop_others(struct events_rows *x, uint64_t version)
{
    for (size_t i = 0; i < x->n; i++) {
        struct row *r = &x->rows[i];
        if (!r->is_there && r->text) {
            free(r->text);
            r->text = NULL;
            r->version = x->version = version;
            x->n_gone++;
        }
    }
}

static frun_err begin(struct events_rows *x)
{
    if (x->n_gone > GONE_MIN && x->n_gone * 2 > x->n) {
        clear(x);
        x->epoch++;
    }
    for (size_t i = 0; i < x->n; i++) {
        x->rows[i].is_there = false;
    }
    return x->by_key ? FRUN_OK : map_new(false, &x->by_key);
}

frun_err events_rows_take(struct events_rows *x, struct span text)
{
    uint64_t version = x->version + 1;
    frun_err err = begin(x);
    struct span rest = span_skip(text, span_find(text, '['));
    while (!err && rest.n > 1 && (rest.p[0] == '[' || rest.p[0] == ',') && rest.p[1] == '{') {
        struct span object = {0};
        struct span key = {0};
        rest = span_skip(rest, 1);
        err = cut_object(rest, x->key, &object, &key);
        err = err ? err : take_row(x, key, object, version);
        rest = span_skip(rest, object.n);
    }
    if (!err) {
        drop_others(x, version);
    }
    return err;
}

/* -- sending
 * -------------------------------------------------------------------------------------------------
 */

bool events_rows_has(const struct events_rows *x, const struct events_place *p)
{
    return x->version > 0 && (p->epoch != x->epoch || p->at > 0 || p->seen < x->version);
}

static frun_err put_list(const struct events_rows *x, const struct events_place *p, size_t to,
                         bool is_gone, struct buf *out)
{
    frun_err err = FRUN_OK;
    bool is_more = false;
    for (size_t i = p->at; !err && i < to; i++) {
        const struct row *r = &x->rows[i];
        if (r->version <= p->seen || !r->text != is_gone) {
            continue;
        }
        err = is_more ? buf_put(out, SPAN_LIT(",")) : FRUN_OK;
        err = err       ? err
              : is_gone ? buf_put(out, span_of(r->key))
                        : buf_put(out, span_make(r->text, r->n));
        is_more = true;
    }
    return err;
}

/* The end of the rows that one event takes. */
static size_t end_of_event(const struct events_rows *x, const struct events_place *p)
{
    size_t bytes = 0;
    size_t i = p->at;
    while (i < x->n && bytes < EVENT_BYTES) {
        bytes += x->rows[i].version > p->seen ? x->rows[i].n + 1 : 0;
        i++;
    }
    return i;
}

frun_err events_rows_put(const struct events_rows *x, struct events_place *p, struct buf *out)
{
    struct events_place now = *p;
    bool is_first = now.epoch != x->epoch;
    size_t len = buf_len(out);
    if (is_first) {
        now = (struct events_place){.epoch = x->epoch};
    }
    if (now.at == 0) {
        now.until = x->version;
    }
    size_t to = end_of_event(x, &now);
    frun_err err = buf_printf(out, "{\"first\":%s,\"last\":%s,\"set\":[",
                              is_first ? "true" : "false", to == x->n ? "true" : "false");
    err = err ? err : put_list(x, &now, to, false, out);
    err = err ? err : buf_put(out, SPAN_LIT("],\"gone\":["));
    err = err || is_first ? err : put_list(x, &now, to, true, out);
    err = err ? err : buf_put(out, SPAN_LIT("]}"));
    if (err) {
        out->tail -= buf_len(out) - len;
        return err;
    }
    now.at = to;
    if (to == x->n) {
        now.at = 0;
        now.seen = now.until;
    }
    *p = now;
    return FRUN_OK;
}
