/**
 * What the commands of frunctl pki share.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_PKI_H
#define FRUN_BIN_CTL_PKI_H

#include "ctl_cert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most --name and --ip together. */
#define CTL_PKI_NAMES 32

/* What the command line asks for. */
struct ctl_pki_ask {
    const char *dir;
    const char *names[CTL_PKI_NAMES];
    size_t n_names;
    const char *ips[CTL_PKI_NAMES];
    size_t n_ips;
    const char *config;               /* whose audit log is told */
    const char *files[CTL_PKI_NAMES]; /* behind the folder */
    size_t n_files;
    size_t max_files; /* that the command takes */
    uint64_t days;    /* --days, 0: not given */
    bool is_forced;
};

/* Read the command line. 0, or an exit status. */
int ctl_pki_parse(int argc, char **argv, struct ctl_pki_ask *a);

/* Files DIR/BASE.pem and DIR/BASE.key. Nothing is made that could not be written: neither may be
 * there, unless --force is given. 0, or an exit status. */
int ctl_pki_files(struct ctl_cert *m, const struct ctl_pki_ask *a, const char *base);

/* What was made, to people, as JSON, and to the audit log. subject: as [connector NAME] wants it,
 * or NULL; hint: or NULL. The exit status. */
int ctl_pki_tell(const struct ctl_pki_ask *a, const struct ctl_cert *m, const char *subject,
                 const char *hint);

#endif
