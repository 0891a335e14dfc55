/* The runs of the journal's directory, at start. */
#include <inttypes.h>
#include <stdio.h>

#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"

struct run_name {
    uint64_t first;
    uint64_t last;
};

struct run_names {
    struct run_name *names;
    size_t count;
    size_t capacity;
    struct nx_library *library;
    bool failed;
};

static void remove_leftover(struct nx_library *library, struct nx_str name) {
    char path[NX_PATH_SIZE_MAX];
    const int len = snprintf(path, sizeof path, "%s/%.*s", library->directory, NX_STR_ARG(name));
    if (len > 0 && (size_t)len < sizeof path && nx_disk_unlink(library->options->disk, path, NULL) != NX_OK) {
        /* It wastes space, no more; the next start tries again. */
    }
}

static bool visit_name(void *data, const struct nx_disk_entry *entry) {
    struct run_names *names = data;
    struct run_name name;
    if (entry->is_directory) {
        return true;
    }
    if (nx_str_ends_with(entry->name, NX_STR(".tmp")) && !names->library->options->read_only) {
        remove_leftover(names->library, entry->name);
        return true;
    }
    if (!nx_run_name_parse(entry->name, &name.first, &name.last)) {
        return true;
    }
    if (names->count == names->capacity) {
        const size_t capacity = names->capacity == 0 ? 16 : names->capacity * 2;
        struct run_name *grown = reallocarray(names->names, capacity, sizeof *grown);
        if (grown == NULL) {
            names->failed = true;
            return false;
        }
        names->names = grown;
        names->capacity = capacity;
    }
    names->names[names->count++] = name;
    return true;
}

static int compare_names(const void *a, const void *b) {
    const struct run_name *left = a;
    const struct run_name *right = b;
    if (left->first != right->first) {
        return left->first < right->first ? -1 : 1;
    }
    return left->last > right->last ? -1 : left->last < right->last ? 1 : 0;
}

static enum nx_status add_run(struct nx_library *library, struct nx_run *run, struct nx_error *err) {
    if (library->run_count == library->run_capacity) {
        const size_t capacity = library->run_capacity == 0 ? 8 : library->run_capacity * 2;
        struct nx_run **runs = reallocarray(library->runs, capacity, sizeof *runs);
        if (runs == NULL) {
            nx_run_close(run, NULL);
            return nx_fail_memory(err);
        }
        library->runs = runs;
        library->run_capacity = capacity;
    }
    library->runs[library->run_count++] = run;
    nx_library_runs_changed(library);
    return NX_OK;
}

static enum nx_status tell_run(struct nx_library *library, const struct nx_run *run,
                               enum nx_status (*see)(void *data, const struct nx_extent *extent,
                                                     struct nx_str name, struct nx_error *err),
                               void *data, struct nx_error *err) {
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        uint64_t first;
        uint64_t last;
        if (extent.stream >= NX_STREAMS_MAX || name.len == 0 || name.len > NX_STREAM_NAME_SIZE_MAX) {
            continue;
        }
        NX_TRY(nx_library_see_stream(library, extent.stream, name, extent.last_sequence, err));
        for (size_t k = 0; nx_run_lost(run, extent.stream, k, &first, &last); k++) {
            NX_TRY(nx_library_see_gap(library, extent.stream, first, last, true, err));
        }
        struct nx_library_stream *stream = library->by_number[extent.stream];
        stream->lost_sealed = stream->lost_count;
        if (extent.last_sequence > stream->last_sequence) {
            stream->last_sequence = extent.last_sequence;
        }
        NX_TRY(see(data, &extent, name, err));
    }
    return NX_OK;
}

static enum nx_status open_one(struct nx_library *library, const struct run_name *name, struct nx_buf *report,
                               struct nx_run **run_out, struct nx_error *err) {
    struct nx_error cause = { 0 };
    const enum nx_status status =
        nx_run_open(library->options->disk, library->directory, name->first, name->last, run_out, &cause);
    if (status == NX_DATA_LOSS || status == NX_NOT_FOUND) {
        *run_out = NULL;
        if (status == NX_DATA_LOSS && report->len + sizeof cause.message < report->len_max) {
            nx_buf_append_format(report, "lost: %s\n", cause.message);
        }
        return NX_OK;
    }
    if (status != NX_OK && err != NULL) {
        *err = cause;
    }
    return status;
}

/* A segment that a run holds is left over from a process that ended between the two steps. */
static enum nx_status remove_sealed(struct nx_library *library, uint64_t next_segment, struct nx_error *err) {
    NX_AUTO(nx_wal_listing) listing = { 0 };
    NX_TRY(nx_wal_list(library->options->disk, library->directory, &listing, err));
    for (size_t i = 0; i < listing.count && listing.numbers[i] < next_segment; i++) {
        nx_library_drop_segment(library, listing.numbers[i], false);
    }
    return NX_OK;
}

/* A run was given its name, could not be used, and was made again later of more segments: what it holds must
 * not be found twice. */
static void drop_contained(struct nx_library *library, const struct run_name *name) {
    char path[NX_PATH_SIZE_MAX];
    if (!library->options->read_only &&
        nx_run_path(library->directory, name->first, name->last, path, NULL) == NX_OK &&
        nx_disk_unlink(library->options->disk, path, NULL) != NX_OK) {
        /* It wastes space, no more; the next start tries again. */
    }
}

enum nx_status nx_library_open_runs(struct nx_library *library, struct nx_buf *report,
                                    enum nx_status (*see)(void *data, const struct nx_extent *extent,
                                                          struct nx_str name, struct nx_error *err),
                                    void *data, uint64_t *next_segment_out, struct nx_error *err) {
    struct run_names names = { .library = library };
    enum nx_status status = nx_disk_list(library->options->disk, library->directory, visit_name, &names, err);
    status = status == NX_NOT_FOUND ? NX_OK : status;
    if (status == NX_OK && names.failed) {
        status = nx_fail_memory(err);
    }
    if (names.count > 1) {
        qsort(names.names, names.count, sizeof *names.names, compare_names);
    }
    uint64_t next_segment = 1;
    uint64_t held = 0; /* the last segment that a run which can be read holds */
    for (size_t i = 0; status == NX_OK && i < names.count; i++) {
        struct nx_run *run = NULL;
        if (names.names[i].last <= held) {
            drop_contained(library, &names.names[i]);
            continue;
        }
        status = open_one(library, &names.names[i], report, &run, err);
        if (status == NX_OK && run != NULL) {
            status = add_run(library, run, err);
        }
        if (status == NX_OK && run != NULL) {
            held = names.names[i].last;
            status = tell_run(library, run, see, data, err);
        }
        next_segment = names.names[i].last + 1;
    }
    free(names.names);
    NX_TRY(status);
    *next_segment_out = next_segment;
    return library->options->read_only ? NX_OK : remove_sealed(library, next_segment, err);
}

void nx_library_recent_keys(struct nx_library *library, int64_t time_ns,
                            void (*visit)(void *data, const struct nx_stored *stored), void *data) {
    for (size_t i = 0; i < library->run_count; i++) {
        const struct nx_run *run = library->runs[i];
        for (size_t k = 0; k < nx_run_extent_count(run); k++) {
            struct nx_str name;
            struct nx_stored stored;
            const struct nx_extent extent = nx_run_extent_at(run, k, &name);
            if (extent.last_time_ns < time_ns || nx_run_dedup_count(run, extent.stream) == 0) {
                continue;
            }
            uint64_t sequence = extent.first_sequence;
            for (;;) {
                const enum nx_stored_found found =
                    nx_run_at_or_after(run, library->cache, extent.stream, sequence, &stored);
                if (found == NX_STORED_NONE) {
                    break;
                }
                if (found == NX_STORED_FOUND && stored.dedup.len > 0 && stored.time_ns >= time_ns) {
                    visit(data, &stored);
                }
                sequence = stored.sequence + 1;
            }
        }
    }
}
