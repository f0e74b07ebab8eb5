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

/** Names one context can serve by other contexts. */
#define TLS_MAX_NAMES 16

/** A name and the context that serves it. */
struct tls_name {
    char *name;            /**< as configured */
    struct tls_ctx *other; /**< counted */
};

/** A context; immutable once the first stream uses it, except for the count. */
struct tls_ctx {
    atomic_uint refs;                     /**< references */
    SSL_CTX *ssl;                         /**< OpenSSL's context; its app data points back here */
    BIO_METHOD *bio;                      /**< how OpenSSL reaches a stream */
    bool is_server;                       /**< role */
    bool is_mutual;                       /**< TLS 1.3 with certificates on both sides */
    unsigned char alpn[256];              /**< protocols in wire form: length, name, ... */
    unsigned alpn_len;                    /**< octets of alpn, 0: none */
    struct tls_name names[TLS_MAX_NAMES]; /**< served by other contexts */
    size_t n_names;                       /**< names in use */
    struct tls_tickets *tickets;          /**< keys of session tickets; NULL: none are given */
};

/** Make the method by which OpenSSL reads and writes a stream's socket. @return method, or NULL.
 * Thread: any. */
BIO_METHOD *stream_bio_method(void);

#endif
