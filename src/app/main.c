/* src/app/main.c: the one place that picks a subcommand, prints an error and chooses the exit status.
 *
 * 0 done, 1 failed, 2 wrong use. Nothing is set up here: `nexus replay` must answer within 20 ms. */
#include <stdio.h>
#include <string.h>

#include "app/args.h"
#include "app/commands.h"
#include "app/terminal.h"
#include "codec/word.h"

static int report(const struct nx_error *err) {
    (void)fflush(stdout);
    (void)fprintf(stderr, "%snexus: %s [%s]%s\n", nx_terminal_colour(stderr, NX_COLOUR_RED), err->message,
                  nx_status_name(err->status), nx_terminal_plain(stderr));
    if (err->hint[0] != '\0') {
        (void)fprintf(stderr, "hint: %s\n", err->hint);
    }
    return NX_EXIT_FAILED;
}

static void print_help(FILE *out) {
    (void)fprintf(out, "nexus: events stored, run in a sandbox, and replayed exactly\n\n"
                       "Usage: nexus <command> [flags]\n\nCommands:\n");
    const struct nx_command *command;
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        (void)fprintf(out, "  %-11s %s\n", command->name, command->summary);
    }
    (void)fprintf(out, "\nEach command explains itself: nexus <command> --help\n\n"
                       "Example:\n"
                       "  nexus new my-app --lang=c && cd my-app && nexus build && nexus dev\n"
                       "  curl -X POST localhost:8080/events/user.created "
                       "-H 'content-type: application/json' -d '{\"user_id\":\"u42\"}'\n");
}

static int fail_unknown(const char *name) {
    struct nx_error err = { 0 };
    const char *names[NX_COMMANDS_MAX];
    size_t count = 0;

    for (; nx_command_at(count) != NULL; count++) {
        names[count] = nx_command_at(count)->name;
    }
    const char *nearest = nx_word_nearest(nx_str_from_c(name), names, count);
    (void)nx_fail(&err, NX_INVALID_ARGUMENT, "there is no command '%s'", name);
    if (nearest != NULL) {
        nx_hint(&err, "did you mean: nexus %s?", nearest);
    } else {
        nx_hint(&err, "see: nexus --help");
    }
    (void)report(&err);
    return NX_EXIT_WRONG_USE;
}

static int run(const struct nx_command *command, int argc, char *const *argv) {
    struct nx_args args;
    struct nx_error err = { 0 };

    enum nx_status status = command->parse != NULL ? command->parse(argc, argv, &args, &err)
                                                   : nx_args_parse(command, argc, argv, &args, &err);
    if (status == NX_OK && args.help) {
        nx_args_print_help(command, stdout);
        return NX_EXIT_DONE;
    }
    if (status == NX_OK) {
        status = command->run(&args, &err);
    }
    if (status != NX_OK) {
        (void)report(&err);
        return args.exit_status != 0 ? args.exit_status : NX_EXIT_FAILED;
    }
    if (fflush(stdout) != 0) {
        return NX_EXIT_FAILED; /* whoever reads our output is gone, or its disk is full */
    }
    return args.exit_status;
}

/* Called by the name of another program, it is that command. */
static const struct nx_command *called_as(const char *path) {
    const char *slash = strrchr(path, '/');
    return strcmp(slash == NULL ? path : slash + 1, "nats-server") == 0 ? &nx_command_nats_server : NULL;
}

int main(int argc, char **argv) {
    const struct nx_command *only = argc > 0 ? called_as(argv[0]) : NULL;
    if (only != NULL) {
        return run(only, argc - 1, argv + 1);
    }
    if (argc < 2) {
        print_help(stderr);
        return NX_EXIT_WRONG_USE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        const struct nx_command *about = argc > 2 ? nx_command_find(argv[2]) : NULL;
        if (argc > 2 && about == NULL) {
            return fail_unknown(argv[2]);
        }
        if (about != NULL) {
            nx_args_print_help(about, stdout);
        } else {
            print_help(stdout);
        }
        return NX_EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct nx_command *command = nx_command_find(name);
    if (command == NULL) {
        return fail_unknown(name);
    }
    return run(command, argc - 2, argv + 2);
}
