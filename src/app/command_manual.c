/* src/app/command_manual.c: nexus manual: the manual page, in the form that man reads (man(7)).
 *
 * Made from the same tables as the help; `make install` and the package put it where man looks. */
#include "app/commands.h"

#include "base/buf.h"

enum { OUTPUT_SIZE_MAX = 256 * 1024 };

/* Text as man reads it: a backslash is doubled, a dash stays one, a line that begins with a dot or an
 * apostrophe is not a request. */
static void append_text(struct nx_buf *out, struct nx_str text) {
    bool at_start = true;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (at_start && (c == '.' || c == '\'')) {
            nx_buf_append_c(out, "\\&");
        }
        if (c == '\\') {
            nx_buf_append_c(out, "\\e");
        } else if (c == '-') {
            nx_buf_append_c(out, "\\-");
        } else {
            nx_buf_append_u8(out, (uint8_t)c);
        }
        at_start = c == '\n';
    }
}

static void append_text_c(struct nx_buf *out, const char *text) {
    append_text(out, nx_str_from_c(text));
}

static void write_flag(struct nx_buf *out, const struct nx_flag *flag) {
    nx_buf_append_c(out, ".TP\n");
    if (flag->letter != 0) {
        nx_buf_append_format(out, ".BR \\-%c \", \" ", flag->letter);
    } else {
        nx_buf_append_c(out, ".B ");
    }
    nx_buf_append_c(out, "\\-\\-");
    append_text_c(out, flag->name);
    if (flag->value != NULL) {
        nx_buf_append_c(out, flag->letter != 0 ? " \" \\fI" : " \\fI");
        append_text_c(out, flag->value);
        nx_buf_append_c(out, flag->letter != 0 ? "\\fR\"" : "\\fR");
    }
    nx_buf_append_c(out, "\n");
    append_text_c(out, flag->help);
    nx_buf_append_c(out, "\n");
}

static void write_command(struct nx_buf *out, const struct nx_command *command) {
    nx_buf_append_format(out, ".SS nexus %s", command->name);
    if (command->words != NULL) {
        nx_buf_append_c(out, " ");
        append_text_c(out, command->words);
    }
    nx_buf_append_c(out, "\n");
    append_text_c(out, command->summary);
    nx_buf_append_c(out, ".\n");
    if (command->text != NULL) {
        nx_buf_append_c(out, ".PP\n");
        append_text_c(out, command->text);
        nx_buf_append_c(out, "\n");
    }
    for (size_t i = 0; i < command->flag_count; i++) {
        write_flag(out, &command->flags[i]);
    }
    nx_buf_append_c(out, ".PP\n.nf\n");
    append_text_c(out, command->example);
    nx_buf_append_c(out, "\n.fi\n");
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_buf) out = { 0 };
    const struct nx_command *command;

    (void)args;
    nx_buf_init(&out, OUTPUT_SIZE_MAX);
    nx_buf_append_c(&out,
                    ".TH NEXUS 1 \"\" \"nexus " NX_VERSION "\" \"User Commands\"\n"
                    ".SH NAME\nnexus \\- events stored, run in a sandbox, and replayed exactly\n"
                    ".SH SYNOPSIS\n.B nexus\n.I command\n.RI [ flags ]\n"
                    ".SH DESCRIPTION\n"
                    "Nexus keeps every event, every function call and what it did in one durable log.\n"
                    "An event is on disk before it is acknowledged; a recorded call replays bit for bit.\n"
                    "What is served is said in\n.IR nexus.yaml ;\nwhere it is kept, in its folder\n"
                    ".IR .nexus .\n"
                    ".SH COMMANDS\n");
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        write_command(&out, command);
    }
    nx_buf_append_c(&out, ".SH EXIT STATUS\n"
                          "0: done. 1: it failed; the message says why, a hint says what to do.\n"
                          "2: wrong use.\n"
                          ".SH FILES\n.TP\n.I nexus.yaml\nwhat is served; its schema is part of the package\n"
                          ".TP\n.I .nexus\nthe data directory, unless said otherwise\n");
    NX_TRY(nx_buf_check(&out, err));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return NX_OK;
}

const struct nx_command nx_command_manual = {
    .name = "manual",
    .summary = "print the manual page",
    .text = "An installed package has it already: man nexus.",
    .example = "nexus manual | man -l -",
    .run = run,
};
