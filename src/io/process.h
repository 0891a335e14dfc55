/* src/io/process.h: run a person's command (the `build` line of a function) and wait for it; what we
 * ourselves take of the machine.
 *
 * Running is not for anything in a server's way: the calling thread waits. Any thread. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/** Run `command` by /bin/sh in `directory` (NULL: here) and wait for its end. What it prints goes to our own
 * standard output and error, or, where `output` is given, both are appended to that (what passes the buffer's
 * maximum is read and dropped, and the rest kept). It reads from /dev/null.
 * *exit_status_out: its exit status, or 128 + the signal that ended it, as a shell says it.
 * Errors:    NX_NOT_FOUND           no such directory
 *            NX_RESOURCE_EXHAUSTED  no process, memory or descriptors */
NX_MUST_CHECK enum nx_status nx_process_run(const char *command, const char *directory, struct nx_buf *output,
                                            int *exit_status_out, struct nx_error *err);

/* What this process takes of the machine. */
struct nx_process_usage {
    uint64_t memory_size; /* bytes of it in memory; 0 where the machine does not tell */
    int64_t cpu_ns;       /* used since its start, by all threads */
    unsigned core_count;  /* of the machine, at least 1 */
};
void nx_process_usage_read(struct nx_process_usage *usage_out);
