/**
 * Log lines and access lines, written by threads of their own so that a slow disk, a full journal
 * or a dead log server never stops a worker.
 *
 * Lines wait in one bounded queue for each target; what does not fit, and what a target refuses, is
 * counted, told once and counted again in the metrics. Access lines share the queue and the target
 * of the log lines unless they have a target of their own. The two queues are the process-wide
 * mutable objects of the house. Before log_start() and after log_stop() lines go to stderr at once.
 *
 *     log_line(), log_access() -> queue (log_channel.c) -> writer -> log_stream.c    file, stderr
 *                                                                    log_journal.c   journald
 *                                                                    log_syslog.c    RFC 5424
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_LOG_H
#define FRUN_BASE_LOG_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/** How much a line matters; higher is chattier. */
enum log_level {
    LOG_LEVEL_ERROR,   /**< somebody must act */
    LOG_LEVEL_WARNING, /**< somebody should look */
    LOG_LEVEL_INFO,    /**< a state changed */
    LOG_LEVEL_DEBUG    /**< for developers */
};

/** Kinds of targets. */
enum log_target {
    LOG_TARGET_STDERR,  /**< standard error, with time stamps; journald reads the priority when
                           systemd started us */
    LOG_TARGET_JOURNAL, /**< systemd's journal, with fields */
    LOG_TARGET_FILE,    /**< a file, reopened by log_reopen() */
    LOG_TARGET_SYSLOG   /**< a syslog daemon, by RFC 5424 */
};

/** Where lines go. */
struct log_where {
    enum log_target target; /**< kind */
    const char *name;       /**< file; socket of a journal, NULL: the system's; syslog's socket, or
                               host:port for UDP; NULL: /dev/log. Borrowed until the return */
    unsigned facility;      /**< of syslog and journal, 0..23. Source: RFC 5424 6.2.1. */
};

/** Settings of the log. */
struct log_settings {
    enum log_level level;     /**< lines above it are dropped */
    struct log_where events;  /**< where log lines go */
    struct log_where access;  /**< where access lines go, if is_access_apart; its facility is theirs
                                 in any case */
    bool is_access_apart;     /**< else they go where log lines go */
    unsigned access_severity; /**< of access lines, 0..7. Source: RFC 5424 6.2.1. */
};

/** Start writing. @param s settings @param d filled on failure @return FRUN_OK; FRUN_E_IO a file
 * cannot be opened; FRUN_E_NOMEM. Thread: main. */
frun_err log_start(const struct log_settings *s, struct diag *d) FRUN_MUST_CHECK;

/** Change over to other targets and another level; lines that are queued still go where they were
 * meant for.
 * @param s settings @param d filled on failure @return FRUN_OK; FRUN_E_IO a file cannot be opened,
 * nothing has changed; FRUN_E_NOMEM the same. Thread: main, while it runs. */
frun_err log_change(const struct log_settings *s, struct diag *d) FRUN_MUST_CHECK;

/** Could log_start() open its targets? Nothing is opened or made. @param s settings @param d filled
 * on failure @return FRUN_OK; FRUN_E_IO a file cannot be written. Thread: any. */
frun_err log_check(const struct log_settings *s, struct diag *d) FRUN_MUST_CHECK;

/** Write what is queued, stop writing, close files. Thread: main. */
void log_stop(void);

/** Open files again at the next line (after rotation). Thread: main. */
void log_reopen(void);

/** From now on drop lines above another level; log_start() sets it anew. @param level level.
 * Thread: any. */
void log_set_level(enum log_level level);

/** The level above which lines are dropped. @return level. Thread: any. */
enum log_level log_level_now(void);

/** A level's name in configuration and log. @param level level @return constant text. Thread: any.
 */
const char *log_level_name(enum log_level level);

/** Would a line of this level be written? @param level level @return true if so. Thread: any. */
bool log_wants(enum log_level level);

/**
 * Write one line.
 *
 * @param level    how much it matters
 * @param scope    whose line ("tunnel dc1-a#2", "request 4711"), NULL for the program itself
 * @param fmt      printf format: what, whose, why, and what happens next; no secret; control
 * characters are shown as \xNN Thread: any.
 */
void log_line(enum log_level level, const char *scope, const char *fmt, ...) FRUN_PRINTF(3, 4);

/** Does the target of access lines keep facts apart from the text? Where it does not, the trouble
 * of writing them down twice is saved. @return true for journal and syslog. Thread: any. */
bool log_access_has_fields(void);

/** Write one access line as it is; a line end is added. @param at_ms when it was, wall clock,
 * milliseconds since 1970 @param line text without line end @param fields the same facts one by
 * one, each "name=value" and a line end; names of a-z, 0-9 and '_', values printable ASCII; may be
 * absent. Thread: any. */
void log_access(uint64_t at_ms, struct span line, struct span fields);

/** Lines that were lost since the start: the queue was full, or the target refused them.
 * @param is_access of access lines with a target of their own, else of all others @return count.
 * Thread: any. */
uint64_t log_lost(bool is_access);

/** log_line() at a fixed level. */
#define log_error(scope, ...) log_line(LOG_LEVEL_ERROR, scope, __VA_ARGS__)
/** log_line() at a fixed level. */
#define log_warning(scope, ...) log_line(LOG_LEVEL_WARNING, scope, __VA_ARGS__)
/** log_line() at a fixed level. */
#define log_info(scope, ...) log_line(LOG_LEVEL_INFO, scope, __VA_ARGS__)
/** log_line() at a fixed level; the arguments are not evaluated unless debug is on. */
#define log_debug(scope, ...)                                                                      \
    do {                                                                                           \
        if (log_wants(LOG_LEVEL_DEBUG)) {                                                          \
            log_line(LOG_LEVEL_DEBUG, scope, __VA_ARGS__);                                         \
        }                                                                                          \
    } while (0)

#endif
