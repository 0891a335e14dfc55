/* src/platform/function/trigger.h: what fires a function, for people and as JSON. */
#pragma once

#include "base/buf.h"
#include "codec/json.h"
#include "platform/function/function.h"

/** Append "POST /orders", "events of type order.paid" or "messages to orders.* (queue crew)". */
void nx_trigger_describe(struct nx_buf *out, const struct nx_trigger *trigger);
/** Write the member "on": all triggers of the function. */
void nx_triggers_write(struct nx_json_writer *writer, const struct nx_function *function);
