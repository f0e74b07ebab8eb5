/**
 * What the files of the log share.
 *
 *     log.c           levels, composing a line, which queue it goes to
 *     log_channel.c   one queue with its writer: records in, whole batches out
 *     log_sender.c    a target, whatever its kind
 *     log_stream.c    file and standard error
 *     log_datagram.c  what journal and syslog share: sockets that come and go
 *     log_journal.c   journald's own protocol
 *     log_syslog.c    RFC 5424
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_LOG_INT_H
#define FRUN_BASE_LOG_INT_H

#include "frun/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of the longest log line, all in all. */
#define LOG_LINE_BYTES ((size_t)4 << 10)

/** Octets of the longest access line; a longer one is cut. */
#define LOG_ACCESS_BYTES ((size_t)16 << 10)

/** Octets of the longest fields of an access line; longer ones are left out. */
#define LOG_FIELDS_BYTES ((size_t)16 << 10)

/** How long the end waits for a target that takes nothing, and one wait while running. */
#define LOG_STUCK_MS 1000

/** Severities of RFC 5424 6.2.1 that log levels have. */
enum { LOG_SEVERITY_ERROR = 3, LOG_SEVERITY_WARNING = 4, LOG_SEVERITY_INFO = 6 };

/** A line between whoever said it and its target. */
struct log_record {
    uint64_t at_ms;     /**< wall clock, since 1970 */
    unsigned severity;  /**< 0..7 */
    unsigned facility;  /**< of access lines, 0..23; all others have their target's */
    bool is_access;     /**< text stands alone, also without time */
    struct span text;   /**< no line end, no control characters */
    struct span scope;  /**< beginning of text, or empty */
    struct span fields; /**< as log_access() has them, or empty */
};

/** Take the next record off a batch. @param batch records; out: those behind it @param out filled
 * with views into the batch @return false: there was none. */
bool log_record_next(struct span *batch, struct log_record *out);

/** Cut the first field off. @param fields as log_record has them; out: those behind it @param name
 * out @param value out @return false: there was none. */
bool log_field_next(struct span *fields, struct span *name, struct span *value);

struct log_channel;
struct log_sender;

/** What a kind of target does. */
struct log_sender_ops {
    /** Send records; what is not sent is lost. The number of those; errno in sender.error. */
    unsigned long long (*send)(struct log_sender *s, struct span batch);
    /** Open it again, or NULL. */
    void (*reopen)(struct log_sender *s);
};

/** A target; the first member of what its kind needs besides. Owned by the writer. */
struct log_sender {
    const struct log_sender_ops *ops; /**< its kind's */
    struct log_channel *channel;      /**< whose it is, NULL: nobody's yet */
    struct log_where where;           /**< name is its own copy */
    int fd;                           /**< or -1 */
    int error;                        /**< why the last line was lost, errno; 0: not told */
};

/** Open a target. @param w where @param out sender; log_sender_free() it @param d filled on failure
 * @return FRUN_OK; FRUN_E_IO; FRUN_E_NOMEM. */
frun_err log_sender_open(const struct log_where *w, struct log_sender **out,
                         struct diag *d) FRUN_MUST_CHECK;

/** Could it be opened? @param w where @param d filled on failure @return FRUN_OK; FRUN_E_IO. */
frun_err log_sender_check(const struct log_where *w, struct diag *d) FRUN_MUST_CHECK;

/** Name a target for people. @param w where @param out text @param room its size. */
void log_sender_name(const struct log_where *w, char *out, size_t room);

/** Close and free. @param s sender or NULL. */
void log_sender_free(struct log_sender *s);

/** Open file or standard error. @param w where @param out sender @param d filled on failure @return
 * as log_sender_open(). */
frun_err log_stream_open(const struct log_where *w, struct log_sender **out,
                         struct diag *d) FRUN_MUST_CHECK;

/** Could the file be opened? @param path file @param d filled on failure @return FRUN_OK;
 * FRUN_E_IO. */
frun_err log_stream_check(const char *path, struct diag *d) FRUN_MUST_CHECK;

/** Is standard error the stream that journald gave us? @return true if so. Source: systemd.exec(5)
 * JOURNAL_STREAM. */
bool log_stream_is_journal(void);

/** Octets that log_stream_head() writes at most. */
#define LOG_HEAD_BYTES 40

/** What stands before a record's text in a stream: "<N>", or time and level, or nothing.
 * @param r record @param has_prefix "<N>" @param out LOG_HEAD_BYTES octets @return octets written.
 */
size_t log_stream_head(const struct log_record *r, bool has_prefix, char *out);

/** write(2) to standard error until all is out or it refuses: there is nobody to tell. @param p
 * octets @param n count. */
void log_stream_now(const char *p, size_t n);

/** Datagrams that are sent by one system call. */
#define LOG_DATAGRAM_BATCH 32

/** Octets of all of them. */
#define LOG_DATAGRAM_BYTES ((size_t)96 << 10)

/** A target that takes one datagram for each line. */
struct log_datagram {
    struct log_sender base; /**< what the channel sees */
    /** Write a record as the target wants it, at most room octets; octets written. */
    size_t (*write)(const struct log_datagram *g, const struct log_record *r, char *out,
                    size_t room);
    size_t max_bytes;                /**< of one */
    const char *path;                /**< UNIX socket, or NULL: UDP */
    char host[256];                  /**< UDP: name or address */
    char port[8];                    /**< UDP */
    bool is_stuck;                   /**< it takes nothing: not waited for again */
    uint64_t retry_at_ms;            /**< not connected again before, monotonic */
    char identity[336];              /**< syslog: host, program, process */
    size_t n;                        /**< datagrams in buf */
    size_t used;                     /**< octets in it */
    size_t ends[LOG_DATAGRAM_BATCH]; /**< where each one ends */
    char buf[LOG_DATAGRAM_BYTES];    /**< datagrams, one behind the other */
};

/** Make one; it connects when the first line comes, again and again if it has to. @param w where,
 * name resolved @param out zeroed but for what datagrams share @return FRUN_OK; FRUN_E_NOMEM. */
frun_err log_datagram_new(const struct log_where *w, struct log_datagram **out) FRUN_MUST_CHECK;

/** A record's facility. @param g its target @param r record @return 0..23. */
static inline unsigned log_facility(const struct log_datagram *g, const struct log_record *r)
{
    return r->is_access ? r->facility : g->base.where.facility;
}

/** Open the journal. @param w where @param out sender @param d filled on failure @return FRUN_OK;
 * FRUN_E_NOMEM. */
frun_err log_journal_open(const struct log_where *w, struct log_sender **out,
                          struct diag *d) FRUN_MUST_CHECK;

/** Open syslog. @param w where @param out sender @param d filled on failure @return FRUN_OK;
 * FRUN_E_NOMEM. */
frun_err log_syslog_open(const struct log_where *w, struct log_sender **out,
                         struct diag *d) FRUN_MUST_CHECK;

/** One queue with its writer. Zero it with LOG_CHANNEL_INIT. */
struct log_channel {
    pthread_mutex_t lock;         /**< of everything up to the writer's own */
    pthread_cond_t wake;          /**< the writer waits on it */
    bool is_access;               /**< losses are told in the log; else they stand in the lines */
    bool is_running;              /**< lines are queued */
    bool is_stopping;             /**< the writer ends once the queue is empty */
    bool is_reopen_wanted;        /**< the file was rotated away */
    bool is_urgent;               /**< a line is queued that must not wait for others */
    bool is_asleep;               /**< the writer waits for the first line, however long */
    bool is_change_wanted;        /**< next is to be used from change_at on */
    struct log_sender *next;      /**< with is_change_wanted; NULL: nowhere */
    size_t change_at;             /**< octets of half that are the present target's */
    char *half;                   /**< being filled, LOG_HALF_BYTES */
    size_t half_len;              /**< octets in it */
    unsigned long long lost;      /**< lines refused since the last report */
    pthread_t writer;             /**< its thread */
    _Atomic uint64_t lost_in_all; /**< for the metrics */
    char *other;                  /**< the writer's own: being written */
    struct log_sender *now;       /**< the writer's own: where to; NULL: nowhere */
    unsigned long long untold;    /**< the writer's own: lost lines that nobody was told */
    uint64_t lost_at_ms;          /**< the writer's own: when the last one was lost, monotonic */
    bool is_refusing;             /**< the writer's own: that lines are lost has been told */
};

/** A channel at rest. */
#define LOG_CHANNEL_INIT .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER

/** Start the writer. @param c channel at rest @param s target, taken on success, may be NULL @param
 * d filled on failure @return FRUN_OK; FRUN_E_NOMEM. */
frun_err log_channel_start(struct log_channel *c, struct log_sender **s,
                           struct diag *d) FRUN_MUST_CHECK;

/** Write what is queued and end. @param c channel, may be at rest. */
void log_channel_stop(struct log_channel *c);

/** Change over. @param c channel @param s target, taken; NULL: nowhere @return false: it is at
 * rest, nothing was taken. */
bool log_channel_change(struct log_channel *c, struct log_sender **s);

/** Open the target again. @param c channel. */
void log_channel_reopen(struct log_channel *c);

/** Queue a record. @param c channel @param r record; one that is no access line is urgent @return
 * false: the channel is at rest. */
bool log_channel_put(struct log_channel *c, const struct log_record *r);

/** Does log_channel_stop() wait? @param c channel, or NULL @return true if so. */
bool log_channel_is_stopping(struct log_channel *c);

#endif
