/* src/app/config_cors.c: what nexus.yaml says of web pages that may use a function's paths. */
#include "app/config_internal.h"

#include "codec/headers.h"
#include "io/clock.h"

enum { HEADER_LIST_SIZE_MAX = 512, HEADERS_MAX = 32 };

static bool is_origin(struct nx_str text) {
    const struct nx_str schemes[] = { NX_STR("https://"), NX_STR("http://") };
    for (size_t i = 0; i < 2; i++) {
        const struct nx_str host = nx_str_slice(text, schemes[i].len, text.len);
        if (nx_str_starts_with(text, schemes[i])) {
            bool good = host.len > 0 && host.len < 256 && nx_headers_is_value(host);
            for (size_t k = 0; good && k < host.len; k++) {
                good = host.ptr[k] > ' ' && host.ptr[k] != '/' && host.ptr[k] != '?' && host.ptr[k] != '#';
            }
            return good;
        }
    }
    return false;
}

static void read_origins(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_cors *cors = target;
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_SEQUENCE, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    if (node->count == 0 || node->count > NX_CORS_ORIGINS_MAX) {
        nx_config_problem(reader, node, "expected 1 to %d origins", NX_CORS_ORIGINS_MAX);
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        struct nx_str origin;
        if (!nx_config_read_text(reader, child, &origin)) {
            continue;
        }
        if (nx_str_is(origin, "*")) {
            cors->any_origin = true;
        } else if (is_origin(origin)) {
            cors->origins[cors->origin_count++] = origin;
        } else {
            nx_config_problem(reader, child,
                              "'%.*s' is no origin: expected https://app.example.com, without a path, or *",
                              NX_STR_ARG(nx_str_slice(origin, 0, 100)));
        }
    }
}

static void read_header_list(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                             struct nx_str *list_out) {
    struct nx_error err = { 0 };
    NX_AUTO(nx_buf) list = { 0 };

    nx_buf_init(&list, HEADER_LIST_SIZE_MAX);
    if (nx_yaml_expect(node, NX_YAML_SEQUENCE, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        struct nx_str name;
        if (!nx_config_read_text(reader, child, &name)) {
            continue;
        }
        if (!nx_headers_is_name(name)) {
            nx_config_problem(reader, child, "'%.*s' cannot be a header's name",
                              NX_STR_ARG(nx_str_slice(name, 0, 100)));
        }
        nx_buf_append(&list, list.len == 0 ? NX_STR_EMPTY : NX_STR(", "));
        nx_buf_append(&list, name);
    }
    if (nx_buf_failed(&list) || node->count > HEADERS_MAX) {
        nx_config_problem(reader, node, "more than %d headers, or %d bytes of them", HEADERS_MAX,
                          HEADER_LIST_SIZE_MAX);
        return;
    }
    *list_out = nx_arena_copy(&reader->config->arena, nx_buf_str(&list));
}

static void read_headers(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_cors *cors = target;

    read_header_list(reader, node, &cors->headers);
}

static void read_expose(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_cors *cors = target;

    read_header_list(reader, node, &cors->expose);
}

static void read_credentials(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_cors *cors = target;
    struct nx_error err = { 0 };

    if (nx_yaml_to_bool(node, &cors->credentials, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
    }
}

const struct nx_cors *nx_config_read_cors(struct nx_config_reader *reader, const struct nx_yaml_node *node) {
    static const struct nx_config_field fields[] = {
        { .key = "origins", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_origins },
        { .key = "headers", .kind = NX_FIELD_CUSTOM, .read = read_headers },
        { .key = "expose", .kind = NX_FIELD_CUSTOM, .read = read_expose },
        { .key = "credentials", .kind = NX_FIELD_CUSTOM, .read = read_credentials },
        { .key = "max_age",
          .kind = NX_FIELD_DURATION,
          .offset = offsetof(struct nx_cors, max_age_ns),
          .min = 0.0,
          .max = 86400e9,
          .range = "at most 24h" },
    };
    struct nx_cors *cors = nx_arena_alloc(&reader->config->arena, sizeof *cors);

    if (cors == NULL) {
        nx_config_problem(reader, node, "out of memory");
        return NULL;
    }
    *cors = (struct nx_cors){ .headers = NX_STR("Content-Type, Idempotency-Key"),
                              .max_age_ns = 600LL * NX_NS_PER_S };
    if (nx_config_read_mapping(reader, node, "cors", fields, sizeof fields / sizeof fields[0], cors) &&
        cors->any_origin && cors->credentials) {
        nx_config_problem(reader, nx_yaml_get(node, "credentials"),
                          "'credentials' goes with named origins only: with '*' any page could use them");
    }
    return cors;
}
