// SPDX-License-Identifier: Apache-2.0
// A job's record: read now, or awaited; see include/cress/cress.h.
#include "common/base/id.h"
#include "common/base/mem.h"
#include "library/client.h"

#include <jansson.h>
#include <stdlib.h>

struct asking {
    struct cress_client_call call;
    const char *id;
    int64_t timeout_ms;
    struct cress_record *record; /* found; owned by whoever asks */
};

static void answer_follower(struct asking *asking, const struct cress_record *record,
                            const struct cress_error *err)
{
    struct cress_error missing;
    if (!err && !record) {
        cress_error_set(&missing, CRESS_NOT_FOUND, "unknown_job",
                        "no job %s: it never existed, its record has expired, or it is in another "
                        "store",
                        asking->id);
        err = &missing;
    }
    if (!err) {
        asking->record = cress_record_clone(record);
    }
    cress_client_call_end(&asking->call, err);
}

static enum cress_status ask_status(struct cress_client *client, struct asking *asking,
                                    void (*begin)(struct cress_client_call *call),
                                    struct cress_record **record, struct cress_error *err)
{
    if (!cress_id_is_valid(asking->id)) {
        cress_error_set(err, CRESS_INVALID, "bad_id",
                        "a job's id has 1 to %d of A-Z a-z 0-9 . _ : @ -", CRESS_ID_MAX);
        return CRESS_INVALID;
    }
    const enum cress_status status = cress_client_perform(client, &asking->call, begin, err);
    if (status == CRESS_OK) {
        *record = asking->record;
    }
    return status;
}

/* --- now --- */

static void on_status(const struct cress_record *record, const struct cress_error *err, void *arg)
{
    answer_follower(arg, record, err);
}

static void begin_status(struct cress_client_call *call)
{
    struct asking *asking = CRESS_CONTAINER(call, struct asking, call);
    cress_store_peek(call->client->store, asking->id, on_status, asking);
}

enum cress_status cress_client_status(struct cress_client *client, const char *id,
                                      struct cress_record **record, struct cress_error *err)
{
    struct asking asking = {.id = id};
    return ask_status(client, &asking, begin_status, record, err);
}

/* --- at its end --- */

/* Outlives the asking, which has its answer before the timer is closed and the last read is
 * back. */
struct waiting {
    struct asking *asking; /* NULL: answered */
    struct cress_store *store;
    struct cress_watch *watch;
    uv_timer_t timer;
    int open; /* the timer, and reads under way */
};

static void leave_waiting(struct waiting *waiting)
{
    if (--waiting->open == 0) {
        free(waiting);
    }
}

static void follow_timer_closed_cb(uv_handle_t *timer)
{
    leave_waiting(timer->data);
}

static void finish_follow(struct waiting *waiting, const struct cress_record *record,
                          const struct cress_error *err)
{
    cress_watch_stop(waiting->watch);
    uv_close((uv_handle_t *)&waiting->timer, follow_timer_closed_cb);
    answer_follower(waiting->asking, record, err);
    waiting->asking = NULL;
}

static void on_followed_record(const struct cress_record *record, const struct cress_error *err,
                               void *arg)
{
    struct waiting *waiting = arg;
    const bool later = err ? cress_status_is_temporary(err->status)
                           : record && !cress_state_is_terminal(record->state);
    if (waiting->asking && !later) { /* else the watch wakes us: after a change, or a reconnect */
        finish_follow(waiting, record, err);
    }
    leave_waiting(waiting);
}

static void on_change(void *arg)
{
    struct waiting *waiting = arg;
    waiting->open++;
    cress_store_peek(waiting->store, waiting->asking->id, on_followed_record, waiting);
}

static void follow_timer_cb(uv_timer_t *timer)
{
    struct waiting *waiting = timer->data;
    struct cress_error err;
    cress_error_set(&err, CRESS_TIMEOUT, NULL, "job %s has not ended in time; it goes on",
                    waiting->asking->id);
    finish_follow(waiting, NULL, &err);
}

static void begin_waiting(struct cress_client_call *call)
{
    struct asking *asking = CRESS_CONTAINER(call, struct asking, call);
    struct waiting *waiting = CRESS_NEW(struct waiting);
    *waiting = (struct waiting){.asking = asking, .store = call->client->store, .open = 1};
    uv_timer_init(&call->client->loop, &waiting->timer);
    waiting->timer.data = waiting;
    if (asking->timeout_ms > 0) {
        uv_timer_start(&waiting->timer, follow_timer_cb, (uint64_t)asking->timeout_ms, 0);
    }
    waiting->watch = cress_store_watch(waiting->store, asking->id, on_change, waiting);
}

enum cress_status cress_client_wait(struct cress_client *client, const char *id, int64_t timeout_ms,
                                    struct cress_record **record, struct cress_error *err)
{
    struct asking asking = {.id = id, .timeout_ms = timeout_ms};
    return ask_status(client, &asking, begin_waiting, record, err);
}

/* The job's own error, as the caller's. */
static enum cress_status job_failed(const struct cress_record *record, struct cress_error *err)
{
    json_t *error = record->error ? json_loads(record->error, 0, NULL) : NULL;
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    cress_error_set(err, CRESS_JOB_FAILED, code, "job %s %s%s%s", record->id,
                    cress_state_word(record->state), message ? ": " : "", message ? message : "");
    json_decref(error);
    return CRESS_JOB_FAILED;
}

enum cress_status cress_client_result(struct cress_client *client, const char *id,
                                      int64_t timeout_ms, char **result, struct cress_error *err)
{
    struct cress_record *record;
    enum cress_status status = cress_client_wait(client, id, timeout_ms, &record, err);
    if (status != CRESS_OK) {
        return status;
    }
    if (record->state == CRESS_STATE_SUCCEEDED) {
        *result = cress_strdup(record->result ? record->result : "null");
    } else {
        status = job_failed(record, err);
    }
    cress_record_free(record);
    return status;
}
