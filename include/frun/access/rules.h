/**
 * By which certificates a pusher is known: its keys of the configuration made into rules.
 *
 * Immutable. What a rule's text cannot say (an unknown attribute type) is told with its place.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_RULES_H
#define FRUN_ACCESS_RULES_H

#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/net/cert.h"
#include "frun/oauth/jwt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** One way a certificate is known. */
struct rule {
    struct cert_rule *is;                  /**< what it must be */
    const char *key;                       /**< its key of the configuration */
    char generation[JWT_GENERATION_BYTES]; /**< tokens got by it die with it */
    bool needs_trust;                      /**< counts only if a CA has signed the certificate */
    bool is_old;                           /**< good until old_certificate_until */
};

/** All of a pusher. */
struct rules {
    struct rule *list;        /**< fingerprints first, old ones last */
    size_t n;                 /**< count */
    struct cert_rule *issuer; /**< what needs trust needs this issuer too; or NULL */
};

/** Make the rules of a pusher. @param c its section @param doc configuration it belongs to @param
 * report what is wrong is printed here with its place; NULL: nowhere @param out rules; rules_done()
 * it, also after a failure @return FRUN_OK; FRUN_E_SYNTAX; FRUN_E_NOMEM. Thread: main. */
frun_err rules_load(const struct conf_pusher *c, const struct conf_doc *doc, FILE *report,
                    struct rules *out) FRUN_MUST_CHECK;

/** Free. @param r rules, perhaps zero. Thread: any. */
void rules_done(struct rules *r);

/** The first rule of @p a that means the same as one of @p b. @param a rules @param b other @return
 * it, or NULL: as far as rules tell, no certificate is known by both. Thread: any. */
const struct rule *rules_common(const struct rules *a, const struct rules *b);

#endif
