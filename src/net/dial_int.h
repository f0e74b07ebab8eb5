/**
 * The conversations with a proxy, HTTP CONNECT and SAP's SOCKS5: octets in, verdict out; the socket
 * is dial.c's.
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

/** Octets of the longest message to a SOCKS5 proxy: version, length, token, length, location ID. */
#define DIAL_SOCKS_MESSAGE_BYTES (1 + 4 + DIAL_SOCKS_TOKEN_BYTES + 1 + 255)

/** Octets of the longest answer of a SOCKS5 proxy: head, length, name, port. */
#define DIAL_SOCKS_ANSWER_BYTES (4 + 1 + 255 + 2)

/** What a SOCKS5 proxy has still to answer. */
enum dial_socks_state {
    DIAL_SOCKS_METHOD,  /**< we offered method 0x80, the access token */
    DIAL_SOCKS_LOGON,   /**< we sent token and location ID */
    DIAL_SOCKS_CONNECT, /**< we asked for the target */
    DIAL_SOCKS_OPEN     /**< nothing: what follows is the target's */
};

/** Write the message that belongs to a state. @param state not DIAL_SOCKS_OPEN @param t target
 * @param s token and location ID @param out appended to, in one piece @return FRUN_OK; FRUN_E_LIMIT
 * token, location ID or host name too long, or no token; FRUN_E_NOMEM. Thread: any. Source: RFC
 * 1928 3, 4; SAP BTP Connectivity, "Using the TCP Protocol for Cloud Applications". */
frun_err dial_socks_ask(enum dial_socks_state state, const struct dial_target *t,
                        const struct dial_socks *s, struct buf *out) FRUN_MUST_CHECK;

/** Judge what the proxy has answered so far. @param state what is awaited, not DIAL_SOCKS_OPEN
 * @param in octets so far @param used out: octets of the answer, on FRUN_OK @param refusal out: on
 * FRUN_E_PROXY @return FRUN_OK granted; FRUN_E_AGAIN; FRUN_E_PROXY. Thread: any. Source: as
 * dial_socks_ask(). */
frun_err dial_socks_answer(enum dial_socks_state state, struct span in, size_t *used,
                           enum dial_refusal *refusal) FRUN_MUST_CHECK;

/** A refusal in words, with the remedy. @param refusal not DIAL_REFUSAL_NONE @return constant text.
 * Thread: any. */
const char *dial_socks_words(enum dial_refusal refusal);

#endif
