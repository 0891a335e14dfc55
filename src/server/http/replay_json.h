/* src/server/http/replay_json.h: the report of a replay as JSON: what POST /replay answers and what `nexus
 * replay
 * --output json` prints. Pure functions. */
#pragma once

#include "codec/json.h"
#include "platform/function/replay.h"

/** Write the report as one object. */
void nx_http_write_replay(struct nx_json_writer *writer, const struct nx_replay_report *report);
