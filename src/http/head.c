/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/head.h"

#include "chars_int.h"
#include "frun/http/uri.h"

#include <assert.h>

#define METHOD_MAX_BYTES 32

/* All Connection values of a head: every other field is looked up in them. */
#define CONNECTION_MAX_BYTES 1024

/* What the fields of one head said about framing so far. */
struct framing {
    bool has_length;
    bool has_coding;
    bool has_host;
    bool is_close;
    bool is_keep_alive;
    size_t connection_bytes;
    uint64_t length;
};

static frun_err fail(struct head_fault *fault, unsigned status, const char *why)
{
    fault->status = status;
    fault->why = why;
    return status == 431 || status == 414 ? FRUN_E_LIMIT : FRUN_E_SYNTAX;
}

/* The octets up to the ceiling hold no complete head: whose fault is it? */
static frun_err cut_too_long(struct span in, struct head_fault *fault)
{
    size_t skip = in.n >= 2 && in.p[0] == '\r' ? 2 : 0;

    if (memchr(in.p + skip, '\n', in.n - skip) == NULL) {
        return fail(fault, 414, "the request line is too long");
    }
    return fail(fault, 431, "the head is too long");
}

frun_err head_cut(struct span in, const struct head_limits *lim, size_t *scanned, size_t *len,
                  struct head_fault *fault)
{
    size_t n = in.n < lim->max_head_bytes ? in.n : lim->max_head_bytes;
    size_t i = *scanned;

    for (;;) {
        i += i < n ? chars_text_run(in.p + i, n - i) : 0;
        if (i >= n || (in.p[i] == '\r' && i + 1 == n)) {
            break;
        }
        if (in.p[i] == '\t') {
            i++;
            continue;
        }
        if (in.p[i] == '\n') {
            return fail(fault, 400, "a line ends without CR");
        }
        if (in.p[i] != '\r') {
            return fail(fault, 400, "control character in the head");
        }
        if (in.p[i + 1] != '\n') {
            return fail(fault, 400, "CR without LF");
        }
        if (i >= 2 && in.p[i - 1] == '\n') {
            if (i == 2) {
                return fail(fault, 400, "more than one empty line before the request line");
            }
            *scanned = *len = i + 2;
            return FRUN_OK;
        }
        i += 2;
    }
    if (in.n >= lim->max_head_bytes) {
        return cut_too_long(span_head(in, n), fault);
    }
    *scanned = i;
    return FRUN_E_AGAIN;
}

static frun_err take_length(struct span value, struct framing *fr, struct head_fault *fault)
{
    if (fr->has_length) {
        return fail(fault, 400, "Content-Length is repeated");
    }
    fr->has_length = true;
    switch (span_to_u64(value, &fr->length)) {
    case FRUN_OK:
        if (fr->length <= INT64_MAX) {
            return FRUN_OK;
        }
        break;
    case FRUN_E_LIMIT:
        break;
    default:
        return fail(fault, 400, "Content-Length is not a plain number");
    }
    return fail(fault, 400, "Content-Length is too large");
}

static frun_err take_coding(struct span value, struct framing *fr, struct head_fault *fault)
{
    if (fr->has_coding) {
        return fail(fault, 400, "Transfer-Encoding is repeated");
    }
    fr->has_coding = true;
    if (!span_eq_nocase(value, SPAN_LIT("chunked"))) {
        return fail(fault, 501, "a Transfer-Encoding other than chunked is not supported");
    }
    return FRUN_OK;
}

static frun_err take_connection(struct span value, struct framing *fr, struct head *out,
                                struct head_fault *fault)
{
    fr->connection_bytes += value.n;
    if (fr->connection_bytes > CONNECTION_MAX_BYTES) {
        return fail(fault, 431, "Connection names too much");
    }
    fr->is_close = fr->is_close || head_list_has(value, SPAN_LIT("close"));
    fr->is_keep_alive = fr->is_keep_alive || head_list_has(value, SPAN_LIT("keep-alive"));
    out->is_upgrade = out->is_upgrade || head_list_has(value, SPAN_LIT("upgrade"));
    return FRUN_OK;
}

static frun_err take_host(struct span value, struct framing *fr, struct head *out,
                          struct head_fault *fault)
{
    if (fr->has_host) {
        return fail(fault, 400, "Host is repeated");
    }
    if (!uri_is_authority(value, NULL, NULL)) {
        return fail(fault, 400, "Host is not host[:port]");
    }
    fr->has_host = true;
    out->authority = value;
    return FRUN_OK;
}

/* Look at a field for its bearing on framing; *keep tells whether it goes into the list. */
static inline frun_err take_field(const struct field *f, struct framing *fr, struct head *out,
                                  bool *keep, struct head_fault *fault)
{
    bool is_request = out->status == 0;

    switch (f->name.n) {
    case 4:
        if (is_request && span_eq_nocase(f->name, SPAN_LIT("host"))) {
            *keep = false;
            return take_host(f->value, fr, out, fault);
        }
        return FRUN_OK;
    case 6:
        if (is_request && span_eq_nocase(f->name, SPAN_LIT("expect"))) {
            if (!span_eq_nocase(f->value, SPAN_LIT("100-continue"))) {
                return fail(fault, 417, "an expectation other than 100-continue");
            }
            out->wants_continue = out->minor != 0;
        }
        return FRUN_OK;
    case 10:
        return span_eq_nocase(f->name, SPAN_LIT("connection"))
                   ? take_connection(f->value, fr, out, fault)
                   : FRUN_OK;
    case 14:
        return span_eq_nocase(f->name, SPAN_LIT("content-length"))
                   ? take_length(f->value, fr, fault)
                   : FRUN_OK;
    case 17:
        return span_eq_nocase(f->name, SPAN_LIT("transfer-encoding"))
                   ? take_coding(f->value, fr, fault)
                   : FRUN_OK;
    default:
        return FRUN_OK;
    }
}

static frun_err bad_name(char c, bool is_empty, struct head_fault *fault)
{
    if (c == ' ' || c == '\t') {
        return fail(fault, 400,
                    is_empty ? "a folded field line" : "blank between field name and colon");
    }
    return fail(fault, 400, is_empty ? "a field line without a name" : "field name is not a token");
}

/* One field line at *pos; the caller has seen that it is not the empty line. */
static inline frun_err cut_field(struct span in, size_t *pos, struct field *f,
                                 struct head_fault *fault)
{
    const char *p = in.p + *pos;
    const char *end = in.p + in.n;
    const char *start = p;
    const char *last;

    while (p < end && chars_is(*p, CHARS_TOKEN)) {
        p++;
    }
    if (p == end || *p != ':' || p == start) {
        return bad_name(p == end ? 0 : *p, p == start, fault);
    }
    f->name = span_make(start, (size_t)(p - start));
    do {
        p++;
    } while (p < end && (*p == ' ' || *p == '\t'));
    start = p;
    for (;;) {
        p += chars_text_run(p, (size_t)(end - p));
        if (p == end || *p != '\t') {
            break;
        }
        p++;
    }
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n') {
        return fail(fault, 400, "control character, bare CR or bare LF in a field");
    }
    last = p;
    while (last > start && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }
    f->value = span_make(start, (size_t)(last - start));
    *pos = (size_t)(p + 2 - in.p);
    return FRUN_OK;
}

static frun_err parse_fields(struct span in, const struct head_limits *lim, struct head *out,
                             struct framing *fr, struct head_fault *fault)
{
    size_t max = lim->max_fields < HEAD_MAX_FIELDS ? lim->max_fields : HEAD_MAX_FIELDS;
    size_t pos = 0;
    size_t n = 0;

    while (in.n - pos < 2 || in.p[pos] != '\r' || in.p[pos + 1] != '\n') {
        struct field f;
        bool keep = true;
        frun_err err = cut_field(in, &pos, &f, fault);

        if (!err) {
            err = take_field(&f, fr, out, &keep, fault);
        }
        if (err) {
            return err;
        }
        if (keep) {
            if (n == max) {
                return fail(fault, 431, "too many fields");
            }
            out->fields[n++] = f;
        }
    }
    if (pos + 2 != in.n) {
        return fail(fault, 400, "octets behind the empty line");
    }
    out->n_fields = n;
    return FRUN_OK;
}

/* "HTTP/1.0" or "HTTP/1.1"; every other version that is spelled well is 505. */
static frun_err parse_version(struct span v, unsigned *minor, struct head_fault *fault)
{
    if (v.n != 8 || memcmp(v.p, "HTTP/", 5) != 0 || v.p[6] != '.' || v.p[5] < '0' || v.p[5] > '9' ||
        v.p[7] < '0' || v.p[7] > '9') {
        return fail(fault, 400, "the HTTP version is malformed");
    }
    if (v.p[5] != '1' || v.p[7] > '1') {
        return fail(fault, 505, "an HTTP version other than 1.0 and 1.1");
    }
    *minor = v.p[7] == '1';
    return FRUN_OK;
}

static frun_err parse_request_line(struct span line, const struct head_limits *lim,
                                   struct head *out, struct head_fault *fault)
{
    size_t i = 0;
    size_t start;

    while (i < line.n && chars_is(line.p[i], CHARS_TOKEN)) {
        i++;
    }
    if (i == 0 || i > METHOD_MAX_BYTES || i == line.n || line.p[i] != ' ') {
        return fail(fault, 400, "the method is malformed");
    }
    out->method = span_head(line, i);
    start = ++i;
    while (i < line.n && chars_is(line.p[i], CHARS_TARGET)) {
        i++;
    }
    if (i == start || i == line.n || line.p[i] != ' ') {
        return fail(fault, 400, "the request line is malformed");
    }
    out->target = span_make(line.p + start, i - start);
    if (out->target.n > lim->max_target_bytes) {
        return fail(fault, 414, "the request target is too long");
    }
    return parse_version(span_skip(line, i + 1), &out->minor, fault);
}

static void clear(struct head *out)
{
    /* The fields are not cleared: four kilobytes per request for nothing. */
    out->method = out->target = out->authority = out->reason = (struct span){0};
    out->status = 0;
    out->minor = 1;
    out->body = HEAD_BODY_NONE;
    out->body_len_bytes = 0;
    out->is_keep_alive = out->wants_continue = out->is_upgrade = out->is_http2 = false;
    out->n_fields = 0;
}

static frun_err check_framing(const struct framing *fr, const struct head *out,
                              struct head_fault *fault)
{
    if (fr->has_coding && fr->has_length) {
        return fail(fault, 400, "both Content-Length and Transfer-Encoding");
    }
    if (fr->has_coding && out->minor == 0) {
        return fail(fault, 400, "Transfer-Encoding in HTTP/1.0");
    }
    return FRUN_OK;
}

static void set_framing(const struct framing *fr, struct head *out)
{
    if (fr->has_coding) {
        out->body = HEAD_BODY_CHUNKED;
    } else if (fr->has_length && fr->length > 0) {
        out->body = HEAD_BODY_LENGTH;
        out->body_len_bytes = fr->length;
    }
    out->is_keep_alive = !fr->is_close && (out->minor == 1 || fr->is_keep_alive);
}

static size_t line_end(struct span in)
{
    size_t cr = span_find(in, '\r');

    return cr + 1 < in.n && in.p[cr + 1] == '\n' ? cr : in.n;
}

frun_err head_parse_request(struct span in, const struct head_limits *lim, struct head *out,
                            struct head_fault *fault)
{
    struct framing fr = {0};
    size_t end;
    frun_err err;

    clear(out);
    if (in.n >= 2 && in.p[0] == '\r' && in.p[1] == '\n') {
        in = span_skip(in, 2);
    }
    if (in.n > lim->max_head_bytes) {
        return fail(fault, 431, "the head is too long");
    }
    end = line_end(in);
    if (end == in.n) {
        return fail(fault, 400, "the request line does not end");
    }
    err = parse_request_line(span_head(in, end), lim, out, fault);
    if (!err) {
        err = parse_fields(span_skip(in, end + 2), lim, out, &fr, fault);
    }
    if (!err) {
        err = check_framing(&fr, out, fault);
    }
    if (err) {
        return err;
    }
    if (!fr.has_host && out->minor == 1) {
        return fail(fault, 400, "Host is missing");
    }
    if (span_eq(out->method, SPAN_LIT("CONNECT"))) {
        return fail(fault, 501, "CONNECT is not supported");
    }
    set_framing(&fr, out);
    out->wants_continue = out->wants_continue && out->body != HEAD_BODY_NONE;
    return FRUN_OK;
}

static frun_err parse_status_line(struct span line, struct head *out, struct head_fault *fault)
{
    const char *d = line.p + 9;
    frun_err err;

    if (line.n < 12 || line.p[8] != ' ') {
        return fail(fault, 502, "the status line is malformed");
    }
    err = parse_version(span_head(line, 8), &out->minor, fault);
    if (err) {
        return err;
    }
    for (int i = 0; i < 3; i++) {
        if (d[i] < '0' || d[i] > '9') {
            return fail(fault, 502, "the status is not three digits");
        }
        out->status = out->status * 10 + (unsigned)(d[i] - '0');
    }
    /* Some servers leave the blank out when there is no reason. */
    if (out->status < 100 || out->status > 599 || (line.n > 12 && line.p[12] != ' ')) {
        return fail(fault, 502, "the status is out of range");
    }
    out->reason = line.n > 13 ? span_skip(line, 13) : (struct span){0};
    for (size_t i = 0; i < out->reason.n; i++) {
        if (!chars_is(out->reason.p[i], CHARS_VALUE)) {
            return fail(fault, 502, "control character in the reason phrase");
        }
    }
    return FRUN_OK;
}

static void set_answer_framing(const struct framing *fr, struct span method, struct head *out)
{
    set_framing(fr, out);
    if (span_eq(method, SPAN_LIT("HEAD")) || out->status < 200 || out->status == 204 ||
        out->status == 304) {
        out->body = HEAD_BODY_NONE;
        out->body_len_bytes = 0;
    } else if (!fr->has_coding && !fr->has_length) {
        out->body = HEAD_BODY_UNTIL_CLOSE;
        out->is_keep_alive = false;
    }
}

frun_err head_parse_answer(struct span in, const struct head_limits *lim, struct span method,
                           struct head *out, struct head_fault *fault)
{
    struct framing fr = {0};
    size_t end = line_end(in);
    frun_err err;

    clear(out);
    if (in.n > lim->max_head_bytes) {
        (void)fail(fault, 502, "the head is too long");
        return FRUN_E_LIMIT;
    }
    if (end == in.n) {
        return fail(fault, 502, "the status line does not end");
    }
    err = parse_status_line(span_head(in, end), out, fault);
    if (!err) {
        err = parse_fields(span_skip(in, end + 2), lim, out, &fr, fault);
    }
    if (!err) {
        err = check_framing(&fr, out, fault);
    }
    if (err) {
        fault->status = 502;
        return err;
    }
    set_answer_framing(&fr, method, out);
    return FRUN_OK;
}

const struct field *head_find(const struct head *h, struct span name)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (h->fields[i].name.n == name.n && span_eq_nocase(h->fields[i].name, name)) {
            return &h->fields[i];
        }
    }
    return NULL;
}

frun_err head_add(struct head *h, struct span name, struct span value)
{
    if (h->n_fields >= HEAD_MAX_FIELDS) {
        return FRUN_E_LIMIT;
    }
    h->fields[h->n_fields++] = (struct field){name, value};
    return FRUN_OK;
}

bool head_list_has(struct span value, struct span token)
{
    struct span part;

    while (span_split(&value, ',', &part)) {
        part = span_trim(part);
        if (part.n == token.n && span_eq_nocase(part, token)) {
            return true;
        }
    }
    return false;
}

bool head_is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!chars_is(s.p[i], CHARS_TOKEN)) {
            return false;
        }
    }
    return s.n > 0;
}

bool head_is_target(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!chars_is(s.p[i], CHARS_TARGET)) {
            return false;
        }
    }
    return s.n > 0;
}

bool head_is_value(struct span s)
{
    uint64_t controls = 0;

    if (s.n == 0) {
        return true;
    }
    for (size_t i = 0; i + 8 < s.n; i += 8) {
        controls |= chars_controls8(span_load8(s.p + i, 8));
    }
    controls |= chars_last_controls(s.p, s.n);
    if (!controls) {
        return s.p[0] != ' ' && s.p[s.n - 1] != ' ';
    }
    for (size_t i = 0; (i += chars_text_run(s.p + i, s.n - i)) < s.n; i++) {
        if (s.p[i] != '\t') {
            return false;
        }
    }
    return s.p[0] != ' ' && s.p[0] != '\t' && s.p[s.n - 1] != ' ' && s.p[s.n - 1] != '\t';
}
