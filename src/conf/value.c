/* SPDX-License-Identifier: Apache-2.0 */
#include "doc_int.h"

#include "frun/conf/check.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One value on its way into its field. */
struct setting {
    struct conf_doc *d;
    struct conf_meta *m;
    const struct conf_row *row;
    struct span value;
    unsigned line;
};

static void fault(const struct setting *s, const char *why)
{
    conf_fault(s->d, true, s->m, s->row->key, s->line, "%s", why);
}

static void *field(const struct setting *s)
{
    return (char *)s->m->data + s->row->offset;
}

static void set_u64(const struct setting *s, uint64_t v)
{
    memcpy(field(s), &v, sizeof(v));
}

static void set_text(const struct setting *s, const char *text)
{
    memcpy(field(s), &text, sizeof(text));
}

/* Factor of a unit behind digits; 0: unknown. */
struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
static const struct unit size_units[] = {{"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824}};

/* A number in the largest unit that divides it, for messages. */
void conf_number_text(enum conf_type type, uint64_t v, char out[32])
{
    const struct unit *units = type == CONF_TIME ? time_units : size_units;
    size_t i = type == CONF_TIME ? 4 : 3;
    if (type != CONF_TIME && type != CONF_SIZE) {
        i = 0;
    }
    while (i > 0 && (v == 0 || v % units[i].factor)) {
        i--;
    }
    if (type == CONF_TIME && i == 0) {
        i = 2;
    }
    uint64_t factor = i ? units[i].factor : 1;
    (void)snprintf(out, 32, "%" PRIu64 "%s%s", v / factor, type == CONF_TIME ? " " : "",
                   units[i].name);
}

void conf_row_range(const struct conf_row *row, char out[CONF_RANGE_BYTES])
{
    char min[32];
    char max[32];
    bool is_list = row->type == CONF_LIST || row->type == CONF_LINES;
    bool is_text = row->type == CONF_TEXT || is_list || row->type == CONF_ADDRESS;
    conf_number_text(row->type, row->min, min);
    conf_number_text(row->type, row->max, max);
    out[0] = '\0';
    if (row->max) {
        (void)snprintf(out, CONF_RANGE_BYTES, "%s%s to %s%s", is_list ? "each " : "", min, max,
                       is_text ? " characters" : "");
    }
}

static void range_fault(const struct setting *s)
{
    char range[CONF_RANGE_BYTES];
    conf_row_range(s->row, range);
    conf_fault(s->d, true, s->m, s->row->key, s->line, "out of range; %s is allowed",
               range[0] ? range : "less");
}

static void set_number(const struct setting *s, const struct unit *units, size_t n_units,
                       const char *form)
{
    size_t digits = 0;
    uint64_t v = 0;
    while (digits < s->value.n && s->value.p[digits] >= '0' && s->value.p[digits] <= '9') {
        digits++;
    }
    if (span_to_u64(span_head(s->value, digits), &v) == FRUN_E_SYNTAX) {
        fault(s, form);
        return;
    }
    bool is_huge = digits > 19;
    struct span name = span_trim(span_skip(s->value, digits));
    for (size_t i = 0; i < n_units; i++) {
        if (!span_eq_nocase(name, span_of(units[i].name))) {
            continue;
        }
        if (is_huge || v > UINT64_MAX / units[i].factor || v * units[i].factor < s->row->min ||
            (s->row->max && v * units[i].factor > s->row->max)) {
            range_fault(s);
            return;
        }
        set_u64(s, v * units[i].factor);
        return;
    }
    fault(s, form);
}

static void set_bool(const struct setting *s)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true},  {"no", false},  {"on", true},
                 {"off", false}, {"true", true}, {"false", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_eq_nocase(s->value, span_of(words[i].word))) {
            memcpy(field(s), &words[i].value, sizeof(bool));
            return;
        }
    }
    fault(s, "must be yes or no (on, off, true, false)");
}

static void set_choice(const struct setting *s)
{
    struct span rest = span_of(s->row->choices);
    struct span word;
    for (int i = 0; span_split(&rest, '|', &word); i++) {
        if (span_eq_nocase(s->value, word)) {
            memcpy(field(s), &i, sizeof(i));
            return;
        }
    }
    conf_fault(s->d, true, s->m, s->row->key, s->line, "'%.*s' is not one of %s",
               SPAN_FMT(s->value), s->row->choices);
}

/* Length and named check of a text or list item. */
static bool is_text_good(const struct setting *s, struct span text)
{
    if (text.n < s->row->min || (s->row->max && text.n > s->row->max)) {
        if (text.n == 0) {
            fault(s, "is empty; give a value or remove the line");
        } else {
            range_fault(s);
        }
        return false;
    }
    const char *why = s->row->choices && text.n ? conf_check(s->row->choices, text) : NULL;
    if (why) {
        conf_fault(s->d, true, s->m, s->row->key, s->line, "'%.*s': %s", SPAN_FMT(text), why);
    }
    return !why;
}

const char *conf_path(struct conf_doc *d, struct span name)
{
    if (name.n && name.p[0] == '/') {
        return conf_copy(d, name);
    }
    return conf_text(d, "%s/%.*s", d->dir, SPAN_FMT(name));
}

/* Only asks whether it can be read: those who use a file say what is wrong with its content. */
static void set_path(const struct setting *s)
{
    char credential[PATH_MAX];
    struct diag why = {.text = ""};
    struct span prefix = SPAN_LIT("credential:");
    bool is_credential = span_starts(s->value, prefix);
    const char *path =
        is_credential ? conf_copy(s->d, span_skip(s->value, prefix.n)) : conf_path(s->d, s->value);
    struct stat about;
    if (path && is_credential) {
        if (secret_credential_path(path, credential, sizeof(credential), &why)) {
            conf_fault(s->d, true, s->m, s->row->key, s->line, "%s", why.text);
            return;
        }
        path = conf_copy(s->d, span_of(credential));
    }
    if (!path) {
        return;
    }
    if (stat(path, &about) || access(path, R_OK)) {
        conf_fault(s->d, true, s->m, s->row->key, s->line, "cannot read %s: %s; %s", path,
                   strerrordesc_np(errno),
                   errno == EACCES ? "the service's user must be able to read it, or systemd hands "
                                     "it over as credential:NAME"
                                   : "relative names start from the folder of this file");
        return;
    }
    if (S_ISDIR(about.st_mode)) {
        conf_fault(s->d, true, s->m, s->row->key, s->line, "%s is a folder, a file is wanted",
                   path);
        return;
    }
    set_text(s, path);
}

/* The daemon may make it, so it may be missing. */
static void set_folder(const struct setting *s)
{
    const char *path = conf_path(s->d, s->value);
    struct stat about;
    if (path && stat(path, &about) == 0 && !S_ISDIR(about.st_mode)) {
        conf_fault(s->d, true, s->m, s->row->key, s->line, "%s is a file, a folder is wanted",
                   path);
        return;
    }
    if (path) {
        set_text(s, path);
    }
}

/* A secret in a file that is not written yet: the draft's first line. FRUN_E_NOT_FOUND: look on the
 * disk. */
static frun_err draft_secret(const struct setting *s, const char *where, struct secret **out)
{
    char path[PATH_MAX] = "";
    const struct conf_draft *draft = NULL;
    if (s->d->drafts && strncmp(where, "credential:", 11) == 0) {
        if (secret_credential_path(where + 11, path, sizeof(path), NULL) == FRUN_OK) {
            draft = conf_draft_of(s->d, path);
        }
    } else if (s->d->drafts && strncmp(where, "file:", 5) == 0) {
        const char *name = where + 5;
        int n = snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : s->d->dir,
                         name[0] == '/' ? "" : "/", name);
        draft = n > 0 && (size_t)n < sizeof(path) ? conf_draft_of(s->d, path) : NULL;
    }
    if (!draft || draft->is_gone) {
        return FRUN_E_NOT_FOUND;
    }
    return secret_new(span_head(draft->text, span_find(draft->text, '\n')), out);
}

static void set_secret(const struct setting *s)
{
    struct diag why = {.text = ""};
    struct secret *secret = NULL;
    bool is_literal = false;
    const char *where = conf_copy(s->d, s->value);
    struct conf_secret_link *link = conf_alloc(s->d, sizeof(*link));
    if (!where || !link) {
        return;
    }
    frun_err err = draft_secret(s, where, &secret);
    if (err == FRUN_E_NOT_FOUND) {
        err = secret_fetch(where, s->d->dir, &secret, &is_literal, &why);
    }
    if (err == FRUN_E_NOMEM) {
        s->d->is_starved = true;
        return;
    }
    if (err) {
        fault(s, why.text[0] ? why.text : err_text(err));
        return;
    }
    if (is_literal) {
        conf_fault(s->d, false, s->m, s->row->key, s->line,
                   "the secret itself stands in this file; better file:PATH or credential:NAME");
    }
    *link = (struct conf_secret_link){s->d->secrets, secret};
    s->d->secrets = link;
    memcpy(field(s), &secret, sizeof(secret));
}

static void list_add(const struct setting *s, struct conf_list *list, struct span item)
{
    if (!is_text_good(s, item)) {
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (span_eq(item, span_of(list->items[i]))) {
            conf_fault(s->d, true, s->m, s->row->key, s->line, "'%.*s' is listed twice; remove one",
                       SPAN_FMT(item));
            return;
        }
    }
    if (list->n >= CONF_MAX_LIST) {
        fault(s, "too many items; 4096 are allowed");
        return;
    }
    /* room doubles at powers of two: the count alone tells when it is full */
    if ((list->n & (list->n - 1)) == 0) {
        size_t cap = list->n ? list->n * 2 : 1;
        const char **items = conf_alloc(s->d, cap * sizeof(*items));
        if (!items) {
            return;
        }
        if (list->n) {
            memcpy(items, list->items, list->n * sizeof(*items));
        }
        list->items = items;
    }
    const char *copy = conf_copy(s->d, item);
    if (copy) {
        list->items[list->n++] = copy;
    }
}

static void set_list(const struct setting *s)
{
    struct conf_list list;
    struct span rest = s->value.n ? s->value : SPAN_LIT("");
    struct span item;
    memcpy(&list, field(s), sizeof(list));
    if (s->row->type == CONF_LINES) {
        list_add(s, &list, rest);
    }
    while (s->row->type == CONF_LIST && span_split(&rest, ',', &item)) {
        list_add(s, &list, span_trim(item));
    }
    memcpy(field(s), &list, sizeof(list));
}

static void set_checked_text(const struct setting *s)
{
    const char *copy = is_text_good(s, s->value) ? conf_copy(s->d, s->value) : NULL;
    if (copy) {
        set_text(s, copy);
    }
}

void conf_value_set(struct conf_doc *d, struct conf_meta *m, const struct conf_row *row,
                    struct span value, unsigned line)
{
    struct setting s = {d, m, row, value, line};
    if (value.n == 0 && row->type != CONF_TEXT && row->type != CONF_LIST) {
        fault(&s, "is empty; give a value or remove the line");
        return;
    }
    switch (row->type) {
    case CONF_TEXT:
        set_checked_text(&s);
        break;
    case CONF_ADDRESS:
        if (conf_check("address", value)) {
            fault(&s, conf_check("address", value));
        } else {
            set_checked_text(&s);
        }
        break;
    case CONF_BOOL:
        set_bool(&s);
        break;
    case CONF_UINT:
        set_number(&s, size_units, 1, "must be a number");
        break;
    case CONF_SIZE:
        set_number(&s, size_units, 4, "must be octets: digits with optional K, M or G");
        break;
    case CONF_TIME:
        set_number(&s, time_units, 5, "must be a time: digits with ms, s, m or h");
        break;
    case CONF_WORKERS:
        if (span_eq_nocase(value, SPAN_LIT("auto"))) {
            set_u64(&s, 0);
        } else {
            set_number(&s, size_units, 1, "must be 'auto' or a number");
        }
        break;
    case CONF_CHOICE:
        set_choice(&s);
        break;
    case CONF_PATH:
        set_path(&s);
        break;
    case CONF_FOLDER:
        set_folder(&s);
        break;
    case CONF_SECRET:
        set_secret(&s);
        break;
    case CONF_LIST:
    case CONF_LINES:
        set_list(&s);
        break;
    }
}
