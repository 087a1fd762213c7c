// SPDX-License-Identifier: Apache-2.0
// cress-worker: reads its arguments, and runs one worker, or several under a supervisor, until
// SIGTERM.
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/stdio.h"
#include "common/base/version.h"
#include "worker/handler/plugin_command.h"
#include "worker/settings.h"
#include "worker/supervisor.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct process {
    const struct cress_arguments *arguments;
    struct cress_config **configs; /* the one in use last; the worker may still use earlier ones */
    size_t config_count;
    bool has_own_task;
    uv_loop_t loop;
    struct cress_worker *worker;
    uv_signal_t term, interrupt, hangup;
    uv_pipe_t parent; /* end-of-file: the supervisor is gone */
    bool has_parent;
};

static void print_help(void)
{
    puts("usage: cress-worker [--queues NAME,...] [--concurrency N] [--processes N] [OPTION]...\n"
         "\n"
         "Consumes jobs from RabbitMQ, runs them and stores their results in Redis.\n"
         "\n"
         "  cress-worker                                     queue \"default\", 32 jobs at once\n"
         "  cress-worker --queues mail,default --processes 4 two queues, four processes\n"
         "  cress-worker --exec 'tr a-z A-Z'                 a program for each job of any task\n"
         "  cress-worker --check-config                      say what is wrong, and exit\n"
         "\n"
         "SIGTERM: take no more jobs, finish the running ones (worker.drain), hand back the rest, "
         "exit.\n"
         "A second SIGTERM: hand back at once.\n"
         "SIGHUP: read the configuration again, and take over tasks, limits and "
         "schedules;\n"
         "running jobs go on.\n"
         "\n"
         "Options:");
    cress_config_print_flags(CRESS_PROGRAM_WORKER, stdout);
    puts(
        "\n"
        "A task without a configuration file (SIGHUP then means SIGTERM):\n"
        "  --exec COMMAND        each job is a run of this shell command\n"
        "  --stream COMMAND      jobs are lines for this shell command, which lives on\n"
        "  --http URL            each job is a POST to this address\n"
        "  --plugin FILE         jobs are calls into this shared object\n"
        "  --task NAME           the task that this is (default: any that is not built in)\n"
        "\n"
        "  --check-config        read the configuration, say what it changes, and exit with 0 when "
        "it is good,\n"
        "                        78 when not\n"
        "  --compare FILE        with --check-config: say what SIGHUP would change for a worker "
        "that "
        "runs with FILE\n"
        "  --help, --version");
}

static bool has_flag(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], flag) == 0) {
            return true;
        }
    }
    return false;
}

/* --- one worker --- */

static void keep(struct process *process, struct cress_config *config)
{
    process->configs =
        cress_realloc_array(process->configs, process->config_count + 1, sizeof(*process->configs));
    process->configs[process->config_count++] = config;
}

static void reload(struct process *process)
{
    struct cress_settings settings;
    struct cress_error err;
    if (cress_settings_load(process->arguments, &settings, &err) != CRESS_OK) {
        cress_log(CRESS_LOG_ERROR, "the changed configuration is wrong, the old one stays",
                  CRESS_KV_ERROR(&err));
        return;
    }
    keep(process, settings.config);
    cress_worker_reload(process->worker, settings.config);
}

/* A task that was typed at a terminal ends with the terminal. */
static void signal_cb(uv_signal_t *handle, int number)
{
    struct process *process = handle->data;
    if (number == SIGHUP && !process->has_own_task) {
        reload(process);
    } else {
        cress_worker_stop(process->worker);
    }
}

static void orphaned(struct process *process)
{
    uv_close((uv_handle_t *)&process->parent, NULL);
    process->has_parent = false;
    cress_log(CRESS_LOG_WARN, "the supervisor is gone");
    cress_worker_stop(process->worker);
}

static void no_buffer_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[16]; /* nothing is ever written into that pipe */
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

static void parent_cb(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    if (size < 0) {
        orphaned(stream->data);
    }
}

static void listen_to_signals(struct process *process)
{
    uv_signal_init(&process->loop, &process->term);
    uv_signal_init(&process->loop, &process->interrupt);
    uv_signal_init(&process->loop, &process->hangup);
    process->term.data = process->interrupt.data = process->hangup.data = process;
    uv_signal_start(&process->hangup, signal_cb, SIGHUP);
    uv_signal_start(&process->term, signal_cb, SIGTERM);
    uv_signal_start(&process->interrupt, signal_cb, SIGINT);
}

static void watch_parent(struct process *process, int parent_fd)
{
    uv_pipe_init(&process->loop, &process->parent, 0);
    process->parent.data = process;
    process->has_parent =
        uv_pipe_open(&process->parent, parent_fd) == 0 &&
        uv_read_start((uv_stream_t *)&process->parent, no_buffer_cb, parent_cb) == 0;
    if (!process->has_parent) {
        uv_close((uv_handle_t *)&process->parent, NULL);
    }
}

static void closed_cb(void *arg)
{
    struct process *process = arg;
    uv_close((uv_handle_t *)&process->term, NULL);
    uv_close((uv_handle_t *)&process->interrupt, NULL);
    uv_close((uv_handle_t *)&process->hangup, NULL);
    if (process->has_parent) {
        uv_close((uv_handle_t *)&process->parent, NULL);
    }
    if (cress_worker_in_hand(process->worker) > 0) {
        uv_stop(&process->loop); /* a handler that cannot be stopped must not keep the process */
    }
}

static enum cress_status start_worker(struct process *process, int parent_fd)
{
    struct cress_error err;
    const enum cress_status status =
        cress_worker_start(&process->loop, process->configs[process->config_count - 1], closed_cb,
                           process, &process->worker, &err);
    if (status != CRESS_OK) {
        cress_log(CRESS_LOG_ERROR, "cannot start", CRESS_KV_ERROR(&err));
        return status;
    }
    listen_to_signals(process);
    if (parent_fd >= 0) {
        watch_parent(process, parent_fd);
    }
    return CRESS_OK;
}

/* `arg` holds the arguments, which are read once more: a process that the supervisor starts after a
 * change of the configuration begins with it. Returns the exit status. */
static int run_worker(int parent_fd, void *arg)
{
    struct process process = {.arguments = arg};
    struct cress_settings settings;
    struct cress_error err;
    enum cress_status status = cress_settings_load(arg, &settings, &err);
    if (status != CRESS_OK) {
        cress_log(CRESS_LOG_ERROR, "cannot start", CRESS_KV_ERROR(&err));
        return cress_status_exit_code(status);
    }
    process.has_own_task = settings.has_own_task;
    keep(&process, settings.config);
    uv_loop_init(&process.loop);
    status = start_worker(&process, parent_fd);
    uv_run(&process.loop, UV_RUN_DEFAULT);
    if (status == CRESS_OK) {
        cress_worker_free(process.worker);
        cress_log(CRESS_LOG_INFO, "worker stopped");
    }
    uv_loop_close(&process.loop);
    while (process.config_count > 0) {
        cress_config_free(process.configs[--process.config_count]);
    }
    free(process.configs);
    return cress_status_exit_code(status);
}

/* --- arguments --- */

static int complain(const struct cress_error *err)
{
    cress_log_say(CRESS_LOG_ERROR, "%s", err->message);
    return cress_status_exit_code(err->status);
}

static int run(const struct cress_config *config, struct cress_arguments *arguments)
{
    enum cress_log_level level;
    if (!cress_log_level_parse(config->log_level, &level)) {
        struct cress_error err;
        cress_error_set(&err, CRESS_CONFIG, NULL, "log.level is debug, info, warn or error");
        return complain(&err);
    }
    cress_log_configure("cress-worker", level, config->log_format);
    signal(SIGPIPE, SIG_IGN);
    return config->worker_processes > 1
               ? cress_supervise((int)config->worker_processes, run_worker, arguments)
               : run_worker(-1, arguments);
}

int main(int argc, char **argv)
{
    cress_stdio_protect();
    int host_status;
    if (cress_plugin_is_host(argc, argv, &host_status)) {
        return host_status;
    }
    if (has_flag(argc, argv, "--help") || has_flag(argc, argv, "-h")) {
        print_help();
        return 0;
    }
    if (has_flag(argc, argv, "--version")) {
        cress_version_print("cress-worker");
        return 0;
    }
    cress_log_begin("cress-worker", argc, argv);
    struct cress_arguments arguments = {argc, argv};
    struct cress_settings settings;
    struct cress_error err;
    if (cress_settings_load(&arguments, &settings, &err) != CRESS_OK) {
        return complain(&err);
    }
    int exit_status = 0;
    if (settings.compare) {
        if (cress_settings_compare(&arguments, &settings, stdout, &err) != CRESS_OK) {
            exit_status = complain(&err);
        }
    } else if (settings.check_only) {
        cress_settings_print(settings.config, stdout);
    } else {
        exit_status = run(settings.config, &arguments);
    }
    cress_config_free(settings.config);
    return exit_status;
}
