/* src/app/config_function.c: what nexus.yaml says of one function. */
#include "app/config_internal.h"

#include <stdlib.h>

#include "codec/percent.h"
#include "codec/time_format.h"
#include "codec/word.h"
#include "fabric/subject/subject.h"
#include "io/clock.h"
#include "platform/function/path_table.h"

enum { DECODED_TYPE_SIZE_MAX = 1024, ENV_NAME_SIZE_MAX = 255 };

/* Paths the server answers itself; what lies under one with a slash at its end, too. */
static const char *const system_paths[] = {
    "/replay",    "/replay/",    "/dlq",     "/dlq/",   "/invocations", "/invocations/",
    "/functions", "/functions/", "/metrics", "/erase",  "/healthz",     "/readyz",
    "/panels",    "/panels/",    "/ai/",     "/patch/", "/workspace/",  "/openapi.json",
};

static bool is_name(struct nx_str name) {
    bool good = name.len > 0 && name.len <= NX_FUNCTION_NAME_SIZE_MAX && name.ptr[0] != '-' &&
                name.ptr[name.len - 1] != '-';
    for (size_t i = 0; good && i < name.len; i++) {
        const char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return good;
}

static void read_name(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_function *function = target;
    struct nx_str name;

    if (!nx_config_read_text(reader, node, &name)) {
        return;
    }
    if (!is_name(name)) {
        nx_config_problem(reader, node,
                          "'%.*s' cannot name a function: small letters, digits and inner dashes, at most %d",
                          NX_STR_ARG(name), NX_FUNCTION_NAME_SIZE_MAX);
    }
    for (const struct nx_function *other = reader->config->functions; other < function; other++) {
        if (nx_str_equal(other->name, name)) {
            nx_config_problem(reader, node, "two functions are called '%.*s'", NX_STR_ARG(name));
            break;
        }
    }
    function->name = name; /* a wrong one too: other mistakes name the function by it */
}

/* Triggers. */

static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

/* One method; a list is read by add_methods(), which makes a trigger of each. */
static void read_method(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_trigger *trigger = target;
    size_t index;

    if (node->kind != NX_YAML_SEQUENCE && nx_config_read_word(reader, node, methods, METHOD_COUNT, &index)) {
        trigger->method = nx_str_from_c(methods[index]);
    }
}

static const char *system_route(struct nx_str path) {
    for (size_t i = 0; i < sizeof system_paths / sizeof system_paths[0]; i++) {
        const struct nx_str system = nx_str_from_c(system_paths[i]);
        const bool is_folder = system.ptr[system.len - 1] == '/';
        if (nx_str_equal(path, system) || (is_folder && nx_str_starts_with(path, system))) {
            return system_paths[i];
        }
    }
    return nx_str_is(path, "/events") || nx_str_is(path, "/events/") ? "/events" : NULL;
}

static void read_path(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_trigger *trigger = target;
    struct nx_error err = { 0 };
    struct nx_str path;

    if (!nx_config_read_text(reader, node, &path)) {
        return;
    }
    const char *system = system_route(path);
    if (path.ptr[0] != '/') {
        nx_config_problem(reader, node, "a path starts with a slash: did you mean '/%.*s'?",
                          NX_STR_ARG(path));
    } else if (nx_str_find_byte(path, '?') != SIZE_MAX || nx_str_find_byte(path, '#') != SIZE_MAX ||
               nx_str_find_byte(path, ' ') != SIZE_MAX) {
        nx_config_problem(reader, node, "'%.*s' is not a path: it may hold no space, ? or #",
                          NX_STR_ARG(path));
    } else if (nx_path_check(path, &err) != NX_OK) {
        nx_config_problem(reader, node, "%s", err.message);
    } else if (system != NULL) {
        nx_config_problem(reader, node, "'%.*s' collides with %s, which the server answers itself",
                          NX_STR_ARG(path), system);
    } else {
        trigger->path = path;
    }
}

/* What reads events takes them; here it would be a type that no event has. */
static void refuse_wildcards(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                             struct nx_str type) {
    struct nx_str rest = type;
    struct nx_str token;

    while (nx_str_split(&rest, '.', &token)) {
        if (nx_str_is(token, "*") || nx_str_is(token, ">")) {
            nx_config_problem(reader, node,
                              "'%.*s' is no event's type: a function names each type that it takes, without "
                              "wildcards",
                              NX_STR_ARG(type));
            return;
        }
    }
}

/* What POST /events/<type> stores: one segment, percent-decoded. */
static void read_type_of_path(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              struct nx_trigger *trigger) {
    const struct nx_str rest = nx_str_slice(trigger->path, sizeof "/events/" - 1, trigger->path.len);
    NX_AUTO(nx_buf) type = { 0 };

    nx_buf_init(&type, DECODED_TYPE_SIZE_MAX);
    if (!nx_str_is(trigger->method, "POST")) {
        nx_config_problem(reader, node,
                          "%.*s %.*s collides with reading events: under /events/ only POST fires",
                          NX_STR_ARG(trigger->method), NX_STR_ARG(trigger->path));
    } else if (nx_str_find_byte(rest, '/') != SIZE_MAX || nx_percent_decode(&type, rest, NULL) != NX_OK) {
        nx_config_problem(reader, node, "behind /events/ stands one event type, not '%.*s'",
                          NX_STR_ARG(rest));
    } else {
        trigger->event_type = nx_arena_copy(&reader->config->arena, nx_buf_str(&type));
        refuse_wildcards(reader, node, trigger->event_type);
    }
}

/* One name of keep_headers; those of headers come in any case. */
static void read_kept_header(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                             struct nx_trigger *trigger) {
    const char *names[NX_CREDENTIAL_COUNT];
    struct nx_error err = { 0 };
    struct nx_str text;

    if (nx_yaml_to_str(node, &text, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    const enum nx_credential credential = nx_credential_find(text);
    if (credential != NX_CREDENTIAL_COUNT) {
        trigger->kept_credentials |= 1U << credential;
        return;
    }
    for (unsigned i = 0; i < NX_CREDENTIAL_COUNT; i++) {
        names[i] = nx_credential_name((enum nx_credential)i);
    }
    const char *nearest = nx_word_nearest(text, names, NX_CREDENTIAL_COUNT);
    if (nearest != NULL) {
        nx_config_problem(reader, node, "'%.*s' is not known here: did you mean '%s'?", NX_STR_ARG(text),
                          nearest);
    } else {
        nx_config_problem(reader, node,
                          "'%.*s' needs no mention: every header is kept but authorization, cookie and "
                          "proxy-authorization, which are dropped unless they stand here",
                          NX_STR_ARG(text));
    }
}

static void read_kept_headers(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              void *target) {
    if (node->kind != NX_YAML_SEQUENCE) {
        read_kept_header(reader, node, target);
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        read_kept_header(reader, child, target);
    }
}

static void read_respond(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const char *const words[] = { "published", "early", "result" };
    struct nx_trigger *trigger = target;
    size_t index;

    _Static_assert(NX_RESPOND_PUBLISHED == 0 && NX_RESPOND_EARLY == 1 && NX_RESPOND_RESULT == 2,
                   "the words above");
    if (nx_config_read_word(reader, node, words, 3, &index)) {
        trigger->respond = (enum nx_respond)index;
    }
}

/* Of triggers whose callers may wait for what the function makes of it. */
#define ANSWER_FIELDS                                                                             \
    { .key = "respond", .kind = NX_FIELD_CUSTOM, .read = read_respond }, {                        \
        .key = "wait", .kind = NX_FIELD_DURATION, .offset = offsetof(struct nx_trigger, wait_ns), \
        .min = 1e6, .max = 3600e9, .range = "between 1ms and 1h",                                 \
    }
static const int64_t wait_default_ns = 30LL * NX_NS_PER_S;

static void read_http_trigger(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "method", .kind = NX_FIELD_CUSTOM, .read = read_method },
        { .key = "path", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_path },
        ANSWER_FIELDS,
        { .key = "keep_headers", .kind = NX_FIELD_CUSTOM, .read = read_kept_headers },
    };
    struct nx_trigger *trigger = target;

    trigger->kind = NX_TRIGGER_HTTP;
    trigger->method = NX_STR("POST");
    trigger->wait_ns = wait_default_ns;
    if (!nx_config_read_mapping(reader, node, "http", fields, sizeof fields / sizeof fields[0], trigger) ||
        trigger->path.len == 0) {
        return;
    }
    if (nx_str_starts_with(trigger->path, NX_STR("/events/"))) {
        const struct nx_yaml_node *kept = nx_yaml_get(node, "keep_headers");
        read_type_of_path(reader, nx_yaml_get(node, "path"), trigger);
        if (kept != NULL) {
            nx_config_problem_at_key(reader, kept,
                                     "under /events/ no request header becomes part of the event: "
                                     "'keep_headers' goes with other paths");
        }
        if (trigger->respond != NX_RESPOND_PUBLISHED) {
            nx_config_problem_at_key(reader, nx_yaml_get(node, "respond"),
                                     "under /events/ several functions may fire: 'respond' goes with a path "
                                     "of the function's own");
        }
    }
}

static void read_type(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_trigger *trigger = target;

    if (nx_config_read_text(reader, node, &trigger->event_type)) {
        refuse_wildcards(reader, node, trigger->event_type);
    }
}

static void read_filters(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_trigger *trigger = target;

    trigger->filter = nx_config_read_filters(reader, node);
}

static void read_event_trigger(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                               void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "type", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_type },
        { .key = "filters", .kind = NX_FIELD_CUSTOM, .read = read_filters },
    };
    struct nx_trigger *trigger = target;

    trigger->kind = NX_TRIGGER_EVENT;
    (void)nx_config_read_mapping(reader, node, "event", fields, sizeof fields / sizeof fields[0], trigger);
}

/* What clients publish there is no message to a function, or none of theirs. */
static void read_subject(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_trigger *trigger = target;
    struct nx_str subject;

    if (!nx_config_read_text(reader, node, &subject)) {
        return;
    }
    if (!nx_subject_is_filter(subject)) {
        nx_config_problem(reader, node, "'%.*s' is no subject: tokens joined by dots, * and > for any",
                          NX_STR_ARG(nx_str_slice(subject, 0, 100)));
        return;
    }
    if (nx_str_starts_with(subject, NX_STR("events."))) {
        nx_config_problem(reader, node, "messages under 'events.' are events: take them by on.event");
        return;
    }
    if (nx_str_starts_with(subject, NX_STR("$")) || nx_str_starts_with(subject, NX_STR("_INBOX."))) {
        nx_config_problem(reader, node, "subjects that begin with '$' or '_INBOX.' are not for functions");
        return;
    }
    trigger->subject = subject;
}

static void read_queue(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_trigger *trigger = target;
    struct nx_str queue;

    if (!nx_config_read_text(reader, node, &queue)) {
        return;
    }
    if (!nx_subject_is_valid(queue)) {
        nx_config_problem(reader, node, "'%.*s' cannot be the name of a queue",
                          NX_STR_ARG(nx_str_slice(queue, 0, 100)));
        return;
    }
    trigger->queue = queue;
}

static void read_nats_trigger(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "subject", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_subject },
        { .key = "queue", .kind = NX_FIELD_CUSTOM, .read = read_queue },
        ANSWER_FIELDS,
    };
    struct nx_trigger *trigger = target;

    trigger->kind = NX_TRIGGER_NATS;
    trigger->wait_ns = wait_default_ns;
    (void)nx_config_read_mapping(reader, node, "nats", fields, sizeof fields / sizeof fields[0], trigger);
}

/* `method: [GET, PUT]`: a trigger for each, alike in all else. */
static void add_methods(struct nx_config_reader *reader, const struct nx_yaml_node *list,
                        struct nx_function *function, struct nx_trigger *first) {
    if (list->count == 0) {
        nx_config_problem(reader, list,
                          "'method' is empty: expected one of GET, POST, PUT, PATCH and DELETE");
    } else if (nx_str_starts_with(first->path, NX_STR("/events/"))) {
        nx_config_problem(reader, list, "under /events/ only POST fires: 'method' is no list there");
    }
    for (const struct nx_yaml_node *child = list->first; child != NULL; child = child->next) {
        struct nx_trigger *trigger = first;
        size_t index;
        if (child != list->first) {
            if (function->trigger_count == NX_FUNCTION_TRIGGERS_MAX) {
                nx_config_problem(reader, child, "a function has at most %d triggers, one for each method",
                                  NX_FUNCTION_TRIGGERS_MAX);
                return;
            }
            trigger = &function->triggers[function->trigger_count++];
            *trigger = *first;
        }
        if (nx_config_read_word(reader, child, methods, METHOD_COUNT, &index)) {
            trigger->method = nx_str_from_c(methods[index]);
        } else if (trigger != first) {
            function->trigger_count--;
        }
    }
}

static void read_trigger(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                         struct nx_function *function) {
    static const struct nx_config_field fields[] = {
        { .key = "http", .kind = NX_FIELD_CUSTOM, .read = read_http_trigger },
        { .key = "event", .kind = NX_FIELD_CUSTOM, .read = read_event_trigger },
        { .key = "nats", .kind = NX_FIELD_CUSTOM, .read = read_nats_trigger },
    };

    if (function->trigger_count == NX_FUNCTION_TRIGGERS_MAX) {
        nx_config_problem(reader, node, "a function has at most %d triggers", NX_FUNCTION_TRIGGERS_MAX);
        return;
    }
    struct nx_trigger *trigger = &function->triggers[function->trigger_count++];
    if (!nx_config_read_mapping(reader, node, "on", fields, sizeof fields / sizeof fields[0], trigger)) {
        return;
    }
    if (node->count != 1) {
        nx_config_problem(reader, node, "expected one of http, event and nats; for more make 'on' a list");
    }
    const struct nx_yaml_node *method = nx_yaml_get(nx_yaml_get(node, "http"), "method");
    if (method != NULL && method->kind == NX_YAML_SEQUENCE) {
        add_methods(reader, method, function, trigger);
    }
}

static void read_on(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    if (node->kind != NX_YAML_SEQUENCE) {
        read_trigger(reader, node, target);
        return;
    }
    if (node->count == 0) {
        nx_config_problem(reader, node, "'on' is empty: this function would never run");
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        read_trigger(reader, child, target);
    }
}

/* The rest. */

static void read_runtime(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const char *const runtimes[] = { "wasi-preview1" };
    size_t ignored;

    (void)target;
    (void)nx_config_read_word(reader, node, runtimes, 1, &ignored);
}

static void read_code(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_function *function = target;
    struct nx_str path;

    if (nx_config_read_text(reader, node, &path)) {
        function->code_path = nx_config_resolve(reader->config, path);
    }
}

static bool is_environment_name(struct nx_str name) {
    bool good = name.len > 0 && !(name.ptr[0] >= '0' && name.ptr[0] <= '9');
    for (size_t i = 0; good && i < name.len; i++) {
        const char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    return good;
}

/* {from_env: NAME, default: …}: what the server's own environment says, so that no secret stands in the file.
 * That it is not there is told by who needs it: a server, not who only reads the log. */
static void read_from_env(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                          struct nx_env_entry *entry) {
    static const struct nx_config_field fields[] = {
        { .key = "from_env",
          .kind = NX_FIELD_TEXT,
          .required = true,
          .offset = offsetof(struct nx_env_entry, from_env) },
        { .key = "default", .kind = NX_FIELD_TEXT, .offset = offsetof(struct nx_env_entry, value) },
    };
    char name[ENV_NAME_SIZE_MAX + 1];

    if (!nx_config_read_mapping(reader, node, "env", fields, 2, entry)) {
        return;
    }
    if (!is_environment_name(entry->from_env) || entry->from_env.len > ENV_NAME_SIZE_MAX) {
        if (entry->from_env.len > 0) {
            nx_config_problem(reader, nx_yaml_get(node, "from_env"),
                              "'%.*s' cannot name an environment variable",
                              NX_STR_ARG(nx_str_slice(entry->from_env, 0, 100)));
        }
        return;
    }
    memcpy(name, entry->from_env.ptr, entry->from_env.len);
    name[entry->from_env.len] = '\0';
    const char *value = getenv(name);
    if (value != NULL) {
        entry->value = nx_arena_copy(&reader->config->arena, nx_str_from_c(value));
    }
    entry->is_missing = value == NULL && nx_yaml_get(node, "default") == NULL;
}

static void read_env(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_function *function = target;
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_MAPPING, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        struct nx_str value;
        if (!is_environment_name(child->key)) {
            nx_config_problem_at_key(reader, child, "'%.*s' cannot name an environment variable",
                                     NX_STR_ARG(child->key));
        } else if (nx_str_starts_with(child->key, NX_STR("NEXUS_")) || nx_str_is(child->key, "TRACE_ID") ||
                   nx_str_is(child->key, "TRACEPARENT")) {
            nx_config_problem_at_key(reader, child, "'%.*s' is set by Nexus itself", NX_STR_ARG(child->key));
        } else if (function->env_count == NX_FUNCTION_ENV_MAX) {
            nx_config_problem_at_key(reader, child, "a function has at most %d environment variables",
                                     NX_FUNCTION_ENV_MAX);
            return;
        } else if (child->kind == NX_YAML_MAPPING) {
            struct nx_env_entry *entry = &function->env[function->env_count++];
            *entry = (struct nx_env_entry){ .name = nx_arena_copy(&reader->config->arena, child->key) };
            read_from_env(reader, child, entry);
        } else if (nx_yaml_to_str(child, &value, &err) != NX_OK) {
            nx_config_problem_from(reader, &err);
        } else {
            struct nx_env_entry *entry = &function->env[function->env_count++];
            entry->name = nx_arena_copy(&reader->config->arena, child->key);
            entry->value = nx_arena_copy(&reader->config->arena, value);
        }
    }
}

/* The same for all of its paths. */
static void read_cors(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_function *function = target;
    const struct nx_cors *cors = nx_config_read_cors(reader, node);
    bool has_path = false;

    for (size_t i = 0; i < function->trigger_count; i++) {
        struct nx_trigger *trigger = &function->triggers[i];
        if (trigger->kind == NX_TRIGGER_HTTP && !nx_str_starts_with(trigger->path, NX_STR("/events/"))) {
            trigger->cors = cors;
            has_path = true;
        }
    }
    if (!has_path) {
        nx_config_problem_at_key(reader, node, "'cors' goes with an HTTP path of the function's own");
    }
}

static void read_retry(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "max_attempts",
          .kind = NX_FIELD_U32,
          .offset = offsetof(struct nx_retry_policy, attempts_max),
          .min = 1,
          .max = 64 },
        { .key = "backoff",
          .kind = NX_FIELD_DURATION,
          .offset = offsetof(struct nx_retry_policy, backoff_ns),
          .min = 0.0,
          .max = 86400e9,
          .range = "at most 24h" },
        { .key = "backoff_max",
          .kind = NX_FIELD_DURATION,
          .offset = offsetof(struct nx_retry_policy, backoff_max_ns),
          .min = 0.0,
          .max = 86400e9,
          .range = "at most 24h" },
        { .key = "jitter",
          .kind = NX_FIELD_DOUBLE,
          .offset = offsetof(struct nx_retry_policy, jitter),
          .min = 0.0,
          .max = 1.0 },
    };
    struct nx_function *function = target;
    struct nx_retry_policy *retry = &function->retry;

    const size_t problems_before = reader->problem_count;
    if (nx_config_read_mapping(reader, node, "retry", fields, 4, retry) &&
        retry->backoff_max_ns < retry->backoff_ns) {
        const struct nx_yaml_node *max = nx_yaml_get(node, "backoff_max");
        if (max == NULL) {
            retry->backoff_max_ns = retry->backoff_ns;
        } else if (reader->problem_count == problems_before) {
            nx_config_problem(reader, max, "'backoff_max' is shorter than 'backoff'");
        }
    }
}

bool nx_config_read_event_path(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                               struct nx_str *path_out) {
    struct nx_str key;

    if (!nx_config_read_text(reader, node, &key)) {
        return false;
    }
    bool good =
        key.ptr[0] != '.' && key.ptr[key.len - 1] != '.' && nx_str_find(key, NX_STR("..")) == SIZE_MAX;
    for (size_t i = 0; good && i < key.len; i++) {
        good = (unsigned char)key.ptr[i] > ' ';
    }
    if (!good) {
        nx_config_problem(reader, node,
                          "expected an attribute or a path into the data, such as data.user_id, found '%.*s'",
                          NX_STR_ARG(key));
        return false;
    }
    *path_out = key;
    return true;
}

static void read_order_key(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_function *function = target;

    (void)nx_config_read_event_path(reader, node, &function->order_key);
}

static void read_order(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "key", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_order_key },
    };
    (void)nx_config_read_mapping(reader, node, "order", fields, 1, target);
}

static void read_from(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_function *function = target;
    struct nx_error err = { 0 };
    struct nx_str text;

    if (nx_yaml_to_str(node, &text, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
    } else if (nx_str_is(text, "new")) {
        function->from = NX_FROM_NEW;
    } else if (nx_str_is(text, "all")) {
        function->from = NX_FROM_ALL;
    } else if (nx_str_to_u64(text, &function->from_sequence) && function->from_sequence > 0) {
        function->from = NX_FROM_SEQUENCE;
    } else if (nx_time_parse(text, &function->from_time_ns)) {
        function->from = NX_FROM_TIME;
    } else {
        nx_config_problem(
            reader, node,
            "expected new, all, a time such as 2025-11-26T10:23:45Z or a sequence, found '%.*s'",
            NX_STR_ARG(text));
    }
}

static void read_input(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const char *const words[] = { "event", "data" };
    struct nx_function *function = target;
    size_t index;

    if (nx_config_read_word(reader, node, words, 2, &index)) {
        function->input_is_data = index == 1;
    }
}

static void read_values(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const char *const words[] = { "shared", "person" };
    struct nx_function *function = target;
    size_t index;

    if (nx_config_read_word(reader, node, words, 2, &index)) {
        function->values_are_about = index == 1;
    }
}

static const struct nx_config_field function_fields[] = {
    { .key = "name", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_name },
    { .key = "on", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_on },
    { .key = "runtime", .kind = NX_FIELD_CUSTOM, .read = read_runtime },
    { .key = "code", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_code },
    { .key = "build", .kind = NX_FIELD_TEXT, .offset = offsetof(struct nx_function, build_command) },
    { .key = "timeout",
      .kind = NX_FIELD_DURATION,
      .offset = offsetof(struct nx_function, timeout_ns),
      .min = 1e6,
      .max = 3600e9,
      .range = "between 1ms and 1h" },
    { .key = "memory",
      .kind = NX_FIELD_SIZE,
      .offset = offsetof(struct nx_function, memory_max),
      .min = 65536.0,
      .max = 4294967296.0,
      .range = "between 64Ki and 4Gi" },
    { .key = "env", .kind = NX_FIELD_CUSTOM, .read = read_env },
    { .key = "cors", .kind = NX_FIELD_CUSTOM, .read = read_cors },
    { .key = "retry", .kind = NX_FIELD_CUSTOM, .read = read_retry },
    { .key = "order", .kind = NX_FIELD_CUSTOM, .read = read_order },
    { .key = "max_concurrency",
      .kind = NX_FIELD_U32,
      .offset = offsetof(struct nx_function, concurrency_max),
      .min = 1,
      .max = 1024 },
    { .key = "from", .kind = NX_FIELD_CUSTOM, .read = read_from },
    { .key = "input", .kind = NX_FIELD_CUSTOM, .read = read_input },
    { .key = "values", .kind = NX_FIELD_CUSTOM, .read = read_values },
};

static struct nx_str own_type(struct nx_config_reader *reader, const char *prefix, struct nx_str function) {
    NX_AUTO(nx_buf) type = { 0 };
    nx_buf_init(&type, DECODED_TYPE_SIZE_MAX);
    nx_buf_append_format(&type, "%s.%.*s", prefix, NX_STR_ARG(function));
    return nx_arena_copy(&reader->config->arena, nx_buf_str(&type));
}

/* An HTTP path that is no event's stores the type http.<function>; which needs the name, and to be the only
 * one. A NATS subject, which may be several functions', stores nats.<function>. */
static void finish_triggers(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                            struct nx_function *function) {
    const struct nx_yaml_node *on = nx_yaml_get(node, "on");

    for (size_t i = 0; i < function->trigger_count; i++) {
        struct nx_trigger *trigger = &function->triggers[i];
        if (trigger->kind == NX_TRIGGER_NATS && trigger->subject.len > 0) {
            trigger->event_type = own_type(reader, "nats", function->name);
        }
        if (trigger->kind != NX_TRIGGER_HTTP || trigger->path.len == 0 ||
            nx_str_starts_with(trigger->path, NX_STR("/events/"))) {
            continue;
        }
        trigger->event_type = own_type(reader, "http", function->name);
        for (const struct nx_function *other = reader->config->functions; other <= function; other++) {
            const size_t count = other == function ? i : other->trigger_count;
            for (size_t j = 0; j < count; j++) {
                if (other->triggers[j].path.len > 0 && nx_path_same(other->triggers[j].path, trigger->path) &&
                    nx_str_equal(other->triggers[j].method, trigger->method)) {
                    nx_config_problem(reader, on, "%.*s %.*s belongs to '%.*s' already",
                                      NX_STR_ARG(trigger->method), NX_STR_ARG(trigger->path),
                                      NX_STR_ARG(other->name));
                }
            }
        }
    }
}

/* Whoever waits for an answer is told of a failure and can ask again: trying it again later, behind their
 * back, is only for those who say so. */
static bool only_answers(const struct nx_function *function) {
    for (size_t i = 0; i < function->trigger_count; i++) {
        if (function->triggers[i].respond == NX_RESPOND_PUBLISHED) {
            return false;
        }
    }
    return function->trigger_count > 0;
}

void nx_config_read_functions(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              void *target) {
    struct nx_config *config = target;
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_SEQUENCE, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    if (node->count > NX_CONFIG_FUNCTIONS_MAX) {
        nx_config_problem(reader, node, "%zu functions are more than %d", node->count,
                          NX_CONFIG_FUNCTIONS_MAX);
        return;
    }
    config->functions = nx_arena_alloc(&config->arena, (node->count + 1) * sizeof *config->functions);
    if (config->functions == NULL) {
        nx_config_problem(reader, node, "out of memory");
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        struct nx_function *function = &config->functions[config->function_count++];
        *function = (struct nx_function){
            .timeout_ns = 5LL * NX_NS_PER_S,
            .memory_max = 128ULL << 20,
            .retry = { .backoff_ns = NX_NS_PER_S, .backoff_max_ns = 300LL * NX_NS_PER_S, .jitter = 0.2 },
            .concurrency_max = 16,
        };
        if (nx_config_read_mapping(reader, child, "a function", function_fields,
                                   sizeof function_fields / sizeof function_fields[0], function)) {
            finish_triggers(reader, child, function);
        }
        if (function->retry.attempts_max == 0) {
            function->retry.attempts_max = only_answers(function) ? 1 : 5;
        }
    }
}
