/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls.h"

#include "tls_int.h"

#include <openssl/x509.h>
#include <string.h>

static bool is_same_certificate(const X509 *a, const X509 *b)
{
    return a == b || (a && b && X509_cmp(a, b) == 0);
}

static bool is_in(const X509 *wanted, const STACK_OF(X509_OBJECT) * all)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

        if (one && is_same_certificate(wanted, one)) {
            return true;
        }
    }
    return false;
}

/* In any order, but for duplicates, which make them differ. */
static bool is_same_trust(SSL_CTX *a, SSL_CTX *b)
{
    const STACK_OF(X509_OBJECT) *x = X509_STORE_get0_objects(SSL_CTX_get_cert_store(a));
    const STACK_OF(X509_OBJECT) *y = X509_STORE_get0_objects(SSL_CTX_get_cert_store(b));

    if (sk_X509_OBJECT_num(x) != sk_X509_OBJECT_num(y)) {
        return false;
    }
    for (int i = 0; i < sk_X509_OBJECT_num(x); i++) {
        const X509 *one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(x, i));

        if (!one || !is_in(one, y)) {
            return false;
        }
    }
    return true;
}

static bool is_same_chain(SSL_CTX *a, SSL_CTX *b)
{
    STACK_OF(X509) *x = NULL;
    STACK_OF(X509) *y = NULL;

    if (!is_same_certificate(SSL_CTX_get0_certificate(a), SSL_CTX_get0_certificate(b)) ||
        SSL_CTX_get0_chain_certs(a, &x) != 1 || SSL_CTX_get0_chain_certs(b, &y) != 1 ||
        sk_X509_num(x) != sk_X509_num(y)) {
        return false;
    }
    for (int i = 0; i < sk_X509_num(x); i++) {
        if (!is_same_certificate(sk_X509_value(x, i), sk_X509_value(y, i))) {
            return false;
        }
    }
    return true;
}

bool tls_is_same_client(const struct tls_ctx *a, const struct tls_ctx *b)
{
    if (a == b) {
        return true;
    }
    return a && b && !a->is_server && !b->is_server && a->is_mutual == b->is_mutual &&
           a->must_be_asked == b->must_be_asked && a->alpn_len == b->alpn_len &&
           memcmp(a->alpn, b->alpn, a->alpn_len) == 0 && is_same_trust(a->ssl, b->ssl) &&
           is_same_chain(a->ssl, b->ssl);
}
