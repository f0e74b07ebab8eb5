/**
 * The OCSP response that a context staples: put by main, copied by workers in a handshake.
 *
 * A response is immutable and reached through one atomic pointer. A worker counts itself in before
 * it reads the pointer and out when it has copied; main frees what it has replaced once it has seen
 * nobody inside. So no worker ever waits, and nothing is freed under one.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_TLS_STAPLE_INT_H
#define FRUN_NET_TLS_STAPLE_INT_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>
#include <stdint.h>

/** What one context staples. */
struct tls_staple;

/** Make a place for a response, empty. @param out place; tls_staple_free() it @return FRUN_OK;
 * FRUN_E_NOMEM. Thread: main. */
frun_err tls_staple_new(struct tls_staple **out) FRUN_MUST_CHECK;

/** Free. @param s place or NULL. Thread: any, no handshake uses it any more. */
void tls_staple_free(struct tls_staple *s);

/** Put a response in the place of the present one. @param s place @param response DER, 1.. octets,
 * copied @param until_s when it stops being good, seconds since 1970 @return
 * FRUN_OK; FRUN_E_LIMIT longer than TLS_STAPLING_MAX_BYTES; FRUN_E_NOMEM, the present one stays.
 * Thread: main. */
frun_err tls_staple_put(struct tls_staple *s, struct span response,
                        int64_t until_s) FRUN_MUST_CHECK;

/** Staple none from now on. @param s place. Thread: main. */
void tls_staple_drop(struct tls_staple *s);

/** Copy the response. @param s place @param now_s seconds since 1970 @param out copy, the caller's,
 * OPENSSL_free() it; untouched if there is none @return its octets; 0: none, or it has ended, or
 * memory was refused. Thread: any. */
size_t tls_staple_copy(struct tls_staple *s, int64_t now_s, unsigned char **out);

#endif
