/**
 * What the parts of frunctl push share.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_PUSH_H
#define FRUN_BIN_CTL_PUSH_H

#include "frun/fetch/fetch.h"

#include <stdbool.h>
#include <stdint.h>

/* How far a payload is. */
struct ctl_push_progress {
    uint64_t total; /* octets */
    unsigned told;  /* percent that were told last */
    bool is_wanted; /* --progress: also where stderr is no terminal */
};

/* Shall progress be told? At a terminal of large payloads. */
bool ctl_push_is_watched(const struct ctl_push_progress *p);

/* So much has gone: fetch_request.on_sent, ctx is a struct ctl_push_progress. */
void ctl_push_on_sent(void *ctx, uint64_t sent);

/* Show an answer. 0, or 1: it is no 2xx; said why. */
int ctl_push_show(const struct fetch_answer *a, bool is_json, uint64_t sent);

#endif
