/* src/app/go_flags.c: see go_flags.h. */
#include "app/go_flags.h"

#include <string.h>

#include "base/assert.h"
#include "codec/word.h"

enum { OTHERS_MAX = 64 };

struct line {
    const struct nx_command *command;
    const struct nx_go_flag *others;
    size_t other_count;
    struct nx_args *args;
    struct nx_error *err;
};

static const struct nx_flag *find_flag(const struct nx_command *command, struct nx_str name) {
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct nx_flag *flag = &command->flags[i];
        if (nx_str_is(name, flag->name) || (name.len == 1 && name.ptr[0] == flag->letter)) {
            return flag;
        }
    }
    return NULL;
}

static const struct nx_go_flag *find_other(const struct line *line, struct nx_str name) {
    for (size_t i = 0; i < line->other_count; i++) {
        if (nx_str_is(name, line->others[i].name)) {
            return &line->others[i];
        }
    }
    return NULL;
}

static enum nx_status fail_unknown(const struct line *line, struct nx_str name) {
    const char *names[NX_FLAGS_MAX + OTHERS_MAX + 1];
    size_t count = 0;
    nx_assert(line->other_count <= OTHERS_MAX);
    for (size_t i = 0; i < line->command->flag_count; i++) {
        names[count++] = line->command->flags[i].name;
    }
    for (size_t i = 0; i < line->other_count; i++) {
        names[count++] = line->others[i].name;
    }
    names[count++] = "help";
    const enum nx_status status = nx_args_fail(line->args, line->err, "nexus %s has no flag --%.*s",
                                               line->command->name, NX_STR_ARG(name));
    const char *nearest = nx_word_nearest(name, names, count);
    if (nearest != NULL) {
        nx_hint(line->err, "did you mean --%s?", nearest);
    }
    return status;
}

static enum nx_status fail_refused(const struct line *line, const struct nx_go_flag *other) {
    line->args->exit_status = NX_EXIT_WRONG_USE;
    (void)nx_fail(line->err, NX_UNIMPLEMENTED, "--%s is not built here", other->name);
    nx_hint(line->err, "%s", other->instead);
    return NX_UNIMPLEMENTED;
}

/* As strconv.ParseBool. */
static bool read_boolean(const char *text, bool *value_out) {
    static const char *const words[] = { "0",     "1",    "f",     "t",    "F",     "T",
                                         "false", "true", "FALSE", "TRUE", "False", "True" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value_out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static enum nx_status set_flag(const struct line *line, const struct nx_flag *flag, const char *value) {
    const char **slot = &line->args->values[flag - line->command->flags];
    bool given = true;
    if (flag->value != NULL) {
        *slot = value;
        return NX_OK;
    }
    if (value != NULL && !read_boolean(value, &given)) {
        return nx_args_fail(line->args, line->err, "--%s is true or false, not '%s'", flag->name, value);
    }
    *slot = given ? "" : NULL;
    return NX_OK;
}

static enum nx_status set_meant(const struct line *line, const struct nx_go_flag *other, const char *value) {
    for (size_t i = 0; i < 2 && other->means[i] != NULL; i++) {
        const struct nx_flag *flag = find_flag(line->command, nx_str_from_c(other->means[i]));
        nx_assert(flag != NULL);
        NX_TRY(set_flag(line, flag, value));
    }
    return NX_OK;
}

/* One flag; `*took_next_out`: the argument behind it was its value. */
static enum nx_status parse_flag(const struct line *line, const char *arg, const char *next,
                                 bool *took_next_out) {
    struct nx_str name = nx_str_from_c(arg + (arg[1] == '-' ? 2 : 1));
    const char *value = NULL;
    const size_t equals = nx_str_find_byte(name, '=');
    if (equals != SIZE_MAX) {
        value = name.ptr + equals + 1;
        name.len = equals;
    }
    *took_next_out = false;
    if (nx_str_is(name, "help") || nx_str_is(name, "h")) {
        line->args->help = true;
        return NX_OK;
    }
    const struct nx_go_flag *other = find_other(line, name);
    if (other != NULL && other->instead != NULL) {
        return fail_refused(line, other);
    }
    const struct nx_flag *flag =
        find_flag(line->command, other == NULL ? name : nx_str_from_c(other->means[0]));
    if (flag == NULL) {
        return fail_unknown(line, name);
    }
    if (flag->value != NULL && value == NULL) {
        if (next == NULL) {
            return nx_args_fail(line->args, line->err, "--%.*s needs a value: --%s %s", NX_STR_ARG(name),
                                flag->name, flag->value);
        }
        value = next;
        *took_next_out = true;
    }
    return other == NULL ? set_flag(line, flag, value) : set_meant(line, other, value);
}

enum nx_status nx_go_flags_parse(const struct nx_command *command, const struct nx_go_flag *others,
                                 size_t other_count, int argc, char *const *argv, struct nx_args *args_out,
                                 struct nx_error *err) {
    const struct line line = { command, others, other_count, args_out, err };
    int i = 0;
    nx_assert(command->flag_count <= NX_FLAGS_MAX);
    *args_out = (struct nx_args){ .command = command };
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0' && strcmp(argv[i], "--") != 0; i++) {
        bool took_next = false;
        NX_TRY(parse_flag(&line, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &took_next));
        i += took_next ? 1 : 0;
    }
    i += i < argc && strcmp(argv[i], "--") == 0 ? 1 : 0;
    for (; i < argc; i++) {
        if (args_out->word_count == command->word_count_max) {
            return nx_args_fail(args_out, err, "nexus %s does not expect '%s'", command->name, argv[i]);
        }
        args_out->words[args_out->word_count++] = argv[i];
    }
    return NX_OK;
}
