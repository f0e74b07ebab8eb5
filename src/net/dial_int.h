/**
 * The HTTP CONNECT conversation with a proxy: pure text in, verdict out; the socket is dial.c's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_DIAL_INT_H
#define FRUN_NET_DIAL_INT_H

#include "frun/base/buf.h"
#include "frun/net/dial.h"

/** Ceiling of a proxy's answer head. */
#define DIAL_PROXY_ANSWER_BYTES 16384

/** Ceiling of our request to a proxy: twice the longest host, and base64 of the longest password.
 */
#define DIAL_PROXY_REQUEST_BYTES 16384

/** Length of the texts for a person. */
#define DIAL_WHY_BYTES 512

/** Write the CONNECT request. @param t target with proxy @param out appended to @return FRUN_OK;
 * FRUN_E_NOMEM; FRUN_E_LIMIT user or password too long. Thread: any. Source: RFC 9110 9.3.6, RFC
 * 7617 2. */
frun_err dial_proxy_request(const struct dial_target *t, struct buf *out) FRUN_MUST_CHECK;

/** Judge what the proxy has answered so far. @param t target @param in octets so far @param scanned
 * in and out, 0 at first @param why out: DIAL_WHY_BYTES octets, text unless FRUN_OK or FRUN_E_AGAIN
 * @return FRUN_OK tunnel stands; FRUN_E_AGAIN; FRUN_E_PROXY. Thread: any. Source: RFC 9110 9.3.6.
 */
frun_err dial_proxy_answer(const struct dial_target *t, struct span in, size_t *scanned,
                           char *why) FRUN_MUST_CHECK;

#endif
