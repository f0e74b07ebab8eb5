/**
 * What a TLS context is made of: shared by tls.c, which makes it, and the TLS half of a stream.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_NET_TLS_INT_H
#define FRUN_NET_TLS_INT_H

#include "frun/net/tls.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stddef.h>

/** A name and the context that serves it. */
struct tls_name {
    struct tls_name *next; /**< the one added before */
    char *name;            /**< as configured */
    struct tls_ctx *other; /**< counted */
};

/** A context; immutable once the first stream uses it, except for the count. */
struct tls_ctx {
    atomic_uint refs;            /**< references */
    SSL_CTX *ssl;                /**< OpenSSL's context; its app data points back here */
    BIO_METHOD *bio;             /**< how OpenSSL reaches a stream */
    unsigned char trust[32];     /**< digest of the trusted CA certificates, in any order */
    char *label;                 /**< whose it is */
    int64_t *crl_ends;           /**< when the revocation lists end, seconds since 1970 */
    size_t n_crls;               /**< of them; 0: nobody is looked up */
    bool is_server;              /**< role */
    bool is_mutual;              /**< TLS 1.3 with certificates on both sides */
    bool is_asking;              /**< server: clients may show a certificate */
    bool must_be_asked;          /**< client: the server has to ask for ours */
    unsigned char alpn[256];     /**< protocols in wire form: length, name, ... */
    unsigned alpn_len;           /**< octets of alpn, 0: none */
    unsigned char source[32];    /**< client: digest of what it was made of, by tls_files_load() */
    bool has_source;             /**< there is one */
    struct map *by_name;         /**< without case, to struct tls_name; or NULL */
    struct tls_name *names;      /**< all of them, owned */
    struct tls_tickets *tickets; /**< keys of session tickets, counted; NULL: none are given */
    struct tls_staple *staple;   /**< OCSP response; NULL: none is stapled */
};

/** A point in time of a certificate or an OCSP response. @param at it @return seconds since 1970; 0
 * if it cannot be read. Thread: any. */
int64_t tls_seconds(const ASN1_TIME *at);

/** Load the revocation lists of a server's context, behind its CAs. @param t context @param file
 * PEM or DER @param d filled on failure @return FRUN_OK; FRUN_E_TLS it holds none, or a damaged or
 * forged one; FRUN_E_IO; FRUN_E_LIMIT; FRUN_E_NOMEM. Thread: main. */
frun_err tls_crl_load(struct tls_ctx *t, const char *file, struct diag *d) FRUN_MUST_CHECK;

/** Does a list name a certificate? OpenSSL does not look once something else is wrong with its
 * chain, and a list that has expired may have become too old to trust others, but not to distrust
 * this one. @param t context @param x certificate @return true if so. Thread: any. */
bool tls_crl_names(const struct tls_ctx *t, X509 *x);

/** What OpenSSL complains about last, behind a text and a file's name. @param d filled @param file
 * name @param text what is wrong @return FRUN_E_TLS; FRUN_E_NOMEM that was the cause, errno
 * being 0 before. Thread: any. */
frun_err tls_refuse(struct diag *d, const char *file, const char *text);

/** Make the method by which OpenSSL reads and writes a stream's socket. @return method, or NULL.
 * Thread: any. */
BIO_METHOD *stream_bio_method(void);

#endif
