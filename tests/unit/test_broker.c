// SPDX-License-Identifier: Apache-2.0
// The broker's parts that need no server: the window of tags and the deadlines.
#include "common/broker/deadline.h"
#include "common/broker/failure.h"
#include "common/broker/window.h"
#include "tests/unit/unit.h"

static void test_window_keeps_what_is_open(void **state)
{
    (void)state;
    struct cress_window window = {0};
    cress_window_reset(&window);
    int values[1000];
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(cress_window_push(&window, &values[i]), i + 1);
    }
    assert_ptr_equal(*cress_window_at(&window, 777), &values[776]);
    assert_null(cress_window_at(&window, 0));
    assert_null(cress_window_at(&window, 1001));

    *cress_window_at(&window, 2) = NULL;
    cress_window_trim(&window);
    assert_int_equal(window.low, 1);
    *cress_window_at(&window, 1) = NULL;
    cress_window_trim(&window);
    assert_int_equal(window.low, 3);
    assert_null(cress_window_at(&window, 2));
    cress_window_free(&window);
}

/* The ring grows while its content is not at its start. */
static void test_window_wraps(void **state)
{
    (void)state;
    struct cress_window window = {0};
    cress_window_reset(&window);
    int values[700];
    for (int round = 0; round < 5; round++) {
        const uint64_t first = window.next;
        for (uint64_t i = 0; i < 140; i++) {
            cress_window_push(&window, &values[i + (uint64_t)round * 140]);
        }
        for (uint64_t tag = first; tag < first + 100 && round < 2; tag++) {
            *cress_window_at(&window, tag) = NULL;
        }
        cress_window_trim(&window);
    }
    assert_int_equal(window.low, 101);
    for (uint64_t tag = 241; tag < window.next; tag++) {
        assert_ptr_equal(*cress_window_at(&window, tag), &values[tag - 1]);
    }
    cress_window_free(&window);
}

static void test_a_refusal_for_size_names_the_limit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum cress_status status;
        const char *code;
        uint64_t limit;
    } cases[] = {
        {"PRECONDITION_FAILED - message size 200000 is larger than configured max size 100000",
         CRESS_TOO_LARGE, "too_large_for_broker", 100000},
        {"PRECONDITION_FAILED - message size 134217729 is larger than max size 134217728",
         CRESS_TOO_LARGE, "too_large_for_broker", 134217728},
        {"PRECONDITION_FAILED - inequivalent arg 'max size ' for queue 'q'", CRESS_CONFLICT,
         "precondition_failed", 0},
        {"PRECONDITION_FAILED - delivery acknowledgement on channel 2 timed out", CRESS_UNAVAILABLE,
         "consumer_timeout", 0},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_error err;
        const amqp_bytes_t text = amqp_cstring_bytes(cases[i].text);
        assert_int_equal(cress_failure_by_code(AMQP_PRECONDITION_FAILED, text, &err),
                         cases[i].status);
        assert_string_equal(err.code, cases[i].code);
        assert_int_equal(cress_failure_size_limit(text), cases[i].limit);
    }
}

struct item {
    struct cress_deadline deadline;
};

static size_t pass(struct cress_deadlines *deadlines, int64_t now_ms, struct cress_list *due)
{
    cress_list_init(due);
    cress_deadlines_pass(deadlines, now_ms, due);
    size_t count = 0;
    for (struct cress_list *n = due->next; n != due; n = n->next) {
        count++;
    }
    return count;
}

static void test_deadlines_are_kept(void **state)
{
    (void)state;
    struct cress_deadlines deadlines;
    struct cress_list due;
    cress_deadlines_init(&deadlines, 100000);
    struct item soon, past, far, never, removed;
    cress_deadlines_add(&deadlines, &soon.deadline, 100500);
    cress_deadlines_add(&deadlines, &past.deadline, 99000);
    cress_deadlines_add(&deadlines, &far.deadline, 100500 + 2 * 5120);
    cress_deadlines_add(&deadlines, &never.deadline, 0);
    cress_deadlines_add(&deadlines, &removed.deadline, 100500);
    cress_list_remove(&removed.deadline.node);

    assert_int_equal(pass(&deadlines, 100025, &due), 1);
    assert_ptr_equal(due.next, &past.deadline.node);
    assert_int_equal(pass(&deadlines, 100499, &due), 0);
    assert_int_equal(pass(&deadlines, 100500 + CRESS_DEADLINE_TICK_MS, &due), 1);
    assert_ptr_equal(due.next, &soon.deadline.node);
    assert_int_equal(pass(&deadlines, 110000, &due), 0);
    assert_int_equal(pass(&deadlines, 200000, &due), 1);
    assert_ptr_equal(due.next, &far.deadline.node);

    cress_list_init(&due);
    cress_deadlines_clear(&deadlines, &due);
    assert_ptr_equal(due.next, &never.deadline.node);
    assert_ptr_equal(due.prev, &never.deadline.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_keeps_what_is_open),
        cmocka_unit_test(test_window_wraps),
        cmocka_unit_test(test_a_refusal_for_size_names_the_limit),
        cmocka_unit_test(test_deadlines_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
