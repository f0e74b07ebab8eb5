/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_rig.h"

#include "frun/base/mono.h"

#include <errno.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_clients),   cmocka_unit_test(test_floods),
        cmocka_unit_test(test_dead_peer),         cmocka_unit_test(test_hostile_servers),
        cmocka_unit_test(test_large_answer_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
