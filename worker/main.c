// SPDX-License-Identifier: Apache-2.0
// cress-worker: reads its arguments, and runs one worker, or several under a supervisor, until
// SIGTERM.
#include "common/base/version.h"
#include "worker/handler/plugin_host.h"
#include "worker/supervisor.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct process {
    const struct cress_config *config;
    uv_loop_t loop;
    struct cress_worker *worker;
    uv_signal_t term, interrupt;
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
         "  cress-worker --check-config                      say what is wrong, and exit\n"
         "\n"
         "SIGTERM: take no more jobs, finish the running ones (worker.drain), hand back the rest, "
         "exit.\n"
         "A second SIGTERM: hand back at once.\n"
         "\n"
         "Options:");
    cress_config_print_flags(CRESS_PROGRAM_WORKER, stdout);
    puts("\n"
         "  --check-config  read the configuration, and exit with 0 when it is good, 78 when not\n"
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

static void signal_cb(uv_signal_t *handle, int number)
{
    (void)number;
    struct process *process = handle->data;
    cress_worker_stop(process->worker);
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
    process->term.data = process->interrupt.data = process;
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
    if (process->has_parent) {
        uv_close((uv_handle_t *)&process->parent, NULL);
    }
    if (process->worker->in_hand > 0) {
        uv_stop(&process->loop); /* a handler that cannot be stopped must not keep the process */
    }
}

/* Returns the exit status. */
static int run_worker(int parent_fd, void *arg)
{
    struct process process = {.config = arg};
    struct cress_error err;
    uv_loop_init(&process.loop);
    const enum cress_status status = cress_worker_start(&process.loop, process.config, closed_cb,
                                                        &process, &process.worker, &err);
    if (status == CRESS_OK) {
        listen_to_signals(&process);
        if (parent_fd >= 0) {
            watch_parent(&process, parent_fd);
        }
    } else {
        cress_log(CRESS_LOG_ERROR, "cannot start", CRESS_KV_ERROR(&err));
    }
    uv_run(&process.loop, UV_RUN_DEFAULT);
    if (status == CRESS_OK) {
        cress_worker_free(process.worker);
        cress_log(CRESS_LOG_INFO, "worker stopped");
    }
    uv_loop_close(&process.loop);
    return cress_status_exit_code(status);
}

/* --- arguments --- */

static int complain(const struct cress_error *err)
{
    fprintf(stderr, "cress-worker: %s\n", err->message);
    return cress_status_exit_code(err->status);
}

static int run(const struct cress_config *config, int argc, char **argv)
{
    struct cress_error err;
    const bool check_only = has_flag(argc, argv, "--check-config");
    if (argc > 1 + check_only) {
        cress_error_set(&err, CRESS_USAGE, NULL, "unexpected argument %s; see --help",
                        check_only && strcmp(argv[1], "--check-config") == 0 ? argv[2] : argv[1]);
        return complain(&err);
    }
    if (check_only) {
        puts("the configuration is good");
        return 0;
    }
    enum cress_log_level level;
    if (!cress_log_level_parse(config->log_level, &level)) {
        cress_error_set(&err, CRESS_CONFIG, NULL, "log.level is debug, info, warn or error");
        return complain(&err);
    }
    cress_log_configure("cress-worker", level, config->log_format);
    signal(SIGPIPE, SIG_IGN);
    return config->worker_processes > 1
               ? cress_supervise((int)config->worker_processes, run_worker, (void *)config)
               : run_worker(-1, (void *)config);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], CRESS_PLUGIN_HOST_FLAG) == 0) {
        return cress_plugin_host(argv[2]);
    }
    if (has_flag(argc, argv, "--help")) {
        print_help();
        return 0;
    }
    if (has_flag(argc, argv, "--version")) {
        printf("cress-worker %s %s\n", cress_version(), cress_commit());
        return 0;
    }
    struct cress_config *config;
    struct cress_error err;
    if (cress_config_load(CRESS_PROGRAM_WORKER, &argc, argv, &config, &err) != CRESS_OK) {
        return complain(&err);
    }
    const int exit_status = run(config, argc, argv);
    cress_config_free(config);
    return exit_status;
}
