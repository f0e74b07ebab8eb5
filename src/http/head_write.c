/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/head.h"

#include "chars_int.h"
#include "frun/base/text.h"

/* First line, framing and Connection without the texts that vary in length. */
#define FIXED_MAX_BYTES 160

static bool is_framing_name(struct span name)
{
    switch (name.n) {
    case 2:
        return span_eq_nocase(name, SPAN_LIT("te"));
    case 4:
        return span_eq_nocase(name, SPAN_LIT("host"));
    case 7:
        return span_eq_nocase(name, SPAN_LIT("trailer")) ||
               span_eq_nocase(name, SPAN_LIT("upgrade"));
    case 10:
        return span_eq_nocase(name, SPAN_LIT("connection")) ||
               span_eq_nocase(name, SPAN_LIT("keep-alive"));
    case 14:
        return span_eq_nocase(name, SPAN_LIT("content-length"));
    case 16:
        return span_eq_nocase(name, SPAN_LIT("proxy-connection"));
    case 17:
        return span_eq_nocase(name, SPAN_LIT("transfer-encoding"));
    default:
        return false;
    }
}

static inline char *put(char *at, struct span s)
{
    if (s.n > 0) {
        memcpy(at, s.p, s.n);
    }
    return at + s.n;
}

static char *put_length(char *at, uint64_t n)
{
    at = put(at, SPAN_LIT("Content-Length: "));
    at += text_number(n, at);
    return put(at, SPAN_LIT("\r\n"));
}

static size_t fields_size(const struct head *h)
{
    size_t sum = 0;

    for (size_t i = 0; i < h->n_fields; i++) {
        sum += h->fields[i].name.n + h->fields[i].value.n + 4;
    }
    return sum;
}

static char *put_fields(char *at, const struct head *h)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];

        if (!is_framing_name(f->name)) {
            at = put(at, f->name);
            at = put(at, SPAN_LIT(": "));
            at = put(at, f->value);
            at = put(at, SPAN_LIT("\r\n"));
        }
    }
    return at;
}

static bool has_usual_body(struct span method)
{
    return span_eq(method, SPAN_LIT("POST")) || span_eq(method, SPAN_LIT("PUT")) ||
           span_eq(method, SPAN_LIT("PATCH"));
}

frun_err head_write_request(const struct head *h, struct buf *out)
{
    size_t max = FIXED_MAX_BYTES + h->method.n + h->target.n + h->authority.n + fields_size(h);
    char *start;
    char *at;
    frun_err err = buf_reserve(out, max, &start);

    if (err) {
        return err;
    }
    at = put(start, h->method);
    *at++ = ' ';
    at = put(at, h->target);
    at = put(at, SPAN_LIT(" HTTP/1.1\r\nHost: "));
    at = put(at, h->authority);
    at = put(at, SPAN_LIT("\r\n"));
    at = put_fields(at, h);
    if (h->body == HEAD_BODY_CHUNKED) {
        at = put(at, SPAN_LIT("Transfer-Encoding: chunked\r\n"));
    } else if (h->body == HEAD_BODY_LENGTH || has_usual_body(h->method)) {
        at = put_length(at, h->body_len_bytes);
    }
    if (!h->is_keep_alive) {
        at = put(at, SPAN_LIT("Connection: close\r\n"));
    }
    at = put(at, SPAN_LIT("\r\n"));
    buf_commit(out, (size_t)(at - start));
    return FRUN_OK;
}

/* An answer without a body may still tell the length that GET would have: it is in its field. */
static char *put_told_length(char *at, const struct head *h)
{
    const struct field *f = head_find(h, SPAN_LIT("content-length"));
    uint64_t n;

    return f && !span_to_u64(f->value, &n) ? put_length(at, n) : at;
}

/* Framing of an answer; *is_open tells that only the end of the connection ends its body. */
static char *put_answer_framing(char *at, const struct head *h, struct span method,
                                unsigned peer_minor, bool *is_chunked, bool *is_open)
{
    bool is_head = span_eq(method, SPAN_LIT("HEAD"));

    if (h->status < 200 || h->status == 204) {
        return at;
    }
    switch (h->body) {
    case HEAD_BODY_NONE:
        return is_head || h->status == 304 ? put_told_length(at, h) : put_length(at, 0);
    case HEAD_BODY_LENGTH:
        return put_length(at, h->body_len_bytes);
    case HEAD_BODY_CHUNKED:
    case HEAD_BODY_UNTIL_CLOSE:
        break;
    }
    if (is_head || h->status == 304) {
        return at;
    }
    if (peer_minor == 0) {
        *is_open = true;
        return at;
    }
    *is_chunked = true;
    return put(at, SPAN_LIT("Transfer-Encoding: chunked\r\n"));
}

frun_err head_write_answer(const struct head *h, struct span method, unsigned peer_minor,
                           struct buf *out, bool *is_chunked)
{
    size_t max = FIXED_MAX_BYTES + h->reason.n + fields_size(h);
    bool is_open = false;
    char *start;
    char *at;
    frun_err err = buf_reserve(out, max, &start);

    if (err) {
        return err;
    }
    *is_chunked = false;
    at = put(start, SPAN_LIT("HTTP/1.1 "));
    *at++ = (char)('0' + h->status / 100 % 10);
    *at++ = (char)('0' + h->status / 10 % 10);
    *at++ = (char)('0' + h->status % 10);
    *at++ = ' ';
    at = put(at, h->reason);
    at = put(at, SPAN_LIT("\r\n"));
    at = put_fields(at, h);
    at = put_answer_framing(at, h, method, peer_minor, is_chunked, &is_open);
    if (h->status >= 200) {
        if (!h->is_keep_alive || is_open) {
            at = put(at, SPAN_LIT("Connection: close\r\n"));
        } else if (peer_minor == 0) {
            at = put(at, SPAN_LIT("Connection: keep-alive\r\n"));
        }
    }
    at = put(at, SPAN_LIT("\r\n"));
    buf_commit(out, (size_t)(at - start));
    return FRUN_OK;
}
