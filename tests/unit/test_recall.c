// SPDX-License-Identifier: Apache-2.0
// What a worker tells a store that has lost it, with broker and store faked.
#include "tests/unit/attempt_rig.h"

#include "worker/recall.h"

/* Says again what is remembered; the answers are as the rig has them. */
static void tell(void)
{
    cress_buf_clear(&rig.trace);
    cress_recall_tell(&rig.worker);
    settle_down();
}

static void end_one(const char *task)
{
    const struct cress_message message = message_of(task, "{\"permanent\":true}");
    deliver(&message);
}

static void an_end_is_told_again(void **state)
{
    (void)state;
    end_one("cress.noop");
    tell();
    expect("start record:succeeded");
    tell(); /* and again, when it is lost again */
    expect("start record:succeeded");
}

static void what_follows_is_done_again(void **state)
{
    (void)state;
    end_one("cress.noop");
    rig.follow = true;
    tell();
    expect("start record:succeeded follow_up:x");
}

static void what_the_store_knows_is_not_told(void **state)
{
    (void)state;
    end_one("cress.fail");
    rig.start_verdict = CRESS_VERDICT_TERMINAL;
    tell();
    expect("start");
    rig.follow = true; /* whoever recorded it may have died */
    tell();
    expect("start follow_up:x");
    rig.start_verdict = CRESS_VERDICT_STALE;
    tell();
    expect("start");
}

static void the_store_goes_away_again(void **state)
{
    (void)state;
    end_one("cress.noop");
    rig.failing = 1;
    tell();
    expect("start");
    tell();
    expect("start record:succeeded");
}

static void what_never_ran_is_not_remembered(void **state)
{
    (void)state;
    rig.start_verdict = CRESS_VERDICT_CANCELLED;
    end_one("cress.noop");
    tell();
    expect("");
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct cress_attempt attempt = {.worker = &rig.worker, .recorded = true};
    attempt.run.job = (struct cress_job){.id = "x", .payload = "1", .payload_size = 1};
    for (int i = 0; i < CRESS_RECALL_MAX + 10; i++) {
        cress_recall_add(&attempt);
    }
    assert_int_equal(rig.worker.recall.count, CRESS_RECALL_MAX);
    attempt.text = cress_alloc(CRESS_RECALL_MAX_BYTES);
    memset(attempt.text, '1', CRESS_RECALL_MAX_BYTES - 1);
    attempt.text[CRESS_RECALL_MAX_BYTES - 1] = '\0';
    cress_recall_add(&attempt);
    assert_int_equal(rig.worker.recall.count, 0);
    assert_int_equal(rig.worker.recall.bytes, 0);
    free(attempt.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_end_is_told_again),
        RIG_TEST(what_follows_is_done_again),
        RIG_TEST(what_the_store_knows_is_not_told),
        RIG_TEST(the_store_goes_away_again),
        RIG_TEST(what_never_ran_is_not_remembered),
        RIG_TEST(memory_is_bounded),
    };
    return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
