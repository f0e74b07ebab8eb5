/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/body.h"

#include "chars_int.h"

#include <assert.h>

/* More digits than this are only zeros in front, or too much anyway. */
#define SIZE_MAX_DIGITS 16

/* Where in the chunk grammar the next octet stands; what holds in each state. */
enum {
    SIZE,      /* first digit of a chunk size */
    SIZE_MORE, /* further digits, ';' or CR */
    EXTENSION, /* inside an extension, until CR */
    SIZE_LF,   /* the LF of the size line */
    DATA,      /* left_bytes of content, at least 1 */
    DATA_CR,   /* CR behind the content */
    DATA_LF,   /* its LF */
    TRAILER,   /* first octet of a trailer line, or the CR of the empty line */
    NAME,      /* inside a trailer's name */
    VALUE,     /* inside a trailer's value */
    VALUE_LF,  /* the LF of a trailer line */
    LAST_LF,   /* the LF of the empty line */
    DONE       /* nothing of the body is to come */
};

void body_begin(struct body_reader *r, const struct head *h)
{
    *r = (struct body_reader){.framing = h->body, .state = SIZE};
    if (h->body == HEAD_BODY_LENGTH) {
        r->left_bytes = h->body_len_bytes;
    }
    if (h->body == HEAD_BODY_NONE || (h->body == HEAD_BODY_LENGTH && r->left_bytes == 0)) {
        r->state = DONE;
    } else if (h->body != HEAD_BODY_CHUNKED) {
        r->state = DATA;
    }
}

bool body_is_done(const struct body_reader *r)
{
    return r->state == DONE;
}

static frun_err size_digit(struct body_reader *r, char c)
{
    if (!chars_is(c, CHARS_HEX)) {
        return FRUN_E_SYNTAX;
    }
    if (++r->line_bytes > SIZE_MAX_DIGITS) {
        return FRUN_E_LIMIT;
    }
    r->left_bytes = r->left_bytes << 4 | chars_hex(c);
    r->state = SIZE_MORE;
    return r->left_bytes > INT64_MAX ? FRUN_E_LIMIT : FRUN_OK;
}

static frun_err expect(struct body_reader *r, char c, char want, int next)
{
    if (c != want) {
        return FRUN_E_SYNTAX;
    }
    r->state = next;
    return FRUN_OK;
}

static frun_err extra(struct body_reader *r)
{
    return ++r->extra_bytes > BODY_MAX_EXTRA_BYTES ? FRUN_E_LIMIT : FRUN_OK;
}

static frun_err step_size(struct body_reader *r, char c)
{
    switch (r->state) {
    case SIZE:
        r->left_bytes = 0;
        r->line_bytes = 0;
        return size_digit(r, c);
    case SIZE_MORE:
        if (c == '\r') {
            r->state = SIZE_LF;
            return FRUN_OK;
        }
        if (c == ';') {
            r->state = EXTENSION;
            return extra(r);
        }
        return size_digit(r, c);
    case EXTENSION:
        if (c == '\r') {
            r->state = SIZE_LF;
            return FRUN_OK;
        }
        return chars_is(c, CHARS_VALUE) ? extra(r) : FRUN_E_SYNTAX;
    default: /* SIZE_LF */
        return expect(r, c, '\n', r->left_bytes > 0 ? DATA : TRAILER);
    }
}

static frun_err step_trailer(struct body_reader *r, char c)
{
    switch (r->state) {
    case TRAILER:
        if (c == '\r') {
            r->state = LAST_LF;
            return FRUN_OK;
        }
        r->state = NAME;
        return chars_is(c, CHARS_TOKEN) ? extra(r) : FRUN_E_SYNTAX;
    case NAME:
        if (c == ':') {
            r->state = VALUE;
            return extra(r);
        }
        return chars_is(c, CHARS_TOKEN) ? extra(r) : FRUN_E_SYNTAX;
    case VALUE:
        if (c == '\r') {
            r->state = VALUE_LF;
            return FRUN_OK;
        }
        return chars_is(c, CHARS_VALUE) ? extra(r) : FRUN_E_SYNTAX;
    case VALUE_LF:
        return expect(r, c, '\n', TRAILER);
    default: /* LAST_LF */
        return expect(r, c, '\n', DONE);
    }
}

static frun_err step(struct body_reader *r, char c)
{
    if (r->state == DATA_CR) {
        return expect(r, c, '\r', DATA_LF);
    }
    if (r->state == DATA_LF) {
        return expect(r, c, '\n', SIZE);
    }
    return r->state < DATA ? step_size(r, c) : step_trailer(r, c);
}

frun_err body_look(struct body_reader *r, struct span in, size_t *framing, struct span *content)
{
    size_t used = 0;
    size_t n;

    while (r->state != DATA && r->state != DONE && used < in.n) {
        frun_err err = step(r, in.p[used++]);

        if (err) {
            return err;
        }
    }
    n = r->state == DATA ? in.n - used : 0;
    if (r->framing != HEAD_BODY_UNTIL_CLOSE && n > r->left_bytes) {
        n = (size_t)r->left_bytes;
    }
    *framing = used;
    *content = span_make(in.p ? in.p + used : NULL, n);
    return FRUN_OK;
}

void body_take(struct body_reader *r, size_t n)
{
    if (n == 0) {
        return;
    }
    assert(r->state == DATA);
    r->seen_bytes += n;
    if (r->framing == HEAD_BODY_UNTIL_CLOSE) {
        return;
    }
    assert(n <= r->left_bytes);
    r->left_bytes -= n;
    if (r->left_bytes == 0) {
        r->state = r->framing == HEAD_BODY_CHUNKED ? DATA_CR : DONE;
    }
}

frun_err body_end(struct body_reader *r)
{
    if (r->framing == HEAD_BODY_UNTIL_CLOSE) {
        r->state = DONE;
    }
    return r->state == DONE ? FRUN_OK : FRUN_E_SYNTAX;
}

size_t body_chunk_head(size_t n, char out[BODY_CHUNK_HEAD_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;

    for (size_t rest = n >> 4; rest > 0; rest >>= 4) {
        len++;
    }
    for (size_t i = len; i > 0; i--) {
        out[i - 1] = digits[n & 15];
        n >>= 4;
    }
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
