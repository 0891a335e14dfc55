#include "codec/outcome.h"

#include "base/assert.h"

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
