#include "telemetry/export.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/protobuf.h"

/* Field numbers of opentelemetry/proto/collector/trace/v1/trace_service.proto and below. */
enum {
    REQUEST_RESOURCE_SPANS = 1,
    RESOURCE_SPANS_RESOURCE = 1,
    RESOURCE_SPANS_SCOPE_SPANS = 2,
    SCOPE_SPANS_SCOPE = 1,
    SCOPE_NAME = 1,
    SCOPE_VERSION = 2,
    RESPONSE_PARTIAL_SUCCESS = 1,
    PARTIAL_SUCCESS_REJECTED = 1,
};

enum drop_reason { DROP_QUEUE_FULL, DROP_REFUSED, DROP_STOPPED, DROP_REASON_COUNT };

struct nx_exporter {
    struct nx_exporter_options options;
    struct nx_mailbox *mailbox;
    struct nx_tracing tracing;
    struct nx_http_client *client;
    struct nx_message_queue queue; /* struct nx_span_batch, oldest first */
    size_t queue_count;            /* spans in it */
    int64_t queued_at_ns;          /* monotonic: when the oldest came */
    struct nx_buf headers;
    struct nx_buf request;   /* what is sent, until the collector has taken it; empty: nothing */
    size_t request_count;    /* spans in it */
    unsigned failures;       /* in a row */
    int64_t retry_at_ns;     /* monotonic */
    struct nx_message *stop; /* asked for, not answered yet */
    int64_t give_up_ns;      /* monotonic; while stopping */
    struct nx_counter *exported;
    struct nx_counter *failed_requests;
    struct nx_counter *waiting;
    struct nx_counter *dropped[DROP_REASON_COUNT];
};

/* Taking in */

static void note_waiting(struct nx_exporter *exporter) {
    nx_counter_set(exporter->waiting, exporter->queue_count + exporter->request_count);
}

static void take_batch(struct nx_exporter *exporter, struct nx_span_batch *batch, int64_t now_ns) {
    if (exporter->queue_count + exporter->request_count + batch->count > exporter->options.otel->queue_size) {
        nx_counter_add(exporter->dropped[DROP_QUEUE_FULL], batch->count);
        nx_message_release(&batch->message);
        return;
    }
    if (exporter->queue.count == 0) {
        exporter->queued_at_ns = now_ns;
    }
    exporter->queue_count += batch->count;
    nx_message_queue_push(&exporter->queue, &batch->message);
}

static void take_messages(struct nx_exporter *exporter, struct nx_message_queue *inbox, int64_t now_ns) {
    for (struct nx_message *message; (message = nx_message_queue_pop(inbox)) != NULL;) {
        if (message->kind == NX_EXPORT_STOP) {
            exporter->stop = message;
            exporter->give_up_ns = now_ns + NX_EXPORT_STOP_NS;
        } else {
            nx_assert(message->kind == NX_SPAN_MESSAGE_KIND);
            take_batch(exporter, (struct nx_span_batch *)(void *)message, now_ns);
        }
    }
    note_waiting(exporter);
}

/* Sending */

static void drop_request(struct nx_exporter *exporter, enum drop_reason reason) {
    nx_counter_add(exporter->dropped[reason], exporter->request_count);
    exporter->request_count = 0;
    nx_buf_reset(&exporter->request);
}

/* The oldest batches, as one request. */
static void make_request(struct nx_exporter *exporter, int64_t now_ns) {
    struct nx_buf *out = &exporter->request;
    nx_buf_reset(out);
    const size_t resource_spans = nx_protobuf_begin(out, REQUEST_RESOURCE_SPANS);
    nx_protobuf_bytes(out, RESOURCE_SPANS_RESOURCE, nx_buf_str(&exporter->options.otel->resource));
    const size_t scope_spans = nx_protobuf_begin(out, RESOURCE_SPANS_SCOPE_SPANS);
    const size_t scope = nx_protobuf_begin(out, SCOPE_SPANS_SCOPE);
    nx_protobuf_bytes(out, SCOPE_NAME, NX_STR("nexus"));
    nx_protobuf_bytes(out, SCOPE_VERSION, nx_str_from_c(exporter->options.version));
    nx_protobuf_end(out, scope);
    while (exporter->queue.first != NULL && exporter->request_count < exporter->options.otel->batch_size) {
        struct nx_span_batch *batch = (struct nx_span_batch *)(void *)exporter->queue.first;
        if (exporter->request_count > 0 && out->len + batch->bytes.len > NX_EXPORT_REQUEST_SIZE_MAX / 2) {
            break;
        }
        (void)nx_message_queue_pop(&exporter->queue);
        nx_buf_append(out, nx_buf_str(&batch->bytes));
        exporter->request_count += batch->count;
        exporter->queue_count -= batch->count;
        nx_message_release(&batch->message);
    }
    nx_protobuf_end(out, scope_spans);
    nx_protobuf_end(out, resource_spans);
    exporter->queued_at_ns = now_ns;
    if (nx_buf_failed(out)) {
        drop_request(exporter, DROP_QUEUE_FULL); /* no memory */
    }
}

/* While the collector lets us wait: spans are taken in, and the end of the process is not held up. */
static bool keep_waiting(void *data) {
    struct nx_exporter *exporter = data;
    struct nx_message_queue inbox = { 0 };
    const int64_t now_ns = nx_clock_read(&exporter->options.clock).monotonic_ns;
    (void)nx_mailbox_take(exporter->mailbox, &inbox);
    take_messages(exporter, &inbox, now_ns);
    return exporter->stop == NULL || now_ns < exporter->give_up_ns;
}

/* It was not taken, and may be sent again. */
static void plan_retry(struct nx_exporter *exporter, uint32_t retry_after_s, const char *why) {
    const struct nx_exporter_options *options = &exporter->options;
    uint64_t wait_ms = NX_EXPORT_RETRY_MIN_MS;
    for (unsigned i = 0; i < exporter->failures && wait_ms < NX_EXPORT_RETRY_MAX_MS; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms > NX_EXPORT_RETRY_MAX_MS ? NX_EXPORT_RETRY_MAX_MS : wait_ms;
    wait_ms = wait_ms / 2 + nx_random_u64(&options->random) % (wait_ms / 2 + 1);
    if (retry_after_s > 0) {
        wait_ms = (uint64_t)retry_after_s * 1000;
        wait_ms = wait_ms > NX_EXPORT_RETRY_AFTER_MAX_MS ? NX_EXPORT_RETRY_AFTER_MAX_MS : wait_ms;
    }
    nx_counter_add(exporter->failed_requests, 1);
    if (exporter->failures == 0 && exporter->stop == NULL) {
        nx_log_warn(options->log, "spans wait: the collector does not take them", NX_F_C("error", why),
                    NX_F_C("host", options->otel->endpoint.host),
                    NX_F_U64("port", options->otel->endpoint.port), NX_F_U64("again_in_ms", wait_ms));
    }
    exporter->failures++;
    exporter->retry_at_ns = nx_clock_read(&options->clock).monotonic_ns + (int64_t)wait_ms * NX_NS_PER_MS;
}

static void refused(struct nx_exporter *exporter, const struct nx_http_client_answer *answer) {
    nx_counter_add(exporter->failed_requests, 1);
    nx_log_warn(exporter->options.log, "the collector refuses spans: they are dropped",
                NX_F_I64("status", answer->status), NX_F_U64("spans", exporter->request_count),
                NX_F_STR("answer", nx_str_slice(answer->body, 0,
                                                nx_str_utf8_prefix(nx_str_slice(answer->body, 0, 200)))));
    drop_request(exporter, DROP_REFUSED);
}

static void taken(struct nx_exporter *exporter, const struct nx_http_client_answer *answer) {
    uint64_t count = 0;
    if (!nx_export_refused_count(answer->body, &count) || count > exporter->request_count) {
        count = 0;
    }
    if (count > 0) {
        nx_log_warn(exporter->options.log, "the collector refuses some spans: they are dropped",
                    NX_F_U64("spans", count));
        nx_counter_add(exporter->dropped[DROP_REFUSED], count);
    }
    if (exporter->failures > 0) {
        nx_log_info(exporter->options.log, "the collector takes spans again");
    }
    exporter->failures = 0;
    nx_counter_add(exporter->exported, exporter->request_count - count);
    exporter->request_count = 0;
    nx_buf_reset(&exporter->request);
}

bool nx_export_refused_count(struct nx_str answer, uint64_t *count_out) {
    struct nx_reader reader = nx_reader_of(answer);
    struct nx_protobuf_field field;
    uint64_t count = 0;
    while (nx_protobuf_next(&reader, &field)) {
        if (field.number != RESPONSE_PARTIAL_SUCCESS || field.wire != NX_PROTOBUF_BYTES) {
            continue;
        }
        struct nx_reader within = nx_reader_of(field.bytes);
        struct nx_protobuf_field member;
        while (nx_protobuf_next(&within, &member)) {
            if (member.number == PARTIAL_SUCCESS_REJECTED && member.wire == NX_PROTOBUF_VARINT) {
                count = member.value;
            }
        }
        if (!nx_reader_ok(&within)) {
            return false;
        }
    }
    if (!nx_reader_ok(&reader)) {
        return false;
    }
    *count_out = count;
    return true;
}

static bool may_repeat(int http_status) {
    return http_status == 429 || http_status == 502 || http_status == 503 || http_status == 504;
}

static void send_request(struct nx_exporter *exporter) {
    struct nx_http_client_answer answer;
    struct nx_error err = { 0 };
    const struct nx_http_post post = {
        .headers = nx_buf_str(&exporter->headers),
        .body = nx_buf_str(&exporter->request),
        .timeout_ms = exporter->options.otel->timeout_ms,
        .waiting = keep_waiting,
        .data = exporter,
    };
    if (nx_http_client_post(exporter->client, &post, &answer, &err) != NX_OK) {
        plan_retry(exporter, 0, err.message);
    } else if (may_repeat(answer.status)) {
        plan_retry(exporter, answer.retry_after_s, "it answers that it is busy");
    } else if (answer.status < 200 || answer.status > 299) {
        refused(exporter, &answer);
    } else {
        taken(exporter, &answer);
    }
    note_waiting(exporter);
}

/* The end: what could not be sent in time is lost, and counted. */
static void end(struct nx_exporter *exporter) {
    const size_t lost = exporter->queue_count + exporter->request_count;
    if (lost > 0) {
        nx_log_warn(exporter->options.log, "spans are lost: the collector did not take them before the end",
                    NX_F_U64("spans", lost));
    }
    nx_counter_add(exporter->dropped[DROP_STOPPED], exporter->queue_count);
    drop_request(exporter, DROP_STOPPED);
    nx_message_queue_release(&exporter->queue);
    exporter->queue_count = 0;
    note_waiting(exporter);
    nx_message_reply(NX_TAKE(exporter->stop));
}

static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_exporter *exporter = state;
    take_messages(exporter, inbox, now.monotonic_ns);
    const bool is_stopping = exporter->stop != NULL;
    const bool has_some = exporter->request_count > 0 || exporter->queue_count > 0;
    if (is_stopping && (!has_some || now.monotonic_ns >= exporter->give_up_ns || exporter->failures > 0)) {
        end(exporter);
        return NX_STEP_IDLE;
    }
    if (!has_some) {
        return NX_STEP_IDLE;
    }
    if (exporter->request_count == 0) {
        const int64_t due_ns = exporter->queued_at_ns + exporter->options.otel->schedule_delay_ns;
        if (!is_stopping && exporter->queue_count < exporter->options.otel->batch_size &&
            now.monotonic_ns < due_ns) {
            return due_ns;
        }
        make_request(exporter, now.monotonic_ns);
    } else if (now.monotonic_ns < exporter->retry_at_ns) {
        return exporter->retry_at_ns;
    }
    if (exporter->request_count > 0) {
        send_request(exporter);
    }
    return NX_STEP_AGAIN;
}

/* Life */

static enum nx_status add_metrics(struct nx_exporter *exporter, struct nx_error *err) {
    static const struct nx_str reasons[DROP_REASON_COUNT] = { [DROP_QUEUE_FULL] = { "queue-full", 10 },
                                                              [DROP_REFUSED] = { "refused", 7 },
                                                              [DROP_STOPPED] = { "stopped", 7 } };
    static const struct nx_metric_options families[] = {
        { .name = "nexus_spans_exported_total",
          .help = "Spans that the collector has taken.",
          .kind = NX_METRIC_COUNTER },
        { .name = "nexus_spans_dropped_total",
          .help = "Spans that no collector got, by why: no room for them while it was slow or away, "
                  "refused by it, not taken before the end.",
          .kind = NX_METRIC_COUNTER,
          .labels = { "reason" } },
        { .name = "nexus_spans_waiting", .help = "Spans that wait to be exported.", .kind = NX_METRIC_GAUGE },
        { .name = "nexus_span_export_failures_total",
          .help = "Requests to the collector that it did not take.",
          .kind = NX_METRIC_COUNTER },
    };
    struct nx_metric *metrics[sizeof families / sizeof families[0]];
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        NX_TRY(nx_metrics_add(exporter->options.metrics, &families[i], &metrics[i], err));
    }
    exporter->exported = nx_metric_counter(metrics[0], NULL);
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        exporter->dropped[i] = nx_metric_counter(metrics[1], &reasons[i]);
    }
    exporter->waiting = nx_metric_gauge(metrics[2], NULL);
    exporter->failed_requests = nx_metric_counter(metrics[3], NULL);
    return NX_OK;
}

enum nx_status nx_export_load_tls(const struct nx_otel_options *otel, struct nx_disk *disk,
                                  struct nx_tls_context **context_out, struct nx_error *err) {
    const struct nx_tls_files files = {
        .certificate = nx_otel_options_file(otel, NX_OTEL_CLIENT_CERTIFICATE),
        .key = nx_otel_options_file(otel, NX_OTEL_CLIENT_KEY),
        .authorities = nx_otel_options_file(otel, NX_OTEL_AUTHORITIES),
        .is_client = true,
    };
    if (!otel->endpoint.is_https) {
        *context_out = NULL;
        return NX_OK;
    }
    return nx_tls_context_load(disk, &files, context_out, err);
}

enum nx_status nx_exporter_open(const struct nx_exporter_options *options, struct nx_exporter **exporter_out,
                                struct nx_error *err) {
    NX_AUTO(nx_exporter) *exporter = calloc(1, sizeof *exporter);
    if (exporter == NULL) {
        return nx_fail_memory(err);
    }
    exporter->options = *options;
    nx_buf_init(&exporter->headers, 2 * NX_OTEL_TEXT_SIZE_MAX);
    nx_buf_init(&exporter->request, NX_EXPORT_REQUEST_SIZE_MAX);
    nx_buf_append_format(&exporter->headers,
                         "Content-Type: application/x-protobuf\r\nUser-Agent: nexus/%s\r\n",
                         options->version);
    nx_buf_append(&exporter->headers, nx_buf_str(&options->otel->headers));
    NX_TRY(nx_buf_check(&exporter->headers, err));
    NX_TRY(nx_mailbox_open(NX_EXPORT_MAILBOX_COUNT, &exporter->mailbox, err));
    NX_TRY(nx_http_client_new(&options->otel->endpoint, options->tls, &exporter->client, err));
    NX_TRY(add_metrics(exporter, err));
    exporter->tracing.exporter = exporter->mailbox;
    exporter->tracing.sampler = options->otel->sampler;
    exporter->tracing.dropped = exporter->dropped[DROP_QUEUE_FULL];
    *exporter_out = NX_TAKE(exporter);
    return NX_OK;
}

void nx_exporter_close(struct nx_exporter *exporter) {
    if (exporter == NULL) {
        return;
    }
    nx_message_release(exporter->stop);
    nx_message_queue_release(&exporter->queue);
    nx_mailbox_close(exporter->mailbox);
    nx_http_client_close(exporter->client);
    nx_buf_fini(&exporter->headers);
    nx_buf_fini(&exporter->request);
    free(exporter);
}

struct nx_actor nx_exporter_actor(struct nx_exporter *exporter) {
    return (
        struct nx_actor){ .name = "exporter", .mailbox = exporter->mailbox, .state = exporter, .step = step };
}

struct nx_mailbox *nx_exporter_mailbox(struct nx_exporter *exporter) {
    return exporter->mailbox;
}

struct nx_tracing *nx_exporter_tracing(struct nx_exporter *exporter) {
    return &exporter->tracing;
}
