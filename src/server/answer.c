#include "server/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/invocation.h"
#include "platform/function/invocation.h"
#include "platform/function/task.h"

enum {
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    OUTPUT_SIZE_MAX = 16 * 1024 * 1024, /* more than any output limit */
};

void nx_answer_wait_init(struct nx_answer_wait *wait) {
    *wait = (struct nx_answer_wait){ .end = NX_AWAIT_PASSED };
    nx_buf_init(&wait->kept, NX_RESPONSE_HEADERS_SIZE_MAX);
    nx_buf_init(&wait->bytes, OUTPUT_SIZE_MAX);
}

void nx_answer_wait_fini(struct nx_answer_wait *wait) {
    free(wait->given);
    nx_buf_fini(&wait->kept);
    nx_buf_fini(&wait->bytes);
}

/* Questions */

static enum nx_status ask_functions(struct nx_answer_wait *wait, struct nx_message **message_out,
                                    struct nx_error *err) {
    struct nx_functions_await *await = NULL;
    NX_TRY(nx_functions_await_new(nx_str_from_c(wait->function), wait->event_sequence, &await, err));
    await->deadline_ns = wait->deadline_ns;
    await->is_early = wait->is_early;
    wait->is_asked = true;
    *message_out = &await->message;
    return NX_OK;
}

static enum nx_status ask_record(const struct nx_answer_wait *wait, struct nx_message **message_out,
                                 struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    char key[32];
    NX_TRY(nx_read_new(NX_READ_BY_REFERENCE, &read, err));
    const int len = snprintf(key, sizeof key, "EVENTS:%" PRIu64, wait->event_sequence);
    read->stream = NX_STR("INVOCATIONS");
    read->key = nx_arena_copy(&read->arena, nx_str_of(key, (size_t)len));
    if (read->key.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *message_out = &NX_TAKE(read)->message;
    return NX_OK;
}

enum nx_status nx_answer_wait_next(struct nx_answer_wait *wait, struct nx_message **message_out,
                                   bool *is_for_log_out, struct nx_error *err) {
    struct nx_read *read = NULL;
    *is_for_log_out = wait->is_asked;
    if (!wait->is_asked) {
        return ask_functions(wait, message_out, err);
    }
    if (!wait->is_large) {
        return ask_record(wait, message_out, err);
    }
    NX_TRY(nx_object_get_next(&wait->get, &read, err));
    nx_assert(read != NULL); /* nx_answer_wait_take() said that there is more */
    *message_out = &read->message;
    return NX_OK;
}

/* Answers */

/* True: it is known now. */
static bool take_await(struct nx_answer_wait *wait, struct nx_functions_await *await) {
    wait->end = await->end;
    wait->invocation = await->invocation;
    wait->outcome = await->outcome;
    wait->attempt = await->attempt;
    wait->error = await->error;
    if (await->end == NX_AWAIT_SUCCEEDED) {
        wait->given = NX_TAKE(await->answer);
        wait->status = wait->given->status;
        wait->headers = wait->given->headers;
        wait->output = wait->given->output;
    }
    return await->end != NX_AWAIT_PASSED;
}

/* The record that ended this function's handling of the event; NULL: none. */
static const struct nx_record *last_of(const struct nx_read *read, struct nx_str function) {
    const struct nx_str prefix = NX_STR("invocations.");
    const struct nx_record *found = NULL;
    for (size_t i = 0; i < read->record_count; i++) {
        const struct nx_record *record = &read->records[i];
        struct nx_invocation head;
        if (nx_str_is(record->stream, "INVOCATIONS") &&
            nx_str_equal(nx_str_slice(record->subject, prefix.len, record->subject.len), function) &&
            nx_invocation_decode_head(record->payload, &head, NULL) == NX_OK &&
            (head.flags & NX_INVOCATION_LIVE_REPLAY) == 0 &&
            (head.outcome == NX_OUTCOME_OK || (head.flags & NX_INVOCATION_DEAD_LETTER) != 0)) {
            found = record;
        }
    }
    return found;
}

static enum nx_status take_success(struct nx_answer_wait *wait, const struct nx_invocation *invocation,
                                   bool *is_known_out, struct nx_error *err) {
    uint64_t status = 0;
    if (invocation->effect_count > 0 &&
        invocation->effects[invocation->effect_count - 1].kind == NX_EFFECT_RESPOND) {
        nx_buf_append(&wait->kept, invocation->effects[invocation->effect_count - 1].type);
        (void)nx_str_to_u64(invocation->effects[invocation->effect_count - 1].name, &status);
    }
    NX_TRY(nx_buf_check(&wait->kept, err));
    wait->headers = nx_buf_str(&wait->kept);
    wait->status = (uint32_t)status;
    if ((invocation->flags & NX_INVOCATION_OUTPUT_STORED) != 0) {
        wait->is_large = true;
        wait->salt_size = (invocation->flags & NX_INVOCATION_PERSONAL) != 0 ? NX_DIGEST_SIZE : 0;
        nx_object_get_init(&wait->get, NX_CALL_OBJECTS_BUCKET, &invocation->output.digest, &wait->bytes);
        wait->get.otherwise = NX_OBJECTS_BUCKET;
        *is_known_out = false;
        return NX_OK;
    }
    nx_buf_append(&wait->bytes, invocation->output.bytes);
    wait->output = nx_buf_str(&wait->bytes);
    wait->end = NX_AWAIT_SUCCEEDED;
    return nx_buf_check(&wait->bytes, err);
}

static enum nx_status take_record(struct nx_answer_wait *wait, const struct nx_record *record,
                                  bool *is_known_out, struct nx_error *err) {
    NX_AUTO(nx_arena) arena;
    struct nx_invocation invocation;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    if (nx_record_withheld(record).len > 0) {
        return nx_fail_kind(err, NX_KIND_ERASED, "what '%s' answered was about a person who was forgotten",
                            wait->function);
    }
    NX_TRY(nx_invocation_decode(record->payload, &arena, &invocation, err));
    wait->invocation = record->sequence;
    wait->outcome = invocation.outcome;
    wait->attempt = invocation.attempt;
    if (invocation.outcome == NX_OUTCOME_OK) {
        return take_success(wait, &invocation, is_known_out, err);
    }
    wait->end = NX_AWAIT_GIVEN_UP;
    (void)snprintf(wait->error.message, sizeof wait->error.message, "%.*s", NX_STR_ARG(invocation.error));
    return NX_OK;
}

static enum nx_status take_read(struct nx_answer_wait *wait, const struct nx_read *read, bool *is_known_out,
                                struct nx_error *err) {
    if (wait->is_large) {
        NX_TRY(nx_object_get_take(&wait->get, read, err));
        *is_known_out = wait->get.is_done;
        wait->output = nx_str_slice(nx_buf_str(&wait->bytes), wait->salt_size, SIZE_MAX);
        wait->end = NX_AWAIT_SUCCEEDED;
        return NX_OK;
    }
    const struct nx_record *record =
        read->status != NX_OK ? NULL : last_of(read, nx_str_from_c(wait->function));
    if (record != NULL) {
        return take_record(wait, record, is_known_out, err);
    }
    if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        *err = read->error;
        return read->status;
    }
    return nx_fail_kind(err, NX_KIND_EXPIRED, "what '%s' answered is not kept any more", wait->function);
}

enum nx_status nx_answer_wait_take(struct nx_answer_wait *wait, struct nx_message *message,
                                   bool *is_known_out, struct nx_error *err) {
    enum nx_status status = NX_OK;
    *is_known_out = true;
    if (message->kind == NX_FUNCTIONS_AWAIT) {
        *is_known_out = take_await(wait, (struct nx_functions_await *)(void *)message);
    } else {
        status = take_read(wait, (const struct nx_read *)message, is_known_out, err);
    }
    nx_message_release(message);
    return status;
}
