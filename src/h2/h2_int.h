/**
 * What the files of the h2 room share: the session, a stream, and who does what.
 *
 *     session.c    life of a session, octets in and out, public operations
 *     callbacks.c  what nghttp2 reports, turned into calls of stream.c
 *     stream.c     one stream: call or served request, its buffers, its owner
 *     fields.c     heads to header lists
 *     receive.c    header lists to heads
 *     rules.c      what makes a message malformed, in the tunnel
 *     window.c     larger windows on long paths
 *     keepalive.c  PING, round-trip time, drain steps, everything with a deadline, floods
 *
 * nghttp2 may not be entered from its own callbacks and owners may do anything inside their events,
 * so: octets are sent only by the session's `later`; a stream object lives until its owner has let
 * go AND nghttp2 has closed it; h2_free() inside an event only marks, and every callback then tells
 * nghttp2 to stop.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_H2_INT_H
#define FRUN_H2_INT_H

#include "frun/base/arena.h"
#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/list.h"
#include "frun/base/span.h"
#include "frun/base/text.h"
#include "frun/h2/session.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"
#include "frun/loop/loop.h"
#include "frun/net/stream.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What every peer must take, and the most that a frame can hold. Source: RFC 9113 4.2. */
#define H2_FRAME_MIN 16384U
#define H2_FRAME_MAX ((1U << 24) - 1)

/** Where a session stands. */
enum h2_state {
    H2_STATE_OPEN,      /**< frames go both ways */
    H2_STATE_FINISHING, /**< all streams done, what was put leaves, then the stream closes */
    H2_STATE_ENDED,     /**< no connection; complete answers still wait for slow owners */
    H2_STATE_DEAD       /**< on_closed was called, or h2_free() */
};

/** How far a server's drain has come. */
enum h2_drain_step {
    H2_DRAIN_NO,     /**< not draining by ourselves */
    H2_DRAIN_NOTICE, /**< announced; waiting for one round trip or a second */
    H2_DRAIN_GOAWAY  /**< GOAWAY with the true last stream is submitted */
};

/** Things a stream has to do at the end of the pass. */
enum {
    H2_DUE_OFFER = 1, /**< offer what waits, tell the end of the body */
    H2_DUE_ROOM = 2,  /**< tell that there is room */
    H2_DUE_FAIL = 4,  /**< memory was refused inside an operation: fail */
    H2_DUE_GONE = 8   /**< the peer has gone: tell the owner */
};

/** Stream objects a session keeps for the next streams. */
#define H2_MAX_SPARE 16

/** A body whose length was not told. */
#define H2_LENGTH_UNKNOWN UINT64_MAX

/** Why a request's head never came to its owner. */
#define H2_WHY_MALFORMED "the request's head breaks the rules of HTTP/2; its stream was reset"

/** The head under way; a session has one, because field blocks are not interleaved. */
struct h2_rx {
    struct h2_stream *stream; /**< whose; NULL: none is under way */
    struct h2_place place;    /**< where it is built: the owner's, or ours */
    struct head *own_head;    /**< ours, made when first needed */
    struct arena own_arena;   /**< its octets */
    size_t bytes;             /**< size of the list as RFC 9113 10.5.1 counts it */
    size_t n_cookies;         /**< Cookie fields */
    size_t cookie_bytes;      /**< octets of their values, with separators */
    struct span scheme;       /**< :scheme */
    unsigned seen;            /**< what h2_rules_field() has seen */
    struct head_fault fault;  /**< why the request is refused; status 0: it is fine */
    uint64_t len_bytes;       /**< value of Content-Length */
    uint64_t begun_ms;        /**< when HEADERS began */
    bool has_length;          /**< Content-Length was there */
};

/** A session; worker-local. */
struct h2 {
    struct loop *loop;          /**< its loop */
    struct stream *stream;      /**< owned; NULL from H2_STATE_ENDED on */
    nghttp2_session *ng;        /**< owned until freed */
    struct h2_settings set;     /**< copy, ceilings applied */
    const struct h2_events *ev; /**< the owner's */
    void *ctx;                  /**< for them */
    enum h2_state state;        /**< see there */
    enum h2_drain_step drain;   /**< see there */
    struct list streams;        /**< every h2_stream */
    struct list due;            /**< those with due bits */
    struct list over;           /**< closed and let go, freed when the end-of-pass work ends */
    struct list lingering;      /**< answered, but the peer still sends; the oldest first */
    size_t n_owned;             /**< streams that somebody holds: in flight */
    size_t n_open;              /**< streams that nghttp2 has not closed */
    struct list spare;          /**< stream objects for the next streams */
    size_t n_spare;             /**< their number */
    struct h2_rx rx;            /**< the head under way */
    struct later later;         /**< end of the pass: events, then frames */
    struct deadline tick;       /**< the next of all times below */
    struct buf first;           /**< octets that came with the upgrade */
    uint64_t last_rx_ms;        /**< when something was last read */
    uint64_t ping_at_ms;        /**< when the PING under way was asked for, 0: none */
    uint64_t ping_timeout_ms;   /**< how long it may take */
    uint64_t ping_sent_us;      /**< when it was written */
    uint64_t ping_serial;       /**< its content */
    uint64_t rtt_us;            /**< last measured */
    uint64_t path_us;           /**< round-trip time measured last, by any PING; 0: none yet */
    uint64_t path_least_us;     /**< shortest of the last minute or so */
    uint64_t path_least_ms;     /**< when that was */
    uint64_t path_ms;           /**< when it was asked for last, 0: never */
    uint64_t path_sent_us;      /**< when that PING was written */
    uint32_t window_hint;       /**< what a stream's window has grown to last */
    uint32_t grown_bytes;       /**< what the connection's window has grown by */
    uint64_t drain_at_ms;       /**< when the notice was sent */
    uint64_t finish_at_ms;      /**< when FINISHING began */
    uint64_t idle_since_ms;     /**< when the last stream ended */
    uint64_t stall_since_ms;    /**< when the peer last took something of what waits */
    uint64_t stall_put_bytes;   /**< put_bytes then */
    size_t stall_waiting_bytes; /**< octets that waited then */
    uint64_t flood_second;      /**< second that the next three count */
    uint64_t put_bytes;         /**< octets given to the stream so far */
    uint64_t flood_put_bytes;   /**< put_bytes when the second began */
    unsigned n_lists;           /**< header lists made; see h2_teaches() */
    unsigned window_frames;     /**< WINDOW_UPDATE frames in this second */
    char lib_text[96];          /**< last complaint of nghttp2 */
    unsigned flood_frames;      /**< frames of no use to us in this second */
    bool is_path_asked;         /**< no answer to it yet */
    bool is_freed;              /**< h2_free() was called: no event any more */
    bool is_draining;           /**< no new streams */
    bool is_drain_due;          /**< on_drain is to be called */
    bool is_drain_told;         /**< on_drain was called */
    bool is_capacity_due;       /**< on_capacity is to be called */
    bool is_reading;            /**< the stream was told to read */
    bool is_stopped;            /**< h2_break(): GOAWAY is on its way */
    bool is_running;            /**< inside the end-of-pass work */
    bool is_again;              /**< h2_wake() was called while running */
    frun_err end_err;           /**< what on_closed will say */
    char why[160];              /**< and in words */
};

/** One stream; worker-local. */
struct h2_stream {
    union {
        struct call call;     /**< client */
        struct served served; /**< server */
    } u;
    struct h2 *h;          /**< its session */
    int32_t id;            /**< stream id, 0: not yet known */
    struct list node;      /**< in h2.streams */
    struct list due_node;  /**< in h2.due */
    struct list late_node; /**< in h2.lingering */
    struct buf in;         /**< body received and not taken */
    struct buf out;        /**< body to send */
    uint32_t window;       /**< receive window that the peer was given */
    size_t round_bytes;    /**< taken since the round began */
    uint64_t round_ms;     /**< when that was */
    uint64_t in_ms;        /**< when the peer last sent of the body, or began to owe it */
    uint64_t out_ms;       /**< when the peer last took of ours, or something began to wait; when
                              lingering began */
    uint64_t left_bytes;   /**< octets of the peer's body still to come, H2_LENGTH_UNKNOWN */
    const char *gone_why;  /**< what on_gone will say, once the owner has the whole request */
    frun_err gone_err;     /**< FRUN_OK: the peer is there */
    unsigned due;          /**< H2_DUE_ bits */
    bool is_owned;         /**< somebody holds the handle */
    bool is_head_in;       /**< the head was delivered; fields that follow are trailers */
    bool is_accepted;      /**< bodies may be offered */
    bool is_in_ended;      /**< END_STREAM came */
    bool is_end_told;      /**< server: on_body_end was called */
    bool is_offering;      /**< inside on_body */
    bool is_head_out;      /**< client: HEADERS went out; server: the answer's was submitted */
    bool is_bodiless;      /**< what we send has no body: END_STREAM goes with the head */
    bool is_out_ended;     /**< the owner gave the last octet */
    bool is_end_out;       /**< END_STREAM went out */
    bool is_short;         /**< the owner was refused room and waits for on_room */
    bool is_continue_due;  /**< server: the peer waits for 100 */
    bool is_head_method;   /**< the request's method is HEAD */
    bool is_broken;        /**< malformed: reset by us, nothing of it counts any more */
    bool is_closed;        /**< nghttp2 has closed it */
    bool is_reset_by_peer; /**< RST_STREAM came */
    bool is_limit;         /**< reset by us: head too large */
};

/* session.c */

/** Send a PING that measures the path; nobody dies of it. @param h session. Thread: owner. */
void h2_path_ask(struct h2 *h);

/** Ask for the end-of-pass work. @param h session. Thread: owner. */
void h2_wake(struct h2 *h);

/** Keep the first reason why the session ends. @param h session @param err code @param why text.
 * Thread: owner. */
void h2_set_end(struct h2 *h, frun_err err, const char *why);

/** The connection is gone or useless: fail what cannot be completed, drop the stream. Never inside
 * an nghttp2 callback. @param h session @param err code @param why text. Thread: owner. */
void h2_end(struct h2 *h, frun_err err, const char *why);

/** Break off with GOAWAY; also from nghttp2's callbacks. @param h session @param ng_code its code
 * @param err for on_closed @param why text. Thread: owner. */
void h2_break(struct h2 *h, uint32_t ng_code, frun_err err, const char *why);

/** Is the protocol machine usable? @param h session @return true in H2_STATE_OPEN. Thread: owner.
 */
static inline bool h2_is_open(const struct h2 *h)
{
    return h->state == H2_STATE_OPEN && !h->is_freed;
}

/** The peer drains, or we do: no new streams, tell the owner once. @param h session. Thread: owner.
 */
void h2_mark_draining(struct h2 *h);

/* callbacks.c */

/** Fill nghttp2's table of callbacks. @param cb table. Thread: any. */
void h2_callbacks_set(nghttp2_session_callbacks *cb);

/* stream.c */

/** Make a stream object. @param h session @return it, in h->streams, or NULL. Thread: owner. */
struct h2_stream *h2_stream_new(struct h2 *h);

/** nghttp2 has closed it, or never will have opened it. @param s stream @param code error code.
 * Thread: owner. */
void h2_stream_closed(struct h2_stream *s, uint32_t code);

/** h2_free(): tell the owner whatever the state. @param s owned stream. Thread: owner. */
void h2_stream_drop(struct h2_stream *s);

/** The connection is gone: fail it unless its answer is complete. @param s stream @param err code
 * @param why text. Thread: owner. */
void h2_stream_lost(struct h2_stream *s, frun_err err, const char *why);

/** Body octets came. @param s stream @param data octets. Thread: owner. */
void h2_stream_data(struct h2_stream *s, struct span data);

/** END_STREAM came. @param s stream. Thread: owner. */
void h2_stream_in_end(struct h2_stream *s);

/** END_STREAM went out. @param s stream. Thread: owner. */
void h2_stream_out_end(struct h2_stream *s);

/** Make a served request of it; the session's owner shall take it on. @param s stream @return its
 * handle. Thread: owner. */
struct served *h2_stream_serve(struct h2_stream *s);

/** The owner has been told of it: refuse it if nobody took it on. @param s stream. Thread: owner.
 */
void h2_stream_check_taken(struct h2_stream *s);

/** Answer with a status alone. @param s stream without an answer @param status 4xx or 5xx. Thread:
 * owner. */
void h2_stream_answer_bare(struct h2_stream *s, unsigned status);

/** Memory was refused: reset it and tell its owner. @param s owned stream. Thread: owner. */
void h2_stream_fail(struct h2_stream *s);

/** Does its peer owe us something for too long? Then end it. @param s stream @param now_ms the
 * loop's time @return true if it was ended; its owner may have done anything. Thread: owner. */
bool h2_stream_check_time(struct h2_stream *s, uint64_t now_ms);

/** When the oldest lingering stream has lingered for long enough. @param h session @return loop's
 * time, milliseconds; UINT64_MAX: none lingers. Thread: owner. */
uint64_t h2_linger_end_ms(const struct h2 *h);

/** Reset those that have lingered for long enough. @param h session @param now_ms the loop's time.
 * Thread: owner. */
void h2_linger_check(struct h2 *h, uint64_t now_ms);

/** What the peer sends on it is malformed: reset it, and take nothing of it any more. @param s
 * stream. Thread: owner. */
void h2_stream_break(struct h2_stream *s);

/** Reset it; nothing happens if it is closed. @param s stream @param code error code. Thread:
 * owner. */
void h2_stream_reset(struct h2_stream *s, uint32_t code);

/** Do what is due. @param s stream. Thread: owner. */
void h2_stream_run_due(struct h2_stream *s);

/** Put due bits. @param s stream @param bits H2_DUE_. Thread: owner. */
void h2_stream_make_due(struct h2_stream *s, unsigned bits);

/** Take it out of its list and free it. @param s stream. Thread: owner. */
void h2_stream_destroy(struct h2_stream *s);

/** Announces the next frame's worth of the out buffer to nghttp2. */
ssize_t h2_stream_read_out(nghttp2_session *ng, int32_t id, uint8_t *p, size_t max, uint32_t *flags,
                           nghttp2_data_source *source, void *user);

/** Puts that DATA frame into the stream, header and octets. @param s stream or NULL @param hd the 9
 * octets of its header @param n octets behind it @return 0; NGHTTP2_ERR_WOULDBLOCK no room now;
 * NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE the body was dropped meanwhile: reset;
 * NGHTTP2_ERR_CALLBACK_FAILURE the connection takes nothing any more. Thread: owner. */
int h2_stream_put_data(struct h2_stream *s, const uint8_t *hd, size_t n);

/* window.c */

/** A stream begins with the window of the settings. @param s new stream. Thread: owner. */
void h2_window_begin(struct h2_stream *s);

/** Its owner has taken octets of its body: would a larger window speed it up? @param s stream
 * @param n octets. Thread: owner, also from nghttp2's callbacks. */
void h2_window_taken(struct h2_stream *s, size_t n);

/** Give back what its window has grown by. @param s stream; nothing happens the second time.
 * Thread: owner, not from nghttp2's callbacks. */
void h2_window_end(struct h2_stream *s);

/** A PING was answered. @param h session @param us round trip, microseconds. Thread: owner. */
void h2_path_measured(struct h2 *h, uint64_t us);

/* fields.c */

/** Fields that a list of ours adds to those of a head. */
#define H2_EXTRA_FIELDS 6

/** A header list to send; its octets borrow from the head and from here. */
struct h2_list {
    nghttp2_nv nv[HEAD_MAX_FIELDS + H2_EXTRA_FIELDS]; /**< the list */
    size_t n;                                         /**< entries */
    char status[4];                                   /**< :status as text */
    char length[TEXT_NUMBER_BYTES];                   /**< content-length as text */
};

/** List for a request. @param h head @param is_teaching see h2_teaches() @param out filled. Thread:
 * owner. */
void h2_list_request(const struct head *h, bool is_teaching, struct h2_list *out);

/** List for an answer. @param h head @param is_head_method it answers HEAD @param is_teaching see
 * h2_teaches() @param out filled. Thread: owner. */
void h2_list_answer(const struct head *h, bool is_head_method, bool is_teaching,
                    struct h2_list *out);

/** Lists of which one lets fields with ever new values into the compression's table. */
#define H2_TEACH_EVERY 256

/** May the next list bring fields into the table whose values will not come again? Then their names
 * are there, and cost the following lists one octet; after so many lists they may have been pushed
 * out. @param h session @return true for one list of H2_TEACH_EVERY. Thread: owner. */
static inline bool h2_teaches(struct h2 *h)
{
    return h->n_lists++ % H2_TEACH_EVERY == 0;
}

/** Does an answer carry no body, whatever its head says? @param h head @param is_head_method it
 * answers HEAD @return true if so. Thread: any. */
bool h2_is_bodiless(const struct head *h, bool is_head_method);

/** May a message of that kind have no body? @param status of the answer @param is_head_method it
 * answers HEAD @return true if it never has one. Thread: any. Source: RFC 9110 6.4.1. */
bool h2_never_has_body(unsigned status, bool is_head_method);

/* receive.c */

/** A field list begins (head, 1xx or trailers). @param s stream @return FRUN_OK; FRUN_E_NOMEM.
 * Thread: owner. */
frun_err h2_rx_begin(struct h2_stream *s) FRUN_MUST_CHECK;

/** One field of it. @param s stream @param name lower-case @param value value @return FRUN_OK; any
 * other: reset the stream. Thread: owner. */
frun_err h2_rx_field(struct h2_stream *s, struct span name, struct span value) FRUN_MUST_CHECK;

/** A field of it breaks the grammar. @param s stream @return FRUN_OK: the request will be answered;
 * FRUN_E_SYNTAX: reset the stream. Thread: owner. */
frun_err h2_rx_bad_field(struct h2_stream *s) FRUN_MUST_CHECK;

/** The list is complete: deliver it. @param s stream @param is_end END_STREAM came with it. Thread:
 * owner. */
void h2_rx_complete(struct h2_stream *s, bool is_end);

/** The head under way, if there is one, will never be complete. @param h session @param why text.
 * Thread: owner. */
void h2_rx_lost(struct h2 *h, const char *why);

/** Free what it holds. @param rx of a session. Thread: owner. */
void h2_rx_done(struct h2_rx *rx);

/* rules.c */

/** Are messages judged by rules.c? In the tunnel, whose peer is known; nghttp2's own checks, which
 * look at each octet of each field, cost 5 % of a small push there. A stranger's are left to
 * nghttp2, and checked further in receive.c. @param h session @return true if so. Thread: owner. */
static inline bool h2_has_own_rules(const struct h2 *h)
{
    return !h->set.is_stranger;
}

/** May the field stand in a head, at this place? @param seen what the list has had, 0 at first
 * @param is_request of a request, else of an answer @param name name @param value value @return
 * false: the message is malformed. Thread: any. Source: RFC 9113 8.2, 8.3. */
bool h2_rules_field(unsigned *seen, bool is_request, struct span name, struct span value);

/** A head is complete: is it sound, and how long is its body to be? @param s stream @param rx its
 * head, not yet finished @param is_end nothing follows @return false: the message is malformed.
 * Thread: owner. Source: RFC 9113 8.1, 8.1.1. */
bool h2_rules_head(struct h2_stream *s, struct h2_rx *rx, bool is_end);

/** Octets of a body came. @param s stream @param n octets @return false: the message is malformed.
 * Thread: owner. Source: RFC 9113 8.1.1. */
bool h2_rules_body(struct h2_stream *s, size_t n);

/** The message ends here: has all come that was told? @param s stream @return false: the message
 * is malformed. Thread: owner. Source: RFC 9113 8.1.1. */
bool h2_rules_end(const struct h2_stream *s);

/* keepalive.c */

/** Set the deadline to the next time that matters. @param h session. Thread: owner. */
void h2_tick_arm(struct h2 *h);

/** The deadline fired. @param d h2.tick. Thread: owner. */
void h2_tick(struct deadline *d);

/** A PING answer came. @param h session @param data its 8 octets. Thread: owner. */
void h2_ping_answered(struct h2 *h, const uint8_t *data);

/** A PING went out. @param h session @param data its 8 octets. Thread: owner. */
void h2_ping_written(struct h2 *h, const uint8_t *data);

/** See to it that the deadline comes soon. @param h session @param in_ms from now, 1.. Thread:
 * owner. */
void h2_tick_soon(struct h2 *h, uint64_t in_ms);

/** How often streams are looked at, if their peers can owe us something. @param h session @return
 * milliseconds; 0: never. Thread: owner. */
uint64_t h2_look_ms(const struct h2 *h);

/** Count a WINDOW_UPDATE of a stranger. @param h session @return false when there are more than
 * what we sent can call for. Thread: owner. */
bool h2_window_flood_ok(struct h2 *h);

/** Count a frame that costs the peer little and brings us nothing. @param h session @return false
 * when there are too many. Thread: owner. */
bool h2_flood_ok(struct h2 *h);

#endif
