/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/list.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    char name;
    struct list node;
};

static void spell(const struct list *head, char *out)
{
    struct list *it;

    list_foreach (it, head) {
        *out++ = list_entry(it, struct thing, node)->name;
    }
    *out = '\0';
}

static void order_and_removal(void **state)
{
    struct thing a = {.name = 'a'};
    struct thing b = {.name = 'b'};
    struct thing c = {.name = 'c'};
    struct list head;
    struct list *it;
    struct list *tmp;
    char text[8];

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head));
    list_append(&head, &b.node);
    list_append(&head, &c.node);
    list_prepend(&head, &a.node);
    spell(&head, text);
    assert_string_equal(text, "abc");
    list_remove(&b.node);
    list_remove(&b.node); /* harmless when unlinked */
    spell(&head, text);
    assert_string_equal(text, "ac");
    assert_ptr_equal(list_first(&head), &a.node);
    list_foreach_safe (it, tmp, &head) {
        list_remove(it);
    }
    assert_true(list_is_empty(&head));
    assert_true(list_is_empty(&a.node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
