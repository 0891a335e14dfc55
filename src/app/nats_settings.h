/* src/app/nats_settings.h: a NATS configuration file as settings of a server.
 *
 * Every key of nats-server is known here: it is taken, or refused by name and place with what to do instead;
 * none is accepted and ignored. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/own.h"
#include "codec/nats_config.h"
#include "server/nats/options.h"

enum { NX_NATS_PORT_DEFAULT = 4222, NX_NATS_SETTINGS_SIZE_MAX = 64 * 1024 * 1024 };

struct nx_nats_settings {
    struct nx_arena arena;         /* of lists */
    struct nx_nats_config *config; /* all text is borrowed from it */
    struct nx_nats_options server;
    struct nx_str http_host; /* empty: where the server listens */
    int64_t http_port;       /* of monitoring; 0: none; -1: any free one */
    int64_t port;            /* -1: any free one */
    bool jetstream;
    const char *store_dir; /* NULL: none was named */
    const char *pid_file;
    const char *ports_file_dir;
    const char *log_file;
    bool debug;
    bool trace;
    bool logtime;
};

/** As where no file is read: port 4222 on loopback, for anybody. */
void nx_nats_settings_init(struct nx_nats_settings *settings);
/** NULL and zeroed ones allowed. */
void nx_nats_settings_fini(struct nx_nats_settings *settings);
/** Take what the configuration says into settings that were just initialised.
 * Ownership: `config` is taken, also when this fails.
 * Errors:    NX_INVALID_ARGUMENT  "file:line:column: …"
 *            NX_UNIMPLEMENTED     the same, where a key is known to nats-server and not built here
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_nats_settings_take(struct nx_nats_settings *settings,
                                                   struct nx_nats_config *config, struct nx_error *err);
/** "127.0.0.1:4222", "[::1]:4222", ":4222" or "4222" in its parts; the host may be empty, then all addresses
 * of this machine are meant: "0.0.0.0". False: it is none of these. */
NX_MUST_CHECK bool nx_nats_settings_split(struct nx_str address, struct nx_str *host_out, int64_t *port_out);

NX_DEFINE_AUTO_IN_PLACE(nx_nats_settings, nx_nats_settings_fini)
