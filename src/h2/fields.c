/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <stdio.h>

/** What a field's name says about sending it. */
enum name_kind {
    NAME_PLAIN = 0, /**< may enter the compression's table: most have the same value again */
    NAME_UNFIT,     /**< must not stand in an HTTP/2 message, or is made by us; RFC 9113 8.2.2 */
    NAME_SECRET, /**< short secrets in a table that other requests share could be guessed (CRIME);
                    RFC 7541 7.1.3 */
    NAME_FRESH   /**< another value with each message: in the table it would only push out those
                    that come again */
};

/** A name that is not plain. */
struct name_row {
    const char *name;    /**< lower case; NULL: none */
    enum name_kind kind; /**< what it says */
};

#define NAMES_LONGEST    25
#define NAMES_PER_LENGTH 5

/* By length, so that a field is compared with few of them and most with none. */
static const struct name_row names[NAMES_LONGEST + 1][NAMES_PER_LENGTH] = {
    [2] = {{"te", NAME_UNFIT}},
    [4] = {{"host", NAME_UNFIT}},
    [6] = {{"cookie", NAME_SECRET}},
    [7] = {{"upgrade", NAME_UNFIT}, {"trailer", NAME_UNFIT}},
    [9] = {{"mysapsso2", NAME_SECRET}},
    [10] = {{"connection", NAME_UNFIT},
            {"keep-alive", NAME_UNFIT},
            {"set-cookie", NAME_SECRET},
            {"sap-r3auth", NAME_SECRET},
            {"tracestate", NAME_FRESH}},
    [11] = {{"traceparent", NAME_FRESH}},
    [12] = {{"x-csrf-token", NAME_SECRET}, {"x-request-id", NAME_FRESH}},
    [13] = {{"authorization", NAME_SECRET}},
    [14] = {{"content-length", NAME_UNFIT}, {"http2-settings", NAME_UNFIT}},
    [16] = {{"proxy-connection", NAME_UNFIT}, {"x-correlation-id", NAME_FRESH}},
    [17] = {{"transfer-encoding", NAME_UNFIT}},
    [19] = {{"proxy-authorization", NAME_SECRET}},
    [25] = {{"x-admin-request-parameter", NAME_SECRET}},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static enum name_kind kind_of(struct span name)
{
    if (name.n == 0 || name.p[0] == ':') {
        return NAME_UNFIT;
    }
    for (size_t i = 0; name.n <= NAMES_LONGEST && i < NAMES_PER_LENGTH; i++) {
        const struct name_row *row = &names[name.n][i];

        if (!row->name) {
            break;
        }
        if (lower(name.p[0]) == row->name[0] &&
            span_eq_nocase(name, span_make(row->name, name.n))) {
            return row->kind;
        }
    }
    return NAME_PLAIN;
}

static void push(struct h2_list *l, struct span name, struct span value, enum name_kind kind)
{
    /* nghttp2 copies both and lowers the name; it only forgot the const. */
    union {
        const char *in;
        uint8_t *out;
    } n = {name.p ? name.p : ""}, v = {value.p ? value.p : ""};

    l->nv[l->n++] = (nghttp2_nv){
        .name = n.out,
        .value = v.out,
        .namelen = name.n,
        .valuelen = value.n,
        .flags = kind == NAME_PLAIN ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX,
    };
}

static void push_length(struct h2_list *l, uint64_t n)
{
    int len = snprintf(l->length, sizeof(l->length), "%llu", (unsigned long long)n);

    push(l, SPAN_LIT("content-length"), span_make(l->length, (size_t)len), NAME_PLAIN);
}

static void push_fields(struct h2_list *l, const struct head *h)
{
    const struct field *conn = head_find(h, SPAN_LIT("connection"));

    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];

        enum name_kind kind = kind_of(f->name);

        if (kind != NAME_UNFIT && !(conn && head_list_has(conn->value, f->name))) {
            push(l, f->name, f->value, kind);
        }
    }
}

static bool has_usual_body(struct span method)
{
    return span_eq(method, SPAN_LIT("POST")) || span_eq(method, SPAN_LIT("PUT")) ||
           span_eq(method, SPAN_LIT("PATCH"));
}

void h2_list_request(const struct head *h, struct h2_list *out)
{
    out->n = 0;
    push(out, SPAN_LIT(":method"), h->method, NAME_PLAIN);
    push(out, SPAN_LIT(":scheme"), SPAN_LIT("https"), NAME_PLAIN);
    push(out, SPAN_LIT(":authority"), h->authority, NAME_PLAIN);
    push(out, SPAN_LIT(":path"), h->target, NAME_PLAIN);
    push_fields(out, h);
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

void h2_list_answer(const struct head *h, bool is_head_method, struct h2_list *out)
{
    unsigned status = h->status % 1000;

    out->n = 0;
    out->status[0] = (char)('0' + status / 100);
    out->status[1] = (char)('0' + status / 10 % 10);
    out->status[2] = (char)('0' + status % 10);
    out->status[3] = '\0';
    push(out, SPAN_LIT(":status"), span_make(out->status, 3), NAME_PLAIN);
    push_fields(out, h);
    if (status < 200 || status == 204) {
        return;
    }
    if (is_head_method || status == 304) {
        push_told_length(out, h);
    } else if (h->body == HEAD_BODY_LENGTH || h->body == HEAD_BODY_NONE) {
        push_length(out, h->body_len_bytes);
    }
}
