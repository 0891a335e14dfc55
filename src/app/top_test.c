/* src/app/top_test.c: figures are those of the time between two looks, and a screen never outgrows its
 * terminal. */
#include "app/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char functions[] =
    "{\"functions\":["
    "{\"name\":\"slow\",\"condition\":\"busy\",\"pending\":12,\"retrying\":1,"
    "\"dead_letters\":2},"
    "{\"name\":\"a-function-with-quite-a-long-name\",\"condition\":\"idle\",\"pending\":0,"
    "\"retrying\":0,\"dead_letters\":0}]}";

/* `calls` of them good, one in ten below 1 ms, the rest below 2 ms. */
static void read_look(struct nx_top_look *look, int calls, int failed, int64_t at_s) {
    char metrics[4096];
    (void)snprintf(metrics, sizeof metrics,
                   "# HELP nexus_events_total x\n# TYPE nexus_events_total counter\n"
                   "nexus_events_total{type=\"a\"} %d\nnexus_events_total{type=\"other\"} 5\n"
                   "nexus_function_attempts_total{function=\"slow\",status=\"ok\"} %d\n"
                   "nexus_function_attempts_total{function=\"slow\",status=\"failed\"} %d\n"
                   "nexus_function_attempts_total{function=\"unknown\",status=\"ok\"} 7\n"
                   "nexus_function_duration_seconds_bucket{function=\"slow\",le=\"0.001\"} %d\n"
                   "nexus_function_duration_seconds_bucket{function=\"slow\",le=\"0.002\"} %d\n"
                   "nexus_function_duration_seconds_bucket{function=\"slow\",le=\"+Inf\"} %d\n"
                   "nexus_function_duration_seconds_count{function=\"slow\"} %d\n"
                   "nexus_function_memory_bytes_sum{function=\"slow\"} %d\n"
                   "nexus_function_memory_bytes_count{function=\"slow\"} %d\n"
                   "nexus_function_fuel_total{function=\"slow\"} %d\nnexus_http_connections 3\ngarbage {\n",
                   calls, calls, failed, calls / 10, calls, calls, calls, calls * 65536, calls, calls * 1500);
    assert_int_equal(
        nx_top_look_read(nx_str_from_c(metrics), nx_str_from_c(functions), at_s * 1000000000, look, NULL),
        NX_OK);
}

struct world {
    struct nx_top_look before;
    struct nx_top_look now;
    struct nx_top_table table;
};

static void world_open(struct world *world) {
    read_look(&world->before, 1000, 0, 10);
    read_look(&world->now, 1100, 10, 12);
    assert_int_equal(nx_top_compare(&world->before, &world->now, &world->table, NULL), NX_OK);
    nx_top_sort(&world->table, NX_TOP_CALLS, false);
}

static void world_close(struct world *world) {
    nx_top_table_fini(&world->table);
    nx_top_look_fini(&world->before);
    nx_top_look_fini(&world->now);
}

static void test_figures_are_of_the_time_between_two_looks(void **state) {
    struct world world;
    (void)state;
    world_open(&world);
    const struct nx_top_row *row = &world.table.rows[0];
    assert_int_equal(world.table.row_count, 2);
    assert_true(nx_str_is(row->name, "slow"));
    assert_true(row->calls_per_s == 55);
    assert_true(row->failures_per_s == 5);
    assert_true(world.table.events_per_s == 50);
    assert_true(row->p50_s > 0.0014 && row->p50_s < 0.0015); /* the 40th of the 90 in that bucket */
    assert_true(row->p99_s > 0.0019 && row->p99_s <= 0.002);
    assert_true(row->memory == 65536);
    assert_true(row->fuel > 1360 && row->fuel < 1370); /* 150,000 over 110 */
    assert_int_equal(row->queue, 12);
    assert_true(world.table.rows[1].p99_s < 0);
    world_close(&world);
}

static void test_a_server_that_began_anew_does_not_give_nonsense(void **state) {
    struct world world;
    (void)state;
    read_look(&world.before, 1000, 50, 10);
    read_look(&world.now, 20, 0, 12);
    assert_int_equal(nx_top_compare(&world.before, &world.now, &world.table, NULL), NX_OK);
    assert_true(world.table.rows[0].calls_per_s == 10);
    assert_true(world.table.rows[0].p50_s > 0);
    world_close(&world);
}

static void test_sorts_by_any_column_either_way(void **state) {
    struct world world;
    (void)state;
    world_open(&world);
    nx_top_sort(&world.table, NX_TOP_NAME, false);
    assert_true(nx_str_is(world.table.rows[1].name, "slow"));
    nx_top_sort(&world.table, NX_TOP_NAME, true);
    assert_true(nx_str_is(world.table.rows[0].name, "slow"));
    for (int i = NX_TOP_CALLS; i < NX_TOP_COLUMN_COUNT; i++) {
        enum nx_top_column column = NX_TOP_NAME;
        assert_true(nx_top_column_parse(nx_str_from_c(nx_top_column_name((enum nx_top_column)i)), &column));
        assert_int_equal(column, i);
        nx_top_sort(&world.table, column, false);
        assert_true(nx_str_is(world.table.rows[0].name, "slow"));
        nx_top_sort(&world.table, column, true);
        assert_true(nx_str_is(world.table.rows[1].name, "slow"));
    }
    world_close(&world);
}

/* Width and height of what is drawn. */
static void measure(struct nx_str text, size_t *width_out, size_t *height_out) {
    struct nx_str line;
    *width_out = *height_out = 0;
    while (nx_str_split(&text, '\n', &line)) {
        *width_out = line.len > *width_out ? line.len : *width_out;
        (*height_out)++;
    }
}

static void test_a_screen_fills_its_terminal_and_never_more(void **state) {
    struct world world;
    (void)state;
    world_open(&world);
    for (size_t width = 1; width < 140; width++) {
        for (size_t height = 1; height < 30; height += 4) {
            NX_AUTO(nx_buf) out;
            size_t drawn_width;
            size_t drawn_height;
            const struct nx_top_view view = { .width = width,
                                              .height = height,
                                              .sorted = NX_TOP_CALLS,
                                              .is_help = width % 7 == 0,
                                              .where = NX_STR("my-app http://127.0.0.1:8080"),
                                              .trouble = NX_STR_EMPTY };
            nx_buf_init(&out, 1 << 20);
            nx_top_draw(&out, &world.table, &view);
            measure(nx_buf_str(&out), &drawn_width, &drawn_height);
            assert_true(drawn_width <= width);
            assert_int_equal(drawn_height, height);
        }
    }
    world_close(&world);
}

static void test_what_matters_least_is_left_out_first(void **state) {
    struct world world;
    NX_AUTO(nx_buf) wide;
    NX_AUTO(nx_buf) narrow;
    struct nx_top_view view = { .where = NX_STR("x"), .trouble = NX_STR_EMPTY };
    (void)state;
    world_open(&world);
    nx_buf_init(&wide, 1 << 20);
    nx_buf_init(&narrow, 1 << 20);
    nx_top_draw(&wide, &world.table, &view);
    assert_true(nx_str_find(nx_buf_str(&wide), NX_STR("RETRY")) != SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(&wide), NX_STR("   64.0K      12      1      2\n")) != SIZE_MAX);
    view.width = 60;
    nx_top_draw(&narrow, &world.table, &view);
    assert_true(nx_str_find(nx_buf_str(&narrow), NX_STR("CALLS/S")) != SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(&narrow), NX_STR("P99")) != SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(&narrow), NX_STR("RETRY")) == SIZE_MAX);
    world_close(&world);
}

static void test_json_says_null_for_what_is_not_known(void **state) {
    struct world world;
    NX_AUTO(nx_buf) out;
    (void)state;
    world_open(&world);
    nx_buf_init(&out, 1 << 20);
    nx_top_write_json(&out, &world.table);
    assert_true(nx_str_find(nx_buf_str(&out), NX_STR("\"p99_us\":null")) != SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(&out), NX_STR("\"calls_per_s\":55.000")) != SIZE_MAX);
    world_close(&world);
}

static void test_an_answer_of_something_else_is_refused(void **state) {
    struct nx_top_look look;
    (void)state;
    assert_int_equal(nx_top_look_read(NX_STR_EMPTY, NX_STR("{}"), 1, &look, NULL), NX_DATA_LOSS);
    nx_top_look_fini(&look);
    assert_int_not_equal(nx_top_look_read(NX_STR_EMPTY, NX_STR("<html>"), 1, &look, NULL), NX_OK);
    nx_top_look_fini(&look);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_of_the_time_between_two_looks),
        cmocka_unit_test(test_a_server_that_began_anew_does_not_give_nonsense),
        cmocka_unit_test(test_sorts_by_any_column_either_way),
        cmocka_unit_test(test_a_screen_fills_its_terminal_and_never_more),
        cmocka_unit_test(test_what_matters_least_is_left_out_first),
        cmocka_unit_test(test_json_says_null_for_what_is_not_known),
        cmocka_unit_test(test_an_answer_of_something_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
