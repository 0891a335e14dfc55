/* src/fabric/backend_journal/retention_test.c: sealed records are found by every way, leave by size and age
 * but never under a consumer, keys keep their newest value, and damage in a run is told. */
#include "fabric/backend_journal/harness_test.h"

#include "fabric/kv/kv.h"
#include "fabric/object/object.h"
#include "storage/check/check.h"
#include "storage/run/run.h"

static void put_many(struct harness *harness, const char *stream, int from, int count) {
    static char payload[400];
    memset(payload, 'x', sizeof payload - 1);
    for (int i = from; i < from + count; i++) {
        char headers[64];
        (void)snprintf(headers, sizeof headers, "ce-id: %s-%d\r\n", stream, i);
        (void)snprintf(payload, 32, "%d.................", i);
        payload[strlen(payload)] = '.';
        (void)harness_put(harness, stream, i % 3 == 0 ? "a.three" : "a.other", headers, payload);
    }
}

static void run_for(struct harness *harness, int64_t seconds) {
    for (int64_t i = 0; i < seconds; i++) {
        harness->now.monotonic_ns += NX_NS_PER_S;
        harness->now.wall_ns += NX_NS_PER_S;
        harness_run(harness);
    }
}

static struct nx_stream_info info_of(struct harness *harness, const char *stream) {
    NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, NX_READ_INFO, stream, NULL));
    assert_int_equal(read->status, NX_OK);
    nx_assert(read->infos != NULL);
    struct nx_stream_info info = read->infos[0];
    info.name = NX_STR_EMPTY;
    return info;
}

static enum nx_kind kind_of_sequence(struct harness *harness, const char *stream, uint64_t sequence) {
    struct nx_read *question = harness_read_new(harness, NX_READ_BY_SEQUENCE, stream, NULL);
    question->from_sequence = sequence;
    NX_AUTO(nx_read) *read = harness_ask(harness, question);
    assert_true(read->status == NX_OK ? read->record_count == 1 : read->record_count == 0);
    return read->status == NX_OK ? NX_KIND_NONE : read->error.kind;
}

static void expect_key(struct harness *harness, enum nx_read_kind kind, const char *key, uint64_t sequence) {
    NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, kind, "EVENTS", key));
    assert_int_equal(read->status, NX_OK);
    nx_assert(read->records != NULL);
    assert_int_equal(read->records[0].sequence, sequence);
}

static void test_sealed_records_are_found_by_every_way(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_many(&harness, "EVENTS", 0, 2000);
    for (int round = 0; round < 2; round++) {
        run_for(&harness, 2);
        assert_int_equal(info_of(&harness, "EVENTS").count, 2000);
        expect_key(&harness, NX_READ_BY_ID, "EVENTS-0", 1);
        expect_key(&harness, NX_READ_BY_ID, "EVENTS-1999", 2000);
        expect_key(&harness, NX_READ_LAST, "a.three", 1999);
        assert_int_equal(kind_of_sequence(&harness, "EVENTS", 777), NX_KIND_NONE);
        NX_AUTO(nx_read) *some =
            harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "a.th>"));
        assert_int_equal(some->record_count, 0);
        NX_AUTO(nx_read) *three =
            harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "*.three"));
        assert_int_equal(three->record_count, 667);
        assert_true(three->at_end);
        harness_stop(&harness);
        harness_start(&harness);
    }
    harness_fini(&harness);
}

static void protect(struct harness *harness, const char *stream, const char *consumer, uint64_t from) {
    struct nx_protect *wish = calloc(1, sizeof *wish);
    nx_assert(wish != NULL);
    wish->from_sequence = from;
    (void)snprintf(wish->stream, sizeof wish->stream, "%s", stream);
    (void)snprintf(wish->consumer, sizeof wish->consumer, "%s", consumer);
    wish->message.kind = NX_FABRIC_PROTECT;
    wish->message.release = (void (*)(struct nx_message *))free;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &wish->message));
}

static void test_age_drops_what_fills_no_segment(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    harness.streams[0].age_max_ns = 80 * (int64_t)NX_NS_PER_S;
    harness_stop(&harness);
    harness_start(&harness);
    put_many(&harness, "EVENTS", 0, 3);
    run_for(&harness, 70);
    put_many(&harness, "EVENTS", 3, 3);
    run_for(&harness, 25);
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 4);
    /* Also what an earlier life wrote last, though nothing comes any more. */
    harness_stop(&harness);
    harness_start(&harness);
    run_for(&harness, 100);
    assert_int_equal(info_of(&harness, "EVENTS").count, 0);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 6), NX_KIND_EXPIRED);
    harness_fini(&harness);
}

static void test_size_drops_the_oldest_but_never_under_a_consumer(void **state) {
    struct harness harness;
    struct nx_protect wish = { .from_sequence = 1, .stream = "EVENTS", .consumer = "welcome" };
    (void)state;
    harness_init(&harness);
    harness.streams[0].size_max = 20 * 1024; /* runs are small: the payload packs well */
    harness_stop(&harness);
    harness_start(&harness);
    struct nx_protect *sent = calloc(1, sizeof *sent);
    nx_assert(sent != NULL);
    *sent = wish;
    sent->message.kind = NX_FABRIC_PROTECT;
    sent->message.release = (void (*)(struct nx_message *))free;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness.fabric), &sent->message));
    put_many(&harness, "EVENTS", 0, 3000);
    run_for(&harness, 30);
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 1);
    sent = calloc(1, sizeof *sent);
    nx_assert(sent != NULL);
    *sent = wish;
    sent->from_sequence = UINT64_MAX;
    sent->message.kind = NX_FABRIC_PROTECT;
    sent->message.release = (void (*)(struct nx_message *))free;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness.fabric), &sent->message));
    run_for(&harness, 30);
    const struct nx_stream_info info = info_of(&harness, "EVENTS");
    assert_true(info.first_sequence > 1);
    assert_int_equal(info.last_sequence, 3000);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 1), NX_KIND_EXPIRED);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 3000), NX_KIND_NONE);
    harness_stop(&harness);
    harness_start(&harness);
    assert_int_equal(info_of(&harness, "EVENTS").last_sequence, 3000);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 1), NX_KIND_EXPIRED);
    harness_fini(&harness);
}

/* Fill a stream past its size with a consumer that wants everything from `from`; the first record left. */
static uint64_t first_left(struct harness *harness, uint64_t from) {
    harness_init(harness);
    harness->streams[0].size_max = 20 * 1024;
    harness_stop(harness);
    harness_start(harness);
    protect(harness, "EVENTS", "welcome", from);
    put_many(harness, "EVENTS", 0, 3000);
    run_for(harness, 30);
    return info_of(harness, "EVENTS").first_sequence;
}

static void test_the_very_record_that_a_consumer_wants_next_is_kept(void **state) {
    struct harness harness;
    (void)state;
    const uint64_t first = first_left(&harness, UINT64_MAX);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", first), NX_KIND_NONE);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", first - 1), NX_KIND_EXPIRED);
    {
        NX_AUTO(nx_read) *scan =
            harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", ">"));
        assert_true(scan->record_count > 0);
        assert_int_equal(scan->records[0].sequence, first);
    }
    harness_stop(&harness);
    harness_start(&harness);
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence,
                     first); /* what is left, it said before too */
    harness_fini(&harness);
    assert_true(first > 2);
    const uint64_t wanted[] = { first - 1,
                                first }; /* the last record of a part that may go, and the next one */
    for (size_t i = 0; i < 2; i++) {
        assert_true(first_left(&harness, wanted[i]) <= wanted[i]);
        assert_int_equal(kind_of_sequence(&harness, "EVENTS", wanted[i]), NX_KIND_NONE);
        harness_fini(&harness);
    }
}

static enum nx_kind try_to_append(struct harness *harness, const char *named) {
    struct nx_append *append = harness_append_new(harness, 1, 0);
    harness_add(append, "EVENTS", "a.other", "", "payload", NULL);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    if (answer->status == NX_OK) {
        return NX_KIND_NONE;
    }
    assert_non_null(strstr(answer->error.message, named));
    return answer->error.kind;
}

static void test_the_budget_takes_the_oldest_and_nothing_that_a_consumer_wants(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_many(&harness, "EVENTS", 0, 3000);
    run_for(&harness, 2);
    harness_stop(&harness);
    harness.options.disk_budget = 3 * 64 * 1024; /* less than there is */
    harness_start(&harness);
    protect(&harness, "EVENTS", "welcome", 1);
    run_for(&harness, 30);
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 1);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 1), NX_KIND_NONE);
    assert_int_equal(try_to_append(&harness, "'welcome'"), NX_KIND_BUDGET_FULL);
    protect(&harness, "EVENTS", "welcome", UINT64_MAX);
    run_for(&harness, 30);
    assert_true(info_of(&harness, "EVENTS").first_sequence > 1);
    assert_int_equal(try_to_append(&harness, ""), NX_KIND_NONE);
    harness_fini(&harness);
}

/* Pairs of the same sequence in one append; those of `stream` do not compress. */
static void put_pairs(struct harness *harness, const char *stream, const char *subject, int count) {
    uint64_t state = 1;
    char payload[2048];
    for (int i = 0; i < count; i++) {
        for (size_t k = 0; k + 1 < sizeof payload; k++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            payload[k] = (char)('a' + (state >> 60));
        }
        payload[sizeof payload - 1] = '\0';
        struct nx_append *append = harness_append_new(harness, 2, 0);
        harness_add(append, "INVOCATIONS", "invocations.f", "", "{}", NULL);
        harness_add(append, stream, subject, "", payload, NULL);
        NX_AUTO(nx_append) *answer = harness_send(harness, append);
        assert_int_equal(answer->status, NX_OK);
    }
}

static void test_what_goes_with_another_stream_leaves_behind_it_and_not_before(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    harness_stop(&harness);
    harness.streams[2] =
        (struct nx_stream_config){ .name = NX_STR("OBJ_calls"), .goes_with = NX_STR("INVOCATIONS") };
    harness.options.stream_count = 3;
    harness_start(&harness);
    put_pairs(&harness, "OBJ_calls", "$O.calls.C.1", 300);
    run_for(&harness, 2);
    harness_stop(&harness);
    harness.options.disk_budget = 5 * 64 * 1024; /* less than there is */
    harness_start(&harness);
    protect(&harness, "INVOCATIONS", "dispatch", 1);
    run_for(&harness, 30);
    assert_int_equal(info_of(&harness, "OBJ_calls").first_sequence, 1);
    protect(&harness, "INVOCATIONS", "dispatch", UINT64_MAX);
    run_for(&harness, 60);
    for (int round = 0; round < 2; round++) {
        const struct nx_stream_info objects = info_of(&harness, "OBJ_calls");
        assert_true(objects.first_sequence > 1);
        assert_true(objects.first_sequence <= info_of(&harness, "INVOCATIONS").first_sequence);
        assert_int_equal(objects.last_sequence, 300);
        harness_stop(&harness);
        harness_start(&harness);
    }
    harness_fini(&harness);
}

/* "Ask me", behind the wishes; it comes back to the harness when one of them stands in the way. */
static void be_asked(struct harness *harness) {
    struct nx_message *message = calloc(1, sizeof *message);
    nx_assert(message != NULL);
    message->kind = NX_FABRIC_WHEN_HELD;
    message->release = (void (*)(struct nx_message *))free;
    message->reply_to = harness->answers;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), message));
    harness_run(harness);
}

static void test_newer_records_stay_until_who_holds_older_ones_was_asked(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_many(&harness, "INVOCATIONS", 0, 6000);
    put_pairs(&harness, "EVENTS", "events.a", 1000);
    run_for(&harness, 60);
    harness_stop(&harness);
    /* More than there is, but with too little room behind it. */
    harness.options.disk_budget = 40 * 64 * 1024;
    harness.options.retention_waits_for = "dispatch";
    harness_start(&harness);
    protect(&harness, "INVOCATIONS", "dispatch", 1);
    be_asked(&harness);
    run_for(&harness, 30);
    nx_message_release(harness_answer(&harness));
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 1);
    be_asked(&harness); /* the wish stands */
    run_for(&harness, 30);
    assert_true(info_of(&harness, "EVENTS").first_sequence > 1);
    assert_int_equal(info_of(&harness, "INVOCATIONS").first_sequence, 1);
    harness_fini(&harness);
}

static void test_a_key_has_its_newest_value_and_can_be_deleted(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    for (int i = 0; i < 600; i++) {
        char value[256];
        memset(value, 'v', sizeof value);
        (void)snprintf(value, 16, "value %d", i);
        struct nx_append *append = harness_append_new(&harness, 1, 1);
        assert_int_equal(nx_kv_put(append, NX_STR("fn"), i % 2 == 0 ? NX_STR("even") : NX_STR("odd"),
                                   nx_str_of(value, sizeof value), NULL),
                         NX_OK);
        NX_AUTO(nx_append) *answer = harness_send(&harness, append);
        assert_int_equal(answer->status, NX_OK);
    }
    run_for(&harness, 3);
    struct nx_read *question = NULL;
    assert_int_equal(nx_kv_get(NX_STR("fn"), NX_STR("even"), &question, NULL), NX_OK);
    question->message.reply_to = harness.answers;
    NX_AUTO(nx_read) *answer = harness_ask(&harness, question);
    assert_int_equal(answer->record_count, 1);
    assert_int_equal(answer->records[0].sequence, 599);
    assert_true(nx_kv_is_value(&answer->records[0]));
    NX_AUTO(nx_read) *all = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "KV_fn", NULL));
    assert_int_equal(all->record_count, 2); /* older values are not shown */
    struct nx_append *append = harness_append_new(&harness, 1, 1);
    assert_int_equal(nx_kv_delete(append, NX_STR("fn"), NX_STR("even"), NULL), NX_OK);
    assert_int_equal(nx_kv_expect(append, NX_STR("fn"), NX_STR("even"), 599, NULL), NX_OK);
    NX_AUTO(nx_append) *deleted = harness_send(&harness, append);
    assert_int_equal(deleted->status, NX_OK);
    append = harness_append_new(&harness, 1, 1);
    assert_int_equal(nx_kv_put(append, NX_STR("fn"), NX_STR("bad key"), NX_STR(""), NULL),
                     NX_INVALID_ARGUMENT);
    nx_append_free(append);
    harness_fini(&harness);
}

static enum nx_status get_object(struct harness *harness, const struct nx_digest *digest,
                                 struct nx_buf *out) {
    struct nx_object_get get;
    nx_object_get_init(&get, NX_STR("tapes"), digest, out);
    for (;;) {
        struct nx_read *question = NULL;
        assert_int_equal(nx_object_get_next(&get, &question, NULL), NX_OK);
        if (question == NULL) {
            return NX_OK;
        }
        question->message.reply_to = harness->answers;
        NX_AUTO(nx_read) *read = harness_ask(harness, question);
        NX_TRY(nx_object_get_take(&get, read, NULL));
    }
}

static void test_an_object_is_stored_once_and_read_by_its_digest(void **state) {
    static char bytes[NX_OBJECT_CHUNKS_PER_APPEND * NX_OBJECT_CHUNK_SIZE + 20000];
    struct harness harness;
    (void)state;
    harness_open(&harness, 8 * 1024 * 1024);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * i >> 3);
    }
    /* The second put of the same bytes writes nothing: its first append is refused. */
    struct nx_object_put put;
    for (uint64_t round = 0; round < 2; round++) {
        size_t append_count = 0;
        nx_object_put_init(&put, NX_STR("tapes"), nx_str_of(bytes, sizeof bytes), round);
        for (;;) {
            struct nx_append *append = NULL;
            assert_int_equal(nx_object_put_next(&put, &append, NULL), NX_OK);
            if (append == NULL) {
                break;
            }
            append->message.reply_to = harness.answers;
            NX_AUTO(nx_append) *answer = harness_send(&harness, append);
            assert_int_equal(answer->status, round == 0 ? NX_OK : NX_FAILED_PRECONDITION);
            assert_int_equal(nx_object_put_take(&put, answer, NULL), NX_OK);
            append_count++;
        }
        assert_int_equal(append_count, round == 0 ? 2 : 1);
    }
    NX_AUTO(nx_buf) out = { 0 };
    nx_buf_init(&out, NX_OBJECT_SIZE_MAX);
    assert_int_equal(get_object(&harness, &put.digest, &out), NX_OK);
    assert_true(nx_str_equal(nx_buf_str(&out), nx_str_of(bytes, sizeof bytes)));
    put.digest.bytes[0] ^= 1;
    assert_int_equal(get_object(&harness, &put.digest, &out), NX_NOT_FOUND);
    harness_fini(&harness);
}

/* Write one key so often that several segments hold nothing else. */
static void put_key_often(struct harness *harness, const char *key, int count) {
    char value[256];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < count; i++) {
        struct nx_append *append = harness_append_new(harness, 1, 1);
        assert_int_equal(
            nx_kv_put(append, NX_STR("fn"), nx_str_from_c(key), nx_str_of(value, sizeof value), NULL), NX_OK);
        NX_AUTO(nx_append) *answer = harness_send(harness, append);
        assert_int_equal(answer->status, NX_OK);
    }
}

static void test_values_that_were_replaced_are_not_called_lost(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_key_often(&harness, "rare", 1);
    put_key_often(&harness, "often", 400);
    run_for(&harness, 3);
    harness_stop(&harness);
    harness_start(&harness);
    assert_int_equal(nx_fabric_recovery_report(harness.fabric).len, 0);
    NX_AUTO(nx_read) *all = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "KV_fn", NULL));
    assert_int_equal(all->record_count, 2);
    assert_int_equal(all->lost_count, 0);
    put_key_often(&harness, "often", 1);
    assert_int_equal(info_of(&harness, "KV_fn").last_sequence, 402);
    harness_fini(&harness);
}

static void test_retention_waits_until_the_consumers_have_spoken(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_many(&harness, "EVENTS", 0, 800);
    run_for(&harness, 3);
    harness_stop(&harness);
    harness.streams[0].size_max = 20 * 1024;
    harness.options.retention_waits_for = "dispatch";
    harness_start(&harness);
    run_for(&harness, 12);
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 1);
    protect(&harness, "EVENTS", "welcome", 1);
    run_for(&harness, 12);
    protect(&harness, "INVOCATIONS", "dispatch", 1);
    run_for(&harness, 12);
    assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 1);
    protect(&harness, "EVENTS", "welcome", UINT64_MAX);
    run_for(&harness, 12);
    assert_true(info_of(&harness, "EVENTS").first_sequence > 1);
    harness_fini(&harness);
}

static void test_a_run_within_another_is_not_found_twice(void **state) {
    struct harness harness;
    char directory[128];
    struct nx_run_writer *writer = NULL;
    const struct nx_stored first = { .stream = 1,
                                     .sequence = 1,
                                     .time_ns = 1,
                                     .subject = NX_STR("a.three"),
                                     .headers = NX_STR("ce-id: EVENTS-0\r\n") };
    (void)state;
    harness_init(&harness);
    put_many(&harness, "EVENTS", 0, 800);
    run_for(&harness, 3);
    harness_stop(&harness);
    /* As after a run that could not be opened once it had its name: another holds its segment and more. */
    (void)snprintf(directory, sizeof directory, "%s/journal", harness.directory);
    assert_int_equal(nx_run_writer_open(nx_disk_system(), directory, 1, 2, 7, &writer, NULL), NX_OK);
    assert_int_equal(nx_run_writer_stream(writer, 1, NX_STR("EVENTS"), NULL), NX_OK);
    assert_int_equal(nx_run_writer_add(writer, &first, false, NULL), NX_OK);
    assert_int_equal(nx_run_writer_finish(writer, NULL), NX_OK);
    nx_run_writer_close(writer);
    for (int round = 0; round < 2; round++) {
        harness_start(&harness);
        NX_AUTO(nx_read) *read =
            harness_ask(&harness, harness_read_new(&harness, NX_READ_BY_ID, "EVENTS", "EVENTS-0"));
        assert_int_equal(read->status, NX_OK);
        assert_int_equal(read->record_count, 1);
        harness_stop(&harness);
    }
    harness_start(&harness);
    harness_fini(&harness);
}

static void count_problem(void *data, const char *file, const char *text) {
    (void)file;
    (void)text;
    ++*(size_t *)data;
}

static bool find_run(void *data, const struct nx_disk_entry *entry) {
    if (nx_str_starts_with(entry->name, NX_STR("runs-"))) {
        (void)snprintf(data, 256, "%.*s", NX_STR_ARG(entry->name));
        return false;
    }
    return true;
}

static void test_verify_is_silent_about_a_whole_journal_and_names_damage(void **state) {
    struct harness harness;
    char directory[128];
    char run[256] = "";
    char path[512];
    size_t problems = 0;
    struct nx_check_summary summary;
    const struct nx_check_visitor visitor = { .data = &problems, .problem = count_problem };
    (void)state;
    harness_init(&harness);
    put_many(&harness, "EVENTS", 0, 2000);
    run_for(&harness, 3);
    harness_stop(&harness);
    (void)snprintf(directory, sizeof directory, "%s/journal", harness.directory);
    assert_int_equal(nx_journal_verify(nx_disk_system(), directory, &visitor, &summary, NULL), NX_OK);
    assert_int_equal(problems, 0);
    assert_int_equal(summary.record_count, 2000);
    assert_true(summary.run_count > 0);
    assert_int_equal(nx_disk_list(nx_disk_system(), directory, find_run, run, NULL), NX_OK);
    (void)snprintf(path, sizeof path, "%s/%s", directory, run);
    struct nx_file *file = NULL;
    assert_int_equal(nx_file_open(nx_disk_system(), path, NX_FILE_WRITE, &file, NULL), NX_OK);
    assert_int_equal(nx_file_write_at(file, 200, &NX_STR("damage"), 1, NULL), NX_OK);
    nx_file_close(file);
    assert_int_equal(nx_journal_verify(nx_disk_system(), directory, &visitor, &summary, NULL), NX_OK);
    assert_int_equal(problems, 1);
    assert_true(summary.lost_count > 0);
    harness_start(&harness);
    NX_AUTO(nx_read) *read = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", NULL));
    assert_int_equal(read->status, NX_OK);
    assert_int_equal(read->lost_count, summary.lost_count);
    assert_int_equal(read->record_count + read->lost_count, 2000);
    harness_stop(&harness);
    assert_int_equal(nx_journal_repair(nx_disk_system(), directory, &visitor, NULL), NX_OK);
    harness_start(&harness);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealed_records_are_found_by_every_way),
        cmocka_unit_test(test_age_drops_what_fills_no_segment),
        cmocka_unit_test(test_size_drops_the_oldest_but_never_under_a_consumer),
        cmocka_unit_test(test_the_very_record_that_a_consumer_wants_next_is_kept),
        cmocka_unit_test(test_the_budget_takes_the_oldest_and_nothing_that_a_consumer_wants),
        cmocka_unit_test(test_what_goes_with_another_stream_leaves_behind_it_and_not_before),
        cmocka_unit_test(test_newer_records_stay_until_who_holds_older_ones_was_asked),
        cmocka_unit_test(test_a_key_has_its_newest_value_and_can_be_deleted),
        cmocka_unit_test(test_an_object_is_stored_once_and_read_by_its_digest),
        cmocka_unit_test(test_values_that_were_replaced_are_not_called_lost),
        cmocka_unit_test(test_retention_waits_until_the_consumers_have_spoken),
        cmocka_unit_test(test_a_run_within_another_is_not_found_twice),
        cmocka_unit_test(test_verify_is_silent_about_a_whole_journal_and_names_damage),
    };
    return cmocka_run_group_tests_name("fabric/backend_journal/retention", tests, NULL, NULL);
}
