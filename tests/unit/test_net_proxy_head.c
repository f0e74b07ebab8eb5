/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/net/proxy_head.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define V2            "\r\n\r\n\0\r\nQUIT\n"
#define ROW(text)     text, sizeof(text) - 1
#define SIXTEEN(a, b) "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0" a b

static const struct {
    const char *in;
    size_t n;
    frun_err want;
    size_t rest;        /* octets behind the head */
    const char *source; /* NULL: none */
} rows[] = {
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n\x16\x03"), FRUN_OK, 2, "192.0.2.1:56324"},
    {ROW("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), FRUN_OK, 0, "0.0.0.0:0"},
    {ROW("PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n"), FRUN_OK, 0, "[2001:db8::1]:1"},
    {ROW("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\nGET"),
     FRUN_OK, 3, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {ROW("PROXY UNKNOWN\r\n"), FRUN_OK, 0, NULL},
    {ROW("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\nx"), FRUN_OK, 1, NULL},
    {ROW("PROXY UNKNOWNX\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 nonsense 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 1 +2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaa\r\n"),
     FRUN_E_SYNTAX, 0, NULL},
    {ROW("POST / HTTP/1.1\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("PROXY\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("\x16\x03\x01\x02"), FRUN_E_SYNTAX, 0, NULL},
    {ROW("\r\n\r\n\r\n"), FRUN_E_SYNTAX, 0, NULL},
    {ROW(V2 "\x21\x11\0\x0c"
            "\xc0\0\2\1\xc6\x33\x64\1\xdc\4\1\xbb"
            "x"),
     FRUN_OK, 1, "192.0.2.1:56324"},
    {ROW(V2 "\x21\x21\0\x24" SIXTEEN("\0", "\1") SIXTEEN("\0", "\2") "\0\1\1\xbb"), FRUN_OK, 0,
     "[2001:db8::1]:1"},
    {ROW(V2 "\x21\x11\0\x13"
            "\xc0\0\2\1\xc6\x33\x64\1\0\1\1\xbb"
            "\3\0\4abcd"),
     FRUN_OK, 0, "192.0.2.1:1"},
    {ROW(V2 "\x20\0\0\0"), FRUN_OK, 0, NULL},
    {ROW(V2 "\x20\x11\0\x0c"
            "aaaabbbbccddxyz"),
     FRUN_OK, 3, NULL},
    {ROW(V2 "\x21\0\0\0"), FRUN_OK, 0, NULL},
    {ROW(V2 "\x21\x11\0\x0b"
            "aaaabbbbccd"),
     FRUN_E_SYNTAX, 0, NULL},
    {ROW(V2 "\x21\x12\0\x0c"
            "aaaabbbbccdd"),
     FRUN_E_SYNTAX, 0, NULL},
    {ROW(V2 "\x21\x31\0\xd8"), FRUN_E_SYNTAX, 0, NULL},
    {ROW(V2 "\x22\x11\0\x0c"), FRUN_E_SYNTAX, 0, NULL},
    {ROW(V2 "\x11\x11\0\x0c"), FRUN_E_SYNTAX, 0, NULL},
    {ROW(V2 "\x21\x11\x0f\xf1"), FRUN_E_LIMIT, 0, NULL},
    {ROW(V2 "\x21\x11\xff\xff"), FRUN_E_LIMIT, 0, NULL},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct proxy_head h = {.len = 0};
        char text[ADDR_TEXT_BYTES] = "";
        frun_err err = proxy_head_read(span_make(rows[i].in, rows[i].n), &h);
        if (h.has_source) {
            addr_text(&h.source, text);
        }
        if (err != rows[i].want || h.has_source != (rows[i].source != NULL) ||
            (rows[i].source && strcmp(text, rows[i].source) != 0) ||
            (!err && h.len != rows[i].n - rows[i].rest) || (err && h.len)) {
            fail_msg("row %zu \"%.60s\": %d, %zu octets, source %s", i, rows[i].in, err, h.len,
                     text);
        }
    }
}

/* One octet at a time: nothing but "more, please" until the last octet of a good head, and a bad
 * one is never taken for a good one on the way. */
static void test_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = rows[i].n - rows[i].rest;
        for (size_t n = 0; n < len; n++) {
            struct proxy_head h = {.len = 0};
            frun_err err = proxy_head_read(span_make(rows[i].in, n), &h);
            if (err != FRUN_E_AGAIN && (rows[i].want == FRUN_OK || err == FRUN_OK)) {
                fail_msg("row %zu: %d after %zu octets", i, err, n);
            }
            if (err != FRUN_E_AGAIN) {
                break; /* refused early */
            }
        }
    }
}

/* The largest that is taken. */
static void test_largest(void **state)
{
    (void)state;
    static char big[PROXY_HEAD_MAX_BYTES + 1];
    struct proxy_head h;
    memcpy(big, V2 "\x21\x11\x0f\xf0", 16);
    assert_int_equal(proxy_head_read(span_make(big, PROXY_HEAD_MAX_BYTES - 1), &h), FRUN_E_AGAIN);
    assert_int_equal(proxy_head_read(span_make(big, sizeof(big)), &h), FRUN_OK);
    assert_int_equal(h.len, PROXY_HEAD_MAX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_largest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
