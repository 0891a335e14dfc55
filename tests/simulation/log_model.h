/* tests/simulation/log_model.h: what the oracle of log_sim.c knows of appends and erasures. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ENTRIES_MAX = 4 }; /* of an append */

enum outcome { UNKNOWN, WRITTEN, REFUSED };

struct model_entry {
    int stream;
    int subject; /* number */
    int key;     /* 0: none */
    int person;  /* 0: about nobody */
    bool is_deletion;
    bool was_withheld; /* once: for ever */
    uint64_t open_at;  /* tick: it was read then, so no earlier erasure has met it */
    bool duplicate;
    bool may_have_been; /* it was never answered, and if it was written, newer ones took its place */
    uint64_t sequence;  /* 0: not known */
    int64_t time_ns;
    int seen; /* how often the last reading found it */
};

struct model_append {
    enum outcome outcome;
    int life;
    uint64_t sent; /* in the order of what the client did and was told */
    uint64_t answered;
    int entry_count;
    struct model_entry entries[ENTRIES_MAX];
    bool has_condition; /* on the first entry's subject */
    uint64_t condition;
};

/* Not known: it was never answered, or the disk refused. */
enum erasing { ERASING_UNKNOWN, ERASING_DONE, ERASING_NOBODY };

struct model_erasure {
    int person;
    enum erasing state;
    uint64_t sent;
    uint64_t answered; /* 0: not yet */
};
