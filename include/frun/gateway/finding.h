/**
 * What one check of an endpoint's road found: the answer, or the error, turned into steps with
 * findings and remedies, and one verdict.
 *
 * The only place that knows what an answer to a check means; health, switching, the API and frunctl
 * show its words. Pure.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_GATEWAY_FINDING_H
#define FRUN_GATEWAY_FINDING_H

#include "frun/base/span.h"
#include "frun/base/steps.h"
#include "frun/conf/gateway.h"

#include <stdbool.h>
#include <stdint.h>

/** What a check says about the road. */
enum finding_verdict {
    FINDING_UP,         /**< Focused Run answered 2xx to our logon */
    FINDING_DOWN,       /**< a push would not have been delivered */
    FINDING_UNVERIFIED, /**< something answers, but whether a push would be taken is not known */
    FINDING_REFUSED,    /**< 401: the credentials are wrong; trying again locks the user */
    FINDING_UNKNOWN     /**< the check could not be made; it says nothing about the road */
};

/** What is known after a check; absent spans and NULLs where nothing is. */
struct finding_facts {
    const struct conf_endpoint *conf; /**< whose road */
    enum conf_route road;             /**< which one */
    struct span path;                 /**< what was asked for */
    unsigned status;                  /**< HTTP status, 0: none */
    const char *by;                   /**< who produced it, as in the access line */
    const char *error;                /**< error type or word, as in the access line */
    struct span note;                 /**< more about it, as in the access line */
    const char *connector;            /**< whose tunnel it went through */
    bool is_late;                     /**< no complete answer within the time of a check */
    struct span content_type;         /**< of the answer */
    struct span location;             /**< of the answer */
    struct span session;              /**< "FR1_100" of a cookie SAP_SESSIONID_FR1_100 */
    struct span body;                 /**< its beginning */
    uint64_t total_us;                /**< how long it took */
};

/** Octets of the beginning of a body that is enough to tell a logon page. */
#define FINDING_BODY_BYTES 4096

/** Judge. @param f facts @param out steps of the road in their order, cleared first @return
 * verdict. Thread: any. Source: SAP Cloud Connector's error texts; RFC 9209. */
enum finding_verdict finding_judge(const struct finding_facts *f, struct steps *out);

/** A verdict in one word: "up", "down", "unverified", "refused", "unknown". @param v verdict
 * @return constant text. Thread: any. */
const char *finding_word(enum finding_verdict v);

#endif
