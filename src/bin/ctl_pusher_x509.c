/**
 * frunctl pusher --x509: service keys with a certificate. Only its fingerprint is kept here.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/buf.h"
#include "frun/conf/gateway.h"

#include "ctl.h"
#include "ctl_cert.h"
#include "ctl_out.h"
#include "ctl_pusher.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** How long a new certificate is good, days. */
#define X509_DAYS 730

/** Most octets of a list of fingerprints. */
#define X509_LIST_BYTES 65536

/** Octets of a fingerprint as text with the final NUL. */
#define X509_HEX_BYTES 65

/* What is shown, and the fingerprint that is kept. */
struct made {
    const struct ctl_pusher_subject *s;
    char *certificate; /* PEM, the chain behind it */
    char *key;         /* PEM; NULL: made elsewhere */
    char sha256[X509_HEX_BYTES];
};

static void made_done(struct made *m)
{
    if (m->key) {
        secret_wipe(m->key, strlen(m->key));
    }
    free(m->key);
    free(m->certificate);
}

/* What was written into memory, as a text of its own; the memory is wiped. */
static char *text_of(BIO *mem)
{
    char *at = NULL;
    long n = BIO_get_mem_data(mem, &at);
    char *text = n > 0 ? strndup(at, (size_t)n) : NULL;
    if (n > 0) {
        secret_wipe(at, (size_t)n);
    }
    BIO_free(mem);
    return text;
}

static bool put_fingerprint(const X509 *x, char out[X509_HEX_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (X509_digest(x, EVP_sha256(), digest, &n) != 1 || 2 * n + 1 != X509_HEX_BYTES) {
        return false;
    }
    text_hex(span_make(digest, n), out);
    return true;
}

/* A key, and a certificate that the CA of a folder signs, or the key itself: known by its
 * fingerprint it needs no CA. */
static int make_pair(const struct ctl_pusher_ask *a, struct made *m)
{
    struct ctl_cert c = {.key = NULL};
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());
    int status = a->pki ? ctl_cert_load_ca(&c, a->pki) : 0;
    if (!status && !(cert && key && ctl_cert_begin(&c, a->name, X509_DAYS) &&
                     ctl_cert_extend(&c, NID_basic_constraints, "critical,CA:FALSE") &&
                     ctl_cert_extend(&c, NID_key_usage, "critical,digitalSignature") &&
                     ctl_cert_extend(&c, NID_ext_key_usage, "clientAuth") &&
                     ctl_cert_extend(&c, NID_subject_key_identifier, "hash") &&
                     (!c.ca || ctl_cert_extend(&c, NID_authority_key_identifier, "keyid")) &&
                     X509_sign(c.cert, c.ca_key ? c.ca_key : c.key, EVP_sha256()) &&
                     PEM_write_bio_X509(cert, c.cert) &&
                     PEM_write_bio_PKCS8PrivateKey(key, c.key, NULL, NULL, 0, NULL, NULL) &&
                     put_fingerprint(c.cert, m->sha256))) {
        status = ctl_cert_fail("cannot make the certificate");
    }
    m->certificate = cert ? text_of(cert) : NULL;
    m->key = key ? text_of(key) : NULL;
    ctl_cert_done(&c);
    return status || (m->certificate && m->key) ? status : ctl_fail("out of memory");
}

/* One that was made elsewhere; a key that stands beside it in the file is not looked at. */
static int read_certificate(const char *path, struct made *m)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        return ctl_fail("cannot read %s: %s", path, strerrordesc_np(errno));
    }
    BIO *all = BIO_new(BIO_s_mem());
    bool is_good = all != NULL;
    int n = 0;
    for (X509 *x; is_good && (x = PEM_read_X509(f, NULL, NULL, NULL)) != NULL; n++) {
        is_good = PEM_write_bio_X509(all, x) && (n > 0 || put_fingerprint(x, m->sha256));
        if (n == 0 && X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
            (void)fprintf(ctl_err(), "frunctl: warning: the certificate has expired\n");
        }
        X509_free(x);
    }
    ERR_clear_error();
    (void)fclose(f);
    m->certificate = all ? text_of(all) : NULL;
    return is_good && n && m->certificate ? 0 : ctl_fail("%s holds no certificate as PEM", path);
}

/* Tokens are got where the certificate is asked for. */
static const char *cert_url(const struct ctl_pusher_subject *s)
{
    return s->e->client_ca ? s->e->host_urls[0] : s->conf->oauth->cert_url;
}

static int print_pair(const struct made *m)
{
    if (ctl_is_json()) {
        return ctl_json_take(
            json_pack("{s:s, s:s*}", "certificate", m->certificate, "key", m->key));
    }
    return fputs(m->certificate, stdout) < 0 || (m->key && fputs(m->key, stdout) < 0);
}

static int print_x509(void *ctx)
{
    const struct made *m = ctx;
    const struct ctl_pusher_subject *s = m->s;
    char api[512];
    if (!(s->p->ways & CONF_AUTH_OAUTH2)) {
        return print_pair(m);
    }
    (void)snprintf(api, sizeof(api), "%s/api",
                   s->e->host_name.n ? s->e->host_urls[0] : s->e->root_url);
    json_t *key = json_pack("{s{ss}s{ssssssssss*ssss}}", "endpoints", "Api", api, "uaa", "url",
                            s->conf->gateway->public_url, "certurl", cert_url(s), "clientid",
                            s->p->client_id, "certificate", m->certificate, "key", m->key,
                            "identityzone", s->e->root_path + 1, "credential-type", "x509");
    return ctl_json_take(key);
}

/* The key in hand, store its fingerprint and show it. */
static int finish(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s, struct made *m,
                  const struct ctl_edit *edits, size_t n)
{
    int status = ctl_pusher_store(a, s, edits, n);
    return status ? status : ctl_pusher_show(s, print_x509, m);
}

static int make(const struct ctl_pusher_ask *a, struct made *m)
{
    return a->certificate ? read_certificate(a->certificate, m) : make_pair(a, m);
}

int ctl_x509_service_key(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s)
{
    struct made m = {.s = s};
    char auth[CTL_AUTH_BYTES];
    if (s->p->certificate_sha256.n && !a->is_forced) {
        return ctl_fail("[pusher %s] has a certificate already; 'frunctl pusher rotate %s --x509' "
                        "makes another one and keeps this one for a while, --force replaces it at "
                        "once",
                        a->name, a->name);
    }
    int status = make(a, &m);
    ctl_pusher_auth(s->p, auth);
    if (!status) {
        const struct ctl_edit edits[] = {
            {"certificate_sha256", m.sha256},
            {"old_certificate_sha256", NULL},
            {"old_certificate_until", NULL},
            {"auth", auth},
        };
        status = finish(a, s, &m, edits, s->p->ways & CONF_AUTH_OAUTH2 ? 3 : 4);
    }
    made_done(&m);
    return status;
}

int ctl_x509_rotate(const struct ctl_pusher_ask *a, struct ctl_pusher_subject *s)
{
    struct made m = {.s = s};
    struct buf old;
    frun_err err = FRUN_OK;
    const struct conf_list *now = &s->p->certificate_sha256;
    if (!now->n) {
        return ctl_fail("[pusher %s] has no certificate_sha256 to rotate; make one with 'frunctl "
                        "pusher service-key %s --x509'",
                        a->name, a->name);
    }
    buf_init(&old, X509_LIST_BYTES);
    for (size_t i = 0; !err && i < now->n; i++) {
        err = buf_printf(&old, "%s%s", i ? ", " : "", now->items[i]);
    }
    err = err ? err : buf_put(&old, span_make("", 1));
    int status = err ? ctl_fail("%s", err_text(err)) : make(a, &m);
    if (!status && a->grace_s) {
        ctl_pusher_until(s, a->grace_s);
    }
    if (!status) {
        const struct ctl_edit edits[] = {
            {"certificate_sha256", m.sha256},
            {"old_certificate_sha256", a->grace_s ? buf_span(&old).p : NULL},
            {"old_certificate_until", a->grace_s ? s->until : NULL},
        };
        status = finish(a, s, &m, edits, sizeof(edits) / sizeof(edits[0]));
    }
    made_done(&m);
    buf_done(&old);
    return status;
}
