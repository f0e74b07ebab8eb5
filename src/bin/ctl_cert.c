/**
 * Making X.509 v3 certificates with EC P-256 keys, and their PEM files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_cert.h"

#include "frun/base/mono.h"

#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void ctl_cert_done(struct ctl_cert *m)
{
    EVP_PKEY_free(m->key);
    EVP_PKEY_free(m->ca_key);
    X509_free(m->cert);
    X509_free(m->ca);
}

int ctl_cert_fail(const char *what)
{
    char why[160];
    ERR_error_string_n(ERR_get_error(), why, sizeof(why));
    return ctl_fail("%s: %s", what, why);
}

bool ctl_cert_extend(struct ctl_cert *m, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, m->ca ? m->ca : m->cert, m->cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool is_good = x && X509_add_ext(m->cert, x, -1);
    X509_EXTENSION_free(x);
    return is_good;
}

/* Random positive serial number of 127 bits (RFC 5280 4.1.2.2). */
static bool set_serial(X509 *cert)
{
    unsigned char octets[16];
    mono_entropy(octets, sizeof(octets));
    octets[0] = (unsigned char)((octets[0] & 0x3f) | 0x40);
    BIGNUM *n = BN_bin2bn(octets, sizeof(octets), NULL);
    bool is_good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return is_good;
}

bool ctl_cert_begin(struct ctl_cert *m, const char *cn, long days)
{
    const unsigned char *text = (const unsigned char *)cn;
    m->key = EVP_EC_gen("P-256");
    m->cert = X509_new();
    if (!m->key || !m->cert || !X509_set_version(m->cert, X509_VERSION_3) || !set_serial(m->cert)) {
        return false;
    }
    X509_NAME *name = X509_get_subject_name(m->cert);
    /* an hour back: the peers' clocks differ a little */
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) &&
           X509_set_issuer_name(m->cert, m->ca ? X509_get_subject_name(m->ca) : name) &&
           X509_gmtime_adj(X509_getm_notBefore(m->cert), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(m->cert), days * 86400) &&
           X509_set_pubkey(m->cert, m->key);
}

/* Make a file of its own with the mode it needs from the first moment. */
static FILE *create(const char *path, mode_t mode, bool is_forced)
{
    if (is_forced) {
        (void)unlink(path);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "we");
    if (fd >= 0 && (!f || fchmod(fd, mode))) {
        (void)close(fd);
        return NULL;
    }
    return f;
}

int ctl_cert_write(const struct ctl_cert *m, bool is_forced)
{
    FILE *key = create(m->key_file, 0600, is_forced);
    if (!key) {
        return ctl_fail("cannot write %s: %s%s", m->key_file, strerrordesc_np(errno),
                        errno == EEXIST ? "; --force overwrites" : "");
    }
    bool is_good = PEM_write_PrivateKey(key, m->key, NULL, NULL, 0, NULL, NULL) == 1;
    is_good = fclose(key) == 0 && is_good;
    FILE *cert = is_good ? create(m->cert_file, 0644, is_forced) : NULL;
    if (!cert) {
        return ctl_fail("cannot write %s: %s%s", m->cert_file, strerrordesc_np(errno),
                        errno == EEXIST ? "; --force overwrites" : "");
    }
    is_good = PEM_write_X509(cert, m->cert) == 1;
    if (fclose(cert) || !is_good) {
        return ctl_fail("cannot write %s: %s", m->cert_file, strerrordesc_np(errno));
    }
    return 0;
}

void ctl_cert_time(const ASN1_TIME *at, char out[CTL_CERT_TIME_BYTES])
{
    struct tm parts;
    if (!ASN1_TIME_to_tm(at, &parts) ||
        strftime(out, CTL_CERT_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        out[0] = '\0';
    }
}

int ctl_cert_load_ca(struct ctl_cert *m, const char *dir)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/ca.key", dir);
    FILE *f = fopen(path, "re");
    if (!f) {
        return ctl_fail("cannot read %s: %s; run 'frunctl pki init %s' first", path,
                        strerrordesc_np(errno), dir);
    }
    m->ca_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    (void)fclose(f);
    (void)snprintf(path, sizeof(path), "%s/ca.pem", dir);
    f = fopen(path, "re");
    if (!f) {
        return ctl_fail("cannot read %s: %s", path, strerrordesc_np(errno));
    }
    m->ca = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    if (!m->ca || !m->ca_key || X509_check_private_key(m->ca, m->ca_key) != 1) {
        return ctl_fail("ca.pem and ca.key in %s are damaged or do not belong together", dir);
    }
    return 0;
}
