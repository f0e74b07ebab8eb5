/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        frun_err want;
        int count;
        int picks[4]; /* for the indexes 0..3 */
    } rows[] = {
        {"0", FRUN_OK, 1, {0, 0, 0, 0}},       {"2,0", FRUN_OK, 2, {0, 2, 0, 2}},
        {"1-3", FRUN_OK, 3, {1, 2, 3, 1}},     {" 1 - 2 , 7 ", FRUN_OK, 3, {1, 2, 7, 1}},
        {"5,5,5-5", FRUN_OK, 1, {5, 5, 5, 5}}, {"1023", FRUN_OK, 1, {1023, 1023, 1023, 1023}},
        {"1024", FRUN_E_LIMIT, 0, {0}},        {"0-99999999999", FRUN_E_LIMIT, 0, {0}},
        {"", FRUN_E_SYNTAX, 0, {0}},           {",", FRUN_E_SYNTAX, 0, {0}},
        {"1,", FRUN_E_SYNTAX, 0, {0}},         {"3-1", FRUN_E_SYNTAX, 0, {0}},
        {"1-", FRUN_E_SYNTAX, 0, {0}},         {"-1", FRUN_E_SYNTAX, 0, {0}},
        {"1-2-3", FRUN_E_SYNTAX, 0, {0}},      {"1-2-", FRUN_E_SYNTAX, 0, {0}},
        {"0x1", FRUN_E_SYNTAX, 0, {0}},        {"all", FRUN_E_SYNTAX, 0, {0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        frun_err err = cpus_parse(span_of(rows[i].text), &set);
        if (err != rows[i].want || CPU_COUNT(&set) != rows[i].count) {
            fail_msg("\"%s\": %d, %d CPUs", rows[i].text, err, CPU_COUNT(&set));
        }
        for (unsigned k = 0; !err && k < 4; k++) {
            assert_int_equal(cpus_pick(&set, k), rows[i].picks[k]);
        }
    }
}

static void test_pick_of_none(void **state)
{
    (void)state;
    cpu_set_t set;
    CPU_ZERO(&set);
    assert_int_equal(cpus_pick(&set, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse),
                                       cmocka_unit_test(test_pick_of_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
