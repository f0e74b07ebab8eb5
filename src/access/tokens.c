/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/tokens.h"

#include "frun/fetch/service_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Octets of a PEM file. */
#define PEM_MAX_BYTES ((size_t)65536)

/* A certificate that ends within this time is worth a warning. */
#define SOON_DAYS 14

/* Timeouts toward a token end-point that has no section of its own; SAP's recommendation. */
#define LOGON_CONNECT_MS 5000
#define LOGON_TIMEOUT_MS 30000

/* Where a fault is told. */
struct place {
    const struct conf_doc *doc;
    FILE *report;
    const void *section;
};

static void tell(const struct place *p, bool is_error, const char *key, const char *why)
{
    if (p->report) {
        conf_place_print(p->doc, p->report, is_error, p->section, key, why);
    }
}

static frun_err fault(const struct place *p, const char *key, const char *why)
{
    tell(p, true, key, why);
    return FRUN_E_SYNTAX;
}

/* What will fetch must be there: told at the start, not by the first push. */
static frun_err need_client(const struct place *p, const char *key)
{
    struct diag d = {.text = ""};
    frun_err err = fetch_load(&d);
    return err == FRUN_E_UNSUPPORTED ? fault(p, key, d.text) : err;
}

/* -- sharing */

static frun_err share(struct tokens *t, const struct token_source *s, struct token **out)
{
    for (size_t i = 0; i < t->n; i++) {
        if (token_is_of(t->all[i], s)) {
            *out = t->all[i];
            return FRUN_OK;
        }
    }
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 8;
        struct token **grown = realloc(t->all, cap * sizeof(*grown));
        if (!grown) {
            return FRUN_E_NOMEM;
        }
        t->all = grown;
        t->cap = cap;
    }
    for (size_t i = 0; t->before && i < t->before->n; i++) {
        if (token_is_of(t->before->all[i], s)) {
            *out = t->all[t->n++] = token_ref(t->before->all[i]);
            return FRUN_OK;
        }
    }
    frun_err err = token_new(s, &t->all[t->n]);
    if (!err) {
        *out = t->all[t->n++];
    }
    return err;
}

void tokens_done(struct tokens *t)
{
    for (size_t i = 0; i < t->n; i++) {
        token_unref(&t->all[i]);
    }
    free(t->all);
    *t = (struct tokens){0};
}

/* -- certificates */

static void wipe_free(char *text)
{
    if (text) {
        secret_wipe(text, strlen(text));
    }
    free(text);
}

static frun_err read_pem(const struct place *p, const char *key, const char *path, char **out)
{
    char why[320];
    char *text = calloc(1, PEM_MAX_BYTES + 1);
    size_t n = 0;
    ssize_t got = 1;
    if (!text) {
        return FRUN_E_NOMEM;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd >= 0 && got > 0 && n < PEM_MAX_BYTES) {
        got = read(fd, text + n, PEM_MAX_BYTES - n);
        n += got > 0 ? (size_t)got : 0;
    }
    bool is_read = fd >= 0 && got == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!is_read || !strstr(text, "-----BEGIN ")) {
        (void)snprintf(why, sizeof(why), "%.200s is not a readable PEM file", path);
        wipe_free(text);
        return fault(p, key, why);
    }
    *out = text;
    return FRUN_OK;
}

static X509 *parse_certificate(const char *pem)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    BIO_free(b);
    return x;
}

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

static EVP_PKEY *parse_key(const char *pem)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
    BIO_free(b);
    return k;
}

static void warn_of_end(const struct place *p, const char *key, const X509 *x)
{
    time_t soon = time(NULL) + (time_t)SOON_DAYS * 86400;
    if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
        tell(p, false, key,
             "the client certificate has expired: no token can be fetched; renew it");
    } else if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0) {
        tell(p, false, key, "the client certificate expires within 14 days; renew it in time");
    }
}

/* Does the pair fit, and for how long? */
static frun_err check_pair(const struct place *p, const char *key, const char *certificate,
                           const char *private_key)
{
    X509 *x = parse_certificate(certificate);
    EVP_PKEY *k = parse_key(private_key);
    frun_err err = FRUN_OK;
    if (!x) {
        err = fault(p, key, "the client certificate is not proper PEM");
    } else if (!k) {
        err = fault(p, key, "the private key is not proper PEM, or is encrypted");
    } else if (X509_check_private_key(x, k) != 1) {
        err = fault(p, key, "the private key does not belong to the client certificate");
    } else {
        warn_of_end(p, key, x);
    }
    X509_free(x);
    EVP_PKEY_free(k);
    ERR_clear_error();
    return err;
}

/* -- [sap-connectivity] */

/* What the section says instead of the key. */
static frun_err apply(const struct place *p, const struct conf_sap *c, struct service_key *k,
                      enum service_kind kind)
{
    frun_err err = FRUN_OK;
    if (c->token_url) {
        free(k->token_url);
        k->token_url = service_key_token_url(c->token_url, kind);
        err = k->token_url ? FRUN_OK : FRUN_E_NOMEM;
    }
    if (!err && c->certificate) {
        free(k->certificate);
        k->certificate = NULL;
        err = read_pem(p, "certificate", c->certificate, &k->certificate);
    }
    if (!err && c->private_key) {
        wipe_free(k->private_key);
        k->private_key = NULL;
        err = read_pem(p, "private_key", c->private_key, &k->private_key);
    }
    if (err || k->client_secret) {
        return err;
    }
    if (!k->certificate || !k->private_key) {
        return fault(p, kind == SERVICE_IDENTITY ? "identity_key" : "service_key",
                     k->certificate ? "field \"key\" is missing; give private_key here"
                                    : "field \"certificate\" is missing; give certificate and "
                                      "private_key here");
    }
    return check_pair(p, c->certificate ? "certificate" : "service_key", k->certificate,
                      k->private_key);
}

static frun_err load_key(const struct place *p, const char *key, const char *path,
                         enum service_kind kind, const char *instance, struct service_key *out)
{
    struct diag d = {.text = ""};
    frun_err err = service_key_load(path, kind, instance, out, &d);
    if (err && err != FRUN_E_NOMEM) {
        return fault(p, key, d.text);
    }
    return err;
}

static frun_err take_proxy(const struct place *p, const struct conf_sap *c,
                           const struct service_key *k, struct sap_proxy *out)
{
    const char *host = c->proxy_host ? c->proxy_host : k->proxy_host;
    bool is_socks = c->via == CONF_SAP_SOCKS5;
    unsigned port = is_socks ? k->socks5_port : k->http_port;
    out->conf = c;
    out->port = c->proxy_port ? (unsigned)c->proxy_port : port;
    if (!host) {
        return fault(p, "service_key", "has no \"onpremise_proxy_host\"; give proxy_host here");
    }
    if (!out->port) {
        return fault(
            p, "service_key",
            is_socks
                ? "has no \"onpremise_socks5_proxy_port\"; give proxy_port here, 20004 as a rule"
                : "has no \"onpremise_proxy_http_port\"; give proxy_port here, 20003 as a rule");
    }
    out->host = strdup(host);
    return out->host ? FRUN_OK : FRUN_E_NOMEM;
}

static frun_err take_token(struct tokens *t, const struct conf_sap *c, const struct service_key *k,
                           const char *resource, struct token **out)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "sap-connectivity %s", c->place.name);
    const struct token_source s = {.name = name,
                                   .url = k->token_url,
                                   .client_id = k->client_id,
                                   .client_secret = k->client_secret,
                                   .certificate = k->client_secret ? NULL : k->certificate,
                                   .private_key = k->client_secret ? NULL : k->private_key,
                                   .tenant = c->tenant,
                                   .resource = resource,
                                   .ca_file = c->token_ca,
                                   .proxy = c->token_proxy,
                                   .proxy_user = c->token_proxy_user,
                                   .proxy_password = c->token_proxy_password,
                                   .connect_timeout_ms = c->token_connect_timeout_ms,
                                   .timeout_ms = c->token_timeout_ms};
    return share(t, &s, out);
}

/* Tokens of Identity Authentication: its own client, for the connectivity instance. */
static frun_err take_identity(const struct place *p, struct tokens *t, const struct conf_sap *c,
                              const struct service_key *connectivity, struct token **out)
{
    struct service_key k = {0};
    char resource[256];
    const char *guid = c->instance_guid ? c->instance_guid : connectivity->instance_guid;
    if (!guid) {
        return fault(p, "identity_key",
                     "IAS needs the GUID of the connectivity instance: service_key has no "
                     "\"instance_guid\"; give instance_guid here");
    }
    (void)snprintf(resource, sizeof(resource), "urn:sap:identity:application:service:id:%.180s",
                   guid);
    frun_err err =
        load_key(p, "identity_key", c->identity_key, SERVICE_IDENTITY, c->identity_instance, &k);
    err = err ? err : apply(p, c, &k, SERVICE_IDENTITY);
    err = err ? err : take_token(t, c, &k, resource, out);
    service_key_done(&k);
    return err;
}

frun_err tokens_sap(struct tokens *t, const struct conf_sap *conf, const struct conf_doc *doc,
                    FILE *report, struct sap_proxy *out)
{
    const struct place p = {doc, report, conf};
    struct service_key k = {0};
    struct sap_proxy made = {0};
    frun_err err = need_client(&p, "service_key");
    err = err ? err
              : load_key(&p, "service_key", conf->service_key, SERVICE_CONNECTIVITY, conf->instance,
                         &k);
    err = err ? err : take_proxy(&p, conf, &k, &made);
    if (!err && conf->identity_key) {
        err = take_identity(&p, t, conf, &k, &made.token);
    } else if (!err) {
        err = apply(&p, conf, &k, SERVICE_CONNECTIVITY);
        err = err ? err : take_token(t, conf, &k, NULL, &made.token);
    }
    service_key_done(&k);
    if (err) {
        tokens_sap_done(&made);
        return err;
    }
    *out = made;
    return FRUN_OK;
}

void tokens_sap_done(struct sap_proxy *p)
{
    free(p->host);
    *p = (struct sap_proxy){0};
}

/* -- auth = oauth2 */

frun_err tokens_logon(struct tokens *t, const struct conf_endpoint *conf,
                      const struct conf_doc *doc, FILE *report, struct token **out)
{
    const struct place p = {doc, report, conf};
    char *certificate = NULL;
    char *private_key = NULL;
    char name[128];
    frun_err err = need_client(&p, "token_url");
    if (!err && conf->client_certificate) {
        err = read_pem(&p, "client_certificate", conf->client_certificate, &certificate);
        err = err ? err : read_pem(&p, "client_key", conf->client_key, &private_key);
        err = err ? err : check_pair(&p, "client_certificate", certificate, private_key);
    }
    (void)snprintf(name, sizeof(name), "endpoint %s", conf->place.name);
    const struct token_source s = {.name = name,
                                   .url = conf->token_url,
                                   .client_id = conf->client_id,
                                   .client_secret = conf->client_secret,
                                   .certificate = certificate,
                                   .private_key = private_key,
                                   .scope = conf->token_scope,
                                   .ca_file = conf->token_ca,
                                   .proxy = conf->token_proxy,
                                   .connect_timeout_ms = LOGON_CONNECT_MS,
                                   .timeout_ms = LOGON_TIMEOUT_MS};
    err = err ? err : share(t, &s, out);
    free(certificate);
    wipe_free(private_key);
    return err;
}
