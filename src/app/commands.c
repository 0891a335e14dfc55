/* src/app/commands.c */
#include "app/commands.h"

#include <string.h>

static const struct nx_command *const commands[] = {
    &nx_command_new,        &nx_command_build,       &nx_command_check,   &nx_command_test,
    &nx_command_javascript, &nx_command_dev,         &nx_command_start,   &nx_command_logs,
    &nx_command_events,     &nx_command_top,         &nx_command_trace,   &nx_command_why,
    &nx_command_export,     &nx_command_import,      &nx_command_erase,   &nx_command_replay,
    &nx_command_bisect,     &nx_command_config,      &nx_command_journal, &nx_command_completion,
    &nx_command_manual,     &nx_command_nats_server, &nx_command_version,
};

_Static_assert(sizeof commands / sizeof commands[0] <= NX_COMMANDS_MAX, "room for every command");

const struct nx_command *nx_command_at(size_t index) {
    return index < sizeof commands / sizeof commands[0] ? commands[index] : NULL;
}

const struct nx_command *nx_command_find(const char *name) {
    for (size_t i = 0; nx_command_at(i) != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}
