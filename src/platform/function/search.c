/* src/platform/function/search.c: a function's position that is lost is found again.
 *
 * A record of CONSUMERS can be damaged, gone, or, where only the newest one is, be answered by an older one.
 * Dispatch's checkpoint names the generation of each position that it counts on, so this is seen; an older
 * position with facts that begin later would handle again what was done in between.
 *
 *   how far back INVOCATIONS go -> what the function did since -> [the first event since then] -> its place
 *
 * What INVOCATIONS still hold decides each event that came since its oldest record, handled or not. Of older
 * events it holds only what was not ended then; the others count as handled, since functions go in order: an
 * event runs twice only if somebody wants it to. That is said in the log, with the place. */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "platform/function/dispatch_internal.h"

enum { FACTS_PER_READ = 4096 };

bool nx_dispatch_is_position_lost(const struct nx_dispatch *dispatch, const struct nx_consumer *consumer) {
    struct nx_reader reader = nx_reader_of(nx_buf_str(&dispatch->expected));
    struct nx_str name;
    uint64_t generation;
    if (consumer->position_found == NX_POSITION_DAMAGED) {
        return true;
    }
    while (nx_checkpoint_generation(&reader, &name, &generation)) {
        if (nx_str_is(name, consumer->name)) {
            return consumer->generation < generation;
        }
    }
    return false;
}

static void ask(struct nx_dispatch *dispatch, struct nx_consumer *consumer, struct nx_read *read,
                enum nx_dispatch_purpose purpose) {
    const struct nx_asked asked = { .purpose = purpose, .consumer = consumer };
    if (read == NULL || !nx_dispatch_ask(dispatch, read, &asked)) {
        nx_dispatch_ask_later(dispatch, consumer, purpose);
    }
}

static void ask_info(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_INFO, &read, NULL) == NX_OK) {
        nx_dispatch_name_records(read, NX_STR("INVOCATIONS"), NX_STR_EMPTY);
    }
    ask(dispatch, consumer, read, NX_FOR_LOST_INFO);
}

static void ask_facts(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_read *read = NULL;
    char subject[sizeof "invocations." + NX_FUNCTION_NAME_SIZE_MAX];
    (void)snprintf(subject, sizeof subject, "invocations.%s", consumer->name);
    if (nx_read_new(NX_READ_SCAN, &read, NULL) == NX_OK) {
        nx_dispatch_name_records(read, NX_STR("INVOCATIONS"), nx_str_from_c(subject));
        read->from_sequence = consumer->lost_next;
        read->count_max = FACTS_PER_READ;
    }
    ask(dispatch, consumer, read, NX_FOR_LOST_FACTS);
}

static void ask_event(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_SCAN, &read, NULL) == NX_OK) {
        nx_dispatch_name_records(read, NX_STR("EVENTS"), NX_STR_EMPTY);
        read->from_time_ns = consumer->kept_from_ns;
        read->count_max = 1;
    }
    ask(dispatch, consumer, read, NX_FOR_LOST_EVENT);
}

void nx_dispatch_search(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    consumer->phase = NX_CONSUMER_SEARCHING;
    consumer->attached = false;
    consumer->lost_next = 1;
    ask_info(dispatch, consumer);
}

void nx_dispatch_search_again(struct nx_dispatch *dispatch, struct nx_consumer *consumer, unsigned purposes) {
    if ((purposes & 1u << NX_FOR_LOST_INFO) != 0) {
        ask_info(dispatch, consumer);
    }
    if ((purposes & 1u << NX_FOR_LOST_FACTS) != 0) {
        ask_facts(dispatch, consumer);
    }
    if ((purposes & 1u << NX_FOR_LOST_EVENT) != 0) {
        ask_event(dispatch, consumer);
    }
}

/* The place is found; what INVOCATIONS said since is applied when the consumer begins. */
static void end_search(struct nx_dispatch *dispatch, struct nx_consumer *consumer, bool is_exact) {
    char event[32];
    (void)snprintf(event, sizeof event, "EVENTS:%" PRIu64, consumer->cursor);
    nx_log_error(dispatch->options.log,
                 is_exact ? "a function's position was lost: every event was found handled or not"
                          : "a function's position was lost: events before its place that were not under way "
                            "count as handled",
                 NX_F_C("function", consumer->name), NX_F_C("goes_on_at", event),
                 NX_F_U64("under_way", consumer->pending.count));
    /* Whatever it had been, it is written anew, above the generation that was counted on. */
    struct nx_reader reader = nx_reader_of(nx_buf_str(&dispatch->expected));
    struct nx_str name;
    uint64_t generation;
    while (nx_checkpoint_generation(&reader, &name, &generation)) {
        if (nx_str_is(name, consumer->name) && generation > consumer->generation) {
            consumer->generation = generation;
        }
    }
    consumer->listed = consumer->generation;
    consumer->changed = true;
    consumer->position_found = NX_POSITION_READ;
    dispatch->checkpoint_changed = true;
    nx_dispatch_positioned(dispatch, consumer);
}

static void place(struct nx_dispatch *dispatch, struct nx_consumer *consumer, uint64_t horizon) {
    if (nx_consumer_place(consumer, horizon, NULL) != NX_OK) {
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_LOST_EVENT);
        return;
    }
    end_search(dispatch, consumer, horizon == 1);
}

static void take_info(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                      const struct nx_read *read) {
    const struct nx_stream_info *info = read->info_count > 0 ? &read->infos[0] : NULL;
    consumer->are_all_kept = info == NULL || info->last_sequence == 0 || info->first_sequence == 1;
    if (!consumer->are_all_kept) {
        consumer->kept_from_ns = info->first_sequence == 0 ? info->last_time_ns + 1 : info->first_time_ns;
    }
    ask_facts(dispatch, consumer);
}

static void take_facts(struct nx_dispatch *dispatch, struct nx_consumer *consumer, struct nx_read *read) {
    bool is_kept = true;
    for (size_t i = 0; i < read->record_count && is_kept; i++) {
        is_kept = nx_dispatch_keep_fact(dispatch, &read->records[i]);
    }
    if (!is_kept) {
        nx_consumer_forget_facts(consumer);
        consumer->lost_next = 1;
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_LOST_FACTS);
        return;
    }
    const bool is_done =
        read->status == NX_NOT_FOUND || read->at_end || read->next_sequence <= consumer->lost_next;
    consumer->lost_next = read->next_sequence;
    if (!is_done) {
        ask_facts(dispatch, consumer);
    } else if (!consumer->are_all_kept && consumer->position_found == NX_POSITION_READ &&
               consumer->position_time_ns >= consumer->kept_from_ns) {
        end_search(dispatch, consumer, true); /* an older position, and all that was done since */
    } else if (!consumer->are_all_kept) {
        ask_event(dispatch, consumer);
    } else {
        place(dispatch, consumer, 1);
    }
}

void nx_dispatch_take_search(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                             struct nx_read *read) {
    struct nx_consumer *consumer = asked->consumer;
    if (read->status != NX_OK && read->status != NX_NOT_FOUND && read->status != NX_DATA_LOSS) {
        nx_dispatch_note_failure(dispatch, read, "cannot read what a function did: it is tried again");
        nx_dispatch_ask_later(dispatch, consumer, asked->purpose);
        return;
    }
    switch (asked->purpose) {
    case NX_FOR_LOST_INFO:
        take_info(dispatch, consumer, read);
        break;
    case NX_FOR_LOST_FACTS:
        take_facts(dispatch, consumer, read);
        break;
    default:
        place(dispatch, consumer,
              consumer->are_all_kept                  ? 1
              : read->record_count > 0                ? read->records[0].sequence
              : dispatch->head > dispatch->events_end ? dispatch->head
                                                      : dispatch->events_end);
        break;
    }
}
