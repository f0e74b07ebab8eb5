/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/tls.h"

#include "../../src/net/stream_int.h"
#include "pair_fixture.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Record buffers that OpenSSL holds, of both ends. */
static size_t n_records;

static bool is_record(void *p)
{
    size_t n = p ? malloc_usable_size(p) : 0;
    return n > STREAM_RECORD_BYTES && n < STREAM_RECORD_BYTES + 1024;
}

static void *counted_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    void *p = n ? malloc(n) : NULL;
    n_records += is_record(p);
    return p;
}

static void counted_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    n_records -= is_record(p);
    free(p);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
    void *q = counted_malloc(n, file, line);
    size_t old = p ? malloc_usable_size(p) : 0;
    if (p && q) {
        memcpy(q, p, old < n ? old : n);
    }
    if (q || n == 0) {
        counted_free(p, file, line);
    }
    return q;
}

static int setup_all(void **state)
{
    (void)state;
    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1) {
        return -1; /* OpenSSL has allocated already */
    }
    fixture_init(&fix);
    return 0;
}

/* "server" -> server.pem and server.key; NULL stays NULL. */
static const char *pem(const char *file)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.pem", file ? file : "");
    return file ? fixture_path(&fix, name) : NULL;
}

static const char *key(const char *file)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.key", file ? file : "");
    return file ? fixture_path(&fix, name) : NULL;
}

static struct tls_ctx *make(bool is_server, const char *cert, const char *ca, const char *alpn,
                            bool is_mutual)
{
    struct tls_ctx *t = NULL;
    struct diag d = {0};
    const struct tls_settings s = {.certificate = pem(cert),
                                   .private_key = key(cert),
                                   .ca_file = pem(ca),
                                   .alpn = alpn,
                                   .is_mutual = is_mutual,
                                   .has_tickets = true};
    if ((is_server ? tls_server_new : tls_client_new)(&s, &t, &d)) {
        fail_msg("%s", d.text);
    }
    return t;
}

static bool both_closed(void *arg)
{
    (void)arg;
    return a.is_closed && b.is_closed;
}

static bool all_got(void *arg)
{
    return a.got + b.got >= *(uint64_t *)arg;
}

static void meet(struct tls_ctx *server, struct tls_ctx *client, const char *name)
{
    int fd[2];
    sockets_open(fd);
    assert_int_equal(end_open(&w, &a, fd[0], server, NULL), FRUN_OK);
    assert_int_equal(end_open(&w, &b, fd[1], client, name), FRUN_OK);
}

static void shake(struct tls_ctx *server, struct tls_ctx *client, const char *name)
{
    meet(server, client, name);
    assert_true(world_until(&w, pair_is_settled, NULL));
}

static void talk(void)
{
    uint64_t want = 8;
    assert_int_equal(stream_put(a.s, SPAN_LIT("pong")), FRUN_OK);
    assert_int_equal(stream_put(b.s, SPAN_LIT("ping")), FRUN_OK);
    assert_true(world_until(&w, all_got, &want));
    assert_string_equal(a.first, "ping");
    assert_string_equal(b.first, "pong");
}

/* ---- who trusts whom ---- */

static void test_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *server;
        const char *client_ca;
        const char *name;
        const char *want;  /* NULL: works; else part of the client's text */
        const char *alert; /* part of the server's text */
    } rows[] = {
        {"good", "server", "ca", "push.example.com", NULL, NULL},
        {"good, case", "server", "ca", "PUSH.example.com", NULL, NULL},
        {"good, address", "server", "ca", "127.0.0.1", NULL, NULL},
        {"good, v6 address", "server", "ca", "::1", NULL, NULL},
        {"other name", "server", "ca", "evil.example.com", "does not carry the name evil.example",
         "refused our certificate"},
        {"other address", "server", "ca", "127.0.0.2", "does not carry the name 127.0.0.2", NULL},
        {"expired", "expired", "ca", "push.example.com",
         "certificate of push.example.com has expired", "expired"},
        {"not yet valid", "early", "ca", "push.example.com", "not valid yet", NULL},
        {"other CA", "server", "other", "push.example.com", "not signed by the configured CA",
         "unknown CA"},
        {"trusts nothing", "server", NULL, "push.example.com", "not signed by the configured CA",
         NULL},
        {"self-signed", "self", "ca", "push.example.com", "not signed by the configured CA", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *s = make(true, rows[i].server, NULL, NULL, false);
        struct tls_ctx *c = make(false, NULL, rows[i].client_ca, NULL, false);
        shake(s, c, rows[i].name);
        if (!rows[i].want) {
            if (!b.is_ready) {
                fail_msg("%s: %s", rows[i].label, stream_why(b.s));
            }
            talk();
        } else {
            assert_false(b.is_ready);
            assert_int_equal(b.closed, FRUN_E_TLS);
            if (!strstr(stream_why(b.s), rows[i].want)) {
                fail_msg("%s: %s", rows[i].label, stream_why(b.s));
            }
            assert_true(world_until(&w, both_closed, NULL));
            assert_int_equal(a.closed, FRUN_E_TLS);
            if (rows[i].alert && !strstr(stream_why(a.s), rows[i].alert)) {
                fail_msg("%s: server: %s", rows[i].label, stream_why(a.s));
            }
        }
        tls_unref(&s);
        tls_unref(&c);
        pair_again();
    }
}

static void test_same_client(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        bool is_server;
        const char *cert, *ca, *alpn;
        bool is_mutual;
        bool is_same; /* as a client that shows dc1-a, trusts ca and speaks HTTP/1.1 */
    } rows[] = {
        {"made anew", false, "dc1-a", "ca", "http/1.1", false, true},
        {"other CA", false, "dc1-a", "other", "http/1.1", false, false},
        {"one CA more", false, "dc1-a", "bundle", "http/1.1", false, false},
        {"no CA", false, "dc1-a", NULL, "http/1.1", false, false},
        {"shows another", false, "server", "ca", "http/1.1", false, false},
        {"shows none", false, NULL, "ca", "http/1.1", false, false},
        {"other protocols", false, "dc1-a", "ca", "h2,http/1.1", false, false},
        {"no protocols", false, "dc1-a", "ca", NULL, false, false},
        {"other versions", false, "dc1-a", "ca", "http/1.1", true, false},
        {"a server", true, "dc1-a", "ca", "http/1.1", true, false},
    };
    struct tls_ctx *one = make(false, "dc1-a", "ca", "http/1.1", false);
    assert_true(tls_is_same_client(one, one));
    assert_true(tls_is_same_client(NULL, NULL));
    assert_false(tls_is_same_client(one, NULL));
    assert_false(tls_is_same_client(NULL, one));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *other =
            make(rows[i].is_server, rows[i].cert, rows[i].ca, rows[i].alpn, rows[i].is_mutual);
        if (tls_is_same_client(one, other) != rows[i].is_same ||
            tls_is_same_client(other, one) != rows[i].is_same) {
            fail_msg("%s", rows[i].label);
        }
        tls_unref(&other);
    }
    tls_unref(&one);
}

static void test_mutual(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *client;
        const char *ca;
        const char *want; /* NULL: works; else part of the server's text */
        const char *seen; /* part of the client's text */
    } rows[] = {
        {"good", "dc1-a", "ca", NULL, NULL},
        {"none shown", NULL, "ca", "showed no certificate", "demands a certificate"},
        {"expired", "expired", "ca", "has expired", "refused our certificate"},
        {"self-signed", "self", "ca", "not signed by the configured CA", "refused our certificate"},
        {"other CA", "dc1-a", "other", "not signed by the configured CA",
         "refused our certificate"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *s = make(true, "tunnel", rows[i].ca, "http/1.1", true);
        struct tls_ctx *c = make(false, rows[i].client, "ca", "http/1.1", true);
        char subject[64];
        meet(s, c, "tunnel.example.com");
        /* As the connector does: speaks at once, so its last flight meets the verdict. */
        assert_int_equal(stream_put(b.s, SPAN_LIT("ping")), FRUN_OK);
        if (!rows[i].want) {
            assert_true(world_until(&w, pair_is_settled, NULL));
            assert_int_equal(stream_refused_subject(a.s, subject, sizeof(subject)),
                             FRUN_E_NOT_FOUND);
            assert_int_equal(stream_peer_subject(a.s, subject, sizeof(subject)), FRUN_OK);
            assert_string_equal(subject, "CN=dc1-a");
            assert_string_equal(SSL_get_version(a.s->ssl), "TLSv1.3");
        } else {
            assert_true(world_until(&w, both_closed, NULL));
            assert_false(a.is_ready);
            assert_int_equal(a.got, 0);
            assert_int_equal(a.closed, FRUN_E_TLS);
            if (!strstr(stream_why(a.s), rows[i].want)) {
                fail_msg("%s: server: %s", rows[i].label, stream_why(a.s));
            }
            frun_err err = stream_refused_subject(a.s, subject, sizeof(subject));
            if (rows[i].client ? err || strncmp(subject, "CN=", 3) != 0 : err != FRUN_E_NOT_FOUND) {
                fail_msg("%s: subject: %d", rows[i].label, err);
            }
            assert_int_equal(stream_peer_subject(a.s, subject, sizeof(subject)), FRUN_E_NOT_FOUND);
            assert_int_equal(stream_refused_subject(b.s, subject, sizeof(subject)),
                             FRUN_E_NOT_FOUND);
            if (b.closed != FRUN_E_TLS || !strstr(stream_why(b.s), rows[i].seen)) {
                fail_msg("%s: client: %d %s", rows[i].label, b.closed, stream_why(b.s));
            }
        }
        tls_unref(&s);
        tls_unref(&c);
        pair_again();
    }
}

/* ---- protocol versions and ALPN ---- */

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        bool is_mutual;
        int max_version;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"public 1.3", false, TLS1_3_VERSION, "TLSv1.3"},
        {"public 1.2", false, TLS1_2_VERSION, "TLSv1.2"},
        {"mutual 1.3", true, TLS1_3_VERSION, "TLSv1.3"},
        {"mutual 1.2", true, TLS1_2_VERSION, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *s =
            make(true, "server", rows[i].is_mutual ? "ca" : NULL, NULL, rows[i].is_mutual);
        struct tls_ctx *c = make(false, "dc1-a", "ca", NULL, false);
        SSL_CTX_set_max_proto_version(c->ssl, rows[i].max_version);
        shake(s, c, "push.example.com");
        if (rows[i].want) {
            assert_true(a.is_ready);
            assert_string_equal(SSL_get_version(a.s->ssl), rows[i].want);
            talk();
        } else {
            assert_int_equal(a.closed, FRUN_E_TLS);
            assert_non_null(strstr(stream_why(a.s), "no TLS version that is allowed"));
            assert_non_null(strstr(stream_why(b.s), "refused the TLS version"));
        }
        tls_unref(&s);
        tls_unref(&c);
        pair_again();
    }
}

static void test_old_version_refused(void **state)
{
    (void)state;
    struct tls_ctx *s = make(true, "server", NULL, NULL, false);
    struct tls_ctx *c = make(false, NULL, "ca", NULL, false);
    SSL_CTX_set_min_proto_version(c->ssl, TLS1_1_VERSION);
    SSL_CTX_set_max_proto_version(c->ssl, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(c->ssl, "ALL:@SECLEVEL=0");
    shake(s, c, "push.example.com");
    assert_false(a.is_ready);
    assert_int_equal(a.closed, FRUN_E_TLS);
    tls_unref(&s);
    tls_unref(&c);
}

static void test_alpn(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *server;
        const char *client;
        const char *want; /* chosen; "" none; NULL: refused */
    } rows[] = {
        {"same", "http/1.1", "http/1.1", "http/1.1"},
        {"client offers none", "http/1.1", NULL, ""},
        {"server has none", NULL, "http/1.1", ""},
        {"other", "http/1.1", "h2", NULL},
        {"prefix", "http/1.1", "http/1.10", NULL},
        {"the older one, as curl -0 offers", "http/1.1", "http/1.0", "http/1.0"},
        {"our order counts", "h2,http/1.1", "http/1.1,h2", "h2"},
        {"our second", "h2,http/1.1", "http/1.1", "http/1.1"},
        {"the older one instead of our second", "h2,http/1.1", "spdy/3,http/1.0", "http/1.0"},
        {"one of several offers", "http/1.1", "h2,http/1.1", "http/1.1"},
        {"none of several", "h2,http/1.1", "h3,h2c", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *s = make(true, "server", NULL, rows[i].server, false);
        struct tls_ctx *c = make(false, NULL, "ca", rows[i].client, false);
        shake(s, c, "push.example.com");
        if (rows[i].want) {
            assert_true(a.is_ready && b.is_ready);
            if (!span_eq(stream_alpn(a.s), span_of(rows[i].want)) ||
                !span_eq(stream_alpn(b.s), span_of(rows[i].want))) {
                fail_msg("%s", rows[i].label);
            }
        } else {
            assert_int_equal(a.closed, FRUN_E_TLS);
            assert_non_null(strstr(stream_why(b.s), "no application protocol"));
        }
        tls_unref(&s);
        tls_unref(&c);
        pair_again();
    }
}

/* ---- one port, several names ---- */

static struct tls_ctx *base;
static struct tls_ctx *tunnel;

static int setup_names(void **state)
{
    base = make(true, "server", NULL, "http/1.1", false);
    tunnel = make(true, "tunnel", "ca", "http/1.1", true);
    assert_int_equal(tls_server_add_name(base, "tunnel.example.com", tunnel), FRUN_OK);
    assert_int_equal(tls_server_add_name(base, "Tunnel.Example.com", tunnel), FRUN_E_EXISTS);
    for (int i = 0; i < 1000; i++) { /* customers have names of their own */
        char name[32];
        (void)snprintf(name, sizeof(name), "c%d.example.com", i);
        assert_int_equal(tls_server_add_name(base, name, tunnel), FRUN_OK);
    }
    return pair_setup(state);
}

static int teardown_names(void **state)
{
    int rc = pair_teardown(state);
    tls_unref(&tunnel);
    tls_unref(&base);
    return rc;
}

static void test_names(void **state)
{
    (void)state;
    char subject[64];
    struct tls_ctx *bare = make(false, NULL, "ca", "http/1.1", false);
    struct tls_ctx *shows = make(false, "dc1-a", "ca", "http/1.1", false);

    /* An ordinary client is never asked for a certificate, even if it has one. */
    struct tls_ctx *ordinary[] = {bare, shows};
    for (size_t i = 0; i < 2; i++) {
        shake(base, ordinary[i], "push.example.com");
        assert_true(a.is_ready && b.is_ready);
        assert_ptr_equal(stream_tls(a.s), base);
        assert_int_equal(stream_peer_subject(a.s, subject, sizeof(subject)), FRUN_E_NOT_FOUND);
        talk();
        pair_again();
    }
    shake(base, shows, "tunnel.example.com");
    assert_true(a.is_ready && b.is_ready);
    assert_ptr_equal(stream_tls(a.s), tunnel);
    assert_int_equal(stream_peer_subject(a.s, subject, sizeof(subject)), FRUN_OK);
    assert_string_equal(subject, "CN=dc1-a");
    talk();
    pair_again();

    shake(base, bare, "tunnel.example.com");
    assert_true(world_until(&w, both_closed, NULL));
    assert_false(a.is_ready);
    assert_int_equal(a.closed, FRUN_E_TLS);
    pair_again();

    /* TLS 1.2 is good for the base, never for the tunnel's name. */
    SSL_CTX_set_max_proto_version(shows->ssl, TLS1_2_VERSION);
    shake(base, shows, "tunnel.example.com");
    assert_true(world_until(&w, both_closed, NULL));
    assert_int_equal(a.closed, FRUN_E_TLS);
    assert_non_null(strstr(stream_why(a.s), "no TLS version that is allowed"));
    pair_again();
    shake(base, shows, "push.example.com");
    assert_true(a.is_ready && b.is_ready);
    tls_unref(&bare);
    tls_unref(&shows);
}

/* What a handshake would look up every time is there already, and the root is never sent. */
static void test_chain_is_made_once(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *cert;
        int want;
    } rows[] = {{"signed by the trusted root", "server", 0},
                {"signed by a trusted intermediate CA", "leaf", 1},
                {"signed by nobody we know", "self", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *t = make(true, rows[i].cert, "bundle", NULL, true);
        STACK_OF(X509) *chain = NULL;
        assert_int_equal(SSL_CTX_get0_chain_certs(t->ssl, &chain), 1);
        int n = chain ? sk_X509_num(chain) : 0;
        if (n != rows[i].want || !(SSL_CTX_get_mode(t->ssl) & SSL_MODE_NO_AUTO_CHAIN)) {
            fail_msg("%s: %d", rows[i].label, n);
        }
        tls_unref(&t);
    }
}

static SSL_SESSION *session_of(struct tls_ctx *client, const char *name)
{
    shake(base, client, name);
    assert_true(a.is_ready && b.is_ready);
    talk(); /* a TLS 1.3 ticket comes with the first octets */
    SSL_SESSION *session = SSL_get1_session(b.s->ssl);
    /* OpenSSL spoils the session of a connection that is freed without its end. */
    SSL_set_shutdown(b.s->ssl, SSL_SENT_SHUTDOWN);
    pair_again();
    return session;
}

/* Offer @p session to @p name; the connection must stand if @p is_ready. */
static bool is_resumed(bool is_ready, struct tls_ctx *client, const char *name,
                       SSL_SESSION *session)
{
    meet(base, client, name);
    SSL_set_session(b.s->ssl, session);
    assert_true(world_until(&w, pair_is_settled, NULL));
    if (b.is_ready) {
        SSL_set_shutdown(b.s->ssl, SSL_SENT_SHUTDOWN);
    }
    assert_int_equal(a.is_ready, is_ready);
    bool is = a.is_ready && SSL_session_reused(a.s->ssl);
    pair_again();
    return is;
}

/* A session made under one name is worth nothing under the other (CVE-2025-23419). */
static void test_sessions_do_not_cross(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct tls_ctx *c = make(false, "dc1-a", "ca", "http/1.1", false);
        /* The certificate's name does not matter here: what the server does is asked. */
        SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_max_proto_version(c->ssl, versions[i]);
        SSL_SESSION *session = session_of(c, "push.example.com");
        assert_true(SSL_SESSION_is_resumable(session));
        assert_true(is_resumed(true, c, "push.example.com", session));
        /* In TLS 1.3 the full handshake with its certificates takes place instead. */
        bool is_13 = versions[i] == TLS1_3_VERSION;
        assert_false(is_resumed(is_13, c, "tunnel.example.com", session));
        SSL_SESSION_free(session);
        tls_unref(&c);
    }
    struct tls_ctx *c = make(false, "dc1-a", "ca", "http/1.1", false);
    SSL_SESSION *session = session_of(c, "tunnel.example.com");
    assert_false(SSL_SESSION_is_resumable(session)); /* no ticket at all */
    SSL_SESSION_free(session);
    tls_unref(&c);
}

static bool has_got(void *arg)
{
    const struct end *e = arg;
    return e->got > 0;
}

/* A server that has answered once, with a ticket, and waits holds no record buffer. */
static void test_idle_holds_no_record(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct tls_ctx *s = make(true, "server", NULL, NULL, false);
        struct tls_ctx *c = make(false, NULL, "ca", NULL, false);
        SSL_CTX_set_max_proto_version(c->ssl, versions[i]);
        shake(s, c, "push.example.com");
        assert_true(a.is_ready && b.is_ready);
        assert_int_equal(stream_put(b.s, SPAN_LIT("ping")), FRUN_OK);
        assert_true(world_until(&w, has_got, &a));
        assert_int_equal(stream_put(a.s, SPAN_LIT("pong")), FRUN_OK);
        assert_true(world_until(&w, has_got, &b));
        (void)SSL_free_buffers(b.s->ssl); /* a client takes one for the ticket, until it writes */
        assert_int_equal(n_records, 0);
        tls_unref(&s);
        tls_unref(&c);
        pair_again();
    }
}

/* ---- keys of tickets ---- */

/* Is a session made by @p one resumed by @p other, @p hours later? */
static bool crosses(struct tls_ctx *one, struct tls_ctx *other, int hours)
{
    struct tls_ctx *c = make(false, NULL, "ca", NULL, false);
    struct tls_ctx *before = base;
    base = one;
    SSL_SESSION *session = session_of(c, "push.example.com");
    assert_true(SSL_SESSION_is_resumable(session));
    base = other;
    for (int i = 0; i <= hours; i++) {
        tls_turn_tickets(other, (int64_t)time(NULL) + i * INT64_C(3600));
    }
    bool is = is_resumed(true, c, "push.example.com", session);
    base = before;
    SSL_SESSION_free(session);
    tls_unref(&c);
    return is;
}

static struct tls_ctx *make_next(const char *text, const struct tls_ctx *before)
{
    struct tls_ctx *t = NULL;
    struct secret *secret = NULL;
    struct diag d = {0};
    if (text) {
        assert_int_equal(secret_new(span_of(text), &secret), FRUN_OK);
    }
    const struct tls_settings s = {.certificate = pem("server"),
                                   .private_key = key("server"),
                                   .has_tickets = true,
                                   .ticket_secret = secret,
                                   .label = "ACME_PROD",
                                   .before = before};
    assert_int_equal(tls_server_new(&s, &t, &d), FRUN_OK);
    assert_string_equal(tls_label(t), "ACME_PROD");
    secret_free(secret);
    return t;
}

static struct tls_ctx *make_keyed(const char *text)
{
    return make_next(text, NULL);
}

/* A context that takes the place of another goes on with its keys, as long as the secret stays. */
static void test_ticket_keys_go_on(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *one;
        const char *other;
        bool want;
    } rows[] = {{"random keys", NULL, NULL, true},
                {"same secret", "secret", "secret", true},
                {"another secret", "secret", "other", false},
                {"a secret now", NULL, "secret", false},
                {"no secret any more", "secret", NULL, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *one = make_keyed(rows[i].one);
        struct tls_ctx *other = make_next(rows[i].other, one);
        if (crosses(one, other, 0) != rows[i].want) {
            fail_msg("%s", rows[i].label);
        }
        tls_unref(&one);
        tls_unref(&other);
    }
}

static void test_ticket_keys(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *one;
        const char *other;
        int hours;
        bool want;
    } rows[] = {{"two gateways, same secret", "secret", "secret", 0, true},
                {"same secret, next hour", "secret", "secret", 1, true},
                {"same secret, a clock three hours ahead", "secret", "secret", 3, false},
                {"another secret", "secret", "other", 0, false},
                {"random keys", NULL, NULL, 0, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_ctx *one = make_keyed(rows[i].one);
        struct tls_ctx *other = make_keyed(rows[i].other);
        if (crosses(one, other, rows[i].hours) != rows[i].want) {
            fail_msg("%s", rows[i].label);
        }
        tls_unref(&one);
        tls_unref(&other);
    }
    /* One gateway with random keys as time passes. */
    for (int hours = 0; hours < 5; hours++) {
        struct tls_ctx *t = make_keyed(NULL);
        if (crosses(t, t, hours) != (hours <= 2)) {
            fail_msg("after %d hours", hours);
        }
        tls_unref(&t);
    }
}

static void test_no_tickets(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    const struct tls_settings s = {.certificate = pem("server"), .private_key = key("server")};
    struct tls_ctx *before = base;
    struct diag d = {0};
    for (size_t i = 0; i < 2; i++) {
        struct tls_ctx *c = make(false, NULL, "ca", NULL, false);
        assert_int_equal(tls_server_new(&s, &base, &d), FRUN_OK);
        SSL_CTX_set_max_proto_version(c->ssl, versions[i]);
        SSL_SESSION *session = session_of(c, "push.example.com");
        assert_false(SSL_SESSION_is_resumable(session));
        SSL_SESSION_free(session);
        tls_unref(&base);
        tls_unref(&c);
    }
    base = before;
}

/* ---- settings ---- */

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(fixture_path(&fix, name), "we");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void test_bad_settings(void **state)
{
    (void)state;
    write_text("empty.pem", "");
    write_text("empty.key", "");
    const struct {
        const char *label;
        const char *cert;
        const char *key;
        const char *ca;
        frun_err want;
        const char *text;
        const char *file;
    } rows[] = {
        {"no certificate", "missing", "server", NULL, FRUN_E_IO, "cannot be read", "missing.pem"},
        {"no key", "server", "missing", NULL, FRUN_E_IO, "cannot be read", "missing.key"},
        {"empty certificate", "empty", "server", NULL, FRUN_E_TLS, "no usable certificate",
         "empty.pem"},
        {"empty key", "server", "empty", NULL, FRUN_E_TLS, "no usable private key", "empty.key"},
        {"other key", "server", "tunnel", NULL, FRUN_E_TLS, "does not belong", "tunnel.key"},
        {"no CA", "server", "server", "missing", FRUN_E_IO, "cannot be read", "missing.pem"},
        {"empty CA", "server", "server", "empty", FRUN_E_TLS, "no usable CA", "empty.pem"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int is_server = 0; is_server < 2; is_server++) {
            struct tls_ctx *t = NULL;
            struct diag d = {0};
            const struct tls_settings s = {.certificate = pem(rows[i].cert),
                                           .private_key = key(rows[i].key),
                                           .ca_file = pem(rows[i].ca),
                                           .is_mutual = rows[i].ca != NULL};
            frun_err err = (is_server ? tls_server_new : tls_client_new)(&s, &t, &d);
            if (err != rows[i].want || !strstr(d.text, rows[i].text) ||
                !strstr(d.text, rows[i].file)) {
                fail_msg("%s: %d %s", rows[i].label, err, d.text);
            }
            assert_null(t);
        }
    }
}

static void test_encrypted_key(void **state)
{
    (void)state;
    struct tls_ctx *t = NULL;
    struct diag d = {0};
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    FILE *f = fopen(fixture_path(&fix, "locked.key"), "we");
    assert_non_null(f);
    PEM_write_PKCS8PrivateKey(f, pkey, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    (void)fclose(f);
    EVP_PKEY_free(pkey);
    const struct tls_settings s = {.certificate = pem("server"), .private_key = key("locked")};
    /* Never asks on a terminal. */
    assert_int_equal(tls_server_new(&s, &t, &d), FRUN_E_TLS);
    assert_non_null(strstr(d.text, "without a passphrase"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, pair_setup, pair_teardown)
#define N(fn) cmocka_unit_test_setup_teardown(fn, setup_names, teardown_names)
    const struct CMUnitTest tests[] = {T(test_certificates),
                                       T(test_same_client),
                                       T(test_mutual),
                                       T(test_versions),
                                       T(test_old_version_refused),
                                       T(test_alpn),
                                       N(test_names),
                                       T(test_chain_is_made_once),
                                       N(test_sessions_do_not_cross),
                                       T(test_idle_holds_no_record),
                                       T(test_ticket_keys),
                                       T(test_ticket_keys_go_on),
                                       T(test_no_tickets),
                                       T(test_bad_settings),
                                       T(test_encrypted_key)};
    return cmocka_run_group_tests(tests, setup_all, pair_teardown_all);
}
