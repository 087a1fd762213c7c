// SPDX-License-Identifier: Apache-2.0
// The task site.publish: manifest and summary of a finished batch.
//
// The manifest is one JSON object {"site", "batch_id", "generated_at", "pages": […], "summary":
// {…}}, written page by page into an unlinked temporary file and uploaded from there, so that
// memory does not grow with the site:
//
//   read a chunk of results from the store -> write their lines -> next chunk … -> upload -> result
//
// Running it twice writes the same object again: harmless.
#include "worker/publish/publish.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/object/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 500, CHUNK_MAX_BYTES = 64 << 20 };

struct publish {
    struct cress_run *run;
    const char *batch; /* borrowed from the payload */
    const char *site;
    const char *to;
    struct cress_object_store *objects;
    int fd; /* of the manifest so far; -1: none */
    uv_fs_t fs;
    uv_buf_t write;
    struct cress_buf text; /* being written */
    int64_t size;          /* of the file */
    int64_t read;          /* results read so far */
    bool last_chunk;
    bool stopped;
    int64_t total, rendered, changed, failed, bytes;
};

static void next_chunk(struct publish *publish);

/* --- the end --- */

static void publish_free(struct publish *publish)
{
    if (publish->fd >= 0) {
        close(publish->fd); /* unlinked, nothing to sync: this does not block */
    }
    if (publish->objects) {
        cress_object_store_close(publish->objects);
    }
    cress_buf_free(&publish->text);
    free(publish);
}

static void end_publish_with_error(struct publish *publish, const struct cress_error *err)
{
    struct cress_run *run = publish->run;
    const struct cress_error copy = *err; /* it may be in what is freed now */
    publish_free(publish);
    cress_run_fail(run, &copy);
}

static json_t *summary(const struct publish *publish)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)publish->total,
                     "rendered", (json_int_t)publish->rendered, "changed",
                     (json_int_t)publish->changed, "unchanged",
                     (json_int_t)(publish->rendered - publish->changed), "failed",
                     (json_int_t)publish->failed, "bytes", (json_int_t)publish->bytes);
}

static void on_manifest_uploaded(const struct cress_error *err, void *arg)
{
    struct publish *publish = arg;
    if (err) {
        struct cress_error context = *err;
        cress_error_prefix(&context, "cannot store the manifest");
        end_publish_with_error(publish, &context);
        return;
    }
    struct cress_run *run = publish->run;
    json_t *result = summary(publish);
    json_object_set_new(result, "manifest", json_string(CRESS_MANIFEST_KEY));
    json_object_set_new(result, "batch_id", json_string(publish->batch));
    publish_free(publish);
    cress_run_succeed(run, result);
}

/* --- the file --- */

static void after_write(struct publish *publish)
{
    if (!publish->last_chunk) {
        next_chunk(publish);
        return;
    }
    const struct cress_object object = {
        .key = CRESS_MANIFEST_KEY,
        .fd = publish->fd,
        .size = (size_t)publish->size,
        .content_type = "application/json",
        .cache_control = "no-cache",
    };
    cress_object_put(publish->objects, &object, on_manifest_uploaded, publish);
}

static void write_on(struct publish *publish);

static void on_chunk_written(uv_fs_t *fs)
{
    struct publish *publish = fs->data;
    const ssize_t written = fs->result;
    uv_fs_req_cleanup(fs);
    if (written < 0) {
        struct cress_error err;
        cress_error_set(&err, written == UV_ENOSPC ? CRESS_NO_SPACE : CRESS_IO, NULL,
                        "cannot write the manifest's temporary file: %s",
                        uv_strerror((int)written));
        end_publish_with_error(publish, &err);
        return;
    }
    publish->size += written;
    publish->write.base += written;
    publish->write.len -= (size_t)written;
    if (publish->write.len > 0) {
        write_on(publish);
    } else {
        after_write(publish);
    }
}

static void write_on(struct publish *publish)
{
    publish->fs.data = publish;
    uv_fs_write(publish->run->services->loop, &publish->fs, publish->fd, &publish->write, 1,
                publish->size, on_chunk_written);
}

static void write_text(struct publish *publish)
{
    publish->write = uv_buf_init(publish->text.data, (unsigned)publish->text.size);
    write_on(publish);
}

/* --- the text --- */

static void write_head(struct publish *publish)
{
    char now[CRESS_TIME_TEXT_MAX];
    struct cress_buf *text = &publish->text;
    cress_buf_add_text(text, "{\"site\":");
    if (publish->site) {
        cress_buf_add_json(text, publish->site, strlen(publish->site));
    } else {
        cress_buf_add_text(text, "null");
    }
    cress_buf_add_text(text, ",\"batch_id\":");
    cress_buf_add_json(text, publish->batch, strlen(publish->batch));
    cress_buf_printf(text, ",\"generated_at\":\"%s\",\"pages\":[",
                     cress_time_format(cress_clock_wall_ms(), now));
}

static void write_tail(struct publish *publish)
{
    json_t *numbers = summary(publish);
    char *text = json_dumps(numbers, JSON_COMPACT);
    cress_buf_printf(&publish->text, "\n],\"summary\":%s}\n", text);
    free(text);
    json_decref(numbers);
}

/* Counts one end of a job and adds its line. */
static void write_page(struct publish *publish, const char *text)
{
    json_t *end = json_loads(text, 0, NULL);
    const json_t *result = json_object_get(end, "result");
    publish->total++;
    if (json_is_object(result)) {
        publish->rendered++;
        publish->changed += json_is_true(json_object_get(result, "changed"));
        publish->bytes += json_integer_value(json_object_get(result, "bytes"));
    } else {
        publish->failed++;
    }
    json_decref(end);
    cress_buf_add_text(&publish->text, publish->total > 1 ? ",\n" : "\n");
    cress_buf_add_text(&publish->text, text);
}

static void on_manifest_results(const char *const *results, size_t count,
                                const struct cress_error *err, void *arg)
{
    struct publish *publish = arg;
    if (err || publish->stopped) {
        struct cress_error stopped;
        cress_error_set(&stopped, CRESS_TIMEOUT, "stopped",
                        "stopped while the manifest was written");
        end_publish_with_error(publish, err ? err : &stopped);
        return;
    }
    cress_buf_clear(&publish->text);
    if (publish->read == 0) {
        write_head(publish);
    }
    for (size_t i = 0; i < count; i++) {
        write_page(publish, results[i]);
    }
    publish->read += (int64_t)count;
    publish->last_chunk = count < CHUNK;
    if (publish->last_chunk) {
        write_tail(publish);
    }
    if (publish->text.overflowed) {
        struct cress_error too_large;
        cress_error_set(&too_large, CRESS_TOO_LARGE, NULL, "%d results are larger than %d bytes",
                        CHUNK, CHUNK_MAX_BYTES);
        end_publish_with_error(publish, &too_large);
        return;
    }
    write_text(publish);
}

static void next_chunk(struct publish *publish)
{
    cress_store_batch_results(publish->run->services->store, publish->batch, publish->read, CHUNK,
                              on_manifest_results, publish);
}

/* --- start and stop --- */

/* A temporary file that vanishes with its descriptor; -1 and errno when there can be none. */
static int open_temporary(void)
{
    const char *folder = getenv("TMPDIR");
    char name[4096];
    const int n = snprintf(name, sizeof name, "%s/cress-manifest-XXXXXX",
                           folder && *folder ? folder : "/tmp");
    if (n < 0 || (size_t)n >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int fd = mkstemp(name);
    if (fd >= 0) {
        unlink(name);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

static enum cress_status prepare_publish(struct publish *publish, struct cress_error *err)
{
    const struct cress_services *services = publish->run->services;
    json_error_t problem;
    json_t *payload = cress_run_payload(publish->run, err);
    if (!payload) {
        return err->status;
    }
    if (json_unpack_ex(payload, &problem, JSON_STRICT, "{s:s, s:s, s?s}", "batch_id",
                       &publish->batch, "to", &publish->to, "site", &publish->site) != 0) {
        return cress_error_set(
            err, CRESS_INVALID, "invalid_payload",
            "the payload of site.publish is wrong: %s; it is made by site.prerender", problem.text);
    }
    const enum cress_status status = cress_object_store_open(
        services->loop, services->http, services->config, publish->to, &publish->objects, err);
    if (status) {
        return status;
    }
    publish->fd = open_temporary();
    if (publish->fd < 0) {
        return cress_error_set(err, CRESS_IO, NULL,
                               "cannot make a temporary file for the manifest (TMPDIR): %s",
                               strerror(errno));
    }
    return CRESS_OK;
}

void cress_publish_start(struct cress_run *run)
{
    struct publish *publish = CRESS_NEW(struct publish);
    publish->run = run;
    publish->fd = -1;
    publish->text = cress_buf_make(CHUNK_MAX_BYTES);
    run->state = publish;
    struct cress_error err;
    if (prepare_publish(publish, &err)) {
        end_publish_with_error(publish, &err);
        return;
    }
    next_chunk(publish);
}

void cress_publish_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    struct publish *publish = run->state;
    publish->stopped = true; /* seen between two chunks */
    if (reason != CRESS_STOP_SHUTDOWN) {
        cress_object_store_abandon(publish->objects);
    }
}

char *cress_publish_request(const char *id, const char *queue, const char *batch, const char *site,
                            const char *to)
{
    json_t *request =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s*}}", "id", id, "task", "site.publish", "queue",
                  queue, "payload", "batch_id", batch, "to", to, "site", site);
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    return text;
}
