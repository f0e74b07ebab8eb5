/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <stdio.h>

/* Must not stand in an HTTP/2 message, or are made by us. Source: RFC 9113 8.2.2. */
static bool is_dropped(struct span name)
{
    static const struct span names[] = {
        {"connection", 10},       {"keep-alive", 10},
        {"proxy-connection", 16}, {"transfer-encoding", 17},
        {"upgrade", 7},           {"te", 2},
        {"trailer", 7},           {"host", 4},
        {"content-length", 14},   {"http2-settings", 14},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return name.n == 0 || name.p[0] == ':';
}

/* Short secrets in a compression context that other requests share could be guessed (CRIME), and
 * most of these change often enough to spoil the table. Source: RFC 7541 7.1.3. */
static bool is_never_indexed(struct span name)
{
    static const struct span names[] = {
        {"authorization", 13}, {"proxy-authorization", 19},
        {"cookie", 6},         {"set-cookie", 10},
        {"x-csrf-token", 12},  {"mysapsso2", 9},
        {"sap-r3auth", 10},    {"x-admin-request-parameter", 25},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

static void push(struct h2_list *l, struct span name, struct span value)
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
        .flags = is_never_indexed(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

static void push_length(struct h2_list *l, uint64_t n)
{
    int len = snprintf(l->length, sizeof(l->length), "%llu", (unsigned long long)n);

    push(l, SPAN_LIT("content-length"), span_make(l->length, (size_t)len));
}

static void push_fields(struct h2_list *l, const struct head *h)
{
    const struct field *conn = head_find(h, SPAN_LIT("connection"));

    for (size_t i = 0; i < h->n_fields; i++) {
        const struct field *f = &h->fields[i];

        if (!is_dropped(f->name) && !(conn && head_list_has(conn->value, f->name))) {
            push(l, f->name, f->value);
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
    push(out, SPAN_LIT(":method"), h->method);
    push(out, SPAN_LIT(":scheme"), SPAN_LIT("https"));
    push(out, SPAN_LIT(":authority"), h->authority);
    push(out, SPAN_LIT(":path"), h->target);
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
    push(out, SPAN_LIT(":status"), span_make(out->status, 3));
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
