// SPDX-License-Identifier: Apache-2.0
// The states of a job as code: both tables, expanded.
#include "common/job/state.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct state {
    const char *word;
    bool terminal;
};

static const struct state states[CRESS_STATE_COUNT] = {
#define CRESS_STATE(name, word, terminal, meaning) [CRESS_STATE_##name] = {word, terminal},
#include "common/job/states.def"
#undef CRESS_STATE
};

static const bool transitions[CRESS_STATE_COUNT][CRESS_STATE_COUNT] = {
#define CRESS_TRANSITION(from, to, when) [CRESS_STATE_##from][CRESS_STATE_##to] = true,
#include "common/job/transitions.def"
#undef CRESS_TRANSITION
};

const char *cress_state_word(enum cress_state state)
{
    assert(state < CRESS_STATE_COUNT);
    return states[state].word;
}

bool cress_state_parse(const char *word, enum cress_state *state)
{
    for (size_t i = 0; i < CRESS_STATE_COUNT; i++) {
        if (strcmp(states[i].word, word) == 0) {
            *state = (enum cress_state)i;
            return true;
        }
    }
    return false;
}

bool cress_state_is_terminal(enum cress_state state)
{
    assert(state < CRESS_STATE_COUNT);
    return states[state].terminal;
}

bool cress_state_may_become(enum cress_state from, enum cress_state to)
{
    assert(from < CRESS_STATE_COUNT && to < CRESS_STATE_COUNT);
    return transitions[from][to];
}
