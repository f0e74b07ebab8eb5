/**
 * frunctl config man: manual pages of the configuration files, from the tables they are read by.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/connector.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"
#include "ctl_mdoc.h"
#include "ctl_out.h"

#include <stdio.h>
#include <string.h>

/* One of the two configuration files. */
struct page {
    const char *what;
    const char *file;
    const char *title;
    const char *program;
    const char *system_name; /* what stands behind "system" in the brackets */
    const struct conf_kind *(*kinds)(size_t *n);
};

static const struct page pages[] = {
    {"gateway", "frunproxy.ini", "FRUNPROXY.INI", "frunproxyd", "NAME", conf_gw_kinds},
    {"connector", "frunconnector.ini", "FRUNCONNECTOR.INI", "frunconnector", "VHOST:PORT",
     conf_cn_kinds},
};

/* -- configuration files
 * ------------------------------------------------------------------------------------- */

static const char form[] =
    ".Pp\n"
    "The file is INI: sections in brackets,\n"
    ".Ql key = value\n"
    "lines, comments behind\n"
    ".Ql \\&;\n"
    "or\n"
    ".Ql #\n"
    "at the start of a line, or behind a blank and\n"
    ".Ql \\&;\n"
    "after a value.\n"
    "It is read as UTF\\-8.\n"
    "Sections with a name may stand any number of times.\n"
    "An unknown section or key, a duplicate or a bad value is refused; all errors are told at "
    "once, with file and line.\n"
    "Values are written as follows:\n"
    ".Bl -tag -width \"auto or number\"\n"
    ".It text\nas it is, without quotes\n"
    ".It yes or no\nyes, no, on, off, true, false\n"
    ".It number\ndigits\n"
    ".It octets\ndigits, optionally with K, M or G (powers of 1024)\n"
    ".It time\ndigits with ms, s, m or h; bare digits are seconds\n"
    ".It choice\none of the words given\n"
    ".It file , folder\na name; a relative one starts from the folder of the file that names it; "
    "a file may also be\n.Ql credential:NAME\n"
    ".It host:port\nhost name, IPv4 address or bracketed IPv6 address, and port\n"
    ".It list\ncomma separated; the key may also stand several times\n"
    ".It lines\nas a list, but one text a line\n"
    ".It secret\n.Ql file:PATH ,\n.Ql credential:NAME\n"
    ".Pq Xr systemd.exec 5 , Cm LoadCredential=\nor\n.Ql env:NAME ;\n"
    "the secret itself gives a warning\n"
    ".It auto or number\nthe word auto, or digits\n"
    ".El\n";

static void put_row(const struct conf_row *row)
{
    char range[256];
    ctl_row_range(row, true, range, sizeof(range));
    (void)printf(".It Ic %s No = Ar \"%s\"\n", row->key, ctl_row_type(row));
    ctl_mdoc_line(row->help);
    if (range[0]) {
        (void)printf("%s: ", row->type == CONF_CHOICE ? "One of" : "Range");
        ctl_mdoc_text(range, strlen(range));
        (void)puts(".");
    }
    if (row->is_required) {
        (void)puts("Required.");
    } else if (row->fallback) {
        (void)fputs("Default: ", stdout);
        ctl_mdoc_text(row->fallback[0] ? row->fallback : "empty",
                      row->fallback[0] ? strlen(row->fallback) : 5);
        (void)puts(".");
    }
    if (row->reload != CONF_RELOAD_LIVE) {
        (void)puts("A change takes effect at the next start.");
    }
}

static void put_file(const void *what_page)
{
    const struct page *p = what_page;
    size_t n = 0;
    const struct conf_kind *kinds = p->kinds(&n);
    char what[64];
    (void)snprintf(what, sizeof(what), "configuration of %s", p->program);
    ctl_mdoc_begin(p->title, 5, p->file, what);
    (void)printf(
        ".Sh DESCRIPTION\nWhat\n.Xr %s 8\ndoes stands in one file,\n.Pa /etc/frunproxy/%s\n"
        "with the units that come with it.\n%s",
        p->program, p->file, form);
    (void)printf(
        ".Pp\n.Nm %s Fl \\-config Ar file Fl \\-check\ntells what is wrong without starting "
        "anything;\n.Ql frunctl config sample %s\nprints a complete file.\n"
        "Changes take effect at a reload unless said otherwise.\n",
        p->program, p->what);
    (void)puts(".Sh SECTIONS");
    for (size_t i = 0; i < n; i++) {
        const char *name = !kinds[i].is_named                     ? ""
                           : strcmp(kinds[i].word, "system") == 0 ? p->system_name
                                                                  : "NAME";
        (void)printf(".Ss [%s%s%s]\n", kinds[i].word, name[0] ? " " : "", name);
        ctl_mdoc_line(kinds[i].help);
        if (kinds[i].is_required) {
            (void)puts("Required.");
        }
        (void)puts(".Bl -tag -width Ds");
        for (size_t j = 0; j < kinds[i].n_rows; j++) {
            put_row(&kinds[i].rows[j]);
        }
        (void)puts(".El");
    }
    (void)printf(".Sh FILES\n.Bl -tag -width Ds\n.It Pa /etc/frunproxy/%s\nthe configuration\n"
                 ".It Pa /etc/frunproxy/secrets\npasswords and keys, for root alone; systemd hands "
                 "them to the service as credentials\n.El\n"
                 ".Sh SEE ALSO\n.Xr frunctl 1 ,\n.Xr systemd.exec 5 ,\n.Xr %s 8\n",
                 p->file, p->program);
}

/* -- the commands
 * -------------------------------------------------------------------------------------------- */

int ctl_config_man(int argc, char **argv)
{
    struct ctl_control c;
    int status = ctl_control_parse(argc, argv, 1, &c);
    if (status) {
        return status;
    }
    if (c.n_words != 1) {
        return ctl_misuse("config man wants gateway, connector or frunctl");
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(c.words[0], pages[i].what) == 0) {
            return ctl_document(pages[i].file, put_file, &pages[i]);
        }
    }
    if (strcmp(c.words[0], "frunctl") == 0) {
        return ctl_document("frunctl", ctl_mdoc_frunctl, NULL);
    }
    return ctl_misuse("config man: %s is neither gateway nor connector nor frunctl", c.words[0]);
}
