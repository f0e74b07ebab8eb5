/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROW(label, text, want)                                                                     \
    {                                                                                              \
        label, {text, sizeof(text) - 1}, want                                                      \
    }
#define H "Host: a\r\n"

struct row {
    const char *label;
    struct span in;
    unsigned want; /* 0: accepted, else the status of the fault */
};

static const struct head_limits limits = {32768, 8192, 100};

/* Cut and parse as a connection does; 0 or the status of the refusal, 1: waits for more. */
static unsigned take_at(struct span in, size_t split, size_t step, struct head *out)
{
    struct head_fault fault = {0, NULL};
    size_t scanned = 0;
    size_t len = 0;
    frun_err err = FRUN_E_AGAIN;

    for (size_t n = split; err == FRUN_E_AGAIN; n = n + step < in.n ? n + step : in.n) {
        err = head_cut(span_head(in, n), &limits, &scanned, &len, &fault);
        if (n == in.n) {
            break;
        }
    }
    if (err == FRUN_E_AGAIN) {
        return 1;
    }
    if (!err) {
        err = head_parse_request(span_head(in, len), &limits, out, &fault);
    }
    if (err) {
        assert_non_null(fault.why);
        assert_true(fault.status >= 400);
    }
    return err ? fault.status : 0;
}

static unsigned take(struct span in, struct head *out)
{
    /* A copy of just this size: a sanitizer sees the first octet read behind it. */
    static char *copy;

    free(copy);
    copy = malloc(in.n + 1);
    assert_non_null(copy);
    memcpy(copy, in.p, in.n);
    return take_at(span_make(copy, in.n), in.n, in.n, out);
}

static void check(const struct row *row)
{
    static struct head h;
    unsigned got = take(row->in, &h);

    if (got != row->want) {
        fail_msg("%s: %u, wanted %u", row->label, got, row->want);
    }
    for (size_t i = 0; i <= row->in.n; i++) {
        got = take_at(row->in, i, row->in.n, &h);
        if (got != row->want) {
            fail_msg("%s: split at %zu: %u, wanted %u", row->label, i, got, row->want);
        }
    }
    got = take_at(row->in, 0, 1, &h);
    if (got != row->want) {
        fail_msg("%s: octet by octet: %u, wanted %u", row->label, got, row->want);
    }
}

static const struct row request_rows[] = {
    ROW("plain", "GET / HTTP/1.1\r\n" H "\r\n", 0),
    ROW("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0),
    ROW("empty line in front", "\r\nGET / HTTP/1.1\r\n" H "\r\n", 0),
    ROW("two empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400),
    ROW("LF in front", "\nGET / HTTP/1.1\r\n" H "\r\n", 400),
    ROW("not complete", "GET / HTTP/1.1\r\n" H "\r", 1),
    ROW("nothing", "", 1),
    ROW("body behind is not looked at", "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n\n\0", 0),
    /* the request line */
    ROW("two blanks", "GET  / HTTP/1.1\r\n" H "\r\n", 400),
    ROW("two blanks before version", "GET /  HTTP/1.1\r\n" H "\r\n", 400),
    ROW("blank behind version", "GET / HTTP/1.1 \r\n" H "\r\n", 400),
    ROW("blank in front", " GET / HTTP/1.1\r\n" H "\r\n", 400),
    ROW("tab for blank", "GET\t/ HTTP/1.1\r\n" H "\r\n", 400),
    ROW("no version", "GET /\r\n" H "\r\n", 400),
    ROW("no method", "/ HTTP/1.1\r\n" H "\r\n", 400),
    ROW("method not a token", "GE(T / HTTP/1.1\r\n" H "\r\n", 400),
    ROW("method of 32", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\n" H "\r\n", 0),
    ROW("method of 33", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n", 400),
    ROW("target not ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 400),
    ROW("target with fragment", "GET /#a HTTP/1.1\r\n" H "\r\n", 400),
    ROW("CONNECT", "CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 501),
    ROW("HTTP/2.0", "GET / HTTP/2.0\r\n" H "\r\n", 505),
    ROW("HTTP/1.2", "GET / HTTP/1.2\r\n" H "\r\n", 505),
    ROW("HTTP/0.9", "GET / HTTP/0.9\r\n" H "\r\n", 505),
    ROW("http/1.1", "GET / http/1.1\r\n" H "\r\n", 400),
    ROW("HTTP/1.10", "GET / HTTP/1.10\r\n" H "\r\n", 400),
    ROW("HTTP/1", "GET / HTTP/1\r\n" H "\r\n", 400),
    /* field lines */
    ROW("blank before colon", "GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", 400),
    ROW("blank before colon of TE", "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n",
        400),
    ROW("tab before colon", "GET / HTTP/1.1\r\n" H "A\t: b\r\n\r\n", 400),
    ROW("folded line", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", 400),
    ROW("folded line with tab", "GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", 400),
    ROW("folded first line", "GET / HTTP/1.1\r\n " H "\r\n", 400),
    ROW("bare LF", "GET / HTTP/1.1\r\n" H "A: b\n\r\n", 400),
    ROW("bare LF in request line", "GET / HTTP/1.1\n" H "\r\n", 400),
    ROW("bare LF for empty line", "GET / HTTP/1.1\r\n" H "\n", 400),
    ROW("bare CR in value", "GET / HTTP/1.1\r\n" H "A: b\rc\r\n\r\n", 400),
    ROW("CR CR LF", "GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n", 400),
    ROW("bare CR in name", "GET / HTTP/1.1\r\n" H "A\rB: b\r\n\r\n", 400),
    ROW("NUL in value", "GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n", 400),
    ROW("NUL in name", "GET / HTTP/1.1\r\n" H "A\0: b\r\n\r\n", 400),
    ROW("NUL in target", "GET /\0 HTTP/1.1\r\n" H "\r\n", 400),
    ROW("control in value", "GET / HTTP/1.1\r\n" H "A: b\x01\r\n\r\n", 400),
    ROW("DEL in value", "GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", 400),
    ROW("tab inside value", "GET / HTTP/1.1\r\n" H "A: b\tc\r\n\r\n", 0),
    ROW("octets above ASCII in value", "GET / HTTP/1.1\r\n" H "A: \xe4\xff\r\n\r\n", 0),
    ROW("octets above ASCII in name", "GET / HTTP/1.1\r\n" H "\xe4: b\r\n\r\n", 400),
    ROW("empty name", "GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400),
    ROW("no colon", "GET / HTTP/1.1\r\n" H "A\r\n\r\n", 400),
    ROW("empty value", "GET / HTTP/1.1\r\n" H "A:\r\n\r\n", 0),
    ROW("value of blanks", "GET / HTTP/1.1\r\n" H "A: \t \r\n\r\n", 0),
    /* Host */
    ROW("no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
    ROW("two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", 400),
    ROW("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" H "HOST: b\r\n\r\n", 400),
    ROW("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ROW("Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ROW("Host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ROW("Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ROW("Host with bad port", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", 400),
    ROW("Host with port and underscore", "GET / HTTP/1.1\r\nHost: fr1_frun:443\r\n\r\n", 0),
    ROW("Host IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n", 0),
    /* framing */
    ROW("length", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", 0),
    ROW("length with zeros in front", "POST / HTTP/1.1\r\n" H "Content-Length: 05\r\n\r\n", 0),
    ROW("length signed", "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400),
    ROW("length negative", "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", 400),
    ROW("length hexadecimal", "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400),
    ROW("length empty", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400),
    ROW("length with blank", "POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", 400),
    ROW("length list", "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400),
    ROW("length list without blank", "POST / HTTP/1.1\r\n" H "Content-Length: 5,5\r\n\r\n", 400),
    ROW("length twice, same",
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    ROW("length twice, other",
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", 400),
    ROW("length of 2^63-1", "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n",
        0),
    ROW("length of 2^63", "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n",
        400),
    ROW("length of 2^64", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n",
        400),
    ROW("length of 2^64+5", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\n",
        400),
    ROW("chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0),
    ROW("Chunked ", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked \r\n\r\n", 0),
    ROW("CL and TE",
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ROW("TE and CL",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400),
    ROW("chunked twice in a list",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 501),
    ROW("chunked twice",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        400),
    ROW("gzip, chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ROW("chunked, gzip", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", 501),
    ROW("identity", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501),
    ROW("identity, then CL",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", 501),
    ROW("xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501),
    ROW("quoted chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 501),
    ROW("chunked;a=b", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n", 501),
    ROW("chunked, with VT",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
        "chunked\r\n\r\n",
        400),
    ROW("TE empty", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 501),
    ROW("TE folded", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n", 501),
    ROW("chunked in HTTP/1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400),
    ROW("GET with body", "GET / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", 0),
    /* expectations */
    ROW("100-continue", "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
        0),
    ROW("other expectation", "POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417),
    ROW("list of expectations", "POST / HTTP/1.1\r\n" H "Expect: 100-continue, x\r\n\r\n", 417),
};

static void requests_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
        check(&request_rows[i]);
    }
}

static void a_request_is_taken_apart(void **state)
{
    struct head h;

    (void)state;
    assert_int_equal(take(SPAN_LIT("POST /ACME/sap/frun/x?a=b HTTP/1.1\r\n"
                                   "hOST: push.example.com\r\n"
                                   "X-Empty:\r\n"
                                   "Content-Length: 10\r\n"
                                   "Expect: 100-continue\r\n"
                                   "X-A: \t b c\t \r\n"
                                   "Connection: Upgrade, Close\r\n\r\n"),
                          &h),
                     0);
    assert_true(span_eq(h.method, SPAN_LIT("POST")));
    assert_true(span_eq(h.target, SPAN_LIT("/ACME/sap/frun/x?a=b")));
    assert_true(span_eq(h.authority, SPAN_LIT("push.example.com")));
    assert_int_equal(h.status, 0);
    assert_int_equal(h.minor, 1);
    assert_int_equal(h.body, HEAD_BODY_LENGTH);
    assert_int_equal(h.body_len_bytes, 10);
    assert_true(h.wants_continue);
    assert_true(h.is_upgrade);
    assert_false(h.is_keep_alive);
    assert_int_equal(h.n_fields, 5);
    assert_null(head_find(&h, SPAN_LIT("host")));
    assert_true(span_eq(head_find(&h, SPAN_LIT("x-a"))->value, SPAN_LIT("b c")));
    assert_int_equal(head_find(&h, SPAN_LIT("X-EMPTY"))->value.n, 0);
    assert_non_null(head_find(&h, SPAN_LIT("x-empty"))->value.p);
}

static void connections_stay_or_end(void **state)
{
    static const struct row rows[] = {
        ROW("1.1", "GET / HTTP/1.1\r\n" H "\r\n", 1),
        ROW("1.1 close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", 0),
        ROW("1.1 CLOSE in list", "GET / HTTP/1.1\r\n" H "Connection: te,CLOSE\r\n\r\n", 0),
        ROW("1.1 close in second field",
            "GET / HTTP/1.1\r\n" H "Connection: te\r\nConnection: close\r\n\r\n", 0),
        ROW("1.0", "GET / HTTP/1.0\r\n\r\n", 0),
        ROW("1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 1),
        ROW("1.0 both", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", 0),
    };
    struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(take(rows[i].in, &h), 0);
        if (h.is_keep_alive != (rows[i].want == 1)) {
            fail_msg("%s", rows[i].label);
        }
    }
}

/* "PREFIX" + n times 'x' + "SUFFIX". */
static struct span stretch(const char *prefix, size_t n, const char *suffix)
{
    static char text[70000];
    size_t a = strlen(prefix);
    size_t b = strlen(suffix);

    assert_true(a + n + b < sizeof(text));
    memcpy(text, prefix, a);
    memset(text + a, 'x', n);
    memcpy(text + a + n, suffix, b);
    return span_make(text, a + n + b);
}

static void ceilings_hold(void **state)
{
    struct head h;
    struct head_fault fault;
    char many[100 * 6 + 128];
    size_t len;
    size_t scanned = 0;

    (void)state;
    assert_int_equal(take(stretch("GET /", 8191, " HTTP/1.1\r\n" H "\r\n"), &h), 0);
    assert_int_equal(take(stretch("GET /", 8192, " HTTP/1.1\r\n" H "\r\n"), &h), 414);
    assert_int_equal(take(stretch("GET /", 60000, " HTTP/1.1\r\n" H "\r\n"), &h), 414);
    assert_int_equal(take(stretch("GET /", 60000, ""), &h), 414);
    assert_int_equal(take(stretch("GET / HTTP/1.1\r\n" H "A: ", 32000, "\r\n\r\n"), &h), 0);
    assert_int_equal(take(stretch("GET / HTTP/1.1\r\n" H "A: ", 33000, "\r\n\r\n"), &h), 431);
    assert_int_equal(take(stretch("GET / HTTP/1.1\r\n" H "A: ", 33000, ""), &h), 431);
    /* Exactly the ceiling is still a head, one octet more is not. */
    struct span in = SPAN_LIT("GET / HTTP/1.1\r\n" H "\r\n");
    struct head_limits exact = {in.n, 100, 100};

    assert_int_equal(head_cut(in, &exact, &scanned, &len, &fault), FRUN_OK);
    assert_int_equal(len, in.n);
    scanned = 0;
    exact.max_head_bytes--;
    assert_int_equal(head_cut(in, &exact, &scanned, &len, &fault), FRUN_E_LIMIT);
    assert_int_equal(fault.status, 431);
    assert_int_equal(head_parse_request(in, &exact, &h, &fault), FRUN_E_LIMIT);

    for (unsigned n = 100; n <= 101; n++) {
        int at = snprintf(many, sizeof(many), "GET / HTTP/1.1\r\n" H);

        for (unsigned i = 0; i < n; i++) {
            at += snprintf(many + at, sizeof(many) - (size_t)at, "A:\r\n");
        }
        at += snprintf(many + at, sizeof(many) - (size_t)at, "\r\n");
        assert_int_equal(take(span_make(many, (size_t)at), &h), n == 100 ? 0 : 431);
    }
    assert_int_equal(take(stretch("GET / HTTP/1.1\r\n" H "Connection: ", 1024, "\r\n\r\n"), &h), 0);
    assert_int_equal(take(stretch("GET / HTTP/1.1\r\n" H "Connection: ", 1025, "\r\n\r\n"), &h),
                     431);
}

static void a_long_head_is_scanned_once(void **state)
{
    struct span in = stretch("GET / HTTP/1.1\r\n" H "A: ", 20000, "\r\n\r\n");
    struct head_fault fault;
    size_t scanned = 0;
    size_t len = 0;

    (void)state;
    for (size_t n = 1; n < in.n; n++) {
        assert_int_equal(head_cut(span_head(in, n), &limits, &scanned, &len, &fault), FRUN_E_AGAIN);
        assert_true(scanned + 1 >= n);
    }
    assert_int_equal(head_cut(in, &limits, &scanned, &len, &fault), FRUN_OK);
    assert_int_equal(len, in.n);
}

struct answer_row {
    const char *label;
    struct span in;
    const char *method;
    int want; /* enum head_body, or -1: refused */
    bool is_keep_alive;
};

#define ANSWER(label, text, method, want, keep)                                                    \
    {                                                                                              \
        label, {text, sizeof(text) - 1}, method, want, keep                                        \
    }

static const struct answer_row answer_rows[] = {
    ANSWER("length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", HEAD_BODY_LENGTH, true),
    ANSWER("length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", HEAD_BODY_NONE, true),
    ANSWER("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "POST",
           HEAD_BODY_CHUNKED, true),
    ANSWER("until close", "HTTP/1.1 200 OK\r\n\r\n", "GET", HEAD_BODY_UNTIL_CLOSE, false),
    ANSWER("until close, 1.0", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "GET",
           HEAD_BODY_UNTIL_CLOSE, false),
    ANSWER("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", HEAD_BODY_NONE, true),
    ANSWER("204", "HTTP/1.1 204 No Content\r\n\r\n", "GET", HEAD_BODY_NONE, true),
    ANSWER("304 with length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET",
           HEAD_BODY_NONE, true),
    ANSWER("100", "HTTP/1.1 100 Continue\r\n\r\n", "POST", HEAD_BODY_NONE, true),
    ANSWER("close", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "GET",
           HEAD_BODY_LENGTH, false),
    ANSWER("no reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", "GET", HEAD_BODY_LENGTH,
           true),
    ANSWER("no reason, no blank", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", "GET",
           HEAD_BODY_LENGTH, true),
    ANSWER("Host is any field", "HTTP/1.1 204 x\r\nHost: b@d\r\nHost: x\r\n\r\n", "GET",
           HEAD_BODY_NONE, true),
    ANSWER("CL and TE",
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", -1,
           false),
    ANSWER("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
           "GET", -1, false),
    ANSWER("gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "GET",
           -1, false),
    ANSWER("chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", -1,
           false),
    ANSWER("folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "GET", -1, false),
    ANSWER("empty line in front", "\r\nHTTP/1.1 200 OK\r\n\r\n", "GET", -1, false),
    ANSWER("status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "GET", -1, false),
    ANSWER("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "GET", -1, false),
    ANSWER("status 99", "HTTP/1.1 099 x\r\n\r\n", "GET", -1, false),
    ANSWER("status 600", "HTTP/1.1 600 x\r\n\r\n", "GET", -1, false),
    ANSWER("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "GET", -1, false),
    ANSWER("no version", "200 OK\r\n\r\n", "GET", -1, false),
};

static void answers_are_judged(void **state)
{
    struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof(answer_rows) / sizeof(answer_rows[0]); i++) {
        const struct answer_row *row = &answer_rows[i];
        struct head_fault fault = {0, NULL};
        frun_err err = head_parse_answer(row->in, &limits, span_of(row->method), &h, &fault);

        if ((err == FRUN_OK) != (row->want >= 0)) {
            fail_msg("%s: %d", row->label, err);
        }
        if (err) {
            assert_int_equal(fault.status, 502);
            assert_non_null(fault.why);
        } else if ((int)h.body != row->want || h.is_keep_alive != row->is_keep_alive) {
            fail_msg("%s: body %d, keep-alive %d", row->label, (int)h.body, h.is_keep_alive);
        }
    }
}

static void request_becomes(const struct head *h, const char *want)
{
    struct buf out;

    buf_init(&out, 4096);
    assert_int_equal(head_write_request(h, &out), FRUN_OK);
    assert_int_equal(buf_len(&out), strlen(want));
    assert_memory_equal(out.data, want, strlen(want));
    buf_done(&out);
}

static void requests_are_written(void **state)
{
    struct head h = {.method = SPAN_LIT("POST"),
                     .target = SPAN_LIT("/x"),
                     .authority = SPAN_LIT("v:1"),
                     .minor = 1,
                     .body = HEAD_BODY_LENGTH,
                     .body_len_bytes = 12345678901,
                     .is_keep_alive = true};
    static const char *const framing[] = {"Host",       "content-length",   "Transfer-Encoding",
                                          "connection", "Keep-Alive",       "TE",
                                          "Trailer",    "Proxy-Connection", "Upgrade"};

    (void)state;
    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
        assert_int_equal(head_add(&h, span_of(framing[i]), SPAN_LIT("chunked")), FRUN_OK);
    }
    assert_int_equal(head_add(&h, SPAN_LIT("A"), SPAN_LIT("b")), FRUN_OK);
    assert_int_equal(head_add(&h, SPAN_LIT("E"), (struct span){0}), FRUN_OK);
    request_becomes(&h, "POST /x HTTP/1.1\r\nHost: v:1\r\nA: b\r\nE: \r\n"
                        "Content-Length: 12345678901\r\n\r\n");
    h.body = HEAD_BODY_CHUNKED;
    h.body_len_bytes = 0;
    h.is_keep_alive = false;
    request_becomes(&h, "POST /x HTTP/1.1\r\nHost: v:1\r\nA: b\r\nE: \r\n"
                        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    h.body = HEAD_BODY_NONE;
    h.n_fields = 0;
    h.is_keep_alive = true;
    request_becomes(&h, "POST /x HTTP/1.1\r\nHost: v:1\r\nContent-Length: 0\r\n\r\n");
    h.method = SPAN_LIT("GET");
    request_becomes(&h, "GET /x HTTP/1.1\r\nHost: v:1\r\n\r\n");
}

struct write_row {
    const char *label;
    unsigned status;
    enum head_body body;
    uint64_t len;
    bool is_keep_alive;
    const char *told; /* Content-Length among the fields */
    const char *method;
    unsigned minor;
    const char *want;
    bool is_chunked;
};

static const struct write_row write_rows[] = {
    {"length", 200, HEAD_BODY_LENGTH, 5, true, NULL, "GET", 1, "Content-Length: 5\r\n", false},
    {"field is not believed", 200, HEAD_BODY_LENGTH, 5, true, "7", "GET", 1,
     "Content-Length: 5\r\n", false},
    {"nothing", 200, HEAD_BODY_NONE, 0, true, NULL, "GET", 1, "Content-Length: 0\r\n", false},
    {"chunked", 200, HEAD_BODY_CHUNKED, 0, true, NULL, "GET", 1, "Transfer-Encoding: chunked\r\n",
     true},
    {"until close becomes chunked", 200, HEAD_BODY_UNTIL_CLOSE, 0, true, NULL, "GET", 1,
     "Transfer-Encoding: chunked\r\n", true},
    {"chunked for 1.0", 200, HEAD_BODY_CHUNKED, 0, true, NULL, "GET", 0, "Connection: close\r\n",
     false},
    {"until close for 1.0", 200, HEAD_BODY_UNTIL_CLOSE, 0, true, NULL, "GET", 0,
     "Connection: close\r\n", false},
    {"length for 1.0", 200, HEAD_BODY_LENGTH, 5, true, NULL, "GET", 0,
     "Content-Length: 5\r\nConnection: keep-alive\r\n", false},
    {"length, close", 200, HEAD_BODY_LENGTH, 5, false, NULL, "GET", 1,
     "Content-Length: 5\r\nConnection: close\r\n", false},
    {"204", 204, HEAD_BODY_NONE, 0, true, NULL, "GET", 1, "", false},
    {"304 tells the length", 304, HEAD_BODY_NONE, 0, true, "7", "GET", 1, "Content-Length: 7\r\n",
     false},
    {"HEAD tells the length", 200, HEAD_BODY_NONE, 0, true, "7", "HEAD", 1, "Content-Length: 7\r\n",
     false},
    {"HEAD with a bad length", 200, HEAD_BODY_NONE, 0, true, "+7", "HEAD", 1, "", false},
    {"HEAD, own body", 401, HEAD_BODY_LENGTH, 5, true, NULL, "HEAD", 1, "Content-Length: 5\r\n",
     false},
    {"HEAD, unknown length", 200, HEAD_BODY_CHUNKED, 0, true, NULL, "HEAD", 1, "", false},
    {"HEAD, unknown length, 1.0", 200, HEAD_BODY_CHUNKED, 0, true, NULL, "HEAD", 0,
     "Connection: keep-alive\r\n", false},
    {"100", 100, HEAD_BODY_NONE, 0, false, NULL, "POST", 1, "", false},
};

static void answers_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(write_rows) / sizeof(write_rows[0]); i++) {
        const struct write_row *row = &write_rows[i];
        struct head h = {.status = row->status,
                         .reason = SPAN_LIT("Why Not"),
                         .body = row->body,
                         .body_len_bytes = row->len,
                         .is_keep_alive = row->is_keep_alive};
        struct buf out;
        char want[256];
        bool is_chunked = !row->is_chunked;

        if (row->told) {
            assert_int_equal(head_add(&h, SPAN_LIT("Content-Length"), span_of(row->told)), 0);
        }
        buf_init(&out, 4096);
        assert_int_equal(head_write_answer(&h, span_of(row->method), row->minor, &out, &is_chunked),
                         FRUN_OK);
        (void)snprintf(want, sizeof(want), "HTTP/1.1 %u Why Not\r\n%s\r\n", row->status, row->want);
        if (!span_eq(buf_span(&out), span_of(want)) || is_chunked != row->is_chunked) {
            fail_msg("%s: %.*s", row->label, SPAN_FMT(buf_span(&out)));
        }
        buf_done(&out);
    }
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    struct head h = {.method = SPAN_LIT("GET"), .target = SPAN_LIT("/"), .status = 200};
    struct buf out;
    bool is_chunked = false;

    (void)state;
    buf_init(&out, 32);
    assert_int_equal(buf_put(&out, SPAN_LIT("before")), FRUN_OK);
    assert_int_equal(head_write_request(&h, &out), FRUN_E_LIMIT);
    assert_int_equal(head_write_answer(&h, SPAN_LIT("GET"), 1, &out, &is_chunked), FRUN_E_LIMIT);
    assert_true(span_eq(buf_span(&out), SPAN_LIT("before")));
    buf_done(&out);
}

static void small_questions_are_answered(void **state)
{
    struct head h = {.status = 200};

    (void)state;
    assert_true(head_list_has(SPAN_LIT("a, B ,c"), SPAN_LIT("b")));
    assert_true(head_list_has(SPAN_LIT("a,,b"), SPAN_LIT("b")));
    assert_false(head_list_has(SPAN_LIT("ab, bc"), SPAN_LIT("b")));
    assert_false(head_list_has((struct span){0}, SPAN_LIT("b")));
    assert_true(head_is_token(SPAN_LIT("X-1!")));
    assert_false(head_is_token(SPAN_LIT("")));
    assert_false(head_is_token(SPAN_LIT("a b")));
    assert_false(head_is_token(SPAN_LIT("a:")));
    assert_true(head_is_value(SPAN_LIT("")));
    assert_true(head_is_value(SPAN_LIT("a\tb")));
    assert_false(head_is_value(SPAN_LIT(" a")));
    assert_false(head_is_value(SPAN_LIT("a\t")));
    assert_false(head_is_value(SPAN_LIT("a\r\nb")));
    assert_true(head_is_value(SPAN_LIT("long enough\tfor two\tsteps \x80\xff")));
    for (unsigned c = 0; c < 256; c++) { /* each octet in each place of the steps of eight */
        for (size_t at = 1; at < 18; at++) {
            char text[20] = "abcdefghijklmnopqrs";

            text[at] = (char)c;
            assert_int_equal(head_is_value(span_make(text, 19)),
                             (c >= 0x20 && c != 0x7f) || c == '\t');
        }
    }
    for (size_t i = 0; i < HEAD_MAX_FIELDS; i++) {
        assert_int_equal(head_add(&h, SPAN_LIT("a"), SPAN_LIT("b")), FRUN_OK);
    }
    assert_int_equal(head_add(&h, SPAN_LIT("a"), SPAN_LIT("b")), FRUN_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_judged),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(connections_stay_or_end),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(a_long_head_is_scanned_once),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(requests_are_written),
        cmocka_unit_test(answers_are_written),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(small_questions_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
