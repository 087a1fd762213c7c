// SPDX-License-Identifier: Apache-2.0
// Tests of worker/handler/command.h.
#include "worker/handler/command.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "tests/unit/unit.h"

#include <unistd.h>

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words[6];
    } cases[] = {
        {"tr a-z A-Z", {"tr", "a-z", "A-Z"}},
        {"  tr\ta-z \n", {"tr", "a-z"}},
        {"a 'b c' \"d e\"", {"a", "b c", "d e"}},
        {"a'b'\"c\"d", {"abcd"}},
        {"'' \"\"", {"", ""}},
        {"a\\ b \\' \\\"", {"a b", "'", "\""}},
        {"'\\' \"\\\\ \\$ \\x\"", {"\\", "\\ $ \\x"}},
        {"$HOME * ; | > #", {"$HOME", "*", ";", "|", ">", "#"}},
        {"end\\", {"end\\"}},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char **words;
        assert_int_equal(cress_command_split(cases[i].text, &words, NULL), CRESS_OK);
        size_t n = 0;
        for (; n < CRESS_COUNT(cases[i].words) && cases[i].words[n]; n++) {
            assert_non_null(words[n]);
            assert_string_equal(words[n], cases[i].words[n]);
        }
        assert_null(words[n]);
        cress_text_list_free(words);
    }
}

static void test_wrong_commands(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "empty"}, {"  ", "empty"}, {"a 'b", "not closed"}, {"a \"b\\\"", "not closed"}};
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char **words = NULL;
        struct cress_error err = {0};
        assert_int_equal(cress_command_split(cases[i][0], &words, &err), CRESS_CONFIG);
        assert_non_null(strstr(err.message, cases[i][1]));
        assert_null(words);
    }
}

static char *first_word(const char *command, bool shell)
{
    const struct cress_task_config task = {
        .handler = (char *)"exec", .command = (char *)command, .shell = shell};
    char **argv;
    struct cress_error err;
    if (cress_command_make(&task, &argv, &err) != CRESS_OK) {
        assert_string_equal(err.code, "no_program");
        return NULL;
    }
    char *word = cress_strdup(argv[0]);
    cress_text_list_free(argv);
    return word;
}

static void expect_program(const char *command, bool shell, const char *path)
{
    char *found = first_word(command, shell);
    if (path) {
        assert_non_null(found);
        assert_string_equal(found, path);
    } else {
        assert_null(found);
    }
    free(found);
}

static void test_programs_are_looked_up(void **state)
{
    (void)state;
    char *home = getcwd(NULL, 0);
    const char *usual = getenv("PATH");
    char *path = cress_strdup(usual ? usual : "");
    setenv("PATH", "/nowhere:/bin", 1);
    assert_int_equal(chdir("/"), 0);
    expect_program("sh -c x", false, "/bin/sh");
    expect_program("/bin/sh", false, "/bin/sh");
    expect_program("bin/sh", false, "//bin/sh");
    expect_program("no-such-program", false, NULL);
    expect_program("/bin/no-such-program", false, NULL);
    expect_program("no-such-program | x", true, "/bin/sh");
    assert_int_equal(chdir(home), 0);
    setenv("PATH", path, 1);
    free(home);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_wrong_commands),
        cmocka_unit_test(test_programs_are_looked_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
