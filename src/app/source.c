/* src/app/source.c */
#include "app/source.h"

#include <stdio.h>

#include "app/terminal.h"

enum nx_status nx_source_find_directory(const struct nx_args *args, struct nx_source *source,
                                        struct nx_error *err) {
    const char *data = nx_args_value(args, "data");
    const char *file = nx_args_value(args, "config");

    if (data != NULL) {
        source->directory = data;
        return NX_OK;
    }
    const enum nx_status status =
        nx_config_load_and_explain(file == NULL ? "nexus.yaml" : file, &source->config, err);
    if (status == NX_NOT_FOUND && file == NULL) {
        source->directory = ".nexus";
        return NX_OK;
    }
    if (status == NX_OK) {
        source->directory = source->config->data.ptr;
    }
    return status;
}

static enum nx_status open_fabric(struct nx_source *source, struct nx_error *err) {
    const struct nx_fabric_options options = {
        .disk = nx_disk_system(),
        .clock = nx_clock_system(),
        .random = nx_random_system(),
        .directory = source->directory,
        .read_only = true,
    };
    const enum nx_status status = nx_fabric_open(&options, &source->fabric, err);
    if (status == NX_NOT_FOUND) {
        (void)nx_fail(err, NX_NOT_FOUND, "no server runs here, and %s holds no data", source->directory);
        nx_hint(err, "start one by: nexus dev; or name the folder: --data FOLDER");
    }
    return status;
}

enum nx_status nx_source_open_directory(const struct nx_args *args, struct nx_source *source,
                                        struct nx_error *err) {
    NX_TRY(nx_source_find_directory(args, source, err));
    return open_fabric(source, err);
}

enum nx_status nx_source_open(const struct nx_args *args, struct nx_source *source, struct nx_error *err) {
    NX_TRY(nx_source_find_directory(args, source, err));
    if (nx_client_find(nx_disk_system(), source->directory, &source->client, NULL) == NX_OK) {
        source->is_live = true;
        return NX_OK;
    }
    const enum nx_status status = open_fabric(source, err);
    if (status == NX_OK) {
        (void)fprintf(stderr, "%sserver is not running: reading %s directly; nothing is written%s\n",
                      nx_terminal_colour(stderr, NX_COLOUR_DIM), source->directory,
                      nx_terminal_plain(stderr));
    }
    return status;
}

void nx_source_close(struct nx_source *source) {
    nx_fabric_close(source->fabric);
    nx_config_free(source->config);
    *source = (struct nx_source){ 0 };
}
