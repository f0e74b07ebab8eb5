/**
 * The processors' time: never more than all of it, however short the moment between two looks is.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/connector/connector_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_cpu_shares(void **state)
{
    static const struct {
        const char *label;
        struct connector_cpu was, now;
        double total, ours;
    } rows[] = {
        {"since the start", {0, 0, 0}, {1000, 600, 100}, 40.0, 10.0},
        {"since the call before", {1000, 600, 100}, {1100, 650, 125}, 50.0, 25.0},
        {"nothing to do", {1000, 600, 100}, {1100, 700, 100}, 0.0, 0.0},
        {"no tick at all", {1000, 600, 100}, {1000, 600, 100}, 0.0, 0.0},
        {"ours is counted already", {1000, 600, 100}, {1000, 600, 102}, 0.0, 0.0},
        {"more of ours than of all", {1000, 600, 100}, {1001, 600, 102}, 100.0, 100.0},
        {"more of ours than busy", {1000, 600, 100}, {1004, 603, 102}, 25.0, 25.0},
        {"waiting for disks was corrected", {1000, 600, 100}, {1004, 599, 101}, 0.0, 0.0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double total = -1;
        double ours = -1;
        connector_cpu_shares(&rows[i].was, &rows[i].now, &total, &ours);
        if (total < rows[i].total || total > rows[i].total || ours < rows[i].ours ||
            ours > rows[i].ours) {
            fail_msg("%s: %f, %f", rows[i].label, total, ours);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cpu_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
