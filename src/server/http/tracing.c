#include "server/http/tracing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is known of a request while it is under way; texts are cut. */
struct nx_http_span {
    bool has_trace;
    bool has_append;
    bool is_appended;
    uint8_t parent_id[NX_SPAN_ID_SIZE]; /* the caller's; zero: none */
    struct nx_traceparent append;
    int64_t start_ns; /* wall, as the others */
    int64_t append_start_ns;
    int64_t append_end_ns;
    uint64_t event_count;
    uint64_t body_size;
    uint64_t sequence; /* of the first event */
    char method[16];
    char route[128];
    char path[256];
    char tracestate[512];
    char user_agent[128];
    char subject[256];
    char event_id[128];
};

static void keep(char *out, size_t size, struct nx_str text) {
    const struct nx_str cut = nx_str_slice(text, 0, size - 1);
    (void)snprintf(out, size, "%.*s", NX_STR_ARG(cut));
}

/* A system route that ends with '/' has a parameter behind it. */
static void keep_route(char *out, size_t size, struct nx_str route) {
    const char *parameter = !nx_str_ends_with(route, NX_STR("/")) || route.len < 2 ? ""
                            : nx_str_is(route, "/events/")                         ? "{type}"
                                                                                   : "{id}";
    (void)snprintf(out, size, "%.*s%s", NX_STR_ARG(nx_str_slice(route, 0, size - 8)), parameter);
}

void nx_http_span_begin(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str route) {
    struct nx_traceparent unused;
    if (services->tracer.tracing == NULL) {
        return;
    }
    struct nx_http_span *span = calloc(1, sizeof *span);
    if (span == NULL) {
        return;
    }
    exchange->span = span;
    span->start_ns = services->shared.now.wall_ns;
    keep(span->method, sizeof span->method, request->method_name);
    keep_route(span->route, sizeof span->route, route);
    keep(span->path, sizeof span->path, request->path);
    keep(span->tracestate, sizeof span->tracestate, nx_http_request_header(request, NX_STR("tracestate")));
    keep(span->user_agent, sizeof span->user_agent, nx_http_request_header(request, NX_STR("user-agent")));
    const struct nx_str header = nx_http_request_header(request, NX_STR("traceparent"));
    if (nx_traceparent_parse(header, &unused)) {
        nx_http_trace_begin(services, exchange, header);
    }
}

void nx_http_trace_begin(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         struct nx_str from_client) {
    uint8_t random[NX_TRACEPARENT_RANDOM_SIZE];
    struct nx_http_span *span = exchange->span;
    struct nx_traceparent parent;
    if (span != NULL && span->has_trace) {
        return; /* one request, one span, however many events */
    }
    nx_random_fill(&services->random, random, sizeof random);
    const bool has_parent = nx_traceparent_parse(from_client, &parent);
    exchange->trace = has_parent ? nx_traceparent_child(&parent, random) : nx_traceparent_new(random);
    nx_tracer_sample(&services->tracer, &exchange->trace, has_parent);
    if (span != NULL) {
        span->has_trace = true;
        if (has_parent) {
            memcpy(span->parent_id, parent.span_id, sizeof span->parent_id);
        }
    }
}

static void begin_append(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_cloudevent *event) {
    struct nx_http_span *span = exchange->span;
    uint8_t random[NX_SPAN_ID_SIZE];
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_random_fill(&services->random, random, sizeof random);
    nx_cloudevent_subject(&subject, event->type);
    span->append = nx_traceparent_child(&exchange->trace, random);
    span->has_append = true;
    span->append_start_ns = services->shared.now.wall_ns;
    keep(span->subject, sizeof span->subject, nx_buf_str(&subject));
    keep(span->event_id, sizeof span->event_id, event->id);
}

struct nx_str nx_http_event_trace(struct nx_http_exchange *exchange, const struct nx_cloudevent *event,
                                  char text_out[NX_TRACEPARENT_TEXT_SIZE + 1]) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    struct nx_http_span *span = exchange->span;
    if (span == NULL || !nx_tracer_wants(&services->tracer, &exchange->trace)) {
        return nx_traceparent_format(&exchange->trace, text_out);
    }
    if (!span->has_append) {
        begin_append(services, exchange, event);
    }
    span->event_count++;
    span->body_size += event->data.len;
    return nx_traceparent_format(&span->append, text_out);
}

void nx_http_span_appended(struct nx_http_exchange *exchange, const struct nx_append *append) {
    struct nx_http_span *span = exchange->span;
    if (span == NULL || span->is_appended) {
        return;
    }
    span->is_appended = append->status == NX_OK;
    span->append_end_ns = exchange->shared->now.wall_ns;
    span->sequence = append->status == NX_OK ? append->entries[0].sequence : 0;
}

static void add_append(struct nx_http_services *services, const struct nx_http_exchange *exchange,
                       const char *kind, const char *message) {
    const struct nx_http_span *span = exchange->span;
    char record[40] = "";
    const bool is_batch = span->event_count > 1;
    if (!span->has_append || span->append_end_ns == 0) {
        return;
    }
    if (span->sequence > 0) {
        (void)snprintf(record, sizeof record, "EVENTS:%" PRIu64, span->sequence);
    }
    const struct nx_span_attribute attributes[] = {
        NX_SPAN_C("messaging.system", "nexus"),
        NX_SPAN_C("messaging.operation.name", "append"),
        NX_SPAN_C("messaging.operation.type", "send"),
        NX_SPAN_C("messaging.destination.name", is_batch ? "EVENTS" : span->subject),
        NX_SPAN_C("messaging.message.id", is_batch ? "" : span->event_id),
        NX_SPAN_C("nexus.event", record),
        NX_SPAN_C("error.type", span->is_appended ? "" : kind),
        NX_SPAN_I64("messaging.message.body.size", span->body_size),
        NX_SPAN_I64("messaging.batch.message_count", span->event_count),
    };
    struct nx_span out = { .verb = "append",
                           .noun = nx_str_from_c(is_batch ? "EVENTS" : span->subject),
                           .kind = NX_SPAN_PRODUCER,
                           .trace = span->append,
                           .start_ns = span->append_start_ns,
                           .end_ns = span->append_end_ns,
                           .attributes = attributes,
                           .attribute_count = sizeof attributes / sizeof attributes[0] - (is_batch ? 0 : 1),
                           .has_failed = !span->is_appended,
                           .message = nx_str_from_c(message) };
    memcpy(out.parent_id, exchange->trace.span_id, sizeof out.parent_id);
    nx_tracer_add(&services->tracer, &out);
}

void nx_http_span_end(struct nx_http_exchange *exchange, int status, const char *kind, const char *message) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    struct nx_http_span *span = exchange->span;
    if (!span->has_trace) {
        nx_http_trace_begin(services, exchange, NX_STR_EMPTY);
    }
    const struct nx_span_attribute attributes[] = {
        NX_SPAN_C("http.request.method", span->method),
        NX_SPAN_C("http.route", span->route),
        NX_SPAN_C("url.path", span->path),
        NX_SPAN_C("url.scheme", "http"),
        NX_SPAN_C("network.protocol.version", exchange->is_http_1_0 ? "1.0" : "1.1"),
        NX_SPAN_C("user_agent.original", span->user_agent),
        NX_SPAN_C("error.type", kind),
        NX_SPAN_I64("http.response.status_code", status),
    };
    struct nx_span out = { .verb = span->method,
                           .noun = nx_str_from_c(span->route),
                           .kind = NX_SPAN_SERVER,
                           .trace = exchange->trace,
                           .tracestate = nx_str_from_c(span->tracestate),
                           .start_ns = span->start_ns,
                           .end_ns = services->shared.now.wall_ns,
                           .attributes = attributes,
                           .attribute_count = sizeof attributes / sizeof attributes[0],
                           .has_failed =
                               status >= 500, /* the conventions: a client's fault is none of ours */
                           .message = nx_str_from_c(message) };
    memcpy(out.parent_id, span->parent_id, sizeof out.parent_id);
    add_append(services, exchange, kind, message);
    nx_tracer_add(&services->tracer, &out);
    free(span);
    exchange->span = NULL;
}
