/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_int.h"

#include <string.h>

/* What a list has had so far. */
enum {
    SEEN_METHOD = 1,
    SEEN_PATH = 2,
    SEEN_AUTHORITY = 4,
    SEEN_SCHEME = 8,
    SEEN_STATUS = 16,
    SEEN_HOST = 32,
    SEEN_FIELD = 64 /* any field that is no pseudo-header field */
};

#define SEEN_OF_REQUESTS (SEEN_METHOD | SEEN_PATH | SEEN_AUTHORITY | SEEN_SCHEME)

/* The high bit of every octet that is a lower-case letter, a figure or '-'. */
static uint64_t usual8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t low = w & (ones * 0x7f);
    uint64_t letters = (low + ones * (0x80 - 'a')) & ~(low + ones * (0x7f - 'z'));
    uint64_t figures = (low + ones * (0x80 - '0')) & ~(low + ones * (0x7f - '9'));
    uint64_t hyphens = ones * 0x80 - (low ^ ones * '-');

    return (letters | figures | hyphens) & ~w & (ones * 0x80);
}

/* Only such octets; at least one. */
static bool is_usual(struct span name)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t sound = ones * 0x80;

    if (name.n < 8) {
        uint64_t fill = (ones * 'a') << 8 * name.n;

        return usual8(span_load8(name.p, name.n) | fill) == sound;
    }
    for (size_t i = 0; i + 8 < name.n; i += 8) {
        sound &= usual8(span_load8(name.p + i, 8));
    }
    return (sound & usual8(span_load8(name.p + name.n - 8, 8))) == ones * 0x80;
}

/* A token without upper case. Source: RFC 9113 8.2.1. */
static bool is_name(struct span name)
{
    if (name.n == 0) {
        return false;
    }
    if (is_usual(name)) {
        return true;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] >= 'A' && name.p[i] <= 'Z') {
            return false;
        }
    }
    return head_is_token(name);
}

static unsigned pseudo_of(struct span name)
{
    switch (name.n) {
    case 5:
        return span_eq(name, SPAN_LIT(":path")) ? SEEN_PATH : 0;
    case 7:
        return span_eq(name, SPAN_LIT(":method"))   ? SEEN_METHOD
               : span_eq(name, SPAN_LIT(":scheme")) ? SEEN_SCHEME
               : span_eq(name, SPAN_LIT(":status")) ? SEEN_STATUS
                                                    : 0;
    case 10:
        return span_eq(name, SPAN_LIT(":authority")) ? SEEN_AUTHORITY : 0;
    default:
        return 0;
    }
}

/* Each once, before all other fields, and of this kind of message. Source: RFC 9113 8.3. */
static bool is_pseudo_sound(unsigned *seen, bool is_request, struct span name, struct span value)
{
    unsigned bit = pseudo_of(name);

    if (bit == 0 || is_request != ((bit & SEEN_OF_REQUESTS) != 0) || value.n == 0 ||
        (*seen & (bit | SEEN_FIELD))) {
        return false;
    }
    *seen |= bit;
    return bit != SEEN_STATUS || (value.n == 3 && !span_eq(value, SPAN_LIT("101")));
}

/* What belongs to one connection of HTTP/1.1 makes a message malformed. Source: RFC 9113 8.2.2. */
static bool is_field_sound(unsigned *seen, bool is_request, struct span name, struct span value)
{
    *seen |= SEEN_FIELD;
    switch (name.n) {
    case 2:
        return !span_eq(name, SPAN_LIT("te")) || span_eq_nocase(value, SPAN_LIT("trailers"));
    case 4:
        if (is_request && span_eq(name, SPAN_LIT("host"))) {
            bool is_again = *seen & SEEN_HOST;

            *seen |= SEEN_HOST;
            return !is_again && value.n > 0;
        }
        return true;
    case 7:
        return !span_eq(name, SPAN_LIT("upgrade"));
    case 10:
        return !span_eq(name, SPAN_LIT("connection")) && !span_eq(name, SPAN_LIT("keep-alive"));
    case 16:
        return !span_eq(name, SPAN_LIT("proxy-connection"));
    case 17:
        return !span_eq(name, SPAN_LIT("transfer-encoding"));
    default:
        return true;
    }
}

bool h2_rules_field(unsigned *seen, bool is_request, struct span name, struct span value)
{
    if (!head_is_value(value)) {
        return false;
    }
    if (name.n > 0 && name.p[0] == ':') {
        return is_pseudo_sound(seen, is_request, name, value);
    }
    return is_name(name) && is_field_sound(seen, is_request, name, value);
}

/* A length says nothing in front of no body. Source: RFC 9110 8.6. */
static void drop_length(struct head *h)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (span_eq(h->fields[i].name, SPAN_LIT("content-length"))) {
            memmove(&h->fields[i], &h->fields[i + 1], (h->n_fields - i - 1) * sizeof(h->fields[0]));
            h->n_fields--;
            return;
        }
    }
}

/* Source: RFC 9113 8.1, RFC 9110 8.6. */
static bool is_answer_sound(struct h2_rx *rx, bool is_end)
{
    struct head *head = rx->place.head;

    if (head->status < 200) {
        return head->status != 0 && !is_end && !rx->has_length;
    }
    if (head->status == 204 && rx->has_length) {
        drop_length(head);
        return rx->len_bytes == 0;
    }
    return true;
}

/* Nothing more is owed. */
static bool is_all_here(const struct h2_stream *s)
{
    return s->left_bytes == 0 || s->left_bytes == H2_LENGTH_UNKNOWN;
}

bool h2_rules_head(struct h2_stream *s, struct h2_rx *rx, bool is_end)
{
    unsigned status = rx->place.head->status;
    bool is_bodiless = status && h2_never_has_body(status, s->is_head_method);

    if (s->h->set.is_client && !is_answer_sound(rx, is_end)) {
        return false;
    }
    s->left_bytes = is_bodiless ? 0 : rx->has_length ? rx->len_bytes : H2_LENGTH_UNKNOWN;
    return !is_end || is_all_here(s);
}

bool h2_rules_body(struct h2_stream *s, size_t n)
{
    if (s->is_broken || !s->is_head_in || n > s->left_bytes) {
        return false;
    }
    s->left_bytes -= s->left_bytes == H2_LENGTH_UNKNOWN ? 0 : n;
    return true;
}

bool h2_rules_end(const struct h2_stream *s)
{
    return !s->is_broken && s->is_head_in && is_all_here(s);
}
