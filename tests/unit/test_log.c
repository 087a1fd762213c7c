// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/log.h: what reaches stderr, read back through a pipe.
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/unit/unit.h"

#include <jansson.h>
#include <unistd.h>

static int saved_stderr = -1;
static int read_end = -1;

static int catch_stderr(void **state)
{
    (void)state;
    int ends[2];
    if (pipe(ends) != 0) {
        return -1;
    }
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    read_end = ends[0];
    unsetenv("JOURNAL_STREAM");
    return 0;
}

static int release_stderr(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(read_end);
    return 0;
}

static void read_line(char *line, size_t size)
{
    const ssize_t n = read(read_end, line, size - 1);
    assert_true(n > 0);
    line[n] = '\0';
}

static void test_text_lines(void **state)
{
    (void)state;
    char line[1000];
    cress_log_configure("test", CRESS_LOG_INFO, "text");
    cress_log(CRESS_LOG_DEBUG, "not written");
    cress_log(CRESS_LOG_WARN, "lost it", CRESS_KV("peer", "a b"), CRESS_KVI("in_ms", -3),
              CRESS_KV("id", "x=1\n"), CRESS_KV("empty", ""), CRESS_KV("plain", "a/b:c"));
    read_line(line, sizeof line);
    assert_non_null(strstr(
        line, "Z warn  lost it peer=\"a b\" in_ms=-3 id=\"x=1\\n\" empty=\"\" plain=a/b:c\n"));
}

static void test_json_lines(void **state)
{
    (void)state;
    char line[1000];
    cress_log_configure("test", CRESS_LOG_INFO, "json");
    cress_log(CRESS_LOG_ERROR, "it \"broke\"", CRESS_KV("job", "a\x1b"), CRESS_KVI("n", 5));
    read_line(line, sizeof line);
    json_t *parsed = json_loads(line, 0, NULL);
    assert_non_null(parsed);
    assert_string_equal(json_string_value(json_object_get(parsed, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(parsed, "event")), "it \"broke\"");
    assert_string_equal(json_string_value(json_object_get(parsed, "job")), "a\x1b");
    assert_int_equal(json_integer_value(json_object_get(parsed, "n")), 5);
    json_decref(parsed);
}

static void test_what_a_program_says_at_its_start(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        const char *words[4];
        bool json;
    } cases[] = {
        {"", {"test", NULL}, false},
        {"json", {"test", NULL}, true},
        {"json", {"test", "--log-format", "text"}, false},
        {"", {"test", "--log-format=json"}, true},
        {"text", {"test", "--log-format", "json"}, true},
        {"", {"test", "--log-format"}, false},
        {"", {"test", "--", "--log-format=json"}, false},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char line[1000];
        int argc = 0;
        while (argc < 4 && cases[i].words[argc]) {
            argc++;
        }
        setenv("CRESS_LOG_FORMAT", cases[i].variable, 1);
        cress_log_begin("test", argc, (char **)(uintptr_t)cases[i].words);
        cress_log_say(CRESS_LOG_ERROR, "no %s", "way");
        read_line(line, sizeof line);
        json_t *parsed = json_loads(line, 0, NULL);
        if (cases[i].json) {
            assert_string_equal(json_string_value(json_object_get(parsed, "event")), "no way");
        } else {
            assert_string_equal(line, "test: no way\n");
        }
        json_decref(parsed);
    }
    unsetenv("CRESS_LOG_FORMAT");
}

static void test_a_huge_value_costs_the_pairs_not_the_event(void **state)
{
    (void)state;
    static char huge[20000];
    memset(huge, 'x', sizeof huge - 1);
    char line[1000];
    cress_log_configure("test", CRESS_LOG_INFO, "json");
    cress_log(CRESS_LOG_INFO, "big", CRESS_KV("value", huge));
    read_line(line, sizeof line);
    json_t *parsed = json_loads(line, 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
}

static void test_repeats_are_counted(void **state)
{
    (void)state;
    struct cress_log_limit limit = {0};
    uint64_t suppressed = 99;
    assert_true(cress_log_allow(&limit, 3600000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(cress_log_allow(&limit, 3600000, &suppressed));
    assert_false(cress_log_allow(&limit, 3600000, &suppressed));
    limit.next_ms = 0; /* the hour has passed */
    assert_true(cress_log_allow(&limit, 3600000, &suppressed));
    assert_int_equal(suppressed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_lines, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_json_lines, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_what_a_program_says_at_its_start, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(test_a_huge_value_costs_the_pairs_not_the_event,
                                        catch_stderr, release_stderr),
        cmocka_unit_test(test_repeats_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
