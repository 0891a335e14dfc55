/* src/app/config.c: the file as a whole, its top level, and reading by tables. */
#include "app/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_internal.h"
#include "app/terminal.h"
#include "base/assert.h"
#include "codec/word.h"

enum {
    ARENA_SIZE_MAX = 16 * 1024 * 1024,
    WORDS_MAX = 32,
    HTTP_PORT = 8080,
    SHOWN_MAX = 64 /* bytes of foreign text in a message */
};
static const uint64_t disk_budget_default = 20ULL << 30;
static const uint64_t disk_budget_min = 64ULL << 20;

/* One line: a value that goes over several is quoted with spaces in place of what ends a line. */
static void note(struct nx_config_reader *reader, const char *message) {
    reader->problem_count++;
    for (; *message != '\0'; message++) {
        const unsigned char c = (unsigned char)*message;
        nx_buf_append_u8(reader->problems, c < ' ' || c == 0x7f ? ' ' : c);
    }
    nx_buf_append_u8(reader->problems, '\n');
}

void nx_config_problem_from(struct nx_config_reader *reader, const struct nx_error *err) {
    note(reader, err->message);
}

void nx_config_problem(struct nx_config_reader *reader, const struct nx_yaml_node *node, const char *format,
                       ...) {
    char message[sizeof((struct nx_error *)0)->message];
    struct nx_error err = { 0 };
    va_list list;

    va_start(list, format);
    (void)vsnprintf(message, sizeof message, format, list);
    va_end(list);
    (void)nx_yaml_fail(&err, node, "%s", message);
    note(reader, err.message);
}

void nx_config_problem_at_key(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              const char *format, ...) {
    char message[sizeof((struct nx_error *)0)->message];
    struct nx_error err = { 0 };
    va_list list;

    va_start(list, format);
    (void)vsnprintf(message, sizeof message, format, list);
    va_end(list);
    (void)nx_yaml_fail_at_key(&err, node, "%s", message);
    note(reader, err.message);
}

/* "a, b or c", in `text`. */
static const char *join(const char *const *words, size_t count, char *text, size_t size) {
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count && len < size; i++) {
        const char *between = i == 0 ? "" : i + 1 == count ? " or " : ", ";
        const int added = snprintf(text + len, size - len, "%s%s", between, words[i]);
        len += added < 0 ? 0 : (size_t)added;
    }
    return text;
}

static void note_unknown_key(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                             const char *what, const struct nx_config_field *fields, size_t field_count) {
    const char *words[WORDS_MAX];
    char all[320];

    nx_assert(field_count <= WORDS_MAX);
    for (size_t i = 0; i < field_count; i++) {
        words[i] = fields[i].key;
    }
    const char *nearest = nx_word_nearest(node->key, words, field_count);
    if (nearest != NULL) {
        nx_config_problem_at_key(reader, node, "%s has no key '%.*s': did you mean '%s'?", what,
                                 NX_STR_ARG(node->key), nearest);
    } else {
        nx_config_problem_at_key(reader, node, "%s has no key '%.*s': expected %s", what,
                                 NX_STR_ARG(node->key), join(words, field_count, all, sizeof all));
    }
}

bool nx_config_read_text(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                         struct nx_str *text_out) {
    struct nx_error err = { 0 };
    struct nx_str text;

    if (nx_yaml_to_str(node, &text, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return false;
    }
    if (text.len == 0 || memchr(text.ptr, 0, text.len) != NULL) {
        nx_config_problem(reader, node, "'%.*s' is %s", NX_STR_ARG(node->key),
                          text.len == 0 ? "empty" : "holds a zero byte");
        return false;
    }
    text = nx_arena_copy(&reader->config->arena, text);
    if (text.ptr == NULL) {
        nx_config_problem(reader, node, "out of memory");
        return false;
    }
    *text_out = text;
    return true;
}

bool nx_config_read_word(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                         const char *const *words, size_t word_count, size_t *index_out) {
    struct nx_error err = { 0 };
    struct nx_str text;
    char all[320];

    if (nx_yaml_to_str(node, &text, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return false;
    }
    for (size_t i = 0; i < word_count; i++) {
        if (nx_str_is(text, words[i])) {
            *index_out = i;
            return true;
        }
    }
    const char *nearest = nx_word_nearest(text, words, word_count);
    if (nearest != NULL) {
        nx_config_problem(reader, node, "'%.*s' is not known here: did you mean '%s'?", NX_STR_ARG(text),
                          nearest);
    } else {
        nx_config_problem(reader, node, "expected %s, found '%.*s'", join(words, word_count, all, sizeof all),
                          NX_STR_ARG(text));
    }
    return false;
}

static bool in_range(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                     const struct nx_config_field *field, double value) {
    if ((field->min == 0.0 && field->max == 0.0) || (value >= field->min && value <= field->max)) {
        return true;
    }
    nx_config_problem(reader, node, "'%s' must be %s, not %.*s", field->key, field->range,
                      NX_STR_ARG(node->text));
    return false;
}

/* The value goes to its member only when all is well, so that a default survives a mistake. */
static void read_field(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                       const struct nx_config_field *field, void *target) {
    void *member = (char *)target + field->offset;
    struct nx_error err = { 0 };
    enum nx_status status = NX_OK;
    int64_t duration;
    uint64_t number;
    double real;

    switch (field->kind) {
    case NX_FIELD_TEXT:
        (void)nx_config_read_text(reader, node, member);
        break;
    case NX_FIELD_DURATION:
        status = nx_yaml_to_duration(node, &duration, &err);
        if (status == NX_OK && in_range(reader, node, field, (double)duration)) {
            *(int64_t *)member = duration;
        }
        break;
    case NX_FIELD_SIZE:
        status = nx_yaml_to_size(node, &number, &err);
        if (status == NX_OK && in_range(reader, node, field, (double)number)) {
            *(uint64_t *)member = number;
        }
        break;
    case NX_FIELD_U32:
        status = nx_yaml_to_u64(node, (uint64_t)field->min, (uint64_t)field->max, &number, &err);
        if (status == NX_OK) {
            *(uint32_t *)member = (uint32_t)number;
        }
        break;
    case NX_FIELD_DOUBLE:
        status = nx_yaml_to_double(node, field->min, field->max, &real, &err);
        if (status == NX_OK) {
            *(double *)member = real;
        }
        break;
    case NX_FIELD_CUSTOM:
        field->read(reader, node, target);
        break;
    }
    if (status != NX_OK) {
        nx_config_problem_from(reader, &err);
    }
}

bool nx_config_read_mapping(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                            const char *what, const struct nx_config_field *fields, size_t field_count,
                            void *target) {
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_MAPPING, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return false;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        size_t i = 0;
        while (i < field_count && !nx_str_is(child->key, fields[i].key)) {
            i++;
        }
        if (i < field_count) {
            read_field(reader, child, &fields[i], target);
        } else {
            note_unknown_key(reader, child, what, fields, field_count);
        }
    }
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].required && nx_yaml_get(node, fields[i].key) == NULL) {
            nx_config_problem(reader, node, "%s needs the key '%s'", what, fields[i].key);
        }
    }
    return true;
}

/* The top level. */

static void read_version(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const char *const versions[] = { "v1" };
    size_t ignored;

    (void)target;
    (void)nx_config_read_word(reader, node, versions, 1, &ignored);
}

static void read_address(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                         struct nx_config_address *address) {
    struct nx_error err = { 0 };
    struct nx_str text;

    if (nx_config_read_text(reader, node, &text) &&
        nx_config_set_listen(reader->config, address, text, &err) != NX_OK) {
        nx_config_problem(reader, node, "%s", err.message);
    }
}

static void read_http(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    (void)target;
    read_address(reader, node, &reader->config->http);
}

static void read_nats(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    (void)target;
    read_address(reader, node, &reader->config->nats);
}

static void read_listen(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "http", .kind = NX_FIELD_CUSTOM, .read = read_http },
        { .key = "nats", .kind = NX_FIELD_CUSTOM, .read = read_nats },
    };
    (void)nx_config_read_mapping(reader, node, "listen", fields, 2, target);
}

static void read_stream_age(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_config_stream *stream = target;
    struct nx_error err = { 0 };

    if (nx_yaml_to_duration(node, &stream->age_max_ns, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
    }
    stream->has_age = true;
}

static void read_stream_size(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_config_stream *stream = target;
    struct nx_error err = { 0 };

    if (nx_yaml_to_size(node, &stream->size_max, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
    }
    stream->has_size = true;
}

static void read_stream_sync(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const char *const words[] = { "always", "interval", "never" };
    struct nx_config_stream *stream = target;
    size_t index;

    if (nx_config_read_word(reader, node, words, 3, &index)) {
        stream->sync = (enum nx_sync_policy)index;
        stream->has_sync = true;
    }
}

static bool is_stream_name(struct nx_str name) {
    bool good = name.len > 0 && name.len <= NX_STREAM_NAME_SIZE_MAX;
    for (size_t i = 0; good && i < name.len; i++) {
        const char c = name.ptr[i];
        good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    }
    return good;
}

static void read_streams(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "max_age", .kind = NX_FIELD_CUSTOM, .read = read_stream_age },
        { .key = "max_size", .kind = NX_FIELD_CUSTOM, .read = read_stream_size },
        { .key = "sync", .kind = NX_FIELD_CUSTOM, .read = read_stream_sync },
    };
    static const char *const names[] = { "EVENTS", "INVOCATIONS", "DLQ", "AUDIT" };
    struct nx_config *config = target;
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_MAPPING, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && !nx_str_is(child->key, names[i])) {
            i++;
        }
        if (i == sizeof names / sizeof names[0] || !is_stream_name(child->key)) {
            const char *nearest = nx_word_nearest(child->key, names, sizeof names / sizeof names[0]);
            nx_config_problem_at_key(reader, child, "there is no stream '%.*s': %s%s%s",
                                     NX_STR_ARG(child->key), nearest == NULL ? "expected " : "did you mean '",
                                     nearest == NULL ? "EVENTS, INVOCATIONS, DLQ or AUDIT" : nearest,
                                     nearest == NULL ? "" : "'?");
            continue;
        }
        struct nx_config_stream *stream = &config->streams[config->stream_count++];
        stream->name = nx_str_from_c(names[i]);
        (void)nx_config_read_mapping(reader, child, names[i], fields, 3, stream);
    }
}

static const struct nx_config_field top_fields[] = {
    { .key = "version", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_version },
    { .key = "listen", .kind = NX_FIELD_CUSTOM, .read = read_listen },
    { .key = "data", .kind = NX_FIELD_TEXT, .offset = offsetof(struct nx_config, data) },
    { .key = "disk_budget",
      .kind = NX_FIELD_SIZE,
      .offset = offsetof(struct nx_config, disk_budget),
      .min = 64.0 * 1024 * 1024,
      .max = 1e18,
      .range = "at least 64MiB" },
    { .key = "streams", .kind = NX_FIELD_CUSTOM, .read = read_streams },
    { .key = "nats", .kind = NX_FIELD_CUSTOM, .read = nx_config_read_nats },
    { .key = "people", .kind = NX_FIELD_CUSTOM, .read = nx_config_read_people },
    { .key = "functions", .kind = NX_FIELD_CUSTOM, .read = nx_config_read_functions },
};

static bool is_loopback(struct nx_str host) {
    return nx_str_is(host, "localhost") || nx_str_is(host, "::1") || nx_str_starts_with(host, NX_STR("127."));
}

enum nx_status nx_config_set_listen(struct nx_config *config, struct nx_config_address *address,
                                    struct nx_str text, struct nx_error *err) {
    struct nx_str host = text;
    uint64_t port;

    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0 || !nx_str_to_u64(nx_str_slice(text, colon, text.len), &port) || port > UINT16_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "expected HOST:PORT such as 127.0.0.1:8080 (port 0: any free one), found '%.*s'",
                       NX_STR_ARG(text));
    }
    host.len = colon - 1;
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = nx_str_slice(host, 1, host.len - 1);
    }
    if (host.len == 0) {
        host = NX_STR("127.0.0.1");
    }
    if (!is_loopback(host) && address != &config->nats) { /* NATS: refused without credentials, later */
        (void)nx_fail(err, NX_INVALID_ARGUMENT,
                      "'%.*s' is not this machine's loopback: without credentials nobody else may connect; "
                      "use 127.0.0.1:%d",
                      NX_STR_ARG(host), (int)port);
        nx_hint(err, "put a proxy in front that knows its users");
        return NX_INVALID_ARGUMENT;
    }
    host = nx_arena_copy(&config->arena, host);
    if (host.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *address = (struct nx_config_address){ .host = host, .port = (uint16_t)port };
    return NX_OK;
}

struct nx_str nx_config_resolve(struct nx_config *config, struct nx_str path) {
    if (path.len > 0 && path.ptr[0] == '/') {
        return path;
    }
    while (nx_str_starts_with(path, NX_STR("./"))) {
        path = nx_str_slice(path, 2, path.len);
    }
    if (nx_str_is(config->folder, ".")) {
        return nx_arena_copy(&config->arena, path);
    }
    const size_t size = config->folder.len + 1 + path.len + 1;
    char *text = nx_arena_alloc(&config->arena, size);
    if (text == NULL) {
        return (struct nx_str){ 0 };
    }
    (void)snprintf(text, size, "%.*s/%.*s", NX_STR_ARG(config->folder), NX_STR_ARG(path));
    return nx_str_from_c(text);
}

/* Others may reach the NATS face only where it asks them who they are. */
static void check_nats_host(struct nx_config_reader *reader) {
    const struct nx_config *config = reader->config;
    if (config->nats.host.len > 0 && !is_loopback(config->nats.host) &&
        config->nats_options.user_count == 0 && config->nats_options.token.len == 0 &&
        !config->nats_options.tls.verify && !config->nats_options.tls.verify_and_map) {
        nx_buf_append_format(
            reader->problems,
            "%.*s: '%.*s' is not this machine's loopback: listen.nats needs users or a token (or tls.verify) "
            "under 'nats'\n",
            NX_STR_ARG(config->file), NX_STR_ARG(config->nats.host));
        reader->problem_count++;
    }
}

/* The folder's own name: what the project is called in events' sources. */
static struct nx_str project_name(struct nx_config *config) {
    NX_AUTO_FREE char *real = realpath(config->folder.ptr, NULL);
    struct nx_str rest = nx_str_from_c(real);
    struct nx_str name = NX_STR("nexus");
    struct nx_str part;

    while (nx_str_split(&rest, '/', &part)) {
        name = part.len > 0 ? part : name;
    }
    return nx_arena_copy(&config->arena, name);
}

static enum nx_status set_defaults(struct nx_config *config, struct nx_str file, struct nx_error *err) {
    size_t slash = file.len;
    while (slash > 0 && file.ptr[slash - 1] != '/') {
        slash--;
    }
    const struct nx_str folder = slash == 0 ? NX_STR(".") : nx_str_slice(file, 0, slash > 1 ? slash - 1 : 1);
    config->file = nx_arena_copy(&config->arena, file);
    config->folder = nx_arena_copy(&config->arena, folder);
    if (config->file.ptr == NULL || config->folder.ptr == NULL) {
        return nx_fail_memory(err);
    }
    config->project = project_name(config);
    config->http = (struct nx_config_address){ .host = NX_STR("127.0.0.1"), .port = HTTP_PORT };
    config->data = NX_STR(".nexus");
    config->disk_budget = disk_budget_default;
    nx_assert(config->disk_budget >= disk_budget_min);
    return config->project.ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

static void note_duplicates(struct nx_config_reader *reader, const struct nx_yaml_doc *doc) {
    for (const struct nx_yaml_node *node = nx_yaml_duplicates(doc); node != NULL; node = node->next) {
        nx_config_problem_at_key(reader, node, "key '%.*s' was given already, in line %u",
                                 NX_STR_ARG(nx_str_slice(node->key, 0, SHOWN_MAX)), node->first_key_line);
    }
}

enum nx_status nx_config_parse(struct nx_str file, struct nx_str text, struct nx_config **config_out,
                               struct nx_buf *problems_out, struct nx_error *err) {
    NX_AUTO(nx_config) *config = malloc(sizeof *config);
    NX_AUTO(nx_yaml_doc) *doc = NULL;
    struct nx_error parse_error = { 0 };

    if (config == NULL) {
        return nx_fail_memory(err);
    }
    *config = (struct nx_config){ 0 };
    nx_arena_init(&config->arena, ARENA_SIZE_MAX);
    NX_TRY(set_defaults(config, file, err));
    struct nx_config_reader reader = { .config = config, .problems = problems_out };
    if (nx_yaml_parse(config->file, text, &doc, &parse_error) != NX_OK) {
        nx_config_problem_from(&reader, &parse_error);
    } else {
        (void)nx_config_read_mapping(&reader, nx_yaml_root(doc), "nexus.yaml", top_fields,
                                     sizeof top_fields / sizeof top_fields[0], config);
        note_duplicates(&reader, doc);
    }
    check_nats_host(&reader);
    NX_TRY(nx_buf_check(problems_out, err));
    if (reader.problem_count > 0) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "%.*s has %zu mistake%s", NX_STR_ARG(config->file),
                      reader.problem_count, reader.problem_count == 1 ? "" : "s");
        nx_hint(err, "mend what is listed above, then check it by: nexus check");
        return NX_INVALID_ARGUMENT;
    }
    config->data = nx_config_resolve(config, config->data);
    if (config->data.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *config_out = NX_TAKE(config);
    return NX_OK;
}

enum nx_status nx_config_load(struct nx_disk *disk, const char *path, struct nx_config **config_out,
                              struct nx_buf *problems_out, struct nx_error *err) {
    NX_AUTO(nx_buf) text = { 0 };

    nx_buf_init(&text, NX_YAML_SIZE_MAX);
    const enum nx_status status = nx_disk_read_file(disk, path, &text, err);
    if (status == NX_NOT_FOUND) {
        (void)nx_fail(err, NX_NOT_FOUND, "there is no %s here", path);
        nx_hint(err, "go to the project's folder, name the file by --config, or start one: nexus new my-app");
        return NX_NOT_FOUND;
    }
    if (status != NX_OK) {
        return nx_wrap(err, status, "cannot read %s", path);
    }
    return nx_config_parse(nx_str_from_c(path), nx_buf_str(&text), config_out, problems_out, err);
}

enum nx_status nx_config_load_and_explain(const char *path, struct nx_config **config_out,
                                          struct nx_error *err) {
    NX_AUTO(nx_buf) problems = { 0 };

    nx_buf_init(&problems, NX_CONFIG_PROBLEMS_SIZE_MAX);
    const enum nx_status status = nx_config_load(nx_disk_system(), path, config_out, &problems, err);
    struct nx_str rest = nx_buf_str(&problems);
    struct nx_str line;
    while (nx_str_split(&rest, '\n', &line)) {
        if (line.len > 0) {
            (void)fprintf(stderr, "%s%.*s%s\n", nx_terminal_colour(stderr, NX_COLOUR_YELLOW),
                          NX_STR_ARG(line), nx_terminal_plain(stderr));
        }
    }
    return status;
}

void nx_config_free(struct nx_config *config) {
    if (config == NULL) {
        return;
    }
    nx_arena_fini(&config->arena);
    free(config);
}
