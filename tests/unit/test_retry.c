// SPDX-License-Identifier: Apache-2.0
// Whether another attempt follows, and when.
#include "worker/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct cress_backoff backoff = {.base_ms = 1000, .cap_ms = 60000};

static struct cress_retry decide(enum cress_outcome_kind kind, int attempt, int max_attempts,
                                 int64_t retry_after_ms, uint64_t random)
{
    const struct cress_job job = {.attempt = attempt, .max_attempts = max_attempts};
    const struct cress_outcome outcome = {.kind = kind, .retry_after_ms = retry_after_ms};
    return cress_retry_decide(&job, &outcome, &backoff, random);
}

static void kinds_decide(void **state)
{
    (void)state;
    static const struct {
        enum cress_outcome_kind kind;
        bool again;
    } table[] = {
        {CRESS_OUTCOME_RETRY, true},      {CRESS_OUTCOME_TIMED_OUT, true},
        {CRESS_OUTCOME_CRASHED, true},    {CRESS_OUTCOME_FAILED, false},
        {CRESS_OUTCOME_CANCELLED, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(decide(table[i].kind, 1, 5, 0, 0).again, table[i].again);
    }
}

static void attempts_end(void **state)
{
    (void)state;
    assert_true(decide(CRESS_OUTCOME_RETRY, 4, 5, 0, 0).again);
    assert_false(decide(CRESS_OUTCOME_RETRY, 5, 5, 0, 0).again);
    assert_false(decide(CRESS_OUTCOME_RETRY, 6, 5, 0, 0).again);
    assert_false(decide(CRESS_OUTCOME_RETRY, 1, 1, 0, 0).again);
}

static void delay_is_jittered_within_a_doubling_bound(void **state)
{
    (void)state;
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 1, 9, 0, 0).delay_ms, 0);
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 1, 9, 0, 1000).delay_ms, 1000);
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 1, 9, 0, 1001).delay_ms, 0);
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 3, 9, 0, 4000).delay_ms, 4000);
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 8, 9, 0, 60000).delay_ms, 60000);
}

static void handler_may_ask_for_longer_not_shorter(void **state)
{
    (void)state;
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 1, 9, 90000, 500).delay_ms, 90000);
    assert_int_equal(decide(CRESS_OUTCOME_RETRY, 1, 9, 100, 500).delay_ms, 500);
}

static void job_has_its_own_backoff(void **state)
{
    (void)state;
    static const struct {
        struct cress_job job;
        int64_t delay_ms;
    } table[] = {
        {{.backoff = "fixed"}, 1000},
        {{.backoff = "fixed", .backoff_base_ms = 70000}, 70000},
        {{.backoff = "linear"}, 3000},
        {{.backoff = "linear", .backoff_base_ms = 30000}, 60000},
        {{.backoff = "linear", .backoff_base_ms = 30000, .backoff_cap_ms = 80000}, 80000},
        {{.backoff = "exponential", .backoff_base_ms = 2}, 8},
        {{.backoff_cap_ms = 8}, 8},
    };
    const struct cress_outcome outcome = {.kind = CRESS_OUTCOME_RETRY};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct cress_job job = table[i].job;
        job.attempt = 3;
        job.max_attempts = 9;
        assert_int_equal(cress_retry_decide(&job, &outcome, &backoff, 8).delay_ms,
                         table[i].delay_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_decide),
        cmocka_unit_test(attempts_end),
        cmocka_unit_test(delay_is_jittered_within_a_doubling_bound),
        cmocka_unit_test(handler_may_ask_for_longer_not_shorter),
        cmocka_unit_test(job_has_its_own_backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
