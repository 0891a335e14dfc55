#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATUS_NAME(status, name, http_status) [status] = name,
static const char *const status_names[] = { NX_STATUS_TABLE(STATUS_NAME) };
#define STATUS_HTTP(status, name, http_status) [status] = http_status,
static const int status_http[] = { NX_STATUS_TABLE(STATUS_HTTP) };
#define KIND_NAME(kind, name, status, http_status) [kind] = name,
static const char *const kind_names[] = { NX_KIND_TABLE(KIND_NAME) };
#define KIND_STATUS(kind, name, status, http_status) [kind] = status,
static const enum nx_status kind_statuses[] = { NX_KIND_TABLE(KIND_STATUS) };
#define KIND_HTTP(kind, name, status, http_status) [kind] = http_status,
static const int kind_http[] = { NX_KIND_TABLE(KIND_HTTP) };
/* Kinds of statuses without a kind of their own, in the spelling of kinds. */
static const char *const status_kind_names[] = {
    [NX_OK] = "ok",
    [NX_CANCELLED] = "cancelled",
    [NX_INVALID_ARGUMENT] = "invalid-argument",
    [NX_DEADLINE_EXCEEDED] = "deadline-exceeded",
    [NX_NOT_FOUND] = "not-found",
    [NX_ALREADY_EXISTS] = "already-exists",
    [NX_PERMISSION_DENIED] = "permission-denied",
    [NX_RESOURCE_EXHAUSTED] = "resource-exhausted",
    [NX_FAILED_PRECONDITION] = "failed-precondition",
    [NX_ABORTED] = "aborted",
    [NX_OUT_OF_RANGE] = "out-of-range",
    [NX_UNIMPLEMENTED] = "unimplemented",
    [NX_INTERNAL] = "internal",
    [NX_UNAVAILABLE] = "unavailable",
    [NX_DATA_LOSS] = "data-loss",
    [NX_UNAUTHENTICATED] = "unauthenticated",
};

NX_PRINTF(4, 0)
static enum nx_status start(struct nx_error *err, enum nx_status status, enum nx_kind kind,
                            const char *format, va_list args) {
    if (err != NULL) {
        err->status = status;
        err->kind = kind;
        err->hint[0] = '\0';
        (void)vsnprintf(err->message, sizeof err->message, format, args);
    }
    return status;
}

enum nx_status(nx_fail)(struct nx_error *err, enum nx_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)start(err, status, NX_KIND_NONE, format, args);
    va_end(args);
    return status;
}

enum nx_status(nx_fail_kind)(struct nx_error *err, enum nx_kind kind, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)start(err, kind_statuses[kind], kind, format, args);
    va_end(args);
    return kind_statuses[kind];
}

enum nx_status(nx_wrap)(struct nx_error *err, enum nx_status status, const char *format, ...) {
    if (err == NULL) {
        return status;
    }
    char inner[sizeof err->message];
    memcpy(inner, err->message, sizeof inner);
    va_list args;
    va_start(args, format);
    const int written = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (written >= 0 && (size_t)written < sizeof err->message) {
        (void)snprintf(err->message + written, sizeof err->message - (size_t)written, ": %s", inner);
    }
    return status;
}

enum nx_status(nx_fail_memory)(struct nx_error *err) {
    return nx_fail_kind(err, NX_KIND_OUT_OF_MEMORY, "out of memory");
}

void nx_hint(struct nx_error *err, const char *format, ...) {
    if (err == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
}

const char *nx_status_name(enum nx_status status) {
    const size_t index = (size_t)status;
    return index < sizeof status_names / sizeof status_names[0] ? status_names[index] : "UNKNOWN";
}

const char *nx_error_kind_name(const struct nx_error *err) {
    return err->kind != NX_KIND_NONE ? kind_names[err->kind] : status_kind_names[err->status];
}

int nx_error_http_status(const struct nx_error *err) {
    return err->kind != NX_KIND_NONE ? kind_http[err->kind] : status_http[err->status];
}
