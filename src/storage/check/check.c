#include "storage/check/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"
#include "storage/wal/recovery.h"

enum { REPORT_SIZE_MAX = 1024 * 1024, FILES_MAX = 100000 };

struct file_name {
    char text[64];
};

struct check {
    struct nx_disk *disk;
    const char *directory;
    const struct nx_check_visitor *visitor;
    struct nx_check_summary summary;
    struct nx_map names; /* stream number (4 bytes): its name, owned */
    struct file_name *files;
    size_t file_count;
    bool failed;  /* no memory */
    bool stopped; /* the visitor has seen enough */
};

static bool visit_file(void *data, const struct nx_disk_entry *entry) {
    struct check *check = data;
    if (entry->is_directory || entry->name.len >= sizeof check->files->text ||
        check->file_count == FILES_MAX) {
        return true;
    }
    struct file_name *files = reallocarray(check->files, check->file_count + 1, sizeof *files);
    if (files == NULL) {
        check->failed = true;
        return false;
    }
    check->files = files;
    struct file_name *file = &files[check->file_count++];
    memcpy(file->text, entry->name.ptr, entry->name.len);
    file->text[entry->name.len] = '\0';
    check->summary.size += entry->size;
    return true;
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const struct file_name *)a)->text, ((const struct file_name *)b)->text);
}

static enum nx_status check_init(struct check *check, struct nx_disk *disk, const char *directory,
                                 const struct nx_check_visitor *visitor, struct nx_error *err) {
    *check = (struct check){ .disk = disk, .directory = directory, .visitor = visitor };
    nx_map_init(&check->names, NX_STREAMS_MAX + 1, 1);
    NX_TRY(nx_disk_list(disk, directory, visit_file, check, err));
    if (check->failed) {
        return nx_fail_memory(err);
    }
    if (check->file_count > 1) {
        qsort(check->files, check->file_count, sizeof *check->files, compare_files);
    }
    return NX_OK;
}

static void check_fini(struct check *check) {
    size_t cursor = 0;
    struct nx_str key;
    void *name;
    while (nx_map_next(&check->names, &cursor, &key, &name)) {
        free(name);
    }
    nx_map_fini(&check->names);
    free(check->files);
}

static void tell(struct check *check, const char *file, const char *text) {
    check->summary.problem_count++;
    check->visitor->problem(check->visitor->data, file, text);
}

static enum nx_status remember_name(struct check *check, uint32_t stream, struct nx_str name,
                                    struct nx_error *err) {
    const struct nx_str key = nx_str_of(&stream, sizeof stream);
    char *copy = strndup(name.ptr, name.len);
    if (copy == NULL) {
        return nx_fail_memory(err);
    }
    free(nx_map_remove(&check->names, key));
    const enum nx_status status = nx_map_set(&check->names, key, copy, err);
    if (status != NX_OK) {
        free(copy);
    }
    return status;
}

static void tell_record(struct check *check, const char *file, const struct nx_stored *stored) {
    const char *name = nx_map_get(&check->names, nx_str_of(&stored->stream, sizeof stored->stream));
    check->summary.record_count++;
    if (check->visitor->record != NULL && !check->stopped) {
        check->stopped = !check->visitor->record(check->visitor->data, file, nx_str_from_c(name), stored);
    }
}

/* ---- runs ---- */

static enum nx_status check_stream(struct check *check, const struct nx_run *run, struct nx_run_cache *cache,
                                   size_t index, const char *file, struct nx_error *err) {
    struct nx_str name;
    const struct nx_extent extent = nx_run_extent_at(run, index, &name);
    uint64_t sequence = extent.first_sequence;
    uint64_t damaged = 0;
    NX_TRY(remember_name(check, extent.stream, name, err));
    while (extent.count > 0 && !check->stopped) {
        struct nx_stored stored;
        const enum nx_stored_found found = nx_run_at_or_after(run, cache, extent.stream, sequence, &stored);
        if (found == NX_STORED_NONE) {
            break;
        }
        if (found == NX_STORED_FOUND) {
            tell_record(check, file, &stored);
        } else {
            damaged++;
        }
        sequence = stored.sequence + 1;
    }
    if (damaged > 0) {
        char text[160];
        (void)snprintf(text, sizeof text, "%" PRIu64 " records of stream '%.*s' are destroyed", damaged,
                       NX_STR_ARG(nx_str_slice(name, 0, 64)));
        check->summary.lost_count += damaged;
        tell(check, file, text);
    }
    return NX_OK;
}

/* True when a run that can be read holds the segments of this one and more: it is left over from a merge. */
static bool is_left_over(const struct check *check, uint64_t first, uint64_t last) {
    for (size_t i = 0; i < check->file_count; i++) {
        uint64_t from;
        uint64_t to;
        if (nx_run_name_parse(nx_str_from_c(check->files[i].text), &from, &to) && from <= first &&
            last <= to && to - from > last - first) {
            struct nx_run *run = NULL;
            const enum nx_status status = nx_run_open(check->disk, check->directory, from, to, &run, NULL);
            nx_run_close(run, NULL);
            if (status == NX_OK) {
                return true;
            }
        }
    }
    return false;
}

static enum nx_status check_run(struct check *check, const char *file, uint64_t first, uint64_t last,
                                struct nx_error *err) {
    struct nx_run *run = NULL;
    struct nx_error cause = { 0 };
    struct nx_run_cache cache = { 0 };
    enum nx_status status = nx_run_open(check->disk, check->directory, first, last, &run, &cause);
    check->summary.run_count++;
    if (status == NX_DATA_LOSS) {
        tell(check, file, cause.message);
        return NX_OK;
    }
    if (status != NX_OK) {
        if (err != NULL) {
            *err = cause;
        }
        return status;
    }
    for (size_t i = 0; status == NX_OK && i < nx_run_extent_count(run); i++) {
        status = check_stream(check, run, &cache, i, file, err);
    }
    nx_run_close(run, &cache);
    nx_run_cache_fini(&cache);
    return status;
}

/* ---- segments ---- */

static enum nx_status see_stream(void *data, uint32_t stream, struct nx_str name, uint64_t first_sequence,
                                 uint64_t last_sequence, int64_t time_ns, struct nx_error *err) {
    (void)first_sequence;
    (void)last_sequence;
    (void)time_ns;
    return remember_name(data, stream, name, err);
}

static enum nx_status see_record(void *data, const struct nx_segment *segment, const struct nx_frame *frame,
                                 struct nx_error *err) {
    struct nx_stored stored;
    char file[NX_SEGMENT_NAME_SIZE];
    (void)err;
    (void)snprintf(file, sizeof file, "wal-%016" PRIx64, segment->number);
    nx_stored_of_frame(frame, &stored);
    tell_record(data, file, &stored);
    return NX_OK;
}

static enum nx_status see_gap(void *data, uint32_t stream, uint64_t first, uint64_t last, bool lost,
                              struct nx_error *err) {
    struct check *check = data;
    (void)stream;
    (void)err;
    check->summary.lost_count += lost ? last - first + 1 : 0;
    return NX_OK;
}

/* Each line is "file: text". */
static void tell_lines(struct check *check, struct nx_str report) {
    struct nx_str line;
    while (nx_str_split(&report, '\n', &line)) {
        char file[NX_SEGMENT_NAME_SIZE] = "";
        char text[512];
        const size_t at = nx_str_find(line, NX_STR(": "));
        if (at == SIZE_MAX || at >= sizeof file) {
            continue;
        }
        memcpy(file, line.ptr, at);
        (void)snprintf(text, sizeof text, "%.*s", NX_STR_ARG(nx_str_slice(line, at + 2, line.len)));
        tell(check, file, text);
    }
}

static enum nx_status know_runs(struct check *check, struct nx_wal_tracker *tracker, uint64_t first,
                                uint64_t last, struct nx_error *err) {
    struct nx_run *run = NULL;
    if (nx_run_open(check->disk, check->directory, first, last, &run, NULL) != NX_OK) {
        return NX_OK; /* told already */
    }
    enum nx_status status = NX_OK;
    for (size_t i = 0; status == NX_OK && i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        status = nx_wal_tracker_know(tracker, extent.stream, extent.last_sequence, err);
    }
    nx_run_close(run, NULL);
    return status;
}

static enum nx_status check_segments(struct check *check, uint64_t from_number,
                                     struct nx_wal_recovered *recovered, struct nx_error *err) {
    const struct nx_wal_visitor visitor = {
        .data = check, .stream = see_stream, .record = see_record, .gap = see_gap
    };
    struct nx_wal_tracker tracker;
    NX_AUTO(nx_buf) report;
    nx_buf_init(&report, REPORT_SIZE_MAX);
    nx_wal_tracker_init(&tracker, &visitor, &report);
    enum nx_status status = NX_OK;
    for (size_t i = 0; status == NX_OK && i < check->file_count; i++) {
        uint64_t first;
        uint64_t last;
        if (nx_run_name_parse(nx_str_from_c(check->files[i].text), &first, &last)) {
            status = know_runs(check, &tracker, first, last, err);
        }
    }
    if (status == NX_OK) {
        const struct nx_wal_look look = { .from_number = from_number };
        status = nx_wal_recover(check->disk, check->directory, &look, &tracker, recovered, err);
    }
    tell_lines(check, nx_buf_str(&report));
    nx_wal_tracker_fini(&tracker);
    return status;
}

static enum nx_status check_all(struct check *check, struct nx_wal_recovered *recovered,
                                uint64_t *next_segment_out, struct nx_error *err) {
    uint64_t next_segment = 1;
    for (size_t i = 0; i < check->file_count; i++) {
        const char *file = check->files[i].text;
        uint64_t first;
        uint64_t last;
        if (nx_run_name_parse(nx_str_from_c(file), &first, &last)) {
            if (!is_left_over(check, first, last)) {
                NX_TRY(check_run(check, file, first, last, err));
            }
            next_segment = last + 1 > next_segment ? last + 1 : next_segment;
        } else if (nx_segment_name_parse(nx_str_from_c(file), &first)) {
            check->summary.segment_count++;
        } else if (nx_str_starts_with(nx_str_from_c(file), NX_STR("damaged-"))) {
            tell(check, file, "was put aside because records in it are destroyed");
        }
    }
    *next_segment_out = next_segment;
    return check_segments(check, next_segment, recovered, err);
}

enum nx_status nx_journal_verify(struct nx_disk *disk, const char *directory,
                                 const struct nx_check_visitor *visitor, struct nx_check_summary *summary_out,
                                 struct nx_error *err) {
    struct check check;
    struct nx_wal_recovered recovered;
    uint64_t next_segment;
    enum nx_status status = check_init(&check, disk, directory, visitor, err);
    if (status == NX_OK) {
        status = check_all(&check, &recovered, &next_segment, err);
    }
    if (status == NX_OK) {
        *summary_out = check.summary;
    }
    check_fini(&check);
    return status;
}

/* ---- repair ---- */

static enum nx_status put_aside(struct check *check, const char *file, struct nx_error *err) {
    char from[NX_PATH_SIZE_MAX];
    char to[NX_PATH_SIZE_MAX];
    const int from_len = snprintf(from, sizeof from, "%s/%s", check->directory, file);
    const int to_len = snprintf(to, sizeof to, "%s/damaged-%s", check->directory, file);
    if (from_len < 0 || to_len < 0 || (size_t)to_len >= sizeof to) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path of the journal is too long");
    }
    NX_TRY(nx_disk_rename(check->disk, from, to, err));
    check->visitor->problem(check->visitor->data, file, "put aside: it cannot be read");
    return NX_OK;
}

static enum nx_status repair_file(struct check *check, const char *file, struct nx_error *err) {
    const struct nx_str name = nx_str_from_c(file);
    enum nx_status status = NX_OK;
    uint64_t first;
    uint64_t last;
    if (nx_run_name_parse(name, &first, &last)) {
        struct nx_run *run = NULL;
        status = nx_run_open(check->disk, check->directory, first, last, &run, NULL);
        nx_run_close(run, NULL);
    } else if (nx_segment_name_parse(name, &first)) {
        NX_AUTO(nx_segment) *segment = NULL;
        status = nx_segment_open(check->disk, check->directory, first, &segment, NULL);
    }
    return status == NX_DATA_LOSS ? put_aside(check, file, err) : NX_OK;
}

static enum nx_status repair(struct check *check, struct nx_error *err) {
    for (size_t i = 0; i < check->file_count; i++) {
        NX_TRY(repair_file(check, check->files[i].text, err));
    }
    return nx_disk_sync_directory(check->disk, check->directory, err);
}

enum nx_status nx_journal_repair(struct nx_disk *disk, const char *directory,
                                 const struct nx_check_visitor *visitor, struct nx_error *err) {
    struct check check;
    enum nx_status status = check_init(&check, disk, directory, visitor, err);
    if (status == NX_OK) {
        status = repair(&check, err);
    }
    check_fini(&check);
    return status;
}
