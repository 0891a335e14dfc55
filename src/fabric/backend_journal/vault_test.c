/* Records about people: sealed in the log, open to readers, and closed for good when the key is erased. */
#include "fabric/backend_journal/harness_test.h"

#include <string.h>

#include "codec/headers.h"

#define HEADERS                                                                                       \
    "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /t\r\nce-type: a\r\nce-subject: Alice Liddell\r\n" \
    "ce-personkey: alice\r\ncontent-type: application/json\r\n"
#define PAYLOAD "{\"mail\":\"alice@wonderland.example\"}"

static void add_about(struct nx_append *append, const char *person, const char *payload) {
    const struct nx_append_entry entry = {
        .stream = NX_STR("EVENTS"),
        .subject = NX_STR("events.a"),
        .headers = NX_STR(HEADERS),
        .payload = nx_str_from_c(payload),
        .person = nx_str_from_c(person),
        .clear = NX_STR("what may be told"),
    };
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
}

static uint64_t put_about(struct harness *harness, const char *person, const char *payload) {
    struct nx_append *append = harness_append_new(harness, 1, 0);
    add_about(append, person, payload);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    if (answer->status != NX_OK) {
        fail_msg("%s", answer->error.message);
    }
    return answer->entries[0].sequence;
}

static struct nx_read *read_event(struct harness *harness, uint64_t sequence) {
    struct nx_read *read = harness_read_new(harness, NX_READ_BY_SEQUENCE, "EVENTS", "");
    read->from_sequence = sequence;
    read = harness_ask(harness, read);
    assert_int_equal(read->status, NX_OK);
    assert_int_equal(read->record_count, 1);
    return read;
}

static struct nx_erase *erase(struct harness *harness, const char *person) {
    struct nx_erase *asked = NULL;
    assert_int_equal(nx_erase_new(nx_str_from_c(person), &asked, NULL), NX_OK);
    asked->message.reply_to = harness->answers;
    assert_true(nx_mailbox_send(nx_fabric_reads(harness->fabric), &asked->message));
    harness_run(harness);
    return (struct nx_erase *)harness_answer(harness);
}

/* True when some file of the data directory has the text in it. */
static bool is_on_disk(const struct harness *harness, const char *text) {
    char command[256];
    (void)snprintf(command, sizeof command, "grep -rqF -e '%s' '%s'", text, harness->directory);
    return system(command) == 0;
}

static void assert_open(struct harness *harness, uint64_t sequence, const char *payload) {
    NX_AUTO(nx_read) *read = read_event(harness, sequence);
    const struct nx_record *record = &read->records[0];
    assert_true(nx_str_is(record->payload, payload));
    assert_true(nx_str_is(nx_headers_value(record->headers, "ce-personkey"), "alice"));
    assert_true(nx_str_is(nx_headers_value(record->headers, "content-type"), "application/json"));
    assert_int_equal(nx_record_person_key(record).len, 32);
    assert_int_equal(nx_record_withheld(record).len, 0);
}

static void assert_withheld(struct harness *harness, uint64_t sequence, const char *reason) {
    NX_AUTO(nx_read) *read = read_event(harness, sequence);
    const struct nx_record *record = &read->records[0];
    assert_true(nx_str_is(record->payload, "what may be told"));
    assert_true(nx_str_starts_with(nx_record_withheld(record), nx_str_from_c(reason)));
    assert_int_equal(nx_headers_value(record->headers, "ce-personkey").len, 0);
    assert_int_equal(nx_headers_value(record->headers, "ce-subject").len, 0);
    assert_true(nx_str_is(nx_headers_value(record->headers, "ce-id"), "1"));
}

static void test_only_readers_see_what_is_about_a_person(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    const uint64_t sequence = put_about(&harness, "alice", PAYLOAD);
    assert_open(&harness, sequence, PAYLOAD);
    harness_stop(&harness);
    assert_false(is_on_disk(&harness, "alice@wonderland"));
    assert_false(is_on_disk(&harness, "Liddell"));
    assert_false(is_on_disk(&harness, "alice"));
    harness_start(&harness);
    assert_open(&harness, sequence, PAYLOAD);
    harness_fini(&harness);
}

static void test_an_erased_key_closes_what_it_sealed_and_nothing_else(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    const uint64_t alices = put_about(&harness, "alice", PAYLOAD);
    const uint64_t bobs = put_about(&harness, "bob", "bob's");
    const uint64_t nobodys = harness_put(&harness, "EVENTS", "events.b", "", "clear");
    struct nx_erase *erased = erase(&harness, "alice");
    assert_int_equal(erased->status, NX_OK);
    assert_int_equal(strlen(erased->key_id), 32);
    assert_withheld(&harness, alices, "erased 20");
    assert_open(&harness, bobs, "bob's");
    nx_message_release(&erased->message);
    erased = erase(&harness, "alice");
    assert_int_equal(erased->status, NX_NOT_FOUND);
    nx_message_release(&erased->message);
    harness_stop(&harness);
    harness_start(&harness);
    assert_withheld(&harness, alices, "erased 20");
    assert_open(&harness, bobs, "bob's");
    NX_AUTO(nx_read) *read = read_event(&harness, nobodys);
    assert_true(nx_str_is(read->records[0].payload, "clear"));
    /* They come again: with a new key. */
    assert_open(&harness, put_about(&harness, "alice", PAYLOAD), PAYLOAD);
    assert_withheld(&harness, alices, "erased 20");
    harness_fini(&harness);
}

static void test_an_erasure_is_audited_without_a_name(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    harness_stop(&harness);
    harness.streams[2] = (struct nx_stream_config){ .name = NX_STR("AUDIT"), .sync = NX_SYNC_NEVER };
    harness.options.stream_count = 3;
    harness_start(&harness);
    (void)put_about(&harness, "alice", PAYLOAD);
    struct nx_erase *erased = erase(&harness, "alice");
    NX_AUTO(nx_read) *read =
        harness_ask(&harness, harness_read_new(&harness, NX_READ_LAST, "AUDIT", "audit.node.erase"));
    assert_int_equal(read->status, NX_OK);
    assert_string_equal(erased->error.message, "");
    assert_true(nx_str_find(read->records[0].payload, nx_str_from_c(erased->key_id)) != SIZE_MAX);
    nx_message_release(&erased->message);
    assert_false(is_on_disk(&harness, "alice"));
    harness_fini(&harness);
}

static void test_scans_and_a_look_at_the_directory_are_opened_too(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    for (int i = 0; i < 3; i++) {
        (void)put_about(&harness, "alice", PAYLOAD);
    }
    NX_AUTO(nx_read) *scan = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", ""));
    assert_int_equal(scan->record_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(nx_str_is(scan->records[i].payload, PAYLOAD));
    }
    struct nx_fabric_options options = harness.options;
    NX_AUTO(nx_fabric) *reader = NULL;
    options.read_only = true;
    assert_int_equal(nx_fabric_open(&options, &reader, NULL), NX_OK);
    NX_AUTO(nx_read) *read = harness_read_new(&harness, NX_READ_BY_ID, "EVENTS", "1");
    nx_fabric_read_now(reader, read);
    assert_int_equal(read->record_count, 3);
    assert_true(nx_str_is(read->records[2].payload, PAYLOAD));
    /* Erased by the server: the one who looks on does not see it any more. */
    struct nx_erase *erased = erase(&harness, "alice");
    nx_message_release(&erased->message);
    NX_AUTO(nx_read) *again = harness_read_new(&harness, NX_READ_BY_ID, "EVENTS", "1");
    nx_fabric_read_now(reader, again);
    assert_true(nx_str_starts_with(nx_record_withheld(&again->records[0]), NX_STR("erased")));
    harness_fini(&harness);
}

static void test_what_is_made_of_an_erased_record_is_never_readable(void **state) {
    struct harness harness;
    char key[33] = "";
    (void)state;
    harness_init(&harness);
    {
        NX_AUTO(nx_read) *read = read_event(&harness, put_about(&harness, "alice", PAYLOAD));
        memcpy(key, nx_record_person_key(&read->records[0]).ptr, 32);
    }
    struct nx_append_entry entry = { .stream = NX_STR("EVENTS"),
                                     .subject = NX_STR("events.b"),
                                     .headers = NX_STR(HEADERS),
                                     .payload = NX_STR(PAYLOAD),
                                     .person_key = nx_str_from_c(key),
                                     .clear = NX_STR("what may be told") };
    struct nx_append *append = harness_append_new(&harness, 1, 0);
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
    nx_append_free(harness_send(&harness, append));
    assert_open(&harness, 2, PAYLOAD);
    nx_message_release(&erase(&harness, "alice")->message);
    append = harness_append_new(&harness, 1, 0);
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
    nx_append_free(harness_send(&harness, append));
    assert_withheld(&harness, 2, "erased 20");
    assert_withheld(&harness, 3, "erased 20");
    assert_false(is_on_disk(&harness, "wonderland"));
    harness_fini(&harness);
}

static void test_says_so_when_the_keys_are_gone(void **state) {
    struct harness harness;
    char command[128];
    (void)state;
    harness_init(&harness);
    const uint64_t sequence = put_about(&harness, "alice", PAYLOAD);
    harness_stop(&harness);
    (void)snprintf(command, sizeof command, "rm -r '%s/keys'", harness.directory);
    assert_int_equal(system(command), 0);
    harness_start(&harness);
    assert_withheld(&harness, sequence, "key-missing");
    harness_fini(&harness);
}

static void test_duplicates_and_conditions_work_as_ever(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    for (int i = 0; i < 2; i++) {
        struct nx_append *append = harness_append_new(&harness, 1, 0);
        const struct nx_append_entry entry = { .stream = NX_STR("EVENTS"),
                                               .subject = NX_STR("events.a"),
                                               .headers = NX_STR(HEADERS),
                                               .payload = NX_STR(PAYLOAD),
                                               .dedup_key = NX_STR("once"),
                                               .person = NX_STR("alice") };
        assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
        NX_AUTO(nx_append) *answer = harness_send(&harness, append);
        assert_int_equal(answer->status, NX_OK);
        assert_int_equal(answer->entries[0].duplicate, i == 1);
        assert_int_equal(answer->entries[0].sequence, 1);
        assert_true(nx_str_is(answer->entries[0].plain, PAYLOAD));
    }
    /* A record that is too long only when it is sealed. */
    struct nx_append *append = harness_append_new(&harness, 1, 0);
    char *text = calloc(1, NX_RECORD_SIZE_MAX - 10);
    assert_non_null(text);
    const struct nx_append_entry entry = { .stream = NX_STR("EVENTS"),
                                           .subject = NX_STR("events.a"),
                                           .payload = nx_str_of(text, NX_RECORD_SIZE_MAX - 10),
                                           .person = NX_STR("alice") };
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
    NX_AUTO(nx_append) *answer = harness_send(&harness, append);
    assert_int_equal(answer->error.kind, NX_KIND_TOO_LARGE);
    free(text);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_readers_see_what_is_about_a_person),
        cmocka_unit_test(test_an_erased_key_closes_what_it_sealed_and_nothing_else),
        cmocka_unit_test(test_an_erasure_is_audited_without_a_name),
        cmocka_unit_test(test_scans_and_a_look_at_the_directory_are_opened_too),
        cmocka_unit_test(test_what_is_made_of_an_erased_record_is_never_readable),
        cmocka_unit_test(test_says_so_when_the_keys_are_gone),
        cmocka_unit_test(test_duplicates_and_conditions_work_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
