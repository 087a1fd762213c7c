// SPDX-License-Identifier: Apache-2.0
// Tests of producer/gateway/routes.c, problem.c and listen.c: where requests go, and how errors
// look.
#include "producer/gateway/routes.h"

#include "producer/gateway/listen.h"
#include "producer/gateway/problem.h"
#include "tests/unit/unit.h"

#include <string.h>

static void test_finds_handlers(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        cress_gateway_handler handler;
        const char *param;
    } cases[] = {
        {"POST", "/v1/jobs", cress_gateway_post_job, ""},
        {"GET", "/v1/jobs/a-1", cress_gateway_get_job, "a-1"},
        {"HEAD", "/v1/jobs/a-1", cress_gateway_get_job, "a-1"},
        {"GET", "/v1/jobs/a%3A1", cress_gateway_get_job, "a:1"},
        {"GET", "/v1/jobs/x/result", cress_gateway_get_result, "x"},
        {"GET", "/v1/jobs/x/explain", cress_gateway_get_explanation, "x"},
        {"GET", "/v1/jobs/x/logs", cress_gateway_get_logs, "x"},
        {"POST", "/v1/jobs/x/cancel", cress_gateway_cancel_job, "x"},
        {"POST", "/v1/queues/q.1/pause", cress_gateway_pause_queue, "q.1"},
        {"POST", "/v1/queues/q.1/resume", cress_gateway_resume_queue, "q.1"},
        {"GET", "/v1/batches/b", cress_gateway_get_batch, "b"},
        {"GET", "/readyz", cress_gateway_get_ready, ""},
    };
    for (size_t i = 0; i < CRESS_COUNT(cases); i++) {
        struct cress_route_match match;
        cress_routes_match(cases[i].method, cases[i].path, &match);
        assert_true(match.handler == cases[i].handler);
        assert_string_equal(match.param, cases[i].param);
    }
}

static void test_knows_no_other_path(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",         "/v1",           "/v1/jobs/",         "/v1/jobs/x/",
        "/V1/jobs", "/v1/jobs/x/y",  "/v1/jobs//result",  "/v1/jobs/%zz",
        "*",        "/v1/jobs/%00x", "/v1/jobs/x/result/"};
    for (size_t i = 0; i < CRESS_COUNT(paths); i++) {
        struct cress_route_match match;
        cress_routes_match("GET", paths[i], &match);
        assert_null(match.handler);
        assert_false(match.path_known);
    }
    char path[512] = "/v1/jobs/";
    memset(path + strlen(path), 'x', 300);
    struct cress_route_match match;
    cress_routes_match("GET", path, &match);
    assert_false(match.path_known);
}

static void test_says_what_is_allowed(void **state)
{
    (void)state;
    struct cress_route_match match;
    cress_routes_match("DELETE", "/v1/jobs/x", &match);
    assert_null(match.handler);
    assert_true(match.path_known);
    assert_string_equal(match.allow, "GET, HEAD, OPTIONS");
    cress_routes_match("HEAD", "/v1/jobs", &match);
    assert_string_equal(match.allow, "POST, OPTIONS");
}

static void test_writes_problem_documents(void **state)
{
    (void)state;
    struct cress_buf out = cress_buf_make(1024);
    cress_problem_write(&out, 404, "unknown_job", "no \"x\"", NULL);
    assert_string_equal(cress_buf_text(&out),
                        "{\"type\":\"urn:cress:problem:unknown-job\",\"title\":\"Not Found\","
                        "\"status\":404,\"detail\":\"no \\\"x\\\"\",\"code\":\"unknown_job\"}");
    cress_buf_clear(&out);
    cress_problem_write(&out, 409, "a", "b", "\"state\":\"failed\"");
    json_t *json = json_loads(cress_buf_text(&out), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "failed");
    json_decref(json);
    cress_buf_free(&out);
}

static void test_blames_the_client_only_for_what_it_can_mend(void **state)
{
    (void)state;
    assert_int_equal(cress_problem_status(CRESS_INVALID), 422);
    assert_int_equal(cress_problem_status(CRESS_TOO_LARGE), 413);
    assert_int_equal(cress_problem_status(CRESS_UNAVAILABLE), 503);
    assert_int_equal(cress_problem_status(CRESS_DENIED), 503);
    assert_int_equal(cress_problem_status(CRESS_TIMEOUT), 503);
}

static void test_reads_listen_addresses(void **state)
{
    (void)state;
    char host[CRESS_LISTEN_URL_MAX], port[8];
    struct cress_error err;
    assert_int_equal(cress_listen_parse("127.0.0.1:0080", host, port, &err), CRESS_OK);
    assert_string_equal(host, "127.0.0.1");
    assert_string_equal(port, "80");
    assert_int_equal(cress_listen_parse("[::1]:0", host, port, &err), CRESS_OK);
    assert_string_equal(host, "::1");
    assert_int_equal(cress_listen_parse(":8080", host, port, &err), CRESS_OK);
    assert_string_equal(host, "");
    static const char *const bad[] = {"", "8080", "a:", "a:b", "a:65536", "a:-1"};
    for (size_t i = 0; i < CRESS_COUNT(bad); i++) {
        assert_int_equal(cress_listen_parse(bad[i], host, port, &err), CRESS_CONFIG);
        assert_string_equal(err.code, "bad_listen");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_handlers),
        cmocka_unit_test(test_knows_no_other_path),
        cmocka_unit_test(test_says_what_is_allowed),
        cmocka_unit_test(test_writes_problem_documents),
        cmocka_unit_test(test_blames_the_client_only_for_what_it_can_mend),
        cmocka_unit_test(test_reads_listen_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
