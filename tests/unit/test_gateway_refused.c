/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/refused.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct step {
    uint64_t at_ms;
    size_t want; /* what the line counts; 0: no line */
};

static void check(const char *label, unsigned most, const struct step *steps, size_t n)
{
    struct refused r = {0};
    for (size_t i = 0; i < n; i++) {
        size_t count = 0;
        bool is_told = refused_is_told(&r, steps[i].at_ms, most, &count);
        if (is_told != (steps[i].want > 0) || count != steps[i].want) {
            fail_msg("%s, step %zu: told %d, count %zu, want %zu", label, i, is_told, count,
                     steps[i].want);
        }
    }
}

static void some_lines_then_a_number(void **state)
{
    (void)state;
    static const struct step one[] = {{0, 1},     {1, 0},     {9999, 0}, {10000, 3},
                                      {10001, 0}, {60000, 2}, {60001, 0}};
    static const struct step three[] = {{5000, 1},  {5000, 1},  {6000, 1},  {7000, 0}, {14999, 0},
                                        {15000, 3}, {15000, 1}, {24999, 1}, {24999, 0}};
    check("one in a window", 1, one, sizeof(one) / sizeof(one[0]));
    check("three in a window", 3, three, sizeof(three) / sizeof(three[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(some_lines_then_a_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
