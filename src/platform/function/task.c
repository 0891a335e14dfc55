#include "platform/function/task.h"

struct nx_event_copy *nx_event_copy_new(const struct nx_record *record) {
    const struct nx_str *const from[] = { &record->stream, &record->subject, &record->headers,
                                          &record->payload };
    size_t size = sizeof(struct nx_event_copy);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        size += from[i]->len;
    }
    struct nx_event_copy *copy = malloc(size);
    if (copy == NULL) {
        return NULL;
    }
    copy->record = *record;
    copy->size = size;
    struct nx_str *const to[] = { &copy->record.stream, &copy->record.subject, &copy->record.headers,
                                  &copy->record.payload };
    char *end = (char *)(copy + 1);
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        if (from[i]->len > 0) {
            memcpy(end, from[i]->ptr, from[i]->len);
        }
        *to[i] = nx_str_of(end, from[i]->len);
        end += from[i]->len;
    }
    return copy;
}

struct nx_answer *nx_answer_new(uint32_t status, struct nx_str headers, struct nx_str output) {
    struct nx_answer *answer = malloc(sizeof *answer + headers.len + output.len);
    if (answer == NULL) {
        return NULL;
    }
    char *end = (char *)(answer + 1);
    if (headers.len > 0) {
        memcpy(end, headers.ptr, headers.len);
    }
    if (output.len > 0) {
        memcpy(end + headers.len, output.ptr, output.len);
    }
    answer->status = status;
    answer->headers = nx_str_of(end, headers.len);
    answer->output = nx_str_of(end + headers.len, output.len);
    return answer;
}

static void early_release(struct nx_message *message) {
    struct nx_task_early *early = (struct nx_task_early *)(void *)message;
    free(early->answer);
    free(early);
}

enum nx_status nx_task_early_new(const struct nx_task *task, struct nx_answer *answer,
                                 struct nx_task_early **early_out, struct nx_error *err) {
    const struct nx_str function = task->registered->function->name;
    struct nx_task_early *early = calloc(1, sizeof *early);
    if (early == NULL) {
        return nx_fail_memory(err);
    }
    early->message.kind = NX_TASK_EARLY;
    early->message.release = early_release;
    memcpy(early->function, function.ptr, function.len);
    early->event_sequence = task->event_sequence;
    early->answer = answer;
    *early_out = early;
    return NX_OK;
}

static void task_release(struct nx_message *message) {
    nx_task_free((struct nx_task *)(void *)message);
}

enum nx_status nx_task_new(struct nx_registry *registry, struct nx_task **task_out, struct nx_error *err) {
    struct nx_task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        return nx_fail_memory(err);
    }
    task->message.kind = NX_TASK;
    task->message.release = task_release;
    task->registry = nx_registry_ref(registry);
    *task_out = task;
    return NX_OK;
}

void nx_task_free(struct nx_task *task) {
    if (task == NULL) {
        return;
    }
    nx_registry_unref(task->registry);
    free(task->event);
    free(task->answer_bytes);
    free(task);
}

struct nx_str nx_task_person_key(const struct nx_task *task) {
    if (task->event == NULL || nx_record_withheld(&task->event->record).len > 0) {
        return NX_STR_EMPTY;
    }
    return nx_record_person_key(&task->event->record);
}
