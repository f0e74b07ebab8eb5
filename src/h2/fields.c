/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What RFC 9113 10.5.1 counts for each field beside its octets. */
#define FIELD_OVERHEAD_BYTES 32

/* The arena rounds up and copies add a NUL: room beside the counted octets. */
#define ARENA_SLACK_BYTES 16384

/* ---- sending ---- */

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

static bool never_has_body(unsigned status, bool is_head_method)
{
    return is_head_method || status < 200 || status == 204 || status == 304;
}

bool h2_is_bodiless(const struct head *h, bool is_head_method)
{
    return h->body == HEAD_BODY_NONE || never_has_body(h->status, is_head_method);
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

/* ---- receiving ---- */

struct h2_rx *h2_rx_new(size_t max_head_bytes)
{
    struct h2_rx *rx = calloc(1, sizeof(*rx));

    if (rx) {
        arena_init(&rx->arena, max_head_bytes * 2 + ARENA_SLACK_BYTES);
        rx->head.minor = 1;
        rx->head.is_keep_alive = true;
    }
    return rx;
}

void h2_rx_free(struct h2_rx *rx)
{
    if (rx) {
        arena_done(&rx->arena);
        free(rx);
    }
}

static frun_err take_pseudo(struct h2_rx *rx, struct span name, struct span value)
{
    uint64_t status = 0;

    if (span_eq(name, SPAN_LIT(":method"))) {
        rx->head.method = value;
    } else if (span_eq(name, SPAN_LIT(":path"))) {
        rx->head.target = value;
    } else if (span_eq(name, SPAN_LIT(":authority"))) {
        rx->head.authority = value;
    } else if (span_eq(name, SPAN_LIT(":scheme"))) {
        rx->scheme = value;
    } else if (span_eq(name, SPAN_LIT(":status"))) {
        if (span_to_u64(value, &status) || status < 100 || status > 599) {
            return FRUN_E_SYNTAX;
        }
        rx->head.status = (unsigned)status;
    } else {
        /* ":protocol" and whatever comes later: extended CONNECT is not spoken here. */
        rx->refuse = 501;
    }
    return FRUN_OK;
}

static frun_err take_field(struct h2_rx *rx, struct span name, struct span value)
{
    if (span_eq(name, SPAN_LIT("host"))) {
        /* Two hosts that differ would let us and the next hop see two. Source: RFC 9113 8.3.1. */
        if (rx->head.authority.p && !span_eq_nocase(rx->head.authority, value)) {
            return FRUN_E_SYNTAX;
        }
        rx->head.authority = value;
        return FRUN_OK;
    }
    if (span_eq(name, SPAN_LIT("cookie"))) {
        rx->n_cookies++;
        rx->cookie_bytes += value.n + 2;
    } else if (span_eq(name, SPAN_LIT("content-length"))) {
        if (rx->has_length || span_to_u64(value, &rx->len_bytes)) {
            return FRUN_E_SYNTAX;
        }
        rx->has_length = true;
    } else if (span_eq(name, SPAN_LIT("expect"))) {
        if (span_eq_nocase(value, SPAN_LIT("100-continue"))) {
            rx->head.wants_continue = true;
        } else {
            rx->refuse = 417;
        }
    }
    return head_add(&rx->head, name, value);
}

frun_err h2_rx_field(struct h2_rx *rx, struct span name, struct span value, size_t max_bytes)
{
    struct span kept_name;
    struct span kept_value;

    rx->bytes += name.n + value.n + FIELD_OVERHEAD_BYTES;
    if (rx->bytes > max_bytes) {
        return FRUN_E_LIMIT;
    }
    if (arena_copy(&rx->arena, name, &kept_name) || arena_copy(&rx->arena, value, &kept_value)) {
        return rx->arena.used_bytes > max_bytes ? FRUN_E_LIMIT : FRUN_E_NOMEM;
    }
    if (name.n && name.p[0] == ':') {
        return take_pseudo(rx, kept_name, kept_value);
    }
    return take_field(rx, kept_name, kept_value);
}

/* HTTP/2 may send one Cookie field per pair; everybody behind us wants one field. Source: RFC 9113
 * 8.2.3. */
static frun_err join_cookies(struct h2_rx *rx)
{
    struct head *h = &rx->head;
    char *all = arena_alloc(&rx->arena, rx->cookie_bytes);
    struct field *first = NULL;
    size_t len = 0;
    size_t kept = 0;

    if (!all) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = 0; i < h->n_fields; i++) {
        struct field *f = &h->fields[i];

        if (!span_eq(f->name, SPAN_LIT("cookie"))) {
            h->fields[kept++] = *f;
            continue;
        }
        if (first) {
            memcpy(all + len, "; ", 2);
            len += 2;
        } else {
            first = &h->fields[kept];
            h->fields[kept++] = *f;
        }
        memcpy(all + len, f->value.p, f->value.n);
        len += f->value.n;
    }
    h->n_fields = kept;
    if (first) {
        first->value = span_make(all, len);
    }
    return FRUN_OK;
}

frun_err h2_rx_finish(struct h2_rx *rx, bool is_end, bool is_head_method)
{
    struct head *h = &rx->head;

    if (is_end || (h->status && never_has_body(h->status, is_head_method))) {
        h->body = HEAD_BODY_NONE;
    } else if (rx->has_length) {
        h->body = HEAD_BODY_LENGTH;
        h->body_len_bytes = rx->len_bytes;
    } else {
        h->body = HEAD_BODY_CHUNKED;
    }
    if (is_end) {
        h->wants_continue = false;
    }
    return rx->n_cookies > 1 ? join_cookies(rx) : FRUN_OK;
}
