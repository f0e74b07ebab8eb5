/**
 * Changing keys of a section in a configuration file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_EDIT_H
#define FRUN_BIN_CTL_EDIT_H

#include "frun/base/buf.h"

#include <stddef.h>

/* Largest file that is changed, octets. */
#define CTL_EDIT_MAX_BYTES ((size_t)8 * 1024 * 1024)

struct ctl_undo;

/* Where the section stands. */
struct ctl_place {
    const char *file;
    unsigned line;     /* of its head; 0: wherever the title stands */
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

/* The same from text to text, appended to @p out. FRUN_E_NOT_FOUND: the section is not there;
 * FRUN_E_NOMEM, FRUN_E_LIMIT. */
frun_err ctl_edit_text(struct span text, const struct ctl_place *at, const struct ctl_edit *edits,
                       size_t n, struct buf *out) FRUN_MUST_CHECK;

/* The text without that section; what stands behind its last key, comments and blank lines, stays.
 * FRUN_E_NOT_FOUND, FRUN_E_NOMEM, FRUN_E_LIMIT. */
frun_err ctl_edit_drop(struct span text, const char *title, struct buf *out) FRUN_MUST_CHECK;

#endif
