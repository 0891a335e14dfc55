/* src/codec/json.h: JSON (RFC 8259), read and written. The one home of yyjson.
 *
 * Reading: nx_json_check() says whether bytes are JSON, without a single allocation; nx_json_parse() gives a
 * tree. Both are strict (no comments, no trailing commas, UTF-8 checked) and refuse nesting deeper than
 * NX_JSON_DEPTH_MAX. Values are borrowed from their document and read-only; NULL is a value that is not
 * there, and every function takes it. Numbers that neither 64 bits nor a double hold exactly enough keep
 * their source text.
 *
 * Writing: struct nx_json_writer puts a document together in a buffer, front to back, without spaces. Wrong
 * nesting is our own mistake and asserted; memory and limits are the buffer's: nx_buf_check() at the end.
 *
 * Pure functions; a document or writer has one owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

enum { NX_JSON_DEPTH_MAX = 128 }; /* arrays and objects inside each other */

struct nx_json_doc;
struct nx_json_value;

enum nx_json_kind {
    NX_JSON_ABSENT, /* of NULL */
    NX_JSON_NULL,
    NX_JSON_BOOL,
    NX_JSON_NUMBER,
    NX_JSON_STRING,
    NX_JSON_ARRAY,
    NX_JSON_OBJECT
};

/** True when `text` is one JSON value and nothing else but space. Allocates nothing. */
bool nx_json_is_valid(struct nx_str text);
/** As nx_json_is_valid(), saying why not.
 * Errors: NX_INVALID_ARGUMENT  "line 3, column 14 (byte 57): expected a value"; the byte counts
 *         from 0, for whoever has the text as bytes and not as lines */
NX_MUST_CHECK enum nx_status nx_json_check(struct nx_str text, struct nx_error *err);
/** Parse one JSON value. `memory_max` bounds the bytes allocated (16 times the text is always enough).
 * Ownership: `text` is borrowed for the call; the caller owns `*doc_out`, ended by nx_json_doc_free().
 * Errors:    NX_INVALID_ARGUMENT  not JSON, with line and column; kind too-large: past `memory_max`
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_json_parse(struct nx_str text, size_t memory_max,
                                           struct nx_json_doc **doc_out, struct nx_error *err);
void nx_json_doc_free(struct nx_json_doc *doc); /* NULL allowed */
/** The document's value, borrowed from it. */
const struct nx_json_value *nx_json_root(const struct nx_json_doc *doc);

enum nx_json_kind nx_json_kind(const struct nx_json_value *value);
/** "an object", "a string", …, for messages; static storage. */
const char *nx_json_kind_name(enum nx_json_kind kind);
/** The first member of this name; NULL when there is none or `object` is not an object. */
const struct nx_json_value *nx_json_get(const struct nx_json_value *object, struct nx_str name);
/** Follow member names joined by dots, "user.address.city"; array elements by number, "items.0.id". */
const struct nx_json_value *nx_json_lookup(const struct nx_json_value *value, struct nx_str path);
/** Elements of an array, members of an object; 0 for everything else. */
size_t nx_json_count(const struct nx_json_value *value);

struct nx_json_iterator { /* its fields are its own business */
    const struct nx_json_value *next;
    size_t left;
    bool is_object;
};
/** Walk over the elements of an array or the members of an object; over nothing for everything else. */
struct nx_json_iterator nx_json_iterate(const struct nx_json_value *value);
/** `name_out` is empty for array elements and may be NULL. False at the end. */
bool nx_json_next(struct nx_json_iterator *iterator, struct nx_str *name_out,
                  const struct nx_json_value **value_out);

/** The text of the member `name`, borrowed; empty when there is none or it is no string. */
struct nx_str nx_json_get_str(const struct nx_json_value *object, const char *name);
/** The number of the member `name`; 0 when there is none or it is no such number. */
uint64_t nx_json_get_u64(const struct nx_json_value *object, const char *name);

/* Each false, with `_out` untouched, when the value is not of that kind or does not fit exactly. */
bool nx_json_to_str(const struct nx_json_value *value, struct nx_str *str_out); /* borrowed */
bool nx_json_to_u64(const struct nx_json_value *value, uint64_t *value_out);
bool nx_json_to_i64(const struct nx_json_value *value, int64_t *value_out);
bool nx_json_to_double(const struct nx_json_value *value, double *value_out); /* any number */
bool nx_json_to_bool(const struct nx_json_value *value, bool *value_out);

/** Append the one text that stands for a scalar: strings as they are, numbers shortest ("1.0" and "1" are
 * the same, 1), true, false, null. False, and nothing appended, for arrays, objects and NULL. */
bool nx_json_scalar_text(struct nx_buf *out, const struct nx_json_value *value);

/* Members of an object in source text, without parsing it: for keeping parts of a document as they came. */
struct nx_json_members {
    struct nx_str rest;
    bool failed;
};
/** `object` must have passed nx_json_check() and be an object; else there are no members. */
struct nx_json_members nx_json_members_of(struct nx_str object);
/** `name_raw_out` is the name between its quotes, escapes as they are; `value_raw_out` the value's text. */
bool nx_json_members_next(struct nx_json_members *members, struct nx_str *name_raw_out,
                          struct nx_str *value_raw_out);

/* Elements of an array in source text, in the same way. */
struct nx_json_elements {
    struct nx_str rest;
    bool failed;
};
/** `array` must have passed nx_json_check() and be an array; else it has failed, and has no elements. */
struct nx_json_elements nx_json_elements_of(struct nx_str array);
/** `value_raw_out` is the next element's text. */
bool nx_json_elements_next(struct nx_json_elements *elements, struct nx_str *value_raw_out);

/* A place in a text, for people and for programs. */
struct nx_json_place {
    size_t line;   /* from 1 */
    size_t column; /* characters, from 1 */
    size_t byte;   /* from 0 */
};
struct nx_json_place nx_json_place_of(struct nx_str text, size_t offset);
/** The byte at which nx_json_check() finds `text` wrong; SIZE_MAX where it is right. */
size_t nx_json_bad_at(struct nx_str text);

/** Append what the raw text between a string's quotes stands for. It must have passed nx_json_check():
 * damaged escapes are dropped. */
void nx_json_unescape(struct nx_buf *out, struct nx_str raw);

struct nx_json_writer {
    struct nx_buf *out;
    uint64_t is_object[NX_JSON_DEPTH_MAX / 64]; /* a bit a level */
    unsigned depth;
    bool comma;     /* the next element follows another one */
    bool has_key;   /* a key was written, its value was not */
    bool has_value; /* the root was written */
};

/** Append to `out`, which is borrowed until the end. */
void nx_json_writer_init(struct nx_json_writer *writer, struct nx_buf *out);
/** Asserts that one whole value was written. */
void nx_json_writer_end(const struct nx_json_writer *writer);
void nx_json_object_begin(struct nx_json_writer *writer);
void nx_json_object_end(struct nx_json_writer *writer);
void nx_json_array_begin(struct nx_json_writer *writer);
void nx_json_array_end(struct nx_json_writer *writer);
/** Bytes that are not UTF-8 become U+FFFD, here and in nx_json_string(). */
void nx_json_key(struct nx_json_writer *writer, struct nx_str key);
void nx_json_string(struct nx_json_writer *writer, struct nx_str text);
void nx_json_u64(struct nx_json_writer *writer, uint64_t number);
void nx_json_i64(struct nx_json_writer *writer, int64_t number);
/** The shortest text that reads back as the same number; null for infinities and NaN. */
void nx_json_double(struct nx_json_writer *writer, double number);
void nx_json_bool(struct nx_json_writer *writer, bool boolean);
void nx_json_null(struct nx_json_writer *writer);
/** A value that is JSON already: nx_json_check() is known to accept it. */
void nx_json_raw(struct nx_json_writer *writer, struct nx_str json);
/** A value of a parsed document, and all below it. */
void nx_json_value(struct nx_json_writer *writer, const struct nx_json_value *value);

/** The text that nx_json_double() writes, alone: for other formats. `number` is finite. */
void nx_json_append_double(struct nx_buf *out, double number);

/* Key and value at once. */
void nx_json_member_str(struct nx_json_writer *writer, const char *key, struct nx_str text);
void nx_json_member_c(struct nx_json_writer *writer, const char *key, const char *text);
void nx_json_member_u64(struct nx_json_writer *writer, const char *key, uint64_t number);
void nx_json_member_i64(struct nx_json_writer *writer, const char *key, int64_t number);
void nx_json_member_bool(struct nx_json_writer *writer, const char *key, bool boolean);

NX_DEFINE_AUTO(nx_json_doc, nx_json_doc_free)
