/* src/server/http/event_json.h: an event with its place in the log as JSON. Pure functions.
 *
 *   {"reference": "EVENTS:17", "stored": "2025-11-26T10:23:45Z", "cause": "EVENTS:9/mailer/0/1", "event":
 * {…}}
 *
 * "cause" is there for what a function published: the event that it handled, its name, the series of attempts
 * and the attempt. */
#pragma once

#include "base/arena.h"
#include "codec/json.h"
#include "fabric/fabric.h"

/** Write a record of EVENTS as one object; one that cannot be read has "error" in place of "event". `arena`
 * is scratch. */
void nx_http_write_event(struct nx_json_writer *writer, const struct nx_record *record,
                         struct nx_arena *arena);
