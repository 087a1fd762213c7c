// SPDX-License-Identifier: Apache-2.0
// Tests of worker/handler/exec_verdict.h.
#include "worker/handler/exec_verdict.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#include <signal.h>
#include <string.h>

enum { EXITED = 256 }; /* as wait statuses have it: an exit status times this, or a signal */

static const struct {
    struct cress_process_end end;
    enum cress_exec_stop stop;
    const char *log;
    bool limited;
    const char *other_exit;
    enum cress_outcome_kind kind;
    const char *code;
} verdicts[] = {
    {{.status = 0}, 0, "", 0, "retry", CRESS_OUTCOME_SUCCEEDED, ""},
    {{.status = 0}, CRESS_EXEC_ASKED, "", 0, "retry", CRESS_OUTCOME_SUCCEEDED, ""},
    {{.status = 75 * EXITED}, 0, "", 0, "fail", CRESS_OUTCOME_RETRY, "exit 75"},
    {{.status = 65 * EXITED}, 0, "", 0, "retry", CRESS_OUTCOME_FAILED, "exit 65"},
    {{.status = 1 * EXITED}, 0, "", 0, "retry", CRESS_OUTCOME_RETRY, "exit 1"},
    {{.status = 1 * EXITED}, 0, "", 0, "fail", CRESS_OUTCOME_FAILED, "exit 1"},
    {{.status = 1 * EXITED},
     CRESS_EXEC_ASKED,
     "",
     0,
     "retry",
     CRESS_OUTCOME_TIMED_OUT,
     "soft_timeout"},
    {{.status = 75 * EXITED}, CRESS_EXEC_ASKED, "", 0, "retry", CRESS_OUTCOME_RETRY, "exit 75"},
    {{.status = 1 * EXITED}, 0, "MemoryError\n", true, "retry", CRESS_OUTCOME_CRASHED, "oom"},
    {{.status = 1 * EXITED}, 0, "MemoryError\n", 0, "retry", CRESS_OUTCOME_RETRY, "exit 1"},
    {{.status = SIGSEGV}, 0, "", 0, "retry", CRESS_OUTCOME_CRASHED, "signal 11"},
    {{.status = SIGSEGV, .rss_bytes = 90 << 20},
     0,
     "",
     true,
     "retry",
     CRESS_OUTCOME_CRASHED,
     "oom"},
    {{.status = SIGABRT}, 0, "what(): std::bad_alloc", true, "retry", CRESS_OUTCOME_CRASHED, "oom"},
    {{.status = SIGTERM},
     CRESS_EXEC_ASKED,
     "",
     0,
     "retry",
     CRESS_OUTCOME_TIMED_OUT,
     "soft_timeout"},
    {{.status = SIGTERM}, 0, "", 0, "retry", CRESS_OUTCOME_CRASHED, "signal 15"},
    {{.status = SIGKILL},
     CRESS_EXEC_TIMED_OUT,
     "",
     0,
     "retry",
     CRESS_OUTCOME_TIMED_OUT,
     "hard_timeout"},
    {{.status = SIGKILL}, CRESS_EXEC_OVERFLOWED, "", 0, "retry", CRESS_OUTCOME_FAILED, "too_large"},
    {{.status = SIGXCPU}, 0, "", 0, "retry", CRESS_OUTCOME_CRASHED, "cpu"},
    {{.status = SIGKILL, .cpu_ms = 2100}, 0, "", true, "retry", CRESS_OUTCOME_CRASHED, "cpu"},
    {{.status = SIGKILL, .cpu_ms = 900}, 0, "", true, "retry", CRESS_OUTCOME_CRASHED, "signal 9"},
    {{.status = SIGXFSZ}, 0, "", 0, "retry", CRESS_OUTCOME_CRASHED, "file_size"},
    {{.exec_errno = 2}, 0, "", 0, "retry", CRESS_OUTCOME_RETRY, "no_program"},
    {{.lost = true}, 0, "", 0, "retry", CRESS_OUTCOME_CRASHED, "lost"},
};

static void test_verdicts(void **state)
{
    (void)state;
    const int64_t limit = 100 << 20;
    for (size_t i = 0; i < CRESS_COUNT(verdicts); i++) {
        const struct cress_task_config task = {
            .other_exit = (char *)verdicts[i].other_exit,
            .memory_max_bytes = verdicts[i].limited ? limit : 0,
            .cpu_max_ms = verdicts[i].limited ? 1000 : 0,
        };
        const struct cress_exec_facts facts = {.task = &task,
                                               .end = verdicts[i].end,
                                               .stop = verdicts[i].stop,
                                               .log = verdicts[i].log,
                                               .log_size = strlen(verdicts[i].log)};
        struct cress_outcome outcome;
        cress_exec_judge(&facts, &outcome);
        assert_string_equal(outcome.error.code, verdicts[i].code);
        assert_int_equal(outcome.kind, verdicts[i].kind);
    }
}

static void test_message_ends_with_the_logs_last_line(void **state)
{
    (void)state;
    static const char log[] = "first\nthe reason\r\n\n";
    const struct cress_task_config task = {.other_exit = (char *)"retry"};
    const struct cress_exec_facts facts = {
        .task = &task, .end.status = 3 * EXITED, .log = log, .log_size = sizeof log - 1};
    struct cress_outcome outcome;
    cress_exec_judge(&facts, &outcome);
    assert_string_equal(outcome.error.message, "the program ended with exit status 3: the reason");
}

static void test_results(void **state)
{
    (void)state;
    static const struct {
        const char *output;
        size_t size;
        const char *json;
    } cases[] = {
        {"", 0, "null"},
        {"{\"a\":[1, 2]}\n", 13, "{\"a\":[1, 2]}"},
        {"18446744073709551615", 20, "18446744073709551615"},
        {"1e400\n", 6, "1e400"},
        {"0.3", 3, "0.3"},
        {"\"\\u0000\"", 8, "\"\\u0000\""},
        {"{\"a\":1,\"a\":2}", 13, "{\"a\":1,\"a\":2}"},
        {"12\n", 3, "12"},
        {"\"text\"", 6, "\"text\""},
        {"12 apples\n", 10, "\"12 apples\""},
        {"a\r\n", 3, "\"a\""},
        {"a\n\n", 3, "\"a\\n\""},
        {"\xFF-\xC3", 3, "\"\xEF\xBF\xBD-\xEF\xBF\xBD\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"\n", 1, "\"\""},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char *text = cress_exec_result(cases[i].output, cases[i].size);
        assert_string_equal(text ? text : "null", cases[i].json);
        free(text);
    }
}

static void test_progress(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int percent;
        const char *message;
    } cases[] = {
        {"40 uploading", 40, "uploading"},
        {"100", 100, ""},
        {"7% done", 7, "done"},
        {"uploading", -1, "uploading"},
        {"", -1, ""},
        {"-3 x", -1, "-3 x"},
        {"101 x", -1, "101 x"},
        {"4x4 grid", -1, "4x4 grid"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        int percent;
        const char *message;
        cress_exec_progress(cases[i].line, &percent, &message);
        assert_int_equal(percent, cases[i].percent);
        assert_string_equal(message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_message_ends_with_the_logs_last_line),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
