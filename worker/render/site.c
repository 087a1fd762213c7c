// SPDX-License-Identifier: Apache-2.0
// The task site.prerender: read a sitemap or a list, submit one page.render job for each URL as a
// batch, close the batch.
//
// DESIGN
//
//   sources -> sitemap reader -> submit, at most IN_FLIGHT_MAX at once
//      ^              |
//      +-- sitemaps --+   of an index; the first source is the URL given
//
// Memory is constant however long the list is: when too many submissions are under way, the reader
// is not asked for more and the HTTP call is paused. Everything may be run twice: the batch has the
// job's own id, and a page's job id is derived from that and its URL, so a second run (after a
// crash, or a retry) finds the jobs there and counts none twice. For the same reason a URL that a
// sitemap lists twice is one job.
#include "worker/handler/handler.h"
#include "worker/publish/publish.h"
#include "worker/render/page.h"
#include "worker/render/sitemap.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/url.h"
#include "common/object/object.h"
#include "common/submit/completion.h"

#include <stdlib.h>
#include <string.h>

enum {
    IN_FLIGHT_MAX =
        512, /* submissions under way: enough to fill a round trip to broker and store */
    SOURCES_MAX = 50000, /* sitemaps of one index: the protocol's own limit */
    HTTP_OK = 200,
};
#define SITEMAP_MAX_BYTES (INT64_C(1) << 32) /* streamed, so this bounds time and not memory */

/* A sitemap still to be read. */
struct source {
    struct cress_list node;
    char *url;
};

struct site {
    struct cress_run *run;
    const char *to;            /* borrowed from the payload, as the next three */
    const char *url;           /* NULL: `urls` has the pages */
    const char *cache_control; /* NULL: none */
    json_t *urls;
    size_t next_url; /* the first of `urls` not submitted yet */
    char publish_id[CRESS_UUID_TEXT_SIZE];

    struct cress_list sources;
    size_t source_count;
    struct cress_url origin; /* of the source being read: its pages must be on the same host */
    struct cress_http_call *fetch;
    struct cress_sitemap *sitemap;
    bool input_ended; /* of the current source */
    bool pumping;     /* submit_pages() is on the stack */

    size_t in_flight;
    int64_t submitted, foreign, invalid;
    int64_t pages;              /* of the batch: a URL that was named twice is one */
    struct cress_error failure; /* status CRESS_OK: none */
};

static void submit_pages(struct site *site);
static void next_source(struct site *site);

/* --- the end --- */

static void site_free(struct site *site)
{
    struct cress_list *node;
    while ((node = cress_list_shift(&site->sources))) {
        struct source *source = CRESS_CONTAINER(node, struct source, node);
        free(source->url);
        free(source);
    }
    cress_url_free(&site->origin);
    cress_sitemap_free(site->sitemap);
    free(site);
}

static void end_site_with_error(struct site *site, const struct cress_error *err)
{
    struct cress_run *run = site->run;
    const struct cress_error copy = *err; /* it may be in what is freed now */
    site_free(site);
    cress_run_fail(run, &copy);
}

static void on_site_completed(const struct cress_error *err, void *arg)
{
    struct site *site = arg;
    if (err) {
        end_site_with_error(site, err);
        return;
    }
    struct cress_run *run = site->run;
    json_t *result =
        json_pack("{s:s, s:s, s:I, s:I, s:I}", "batch_id", run->job.id, "publish_id",
                  site->publish_id, "pages", (json_int_t)site->pages, "skipped_foreign",
                  (json_int_t)site->foreign, "skipped_invalid", (json_int_t)site->invalid);
    site_free(site);
    cress_run_succeed(run, result);
}

static void on_site_batch_closed(bool follow, const struct cress_error *err, void *arg)
{
    struct site *site = arg;
    if (!err && follow) { /* every page was done before the list was */
        cress_completion_submit(cress_services_door(site->run->services, 0), site->run->job.id,
                                on_site_completed, site);
        return;
    }
    on_site_completed(err, site);
}

static void on_counted(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct site *site = arg;
    if (err) {
        end_site_with_error(site, err);
        return;
    }
    site->pages = batch ? batch->total : 0; /* when it is gone, closing it says so */
    cress_store_batch_close(site->run->services->store, site->run->job.id, on_site_batch_closed,
                            site);
}

/* A batch that takes no more pages may have been cancelled, and with it this job. */
static void on_refused(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct site *site = arg;
    if (err || !batch || !batch->cancel_requested) {
        end_site_with_error(site, &site->failure);
        return;
    }
    struct cress_run *run = site->run;
    struct cress_outcome outcome = {.kind = CRESS_OUTCOME_CANCELLED};
    cress_error_set(&outcome.error, CRESS_CANCELLED, NULL, "its batch was cancelled");
    site_free(site);
    cress_run_done(run, outcome);
}

/* Ends or goes on, once nothing is under way. */
static void conclude_site(struct site *site)
{
    if (site->in_flight > 0 || site->fetch) {
        return;
    }
    if (strcmp(site->failure.code, "batch_closed") == 0) {
        cress_store_batch_get(site->run->services->store, site->run->job.id, on_refused, site);
        return;
    }
    if (site->failure.status) {
        end_site_with_error(site, &site->failure);
        return;
    }
    if (!cress_list_is_empty(&site->sources)) {
        next_source(site);
        return;
    }
    if (site->submitted == 0) {
        struct cress_error err;
        cress_error_set(
            &err, CRESS_INVALID, "no_urls",
            "%s names no page that can be rendered (%lld on other hosts, %lld not usable)",
            site->url ? site->url : "the list", (long long)site->foreign, (long long)site->invalid);
        end_site_with_error(site, &err);
        return;
    }
    cress_store_batch_get(site->run->services->store, site->run->job.id, on_counted, site);
}

/* The first failure counts; what is under way is waited for. */
static void set_failure(struct site *site, const struct cress_error *err)
{
    if (!site->failure.status) {
        site->failure = *err;
    }
    if (site->fetch) {
        cress_http_cancel(site->fetch);
    }
}

/* --- one page --- */

static void on_page_submitted(const struct cress_record *record, const struct cress_error *err,
                              void *arg)
{
    (void)record;
    struct site *site = arg;
    site->in_flight--;
    if (!err || strcmp(err->code, "job_exists") == 0) {
        site->submitted++;
    } else {
        set_failure(site, err);
    }
    submit_pages(site);
}

static void submit_page(struct site *site, const char *url)
{
    const struct cress_run *run = site->run;
    const struct cress_services *services = run->services;
    struct cress_buf payload =
        cress_buf_make(4 * CRESS_URL_MAX + (size_t)services->config->job_max_payload_bytes);
    cress_buf_add_text(&payload, "{\"url\":");
    cress_buf_add_json(&payload, url, strlen(url));
    cress_buf_add_text(&payload, ",\"to\":");
    cress_buf_add_json(&payload, site->to, strlen(site->to));
    if (site->cache_control) {
        cress_buf_add_text(&payload, ",\"cache_control\":");
        cress_buf_add_json(&payload, site->cache_control, strlen(site->cache_control));
    }
    cress_buf_add_char(&payload, '}');
    char id[CRESS_UUID_TEXT_SIZE];
    const struct cress_job job = {
        .id = cress_id_derive(run->job.id, url, id),
        .task = "page.render",
        .queue = run->job.queue,
        .priority = run->job.priority,
        .payload = payload.data,
        .payload_size = payload.size,
        .attempt = 1,
        .batch = run->job.id,
        .traceparent = run->job.traceparent,
    };
    site->in_flight++;
    cress_submit(cress_services_door(site->run->services, 0), &job, on_page_submitted, site);
    cress_buf_free(&payload);
}

static void on_page_url(struct site *site, const char *text)
{
    struct cress_url url;
    if (cress_url_parse(text, &url, NULL)) {
        site->invalid++;
        return;
    }
    /* a sitemap speaks for its own host only (sitemaps.org, "Sitemap file location") */
    if (site->origin.host &&
        (strcmp(url.host, site->origin.host) != 0 || url.port != site->origin.port)) {
        site->foreign++;
    } else if (site->submitted + (int64_t)site->in_flight >=
               site->run->services->config->site_max_urls) {
        struct cress_error err;
        cress_error_set(&err, CRESS_INVALID, "too_many_urls",
                        "more than %lld pages; see site.max_urls",
                        (long long)site->run->services->config->site_max_urls);
        set_failure(site, &err);
    } else {
        submit_page(site, text);
    }
    cress_url_free(&url);
}

static void add_source(struct site *site, const char *url)
{
    if (site->source_count >= SOURCES_MAX) {
        struct cress_error err;
        cress_error_set(&err, CRESS_INVALID, "too_many_sitemaps",
                        "%s leads to more than %d sitemaps", site->url, SOURCES_MAX);
        set_failure(site, &err);
        return;
    }
    struct source *source = CRESS_NEW(struct source);
    source->url = cress_strdup(url);
    site->source_count++;
    cress_list_append(&site->sources, &source->node);
}

static void on_url(const char *url, bool is_sitemap, void *arg)
{
    struct site *site = arg;
    if (site->failure.status) {
        return;
    }
    if (is_sitemap) {
        add_source(site, url);
    } else {
        on_page_url(site, url);
    }
}

/* --- reading --- */

/* Reads on as far as the submissions under way allow. True when the current source has no more. */
static bool read_source(struct site *site)
{
    bool drained = false;
    struct cress_error err;
    while (!drained && site->in_flight < IN_FLIGHT_MAX && !site->failure.status) {
        if (cress_sitemap_read(site->sitemap, IN_FLIGHT_MAX - site->in_flight, &drained, &err)) {
            cress_error_prefix(&err, "%s", site->origin.host);
            set_failure(site, &err);
        }
    }
    if (drained && site->input_ended) {
        if (cress_sitemap_end(site->sitemap, &err)) {
            cress_error_prefix(&err, "%s", site->origin.host);
            set_failure(site, &err);
        }
        cress_sitemap_free(site->sitemap);
        site->sitemap = NULL;
        return true;
    }
    if (site->fetch) {
        cress_http_pause(site->fetch, !drained);
    }
    return false;
}

static void read_list(struct site *site)
{
    while (site->next_url < json_array_size(site->urls) && site->in_flight < IN_FLIGHT_MAX &&
           !site->failure.status) {
        on_page_url(site, json_string_value(json_array_get(site->urls, site->next_url++)));
    }
}

static void submit_pages(struct site *site)
{
    if (site->pumping) {
        return; /* a callback inside the reader; the loop below goes on by itself */
    }
    site->pumping = true;
    bool source_done = true;
    if (site->sitemap) {
        source_done = read_source(site);
    } else if (site->urls) {
        read_list(site);
        source_done = site->next_url >= json_array_size(site->urls);
    }
    site->pumping = false;
    if (source_done || site->failure.status) {
        conclude_site(site);
    }
}

static bool on_data(const void *data, size_t size, void *arg)
{
    struct site *site = arg;
    cress_sitemap_push(site->sitemap, data, size);
    submit_pages(site);
    return !site->failure.status;
}

static void on_source_fetched(const struct cress_http_response *response,
                              const struct cress_error *failure, void *arg)
{
    struct site *site = arg;
    site->fetch = NULL;
    site->input_ended = true;
    struct cress_error err;
    if (failure) {
        err = *failure;
        cress_error_prefix(&err, "cannot read the sitemap");
        set_failure(site, &err);
    } else if (response->status != HTTP_OK) {
        const bool temporary = response->status >= 500 || response->status == 429;
        cress_error_set(&err, temporary ? CRESS_TEMPORARY : CRESS_INVALID, "origin_status",
                        "the sitemap %s answered %d", response->url, response->status);
        set_failure(site, &err);
    }
    submit_pages(site);
}

static void next_source(struct site *site)
{
    const struct cress_services *services = site->run->services;
    struct source *source = CRESS_CONTAINER(cress_list_shift(&site->sources), struct source, node);
    struct cress_error err;
    cress_url_free(&site->origin);
    cress_sitemap_free(site->sitemap);
    site->sitemap = NULL;
    if (cress_url_parse(source->url, &site->origin, &err)) {
        set_failure(site, &err);
    } else {
        const struct cress_http_request request = {
            .method = "GET",
            .url = source->url,
            .user_agent = services->config->render_user_agent,
            .timeout_ms =
                site->run->job.timeout_ms, /* it is read as fast as its pages can be submitted */
            .max_bytes = SITEMAP_MAX_BYTES,
            .max_redirects = (int)services->config->render_max_redirects,
            .guard = services->guard,
            .on_data = on_data,
        };
        site->sitemap = cress_sitemap_new(on_url, site);
        site->input_ended = false;
        site->fetch = cress_http_start(services->http, &request, on_source_fetched, site);
    }
    free(source->url);
    free(source);
    if (site->failure.status) {
        conclude_site(site);
    }
}

/* --- start and stop --- */

static void on_site_batch_open(const struct cress_error *err, void *arg)
{
    struct site *site = arg;
    if (err) {
        set_failure(site, err);
    }
    if (site->failure.status) {
        conclude_site(site);
    } else if (site->url) {
        add_source(site, site->url);
        next_source(site);
    } else {
        submit_pages(site);
    }
}

static bool all_strings(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i))) {
            return false;
        }
    }
    return json_array_size(array) > 0;
}

static enum cress_status read_site_payload(struct site *site, struct cress_error *err)
{
    json_error_t problem = {.text = ""};
    json_t *urls = NULL;
    json_t *payload = cress_run_payload(site->run, err);
    if (!payload) {
        return err->status;
    }
    const int failed =
        json_unpack_ex(payload, &problem, JSON_STRICT, "{s?s, s?o, s:s, s?s}", "url", &site->url,
                       "urls", &urls, "to", &site->to, "cache_control", &site->cache_control);
    if (failed || (site->url != NULL) == (urls != NULL) || (urls && !all_strings(urls))) {
        return cress_error_set(
            err, CRESS_INVALID, "invalid_payload",
            "the payload of site.prerender is wrong: %s; expected {\"url\": "
            "\"https://…/sitemap.xml\", "
            "\"to\": \"s3://bucket/prefix\"}, or \"urls\": [\"https://…\", …] in place of \"url\"",
            failed ? problem.text : "exactly one of \"url\" and \"urls\" is needed");
    }
    site->urls = urls;
    /* a destination that cannot work is refused once here, not by every page */
    struct cress_object_store *objects;
    const struct cress_services *services = site->run->services;
    const enum cress_status status = cress_object_store_open(
        services->loop, services->http, services->config, site->to, &objects, err);
    if (!status) {
        cress_object_store_close(objects);
    }
    return status;
}

static void site_start(struct cress_run *run)
{
    struct site *site = CRESS_NEW(struct site);
    site->run = run;
    run->state = site;
    cress_list_init(&site->sources);
    cress_id_derive(run->job.id, "publish", site->publish_id);
    struct cress_error err;
    if (read_site_payload(site, &err)) {
        end_site_with_error(site, &err);
        return;
    }
    char *completion =
        cress_publish_request(site->publish_id, run->job.queue, run->job.id, site->url, site->to);
    cress_store_batch_open(run->services->store, run->job.id, completion, false,
                           cress_clock_wall_ms(), on_site_batch_open, site);
    free(completion);
}

static void site_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    (void)reason;
    struct site *site = run->state;
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, "stopped", "stopped while the pages were submitted");
    set_failure(site, &err);
}

const struct cress_handler cress_site_handlers[] = {
    {.task = "site.prerender", .start = site_start, .stop = site_stop},
    {.task = "site.publish", .start = cress_publish_start, .stop = cress_publish_stop},
    {.task = NULL},
};
