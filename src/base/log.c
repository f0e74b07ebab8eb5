/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/log.h"

#include "frun/base/mono.h"
#include "log_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The mutable objects of the process. Access lines take the second one while it is in use. */
static struct log_channel events = {LOG_CHANNEL_INIT};
static struct log_channel access_lines = {LOG_CHANNEL_INIT, .is_access = true};

static _Atomic int level_now = LOG_LEVEL_INFO;
static _Atomic bool is_access_apart;
static _Atomic bool has_fields;
static _Atomic unsigned access_severity = LOG_SEVERITY_INFO;
static _Atomic unsigned access_facility;

static const struct {
    const char *name;
    unsigned severity;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_SEVERITY_ERROR},
    [LOG_LEVEL_WARNING] = {"warning", LOG_SEVERITY_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_SEVERITY_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* -- settings
 * --------------------------------------------------------------------------------------------------
 */

frun_err log_check(const struct log_settings *s, struct diag *d)
{
    frun_err err = log_sender_check(&s->events, d);
    return err || !s->is_access_apart ? err : log_sender_check(&s->access, d);
}

/* Both or none. */
static frun_err open_senders(const struct log_settings *s, struct log_sender **for_events,
                             struct log_sender **for_access, struct diag *d)
{
    frun_err err = log_sender_open(&s->events, for_events, d);
    if (!err && s->is_access_apart) {
        err = log_sender_open(&s->access, for_access, d);
    }
    if (err) {
        log_sender_free(*for_events);
        *for_events = NULL;
    }
    return err;
}

/* What whoever has a line to say looks at. */
static void apply(const struct log_settings *s)
{
    const struct log_where *w = s->is_access_apart ? &s->access : &s->events;
    atomic_store(&level_now, (int)s->level);
    atomic_store(&access_severity, s->access_severity);
    atomic_store(&access_facility, s->access.facility);
    atomic_store(&has_fields, w->target == LOG_TARGET_JOURNAL || w->target == LOG_TARGET_SYSLOG);
    atomic_store(&is_access_apart, s->is_access_apart);
}

frun_err log_start(const struct log_settings *s, struct diag *d)
{
    struct log_sender *for_events = NULL;
    struct log_sender *for_access = NULL;
    frun_err err = open_senders(s, &for_events, &for_access, d);
    err = err ? err : log_channel_start(&events, &for_events, d);
    if (!err && for_access) {
        err = log_channel_start(&access_lines, &for_access, d);
        if (err) {
            log_channel_stop(&events);
        }
    }
    log_sender_free(for_events);
    log_sender_free(for_access);
    if (!err) {
        apply(s);
    }
    return err;
}

void log_stop(void)
{
    /* First the one whose losses are told by the other. */
    atomic_store(&is_access_apart, false);
    log_channel_stop(&access_lines);
    log_channel_stop(&events);
}

/* The thread stays when it is not needed any more: joining it could take as long as its target. */
static frun_err change_access(struct log_sender **s, struct diag *d)
{
    if (log_channel_change(&access_lines, s) || !*s) {
        return FRUN_OK;
    }
    return log_channel_start(&access_lines, s, d);
}

frun_err log_change(const struct log_settings *s, struct diag *d)
{
    struct log_sender *for_events = NULL;
    struct log_sender *for_access = NULL;
    frun_err err = open_senders(s, &for_events, &for_access, d);
    if (err) {
        return err;
    }
    if (!s->is_access_apart) {
        atomic_store(&is_access_apart, false);
    }
    err = change_access(&for_access, d);
    if (!err) {
        (void)log_channel_change(&events, &for_events);
        apply(s);
    }
    log_sender_free(for_events);
    log_sender_free(for_access);
    return err;
}

void log_reopen(void)
{
    log_channel_reopen(&events);
    log_channel_reopen(&access_lines);
}

uint64_t log_lost(bool is_access)
{
    return atomic_load_explicit(is_access ? &access_lines.lost_in_all : &events.lost_in_all,
                                memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

enum log_level log_level_now(void)
{
    return (enum log_level)atomic_load_explicit(&level_now, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

/* -- lines
 * -----------------------------------------------------------------------------------------------------
 */

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

/* "scope: text", short enough for head and line end. */
static void compose(char out[LOG_LINE_BYTES], const char *scope, const char *text,
                    struct log_record *r)
{
    size_t len = 0;
    if (scope) {
        len = escape(out, LOG_LINE_BYTES / 4, scope);
        r->scope = span_make(out, len);
        memcpy(out + len, ": ", 2);
        len += 2;
    }
    len += escape(out + len, LOG_LINE_BYTES - LOG_HEAD_BYTES - 1 - len, text);
    r->text = span_make(out, len);
}

/* Nothing runs that could take the line: to stderr, in one piece. */
static void say_now(const struct log_record *r)
{
    char whole[LOG_HEAD_BYTES + LOG_ACCESS_BYTES + 1];
    size_t n = log_stream_head(r, log_stream_is_journal(), whole);
    if (r->text.n > 0) {
        memcpy(whole + n, r->text.p, r->text.n);
    }
    n += r->text.n;
    whole[n++] = '\n';
    log_stream_now(whole, n);
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
        struct log_record r = {.at_ms = mono_wall_ms(), .severity = levels[level].severity};
        compose(line, scope, text, &r);
        if (!log_channel_put(&events, &r)) {
            say_now(&r);
        }
    }
    errno = saved_errno;
}

bool log_access_has_fields(void)
{
    return atomic_load_explicit(&has_fields, memory_order_relaxed);
}

void log_access(uint64_t at_ms, struct span line, struct span fields)
{
    int saved_errno = errno;
    size_t room = LOG_ACCESS_BYTES - 1;
    const struct log_record r = {
        .at_ms = at_ms,
        .severity = atomic_load_explicit(&access_severity, memory_order_relaxed),
        .facility = atomic_load_explicit(&access_facility, memory_order_relaxed),
        .is_access = true,
        .text = span_head(line, line.n < room ? line.n : room),
        .fields = span_head(fields, fields.n <= LOG_FIELDS_BYTES ? fields.n : 0),
    };

    if (!(atomic_load_explicit(&is_access_apart, memory_order_acquire) &&
          log_channel_put(&access_lines, &r)) &&
        !log_channel_put(&events, &r)) {
        say_now(&r);
    }
    errno = saved_errno;
}
