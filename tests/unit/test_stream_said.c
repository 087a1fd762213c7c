// SPDX-License-Identifier: Apache-2.0
// Tests of worker/handler/stream_said.h: what of a program's stderr reaches the log, read back
// through a pipe.
#include "worker/handler/stream_said.h"

#include "common/base/log.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LOG_MAX = 64 * 1024 };

static int saved_stderr, read_end;

static int catch_stderr(void **state)
{
    (void)state;
    int ends[2];
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    read_end = ends[0];
    unsetenv("JOURNAL_STREAM");
    cress_log_configure("test", CRESS_LOG_INFO, "text");
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

/* What has been logged since the last call. */
static const char *logged(void)
{
    static char text[LOG_MAX];
    const ssize_t n = read(read_end, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (; (text = strstr(text, part)); text++) {
        found++;
    }
    return found;
}

static void hear(struct cress_said *said, int64_t now_ms, const char *text)
{
    cress_said_hear(said, now_ms, text, strlen(text));
}

static void test_a_line_is_logged_when_it_ends(void **state)
{
    (void)state;
    struct cress_said said = cress_said_make("shout");
    said.pid = 42;
    hear(&said, 0, "half a ");
    assert_string_equal(logged(), "");
    hear(&said, 0, "line\nand the ");
    assert_non_null(
        strstr(logged(), "info  stream program says task=shout pid=42 text=\"half a line\"\n"));
    hear(&said, 0, "rest");
    cress_said_end(&said);
    assert_non_null(strstr(logged(), "text=\"and the rest\"\n"));
    assert_string_equal(said.last_line, "and the rest");
    cress_said_end(&said);
    assert_string_equal(logged(), "");
    cress_said_free(&said);
}

static void test_not_too_many_a_second(void **state)
{
    (void)state;
    struct cress_said said = cress_said_make("shout");
    for (int i = 0; i < CRESS_SAID_LINES_PER_S + 5; i++) {
        hear(&said, 1000 + i, "again\n");
    }
    assert_int_equal(count(logged(), "text=again"), CRESS_SAID_LINES_PER_S);
    hear(&said, 1999, "still\n");
    assert_string_equal(logged(), "");
    assert_string_equal(said.last_line, "still"); /* known all the same */
    hear(&said, 2000, "next\n");
    const char *text = logged();
    assert_non_null(strstr(text, "said more than is logged task=shout pid=0 lines_left_out=6\n"));
    assert_non_null(strstr(text, "text=next\n"));
    cress_said_free(&said);
}

static void test_a_line_without_end(void **state)
{
    (void)state;
    struct cress_said said = cress_said_make("shout");
    static char flood[3 * CRESS_SAID_LINE_MAX];
    memset(flood, 'x', sizeof flood - 1);
    hear(&said, 0, flood);
    assert_int_equal(count(logged(), "stream program says"), 1);
    assert_int_equal(strlen(said.last_line), CRESS_SAID_LAST_MAX);
    hear(&said, 0, " its end\ndied\n");
    assert_string_equal(said.last_line, "died");
    cress_said_free(&said);
}

static void test_the_last_line_that_says_something(void **state)
{
    (void)state;
    struct cress_said said = cress_said_make("shout");
    hear(&said, 0, "no database\n\n");
    assert_string_equal(said.last_line, "no database");
    cress_said_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_is_logged_when_it_ends, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(test_not_too_many_a_second, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_a_line_without_end, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_the_last_line_that_says_something, catch_stderr,
                                        release_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
