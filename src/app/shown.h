/* src/app/shown.h: parts of JSON taken over into other JSON, or shown to a person. Pure functions. */
#pragma once

#include "base/buf.h"
#include "codec/json.h"

/** Copy the members of these names, those that are there, into the object being written; NULL ends the names.
 */
void nx_shown_copy_members(struct nx_json_writer *json, const struct nx_json_value *object, ...)
    __attribute__((sentinel));
/** Append foreign text for a terminal: no control character gets through. */
void nx_shown_text(struct nx_buf *out, struct nx_str text);
/** Append `before` and the member's text; nothing when there is none. */
void nx_shown_member(struct nx_buf *out, const char *before, const struct nx_json_value *object,
                     const char *name);
