/* SPDX-License-Identifier: Apache-2.0 */
#include "chain_int.h"

#include "frun/base/file.h"
#include "frun/base/mono.h"
#include "frun/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Another process holds the lock for a few milliseconds; one that holds it longer is stopped or
 * hostile. */
#define LOCK_WAIT_MS 2000
#define LOCK_STEP_MS 5

struct chain {
    struct chain_settings set; /* its path and key are the chain's own */
    struct secret *key;
    char *head_path;
    int fd;      /* the present file, -1: none */
    int head_fd; /* its lock is that of the chain */
    struct chain_head head;
    char damage[256]; /* found, and not yet a record */
};

static frun_err fail(struct diag *d, const char *verb, const char *path)
{
    char why[128];
    diag_set(d, "cannot %s %s: %s", verb, path, strerror_r(errno, why, sizeof(why)));
    return FRUN_E_IO;
}

/* A lock of the open file, so that it also keeps other threads out, and only those who may write.
 * Source: fcntl(2), open file description locks. */
static frun_err lock_once(const struct chain *c, struct diag *d)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};

    for (int waited_ms = 0; fcntl(c->head_fd, F_OFD_SETLK, &whole) != 0;
         waited_ms += LOCK_STEP_MS) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            return fail(d, "lock", c->head_path);
        }
        if (waited_ms >= LOCK_WAIT_MS) {
            diag_set(d, "another process keeps %s locked", c->head_path);
            return FRUN_E_TIMEOUT;
        }
        (void)nanosleep(&step, NULL);
    }
    return FRUN_OK;
}

static void unlock(const struct chain *c)
{
    struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    (void)fcntl(c->head_fd, F_OFD_SETLK, &none);
}

static frun_err open_head(struct chain *c, bool may_create, struct diag *d)
{
    int fd = open(c->head_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (may_create ? O_CREAT : 0), 0640);

    if (fd < 0) {
        bool is_missing = errno == ENOENT;
        frun_err err = fail(d, "open", c->head_path);
        return is_missing ? FRUN_E_NOT_FOUND : err;
    }
    if (c->head_fd >= 0) {
        (void)close(c->head_fd);
    }
    c->head_fd = fd;
    return FRUN_OK;
}

static bool is_same_file(int fd, const char *path)
{
    struct stat mine;
    struct stat there;
    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
}

/* The lock of a head file that is gone keeps nobody out. */
static frun_err lock(struct chain *c, struct diag *d)
{
    frun_err err = lock_once(c, d);

    if (!err && !is_same_file(c->head_fd, c->head_path)) {
        unlock(c);
        err = open_head(c, true, d);
        err = err ? err : lock_once(c, d);
        if (!err) {
            (void)snprintf(c->damage, sizeof(c->damage), "the head file was removed or replaced");
        }
    }
    return err;
}

static frun_err open_present(struct chain *c, bool may_create, struct diag *d)
{
    int fd = open(c->set.path,
                  O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (may_create ? O_CREAT : 0), 0640);

    if (fd < 0) {
        bool is_missing = errno == ENOENT && !may_create;
        frun_err err = fail(d, "open", c->set.path);
        return is_missing ? FRUN_E_NOT_FOUND : err;
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    c->fd = fd;
    return FRUN_OK;
}

/* Another process may have closed the file as full. */
static frun_err follow(struct chain *c, struct diag *d)
{
    if (c->fd >= 0 && is_same_file(c->fd, c->set.path)) {
        return FRUN_OK;
    }
    return open_present(c, true, d);
}

/* Records that were written, but of which the head does not know: those that follow are taken over.
 * Returns where what is no record begins. */
static uint64_t adopt(struct chain *c, uint64_t at, uint64_t size)
{
    char text[CHAIN_LINE_BYTES];
    struct chain_line l;
    char hash[CHAIN_HASH_BYTES];

    while (at < size) {
        ssize_t got = pread(c->fd, text, sizeof(text), (off_t)at);
        struct span line = span_make(text, got < 0 ? 0 : (size_t)got);
        size_t n = span_find(line, '\n');
        if (n == line.n || !chain_cut(span_head(line, n), &l) || l.seq != c->head.end.seq + 1 ||
            !span_eq(l.prev, span_of(c->head.end.hash))) {
            break;
        }
        chain_hash(c->set.key, l.head, hash);
        if (!span_eq(l.hash, span_of(hash))) {
            break;
        }
        c->head.end.seq = l.seq;
        memcpy(c->head.end.hash, hash, sizeof(hash));
        at += n + 1;
    }
    return at;
}

/* Is there a line end between the two, or too much for one line? Then it is no line under way. */
static bool has_line(const struct chain *c, uint64_t at, uint64_t size)
{
    char text[CHAIN_LINE_BYTES];
    ssize_t got = pread(c->fd, text, sizeof(text), (off_t)at);
    return got < 0 || size - at > sizeof(text) || memchr(text, '\n', (size_t)got);
}

static bool was_rotated(const struct chain *c, uint64_t size)
{
    char name[PATH_MAX];
    return size == 0 && c->head.size > 0 &&
           chain_full_name(c->set.path, c->head.end.seq, name, sizeof(name)) &&
           access(name, F_OK) == 0;
}

/* Bring head and file together: what a crash left is mended, what somebody did is remembered. */
static frun_err reconcile(struct chain *c, struct diag *d)
{
    struct stat st;

    if (fstat(c->fd, &st) != 0) {
        return fail(d, "look at", c->set.path);
    }
    uint64_t size = (uint64_t)st.st_size;
    if (size == c->head.size) {
        return FRUN_OK;
    }
    if (was_rotated(c, size)) {
        c->head.size = 0;
        return FRUN_OK;
    }
    if (size < c->head.size) {
        (void)snprintf(c->damage, sizeof(c->damage),
                       "%" PRIu64 " octets were missing at the end of the file",
                       c->head.size - size);
        c->head.size = size;
        return FRUN_OK;
    }
    uint64_t good = adopt(c, c->head.size, size);
    if (good < size && !has_line(c, good, size)) {
        if (ftruncate(c->fd, (off_t)good) != 0) {
            return fail(d, "mend", c->set.path);
        }
        size = good;
    } else if (good < size) {
        (void)snprintf(c->damage, sizeof(c->damage),
                       "%" PRIu64 " octets at the end of the file were not written by us",
                       size - good);
    }
    c->head.size = size;
    return FRUN_OK;
}

/* Without a head: go on behind the last line that looks like a record, and say so. */
static void guess_head(struct chain *c, frun_err why)
{
    char text[2 * CHAIN_LINE_BYTES];
    struct stat st;
    struct chain_line l;

    c->head = (struct chain_head){.first = 1};
    memcpy(c->head.end.hash, chain_zero, sizeof(chain_zero));
    if (fstat(c->fd, &st) != 0 || st.st_size == 0) {
        if (why == FRUN_E_SYNTAX) {
            (void)snprintf(c->damage, sizeof(c->damage), "the head file was damaged");
        }
        return;
    }
    off_t from = st.st_size > (off_t)sizeof(text) ? st.st_size - (off_t)sizeof(text) : 0;
    ssize_t got = pread(c->fd, text, sizeof(text), from);
    struct span rest = span_make(text, got < 0 ? 0 : (size_t)got);
    struct span line;
    while (span_split(&rest, '\n', &line)) {
        if (chain_cut(line, &l)) {
            c->head.end.seq = l.seq;
            memcpy(c->head.end.hash, l.hash.p, l.hash.n);
        }
    }
    c->head.size = (uint64_t)st.st_size;
    (void)snprintf(c->damage, sizeof(c->damage), "the head file was %s",
                   why == FRUN_E_SYNTAX ? "damaged" : "missing");
}

/* Under the lock: know where the chain ends. */
static frun_err catch_up(struct chain *c, struct diag *d)
{
    frun_err err = follow(c, d);
    if (err) {
        return err;
    }
    err = chain_head_read(c->head_fd, c->set.key, &c->head);
    if (err == FRUN_E_IO) {
        return fail(d, "read", c->head_path);
    }
    if (err) {
        guess_head(c, err);
        return FRUN_OK;
    }
    return reconcile(c, d);
}

static void forget_oldest(struct chain *c)
{
    uint64_t *full = NULL;
    size_t n = 0;
    char name[PATH_MAX];

    if (c->set.max_files == 0 || chain_full_files(c->set.path, &full, &n)) {
        return;
    }
    for (size_t i = 0; i + c->set.max_files < n; i++) {
        if (!chain_full_name(c->set.path, full[i], name, sizeof(name)) || unlink(name) != 0) {
            break;
        }
        c->head.first = full[i] + 1;
    }
    free(full);
}

/* The present file is full: it gets its number, and the next one begins. */
static frun_err turn(struct chain *c, struct diag *d)
{
    char name[PATH_MAX];

    if (!chain_full_name(c->set.path, c->head.end.seq, name, sizeof(name)) ||
        rename(c->set.path, name) != 0) {
        return fail(d, "rename", c->set.path);
    }
    frun_err err = open_present(c, true, d);
    if (!err) {
        c->head.size = 0;
        forget_oldest(c);
    }
    return err;
}

/* Lines of this turn are gathered here; the file has all of them or none. */
struct batch {
    char *text;
    size_t n;
    struct chain_end end;
};

static size_t damage_record(const struct chain *c, char out[512])
{
    char now[MONO_WALL_TEXT_BYTES];

    mono_wall_text(now);
    int n = snprintf(out, 512,
                     "\"time\":\"%s\",\"event\":\"audit.damaged\",\"outcome\":\"failed\","
                     "\"detail\":\"%s\"",
                     now, c->damage);
    return n < 0 ? 0 : (size_t)n;
}

static frun_err gather(struct chain *c, const struct span *records, size_t n, struct batch *b)
{
    char extra[512];
    char last = '\n';
    size_t room = 2 * sizeof(extra) + CHAIN_LINE_BYTES;

    for (size_t i = 0; i < n; i++) {
        if (records[i].n > CHAIN_RECORD_BYTES) {
            return FRUN_E_LIMIT;
        }
        room += records[i].n + 256;
    }
    b->text = malloc(room + CHAIN_LINE_BYTES);
    if (!b->text) {
        return FRUN_E_NOMEM;
    }
    b->end = c->head.end;
    if (c->head.size > 0 && pread(c->fd, &last, 1, (off_t)c->head.size - 1) == 1 && last != '\n') {
        b->text[b->n++] = '\n';
    }
    if (c->damage[0]) {
        size_t len = damage_record(c, extra);
        b->n += chain_compose(c->set.key, &b->end, span_make(extra, len), b->text + b->n);
    }
    for (size_t i = 0; i < n; i++) {
        b->n += chain_compose(c->set.key, &b->end, records[i], b->text + b->n);
    }
    return FRUN_OK;
}

static frun_err write_batch(struct chain *c, const struct batch *b, bool is_synced, struct diag *d)
{
    size_t at = 0;

    while (at < b->n) {
        ssize_t done = write(c->fd, b->text + at, b->n - at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            break;
        }
        at += (size_t)done;
    }
    if (at == b->n && (!is_synced || fdatasync(c->fd) == 0)) {
        return FRUN_OK;
    }
    frun_err err = fail(d, "write", c->set.path);
    /* Half a line is worse than none; what cannot be cut off now is found by the next turn. */
    (void)!ftruncate(c->fd, (off_t)c->head.size);
    return err;
}

static frun_err append_locked(struct chain *c, const struct span *records, size_t n, bool is_synced,
                              struct diag *d)
{
    struct batch b = {0};
    frun_err err = catch_up(c, d);

    err = err ? err : gather(c, records, n, &b);
    if (!err && c->head.size > 0 && c->head.size + b.n > c->set.max_bytes) {
        err = turn(c, d);
    }
    err = err ? err : write_batch(c, &b, is_synced, d);
    if (!err) {
        c->head.size += b.n;
        c->head.end = b.end;
        c->damage[0] = '\0';
        /* Should this fail: the records are there, and the next turn finds them. */
        (void)!chain_head_write(c->head_fd, c->set.key, &c->head, is_synced);
    }
    free(b.text);
    return err;
}

frun_err chain_append(struct chain *c, const struct span *records, size_t n, bool is_synced,
                      struct diag *d)
{
    frun_err err = lock(c, d);
    if (err) {
        return err;
    }
    err = append_locked(c, records, n, is_synced, d);
    unlock(c);
    return err;
}

frun_err chain_open(const struct chain_settings *s, bool may_create, struct chain **out,
                    struct diag *d)
{
    struct chain *c = calloc(1, sizeof(*c));
    if (!c) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    c->fd = c->head_fd = -1;
    c->set = *s;
    char *path = strdup(s->path);
    c->set.path = path;
    frun_err err = s->key.p ? secret_new(s->key, &c->key) : FRUN_OK;
    c->set.key = s->key.p ? secret_span(c->key) : (struct span){0};
    if (!path || asprintf(&c->head_path, "%s.head", s->path) < 0) {
        c->head_path = NULL;
        err = FRUN_E_NOMEM;
    }
    if (err) {
        diag_set(d, "%s", err_text(err));
    }
    err = err ? err : open_present(c, may_create, d);
    err = err ? err : open_head(c, may_create, d);
    err = err ? err : lock(c, d);
    if (!err) {
        err = catch_up(c, d);
        unlock(c);
    }
    if (err) {
        chain_close(c);
        return err;
    }
    *out = c;
    return FRUN_OK;
}

const struct chain_end *chain_end(const struct chain *c)
{
    return &c->head.end;
}

void chain_close(struct chain *c)
{
    if (!c) {
        return;
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    if (c->head_fd >= 0) {
        (void)close(c->head_fd);
    }
    char *path = NULL;
    memcpy(&path, &c->set.path, sizeof(path)); /* strdup()'s */
    free(path);
    free(c->head_path);
    secret_free(c->key);
    free(c);
}
