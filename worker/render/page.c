// SPDX-License-Identifier: Apache-2.0
// The task page.render: fetch a page -> check it -> compare with what is stored -> upload ->
// report.
//
// A good page is never replaced by an error: whatever is not a 200 with an accepted type and a body
// ends the attempt, and the object stored earlier stays. What another try may cure (429, 5xx,
// timeouts, resets) is retried, and the origin's Retry-After is obeyed.
#include "worker/render/page.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/object/object.h"
#include "worker/handler/handler.h"
#include "worker/render/keymap.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HTTP_OK = 200,
    HTTP_TOO_MANY_REQUESTS = 429,
    HTTP_REQUEST_TIMEOUT = 408,
    HEADER_VALUE_MAX = 2000
};

/* One page on its way. */
struct page {
    struct cress_run *run;
    const char *url; /* borrowed from the payload */
    char *key;
    struct cress_object_store *objects;
    struct cress_http_call *fetch; /* NULL unless fetching */
    bool stopped;                  /* asked to end: no upload is begun */

    char *body;
    size_t size;
    char *content_type;
    char *cache_control;
    char sha256[CRESS_SHA256_TEXT_SIZE];
    int64_t fetch_ms;
    int64_t upload_started_ms;
    int redirects;
};

static void page_free(struct page *page)
{
    if (page->objects) {
        cress_object_store_close(page->objects);
    }
    free(page->key);
    free(page->body);
    free(page->content_type);
    free(page->cache_control);
    free(page);
}

static void end_page_with_error(struct page *page, const struct cress_error *err,
                                int64_t retry_after_ms)
{
    struct cress_run *run = page->run;
    struct cress_outcome outcome = {
        .kind = cress_status_is_temporary(err->status) ? CRESS_OUTCOME_RETRY : CRESS_OUTCOME_FAILED,
        .error = *err,
        .retry_after_ms = retry_after_ms,
    };
    page_free(page);
    cress_run_done(run, outcome);
}

static void end_page_with_result(struct page *page, bool changed)
{
    struct cress_run *run = page->run;
    const int64_t upload_ms = changed ? cress_clock_mono_ms() - page->upload_started_ms : 0;
    json_t *result =
        json_pack("{s:s, s:s, s:i, s:I, s:s, s:b, s:i, s:I, s:I}", "url", page->url, "key",
                  page->key, "status", HTTP_OK, "bytes", (json_int_t)page->size, "sha256",
                  page->sha256, "changed", (int)changed, "redirects", page->redirects, "render_ms",
                  (json_int_t)page->fetch_ms, "upload_ms", (json_int_t)upload_ms);
    page_free(page);
    cress_run_succeed(run, result);
}

/* --- upload --- */

static void on_page_uploaded(const struct cress_error *err, void *arg)
{
    struct page *page = arg;
    if (err) {
        struct cress_error context = *err;
        cress_error_prefix(&context, "cannot store %s", page->key);
        end_page_with_error(page, &context, 0);
        return;
    }
    end_page_with_result(page, true);
}

static void upload(struct page *page)
{
    char rendered_at[CRESS_TIME_TEXT_MAX];
    page->upload_started_ms = cress_clock_mono_ms();
    const struct cress_object object = {
        .key = page->key,
        .body = page->body,
        .size = page->size,
        .content_type = page->content_type,
        .cache_control = page->cache_control,
        .meta = {{"source-url", page->url},
                 {"rendered-at", cress_time_format(cress_clock_wall_ms(), rendered_at)},
                 {"sha256", page->sha256}},
        .meta_count = 3,
    };
    cress_object_put(page->objects, &object, on_page_uploaded, page);
}

/* An answer to HEAD has no document, so a refusal comes without its reason; the upload's answer
 * says it. Nor need it be final: who may write but not list is refused what does not exist. */
static bool is_unexplained(const struct cress_error *err)
{
    return !cress_status_is_temporary(err->status) && cress_text_starts_with(err->code, "http_");
}

static bool is_same(const struct page *page, const struct cress_object_info *info)
{
    return info && info->exists && info->sha256 && strcmp(info->sha256, page->sha256) == 0 &&
           (!info->content_type || strcmp(info->content_type, page->content_type) == 0);
}

static void on_page_head(const struct cress_object_info *info, const struct cress_error *err,
                         void *arg)
{
    struct page *page = arg;
    struct cress_error context;
    if (err && !is_unexplained(err)) {
        context = *err;
        cress_error_prefix(&context, "cannot look at %s", page->key);
        end_page_with_error(page, &context, 0);
        return;
    }
    if (page->stopped) {
        cress_error_set(&context, CRESS_CANCELLED, NULL, "stopped before the upload of %s",
                        page->key);
        end_page_with_error(page, &context, 0);
        return;
    }
    if (is_same(page, info)) {
        end_page_with_result(page, false);
    } else {
        upload(page);
    }
}

/* --- checks --- */

/* Whether `type` ("text/html; charset=utf-8") matches one of `accepted` ("text/html", "text/ *"
 * without the blank). */
static bool type_is_accepted(const char *type, char *const *accepted)
{
    const size_t size = strcspn(type, "; \t");
    for (; *accepted; accepted++) {
        const size_t length = strlen(*accepted);
        if (length >= 2 && strcmp(*accepted + length - 2, "/*") == 0) {
            if (size > length - 1 && strncasecmp(type, *accepted, length - 1) == 0) {
                return true;
            }
        } else if (size == length && strncasecmp(type, *accepted, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a store takes it as a header's value: some answer 500 to bytes that are not ASCII. */
static bool is_plain(const char *value)
{
    size_t size = 0;
    while (value[size] >= ' ' && value[size] <= '~') {
        size++;
    }
    return size <= HEADER_VALUE_MAX && value[size] == '\0';
}

/* What is wrong with the response, as an error; CRESS_OK when it is a page worth keeping. */
static enum cress_status check_page(const struct page *page,
                                    const struct cress_http_response *response,
                                    struct cress_error *err)
{
    const int status = response->status;
    if (status != HTTP_OK) {
        const bool temporary =
            status >= 500 || status == HTTP_TOO_MANY_REQUESTS || status == HTTP_REQUEST_TIMEOUT;
        return cress_error_set(err, temporary ? CRESS_TEMPORARY : CRESS_INVALID, "origin_status",
                               "%s answered %d; what was stored earlier is kept", page->url,
                               status);
    }
    const char *type = cress_http_header_value(response, "content-type");
    if (!type || !type_is_accepted(type, page->run->services->config->render_accept)) {
        return cress_error_set(err, CRESS_INVALID, "content_type",
                               "%s is of type %s; accepted are the types of render.accept",
                               page->url, type ? type : "unknown (no Content-Type)");
    }
    if (response->body_size == 0) {
        return cress_error_set(err, CRESS_INVALID, "empty_page", "%s answered 200 without a body",
                               page->url);
    }
    if (!is_plain(type)) {
        return cress_error_set(err, CRESS_INVALID, "content_type",
                               "%s has a Content-Type that is not ASCII or over %d bytes",
                               page->url, HEADER_VALUE_MAX);
    }
    return CRESS_OK;
}

static void on_page_fetched(const struct cress_http_response *response,
                            const struct cress_error *failure, void *arg)
{
    struct page *page = arg;
    page->fetch = NULL;
    struct cress_error err;
    if (failure) {
        err = *failure;
        cress_error_prefix(&err, "cannot fetch %s", page->url);
        end_page_with_error(page, &err, 0);
        return;
    }
    if (check_page(page, response, &err)) {
        const char *wait = cress_http_header_value(response, "retry-after");
        end_page_with_error(page, &err, cress_http_retry_after_ms(wait, cress_clock_wall_ms()));
        return;
    }
    page->size = response->body_size;
    page->body = cress_strndup(response->body, response->body_size);
    page->content_type = cress_strdup(cress_http_header_value(response, "content-type"));
    const char *cache_control = cress_http_header_value(response, "cache-control");
    const json_t *payload = cress_run_payload(page->run, &err); /* it was read at the start */
    const char *wanted = json_string_value(json_object_get(payload, "cache_control"));
    if (wanted) {
        cache_control = wanted;
    } else if (!cache_control || !is_plain(cache_control)) {
        cache_control = page->run->services->config->render_cache_control;
    }
    page->cache_control = cress_strdup(cache_control);
    page->fetch_ms = response->total_ms;
    page->redirects = response->redirects;
    cress_sha256(page->body, page->size, page->sha256);
    cress_object_head(page->objects, page->key, on_page_head, page);
}

/* --- start and stop --- */

static void page_start(struct cress_run *run)
{
    const struct cress_services *services = run->services;
    const char *to = NULL;
    struct page *page = CRESS_NEW(struct page);
    page->run = run;
    run->state = page;
    struct cress_error err;
    json_t *payload = cress_run_payload(run, &err);
    if (!payload || cress_page_payload_read(payload, &page->url, &to, &err) ||
        cress_key_from_url(page->url, &page->key, &err) ||
        cress_object_store_open(services->loop, services->http, services->config, to,
                                &page->objects, &err)) {
        end_page_with_error(page, &err, 0);
        return;
    }
    const struct cress_http_request request = {
        .method = "GET",
        .url = page->url,
        .user_agent = services->config->render_user_agent,
        .accept_encoding = true,
        .timeout_ms = services->config->render_timeout_ms,
        .max_bytes = services->config->render_max_bytes,
        .max_redirects = (int)services->config->render_max_redirects,
        .guard = services->guard,
    };
    page->fetch = cress_http_start(services->http, &request, on_page_fetched, page);
}

static void page_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    struct page *page = run->state;
    page->stopped = true;
    if (page->fetch) {
        cress_http_cancel(page->fetch);
    } else if (reason != CRESS_STOP_SHUTDOWN) {
        cress_object_store_abandon(page->objects);
    } /* else an upload that is under way may still make it */
}

enum cress_status cress_page_payload_read(json_t *payload, const char **url, const char **to,
                                          struct cress_error *err)
{
    const char *cache_control = NULL;
    json_error_t problem;
    if (json_unpack_ex(payload, &problem, JSON_STRICT, "{s:s, s:s, s?s}", "url", url, "to", to,
                       "cache_control", &cache_control) != 0) {
        return cress_error_set(
            err, CRESS_INVALID, "invalid_payload",
            "the payload of page.render is wrong: %s; expected {\"url\": \"https://…\", \"to\": "
            "\"s3://bucket/prefix\"} and perhaps \"cache_control\"",
            problem.text);
    }
    return CRESS_OK;
}

const struct cress_handler cress_render_handlers[] = {
    {.task = "page.render", .start = page_start, .stop = page_stop},
    {.task = NULL},
};
