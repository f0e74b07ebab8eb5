/**
 * What the commands share that walk and change the endpoints' roads.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_CHECK_H
#define FRUN_BIN_CTL_CHECK_H

#include "ctl_control.h"

#include <stdbool.h>

struct json_t;
struct steps;

/* Octets of a target: a name of 64, each octet encoded, and what stands around it. */
#define CTL_TARGET_BYTES 512

/* What was asked for. */
struct ctl_check {
    struct ctl_control control; /* the NAME is its word */
    bool is_all;                /* --all */
    bool is_forced;             /* --force */
    bool is_standby;            /* --standby: the road that is not taken now */
    const char *to;             /* --to ROUTE */
};

/* Take our own options and leave the rest to ctl_control_parse(). EXIT_SUCCESS, or reported. */
int ctl_check_parse(int argc, char **argv, struct ctl_check *k);

/* A text of an object, "" if it is not there. */
const char *ctl_check_text(const struct json_t *object, const char *key);

/* The steps of an answer. */
void ctl_check_steps(const struct json_t *array, struct steps *out);

/* Print a result, or add it to all of --json. The exit status it means. */
int ctl_check_show(struct ctl_check *k, struct json_t *v, struct json_t *all);

/* The configuration to walk by if no daemon answers, or NULL. */
const char *ctl_check_config(const struct ctl_check *k);

/* Walk without a daemon. The exit status. */
int ctl_check_files(struct ctl_check *k, const char *config);

#endif
