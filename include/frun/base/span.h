/**
 * A span borrows octets: a pointer and a length, no ownership, no final NUL.
 *
 * Everything that parsers hand out is a span into the caller's buffer. All functions are pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_SPAN_H
#define FRUN_BASE_SPAN_H

#include "frun/base/err.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Borrowed octets. p may be NULL when n is 0; "absent" and "empty" differ by p. */
struct span {
    const char *p; /**< first octet */
    size_t n;      /**< octets */
};

/** A span over a string literal. */
#define SPAN_LIT(s) ((struct span){(s), sizeof(s) - 1})

/** printf arguments for "%.*s". */
#define SPAN_FMT(s) (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), ((s).p ? (s).p : "")

/** Make a span. @param p first octet @param n octets @return the span. Thread: any. */
static inline struct span span_make(const void *p, size_t n)
{
    return (struct span){(const char *)p, n};
}

/** A span over a C string. @param s NUL-terminated, or NULL for the absent span @return it. Thread:
 * any. */
static inline struct span span_of(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}

/** Same octets? @param a one @param b other @return true if equal. Thread: any. */
static inline bool span_eq(struct span a, struct span b)
{
    /* NULL has no octets, which the analyzer does not know. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** Does @p s begin with @p head? @param s text @param head beginning @return true if so. Thread:
 * any. */
static inline bool span_starts(struct span s, struct span head)
{
    return s.n >= head.n && (head.n == 0 || memcmp(s.p, head.p, head.n) == 0);
}

/** Eight octets with ASCII letters in lower case, all at once. tolower() would follow the locale.
 * @param w octets @return them. Thread: any. */
static inline uint64_t span_lower8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t low = w & (ones * 0x7f);
    uint64_t from_a = low + ones * (0x80 - 'A');
    uint64_t behind_z = low + ones * (0x7f - 'Z');

    return w | ((from_a ^ behind_z) & ~w & (ones * 0x80)) >> 2;
}

/** The first eight octets of a text, the first one in the lowest place; zeros behind a shorter one.
 * @param p text @param n its octets @return them. Thread: any. */
static inline uint64_t span_load8(const char *p, size_t n)
{
    uint64_t w = 0;
    uint32_t a;
    uint32_t b;

    if (n >= 8) {
        memcpy(&w, p, 8);
        return le64toh(w);
    }
    if (n >= 4) { /* both may hold the octets in the middle */
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        return le32toh(a) | (uint64_t)le32toh(b) << 8 * (n - 4);
    }
    for (size_t i = 0; i < n; i++) {
        w |= (uint64_t)(unsigned char)p[i] << 8 * i;
    }
    return w;
}

/** As span_starts(), ASCII letters compared without case. @param s text @param head beginning
 * @return true if so. Thread: any. */
static inline bool span_starts_nocase(struct span s, struct span head)
{
    size_t i = 0;

    if (s.n < head.n) {
        return false;
    }
    if (head.n <= 8) {
        return span_lower8(span_load8(s.p, head.n)) == span_lower8(span_load8(head.p, head.n));
    }
    for (; i + 8 < head.n; i += 8) {
        if (span_lower8(span_load8(s.p + i, 8)) != span_lower8(span_load8(head.p + i, 8))) {
            return false;
        }
    }
    i = head.n - 8; /* the last eight, of which some have been compared */
    return span_lower8(span_load8(s.p + i, 8)) == span_lower8(span_load8(head.p + i, 8));
}

/** Same octets, ASCII letters compared without case? @param a one @param b other @return true if
 * so. Thread: any. */
static inline bool span_eq_nocase(struct span a, struct span b)
{
    return a.n == b.n && span_starts_nocase(a, b); /* most names differ in their length */
}

/** Position of octet @p c. @param s text @param c octet @return index, or s.n if absent. Thread:
 * any. */
static inline size_t span_find(struct span s, char c)
{
    const char *hit = s.n ? (const char *)memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

/** The rest after @p n octets. @param s text @param n octets to skip, <= s.n @return the rest.
 * Thread: any. */
static inline struct span span_skip(struct span s, size_t n)
{
    return (struct span){n > 0 ? s.p + n : s.p, s.n - n};
}

/** The first @p n octets. @param s text @param n octets, <= s.n @return them. Thread: any. */
static inline struct span span_head(struct span s, size_t n)
{
    return (struct span){s.p, n};
}

/** Without SP and HTAB at both ends. @param s text @return the inner part. Thread: any. */
struct span span_trim(struct span s);

/**
 * Cut the part before the first @p sep off the front of @p rest.
 *
 * @param rest     in: text; out: what follows the separator, or the absent span after the last part
 * @param sep      separator
 * @param part     out: the part, possibly empty
 * @return true while there was a part; false when @p rest is absent
 * Thread: any.
 */
bool span_split(struct span *rest, char sep, struct span *part);

/**
 * Parse decimal digits, nothing else.
 *
 * @param s        1*DIGIT; no sign, no blank
 * @param out      the number, untouched on failure
 * @return FRUN_OK; FRUN_E_SYNTAX not all digits or empty; FRUN_E_LIMIT above 2^64-1
 * Thread: any.
 */
frun_err span_to_u64(struct span s, uint64_t *out) FRUN_MUST_CHECK;

#endif
