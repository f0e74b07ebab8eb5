/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

#include "frun/base/mono.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- a peer made by hand ---- */

#define PREFACE     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS_OK "\x00\x00\x00\x04\x01\x00\x00\x00\x00"
#define SETTINGS    "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

        if (w <= 0) {
            return;
        }
        p += w;
        n -= (size_t)w;
    }
}

/* A span as a constant initialiser. */
#define LIT(s)                                                                                     \
    {                                                                                              \
        (s), sizeof(s) - 1                                                                         \
    }

/* Did the other end close, after whatever it had to say? */
static bool is_at_end(int fd)
{
    char junk[4096];
    ssize_t n;

    while ((n = recv(fd, junk, sizeof(junk), 0)) > 0) {
    }
    return n == 0 || errno == ECONNRESET;
}

/* Let the session say its last word and close, then close too. */
static void wait_for_end(struct env *e, int fd)
{
    for (int i = 0; i < 100 && !is_at_end(fd); i++) {
        rig_settle(e, 50);
    }
    assert_true(is_at_end(fd));
    (void)close(fd);
}

static void test_hostile_clients(void **state)
{
    static const struct {
        const char *label;
        struct span input;
        frun_err want;
    } rows[] = {
        {"HTTP/1.1", LIT("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), FRUN_E_SYNTAX},
        {"no SETTINGS",
         LIT(PREFACE "\x00\x00\x08\x06\x00\x00\x00\x00\x00"
                     "12345678"),
         FRUN_E_SYNTAX},
        {"PUSH_PROMISE",
         LIT(PREFACE SETTINGS "\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82"),
         FRUN_E_SYNTAX},
        {"frame above the limit", LIT(PREFACE SETTINGS "\x10\x00\x00\x00\x00\x00\x00\x00\x01"),
         FRUN_E_SYNTAX},
        {"DATA on stream 0", LIT(PREFACE SETTINGS "\x00\x00\x01\x00\x00\x00\x00\x00\x00x"),
         FRUN_E_SYNTAX},
        {"even stream", LIT(PREFACE SETTINGS "\x00\x00\x01\x01\x05\x00\x00\x00\x02\x82"),
         FRUN_E_SYNTAX},
        {"broken HPACK", LIT(PREFACE SETTINGS "\x00\x00\x02\x01\x05\x00\x00\x00\x01\xff\xff"),
         FRUN_E_SYNTAX},
        {"window overflow",
         LIT(PREFACE SETTINGS "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff"),
         FRUN_E_SYNTAX},
        {"cut off", LIT(PREFACE "\x00\x00"), FRUN_E_EOF},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* Whole, and the first half together with the upgrade. */
        for (size_t cut = 0; cut <= rows[i].input.n; cut += rows[i].input.n / 2) {
            struct h2_settings set = rig_settings(false);
            struct env *e = rig_env_new();
            int fd[2];

            rig_tcp_pair(fd);
            rig_begin_side(e, &fd[1], &set, span_head(rows[i].input, cut));
            write_all(fd[0], rows[i].input.p + cut, rows[i].input.n - cut);
            if (rows[i].want == FRUN_E_EOF) {
                (void)shutdown(fd[0], SHUT_WR);
            }
            wait_for_end(e, fd[0]);
            rig_spin(e, rig_server_is_closed);
            if (e->server.err != rows[i].want) {
                fail_msg("%s: %d %s", rows[i].label, e->server.err, e->server.why);
            }
            assert_int_equal(e->n_srv, 0);
            rig_env_free(e);
        }
    }
}

/* Frames that cost nothing to send are bounded. */
static void test_floods(void **state)
{
    static const struct {
        const char *label;
        struct span frame;
    } rows[] = {
        {"PING", LIT("\x00\x00\x08\x06\x00\x00\x00\x00\x00"
                     "12345678")},
        {"SETTINGS", LIT(SETTINGS)},
        {"PRIORITY", LIT("\x00\x00\x05\x02\x00\x00\x00\x00\x03\x00\x00\x00\x01\x01")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct h2_settings set = rig_settings(false);
        struct env *e = rig_env_new();
        int fd[2];

        rig_tcp_pair(fd);
        rig_begin_side(e, &fd[1], &set, SPAN_LIT(PREFACE SETTINGS));
        for (int k = 0; k < 300; k++) {
            write_all(fd[0], rows[i].frame.p, rows[i].frame.n);
        }
        wait_for_end(e, fd[0]);
        rig_spin(e, rig_server_is_closed);
        if (e->server.err != FRUN_E_LIMIT) {
            fail_msg("%s: %d %s", rows[i].label, e->server.err, e->server.why);
        }
        rig_env_free(e);
    }
}

/* A path that is there but dead: the session ends in the time set, and says why. */
static void test_dead_peer(void **state)
{
    static const bool roles[] = {true, false};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct h2_settings set = rig_settings(roles[i]);
        struct env *e = rig_env_new();
        struct side *side = roles[i] ? &e->client : &e->server;
        uint64_t begin = mono_now_ms();
        struct cli *c = NULL;
        int fd[2];

        rig_tcp_pair(fd);
        set.ping_interval_ms = 200;
        set.ping_timeout_ms = 300;
        rig_begin_side(e, &fd[1], &set, roles[i] ? SPAN_LIT(SETTINGS) : SPAN_LIT(PREFACE SETTINGS));
        if (roles[i]) {
            c = rig_open_call(e, "POST", "/sink", 1000000);
        }
        rig_spin(e, roles[i] ? rig_client_is_closed : rig_server_is_closed);
        assert_int_equal(side->err, FRUN_E_TIMEOUT);
        assert_true(mono_now_ms() - begin >= 400);
        assert_true(mono_now_ms() - begin < 3000);
        if (c) {
            assert_true(c->is_failed);
            assert_int_equal(c->failure.err, FRUN_E_TIMEOUT);
            assert_false(c->failure.is_unprocessed);
        }
        (void)close(fd[0]);
        rig_env_free(e);
    }
}

/* Answers by hand to the one call of a client. */
static struct cli *one_answer(struct env *e, int fd[2], struct span answer_octets)
{
    struct h2_settings set = rig_settings(true);
    struct cli *c;

    rig_tcp_pair(fd);
    rig_begin_side(e, &fd[1], &set, (struct span){0});
    c = rig_open_call(e, "POST", "/x", 10);
    rig_settle(e, 200);
    write_all(fd[0], answer_octets.p, answer_octets.n);
    return c;
}

#define HD(len, type, flags, id) "\x00" len type flags "\x00\x00\x00" id

static void test_hostile_servers(void **state)
{
    static const struct {
        const char *label;
        struct span input;
        unsigned want_status; /* 0: the call fails */
        frun_err want_err;
        bool want_unprocessed;
        bool want_closed;
    } rows[] = {
        {"200", LIT(SETTINGS HD("\x00\x01", "\x01", "\x05", "\x01") "\x88"), 200, 0, false, false},
        {"1xx and trailers swallowed",
         LIT(SETTINGS HD("\x00\x05", "\x01", "\x04",
                         "\x01") "\x08\x03"
                                 "103" HD("\x00\x01", "\x01", "\x04", "\x01") "\x88" HD(
                                     "\x00\x05", "\x01", "\x05", "\x01") "\x00\x01"
                                                                         "a\x01"
                                                                         "b"),
         200, 0, false, false},
        {"push",
         LIT(SETTINGS SETTINGS_OK HD("\x00\x05", "\x05", "\x04", "\x01") "\x00\x00\x00\x02\x82"), 0,
         FRUN_E_SYNTAX, false, true},
        {"body longer than told",
         LIT(SETTINGS HD("\x00\x05", "\x01", "\x04", "\x01") "\x88\x0f\x0d\x01"
                                                             "1" HD("\x00\x02", "\x00", "\x01",
                                                                    "\x01") "xx"),
         0, FRUN_E_SYNTAX, false, false},
        {"no status",
         LIT(SETTINGS HD("\x00\x05", "\x01", "\x05", "\x01") "\x00\x01"
                                                             "a\x01"
                                                             "b"),
         0, FRUN_E_SYNTAX, false, false},
        {"connection field",
         LIT(SETTINGS HD("\x00\x13", "\x01", "\x05", "\x01") "\x88\x00\x0a"
                                                             "connection\x05"
                                                             "close"),
         0, FRUN_E_SYNTAX, false, false},
        {"upper case name",
         LIT(SETTINGS HD("\x00\x06", "\x01", "\x05", "\x01") "\x88\x00\x01"
                                                             "A\x01"
                                                             "b"),
         0, FRUN_E_SYNTAX, false, false},
        {"REFUSED_STREAM", LIT(SETTINGS HD("\x00\x04", "\x03", "\x00", "\x01") "\x00\x00\x00\x07"),
         0, FRUN_E_CLOSED, true, false},
        {"INTERNAL_ERROR", LIT(SETTINGS HD("\x00\x04", "\x03", "\x00", "\x01") "\x00\x00\x00\x02"),
         0, FRUN_E_CLOSED, false, false},
        {"GOAWAY below the call",
         LIT(SETTINGS HD("\x00\x08", "\x07", "\x00", "\x00") "\x00\x00\x00\x00\x00\x00\x00"
                                                             "\x00"),
         0, FRUN_E_CLOSED, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct env *e = rig_env_new();
        int fd[2];
        struct cli *c = one_answer(e, fd, rows[i].input);

        rig_spin(e, rig_all_done);
        if (c->is_ended != (rows[i].want_status != 0) ||
            (c->is_ended && c->status != rows[i].want_status) ||
            (c->is_failed && (c->failure.err != rows[i].want_err ||
                              c->failure.is_unprocessed != rows[i].want_unprocessed))) {
            fail_msg("%s: ended %d status %u err %d unprocessed %d (%s)", rows[i].label,
                     c->is_ended, c->status, c->failure.err, c->failure.is_unprocessed,
                     c->failure.text);
        }
        if (rows[i].want_closed) {
            rig_spin(e, rig_client_is_closed);
        }
        (void)close(fd[0]);
        if (!e->client.is_closed) {
            rig_spin(e, rig_client_is_closed);
        }
        rig_env_free(e);
    }
}

/* A head of an answer above the ceiling fails the call, not the tunnel. */
static void test_large_answer_head(void **state)
{
    struct env *e = rig_env_new();
    int fd[2];
    char out[16384];
    size_t n = 0;
    struct cli *c;

    (void)state;
    memcpy(out, SETTINGS, 9);
    /* 3000 fields of 1 + 1 octets count 34 each. */
    memcpy(out + 9, "\x00\x3a\x99\x01\x05\x00\x00\x00\x01\x88", 10);
    n = 19;
    for (int i = 0; i < 3000; i++) {
        if (n + 5 > sizeof(out)) {
            break;
        }
        memcpy(out + n, "\x00\x01\x61\x01\x62", 5);
        n += 5;
    }
    c = one_answer(e, fd, span_make(out, n));
    rig_spin(e, rig_all_done);
    assert_true(c->is_failed);
    assert_int_equal(c->failure.err, FRUN_E_LIMIT);
    assert_false(e->client.is_closed);
    (void)close(fd[0]);
    rig_env_free(e);
}

/* ---- octets changed by chance ---- */

/* An owner that takes whatever comes. */
struct easy {
    struct h2 *h;
    bool is_closed;
    unsigned n_calls;  /* under way */
    unsigned n_served; /* requests seen */
    unsigned n_heads;  /* of answers */
};

static size_t easy_body(void *owner, struct span data)
{
    (void)owner;
    return data.n - data.n / 3;
}

static void easy_body_end(void *owner)
{
    struct served *v = owner;
    struct head h = {.status = 200, .body = HEAD_BODY_CHUNKED};

    if (v->ops->send_head(v, &h) != FRUN_OK) {
        v->ops->abandon(v);
    } else {
        (void)v->ops->send_body(v, SPAN_LIT("ok"), true);
    }
}

static void easy_nothing(void *owner)
{
    (void)owner;
}

static void easy_gone(void *owner, frun_err err, const char *why)
{
    (void)owner;
    (void)err;
    (void)why;
}

static void easy_request(void *ctx, struct served *v, const struct head *h)
{
    static const struct served_events events = {
        .on_body = easy_body,
        .on_body_end = easy_body_end,
        .on_room = easy_nothing,
        .on_gone = easy_gone,
    };

    ((struct easy *)ctx)->n_served++;
    assert_true(h->method.n > 0 && h->target.n > 0 && h->authority.n > 0);
    assert_true(h->n_fields <= HEAD_MAX_FIELDS);
    v->ev = &events;
    v->owner = v;
    v->ops->accept_body(v);
    v->ops->resume(v);
}

static void easy_closed(void *ctx, frun_err err, const char *why)
{
    struct easy *x = ctx;

    (void)err;
    (void)why;
    x->is_closed = true;
    assert_int_equal(x->n_calls, 0);
}

static void easy_head(void *owner, const struct head *h)
{
    ((struct easy *)owner)->n_heads++;
    assert_in_range(h->status, 200, 599);
}

static void easy_end(void *owner)
{
    ((struct easy *)owner)->n_calls--;
}

static void easy_fail(void *owner, const struct call_failure *f)
{
    assert_true(f->text[0]);
    ((struct easy *)owner)->n_calls--;
}

static uint32_t next_chance(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

/* Returns how many requests or answers arrived. */
static unsigned run_changed(struct env *e, struct span octets, bool is_client)
{
    static const struct stream_events none = {0};
    static const struct h2_events events = {.on_request = easy_request, .on_closed = easy_closed};
    static const struct call_events calls = {
        .on_head = easy_head,
        .on_body = easy_body,
        .on_room = easy_nothing,
        .on_end = easy_end,
        .on_fail = easy_fail,
    };
    struct head head = {
        .method = SPAN_LIT("POST"),
        .target = SPAN_LIT("/"),
        .authority = SPAN_LIT("a"),
        .body = HEAD_BODY_CHUNKED,
    };
    struct h2_settings set = rig_settings(is_client);
    struct stream_settings ss = {.handshake_ms = 1000};
    struct easy x = {0};
    struct stream *s = NULL;
    struct call *c = NULL;
    int fd[2];

    rig_tcp_pair(fd);
    assert_int_equal(stream_new(e->loop, &fd[0], &ss, &none, NULL, &s), FRUN_OK);
    assert_int_equal(h2_new(&s, (struct span){0}, &set, &events, &x, &x.h), FRUN_OK);
    for (int i = 0; is_client && i < 3; i++) {
        assert_int_equal(h2_call(x.h, &head, &calls, &x, &c), FRUN_OK);
        x.n_calls++;
    }
    rig_turn(e, 2);
    write_all(fd[1], octets.p, octets.n);
    (void)shutdown(fd[1], SHUT_WR);
    rig_turn(e, 6);
    h2_free(x.h);
    assert_int_equal(x.n_calls, 0);
    (void)close(fd[1]);
    rig_turn(e, 2);
    return x.n_served + x.n_heads;
}

/* ---- what a sent field is marked as ---- */

static void on_any_fail(void *owner, const struct call_failure *f)
{
    (void)owner;
    (void)f;
}

static const struct call_events silent_events = {.on_fail = on_any_fail};

/* The field block of the first HEADERS frame that came. */
static struct span first_block(struct span in)
{
    while (in.n >= 9) {
        const unsigned char *p = (const unsigned char *)in.p;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        assert_true(in.n >= 9 + n);
        if (p[3] == NGHTTP2_HEADERS) {
            return span_make(in.p + 9, n);
        }
        in = span_skip(in, 9 + n);
    }
    fail_msg("no HEADERS frame");
    return (struct span){0};
}

/* "name value" of every field, those that no table may take with "!" before them. */
static void inflate(nghttp2_hd_inflater *inflater, struct span block, char *out, size_t max)
{
    int flags = 0;
    size_t len = 0;

    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv nv;
        ssize_t n =
            nghttp2_hd_inflate_hd2(inflater, &nv, &flags, (const uint8_t *)block.p, block.n, 1);

        assert_true(n >= 0);
        block = span_skip(block, (size_t)n);
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            len +=
                (size_t)snprintf(out + len, max - len, "%s%.*s %.*s|",
                                 nv.flags & NGHTTP2_NV_FLAG_NO_INDEX ? "!" : "", (int)nv.namelen,
                                 (const char *)nv.name, (int)nv.valuelen, (const char *)nv.value);
            assert_true(len < max);
        }
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

#define SENT_BEFORE                                                                                \
    ":method POST|:scheme https|:authority fr1|:path /x|!authorization Basic x|"                   \
    "x-admin-request-parameter fence|!cookie a=b|!x-csrf-token t|!mysapsso2 s|!sap-r3auth r|"      \
    "!set-cookie c|!proxy-authorization p|"
#define SENT_BEHIND                                                                                \
    "content-type application/json|x-forwarded-for 192.0.2.1|date today|"                          \
    "a-name-that-is-longer-than-any-of-the-list 1|"
static const char *const sent_lists[] = {
    SENT_BEFORE "x-request-id 4711|traceparent 00-1|tracestate v|x-correlation-id c0|" SENT_BEHIND,
    SENT_BEFORE
    "!x-request-id 4711|!traceparent 00-1|!tracestate v|!x-correlation-id c0|" SENT_BEHIND,
};

/* The first list lets names whose values are new each time into the table, the next ones use them.
 */
static void test_sent_fields(void **state)
{
    static const struct field fields[] = {
        {LIT("Authorization"), LIT("Basic x")},
        {LIT("X-Admin-Request-Parameter"), LIT("fence")},
        {LIT("Cookie"), LIT("a=b")},
        {LIT("X-CSRF-Token"), LIT("t")},
        {LIT("MYSAPSSO2"), LIT("s")},
        {LIT("sap-r3auth"), LIT("r")},
        {LIT("Set-Cookie"), LIT("c")},
        {LIT("Proxy-Authorization"), LIT("p")},
        {LIT("X-Request-ID"), LIT("4711")},
        {LIT("traceparent"), LIT("00-1")},
        {LIT("TraceState"), LIT("v")},
        {LIT("X-Correlation-ID"), LIT("c0")},
        {LIT("Content-Type"), LIT("application/json")},
        {LIT("X-Forwarded-For"), LIT("192.0.2.1")},
        {LIT("Date"), LIT("today")},
        {LIT("te"), LIT("trailers")},
        {LIT("Host"), LIT("h")},
        {LIT("Upgrade"), LIT("u")},
        {LIT("Trailer"), LIT("t")},
        {LIT("Keep-Alive"), LIT("k")},
        {LIT("Content-Length"), LIT("1")},
        {LIT("HTTP2-Settings"), LIT("s")},
        {LIT("Proxy-Connection"), LIT("p")},
        {LIT("Transfer-Encoding"), LIT("chunked")},
        {LIT("Connection"), LIT("x-mine")},
        {LIT("x-mine"), LIT("m")},
        {LIT("a-name-that-is-longer-than-any-of-the-list"), LIT("1")},
    };
    struct head h = {.method = SPAN_LIT("POST"),
                     .target = SPAN_LIT("/x"),
                     .authority = SPAN_LIT("fr1"),
                     .body = HEAD_BODY_CHUNKED};
    struct h2_settings set = rig_settings(true);
    struct env *e = rig_env_new();
    nghttp2_hd_inflater *inflater = NULL;
    size_t skipped = sizeof(PREFACE) - 1;
    char got[4096];
    int fd[2];

    (void)state;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_int_equal(head_add(&h, fields[i].name, fields[i].value), FRUN_OK);
    }
    rig_tcp_pair(fd);
    rig_begin_side(e, &fd[1], &set, (struct span){0});
    for (size_t i = 0; i < sizeof(sent_lists) / sizeof(sent_lists[0]); i++) {
        struct call *call = NULL;
        char text[2048];

        assert_int_equal(h2_call(e->client.h, &h, &silent_events, e, &call), FRUN_OK);
        rig_settle(e, 20);
        ssize_t n = recv(fd[0], got, sizeof(got), 0);
        assert_true(n > (ssize_t)skipped);
        struct span block = first_block(span_make(got + skipped, (size_t)n - skipped));
        inflate(inflater, block, text, sizeof(text));
        assert_string_equal(text, sent_lists[i]);
        assert_true(i == 0 || block.n < 100); /* names of secrets, values, and little else */
        call->ops->cancel(call);
        skipped = 0;
    }
    nghttp2_hd_inflate_del(inflater);
    (void)close(fd[0]);
    rig_spin(e, rig_client_is_closed);
    rig_env_free(e);
}

/* A body goes in frames as large as the peer takes, and whole. */
static void test_frame_size(void **state)
{
    static const struct {
        const char *label;
        struct span settings;
        size_t want;
    } rows[] = {
        {"as every peer", LIT(SETTINGS), 16384},
        {"as this one", LIT("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\xc3\x50"), 50000},
    };
    static char body[60000];
    static char got[80000];

    (void)state;
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = (char)('a' + i % 23);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct head h = {.method = SPAN_LIT("POST"),
                         .target = SPAN_LIT("/x"),
                         .authority = SPAN_LIT("fr1"),
                         .body = HEAD_BODY_CHUNKED};
        struct h2_settings set = rig_settings(true);
        struct env *e = rig_env_new();
        struct call *call = NULL;
        size_t have = 0;
        size_t longest = 0;
        size_t at = 0;
        int fd[2];

        set.max_frame_bytes = 65536;
        rig_tcp_pair(fd);
        rig_begin_side(e, &fd[1], &set, (struct span){0});
        write_all(fd[0], rows[i].settings.p, rows[i].settings.n);
        rig_settle(e, 20);
        assert_int_equal(h2_call(e->client.h, &h, &silent_events, e, &call), FRUN_OK);
        assert_int_equal(call->ops->send(call, span_make(body, sizeof(body)), true), sizeof(body));
        for (int turns = 0; turns < 20; turns++) {
            rig_settle(e, 5);
            ssize_t n = recv(fd[0], got + have, sizeof(got) - have, 0);
            have += n > 0 ? (size_t)n : 0;
        }
        struct span in = span_make(got + sizeof(PREFACE) - 1, have - (sizeof(PREFACE) - 1));
        while (in.n >= 9) {
            const unsigned char *p = (const unsigned char *)in.p;
            size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

            assert_true(in.n >= 9 + n);
            if (p[3] == NGHTTP2_DATA) {
                assert_true(at + n <= sizeof(body));
                assert_memory_equal(in.p + 9, body + at, n);
                at += n;
                longest = n > longest ? n : longest;
            }
            in = span_skip(in, 9 + n);
        }
        if (longest != rows[i].want || at != sizeof(body)) {
            fail_msg("%s: %zu octets, longest frame %zu", rows[i].label, at, longest);
        }
        call->ops->cancel(call);
        (void)close(fd[0]);
        rig_spin(e, rig_client_is_closed);
        rig_env_free(e);
    }
}

/* Whatever comes, nothing breaks, and each call is told its end exactly once. */
static void test_changed_octets(void **state)
{
    static const struct span good[] = {
        LIT(PREFACE SETTINGS HD("\x00\x0d", "\x01", "\x04",
                                "\x01") "\x83\x87\x84\x41\x01"
                                        "a\x00\x01"
                                        "b\x03"
                                        "ccc" HD("\x00\x03", "\x00", "\x01", "\x01") "xyz" HD(
                                            "\x00\x06", "\x01", "\x05",
                                            "\x03") "\x82\x87\x84\x41\x01"
                                                    "a" HD("\x00\x08", "\x06", "\x00",
                                                           "\x00") "12345678"),
        LIT(SETTINGS HD(
            "\x00\x05", "\x01", "\x04",
            "\x01") "\x88\x0f\x0d\x01"
                    "3" HD("\x00\x03", "\x00", "\x01", "\x01") "xyz" HD(
                        "\x00\x01", "\x01", "\x05",
                        "\x03") "\x89" HD("\x00\x04", "\x03", "\x00",
                                          "\x05") "\x00\x00\x00\x07" HD("\x00\x08", "\x07", "\x00",
                                                                        "\x00") "\x00\x00\x00\x03"
                                                                                "\x00\x00\x00\x00"),
    };
    struct env *e = rig_env_new();
    uint32_t chance = 4711;
    unsigned heads = 0;

    (void)state;
    for (unsigned round = 0; round < 600; round++) {
        bool is_client = round % 2 == 1;
        struct span from = good[is_client];
        char octets[512];
        size_t skip = is_client || round % 8 == 0 ? 0 : sizeof(PREFACE) - 1;

        assert_true(from.n <= sizeof(octets));
        memcpy(octets, from.p, from.n);
        for (unsigned k = round < 2 ? 0 : 1 + next_chance(&chance) % 4; k > 0; k--) {
            size_t at = skip + next_chance(&chance) % (from.n - skip);

            octets[at] = (char)((unsigned char)octets[at] ^ (1U << (next_chance(&chance) % 8)));
        }
        heads += run_changed(e, span_make(octets, from.n), is_client);
        assert_true(round != 1 || heads == 4);
    }
    /* Not everything was thrown away at the door. */
    assert_true(heads > 300);
    rig_env_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_clients),   cmocka_unit_test(test_floods),
        cmocka_unit_test(test_dead_peer),         cmocka_unit_test(test_hostile_servers),
        cmocka_unit_test(test_large_answer_head), cmocka_unit_test(test_changed_octets),
        cmocka_unit_test(test_sent_fields),       cmocka_unit_test(test_frame_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
