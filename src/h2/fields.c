/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

/** What a field's name says about sending it. */
enum name_kind {
    NAME_PLAIN = 0, /**< may enter the compression's table: most have the same value again */
    NAME_UNFIT,     /**< must not stand in an HTTP/2 message, or is made by us; RFC 9113 8.2.2 */
    NAME_SECRET, /**< short secrets in a table that other requests share could be guessed (CRIME);
                    RFC 7541 7.1.3 */
    NAME_FRESH   /**< another value with each message: in the table it would only push out those
                    that come again */
};

/** Octets of the longest name here, a multiple of eight: rows are read in steps of eight. */
#define NAME_BYTES 32

/** A name that is not plain, or that is so usual that nghttp2 need not copy it. */
struct name_row {
    char name[NAME_BYTES]; /**< lower case, then zeros; empty: none */
    enum name_kind kind;   /**< what it says */
};

#define NAMES_LONGEST    25
#define NAMES_PER_LENGTH 6

/* By length, so that a field is compared with few of them. The fence is not among the secrets:
 * whoever could try values of it has that field taken off, so in the table nobody can guess it. */
static const struct name_row names[NAMES_LONGEST + 1][NAMES_PER_LENGTH] = {
    [2] = {{"te", NAME_UNFIT}},
    [3] = {{"via", NAME_PLAIN}},
    [4] = {{"date", NAME_PLAIN}, {"host", NAME_UNFIT}},
    [6] = {{"server", NAME_PLAIN}, {"accept", NAME_PLAIN}, {"cookie", NAME_SECRET}},
    [7] = {{"upgrade", NAME_UNFIT}, {"trailer", NAME_UNFIT}},
    [9] = {{"forwarded", NAME_PLAIN}, {"mysapsso2", NAME_SECRET}},
    [10] = {{"user-agent", NAME_PLAIN},
            {"connection", NAME_UNFIT},
            {"keep-alive", NAME_UNFIT},
            {"set-cookie", NAME_SECRET},
            {"sap-r3auth", NAME_SECRET},
            {"tracestate", NAME_FRESH}},
    [11] = {{"traceparent", NAME_FRESH}, {"frun-origin", NAME_PLAIN}},
    [12] = {{"content-type", NAME_PLAIN},
            {"x-request-id", NAME_FRESH},
            {"x-csrf-token", NAME_SECRET}},
    [13] = {{"authorization", NAME_SECRET}, {"cache-control", NAME_PLAIN}},
    [14] = {{"clientprotocol", NAME_PLAIN},
            {"content-length", NAME_UNFIT},
            {"http2-settings", NAME_UNFIT}},
    [15] = {{"x-forwarded-for", NAME_PLAIN},
            {"accept-encoding", NAME_PLAIN},
            {"accept-language", NAME_PLAIN},
            {"frun-backend-us", NAME_FRESH}},
    [16] = {{"x-forwarded-host", NAME_PLAIN},
            {"proxy-connection", NAME_UNFIT},
            {"content-encoding", NAME_PLAIN},
            {"x-correlation-id", NAME_FRESH}},
    [17] = {{"x-forwarded-proto", NAME_PLAIN}, {"transfer-encoding", NAME_UNFIT}},
    [19] = {{"proxy-authorization", NAME_SECRET}},
    [25] = {{"x-admin-request-parameter", NAME_PLAIN}},
};

/* Both have n octets, and the first eight are the same. */
static bool is_rest_same(const char *name, const char *row, size_t n)
{
    for (size_t i = 8; i < n; i += 8) {
        size_t at = i + 8 <= n ? i : n - 8;

        if (span_lower8(span_load8(name + at, 8)) != span_load8(row + at, 8)) {
            return false;
        }
    }
    return true;
}

/* The row of a name, or NULL. */
static const struct name_row *row_of(struct span name)
{
    uint64_t first = span_lower8(span_load8(name.p, name.n));

    for (size_t i = 0; name.n <= NAMES_LONGEST && i < NAMES_PER_LENGTH; i++) {
        const struct name_row *row = &names[name.n][i];

        if (row->name[0] == '\0') {
            break;
        }
        if (first == span_load8(row->name, NAME_BYTES) && is_rest_same(name.p, row->name, name.n)) {
            return row;
        }
    }
    return NULL;
}

static void push_flagged(struct h2_list *l, struct span name, struct span value, unsigned flags)
{
    /* nghttp2 copies what the flags do not say to stay; it only forgot the const. */
    union {
        const char *in;
        uint8_t *out;
    } n = {name.p ? name.p : ""}, v = {value.p ? value.p : ""};

    l->nv[l->n++] = (nghttp2_nv){
        .name = n.out,
        .value = v.out,
        .namelen = name.n,
        .valuelen = value.n,
        .flags = (uint8_t)flags,
    };
}

/* A field whose name is a literal of ours. */
static void push(struct h2_list *l, struct span name, struct span value)
{
    push_flagged(l, name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

static void push_length(struct h2_list *l, uint64_t n)
{
    push(l, SPAN_LIT("content-length"), span_make(l->length, text_number(n, l->length)));
}

static void push_fields(struct h2_list *l, const struct head *h, bool is_teaching)
{
    const struct field *conn = head_find(h, SPAN_LIT("connection"));

    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];
        const struct name_row *row = row_of(f->name);
        enum name_kind kind = row ? row->kind : NAME_PLAIN;
        bool is_indexed = kind == NAME_PLAIN || (kind == NAME_FRESH && is_teaching);

        if (f->name.n == 0 || f->name.p[0] == ':' || kind == NAME_UNFIT ||
            (conn && head_list_has(conn->value, f->name))) {
            continue;
        }
        push_flagged(l, row ? span_make(row->name, f->name.n) : f->name, f->value,
                     (row ? NGHTTP2_NV_FLAG_NO_COPY_NAME : 0U) |
                         (is_indexed ? 0U : NGHTTP2_NV_FLAG_NO_INDEX));
    }
}

static bool has_usual_body(struct span method)
{
    return span_eq(method, SPAN_LIT("POST")) || span_eq(method, SPAN_LIT("PUT")) ||
           span_eq(method, SPAN_LIT("PATCH"));
}

void h2_list_request(const struct head *h, bool is_teaching, struct h2_list *out)
{
    out->n = 0;
    push(out, SPAN_LIT(":method"), h->method);
    push(out, SPAN_LIT(":scheme"), SPAN_LIT("https"));
    push(out, SPAN_LIT(":authority"), h->authority);
    push(out, SPAN_LIT(":path"), h->target);
    push_fields(out, h, is_teaching);
    if (h->body == HEAD_BODY_LENGTH || (h->body == HEAD_BODY_NONE && has_usual_body(h->method))) {
        push_length(out, h->body_len_bytes);
    }
}

/* The length that GET would have had, as told by the field of an answer without a body. */
static void push_told_length(struct h2_list *out, const struct head *h)
{
    const struct field *f = head_find(h, SPAN_LIT("content-length"));
    uint64_t n;

    if (h->body == HEAD_BODY_LENGTH) {
        push_length(out, h->body_len_bytes);
    } else if (f && span_to_u64(f->value, &n) == FRUN_OK) {
        push_length(out, n);
    }
}

bool h2_never_has_body(unsigned status, bool is_head_method)
{
    return is_head_method || status < 200 || status == 204 || status == 304;
}

bool h2_is_bodiless(const struct head *h, bool is_head_method)
{
    return h->body == HEAD_BODY_NONE || h2_never_has_body(h->status, is_head_method);
}

void h2_list_answer(const struct head *h, bool is_head_method, bool is_teaching,
                    struct h2_list *out)
{
    unsigned status = h->status % 1000;

    out->n = 0;
    out->status[0] = (char)('0' + status / 100);
    out->status[1] = (char)('0' + status / 10 % 10);
    out->status[2] = (char)('0' + status % 10);
    out->status[3] = '\0';
    push(out, SPAN_LIT(":status"), span_make(out->status, 3));
    push_fields(out, h, is_teaching);
    if (status < 200 || status == 204) {
        return;
    }
    if (is_head_method || status == 304) {
        push_told_length(out, h);
    } else if (h->body == HEAD_BODY_LENGTH || h->body == HEAD_BODY_NONE) {
        push_length(out, h->body_len_bytes);
    }
}
