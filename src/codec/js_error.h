/* src/codec/js_error.h: the errors of the JetStream API, as NATS numbers and words them.
 *
 * Clients tell errors apart by their number (err_code), people by the text; `code` is like an HTTP status.
 * Texts that end in a space or are empty are completed by whoever fails. Only those that this server gives
 * are here; the whole list is nats-server's server/errors.json. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/json.h"

enum { NX_JS_DESCRIPTION_SIZE = 512 }; /* bytes with the NUL; longer ones are cut */

/* X(name, code, err_code, text) */
#define NX_JS_ERROR_TABLE(X)                                                                                 \
    X(NX_JS_BAD_REQUEST, 400, 10003, "bad request")                                                          \
    X(NX_JS_CLUSTER_NOT_ACTIVE, 500, 10006, "JetStream not in clustered mode")                               \
    X(NX_JS_CLUSTER_NOT_AVAIL, 503, 10008, "JetStream system temporarily unavailable")                       \
    X(NX_JS_CLUSTER_REQUIRED, 503, 10010, "JetStream clustering support required")                           \
    X(NX_JS_CONSUMER_CREATE, 500, 10012, "")                                                                 \
    X(NX_JS_CONSUMER_NAME_EXIST, 400, 10013, "consumer name already in use")                                 \
    X(NX_JS_CONSUMER_NOT_FOUND, 404, 10014, "consumer not found")                                            \
    X(NX_JS_SNAPSHOT_DELIVER_SUBJECT_INVALID, 400, 10015, "deliver subject not valid")                       \
    X(NX_JS_CONSUMER_DURABLE_NAME_NOT_IN_SUBJECT, 400, 10016,                                                \
      "consumer expected to be durable but no durable name set in subject")                                  \
    X(NX_JS_CONSUMER_DURABLE_NAME_NOT_MATCH_SUBJECT, 400, 10017,                                             \
      "consumer name in subject does not match durable name in request")                                     \
    X(NX_JS_CONSUMER_DURABLE_NAME_NOT_SET, 400, 10018,                                                       \
      "consumer expected to be durable but a durable name was not set")                                      \
    X(NX_JS_CONSUMER_EPHEMERAL_WITH_DURABLE_IN_SUBJECT, 400, 10019,                                          \
      "consumer expected to be ephemeral but detected a durable name set in subject")                        \
    X(NX_JS_CONSUMER_EPHEMERAL_WITH_DURABLE_NAME, 400, 10020,                                                \
      "consumer expected to be ephemeral but a durable name was set in request")                             \
    X(NX_JS_INSUFFICIENT_RESOURCES, 503, 10023, "insufficient resources")                                    \
    X(NX_JS_INVALID_JSON, 400, 10025, "invalid JSON: ")                                                      \
    X(NX_JS_MAXIMUM_CONSUMERS_LIMIT, 400, 10026, "maximum consumers limit reached")                          \
    X(NX_JS_MAXIMUM_STREAMS_LIMIT, 400, 10027, "maximum number of streams reached")                          \
    X(NX_JS_NO_MESSAGE_FOUND, 404, 10037, "no message found")                                                \
    X(NX_JS_NOT_EMPTY_REQUEST, 400, 10038, "expected an empty request payload")                              \
    X(NX_JS_NOT_ENABLED_FOR_ACCOUNT, 503, 10039, "JetStream not enabled for account")                        \
    X(NX_JS_SEQUENCE_NOT_FOUND, 400, 10043, "")                                                              \
    X(NX_JS_STREAM_CREATE, 500, 10049, "")                                                                   \
    X(NX_JS_STREAM_DELETE, 500, 10050, "")                                                                   \
    X(NX_JS_STREAM_GENERAL, 500, 10051, "")                                                                  \
    X(NX_JS_STREAM_INVALID_CONFIG, 500, 10052, "")                                                           \
    X(NX_JS_STREAM_MESSAGE_EXCEEDS_MAXIMUM, 400, 10054, "message size exceeds maximum allowed")              \
    X(NX_JS_STREAM_MIRROR_NOT_UPDATABLE, 400, 10055, "stream mirror configuration can not be updated")       \
    X(NX_JS_STREAM_MISMATCH, 400, 10056, "stream name in subject does not match request")                    \
    X(NX_JS_STREAM_MSG_DELETE_FAILED, 500, 10057, "")                                                        \
    X(NX_JS_STREAM_NAME_EXIST, 400, 10058, "stream name already in use with a different configuration")      \
    X(NX_JS_STREAM_NOT_FOUND, 404, 10059, "stream not found")                                                \
    X(NX_JS_STREAM_NOT_MATCH, 400, 10060, "expected stream does not match")                                  \
    X(NX_JS_STREAM_RESTORE, 500, 10062, "restore failed: ")                                                  \
    X(NX_JS_STREAM_SNAPSHOT, 500, 10064, "snapshot failed: ")                                                \
    X(NX_JS_STREAM_SUBJECT_OVERLAP, 400, 10065, "subjects overlap with an existing stream")                  \
    X(NX_JS_STREAM_UPDATE, 500, 10069, "")                                                                   \
    X(NX_JS_STREAM_WRONG_LAST_MSG_ID, 400, 10070, "wrong last msg ID: ")                                     \
    X(NX_JS_STREAM_WRONG_LAST_SEQUENCE, 400, 10071, "wrong last sequence: ")                                 \
    X(NX_JS_STREAM_REPLICAS_NOT_SUPPORTED, 500, 10074, "replicas > 1 not supported in non-clustered mode")   \
    X(NX_JS_NOT_ENABLED, 503, 10076, "JetStream not enabled")                                                \
    X(NX_JS_STREAM_STORE_FAILED, 503, 10077, "")                                                             \
    X(NX_JS_CONSUMER_CONFIG_REQUIRED, 400, 10078, "consumer config required")                                \
    X(NX_JS_CONSUMER_DELIVER_TO_WILDCARDS, 400, 10079, "consumer deliver subject has wildcards")             \
    X(NX_JS_CONSUMER_PUSH_MAX_WAITING, 400, 10080, "consumer in push mode can not set max waiting")          \
    X(NX_JS_CONSUMER_DELIVER_CYCLE, 400, 10081, "consumer deliver subject forms a cycle")                    \
    X(NX_JS_CONSUMER_MAX_PENDING_ACK_POLICY_REQUIRED, 400, 10082,                                            \
      "consumer requires ack policy for max ack pending")                                                    \
    X(NX_JS_CONSUMER_SMALL_HEARTBEAT, 400, 10083, "consumer idle heartbeat needs to be >= 100ms")            \
    X(NX_JS_CONSUMER_PULL_WITH_RATE_LIMIT, 400, 10086, "consumer in pull mode can not have rate limit set")  \
    X(NX_JS_CONSUMER_MAX_WAITING_NEGATIVE, 400, 10087, "consumer max waiting needs to be positive")          \
    X(NX_JS_CONSUMER_HB_REQUIRES_PUSH, 400, 10088, "consumer idle heartbeat requires a push based consumer") \
    X(NX_JS_CONSUMER_FC_REQUIRES_PUSH, 400, 10089, "consumer flow control requires a push based consumer")   \
    X(NX_JS_CONSUMER_DIRECT_REQUIRES_PUSH, 400, 10090, "consumer direct requires a push based consumer")     \
    X(NX_JS_CONSUMER_DIRECT_REQUIRES_EPHEMERAL, 400, 10091,                                                  \
      "consumer direct requires an ephemeral consumer")                                                      \
    X(NX_JS_CONSUMER_FILTER_NOT_SUBSET, 400, 10093,                                                          \
      "consumer filter subject is not a valid subset of the interest subjects")                              \
    X(NX_JS_CONSUMER_INVALID_POLICY, 400, 10094, "")                                                         \
    X(NX_JS_CONSUMER_INVALID_SAMPLING, 400, 10095, "failed to parse consumer sampling configuration: ")      \
    X(NX_JS_STREAM_INVALID, 500, 10096, "stream not valid")                                                  \
    X(NX_JS_STREAM_HEADER_EXCEEDS_MAXIMUM, 400, 10097, "header size exceeds maximum allowed of 64k")         \
    X(NX_JS_CONSUMER_NAME_TOO_LONG, 400, 10102, "consumer name is too long, maximum allowed is ")            \
    X(NX_JS_CONSUMER_BAD_DURABLE_NAME, 400, 10103, "durable name can not contain '.', '*', '>'")             \
    X(NX_JS_CONSUMER_EXISTING_ACTIVE, 400, 10105, "consumer already exists and is still active")             \
    X(NX_JS_CONSUMER_DESCRIPTION_TOO_LONG, 400, 10107,                                                       \
      "consumer description is too long, maximum allowed is ")                                               \
    X(NX_JS_CONSUMER_WITH_FLOW_CONTROL_NEEDS_HEARTBEATS, 400, 10108,                                         \
      "consumer with flow control also needs heartbeats")                                                    \
    X(NX_JS_STREAM_SEALED, 400, 10109, "invalid operation on sealed stream")                                 \
    X(NX_JS_STREAM_PURGE_FAILED, 500, 10110, "")                                                             \
    X(NX_JS_STREAM_ROLLUP_FAILED, 500, 10111, "")                                                            \
    X(NX_JS_CONSUMER_INVALID_DELIVER_SUBJECT, 400, 10112, "invalid push consumer deliver subject")           \
    X(NX_JS_CONSUMER_MAX_REQUEST_BATCH_NEGATIVE, 400, 10114, "consumer max request batch needs to be > 0")   \
    X(NX_JS_CONSUMER_MAX_REQUEST_EXPIRES_TOO_SMALL, 400, 10115,                                              \
      "consumer max request expires needs to be >= 1ms")                                                     \
    X(NX_JS_CONSUMER_MAX_DELIVER_BACKOFF, 400, 10116,                                                        \
      "max deliver is required to be > length of backoff values")                                            \
    X(NX_JS_STREAM_INFO_MAX_SUBJECTS, 500, 10117, "subject details would exceed maximum allowed")            \
    X(NX_JS_CONSUMER_MAX_PENDING_ACK_EXCESS, 400, 10121,                                                     \
      "consumer max ack pending exceeds system limit of ")                                                   \
    X(NX_JS_CONSUMER_REPLICAS_EXCEEDS_STREAM, 400, 10126,                                                    \
      "consumer config replica count exceeds parent stream")                                                 \
    X(NX_JS_CONSUMER_NAME_CONTAINS_PATH_SEPARATORS, 400, 10127,                                              \
      "Consumer name can not contain path separators")                                                       \
    X(NX_JS_STREAM_NAME_CONTAINS_PATH_SEPARATORS, 400, 10128, "Stream name can not contain path separators") \
    X(NX_JS_CONSUMER_CREATE_FILTER_SUBJECT_MISMATCH, 400, 10131,                                             \
      "Consumer create request did not match filtered subject from create subject")                          \
    X(NX_JS_CONSUMER_CREATE_DURABLE_AND_NAME_MISMATCH, 400, 10132,                                           \
      "Consumer Durable and Name have to be equal if both are provided")                                     \
    X(NX_JS_REPLICAS_COUNT_CANNOT_BE_NEGATIVE, 400, 10133, "replicas count cannot be negative")              \
    X(NX_JS_CONSUMER_METADATA_LENGTH, 400, 10135, "consumer metadata exceeds maximum size of ")              \
    X(NX_JS_CONSUMER_DUPLICATE_FILTER_SUBJECTS, 400, 10136,                                                  \
      "consumer cannot have both FilterSubject and FilterSubjects specified")                                \
    X(NX_JS_CONSUMER_MULTIPLE_FILTERS_NOT_ALLOWED, 400, 10137,                                               \
      "consumer with multiple subject filters cannot use subject based API")                                 \
    X(NX_JS_CONSUMER_OVERLAPPING_SUBJECT_FILTERS, 400, 10138, "consumer subject filters cannot overlap")     \
    X(NX_JS_CONSUMER_EMPTY_FILTER, 400, 10139, "consumer filter in FilterSubjects cannot be empty")          \
    X(NX_JS_CONSUMER_ALREADY_EXISTS, 400, 10148, "consumer already exists")                                  \
    X(NX_JS_CONSUMER_DOES_NOT_EXIST, 400, 10149, "consumer does not exist")                                  \
    X(NX_JS_CONSUMER_INACTIVE_THRESHOLD_EXCESS, 400, 10153,                                                  \
      "consumer inactive threshold exceeds system limit of ")                                                \
    X(NX_JS_MESSAGE_TTL_DISABLED, 400, 10166, "per-message TTL is disabled")                                 \
    X(NX_JS_MESSAGE_INCR_DISABLED, 400, 10168, "message counters is disabled")                               \
    X(NX_JS_ATOMIC_PUBLISH_DISABLED, 400, 10174, "atomic publish is disabled")                               \
    X(NX_JS_CONSUMER_ACK_POLICY_INVALID, 400, 10181, "consumer ack policy invalid")                          \
    X(NX_JS_CONSUMER_REPLAY_POLICY_INVALID, 400, 10182, "consumer replay policy invalid")                    \
    X(NX_JS_CONSUMER_ACK_WAIT_NEGATIVE, 400, 10183, "consumer ack wait needs to be positive")                \
    X(NX_JS_CONSUMER_BACK_OFF_NEGATIVE, 400, 10184, "consumer backoff needs to be positive")                 \
    X(NX_JS_REQUIRED_API_LEVEL, 412, 10185, "JetStream minimum api level required")                          \
    X(NX_JS_MESSAGE_SCHEDULES_DISABLED, 400, 10188, "message schedules is disabled")                         \
    X(NX_JS_STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_INVALID, 400, 10193,                                        \
      "missing sequence for expected last sequence per subject")                                             \
    X(NX_JS_BATCH_PUBLISH_DISABLED, 400, 10205, "batch publish is disabled")                                 \
    X(NX_JS_MESSAGE_SOURCE_HDR_NOT_ALLOWED, 400, 10227, "message stream source header is not allowed")

#define NX_JS_ERROR_MEMBER(name, code, err_code, text) name,
enum nx_js_error_kind { NX_JS_NO_ERROR, NX_JS_ERROR_TABLE(NX_JS_ERROR_MEMBER) };
#undef NX_JS_ERROR_MEMBER

/* A plain value. A zeroed one is no error. */
struct nx_js_error {
    enum nx_js_error_kind kind;
    char description[NX_JS_DESCRIPTION_SIZE]; /* UTF-8 */
};

/** Set the error; `err` may be NULL. Always false, so that a failure is one return statement. */
bool nx_js_fail(struct nx_js_error *err, enum nx_js_error_kind kind);
/** As nx_js_fail(), with more behind the kind's own text. */
bool nx_js_fail_with(struct nx_js_error *err, enum nx_js_error_kind kind, const char *format, ...)
    NX_PRINTF(3, 4);
/** Like an HTTP status; 0: no error. */
unsigned nx_js_error_status(enum nx_js_error_kind kind);
/** The number by which clients know it; 0: no error. */
unsigned nx_js_error_code(enum nx_js_error_kind kind);
/** The value {"code":…,"err_code":…,"description":…}. */
void nx_js_error_write(struct nx_json_writer *writer, const struct nx_js_error *err);
