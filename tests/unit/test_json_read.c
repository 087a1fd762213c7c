// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/json_read.h.
#include "common/base/json_read.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

struct thing {
    const char *name, *ids;
    int64_t size;
    bool is_red;
    struct cress_json rest;
};

static const struct cress_json_field fields[] = {
    {"name", CRESS_FIELD_TEXT, .offset = offsetof(struct thing, name)},
    {"size", CRESS_FIELD_INT, .offset = offsetof(struct thing, size), .min = -1, .max = 9},
    {"red", CRESS_FIELD_BOOL, .offset = offsetof(struct thing, is_red)},
    {"ids", CRESS_FIELD_IDS, .offset = offsetof(struct thing, ids)},
    {"rest", CRESS_FIELD_JSON, .offset = offsetof(struct thing, rest)},
};

static enum cress_status read_thing(const char *text, struct thing *thing, char **texts,
                                    struct cress_error *err)
{
    struct cress_json object;
    assert_int_equal(cress_json_check(text, strlen(text), &object, err), CRESS_OK);
    return cress_json_read(object, fields, CRESS_COUNT(fields), "a thing is an object", thing,
                           texts, err);
}

static void test_all_kinds(void **state)
{
    (void)state;
    struct thing thing = {.size = 5};
    char *texts;
    assert_int_equal(read_thing("{\"rest\" : [ 1e999 ] ,\"n\\u0061me\":\"\\u00e9\\n\",\"red\":true,"
                                "\"ids\":[\"a\",\"b:c\"],\"size\":-1}",
                                &thing, &texts, NULL),
                     CRESS_OK);
    assert_string_equal(thing.name, "\xC3\xA9\n");
    assert_string_equal(thing.ids, "a,b:c");
    assert_int_equal(thing.size, -1);
    assert_true(thing.is_red);
    assert_int_equal(thing.rest.size, strlen("[ 1e999 ]"));
    assert_memory_equal(thing.rest.text, "[ 1e999 ]", thing.rest.size);
    free(texts);
}

static void test_null_is_absent_but_as_json(void **state)
{
    (void)state;
    struct thing thing = {.size = 5, .name = "before"};
    char *texts;
    assert_int_equal(
        read_thing("{\"name\":null,\"size\":null,\"red\":null,\"ids\":null,\"rest\":null}", &thing,
                   &texts, NULL),
        CRESS_OK);
    assert_string_equal(thing.name, "before");
    assert_null(thing.ids);
    assert_int_equal(thing.size, 5);
    assert_int_equal(thing.rest.size, 4);
    free(texts);
    assert_int_equal(read_thing("{\"ids\":[]}", &thing, &texts, NULL), CRESS_OK);
    assert_string_equal(thing.ids, "");
    free(texts);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "a thing is an object"},
        {"{\"nmae\":1}", "unknown member \"nmae\", did you mean \"name\"?"},
        {"{\"zzzzzzzz\":1}",
         "unknown member \"zzzzzzzz\"; there are name, size, red, ids and rest"},
        {"{\"red\":true,\"red\":true}", "red is given twice"},
        {"{\"rest\":1,\"r\\u0065st\":2}", "rest is given twice"},
        {"{\"name\":1}", "name must be a string"},
        {"{\"name\":\"a\\u0000b\"}", "name holds a NUL character"},
        {"{\"size\":\"1\"}", "size must be a whole number"},
        {"{\"size\":1.0}", "size must be a whole number"},
        {"{\"size\":1e0}", "size must be a whole number"},
        {"{\"size\":10}", "size is 10, allowed: -1 to 9"},
        {"{\"size\":100000000000000000000000000000}",
         "size is 100000000000000000000000, allowed: -1 to 9"},
        {"{\"red\":1}", "red must be true or false"},
        {"{\"ids\":\"a\"}", "ids must be an array of ids: [\"id\", …]"},
        {"{\"ids\":{}}", "ids must be an array of ids: [\"id\", …]"},
        {"{\"ids\":[1]}", "ids must be an array of ids: [\"id\", …]"},
        {"{\"ids\":[null]}", "ids must be an array of ids: [\"id\", …]"},
        {"{\"ids\":[\"\"]}", "ids must be an array of ids: [\"id\", …]"},
        {"{\"ids\":[\"a,b\"]}", "ids must be an array of ids: [\"id\", …]"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct thing thing = {.size = 5};
        struct cress_error err;
        char *texts = NULL;
        assert_int_equal(read_thing(cases[i].text, &thing, &texts, &err), CRESS_INVALID);
        assert_string_equal(err.message, cases[i].message);
        assert_null(texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_null_is_absent_but_as_json),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
