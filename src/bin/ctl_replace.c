/**
 * Putting a new text in the place of a configuration file.
 *
 * The new file is written beside the old one, synced, and put in its place in one step, with its
 * mode and owner; who reads meanwhile sees the old file or the new one. The old text is kept until
 * the caller has found the new one good.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_replace.h"

#include "ctl.h"
#include "ctl_out.h"
#include "frun/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static bool is_unchanged(const char *path, const struct stat *before)
{
    struct stat now;
    return stat(path, &now) == 0 && now.st_ino == before->st_ino &&
           now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* Write @p text to a file beside it. */
static int write_draft(const char *draft, const struct stat *before, struct span text,
                       struct stat *out)
{
    (void)unlink(draft); /* of one of us who was killed: the folder's lock is ours */
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && fchown(fd, before->st_uid, before->st_gid) == 0 &&
                   fchmod(fd, before->st_mode & 07777) == 0 &&
                   file_write_all(fd, text) == FRUN_OK && fstat(fd, out) == 0;
    int code = errno;
    if (fd >= 0 && close(fd) && is_good) {
        is_good = false;
        code = errno;
    }
    if (is_good) {
        return EXIT_SUCCESS;
    }
    if (fd >= 0) {
        (void)unlink(draft);
    }
    return ctl_fail("cannot write %s: %s; nothing has been changed", draft, strerrordesc_np(code));
}

int ctl_replace(int dir, const char *path, const struct stat *before, struct span text,
                struct stat *out)
{
    char draft[PATH_MAX];
    int n = snprintf(draft, sizeof(draft), "%s.frunctl-new", path);
    if (n < 0 || (size_t)n >= sizeof(draft)) {
        return ctl_fail("the name %s is too long", path);
    }
    int status = write_draft(draft, before, text, out);
    if (status) {
        return status;
    }
    if (!is_unchanged(path, before)) {
        status = ctl_fail("%s was changed meanwhile; nothing has been done, try again", path);
    } else if (rename(draft, path)) {
        status = ctl_fail("cannot replace %s: %s", path, strerrordesc_np(errno));
    }
    if (status) {
        (void)unlink(draft);
        return status;
    }
    (void)fsync(dir); /* it stands there already; this is for a power failure in the next seconds */
    return EXIT_SUCCESS;
}

int ctl_replace_lock(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = errno;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
        code = errno;
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0) {
        (void)ctl_fail("cannot lock %s: %s", folder,
                       code == EWOULDBLOCK ? "another frunctl changes a file there; try again"
                                           : strerrordesc_np(code));
    }
    return fd;
}

int ctl_undo_run(const struct ctl_undo *undo)
{
    struct stat put_back;
    if (!undo->path) {
        return EXIT_SUCCESS;
    }
    int dir = ctl_replace_lock(undo->path);
    if (dir < 0) {
        return EXIT_FAILURE;
    }
    int status =
        ctl_replace(dir, undo->path, &undo->changed, span_make(undo->text, undo->n), &put_back);
    (void)close(dir);
    (void)fprintf(ctl_err(), "frunctl: %s %s\n", undo->path,
                  status ? "has been changed and could not be put back" : "is as it was before");
    return status;
}

void ctl_undo_done(struct ctl_undo *undo)
{
    if (undo->text) {
        secret_wipe(undo->text, undo->n);
    }
    free(undo->text);
    free(undo->path);
    *undo = (struct ctl_undo){.path = NULL};
}
