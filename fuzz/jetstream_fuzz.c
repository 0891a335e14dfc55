/* fuzz/jetstream_fuzz.c: any JSON is a configuration of a stream or consumer, or an error with a number. What
 * was taken is taken again in the same form as it is written, and means the same. */
#include "base/assert.h"
#include "fabric/consumer/consumer_check.h"
#include "fabric/stream/stream_check.h"
#include "fuzz.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

static void expect_error(const struct nx_js_error *err) {
    nx_assert(nx_js_error_code(err->kind) >= 10000 && nx_js_error_status(err->kind) >= 400);
    nx_assert(err->description[0] != '\0');
}

static void fuzz_stream(const struct nx_json_value *root, struct nx_arena *arena,
                        struct nx_js_stream *stream) {
    NX_AUTO(nx_buf) text;
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error err = { 0 };
    struct nx_js_stream again;
    struct nx_json_writer writer;
    nx_buf_init(&text, MEMORY_MAX);
    if (!nx_js_stream_read(root, stream, arena, &err) || !nx_js_stream_check(stream, arena, &err)) {
        expect_error(&err);
        *stream = (struct nx_js_stream){ .name = NX_STR("A") };
        nx_assert(nx_js_stream_check(stream, arena, &err));
        return;
    }
    nx_json_writer_init(&writer, &text);
    nx_js_stream_write(&writer, stream);
    nx_json_writer_end(&writer);
    nx_assert(nx_json_parse(nx_buf_str(&text), MEMORY_MAX, &doc, NULL) == NX_OK);
    nx_assert(nx_js_stream_read(nx_json_root(doc), &again, arena, &err));
    nx_assert(nx_js_stream_check(&again, arena, &err) && nx_js_stream_equal(stream, &again));
    nx_assert(nx_js_stream_check_update(stream, &again, arena, &err));
    nx_assert(nx_js_stream_copy(stream, &again, arena) && nx_js_stream_overlaps(stream, &again));
}

static void fuzz_consumer(const struct nx_json_value *root, struct nx_arena *arena,
                          const struct nx_js_stream *stream) {
    NX_AUTO(nx_buf) text;
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error err = { 0 };
    struct nx_js_consumer consumer;
    struct nx_js_consumer again;
    struct nx_json_writer writer;
    nx_buf_init(&text, MEMORY_MAX);
    if (!nx_js_consumer_read(root, &consumer, arena, &err) ||
        !nx_js_consumer_check(&consumer, stream, &err)) {
        expect_error(&err);
        return;
    }
    nx_json_writer_init(&writer, &text);
    nx_js_consumer_write(&writer, &consumer);
    nx_json_writer_end(&writer);
    nx_assert(nx_json_parse(nx_buf_str(&text), MEMORY_MAX, &doc, NULL) == NX_OK);
    nx_assert(nx_js_consumer_read(nx_json_root(doc), &again, arena, &err));
    nx_assert(nx_js_consumer_check(&again, stream, &err) && nx_js_consumer_equal(&consumer, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_arena arena;
    struct nx_js_stream stream;
    if (size > 64 * 1024 || nx_json_parse(nx_str_of(data, size), MEMORY_MAX, &doc, NULL) != NX_OK) {
        return 0;
    }
    nx_arena_init(&arena, MEMORY_MAX);
    fuzz_stream(nx_json_root(doc), &arena, &stream);
    fuzz_consumer(nx_json_root(doc), &arena, &stream);
    nx_arena_fini(&arena);
    return 0;
}
