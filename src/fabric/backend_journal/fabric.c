/* The fabric of one process: opening and closing the data directory, and what joins journal and library. */
#include "fabric/fabric.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library.h"

enum {
    APPENDS_DEFAULT = 4096,
    REPORT_SIZE_MAX = 64 * 1024,
    SEAL_SIZE_MIN = 4 * 1024 * 1024, /* bytes of records that are worth a run of their own */
    READ_ONLY_TRIES =
        64, /* a running server changes its files every few seconds at most, opening takes less */
};

struct nx_fabric {
    struct nx_fabric_options options;
    struct nx_board board;
    struct nx_disk_lock *lock;
    struct nx_mailbox *appends;
    struct nx_mailbox *reads;
    char *directory; /* the journal's */
    struct nx_journal journal;
    struct nx_library library;
    struct nx_buf report;
    uint64_t resting_until; /* read_only: the newest segment when nobody had the lock */
};

/* ---- recovery tells both ---- */

struct witness {
    struct nx_fabric *fabric;
    int64_t now_ns;
};

static enum nx_status see_stream(void *data, uint32_t stream, struct nx_str name, uint64_t first_sequence,
                                 uint64_t last_sequence, int64_t time_ns, struct nx_error *err) {
    struct witness *witness = data;
    (void)first_sequence;
    NX_TRY(nx_journal_see_stream(&witness->fabric->journal, stream, name, last_sequence, time_ns, err));
    return nx_library_see_stream(&witness->fabric->library, stream, name, last_sequence, err);
}

static enum nx_status see_record(void *data, const struct nx_segment *segment, const struct nx_frame *frame,
                                 struct nx_error *err) {
    struct witness *witness = data;
    NX_TRY(nx_journal_see_record(&witness->fabric->journal, frame, witness->now_ns, err));
    return nx_library_see_record(&witness->fabric->library, segment, frame, err);
}

static enum nx_status see_gap(void *data, uint32_t stream, uint64_t first, uint64_t last, bool lost,
                              struct nx_error *err) {
    struct witness *witness = data;
    nx_journal_see_gap(&witness->fabric->journal, stream, first, last, lost);
    return nx_library_see_gap(&witness->fabric->library, stream, first, last, lost, err);
}

struct run_witness {
    struct nx_fabric *fabric;
    struct nx_wal_tracker *tracker;
    int64_t now_ns;
    bool failed; /* no memory for a key: a duplicate would be taken for a new event */
};

static enum nx_status see_run(void *data, const struct nx_extent *extent, struct nx_str name,
                              struct nx_error *err) {
    struct run_witness *witness = data;
    NX_TRY(nx_wal_tracker_know(witness->tracker, extent->stream, extent->last_sequence, err));
    return nx_journal_see_run(&witness->fabric->journal, extent->stream, name, extent->last_sequence,
                              extent->last_time_ns, err);
}

static void see_key(void *data, const struct nx_stored *stored) {
    struct run_witness *witness = data;
    witness->failed = !nx_journal_see_key(&witness->fabric->journal, stored->stream, stored->dedup,
                                          stored->sequence, stored->time_ns, witness->now_ns) ||
                      witness->failed;
}

/* Runs first, then the segments that are not in one. */
static enum nx_status recover_all(struct nx_fabric *fabric, struct nx_wal_tracker *tracker, int64_t now_ns,
                                  struct nx_wal_recovered *recovered, struct nx_error *err) {
    struct run_witness witness = { .fabric = fabric, .tracker = tracker, .now_ns = now_ns };
    uint64_t next_segment;
    NX_TRY(nx_library_open_runs(&fabric->library, &fabric->report, see_run, &witness, &next_segment, err));
    NX_TRY(nx_library_read_marks(&fabric->library, err));
    nx_library_recent_keys(&fabric->library, now_ns, see_key, &witness);
    if (witness.failed) {
        return nx_fail_memory(err);
    }
    const struct nx_wal_look look = { .from_number = next_segment,
                                      .live = fabric->options.read_only,
                                      .resting_until = fabric->resting_until };
    NX_TRY(nx_wal_recover(fabric->options.disk, fabric->directory, &look, tracker, recovered, err));
    return fabric->options.read_only ? NX_OK
                                     : nx_wal_secure(fabric->options.disk, fabric->directory, recovered, err);
}

static enum nx_status recover(struct nx_fabric *fabric, struct nx_error *err) {
    struct witness witness = { .fabric = fabric, .now_ns = nx_clock_read(&fabric->options.clock).wall_ns };
    const struct nx_wal_visitor visitor = {
        .data = &witness, .stream = see_stream, .record = see_record, .gap = see_gap
    };
    struct nx_wal_recovered recovered = { 0 };
    struct nx_wal_tracker tracker;
    nx_wal_tracker_init(&tracker, &visitor, &fabric->report);
    const enum nx_status status = recover_all(fabric, &tracker, witness.now_ns, &recovered, err);
    if (status != NX_OK) {
        nx_wal_tracker_fini(&tracker);
        return status;
    }
    /* What is written from now on begins with a new segment. */
    nx_library_start(&fabric->library, &tracker, recovered.next_number, NX_SEGMENT_DATA_OFFSET);
    nx_counter_set(&fabric->board.committed,
                   nx_board_position(recovered.next_number, NX_SEGMENT_DATA_OFFSET));
    for (size_t i = 0; i < fabric->library.tail_count; i++) {
        const struct nx_segment *segment = nx_tail_segment(fabric->library.tails[i]);
        nx_journal_note_unsealed(&fabric->journal, segment->number, segment->size);
    }
    return fabric->options.read_only ? NX_OK : nx_journal_start(&fabric->journal, &recovered, err);
}

/* ---- opening and closing ---- */

static bool lock_path(const struct nx_fabric_options *options, char path_out[NX_PATH_SIZE_MAX]) {
    const int len = snprintf(path_out, NX_PATH_SIZE_MAX, "%s/nexus.lock", options->directory);
    return len > 0 && len < NX_PATH_SIZE_MAX;
}

static enum nx_status take_lock(struct nx_fabric *fabric, struct nx_error *err) {
    const struct nx_fabric_options *options = &fabric->options;
    char path[NX_PATH_SIZE_MAX];
    uint64_t holder = 0;
    NX_TRY(nx_disk_make_directory(options->disk, fabric->directory, err));
    nx_assert(lock_path(options, path)); /* the journal's, which is longer, was made of it */
    const enum nx_status status = nx_disk_lock(options->disk, path, &fabric->lock, &holder, err);
    if (status == NX_FAILED_PRECONDITION) {
        (void)nx_fail_kind(err, NX_KIND_LOCKED, "process %" PRIu64 " uses the data directory '%s'", holder,
                           options->directory);
        nx_hint(err, "stop it first, or choose another directory with --data");
    }
    return status;
}

static enum nx_status must_exist(struct nx_fabric *fabric, struct nx_error *err) {
    NX_AUTO(nx_wal_listing) listing = { 0 };
    NX_TRY(nx_wal_list(fabric->options.disk, fabric->directory, &listing, err));
    return listing.count > 0
               ? NX_OK
               : nx_fail(err, NX_NOT_FOUND, "there is no data in '%s'", fabric->options.directory);
}

static enum nx_status open_parts(struct nx_fabric *fabric, struct nx_error *err) {
    const struct nx_fabric_options *options = &fabric->options;
    char path[NX_PATH_SIZE_MAX];
    NX_TRY(nx_journal_directory(options->directory, path, err));
    fabric->directory = strdup(path);
    if (fabric->directory == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(options->read_only ? must_exist(fabric, err) : take_lock(fabric, err));
    const size_t appends_max = options->appends_max == 0 ? APPENDS_DEFAULT : options->appends_max;
    NX_TRY(nx_mailbox_open(appends_max, &fabric->appends, err));
    NX_TRY(nx_mailbox_open(appends_max, &fabric->reads, err));
    NX_TRY(nx_journal_init(&fabric->journal, options, &fabric->board, fabric->appends, fabric->reads, err));
    NX_TRY(nx_library_init(&fabric->library, options, &fabric->board, fabric->directory, fabric->appends,
                           fabric->reads, err));
    return recover(fabric, err);
}

static enum nx_status open_once(const struct nx_fabric_options *options, uint64_t resting_until,
                                struct nx_fabric **fabric_out, struct nx_error *err) {
    NX_AUTO(nx_fabric) *fabric = calloc(1, sizeof *fabric);
    if (fabric == NULL) {
        return nx_fail_memory(err);
    }
    fabric->options = *options;
    fabric->resting_until = resting_until;
    if (fabric->options.segment_size == 0) {
        fabric->options.segment_size = nx_segment_size_for(options->disk_budget);
    }
    nx_buf_init(&fabric->report, REPORT_SIZE_MAX);
    const enum nx_status status = open_parts(fabric, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "opening '%s'", options->directory);
    }
    *fabric_out = NX_TAKE(fabric);
    return NX_OK;
}

/* Which files the log consists of. */
struct files {
    uint64_t sum;            /* of all names: none of them ever comes twice */
    uint64_t newest_segment; /* 0: none */
};

static bool add_name(void *data, const struct nx_disk_entry *entry) {
    struct files *files = data;
    uint64_t first;
    uint64_t last;
    const bool is_segment = nx_segment_name_parse(entry->name, &first);
    if (is_segment || nx_run_name_parse(entry->name, &first, &last)) {
        files->sum += nx_str_hash(entry->name, 1); /* in whatever order they are listed */
    }
    if (is_segment && first > files->newest_segment) {
        files->newest_segment = first;
    }
    return true;
}

static enum nx_status look_at_files(const struct nx_fabric_options *options, struct files *files_out,
                                    struct nx_error *err) {
    char path[NX_PATH_SIZE_MAX];
    *files_out = (struct files){ 0 };
    NX_TRY(nx_journal_directory(options->directory, path, err));
    const enum nx_status status = nx_disk_list(options->disk, path, add_name, files_out, err);
    return status == NX_NOT_FOUND ? NX_OK : status;
}

/* The files were listed before: if no server has the directory now, none will ever write to one of them
 * again, since each begins with a segment of its own. */
static bool is_at_rest(const struct nx_fabric_options *options) {
    char path[NX_PATH_SIZE_MAX];
    uint64_t holder;
    return lock_path(options, path) && !nx_disk_is_locked(options->disk, path, &holder);
}

/* A server may be running on the directory: between our look at the runs and the one at the segments it can
 * have made a run of segments and deleted them, or deleted a run. What was opened is whole when the same
 * files were there before and after; then they are held open, and what becomes of their names does not
 * matter. */
static enum nx_status open_unchanged(const struct nx_fabric_options *options, struct nx_fabric **fabric_out,
                                     struct nx_error *err) {
    for (int i = 0; i < READ_ONLY_TRIES; i++) {
        NX_AUTO(nx_fabric) *fabric = NULL;
        struct files before;
        struct files after;
        NX_TRY(look_at_files(options, &before, err));
        const uint64_t resting_until = is_at_rest(options) ? before.newest_segment : 0;
        const enum nx_status status = open_once(options, resting_until, &fabric, err);
        NX_TRY(look_at_files(options, &after, err));
        /* A server that came meanwhile may write to a segment that was only reserved. */
        if (before.sum == after.sum && (resting_until == 0 || is_at_rest(options))) {
            *fabric_out = NX_TAKE(fabric);
            return status;
        }
    }
    return nx_fail(err, NX_UNAVAILABLE, "opening '%s': its files change faster than they can be opened",
                   options->directory);
}

enum nx_status nx_fabric_open(const struct nx_fabric_options *options, struct nx_fabric **fabric_out,
                              struct nx_error *err) {
    return options->read_only ? open_unchanged(options, fabric_out, err)
                              : open_once(options, 0, fabric_out, err);
}

void nx_fabric_close(struct nx_fabric *fabric) {
    if (fabric == NULL) {
        return;
    }
    if (fabric->journal.wal != NULL && nx_wal_finish(fabric->journal.wal, NULL) != NX_OK) {
        /* The next start finds what is on disk, as after a crash. */
    }
    nx_mailbox_close(fabric->appends);
    nx_mailbox_close(fabric->reads);
    nx_journal_fini(&fabric->journal);
    nx_library_fini(&fabric->library);
    nx_disk_unlock(fabric->lock);
    nx_buf_fini(&fabric->report);
    free(fabric->directory);
    free(fabric);
}

void nx_fabric_seal(struct nx_fabric *fabric) {
    struct nx_error err = { 0 };
    uint64_t end;
    if (fabric->journal.wal == NULL || nx_library_unsealed_size(&fabric->library) < SEAL_SIZE_MIN) {
        return;
    }
    if (nx_journal_roll(&fabric->journal, 0, &err) != NX_OK) {
        return; /* the log takes nothing: the next start reads the segments as they are */
    }
    const uint64_t segment = nx_wal_position(fabric->journal.wal, &end);
    nx_counter_set(&fabric->board.committed, nx_board_position(segment, end));
    nx_library_seal_all(&fabric->library);
}

struct nx_mailbox *nx_fabric_appends(struct nx_fabric *fabric) {
    return fabric->appends;
}

struct nx_mailbox *nx_fabric_reads(struct nx_fabric *fabric) {
    return fabric->reads;
}

void nx_fabric_actors(struct nx_fabric *fabric, struct nx_actor *journal_out, struct nx_actor *library_out) {
    *journal_out = (struct nx_actor){
        .name = "journal", .mailbox = fabric->appends, .state = &fabric->journal, .step = nx_journal_step
    };
    *library_out = (struct nx_actor){
        .name = "library", .mailbox = fabric->reads, .state = &fabric->library, .step = nx_library_step
    };
}

void nx_fabric_read_now(struct nx_fabric *fabric, struct nx_read *read) {
    nx_library_answer(&fabric->library, read);
    nx_vault_open_all(&fabric->library.vault, read);
}

bool nx_fabric_is_writable(struct nx_fabric *fabric, struct nx_error *err) {
    char text[NX_BOARD_TEXT_WORDS * 8];
    const uint64_t refusal = nx_counter_get(&fabric->board.refusal);
    if (refusal != NX_KIND_NONE) {
        nx_board_get_text(fabric->board.refusal_text, text);
        (void)nx_fail_kind(err, (enum nx_kind)refusal, "%s", text);
        nx_board_hint((enum nx_kind)refusal, err);
        return false;
    }
    if (nx_counter_get(&fabric->board.budget_full) != 0) {
        nx_board_get_text(fabric->board.budget_text, text);
        (void)nx_fail_kind(err, NX_KIND_BUDGET_FULL, "%s", text);
        nx_board_hint(NX_KIND_BUDGET_FULL, err);
        return false;
    }
    return true;
}

bool nx_fabric_keeps_keys(struct nx_fabric *fabric, struct nx_error *err) {
    char text[NX_BOARD_TEXT_WORDS * 8];
    if (nx_counter_get(&fabric->board.keys_frozen) == 0) {
        return true;
    }
    nx_board_get_text(fabric->board.keys_text, text);
    (void)nx_fail_kind(err, NX_KIND_LOG_FROZEN, "%s, and nobody can be forgotten; other events are taken",
                       text);
    nx_hint(err, "look at the disk, then start again");
    return false;
}

struct nx_str nx_fabric_recovery_report(const struct nx_fabric *fabric) {
    return nx_buf_str(&fabric->report);
}

struct nx_fabric_stats nx_fabric_stats_get(const struct nx_fabric *fabric) {
    if (fabric->journal.wal == NULL) {
        return (struct nx_fabric_stats){ 0 };
    }
    const struct nx_wal_stats *stats = nx_wal_stats_get(fabric->journal.wal);
    return (struct nx_fabric_stats){ .batch_records = &stats->batch_records,
                                     .sync_ns = &stats->sync_ns,
                                     .bytes_written = &stats->bytes };
}
