/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/arena.h"

#include <stdalign.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pieces_are_aligned_and_apart(void **state)
{
    struct arena a;
    char *p[300];

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    for (size_t i = 0; i < 300; i++) {
        p[i] = arena_alloc(&a, i);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
        memset(p[i], (int)(i % 256), i);
    }
    for (size_t i = 1; i < 300; i++) {
        assert_int_equal((unsigned char)p[i][0], i % 256);
        assert_int_equal((unsigned char)p[i][i - 1], i % 256);
    }
    arena_done(&a);
    assert_int_equal(a.used_bytes, 0);
}

static void ceiling_holds(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 10000);
    assert_null(arena_alloc(&a, 10000)); /* the block's own head counts */
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 16));
    size_t got = 0;
    while (arena_alloc(&a, 100)) {
        got += 100;
        assert_true(a.used_bytes <= 10000);
    }
    assert_true(got >= 8500 && got < 10000);
    arena_done(&a);
    assert_non_null(arena_alloc(&a, 9000));
    arena_done(&a);
    arena_done(&a);
    arena_done(NULL);
}

static void reset_keeps_one_small_block(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 100000);
    arena_reset(&a); /* nothing yet */
    assert_int_equal(a.used_bytes, 0);
    char *first = arena_alloc(&a, 100);
    assert_non_null(first);
    size_t one_bytes = a.used_bytes;
    for (int round = 0; round < 3; round++) {
        arena_reset(&a);
        assert_int_equal(a.used_bytes, one_bytes);
        assert_ptr_equal(arena_alloc(&a, 100), first);
    }
    assert_non_null(arena_alloc(&a, 50000));
    assert_non_null(arena_alloc(&a, 5000));
    arena_reset(&a);
    assert_int_equal(a.used_bytes, one_bytes); /* a large one is not kept */
    while (arena_alloc(&a, 1000)) {
    }
    assert_true(a.used_bytes <= 100000);
    arena_done(&a);
    assert_int_equal(a.used_bytes, 0);

    arena_init(&a, 10000); /* a ceiling that moves: never below what is there */
    assert_non_null(arena_alloc(&a, 5000));
    assert_null(arena_alloc(&a, 50000));
    arena_limit(&a, 100000);
    assert_non_null(arena_alloc(&a, 50000));
    arena_limit(&a, 1000);
    assert_null(arena_alloc(&a, 50000));
    arena_done(&a);

    arena_init(&a, 1000); /* ceiling below a usual block */
    assert_non_null(arena_alloc(&a, 100));
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    arena_done(&a);
}

static void texts_end_in_nul(void **state)
{
    struct arena a;
    struct span s = {0};
    char big[6000];

    (void)state;
    memset(big, 'b', sizeof(big));
    arena_init(&a, 20000);
    assert_int_equal(arena_copy(&a, SPAN_LIT("abc"), &s), FRUN_OK);
    assert_string_equal(s.p, "abc");
    assert_int_equal(s.n, 3);
    assert_int_equal(arena_copy(&a, span_of(NULL), &s), FRUN_OK);
    assert_string_equal(s.p, "");
    assert_int_equal(arena_copy(&a, span_make(big, sizeof(big)), &s), FRUN_OK);
    assert_int_equal(s.p[sizeof(big)], '\0');
    assert_int_equal(arena_printf(&a, &s, "%s:%d", "fr1_frun", 443), FRUN_OK);
    assert_true(span_eq(s, SPAN_LIT("fr1_frun:443")));
    assert_string_equal(s.p, "fr1_frun:443");
    struct span before = s;
    assert_int_equal(arena_printf(&a, &s, "%30000d", 1), FRUN_E_NOMEM);
    assert_int_equal(arena_copy(&a, span_make(big, SIZE_MAX), &s), FRUN_E_NOMEM);
    assert_ptr_equal(s.p, before.p);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(ceiling_holds),
        cmocka_unit_test(reset_keeps_one_small_block),
        cmocka_unit_test(texts_end_in_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
