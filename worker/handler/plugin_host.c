// SPDX-License-Identifier: Apache-2.0
// The process in which a plug-in runs; see plugin_host.h. To the plug-in it is <cress/task.h>.
//
// DESIGN. To the worker it is a stream program like any other, with one job in flight: it speaks
// stream_protocol.h on stdin and stdout, and its first line names its tasks besides:
//
//   {"cress":1,"concurrency":1,"tasks":["image.thumbnail",…]}
//
// One thread, one job at a time. The plug-in may print: its stdout is our stderr. A timer asks the
// job to stop by raising SIGTERM at its soft deadline, and whoever else sends that signal does so
// too. The end of stdin ends the process, and so does the death of the worker.
//
// A plug-in's struct cress_job is opaque, and not the struct cress_job of common/job/job.h, which
// is therefore not included here: its pointers are those of struct hosted.
#include "worker/handler/plugin_host.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "include/cress/task.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { TASKS_MAX = 64, LINE_MAX_BYTES = 256 << 20, EXIT_NEVER = 65, EXIT_RETRY = 75 };

static struct host {
    int out;                 /* to the worker */
    int64_t soft_timeout_ms; /* 0: none */
    timer_t alarm;           /* raises SIGTERM at the soft deadline */
    int foreign_abi;         /* of a plug-in that was compiled for another one */
    bool is_foreign;
    size_t task_count;
    struct task {
        const char *name;
        cress_task_cb run;
    } tasks[TASKS_MAX];
} host = {.out = -1};

static volatile sig_atomic_t cancelled;

/* What a struct cress_job is in here. */
struct hosted {
    struct cress_json payload, after; /* in its line; of `after`, size 0: it waited for no jobs */
    json_t *payload_value, *after_value; /* NULL: not asked for yet */
    struct cress_error payload_error;    /* why there is no value; CRESS_OK: there is, or may be */
    bool reads_text;
    char *id, *task;
    int attempt;
    int64_t deadline_ms;
    char *result; /* JSON text; NULL: null */
    struct cress_error error;
    int64_t retry_after_ms;
};

static struct hosted *hosted(struct cress_job *job)
{
    return (struct hosted *)(void *)job;
}

static const struct hosted *hosted_const(const struct cress_job *job)
{
    return (const struct hosted *)(const void *)job;
}

/* --- lines to the worker --- */

static void write_line(struct cress_buf *line)
{
    cress_buf_add_char(line, '\n');
    const char *text = cress_buf_text(line);
    size_t left = line->size;
    while (left > 0) {
        const ssize_t n = write(host.out, text, left);
        if (n < 0 && errno != EINTR) {
            _exit(EXIT_FAILURE); /* the worker is gone */
        }
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
    cress_buf_free(line);
}

static void add_line_text(struct cress_buf *line, const char *text)
{
    cress_buf_add_json(line, text, strlen(text));
}

/* A line about `job`, up to the member that says what. */
static struct cress_buf begin_line(const struct hosted *job, const char *member)
{
    struct cress_buf line = cress_buf_make(LINE_MAX_BYTES);
    cress_buf_add_text(&line, "{\"id\":");
    add_line_text(&line, job->id);
    cress_buf_printf(&line, ",\"%s\":", member);
    return line;
}

static void end_line(struct cress_buf *line)
{
    cress_buf_add_char(line, '}');
    write_line(line);
}

/* --- the plug-in's functions: <cress/task.h> --- */

CRESS_API void cress_task_register(int abi, const char *name, cress_task_cb run)
{
    if (abi != CRESS_TASK_ABI) {
        host.is_foreign = true;
        host.foreign_abi = abi;
    } else if (host.task_count < TASKS_MAX) {
        host.tasks[host.task_count++] = (struct task){.name = name, .run = run};
    }
}

CRESS_API const char *cress_job_id(const struct cress_job *job)
{
    return hosted_const(job)->id;
}

CRESS_API const char *cress_job_task(const struct cress_job *job)
{
    return hosted_const(job)->task;
}

CRESS_API int cress_job_attempt(const struct cress_job *job)
{
    return hosted_const(job)->attempt;
}

/* NULL: jansson cannot hold it. */
static json_t *make_value(struct hosted *job, struct cress_json text, json_t **value)
{
    json_error_t where;
    if (!*value) {
        *value = json_loadb(text.text, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    }
    if (!*value) {
        cress_error_set(&job->payload_error, CRESS_INVALID, "payload_not_held",
                        "the plug-in reads the payload as a jansson value, which cannot hold it: "
                        "%s at byte %d; cress_job_payload_text() gives it as text",
                        where.text, where.position);
    }
    return *value;
}

/* A job is const for those who only read it; that a value is made at the first call is ours. */
static struct hosted *hosted_lazy(const struct cress_job *job)
{
    return (struct hosted *)(uintptr_t)job;
}

CRESS_API json_t *cress_job_payload(const struct cress_job *job)
{
    struct hosted *asked = hosted_lazy(job);
    return make_value(asked, asked->payload, &asked->payload_value);
}

CRESS_API const char *cress_job_payload_text(const struct cress_job *job, size_t *size)
{
    struct hosted *asked = hosted_lazy(job);
    asked->reads_text = true;
    *size = asked->payload.size;
    return asked->payload.text;
}

CRESS_API json_t *cress_job_after(const struct cress_job *job)
{
    struct hosted *asked = hosted_lazy(job);
    return asked->after.size ? make_value(asked, asked->after, &asked->after_value) : NULL;
}

CRESS_API int64_t cress_job_time_left_ms(const struct cress_job *job)
{
    const int64_t left_ms = hosted_const(job)->deadline_ms - cress_clock_own_ms();
    return left_ms > 0 ? left_ms : 0;
}

CRESS_API bool cress_job_cancelled(const struct cress_job *job)
{
    (void)job;
    return cancelled != 0;
}

CRESS_API void cress_job_progress(struct cress_job *job, int percent, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct cress_buf line = begin_line(hosted(job), "progress");
    cress_buf_printf(&line, "%d,\"message\":", percent);
    add_line_text(&line, text);
    end_line(&line);
}

CRESS_API void cress_job_log(struct cress_job *job, const char *format, ...)
{
    struct cress_buf text = cress_buf_make(LINE_MAX_BYTES);
    va_list args;
    va_start(args, format);
    cress_buf_vprintf(&text, format, args);
    va_end(args);
    struct cress_buf line = begin_line(hosted(job), "log");
    add_line_text(&line, cress_buf_text(&text));
    end_line(&line);
    cress_buf_free(&text);
}

/* Numbers that jansson writes with 17 digits, 0.29999999999999999, in as few as read back the same. */
static void add_shortest_number(struct cress_buf *out, const char *text, size_t size)
{
    char shorter[64] = "";
    const double value = strtod(text, NULL); /* another character ends it */
    const bool is_real = memchr(text, '.', size) || memchr(text, 'e', size);
    for (int digits = 15; is_real && digits <= 17; digits++) {
        snprintf(shorter, sizeof shorter, "%.*g", digits, value);
        if (strtod(shorter, NULL) == value) {
            break;
        }
    }
    const bool stays_real = strpbrk(shorter, ".e") != NULL; /* 1.0 stays 1.0 */
    cress_buf_add(out, stays_real ? shorter : text, stays_real ? strlen(shorter) : size);
}

static char *write_value(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct cress_buf out = cress_buf_make(LINE_MAX_BYTES);
    bool in_string = false;
    for (const char *at = text; at && *at;) {
        const size_t digits = in_string ? 0 : strspn(at, "-+.0123456789eE");
        if (digits > 0 && (*at == '-' || (*at >= '0' && *at <= '9'))) {
            add_shortest_number(&out, at, digits);
            at += digits;
            continue;
        }
        const size_t step = in_string && *at == '\\' ? 2 : 1;
        in_string ^= *at == '"';
        cress_buf_add(&out, at, step);
        at += step;
    }
    free(text);
    return cress_buf_take(&out);
}

static int take_result(struct hosted *job, char *text)
{
    free(job->result);
    job->result = text;
    return EXIT_SUCCESS;
}

CRESS_API int cress_job_done(struct cress_job *job, json_t *result)
{
    char *text = result ? write_value(result) : NULL;
    json_decref(result);
    return take_result(hosted(job), text);
}

CRESS_API int cress_job_done_text(struct cress_job *job, const char *result, size_t size)
{
    struct cress_json value;
    struct cress_error err;
    if (cress_json_check(result, size, &value, &err) != CRESS_OK) {
        return cress_job_fail(job, "bad_result", "the task's result is not JSON: %s", err.message);
    }
    return take_result(hosted(job), cress_strndup(value.text, value.size));
}

CRESS_PRINTF(3, 0)
static void set_task_error(struct hosted *job, const char *code, const char *format, va_list args)
{
    char message[CRESS_ERROR_MESSAGE_MAX];
    vsnprintf(message, sizeof message, format, args);
    cress_error_set(&job->error, CRESS_TEMPORARY, code, "%s", message);
}

CRESS_API int cress_job_fail(struct cress_job *job, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_task_error(hosted(job), code, format, args);
    va_end(args);
    return EXIT_NEVER;
}

CRESS_API int cress_job_retry(struct cress_job *job, int64_t after_ms, const char *code,
                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_task_error(hosted(job), code, format, args);
    va_end(args);
    hosted(job)->retry_after_ms = after_ms;
    return EXIT_RETRY;
}

/* --- jobs --- */

static void write_result(const struct hosted *job)
{
    struct cress_buf line = begin_line(job, "result");
    if (job->result) {
        cress_json_add_line(&line, (struct cress_json){job->result, strlen(job->result)});
    } else {
        cress_buf_add_text(&line, "null");
    }
    end_line(&line);
}

static void write_error(struct hosted *job, int verdict)
{
    if (job->error.status == CRESS_OK) {
        cress_error_set(&job->error, CRESS_TEMPORARY, "task_failed", "the task returned %d",
                        verdict);
    }
    struct cress_buf line = begin_line(job, "error");
    cress_buf_add_text(&line, "{\"code\":");
    add_line_text(&line, job->error.code);
    cress_buf_add_text(&line, ",\"message\":");
    add_line_text(&line, job->error.message);
    cress_buf_printf(&line, ",\"retry\":%s,\"retry_after_ms\":%lld}",
                     verdict == EXIT_NEVER ? "false" : "true", (long long)job->retry_after_ms);
    end_line(&line);
}

static const struct task *find_task(const char *name)
{
    for (size_t i = 0; i < host.task_count; i++) {
        if (strcmp(host.tasks[i].name, name) == 0) {
            return &host.tasks[i];
        }
    }
    return NULL;
}

static void term_cb(int number)
{
    (void)number;
    cancelled = 1;
}

/* While a task runs its blocking calls end with EINTR; our own reading of lines goes on. */
static void listen_to_term(bool task_runs)
{
    const struct sigaction action = {.sa_handler = term_cb, .sa_flags = task_runs ? 0 : SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
}

/* 0: off. */
static void set_alarm(int64_t wall_ms)
{
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(wall_ms / 1000), .tv_nsec = wall_ms % 1000 * 1000000}};
    timer_settime(host.alarm, TIMER_ABSTIME, &when, NULL);
}

/* Of a member that is there; the caller frees. */
static char *text_of(struct cress_json request, const char *name)
{
    struct cress_json value;
    struct cress_buf text = cress_buf_make(LINE_MAX_BYTES);
    if (cress_json_member(request, name, &value)) {
        cress_json_add_string(&text, value);
    }
    return cress_buf_take(&text);
}

/* The worker sends nothing else. */
static bool read_job(const char *line, size_t size, struct hosted *job)
{
    struct cress_json request, attempt, deadline;
    int64_t attempt_number, deadline_ms;
    if (!cress_json_find_fault(line, size, &request, NULL) ||
        !cress_json_member(request, "attempt", &attempt) ||
        !cress_json_int(attempt, &attempt_number) ||
        !cress_json_member(request, "deadline_ms", &deadline) ||
        !cress_json_int(deadline, &deadline_ms) ||
        !cress_json_member(request, "payload", &job->payload)) {
        return false;
    }
    (void)cress_json_member(request, "after", &job->after);
    job->id = text_of(request, "id");
    job->task = text_of(request, "task");
    job->attempt = (int)attempt_number;
    const int64_t soft_ms = cress_clock_own_ms() + host.soft_timeout_ms;
    job->deadline_ms = host.soft_timeout_ms > 0 && soft_ms < deadline_ms ? soft_ms : deadline_ms;
    return true;
}

static void forget_job(struct hosted *job)
{
    json_decref(job->payload_value);
    json_decref(job->after_value);
    free(job->result);
    free(job->task);
    free(job->id);
}

static int call_task(const struct task *task, struct cress_job *job)
{
    cancelled = 0; /* what was meant for an earlier job */
    listen_to_term(true);
    set_alarm(hosted(job)->deadline_ms);
    const int verdict = task->run(job);
    set_alarm(0);
    listen_to_term(false);
    fflush(stdout);
    return verdict;
}

static void run_job(const char *line, size_t size)
{
    struct hosted hosted_job = {0};
    struct cress_job *job = (struct cress_job *)(void *)&hosted_job;
    if (!read_job(line, size, &hosted_job)) {
        fprintf(stderr, "plug-in host: not a job: %.200s\n", line);
        exit(EXIT_FAILURE);
    }
    const struct task *task = find_task(hosted_job.task);
    const int verdict =
        task ? call_task(task, job)
             : cress_job_fail(job, "unknown_task", "the plug-in has no task %s", hosted_job.task);
    if (hosted_job.payload_error.status != CRESS_OK && !hosted_job.reads_text) {
        hosted_job.error = hosted_job.payload_error; /* whatever the task has made of a NULL */
        write_error(&hosted_job, EXIT_NEVER);
    } else if (verdict == EXIT_SUCCESS) {
        write_result(&hosted_job);
    } else {
        write_error(&hosted_job, verdict);
    }
    forget_job(&hosted_job);
}

static void write_hello(void)
{
    struct cress_buf line = cress_buf_make(LINE_MAX_BYTES);
    cress_buf_add_text(&line, "{\"cress\":1,\"concurrency\":1,\"tasks\":[");
    for (size_t i = 0; i < host.task_count; i++) {
        cress_buf_add_text(&line, i ? "," : "");
        add_line_text(&line, host.tasks[i].name);
    }
    cress_buf_add_char(&line, ']');
    end_line(&line);
}

/* --- the process --- */

static bool load_plugin(const char *file)
{
    if (!dlopen(file, RTLD_NOW | RTLD_LOCAL) && !host.is_foreign) {
        fprintf(stderr, "cannot load the plug-in: %s\n", dlerror());
        return false;
    }
    if (host.is_foreign) {
        fprintf(stderr,
                "%s was compiled for plug-in ABI %d, and this cress-worker has ABI %d: compile it "
                "again\n",
                file, host.foreign_abi, CRESS_TASK_ABI);
        return false;
    }
    if (host.task_count == 0) {
        fprintf(stderr, "%s has no task: CRESS_TASK(\"name\", function) makes one\n", file);
    }
    return host.task_count > 0;
}

/* The plug-in's stdout becomes stderr, and its stdin is empty; ours are the worker's. */
static FILE *take_streams(void)
{
    const int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    const int empty = open("/dev/null", O_RDONLY);
    host.out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (in < 0 || host.out < 0 || empty < 0 || dup2(empty, STDIN_FILENO) < 0 ||
        dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        return NULL;
    }
    close(empty);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return fdopen(in, "r");
}

int cress_plugin_host(const char *file, int64_t soft_timeout_ms)
{
    struct sigevent on_alarm = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FILE *in = take_streams();
    host.soft_timeout_ms = soft_timeout_ms;
    if (!in || timer_create(CLOCK_REALTIME, &on_alarm, &host.alarm) != 0 || !load_plugin(file)) {
        return cress_status_exit_code(CRESS_CONFIG);
    }
    listen_to_term(false);
    write_hello();
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, in)) > 0;) {
        run_job(line, (size_t)size);
    }
    free(line);
    fclose(in);
    return EXIT_SUCCESS;
}
