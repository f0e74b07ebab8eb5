/**
 * What the three files of the pooled client share: upstream.c owns connections and their states,
 * send.c writes requests, receive.c reads answers.
 *
 * A connection carries its call within itself, so a request on a kept connection allocates nothing.
 * Worker-local, as the loop it belongs to.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_UPSTREAM_UPSTREAM_INT_H
#define FRUN_UPSTREAM_UPSTREAM_INT_H

#include "frun/base/buf.h"
#include "frun/base/list.h"
#include "frun/http/body.h"
#include "frun/net/stream.h"
#include "frun/upstream/upstream.h"

/** Ceiling of a request head that we write, unless the owner's is larger. */
#define UPSTREAM_MAX_HEAD_BYTES 65536

/** What a head gets on its way through, at most. */
#define UPSTREAM_ADDED_BYTES 16384

/** Ceiling of the read buffer of a call; a head must fit. */
#define UPSTREAM_READ_BYTES 65536

/** Room kept free while dialling: the framing of one more chunk, and the end. */
#define UPSTREAM_FRAMING_BYTES 64

/** What a connection is doing; each state but DEAD is a list of the pool. */
enum conn_state {
    CONN_DIALLING, /**< a dial is under way and a call waits for it; no stream yet */
    CONN_BUSY, /**< a call; stream open, or ended (x.ended) while the owner held the rest back */
    CONN_IDLE, /**< stream open, no call, nothing waits to be sent, watched for its end */
    CONN_DEAD  /**< not begun, or closed and parked until the pass ends; in no list */
};

/** Lists there are. */
#define CONN_LISTS CONN_DEAD

/** What belongs to one call and is zeroed for the next. */
struct conn_call {
    enum head_body framing;   /**< of the request's body */
    uint64_t left_bytes;      /**< of a request with HEAD_BODY_LENGTH, still to come */
    uint64_t put_bytes;       /**< octets given to the stream */
    uint64_t moved_bytes;     /**< of them, gone to the socket when last looked */
    uint64_t write_at_ms;     /**< when the socket last took something, or had nothing to take */
    uint64_t read_at_ms;      /**< when the last octets of the answer came, or the owner let go */
    uint64_t sent_at_ms;      /**< when the request was complete and had not yet left */
    struct body_reader body;  /**< of the answer */
    size_t scanned_bytes;     /**< of the answer's head, looked at */
    unsigned interim_count;   /**< 1xx answers */
    frun_err fault;           /**< the owner broke the request, or memory: fails at end of pass */
    const char *fault_why;    /**< constant text for it */
    frun_err ended;           /**< how the connection ended while the rest was held back, or 0 */
    bool is_sent;             /**< the whole request was given to the stream */
    bool is_handed;           /**< some of it may have reached the socket */
    bool wants_room;          /**< on_room is owed */
    bool is_head_request;     /**< the answer has no body, whatever it says */
    bool may_keep;            /**< the request allows another one behind it */
    bool is_reused;           /**< the connection had carried another call before */
    bool has_answer_octets;   /**< the server has said something */
    bool is_head_seen;        /**< on_head was raised */
    bool is_timed;            /**< the deadline knows about the answer's body */
    bool is_held;             /**< the owner did not take all */
    bool is_resumed;          /**< resume() waits for the end of the pass */
    bool is_answer_keepalive; /**< the answer allows another request behind it */
};

/** One connection with the call it carries. */
struct conn {
    struct call call;      /**< for the owner */
    struct list node;      /**< in the list of its state */
    struct upstream *pool; /**< it belongs to */
    enum conn_state state; /**< changed by set_state() only */
    struct stream *stream; /**< owned; NULL while dialling */
    struct dial *dial;     /**< under way, or NULL */
    struct deadline timer; /**< call's timeouts, or keep-alive */
    struct later later;    /**< end of the pass: resume, faults, request left */
    struct buf out;        /**< request so far while dialling */
    struct buf in;         /**< octets of the answer not yet used */
    struct conn_call x;    /**< present call */
};

/** Octets of a cache line. */
#define UPSTREAM_LINE_BYTES 64

/** The pool. It is written for every call, and made by main, beside what all workers read: in lines
 * of its own. */
struct upstream {
    _Alignas(UPSTREAM_LINE_BYTES) struct loop *loop; /**< owner */
    struct offload *offload;                         /**< for the resolver */
    struct upstream_settings s;                      /**< as given, within our ceilings */
    struct list lists[CONN_LISTS];                   /**< connections by state */
    size_t counts[CONN_LISTS];                       /**< how many */
    struct buf head;                                 /**< scratch for request heads */
    struct buf spare_in; /**< an empty read buffer, lent to whoever reads */
    uint64_t check_ms;   /**< how often a request under way is looked at */
    bool is_closing;     /**< upstream_free() has begun */
};

/** Operations of a call that comes over a pooled connection. */
extern const struct call_ops upstream_call_ops;
/** Events of its stream. */
extern const struct stream_events upstream_stream_events;

/** The connection that carries @p c. @param c call @return it. Thread: owner. */
static inline struct conn *upstream_conn(struct call *c)
{
    return list_entry(c, struct conn, call);
}

/** Close at once; freed after the pass. @param c connection, any state but DEAD. Thread: owner. */
void upstream_conn_close(struct conn *c);

/** The call ended well: keep the connection if everything allows it, then raise on_end. @param c
 * busy. Thread: owner. */
void upstream_conn_end(struct conn *c);

/** The call failed: close, then raise on_fail. @param c dialling or busy @param err for the owner
 * @param why for a person; the origin's name is put in front unless dialling. Thread: owner. */
void upstream_conn_fail(struct conn *c, frun_err err, const char *why);

/** The connection ended under a busy call: fail, stale if it was kept and silent. @param c busy
 * @param err what the stream said. Thread: owner. */
void upstream_conn_lost(struct conn *c, frun_err err);

/** Prepare what a request's framing needs. @param c connection with zeroed call part @param req
 * head that was written. Thread: owner. */
void upstream_send_begin(struct conn *c, const struct head *req);

/** The dial succeeded: give the stream what was gathered. @param c busy. Thread: owner. */
void upstream_send_gathered(struct conn *c);

/** Octets of the request that wait for the socket. @param c busy @return count. Thread: owner. */
static inline size_t upstream_send_waiting(const struct conn *c)
{
    return stream_waiting(c->stream);
}

/** Use what has been read, or what was held back. @param c busy. Thread: owner. */
void upstream_receive_process(struct conn *c);

/** Empty the read buffer and lend it to the next reader. @param c connection. Thread: owner. */
void upstream_receive_release(struct conn *c);

#endif
