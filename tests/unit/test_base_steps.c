/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void worst_is_the_failure(void **state)
{
    struct steps s = {0};
    (void)state;
    assert_null(steps_worst(&s));
    steps_remedy(&s, "nothing there to mend");
    steps_add(&s, "name", STEPS_OK, "frun.corp");
    assert_null(steps_worst(&s));
    steps_add(&s, "tls", STEPS_WARN, "expires in %d days", 3);
    assert_string_equal(steps_worst(&s)->name, "tls");
    steps_add(&s, "logon", STEPS_FAIL, "401");
    steps_remedy(&s, "correct the password");
    assert_string_equal(steps_worst(&s)->name, "logon");
    assert_string_equal(steps_worst(&s)->remedy, "correct the password");
    assert_string_equal(s.items[1].found, "expires in 3 days");
}

static void ceilings_and_controls(void **state)
{
    static char text[2 * STEPS_TEXT_BYTES];
    struct steps s = {0};
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    for (int i = 0; i < 2 * STEPS_MAX; i++) {
        steps_add(&s, "a name that is far too long for it", STEPS_OK, "%s", text);
    }
    assert_int_equal(s.n, STEPS_MAX);
    assert_int_equal(strlen(s.items[0].found), STEPS_TEXT_BYTES - 1);
    assert_int_equal(strlen(s.items[0].name), sizeof(s.items[0].name) - 1);
    s.n = 0;
    steps_add(&s, "ping", STEPS_FAIL, "%s", "red \033[31m\r\nnext");
    assert_string_equal(s.items[0].found, "red ?[31m??next");
}

static void words_go_both_ways(void **state)
{
    enum steps_state it = STEPS_OK;
    (void)state;
    for (int i = STEPS_OK; i <= STEPS_SKIPPED; i++) {
        assert_int_equal(steps_state_of(steps_word((enum steps_state)i), &it), FRUN_OK);
        assert_int_equal(it, i);
    }
    assert_int_equal(steps_state_of("good", &it), FRUN_E_NOT_FOUND);
}

static void lines_are_aligned(void **state)
{
    struct steps s = {0};
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    (void)state;
    assert_non_null(f);
    steps_add(&s, "connection", STEPS_OK, "10.1.1.1:443");
    steps_add(&s, "tls", STEPS_FAIL, "name");
    steps_remedy(&s, "set server_name");
    steps_add(&s, "ping", STEPS_SKIPPED, "%s", "");
    steps_print(&s, f, 2);
    (void)fclose(f);
    assert_string_equal(text, "  connection  ok       10.1.1.1:443\n"
                              "  tls         fail     name\n"
                              "                       -> set server_name\n"
                              "  ping        skipped\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worst_is_the_failure),
        cmocka_unit_test(ceilings_and_controls),
        cmocka_unit_test(words_go_both_ways),
        cmocka_unit_test(lines_are_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
