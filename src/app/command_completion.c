/* src/app/command_completion.c: nexus completion SHELL: what makes the shell complete our command line.
 *
 * Made from the same tables as the help, so that it knows every command and flag there is. What a flag takes
 * follows from how the help calls its value: FILE and FOLDER are paths, FORMAT, LEVEL and OUTCOME a choice.
 */
#include "app/commands.h"

#include <string.h>

#include "base/buf.h"
#include "codec/outcome.h"

enum { OUTPUT_SIZE_MAX = 256 * 1024 };

/* "ok exit trap …", each with a space behind it. */
#define OUTCOME_WORD(outcome, name) name " "
#define OUTCOMES NX_OUTCOME_TABLE(OUTCOME_WORD)

/* What may stand behind a flag, by the name of its value in the help. */
static const struct choice {
    const char *value;
    const char *words; /* NULL: paths */
} choices[] = {
    { "FORMAT", "text json" }, { "LEVEL", "debug info warn error" },
    { "OUTCOME", OUTCOMES },   { "FILE", NULL },
    { "FOLDER", NULL },
};

static const struct choice *find_choice(const char *value) {
    for (size_t i = 0; value != NULL && i < sizeof choices / sizeof choices[0]; i++) {
        if (strcmp(choices[i].value, value) == 0) {
            return &choices[i];
        }
    }
    return NULL;
}

/* "verify|dump|repair" in a command's words is a choice too: "verify dump repair". */
static void append_words(struct nx_buf *out, const struct nx_command *command) {
    if (command->words == NULL || strchr(command->words, '|') == NULL) {
        return;
    }
    for (const char *c = command->words; *c != '\0' && *c != ' '; c++) {
        nx_buf_append_u8(out, (uint8_t)(*c == '|' ? ' ' : *c));
    }
}

/* Text within single quotes, where bash, zsh and fish agree once the quote itself is avoided. */
static void append_quoted(struct nx_buf *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        switch (*c) {
        case '\'':
            nx_buf_append_c(out, "\xe2\x80\x99"); /* a typographic apostrophe */
            break;
        case '[': /* zsh's own brackets around it, and its separator */
        case ']':
        case ':':
        case '\\':
            nx_buf_append_u8(out, ' ');
            break;
        default:
            nx_buf_append_u8(out, (uint8_t)*c);
            break;
        }
    }
}

/* ---- bash ---- */

static void write_bash_command(struct nx_buf *out, const struct nx_command *command) {
    nx_buf_append_format(out, "    %s)\n        words='", command->name);
    append_words(out, command);
    nx_buf_append_c(out, "'\n        flags='--help");
    for (size_t i = 0; i < command->flag_count; i++) {
        nx_buf_append_format(out, " --%s", command->flags[i].name);
    }
    nx_buf_append_c(out, "'\n        case $previous in\n");
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct nx_flag *flag = &command->flags[i];
        const struct choice *choice = find_choice(flag->value);
        if (flag->value == NULL) {
            continue;
        }
        nx_buf_append_format(out, "        --%s) ", flag->name);
        if (choice == NULL) {
            nx_buf_append_c(out, "return ;;\n");
        } else if (choice->words != NULL) {
            nx_buf_append_format(out, "COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n",
                                 choice->words);
        } else {
            nx_buf_append_format(out,
                                 "compopt -o filenames; COMPREPLY=($(compgen -%c -- \"$word\")); return ;;\n",
                                 strcmp(flag->value, "FOLDER") == 0 ? 'd' : 'f');
        }
    }
    nx_buf_append_c(out, "        esac ;;\n");
}

static void write_bash(struct nx_buf *out) {
    const struct nx_command *command;
    nx_buf_append_c(
        out, "# bash completion of nexus; made by: nexus completion bash\n"
             "_nexus() {\n"
             "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words flags\n"
             "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
             "        COMPREPLY=($(compgen -W '--help --version");
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        nx_buf_append_format(out, " %s", command->name);
    }
    nx_buf_append_c(out, "' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        write_bash_command(out, command);
    }
    nx_buf_append_c(out, "    esac\n"
                         "    case $word in\n"
                         "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
                         "    *) COMPREPLY=($(compgen -W \"$words\" -- \"$word\")) ;;\n"
                         "    esac\n"
                         "}\n"
                         "complete -F _nexus nexus\n");
}

/* ---- zsh ---- */

static void write_zsh_command(struct nx_buf *out, const struct nx_command *command) {
    nx_buf_append_format(out, "    %s)\n        _arguments '--help[show the help]'", command->name);
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct nx_flag *flag = &command->flags[i];
        const struct choice *choice = find_choice(flag->value);
        nx_buf_append_format(out, " \\\n            '--%s%s[", flag->name, flag->value == NULL ? "" : "=");
        append_quoted(out, flag->help);
        nx_buf_append_c(out, "]");
        if (flag->value != NULL) {
            nx_buf_append_format(out, ":%s:", flag->value);
        }
        if (choice != NULL && choice->words != NULL) {
            nx_buf_append_format(out, "(%s)", choice->words);
        } else if (choice != NULL) {
            nx_buf_append_c(out, strcmp(choice->value, "FOLDER") == 0 ? "_files -/" : "_files");
        }
        nx_buf_append_c(out, "'");
    }
    if (command->words != NULL && strchr(command->words, '|') != NULL) {
        nx_buf_append_c(out, " \\\n            '1:what:(");
        append_words(out, command);
        nx_buf_append_c(out, ")'");
    }
    nx_buf_append_c(out, " ;;\n");
}

static void write_zsh(struct nx_buf *out) {
    const struct nx_command *command;
    nx_buf_append_c(out, "#compdef nexus\n"
                         "# zsh completion of nexus; made by: nexus completion zsh\n"
                         "_nexus() {\n"
                         "    local -a commands\n"
                         "    commands=(\n");
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        nx_buf_append_format(out, "        '%s:", command->name);
        append_quoted(out, command->summary);
        nx_buf_append_c(out, "'\n");
    }
    nx_buf_append_c(out, "    )\n"
                         "    if (( CURRENT == 2 )); then\n"
                         "        _describe command commands\n"
                         "        return\n"
                         "    fi\n"
                         "    local command=$words[2]\n"
                         "    shift words\n"
                         "    (( CURRENT-- ))\n"
                         "    case $command in\n");
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        write_zsh_command(out, command);
    }
    nx_buf_append_c(out,
                    "    esac\n"
                    "}\n"
                    "if [ \"$funcstack[1]\" = _nexus ]; then _nexus \"$@\"; else compdef _nexus nexus; fi\n");
}

/* ---- fish ---- */

static void write_fish_command(struct nx_buf *out, const struct nx_command *command) {
    nx_buf_append_format(out, "complete -c nexus -f -n __fish_use_subcommand -a %s -d '", command->name);
    append_quoted(out, command->summary);
    nx_buf_append_c(out, "'\n");
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct nx_flag *flag = &command->flags[i];
        const struct choice *choice = find_choice(flag->value);
        nx_buf_append_format(out, "complete -c nexus -n '__fish_seen_subcommand_from %s' -l %s",
                             command->name, flag->name);
        if (flag->letter != 0) {
            nx_buf_append_format(out, " -s %c", flag->letter);
        }
        if (flag->value != NULL) {
            nx_buf_append_c(out, choice != NULL && choice->words == NULL ? " -r -F" : " -x");
        }
        if (choice != NULL && choice->words != NULL) {
            nx_buf_append_format(out, " -a '%s'", choice->words);
        }
        nx_buf_append_c(out, " -d '");
        append_quoted(out, flag->help);
        nx_buf_append_c(out, "'\n");
    }
    if (command->words != NULL && strchr(command->words, '|') != NULL) {
        nx_buf_append_format(out, "complete -c nexus -f -n '__fish_seen_subcommand_from %s' -a '",
                             command->name);
        append_words(out, command);
        nx_buf_append_c(out, "'\n");
    }
}

static void write_fish(struct nx_buf *out) {
    const struct nx_command *command;
    nx_buf_append_c(out, "# fish completion of nexus; made by: nexus completion fish\n"
                         "complete -c nexus -f\n"
                         "complete -c nexus -l help -s h -d 'show the help'\n");
    for (size_t i = 0; (command = nx_command_at(i)) != NULL; i++) {
        write_fish_command(out, command);
    }
}

/* ---- the command ---- */

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    static const struct {
        const char *name;
        void (*write)(struct nx_buf *out);
    } shells[] = { { "bash", write_bash }, { "zsh", write_zsh }, { "fish", write_fish } };
    NX_AUTO(nx_buf) out = { 0 };

    nx_buf_init(&out, OUTPUT_SIZE_MAX);
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(args->words[0], shells[i].name) == 0) {
            shells[i].write(&out);
            NX_TRY(nx_buf_check(&out, err));
            (void)fwrite(out.ptr, 1, out.len, stdout);
            return NX_OK;
        }
    }
    (void)nx_args_fail(args, err, "there is no completion for '%s'", args->words[0]);
    nx_hint(err, "it is made for bash, zsh and fish");
    return NX_INVALID_ARGUMENT;
}

const struct nx_command nx_command_completion = {
    .name = "completion",
    .words = "bash|zsh|fish",
    .summary = "make the shell complete nexus's commands and flags",
    .text =
        "For this shell only, let it read the output; for every one, put the output where the shell looks.\n"
        "An installed package has done so.",
    .example = "nexus completion bash > ~/.local/share/bash-completion/completions/nexus\n"
               "nexus completion zsh > ~/.zsh/completions/_nexus\n"
               "nexus completion fish > ~/.config/fish/completions/nexus.fish",
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
