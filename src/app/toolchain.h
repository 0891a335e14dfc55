/* src/app/toolchain.h: what a `build:` command needs of the machine, named before the command fails for want
 * of it.
 *
 * The first word of each command in the line is looked up in a table of the languages' tools. A tool that is
 * not in the table is the shell's to find. */
#pragma once

#include "base/error.h"
#include "base/str.h"

/** See that the known tools in `command` are here and can build for WebAssembly. `directory` as for
 * nx_process_run(); each look is a shell's, so this takes some milliseconds.
 * Errors: NX_FAILED_PRECONDITION  one is missing; the hint says how to install it */
NX_MUST_CHECK enum nx_status nx_toolchain_check(struct nx_str command, const char *directory,
                                                struct nx_error *err);
/** Put the folder of this very program in front of PATH, so that a `build:` line may say `nexus`. */
void nx_toolchain_offer_nexus(void);
