/**
 * OCSP for a server's own certificate: the question to its CA, and whether an answer may be
 * stapled.
 *
 * Pure: who carries question and answer, and when, is the caller's affair. The question has no
 * nonce: responders answer from caches, and what is stapled is shown to many clients. An answer is
 * signed by the issuer itself, or by a responder to which the issuer has delegated that
 * (id-kp-OCSPSigning); nobody else is believed.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_OCSP_H
#define FRUN_NET_OCSP_H

#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stdint.h>

/** How far a responder's clock may be ahead of ours, seconds. */
#define OCSP_SKEW_S INT64_C(300)

/** An answer that does not say when it ends is used for so long, seconds. */
#define OCSP_OPEN_END_S INT64_C(3600)

/** One certificate; immutable. */
struct ocsp;

/** What a certificate and its file offer. */
struct ocsp_facts {
    bool is_demanded; /**< clients shall refuse it without a stapled answer: TLS feature
                         status_request, RFC 7633 */
    bool has_issuer;  /**< the issuer's certificate stands in the file behind it */
    const char *url;  /**< http:// or https:// address of the responder, lives with its owner; NULL:
                         it names none */
};

/** How long an answer is good. */
struct ocsp_validity {
    int64_t from;  /**< thisUpdate, seconds since 1970 */
    int64_t until; /**< nextUpdate, seconds since 1970; without one OCSP_OPEN_END_S from when it was
                      looked at */
};

/** Prepare for the own certificate of a context. @param t context with a certificate; not needed
 * any more afterwards @param out it; ocsp_free() it @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_TLS the
 * certificate cannot be read. Thread: main. */
frun_err ocsp_new(const struct tls_ctx *t, struct ocsp **out) FRUN_MUST_CHECK;

/** Free. @param o it or NULL. Thread: any. */
void ocsp_free(struct ocsp *o);

/** What there is to work with. @param o it @return facts, live with @p o. Thread: any. */
const struct ocsp_facts *ocsp_facts(const struct ocsp *o);

/** Write the question. @param o it, with has_issuer @param out DER is appended @return FRUN_OK;
 * FRUN_E_LIMIT no room; FRUN_E_NOMEM. Thread: any. Source: RFC 6960 4.1, RFC 5019 2.1. */
frun_err ocsp_ask(const struct ocsp *o, struct buf *out) FRUN_MUST_CHECK;

/**
 * Read an answer, and decide whether it may be stapled.
 *
 * @param o        certificate, with has_issuer
 * @param answer   DER as it came
 * @param now_s    seconds since 1970
 * @param out      filled on success, untouched otherwise
 * @param d        filled on failure with the reason and a remedy
 * @return FRUN_OK it is signed by the right one, current, and says good; FRUN_E_DENIED so it is,
 * and says revoked; FRUN_E_NOT_FOUND it does not know the certificate, or says nothing about it;
 * FRUN_E_TIMEOUT not valid yet, or not any more; FRUN_E_TLS signed by the wrong one;
 * FRUN_E_AGAIN the responder has no answer now; FRUN_E_SYNTAX no OCSP response; FRUN_E_NOMEM
 * Thread: any. Source: RFC 6960 3.2, 4.2; RFC 5019 4.
 */
frun_err ocsp_verify(const struct ocsp *o, struct span answer, int64_t now_s,
                     struct ocsp_validity *out, struct diag *d) FRUN_MUST_CHECK;

/** When to ask again: in the middle of what is left, not before 5 minutes unless it ends soon, and
 * after a day at the latest. @param now_s seconds since 1970 @param until_s end of the answer
 * @return seconds from now, 1.. Thread: any. */
int64_t ocsp_renew_s(int64_t now_s, int64_t until_s);

#endif
