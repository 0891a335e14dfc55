/* src/codec/yaml.c: libfyaml's events put together as our own tree, so that every limit is ours. */
#include "codec/yaml.h"

#include <stdarg.h>
#include <stdio.h>

#include <libfyaml.h>

#include "base/arena.h"
#include "base/assert.h"

enum {
    MEMORY_MAX = 64 * 1024 * 1024, /* bytes of a whole document; the limits on its parts keep it well below */
    MEMBERS_MAX = 2000             /* of one mapping, for each is compared with all before it */
};

struct nx_yaml_doc {
    struct nx_arena arena;
    struct nx_str file;
    const struct nx_yaml_node *root;
    const struct nx_yaml_node *duplicates;
};

/* A container that is being filled. */
struct level {
    struct nx_yaml_node *node;
    struct nx_yaml_node *last;
    bool has_key;
    struct nx_str key;
    uint32_t key_line;
    uint32_t key_column;
    uint32_t first_key_line; /* 0: the key is new */
};

struct build {
    struct nx_yaml_doc *doc;
    struct nx_str source;
    struct nx_yaml_node *root;
    struct level levels[NX_YAML_DEPTH_MAX];
    size_t depth;
    size_t node_count;
    size_t document_count;
    struct nx_yaml_node *last_duplicate;
    size_t duplicate_count;
    struct nx_error *err;
};

__attribute__((format(printf, 5, 0))) static enum nx_status fail_at_args(struct nx_error *err,
                                                                         struct nx_str file, uint32_t line,
                                                                         uint32_t column, const char *format,
                                                                         va_list args) {
    char message[sizeof err->message];
    (void)vsnprintf(message, sizeof message, format, args);
    return nx_fail(err, NX_INVALID_ARGUMENT, "%.*s:%u:%u: %s", NX_STR_ARG(file), line, column, message);
}

static enum nx_status fail_at(struct build *build, const struct fy_mark *mark, const char *format, ...)
    NX_PRINTF(3, 4);
static enum nx_status fail_at(struct build *build, const struct fy_mark *mark, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const enum nx_status status =
        fail_at_args(build->err, build->doc->file, mark == NULL ? 1 : (uint32_t)mark->line + 1,
                     mark == NULL ? 1 : (uint32_t)mark->column + 1, format, args);
    va_end(args);
    return status;
}

static struct level *top(struct build *build) {
    return build->depth == 0 ? NULL : &build->levels[build->depth - 1];
}

/* Behind the others of its container; a duplicate behind the other duplicates. */
static void link_node(struct build *build, struct level *level, struct nx_yaml_node *node) {
    if (node->first_key_line > 0) {
        if (build->last_duplicate == NULL) {
            build->doc->duplicates = node;
        } else {
            build->last_duplicate->next = node;
        }
        build->last_duplicate = node;
        return;
    }
    if (level->last == NULL) {
        level->node->first = node;
    } else {
        level->last->next = node;
    }
    level->last = node;
    level->node->count++;
}

/* A new node where one may stand now: as the root, an element, or the value of the pending key. */
static enum nx_status add_node(struct build *build, enum nx_yaml_kind kind, const struct fy_mark *mark,
                               struct nx_yaml_node **node_out) {
    struct level *level = top(build);
    if (++build->node_count > NX_YAML_NODES_MAX) {
        return fail_at(build, mark, "more than %d values", NX_YAML_NODES_MAX);
    }
    if (level != NULL && level->node->kind == NX_YAML_MAPPING && !level->has_key) {
        return fail_at(build, mark, "a key must be plain text, not %s", nx_yaml_kind_name(kind));
    }
    struct nx_yaml_node *node = nx_arena_alloc(&build->doc->arena, sizeof *node);
    if (node == NULL) {
        return nx_fail_memory(build->err);
    }
    node->kind = kind;
    node->text = NX_STR_EMPTY;
    node->key = NX_STR_EMPTY;
    node->line = mark == NULL ? 1 : (uint32_t)mark->line + 1;
    node->column = mark == NULL ? 1 : (uint32_t)mark->column + 1;
    node->doc = build->doc;
    if (level == NULL) {
        build->root = node;
    } else {
        if (level->node->kind == NX_YAML_MAPPING) {
            if (mark == NULL) { /* nothing stands there: point at the key */
                node->line = level->key_line;
                node->column = level->key_column;
            }
            node->key = level->key;
            node->key_line = level->key_line;
            node->key_column = level->key_column;
            node->first_key_line = level->first_key_line;
            level->has_key = false;
        } else if (mark == NULL) { /* an empty element: its list is what can be pointed at */
            node->line = level->last == NULL ? level->node->line : level->last->line;
            node->column = level->last == NULL ? level->node->column : level->last->column;
        }
        link_node(build, level, node);
    }
    *node_out = node;
    return NX_OK;
}

static enum nx_status add_key(struct build *build, struct nx_str key, const struct fy_mark *mark) {
    struct level *level = top(build);
    nx_assert(level != NULL); /* a key stands in a mapping */
    if (level->node->count == MEMBERS_MAX) {
        return fail_at(build, mark, "more than %d keys in one mapping", MEMBERS_MAX);
    }
    if (nx_str_is(key, "<<")) {
        return fail_at(build, mark, "merge keys are not supported");
    }
    level->first_key_line = 0;
    for (const struct nx_yaml_node *node = level->node->first; node != NULL; node = node->next) {
        if (nx_str_equal(node->key, key)) {
            level->first_key_line = node->key_line;
            break;
        }
    }
    if (level->first_key_line > 0 && ++build->duplicate_count > NX_YAML_DUPLICATES_MAX) {
        return fail_at(build, mark, "more than %d keys are given twice", NX_YAML_DUPLICATES_MAX);
    }
    level->key = key;
    level->key_line = mark == NULL ? 1 : (uint32_t)mark->line + 1;
    level->key_column = mark == NULL ? 1 : (uint32_t)mark->column + 1;
    level->has_key = true;
    return NX_OK;
}

/* libfyaml's mark of a quoted scalar is that of its first character, not of the quote. */
static bool mark_is_behind_quote(struct fy_token *token) {
    const enum fy_scalar_style style = token == NULL ? FYSS_PLAIN : fy_token_scalar_style(token);
    return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

/* libfyaml 0.7.12 counts the bytes of a text once and writes them another time. Where the two differ it loses
 * some, or gives what was in memory before: with an escaped space that ends a line of double quotes, in a
 * folded text with lines that are indented further behind an empty one, and so on. Its third way, piece by
 * piece, tells. */
static bool is_certain(struct fy_token *token, size_t len) {
    struct fy_token_iter *pieces = fy_token_iter_create(token);
    const struct fy_iter_chunk *piece = NULL;
    size_t sum = 0;
    int failed = pieces == NULL ? -1 : 0;
    while (pieces != NULL && (piece = fy_token_iter_chunk_next(pieces, piece, &failed)) != NULL) {
        sum += piece->len;
    }
    fy_token_iter_destroy(pieces);
    return failed == 0 && sum == len;
}

static bool is_break(char c) {
    return c == '\n' || c == '\r';
}

static bool is_blank_or_break(char c) {
    return c == ' ' || c == '\t' || is_break(c);
}

/* The blanks and line breaks at `*at`, folded (YAML 1.2, §6.5): one break is a space, of more the first
 * counts for nothing; blanks beside a break neither. Returns where `out` ends then. */
static char *fold(struct nx_str text, size_t *at, char *out) {
    const size_t start = *at;
    size_t breaks = 0;
    size_t i = start;
    for (; i < text.len && is_blank_or_break(text.ptr[i]); i++) {
        const bool is_second = text.ptr[i] == '\n' && i > start && text.ptr[i - 1] == '\r';
        breaks += is_break(text.ptr[i]) && !is_second ? 1 : 0;
    }
    *at = i;
    if (breaks == 0) {
        memcpy(out, text.ptr + start, i - start);
        return out + (i - start);
    }
    const size_t count = breaks == 1 ? 1 : breaks - 1;
    memset(out, breaks == 1 ? ' ' : '\n', count);
    return out + count;
}

/* What stands between single quotes: libfyaml counts wrongly where many of them are doubled. */
static struct nx_str read_single_quoted(struct build *build, struct nx_str text) {
    char *bytes = nx_arena_alloc(&build->doc->arena, text.len + 1);
    char *out = bytes;
    size_t i = 0;
    while (bytes != NULL && i < text.len) {
        if (is_blank_or_break(text.ptr[i])) {
            out = fold(text, &i, out);
            continue;
        }
        i += text.ptr[i] == '\'' ? 1 : 0; /* the first of two */
        if (i < text.len) {
            *out++ = text.ptr[i++];
        }
    }
    return bytes == NULL ? (struct nx_str){ 0 } : nx_str_of(bytes, (size_t)(out - bytes));
}

/* The text of a scalar, in the arena. */
static enum nx_status read_text(struct build *build, struct fy_token *token, const struct fy_mark *mark,
                                struct nx_str *text_out) {
    size_t len = 0;
    const char *text = token == NULL ? "" : fy_token_get_text(token, &len);
    const struct fy_mark *start = token == NULL ? NULL : fy_token_start_mark(token);
    const struct fy_mark *end = token == NULL ? NULL : fy_token_end_mark(token);
    if (start != NULL && end != NULL && fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED) {
        *text_out = read_single_quoted(build, nx_str_slice(build->source, start->input_pos, end->input_pos));
    } else if (text != NULL && token != NULL && !is_certain(token, len)) {
        return fail_at(build, mark,
                       "this text cannot be read for certain: write it in another style, such as |");
    } else {
        *text_out =
            text == NULL ? (struct nx_str){ 0 } : nx_arena_copy(&build->doc->arena, nx_str_of(text, len));
    }
    return text_out->ptr == NULL ? nx_fail_memory(build->err) : NX_OK;
}

static enum nx_status add_scalar(struct build *build, struct fy_event *event) {
    const struct fy_mark *mark = fy_event_start_mark(event);
    struct fy_token *token = event->scalar.value;
    struct nx_str copy;
    NX_TRY(read_text(build, token, mark, &copy));
    const bool is_quoted = token != NULL && fy_token_scalar_style(token) != FYSS_PLAIN;
    const bool is_behind_quote = mark_is_behind_quote(token);
    struct level *level = top(build);
    if (level != NULL && level->node->kind == NX_YAML_MAPPING && !level->has_key) {
        NX_TRY(add_key(build, copy, mark));
        level->key_column -= is_behind_quote && level->key_column > 1 ? 1 : 0;
        return NX_OK;
    }
    struct nx_yaml_node *node = NULL;
    NX_TRY(add_node(build, NX_YAML_SCALAR, copy.len == 0 && !is_quoted ? NULL : mark, &node));
    node->text = copy;
    node->is_quoted = is_quoted;
    node->column -= is_behind_quote && node->column > 1 ? 1 : 0;
    return NX_OK;
}

static enum nx_status open_level(struct build *build, enum nx_yaml_kind kind, const struct fy_mark *mark) {
    struct nx_yaml_node *node = NULL;
    if (build->depth == NX_YAML_DEPTH_MAX) {
        return fail_at(build, mark, "nested more than %d levels deep", NX_YAML_DEPTH_MAX);
    }
    NX_TRY(add_node(build, kind, mark, &node));
    build->levels[build->depth++] = (struct level){ .node = node };
    return NX_OK;
}

/* What would let a small file stand for something else or something large. */
static enum nx_status refuse_extras(struct build *build, struct fy_event *event,
                                    const struct fy_token *anchor, const struct fy_token *tag) {
    if (anchor != NULL) {
        return fail_at(build, fy_event_start_mark(event), "anchors and aliases are not supported");
    }
    if (tag != NULL) {
        return fail_at(build, fy_event_start_mark(event), "tags are not supported");
    }
    return NX_OK;
}

static enum nx_status take_event(struct build *build, struct fy_event *event) {
    switch (event->type) {
    case FYET_DOCUMENT_START:
        return build->document_count++ == 0
                   ? NX_OK
                   : fail_at(build, fy_event_start_mark(event), "a second document in one file");
    case FYET_ALIAS:
        return fail_at(build, fy_event_start_mark(event), "anchors and aliases are not supported");
    case FYET_SCALAR:
        NX_TRY(refuse_extras(build, event, event->scalar.anchor, event->scalar.tag));
        return add_scalar(build, event);
    case FYET_SEQUENCE_START:
        NX_TRY(refuse_extras(build, event, event->sequence_start.anchor, event->sequence_start.tag));
        return open_level(build, NX_YAML_SEQUENCE, fy_event_start_mark(event));
    case FYET_MAPPING_START:
        NX_TRY(refuse_extras(build, event, event->mapping_start.anchor, event->mapping_start.tag));
        return open_level(build, NX_YAML_MAPPING, fy_event_start_mark(event));
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        nx_assert(build->depth > 0);
        build->depth--;
        return NX_OK;
    default:
        return NX_OK;
    }
}

/* libfyaml's own complaint, at the place that it names. */
static enum nx_status report(struct build *build, struct fy_diag *diag) {
    void *cursor = NULL;
    const struct fy_diag_error *problem = fy_diag_errors_iterate(diag, &cursor);
    if (problem == NULL || problem->msg == NULL) {
        return nx_fail(build->err, NX_INVALID_ARGUMENT, "%.*s: not valid YAML", NX_STR_ARG(build->doc->file));
    }
    const uint32_t line = problem->line < 1 ? 1 : (uint32_t)problem->line;
    const uint32_t column = problem->column < 1 ? 1 : (uint32_t)problem->column;
    return nx_fail(build->err, NX_INVALID_ARGUMENT, "%.*s:%u:%u: %s", NX_STR_ARG(build->doc->file), line,
                   column, problem->msg);
}

static enum nx_status run_parser(struct build *build, struct fy_parser *parser) {
    for (;;) {
        struct fy_event *event = fy_parser_parse(parser);
        if (event == NULL) {
            return fy_parser_get_stream_error(parser) ? NX_INVALID_ARGUMENT : NX_OK;
        }
        const enum nx_status status = take_event(build, event);
        fy_parser_event_free(parser, event);
        NX_TRY(status);
    }
}

static enum nx_status build_tree(struct build *build, struct nx_str text) {
    struct nx_error *err = build->err;
    struct nx_error found = { 0 };
    struct fy_diag_cfg diag_config = { .level = FYET_ERROR };
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (diag == NULL) {
        return nx_fail_memory(err);
    }
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg config = { .search_path = "",
                                         .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
                                                  FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE |
                                                  FYPCF_DISABLE_MMAP_OPT,
                                         .diag = diag };
    struct fy_parser *parser = fy_parser_create(&config);
    if (parser == NULL || fy_parser_set_string(parser, text.ptr, text.len) != 0) {
        fy_parser_destroy(parser);
        fy_diag_destroy(diag);
        return nx_fail_memory(err);
    }
    build->err = &found; /* stays empty when it is the parser that fails */
    enum nx_status status = run_parser(build, parser);
    build->err = err;
    if (status != NX_OK && found.status == NX_OK) {
        status = report(build, diag);
    } else if (status != NX_OK && err != NULL) {
        *err = found;
    }
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return status;
}

/* libfyaml reads a long line of percent signs in quadratic time; nothing needs them in front. */
static enum nx_status refuse_directives(struct nx_str file, struct nx_str text, struct nx_error *err) {
    struct nx_str line;
    for (size_t number = 1; nx_str_split(&text, '\n', &line); number++) {
        if (nx_str_starts_with(line, NX_STR("%"))) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "%.*s:%zu:1: directives are not supported",
                           NX_STR_ARG(file), number);
        }
    }
    return NX_OK;
}

enum nx_status nx_yaml_parse(struct nx_str file, struct nx_str text, struct nx_yaml_doc **doc_out,
                             struct nx_error *err) {
    if (text.len > NX_YAML_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "%.*s: larger than %d bytes", NX_STR_ARG(file),
                            NX_YAML_SIZE_MAX);
    }
    NX_AUTO(nx_yaml_doc) *doc = calloc(1, sizeof *doc);
    if (doc == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&doc->arena, MEMORY_MAX);
    doc->file = nx_arena_copy(&doc->arena, file);
    const struct nx_str copy = nx_arena_copy(&doc->arena, text); /* the parser wants it to stay */
    if (doc->file.ptr == NULL || copy.ptr == NULL) {
        return nx_fail_memory(err);
    }
    struct build build = { .doc = doc, .source = copy, .err = err };
    const size_t valid = nx_str_utf8_prefix(text);
    const size_t nul = nx_str_find_byte(text, '\0');
    if (valid != text.len || nul != SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "%.*s: byte %zu is not UTF-8 text", NX_STR_ARG(file),
                       valid != text.len ? valid : nul);
    }
    NX_TRY(refuse_directives(file, copy, err));
    if (copy.len > 0) {
        NX_TRY(build_tree(&build, copy));
    }
    if (build.root == NULL || nx_yaml_is_null(build.root)) { /* nothing but comments */
        build.root = NULL;
        build.depth = 0;
        NX_TRY(add_node(&build, NX_YAML_MAPPING, NULL, &build.root));
    }
    doc->root = build.root;
    *doc_out = NX_TAKE(doc);
    return NX_OK;
}

void nx_yaml_doc_free(struct nx_yaml_doc *doc) {
    if (doc == NULL) {
        return;
    }
    nx_arena_fini(&doc->arena);
    free(doc);
}

const struct nx_yaml_node *nx_yaml_root(const struct nx_yaml_doc *doc) {
    return doc->root;
}

struct nx_str nx_yaml_file(const struct nx_yaml_doc *doc) {
    return doc->file;
}

const struct nx_yaml_node *nx_yaml_duplicates(const struct nx_yaml_doc *doc) {
    return doc->duplicates;
}

enum nx_status nx_yaml_fail(struct nx_error *err, const struct nx_yaml_node *node, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const enum nx_status status = fail_at_args(err, node->doc->file, node->line, node->column, format, args);
    va_end(args);
    return status;
}

enum nx_status nx_yaml_fail_at_key(struct nx_error *err, const struct nx_yaml_node *node, const char *format,
                                   ...) {
    va_list args;
    const bool has_key = node->key_line > 0;
    va_start(args, format);
    const enum nx_status status = fail_at_args(err, node->doc->file, has_key ? node->key_line : node->line,
                                               has_key ? node->key_column : node->column, format, args);
    va_end(args);
    return status;
}
