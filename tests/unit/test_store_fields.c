// SPDX-License-Identifier: Apache-2.0
// The record as a Redis hash: what is written is read back.
#include "common/base/mem.h"
#include "common/store/fields.h"
#include "tests/unit/unit.h"

/* The reply that HGETALL would give for the words of `args`. */
static void read_back(const struct cress_redis_args *args, struct cress_record *record)
{
    redisReply replies[CRESS_REDIS_ARGS_MAX] = {{0}};
    redisReply *elements[CRESS_REDIS_ARGS_MAX];
    char *texts[CRESS_REDIS_ARGS_MAX];

    for (int i = 0; i < args->count; i++) {
        texts[i] = cress_strndup(args->words[i], args->sizes[i]);
        replies[i] =
            (redisReply){.type = REDIS_REPLY_STRING, .str = texts[i], .len = args->sizes[i]};
        elements[i] = &replies[i];
    }
    const redisReply reply = {
        .type = REDIS_REPLY_ARRAY, .elements = (size_t)args->count, .element = elements};
    struct cress_record view = {.id = record->id};
    cress_fields_read(&reply, &view);
    struct cress_record *copy = cress_record_clone(&view);
    for (int i = 0; i < args->count; i++) {
        free(texts[i]);
    }
    *record = *copy;
    free(copy);
}

static void test_status(void **state)
{
    struct cress_redis_args args;
    char status[CRESS_STATUS_MAX];
    struct cress_record record = {.id = "j",
                                  .state = CRESS_STATE_RUNNING,
                                  .version = 12345678901,
                                  .attempt = 3,
                                  .started_ms = 1764000000123,
                                  .worker = "a b:1",
                                  .batch = "b"};

    (void)state;
    cress_redis_args_init(&args);
    cress_fields_add(&args, &record, status);
    assert_string_equal(args.words[0], "status");
    assert_string_equal(status, "running 12345678901 3 0 1 1764000000123 a b:1");
}

static void test_numbers_come_back(void **state)
{
    for (enum cress_state each = 0; each < CRESS_STATE_COUNT; each++) {
        struct cress_redis_args args;
        char status[CRESS_STATUS_MAX];
        struct cress_record record = {.id = "j",
                                      .state = each,
                                      .version = 7,
                                      .attempt = 2,
                                      .started_ms = 5,
                                      .max_attempts = 9,
                                      .timeout_ms = 1000,
                                      .backoff_base_ms = 4,
                                      .backoff_cap_ms = 40,
                                      .created_ms = INT64_MAX,
                                      .run_at_ms = 1,
                                      .finished_ms = 2,
                                      .expires_ms = 3};

        (void)state;
        cress_redis_args_init(&args);
        cress_fields_add(&args, &record, status);
        cress_redis_add(&args, "a field of a later version");
        cress_redis_add(&args, "x");
        struct cress_record back = {.id = "j"};
        read_back(&args, &back);
        assert_int_equal(back.state, each);
        assert_int_equal(back.version, 7);
        assert_int_equal(back.attempt, 2);
        assert_int_equal(back.started_ms, 5);
        assert_int_equal(back.max_attempts, 9);
        assert_int_equal(back.timeout_ms, 1000);
        assert_int_equal(back.backoff_base_ms, 4);
        assert_int_equal(back.backoff_cap_ms, 40);
        assert_true(back.created_ms == INT64_MAX);
        assert_int_equal(back.run_at_ms, 1);
        assert_int_equal(back.finished_ms, 2);
        assert_int_equal(back.expires_ms, 3);
        assert_null(back.worker);
        assert_null(back.task);
    }
}

static void test_texts_come_back(void **state)
{
    redisReply words[] = {{.str = "status"}, {.str = "failed 4 1 2 0 9 host:1"},
                          {.str = "error"},  {.str = "{\"code\":\"x\"}"},
                          {.str = "task"},   {.str = "t"}};
    redisReply *elements[CRESS_COUNT(words)];
    struct cress_record record = {.id = "j"};

    (void)state;
    for (size_t i = 0; i < CRESS_COUNT(words); i++) {
        elements[i] = &words[i];
    }
    const redisReply reply = {.elements = CRESS_COUNT(words), .element = elements};
    cress_fields_read(&reply, &record);
    assert_int_equal(record.state, CRESS_STATE_FAILED);
    assert_string_equal(record.worker, "host:1");
    assert_string_equal(record.error, "{\"code\":\"x\"}");
    assert_string_equal(record.task, "t");
    assert_null(record.payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_numbers_come_back),
        cmocka_unit_test(test_texts_come_back),
    };
    return cmocka_run_group_tests_name("store_fields", tests, NULL, NULL);
}
