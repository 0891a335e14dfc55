/* src/app/calls.h: what a recorded call asked of the world and did to it, for people and for --set.
 *
 * Both are filled in by a replay that is looked at (struct nx_replay_observer): a tape knows what was
 * answered, but which key that was, and what an effect held, only the code says. */
#pragma once

#include <stdbool.h>

#include "app/args.h"
#include "base/buf.h"
#include "codec/json.h"
#include "platform/function/replay.h"

/** Read "call[2].result=VALUE". Ownership: the result is borrowed from `text`. Errors: wrong use */
NX_MUST_CHECK enum nx_status nx_calls_parse_change(struct nx_args *args, const char *text,
                                                   struct nx_tape_change *change_out, struct nx_error *err);

/* The questions of each call that is seen, by their numbers. */
struct nx_calls_list {
    struct nx_buf out;
    struct nx_json_writer json;
    bool is_json;
    size_t count; /* calls seen */
};

/** Ownership: the caller ends it by nx_calls_list_fini(). */
void nx_calls_list_init(struct nx_calls_list *list, bool is_json);
void nx_calls_list_fini(struct nx_calls_list *list);
/** Of an exact replay: `list` sees it. */
struct nx_replay_observer nx_calls_list_observer(struct nx_calls_list *list);
/** Complete the text in `list->out`. */
void nx_calls_list_end(struct nx_calls_list *list);

/** Lines "[REPLAY] f would publish …" of what the call that is seen would do; `out` is a struct nx_buf. */
struct nx_replay_observer nx_calls_effects_observer(struct nx_buf *out);
/** Foreign bytes for a terminal, at most `max` of them: no control character gets through. */
void nx_calls_append_shown(struct nx_buf *out, struct nx_str text, size_t max);

NX_DEFINE_AUTO_IN_PLACE(nx_calls_list, nx_calls_list_fini)
