/**
 * Bodies of HTTP/1.1 messages: where a body ends and what of the received octets belongs to it.
 *
 * The reader is told the framing by the head and is then fed; it hands out the content without
 * copying. Trailer fields are checked and dropped, chunk extensions are skipped (bounded). No I/O,
 * no allocation.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_BODY_H
#define FRUN_HTTP_BODY_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets that chunk extensions and trailer fields of one body may have in all. */
#define BODY_MAX_EXTRA_BYTES 16384

/** Octets of the longest chunk-size line that body_chunk_head() writes. */
#define BODY_CHUNK_HEAD_BYTES 20

/** Reader of one body; fields are private. */
struct body_reader {
    enum head_body framing; /**< as the head said */
    int state;              /**< inside the chunk grammar */
    uint64_t left_bytes;    /**< of the body, or of this chunk */
    uint64_t seen_bytes;    /**< content octets handed out so far */
    size_t extra_bytes;     /**< octets of extensions and trailers so far */
    size_t line_bytes;      /**< octets of the line being read */
};

/** Begin a body. @param r reader @param h head it follows. Thread: owner. */
void body_begin(struct body_reader *r, const struct head *h);

/** Has the body ended? @param r reader @return true if nothing of it is to come. Thread: any. */
bool body_is_done(const struct body_reader *r);

/**
 * Look at received octets: hand out the next run of content, or swallow framing.
 *
 * Content is offered, not taken: the caller calls body_take() with what it could use, and offers
 * the rest again.
 *
 * @param r        reader
 * @param in       octets received and not yet used
 * @param framing  out: octets at the front of @p in that were framing and are used up (drop them
 * first)
 * @param content  out: content behind them, possibly empty
 * @return FRUN_OK look at the results, and at body_is_done(); FRUN_E_SYNTAX bad chunk size, missing
 * CRLF, bare LF, bad trailer; FRUN_E_LIMIT extensions or trailers too long, or chunk size above
 * 2^63-1 Thread: owner. Source: RFC 9112 7.1.
 */
frun_err body_look(struct body_reader *r, struct span in, size_t *framing,
                   struct span *content) FRUN_MUST_CHECK;

/** Use @p n octets of the content last offered. @param r reader @param n octets. Thread: owner. */
void body_take(struct body_reader *r, size_t n);

/** The connection ended. @param r reader @return FRUN_OK the body is complete; FRUN_E_SYNTAX it was
 * cut off. Thread: owner. Source: RFC 9112 8. */
frun_err body_end(struct body_reader *r) FRUN_MUST_CHECK;

/** Write the line before a chunk of @p n octets, n >= 1 (after its octets CRLF must follow). @param
 * n octets @param out text @return its length. Thread: any. */
size_t body_chunk_head(size_t n, char out[BODY_CHUNK_HEAD_BYTES]);

/** What ends a chunked body without trailers. */
#define BODY_CHUNK_LAST SPAN_LIT("0\r\n\r\n")

#endif
