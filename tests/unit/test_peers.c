// SPDX-License-Identifier: Apache-2.0
// Tests of worker/peers.h. What other workers report.
#include "tests/unit/attempt_rig.h"

static void asked_cb(struct cress_worker *worker, const struct cress_error *err)
{
    (void)worker;
    assert_null(err);
}

static bool have_place(const char *report)
{
    rig.peer = report;
    rig.worker.peers.read_ms = 0;
    cress_peers_ask(&rig.worker, asked_cb);
    settle_down();
    return cress_peers_have_place(&rig.worker, "q", "my.task");
}

/* Who gives its jobs away to one that cannot run them has them back in a moment, and runs none. */
static void only_who_has_the_task_has_a_place_for_it(void **state)
{
    (void)state;
#define REPORT(tasks, running)                                      \
    "{\"id\": \"there:2\", \"queues\": [\"q\"], \"tasks\": [" tasks \
    "], \"concurrency\": 2, \"running\": " #running "}"
    assert_true(have_place(REPORT("\"my.task\"", 1)));
    assert_true(have_place(REPORT("\"*\"", 0)));
    assert_false(have_place(REPORT("\"my.task\"", 2)));
    assert_false(have_place(REPORT("\"other\"", 0)));
    assert_false(have_place(NULL));
#undef REPORT
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(only_who_has_the_task_has_a_place_for_it),
    };
    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
