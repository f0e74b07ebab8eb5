/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Header, content type and tag of one record: what 16 KiB of plaintext grow by, generously. */
#define RECORD_EXTRA_BYTES 64

/* What a stream gathers at most in full records, before it refuses more. */
#define OUT_FULL_BYTES                                                                             \
    (STREAM_BUFFER_BYTES + STREAM_SLACK_BYTES +                                                    \
     (STREAM_BUFFER_BYTES / STREAM_RECORD_BYTES + 1) * RECORD_EXTRA_BYTES)

/* A stage of at least so much goes out as a record of its own rather than being filled up, if full
 * records follow: those are then written from where they stand, without a copy. Less (a head of an
 * HTTP/2 frame) is not worth a record. */
#define STAGE_SEAL_BYTES 256

/* First size of the stage: most passes gather a head and a small body, or much. */
#define STAGE_SMALL_BYTES 4096

/* ---- how OpenSSL reaches the socket: reads it directly, writes into s->out ---- */

static int bio_read(BIO *bio, char *p, int max)
{
    struct stream *s = BIO_get_data(bio);
    size_t n = 0;
    BIO_clear_retry_flags(bio);
    if (max <= 0) {
        return 0;
    }
    frun_err err = stream_recv(s, p, (size_t)max, &n);
    if (err == FRUN_OK) {
        return (int)n;
    }
    if (err == FRUN_E_EOF) {
        return 0;
    }
    if (err == FRUN_E_AGAIN) {
        BIO_set_retry_read(bio);
    }
    return -1;
}

/* A second full record is the beginning of a long body: room for all that one pass gathers saves
 * growing, and copying, twice more. */
static frun_err take_record(struct stream *s, struct span record)
{
    char *at;
    size_t len = buf_len(&s->out);
    if (record.n > STREAM_RECORD_BYTES && len > STREAM_RECORD_BYTES && len < OUT_FULL_BYTES &&
        s->out.cap < OUT_FULL_BYTES) {
        frun_err err = buf_reserve(&s->out, OUT_FULL_BYTES - len, &at);
        if (err) {
            return err;
        }
    }
    return buf_put(&s->out, record);
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0 || take_record(s, span_make(p, (size_t)n))) {
        return -1;
    }
    /* Alerts and key updates, which OpenSSL writes while it reads. For a record that a flush made
     * another pass would come for nothing: a look at all sockets, and no sleep. */
    if (s->loop && !s->is_sealing) {
        later_arm(s->loop, &s->flush);
    }
    return n;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *ptr)
{
    (void)number;
    (void)ptr;
    const struct stream *s = BIO_get_data(bio);
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return s->is_fd_eof;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *stream_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "frun stream");
    if (!m) {
        return NULL;
    }
    if (!BIO_meth_set_read(m, bio_read) || !BIO_meth_set_write(m, bio_write) ||
        !BIO_meth_set_ctrl(m, bio_ctrl) || !BIO_meth_set_create(m, bio_create)) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

/* OpenSSL judges by this thread's queue of errors. It is nearly always empty, and clearing an empty
 * one costs more than looking. */
static void clear_errors(void)
{
    if (ERR_peek_error()) {
        ERR_clear_error();
    }
}

/* ---- what went wrong, in words ---- */

static void say(struct stream *s, const char *fmt, const char *a, const char *b)
    __attribute__((format(printf, 2, 0)));

static void say(struct stream *s, const char *fmt, const char *a, const char *b)
{
    if (!s->why) {
        s->why = malloc(STREAM_WHY_BYTES);
    }
    if (s->why) {
        /* Formats are literals of this file with two %s at most. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(s->why, STREAM_WHY_BYTES, fmt, a, b);
#pragma GCC diagnostic pop
    }
}

static const char *peer_name(const struct stream *s)
{
    return s->name ? s->name : "the client";
}

/* Our own verdict about the peer's certificate. */
static void explain_verify(struct stream *s, long code)
{
    const char *who = peer_name(s);
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        say(s, "certificate of %s has expired: renew it there%s", who, "");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        say(s, "certificate of %s is not valid yet: compare the clocks%s", who, "");
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        say(s, "certificate does not carry the name %s: use a name that it carries%s", who, "");
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        say(s, "certificate of %s is not signed by the configured CA (%s): check the CA file", who,
            X509_verify_cert_error_string(code));
        break;
    case X509_V_ERR_CERT_REVOKED:
        say(s, "certificate of %s has been revoked by its CA (client_crl)%s", who, "");
        break;
    case X509_V_ERR_CRL_HAS_EXPIRED:
        say(s, "certificate of %s refused: the revocation list of its CA has expired: %s", who,
            "put a newer one into client_crl");
        break;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        say(s, "certificate of %s refused: client_crl holds no revocation list of its CA%s", who,
            "");
        break;
    default:
        say(s, "certificate of %s refused: %s", who, X509_verify_cert_error_string(code));
        break;
    }
}

static void explain_reason(struct stream *s, unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    const char *text = ERR_reason_error_string(code);
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        say(s, "%s speaks plain HTTP where TLS is expected: use https://%s", peer_name(s), "");
        break;
    case SSL_R_WRONG_VERSION_NUMBER:
        say(s, "%s does not speak TLS on this port: check port and protocol%s", peer_name(s), "");
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
        say(s, "%s speaks no TLS version that is allowed here%s", peer_name(s), "");
        break;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        say(s, "%s showed no certificate: configure certificate and private_key there%s",
            peer_name(s), "");
        break;
    default:
        say(s, "TLS with %s failed: %s", peer_name(s), text ? text : "unknown error");
        break;
    }
}

/* The peer's verdict, by its alert. */
static void explain_alert(struct stream *s, int alert)
{
    const char *text = SSL_alert_desc_string_long(alert);
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
        say(s, "%s refused our certificate (alert: %s)", peer_name(s), text);
        break;
    case TLS13_AD_CERTIFICATE_REQUIRED:
        say(s, "%s demands a certificate and we showed none%s", peer_name(s), "");
        break;
    case SSL_AD_PROTOCOL_VERSION:
        say(s, "%s refused the TLS version (alert: %s)", peer_name(s), text);
        break;
    default:
        say(s, "%s ended TLS (alert: %s)", peer_name(s), text);
        break;
    }
}

static void explain(struct stream *s)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    long verify = SSL_get_verify_result(s->ssl);
    if (s->why) {
        return; /* the first cause is the cause */
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verify != X509_V_OK) {
        explain_verify(s, verify);
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
               reason < SSL_AD_REASON_OFFSET + 256) {
        explain_alert(s, reason - SSL_AD_REASON_OFFSET);
    } else {
        explain_reason(s, code);
    }
}

/* Turn the result of an SSL call into ours. */
static frun_err ssl_err(struct stream *s, int rc)
{
    unsigned long code;
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return FRUN_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        s->is_eof = true;
        return FRUN_E_EOF;
    case SSL_ERROR_SYSCALL:
        return s->sys_errno ? stream_sys_err(s->sys_errno) : FRUN_E_CLOSED;
    default:
        code = ERR_peek_error();
        if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
            ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            return FRUN_E_CLOSED;
        }
        explain(s);
        return FRUN_E_TLS;
    }
}

/* ---- operations ---- */

static frun_err tls_handshake(struct stream *s)
{
    clear_errors();
    int rc = SSL_do_handshake(s->ssl);
    if (rc != 1) {
        frun_err err = ssl_err(s, rc);
        return err == FRUN_E_EOF ? FRUN_E_CLOSED : err;
    }
    if (s->is_client && s->tls->must_be_asked && !SSL_get_app_data(s->ssl)) {
        say(s, "%s did not ask for our certificate%s", peer_name(s), "");
        return FRUN_E_TLS;
    }
    /* A stapled response has been sent; OpenSSL would keep its copy as long as the connection. */
    if (!s->is_client) {
        (void)SSL_set_tlsext_status_ocsp_resp(s->ssl, NULL, 0);
    }
    /* The first request may have come together with the client's last flight. */
    s->may_have_more = SSL_has_pending(s->ssl) == 1;
    s->is_ticket_owed = !s->is_client && SSL_version(s->ssl) == TLS1_3_VERSION &&
                        !(SSL_get_options(s->ssl) & SSL_OP_NO_TICKET) &&
                        !SSL_get0_peer_certificate(s->ssl);
    return FRUN_OK;
}

static frun_err tls_read(struct stream *s, void *p, size_t max, size_t *n)
{
    /* OpenSSL would allocate its buffer only to learn from us that there is nothing. */
    if (s->is_drained && !s->may_have_more) {
        return FRUN_E_AGAIN;
    }
    clear_errors();
    int rc = SSL_read_ex(s->ssl, p, max, n);
    if (rc == 1) {
        s->may_have_more = SSL_has_pending(s->ssl) == 1;
        return FRUN_OK;
    }
    s->may_have_more = false;
    return ssl_err(s, rc);
}

/* For a ticket OpenSSL takes a read buffer too, and keeps it until something has been read: 17 KiB
 * of each connection that idles after its first answer. Not while part of a record is in it, which
 * SSL_free_buffers() of early 3.0 does not see (CVE-2024-4741). */
static void drop_read_buffer(const struct stream *s)
{
    if (!SSL_has_pending(s->ssl) && strcmp(SSL_rstate_string(s->ssl), "RH") == 0) {
        (void)SSL_free_buffers(s->ssl);
    }
}

static frun_err write_record(struct stream *s, const char *p, size_t n)
{
    size_t written = 0;
    bool has_ticket = s->is_ticket_owed;
    clear_errors();
    if (has_ticket) {
        s->is_ticket_owed = false;
        (void)SSL_new_session_ticket(s->ssl); /* without one the connection goes on all the same */
    }
    /* Our BIO takes everything, so a record is written whole or not at all. */
    s->is_sealing = true;
    int rc = SSL_write_ex(s->ssl, p, n, &written);
    s->is_sealing = false;
    if (rc == 1) {
        if (has_ticket) {
            drop_read_buffer(s);
        }
        return FRUN_OK;
    }
    frun_err err = ssl_err(s, rc);
    return err == FRUN_E_TLS ? err : FRUN_E_NOMEM;
}

static frun_err tls_seal(struct stream *s)
{
    frun_err err = FRUN_OK;
    if (s->state == STREAM_HANDSHAKE) {
        return FRUN_OK;
    }
    while (!err && buf_len(&s->stage) > 0) {
        struct span all = buf_span(&s->stage);
        size_t n = all.n < STREAM_RECORD_BYTES ? all.n : STREAM_RECORD_BYTES;
        err = write_record(s, all.p, n);
        if (!err) {
            buf_consume(&s->stage, n);
        }
    }
    buf_trim(&s->stage);
    return err;
}

static frun_err reserve_records(struct stream *s, size_t n)
{
    char *at;
    size_t records = n / STREAM_RECORD_BYTES + 2;
    return buf_reserve(&s->out, n + records * RECORD_EXTRA_BYTES, &at);
}

static frun_err tls_put(struct stream *s, struct span data)
{
    frun_err err = FRUN_OK;
    if (s->state == STREAM_HANDSHAKE) {
        return buf_put(&s->stage, data);
    }
    if (data.n >= STREAM_RECORD_BYTES) {
        err = reserve_records(s, data.n + buf_len(&s->stage));
        if (!err && buf_len(&s->stage) >= STAGE_SEAL_BYTES) {
            err = tls_seal(s);
        }
    }
    while (!err && data.n > 0) {
        if (buf_len(&s->stage) == 0 && data.n >= STREAM_RECORD_BYTES) {
            err = write_record(s, data.p, STREAM_RECORD_BYTES);
            data = span_skip(data, STREAM_RECORD_BYTES);
            continue;
        }
        if (s->stage.cap == 0) {
            char *at;
            err = buf_reserve(&s->stage,
                              data.n < STAGE_SMALL_BYTES ? STAGE_SMALL_BYTES : STREAM_RECORD_BYTES,
                              &at);
            if (err) {
                break;
            }
        }
        size_t room = STREAM_RECORD_BYTES - buf_len(&s->stage);
        size_t n = data.n < room ? data.n : room;
        err = buf_put(&s->stage, span_head(data, n));
        data = span_skip(data, n);
        if (!err && buf_len(&s->stage) == STREAM_RECORD_BYTES) {
            err = tls_seal(s);
        }
    }
    return err;
}

static void tls_end(struct stream *s)
{
    clear_errors();
    (void)SSL_shutdown(s->ssl);
    clear_errors();
}

static frun_err tls_probe(struct stream *s)
{
    char one;
    size_t n = 0;
    clear_errors();
    int rc = SSL_peek_ex(s->ssl, &one, 1, &n);
    if (rc == 1) {
        s->may_have_more = true;
        return FRUN_OK;
    }
    frun_err err = ssl_err(s, rc);
    return err == FRUN_E_AGAIN ? FRUN_OK : err;
}

static frun_err tls_last_words(struct stream *s, frun_err err)
{
    char one;
    size_t n = 0;
    s->is_drained = false;
    clear_errors();
    /* In TLS 1.3 a server judges our certificate after our handshake is over: its alert waits. */
    int rc = SSL_peek_ex(s->ssl, &one, 1, &n);
    if (rc != 1 && ssl_err(s, rc) == FRUN_E_TLS) {
        return FRUN_E_TLS;
    }
    s->may_have_more |= rc == 1;
    return err;
}

const struct stream_ops stream_tls_ops = {
    .handshake = tls_handshake,
    .read = tls_read,
    .put = tls_put,
    .seal = tls_seal,
    .end = tls_end,
    .probe = tls_probe,
    .last_words = tls_last_words,
};

/* ---- opening ---- */

static bool is_address(const char *name)
{
    unsigned char room[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;
}

static frun_err expect_name(struct stream *s, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(s->ssl);
    s->name = strdup(name);
    if (!s->name) {
        return FRUN_E_NOMEM;
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(name)) {
        /* Addresses are never sent as SNI (RFC 6066 3). */
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? FRUN_OK : FRUN_E_TLS;
    }
    if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1) {
        return FRUN_E_TLS;
    }
    /* SSL_set_tlsext_host_name() casts its argument's constness away. */
    return SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, s->name) == 1
               ? FRUN_OK
               : FRUN_E_TLS;
}

frun_err stream_tls_open(struct stream *s, const char *server_name)
{
    clear_errors();
    s->ssl = SSL_new(s->tls->ssl);
    BIO *bio = BIO_new(s->tls->bio);
    if (!s->ssl || !bio) {
        BIO_free(bio);
        return FRUN_E_NOMEM;
    }
    BIO_set_data(bio, s);
    SSL_set_bio(s->ssl, bio, bio);
    if (!s->is_client) {
        SSL_set_accept_state(s->ssl);
        return FRUN_OK;
    }
    SSL_set_connect_state(s->ssl);
    return server_name ? expect_name(s, server_name) : FRUN_OK;
}

/* ---- getters ---- */

const struct tls_ctx *stream_tls(const struct stream *s)
{
    return s->ssl ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(s->ssl)) : NULL;
}

struct span stream_alpn(const struct stream *s)
{
    const unsigned char *name = NULL;
    unsigned n = 0;
    if (s->ssl) {
        SSL_get0_alpn_selected(s->ssl, &name, &n);
    }
    return name ? span_make(name, n) : (struct span){0};
}

int64_t stream_peer_until(const struct stream *s)
{
    const X509 *cert = s->ssl ? SSL_get0_peer_certificate(s->ssl) : NULL;
    if (!cert || SSL_get_verify_result(s->ssl) != X509_V_OK) {
        return 0;
    }
    return tls_seconds(X509_get0_notAfter(cert));
}

static frun_err subject_of(const X509 *cert, char *out, size_t max)
{
    BIO *mem = BIO_new(BIO_s_mem());
    if (!mem) {
        return FRUN_E_LIMIT;
    }
    char *text = NULL;
    frun_err err = FRUN_E_LIMIT;
    if (X509_NAME_print_ex(mem, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(mem, &text);
        /* A subject with a NUL inside would be compared as another one. */
        if (len >= 0 && (size_t)len < max && (len == 0 || !memchr(text, '\0', (size_t)len))) {
            if (len > 0) {
                memcpy(out, text, (size_t)len);
            }
            out[len] = '\0';
            err = FRUN_OK;
        }
    }
    BIO_free(mem);
    return err;
}

frun_err stream_peer_subject(const struct stream *s, char *out, size_t max)
{
    assert(max > 0);
    const X509 *cert = s->ssl ? SSL_get0_peer_certificate(s->ssl) : NULL;
    if (!cert || SSL_get_verify_result(s->ssl) != X509_V_OK) {
        return FRUN_E_NOT_FOUND;
    }
    return subject_of(cert, out, max);
}

frun_err stream_refused_subject(const struct stream *s, char *out, size_t max)
{
    assert(max > 0);
    const X509 *cert = s->ssl && !s->is_client ? SSL_get_app_data(s->ssl) : NULL;
    return cert ? subject_of(cert, out, max) : FRUN_E_NOT_FOUND;
}
