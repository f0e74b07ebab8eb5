/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/map.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void thousands_of_endpoints(void **state)
{
    static char keys[5000][24];
    struct map *m = NULL;

    (void)state;
    assert_int_equal(map_new(false, &m), FRUN_OK);
    for (size_t i = 0; i < 5000; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "ACME_%zu", i);
        assert_int_equal(map_put(m, span_of(keys[i]), keys[i]), FRUN_OK);
    }
    for (size_t i = 0; i < 5000; i++) {
        assert_ptr_equal(map_get(m, span_of(keys[i])), keys[i]);
        assert_int_equal(map_put(m, span_of(keys[i]), m), FRUN_E_EXISTS);
        assert_ptr_equal(map_get(m, span_of(keys[i])), keys[i]);
    }
    assert_null(map_get(m, SPAN_LIT("ACME_5000")));
    assert_null(map_get(m, SPAN_LIT("acme_1")));
    assert_null(map_get(m, SPAN_LIT("ACME_1\0")));
    assert_null(map_get(m, span_of(NULL)));
    map_free(m);
    map_free(NULL);
}

static void letters_without_case(void **state)
{
    struct map *m = NULL;
    int one = 1;
    int two = 2;

    (void)state;
    assert_int_equal(map_new(true, &m), FRUN_OK);
    assert_int_equal(map_put(m, SPAN_LIT("Push.Example.com"), &one), FRUN_OK);
    assert_int_equal(map_put(m, SPAN_LIT("push.example.COM"), &two), FRUN_E_EXISTS);
    assert_ptr_equal(map_get(m, SPAN_LIT("PUSH.EXAMPLE.COM")), &one);
    assert_int_equal(map_put(m, SPAN_LIT(""), &two), FRUN_OK);
    assert_ptr_equal(map_get(m, span_of(NULL)), &two);
    map_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_of_endpoints),
        cmocka_unit_test(letters_without_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
