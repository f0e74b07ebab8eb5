/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls.h"

#include "frun/base/map.h"
#include "frun/base/mono.h"
#include "frun/base/span.h"
#include "tls_int.h"
#include "tls_staple_int.h"
#include "tls_tickets_int.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* P-256 costs 60 us more per handshake than X25519 with OpenSSL 3.0. */
#define GROUPS        "X25519:P-256:P-384"
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* A request for a certificate names no more CAs than that: there are clients with small buffers. No
 * name means any. */
#define MAX_CA_NAMES 64

/* Longest chain that a client may show, octets. */
#define MAX_CLIENT_CHAIN 65536

/* Room for a text of strerror_r(). */
#define SYS_TEXT_BYTES 128

/* ---- which context serves a name ---- */

/* The host name of a server_name extension; anything odd counts as "no name". Source: RFC 6066 3.
 */
static struct span sni_of(const unsigned char *p, size_t n)
{
    const struct span none = {NULL, 0};
    if (n < 5 || ((size_t)p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name) {
        return none;
    }
    size_t len = (size_t)p[3] << 8 | p[4];
    if (len == 0 || len > n - 5) {
        return none;
    }
    return span_make(p + 5, len);
}

static void switch_to(SSL *ssl, const struct tls_ctx *other)
{
    SSL_set_SSL_CTX(ssl, other->ssl);
    /* SSL_set_SSL_CTX() brings certificates and session id context, none of these. */
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(other->ssl),
                   SSL_CTX_get_verify_callback(other->ssl));
    SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(other->ssl));
    SSL_clear_options(ssl, SSL_OP_NO_TICKET);
    SSL_set_options(ssl, SSL_CTX_get_options(other->ssl));
    SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(other->ssl));
    (void)SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(other->ssl));
}

/* A client of TLS 1.3 that names no way to use a ticket gets none (RFC 8446 4.2.9). */
static bool can_resume(SSL *ssl)
{
    const unsigned char *ext;
    size_t n;
    return !SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &ext, &n) ||
           SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk_kex_modes, &ext, &n);
}

static void find_context(SSL *ssl, const struct tls_ctx *base)
{
    const unsigned char *ext;
    size_t ext_len;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &ext_len)) {
        return;
    }
    struct span name = sni_of(ext, ext_len);
    const struct tls_name *known = base->by_name ? map_get(base->by_name, name) : NULL;
    if (known) {
        switch_to(ssl, known->other);
    }
}

/* Here and not in the servername callback: that one runs after a ticket has been looked at, and a
 * session of one name could be resumed under another (CVE-2025-23419). OpenSSL gives the type.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    find_context(ssl, arg);
    if (!can_resume(ssl)) {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* OpenSSL gives the type. NOLINTNEXTLINE(readability-non-const-parameter) */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    /* The context that serves the name; OpenSSL would ask the one of the socket. */
    const struct tls_ctx *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    /* No session carries an identity, from whatever version, host or time. */
    if (is_sealing && SSL_get0_peer_certificate(ssl)) {
        return 0;
    }
    return t->tickets ? tls_tickets_key(t->tickets, name, iv, cipher, mac, is_sealing) : 0;
}

/* The offer (length, name, length, name, ...) that equals @p want, or NULL. */
static const unsigned char *find_offer(const unsigned char *in, unsigned in_len, struct span want)
{
    for (unsigned at = 0; at < in_len; at += in[at] + 1U) {
        if (at + in[at] < in_len && span_eq(span_make(in + at + 1, in[at]), want)) {
            return in + at;
        }
    }
    return NULL;
}

/* Possession of the key has been, or will be, proved by the handshake; whether anybody trusts the
 * certificate is asked afterwards (cert_verify()). Nothing else shall take it for verified. */
static int on_client_certificate(X509_STORE_CTX *x, void *arg)
{
    (void)arg;
    X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
    return 1;
}

/* The handshake forgets a certificate that it refuses; stream_refused_subject() wants to know it.
 * Freed with the stream. */
static int on_verdict(int is_good, X509_STORE_CTX *x)
{
    /* This callback stands in for that of the store, which takes revocation lists into account. */
    X509_STORE_CTX_verify_cb of_store = X509_STORE_get_verify_cb(X509_STORE_CTX_get0_store(x));
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *leaf = X509_STORE_CTX_get0_cert(x);
    int verdict = of_store ? of_store(is_good, x) : is_good;
    if (!verdict && ssl && leaf && !SSL_get_app_data(ssl) && X509_up_ref(leaf) == 1 &&
        SSL_set_app_data(ssl, leaf) != 1) {
        X509_free(leaf);
    }
    return verdict;
}

/* Our order decides, not the client's. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    const struct tls_ctx *t = arg;
    const unsigned char *offer = NULL;
    for (unsigned at = 0; at < t->alpn_len && !offer; at += t->alpn[at] + 1U) {
        struct span ours = span_make(t->alpn + at + 1, t->alpn[at]);
        offer = find_offer(in, in_len, ours);
        if (!offer && span_eq(ours, SPAN_LIT("http/1.1"))) {
            offer = find_offer(in, in_len, SPAN_LIT("http/1.0")); /* the same parser reads it */
        }
    }
    if (!offer) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = offer + 1;
    *out_len = *offer;
    return SSL_TLSEXT_ERR_OK;
}

frun_err tls_server_add_name(struct tls_ctx *base, const char *name, struct tls_ctx *other)
{
    assert(base->is_server && other->is_server);
    if (!base->by_name && map_new(true, &base->by_name) != FRUN_OK) {
        return FRUN_E_NOMEM;
    }
    struct tls_name *n = calloc(1, sizeof(*n));
    char *copy = n ? strdup(name) : NULL;
    frun_err err = copy ? map_put(base->by_name, span_of(copy), n) : FRUN_E_NOMEM;
    if (err) {
        free(copy);
        free(n);
        return err;
    }
    *n = (struct tls_name){base->names, copy, tls_ref(other)};
    base->names = n;
    return FRUN_OK;
}

/* ---- making ---- */

/* A passphrase prompt would stop a daemon for ever. OpenSSL gives the type.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_passphrase(char *buf, int size, int is_write, void *arg)
{
    (void)buf;
    (void)size;
    (void)is_write;
    (void)arg;
    return -1;
}

/* Was that the cause? OpenSSL does not always say so. Forgets its complaints. */
static bool is_memory_refused(void)
{
    bool is_it = errno == ENOMEM; /* 0 when the context was begun */
    for (unsigned long code; (code = ERR_get_error()) != 0;) {
        is_it |= ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    }
    return is_it;
}

frun_err tls_refuse(struct diag *d, const char *file, const char *text)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    diag_set(d, "%s: %s%s%s%s", file, text, reason ? " (" : "", reason ? reason : "",
             reason ? ")" : "");
    return is_memory_refused() ? FRUN_E_NOMEM : FRUN_E_TLS;
}

/* OpenSSL was given what it always takes: without a complaint of its own it was memory. */
static frun_err refuse_settings(struct diag *d, const char *text)
{
    return ERR_peek_error() ? tls_refuse(d, "TLS", text) : FRUN_E_NOMEM;
}

static frun_err check_readable(const char *file, struct diag *d)
{
    char why[SYS_TEXT_BYTES];
    FILE *f = fopen(file, "re");
    if (!f && errno == ENOMEM) {
        return FRUN_E_NOMEM;
    }
    if (!f) {
        diag_set(d, "%s: cannot be read (%s): check the name, and that the service's user may read",
                 file, strerror_r(errno, why, sizeof(why)));
        return FRUN_E_IO;
    }
    (void)fclose(f);
    return FRUN_OK;
}

static frun_err load_pair(struct tls_ctx *t, const struct tls_settings *s, struct diag *d)
{
    frun_err err = check_readable(s->certificate, d);
    if (!err) {
        err = check_readable(s->private_key, d);
    }
    if (err) {
        return err;
    }
    SSL_CTX_set_default_passwd_cb(t->ssl, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(t->ssl, s->certificate) != 1) {
        return tls_refuse(
            d, s->certificate,
            "no usable certificate: PEM is needed, the own certificate first, then its "
            "intermediate ones");
    }
    if (SSL_CTX_use_PrivateKey_file(t->ssl, s->private_key, SSL_FILETYPE_PEM) != 1) {
        unsigned long code = ERR_peek_last_error();
        if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
            ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH) {
            return tls_refuse(d, s->private_key, "does not belong to the certificate");
        }
        return tls_refuse(d, s->private_key,
                          "no usable private key: PEM without a passphrase is needed");
    }
    if (SSL_CTX_check_private_key(t->ssl) != 1) {
        return tls_refuse(d, s->private_key, "does not belong to the certificate");
    }
    return FRUN_OK;
}

/* Before the context is used: OpenSSL sorts the store while it looks for certificates. And it reads
 * their extensions when they are first needed, which is better done here than by several workers at
 * once; what it says of their purpose does not matter. */
static bool digest_trust(struct tls_ctx *t)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(t->ssl));
    sk_X509_OBJECT_sort(all);
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        unsigned char one[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        if (x) {
            (void)X509_check_purpose(x, -1, 0);
        }
        const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if ((x && X509_digest(x, EVP_sha256(), one, &n) != 1) ||
            (crl && X509_CRL_digest(crl, EVP_sha256(), one, &n) != 1)) {
            return false;
        }
        for (unsigned k = 0; k < n && k < sizeof(t->trust); k++) {
            t->trust[k] ^= one[k];
        }
    }
    return true;
}

static frun_err load_ca(struct tls_ctx *t, const struct tls_settings *s, struct diag *d)
{
    const char *file = s->ca_file;
    bool is_hidden = s->hides_ca;
    frun_err err = check_readable(file, d);
    if (err) {
        return err;
    }
    if (SSL_CTX_load_verify_file(t->ssl, file) != 1) {
        return tls_refuse(d, file, "no usable CA certificate: PEM is needed");
    }
    if (t->is_server && !is_hidden) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
        if (!names) {
            return tls_refuse(d, file, "no usable CA certificate: PEM is needed");
        }
        if (t->is_asking && sk_X509_NAME_num(names) > MAX_CA_NAMES) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            names = NULL;
        }
        SSL_CTX_set_client_CA_list(t->ssl, names);
    }
    err = t->is_server && s->crl_file ? tls_crl_load(t, s->crl_file, d) : FRUN_OK;
    return err ? err : digest_trust(t) ? FRUN_OK : FRUN_E_NOMEM;
}

/* "h2,http/1.1" to wire form. */
static bool set_protocols(struct tls_ctx *t, const char *names)
{
    struct span rest = span_of(names);
    struct span name;
    while (names && span_split(&rest, ',', &name)) {
        if (name.n == 0 || name.n > UINT8_MAX || name.n >= sizeof(t->alpn) - t->alpn_len) {
            return false;
        }
        t->alpn[t->alpn_len] = (unsigned char)name.n;
        memcpy(t->alpn + t->alpn_len + 1, name.p, name.n);
        t->alpn_len += (unsigned)name.n + 1;
    }
    return true;
}

static bool set_common(struct tls_ctx *t, const struct tls_settings *s)
{
    char groups[] = GROUPS; /* OpenSSL's macro casts constness away */
    SSL_CTX_set_app_data(t->ssl, t);
    SSL_CTX_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(t->ssl, 1);
    SSL_CTX_set_options(t->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (!set_protocols(t, s->alpn)) {
        return false;
    }
    return SSL_CTX_set_min_proto_version(t->ssl, t->is_mutual ? TLS1_3_VERSION : TLS1_2_VERSION) &&
           SSL_CTX_set1_groups_list(t->ssl, groups) &&
           SSL_CTX_set_cipher_list(t->ssl, CIPHERS_TLS12) &&
           SSL_CTX_set_ciphersuites(t->ssl, CIPHERS_TLS13);
}

/* Those of the context before it, so that its clients resume their sessions, or new ones. */
static frun_err take_tickets(const struct tls_settings *s, struct tls_tickets **out)
{
    struct span secret = secret_span(s->ticket_secret);
    struct tls_tickets *old = s->before ? s->before->tickets : NULL;
    if (old && tls_tickets_is_of(old, secret)) {
        *out = tls_tickets_ref(old);
        return FRUN_OK;
    }
    return tls_tickets_new(secret, (int64_t)time(NULL), out);
}

static bool set_tickets(struct tls_ctx *t, const struct tls_settings *s)
{
    if (!s->has_tickets || t->is_mutual) {
        SSL_CTX_set_options(t->ssl, SSL_OP_NO_TICKET);
    } else if (take_tickets(s, &t->tickets) == FRUN_OK) {
        SSL_CTX_set_timeout(t->ssl, TLS_TICKETS_LIFE_S);
    } else {
        return false;
    }
    /* TLS 1.3: a stream gives one ticket together with its first octets, not in a packet of its
     * own. */
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(t->ssl, on_ticket) &&
           SSL_CTX_set_num_tickets(t->ssl, 0);
}

static bool put_digest(EVP_MD_CTX *md, const X509 *x)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    return X509_digest(x, EVP_sha256(), digest, &n) == 1 && EVP_DigestUpdate(md, digest, n) == 1;
}

/* Sessions belong to what they were made under: keys, whose context it was, CAs and whether clients
 * are asked for their certificates, whatever name a client asks for next (CVE-2025-23419). Gateways
 * behind one name that share their keys agree in all of it. */
static bool set_session_context(struct tls_ctx *t)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned char mode[] = {t->is_mutual, t->is_asking};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (t->tickets) {
        tls_tickets_context(t->tickets, id);
    } else {
        mono_entropy(id, TLS_TICKETS_CONTEXT_BYTES);
    }
    bool is_made = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(md, id, TLS_TICKETS_CONTEXT_BYTES) == 1 &&
                   EVP_DigestUpdate(md, mode, sizeof(mode)) == 1 &&
                   EVP_DigestUpdate(md, t->label, strlen(t->label)) == 1;
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(t->ssl));
    for (int i = 0; is_made && i < sk_X509_OBJECT_num(all); i++) {
        const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        is_made = !x || put_digest(md, x);
    }
    is_made = is_made && EVP_DigestFinal_ex(md, id, NULL) == 1 &&
              SSL_CTX_set_session_id_context(t->ssl, id, TLS_TICKETS_CONTEXT_BYTES) == 1;
    EVP_MD_CTX_free(md);
    return is_made;
}

static bool set_server(struct tls_ctx *t, const struct tls_settings *s)
{
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_client_hello_cb(t->ssl, on_client_hello, t);
    if (t->alpn_len) {
        SSL_CTX_set_alpn_select_cb(t->ssl, on_alpn, t);
    }
    if (t->is_mutual) {
        SSL_CTX_set_verify(t->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verdict);
    } else if (t->is_asking) {
        SSL_CTX_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(t->ssl, on_client_certificate, NULL);
        SSL_CTX_set_max_cert_list(t->ssl, MAX_CLIENT_CHAIN);
    }
    return set_tickets(t, s);
}

/* Called when the server asks for our certificate, and at no other time. */
static int on_asked(SSL *ssl, void *arg)
{
    (void)arg;
    return SSL_set_app_data(ssl, ssl) == 1;
}

static bool set_client(struct tls_ctx *t)
{
    if (t->must_be_asked) {
        SSL_CTX_set_cert_cb(t->ssl, on_asked, NULL);
    }
    SSL_CTX_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_OFF);
    return !t->alpn_len || SSL_CTX_set_alpn_protos(t->ssl, t->alpn, t->alpn_len) == 0;
}

/* A file that holds the own certificate alone: OpenSSL would look for its issuers, and verify what
 * it finds, at every handshake. Once is enough. */
static void complete_chain(struct tls_ctx *t)
{
    STACK_OF(X509) *given = NULL;
    SSL_CTX_get0_chain_certs(t->ssl, &given);
    if (sk_X509_num(given) <= 0) {
        (void)SSL_CTX_build_cert_chain(t->ssl, SSL_BUILD_CHAIN_FLAG_NO_ROOT |
                                                   SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR |
                                                   SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
        ERR_clear_error();
    }
}

static frun_err ctx_new(const struct tls_settings *s, bool is_server, struct tls_ctx **out,
                        struct diag *d)
{
    struct tls_ctx *t = calloc(1, sizeof(*t));
    if (!t) {
        return FRUN_E_NOMEM;
    }
    ERR_clear_error();
    errno = 0;
    atomic_init(&t->refs, 1);
    t->is_server = is_server;
    t->is_mutual = s->is_mutual;
    t->is_asking = s->is_asking;
    t->must_be_asked = s->must_be_asked;
    t->ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    t->bio = stream_bio_method();
    t->label = strdup(s->label ? s->label : "");
    frun_err err = t->ssl && t->bio && t->label ? FRUN_OK : FRUN_E_NOMEM;
    if (!err && !(set_common(t, s) && (is_server ? set_server(t, s) : set_client(t)))) {
        err = refuse_settings(d, "settings refused by OpenSSL");
    }
    if (!err && s->certificate) {
        err = load_pair(t, s, d);
    }
    if (!err && s->ca_file && (!is_server || s->is_mutual || s->is_asking)) {
        err = load_ca(t, s, d);
    }
    if (!err && s->certificate) {
        complete_chain(t);
    }
    if (!err && is_server && !set_session_context(t)) {
        err = refuse_settings(d, "session context refused by OpenSSL");
    }
    if (err) {
        tls_unref(&t);
        return err;
    }
    *out = t;
    return FRUN_OK;
}

frun_err tls_server_new(const struct tls_settings *s, struct tls_ctx **out, struct diag *d)
{
    assert(s->certificate && s->private_key && (!s->is_mutual || s->ca_file));
    assert(!s->is_mutual || !s->is_asking);
    return ctx_new(s, true, out, d);
}

frun_err tls_client_new(const struct tls_settings *s, struct tls_ctx **out, struct diag *d)
{
    assert(!s->certificate == !s->private_key);
    return ctx_new(s, false, out, d);
}

int64_t tls_seconds(const ASN1_TIME *at)
{
    struct tm tm;
    return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

const char *tls_label(const struct tls_ctx *t)
{
    return t->label;
}

bool tls_has_same_trust(const struct tls_ctx *a, const struct tls_ctx *b)
{
    return memcmp(a->trust, b->trust, sizeof(a->trust)) == 0;
}

bool tls_is_mutual(const struct tls_ctx *t)
{
    return t->is_mutual;
}

static struct tls_validity validity_of(const X509 *x)
{
    return (struct tls_validity){tls_seconds(X509_get0_notBefore(x)),
                                 tls_seconds(X509_get0_notAfter(x))};
}

struct tls_validity tls_own_validity(const struct tls_ctx *t)
{
    const X509 *x = SSL_CTX_get0_certificate(t->ssl);
    return x ? validity_of(x) : (struct tls_validity){0, 0};
}

static void name_text(const X509_NAME *name, char out[TLS_NAME_BYTES])
{
    BIO *mem = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (mem && X509_NAME_print_ex(mem, name, 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(mem, &text);
        (void)snprintf(out, TLS_NAME_BYTES, "%.*s", n > 0 ? (int)n : 0, n > 0 ? text : "");
    }
    BIO_free(mem);
}

void tls_own_names(const struct tls_ctx *t, struct tls_names *out)
{
    const X509 *x = SSL_CTX_get0_certificate(t->ssl);
    *out = (struct tls_names){.subject = ""};
    if (!x) {
        return;
    }
    name_text(X509_get_subject_name(x), out->subject);
    name_text(X509_get_issuer_name(x), out->issuer);
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *digits = serial ? BN_bn2hex(serial) : NULL;
    if (digits) {
        (void)snprintf(out->serial, sizeof(out->serial), "%s", digits);
    }
    OPENSSL_free(digits);
    BN_free(serial);
}

bool tls_carries(const struct tls_ctx *t, const char *host)
{
    X509 *x = SSL_CTX_get0_certificate(t->ssl);
    return x && (X509_check_host(x, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
                 X509_check_ip_asc(x, host, 0) == 1);
}

struct tls_validity tls_ca_validity(const struct tls_ctx *t)
{
    struct tls_validity best = {0, 0};
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(t->ssl));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        struct tls_validity v = x ? validity_of(x) : best;
        best = v.until > best.until ? v : best;
    }
    return best;
}

void tls_turn_tickets(struct tls_ctx *t, int64_t now_s)
{
    if (t->tickets) {
        tls_tickets_turn(t->tickets, now_s);
    }
}

/* ---- stapling ---- */

/* Only for clients that ask for it. OpenSSL gives the type.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int on_status_request(SSL *ssl, void *arg)
{
    (void)arg;
    const struct tls_ctx *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    unsigned char *response = NULL;
    /* A resumed handshake shows no certificate. */
    if (!t->staple || SSL_session_reused(ssl)) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    size_t n = tls_staple_copy(t->staple, (int64_t)time(NULL), &response);
    if (n == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    (void)SSL_set_tlsext_status_ocsp_resp(ssl, response, (long)n); /* OpenSSL's from now on */
    return SSL_TLSEXT_ERR_OK;
}

frun_err tls_stapling_start(struct tls_ctx *t)
{
    assert(t->is_server && !t->is_mutual && !t->staple);
    frun_err err = tls_staple_new(&t->staple);
    if (!err) {
        (void)SSL_CTX_set_tlsext_status_cb(t->ssl, on_status_request);
    }
    return err;
}

frun_err tls_stapling_put(struct tls_ctx *t, struct span response, int64_t until_s)
{
    return tls_staple_put(t->staple, response, until_s);
}

frun_err tls_stapling_keep(struct tls_ctx *t, const struct tls_ctx *from, int64_t until_s)
{
    unsigned char *response = NULL;
    size_t n = tls_staple_copy(from->staple, (int64_t)time(NULL), &response);
    frun_err err =
        n ? tls_staple_put(t->staple, span_make(response, n), until_s) : FRUN_E_NOT_FOUND;
    OPENSSL_free(response);
    return err;
}

void tls_stapling_drop(struct tls_ctx *t)
{
    tls_staple_drop(t->staple);
}

struct tls_ctx *tls_ref(struct tls_ctx *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

/* Contexts reached by name have no names in use themselves: one level deep.
 * NOLINTNEXTLINE(misc-no-recursion) */
void tls_unref(struct tls_ctx **t)
{
    struct tls_ctx *old = *t;
    *t = NULL;
    if (!old || atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    map_free(old->by_name);
    for (struct tls_name *n = old->names; n; n = old->names) {
        old->names = n->next;
        tls_unref(&n->other);
        free(n->name);
        free(n);
    }
    SSL_CTX_free(old->ssl);
    tls_tickets_free(old->tickets);
    tls_staple_free(old->staple);
    BIO_meth_free(old->bio);
    free(old->label);
    free(old->crl_ends);
    free(old);
}
