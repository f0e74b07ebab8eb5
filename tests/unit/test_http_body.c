/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/http/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OUT_MAX 4096

/* What came out of one reading. */
struct got {
    frun_err err;
    bool is_done;
    size_t rest; /* octets behind the body */
    size_t n;
    char text[OUT_MAX];
};

static frun_err look(struct body_reader *r, struct span *in, size_t max_take, struct got *g)
{
    struct span content;
    size_t framing;
    frun_err err = body_look(r, *in, &framing, &content);

    if (err) {
        return err;
    }
    assert_true(framing + content.n <= in->n);
    *in = span_skip(*in, framing);
    assert_true(content.n == 0 || content.p == in->p);
    content.n = content.n < max_take ? content.n : max_take;
    assert_true(g->n + content.n <= OUT_MAX);
    memcpy(g->text + g->n, content.p, content.n);
    g->n += content.n;
    body_take(r, content.n);
    *in = span_skip(*in, content.n);
    return framing + content.n > 0 ? FRUN_OK : FRUN_E_AGAIN;
}

/* Octets come in pieces: the first of split, the others of step; at most max_take are used a time.
 */
static struct got read_all(const struct head *h, struct span in, size_t split, size_t step,
                           size_t max_take)
{
    struct got g = {0};
    struct body_reader r;
    size_t end = split < in.n ? split : in.n;
    size_t used = 0;

    body_begin(&r, h);
    for (;;) {
        struct span part = span_make(in.p + used, end - used);

        do {
            g.err = look(&r, &part, max_take, &g);
        } while (g.err == FRUN_OK && !body_is_done(&r));
        used = end - part.n;
        if ((g.err && g.err != FRUN_E_AGAIN) || body_is_done(&r) || end == in.n) {
            break;
        }
        end = end + step < in.n ? end + step : in.n;
    }
    g.err = g.err == FRUN_E_AGAIN ? FRUN_OK : g.err;
    g.is_done = body_is_done(&r);
    g.rest = in.n - used;
    if (!g.err) {
        assert_int_equal(body_end(&r) == FRUN_OK, g.is_done || h->body == HEAD_BODY_UNTIL_CLOSE);
    }
    return g;
}

struct row {
    const char *label;
    struct span in;
    frun_err want;
    bool is_done;
    struct span content;
    size_t rest;
};

#define ROW(label, text, want, done, content, rest)                                                \
    {                                                                                              \
        label, {text, sizeof(text) - 1}, want, done, {content, sizeof(content) - 1}, rest          \
    }
#define BAD(label, text)       ROW(label, text, FRUN_E_SYNTAX, false, "", 0)
#define OK(label, text, body)  ROW(label, text, FRUN_OK, true, body, 0)
#define CUT(label, text, body) ROW(label, text, FRUN_OK, false, body, 0)

static const struct row chunked_rows[] = {
    OK("empty", "0\r\n\r\n", ""),
    OK("one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"),
    OK("two chunks", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
    OK("hexadecimal", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
    OK("zeros in front", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
    OK("extensions", "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "hello"),
    OK("trailers", "0\r\nA: b\r\nC:\t\xe4\r\n\r\n", ""),
    OK("content with CRLF", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ROW("next request stays", "1\r\na\r\n0\r\n\r\nGET", FRUN_OK, true, "a", 3),
    CUT("nothing", "", ""),
    CUT("cut in size", "5", ""),
    CUT("cut in content", "5\r\nhel", "hel"),
    CUT("cut behind content", "5\r\nhello", "hello"),
    CUT("cut before last line", "5\r\nhello\r\n0\r\n", "hello"),
    BAD("no size", "\r\n\r\n"),
    BAD("sign", "+5\r\nhello\r\n0\r\n\r\n"),
    BAD("minus", "-5\r\nhello\r\n0\r\n\r\n"),
    BAD("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    BAD("blank before size", " 5\r\nhello\r\n0\r\n\r\n"),
    BAD("blank behind size", "5 \r\nhello\r\n0\r\n\r\n"),
    BAD("words behind size", "5 junk\r\nhello\r\n0\r\n\r\n"),
    BAD("not hexadecimal", "g\r\n"),
    BAD("bare LF behind size", "5\nhello\r\n0\r\n\r\n"),
    BAD("bare LF in extension", "5;a\nhello\r\n0\r\n\r\n"),
    BAD("bare CR behind size", "5\rhello\r\n0\r\n\r\n"),
    BAD("bare CR in extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    BAD("NUL in extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
    ROW("chunk too short", "6\r\nhello\r\n0\r\n\r\n", FRUN_E_SYNTAX, false, "hello\r", 0),
    ROW("chunk too long", "4\r\nhello\r\n0\r\n\r\n", FRUN_E_SYNTAX, false, "hell", 0),
    ROW("no CRLF behind content", "5\r\nhello0\r\n\r\n", FRUN_E_SYNTAX, false, "hello", 0),
    ROW("bare LF behind content", "5\r\nhello\n0\r\n\r\n", FRUN_E_SYNTAX, false, "hello", 0),
    ROW("bare CR behind content", "5\r\nhello\r0\r\n\r\n", FRUN_E_SYNTAX, false, "hello", 0),
    BAD("folded trailer", "0\r\nA: b\r\n c\r\n\r\n"),
    BAD("blank before colon in trailer", "0\r\nA : b\r\n\r\n"),
    BAD("trailer without name", "0\r\n: b\r\n\r\n"),
    BAD("trailer without colon", "0\r\nA\r\n\r\n"),
    BAD("NUL in trailer", "0\r\nA: \0\r\n\r\n"),
    BAD("bare LF in trailer", "0\r\nA: b\n\r\n"),
    BAD("bare LF as last line", "0\r\n\n"),
    BAD("CR alone as last line", "0\r\n\rX"),
    ROW("size of 2^63", "8000000000000000\r\n", FRUN_E_LIMIT, false, "", 0),
    ROW("size of 2^64+5", "10000000000000005\r\n", FRUN_E_LIMIT, false, "", 0),
    ROW("many zeros", "00000000000000005\r\n", FRUN_E_LIMIT, false, "", 0),
    CUT("size of 2^63-1", "7fffffffffffffff\r\nabc", "abc"),
};

static void check(const struct row *row, const struct head *h, size_t split, size_t step,
                  size_t max_take)
{
    struct got g = read_all(h, row->in, split, step, max_take);

    if (g.err != row->want || g.is_done != row->is_done || g.n > row->content.n ||
        memcmp(g.text, row->content.p, g.n) != 0) {
        fail_msg("%s (%zu, %zu, %zu): %d, done %d, \"%.*s\"", row->label, split, step, max_take,
                 g.err, g.is_done, (int)g.n, g.text);
    }
    if (!g.err && (g.n != row->content.n || g.rest != row->rest)) {
        fail_msg("%s (%zu, %zu, %zu): %zu octets, %zu left", row->label, split, step, max_take, g.n,
                 g.rest);
    }
}

static void check_all_ways(const struct row *row, const struct head *h)
{
    for (size_t i = 0; i <= row->in.n; i++) {
        check(row, h, i, row->in.n, SIZE_MAX);
    }
    check(row, h, 0, 1, SIZE_MAX);
    check(row, h, row->in.n, 1, 1);
    check(row, h, 0, 1, 1);
}

static void chunked_bodies_are_read(void **state)
{
    const struct head h = {.body = HEAD_BODY_CHUNKED};

    (void)state;
    for (size_t i = 0; i < sizeof(chunked_rows) / sizeof(chunked_rows[0]); i++) {
        check_all_ways(&chunked_rows[i], &h);
    }
}

static void other_bodies_are_read(void **state)
{
    static const struct row length = ROW("length", "hellorest", FRUN_OK, true, "hello", 4);
    static const struct row cut = CUT("length, cut", "hell", "hell");
    static const struct row close = CUT("until close", "0\r\n\r\n", "0\r\n\r\n");
    static const struct row none = ROW("none", "rest", FRUN_OK, true, "", 4);
    const struct head by_length = {.body = HEAD_BODY_LENGTH, .body_len_bytes = 5};
    const struct head by_close = {.body = HEAD_BODY_UNTIL_CLOSE};
    const struct head without = {.body = HEAD_BODY_NONE};
    const struct head zero = {.body = HEAD_BODY_LENGTH};

    (void)state;
    check_all_ways(&length, &by_length);
    check_all_ways(&cut, &by_length);
    check_all_ways(&close, &by_close);
    check_all_ways(&none, &without);
    check_all_ways(&none, &zero);
}

static void content_is_offered_until_taken(void **state)
{
    const struct head h = {.body = HEAD_BODY_CHUNKED};
    struct span in = SPAN_LIT("3\r\nabc\r\n0\r\n\r\n");
    struct body_reader r;
    struct span content;
    size_t framing;

    (void)state;
    body_begin(&r, &h);
    assert_int_equal(body_look(&r, in, &framing, &content), FRUN_OK);
    assert_int_equal(framing, 3);
    assert_true(span_eq(content, SPAN_LIT("abc")));
    in = span_skip(in, framing);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(body_look(&r, in, &framing, &content), FRUN_OK);
        assert_int_equal(framing, 0);
        assert_true(span_eq(content, SPAN_LIT("abc")));
        body_take(&r, 0);
    }
    body_take(&r, 2);
    assert_int_equal(body_look(&r, span_skip(in, 2), &framing, &content), FRUN_OK);
    assert_true(span_eq(content, SPAN_LIT("c")));
    assert_int_equal(r.seen_bytes, 2);
}

static void extensions_and_trailers_have_a_ceiling(void **state)
{
    static const char *const begin[] = {"5;", "0\r\nA:", "0\r\nA"};
    const struct head h = {.body = HEAD_BODY_CHUNKED};

    (void)state;
    for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++) {
        char more[1024];
        struct body_reader r;
        struct span content;
        size_t framing;
        size_t sum = 0;
        frun_err err;

        memset(more, 'x', sizeof(more));
        body_begin(&r, &h);
        err = body_look(&r, span_of(begin[i]), &framing, &content);
        while (!err && sum < 2 * (size_t)BODY_MAX_EXTRA_BYTES) {
            err = body_look(&r, span_make(more, sizeof(more)), &framing, &content);
            sum += sizeof(more);
        }
        assert_int_equal(err, FRUN_E_LIMIT);
        assert_true(sum <= BODY_MAX_EXTRA_BYTES + sizeof(more));
    }
}

/* One octet of extension on each of many chunks counts too. */
static void extensions_of_many_chunks_add_up(void **state)
{
    const struct head h = {.body = HEAD_BODY_CHUNKED};
    struct body_reader r;
    frun_err err = FRUN_OK;
    unsigned n = 0;

    (void)state;
    body_begin(&r, &h);
    while (!err && n < 2 * BODY_MAX_EXTRA_BYTES) {
        struct span in = SPAN_LIT("1;x\r\na\r\n");

        while (!err && in.n > 0) {
            struct span content;
            size_t framing = 0;

            err = body_look(&r, in, &framing, &content);
            if (!err) {
                body_take(&r, content.n);
                in = span_skip(in, framing + content.n);
            }
        }
        n++;
    }
    assert_int_equal(err, FRUN_E_LIMIT);
    assert_int_equal(n, BODY_MAX_EXTRA_BYTES / 2 + 1);
}

static void chunk_heads_are_written(void **state)
{
    static const struct {
        size_t n;
        const char *want;
    } rows[] = {{1, "1\r\n"},
                {15, "f\r\n"},
                {16, "10\r\n"},
                {16384, "4000\r\n"},
                {SIZE_MAX, "ffffffffffffffff\r\n"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[BODY_CHUNK_HEAD_BYTES];
        size_t n = body_chunk_head(rows[i].n, out);

        assert_true(span_eq(span_make(out, n), span_of(rows[i].want)));
    }
    assert_true(span_eq(BODY_CHUNK_LAST, SPAN_LIT("0\r\n\r\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_bodies_are_read),
        cmocka_unit_test(other_bodies_are_read),
        cmocka_unit_test(content_is_offered_until_taken),
        cmocka_unit_test(extensions_and_trailers_have_a_ceiling),
        cmocka_unit_test(extensions_of_many_chunks_add_up),
        cmocka_unit_test(chunk_heads_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
