/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/keydir.h"

#include "frun/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/** Octets of a key file; a P-256 key has about 250. */
#define KEYDIR_FILE_BYTES 8192

/** How often, and how many times, the lock is tried; another gateway holds it for milliseconds. */
#define KEYDIR_LOCK_TRIES 40
#define KEYDIR_LOCK_NS    50000000L

static void tell(struct diag *e, const char *path, const char *what)
{
    char why[128];
    int code = errno;
    diag_set(e, "key_directory %s: %s: %s", path, what, strerror_r(code, why, sizeof(why)));
}

/* -- reading
 * -----------------------------------------------------------------------------------------------------
 */

static bool is_key_name(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 4 && n < KEYS_FILE_BYTES && strcmp(name + n - 4, ".pem") == 0;
}

static void skip(struct keydir_done *done, const char *name, const char *why)
{
    done->n_skipped++;
    diag_set(&done->note, "%s is left out: %s", name, why);
}

/* Is it this file's own fault that it cannot be opened? Anything else (no descriptors, a disk or a
 * server that fails) passes, and the key is not gone because of it. */
static bool is_its_own(int code)
{
    return code == EACCES || code == EPERM || code == ELOOP || code == ENXIO || code == ENODEV;
}

/* A signing key that others may read is nobody's secret, whoever made it so. */
static void warn_of_mode(struct keydir_done *done, const char *name, const struct stat *st)
{
    if (st->st_mode & (S_IROTH | S_IWOTH) && !done->note.text[0]) {
        diag_set(&done->note,
                 "%s can be read or written by everybody: chmod o-rwx, and if "
                 "somebody may have read it, put a new key in its place",
                 name);
    }
}

/* One file; what is no key of ours is skipped, so that a stray file does not stop the daemon. */
static frun_err read_key(int dir, const char *name, struct keys *k, struct keydir_done *done)
{
    char text[KEYDIR_FILE_BYTES];
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return FRUN_OK; /* another gateway has just removed it */
    }
    if (fd < 0 && !is_its_own(errno)) {
        return FRUN_E_IO;
    }
    bool is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t n = is_file ? read(fd, text, sizeof(text)) : 0;
    int code = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        errno = code;
        return FRUN_E_IO;
    }
    if (!is_file) {
        skip(done, name, "it cannot be read");
        return FRUN_OK;
    }
    warn_of_mode(done, name, &st);
    uint64_t made_s = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
    frun_err err = keys_add(k, span_make(text, (size_t)n), name, made_s);
    secret_wipe(text, sizeof(text));
    if (err == FRUN_E_NOMEM) {
        return err;
    }
    if (err && err != FRUN_E_EXISTS) {
        skip(done, name,
             err == FRUN_E_LIMIT ? "there are too many keys" : "it is no unencrypted P-256 key");
    }
    return FRUN_OK;
}

static frun_err read_list(DIR *list, int fd, struct keys *k, struct keydir_done *done)
{
    frun_err err = FRUN_OK;
    while (!err) {
        errno = 0;
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
        const struct dirent *it = readdir(list);
        if (!it) {
            return errno ? FRUN_E_IO : FRUN_OK;
        }
        err = is_key_name(it->d_name) ? read_key(fd, it->d_name, k, done) : FRUN_OK;
    }
    return err;
}

static frun_err read_all(const struct keydir *d, int fd, uint64_t now_s, struct keys **out,
                         struct keydir_done *done)
{
    struct keys *k = NULL;
    struct stat st;
    DIR *list = NULL;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    frun_err err = keys_new(&k);
    if (!err) {
        list = own >= 0 ? fdopendir(own) : NULL;
        err = list ? FRUN_OK : FRUN_E_IO;
    }
    if (!list && own >= 0) {
        (void)close(own);
    }
    done->n_skipped = 0;
    if (fstat(fd, &st) == 0 && st.st_mode & S_IWOTH) {
        diag_set(&done->note,
                 "key_directory %s: everybody may write there, and so make keys whose "
                 "tokens are accepted: chmod o-w",
                 d->path);
    }
    if (list) {
        rewinddir(list); /* the position belongs to the folder's one open description */
    }
    err = err ? err : read_list(list, fd, k, done);
    if (list) {
        (void)closedir(list);
    }
    if (!err) {
        err = keys_seal(k, now_s, d->settle_s);
    }
    if (err) {
        keys_unref(&k);
        return err;
    }
    *out = k;
    return FRUN_OK;
}

static frun_err open_dir(const char *path, int *fd, struct diag *e)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) {
        frun_err err = errno == ENOENT ? FRUN_E_NOT_FOUND : FRUN_E_IO;
        tell(e, path, "cannot be opened");
        return err;
    }
    return FRUN_OK;
}

frun_err keydir_read(const struct keydir *d, uint64_t now_s, struct keys **out,
                     struct keydir_done *done, struct diag *e)
{
    struct keydir_done unused;
    int fd = -1;
    done = done ? done : &unused;
    *done = (struct keydir_done){.is_made = false};
    frun_err err = open_dir(d->path, &fd, e);
    if (err) {
        return err;
    }
    err = read_all(d, fd, now_s, out, done);
    if (err) {
        tell(e, d->path, "cannot be read");
    }
    (void)close(fd);
    return err;
}

/* -- writing
 * -----------------------------------------------------------------------------------------------------
 */

/* A key is for whom its folder is: made by root in the daemon's folder it is the daemon's, and
 * where the daemon reads by its group, the group may read it. */
static bool hand_over(int dir, int fd)
{
    struct stat st;
    if (fstat(dir, &st)) {
        return false;
    }
    if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid)) {
        return false;
    }
    return fchmod(fd, 0600 | (geteuid() == 0 ? st.st_mode & 0040 : 0)) == 0;
}

/* Under another name first: who reads the folder never sees half a key. */
static frun_err add_key(int dir, char id[KEYS_ID_BYTES])
{
    struct secret *pem = NULL;
    char name[KEYS_ID_BYTES + 8];
    char draft[KEYS_ID_BYTES + 8];
    frun_err err = keys_make(&pem, id);
    if (err) {
        return err;
    }
    (void)snprintf(name, sizeof(name), "%s.pem", id);
    (void)snprintf(draft, sizeof(draft), ".%s.new", id);
    int fd = openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_done = fd >= 0 && file_write_all(fd, secret_span(pem)) == FRUN_OK && hand_over(dir, fd);
    if (fd >= 0) {
        is_done = close(fd) == 0 && is_done;
    }
    is_done = is_done && renameat(dir, draft, dir, name) == 0 && fsync(dir) == 0;
    int code = errno;
    if (!is_done && fd >= 0) {
        (void)unlinkat(dir, draft, 0);
    }
    errno = code;
    secret_free(pem);
    return is_done ? FRUN_OK : FRUN_E_IO;
}

frun_err keydir_add(const char *path, char id[KEYS_ID_BYTES], struct diag *e)
{
    int fd = -1;
    frun_err err = open_dir(path, &fd, e);
    if (err) {
        return FRUN_E_IO;
    }
    err = add_key(fd, id);
    if (err) {
        tell(e, path, "no key can be made there");
    }
    (void)close(fd);
    return err;
}

/* -- tending
 * -----------------------------------------------------------------------------------------------------
 */

static bool is_due(const struct keydir *d, const struct keys *k, uint64_t now_s)
{
    for (size_t i = 0; i < keys_count(k); i++) {
        const struct keys_info *key = keys_at(k, i);
        if (key->is_private) { /* the newest of them */
            return d->rotate_after_s && key->made_s + d->rotate_after_s <= now_s;
        }
    }
    return true;
}

/* Did we make it? A key that somebody put there under another name, or that cannot sign, is another
 * program's, or of a gateway that keeps its private key to itself: not ours to remove. */
static bool is_ours(const struct keys_info *key)
{
    char name[KEYS_ID_BYTES + 8];
    (void)snprintf(name, sizeof(name), "%s.pem", key->id);
    return key->is_private && strcmp(name, key->file) == 0;
}

/* All tokens of a key have expired once a newer one has been signing for their whole life. */
static bool is_spent(const struct keydir *d, const struct keys *k, size_t i, uint64_t now_s)
{
    if (!d->rotate_after_s) {
        return false; /* who does not want rotation looks after the folder alone */
    }
    if (!is_ours(keys_at(k, i))) {
        return false;
    }
    for (size_t j = 0; j < i; j++) {
        const struct keys_info *newer = keys_at(k, j);
        if (newer->is_private && newer->made_s > keys_at(k, i)->made_s &&
            newer->made_s + d->settle_s + d->lifetime_s + KEYDIR_MARGIN_S <= now_s) {
            return true;
        }
    }
    return false;
}

static bool has_spent(const struct keydir *d, const struct keys *k, uint64_t now_s)
{
    for (size_t i = 0; i < keys_count(k); i++) {
        if (is_spent(d, k, i, now_s)) {
            return true;
        }
    }
    return false;
}

static bool try_lock(int fd)
{
    for (int i = 0; i < KEYDIR_LOCK_TRIES; i++) {
        const struct timespec pause = {0, KEYDIR_LOCK_NS};
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        if (errno != EWOULDBLOCK) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

/* The folder itself is locked. NFS locks only what is open for writing, which a folder never is:
 * there a file in it stands for it. @p own is that file, -1 if none was needed. */
static bool lock(int fd, int *own)
{
    *own = -1;
    if (try_lock(fd)) {
        return true;
    }
    if (errno == EBADF) {
        *own = openat(fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return *own >= 0 && (try_lock(*own) || errno == ENOLCK || errno == ENOTSUP);
    }
    return errno == ENOLCK || errno == ENOTSUP; /* no locks on this file system: go on */
}

static void unlock(int fd, int own)
{
    if (own >= 0) {
        (void)close(own); /* never removed: another gateway may wait for it */
    } else {
        (void)flock(fd, LOCK_UN);
    }
}

/* With the lock held: another gateway may have done it meanwhile, so look first. */
static frun_err tend_locked(const struct keydir *d, int fd, uint64_t now_s, struct keys **k,
                            struct keydir_done *done)
{
    char id[KEYS_ID_BYTES];
    keys_unref(k);
    frun_err err = read_all(d, fd, now_s, k, done);
    if (err) {
        return err;
    }
    for (size_t i = 0; i < keys_count(*k); i++) {
        if (is_spent(d, *k, i, now_s) && unlinkat(fd, keys_at(*k, i)->file, 0) == 0) {
            done->n_removed++;
        }
    }
    if (is_due(d, *k, now_s)) {
        err = add_key(fd, id);
        if (err) {
            tell(&done->note, d->path, "a new key is due and cannot be made");
        }
        done->is_made = !err;
        err = err == FRUN_E_IO ? FRUN_OK : err;
    }
    if (!err && (done->is_made || done->n_removed)) {
        keys_unref(k);
        err = read_all(d, fd, now_s, k, done);
    }
    return err;
}

frun_err keydir_tend(const struct keydir *d, uint64_t now_s, struct keys **out,
                     struct keydir_done *done, struct diag *e)
{
    struct keys *k = NULL;
    int fd = -1;
    *done = (struct keydir_done){.is_made = false};
    if (mkdir(d->path, 0700) && errno != EEXIST && errno != EACCES && errno != EROFS) {
        tell(e, d->path, "cannot be made");
        return FRUN_E_IO;
    }
    frun_err err = open_dir(d->path, &fd, e);
    if (err) {
        return FRUN_E_IO;
    }
    err = read_all(d, fd, now_s, &k, done);
    if (!err && (is_due(d, k, now_s) || has_spent(d, k, now_s))) {
        int own = -1;
        if (lock(fd, &own)) {
            err = tend_locked(d, fd, now_s, &k, done);
        } else {
            tell(&done->note, d->path, "keys are due to change, and the folder cannot be locked");
        }
        unlock(fd, own);
    }
    (void)close(fd);
    if (err) {
        tell(e, d->path, "cannot be read");
    } else if (!keys_signer(k)) {
        err = FRUN_E_NOT_FOUND;
        diag_set(e,
                 "%s; let the daemon write there, or put a key there with 'frunctl oauth new-key'",
                 done->note.text[0] ? done->note.text : "there is no private key");
    }
    if (err) {
        keys_unref(&k);
        return err;
    }
    *out = k;
    return FRUN_OK;
}
