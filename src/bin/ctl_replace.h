/**
 * Putting a new text in the place of a file, and the old one back.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_REPLACE_H
#define FRUN_BIN_CTL_REPLACE_H

#include "frun/base/span.h"

#include <stddef.h>
#include <sys/stat.h>

/* A file as it was before a change. */
struct ctl_undo {
    char *path; /* NULL: nothing was changed */
    char *text;
    size_t n;
    struct stat changed; /* the file we wrote */
};

/* Lock the folder of a file, so that two of us do not write at once; close() unlocks. -1: reported.
 */
int ctl_replace_lock(const char *path);

/* Put @p text in the place of @p path, which must still be the file that @p before describes; @p
 * out describes the new one. The exit status; what failed has been reported, and the file is as it
 * was.
 * @p dir is the lock. */
int ctl_replace(int dir, const char *path, const struct stat *before, struct span text,
                struct stat *out);

/* Put the file back as it was, unless somebody else has changed it meanwhile. The exit status; what
 * was done has been reported. Nothing if nothing was changed. */
int ctl_undo_run(const struct ctl_undo *undo);

/* Forget the old text. */
void ctl_undo_done(struct ctl_undo *undo);

#endif
