/**
 * The gateway's own answers: errors as problem+json, its own resources in their own forms.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_REPLY_H
#define FRUN_GATEWAY_REPLY_H

#include "frun/base/arena.h"
#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/http/exchange.h"
#include "frun/http/head.h"

#include <stdbool.h>

/** An answer of our own. */
struct reply {
    unsigned status;    /**< HTTP status */
    const char *error;  /**< RFC 9209 error type, or NULL */
    const char *kind;   /**< one word that says more, or NULL; the access line has it for error */
    const char *by;     /**< who produced the status, or NULL: the gateway; for the access line */
    const char *detail; /**< what is wrong and what to do, one sentence */
    const char *note;   /**< what only the log is told (internal addresses), or NULL: the detail */
    unsigned retry_after_s;      /**< Retry-After, 0: none */
    struct span allow;           /**< Allow for 405, or absent */
    struct span challenge;       /**< WWW-Authenticate for 401, or absent */
    struct span other_challenge; /**< a second one, or absent */
    bool is_plain;               /**< no problem+json, no Proxy-Status: an own resource's answer */
    const char *type;            /**< is_plain: Content-Type; NULL: text/plain */
    const char *cache;           /**< is_plain: Cache-Control; NULL: no-store */
    struct span body; /**< is_plain: body, must outlive the exchange; absent: the detail */
};

/** Make head and body. @param r what it says @param request_id id, may be absent @param a memory
 * @param head out: head @param body out: body @return FRUN_OK; FRUN_E_NOMEM. Thread: worker. */
frun_err reply_build(const struct reply *r, struct span request_id, struct arena *a,
                     struct head *head, struct span *body) FRUN_MUST_CHECK;

/** What a failed call is for the pusher: cause without internal names. @param err its code @return
 * constant text. Thread: any. */
const char *reply_cause(frun_err err);

/** Octets of a detail made by reply_failure(). */
#define REPLY_DETAIL_BYTES 256

/** The answer to a request whose call failed. @param f failure @param detail room for the text,
 * must live as long as the reply @return reply; borrows from @p f. Thread: any. */
struct reply reply_failure(const struct call_failure *f, char detail[REPLY_DETAIL_BYTES]);

/** The RFC 9209 error type that fits a failed call. @param err its code @return constant text.
 * Thread: any. Source: RFC 9209 2.3. */
const char *reply_error_type(frun_err err);

#endif
