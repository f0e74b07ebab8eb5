/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/span.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers(void **state)
{
    static const struct {
        const char *label, *input;
        frun_err want;
        uint64_t value;
    } rows[] = {
        {"zero", "0", FRUN_OK, 0},
        {"leading zeros", "0000000000000000000000042", FRUN_OK, 42},
        {"largest", "18446744073709551615", FRUN_OK, UINT64_MAX},
        {"one more", "18446744073709551616", FRUN_E_LIMIT, 0},
        {"far more", "99999999999999999999999999", FRUN_E_LIMIT, 0},
        {"wraps in the last digit", "18446744073709551619", FRUN_E_LIMIT, 0},
        {"empty", "", FRUN_E_SYNTAX, 0},
        {"plus", "+1", FRUN_E_SYNTAX, 0},
        {"minus", "-1", FRUN_E_SYNTAX, 0},
        {"blank before", " 1", FRUN_E_SYNTAX, 0},
        {"blank behind", "1 ", FRUN_E_SYNTAX, 0},
        {"hexadecimal", "0x10", FRUN_E_SYNTAX, 0},
        {"too large and malformed", "99999999999999999999999999x", FRUN_E_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t v = 77;
        frun_err err = span_to_u64(span_of(rows[i].input), &v);
        if (err != rows[i].want || v != (err ? 77 : rows[i].value)) {
            fail_msg("%s: %d, %ju", rows[i].label, err, (uintmax_t)v);
        }
    }
}

static void splitting(void **state)
{
    static const struct {
        const char *input, *want; /* parts, each in brackets */
    } rows[] = {
        {"a,b,c", "[a][b][c]"}, {"a,,c", "[a][][c]"}, {",", "[][]"},
        {"a,", "[a][]"},        {"", "[]"},           {NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span rest = span_of(rows[i].input);
        struct span part;
        char got[64] = "";
        while (span_split(&rest, ',', &part)) {
            size_t n = strlen(got);
            (void)snprintf(got + n, sizeof(got) - n, "[%.*s]", SPAN_FMT(part));
        }
        assert_string_equal(got, rows[i].want);
    }
}

static void comparing(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_eq, is_eq_nocase, is_start, is_start_nocase;
    } rows[] = {
        {"Host", "host", false, true, false, true},
        {"host", "host", true, true, true, true},
        {"hosts", "host", false, false, true, true},
        {"HOSTS", "host", false, false, false, true},
        {"hos", "host", false, false, false, false},
        {"a[", "a{", false, false, false, false}, /* one bit apart, no letters */
        {"\xc4", "\xe4", false, false, false, false},
        {"", "", true, true, true, true},
        {NULL, "", true, true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span a = span_of(rows[i].a);
        struct span b = span_of(rows[i].b);
        if (span_eq(a, b) != rows[i].is_eq || span_eq_nocase(a, b) != rows[i].is_eq_nocase ||
            span_starts(a, b) != rows[i].is_start ||
            span_starts_nocase(a, b) != rows[i].is_start_nocase) {
            fail_msg("row %zu: \"%s\" and \"%s\"", i, rows[i].a, rows[i].b);
        }
    }
}

/* All lengths, a difference in every place, and every pair of octets in one place: eight are
 * compared at once, and the last eight overlap what was compared. */
static void without_case_everywhere(void **state)
{
    char a[20];
    char b[20];

    (void)state;
    for (size_t n = 1; n <= sizeof(a); n++) {
        memset(a, 'K', sizeof(a));
        memset(b, 'k', sizeof(b));
        assert_true(span_eq_nocase(span_make(a, n), span_make(b, n)));
        for (size_t i = 0; i < n; i++) {
            a[i] = 'L';
            if (span_eq_nocase(span_make(a, n), span_make(b, n)) ||
                span_eq_nocase(span_make(b, n), span_make(a, n))) {
                fail_msg("%zu octets: a difference in place %zu is not seen", n, i);
            }
            a[i] = 'K';
        }
    }
    for (unsigned x = 0; x < 256 * 256; x++) {
        unsigned char one = (unsigned char)(x >> 8);
        unsigned char two = (unsigned char)x;
        bool is_same = one == two || ((one ^ two) == 32 && (one | 32) >= 'a' && (one | 32) <= 'z');
        size_t at = x % 11;

        memset(a, one ^ 1, sizeof(a));
        memset(b, one ^ 1, sizeof(b));
        a[at] = (char)one;
        b[at] = (char)two;
        if (span_eq_nocase(span_make(a, 11), span_make(b, 11)) != is_same) {
            fail_msg("octets %02x and %02x", one, two);
        }
    }
}

static void cutting(void **state)
{
    (void)state;
    assert_true(span_eq(span_trim(SPAN_LIT(" \t a b \t")), SPAN_LIT("a b")));
    assert_int_equal(span_trim(SPAN_LIT(" \t")).n, 0);
    assert_int_equal(span_trim(span_of(NULL)).n, 0);
    assert_int_equal(span_trim(SPAN_LIT("\r\na\n")).n, 4);
    assert_int_equal(span_find(SPAN_LIT("abc"), 'c'), 2);
    assert_int_equal(span_find(SPAN_LIT("abc"), 'x'), 3);
    assert_int_equal(span_find(span_of(NULL), 'x'), 0);
    assert_null(span_skip(span_of(NULL), 0).p);
    assert_true(span_eq(span_skip(SPAN_LIT("abc"), 1), SPAN_LIT("bc")));
    assert_true(span_eq(span_head(SPAN_LIT("abc"), 1), SPAN_LIT("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),   cmocka_unit_test(splitting),
        cmocka_unit_test(comparing), cmocka_unit_test(without_case_everywhere),
        cmocka_unit_test(cutting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
