/* src/codec/nats_config.c: see nats_config.h. A descent over the bytes of one input after the other, its
 * depth and everything that it makes counted against the limits. */
#include "codec/nats_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "codec/hex.h"
#include "base/assert.h"
#include "codec/nats_config_internal.h"

enum {
    MEMORY_MAX = 128 * 1024 * 1024, /* bytes of a whole configuration; the limits keep it well below */
    PATH_SIZE_MAX = 4096,
    NAME_SIZE_MAX = 256, /* bytes of a variable's name */
    SHOWN_MAX = 64,      /* bytes of foreign text in a message */
};

struct nx_nats_config {
    struct nx_arena arena;
    struct nx_nats_node *root;
};

struct parse {
    struct nx_nats_config *config;
    const struct nx_nats_config_source *source;
    size_t node_count;
    size_t include_count;
    size_t depth;   /* of maps and lists */
    size_t nesting; /* of inputs */
    struct nx_error *err;
};

/* One file, or the value of one variable. */
struct input {
    const struct input *outer; /* the one that includes it, or uses the variable */
    struct nx_str name;        /* "server.conf", "$TOKEN" */
    const char *path;          /* of a file; NULL: a variable */
    struct nx_str text;
    size_t offset; /* of the next byte */
    uint32_t line;
    size_t line_start;
};

/* The maps that are open, innermost first: where a variable is looked for. */
struct scope {
    const struct scope *outer;
    struct nx_nats_node *map;
};

struct place {
    uint32_t line;
    uint32_t column;
};

/* Places and failures */

static struct place here(const struct input *input) {
    return (struct place){ .line = input->line, .column = (uint32_t)(input->offset - input->line_start) + 1 };
}

static enum nx_status fail_at(struct parse *parse, const struct input *input, struct place place,
                              const char *format, ...) NX_PRINTF(4, 5);
static enum nx_status fail_at(struct parse *parse, const struct input *input, struct place place,
                              const char *format, ...) {
    char message[sizeof parse->err->message];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return nx_fail(parse->err, NX_INVALID_ARGUMENT, "%.*s:%u:%u: %s", NX_STR_ARG(input->name), place.line,
                   place.column, message);
}

static enum nx_status fail_too_large(struct parse *parse, const struct input *input, struct place place,
                                     size_t limit, const char *what) {
    return nx_fail_kind(parse->err, NX_KIND_TOO_LARGE, "%.*s:%u:%u: more than %zu %s",
                        NX_STR_ARG(input->name), place.line, place.column, limit, what);
}

/* Neither returns NX_OK, which analyzers do not see through all their callers. */
#define fail_at(...) nx_status_of_failure(fail_at(__VA_ARGS__))
#define fail_too_large(...) nx_status_of_failure(fail_too_large(__VA_ARGS__))

/* For a message of one line. */
static struct nx_str shown(struct nx_str text) {
    struct nx_str cut = nx_str_slice(text, 0, SHOWN_MAX);
    cut.len = nx_str_utf8_prefix(cut);
    for (size_t i = 0; i < cut.len; i++) {
        if ((unsigned char)cut.ptr[i] < ' ') {
            cut.len = i;
        }
    }
    return cut;
}

/* What stands at the front, for "but found …". */
static const char *found(const struct input *input, char text_out[8]) {
    const unsigned char c =
        input->offset < input->text.len ? (unsigned char)input->text.ptr[input->offset] : 0;
    if (input->offset >= input->text.len) {
        return "the end of the file";
    }
    if (c == '\n' || c == '\r') {
        return "the end of the line";
    }
    (void)snprintf(text_out, 8, c < 0x20 || c >= 0x7f ? "\\x%02x" : "'%c'", c);
    return text_out;
}

/* Bytes */

static bool at_end(const struct input *input) {
    return input->offset >= input->text.len;
}

/* 0 at the end; there is no NUL in the text. */
static char peek(const struct input *input) {
    return at_end(input) ? '\0' : input->text.ptr[input->offset];
}

static char peek_second(const struct input *input) {
    return input->offset + 1 < input->text.len ? input->text.ptr[input->offset + 1] : '\0';
}

static void advance(struct input *input) {
    if (input->text.ptr[input->offset++] == '\n') {
        input->line++;
        input->line_start = input->offset;
    }
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}

static bool is_space(char c) {
    return is_blank(c) || is_line_end(c) || c == '\v' || c == '\f';
}

static bool is_comment(const struct input *input) {
    return peek(input) == '#' || (peek(input) == '/' && peek_second(input) == '/');
}

static void skip_blanks(struct input *input) {
    while (is_blank(peek(input))) {
        advance(input);
    }
}

static void skip_spaces(struct input *input) {
    while (is_space(peek(input))) {
        advance(input);
    }
}

static void skip_comment(struct input *input) {
    while (!at_end(input) && !is_line_end(peek(input))) {
        advance(input);
    }
}

static void skip_spaces_and_comments(struct input *input) {
    skip_spaces(input);
    while (is_comment(input)) {
        skip_comment(input);
        skip_spaces(input);
    }
}

/* Nodes */

static enum nx_status new_node(struct parse *parse, const struct input *input, struct place place,
                               enum nx_nats_node_kind kind, struct nx_nats_node **node_out) {
    if (++parse->node_count > NX_NATS_CONFIG_NODES_MAX) {
        return fail_too_large(parse, input, place, NX_NATS_CONFIG_NODES_MAX, "values");
    }
    struct nx_nats_node *node = nx_arena_alloc(&parse->config->arena, sizeof *node);
    if (node == NULL) {
        return nx_fail_memory(parse->err);
    }
    *node = (struct nx_nats_node){ .kind = kind,
                                   .text = NX_STR_EMPTY,
                                   .key = NX_STR_EMPTY,
                                   .file = input->name,
                                   .line = place.line,
                                   .column = place.column };
    *node_out = node;
    return NX_OK;
}

static void append_node(struct nx_nats_node *container, struct nx_nats_node *node) {
    if (container->last == NULL) {
        container->first = node;
    } else {
        container->last->next = node;
    }
    container->last = node;
    container->count++;
}

static void remove_node(struct nx_nats_node *container, struct nx_nats_node *before,
                        struct nx_nats_node *node) {
    *(before == NULL ? &container->first : &before->next) = node->next;
    if (container->last == node) {
        container->last = before;
    }
    node->next = NULL;
    container->count--;
}

/* The value takes the place of an earlier one of the same name. */
static enum nx_status set_member(struct parse *parse, const struct input *input, struct nx_nats_node *map,
                                 struct nx_nats_node *node) {
    struct nx_nats_node *before = NULL;
    for (struct nx_nats_node *at = map->first; at != NULL; before = at, at = at->next) {
        if (nx_str_equal(at->key, node->key)) {
            node->is_used = node->is_used || at->is_used;
            remove_node(map, before, at);
            break;
        }
    }
    if (map->count == NX_NATS_CONFIG_MEMBERS_MAX) {
        return fail_too_large(parse, input, (struct place){ node->line, node->column },
                              NX_NATS_CONFIG_MEMBERS_MAX, "keys in one map");
    }
    append_node(map, node);
    return NX_OK;
}

static enum nx_status enter(struct parse *parse, const struct input *input) {
    if (parse->depth == NX_NATS_CONFIG_DEPTH_MAX) {
        return fail_too_large(parse, input, here(input), NX_NATS_CONFIG_DEPTH_MAX,
                              "levels inside each other");
    }
    parse->depth++;
    return NX_OK;
}

/* A value of its own with everything in it: what a variable stands for, at the place where it is used. */
static enum nx_status copy_node(struct parse *parse, const struct input *input, struct place place,
                                const struct nx_nats_node *from, struct nx_nats_node **node_out) {
    struct nx_nats_node *node = NULL;
    NX_TRY(enter(parse, input));
    NX_TRY(new_node(parse, input, place, from->kind, &node));
    nx_assert(node != NULL);
    node->boolean = from->boolean;
    node->integer = from->integer;
    node->has_suffix = from->has_suffix;
    node->real = from->real;
    node->text = from->text;
    for (const struct nx_nats_node *child = from->first; child != NULL; child = child->next) {
        struct nx_nats_node *copy = NULL;
        NX_TRY(copy_node(parse, input, place, child, &copy));
        copy->key = child->key;
        append_node(node, copy);
    }
    parse->depth--;
    *node_out = node;
    return NX_OK;
}

/* Values */

static enum nx_status parse_value(struct parse *parse, struct input *input, const struct scope *scope,
                                  struct nx_nats_node **node_out);
static enum nx_status parse_members(struct parse *parse, struct input *input, const struct scope *scope,
                                    struct place opened);

static enum nx_status set_text(struct parse *parse, struct nx_nats_node *node, struct nx_str text) {
    node->text = nx_arena_copy(&parse->config->arena, text);
    return node->text.ptr == NULL ? nx_fail_memory(parse->err) : NX_OK;
}

/* Behind a backslash: append what it stands for. */
static enum nx_status parse_escape(struct parse *parse, struct input *input, struct nx_buf *text) {
    static const char letters[] = "tnr\"\\";
    static const char meanings[] = "\t\n\r\"\\";
    const struct place place = here(input);
    advance(input);
    const char c = peek(input);
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    if (letter != NULL) {
        nx_buf_append_u8(text, (uint8_t)meanings[letter - letters]);
        advance(input);
        return NX_OK;
    }
    const int high = c == 'x' ? nx_hex_digit(peek_second(input)) : -1;
    const int low = high >= 0 && input->offset + 2 < input->text.len
                        ? nx_hex_digit(input->text.ptr[input->offset + 2])
                        : -1;
    if (low < 0) {
        return fail_at(parse, input, place,
                       "expected one of \\t, \\n, \\r, \\\", \\\\ and \\x with two hexadecimal digits");
    }
    nx_buf_append_u8(text, (uint8_t)(high * 16 + low));
    for (size_t i = 0; i < 3; i++) {
        advance(input);
    }
    return NX_OK;
}

/* 'as it is', or "with \"escapes\""; over several lines too. */
static enum nx_status parse_quoted(struct parse *parse, struct input *input, struct nx_nats_node **node_out) {
    const struct place place = here(input);
    const char quote = peek(input);
    NX_AUTO(nx_buf) text = { 0 };
    nx_buf_init(&text, NX_NATS_CONFIG_SIZE_MAX);
    advance(input);
    while (!at_end(input) && peek(input) != quote) {
        if (quote == '"' && peek(input) == '\\') {
            NX_TRY(parse_escape(parse, input, &text));
        } else {
            nx_buf_append_u8(&text, (uint8_t)peek(input));
            advance(input);
        }
    }
    if (at_end(input)) {
        return fail_at(parse, input, place, "the string that begins here has no end");
    }
    advance(input);
    NX_TRY(nx_buf_check(&text, parse->err));
    NX_TRY(new_node(parse, input, place, NX_NATS_NODE_STRING, node_out));
    return set_text(parse, *node_out, nx_buf_str(&text));
}

/* From "(" to a line that is only ")". */
static enum nx_status parse_block(struct parse *parse, struct input *input, struct nx_nats_node **node_out) {
    const struct place place = here(input);
    advance(input);
    const size_t start = input->offset;
    for (; !at_end(input); advance(input)) {
        const char after = peek_second(input);
        if (peek(input) == ')' && input->offset == input->line_start &&
            (after == '\0' || is_line_end(after))) {
            const struct nx_str text = nx_str_slice(input->text, start, input->offset);
            advance(input);
            NX_TRY(new_node(parse, input, place, NX_NATS_NODE_STRING, node_out));
            return set_text(parse, *node_out, text);
        }
    }
    return fail_at(parse, input, place, "the block that begins here has no end: a line that is only ')'");
}

static enum nx_status parse_list(struct parse *parse, struct input *input, const struct scope *scope,
                                 struct nx_nats_node **node_out) {
    const struct place place = here(input);
    char text[8];
    NX_TRY(enter(parse, input));
    NX_TRY(new_node(parse, input, place, NX_NATS_NODE_LIST, node_out));
    advance(input);
    for (;;) {
        skip_spaces_and_comments(input);
        if (at_end(input)) {
            return fail_at(parse, input, place, "the list that begins here has no end: ']'");
        }
        if (peek(input) == ']') {
            break;
        }
        struct nx_nats_node *value = NULL;
        NX_TRY(parse_value(parse, input, scope, &value));
        append_node(*node_out, value);
        skip_blanks(input);
        if (peek(input) == ',') {
            advance(input);
        } else if (peek(input) != ']' && !at_end(input) && !is_line_end(peek(input)) && !is_comment(input)) {
            return fail_at(parse, input, here(input),
                           "expected ',' or ']' behind a value of a list but found %s", found(input, text));
        }
    }
    advance(input);
    parse->depth--;
    return NX_OK;
}

static enum nx_status parse_map(struct parse *parse, struct input *input, const struct scope *scope,
                                struct nx_nats_node **node_out) {
    const struct place place = here(input);
    NX_TRY(enter(parse, input));
    NX_TRY(new_node(parse, input, place, NX_NATS_NODE_MAP, node_out));
    advance(input);
    NX_TRY(parse_members(parse, input, &(struct scope){ .outer = scope, .map = *node_out }, place));
    advance(input);
    parse->depth--;
    return NX_OK;
}

static enum nx_status parse_variable(struct parse *parse, const struct input *input,
                                     const struct scope *scope, struct place place, struct nx_str name,
                                     struct nx_nats_node **node_out);

/* What a word without quotes is. */
static enum nx_status classify(struct parse *parse, struct input *input, const struct scope *scope,
                               struct place place, struct nx_str word, struct nx_nats_node **node_out) {
    if (nx_str_starts_with(word, NX_STR("$")) && !nx_str_starts_with(word, NX_STR("$2a$"))) {
        return parse_variable(parse, input, scope, place, nx_str_slice(word, 1, word.len), node_out);
    }
    NX_TRY(new_node(parse, input, place, NX_NATS_NODE_STRING, node_out));
    nx_assert(*node_out != NULL);
    if (!nx_nats_word_read(word, *node_out)) {
        return fail_at(parse, input, place, "the number %.*s is too large", NX_STR_ARG(shown(word)));
    }
    return (*node_out)->kind == NX_NATS_NODE_STRING ? set_text(parse, *node_out, word) : NX_OK;
}

static bool ends_word(char c) {
    return c == '\0' || is_space(c) || c == ',' || c == ';' || c == ']' || c == '}';
}

static enum nx_status parse_word(struct parse *parse, struct input *input, const struct scope *scope,
                                 struct nx_nats_node **node_out) {
    const struct place place = here(input);
    const size_t start = input->offset;
    bool has_escapes = false;
    char text[8];
    NX_AUTO(nx_buf) unescaped = { 0 };
    nx_buf_init(&unescaped, NX_NATS_CONFIG_SIZE_MAX);
    while (!ends_word(peek(input))) {
        if (peek(input) == '\\') {
            has_escapes = true;
            NX_TRY(parse_escape(parse, input, &unescaped));
        } else if (peek(input) == '\'') {
            return fail_at(parse, input, here(input),
                           "a quote inside a word: put the whole in double quotes");
        } else {
            nx_buf_append_u8(&unescaped, (uint8_t)peek(input));
            advance(input);
        }
    }
    if (input->offset == start) {
        return fail_at(parse, input, place, "expected a value but found %s", found(input, text));
    }
    if (!has_escapes) {
        return classify(parse, input, scope, place, nx_str_slice(input->text, start, input->offset),
                        node_out);
    }
    NX_TRY(nx_buf_check(&unescaped, parse->err));
    NX_TRY(new_node(parse, input, place, NX_NATS_NODE_STRING, node_out));
    return set_text(parse, *node_out, nx_buf_str(&unescaped));
}

static enum nx_status parse_value(struct parse *parse, struct input *input, const struct scope *scope,
                                  struct nx_nats_node **node_out) {
    switch (peek(input)) {
    case '{':
        return parse_map(parse, input, scope, node_out);
    case '[':
        return parse_list(parse, input, scope, node_out);
    case '(':
        return parse_block(parse, input, node_out);
    case '"':
    case '\'':
        return parse_quoted(parse, input, node_out);
    default:
        return parse_word(parse, input, scope, node_out);
    }
}

/* Inputs */

/* What a variable or a file holds must be text, so that places in it can be shown. */
static enum nx_status check_text(struct parse *parse, const struct input *input) {
    const size_t valid = nx_str_utf8_prefix(input->text);
    const size_t nul = nx_str_find_byte(input->text, '\0');
    if (input->text.len > NX_NATS_CONFIG_SIZE_MAX) {
        return nx_fail_kind(parse->err, NX_KIND_TOO_LARGE, "%.*s: larger than %d bytes",
                            NX_STR_ARG(input->name), NX_NATS_CONFIG_SIZE_MAX);
    }
    if (valid == input->text.len && nul == SIZE_MAX) {
        return NX_OK;
    }
    return nx_fail(parse->err, NX_INVALID_ARGUMENT, "%.*s: byte %zu is not UTF-8 text",
                   NX_STR_ARG(input->name), nul < valid ? nul : valid);
}

/* The name for messages outlives the input: nodes point to it. */
static enum nx_status open_input(struct parse *parse, const struct input *outer, struct nx_str name,
                                 struct input *input) {
    *input = (struct input){ .outer = outer, .line = 1, .text = NX_STR_EMPTY };
    input->name = nx_arena_copy(&parse->config->arena, name);
    return input->name.ptr == NULL ? nx_fail_memory(parse->err) : NX_OK;
}

/* One value and nothing behind it, as if it stood in the file. */
static enum nx_status parse_environment(struct parse *parse, const struct input *user, struct place place,
                                        const char *name, struct nx_nats_node **node_out) {
    const struct nx_nats_config_source *source = parse->source;
    const char *value = source->variable == NULL ? NULL : source->variable(source->data, name);
    struct input input;
    char shown_name[NAME_SIZE_MAX + 1];
    if (value == NULL) {
        return fail_at(parse, user, place,
                       "the variable '%s' is neither a key above nor set in the environment", name);
    }
    (void)snprintf(shown_name, sizeof shown_name, "$%s", name);
    NX_TRY(open_input(parse, user, nx_str_from_c(shown_name), &input));
    for (const struct input *at = user; at != NULL; at = at->outer) {
        if (at->path == NULL && nx_str_equal(at->name, input.name)) {
            return fail_at(parse, user, place, "the variable '%s' stands for itself", name);
        }
    }
    if (parse->nesting == NX_NATS_CONFIG_NESTING_MAX) {
        return fail_too_large(parse, user, place, NX_NATS_CONFIG_NESTING_MAX, "variables inside each other");
    }
    input.text = nx_arena_copy(&parse->config->arena, nx_str_from_c(value));
    if (input.text.ptr == NULL) {
        return nx_fail_memory(parse->err);
    }
    NX_TRY(check_text(parse, &input));
    skip_spaces(&input);
    if (at_end(&input)) {
        return new_node(parse, &input, here(&input), NX_NATS_NODE_STRING, node_out);
    }
    parse->nesting++;
    NX_TRY(parse_value(parse, &input, NULL, node_out));
    parse->nesting--;
    skip_spaces_and_comments(&input);
    if (!at_end(&input)) {
        return fail_at(parse, &input, here(&input),
                       "expected one value; text with spaces needs quotes inside the variable");
    }
    return NX_OK;
}

static enum nx_status parse_variable(struct parse *parse, const struct input *input,
                                     const struct scope *scope, struct place place, struct nx_str name,
                                     struct nx_nats_node **node_out) {
    char c_name[NAME_SIZE_MAX];
    for (; scope != NULL; scope = scope->outer) {
        for (struct nx_nats_node *node = scope->map->first; node != NULL; node = node->next) {
            if (nx_str_equal(node->key, name)) {
                node->is_used = true;
                return copy_node(parse, input, place, node, node_out);
            }
        }
    }
    if (name.len == 0 || name.len >= sizeof c_name) {
        return fail_at(parse, input, place, "expected the name of a variable behind '$'");
    }
    (void)snprintf(c_name, sizeof c_name, "%.*s", NX_STR_ARG(name));
    return parse_environment(parse, input, place, c_name, node_out);
}

static enum nx_status parse_file(struct parse *parse, const struct input *outer, const char *path,
                                 struct nx_nats_node *map) {
    NX_AUTO(nx_buf) content = { 0 };
    struct input input;
    nx_buf_init(&content, NX_NATS_CONFIG_SIZE_MAX);
    NX_TRY(parse->source->read(parse->source->data, path, &content, parse->err));
    NX_TRY(open_input(parse, outer, nx_str_from_c(path), &input));
    input.path = input.name.ptr;
    input.text = nx_buf_str(&content);
    NX_TRY(check_text(parse, &input));
    /* The whole may stand in braces, as JSON does. */
    skip_spaces_and_comments(&input);
    const struct place place = here(&input);
    const struct scope scope = { .map = map };
    if (peek(&input) != '{') {
        return parse_members(parse, &input, &scope, (struct place){ 0 });
    }
    char text[8];
    advance(&input);
    NX_TRY(parse_members(parse, &input, &scope, place));
    advance(&input);
    skip_spaces_and_comments(&input);
    if (!at_end(&input)) {
        return fail_at(parse, &input, here(&input), "expected nothing behind the last '}' but found %s",
                       found(&input, text));
    }
    return NX_OK;
}

/* `path` beside the file that includes it. */
static enum nx_status join_path(struct parse *parse, const struct input *input, struct place place,
                                struct nx_str path, char path_out[PATH_SIZE_MAX]) {
    const struct nx_str from = nx_str_from_c(input->path);
    size_t folder = from.len;
    while (folder > 0 && from.ptr[folder - 1] != '/') {
        folder--;
    }
    folder = path.len > 0 && path.ptr[0] == '/' ? 0 : folder;
    if (path.len == 0 || folder + path.len >= PATH_SIZE_MAX) {
        return fail_at(parse, input, place, "expected the path of a file behind 'include'");
    }
    (void)snprintf(path_out, PATH_SIZE_MAX, "%.*s%.*s", (int)folder, from.ptr, NX_STR_ARG(path));
    return NX_OK;
}

/* Behind the word: the members of another file become the map's. */
static enum nx_status parse_include(struct parse *parse, struct input *input, struct nx_nats_node *map,
                                    struct place place) {
    struct nx_nats_node *node = NULL;
    char path[PATH_SIZE_MAX];
    skip_blanks(input);
    if (input->path == NULL) {
        return fail_at(parse, input, place, "a variable cannot include a file");
    }
    if (peek(input) == '"' || peek(input) == '\'') {
        NX_TRY(parse_quoted(parse, input, &node));
    } else {
        const size_t start = input->offset;
        while (!ends_word(peek(input))) {
            advance(input);
        }
        NX_TRY(new_node(parse, input, place, NX_NATS_NODE_STRING, &node));
        NX_TRY(set_text(parse, node, nx_str_slice(input->text, start, input->offset)));
    }
    NX_TRY(join_path(parse, input, place, node->text, path));
    for (const struct input *at = input; at != NULL; at = at->outer) {
        if (at->path != NULL && strcmp(at->path, path) == 0) {
            return fail_at(parse, input, place, "'%s' includes itself", path);
        }
    }
    if (++parse->include_count > NX_NATS_CONFIG_INCLUDES_MAX) {
        return fail_too_large(parse, input, place, NX_NATS_CONFIG_INCLUDES_MAX, "includes");
    }
    if (parse->nesting == NX_NATS_CONFIG_NESTING_MAX) {
        return fail_too_large(parse, input, place, NX_NATS_CONFIG_NESTING_MAX, "includes inside each other");
    }
    struct nx_nats_node *included = NULL;
    NX_TRY(new_node(parse, input, place, NX_NATS_NODE_MAP, &included));
    parse->nesting++;
    const enum nx_status status = parse_file(parse, input, path, included);
    if (status != NX_OK) {
        return nx_wrap(parse->err, status, "%.*s:%u:%u", NX_STR_ARG(input->name), place.line, place.column);
    }
    parse->nesting--;
    for (struct nx_nats_node *next; (next = included->first) != NULL;) {
        remove_node(included, NULL, next);
        NX_TRY(set_member(parse, input, map, next));
    }
    return NX_OK;
}

/* Members */

static bool ends_key(char c) {
    return c == '\0' || is_space(c) || c == ':' || c == '=';
}

static enum nx_status parse_key(struct parse *parse, struct input *input, struct nx_str *key_out,
                                bool *is_quoted_out) {
    const struct place place = here(input);
    const char quote = peek(input);
    *is_quoted_out = quote == '"' || quote == '\'';
    if (*is_quoted_out) {
        advance(input);
    }
    const size_t start = input->offset;
    while (*is_quoted_out ? !at_end(input) && peek(input) != quote : !ends_key(peek(input))) {
        if (!*is_quoted_out && strchr("{}[],;\"'", peek(input)) != NULL) {
            return fail_at(parse, input, here(input),
                           "'%c' inside a key: put a space before it, or the key in quotes", peek(input));
        }
        advance(input);
    }
    if (*is_quoted_out && at_end(input)) {
        return fail_at(parse, input, place, "the key that begins here has no closing quote");
    }
    *key_out = nx_str_slice(input->text, start, input->offset);
    if (*is_quoted_out) {
        advance(input);
    }
    if (key_out->len == 0) {
        return fail_at(parse, input, place, "expected a key but found nothing before the '%c'", peek(input));
    }
    return NX_OK;
}

/* `key: value`, and what ends it. */
static enum nx_status parse_member(struct parse *parse, struct input *input, const struct scope *scope,
                                   bool is_inner) {
    const struct place place = here(input);
    struct nx_str key = NX_STR_EMPTY;
    bool is_quoted = false;
    struct nx_nats_node *node = NULL;
    NX_TRY(parse_key(parse, input, &key, &is_quoted));
    if (!is_quoted && is_blank(peek(input)) && nx_str_equal_ignore_case(key, NX_STR("include"))) {
        return parse_include(parse, input, scope->map, place);
    }
    skip_spaces(input);
    if (peek(input) == ':' || peek(input) == '=') {
        advance(input);
        if (is_inner) {
            skip_spaces(input);
        } else {
            skip_blanks(input);
        }
    }
    if (at_end(input) || is_line_end(peek(input)) || strchr(",;]}", peek(input)) != NULL) {
        char text[8];
        return fail_at(parse, input, here(input), "expected a value for '%.*s' but found %s",
                       NX_STR_ARG(shown(key)), found(input, text));
    }
    const struct nx_str kept = nx_arena_copy(&parse->config->arena, key);
    if (kept.ptr == NULL) {
        return nx_fail_memory(parse->err);
    }
    NX_TRY(parse_value(parse, input, scope, &node));
    node->key = kept;
    node->line = place.line;
    node->column = place.column;
    return set_member(parse, input, scope->map, node);
}

/* Members of the innermost map, up to its '}', which is left, where it has one: `opened` says where it began.
 * Else up to the end of the input. */
static enum nx_status parse_members(struct parse *parse, struct input *input, const struct scope *scope,
                                    struct place opened) {
    char text[8];
    for (;;) {
        skip_spaces_and_comments(input);
        if (at_end(input) && opened.line > 0) {
            return fail_at(parse, input, opened, "the map that begins here has no end: '}'");
        }
        if (at_end(input) || (opened.line > 0 && peek(input) == '}')) {
            return NX_OK;
        }
        if (strchr("{}[](),;:=", peek(input)) != NULL) {
            return fail_at(parse, input, here(input), "expected a key but found %s", found(input, text));
        }
        NX_TRY(parse_member(parse, input, scope, opened.line > 0));
        skip_blanks(input);
        if (peek(input) == ',' || peek(input) == ';') {
            advance(input);
        } else if (!at_end(input) && !is_space(peek(input)) && !is_comment(input) &&
                   !(opened.line > 0 && peek(input) == '}')) {
            return fail_at(parse, input, here(input),
                           "expected the end of the line, ',' or ';'%s but found %s",
                           opened.line > 0 ? " or '}'" : "", found(input, text));
        }
    }
}

enum nx_status nx_nats_config_read(const char *path, const struct nx_nats_config_source *source,
                                   struct nx_nats_config **config_out, struct nx_error *err) {
    struct nx_error own = { 0 };
    NX_AUTO(nx_nats_config) *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&config->arena, MEMORY_MAX);
    struct parse parse = { .config = config, .source = source, .err = err == NULL ? &own : err };
    const struct input none = { .name = nx_str_from_c(path), .path = path, .line = 1 };
    NX_TRY(new_node(&parse, &none, (struct place){ 1, 1 }, NX_NATS_NODE_MAP, &config->root));
    config->root->file = nx_arena_copy(&config->arena, none.name);
    if (config->root->file.ptr == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(parse_file(&parse, NULL, path, config->root));
    *config_out = NX_TAKE(config);
    return NX_OK;
}

void nx_nats_config_free(struct nx_nats_config *config) {
    if (config == NULL) {
        return;
    }
    nx_arena_fini(&config->arena);
    free(config);
}

const struct nx_nats_node *nx_nats_config_root(const struct nx_nats_config *config) {
    return config->root;
}
