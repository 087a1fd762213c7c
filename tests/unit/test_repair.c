// SPDX-License-Identifier: Apache-2.0
// What `cress doctor --fix` takes for wrong, as a table.
#include "common/base/mem.h"
#include "producer/cli/repair.h"
#include "tests/unit/unit.h"

enum { NOW = 100000000, MINUTE = 60000, OLD = NOW - 10 * MINUTE };

static const struct {
    struct cress_record record;
    int64_t messages, started_ms;
    bool alive, no_delays;
    enum cress_repair_kind kind;
    int64_t unresolved;
} judgements[] = {
    /* an empty queue has lost what waits in it, but for what was published just now */
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD}, 0, 0, 0, 0, CRESS_REPAIR_QUEUED, 0},
    {{.state = CRESS_STATE_QUEUED, .created_ms = NOW - MINUTE}, 0, 0, 0, 0, CRESS_REPAIR_NONE, 0},
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD, .run_at_ms = NOW - 1},
     0,
     0,
     0,
     0,
     CRESS_REPAIR_NONE,
     0},
    {{.state = CRESS_STATE_SCHEDULED, .created_ms = 1, .run_at_ms = OLD},
     0,
     0,
     0,
     0,
     CRESS_REPAIR_DUE,
     0},
    /* one that waits for a limit has its message in a delay queue, if there is any in them */
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD, .blocked = "{}"},
     0,
     0,
     0,
     0,
     CRESS_REPAIR_NONE,
     0},
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD, .blocked = "{}"},
     0,
     0,
     0,
     1,
     CRESS_REPAIR_QUEUED,
     0},
    {{.state = CRESS_STATE_RETRYING, .created_ms = 1, .run_at_ms = OLD},
     0,
     0,
     0,
     0,
     CRESS_REPAIR_DUE,
     0},
    /* a full one may hold it, unless later ones have been started */
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD}, 1, 0, 0, 0, CRESS_REPAIR_NONE, 1},
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD}, 1, OLD + MINUTE, 0, 0, CRESS_REPAIR_NONE, 1},
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD},
     1,
     OLD + MINUTE + 1,
     0,
     0,
     CRESS_REPAIR_QUEUED,
     0},
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD, .priority = "high"},
     1,
     NOW,
     0,
     0,
     CRESS_REPAIR_NONE,
     1},
    {{.state = CRESS_STATE_QUEUED, .created_ms = OLD}, -1, NOW, 0, 0, CRESS_REPAIR_NONE, 0},
    /* not due: only when no delay queue holds anything */
    {{.state = CRESS_STATE_SCHEDULED, .run_at_ms = NOW + 2 * MINUTE},
     0,
     0,
     0,
     1,
     CRESS_REPAIR_DELAYED,
     0},
    {{.state = CRESS_STATE_RETRYING, .run_at_ms = NOW + 2 * MINUTE},
     0,
     0,
     0,
     0,
     CRESS_REPAIR_NONE,
     0},
    {{.state = CRESS_STATE_SCHEDULED, .run_at_ms = NOW + 1}, 0, 0, 0, 1, CRESS_REPAIR_NONE, 0},
    {{.state = CRESS_STATE_WAITING, .created_ms = OLD}, 0, 0, 0, 1, CRESS_REPAIR_NONE, 0},
    /* running at a worker that is gone */
    {{.state = CRESS_STATE_RUNNING, .started_ms = OLD}, 5, 0, 0, 0, CRESS_REPAIR_RUNNING, 0},
    {{.state = CRESS_STATE_RUNNING, .started_ms = OLD}, 0, 0, 1, 0, CRESS_REPAIR_NONE, 0},
    {{.state = CRESS_STATE_RUNNING, .started_ms = NOW - MINUTE}, 0, 0, 0, 0, CRESS_REPAIR_NONE, 0},
    {{.state = CRESS_STATE_FAILED, .created_ms = OLD}, 0, NOW, 0, 1, CRESS_REPAIR_NONE, 0},
};

static void test_judging(void **state)
{
    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(judgements); i++) {
        struct cress_repair_queue queue = {.messages = judgements[i].messages,
                                           .started_ms[CRESS_PRIORITY_NORMAL] =
                                               judgements[i].started_ms};
        assert_int_equal(cress_repair_judge(&judgements[i].record, &queue, judgements[i].alive,
                                            judgements[i].no_delays, NOW),
                         judgements[i].kind);
        assert_int_equal(queue.unresolved, judgements[i].unresolved);
    }
    assert_int_equal(cress_repair_judge(&judgements[0].record, NULL, false, false, NOW),
                     CRESS_REPAIR_NONE);
}

static void test_learning(void **state)
{
    (void)state;
    static const struct {
        struct cress_record record;
        int64_t started_ms;
    } cases[] = {
        {{.created_ms = 5}, 0},
        {{.created_ms = 5, .started_ms = 7}, 5},
        {{.created_ms = 5, .run_at_ms = 6, .started_ms = 7}, 6},
        {{.created_ms = 5, .run_at_ms = 8, .started_ms = 7}, 0},
        {{.created_ms = 5, .started_ms = 7, .priority = "low"}, 0},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_repair_queue queue = {0};
        cress_repair_learn(&queue, &cases[i].record);
        assert_int_equal(queue.started_ms[CRESS_PRIORITY_NORMAL], cases[i].started_ms);
    }
}

static void test_follow_ups(void **state)
{
    (void)state;
    const struct cress_record runs = {.state = CRESS_STATE_RUNNING};
    const struct cress_record ended = {.state = CRESS_STATE_FAILED, .finished_ms = OLD};
    const struct cress_record ends = {.state = CRESS_STATE_FAILED, .finished_ms = NOW - MINUTE};
    assert_true(cress_repair_is_overdue(NULL, NOW));
    assert_true(cress_repair_is_overdue(&ended, NOW));
    assert_false(cress_repair_is_overdue(&ends, NOW));
    assert_false(cress_repair_is_overdue(&runs, NOW));
}

static void test_descriptions(void **state)
{
    (void)state;
    struct cress_buf text = cress_buf_make(1024);
    cress_repair_describe(CRESS_REPAIR_QUEUED, &(struct cress_repair_finding){0}, false, &text);
    assert_string_equal(cress_buf_text(&text), "nothing wrong");
    cress_buf_clear(&text);
    const struct cress_repair_finding finding = {
        .found = 3, .fixed = 2, .examples = "a, b, c", .why = "c: no such queue"};
    cress_repair_describe(CRESS_REPAIR_QUEUED, &finding, true, &text);
    assert_string_equal(cress_buf_text(&text),
                        "3 jobs are queued, and their messages are gone; 2 would be sent again: a, "
                        "b, c; not repaired: c: no such queue");
    cress_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judging),
        cmocka_unit_test(test_learning),
        cmocka_unit_test(test_follow_ups),
        cmocka_unit_test(test_descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
