/**
 * Short-lived X.509 certificates for principals, signed by a CA of the connector's own.
 *
 * Such a certificate only says a name, in the SSL_CLIENT_CERT field of a connection that is
 * authenticated by something else: nobody holds the private key of its public key, so it opens no
 * TLS connection anywhere. All of a CA share that public key, made at the first use.
 *
 * The name is put into a parsed subject, not into its text: a comma in it stays a comma.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_CONNECTOR_SHORTCERT_H
#define FRUN_CONNECTOR_SHORTCERT_H

#include "frun/base/err.h"
#include "frun/base/span.h"

#include <stddef.h>
#include <stdint.h>

/** Longest name of a principal, octets. Source: RFC 5280, ub-common-name. */
#define SHORTCERT_NAME_BYTES 64

/** What stands for the name in a subject. */
#define SHORTCERT_NAME_MARK "${name}"

/** A certificate may begin so long ago, seconds: clocks differ. */
#define SHORTCERT_SKEW_S 60

/** A CA; counted, immutable but for the public key it makes for itself. */
struct shortcert_ca;

/** What its certificates look like. */
struct shortcert_terms {
    const char *certificate; /**< PEM file of the CA */
    const char *private_key; /**< PEM file of its key: RSA from 2048 bits, or P-256, P-384, P-521 */
    const char *subject;     /**< RFC 4514 text with SHORTCERT_NAME_MARK in it */
    uint64_t lifetime_s;     /**< 1..; the CA's own end comes first */
};

/** Load a CA. @param t terms, copied @param out CA with one reference @param d filled on failure:
 * what is wrong; starts with the file's name if one is @return FRUN_OK; FRUN_E_IO unreadable;
 * FRUN_E_TLS not a CA, or not its key; FRUN_E_SYNTAX the subject; FRUN_E_NOMEM. Thread: main (reads
 * files). */
frun_err shortcert_ca_load(const struct shortcert_terms *t, struct shortcert_ca **out,
                           struct diag *d) FRUN_MUST_CHECK;

/** One more reference. @param ca CA @return @p ca. Thread: any. */
struct shortcert_ca *shortcert_ca_ref(struct shortcert_ca *ca);

/** When its certificate ends. @param ca CA @return seconds since 1970. Thread: any. */
int64_t shortcert_ca_until(const struct shortcert_ca *ca);

/** Give a reference back and forget it. @param ca address of the reference, may hold NULL. Thread:
 * any. */
void shortcert_ca_unref(struct shortcert_ca **ca);

/**
 * Make a certificate.
 *
 * @param ca       CA
 * @param name     UTF-8 without controls, 1..SHORTCERT_NAME_BYTES
 * @param now_s    seconds since 1970
 * @param text     out: base64 of its DER in one line, as SSL_CLIENT_CERT has it; free() it
 * @param until_s  out: its last second
 * @return FRUN_OK; FRUN_E_SYNTAX no such name; FRUN_E_LIMIT the subject would be too long;
 * FRUN_E_TLS the CA has expired, or OpenSSL refused; FRUN_E_NOMEM
 * Thread: any; milliseconds with RSA, at the first call a tenth of a second. Source: RFC 5280 4.
 */
frun_err shortcert_make(struct shortcert_ca *ca, struct span name, int64_t now_s, char **text,
                        int64_t *until_s) FRUN_MUST_CHECK;

#endif
