/**
 * Our own errors: application/problem+json with Proxy-Status, so that nobody takes them for Focused
 * Run's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_HTTP_PROBLEM_H
#define FRUN_HTTP_PROBLEM_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/head.h"

/** What an error says. */
struct problem {
    unsigned status;        /**< HTTP status, 400..599 */
    const char *proxy;      /**< who says it, "frunproxyd" or "frunconnector" */
    const char *error;      /**< RFC 9209 error type ("connection_refused"), or NULL */
    const char *kind;       /**< "details" of it: one word without '"', or NULL */
    struct span detail;     /**< what is wrong and what to do, UTF-8; no secret */
    struct span request_id; /**< to find the log line; may be absent */
    unsigned retry_after_s; /**< seconds for Retry-After; 0: none */
    struct span allow;      /**< value of Allow for 405; may be absent */
    struct span challenge;  /**< value of WWW-Authenticate for 401; may be absent */
};

/** The standard reason phrase. @param status 100..599 @return constant text, "" if unknown. Thread:
 * any. Source: RFC 9110 15. */
const char *problem_reason(unsigned status);

/**
 * Make head and body of an error answer.
 *
 * @param p        what it says
 * @param a        memory of both results
 * @param head     out: status, Content-Type, Cache-Control: no-store, Proxy-Status, X-Request-ID
 * and what @p p asks for; length set
 * @param body     out: JSON object with type, title, status, detail, instance (the request id)
 * @return FRUN_OK; FRUN_E_NOMEM
 * Thread: owner. Source: RFC 9457 3; RFC 9209 2.
 */
frun_err problem_build(const struct problem *p, struct arena *a, struct head *head,
                       struct span *body) FRUN_MUST_CHECK;

#endif
