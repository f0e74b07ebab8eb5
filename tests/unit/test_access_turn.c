/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/access/turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
    struct loop *loop;
    struct quota_set *set;
    struct turn_terms terms;
    size_t n_waiting;
    enum turn_result told;
    struct turn turns[5];
};

static struct bench b;

static void on_turn(struct turn *t, enum turn_result result)
{
    (void)t;
    b.told = result;
    loop_stop(b.loop);
}

static void set_up(uint64_t per_second, uint64_t pushers, uint64_t endpoints, uint64_t hold_ms)
{
    b = (struct bench){.told = TURN_PENDING};
    assert_int_equal(loop_new(&b.loop), FRUN_OK);
    assert_int_equal(quota_set_new(2, 1, &b.set), FRUN_OK);
    quota_set_loop(b.set, 0, b.loop);
    struct quota_limits lim = {per_second, 1, pushers};
    quota_set_limits(b.set, 0, &lim);
    lim = (struct quota_limits){.in_flight = endpoints};
    quota_set_limits(b.set, 1, &lim);
    b.terms = (struct turn_terms){
        .loop = b.loop, .hold_ms = hold_ms, .n_waiting = &b.n_waiting, .max_waiting = 2};
    for (size_t i = 0; i < 5; i++) {
        turn_init(&b.turns[i], on_turn);
        turn_end(&b.turns[i]); /* harmless */
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < 5; i++) {
        turn_end(&b.turns[i]);
    }
    assert_int_equal(b.n_waiting, 0);
    assert_int_equal(quota_in_flight(quota_get(b.set, 0)), 0);
    assert_int_equal(quota_in_flight(quota_get(b.set, 1)), 0);
    loop_free(b.loop);
    quota_set_free(b.set);
}

static enum turn_result go(size_t i)
{
    return turn_begin(&b.turns[i], &b.terms, quota_get(b.set, 0), quota_get(b.set, 1));
}

static void waits_for_a_place(void **state)
{
    (void)state;
    set_up(0, 1, 0, 5000);
    assert_int_equal(go(0), TURN_COME);
    assert_int_equal(go(1), TURN_PENDING);
    assert_int_equal(go(2), TURN_PENDING);
    assert_int_equal(b.n_waiting, 2);
    assert_int_equal(go(3), TURN_TOO_MANY_0); /* max_waiting */
    assert_int_equal(b.turns[3].retry_after_s, 5);
    turn_end(&b.turns[0]);
    loop_run(b.loop);
    assert_int_equal(b.told, TURN_COME);
    assert_false(b.turns[1].is_waiting);
    assert_true(b.turns[2].is_waiting);
    tear_down();
}

/* A flood of one customer leaves places to wait for the others. */
static void one_leaves_places_to_wait(void **state)
{
    (void)state;
    set_up(0, 0, 1, 5000);
    struct quota_limits lim = {.in_flight = 1};
    struct quota_set *other = NULL;
    assert_int_equal(quota_set_new(1, 1, &other), FRUN_OK);
    quota_set_loop(other, 0, b.loop);
    quota_set_limits(other, 0, &lim);
    b.terms.max_waiting = 4;
    assert_int_equal(go(0), TURN_COME);
    assert_int_equal(go(1), TURN_PENDING);
    assert_int_equal(go(2), TURN_PENDING);
    assert_int_equal(go(3), TURN_PENDING);
    assert_int_equal(go(4), TURN_TOO_MANY_1); /* the last place is not for it */
    assert_true(quota_enter(quota_get(other, 0), 0));
    assert_int_equal(turn_begin(&b.turns[4], &b.terms, quota_get(b.set, 0), quota_get(other, 0)),
                     TURN_PENDING);
    assert_int_equal(b.n_waiting, 4);
    turn_end(&b.turns[4]);
    quota_leave(quota_get(other, 0), 0);
    quota_set_free(other);
    tear_down();
}

static void the_second_quota_is_named(void **state)
{
    (void)state;
    set_up(0, 5, 1, 0);
    assert_int_equal(go(0), TURN_COME);
    assert_int_equal(go(1), TURN_TOO_MANY_1);
    assert_int_equal(b.turns[1].retry_after_s, 1);
    tear_down();
}

static void patience_ends(void **state)
{
    (void)state;
    set_up(0, 5, 1, 50);
    assert_int_equal(go(0), TURN_COME);
    assert_int_equal(go(1), TURN_PENDING);
    loop_run(b.loop);
    assert_int_equal(b.told, TURN_TOO_MANY_1);
    tear_down();
}

static void comes_when_the_rate_allows(void **state)
{
    (void)state;
    set_up(10, 0, 0, 150);
    assert_int_equal(go(0), TURN_COME);
    assert_int_equal(go(1), TURN_PENDING);
    assert_int_equal(go(2), TURN_TOO_FAST); /* 200 ms off */
    assert_int_equal(b.turns[2].retry_after_s, 1);
    loop_run(b.loop);
    assert_int_equal(b.told, TURN_COME);
    tear_down();
}

static void gone_while_waiting(void **state)
{
    (void)state;
    set_up(0, 1, 1, 5000);
    assert_int_equal(go(0), TURN_COME);
    assert_int_equal(go(1), TURN_PENDING);
    turn_end(&b.turns[1]);
    assert_int_equal(b.n_waiting, 0);
    turn_end(&b.turns[0]);
    assert_int_equal(go(2), TURN_COME);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_a_place),  cmocka_unit_test(the_second_quota_is_named),
        cmocka_unit_test(patience_ends),      cmocka_unit_test(comes_when_the_rate_allows),
        cmocka_unit_test(gone_while_waiting), cmocka_unit_test(one_leaves_places_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
