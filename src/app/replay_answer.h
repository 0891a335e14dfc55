/* src/app/replay_answer.h: the server's answer to POST /replay, read back into the report it was made of.
 *
 * So that a replay looks the same whether the server or the command itself ran it. */
#pragma once

#include "app/client.h"
#include "base/error.h"
#include "platform/function/replay.h"

/** Ask the server to replay, and read its report. `progress`, if not NULL, is called a few times a second
 * with how far a range is. Ownership: `report` is initialised and stays the caller's. Errors: as
 * nx_client_request(); NX_DATA_LOSS when the answer is no report */
NX_MUST_CHECK enum nx_status nx_replay_ask(const struct nx_client *client,
                                           const struct nx_replay_question *question,
                                           void (*progress)(const struct nx_replay_progress *progress),
                                           struct nx_replay_report *report, struct nx_error *err);
/** Read a report: for the test. */
NX_MUST_CHECK enum nx_status nx_replay_parse(struct nx_str json, struct nx_replay_report *report,
                                             struct nx_error *err);
