// SPDX-License-Identifier: Apache-2.0
// The states of a job and the transitions between them. Tables: states.def, transitions.def. Pure
// functions.
#ifndef CRESS_JOB_STATE_H
#define CRESS_JOB_STATE_H

#include <stdbool.h>

enum cress_state {
#define CRESS_STATE(name, word, terminal, meaning) CRESS_STATE_##name,
#include "common/job/states.def"
#undef CRESS_STATE
    CRESS_STATE_COUNT
};

const char *cress_state_word(enum cress_state state);

/* False when `word` names no state. */
bool cress_state_parse(const char *word, enum cress_state *state);

/* Succeeded, failed, cancelled, expired: nothing more will happen by itself. */
bool cress_state_is_terminal(enum cress_state state);

bool cress_state_may_become(enum cress_state from, enum cress_state to);

#endif
