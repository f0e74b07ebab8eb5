/**
 * Heads as they arrive: from header list to request or answer.
 *
 * A field block is never interleaved with anything else, so a session has at most one head under
 * way, and one place for it. A server's owner lends the place (the exchange's own head and memory),
 * so that a request's head is written once, where it stays.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include "frun/http/uri.h"

#include <stdlib.h>
#include <string.h>

/* What RFC 9113 10.5.1 counts for each field beside its octets. */
#define FIELD_OVERHEAD_BYTES 32

/* The arena rounds up and its blocks have heads: room beside the counted octets. */
#define ARENA_SLACK_BYTES 16384

/* Octets of a method; as in HTTP/1.1. */
#define METHOD_MAX_BYTES 32

/* A stranger's list that is so many times larger than told is meant to hurt (HPACK bomb). */
#define BOMB_FACTOR 4

/* ---- the place ---- */

static void clear_head(struct head *h)
{
    h->method = h->target = h->authority = h->reason = (struct span){0};
    h->status = 0;
    h->minor = 1;
    h->is_http2 = true;
    h->body = HEAD_BODY_NONE;
    h->body_len_bytes = 0;
    h->is_keep_alive = true;
    h->wants_continue = h->is_upgrade = false;
    h->n_fields = 0;
}

static frun_err own_place(struct h2_rx *rx, size_t max_head_bytes)
{
    if (!rx->own_head) {
        rx->own_head = malloc(sizeof(*rx->own_head));
        if (!rx->own_head) {
            return FRUN_E_NOMEM;
        }
        arena_init(&rx->own_arena, max_head_bytes * 2 + ARENA_SLACK_BYTES);
    }
    rx->place = (struct h2_place){.head = rx->own_head, .arena = &rx->own_arena};
    return FRUN_OK;
}

static bool is_lent(const struct h2 *h)
{
    return !h->set.is_client && h->ev->on_head;
}

void h2_rx_done(struct h2_rx *rx)
{
    if (rx->own_head) {
        arena_done(&rx->own_arena);
        free(rx->own_head);
    }
}

/* The head has been delivered, or never will be. */
static void end(struct h2 *h)
{
    struct h2_rx *rx = &h->rx;

    rx->stream = NULL;
    if (rx->place.arena == &rx->own_arena) {
        arena_reset(&rx->own_arena);
    }
}

void h2_rx_lost(struct h2 *h, const char *why)
{
    if (!h->rx.stream) {
        return;
    }
    end(h);
    if (is_lent(h)) {
        h->ev->on_head_lost(h->ctx, h->rx.place.owner, why);
    }
}

frun_err h2_rx_begin(struct h2_stream *s)
{
    struct h2 *h = s->h;
    struct h2_rx *rx = &h->rx;

    if (s->is_head_in) {
        return FRUN_OK; /* trailers: nobody reads them */
    }
    h2_rx_lost(h, H2_WHY_MALFORMED);
    if (is_lent(h)) {
        if (!h->ev->on_head(h->ctx, &rx->place)) {
            return FRUN_E_NOMEM;
        }
    } else if (own_place(rx, h->set.max_head_bytes)) {
        return FRUN_E_NOMEM;
    }
    clear_head(rx->place.head);
    rx->stream = s;
    rx->bytes = rx->n_cookies = rx->cookie_bytes = 0;
    rx->scheme = (struct span){0};
    rx->seen = 0;
    rx->fault = (struct head_fault){0};
    rx->has_length = false;
    rx->len_bytes = 0;
    rx->begun_ms = loop_now_ms(h->loop);
    return FRUN_OK;
}

/* ---- its fields ---- */

static frun_err fail(struct h2_rx *rx, unsigned status, const char *why)
{
    rx->fault = (struct head_fault){.status = status, .why = why};
    return status == 431 ? FRUN_E_LIMIT : status == 503 ? FRUN_E_NOMEM : FRUN_E_SYNTAX;
}

static frun_err take_pseudo(struct h2_rx *rx, struct span name, struct span value)
{
    struct head *h = rx->place.head;
    uint64_t status = 0;

    if (span_eq(name, SPAN_LIT(":method"))) {
        h->method = value;
    } else if (span_eq(name, SPAN_LIT(":path"))) {
        h->target = value;
    } else if (span_eq(name, SPAN_LIT(":authority"))) {
        h->authority = value;
    } else if (span_eq(name, SPAN_LIT(":scheme"))) {
        rx->scheme = value;
    } else if (span_eq(name, SPAN_LIT(":status"))) {
        if (span_to_u64(value, &status) || status < 100 || status > 599) {
            return fail(rx, 400, "the status is no number");
        }
        h->status = (unsigned)status;
    } else {
        /* ":protocol" and whatever comes later: extended CONNECT is not spoken here. */
        return fail(rx, 501, "a pseudo-header field that is not supported");
    }
    return FRUN_OK;
}

static frun_err take_framing(struct h2_rx *rx, struct span name, struct span value)
{
    if (span_eq(name, SPAN_LIT("cookie"))) {
        rx->n_cookies++;
        rx->cookie_bytes += value.n + 2;
    } else if (span_eq(name, SPAN_LIT("content-length"))) {
        if (rx->has_length || span_to_u64(value, &rx->len_bytes) || rx->len_bytes > INT64_MAX) {
            return fail(rx, 400, "content-length is repeated, or not a plain number");
        }
        rx->has_length = true;
    } else if (span_eq(name, SPAN_LIT("expect"))) {
        if (!span_eq_nocase(value, SPAN_LIT("100-continue"))) {
            return fail(rx, 417, "an expectation other than 100-continue");
        }
        rx->place.head->wants_continue = true;
    }
    return FRUN_OK;
}

static frun_err take_field(struct h2_rx *rx, struct span name, struct span value, size_t max_fields)
{
    struct head *h = rx->place.head;
    frun_err err;

    if (span_eq(name, SPAN_LIT("host"))) {
        /* Two hosts that differ would let us and the next hop see two. Source: RFC 9113 8.3.1. */
        if (h->authority.p && !span_eq_nocase(h->authority, value)) {
            return fail(rx, 400, "host and :authority differ");
        }
        h->authority = value;
        return FRUN_OK;
    }
    err = take_framing(rx, name, value);
    if (err) {
        return err;
    }
    if (h->n_fields >= max_fields || head_add(h, name, value)) {
        return fail(rx, 431, "too many fields");
    }
    return FRUN_OK;
}

static frun_err take(struct h2 *h, struct span name, struct span value)
{
    struct h2_rx *rx = &h->rx;
    char *copy;

    if (rx->bytes > h->set.max_head_bytes) {
        return fail(rx, 431, "the head is too long");
    }
    copy = arena_alloc(rx->place.arena, name.n + value.n);
    if (!copy) {
        return fail(rx, 503, "out of memory");
    }
    memcpy(copy, name.p, name.n);
    if (value.n > 0) {
        memcpy(copy + name.n, value.p, value.n);
    }
    name = span_make(copy, name.n);
    value = span_make(copy + name.n, value.n);
    return name.p[0] == ':' ? take_pseudo(rx, name, value)
                            : take_field(rx, name, value, h->set.max_fields);
}

frun_err h2_rx_field(struct h2_stream *s, struct span name, struct span value)
{
    struct h2 *h = s->h;
    struct h2_rx *rx = &h->rx;
    frun_err err;

    if (rx->stream != s) {
        return FRUN_OK;
    }
    rx->bytes += name.n + value.n + FIELD_OVERHEAD_BYTES;
    if (h->set.is_stranger && rx->bytes / BOMB_FACTOR > h->set.max_head_bytes) {
        h2_break(h, NGHTTP2_ENHANCE_YOUR_CALM, FRUN_E_LIMIT, "the peer's header list is too large");
    }
    if (rx->fault.status) {
        return FRUN_OK;
    }
    if (h2_has_own_rules(h) && !h2_rules_field(&rx->seen, !h->set.is_client, name, value)) {
        return h2_rx_bad_field(s);
    }
    if (name.n == 0) {
        return FRUN_OK; /* nghttp2 has refused it before */
    }
    err = take(h, name, value);
    if (!h->set.is_client) {
        return FRUN_OK; /* answered when the list is complete */
    }
    s->is_limit = s->is_limit || err == FRUN_E_LIMIT;
    return err;
}

frun_err h2_rx_bad_field(struct h2_stream *s)
{
    struct h2_rx *rx = &s->h->rx;

    if (s->h->set.is_client || rx->stream != s) {
        return FRUN_E_SYNTAX;
    }
    if (!rx->fault.status) {
        (void)fail(rx, 400, "a field's name or value breaks its grammar");
    }
    return FRUN_OK;
}

/* ---- complete ---- */

/* HTTP/2 may send one Cookie field per pair; everybody behind us wants one field. Source: RFC 9113
 * 8.2.3. */
static frun_err join_cookies(struct h2_rx *rx)
{
    struct head *h = rx->place.head;
    char *all = arena_alloc(rx->place.arena, rx->cookie_bytes);
    struct field *first = NULL;
    size_t len = 0;
    size_t kept = 0;

    if (!all) {
        return fail(rx, 503, "out of memory");
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

static frun_err finish(struct h2_rx *rx, bool is_end, bool is_head_method)
{
    struct head *h = rx->place.head;

    if (is_end || (h->status && h2_never_has_body(h->status, is_head_method))) {
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

static frun_err check_target(struct h2 *h, struct h2_rx *rx)
{
    const struct head *head = rx->place.head;

    if (head->target.n > h->set.max_target_bytes) {
        return fail(rx, 414, "the request target is too long");
    }
    if (!head_is_target(head->target) ||
        !(head->target.p[0] == '/' ||
          (span_eq(head->target, SPAN_LIT("*")) && span_eq(head->method, SPAN_LIT("OPTIONS"))))) {
        return fail(rx, 400, ":path is not a path");
    }
    return FRUN_OK;
}

/* What a request must fulfil beyond nghttp2's checks. */
static frun_err check_request(struct h2 *h)
{
    struct h2_rx *rx = &h->rx;
    const struct head *head = rx->place.head;

    if (span_eq(head->method, SPAN_LIT("CONNECT"))) {
        return fail(rx, 501, "CONNECT is not supported");
    }
    if (!head_is_token(head->method) || head->method.n > METHOD_MAX_BYTES) {
        return fail(rx, 400, "the method is malformed");
    }
    if (!span_eq_nocase(rx->scheme, SPAN_LIT("https")) &&
        !span_eq_nocase(rx->scheme, SPAN_LIT("http"))) {
        return fail(rx, 400, ":scheme is neither https nor http");
    }
    if (!uri_is_authority(head->authority, NULL, NULL)) {
        return fail(rx, 400, ":authority is not host[:port]");
    }
    return check_target(h, rx);
}

static void deliver_request(struct h2_stream *s, bool is_end)
{
    struct h2 *h = s->h;
    struct h2_rx *rx = &h->rx;
    struct served *served;

    s->is_head_in = true;
    s->is_in_ended = is_end;
    if (!rx->fault.status && !check_request(h)) {
        (void)finish(rx, is_end, false); /* leaves its fault there */
    }
    if (rx->fault.status && !h->ev->on_refused) {
        h2_stream_answer_bare(s, rx->fault.status);
        if (is_lent(h)) {
            h->ev->on_head_lost(h->ctx, rx->place.owner, rx->fault.why);
        }
        return;
    }
    s->is_continue_due = rx->place.head->wants_continue;
    s->is_head_method = span_eq(rx->place.head->method, SPAN_LIT("HEAD"));
    served = h2_stream_serve(s);
    served->owner = rx->place.owner;
    if (rx->fault.status) {
        struct head_fault fault = rx->fault;

        h->ev->on_refused(h->ctx, served, &fault);
    } else {
        h->ev->on_request(h->ctx, served, rx->place.head);
    }
    h2_stream_check_taken(s);
}

static void deliver_answer(struct h2_stream *s, bool is_end)
{
    struct h2_rx *rx = &s->h->rx;
    struct head *head = rx->place.head;

    if (head->status < 200 || !s->is_owned) {
        return;
    }
    s->is_head_in = true;
    if (finish(rx, is_end, s->is_head_method) != FRUN_OK) {
        h2_stream_fail(s);
        return;
    }
    s->is_accepted = true;
    s->u.call.ev->on_head(s->u.call.owner, head);
}

/* The block is whole: is its message sound so far? A request that is not will be answered. */
static bool is_sound(struct h2_stream *s, bool is_head, bool is_end)
{
    struct h2_rx *rx = &s->h->rx;

    if (!h2_has_own_rules(s->h)) {
        return true;
    }
    if (!is_head) { /* trailers: after them nothing may come */
        return !s->is_owned || (is_end && h2_rules_end(s));
    }
    if (rx->fault.status || h2_rules_head(s, rx, is_end)) {
        return true;
    }
    (void)fail(rx, 400, "the message and its content-length do not fit");
    return !s->h->set.is_client;
}

void h2_rx_complete(struct h2_stream *s, bool is_end)
{
    struct h2 *h = s->h;
    bool is_head = h->rx.stream == s;

    if (!is_sound(s, is_head, is_end)) {
        h2_stream_break(s);
        if (is_head) {
            end(h);
        }
        return;
    }
    h->rx.stream = is_head ? NULL : h->rx.stream; /* delivered, whatever its owner does now */
    if (is_head && h->set.is_client) {
        deliver_answer(s, is_end);
    } else if (is_head) {
        deliver_request(s, is_end);
    }
    if (is_head) {
        end(h);
    }
    if (is_end && (h->set.is_client || !is_head)) {
        h2_stream_in_end(s);
    }
}
