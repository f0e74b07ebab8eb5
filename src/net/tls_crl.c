/**
 * Revocation lists of a server's clients.
 *
 * OpenSSL looks certificates up in them where it builds a chain. A list is asked for at every step
 * of a chain; above the client's own certificate one that is missing is let pass, so that a site
 * may give the lists of those CAs alone that sign for clients.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls.h"

#include "tls_int.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Octets of a file of lists: those of large public CAs have some ten. */
#define MAX_FILE_BYTES ((off_t)64 << 20)

/* Lists in a file. */
#define MAX_LISTS 256

/* Octets of a text about a list. */
#define TEXT_BYTES 512

/* Octets of a CA's name in it. */
#define NAME_BYTES 256

static void name_of(const X509_NAME *name, char out[NAME_BYTES])
{
    BIO *mem = BIO_new(BIO_s_mem());
    char *text = NULL;
    out[0] = '\0';
    if (mem && X509_NAME_print_ex(mem, name, 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(mem, &text);
        (void)snprintf(out, NAME_BYTES, "%.*s", n > 0 ? (int)n : 0, n > 0 ? text : "");
    }
    BIO_free(mem);
}

static STACK_OF(X509_OBJECT) * objects_of(const struct tls_ctx *t)
{
    return X509_STORE_get0_objects(SSL_CTX_get_cert_store(t->ssl));
}

/* -- loading
 * --------------------------------------------------------------------------------------------------
 */

/* Above the client's own certificate lists are taken as far as they are there. */
static int on_verify(int is_good, X509_STORE_CTX *x)
{
    if (!is_good && X509_STORE_CTX_get_error(x) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(x) > 0) {
        X509_STORE_CTX_set_error(x, X509_V_OK);
        return 1;
    }
    return is_good;
}

/* Does a CA of that name stand in the store, and is one of them who has signed it? */
static bool is_forged(const struct tls_ctx *t, X509_CRL *crl)
{
    const STACK_OF(X509_OBJECT) *all = objects_of(t);
    bool is_named = false;
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (!x || X509_NAME_cmp(X509_get_subject_name(x), X509_CRL_get_issuer(crl)) != 0) {
            continue;
        }
        is_named = true;
        if (X509_CRL_verify(crl, X509_get0_pubkey(x)) == 1) {
            ERR_clear_error();
            return false;
        }
    }
    ERR_clear_error();
    return is_named;
}

/* One list into the store. */
static frun_err add(struct tls_ctx *t, X509_CRL *crl, const char *file, struct diag *d)
{
    char name[NAME_BYTES];
    if (t->n_crls == MAX_LISTS) {
        diag_set(d, "%s: more than %d revocation lists", file, MAX_LISTS);
        return FRUN_E_LIMIT;
    }
    if (is_forged(t, crl)) {
        name_of(X509_CRL_get_issuer(crl), name);
        diag_set(d, "%s: the revocation list in the name of %s is not signed by that CA", file,
                 name);
        return FRUN_E_TLS;
    }
    const ASN1_TIME *end = X509_CRL_get0_nextUpdate(crl);
    t->crl_ends[t->n_crls++] = end ? tls_seconds(end) : INT64_MAX;
    return X509_STORE_add_crl(SSL_CTX_get_cert_store(t->ssl), crl) == 1 ? FRUN_OK : FRUN_E_NOMEM;
}

/* All of a file in PEM; FRUN_E_NOT_FOUND: there is none. */
static frun_err add_pem(struct tls_ctx *t, BIO *in, const char *file, struct diag *d)
{
    frun_err err = FRUN_OK;
    size_t n = 0;
    for (X509_CRL *crl; !err && (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)); n++) {
        err = add(t, crl, file, d);
        X509_CRL_free(crl);
    }
    if (err) {
        return err;
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return tls_refuse(d, file, "a revocation list in it is damaged");
    }
    ERR_clear_error();
    return n ? FRUN_OK : FRUN_E_NOT_FOUND;
}

static frun_err add_der(struct tls_ctx *t, BIO *in, const char *file, struct diag *d)
{
    char more;
    X509_CRL *crl = d2i_X509_CRL_bio(in, NULL);
    if (!crl || BIO_read(in, &more, 1) > 0) {
        X509_CRL_free(crl);
        return tls_refuse(d, file,
                          "no usable revocation list: PEM or DER is needed; a CA that has revoked "
                          "nothing has a list all the same");
    }
    frun_err err = add(t, crl, file, d);
    X509_CRL_free(crl);
    return err;
}

static frun_err open_file(const char *file, BIO **out, struct diag *d)
{
    struct stat st;
    char why[128];
    FILE *f = fopen(file, "re");
    if (!f || fstat(fileno(f), &st) != 0) {
        diag_set(d, "%s: cannot be read (%s): check the name, and that the service's user may read",
                 file, strerror_r(errno, why, sizeof(why)));
    } else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES) {
        diag_set(d, "%s: is no file of at most %d MiB", file, (int)(MAX_FILE_BYTES >> 20));
    } else {
        *out = BIO_new_fp(f, BIO_CLOSE);
        if (*out) {
            return FRUN_OK;
        }
        (void)fclose(f);
        return FRUN_E_NOMEM;
    }
    if (f) {
        (void)fclose(f);
    }
    return FRUN_E_IO;
}

frun_err tls_crl_load(struct tls_ctx *t, const char *file, struct diag *d)
{
    BIO *in = NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(t->ssl);
    frun_err err = open_file(file, &in, d);
    t->crl_ends = err ? NULL : calloc(MAX_LISTS, sizeof(*t->crl_ends));
    err = !err && !t->crl_ends ? FRUN_E_NOMEM : err;
    err = err ? err : add_pem(t, in, file, d);
    if (err == FRUN_E_NOT_FOUND) {
        (void)BIO_seek(in, 0);
        err = add_der(t, in, file, d);
    }
    BIO_free(in);
    if (!err) {
        X509_STORE_set_verify_cb(store, on_verify);
        err = X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1
                  ? FRUN_OK
                  : FRUN_E_NOMEM;
    }
    return err;
}

/* -- looking
 * --------------------------------------------------------------------------------------------------
 */

struct tls_validity tls_crl_validity(const struct tls_ctx *t)
{
    struct tls_validity first = {0, 0};
    const STACK_OF(X509_OBJECT) *all = objects_of(t);
    for (int i = 0; t->n_crls && i < sk_X509_OBJECT_num(all); i++) {
        const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        const ASN1_TIME *end = crl ? X509_CRL_get0_nextUpdate(crl) : NULL;
        int64_t until = end ? tls_seconds(end) : 0;
        if (until && (!first.until || until < first.until)) {
            first = (struct tls_validity){tls_seconds(X509_CRL_get0_lastUpdate(crl)), until};
        }
    }
    return first;
}

bool tls_crl_has_ended(const struct tls_ctx *t, int64_t after_s, int64_t now_s)
{
    for (size_t i = 0; i < t->n_crls; i++) {
        if (after_s <= t->crl_ends[i] && t->crl_ends[i] < now_s) {
            return true;
        }
    }
    return false;
}

/* The store is sorted when it is loaded, and does not change any more. */
bool tls_crl_names(const struct tls_ctx *t, X509 *x)
{
    const STACK_OF(X509_OBJECT) *all = objects_of(t);
    X509_REVOKED *entry = NULL;
    for (int i = 0; t->n_crls && i < sk_X509_OBJECT_num(all); i++) {
        X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if (crl && X509_CRL_get0_by_cert(crl, &entry, x) == 1) {
            return true;
        }
    }
    return false;
}

/* -- doubts
 * --------------------------------------------------------------------------------------------------
 */

/* A CA of that name, or NULL. */
static const X509 *find_ca(const STACK_OF(X509_OBJECT) * all, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (x && X509_NAME_cmp(X509_get_subject_name(x), name) == 0) {
            return x;
        }
    }
    return NULL;
}

static bool has_list(const STACK_OF(X509_OBJECT) * all, const X509_NAME *name)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if (crl && X509_NAME_cmp(X509_CRL_get_issuer(crl), name) == 0) {
            return true;
        }
    }
    return false;
}

/* One that has signed another CA of the file: a root, which signs for no client as a rule. */
static bool is_above(const STACK_OF(X509_OBJECT) * all, const X509 *ca)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (x && x != ca &&
            X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(ca)) == 0) {
            return true;
        }
    }
    return false;
}

static void doubt_list(const STACK_OF(X509_OBJECT) * all, const X509_CRL *crl, tls_doubt_fn fn,
                       void *ctx)
{
    char text[TEXT_BYTES];
    char name[NAME_BYTES];
    char day[32] = "";
    struct tm tm;
    const X509_NAME *issuer = X509_CRL_get_issuer(crl);
    const ASN1_TIME *end = X509_CRL_get0_nextUpdate(crl);
    name_of(issuer, name);
    if (!find_ca(all, issuer)) {
        (void)snprintf(text, sizeof(text),
                       "its list of %s counts only if that is an intermediate CA which clients "
                       "show: client_ca has none of this name",
                       name);
        fn(ctx, text);
    }
    if (end && X509_cmp_time(end, NULL) < 0 && ASN1_TIME_to_tm(end, &tm) == 1) {
        (void)strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", &tm);
        (void)snprintf(text, sizeof(text),
                       "the list of %s expired on %s: certificates of this CA are refused until a "
                       "newer one is there",
                       name, day);
        fn(ctx, text);
    }
}

void tls_crl_doubts(const struct tls_ctx *t, tls_doubt_fn fn, void *ctx)
{
    char text[TEXT_BYTES];
    char name[NAME_BYTES];
    const STACK_OF(X509_OBJECT) *all = objects_of(t);
    for (int i = 0; t->n_crls && i < sk_X509_OBJECT_num(all); i++) {
        const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if (crl) {
            doubt_list(all, crl, fn, ctx);
        } else if (x && !has_list(all, X509_get_subject_name(x)) && !is_above(all, x)) {
            name_of(X509_get_subject_name(x), name);
            (void)snprintf(text, sizeof(text),
                           "it holds no list of %s, a CA of client_ca: the certificates that this "
                           "CA signs are refused",
                           name);
            fn(ctx, text);
        }
    }
}
