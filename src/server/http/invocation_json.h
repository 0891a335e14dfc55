/* src/server/http/invocation_json.h: an invocation record and a dead letter as JSON. Pure functions. */
#pragma once

#include "base/arena.h"
#include "codec/invocation.h"
#include "codec/json.h"
#include "fabric/fabric.h"

/** Write the record as one object: in full, with output, log lines, effects and what the tape holds, or its
 * head alone. A record that cannot be read becomes an object with "error". `arena` is scratch. */
void nx_http_write_invocation(struct nx_json_writer *writer, const struct nx_record *record, bool in_full,
                              struct nx_arena *arena);
/** Write a record of DLQ as one object. `put_back_until` is its function's (nx_functions_put_back_until());
 * 0: not known. */
void nx_http_write_dead_letter(struct nx_json_writer *writer, const struct nx_record *record,
                               uint64_t put_back_until);
/** Whose dead letter it is; borrowed. */
struct nx_str nx_http_dead_letter_function(const struct nx_record *record);
/** Write a function's log lines as the member "log_lines". */
void nx_http_write_log_lines(struct nx_json_writer *writer, const struct nx_invocation_log_line *lines,
                             size_t count);
/** Write bytes as a member `name` where they are UTF-8, else as `name`_base64. */
void nx_http_member_bytes(struct nx_json_writer *writer, const char *name, struct nx_str bytes);
