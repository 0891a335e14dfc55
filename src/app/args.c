/* src/app/args.c */
#include "app/args.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "codec/word.h"

enum nx_status nx_args_fail(struct nx_args *args, struct nx_error *err, const char *format, ...) {
    char message[sizeof err->message];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(message, sizeof message, format, list);
    va_end(list);
    args->exit_status = NX_EXIT_WRONG_USE;
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "%s", message);
    nx_hint(err, "see: nexus %s --help", args->command->name);
    return NX_INVALID_ARGUMENT;
}

static const struct nx_flag *find_flag(const struct nx_command *command, struct nx_str name, char letter) {
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct nx_flag *flag = &command->flags[i];
        if (letter != 0 ? flag->letter == letter : nx_str_is(name, flag->name)) {
            return flag;
        }
    }
    return NULL;
}

static enum nx_status fail_unknown_flag(struct nx_args *args, struct nx_str name, struct nx_error *err) {
    const struct nx_command *command = args->command;
    const char *names[NX_FLAGS_MAX + 1];
    size_t count = 0;

    for (; count < command->flag_count; count++) {
        names[count] = command->flags[count].name;
    }
    names[count++] = "help";
    const enum nx_status status =
        nx_args_fail(args, err, "nexus %s has no flag --%.*s", command->name, NX_STR_ARG(name));
    const char *nearest = nx_word_nearest(name, names, count);
    if (nearest != NULL) {
        nx_hint(err, "did you mean --%s?", nearest);
    }
    return status;
}

/* Store the flag's value; `attached` is what stood behind "=", ptr NULL: nothing. Takes the next argument
 * where the flag needs one. */
static enum nx_status set_flag(struct nx_args *args, const struct nx_flag *flag, const char *attached,
                               const char *next, bool *took_next_out, struct nx_error *err) {
    const char *value = attached;

    *took_next_out = false;
    if (flag->value == NULL) {
        if (attached != NULL) {
            return nx_args_fail(args, err, "--%s takes no value, but was given '%s'", flag->name, attached);
        }
        value = "";
    } else if (value == NULL) {
        if (next == NULL || (next[0] == '-' && next[1] == '-')) {
            return nx_args_fail(args, err, "--%s needs a value: --%s %s", flag->name, flag->name,
                                flag->value);
        }
        value = next;
        *took_next_out = true;
    }
    const char **slot = &args->values[flag - args->command->flags];
    if (flag->repeats && args->repeated_count == NX_REPEATS_MAX) {
        return nx_args_fail(args, err, "--%s was given more than %d times", flag->name, NX_REPEATS_MAX);
    }
    if (flag->repeats) {
        args->repeated[args->repeated_count++] = value;
    } else if (*slot != NULL && flag->value != NULL) {
        return nx_args_fail(args, err, "--%s was given twice", flag->name);
    }
    *slot = value;
    return NX_OK;
}

static enum nx_status parse_flag(struct nx_args *args, const char *arg, const char *next, bool *took_next_out,
                                 struct nx_error *err) {
    const bool is_long = arg[1] == '-';
    struct nx_str name = nx_str_from_c(arg + (is_long ? 2 : 1));
    const char *attached = NULL;

    const size_t equals = nx_str_find_byte(name, '=');
    if (equals != SIZE_MAX) {
        attached = name.ptr + equals + 1;
        name.len = equals;
    }
    *took_next_out = false;
    if (is_long ? nx_str_is(name, "help") : nx_str_is(name, "h")) {
        args->help = true;
        return NX_OK;
    }
    if (!is_long && name.len != 1) {
        (void)nx_args_fail(args, err, "short flags are one letter: '%s' is not", arg);
        nx_hint(err, "did you mean -%s?", arg);
        return NX_INVALID_ARGUMENT;
    }
    const struct nx_flag *flag = find_flag(args->command, name, is_long ? (char)0 : name.ptr[0]);
    if (flag == NULL) {
        return is_long
                   ? fail_unknown_flag(args, name, err)
                   : nx_args_fail(args, err, "nexus %s has no flag -%c", args->command->name, name.ptr[0]);
    }
    return set_flag(args, flag, attached, next, took_next_out, err);
}

enum nx_status nx_args_parse(const struct nx_command *command, int argc, char *const *argv,
                             struct nx_args *args_out, struct nx_error *err) {
    nx_assert(command->flag_count <= NX_FLAGS_MAX);
    nx_assert(command->word_count_max <= NX_WORDS_MAX);

    struct nx_args *args = args_out;
    bool only_words = false;
    *args = (struct nx_args){ .command = command };
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (!only_words && strcmp(arg, "--") == 0) {
            only_words = true;
        } else if (!only_words && arg[0] == '-' && arg[1] != '\0') {
            bool took_next;
            NX_TRY(parse_flag(args, arg, i + 1 < argc ? argv[i + 1] : NULL, &took_next, err));
            i += took_next ? 1 : 0;
        } else if (args->word_count < command->word_count_max) {
            args->words[args->word_count++] = arg;
        } else {
            return nx_args_fail(args, err, "nexus %s does not expect '%s'", command->name, arg);
        }
    }
    if (!args->help && args->word_count < command->word_count_min) {
        return nx_args_fail(args, err, "nexus %s needs more: nexus %s %s", command->name, command->name,
                            command->words == NULL ? "" : command->words);
    }
    return NX_OK;
}

const char *nx_args_value(const struct nx_args *args, const char *name) {
    const struct nx_flag *flag = find_flag(args->command, nx_str_from_c(name), 0);
    nx_assert(flag != NULL);
    return args->values[flag - args->command->flags];
}

bool nx_args_has(const struct nx_args *args, const char *name) {
    return nx_args_value(args, name) != NULL;
}

enum nx_status nx_args_output_is_json(struct nx_args *args, bool *json_out, struct nx_error *err) {
    const char *output = nx_args_value(args, "output");

    if (output != NULL && strcmp(output, "json") != 0 && strcmp(output, "text") != 0) {
        return nx_args_fail(args, err, "--output is text or json, not '%s'", output);
    }
    *json_out = output != NULL && strcmp(output, "json") == 0;
    return NX_OK;
}

static void print_flag(const struct nx_flag *flag, FILE *out) {
    char left[64];

    (void)snprintf(left, sizeof left, "--%s%s%s", flag->name, flag->value == NULL ? "" : " ",
                   flag->value == NULL ? "" : flag->value);
    if (flag->letter != 0) {
        (void)fprintf(out, "  -%c, %-24s %s\n", flag->letter, left, flag->help);
    } else {
        (void)fprintf(out, "      %-24s %s\n", left, flag->help);
    }
}

void nx_args_print_help(const struct nx_command *command, FILE *out) {
    (void)fprintf(out, "nexus %s: %s\n\nUsage: nexus %s%s%s%s\n", command->name, command->summary,
                  command->name, command->words == NULL ? "" : " ",
                  command->words == NULL ? "" : command->words, command->flag_count == 0 ? "" : " [flags]");
    if (command->text != NULL) {
        (void)fprintf(out, "\n%s\n", command->text);
    }
    (void)fprintf(out, "\nFlags:\n");
    for (size_t i = 0; i < command->flag_count; i++) {
        print_flag(&command->flags[i], out);
    }
    (void)fprintf(out, "  -h, %-24s %s\n", "--help", "show this");
    (void)fprintf(out, "\nExample:\n");
    struct nx_str rest = nx_str_from_c(command->example);
    struct nx_str line;
    while (nx_str_split(&rest, '\n', &line)) {
        (void)fprintf(out, "  %.*s\n", NX_STR_ARG(line));
    }
}
