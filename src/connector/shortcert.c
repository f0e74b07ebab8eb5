/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/connector/shortcert.h"

#include "frun/base/text.h"
#include "frun/conf/dn.h"

#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Octets of a serial number, the first bit clear. Source: RFC 5280 4.1.2.2. */
#define SERIAL_BYTES 16

/* Octets of one value of a subject, the name put in. */
#define VALUE_BYTES 512

/* Shortest RSA key that signs. */
#define RSA_BITS 2048

struct shortcert_ca {
    atomic_uint refs;
    X509 *certificate;
    EVP_PKEY *key;
    char *subject_text; /* subject lends from it */
    struct dn subject;
    uint64_t lifetime_s;
    int64_t until_s; /* the CA's own end */
    pthread_mutex_t lock;
    EVP_PKEY *subject_key; /* lock; public half alone; NULL: not made yet */
};

/* ---- the subject ---- */

static size_t find_mark(struct span s)
{
    struct span mark = SPAN_LIT(SHORTCERT_NAME_MARK);
    for (size_t i = 0; i + mark.n <= s.n; i++) {
        if (span_starts(span_skip(s, i), mark)) {
            return i;
        }
    }
    return s.n;
}

/* The value with each mark replaced. */
static frun_err fill_value(struct span value, struct span name, unsigned char out[VALUE_BYTES],
                           size_t *out_len)
{
    size_t n = 0;
    while (value.n > 0) {
        size_t at = find_mark(value);
        bool is_marked = at < value.n;
        if (at + name.n > VALUE_BYTES - n) {
            return FRUN_E_LIMIT;
        }
        memcpy(out + n, value.p, at);
        n += at;
        if (is_marked) {
            memcpy(out + n, name.p, name.n);
            n += name.n;
            at += sizeof(SHORTCERT_NAME_MARK) - 1;
        }
        value = span_skip(value, at);
    }
    *out_len = n;
    return FRUN_OK;
}

/* @param set 0: an RDN of its own, -1: of the one before */
static frun_err add_part(X509_NAME *to, const struct dn_part *p, struct span name, int set)
{
    char type[64];
    unsigned char value[VALUE_BYTES];
    size_t n = 0;
    if (p->type.n >= sizeof(type)) {
        return FRUN_E_SYNTAX;
    }
    memcpy(type, p->type.p, p->type.n);
    type[p->type.n] = '\0';
    frun_err err = fill_value(p->value, name, value, &n);
    if (err) {
        return err;
    }
    ERR_clear_error();
    if (X509_NAME_add_entry_by_txt(to, type, MBSTRING_UTF8, value, (int)n, -1, set) == 1) {
        return FRUN_OK;
    }
    int reason = ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
    return reason == ASN1_R_STRING_TOO_LONG ? FRUN_E_LIMIT : FRUN_E_SYNTAX;
}

/* The text has the most special RDN first, the certificate last. Source: RFC 4514 2.1. */
static frun_err make_subject(const struct shortcert_ca *ca, struct span name, X509_NAME *to)
{
    size_t end = ca->subject.n;
    while (end > 0) {
        size_t begin = end - 1;
        while (begin > 0 && ca->subject.parts[begin].is_joined) {
            begin--;
        }
        for (size_t i = begin; i < end; i++) {
            frun_err err = add_part(to, &ca->subject.parts[i], name, i == begin ? 0 : -1);
            if (err) {
                return err;
            }
        }
        end = begin;
    }
    return FRUN_OK;
}

/* Texts with a meaning of their own for those who print or compare them are left out. */
static bool is_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) {
            return false;
        }
    }
    return s.n >= 1 && s.n <= SHORTCERT_NAME_BYTES;
}

static frun_err load_subject(struct shortcert_ca *ca, const char *text, struct diag *d)
{
    const char *why = NULL;
    bool is_marked = false;
    ca->subject_text = strdup(text);
    if (!ca->subject_text) {
        return FRUN_E_NOMEM;
    }
    if (dn_parse(span_of(ca->subject_text), &ca->subject, &why)) {
        diag_set(d, "%s", why ? why : "is no distinguished name");
        return FRUN_E_SYNTAX;
    }
    for (size_t i = 0; i < ca->subject.n; i++) {
        const struct dn_part *p = &ca->subject.parts[i];
        is_marked = is_marked || find_mark(p->value) < p->value.n;
        if (p->is_der) {
            diag_set(d, "'#' for DER is not taken here");
            return FRUN_E_SYNTAX;
        }
    }
    if (!is_marked) {
        diag_set(d, "has no " SHORTCERT_NAME_MARK ": all principals would be one");
        return FRUN_E_SYNTAX;
    }
    X509_NAME *trial = X509_NAME_new();
    frun_err err = trial ? make_subject(ca, SPAN_LIT("n"), trial) : FRUN_E_NOMEM;
    X509_NAME_free(trial);
    if (err == FRUN_E_SYNTAX || err == FRUN_E_LIMIT) {
        diag_set(d, err == FRUN_E_LIMIT ? "has a value that is too long for its type"
                                        : "has a type or value that no certificate can carry");
        err = FRUN_E_SYNTAX;
    }
    return err;
}

/* ---- the CA ---- */

/* Never asks at a terminal. OpenSSL says how it looks:
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_password(char *to, int n, int is_write, void *ctx)
{
    (void)to;
    (void)n;
    (void)is_write;
    (void)ctx;
    return 0;
}

static frun_err refuse(struct diag *d, const char *file, const char *why)
{
    diag_set(d, "%s: %s", file, why);
    ERR_clear_error();
    return FRUN_E_TLS;
}

static frun_err load_pair(struct shortcert_ca *ca, const struct shortcert_terms *t, struct diag *d)
{
    BIO *c = BIO_new_file(t->certificate, "re");
    BIO *k = BIO_new_file(t->private_key, "re");
    ca->certificate = c ? PEM_read_bio_X509(c, NULL, no_password, NULL) : NULL;
    ca->key = k ? PEM_read_bio_PrivateKey(k, NULL, no_password, NULL) : NULL;
    bool is_read = c && k;
    BIO_free(c);
    BIO_free(k);
    ERR_clear_error();
    if (!is_read) {
        diag_set(d, "%s: cannot be read", c ? t->private_key : t->certificate);
        return FRUN_E_IO;
    }
    if (!ca->certificate) {
        return refuse(d, t->certificate, "no usable certificate: PEM is needed");
    }
    if (!ca->key) {
        return refuse(d, t->private_key,
                      "no usable private key: PEM without a passphrase is needed");
    }
    if (X509_check_private_key(ca->certificate, ca->key) != 1) {
        return refuse(d, t->private_key, "does not belong to the certificate");
    }
    return FRUN_OK;
}

static bool is_usable_key(const EVP_PKEY *k)
{
    return (EVP_PKEY_is_a(k, "RSA") && EVP_PKEY_get_bits(k) >= RSA_BITS) ||
           (EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_bits(k) >= 256);
}

static frun_err judge_ca(struct shortcert_ca *ca, const struct shortcert_terms *t, struct diag *d)
{
    struct tm tm;
    uint32_t usage = X509_get_key_usage(ca->certificate);
    if (X509_check_ca(ca->certificate) != 1 || !(usage & KU_KEY_CERT_SIGN)) {
        return refuse(d, t->certificate,
                      "is no CA: basicConstraints CA:TRUE and keyUsage keyCertSign are needed");
    }
    if (!is_usable_key(ca->key)) {
        return refuse(d, t->private_key,
                      "signs by a key that is too weak, or of another kind than "
                      "RSA (from 2048 bits) and EC (from P-256)");
    }
    if (ASN1_TIME_to_tm(X509_get0_notAfter(ca->certificate), &tm) != 1) {
        return refuse(d, t->certificate, "has an end that cannot be read");
    }
    ca->until_s = (int64_t)timegm(&tm);
    return FRUN_OK;
}

frun_err shortcert_ca_load(const struct shortcert_terms *t, struct shortcert_ca **out,
                           struct diag *d)
{
    struct shortcert_ca *ca = calloc(1, sizeof(*ca));
    if (!ca) {
        return FRUN_E_NOMEM;
    }
    atomic_init(&ca->refs, 1);
    ca->lifetime_s = t->lifetime_s;
    if (pthread_mutex_init(&ca->lock, NULL)) {
        free(ca);
        return FRUN_E_NOMEM;
    }
    errno = 0; /* OpenSSL does not always say that memory was refused; malloc() does */
    frun_err err = load_subject(ca, t->subject, d);
    err = err ? err : load_pair(ca, t, d);
    err = err ? err : judge_ca(ca, t, d);
    if (err) {
        err = errno == ENOMEM ? FRUN_E_NOMEM : err;
        shortcert_ca_unref(&ca);
        return err;
    }
    *out = ca;
    return FRUN_OK;
}

int64_t shortcert_ca_until(const struct shortcert_ca *ca)
{
    return ca->until_s;
}

struct shortcert_ca *shortcert_ca_ref(struct shortcert_ca *ca)
{
    atomic_fetch_add_explicit(&ca->refs, 1, memory_order_relaxed);
    return ca;
}

void shortcert_ca_unref(struct shortcert_ca **ca)
{
    struct shortcert_ca *x = *ca;
    *ca = NULL;
    if (x && atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) == 1) {
        X509_free(x->certificate);
        EVP_PKEY_free(x->key);
        EVP_PKEY_free(x->subject_key);
        free(x->subject_text);
        (void)pthread_mutex_destroy(&x->lock);
        free(x);
    }
}

/* ---- a certificate ---- */

/* What is left when the private half has been thrown away. */
static EVP_PKEY *public_half(EVP_PKEY *whole)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(whole, &der);
    const unsigned char *at = der;
    EVP_PKEY *half = n > 0 ? d2i_PUBKEY(NULL, &at, n) : NULL;
    OPENSSL_free(der);
    return half;
}

/* Of the CA's kind, which the reader of the certificate can deal with. */
static EVP_PKEY *subject_key(struct shortcert_ca *ca)
{
    (void)pthread_mutex_lock(&ca->lock);
    if (!ca->subject_key) {
        EVP_PKEY *whole =
            EVP_PKEY_is_a(ca->key, "RSA") ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
        ca->subject_key = whole ? public_half(whole) : NULL;
        EVP_PKEY_free(whole);
    }
    EVP_PKEY *key = ca->subject_key;
    (void)pthread_mutex_unlock(&ca->lock);
    return key;
}

static bool set_serial(X509 *x)
{
    unsigned char raw[SERIAL_BYTES];
    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        return false;
    }
    raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40); /* positive, and of one length */
    BIGNUM *n = BN_bin2bn(raw, sizeof(raw), NULL);
    bool is_set = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return is_set;
}

static bool add_extension(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool is_added = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return is_added;
}

static bool add_extensions(const struct shortcert_ca *ca, X509 *x)
{
    static const struct {
        int nid;
        const char *value;
    } rows[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "clientAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid"},
    };
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, ca->certificate, x, NULL, NULL, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* A CA without an identifier has none that could be repeated. */
        bool is_idle = rows[i].nid == NID_authority_key_identifier &&
                       !X509_get0_subject_key_id(ca->certificate);
        if (!is_idle && !add_extension(x, &ctx, rows[i].nid, rows[i].value)) {
            return false;
        }
    }
    return true;
}

static bool set_times(X509 *x, int64_t from_s, int64_t until_s)
{
    return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from_s) &&
           ASN1_TIME_set(X509_getm_notAfter(x), (time_t)until_s);
}

static frun_err to_text(X509 *x, char **out)
{
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der);
    if (n <= 0) {
        return FRUN_E_NOMEM;
    }
    char *text = malloc(TEXT_BASE64_BYTES((size_t)n));
    if (text) {
        (void)text_base64(span_make(der, (size_t)n), text);
        *out = text;
    }
    OPENSSL_free(der);
    return text ? FRUN_OK : FRUN_E_NOMEM;
}

static frun_err build(struct shortcert_ca *ca, struct span name, int64_t now_s, int64_t until_s,
                      X509 *x)
{
    EVP_PKEY *key = subject_key(ca);
    frun_err err = make_subject(ca, name, X509_get_subject_name(x));
    if (err) {
        return err;
    }
    bool is_made = key && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
                   set_times(x, now_s - SHORTCERT_SKEW_S, until_s) &&
                   X509_set_issuer_name(x, X509_get_subject_name(ca->certificate)) == 1 &&
                   X509_set_pubkey(x, key) == 1 && add_extensions(ca, x) &&
                   X509_sign(x, ca->key, EVP_sha256()) > 0;
    return is_made ? FRUN_OK : FRUN_E_TLS;
}

frun_err shortcert_make(struct shortcert_ca *ca, struct span name, int64_t now_s, char **text,
                        int64_t *until_s)
{
    int64_t end_s = now_s + (int64_t)ca->lifetime_s;
    if (!is_name(name)) {
        return FRUN_E_SYNTAX;
    }
    end_s = end_s > ca->until_s ? ca->until_s : end_s;
    if (end_s <= now_s) {
        return FRUN_E_TLS;
    }
    X509 *x = X509_new();
    if (!x) {
        return FRUN_E_NOMEM;
    }
    frun_err err = build(ca, name, now_s, end_s, x);
    err = err ? err : to_text(x, text);
    if (!err) {
        *until_s = end_s;
    }
    X509_free(x);
    ERR_clear_error();
    return err;
}
