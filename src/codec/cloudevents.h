/* src/codec/cloudevents.h: CloudEvents 1.0.2, between HTTP, records of the log and JSON.
 *
 * In a record an event stands in the NATS binding's binary form: a header "ce-<attribute>" each,
 * percent-encoded by the HTTP binding's rule, "content-type" for datacontenttype, and the data as payload;
 * "traceparent", "tracestate" and "baggage" are plain headers. As JSON it is the structured form: attributes
 * in a fixed order, then extensions in the record's, then the data: as it came where it is JSON, as a string
 * where it is other UTF-8 text, as data_base64 where it is not. The same record always gives the same bytes,
 * for replays compare them.
 *
 * Attribute values in struct nx_cloudevent are decoded. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "codec/headers.h"
#include "codec/json.h"

enum {
    NX_CLOUDEVENT_EXTENSIONS_MAX = 32,
    NX_CLOUDEVENT_TYPE_SIZE_MAX = 255,      /* bytes; as a subject it is three times that at most */
    NX_CLOUDEVENT_ID_SIZE_MAX = 255,        /* bytes */
    NX_CLOUDEVENT_NAME_SIZE_MAX = 64,       /* bytes of an extension's name; [a-z0-9]+ */
    NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX = 4096 /* bytes of an attribute's value, decoded */
};

struct nx_cloudevent_extension {
    struct nx_str name;
    struct nx_str value;
};

/* Strings are borrowed; empty means absent (no attribute may be present and empty). */
struct nx_cloudevent {
    struct nx_str id;
    struct nx_str source;
    struct nx_str type;
    struct nx_str subject;
    struct nx_str time; /* RFC 3339, as it was given */
    struct nx_str datacontenttype;
    struct nx_str dataschema;
    struct nx_str traceparent;
    struct nx_str tracestate;
    struct nx_str baggage; /* not an attribute: not in the JSON */
    struct nx_cloudevent_extension extensions[NX_CLOUDEVENT_EXTENSIONS_MAX];
    size_t extension_count;
    struct nx_str data;
    bool has_data; /* false for an empty payload */
};

/** An event without attributes. Cheaper than { 0 }: the room for extensions is left as it is. */
void nx_cloudevent_init(struct nx_cloudevent *event);
/** Check an event as a whole: required attributes, names, sizes, control characters, time, URIs.
 * Errors: NX_INVALID_ARGUMENT  the message names the attribute */
NX_MUST_CHECK enum nx_status nx_cloudevent_check(const struct nx_cloudevent *event, struct nx_error *err);
/** As nx_cloudevent_check(); after a failure `*name_out` is the attribute's name, static or the event's. */
NX_MUST_CHECK enum nx_status nx_cloudevent_check_named(const struct nx_cloudevent *event,
                                                       struct nx_str *name_out, struct nx_error *err);

/** True when HTTP headers carry an event in binary mode: there is a ce-specversion. */
bool nx_cloudevent_is_binary(const struct nx_header *headers, size_t count);
/** What the text of a header "ce-…" stands for: without quotes and percent-encoding.
 * Ownership: `*value_out` is borrowed from `text` or `arena`.
 * Errors: NX_INVALID_ARGUMENT; NX_RESOURCE_EXHAUSTED  the arena is full */
NX_MUST_CHECK enum nx_status nx_cloudevent_header_value(struct nx_str text, struct nx_arena *arena,
                                                        struct nx_str *value_out, struct nx_error *err);
/** True for "application/cloudevents" with any suffix and parameters: structured or batch mode. */
bool nx_cloudevent_is_structured(struct nx_str content_type);
/** True for "application/cloudevents+json", parameters ignored. */
bool nx_cloudevent_is_json_event(struct nx_str content_type);
/** True for "application/cloudevents-batch+json", parameters ignored. */
bool nx_cloudevent_is_json_batch(struct nx_str content_type);
/** Read an event from the headers and the body of an HTTP message in binary mode. Other headers are ignored.
 * Ownership: the strings are borrowed from `headers`, `body` and, where they had to be decoded, `arena`.
 * Errors:    NX_INVALID_ARGUMENT  "attribute 'source' is missing", and so on
 *            NX_RESOURCE_EXHAUSTED  the arena is full */
NX_MUST_CHECK enum nx_status nx_cloudevent_from_http(const struct nx_header *headers, size_t count,
                                                     struct nx_str body, struct nx_arena *arena,
                                                     struct nx_cloudevent *event_out, struct nx_error *err);
/** Read an event in structured mode. Unknown members are extensions; numbers and booleans become text.
 * Ownership, errors: as nx_cloudevent_from_http(). */
NX_MUST_CHECK enum nx_status nx_cloudevent_from_json(struct nx_str json, struct nx_arena *arena,
                                                     struct nx_cloudevent *event_out, struct nx_error *err);
/* Where a structured event is wrong. */
struct nx_cloudevent_fault {
    struct nx_str field; /* the member's name; empty: it is about the whole */
    size_t offset;       /* bytes from the start of the JSON: of the member's value, or of what is no JSON */
};
/** The place of a member's value in a structured event, which must be JSON; its start where it has no such
 * member. Ownership: borrows `field`. */
struct nx_cloudevent_fault nx_cloudevent_fault_of(struct nx_str json, struct nx_str field);
/** As nx_cloudevent_from_json(); after a failure `*fault_out` says where, borrowed from `json`. */
NX_MUST_CHECK enum nx_status nx_cloudevent_from_json_at(struct nx_str json, struct nx_arena *arena,
                                                        struct nx_cloudevent *event_out,
                                                        struct nx_cloudevent_fault *fault_out,
                                                        struct nx_error *err);

/** Append the event's headers to a record's header block; its payload is event->data.
 * Errors: NX_INVALID_ARGUMENT  kind headers-too-large; NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_cloudevent_to_headers(const struct nx_cloudevent *event, struct nx_buf *block,
                                                      struct nx_error *err);

/* A record, as the fabric gives it. */
struct nx_cloudevent_record {
    struct nx_str stream;
    uint64_t sequence;
    int64_t time_ns;
    struct nx_str subject;
    struct nx_str headers;
    struct nx_str payload;
};
/** Read the event of a record. What is not an event becomes one: id "STREAM:sequence", source
 * "/streams/STREAM", the type from the subject (without "events."), the time of the record. A record is
 * always readable: attributes that cannot be decoded stay as they are, and extensions past the maximum are
 * left out. Ownership: the strings are borrowed from the record and, where they had to be decoded or made,
 * `arena`. Errors:    NX_RESOURCE_EXHAUSTED  the arena is full */
NX_MUST_CHECK enum nx_status nx_cloudevent_from_record(const struct nx_cloudevent_record *record,
                                                       struct nx_arena *arena,
                                                       struct nx_cloudevent *event_out, struct nx_error *err);

/** Write the event in structured form as one value. */
void nx_cloudevent_write(struct nx_json_writer *writer, const struct nx_cloudevent *event);
/** Append the structured form; failures are the buffer's. */
void nx_cloudevent_to_json(struct nx_buf *out, const struct nx_cloudevent *event);

/** Append the text that a path such as "data.user_id", "subject" or an extension's name stands for in this
 * event. False when there is nothing of that name, or it is no scalar. */
bool nx_cloudevent_lookup(struct nx_buf *out, const struct nx_cloudevent *event, struct nx_str path);
/** True for application/json and every type ending in +json, parameters ignored. */
bool nx_cloudevent_is_json_type(struct nx_str content_type);
/** Append the subject of an event of this type: "events." and the type, percent-encoded. */
void nx_cloudevent_subject(struct nx_buf *out, struct nx_str type);
/** As nx_cloudevent_subject(); a type with NATS's wildcards stands for a filter, in which nothing is encoded.
 * It need not be a valid one. */
void nx_cloudevent_subject_filter(struct nx_buf *out, struct nx_str type);
/** Append the de-duplication key of a client's id: source and id, never ambiguous. */
void nx_cloudevent_dedup_key(struct nx_buf *out, struct nx_str source, struct nx_str id);
