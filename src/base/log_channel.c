/**
 * A queue of records in two halves: one is filled under the lock while the writer sends the other.
 *
 * The only waits of those who have something to say are for that lock, which nobody holds longer
 * than a copy takes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "log_int.h"

#include "frun/base/mono.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Two halves of this size: one is filled while the other is written; 1 MiB in all. */
#define LOG_HALF_BYTES ((size_t)512 << 10)

/* Access lines leave this much of a half to log lines: a flood must not hide its cause. */
#define LOG_RESERVE_BYTES ((size_t)64 << 10)

/* Access lines are written in batches this far apart: waking the writer for each one costs more
 * than the line itself. */
#define LOG_BATCH_MS 20

/* Access lines that were lost are counted in the log when none was lost for so long: a target that
 * comes and goes is one line, not thousands. */
#define LOG_CALM_MS 2000

/* How a record begins in the queue. */
struct frame {
    uint64_t at_ms;
    uint32_t n_text;
    uint32_t n_fields;
    uint32_t n_scope; /* the beginning of the text */
    uint8_t severity;
    uint8_t facility;
    uint8_t is_access;
    uint8_t unused;
};

bool log_record_next(struct span *batch, struct log_record *out)
{
    struct frame f;
    if (batch->n < sizeof(f)) {
        return false;
    }
    memcpy(&f, batch->p, sizeof(f));
    const char *text = batch->p + sizeof(f);
    *out = (struct log_record){.at_ms = f.at_ms,
                               .severity = f.severity,
                               .facility = f.facility,
                               .is_access = f.is_access != 0,
                               .text = span_make(text, f.n_text),
                               .scope = span_make(text, f.n_scope),
                               .fields = span_make(text + f.n_text, f.n_fields)};
    *batch = span_skip(*batch, sizeof(f) + f.n_text + f.n_fields);
    return true;
}

bool log_field_next(struct span *fields, struct span *name, struct span *value)
{
    struct span line = span_head(*fields, span_find(*fields, '\n'));
    size_t n = span_find(line, '=');
    if (n == line.n) {
        return false;
    }
    *name = span_head(line, n);
    *value = span_skip(line, n + 1);
    *fields = span_skip(*fields, line.n < fields->n ? line.n + 1 : line.n);
    return true;
}

/* -- in
 * --------------------------------------------------------------------------------------------------------
 */

static void copy(struct log_channel *c, const void *p, size_t n)
{
    if (n > 0) {
        memcpy(c->half + c->half_len, p, n);
        c->half_len += n;
    }
}

static void count_lost(struct log_channel *c, unsigned long long n)
{
    atomic_fetch_add_explicit(&c->lost_in_all, n, memory_order_relaxed);
}

/* Under the lock. Access lines are not urgent, and leave the reserve to those that are. */
static void append(struct log_channel *c, const struct log_record *r)
{
    bool is_urgent = !r->is_access;
    size_t room = LOG_HALF_BYTES - (is_urgent ? 0 : LOG_RESERVE_BYTES);
    size_t n = sizeof(struct frame) + r->text.n + r->fields.n;
    const struct frame f = {.at_ms = r->at_ms,
                            .n_text = (uint32_t)r->text.n,
                            .n_fields = (uint32_t)r->fields.n,
                            .n_scope = (uint32_t)r->scope.n,
                            .severity = (uint8_t)r->severity,
                            .facility = (uint8_t)r->facility,
                            .is_access = r->is_access};

    if (n > room || c->half_len > room - n) {
        c->lost++;
        count_lost(c, 1);
        return;
    }
    bool is_awaited = c->is_asleep && c->half_len == 0;
    bool was_short = c->half_len < LOG_HALF_BYTES / 4;
    bool is_hurried = is_urgent && !c->is_urgent;
    copy(c, &f, sizeof(f));
    copy(c, r->text.p, r->text.n);
    copy(c, r->fields.p, r->fields.n);
    c->is_urgent |= is_urgent;
    if (is_awaited || is_hurried || (was_short && c->half_len >= LOG_HALF_BYTES / 4)) {
        (void)pthread_cond_signal(&c->wake);
    }
}

bool log_channel_put(struct log_channel *c, const struct log_record *r)
{
    (void)pthread_mutex_lock(&c->lock);
    bool is_running = c->is_running;
    if (is_running) {
        append(c, r);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return is_running;
}

/* -- out
 * -------------------------------------------------------------------------------------------------------
 */

static unsigned long long send_batch(struct log_channel *c, struct span batch)
{
    unsigned long long lost = c->now && batch.n > 0 ? c->now->ops->send(c->now, batch) : 0;
    if (lost > 0) {
        count_lost(c, lost);
    }
    return lost;
}

/* Why, in words; and how to see the lines all the same. */
static void say_why(const struct log_channel *c, char *out, size_t room)
{
    char where[512];
    char why[128];
    const struct log_sender *s = c->now;
    if (!s->error) {
        (void)snprintf(out, room, "lines come faster than their target takes them: some are lost");
        return;
    }
    log_sender_name(&s->where, where, sizeof(where));
    (void)snprintf(out, room, "%s takes no lines (%s): they are lost until it does%s", where,
                   strerror_r(s->error, why, sizeof(why)),
                   s->where.target == LOG_TARGET_JOURNAL ? "; target = stderr shows them" : "");
}

/* What the target cannot say itself goes to standard error, unless that is the target. */
static void tell_stderr(const struct log_channel *c, struct log_record *r, char *text, size_t room)
{
    char line[LOG_HEAD_BYTES + 1024];
    if (!c->now || c->now->where.target == LOG_TARGET_STDERR) {
        return;
    }
    say_why(c, text, room);
    r->severity = LOG_SEVERITY_ERROR;
    size_t n = log_stream_head(r, log_stream_is_journal(), line);
    int more = snprintf(line + n, sizeof(line) - n, "log: %s\n", text);
    n += more < 0 ? 0 : (size_t)more;
    log_stream_now(line, n < sizeof(line) ? n : sizeof(line) - 1);
}

/* Among the lines themselves. What the report itself cannot deliver stays counted. */
static void report_here(struct log_channel *c)
{
    char text[1024];
    char batch[sizeof(struct frame) + 256];
    struct log_record r = {.at_ms = mono_wall_ms(), .severity = LOG_SEVERITY_WARNING};
    bool is_refused = false;

    if (c->untold > 0 && c->now) {
        int n = snprintf(batch + sizeof(struct frame), 256,
                         "log: %llu lines lost: the queue was full or the log target refused them",
                         c->untold);
        const struct frame f = {.at_ms = r.at_ms,
                                .n_text = n < 0 ? 0 : (uint32_t)n,
                                .n_scope = sizeof("log") - 1,
                                .severity = LOG_SEVERITY_WARNING};
        memcpy(batch, &f, sizeof(f));
        is_refused = c->now->ops->send(c->now, span_make(batch, sizeof(f) + f.n_text)) > 0;
        c->untold = is_refused ? c->untold : 0;
    }
    if (is_refused && !c->is_refusing) {
        tell_stderr(c, &r, text, sizeof(text));
    }
    c->is_refusing = is_refused;
}

/* In the log: access lines have a form that nothing else may break. */
static void report_elsewhere(struct log_channel *c, bool is_last)
{
    char text[1024];
    uint64_t now_ms = mono_now_ms();

    if (c->untold > 0 && !c->is_refusing && c->now) {
        say_why(c, text, sizeof(text));
        log_warning("access log", "%s", text);
        c->is_refusing = true;
    }
    if (c->is_refusing && (is_last || now_ms - c->lost_at_ms >= LOG_CALM_MS)) {
        log_warning("access log", "%llu lines lost in all", c->untold);
        c->is_refusing = false;
        c->untold = 0;
    }
}

static void report(struct log_channel *c, unsigned long long lost, bool is_last)
{
    if (lost > 0) {
        c->untold += lost;
        c->lost_at_ms = mono_now_ms();
    }
    if (c->is_access) {
        report_elsewhere(c, is_last);
    } else {
        report_here(c);
    }
    if (c->now && lost == 0) {
        c->now->error = 0;
    }
}

/* Under the lock: let access lines come together, unless something cannot wait. */
static void nap(struct log_channel *c)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOG_BATCH_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (!c->is_urgent && !c->is_stopping && !c->is_reopen_wanted && !c->is_change_wanted &&
           c->half_len < LOG_HALF_BYTES / 4 &&
           pthread_cond_clockwait(&c->wake, &c->lock, CLOCK_MONOTONIC, &until) == 0) {
    }
}

static bool has_work(const struct log_channel *c)
{
    return c->half_len > 0 || c->is_stopping || c->is_reopen_wanted || c->is_change_wanted;
}

/* Under the lock: wait for work. While lines keep coming this thread looks for them by itself, and
 * no worker has to wake it. */
static void await_lines(struct log_channel *c)
{
    nap(c);
    if (has_work(c)) {
        return;
    }
    c->is_asleep = true;
    while (!has_work(c)) {
        (void)pthread_cond_wait(&c->wake, &c->lock);
    }
    c->is_asleep = false;
    nap(c);
}

/* What one pass of the writer is about. */
struct pass {
    struct span batch;
    size_t n_old; /* octets of it that are the present target's */
    unsigned long long lost;
    struct log_sender *next;
    bool is_reopen;
    bool is_change;
    bool is_last;
};

/* Exchange the halves. */
static void take(struct log_channel *c, struct pass *p)
{
    (void)pthread_mutex_lock(&c->lock);
    await_lines(c);
    *p = (struct pass){.batch = span_make(c->half, c->half_len),
                       .n_old = c->is_change_wanted ? c->change_at : c->half_len,
                       .lost = c->lost,
                       .next = c->next,
                       .is_reopen = c->is_reopen_wanted,
                       .is_change = c->is_change_wanted,
                       .is_last = c->is_stopping && c->half_len == 0};
    char *empty = c->other;
    c->other = c->half;
    c->half = empty;
    c->half_len = 0;
    c->lost = 0;
    c->next = NULL;
    c->is_reopen_wanted = c->is_urgent = c->is_change_wanted = false;
    (void)pthread_mutex_unlock(&c->lock);
}

static void adopt(struct log_channel *c, struct log_sender *s)
{
    log_sender_free(c->now);
    c->now = s;
    if (s) {
        s->channel = c;
    }
}

static void *writer_main(void *arg)
{
    struct log_channel *c = arg;
    struct pass p;

    do {
        take(c, &p);
        if (p.is_reopen && c->now && c->now->ops->reopen) {
            c->now->ops->reopen(c->now);
        }
        p.lost += send_batch(c, span_head(p.batch, p.n_old));
        if (p.is_change) {
            /* What the former one refused is told before it is forgotten. */
            report(c, p.lost, true);
            adopt(c, p.next);
            p.lost = send_batch(c, span_skip(p.batch, p.n_old));
        }
        report(c, p.lost, p.is_last);
    } while (!p.is_last);
    return NULL;
}

/* -- life
 * -------------------------------------------------------------------------------------------------------
 */

static void release(struct log_channel *c)
{
    free(c->half);
    free(c->other);
    c->half = c->other = NULL;
    adopt(c, NULL);
    log_sender_free(c->next);
    c->next = NULL;
    c->is_change_wanted = false;
}

/* The writer must not receive signals that the main thread waits for. */
static int writer_start(struct log_channel *c)
{
    sigset_t all;
    sigset_t old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int refused = pthread_create(&c->writer, NULL, writer_main, c);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return refused;
}

frun_err log_channel_start(struct log_channel *c, struct log_sender **s, struct diag *d)
{
    (void)pthread_mutex_lock(&c->lock);
    c->half = malloc(LOG_HALF_BYTES);
    c->other = malloc(LOG_HALF_BYTES);
    c->half_len = 0;
    c->lost = c->untold = 0;
    c->is_stopping = c->is_reopen_wanted = c->is_urgent = c->is_change_wanted = false;
    c->is_refusing = c->is_asleep = false;
    atomic_store(&c->lost_in_all, 0);
    adopt(c, *s);
    c->is_running = c->half && c->other && writer_start(c) == 0;
    bool is_running = c->is_running;
    if (is_running) {
        *s = NULL;
    } else {
        c->now = NULL; /* still the caller's */
        release(c);
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (!is_running) {
        diag_set(d, "no memory for the log");
        return FRUN_E_NOMEM;
    }
    return FRUN_OK;
}

void log_channel_stop(struct log_channel *c)
{
    (void)pthread_mutex_lock(&c->lock);
    bool was_running = c->is_running;
    c->is_running = false;
    c->is_stopping = true;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
    if (was_running) {
        (void)pthread_join(c->writer, NULL);
        release(c);
    }
}

bool log_channel_change(struct log_channel *c, struct log_sender **s)
{
    struct log_sender *unused = NULL;
    (void)pthread_mutex_lock(&c->lock);
    bool is_running = c->is_running;
    if (is_running) {
        unused = c->next;
        c->change_at = c->is_change_wanted ? c->change_at : c->half_len;
        c->next = *s;
        c->is_change_wanted = true;
        *s = NULL;
        (void)pthread_cond_signal(&c->wake);
    }
    (void)pthread_mutex_unlock(&c->lock);
    log_sender_free(unused);
    return is_running;
}

void log_channel_reopen(struct log_channel *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->is_reopen_wanted = c->is_running;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
}

bool log_channel_is_stopping(struct log_channel *c)
{
    if (!c) {
        return false;
    }
    (void)pthread_mutex_lock(&c->lock);
    bool is_stopping = c->is_stopping;
    (void)pthread_mutex_unlock(&c->lock);
    return is_stopping;
}
