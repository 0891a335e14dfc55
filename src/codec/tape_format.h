/* src/codec/tape_format.h: the bytes of a tape: what one invocation learned from outside. spec/tape.md.
 *
 *   "NXT" | u8 version 1 | u8 flags | header | varint entry count | entries
 *
 * Numbers are LEB128 varints, times are differences from the reading before, so that a tape of a small call
 * is under 200 bytes. A version that is not known is refused. Decoding is strict: every byte is accounted
 * for, and what decodes encodes to the same bytes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    NX_TAPE_VERSION = 1,
    NX_TAPE_DIGEST_SIZE = 32,
    NX_TAPE_SEED_SIZE = 32,
    NX_TAPE_LIMIT_COUNT = 7,
    NX_TAPE_ENV_MAX = 256,
    NX_TAPE_FIRED_MAX = 1024,            /* subscriptions that one poll_oneoff reports */
    NX_TAPE_SIZE_MAX = 64 * 1024 * 1024, /* bytes */
};

enum nx_tape_flags {
    NX_TAPE_CUT = 1,        /* the deadline ended the call when `fuel` was used up */
    NX_TAPE_HAS_LIMITS = 2, /* other limits than the defaults of the interface version */
    NX_TAPE_HAS_TRACE = 4,
    NX_TAPE_HAS_SOURCE = 8,    /* the digest of a handler's source follows the module's */
    NX_TAPE_IS_REPLAY = 16,    /* the guest was told NEXUS_IS_REPLAY=true */
    NX_TAPE_UNREPLAYABLE = 32, /* the host failed in the middle: kept to be looked at */
};

struct nx_tape_env {
    struct nx_str name;
    struct nx_str value;
};

struct nx_tape_header {
    uint8_t flags;
    uint8_t module_digest[NX_TAPE_DIGEST_SIZE];
    uint8_t source_digest[NX_TAPE_DIGEST_SIZE]; /* with NX_TAPE_HAS_SOURCE */
    struct nx_str engine_build;
    uint64_t settings_digest;
    uint64_t interface_version;
    uint64_t memory_max;                  /* bytes */
    uint64_t limits[NX_TAPE_LIMIT_COUNT]; /* with NX_TAPE_HAS_LIMITS */
    uint8_t seed[NX_TAPE_SEED_SIZE];
    int64_t start_time_ns; /* wall; the base of the clock readings */
    uint64_t fuel;         /* used in all; with NX_TAPE_CUT what a replay is given */
    uint64_t input_size;   /* bytes on standard input */
    uint8_t trace_id[16];  /* with NX_TAPE_HAS_TRACE, as the next two */
    uint8_t span_id[8];
    uint8_t trace_flags;
    struct nx_str event_id;
    int64_t original_time_ns; /* wall; 0: none */
    struct nx_tape_env env[NX_TAPE_ENV_MAX];
    size_t env_count;
    uint64_t entry_count;
};

/* Stored: never renumber. */
enum nx_tape_entry_kind {
    NX_TAPE_CLOCK_WALL = 1,      /* time: difference from the wall reading before, or from the start */
    NX_TAPE_CLOCK_MONOTONIC = 2, /* time: since the monotonic reading before, or the start */
    NX_TAPE_LOG_TIME = 3,        /* time: as CLOCK_WALL; when a log line was written */
    NX_TAPE_POLL = 4,            /* arguments, fired */
    NX_TAPE_KV_GET = 5,          /* arguments, found, version, value */
    NX_TAPE_WAIT_CUT = 6, /* arguments: the deadline passed while this call was waiting; the last entry */
};

/* A value's kind: secrets (name, version, keyed hash in place of the bytes) have their number from the first
 * version on; no function can ask for one yet, and a tape with one is refused. */
enum nx_tape_value_kind { NX_TAPE_VALUE_PLAIN = 0, NX_TAPE_VALUE_SECRET = 1 };

struct nx_tape_entry {
    enum nx_tape_entry_kind kind;
    int64_t time_ns;    /* a difference */
    uint32_t arguments; /* digest of what was asked */
    bool found;
    uint64_t version;
    struct nx_str value;               /* borrowed from the tape */
    uint16_t fired[NX_TAPE_FIRED_MAX]; /* rising indexes of subscriptions */
    size_t fired_count;
};

/* Walks over the entries of a decoded tape. */
struct nx_tape_reader {
    struct nx_reader bytes;
    uint64_t entry_count;
    uint64_t index; /* of the next entry */
};

/** Append the header. `header->entry_count` entries, made by nx_tape_encode_entry(), must follow it. */
void nx_tape_encode_header(const struct nx_tape_header *header, struct nx_buf *buf);
void nx_tape_encode_entry(const struct nx_tape_entry *entry, struct nx_buf *buf);

/** Check a whole tape, every entry of it, and read its header. The strings borrow from `tape`.
 * Errors: NX_DATA_LOSS           it is damaged; the message says at which byte
 *         NX_FAILED_PRECONDITION kind format-version */
NX_MUST_CHECK enum nx_status nx_tape_decode(struct nx_str tape, struct nx_tape_header *header_out,
                                            struct nx_tape_reader *entries_out, struct nx_error *err);
/** The next entry; false at the end. Only for readers that nx_tape_decode() made. */
bool nx_tape_next(struct nx_tape_reader *reader, struct nx_tape_entry *entry_out);
