// SPDX-License-Identifier: Apache-2.0
// Tests of worker/outgoing.h.
#include "worker/outgoing.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

enum { NOW_MS = 1000000 };

static const struct cress_job job = {.id = "j",
                                     .task = "t",
                                     .queue = "q",
                                     .priority = CRESS_PRIORITY_HIGH,
                                     .payload = "1",
                                     .payload_size = 1,
                                     .attempt = 2,
                                     .not_before_ms = 5};

/* A job that a limit holds back comes to its queue again, and may be judged as soon as it arrives. */
static void test_later(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {64, 100, 127, 1000, 5000, 100000};
    static const struct cress_header carried[] = {
        {.name = "mine", .text = "x"},
        {.name = CRESS_HEADER_DUE_FROM, .text = "cress.wait.64"},
        {.name = CRESS_HEADER_DUE_QUEUE, .text = "q"},
    };
    const struct cress_message original = {.headers = carried, .header_count = 3};
    for (size_t i = 0; i < CRESS_COUNT(waits_ms); i++) {
        struct cress_outgoing out;
        const bool was_delivered = i % 2;
        const struct cress_later later = {.wait_ms = waits_ms[i], .was_delivered = was_delivered};
        cress_outgoing_later(&out, cress_codec_of(&original), &job, &original, &later, NOW_MS);
        assert_string_equal(out.message.exchange, "");
        assert_string_equal(out.message.routing_key, "q.high");
        assert_int_equal(out.message.due_ms, NOW_MS + waits_ms[i]);
        assert_int_equal(cress_message_header(&out.message, "not_before_ms")->number,
                         NOW_MS + waits_ms[i]);
        assert_int_equal(cress_message_header(&out.message, "attempt")->number, 2);
        assert_non_null(cress_message_header(&out.message, "mine"));
        assert_int_equal(!!cress_message_header(&out.message, "redelivered"), was_delivered);
        assert_null(cress_message_header(&out.message, CRESS_HEADER_DUE_FROM));
        assert_null(cress_message_header(&out.message, CRESS_HEADER_DUE_QUEUE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later),
    };
    return cmocka_run_group_tests_name("outgoing", tests, NULL, NULL);
}
