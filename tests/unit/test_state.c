// SPDX-License-Identifier: Apache-2.0
// Tests of common/job/state.h.
#include "common/job/state.h"
#include "tests/unit/unit.h"

static void test_words_round_trip(void **unused)
{
    (void)unused;
    static const char *const words[] = {"waiting", "scheduled", "queued",
                                        "running", "retrying",  "succeeded",
                                        "failed",  "cancelled", "expired"};
    assert_int_equal(CRESS_STATE_COUNT, sizeof words / sizeof *words);
    for (size_t i = 0; i < CRESS_STATE_COUNT; i++) {
        enum cress_state state = CRESS_STATE_COUNT;
        assert_true(cress_state_parse(words[i], &state));
        assert_string_equal(cress_state_word(state), words[i]);
        assert_int_equal(state, i);
    }
}

static void test_other_words_name_no_state(void **unused)
{
    (void)unused;
    static const char *const words[] = {"", "Queued", "queue", "queued ", "done"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        enum cress_state state = CRESS_STATE_RUNNING;
        assert_false(cress_state_parse(words[i], &state));
        assert_int_equal(state, CRESS_STATE_RUNNING);
    }
}

static void test_nothing_leaves_a_terminal_state_but_an_explicit_retry(void **unused)
{
    (void)unused;
    for (enum cress_state from = 0; from < CRESS_STATE_COUNT; from++) {
        bool leaves = false;
        for (enum cress_state to = 0; to < CRESS_STATE_COUNT; to++) {
            const bool retry = from == CRESS_STATE_FAILED && to == CRESS_STATE_QUEUED;
            const bool may = cress_state_may_become(from, to);
            leaves = leaves || may;
            if (cress_state_is_terminal(from)) {
                assert_int_equal(may, retry);
            }
        }
        assert_true(leaves || cress_state_is_terminal(from));
    }
}

static void test_transitions(void **unused)
{
    (void)unused;
    static const struct {
        enum cress_state from, to;
        bool may;
    } cases[] = {
        {CRESS_STATE_WAITING, CRESS_STATE_QUEUED, true},
        {CRESS_STATE_WAITING, CRESS_STATE_RUNNING, false},
        {CRESS_STATE_SCHEDULED, CRESS_STATE_QUEUED, true},
        {CRESS_STATE_QUEUED, CRESS_STATE_RUNNING, true},
        {CRESS_STATE_QUEUED, CRESS_STATE_SUCCEEDED, false},
        {CRESS_STATE_QUEUED, CRESS_STATE_RETRYING, false},
        {CRESS_STATE_RUNNING, CRESS_STATE_RUNNING, true},
        {CRESS_STATE_RUNNING, CRESS_STATE_QUEUED, true},
        {CRESS_STATE_RUNNING, CRESS_STATE_SUCCEEDED, true},
        {CRESS_STATE_RUNNING, CRESS_STATE_EXPIRED, false},
        {CRESS_STATE_RUNNING, CRESS_STATE_SCHEDULED, false},
        {CRESS_STATE_RETRYING, CRESS_STATE_EXPIRED, true},
        {CRESS_STATE_RETRYING, CRESS_STATE_SUCCEEDED, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cress_state_may_become(cases[i].from, cases[i].to), cases[i].may);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_round_trip),
        cmocka_unit_test(test_other_words_name_no_state),
        cmocka_unit_test(test_nothing_leaves_a_terminal_state_but_an_explicit_retry),
        cmocka_unit_test(test_transitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
