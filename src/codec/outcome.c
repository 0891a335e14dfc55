#include "codec/outcome.h"

#include "base/assert.h"
#include "codec/word.h"

enum { SHOWN_MAX = 64 }; /* bytes of foreign text in a message */

static const char *const names[] = {
#define OUTCOME_NAME(outcome, name) [outcome] = (name),
    NX_OUTCOME_TABLE(OUTCOME_NAME)
#undef OUTCOME_NAME
};

const char *nx_outcome_name(enum nx_outcome outcome) {
    nx_assert(outcome < NX_OUTCOME_COUNT);
    return names[outcome];
}

bool nx_outcome_parse(struct nx_str name, enum nx_outcome *outcome_out) {
    for (unsigned i = 0; i < NX_OUTCOME_COUNT; i++) {
        if (nx_str_is(name, names[i])) {
            *outcome_out = (enum nx_outcome)i;
            return true;
        }
    }
    return false;
}

enum nx_status nx_outcome_read(struct nx_str name, enum nx_outcome *outcome_out, struct nx_error *err) {
    if (nx_outcome_parse(name, outcome_out)) {
        return NX_OK;
    }
    const char *nearest = nx_word_nearest(name, names, NX_OUTCOME_COUNT);
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'outcome': there is no outcome '%.*s'",
                  NX_STR_ARG(nx_str_slice(name, 0, SHOWN_MAX)));
    if (nearest != NULL) {
        nx_hint(err, "did you mean '%s'?", nearest);
    } else {
        nx_hint(err, "calls end as ok, exit, trap, deadline, memory-limit and others: nexus events --help");
    }
    return NX_INVALID_ARGUMENT;
}
