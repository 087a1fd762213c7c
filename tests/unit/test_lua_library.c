// SPDX-License-Identifier: Apache-2.0
// Of a library of Lua functions a script gets those that it uses, and those that these use.
#include "common/base/mem.h"
#include "common/store/lua_library.h"
#include "common/store/script.h"
#include "tests/unit/unit.h"

static const char library[] = "local LIMIT = 3\n"
                              "local function low(x)\n"
                              "return x < LIMIT\n"
                              "end\n"
                              "local function unused(x)\n"
                              "return low(x) and lower_still(x)\n"
                              "end\n"
                              "local function lower(x)\n"
                              "return low(x - 1)\n"
                              "end\n";

static char *add(const char *users)
{
    struct cress_buf text = cress_buf_make(4096);
    cress_lua_library_add(&text, library, users);
    return cress_buf_take(&text);
}

static void test_used_and_what_these_use(void **state)
{
    (void)state;
    char *text = add("return lower(ARGV[1])\n");
    assert_string_equal(text, "local LIMIT = 3\n"
                              "local function low(x)\n"
                              "return x < LIMIT\n"
                              "end\n"
                              "local function lower(x)\n"
                              "return low(x - 1)\n"
                              "end\n");
    free(text);
}

static void test_part_of_a_word_is_no_use(void **state)
{
    (void)state;
    char *text = add("local slow, low_1 = lowest, a.unused_\n");
    assert_string_equal(text, "local LIMIT = 3\n");
    free(text);
}

/* The scripts that each job needs: nothing else decides more of what a job costs Redis. */
static void test_hot_scripts_are_small(void **state)
{
    (void)state;
    struct cress_redis_script scripts[CRESS_SCRIPT_COUNT];
    cress_scripts_make(scripts);
    assert_null(strstr(scripts[CRESS_SCRIPT_CREATE].text, "function cancel_job("));
    assert_null(strstr(scripts[CRESS_SCRIPT_CREATE].text, "function give_place("));
    const char *start = scripts[CRESS_SCRIPT_START].text;
    assert_true(strstr(start, "function load_places(") < strstr(start, "function give_place("));
    assert_null(strstr(start, "function cancel_job("));
    cress_scripts_free(scripts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_and_what_these_use),
        cmocka_unit_test(test_part_of_a_word_is_no_use),
        cmocka_unit_test(test_hot_scripts_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
