// SPDX-License-Identifier: Apache-2.0
// cress-gateway: HTTP in, RabbitMQ out, and "is it done yet?" answered from Redis.
//
// Starts the parts, waits for SIGTERM, and takes them down in order: stop accepting, answer what is open, then close
// broker and store. Neither of the two need be there at the start: until they are, requests are answered with 503.
#include "producer/gateway/gateway.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/metrics/metrics.h"
#include "producer/gateway/routes.h"
#include "producer/gateway/waiters.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* After SIGTERM open requests have this long. */
    DRAIN_MS = 10000,
    /* The largest body that is written in one piece: payload and result at their largest. */
    PAGE_MAX_BYTES = 300 * 1024 * 1024,
};

struct process {
    uv_loop_t loop;
    struct cress_config *config;
    struct cress_gateway gateway;
    uv_signal_t on_term, on_int;
    uv_timer_t deadline;
    bool deadline_passed;
};

static int fail(const struct cress_error *err)
{
    fprintf(stderr, "cress-gateway: %s\n", err->message);
    return cress_status_exit_code(err->status);
}

/* --- stopping ------------------------------------------------------------------------------------ */

static void on_part_closed(void *arg)
{
    (void)arg;
}

/* No connection is left, or the time is over: requests that are still open then fail with the parts they wait for. */
static void close_backends(struct process *process)
{
    uv_close((uv_handle_t *)&process->deadline, NULL);
    uv_close((uv_handle_t *)&process->on_term, NULL);
    uv_close((uv_handle_t *)&process->on_int, NULL);
    cress_broker_close(process->gateway.broker, on_part_closed, NULL);
    cress_store_close(process->gateway.store, on_part_closed, NULL);
}

static void on_drained(void *arg)
{
    struct process *process = arg;
    if (!process->deadline_passed) {
        close_backends(process);
    }
    uv_stop(&process->loop);
}

static void on_deadline(uv_timer_t *timer)
{
    struct process *process = timer->data;
    cress_log(CRESS_LOG_WARN, "requests still open at the deadline, stopping all the same",
              CRESS_KVI("connections", cress_metric_value(CRESS_METRIC_HTTP_CONNECTIONS)));
    process->deadline_passed = true;
    uv_stop(&process->loop);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct process *process = signal->data;
    struct cress_gateway *gateway = &process->gateway;
    if (gateway->draining) {
        _exit(128 + number);
    }
    cress_log(CRESS_LOG_INFO, "stopping: no new connections, open requests are finished",
              CRESS_KVI("connections", cress_metric_value(CRESS_METRIC_HTTP_CONNECTIONS)),
              CRESS_KVI("deadline_ms", DRAIN_MS));
    gateway->draining = true;
    uv_timer_start(&process->deadline, on_deadline, DRAIN_MS, 0);
    cress_waiters_end(gateway);
    cress_server_drain(gateway->server, on_drained, process);
}

/* --- starting ------------------------------------------------------------------------------------ */

static void on_broker_state(enum cress_broker_state state, const struct cress_error *err, void *arg)
{
    (void)arg;
    if (state == CRESS_BROKER_READY) {
        cress_log(CRESS_LOG_INFO, "broker connected");
    } else if (state == CRESS_BROKER_BLOCKED) {
        cress_log(CRESS_LOG_WARN, "broker takes no messages: memory or disk alarm; jobs are refused");
    } else if (err != NULL) {
        cress_log(CRESS_LOG_WARN, "broker away, reconnecting; jobs are refused until then",
                  CRESS_KV_ERROR(err));
    }
}

static void on_store_state(bool ready, const struct cress_error *err, void *arg)
{
    (void)arg;
    if (ready) {
        cress_log(CRESS_LOG_INFO, "store connected");
    } else if (err != NULL) {
        cress_log(CRESS_LOG_WARN, "store away, reconnecting; requests are refused until then",
                  CRESS_KV_ERROR(err));
    }
}

static void watch_signal(struct process *process, uv_signal_t *handle, int number)
{
    uv_signal_init(&process->loop, handle);
    handle->data = process;
    uv_signal_start(handle, on_signal, number);
}

static enum cress_status open_server(struct process *process, struct cress_error *err)
{
    const struct cress_config *config = process->config;
    const struct cress_server_options options = {
        .listen = config->gateway_listen,
        .max_body_bytes = config->gateway_max_body_bytes,
        .idle_timeout_ms = config->gateway_idle_timeout_ms,
        .max_connections = config->gateway_max_connections,
        .on_request = cress_gateway_route,
        .arg = &process->gateway,
    };
    return cress_server_open(&process->loop, &options, &process->gateway.server, err);
}

/* On failure the process ends, and its handles with it. */
static enum cress_status start(struct process *process, struct cress_error *err)
{
    struct cress_gateway *gateway = &process->gateway;
    *gateway = (struct cress_gateway){
        .loop = &process->loop, .config = process->config, .page = cress_buf_make(PAGE_MAX_BYTES)};
    cress_list_init(&gateway->waiters);
    enum cress_status status = open_server(process, err);
    if (status != CRESS_OK) {
        return status;
    }
    const struct cress_store_options store = {
        .config = process->config,
        .timeout_ms = process->config->gateway_backend_timeout_ms,
        .on_state = on_store_state,
    };
    status = cress_store_open(&process->loop, &store, &gateway->store, err);
    if (status != CRESS_OK) {
        return status;
    }
    char host[128] = "", name[192];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "cress-gateway %s:%ld", host, (long)getpid());
    const struct cress_broker_options broker = {
        .config = process->config,
        .name = name,
        .roles = CRESS_BROKER_PUBLISH,
        .on_state = on_broker_state,
    };
    return cress_broker_open(&process->loop, &broker, &gateway->broker, err);
}

static int serve(struct process *process)
{
    struct cress_error err;
    uv_loop_init(&process->loop);
    if (start(process, &err) != CRESS_OK) {
        return fail(&err);
    }
    watch_signal(process, &process->on_term, SIGTERM);
    watch_signal(process, &process->on_int, SIGINT);
    uv_timer_init(&process->loop, &process->deadline);
    process->deadline.data = process;
    fprintf(stderr, "cress-gateway: ready on %s\n", cress_server_url(process->gateway.server));

    uv_run(&process->loop, UV_RUN_DEFAULT);
    if (process->deadline_passed) {
        return 0;
    }
    cress_server_free(process->gateway.server);
    uv_run(&process->loop, UV_RUN_DEFAULT);
    uv_loop_close(&process->loop);
    cress_buf_free(&process->gateway.page);
    return 0;
}

/* --- the command line ---------------------------------------------------------------------------- */

static void print_help(void)
{
    printf("Examples:\n"
           "  cress-gateway                             listen on 127.0.0.1:8080\n"
           "  cress-gateway --listen 0.0.0.0:8080       on all addresses\n"
           "  cress-gateway --listen 127.0.0.1:0        on a free port: see the line it prints\n"
           "  curl -H 'Content-Type: application/json' -d '{\"task\":\"cress.echo\",\"payload\":1}' \\\n"
           "       http://127.0.0.1:8080/v1/jobs        enqueue a job\n"
           "  curl 'http://127.0.0.1:8080/v1/jobs/ID?wait=10s'\n"
           "\n"
           "Usage: cress-gateway [flags]\n"
           "\n"
           "The HTTP door of Cress: %s.\n"
           "/ shows the queues to people. Runs in the foreground, logs to stderr, stops on SIGTERM.\n"
           "\n"
           "Flags (each is also an option in cress.conf and an environment variable):\n",
           cress_routes_hint());
    cress_config_print_flags(CRESS_PROGRAM_GATEWAY, stdout);
    printf("  --help, --version\n"
           "\n"
           "Exit status: 0 stopped tidily, 2 wrong usage, 69 address in use, 78 wrong configuration.\n");
}

static bool has_flag(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], flag) == 0) {
            return true;
        }
    }
    return false;
}

static enum cress_log_level log_level(const char *word)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < CRESS_COUNT(words); i++) {
        if (strcmp(words[i], word) == 0) {
            return (enum cress_log_level)i;
        }
    }
    return CRESS_LOG_INFO;
}

int main(int argc, char **argv)
{
    if (has_flag(argc, argv, "--help") || has_flag(argc, argv, "-h")) {
        print_help();
        return 0;
    }
    if (has_flag(argc, argv, "--version")) {
        printf("cress-gateway %s\n", cress_version());
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    struct process process = {0};
    struct cress_error err;
    if (cress_config_load(CRESS_PROGRAM_GATEWAY, &argc, argv, &process.config, &err) != CRESS_OK) {
        return fail(&err);
    }
    int code;
    if (argc > 1) {
        cress_error_set(&err, CRESS_USAGE, NULL, "unknown argument %s; see --help", argv[1]);
        code = fail(&err);
    } else {
        cress_log_configure("cress-gateway", log_level(process.config->log_level),
                            process.config->log_format);
        code = serve(&process);
    }
    cress_config_free(process.config);
    return code;
}
