/* Retention: what is too old or too much leaves, a block of a stream's part of a run at a time: blocks are
 * punched out of the file, and a file that holds nothing more is deleted. What a consumer has not finished
 * stays.
 *
 * A stream may go with another (nx_stream_config.goes_with), whose records name what stands in it. Both are
 * in one append, so in one segment, and in one run ever after. What goes with others leaves a run when none
 * of those is left in it or in an older one, and that is on disk first: whatever a crash brings back of the
 * one brings back the other.
 *
 * The disk budget is for all that the journal's directory takes, segments with what is reserved of them, and
 * runs that are being written, included. Two segments and the largest merge under it retention begins, so
 * that these have their place in it. A consumer's wish that stands in the way may be old: first its owner is
 * asked (NX_FABRIC_WHEN_HELD), and only what he then says can make newer records leave before those that it
 * holds, or the budget full. */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"
#include "fabric/subject/subject.h"

enum {
    PERIOD_S = 10,
    ASK_AGAIN_MS = 100,     /* whether a wish is still true, at the earliest */
    ASK_FULL_MS = 1000,     /* likewise, while it fills the budget */
    BEHIND_SEGMENTS = 4,    /* unsealed: with more of them what fills the budget is about to be sealed */
    LOOKS_MAX = 256 * 1024, /* at streams in one go, when the budget is exceeded */
};

static struct nx_protect *next_of(const struct nx_protect *wish) {
    return (struct nx_protect *)(void *)wish->message.next;
}

void nx_library_protect(struct nx_library *library, struct nx_protect *wish) {
    nx_assert(wish != NULL);
    struct nx_library_stream *stream = nx_map_get(&library->streams, nx_str_from_c(wish->stream));
    const char *last = library->options->retention_waits_for;
    if (!library->may_retain && last != NULL && strcmp(wish->consumer, last) == 0) {
        library->may_retain = true;
        library->retention_at_ns = 0;
    }
    if (stream == NULL) {
        nx_message_release(&wish->message);
        return;
    }
    library->retention_at_ns = library->is_held ? 0 : library->retention_at_ns;
    struct nx_protect *before = NULL;
    struct nx_protect *known = stream->protections;
    while (known != NULL && strcmp(known->consumer, wish->consumer) != 0) {
        before = known;
        known = next_of(known);
    }
    if (known != NULL && wish->from_sequence != UINT64_MAX) {
        known->from_sequence = wish->from_sequence;
        nx_message_release(&wish->message);
        return;
    }
    if (known != NULL) {
        if (before == NULL) {
            stream->protections = next_of(known);
        } else {
            before->message.next = known->message.next;
        }
        nx_message_release(&known->message);
    }
    if (wish->from_sequence == UINT64_MAX) {
        nx_message_release(&wish->message);
        return;
    }
    wish->message.next = stream->protections == NULL ? NULL : &stream->protections->message;
    stream->protections = wish;
}

/* The consumer whose wish reaches furthest back, or NULL. */
static const struct nx_protect *holder(const struct nx_library_stream *stream) {
    const struct nx_protect *first = NULL;
    for (const struct nx_protect *at = stream->protections; at != NULL; at = next_of(at)) {
        first = first == NULL || at->from_sequence < first->from_sequence ? at : first;
    }
    return first;
}

static bool may_drop(const struct nx_library_stream *stream, const struct nx_extent *extent) {
    const struct nx_protect *protection = holder(stream);
    return protection == NULL || extent->last_sequence < protection->from_sequence;
}

/* Nothing up to here is shown any more. */
static void raise_first(struct nx_library_stream *stream, const struct nx_extent *part) {
    nx_library_expire_before(stream, part->last_sequence + 1);
    stream->is_counted = false;
}

/* Drop the stream's oldest parts in this run; true when one stays, and so everything behind it. */
static bool retain_in_run(struct nx_library_stream *stream, const struct nx_run *run, int64_t now_ns,
                          uint64_t *size) {
    const struct nx_stream_config *config = &stream->config;
    struct nx_extent part;
    for (size_t i = 0; nx_run_part(run, stream->number, i, &part); i++) {
        if (part.last_sequence < stream->first_sequence) {
            continue;
        }
        const bool is_old = config->age_max_ns > 0 && part.last_time_ns < now_ns - config->age_max_ns;
        const bool is_much = config->size_max > 0 && *size > config->size_max;
        if ((!is_old && !is_much) || !may_drop(stream, &part)) {
            return true;
        }
        raise_first(stream, &part);
        *size -= part.size < *size ? part.size : *size;
    }
    return false;
}

/* Whether what goes with this stream may leave the run: none of its records is in it or before.
 * While a run is merged, what was taken over before it left may come back with the new one. */
static bool is_gone_up_to(const struct nx_library *library, const struct nx_library_stream *leader,
                          size_t run) {
    const struct nx_merging *merging = &library->merging;
    if (merging->is_off || (merging->writer != NULL && merging->first <= run)) {
        return false;
    }
    for (size_t i = 0; i <= run; i++) {
        struct nx_extent extent;
        if (nx_run_extent(library->runs[i], leader->number, &extent)) {
            return false;
        }
    }
    return true;
}

static const struct nx_library_stream *leader_of(const struct nx_library *library,
                                                 const struct nx_library_stream *stream) {
    return stream->config.goes_with.len == 0 ? NULL : nx_map_get(&library->streams, stream->config.goes_with);
}

/* Note which streams have others that go with them; true: some have. */
static bool find_followed(const struct nx_library *library) {
    size_t cursor = 0;
    struct nx_str name;
    void *value;
    bool found = false;
    while (nx_map_next(&library->streams, &cursor, &name, &value)) {
        const struct nx_library_stream *stream = value;
        if (stream->number != 0 && stream->config.goes_with.len > 0) {
            struct nx_library_stream *leader = nx_map_get(&library->streams, stream->config.goes_with);
            if (leader != NULL) {
                leader->is_followed = found = true;
            }
        }
    }
    return found;
}

/* What went with records that have left. */
static void retain_follower(const struct nx_library *library, struct nx_library_stream *stream) {
    const struct nx_library_stream *leader = leader_of(library, stream);
    struct nx_extent part;
    if (leader == NULL || leader->number == 0) {
        return;
    }
    for (size_t i = 0; i < library->run_count && is_gone_up_to(library, leader, i); i++) {
        for (size_t k = 0; nx_run_part(library->runs[i], stream->number, k, &part); k++) {
            if (part.last_sequence >= stream->first_sequence) {
                raise_first(stream, &part);
            }
        }
    }
}

/* By age and size: raise the stream's first sequence past whole parts of runs. */
static void retain_stream(const struct nx_library *library, struct nx_library_stream *stream,
                          int64_t now_ns) {
    const struct nx_stream_config *config = &stream->config;
    struct nx_stream_info info;
    if (config->goes_with.len > 0) {
        retain_follower(library, stream);
        return;
    }
    if (stream->defined != NULL || (config->age_max_ns == 0 && config->size_max == 0)) {
        return; /* a client's stream: library_limits.c */
    }
    nx_library_info(library, stream, &info);
    uint64_t size = info.size;
    for (size_t i = 0; i < library->run_count; i++) {
        if (retain_in_run(stream, library->runs[i], now_ns, &size)) {
            return;
        }
    }
}

static uint64_t first_of(const struct nx_library *library, uint32_t stream) {
    const struct nx_library_stream *found = nx_library_numbered(library, stream);
    return found == NULL ? UINT64_MAX : found->first_sequence;
}

/* Before what went with other records leaves the file, the holes that those left are put on disk: made once
 * more, for after a sync that failed in an earlier life what is shown need not be there. What a failed sync
 * has left is not known: then no file is touched again before the next start. */
static bool is_leader_on_disk(struct nx_library *library, const struct nx_run *run,
                              const struct nx_library_stream *stream, struct nx_file *file) {
    const struct nx_library_stream *leader = stream == NULL ? NULL : leader_of(library, stream);
    uint64_t offset;
    uint64_t len;
    if (leader == NULL) {
        return true;
    }
    if ((!nx_run_gone_region(run, leader->number, &offset, &len) ||
         nx_file_punch_hole(file, offset, len, NULL) == NX_OK) &&
        nx_file_sync(file, NULL) == NX_OK) {
        return true;
    }
    library->merging.is_off = true;
    return false;
}

/* Give back the bytes of a stream's first parts. Their blocks then read as zeros, which a later start
 * understands. */
static void punch(struct nx_library *library, struct nx_run *run, uint32_t stream) {
    char path[NX_PATH_SIZE_MAX];
    NX_AUTO(nx_file) *file = NULL;
    const uint64_t first = first_of(library, stream);
    uint64_t offset;
    uint64_t len;
    if (!nx_run_region(run, stream, first, &offset, &len) || library->merging.is_off ||
        nx_run_path(library->directory, nx_run_first_segment(run), nx_run_last_segment(run), path, NULL) !=
            NX_OK) {
        return;
    }
    const struct nx_library_stream *found = nx_library_numbered(library, stream);
    const bool is_followed = found != NULL && found->is_followed;
    if (!is_followed) {
        nx_run_mark_gone(run, stream, first);
        nx_library_runs_changed(library);
    }
    if (nx_file_open(library->options->disk, path, NX_FILE_WRITE, &file, NULL) != NX_OK ||
        !is_leader_on_disk(library, run, found, file) ||
        nx_file_punch_hole(file, offset, len, NULL) != NX_OK) {
        nx_log_debug(library->options->log, "cannot give back the space of expired records");
    } else if (is_followed) { /* only now: others rely on it */
        nx_run_mark_gone(run, stream, first);
        nx_library_runs_changed(library);
    }
}

/* Punch out what is expired in the run; true when nothing is left in it. */
static bool clean_run(struct nx_library *library, struct nx_run *run) {
    size_t live = 0;
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        live += extent.count > 0 && extent.last_sequence >= first_of(library, extent.stream) ? 1 : 0;
    }
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        if (extent.count > 0) {
            punch(library, run, extent.stream);
        }
    }
    return live == 0;
}

/* Delete the runs that hold nothing more, but never the newest: its name says where the segments go on. */
static void clean(struct nx_library *library) {
    size_t kept = 0;
    for (size_t i = 0; i < library->run_count; i++) {
        struct nx_run *run = library->runs[i];
        char path[NX_PATH_SIZE_MAX];
        /* While some are merged, the runs keep their places. */
        if (!clean_run(library, run) || i + 1 == library->run_count || library->merging.writer != NULL ||
            nx_run_path(library->directory, nx_run_first_segment(run), nx_run_last_segment(run), path,
                        NULL) != NX_OK ||
            nx_disk_unlink(library->options->disk, path, NULL) != NX_OK) {
            library->runs[kept++] = run;
            continue;
        }
        nx_run_close(run, library->cache);
        nx_library_runs_changed(library);
    }
    library->run_count = kept;
}

/* Bytes that the run still takes. */
static uint64_t size_of_run(const struct nx_library *library, const struct nx_run *run) {
    uint64_t size = nx_run_live_size(run);
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        uint64_t offset;
        uint64_t len;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        if (nx_run_region(run, extent.stream, first_of(library, extent.stream), &offset, &len)) {
            size -= len < size ? len : size;
        }
    }
    return size;
}

static uint64_t size_of_runs(const struct nx_library *library) {
    uint64_t size = 0;
    for (size_t i = 0; i < library->run_count; i++) {
        size += size_of_run(library, library->runs[i]);
    }
    return size;
}

/* Bytes that the segments take which are not in a run yet. */
static uint64_t size_of_segments(const struct nx_library *library) {
    uint64_t size = 0;
    for (size_t i = 0; i < library->tail_count; i++) {
        size += nx_tail_segment(library->tails[i])->size;
    }
    return size;
}

/* Of what is being written, when it is done. */
static uint64_t size_of_writing(const struct nx_library *library) {
    return (library->sealing.writer == NULL ? 0 : library->sealing.size) +
           (library->merging.writer == NULL ? 0 : library->merging.size);
}

/* All that the journal's directory takes; the segment that is reserved ahead is always counted. */
static uint64_t size_of_all(const struct nx_library *library, uint64_t runs_size) {
    return runs_size + size_of_writing(library) + size_of_segments(library) + library->options->segment_size;
}

void nx_library_publish_sizes(struct nx_library *library) {
    const uint64_t next =
        library->tail_count == 0 ? library->segment : nx_tail_segment(library->tails[0])->number;
    nx_counter_set(&library->board->stored, library->runs_size + size_of_writing(library));
    nx_counter_set(&library->board->sealed, next == 0 ? 0 : next - 1);
}

bool nx_library_budget_has_room(const struct nx_library *library, uint64_t size, unsigned segments) {
    const struct nx_fabric_options *options = library->options;
    return options->disk_budget == 0 || size_of_all(library, library->runs_size) + size <=
                                            options->disk_budget + segments * options->segment_size;
}

/* ---- the budget ---- */

/* `stream`: holds the budget; NULL: what no retention takes does. */
static void say_full(struct nx_library *library, const struct nx_library_stream *stream) {
    char text[NX_BOARD_TEXT_WORDS * 8];
    const struct nx_protect *protection = stream == NULL ? NULL : holder(stream);
    if (protection == NULL) {
        (void)snprintf(
            text, sizeof text,
            "the disk budget is full of keys and objects (modules, the largest tapes), which stay");
    } else if (protection->is_own) {
        (void)snprintf(
            text, sizeof text,
            "the disk budget is full of records of '%.60s' that '%.60s' has not read for the functions",
            stream->name.ptr, protection->consumer);
    } else {
        (void)snprintf(text, sizeof text,
                       "the disk budget is full of records of '%.60s' that '%.60s' has not finished",
                       stream->name.ptr, protection->consumer);
    }
    nx_board_set_text(library->board->budget_text, text);
    nx_counter_set(&library->board->budget_full, 1);
}

void nx_library_take_when_held(struct nx_library *library, struct nx_message *message) {
    nx_message_queue_push(&library->when_held, message);
    library->is_answered = library->is_asked;
    library->is_asked = false;
    library->retention_at_ns = library->is_held ? 0 : library->retention_at_ns;
}

/* Have the wishes said anew. True: they will be; what they are now does not count. Those that have just been
 * said do, and are not asked for again at once. */
static bool ask_holders(struct nx_library *library, int64_t now_ns) {
    const bool is_full = nx_counter_get(&library->board->budget_full) != 0;
    if (library->is_answered) {
        library->is_answered = false;
        library->ask_again_ns = now_ns + (is_full ? ASK_FULL_MS : ASK_AGAIN_MS) * (int64_t)NX_NS_PER_MS;
    } else if (library->when_held.count > 0 && now_ns >= library->ask_again_ns) {
        library->is_asked = true;
        nx_message_reply_all(&library->when_held);
    }
    return library->is_asked;
}

static bool is_held_by_reader(const struct nx_library_stream *stream) {
    const struct nx_protect *protection = holder(stream);
    return protection != NULL && protection->is_own;
}

/* What a refusal should name: a function before those who read for all of them. */
static struct nx_library_stream *rather(struct nx_library_stream *held, struct nx_library_stream *stream) {
    return held == NULL || (is_held_by_reader(held) && !is_held_by_reader(stream)) ? stream : held;
}

/* Keys are values, not history; objects are named by records that stay, or go with those that name them; a
 * client's stream is not ours to shorten, nor what says which there are. */
static bool is_for_good(const struct nx_library *library, const struct nx_library_stream *stream,
                        size_t run) {
    const struct nx_library_stream *leader = leader_of(library, stream);
    if (stream->config.goes_with.len > 0) {
        return leader == NULL || leader->number == 0 || !is_gone_up_to(library, leader, run);
    }
    return stream->config.per_subject_max > 0 || nx_str_starts_with(stream->name, NX_STR("OBJ_")) ||
           nx_stream_name_is_jetstream(stream->name) || nx_str_is(stream->name, "JETSTREAM");
}

/* The oldest part of this run that may leave, and its stream; NULL: none. `*held`: one that may not. */
static struct nx_library_stream *find_oldest(const struct nx_library *library, size_t place,
                                             struct nx_extent *part_out, struct nx_library_stream **held) {
    const struct nx_run *run = library->runs[place];
    struct nx_library_stream *oldest = NULL;
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        struct nx_extent part;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        struct nx_library_stream *stream = nx_library_numbered(library, extent.stream);
        if (extent.count == 0 || stream == NULL || extent.last_sequence < stream->first_sequence ||
            is_for_good(library, stream, place)) {
            continue;
        }
        size_t index = 0;
        while (nx_run_part(run, extent.stream, index, &part) && part.last_sequence < stream->first_sequence) {
            index++;
        }
        if (!may_drop(stream, &part)) {
            *held = rather(*held, stream);
        } else if (oldest == NULL || part.first_time_ns < part_out->first_time_ns) {
            oldest = stream;
            *part_out = part;
        }
    }
    return oldest;
}

/* Where retention begins to take: there is room behind it for what is written meanwhile. */
static uint64_t budget_goal(const struct nx_library *library) {
    const uint64_t budget = library->options->disk_budget;
    const uint64_t working = 2 * library->options->segment_size + nx_library_merge_size_max(library);
    return working > budget / 2 ? budget / 2 : budget - working;
}

/* Whether what newer runs have to lose can wait until the holders of a run have been asked. */
static bool can_ask_first(const struct nx_library *library, uint64_t size) {
    const bool is_full = nx_counter_get(&library->board->budget_full) != 0;
    return !library->is_answered && !is_full && size <= library->options->disk_budget &&
           (library->is_asked || library->when_held.count > 0);
}

/* Over the goal, the oldest runs lose whatever nobody holds; `*held`: who does. Returns the size that is
 * left.
 */
static uint64_t drop_oldest(struct nx_library *library, uint64_t size, struct nx_library_stream **held,
                            bool *is_done) {
    const uint64_t goal = budget_goal(library);
    const bool has_followers = find_followed(library);
    bool is_clean = false; /* the run, of what has left it */
    size_t looks = 0;
    size_t raised = 0;
    for (size_t i = 0; i < library->run_count && size > goal && looks < LOOKS_MAX;) {
        struct nx_extent part = { 0 };
        struct nx_library_stream *stream = find_oldest(library, i, &part, held);
        looks += nx_run_extent_count(library->runs[i]);
        if (stream == NULL && has_followers && !is_clean) {
            (void)clean_run(library, library->runs[i]); /* what went with those that left is next */
            is_clean = true;
            continue;
        }
        if (stream == NULL && *held != NULL && can_ask_first(library, size)) {
            break;
        }
        if (stream == NULL) {
            i++;
            is_clean = false;
            continue;
        }
        raise_first(stream, &part);
        size -= part.size < size ? part.size : size;
        if (++raised % 64 == 0) {
            (void)clean_run(library, library->runs[i]); /* those which left are not walked over again */
        }
    }
    *is_done = looks < LOOKS_MAX;
    return size;
}

/* False: there is more to do at once. */
static bool retain_budget(struct nx_library *library, int64_t now_ns) {
    const uint64_t budget = library->options->disk_budget;
    struct nx_library_stream *held = NULL;
    bool is_done = true;
    if (budget == 0) {
        return true;
    }
    const uint64_t before = size_of_all(library, size_of_runs(library));
    const uint64_t size = drop_oldest(library, before, &held, &is_done);
    /* Once it is full it is so until there is room for a segment, not again and again for a moment. */
    const bool is_full = nx_counter_get(&library->board->budget_full) != 0;
    const uint64_t margin =
        is_full && budget > library->options->segment_size ? library->options->segment_size : 0;
    const bool is_over = size > budget - margin && is_done;
    library->is_held = held != NULL && size > budget_goal(library);
    library->is_answered = library->is_answered && library->is_held;
    const bool is_asked = library->is_held && ask_holders(library, now_ns);
    if (!is_over) {
        nx_counter_set(&library->board->budget_full, 0);
    } else if (held != NULL ? !is_asked : library->tail_count <= BEHIND_SEGMENTS) {
        say_full(library, held);
    }
    return is_done;
}

int64_t nx_library_retain(struct nx_library *library, struct nx_now now) {
    size_t cursor = 0;
    struct nx_str name;
    void *stream;
    bool is_done = true;
    /* Who wants what kept is not on disk: after a start nobody has said so yet. */
    const bool must_wait = library->options->retention_waits_for != NULL && !library->may_retain;
    if (library->options->read_only) {
        return NX_STEP_IDLE;
    }
    if (library->retention_at_ns > now.monotonic_ns) {
        return library->retention_at_ns;
    }
    if (library->run_count > 0 && !must_wait) {
        (void)find_followed(library);
        nx_library_info_prepare(library);
        while (nx_map_next(&library->streams, &cursor, &name, &stream)) {
            retain_stream(library, stream, now.wall_ns);
        }
    }
    if (!must_wait) {
        is_done = retain_budget(library, now.monotonic_ns);
        clean(library);
    }
    library->runs_size = library->options->disk_budget == 0 ? 0 : size_of_runs(library);
    library->retention_at_ns = now.monotonic_ns + (is_done ? PERIOD_S * (int64_t)NX_NS_PER_S : 1);
    if (library->is_held && library->when_held.count > 0 &&
        library->ask_again_ns < library->retention_at_ns) {
        library->retention_at_ns = library->ask_again_ns; /* they are asked again then */
    }
    return library->retention_at_ns;
}
