// SPDX-License-Identifier: Apache-2.0
// Masks of error messages as a table, and what makes two errors one.
#include "common/base/mem.h"
#include "common/job/fingerprint.h"
#include "tests/unit/unit.h"

static void test_masks(void **state)
{
    (void)state;
    static const struct {
        const char *message, *mask;
    } cases[] = {
        {"", ""},
        {"no luck", "no luck"},
        {"took 31 ms", "took # ms"},
        {"connect to 10.0.0.7:5432 failed after 31 ms", "connect to # failed after # ms"},
        {"at 2026-11-25T22:40:21.123Z", "at #-#T#.#Z"},
        {"job 0198c1f2-6c1b-7c38-9d5e-3f0e4c198d9c", "job #"},
        {"object 9f86d081884c7d65 is gone", "object # is gone"},
        {"at 0x7ffe, then 0XBEEF", "at #, then #"},
        {"a bad face, a deadbeef", "a bad face, a deadbeef"},
        {"host12 and v2", "host# and v#"},
        {"no user \"bob\" in 'users' or `t`", "no user \"*\" in '*' or `*`"},
        {"can't open; won't", "can't open; won't"},
        {"an open \"quote", "an open \"quote"},
        {"GET https://example.com/a/b?c=7 answered 503", "GET https://example.com/* answered #"},
        {"GET http://10.0.0.1:80 failed", "GET http://10.0.0.1:80 failed"},
        {"GET http://a\xFF\xC3/b", "GET http://a?\?/*"},
        {"put s3://bucket/key/1.html, again", "put s3://bucket/*, again"},
        {"  many \t blanks \n", "many blanks"},
        {"gr\303\266\303\237e 7", "gr\303\266\303\237e #"},
        {"bad \377 byte", "bad ? byte"},
        {"-5 or 1,5 or 1.", "-# or # or #."},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        char mask[CRESS_MASK_MAX];
        assert_string_equal(cress_error_mask(cases[i].message, mask), cases[i].mask);
    }
}

static void test_a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    char message[1001] = "", mask[CRESS_MASK_MAX];
    for (size_t i = 0; i + 2 < sizeof message; i += 2) {
        message[i] = '\303';
        message[i + 1] = '\266';
    }
    cress_error_mask(message, mask);
    assert_int_equal(strlen(mask) % 2, 0);
    assert_in_range(strlen(mask), CRESS_MASK_MAX - 4, CRESS_MASK_MAX - 1);
}

static void test_fingerprints_tell_kinds_apart(void **state)
{
    (void)state;
    char a[CRESS_FINGERPRINT_TEXT_SIZE], b[CRESS_FINGERPRINT_TEXT_SIZE];
    cress_error_fingerprint("mail", "timeout", "after 31 ms", a);
    assert_int_equal(strlen(a), CRESS_FINGERPRINT_TEXT_SIZE - 1);
    assert_string_equal(a, cress_error_fingerprint("mail", "timeout", "after 7 ms", b));
    assert_string_not_equal(a, cress_error_fingerprint("mail", "timeout", "before 7 ms", b));
    assert_string_not_equal(a, cress_error_fingerprint("mail", "crashed", "after 7 ms", b));
    assert_string_not_equal(a, cress_error_fingerprint("mailt", "imeout", "after 7 ms", b));
    assert_string_equal(cress_error_fingerprint(NULL, NULL, NULL, a),
                        cress_error_fingerprint("", "", "", b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_a_long_message_is_cut_between_characters),
        cmocka_unit_test(test_fingerprints_tell_kinds_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
