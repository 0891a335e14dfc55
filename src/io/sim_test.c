/* src/io/sim_test.c: the simulated world is as bad as a real one may be, no worse, and always the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "io/sim.h"

enum { SEEDS = 200 };

static struct nx_sim *sim_new(uint64_t seed) {
    struct nx_sim *sim = NULL;
    const struct nx_sim_options options = { .seed = seed };
    assert_int_equal(nx_sim_open(&options, &sim, NULL), NX_OK);
    return sim;
}

static struct nx_file *open_file(struct nx_sim *sim, const char *path, enum nx_file_flags flags) {
    struct nx_file *file = NULL;
    assert_int_equal(nx_file_open(nx_sim_disk(sim), path, flags, &file, NULL), NX_OK);
    return file;
}

/** A file whose name is durable. */
static struct nx_file *create_file(struct nx_sim *sim, const char *path) {
    struct nx_file *file = open_file(sim, path, NX_FILE_CREATE);
    assert_int_equal(nx_disk_sync_directory(nx_sim_disk(sim), "/", NULL), NX_OK);
    return file;
}

static void write_text(struct nx_file *file, uint64_t offset, const char *text) {
    const struct nx_str part = nx_str_from_c(text);
    assert_int_equal(nx_file_write_at(file, offset, &part, 1, NULL), NX_OK);
}

static void lose_power(struct nx_sim *sim) {
    nx_sim_crash(sim, NX_SIM_POWER_LOSS);
    nx_sim_boot(sim);
}

/** The content into `content`; false when there is no such file. */
static bool read_file(struct nx_sim *sim, const char *path, struct nx_buf *content) {
    nx_buf_reset(content);
    const enum nx_status status = nx_disk_read_file(nx_sim_disk(sim), path, content, NULL);
    assert_true(status == NX_OK || status == NX_NOT_FOUND);
    return status == NX_OK;
}

static void assert_content(struct nx_sim *sim, const char *path, const char *expected) {
    NX_AUTO(nx_buf) content;
    nx_buf_init(&content, 1 << 20);
    assert_true(read_file(sim, path, &content));
    assert_true(nx_str_is(nx_buf_str(&content), expected));
}

/* ---- loss of power ---- */

static void test_what_was_synced_survives_every_loss_of_power(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        NX_AUTO(nx_sim) *sim = sim_new(seed);
        struct nx_file *file = create_file(sim, "a");
        write_text(file, 0, "hello world");
        assert_int_equal(nx_file_truncate(file, 5, NULL), NX_OK);
        assert_int_equal(nx_file_sync(file, NULL), NX_OK);
        lose_power(sim);
        assert_content(sim, "a", "hello");
        nx_file_close(file);
        lose_power(sim);
        assert_content(sim, "a", "hello");
    }
}

static void test_what_was_not_synced_is_kept_dropped_or_torn(void **state) {
    size_t kept = 0;
    size_t dropped = 0;
    size_t torn = 0;
    size_t sectors_missing = 0;
    char bytes[4096];
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1 << 20);
    memset(bytes, 'x', sizeof bytes);
    const struct nx_str part = nx_str_of(bytes, sizeof bytes);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        NX_AUTO(nx_sim) *sim = sim_new(seed);
        NX_AUTO(nx_file) *file = create_file(sim, "a");
        assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
        lose_power(sim);
        assert_true(read_file(sim, "a", &content));
        size_t written = 0;
        size_t changes = 0;
        for (size_t i = 0; i < content.len; i++) {
            assert_true(content.ptr[i] == 'x' || content.ptr[i] == 0); /* nothing is invented */
            written += content.ptr[i] == 'x' ? 1 : 0;
            changes += i > 0 && content.ptr[i] != content.ptr[i - 1] ? 1 : 0;
        }
        kept += written == sizeof bytes ? 1 : 0;
        dropped += written == 0 ? 1 : 0;
        torn += written > 0 && written < sizeof bytes ? 1 : 0;
        sectors_missing += changes > 1 ? 1 : 0;
    }
    assert_true(kept > SEEDS / 20);
    assert_true(dropped > SEEDS / 20);
    assert_true(torn > SEEDS / 20);
    assert_true(sectors_missing > 0);
}

static void test_later_writes_may_survive_earlier_ones(void **state) {
    size_t reordered = 0;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1 << 20);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        NX_AUTO(nx_sim) *sim = sim_new(seed);
        NX_AUTO(nx_file) *file = create_file(sim, "a");
        write_text(file, 0, "first");
        write_text(file, 8192, "second");
        lose_power(sim);
        assert_true(read_file(sim, "a", &content));
        const struct nx_str all = nx_buf_str(&content);
        reordered += nx_str_ends_with(all, NX_STR("second")) && !nx_str_starts_with(all, NX_STR("first"));
    }
    assert_true(reordered > 0);
}

static void test_a_name_is_safe_only_after_the_directory_sync(void **state) {
    size_t lost = 0;
    size_t kept = 0;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1 << 20);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        NX_AUTO(nx_sim) *sim = sim_new(seed);
        nx_file_close(create_file(sim, "safe"));
        NX_AUTO(nx_file) *new = open_file(sim, "new", NX_FILE_CREATE);
        write_text(new, 0, "hello");
        assert_int_equal(nx_file_sync(new, NULL), NX_OK); /* of the bytes, not of the name */
        lose_power(sim);
        assert_true(read_file(sim, "safe", &content));
        if (read_file(sim, "new", &content)) {
            kept++;
            assert_true(nx_str_is(nx_buf_str(&content), "hello"));
        } else {
            lost++;
        }
    }
    assert_true(lost > SEEDS / 10);
    assert_true(kept > SEEDS / 10);
}

/** Replace "a" and crash at the given operation; false when it was done before that. */
static bool crash_while_replacing(uint64_t seed, uint64_t operation, enum nx_sim_crash how) {
    NX_AUTO(nx_sim) *sim = sim_new(seed);
    NX_AUTO(nx_buf) content;
    nx_buf_init(&content, 1 << 20);
    assert_int_equal(nx_disk_write_file(nx_sim_disk(sim), "/a", NX_STR("the old one"), NULL), NX_OK);
    nx_sim_set_faults(sim, &(struct nx_sim_faults){ .crash_at = operation, .crash_how = how });
    const enum nx_status status = nx_disk_write_file(nx_sim_disk(sim), "/a", NX_STR("and the new one"), NULL);
    const bool has_crashed = nx_sim_has_crashed(sim);
    assert_int_equal(status == NX_OK, !has_crashed);
    if (!has_crashed) {
        nx_sim_crash(sim, how);
    }
    nx_sim_boot(sim);
    assert_true(read_file(sim, "/a", &content));
    assert_true(nx_str_is(nx_buf_str(&content), "and the new one") ||
                (has_crashed && nx_str_is(nx_buf_str(&content), "the old one")));
    return has_crashed;
}

static void test_replacing_a_file_leaves_the_old_or_the_new_at_every_crash(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint64_t operation = 1;
        while (crash_while_replacing(seed, operation, NX_SIM_POWER_LOSS)) {
            operation++;
        }
        assert_true(operation > 4);
        for (operation = 1; crash_while_replacing(seed, operation, NX_SIM_KILL); operation++) {
        }
    }
}

/* ---- other crashes and faults ---- */

static void test_a_kill_keeps_what_was_written_and_frees_the_lock(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    struct nx_disk *disk = nx_sim_disk(sim);
    struct nx_disk_lock *lock = NULL;
    struct nx_disk_lock *again = NULL;
    uint64_t holder_pid = 0;
    NX_AUTO(nx_file) *file = open_file(sim, "a", NX_FILE_CREATE);
    (void)state;
    write_text(file, 0, "hello");
    assert_int_equal(nx_disk_lock(disk, "/lock", &lock, &holder_pid, NULL), NX_OK);
    nx_sim_crash(sim, NX_SIM_KILL);
    nx_sim_boot(sim);
    assert_content(sim, "a", "hello");
    assert_int_equal(nx_disk_lock(disk, "/lock", &again, &holder_pid, NULL), NX_OK);
    nx_disk_unlock(lock); /* the dead process's: frees nothing but memory */
    assert_int_equal(nx_disk_lock(disk, "/lock", &lock, &holder_pid, NULL), NX_FAILED_PRECONDITION);
    nx_disk_unlock(again);
}

static void test_a_dead_process_cannot_tidy_up(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    struct nx_disk *disk = nx_sim_disk(sim);
    NX_AUTO(nx_file) *file = create_file(sim, "a");
    const struct nx_str part = NX_STR("x");
    (void)state;
    nx_sim_crash(sim, NX_SIM_KILL);
    assert_int_equal(nx_disk_write_file(disk, "/clean", NX_STR("yes"), NULL), NX_UNAVAILABLE);
    nx_sim_boot(sim);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_UNAVAILABLE);
    assert_int_equal(nx_file_sync(file, NULL), NX_UNAVAILABLE);
    assert_content(sim, "a", "");
}

static void test_a_failed_sync_may_lose_what_reads_still_show(void **state) {
    size_t lost = 0;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1 << 20);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        NX_AUTO(nx_sim) *sim = sim_new(seed);
        NX_AUTO(nx_file) *file = create_file(sim, "a");
        write_text(file, 0, "hello");
        nx_sim_set_faults(sim, &(struct nx_sim_faults){ .fail_sync_at = 1 });
        assert_int_equal(nx_file_sync(file, NULL), NX_UNAVAILABLE);
        assert_content(sim, "a", "hello");
        assert_int_equal(nx_file_sync(file, NULL), NX_OK); /* a lie, as Linux tells it */
        lose_power(sim);
        assert_true(read_file(sim, "a", &content));
        lost += nx_str_is(nx_buf_str(&content), "hello") ? 0 : 1;
    }
    assert_true(lost > SEEDS / 10);
    assert_true(lost < SEEDS);
}

static void test_a_full_disk_refuses_and_has_room_again(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    NX_AUTO(nx_file) *file = create_file(sim, "a");
    struct nx_error err = { 0 };
    uint64_t free_size = 0;
    char bytes[10000];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    const struct nx_str part = nx_str_of(bytes, sizeof bytes);
    nx_sim_set_disk_size(sim, 4 * 4096); /* one block holds the boot id */
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
    assert_int_equal(nx_disk_space(nx_sim_disk(sim), "/", &free_size, NULL), NX_OK);
    assert_int_equal(free_size, 0);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK); /* takes no new space */
    assert_int_equal(nx_file_write_at(file, sizeof bytes, &part, 1, &err), NX_RESOURCE_EXHAUSTED);
    assert_int_equal(err.kind, NX_KIND_DISK_FULL);
    assert_int_equal(nx_file_preallocate(file, 100000, &err), NX_RESOURCE_EXHAUSTED);
    assert_int_equal(nx_file_punch_hole(file, 0, 8192, NULL), NX_OK);
    assert_int_equal(nx_disk_space(nx_sim_disk(sim), "/", &free_size, NULL), NX_OK);
    assert_int_equal(free_size, 8192);
    nx_sim_set_disk_size(sim, 1 << 20);
    assert_int_equal(nx_file_preallocate(file, 100000, &err), NX_OK);
}

static void test_preallocated_space_is_never_refused_later(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    NX_AUTO(nx_file) *file = create_file(sim, "a");
    (void)state;
    assert_int_equal(nx_file_preallocate(file, 40960, NULL), NX_OK);
    nx_sim_set_disk_size(sim, 0);
    write_text(file, 40000, "hello");
}

static void test_faults_come_at_the_operation_asked_for(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    NX_AUTO(nx_file) *file = create_file(sim, "a");
    const struct nx_str part = NX_STR("x");
    char byte;
    size_t len;
    (void)state;
    nx_sim_set_faults(sim, &(struct nx_sim_faults){ .fail_write_at = 2, .fail_read_at = 1 });
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_UNAVAILABLE);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
    assert_int_equal(nx_file_read_at(file, 0, &byte, 1, &len, NULL), NX_UNAVAILABLE);
    assert_int_equal(nx_file_read_at(file, 0, &byte, 1, &len, NULL), NX_OK);
    nx_sim_set_faults(sim, &(struct nx_sim_faults){ .write_failure_ppm = 1000000 });
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_UNAVAILABLE);
}

static void test_the_boot_id_changes_with_the_power_only(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    NX_AUTO(nx_buf) first;
    NX_AUTO(nx_buf) second;
    const char *path = "/proc/sys/kernel/random/boot_id";
    (void)state;
    nx_buf_init(&first, 100);
    nx_buf_init(&second, 100);
    assert_true(read_file(sim, path, &first));
    nx_sim_crash(sim, NX_SIM_KILL);
    nx_sim_boot(sim);
    assert_true(read_file(sim, path, &second));
    assert_true(nx_str_equal(nx_buf_str(&first), nx_buf_str(&second)));
    lose_power(sim);
    assert_true(read_file(sim, path, &second));
    assert_false(nx_str_equal(nx_buf_str(&first), nx_buf_str(&second)));
}

static void test_rot_shows(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    NX_AUTO(nx_file) *file = create_file(sim, "a");
    (void)state;
    write_text(file, 0, "hello");
    assert_int_equal(nx_file_sync(file, NULL), NX_OK);
    assert_true(nx_sim_flip_bits(sim, "a", 0, 'h' ^ 'j'));
    assert_false(nx_sim_flip_bits(sim, "a", 5, 1));
    assert_content(sim, "a", "jello");
    lose_power(sim);
    assert_content(sim, "a", "jello");
}

/* ---- the scheduler ---- */

/* An actor that passes messages on to its peer, writes to the disk, and sleeps by chance. */
struct player {
    struct nx_mailbox *mailbox;
    struct nx_mailbox *peer;
    struct nx_file *file;
    struct nx_random random;
    size_t step_count;
    size_t message_count;
};

static void message_release(struct nx_message *message) {
    free(message);
}

static int64_t player_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct player *player = state;
    struct nx_message *message;
    player->step_count++;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        const struct nx_str part = nx_str_of(&now, sizeof now);
        player->message_count++;
        if (nx_file_write_at(player->file, player->message_count * 16, &part, 1, NULL) != NX_OK ||
            nx_file_sync(player->file, NULL) != NX_OK || !nx_mailbox_send(player->peer, message)) {
            nx_message_release(message);
        }
    }
    return nx_random_u64(&player->random) % 4 == 0 ? now.monotonic_ns + NX_NS_PER_MS : NX_STEP_IDLE;
}

struct game {
    struct nx_sim *sim;
    struct player players[2];
};

static void game_open(struct game *game, uint64_t seed) {
    game->sim = sim_new(seed);
    for (size_t i = 0; i < 2; i++) {
        game->players[i] = (struct player){ .random = nx_sim_random(game->sim) };
        assert_int_equal(nx_mailbox_open(10, &game->players[i].mailbox, NULL), NX_OK);
        game->players[i].file = open_file(game->sim, i == 0 ? "a" : "b", NX_FILE_CREATE);
    }
    for (size_t i = 0; i < 2; i++) {
        struct nx_message *message = calloc(1, sizeof *message);
        struct player *player = &game->players[i];
        assert_non_null(message);
        assert_non_null(message);
        message->release = message_release;
        player->peer = game->players[1 - i].mailbox;
        assert_true(nx_mailbox_send(player->mailbox, message));
        nx_sim_add(game->sim, &(struct nx_actor){ "player", player->mailbox, player, player_step });
    }
}

static void game_close(struct game *game) {
    nx_sim_remove_all(game->sim);
    for (size_t i = 0; i < 2; i++) {
        nx_file_close(game->players[i].file);
        nx_mailbox_close(game->players[i].mailbox);
    }
    nx_sim_close(game->sim);
}

static uint64_t play(uint64_t seed) {
    struct game game;
    game_open(&game, seed);
    nx_sim_set_faults(game.sim, &(struct nx_sim_faults){ .sync_ns_max = NX_NS_PER_MS,
                                                         .write_ns_max = NX_NS_PER_US,
                                                         .stall_ppm = 100000,
                                                         .stall_ns_max = 10 * NX_NS_PER_MS });
    assert_int_equal(nx_sim_run(game.sim, &(struct nx_sim_limits){ .step_count = 500 }), NX_SIM_STEPS);
    assert_int_equal(game.players[0].step_count + game.players[1].step_count, 500);
    const uint64_t digest = nx_sim_digest(game.sim);
    game_close(&game);
    return digest;
}

static void test_the_same_seed_gives_the_same_run(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const uint64_t first = play(seed);
        assert_int_equal(play(seed), first);
        assert_int_not_equal(play(seed + 1), first);
    }
}

static void test_a_crash_in_the_midst_of_a_step_ends_the_run(void **state) {
    (void)state;
    for (uint64_t operation = 1; operation < 40; operation++) {
        struct game game;
        game_open(&game, operation);
        nx_sim_set_faults(game.sim,
                          &(struct nx_sim_faults){ .crash_at = operation, .crash_how = NX_SIM_POWER_LOSS });
        assert_int_equal(nx_sim_run(game.sim, &(struct nx_sim_limits){ 0 }), NX_SIM_CRASHED);
        assert_true(nx_sim_has_crashed(game.sim));
        nx_sim_boot(game.sim);
        assert_int_equal(nx_sim_run(game.sim, &(struct nx_sim_limits){ 0 }), NX_SIM_IDLE);
        game_close(&game);
    }
}

/* An actor that notes when it was stepped. */
struct sleeper {
    int64_t first_ns;
    int64_t second_ns;
    size_t step_count;
};

static int64_t sleeper_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct sleeper *sleeper = state;
    (void)inbox;
    if (sleeper->step_count++ == 0) {
        sleeper->first_ns = now.monotonic_ns;
        return now.monotonic_ns + 3600 * (int64_t)NX_NS_PER_S;
    }
    sleeper->second_ns = now.monotonic_ns;
    return NX_STEP_IDLE;
}

static void test_time_jumps_to_the_next_wanted_and_stops_at_the_limit(void **state) {
    NX_AUTO(nx_sim) *sim = sim_new(1);
    NX_AUTO(nx_mailbox) *mailbox = NULL;
    struct sleeper sleeper = { 0 };
    const struct nx_clock clock = nx_sim_clock(sim);
    const int64_t start_ns = nx_clock_read(&clock).monotonic_ns;
    const int64_t minute_ns = 60 * (int64_t)NX_NS_PER_S;
    (void)state;
    assert_int_equal(nx_mailbox_open(1, &mailbox, NULL), NX_OK);
    nx_sim_add(sim, &(struct nx_actor){ "sleeper", mailbox, &sleeper, sleeper_step });
    assert_int_equal(nx_sim_run(sim, &(struct nx_sim_limits){ .time_ns = minute_ns }), NX_SIM_TIME);
    assert_int_equal(nx_clock_read(&clock).monotonic_ns, start_ns + minute_ns);
    assert_int_equal(sleeper.step_count, 1);
    assert_int_equal(nx_sim_run(sim, &(struct nx_sim_limits){ 0 }), NX_SIM_IDLE);
    assert_int_equal(sleeper.step_count, 2);
    const int64_t slept_ns = sleeper.second_ns - sleeper.first_ns;
    assert_true(slept_ns >= 3600 * (int64_t)NX_NS_PER_S);
    assert_true(slept_ns < 3601 * (int64_t)NX_NS_PER_S);
    nx_sim_remove_all(sim);
}

static bool is_done(void *data) {
    const struct game *game = data;
    return game->players[0].message_count >= 10;
}

static void test_runs_until_the_condition_holds(void **state) {
    struct game game;
    (void)state;
    game_open(&game, 3);
    assert_int_equal(nx_sim_run(game.sim, &(struct nx_sim_limits){ .is_done = is_done, .data = &game }),
                     NX_SIM_DONE);
    assert_true(game.players[0].message_count >= 10);
    game_close(&game);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_synced_survives_every_loss_of_power),
        cmocka_unit_test(test_what_was_not_synced_is_kept_dropped_or_torn),
        cmocka_unit_test(test_later_writes_may_survive_earlier_ones),
        cmocka_unit_test(test_a_name_is_safe_only_after_the_directory_sync),
        cmocka_unit_test(test_replacing_a_file_leaves_the_old_or_the_new_at_every_crash),
        cmocka_unit_test(test_a_kill_keeps_what_was_written_and_frees_the_lock),
        cmocka_unit_test(test_a_dead_process_cannot_tidy_up),
        cmocka_unit_test(test_a_failed_sync_may_lose_what_reads_still_show),
        cmocka_unit_test(test_a_full_disk_refuses_and_has_room_again),
        cmocka_unit_test(test_preallocated_space_is_never_refused_later),
        cmocka_unit_test(test_faults_come_at_the_operation_asked_for),
        cmocka_unit_test(test_the_boot_id_changes_with_the_power_only),
        cmocka_unit_test(test_rot_shows),
        cmocka_unit_test(test_the_same_seed_gives_the_same_run),
        cmocka_unit_test(test_a_crash_in_the_midst_of_a_step_ends_the_run),
        cmocka_unit_test(test_time_jumps_to_the_next_wanted_and_stops_at_the_limit),
        cmocka_unit_test(test_runs_until_the_condition_holds),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
