/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/doc.h"

#include "doc_int.h"
#include "frun/base/buf.h"
#include "frun/conf/check.h"
#include "frun/conf/ini.h"
#include "schema_int.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Octets in front of a section's structure. */
#define META_BYTES                                                                                 \
    ((sizeof(struct conf_meta) + alignof(max_align_t) - 1) / alignof(max_align_t) *                \
     alignof(max_align_t))

struct conf_meta *conf_meta_of(const void *section)
{
    /* sections are handed out const, their bookkeeping is the document's own */
    return (struct conf_meta *)((uintptr_t)section - META_BYTES);
}

void *conf_alloc(struct conf_doc *d, size_t n)
{
    void *p = arena_alloc(&d->arena, n);
    if (!p) {
        d->is_starved = true;
        return NULL;
    }
    memset(p, 0, n);
    return p;
}

const char *conf_copy(struct conf_doc *d, struct span s)
{
    struct span out;
    if (arena_copy(&d->arena, s.n ? s : SPAN_LIT(""), &out)) {
        d->is_starved = true;
        return NULL;
    }
    return out.p;
}

static const char *text_v(struct conf_doc *d, const char *fmt, va_list ap) FRUN_PRINTF(2, 0);

static const char *text_v(struct conf_doc *d, const char *fmt, va_list ap)
{
    char line[4352]; /* a path of PATH_MAX and words around it */
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    const char *copy = conf_copy(d, span_of(line));
    return copy ? copy : "";
}

const char *conf_text(struct conf_doc *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = text_v(d, fmt, ap);
    va_end(ap);
    return text;
}

/* Room for one more issue; false: none. */
static bool issues_grow(struct conf_doc *d)
{
    if (d->n_issues < d->issues_cap) {
        return true;
    }
    size_t cap = d->issues_cap ? d->issues_cap * 2 : 16;
    struct conf_issue *issues = conf_alloc(d, cap * sizeof(*issues));
    struct conf_issue_key *keys = conf_alloc(d, cap * sizeof(*keys));
    if (!issues || !keys) {
        return false;
    }
    if (d->n_issues) {
        memcpy(issues, d->issues, d->n_issues * sizeof(*issues));
        memcpy(keys, d->keys, d->n_issues * sizeof(*keys));
    }
    d->issues = issues;
    d->keys = keys;
    d->issues_cap = cap;
    return true;
}

/* Put an issue behind those of the same or an earlier place. */
static void issue_insert(struct conf_doc *d, struct conf_issue_key key, struct conf_issue issue)
{
    if (d->n_issues >= CONF_MAX_ISSUES) {
        /* the last one gives way, but errors are never forgotten */
        d->issues[CONF_MAX_ISSUES - 1].is_error |= issue.is_error;
        d->issues[CONF_MAX_ISSUES - 1].why = "too many errors; the rest is not shown";
        return;
    }
    if (!issues_grow(d)) {
        return;
    }
    size_t at = d->n_issues++;
    while (at > 0 &&
           (d->keys[at - 1].file_no > key.file_no ||
            (d->keys[at - 1].file_no == key.file_no && d->keys[at - 1].line > key.line))) {
        d->keys[at] = d->keys[at - 1];
        d->issues[at] = d->issues[at - 1];
        at--;
    }
    d->keys[at] = key;
    d->issues[at] = issue;
}

/* An issue of a section, or of the file being read; fault_done() adds the text. */
static struct conf_issue fault_begin(struct conf_doc *d, bool is_error, const struct conf_meta *m,
                                     const char *key, unsigned line)
{
    struct conf_issue it = {.is_error = is_error, .file = m ? m->file : d->file, .line = line};
    it.where = !m ? (key ? key : "") : key ? conf_text(d, "%s.%s", m->title, key) : m->title;
    return it;
}

static void fault_done(struct conf_doc *d, const struct conf_meta *m, struct conf_issue it,
                       const char *fmt, va_list ap) FRUN_PRINTF(4, 0);

static void fault_done(struct conf_doc *d, const struct conf_meta *m, struct conf_issue it,
                       const char *fmt, va_list ap)
{
    it.why = text_v(d, fmt, ap);
    issue_insert(d, (struct conf_issue_key){m ? m->file_no : d->file_no, it.line}, it);
}

void conf_fault(struct conf_doc *d, bool is_error, const struct conf_meta *m, const char *key,
                unsigned line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fault_done(d, m, fault_begin(d, is_error, m, key, line), fmt, ap);
    va_end(ap);
}

static size_t kind_index(const struct conf_doc *d, struct span word)
{
    size_t i = 0;
    while (i < d->n_kinds && !span_eq(word, span_of(d->kinds[i].word))) {
        i++;
    }
    return i;
}

/* Names the nearest known thing, or lists nothing. */
static const char *hint(struct conf_doc *d, const char *near)
{
    return near ? conf_text(d, "; did you mean '%s'?", near) : "";
}

/* Most kinds or rows of one kind that suggestions look at. */
#define HINT_MAX 64

static void unknown_section(struct conf_doc *d, const char *title, struct span word, unsigned line)
{
    const char *known[HINT_MAX];
    size_t n = 0;
    const char *copy = conf_copy(d, word);
    for (; n < d->n_kinds && n < HINT_MAX; n++) {
        known[n] = d->kinds[n].word;
    }
    conf_fault(d, true, NULL, title, line, "unknown section%s",
               hint(d, copy ? conf_check_nearest(copy, known, n) : NULL));
}

/* Add a section of a kind with all fields zero. */
static struct conf_meta *section_add(struct conf_doc *d, size_t kind, const char *title,
                                     struct span name, unsigned line)
{
    const struct conf_kind *k = &d->kinds[kind];
    struct conf_kin *kin = &d->kin[kind];
    if (d->n_sections >= CONF_MAX_SECTIONS) {
        conf_fault(d, true, NULL, title, line, "too many sections; 65536 are allowed");
        return NULL;
    }
    char *block = conf_alloc(d, META_BYTES + k->size);
    unsigned *lines = conf_alloc(d, (k->n_rows + 1) * sizeof(*lines));
    const char *name_copy = conf_copy(d, name);
    if (kin->n == kin->cap) {
        size_t cap = kin->cap ? kin->cap * 2 : 4;
        void **items = conf_alloc(d, cap * sizeof(*items));
        if (items) {
            if (kin->n) {
                memcpy(items, kin->items, kin->n * sizeof(*items));
            }
            kin->items = items;
            kin->cap = cap;
        }
    }
    if (d->is_starved || !block || !lines || !name_copy) {
        return NULL;
    }
    struct conf_meta *m = (struct conf_meta *)(void *)block;
    *m = (struct conf_meta){k, title, d->file, d->file_no, line, lines, block + META_BYTES};
    *(struct conf_place *)m->data = (struct conf_place){name_copy, d->file, line};
    if (map_put(d->titles, span_of(title), m)) {
        d->is_starved = true;
        return NULL;
    }
    kin->items[kin->n++] = m->data;
    d->n_sections++;
    return m;
}

static void on_section(struct conf_doc *d, const char *text, unsigned line)
{
    struct span all = span_of(text);
    size_t gap = 0;
    while (gap < all.n && all.p[gap] != ' ' && all.p[gap] != '\t') {
        gap++;
    }
    struct span word = span_head(all, gap);
    struct span name = span_trim(span_skip(all, gap));
    const char *title =
        conf_text(d, name.n ? "%.*s %.*s" : "%.*s%.*s", SPAN_FMT(word), SPAN_FMT(name));
    size_t kind = kind_index(d, word);
    d->at = NULL;
    d->is_headless = false;
    if (kind == d->n_kinds) {
        unknown_section(d, title, word, line);
        return;
    }
    const struct conf_kind *k = &d->kinds[kind];
    if (k->is_named && name.n == 0) {
        conf_fault(d, true, NULL, title, line, "the name is missing: [%s NAME]", k->word);
        return;
    }
    if (!k->is_named && name.n) {
        conf_fault(d, true, NULL, title, line, "this section has no name; write [%s]", k->word);
        return;
    }
    const struct conf_meta *other = map_get(d->titles, span_of(title));
    if (other) {
        conf_fault(d, true, NULL, title, line, "section is there already, at %s:%u; join the two",
                   other->file, other->line);
        return;
    }
    const char *why = k->name_check && k->is_named ? conf_check(k->name_check, name) : NULL;
    if (why) {
        conf_fault(d, true, NULL, title, line, "bad name: %s", why);
    }
    d->at = section_add(d, kind, title, name, line);
}

static size_t row_index(const struct conf_kind *k, const char *key)
{
    size_t i = 0;
    while (i < k->n_rows && strcmp(k->rows[i].key, key) != 0) {
        i++;
    }
    return i;
}

static void unknown_key(struct conf_doc *d, const char *key, unsigned line)
{
    const struct conf_kind *k = d->at->kind;
    const char *known[HINT_MAX];
    size_t n = 0;
    for (; n < k->n_rows && n < HINT_MAX; n++) {
        known[n] = k->rows[n].key;
    }
    const char *near = conf_check_nearest(key, known, n);
    for (size_t i = 0; i < d->n_kinds; i++) {
        if (row_index(&d->kinds[i], key) < d->kinds[i].n_rows) {
            conf_fault(d, true, d->at, key, line, "this key belongs into [%s%s]", d->kinds[i].word,
                       d->kinds[i].is_named ? " NAME" : "");
            return;
        }
    }
    conf_fault(d, true, d->at, key, line, "unknown key%s", hint(d, near));
}

static void on_pair(struct conf_doc *d, const struct conf_ini_item *it)
{
    if (d->is_headless) {
        conf_fault(d, true, NULL, conf_copy(d, span_of(it->name)), it->line,
                   "stands before the first [section]");
    }
    if (!d->at) {
        return;
    }
    const struct conf_kind *k = d->at->kind;
    size_t i = row_index(k, it->name);
    if (i == k->n_rows) {
        unknown_key(d, conf_text(d, "%s", it->name), it->line);
        return;
    }
    const struct conf_row *row = &k->rows[i];
    if (d->at->key_lines[i] && row->type != CONF_LIST && row->type != CONF_LINES) {
        conf_fault(d, true, d->at, row->key, it->line, "given twice, first in line %u; remove one",
                   d->at->key_lines[i]);
        return;
    }
    if (!d->at->key_lines[i]) {
        d->at->key_lines[i] = it->line;
    }
    if (it->is_cut && row->type == CONF_SECRET) {
        conf_fault(d, false, d->at, row->key, it->line,
                   "what follows ' ;' is a comment; put a secret with ' ;' into a file");
    }
    conf_value_set(d, d->at, row, span_of(it->value), it->line);
}

static void on_item(const struct conf_ini_item *it, void *ctx)
{
    struct conf_doc *d = ctx;
    switch (it->kind) {
    case CONF_INI_SECTION:
        on_section(d, it->name, it->line);
        break;
    case CONF_INI_PAIR:
        on_pair(d, it);
        break;
    case CONF_INI_FAULT:
        conf_fault(d, true, d->at, it->value ? conf_text(d, "%s", it->value) : NULL, it->line, "%s",
                   it->name);
        break;
    }
}

/* Folder of a file, absolute if the working folder is known. */
static const char *dir_of(struct conf_doc *d, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct span dir = slash ? span_make(path, (size_t)(slash - path)) : SPAN_LIT("");
    char cwd[4096];
    if (path[0] == '/') {
        return conf_copy(d, dir);
    }
    if (!getcwd(cwd, sizeof(cwd))) {
        return dir.n ? conf_copy(d, dir) : ".";
    }
    return conf_text(d, dir.n ? "%s/%.*s" : "%s%.*s", cwd, SPAN_FMT(dir));
}

static void scan_text(struct conf_doc *d, struct span text, const char *name)
{
    d->file = conf_text(d, "%s", name);
    d->dir = dir_of(d, d->file);
    d->file_no++;
    d->at = NULL;
    d->is_headless = true;
    if (!d->dir || d->is_starved || conf_ini_scan(text, on_item, d)) {
        d->is_starved = true;
    }
}

const char *conf_path_of(struct conf_doc *d, const void *section, const char *name)
{
    d->dir = dir_of(d, conf_meta_of(section)->file);
    return d->dir ? conf_path(d, span_of(name)) : NULL;
}

void conf_pair_check(struct conf_doc *d, const void *section, const char *a, const char *b)
{
    bool has_a = conf_key_given(d, section, a);
    if (has_a != conf_key_given(d, section, b)) {
        conf_issue_add(d, true, section, has_a ? a : b, "needs %s too; give both or none",
                       has_a ? b : a);
    }
}

void conf_order_check(struct conf_doc *d, const void *section, const char *low, const char *high,
                      bool is_wrong)
{
    if (is_wrong) {
        conf_issue_add(d, true, section, low, "must not be above %s", high);
    }
}

/* Read a whole file, at most CONF_MAX_FILE_BYTES. */
static frun_err file_read(FILE *f, struct buf *b)
{
    for (;;) {
        char *at;
        frun_err err = buf_reserve(b, 4096, &at);
        if (err) {
            return err;
        }
        size_t n = fread(at, 1, 4096, f);
        buf_commit(b, n);
        if (n == 0) {
            return ferror(f) ? FRUN_E_IO : FRUN_OK;
        }
    }
}

const struct conf_draft *conf_draft_of(const struct conf_doc *d, const char *path)
{
    for (size_t i = 0; d->drafts && i < d->drafts->n; i++) {
        if (strcmp(d->drafts->items[i].path, path) == 0) {
            return &d->drafts->items[i];
        }
    }
    return NULL;
}

static void scan_file(struct conf_doc *d, const char *path)
{
    struct buf b;
    const struct conf_draft *draft = conf_draft_of(d, path);
    if (draft && !draft->is_gone) {
        scan_text(d, draft->text, path);
        return;
    }
    buf_init(&b, CONF_MAX_FILE_BYTES + 4096);
    FILE *f = fopen(path, "re");
    frun_err err = f ? file_read(f, &b) : errno == ENOMEM ? FRUN_E_NOMEM : FRUN_E_IO;
    if (err == FRUN_E_NOMEM) {
        d->is_starved = true;
    } else if (err) {
        const char *why = err == FRUN_E_LIMIT ? "larger than 4 MiB" : strerrordesc_np(errno);
        d->file = conf_text(d, "%s", path);
        d->file_no++;
        conf_fault(d, true, NULL, NULL, 0, "cannot read the file: %s", why);
        d->is_unread = true;
    } else {
        scan_text(d, buf_span(&b), path);
    }
    if (f) {
        (void)fclose(f);
    }
    buf_done(&b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The files that a pattern names: those that are there, and those that would be, by their names.
 * @p out has room for all of both. */
static size_t included(const struct conf_doc *d, const char *pattern, const glob_t *found,
                       const char **out)
{
    size_t n = 0;
    for (size_t i = 0; i < found->gl_pathc; i++) {
        const struct conf_draft *draft = conf_draft_of(d, found->gl_pathv[i]);
        if (!draft) {
            out[n++] = found->gl_pathv[i];
        }
    }
    for (size_t i = 0; d->drafts && i < d->drafts->n; i++) {
        const struct conf_draft *draft = &d->drafts->items[i];
        if (!draft->is_gone && fnmatch(pattern, draft->path, FNM_PATHNAME | FNM_PERIOD) == 0) {
            out[n++] = draft->path;
        }
    }
    if (d->drafts && n) {
        qsort(out, n, sizeof(*out), by_name);
    }
    return n;
}

/* Follow one pattern of "include"; files come in the order of their names. */
static void include_pattern(struct conf_doc *d, struct conf_meta *m, const char *pattern,
                            unsigned line)
{
    glob_t found = {0};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): configuration is read on the main thread only */
    int rc = glob(pattern, 0, NULL, &found);
    size_t most = found.gl_pathc + (d->drafts ? d->drafts->n : 0) + 1;
    const char **files = rc == GLOB_NOSPACE ? NULL : conf_alloc(d, most * sizeof(*files));
    size_t n = files ? included(d, pattern, &found, files) : 0;
    if (rc == GLOB_NOSPACE) {
        d->is_starved = true;
    } else if (rc == GLOB_ABORTED) {
        conf_fault(d, true, m, "include", line, "cannot read the folder of %s", pattern);
    } else if (rc == GLOB_NOMATCH && n == 0 && !strpbrk(pattern, "*?[")) {
        conf_fault(d, true, m, "include", line, "no such file: %s", pattern);
    }
    for (size_t i = 0; i < n; i++) {
        if (d->file_no >= CONF_MAX_FILES) {
            conf_fault(d, true, m, "include", line, "too many files; 4096 are allowed");
            break;
        }
        scan_file(d, files[i]);
    }
    globfree(&found);
}

/* The main file's include, if its schema has one; included files must not include further. */
static void follow_includes(struct conf_doc *d)
{
    const struct conf_kind *k = &d->kinds[0];
    size_t i = row_index(k, "include");
    if (i == k->n_rows || d->kin[0].n == 0) {
        return;
    }
    struct conf_meta *m = conf_meta_of(d->kin[0].items[0]);
    struct conf_list list;
    memcpy(&list, (char *)m->data + k->rows[i].offset, sizeof(list));
    for (size_t j = 0; j < list.n; j++) {
        const char *pattern = list.items[j];
        const char *slash = strrchr(m->file, '/');
        if (pattern[0] != '/' && slash) {
            pattern = conf_text(d, "%.*s/%s", (int)(slash - m->file), m->file, pattern);
        }
        include_pattern(d, m, pattern, m->key_lines[i]);
    }
}

/* Defaults into fields not given, and what is missing. */
static void section_complete(struct conf_doc *d, struct conf_meta *m)
{
    for (size_t i = 0; i < m->kind->n_rows; i++) {
        const struct conf_row *row = &m->kind->rows[i];
        if (m->key_lines[i]) {
            continue;
        }
        if (row->is_required) {
            conf_fault(d, true, m, row->key, m->line, "is missing: %s", row->help);
        } else if (row->fallback) {
            conf_value_set(d, m, row, span_of(row->fallback), m->line);
        }
    }
}

static void complete(struct conf_doc *d)
{
    for (size_t i = 0; i < d->n_kinds; i++) {
        const struct conf_kind *k = &d->kinds[i];
        for (size_t j = 0; j < d->kin[i].n; j++) {
            section_complete(d, conf_meta_of(d->kin[i].items[j]));
        }
        if (k->is_required && d->kin[i].n == 0) {
            conf_fault(d, true, NULL, k->word, 0, "section [%s%s] is missing: %s", k->word,
                       k->is_named ? " NAME" : "", k->help);
        }
    }
}

static struct conf_doc *doc_new(const struct conf_kind *kinds, size_t n_kinds)
{
    struct conf_doc *d = calloc(1, sizeof(*d));
    if (!d) {
        return NULL;
    }
    arena_init(&d->arena, CONF_MAX_DOC_BYTES);
    d->kinds = kinds;
    d->n_kinds = n_kinds;
    d->kin = conf_alloc(d, n_kinds * sizeof(*d->kin));
    if (!d->kin || map_new(false, &d->titles)) {
        conf_free(d);
        return NULL;
    }
    return d;
}

/* Hand the document over. The main file counts as the place of what has none. */
static frun_err doc_finish(struct conf_doc *d, const char *main_file, struct conf_doc **out)
{
    d->file = conf_text(d, "%s", main_file);
    d->file_no = 1;
    d->at = NULL;
    if (!d->is_starved && !d->is_unread) {
        complete(d);
    }
    if (d->is_starved) {
        conf_free(d);
        return FRUN_E_NOMEM;
    }
    *out = d;
    for (size_t i = 0; i < d->n_issues; i++) {
        if (d->issues[i].is_error) {
            return FRUN_E_SYNTAX;
        }
    }
    return FRUN_OK;
}

frun_err conf_load_drafts(const char *path, const struct conf_drafts *drafts,
                          const struct conf_kind *kinds, size_t n_kinds, struct conf_doc **out)
{
    struct conf_doc *d = doc_new(kinds, n_kinds);
    if (!d) {
        return FRUN_E_NOMEM;
    }
    d->drafts = drafts;
    scan_file(d, path);
    if (!d->is_starved) {
        follow_includes(d);
    }
    frun_err err = doc_finish(d, path, out);
    if (err != FRUN_E_NOMEM) {
        (*out)->drafts = NULL; /* they are the caller's */
    }
    return err;
}

frun_err conf_load(const char *path, const struct conf_kind *kinds, size_t n_kinds,
                   struct conf_doc **out)
{
    return conf_load_drafts(path, NULL, kinds, n_kinds, out);
}

frun_err conf_load_text(struct span text, const char *name, const struct conf_kind *kinds,
                        size_t n_kinds, struct conf_doc **out)
{
    struct conf_doc *d = doc_new(kinds, n_kinds);
    if (!d) {
        return FRUN_E_NOMEM;
    }
    scan_text(d, text, name);
    return doc_finish(d, name, out);
}

void conf_free(struct conf_doc *d)
{
    if (!d) {
        return;
    }
    for (const struct conf_secret_link *l = d->secrets; l; l = l->next) {
        secret_free(l->secret);
    }
    map_free(d->titles);
    arena_done(&d->arena);
    free(d);
}

void *const *conf_sections(const struct conf_doc *d, const char *word, size_t *n)
{
    size_t kind = kind_index(d, span_of(word));
    *n = kind < d->n_kinds ? d->kin[kind].n : 0;
    return *n ? d->kin[kind].items : NULL;
}

/* Line of a key, 0 if it was not given. */
static unsigned key_line(const void *section, const char *key)
{
    const struct conf_meta *m = conf_meta_of(section);
    size_t i = row_index(m->kind, key);
    return i < m->kind->n_rows ? m->key_lines[i] : 0;
}

const char *conf_key_place(const struct conf_doc *d, const void *section, const char *key,
                           unsigned *line)
{
    (void)d;
    const struct conf_meta *m = conf_meta_of(section);
    unsigned at = key ? key_line(section, key) : 0;
    *line = at ? at : m->line;
    return m->file;
}

bool conf_key_given(const struct conf_doc *d, const void *section, const char *key)
{
    (void)d;
    return key_line(section, key) != 0;
}

void *conf_section_or_default(struct conf_doc *d, const char *word)
{
    size_t kind = kind_index(d, span_of(word));
    if (d->kin[kind].n == 0) {
        struct conf_meta *m = section_add(d, kind, d->kinds[kind].word, SPAN_LIT(""), 0);
        if (!m) {
            return NULL;
        }
        section_complete(d, m);
    }
    return d->kin[kind].items[0];
}

bool conf_is_starved(const struct conf_doc *d)
{
    return d->is_starved;
}

void conf_place_print(const struct conf_doc *d, FILE *to, bool is_error, const void *section,
                      const char *key, const char *why)
{
    unsigned line = 0;
    const char *file = conf_key_place(d, section, key, &line);
    (void)fprintf(to, "%s:%u: %s%s.%s: %s\n", file, line,
                  is_error ? "" : "warning: ", conf_meta_of(section)->title, key, why);
}

void conf_issue_add(struct conf_doc *d, bool is_error, const void *section, const char *key,
                    const char *fmt, ...)
{
    unsigned line = 0;
    const struct conf_meta *m = section ? conf_meta_of(section) : NULL;
    if (section) {
        (void)conf_key_place(d, section, key, &line);
    }
    va_list ap;
    va_start(ap, fmt);
    fault_done(d, m, fault_begin(d, is_error, m, key, line), fmt, ap);
    va_end(ap);
}

const struct conf_issue *conf_issues(const struct conf_doc *d, size_t *n)
{
    *n = d->n_issues;
    return d->issues;
}

struct arena *conf_arena(struct conf_doc *d)
{
    return &d->arena;
}

size_t conf_issues_print(const struct conf_doc *d, FILE *to)
{
    size_t errors = 0;
    for (size_t i = 0; i < d->n_issues; i++) {
        const struct conf_issue *it = &d->issues[i];
        errors += it->is_error ? 1 : 0;
        if (to) {
            (void)fprintf(to, "%s:%u: %s%s%s%s\n", it->file, it->line,
                          it->is_error ? "" : "warning: ", it->where, it->where[0] ? ": " : "",
                          it->why);
        }
    }
    return errors;
}
