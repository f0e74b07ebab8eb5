/* SPDX-License-Identifier: Apache-2.0 */
#include "chain_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the check is. */
struct walk {
    struct chain_check *c;
    struct chain_end at; /* last record seen, as it calls itself */
    uint64_t first;      /* number of the first record seen; 0: none yet */
    bool has_expected;   /* the record that was expected is there */
    const char *file;    /* being read */
    uint64_t line;       /* in it */
};

static void fault(struct walk *w, const char *fmt, ...) FRUN_PRINTF(2, 3);

static void fault(struct walk *w, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    w->c->n_faults++;
    w->c->fault(w->c->ctx, w->file, w->line, text);
}

/* Does the line follow on the one before? Told once a line, the plainest cause first. */
static void check_place(struct walk *w, const struct chain_line *l)
{
    if (w->first == 0) {
        if (l->seq == 1 && !span_eq(l->prev, span_of(chain_zero))) {
            fault(w, "record 1 follows on another one");
        }
    } else if (l->seq > w->at.seq + 1) {
        fault(w, "%" PRIu64 " record(s) were removed before record %" PRIu64,
              l->seq - w->at.seq - 1, l->seq);
    } else if (l->seq != w->at.seq + 1) {
        fault(w, "record %" PRIu64 " stands behind record %" PRIu64 ": it was inserted or moved",
              l->seq, w->at.seq);
    } else if (!span_eq(l->prev, span_of(w->at.hash))) {
        fault(w, "record %" PRIu64 " follows on another one than that before it", l->seq);
    }
}

static void check_line(struct walk *w, struct span line)
{
    struct chain_line l;
    char hash[CHAIN_HASH_BYTES];

    if (line.n > CHAIN_LINE_BYTES || !chain_cut(line, &l)) {
        fault(w, "is no record: it was changed, or inserted");
        return;
    }
    chain_hash(w->c->key, l.head, hash);
    check_place(w, &l);
    if (!span_eq(l.hash, span_of(hash))) {
        fault(w, "record %" PRIu64 " was changed, or written with another key", l.seq);
    }
    w->first = w->first ? w->first : l.seq;
    w->at.seq = l.seq;
    memcpy(w->at.hash, l.hash.p, l.hash.n);
    if (l.seq == w->c->expect.seq) {
        w->has_expected = true;
        if (!span_eq(l.hash, span_of(w->c->expect.hash))) {
            fault(w, "record %" PRIu64 " is not the one that was seen before", l.seq);
        }
    }
    w->c->n_records++;
    if (w->c->record) {
        w->c->record(w->c->ctx, l.seq, line);
    }
}

/* One line without its end, whatever octets are in it; of a long one its beginning, which is no
 * record. @return false: the end of the file, behind @p n octets of a line without end. */
static bool read_line(FILE *in, char line[CHAIN_LINE_BYTES + 1], size_t *n)
{
    int c;

    *n = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while ((c = getc_unlocked(in)) != EOF && c != '\n') {
        if (*n <= CHAIN_LINE_BYTES) {
            line[(*n)++] = (char)c;
        }
    }
    return c != EOF;
}

/* One file, line by line. */
static frun_err check_file(struct walk *w, const char *path, bool is_last, struct diag *d)
{
    FILE *in = fopen(path, "re");
    char line[CHAIN_LINE_BYTES + 1];
    size_t n = 0;

    w->file = path;
    w->line = 0;
    if (!in) {
        char why[128];
        frun_err err = errno == ENOENT ? FRUN_E_NOT_FOUND : FRUN_E_IO;
        diag_set(d, "cannot open %s: %s", path, strerror_r(errno, why, sizeof(why)));
        return err;
    }
    while (read_line(in, line, &n)) {
        w->line++;
        check_line(w, span_make(line, n));
    }
    bool is_bad = ferror(in) != 0;
    if (n > 0 && !is_bad) {
        w->line++;
        fault(w, "the last line is cut short%s", is_last ? ": the end is missing" : "");
    }
    (void)fclose(in);
    if (is_bad) {
        diag_set(d, "cannot read %s", path);
    }
    return is_bad ? FRUN_E_IO : FRUN_OK;
}

/* Open the head file and keep writers out, as long as they put up with it. */
static int open_head(const struct chain_check *c, char path[PATH_MAX])
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int n = snprintf(path, PATH_MAX, "%s.head", c->path);
    int fd = n > 0 && n < PATH_MAX ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)fcntl(fd, F_OFD_SETLKW, &whole);
    }
    return fd;
}

/* Are the ends those that the head file knows? */
static void check_head(struct walk *w, int fd, const char *path)
{
    struct chain_head h = {0};
    frun_err err = fd < 0 ? FRUN_E_NOT_FOUND : chain_head_read(fd, w->c->key, &h);

    w->file = path;
    w->line = 0;
    if (err) {
        fault(w, "%s",
              err == FRUN_E_SYNTAX ? "the head file was changed, or written with another key"
                                   : "the head file is missing: records may be missing at the end");
        return;
    }
    if (w->at.seq < h.end.seq) {
        fault(w, "%" PRIu64 " record(s) are missing at the end, the last one was %" PRIu64,
              h.end.seq - w->at.seq, h.end.seq);
    } else if (w->at.seq == h.end.seq && h.end.seq > 0 && strcmp(w->at.hash, h.end.hash) != 0) {
        fault(w, "the last record is not the one that was written");
    }
    /* Records above the head's: a program was killed between the two writes. They are proven by
     * their own hashes. */
    if (w->first > h.first && h.first > 0) {
        fault(w, "%" PRIu64 " record(s) are missing at the beginning, the oldest was %" PRIu64,
              w->first - h.first, h.first);
    }
}

/* All files, the oldest first. */
static frun_err check_files(struct walk *w, struct diag *d)
{
    uint64_t *full = NULL;
    size_t n = 0;
    char path[PATH_MAX];
    frun_err err = chain_full_files(w->c->path, &full, &n);

    if (err) {
        diag_set(d, "cannot read the folder of %s", w->c->path);
        return err;
    }
    for (size_t i = 0; !err && i < n; i++) {
        if (!chain_full_name(w->c->path, full[i], path, sizeof(path))) {
            diag_set(d, "the name %s is too long", w->c->path);
            err = FRUN_E_LIMIT;
            break;
        }
        err = check_file(w, path, false, d);
        if (!err && w->at.seq != full[i]) {
            fault(w, "the file does not end with the record that its name says");
        }
    }
    free(full);
    err = err ? err : check_file(w, w->c->path, true, d);
    w->file = w->c->path; /* it may have been the name of a full one, which ends here */
    if (err == FRUN_E_NOT_FOUND && n > 0) {
        w->line = 0;
        fault(w, "the file is missing");
        err = FRUN_OK;
    }
    return err;
}

frun_err chain_verify(struct chain_check *c, struct diag *d)
{
    struct walk w = {.c = c};
    char head[PATH_MAX];

    c->n_records = c->n_faults = 0;
    memcpy(w.at.hash, chain_zero, sizeof(chain_zero));
    int fd = open_head(c, head);
    frun_err err = check_files(&w, d);
    if (!err) {
        check_head(&w, fd, head);
        w.file = c->path;
        w.line = 0;
        if (c->expect.seq > 0 && !w.has_expected) {
            fault(&w, "record %" PRIu64 " that was seen before is missing", c->expect.seq);
        }
        c->end = w.at;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return err;
}
