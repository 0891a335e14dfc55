/* src/fabric/backend_journal/journal_internal.h: what the two files of the journal share, and what the
 * journal and the library must agree on. */
#pragma once

#include "fabric/backend_journal/journal.h"

enum {
    NX_SUBJECTS_KNOWN_MAX = 256 * 1024, /* last sequences kept for conditions, about 100 bytes each */
    NX_BUDGET_SEGMENTS = 16,            /* segments in a disk budget, but none is smaller than: */
    NX_BUDGET_SEGMENT_SIZE_MIN = 4 * 1024 * 1024,
    NX_ALLOWANCE_SEGMENTS = 2, /* beyond the budget; what is being sealed meanwhile takes two more */
};

/* How long a run keeps de-duplication keys at least, so that a window can be made longer. */
#define NX_DEDUP_KEPT_NS (600 * (int64_t)NX_NS_PER_S)
/* And those of a stream that is still to be defined: no definition can say more. */
#define NX_DEDUP_UNDEFINED_NS (3600 * (int64_t)NX_NS_PER_S)

/** Write what is in the batch, if anything, and answer. */
void nx_journal_commit(struct nx_journal *journal, struct nx_now now);
/** Start a new segment with its checkpoint, and with room for an append of so many bytes behind it. Errors
 * are shown on the board too. */
NX_MUST_CHECK enum nx_status nx_journal_roll(struct nx_journal *journal, uint64_t append_size,
                                             struct nx_error *err);
/** Bytes of the log that an append takes at most. */
uint64_t nx_journal_append_size(const struct nx_append *append);
/** Make the open segment and the batch able to take so many more bytes. Errors: as nx_journal_roll() */
NX_MUST_CHECK enum nx_status nx_journal_make_room(struct nx_journal *journal, uint64_t size,
                                                  struct nx_now now, struct nx_error *err);
/** Bytes of a segment that takes this checkpoint and this append; 0: one of the usual size does. */
uint64_t nx_journal_segment_size(const struct nx_journal *journal, uint64_t checkpoint_size,
                                 uint64_t append_size);
/** Have the next segment reserved, if the limits allow it. Errors: kinds disk-full, disk-budget-full,
 * overloaded; NX_UNAVAILABLE */
NX_MUST_CHECK enum nx_status nx_journal_reserve(struct nx_journal *journal, uint64_t size_min,
                                                struct nx_error *err);
/** Whether what a consumer has done may be written though it is large: of the budget's allowance it leaves
 * some to small ones, which say that this is done with. Errors: kind disk-budget-full */
NX_MUST_CHECK enum nx_status nx_journal_check_large(struct nx_journal *journal, uint64_t size,
                                                    struct nx_error *err);
/** This segment is not in a run yet, and takes so many bytes. */
void nx_journal_note_unsealed(struct nx_journal *journal, uint64_t number, uint64_t size);
/** Keep the append until a limit has passed. False: it has waited long enough, or too many wait. */
NX_MUST_CHECK bool nx_journal_stall(struct nx_journal *journal, struct nx_append *append, uint64_t size,
                                    struct nx_now now);
void nx_journal_look_ahead(struct nx_journal *journal, struct nx_now now);
/** A stream keeps its records so long; 0: without limit. */
void nx_journal_note_age(struct nx_journal *journal, int64_t age_max_ns);
/** Records stand in the open segment, or in the last one of an earlier life. */
void nx_journal_note_records(struct nx_journal *journal, int64_t now_ns);
/** True: they have for long enough, beside the age that streams keep, and there is room for the next segment.
 */
bool nx_journal_must_roll(struct nx_journal *journal, int64_t now_ns);
/** What refuses appends may pass: no room, or no memory; a frozen log stays so. */
bool nx_journal_may_resume(const struct nx_journal *journal);
void nx_journal_retry_refused(struct nx_journal *journal, struct nx_now now);
/** Bytes of a segment where nobody has said it: a part of the budget, for only whole segments behind the
 * newest can make room. */
uint64_t nx_segment_size_for(uint64_t disk_budget);
/** Check every condition; `*must_wait_out`: some subject's last sequence has been asked for.
 * Errors: NX_FAILED_PRECONDITION kind wrong-last-sequence; NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_journal_check_conditions(struct nx_journal *journal, struct nx_append *append,
                                                         bool *must_wait_out, struct nx_error *err);
/** A record with this subject gets this sequence. */
void nx_journal_note_subject(struct nx_journal *journal, struct nx_journal_stream *stream,
                             struct nx_str subject, uint64_t sequence);
/* journal_amount.c: streams that refuse what would be too much, and those of which records are deleted. */

/** Check what is to be added against its stream's limits; as nx_journal_check_conditions().
 * Errors: NX_RESOURCE_EXHAUSTED in NATS's words, or out of memory */
NX_MUST_CHECK enum nx_status nx_journal_check_amount(struct nx_journal *journal,
                                                     struct nx_journal_stream **streams,
                                                     struct nx_append *append, bool *must_wait_out,
                                                     struct nx_error *err);
/** This entry is about to be written. */
void nx_journal_note_amount(struct nx_journal *journal, struct nx_journal_stream *stream,
                            const struct nx_append_entry *entry);
void nx_journal_take_room(struct nx_append *append, const struct nx_read *read);
/** The last sequence of a subject, as far as it is known; 0: it is not, or there is none. */
uint64_t nx_journal_known_last(const struct nx_journal *journal, struct nx_str stream, struct nx_str subject);
/** Last sequences may be others than those which are known. */
void nx_journal_forget_subjects(struct nx_journal *journal);
/* journal_define.c: what others tell of streams, passed on to the library. */
void nx_journal_protect(struct nx_journal *journal, struct nx_message *message);
void nx_journal_define(struct nx_journal *journal, struct nx_define *define, struct nx_now now);
/** A stream that is not there. Errors: NX_RESOURCE_EXHAUSTED (out of memory, too many) */
NX_MUST_CHECK enum nx_status nx_journal_add_stream(struct nx_journal *journal, struct nx_str name,
                                                   struct nx_journal_stream **stream_out,
                                                   struct nx_error *err);
/** For how long the stream remembers de-duplication keys. */
int64_t nx_journal_window(const struct nx_journal_stream *stream);
/** The library's answer to a question of ours. */
void nx_journal_take_answer(struct nx_journal *journal, struct nx_read *read);
/** Send what was to be asked, now that everything before it is committed. */
void nx_journal_send_asks(struct nx_journal *journal);
/** "<data directory>/journal". Errors: NX_INVALID_ARGUMENT (too long) */
NX_MUST_CHECK enum nx_status nx_journal_directory(const char *data_directory, char path_out[NX_PATH_SIZE_MAX],
                                                  struct nx_error *err);
/** True for KV_… and OBJ_…, which need not be declared. */
bool nx_stream_is_bucket(struct nx_str name);
/** The configuration of a stream that was not declared; `name` is borrowed. Of one that is still to be
 * defined nothing leaves. */
void nx_stream_undeclared_config(struct nx_stream_config *config_out, struct nx_str name);
/** Take over what a definition says. */
void nx_stream_config_define(struct nx_stream_config *config, const struct nx_define *define);
/** True when the configuration has no filters, or one that matches. */
bool nx_stream_takes(const struct nx_stream_config *config, struct nx_str subject);
