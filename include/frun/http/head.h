/**
 * Heads of HTTP requests and answers: one strict parser, one structure, one writer.
 *
 * The structure is the same whatever version brought it (HTTP/1.1 here, HTTP/2 from the h2 room).
 * The parser works on a complete head, does no I/O and no allocation, and refuses what RFC 9112
 * lets a recipient refuse: nothing is repaired.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_HEAD_H
#define FRUN_HTTP_HEAD_H

#include "frun/base/arena.h"
#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Fields a head can hold; the rebuilt head of a request with head_limits.max_fields fields always
 * fits. */
#define HEAD_MAX_FIELDS 128

/** Ceilings for a received head. */
struct head_limits {
    size_t max_head_bytes;   /**< whole head with its empty line; default 32 KiB */
    size_t max_target_bytes; /**< request target; default 8 KiB */
    size_t max_fields;       /**< fields, at most 100 */
};

/** The defaults of DESIGN section 7. */
#define HEAD_LIMITS_DEFAULT ((struct head_limits){32768, 8192, 100})

/** One field line. */
struct field {
    struct span name;  /**< as received; compare without case */
    struct span value; /**< without blanks at both ends */
};

/** How the body behind a head is framed. */
enum head_body {
    HEAD_BODY_NONE,       /**< there is none, or it is empty */
    HEAD_BODY_LENGTH,     /**< body_len_bytes octets */
    HEAD_BODY_CHUNKED,    /**< chunked in HTTP/1.1; simply of unknown length in HTTP/2 */
    HEAD_BODY_UNTIL_CLOSE /**< an answer that ends with its connection */
};

/** A request or an answer without its body. Spans borrow from the buffer that was parsed, or from
 * an arena. */
struct head {
    struct span method; /**< request: method, case-sensitive; empty in an answer */
    struct span
        target; /**< request: target as received; after policy_request() the origin-form to send */
    struct span authority; /**< request: Host value or :authority; written as Host, never among the
                              fields */
    unsigned status;       /**< answer: 100..599; 0 in a request */
    struct span reason;    /**< answer: reason phrase, may be empty */
    unsigned minor;        /**< HTTP/1.x: the x (0 or 1); 1 for HTTP/2 */
    bool is_http2;         /**< it came by HTTP/2 */
    enum head_body body;   /**< framing of the body */
    uint64_t body_len_bytes; /**< length for HEAD_BODY_LENGTH, else 0 */
    bool is_keep_alive;      /**< the connection may carry another message after this one */
    bool wants_continue;     /**< request: Expect: 100-continue */
    bool is_upgrade;         /**< the Connection field names "upgrade" */
    size_t n_fields;         /**< fields in use */
    struct field
        fields[HEAD_MAX_FIELDS]; /**< in order; without Host (request), with everything else */
};

/** Why a head was refused. */
struct head_fault {
    unsigned status; /**< the answer that fits: 400, 414, 431, 417, 501 or 505 */
    const char *why; /**< constant text for a person */
};

/**
 * Find the end of a head that may still be arriving.
 *
 * @param in       octets received so far
 * @param lim      ceilings
 * @param scanned  in and out: octets already looked at, 0 for a new head, so that slow senders cost
 * nothing extra
 * @param len      out: octets of the head with its empty line
 * @param fault    out: filled for SYNTAX and LIMIT
 * @return FRUN_OK; FRUN_E_AGAIN not complete; FRUN_E_SYNTAX a line ends without CR, or NUL, or CR
 * alone; FRUN_E_LIMIT too long Thread: any. Source: RFC 9112 2.2.
 */
frun_err head_cut(struct span in, const struct head_limits *lim, size_t *scanned, size_t *len,
                  struct head_fault *fault) FRUN_MUST_CHECK;

/**
 * Parse a complete request head.
 *
 * Refused: CL with TE, any transfer coding but exactly one "chunked" (also in HTTP/1.0), repeated,
 * signed, listed or overlong Content-Length, blanks before the colon, line folding, bare CR or LF,
 * NUL and other controls, empty or non-token names, missing or repeated Host (HTTP/1.1), bad Host
 * syntax, more than one blank in the request line, HTTP versions other than 1.0 and 1.1 (505), an
 * expectation other than 100-continue (417), more fields than allowed or Connection values of more
 * than 1024 octets (431), a longer target (414), CONNECT (501). One empty line in front is skipped.
 *
 * @param in       the head as head_cut() measured it; borrowed, must outlive @p out
 * @param lim      ceilings
 * @param out      filled on success, undefined otherwise
 * @param fault    out: filled on failure
 * @return FRUN_OK; FRUN_E_SYNTAX; FRUN_E_LIMIT
 * Thread: any. Source: RFC 9112 2-7, 9.3; RFC 9110 5, 7.2, 8.6, 10.1.1.
 */
frun_err head_parse_request(struct span in, const struct head_limits *lim, struct head *out,
                            struct head_fault *fault) FRUN_MUST_CHECK;

/**
 * Parse a complete answer head, as strictly as a request.
 *
 * @param in       the head as head_cut() measured it; borrowed
 * @param lim      ceilings; max_target_bytes is not used
 * @param method   method of the request it answers: HEAD, 1xx, 204 and 304 have no body
 * @param out      filled on success, undefined otherwise
 * @param fault    out: filled on failure; its status is always 502
 * @return FRUN_OK; FRUN_E_SYNTAX; FRUN_E_LIMIT
 * Thread: any. Source: RFC 9112 4, 6.3.
 */
frun_err head_parse_answer(struct span in, const struct head_limits *lim, struct span method,
                           struct head *out, struct head_fault *fault) FRUN_MUST_CHECK;

/** First field of that name. @param h head @param name without case @return it, or NULL. Thread:
 * any. */
const struct field *head_find(const struct head *h, struct span name);

/** Add a field. @param h head @param name borrowed @param value borrowed @return FRUN_OK;
 * FRUN_E_LIMIT head is full. Thread: owner. */
frun_err head_add(struct head *h, struct span name, struct span value) FRUN_MUST_CHECK;

/** Does the comma list @p value contain @p token, without case? @param value field value @param
 * token token @return true if so. Thread: any. Source: RFC 9110 5.6.1. */
bool head_list_has(struct span value, struct span token);

/** Is it a token? @param s text @return true if 1*tchar. Thread: any. Source: RFC 9110 5.6.2. */
bool head_is_token(struct span s);

/** May it stand as a request target: visible ASCII without '#'? @param s text @return true if so.
 * Thread: any. Source: RFC 9112 3.2. */
bool head_is_target(struct span s);

/** May it stand as a field value: no control but HTAB, no blank at either end? @param s text
 * @return true if so. Thread: any. Source: RFC 9110 5.5. */
bool head_is_value(struct span s);

/**
 * Write a request head as HTTP/1.1: request line, Host, fields, then the framing field that body
 * and body_len_bytes ask for, "Connection: close" unless is_keep_alive, the empty line.
 *
 * Fields named Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive, TE, Trailer,
 * Upgrade, Proxy-Connection in
 * @p h are not copied: framing is made, never passed on. A body length of 0 with method POST, PUT
 * or PATCH writes "Content-Length: 0".
 *
 * @param h        head
 * @param out      appended to
 * @return FRUN_OK; FRUN_E_LIMIT or FRUN_E_NOMEM, then nothing was appended
 * Thread: owner. Source: RFC 9112 3, 6; RFC 9110 7.6.1.
 */
frun_err head_write_request(const struct head *h, struct buf *out) FRUN_MUST_CHECK;

/**
 * Write an answer head as HTTP/1.1; the same rules.
 *
 * @param h        head; HEAD_BODY_UNTIL_CLOSE is written as chunked for a peer of minor 1, else as
 * Connection: close
 * @param method   method of the request it answers; for HEAD the Content-Length is written, though
 * no body follows
 * @param peer_minor minor version of the request: 0 never gets chunked and needs an explicit
 * keep-alive
 * @param out      appended to
 * @param is_chunked out: the body that follows must be written in chunks; false with
 * HEAD_BODY_CHUNKED or HEAD_BODY_UNTIL_CLOSE: only closing the connection ends it
 * @return FRUN_OK; FRUN_E_LIMIT or FRUN_E_NOMEM, then nothing was appended
 * Thread: owner. Source: RFC 9112 4, 6, 9.3.
 */
frun_err head_write_answer(const struct head *h, struct span method, unsigned peer_minor,
                           struct buf *out, bool *is_chunked) FRUN_MUST_CHECK;

#endif
