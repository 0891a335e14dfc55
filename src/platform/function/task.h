/* src/platform/function/task.h: one attempt to run a function, from dispatch to a worker and back as its own
 * answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "codec/invocation.h"
#include "fabric/fabric.h"
#include "io/mailbox.h"
#include "platform/function/registry.h"

enum nx_task_kind { NX_TASK = 0x300, NX_TASK_EARLY };

/* An event, in one piece of memory. */
struct nx_event_copy {
    struct nx_record record; /* its strings lie behind this struct */
    size_t size;             /* bytes in all */
};
/** Ownership: the caller frees it by free(). NULL when there is no memory. */
struct nx_event_copy *nx_event_copy_new(const struct nx_record *record);

enum nx_task_answer {
    NX_TASK_NOT_RUN,   /* nothing happened: the worker is stopping, or its log takes no more */
    NX_TASK_GAVE_WAY,  /* nothing happened: others changed its keys again and again */
    NX_TASK_SUCCEEDED, /* the record is on disk, with all effects */
    NX_TASK_FAILED,    /* the record is on disk; it was not the last attempt */
    NX_TASK_DEAD,      /* the record is on disk, and the dead letter with it */
};

/* What a call that succeeded gave back, for whoever waits for it; in one piece of memory. */
struct nx_answer {
    uint32_t status;       /* of HTTP; 0: the function said nothing of it */
    struct nx_str headers; /* lines; behind this struct, as `output` */
    struct nx_str output;
};
/** Ownership: the caller frees it by free(). NULL when there is no memory. */
struct nx_answer *nx_answer_new(uint32_t status, struct nx_str headers, struct nx_str output);

struct nx_task {
    struct nx_message message;    /* first; kind NX_TASK */
    struct nx_registry *registry; /* a reference, so that `registered` lives */
    const struct nx_registered *registered;
    struct nx_module *module;    /* borrowed until answered; NULL: it cannot be had, `error` says why */
    struct nx_event_copy *event; /* owned; given back with the answer; NULL: it is gone, `error` says why */
    uint64_t event_sequence;     /* of EVENTS */
    uint32_t attempt;            /* 1 is the first */
    uint32_t attempts_max;
    uint32_t series;
    uint64_t dead_letter;    /* the DLQ sequence that this series puts back; 0: none */
    const uint64_t *earlier; /* sequences of earlier attempts, borrowed until answered */
    size_t earlier_count;
    bool may_give_way; /* when others change its keys: it is answered NX_TASK_GAVE_WAY, and run alone later */
    uint64_t replay_of; /* mode live: the INVOCATIONS sequence that is done again; 0: a first run */
    struct nx_traceparent replay_of_trace; /* mode live: the first run's */
    int64_t sent_at_ns;                    /* wall; when dispatch handed it on */
    /* Answer: */
    enum nx_task_answer answer;
    enum nx_outcome outcome;
    uint64_t invocation;    /* INVOCATIONS sequence */
    int64_t finished_at_ns; /* wall time of that record */
    uint64_t duration_ns;
    uint64_t memory_peak;
    uint64_t fuel;
    uint32_t conflicts;             /* how many times it ran anew because keys had changed under it */
    struct nx_answer *answer_bytes; /* owned; NULL: it failed, nobody may wait for it, or no memory */
    struct nx_error error;
};

/* From a worker to dispatch, no answer: what a call gave back, before its record is on disk. */
struct nx_task_early {
    struct nx_message message; /* first; kind NX_TASK_EARLY */
    char function[NX_FUNCTION_NAME_SIZE_MAX + 1];
    uint64_t event_sequence;
    struct nx_answer *answer; /* owned */
};
/** `answer` is moved in on success. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_task_early_new(const struct nx_task *task, struct nx_answer *answer,
                                               struct nx_task_early **early_out, struct nx_error *err);

/** The key of the person whom the task's event is about; empty: nobody, or nothing of it can be read any
 * more. */
struct nx_str nx_task_person_key(const struct nx_task *task);
/** Takes a reference to the registry. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_task_new(struct nx_registry *registry, struct nx_task **task_out,
                                         struct nx_error *err);
void nx_task_free(struct nx_task *task); /* NULL allowed; also message.release */

NX_DEFINE_AUTO(nx_task, nx_task_free)
