/* fuzz/json_fuzz.c: our scan and yyjson agree on what JSON is; what was parsed, written and parsed again is
 * the same; members cut out of the text are the ones of the tree; any bytes as a string make valid JSON. */
#include "base/assert.h"
#include "codec/json.h"
#include "fuzz.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

static void write_all(struct nx_buf *out, const struct nx_json_value *value) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_value(&writer, value);
    nx_json_writer_end(&writer);
    nx_assert(!nx_buf_failed(out));
}

/* Written, parsed and written again it has not changed. */
static void check_stable(const struct nx_json_value *root) {
    NX_AUTO(nx_json_doc) *again = NULL;
    NX_AUTO(nx_buf) first;
    NX_AUTO(nx_buf) second;
    nx_buf_init(&first, MEMORY_MAX);
    nx_buf_init(&second, MEMORY_MAX);
    write_all(&first, root);
    nx_assert(nx_json_parse(nx_buf_str(&first), MEMORY_MAX, &again, NULL) == NX_OK);
    write_all(&second, nx_json_root(again));
    nx_assert(nx_str_equal(nx_buf_str(&first), nx_buf_str(&second)));
}

static void check_members(struct nx_str text, const struct nx_json_value *root) {
    struct nx_json_members members = nx_json_members_of(text);
    struct nx_json_iterator iterator = nx_json_iterate(root);
    const struct nx_json_value *value;
    struct nx_str name, name_raw, value_raw;
    nx_assert(members.failed == (nx_json_kind(root) != NX_JSON_OBJECT));
    while (nx_json_members_next(&members, &name_raw, &value_raw)) {
        NX_AUTO(nx_buf) unescaped;
        nx_buf_init(&unescaped, MEMORY_MAX);
        nx_json_unescape(&unescaped, name_raw);
        nx_assert(nx_json_next(&iterator, &name, &value));
        nx_assert(nx_str_equal(nx_buf_str(&unescaped), name));
        nx_assert(nx_json_is_valid(value_raw));
    }
    if (nx_json_kind(root) == NX_JSON_OBJECT) {
        nx_assert(!members.failed);
        nx_assert(!nx_json_next(&iterator, &name, &value));
    }
}

static void check_any_string(struct nx_str bytes) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    NX_AUTO(nx_buf) out;
    struct nx_json_writer writer;
    struct nx_str text;
    nx_buf_init(&out, MEMORY_MAX);
    nx_json_writer_init(&writer, &out);
    nx_json_array_begin(&writer);
    nx_json_string(&writer, bytes);
    nx_json_array_end(&writer);
    nx_json_writer_end(&writer);
    nx_assert(nx_json_parse(nx_buf_str(&out), MEMORY_MAX, &doc, NULL) == NX_OK);
    nx_assert(nx_json_to_str(nx_json_lookup(nx_json_root(doc), NX_STR("0")), &text));
    nx_assert(!nx_str_is_utf8(bytes) || nx_str_equal(text, bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_str text = nx_str_of(data, size);
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_error err = { 0 };
    const bool valid = nx_json_is_valid(text);
    const enum nx_status status = nx_json_parse(text, MEMORY_MAX, &doc, &err);
    nx_assert((status == NX_OK) == valid);
    nx_assert(valid || err.message[0] == 'l'); /* our own "line …": yyjson refuses nothing that we let pass */
    if (valid) {
        check_stable(nx_json_root(doc));
        check_members(text, nx_json_root(doc));
    }
    check_any_string(text);
    return 0;
}
