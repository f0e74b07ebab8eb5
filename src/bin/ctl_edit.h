/**
 * Changing keys of a section in a configuration file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_EDIT_H
#define FRUN_BIN_CTL_EDIT_H

#include <stddef.h>

struct ctl_undo;

/* Where the section stands. */
struct ctl_place {
    const char *file;
    unsigned line;     /* of its head */
    const char *title; /* what stands in its brackets */
};

/* One key: its new value, or NULL to remove it. */
struct ctl_edit {
    const char *key;
    const char *value;
};

/* Set the keys, at most 16; the rest of the file stays as it is. The exit status; what failed has
 * been reported, and the file is as it was. After success ctl_undo_done(@p undo). */
int ctl_edit_section(const struct ctl_place *at, const struct ctl_edit *edits, size_t n,
                     struct ctl_undo *undo);

#endif
