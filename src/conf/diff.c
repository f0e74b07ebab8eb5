/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/diff.h"

#include "doc_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- values
 * -------------------------------------------------------------------------------------------------
 */

static const void *field_of(const void *section, const struct conf_row *row)
{
    return (const char *)section + row->offset;
}

static void print_list(const struct conf_list *l, const char *between, FILE *to)
{
    for (size_t i = 0; i < l->n; i++) {
        (void)fprintf(to, "%s%s", i ? between : "", l->items[i]);
    }
}

static void print_choice(const char *choices, int index, FILE *to)
{
    struct span rest = span_of(choices);
    struct span name = {0};
    for (int i = 0; i <= index && span_split(&rest, '|', &name); i++) {
    }
    (void)fprintf(to, "%.*s", SPAN_FMT(name));
}

static uint64_t number_of(const void *field)
{
    uint64_t v = 0;
    memcpy(&v, field, sizeof(v));
    return v;
}

static void print_text(const void *field, FILE *to)
{
    const char *text = NULL;
    memcpy(&text, field, sizeof(text));
    (void)fputs(text ? text : "", to);
}

static void print_number(const struct conf_row *row, uint64_t v, FILE *to)
{
    char text[32];
    if (row->type == CONF_WORKERS && v == 0) {
        (void)fputs("auto", to);
        return;
    }
    if (row->type == CONF_TIME && v % 1000) {
        (void)fprintf(to, "%" PRIu64 " ms", v);
        return;
    }
    conf_number_text(row->type, v, text);
    (void)fputs(text, to);
}

/* Hashes of passwords and the admin request parameter are nobody's business either. */
static bool is_hidden(const struct conf_row *row)
{
    return row->type == CONF_SECRET || strstr(row->key, "_hash") ||
           (row->choices && strcmp(row->choices, "fence") == 0);
}

void conf_value_print(const void *section, const struct conf_row *row, FILE *to)
{
    const void *field = field_of(section, row);
    if (is_hidden(row)) {
        const void *there = NULL;
        memcpy(&there, field, sizeof(there));
        (void)fputs(there ? "(secret)" : "", to);
        return;
    }
    switch (row->type) {
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_FOLDER:
    case CONF_ADDRESS:
        print_text(field, to);
        return;
    case CONF_BOOL:
        (void)fputs(*(const bool *)field ? "yes" : "no", to);
        return;
    case CONF_UINT:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_WORKERS:
        print_number(row, number_of(field), to);
        return;
    case CONF_CHOICE:
        print_choice(row->choices, *(const int *)field, to);
        return;
    case CONF_LIST:
        print_list(field, ", ", to);
        return;
    case CONF_LINES:
        print_list(field, "\n    ", to);
        return;
    case CONF_SECRET:
        return;
    }
}

static bool is_set(const void *section, const struct conf_row *row)
{
    const void *field = field_of(section, row);
    const void *pointer = NULL;
    switch (row->type) {
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_FOLDER:
    case CONF_ADDRESS:
    case CONF_SECRET:
        memcpy(&pointer, field, sizeof(pointer));
        return pointer;
    case CONF_LIST:
    case CONF_LINES:
        return ((const struct conf_list *)field)->n > 0;
    case CONF_UINT:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_WORKERS:
        return row->fallback || number_of(field);
    case CONF_BOOL:
    case CONF_CHOICE:
        return true;
    }
    return false;
}

static bool is_same(const void *a, const void *b, const struct conf_row *row)
{
    const void *x = field_of(a, row);
    const void *y = field_of(b, row);
    const char *p = NULL;
    const char *q = NULL;
    const struct conf_list *l = x;
    const struct conf_list *m = y;
    switch (row->type) {
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_FOLDER:
    case CONF_ADDRESS:
        memcpy(&p, x, sizeof(p));
        memcpy(&q, y, sizeof(q));
        return p && q ? strcmp(p, q) == 0 : p == q;
    case CONF_SECRET:
        return secret_equal(secret_span(*(struct secret *const *)x),
                            secret_span(*(struct secret *const *)y)) &&
               !*(struct secret *const *)x == !*(struct secret *const *)y;
    case CONF_LIST:
    case CONF_LINES:
        for (size_t i = 0; l->n == m->n && i < l->n; i++) {
            if (strcmp(l->items[i], m->items[i]) != 0) {
                return false;
            }
        }
        return l->n == m->n;
    case CONF_UINT:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_WORKERS:
        return number_of(x) == number_of(y);
    case CONF_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case CONF_CHOICE:
        return *(const int *)x == *(const int *)y;
    }
    return false;
}

bool conf_is_same(const void *a, const void *b)
{
    const struct conf_kind *kind = conf_meta_of(a)->kind;
    for (size_t i = 0; i < kind->n_rows; i++) {
        if (!is_same(a, b, &kind->rows[i])) {
            return false;
        }
    }
    return true;
}

static void print_section(const void *section, FILE *to)
{
    const struct conf_kind *kind = conf_meta_of(section)->kind;
    for (size_t k = 0; k < kind->n_rows; k++) {
        if (is_set(section, &kind->rows[k])) {
            (void)fprintf(to, "%s = ", kind->rows[k].key);
            conf_value_print(section, &kind->rows[k], to);
            (void)fputc('\n', to);
        }
    }
}

void conf_print(const struct conf_doc *d, FILE *to)
{
    const char *between = "";
    for (size_t i = 0; i < d->n_kinds; i++) {
        for (size_t j = 0; j < d->kin[i].n; j++) {
            const void *section = d->kin[i].items[j];
            (void)fprintf(to, "%s[%s]\n", between, conf_meta_of(section)->title);
            between = "\n";
            print_section(section, to);
        }
    }
}

/* -- differences
 * -------------------------------------------------------------------------------------------------
 */

/* NULL: memory was refused. */
static char *value_text(const void *section, const struct conf_row *row)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to) {
        return NULL;
    }
    if (is_set(section, row)) {
        conf_value_print(section, row, to);
    }
    if (fclose(to)) {
        free(text);
        return NULL;
    }
    if (n > CONF_CHANGE_BYTES) {
        memcpy(text + CONF_CHANGE_BYTES - 3, "...", 4);
    }
    for (char *p = text; *p; p++) {
        *p = (char)(*p == '\n' ? ' ' : *p);
    }
    return text;
}

static void change_done(struct conf_change *c)
{
    free(c->section);
    free(c->key);
    free(c->before);
    free(c->now);
}

/* Taken over, also on failure. */
static frun_err add(struct conf_changes *to, struct conf_change *c)
{
    struct conf_change *grown = NULL;
    if (to->n < CONF_MAX_CHANGES) {
        grown = realloc(to->all, (to->n + 1) * sizeof(*grown));
    }
    if (!grown) {
        change_done(c);
        to->n_more += to->n >= CONF_MAX_CHANGES;
        return to->n < CONF_MAX_CHANGES ? FRUN_E_NOMEM : FRUN_OK;
    }
    grown[to->n++] = *c;
    to->all = grown;
    return FRUN_OK;
}

static frun_err add_section(struct conf_changes *to, const void *section, bool is_new)
{
    struct conf_change c = {.section = strdup(conf_meta_of(section)->title),
                            .before = is_new ? NULL : strdup(""),
                            .now = is_new ? strdup("") : NULL};
    if (!c.section || !(is_new ? c.now : c.before)) {
        change_done(&c);
        return FRUN_E_NOMEM;
    }
    return add(to, &c);
}

static frun_err add_key(struct conf_changes *to, const void *before, const void *now,
                        const struct conf_row *row)
{
    bool is_secret = is_hidden(row) && is_set(before, row) && is_set(now, row);
    struct conf_change c = {.section = strdup(conf_meta_of(now)->title),
                            .key = strdup(row->key),
                            .before = value_text(before, row),
                            .now = is_secret ? strdup("(another secret)") : value_text(now, row),
                            .reload = row->reload};
    if (!c.section || !c.key || !c.before || !c.now) {
        change_done(&c);
        return FRUN_E_NOMEM;
    }
    return add(to, &c);
}

static frun_err compare(const void *before, const void *now, enum conf_reload reload,
                        struct conf_changes *out)
{
    const struct conf_kind *kind = conf_meta_of(now)->kind;
    frun_err err = FRUN_OK;
    for (size_t i = 0; !err && i < kind->n_rows; i++) {
        const struct conf_row *row = &kind->rows[i];
        if (row->reload == reload && !is_same(before, now, row)) {
            err = add_key(out, before, now, row);
        }
    }
    return err;
}

static const void *counterpart(const struct conf_doc *d, const void *section)
{
    const struct conf_meta *m = map_get(d->titles, span_of(conf_meta_of(section)->title));
    return m ? m->data : NULL;
}

frun_err conf_diff(const struct conf_doc *before, const struct conf_doc *now,
                   enum conf_reload reload, struct conf_changes *out)
{
    frun_err err = FRUN_OK;
    for (size_t i = 0; i < now->n_kinds; i++) {
        for (size_t j = 0; !err && j < now->kin[i].n; j++) {
            const void *section = now->kin[i].items[j];
            const void *old = counterpart(before, section);
            if (old) {
                err = compare(old, section, reload, out);
            } else if (reload == CONF_RELOAD_LIVE) {
                err = add_section(out, section, true);
            }
        }
        for (size_t j = 0; !err && reload == CONF_RELOAD_LIVE && j < before->kin[i].n; j++) {
            const void *section = before->kin[i].items[j];
            if (!counterpart(now, section)) {
                err = add_section(out, section, false);
            }
        }
    }
    return err;
}

void conf_change_text(const struct conf_change *c, char *out, size_t size)
{
    if (!c->key) {
        (void)snprintf(out, size, "[%s] %s", c->section, c->now ? "added" : "removed");
        return;
    }
    (void)snprintf(out, size, "%s.%s: %s -> %s", c->section, c->key,
                   c->before[0] ? c->before : "(nothing)", c->now[0] ? c->now : "(nothing)");
}

void conf_changes_done(struct conf_changes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        change_done(&c->all[i]);
    }
    free(c->all);
    *c = (struct conf_changes){0};
}
