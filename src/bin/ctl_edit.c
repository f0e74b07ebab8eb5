/**
 * Changing a few keys of one section in a configuration file, everything else octet by octet as it
 * was: comments, order, blanks.
 *
 * The new file is written beside the old one, synced, and put in its place in one step, with its
 * mode and owner; who reads meanwhile sees the old file or the new one.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_edit.h"

#include "frun/base/buf.h"

#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/** Largest file that is changed, octets. */
#define EDIT_MAX_BYTES ((size_t)8 * 1024 * 1024)

/* The file under way. */
struct work {
    struct buf out;
    size_t insert_at; /* behind the section's last key */
    const char *eol;
    const struct ctl_edit *edits;
    size_t n_edits;
    unsigned done; /* bits: which edits have found their line */
};

static frun_err put_edit(struct work *w, struct buf *to, const struct ctl_edit *e)
{
    return e->value ? buf_printf(to, "%s = %s%s", e->key, e->value, w->eol) : FRUN_OK;
}

/* The edit whose key this line sets, or NULL. */
static const struct ctl_edit *edit_of(const struct work *w, struct span line)
{
    size_t eq = span_find(line, '=');
    struct span key = span_trim(span_head(line, eq));
    for (size_t i = 0; eq < line.n && i < w->n_edits; i++) {
        if (span_eq(key, span_of(w->edits[i].key))) {
            return &w->edits[i];
        }
    }
    return NULL;
}

/* One line of the section: kept, replaced, or dropped if the key stood above already. */
static frun_err take_line(struct work *w, struct span whole, struct span line)
{
    struct span text = span_trim(line);
    const struct ctl_edit *e = edit_of(w, text);
    frun_err err = FRUN_OK;
    if (!e) {
        err = buf_put(&w->out, whole);
    } else if (!(w->done & 1U << (e - w->edits))) {
        err = put_edit(w, &w->out, e);
        w->done |= 1U << (e - w->edits);
    }
    if (!err && text.n && text.p[0] != ';' && text.p[0] != '#') {
        w->insert_at = buf_len(&w->out);
    }
    return err;
}

static bool is_head(struct span line, const char *title)
{
    struct span s = span_trim(line);
    size_t n = strlen(title);
    return s.n >= n + 2 && s.p[0] == '[' && memcmp(s.p + 1, title, n) == 0 && s.p[n + 1] == ']';
}

/* Walk through the lines; FRUN_E_NOT_FOUND: the section does not stand where it stood. */
static frun_err rewrite(struct work *w, struct span text, const struct ctl_place *at)
{
    struct span rest = text;
    bool is_inside = false;
    bool is_found = false;
    frun_err err = FRUN_OK;
    for (unsigned no = 1; !err && rest.n; no++) {
        size_t n = span_find(rest, '\n');
        struct span line = span_head(rest, n);
        struct span whole = span_head(rest, n < rest.n ? n + 1 : n);
        rest = span_skip(rest, whole.n);
        if (line.n && line.p[line.n - 1] == '\r') {
            line.n--;
            w->eol = "\r\n";
        }
        struct span trimmed = span_trim(line);
        bool is_section = trimmed.n && trimmed.p[0] == '[';
        if (no == at->line && is_head(line, at->title)) {
            is_inside = is_found = true;
            err = buf_put(&w->out, whole);
            if (!err && whole.n == line.n) {
                err = buf_put(&w->out, span_of(w->eol)); /* the file ended here */
            }
            w->insert_at = buf_len(&w->out);
            continue;
        }
        is_inside = is_inside && !is_section;
        err = is_inside ? take_line(w, whole, line) : buf_put(&w->out, whole);
        if (!err && is_inside && !rest.n && whole.n == n) {
            err = buf_put(&w->out, span_of(w->eol));
            w->insert_at = buf_len(&w->out);
        }
    }
    return err ? err : is_found ? FRUN_OK : FRUN_E_NOT_FOUND;
}

/* The result: what was walked through, with the new keys put in. */
static frun_err assemble(struct work *w, struct buf *to)
{
    struct span all = buf_span(&w->out);
    frun_err err = buf_put(to, span_head(all, w->insert_at));
    for (size_t i = 0; !err && i < w->n_edits; i++) {
        err = w->done & 1U << i ? FRUN_OK : put_edit(w, to, &w->edits[i]);
    }
    return err ? err : buf_put(to, span_skip(all, w->insert_at));
}

static bool write_all(int fd, struct span text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        text = span_skip(text, (size_t)n);
    }
    return fsync(fd) == 0;
}

static bool is_unchanged(const char *path, const struct stat *before)
{
    struct stat now;
    return stat(path, &now) == 0 && now.st_ino == before->st_ino &&
           now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* Put @p text in the place of the file. */
static int replace(int dir, const char *path, const struct stat *before, struct span text)
{
    char draft[PATH_MAX];
    int n = snprintf(draft, sizeof(draft), "%s.frunctl-new", path);
    if (n < 0 || (size_t)n >= sizeof(draft)) {
        return ctl_fail("the name %s is too long", path);
    }
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ctl_fail("cannot write %s: %s", draft, strerrordesc_np(errno));
    }
    bool is_good = fchown(fd, before->st_uid, before->st_gid) == 0 &&
                   fchmod(fd, before->st_mode & 07777) == 0 && write_all(fd, text);
    is_good = close(fd) == 0 && is_good;
    bool is_same = is_good && is_unchanged(path, before);
    is_good = is_same && rename(draft, path) == 0 && fsync(dir) == 0;
    if (is_good) {
        return EXIT_SUCCESS;
    }
    int code = errno;
    (void)unlink(draft);
    return is_same ? ctl_fail("cannot replace %s: %s", path, strerrordesc_np(code))
                   : ctl_fail("%s was changed or cannot be written; nothing has been done", path);
}

/* The folder is locked, so that two of us do not write at once. */
static int lock_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0) {
        (void)ctl_fail("cannot lock %s: %s", folder, strerrordesc_np(errno));
    }
    return fd;
}

int ctl_edit_section(const struct ctl_place *at, const struct ctl_edit *edits, size_t n)
{
    char path[PATH_MAX];
    struct stat before;
    struct work w = {.eol = "\n", .edits = edits, .n_edits = n};
    struct buf made;
    size_t len = 0;
    if (!realpath(at->file, path) || stat(path, &before)) {
        return ctl_fail("cannot read %s: %s", at->file, strerrordesc_np(errno));
    }
    int dir = lock_folder(path);
    char *text = dir < 0 ? NULL : ctl_payload_file(path, &len);
    int status = EXIT_FAILURE;
    buf_init(&w.out, EDIT_MAX_BYTES);
    buf_init(&made, EDIT_MAX_BYTES);
    if (text) {
        frun_err err = rewrite(&w, span_make(text, len), at);
        err = err ? err : assemble(&w, &made);
        status = err == FRUN_E_NOT_FOUND
                     ? ctl_fail("[%s] is not at line %u of %s any more; try again", at->title,
                                at->line, path)
                 : err ? ctl_fail("%s", err_text(err))
                       : replace(dir, path, &before, buf_span(&made));
    }
    buf_done(&w.out);
    buf_done(&made);
    free(text);
    if (dir >= 0) {
        (void)close(dir);
    }
    return status;
}
