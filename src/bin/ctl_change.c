/**
 * Drafting a change of several files and judging it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_change.h"

#include "frun/base/secret.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_control.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Largest file that is made, octets. */
#define TEXT_MAX_BYTES ((size_t)8 * 1024 * 1024)

static struct ctl_change_file *find(const struct ctl_change *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->files[i].path, path) == 0) {
            return &c->files[i];
        }
    }
    return NULL;
}

/* Who owns a new file, and who may read it: as the one that stands for it does. A secret is for its
 * owner alone, which is the owner of its folder. */
static bool take_after(struct ctl_change_file *f, const char *config, bool is_secret)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(f->path, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - f->path) + 1 : 1,
                   slash ? f->path : ".");
    bool is_known = stat(is_secret ? folder : config, &f->before) == 0;
    f->before.st_mode = is_secret ? 0600 : f->before.st_mode & 0666;
    return is_known;
}

/* NULL: told. */
static struct ctl_change_file *add(struct ctl_change *c, const char *path, bool is_secret)
{
    struct ctl_change_file f = {.path = NULL};
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 8;
        struct ctl_change_file *files = reallocarray(c->files, cap, sizeof(*files));
        if (!files) {
            (void)ctl_fail("out of memory");
            return NULL;
        }
        c->files = files;
        c->cap = cap;
    }
    f.path = strdup(path);
    if (!f.path) {
        (void)ctl_fail("out of memory");
        return NULL;
    }
    if (stat(path, &f.before) == 0) {
        f.old = ctl_payload_file(path, &f.n_old);
        if (!f.old) {
            free(f.path);
            return NULL;
        }
    } else if (errno != ENOENT || !take_after(&f, c->config, is_secret)) {
        (void)ctl_fail("cannot read %s or its folder: %s", path, strerrordesc_np(errno));
        free(f.path);
        return NULL;
    }
    c->files[c->n++] = f;
    return &c->files[c->n - 1];
}

static struct ctl_change_file *open_file(struct ctl_change *c, const char *path)
{
    struct ctl_change_file *f = find(c, path);
    return f ? f : add(c, path, false);
}

static struct span now(const struct ctl_change_file *f)
{
    return f->text ? span_make(f->text, f->n) : span_make(f->old, f->n_old);
}

/* Take a new text over. */
static int take(struct ctl_change_file *f, struct buf *made, frun_err err, const char *title)
{
    if (err) {
        int status = err == FRUN_E_NOT_FOUND
                         ? ctl_fail("[%s] is not in %s any more; try again", title, f->path)
                         : ctl_fail("%s", err_text(err));
        buf_done(made);
        return status;
    }
    if (f->text) {
        secret_wipe(f->text, f->n);
        free(f->text);
    }
    f->n = buf_len(made);
    f->text = f->n ? made->data : calloc(1, 1);
    if (!f->n) {
        buf_done(made);
    }
    return f->text ? 0 : ctl_fail("out of memory");
}

int ctl_change_set(struct ctl_change *c, const struct ctl_place *at, const struct ctl_edit *edits,
                   size_t n)
{
    struct ctl_change_file *f = open_file(c, at->file);
    struct buf made;
    const struct ctl_place anywhere = {at->file, 0, at->title};
    if (!f) {
        return EXIT_FAILURE;
    }
    buf_init(&made, TEXT_MAX_BYTES);
    frun_err err = ctl_edit_text(now(f), &anywhere, edits, n, &made);
    return take(f, &made, err, at->title);
}

/* Nothing but blank lines? */
static bool is_empty(struct span text)
{
    size_t n = 0;
    while (n < text.n && strchr(" \t\r\n", text.p[n]) && text.p[n]) {
        n++;
    }
    return n == text.n;
}

int ctl_change_drop(struct ctl_change *c, const struct ctl_place *at)
{
    struct ctl_change_file *f = open_file(c, at->file);
    struct buf made;
    if (!f) {
        return EXIT_FAILURE;
    }
    buf_init(&made, TEXT_MAX_BYTES);
    frun_err err = ctl_edit_drop(now(f), at->title, &made);
    int status = take(f, &made, err, at->title);
    f->is_gone = !status && strcmp(f->path, c->config) != 0 && is_empty(now(f));
    return status;
}

int ctl_change_append(struct ctl_change *c, const char *path, struct span text)
{
    struct ctl_change_file *f = open_file(c, path);
    struct buf made;
    if (!f) {
        return EXIT_FAILURE;
    }
    struct span before = now(f);
    buf_init(&made, TEXT_MAX_BYTES);
    frun_err err = buf_put(&made, before);
    if (!err && before.n) {
        err = buf_put(&made, before.p[before.n - 1] == '\n' ? SPAN_LIT("\n") : SPAN_LIT("\n\n"));
    }
    err = err ? err : buf_put(&made, text);
    return take(f, &made, err, path);
}

int ctl_change_secret(struct ctl_change *c, const char *path, struct span octets, bool is_replaced)
{
    struct ctl_change_file *f = find(c, path);
    struct buf made;
    f = f ? f : add(c, path, true);
    if (!f) {
        return EXIT_FAILURE;
    }
    struct span old = now(f);
    bool is_same = old.n && secret_equal(span_head(old, span_find(old, '\n')), octets);
    if (old.n && !is_same && !is_replaced) {
        return ctl_fail("%s is there already and holds another secret; 'frunctl secret set' "
                        "replaces it",
                        path);
    }
    buf_init(&made, TEXT_MAX_BYTES);
    frun_err err = buf_put(&made, octets);
    err = err ? err : buf_put(&made, SPAN_LIT("\n"));
    return take(f, &made, err, path);
}

int ctl_change_check(const struct ctl_change *c, FILE *report, struct conf_gw **out)
{
    struct conf_draft *items = calloc(c->n + 1, sizeof(*items));
    if (!items) {
        return ctl_fail("out of memory");
    }
    for (size_t i = 0; i < c->n; i++) {
        items[i] = (struct conf_draft){c->files[i].path, now(&c->files[i]), c->files[i].is_gone};
    }
    const struct conf_drafts drafts = {items, c->n};
    frun_err err = conf_gw_load_drafts(c->config, &drafts, report, out);
    free(items);
    return err == FRUN_E_SYNTAX ? EX_CONFIG : err ? ctl_fail("%s", err_text(err)) : 0;
}

static void wipe(char *text, size_t n)
{
    if (text) {
        secret_wipe(text, n);
    }
    free(text);
}

void ctl_change_done(struct ctl_change *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->files[i].path);
        wipe(c->files[i].text, c->files[i].n);
        wipe(c->files[i].old, c->files[i].n_old);
    }
    free(c->files);
    c->files = NULL;
    c->n = c->cap = 0;
}
