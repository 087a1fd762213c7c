// SPDX-License-Identifier: Apache-2.0
// cress prerender: one site.prerender job from a sitemap's URL or a list of pages; --wait follows
// the whole batch.
//
// DESIGN
//
//   site.prerender (root) ends with {"publish_id", "pages"} -> its page.render jobs end -> site.publish ends with the summary
//
// All are followed by the root's id, which is the batch's too. The publishing job's record appears
// only when the batch is done, so its absence is no error here.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/url.h"
#include "common/submit/submit.h"
#include "producer/cli/cli.h"
#include "producer/cli/follow.h"
#include "producer/cli/input.h"
#include "producer/cli/records.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH_READ_MS = 200 };
#define LIST_MAX_BYTES ((size_t)128 << 20)

struct prerender {
    struct cress_cli *cli;
    json_t *request;
    char *text; /* of `request` */
    char *texts;
    struct cress_job job; /* borrows from `text` and `texts` */
    char id[CRESS_ID_MAX + 1];
    bool reading_batch;
};

/* --- what the user gave --- */

static enum cress_status check_source_url(const char *text, const char *const *schemes,
                                          struct cress_error *err)
{
    struct cress_url url;
    if (cress_url_parse(text, &url, err) != CRESS_OK) {
        return err->status;
    }
    bool known = false;
    for (; *schemes; schemes++) {
        known |= strcmp(url.scheme, *schemes) == 0;
    }
    cress_url_free(&url);
    if (!known) {
        return cress_error_set(err, CRESS_INVALID, "bad_url", "%s is of the wrong kind", text);
    }
    return CRESS_OK;
}

static const char *const page_schemes[] = {"http", "https", NULL};
static const char *const target_schemes[] = {"s3", "file", NULL};

/* One URL a line; blank lines and lines that begin with # are skipped. Cuts `text` up. */
static enum cress_status read_source_urls(char *text, const char *path, json_t *urls,
                                          struct cress_error *err)
{
    int number = 0;
    for (char *line = text; line;) {
        char *next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        number++;
        line += strspn(line, " \t");
        line[strcspn(line, " \t\r")] = '\0';
        if (*line && *line != '#') {
            if (check_source_url(line, page_schemes, err) != CRESS_OK) {
                cress_error_prefix(err, "%s, line %d", path, number);
                return err->status;
            }
            json_array_append_new(urls, json_string(line));
        }
        line = next;
    }
    if (json_array_size(urls) == 0) {
        return cress_error_set(err, CRESS_INVALID, "no_urls", "%s names no page", path);
    }
    return CRESS_OK;
}

static enum cress_status read_source_list(const char *path, json_t *payload,
                                          struct cress_error *err)
{
    struct cress_buf text = cress_buf_make(LIST_MAX_BYTES);
    json_t *urls = json_array();
    enum cress_status status = cress_input_read(path, &text, err);
    if (status == CRESS_OK) {
        char *copy = cress_buf_take(&text);
        status = read_source_urls(copy, path, urls, err);
        free(copy);
    }
    cress_buf_free(&text);
    json_object_set_new(payload, "urls", urls);
    return status;
}

static enum cress_status read_prerender_source(const char *source, json_t *payload,
                                               struct cress_error *err)
{
    if (strcmp(source, "-") == 0 || access(source, F_OK) == 0) {
        return read_source_list(source, payload, err);
    }
    if (!strstr(source, "://")) {
        return cress_error_set(
            err, CRESS_NOT_FOUND, NULL,
            "%s is neither a file nor a URL such as https://example.com/sitemap.xml", source);
    }
    if (check_source_url(source, page_schemes, err) != CRESS_OK) {
        return err->status;
    }
    json_object_set_new(payload, "url", json_string(source));
    return CRESS_OK;
}

static enum cress_status check_size(const struct cress_cli *cli, const struct prerender *prerender,
                                    struct cress_error *err)
{
    const int64_t max_bytes = cli->config->job_max_payload_bytes;
    if ((int64_t)prerender->job.payload_size > max_bytes) {
        return cress_error_set(
            err, CRESS_TOO_LARGE, "payload_too_large",
            "the list makes a payload of %zu bytes, allowed are %" PRId64
            " (job.max_payload); put it on the web as a sitemap and give its URL",
            prerender->job.payload_size, max_bytes);
    }
    return CRESS_OK;
}

static enum cress_status prepare_prerender(struct cress_cli *cli, struct cress_error *err)
{
    const struct cress_args *args = &cli->args;
    struct prerender *prerender = cli->state = CRESS_NEW(struct prerender);
    prerender->cli = cli;
    const char *to = cress_args_text(args, "to");
    if (!to) {
        return cress_error_set(err, CRESS_USAGE, "missing_option",
                               "where to? --to s3://bucket/prefix or --to file:///directory");
    }
    if (check_source_url(to, target_schemes, err) != CRESS_OK) {
        cress_error_prefix(err, "--to (s3://bucket/prefix or file:///directory)");
        return err->status;
    }
    json_t *payload = json_pack("{s:s}", "to", to);
    prerender->request = json_pack("{s:s, s:o}", "task", "site.prerender", "payload", payload);
    if (read_prerender_source(args->operands[0], payload, err) != CRESS_OK) {
        return err->status;
    }
    if (cress_args_has(args, "cache-control")) {
        json_object_set_new(payload, "cache_control",
                            json_string(cress_args_text(args, "cache-control")));
    }
    if (cress_args_has(args, "queue")) {
        json_object_set_new(prerender->request, "queue",
                            json_string(cress_args_text(args, "queue")));
    }
    if (cress_args_has(args, "max-attempts")) {
        json_object_set_new(prerender->request, "max_attempts",
                            json_integer(cress_args_number(args, "max-attempts", 0)));
    }
    prerender->text = json_dumps(prerender->request, JSON_COMPACT);
    if (cress_job_from_request(prerender->text, strlen(prerender->text), cress_clock_wall_ms(),
                               &prerender->job, &prerender->texts, err) != CRESS_OK) {
        return err->status;
    }
    return check_size(cli, prerender, err);
}

/* --- --wait --- */

static void on_prerender_batch(const struct cress_batch *batch, const struct cress_error *err,
                               void *arg)
{
    struct prerender *prerender = arg;
    prerender->reading_batch = false;
    if (cress_cli_over(prerender->cli) || err || !batch) {
        return; /* the bar stands still; the records tell what is wrong */
    }
    const int64_t ended = batch->succeeded + batch->failed + batch->cancelled + batch->expired;
    char text[128];
    snprintf(text, sizeof text, "%" PRId64 " of %" PRId64 "%s pages, %" PRId64 " failed", ended,
             batch->total, batch->closed ? "" : " or more", batch->failed);
    cress_output_progress(&prerender->cli->output, ended, batch->closed ? batch->total : 0, text);
}

static void read_batch(void *arg)
{
    struct prerender *prerender = arg;
    if (!prerender->reading_batch) {
        prerender->reading_batch = true;
        cress_store_batch_get(prerender->cli->store, prerender->id, on_prerender_batch, prerender);
    }
}

/* "key<tab>value" lines; a table on a terminal. */
static void print_summary(struct cress_cli *cli, const json_t *summary)
{
    static const char *const columns[] = {"SUMMARY", "VALUE", NULL};
    struct cress_table *table = cress_table_new(columns);
    const char *key;
    json_t *value;
    json_t *object = (json_t *)summary; /* jansson iterates by non-const pointers */
    json_object_foreach(object, key, value)
    {
        char *text = json_is_string(value) ? cress_strdup(json_string_value(value))
                                           : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        cress_table_add(table, (const char *const[]){key, text});
        free(text);
    }
    cress_table_print(table, &cli->output);
}

static void on_publish_changed(const struct cress_record *record, void *arg)
{
    struct prerender *prerender = arg;
    struct cress_cli *cli = prerender->cli;
    if (!record || !cress_state_is_terminal(record->state)) {
        return;
    }
    cress_output_progress_end(&cli->output);
    if (record->state != CRESS_STATE_SUCCEEDED) {
        cress_record_explain(cli, record);
        cress_cli_end(cli, cress_record_exit_code(record));
        return;
    }
    json_t *summary = json_loads(record->result ? record->result : "null", JSON_DECODE_ANY, NULL);
    if (cress_cli_json(cli)) {
        puts(record->result ? record->result : "null");
    } else {
        print_summary(cli, summary);
    }
    const json_int_t failed = json_integer_value(json_object_get(summary, "failed"));
    json_decref(summary);
    const bool is_good = failed <= cress_args_number(&cli->args, "max-failures", 0);
    if (!is_good) {
        cress_output_say(&cli->output, "cress: %lld page%s failed; see the batch's manifest",
                         (long long)failed, failed == 1 ? "" : "s");
    }
    cress_cli_end(cli, is_good ? 0 : cress_status_exit_code(CRESS_JOB_FAILED));
}

static void on_root_changed(const struct cress_record *record, void *arg)
{
    struct prerender *prerender = arg;
    struct cress_cli *cli = prerender->cli;
    if (!record || !cress_state_is_terminal(record->state)) {
        return;
    }
    if (record->state != CRESS_STATE_SUCCEEDED) {
        cress_record_explain(cli, record);
        cress_cli_end(cli, cress_record_exit_code(record));
        return;
    }
    json_t *result = json_loads(record->result ? record->result : "null", JSON_DECODE_ANY, NULL);
    const char *publish_id = json_string_value(json_object_get(result, "publish_id"));
    if (publish_id) {
        cress_follow(cli, publish_id, on_publish_changed, prerender);
    } else {
        struct cress_error err;
        cress_error_set(&err, CRESS_INTERNAL, NULL, "job %s names no publish_id in its result",
                        record->id);
        cress_cli_fail(cli, &err);
    }
    json_decref(result);
}

static void on_site_waited_enough(void *arg)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, NULL,
                    "the pages are not done in time; they go on: see cress status");
    cress_cli_fail(arg, &err);
}

static void wait_for_site(struct prerender *prerender)
{
    struct cress_cli *cli = prerender->cli;
    cress_output_say(&cli->output, "enqueued %s", prerender->id);
    const int64_t patience_ms = cress_args_number(&cli->args, "wait", 0);
    if (patience_ms > 0) {
        cress_cli_after(cli, patience_ms, on_site_waited_enough, cli);
    }
    if (cli->output.err_is_terminal) {
        cress_cli_every(cli, BATCH_READ_MS, read_batch, prerender);
    }
    cress_follow(cli, prerender->id, on_root_changed, prerender);
}

/* --- the verb --- */

static void on_prerender_submitted(const struct cress_record *record, const struct cress_error *err,
                                   void *arg)
{
    struct prerender *prerender = arg;
    struct cress_cli *cli = prerender->cli;
    if (cress_cli_failed(cli, err)) {
        return;
    }
    snprintf(prerender->id, sizeof prerender->id, "%s", record->id);
    if (cress_args_has(&cli->args, "wait")) {
        wait_for_site(prerender);
        return;
    }
    if (cress_cli_json(cli)) {
        cress_record_print_json(cli, record);
        putchar('\n');
    } else {
        puts(record->id);
    }
    cress_cli_end(cli, 0);
}

static void run_prerender(struct cress_cli *cli)
{
    struct prerender *prerender = cli->state;
    prerender->job.created_ms = cress_clock_wall_ms(); /* the servers' clock is known now */
    cress_submit(cress_cli_door(cli, CRESS_CLI_CONFIRM_MS), &prerender->job, on_prerender_submitted,
                 prerender);
}

static void release_prerender(struct cress_cli *cli)
{
    struct prerender *prerender = cli->state;
    json_decref(prerender->request);
    free(prerender->texts);
    free(prerender->text);
    free(prerender);
}

static const struct cress_flag flags[] = {
    {.name = "to",
     .kind = CRESS_FLAG_TEXT,
     .value = "URL",
     .help = "where the pages go: s3://bucket/prefix or file:///directory"},
    {.name = "queue",
     .kind = CRESS_FLAG_TEXT,
     .value = "NAME",
     .is_queue = true,
     .help = "the queue (default: default)"},
    {.name = "cache-control",
     .kind = CRESS_FLAG_TEXT,
     .value = "TEXT",
     .help =
         "Cache-Control of the uploaded pages (default: the origin's, else render.cache_control)"},
    {.name = "max-attempts",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .min = 1,
     .max = CRESS_JOB_ATTEMPTS_MAX,
     .help = "attempts of the job until it fails (default: job.max_attempts)"},
    {.name = "wait",
     .kind = CRESS_FLAG_DURATION,
     .value = "TIME",
     .optional = true,
     .help = "wait until the pages are published, at most TIME; print the summary"},
    {.name = "max-failures",
     .kind = CRESS_FLAG_NUMBER,
     .value = "N",
     .max = INT64_MAX,
     .help = "with --wait: how many pages may fail (default: 0)"},
    {.name = NULL},
};

const struct cress_verb cress_verb_prerender = {
    .name = "prerender",
    .operands = "URL|FILE|-",
    .summary = "render every page of a site and store it",
    .about =
        "URL is a sitemap, a sitemap index or their .gz; FILE or stdin has one page's URL a line.\n"
        "Prints the id of the site.prerender job, which is the id of the batch of pages too. With\n"
        "--wait a bar shows the pages, and stdout gets the summary: total, rendered, changed,\n"
        "unchanged, failed, bytes, manifest. The exit code is then 0 when the pages were "
        "published\n"
        "and no more than --max-failures of them failed, else 1; 5 when the time was over.\n",
    .examples = "  cress prerender https://example.com/sitemap.xml --to s3://bucket/site\n"
                "  cress prerender pages.txt --to s3://bucket/site --wait\n"
                "  find-pages | cress prerender - --to file:///var/www/site --wait=10m --json\n",
    .flags = flags,
    .min_operands = 1,
    .max_operands = 1,
    .needs = CRESS_NEEDS_CONFIG | CRESS_NEEDS_STORE | CRESS_NEEDS_BROKER,
    .prepare = prepare_prerender,
    .run = run_prerender,
    .release = release_prerender,
};
