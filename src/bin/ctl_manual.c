/**
 * frunctl config manual: docs/CONFIGURATION.md from the tables that the files are read by.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <string.h>

const char *ctl_row_type(const struct conf_row *row)
{
    switch (row->type) {
    case CONF_TEXT:
        return "text";
    case CONF_BOOL:
        return "yes or no";
    case CONF_UINT:
        return "number";
    case CONF_SIZE:
        return "octets";
    case CONF_TIME:
        return "time";
    case CONF_CHOICE:
        return "choice";
    case CONF_PATH:
        return "file";
    case CONF_FOLDER:
        return "folder";
    case CONF_ADDRESS:
        return "host:port";
    case CONF_SECRET:
        return "secret";
    case CONF_LIST:
        return "list";
    case CONF_LINES:
        return "lines";
    case CONF_WORKERS:
        return "auto or number";
    }
    return "";
}

void ctl_row_range(const struct conf_row *row, bool is_table, char *out, size_t room)
{
    char range[CONF_RANGE_BYTES];
    conf_row_range(row, range);
    size_t n = 0;
    out[0] = '\0';
    if (row->type != CONF_CHOICE) {
        (void)snprintf(out, room, "%s", range);
        return;
    }
    for (const char *p = row->choices; *p && n + 3 < room; p++) {
        if (*p == '|' && is_table) {
            out[n++] = ',';
            out[n++] = ' ';
        } else {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
}

/* One of the two files. */
struct side {
    const char *file;
    const char *intro;
    const char *system_name; /* what stands behind "system" in the brackets */
    const struct conf_kind *(*kinds)(size_t *n);
};

static const struct side sides[] = {
    {"frunproxy.ini", "Configuration of frunproxyd.", "NAME", conf_gw_kinds},
    {"frunconnector.ini", "Configuration of frunconnector.", "VHOST:PORT", conf_cn_kinds},
};

static void print_manual_row(const struct conf_row *row)
{
    char range[256];
    ctl_row_range(row, true, range, sizeof(range));
    const char *fallback = row->is_required                     ? "required"
                           : row->fallback && !row->fallback[0] ? "empty"
                           : row->fallback                      ? row->fallback
                                                                : "";
    (void)printf("| `%s` | %s | %s | %s | %s | %s |\n", row->key, ctl_row_type(row), fallback,
                 range, row->reload == CONF_RELOAD_LIVE ? "reload" : "restart", row->help);
}

static void print_manual_side(const struct side *s)
{
    size_t n;
    const struct conf_kind *kinds = s->kinds(&n);
    (void)printf("\n## %s\n\n%s Sections with a name may stand any number of times.\n", s->file,
                 s->intro);
    for (size_t i = 0; i < n; i++) {
        const char *name = !kinds[i].is_named                     ? ""
                           : strcmp(kinds[i].word, "system") == 0 ? s->system_name
                                                                  : "NAME";
        (void)printf("\n### [%s%s%s]\n\n%s%s\n\n", kinds[i].word, name[0] ? " " : "", name,
                     kinds[i].help, kinds[i].is_required ? " Required." : "");
        (void)puts("| Key | Type | Default | Range | Changes at | Meaning |\n"
                   "|---|---|---|---|---|---|");
        for (size_t j = 0; j < kinds[i].n_rows; j++) {
            print_manual_row(&kinds[i].rows[j]);
        }
    }
}

static const char manual_intro[] =
    "# Configuration\n"
    "\n"
    "Printed by `frunctl config manual` from the tables that the programs read their files by.\n"
    "\n"
    "Both files are INI: sections in brackets, `key = value` lines, comments behind `;` or `#` at "
    "the start of a line,\n"
    "or behind a blank and `;` after a value. UTF-8. An unknown section or key, a duplicate or a "
    "bad "
    "value is refused;\n"
    "all errors come at once as `file:line: section.key: why`, with exit status 78. "
    "The programs' `--check` tells\n"
    "without starting anything; `frunctl config check FILE` does too, but does not look into "
    "certificates and keys.\n"
    "`frunctl config sample gateway` and `... connector` print complete files.\n"
    "\n"
    "| Type | How it is written |\n"
    "|---|---|\n"
    "| text | as it is, without quotes |\n"
    "| yes or no | yes, no, on, off, true, false |\n"
    "| number | digits |\n"
    "| octets | digits, optionally with K, M or G (powers of 1024) |\n"
    "| time | digits with ms, s, m or h; bare digits are seconds |\n"
    "| choice | one of the words under Range |\n"
    "| file | file name; a relative one starts from the folder of the file that names it; or "
    "`credential:NAME` (systemd LoadCredential) |\n"
    "| host:port | host name, IPv4 address or bracketed IPv6 address, and port |\n"
    "| list | comma separated; the key may also stand several times |\n"
    "| secret | `file:PATH`, `credential:NAME` (systemd LoadCredential), `env:NAME`; the secret "
    "itself gives a warning |\n"
    "| auto or number | the word auto, or digits |\n"
    "\n"
    "Changes at: what a reload (`systemctl reload`, `frunctl reload`, SIGHUP) puts into force, and "
    "what waits for the\n"
    "next restart.\n";

static void print_manual(const void *what)
{
    (void)what;
    (void)fputs(manual_intro, stdout);
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        print_manual_side(&sides[i]);
    }
}

int ctl_config_manual(int argc, char **argv)
{
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, 0, &c);
    return status ? status : ctl_document("CONFIGURATION.md", print_manual, NULL);
}
