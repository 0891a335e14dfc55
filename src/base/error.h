/* src/base/error.h: one error value, from the call that failed to the person who must act.
 *
 * A function that can fail returns enum nx_status and takes `struct nx_error *err` last. A library function
 * never logs: whoever handles an error tells it once. Status codes are gRPC's; where that is not exact
 * enough, the kind names the case and carries its own HTTP status (spec/errors.md lists them for users). */
#pragma once

/* X(status, name on the wire, HTTP status): the one table that every face renders from. */
#define NX_STATUS_TABLE(X)                                \
    X(NX_OK, "OK", 200)                                   \
    X(NX_CANCELLED, "CANCELLED", 499)                     \
    X(NX_INVALID_ARGUMENT, "INVALID_ARGUMENT", 400)       \
    X(NX_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", 504)     \
    X(NX_NOT_FOUND, "NOT_FOUND", 404)                     \
    X(NX_ALREADY_EXISTS, "ALREADY_EXISTS", 409)           \
    X(NX_PERMISSION_DENIED, "PERMISSION_DENIED", 403)     \
    X(NX_RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", 503)   \
    X(NX_FAILED_PRECONDITION, "FAILED_PRECONDITION", 409) \
    X(NX_ABORTED, "ABORTED", 409)                         \
    X(NX_OUT_OF_RANGE, "OUT_OF_RANGE", 400)               \
    X(NX_UNIMPLEMENTED, "UNIMPLEMENTED", 501)             \
    X(NX_INTERNAL, "INTERNAL", 500)                       \
    X(NX_UNAVAILABLE, "UNAVAILABLE", 503)                 \
    X(NX_DATA_LOSS, "DATA_LOSS", 500)                     \
    X(NX_UNAUTHENTICATED, "UNAUTHENTICATED", 401)

#define NX_STATUS_MEMBER(status, name, http_status) status,
enum nx_status { NX_STATUS_TABLE(NX_STATUS_MEMBER) };
#undef NX_STATUS_MEMBER

/* X(kind, name for people and problem details, status, HTTP status): cases that a caller or a person tells
 * apart. */
#define NX_KIND_TABLE(X)                                                               \
    X(NX_KIND_NONE, "", NX_OK, 0)                                                      \
    X(NX_KIND_OUT_OF_MEMORY, "out-of-memory", NX_RESOURCE_EXHAUSTED, 503)              \
    X(NX_KIND_DISK_FULL, "disk-full", NX_RESOURCE_EXHAUSTED, 507)                      \
    X(NX_KIND_BUDGET_FULL, "disk-budget-full", NX_RESOURCE_EXHAUSTED, 507)             \
    X(NX_KIND_LOG_FROZEN, "log-frozen", NX_UNAVAILABLE, 503)                           \
    X(NX_KIND_OVERLOADED, "overloaded", NX_RESOURCE_EXHAUSTED, 503)                    \
    X(NX_KIND_TOO_LARGE, "too-large", NX_INVALID_ARGUMENT, 413)                        \
    X(NX_KIND_HEADERS_TOO_LARGE, "headers-too-large", NX_INVALID_ARGUMENT, 431)        \
    X(NX_KIND_METHOD_NOT_ALLOWED, "method-not-allowed", NX_INVALID_ARGUMENT, 405)      \
    X(NX_KIND_UNSUPPORTED_MEDIA, "unsupported-media-type", NX_INVALID_ARGUMENT, 415)   \
    X(NX_KIND_REQUEST_TIMEOUT, "request-timeout", NX_DEADLINE_EXCEEDED, 408)           \
    X(NX_KIND_WRONG_HOST, "wrong-host", NX_PERMISSION_DENIED, 403)                     \
    X(NX_KIND_WRONG_ORIGIN, "wrong-origin", NX_PERMISSION_DENIED, 403)                 \
    X(NX_KIND_EXPECTATION_FAILED, "expectation-failed", NX_INVALID_ARGUMENT, 417)      \
    X(NX_KIND_HTTP_VERSION, "http-version", NX_INVALID_ARGUMENT, 505)                  \
    X(NX_KIND_WRONG_LAST_SEQUENCE, "wrong-last-sequence", NX_FAILED_PRECONDITION, 409) \
    X(NX_KIND_AMBIGUOUS, "ambiguous-id", NX_FAILED_PRECONDITION, 409)                  \
    X(NX_KIND_KEY_REUSED, "idempotency-key-reused", NX_INVALID_ARGUMENT, 422)          \
    X(NX_KIND_FUNCTION_FAILED, "function-failed", NX_INTERNAL, 502)                    \
    X(NX_KIND_FUNCTION_TIMEOUT, "function-timeout", NX_DEADLINE_EXCEEDED, 504)         \
    X(NX_KIND_ANSWER_LATE, "answer-late", NX_DEADLINE_EXCEEDED, 504)                   \
    X(NX_KIND_EXPIRED, "expired", NX_NOT_FOUND, 410)                                   \
    X(NX_KIND_ERASED, "erased", NX_NOT_FOUND, 410)                                     \
    X(NX_KIND_LOCKED, "data-directory-in-use", NX_FAILED_PRECONDITION, 409)            \
    X(NX_KIND_FORMAT_VERSION, "format-version", NX_FAILED_PRECONDITION, 409)           \
    X(NX_KIND_REPLAY_DIFFERS, "replay-differs", NX_DATA_LOSS, 500)                     \
    X(NX_KIND_UNREPLAYABLE, "unreplayable", NX_FAILED_PRECONDITION, 409)

#define NX_KIND_MEMBER(kind, name, status, http_status) kind,
enum nx_kind { NX_KIND_TABLE(NX_KIND_MEMBER) };
#undef NX_KIND_MEMBER

/* A plain value: needs no heap, so it can report out-of-memory and cross to another loop. */
struct nx_error {
    enum nx_status status;
    enum nx_kind kind;
    char message[384]; /* UTF-8, outermost context first; truncated when longer */
    char hint[160];    /* what the person can do next; empty when nothing useful is known */
};

#define NX_MUST_CHECK __attribute__((warn_unused_result))
#define NX_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* All allow err == NULL. The first four return the status, so that a failure is one return statement. */

/** Start an error: lower case, one line, what failed. */
enum nx_status nx_fail(struct nx_error *err, enum nx_status status, const char *format, ...) NX_PRINTF(3, 4);
/** Start an error of a named kind; the status is the kind's. */
enum nx_status nx_fail_kind(struct nx_error *err, enum nx_kind kind, const char *format, ...) NX_PRINTF(3, 4);
/** Put "where: " before the message of an error that is passed on. `status` is returned unchanged. */
enum nx_status nx_wrap(struct nx_error *err, enum nx_status status, const char *format, ...) NX_PRINTF(3, 4);
/** The one message for a failed allocation. */
enum nx_status nx_fail_memory(struct nx_error *err);
/* What these four return is never NX_OK: said here once, so that compilers and analyzers, which do not see
 * error.c, know of every caller that it failed and wrote no output. */
static inline enum nx_status nx_status_of_failure(enum nx_status status) {
    if (status == NX_OK) {
        __builtin_unreachable();
    }
    return status;
}
#define nx_fail(...) nx_status_of_failure(nx_fail(__VA_ARGS__))
#define nx_fail_kind(...) nx_status_of_failure(nx_fail_kind(__VA_ARGS__))
#define nx_wrap(...) nx_status_of_failure(nx_wrap(__VA_ARGS__))
#define nx_fail_memory(err) nx_status_of_failure(nx_fail_memory(err))
/** Say what the person can do next. */
void nx_hint(struct nx_error *err, const char *format, ...) NX_PRINTF(2, 3);

/** The name on the wire, such as "NOT_FOUND"; static storage. */
const char *nx_status_name(enum nx_status status);
/** The kind's name, such as "disk-full", or the status's name in lower case with dashes when there is no
 * kind. */
const char *nx_error_kind_name(const struct nx_error *err);
/** The HTTP status for this error: the kind's own where it has one. */
int nx_error_http_status(const struct nx_error *err);

/** Return early with the status unless the call succeeded; for calls whose errors go up unchanged. */
#define NX_TRY(call)                                        \
    do {                                                    \
        const enum nx_status nx_try_status_ = (call);       \
        if (__builtin_expect(nx_try_status_ != NX_OK, 0)) { \
            return nx_try_status_;                          \
        }                                                   \
    } while (0)
