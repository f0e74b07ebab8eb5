/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/buf.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void ceiling_is_exact(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_int_equal(buf_put(&b, SPAN_LIT("0123456789")), FRUN_OK);
    assert_int_equal(buf_room(&b), 0);
    assert_int_equal(buf_put(&b, SPAN_LIT("x")), FRUN_E_LIMIT);
    assert_true(span_eq(buf_span(&b), SPAN_LIT("0123456789")));
    buf_consume(&b, 4);
    assert_int_equal(buf_put(&b, SPAN_LIT("abcde")), FRUN_E_LIMIT);
    assert_int_equal(buf_put(&b, SPAN_LIT("abcd")), FRUN_OK);
    assert_true(span_eq(buf_span(&b), SPAN_LIT("456789abcd")));
    assert_true(b.cap <= 10);
    buf_done(&b);
    assert_int_equal(buf_put(&b, SPAN_LIT("again")), FRUN_OK);
    buf_done(&b);
}

static void a_ceiling_of_zero_takes_nothing(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_true(buf_sane(&b));
    assert_int_equal(buf_put(&b, SPAN_LIT("x")), FRUN_E_LIMIT);
    assert_int_equal(buf_put(&b, SPAN_LIT("")), FRUN_OK);
    buf_done(&b);
}

static void printf_fits_to_the_octet(void **state)
{
    struct buf b;
    char text[2000];

    (void)state;
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    buf_init(&b, 1999);
    assert_int_equal(buf_printf(&b, "%s", text), FRUN_OK);
    assert_true(span_eq(buf_span(&b), span_of(text)));
    buf_consume(&b, 1998);
    assert_int_equal(buf_printf(&b, "%s", text), FRUN_E_LIMIT);
    assert_int_equal(buf_printf(&b, "-%d-", 5), FRUN_OK);
    assert_true(span_eq(buf_span(&b), SPAN_LIT("y-5-")));
    buf_done(&b);
}

static void trim_gives_back_only_an_empty_one(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_put(&b, SPAN_LIT("ab")), FRUN_OK);
    buf_trim(&b);
    assert_int_equal(buf_len(&b), 2);
    buf_consume(&b, 2);
    buf_trim(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 100);
}

/* A queue of counted octets goes through in pieces of all sizes; nothing lost, nothing twice. */
static void octets_keep_their_order(void **state)
{
    struct buf b;
    unsigned in = 0;
    unsigned out = 0;
    unsigned seed = 1;

    (void)state;
    buf_init(&b, 3000);
    while (out < 200000) {
        seed = seed * 1103515245U + 12345U;
        size_t n = seed / 65536U % 900;
        char *at;
        if (n > 0 && n <= buf_room(&b)) {
            assert_int_equal(buf_reserve(&b, n, &at), FRUN_OK);
            for (size_t i = 0; i < n; i++) {
                at[i] = (char)(unsigned char)(in++ % 251);
            }
            buf_commit(&b, n);
        }
        size_t take = seed / 1024U % (buf_len(&b) + 1);
        struct span s = buf_span(&b);
        for (size_t i = 0; i < take; i++) {
            assert_int_equal((unsigned char)s.p[i], out++ % 251);
        }
        buf_consume(&b, take);
        assert_true(buf_sane(&b));
    }
    buf_done(&b);
}

static void sanity_sees_a_broken_one(void **state)
{
    char c;
    const struct buf rows[] = {
        {&c, 2, 1, 4, 4}, {&c, 0, 5, 4, 4}, {&c, 0, 0, 5, 4}, {NULL, 0, 0, 1, 4}, {&c, 0, 0, 0, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(buf_sane(&rows[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceiling_is_exact),
        cmocka_unit_test(a_ceiling_of_zero_takes_nothing),
        cmocka_unit_test(printf_fits_to_the_octet),
        cmocka_unit_test(trim_gives_back_only_an_empty_one),
        cmocka_unit_test(octets_keep_their_order),
        cmocka_unit_test(sanity_sees_a_broken_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
