/**
 * Certificates for tests, made on the spot: a folder with a CA and what it signs, and a world of
 * one loop with two ends of a connection.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_TLS_FIXTURE_H
#define FRUN_TESTS_TLS_FIXTURE_H

#include "temp.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** A folder of certificates. */
struct tls_fixture {
    char dir[TEMP_NAME]; /**< folder, removed by fixture_done() */
    char path[32]
             [PATH_MAX]; /**< file names lent by fixture_path(), all of them removed at the end */
    size_t n_paths;      /**< of these */
    X509 *ca;            /**< signs; also as ca.pem */
    EVP_PKEY *ca_key;    /**< its key */
    X509 *inter;         /**< intermediate CA; with @ref ca also as bundle.pem */
    EVP_PKEY *inter_key; /**< its key */
};

/** What a certificate says. */
struct fixture_cert {
    const char *file;    /**< FILE.pem and FILE.key are written */
    const char *cn;      /**< subject */
    const char *san;     /**< "DNS:push.example.com,IP:127.0.0.1" or NULL */
    long from_s;         /**< validity, seconds from now */
    long to_s;           /**< validity, seconds from now */
    bool is_ca;          /**< may sign */
    bool is_self_signed; /**< not signed by the fixture's CA */
    bool is_by_inter;    /**< signed by the intermediate CA */
};

static inline const char *fixture_path(struct tls_fixture *f, const char *name)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        if (strcmp(strrchr(f->path[i], '/') + 1, name) == 0) {
            return f->path[i];
        }
    }
    assert(f->n_paths < sizeof(f->path) / sizeof(f->path[0]));
    char dir[sizeof(f->dir)]; /* of its own: gcc sees an overlap within the struct otherwise */
    char *path = f->path[f->n_paths++];
    memcpy(dir, f->dir, sizeof(dir));
    (void)snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return path;
}

static inline void fixture_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

static inline void fixture_write(struct tls_fixture *f, const struct fixture_cert *c, X509 *cert,
                                 EVP_PKEY *key)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.pem", c->file);
    FILE *out = fopen(fixture_path(f, name), "we");
    assert(out);
    PEM_write_X509(out, cert);
    (void)fclose(out);
    (void)snprintf(name, sizeof(name), "%s.key", c->file);
    out = fopen(fixture_path(f, name), "we");
    assert(out);
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(out);
}

static inline void fixture_make(struct tls_fixture *f, const struct fixture_cert *c)
{
    static long serial = 1;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509 *issuer = c->is_self_signed ? cert : c->is_by_inter ? f->inter : f->ca;
    assert(key && cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), c->from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), c->to_s);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               (const unsigned char *)c->cn, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer));
    fixture_ext(cert, issuer, NID_basic_constraints, c->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (c->san) {
        fixture_ext(cert, issuer, NID_subject_alt_name, c->san);
    }
    X509_sign(cert,
              c->is_self_signed ? key
              : c->is_by_inter  ? f->inter_key
                                : f->ca_key,
              EVP_sha256());
    fixture_write(f, c, cert, key);
    if (c->is_ca && !f->ca) {
        f->ca = cert;
        f->ca_key = key;
    } else if (c->is_ca && !c->is_self_signed) {
        f->inter = cert;
        f->inter_key = key;
    } else {
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

/** Make the folder and what most tests need. */
static inline void fixture_init(struct tls_fixture *f)
{
    const long day = 86400;
    const struct fixture_cert certs[] = {
        {"ca", "Test CA", NULL, -day, day, true, true, false},
        {"other", "Other CA", NULL, -day, day, true, true, false},
        {"server", "push.example.com", "DNS:push.example.com,IP:127.0.0.1,IP:::1", -day, day, false,
         false, false},
        {"tunnel", "tunnel.example.com", "DNS:tunnel.example.com", -day, day, false, false, false},
        {"expired", "push.example.com", "DNS:push.example.com", -2 * day, -day, false, false,
         false},
        {"early", "push.example.com", "DNS:push.example.com", day, 2 * day, false, false, false},
        {"self", "push.example.com", "DNS:push.example.com", -day, day, false, true, false},
        {"dc1-a", "dc1-a", NULL, -day, day, false, false, false},
        {"inter", "Intermediate CA", NULL, -day, day, true, false, false},
        {"leaf", "push.example.com", "DNS:push.example.com", -day, day, false, false, true},
    };
    *f = (struct tls_fixture){.n_paths = 0};
    temp_folder(f->dir);
    for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++) {
        fixture_make(f, &certs[i]);
    }
    FILE *bundle = fopen(fixture_path(f, "bundle.pem"), "we");
    assert(bundle);
    PEM_write_X509(bundle, f->ca);
    PEM_write_X509(bundle, f->inter);
    (void)fclose(bundle);
}

static inline void fixture_done(struct tls_fixture *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        (void)unlink(f->path[i]);
    }
    (void)rmdir(f->dir);
    X509_free(f->ca);
    EVP_PKEY_free(f->ca_key);
    X509_free(f->inter);
    EVP_PKEY_free(f->inter_key);
}

#endif
