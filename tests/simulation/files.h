/* tests/simulation/files.h: whether a text stands in a file of the simulated disk. Header only. */
#pragma once

#include <stdio.h>

#include "base/buf.h"
#include "io/file.h"

enum { FILE_LOOKED_AT_MAX = 64 * 1024 * 1024 };

struct files_search {
    struct nx_disk *disk;
    const char *folder;
    struct nx_str text;
    char *path_out; /* 256 bytes */
    bool is_found;
};

static bool files_look_into(void *data, const struct nx_disk_entry *entry) {
    struct files_search *search = data;
    NX_AUTO(nx_buf) content;
    nx_buf_init(&content, FILE_LOOKED_AT_MAX);
    (void)snprintf(search->path_out, 256, "%s/%.*s", search->folder, NX_STR_ARG(entry->name));
    search->is_found = !entry->is_directory &&
                       nx_disk_read_file(search->disk, search->path_out, &content, NULL) == NX_OK &&
                       nx_str_find(nx_buf_str(&content), search->text) != SIZE_MAX;
    return !search->is_found;
}

/* The folders, ending in NULL, without those below them; one that is not there has nothing. */
static bool is_in_files(struct nx_disk *disk, const char *const *folders, struct nx_str text,
                        char path_out[256]) {
    struct files_search search = { .disk = disk, .text = text, .path_out = path_out };
    for (size_t i = 0; folders[i] != NULL && !search.is_found; i++) {
        search.folder = folders[i];
        search.is_found =
            nx_disk_list(disk, folders[i], files_look_into, &search, NULL) == NX_OK && search.is_found;
    }
    return search.is_found;
}
