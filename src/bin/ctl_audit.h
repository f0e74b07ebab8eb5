/**
 * The audit log as frunctl reads it, and as it writes into it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_AUDIT_H
#define FRUN_BIN_CTL_AUDIT_H

#include "frun/base/chain.h"
#include "frun/conf/audit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_gw;
struct ctl_change;
struct conf_cn;
struct json_t;

/* Files that are looked at by one command. */
#define CTL_AUDIT_FILES 64

/* What is asked for. */
struct ctl_audit_ask {
    const char *files[CTL_AUDIT_FILES];
    size_t n_files;
    const char *config;
    const char *key_file;
    const char *since;
    const char *until;
    const char *event;
    struct chain_end expect;
    bool is_json;
    struct secret *key;
    struct conf_gw *gw;
    struct conf_cn *cn;
    struct json_t *list; /* faults of a file */
    struct json_t *all;  /* files */
    uint64_t n_shown;
};

/* Read the command line of verify or show. 0, or an exit status. */
int ctl_audit_parse(int argc, char **argv, bool is_show, struct ctl_audit_ask *a);

/* Find files and key. 0, or an exit status. */
int ctl_audit_prepare(struct ctl_audit_ask *a);

/* What to look at in a file. */
struct chain_check ctl_audit_check(struct ctl_audit_ask *a, const char *file);

/* Wipe and free. */
void ctl_audit_done(struct ctl_audit_ask *a);

/* Tell the audit log of a configuration what was done, constant @p name, to what, and how. A log
 * that cannot be written is reported; what was done stays done. */
void ctl_audit_tell(const struct conf_audit *conf, const char *name, const char *object,
                    const char *detail);

/* The same for what is made apart from a configuration; config NULL: that of the daemon which is
 * set up on this machine, if there is one. */
void ctl_audit_made(const char *config, const char *name, const char *object, const char *detail);

/* Tell the audit log which files a change has written. */
void ctl_audit_change(const struct ctl_change *c);

#endif
