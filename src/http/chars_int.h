/**
 * Character kinds of HTTP and URI texts, one table look-up per octet; shared by the modules of this
 * room only.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_CHARS_INT_H
#define FRUN_HTTP_CHARS_INT_H

#include "frun/base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bits of chars_kind[]. */
enum {
    CHARS_TOKEN = 1,      /**< tchar, RFC 9110 5.6.2 */
    CHARS_VALUE = 2,      /**< field value: HTAB, SP, visible, 0x80..0xff */
    CHARS_PATH = 4,       /**< pchar without '%', RFC 3986 3.3 */
    CHARS_UNRESERVED = 8, /**< RFC 3986 2.3 */
    CHARS_HEX = 16,       /**< hexadecimal digit */
    CHARS_TARGET = 32     /**< visible ASCII but '#' */
};

/** Kinds of each octet. */
extern const unsigned char chars_kind[256];

/** Is @p c of one of @p kinds? @param c octet @param kinds CHARS_ bits @return true if so. Thread:
 * any. */
static inline bool chars_is(char c, unsigned kinds)
{
    return (chars_kind[(unsigned char)c] & kinds) != 0;
}

/** ASCII letter in lower case, anything else as it is. @param c octet @return it. Thread: any. */
static inline char chars_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/** Value of a hexadecimal digit. @param c digit @return 0..15. Thread: any. */
static inline unsigned chars_hex(char c)
{
    unsigned u = (unsigned char)c;

    return u <= '9' ? u - '0' : (u | 0x20U) - 'a' + 10;
}

/** Controls (0x00..0x1f, 0x7f) among eight octets. @param w them @return 0: none; else the lowest
 * bit set is in the first of them. Thread: any. */
static inline uint64_t chars_controls8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t del = w ^ (ones * 0x7f);

    return (((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & (ones * 0x80);
}

/** Controls among the last eight octets of a text, or all of a shorter one. @param p text @param n
 * octets, 1.. @return 0: none. Thread: any. */
static inline uint64_t chars_last_controls(const char *p, size_t n)
{
    const uint64_t blanks = 0x2020202020202020U;

    return chars_controls8(n >= 8 ? span_load8(p + n - 8, 8) : span_load8(p, n) | blanks << 8 * n);
}

/**
 * Octets before the first control (0x00..0x1f, 0x7f), eight at a time: most octets of a head are
 * skipped here.
 *
 * @param p text @param n octets @return index of the control, or @p n. Thread: any.
 */
static inline size_t chars_text_run(const char *p, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t hits = chars_controls8(span_load8(p + i, 8));

        /* A borrow may raise a false bit behind a true one, never before it or without one. */
        if (hits) {
            return i + (size_t)__builtin_ctzll(hits) / 8;
        }
    }
    if (i < n && !chars_last_controls(p, n)) {
        return n;
    }
    while (i < n && (unsigned char)p[i] >= 0x20 && (unsigned char)p[i] != 0x7f) {
        i++;
    }
    return i;
}

#endif
