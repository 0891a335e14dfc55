#include "platform/function/spans.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/headers.h"

enum { ID_SIZE = 40, ATTRIBUTES_MAX = 24 };

void nx_run_spans_begin(struct nx_run_spans *spans, struct nx_tracer *tracer, const struct nx_random *random,
                        const struct nx_traceparent *trace, const struct nx_traceparent *parent,
                        int64_t now_ns) {
    *spans = (struct nx_run_spans){ .tracer = NULL };
    if (!nx_tracer_wants(tracer, trace)) {
        return;
    }
    spans->tracer = tracer;
    spans->random = *random;
    spans->trace = *trace;
    spans->start_ns = now_ns;
    if (parent != NULL) {
        spans->parent = *parent;
    }
}

/* A span of the same trace, below the one with this id. */
static struct nx_span span_below(const struct nx_run_spans *spans, const uint8_t *parent_id) {
    uint8_t random[NX_SPAN_ID_SIZE];
    nx_random_fill(&spans->random, random, sizeof random);
    struct nx_span span = { .kind = NX_SPAN_INTERNAL, .trace = nx_traceparent_child(&spans->trace, random) };
    memcpy(span.parent_id, parent_id, NX_SPAN_ID_SIZE);
    return span;
}

void nx_run_spans_host_call(struct nx_run_spans *spans, const char *module, const char *name,
                            int64_t start_ns, int64_t end_ns) {
    char verb[96];
    if (spans->tracer == NULL || spans->host_call_count++ >= NX_RUN_HOST_CALLS_MAX) {
        return;
    }
    (void)snprintf(verb, sizeof verb, "%s.%s", module, name);
    struct nx_span span = span_below(spans, spans->trace.span_id);
    span.verb = verb;
    span.start_ns = start_ns;
    span.end_ns = end_ns;
    nx_tracer_add(spans->tracer, &span);
}

void nx_run_spans_append(struct nx_run_spans *spans, int64_t now_ns) {
    spans->append_ns = now_ns;
}

static void add_dispatch(struct nx_run_spans *spans, const struct nx_task *task) {
    const struct nx_str function = task->registered->function->name;
    const struct nx_span_attribute attributes[] = {
        NX_SPAN_C("messaging.system", "nexus"),
        NX_SPAN_STR("messaging.consumer.group.name", function),
        NX_SPAN_I64("nexus.attempt", task->attempt),
    };
    struct nx_span span = span_below(spans, spans->parent.span_id);
    span.verb = "dispatch";
    span.noun = function;
    span.start_ns = task->attempt == 1 && task->replay_of == 0 && task->series == 0 && task->event != NULL
                        ? task->event->record.time_ns
                        : task->sent_at_ns;
    span.end_ns = spans->start_ns;
    span.attributes = attributes;
    span.attribute_count = sizeof attributes / sizeof attributes[0];
    nx_tracer_add(spans->tracer, &span);
}

static void add_append(struct nx_run_spans *spans, struct nx_str invocation, int64_t now_ns) {
    const struct nx_span_attribute attributes[] = {
        NX_SPAN_C("messaging.system", "nexus"),
        NX_SPAN_C("messaging.operation.name", "append"),
        NX_SPAN_C("messaging.destination.name", "INVOCATIONS"),
        NX_SPAN_STR("nexus.record", invocation),
    };
    if (spans->append_ns == 0) {
        return;
    }
    struct nx_span span = span_below(spans, spans->trace.span_id);
    span.verb = "append";
    span.noun = NX_STR("INVOCATIONS");
    span.start_ns = spans->append_ns;
    span.end_ns = now_ns;
    span.attributes = attributes;
    span.attribute_count = sizeof attributes / sizeof attributes[0];
    nx_tracer_add(spans->tracer, &span);
}

/* The run itself; `attributes` has room for what is said of every one, behind its first `count`. */
static void add_run(struct nx_run_spans *spans, const struct nx_task *task,
                    struct nx_span_attribute attributes[ATTRIBUTES_MAX], size_t count, struct nx_span *span) {
    const struct nx_str headers = task->event == NULL ? NX_STR_EMPTY : task->event->record.headers;
    const struct nx_str function = task->registered->function->name;
    struct nx_str id = NX_STR_EMPTY;
    struct nx_str source = NX_STR_EMPTY;
    struct nx_str type = NX_STR_EMPTY;
    char event[ID_SIZE];
    (void)nx_headers_find(headers, NX_STR("ce-id"), &id);
    (void)nx_headers_find(headers, NX_STR("ce-source"), &source);
    (void)nx_headers_find(headers, NX_STR("ce-type"), &type);
    (void)snprintf(event, sizeof event, "EVENTS:%" PRIu64, task->event_sequence);
    attributes[count++] = NX_SPAN_C("messaging.system", "nexus");
    attributes[count++] = NX_SPAN_C("messaging.operation.name", "run");
    attributes[count++] = NX_SPAN_C("messaging.operation.type", "process");
    attributes[count++] = NX_SPAN_STR("messaging.destination.name",
                                      task->event == NULL ? NX_STR_EMPTY : task->event->record.subject);
    attributes[count++] = NX_SPAN_STR("messaging.consumer.group.name", function);
    attributes[count++] = NX_SPAN_STR("messaging.message.id", id);
    attributes[count++] = NX_SPAN_STR("cloudevents.event_source", source);
    attributes[count++] = NX_SPAN_STR("cloudevents.event_type", type);
    attributes[count++] = NX_SPAN_C("faas.trigger", "pubsub");
    attributes[count++] = NX_SPAN_C("nexus.event", event);
    span->verb = "run";
    span->noun = function;
    span->kind = NX_SPAN_CONSUMER;
    span->trace = spans->trace;
    memcpy(span->parent_id, spans->parent.span_id, NX_SPAN_ID_SIZE);
    span->start_ns = spans->start_ns;
    span->attributes = attributes;
    span->attribute_count = count;
    span->link = task->replay_of == 0 ? NULL : &task->replay_of_trace;
    nx_tracer_add(spans->tracer, span);
}

void nx_run_spans_end(struct nx_run_spans *spans, const struct nx_task *task, int64_t now_ns) {
    struct nx_span_attribute attributes[ATTRIBUTES_MAX];
    char invocation[ID_SIZE];
    size_t count = 0;
    if (spans->tracer == NULL) {
        return;
    }
    const bool has_failed = task->outcome != NX_OUTCOME_OK;
    const struct nx_str message = nx_str_from_c(task->error.message);
    (void)snprintf(invocation, sizeof invocation, "INVOCATIONS:%" PRIu64, task->invocation);
    attributes[count++] = NX_SPAN_C("faas.invocation_id", invocation);
    attributes[count++] = NX_SPAN_C("nexus.outcome", nx_outcome_name(task->outcome));
    attributes[count++] = NX_SPAN_C("error.type", has_failed ? nx_outcome_name(task->outcome) : "");
    attributes[count++] = NX_SPAN_I64("nexus.attempt", task->attempt);
    attributes[count++] = NX_SPAN_I64("nexus.fuel", task->fuel);
    attributes[count++] = NX_SPAN_I64("nexus.memory_peak", task->memory_peak);
    struct nx_span span = { .end_ns = now_ns, .has_failed = has_failed, .message = message };
    add_dispatch(spans, task);
    add_append(spans, nx_str_from_c(invocation), now_ns);
    add_run(spans, task, attributes, count, &span);
    spans->tracer = NULL;
}

void nx_run_spans_discard(struct nx_run_spans *spans, const struct nx_task *task, int64_t now_ns) {
    struct nx_span_attribute attributes[ATTRIBUTES_MAX];
    if (spans->tracer == NULL) {
        return;
    }
    attributes[0] = NX_SPAN_C("nexus.outcome", "discarded");
    struct nx_span span = { .end_ns = now_ns };
    add_run(spans, task, attributes, 1, &span);
    spans->tracer = NULL;
}
