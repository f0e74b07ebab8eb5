/**
 * ECDSA signatures as JSON Web Signatures write them, r and s side by side, for OpenSSL, which
 * speaks DER.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_OAUTH_ECDSA_INT_H
#define FRUN_OAUTH_ECDSA_INT_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>

/** Write a signature as DER. @param signature r and s, of equal length @param der out: octets for
 * OPENSSL_free() @param n out: their number @return FRUN_OK; FRUN_E_NOMEM. Thread: any. Source: RFC
 * 7518 3.4. */
frun_err ecdsa_to_der(struct span signature, unsigned char **der, size_t *n) FRUN_MUST_CHECK;

#endif
