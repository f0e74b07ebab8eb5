/**
 * Log lines and access lines, written by a thread of their own so that a slow disk never stops a
 * worker.
 *
 * Lines wait in one bounded queue; what does not fit is counted and the count is logged. The sink
 * is the one process-wide mutable object of the house. Before log_start() and after log_stop()
 * lines go to stderr at once.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_LOG_H
#define FRUN_BASE_LOG_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>

/** How much a line matters; higher is chattier. */
enum log_level {
    LOG_LEVEL_ERROR,   /**< somebody must act */
    LOG_LEVEL_WARNING, /**< somebody should look */
    LOG_LEVEL_INFO,    /**< a state changed */
    LOG_LEVEL_DEBUG    /**< for developers */
};

/** Where lines go. */
enum log_target {
    LOG_TARGET_STDERR,  /**< standard error, with time stamps; journald reads the priority when
                           systemd started us */
    LOG_TARGET_JOURNAL, /**< systemd's journal */
    LOG_TARGET_FILE     /**< a file, reopened by log_reopen() */
};

/** Settings of the sink. */
struct log_settings {
    enum log_level level;   /**< lines above it are dropped */
    enum log_target target; /**< where to */
    const char *path;       /**< file for LOG_TARGET_FILE, borrowed until the return */
};

/** Start the writer. @param s settings @param d filled on failure @return FRUN_OK; FRUN_E_IO file
 * cannot be opened; FRUN_E_UNSUPPORTED no journal in this build; FRUN_E_NOMEM. Thread: main. */
frun_err log_start(const struct log_settings *s, struct diag *d) FRUN_MUST_CHECK;

/** Change over to another target and level; lines that are queued still go where they were meant
 * for.
 * @param s settings @param d filled on failure @return FRUN_OK; FRUN_E_IO, FRUN_E_UNSUPPORTED the
 * target cannot be opened, nothing has changed; FRUN_E_NOMEM. Thread: main, while it runs. */
frun_err log_change(const struct log_settings *s, struct diag *d) FRUN_MUST_CHECK;

/** Could log_start() open its target? Nothing is opened or made. @param s settings @param d filled
 * on failure @return FRUN_OK; FRUN_E_IO the file cannot be written; FRUN_E_UNSUPPORTED no journal
 * in this build. Thread: any. */
frun_err log_check(const struct log_settings *s, struct diag *d) FRUN_MUST_CHECK;

/** Write what is queued, stop the writer, close the file. Thread: main. */
void log_stop(void);

/** Open the file again at the next line (after rotation). Thread: main. */
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

/** Write one access line as it is; a line end is added. @param line text without line end. Thread:
 * any. */
void log_access(struct span line);

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
