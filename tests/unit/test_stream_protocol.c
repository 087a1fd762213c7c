// SPDX-License-Identifier: Apache-2.0
// Tests of worker/handler/stream_protocol.h.
#include "common/base/mem.h"
#include "tests/unit/unit.h"
#include "worker/handler/stream_protocol.h"

#include <stdio.h>

/* --- jobs --- */

static struct cress_job make_job(const char *payload)
{
    return (struct cress_job){.id = "job-1",
                              .task = "thumb",
                              .attempt = 2,
                              .max_attempts = 5,
                              .payload = payload,
                              .payload_size = strlen(payload)};
}

static void writes_a_job_as_one_line(void **state)
{
    (void)state;
    struct cress_buf out = cress_buf_make(4096);
    const struct cress_job job = make_job(
        "{\n  \"a\": \"x\\ny\",\r\n  \"b\": [18446744073709551615, 1e400, 0.3, \"\\u0000\"]\r}");
    assert_true(cress_stream_add_job(&out, &job, NULL, 1795460400000));
    assert_string_equal(cress_buf_text(&out),
                        "{\"id\":\"job-1\",\"task\":\"thumb\",\"attempt\":2,\"max_attempts\":5,"
                        "\"deadline_ms\":1795460400000,\"payload\":{   \"a\": \"x\\ny\",    "
                        "\"b\": [18446744073709551615, 1e400, 0.3, \"\\u0000\"] }}\n");
    cress_buf_free(&out);
}

static void passes_the_trace_on(void **state)
{
    (void)state;
    struct cress_buf out = cress_buf_make(4096);
    struct cress_job job = make_job("null");
    job.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_true(cress_stream_add_job(&out, &job, NULL, 1));
    assert_non_null(strstr(cress_buf_text(&out),
                           "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-"
                           "b7ad6b7169203331-01\",\"payload\":null}\n"));
    cress_buf_free(&out);
}

static void tells_of_a_cancellation(void **state)
{
    (void)state;
    struct cress_buf out = cress_buf_make(100);
    cress_stream_add_cancel(&out, "job-1");
    assert_string_equal(cress_buf_text(&out), "{\"cancel\":\"job-1\"}\n");
    cress_buf_free(&out);
}

static void leaves_a_full_buffer_as_it_was(void **state)
{
    (void)state;
    struct cress_buf out = cress_buf_make(200);
    const struct cress_job small = make_job("1");
    const struct cress_job large = make_job("\"0123456789012345678901234567890123456789\"");
    assert_true(cress_stream_add_job(&out, &small, NULL, 1));
    const size_t size = out.size;
    assert_false(cress_stream_add_job(&out, &large, NULL, 1));
    assert_int_equal(out.size, size);
    assert_false(out.overflowed);
    cress_buf_free(&out);
}

/* --- messages --- */

static struct cress_stream_message parse(const char *line)
{
    struct cress_stream_message message;
    struct cress_error err = {.message = ""};
    if (cress_stream_parse(line, strlen(line), &message, &err) != CRESS_OK) {
        fail_msg("%s: %s", line, err.message);
    }
    return message;
}

static void reads_greetings(void **state)
{
    (void)state;
    struct cress_stream_message message = parse("{\"cress\":1,\"concurrency\":8,\"new\":[]}");
    assert_int_equal(message.kind, CRESS_STREAM_HELLO);
    assert_int_equal(message.concurrency, 8);
    cress_stream_message_free(&message);
    message = parse("{\"cress\":1}");
    assert_int_equal(message.concurrency, 0);
    assert_false(message.knows_cancel);
    cress_stream_message_free(&message);
    message = parse("{\"cress\":1,\"cancel\":true}");
    assert_true(message.knows_cancel);
    cress_stream_message_free(&message);
}

static void reads_results(void **state)
{
    (void)state;
    struct cress_stream_message message = parse("{\"id\":\"a\",\"result\":{\"x\":\"\\u0000\"}}\r");
    assert_int_equal(message.kind, CRESS_STREAM_RESULT);
    assert_string_equal(message.id, "a");
    assert_int_equal(message.result.size, 14);
    cress_stream_message_free(&message);
    static const char *const same[] = {
        "null", "18446744073709551615", "1e400", "0.3", "[ 1, 0.30 ]", "{\"a\":1,\"a\":2}",
    };
    for (size_t i = 0; i < CRESS_COUNT(same); i++) {
        char *line = cress_format("{\"id\":\"a\", \"result\" : %s }", same[i]);
        message = parse(line);
        assert_int_equal(message.result.size, strlen(same[i]));
        assert_memory_equal(message.result.text, same[i], message.result.size);
        cress_stream_message_free(&message);
        free(line);
    }
}

static void reads_errors(void **state)
{
    (void)state;
    struct cress_stream_message message = parse(
        "{\"id\":\"a\",\"error\":{\"code\":\"gone\",\"message\":\"no file\",\"retry\":false}}");
    assert_int_equal(message.kind, CRESS_STREAM_ERROR);
    assert_string_equal(message.code, "gone");
    assert_string_equal(message.text, "no file");
    assert_false(message.retry);
    assert_int_equal(message.retry_after_ms, 0);
    cress_stream_message_free(&message);
    message = parse("{\"id\":\"a\",\"error\":{\"retry_after_ms\":1500}}");
    assert_string_equal(message.code, "task_failed");
    assert_true(message.retry);
    assert_int_equal(message.retry_after_ms, 1500);
    cress_stream_message_free(&message);
}

static void reads_progress_and_log(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int percent;
    } table[] = {
        {"{\"id\":\"a\",\"progress\":40}", 40},   {"{\"id\":\"a\",\"progress\":40.9}", 40},
        {"{\"id\":\"a\",\"progress\":-3}", 0},    {"{\"id\":\"a\",\"progress\":1e300}", 100},
        {"{\"id\":\"a\",\"progress\":100}", 100},
    };
    for (size_t i = 0; i < CRESS_COUNT(table); i++) {
        struct cress_stream_message message = parse(table[i].line);
        assert_int_equal(message.kind, CRESS_STREAM_PROGRESS);
        assert_int_equal(message.percent, table[i].percent);
        assert_null(message.text);
        cress_stream_message_free(&message);
    }
    struct cress_stream_message message = parse("{\"id\":\"a\",\"log\":\"hello\"}");
    assert_int_equal(message.kind, CRESS_STREAM_LOG);
    assert_string_equal(message.text, "hello");
    cress_stream_message_free(&message);
}

static void refuses_what_is_no_message(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "hello",
        "[]",
        "null",
        "{\"id\":\"a\"}",
        "{\"result\":1}",
        "{\"id\":7,\"result\":1}",
        "{\"id\":\"a\",\"result\":1",
        "{\"id\":\"a\",\"result\":1}{\"id\":\"b\",\"result\":1}",
        "{\"id\":\"a\\u0000b\",\"result\":1}",
        "{\"id\":\"a\",\"error\":\"text\"}",
        "{\"id\":\"a\",\"error\":{\"retry\":1}}",
        "{\"id\":\"a\",\"progress\":\"40\"}",
        "{\"id\":\"a\",\"log\":1}",
        "{\"cress\":2}",
        "{\"cress\":\"1\"}",
        "{\"cress\":1,\"concurrency\":0}",
        "{\"cress\":1,\"concurrency\":10001}",
        "{\"cress\":1,\"concurrency\":\"8\"}",
        "{\"id\":\"a\",\"result\":\"\xff\"}",
    };
    for (size_t i = 0; i < CRESS_COUNT(wrong); i++) {
        struct cress_stream_message message;
        struct cress_error err;
        assert_int_equal(cress_stream_parse(wrong[i], strlen(wrong[i]), &message, &err),
                         CRESS_MALFORMED);
        assert_string_equal(err.code, "bad_line");
    }
}

static void shows_the_beginning_of_a_wrong_line(void **state)
{
    (void)state;
    struct cress_stream_message message;
    struct cress_error err;
    assert_int_equal(cress_stream_parse("Processing…\x01\xff", 15, &message, &err),
                     CRESS_MALFORMED);
    assert_non_null(strstr(err.message, "Processing…"));
    assert_null(strchr(err.message, '\x01'));
    assert_non_null(strstr(err.message, "stderr"));
}

/* --- lines --- */

static char seen[256];

static bool note_cb(const char *line, size_t size, void *arg)
{
    const size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%.*s|", (int)size, line);
    return ++*(int *)arg < 4;
}

static void cuts_lines_wherever_the_pieces_end(void **state)
{
    (void)state;
    static const char text[] = "one\n\nthree\nfour\nfive";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct cress_lines lines = cress_lines_make(5);
        int count = 0;
        seen[0] = '\0';
        for (size_t at = 0; at < sizeof text - 1 && count < 4; at += piece) {
            const size_t left = sizeof text - 1 - at;
            assert_true(
                cress_lines_feed(&lines, text + at, left < piece ? left : piece, note_cb, &count));
        }
        assert_string_equal(seen, "one||three|four|");
        cress_lines_free(&lines);
    }
}

static void bounds_lines(void **state)
{
    (void)state;
    int count = 0;
    struct cress_lines lines = cress_lines_make(5);
    assert_false(cress_lines_feed(&lines, "sixsix\n", 7, note_cb, &count));
    cress_lines_free(&lines);
    assert_true(cress_lines_feed(&lines, "six", 3, note_cb, &count));
    assert_false(cress_lines_feed(&lines, "six", 3, note_cb, &count));
    cress_lines_free(&lines);
    assert_true(cress_lines_feed(&lines, "six", 3, note_cb, &count));
    assert_false(cress_lines_feed(&lines, "six\n", 4, note_cb, &count));
    cress_lines_free(&lines);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_job_as_one_line),
        cmocka_unit_test(passes_the_trace_on),
        cmocka_unit_test(tells_of_a_cancellation),
        cmocka_unit_test(leaves_a_full_buffer_as_it_was),
        cmocka_unit_test(reads_greetings),
        cmocka_unit_test(reads_results),
        cmocka_unit_test(reads_errors),
        cmocka_unit_test(reads_progress_and_log),
        cmocka_unit_test(refuses_what_is_no_message),
        cmocka_unit_test(shows_the_beginning_of_a_wrong_line),
        cmocka_unit_test(cuts_lines_wherever_the_pieces_end),
        cmocka_unit_test(bounds_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
