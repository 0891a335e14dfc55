/* src/app/command_dev.c: nexus dev and nexus start: serve the project.
 *
 * Both are the same server on the same file; dev shows what functions say as they say it, and goes on with
 * new code when nexus.yaml or a .wasm file changes. The first line of output is the URL. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/config.h"
#include "app/console.h"
#include "app/lines.h"
#include "app/node.h"
#include "app/ports.h"
#include "app/terminal.h"
#include "codec/time_format.h"
#include "io/clock.h"
#include "io/service.h"
#include "platform/function/trigger.h"

/* How often files are looked at: so that the event after a write finds the new code a tenth of a second
 * later, and never for more than a hundredth of the time where there are many. */
enum { LOOK_EVERY_MS = 20, FILES_FOR_A_MS_MORE = 10 };
enum { OUTPUT_SIZE_MAX = 16 * 1024 * 1024, FACES = 2, WATCHED_MAX = 1 + NX_CONFIG_FUNCTIONS_MAX };

static const struct nx_flag flags[] = {
    { .name = "http", .value = "HOST:PORT", .help = "instead of listen.http; port 0: any free one" },
    { .name = "nats", .value = "HOST:PORT", .help = "instead of listen.nats; port 0: any free one" },
    { .name = "data", .value = "FOLDER", .help = "instead of data" },
    { .name = "config", .value = "FILE", .help = "instead of ./nexus.yaml" },
    { .name = "log-format", .value = "FORMAT", .help = "text (default) or json" },
    { .name = "workers",
      .value = "COUNT",
      .help = "threads that run functions; one for each core unless said" },
};

/* What is looked at to see that a file changed. */
struct watched {
    struct nx_str path;
    struct timespec modified;
    off_t size;
    ino_t inode;
};

struct watch {
    struct watched files[WATCHED_MAX];
    size_t count;
};

struct server {
    struct nx_args *args;
    const char *file;
    struct nx_console console;
    struct nx_log log;
    struct nx_lines_options lines;
    struct nx_config *config;
    struct nx_config *reloaded; /* the newest one that runs; NULL: `config` does */
    struct nx_node *node;
    struct watch watch;
    bool has_changed; /* a file has, and may not be whole yet */
    struct nx_config_address
        file_http; /* what the file said at the start, whatever --http, --nats and --data say */
    struct nx_config_address file_nats;
    struct nx_str file_data;
    bool is_dev;
};

/* The console. */

static void show_invocation(void *data, const struct nx_record *record) {
    struct server *server = data;
    NX_AUTO(nx_buf) out = { 0 };
    struct nx_error err = { 0 };

    nx_buf_init(&out, OUTPUT_SIZE_MAX);
    if (nx_lines_write_record(&out, &server->lines, record, &err) != NX_OK) {
        nx_log_warn(&server->log, "a record cannot be shown", NX_F_U64("invocation", record->sequence),
                    NX_F_C("error", err.message));
        return;
    }
    (void)fwrite(nx_buf_str(&out).ptr, 1, out.len, stdout);
    (void)fflush(stdout);
}

static void append_function(struct nx_buf *out, const struct nx_function_state *state) {
    const struct nx_function *function = state->function;

    nx_buf_append_format(out, "  function  %.*s: ", NX_STR_ARG(function->name));
    for (size_t i = 0; i < function->trigger_count; i++) {
        nx_buf_append_c(out, i == 0 ? "" : ", ");
        nx_trigger_describe(out, &function->triggers[i]);
    }
    if (state->floor <= state->start_sequence) {
        nx_buf_append_format(out, "; starts at EVENTS:%" PRIu64 "\n", state->start_sequence);
    } else {
        nx_buf_append_format(out, "; started at EVENTS:%" PRIu64 ", goes on at EVENTS:%" PRIu64 "\n",
                             state->start_sequence, state->floor);
    }
}

/* Where the server listens, in the order in which it is told. */
static void addresses_of(const struct server *server, struct nx_ports_address addresses_out[FACES]) {
    const struct nx_config *config = server->config;
    addresses_out[0] =
        (struct nx_ports_address){ NX_STR("http"), config->http.host, nx_node_http_port(server->node) };
    addresses_out[1] =
        (struct nx_ports_address){ NX_STR("nats"), config->nats.host, nx_node_nats_port(server->node) };
}

static enum nx_status print_start(struct server *server, int64_t started_ns, struct nx_error *err) {
    const struct nx_config *config = server->config;
    struct nx_functions_describe *describe;
    NX_AUTO(nx_buf) out = { 0 };

    NX_TRY(nx_node_describe(server->node, &describe, err));
    nx_buf_init(&out, OUTPUT_SIZE_MAX);
    struct nx_ports_address addresses[FACES];
    addresses_of(server, addresses);
    for (size_t i = 0; i < FACES; i++) {
        if (addresses[i].port != 0) {
            nx_ports_url(&out, &addresses[i]);
            nx_buf_append_c(&out, "\n");
        }
    }
    for (size_t i = 0; i < describe->state_count; i++) {
        append_function(&out, &describe->states[i]);
    }
    if (describe->state_count == 0) {
        nx_buf_append_c(&out, "  no functions: events are stored, nothing runs\n");
    }
    nx_message_release(&describe->message);
    nx_buf_append_format(&out, "  data      %.*s, at most ", NX_STR_ARG(config->data));
    nx_size_format(&out, config->disk_budget);
    const int64_t now_ns = nx_clock_read(&server->console.clock).monotonic_ns;
    nx_buf_append_format(&out, "\n  ready in %.0f ms, process %d; Ctrl-C ends it\n",
                         (double)(now_ns - started_ns) / NX_NS_PER_MS, (int)getpid());
    NX_TRY(nx_buf_check(&out, err));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    (void)fflush(stdout);
    nx_counter_set(&server->console.is_started, 1);

    struct nx_str rest = nx_node_recovery_report(server->node);
    struct nx_str line;
    while (nx_str_split(&rest, '\n', &line)) {
        if (line.len > 0) {
            nx_log_warn(&server->log, "recovery", NX_F_STR("found", line));
        }
    }
    return NX_OK;
}

/* New code while it runs (dev only). */

static bool look(struct watched *watched) {
    struct stat status;

    if (stat(watched->path.ptr, &status) != 0) {
        return false; /* gone, for now: a build is under way */
    }
    const bool changed = status.st_ino != watched->inode || status.st_size != watched->size ||
                         status.st_mtim.tv_sec != watched->modified.tv_sec ||
                         status.st_mtim.tv_nsec != watched->modified.tv_nsec;
    watched->inode = status.st_ino;
    watched->size = status.st_size;
    watched->modified = status.st_mtim;
    return changed;
}

static void add_watched(struct watch *next, const struct watch *known, struct nx_str path) {
    struct watched *watched = &next->files[next->count++];

    *watched = (struct watched){ .path = path };
    for (size_t i = 0; known != NULL && i < known->count; i++) {
        if (nx_str_equal(known->files[i].path, path)) {
            *watched = known->files[i];
            watched->path = path;
            return;
        }
    }
    (void)look(watched);
}

/* Before the files are read: what is written meanwhile then shows as a change. What was looked at already
 * (`known`, may be NULL) stays as it was then. */
static void watch(struct watch *next, const struct watch *known, const struct nx_config *config) {
    next->count = 0;
    add_watched(next, known, config->file);
    for (size_t i = 0; i < config->function_count; i++) {
        add_watched(next, known, config->functions[i].code_path);
    }
}

static bool is_same_address(const struct nx_config_address *a, const struct nx_config_address *b) {
    return a->port == b->port && nx_str_equal(a->host, b->host);
}

/* Certificates and whether clients need one can change. */
static bool is_same_tls(const struct nx_nats_tls_options *a, const struct nx_nats_tls_options *b) {
    return (a->cert_file == NULL) == (b->cert_file == NULL) && a->handshake_first == b->handshake_first &&
           a->handshake_first_fallback_ns == b->handshake_first_fallback_ns &&
           a->allow_non_tls == b->allow_non_tls && a->timeout_ns == b->timeout_ns;
}

/* What a running server cannot change is as the file said at the start. */
static bool is_served_alike(const struct server *server, const struct nx_config *next) {
    const struct nx_config *now = server->config;
    bool alike = now->disk_budget == next->disk_budget && now->stream_count == next->stream_count &&
                 is_same_address(&server->file_http, &next->http) &&
                 is_same_address(&server->file_nats, &next->nats) &&
                 is_same_tls(&now->nats_options.tls, &next->nats_options.tls) &&
                 now->nats_options.auth_timeout_ns == next->nats_options.auth_timeout_ns &&
                 nx_str_equal(server->file_data, next->data);

    for (size_t i = 0; alike && i < now->stream_count; i++) {
        const struct nx_config_stream *a = &now->streams[i];
        const struct nx_config_stream *b = &next->streams[i];
        alike = nx_str_equal(a->name, b->name) && a->age_max_ns == b->age_max_ns &&
                a->size_max == b->size_max && a->sync == b->sync;
    }
    return alike;
}

static void reload(void *data) {
    struct server *server = data;
    NX_AUTO(nx_config) *config = NULL;
    struct watch next;
    struct nx_error err = { 0 };

    enum nx_status status = nx_config_load_and_explain(server->file, &config, &err);
    if (status == NX_OK) {
        watch(&next, &server->watch, config);
        status = nx_node_reload(server->node, config, &err);
    }
    if (status != NX_OK) {
        nx_log_warn(&server->log, "the change is not taken; what ran before goes on",
                    NX_F_C("error", err.message));
        return;
    }
    if (!is_served_alike(server, config)) {
        nx_log_warn(
            &server->log,
            "listen, data, how NATS speaks TLS, disk_budget and streams are taken at the next start only");
    }
    server->watch = next;
    nx_config_free(server->reloaded);
    server->reloaded = NX_TAKE(config);
    nx_log_info(&server->log, "changed files are taken",
                NX_F_U64("functions", server->reloaded->function_count));
}

static void look_for_changes(void *data) {
    struct server *server = data;
    bool changed = false;

    for (size_t i = 0; i < server->watch.count; i++) {
        changed = look(&server->watch.files[i]) || changed;
    }
    /* A compiler writes in pieces: a file is whole when it has not changed since the last look. */
    if (!changed && server->has_changed) {
        reload(server);
    }
    server->has_changed = changed;
}

static int64_t look_every_ms(const struct nx_config *config) {
    return LOOK_EVERY_MS + (int64_t)config->function_count / FILES_FOR_A_MS_MORE;
}

/* Start to end. */

static enum nx_status read_address(struct server *server, const char *flag, struct nx_config_address *address,
                                   struct nx_error *err) {
    const char *text = nx_args_value(server->args, flag);

    if (text != NULL && nx_config_set_listen(server->config, address, nx_str_from_c(text), err) != NX_OK) {
        server->args->exit_status = NX_EXIT_WRONG_USE;
        return nx_wrap(err, NX_INVALID_ARGUMENT, "--%s", flag);
    }
    return NX_OK;
}

static enum nx_status read_flags(struct server *server, size_t *workers_out, struct nx_error *err) {
    struct nx_args *args = server->args;
    const char *data = nx_args_value(args, "data");
    const char *workers = nx_args_value(args, "workers");
    uint64_t count = 0;

    NX_TRY(read_address(server, "http", &server->config->http, err));
    NX_TRY(read_address(server, "nats", &server->config->nats, err));
    if (data != NULL) {
        server->config->data = nx_str_from_c(data);
    }
    if (workers != NULL &&
        (!nx_str_to_u64(nx_str_from_c(workers), &count) || count == 0 || count > NX_FUNCTIONS_WORKERS_MAX)) {
        return nx_args_fail(args, err, "--workers is a number from 1 to %d, not '%s'",
                            NX_FUNCTIONS_WORKERS_MAX, workers);
    }
    *workers_out = (size_t)count;
    return NX_OK;
}

static enum nx_status serve(struct server *server, size_t workers, struct nx_error *err) {
    const int64_t started_ns = nx_clock_read(&server->console.clock).monotonic_ns;
    const struct nx_node_options options = {
        .config = server->config,
        .log = &server->log,
        .worker_count = workers,
        .invocation = server->is_dev ? show_invocation : NULL,
        .tick = server->is_dev ? look_for_changes : NULL,
        .tick_ms = server->is_dev ? look_every_ms(server->config) : 0,
        .reload = server->is_dev ? NULL : reload,
        .data = server,
    };
    const char *data = server->config->data.ptr;

    watch(&server->watch, NULL, server->config);
    enum nx_status status = nx_node_open(&options, &server->node, err);
    if (status != NX_OK) {
        return status;
    }
    struct nx_ports_address addresses[FACES];
    addresses_of(server, addresses);
    status = nx_ports_write(nx_disk_system(), data, addresses, FACES, err);
    if (status == NX_OK) {
        status = print_start(server, started_ns, err);
    }
    if (status == NX_OK) {
        nx_service_notify("READY=1");
        nx_node_run(server->node);
        nx_service_notify("STOPPING=1");
        nx_log_info(&server->log,
                    "stopping: what is under way is finished first; a second signal ends it now");
        status = nx_node_stop(server->node, err);
    }
    nx_ports_remove(nx_disk_system(), data);
    nx_node_close(server->node);
    nx_config_free(server->reloaded);
    return status;
}

static enum nx_status run_server(struct nx_args *args, bool is_dev, struct nx_error *err) {
    NX_AUTO_FREE struct server *server = calloc(1, sizeof *server);
    NX_AUTO(nx_config) *config = NULL;
    const char *format = nx_args_value(args, "log-format");
    const char *file = nx_args_value(args, "config");
    size_t workers = 0;

    if (server == NULL) {
        return nx_fail_memory(err);
    }
    server->args = args;
    server->is_dev = is_dev;
    server->file = file == NULL ? "nexus.yaml" : file;
    server->console.clock = nx_clock_system();
    if (format != NULL && !nx_log_format_parse(nx_str_from_c(format), &server->console.format)) {
        return nx_args_fail(args, err, "--log-format is text or json, not '%s'", format);
    }
    server->lines.format = server->console.format;
    server->log = nx_console_log(&server->console, "nexus", NX_LOG_INFO);
    NX_TRY(nx_config_load_and_explain(server->file, &config, err));
    server->config = config;
    server->file_http = config->http;
    server->file_nats = config->nats;
    server->file_data = config->data;
    NX_TRY(read_flags(server, &workers, err));
    return serve(server, workers, err);
}

static enum nx_status run_dev(struct nx_args *args, struct nx_error *err) {
    return run_server(args, true, err);
}

static enum nx_status run_start(struct nx_args *args, struct nx_error *err) {
    return run_server(args, false, err);
}

const struct nx_command nx_command_dev = {
    .name = "dev",
    .summary = "serve the project, show what functions say, take changed code",
    .text =
        "Prints the URL, the functions with where each starts, and where data lives. What is posted is on\n"
        "disk before it is answered. The first SIGINT or SIGTERM ends it in order, a second one at once.",
    .example = "nexus dev --http 127.0.0.1:0 --data /tmp/nexus",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run_dev,
};

const struct nx_command nx_command_start = {
    .name = "start",
    .summary = "serve the project as it is",
    .text =
        "As nexus dev, without watching files and without showing what functions say (nexus logs does).\n"
        "SIGHUP takes the changed file. SIGUSR2 sends NATS clients elsewhere and ends when they are gone.",
    .example = "nexus start --config /etc/nexus/nexus.yaml --log-format json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run_start,
};
