// SPDX-License-Identifier: Apache-2.0
// What the command line prints: tables for people and programs, colours, times.
#include "tests/unit/unit.h"

#include "common/base/mem.h"
#include "producer/cli/output.h"

#include <stdio.h>
#include <unistd.h>

static const char *const columns[] = {"NAME", ">COUNT", "STATE", NULL};

/* What printing the table wrote to stdout. The caller frees. */
static char *printed(struct cress_table *table, const struct cress_output *output)
{
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    FILE *file = tmpfile();
    assert_non_null(file);
    dup2(fileno(file), STDOUT_FILENO);
    cress_table_print(table, output);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    char *text = cress_alloc(4096);
    rewind(file);
    text[fread(text, 1, 4095, file)] = '\0';
    fclose(file);
    return text;
}

static struct cress_table *example(void)
{
    struct cress_table *table = cress_table_new(columns);
    cress_table_add(table, (const char *const[]){"a", "1", "failed"});
    cress_table_add(table, (const char *const[]){"lénger", "1000000", NULL});
    return table;
}

static void check(const struct cress_output *output, const char *expected)
{
    char *text = printed(example(), output);
    assert_string_equal(text, expected);
    free(text);
}

static void test_programs_get_tabs_and_no_heading(void **state)
{
    (void)state;
    check(&(struct cress_output){0}, "a\t1\tfailed\nlénger\t1000000\t-\n");
}

static void test_people_get_columns(void **state)
{
    (void)state;
    check(&(struct cress_output){.out_is_terminal = true}, "NAME      COUNT  STATE\n"
                                                           "a             1  failed\n"
                                                           "lénger  1000000  -\n");
}

static void test_colours_do_not_move_columns(void **state)
{
    (void)state;
    check(&(struct cress_output){.out_is_terminal = true, .out_colour = true},
          "\033[1mNAME\033[0m      \033[1mCOUNT\033[0m  \033[1mSTATE\033[0m\n"
          "a             1  \033[31mfailed\033[0m\n"
          "lénger  1000000  -\n");
}

static void check_long(const char *const *names, size_t expected)
{
    char cell[101] = {0};
    memset(cell, 'x', sizeof cell - 1);
    struct cress_table *table = cress_table_new(names);
    cress_table_add(table, (const char *const[]){"a", cell});
    char *text = printed(table, &(struct cress_output){.out_is_terminal = true});
    assert_int_equal(strspn(strchr(text, '\n') + 1 + strlen("a  "), "x"), expected);
    free(text);
}

/* A heading that begins with + is for what must be read to its end. */
static void test_last_column_is_cut_unless_told_otherwise(void **state)
{
    (void)state;
    check_long((const char *const[]){"A", "B", NULL}, 77);
    check_long((const char *const[]){"A", "+B", NULL}, 100);
}

static void test_no_rows_no_heading(void **state)
{
    (void)state;
    char *text = printed(cress_table_new(columns), &(struct cress_output){.out_is_terminal = true});
    assert_string_equal(text, "");
    free(text);
}

static void test_cells_cannot_play_tricks(void **state)
{
    (void)state;
    struct cress_table *table = cress_table_new(columns);
    cress_table_add(table, (const char *const[]){"a\tb\nc\033[31md\xC2\x9B"
                                                 "e\xFF\x7F\xE2\x80\xAEü",
                                                 "1", "x"});
    char *text = printed(table, &(struct cress_output){.out_is_terminal = false});
    assert_string_equal(text, "a b c [31md e?  ü\t1\tx\n");
    free(text);
}

static void test_spans(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *expected;
    } cases[] = {
        {-5, "0ms"},        {0, "0ms"},           {999, "999ms"},       {1000, "1.0s"},
        {59999, "59.9s"},   {60000, "1m00s"},     {304000, "5m04s"},    {3600000, "1h00m"},
        {9000000, "2h30m"}, {172800000, "2d00h"}, {273600000, "3d04h"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char text[CRESS_SPAN_TEXT_MAX];
        assert_string_equal(cress_span_format(cases[i].ms, text), cases[i].expected);
    }
}

/* Whether stdout would be coloured; it is no terminal here. */
static bool is_coloured(const char *when, const char *no_color, const char *force)
{
    setenv("NO_COLOR", no_color, 1);
    setenv("CLICOLOR_FORCE", force, 1);
    struct cress_output output;
    const int kept = dup(STDOUT_FILENO);
    FILE *file = tmpfile();
    dup2(fileno(file), STDOUT_FILENO);
    cress_output_init(&output, when);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    fclose(file);
    return output.out_colour;
}

static void test_who_decides_on_colours(void **state)
{
    (void)state;
    assert_false(is_coloured(NULL, "", ""));
    assert_true(is_coloured(NULL, "", "1"));
    assert_false(is_coloured(NULL, "", "0"));
    assert_false(is_coloured(NULL, "1", "1"));
    assert_true(is_coloured("always", "1", ""));
    assert_false(is_coloured("never", "", "1"));
    assert_false(is_coloured("auto", "", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs_get_tabs_and_no_heading),
        cmocka_unit_test(test_people_get_columns),
        cmocka_unit_test(test_colours_do_not_move_columns),
        cmocka_unit_test(test_last_column_is_cut_unless_told_otherwise),
        cmocka_unit_test(test_no_rows_no_heading),
        cmocka_unit_test(test_cells_cannot_play_tricks),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_who_decides_on_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
