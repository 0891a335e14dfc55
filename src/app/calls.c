/* src/app/calls.c */
#include "app/calls.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/time_format.h"
#include "platform/function/replay_check.h"
#include "server/http/invocation_json.h"

enum { LIST_SIZE_MAX = 64 * 1024 * 1024, VALUE_SHOWN_MAX = 200, DATA_SHOWN_MAX = 1000 };

enum nx_status nx_calls_parse_change(struct nx_args *args, const char *text,
                                     struct nx_tape_change *change_out, struct nx_error *err) {
    const struct nx_str all = nx_str_from_c(text);
    const struct nx_str head = NX_STR("call[");
    const struct nx_str tail = NX_STR("].result=");
    const size_t end = nx_str_find(all, tail);
    if (!nx_str_starts_with(all, head) || end == SIZE_MAX ||
        !nx_str_to_u64(nx_str_slice(all, head.len, end), &change_out->call)) {
        (void)nx_args_fail(args, err, "--set is call[NUMBER].result=VALUE, not '%s'", text);
        nx_hint(err, "as in --set 'call[2].result=42'; nexus replay ID --list-calls shows the calls");
        return NX_INVALID_ARGUMENT;
    }
    change_out->result = nx_str_slice(all, end + tail.len, all.len);
    return NX_OK;
}

void nx_calls_append_shown(struct nx_buf *out, struct nx_str text, size_t max) {
    const struct nx_str shown = nx_str_slice(text, 0, max);
    for (size_t i = 0; i < shown.len; i++) {
        const unsigned char c = (unsigned char)shown.ptr[i];
        if (c < ' ' || c == 0x7f) {
            nx_buf_append_format(out, "\\x%02x", (unsigned)c);
        } else {
            nx_buf_append_u8(out, c);
        }
    }
    nx_buf_append_c(out, shown.len < text.len ? "…" : "");
}

void nx_calls_list_init(struct nx_calls_list *list, bool is_json) {
    *list = (struct nx_calls_list){ .is_json = is_json };
    nx_buf_init(&list->out, LIST_SIZE_MAX);
    if (is_json) {
        nx_json_writer_init(&list->json, &list->out);
        nx_json_object_begin(&list->json);
        nx_json_key(&list->json, NX_STR("invocations"));
        nx_json_array_begin(&list->json);
    }
}

void nx_calls_list_fini(struct nx_calls_list *list) {
    nx_buf_fini(&list->out);
}

void nx_calls_list_end(struct nx_calls_list *list) {
    if (list->is_json) {
        nx_json_array_end(&list->json);
        nx_json_object_end(&list->json);
        nx_json_writer_end(&list->json);
        nx_buf_append_c(&list->out, "\n");
    }
}

/* A wait: "0,2". */
static void append_fired(struct nx_buf *out, const struct nx_tape_entry *entry) {
    for (size_t i = 0; i < entry->fired_count; i++) {
        nx_buf_append_format(out, "%s%u", i == 0 ? "" : ",", entry->fired[i]);
    }
}

/* What --set takes for this call. */
static void append_result(struct nx_buf *out, const struct nx_tape_call *call) {
    char time[NX_TIME_TEXT_SIZE + 1];
    switch (call->entry.kind) {
    case NX_TAPE_CLOCK_WALL:
        nx_buf_append(out, nx_time_format(call->time_ns, NX_TIME_SHORTEST, time));
        break;
    case NX_TAPE_CLOCK_MONOTONIC:
        nx_duration_format(out, call->time_ns < 0 ? 0 : call->time_ns);
        break;
    case NX_TAPE_POLL:
        append_fired(out, &call->entry);
        break;
    case NX_TAPE_KV_GET:
    case NX_TAPE_WAIT_CUT:
    case NX_TAPE_LOG_TIME:
        break;
    }
}

static void write_call(struct nx_calls_list *list, const struct nx_tape_call *call, struct nx_str key) {
    struct nx_json_writer *json = &list->json;
    NX_AUTO(nx_buf) result = { 0 };
    nx_buf_init(&result, LIST_SIZE_MAX);
    append_result(&result, call);
    nx_json_object_begin(json);
    nx_json_member_u64(json, "call", call->number);
    nx_json_member_c(json, "kind", nx_tape_call_name(call->entry.kind));
    if (call->entry.kind == NX_TAPE_KV_GET) {
        nx_http_member_bytes(json, "key", key);
        if (call->entry.found) {
            nx_http_member_bytes(json, "result", call->entry.value);
        } else {
            nx_json_key(json, NX_STR("result"));
            nx_json_null(json);
        }
    } else {
        nx_json_member_str(json, "result", nx_buf_str(&result));
    }
    nx_json_object_end(json);
}

static void append_call(struct nx_buf *out, const struct nx_tape_call *call, struct nx_str key) {
    nx_buf_append_format(out, "  call[%" PRIu64 "]  %s", call->number, nx_tape_call_name(call->entry.kind));
    if (call->entry.kind == NX_TAPE_KV_GET) {
        nx_buf_append_c(out, " ");
        nx_calls_append_shown(out, key, VALUE_SHOWN_MAX);
        nx_buf_append_c(out, " = ");
        nx_calls_append_shown(out, call->entry.found ? call->entry.value : NX_STR("null"), VALUE_SHOWN_MAX);
    } else if (call->entry.kind != NX_TAPE_WAIT_CUT) {
        nx_buf_append_c(out, " = ");
        append_result(out, call);
    }
    nx_buf_append_c(out, "\n");
}

static struct nx_str function_of(const struct nx_check_subject *subject) {
    const struct nx_str prefix = NX_STR("invocations.");
    return nx_str_slice(subject->record->subject, prefix.len, subject->record->subject.len);
}

static void begin_invocation(struct nx_calls_list *list, const struct nx_check_subject *subject,
                             uint64_t call_count) {
    const struct nx_str function = function_of(subject);
    if (list->is_json) {
        nx_json_object_begin(&list->json);
        nx_json_key(&list->json, NX_STR("invocation"));
        char text[32];
        (void)snprintf(text, sizeof text, "INVOCATIONS:%" PRIu64, subject->record->sequence);
        nx_json_string(&list->json, nx_str_from_c(text));
        nx_json_member_str(&list->json, "function", function);
        nx_json_key(&list->json, NX_STR("calls"));
        nx_json_array_begin(&list->json);
    } else {
        nx_buf_append_format(&list->out, "INVOCATIONS:%" PRIu64 " of %.*s asked %" PRIu64 " question%s%s\n",
                             subject->record->sequence, NX_STR_ARG(function), call_count,
                             call_count == 1 ? "" : "s", call_count == 0 ? "" : ":");
    }
}

static void list_calls(void *data, const struct nx_check_subject *subject,
                       const struct nx_call_result *result) {
    struct nx_calls_list *list = data;
    struct nx_tape_header header;
    struct nx_tape_reader entries;
    struct nx_tape_call call;
    uint64_t call_count = 0;
    size_t key_index = 0;
    header.env_count = 0;
    if (nx_tape_decode(subject->invocation->tape.bytes, &header, &entries, NULL) != NX_OK) {
        return; /* it was replayed: it can be read */
    }
    struct nx_tape_calls walk = nx_tape_calls_of(&header, &entries);
    while (nx_tape_calls_next(&walk, &call)) {
        call_count++;
    }
    begin_invocation(list, subject, call_count);
    walk = nx_tape_calls_of(&header, &entries);
    while (nx_tape_calls_next(&walk, &call)) {
        /* Each key is asked of the store once. */
        struct nx_str key = NX_STR("?");
        if (call.entry.kind == NX_TAPE_KV_GET && key_index < result->kv_read_count) {
            key = result->kv_reads[key_index++].key;
        }
        if (list->is_json) {
            write_call(list, &call, key);
        } else {
            append_call(&list->out, &call, key);
        }
    }
    if (list->is_json) {
        nx_json_array_end(&list->json);
        nx_json_object_end(&list->json);
    }
    list->count++;
}

struct nx_replay_observer nx_calls_list_observer(struct nx_calls_list *list) {
    return (struct nx_replay_observer){ .data = list, .saw = list_calls };
}

static void tell_effects(void *data, const struct nx_check_subject *subject,
                         const struct nx_call_result *result) {
    struct nx_buf *out = data;
    const struct nx_str function = function_of(subject);
    if (result->outcome != NX_OUTCOME_OK) {
        return; /* they would be dropped */
    }
    for (size_t i = 0; i < result->publish_count; i++) {
        nx_buf_append_format(out, "[REPLAY] %.*s would publish %.*s: ", NX_STR_ARG(function),
                             NX_STR_ARG(result->publishes[i].type));
        nx_calls_append_shown(out, result->publishes[i].data, DATA_SHOWN_MAX);
        nx_buf_append_c(out, "\n");
    }
    for (size_t i = 0; i < result->kv_write_count; i++) {
        const struct nx_call_kv_write *write = &result->kv_writes[i];
        nx_buf_append_format(out, "[REPLAY] %.*s would %s key ", NX_STR_ARG(function),
                             write->deleted ? "delete" : "set");
        nx_calls_append_shown(out, write->key, DATA_SHOWN_MAX);
        if (!write->deleted) {
            nx_buf_append_c(out, " = ");
            nx_calls_append_shown(out, write->value, DATA_SHOWN_MAX);
        }
        nx_buf_append_c(out, "\n");
    }
    if (result->response.status != 0) {
        nx_buf_append_format(out, "[REPLAY] %.*s would answer %" PRIu32 " ", NX_STR_ARG(function),
                             result->response.status);
        nx_calls_append_shown(out, result->response.headers, DATA_SHOWN_MAX);
        nx_buf_append_c(out, "\n");
    }
}

struct nx_replay_observer nx_calls_effects_observer(struct nx_buf *out) {
    return (struct nx_replay_observer){ .data = out, .saw = tell_effects };
}
