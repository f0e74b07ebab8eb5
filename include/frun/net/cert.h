/**
 * A certificate that a client has shown: what it says, whether it is trusted, and the rules by
 * which a configuration knows it.
 *
 * The handshake proves that the client holds the key, and no more: there a certificate that nobody
 * trusts does no harm, so that clients with other credentials get through with whatever they show.
 * cert_verify() judges the chain afterwards, and again when the trusted CAs have changed. Never
 * from a resumed session: what a session of another time or host says is no proof (CVE-2025-23419).
 *
 * Rules compare names as RFC 5280 wants it (letters without case, runs of blanks as one, whatever
 * the string's type), never as text; a SHA-256 names one certificate and needs no CA.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_CERT_H
#define FRUN_NET_CERT_H

#include "frun/base/err.h"
#include "frun/base/span.h"
#include "frun/net/stream.h"
#include "frun/net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Octets of a certificate's SHA-256. */
#define CERT_SHA256_BYTES 32

/** Octets of a subject as text, with the final NUL; longer ones are cut. */
#define CERT_SUBJECT_BYTES 512

/** A certificate; not to be shared between threads. */
struct cert;

/** The certificate of a stream's peer, not judged yet. @param s stream after its handshake @param
 * out certificate; cert_free() it @return FRUN_OK; FRUN_E_NOT_FOUND none was shown, or the
 * session was resumed; FRUN_E_NOMEM. Thread: owner of @p s. */
frun_err cert_of_peer(const struct stream *s, struct cert **out) FRUN_MUST_CHECK;

/** The first certificate of a PEM file, the others as its chain. @param path file @param out
 * certificate; cert_free() it @param d filled on failure @return FRUN_OK; FRUN_E_TLS none in it;
 * FRUN_E_IO unreadable; FRUN_E_NOMEM. Thread: any, reads a file. */
frun_err cert_of_file(const char *path, struct cert **out, struct diag *d) FRUN_MUST_CHECK;

/** Free it. @param c certificate or NULL. Thread: owner. */
void cert_free(struct cert *c);

/** Judge the chain by the CAs of a server context that asks for certificates; the verdict stays
 * until the next call. @param c certificate @param t context. Thread: owner. Source: RFC 5280 6. */
void cert_verify(struct cert *c, const struct tls_ctx *t);

/** Was it trusted when it was last judged? @param c certificate @return true if so. Thread: owner.
 */
bool cert_is_trusted(const struct cert *c);

/** Had its CA, or one above it, revoked it when it was last judged? @param c certificate @return
 * true if so. Thread: owner. */
bool cert_is_revoked(const struct cert *c);

/** Why it is not trusted, in a few words. @param c certificate @return constant text; NULL: it is
 * trusted, or was never judged. Thread: owner. */
const char *cert_why(const struct cert *c);

/** When it is valid; of a trusted one, no longer than any certificate of its chain. @param c
 * certificate @return it. Thread: owner. */
struct tls_validity cert_validity(const struct cert *c);

/** When it alone is valid, whatever its chain says. @param c certificate @return it. Thread: owner.
 */
struct tls_validity cert_own_validity(const struct cert *c);

/** Its SHA-256. @param c certificate @return CERT_SHA256_BYTES octets, live with it. Thread: owner.
 */
const unsigned char *cert_sha256(const struct cert *c);

/** Its subject as RFC 2253 text, for people; what is not printable is escaped. @param c certificate
 * @param out text. Thread: owner. */
void cert_subject(const struct cert *c, char out[CERT_SUBJECT_BYTES]);

/** What a rule looks at. */
enum cert_look {
    CERT_LOOK_SUBJECT, /**< the whole subject; text as dn_parse() reads it */
    CERT_LOOK_ISSUER,  /**< the whole issuer; text as above */
    CERT_LOOK_SAN,     /**< one subjectAltName; "dns:NAME", "email:ADDRESS" or "uri:URI" */
    CERT_LOOK_SHA256   /**< the certificate itself; text as conf_check_sha256() reads it */
};

/** A rule: immutable. */
struct cert_rule;

/** Make a rule. @param look what it looks at @param text what it must be @param out rule;
 * cert_rule_free() it @param d filled on failure @return FRUN_OK; FRUN_E_SYNTAX unknown attribute
 * type or not well-formed; FRUN_E_NOMEM. Thread: any. */
frun_err cert_rule_new(enum cert_look look, const char *text, struct cert_rule **out,
                       struct diag *d) FRUN_MUST_CHECK;

/** Free it. @param r rule or NULL. Thread: any. */
void cert_rule_free(struct cert_rule *r);

/** Does a certificate fit? Says nothing of trust. @param r rule @param c certificate @return true
 * if so. Thread: owner of @p c. Source: RFC 5280 7.1, 7.2, 7.4, 7.5. */
bool cert_rule_fits(const struct cert_rule *r, const struct cert *c);

/** Do two rules mean the same? @param a one @param b other @return true if so. Thread: any. */
bool cert_rule_equals(const struct cert_rule *a, const struct cert_rule *b);

#endif
