/* src/sandbox/host/nexus.c: effects are collected, not done: whoever runs the call commits them. A key that
 * was asked of the store once is answered from memory afterwards, so one call sees one state. */
#include "sandbox/host/nexus.h"

#include "codec/byte_class.h"
#include "codec/headers.h"
#include "sandbox/host/wasi_poll.h"

/* A string of the guest's; false when it is not in its memory. */
static bool guest_str(struct nx_host *host, uint32_t address, uint32_t len, struct nx_str *str_out) {
    const uint8_t *bytes = nx_host_bytes(host, address, len);
    if (bytes == NULL) {
        return false;
    }
    *str_out = nx_str_of(bytes, len);
    return true;
}

static struct nx_str keep(struct nx_host *host, struct nx_str bytes) {
    return bytes.len == 0 ? NX_STR_EMPTY : nx_arena_copy(&host->arena, bytes);
}

/* Count an effect of `size` bytes. NULL, or the trap that ends the call. */
static wasm_trap_t *charge_effect(struct nx_host *host, size_t size) {
    const uint64_t count = host->publishes.len / sizeof(struct nx_call_publish) +
                           host->kv_writes.len / sizeof(struct nx_call_kv_write);
    if (count >= host->limits.effect_count_max || size > host->limits.effect_size_max - host->effect_size) {
        return nx_host_end(host, NX_OUTCOME_EFFECT_LIMIT,
                           "more than %llu published events and key-value writes, or %llu bytes of them",
                           (unsigned long long)host->limits.effect_count_max,
                           (unsigned long long)host->limits.effect_size_max);
    }
    host->effect_size += size;
    return NULL;
}

static wasm_trap_t *nexus_log(struct nx_host *host, wasmtime_val_raw_t *args) {
    struct nx_str text;
    struct nx_str fields;
    if (!guest_str(host, nx_host_argument(args, 1), nx_host_argument(args, 2), &text) ||
        !guest_str(host, nx_host_argument(args, 3), nx_host_argument(args, 4), &fields)) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    if (nx_host_argument(args, 0) > NX_LOG_ERROR) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    wasm_trap_t *trap = nx_host_log(host, (enum nx_log_level)nx_host_argument(args, 0), text, fields);
    if (trap != NULL) {
        return trap;
    }
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *nexus_publish(struct nx_host *host, wasmtime_val_raw_t *args) {
    struct nx_call_publish publish;
    if (!guest_str(host, nx_host_argument(args, 0), nx_host_argument(args, 1), &publish.type) ||
        !guest_str(host, nx_host_argument(args, 2), nx_host_argument(args, 3), &publish.content_type) ||
        !guest_str(host, nx_host_argument(args, 4), nx_host_argument(args, 5), &publish.data)) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    if (publish.type.len == 0 || publish.type.len > NX_PUBLISH_TYPE_SIZE_MAX ||
        !nx_str_is_utf8(publish.type) || publish.content_type.len > NX_PUBLISH_TYPE_SIZE_MAX ||
        !nx_str_is_utf8(publish.content_type)) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    wasm_trap_t *trap = charge_effect(host, publish.type.len + publish.content_type.len + publish.data.len);
    if (trap != NULL) {
        return trap;
    }
    publish.type = keep(host, publish.type);
    publish.content_type = keep(host, publish.content_type);
    publish.data = keep(host, publish.data);
    nx_buf_append(&host->publishes, nx_str_of(&publish, sizeof publish));
    if (publish.type.ptr == NULL || publish.content_type.ptr == NULL || publish.data.ptr == NULL ||
        nx_buf_failed(&host->publishes)) {
        return nx_host_end(host, NX_OUTCOME_HOST_ERROR, "out of memory");
    }
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

/* Headers that the server writes itself, or that are between two neighbours on the way (RFC 9110, 7.6.1). */
static bool is_servers_header(struct nx_str name) {
    static const char *const names[] = { "connection", "content-length", "date",    "keep-alive",
                                         "te",         "trailer",        "upgrade", "transfer-encoding" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (nx_str_equal_ignore_case(name, nx_str_from_c(names[i]))) {
            return true;
        }
    }
    const struct nx_str proxy = NX_STR("proxy-");
    const struct nx_str ours = NX_STR("nexus-");
    return nx_str_equal_ignore_case(nx_str_slice(name, 0, proxy.len), proxy) ||
           nx_str_equal_ignore_case(nx_str_slice(name, 0, ours.len), ours);
}

/* Lines "Name: value", each ended by LF or CR LF, the last one perhaps not, as "Name: value\r\n". False: one
 * of them is not a header that a guest may set, or they are too many bytes. */
static bool read_headers(struct nx_str text, struct nx_buf *block) {
    while (text.len > 0) {
        const size_t end = nx_str_find_byte(text, '\n');
        struct nx_str line = nx_str_slice(text, 0, end);
        text = end == SIZE_MAX ? NX_STR_EMPTY : nx_str_slice(text, end + 1, text.len);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line = nx_str_slice(line, 0, line.len - 1);
        }
        const size_t colon = nx_str_find_byte(line, ':');
        const struct nx_str name = nx_str_slice(line, 0, colon);
        if (line.len == 0) {
            continue;
        }
        const struct nx_str value =
            colon == SIZE_MAX ? NX_STR_EMPTY : nx_str_trim(nx_str_slice(line, colon + 1, line.len));
        if (colon == SIZE_MAX || is_servers_header(name) || nx_byte_span(value, NX_BYTE_TEXT) < value.len ||
            nx_headers_append(block, name, value, NULL) != NX_OK) {
            return false;
        }
    }
    return block->len <= NX_RESPONSE_HEADERS_SIZE_MAX;
}

/* The last one counts. */
static wasm_trap_t *nexus_respond(struct nx_host *host, wasmtime_val_raw_t *args) {
    const uint32_t status = nx_host_argument(args, 0);
    NX_AUTO(nx_buf) block;
    struct nx_str text;
    nx_buf_init(&block, 2 * NX_RESPONSE_HEADERS_SIZE_MAX);
    if (!guest_str(host, nx_host_argument(args, 1), nx_host_argument(args, 2), &text)) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    if (status < NX_RESPONSE_STATUS_MIN || status > NX_RESPONSE_STATUS_MAX || !read_headers(text, &block)) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    wasm_trap_t *trap = charge_effect(host, block.len);
    if (trap != NULL) {
        return trap;
    }
    host->response = (struct nx_call_response){ .status = status, .headers = keep(host, nx_buf_str(&block)) };
    if (host->response.headers.ptr == NULL) {
        return nx_host_end(host, NX_OUTCOME_HOST_ERROR, "out of memory");
    }
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

/* The entry with this key in a list of struct nx_call_kv_write, or NULL. */
static struct nx_call_kv_write *find_key(struct nx_buf *list, struct nx_str key) {
    struct nx_call_kv_write *entries = (struct nx_call_kv_write *)(void *)list->ptr;
    for (size_t i = 0; i < list->len / sizeof *entries; i++) {
        if (nx_str_equal(entries[i].key, key)) {
            return &entries[i];
        }
    }
    return NULL;
}

static bool is_key(struct nx_str key) {
    return key.len > 0 && key.len <= NX_KV_KEY_SIZE_MAX;
}

/* Set or delete. NULL, or the trap that ends the call. */
static wasm_trap_t *write_key(struct nx_host *host, struct nx_str key, struct nx_str value, bool deleted) {
    wasm_trap_t *trap = charge_effect(host, key.len + value.len);
    if (trap != NULL) {
        return trap;
    }
    struct nx_call_kv_write *earlier = find_key(&host->kv_writes, key);
    const struct nx_call_kv_write write = { .key = earlier != NULL ? earlier->key : keep(host, key),
                                            .value = keep(host, value),
                                            .deleted = deleted };
    if (earlier != NULL) {
        *earlier = write;
    } else {
        nx_buf_append(&host->kv_writes, nx_str_of(&write, sizeof write));
    }
    if (write.key.ptr == NULL || write.value.ptr == NULL || nx_buf_failed(&host->kv_writes)) {
        return nx_host_end(host, NX_OUTCOME_HOST_ERROR, "out of memory");
    }
    return NULL;
}

static wasm_trap_t *nexus_kv_set(struct nx_host *host, wasmtime_val_raw_t *args) {
    struct nx_str key;
    struct nx_str value;
    if (!guest_str(host, nx_host_argument(args, 0), nx_host_argument(args, 1), &key) ||
        !guest_str(host, nx_host_argument(args, 2), nx_host_argument(args, 3), &value)) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    if (!is_key(key) || value.len > NX_KV_VALUE_SIZE_MAX) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    wasm_trap_t *trap = write_key(host, key, value, false);
    if (trap != NULL) {
        return trap;
    }
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *nexus_kv_delete(struct nx_host *host, wasmtime_val_raw_t *args) {
    struct nx_str key;
    if (!guest_str(host, nx_host_argument(args, 0), nx_host_argument(args, 1), &key)) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    if (!is_key(key)) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    wasm_trap_t *trap = write_key(host, key, NX_STR_EMPTY, true);
    if (trap != NULL) {
        return trap;
    }
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *nexus_now(struct nx_host *host, wasmtime_val_raw_t *args) {
    int64_t time_ns = 0;
    if (!nx_host_read_clock(host, 0, &time_ns)) {
        return nx_host_end_by_tape(host);
    }
    args[0].i64 = time_ns;
    return NULL;
}

/* a: key, key length, buffer, its size, where the value's length goes. */
static int32_t give_value(struct nx_host *host, const uint32_t a[5], bool found, struct nx_str value) {
    if (!found) {
        return nx_host_put_u32(host, a[4], 0) ? NX_ERRNO_NOENT : NX_ERRNO_FAULT;
    }
    uint8_t *bytes = nx_host_bytes(host, a[2], a[3]);
    if (bytes == NULL || !nx_host_put_u32(host, a[4], (uint32_t)value.len)) {
        return NX_ERRNO_FAULT;
    }
    if (value.len > a[3]) {
        return NX_ERRNO_OVERFLOW;
    }
    if (value.len > 0) {
        memcpy(bytes, value.ptr, value.len);
    }
    return NX_ERRNO_SUCCESS;
}

/* Remember what the store said. False: the call was ended. */
static bool note_read(struct nx_host *host, struct nx_str key, const struct nx_tape_entry *answer,
                      struct nx_str *value_out, wasm_trap_t **trap_out) {
    if (host->kv_reads.len / sizeof(struct nx_call_kv_read) >= host->limits.effect_count_max ||
        key.len + answer->value.len > host->limits.effect_size_max - host->effect_size) {
        *trap_out =
            nx_host_end(host, NX_OUTCOME_EFFECT_LIMIT, "more than %llu keys read, or %llu bytes of them",
                        (unsigned long long)host->limits.effect_count_max,
                        (unsigned long long)host->limits.effect_size_max);
        return false;
    }
    host->effect_size += key.len + answer->value.len;
    const struct nx_call_kv_read read = { .key = keep(host, key), .version = answer->version };
    const struct nx_call_kv_write known = { .key = read.key,
                                            .value = keep(host, answer->value),
                                            .deleted = !answer->found };
    nx_buf_append(&host->kv_reads, nx_str_of(&read, sizeof read));
    nx_buf_append(&host->kv_values, nx_str_of(&known, sizeof known));
    if (known.key.ptr == NULL || known.value.ptr == NULL || nx_buf_failed(&host->kv_values) ||
        nx_buf_failed(&host->kv_reads)) {
        *trap_out = nx_host_end(host, NX_OUTCOME_HOST_ERROR, "out of memory");
        return false;
    }
    *value_out = known.value;
    return true;
}

/* The answer, from the store or from the tape, goes to the tape, into memory and to the guest. */
static int32_t finish_get(struct nx_host *host, const uint32_t a[5], struct nx_str key,
                          struct nx_tape_entry *answer, wasm_trap_t **trap_out) {
    struct nx_str value;
    if (!nx_tape_kv_get(&host->tape, answer)) {
        *trap_out = nx_host_end_by_tape(host);
        return NX_ERRNO_INVAL;
    }
    if (!note_read(host, key, answer, &value, trap_out)) {
        return NX_ERRNO_INVAL;
    }
    return give_value(host, a, answer->found, value);
}

/* Filled by nx_host_provide_kv() while the call asks; kept in the wait. */
static void answer_of_wait(struct nx_host *host, struct nx_tape_entry *answer_out) {
    answer_out->arguments = host->wait.arguments;
    answer_out->found = host->wait.kv_found;
    answer_out->version = host->wait.kv_version;
    answer_out->value = nx_buf_str(&host->wait_value);
}

static int32_t kv_get(struct nx_host *host, const uint32_t *a, bool *waits_out, wasm_trap_t **trap_out) {
    struct nx_str key;
    if (!guest_str(host, a[0], a[1], &key)) {
        return NX_ERRNO_FAULT;
    }
    if (!is_key(key)) {
        return NX_ERRNO_INVAL;
    }
    const struct nx_call_kv_write *known = find_key(&host->kv_writes, key);
    known = known != NULL ? known : find_key(&host->kv_values, key);
    if (known != NULL) {
        return give_value(host, a, !known->deleted, known->value);
    }
    struct nx_tape_entry answer;
    answer.arguments = (uint32_t)nx_str_hash(key, NX_TAPE_KV_GET);
    answer.found = false;
    answer.version = 0;
    answer.value = NX_STR_EMPTY;
    if (host->tape.replaying) {
        if (nx_tape_is_wait_cut(&host->tape, answer.arguments)) {
            *trap_out = nx_host_end(host, NX_OUTCOME_DEADLINE, NX_DEADLINE_WAIT_TEXT);
            return NX_ERRNO_INVAL;
        }
        if (!nx_tape_is_outside_key(&host->tape, answer.arguments)) {
            return finish_get(host, a, key, &answer, trap_out);
        }
    }
    if (host->ops == NULL || host->ops->kv_get == NULL) {
        return finish_get(host, a, key, &answer, trap_out);
    }
    host->wait = (struct nx_wait){ .kind = NX_WAIT_KV,
                                   .wake_ns = INT64_MAX,
                                   .arguments = answer.arguments,
                                   .a = { a[0], a[1], a[2], a[3], a[4] } };
    host->ops->kv_get(host->ops->data, host->call, key);
    if (host->wait.is_ready) {
        host->wait.kind = NX_WAIT_NONE;
        if (host->has_ended) {
            *trap_out = nx_host_end(host, host->outcome, "%s", "");
            return NX_ERRNO_INVAL;
        }
        answer_of_wait(host, &answer);
        return finish_get(host, a, key, &answer, trap_out);
    }
    *waits_out = true;
    return NX_ERRNO_SUCCESS;
}

void nx_nexus_kv_complete(struct nx_host *host) {
    struct nx_wait *wait = &host->wait;
    struct nx_str key;
    struct nx_tape_entry answer;
    wait->result->kind = WASMTIME_I32;
    wait->result->of.i32 = NX_ERRNO_FAULT;
    if (host->has_ended) {
        *wait->trap = nx_host_end(host, host->outcome, "%s", "");
        return;
    }
    answer_of_wait(host, &answer);
    if (guest_str(host, wait->a[0], wait->a[1], &key)) {
        wait->result->of.i32 = finish_get(host, wait->a, key, &answer, wait->trap);
    }
}

#define NEXUS(function, signature, result, ...) \
    { .module = "nexus", .name = function, .parameters = signature, .results = result, __VA_ARGS__ }

const struct nx_import nx_nexus_imports[] = {
    NEXUS("log", "iiiii", "i", .plain = nexus_log),
    NEXUS("publish", "iiiiii", "i", .plain = nexus_publish),
    NEXUS("kv_get", "iiiii", "i", .parking = kv_get),
    NEXUS("kv_set", "iiii", "i", .plain = nexus_kv_set),
    NEXUS("kv_delete", "ii", "i", .plain = nexus_kv_delete),
    NEXUS("now", "", "I", .plain = nexus_now),
    NEXUS("respond", "iii", "i", .plain = nexus_respond),
    NEXUS("random", "ii", "i", .plain = nx_wasi_random_get),
};
const size_t nx_nexus_import_count = sizeof nx_nexus_imports / sizeof nx_nexus_imports[0];
