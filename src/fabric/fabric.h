/* src/fabric/fabric.h: the one interface by which everything above publishes, looks back and consumes.
 *
 * A fabric is two addresses: a mailbox for appends and a mailbox for reads. A request is a message; its
 * answer is the same message, sent to its reply_to. Behind them stand, in this process, the journal (one
 * actor that writes and syncs) and the library (one actor that reads and indexes). A node keeps nothing that
 * the fabric cannot give back.
 *
 * A record is {stream, sequence, time, subject, headers, payload}: exactly a NATS message. Sequences of a
 * stream start at 1 and rise; some may be void (burnt by a failed write, or removed). An answered append is
 * on disk. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/cloudevents.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/mailbox.h"
#include "io/random.h"
#include "io/thread.h"
#include "telemetry/metric.h"

enum {
    NX_RECORD_SIZE_MAX = 1024 * 1024,     /* bytes of headers and payload together */
    NX_HEADERS_SIZE_MAX = 64 * 1024,      /* bytes of one record's header block */
    NX_SUBJECT_SIZE_MAX = 1024,           /* bytes */
    NX_STREAM_NAME_SIZE_MAX = 255,        /* bytes; [A-Za-z0-9_-]+ */
    NX_APPEND_ENTRIES_MAX = 1024,         /* records in one atomic append */
    NX_APPEND_SIZE_MAX = 8 * 1024 * 1024, /* bytes of all records in one atomic append */
    NX_READ_COUNT_MAX = 4096,             /* records in one answer */
    NX_READ_SIZE_MAX = 8 * 1024 * 1024,   /* bytes in one answer, unless its first record alone is larger */
    NX_READ_DETAILS_MAX = 100000,         /* subjects, or deleted sequences, in one answer */
    NX_PERSON_SIZE_MAX = 255,             /* bytes of what an application calls a person */
    NX_SEQUENCE_TEXT_SIZE = 20,           /* digits of a sequence where its text has a fixed size */
};

/* Headers of records about a person, as they are read: whose key it is (an id of 32 hexadecimal digits), and
 * why the content is not shown: "erased <time>", "key-missing", "damaged". See fabric/vault/vault.h. */
#define NX_PERSON_HEADER "Nexus-Person"
#define NX_WITHHELD_HEADER "Nexus-Withheld"

struct nx_record {
    struct nx_str stream;
    uint64_t sequence;
    int64_t time_ns; /* wall time of arrival; never falls within a stream */
    struct nx_str subject;
    struct nx_str
        headers; /* "K: v\r\n" lines, without the NATS/1.0 line and the closing empty line; may be empty */
    struct nx_str payload;
};
/** Bytes of a record as NATS counts them in its file store. */
static inline uint64_t nx_record_size_nats(struct nx_str subject, struct nx_str headers,
                                           struct nx_str payload) {
    enum { FIXED = 30, HEADERS = 4 + sizeof "NATS/1.0\r\n\r\n" - 1 };
    return FIXED + subject.len + payload.len + (headers.len == 0 ? 0 : HEADERS + headers.len);
}
/** The same record as codec/cloudevents reads it; borrows what `record` borrows. */
static inline struct nx_cloudevent_record nx_record_as_event(const struct nx_record *record) {
    return (struct nx_cloudevent_record){ .stream = record->stream,
                                          .sequence = record->sequence,
                                          .time_ns = record->time_ns,
                                          .subject = record->subject,
                                          .headers = record->headers,
                                          .payload = record->payload };
}

/** True for a record about a person, sealed or opened; the header stands first, so this costs nothing. */
static inline bool nx_record_is_sealed(const struct nx_record *record) {
    return nx_str_starts_with(record->headers, NX_STR(NX_PERSON_HEADER ": "));
}
/** The id of the key that a record about a person is sealed with; empty for any other. */
static inline struct nx_str nx_record_person_key(const struct nx_record *record) {
    const size_t from = sizeof NX_PERSON_HEADER ": " - 1;
    return nx_record_is_sealed(record) ? nx_str_slice(record->headers, from, from + 32) : NX_STR_EMPTY;
}
/** Why the content of a record about a person cannot be shown: "erased <time>", "key-missing", "damaged";
 * empty when it can. Borrowed from its headers. */
struct nx_str nx_record_withheld(const struct nx_record *record);

enum nx_fabric_message_kind {
    NX_FABRIC_APPEND = 0x100, /* struct nx_append, to the append mailbox */
    NX_FABRIC_READ,           /* struct nx_read, to the read mailbox */
    NX_FABRIC_PROTECT,        /* struct nx_protect, to the append mailbox */
    NX_FABRIC_ERASE,          /* struct nx_erase, to the read mailbox */
    NX_FABRIC_WHEN_HELD,      /* struct nx_message, to the append mailbox: see struct nx_protect */
    NX_FABRIC_DEFINE,         /* struct nx_define, to the append mailbox */
};

/* One record to be appended. The strings are borrowed from the append's arena. */
struct nx_append_entry {
    struct nx_str stream; /* must exist, or be declared by its prefix: KV_…, OBJ_… are created on first use */
    struct nx_str subject;
    struct nx_str headers;
    struct nx_str payload;
    struct nx_str dedup_key; /* empty: never a duplicate; else remembered in the stream's window, hashed: what
                                nx_append_add() keeps here is the hash */
    /* Whom it is about, as the application calls them, or the id of their key (32 hexadecimal digits, of
     * nx_record_person_key()): then it is sealed before it is written, and what stays readable when the key
     * is erased is `clear`. At most one of the two; both empty: nobody. */
    struct nx_str person;
    struct nx_str person_key;
    struct nx_str clear;
    /* Its payload begins with NX_SEQUENCE_TEXT_SIZE bytes that are replaced by the sequence, in decimal
     * digits, which the stream of the next entry has before that one is written. */
    bool says_sequence;
    /* Answer: */
    struct nx_str plain; /* of a sealed entry: the payload as it was given */
    uint64_t sequence;   /* the record's; for a duplicate the first one's */
    int64_t time_ns;
    bool duplicate; /* not written: its dedup key is in the window */
};

/* Before anything is written each condition must hold: the last record with this subject has this sequence,
 * 0: there is none. Compare-and-set, and the check that what was read is unchanged. With an empty subject it
 * is about the last record that the stream ever had, whether or not it is still there. */
struct nx_append_condition {
    struct nx_str stream;
    struct nx_str subject;
    uint64_t last_sequence;
};

/* Write these records, all or none of them, then answer. */
struct nx_append {
    struct nx_message message; /* first; kind NX_FABRIC_APPEND */
    struct nx_arena arena;     /* owns every string below */
    struct nx_arena sealed;    /* and those that sealing has made */
    struct nx_append_entry *entries;
    size_t entry_count;
    size_t entry_count_max;
    struct nx_append_condition *conditions;
    size_t condition_count;
    size_t condition_count_max;
    /* The last entry decides: when its key is in the window nothing at all is written, and every entry counts
     * as a duplicate (the sequence and time of the others stay 0). So a record can remember a whole request.
     */
    bool last_decides;
    /* What a consumer has done: with it the consumer moves on and frees what was kept for it, so that it is
     * taken although the disk budget is full (a large one not to the very end of what may then be used). */
    bool makes_room;
    bool is_personal; /* some entry is to be sealed; nx_append_add()'s and the fabric's own */
    /* Answer: NX_OK: on disk. NX_FAILED_PRECONDITION kind wrong-last-sequence: nothing was written. Kinds
     * disk-full, disk-budget-full, log-frozen; NX_NOT_FOUND: no such stream; NX_INVALID_ARGUMENT: a limit
     * above. */
    enum nx_status status;
    struct nx_error error;
    uint64_t found_sequence; /* wrong-last-sequence: what the condition that failed should have said */
    uint64_t waits_for;      /* the journal's own while it has the append, as the next one */
    struct nx_append_room {
        bool is_asked;
        bool is_known;
        uint64_t generation;    /* of what the journal knows of subjects, when it was asked */
        uint64_t last_sequence; /* of the stream, as of the answer; as the others */
        uint64_t count;
        uint64_t size;
        uint64_t subject_count;
        uint64_t oldest_size; /* of that subject */
    } room;
    bool is_asked_again; /* a condition that failed was looked into once more */
};

/** Room for this many entries and conditions. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_append_new(size_t entry_count_max, size_t condition_count_max,
                                           struct nx_append **append_out, struct nx_error *err);
void nx_append_free(struct nx_append *append); /* NULL allowed; also message.release */
/** Add an entry; its strings are copied. Errors: out of memory, too-large, NX_INVALID_ARGUMENT for a bad
 * subject */
NX_MUST_CHECK enum nx_status nx_append_add(struct nx_append *append, const struct nx_append_entry *entry,
                                           struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_append_add_condition(struct nx_append *append,
                                                     const struct nx_append_condition *condition,
                                                     struct nx_error *err);

enum nx_read_kind {
    NX_READ_BY_SEQUENCE,  /* the one record `stream`:`from_sequence` */
    NX_READ_LAST,         /* the newest record of `stream` whose subject is exactly `subject` */
    NX_READ_BY_ID,        /* every record whose header ce-id is `key`, oldest first */
    NX_READ_BY_REFERENCE, /* every record whose header Nexus-Event is `key` ("EVENTS:17"), oldest first */
    NX_READ_SCAN,         /* records of `stream` in order, see below */
    NX_READ_INFO,         /* what `stream` holds; empty: every stream */
    /* How many records of `stream`, one of JetStream's, match one of the filters in `subject`, and lie within
     * from_sequence and to_sequence (0: no end). With `keep` the newest so many of them are left out, and
     * to_sequence is set to before them. infos[0].count. */
    NX_READ_COUNT,
    NX_READ_LASTS, /* likewise: `deleted` has the sequence of the newest record of each subject that matches
                    */
    NX_READ_ROOM,  /* the journal's own, of JetStream's: `infos` has what `stream` holds, then the count
                      of `subject` and the size of its oldest record, as NATS counts */
};

struct nx_subject_count {
    struct nx_str subject;
    uint64_t count;
};

struct nx_stream_info {
    struct nx_str name;
    uint64_t first_sequence; /* 0 when empty; else of the oldest record still there */
    uint64_t last_sequence;  /* of the newest record ever; 0: none yet */
    uint64_t count;
    uint64_t size; /* bytes on disk, about; of JetStream's streams exactly what NATS counts */
    int64_t first_time_ns;
    int64_t last_time_ns;
};

struct nx_read {
    struct nx_message message; /* first; kind NX_FABRIC_READ */
    struct nx_arena arena;     /* owns every string: those of the question and those of the answer */
    enum nx_read_kind kind;
    struct nx_str stream;
    struct nx_str subject; /* NX_READ_LAST: exact; else filters with NATS's * and >, separated by spaces;
                              empty: all */
    struct nx_str key;
    /* NX_READ_SCAN: from_sequence <= sequence <= to_sequence (0: no end), from_time_ns <= time < to_time_ns
     * (0: no end), at most count_max records and size_max bytes. Backward starts at the end of the range.
     * With `wait` a scan that would be empty is answered when a record arrives, or at wait_until (monotonic).
     */
    uint64_t from_sequence;
    uint64_t to_sequence;
    int64_t from_time_ns;
    int64_t to_time_ns;
    uint64_t keep;    /* NX_READ_COUNT */
    size_t count_max; /* 0: NX_READ_COUNT_MAX */
    size_t size_max;  /* 0: NX_READ_SIZE_MAX */
    bool backward;
    bool wait;
    int64_t wait_until_ns;
    /* Answer. NX_NOT_FOUND: no such record or stream (kind expired when retention took it); NX_DATA_LOSS: it
     * is damaged (a scan goes on behind the damage and counts it in lost_count). */
    enum nx_status status;
    struct nx_error error;
    struct nx_record *records;
    size_t record_count;
    uint64_t
        next_sequence;   /* scan: where the next one goes on (backward: the highest not yet seen; 0: done) */
    bool at_end;         /* scan: nothing more in the range now */
    uint64_t lost_count; /* scan: records known to have been destroyed in what was walked over */
    struct nx_stream_info *infos;
    size_t info_count;
    /* NX_READ_INFO of one of JetStream's streams, where it is asked for: the subjects that match `subject`,
     * in the order of their bytes, and the sequences between the first and the last that are not there.
     * NX_RESOURCE_EXHAUSTED kind too-large: more than NX_READ_DETAILS_MAX. */
    bool with_subjects; /* also counts them: subject_total, where that is not too much work */
    bool with_deleted;
    struct nx_subject_count *subjects;
    size_t subject_count;
    uint64_t subject_total; /* of the whole stream; 0: not known */
    uint64_t *deleted;
    size_t deleted_count;
};

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory). Set the question's fields, strings by
 * nx_arena_copy(&read->arena). */
NX_MUST_CHECK enum nx_status nx_read_new(enum nx_read_kind kind, struct nx_read **read_out,
                                         struct nx_error *err);
void nx_read_free(struct nx_read *read); /* NULL allowed; also message.release */

/* Keep the records of `stream` from `from_sequence` on, whatever retention says, for the consumer of this
 * name; from_sequence UINT64_MAX: no longer. Not on disk: said again after each start. No answer.
 * A wish gets old while its consumer goes on. A plain message NX_FABRIC_WHEN_HELD, sent behind the wishes, is
 * answered when retention would go on but for one of them: then they are said anew, as they are now, and the
 * message sent again. Until it comes back nobody is refused for the disk budget on the word of an old wish.
 */
struct nx_protect {
    struct nx_message message; /* first; kind NX_FABRIC_PROTECT */
    uint64_t from_sequence;
    bool is_own; /* of one who only reads for others: a refusal names it where nobody else holds anything */
    char stream[NX_STREAM_NAME_SIZE_MAX + 1];
    char consumer[NX_STREAM_NAME_SIZE_MAX + 1];
};

/* From now on the stream exists and has these limits, which are exact: what exceeds one of them is not shown
 * once it does. With the stream JS_<id> come two more: JSM_<id>, where what is deleted of it is said, and
 * JSC_<id>; both keep one record of a subject. Records of JSM_<id> are marks, which the fabric understands:
 *   seq.<sequence>               that record is deleted
 *   subject.<digest>             so are all up to a sequence that match a filter; payload "<sequence>
 * <filter>" all                          so are all up to the sequence in the payload Only for those whose
 * names begin as JetStream's do (nx_stream_name_is_jetstream()): all others are declared when the log is
 * opened. What the log holds of one that was not defined since then is read, and nothing of it leaves,
 * neither records nor de-duplication keys. Not on disk: said again after each start. The answer comes from
 * the library: reads that are sent behind it see the stream so. */
struct nx_define {
    struct nx_message message; /* first; kind NX_FABRIC_DEFINE */
    char stream[NX_STREAM_NAME_SIZE_MAX + 1];
    int64_t age_max_ns; /* as in struct nx_stream_config */
    uint64_t size_max;  /* bytes as NATS counts them: nx_record_size_nats() */
    uint64_t count_max;
    uint64_t per_subject_max;
    /* What would exceed count_max or size_max is refused (NX_RESOURCE_EXHAUSTED, in NATS's words), instead of
     * the oldest leaving; with `refuses_subject` what would exceed per_subject_max too. */
    bool refuses_new;
    bool refuses_subject;
    int64_t dedup_window_ns;
    bool is_unsynced;        /* appends that only go to such streams are answered before they are synced */
    uint64_t first_sequence; /* nothing below is shown or kept; never lowered; 0: leave it as it is */
    bool is_gone;            /* nothing at all is shown or kept, and nothing more is taken */
    /* Answer. NX_INVALID_ARGUMENT: not such a name; NX_RESOURCE_EXHAUSTED: no memory, or too many streams. */
    enum nx_status status;
    struct nx_error error;
};
/** A definition without limits. Errors: NX_INVALID_ARGUMENT (the name), NX_RESOURCE_EXHAUSTED (out of memory)
 */
NX_MUST_CHECK enum nx_status nx_define_new(struct nx_str stream, struct nx_define **define_out,
                                           struct nx_error *err);

/* Destroy the key of a person: nothing that was sealed with it can be read any more, by anybody. An audit
 * record says which key it was, not whose. An event about the same person that comes later gets a new key. */
struct nx_erase {
    struct nx_message message; /* first; kind NX_FABRIC_ERASE */
    char person[NX_PERSON_SIZE_MAX + 1];
    /* Answer. NX_NOT_FOUND: no key is kept for this person; NX_UNAVAILABLE: the disk refused. When only the
     * audit record could not be written the status is NX_OK and `error` says so. */
    enum nx_status status;
    struct nx_error error;
    char key_id[32 + 1];
    int64_t erased_ns; /* wall time */
};
/** Errors: NX_INVALID_ARGUMENT (empty, longer than NX_PERSON_SIZE_MAX, a NUL in it), NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_erase_new(struct nx_str person, struct nx_erase **erase_out,
                                          struct nx_error *err);
/** Whether this can be what a person is called. Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_person_check(struct nx_str person, struct nx_error *err);

enum nx_sync_policy { NX_SYNC_ALWAYS, NX_SYNC_INTERVAL, NX_SYNC_NEVER };

struct nx_stream_config {
    struct nx_str name;
    struct nx_str subjects[4]; /* filters; empty ones unused */
    int64_t age_max_ns;        /* 0: no limit */
    uint64_t size_max;         /* bytes; 0: no limit */
    uint64_t per_subject_max;  /* records kept of one subject; 0: no limit; 1 for key-value */
    int64_t dedup_window_ns;   /* 0: two minutes */
    enum nx_sync_policy sync;
    /* The stream that names what stands in this one: each record of ours is in one append with one of that
     * stream. Ours leave behind it, never before, and by nothing else; empty: by the limits above. */
    struct nx_str goes_with;
};

struct nx_fabric_options {
    struct nx_disk *disk; /* borrowed, as the rest, for the fabric's life */
    struct nx_clock clock;
    struct nx_random random;
    const struct nx_log *log;
    const char *directory; /* the data directory: journal/, index/ and nexus.lock are in it */
    bool read_only;        /* look, write nothing, take no lock: also while a server runs on it */
    const struct nx_stream_config *streams;
    size_t stream_count;
    uint64_t disk_budget;  /* bytes for all streams together; 0: no limit */
    uint64_t segment_size; /* bytes; 0: a 16th of the budget, 4 to 64 MiB; 64 MiB without one */
    uint64_t unsealed_max; /* bytes that may wait to be sealed; 0: see backend_journal/journal_room.c */
    size_t appends_max;    /* requests waiting at once; 0: 4096 */
    /* Nothing is dropped before the consumer of this name has protected something: it speaks after all
     * others. NULL: nobody is waited for. */
    const char *retention_waits_for;
    const char *node_name; /* in the subjects of audit records; NULL: "node" */
};

struct nx_fabric;

/** Open the data directory, creating it unless read_only, and recover what a crash left. Blocks on the disk.
 * Ownership: the caller ends it by nx_fabric_close(), after its actors were stopped.
 * Errors:    NX_FAILED_PRECONDITION  kind data-directory-in-use (the message names the process),
 * format-version NX_NOT_FOUND            read_only and there is nothing NX_UNAVAILABLE          the disk
 * refused */
NX_MUST_CHECK enum nx_status nx_fabric_open(const struct nx_fabric_options *options,
                                            struct nx_fabric **fabric_out, struct nx_error *err);
/** Sort what was written since the last run into one, if it is much: the next start, and whoever looks at the
 * directory until then, has less to read. For a process that ends in order, after its actors were stopped;
 * takes up to a second. What fails is left as it was. */
void nx_fabric_seal(struct nx_fabric *fabric);
/** Syncs and closes. NULL allowed. */
void nx_fabric_close(struct nx_fabric *fabric);
struct nx_mailbox *nx_fabric_appends(struct nx_fabric *fabric);
struct nx_mailbox *nx_fabric_reads(struct nx_fabric *fabric);
/** The actors to be run, by nx_thread_start() or by the simulated world: journal, then library. */
void nx_fabric_actors(struct nx_fabric *fabric, struct nx_actor *journal_out, struct nx_actor *library_out);
/** Answer a read at once on the caller's thread: only while no actor runs (a tool that looks at the
 * directory). `wait` is ignored. The answer is in `read`, which stays the caller's. */
void nx_fabric_read_now(struct nx_fabric *fabric, struct nx_read *read);
/** True while appends are taken; false with the reason (disk full, frozen) in `err`. Any thread. */
bool nx_fabric_is_writable(struct nx_fabric *fabric, struct nx_error *err);
/** True while keys of people can be made and destroyed; false, until the next start, with the reason in
 * `err`: the keys that are there still open records and, unless a restart left them in doubt, seal new ones.
 * Any thread. */
bool nx_fabric_keeps_keys(struct nx_fabric *fabric, struct nx_error *err);
/* What the log counts. Read them at any time, from any thread. */
struct nx_fabric_stats {
    const struct nx_histogram *batch_records; /* records written with one sync */
    const struct nx_histogram *sync_ns;
    const struct nx_counter *bytes_written; /* to the journal */
};
/** Zeroed when read_only. Borrowed for the fabric's life. */
struct nx_fabric_stats nx_fabric_stats_get(const struct nx_fabric *fabric);
/** What recovery found, for the operator: lines of text, empty when all was well. Borrowed. */
struct nx_str nx_fabric_recovery_report(const struct nx_fabric *fabric);

NX_DEFINE_AUTO(nx_append, nx_append_free)
NX_DEFINE_AUTO(nx_read, nx_read_free)
NX_DEFINE_AUTO(nx_fabric, nx_fabric_close)
