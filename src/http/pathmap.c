/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/pathmap.h"

#include "frun/http/uri.h"

#include <stdbool.h>
#include <string.h>

static bool is_all(struct span s)
{
    return s.n == 1 && s.p[0] == '/';
}

/* The rule for a path of the pusher. */
static const struct pathmap_rule *find(const struct pathmap *m, struct span path)
{
    const struct pathmap_rule *best = NULL;
    for (size_t i = 0; i < m->n; i++) {
        const struct pathmap_rule *r = &m->rules[i];
        if (uri_is_under(path, r->from) && (!best || r->from.n > best->from.n)) {
            best = r;
        }
    }
    return best;
}

static frun_err join(struct span head, struct span tail, struct arena *a, struct span *out)
{
    char *to = arena_alloc(a, head.n + tail.n + 1);
    if (!to) {
        return FRUN_E_NOMEM;
    }
    memcpy(to, head.p, head.n);
    if (tail.n) {
        memcpy(to + head.n, tail.p, tail.n);
    }
    *out = span_make(to, head.n + tail.n);
    return FRUN_OK;
}

frun_err pathmap_forward(const struct pathmap *m, struct span path, struct arena *a,
                         struct span *out)
{
    const struct pathmap_rule *r = m->n ? find(m, path) : NULL;
    if (!r) {
        *out = path;
        return FRUN_OK;
    }
    return join(r->to, is_all(r->from) ? path : span_skip(path, r->from.n), a, out);
}

/* Where the path ends and a query or fragment begins. */
static size_t path_len(struct span s)
{
    size_t query = span_find(s, '?');
    size_t fragment = span_find(s, '#');
    return query < fragment ? query : fragment;
}

/* What @p r makes of a path of Focused Run; absent if the way forward would not lead there again.
 */
static frun_err reverse(const struct pathmap *m, const struct pathmap_rule *r, struct span path,
                        struct arena *a, struct span *out)
{
    size_t n = path_len(path);
    *out = (struct span){0};
    if (!uri_is_under(span_head(path, n), r->to)) {
        return FRUN_OK;
    }
    struct span tail = span_skip(path, r->to.n);
    struct span back = tail;
    if (is_all(r->from) && (path_len(tail) < 2 || tail.p[1] == '/')) {
        return FRUN_OK; /* the bare root is not mapped, and two slashes begin another host */
    }
    if (!is_all(r->from)) {
        frun_err err = join(r->from, tail, a, &back);
        if (err) {
            return err;
        }
    }
    if (find(m, span_head(back, path_len(back))) == r) {
        *out = back;
    }
    return FRUN_OK;
}

frun_err pathmap_back(const struct pathmap *m, struct span path, struct arena *a, struct span *out)
{
    struct span best = path;
    size_t best_len = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct span back;
        if (m->rules[i].to.n <= best_len) {
            continue;
        }
        frun_err err = reverse(m, &m->rules[i], path, a, &back);
        if (err) {
            return err;
        }
        if (back.p) {
            best = back;
            best_len = m->rules[i].to.n;
        }
    }
    *out = best;
    return FRUN_OK;
}
