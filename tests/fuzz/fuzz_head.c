/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/head.h"

#include <stdlib.h>

#define OUT_MAX_BYTES 131072

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct head_limits limits = {32768, 8192, 100};

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static bool is_framing(struct span name)
{
    static const char *const names[] = {
        "content-length", "transfer-encoding", "connection",       "keep-alive", "te",
        "trailer",        "upgrade",           "proxy-connection", "host"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq_nocase(name, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Same fields in the same order, framing aside. */
static void same_fields(const struct head *a, const struct head *b)
{
    size_t k = 0;

    for (size_t i = 0; i < a->n_fields; i++) {
        if (is_framing(a->fields[i].name)) {
            continue;
        }
        while (k < b->n_fields && is_framing(b->fields[k].name)) {
            k++;
        }
        must(k < b->n_fields && span_eq(a->fields[i].name, b->fields[k].name) &&
             span_eq(a->fields[i].value, b->fields[k].value));
        must(head_is_token(a->fields[i].name) && head_is_value(a->fields[i].value));
        k++;
    }
    while (k < b->n_fields && is_framing(b->fields[k].name)) {
        k++;
    }
    must(k == b->n_fields);
}

/* What is written is one head, and says the same. */
static void again_request(const struct head *h)
{
    static struct head back;
    const struct head_limits wide = {OUT_MAX_BYTES, 8192, HEAD_MAX_FIELDS};
    struct head_fault fault;
    struct buf out;
    size_t scanned = 0;
    size_t len = 0;

    buf_init(&out, OUT_MAX_BYTES);
    if (h->authority.p && !head_write_request(h, &out)) {
        must(!head_cut(buf_span(&out), &wide, &scanned, &len, &fault) && len == buf_len(&out));
        must(!head_parse_request(buf_span(&out), &wide, &back, &fault));
        must(span_eq(h->method, back.method) && span_eq(h->target, back.target) &&
             span_eq(h->authority, back.authority) && h->body == back.body &&
             h->body_len_bytes == back.body_len_bytes && h->is_keep_alive == back.is_keep_alive);
        same_fields(h, &back);
    }
    buf_done(&out);
}

static void again_answer(const struct head *h)
{
    static struct head back;
    const struct head_limits wide = {OUT_MAX_BYTES, 8192, HEAD_MAX_FIELDS};
    struct head_fault fault;
    struct buf out;
    bool is_chunked = false;

    buf_init(&out, OUT_MAX_BYTES);
    if (!head_write_answer(h, SPAN_LIT("GET"), 1, &out, &is_chunked)) {
        must(!head_parse_answer(buf_span(&out), &wide, SPAN_LIT("GET"), &back, &fault));
        must(back.status == h->status && is_chunked == (back.body == HEAD_BODY_CHUNKED));
        must(back.body != HEAD_BODY_UNTIL_CLOSE && h->body_len_bytes == back.body_len_bytes);
        same_fields(h, &back);
    }
    buf_done(&out);
}

/* Octet by octet the same verdict as at once, and never a look back. */
static void same_in_pieces(struct span in, frun_err want, size_t want_len)
{
    struct head_fault fault;
    size_t scanned = 0;
    size_t len = 0;
    frun_err err = FRUN_E_AGAIN;

    for (size_t n = 0; n < in.n && err == FRUN_E_AGAIN; n++) {
        size_t before = scanned;

        err = head_cut(span_head(in, n + 1), &limits, &scanned, &len, &fault);
        must(scanned >= before && (err != FRUN_E_AGAIN || scanned + 1 >= n));
    }
    must(in.n == 0 || err == want);
    must(err || len == want_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head h;
    struct span in = span_make(data, size);
    struct head_fault fault = {0, NULL};
    size_t scanned = 0;
    size_t len = 0;
    frun_err err = head_cut(in, &limits, &scanned, &len, &fault);

    same_in_pieces(in, err, len);
    must(err || (len <= size && len >= 4));
    /* The parser must stand alone, too: it is fed what no head_cut() saw. */
    if (!head_parse_request(err ? in : span_head(in, len), &limits, &h, &fault)) {
        must(!err);
        again_request(&h);
    }
    if (!head_parse_answer(err ? in : span_head(in, len), &limits, SPAN_LIT("GET"), &h, &fault)) {
        again_answer(&h);
    }
    return 0;
}
