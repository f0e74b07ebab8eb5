/**
 * frunctl: everything an administrator does by hand. The table of commands stands in
 * ctl_commands.c, each command in a ctl_*.c file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"
#include "ctl_commands.h"
#include "ctl_out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>

/* All commands, or those that begin with these words. */
static void usage(FILE *to, const char *group, const char *name)
{
    (void)fputs("frunctl - checks, certificates, passwords and test pushes for frunproxy\n\n"
                "usage: frunctl COMMAND [ARGUMENTS]\n\n",
                to);
    for (size_t i = 0; i < ctl_n_commands; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if ((group && strcmp(group, c->group ? c->group : c->name) != 0) ||
            (name && strcmp(name, c->name) != 0)) {
            continue;
        }
        (void)fprintf(to, "  %s%s%s%s%s\n      %s\n", c->group ? c->group : "", c->group ? " " : "",
                      c->name, c->args[0] ? " " : "", c->args, c->help);
    }
    (void)fputs(
        "\n  --help, --version\n\n"
        "every command takes --json: one JSON value on standard output, also for errors\n"
        "commands that speak to a running daemon take --socket PATH, or --config FILE to find\n"
        "its control socket; else the usual ones are tried, the gateway's first\n\n"
        "exit status: 0 done, 1 failed, 64 wrong arguments, 65 unreadable input,\n"
        "69 no daemon answers, 77 not permitted, 78 bad configuration\n",
        to);
}

static int report(int status, const char *fmt, va_list ap) FRUN_PRINTF(2, 0);

static int report(int status, const char *fmt, va_list ap)
{
    (void)fputs("frunctl: ", ctl_err());
    (void)vfprintf(ctl_err(), fmt, ap);
    (void)fputs(status == EX_USAGE ? "; see frunctl --help\n" : "\n", ctl_err());
    return status;
}

int ctl_misuse(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int status = report(EX_USAGE, fmt, ap);
    va_end(ap);
    return status;
}

int ctl_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int status = report(EXIT_FAILURE, fmt, ap);
    va_end(ap);
    return status;
}

/* The command that argv begins with, and how many words it has; NULL: none. */
static const struct ctl_command *find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < ctl_n_commands; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        *words = c->group ? 2 : 1;
        if (argc > *words && strcmp(argv[*words], c->name) == 0 &&
            (!c->group || strcmp(argv[1], c->group) == 0)) {
            return c;
        }
    }
    return NULL;
}

/* Passwords and keys pass through this process: no core dump, nothing readable by others. */
static void protect(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)umask(077);
}

/* "frunctl pki connector --help" as well as "frunctl --help". */
static bool wants_help(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0);
}

/* Nothing that the table has: what is meant may be one of a group's. */
static int unknown(int argc, char **argv)
{
    bool is_group = false;
    for (size_t i = 0; argc > 1 && i < ctl_n_commands; i++) {
        is_group |= ctl_commands[i].group && strcmp(ctl_commands[i].group, argv[1]) == 0;
    }
    if (argc > 1 && argv[1][0] != '-' && ctl_is_json()) {
        return ctl_misuse("there is no command '%s%s%s'", argv[1], is_group ? " " : "",
                          is_group && argc > 2 ? argv[2] : "");
    }
    usage(stderr, is_group ? argv[1] : NULL, NULL);
    return argc > 1 && (!is_group || argc > 2)
               ? ctl_misuse("there is no command '%s%s%s'", argv[1], is_group ? " " : "",
                            is_group ? argv[2] : "")
               : EX_USAGE;
}

int main(int argc, char **argv)
{
    int words = 0;
    protect();
    ctl_out_begin(argc, argv);
    const struct ctl_command *c = find(argc, argv, &words);
    if (wants_help(argc, argv)) {
        usage(stdout, argc > 2 ? argv[1] : NULL, c && c->group ? c->name : NULL);
        return EXIT_SUCCESS;
    }
    if (c) {
        int status = c->run(argc - words, argv + words);
        if (fflush(stdout) || ferror(stdout)) {
            status = ctl_fail("cannot write the output");
        }
        return ctl_out_end(status);
    }
    if (argc >= 2 && strcmp(argv[1], "help") == 0) {
        usage(stdout, argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        (void)puts("frunctl " FRUN_VERSION);
        return EXIT_SUCCESS;
    }
    return ctl_out_end(unknown(argc, argv));
}
