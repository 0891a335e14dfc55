/* src/app/source.h: where a command looks: the running server, or the data directory itself.
 *
 * With a server on the directory everything is asked of it over HTTP; without one the directory is opened
 * read only, and the person is told. */
#pragma once

#include "app/args.h"
#include "app/client.h"
#include "app/config.h"
#include "base/error.h"
#include "base/own.h"
#include "fabric/fabric.h"

/* The flags that nx_source_open() reads; put them into a command's table. */
#define NX_SOURCE_FLAGS                                                                         \
    { .name = "data", .value = "FOLDER", .help = "the data directory, if not nexus.yaml's" }, { \
        .name = "config", .value = "FILE", .help = "instead of ./nexus.yaml"                    \
    }

struct nx_source {
    struct nx_config *config; /* NULL: there is no nexus.yaml here */
    const char *directory;    /* borrowed from config or args */
    bool is_live;             /* a server runs: use `client`; else `fabric` */
    struct nx_client client;
    struct nx_fabric *fabric; /* read only, no actor runs */
};

/** Find the data directory and who serves it; says so on standard error when nobody does.
 * Ownership: the caller ends it by nx_source_close(); zero it first.
 * Errors:    NX_NOT_FOUND  neither a server nor a data directory */
NX_MUST_CHECK enum nx_status nx_source_open(const struct nx_args *args, struct nx_source *source,
                                            struct nx_error *err);
/** As nx_source_open(), but the directory itself is read also while a server runs on it. */
NX_MUST_CHECK enum nx_status nx_source_open_directory(const struct nx_args *args, struct nx_source *source,
                                                      struct nx_error *err);
/** Only where it is: nothing is opened, nobody asked. */
NX_MUST_CHECK enum nx_status nx_source_find_directory(const struct nx_args *args, struct nx_source *source,
                                                      struct nx_error *err);
void nx_source_close(struct nx_source *source);

NX_DEFINE_AUTO_IN_PLACE(nx_source, nx_source_close)
