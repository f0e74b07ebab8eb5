/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream_client.h"

#include "tls_fixture.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- answers ---- */

struct answer_row {
    const char *label;
    struct step script[8];
    const char *method;
    frun_err err; /* FRUN_OK: on_end */
    unsigned status;
    const char *body;
    size_t idle; /* connections kept afterwards */
};

static const struct answer_row answers[] = {
    {"length",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 5\r\n\r\nhello")},
     "GET",
     0,
     200,
     "hello",
     1},
    {"length 0", {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 0\r\n\r\n")}, "GET", 0, 200, "", 1},
    {"chunks with extension and trailer",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n"
                             "0\r\nX-Sum: 1\r\n\r\n")},
     "GET",
     0,
     200,
     "hello world",
     1},
    {"until close", {WAIT_HEAD, SAY(OK_HEAD "\r\nhello"), END}, "GET", 0, 200, "hello", 0},
    {"HEAD", {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 100\r\n\r\n")}, "HEAD", 0, 200, "", 1},
    {"HEAD of chunks",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n")},
     "HEAD",
     0,
     200,
     "",
     1},
    {"204", {WAIT_HEAD, SAY("HTTP/1.1 204 No Content\r\n\r\n")}, "GET", 0, 204, "", 1},
    {"304",
     {WAIT_HEAD, SAY("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")},
     "GET",
     0,
     304,
     "",
     1},
    {"interim answers are swallowed",
     {WAIT_HEAD, SAY("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
      SAY(OK_HEAD "Content-Length: 2\r\n\r\nok")},
     "GET",
     0,
     200,
     "ok",
     1},
    {"too many interim answers",
     {WAIT_HEAD,
      SAY("HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\n"
          "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\n"
          "HTTP/1.1 100 A\r\n\r\n")},
     "GET",
     FRUN_E_LIMIT,
     0,
     "",
     0},
    {"switched protocols",
     {WAIT_HEAD, SAY("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
                     "\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"Connection: close is obeyed",
     {WAIT_HEAD, SAY(OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nok")},
     "GET",
     0,
     200,
     "ok",
     0},
    {"HTTP/1.0 is not kept",
     {WAIT_HEAD, SAY("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")},
     "GET",
     0,
     200,
     "ok",
     0},
    {"octets behind the answer",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")},
     "GET",
     0,
     200,
     "ok",
     0},
    {"a second answer behind the first",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 2\r\n\r\nok" OK_HEAD "Content-Length: 0\r\n\r\n")},
     "GET",
     0,
     200,
     "ok",
     0},
    {"body behind an answer to HEAD",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 2\r\n\r\nok")},
     "HEAD",
     0,
     200,
     "",
     0},
    {"length and chunks",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"two lengths",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"the same length twice",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"list of lengths",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 5, 5\r\n\r\nhello")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"signed length",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: +5\r\n\r\nhello")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"other transfer coding",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"bare LF",
     {WAIT_HEAD, SAY("HTTP/1.1 200 OK\nContent-Length: 0\n\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"bare CR",
     {WAIT_HEAD, SAY(OK_HEAD "X: a\rb\r\nContent-Length: 0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"NUL",
     {WAIT_HEAD, SAY(OK_HEAD "X: a\0b\r\nContent-Length: 0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"blank before the colon",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length : 0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"folded line",
     {WAIT_HEAD, SAY(OK_HEAD "X: a\r\n b\r\nContent-Length: 0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     0,
     "",
     0},
    {"not HTTP", {WAIT_HEAD, SAY("SSH-2.0-OpenSSH_9.2\r\n\r\n")}, "GET", FRUN_E_SYNTAX, 0, "", 0},
    {"bad chunk size",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     200,
     "hello",
     0},
    {"bare LF behind a chunk",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n")},
     "GET",
     FRUN_E_SYNTAX,
     200,
     "hello",
     0},
    {"chunk size above everything",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n")},
     "GET",
     FRUN_E_LIMIT,
     200,
     "",
     0},
    {"end before the answer", {WAIT_HEAD, END}, "GET", FRUN_E_CLOSED, 0, "", 0},
    {"end within the head",
     {WAIT_HEAD, SAY(OK_HEAD "Content-"), END},
     "GET",
     FRUN_E_CLOSED,
     0,
     "",
     0},
    {"end within the body",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 9\r\n\r\nhello"), END},
     "GET",
     FRUN_E_CLOSED,
     200,
     "hello",
     0},
    {"end within a chunk",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n9\r\nhello"), END},
     "GET",
     FRUN_E_CLOSED,
     200,
     "hello",
     0},
    {"end before the last chunk",
     {WAIT_HEAD, SAY(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), END},
     "GET",
     FRUN_E_CLOSED,
     200,
     "hello",
     0},
    {"reset within the body",
     {WAIT_HEAD, SAY(OK_HEAD "Content-Length: 9\r\n\r\nhello"), RESET},
     "GET",
     FRUN_E_CLOSED,
     200,
     NULL,
     0},
    {"reset of an answer until close",
     {WAIT_HEAD, SAY(OK_HEAD "\r\nhello"), RESET},
     "GET",
     FRUN_E_CLOSED,
     200,
     NULL,
     0},
};

static void check_answer(const struct answer_row *row, const struct client *k, const char *how)
{
    bool is_right = k->ends == (row->err ? 0 : 1) && k->fails == (row->err ? 1 : 0) &&
                    (!row->body || strcmp(k->text, row->body) == 0) &&
                    (k->status == row->status || (!row->body && k->status == 0));
    if (row->err && is_right) {
        is_right = k->failure.err == row->err && !k->failure.is_stale && !k->failure.is_unprocessed;
    }
    if (!is_right || (row->idle > 0 && upstream_idle(k->r->u) != row->idle)) {
        fail_msg("%s, %s: status %u, body \"%s\", ends %u, fails %u, error %d (%s), stale %d, "
                 "unprocessed %d, idle %zu",
                 row->label, how, k->status, k->text, k->ends, k->fails, k->failure.err,
                 k->failure.text, k->failure.is_stale, k->failure.is_unprocessed,
                 upstream_idle(k->r->u));
    }
}

static void run_answers(bool is_dripping, size_t take_max, struct tls_ctx *server,
                        struct tls_ctx *client, const char *how)
{
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct rig r;
        struct client k = {.method = answers[i].method, .take_max = take_max};
        rig_init(&r, answers[i].script);
        r.is_dripping = is_dripping;
        r.server_tls = server;
        r.set.target.tls = client;
        rig_open(&r);
        client_run(&k, &r);
        check_answer(&answers[i], &k, how);
        /* What is not kept is closed: the origin sees it. */
        if (answers[i].idle == 0 &&
            (!rig_until(&r, is_no_connection_open, &r) || upstream_idle(r.u) > 0)) {
            fail_msg("%s, %s: connection left open", answers[i].label, how);
        }
        rig_done(&r);
    }
}

static void test_answers(void **state)
{
    (void)state;
    run_answers(false, 0, NULL, NULL, "at once");
    run_answers(false, 1, NULL, NULL, "taken octet by octet");
}

static void test_answers_dripping(void **state)
{
    (void)state;
    run_answers(true, 0, NULL, NULL, "octet by octet");
}

/* ---- TLS ---- */

struct pki {
    struct tls_fixture f;
    struct tls_ctx *server;
    struct tls_ctx *client;
};

static void pki_init(struct pki *p)
{
    struct diag d;
    fixture_init(&p->f);
    const struct tls_settings server = {.certificate = fixture_path(&p->f, "server.pem"),
                                        .private_key = fixture_path(&p->f, "server.key")};
    const struct tls_settings client = {.ca_file = fixture_path(&p->f, "ca.pem")};
    assert_int_equal(tls_server_new(&server, &p->server, &d), FRUN_OK);
    assert_int_equal(tls_client_new(&client, &p->client, &d), FRUN_OK);
}

static void pki_done(struct pki *p)
{
    tls_unref(&p->server);
    tls_unref(&p->client);
    fixture_done(&p->f);
}

static void test_answers_tls(void **state)
{
    struct pki p;
    (void)state;
    pki_init(&p);
    run_answers(false, 0, p.server, p.client, "TLS");
    run_answers(true, 0, p.server, p.client, "TLS, octet by octet");
    pki_done(&p);
}

/* An end without close_notify may be an attacker's: the answer is not complete. */
static void test_tls_truncation(void **state)
{
    static const struct step script[] = {WAIT_HEAD, SAY(OK_HEAD "\r\nhello"), CUT};
    struct pki p;
    struct rig r;
    struct client k = {0};
    (void)state;
    pki_init(&p);
    rig_init(&r, script);
    r.server_tls = p.server;
    r.set.target.tls = p.client;
    rig_open(&r);
    client_run(&k, &r);
    assert_int_equal(k.fails, 1);
    assert_int_equal(k.failure.err, FRUN_E_CLOSED);
    assert_string_equal(k.text, "hello");
    rig_done(&r);
    pki_done(&p);
}

static void test_tls_wrong_name(void **state)
{
    static const struct step script[] = {{0}};
    struct pki p;
    struct rig r;
    struct client k = {.framing = HEAD_BODY_CHUNKED, .body = "secret"};
    (void)state;
    pki_init(&p);
    rig_init(&r, script);
    r.server_tls = p.server;
    r.set.target.tls = p.client;
    r.set.target.server_name = "other.example.com";
    rig_open(&r);
    client_run(&k, &r);
    assert_int_equal(k.failure.err, FRUN_E_TLS);
    assert_true(k.failure.is_unprocessed);
    assert_false(k.failure.is_stale);
    assert_non_null(strstr(k.failure.text, "other.example.com"));
    rig_done(&r);
    pki_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_answers_dripping),
        cmocka_unit_test(test_answers_tls),    cmocka_unit_test(test_tls_truncation),
        cmocka_unit_test(test_tls_wrong_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
