/* src/fabric/backend_journal/journal_internal.h: what the two files of the journal share, and what the
 * journal and the library must agree on. */
#pragma once

#include "fabric/backend_journal/journal.h"

enum { NX_SUBJECTS_KNOWN_MAX = 256 * 1024 }; /* last sequences kept for conditions, about 100 bytes each */

/* How long a run keeps de-duplication keys at least, so that a window can be made longer. */
#define NX_DEDUP_KEPT_NS (600 * (int64_t)NX_NS_PER_S)

/** Write what is in the batch, if anything, and answer. */
void nx_journal_commit(struct nx_journal *journal, struct nx_now now);
/** Start a new segment with its checkpoint. Errors are shown on the board too. */
NX_MUST_CHECK enum nx_status nx_journal_roll(struct nx_journal *journal, struct nx_error *err);
/** Check every condition; `*must_wait_out`: some subject's last sequence has been asked for.
 * Errors: NX_FAILED_PRECONDITION kind wrong-last-sequence; NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_journal_check_conditions(struct nx_journal *journal,
                                                         const struct nx_append *append, bool *must_wait_out,
                                                         struct nx_error *err);
/** A record with this subject gets this sequence. */
void nx_journal_note_subject(struct nx_journal *journal, struct nx_journal_stream *stream,
                             struct nx_str subject, uint64_t sequence);
/** The library's answer to a question of ours. */
void nx_journal_take_answer(struct nx_journal *journal, struct nx_read *read);
/** Send what was to be asked, now that everything before it is committed. */
void nx_journal_send_asks(struct nx_journal *journal);
/** "<data directory>/journal". Errors: NX_INVALID_ARGUMENT (too long) */
NX_MUST_CHECK enum nx_status nx_journal_directory(const char *data_directory, char path_out[NX_PATH_SIZE_MAX],
                                                  struct nx_error *err);
/** True for KV_… and OBJ_…, which need not be declared. */
bool nx_stream_is_bucket(struct nx_str name);
/** The configuration of such a stream; `name` is borrowed. */
void nx_stream_bucket_config(struct nx_stream_config *config_out, struct nx_str name);
/** True when the configuration has no filters, or one that matches. */
bool nx_stream_takes(const struct nx_stream_config *config, struct nx_str subject);
