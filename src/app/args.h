/* src/app/args.h: reading the command line by tables.
 *
 * Each subcommand is one struct nx_command: its flags, its words, its help with an example. Flags are
 * --name=value, --name value, -n value or -n; "--" ends them. What is wrong is said with the nearest right
 * word, and ends the process with status 2. Borrows argv; allocates nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

enum { NX_FLAGS_MAX = 24, NX_WORDS_MAX = 8, NX_REPEATS_MAX = 16 };
enum { NX_EXIT_DONE = 0, NX_EXIT_FAILED = 1, NX_EXIT_WRONG_USE = 2 };

struct nx_flag {
    const char *name;  /* without the dashes */
    const char *value; /* what the value is called in the help, such as "FILE"; NULL: takes none */
    const char *help;
    char letter;  /* the short form, or 0 */
    bool repeats; /* may be given several times: args->repeated; one flag of a command at most */
};

struct nx_args;

struct nx_command {
    const char *name;
    const char *words;   /* what follows the name, for the help: "NAME --lang=c"; NULL: nothing */
    const char *summary; /* one line */
    const char *text;    /* a paragraph for its own help; NULL: none */
    const char *example; /* one command or more, one a line */
    const struct nx_flag *flags;
    size_t flag_count;
    size_t word_count_min;
    size_t word_count_max;
    /* Errors: any; the message is printed by main. On NX_OK the process ends with args->exit_status. */
    enum nx_status (*run)(struct nx_args *args, struct nx_error *err);
    /* Its own reading of the command line; NULL: nx_args_parse() as it is. Errors: as nx_args_parse() */
    enum nx_status (*parse)(int argc, char *const *argv, struct nx_args *args_out, struct nx_error *err);
};

struct nx_args {
    const struct nx_command *command;
    const char *values[NX_FLAGS_MAX]; /* by the flag's index; NULL: not given; "" for one without a value */
    const char *words[NX_WORDS_MAX];
    size_t word_count;
    const char *repeated[NX_REPEATS_MAX]; /* every value of the flag that repeats, as they were given */
    size_t repeated_count;
    bool help;
    int exit_status; /* 0 until the command says otherwise */
};

/** Read what follows the command's name.
 * Errors: NX_INVALID_ARGUMENT, with args_out->exit_status 2 and a hint */
NX_MUST_CHECK enum nx_status nx_args_parse(const struct nx_command *command, int argc, char *const *argv,
                                           struct nx_args *args_out, struct nx_error *err);
/** The flag's value, "" when it takes none; NULL when it was not given. `name` must be in the table. */
const char *nx_args_value(const struct nx_args *args, const char *name);
bool nx_args_has(const struct nx_args *args, const char *name);
/** True for --output json. Errors: --output with anything but text and json: wrong use */
NX_MUST_CHECK enum nx_status nx_args_output_is_json(struct nx_args *args, bool *json_out,
                                                    struct nx_error *err);
/** The person used the command wrongly: as nx_fail(), and the process ends with status 2. */
enum nx_status nx_args_fail(struct nx_args *args, struct nx_error *err, const char *format, ...)
    NX_PRINTF(3, 4);
/** Print the help of one command. */
void nx_args_print_help(const struct nx_command *command, FILE *out);
