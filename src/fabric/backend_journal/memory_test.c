/* src/fabric/backend_journal/memory_test.c: memory that is missing for a moment costs the request that met
 * it, and nothing else. Every allocation of the fabric can be made to fail: the linker gives the program
 * these instead. */
#include "fabric/backend_journal/harness_test.h"

#include <inttypes.h>
#include <string.h>

enum { FAILURES = 48, APPENDS = 6, RECORDS_MAX = FAILURES * APPENDS };

static int countdown; /* the allocation that fails; 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

static bool fails(void) {
    return countdown > 0 && --countdown == 0;
}
void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, size_t size) {
    return fails() ? NULL : __real_realloc(memory, size);
}
void *__wrap_reallocarray(void *memory, size_t count, size_t size) {
    return fails() ? NULL : __real_reallocarray(memory, count, size);
}

enum fate { REFUSED, WRITTEN, UNKNOWN };

struct model {
    enum fate fates[RECORDS_MAX];
    int seen[RECORDS_MAX];
    int count;
    int written;
    int frozen;
    int refused;
};

/* Large enough that every few of them take a new segment, with keys and a stream that is new now and then. */
static struct nx_append *make(struct harness *harness, int number) {
    static char payload[3000];
    char headers[64];
    char bucket[16];
    char key[16];
    memset(payload, 'x', sizeof payload - 1);
    payload[snprintf(payload, 8, "%06d", number)] = ' ';
    (void)snprintf(headers, sizeof headers, "ce-id: id-%d\r\nNexus-Event: EVENTS:1\r\n", number);
    (void)snprintf(bucket, sizeof bucket, "KV_%d", number / 10);
    (void)snprintf(key, sizeof key, "key-%d", number);
    struct nx_append *append = harness_append_new(harness, 2, 0);
    harness_add(append, "EVENTS", "events.x", headers, payload, key);
    harness_add(append, bucket, "key", headers, "value", NULL);
    return append;
}

static void note(struct harness *harness, struct model *model, struct nx_append *answer) {
    const enum nx_kind kind = answer->error.kind;
    int *const count = answer->status == NX_OK      ? &model->written
                       : kind == NX_KIND_LOG_FROZEN ? &model->frozen
                                                    : &model->refused;
    assert_true(answer->status == NX_OK || kind == NX_KIND_OUT_OF_MEMORY || kind == NX_KIND_LOG_FROZEN);
    model->fates[model->count++] = answer->status == NX_OK      ? WRITTEN
                                   : kind == NX_KIND_LOG_FROZEN ? UNKNOWN
                                                                : REFUSED;
    (*count)++;
    nx_append_free(answer);
    if (kind == NX_KIND_LOG_FROZEN) {
        harness_stop(harness);
        harness_start(harness);
    }
}

/* What was acknowledged is there, once, in order; what was refused is not. */
static void check(struct harness *harness, struct model *model) {
    uint64_t next = 1;
    int last = -1;
    memset(model->seen, 0, sizeof model->seen);
    for (bool at_end = false; !at_end;) {
        struct nx_read *question = harness_read_new(harness, NX_READ_SCAN, "EVENTS", NULL);
        question->from_sequence = next;
        NX_AUTO(nx_read) *read = harness_ask(harness, question);
        assert_int_equal(read->status, NX_OK);
        assert_int_equal(read->lost_count, 0);
        for (size_t i = 0; i < read->record_count; i++) {
            uint64_t told;
            assert_true(nx_str_to_u64(nx_str_slice(read->records[i].payload, 0, 6), &told));
            const int number = (int)told;
            assert_true(number > last && number < model->count);
            model->seen[number]++;
            last = number;
        }
        next = read->next_sequence;
        at_end = read->at_end;
    }
    for (int i = 0; i < model->count; i++) {
        assert_true(model->fates[i] == UNKNOWN || model->seen[i] == (model->fates[i] == WRITTEN ? 1 : 0));
    }
}

/* By its id each is found once, though the index may have been interrupted in taking it in. */
static void check_ids(struct harness *harness, const struct model *model) {
    for (int i = 0; i < model->count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "id-%d", i);
        NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, NX_READ_BY_ID, "EVENTS", id));
        int found = 0;
        for (size_t k = 0; k < read->record_count; k++) { /* the bucket keeps only its newest */
            found += nx_str_is(read->records[k].stream, "EVENTS") ? 1 : 0;
        }
        assert_int_equal(found, model->seen[i]);
    }
}

static void test_nothing_is_lost_or_invented_when_any_allocation_fails(void **state) {
    static struct model model;
    struct harness harness;
    (void)state;
    harness_open(&harness, 16 * 1024);
    for (int failure = 1; failure <= FAILURES; failure++) {
        for (int i = 0; i < APPENDS; i++) {
            struct nx_append *append = make(&harness, model.count);
            countdown = failure;
            struct nx_append *answer = harness_send(&harness, append);
            countdown = 0;
            note(&harness, &model, answer);
            harness.now.monotonic_ns += 30LL * NX_NS_PER_S; /* what waits for its next try has it */
            harness.now.wall_ns += 30LL * NX_NS_PER_S;
            harness_run(&harness);
        }
        check(&harness, &model);
        harness_stop(&harness); /* the first append of a life is the one that has the most to allocate */
        harness_start(&harness);
    }
    print_message("%d written, %d refused, %d ended in a frozen log\n", model.written, model.refused,
                  model.frozen);
    assert_true(model.written > 0 && model.refused > 0);
    check_ids(&harness, &model);
    harness_stop(&harness);
    harness_start(&harness);
    assert_int_equal(nx_fabric_recovery_report(harness.fabric).len, 0);
    check(&harness, &model);
    check_ids(&harness, &model);
    harness_fini(&harness);
}

static void step(struct harness *harness, int actor) {
    (void)nx_mailbox_take(harness->actors[actor].mailbox, &harness->inboxes[actor]);
    (void)harness->actors[actor].step(harness->actors[actor].state, harness_clock(harness),
                                      &harness->inboxes[actor]);
}

/* The journal is in its second segment, the library in the first, and cannot open the second. */
static void test_answers_no_read_from_what_it_knows_while_it_cannot_follow_the_log(void **state) {
    struct harness harness;
    char path[128];
    char aside[128];
    (void)state;
    harness_open(&harness, 16 * 1024);
    for (int i = 0; i < 8; i++) {
        struct nx_append *append = make(&harness, i);
        assert_true(nx_mailbox_send(nx_fabric_appends(harness.fabric), &append->message));
        step(&harness, 0);
        nx_append_free((struct nx_append *)harness_answer(&harness));
    }
    (void)snprintf(path, sizeof path, "%s/journal/wal-%016x", harness.directory, 2);
    (void)snprintf(aside, sizeof aside, "%s/aside", harness.directory);
    assert_int_equal(rename(path, aside), 0);
    struct nx_read *read = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", NULL));
    assert_int_not_equal(read->status, NX_OK);
    nx_read_free(read);
    assert_int_equal(rename(aside, path), 0);
    read = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", NULL));
    assert_int_equal(read->status, NX_OK);
    assert_int_equal(read->record_count, 8);
    assert_int_equal(read->lost_count, 0);
    nx_read_free(read);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_or_invented_when_any_allocation_fails),
        cmocka_unit_test(test_answers_no_read_from_what_it_knows_while_it_cannot_follow_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
