/* fuzz/yaml_fuzz.c: any text is a tree within its limits, or an error that names the file. */
#include "base/assert.h"
#include "codec/word.h"
#include "codec/yaml.h"
#include "fuzz.h"

/* libfyaml 0.7.12 loses a buffer of 4 KiB after some syntax errors; what we allocate is still checked. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so";
}

/* Every getter, on every node; and each node stands where it says. */
static void check_node(const struct nx_yaml_node *node, size_t depth, size_t *count) {
    struct nx_error err = { 0 };
    struct nx_str text;
    uint64_t number;
    int64_t duration;
    double real;
    bool boolean;
    nx_assert(depth <= NX_YAML_DEPTH_MAX);
    nx_assert(++*count <= NX_YAML_NODES_MAX);
    nx_assert(node->line >= 1 && node->column >= 1);
    nx_assert(nx_str_is_utf8(node->text));
    if (nx_yaml_to_bool(node, &boolean, &err) != NX_OK) {
        nx_assert(nx_str_starts_with(nx_str_from_c(err.message), NX_STR("f.yaml:")));
    }
    nx_assert(nx_yaml_to_u64(node, 1, 1000, &number, &err) != NX_OK || (number >= 1 && number <= 1000));
    nx_assert(nx_yaml_to_double(node, 0, 1, &real, &err) != NX_OK || (real >= 0 && real <= 1));
    nx_assert(nx_yaml_to_size(node, &number, &err) != NX_OK || node->kind == NX_YAML_SCALAR);
    if (nx_yaml_to_duration(node, &duration, &err) == NX_OK) {
        nx_assert(duration >= 0);
    }
    if (nx_yaml_to_str(node, &text, &err) == NX_OK) {
        const char *const words[] = { "runtime", "timeout", "memory" };
        (void)nx_word_nearest(text, words, 3);
    }
    size_t members = 0;
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        check_node(child, depth + 1, count);
        members++;
    }
    nx_assert(members == node->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NX_AUTO(nx_yaml_doc) *doc = NULL;
    struct nx_error err = { 0 };
    size_t count = 0;
    if (nx_yaml_parse(NX_STR("f.yaml"), nx_str_of(data, size), &doc, &err) != NX_OK) {
        nx_assert(nx_str_starts_with(nx_str_from_c(err.message), NX_STR("f.yaml:")));
        return 0;
    }
    check_node(nx_yaml_root(doc), 0, &count);
    return 0;
}
