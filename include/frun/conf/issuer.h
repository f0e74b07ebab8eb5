/**
 * The [issuer NAME] sections: identity providers whose tokens pushers may show.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONF_ISSUER_H
#define FRUN_CONF_ISSUER_H

#include "frun/base/secret.h"
#include "frun/conf/doc.h"

#include <stddef.h>
#include <stdint.h>

/** Most sections. */
#define CONF_MAX_ISSUERS 32

/** [issuer NAME] */
struct conf_issuer {
    struct conf_place place;        /**< where it stands */
    const char *issuer;             /**< "iss" of its tokens, exactly */
    const char *jwks_url;           /**< its keys; NULL: found through OIDC discovery */
    struct conf_list audience;      /**< one of them must be in "aud" */
    struct conf_list scope;         /**< all of them must be there */
    struct conf_list scope_claim;   /**< claims that hold scopes */
    struct conf_list algorithms;    /**< "RS256", ...; accepted ones */
    uint64_t clock_skew_ms;         /**< how far clocks may be apart; 60 s */
    uint64_t max_token_lifetime_ms; /**< longest life of a token; 0: any */
    uint64_t refresh_ms;            /**< its keys are fetched again so often; 1 h */
    uint64_t refresh_min_ms;        /**< wanted fetches: one in this time; 30 s */
    uint64_t stale_ms;              /**< keys that cannot be refreshed are used so long; 24 h */
    const char *ca;                 /**< PEM file of the CA; NULL: the system's */
    const char *proxy;              /**< http://host:port, or NULL */
    const char *proxy_user;         /**< or NULL */
    struct secret *proxy_password;  /**< or NULL */
    uint64_t connect_timeout_ms;    /**< 5 s */
    uint64_t timeout_ms;            /**< a whole request; 15 s */
};

/** A claim that a pusher's tokens must have. */
struct conf_claim {
    const char *name;  /**< claim, or member of one: "ext_attr.zdn" */
    const char *value; /**< text */
};

#endif
