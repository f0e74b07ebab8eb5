/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/dial.h"

#include "../../src/net/dial_int.h"
#include "frun/net/listener.h"
#include "stream_fixture.h"
#include "tls_fixture.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- a resolver that knows invented names (linked with --wrap=getaddrinfo) ---- */

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: hang.example.com hangs */

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    static const struct {
        const char *name;
        const char *addrs[3];
    } zone[] = {
        {"one.example.com", {"127.0.0.1"}},
        {"two.example.com", {"127.0.0.2", "127.0.0.1"}},
        {"none.example.com", {"127.0.0.2", "127.0.0.3"}},
        {"hang.example.com", {"127.0.0.1"}},
    };
    if (hints->ai_flags & AI_NUMERICHOST) {
        return __real_getaddrinfo(host, port, hints, out);
    }
    assert_true(hints->ai_flags & AI_ADDRCONFIG);
    if (strcmp(host, "hang.example.com") == 0) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    struct addrinfo numeric = *hints;
    numeric.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++) {
        if (strcmp(host, zone[i].name) != 0) {
            continue;
        }
        for (size_t n = 0; n < 3 && zone[i].addrs[n]; n++) {
            int gai = __real_getaddrinfo(zone[i].addrs[n], port, &numeric, out);
            if (gai) {
                return gai;
            }
            out = &(*out)->ai_next;
        }
        return 0;
    }
    return EAI_NONAME;
}

/* ---- the world: a server and a proxy on loopback ---- */

/* What a SOCKS5 proxy waits for, and then says. */
struct socks_step {
    size_t wait_bytes; /* asked so far; 0: the end, it is the door from now on */
    const char *says;
    size_t n; /* octets of it; 0: it hangs up */
};

static struct tls_fixture fix;
static struct world w;
static struct offload *pool;
static struct tls_ctx *server;
static struct tls_ctx *client;
static struct listener *door;
static unsigned port;      /* of the door */
static struct end guest;   /* what came in at the door */
static bool is_plain;      /* the door speaks no TLS */
static const char *answer; /* proxy: what it answers; NULL: the door is no proxy */
static struct io proxy_io;
static char asked[2048]; /* what the proxy was asked */
static size_t asked_len;
static const struct socks_step *socks; /* proxy: it speaks SOCKS5, this is what it says */

static bool is_done;
static frun_err result;
static struct dial *under_way;
static enum dial_refusal refusal;
static char why[1024];
static struct end mine;

static void serve(int *fd)
{
    assert_int_equal(end_open(&w, &guest, *fd, is_plain ? NULL : server, NULL), FRUN_OK);
    *fd = -1;
}

static void on_socks(struct io *io)
{
    int fd = io->fd;
    while (socks->wait_bytes && socks->wait_bytes <= asked_len) {
        if (!socks->n) {
            io_close(io);
            close(fd);
            return;
        }
        (void)!send(fd, socks->says, socks->n, MSG_NOSIGNAL);
        socks++;
    }
    if (!socks->wait_bytes) {
        io_close(io);
        serve(&fd);
    }
}

static void on_proxy(struct io *io, int what)
{
    (void)what;
    size_t n = asked_len;
    ssize_t got = recv(io->fd, asked + n, sizeof(asked) - 1 - n, 0);
    if (got <= 0) {
        int gone = io->fd;
        io_close(io);
        close(gone);
        return;
    }
    asked_len += (size_t)got;
    asked[asked_len] = '\0';
    if (socks) {
        on_socks(io);
        return;
    }
    if (!strstr(asked, "\r\n\r\n")) {
        return;
    }
    int fd = io->fd;
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    if (strncmp(answer, "HTTP/1.1 200 OK\r\n\r\n", 20) == 0) {
        io_close(io);
        serve(&fd);
    } else if (!*answer) {
        io_close(io);
        close(fd);
    }
}

static void on_came(void *ctx, int *fd, const struct addr *peer)
{
    (void)ctx;
    (void)peer;
    if (!answer && !socks) {
        serve(fd);
        return;
    }
    assert_int_equal(io_open(&proxy_io, w.l, *fd, on_proxy), FRUN_OK);
    assert_int_equal(io_want(&proxy_io, IO_READ), FRUN_OK);
    *fd = -1;
}

static void on_dialled(void *ctx, frun_err err, struct stream *s, const char *text)
{
    assert_ptr_equal(ctx, &mine);
    assert_false(is_done);
    refusal = dial_refusal(under_way);
    is_done = true;
    result = err;
    (void)snprintf(why, sizeof(why), "%s", text);
    assert_int_equal(err == FRUN_OK, s != NULL);
    if (s) {
        mine = (struct end){.w = &w, .s = s, .is_ready = true};
        stream_set_events(s, &end_events, &mine);
        stream_read_on(s, true);
    }
    world_look(&w);
}

static int setup_all(void **state)
{
    (void)state;
    struct diag d = {0};
    fixture_init(&fix);
    const struct tls_settings s = {.certificate = fixture_path(&fix, "server.pem"),
                                   .private_key = fixture_path(&fix, "server.key")};
    const struct tls_settings c = {.ca_file = fixture_path(&fix, "ca.pem")};
    return tls_server_new(&s, &server, &d) || tls_client_new(&c, &client, &d);
}

static int teardown_all(void **state)
{
    (void)state;
    tls_unref(&server);
    tls_unref(&client);
    fixture_done(&fix);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    struct addr any;
    struct addr at;
    struct diag d;
    int fd;
    w = (struct world){0};
    guest = mine = (struct end){0};
    proxy_io = (struct io){0};
    is_plain = is_done = false;
    answer = NULL;
    socks = NULL;
    asked_len = 0;
    asked[0] = why[0] = '\0';
    if (loop_new(&w.l) || offload_new(2, 8, &pool) || addr_parse("127.0.0.1:0", &any) ||
        listener_socket(&any, &at, &fd, &d)) {
        return -1;
    }
    port = addr_port(&at);
    return listener_new(w.l, &fd, on_came, NULL, &door);
}

static int teardown(void **state)
{
    (void)state;
    end_free(&guest);
    end_free(&mine);
    if (proxy_io.loop) {
        int fd = proxy_io.fd;
        io_close(&proxy_io);
        close(fd);
    }
    listener_free(door);
    offload_free(pool);
    loop_free(w.l);
    return 0;
}

static void next_case(void)
{
    teardown(NULL);
    assert_int_equal(setup(NULL), 0);
}

static struct dial_target target(const char *host, bool is_tls)
{
    return (struct dial_target){.host = host,
                                .port = port,
                                .tls = is_tls ? client : NULL,
                                .server_name = is_tls ? "push.example.com" : NULL,
                                .timeout_ms = 5000};
}

static bool has_ended(void *arg)
{
    (void)arg;
    return is_done;
}

static struct dial *start(const struct dial_target *t)
{
    struct dial *d = NULL;
    assert_int_equal(dial_start(w.l, pool, t, on_dialled, &mine, &d), FRUN_OK);
    assert_non_null(d);
    assert_false(is_done); /* never from within */
    under_way = d;
    return d;
}

static frun_err dial(const struct dial_target *t)
{
    (void)start(t);
    assert_true(world_until(&w, has_ended, NULL));
    return result;
}

static void expect_text(const char *label, const char *part)
{
    if (!strstr(why, part)) {
        fail_msg("%s: \"%s\" does not contain \"%s\"", label, why, part);
    }
}

static bool both_got(void *arg)
{
    (void)arg;
    return guest.got == 4 && mine.got == 4;
}

static bool guest_ready(void *arg)
{
    (void)arg;
    return guest.is_ready;
}

static void talk(void)
{
    assert_true(world_until(&w, guest_ready, NULL));
    assert_int_equal(stream_put(guest.s, SPAN_LIT("pong")), FRUN_OK);
    assert_int_equal(stream_put(mine.s, SPAN_LIT("ping")), FRUN_OK);
    assert_true(world_until(&w, both_got, NULL));
}

static unsigned closed_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    close(fd);
    return ntohs(in.sin_port);
}

/* ---- direct ---- */

static void test_direct(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "one.example.com", "two.example.com"};
    for (size_t i = 0; i < 3; i++) {
        for (int is_tls = 0; is_tls < 2; is_tls++) {
            is_plain = !is_tls;
            struct dial_target t = target(hosts[i], is_tls);
            if (dial(&t)) {
                fail_msg("%s: %s", hosts[i], why);
            }
            talk();
            next_case();
        }
    }
}

static void test_name_is_host(void **state)
{
    (void)state;
    struct dial_target t = target("127.0.0.1", true);
    t.server_name = NULL; /* the certificate carries the address */
    assert_int_equal(dial(&t), FRUN_OK);
    next_case();
    t = target("one.example.com", true);
    t.server_name = NULL;
    assert_int_equal(dial(&t), FRUN_E_TLS);
    expect_text("name", "one.example.com:");
    expect_text("name", "does not carry the name one.example.com");
}

static void test_refused(void **state)
{
    (void)state;
    struct dial_target t = target("one.example.com", false);
    t.port = closed_port();
    assert_int_equal(dial(&t), FRUN_E_CONNECT);
    expect_text("refused", "one.example.com:");
    expect_text("refused", "(127.0.0.1:");
    expect_text("refused", "connection refused");
    next_case();
    t = target("none.example.com", false);
    assert_int_equal(dial(&t), FRUN_E_CONNECT);
    expect_text("all refused", "(127.0.0.3:");
}

static void test_no_name(void **state)
{
    (void)state;
    char overlong[400];
    struct dial_target t = target("missing.example.com", false);
    assert_int_equal(dial(&t), FRUN_E_RESOLVE);
    expect_text("missing", "missing.example.com");
    expect_text("missing", "check the name and DNS");
    next_case();
    memset(overlong, 'a', sizeof(overlong) - 1);
    overlong[sizeof(overlong) - 1] = '\0';
    t.host = overlong;
    assert_int_equal(dial(&t), FRUN_E_RESOLVE);
    expect_text("long", "too long");
}

/* The first address takes the connection and says nothing: the second gets its turn in time. */
static void test_silent_first_address(void **state)
{
    (void)state;
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(silent, 4), 0);
    struct dial_target t = target("two.example.com", true);
    t.timeout_ms = 1200;
    assert_int_equal(dial(&t), FRUN_OK);
    next_case();
    /* Alone it is a timeout. */
    t = target("127.0.0.2", true);
    t.port = ntohs(in.sin_port);
    t.timeout_ms = 300;
    assert_int_equal(dial(&t), FRUN_E_TIMEOUT);
    expect_text("silent", "TLS handshake");
    close(silent);
}

static void test_slow_resolver(void **state)
{
    (void)state;
    pthread_mutex_lock(&gate);
    struct dial_target t = target("hang.example.com", false);
    t.timeout_ms = 200;
    assert_int_equal(dial(&t), FRUN_E_TIMEOUT);
    expect_text("resolver", "hang.example.com could not be resolved in time");
    pthread_mutex_unlock(&gate); /* the late answer finds nobody */
}

static void test_resolver_full(void **state)
{
    (void)state;
    struct dial *d[16];
    struct dial_target t = target("hang.example.com", false);
    size_t n = 0;
    frun_err err = FRUN_OK;
    pthread_mutex_lock(&gate);
    for (; n < 16; n++) {
        err = dial_start(w.l, pool, &t, on_dialled, &mine, &d[n]);
        if (err) {
            break;
        }
    }
    assert_int_equal(err, FRUN_E_LIMIT);
    assert_in_range(n, 8, 10);
    for (size_t i = 0; i < n; i++) {
        dial_cancel(d[i]);
    }
    pthread_mutex_unlock(&gate);
    world_turn(&w, 2);
    assert_false(is_done);
}

static void test_cancel(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "one.example.com", "two.example.com"};
    for (size_t i = 0; i < 3; i++) {
        for (int ticks = 0; ticks < 2; ticks++) {
            struct dial_target t = target(hosts[i], true);
            answer = "HTTP/1.1 200 OK\r\n"; /* the door says nothing useful: it waits for a head */
            struct dial *d = start(&t);
            if (ticks) {
                world_turn(&w, 1);
            }
            dial_cancel(d);
            world_turn(&w, 1);
            assert_false(is_done);
            next_case();
        }
    }
    dial_cancel(NULL);
}

/* ---- through a proxy ---- */

static void test_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *host;
        const char *user;
        const char *password;
        const char *asked;
    } rows[] = {
        {"no logon", "gateway.example.com", NULL, NULL,
         "CONNECT gateway.example.com:8444 HTTP/1.1\r\nHost: gateway.example.com:8444\r\n\r\n"},
        {"logon", "gateway.example.com", "svc", "open sesame",
         "CONNECT gateway.example.com:8444 HTTP/1.1\r\nHost: gateway.example.com:8444\r\n"
         "Proxy-Authorization: Basic c3ZjOm9wZW4gc2VzYW1l\r\n\r\n"},
        {"v6", "2001:db8::1", NULL, NULL,
         "CONNECT [2001:db8::1]:8444 HTTP/1.1\r\nHost: [2001:db8::1]:8444\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char proxy[64];
        struct secret *password = NULL;
        struct dial_target t = target(rows[i].host, true);
        (void)snprintf(proxy, sizeof(proxy), "http://one.example.com:%u%s", port, i ? "" : "/");
        answer = "HTTP/1.1 200 OK\r\n\r\n";
        t.port = 8444;
        t.proxy = proxy;
        t.proxy_user = rows[i].user;
        if (rows[i].password) {
            assert_int_equal(secret_new(span_of(rows[i].password), &password), FRUN_OK);
            t.proxy_password = password;
        }
        if (dial(&t)) {
            fail_msg("%s: %s", rows[i].label, why);
        }
        assert_string_equal(asked, rows[i].asked);
        talk();
        secret_free(password);
        next_case();
    }
}

static void test_proxy_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *answer;
        const char *user;
        frun_err want;
        const char *text;
    } rows[] = {
        {"407", "HTTP/1.1 407 Authentication Required\r\nContent-Length: 0\r\n\r\n", NULL,
         FRUN_E_PROXY, "set proxy_user and proxy_password"},
        {"407 again", "HTTP/1.1 407 Authentication Required\r\nContent-Length: 0\r\n\r\n", "svc",
         FRUN_E_PROXY, "check proxy_user and proxy_password"},
        {"403", "HTTP/1.0 403 Forbidden\r\n\r\n", NULL, FRUN_E_PROXY, "403 Forbidden"},
        {"502", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", NULL, FRUN_E_PROXY,
         "cannot reach the target"},
        {"redirect", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", NULL, FRUN_E_PROXY, "302"},
        {"not HTTP", "SSH-2.0-x\r\n\r\n", NULL, FRUN_E_PROXY, "no proper HTTP answer"},
        {"data at once", "HTTP/1.1 200 OK\r\n\r\nsurprise", NULL, FRUN_E_PROXY,
         "sent data of its own"},
        {"closes", "", NULL, FRUN_E_PROXY, "closed without an answer"},
        {"half", "HTTP/1.1 200", NULL, FRUN_E_TIMEOUT, "did not answer CONNECT in time"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char proxy[64];
        struct dial_target t = target("gateway.example.com", true);
        (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", port);
        answer = rows[i].answer;
        t.proxy = proxy;
        t.proxy_user = rows[i].user;
        t.timeout_ms = rows[i].want == FRUN_E_TIMEOUT ? 300 : 5000;
        frun_err err = dial(&t);
        if (err != rows[i].want) {
            fail_msg("%s: %d %s", rows[i].label, err, why);
        }
        expect_text(rows[i].label, rows[i].text);
        expect_text(rows[i].label, "proxy");
        next_case();
    }
}

static void test_proxy_endless(void **state)
{
    (void)state;
    char proxy[64];
    char *endless = malloc(40000);
    struct dial_target t = target("gateway.example.com", true);
    assert_non_null(endless);
    memset(endless, 'a', 39999);
    endless[39999] = '\0';
    memcpy(endless, "HTTP/1.1 200 OK\r\nX: ", 20);
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", port);
    answer = endless;
    t.proxy = proxy;
    assert_int_equal(dial(&t), FRUN_E_PROXY);
    free(endless);
}

static void test_proxy_unreachable(void **state)
{
    (void)state;
    char proxy[64];
    struct dial_target t = target("gateway.example.com", true);
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", closed_port());
    t.proxy = proxy;
    assert_int_equal(dial(&t), FRUN_E_CONNECT);
    expect_text("closed", "cannot connect to proxy 127.0.0.1:");
    next_case();
    static const char *const bad[] = {"proxy", "https://proxy.example.com:1", "http://:8080",
                                      "http://proxy.example.com", "http://p:1/path"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        t.proxy = bad[i];
        assert_int_equal(dial(&t), FRUN_E_PROXY);
        expect_text(bad[i], "not of the form http://host:port");
        next_case();
    }
    t.proxy = "http://missing.example.com:3128";
    assert_int_equal(dial(&t), FRUN_E_RESOLVE);
    expect_text("name", "the proxy's name missing.example.com");
}

/* ---- through SAP's SOCKS5 proxy ---- */

#define SAYS(t) (t), sizeof(t) - 1

/* What is said, octet for octet. Source: SAP BTP Connectivity, "Using the TCP Protocol for Cloud
 * Applications". */
static void test_socks(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        const char *host;
        const char *location;
        struct socks_step steps[4];
        const char *asked;
        size_t asked_len;
    } rows[] = {
        {"name and location",
         "frun-virtual",
         "DC1",
         {{3, SAYS("\x05\x80")},
          {3 + 18, SAYS("\x01\x00")},
          {3 + 18 + 19, SAYS("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")}},
         SAYS("\x05\x01\x80"
              "\x01\x00\x00\x00\x08h.e.y-_1\x04REMx"
              "\x05\x01\x00\x03\x0c"
              "frun-virtual\x20\xfc")},
        {"address, no location",
         "10.1.2.3",
         "",
         {{3, SAYS("\x05\x80")},
          {3 + 14, SAYS("\x01\x00")},
          {3 + 14 + 10, SAYS("\x05\x00\x00\x03\x04name\x20\xfc")}},
         SAYS("\x05\x01\x80"
              "\x01\x00\x00\x00\x08h.e.y-_1\x00"
              "\x05\x01\x00\x01\x0a\x01\x02\x03\x20\xfc")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int is_tls = 0; is_tls < 2; is_tls++) {
            char proxy[64];
            char token[] = "h.e.y-_1";
            struct dial_socks with = {span_of(token), span_of(rows[i].location)};
            struct dial_target t = target(rows[i].host, is_tls);
            (void)snprintf(proxy, sizeof(proxy), "one.example.com:%u", port);
            is_plain = !is_tls;
            socks = rows[i].steps;
            t.port = 8444;
            t.proxy = proxy;
            t.socks = &with;
            (void)start(&t);
            memset(token, 'x', sizeof(token)); /* it was the caller's, and is copied */
            with = (struct dial_socks){0};
            assert_true(world_until(&w, has_ended, NULL));
            if (result) {
                fail_msg("%s: %s", rows[i].label, why);
            }
            assert_int_equal(asked_len, rows[i].asked_len);
            assert_memory_equal(asked, rows[i].asked, asked_len);
            assert_int_equal(refusal, DIAL_REFUSAL_NONE);
            talk();
            next_case();
        }
    }
}

static void test_socks_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        struct socks_step steps[4];
        frun_err want;
        enum dial_refusal refusal;
        const char *text;
    } rows[] = {
        {"HTTP", {{3, SAYS("HTTP/1.1 400 X\r\n\r\n")}}, FRUN_E_PROXY, DIAL_REFUSAL_FORM, "20004"},
        {"token",
         {{3, SAYS("\x05\x80")}, {17, SAYS("\x01\x01")}},
         FRUN_E_PROXY,
         DIAL_REFUSAL_LOGON,
         "access token"},
        {"unreachable",
         {{3, SAYS("\x05\x80")}, {17, SAYS("\x01\x00")}, {18, SAYS("\x05\x04\x00")}},
         FRUN_E_PROXY,
         DIAL_REFUSAL_BACKEND,
         "cannot connect"},
        {"data at once",
         {{3, SAYS("\x05\x80\x01\x00")}},
         FRUN_E_PROXY,
         DIAL_REFUSAL_NONE,
         "data of its own"},
        {"hangs up",
         {{3, SAYS("\x05\x80")}, {17, NULL, 0}},
         FRUN_E_PROXY,
         DIAL_REFUSAL_NONE,
         "closed without an answer"},
        {"half",
         {{3, SAYS("\x05\x80")}, {17, SAYS("\x01")}, {9999, NULL, 0}},
         FRUN_E_TIMEOUT,
         DIAL_REFUSAL_NONE,
         "SOCKS5 proxy did not answer in time"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char proxy[64];
        const struct dial_socks with = {SPAN_LIT("h.e.y-_1"), {0}};
        struct dial_target t = target("frun-virtual", true);
        (void)snprintf(proxy, sizeof(proxy), "127.0.0.1:%u", port);
        socks = rows[i].steps;
        t.proxy = proxy;
        t.socks = &with;
        t.timeout_ms = rows[i].want == FRUN_E_TIMEOUT ? 300 : 5000;
        frun_err err = dial(&t);
        if (err != rows[i].want || refusal != rows[i].refusal) {
            fail_msg("%s: %d, %d, %s", rows[i].label, err, (int)refusal, why);
        }
        expect_text(rows[i].label, rows[i].text);
        assert_null(strstr(why, "h.e.y"));
        next_case();
    }
}

/* Every split in two, and one octet at a time. */
static void test_answer_splits(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n\r\n",
                                          "HTTP/1.1 403 No\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nX\r\n\r\n"};
    const struct dial_target t = {.host = "x", .port = 1, .proxy = "http://p:1"};
    for (size_t i = 0; i < 3; i++) {
        struct span all = span_of(answers[i]);
        char text[DIAL_WHY_BYTES];
        size_t scanned = 0;
        frun_err want = dial_proxy_answer(&t, all, &scanned, text);
        assert_int_equal(want, i ? FRUN_E_PROXY : FRUN_OK);
        for (size_t cut = 0; cut < all.n; cut++) {
            scanned = 0;
            assert_int_equal(dial_proxy_answer(&t, span_head(all, cut), &scanned, text),
                             FRUN_E_AGAIN);
            assert_int_equal(dial_proxy_answer(&t, all, &scanned, text), want);
        }
        scanned = 0;
        for (size_t n = 0; n < all.n; n++) {
            assert_int_equal(dial_proxy_answer(&t, span_head(all, n), &scanned, text),
                             FRUN_E_AGAIN);
        }
        assert_int_equal(dial_proxy_answer(&t, all, &scanned, text), want);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_direct),
        T(test_name_is_host),
        T(test_refused),
        T(test_no_name),
        T(test_silent_first_address),
        T(test_slow_resolver),
        T(test_resolver_full),
        T(test_cancel),
        T(test_proxy),
        T(test_proxy_refuses),
        T(test_proxy_endless),
        T(test_proxy_unreachable),
        T(test_socks),
        T(test_socks_refuses),
        cmocka_unit_test(test_answer_splits),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
