/**
 * What manual pages are made of, frunctl(1), and the list of commands that completions read.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_mdoc.h"

#include "ctl.h"
#include "ctl_commands.h"
#include "ctl_control.h"
#include "ctl_out.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FRUN_DATE
#define FRUN_DATE "January 1, 1970"
#endif

/* -- mdoc
 * ----------------------------------------------------------------------------------------------------
 */

/* Text as it stands, whatever it holds: blanks and line ends become one blank. In the quotes of a
 * macro's argument a quote would end it, at the start of a line a dot would be a macro. */
void ctl_mdoc_text(const char *text, size_t n)
{
    bool is_start = true;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == ' ' || c == '\n') {
            while (i + 1 < n && (text[i + 1] == ' ' || text[i + 1] == '\n')) {
                i++;
            }
            /* A page is written a sentence a line; within an argument that cannot be. */
            is_start = i > 0 && text[i - 1] == '.' && i + 1 < n && text[i + 1] >= 'A' &&
                       text[i + 1] <= 'Z';
            (void)putchar(is_start ? '\n' : ' ');
            continue;
        }
        if (is_start && (c == '.' || c == '\'')) {
            (void)fputs("\\&", stdout);
        }
        is_start = false;
        switch (c) {
        case '\\':
            (void)fputs("\\e", stdout);
            break;
        case '"':
            (void)fputs("\\(dq", stdout);
            break;
        case '-':
            (void)fputs("\\-", stdout); /* else a page shows a hyphen that cannot be copied */
            break;
        default:
            (void)putchar(c);
        }
    }
}

void ctl_mdoc_line(const char *text)
{
    ctl_mdoc_text(text, strlen(text));
    (void)putchar('\n');
}

void ctl_mdoc_begin(const char *title, int section, const char *name, const char *what)
{
    (void)printf(".\\\" Printed by frunctl config man.\n"
                 ".\\\" SPDX-License-Identifier: Apache-2.0\n"
                 ".Dd %s\n.Dt %s %d\n.Os frunproxy %s\n.Sh NAME\n.Nm %s\n.Nd %s\n",
                 FRUN_DATE, title, section, FRUN_VERSION, name, what);
}

/* -- frunctl(1)
 * ---------------------------------------------------------------------------------------------- */

static const char exits[] =
    ".Sh EXIT STATUS\n.Bl -tag -width Ds\n"
    ".It 0\ndone\n"
    ".It 1\nfailed; standard error says why\n"
    ".It 64\nthe arguments make no sense\n"
    ".It 65\nthe input, a list or a file, cannot be read as what it should be\n"
    ".It 69\nno daemon answers: it does not run, or its socket is elsewhere\n"
    ".It 77\nnot permitted: neither root, nor the daemon's user, nor a member of the group\n"
    ".It 78\nthe configuration is not good\n.El\n";

static const char about[] =
    ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar argument ...\n"
    ".Nm\n.Op Ar command\n.Fl \\-help\n"
    ".Nm\n.Fl \\-version\n"
    ".Sh DESCRIPTION\n"
    "Everything an administrator of the frunproxy gateway or connector does by hand: checking "
    "configurations, making certificates and service keys, looking into a running daemon, pushing "
    "for a test.\n"
    ".Pp\n"
    "Commands that speak to a running daemon take\n.Fl \\-socket Ar path ,\nor\n"
    ".Fl \\-config Ar file\nto find its control socket; else the usual ones are tried, the "
    "gateway's first.\n"
    "Text for people is printed; with\n.Fl \\-json ,\nwhich each command takes, standard output "
    "is one JSON value whatever happens: the daemon's answer as it is, what was done, or\n"
    ".Ql {\"result\":\"failed\",\"exit\":78,\"errors\":[...]} .\n"
    ".Cm top\nand\n.Cm audit show\nprint one value a line.\n"
    "Hints and warnings beside an answer are one line of JSON on standard error.\n"
    ".Sh COMMANDS\n.Bl -tag -width Ds\n";

/* A command of several forms has them in one text, apart by line ends and its own name. */
static void put_forms(const struct ctl_command *c)
{
    static const char again[] = "\n  frunctl ";
    const char *at = c->args;
    do {
        const char *next = strstr(at, again);
        size_t n = next ? (size_t)(next - at) : strlen(at);
        (void)printf(".It Cm \"%s%s%s\"", c->group ? c->group : "", c->group ? " " : "", c->name);
        if (n) {
            (void)fputs(" Ar \"", stdout);
            ctl_mdoc_text(at, n);
            (void)putchar('"');
        }
        (void)putchar('\n');
        at = next ? next + strlen(again) : NULL;
        for (const char *w = c->group; at && w; w = w == c->name ? NULL : c->name) {
            at += strlen(w) + 1;
        }
        if (at && !c->group) {
            at += strlen(c->name) + 1;
        }
    } while (at);
}

void ctl_mdoc_frunctl(const void *nothing)
{
    (void)nothing;
    ctl_mdoc_begin("FRUNCTL", 1, "frunctl", "administer the frunproxy gateway and connector");
    (void)fputs(about, stdout);
    for (size_t i = 0; i < ctl_n_commands; i++) {
        put_forms(&ctl_commands[i]);
        ctl_mdoc_line(ctl_commands[i].help);
    }
    (void)puts(".El");
    (void)fputs(
        ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev CREDENTIALS_DIRECTORY\nfolder that\n"
        ".Ql credential:NAME\nin a configuration means, usually\n.Pa /etc/frunproxy/secrets\n"
        ".It Ev FRUN_PASSWORD\npassword of\n.Cm push\n.El\n"
        ".Sh FILES\n.Bl -tag -width Ds\n.It Pa /run/frunproxy/control.sock\n"
        "control socket of the gateway\n.It Pa /run/frunconnector/control.sock\n"
        "control socket of the connector\n.El\n",
        stdout);
    (void)fputs(exits, stdout);
    (void)puts(".Sh SEE ALSO\n.Xr frunconnector.ini 5 ,\n.Xr frunproxy.ini 5 ,\n"
               ".Xr frunconnector 8 ,\n.Xr frunproxyd 8");
}

/* -- the list
 * -------------------------------------------------------------------------------------------------
 */

int ctl_config_commands(int argc, char **argv)
{
    struct ctl_control ask;
    int status = ctl_control_parse(argc, argv, 0, &ask);
    if (status) {
        return status;
    }
    json_t *list = ask.is_json ? json_array() : NULL;
    for (size_t i = 0; i < ctl_n_commands; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (list) {
            (void)json_array_append_new(list, json_pack("{s:s?, s:s, s:s, s:s}", "group", c->group,
                                                        "name", c->name, "arguments", c->args,
                                                        "help", c->help));
            continue;
        }
        (void)printf("%s\t%s\t", c->group ? c->group : "-", c->name);
        for (const char *p = c->args; *p; p++) {
            (void)putchar(*p == '\n' ? ' ' : *p);
        }
        (void)printf("\t%.*s\n", (int)strcspn(c->help, "\n"), c->help);
    }
    return ask.is_json ? ctl_json_take(list) : EXIT_SUCCESS;
}
