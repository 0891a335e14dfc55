/* src/fabric/backend_journal/library_internal.h: what the files of the library share. */
#pragma once

#include "fabric/backend_journal/library.h"

/** NULL: no stream has this number. */
static inline struct nx_library_stream *nx_library_numbered(const struct nx_library *library,
                                                            uint32_t number) {
    return number < library->by_number_count ? library->by_number[number] : NULL;
}
/** The stream's first record with at least this sequence, wherever it is stored. */
enum nx_stored_found nx_library_at_or_after(const struct nx_library *library,
                                            const struct nx_library_stream *stream, uint64_t sequence,
                                            struct nx_stored *stored_out);
/** The stream's last record with at most this sequence that retention has left. */
enum nx_stored_found nx_library_at_or_before(const struct nx_library *library,
                                             const struct nx_library_stream *stream, uint64_t sequence,
                                             struct nx_stored *stored_out);
/** The newest sequence of this subject; 0: none. */
uint64_t nx_library_last_of_subject(const struct nx_library *library, const struct nx_library_stream *stream,
                                    struct nx_str subject);
/** True while the record is among those which its stream keeps of its subject. */
bool nx_library_is_current(const struct nx_library *library, const struct nx_library_stream *stream,
                           const struct nx_stored *stored);
/** True when a run need not hold the record any more. */
bool nx_library_is_dropped(const struct nx_library *library, const struct nx_library_stream *stream,
                           const struct nx_stored *stored, int64_t now_ns);
/** How many records of a stream with a limit by subject are current. */
uint64_t nx_library_count_current(const struct nx_library *library, struct nx_library_stream *stream);
/** Whether the record, which is about to be added, makes that number larger, if it is kept up. */
bool nx_library_is_one_more(const struct nx_library *library, const struct nx_library_stream *stream,
                            const struct nx_frame *frame);
/** How much of the run's bytes is taken by records that are not current, in percent, by looking at some. */
unsigned nx_library_waste(const struct nx_library *library, const struct nx_run *run);
/** How long runs keep the de-duplication keys of the stream's records. */
int64_t nx_library_dedup_kept_ns(const struct nx_library_stream *stream);
/** The first sequence whose record is not older than `time_ns`; past the last one when all are. */
uint64_t nx_library_sequence_at(const struct nx_library *library, const struct nx_library_stream *stream,
                                int64_t time_ns);
/** What is stored of the stream. What the runs hold is added up once for each change of them. */
void nx_library_info(const struct nx_library *library, struct nx_library_stream *stream,
                     struct nx_stream_info *info_out);
/** As nx_library_info() is about to be asked of every stream: add up what the runs hold in one walk. */
void nx_library_info_prepare(struct nx_library *library);
/** A run was added, replaced or removed, or a part of it is gone: what was added up is no longer true. */
static inline void nx_library_runs_changed(struct nx_library *library) {
    library->runs_generation++;
}
/** Retention leaves the stream's records from this one on. */
static inline void nx_library_expire_before(struct nx_library_stream *stream, uint64_t first_sequence) {
    stream->first_sequence = first_sequence;
    stream->sealed_generation = 0;
}
/** Keep the stream as the definition says. Errors: NX_RESOURCE_EXHAUSTED (out of memory, too many) */
NX_MUST_CHECK enum nx_status nx_library_define(struct nx_library *library, const struct nx_define *define,
                                               int64_t now_ns, struct nx_error *err);
/** The sequence from which on a record can match the filter: runs whose subjects do not are passed over.
 * `*until_out`: up to there it need not be asked again. */
uint64_t nx_library_skip(const struct nx_library *library, const struct nx_library_stream *stream,
                         uint64_t sequence, struct nx_str filter, uint64_t *until_out);
/** How many of the sequences `first` to `last` are known to be destroyed. */
uint64_t nx_library_lost_between(const struct nx_library_stream *stream, uint64_t first, uint64_t last);
/** Walk over all records with this key, those of JetStream's streams left out, the oldest first, until
 * `visit` returns false. */
void nx_library_find(const struct nx_library *library, enum nx_key_kind kind, struct nx_str key,
                     bool (*visit)(void *data, const struct nx_library_stream *stream,
                                   const struct nx_stored *stored),
                     void *data);
/* Of JetStream's streams: library_marks.c, what was deleted one by one, and library_limits.c, the rest. */

/** True when the record was deleted. */
bool nx_library_is_deleted(const struct nx_library_stream *stream, uint64_t sequence, struct nx_str subject);
/** True when it was, and bringing back older ones of its subject is no danger when it leaves the disk. */
bool nx_library_may_forget(const struct nx_library_stream *stream, const struct nx_stored *stored);
/** The first sequence from this one on that was not deleted by its number. */
uint64_t nx_library_skip_deleted(const struct nx_library_stream *stream, uint64_t sequence);
/** Take in a record of the stream's JSM_<id>; what is no mark is passed over.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_library_take_mark(struct nx_library *library,
                                                  struct nx_library_stream *stream, struct nx_str subject,
                                                  struct nx_str payload, struct nx_error *err);
void nx_library_marks_free(struct nx_library_marks *marks); /* NULL allowed */
/** The stored records of a subject, newest first, whether or not they are shown: `walk` starts zeroed. */
struct nx_library_walk {
    size_t place; /* of the segments from the newest on, then of the runs */
    uint32_t cursor;
    uint64_t below;
};
bool nx_library_older_of_subject(const struct nx_library *library, const struct nx_library_stream *stream,
                                 struct nx_str subject, struct nx_library_walk *walk,
                                 struct nx_stored *stored_out);
/** The record is not shown any more, and was until now. */
void nx_library_note_left(struct nx_library_stream *stream, const struct nx_stored *stored);
/** The record was added to the stream, which is one of JetStream's. */
void nx_library_note_added(struct nx_library *library, struct nx_library_stream *stream,
                           const struct nx_frame *frame);
/** Raise the first sequence to this one; what leaves is counted. */
void nx_library_raise_first(struct nx_library *library, struct nx_library_stream *stream, uint64_t first);
/** Hold the stream to its limits. Returns the wall time at which it is to be looked at again. */
int64_t nx_library_keep_limits_of(struct nx_library *library, struct nx_library_stream *stream,
                                  int64_t now_ns);
/** Hold all streams to their limits, count what is to be counted. Returns when to be called again. */
int64_t nx_library_keep_limits(struct nx_library *library, struct nx_now now);
/** What is shown of a stream that is counted. */
void nx_library_fill_exact(struct nx_library *library, struct nx_library_stream *stream,
                           struct nx_stream_info *info);
/** Answer NX_READ_COUNT. */
void nx_library_answer_count(struct nx_library *library, struct nx_library_stream *stream,
                             struct nx_read *read);
/** Answer NX_READ_LASTS. */
void nx_library_answer_lasts(struct nx_library *library, struct nx_library_stream *stream,
                             struct nx_read *read);
/** True when one of the filters, separated by spaces, matches; also when there are none. */
bool nx_library_matches(struct nx_str filters, struct nx_str subject);
/** Answer NX_READ_INFO of a stream that is counted. False: it is not yet. */
bool nx_library_answer_exact(struct nx_library *library, struct nx_library_stream *stream,
                             struct nx_read *read);
/** Answer a scan from read->next_sequence on. False: nothing to answer with yet, and it may wait. */
bool nx_library_scan(struct nx_library *library, struct nx_library_stream *stream, struct nx_read *read);
/** Prepare a scan: check it, find its stream and its start. False when it is answered already. */
bool nx_library_scan_begin(struct nx_library *library, struct nx_read *read,
                           struct nx_library_stream **stream_out);
/** Take in what the board says is committed. Errors: those of reading a segment; it is tried again later. */
NX_MUST_CHECK enum nx_status nx_library_catch_up(struct nx_library *library, struct nx_error *err);
/** Do a bounded piece of sealing, or see whether there is something to seal. Returns when to come again. */
int64_t nx_library_seal(struct nx_library *library, struct nx_now now);
/** Do a bounded piece of merging, or see whether there is something to merge. Returns when to come again. */
int64_t nx_library_merge(struct nx_library *library, struct nx_now now);
/** Forget a merge that is under way. */
void nx_library_merge_stop(struct nx_library *library);
/** Drop what is too old or too much, now and then. Returns when to come again. */
int64_t nx_library_retain(struct nx_library *library, struct nx_now now);
/** Show the journal what the runs take and what is sealed. */
void nx_library_publish_sizes(struct nx_library *library);
/** Whether so much more would fit into the disk budget and so many segments beyond it. */
bool nx_library_budget_has_room(const struct nx_library *library, uint64_t size, unsigned segments);
/** Bytes that a merged run may have. */
uint64_t nx_library_merge_size_max(const struct nx_library *library);
/** NX_FABRIC_WHEN_HELD has come: who sends it has said his wishes as they are now. */
void nx_library_take_when_held(struct nx_library *library, struct nx_message *message);
/** Remember, change or forget a consumer's wish. It is moved in, so that no lack of memory can lose it. */
void nx_library_protect(struct nx_library *library, struct nx_protect *wish);
/** Delete `wal-<number>`, or keep it as `damaged-<number>` when records in it are destroyed. */
void nx_library_drop_segment(struct nx_library *library, uint64_t number, bool is_damaged);

/* library_vault.c: records about people. */
/** An append to be sealed, or the answer to an audit record of ours. It is moved in. */
void nx_library_take_append(struct nx_library *library, struct nx_append *append);
/** Seal what came in this step, with one sync for all new keys, and give it back to the journal. */
void nx_library_seal_appends(struct nx_library *library);
/** Show on the board that no key can be written any more, where that is so. */
void nx_library_note_keys(struct nx_library *library);
/** Destroy a key; answered when that is in the audit stream. It is moved in. */
void nx_library_erase(struct nx_library *library, struct nx_erase *erase);
