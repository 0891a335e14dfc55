/* fuzz/nats_config_fuzz.c: any text is a tree within its limits, or an error with its place. Up to the first
 * zero byte it is the file, then what it may include, then the value of every variable. */
#include "base/assert.h"
#include "codec/nats_config.h"
#include "fuzz.h"

struct world {
    struct nx_str included;
    char variable[4096];
};

static struct nx_str first;

static enum nx_status read_file(void *data, const char *path, struct nx_buf *content, struct nx_error *err) {
    const struct world *world = data;
    nx_buf_append(content, nx_str_is(nx_str_from_c(path), "f.conf") ? first : world->included);
    return nx_buf_check(content, err);
}

static const char *variable(void *data, const char *name) {
    const struct world *world = data;
    return name[0] == 'X' ? NULL : world->variable;
}

static void check_node(const struct nx_nats_node *node, size_t depth, size_t *count) {
    struct nx_error err = { 0 };
    struct nx_str text;
    int64_t number;
    bool boolean;
    size_t members = 0;
    nx_assert(depth <= NX_NATS_CONFIG_DEPTH_MAX * NX_NATS_CONFIG_NESTING_MAX);
    nx_assert(++*count <= NX_NATS_CONFIG_NODES_MAX);
    nx_assert(node->line >= 1 && node->column >= 1 && node->file.len > 0);
    nx_assert(nx_nats_node_to_i64(node, -1, 65535, &number, &err) != NX_OK ||
              (number >= -1 && number <= 65535));
    nx_assert(nx_nats_node_to_duration(node, &number, &err) != NX_OK || number >= 0);
    nx_assert(nx_nats_node_to_bool(node, &boolean, &err) != NX_OK || node->kind == NX_NATS_NODE_BOOL);
    nx_assert(nx_nats_node_to_str(node, &text, &err) != NX_OK || text.ptr[text.len] == '\0');
    for (const struct nx_nats_node *child = node->first; child != NULL; child = child->next) {
        check_node(child, depth + 1, count);
        nx_assert(child->next != NULL || child == node->last);
        members++;
    }
    nx_assert(members == node->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NX_AUTO(nx_nats_config) *config = NULL;
    struct nx_error err = { 0 };
    struct nx_str rest = nx_str_of(data, size);
    struct world world = { .included = NX_STR_EMPTY };
    const struct nx_nats_config_source source = { read_file, variable, &world };
    size_t count = 0;
    if (!nx_str_split(&rest, '\0', &first)) {
        first = NX_STR_EMPTY;
    }
    (void)nx_str_split(&rest, '\0', &world.included);
    if (rest.len > 0 && rest.len < sizeof world.variable) {
        memcpy(world.variable, rest.ptr, rest.len);
    }
    if (nx_nats_config_read("f.conf", &source, &config, &err) != NX_OK) {
        nx_assert(err.message[0] != '\0');
        return 0;
    }
    check_node(nx_nats_config_root(config), 0, &count);
    return 0;
}
