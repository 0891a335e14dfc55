/* src/app/node.c */
#include "app/node.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/code.h"
#include "base/assert.h"
#include "codec/ulid.h"
#include "fabric/object/object.h"
#include "fabric/stream/catalogue.h"
#include "io/loop.h"
#include "io/thread.h"
#include "platform/function/invocation.h"
#include "platform/function/registry.h"
#include "sandbox/instance/call.h"
#include "server/http/server.h"
#include "server/nats/server.h"
#include "telemetry/export.h"
#include "telemetry/metric.h"

enum {
    MAILBOX_COUNT_MAX = 64,
    THREADS_MAX = 4 + NX_FUNCTIONS_ACTORS_MAX,
    STREAMS_MAX = NX_FUNCTIONS_STREAMS_COUNT + 1, /* and JetStream's */
    TICK_MS = 500,
    PATIENCE_MS = 200,
    PATH_SIZE_MAX = 4096,
};
static const int64_t http_grace_ns = 5LL * NX_NS_PER_S;
static const int64_t tail_wait_ns = 60LL * NX_NS_PER_S;

struct nx_node {
    struct nx_node_options options;
    struct nx_clock clock;
    struct nx_random random;
    struct nx_loop *loop;
    struct nx_stream_config streams[STREAMS_MAX]; /* the fabric borrows it */
    struct nx_fabric *fabric;
    struct nx_engine *engine;
    struct nx_guest_kind guests;
    struct nx_registry *registry;
    struct nx_metrics *metrics;
    struct nx_functions *functions;
    struct nx_http_server *http;
    struct nx_otel_options otel;
    struct nx_exporter *exporter; /* NULL: no spans are exported */
    struct nx_message exporter_stop;
    struct nx_nats_server *nats; /* NULL: not served */
    struct nx_actor library;
    struct nx_thread *library_thread; /* with functions: theirs too */
    struct nx_thread *threads[THREADS_MAX];
    size_t thread_count;
    struct nx_timer tick;
    struct nx_timer patience;         /* of wait_until_ready() */
    const struct nx_message *awaited; /* by nx_node_ask() */
    bool answered;
    bool signalled;
    bool reload_asked;
    bool leaves; /* when the last NATS client has */
    bool tailing;
    bool ticked;        /* nx_node_run() has to call options.tick */
    bool refuses;       /* the log takes nothing, as was told */
    bool keys_frozen;   /* the keys of people cannot be written, as was told */
    bool functions_run; /* their threads do, and were not told to stop */
    uint64_t tail_next; /* INVOCATIONS sequence to go on with */
};

/* The main thread's loop. */

static void tail(struct nx_node *node) {
    struct nx_read *read;

    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        return;
    }
    read->stream = nx_arena_copy(&read->arena, NX_STR("INVOCATIONS"));
    read->from_sequence = node->tail_next;
    read->wait = true;
    read->wait_until_ns = nx_clock_read(&node->clock).monotonic_ns + tail_wait_ns;
    read->message.reply_to = nx_loop_mailbox(node->loop);
    node->tailing = nx_mailbox_send(nx_fabric_reads(node->fabric), &read->message);
    if (!node->tailing) {
        nx_read_free(read); /* the library is busy: the next tick tries again */
    }
}

static void receive_tail(struct nx_node *node, struct nx_read *read) {
    node->tailing = false;
    if (read->status != NX_OK) {
        return; /* the next tick tries again */
    }
    for (size_t i = 0; i < read->record_count; i++) {
        node->options.invocation(node->options.data, &read->records[i]);
    }
    if (read->next_sequence > node->tail_next) {
        node->tail_next = read->next_sequence;
    }
    tail(node);
}

static void receive(void *data, struct nx_message_queue *inbox) {
    struct nx_node *node = data;
    struct nx_message *message;

    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (message == node->awaited) {
            node->awaited = NULL;
            node->answered = true;
            nx_loop_stop(node->loop);
        } else if (message->kind == NX_FUNCTIONS_READY) {
            nx_message_release(message); /* late: the log could not be written to, see wait_until_ready() */
        } else {
            nx_assert(message->kind == NX_FABRIC_READ);
            receive_tail(node, nx_container_of(message, struct nx_read, message));
            nx_message_release(message);
        }
    }
}

static void signalled(void *data, int number) {
    struct nx_node *node = data;

    nx_loop_stop(node->loop);
    if (number == SIGHUP && node->options.reload != NULL) {
        node->reload_asked = true;
        return;
    }
    if (number == SIGUSR2 && node->nats != NULL && nx_nats_server_lame_duck(node->nats)) {
        node->leaves = true;
        return;
    }
    node->signalled = true;
    (void)signal(SIGINT, SIG_DFL); /* a second one ends us at once */
    (void)signal(SIGTERM, SIG_DFL);
}

static void tick(void *data) {
    struct nx_node *node = data;

    nx_timer_start(node->loop, &node->tick, node->options.tick_ms > 0 ? node->options.tick_ms : TICK_MS);
    if (node->options.invocation != NULL && !node->tailing) {
        tail(node);
    }
    /* Outside of the loop: it may ask(). */
    node->ticked = true;
    nx_loop_stop(node->loop);
}

/* Send a request and run the loop until it is back. On NX_OK the message is the caller's again; otherwise it
 * was released, or will be by whoever has it. */
static enum nx_status ask(struct nx_node *node, struct nx_mailbox *mailbox, struct nx_message *message,
                          struct nx_error *err) {
    message->reply_to = nx_loop_mailbox(node->loop);
    node->awaited = message;
    node->answered = false;
    if (!nx_mailbox_send(mailbox, message)) {
        node->awaited = NULL;
        nx_message_release(message);
        return nx_fail_kind(err, NX_KIND_OVERLOADED, "the node is overloaded");
    }
    while (!node->answered) {
        nx_loop_run(node->loop);
    }
    return NX_OK;
}

/* Putting the parts together. */

static enum nx_status start_thread(struct nx_node *node, const struct nx_actor *actor, struct nx_error *err) {
    nx_assert(node->thread_count < THREADS_MAX);
    NX_TRY(nx_thread_start(actor, 1, &node->clock, &node->threads[node->thread_count], err));
    node->thread_count++;
    return NX_OK;
}

static enum nx_status open_fabric(struct nx_node *node, struct nx_error *err) {
    const struct nx_config *config = node->options.config;
    struct nx_stream_config *streams = node->streams;
    struct nx_actor journal;

    for (size_t i = 0; i < NX_FUNCTIONS_STREAMS_COUNT; i++) {
        streams[i] = nx_functions_streams()[i];
        for (size_t j = 0; j < config->stream_count; j++) {
            const struct nx_config_stream *said = &config->streams[j];
            if (nx_str_equal(said->name, streams[i].name)) {
                streams[i].age_max_ns = said->has_age ? said->age_max_ns : streams[i].age_max_ns;
                streams[i].size_max = said->has_size ? said->size_max : streams[i].size_max;
                streams[i].sync = said->has_sync ? said->sync : streams[i].sync;
            }
        }
    }
    streams[NX_FUNCTIONS_STREAMS_COUNT] =
        (struct nx_stream_config){ .name = NX_STR(NX_JS_CATALOGUE_STREAM), .per_subject_max = 1 };
    const struct nx_fabric_options options = {
        .disk = nx_disk_system(),
        .clock = node->clock,
        .random = node->random,
        .log = node->options.log,
        .directory = config->data.ptr,
        .streams = streams,
        .stream_count = NX_FUNCTIONS_STREAMS_COUNT + (config->nats_options.jetstream ? 1 : 0),
        .disk_budget = config->disk_budget,
        .retention_waits_for = NX_FUNCTIONS_CONSUMER,
    };
    NX_TRY(nx_fabric_open(&options, &node->fabric, err));
    nx_fabric_actors(node->fabric, &journal, &node->library);
    NX_TRY(start_thread(node, &journal, err));
    return nx_thread_start(&node->library, 1, &node->clock, &node->library_thread, err);
}

/* One a core, unless told otherwise. */
static size_t worker_count(const struct nx_node *node) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = node->options.worker_count;

    if (count == 0) {
        count = cores < 1 ? 1 : (size_t)cores;
    }
    return count > NX_FUNCTIONS_WORKERS_MAX ? NX_FUNCTIONS_WORKERS_MAX : count;
}

static enum nx_status open_engine(struct nx_node *node, struct nx_error *err) {
    char cache[PATH_SIZE_MAX];

    (void)snprintf(cache, sizeof cache, "%s/modules", node->options.config->data.ptr);
    const struct nx_engine_options options = {
        .disk = nx_disk_system(),
        .cache_directory = cache,
        .random = &node->random,
        .calls_max = nx_functions_calls_max(worker_count(node)),
    };
    NX_TRY(nx_sandbox_open(&options, &node->engine, err));
    node->guests = nx_guest_wasm(node->engine);
    return NX_OK;
}

/* Into the object store, where the loader and every replay find it, now and when the file has changed. */
static enum nx_status store_module(struct nx_node *node, struct nx_str wasm, struct nx_error *err) {
    struct nx_object_put put;

    nx_object_put_init(&put, NX_OBJECTS_BUCKET, wasm, nx_random_u64(&node->random));
    for (;;) {
        struct nx_append *append = NULL;
        NX_TRY(nx_object_put_next(&put, &append, err));
        if (append == NULL) {
            return NX_OK;
        }
        NX_TRY(ask(node, nx_fabric_appends(node->fabric), &append->message, err));
        const enum nx_status status = nx_object_put_take(&put, append, err);
        nx_append_free(append);
        NX_TRY(status);
    }
}

/* What nexus.yaml takes from our environment must be there. */
static enum nx_status check_environment(const struct nx_function *function, struct nx_error *err) {
    for (size_t i = 0; i < function->env_count; i++) {
        const struct nx_env_entry *entry = &function->env[i];
        if (entry->is_missing) {
            (void)nx_fail(err, NX_FAILED_PRECONDITION, "function %.*s: %.*s is not set, which is its '%.*s'",
                          NX_STR_ARG(function->name), NX_STR_ARG(entry->from_env), NX_STR_ARG(entry->name));
            nx_hint(err, "set it in the environment of the server, or give it a default");
            return NX_FAILED_PRECONDITION;
        }
    }
    return NX_OK;
}

/* Read the function's module, see that it can run, and store it. */
static enum nx_status take_module(struct nx_node *node, const struct nx_function *function,
                                  struct nx_buf *wasm, struct nx_error *err) {
    nx_buf_init(wasm, NX_MODULE_SIZE_MAX);
    NX_TRY(check_environment(function, err));
    NX_TRY(nx_code_read(nx_disk_system(), function, wasm, err));
    enum nx_status status = nx_module_check(node->engine, nx_buf_str(wasm), function->memory_max, err);
    if (status == NX_OK) {
        status = store_module(node, nx_buf_str(wasm), err);
    }
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "function '%.*s'", NX_STR_ARG(function->name));
}

static enum nx_status load_functions(struct nx_node *node, const struct nx_config *config,
                                     struct nx_registry **registry_out, struct nx_error *err) {
    NX_AUTO_FREE struct nx_registry_entry *entries = calloc(config->function_count + 1, sizeof *entries);
    NX_AUTO_FREE struct nx_buf *codes = calloc(config->function_count + 1, sizeof *codes);
    enum nx_status status = NX_OK;

    if (entries == NULL || codes == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < config->function_count && status == NX_OK; i++) {
        status = take_module(node, &config->functions[i], &codes[i], err);
        entries[i] =
            (struct nx_registry_entry){ .function = &config->functions[i], .module = nx_buf_str(&codes[i]) };
    }
    if (status == NX_OK) {
        const struct nx_registry_options options = {
            .entries = entries,
            .count = config->function_count,
            .people = config->people,
            .people_count = config->people_count,
            .random = node->random,
        };
        status = nx_registry_new(&options, registry_out, err);
    }
    for (size_t i = 0; i < config->function_count; i++) {
        nx_buf_fini(&codes[i]);
    }
    return status;
}

/* getenv(): nothing here sets variables. */
static const char *get_variable(const char *name) {
    return getenv(name);
}

static void warn_of_otel(struct nx_node *node) {
    struct nx_str rest = nx_buf_str(&node->otel.warnings);
    struct nx_str line;

    while (nx_str_split(&rest, '\n', &line) && line.len > 0) {
        nx_log_warn(node->options.log, "OpenTelemetry", NX_F_STR("variable", line));
    }
}

/* As with the variables: what is wrong is told, and the server starts without. */
static bool load_otel_tls(struct nx_node *node, struct nx_tls_context **tls_out) {
    struct nx_error err = { 0 };

    if (nx_export_load_tls(&node->otel, nx_disk_system(), tls_out, &err) != NX_OK) {
        nx_log_warn(node->options.log, "spans are not exported", NX_F_C("error", err.message),
                    NX_F_C("hint", err.hint));
        return false;
    }
    return true;
}

/* Spans go to a collector where the environment names one. */
static enum nx_status open_exporter(struct nx_node *node, struct nx_error *err) {
    uint8_t random[NX_ULID_RANDOM_SIZE];
    char instance[NX_ULID_TEXT_SIZE + 1];
    struct nx_ulid_generator ulids = { 0 };
    NX_AUTO(nx_tls_context) *tls = NULL;

    nx_random_fill(&node->random, random, sizeof random);
    const struct nx_ulid ulid = nx_ulid_next(&ulids, nx_clock_read(&node->clock).wall_ns, random);
    (void)nx_ulid_format(&ulid, instance);
    NX_TRY(nx_otel_options_read(get_variable, NX_VERSION, instance, &node->otel, err));
    warn_of_otel(node);
    if (!node->otel.is_on || !load_otel_tls(node, &tls)) {
        return NX_OK;
    }
    const struct nx_exporter_options options = {
        .otel = &node->otel,
        .tls = tls,
        .clock = node->clock,
        .random = node->random,
        .version = NX_VERSION,
        .log = node->options.log,
        .metrics = node->metrics,
    };
    NX_TRY(nx_exporter_open(&options, &node->exporter, err));
    const struct nx_actor actor = nx_exporter_actor(node->exporter);
    return start_thread(node, &actor, err);
}

static struct nx_tracing *tracing_of(struct nx_node *node) {
    return node->exporter == NULL ? NULL : nx_exporter_tracing(node->exporter);
}

static void keep_message(struct nx_message *message) {
    (void)message; /* it is a part of the node */
}

/* Send the last spans, for as long as the exporter allows itself. */
static void stop_exporter(struct nx_node *node) {
    if (node->exporter == NULL || node->exporter_stop.release != NULL) {
        return;
    }
    node->exporter_stop = (struct nx_message){ .kind = NX_EXPORT_STOP, .release = keep_message };
    if (ask(node, nx_exporter_mailbox(node->exporter), &node->exporter_stop, NULL) != NX_OK) {
        return; /* its mailbox is full: the collector is away, and they are lost */
    }
}

/* What of the functions wants to be where the library is. Until now it ran alone: what the functions need
 * was read by it. */
static enum nx_status share_library_thread(struct nx_node *node, const struct nx_actor *actors,
                                           struct nx_error *err) {
    struct nx_actor together[1 + NX_FUNCTIONS_TOGETHER] = { node->library };

    for (size_t i = 0; i < NX_FUNCTIONS_TOGETHER; i++) {
        together[1 + i] = actors[i];
    }
    nx_thread_stop(NX_TAKE(node->library_thread));
    return nx_thread_start(together, 1 + NX_FUNCTIONS_TOGETHER, &node->clock, &node->library_thread, err);
}

static enum nx_status open_functions(struct nx_node *node, struct nx_error *err) {
    struct nx_actor actors[NX_FUNCTIONS_ACTORS_MAX];
    const struct nx_functions_options options = {
        .appends = nx_fabric_appends(node->fabric),
        .reads = nx_fabric_reads(node->fabric),
        .registry = node->registry,
        .guests = &node->guests,
        .clock = node->clock,
        .random = node->random,
        .log = node->options.log,
        .metrics = node->metrics,
        .tracing = tracing_of(node),
        .node_name = "node",
        .worker_count = worker_count(node),
        .is_watched = node->options.invocation != NULL,
    };
    NX_TRY(nx_functions_open(&options, &node->functions, err));
    const size_t count = nx_functions_actors(node->functions, actors);
    NX_TRY(share_library_thread(node, actors, err));
    for (size_t i = NX_FUNCTIONS_TOGETHER; i < count; i++) {
        NX_TRY(start_thread(node, &actors[i], err));
    }
    node->functions_run = true;
    return NX_OK;
}

/* From here on the console sees what is written: it goes on behind what is there now. */
static enum nx_status find_tail(struct nx_node *node, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;

    NX_TRY(nx_read_new(NX_READ_INFO, &read, err));
    read->stream = nx_arena_copy(&read->arena, NX_STR("INVOCATIONS"));
    struct nx_read *asked = NX_TAKE(read);
    NX_TRY(ask(node, nx_fabric_reads(node->fabric), &asked->message, err));
    read = asked;
    node->tail_next = 1;
    if (read->status == NX_OK && read->info_count > 0) {
        node->tail_next = read->infos[0].last_sequence + 1;
    }
    return NX_OK;
}

static void end_patience(void *data) {
    struct nx_node *node = data;

    nx_timer_start(node->loop, &node->patience, PATIENCE_MS);
    nx_loop_stop(node->loop);
}

/* It lasts until the next start. */
static void tell_keys(struct nx_node *node) {
    struct nx_error err = { 0 };

    if (node->keys_frozen || nx_fabric_keeps_keys(node->fabric, &err)) {
        return;
    }
    node->keys_frozen = true;
    nx_log_error(node->options.log, "keys of people can be neither made nor destroyed",
                 NX_F_C("error", err.message), NX_F_C("hint", err.hint));
}

/* Whether events are taken is told when it changes, and only then. */
static void tell_writable(struct nx_node *node) {
    struct nx_error err = { 0 };

    tell_keys(node);

    const bool refuses = !nx_fabric_is_writable(node->fabric, &err);
    if (refuses == node->refuses) {
        return;
    }
    node->refuses = refuses;
    if (refuses) {
        nx_log_error(node->options.log,
                     "nothing can be written: events are refused, what is there can be read",
                     NX_F_C("error", err.message), NX_F_C("hint", err.hint));
    } else {
        nx_log_info(node->options.log, "events are taken again");
    }
}

/* Every function's start is on disk, unless the log takes nothing (full, or frozen): then the node serves
 * what can be read, refuses events, and the functions start when there is room. */
static enum nx_status wait_until_ready(struct nx_node *node, struct nx_error *err) {
    struct nx_functions_ready *ready;

    NX_TRY(nx_functions_ready_new(&ready, err));
    ready->message.reply_to = nx_loop_mailbox(node->loop);
    node->awaited = &ready->message;
    node->answered = false;
    if (!nx_mailbox_send(nx_functions_mailbox(node->functions), &ready->message)) {
        node->awaited = NULL;
        nx_message_release(&ready->message);
        return nx_fail_kind(err, NX_KIND_OVERLOADED, "the node is overloaded");
    }
    nx_timer_start(node->loop, &node->patience, PATIENCE_MS);
    bool writable = true;
    while (!node->answered && !node->signalled && writable) {
        nx_loop_run(node->loop);
        writable = node->answered || nx_fabric_is_writable(node->fabric, NULL);
    }
    nx_timer_stop(node->loop, &node->patience);
    if (!node->answered) {
        node->awaited = NULL; /* it comes back later, or with the end of the functions */
        if (node->signalled) {
            return nx_fail(err, NX_CANCELLED, "stopped by a signal before it was ready");
        }
        tell_writable(node);
        return NX_OK;
    }
    const enum nx_status status = ready->status;
    if (status != NX_OK && err != NULL) {
        *err = ready->error;
    }
    nx_message_release(&ready->message);
    return status;
}

static enum nx_status open_http(struct nx_node *node, struct nx_error *err) {
    const struct nx_config *config = node->options.config;
    const struct nx_http_server_options options = {
        .fabric = node->fabric,
        .functions = nx_functions_mailbox(node->functions),
        .registry = node->registry,
        .metrics = node->metrics,
        .tracing = tracing_of(node),
        .clock = node->clock,
        .random = node->random,
        .log = node->options.log,
        .project = config->project,
        .host = config->http.host,
        .port = config->http.port,
    };
    const enum nx_status status = nx_http_server_open(&options, &node->http, err);
    if (status == NX_ALREADY_EXISTS) {
        nx_hint(err, "stop what listens there, or choose another port: --http 127.0.0.1:0 takes a free one");
    }
    return status;
}

static enum nx_status check_nats_secrets(const struct nx_config *config, struct nx_error *err) {
    if (config->nats_missing.len == 0) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_FAILED_PRECONDITION, "nats: %.*s is not set, which is a secret of its users",
                  NX_STR_ARG(config->nats_missing));
    nx_hint(err, "set it in the environment of the server");
    return NX_FAILED_PRECONDITION;
}

static struct nx_nats_options nats_options(const struct nx_config *config) {
    struct nx_nats_options nats = config->nats_options;
    nats.server_name = config->project;
    nats.host = config->nats.host;
    nats.port = config->nats.port;
    return nats;
}

static enum nx_status open_nats(struct nx_node *node, struct nx_error *err) {
    const struct nx_config *config = node->options.config;
    const struct nx_nats_options nats = nats_options(config);
    const struct nx_nats_server_options options = {
        .metrics = node->metrics,
        .random = node->random,
        .appends = nx_fabric_appends(node->fabric),
        .reads = nx_fabric_reads(node->fabric),
        .project = config->project,
        .registry = node->registry,
        .functions = node->functions == NULL ? NULL : nx_functions_mailbox(node->functions),
        .log = node->options.log,
        .nats = &nats,
    };
    if (config->nats.host.len == 0) {
        return NX_OK;
    }
    NX_TRY(check_nats_secrets(config, err));
    const enum nx_status status = nx_nats_server_open(&options, &node->nats, err);
    if (status == NX_ALREADY_EXISTS) {
        nx_hint(err, "stop what listens there, or choose another port: --nats 127.0.0.1:0 takes a free one");
    }
    return status;
}

/* The log's own figures at /metrics. */
static enum nx_status show_log_figures(struct nx_node *node, struct nx_error *err) {
    const struct nx_fabric_stats stats = nx_fabric_stats_get(node->fabric);
    struct nx_metric *batches = NULL;
    struct nx_metric *syncs = NULL;
    struct nx_metric *bytes = NULL;
    const struct nx_metric_options batch_options = { .name = "nexus_journal_batch_records",
                                                     .help = "Records written with one sync.",
                                                     .kind = NX_METRIC_HISTOGRAM,
                                                     .bucket_log2_first = NX_HISTOGRAM_SUB_BITS,
                                                     .bucket_log2_last = 14 };
    const struct nx_metric_options sync_options = { .name = "nexus_journal_sync_seconds",
                                                    .help = "Time of one sync of the journal.",
                                                    .kind = NX_METRIC_HISTOGRAM,
                                                    .scale = 1e-9,
                                                    .bucket_log2_first = 14,
                                                    .bucket_log2_last = 34 };
    const struct nx_metric_options byte_options = { .name = "nexus_journal_written_bytes_total",
                                                    .help = "Bytes handed to the disk for the journal.",
                                                    .kind = NX_METRIC_COUNTER };

    if (stats.batch_records == NULL) {
        return NX_OK; /* read-only: nothing is written */
    }
    NX_TRY(nx_metrics_add(node->metrics, &batch_options, &batches, err));
    NX_TRY(nx_metrics_add(node->metrics, &sync_options, &syncs, err));
    NX_TRY(nx_metrics_add(node->metrics, &byte_options, &bytes, err));
    nx_metric_borrow_histogram(batches, NULL, stats.batch_records);
    nx_metric_borrow_histogram(syncs, NULL, stats.sync_ns);
    nx_metric_borrow_counter(bytes, NULL, stats.bytes_written);
    return NX_OK;
}

static enum nx_status open_parts(struct nx_node *node, struct nx_error *err) {
    const struct nx_loop_options loop_options = { .mailbox_count_max = MAILBOX_COUNT_MAX,
                                                  .receive = receive,
                                                  .data = node };

    NX_TRY(nx_loop_open(&loop_options, &node->loop, err));
    NX_TRY(nx_loop_watch_signals(node->loop, signalled, node, err));
    NX_TRY(nx_loop_watch_signal(node->loop, SIGHUP, err));
    NX_TRY(nx_loop_watch_signal(node->loop, SIGUSR2, err));
    NX_TRY(nx_metrics_new(&node->metrics, err));
    NX_TRY(open_exporter(node, err));
    NX_TRY(open_fabric(node, err));
    NX_TRY(show_log_figures(node, err));
    NX_TRY(open_engine(node, err));
    NX_TRY(load_functions(node, node->options.config, &node->registry, err));
    NX_TRY(find_tail(node, err));
    NX_TRY(open_functions(node, err));
    NX_TRY(wait_until_ready(node, err));
    NX_TRY(open_http(node, err));
    NX_TRY(open_nats(node, err));
    return node->signalled ? nx_fail(err, NX_CANCELLED, "stopped by a signal") : NX_OK;
}

enum nx_status nx_node_open(const struct nx_node_options *options, struct nx_node **node_out,
                            struct nx_error *err) {
    NX_AUTO(nx_node) *node = malloc(sizeof *node);

    if (node == NULL) {
        return nx_fail_memory(err);
    }
    *node = (struct nx_node){ .options = *options, .clock = nx_clock_system(), .random = nx_random_system() };
    node->tick.end = tick;
    node->tick.data = node;
    node->patience.end = end_patience;
    node->patience.data = node;
    NX_TRY(open_parts(node, err));
    *node_out = NX_TAKE(node);
    return NX_OK;
}

uint16_t nx_node_http_port(const struct nx_node *node) {
    return nx_http_server_port(node->http);
}

uint16_t nx_node_nats_port(const struct nx_node *node) {
    return node->nats == NULL ? 0 : nx_nats_server_port(node->nats);
}

struct nx_str nx_node_recovery_report(const struct nx_node *node) {
    return nx_fabric_recovery_report(node->fabric);
}

enum nx_status nx_node_describe(struct nx_node *node, struct nx_functions_describe **describe_out,
                                struct nx_error *err) {
    struct nx_functions_describe *describe;

    NX_TRY(nx_functions_describe_new(&describe, err));
    NX_TRY(ask(node, nx_functions_mailbox(node->functions), &describe->message, err));
    if (describe->status != NX_OK) {
        const enum nx_status status = describe->status;
        if (err != NULL) {
            *err = describe->error;
        }
        nx_message_release(&describe->message);
        return status;
    }
    *describe_out = describe;
    return NX_OK;
}

/* Who may connect, and do what; where it listens stays. The functions run already, so a failure is only told.
 */
static void reload_nats(struct nx_node *node, const struct nx_config *config) {
    struct nx_error err = { 0 };
    const struct nx_nats_options nats = nats_options(config);
    if (node->nats != NULL && nx_nats_server_reload(node->nats, &nats, &err) != NX_OK) {
        nx_log_warn(node->options.log, "the users of NATS stay as they were", NX_F_C("error", err.message));
    }
}

enum nx_status nx_node_reload(struct nx_node *node, struct nx_config *config, struct nx_error *err) {
    NX_AUTO(nx_registry) *registry = NULL;
    struct nx_functions_update *update;

    NX_TRY(check_nats_secrets(config, err));
    NX_TRY(load_functions(node, config, &registry, err));
    NX_TRY(nx_functions_update_new(nx_registry_ref(registry), &update, err));
    NX_TRY(ask(node, nx_functions_mailbox(node->functions), &update->message, err));
    const enum nx_status status = update->status;
    if (status != NX_OK && err != NULL) {
        *err = update->error;
    }
    nx_message_release(&update->message);
    NX_TRY(status);
    NX_TRY(nx_http_server_set_registry(node->http, registry, err));
    if (node->nats != NULL) {
        NX_TRY(nx_nats_server_set_registry(node->nats, registry, err));
    }
    nx_registry_unref(node->registry);
    node->registry = NX_TAKE(registry);
    reload_nats(node, config);
    return NX_OK;
}

void nx_node_run(struct nx_node *node) {
    tick(node);
    while (!node->signalled) {
        nx_loop_run(node->loop);
        tell_writable(node);
        if (node->ticked && !node->signalled && node->options.tick != NULL) {
            node->options.tick(node->options.data);
        }
        node->ticked = false;
        if (node->reload_asked && !node->signalled) {
            node->reload_asked = false;
            node->options.reload(node->options.data);
        }
        node->signalled = node->signalled || (node->leaves && nx_nats_server_is_left(node->nats));
    }
    nx_timer_stop(node->loop, &node->tick);
}

/* No new requests, then no new calls; what runs is written before the threads end. */
enum nx_status nx_node_stop(struct nx_node *node, struct nx_error *err) {
    struct nx_functions_stop *stop;

    nx_nats_server_stop(node->nats);
    nx_http_server_stop(node->http, http_grace_ns);
    if (!node->functions_run) {
        nx_nats_server_close(NX_TAKE(node->nats));
        return NX_OK;
    }
    node->functions_run = false;
    NX_TRY(nx_functions_stop_new(&stop, err));
    NX_TRY(ask(node, nx_functions_mailbox(node->functions), &stop->message, err));
    const enum nx_status status = stop->status;
    if (status != NX_OK && err != NULL) {
        *err = stop->error;
    }
    nx_message_release(&stop->message);
    nx_nats_server_close(NX_TAKE(node->nats)); /* all that its clients asked functions is answered */
    stop_exporter(node);
    return status;
}

void nx_node_close(struct nx_node *node) {
    if (node == NULL) {
        return;
    }
    if (nx_node_stop(node, NULL) != NX_OK) {
        /* Whoever wants to know has called it before. */
    }
    nx_thread_stop(node->library_thread);
    while (node->thread_count > 0) {
        nx_thread_stop(node->threads[--node->thread_count]);
    }
    nx_http_server_close(node->http);
    nx_functions_close(node->functions);
    if (node->fabric != NULL) {
        nx_fabric_seal(node->fabric);
    }
    nx_fabric_close(node->fabric);
    nx_registry_unref(node->registry);
    nx_engine_unref(node->engine);
    nx_exporter_close(node->exporter); /* after all that have a tracer */
    nx_otel_options_fini(&node->otel);
    nx_loop_close(node->loop);
    nx_metrics_free(node->metrics);
    free(node);
}
