// SPDX-License-Identifier: Apache-2.0
// Tests of common/base/backoff.h.
#include "common/base/backoff.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static void test_bound_doubles_up_to_the_cap(void **state)
{
    (void)state;
    const struct cress_backoff backoff = {.base_ms = 100, .cap_ms = 1000};
    static const int64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(cress_backoff_ms(&backoff, i + 1, (uint64_t)bounds[i]),
                         bounds[i]); /* the bound is reached */
        assert_int_equal(cress_backoff_ms(&backoff, i + 1, (uint64_t)bounds[i] + 1),
                         0); /* and never passed */
    }
    assert_int_equal(cress_backoff_ms(&backoff, 4000000000U, 1000), 1000);
}

static void test_no_overflow(void **state)
{
    (void)state;
    const struct cress_backoff backoff = {.base_ms = INT64_MAX / 3, .cap_ms = INT64_MAX - 1};
    for (unsigned i = 1; i < 100; i++) {
        assert_true(cress_backoff_ms(&backoff, i, UINT64_MAX) >= 0);
    }
}

static void test_linear_grows_by_the_base_up_to_the_cap(void **state)
{
    (void)state;
    const struct cress_backoff backoff = {CRESS_BACKOFF_LINEAR, .base_ms = 300, .cap_ms = 1000};
    static const int64_t delays[] = {300, 600, 900, 1000, 1000};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(cress_backoff_ms(&backoff, i + 1, UINT64_MAX / (i + 1)), delays[i]);
    }
    const struct cress_backoff huge = {CRESS_BACKOFF_LINEAR, .base_ms = INT64_MAX / 2,
                                       .cap_ms = INT64_MAX};
    assert_true(cress_backoff_ms(&huge, 3, 0) == INT64_MAX);
    assert_true(cress_backoff_ms(&huge, UINT32_MAX, 0) == INT64_MAX);
}

static void test_fixed_is_the_base(void **state)
{
    (void)state;
    const struct cress_backoff backoff = {CRESS_BACKOFF_FIXED, .base_ms = 5000, .cap_ms = 1000};
    for (unsigned i = 1; i < 5; i++) {
        assert_int_equal(cress_backoff_ms(&backoff, i, i), 5000);
    }
}

static void test_words(void **state)
{
    (void)state;
    enum cress_backoff_kind kind = CRESS_BACKOFF_LINEAR;
    assert_false(cress_backoff_parse("default", &kind));
    assert_false(cress_backoff_parse("", &kind));
    assert_int_equal(kind, CRESS_BACKOFF_LINEAR);
    assert_true(cress_backoff_parse("fixed", &kind));
    assert_int_equal(kind, CRESS_BACKOFF_FIXED);
    assert_true(cress_backoff_parse("exponential", &kind));
    assert_int_equal(kind, CRESS_BACKOFF_EXPONENTIAL);
    assert_string_equal(cress_backoff_list, "exponential, linear, fixed");
    assert_null(cress_backoff_words[CRESS_BACKOFF_COUNT]);
}

/* The schemas and the pages that are written by hand. */
static void expect_in(const char *path, const char *text)
{
    enum { PAGE_MAX = 1 << 20 };
    char *page = calloc(1, PAGE_MAX);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(page, 1, PAGE_MAX - 1, file) > 0);
    if (!strstr(page, text)) {
        fail_msg("%s lacks %s", path, text);
    }
    fclose(file);
    free(page);
}

static void test_documented(void **state)
{
    (void)state;
    char text[128];
    snprintf(text, sizeof text, "Backoff:\n      enum: [%s]\n", cress_backoff_list);
    expect_in("docs/openapi.yaml", text);
    for (size_t i = 0; cress_backoff_words[i]; i++) {
        snprintf(text, sizeof text, "\n| `%s` | ", cress_backoff_words[i]);
        expect_in("docs/wire.md", text);
        snprintf(text, sizeof text, "`%s`", cress_backoff_words[i]);
        expect_in("docs/http-api.md", text);
        snprintf(text, sizeof text, "\"%s\"", cress_backoff_words[i]);
        expect_in("include/cress/cress.h", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_doubles_up_to_the_cap),
        cmocka_unit_test(test_no_overflow),
        cmocka_unit_test(test_linear_grows_by_the_base_up_to_the_cap),
        cmocka_unit_test(test_fixed_is_the_base),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
