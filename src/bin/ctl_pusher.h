/**
 * What the commands of frunctl pusher share: their command line.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_PUSHER_H
#define FRUN_BIN_CTL_PUSHER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct conf_gw;

/* What the command line asks for. */
struct ctl_pusher_ask {
    const char *name;
    const char *config;
    const char *endpoint;
    uint64_t grace_s;
    bool is_forced;
    bool is_password;
    bool is_x509;
};

/* Read the command line; @p allowed names the options by their letters. 0, or an exit status. */
int ctl_pusher_parse(int argc, char **argv, const char *allowed, struct ctl_pusher_ask *a);

/* Load the configuration; errors and warnings go to @p report. 0, or an exit status. */
int ctl_pusher_load(const char *path, FILE *report, struct conf_gw **c);

#endif
