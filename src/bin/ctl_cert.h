/**
 * One certificate being made for frunctl pki, and the CA that signs it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BIN_CTL_CERT_H
#define FRUN_BIN_CTL_CERT_H

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/* What is being made. */
struct ctl_cert {
    char cert_file[512];
    char key_file[512];
    EVP_PKEY *key;
    X509 *cert;
    EVP_PKEY *ca_key; /* NULL: self-signed */
    X509 *ca;
};

/* Subject CN=cn, validity from an hour ago, a new key; false: OpenSSL's error queue tells. */
bool ctl_cert_begin(struct ctl_cert *m, const char *cn, long days);

/* Add an extension in the words of OpenSSL's configuration; false as above. */
bool ctl_cert_extend(struct ctl_cert *m, int nid, const char *value);

/* Write key (mode 0600) and certificate; 0 or an exit status, reported. */
int ctl_cert_write(const struct ctl_cert *m, bool is_forced);

/* Octets of a time like 2026-11-22T10:00:00Z with the final NUL. */
#define CTL_CERT_TIME_BYTES 24

/* A point in time as such a text. */
void ctl_cert_time(const ASN1_TIME *at, char out[CTL_CERT_TIME_BYTES]);

/* Load ca.pem and ca.key of a folder; 0 or an exit status, reported. */
int ctl_cert_load_ca(struct ctl_cert *m, const char *dir);

/* Free what it holds. */
void ctl_cert_done(struct ctl_cert *m);

/* Report what OpenSSL complains about; EXIT_FAILURE. */
int ctl_cert_fail(const char *what);

#endif
