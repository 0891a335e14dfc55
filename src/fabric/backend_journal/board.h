/* src/fabric/backend_journal/board.h: the few numbers that the journal and the library show each other, and
 * that anybody may look at. Each is written by one actor. */
#pragma once

#include "base/counter.h"
#include "base/error.h"

enum { NX_BOARD_TEXT_WORDS = 32 }; /* of 8 bytes */

struct nx_board {
    /* By the journal: */
    struct nx_counter committed; /* the synced end of the log: segment number << 32 | byte in it */
    struct nx_counter refusal;   /* enum nx_kind: why no append is taken; 0: they are */
    struct nx_counter refusal_text[NX_BOARD_TEXT_WORDS];
    /* By the library: */
    struct nx_counter notices_taken; /* how often it was told that the log has grown */
    struct nx_counter scans_parked;  /* which wait for the log to grow */
    struct nx_counter stored;        /* bytes of runs, with what is being written or about to be */
    struct nx_counter sealed;        /* segments up to this number are gone */
    struct nx_counter budget_full;   /* 1: what may not be dropped fills the disk budget */
    struct nx_counter budget_text[NX_BOARD_TEXT_WORDS];
    struct nx_counter keys_frozen; /* 1: the keys of people cannot be written until a restart */
    struct nx_counter keys_text[NX_BOARD_TEXT_WORDS];
};

/** Write text for others to see; cut where it is too long. */
void nx_board_set_text(struct nx_counter words[NX_BOARD_TEXT_WORDS], const char *text);
/** Read it; a text that is being replaced may come out mixed. */
void nx_board_get_text(const struct nx_counter words[NX_BOARD_TEXT_WORDS],
                       char text_out[NX_BOARD_TEXT_WORDS * 8]);

/** Say what to do about a refusal of this kind. */
void nx_board_hint(enum nx_kind kind, struct nx_error *err);

static inline uint64_t nx_board_position(uint64_t segment, uint64_t end) {
    return segment << 32 | end;
}
