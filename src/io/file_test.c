/* src/io/file_test.c: the same claims about every disk that there is: the machine's, and the simulated one.
 * The state of a test is its world: a disk and a fresh directory in it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"
#include "io/process.h"
#include "io/sim.h"

struct world {
    struct nx_disk *disk;
    struct nx_sim *sim; /* of a simulated one */
    char root[256];
    char paths[4][320]; /* given out in turn by path_of() */
    size_t path_count;
};

static const char *path_of(struct world *world, const char *name) {
    char *path = world->paths[world->path_count++ % 4];
    (void)snprintf(path, sizeof world->paths[0], "%s/%s", world->root, name);
    return path;
}

static struct nx_file *open_file(struct world *world, const char *name, enum nx_file_flags flags) {
    struct nx_file *file = NULL;
    assert_int_equal(nx_file_open(world->disk, path_of(world, name), flags, &file, NULL), NX_OK);
    return file;
}

static void write_text(struct nx_file *file, uint64_t offset, const char *text) {
    const struct nx_str part = nx_str_from_c(text);
    assert_int_equal(nx_file_write_at(file, offset, &part, 1, NULL), NX_OK);
}

static void assert_text(struct nx_file *file, uint64_t offset, const char *text) {
    char bytes[256];
    size_t len = 0;
    assert_int_equal(nx_file_read_at(file, offset, bytes, strlen(text), &len, NULL), NX_OK);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(bytes, text, len);
}

static uint64_t size_of(struct nx_file *file) {
    uint64_t size = 0;
    assert_int_equal(nx_file_size(file, &size, NULL), NX_OK);
    return size;
}

/* ---- files ---- */

static void test_reads_what_was_written(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    char bytes[16];
    size_t len = 0;
    write_text(file, 0, "hello");
    write_text(file, 10, "world");
    assert_int_equal(size_of(file), 15);
    assert_text(file, 0, "hello");
    assert_int_equal(nx_file_read_at(file, 3, bytes, sizeof bytes, &len, NULL), NX_OK);
    assert_int_equal(len, 12); /* fewer only at the end */
    assert_memory_equal(bytes, "lo\0\0\0\0\0world", 12);
    assert_int_equal(nx_file_read_at(file, 100, bytes, sizeof bytes, &len, NULL), NX_OK);
    assert_int_equal(len, 0);
}

static void test_writes_more_parts_than_one_system_call_takes(void **state) {
    enum { PARTS = 3000 };
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    NX_AUTO_FREE struct nx_str *parts = calloc(PARTS, sizeof *parts);
    NX_AUTO_FREE char *bytes = malloc(PARTS);
    size_t len = 0;
    assert_non_null(parts);
    assert_non_null(bytes);
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = i % 3 == 0 ? NX_STR("") : i % 3 == 1 ? NX_STR("x") : NX_STR("yz");
    }
    assert_int_equal(nx_file_write_at(file, 7, parts, PARTS, NULL), NX_OK);
    assert_int_equal(size_of(file), 7 + PARTS);
    assert_int_equal(nx_file_read_at(file, 7, bytes, PARTS, &len, NULL), NX_OK);
    for (size_t i = 0; i < PARTS; i++) {
        assert_int_equal(bytes[i], "xyz"[i % 3]);
    }
}

static void test_open_says_why_it_cannot(void **state) {
    struct world *world = *state;
    struct nx_file *file = NULL;
    struct nx_error err = { 0 };
    const char *path = path_of(world, "missing");
    assert_int_equal(nx_file_open(world->disk, path, NX_FILE_READ, &file, &err), NX_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(nx_file_open(world->disk, path_of(world, "no/b"), NX_FILE_CREATE, &file, &err),
                     NX_NOT_FOUND);
    nx_file_close(open_file(world, "a", NX_FILE_EXCLUSIVE));
    assert_int_equal(nx_file_open(world->disk, path_of(world, "a"), NX_FILE_EXCLUSIVE, &file, &err),
                     NX_ALREADY_EXISTS);
    assert_null(file);
}

static void test_truncating_open_empties_and_plain_open_keeps(void **state) {
    struct world *world = *state;
    struct nx_file *file = open_file(world, "a", NX_FILE_CREATE);
    write_text(file, 0, "hello");
    nx_file_close(file);
    file = open_file(world, "a", NX_FILE_CREATE);
    assert_int_equal(size_of(file), 5);
    nx_file_close(file);
    file = open_file(world, "a", NX_FILE_TRUNCATE);
    assert_int_equal(size_of(file), 0);
    nx_file_close(file);
}

static void test_a_file_opened_for_reading_refuses_writes(void **state) {
    struct world *world = *state;
    const struct nx_str part = NX_STR("x");
    nx_file_close(open_file(world, "a", NX_FILE_CREATE));
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_READ);
    assert_int_not_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
}

static void test_preallocated_space_reads_as_zeros_and_keeps_what_was_there(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    char bytes[100];
    size_t len = 0;
    write_text(file, 0, "hello");
    assert_int_equal(nx_file_preallocate(file, 100000, NULL), NX_OK);
    assert_int_equal(size_of(file), 100000);
    assert_text(file, 0, "hello");
    assert_int_equal(nx_file_read_at(file, 50000, bytes, sizeof bytes, &len, NULL), NX_OK);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(nx_file_preallocate(file, 10, NULL), NX_OK);
    assert_int_equal(size_of(file), 100000);
}

static void test_truncate_cuts_and_lengthens_with_zeros(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    char bytes[10];
    size_t len = 0;
    write_text(file, 0, "0123456789");
    assert_int_equal(nx_file_truncate(file, 4, NULL), NX_OK);
    assert_int_equal(size_of(file), 4);
    assert_int_equal(nx_file_truncate(file, 10, NULL), NX_OK);
    assert_int_equal(nx_file_read_at(file, 0, bytes, 10, &len, NULL), NX_OK);
    assert_int_equal(len, 10);
    assert_memory_equal(bytes, "0123\0\0\0\0\0\0", 10);
}

static void test_a_hole_reads_as_zeros(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    NX_AUTO_FREE char *bytes = malloc(65536);
    assert_non_null(bytes);
    memset(bytes, 'x', 65536);
    const struct nx_str part = nx_str_of(bytes, 65536);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
    assert_int_equal(nx_file_punch_hole(file, 4096, 8192, NULL), NX_OK);
    assert_int_equal(nx_file_punch_hole(file, 0, 0, NULL), NX_OK);
    assert_int_equal(size_of(file), 65536);
    assert_text(file, 4090, "xxxxxx");
    assert_text(file, 12288, "xxx");
    size_t len = 0;
    assert_int_equal(nx_file_read_at(file, 8000, bytes, 10, &len, NULL), NX_OK);
    assert_true(bytes[0] == 0 || bytes[0] == 'x'); /* a disk that cannot keeps the bytes */
}

static void test_a_view_shows_later_writes(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    const uint8_t *view = NULL;
    write_text(file, 0, "hello");
    assert_int_equal(nx_file_preallocate(file, 8192, NULL), NX_OK);
    assert_int_equal(nx_file_map(file, 8192, &view, NULL), NX_OK);
    assert_memory_equal(view, "hello", 5);
    write_text(file, 4096, "later");
    assert_memory_equal(view + 4096, "later", 5);
}

static void test_sync_succeeds(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_file) *file = open_file(world, "a", NX_FILE_CREATE);
    write_text(file, 0, "hello");
    assert_int_equal(nx_file_sync(file, NULL), NX_OK);
    assert_int_equal(nx_disk_sync_directory(world->disk, world->root, NULL), NX_OK);
    assert_text(file, 0, "hello");
}

/* ---- directories ---- */

struct listing {
    size_t count;
    size_t directory_count;
    uint64_t size;
    size_t stop_at;
};

static bool note_entry(void *data, const struct nx_disk_entry *entry) {
    struct listing *listing = data;
    listing->count++;
    listing->directory_count += entry->is_directory ? 1 : 0;
    listing->size += entry->is_directory ? 0 : entry->size;
    assert_true(nx_str_is(entry->name, "a") || nx_str_is(entry->name, "b"));
    return listing->count != listing->stop_at;
}

static void test_lists_files_and_directories(void **state) {
    struct world *world = *state;
    struct listing listing = { 0 };
    struct nx_file *file = open_file(world, "a", NX_FILE_CREATE);
    write_text(file, 0, "hello");
    nx_file_close(file);
    assert_int_equal(nx_disk_make_directory(world->disk, path_of(world, "b/c"), NULL), NX_OK);
    assert_int_equal(nx_disk_make_directory(world->disk, path_of(world, "b/c"), NULL), NX_OK);
    assert_int_equal(nx_disk_list(world->disk, world->root, note_entry, &listing, NULL), NX_OK);
    assert_int_equal(listing.count, 2);
    assert_int_equal(listing.directory_count, 1);
    assert_int_equal(listing.size, 5);
    listing = (struct listing){ .stop_at = 1 };
    assert_int_equal(nx_disk_list(world->disk, world->root, note_entry, &listing, NULL), NX_OK);
    assert_int_equal(listing.count, 1);
    assert_int_equal(nx_disk_list(world->disk, path_of(world, "no"), note_entry, &listing, NULL),
                     NX_NOT_FOUND);
}

static void test_rename_replaces_and_unlink_removes(void **state) {
    struct world *world = *state;
    struct nx_file *file = open_file(world, "a", NX_FILE_CREATE);
    write_text(file, 0, "new");
    nx_file_close(file);
    file = open_file(world, "b", NX_FILE_CREATE);
    write_text(file, 0, "old");
    assert_int_equal(nx_disk_rename(world->disk, path_of(world, "a"), path_of(world, "b"), NULL), NX_OK);
    assert_text(file, 0, "old"); /* who has it open keeps the old one */
    nx_file_close(file);
    file = open_file(world, "b", NX_FILE_READ);
    assert_text(file, 0, "new");
    assert_int_equal(nx_disk_unlink(world->disk, path_of(world, "b"), NULL), NX_OK);
    assert_text(file, 0, "new");
    nx_file_close(file);
    assert_int_equal(nx_disk_unlink(world->disk, path_of(world, "b"), NULL), NX_NOT_FOUND);
    assert_int_equal(nx_disk_rename(world->disk, path_of(world, "a"), path_of(world, "c"), NULL),
                     NX_NOT_FOUND);
}

static void test_whole_files_are_read_and_replaced(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_buf) content;
    const char *path = path_of(world, "a");
    nx_buf_init(&content, 6);
    assert_int_equal(nx_disk_write_file(world->disk, path, NX_STR("first"), NULL), NX_OK);
    assert_int_equal(nx_disk_write_file(world->disk, path, NX_STR("second"), NULL), NX_OK);
    assert_int_equal(nx_disk_read_file(world->disk, path, &content, NULL), NX_OK);
    assert_true(nx_str_is(nx_buf_str(&content), "second"));
    assert_int_equal(nx_disk_write_file(world->disk, path, NX_STR("seventh"), NULL), NX_OK);
    nx_buf_reset(&content);
    assert_int_equal(nx_disk_read_file(world->disk, path, &content, NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_disk_read_file(world->disk, path_of(world, "no"), &content, NULL), NX_NOT_FOUND);
    struct listing listing = { 0 };
    assert_int_equal(nx_disk_list(world->disk, world->root, note_entry, &listing, NULL), NX_OK);
    assert_int_equal(listing.count, 1); /* nothing is left beside it */
}

static void test_the_disk_has_space(void **state) {
    struct world *world = *state;
    uint64_t free_size = 0;
    assert_int_equal(nx_disk_space(world->disk, world->root, &free_size, NULL), NX_OK);
    assert_true(free_size > 0);
}

static void test_one_holder_at_a_time(void **state) {
    struct world *world = *state;
    struct nx_disk_lock *lock = NULL;
    struct nx_disk_lock *second = NULL;
    struct nx_error err = { 0 };
    uint64_t holder_pid = 0;
    const char *path = path_of(world, "lock");
    assert_int_equal(nx_disk_lock(world->disk, path, &lock, &holder_pid, NULL), NX_OK);
    assert_int_equal(nx_disk_lock(world->disk, path, &second, &holder_pid, &err), NX_FAILED_PRECONDITION);
    assert_int_equal(err.kind, NX_KIND_LOCKED);
    assert_int_not_equal(holder_pid, 0);
    assert_null(second);
    holder_pid = 0;
    assert_true(nx_disk_is_locked(world->disk, path, &holder_pid));
    assert_int_not_equal(holder_pid, 0);
    nx_disk_unlock(lock);
    assert_false(nx_disk_is_locked(world->disk, path, &holder_pid));
    assert_false(nx_disk_is_locked(world->disk, path_of(world, "no-lock"), &holder_pid));
    assert_int_equal(nx_disk_lock(world->disk, path, &second, &holder_pid, NULL), NX_OK);
    nx_disk_unlock(second);
    nx_disk_unlock(NULL);
}

/* ---- the machine's disk only ---- */

static void test_a_full_disk_is_told_as_such(void **state) {
    struct world *world = *state;
    struct nx_error err = { 0 };
    NX_AUTO(nx_file) *file = NULL;
    const struct nx_str part = NX_STR("x");
    assert_int_equal(nx_file_open(world->disk, "/dev/full", NX_FILE_WRITE, &file, NULL), NX_OK);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, &err), NX_RESOURCE_EXHAUSTED);
    assert_int_equal(err.kind, NX_KIND_DISK_FULL);
    assert_string_equal(err.message, "cannot write '/dev/full': No space left on device");
}

static void test_files_of_the_kernel_are_read_whole(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_buf) content;
    nx_buf_init(&content, 4096);
    assert_int_equal(nx_disk_read_file(world->disk, "/proc/sys/kernel/random/boot_id", &content, NULL),
                     NX_OK);
    assert_int_equal(content.len, 37);
}

/** In a process of its own: take the lock, tell that it is taken, and wait to be killed. */
static void hold_lock(struct world *world, const char *path, int tell_fd) {
    struct nx_disk_lock *lock = NULL;
    uint64_t holder_pid = 0;
    if (nx_disk_lock(world->disk, path, &lock, &holder_pid, NULL) != NX_OK || write(tell_fd, "x", 1) != 1) {
        _exit(1);
    }
    for (;;) {
        (void)pause();
    }
}

static void test_a_lock_names_its_process_and_dies_with_it(void **state) {
    struct world *world = *state;
    struct nx_disk_lock *lock = NULL;
    struct nx_error err = { 0 };
    uint64_t holder_pid = 0;
    const char *path = path_of(world, "lock");
    char expected[400];
    char byte;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hold_lock(world, path, ends[1]);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(nx_disk_lock(world->disk, path, &lock, &holder_pid, &err), NX_FAILED_PRECONDITION);
    assert_int_equal(holder_pid, child);
    (void)snprintf(expected, sizeof expected, "'%s' is held by process %d", path, (int)child);
    assert_string_equal(err.message, expected);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(nx_disk_lock(world->disk, path, &lock, &holder_pid, NULL), NX_OK);
    nx_disk_unlock(lock);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- both disks together ---- */

enum { AREA = 100000, ROUNDS = 300 };

/** Whether the machine's disk gives back space: where it does not, a hole keeps its bytes. */
static bool can_punch(struct nx_file *file) {
    char byte = 'x';
    size_t len = 0;
    const struct nx_str part = nx_str_of(&byte, 1);
    assert_int_equal(nx_file_write_at(file, 0, &part, 1, NULL), NX_OK);
    assert_int_equal(nx_file_punch_hole(file, 0, 4096, NULL), NX_OK);
    assert_int_equal(nx_file_read_at(file, 0, &byte, 1, &len, NULL), NX_OK);
    assert_int_equal(nx_file_truncate(file, 0, NULL), NX_OK);
    return byte == 0;
}

static void change_by_chance(struct nx_sim *sim, struct nx_file *const files[2], bool punches) {
    static char bytes[AREA];
    const uint64_t kind = nx_sim_below(sim, 6);
    const uint64_t offset = nx_sim_below(sim, AREA);
    const uint64_t len = nx_sim_below(sim, AREA - offset) / (1 + nx_sim_below(sim, 50));
    const struct nx_str part = nx_str_of(bytes, len);
    memset(bytes, 'a' + (int)nx_sim_below(sim, 26), len);
    for (size_t i = 0; i < 2; i++) {
        if (kind == 0) {
            assert_int_equal(nx_file_truncate(files[i], offset, NULL), NX_OK);
        } else if (kind == 1) {
            assert_int_equal(nx_file_preallocate(files[i], offset, NULL), NX_OK);
        } else if (kind == 2 && punches) {
            assert_int_equal(nx_file_punch_hole(files[i], offset, len, NULL), NX_OK);
        } else {
            assert_int_equal(nx_file_write_at(files[i], offset, &part, 1, NULL), NX_OK);
        }
    }
}

static void test_the_simulated_disk_does_as_the_machine_does(void **state) {
    static char contents[2][2 * AREA];
    struct world *world = *state;
    struct nx_sim *sim = NULL;
    struct nx_file *files[2] = { open_file(world, "a", NX_FILE_CREATE), NULL };
    const bool punches = can_punch(files[0]);
    assert_int_equal(nx_sim_open(&(struct nx_sim_options){ .seed = 3 }, &sim, NULL), NX_OK);
    assert_int_equal(nx_file_open(nx_sim_disk(sim), "a", NX_FILE_CREATE, &files[1], NULL), NX_OK);
    for (int round = 0; round < ROUNDS; round++) {
        size_t lens[2];
        change_by_chance(sim, files, punches);
        if (nx_sim_below(sim, 10) == 0) {
            assert_int_equal(nx_file_sync(files[1], NULL), NX_OK);
        }
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(nx_file_read_at(files[i], 0, contents[i], sizeof contents[i], &lens[i], NULL),
                             NX_OK);
        }
        assert_int_equal(lens[0], lens[1]);
        assert_memory_equal(contents[0], contents[1], lens[0]);
    }
    /* And what was synced comes back from the durable image as it was. */
    assert_int_equal(nx_file_sync(files[1], NULL), NX_OK);
    assert_int_equal(nx_disk_sync_directory(nx_sim_disk(sim), "/", NULL), NX_OK);
    nx_sim_crash(sim, NX_SIM_POWER_LOSS);
    nx_sim_boot(sim);
    nx_file_close(files[1]);
    size_t lens[2];
    assert_int_equal(nx_file_open(nx_sim_disk(sim), "a", NX_FILE_READ, &files[1], NULL), NX_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(nx_file_read_at(files[i], 0, contents[i], sizeof contents[i], &lens[i], NULL),
                         NX_OK);
        nx_file_close(files[i]);
    }
    assert_int_equal(lens[0], lens[1]);
    assert_memory_equal(contents[0], contents[1], lens[0]);
    nx_sim_close(sim);
}

/* ---- the worlds ---- */

static int enter_system(void **state) {
    static struct world world;
    world = (struct world){ .disk = nx_disk_system() };
    (void)snprintf(world.root, sizeof world.root, "%s/nexus-file-test-XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    *state = &world;
    return mkdtemp(world.root) == NULL;
}

static int leave_system(void **state) {
    struct world *world = *state;
    char command[300];
    int exit_status = 1;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", world->root);
    return nx_process_run(command, NULL, NULL, &exit_status, NULL) != NX_OK || exit_status != 0;
}

static int enter_simulated(void **state) {
    static struct world world;
    const struct nx_sim_options options = { .seed = 7, .disk_size = 16 * 1024 * 1024 };
    world = (struct world){ .root = "/data" };
    *state = &world;
    if (nx_sim_open(&options, &world.sim, NULL) != NX_OK) {
        return 1;
    }
    world.disk = nx_sim_disk(world.sim);
    return nx_disk_make_directory(world.disk, world.root, NULL) != NX_OK;
}

static int leave_simulated(void **state) {
    struct world *world = *state;
    nx_sim_close(world->sim);
    return 0;
}

#define TEST_IN(test, world) \
    { #test " (" #world ")", test, enter_##world, leave_##world, NULL }
#define TESTS_IN(world)                                                                                  \
    TEST_IN(test_reads_what_was_written, world), TEST_IN(test_open_says_why_it_cannot, world),           \
        TEST_IN(test_writes_more_parts_than_one_system_call_takes, world),                               \
        TEST_IN(test_truncating_open_empties_and_plain_open_keeps, world),                               \
        TEST_IN(test_a_file_opened_for_reading_refuses_writes, world),                                   \
        TEST_IN(test_preallocated_space_reads_as_zeros_and_keeps_what_was_there, world),                 \
        TEST_IN(test_truncate_cuts_and_lengthens_with_zeros, world),                                     \
        TEST_IN(test_a_hole_reads_as_zeros, world), TEST_IN(test_a_view_shows_later_writes, world),      \
        TEST_IN(test_sync_succeeds, world), TEST_IN(test_lists_files_and_directories, world),            \
        TEST_IN(test_rename_replaces_and_unlink_removes, world),                                         \
        TEST_IN(test_whole_files_are_read_and_replaced, world), TEST_IN(test_the_disk_has_space, world), \
        TEST_IN(test_one_holder_at_a_time, world)

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_IN(system),
        TESTS_IN(simulated),
        TEST_IN(test_the_simulated_disk_does_as_the_machine_does, system),
        TEST_IN(test_a_full_disk_is_told_as_such, system),
        TEST_IN(test_files_of_the_kernel_are_read_whole, system),
        TEST_IN(test_a_lock_names_its_process_and_dies_with_it, system),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
