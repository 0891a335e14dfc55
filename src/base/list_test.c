/* src/base/list_test.c: order is kept, and a node may be removed at any time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct nx_list_node node;
};

static int value_of(struct nx_list_node *node) {
    return node == NULL ? 0 : nx_container_of(node, struct item, node)->value;
}

/* The values in order, as the digits of a number. */
static int digits(const struct nx_list *list) {
    int number = 0;
    for (struct nx_list_node *node = nx_list_first(list); node != NULL; node = nx_list_next(list, node)) {
        number = number * 10 + value_of(node);
    }
    return number;
}

static void test_keeps_order(void **state) {
    (void)state;
    struct item items[5] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 }, { .value = 5 } };
    struct nx_list list;
    nx_list_init(&list);
    assert_true(nx_list_is_empty(&list));
    nx_list_append(&list, &items[1].node);
    nx_list_append(&list, &items[2].node);
    nx_list_prepend(&list, &items[0].node);
    nx_list_append(&list, &items[4].node);
    nx_list_insert_before(&list, &items[4].node, &items[3].node);
    assert_int_equal(digits(&list), 12345);
    nx_list_remove(&list, &items[2].node);
    nx_list_remove(&list, &items[2].node); /* not in it any more: nothing happens */
    assert_int_equal(digits(&list), 1245);
    assert_int_equal(list.count, 4);
    assert_int_equal(value_of(nx_list_take_first(&list)), 1);
    nx_list_append(&list, &items[0].node); /* a node can come back */
    assert_int_equal(digits(&list), 2451);
}

static void test_moves_all(void **state) {
    (void)state;
    struct item items[4] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
    struct nx_list to;
    struct nx_list from;
    nx_list_init(&to);
    nx_list_init(&from);
    nx_list_move_all(&to, &from);
    assert_true(nx_list_is_empty(&to));
    nx_list_append(&from, &items[0].node);
    nx_list_append(&from, &items[1].node);
    nx_list_move_all(&to, &from);
    nx_list_append(&from, &items[2].node);
    nx_list_append(&from, &items[3].node);
    nx_list_move_all(&to, &from);
    assert_true(nx_list_is_empty(&from));
    assert_null(nx_list_take_first(&from));
    assert_int_equal(digits(&to), 1234);
    nx_list_remove(&to, &items[3].node);
    nx_list_append(&to, &items[3].node);
    assert_int_equal(digits(&to), 1234);
    assert_int_equal(to.count, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_order),
        cmocka_unit_test(test_moves_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
