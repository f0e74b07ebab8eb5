/**
 * Octets and numbers to text, and octets back: base64, base64url, hexadecimal, decimal.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_TEXT_H
#define FRUN_BASE_TEXT_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>
#include <stdint.h>

/** Octets of base64 text for @p n octets, with the final NUL. */
#define TEXT_BASE64_BYTES(n) (((n) + 2) / 3 * 4 + 1)

/** Encode as base64 with padding. @param s octets @param out TEXT_BASE64_BYTES(s.n) octets,
 * NUL-terminated @return text length. Thread: any. Source: RFC 4648 4. */
size_t text_base64(struct span s, char *out);

/**
 * Decode base64 strictly: padding required, no blanks, unused bits zero.
 *
 * @param s        text
 * @param out      at least s.n / 4 * 3 octets
 * @param out_len  out: octets written
 * @return FRUN_OK; FRUN_E_SYNTAX not base64
 * Thread: any. Source: RFC 4648 4, 3.5.
 */
frun_err text_base64_decode(struct span s, char *out, size_t *out_len) FRUN_MUST_CHECK;

/** Encode as base64url without padding. @param s octets @param out TEXT_BASE64_BYTES(s.n) octets,
 * NUL-terminated @return text length. Thread: any. Source: RFC 4648 5; RFC 7515 2. */
size_t text_base64url(struct span s, char *out);

/**
 * Decode base64url strictly: no padding, no blanks, unused bits zero.
 *
 * @param s        text
 * @param out      at least s.n / 4 * 3 + 2 octets
 * @param out_len  out: octets written
 * @return FRUN_OK; FRUN_E_SYNTAX not base64url
 * Thread: any. Source: RFC 4648 5, 3.5; RFC 7515 2.
 */
frun_err text_base64url_decode(struct span s, char *out, size_t *out_len) FRUN_MUST_CHECK;

/** Encode as lower-case hexadecimal. @param s octets @param out 2 * s.n + 1 octets, NUL-terminated.
 * Thread: any. */
void text_hex(struct span s, char *out);

/** Octets that hold any 64-bit number in decimal digits. */
#define TEXT_NUMBER_BYTES 20

/** Write a number in decimal digits, without a final NUL. @param v number @param out at least
 * TEXT_NUMBER_BYTES @return octets written, 1..TEXT_NUMBER_BYTES. Thread: any. */
size_t text_number(uint64_t v, char *out);

#endif
