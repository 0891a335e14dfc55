/* The runs of the journal's directory, at start. */
#include <inttypes.h>
#include <stdio.h>

#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"

enum { LISTINGS_MAX = 16 };

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

/* `*vanished_out`: the file is not there any more. A run that cannot be read is reported. */
static enum nx_status open_one(struct nx_library *library, const struct run_name *name, struct nx_buf *report,
                               struct nx_run **run_out, bool *vanished_out, struct nx_error *err) {
    struct nx_error cause = { 0 };
    const enum nx_status status =
        nx_run_open(library->options->disk, library->directory, name->first, name->last, run_out, &cause);
    *vanished_out = status == NX_NOT_FOUND;
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

/* What another run holds too: left over from a merge, or a run that could not be used once it had its name
 * and was made again later of more segments. It must not be found twice. */
static void drop_contained(struct nx_library *library, const struct run_name *name) {
    char path[NX_PATH_SIZE_MAX];
    if (!library->options->read_only &&
        nx_run_path(library->directory, name->first, name->last, path, NULL) == NX_OK &&
        nx_disk_unlink(library->options->disk, path, NULL) != NX_OK) {
        /* It wastes space, no more; the next start tries again. */
    }
}

static void close_runs(struct nx_library *library) {
    while (library->run_count > 0) {
        nx_run_close(library->runs[--library->run_count], NULL);
    }
}

static enum nx_status open_listed(struct nx_library *library, const struct run_names *names,
                                  struct nx_buf *report, uint64_t *next_segment_out, bool *vanished_out,
                                  struct nx_error *err) {
    uint64_t held = 0; /* the last segment that a run which can be read holds */
    *next_segment_out = 1;
    *vanished_out = false;
    for (size_t i = 0; i < names->count && !*vanished_out; i++) {
        const struct run_name *name = &names->names[i];
        struct nx_run *run = NULL;
        if (name->last <= held) {
            drop_contained(library, name);
            continue;
        }
        NX_TRY(open_one(library, name, report, &run, vanished_out, err));
        if (run != NULL) {
            NX_TRY(add_run(library, run, err));
            held = name->last;
        }
        *next_segment_out = name->last >= *next_segment_out ? name->last + 1 : *next_segment_out;
    }
    return NX_OK;
}

/* Open all that there are. While we only read, a server may merge what was just listed: look again then. */
static enum nx_status open_all(struct nx_library *library, struct nx_buf *report, uint64_t *next_segment_out,
                               struct nx_error *err) {
    for (int i = 0; i < LISTINGS_MAX; i++) {
        struct run_names names = { .library = library };
        const size_t report_len = report->len;
        bool vanished = false;
        enum nx_status status =
            nx_disk_list(library->options->disk, library->directory, visit_name, &names, err);
        status = status == NX_NOT_FOUND ? NX_OK : status;
        if (status == NX_OK && names.failed) {
            status = nx_fail_memory(err);
        }
        if (names.count > 1) {
            qsort(names.names, names.count, sizeof *names.names, compare_names);
        }
        if (status == NX_OK) {
            status = open_listed(library, &names, report, next_segment_out, &vanished, err);
        }
        free(names.names);
        if (status != NX_OK || !vanished) {
            return status;
        }
        close_runs(library);
        nx_buf_truncate(report, report_len);
    }
    return nx_fail(err, NX_UNAVAILABLE, "the files of '%s' change all the time", library->directory);
}

enum nx_status nx_library_open_runs(struct nx_library *library, struct nx_buf *report,
                                    enum nx_status (*see)(void *data, const struct nx_extent *extent,
                                                          struct nx_str name, struct nx_error *err),
                                    void *data, uint64_t *next_segment_out, struct nx_error *err) {
    uint64_t next_segment = 1;
    NX_TRY(open_all(library, report, &next_segment, err));
    for (size_t i = 0; i < library->run_count; i++) {
        NX_TRY(tell_run(library, library->runs[i], see, data, err));
    }
    *next_segment_out = next_segment;
    return library->options->read_only ? NX_OK : remove_sealed(library, next_segment, err);
}

/* The keys of one stream in one run. */
static void visit_keys(struct nx_library *library, const struct nx_run *run, const struct nx_extent *extent,
                       int64_t time_ns, void (*visit)(void *data, const struct nx_stored *stored),
                       void *data) {
    uint64_t sequence = nx_run_sequence_before(run, extent->stream, time_ns);
    struct nx_stored stored;
    for (;;) {
        const enum nx_stored_found found =
            nx_run_at_or_after(run, library->cache, extent->stream, sequence, &stored);
        if (found == NX_STORED_NONE) {
            return;
        }
        if (found == NX_STORED_FOUND && stored.dedup.len > 0 && stored.time_ns >= time_ns) {
            visit(data, &stored);
        }
        sequence = stored.sequence + 1;
    }
}

void nx_library_recent_keys(struct nx_library *library, int64_t now_ns,
                            void (*visit)(void *data, const struct nx_stored *stored), void *data) {
    for (size_t i = 0; i < library->run_count; i++) {
        const struct nx_run *run = library->runs[i];
        for (size_t k = 0; k < nx_run_extent_count(run); k++) {
            struct nx_str name;
            const struct nx_extent extent = nx_run_extent_at(run, k, &name);
            const struct nx_library_stream *stream = nx_library_numbered(library, extent.stream);
            if (stream == NULL || extent.count == 0 || nx_run_dedup_count(run, extent.stream) == 0 ||
                extent.last_time_ns < now_ns - nx_library_dedup_kept_ns(stream)) {
                continue;
            }
            visit_keys(library, run, &extent, now_ns - nx_library_dedup_kept_ns(stream), visit, data);
        }
    }
}
