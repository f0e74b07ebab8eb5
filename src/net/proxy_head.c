/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/proxy_head.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* Octets of the longest line of version 1, with CR LF: so the specification counts. */
#define LINE_MAX_BYTES 107

/* Octets of version 2 before its addresses. */
#define FIXED_BYTES 16

/* What version 2 begins with. */
static const char signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                   '\n', 'Q',  'U',  'I',  'T',  '\n'};

static void set_source(struct proxy_head *h, bool is_v6, const void *octets, unsigned port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&h->source.ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&h->source.ss;
    h->has_source = true;
    if (is_v6) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        memcpy(&v6->sin6_addr, octets, sizeof(v6->sin6_addr));
        h->source.len = sizeof(*v6);
    } else {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        memcpy(&v4->sin_addr, octets, sizeof(v4->sin_addr));
        h->source.len = sizeof(*v4);
    }
}

/* ---- version 1: a line ---- */

/* The word before the next blank; the blank must be there, and one alone. */
static bool take_word(struct span *rest, struct span *word)
{
    size_t n = span_find(*rest, ' ');
    if (n == 0 || n == rest->n) {
        return false;
    }
    *word = span_head(*rest, n);
    *rest = span_skip(*rest, n + 1);
    return true;
}

static bool read_address(struct span word, bool is_v6, unsigned char octets[16])
{
    char text[INET6_ADDRSTRLEN];
    if (word.n >= sizeof(text) || memchr(word.p, '\0', word.n)) {
        return false;
    }
    memcpy(text, word.p, word.n);
    text[word.n] = '\0';
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, octets) == 1;
}

static bool read_port(struct span word, unsigned *port)
{
    uint64_t number;
    if (word.n == 0 || word.n > 5 || (word.n > 1 && word.p[0] == '0') ||
        span_to_u64(word, &number) || number > 65535) {
        return false;
    }
    *port = (unsigned)number;
    return true;
}

static frun_err read_line(struct span line, struct proxy_head *h)
{
    unsigned char source[16];
    unsigned char target[16];
    unsigned port;
    unsigned target_port;
    struct span words[3];
    struct span rest = span_skip(line, 6); /* "PROXY " */
    if (span_eq(span_head(rest, rest.n < 7 ? rest.n : 7), SPAN_LIT("UNKNOWN")) &&
        (rest.n == 7 || rest.p[7] == ' ')) {
        return FRUN_OK;
    }
    struct span family;
    if (!take_word(&rest, &family)) {
        return FRUN_E_SYNTAX;
    }
    bool is_v6 = span_eq(family, SPAN_LIT("TCP6"));
    if ((!is_v6 && !span_eq(family, SPAN_LIT("TCP4"))) || !take_word(&rest, &words[0]) ||
        !take_word(&rest, &words[1]) || !take_word(&rest, &words[2]) ||
        !read_address(words[0], is_v6, source) || !read_address(words[1], is_v6, target) ||
        !read_port(words[2], &port) || !read_port(rest, &target_port)) {
        return FRUN_E_SYNTAX;
    }
    set_source(h, is_v6, source, port);
    return FRUN_OK;
}

static frun_err read_v1(struct span in, struct proxy_head *h)
{
    size_t n = in.n < LINE_MAX_BYTES ? in.n : LINE_MAX_BYTES;
    struct span seen = span_head(in, n);
    size_t cr = span_find(seen, '\r');
    if (cr + 1 >= n) {
        /* Without its end the line must at least still be able to get one. */
        return n == LINE_MAX_BYTES || span_find(seen, '\n') < n ? FRUN_E_SYNTAX : FRUN_E_AGAIN;
    }
    if (seen.p[cr + 1] != '\n' || span_find(span_head(seen, cr), '\n') < cr) {
        return FRUN_E_SYNTAX;
    }
    h->len = cr + 2;
    return read_line(span_head(seen, cr), h);
}

/* ---- version 2: octets ---- */

static frun_err read_v2(struct span in, struct proxy_head *h)
{
    if (in.n < FIXED_BYTES) {
        return FRUN_E_AGAIN;
    }
    const unsigned char *p = (const unsigned char *)in.p;
    unsigned command = p[12];
    unsigned family = p[13];
    size_t len = (size_t)p[14] << 8 | p[15];
    if (command != 0x20 && command != 0x21) {
        return FRUN_E_SYNTAX; /* another version, or a command that does not exist */
    }
    if (FIXED_BYTES + len > PROXY_HEAD_MAX_BYTES) {
        return FRUN_E_LIMIT;
    }
    /* TCP over IPv4, TCP over IPv6: two addresses and two ports. */
    size_t want = family == 0x11 ? 12 : family == 0x21 ? 36 : 0;
    if (command == 0x21 && family != 0x00 && (want == 0 || len < want)) {
        return FRUN_E_SYNTAX; /* a datagram's or a UNIX socket's never comes to a TCP listener */
    }
    if (in.n < FIXED_BYTES + len) {
        return FRUN_E_AGAIN;
    }
    h->len = FIXED_BYTES + len;
    if (command == 0x21 && want) {
        const unsigned char *ports = p + FIXED_BYTES + want - 4;
        set_source(h, family == 0x21, p + FIXED_BYTES, (unsigned)ports[0] << 8 | ports[1]);
    }
    return FRUN_OK;
}

frun_err proxy_head_read(struct span in, struct proxy_head *out)
{
    static const struct span line = {.p = "PROXY ", .n = 6};
    const struct span binary = {.p = signature, .n = sizeof(signature)};
    struct proxy_head h = {.len = 0};
    frun_err err;
    if (in.n == 0) {
        return FRUN_E_AGAIN;
    }
    const struct span *begin = in.p[0] == 'P' ? &line : &binary;
    size_t n = in.n < begin->n ? in.n : begin->n;
    if (memcmp(in.p, begin->p, n) != 0) {
        return FRUN_E_SYNTAX;
    }
    if (n < begin->n) {
        return FRUN_E_AGAIN;
    }
    err = begin == &line ? read_v1(in, &h) : read_v2(in, &h);
    if (!err) {
        *out = h;
    }
    return err;
}
