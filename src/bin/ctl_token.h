/**
 * A token for frunctl's own pushes, got with a service key as a managed service would.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_TOKEN_H
#define FRUN_BIN_CTL_TOKEN_H

/* What a push needs; ctl_token_done() it. */
struct ctl_token {
    char *field; /* "Authorization: Bearer ..." */
    char *url;   /* root URL and the path that sample pushes go to */
};

/* Read the key, ask its token endpoint. The exit status; what failed has been reported. */
int ctl_token_get(const char *file, const char *ca_file, const char *proxy, struct ctl_token *out);

/* Wipe and free. */
void ctl_token_done(struct ctl_token *t);

#endif
