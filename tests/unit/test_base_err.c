/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/err.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_code_has_its_own_words(void **state)
{
    (void)state;
    for (frun_err e = FRUN_OK; e >= FRUN_E_UNSUPPORTED; e--) {
        assert_string_not_equal(err_text(e), err_text(1));
        for (frun_err other = FRUN_OK; other > e; other--) {
            assert_string_not_equal(err_text(e), err_text(other));
        }
    }
    assert_string_equal(err_text(-1000), "unknown error");
}

static void diag_keeps_place_and_cuts_text(void **state)
{
    struct diag d = {.file = "a.ini", .line = 7};
    char longer[2 * sizeof(d.text)];

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    diag_set(&d, "%s", longer);
    assert_int_equal(strlen(d.text), sizeof(d.text) - 1);
    assert_string_equal(d.file, "a.ini");
    assert_int_equal(d.line, 7);
    diag_set(&d, "port %d", 80);
    assert_string_equal(d.text, "port 80");
    diag_set(NULL, "nobody listens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_its_own_words),
        cmocka_unit_test(diag_keeps_place_and_cuts_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
