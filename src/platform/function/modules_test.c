/* src/platform/function/modules_test.c: a module that the store does not have is asked for ever more seldom,
 * and at once when there is reason to hope. */
#include "platform/function/modules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/assert.h"
#include "platform/function/guest_script.h"

static const struct nx_guest_kind guests = NX_GUEST_SCRIPT;

/* Answer what was asked of the loader: it is not there. How many questions that were. */
static size_t refuse_all(struct nx_modules *modules, struct nx_mailbox *loader, int64_t now_ns) {
    struct nx_message_queue queue = { 0 };
    size_t count = 0;
    struct nx_message *message;
    (void)nx_mailbox_take(loader, &queue);
    while ((message = nx_message_queue_pop(&queue)) != NULL) {
        struct nx_load *load = (struct nx_load *)(void *)message;
        load->status = nx_fail(&load->error, NX_NOT_FOUND, "there is no such object");
        const struct nx_loaded *loaded = nx_modules_take(modules, load, now_ns);
        assert_int_equal(loaded->state, NX_LOADED_LOADING);
        count++;
    }
    return count;
}

static void test_a_missing_module_is_asked_for_ever_more_seldom(void **state) {
    const struct nx_function function = { .memory_max = 1 << 20 };
    const struct nx_registered registered = { .function = &function };
    struct nx_mailbox *loader = NULL;
    struct nx_modules modules;
    int64_t now_ns = 1;
    int64_t last_ns = 0;
    size_t asked = 0;
    (void)state;
    assert_int_equal(nx_mailbox_open(16, &loader, NULL), NX_OK);
    nx_modules_init(&modules, &guests, loader, NULL, 1);
    const struct nx_loaded *loaded = nx_modules_want(&modules, &registered);
    assert_non_null(loaded);
    while (now_ns < 3600 * (int64_t)NX_NS_PER_S) {
        assert_ptr_equal(nx_modules_want(&modules, &registered), loaded); /* each event wants it */
        asked += refuse_all(&modules, loader, now_ns);
        const int64_t next_ns = nx_modules_ask_again(&modules, now_ns);
        assert_true(next_ns > now_ns && next_ns != INT64_MAX);
        assert_true(next_ns - now_ns >= last_ns);
        last_ns = next_ns - now_ns;
        now_ns = next_ns;
        assert_int_equal(nx_modules_ask_again(&modules, now_ns), INT64_MAX); /* asked */
    }
    assert_int_equal(last_ns, (int64_t)NX_MODULE_RETRY_MAX_MS * NX_NS_PER_MS);
    assert_in_range(asked, 100, 130);
    (void)refuse_all(&modules, loader, now_ns);
    nx_modules_hope(&modules);
    (void)nx_modules_ask_again(&modules, now_ns);
    assert_int_equal(refuse_all(&modules, loader, now_ns), 1);
    nx_modules_fini(&modules);
    nx_mailbox_close(loader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_module_is_asked_for_ever_more_seldom),
    };
    return cmocka_run_group_tests_name("platform/function/modules", tests, NULL, NULL);
}
