/**
 * A change of several files as one: drafted in memory, checked as a whole, written, or taken back.
 *
 * Nothing is on the disk before ctl_change_write(). It writes in the order in which the files came
 * into the change, each in one step; who has to rely on another one comes later (first the secret,
 * then the section that names it).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_CHANGE_H
#define FRUN_BIN_CTL_CHANGE_H

#include "frun/base/span.h"

#include "ctl_edit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

struct conf_gw;
struct json_t;

/* One file. */
struct ctl_change_file {
    char *path;         /* as the configuration names it; of a secret, absolute */
    char *text;         /* as it shall be */
    size_t n;           /* its octets */
    char *old;          /* as it is; NULL: it is not there */
    size_t n_old;       /* its octets */
    struct stat before; /* the file that was read; of a new one: whose owner and mode it takes */
    struct stat after;  /* the file that was written */
    bool is_gone;       /* nothing is left in it */
    bool is_written;    /* what shall be is */
};

/* The change; zero it, set the first three, ctl_change_done() it. */
struct ctl_change {
    const char *config; /* main file */
    bool is_dry;        /* nothing is written */
    bool is_json;       /* what is told is told as JSON */
    bool is_reload;     /* the daemon shall read it anew afterwards */
    struct ctl_change_file *files;
    size_t n;
    size_t cap;
};

/* Set keys of a section; its file comes into the change. 0, or an exit status; reported. */
int ctl_change_set(struct ctl_change *c, const struct ctl_place *at, const struct ctl_edit *edits,
                   size_t n);

/* Take a section away; a file that holds nothing else goes too, unless it is the main file. */
int ctl_change_drop(struct ctl_change *c, const struct ctl_place *at);

/* Put sections behind all others of a file, which need not be there yet. */
int ctl_change_append(struct ctl_change *c, const char *path, struct span text);

/* A secret of its own file; the octets are copied. is_replaced: one that is there is replaced, else
 * it must say the same. */
int ctl_change_secret(struct ctl_change *c, const char *path, struct span octets, bool is_replaced);

/* The configuration as it would be; errors and warnings go to @p report. 0, or an exit status. */
int ctl_change_check(const struct ctl_change *c, FILE *report, struct conf_gw **out);

/* Write everything; if one file cannot be written, put back what was. 0, or an exit status. */
int ctl_change_write(struct ctl_change *c);

/* Put back what was written; reported. */
void ctl_change_undo(struct ctl_change *c);

/* Check, write, say what was done and how it takes effect; reload if that is wished. @p what: made
 * or changed, for people; @p v: the same for --json, gone afterwards, may be NULL. */
int ctl_change_finish(struct ctl_change *c, const char *what, struct json_t *v);

/* How the change takes effect: by a reload now, or a word about it. The exit status. */
int ctl_change_reload(const struct ctl_change *c);

/* Wipe and free. */
void ctl_change_done(struct ctl_change *c);

#endif
