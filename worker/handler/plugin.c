// SPDX-License-Identifier: Apache-2.0
// The handler `plugin`: a stream program that is ourselves; see plugin_command.h.
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "worker/handler/handler.h"
#include "worker/handler/plugin_command.h"
#include "worker/handler/stream.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_MS = 10000, OUTPUT_MAX_BYTES = 1 << 16 };

/* --- checking --- */

struct check {
    uv_loop_t loop;
    uv_process_t process;
    uv_pipe_t out, err; /* its stdout, its stderr */
    uv_timer_t deadline;
    struct cress_buf said, complaint;
    int64_t exit_status;
    int signal;
    bool too_late;
};

static void alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[4096]; /* each piece is copied before the next is read */
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

static void read_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    if (size > 0) {
        cress_buf_add(stream->data, buf->base, (size_t)size);
    } else if (size < 0) {
        uv_close((uv_handle_t *)stream, NULL);
    }
}

static void exit_cb(uv_process_t *process, int64_t exit_status, int number)
{
    struct check *check = process->data;
    check->exit_status = exit_status;
    check->signal = number;
    uv_close((uv_handle_t *)process, NULL);
    uv_close((uv_handle_t *)&check->deadline, NULL);
}

static void deadline_cb(uv_timer_t *timer)
{
    struct check *check = timer->data;
    check->too_late = true;
    uv_process_kill(&check->process, SIGKILL);
}

/* With an empty stdin a host says what it has and exits. False when it cannot be started. */
static bool start_host(struct check *check, const struct cress_task_config *task)
{
    char **argv = cress_plugin_command(task);
    uv_stdio_container_t streams[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&check->out},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&check->err},
    };
    const uv_process_options_t options = {.file = argv[0],
                                          .args = argv,
                                          .exit_cb = exit_cb,
                                          .stdio = streams,
                                          .stdio_count = CRESS_COUNT(streams)};
    const int failed = uv_spawn(&check->loop, &check->process, &options);
    cress_text_list_free(argv);
    return failed == 0;
}

static void run_check(struct check *check, const struct cress_task_config *task)
{
    uv_loop_init(&check->loop);
    uv_pipe_init(&check->loop, &check->out, 0);
    uv_pipe_init(&check->loop, &check->err, 0);
    uv_timer_init(&check->loop, &check->deadline);
    check->process.data = check->deadline.data = check;
    check->out.data = &check->said;
    check->err.data = &check->complaint;
    if (start_host(check, task)) {
        uv_read_start((uv_stream_t *)&check->out, alloc_cb, read_cb);
        uv_read_start((uv_stream_t *)&check->err, alloc_cb, read_cb);
        uv_timer_start(&check->deadline, deadline_cb, CHECK_MS, 0);
    } else {
        uv_close((uv_handle_t *)&check->process, NULL);
        uv_close((uv_handle_t *)&check->deadline, NULL);
        uv_close((uv_handle_t *)&check->out, NULL);
        uv_close((uv_handle_t *)&check->err, NULL);
        check->exit_status = -1;
    }
    uv_run(&check->loop, UV_RUN_DEFAULT);
    uv_loop_close(&check->loop);
}

static bool says_task(const json_t *tasks, const char *name)
{
    size_t i;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        if (strcmp(json_string_value(task), name) == 0) {
            return true;
        }
    }
    return strcmp(name, "*") == 0;
}

/* `hello` is the host's first line. */
static enum cress_status judge_tasks(const struct cress_task_config *task, const json_t *hello,
                                     struct cress_error *err)
{
    const json_t *tasks = json_object_get(hello, "tasks");
    if (says_task(tasks, task->name)) {
        return CRESS_OK;
    }
    char *names = json_dumps(tasks, JSON_COMPACT);
    cress_error_set(err, CRESS_CONFIG, "no_such_task", "%s has no task %s, but %s", task->file,
                    task->name, names ? names : "none");
    free(names);
    return CRESS_CONFIG;
}

static enum cress_status judge_check(const struct cress_task_config *task,
                                     const struct check *check, struct cress_error *err)
{
    if (check->too_late) {
        return cress_error_set(err, CRESS_CONFIG, "bad_plugin", "loading %s took longer than %d s",
                               task->file, CHECK_MS / 1000);
    }
    if (check->signal != 0) {
        return cress_error_set(err, CRESS_CONFIG, "bad_plugin",
                               "loading %s crashed: signal %d (%s)", task->file, check->signal,
                               strsignal(check->signal));
    }
    json_t *hello =
        json_loadb(cress_buf_text(&check->said), check->said.size, JSON_DISABLE_EOF_CHECK, NULL);
    if (check->exit_status != 0 || !hello) {
        const char *why = check->complaint.size ? cress_buf_text(&check->complaint)
                                                : "its host could not be started";
        json_decref(hello);
        return cress_error_set(err, CRESS_CONFIG, "bad_plugin", "%.*s", (int)strcspn(why, "\n"),
                               why);
    }
    const enum cress_status status = judge_tasks(task, hello, err);
    json_decref(hello);
    return status;
}

/* Starts a host and waits until it has said what it has and, its stdin being empty, has exited. */
static enum cress_status plugin_check(const struct cress_task_config *task, struct cress_error *err)
{
    if (!strchr(task->file, '/')) { /* dlopen() would search the libraries of the system */
        return cress_error_set(err, CRESS_CONFIG, "bad_plugin",
                               "`file` is a path with a / in it, such as ./task.so");
    }
    struct check check = {.said = cress_buf_make(OUTPUT_MAX_BYTES),
                          .complaint = cress_buf_make(OUTPUT_MAX_BYTES)};
    run_check(&check, task);
    const enum cress_status status = judge_check(task, &check, err);
    cress_buf_free(&check.said);
    cress_buf_free(&check.complaint);
    return status;
}

/* --- the handler --- */

static void plugin_open(struct cress_task *task)
{
    cress_stream_handler.open(task);
    cress_stream_prefork(task);
}

static void plugin_close(struct cress_task *task)
{
    cress_stream_handler.close(task);
}

static void plugin_start(struct cress_run *run)
{
    cress_stream_handler.start(run);
}

static void plugin_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    cress_stream_handler.stop(run, reason);
}

const struct cress_handler cress_plugin_handler = {
    .task = "plugin",
    .start = plugin_start,
    .stop = plugin_stop,
    .check = plugin_check,
    .open = plugin_open,
    .close = plugin_close,
};
