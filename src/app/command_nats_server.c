/* src/app/command_nats_server.c: nexus nats-server, also when the program is called nats-server: a server for
 * NATS clients alone, started as people's scripts and clients' tests start one.
 *
 * Flags, configuration file, log lines, ports file, PID file and signals are those of nats-server. The main
 * thread waits for signals; the server has its own. */
#include "app/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/go_flags.h"
#include "app/nats_log.h"
#include "app/nats_settings.h"
#include "codec/json.h"
#include "io/loop.h"
#include "server/nats/access.h"
#include "server/nats/server.h"

enum {
    MAILBOX_COUNT_MAX = 4,
    PATH_SIZE_MAX = 4096,
    FILE_SIZE_MAX = 4096,
    ADDRESS_SIZE_MAX = 320,
    LEFT_TICK_MS = 100
};

static const struct nx_flag flags[] = {
    { .name = "addr", .letter = 'a', .value = "HOST", .help = "listen here; 127.0.0.1 unless said" },
    { .name = "port",
      .letter = 'p',
      .value = "PORT",
      .help = "for clients; 4222 unless said, -1: any free one" },
    { .name = "name", .letter = 'n', .value = "NAME", .help = "of the server" },
    { .name = "config", .letter = 'c', .value = "FILE", .help = "a NATS configuration file" },
    { .name = "t", .help = "see whether the configuration file has mistakes, and end" },
    { .name = "http_port", .letter = 'm', .value = "PORT", .help = "for monitoring; -1: any free one" },
    { .name = "jetstream", .help = "not served yet: its API answers as where it is off (-js)" },
    { .name = "store_dir", .value = "FOLDER", .help = "for JetStream's streams (-sd)" },
    { .name = "pid", .letter = 'P', .value = "FILE", .help = "write the process id there" },
    { .name = "ports_file_dir", .value = "FOLDER", .help = "write nats-server_<pid>.ports there" },
    { .name = "log", .letter = 'l', .value = "FILE", .help = "log lines go there, not to standard error" },
    { .name = "debug", .letter = 'D', .help = "as nats-server takes it; nothing more is logged" },
    { .name = "trace", .letter = 'V', .help = "as nats-server takes it; the protocol is not logged" },
    { .name = "user", .value = "USER", .help = "whom clients must be" },
    { .name = "pass", .value = "PASSWORD", .help = "of the user" },
    { .name = "auth", .value = "TOKEN", .help = "that clients must have" },
    { .name = "tls", .help = "TLS, with --tlscert and --tlskey" },
    { .name = "tlscert", .value = "FILE", .help = "the server's certificate" },
    { .name = "tlskey", .value = "FILE", .help = "its key" },
    { .name = "tlsverify", .help = "clients must have a certificate" },
    { .name = "tlscacert", .value = "FILE", .help = "who signs clients' certificates" },
    { .name = "signal",
      .value = "NAME=PID",
      .help = "tell another server: reload, reopen, ldm, quit, term, stop (-sl)" },
    { .name = "version", .letter = 'v', .help = "say which version this is" },
};

static const char no_cluster[] = "this is one server; for more than one, run nats-server";
static const char no_log_service[] = "log lines go to standard error or to --log";

static const struct nx_go_flag others[] = {
    { .name = "net", .means = { "addr" } },
    { .name = "server_name", .means = { "name" } },
    { .name = "js", .means = { "jetstream" } },
    { .name = "sd", .means = { "store_dir" } },
    { .name = "sl", .means = { "signal" } },
    { .name = "DV", .means = { "debug", "trace" } },
    { .name = "DVV", .means = { "debug", "trace" } },
    { .name = "VV", .means = { "trace" } },
    { .name = "ms", .instead = "monitoring is plain HTTP: use --http_port" },
    { .name = "https_port", .instead = "monitoring is plain HTTP: use --http_port" },
    { .name = "client_advertise", .instead = no_cluster },
    { .name = "routes", .instead = no_cluster },
    { .name = "cluster", .instead = no_cluster },
    { .name = "cluster_name", .instead = no_cluster },
    { .name = "cluster_listen", .instead = no_cluster },
    { .name = "cluster_advertise", .instead = no_cluster },
    { .name = "no_advertise", .instead = no_cluster },
    { .name = "connect_retries", .instead = no_cluster },
    { .name = "s", .instead = no_log_service },
    { .name = "syslog", .instead = no_log_service },
    { .name = "r", .instead = no_log_service },
    { .name = "remote_syslog", .instead = no_log_service },
    { .name = "T", .instead = "say logtime in the configuration file" },
    { .name = "logtime", .instead = "say logtime in the configuration file" },
    { .name = "log_size_limit", .instead = "use logrotate" },
    { .name = "logtime_utc", .instead = "times are UTC: leave it out" },
    { .name = "max_traced_msg_len", .instead = "the protocol is not logged: leave it out" },
    { .name = "profile", .instead = "leave it out" },
    { .name = "help_tls", .instead = "see --tls, --tlscert, --tlskey, --tlsverify, --tlscacert in --help" },
};

struct program {
    struct nx_args *args;
    struct nx_disk *disk;
    struct nx_nats_settings settings;
    struct nx_nats_log log;
    struct nx_loop *loop;
    struct nx_nats_server *server;
    struct nx_timer left; /* when a lame duck is looked at */
    bool stopping;
};

static const char *value(const struct program *program, const char *name) {
    return nx_args_value(program->args, name);
}

/* Other servers */

struct signal_name {
    const char *name;
    int number;
};

/* nats-server's own. */
static const struct signal_name signal_names[] = { { "reload", SIGHUP }, { "reopen", SIGUSR1 },
                                                   { "ldm", SIGUSR2 },   { "quit", SIGINT },
                                                   { "term", SIGTERM },  { "stop", SIGKILL } };

/* A process id, or the file in which one stands. */
static enum nx_status read_pid(const struct program *program, const char *text, uint64_t *pid_out,
                               struct nx_error *err) {
    NX_AUTO(nx_buf) content = { 0 };
    nx_buf_init(&content, FILE_SIZE_MAX);
    if (nx_str_to_u64(nx_str_from_c(text), pid_out) && *pid_out > 0) {
        return NX_OK;
    }
    NX_TRY(nx_disk_read_file(program->disk, text, &content, err));
    struct nx_str line = nx_buf_str(&content);
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == ' ')) {
        line.len--;
    }
    if (!nx_str_to_u64(line, pid_out) || *pid_out == 0 || *pid_out > INT32_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "%s: there is no process id in it", text);
    }
    return NX_OK;
}

static enum nx_status send_signal(const struct program *program, const char *text, struct nx_error *err) {
    struct nx_str rest = nx_str_from_c(text);
    struct nx_str name = NX_STR_EMPTY;
    uint64_t pid = 0;
    (void)nx_str_split(&rest, '=', &name);
    for (size_t i = 0; i < sizeof signal_names / sizeof signal_names[0]; i++) {
        if (!nx_str_is(name, signal_names[i].name)) {
            continue;
        }
        if (name.len + 1 >= strlen(text)) {
            return nx_args_fail(program->args, err, "--signal %s: expected =PID or =FILE behind it", text);
        }
        NX_TRY(read_pid(program, text + name.len + 1, &pid, err));
        if (kill((pid_t)pid, signal_names[i].number) != 0) {
            return nx_fail(err, errno == ESRCH ? NX_NOT_FOUND : NX_PERMISSION_DENIED,
                           "process %d cannot be signalled: %s", (int)pid, strerror(errno));
        }
        return NX_OK;
    }
    return nx_args_fail(program->args, err, "--signal is reload, reopen, ldm, quit, term or stop, not '%.*s'",
                        NX_STR_ARG(name));
}

/* Settings */

static enum nx_status read_file(void *data, const char *path, struct nx_buf *content, struct nx_error *err) {
    return nx_disk_read_file(data, path, content, err);
}

static const char *get_variable(void *data, const char *name) {
    (void)data;
    return getenv(name);
}

static enum nx_status read_port(const struct program *program, const char *name, int64_t *port,
                                struct nx_error *err) {
    const char *text = value(program, name);
    struct nx_str host = NX_STR_EMPTY;
    int64_t found = 0;
    if (text == NULL) {
        return NX_OK;
    }
    if (!nx_nats_settings_split(nx_str_from_c(text), &host, &found) || host.len > 0) {
        return nx_args_fail(program->args, err, "--%s is a port, or -1 for any free one, not '%s'", name,
                            text);
    }
    *port = found != 0 ? found : *port; /* 0 is not said, as nats-server has it */
    return NX_OK;
}

static void take_path(const struct program *program, const char *name, const char **path) {
    *path = nx_args_has(program->args, name) ? value(program, name) : *path;
}

static void take_str(const struct program *program, const char *name, struct nx_str *text) {
    *text = nx_args_has(program->args, name) ? nx_str_from_c(value(program, name)) : *text;
}

static enum nx_status take_tls_flags(const struct program *program, struct nx_nats_tls_options *tls,
                                     struct nx_error *err) {
    static const char *const names[] = { "tls", "tlscert", "tlskey", "tlsverify", "tlscacert" };
    bool given = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        given = given || nx_args_has(program->args, names[i]);
    }
    take_path(program, "tlscert", &tls->cert_file);
    take_path(program, "tlskey", &tls->key_file);
    take_path(program, "tlscacert", &tls->ca_file);
    tls->verify = tls->verify || nx_args_has(program->args, "tlsverify");
    if (given && (tls->cert_file == NULL || tls->key_file == NULL)) {
        return nx_args_fail(program->args, err, "TLS needs --tlscert and --tlskey");
    }
    return NX_OK;
}

/* What the command line says counts more than the file. */
static enum nx_status take_flags(const struct program *program, struct nx_nats_settings *settings,
                                 struct nx_error *err) {
    struct nx_nats_options *server = &settings->server;
    NX_TRY(read_port(program, "port", &settings->port, err));
    NX_TRY(read_port(program, "http_port", &settings->http_port, err));
    take_str(program, "addr", &server->host);
    take_str(program, "name", &server->server_name);
    take_str(program, "user", &server->user_name);
    take_str(program, "pass", &server->user_password);
    take_str(program, "auth", &server->token);
    take_path(program, "store_dir", &settings->store_dir);
    take_path(program, "pid", &settings->pid_file);
    take_path(program, "ports_file_dir", &settings->ports_file_dir);
    take_path(program, "log", &settings->log_file);
    settings->jetstream = settings->jetstream || nx_args_has(program->args, "jetstream");
    settings->debug = settings->debug || nx_args_has(program->args, "debug");
    settings->trace = settings->trace || nx_args_has(program->args, "trace");
    if (server->user_count > 0 && (server->user_name.len > 0 || server->token.len > 0)) {
        return nx_args_fail(program->args, err, "--user and --auth: the configuration file has users");
    }
    return take_tls_flags(program, &server->tls, err);
}

/* The file, then the flags, into settings that hold nothing yet. */
static enum nx_status read_settings(const struct program *program, struct nx_nats_settings *settings,
                                    struct nx_error *err) {
    const struct nx_nats_config_source source = { read_file, get_variable, program->disk };
    struct nx_nats_options *server = &settings->server;
    const char *path = value(program, "config");
    struct nx_nats_config *config = NULL;
    nx_nats_settings_init(settings);
    if (path != NULL) {
        NX_TRY(nx_nats_config_read(path, &source, &config, err));
        NX_TRY(nx_nats_settings_take(settings, config, err));
    }
    NX_TRY(take_flags(program, settings, err));
    server->port = settings->port == -1 ? 0 : (uint16_t)settings->port;
    if (settings->http_port != 0) { /* where it is not said, on loopback: it asks for no credentials */
        server->http_host = settings->http_host.len > 0 ? settings->http_host : NX_STR("127.0.0.1");
        server->http_port = settings->http_port == -1 ? 0 : (uint16_t)settings->http_port;
    }
    if (server->server_name.len == 0) {
        server->server_name = NX_STR("nexus");
    }
    return NX_OK;
}

/* Files that tell where it is */

/* "nats":["nats://127.0.0.1:4222"], as a client dials it: an address of all interfaces is reached by
 * loopback. */
static void write_url(struct nx_json_writer *json, const char *member, const char *scheme, struct nx_str host,
                      uint16_t port) {
    char url[ADDRESS_SIZE_MAX];
    const bool is_v6 = nx_str_find_byte(host, ':') != SIZE_MAX;
    host = nx_str_is(host, "0.0.0.0") ? NX_STR("127.0.0.1") : nx_str_is(host, "::") ? NX_STR("::1") : host;
    (void)snprintf(url, sizeof url, "%s://%s%.*s%s:%u", scheme, is_v6 ? "[" : "", NX_STR_ARG(host),
                   is_v6 ? "]" : "", (unsigned)port);
    nx_json_key(json, nx_str_from_c(member));
    nx_json_array_begin(json);
    nx_json_string(json, nx_str_from_c(url));
    nx_json_array_end(json);
}

/* For whoever looks for the server, whatever user that is. */
static enum nx_status write_for_all(const struct program *program, const char *path, struct nx_str text,
                                    struct nx_error *err) {
    NX_TRY(nx_disk_write_file(program->disk, path, text, err));
    (void)chmod(path, 0644); /* at worst it stays ours alone */
    return NX_OK;
}

static bool ports_path(const struct program *program, char path_out[PATH_SIZE_MAX]) {
    const char *folder = program->settings.ports_file_dir;
    return folder != NULL && snprintf(path_out, PATH_SIZE_MAX, "%s/nats-server_%d.ports", folder,
                                      (int)getpid()) < PATH_SIZE_MAX;
}

/* {"nats":["nats://127.0.0.1:4222"],"monitoring":["http://127.0.0.1:8222"]} */
static enum nx_status write_ports(const struct program *program, struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_json_writer json;
    const struct nx_nats_options *server = &program->settings.server;
    if (!ports_path(program, path)) {
        return NX_OK;
    }
    nx_buf_init(&text, FILE_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_object_begin(&json);
    write_url(&json, "nats", server->tls.cert_file != NULL ? "tls" : "nats", server->host,
              nx_nats_server_port(program->server));
    if (server->http_host.len > 0) {
        write_url(&json, "monitoring", "http", server->http_host, nx_nats_server_http_port(program->server));
    }
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    NX_TRY(nx_buf_check(&text, err));
    return write_for_all(program, path, nx_buf_str(&text), err);
}

static enum nx_status write_pid(const struct program *program, struct nx_error *err) {
    char text[16];
    if (program->settings.pid_file == NULL) {
        return NX_OK;
    }
    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    return write_for_all(program, program->settings.pid_file, nx_str_from_c(text), err);
}

/* Start to end */

static void stop(struct program *program) {
    program->stopping = true;
    nx_loop_stop(program->loop);
}

/* What a running server cannot change is as it was. */
static bool is_served_alike(const struct nx_nats_settings *a, const struct nx_nats_settings *b) {
    return a->port == b->port && a->http_port == b->http_port && a->jetstream == b->jetstream &&
           nx_str_equal(a->server.host, b->server.host) &&
           nx_str_equal(a->server.server_name, b->server.server_name) &&
           a->server.connections_max == b->server.connections_max &&
           a->server.payload_size_max == b->server.payload_size_max &&
           a->server.control_line_size_max == b->server.control_line_size_max &&
           a->server.pending_size_max == b->server.pending_size_max &&
           a->server.subscriptions_max == b->server.subscriptions_max &&
           a->server.write_deadline_ns == b->server.write_deadline_ns &&
           a->server.ping_interval_ns == b->server.ping_interval_ns &&
           a->server.pings_max == b->server.pings_max && a->server.lame_duck_ns == b->server.lame_duck_ns;
}

/* The file again: users, accounts, permissions and certificates are taken, all else at the next start. */
static void reload(struct program *program) {
    struct nx_error err = { 0 };
    NX_AUTO(nx_nats_settings) next = { 0 };
    enum nx_status status = read_settings(program, &next, &err);
    if (status == NX_OK) {
        status = nx_nats_server_reload(program->server, &next.server, &err);
    }
    if (status != NX_OK) {
        nx_nats_log_write(&program->log, "ERR", "Failed to reload server configuration: %s", err.message);
        return;
    }
    if (!is_served_alike(&program->settings, &next)) {
        nx_nats_log_write(&program->log, "WRN",
                          "While it runs only users, accounts, permissions and certificates are taken; the "
                          "rest at the next "
                          "start");
    }
    nx_nats_log_write(&program->log, "INF", "Reloaded server configuration");
}

/* The log file was moved away: from now on into a new one of the old name. */
static void reopen_log(struct program *program) {
    const struct nx_nats_settings *settings = &program->settings;
    struct nx_nats_log next;
    struct nx_error err = { 0 };
    if (settings->log_file == NULL) {
        return;
    }
    if (nx_nats_log_open(&next, program->disk, settings->log_file, settings->logtime, &err) != NX_OK) {
        nx_nats_log_write(&program->log, "ERR", "The log file stays as it is: %s", err.message);
        return;
    }
    nx_nats_log_close(&program->log);
    program->log = next;
    nx_nats_log_write(&program->log, "INF", "File log re-opened");
}

static void look_whether_left(void *data) {
    struct program *program = data;
    if (nx_nats_server_is_left(program->server)) {
        stop(program);
    } else {
        nx_timer_start(program->loop, &program->left, LEFT_TICK_MS);
    }
}

static void enter_lame_duck(struct program *program) {
    nx_nats_log_write(&program->log, "INF", "Entering lame duck mode, stop accepting new clients");
    if (!nx_nats_server_lame_duck(program->server)) {
        nx_nats_log_write(&program->log, "ERR", "Lame duck mode: no memory; stopping now");
        stop(program);
        return;
    }
    look_whether_left(program);
}

static void signalled(void *data, int number) {
    struct program *program = data;
    if (number == SIGHUP) {
        reload(program);
        return;
    }
    if (number == SIGUSR1) {
        reopen_log(program);
        return;
    }
    if (number == SIGUSR2) {
        enter_lame_duck(program);
        return;
    }
    nx_nats_log_write(&program->log, "INF", "Trapped \"%s\" signal",
                      number == SIGINT ? "interrupt" : "terminated");
    (void)signal(SIGINT, SIG_DFL); /* a second one ends us at once */
    (void)signal(SIGTERM, SIG_DFL);
    stop(program);
}

static void say_start(struct program *program) {
    const struct nx_nats_settings *settings = &program->settings;
    struct nx_nats_log *log = &program->log;
    nx_nats_log_write(log, "INF", "Starting nats-server");
    nx_nats_log_write(log, "INF", "  Version:  %s", NX_NATS_VERSION);
    nx_nats_log_write(log, "INF", "  Git:      [nexus %s]", NX_VERSION);
    nx_nats_log_write(log, "INF", "  Name:     %.*s", NX_STR_ARG(settings->server.server_name));
    if (value(program, "config") != NULL) {
        nx_nats_log_write(log, "INF", "Using configuration file: %s", value(program, "config"));
    }
    if (settings->jetstream) {
        nx_nats_log_write(log, "WRN",
                          "JetStream is not served yet: its API answers as where it is off, "
                          "nothing is stored");
    }
    if (settings->trace || settings->debug) {
        nx_nats_log_write(log, "WRN", "Debug and trace log nothing more: the protocol is not logged");
    }
}

static enum nx_status open_server(struct program *program, struct nx_error *err) {
    const struct nx_nats_settings *settings = &program->settings;
    const struct nx_nats_server_options options = {
        .random = nx_random_system(),
        .nats = &settings->server,
    };
    const enum nx_status status = nx_nats_server_open(&options, &program->server, err);
    if (status == NX_ALREADY_EXISTS) {
        nx_hint(err, "stop what listens there, or choose another port: -p -1 takes a free one");
    }
    return status;
}

static enum nx_status serve(struct program *program, struct nx_error *err) {
    const struct nx_nats_settings *settings = &program->settings;
    const struct nx_str host = settings->server.host;
    const bool is_v6 = nx_str_find_byte(host, ':') != SIZE_MAX;
    char path[PATH_SIZE_MAX];
    say_start(program);
    NX_TRY(open_server(program, err));
    NX_TRY(write_pid(program, err));
    NX_TRY(write_ports(program, err));
    if (settings->server.http_host.len > 0) {
        nx_nats_log_write(&program->log, "INF", "Starting http monitor on %.*s:%u",
                          NX_STR_ARG(settings->server.http_host),
                          (unsigned)nx_nats_server_http_port(program->server));
    }
    nx_nats_log_write(&program->log, "INF", "Listening for client connections on %s%.*s%s:%u",
                      is_v6 ? "[" : "", NX_STR_ARG(host), is_v6 ? "]" : "",
                      (unsigned)nx_nats_server_port(program->server));
    if (settings->server.tls.cert_file != NULL) {
        nx_nats_log_write(&program->log, "INF", "TLS %s for client connections",
                          settings->server.tls.allow_non_tls ? "available" : "required");
    }
    nx_nats_log_write(&program->log, "INF", "Server is ready");
    while (!program->stopping) {
        nx_loop_run(program->loop);
    }
    nx_timer_stop(program->loop, &program->left);
    nx_nats_log_write(&program->log, "INF", "Initiating Shutdown...");
    nx_nats_server_close(NX_TAKE(program->server));
    if (ports_path(program, path)) {
        const enum nx_status ignored = nx_disk_unlink(program->disk, path, NULL);
        (void)ignored; /* a leftover names a process that is gone */
    }
    nx_nats_log_write(&program->log, "INF", "Server Exiting..");
    return NX_OK;
}

static enum nx_status start(struct program *program, struct nx_error *err) {
    const struct nx_loop_options loop_options = { .mailbox_count_max = MAILBOX_COUNT_MAX };
    const struct nx_nats_settings *settings = &program->settings;
    NX_TRY(nx_nats_log_open(&program->log, program->disk, settings->log_file, settings->logtime, err));
    NX_TRY(nx_loop_open(&loop_options, &program->loop, err));
    NX_TRY(nx_loop_watch_signals(program->loop, signalled, program, err));
    NX_TRY(nx_loop_watch_signal(program->loop, SIGHUP, err));
    NX_TRY(nx_loop_watch_signal(program->loop, SIGUSR1, err));
    NX_TRY(nx_loop_watch_signal(program->loop, SIGUSR2, err));
    const enum nx_status status = serve(program, err);
    if (status != NX_OK && err != NULL) {
        nx_nats_log_write(&program->log, "FTL", "%s", err->message);
    }
    return status;
}

static enum nx_status check_only(struct program *program, struct nx_error *err) {
    NX_AUTO(nx_nats_access) *access = NULL; /* as the start makes it, and no longer */
    const char *path = value(program, "config");
    if (path == NULL) {
        return nx_args_fail(program->args, err, "-t: expected --config FILE too");
    }
    NX_TRY(read_settings(program, &program->settings, err));
    NX_TRY(nx_nats_access_new(&program->settings.server, 0, &access, err));
    (void)fprintf(stderr, "nats-server: configuration file %s is valid\n", path);
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    struct program program = { .args = args, .disk = nx_disk_system() };
    program.left = (struct nx_timer){ .end = look_whether_left, .data = &program };
    enum nx_status status;
    if (nx_args_has(args, "version")) {
        (void)printf("nats-server: v%s (nexus %s)\n", NX_NATS_VERSION, NX_VERSION);
        return NX_OK;
    }
    if (nx_args_has(args, "signal")) {
        return send_signal(&program, value(&program, "signal"), err);
    }
    if (nx_args_has(args, "t")) {
        status = check_only(&program, err);
    } else {
        status = read_settings(&program, &program.settings, err);
        status = status == NX_OK ? start(&program, err) : status;
    }
    nx_nats_server_close(program.server);
    nx_loop_close(program.loop);
    nx_nats_log_close(&program.log);
    nx_nats_settings_fini(&program.settings);
    return status;
}

/* nats-server takes `version` and `help` as words too. */
static enum nx_status parse(int argc, char *const *argv, struct nx_args *args_out, struct nx_error *err) {
    const struct nx_command *command = &nx_command_nats_server;
    NX_TRY(nx_go_flags_parse(command, others, sizeof others / sizeof others[0], argc, argv, args_out, err));
    const struct nx_str word = nx_str_from_c(args_out->word_count == 0 ? NULL : args_out->words[0]);
    for (size_t i = 0; i < command->flag_count && nx_str_is(word, "version"); i++) {
        if (nx_str_is(word, command->flags[i].name)) {
            args_out->values[i] = "";
        }
    }
    args_out->help = args_out->help || nx_str_is(word, "help");
    if (word.len > 0 && !nx_str_is(word, "help") && !nx_str_is(word, "version")) {
        return nx_args_fail(args_out, err, "nexus nats-server does not expect '%s'", args_out->words[0]);
    }
    return NX_OK;
}

const struct nx_command nx_command_nats_server = {
    .name = "nats-server",
    .summary = "serve NATS clients alone, started as nats-server is",
    .text =
        "Takes nats-server's flags, with one dash or two, and its configuration files; without --addr it\n"
        "listens on loopback. Keeps no data. Called by the name nats-server, the program is this command.",
    .example = "nexus nats-server -p -1 --ports_file_dir /tmp\n"
               "nexus nats-server -c server.conf -t",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_max = 1,
    .run = run,
    .parse = parse,
};
