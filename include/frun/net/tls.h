/**
 * TLS contexts: certificates, trust and protocol versions, made once, shared by all workers,
 * immutable but for ticket keys and OCSP responses, which main changes in one atomic step.
 *
 * Server: TLS 1.2 and 1.3, ALPN by our order, X25519 before P-256,
 * SSL_MODE_RELEASE_BUFFERS, read-ahead. A context for the tunnel (is_mutual) speaks TLS 1.3 only,
 * asks for a client certificate and demands it, and neither issues nor takes session tickets, so
 * that no session crosses from one name to another (CVE-2025-23419). A context that asks
 * (is_asking) lets every client through that proves to hold the key of what it shows; cert.h judges
 * it later. Who has shown a certificate gets no ticket, so no session ever carries an identity; and
 * sessions belong to the label, CAs and mode they were made under. With revocation lists a client's
 * certificate must be on none, and its CA must have one that has not expired; the CAs above are
 * looked up as far as there are lists of theirs. Client: TLS 1.2 and 1.3
 * (1.3 only when is_mutual), trusts its ca_file and nothing else.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_TLS_H
#define FRUN_NET_TLS_H

#include "frun/base/err.h"
#include "frun/base/secret.h"
#include "frun/base/span.h"

#include <stdbool.h>
#include <stdint.h>

/** A context, counted. */
struct tls_ctx;

/** What a context is made of; all texts borrowed during the call. */
struct tls_settings {
    const char *certificate; /**< PEM chain; may be NULL for a client */
    const char *private_key; /**< PEM key that fits it */
    const char *ca_file;  /**< PEM file of the peers' CA; server: only with is_mutual or is_asking
                             (NULL there: none is trusted); client: NULL trusts nothing */
    const char *crl_file; /**< server, with ca_file: PEM or DER file of revocation lists; NULL:
                             nobody is looked up */
    const char *alpn;     /**< protocol names, the preferred one first, parted by commas:
                             "h2,http/1.1"; NULL: none */
    bool must_be_asked;   /**< client with a certificate: a server that does not ask for it is none
                             of ours, the handshake fails */
    bool is_mutual;       /**< tunnel: TLS 1.3 only, client certificate demanded or shown */
    bool is_asking;   /**< server, not is_mutual: clients are asked for a certificate, and may do
                         without */
    bool hides_ca;    /**< is_asking: do not tell which CAs are trusted, because others will do */
    bool has_tickets; /**< server, not is_mutual: session tickets are given and taken */
    const struct secret *ticket_secret; /**< with has_tickets: what their keys follow from; NULL:
                                           random ones; borrowed */
    const char *label;                  /**< whose it is, for tls_label(); copied; NULL: "" */
    const struct tls_ctx *before; /**< server: the context it takes the place of, whose ticket keys
                                     it goes on with if their secret is the same; NULL: none */
};

/** Make a server context. @param s settings @param out context @param d filled on failure, names
 * file and remedy @return FRUN_OK; FRUN_E_TLS; FRUN_E_IO unreadable file; FRUN_E_NOMEM. Thread:
 * main. */
frun_err tls_server_new(const struct tls_settings *s, struct tls_ctx **out,
                        struct diag *d) FRUN_MUST_CHECK;

/** Make a client context. @param s settings @param out context @param d filled on failure @return
 * FRUN_OK; FRUN_E_TLS; FRUN_E_IO; FRUN_E_NOMEM. Thread: main. */
frun_err tls_client_new(const struct tls_settings *s, struct tls_ctx **out,
                        struct diag *d) FRUN_MUST_CHECK;

/** Serve clients that ask for @p name (SNI, no case) by another context; once per context. @param
 * base context of the socket @param name name @param other context, one reference is taken by @p
 * base @return FRUN_OK; FRUN_E_NOMEM; FRUN_E_EXISTS. Thread: main,
 * before use. Source: RFC 6066 3.
 */
frun_err tls_server_add_name(struct tls_ctx *base, const char *name,
                             struct tls_ctx *other) FRUN_MUST_CHECK;

/** Whose context is it? Another context that takes its place has the same label. @param t context
 * @return tls_settings.label, lives with @p t. Thread: any. */
const char *tls_label(const struct tls_ctx *t);

/** Do two contexts trust the same CA certificates? @param a context @param b context @return true
 * if so. Thread: any. */
bool tls_has_same_trust(const struct tls_ctx *a, const struct tls_ctx *b);

/** Do both sides show certificates? @param t context @return tls_settings.is_mutual. Thread: any.
 */
bool tls_is_mutual(const struct tls_ctx *t);

/** When a certificate is valid, seconds since 1970 UTC. */
struct tls_validity {
    int64_t from;  /**< first second */
    int64_t until; /**< last second; 0: there is no certificate */
};

/** Validity of the own certificate. @param t context @return it. Thread: main. */
struct tls_validity tls_own_validity(const struct tls_ctx *t);

/** Octets of a name in struct tls_names. */
#define TLS_NAME_BYTES 256

/** What a certificate says of itself, for people; longer texts are cut. */
struct tls_names {
    char subject[TLS_NAME_BYTES]; /**< RFC 2253 text */
    char issuer[TLS_NAME_BYTES];  /**< the same */
    char serial[64];              /**< hexadecimal digits */
};

/** Names of the own certificate. @param t context @param out filled; all empty: there is none.
 * Thread: main. */
void tls_own_names(const struct tls_ctx *t, struct tls_names *out);

/** Does the own certificate carry a name? @param t context with a certificate @param host host
 * name, IPv4 or IPv6 address without brackets @return true if peers that ask for @p host take it.
 * Thread: main. Source: RFC 6125 6.4. */
bool tls_carries(const struct tls_ctx *t, const char *host);

/** Validity of the trusted CA certificates; of several the one that lasts longest. @param t context
 * @return it. Thread: main. */
struct tls_validity tls_ca_validity(const struct tls_ctx *t);

/** Validity of the revocation lists; of several the one that ends first. @param t context @return
 * it; until 0: there is none, or they do not end. Thread: main. */
struct tls_validity tls_crl_validity(const struct tls_ctx *t);

/** Has a revocation list ended lately, so that verdicts have to be thought over? @param t context
 * @param after_s when the verdict was made, seconds since 1970 @param now_s now @return true if so.
 * Thread: any. */
bool tls_crl_has_ended(const struct tls_ctx *t, int64_t after_s, int64_t now_s);

/** Told what is odd. @param ctx the caller's @param text what, in words, without file name. */
typedef void (*tls_doubt_fn)(void *ctx, const char *text);

/** Tell what is odd about the revocation lists: CAs that have none, lists of somebody else, lists
 * that have expired. @param t context @param fn told each @param ctx for it. Thread: main. */
void tls_crl_doubts(const struct tls_ctx *t, tls_doubt_fn fn, void *ctx);

/** Change the keys of session tickets if their hour is over, and wipe those that open no live
 * ticket any more. @param t server context @param now_s seconds since 1970. Thread: main, about
 * once a minute. */
void tls_turn_tickets(struct tls_ctx *t, int64_t now_s);

/** Longest OCSP response that is stapled, octets. */
#define TLS_STAPLING_MAX_BYTES 65536

/** From now on clients that ask for the status of the own certificate get the OCSP response that
 * tls_stapling_put() has put last. @param t server context, not is_mutual; once @return FRUN_OK;
 * FRUN_E_NOMEM. Thread: main, before use. Source: RFC 6066 8, RFC 8446 4.4.2.1. */
frun_err tls_stapling_start(struct tls_ctx *t) FRUN_MUST_CHECK;

/** Staple another response in new handshakes. @param t context after tls_stapling_start() @param
 * response DER, 1.. octets, copied @param until_s when it stops being good, seconds since 1970;
 * it is not shown from then on @return FRUN_OK; FRUN_E_LIMIT longer than TLS_STAPLING_MAX_BYTES;
 * FRUN_E_NOMEM, nothing has changed. Thread: main, also while workers use @p t. */
frun_err tls_stapling_put(struct tls_ctx *t, struct span response, int64_t until_s) FRUN_MUST_CHECK;

/** Staple what another context staples. @param t context after tls_stapling_start() @param from
 * context with the same certificate, after tls_stapling_start() @param until_s when its response
 * stops being good @return FRUN_OK; FRUN_E_NOT_FOUND
 * @p from staples nothing now; FRUN_E_NOMEM. Thread: main. */
frun_err tls_stapling_keep(struct tls_ctx *t, const struct tls_ctx *from,
                           int64_t until_s) FRUN_MUST_CHECK;

/** Staple none in new handshakes. @param t context after tls_stapling_start(). Thread: main, also
 * while workers use @p t. */
void tls_stapling_drop(struct tls_ctx *t);

/** Do two client contexts trust the same CA certificates, show the same chain and speak the same
 * protocols? Then a connection made with one is as good as one made with the other. @param a
 * context or NULL @param b context or NULL @return true if so, or if both are the same one; false
 * for servers. Thread: any. */
bool tls_is_same_client(const struct tls_ctx *a, const struct tls_ctx *b);

/** One more reference. @param t context @return @p t. Thread: any. */
struct tls_ctx *tls_ref(struct tls_ctx *t);

/** Give a reference back and forget it. @param t address of the reference, may hold NULL. Thread:
 * any. */
void tls_unref(struct tls_ctx **t);

#endif
