/* src/sandbox/host/host.h: what a guest sees of the world, what it may use of it, and what it leaves behind.
 *
 * The host is WASI preview 1 (46 functions) and the module "nexus", both described for guest authors in
 * spec/guest-interface.md. No files, no network. Each limit has a name and ends the call with its own
 * outcome. Threads: as the call that owns it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/outcome.h"

struct nx_call;

enum {
    NX_GUEST_INTERFACE_VERSION = 1,
    NX_CALL_ENV_MAX = 256,
    NX_CALL_EVENT_ID_SIZE_MAX = 1024,
    NX_KV_KEY_SIZE_MAX = 512,                /* bytes */
    NX_KV_VALUE_SIZE_MAX = 512 * 1024,       /* bytes */
    NX_PUBLISH_TYPE_SIZE_MAX = 512,          /* bytes */
    NX_RESPONSE_HEADERS_SIZE_MAX = 8 * 1024, /* bytes of the headers that a call gives to its answer */
    NX_RESPONSE_STATUS_MIN = 200,
    NX_RESPONSE_STATUS_MAX = 599,
};

/* 0 anywhere: the default. */
struct nx_call_limits {
    uint64_t output_size_max;     /* bytes on standard output; default 1 MiB less 64 KiB */
    uint64_t log_size_max;        /* bytes of log text and fields; default 256 KiB */
    uint64_t log_line_count_max;  /* default 10,000 */
    uint64_t host_call_count_max; /* default 1,000,000 */
    uint64_t effect_count_max;    /* publishes and key-value writes; default 900 */
    uint64_t effect_size_max;     /* bytes of them; default 4 MiB */
    uint64_t tape_size_max;       /* bytes; default 4 MiB */
};
/** The limits with every 0 replaced by its default. `limits` may be NULL. */
struct nx_call_limits nx_call_limits_or_default(const struct nx_call_limits *limits);

struct nx_call_env {
    struct nx_str name;
    struct nx_str value;
};

/* Who the call is. Becomes TRACE_ID, TRACEPARENT, NEXUS_EVENT_ID, NEXUS_IS_REPLAY, NEXUS_ORIGINAL_TIMESTAMP
 * (RFC 3339, UTC, milliseconds) in the guest's environment, over entries of the same name. */
struct nx_call_identity {
    uint8_t trace_id[16]; /* all zero: no TRACE_ID and no TRACEPARENT */
    uint8_t span_id[8];   /* of this call: TRACEPARENT names it as the parent */
    uint8_t trace_flags;
    struct nx_str event_id;
    int64_t original_time_ns; /* wall; when the event happened; 0: not known */
    bool is_replay;           /* run again, live: a replay from the tape sees what the tape says */
};

/* What the host needs from the layer above. Filled in by platform/function. */
struct nx_host_ops {
    void *data;
    /* Start looking up a key in the function's own bucket; answer by nx_call_provide_kv() or
     * nx_call_provide_kv_error(), at once or later. `key` is valid until answered. A call that is freed
     * before is not told: `data` must cope with answers for calls that are gone. */
    void (*kv_get)(void *data, struct nx_call *call, struct nx_str key);
    /* A call of the host has ended: for spans. Module and name are those of the import; the times are wall.
     * NULL: nobody looks on, and nothing is timed. */
    void (*host_call)(void *data, const char *module, const char *name, int64_t start_ns, int64_t end_ns);
};

struct nx_call_log_line {
    int64_t time_ns; /* wall */
    enum nx_log_level level;
    struct nx_str text;   /* UTF-8 is not checked */
    struct nx_str fields; /* a JSON object as the guest wrote it, or empty; not checked */
};
struct nx_call_publish {
    struct nx_str type;
    struct nx_str content_type; /* empty: application/json */
    struct nx_str data;
};
struct nx_call_kv_write { /* one for each key: the last one made */
    struct nx_str key;
    struct nx_str value;
    bool deleted;
};
struct nx_call_kv_read { /* one for each key asked of the store */
    struct nx_str key;
    uint64_t version; /* must still be the key's when the call is committed; 0: never set */
};
/* What the call says of its answer, where its output is one (an HTTP function with `respond`). */
struct nx_call_response {
    uint32_t status;       /* 0: it said nothing */
    struct nx_str headers; /* lines "Name: value\r\n", checked; may be empty */
};

struct nx_call_result {
    enum nx_outcome outcome;
    int32_t exit_code;   /* of the guest, 0 unless the outcome is ok or exit */
    struct nx_str error; /* one line for people; empty when the outcome is ok */
    struct nx_str output;
    const struct nx_call_log_line *log_lines;
    size_t log_line_count;
    const struct nx_call_publish *publishes; /* to be dropped unless the outcome is ok; so are the writes */
    size_t publish_count;
    const struct nx_call_kv_write *kv_writes;
    size_t kv_write_count;
    const struct nx_call_kv_read *kv_reads;
    size_t kv_read_count;
    struct nx_call_response response; /* to be dropped unless the outcome is ok */
    uint64_t fuel_used;
    uint64_t memory_peak; /* bytes of linear memory */
    uint64_t host_call_count;
    uint64_t tape_entry_count;
    int64_t start_time_ns; /* wall */
    int64_t duration_ns;   /* from first to last step, waiting included */
    struct nx_str tape;    /* recording: whole; replaying: the one that was played */
    bool replayable;       /* false for host errors: the tape shows less than what happened */
    uint64_t differs_at;   /* outcome replay-differs: the tape entry, and the byte in the tape */
    uint64_t differs_at_byte;
    bool questions_differ;  /* comparing: it asked other things, or in another order, first at `question` */
    uint64_t question;      /* from 0 */
    uint64_t question_hash; /* comparing: the same for two calls that asked the same in the same order */
};
