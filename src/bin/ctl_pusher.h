/**
 * What the commands of frunctl pusher share: their command line, the pusher in its file, the end.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_PUSHER_H
#define FRUN_BIN_CTL_PUSHER_H

#include "frun/base/text.h"

#include "ctl_edit.h"
#include "ctl_replace.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct conf_endpoint;
struct conf_gw;
struct conf_pusher;

/* What the command line asks for. */
struct ctl_pusher_ask {
    const char *name;
    const char *config;
    const char *endpoint;
    const char *certificate; /* of the pusher, made elsewhere */
    const char *pki;         /* folder of the CA that signs a new one */
    uint64_t grace_s;
    bool is_forced;
    bool is_password;
    bool is_x509;
    bool is_json;
};

/* Read the command line; @p allowed names the options by their letters. 0, or an exit status. */
int ctl_pusher_parse(int argc, char **argv, const char *allowed, struct ctl_pusher_ask *a);

/* Load the configuration; errors and warnings go to @p report. 0, or an exit status. */
int ctl_pusher_load(const char *path, FILE *report, struct conf_gw **c);

/** Octets of a new secret before they become text: 256 bits. */
#define CTL_SECRET_OCTETS 32

/** Octets of a crypt(5) hash with the final NUL. */
#define CTL_HASH_BYTES 384

/** Octets of a time like 2026-11-22T10:00:00Z with the final NUL. */
#define CTL_TIME_BYTES 24

/** Octets of a list of ways with the final NUL. */
#define CTL_AUTH_BYTES 64

/* The pusher found, and what is made for it. */
struct ctl_pusher_subject {
    struct conf_gw *conf;
    const struct conf_pusher *p;
    const struct conf_endpoint *e; /* for its root URL */
    char secret[TEXT_BASE64_BYTES(CTL_SECRET_OCTETS)];
    char hash[CTL_HASH_BYTES];
    char until[CTL_TIME_BYTES];
    struct ctl_undo undo; /* the file before */
};

/* Load the configuration, perhaps anew, and find pusher and endpoint. 0, or an exit status. */
int ctl_pusher_find(const struct ctl_pusher_ask *a, FILE *report, struct ctl_pusher_subject *s);

/* Write the keys and make sure that the configuration is still good. 0, or an exit status. */
int ctl_pusher_store(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s,
                     const struct ctl_edit *edits, size_t n);

/* Fill s->until. */
void ctl_pusher_until(struct ctl_pusher_subject *s, uint64_t grace_s);

/* The pusher's ways and oauth2, as auth = says them. */
void ctl_pusher_auth(const struct conf_pusher *p, char out[CTL_AUTH_BYTES]);

/* Show what was made, once: @p print writes to stdout and returns 0, or something else. If that
 * fails the file is put back. The exit status. */
int ctl_pusher_show(struct ctl_pusher_subject *s, int (*print)(void *ctx), void *ctx);

/* Wipe and free. */
void ctl_pusher_done(struct ctl_pusher_subject *s);

/* frunctl pusher service-key --x509, rotate --x509, once the pusher is found. The exit status. */
int ctl_x509_service_key(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s);
int ctl_x509_rotate(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s);

#endif
