/**
 * Which tokens a configuration asks for: service keys read, certificates looked at, one token
 * object for each client and tenant.
 *
 * Filled on the main thread while a registry is prepared; everything wrong is told with file, line,
 * section and key, as --check wants it. Nothing goes out to the network here.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ACCESS_TOKENS_H
#define FRUN_ACCESS_TOKENS_H

#include "frun/base/err.h"
#include "frun/conf/gateway.h"
#include "frun/fetch/token.h"

#include <stddef.h>
#include <stdio.h>

/** All token objects, each once. */
struct tokens {
    struct token **all;          /**< one reference each */
    size_t n;                    /**< count */
    size_t cap;                  /**< room at all */
    const struct tokens *before; /**< those that these take the place of, or NULL */
};

/** One [sap-connectivity] section, ready for use. */
struct sap_proxy {
    const struct conf_sap *conf; /**< its section */
    char *host;                  /**< connectivity proxy */
    unsigned port;               /**< its port */
    struct token *token;         /**< lives with the tokens */
};

/** Read what a section names. @param t tokens @param conf section @param doc its document @param
 * report what is wrong is printed here; NULL: nowhere @param out filled on success;
 * tokens_sap_done() it @return FRUN_OK; FRUN_E_SYNTAX the key, or a certificate; FRUN_E_NOMEM.
 * Thread: main (reads files). */
frun_err tokens_sap(struct tokens *t, const struct conf_sap *conf, const struct conf_doc *doc,
                    FILE *report, struct sap_proxy *out) FRUN_MUST_CHECK;

/** Free what a section took. @param p proxy, may be zero. Thread: main. */
void tokens_sap_done(struct sap_proxy *p);

/** The token of an endpoint with auth = oauth2. @param t tokens @param conf endpoint @param doc its
 * document @param report what is wrong is printed here; NULL: nowhere @param out token, lives with
 * the tokens @return FRUN_OK; FRUN_E_SYNTAX a certificate; FRUN_E_NOMEM. Thread: main (reads
 * files). */
frun_err tokens_logon(struct tokens *t, const struct conf_endpoint *conf,
                      const struct conf_doc *doc, FILE *report, struct token **out) FRUN_MUST_CHECK;

/** Give all references back. @param t tokens. Thread: any. */
void tokens_done(struct tokens *t);

#endif
