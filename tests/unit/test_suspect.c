// SPDX-License-Identifier: Apache-2.0
// Tests of worker/suspect.h. Suspects run one at a time.
#include "tests/unit/attempt_rig.h"

/* A message of a job of its own, which the store takes for a suspect. */
static void arrive_suspect(const char *id, const char *task, const char *body)
{
    struct cress_message message = message_of(task, body);
    message.message_id = id;
    rig.start_verdict = CRESS_VERDICT_SUSPECT;
    arrive(&message);
    answer_one();
}

/* Two suspects of which the first runs; the second is back in the record. */
static void arrive_suspects(const char *body)
{
    arrive_suspect("x1", "cress.sleep", body);
    arrive_suspect("x2", "cress.noop", "{}");
    answer_one();
    expect("start start record:queued");
}

static void suspects_run_one_at_a_time(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    settle_down();
    expect("start start record:queued record:succeeded ack start record:succeeded ack");
}

static void suspect_that_does_not_run_makes_way(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    arrive_suspect("x3", "cress.noop", "{}");
    answer_one();
    rig.start_verdict = CRESS_VERDICT_TERMINAL; /* both have been run elsewhere meanwhile */
    settle_down();
    expect("start start record:queued start record:queued record:succeeded ack start ack start "
           "ack");
}

static void suspect_that_is_limited_makes_way(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    arrive_suspect("x3", "cress.noop", "{}");
    answer_one();
    rig.start_verdict = CRESS_VERDICT_LIMITED;
    rig.wait_ms = 1;
    while (cress_list_is_empty(&rig.calls)) { /* the first has ended */
        uv_run(&rig.loop, UV_RUN_ONCE);
    }
    answer_one();
    answer_one(); /* the second is limited */
    rig.start_verdict = CRESS_VERDICT_SUSPECT;
    settle_down();
    assert_int_equal(rig.worker.processed, 3);
}

static void suspect_of_a_paused_queue_goes_back(void **state)
{
    (void)state;
    arrive_suspect("x1", "cress.sleep", "{\"ms\": 10}");
    arrive_suspect("x2", "cress.noop", "{}");
    rig.queue.paused = true; /* before it is known to be back in the record */
    cress_dispatch_return_waiting(&rig.worker);
    settle_down();
    rig.queue.paused = false;
    expect("start start record:queued requeue record:succeeded ack");
}

static void suspect_that_waits_for_a_lease_is_returned(void **state)
{
    (void)state;
    arrive_suspects("{\"ms\": 10}");
    cress_lease_check(&rig.worker);
    expect("start start record:queued");
    rig.config.worker_lease_ms = 0;
    cress_lease_check(&rig.worker);
    expect("start start record:queued publish:q requeue"); /* and a guard for the first */
    settle_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(suspects_run_one_at_a_time),
        RIG_TEST(suspect_that_does_not_run_makes_way),
        RIG_TEST(suspect_that_is_limited_makes_way),
        RIG_TEST(suspect_of_a_paused_queue_goes_back),
        RIG_TEST(suspect_that_waits_for_a_lease_is_returned),
    };
    return cmocka_run_group_tests_name("suspect", tests, NULL, NULL);
}
