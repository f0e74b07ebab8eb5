/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/gateway/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* A place lives as long as somebody names it; what is freed too early or never, ASan tells. */
static void places_go_with_their_last_name(void **state)
{
    const struct h2_settings set = {0};
    struct loop *loop = NULL;
    struct hub *hub = NULL;
    struct hub_location *a = NULL;
    struct hub_location *b = NULL;
    struct hub_location *again = NULL;
    (void)state;
    assert_int_equal(loop_new(&loop), FRUN_OK);
    assert_int_equal(hub_new(loop, &set, NULL, NULL, &hub), FRUN_OK);
    assert_int_equal(hub_locate(hub, SPAN_LIT("DC1"), &a), FRUN_OK);
    assert_int_equal(hub_locate(hub, SPAN_LIT(""), &b), FRUN_OK);
    assert_int_equal(hub_locate(hub, SPAN_LIT("DC1"), &again), FRUN_OK);
    assert_ptr_equal(a, again);
    assert_ptr_not_equal(a, b);
    hub_leave(a);
    assert_false(hub_has(again));
    hub_leave(again);
    hub_leave(NULL);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "DC%d", i);
        assert_int_equal(hub_locate(hub, span_of(name), &a), FRUN_OK);
        assert_int_equal(hub_places(hub), 2);
        hub_leave(a);
    }
    hub_leave(b);
    assert_int_equal(hub_places(hub), 0);
    hub_free(hub);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(places_go_with_their_last_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
