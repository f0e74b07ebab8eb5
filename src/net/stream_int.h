/**
 * The inside of a stream: state shared by stream.c (what every stream does), and the two operation
 * tables, stream_plain.c and stream_tls.c.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_STREAM_INT_H
#define FRUN_NET_STREAM_INT_H

#include "frun/base/buf.h"
#include "frun/net/stream.h"
#include "tls_int.h"

/** Hard ceiling of what may wait in one stream; reaching it kills the stream. */
#define STREAM_MAX_BYTES ((size_t)16 * 1024 * 1024)

/** Plaintext of one full TLS record (RFC 8446 5.1). */
#define STREAM_RECORD_BYTES 16384

/** Longest text of stream_why(). */
#define STREAM_WHY_BYTES 320

/** Life of a stream; stream_set_state() does every transition. */
enum stream_state {
    STREAM_HANDSHAKE, /**< not ready; what is put waits */
    STREAM_OPEN,      /**< ready */
    STREAM_FINISHING, /**< stream_finish() was called: what waits is being sent, then our end */
    STREAM_LINGERING, /**< everything sent and our end too: what still comes is dropped */
    STREAM_DEAD,      /**< socket closed; on_closed was called or will be at the end of the pass */
    STREAM_FREED      /**< stream_free() was called; memory goes after the pass */
};

/** What differs between plain and TLS. */
struct stream_ops {
    /** One step of the handshake. FRUN_OK done; FRUN_E_AGAIN; else dead. */
    frun_err (*handshake)(struct stream *s);
    /** As stream_read(), on a stream that is alive and not at its end. */
    frun_err (*read)(struct stream *s, void *p, size_t max, size_t *n);
    /** Take octets for sending. FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS. */
    frun_err (*put)(struct stream *s, struct span data);
    /** Bring everything taken into s->out. FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS. */
    frun_err (*seal)(struct stream *s);
    /** Add our end to s->out. */
    void (*end)(struct stream *s);
    /** Nobody reads and the socket is readable: is the peer gone? FRUN_OK no; FRUN_E_EOF ended;
     * FRUN_E_CLOSED; FRUN_E_TLS. */
    frun_err (*probe)(struct stream *s);
    /** The socket refused to send: what did the peer say last? FRUN_E_TLS if it said something,
     * else
     * @p err. */
    frun_err (*last_words)(struct stream *s, frun_err err);
};

/** A stream. */
struct stream {
    struct io io;                   /**< the socket in its loop */
    struct loop *loop;              /**< NULL while detached */
    const struct stream_ops *ops;   /**< plain or TLS */
    const struct stream_events *ev; /**< who listens */
    void *ctx;                      /**< for ev */
    bool *is_gone; /**< set to true when the stream is freed or detached inside an event: after a
                      detach another thread may own it, so that not even its state may be read */
    struct later flush;      /**< work at the end of the pass */
    struct deadline timer;   /**< handshake, sending the rest, lingering */
    struct buf out;          /**< octets for the socket */
    struct buf stage;        /**< TLS: plaintext not yet in a record */
    SSL *ssl;                /**< TLS */
    struct tls_ctx *tls;     /**< counted; NULL: plain */
    char *name;              /**< client: name the certificate must carry; NULL: none */
    char *why;               /**< text of stream_why() or NULL */
    struct addr peer;        /**< its address */
    uint64_t handshake_ms;   /**< ceiling of the handshake */
    int fd;                  /**< ours until dead */
    int sys_errno;           /**< errno of the socket call that failed last, 0: none */
    frun_err closed;         /**< what on_closed is to say */
    enum stream_state state; /**< stream_set_state() */
    bool is_client;          /**< role */
    bool is_reading;         /**< on_readable is wanted */
    bool is_drained;         /**< the socket gave less than asked: asking again would say EAGAIN */
    bool may_have_more;      /**< TLS holds octets that no event of the socket announces */
    bool is_eof;             /**< the peer ended in good order */
    bool is_fd_eof;          /**< the socket has ended */
    bool is_mute;            /**< the socket sends no more; what the peer said before is read */
    bool is_sealing;         /**< a record is being made: whoever asked for it sends it */
    bool is_short;           /**< on_room is owed */
    bool is_finish_asked;    /**< stream_finish() during the handshake */
    bool is_ticket_owed;     /**< TLS 1.3: a ticket goes out with the first octets */
    bool is_closed_told;     /**< on_closed was called */
    unsigned long sends_count; /**< send(2) calls: shows the tests that octets are gathered */
};

/** Operation table of a plain stream. */
extern const struct stream_ops stream_plain_ops;
/** Operation table of a TLS stream. */
extern const struct stream_ops stream_tls_ops;

/** Make the TLS half. @param s stream with tls, is_client and fd set @param server_name or NULL
 * @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS. Thread: owner. */
frun_err stream_tls_open(struct stream *s, const char *server_name) FRUN_MUST_CHECK;

/** recv(2) that remembers drained and ended. @param s stream @param p room @param max octets @param
 * n out: octets @return FRUN_OK; FRUN_E_AGAIN; FRUN_E_EOF; FRUN_E_CLOSED; FRUN_E_IO. Thread: owner.
 */
frun_err stream_recv(struct stream *s, void *p, size_t max, size_t *n) FRUN_MUST_CHECK;

/** What a failed socket call means. @param number errno @return FRUN_E_CLOSED the peer went away;
 * FRUN_E_IO. Thread: any. */
frun_err stream_sys_err(int number);

#endif
