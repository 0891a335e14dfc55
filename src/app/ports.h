/* src/app/ports.h: <data>/ports.json, by which a command finds the server of a data directory.
 *
 *   {"http": {"host": "127.0.0.1", "port": 8080, "url": "http://127.0.0.1:8080"},
 *    "nats": {"host": "127.0.0.1", "port": 4222, "url": "nats://127.0.0.1:4222"}, "pid": 4711}
 *
 * Written once the server listens, removed when it ends in order; a killed server leaves it behind, so that
 * whoever reads it must find out whether somebody answers. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "io/file.h"

enum { NX_PORTS_HOST_SIZE_MAX = 255 };

/* Where a face of this server listens. */
struct nx_ports_address {
    struct nx_str scheme; /* "http" or "nats" */
    struct nx_str host;
    uint16_t port; /* 0: it does not */
};

struct nx_ports {
    char host[NX_PORTS_HOST_SIZE_MAX + 1];
    uint16_t port;
    uint64_t pid;
};

NX_MUST_CHECK enum nx_status nx_ports_write(struct nx_disk *disk, const char *directory,
                                            const struct nx_ports_address *addresses, size_t count,
                                            struct nx_error *err);
/** Errors: NX_NOT_FOUND (no server since it ended in order), NX_DATA_LOSS (not such a file) */
NX_MUST_CHECK enum nx_status nx_ports_read(struct nx_disk *disk, const char *directory,
                                           struct nx_ports *ports_out, struct nx_error *err);
void nx_ports_remove(struct nx_disk *disk, const char *directory);
/** Append "http://127.0.0.1:8080". */
void nx_ports_url(struct nx_buf *out, const struct nx_ports_address *address);
