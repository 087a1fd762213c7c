// SPDX-License-Identifier: Apache-2.0
// The words of a command line: options from a table, operands, and what is said of wrong ones.
#include "tests/unit/unit.h"

#include "common/base/mem.h"
#include "producer/cli/verb.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct cress_flag own[] = {
    {.name = "queue", .kind = CRESS_FLAG_TEXT, .value = "NAME"},
    {.name = "colour", .kind = CRESS_FLAG_WORD, .value = "WORD", .words = colours},
    {.name = "count", .letter = 'n', .kind = CRESS_FLAG_NUMBER, .value = "N", .min = 1, .max = 10},
    {.name = "delay", .kind = CRESS_FLAG_DURATION, .value = "TIME"},
    {.name = "at", .kind = CRESS_FLAG_TIME, .value = "WHEN"},
    {.name = "wait", .kind = CRESS_FLAG_DURATION, .value = "TIME", .optional = true},
    {.name = NULL},
};
static const struct cress_flag common[] = {{.name = "json"}, {.name = NULL}};

enum { WORDS_MAX = 8 };

/* Parses `words`, which end with NULL. */
static enum cress_status parse(char **words, struct cress_args *args, struct cress_error *err)
{
    int argc = 0;
    while (words[argc]) {
        argc++;
    }
    return cress_args_parse(own, common, argc, words, args, err);
}

static void test_values_follow_or_are_joined(void **state)
{
    (void)state;
    char *words[] = {"--queue", "mail",  "--count=7",
                     "--delay", "1m30s", "--at=1970-01-01T00:00:01Z",
                     "--json",  NULL};
    struct cress_args args;
    assert_int_equal(parse(words, &args, NULL), CRESS_OK);
    assert_string_equal(cress_args_text(&args, "queue"), "mail");
    assert_int_equal(cress_args_number(&args, "count", 0), 7);
    assert_int_equal(cress_args_number(&args, "delay", 0), 90000);
    assert_int_equal(cress_args_number(&args, "at", 0), 1000);
    assert_true(cress_args_has(&args, "json"));
    assert_int_equal(args.operand_count, 0);
}

static void test_letters(void **state)
{
    (void)state;
    char *words[] = {"-n", "7", NULL}, *joined[] = {"-n=8", NULL};
    struct cress_args args;
    assert_int_equal(parse(words, &args, NULL), CRESS_OK);
    assert_int_equal(cress_args_number(&args, "count", 0), 7);
    assert_int_equal(args.operand_count, 0);
    assert_int_equal(parse(joined, &args, NULL), CRESS_OK);
    assert_int_equal(cress_args_number(&args, "count", 0), 8);
}

static void test_what_is_not_given(void **state)
{
    (void)state;
    char *words[] = {NULL};
    struct cress_args args;
    assert_int_equal(parse(words, &args, NULL), CRESS_OK);
    assert_null(cress_args_text(&args, "queue"));
    assert_int_equal(cress_args_number(&args, "count", 5), 5);
    assert_false(cress_args_has(&args, "json"));
}

static void test_operands_stand_anywhere(void **state)
{
    (void)state;
    char *words[] = {"one", "--json", "-", "--queue=a", "two", "--", "--json", NULL};
    struct cress_args args;
    assert_int_equal(parse(words, &args, NULL), CRESS_OK);
    assert_int_equal(args.operand_count, 4);
    assert_string_equal(args.operands[0], "one");
    assert_string_equal(args.operands[1], "-");
    assert_string_equal(args.operands[2], "two");
    assert_string_equal(args.operands[3], "--json");
}

static void test_an_optional_value_is_only_taken_when_joined(void **state)
{
    (void)state;
    char *alone[] = {"--wait", "60s", NULL};
    struct cress_args args;
    assert_int_equal(parse(alone, &args, NULL), CRESS_OK);
    assert_true(cress_args_has(&args, "wait"));
    assert_int_equal(cress_args_number(&args, "wait", -1), -1);
    assert_int_equal(args.operand_count, 1);

    char *joined[] = {"--wait=60s", NULL};
    assert_int_equal(parse(joined, &args, NULL), CRESS_OK);
    assert_int_equal(cress_args_number(&args, "wait", -1), 60000);
}

static void test_the_last_one_counts(void **state)
{
    (void)state;
    char *words[] = {"--count", "1", "--count", "2", NULL};
    struct cress_args args;
    assert_int_equal(parse(words, &args, NULL), CRESS_OK);
    assert_int_equal(cress_args_number(&args, "count", 0), 2);
}

static void test_wrong_words_are_named(void **state)
{
    (void)state;
    static const struct {
        char *words[WORDS_MAX];
        const char *expected; /* part of the message */
    } cases[] = {
        {{"--qeue", "x"}, "unknown option --qeue, did you mean --queue?"},
        {{"--qeue=x"}, "did you mean --queue?"},
        {{"--elephant"}, "unknown option --elephant (words that begin with a dash go behind --)"},
        {{"-x"}, "unknown option -x"},
        {{"-nn", "7"}, "unknown option -nn"},
        {{"-n"}, "--count needs a value"},
        {{"--queue"}, "--queue needs a value: --queue NAME"},
        {{"--json=1"}, "--json takes no value"},
        {{"--count", "11"}, "--count: \"11\" is no number from 1 to 10"},
        {{"--count="}, "is no number"},
        {{"--colour", "blue"}, "--colour: \"blue\" is none of red, green"},
        {{"--delay", "soon"}, "--delay: "},
        {{"--at", "tomorrow"}, "--at: "},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char *words[WORDS_MAX];
        memcpy(words, cases[i].words, sizeof words);
        struct cress_args args;
        struct cress_error err;
        assert_int_equal(parse(words, &args, &err), CRESS_USAGE);
        assert_int_equal(err.status, CRESS_USAGE);
        if (!strstr(err.message, cases[i].expected)) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].expected);
        }
    }
}

static void test_verbs_are_found_or_guessed(void **state)
{
    (void)state;
    const char *closest = "untouched";
    assert_ptr_equal(cress_verb_find("enqueue", &closest), &cress_verb_enqueue);
    assert_string_equal(closest, "untouched");
    assert_null(cress_verb_find("enqeue", &closest));
    assert_string_equal(closest, "enqueue");
    assert_null(cress_verb_find("elephant", &closest));
    assert_null(closest);
}

/* What every row of the table of verbs promises to help, completion and the parser. */
static void test_the_table_of_verbs_is_sound(void **state)
{
    (void)state;
    for (const struct cress_verb *const *at = cress_verbs; *at; at++) {
        const struct cress_verb *verb = *at;
        assert_true(*verb->name && *verb->summary && *verb->examples);
        assert_true(verb->examples[strlen(verb->examples) - 1] == '\n');
        assert_true(!*verb->about || verb->about[strlen(verb->about) - 1] == '\n');
        assert_true(verb->max_operands < 0 || verb->min_operands <= verb->max_operands);
        assert_non_null(verb->run);
        for (const struct cress_flag *flag = verb->flags; flag && flag->name; flag++) {
            assert_non_null(flag->help);
            assert_true((flag->kind == CRESS_FLAG_SWITCH) == !flag->value);
            assert_true((flag->kind == CRESS_FLAG_WORD) == (flag->words != NULL));
            assert_true(flag->kind != CRESS_FLAG_NUMBER || flag->max > flag->min);
        }
        char *none[] = {NULL};
        struct cress_args args; /* which also says that its options fit */
        assert_int_equal(cress_args_parse(verb->flags, cress_common_flags, 0, none, &args, NULL),
                         CRESS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_follow_or_are_joined),
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_what_is_not_given),
        cmocka_unit_test(test_operands_stand_anywhere),
        cmocka_unit_test(test_an_optional_value_is_only_taken_when_joined),
        cmocka_unit_test(test_the_last_one_counts),
        cmocka_unit_test(test_wrong_words_are_named),
        cmocka_unit_test(test_verbs_are_found_or_guessed),
        cmocka_unit_test(test_the_table_of_verbs_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
