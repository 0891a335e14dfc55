/* src/app/fixture.c: reading fixtures, and what they and calls come to in lines that can be compared. */
#include "app/fixture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"
#include "codec/word.h"

enum {
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    PART_SIZE_MAX = 32 * 1024 * 1024,
    NAMES_MAX = 8,
};
#define START_DEFAULT_NS INT64_C(1735689600000000000) /* 2025-01-01T00:00:00Z */

const char *nx_fixture_part_name(enum nx_fixture_part part) {
#define NX_FIXTURE_PART_NAME(part, name) [part] = name,
    static const char *const names[] = { NX_FIXTURE_PART_TABLE(NX_FIXTURE_PART_NAME) };
#undef NX_FIXTURE_PART_NAME
    return names[part];
}

void nx_fixture_parts_init(struct nx_fixture_parts *parts) {
    *parts = (struct nx_fixture_parts){ 0 };
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        nx_buf_init(&parts->text[i], PART_SIZE_MAX);
    }
}

void nx_fixture_parts_fini(struct nx_fixture_parts *parts) {
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        nx_buf_fini(&parts->text[i]);
    }
}

/* "world.answers[2]: …" */
static enum nx_status wrong(struct nx_error *err, const char *format, ...) NX_PRINTF(2, 3);
static enum nx_status wrong(struct nx_error *err, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nx_fail(err, NX_INVALID_ARGUMENT, "%s", text);
}

/* Every member of `object` is one of `names`, which end by NULL. */
static enum nx_status check_members(const struct nx_json_value *object, const char *where,
                                    const char *const *names, struct nx_error *err) {
    struct nx_json_iterator walk = nx_json_iterate(object);
    const struct nx_json_value *value;
    struct nx_str name;
    size_t count = 0;
    if (nx_json_kind(object) != NX_JSON_OBJECT) {
        return wrong(err, "%s is %s, not an object", where, nx_json_kind_name(nx_json_kind(object)));
    }
    while (names[count] != NULL) {
        count++;
    }
    while (nx_json_next(&walk, &name, &value)) {
        bool is_known = false;
        for (size_t i = 0; i < count; i++) {
            is_known = is_known || nx_str_is(name, names[i]);
        }
        if (!is_known) {
            const char *nearest = nx_word_nearest(name, names, count);
            (void)wrong(err, "%s knows no '%.*s'", where, NX_STR_ARG(nx_str_slice(name, 0, 64)));
            if (nearest != NULL) {
                nx_hint(err, "did you mean '%s'?", nearest);
            } else {
                nx_hint(err, "spec/fixture.md lists what there is");
            }
            return NX_INVALID_ARGUMENT;
        }
    }
    return NX_OK;
}

static enum nx_status read_event(struct nx_fixture *fixture, struct nx_error *err) {
    struct nx_json_members members = nx_json_members_of(fixture->text);
    struct nx_str name;
    struct nx_str value;
    while (nx_json_members_next(&members, &name, &value)) {
        if (nx_str_is(name, "event")) {
            const enum nx_status status =
                nx_cloudevent_from_json(value, &fixture->arena, &fixture->event, err);
            return status == NX_OK ? NX_OK : nx_wrap(err, status, "event");
        }
    }
    return wrong(err, "there is no 'event'");
}

enum nx_status nx_fixture_parse(struct nx_str text, struct nx_fixture *fixture, struct nx_error *err) {
    static const char *const top[] = { "fixture", "function", "recorded", "event", "world", "expect", NULL };
    static const char *const world[] = { "start",   "seed", "environment", "traceparent",
                                         "answers", "fuel", NULL };
    static const char *const expect[] = { "outcome",   "output", "output_base64", "log",
                                          "published", "stored", "response",      NULL };
    uint64_t version = 0;
    nx_arena_init(&fixture->arena, ARENA_SIZE_MAX);
    fixture->text = nx_arena_copy(&fixture->arena, text);
    if (fixture->text.ptr == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_json_parse(fixture->text, ARENA_SIZE_MAX, &fixture->doc, err));
    const struct nx_json_value *root = nx_json_root(fixture->doc);
    NX_TRY(check_members(root, "the fixture", top, err));
    if (!nx_json_to_u64(nx_json_get(root, NX_STR("fixture")), &version) || version != NX_FIXTURE_VERSION) {
        return wrong(err, "it begins with \"fixture\": %d, the version of the form", NX_FIXTURE_VERSION);
    }
    fixture->function = nx_json_get_str(root, "function");
    fixture->world = nx_json_get(root, NX_STR("world"));
    fixture->expect = nx_json_get(root, NX_STR("expect"));
    if (fixture->function.len == 0) {
        return wrong(err, "there is no 'function': whose call is it?");
    }
    if (fixture->world != NULL) {
        NX_TRY(check_members(fixture->world, "world", world, err));
    }
    if (fixture->expect == NULL) {
        return wrong(err, "there is no 'expect'");
    }
    NX_TRY(check_members(fixture->expect, "expect", expect, err));
    return read_event(fixture, err);
}

void nx_fixture_fini(struct nx_fixture *fixture) {
    nx_json_doc_free(fixture->doc);
    nx_arena_fini(&fixture->arena);
    *fixture = (struct nx_fixture){ 0 };
}

/* The bytes of a member: a string's, or of `name`_base64; of another value its JSON. NULL or absent: false.
 */
static bool bytes_of(const struct nx_fixture *fixture, const struct nx_json_value *object, const char *name,
                     struct nx_str *bytes_out) {
    struct nx_arena *arena = (struct nx_arena *)(uintptr_t)&fixture->arena; /* what is read lives as long */
    char key[64];
    struct nx_str text;
    NX_AUTO(nx_buf) out = { 0 };
    nx_buf_init(&out, PART_SIZE_MAX);
    (void)snprintf(key, sizeof key, "%s_base64", name);
    const struct nx_json_value *value = nx_json_get(object, nx_str_from_c(name));
    if (nx_json_to_str(nx_json_get(object, nx_str_from_c(key)), &text)) {
        if (nx_base64_decode(&out, NX_BASE64_STANDARD, text, NULL) != NX_OK) {
            return false;
        }
    } else if (nx_json_to_str(value, &text)) {
        *bytes_out = text;
        return true;
    } else if (nx_json_kind(value) == NX_JSON_ABSENT || nx_json_kind(value) == NX_JSON_NULL) {
        return false;
    } else {
        struct nx_json_writer writer;
        nx_json_writer_init(&writer, &out);
        nx_json_value(&writer, value);
        nx_json_writer_end(&writer);
    }
    *bytes_out = nx_arena_copy(arena, nx_buf_str(&out));
    return bytes_out->ptr != NULL;
}

/* The world, as a tape. */

struct making {
    const struct nx_fixture *fixture;
    struct nx_tape_header header;
    struct nx_buf entries;
    int64_t wall_ns;
    int64_t monotonic_ns;
};

static enum nx_status add_answer(struct making *making, const struct nx_json_value *answer, size_t index,
                                 struct nx_error *err) {
    static const char *const names[] = { "key",       "value", "value_base64", "clock",
                                         "monotonic", "wait",  "ended_by",     NULL };
    struct nx_tape_entry entry;
    struct nx_str text;
    char where[64];
    int64_t time_ns = 0;
    (void)snprintf(where, sizeof where, "world.answers[%zu]", index);
    NX_TRY(check_members(answer, where, names, err));
    entry.fired_count = 0;
    if (nx_json_to_str(nx_json_get(answer, NX_STR("key")), &text)) {
        entry.kind = NX_TAPE_KV_GET;
        entry.arguments = (uint32_t)nx_str_hash(text, NX_TAPE_KV_GET);
        entry.value = NX_STR_EMPTY;
        entry.found = bytes_of(making->fixture, answer, "value", &entry.value);
        entry.version = entry.found ? index + 1 : 0;
    } else if (nx_json_to_str(nx_json_get(answer, NX_STR("clock")), &text)) {
        if (!nx_time_parse(text, &time_ns)) {
            return wrong(err, "%s: 'clock' is a time such as 2025-11-26T10:23:45.123Z", where);
        }
        entry.kind = NX_TAPE_CLOCK_WALL;
        entry.time_ns = (int64_t)((uint64_t)time_ns - (uint64_t)making->wall_ns);
        making->wall_ns = time_ns;
    } else if (nx_json_to_str(nx_json_get(answer, NX_STR("monotonic")), &text)) {
        if (nx_duration_parse(text, &time_ns, NULL) != NX_OK) {
            return wrong(err, "%s: 'monotonic' is a time since the start such as 12ms", where);
        }
        entry.kind = NX_TAPE_CLOCK_MONOTONIC;
        entry.time_ns = (int64_t)((uint64_t)time_ns - (uint64_t)making->monotonic_ns);
        making->monotonic_ns = time_ns;
    } else if (nx_json_to_str(nx_json_get(answer, NX_STR("wait")), &text)) {
        uint8_t bytes[4];
        const struct nx_json_value *fired;
        struct nx_json_iterator walk = nx_json_iterate(nx_json_get(answer, NX_STR("ended_by")));
        if (!nx_hex_read(text, bytes, sizeof bytes)) {
            return wrong(err, "%s: 'wait' is eight hexadecimal digits, as they were recorded", where);
        }
        entry.kind = NX_TAPE_POLL;
        entry.arguments = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
                          (uint32_t)bytes[3];
        while (nx_json_next(&walk, NULL, &fired)) {
            uint64_t number;
            if (!nx_json_to_u64(fired, &number) || number >= NX_TAPE_FIRED_MAX ||
                (entry.fired_count > 0 && number <= entry.fired[entry.fired_count - 1])) {
                return wrong(err, "%s: 'ended_by' are rising numbers", where);
            }
            entry.fired[entry.fired_count++] = (uint16_t)number;
        }
    } else {
        return wrong(err, "%s answers nothing: it needs 'key', 'clock', 'monotonic' or 'wait'", where);
    }
    nx_tape_encode_entry(&entry, &making->entries);
    making->header.entry_count++;
    return NX_OK;
}

static enum nx_status set_environment(struct making *making, const struct nx_function *function,
                                      struct nx_error *err) {
    struct nx_tape_header *header = &making->header;
    const struct nx_json_value *environment = nx_json_get(making->fixture->world, NX_STR("environment"));
    struct nx_json_iterator walk = nx_json_iterate(environment);
    const struct nx_json_value *value = NULL;
    struct nx_str name;
    header->env_count = 0;
    if (environment == NULL) {
        for (size_t i = 0; i < function->env_count; i++) {
            header->env[header->env_count++] =
                (struct nx_tape_env){ .name = function->env[i].name, .value = function->env[i].value };
        }
        return NX_OK;
    }
    while (nx_json_next(&walk, &name, &value)) {
        struct nx_str text;
        if (!nx_json_to_str(value, &text) || header->env_count == NX_FUNCTION_ENV_MAX) {
            return wrong(err, "world.environment: at most %d texts", NX_FUNCTION_ENV_MAX);
        }
        header->env[header->env_count++] = (struct nx_tape_env){ .name = name, .value = text };
    }
    return NX_OK;
}

static enum nx_status set_header(struct making *making, const struct nx_function *function,
                                 struct nx_error *err) {
    const struct nx_fixture *fixture = making->fixture;
    struct nx_tape_header *header = &making->header;
    struct nx_traceparent trace;
    struct nx_str text;
    header->interface_version = NX_GUEST_INTERFACE_VERSION;
    header->engine_build = NX_STR("fixture");
    header->memory_max = function->memory_max;
    header->event_id = fixture->event.id;
    header->start_time_ns = START_DEFAULT_NS;
    if (!nx_time_parse(fixture->event.time, &header->original_time_ns)) {
        header->original_time_ns = 0;
    }
    if (nx_json_to_str(nx_json_get(fixture->world, NX_STR("start")), &text)) {
        if (!nx_time_parse(text, &header->start_time_ns)) {
            return wrong(err, "world.start is a time such as 2025-11-26T10:23:45.123Z");
        }
    } else if (header->original_time_ns != 0) {
        header->start_time_ns = header->original_time_ns;
    }
    header->original_time_ns =
        header->original_time_ns == 0 ? header->start_time_ns : header->original_time_ns;
    if (nx_json_to_str(nx_json_get(fixture->world, NX_STR("seed")), &text) &&
        !nx_hex_read(text, header->seed, sizeof header->seed)) {
        return wrong(err, "world.seed is %d hexadecimal digits", 2 * NX_TAPE_SEED_SIZE);
    }
    if (nx_json_to_str(nx_json_get(fixture->world, NX_STR("traceparent")), &text)) {
        if (!nx_traceparent_parse(text, &trace)) {
            return wrong(err, "world.traceparent is no W3C trace context");
        }
        header->flags |= NX_TAPE_HAS_TRACE;
        memcpy(header->trace_id, trace.trace_id, sizeof header->trace_id);
        memcpy(header->span_id, trace.span_id, sizeof header->span_id);
        header->trace_flags = trace.flags;
    }
    header->fuel = nx_json_get_u64(fixture->world, "fuel");
    return set_environment(making, function, err);
}

enum nx_status nx_fixture_to_tape(const struct nx_fixture *fixture, const struct nx_function *function,
                                  struct nx_buf *out, struct nx_error *err) {
    struct nx_arena *arena = (struct nx_arena *)(uintptr_t)&fixture->arena;
    struct making *making = nx_arena_alloc(arena, sizeof *making);
    if (making == NULL) {
        return nx_fail_memory(err);
    }
    making->fixture = fixture;
    nx_buf_init(&making->entries, NX_TAPE_SIZE_MAX);
    enum nx_status status = set_header(making, function, err);
    making->wall_ns = making->header.start_time_ns;
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(fixture->world, NX_STR("answers")));
    const struct nx_json_value *answer;
    for (size_t i = 0; status == NX_OK && nx_json_next(&walk, NULL, &answer); i++) {
        status = add_answer(making, answer, i, err);
    }
    if (status == NX_OK) {
        nx_tape_encode_header(&making->header, out);
        nx_buf_append(out, nx_buf_str(&making->entries));
        status = nx_buf_check(out, err);
    }
    nx_buf_fini(&making->entries);
    return status;
}

/* Lines to be compared. */

/* How JSON is laid out: ours in either case, so that spaces and the order of members do not count. */
enum layout { LAYOUT_LINE, LAYOUT_LINES };

struct member {
    struct nx_str name;
    const struct nx_json_value *value;
};

static int by_name(const void *a, const void *b) {
    return nx_str_compare(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static void append_break(struct nx_buf *out, enum layout layout, unsigned depth) {
    nx_buf_append_c(out, layout == LAYOUT_LINES ? "\n" : "");
    for (unsigned i = 0; layout == LAYOUT_LINES && i < depth; i++) {
        nx_buf_append_c(out, "  ");
    }
}

static void append_scalar(struct nx_buf *out, const struct nx_json_value *value) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_value(&writer, value);
    nx_json_writer_end(&writer);
}

/* The members by their names, the elements as they come; the caller frees them. NULL: no memory. */
static struct member *list_members(const struct nx_json_value *value, size_t *count_out) {
    struct nx_json_iterator walk = nx_json_iterate(value);
    struct member *members = calloc(nx_json_count(value) + 1, sizeof *members);
    *count_out = 0;
    while (members != NULL && nx_json_next(&walk, &members[*count_out].name, &members[*count_out].value)) {
        (*count_out)++;
    }
    if (members != NULL && nx_json_kind(value) == NX_JSON_OBJECT) {
        qsort(members, *count_out, sizeof *members, by_name);
    }
    return members;
}

/* nx_json_parse() has bounded the depth. */
static void append_json(struct nx_buf *out, const struct nx_json_value *value, enum layout layout,
                        unsigned depth) {
    const bool is_object = nx_json_kind(value) == NX_JSON_OBJECT;
    size_t count = 0;
    struct member *members = list_members(value, &count);
    if (count == 0) {
        append_scalar(out, value);
        free(members);
        return;
    }
    nx_buf_append_c(out, is_object ? "{" : "[");
    for (size_t i = 0; i < count; i++) {
        nx_buf_append_c(out, i == 0 ? "" : ",");
        append_break(out, layout, depth + 1);
        if (is_object) {
            struct nx_json_writer writer;
            nx_json_writer_init(&writer, out);
            nx_json_string(&writer, members[i].name);
            nx_json_writer_end(&writer);
            nx_buf_append_c(out, layout == LAYOUT_LINES ? ": " : ":");
        }
        append_json(out, members[i].value, layout, depth + 1);
    }
    append_break(out, layout, depth);
    nx_buf_append_c(out, is_object ? "}" : "]");
    free(members);
}

/* Objects and arrays of JSON get our layout, all else stays as it is; what is no text is written in base64.
 */
static void append_content(struct nx_buf *out, struct nx_str bytes, bool pretty) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_str trimmed = nx_str_trim(bytes);
    const bool may_be = trimmed.len > 0 && (trimmed.ptr[0] == '{' || trimmed.ptr[0] == '[');
    if (may_be && nx_json_parse(trimmed, PART_SIZE_MAX, &doc, NULL) == NX_OK) {
        append_json(out, nx_json_root(doc), pretty ? LAYOUT_LINES : LAYOUT_LINE, 0);
    } else if (nx_str_is_utf8(bytes)) {
        for (size_t i = 0; i < bytes.len; i++) {
            const unsigned char c = (unsigned char)bytes.ptr[i];
            if ((c < ' ' && !(pretty && c == '\n')) || c == 0x7f) {
                nx_buf_append_format(out, "\\x%02x", (unsigned)c);
            } else {
                nx_buf_append_u8(out, c);
            }
        }
    } else {
        nx_buf_append_c(out, "base64:");
        nx_base64_encode(out, NX_BASE64_STANDARD, bytes);
    }
}

static void append_output(struct nx_buf *out, struct nx_str bytes) {
    while (bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\n') {
        bytes.len--;
    }
    append_content(out, bytes, true);
}

static void append_outcome(struct nx_buf *out, struct nx_str name, int64_t exit_code) {
    nx_buf_append(out, name);
    if (exit_code != 0) {
        nx_buf_append_format(out, " %" PRId64, exit_code);
    }
}

static void append_log_line(struct nx_buf *out, enum nx_log_level level, struct nx_str text,
                            struct nx_str fields) {
    nx_buf_append_format(out, "%s%s ", out->len > 0 ? "\n" : "", nx_log_level_name(level));
    append_content(out, text, false);
    if (fields.len > 0) {
        nx_buf_append_c(out, " ");
        append_content(out, fields, false);
    }
}

static void append_published(struct nx_buf *out, struct nx_str type, struct nx_str content_type,
                             struct nx_str data) {
    nx_buf_append_c(out, out->len > 0 ? "\n" : "");
    append_content(out, type, false);
    if (content_type.len > 0 && !nx_str_is(content_type, "application/json")) {
        nx_buf_append_c(out, " (");
        append_content(out, content_type, false);
        nx_buf_append_c(out, ")");
    }
    nx_buf_append_c(out, ": ");
    append_content(out, data, false);
}

static void append_stored(struct nx_buf *out, struct nx_str key, bool deleted, struct nx_str value) {
    nx_buf_append_c(out, out->len > 0 ? "\n" : "");
    append_content(out, key, false);
    nx_buf_append_c(out, deleted ? " is deleted" : " = ");
    append_content(out, value, false);
}

static enum nx_status expect_outcome(const struct nx_fixture *fixture, struct nx_buf *out,
                                     struct nx_error *err) {
    struct nx_str text = NX_STR("ok");
    (void)nx_json_to_str(nx_json_get(fixture->expect, NX_STR("outcome")), &text);
    struct nx_str rest = text;
    struct nx_str name = NX_STR_EMPTY;
    enum nx_outcome outcome;
    (void)nx_str_split(&rest, ' ', &name);
    if (!nx_outcome_parse(name, &outcome)) {
        (void)wrong(err, "expect.outcome: there is no outcome '%.*s'", NX_STR_ARG(nx_str_slice(name, 0, 64)));
        nx_hint(err, "ok, or how a call fails: exit 1, trap, deadline, memory-limit, …");
        return NX_INVALID_ARGUMENT;
    }
    nx_buf_append(out, text);
    return NX_OK;
}

static enum nx_status expect_log(const struct nx_fixture *fixture, struct nx_buf *out, struct nx_error *err) {
    static const char *const names[] = { "level", "text", "text_base64", "fields", NULL };
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(fixture->expect, NX_STR("log")));
    const struct nx_json_value *line;
    for (size_t i = 0; nx_json_next(&walk, NULL, &line); i++) {
        struct nx_str level_name = NX_STR("INFO");
        struct nx_str text = NX_STR_EMPTY;
        struct nx_str fields = NX_STR_EMPTY;
        enum nx_log_level level;
        char where[64];
        (void)snprintf(where, sizeof where, "expect.log[%zu]", i);
        NX_TRY(check_members(line, where, names, err));
        (void)nx_json_to_str(nx_json_get(line, NX_STR("level")), &level_name);
        if (!nx_log_level_parse(level_name, &level)) {
            return wrong(err, "%s: 'level' is DEBUG, INFO, WARN or ERROR", where);
        }
        (void)bytes_of(fixture, line, "text", &text);
        (void)bytes_of(fixture, line, "fields", &fields);
        append_log_line(out, level, text, fields);
    }
    return NX_OK;
}

static enum nx_status expect_published(const struct nx_fixture *fixture, struct nx_buf *out,
                                       struct nx_error *err) {
    static const char *const names[] = { "type", "content_type", "data", "data_base64", NULL };
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(fixture->expect, NX_STR("published")));
    const struct nx_json_value *event;
    for (size_t i = 0; nx_json_next(&walk, NULL, &event); i++) {
        struct nx_str data = NX_STR_EMPTY;
        char where[64];
        (void)snprintf(where, sizeof where, "expect.published[%zu]", i);
        NX_TRY(check_members(event, where, names, err));
        (void)bytes_of(fixture, event, "data", &data);
        append_published(out, nx_json_get_str(event, "type"), nx_json_get_str(event, "content_type"), data);
    }
    return NX_OK;
}

static enum nx_status expect_stored(const struct nx_fixture *fixture, struct nx_buf *out,
                                    struct nx_error *err) {
    static const char *const names[] = { "key", "value", "value_base64", NULL };
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(fixture->expect, NX_STR("stored")));
    const struct nx_json_value *write;
    for (size_t i = 0; nx_json_next(&walk, NULL, &write); i++) {
        struct nx_str value = NX_STR_EMPTY;
        char where[64];
        (void)snprintf(where, sizeof where, "expect.stored[%zu]", i);
        NX_TRY(check_members(write, where, names, err));
        const bool is_set = bytes_of(fixture, write, "value", &value);
        append_stored(out, nx_json_get_str(write, "key"), !is_set, value);
    }
    return NX_OK;
}

/* {"status": 201, "headers": ["Location: /users/1"]}, or null */
static enum nx_status expect_response(const struct nx_fixture *fixture, struct nx_buf *out,
                                      struct nx_error *err) {
    static const char *const names[] = { "status", "headers", NULL };
    const struct nx_json_value *response = nx_json_get(fixture->expect, NX_STR("response"));
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(response, NX_STR("headers")));
    const struct nx_json_value *header;
    uint64_t status = 0;
    if (nx_json_kind(response) == NX_JSON_ABSENT || nx_json_kind(response) == NX_JSON_NULL) {
        return NX_OK;
    }
    NX_TRY(check_members(response, "expect.response", names, err));
    if (!nx_json_to_u64(nx_json_get(response, NX_STR("status")), &status)) {
        return wrong(err, "expect.response: 'status' is a number such as 201");
    }
    nx_buf_append_format(out, "%" PRIu64, status);
    while (nx_json_next(&walk, NULL, &header)) {
        struct nx_str text = NX_STR_EMPTY;
        (void)nx_json_to_str(header, &text);
        nx_buf_append_c(out, "\n");
        append_content(out, text, false);
    }
    return NX_OK;
}

static void append_response(struct nx_buf *out, const struct nx_call_response *response) {
    struct nx_str rest = response->headers;
    struct nx_str line;
    nx_buf_append_format(out, "%" PRIu32, response->status);
    while (rest.len > 0 && nx_str_split(&rest, '\n', &line)) {
        if (nx_str_trim(line).len > 0) {
            nx_buf_append_c(out, "\n");
            append_content(out, nx_str_trim(line), false);
        }
    }
}

enum nx_status nx_fixture_expected(const struct nx_fixture *fixture, struct nx_fixture_parts *parts,
                                   struct nx_error *err) {
    struct nx_str output = NX_STR_EMPTY;
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        const struct nx_str name = nx_str_from_c(nx_fixture_part_name((enum nx_fixture_part)i));
        const struct nx_json_value *value = nx_json_get(fixture->expect, name);
        parts->has[i] = value != NULL;
        if (i >= NX_FIXTURE_LOG && i != NX_FIXTURE_RESPONSE && value != NULL &&
            nx_json_kind(value) != NX_JSON_ARRAY) {
            return wrong(err, "expect.%.*s is %s, not an array", NX_STR_ARG(name),
                         nx_json_kind_name(nx_json_kind(value)));
        }
    }
    parts->has[NX_FIXTURE_OUTCOME] = true;
    parts->has[NX_FIXTURE_OUTPUT] = bytes_of(fixture, fixture->expect, "output", &output);
    append_output(&parts->text[NX_FIXTURE_OUTPUT], output);
    NX_TRY(expect_outcome(fixture, &parts->text[NX_FIXTURE_OUTCOME], err));
    NX_TRY(expect_log(fixture, &parts->text[NX_FIXTURE_LOG], err));
    NX_TRY(expect_published(fixture, &parts->text[NX_FIXTURE_PUBLISHED], err));
    NX_TRY(expect_stored(fixture, &parts->text[NX_FIXTURE_STORED], err));
    return expect_response(fixture, &parts->text[NX_FIXTURE_RESPONSE], err);
}

void nx_fixture_actual(const struct nx_call_result *result, struct nx_fixture_parts *parts) {
    const bool is_ok = result->outcome == NX_OUTCOME_OK; /* effects of failed calls are dropped */
    append_outcome(&parts->text[NX_FIXTURE_OUTCOME], nx_str_from_c(nx_outcome_name(result->outcome)),
                   result->exit_code);
    append_output(&parts->text[NX_FIXTURE_OUTPUT], result->output);
    for (size_t i = 0; i < result->log_line_count; i++) {
        const struct nx_call_log_line *line = &result->log_lines[i];
        append_log_line(&parts->text[NX_FIXTURE_LOG], line->level, line->text, line->fields);
    }
    for (size_t i = 0; is_ok && i < result->publish_count; i++) {
        const struct nx_call_publish *event = &result->publishes[i];
        append_published(&parts->text[NX_FIXTURE_PUBLISHED], event->type, event->content_type, event->data);
    }
    for (size_t i = 0; is_ok && i < result->kv_write_count; i++) {
        const struct nx_call_kv_write *write = &result->kv_writes[i];
        append_stored(&parts->text[NX_FIXTURE_STORED], write->key, write->deleted, write->value);
    }
    if (is_ok && result->response.status != 0) {
        append_response(&parts->text[NX_FIXTURE_RESPONSE], &result->response);
    }
}
