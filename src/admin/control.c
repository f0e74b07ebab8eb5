/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/control.h"

#include "frun/base/log.h"
#include "frun/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/** Connections that may wait to be accepted. */
#define BACKLOG 64

/** Supplementary groups of a peer that are looked at. */
#define MAX_GROUPS 1024

/** Octets for what getgrnam_r() finds. */
#define GROUP_BYTES 65536

/** How often, and how far apart, the folder's lock is tried for. */
#define LOCK_TRIES    100
#define LOCK_PAUSE_NS 10000000

/** Room for a text of strerror_r(). */
#define SYS_TEXT_BYTES 128

/* In a user namespace everybody whom it does not know has this number: it means nobody. */
#define OVERFLOW_ID 65534

struct admin_control {
    struct admin_server *server;
    struct listener *listener;
    gid_t gid;
    bool has_group;
    bool is_full_told;
    struct sockaddr_un name;
    struct stat is; /* the file we made */
};

static frun_err refuse(struct diag *d, frun_err err, const char *path, const char *what)
{
    char why[SYS_TEXT_BYTES];
    diag_set(d, "%s: %s: %s", path, what, strerror_r(errno, why, sizeof(why)));
    return err;
}

static bool is_in_group(const struct admin_control *c, int fd, gid_t first)
{
    gid_t groups[MAX_GROUPS];
    socklen_t len = sizeof(groups);
    if (!c->has_group || c->gid == OVERFLOW_ID) {
        return false;
    }
    if (first == c->gid) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len)) {
        return false;
    }
    for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
        if (groups[i] == c->gid) {
            return true;
        }
    }
    return false;
}

static struct admin_peer look_at(const struct admin_control *c, int fd)
{
    struct admin_peer p = {.name = "unknown"};
    struct ucred who;
    socklen_t len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len)) {
        return p;
    }
    (void)snprintf(p.name, sizeof(p.name), "uid %u", (unsigned)who.uid);
    p.may_read = who.uid == 0 || (who.uid == geteuid() && who.uid != OVERFLOW_ID) ||
                 is_in_group(c, fd, who.gid);
    p.may_write = p.may_read;
    return p;
}

static void on_came(void *ctx, int *fd, const struct addr *from)
{
    struct admin_control *c = ctx;
    struct admin_peer peer = look_at(c, *fd);
    frun_err err = admin_server_take(c->server, fd, from, NULL, &peer);
    if (err && !c->is_full_told) {
        log_warning("admin", "connections to the control socket are refused: %s", err_text(err));
    }
    c->is_full_told = err != FRUN_OK;
}

static frun_err find_group(const char *name, gid_t *gid, struct diag *d)
{
    struct group entry;
    struct group *found = NULL;
    char *text = malloc(GROUP_BYTES);
    if (!text) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    (void)getgrnam_r(name, &entry, text, GROUP_BYTES, &found);
    if (found) {
        *gid = found->gr_gid;
    } else {
        diag_set(d, "there is no group \"%s\"", name);
    }
    free(text);
    return found ? FRUN_OK : FRUN_E_NOT_FOUND;
}

/* Does somebody listen there? Then it is not ours to take. */
static frun_err check_dead(const struct sockaddr_un *name, struct diag *d)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failed = fd < 0 || connect(fd, (const struct sockaddr *)name, sizeof(*name));
    int number = failed ? errno : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (number == ECONNREFUSED) {
        return FRUN_OK;
    }
    if (number && number != EAGAIN) {
        errno = number;
        return refuse(d, FRUN_E_IO, name->sun_path, "cannot tell who listens there");
    }
    diag_set(d, "%s: another program listens there: does the daemon run already?", name->sun_path);
    return FRUN_E_EXISTS;
}

/* Make way for our socket, if only one that was left behind stands there. */
static frun_err clear_way(const struct sockaddr_un *name, struct diag *d)
{
    struct stat is;
    if (lstat(name->sun_path, &is)) {
        return errno == ENOENT ? FRUN_OK
                               : refuse(d, FRUN_E_IO, name->sun_path, "cannot be looked at");
    }
    if (!S_ISSOCK(is.st_mode)) {
        diag_set(d, "%s: there is something else, which is no socket", name->sun_path);
        return FRUN_E_EXISTS;
    }
    frun_err err = check_dead(name, d);
    if (!err && unlink(name->sun_path)) {
        err = refuse(d, FRUN_E_IO, name->sun_path, "cannot be replaced");
    }
    return err;
}

/* Hold the file that bind() has made, whatever happens to its name: in a folder where others may
 * write, something else could stand there by now, like a link to a file of root's, or another
 * socket of ours. -1: it is not there any more. */
static int pin(struct admin_control *c)
{
    int file = open(c->name.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file >= 0 && (fstat(file, &c->is) || !S_ISSOCK(c->is.st_mode) ||
                      c->is.st_uid != geteuid() || c->is.st_nlink != 1)) {
        (void)close(file);
        return -1;
    }
    return file;
}

/* Group and mode of the very file. Source: fchmodat(2) has no AT_EMPTY_PATH before Linux 6.6. */
static bool hand_over(const struct admin_control *c, int file)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
    return (!c->has_group || fchownat(file, "", (uid_t)-1, c->gid, AT_EMPTY_PATH) == 0) &&
           chmod(name, 0660) == 0;
}

static frun_err bind_here(struct admin_control *c, int fd, struct diag *d)
{
    const char *path = c->name.sun_path;
    /* Nobody else may connect before group and mode are right; the file gets the socket's mode,
     * and unlike umask() that is no other thread's concern. */
    if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&c->name, sizeof(c->name))) {
        return refuse(d, FRUN_E_IO, path, "cannot be made");
    }
    int file = pin(c);
    if (file < 0) {
        diag_set(d, "%s: somebody has put something else there: others may write to its folder",
                 path);
        return FRUN_E_IO;
    }
    frun_err err = FRUN_OK;
    if (!hand_over(c, file) || listen(fd, BACKLOG)) {
        err = refuse(d, FRUN_E_IO, path, "cannot be given to its group");
        (void)unlink(path);
    }
    (void)close(file);
    return err;
}

/* Not for ever: in a folder that others may open, others may lock it too. */
static void wait_for(int lock)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (int i = 0; i < LOCK_TRIES && flock(lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK; i++) {
        (void)nanosleep(&pause, NULL);
    }
}

/* One daemon at a time looks and binds: two that start together must not take each other's. */
static frun_err bind_alone(struct admin_control *c, int fd, struct diag *d)
{
    char folder[sizeof(c->name.sun_path)];
    (void)snprintf(folder, sizeof(folder), "%s", c->name.sun_path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    int lock = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) {
        return refuse(d, FRUN_E_IO, folder, "the control socket's folder cannot be opened");
    }
    wait_for(lock);
    frun_err err = clear_way(&c->name, d);
    if (!err) {
        err = bind_here(c, fd, d);
    }
    (void)close(lock);
    return err;
}

static frun_err open_it(struct loop *l, struct admin_control *c, struct diag *d)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return refuse(d, FRUN_E_IO, c->name.sun_path, "no socket");
    }
    frun_err err = bind_alone(c, fd, d);
    if (err) {
        (void)close(fd);
        return err;
    }
    err = listener_new(l, &fd, on_came, c, &c->listener);
    if (err) {
        diag_set(d, "%s: %s", c->name.sun_path, err_text(err));
        (void)unlink(c->name.sun_path);
        (void)close(fd);
    }
    return err;
}

frun_err admin_control_open(struct loop *l, struct admin_server *s, const char *path,
                            const char *group, struct admin_control **out, struct diag *d)
{
    struct admin_control *c = calloc(1, sizeof(*c));
    if (!c) {
        diag_set(d, "out of memory");
        return FRUN_E_NOMEM;
    }
    c->server = s;
    c->name.sun_family = AF_UNIX;
    frun_err err = FRUN_OK;
    if (strlen(path) >= sizeof(c->name.sun_path)) {
        diag_set(d, "%s: the name is too long for a UNIX socket", path);
        err = FRUN_E_LIMIT;
    } else {
        (void)snprintf(c->name.sun_path, sizeof(c->name.sun_path), "%s", path);
    }
    if (!err && group) {
        err = find_group(group, &c->gid, d);
        c->has_group = !err;
    }
    if (!err) {
        err = open_it(l, c, d);
    }
    if (err) {
        free(c);
        return err;
    }
    *out = c;
    return FRUN_OK;
}

frun_err admin_control_start(struct loop *l, struct admin_server *s, const struct conf_admin *conf,
                             struct admin_control **out, struct diag *d)
{
    struct diag why = {.text = ""};
    *out = NULL;
    if (!conf->socket_path) {
        return FRUN_OK;
    }
    frun_err err = admin_control_open(l, s, conf->socket_path, conf->group, out, &why);
    if (err && conf->is_socket_given) {
        diag_set(d, "admin.control_socket: %s", why.text);
        return err;
    }
    if (err) {
        log_warning("admin", "no control socket, so frunctl cannot look into this daemon: %s",
                    why.text);
    }
    return FRUN_OK;
}

void admin_control_free(struct admin_control *c)
{
    struct stat is;
    if (!c) {
        return;
    }
    if (lstat(c->name.sun_path, &is) == 0 && is.st_ino == c->is.st_ino &&
        is.st_dev == c->is.st_dev) {
        (void)unlink(c->name.sun_path);
    }
    listener_free(c->listener);
    free(c);
}
