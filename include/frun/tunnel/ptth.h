/**
 * How a tunnel begins: the reverse HTTP upgrade, its names, what both ends say and how each checks
 * the other.
 *
 *     connector                                   gateway
 *     GET /.well-known/ptth/<origin>/ HTTP/1.1
 *     Host, Connection: upgrade, Upgrade: ptth, ALPN: h2, identity fields   -->
 *                                                 <-- 101, Connection: upgrade, Upgrade: ptth,
 * ALPN: h2, frun-tunnels: N from here the gateway is the HTTP/2 client, the connector the HTTP/2
 * server
 *
 * Refusals are ordinary answers: 401/403 not allowed, 409, 426 wrong wire version, 429/503 with
 * Retry-After. Identity comes from the certificate; the fields only say which of the allowed
 * location IDs and which instance. Pure: no I/O.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TUNNEL_PTTH_H
#define FRUN_TUNNEL_PTTH_H

#include "frun/base/buf.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/head.h"

#include <stdbool.h>
#include <stdint.h>

/** Version of what the draft leaves open: field names and meanings. */
#define PTTH_WIRE_VERSION 1

/** Path before the origin. */
#define PTTH_PATH "/.well-known/ptth/"

/** Octets of an instance id (hexadecimal) with the final NUL. */
#define PTTH_INSTANCE_BYTES 33

/** Longest location ID, octets. */
#define PTTH_MAX_LOCATION 128

/** Field by which the connector says who made an answer: "backend" or "connector"; never passed to
 * a pusher. */
#define PTTH_ORIGIN_FIELD "frun-origin"

/** Field by which the connector says how long a request has been with it when the back end's answer
 * comes, microseconds; never passed to a pusher. */
#define PTTH_BACKEND_FIELD "frun-backend-us"

/** Field by which the gateway says that a request may be sent to the back end twice ("1"); never
 * passed to the back end. */
#define PTTH_REPEATABLE_FIELD "frun-repeatable"

/** What a connector says. Spans borrow from the head, or from the caller. */
struct ptth_hello {
    struct span subaccount;  /**< its name for this membership, for the log */
    struct span location_id; /**< "" for none */
    struct span instance;    /**< new at each start of the connector, hexadecimal */
    struct span name;        /**< its name, for the log */
    struct span version;     /**< its software version */
    unsigned wire_version;   /**< PTTH_WIRE_VERSION */
};

/** Write the connector's request. @param h what it says @param host Host value: the gateway's name
 * @param out appended to @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM; FRUN_E_SYNTAX a value cannot
 * stand in a field. Thread: any. */
frun_err ptth_write_hello(const struct ptth_hello *h, struct span host,
                          struct buf *out) FRUN_MUST_CHECK;

/** Read the connector's request. @param in parsed request head @param out what it says @param
 * status out: on failure the answer, 400, 404, 426 or 501 @param why out: on failure a text @return
 * FRUN_OK; FRUN_E_SYNTAX. Thread: any. */
frun_err ptth_read_hello(const struct head *in, struct ptth_hello *out, unsigned *status,
                         const char **why) FRUN_MUST_CHECK;

/** Write the gateway's 101. @param tunnels how many tunnels it would like from this connector
 * @param out appended to @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM. Thread: any. */
frun_err ptth_write_welcome(unsigned tunnels, struct buf *out) FRUN_MUST_CHECK;

/** Read the gateway's answer. @param in parsed answer head @param tunnels out: wish of the
 * gateway, 1..64 @param retry_after_s out: seconds of Retry-After, 0: none @param why out: on
 * failure a text @return FRUN_OK welcome; FRUN_E_DENIED 401/403; FRUN_E_UNSUPPORTED 426;
 * FRUN_E_AGAIN any other refusal, try later; FRUN_E_SYNTAX not a PTTH answer. Thread: any. */
frun_err ptth_read_welcome(const struct head *in, unsigned *tunnels, unsigned *retry_after_s,
                           const char **why) FRUN_MUST_CHECK;

#endif
