// SPDX-License-Identifier: Apache-2.0
// The built-in tasks on a real loop, with the end of a run caught here. Linked with the handler
// room alone (Makefile): it needs nothing of the worker.
#include "worker/handler/handler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cress_outcome last;
static int ends;

const struct cress_handler *const cress_handler_groups[] = {cress_builtin_handlers, NULL};

static void catch_end(struct cress_run *run, struct cress_outcome *outcome)
{
    assert_null(run->state);
    free(last.result);
    last = *outcome;
    outcome->result = NULL;
    ends++;
}

static const struct cress_run_sink sink = {.done = catch_end};

/* Starts `task` and, when `stop`, stops it at once; runs the loop dry. */
static void perform(const char *task, const char *payload, int attempt, bool stop)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    const struct cress_services services = {.loop = &loop};
    struct cress_run run = {
        .services = &services,
        .sink = &sink,
        .job = {.task = task,
                .attempt = attempt,
                .max_attempts = 5,
                .payload = payload,
                .payload_size = strlen(payload)},
        .handler = cress_handler_find(task),
    };
    assert_non_null(run.handler);
    ends = 0;
    run.handler->start(&run);
    if (stop) {
        run.handler->stop(&run, CRESS_STOP_TIMED_OUT);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(ends, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    cress_run_clear(&run);
}

static void echo_returns_its_payload(void **state)
{
    (void)state;
    static const char payload[] = "{\"a\": [1e400, 0.3, 18446744073709551615, \"\\u0000\"]}";
    perform("cress.echo", payload, 1, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_SUCCEEDED);
    assert_string_equal(last.result, payload);
    assert_int_equal(last.result_size, strlen(payload));
}

static void noop_succeeds(void **state)
{
    (void)state;
    perform("cress.noop", "7", 1, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_SUCCEEDED);
    assert_null(last.result);
}

static void sleep_sleeps(void **state)
{
    (void)state;
    const uint64_t before = uv_hrtime();
    perform("cress.sleep", "{\"ms\": 30}", 1, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_SUCCEEDED);
    assert_true(uv_hrtime() - before >= 29u * 1000 * 1000);
}

static void sleep_can_be_stopped(void **state)
{
    (void)state;
    perform("cress.sleep", "{\"ms\": 3600000}", 1, true);
    assert_int_equal(last.kind, CRESS_OUTCOME_CANCELLED);
}

static void wrong_shapes_fail_for_good(void **state)
{
    (void)state;
    static const struct {
        const char *task, *payload;
    } table[] = {
        {"cress.sleep", "null"},
        {"cress.sleep", "{}"},
        {"cress.sleep", "{\"ms\": -1}"},
        {"cress.sleep", "{\"ms\": \"10\"}"},
        {"cress.sleep", "{\"ms\": 1e3}"},
        {"cress.sleep", "{\"ms\": 1, \"x\": 1}"},
        {"cress.fail", "[]"},
        {"cress.fail", "{\"times\": \"2\"}"},
        {"cress.fail", "{\"tims\": 2}"},
        {"cress.sleep", "{\"ms\": 18446744073709551615}"},
        {"cress.fail", "{\"message\": \"a\\u0000b\"}"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        perform(table[i].task, table[i].payload, 1, false);
        assert_int_equal(last.kind, CRESS_OUTCOME_FAILED);
        assert_string_equal(last.error.code, "invalid_payload");
    }
}

static void fail_fails_as_asked(void **state)
{
    (void)state;
    perform("cress.fail", "null", 4, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_RETRY);
    perform("cress.fail", "{\"permanent\": true, \"message\": \"no\"}", 1, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_FAILED);
    assert_string_equal(last.error.message, "no");
    perform("cress.fail", "{\"times\": 2}", 2, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_RETRY);
    perform("cress.fail", "{\"times\": 2}", 3, false);
    assert_int_equal(last.kind, CRESS_OUTCOME_SUCCEEDED);
}

static void unknown_tasks_are_not_found(void **state)
{
    (void)state;
    assert_null(cress_handler_find("cress.nop"));
    struct cress_buf names = cress_buf_make(4096);
    cress_handler_list(&names);
    assert_non_null(strstr(cress_buf_text(&names), "cress.echo, cress.noop"));
    cress_buf_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_returns_its_payload),
        cmocka_unit_test(noop_succeeds),
        cmocka_unit_test(sleep_sleeps),
        cmocka_unit_test(sleep_can_be_stopped),
        cmocka_unit_test(wrong_shapes_fail_for_good),
        cmocka_unit_test(fail_fails_as_asked),
        cmocka_unit_test(unknown_tasks_are_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
