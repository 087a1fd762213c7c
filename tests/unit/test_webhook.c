// SPDX-License-Identifier: Apache-2.0
// Tests of worker/handler/webhook.h. The expected signatures were made with Python's hmac.
#include "common/base/mem.h"
#include "tests/unit/unit.h"
#include "worker/handler/webhook.h"

#define SECRET_24 "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define SECRET_64                                                                            \
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7" \
    "PD0+Pw=="
#define SIGNATURE_24 "v1,nYy06yoYKwA2fQujxc6RTVQaAZZa7SWzfyqq7QtrGrE="
#define SIGNATURE_64 "v1,p8drrSylc2XP+V4at5Ku+59tHgwJTLbnpgX0ocijp7I="

static void assert_signature(const char *secrets, const char *expected)
{
    static const char body[] = "{\"a\":1}";
    struct cress_webhook_keys keys;
    struct cress_buf out = cress_buf_make(4096);
    assert_int_equal(cress_webhook_keys_parse(secrets, &keys, NULL), CRESS_OK);
    cress_webhook_sign(&keys, "job-1", 1700000000, body, sizeof body - 1, &out);
    assert_string_equal(cress_buf_text(&out), expected);
    cress_buf_free(&out);
}

static void signs_with_one_key(void **state)
{
    (void)state;
    assert_signature(SECRET_24, SIGNATURE_24);
    assert_signature("\n" SECRET_64 "\r\n", SIGNATURE_64);
}

static void signs_with_each_key_of_a_rotation(void **state)
{
    (void)state;
    assert_signature(SECRET_24 "\n" SECRET_64 "\n", SIGNATURE_24 " " SIGNATURE_64);
    assert_signature(SECRET_64 ", " SECRET_24, SIGNATURE_64 " " SIGNATURE_24);
}

static void reads_the_bytes_of_a_key(void **state)
{
    (void)state;
    struct cress_webhook_keys keys;
    assert_int_equal(cress_webhook_keys_parse(SECRET_64, &keys, NULL), CRESS_OK);
    assert_int_equal(keys.count, 1);
    assert_int_equal(keys.keys[0].size, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(keys.keys[0].bytes[i], i);
    }
}

static void refuses_wrong_secrets_without_showing_them(void **state)
{
    (void)state;
    static const char too_large[] = SECRET_64 "AAAA";
    static const char one_good[] = SECRET_24 " nonsense";
    static const char *const wrong[] = {
        "",
        " \n",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",            /* no prefix */
        "whsec_",                                      /* nothing */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=",      /* 23 bytes */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAAA!", /* no base64 */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAA",    /* unpadded */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXA===",  /* three of padding */
        "whsec_AAEC=wQFBgcICQoLDA0ODxAREhMUFRYX",      /* padding inside */
        too_large,
        one_good,
    };
    for (size_t i = 0; i < CRESS_COUNT(wrong); i++) {
        struct cress_webhook_keys keys = {.count = 77};
        struct cress_error err;
        assert_int_equal(cress_webhook_keys_parse(wrong[i], &keys, &err), CRESS_CONFIG);
        assert_string_equal(err.code, "bad_secret");
        assert_null(strstr(err.message, "AAEC"));
        assert_int_equal(keys.count, 77);
    }
}

static void has_an_end_of_patience_with_secrets(void **state)
{
    (void)state;
    struct cress_buf text = cress_buf_make(4096);
    struct cress_webhook_keys keys;
    for (int i = 0; i < CRESS_WEBHOOK_KEYS_MAX; i++) {
        cress_buf_add_text(&text, SECRET_24 "\n");
    }
    assert_int_equal(cress_webhook_keys_parse(cress_buf_text(&text), &keys, NULL), CRESS_OK);
    cress_buf_add_text(&text, SECRET_24);
    assert_int_equal(cress_webhook_keys_parse(cress_buf_text(&text), &keys, NULL), CRESS_CONFIG);
    cress_buf_free(&text);
}

static void judges_statuses(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum cress_outcome_kind kind;
    } table[] = {
        {200, CRESS_OUTCOME_SUCCEEDED}, {204, CRESS_OUTCOME_SUCCEEDED},
        {299, CRESS_OUTCOME_SUCCEEDED}, {301, CRESS_OUTCOME_FAILED},
        {304, CRESS_OUTCOME_FAILED},    {400, CRESS_OUTCOME_FAILED},
        {404, CRESS_OUTCOME_FAILED},    {408, CRESS_OUTCOME_RETRY},
        {410, CRESS_OUTCOME_FAILED},    {425, CRESS_OUTCOME_RETRY},
        {429, CRESS_OUTCOME_RETRY},     {500, CRESS_OUTCOME_RETRY},
        {503, CRESS_OUTCOME_RETRY},     {599, CRESS_OUTCOME_RETRY},
    };
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        assert_int_equal(cress_webhook_judge(table[i].status), table[i].kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_with_one_key),
        cmocka_unit_test(signs_with_each_key_of_a_rotation),
        cmocka_unit_test(reads_the_bytes_of_a_key),
        cmocka_unit_test(refuses_wrong_secrets_without_showing_them),
        cmocka_unit_test(has_an_end_of_patience_with_secrets),
        cmocka_unit_test(judges_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
