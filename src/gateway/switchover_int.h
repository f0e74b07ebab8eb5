/**
 * What the files of the roads share.
 *
 *     switchover.c        switching
 *     switchover_file.c   the file that remembers it
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_SWITCHOVER_INT_H
#define FRUN_GATEWAY_SWITCHOVER_INT_H

#include "frun/gateway/switchover.h"

struct switchover {
    struct gateway_shared *g;
    char *folder;               /* state_directory */
    bool busy;                  /* a switch is under way */
    const struct registry *now; /* in use */
};

/** Write which endpoints are not on their configured route; what is wrong goes to the log. @param r
 * roads @param reg endpoints @return FRUN_OK; FRUN_E_IO; FRUN_E_NOMEM. */
frun_err switchover_file_write(const struct switchover *r,
                               const struct registry *reg) FRUN_MUST_CHECK;

#endif
