/**
 * Writing a change, and taking it back.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"

#include "ctl.h"
#include "ctl_audit.h"
#include "ctl_change.h"
#include "ctl_out.h"
#include "ctl_replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Most folders of one change. */
#define MAX_FOLDERS 16

/* So many new files are put on the disk together, by one look at it: each by itself takes its time.
 */
#define MANY_FILES 8

/* Folders that are locked while files in them are written. */
struct locks {
    const char *paths[MAX_FOLDERS]; /* of a file in each */
    int fds[MAX_FOLDERS];
    size_t n;
};

static bool is_same_folder(const char *a, const char *b)
{
    const char *x = strrchr(a, '/');
    const char *y = strrchr(b, '/');
    size_t n = x ? (size_t)(x - a) : 0;
    return n == (y ? (size_t)(y - b) : 0) && memcmp(a, b, n) == 0;
}

/* The lock of a file's folder; taken unless it is held. -1: reported. */
static int lock(struct locks *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++) {
        if (is_same_folder(l->paths[i], path)) {
            return l->fds[i];
        }
    }
    int fd = l->n < MAX_FOLDERS ? ctl_replace_lock(path) : -1;
    if (fd >= 0) {
        l->paths[l->n] = path;
        l->fds[l->n++] = fd;
    }
    return fd;
}

static void unlock(struct locks *l)
{
    for (size_t i = 0; i < l->n; i++) {
        (void)fsync(l->fds[i]); /* what stands there does; this is for a power failure */
        (void)close(l->fds[i]);
    }
    l->n = 0;
}

static bool is_needed(const struct ctl_change_file *f)
{
    return !(f->text && f->old && f->n == f->n_old && memcmp(f->text, f->old, f->n) == 0);
}

static int draft_name(const struct ctl_change_file *f, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s.frunctl-new", f->path);
    return n > 0 && n < PATH_MAX ? 0 : ctl_fail("the name %s is too long", f->path);
}

static bool put_octets(int fd, const struct ctl_change_file *f, bool is_synced)
{
    for (size_t done = 0; done < f->n && !is_synced;) {
        ssize_t n = write(fd, f->text + done, f->n - done);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return !is_synced || file_write_all(fd, span_make(f->text, f->n)) == FRUN_OK;
}

/* A new file beside the place where it will stand. */
static int draft(struct ctl_change_file *f, bool is_synced)
{
    char name[PATH_MAX];
    if (draft_name(f, name)) {
        return EXIT_FAILURE;
    }
    (void)unlink(name); /* of one of us who was killed: the folder's lock is ours */
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && fchown(fd, f->before.st_uid, f->before.st_gid) == 0 &&
                   fchmod(fd, f->before.st_mode & 0777) == 0 && put_octets(fd, f, is_synced) &&
                   fstat(fd, &f->after) == 0;
    int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_good ? 0 : ctl_fail("cannot write %s: %s", name, strerrordesc_np(code));
}

/* It comes to its place in one step, never over one that somebody else has made meanwhile. */
static int place(const struct ctl_change_file *f)
{
    char name[PATH_MAX];
    if (draft_name(f, name)) {
        return EXIT_FAILURE;
    }
    return renameat2(AT_FDCWD, name, AT_FDCWD, f->path, RENAME_NOREPLACE)
               ? ctl_fail("cannot write %s: %s", f->path, strerrordesc_np(errno))
               : 0;
}

/* A link stays a link: what it leads to is replaced. */
static int follow(struct ctl_change_file *f)
{
    char real[PATH_MAX];
    char *copy = f->old && realpath(f->path, real) ? strdup(real) : NULL;
    if (f->old && !copy) {
        return ctl_fail("cannot follow %s: %s", f->path, strerrordesc_np(errno));
    }
    if (copy) {
        free(f->path);
        f->path = copy;
    }
    return 0;
}

static int write_one(struct ctl_change_file *f, int dir)
{
    int status = f->old ? ctl_replace(dir, f->path, &f->before, span_make(f->text, f->n), &f->after)
                        : place(f);
    f->is_written = !status;
    if (!status && f->is_gone && unlink(f->path)) {
        status = ctl_fail("cannot remove %s: %s", f->path, strerrordesc_np(errno));
    }
    return status;
}

/* What was there, or nothing. */
static void put_back(struct ctl_change_file *f)
{
    if (!f->is_written) {
        return;
    }
    f->is_written = false;
    int dir = ctl_replace_lock(f->path);
    int status = dir < 0;
    if (!status && !f->old) {
        status = unlink(f->path) != 0;
    } else if (!status && f->is_gone) {
        free(f->text);
        f->text = f->old;
        f->n = f->n_old;
        f->old = NULL;
        status = draft(f, true) || place(f);
    } else if (!status) {
        struct stat again;
        status = ctl_replace(dir, f->path, &f->after, span_make(f->old, f->n_old), &again);
    }
    if (dir >= 0) {
        (void)close(dir);
    }
    (void)fprintf(ctl_err(), "frunctl: %s %s\n", f->path,
                  status ? "has been changed and could not be put back" : "is as it was before");
}

void ctl_change_undo(struct ctl_change *c)
{
    for (size_t i = c->n; i > 0; i--) {
        put_back(&c->files[i - 1]);
    }
}

/* Locks, and new files as drafts. */
static int write_drafts(struct ctl_change *c, struct locks *l)
{
    int status = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        n += !c->files[i].old;
    }
    for (size_t i = 0; !status && i < c->n; i++) {
        struct ctl_change_file *f = &c->files[i];
        if (is_needed(f)) {
            status = follow(f);
            status = status || lock(l, f->path) >= 0 ? status : EXIT_FAILURE;
            status = status || f->old ? status : draft(f, n < MANY_FILES);
        }
    }
    for (size_t i = 0; !status && n >= MANY_FILES && i < l->n; i++) {
        status = syncfs(l->fds[i]) ? ctl_fail("cannot write: %s", strerrordesc_np(errno)) : 0;
    }
    return status;
}

/* Drafts that have not come to their places. */
static void forget_drafts(const struct ctl_change *c)
{
    char name[PATH_MAX];
    for (size_t i = 0; i < c->n; i++) {
        if (!c->files[i].old && !c->files[i].is_written && draft_name(&c->files[i], name) == 0) {
            (void)unlink(name);
        }
    }
}

int ctl_change_write(struct ctl_change *c)
{
    struct locks l = {.n = 0};
    int status = write_drafts(c, &l);
    for (size_t i = 0; !status && i < c->n; i++) {
        if (is_needed(&c->files[i])) {
            status = write_one(&c->files[i], lock(&l, c->files[i].path));
        }
    }
    if (status && l.n) {
        forget_drafts(c);
    }
    unlock(&l);
    if (status) {
        ctl_change_undo(c);
    } else {
        ctl_audit_change(c);
    }
    return status;
}
