// SPDX-License-Identifier: Apache-2.0
// The front of the object stores: which backend a URL means, what a request must look like, and the
// attempts.
//
// DESIGN
// Each request is a `struct cress_object_op`. It begins on the next turn of the loop, by its timer;
// so no callback runs from within the call that made it, not even for a bad key. The same timer
// later waits between attempts. The op, and with it its hold on the store, lives until the timer's
// close callback.

#include "common/object/object.h"

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/object/backend.h"

#include <stdlib.h>
#include <string.h>

/* The upper bounds of the random waits are 0.2, 0.4, 0.8 s and so on: a store that asks to slow
 * down gets air, and a lost connection costs a job little. */
static const struct cress_backoff backoff = {.base_ms = 200, .cap_ms = 5000};

enum { RETRY_LOG_INTERVAL_MS = 1000 };

struct cress_object_store {
    const struct cress_object_backend *backend;
    void *state;
    char *prefix;
    uv_loop_t *loop;
    int64_t max_attempts;
    struct cress_log_limit retry_log;
    struct cress_list ops; /* under way */
    int holds;             /* one for the owner until it closes, and one for each op */
};

/* --- stores --- */

static enum cress_status choose_backend(const char *url, const struct cress_config *config,
                                        const struct cress_object_backend **out,
                                        struct cress_error *err)
{
    if (cress_text_starts_with(url, "file://")) {
        *out = &cress_object_directory;
        return CRESS_OK;
    }
    if (!cress_text_starts_with(url, "s3://")) {
        cress_error_set(err, CRESS_INVALID, "bad_url",
                        "\"%.200s\" is not a store: expected s3://bucket/prefix or "
                        "file:///directory",
                        url);
        return CRESS_INVALID;
    }
    if (strcmp(config->s3_backend, "v4") == 0) {
        *out = &cress_object_s3;
        return CRESS_OK;
    }
    if (strcmp(config->s3_backend, "libs3") == 0) {
        *out = &cress_object_libs3;
        return CRESS_OK;
    }
    cress_error_set(err, CRESS_CONFIG, NULL, "s3.backend is \"%s\": expected v4 or libs3",
                    config->s3_backend);
    return CRESS_CONFIG;
}

enum cress_status cress_object_store_open(uv_loop_t *loop, struct cress_http *http,
                                          const struct cress_config *config, const char *url,
                                          struct cress_object_store **out, struct cress_error *err)
{
    const struct cress_object_backend *backend;
    enum cress_status status = choose_backend(url, config, &backend, err);
    if (status != CRESS_OK) {
        return status;
    }
    const struct cress_object_open how = {loop, http, config, url};
    void *state;
    char *prefix;
    status = backend->open(&how, &state, &prefix, err);
    if (status != CRESS_OK) {
        return status;
    }
    struct cress_object_store *store = CRESS_NEW(struct cress_object_store);
    store->backend = backend;
    store->state = state;
    store->prefix = prefix;
    store->loop = loop;
    store->max_attempts = config->s3_attempts;
    store->holds = 1;
    cress_list_init(&store->ops);
    *out = store;
    return CRESS_OK;
}

static void release_store(struct cress_object_store *store)
{
    if (--store->holds > 0) {
        return;
    }
    store->backend->close(store->state);
    free(store->prefix);
    free(store);
}

void cress_object_store_close(struct cress_object_store *store)
{
    if (store) {
        release_store(store);
    }
}

/* --- what a request must look like --- */

static enum cress_status check_key(const char *key, const char *whole, struct cress_error *err)
{
    if (key[0] == '\0') {
        return cress_error_set(err, CRESS_INVALID, "bad_key", "an object's key must not be empty");
    }
    if (strlen(whole) > CRESS_OBJECT_KEY_MAX) {
        return cress_error_set(err, CRESS_INVALID, "bad_key",
                               "a key has at most %d bytes, prefix included; this one has %zu: "
                               "%.100s...",
                               CRESS_OBJECT_KEY_MAX, strlen(whole), whole);
    }
    if (!cress_text_is_utf8(whole, strlen(whole))) {
        return cress_error_set(err, CRESS_INVALID, "bad_key", "an object's key must be UTF-8");
    }
    return CRESS_OK;
}

/* They become header lines: a line break in one would be another header. */
static bool is_header_value(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_meta_name(const char *name)
{
    return name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static enum cress_status check_object(const struct cress_object *object, struct cress_error *err)
{
    const char *values[] = {object->content_type, object->cache_control, object->content_encoding};
    for (size_t i = 0; i < CRESS_COUNT(values); i++) {
        if (!is_header_value(values[i])) {
            return cress_error_set(err, CRESS_INVALID, "bad_header",
                                   "Content-Type, Cache-Control and Content-Encoding must not hold "
                                   "control characters");
        }
    }
    if (object->meta_count > CRESS_OBJECT_META_MAX) {
        return cress_error_set(err, CRESS_INVALID, "bad_metadata",
                               "at most %d metadata are possible", CRESS_OBJECT_META_MAX);
    }
    for (size_t i = 0; i < object->meta_count; i++) {
        if (!is_meta_name(object->meta[i].name) || !is_header_value(object->meta[i].value)) {
            return cress_error_set(err, CRESS_INVALID, "bad_metadata",
                                   "metadata \"%.60s\": a name has a-z, 0-9 and -, a value no "
                                   "control characters",
                                   object->meta[i].name);
        }
    }
    return CRESS_OK;
}

/* --- one request --- */

static void free_texts(struct cress_object *object)
{
    free((char *)object->content_type);
    free((char *)object->cache_control);
    free((char *)object->content_encoding);
    for (size_t i = 0; i < object->meta_count; i++) {
        free((char *)object->meta[i].name);
        free((char *)object->meta[i].value);
    }
}

static void op_closed_cb(uv_handle_t *handle)
{
    struct cress_object_op *op = handle->data;
    free_texts(&op->object);
    free(op->owned_key);
    release_store(op->store);
    free(op);
}

static void report_op(const struct cress_object_op *op)
{
    const struct cress_error *err = op->error.status == CRESS_OK ? NULL : &op->error;
    if (op->verb != CRESS_OBJECT_HEAD) {
        op->done(err, op->arg);
        return;
    }
    const struct cress_object_found *found = &op->found;
    const struct cress_object_info info = {
        .exists = found->exists,
        .size = found->size,
        .content_type = found->content_type[0] ? found->content_type : NULL,
        .sha256 = found->sha256[0] ? found->sha256 : NULL,
    };
    op->head_done(err ? NULL : &info, err, op->arg);
}

static void end_attempt(struct cress_object_op *op);

static void work_cb(uv_work_t *work)
{
    struct cress_object_op *op = work->data;
    op->error.status = op->store->backend->run(op, &op->error);
}

static void worked_cb(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    end_attempt(work->data);
}

static void attempt_cb(uv_timer_t *timer)
{
    struct cress_object_op *op = timer->data;
    struct cress_object_store *store = op->store;
    if (op->error.status != CRESS_OK && op->attempts == 0) {
        end_attempt(op); /* it was refused before the first attempt */
        return;
    }
    if (op->abandoned) {
        cress_object_op_abandoned(op);
        return;
    }
    op->attempts++;
    op->error = (struct cress_error){.status = CRESS_OK};
    if (store->backend->start) {
        store->backend->start(op);
    } else {
        uv_queue_work(store->loop, &op->work, work_cb, worked_cb);
    }
}

/* Not CRESS_NO_SPACE and CRESS_IO, though they may pass: not within seconds. */
static bool may_try_again(const struct cress_object_op *op)
{
    enum cress_status status = op->error.status;
    return op->attempts > 0 && op->attempts < op->store->max_attempts && !op->abandoned &&
           (status == CRESS_UNAVAILABLE || status == CRESS_TIMEOUT || status == CRESS_TEMPORARY);
}

static void end_attempt(struct cress_object_op *op)
{
    struct cress_object_store *store = op->store;
    if (!may_try_again(op)) {
        cress_list_remove(&op->node);
        uv_close((uv_handle_t *)&op->timer, op_closed_cb);
        report_op(op);
        return;
    }
    int64_t wait_ms = cress_backoff_ms(&backoff, (unsigned)op->attempts, cress_random());
    uint64_t suppressed;
    if (cress_log_allow(&store->retry_log, RETRY_LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "object store request failed, trying again",
                  CRESS_KV("key", op->key), CRESS_KV_ERROR(&op->error),
                  CRESS_KVI("attempt", op->attempts), CRESS_KVI("in_ms", wait_ms),
                  CRESS_KVI("suppressed", suppressed));
    }
    uv_timer_start(&op->timer, attempt_cb, (uint64_t)wait_ms, 0);
}

void cress_object_store_abandon(struct cress_object_store *store)
{
    for (struct cress_list *at = store->ops.next; at != &store->ops; at = at->next) {
        struct cress_object_op *op = CRESS_CONTAINER(at, struct cress_object_op, node);
        op->abandoned = true;
        if (uv_is_active((uv_handle_t *)&op->timer)) {
            uv_timer_start(&op->timer, attempt_cb, 0, 0);
        } else if (store->backend->abandon) {
            store->backend->abandon(op);
        }
    }
}

static struct cress_object_op *op_begin(struct cress_object_store *store,
                                        enum cress_object_verb verb, const char *key)
{
    struct cress_object_op *op = CRESS_NEW(struct cress_object_op);
    op->store = store;
    op->state = store->state;
    op->verb = verb;
    op->ended_cb = end_attempt;
    op->owned_key = verb == CRESS_OBJECT_CHECK
                        ? cress_strdup("")
                        : cress_format("%s%s%s", store->prefix, store->prefix[0] ? "/" : "", key);
    op->key = op->owned_key;
    op->work.data = op;
    store->holds++;
    cress_list_append(&store->ops, &op->node);
    uv_timer_init(store->loop, &op->timer);
    op->timer.data = op;
    uv_timer_start(&op->timer, attempt_cb, 0, 0);
    return op;
}

static struct cress_object copy_object(const struct cress_object *object)
{
    struct cress_object copy = *object;
    copy.key = NULL;
    copy.content_type =
        cress_strdup(object->content_type ? object->content_type : "application/octet-stream");
    copy.cache_control = cress_strdup(object->cache_control);
    copy.content_encoding = cress_strdup(object->content_encoding);
    for (size_t i = 0; i < object->meta_count; i++) {
        copy.meta[i].name = cress_strdup(object->meta[i].name);
        copy.meta[i].value = cress_strdup(object->meta[i].value);
    }
    return copy;
}

void cress_object_put(struct cress_object_store *store, const struct cress_object *object,
                      cress_object_cb done, void *arg)
{
    struct cress_object_op *op = op_begin(store, CRESS_OBJECT_PUT, object->key);
    op->done = done;
    op->arg = arg;
    enum cress_status status = check_key(object->key, op->key, &op->error);
    if (status == CRESS_OK) {
        status = check_object(object, &op->error);
    }
    if (status == CRESS_OK) {
        op->object = copy_object(object);
    }
}

void cress_object_head(struct cress_object_store *store, const char *key, cress_object_head_cb done,
                       void *arg)
{
    struct cress_object_op *op = op_begin(store, CRESS_OBJECT_HEAD, key);
    op->head_done = done;
    op->arg = arg;
    op->error.status = check_key(key, op->key, &op->error);
}

void cress_object_check(struct cress_object_store *store, cress_object_cb done, void *arg)
{
    struct cress_object_op *op = op_begin(store, CRESS_OBJECT_CHECK, "");
    op->done = done;
    op->arg = arg;
}
