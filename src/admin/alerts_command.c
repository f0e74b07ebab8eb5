/**
 * The command of the alerts: one at a time, without a shell, with a clean environment and a limit
 * of time. A pidfd tells when it has ended.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "alerts_int.h"

#include "frun/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct alerts_command {
    struct loop *loop;
    char *path;                /* NULL: nobody is told */
    char *queue[ALERTS_QUEUE]; /* a ring of texts */
    size_t first;
    size_t n;
    pid_t pid; /* 0: none runs */
    struct io io;
    int fd; /* of the process */
    struct deadline limit;
    bool is_late;
};

static void next(struct alerts_command *c);

static void on_ended(struct io *io, int what)
{
    struct alerts_command *c = list_entry(io, struct alerts_command, io);
    int status = 0;
    (void)what;
    if (waitpid(c->pid, &status, WNOHANG) != c->pid) {
        return;
    }
    io_close(&c->io);
    (void)close(c->fd);
    c->fd = -1;
    c->pid = 0;
    deadline_clear(&c->limit);
    if (c->is_late) {
        log_error("alert", "the command %s took longer than %d s and was killed", c->path,
                  ALERTS_COMMAND_MS / 1000);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        log_error("alert", "the command %s failed with exit status %d", c->path,
                  WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        log_error("alert", "the command %s was ended by signal %d", c->path, WTERMSIG(status));
    }
    next(c);
}

static void on_limit(struct deadline *d)
{
    struct alerts_command *c = list_entry(d, struct alerts_command, limit);
    c->is_late = true;
    (void)kill(c->pid, SIGKILL);
}

/* Nothing of ours but standard input: no descriptor (all are close-on-exec), no environment, no
 * blocked signal. */
static int spawn(struct alerts_command *c, int in)
{
    static char path_is[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char lang_is[] = "LANG=C.UTF-8";
    char *const env[] = {path_is, lang_is, NULL};
    char *const argv[] = {c->path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int err = posix_spawn_file_actions_init(&files);
    if (err) {
        return err;
    }
    err = posix_spawnattr_init(&attr);
    if (!err) {
        (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETPGROUP);
        (void)posix_spawnattr_setsigmask(&attr, &none);
        (void)posix_spawnattr_setsigdefault(&attr, &all);
        err = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
        err =
            err ? err
                : posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        err = err ? err : posix_spawn(&c->pid, c->path, &files, &attr, argv, env);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    c->pid = err ? 0 : c->pid;
    return err;
}

/* A text is shorter than what a pipe takes at once. */
static int start(struct alerts_command *c, const char *text)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return errno;
    }
    ssize_t done = write(fds[1], text, strlen(text));
    (void)close(fds[1]);
    int err = done < 0 ? errno : spawn(c, fds[0]);
    (void)close(fds[0]);
    if (err) {
        return err;
    }
    c->fd = pidfd_open(c->pid, 0);
    if (c->fd < 0 || io_open(&c->io, c->loop, c->fd, on_ended) != FRUN_OK ||
        io_want(&c->io, IO_READ) != FRUN_OK) {
        /* Nobody would hear of its end. */
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
        io_close(&c->io);
        if (c->fd >= 0) {
            (void)close(c->fd);
        }
        c->fd = -1;
        c->pid = 0;
        return ENOMEM;
    }
    c->is_late = false;
    deadline_set(c->loop, &c->limit, ALERTS_COMMAND_MS);
    return 0;
}

static void next(struct alerts_command *c)
{
    while (c->n > 0 && c->pid == 0) {
        char *text = c->queue[c->first];
        c->first = (c->first + 1) % ALERTS_QUEUE;
        c->n--;
        int err = c->path ? start(c, text) : 0;
        if (err) {
            log_error("alert", "the command %s cannot be run: %s", c->path, strerrordesc_np(err));
        }
        free(text);
    }
}

frun_err alerts_command_new(struct loop *l, struct alerts_command **out)
{
    struct alerts_command *c = calloc(1, sizeof(*c));
    if (!c) {
        return FRUN_E_NOMEM;
    }
    c->loop = l;
    c->fd = -1;
    deadline_init(&c->limit, on_limit);
    *out = c;
    return FRUN_OK;
}

void alerts_command_free(struct alerts_command *c)
{
    if (!c) {
        return;
    }
    deadline_clear(&c->limit);
    if (c->pid) {
        io_close(&c->io);
        (void)close(c->fd);
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
    }
    for (; c->n > 0; c->n--, c->first = (c->first + 1) % ALERTS_QUEUE) {
        free(c->queue[c->first]);
    }
    free(c->path);
    free(c);
}

void alerts_command_set(struct alerts_command *c, const char *path)
{
    char *copy = path ? strdup(path) : NULL;
    if (path && !copy) {
        log_error("alert", "out of memory: the command stays what it was");
        return;
    }
    free(c->path);
    c->path = copy;
}

void alerts_command_tell(struct alerts_command *c, char *text)
{
    if (!c->path || !text) {
        free(text);
        return;
    }
    if (c->n == ALERTS_QUEUE) {
        log_error("alert", "%d alerts wait for the command %s already; it is not told of this one",
                  ALERTS_QUEUE, c->path);
        free(text);
        return;
    }
    c->queue[(c->first + c->n++) % ALERTS_QUEUE] = text;
    next(c);
}
