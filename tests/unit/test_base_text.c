/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/text.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 4648 section 10. */
static void known_texts(void **state)
{
    static const struct {
        const char *plain, *text;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xef\xbe", "/+++"},
        {"FRUN_PUSH:secret", "RlJVTl9QVVNIOnNlY3JldA=="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64];
        size_t n = 99;
        assert_int_equal(text_base64(span_of(rows[i].plain), out), strlen(rows[i].text));
        assert_string_equal(out, rows[i].text);
        assert_int_equal(text_base64_decode(span_of(rows[i].text), out, &n), FRUN_OK);
        assert_true(span_eq(span_make(out, n), span_of(rows[i].plain)));
    }
}

static void refused_texts(void **state)
{
    static const struct {
        const char *label, *input;
    } rows[] = {
        {"no padding", "Zg"},
        {"one short", "Zg="},
        {"only padding", "===="},
        {"three pads", "Z==="},
        {"padding inside", "Zg==Zg=="},
        {"blank", "Zm 9"},
        {"line end", "Zm9v\n"},
        {"url alphabet", "-_-_"},
        {"unused bits, two octets", "Zm9="},
        {"unused bits, one octet", "Zh=="},
        {"data behind a pad", "Zg=v"},
        {"eight bits", "\xff\xff\xff\xff"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64];
        size_t n = 99;
        if (text_base64_decode(span_of(rows[i].input), out, &n) != FRUN_E_SYNTAX || n != 99) {
            fail_msg("accepted: %s", rows[i].label);
        }
    }
}

static void url_texts(void **state)
{
    static const struct {
        const char *plain, *text;
    } rows[] = {
        {"", ""},        {"f", "Zg"},        {"fo", "Zm8"},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xff\xef\xbe", "_---"},
    };
    static const char *const refused[] = {
        "Zg==", "Zm8=", "Z", "Zm9vY", "Zm9=", "Zh", "Zm9", "+/+/", "Zm 9", "Zm9v\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64];
        size_t n = 99;
        assert_int_equal(text_base64url(span_of(rows[i].plain), out), strlen(rows[i].text));
        assert_string_equal(out, rows[i].text);
        assert_int_equal(text_base64url_decode(span_of(rows[i].text), out, &n), FRUN_OK);
        assert_true(span_eq(span_make(out, n), span_of(rows[i].plain)));
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char out[64];
        size_t n = 99;
        if (text_base64url_decode(span_of(refused[i]), out, &n) != FRUN_E_SYNTAX || n != 99) {
            fail_msg("accepted: %s", refused[i]);
        }
    }
}

static void large_text_returns_the_same(void **state)
{
    const size_t n = ((size_t)3 << 20) * 2 + 1;
    char *plain = malloc(n);
    char *text = malloc(TEXT_BASE64_BYTES(n));
    size_t back = 0;

    (void)state;
    assert_non_null(plain);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) {
        plain[i] = (char)(unsigned char)(i * 31 % 256);
    }
    size_t len = text_base64(span_make(plain, n), text);
    assert_int_equal(len, TEXT_BASE64_BYTES(n) - 1);
    assert_int_equal(text_base64_decode(span_make(text, len), text, &back), FRUN_OK);
    assert_true(span_eq(span_make(text, back), span_make(plain, n)));
    free(plain);
    free(text);
}

static void hexadecimal(void **state)
{
    char got[19];
    char out[16];

    (void)state;
    text_hex(span_make("\x00\x0f\xf0\xff", 4), out);
    assert_string_equal(out, "000ff0ff");
    text_hex(span_of(NULL), out);
    assert_string_equal(out, "");
    for (unsigned v = 0; v < 256; v++) {
        unsigned char in[9];
        char want[19];

        for (size_t n = 0; n < sizeof(in); n++) {
            in[n] = (unsigned char)(v + n * 37);
            (void)snprintf(want + 2 * n, 3, "%02x", in[n]);
            text_hex(span_make(in, n + 1), got);
            assert_string_equal(got, want);
        }
    }
}

static void numbers_are_plain_digits(void **state)
{
    static const struct {
        uint64_t v;
        const char *want;
    } rows[] = {
        {0, "0"},
        {9, "9"},
        {10, "10"},
        {1024, "1024"},
        {4294967296U, "4294967296"},
        {UINT64_MAX, "18446744073709551615"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[TEXT_NUMBER_BYTES + 1] = {0};
        size_t n = text_number(rows[i].v, out);
        assert_int_equal(n, strlen(rows[i].want));
        assert_string_equal(out, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts), cmocka_unit_test(refused_texts),
        cmocka_unit_test(url_texts),   cmocka_unit_test(large_text_returns_the_same),
        cmocka_unit_test(hexadecimal), cmocka_unit_test(numbers_are_plain_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
