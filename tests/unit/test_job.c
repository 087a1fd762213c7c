// SPDX-License-Identifier: Apache-2.0
// Tests of common/job/job.h: the rules, requests, and the AMQP form.
#include "common/base/mem.h"
#include "common/job/job.h"
#include "tests/unit/unit.h"

enum { NOW_MS = 1000000 };

/* --- rules --- */

static char *long_text(size_t size)
{
    char *text = cress_alloc(size + 1);
    memset(text, 'a', size);
    return text;
}

static void test_priorities(void **state)
{
    (void)state;
    enum cress_priority priority;
    assert_true(cress_priority_parse("high", &priority));
    assert_int_equal(priority, CRESS_PRIORITY_HIGH);
    assert_true(cress_priority_parse("low", &priority));
    assert_string_equal(cress_priority_word(priority), "low");
    assert_string_equal(cress_priority_word(CRESS_PRIORITY_NORMAL), "normal");
    assert_false(cress_priority_parse("", &priority));
    assert_false(cress_priority_parse("High", &priority));
}

static void test_reserved_names(void **state)
{
    (void)state;
    for (const char *const *name = cress_task_names(); *name; name++) {
        assert_true(cress_task_is_valid(*name));
        assert_false(cress_task_is_misspelt(*name));
    }
    assert_true(cress_task_is_misspelt("cress.ecko"));
    assert_true(cress_task_is_misspelt("page."));
    assert_true(cress_task_is_misspelt("site.prerender2"));
    assert_false(cress_task_is_misspelt("mail.send"));
    assert_false(cress_task_is_misspelt("cress"));
    assert_false(cress_task_is_misspelt("pages.render"));
}

static void test_check(void **state)
{
    (void)state;
    static const struct cress_job good = {.task = "mail.send",
                                          .queue = "mail",
                                          .id = "a:b@c_1.2-3",
                                          .payload = "{}",
                                          .payload_size = 2};
    char *name129 = long_text(129), *name128 = long_text(128), *queue201 = long_text(201);
    const struct {
        const char *task, *queue, *id, *batch;
        size_t payload_size;
        enum cress_status status;
    } cases[] = {
        {"t", "q", "i", "b", 10, CRESS_OK},
        {"t", "q", NULL, NULL, 0, CRESS_OK},
        {name128, "q", NULL, NULL, 0, CRESS_OK},
        {name129, "q", NULL, NULL, 0, CRESS_INVALID},
        {"", "q", NULL, NULL, 0, CRESS_INVALID},
        {NULL, "q", NULL, NULL, 0, CRESS_INVALID},
        {"a b", "q", NULL, NULL, 0, CRESS_INVALID},
        {"caf\xC3\xA9", "q", NULL, NULL, 0, CRESS_INVALID},
        {"cress.nope", "q", NULL, NULL, 0, CRESS_INVALID},
        {"t", "", NULL, NULL, 0, CRESS_INVALID},
        {"t", NULL, NULL, NULL, 0, CRESS_INVALID},
        {"t", queue201, NULL, NULL, 0, CRESS_INVALID},
        {"t", "q/r", NULL, NULL, 0, CRESS_INVALID},
        {"t", "q.high", NULL, NULL, 0, CRESS_INVALID},
        {"t", "q.dead", NULL, NULL, 0, CRESS_INVALID},
        {"t", "high", NULL, NULL, 0, CRESS_OK},
        {"t", "amq.gen", NULL, NULL, 0, CRESS_INVALID},
        {"t", "cress.later.64", NULL, NULL, 0, CRESS_INVALID},
        {"t", "q", "", NULL, 0, CRESS_INVALID},
        {"t", "q", "a/b", NULL, 0, CRESS_INVALID},
        {"t", "q", name128, NULL, 0, CRESS_OK},
        {"t", "q", name129, NULL, 0, CRESS_INVALID},
        {"t", "q", "i", "b b", 0, CRESS_INVALID},
        {"t", "q", NULL, NULL, 11, CRESS_TOO_LARGE},
        {"t", "q", NULL, NULL, SIZE_MAX, CRESS_TOO_LARGE},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_job job = good;
        struct cress_error err = {0};
        job.task = cases[i].task;
        job.queue = cases[i].queue;
        job.id = cases[i].id;
        job.batch = cases[i].batch;
        job.payload_size = cases[i].payload_size;
        assert_int_equal(cress_job_check(&job, 10, &err), cases[i].status);
        assert_int_equal(err.status, cases[i].status);
    }
    free(name128);
    free(name129);
    free(queue201);
}

/* --- requests --- */

static enum cress_status read_request(const char *text, struct cress_job *job, char **texts,
                                      struct cress_error *err)
{
    return cress_job_from_request(text, strlen(text), NOW_MS, job, texts, err);
}

static void test_a_request_with_everything(void **state)
{
    (void)state;
    static const char request[] =
        "{\"task\": \"page.r\\u0065nder\", \"payload\": {\"b\": [1, 2.5], \"a\": \"\\u00e9\"},"
        " \"queue\": \"pages\", \"priority\": \"low\", \"id\": \"x1\", \"delay_ms\": 500,"
        " \"max_attempts\": 7, \"backoff\": \"linear\", \"backoff_base_ms\": 60000,"
        " \"backoff_cap_ms\": 900000, \"timeout_ms\": 1500, \"expires_ms\": 9000,"
        " \"key\": \"tenant-7\", \"unique\": \"report 7\", \"unique_for_ms\": 60000,"
        " \"after\": [\"a\", \"b\"], \"after_any\": true}";
    static const char payload[] = "{\"b\": [1, 2.5], \"a\": \"\\u00e9\"}";
    struct cress_job job;
    char *texts;
    assert_int_equal(read_request(request, &job, &texts, NULL), CRESS_OK);
    assert_string_equal(job.task, "page.render");
    assert_int_equal(job.payload_size, strlen(payload));
    assert_memory_equal(job.payload, payload, strlen(payload));
    assert_string_equal(job.queue, "pages");
    assert_int_equal(job.priority, CRESS_PRIORITY_LOW);
    assert_string_equal(job.id, "x1");
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.max_attempts, 7);
    assert_string_equal(job.backoff, "linear");
    assert_int_equal(job.backoff_base_ms, 60000);
    assert_int_equal(job.backoff_cap_ms, 900000);
    assert_int_equal(job.timeout_ms, 1500);
    assert_int_equal(job.created_ms, NOW_MS);
    assert_int_equal(job.not_before_ms, NOW_MS + 500);
    assert_int_equal(job.expires_ms, NOW_MS + 9000);
    assert_string_equal(job.key, "tenant-7");
    assert_string_equal(job.unique, "report 7");
    assert_int_equal(job.unique_for_ms, 60000);
    assert_string_equal(job.after, "a,b");
    assert_true(job.after_any);
    free(texts);
}

/* What no number type holds, and what a parser would tidy up. */
static void test_payloads_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const payloads[] = {
        "18446744073709551615", "1e400",  "0.3", "-0", "1E5", "\"\\u0000\"", "\"\\ud800\"",
        "{\"a\":1,\"a\":2}",    "[1,\n2]"};
    for (size_t i = 0; i < CRESS_COUNT(payloads); i++) {
        char *request = cress_format("{\"payload\" : %s ,\"task\":\"t\"}", payloads[i]);
        struct cress_job job;
        char *texts;
        assert_int_equal(read_request(request, &job, &texts, NULL), CRESS_OK);
        assert_int_equal(job.payload_size, strlen(payloads[i]));
        assert_memory_equal(job.payload, payloads[i], job.payload_size);
        free(texts);
        free(request);
    }
}

static void test_a_request_with_little(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"task\": \"t\"}",
        "{\"task\": \"t\", \"payload\": null, \"queue\": null, \"priority\": null, \"id\": null,"
        " \"delay_ms\": null, \"run_at\": null, \"max_attempts\": null, \"timeout_ms\": null,"
        " \"expires_ms\": null, \"after\": null, \"after_any\": null, \"backoff\": null, "
        "\"backoff_base_ms\": null,"
        " \"backoff_cap_ms\": null}",
        "{\"task\": \"t\", \"delay_ms\": 0}",
        "{\"task\": \"t\", \"run_at\": \"1970-01-01T00:00:01Z\"}", /* the past means now */
    };
    for (size_t i = 0; i < CRESS_COUNT(texts); i++) {
        struct cress_job job;
        char *room;
        assert_int_equal(read_request(texts[i], &job, &room, NULL), CRESS_OK);
        assert_int_equal(job.payload_size, 4);
        assert_memory_equal(job.payload, "null", 4);
        assert_string_equal(job.queue, "default");
        assert_int_equal(job.priority, CRESS_PRIORITY_NORMAL);
        assert_null(job.id);
        assert_int_equal(job.max_attempts, 0);
        assert_null(job.backoff);
        assert_int_equal(job.backoff_base_ms, 0);
        assert_int_equal(job.backoff_cap_ms, 0);
        assert_int_equal(job.timeout_ms, 0);
        assert_int_equal(job.not_before_ms, 0);
        assert_int_equal(job.expires_ms, 0);
        free(room);
    }
}

static void test_run_at_in_the_future(void **state)
{
    (void)state;
    struct cress_job job;
    char *texts;
    assert_int_equal(read_request("{\"task\": \"t\", \"run_at\": \"1970-01-01T02:00:00+01:00\"}",
                                  &job, &texts, NULL),
                     CRESS_OK);
    assert_int_equal(job.not_before_ms, 3600000);
    free(texts);
}

static void test_requests_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *names; /* what the message must mention */
    } cases[] = {
        {"[]", "object"},
        {"null", "object"},
        {"\"task\"", "object"},
        {"{}", "task"},
        {"{\"task\": null}", "task"},
        {"{\"task\": \"\"}", "task"},
        {"{\"task\": 7}", "task must be a string"},
        {"{\"task\": \"a\\u0000b\"}", "NUL"},
        {"{\"task\": \"cress.ecco\"}", "cress.echo"},
        {"{\"task\": \"t\", \"taks\": 1}", "did you mean \"task\""},
        {"{\"task\": \"t\", \"zzzzzzzzzzzz\": 1}", "zzzzzzzzzzzz"},
        {"{\"task\": \"t\", \"queue\": \"a b\"}", "queue"},
        {"{\"task\": \"t\", \"queue\": [\"a\"]}", "queue must be a string"},
        {"{\"task\": \"t\", \"priority\": \"urgent\"}", "high, normal, low"},
        {"{\"task\": \"t\", \"priority\": 1}", "priority must be a string"},
        {"{\"task\": \"t\", \"id\": \"../x\"}", "id"},
        {"{\"task\": \"t\", \"delay_ms\": -1}", "delay_ms is -1"},
        {"{\"task\": \"t\", \"delay_ms\": 1.5}", "delay_ms must be a whole number"},
        {"{\"task\": \"t\", \"delay_ms\": \"1\"}", "delay_ms must be a whole number"},
        {"{\"task\": \"t\", \"delay_ms\": 9223372036854775807}", "delay_ms"},
        {"{\"task\": \"t\", \"delay_ms\": 1, \"run_at\": \"2030-01-01T00:00:00Z\"}", "not both"},
        {"{\"task\": \"t\", \"delay_ms\": 0, \"run_at\": \"2030-01-01T00:00:00Z\"}", "not both"},
        {"{\"task\": \"t\", \"run_at\": \"tomorrow\"}", "run_at"},
        {"{\"task\": \"t\", \"run_at\": \"2030-01-01T00:00:00\"}", "run_at"},
        {"{\"task\": \"t\", \"run_at\": 1700000000}", "run_at must be a string"},
        {"{\"task\": \"t\", \"max_attempts\": 0}", "max_attempts is 0"},
        {"{\"task\": \"t\", \"max_attempts\": 1001}", "1 to 1000"},
        {"{\"task\": \"t\", \"max_attempts\": true}", "max_attempts must be"},
        {"{\"task\": \"t\", \"backoff\": \"default\"}", "exponential, linear, fixed"},
        {"{\"task\": \"t\", \"backoff_base_ms\": 0}", "backoff_base_ms"},
        {"{\"task\": \"t\", \"backoff_cap_ms\": 31536000001}", "backoff_cap_ms"},
        {"{\"task\": \"t\", \"timeout_ms\": 0}", "timeout_ms"},
        {"{\"task\": \"t\", \"after\": \"a\"}", "array of ids"},
        {"{\"task\": \"t\", \"after\": [\"a b\"]}", "\"a b\" is not an id"},
        {"{\"task\": \"t\", \"after\": [\"a,b\"]}", "array of ids"},
        {"{\"task\": \"t\", \"after\": [\"a\", \"\"]}", "array of ids"},
        {"{\"task\": \"t\", \"after\": [1]}", "array of ids"},
        {"{\"task\": \"t\", \"after\": [\"a\\u0000\"]}", "array of ids"},
        {"{\"task\": \"t\", \"task\": \"t\"}", "task is given twice"},
        {"{\"task\": \"t\", \"t\\u0061sk\": null}", "task is given twice"},
        {"{\"task\": \"t\", \"payload\": 1, \"payload\": 2}", "payload is given twice"},
        {"{\"task\": \"t\", \"delay_ms\": 99999999999999999999999}", "delay_ms is 99999"},
        {"{\"task\": \"t\", \"after\": [\"a\"], \"after_any\": 1}", "true or false"},
        {"{\"task\": \"t\", \"after_any\": true}", "after_any goes with after"},
        {"{\"task\": \"t\", \"expires_ms\": 0}", "expires_ms"},
        {"{\"task\": \"t\", \"key\": \"a b\"}", "key"},
        {"{\"task\": \"t\", \"unique\": \"\"}", "unique"},
        {"{\"task\": \"t\", \"unique\": \"a\\n\"}", "unique"},
        {"{\"task\": \"t\", \"unique_for_ms\": 5}", "unique_for_ms"},
        {"{\"task\": \"t\", \"expires_ms\": 5, \"delay_ms\": 5}", "expire before it is due"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_job job = {.attempt = 77};
        char *texts = NULL;
        struct cress_error err;
        assert_int_equal(read_request(cases[i].text, &job, &texts, &err), CRESS_INVALID);
        if (!strstr(err.message, cases[i].names)) {
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.message, cases[i].names);
        }
        assert_int_equal(job.attempt, 77);
        assert_null(texts);
    }
}

static void test_what_is_no_json_is_no_request(void **state)
{
    (void)state;
    struct cress_job job;
    struct cress_error err;
    char *texts = NULL;
    assert_int_equal(read_request("{\"task\": \"t\", \"payload\": 01}", &job, &texts, &err),
                     CRESS_MALFORMED);
    assert_string_equal(err.code, "bad_json");
    assert_string_equal(err.message,
                        "line 1, column 27: a number cannot begin with 0 and another digit");
    assert_null(texts);
}

/* --- messages --- */

static void test_a_job_survives_the_wire(void **state)
{
    (void)state;
    const struct cress_job job = {
        .id = "x1",
        .task = "mail.send",
        .queue = "mail",
        .priority = CRESS_PRIORITY_HIGH,
        .payload = "[1]",
        .payload_size = 3,
        .attempt = 2,
        .max_attempts = 7,
        .backoff = "fixed",
        .backoff_base_ms = 5000,
        .backoff_cap_ms = 6000,
        .timeout_ms = 1500,
        .created_ms = 1700000000000,
        .not_before_ms = 1700000001000,
        .expires_ms = 1700000002000,
        .key = "tenant-7",
        .unique = "report 7",
        .unique_for_ms = 60000,
        .after = "a,b",
        .batch = "b1",
        .reply_to = "amq.rabbitmq.reply-to",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    cress_job_to_message(&job, headers, &message);
    assert_string_equal(message.exchange, "");
    assert_string_equal(message.routing_key, "mail");
    assert_string_equal(message.content_type, "application/json");
    assert_false(message.transient);
    assert_int_equal(message.header_count, 13);

    struct cress_job back;
    assert_int_equal(
        cress_job_from_message(&message, "mail", CRESS_PRIORITY_HIGH, NULL, &back, NULL), CRESS_OK);
    assert_string_equal(back.id, job.id);
    assert_string_equal(back.task, job.task);
    assert_string_equal(back.queue, job.queue);
    assert_int_equal(back.priority, job.priority);
    assert_ptr_equal(back.payload, job.payload);
    assert_int_equal(back.payload_size, job.payload_size);
    assert_int_equal(back.attempt, job.attempt);
    assert_int_equal(back.max_attempts, job.max_attempts);
    assert_string_equal(back.backoff, job.backoff);
    assert_int_equal(back.backoff_base_ms, job.backoff_base_ms);
    assert_int_equal(back.backoff_cap_ms, job.backoff_cap_ms);
    assert_int_equal(back.timeout_ms, job.timeout_ms);
    assert_int_equal(back.created_ms, job.created_ms);
    assert_int_equal(back.not_before_ms, job.not_before_ms);
    assert_int_equal(back.expires_ms, job.expires_ms);
    assert_string_equal(back.key, job.key);
    assert_string_equal(back.unique, job.unique);
    assert_int_equal(back.unique_for_ms, job.unique_for_ms);
    assert_string_equal(back.batch, job.batch);
    assert_string_equal(back.reply_to, job.reply_to);
    assert_string_equal(back.traceparent, job.traceparent);
    assert_string_equal(back.after, job.after);
}

/* The message of a job that has waited is made from its record alone: nothing may be missing. */
static void test_a_job_survives_its_record(void **state)
{
    (void)state;
    const struct cress_record record = {
        .id = "x1",
        .task = "mail.send",
        .queue = "mail",
        .priority = "low",
        .state = CRESS_STATE_WAITING,
        .payload = "[1]",
        .max_attempts = 7,
        .backoff = "fixed",
        .backoff_base_ms = 5000,
        .backoff_cap_ms = 6000,
        .timeout_ms = 1500,
        .created_ms = 1700000000000,
        .run_at_ms = 1700000001000,
        .expires_ms = 1700000002000,
        .key = "tenant-7",
        .unique = "report 7",
        .after = "a,b",
        .after_any = true,
        .batch = "b1",
        .reply_to = "answers",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    struct cress_job job;
    cress_job_from_record(&record, &job);
    assert_ptr_equal(job.id, record.id);
    assert_ptr_equal(job.task, record.task);
    assert_ptr_equal(job.queue, record.queue);
    assert_int_equal(job.priority, CRESS_PRIORITY_LOW);
    assert_int_equal(job.payload_size, 3);
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.not_before_ms, record.run_at_ms);
    assert_true(job.after_any);
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    cress_job_to_message(&job, headers, &message);
    assert_int_equal(message.header_count, 12);
    assert_string_equal(message.correlation_id, "b1");
    assert_string_equal(message.reply_to, "answers");
}

static const struct cress_message foreign = {
    .exchange = "", .routing_key = "mail", .type = "t", .body = "1", .body_size = 1};

static enum cress_status decode(const struct cress_message *message, const char *default_task,
                                struct cress_job *job, struct cress_error *err)
{
    return cress_job_from_message(message, "mail", CRESS_PRIORITY_NORMAL, default_task, job, err);
}

static void test_type_and_body_are_enough(void **state)
{
    (void)state;
    struct cress_job job;
    assert_int_equal(decode(&foreign, NULL, &job, NULL), CRESS_OK);
    assert_null(job.id);
    assert_null(job.batch);
    assert_int_equal(job.attempt, 1);
    assert_int_equal(job.max_attempts, 0);
    assert_int_equal(job.created_ms, 0);

    struct cress_message message = foreign;
    message.type = NULL;
    assert_int_equal(decode(&message, "fallback", &job, NULL), CRESS_OK);
    assert_string_equal(job.task, "fallback");
    message.type = "";
    message.message_id = message.correlation_id = message.reply_to = message.content_type = "";
    assert_int_equal(decode(&message, "fallback", &job, NULL), CRESS_OK);
    assert_null(job.id);
    assert_null(job.batch);
    assert_null(job.reply_to);

    message.correlation_id = "not an id";
    message.reply_to = "answers";
    assert_int_equal(decode(&message, "fallback", &job, NULL), CRESS_OK);
    assert_null(job.batch);
    message.correlation_id = "b-1";
    assert_int_equal(decode(&message, "fallback", &job, NULL), CRESS_OK);
    assert_string_equal(job.batch, "b-1");
}

static void test_properties(void **state)
{
    (void)state;
    char *id129 = long_text(129);
    const struct {
        const char *type, *content_type, *message_id, *correlation_id;
        size_t body_size;
        const char *problem; /* NULL: none */
    } cases[] = {
        {"t", "application/json", "i", "b", 1, NULL},
        {"t", "Application/JSON; charset=utf-8", NULL, NULL, 1, NULL},
        {"t", "application/vnd.api+json", NULL, NULL, 1, NULL},
        {"t", "text/plain", NULL, NULL, 1, "content_type"},
        {"t", "application/jsonx", NULL, NULL, 1, "content_type"},
        {"t", "json", NULL, NULL, 1, "content_type"},
        {"t", "+json", NULL, NULL, 1, "content_type"},
        {"t", ";", NULL, NULL, 1, "content_type"},
        {NULL, NULL, NULL, NULL, 1, "no task"},
        {"a b", NULL, NULL, NULL, 1, "type"},
        {id129, NULL, NULL, NULL, 1, "type"},
        {"t", NULL, "a b", NULL, 1, "message_id"},
        {"t", NULL, id129, NULL, 1, "message_id"},
        {"t", NULL, NULL, "a\nb", 1, "correlation_id"},
        {"t", NULL, NULL, NULL, 0, "body"},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_message message = foreign;
        struct cress_job job = {.attempt = 77};
        struct cress_error err = {0};
        message.type = cases[i].type;
        message.content_type = cases[i].content_type;
        message.message_id = cases[i].message_id;
        message.correlation_id = cases[i].correlation_id;
        message.body_size = cases[i].body_size;
        assert_int_equal(decode(&message, NULL, &job, &err),
                         cases[i].problem ? CRESS_MALFORMED : CRESS_OK);
        if (cases[i].problem) {
            assert_non_null(strstr(err.message, cases[i].problem));
            assert_int_equal(job.attempt, 77);
        }
    }
    free(id129);
}

static void test_timestamps(void **state)
{
    (void)state;
    static const struct {
        int64_t timestamp_s, created_ms;
    } cases[] = {{0, 0},         {-1, 0},       {1700000000, 1700000000000}, {1700000000000, 0},
                 {INT64_MAX, 0}, {INT64_MIN, 0}};
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_message message = foreign;
        struct cress_job job;
        message.timestamp_s = cases[i].timestamp_s;
        assert_int_equal(decode(&message, NULL, &job, NULL), CRESS_OK);
        assert_int_equal(job.created_ms, cases[i].created_ms);
    }
}

#define TEXT(n, t)                                          \
    {                                                       \
        .name = (n), .kind = CRESS_HEADER_TEXT, .text = (t) \
    }
#define INT(n, v)                                            \
    {                                                        \
        .name = (n), .kind = CRESS_HEADER_INT, .number = (v) \
    }

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        struct cress_header header;
        bool good;
    } cases[] = {
        {INT("attempt", 3), true},
        {TEXT("attempt", "3"), true},
        {INT("attempt", 0), false},
        {INT("attempt", INT64_MAX), false},
        {TEXT("attempt", ""), false},
        {TEXT("attempt", "three"), false},
        {TEXT("attempt", "3 "), false},
        {{.name = "attempt", .kind = CRESS_HEADER_BOOL, .number = 1}, false},
        {{.name = "attempt", .kind = CRESS_HEADER_OTHER}, false},
        {INT("max_attempts", 0), true},
        {INT("max_attempts", 1000), true},
        {INT("max_attempts", 1001), false},
        {INT("max_attempts", -1), false},
        {INT("timeout_ms", 31536000000), true},
        {INT("timeout_ms", 31536000001), false},
        {INT("timeout_ms", -1), false},
        {INT("not_before_ms", 253402300799999), true},
        {INT("not_before_ms", 253402300800000), false},
        {TEXT("expires_ms", "1700000000000"), true},
        {TEXT("expires_ms", "99999999999999999999"), false},
        {INT("expires_ms", INT64_MIN), false},
        {TEXT("backoff", "fixed"), true},
        {TEXT("backoff", "quadratic"), false},
        {INT("backoff", 1), false},
        {INT("backoff_base_ms", 31536000001), false},
        {INT("backoff_cap_ms", -1), false},
        {TEXT("traceparent", "not a trace"), true},
        {TEXT("key", "tenant-7"), true},
        {TEXT("key", ""), true},
        {TEXT("key", "a b"), false},
        {INT("key", 7), false},
        {TEXT("unique", "report 7"), true},
        {TEXT("unique", "\x01"), false},
        {INT("unique", 7), false},
        {TEXT("unique_for_ms", "-1"), false},
        {{.name = "traceparent", .kind = CRESS_HEADER_OTHER}, true},
        {{.name = "x-death", .kind = CRESS_HEADER_OTHER}, true},
        {TEXT("Attempt", "many"), true},
        {TEXT("", ""), true},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_message message = foreign;
        struct cress_job job = {0};
        struct cress_error err = {0};
        message.headers = &cases[i].header;
        message.header_count = 1;
        assert_int_equal(decode(&message, NULL, &job, &err),
                         cases[i].good ? CRESS_OK : CRESS_MALFORMED);
        if (!cases[i].good) {
            assert_non_null(strstr(err.message, cases[i].header.name));
        }
    }
}

static void test_a_bad_traceparent_is_dropped(void **state)
{
    (void)state;
    static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char *const bad[] = {
        "",
        "00",
        "00-",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c",
    };
    struct cress_header header = TEXT("traceparent", good);
    struct cress_message message = foreign;
    struct cress_job job;
    message.headers = &header;
    message.header_count = 1;
    assert_int_equal(decode(&message, NULL, &job, NULL), CRESS_OK);
    assert_string_equal(job.traceparent, good);
    for (size_t i = 0; i < CRESS_COUNT(bad); i++) {
        header.text = bad[i];
        assert_int_equal(decode(&message, NULL, &job, NULL), CRESS_OK);
        assert_null(job.traceparent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_reserved_names),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_a_request_with_everything),
        cmocka_unit_test(test_a_request_with_little),
        cmocka_unit_test(test_run_at_in_the_future),
        cmocka_unit_test(test_requests_that_are_refused),
        cmocka_unit_test(test_payloads_stay_as_they_are),
        cmocka_unit_test(test_what_is_no_json_is_no_request),
        cmocka_unit_test(test_a_job_survives_the_wire),
        cmocka_unit_test(test_a_job_survives_its_record),
        cmocka_unit_test(test_type_and_body_are_enough),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_a_bad_traceparent_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
