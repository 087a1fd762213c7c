// SPDX-License-Identifier: Apache-2.0
// Enqueues one job on Cress's own common/ library and prints its id: enqueue [TASK [JSON]]
//
// Everything happens on one libuv loop: broker and store connect by themselves, and the callback of
// cress_submit() comes when the record is stored and the broker has confirmed the message.
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/submit/submit.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 10000 };

static struct cress_door to = {.timeout_ms = PATIENCE_MS};
static struct cress_job job;
static uv_timer_t patience;
static bool submitted;
static int exit_code;

static int fail(const struct cress_error *err)
{
    fprintf(stderr, "enqueue: %s\n", err->message);
    return exit_code = cress_status_exit_code(err->status);
}

static void on_closed(void *arg)
{
    (void)arg;
}

static void end(void) // uv_run() returns when all three are closed
{
    uv_close((uv_handle_t *)&patience, NULL);
    cress_broker_close(to.broker, on_closed, NULL);
    cress_store_close(to.store, on_closed, NULL);
}

static void on_submitted(const struct cress_record *record, const struct cress_error *err,
                         void *arg)
{
    (void)arg;
    if (err) {
        fail(err);
    } else {
        puts(record->id); // what GET /v1/jobs/{id} and `cress status` are asked for
    }
    end();
}

static void on_store_state(bool ready, const struct cress_error *err, void *arg)
{
    (void)err;
    (void)arg;
    if (ready && !submitted) {
        submitted = true;
        cress_submit(to, &job, on_submitted, NULL); // waits for the broker by itself
    }
}

static void on_patience_over(uv_timer_t *timer)
{
    (void)timer;
    struct cress_error why;
    if (!submitted && !cress_store_is_ready(to.store, &why)) {
        fail(&why);
        end();
    }
}

static enum cress_status connect_to(uv_loop_t *loop, struct cress_error *err)
{
    const struct cress_broker_options broker = {
        .config = to.config, .name = "quickstart", .roles = CRESS_BROKER_PUBLISH};
    const struct cress_store_options store = {.config = to.config, .on_state = on_store_state};
    const enum cress_status status = cress_broker_open(loop, &broker, &to.broker, err);
    return status ? status : cress_store_open(loop, &store, &to.store, err);
}

// The request of POST /v1/jobs, checked as there; `job` borrows from it and from `*texts`.
static enum cress_status make_job(const char *task, const char *payload, struct cress_buf *request,
                                  char **texts, struct cress_error *err)
{
    if (!cress_json_is_valid(payload)) { // it could bring members of its own
        return cress_error_set(err, CRESS_MALFORMED, NULL, "%s is not JSON", payload);
    }
    cress_buf_add_member(request, "{\"task\":", task);
    cress_buf_printf(request, ",\"payload\":%s}", payload);
    return cress_job_from_request(cress_buf_text(request), request->size, cress_clock_wall_ms(),
                                  &job, texts, err);
}

static void run(uv_loop_t *loop)
{
    uv_timer_init(loop, &patience);
    uv_timer_start(&patience, on_patience_over, PATIENCE_MS, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
}

int main(int argc, char **argv)
{
    struct cress_error err;
    struct cress_config *config = NULL; // defaults < cress.conf < CRESS_BROKER_URL, CRESS_STORE_URL
    struct cress_buf request = cress_buf_make(1 << 20);
    char *texts = NULL;
    if (cress_config_load(CRESS_PROGRAM_CLI, &argc, argv, &config, &err) ||
        make_job(argc > 1 ? argv[1] : "cress.echo", argc > 2 ? argv[2] : "\"Hello World!\"",
                 &request, &texts, &err)) {
        fail(&err);
    } else {
        to.config = config;
        if (connect_to(uv_default_loop(), &err)) {
            fail(&err);
        } else {
            run(uv_default_loop());
        }
    }
    free(texts);
    cress_buf_free(&request);
    cress_config_free(config);
    return exit_code;
}
