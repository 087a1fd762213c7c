// SPDX-License-Identifier: Apache-2.0
// Tests of producer/gateway/routes.c, problem.c and listen.c: where requests go, how errors look,
// and that the documents know every route.
#include "producer/gateway/routes.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "producer/gateway/listen.h"
#include "producer/gateway/problem.h"
#include "tests/unit/unit.h"

#include <jansson.h>
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

/* --- the documents --- */

/* Of a file, with {} for each {name}: what stands for a segment may be called as it suits. */
static struct cress_buf read_page(const char *path)
{
    struct cress_buf page = cress_buf_make(1 << 20);
    FILE *file = fopen(path, "r");
    bool in_name = false;
    assert_non_null(file);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        in_name = in_name && c != '}' && c != ' ' && c != '\n';
        if (!in_name) {
            cress_buf_add_char(&page, (char)c);
        }
        in_name = in_name || c == '{';
    }
    fclose(file);
    return page;
}

/* "GET /v1/jobs/{}", …, as the table has them; cress_text_list_free(). */
static char **list_routes(void)
{
    struct cress_buf list = cress_buf_make(1 << 14);
    cress_routes_list(",", &list);
    char *text = cress_buf_take(&list);
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (strncmp(from, "{id}", strlen("{id}")) == 0) {
            *to++ = '{';
            from += strlen("{id");
        }
        *to++ = *from;
    }
    *to = '\0';
    char **routes = cress_text_split(text);
    free(text);
    return routes;
}

static void test_each_route_is_explained(void **state)
{
    (void)state;
    struct cress_buf page = read_page("docs/http-api.md");
    char **routes = list_routes();
    for (char **route = routes; *route; route++) {
        char *quoted = cress_format("`%s`", *route);
        if (!strstr(cress_buf_text(&page), quoted)) {
            fail_msg("docs/http-api.md does not have %s", quoted);
        }
        free(quoted);
    }
    cress_text_list_free(routes);
    cress_buf_free(&page);
}

/* Whether the OpenAPI document has "get", … within the section of the path. */
static bool has_operation(const char *page, const char *route)
{
    const char *const path = strchr(route, ' ') + 1;
    char *section_start = cress_format("\n  %s:\n", path);
    char *operation =
        cress_format("\n    %s:\n", strncmp(route, "GET", strlen("GET")) == 0 ? "get" : "post");
    const char *section = strstr(page, section_start);
    const char *found = section ? strstr(section, operation) : NULL;
    const char *next = section ? strstr(section + 1, "\n  /") : NULL;
    free(section_start);
    free(operation);
    return found && (!next || found < next);
}

static size_t count(const char *page, const char *text)
{
    size_t found = 0;
    for (const char *at = strstr(page, text); at; at = strstr(at + 1, text)) {
        found++;
    }
    return found;
}

static void test_each_route_is_in_the_openapi_document(void **state)
{
    (void)state;
    struct cress_buf page = read_page("docs/openapi.yaml");
    const char *text = cress_buf_text(&page);
    char **routes = list_routes();
    size_t route_count = 0;
    for (; routes[route_count]; route_count++) {
        if (!has_operation(text, routes[route_count])) {
            fail_msg("docs/openapi.yaml does not have %s", routes[route_count]);
        }
    }
    assert_int_equal(count(text, "\n    get:\n") + count(text, "\n    post:\n"), route_count);
    cress_text_list_free(routes);
    cress_buf_free(&page);
}

/* "schemas/Job" is "Job:" below "schemas:" and above the next line that is indented as that one. */
static bool has_component(const char *components, const char *kind, const char *name)
{
    char *head = cress_format("\n  %s:\n", kind);
    char *entry = cress_format("\n    %s:", name);
    const char *section = strstr(components, head);
    const char *found = section ? strstr(section, entry) : NULL;
    const char *next = section ? strstr(section + 1, "\n  ") : NULL;
    while (next && next[strlen("\n  ")] == ' ') {
        next = strstr(next + 1, "\n  ");
    }
    free(head);
    free(entry);
    return found && (!next || found < next);
}

static void test_references_of_the_openapi_document_lead_somewhere(void **state)
{
    (void)state;
    static const char reference[] = "#/components/";
    struct cress_buf page = read_page("docs/openapi.yaml");
    const char *text = cress_buf_text(&page);
    const char *components = strstr(text, "\ncomponents:\n");
    assert_non_null(components);
    for (const char *at = text; (at = strstr(at, reference)) != NULL;) {
        char kind[32], name[64];
        at += strlen(reference);
        assert_int_equal(sscanf(at, "%31[a-z]/%63[A-Za-z-]", kind, name), 2);
        if (!has_component(components, kind, name)) {
            fail_msg("docs/openapi.yaml has no components/%s/%s", kind, name);
        }
    }
    cress_buf_free(&page);
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
        cmocka_unit_test(test_each_route_is_explained),
        cmocka_unit_test(test_each_route_is_in_the_openapi_document),
        cmocka_unit_test(test_references_of_the_openapi_document_lead_somewhere),
        cmocka_unit_test(test_writes_problem_documents),
        cmocka_unit_test(test_blames_the_client_only_for_what_it_can_mend),
        cmocka_unit_test(test_reads_listen_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
