/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/heap.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

/* CPU between two looks. */
#define BUSY  (HEAP_QUIET_CPU_MS + 1)
#define QUIET HEAP_QUIET_CPU_MS

/* Looks of one life, in order; at a true the process gave back all but what the next look says. */
static void too_much_is_seen_twice(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        size_t resident_mib, used_mib;
        bool want;
        unsigned cpu_ms;
    } rows[] = {
        {"at rest", 5, 2, false, BUSY},
        {"many connections", 90, 80, false, BUSY},
        {"still there", 90, 80, false, BUSY},
        {"they left", 90, 2, false, BUSY},
        {"and did not come again", 90, 2, true, BUSY},
        {"what is pinned does not count again", 25, 2, false, BUSY},
        {"nor later", 27, 2, false, BUSY},
        {"other connections use it", 27, 20, false, BUSY},
        {"more of them", 60, 50, false, BUSY},
        {"they left for a moment", 60, 20, false, BUSY},
        {"and are back", 60, 50, false, BUSY},
        {"gone again", 60, 20, false, BUSY},
        {"and away", 60, 20, true, BUSY},
        {"half is given back", 45, 20, false, BUSY},
        {"the others leave too", 45, 2, false, BUSY},
        {"for good", 45, 2, true, BUSY},
        {"all pages but pinned ones", 25, 2, false, BUSY},
        {"a little more resident than ever at rest", 12, 2, false, BUSY},
        {"is left alone", 12, 2, false, BUSY},
        {"also when it becomes quiet", 12, 2, false, QUIET},
        {"a burst", 30, 20, false, BUSY},
        {"its buffers are free", 30, 17, false, QUIET},
        {"and it stays quiet: even a little goes", 30, 17, true, QUIET},
        {"a page here and there stays", 19, 17, false, QUIET},
        {"the next burst", 30, 24, false, BUSY},
        {"is over", 30, 21, false, QUIET},
        {"but another one follows", 30, 21, false, BUSY},
        {"quiet for one look", 30, 21, false, QUIET},
        {"and for two", 30, 21, true, QUIET},
    };
    struct heap_watch w = {0};
    struct heap_state now = {.resident = rows[0].resident_mib * MIB,
                             .used = rows[0].used_mib * MIB};
    bool gave = false;
    heap_watch_begin(&w, now);
    for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++) {
        now.resident = rows[i].resident_mib * MIB;
        now.used = rows[i].used_mib * MIB;
        now.cpu_ms += rows[i].cpu_ms;
        if (gave) {
            heap_watch_gave(&w, now);
        }
        gave = heap_watch_judge(&w, now);
        if (gave != rows[i].want) {
            fail_msg("%s: %d", rows[i].label, gave);
        }
    }
}

#define CONNECTIONS 3000

/* A burst whose blocks lie between small ones that stay: free memory is nowhere at the end. */
static void a_burst_is_given_back(void **state)
{
    (void)state;
    static void *stays[CONNECTIONS];
    static void *leaves[CONNECTIONS];
    struct heap_state before;
    struct heap_state now;
    struct heap_watch w = {0};
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* it keeps freed memory on purpose */
#endif
    if (!heap_read(&before)) {
        skip();
    }
    heap_watch_begin(&w, before);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        leaves[i] = malloc(15000);
        stays[i] = malloc(40);
        assert_true(leaves[i] && stays[i]);
        memset(leaves[i], 'x', 15000);
    }
    assert_true(heap_read(&now));
    assert_true(now.resident > before.resident + CONNECTIONS * (size_t)15000 - MIB);
    assert_false(heap_watch_judge(&w, now));
    assert_false(heap_watch_judge(&w, now));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        free(leaves[i]);
    }
    assert_true(heap_read(&now));
    assert_false(heap_watch_judge(&w, now));
    assert_true(heap_watch_judge(&w, now));
    heap_give_back();
    assert_true(heap_read(&now));
    heap_watch_gave(&w, now);
    /* At most the page of each small block and its neighbour. */
    assert_true(now.resident < before.resident + CONNECTIONS * (size_t)8192);
    assert_false(heap_watch_judge(&w, now));
    assert_false(heap_watch_judge(&w, now));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        free(stays[i]);
    }
}

static void it_starts_and_stops(void **state)
{
    (void)state;
    struct loop *l = NULL;
    struct heap_watch w = {0};
    assert_int_equal(loop_new(&l), FRUN_OK);
    heap_watch_stop(&w); /* never started */
    heap_watch_start(&w, l);
    heap_watch_stop(&w);
    heap_watch_stop(&w);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(too_much_is_seen_twice),
                                       cmocka_unit_test(a_burst_is_given_back),
                                       cmocka_unit_test(it_starts_and_stops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
