/**
 * What is remembered of credentials: as many as there is room for, and who gives way.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 256
#define NOW  1000U

/* As a keyed hash spreads them: neighbours have nothing in common. */
static struct memo_entry entry(unsigned n, uint64_t until_ms)
{
    struct memo_entry e = {.until_ms = until_ms, .verdict = n, .way = n % 2};
    uint64_t x = n;
    for (size_t i = 0; i < sizeof(e.tag.octets); i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        e.tag.octets[i] = (unsigned char)(x >> 56);
    }
    memcpy(e.tag.octets + 12, &n, sizeof(n));
    return e;
}

static bool is_known(struct memo *m, unsigned n, uint64_t now_ms)
{
    struct memo_entry want = entry(n, 0);
    const struct memo_entry *e = memo_find(m, &want.tag, now_ms);
    if (e) {
        assert_int_equal(e->verdict, n);
    }
    return e != NULL;
}

static void put(struct memo *m, unsigned from, unsigned to, uint64_t until_ms)
{
    for (unsigned n = from; n < to; n++) {
        struct memo_entry e = entry(n, until_ms);
        memo_put(m, &e, NOW);
    }
}

static unsigned count(struct memo *m, unsigned from, unsigned to, uint64_t now_ms)
{
    unsigned known = 0;
    for (unsigned n = from; n < to; n++) {
        known += is_known(m, n, now_ms);
    }
    return known;
}

static int set_up(void **state)
{
    return memo_new(ROOM, (struct memo **)state) == FRUN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    memo_free(*state);
    return 0;
}

static void all_are_known_while_there_is_room(void **state)
{
    assert_false(is_known(*state, 0, NOW));
    put(*state, 0, ROOM, NOW + 10);
    assert_int_equal(count(*state, 0, ROOM, NOW + 9), ROOM);
    assert_int_equal(count(*state, 0, ROOM, NOW + 10), 0);
}

static void the_same_again_takes_no_room(void **state)
{
    put(*state, 0, ROOM, NOW + 10);
    for (int i = 0; i < 5; i++) {
        put(*state, 7, 8, NOW + 20);
    }
    assert_int_equal(count(*state, 0, ROOM, NOW), ROOM);
    assert_int_equal(count(*state, 0, ROOM, NOW + 10), 1);
}

static void all_known_share_one_chain(void **state)
{
    struct memo_entry e = entry(0, NOW + 10);
    for (unsigned n = 0; n < ROOM; n++) {
        memset(e.tag.octets, 0, 4);
        memcpy(e.tag.octets + 12, &n, sizeof(n));
        e.verdict = n;
        memo_put(*state, &e, NOW);
    }
    for (unsigned n = 0; n < ROOM; n++) {
        memcpy(e.tag.octets + 12, &n, sizeof(n));
        const struct memo_entry *found = memo_find(*state, &e.tag, NOW);
        assert_non_null(found);
        assert_int_equal(found->verdict, n);
    }
    put(*state, ROOM, 4 * ROOM, NOW + 10); /* taken out of the middle of it */
    assert_in_range(count(*state, ROOM, 4 * ROOM, NOW), 1, ROOM);
}

/* Even if it is a single one, and even if its time was put later meanwhile. */
static void what_has_expired_gives_way_first(void **state)
{
    for (unsigned n = 0; n < ROOM; n++) {
        put(*state, n, n + 1, NOW + 10 + n % 2);
    }
    put(*state, ROOM, ROOM + 1, NOW + 20); /* one of the others gives way */
    assert_int_equal(count(*state, 0, ROOM + 1, NOW), ROOM);
    for (unsigned n = 0; n < ROOM; n += 2) {
        struct memo_entry e = entry(n, 0);
        struct memo_entry *found = memo_find(*state, &e.tag, NOW);
        if (found) {
            found->until_ms = NOW + 30;
        }
    }
    unsigned left = count(*state, 0, ROOM + 1, NOW + 11);
    for (unsigned n = 0; n < ROOM - left; n++) {
        struct memo_entry e = entry(2 * ROOM + n, NOW + 40);
        memo_put(*state, &e, NOW + 11);
    }
    assert_int_equal(count(*state, 0, 3 * ROOM, NOW + 11), ROOM);
    assert_int_equal(count(*state, 0, ROOM + 1, NOW + 11), left);
}

static void used_once_gives_way_before_used_again(void **state)
{
    put(*state, 0, ROOM, NOW + 10);
    assert_int_equal(count(*state, 0, ROOM / 2, NOW), ROOM / 2);
    put(*state, ROOM, 40 * ROOM, NOW + 10);
    assert_in_range(count(*state, 0, ROOM / 2, NOW), ROOM / 4, ROOM / 2);
    assert_true(is_known(*state, 40 * ROOM - 1, NOW));
}

static void one_way_is_forgotten_alone(void **state)
{
    put(*state, 0, ROOM, NOW + 10);
    memo_forget(*state, 1);
    assert_int_equal(count(*state, 0, ROOM, NOW), ROOM / 2);
    assert_true(is_known(*state, 2, NOW));
    put(*state, ROOM, ROOM + ROOM / 2, NOW + 10);
    assert_int_equal(count(*state, 0, ROOM + ROOM / 2, NOW), ROOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_are_known_while_there_is_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_again_takes_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_known_share_one_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_expired_gives_way_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(used_once_gives_way_before_used_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_way_is_forgotten_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
