/* The keys of people: one for each, still there after a start, and gone without a trace once erased. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fabric/vault/key_store.h"
#include "io/sim.h"

enum { FILE_SIZE_MAX = 16 * 1024 * 1024 };

static char directory[64];

static int make_directory(void **state) {
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/nexus-keys-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state) {
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static void open_store(struct nx_key_store *store, bool read_only) {
    const struct nx_random random = nx_random_system();
    assert_int_equal(nx_key_store_init(store, nx_disk_system(), &random, directory, read_only, NULL), NX_OK);
}

static struct nx_person_key obtain(struct nx_key_store *store, const char *person) {
    const struct nx_person_key *key = NULL;
    struct nx_error err = { 0 };
    if (nx_key_store_obtain(store, nx_str_from_c(person), 7, &key, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    return *key;
}

static const struct nx_person_key *find(struct nx_key_store *store, const struct nx_person_key *known) {
    const struct nx_person_key *key = NULL;
    assert_int_equal(nx_key_store_find(store, known->id, &key, NULL), NX_OK);
    return key;
}

static void read_file(struct nx_buf *content) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/keys/persons", directory);
    nx_buf_init(content, FILE_SIZE_MAX);
    assert_int_equal(nx_disk_read_file(nx_disk_system(), path, content, NULL), NX_OK);
}

static bool file_has(const void *bytes, size_t len) {
    NX_AUTO(nx_buf) content;
    read_file(&content);
    return nx_str_find(nx_buf_str(&content), nx_str_of(bytes, len)) != SIZE_MAX;
}

static void test_keeps_one_key_a_person(void **state) {
    struct nx_key_store store;
    (void)state;
    open_store(&store, false);
    const struct nx_person_key alice = obtain(&store, "alice");
    const struct nx_person_key bob = obtain(&store, "bob");
    const struct nx_person_key again = obtain(&store, "alice");
    assert_memory_equal(alice.id, again.id, sizeof alice.id);
    assert_memory_equal(alice.key, again.key, sizeof alice.key);
    assert_memory_not_equal(alice.key, bob.key, sizeof alice.key);
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);

    open_store(&store, false);
    const struct nx_person_key later = obtain(&store, "alice");
    assert_memory_equal(alice.key, later.key, sizeof alice.key);
    assert_int_equal(find(&store, &bob)->state, NX_KEY_LIVE);
    nx_key_store_fini(&store);
    assert_false(file_has("alice", 5));
}

static void test_keeps_everybody_out_of_its_files(void **state) {
    struct nx_key_store store;
    struct stat found;
    char path[128];
    (void)state;
    open_store(&store, false);
    (void)obtain(&store, "alice");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);
    (void)snprintf(path, sizeof path, "%s/keys", directory);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof path, "%s/keys/persons", directory);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
}

static void test_leaves_nothing_of_an_erased_key(void **state) {
    struct nx_key_store store;
    const struct nx_person_key *left = NULL;
    (void)state;
    open_store(&store, false);
    const struct nx_person_key alice = obtain(&store, "alice");
    const struct nx_person_key bob = obtain(&store, "bob");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    assert_true(file_has(alice.key, sizeof alice.key));
    assert_int_equal(nx_key_store_erase(&store, NX_STR("alice"), 99, &left, NULL), NX_OK);
    assert_memory_equal(left->id, alice.id, sizeof alice.id);
    assert_int_equal(left->erased_ns, 99);
    assert_false(file_has(alice.key, sizeof alice.key));
    assert_false(file_has(alice.person, sizeof alice.person));
    assert_true(file_has(bob.key, sizeof bob.key));
    assert_int_equal(find(&store, &alice)->state, NX_KEY_ERASED);
    assert_int_equal(nx_key_store_erase(&store, NX_STR("alice"), 99, &left, NULL), NX_NOT_FOUND);
    nx_key_store_fini(&store);

    open_store(&store, false);
    assert_int_equal(find(&store, &alice)->state, NX_KEY_ERASED);
    assert_int_equal(find(&store, &bob)->state, NX_KEY_LIVE);
    const struct nx_person_key anew = obtain(&store, "alice");
    assert_memory_not_equal(anew.id, alice.id, sizeof anew.id);
    nx_key_store_fini(&store);
}

static void test_a_reader_sees_what_another_process_made_and_erased(void **state) {
    struct nx_key_store store;
    struct nx_key_store reader;
    const struct nx_person_key *left = NULL;
    (void)state;
    open_store(&store, false);
    open_store(&reader, true);
    const struct nx_person_key alice = obtain(&store, "alice");
    assert_null(find(&reader, &alice)); /* there is no file yet */
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    assert_int_equal(find(&reader, &alice)->state, NX_KEY_LIVE);
    const struct nx_person_key bob = obtain(&store, "bob");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    assert_int_equal(find(&reader, &bob)->state, NX_KEY_LIVE);
    assert_int_equal(nx_key_store_erase(&store, NX_STR("alice"), 99, &left, NULL), NX_OK);
    assert_int_equal(find(&reader, &alice)->state, NX_KEY_ERASED);
    nx_key_store_fini(&reader);
    nx_key_store_fini(&store);
}

static void test_a_torn_last_slot_is_no_key_and_is_written_over(void **state) {
    struct nx_key_store store;
    struct nx_file *file = NULL;
    char path[128];
    (void)state;
    open_store(&store, false);
    const struct nx_person_key alice = obtain(&store, "alice");
    const struct nx_person_key bob = obtain(&store, "bob");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);
    (void)snprintf(path, sizeof path, "%s/keys/persons", directory);
    assert_int_equal(nx_file_open(nx_disk_system(), path, NX_FILE_WRITE, &file, NULL), NX_OK);
    assert_int_equal(nx_file_truncate(file, 3 * NX_KEY_SLOT_SIZE - 50, NULL), NX_OK);
    nx_file_close(file);

    open_store(&store, false);
    assert_non_null(find(&store, &alice));
    assert_null(find(&store, &bob));
    const struct nx_person_key carol = obtain(&store, "carol");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);
    open_store(&store, false);
    assert_int_equal(find(&store, &carol)->state, NX_KEY_LIVE);
    assert_int_equal(store.count, 2);
    nx_key_store_fini(&store);
}

static void test_a_damaged_slot_costs_its_own_key_only(void **state) {
    struct nx_key_store store;
    struct nx_file *file = NULL;
    const struct nx_str damage = NX_STR("x");
    char path[128];
    (void)state;
    open_store(&store, false);
    const struct nx_person_key alice = obtain(&store, "alice");
    const struct nx_person_key bob = obtain(&store, "bob");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);
    (void)snprintf(path, sizeof path, "%s/keys/persons", directory);
    assert_int_equal(nx_file_open(nx_disk_system(), path, NX_FILE_WRITE, &file, NULL), NX_OK);
    assert_int_equal(nx_file_write_at(file, NX_KEY_SLOT_SIZE + 60, &damage, 1, NULL), NX_OK);
    nx_file_close(file);
    open_store(&store, false);
    assert_null(find(&store, &alice));
    assert_int_equal(find(&store, &bob)->state, NX_KEY_LIVE);
    assert_int_equal(store.unreadable_count, 1);
    nx_key_store_fini(&store);
}

static void test_finds_each_of_many_keys(void **state) {
    enum { COUNT = 20000 };
    struct nx_key_store store;
    struct nx_person_key some[COUNT / 100];
    char person[32];
    (void)state;
    open_store(&store, false);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(person, sizeof person, "person-%d", i);
        const struct nx_person_key key = obtain(&store, person);
        if (i % 100 == 0) {
            some[i / 100] = key;
        }
    }
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);
    open_store(&store, false);
    for (int i = 0; i < COUNT / 100; i++) {
        assert_memory_equal(find(&store, &some[i])->key, some[i].key, sizeof some[i].key);
    }
    assert_int_equal(store.count, COUNT);
    nx_key_store_fini(&store);
}

/* ---- the machine ends at any operation of the disk ---- */

enum { LIVES = 3 };

/* What the store has promised before the end. */
struct promised {
    struct nx_person_key secured[LIVES]; /* state 0: nothing was promised */
    struct nx_person_key erased;
};

/* Three keys, one after the other, then the first is erased; stops where the disk does. */
static void live(struct nx_sim *sim, struct promised *promised) {
    static const char *const people[LIVES] = { "alice", "bob", "carol" };
    const struct nx_random random = nx_sim_random(sim);
    const struct nx_person_key *key = NULL;
    struct nx_key_store store;
    *promised = (struct promised){ 0 };
    assert_int_equal(nx_key_store_init(&store, nx_sim_disk(sim), &random, "/data", false, NULL), NX_OK);
    for (int i = 0; i < LIVES; i++) {
        struct nx_person_key made;
        if (nx_key_store_obtain(&store, nx_str_from_c(people[i]), 7, &key, NULL) != NX_OK) {
            break;
        }
        made = *key;
        if (nx_key_store_secure(&store, NULL) != NX_OK) {
            break;
        }
        promised->secured[i] = made;
    }
    if (nx_key_store_erase(&store, NX_STR("alice"), 9, &key, NULL) == NX_OK) {
        promised->erased = promised->secured[0];
        promised->secured[0] = (struct nx_person_key){ 0 };
    }
    nx_key_store_fini(&store);
}

/* Whoever erases again leaves no part of the key. */
static void check_rest(struct nx_sim *sim, struct nx_key_store *store, const struct nx_person_key *made) {
    const struct nx_person_key *key = NULL;
    NX_AUTO(nx_buf) content;
    assert_int_equal(nx_key_store_erase(store, NX_STR("alice"), 9, &key, NULL), NX_NOT_FOUND);
    nx_buf_init(&content, FILE_SIZE_MAX);
    assert_int_equal(nx_disk_read_file(nx_sim_disk(sim), "/data/keys/persons", &content, NULL), NX_OK);
    for (size_t at = 0; at + 4 <= NX_SEAL_KEY_SIZE; at++) {
        assert_true(nx_str_find(nx_buf_str(&content), nx_str_of(made->key + at, 4)) == SIZE_MAX);
    }
}

static void check_promises(struct nx_sim *sim, const struct promised *promised, uint64_t at) {
    const struct nx_random random = nx_sim_random(sim);
    const struct nx_person_key *key = NULL;
    struct nx_key_store store;
    struct nx_error err = { 0 };
    NX_AUTO(nx_buf) content;
    assert_int_equal(nx_key_store_init(&store, nx_sim_disk(sim), &random, "/data", false, NULL), NX_OK);
    for (int i = 0; i < LIVES; i++) {
        const struct nx_person_key *made = &promised->secured[i];
        if (made->state != NX_KEY_LIVE) {
            continue;
        }
        assert_int_equal(nx_key_store_find(&store, made->id, &key, &err), NX_OK);
        if (key == NULL && i == 0 && promised->secured[LIVES - 1].state == NX_KEY_LIVE) {
            check_rest(sim, &store, made); /* its erasure was cut off */
            continue;
        }
        if (key == NULL) {
            fail_msg("operation %llu: key %d is lost: %s", (unsigned long long)at, i, err.message);
        }
        /* The one whose erasure was under way is whole or erased. */
        assert_true(key->state == NX_KEY_LIVE || (i == 0 && key->state == NX_KEY_ERASED));
        if (key->state == NX_KEY_LIVE) {
            assert_memory_equal(key->key, made->key, sizeof made->key);
        }
    }
    nx_buf_init(&content, FILE_SIZE_MAX);
    if (promised->erased.state == NX_KEY_LIVE) {
        assert_int_equal(nx_key_store_find(&store, promised->erased.id, &key, NULL), NX_OK);
        assert_int_equal(key->state, NX_KEY_ERASED);
        assert_int_equal(nx_disk_read_file(nx_sim_disk(sim), "/data/keys/persons", &content, NULL), NX_OK);
        assert_true(nx_str_find(nx_buf_str(&content), nx_str_of(promised->erased.key, NX_SEAL_KEY_SIZE)) ==
                    SIZE_MAX);
    }
    /* And it goes on. */
    assert_int_equal(nx_key_store_obtain(&store, NX_STR("dave"), 7, &key, &err), NX_OK);
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_key_store_fini(&store);
}

static void test_keeps_its_promises_whenever_the_machine_ends(void **state) {
    enum { SEEDS = 8, OPERATIONS_MAX = 64 };
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (uint64_t at = 1; at <= OPERATIONS_MAX; at++) {
            NX_AUTO(nx_sim) *sim = NULL;
            struct promised promised;
            const struct nx_sim_options options = { .seed = seed };
            const struct nx_sim_faults faults = { .crash_at = at,
                                                  .crash_how =
                                                      seed % 2 == 0 ? NX_SIM_KILL : NX_SIM_POWER_LOSS };
            assert_int_equal(nx_sim_open(&options, &sim, NULL), NX_OK);
            nx_sim_set_faults(sim, &faults);
            live(sim, &promised);
            const bool has_crashed = nx_sim_has_crashed(sim);
            nx_sim_crash(sim, faults.crash_how);
            nx_sim_boot(sim);
            check_promises(sim, &promised, at);
            if (!has_crashed) {
                break;
            }
        }
    }
}

static void test_makes_no_keys_after_a_failed_sync(void **state) {
    NX_AUTO(nx_sim) *sim = NULL;
    const struct nx_sim_options options = { .seed = 1 };
    const struct nx_person_key *key = NULL;
    struct nx_key_store store;
    struct nx_error err = { 0 };
    (void)state;
    assert_int_equal(nx_sim_open(&options, &sim, NULL), NX_OK);
    const struct nx_random random = nx_sim_random(sim);
    assert_int_equal(nx_key_store_init(&store, nx_sim_disk(sim), &random, "/data", false, NULL), NX_OK);
    const struct nx_person_key alice = obtain(&store, "alice");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    (void)obtain(&store, "bob");
    nx_sim_set_faults(sim, &(struct nx_sim_faults){ .fail_sync_at = 1 });
    assert_int_equal(nx_key_store_secure(&store, &err), NX_UNAVAILABLE);
    assert_int_equal(nx_key_store_obtain(&store, NX_STR("bob"), 7, &key, &err), NX_UNAVAILABLE);
    assert_int_equal(nx_key_store_erase(&store, NX_STR("alice"), 9, &key, &err), NX_UNAVAILABLE);
    assert_int_equal(nx_key_store_obtain(&store, NX_STR("alice"), 7, &key, &err), NX_OK);
    assert_memory_equal(key->key, alice.key, sizeof alice.key);
    nx_key_store_fini(&store);
}

static void test_seals_nothing_with_a_key_whose_erasure_failed(void **state) {
    NX_AUTO(nx_sim) *sim = NULL;
    const struct nx_sim_options options = { .seed = 1 };
    const struct nx_person_key *key = NULL;
    struct nx_key_store store;
    struct nx_error err = { 0 };
    (void)state;
    assert_int_equal(nx_sim_open(&options, &sim, NULL), NX_OK);
    const struct nx_random random = nx_sim_random(sim);
    assert_int_equal(nx_key_store_init(&store, nx_sim_disk(sim), &random, "/data", false, NULL), NX_OK);
    const struct nx_person_key alice = obtain(&store, "alice");
    const struct nx_person_key bob = obtain(&store, "bob");
    assert_int_equal(nx_key_store_secure(&store, NULL), NX_OK);
    nx_sim_set_faults(sim, &(struct nx_sim_faults){ .fail_sync_at = 1 });
    assert_int_equal(nx_key_store_erase(&store, NX_STR("alice"), 9, &key, &err), NX_UNAVAILABLE);
    assert_int_equal(nx_key_store_obtain(&store, NX_STR("alice"), 7, &key, &err), NX_UNAVAILABLE);
    assert_int_equal(err.kind, NX_KIND_LOG_FROZEN);
    assert_int_equal(nx_key_store_find(&store, alice.id, &key, NULL), NX_OK); /* what is there can be read */
    assert_memory_equal(key->key, alice.key, sizeof alice.key);
    assert_int_equal(nx_key_store_obtain(&store, NX_STR("bob"), 7, &key, &err), NX_OK);
    assert_memory_equal(key->key, bob.key, sizeof bob.key);
    nx_key_store_fini(&store);
}

#define KEY_TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void) {
    const struct CMUnitTest tests[] = {
        KEY_TEST(test_keeps_one_key_a_person),
        KEY_TEST(test_keeps_everybody_out_of_its_files),
        KEY_TEST(test_leaves_nothing_of_an_erased_key),
        KEY_TEST(test_a_reader_sees_what_another_process_made_and_erased),
        KEY_TEST(test_a_torn_last_slot_is_no_key_and_is_written_over),
        KEY_TEST(test_a_damaged_slot_costs_its_own_key_only),
        KEY_TEST(test_finds_each_of_many_keys),
        cmocka_unit_test(test_keeps_its_promises_whenever_the_machine_ends),
        cmocka_unit_test(test_makes_no_keys_after_a_failed_sync),
        cmocka_unit_test(test_seals_nothing_with_a_key_whose_erasure_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
