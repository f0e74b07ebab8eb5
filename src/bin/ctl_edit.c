/**
 * Changing a few keys of one section in a configuration file, everything else octet by octet as it
 * was: comments, order, blanks.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_edit.h"

#include "frun/base/buf.h"

#include <string.h>

/* The file under way. */
struct work {
    struct buf out;
    size_t insert_at; /* behind the section's last key */
    const char *eol;
    const struct ctl_edit *edits;
    size_t n_edits;
    unsigned done; /* bits: which edits have found their line */
};

static frun_err put_edit(struct work *w, struct buf *to, const struct ctl_edit *e)
{
    return e->value ? buf_printf(to, "%s = %s%s", e->key, e->value, w->eol) : FRUN_OK;
}

/* The edit whose key this line sets, or NULL. */
static const struct ctl_edit *edit_of(const struct work *w, struct span line)
{
    size_t eq = span_find(line, '=');
    struct span key = span_trim(span_head(line, eq));
    for (size_t i = 0; eq < line.n && i < w->n_edits; i++) {
        if (span_eq(key, span_of(w->edits[i].key))) {
            return &w->edits[i];
        }
    }
    return NULL;
}

/* One line of the section: kept, replaced, or dropped if the key stood above already. */
static frun_err take_line(struct work *w, struct span whole, struct span line)
{
    struct span text = span_trim(line);
    const struct ctl_edit *e = edit_of(w, text);
    frun_err err = FRUN_OK;
    if (!e) {
        err = buf_put(&w->out, whole);
    } else if (!(w->done & 1U << (e - w->edits))) {
        err = put_edit(w, &w->out, e);
        w->done |= 1U << (e - w->edits);
    }
    if (!err && text.n && text.p[0] != ';' && text.p[0] != '#') {
        w->insert_at = buf_len(&w->out);
    }
    return err;
}

/* Both words of a section's head, as the parser takes them apart. */
static struct span words(struct span name, struct span *rest)
{
    size_t n = 0;
    while (n < name.n && name.p[n] != ' ' && name.p[n] != '\t') {
        n++;
    }
    *rest = span_trim(span_skip(name, n));
    return span_head(name, n);
}

static bool is_head(struct span line, const char *title)
{
    struct span mark = SPAN_LIT("\xef\xbb\xbf"); /* some editors begin a file with it */
    struct span s = span_trim(span_starts(line, mark) ? span_skip(line, mark.n) : line);
    struct span name;
    struct span want;
    if (!s.n || s.p[0] != '[') {
        return false;
    }
    s = span_trim(span_head(span_skip(s, 1), span_find(span_skip(s, 1), ']')));
    return span_eq(words(s, &name), words(span_of(title), &want)) && span_eq(name, want);
}

/* Walk through the lines; FRUN_E_NOT_FOUND: the section does not stand where it stood. */
static frun_err rewrite(struct work *w, struct span text, const struct ctl_place *at)
{
    struct span rest = text;
    bool is_inside = false;
    bool is_found = false;
    frun_err err = FRUN_OK;
    for (unsigned no = 1; !err && rest.n; no++) {
        size_t n = span_find(rest, '\n');
        struct span line = span_head(rest, n);
        struct span whole = span_head(rest, n < rest.n ? n + 1 : n);
        rest = span_skip(rest, whole.n);
        if (line.n && line.p[line.n - 1] == '\r') {
            line.n--;
            w->eol = "\r\n";
        }
        struct span trimmed = span_trim(line);
        bool is_section = trimmed.n && trimmed.p[0] == '[';
        if ((no == at->line || !at->line) && is_head(line, at->title)) {
            is_inside = is_found = true;
            err = buf_put(&w->out, whole);
            if (!err && whole.n == line.n) {
                err = buf_put(&w->out, span_of(w->eol)); /* the file ended here */
            }
            w->insert_at = buf_len(&w->out);
            continue;
        }
        is_inside = is_inside && !is_section;
        err = is_inside ? take_line(w, whole, line) : buf_put(&w->out, whole);
        if (!err && is_inside && !rest.n && whole.n == n) {
            err = buf_put(&w->out, span_of(w->eol));
            w->insert_at = buf_len(&w->out);
        }
    }
    return err ? err : is_found ? FRUN_OK : FRUN_E_NOT_FOUND;
}

/* The result: what was walked through, with the new keys put in. */
static frun_err assemble(struct work *w, struct buf *to)
{
    struct span all = buf_span(&w->out);
    frun_err err = buf_put(to, span_head(all, w->insert_at));
    for (size_t i = 0; !err && i < w->n_edits; i++) {
        err = w->done & 1U << i ? FRUN_OK : put_edit(w, to, &w->edits[i]);
    }
    return err ? err : buf_put(to, span_skip(all, w->insert_at));
}

frun_err ctl_edit_text(struct span text, const struct ctl_place *at, const struct ctl_edit *edits,
                       size_t n, struct buf *out)
{
    struct work w = {.eol = "\n", .edits = edits, .n_edits = n};
    buf_init(&w.out, CTL_EDIT_MAX_BYTES);
    frun_err err = rewrite(&w, text, at);
    err = err ? err : assemble(&w, out);
    buf_done(&w.out);
    return err;
}

/* A line without its end and the blanks around it. */
static struct span bare(struct span whole)
{
    while (whole.n && (whole.p[whole.n - 1] == '\n' || whole.p[whole.n - 1] == '\r')) {
        whole.n--;
    }
    return span_trim(whole);
}

/* What leaving a section out goes by. */
struct dropping {
    const char *title;
    struct span
        kept; /* comments behind the section's last key so far: they may be the next one's */
    bool is_inside;
    bool is_found;
};

/* A line of the section that goes. */
static void drop_line(struct dropping *d, struct span whole, struct span line)
{
    bool is_comment = line.n && (line.p[0] == ';' || line.p[0] == '#');
    if (d->kept.n && (is_comment || !line.n)) {
        d->kept.n += whole.n;
    } else {
        d->kept = is_comment ? whole : span_make(NULL, 0);
    }
}

static frun_err pass_line(struct dropping *d, struct span whole, struct buf *out)
{
    struct span line = bare(whole);
    frun_err err = FRUN_OK;
    if (line.n && line.p[0] == '[') {
        err = d->kept.n ? buf_put(out, d->kept) : FRUN_OK;
        d->kept = span_make(NULL, 0);
        d->is_inside = is_head(line, d->title);
        d->is_found |= d->is_inside;
    } else if (d->is_inside) {
        drop_line(d, whole, line);
    }
    return err || d->is_inside ? err : buf_put(out, whole);
}

frun_err ctl_edit_drop(struct span text, const char *title, struct buf *out)
{
    struct dropping d = {.title = title};
    struct span rest = text;
    frun_err err = FRUN_OK;
    while (!err && rest.n) {
        size_t n = span_find(rest, '\n');
        struct span whole = span_head(rest, n < rest.n ? n + 1 : n);
        rest = span_skip(rest, whole.n);
        err = pass_line(&d, whole, out);
    }
    err = err || !d.kept.n ? err : buf_put(out, d.kept);
    return err ? err : d.is_found ? FRUN_OK : FRUN_E_NOT_FOUND;
}
