/**
 * Lines in a file or on standard error: many of them by one write(2).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "log_int.h"

#include "frun/base/mono.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A pipe that poll() calls writable takes this much without blocking. */
#define PIPE_BYTES ((size_t)4 << 10)

/* What is handed to one write(2) at most. */
#define STAGE_BYTES ((size_t)64 << 10)

struct stream {
    struct log_sender base;
    bool is_slow;    /* a pipe or socket: may block */
    bool has_prefix; /* "<N>" instead of a time stamp */
    bool is_torn;    /* the last line was cut by an error */
    size_t n;        /* octets in stage */
    char stage[STAGE_BYTES];
};

bool log_stream_is_journal(void)
{
    /* Nothing in this program changes the environment. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *where = getenv("JOURNAL_STREAM");
    char mine[64];
    struct stat st;

    if (!where || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    (void)snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(where, mine) == 0;
}

/* write(2) without SIGPIPE, whatever the program does with that signal. */
static ssize_t write_quietly(int fd, const char *p, size_t n)
{
    const struct timespec no_wait = {0};
    sigset_t pipe_set;
    sigset_t old;

    (void)sigemptyset(&pipe_set);
    (void)sigaddset(&pipe_set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    ssize_t done = write(fd, p, n);
    if (done < 0 && errno == EPIPE && !sigismember(&old, SIGPIPE)) {
        (void)sigtimedwait(&pipe_set, NULL, &no_wait);
        errno = EPIPE;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return done;
}

void log_stream_now(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write_quietly(STDERR_FILENO, p, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        p += done;
        n -= (size_t)done;
    }
}

/* Wait until the target takes octets; false if the end cannot wait for it. */
static bool wait_writable(struct stream *s)
{
    struct pollfd p = {.fd = s->base.fd, .events = POLLOUT};

    for (;;) {
        int got = poll(&p, 1, LOG_STUCK_MS);
        if (got > 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        if (got == 0 && log_channel_is_stopping(s->base.channel)) {
            /* One wait is enough: all that is still queued fails at once. */
            (void)close(s->base.fd);
            s->base.fd = -1;
            s->is_slow = false;
            return false;
        }
    }
}

/* Octets that reached the target; fewer than n after an error. */
static size_t write_out(struct stream *s, const char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t part = n - at;
        if (s->is_slow) {
            part = part < PIPE_BYTES ? part : PIPE_BYTES;
            if (!wait_writable(s)) {
                break;
            }
        }
        ssize_t done = write_quietly(s->base.fd, p + at, part);
        if (done < 0 && (errno == EINTR || (errno == EAGAIN && s->is_slow))) {
            continue;
        }
        if (done <= 0) {
            s->base.error = errno;
            break;
        }
        at += (size_t)done;
    }
    return at;
}

static unsigned long long count_lines(struct span text)
{
    unsigned long long lines = 0;

    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    return lines;
}

/* Whole lines to the target; the number of lines that did not arrive. */
static unsigned long long flush(struct stream *s)
{
    struct span text = span_make(s->stage, s->n);
    s->n = 0;
    if (s->is_torn && write_out(s, "\n", 1) == 1) {
        s->is_torn = false;
    }
    size_t done = s->is_torn ? 0 : write_out(s, text.p, text.n);
    struct span rest = span_skip(text, done);
    s->is_torn = s->is_torn || (rest.n > 0 && done > 0 && text.p[done - 1] != '\n');
    return count_lines(rest);
}

size_t log_stream_head(const struct log_record *r, bool has_prefix, char *out)
{
    static const char *const names[8] = {"error",   "error", "error", "error",
                                         "warning", "info",  "info",  "debug"};
    char at[MONO_WALL_TEXT_BYTES];
    int n = 0;
    if (has_prefix) {
        n = snprintf(out, LOG_HEAD_BYTES, "<%u>", r->severity);
    } else if (!r->is_access) {
        mono_wall_text_of(r->at_ms, at);
        n = snprintf(out, LOG_HEAD_BYTES, "%s %s ", at, names[r->severity & 7]);
    }
    return n < 0 ? 0 : (size_t)n;
}

static void put(struct stream *s, const char *p, size_t n)
{
    if (n > 0) {
        memcpy(s->stage + s->n, p, n);
        s->n += n;
    }
}

static unsigned long long stream_send(struct log_sender *base, struct span batch)
{
    struct stream *s = (struct stream *)base;
    unsigned long long lost = 0;
    struct log_record r;
    char head[LOG_HEAD_BYTES];

    while (log_record_next(&batch, &r)) {
        size_t n_head = log_stream_head(&r, s->has_prefix, head);
        if (s->n + n_head + r.text.n + 1 > sizeof(s->stage)) {
            lost += flush(s);
        }
        put(s, head, n_head);
        put(s, r.text.p, r.text.n);
        put(s, "\n", 1);
    }
    return lost + (s->n > 0 ? flush(s) : 0);
}

static int open_file(const char *path)
{
    assert(path); /* of LOG_TARGET_FILE */
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

/* The old file stays in use when the new one cannot be opened. */
static void stream_reopen(struct log_sender *s)
{
    if (s->where.target != LOG_TARGET_FILE) {
        return;
    }
    int fd = open_file(s->where.name);
    if (fd < 0) {
        log_error("log", "cannot open the log file \"%s\" again (errno %d), going on with the old",
                  s->where.name, errno);
        return;
    }
    (void)close(s->fd);
    s->fd = fd;
}

static const struct log_sender_ops stream_ops = {.send = stream_send, .reopen = stream_reopen};

/* Say that a log file cannot be opened, and why (errno). */
static frun_err refuse_file(const char *path, struct diag *d)
{
    char why[128];
    diag_set(d,
             "cannot open the log file \"%s\": %s; its folder must be there, and the service's "
             "user must be allowed to write in it",
             path, strerror_r(errno, why, sizeof(why)));
    return FRUN_E_IO;
}

frun_err log_stream_check(const char *path, struct diag *d)
{
    char folder[PATH_MAX];
    if (access(path, W_OK) == 0) {
        return FRUN_OK;
    }
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (errno != ENOENT || n >= sizeof(folder)) {
        return refuse_file(path, d);
    }
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(n ? n : 1), n ? path : slash ? "/" : ".");
    return access(folder, W_OK | X_OK) == 0 ? FRUN_OK : refuse_file(path, d);
}

frun_err log_stream_open(const struct log_where *w, struct log_sender **out, struct diag *d)
{
    struct stat st;
    bool is_file = w->target == LOG_TARGET_FILE;
    struct stream *s = malloc(sizeof(*s));
    if (!s) {
        return FRUN_E_NOMEM;
    }
    s->base = (struct log_sender){.ops = &stream_ops, .where = *w, .fd = -1};
    s->base.where.name = w->name ? strdup(w->name) : NULL;
    s->is_slow = s->is_torn = false;
    s->has_prefix = !is_file && log_stream_is_journal();
    s->n = 0;
    if (w->name && !s->base.where.name) {
        log_sender_free(&s->base);
        return FRUN_E_NOMEM;
    }
    /* A copy of our own: if stderr is closed later its number may become a client's socket.
     * Closed already is no reason not to serve; the lines are then lost and counted. */
    s->base.fd =
        is_file ? open_file(w->name) : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (is_file && s->base.fd < 0) {
        frun_err err = refuse_file(w->name, d);
        log_sender_free(&s->base);
        return err;
    }
    s->is_slow = s->base.fd >= 0 && fstat(s->base.fd, &st) == 0 && !S_ISREG(st.st_mode);
    *out = &s->base;
    return FRUN_OK;
}
