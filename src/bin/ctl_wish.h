/**
 * What the commands share that write sections: their command line, the loaded configuration, where
 * new sections and secrets go.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_WISH_H
#define FRUN_BIN_CTL_WISH_H

#include "frun/base/buf.h"
#include "frun/base/err.h"

#include "ctl_change.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct conf_endpoint;
struct conf_gw;
struct conf_pusher;
struct secret;

/* Octets of a section's title with the final NUL. */
#define CTL_TITLE_BYTES 320

/* Most KEY=VALUE of a command. */
#define CTL_MAX_PAIRS 48

/* What the command line asks for; ctl_wish_done() it. */
struct ctl_wish {
    const char *name;                 /* the section's */
    const char *pairs[CTL_MAX_PAIRS]; /* KEY=VALUE as written */
    size_t n_pairs;
    const char *secrets;       /* --secrets: folder of secrets, else "secrets" beside the file */
    const char *password_file; /* --password-file, "-" for stdin */
    bool is_generated;         /* --generate: a password is made and shown once */
    bool is_credential;        /* --credential: refer to the secret as systemd hands it over */
    bool is_update;            /* --update, --force: what is there is replaced */
    bool has_pushers;          /* --pushers: they go too */
    struct ctl_change change;  /* --config, --dry-run, --json, --reload */
    struct conf_gw *gw;        /* loaded */
    char folder[PATH_MAX];     /* of secrets, absolute */
};

/* Read the command line; @p allowed names the options by their letters: p password-file, g
 * generate, C credential, s secrets, P pushers, f force. has_pairs: KEY=VALUE may follow the NAME.
 * 0, or an exit status. */
int ctl_wish_parse(int argc, char **argv, const char *allowed, bool has_pairs, struct ctl_wish *w);

/* Find the folder of secrets. 0, or an exit status. */
int ctl_wish_folder(struct ctl_wish *w);

/* Find the folder of secrets and load the configuration. 0, or an exit status. */
int ctl_wish_load(struct ctl_wish *w);

/* Free, wipe. */
void ctl_wish_done(struct ctl_wish *w);

/* The value given for a key, or NULL. */
const char *ctl_wish_value(const struct ctl_wish *w, const char *key);

/* May a text stand behind '=' as it is? NULL, or why not. */
const char *ctl_value_check(struct span value);

/* What is wrong with a password, or NULL. */
const char *ctl_secret_check(struct span value);

/* The file that a new section goes to: one of its own in the folder of "include", else the main
 * one. */
void ctl_wish_file(const struct ctl_wish *w, const char *name, char out[PATH_MAX]);

/* File of a secret, and how the configuration refers to it. 0, or an exit status. */
int ctl_wish_secret(const struct ctl_wish *w, const char *name, char path[PATH_MAX],
                    char reference[PATH_MAX]);

/* Append a section's head and the pairs. */
frun_err ctl_wish_section(const struct ctl_wish *w, const char *kind,
                          struct buf *out) FRUN_MUST_CHECK;

/* A new password of 144 random bits as text, or the one that is asked for. 0, or an exit status. */
int ctl_wish_password(const struct ctl_wish *w, const char *prompt, struct secret **out);

/* A random password. NULL: no memory. */
struct secret *ctl_random_password(void);

/* Sections by their names; NULL: there is none. */
const struct conf_endpoint *ctl_find_endpoint(const struct conf_gw *gw, const char *name);
const struct conf_pusher *ctl_find_pusher(const struct conf_gw *gw, const char *name);

#endif
