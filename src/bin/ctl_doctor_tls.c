/**
 * frunctl doctor: TLS with a peer, its certificate, clocks, certificate files.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_doctor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Days before the end of a certificate that are worth a word. */
#define DAYS_LEFT_WARN 14

/* Seconds that clocks may differ. */
#define CLOCK_SKEW_S 60

static int go_on(int ok, X509_STORE_CTX *x)
{
    /* the handshake is finished whatever is wrong, so that it can be told; nothing is sent then */
    (void)ok;
    (void)x;
    return 1;
}

static int days_left(const X509 *x)
{
    int days = 0;
    int seconds = 0;
    (void)ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x));
    return seconds < 0 && days == 0 ? -1 : days;
}

static void say_life(struct doctor *d, const char *step, const X509 *x, const char *whose)
{
    int days = days_left(x);
    enum steps_state state = days < 0 ? STEPS_FAIL : days < DAYS_LEFT_WARN ? STEPS_WARN : STEPS_OK;
    doctor_say(d, step, state, days < 0 ? "%s has expired (%d days)" : "%s ends in %d days", whose,
               days);
    if (state != STEPS_OK) {
        doctor_remedy(d, "renew it; both daemons read renewed files by themselves or by a reload");
    }
}

static void name_of(X509_NAME *n, char out[256])
{
    (void)X509_NAME_oneline(n, out, 256);
}

/* What verification says of the peer's certificate. */
static bool judge(struct doctor *d, const struct doctor_peer *p, const X509 *x, long code)
{
    char issuer[256];
    const char *name = p->server_name ? p->server_name : p->host;
    name_of(X509_get_issuer_name(x), issuer);
    switch (code) {
    case X509_V_OK:
        doctor_say(d, "tls", STEPS_OK, "certificate is good for %s, issued by %s", name, issuer);
        say_life(d, "certificate", x, "the peer's certificate");
        return true;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        doctor_say(d, "tls", STEPS_FAIL, "the certificate is not for %s; issued by %s", name,
                   issuer);
        doctor_remedy(d, "set server_name to a name that stands in it, or have it made for %s",
                      name);
        return false;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        doctor_say(d, "tls", STEPS_FAIL, "%s; issued by %s", X509_verify_cert_error_string(code),
                   issuer);
        doctor_remedy(d, "renew it, or set this machine's clock");
        return false;
    default:
        doctor_say(d, "tls", STEPS_FAIL, "not trusted (%s): the certificate was issued by %s",
                   X509_verify_cert_error_string(code), issuer);
        doctor_remedy(d,
                      "if that issuer is your company's, a TLS proxy opens the connection: have "
                      "%s excepted from inspection; else correct the CA file %s",
                      name, p->ca ? p->ca : "(the system's)");
        return false;
    }
}

/* OpenSSL's macro casts const away. */
static bool set_sni(SSL *ssl, const char *name)
{
    char copy[256];
    int n = snprintf(copy, sizeof(copy), "%s", name);
    return n > 0 && (size_t)n < sizeof(copy) &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy) == 1;
}

static bool prepare(struct doctor *d, const struct doctor_peer *p, struct doctor_line *l)
{
    unsigned char octets[16];
    const char *name = p->server_name ? p->server_name : p->host;
    bool is_address =
        inet_pton(AF_INET, name, octets) == 1 || inet_pton(AF_INET6, name, octets) == 1;
    l->ctx = SSL_CTX_new(TLS_client_method());
    if (!l->ctx || (p->ca ? SSL_CTX_load_verify_file(l->ctx, p->ca)
                          : SSL_CTX_set_default_verify_paths(l->ctx)) != 1) {
        doctor_say(d, "tls", STEPS_FAIL, "cannot read the CA file %s", p->ca ? p->ca : "");
        return false;
    }
    if (p->certificate && (SSL_CTX_use_certificate_chain_file(l->ctx, p->certificate) != 1 ||
                           SSL_CTX_use_PrivateKey_file(l->ctx, p->key, SSL_FILETYPE_PEM) != 1)) {
        doctor_say(d, "tls", STEPS_FAIL, "cannot use %s with its key", p->certificate);
        doctor_remedy(d, "both must be readable PEM and belong together");
        return false;
    }
    SSL_CTX_set_verify(l->ctx, SSL_VERIFY_PEER, go_on);
    l->ssl = SSL_new(l->ctx);
    if (!l->ssl || (is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->ssl), name)
                               : SSL_set1_host(l->ssl, name)) != 1) {
        return false;
    }
    unsigned char alpn[16];
    size_t n = p->alpn ? strlen(p->alpn) : 0;
    if (n && n < sizeof(alpn)) {
        alpn[0] = (unsigned char)n;
        memcpy(alpn + 1, p->alpn, n);
        (void)SSL_set_alpn_protos(l->ssl, alpn, (unsigned)n + 1);
    }
    return (is_address || set_sni(l->ssl, name)) && SSL_set_fd(l->ssl, l->fd) == 1;
}

bool doctor_dial(struct doctor *d, const struct doctor_peer *p, struct doctor_line *l)
{
    char why[160] = "the connection was closed, or nothing came in time";
    *l = (struct doctor_line){.fd = doctor_tcp(d, p)};
    if (l->fd < 0 || p->is_plain) {
        return l->fd >= 0;
    }
    bool is_good = prepare(d, p, l);
    if (is_good && SSL_connect(l->ssl) != 1) {
        unsigned long code = ERR_get_error();
        if (code) {
            ERR_error_string_n(code, why, sizeof(why));
        }
        doctor_say(d, "tls", STEPS_FAIL, "no handshake: %s", why);
        doctor_remedy(d,
                      "is it a TLS port? a firewall that looks into TLS may cut it: have %s "
                      "excepted",
                      p->host);
        is_good = false;
    } else if (is_good) {
        X509 *x = SSL_get1_peer_certificate(l->ssl);
        is_good = x && judge(d, p, x, SSL_get_verify_result(l->ssl));
        X509_free(x);
    }
    if (!is_good) {
        doctor_close(l);
    }
    ERR_clear_error();
    return is_good;
}

void doctor_clock(struct doctor *d, const char *head)
{
    struct tm parts = {0};
    const char *at = strcasestr(head, "\r\ndate:");
    if (!at || !strptime(at + 7 + strspn(at + 7, " "), "%a, %d %b %Y %H:%M:%S", &parts)) {
        return;
    }
    long long skew = (long long)time(NULL) - (long long)timegm(&parts);
    bool is_far = skew > CLOCK_SKEW_S || skew < -CLOCK_SKEW_S;
    doctor_say(d, "clock", is_far ? STEPS_FAIL : STEPS_OK, "our clock is %lld s %s the peer's",
               skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead of");
    if (is_far) {
        doctor_remedy(d, "synchronise both clocks (timedatectl, chronyc): certificates and tokens "
                         "fail otherwise");
    }
}

/* Is the leaf followed by who issued it, as far as there is one to show? */
static void say_chain(struct doctor *d, const char *step, const X509 *leaf, const X509 *next)
{
    bool is_self = X509_NAME_cmp(X509_get_subject_name(leaf), X509_get_issuer_name(leaf)) == 0;
    if (next && X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(next)) != 0) {
        doctor_say(d, step, STEPS_FAIL, "the second certificate did not issue the first one");
        doctor_remedy(d, "put the intermediate certificates behind the certificate, in order");
    } else if (!next && !is_self) {
        doctor_say(d, step, STEPS_WARN, "no intermediate certificate stands behind it");
        doctor_remedy(d, "add it unless a root that peers have signed the certificate itself");
    }
}

void doctor_certificate(struct doctor *d, const char *step, const char *path, const char *name)
{
    FILE *f = path ? fopen(path, "re") : NULL;
    X509 *leaf = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    X509 *next = leaf ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    if (path && !leaf) {
        doctor_say(d, step, STEPS_FAIL, "%s: %s", path,
                   f ? "holds no certificate as PEM" : strerrordesc_np(errno));
        doctor_remedy(d, "correct the file, or the key that names it; run this as root");
    }
    if (leaf) {
        say_life(d, step, leaf, path);
        if (name && X509_check_host(leaf, name, strlen(name), 0, NULL) != 1) {
            doctor_say(d, step, STEPS_FAIL, "%s does not carry the name %s", path, name);
            doctor_remedy(d, "have it made for %s: peers refuse it otherwise", name);
        }
        if (name) {
            say_chain(d, step, leaf, next);
        }
    }
    X509_free(leaf);
    X509_free(next);
    ERR_clear_error();
    if (f) {
        (void)fclose(f);
    }
}
