/* tests/simulation/dispatch_model.h: the functions of dispatch_sim.c, and what its oracle knows of events. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    FUNCTIONS = 8,
    FLAKY = 1, /* the one with an order key */
    BROKEN = 4,
    SLEEPER = 5,
    ECHO = 6,
    LIVES = 5,
    EVENTS_PER_LIFE = 25,
    EVENTS_MAX = 4096, /* published ones and those that functions publish */
    OPEN_MAX = 6,
    KEYS = 4,
    WORKERS = 2,
    ATTEMPTS_MAX = 8,
};

struct model_function {
    const char *name;
    const char *script;
    const char *type;
    const char *order_key;
    uint32_t attempts_max;
    uint32_t concurrency_max;
};

static const struct model_function models[FUNCTIONS] = {
    { "tally", "tally", "hello", "", 3, 8 },   { "flaky", "flaky", "hello", "data.k", 3, 4 },
    { "counter", "count", "hello", "", 3, 8 }, { "maker", "publish", "hello", "", 3, 3 },
    { "broken", "fail", "hello", "", 2, 8 },   { "sleeper", "sleep", "hello", "", 3, 0 },
    { "echo", "echo", "made", "", 3, 8 },      { "archive", "large", "hello", "", 3, 4 },
};

/* What the records say of one event and one function. */
struct story {
    uint32_t attempts;
    uint64_t first;     /* INVOCATIONS sequence of the first attempt */
    uint64_t end;       /* of the one that ended the series; 0: not ended */
    uint64_t first_end; /* of the first series */
    uint32_t series;    /* put back so often */
    uint32_t deaths;    /* series that ended in the dead letters */
    uint32_t letters;
    bool succeeded;
};

struct event {
    bool is_there;
    bool is_made; /* by the maker */
    unsigned key;
    char id[64];
};
