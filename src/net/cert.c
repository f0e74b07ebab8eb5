/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/cert.h"

#include "frun/conf/check.h"
#include "frun/conf/dn.h"
#include "stream_int.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Most certificates of a file's chain that are read. */
#define CERT_MAX_CHAIN 16

struct cert {
    X509 *x;
    STACK_OF(X509) * chain; /* what came with it, perhaps NULL */
    GENERAL_NAMES *names;   /* its subjectAltName, or NULL */
    int verdict;            /* X509_V_..., of the last cert_verify() */
    bool is_listed;         /* not good then, and on a revocation list */
    struct tls_validity v;  /* of the trusted chain */
    struct tls_validity my; /* its own */
    unsigned char sha256[CERT_SHA256_BYTES];
};

struct cert_rule {
    enum cert_look look;
    X509_NAME *name;    /* subject, issuer */
    unsigned long hash; /* of name: most names differ in it */
    int san_type;       /* GEN_DNS, GEN_EMAIL, GEN_URI */
    struct span san;    /* in text */
    char *text;         /* as written */
    unsigned char sha256[CERT_SHA256_BYTES];
};

/* -- certificates
 * ----------------------------------------------------------------------------------------------
 */

static struct tls_validity validity_of(const X509 *x)
{
    return (struct tls_validity){tls_seconds(X509_get0_notBefore(x)),
                                 tls_seconds(X509_get0_notAfter(x))};
}

/* @p x and @p chain are taken on success. */
static frun_err make(X509 *x, STACK_OF(X509) * chain, struct cert **out)
{
    unsigned n = 0;
    struct cert *c = calloc(1, sizeof(*c));
    if (!c || X509_digest(x, EVP_sha256(), c->sha256, &n) != 1 || n != sizeof(c->sha256)) {
        free(c);
        return FRUN_E_NOMEM;
    }
    c->x = x;
    c->chain = chain;
    c->verdict = X509_V_ERR_UNSPECIFIED;
    c->my = c->v = validity_of(x);
    /* One that cannot be read, or stands twice, is none. */
    c->names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    *out = c;
    return FRUN_OK;
}

frun_err cert_of_peer(const struct stream *s, struct cert **out)
{
    X509 *x = s->ssl && !SSL_session_reused(s->ssl) ? SSL_get1_peer_certificate(s->ssl) : NULL;
    if (!x) {
        return FRUN_E_NOT_FOUND;
    }
    STACK_OF(X509) *given = SSL_get_peer_cert_chain(s->ssl);
    STACK_OF(X509) *chain = given ? X509_chain_up_ref(given) : NULL;
    frun_err err = given && !chain ? FRUN_E_NOMEM : make(x, chain, out);
    if (err) {
        X509_free(x);
        sk_X509_pop_free(chain, X509_free);
    }
    return err;
}

frun_err cert_of_file(const char *path, struct cert **out, struct diag *d)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        diag_set(d, "%s: cannot be read: %s", path, strerrordesc_np(errno));
        return FRUN_E_IO;
    }
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    STACK_OF(X509) *chain = x ? sk_X509_new_null() : NULL;
    for (X509 *more; chain && sk_X509_num(chain) < CERT_MAX_CHAIN &&
                     (more = PEM_read_X509(f, NULL, NULL, NULL)) != NULL;) {
        if (!sk_X509_push(chain, more)) {
            X509_free(more);
            break;
        }
    }
    (void)fclose(f);
    ERR_clear_error();
    if (!x) {
        diag_set(d, "%s: no certificate in it: PEM is needed", path);
        return FRUN_E_TLS;
    }
    frun_err err = chain ? make(x, chain, out) : FRUN_E_NOMEM;
    if (err) {
        X509_free(x);
        sk_X509_pop_free(chain, X509_free);
    }
    return err;
}

void cert_free(struct cert *c)
{
    if (c) {
        X509_free(c->x);
        sk_X509_pop_free(c->chain, X509_free);
        GENERAL_NAMES_free(c->names);
        free(c);
    }
}

/* A chain is good as long as all of it is. */
static struct tls_validity common_validity(const STACK_OF(X509) * chain)
{
    struct tls_validity v = {INT64_MIN, INT64_MAX};
    for (int i = 0; i < sk_X509_num(chain); i++) {
        struct tls_validity one = validity_of(sk_X509_value(chain, i));
        v.from = one.from > v.from ? one.from : v.from;
        v.until = one.until < v.until ? one.until : v.until;
    }
    return v;
}

void cert_verify(struct cert *c, const struct tls_ctx *t)
{
    X509_STORE_CTX *x = X509_STORE_CTX_new();
    c->verdict = X509_V_ERR_OUT_OF_MEM;
    c->v = c->my;
    if (x && X509_STORE_CTX_init(x, SSL_CTX_get_cert_store(t->ssl), c->x, c->chain) == 1 &&
        X509_STORE_CTX_set_default(x, "ssl_client") == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(x);
        X509_VERIFY_PARAM_set_auth_level(param, SSL_CTX_get_security_level(t->ssl));
        bool is_good = X509_verify_cert(x) == 1;
        int error = X509_STORE_CTX_get_error(x);
        c->verdict = is_good ? X509_V_OK : error != X509_V_OK ? error : X509_V_ERR_UNSPECIFIED;
        if (is_good) {
            c->v = common_validity(X509_STORE_CTX_get0_chain(x));
        }
    }
    X509_STORE_CTX_free(x);
    c->is_listed = c->verdict != X509_V_OK && tls_crl_names(t, c->x);
    ERR_clear_error();
}

bool cert_is_trusted(const struct cert *c)
{
    return c->verdict == X509_V_OK;
}

bool cert_is_revoked(const struct cert *c)
{
    return c->is_listed || c->verdict == X509_V_ERR_CERT_REVOKED;
}

const char *cert_why(const struct cert *c)
{
    switch (c->is_listed ? X509_V_ERR_CERT_REVOKED : c->verdict) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED:
        return NULL;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "it, or a certificate that signs it, has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "it is not valid yet; compare the clocks";
    case X509_V_ERR_CERT_REVOKED:
        return "it, or a certificate that signs it, has been revoked by its CA (client_crl)";
    case X509_V_ERR_CRL_HAS_EXPIRED:
        return "the revocation list of its CA has expired; put a newer one into client_crl";
    case X509_V_ERR_CRL_NOT_YET_VALID:
        return "the revocation list of its CA is not valid yet; compare the clocks";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        return "client_crl holds no revocation list of the CA that has signed it";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "it is signed by itself";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "no CA of client_ca has signed it, or intermediate certificates are missing";
    default:
        return X509_verify_cert_error_string(c->verdict);
    }
}

struct tls_validity cert_validity(const struct cert *c)
{
    return c->v;
}

struct tls_validity cert_own_validity(const struct cert *c)
{
    return c->my;
}

const unsigned char *cert_sha256(const struct cert *c)
{
    return c->sha256;
}

void cert_subject(const struct cert *c, char out[CERT_SUBJECT_BYTES])
{
    BIO *mem = BIO_new(BIO_s_mem());
    char *text = NULL;
    out[0] = '\0';
    if (mem && X509_NAME_print_ex(mem, X509_get_subject_name(c->x), 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(mem, &text);
        (void)snprintf(out, CERT_SUBJECT_BYTES, "%.*s", n > 0 ? (int)n : 0, n > 0 ? text : "");
    }
    BIO_free(mem);
}

/* -- rules
 * ------------------------------------------------------------------------------------------------------
 */

/* Names of types that others use. */
static ASN1_OBJECT *object_of(struct span type)
{
    static const struct {
        const char *theirs, *ours;
    } other[] = {{"E", "emailAddress"}, {"EMAIL", "emailAddress"}, {"S", "ST"}, {"SP", "ST"}};
    static const char *const known[] = {"CN", "O", "OU", "C", "L", "ST", "DC", "UID", "SN", "GN"};
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*s", SPAN_FMT(type));
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        if (span_eq_nocase(type, span_of(other[i].theirs))) {
            return OBJ_txt2obj(other[i].ours, 0);
        }
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_eq_nocase(type, span_of(known[i]))) { /* RFC 4514 2.3: without case */
            return OBJ_txt2obj(known[i], 0);
        }
    }
    return type.n < sizeof(text) ? OBJ_txt2obj(text, 0) : NULL;
}

/* Certificates hold the most general part first, the text the most special one. */
static bool add_part(X509_NAME *name, const ASN1_OBJECT *type, const struct dn_part *part,
                     bool is_first_of_set)
{
    int kind = V_ASN1_UTF8STRING;
    const unsigned char *at = (const unsigned char *)part->value.p;
    size_t n = part->value.n;
    ASN1_TYPE *der = NULL;
    if (part->is_der) {
        der = d2i_ASN1_TYPE(NULL, &at, (long)n);
        int t = der ? ASN1_TYPE_get(der) : -1;
        if (t < 0 || t == V_ASN1_BOOLEAN || t == V_ASN1_NULL || t == V_ASN1_OBJECT ||
            at != (const unsigned char *)part->value.p + n) {
            ASN1_TYPE_free(der);
            return false;
        }
        kind = t;
        at = ASN1_STRING_get0_data(der->value.asn1_string);
        n = (size_t)ASN1_STRING_length(der->value.asn1_string);
    }
    bool is_good =
        X509_NAME_add_entry_by_OBJ(name, type, kind, at, (int)n, -1, is_first_of_set ? 0 : -1) == 1;
    ASN1_TYPE_free(der);
    return is_good;
}

static frun_err make_name(const char *text, X509_NAME **out, struct diag *d)
{
    struct dn dn;
    const char *why = NULL;
    if (dn_parse(span_of(text), &dn, &why)) {
        diag_set(d, "'%s': %s", text, why);
        return FRUN_E_SYNTAX;
    }
    X509_NAME *name = X509_NAME_new();
    if (!name) {
        return FRUN_E_NOMEM;
    }
    for (size_t i = dn.n; i > 0; i--) {
        const struct dn_part *part = &dn.parts[i - 1];
        /* Joined to what stands before it in the text, which comes after it here. */
        bool is_first_of_set = i == dn.n || !dn.parts[i].is_joined;
        ASN1_OBJECT *type = object_of(part->type);
        bool is_good = type && add_part(name, type, part, is_first_of_set);
        ASN1_OBJECT_free(type);
        if (!is_good) {
            diag_set(d, "'%.*s' is no attribute that is known here, or its value is damaged",
                     SPAN_FMT(part->type));
            X509_NAME_free(name);
            ERR_clear_error();
            return FRUN_E_SYNTAX;
        }
    }
    *out = name;
    return FRUN_OK;
}

static bool make_san(struct cert_rule *r)
{
    static const struct {
        const char *head;
        int type;
    } kinds[] = {{"dns:", GEN_DNS}, {"email:", GEN_EMAIL}, {"uri:", GEN_URI}};
    struct span text = span_of(r->text);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct span head = span_of(kinds[i].head);
        if (span_starts(text, head)) {
            r->san_type = kinds[i].type;
            r->san = span_skip(text, head.n);
        }
    }
    return r->san.n > 0;
}

static frun_err fill(struct cert_rule *r, struct diag *d)
{
    frun_err err = FRUN_OK;
    switch (r->look) {
    case CERT_LOOK_SUBJECT:
    case CERT_LOOK_ISSUER:
        err = make_name(r->text, &r->name, d);
        if (!err) {
            int is_done = 0;
            /* Also makes the canonical form, which several threads will read. */
            r->hash = X509_NAME_hash_ex(r->name, NULL, NULL, &is_done);
            err = is_done ? FRUN_OK : FRUN_E_NOMEM;
        }
        return err;
    case CERT_LOOK_SAN:
        if (!make_san(r)) {
            diag_set(d, "'%s' is not dns:NAME, email:ADDRESS or uri:URI", r->text);
            return FRUN_E_SYNTAX;
        }
        return FRUN_OK;
    case CERT_LOOK_SHA256:
        if (!conf_check_sha256(span_of(r->text), r->sha256)) {
            diag_set(d, "'%s' is not a SHA-256", r->text);
            return FRUN_E_SYNTAX;
        }
        return FRUN_OK;
    }
    return FRUN_E_SYNTAX;
}

frun_err cert_rule_new(enum cert_look look, const char *text, struct cert_rule **out,
                       struct diag *d)
{
    struct cert_rule *r = calloc(1, sizeof(*r));
    char *copy = r ? strdup(text) : NULL;
    if (!copy) {
        free(r);
        return FRUN_E_NOMEM;
    }
    r->look = look;
    r->text = copy;
    frun_err err = fill(r, d);
    if (err) {
        cert_rule_free(r);
        return err;
    }
    *out = r;
    return FRUN_OK;
}

void cert_rule_free(struct cert_rule *r)
{
    if (r) {
        X509_NAME_free(r->name);
        free(r->text);
        free(r);
    }
}

static bool is_name(const struct cert_rule *r, const X509_NAME *name)
{
    int is_done = 0;
    return X509_NAME_hash_ex(name, NULL, NULL, &is_done) == r->hash && is_done &&
           X509_NAME_cmp(name, r->name) == 0;
}

/* Host names without case; of an address the domain alone; a URI octet by octet: what is named by
 * one is never less than what was written. */
static bool is_same_san(int type, struct span a, struct span b)
{
    if (type == GEN_DNS) {
        return span_eq_nocase(a, b);
    }
    if (type == GEN_EMAIL) {
        size_t at = span_find(a, '@');
        return at == span_find(b, '@') && span_eq(span_head(a, at), span_head(b, at)) &&
               span_eq_nocase(span_skip(a, at), span_skip(b, at));
    }
    return span_eq(a, b);
}

static bool has_san(const struct cert *c, const struct cert_rule *r)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(c->names); i++) {
        int type = 0;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(c->names, i), &type);
        /* Lengths are compared, so a NUL inside is never the end. */
        if (type == r->san_type && is_same_san(type, r->san,
                                               span_make(ASN1_STRING_get0_data(value),
                                                         (size_t)ASN1_STRING_length(value)))) {
            return true;
        }
    }
    return false;
}

bool cert_rule_fits(const struct cert_rule *r, const struct cert *c)
{
    switch (r->look) {
    case CERT_LOOK_SUBJECT:
        return is_name(r, X509_get_subject_name(c->x));
    case CERT_LOOK_ISSUER:
        return is_name(r, X509_get_issuer_name(c->x));
    case CERT_LOOK_SAN:
        return has_san(c, r);
    case CERT_LOOK_SHA256:
        return memcmp(r->sha256, c->sha256, sizeof(r->sha256)) == 0;
    }
    return false;
}

bool cert_rule_equals(const struct cert_rule *a, const struct cert_rule *b)
{
    if (a->look != b->look) {
        return false;
    }
    switch (a->look) {
    case CERT_LOOK_SUBJECT:
    case CERT_LOOK_ISSUER:
        return X509_NAME_cmp(a->name, b->name) == 0;
    case CERT_LOOK_SAN:
        return a->san_type == b->san_type && is_same_san(a->san_type, a->san, b->san);
    case CERT_LOOK_SHA256:
        return memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
    }
    return false;
}
