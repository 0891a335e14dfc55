/* src/app/go_flags.h: the command line as Go's package flag reads it, for commands that stand in for a
 * program written in Go.
 *
 * -name and --name are the same; a value follows "=" or is the next argument, whatever that begins with; a
 * flag without a value may be given one: -js=false. What is given twice has its last value. Flags end at "--"
 * and at the first word. */
#pragma once

#include "app/args.h"

/* Another spelling of a flag of the command, or a flag that is known and not built. */
struct nx_go_flag {
    const char *name;
    const char *means[2]; /* flags of the command's table; NULL, NULL: see `instead` */
    const char *instead;  /* what to do, where the flag is refused */
};

/** Read what follows the command's name into the places of the command's own table.
 * Errors: NX_INVALID_ARGUMENT, NX_UNIMPLEMENTED (refused), with args_out->exit_status 2 and a hint */
NX_MUST_CHECK enum nx_status nx_go_flags_parse(const struct nx_command *command,
                                               const struct nx_go_flag *others, size_t other_count, int argc,
                                               char *const *argv, struct nx_args *args_out,
                                               struct nx_error *err);
