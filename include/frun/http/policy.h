/**
 * The header policy: what of a pusher's head reaches Focused Run, what is dropped, what is added
 * exactly once.
 *
 * One table in policy.c says it for every field; tests go through it row by row. Dropped names are
 * compared without case and with '_' equal to '-', because ABAP and CGI fold them. Everything not
 * in the table passes untouched, in both directions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_POLICY_H
#define FRUN_HTTP_POLICY_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/head.h"
#include "frun/http/pathmap.h"
#include "frun/http/uri.h"

#include <stdbool.h>
#include <stddef.h>

/** What an endpoint adds; prepared once, immutable, borrowed by every request. */
struct policy {
    struct span virtual_host;  /**< host[:port] toward Focused Run; ":443" left out */
    struct span authorization; /**< "Basic ..." of the endpoint; absent: none is sent */
    struct span fence_value;   /**< admin request parameter; absent with carrier none */
    struct span fence_header;  /**< field that carries it; absent: not in a field */
    struct span fence_query;   /**< query parameter that carries it; absent: not in the query */
    const struct span *foreign_fences; /**< carrier names of all endpoints: a pusher may set none */
    size_t n_foreign_fences;           /**< their number */
    struct span public_scheme;         /**< "https" (or "http" behind a TLS terminator) */
    struct span public_host;           /**< host[:port] of public_url, for Location */
    struct span root_path; /**< "/ACME_PROD": stands before every path of the endpoint */
    struct pathmap map;    /**< what is mapped on the way there, and back in Location */
    struct span via_name;  /**< our name in Via, "frunproxyd" */
};

/** Field by which the gateway tells a connector who pushes: base64 of the principal's name. */
#define POLICY_PRINCIPAL_FIELD "frun-principal"

/** What one request adds. */
struct policy_facts {
    struct span client_address; /**< IP address text of the peer, no port; IPv6 without brackets */
    struct span host;           /**< Host as the pusher sent it */
    struct span path;           /**< path toward Focused Run: canonical path without the root path,
                                   mapped */
    struct span query;          /**< raw query as received, or absent */
    struct span principal;      /**< value of POLICY_PRINCIPAL_FIELD; absent: none is sent */
    struct span request_id;     /**< from policy_request_id() */
    struct span traceparent;    /**< from policy_traceparent() */
};

/** Octets of a request id or traceparent that we make, with the final NUL. */
#define POLICY_ID_BYTES 64

/**
 * Build the head that goes to Focused Run.
 *
 * @param p        the endpoint's policy
 * @param f        the request's facts
 * @param in       the pusher's head; framing, method and passing fields are taken over
 * @param a        the request's memory; @p out borrows from it, from @p in, @p p and @p f
 * @param out      the new head: target is path plus query, authority the virtual host,
 * is_keep_alive true
 * @return FRUN_OK; FRUN_E_LIMIT too many fields; FRUN_E_NOMEM
 * Thread: owner. Source: RFC 9110 7.6; RFC 7239; W3C Trace Context; SAP Cloud Connector and Web
 * Dispatcher documentation.
 */
frun_err policy_request(const struct policy *p, const struct policy_facts *f, const struct head *in,
                        struct arena *a, struct head *out) FRUN_MUST_CHECK;

/**
 * Build the head that goes back to the pusher: hop-by-hop fields and internal "frun-" fields
 * dropped, Location on the virtual host turned into the root URL, Via and X-Request-ID added,
 * everything else untouched.
 *
 * @param p        the endpoint's policy
 * @param request_id the request's id
 * @param in       head as it came from the route
 * @param a        the request's memory
 * @param out      the new head; framing taken over from @p in
 * @return FRUN_OK; FRUN_E_LIMIT; FRUN_E_NOMEM
 * Thread: owner.
 */
frun_err policy_answer(const struct policy *p, struct span request_id, const struct head *in,
                       struct arena *a, struct head *out) FRUN_MUST_CHECK;

/** Is the field hop-by-hop: in RFC 9110's list, or named by @p h's Connection? @param h head it is
 * in @param name its name @return true if so. Thread: any. */
bool policy_is_hop_field(const struct head *h, struct span name);

/** Does a Connection field of @p h name more than connection options? @param h head @return true if
 * so. Thread: any. */
bool policy_names_fields(const struct head *h);

/** The request id: the pusher's X-Request-ID if it is 1..128 of [A-Za-z0-9._~+/=-], else a new one.
 * @param in head @param made room for a new one @return span into @p in or @p made. Thread: any. */
struct span policy_request_id(const struct head *in, char made[POLICY_ID_BYTES]);

/** The traceparent: the pusher's if there is exactly one valid, else a new one (not sampled).
 * @param in head @param made room for a new one @return span into @p in or @p made. Thread: any.
 * Source: W3C Trace Context 3.2. */
struct span policy_traceparent(const struct head *in, char made[POLICY_ID_BYTES]);

#endif
