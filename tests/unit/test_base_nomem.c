/* SPDX-License-Identifier: Apache-2.0 */
/* What the room does when the n-th allocation is refused, for every n. */
#include "frun/base/arena.h"
#include "frun/base/buf.h"
#include "frun/base/map.h"
#include "frun/base/secret.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int left = -1; /* allocations that still succeed; negative: all */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool refuses(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return refuses() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuses() ? NULL : __real_calloc(n, size);
}

static frun_err use_map(void)
{
    static const char keys[64];
    struct map *m = NULL;
    frun_err err = map_new(false, &m);
    size_t put = 0;

    while (!err && put < sizeof(keys)) {
        err = map_put(m, span_make(keys, put + 1), &left);
        put += !err;
    }
    if (err && m) {
        assert_ptr_equal(map_get(m, span_make(keys, put)), put > 0 ? &left : NULL);
        assert_null(map_get(m, span_make(keys, put + 1)));
    }
    map_free(m);
    return err;
}

static frun_err use_buf(void)
{
    struct buf b;
    char big[3000] = {0};

    buf_init(&b, 10000);
    frun_err err = buf_put(&b, SPAN_LIT("first"));
    if (!err) {
        err = buf_put(&b, span_make(big, sizeof(big)));
        assert_int_equal(buf_len(&b), err ? 5 : 5 + sizeof(big));
    }
    if (!err) {
        err = buf_printf(&b, "%4000d", 1);
        assert_int_equal(buf_len(&b), err ? 5 + sizeof(big) : 5 + sizeof(big) + 4000);
    }
    assert_true(buf_sane(&b));
    buf_done(&b);
    return err;
}

static frun_err use_arena(void)
{
    struct arena a;
    struct span s = {0};

    arena_init(&a, 100000);
    frun_err err = arena_copy(&a, SPAN_LIT("x"), &s);
    if (!err) {
        err = arena_printf(&a, &s, "%9000d", 1);
        assert_int_equal(s.n, err ? 1 : 9000);
    }
    arena_done(&a);
    return err;
}

static frun_err use_secret(void)
{
    struct secret *s = NULL;
    frun_err err = secret_fetch("literal", NULL, &s, NULL, NULL);

    secret_free(s);
    return err;
}

static void every_refusal_is_survived(void **state)
{
    static const struct {
        const char *label;
        frun_err (*use)(void);
        int at_least; /* allocations it makes */
    } rows[] = {
        {"map", use_map, 4},
        {"buf", use_buf, 3},
        {"arena", use_arena, 2},
        {"secret", use_secret, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int n = 0;
        frun_err err = FRUN_E_NOMEM;
        while (err == FRUN_E_NOMEM) {
            left = n++;
            err = rows[i].use();
            left = -1;
        }
        if (err != FRUN_OK || n <= rows[i].at_least) {
            fail_msg("%s: %s after %d", rows[i].label, err_text(err), n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
