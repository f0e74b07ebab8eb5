/**
 * Writing a change, taking it back, and how it takes effect.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_change.h"
#include "ctl_control.h"
#include "ctl_replace.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* A file that is not there yet: whole or not at all, and never over one that somebody else has made
 * meanwhile. */
static int create(struct ctl_change_file *f)
{
    char draft[PATH_MAX];
    int n = snprintf(draft, sizeof(draft), "%s.frunctl-new", f->path);
    if (n < 0 || (size_t)n >= sizeof(draft)) {
        return ctl_fail("the name %s is too long", f->path);
    }
    (void)unlink(draft); /* of one of us who was killed: the folder's lock is ours */
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && fchown(fd, f->before.st_uid, f->before.st_gid) == 0 &&
                   fchmod(fd, f->before.st_mode & 0777) == 0 &&
                   file_write_all(fd, span_make(f->text, f->n)) == FRUN_OK &&
                   fstat(fd, &f->after) == 0;
    int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (is_good && renameat2(AT_FDCWD, draft, AT_FDCWD, f->path, RENAME_NOREPLACE)) {
        is_good = false;
        code = errno;
    }
    if (!is_good && fd >= 0) {
        (void)unlink(draft);
    }
    return is_good ? 0 : ctl_fail("cannot write %s: %s", f->path, strerrordesc_np(code));
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

static int write_one(struct ctl_change_file *f)
{
    if (f->text && f->old && f->n == f->n_old && memcmp(f->text, f->old, f->n) == 0) {
        return 0;
    }
    int status = follow(f);
    int dir = status ? -1 : ctl_replace_lock(f->path);
    if (dir < 0) {
        return EXIT_FAILURE;
    }
    status = f->old ? ctl_replace(dir, f->path, &f->before, span_make(f->text, f->n), &f->after)
                    : create(f);
    if (!status && f->is_gone && unlink(f->path)) {
        status = ctl_fail("cannot remove %s: %s", f->path, strerrordesc_np(errno));
    }
    (void)fsync(dir);
    (void)close(dir);
    f->is_written = !status;
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
        status = create(f);
    } else if (!status) {
        struct stat again;
        status = ctl_replace(dir, f->path, &f->after, span_make(f->old, f->n_old), &again);
    }
    if (dir >= 0) {
        (void)close(dir);
    }
    (void)fprintf(stderr, "frunctl: %s %s\n", f->path,
                  status ? "has been changed and could not be put back" : "is as it was before");
}

void ctl_change_undo(struct ctl_change *c)
{
    for (size_t i = c->n; i > 0; i--) {
        put_back(&c->files[i - 1]);
    }
}

int ctl_change_write(struct ctl_change *c)
{
    for (size_t i = 0; i < c->n; i++) {
        int status = write_one(&c->files[i]);
        if (status) {
            ctl_change_undo(c);
            return status;
        }
    }
    return 0;
}

int ctl_change_reload(const struct ctl_change *c)
{
    struct ctl_control control = {.config = c->config};
    json_t *v = NULL;
    if (!c->is_reload) {
        (void)fprintf(stderr,
                      "frunctl: 'frunctl reload' puts it in force, on every gateway behind this "
                      "name\n");
        return EXIT_SUCCESS;
    }
    int status = ctl_control_ask(&control, "POST", "/api/v1/reload", NULL, &v);
    const char *result = json_string_value(json_object_get(v, "result"));
    const char *why = json_string_value(json_object_get(v, "why"));
    if (!status && (!result || strcmp(result, "used") != 0)) {
        (void)ctl_fail("the files are written, but the daemon keeps what it has: %s",
                       why ? why : "see its log");
        status = EX_CONFIG;
    }
    if (!status) {
        (void)fprintf(stderr, "frunctl: the daemon uses it\n");
    }
    json_decref(v);
    return status;
}

static void tell(const struct ctl_change *c, const char *what, json_t *v)
{
    static const char *const words[2][2] = {{"made", "changed"}, {"would make", "would change"}};
    json_t *files = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct ctl_change_file *f = &c->files[i];
        if (!c->is_dry && !f->is_written) {
            continue;
        }
        const char *word =
            f->is_gone ? c->is_dry ? "would remove" : "removed" : words[c->is_dry][f->old != NULL];
        (void)json_array_append_new(files, json_pack("{s:s, s:s}", "file", f->path, "done", word));
        if (!c->is_json) {
            (void)printf("%s %s\n", word, f->path);
        }
    }
    if (c->is_json) {
        json_t *all =
            json_pack("{s:s, s:b, s:o}", "result", what, "dry_run", c->is_dry, "files", files);
        (void)json_object_update(all, v);
        ctl_control_print(all);
        json_decref(all);
        return;
    }
    json_decref(files);
    (void)puts(what);
}

int ctl_change_finish(struct ctl_change *c, const char *what, struct json_t *v)
{
    struct conf_gw *gw = NULL;
    int status = ctl_change_check(c, stderr, &gw);
    conf_gw_unref(&gw);
    if (status == EX_CONFIG) {
        (void)fprintf(stderr,
                      "frunctl: with this change the configuration is not good; nothing has been "
                      "changed\n");
    }
    if (!status && !c->is_dry) {
        status = ctl_change_write(c);
    }
    if (!status) {
        tell(c, what, v);
        status = c->is_dry ? EXIT_SUCCESS : ctl_change_reload(c);
    }
    json_decref(v);
    return status;
}
