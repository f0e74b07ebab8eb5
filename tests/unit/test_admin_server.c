/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/admin/server.h"

#include "../../src/admin/server_int.h"
#include "frun/admin/json.h"
#include "stream_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROOM ((size_t)8 << 20)

/* Our end of a connection, read whenever something comes. */
struct client {
    int fd;
    struct io io;
    char *got;
    size_t n;
    bool is_eof;
    bool is_idle; /* reads nothing */
};

static struct world w;
static struct admin_server *s;
static struct client c;
static struct admin_request *held;
static unsigned n_calls;
static char seen[256];

static void on_io(struct io *io, int what)
{
    struct client *x = list_entry(io, struct client, io);
    (void)what;
    ssize_t n = recv(x->fd, x->got + x->n, ROOM - x->n - 1, 0);
    if (n <= 0) {
        x->is_eof = n == 0 || errno != EAGAIN;
        io_close(io);
    } else {
        x->n += (size_t)n;
        x->got[x->n] = '\0';
    }
    world_look(&w);
}

static void client_open(struct client *x, bool may_read, bool may_write)
{
    struct admin_peer peer = {.may_read = may_read, .may_write = may_write, .name = "test"};
    struct addr from = {.len = sizeof(sa_family_t)};
    int fds[2];
    from.ss.ss_family = AF_UNIX;
    *x = (struct client){.got = calloc(1, ROOM)};
    assert_non_null(x->got);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    x->fd = fds[0];
    assert_int_equal(admin_server_take(s, &fds[1], &from, NULL, &peer), FRUN_OK);
    assert_int_equal(fds[1], -1);
    assert_int_equal(io_open(&x->io, w.l, x->fd, on_io), FRUN_OK);
    assert_int_equal(io_want(&x->io, IO_READ), FRUN_OK);
}

static void client_close(struct client *x)
{
    io_close(&x->io);
    if (x->fd >= 0) {
        (void)close(x->fd);
    }
    free(x->got);
    *x = (struct client){.fd = -1};
}

static void say(const struct client *x, const char *text)
{
    size_t n = strlen(text);
    assert_int_equal(send(x->fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

static bool is_at_end(void *arg)
{
    const struct client *x = arg;
    return x->is_eof;
}

static bool has_answers(void *arg)
{
    const struct client *x = arg;
    size_t n = 0;
    for (const char *at = x->got; (at = strstr(at, "\"n\":")) != NULL; at++) {
        n++;
    }
    return n == n_calls && n_calls > 0;
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void one_pass(void)
{
    assert_int_equal(loop_post(w.l, stop, w.l), FRUN_OK);
    loop_run(w.l);
}

static void all_gone(void)
{
    for (int i = 0; i < 100 && s->n_conns > 0; i++) {
        world_turn(&w, 1);
    }
    assert_int_equal(s->n_conns, 0);
}

static void on_echo(void *ctx, struct admin_request *r)
{
    struct buf out;
    struct span name = admin_request_param(r, 0);
    struct span q = admin_request_query(r, "q");
    struct span body = admin_request_body(r);
    assert_ptr_equal(ctx, &w);
    (void)snprintf(seen, sizeof(seen), "%.*s|%.*s|%.*s", SPAN_FMT(name), SPAN_FMT(q),
                   SPAN_FMT(span_head(body, body.n < 64 ? body.n : 64)));
    buf_init(&out, 1024);
    assert_int_equal(buf_printf(&out, "{\"n\":%u,\"body\":%zu}", ++n_calls, body.n), FRUN_OK);
    admin_request_answer(r, 200, "application/json", &out);
}

static void on_hold(void *ctx, struct admin_request *r)
{
    (void)ctx;
    held = r;
    loop_stop(w.l);
}

static void on_large(void *ctx, struct admin_request *r)
{
    struct buf out;
    char *at = NULL;
    (void)ctx;
    buf_init(&out, ROOM);
    assert_int_equal(buf_reserve(&out, ROOM / 2, &at), FRUN_OK);
    memset(at, 'x', ROOM / 2);
    buf_commit(&out, ROOM / 2);
    admin_request_answer(r, 200, "text/plain", &out);
}

static const struct admin_route routes[] = {
    {"GET", "/v1/things", false, on_echo},
    {"GET", "/v1/things/{name}", false, on_echo},
    {"POST", "/v1/things/{name}/check", true, on_echo},
    {"DELETE", "/v1/things/{name}", true, on_echo},
    {"GET", "/v1/hold", false, on_hold},
    {"GET", "/v1/large", false, on_large},
};

static int setup(void **state)
{
    (void)state;
    const struct admin_limits lim = {
        .idle_ms = 60000, .head_ms = 300, .body_ms = 300, .write_ms = 300};
    w = (struct world){0};
    n_calls = 0;
    held = NULL;
    c = (struct client){.fd = -1};
    seen[0] = '\0';
    assert_int_equal(loop_new(&w.l), FRUN_OK);
    assert_int_equal(admin_server_new(w.l, &lim, &s), FRUN_OK);
    assert_int_equal(admin_server_add(s, routes, sizeof(routes) / sizeof(routes[0]), &w), FRUN_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(&c);
    admin_server_free(s);
    s = NULL;
    loop_free(w.l);
    return 0;
}

struct row {
    const char *label;
    const char *text;
    const char *want;  /* begin of the answer */
    const char *heard; /* what the handler saw, or NULL: it was not called */
};

#define END "Host: x\r\nConnection: close\r\n\r\n"

static const struct row rows[] = {
    {"get", "GET /v1/things HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\n", "||"},
    {"head", "HEAD /v1/things HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\n", "||"},
    {"name", "GET /v1/things/ACME_PROD HTTP/1.1\r\n" END, "HTTP/1.1 200", "ACME_PROD||"},
    {"query", "GET /v1/things/a?p=1&q=b+c%2Fd HTTP/1.1\r\n" END, "HTTP/1.1 200", "a|b c/d|"},
    {"query without it", "GET /v1/things/a?qq=1 HTTP/1.1\r\n" END, "HTTP/1.1 200", "a||"},
    {"bad escape in the query", "GET /v1/things/a?q=%z1 HTTP/1.1\r\n" END, "HTTP/1.1 400", NULL},
    {"post", "POST /v1/things/a/check HTTP/1.1\r\nContent-Length: 2\r\n" END "{}", "HTTP/1.1 200",
     "a||{}"},
    {"chunks",
     "POST /v1/things/a/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END
     "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
     "HTTP/1.1 200", "a||{}"},
    {"bad chunks", "POST /v1/things/a/check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "x\r\n",
     "HTTP/1.1 400", NULL},
    {"both framings",
     "POST /v1/things/a/check HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n" END,
     "HTTP/1.1 400", NULL},
    {"delete", "DELETE /v1/things/a HTTP/1.1\r\n" END, "HTTP/1.1 200", "a||"},
    {"no such path", "GET /v1/other HTTP/1.1\r\n" END, "HTTP/1.1 404", NULL},
    {"path too long", "GET /v1/things/a/b/c HTTP/1.1\r\n" END, "HTTP/1.1 404", NULL},
    {"empty part", "GET /v1/things/ HTTP/1.1\r\n" END, "HTTP/1.1 404", NULL},
    {"method", "PUT /v1/things/a HTTP/1.1\r\nContent-Length: 0\r\n" END,
     "HTTP/1.1 405 Method Not Allowed\r\n", NULL},
    {"too large a body", "POST /v1/things/a/check HTTP/1.1\r\nContent-Length: 1048577\r\n" END,
     "HTTP/1.1 413", NULL},
    {"no host", "GET /v1/things HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 400", NULL},
    {"bare LF", "GET /v1/things HTTP/1.1\nHost: x\n\n", "HTTP/1.1 400", NULL},
    {"not HTTP", "\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400", NULL},
    {"dot segments", "GET /v1/../v1/things HTTP/1.1\r\n" END, "HTTP/1.1 400", NULL},
    {"HTTP/1.0", "GET /v1/things HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "||"},
};

static void check_row(const struct row *r, bool is_slow)
{
    n_calls = 0;
    seen[0] = '\0';
    client_open(&c, true, true);
    if (is_slow) {
        for (const char *at = r->text; *at; at++) {
            /* What a refused request still says may meet a closed door. */
            (void)!send(c.fd, at, 1, MSG_NOSIGNAL);
            if (at - r->text < 60) {
                one_pass();
            }
        }
    } else {
        say(&c, r->text);
    }
    if (!world_until(&w, is_at_end, &c) || strncmp(c.got, r->want, strlen(r->want)) != 0 ||
        (n_calls > 0) != (r->heard != NULL) || (r->heard && strcmp(seen, r->heard) != 0)) {
        fail_msg("%s: got \"%s\", heard \"%s\" (%u)", r->label, c.got, seen, n_calls);
    }
    client_close(&c);
}

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i], false);
        check_row(&rows[i], true);
    }
    all_gone();
}

static void test_rights(void **state)
{
    (void)state;
    client_open(&c, true, false);
    say(&c, "GET /v1/things HTTP/1.1\r\nHost: x\r\n\r\nDELETE /v1/things/a HTTP/1.1\r\n" END);
    assert_true(world_until(&w, is_at_end, &c));
    assert_non_null(strstr(c.got, "HTTP/1.1 200 OK"));
    assert_non_null(strstr(c.got, "HTTP/1.1 403 Forbidden"));
    assert_int_equal(n_calls, 1);
    client_close(&c);
    client_open(&c, false, false);
    say(&c, "GET /v1/things HTTP/1.1\r\n" END);
    assert_true(world_until(&w, is_at_end, &c));
    assert_non_null(strstr(c.got, "HTTP/1.1 403 Forbidden"));
    assert_int_equal(n_calls, 1);
}

static void test_keep_alive(void **state)
{
    (void)state;
    client_open(&c, true, true);
    n_calls = 0;
    for (int i = 0; i < 3; i++) {
        say(&c, "GET /v1/things/a HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    while (n_calls < 3 || !has_answers(&c)) {
        assert_true(world_until(&w, has_answers, &c));
    }
    assert_false(c.is_eof);
    assert_int_equal(s->n_conns, 1);
}

static void test_time_outs(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "GET /v1/things HTTP/1.1\r\nHo",
        "POST /v1/things/a/check HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"};
    for (size_t i = 0; i < 2; i++) {
        client_open(&c, true, true);
        say(&c, parts[i]);
        assert_true(world_until(&w, is_at_end, &c));
        assert_memory_equal(c.got, "HTTP/1.1 408", 12);
        client_close(&c);
    }
}

/* Nobody reads the answer: the connection goes away, the server goes on. */
static void test_slow_reader(void **state)
{
    (void)state;
    client_open(&c, true, true);
    io_close(&c.io);
    say(&c, "GET /v1/large HTTP/1.1\r\n" END);
    all_gone();
}

static void test_large_answer(void **state)
{
    (void)state;
    client_open(&c, true, true);
    say(&c, "GET /v1/large HTTP/1.1\r\n" END);
    assert_true(world_until(&w, is_at_end, &c));
    assert_true(c.n > ROOM / 2);
    assert_int_equal(c.got[c.n - 1], 'x');
}

static bool is_held(void *arg)
{
    (void)arg;
    return held != NULL;
}

static void hold(void)
{
    client_open(&c, true, true);
    say(&c, "GET /v1/hold HTTP/1.1\r\n" END);
    while (!held) {
        assert_true(world_until(&w, is_held, NULL));
    }
}

static void test_later(void **state)
{
    (void)state;
    hold();
    world_turn(&w, 5); /* time-outs of the request itself do not matter any more */
    assert_false(admin_request_is_gone(held));
    admin_request_fail(held, 503, "not %s", "now");
    assert_true(world_until(&w, is_at_end, &c));
    assert_memory_equal(c.got, "HTTP/1.1 503", 12);
    assert_non_null(strstr(c.got, "\"detail\":\"not now\""));
}

static bool is_gone(void *arg)
{
    (void)arg;
    return admin_request_is_gone(held);
}

static void test_later_into_nothing(void **state)
{
    struct buf body;
    (void)state;
    hold();
    client_close(&c);
    assert_true(world_until(&w, is_gone, NULL));
    buf_init(&body, 100);
    assert_int_equal(buf_put(&body, SPAN_LIT("{}")), FRUN_OK);
    admin_request_answer(held, 200, "application/json", &body);
    assert_int_equal(buf_len(&body), 0);
    held = NULL;
    hold();
    admin_server_free(s);
    s = NULL;
    assert_true(admin_request_is_gone(held));
    admin_request_fail(held, 500, "too late");
}

static void test_stream(void **state)
{
    (void)state;
    hold();
    admin_request_begin(held, "text/event-stream");
    assert_int_equal(admin_request_send(held, SPAN_LIT("data: 1\n\n")), FRUN_OK);
    world_turn(&w, 5);
    assert_int_equal(admin_request_send(held, SPAN_LIT("data: 2\n\n")), FRUN_OK);
    admin_request_end(held);
    assert_true(world_until(&w, is_at_end, &c));
    assert_non_null(strstr(c.got, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(c.got, "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
}

static void test_stream_nobody_reads(void **state)
{
    static char part[8192];
    frun_err err = FRUN_OK;
    (void)state;
    hold();
    io_close(&c.io);
    admin_request_begin(held, "text/event-stream");
    for (int i = 0; i < 1000 && !err; i++) {
        err = admin_request_send(held, span_make(part, sizeof(part)));
        if (i % 4 == 0) {
            one_pass();
        }
    }
    assert_int_equal(err, FRUN_E_CLOSED);
    assert_true(admin_request_is_gone(held));
    admin_request_end(held);
    assert_int_equal(s->n_conns, 0);
}

/* -- a gate, questions from within */

static unsigned gate_says;
static bool is_gate_closed;

static unsigned gate_look(void *ctx, struct admin_request *r, const char **why)
{
    assert_ptr_equal(ctx, &w);
    assert_non_null(admin_request_head(r));
    *why = "the gate says no";
    return gate_says;
}

static void gate_verify(void *ctx, struct admin_request *r)
{
    assert_ptr_equal(ctx, &w);
    if (is_gate_closed) {
        held = r;
        loop_stop(w.l);
    } else {
        admin_request_admit(r, "somebody");
    }
}

static const struct admin_field gate_fields[] = {{"X-Frame-Options", "DENY"},
                                                 {"X-Content-Type-Options", "nosniff"}};
static const struct admin_gate test_gate = {.look = gate_look,
                                            .verify = gate_verify,
                                            .fields = gate_fields,
                                            .n_fields = 2,
                                            .challenge = "Basic realm=\"x\""};

static void client_come(struct client *x)
{
    struct admin_peer peer = {
        .may_read = true, .may_write = true, .name = "test", .gate = &test_gate, .gate_ctx = &w};
    struct addr from = {.len = sizeof(sa_family_t)};
    int fds[2];
    from.ss.ss_family = AF_UNIX;
    *x = (struct client){.got = calloc(1, ROOM)};
    assert_non_null(x->got);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    x->fd = fds[0];
    assert_int_equal(admin_server_take(s, &fds[1], &from, NULL, &peer), FRUN_OK);
    assert_int_equal(io_open(&x->io, w.l, x->fd, on_io), FRUN_OK);
    assert_int_equal(io_want(&x->io, IO_READ), FRUN_OK);
}

static void test_gate_lets_through(void **state)
{
    (void)state;
    gate_says = 0;
    is_gate_closed = false;
    client_come(&c);
    say(&c, "GET /v1/things/a HTTP/1.1\r\n" END);
    assert_true(world_until(&w, is_at_end, &c));
    assert_memory_equal(c.got, "HTTP/1.1 200", 12);
    assert_non_null(strstr(c.got, "X-Frame-Options: DENY\r\n"));
    /* once, although the server has it too */
    const char *first = strstr(c.got, "X-Content-Type-Options");
    assert_non_null(first);
    assert_null(strstr(first + 1, "X-Content-Type-Options"));
    assert_int_equal(n_calls, 1);
}

static void test_gate_refuses(void **state)
{
    (void)state;
    gate_says = 401;
    client_come(&c);
    say(&c, "POST /v1/things/a/check HTTP/1.1\r\nContent-Length: 100000\r\n" END);
    assert_true(world_until(&w, is_at_end, &c));
    assert_memory_equal(c.got, "HTTP/1.1 401", 12);
    assert_non_null(strstr(c.got, "WWW-Authenticate: Basic realm=\"x\"\r\n"));
    assert_non_null(strstr(c.got, "X-Frame-Options: DENY\r\n"));
    assert_non_null(strstr(c.got, "the gate says no"));
    assert_int_equal(n_calls, 0);
}

/* Whoever has gone while it was looked who he is changes nothing any more. */
static void test_gate_gone_meanwhile(void **state)
{
    (void)state;
    gate_says = 0;
    is_gate_closed = true;
    client_come(&c);
    say(&c, "POST /v1/things/a/check HTTP/1.1\r\n" END);
    loop_run(w.l);
    assert_non_null(held);
    admin_server_free(s);
    s = NULL;
    assert_true(admin_request_is_gone(held));
    admin_request_admit(held, "somebody");
    assert_int_equal(n_calls, 0);
}

static unsigned heard_status;
static char heard_text[128];

static void on_heard(void *ctx, unsigned status, struct span body)
{
    assert_ptr_equal(ctx, &heard_status);
    heard_status = status;
    (void)snprintf(heard_text, sizeof(heard_text), "%.*s", SPAN_FMT(body));
}

static void test_ask(void **state)
{
    (void)state;
    assert_int_equal(admin_server_ask(s, "/v1/things/a", on_heard, &heard_status), FRUN_OK);
    assert_int_equal(heard_status, 200);
    assert_string_equal(heard_text, "{\"n\":1,\"body\":0}");
    assert_int_equal(admin_server_ask(s, "/v1/nowhere", on_heard, &heard_status), FRUN_E_NOT_FOUND);
    assert_int_equal(admin_server_ask(s, "/v1/things/a/check", on_heard, &heard_status),
                     FRUN_E_NOT_FOUND); /* it is a POST */
}

/* An answer that comes behind the server's end is told to nobody. */
static void test_ask_too_late(void **state)
{
    struct buf out;
    (void)state;
    heard_status = 0;
    assert_int_equal(admin_server_ask(s, "/v1/hold", on_heard, &heard_status), FRUN_OK);
    assert_non_null(held);
    assert_false(admin_request_is_gone(held));
    admin_server_free(s);
    s = NULL;
    assert_true(admin_request_is_gone(held));
    buf_init(&out, 16);
    assert_int_equal(buf_put(&out, SPAN_LIT("late")), FRUN_OK);
    admin_request_answer(held, 200, "text/plain", &out);
    assert_int_equal(heard_status, 0);
}

static void test_many(void **state)
{
    struct addr from = {.len = sizeof(sa_family_t)};
    struct admin_peer peer = {.may_read = true};
    int ours[ADMIN_MAX_CONNECTIONS + 1];
    (void)state;
    from.ss.ss_family = AF_UNIX;
    for (size_t i = 0; i <= ADMIN_MAX_CONNECTIONS; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                         0);
        ours[i] = fds[0];
        frun_err err = admin_server_take(s, &fds[1], &from, NULL, &peer);
        assert_int_equal(err, i < ADMIN_MAX_CONNECTIONS ? FRUN_OK : FRUN_E_LIMIT);
        if (err) {
            (void)close(fds[1]);
        }
    }
    for (size_t i = 0; i <= ADMIN_MAX_CONNECTIONS; i++) {
        (void)close(ours[i]);
    }
    all_gone();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_outs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_into_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_nobody_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gate_lets_through, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gate_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gate_gone_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_too_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
