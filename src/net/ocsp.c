/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/ocsp.h"

#include "tls_int.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bounds of the time between two questions, seconds. */
#define RENEW_MIN_S INT64_C(300)
#define RENEW_MAX_S INT64_C(86400)

struct ocsp {
    struct ocsp_facts facts;
    char *url;
    X509 *issuer;    /* NULL: not in the file */
    OCSP_CERTID *id; /* goes with issuer */
};

/* ---- what the certificate says ---- */

static bool demands_staple(const X509 *x)
{
    bool is_demanded = false;
    TLS_FEATURE *all = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
    for (int i = 0; i < sk_ASN1_INTEGER_num(all); i++) {
        is_demanded |=
            ASN1_INTEGER_get(sk_ASN1_INTEGER_value(all, i)) == TLSEXT_TYPE_status_request;
    }
    TLS_FEATURE_free(all);
    return is_demanded;
}

/* The first responder that HTTP reaches; there may be others, over LDAP. */
static frun_err find_url(X509 *x, char **out)
{
    frun_err err = FRUN_OK;
    STACK_OF(OPENSSL_STRING) *all = X509_get1_ocsp(x);
    for (int i = 0; i < sk_OPENSSL_STRING_num(all) && !err && !*out; i++) {
        const char *url = sk_OPENSSL_STRING_value(all, i);
        if (span_starts(span_of(url), SPAN_LIT("http://")) ||
            span_starts(span_of(url), SPAN_LIT("https://"))) {
            *out = strdup(url);
            err = *out ? FRUN_OK : FRUN_E_NOMEM;
        }
    }
    X509_email_free(all);
    return err;
}

static X509 *find_issuer(SSL_CTX *ssl, X509 *x)
{
    STACK_OF(X509) *given = NULL;
    SSL_CTX_get0_chain_certs(ssl, &given);
    for (int i = 0; i < sk_X509_num(given); i++) {
        X509 *candidate = sk_X509_value(given, i);
        if (X509_check_issued(candidate, x) == X509_V_OK &&
            X509_verify(x, X509_get0_pubkey(candidate)) == 1) {
            return candidate;
        }
    }
    return NULL;
}

frun_err ocsp_new(const struct tls_ctx *t, struct ocsp **out)
{
    X509 *x = SSL_CTX_get0_certificate(t->ssl);
    if (!x) {
        return FRUN_E_TLS;
    }
    struct ocsp *o = calloc(1, sizeof(*o));
    frun_err err = o ? find_url(x, &o->url) : FRUN_E_NOMEM;
    X509 *issuer = err ? NULL : find_issuer(t->ssl, x);
    if (issuer) {
        /* SHA-1 names the issuer, it protects nothing; responders know no other. RFC 5019 2.1.1 */
        o->id = OCSP_cert_to_id(EVP_sha1(), x, issuer);
        err = o->id && X509_up_ref(issuer) == 1 ? FRUN_OK : FRUN_E_NOMEM;
        o->issuer = err ? NULL : issuer;
    }
    if (!err) {
        o->facts = (struct ocsp_facts){demands_staple(x), issuer != NULL, o->url};
    }
    ERR_clear_error();
    if (err) {
        ocsp_free(o);
        return err;
    }
    *out = o;
    return FRUN_OK;
}

void ocsp_free(struct ocsp *o)
{
    if (!o) {
        return;
    }
    OCSP_CERTID_free(o->id);
    X509_free(o->issuer);
    free(o->url);
    free(o);
}

const struct ocsp_facts *ocsp_facts(const struct ocsp *o)
{
    return &o->facts;
}

/* ---- question ---- */

frun_err ocsp_ask(const struct ocsp *o, struct buf *out)
{
    unsigned char *der = NULL;
    int n = -1;
    OCSP_REQUEST *r = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_CERTID_dup(o->id);
    if (r && id && OCSP_request_add0_id(r, id)) {
        id = NULL; /* the request's */
        n = i2d_OCSP_REQUEST(r, &der);
    }
    frun_err err = n > 0 ? buf_put(out, span_make(der, (size_t)n)) : FRUN_E_NOMEM;
    OPENSSL_free(der);
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(r);
    ERR_clear_error();
    return err;
}

/* ---- answer ---- */

static frun_err refuse(struct diag *d, frun_err err, const char *text)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    diag_set(d, "%s%s%s%s", text, reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
    return err;
}

static frun_err read_answer(struct span answer, OCSP_BASICRESP **out, struct diag *d)
{
    const unsigned char *at = (const unsigned char *)answer.p;
    const unsigned char *end = at + answer.n;
    OCSP_RESPONSE *r = answer.n && answer.n <= TLS_STAPLING_MAX_BYTES
                           ? d2i_OCSP_RESPONSE(NULL, &at, (long)answer.n)
                           : NULL;
    if (!r || at != end) {
        OCSP_RESPONSE_free(r);
        return refuse(
            d, FRUN_E_SYNTAX,
            "what came is no OCSP response; does a proxy or another service answer in the "
            "responder's place?");
    }
    frun_err err = FRUN_OK;
    int status = OCSP_response_status(r);
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        diag_set(d, "the responder has no answer: %s", OCSP_response_status_str(status));
        err = FRUN_E_AGAIN;
    } else {
        *out = OCSP_response_get1_basic(r);
        err = *out ? FRUN_OK
                   : refuse(d, FRUN_E_SYNTAX, "the responder's answer is of a kind nobody knows");
    }
    OCSP_RESPONSE_free(r);
    return err;
}

/* The issuer alone is trusted, whoever has signed it; a delegate must be its child. */
static frun_err check_signer(const struct ocsp *o, OCSP_BASICRESP *basic, int64_t now_s,
                             struct diag *d)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    frun_err err = FRUN_E_NOMEM;
    if (store && known && X509_STORE_add_cert(store, o->issuer) &&
        sk_X509_push(known, o->issuer) > 0) {
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now_s);
        (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        err = OCSP_basic_verify(basic, known, store, OCSP_PARTIAL_CHAIN | OCSP_NOEXPLICIT) == 1
                  ? FRUN_OK
                  : refuse(d, FRUN_E_TLS,
                           "the answer is not signed by the certificate's issuer or a responder of "
                           "its; is the file's second certificate the issuer?");
    }
    sk_X509_free(known);
    X509_STORE_free(store);
    return err;
}

static frun_err check_status(const struct ocsp *o, OCSP_BASICRESP *basic, int64_t now_s,
                             struct ocsp_validity *out, struct diag *d)
{
    int status = -1;
    int reason = -1;
    ASN1_GENERALIZEDTIME *from = NULL;
    ASN1_GENERALIZEDTIME *until = NULL;
    if (!OCSP_resp_find_status(basic, o->id, &status, &reason, NULL, &from, &until)) {
        return refuse(d, FRUN_E_NOT_FOUND, "the answer is about another certificate");
    }
    struct ocsp_validity v = {tls_seconds(from), until ? tls_seconds(until) : 0};
    if (v.from > now_s + OCSP_SKEW_S) {
        return refuse(d, FRUN_E_TIMEOUT, "the answer is not valid yet; check this machine's clock");
    }
    if (until && v.until <= now_s) {
        return refuse(d, FRUN_E_TIMEOUT,
                      "the answer has expired; check this machine's clock, else the CA's responder "
                      "is behind");
    }
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
        diag_set(d, "the certificate has been revoked (%s)",
                 reason >= 0 ? OCSP_crl_reason_str(reason) : "no reason given");
        return FRUN_E_DENIED;
    }
    if (status != V_OCSP_CERTSTATUS_GOOD) {
        return refuse(d, FRUN_E_NOT_FOUND,
                      "the responder does not know the certificate; a new one is often known "
                      "minutes later");
    }
    v.until = until ? v.until : now_s + OCSP_OPEN_END_S;
    *out = v;
    return FRUN_OK;
}

frun_err ocsp_verify(const struct ocsp *o, struct span answer, int64_t now_s,
                     struct ocsp_validity *out, struct diag *d)
{
    OCSP_BASICRESP *basic = NULL;
    ERR_clear_error();
    frun_err err = read_answer(answer, &basic, d);
    if (!err) {
        err = check_signer(o, basic, now_s, d);
    }
    if (!err) {
        err = check_status(o, basic, now_s, out, d);
    }
    OCSP_BASICRESP_free(basic);
    ERR_clear_error();
    return err;
}

int64_t ocsp_renew_s(int64_t now_s, int64_t until_s)
{
    int64_t left = until_s > now_s ? until_s - now_s : 0;
    int64_t in = left / 2;
    /* Half of what ends soon is better than a gap in which clients are refused. */
    int64_t least = left < 2 * RENEW_MIN_S ? 1 : RENEW_MIN_S;
    return in < least ? least : in > RENEW_MAX_S ? RENEW_MAX_S : in;
}
