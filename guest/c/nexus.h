/* guest/c/nexus.h: what a Nexus function can ask of its host, beyond WASI. C and C++, no library to link.
 *
 *   #include "nexus.h"
 *   int main(void) {
 *       nexus_log(NEXUS_INFO, "Processing user event");
 *       nexus_publish("user.welcomed", "{\"user_id\":\"u42\"}", 17);
 *       return 0;
 *   }
 *
 * Build: clang --target=wasm32-wasi -O2 main.c -o main.wasm
 * Published events and key-value writes take effect when the function succeeds, all of them and once; when it
 * fails, none does. Every function here returns 0, or a WASI errno: 21 an address outside of memory, 28 an
 * argument that is not allowed, 44 no such key, 61 the buffer is too small. The contract is
 * spec/guest-interface.md. */
#ifndef NEXUS_H
#define NEXUS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NEXUS_IMPORT(function) __attribute__((import_module("nexus"), import_name(function)))

enum nexus_level { NEXUS_DEBUG, NEXUS_INFO, NEXUS_WARN, NEXUS_ERROR };
enum nexus_errno {
    NEXUS_OK = 0,
    NEXUS_FAULT = 21,
    NEXUS_INVALID = 28,
    NEXUS_NOT_FOUND = 44,
    NEXUS_TOO_SMALL = 61
};

/* The imports themselves. Strings are an address and a length in bytes, without a terminating zero. */

NEXUS_IMPORT("log")
int32_t nexus_log_raw(int32_t level, const char *text, size_t text_len, const char *fields,
                      size_t fields_len);
NEXUS_IMPORT("publish")
int32_t nexus_publish_raw(const char *type, size_t type_len, const char *content_type,
                          size_t content_type_len, const void *data, size_t data_len);
NEXUS_IMPORT("kv_get")
int32_t nexus_kv_get_raw(const char *key, size_t key_len, void *buffer, size_t buffer_size, size_t *len_out);
NEXUS_IMPORT("kv_set")
int32_t nexus_kv_set_raw(const char *key, size_t key_len, const void *value, size_t value_len);
NEXUS_IMPORT("kv_delete")
int32_t nexus_kv_delete_raw(const char *key, size_t key_len);
NEXUS_IMPORT("respond")
int32_t nexus_respond_raw(int32_t status, const char *headers, size_t headers_len);
NEXUS_IMPORT("now")
int64_t nexus_now(void); /* nanoseconds since 1970-01-01T00:00:00Z */
NEXUS_IMPORT("random")
int32_t nexus_random(void *bytes, size_t len); /* at most 1 MiB at once */

/* The same with C strings. */

/* A log line with this level; what is printed on standard error has level INFO. */
static inline int nexus_log(enum nexus_level level, const char *text) {
    return nexus_log_raw(level, text, strlen(text), "", 0);
}
/* `fields_json` is a JSON object: "{\"user\":\"u42\"}". */
static inline int nexus_log_fields(enum nexus_level level, const char *text, const char *fields_json) {
    return nexus_log_raw(level, text, strlen(text), fields_json, strlen(fields_json));
}
/* An event of this type whose data is JSON. */
static inline int nexus_publish(const char *type, const void *data, size_t data_len) {
    return nexus_publish_raw(type, strlen(type), "", 0, data, data_len);
}
static inline int nexus_publish_as(const char *type, const char *content_type, const void *data,
                                   size_t data_len) {
    return nexus_publish_raw(type, strlen(type), content_type, strlen(content_type), data, data_len);
}
/* Read a key of the function's own bucket: this call's writes first, then what is committed. *len_out is the
 * value's length also when the buffer is too small, 0 when there is no such key. */
static inline int nexus_kv_get(const char *key, void *buffer, size_t buffer_size, size_t *len_out) {
    return nexus_kv_get_raw(key, strlen(key), buffer, buffer_size, len_out);
}
static inline int nexus_kv_set(const char *key, const void *value, size_t value_len) {
    return nexus_kv_set_raw(key, strlen(key), value, value_len);
}
static inline int nexus_kv_delete(const char *key) {
    return nexus_kv_delete_raw(key, strlen(key));
}
/* The status (200 to 599) and headers of the answer, whose body is what the function prints: for functions
 * with `respond: result`. Headers are lines: "Content-Type: text/plain\nCache-Control: no-store"; "" for
 * none. The last call counts. */
static inline int nexus_respond(int status, const char *headers) {
    return nexus_respond_raw(status, headers, strlen(headers));
}

#ifdef __cplusplus
}
#endif

#endif
