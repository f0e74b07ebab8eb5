/**
 * Changing a few keys of one section in a file: under its folder's lock, whole or not at all.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_edit.h"

#include "frun/base/buf.h"

#include "ctl.h"
#include "ctl_replace.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file to change, locked. */
struct target {
    int dir;
    const char *path;
    struct stat before;
};

/* With the lock held: read, change, write. */
static int edit(const struct target *t, const struct ctl_place *at, const struct ctl_edit *edits,
                size_t n, struct ctl_undo *undo)
{
    struct buf made;
    size_t len = 0;
    char *text = ctl_payload_file(t->path, &len);
    if (!text) {
        return EXIT_FAILURE;
    }
    buf_init(&made, CTL_EDIT_MAX_BYTES);
    frun_err err = ctl_edit_text(span_make(text, len), at, edits, n, &made);
    char *name = err ? NULL : strdup(t->path);
    err = !err && !name ? FRUN_E_NOMEM : err;
    int status = err == FRUN_E_NOT_FOUND
                     ? ctl_fail("[%s] is not at line %u of %s any more; try again", at->title,
                                at->line, t->path)
                 : err ? ctl_fail("%s", err_text(err))
                       : ctl_replace(t->dir, t->path, &t->before, buf_span(&made), &undo->changed);
    if (status) {
        free(name);
        secret_wipe(text, len);
        free(text);
    } else {
        undo->path = name;
        undo->text = text;
        undo->n = len;
    }
    buf_done(&made);
    return status;
}

int ctl_edit_section(const struct ctl_place *at, const struct ctl_edit *edits, size_t n,
                     struct ctl_undo *undo)
{
    char path[PATH_MAX];
    struct target t = {.path = path};
    *undo = (struct ctl_undo){.path = NULL};
    if (!realpath(at->file, path) || stat(path, &t.before)) {
        return ctl_fail("cannot read %s: %s", at->file, strerrordesc_np(errno));
    }
    t.dir = ctl_replace_lock(path);
    if (t.dir < 0) {
        return EXIT_FAILURE;
    }
    int status = edit(&t, at, edits, n, undo);
    (void)close(t.dir);
    return status;
}
