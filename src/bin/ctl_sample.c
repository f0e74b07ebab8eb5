/**
 * frunctl config sample: a complete file from the table that it is read by.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_examples.h"
#include "ctl_out.h"

#include <stdio.h>
#include <string.h>

/* One of the two files. */
struct side {
    const char *name;
    const char *file;
    const char *program;
    const char *intro;
    const struct conf_kind *(*kinds)(size_t *n);
    const struct ctl_example *examples;
    const size_t *n_examples;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct side sides[] = {
    {"gateway", "frunproxy.ini", "frunproxyd",
     "Configuration of frunproxyd. Sections with a name may stand any number of times.",
     conf_gw_kinds, ctl_gateway_examples, &ctl_n_gateway_examples},
    {"connector", "frunconnector.ini", "frunconnector",
     "Configuration of frunconnector. Sections with a name may stand any number of times.",
     conf_cn_kinds, ctl_connector_examples, &ctl_n_connector_examples},
};

static const struct ctl_example *example_of(const struct side *s, const char *word, const char *key)
{
    for (size_t i = 0; i < *s->n_examples; i++) {
        const struct ctl_example *e = &s->examples[i];
        if (strcmp(e->word, word) == 0 &&
            (e->key && key ? strcmp(e->key, key) == 0 : e->key == key)) {
            return e;
        }
    }
    return NULL;
}

/* Comment lines of at most 100 columns. Two blanks behind the sign tell them from keys. */
static void print_comment(const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column == 0 || column + 1 + n > 100) {
            (void)fputs(column ? "\n# " : "# ", stdout);
            column = 2;
        }
        (void)printf(" %.*s", (int)n, text);
        column += n + 1;
        text += n + strspn(text + n, " ");
    }
    (void)puts("");
}

static void print_sample_row(const struct side *s, const struct conf_kind *k,
                             const struct conf_row *row)
{
    char range[256];
    char line[1024];
    const struct ctl_example *e = example_of(s, k->word, row->key);
    ctl_row_range(row, false, range, sizeof(range));
    (void)snprintf(line, sizeof(line), "%s (%s%s%s%s%s%s)", row->help, ctl_row_type(row),
                   range[0] ? ", " : "", range, row->is_required ? ", required" : "",
                   row->fallback && row->fallback[0] ? ", default " : "",
                   row->fallback ? row->fallback : "");
    print_comment(line);
    const char *value = e ? e->value : row->fallback ? row->fallback : "";
    (void)printf("%s%s =%s%s\n", e && e->is_active ? "" : "; ", row->key, value[0] ? " " : "",
                 value);
}

static void print_sample(const void *what)
{
    const struct side *s = what;
    size_t n;
    const struct conf_kind *kinds = s->kinds(&n);
    (void)printf("# %s: every section and key.\n# %s\n", s->file, s->intro);
    (void)puts("# Printed by 'frunctl config sample'. Keys with ';' in front are off or show their "
               "default.\n"
               "# A blank and ';' begin a comment behind a value. Relative file names start from "
               "this folder.\n"
               "# Secrets: file:PATH, credential:NAME (systemd), env:NAME; files too may be "
               "credential:NAME.");
    (void)printf("# Check: %s --config FILE --check\n", s->program);
    for (size_t i = 0; i < n; i++) {
        const struct ctl_example *name = example_of(s, kinds[i].word, NULL);
        (void)puts("");
        print_comment(kinds[i].help);
        (void)printf("%s[%s%s%s]\n", name && !name->is_active ? "; " : "", kinds[i].word,
                     name ? " " : "", name ? name->value : "");
        for (size_t j = 0; j < kinds[i].n_rows; j++) {
            print_sample_row(s, &kinds[i], &kinds[i].rows[j]);
        }
    }
}

int ctl_config_sample(int argc, char **argv)
{
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, 1, &c);
    if (status) {
        return status;
    }
    for (size_t i = 0; c.n_words == 1 && i < COUNT(sides); i++) {
        if (strcmp(c.words[0], sides[i].name) == 0) {
            return ctl_document(sides[i].file, print_sample, &sides[i]);
        }
    }
    return ctl_misuse("say gateway or connector");
}
