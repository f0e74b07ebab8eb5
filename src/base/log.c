/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"

#include "frun/base/mono.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef FRUN_HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

/* Two halves of this size: one is filled while the other is written; 1 MiB in all. */
#define LOG_HALF_BYTES ((size_t)512 << 10)

/* Access lines leave this much of a half to log lines: a flood must not hide its cause. */
#define LOG_RESERVE_BYTES ((size_t)64 << 10)

#define LOG_LINE_BYTES   ((size_t)4 << 10)
#define LOG_ACCESS_BYTES ((size_t)16 << 10)

/* A pipe that poll() calls writable takes this much without blocking. */
#define LOG_PIPE_BYTES ((size_t)4 << 10)

/* Where journald listens; libsystemd drops lines silently without it. */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Access lines are written in batches this far apart: waking the writer for each one costs more
 * than the line itself. */
#define LOG_BATCH_MS 20

/* How long log_stop() waits for a reader that does not read, and one wait while running. */
#define LOG_STUCK_MS 1000

/* Where lines go. */
struct target {
    struct log_settings settings; /* its path is the target's own */
    int fd;                       /* -1 for none */
    bool is_slow;                 /* a pipe or socket: may block */
    bool has_prefix;              /* "<N>" instead of a time stamp */
    bool is_journal_stream;       /* stderr is a stream that journald reads */
};

/* The one mutable object of the process; everything below lock is shared under it. */
static struct {
    atomic_int level;
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* the writer waits on it */
    bool is_running;         /* lines are queued; otherwise they go to stderr at once */
    bool is_stopping;        /* the writer ends once the queue is empty */
    bool is_reopen_wanted;   /* the file was rotated away */
    bool is_urgent;          /* a line is queued that must not wait for others */
    bool is_asleep;          /* the writer waits for the first line, however long */
    bool is_change_wanted;   /* next is to be used from the next line on */
    bool has_prefix;         /* that of the target for the lines that come */
    struct target next;      /* with is_change_wanted */
    size_t change_at;        /* octets of half that are the present target's */
    char *half;              /* being filled, LOG_HALF_BYTES */
    size_t half_len;         /* octets in it */
    unsigned long long lost; /* lines refused since the last report */
    pthread_t writer;
    /* The writer's own while running. */
    char *other;       /* being written */
    struct target now; /* where to */
    bool is_torn;      /* the last line was cut by an error */
    bool is_refusing;  /* the file takes nothing: told on stderr */
} sink = {
    .level = LOG_LEVEL_INFO,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
    .now.fd = -1,
};

static const struct {
    const char *name;
    char priority; /* of syslog, as journald reads it */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", '3'},
    [LOG_LEVEL_WARNING] = {"warning", '4'},
    [LOG_LEVEL_INFO] = {"info", '6'},
    [LOG_LEVEL_DEBUG] = {"debug", '7'},
};

/* Is standard error the stream that journald gave us? Source: systemd.exec(5) JOURNAL_STREAM. */
static bool is_stderr_journal(void)
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

/* Writes before log_start() and after log_stop(): best effort, there is nobody to tell. */
static void write_now(const char *p, size_t n)
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

static bool stopping(void)
{
    (void)pthread_mutex_lock(&sink.lock);
    bool is_stopping = sink.is_stopping;
    (void)pthread_mutex_unlock(&sink.lock);
    return is_stopping;
}

/* Wait until the target takes octets; false if log_stop() cannot wait for it. */
static bool wait_writable(void)
{
    struct pollfd p = {.fd = sink.now.fd, .events = POLLOUT};

    for (;;) {
        int got = poll(&p, 1, LOG_STUCK_MS);
        if (got > 0 || (got < 0 && errno != EINTR)) {
            return true;
        }
        if (got == 0 && stopping()) {
            /* One wait is enough: all that is still queued fails at once. */
            (void)close(sink.now.fd);
            sink.now.fd = -1;
            sink.now.is_slow = false;
            return false;
        }
    }
}

/* Octets that reached the target; fewer than n after an error. */
static size_t write_out(const char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t part = n - at;
        if (sink.now.is_slow) {
            part = part < LOG_PIPE_BYTES ? part : LOG_PIPE_BYTES;
            if (!wait_writable()) {
                break;
            }
        }
        ssize_t done = write_quietly(sink.now.fd, p + at, part);
        if (done < 0 && (errno == EINTR || (errno == EAGAIN && sink.now.is_slow))) {
            continue;
        }
        if (done <= 0) {
            break;
        }
        at += (size_t)done;
    }
    return at;
}

#ifdef FRUN_HAVE_SYSTEMD
/* Lines are "<N>text"; those that journald refuses are counted. */
static unsigned long long send_journal(struct span text)
{
    unsigned long long lost = 0;

    while (text.n > 0) {
        struct span line = span_head(text, span_find(text, '\n'));
        char priority[] = "PRIORITY=6";
        char message[sizeof("MESSAGE=") + LOG_ACCESS_BYTES];

        text = span_skip(text, line.n < text.n ? line.n + 1 : line.n);
        if (line.n >= 3 && line.p[0] == '<' && line.p[2] == '>') {
            priority[sizeof(priority) - 2] = line.p[1];
            line = span_skip(line, 3);
        }
        int n = snprintf(message, sizeof(message), "MESSAGE=%.*s", SPAN_FMT(line));
        const struct iovec fields[] = {{message, n < 0 ? 0 : (size_t)n},
                                       {priority, sizeof(priority) - 1}};
        lost += sd_journal_sendv(fields, 2) < 0;
    }
    return lost;
}
#endif

static unsigned long long count_lines(struct span text)
{
    unsigned long long lines = 0;

    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    return lines;
}

/* Hand whole lines to the target; the number of lines that did not arrive. */
static unsigned long long emit(struct span text)
{
#ifdef FRUN_HAVE_SYSTEMD
    if (sink.now.settings.target == LOG_TARGET_JOURNAL) {
        return send_journal(text);
    }
#endif
    if (sink.is_torn && write_out("\n", 1) == 1) {
        sink.is_torn = false;
    }
    size_t done = sink.is_torn ? 0 : write_out(text.p, text.n);
    struct span rest = span_skip(text, done);
    sink.is_torn = sink.is_torn || (rest.n > 0 && done > 0 && text.p[done - 1] != '\n');
    return count_lines(rest);
}

/* Octets over 0x7f pass: text is UTF-8. At most room octets; a longer text ends in "...". */
static size_t escape(char *out, size_t room, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    size_t last_fit = 0; /* where "..." still fits */

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_control = c < 0x20 || c == 0x7f;
        size_t need = is_control ? 4 : 1;
        last_fit = len + 3 <= room ? len : last_fit;
        if (len + need > room) {
            memcpy(out + last_fit, "...", 3);
            return last_fit + 3;
        }
        if (is_control) {
            memcpy(out + len, "\\x", 2);
            out[len + 2] = digits[c >> 4];
            out[len + 3] = digits[c & 15];
        } else {
            out[len] = (char)c;
        }
        len += need;
    }
    return len;
}

/* "<N>" or time stamp and level, then "scope: text" and a line end; at most LOG_LINE_BYTES. */
static size_t compose(char out[LOG_LINE_BYTES], bool has_prefix, enum log_level level,
                      const char *scope, const char *text)
{
    char now[MONO_WALL_TEXT_BYTES];
    int n;

    if (has_prefix) {
        n = snprintf(out, LOG_LINE_BYTES, "<%c>", levels[level].priority);
    } else {
        mono_wall_text(now);
        n = snprintf(out, LOG_LINE_BYTES, "%s %s ", now, levels[level].name);
    }
    size_t len = n < 0 ? 0 : (size_t)n;
    if (scope) {
        len += escape(out + len, LOG_LINE_BYTES / 4, scope);
        memcpy(out + len, ": ", 2);
        len += 2;
    }
    len += escape(out + len, LOG_LINE_BYTES - 1 - len, text);
    out[len++] = '\n';
    return len;
}

/* What the target cannot say itself. */
static void tell_stderr(const char *text)
{
    char line[LOG_LINE_BYTES];

    write_now(line, compose(line, is_stderr_journal(), LOG_LEVEL_ERROR, "log", text));
}

static void tell_full(void)
{
    char text[LOG_LINE_BYTES / 2];

    (void)snprintf(text, sizeof(text),
                   "the log file \"%s\" takes no lines, is the disk full? They are lost until it "
                   "does",
                   sink.now.settings.path);
    tell_stderr(text);
}

/* Tell how many lines are missing; what the report itself cannot deliver stays counted. */
static void report_lost(unsigned long long lost)
{
    char text[128];
    char line[LOG_LINE_BYTES];

    bool is_refused = false;
    if (lost > 0) {
        (void)snprintf(text, sizeof(text),
                       "%llu lines lost: the queue was full or the log target refused them", lost);
        size_t n = compose(line, sink.has_prefix, LOG_LEVEL_WARNING, "log", text);
        is_refused = emit(span_make(line, n)) > 0;
        lost = is_refused ? lost : 0;
    }
    if (is_refused && !sink.is_refusing && sink.now.settings.target == LOG_TARGET_FILE) {
        tell_full();
    }
    sink.is_refusing = is_refused;
    if (lost > 0) {
        (void)pthread_mutex_lock(&sink.lock);
        sink.lost += lost;
        (void)pthread_mutex_unlock(&sink.lock);
    }
}

static int open_file(const char *path)
{
    assert(path); /* of LOG_TARGET_FILE */
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

/* The old file stays in use when the new one cannot be opened. */
static void reopen(void)
{
    int fd = open_file(sink.now.settings.path);

    if (fd < 0) {
        log_error("log", "cannot open the log file \"%s\" again (errno %d), going on with the old",
                  sink.now.settings.path, errno);
        return;
    }
    (void)close(sink.now.fd);
    sink.now.fd = fd;
}

/* Under the lock: let access lines come together, unless something cannot wait. */
static void nap(void)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOG_BATCH_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (!sink.is_urgent && !sink.is_stopping && !sink.is_reopen_wanted &&
           !sink.is_change_wanted && sink.half_len < LOG_HALF_BYTES / 4 &&
           pthread_cond_clockwait(&sink.wake, &sink.lock, CLOCK_MONOTONIC, &until) == 0) {
    }
}

static bool has_work(void)
{
    return sink.half_len > 0 || sink.is_stopping || sink.is_reopen_wanted || sink.is_change_wanted;
}

/* Under the lock: wait for work. While lines keep coming this thread looks for them by itself, and
 * no worker has to wake it. */
static void await_lines(void)
{
    nap();
    if (has_work()) {
        return;
    }
    sink.is_asleep = true;
    while (!has_work()) {
        (void)pthread_cond_wait(&sink.wake, &sink.lock);
    }
    sink.is_asleep = false;
    nap();
}

/* Lent as const to everyone else; the copy is the target's. */
static void *own_path(const struct target *t)
{
    return (void *)(uintptr_t)t->settings.path;
}

static void target_close(struct target *t)
{
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    free(own_path(t));
    *t = (struct target){.fd = -1};
}

static void *writer_main(void *unused)
{
    bool is_last = false;

    (void)unused;
    while (!is_last) {
        (void)pthread_mutex_lock(&sink.lock);
        await_lines();
        char *text = sink.half;
        size_t len = sink.half_len;
        unsigned long long lost = sink.lost;
        bool is_reopen = sink.is_reopen_wanted;
        bool is_change = sink.is_change_wanted;
        struct target next = sink.next;
        size_t change_at = sink.change_at;
        is_last = sink.is_stopping && len == 0;
        sink.half = sink.other;
        sink.other = text;
        sink.half_len = 0;
        sink.lost = 0;
        sink.is_reopen_wanted = sink.is_urgent = sink.is_change_wanted = false;
        (void)pthread_mutex_unlock(&sink.lock);
        if (is_reopen && sink.now.settings.target == LOG_TARGET_FILE) {
            reopen();
        }
        size_t n_old = is_change ? change_at : len;
        lost += n_old > 0 ? emit(span_make(text, n_old)) : 0;
        if (is_change) {
            target_close(&sink.now);
            sink.now = next;
            sink.is_torn = sink.is_refusing = false;
            lost += len > n_old ? emit(span_make(text + n_old, len - n_old)) : 0;
        }
        report_lost(lost);
    }
    return NULL;
}

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

static frun_err check_journal(struct diag *d)
{
#ifdef FRUN_HAVE_SYSTEMD
    (void)d;
    return FRUN_OK;
#else
    diag_set(d, "this build has no journal; use target = stderr");
    return FRUN_E_UNSUPPORTED;
#endif
}

frun_err log_check(const struct log_settings *s, struct diag *d)
{
    char folder[PATH_MAX];
    if (s->target == LOG_TARGET_JOURNAL) {
        return check_journal(d);
    }
    if (s->target != LOG_TARGET_FILE || access(s->path, W_OK) == 0) {
        return FRUN_OK;
    }
    const char *slash = strrchr(s->path, '/');
    size_t n = slash ? (size_t)(slash - s->path) : 0;
    if (errno != ENOENT || n >= sizeof(folder)) {
        return refuse_file(s->path, d);
    }
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)(n ? n : 1),
                   n       ? s->path
                   : slash ? "/"
                           : ".");
    return access(folder, W_OK | X_OK) == 0 ? FRUN_OK : refuse_file(s->path, d);
}

static frun_err target_open(const struct log_settings *s, struct target *out, struct diag *d)
{
    struct stat st;
    struct target t = {.settings = *s, .fd = -1};

    t.is_journal_stream = s->target == LOG_TARGET_STDERR && is_stderr_journal();
    t.has_prefix = t.is_journal_stream || s->target == LOG_TARGET_JOURNAL;
    t.settings.path = s->path ? strdup(s->path) : NULL;
    if (s->path && !t.settings.path) {
        diag_set(d, "no memory for the log");
        return FRUN_E_NOMEM;
    }
    if (s->target == LOG_TARGET_JOURNAL) {
        if (access(LOG_JOURNAL_SOCKET, F_OK) != 0) {
            tell_stderr("no journal takes lines here (" LOG_JOURNAL_SOCKET
                        " is missing): they are lost; target = stderr shows them");
        }
    } else if (s->target == LOG_TARGET_FILE) {
        t.fd = open_file(s->path);
    } else {
        /* A copy of our own: if stderr is closed later its number may become a client's socket.
         * Closed already is no reason not to serve; the lines are then lost and counted. */
        t.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    }
    frun_err err = s->target == LOG_TARGET_JOURNAL            ? check_journal(d)
                   : s->target == LOG_TARGET_FILE && t.fd < 0 ? refuse_file(s->path, d)
                                                              : FRUN_OK;
    if (err) {
        target_close(&t);
        return err;
    }
    t.is_slow = t.fd >= 0 && fstat(t.fd, &st) == 0 && !S_ISREG(st.st_mode);
    *out = t;
    return FRUN_OK;
}

static void close_all(void)
{
    free(sink.half);
    free(sink.other);
    sink.half = sink.other = NULL;
    target_close(&sink.now);
    if (sink.is_change_wanted) {
        target_close(&sink.next);
        sink.is_change_wanted = false;
    }
}

/* The writer must not receive signals that the main thread waits for. */
static int writer_start(void)
{
    sigset_t all;
    sigset_t old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int refused = pthread_create(&sink.writer, NULL, writer_main, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return refused;
}

frun_err log_start(const struct log_settings *s, struct diag *d)
{
    (void)pthread_mutex_lock(&sink.lock);
    frun_err err = target_open(s, &sink.now, d);
    if (!err) {
        sink.has_prefix = sink.now.has_prefix;
        sink.is_torn = sink.is_refusing = false;
        sink.half = malloc(LOG_HALF_BYTES);
        sink.other = malloc(LOG_HALF_BYTES);
        sink.half_len = 0;
        sink.lost = 0;
        sink.is_stopping = sink.is_reopen_wanted = sink.is_urgent = sink.is_change_wanted = false;
        if (!sink.half || !sink.other || writer_start() != 0) {
            diag_set(d, "no memory for the log");
            close_all();
            err = FRUN_E_NOMEM;
        }
    }
    if (!err) {
        atomic_store(&sink.level, (int)s->level);
        sink.is_running = true;
    }
    (void)pthread_mutex_unlock(&sink.lock);
    return err;
}

void log_stop(void)
{
    (void)pthread_mutex_lock(&sink.lock);
    bool was_running = sink.is_running;
    sink.is_running = false;
    sink.is_stopping = true;
    (void)pthread_cond_signal(&sink.wake);
    (void)pthread_mutex_unlock(&sink.lock);
    if (was_running) {
        (void)pthread_join(sink.writer, NULL);
        close_all();
    }
}

frun_err log_change(const struct log_settings *s, struct diag *d)
{
    struct target t = {.fd = -1};
    frun_err err = target_open(s, &t, d);
    if (err) {
        return err;
    }
    (void)pthread_mutex_lock(&sink.lock);
    bool is_running = sink.is_running;
    struct target unused = is_running && !sink.is_change_wanted ? (struct target){.fd = -1}
                           : is_running                         ? sink.next
                                                                : t;
    if (is_running) {
        sink.change_at = sink.is_change_wanted ? sink.change_at : sink.half_len;
        sink.next = t;
        sink.has_prefix = t.has_prefix;
        sink.is_change_wanted = true;
        (void)pthread_cond_signal(&sink.wake);
    }
    (void)pthread_mutex_unlock(&sink.lock);
    target_close(&unused);
    atomic_store(&sink.level, (int)s->level);
    return FRUN_OK;
}

void log_reopen(void)
{
    (void)pthread_mutex_lock(&sink.lock);
    sink.is_reopen_wanted = sink.is_running;
    (void)pthread_cond_signal(&sink.wake);
    (void)pthread_mutex_unlock(&sink.lock);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&sink.level, (int)level, memory_order_relaxed);
}

enum log_level log_level_now(void)
{
    return (enum log_level)atomic_load_explicit(&sink.level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&sink.level, memory_order_relaxed);
}

/* The parts of one line, under the lock. Access lines are not urgent, and leave the reserve to
 * those that are. */
static void append(const struct span *parts, size_t n_parts, bool is_urgent)
{
    size_t reserve = is_urgent ? 0 : LOG_RESERVE_BYTES;
    size_t n = 0;

    for (size_t i = 0; i < n_parts; i++) {
        n += parts[i].n;
    }
    if (n > LOG_HALF_BYTES - reserve || sink.half_len > LOG_HALF_BYTES - reserve - n) {
        sink.lost++;
        return;
    }
    bool is_awaited = sink.is_asleep && sink.half_len == 0;
    bool was_short = sink.half_len < LOG_HALF_BYTES / 4;
    bool is_hurried = is_urgent && !sink.is_urgent;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].n > 0) {
            memcpy(sink.half + sink.half_len, parts[i].p, parts[i].n);
            sink.half_len += parts[i].n;
        }
    }
    sink.is_urgent |= is_urgent;
    if (is_awaited || is_hurried || (was_short && sink.half_len >= LOG_HALF_BYTES / 4)) {
        (void)pthread_cond_signal(&sink.wake);
    }
}

/* Queue a whole line. */
static void queue(const char *p, size_t n)
{
    struct span line = span_make(p, n);

    (void)pthread_mutex_lock(&sink.lock);
    if (sink.is_running) {
        append(&line, 1, true);
    } else {
        write_now(p, n);
    }
    (void)pthread_mutex_unlock(&sink.lock);
}

static bool wants_prefix(void)
{
    (void)pthread_mutex_lock(&sink.lock);
    bool has_prefix = sink.is_running ? sink.has_prefix : is_stderr_journal();
    (void)pthread_mutex_unlock(&sink.lock);
    return has_prefix;
}

void log_line(enum log_level level, const char *scope, const char *fmt, ...)
{
    char text[LOG_LINE_BYTES];
    char line[LOG_LINE_BYTES];
    int saved_errno = errno;
    va_list ap;

    if (!log_wants(level)) {
        return;
    }
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n >= 0) {
        queue(line, compose(line, wants_prefix(), level, scope, text));
    }
    errno = saved_errno;
}

/* Nothing runs that could take the line: to stderr, in one piece. */
static void access_now(const struct span *parts, size_t n_parts)
{
    char whole[LOG_ACCESS_BYTES];
    size_t len = 0;

    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].n > 0) {
            memcpy(whole + len, parts[i].p, parts[i].n);
            len += parts[i].n;
        }
    }
    write_now(whole, len);
}

void log_access(struct span line)
{
    int saved_errno = errno;

    (void)pthread_mutex_lock(&sink.lock);
    bool has_prefix = sink.is_running ? sink.has_prefix : is_stderr_journal();
    struct span prefix = has_prefix ? SPAN_LIT("<6>") : (struct span){0};
    size_t room = LOG_ACCESS_BYTES - prefix.n - 1;
    const struct span parts[] = {prefix, span_head(line, line.n < room ? line.n : room),
                                 SPAN_LIT("\n")};
    if (sink.is_running) {
        append(parts, 3, false);
    } else {
        access_now(parts, 3);
    }
    (void)pthread_mutex_unlock(&sink.lock);
    errno = saved_errno;
}
