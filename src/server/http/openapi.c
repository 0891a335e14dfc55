/* src/server/http/openapi.c: see openapi.h. */
#include "server/http/openapi.h"

#include "base/buf.h"
#include "codec/json.h"
#include "codec/yaml.h"

enum { JSON_SIZE_MAX = 1024 * 1024 };

struct nx_openapi {
    struct nx_buf json;
};

/* Plain scalars that JSON would read as the same number or word are that; everything else is text. */
static void write_scalar(struct nx_json_writer *writer, const struct nx_yaml_node *node) {
    bool boolean;
    if (node->is_quoted) {
        nx_json_string(writer, node->text);
    } else if (nx_yaml_is_null(node)) {
        nx_json_null(writer);
    } else if (nx_yaml_to_bool(node, &boolean, NULL) == NX_OK) {
        nx_json_bool(writer, boolean);
    } else if (nx_json_is_valid(node->text)) {
        nx_json_raw(writer, node->text);
    } else {
        nx_json_string(writer, node->text);
    }
}

/* Depth is bounded by NX_YAML_DEPTH_MAX. */
static void write_node(struct nx_json_writer *writer, const struct nx_yaml_node *node) {
    if (node->kind == NX_YAML_SCALAR) {
        write_scalar(writer, node);
        return;
    }
    const bool is_mapping = node->kind == NX_YAML_MAPPING;
    if (is_mapping) {
        nx_json_object_begin(writer);
    } else {
        nx_json_array_begin(writer);
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        if (is_mapping) {
            nx_json_key(writer, child->key);
        }
        write_node(writer, child);
    }
    if (is_mapping) {
        nx_json_object_end(writer);
    } else {
        nx_json_array_end(writer);
    }
}

enum nx_status nx_openapi_new(struct nx_openapi **openapi_out, struct nx_error *err) {
    NX_AUTO(nx_yaml_doc) *doc = NULL;
    struct nx_json_writer writer;
    NX_TRY(nx_yaml_parse(NX_STR("openapi.yaml"), nx_openapi_yaml, &doc, err));
    NX_AUTO(nx_openapi) *openapi = calloc(1, sizeof *openapi);
    if (openapi == NULL) {
        return nx_fail_memory(err);
    }
    nx_buf_init(&openapi->json, JSON_SIZE_MAX);
    nx_json_writer_init(&writer, &openapi->json);
    write_node(&writer, nx_yaml_root(doc));
    nx_json_writer_end(&writer);
    NX_TRY(nx_buf_check(&openapi->json, err));
    *openapi_out = NX_TAKE(openapi);
    return NX_OK;
}

void nx_openapi_free(struct nx_openapi *openapi) {
    if (openapi == NULL) {
        return;
    }
    nx_buf_fini(&openapi->json);
    free(openapi);
}

struct nx_str nx_openapi_json(const struct nx_openapi *openapi) {
    return nx_buf_str(&openapi->json);
}
