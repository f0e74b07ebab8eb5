/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/text.h"

#include <endian.h>
#include <openssl/evp.h>
#include <string.h>

/* EVP_EncodeBlock() counts in int; a multiple of three keeps padding out of the middle. */
#define TEXT_CHUNK_BYTES ((size_t)3 << 20)

size_t text_base64(struct span s, char *out)
{
    size_t len = 0;

    out[0] = '\0';
    while (s.n > 0) {
        size_t n = s.n < TEXT_CHUNK_BYTES ? s.n : TEXT_CHUNK_BYTES;
        len +=
            (size_t)EVP_EncodeBlock((unsigned char *)out + len, (const unsigned char *)s.p, (int)n);
        s = span_skip(s, n);
    }
    return len;
}

/* What the two alphabets spell differently: the 63rd and the 64th. */
static const char plain_tail[2] = {'+', '/'};
static const char url_tail[2] = {'-', '_'};

size_t text_base64url(struct span s, char *out)
{
    size_t n = text_base64(s, out);
    while (n > 0 && out[n - 1] == '=') {
        out[--n] = '\0';
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = out[i] == plain_tail[0]   ? url_tail[0]
                 : out[i] == plain_tail[1] ? url_tail[1]
                                           : out[i];
    }
    return n;
}

/* 0..63, or -1 for an octet outside the alphabet. */
static int sextet(char c, const char tail[2])
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == tail[0]) {
        return 62;
    }
    return c == tail[1] ? 63 : -1;
}

/* One group of four; used is how many of them are not padding. */
static frun_err decode_group(const char *p, size_t used, const char tail[2], char *out)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < used; i++) {
        int v = sextet(p[i], tail);
        if (v < 0) {
            return FRUN_E_SYNTAX;
        }
        bits |= (uint32_t)v << (18 - 6 * i);
    }
    /* Set bits below the last octet would give one text two spellings. */
    if ((used == 2 && (bits & 0xffffU)) || (used == 3 && (bits & 0xffU))) {
        return FRUN_E_SYNTAX;
    }
    for (size_t i = 0; i + 1 < used; i++) {
        out[i] = (char)(unsigned char)(bits >> (16 - 8 * i) & 0xffU);
    }
    return FRUN_OK;
}

frun_err text_base64_decode(struct span s, char *out, size_t *out_len)
{
    size_t len = 0;
    size_t pad = 0;

    if (s.n % 4 != 0) {
        return FRUN_E_SYNTAX;
    }
    while (pad < 2 && pad < s.n && s.p[s.n - 1 - pad] == '=') {
        pad++;
    }
    for (size_t i = 0; i < s.n; i += 4) {
        size_t used = i + 4 == s.n ? 4 - pad : 4;
        frun_err err = decode_group(s.p + i, used, plain_tail, out + len);
        if (err) {
            return err;
        }
        len += used - 1;
    }
    *out_len = len;
    return FRUN_OK;
}

frun_err text_base64url_decode(struct span s, char *out, size_t *out_len)
{
    size_t len = 0;

    for (size_t i = 0; i < s.n; i += 4) {
        size_t used = s.n - i < 4 ? s.n - i : 4;
        frun_err err = used == 1 ? FRUN_E_SYNTAX : decode_group(s.p + i, used, url_tail, out + len);
        if (err) {
            return err;
        }
        len += used - 1;
    }
    *out_len = len;
    return FRUN_OK;
}

/* Digits of up to four octets, the first one's in the lowest places. */
static uint64_t hex8(uint64_t octets)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t x = (octets | octets << 16) & 0x0000ffff0000ffffU;
    uint64_t letters;

    x = (x | x << 8) & 0x00ff00ff00ff00ffU;
    x = (x >> 4 | x << 8) & (ones * 0x0f); /* each octet's high half first */
    letters = (x + ones * (0x80 - 10)) >> 7 & ones;
    return x + ones * '0' + letters * ('a' - '0' - 10);
}

void text_hex(struct span s, char *out)
{
    for (; s.n > 0; s = span_skip(s, s.n < 4 ? s.n : 4)) {
        size_t n = s.n < 4 ? s.n : 4;
        uint64_t digits = htole64(hex8(span_load8(s.p, n)));

        memcpy(out, &digits, 2 * n);
        out += 2 * n;
    }
    *out = '\0';
}

size_t text_number(uint64_t v, char *out)
{
    char digits[TEXT_NUMBER_BYTES];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}
