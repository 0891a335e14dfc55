/* src/app/nats_log.h: log lines as nats-server writes them, for tools that wait for some of them:
 *
 *   [4711] 2026/11/21 16:00:00.000000 [INF] Server is ready
 *
 * Times are UTC. Threads: one. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/file.h"

struct nx_nats_log {
    struct nx_clock clock;
    struct nx_file *file; /* NULL: standard error */
    uint64_t size;        /* of the file */
    bool has_time;        /* "[4711] time " stands in front */
};

/** Write to the end of the file at `path`; NULL: to standard error.
 * Ownership: the caller ends it by nx_nats_log_close(). Errors: as nx_file_open() */
NX_MUST_CHECK enum nx_status nx_nats_log_open(struct nx_nats_log *log, struct nx_disk *disk, const char *path,
                                              bool has_time, struct nx_error *err);
void nx_nats_log_close(struct nx_nats_log *log);
/** `level` is "INF", "WRN", "ERR" or "FTL". What cannot be written is dropped. */
void nx_nats_log_write(struct nx_nats_log *log, const char *level, const char *format, ...) NX_PRINTF(3, 4);
