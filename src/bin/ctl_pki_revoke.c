/**
 * frunctl pki revoke: the revocation list of a CA that frunctl has made.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/file.h"

#include "ctl.h"
#include "ctl_audit.h"
#include "ctl_out.h"
#include "ctl_pki.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* How long a list is good unless --days says otherwise. */
#define CRL_DAYS 30

/* What is being made. */
struct list {
    const struct ctl_pki_ask *ask;
    struct ctl_cert ca;
    char path[512];
    X509_CRL *old; /* NULL: there is none yet */
    X509_CRL *crl;
    size_t n_new; /* certificates that were not on it */
};

static int begin(struct list *l)
{
    (void)snprintf(l->path, sizeof(l->path), "%s/ca.crl", l->ask->dir);
    int status = ctl_cert_load_ca(&l->ca, l->ask->dir);
    FILE *f = status ? NULL : fopen(l->path, "re");
    if (f) {
        l->old = PEM_read_X509_CRL(f, NULL, NULL, NULL);
        (void)fclose(f);
        if (!l->old || X509_CRL_verify(l->old, X509_get0_pubkey(l->ca.ca)) != 1) {
            return ctl_fail("%s is damaged, or not of the CA beside it; take it away to begin anew",
                            l->path);
        }
    } else if (!status && errno != ENOENT) {
        return ctl_fail("cannot read %s: %s", l->path, strerrordesc_np(errno));
    }
    l->crl = status ? NULL : l->old ? X509_CRL_dup(l->old) : X509_CRL_new();
    return status || l->crl ? status : ctl_fail("out of memory");
}

/* One certificate onto the list; on it already is good, too. */
static int revoke(struct list *l, const char *file)
{
    X509_REVOKED *there = NULL;
    FILE *f = fopen(file, "re");
    X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    int why = errno;
    if (f) {
        (void)fclose(f);
    }
    if (!x) {
        return ctl_fail("%s: %s", file, f ? "no certificate in PEM" : strerrordesc_np(why));
    }
    int status = 0;
    if (X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(l->ca.ca)) != 0 ||
        X509_verify(x, X509_get0_pubkey(l->ca.ca)) != 1) {
        status = ctl_fail("%s is not signed by the CA in %s", file, l->ask->dir);
    } else if (X509_CRL_get0_by_cert(l->crl, &there, x) != 1) {
        X509_REVOKED *one = X509_REVOKED_new();
        ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL));
        bool is_done = one && now &&
                       X509_REVOKED_set_serialNumber(one, X509_get_serialNumber(x)) == 1 &&
                       X509_REVOKED_set_revocationDate(one, now) == 1 &&
                       X509_CRL_add0_revoked(l->crl, one) == 1;
        if (!is_done) {
            X509_REVOKED_free(one);
            status = ctl_fail("out of memory");
        }
        ASN1_TIME_free(now);
        l->n_new++;
    }
    X509_free(x);
    ERR_clear_error();
    return status;
}

/* Its number grows, so that readers know which one is newer (RFC 5280 5.2.3). */
static bool set_number(struct list *l)
{
    ASN1_INTEGER *old = l->old ? X509_CRL_get_ext_d2i(l->old, NID_crl_number, NULL, NULL) : NULL;
    int64_t n = 0;
    if (old && ASN1_INTEGER_get_int64(&n, old) != 1) {
        n = 0;
    }
    ASN1_INTEGER *next = ASN1_INTEGER_new();
    bool is_set = next && ASN1_INTEGER_set_int64(next, n + 1) == 1 &&
                  X509_CRL_add1_ext_i2d(l->crl, NID_crl_number, next, 0, X509V3_ADD_REPLACE) == 1;
    ASN1_INTEGER_free(old);
    ASN1_INTEGER_free(next);
    return is_set;
}

static bool sign(struct list *l)
{
    time_t at = time(NULL);
    uint64_t days = l->ask->days ? l->ask->days : CRL_DAYS;
    /* an hour back: the gateways' clocks differ a little */
    ASN1_TIME *from = ASN1_TIME_set(NULL, at - 3600);
    ASN1_TIME *until = ASN1_TIME_set(NULL, at + (time_t)(days * 86400));
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, l->ca.ca, NULL, NULL, l->crl, 0);
    X509_EXTENSION *key = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
    bool has_key = X509_CRL_get_ext_by_NID(l->crl, NID_authority_key_identifier, -1) >= 0;
    bool is_made = from && until && key && X509_CRL_set_version(l->crl, X509_CRL_VERSION_2) == 1 &&
                   X509_CRL_set_issuer_name(l->crl, X509_get_subject_name(l->ca.ca)) == 1 &&
                   X509_CRL_set1_lastUpdate(l->crl, from) == 1 &&
                   X509_CRL_set1_nextUpdate(l->crl, until) == 1 && set_number(l) &&
                   (has_key || X509_CRL_add_ext(l->crl, key, -1) == 1) &&
                   X509_CRL_sort(l->crl) == 1 &&
                   X509_CRL_sign(l->crl, l->ca.ca_key, EVP_sha256()) > 0;
    X509_EXTENSION_free(key);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return is_made;
}

/* The old list or the new one, never a part; services read it. */
static int store(const struct list *l)
{
    struct diag d = {.text = ""};
    BIO *mem = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool is_made = mem && PEM_write_bio_X509_CRL(mem, l->crl) == 1;
    long n = is_made ? BIO_get_mem_data(mem, &text) : 0;
    frun_err err = n > 0 ? file_replace(l->path, span_make(text, (size_t)n), &d) : FRUN_E_NOMEM;
    BIO_free(mem);
    if (!err && chmod(l->path, 0644)) {
        return ctl_fail("%s: %s", l->path, strerrordesc_np(errno));
    }
    return err ? ctl_fail("%s", d.text[0] ? d.text : err_text(err)) : 0;
}

static int tell(const struct list *l)
{
    char until[CTL_CERT_TIME_BYTES];
    char detail[128];
    size_t n = (size_t)sk_X509_REVOKED_num(X509_CRL_get_REVOKED(l->crl));
    n = X509_CRL_get_REVOKED(l->crl) ? n : 0;
    ctl_cert_time(X509_CRL_get0_nextUpdate(l->crl), until);
    (void)snprintf(detail, sizeof(detail), "%zu revoked now, %zu in all, good until %s", l->n_new,
                   n, until);
    ctl_audit_made(l->ask->config, "certificate.revoked", l->path, detail);
    if (ctl_is_json()) {
        return ctl_json_take(json_pack("{s:s, s:I, s:I, s:s}", "file", l->path, "revoked",
                                       (json_int_t)n, "new", (json_int_t)l->n_new, "until", until));
    }
    (void)printf("wrote %s: %s\n", l->path, detail);
    (void)puts("it is client_crl beside client_ca; make a new one before it ends, or the CA's "
               "certificates are refused");
    return EXIT_SUCCESS;
}

int ctl_pki_revoke(int argc, char **argv)
{
    struct ctl_pki_ask a = {.max_files = CTL_PKI_NAMES};
    struct list l = {.ask = &a};
    int status = ctl_pki_parse(argc, argv, &a);
    if (!status && (a.n_names || a.n_ips || a.is_forced)) {
        status = ctl_misuse("certificates are named by their files");
    }
    status = status ? status : begin(&l);
    for (size_t i = 0; !status && i < a.n_files; i++) {
        status = revoke(&l, a.files[i]);
    }
    if (!status && !sign(&l)) {
        status = ctl_cert_fail("cannot make the list");
    }
    status = status ? status : store(&l);
    status = status ? status : tell(&l);
    X509_CRL_free(l.old);
    X509_CRL_free(l.crl);
    ctl_cert_done(&l.ca);
    return status;
}
