/**
 * The one table of frunctl's commands, for whoever lists them: help text, completions, manual.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_COMMANDS_H
#define FRUN_BIN_CTL_COMMANDS_H

#include <stddef.h>

/* One command of one or two words. */
struct ctl_command {
    const char *group; /* first word, or NULL */
    const char *name;  /* last word */
    const char *args;  /* for the usage text */
    const char *help;  /* one line */
    int (*run)(int argc, char **argv);
};

/* All of them, in the order of the help text. */
extern const struct ctl_command ctl_commands[];

/* How many there are. */
extern const size_t ctl_n_commands;

#endif
