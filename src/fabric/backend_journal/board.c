#include "fabric/backend_journal/board.h"

#include <string.h>

void nx_board_set_text(struct nx_counter words[NX_BOARD_TEXT_WORDS], const char *text) {
    uint64_t copy[NX_BOARD_TEXT_WORDS] = { 0 };
    const size_t len = strlen(text);
    memcpy(copy, text, len < sizeof copy - 1 ? len : sizeof copy - 1);
    for (size_t i = 0; i < NX_BOARD_TEXT_WORDS; i++) {
        nx_counter_set(&words[i], copy[i]);
    }
}

void nx_board_get_text(const struct nx_counter words[NX_BOARD_TEXT_WORDS],
                       char text_out[NX_BOARD_TEXT_WORDS * 8]) {
    for (size_t i = 0; i < NX_BOARD_TEXT_WORDS; i++) {
        const uint64_t word = nx_counter_get(&words[i]);
        memcpy(text_out + i * 8, &word, sizeof word);
    }
    text_out[NX_BOARD_TEXT_WORDS * 8 - 1] = '\0';
}

void nx_board_hint(enum nx_kind kind, struct nx_error *err) {
    switch (kind) {
    case NX_KIND_DISK_FULL:
        nx_hint(err, "free some space on the disk of the data directory: events are then taken again");
        break;
    case NX_KIND_BUDGET_FULL:
        nx_hint(err, "mend the function that the message names or let it catch up, or raise disk_budget and "
                     "start again");
        break;
    case NX_KIND_OVERLOADED:
        nx_hint(err, "try again in a moment: nothing is lost, and it passes by itself");
        break;
    case NX_KIND_LOG_FROZEN:
        nx_hint(err, "look at the disk, then start again: what was acknowledged is recovered");
        break;
    default:
        break;
    }
}
