/* src/app/commands.h: the subcommands, one file each (command_<name>.c), and the order of the help. */
#pragma once

#include "app/args.h"

extern const struct nx_command nx_command_nats_server;
extern const struct nx_command nx_command_new;
extern const struct nx_command nx_command_build;
extern const struct nx_command nx_command_check;
extern const struct nx_command nx_command_javascript;
extern const struct nx_command nx_command_dev;
extern const struct nx_command nx_command_start;
extern const struct nx_command nx_command_logs;
extern const struct nx_command nx_command_events;
extern const struct nx_command nx_command_top;
extern const struct nx_command nx_command_trace;
extern const struct nx_command nx_command_why;
extern const struct nx_command nx_command_export;
extern const struct nx_command nx_command_import;
extern const struct nx_command nx_command_erase;
extern const struct nx_command nx_command_replay;
extern const struct nx_command nx_command_test;
extern const struct nx_command nx_command_bisect;
extern const struct nx_command nx_command_journal;
extern const struct nx_command nx_command_config;
extern const struct nx_command nx_command_completion;
extern const struct nx_command nx_command_manual;
extern const struct nx_command nx_command_version;

enum { NX_COMMANDS_MAX = 32 };

/** The commands in the order of the help; NULL behind the last one. */
const struct nx_command *nx_command_at(size_t index);
/** NULL: there is none of this name. */
const struct nx_command *nx_command_find(const char *name);
