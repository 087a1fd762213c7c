// SPDX-License-Identifier: Apache-2.0
// cress-gateway: HTTP in, RabbitMQ out, and "is it done yet?" answered from Redis.
//
// Starts the parts, waits for SIGTERM, and takes them down in order: stop accepting, answer what is
// open, then close broker and store. Neither of the two need be there at the start: until they are,
// requests are answered with 503.
#include "producer/gateway/gateway.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/stdio.h"
#include "common/base/version.h"
#include "common/metrics/metrics.h"
#include "producer/gateway/routes.h"
#include "producer/gateway/waiters.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROUTES_MAX_BYTES = 8192,
    /* After SIGTERM open requests have this long. */
    DRAIN_MS = 10000,
    /* The largest body that is written in one piece: payload and result at their largest. */
    PAGE_MAX_BYTES = 300 * 1024 * 1024,
    AWAY_LOG_INTERVAL_MS = 10000,
};

struct process {
    uv_loop_t loop;
    struct cress_config *config;
    struct cress_gateway gateway;
    uv_signal_t on_term, on_int;
    uv_timer_t deadline;
    struct cress_log_limit broker_log, store_log; /* attempts to connect */
    bool drained; /* else the deadline has passed, and the process ends with what is open */
};

static int report_error(const struct cress_error *err)
{
    cress_log_say(CRESS_LOG_ERROR, "%s", err->message);
    return cress_status_exit_code(err->status);
}

/* --- stopping --- */

static void on_gateway_part_closed(void *arg)
{
    (void)arg;
}

static void on_server_drained(void *arg)
{
    struct process *process = arg;
    process->drained = true;
    uv_stop(&process->loop);
}

static void on_drain_deadline(uv_timer_t *timer)
{
    struct process *process = timer->data;
    cress_log(CRESS_LOG_WARN, "requests still open at the deadline, stopping all the same",
              CRESS_KVI("connections", cress_metric_value(CRESS_METRIC_HTTP_CONNECTIONS)));
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
    uv_timer_start(&process->deadline, on_drain_deadline, DRAIN_MS, 0);
    cress_waiters_end(gateway);
    cress_server_drain(gateway->server, on_server_drained, process);
}

/* The server is drained. Closes the rest, and leaves no handle on the loop. */
static void close_parts(struct process *process)
{
    struct cress_gateway *gateway = &process->gateway;
    uv_close((uv_handle_t *)&process->deadline, NULL);
    uv_close((uv_handle_t *)&process->on_term, NULL);
    uv_close((uv_handle_t *)&process->on_int, NULL);
    if (gateway->broker != NULL) {
        cress_broker_close(gateway->broker, on_gateway_part_closed, NULL);
    }
    if (gateway->store != NULL) {
        cress_store_close(gateway->store, on_gateway_part_closed, NULL);
    }
    if (gateway->server != NULL) {
        cress_server_free(gateway->server);
    }
    uv_run(&process->loop, UV_RUN_DEFAULT);
    cress_buf_free(&gateway->page);
    const int busy = uv_loop_close(&process->loop);
    assert(busy == 0);
    (void)busy;
}

/* --- starting --- */

/* The first attempt that fails, and then one now and again. */
static void log_away(struct cress_log_limit *limit, const char *message,
                     const struct cress_error *err)
{
    uint64_t suppressed;
    if (cress_log_allow(limit, AWAY_LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, message, CRESS_KV_ERROR(err),
                  CRESS_KVI("suppressed", suppressed));
    }
}

static void on_gateway_broker_state(enum cress_broker_state state, const struct cress_error *err,
                                    void *arg)
{
    struct process *process = arg;
    if (state == CRESS_BROKER_READY) {
        process->broker_log = (struct cress_log_limit){0};
        cress_log(CRESS_LOG_INFO, "broker connected");
    } else if (state == CRESS_BROKER_BLOCKED) {
        cress_log(CRESS_LOG_WARN,
                  "broker takes no messages: memory or disk alarm; jobs are refused");
    } else if (err != NULL) {
        log_away(&process->broker_log, "broker away, reconnecting; jobs are refused until then",
                 err);
    }
}

static void on_gateway_store_state(bool ready, const struct cress_error *err, void *arg)
{
    struct process *process = arg;
    if (ready) {
        process->store_log = (struct cress_log_limit){0};
        cress_log(CRESS_LOG_INFO, "store connected");
    } else if (err != NULL) {
        log_away(&process->store_log, "store away, reconnecting; requests are refused until then",
                 err);
    }
}

static enum cress_status open_store(struct process *process, struct cress_error *err)
{
    const struct cress_store_options options = {
        .config = process->config,
        .timeout_ms = process->config->gateway_backend_timeout_ms,
        .reads_may_lag = true,
        .on_state = on_gateway_store_state,
        .arg = process,
    };
    return cress_store_open(&process->loop, &options, &process->gateway.store, err);
}

static enum cress_status open_broker(struct process *process, struct cress_error *err)
{
    char host[128] = "", name[192];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "cress-gateway %s:%ld", host, (long)getpid());
    const struct cress_broker_options options = {
        .config = process->config,
        .name = name,
        .roles = CRESS_BROKER_PUBLISH,
        .on_state = on_gateway_broker_state,
        .arg = process,
    };
    return cress_broker_open(&process->loop, &options, &process->gateway.broker, err);
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

/* The server comes last: it is the one that must be drained, and a request finds all parts there.
 */
static enum cress_status open_parts(struct process *process, struct cress_error *err)
{
    enum cress_status status = open_store(process, err);
    if (status == CRESS_OK) {
        status = open_broker(process, err);
    }
    if (status == CRESS_OK) {
        status = open_server(process, err);
    }
    return status;
}

static void watch_signal(struct process *process, uv_signal_t *handle, int number)
{
    uv_signal_init(&process->loop, handle);
    handle->data = process;
    uv_signal_start(handle, on_signal, number);
}

static int serve(struct process *process)
{
    uv_loop_init(&process->loop);
    process->gateway = (struct cress_gateway){
        .loop = &process->loop, .config = process->config, .page = cress_buf_make(PAGE_MAX_BYTES)};
    cress_list_init(&process->gateway.waiters);
    watch_signal(process, &process->on_term, SIGTERM);
    watch_signal(process, &process->on_int, SIGINT);
    uv_timer_init(&process->loop, &process->deadline);
    process->deadline.data = process;

    struct cress_error err;
    if (open_parts(process, &err) != CRESS_OK) {
        close_parts(process);
        return report_error(&err);
    }
    cress_log_say(CRESS_LOG_INFO, "ready on %s", cress_server_url(process->gateway.server));
    uv_run(&process->loop, UV_RUN_DEFAULT);
    if (process->drained) {
        close_parts(process);
    }
    return 0;
}

/* --- the command line --- */

static void print_help(void)
{
    struct cress_buf routes = cress_buf_make(ROUTES_MAX_BYTES);
    cress_routes_list("\n  ", &routes);
    printf(
        "Examples:\n"
        "  cress-gateway                             listen on 127.0.0.1:8080\n"
        "  cress-gateway --listen 0.0.0.0:8080       on all addresses\n"
        "  cress-gateway --listen 127.0.0.1:0        on a free port: see the line it prints\n"
        "  curl -H 'Content-Type: application/json' -d '{\"task\":\"cress.echo\",\"payload\":1}' "
        "\\\n"
        "       http://127.0.0.1:8080/v1/jobs        enqueue a job\n"
        "  curl 'http://127.0.0.1:8080/v1/jobs/ID?wait=10s'\n"
        "\n"
        "Usage: cress-gateway [flags]\n"
        "\n"
        "The HTTP door of Cress:\n"
        "  %s\n"
        "/ shows the queues to people. Runs in the foreground, logs to stderr, stops on SIGTERM.\n"
        "\n"
        "Flags (each is also an option in cress.conf and an environment variable):\n",
        cress_buf_text(&routes));
    cress_buf_free(&routes);
    cress_config_print_flags(CRESS_PROGRAM_GATEWAY, stdout);
    printf("  --help, --version\n"
           "\n"
           "Exit status: 0 stopped tidily, 2 wrong usage, 69 address in use, 78 wrong "
           "configuration.\n");
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
    cress_stdio_protect();
    if (has_flag(argc, argv, "--help") || has_flag(argc, argv, "-h")) {
        print_help();
        return 0;
    }
    if (has_flag(argc, argv, "--version")) {
        cress_version_print("cress-gateway");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    cress_log_begin("cress-gateway", argc, argv);
    struct process process = {0};
    struct cress_error err;
    if (cress_config_load(CRESS_PROGRAM_GATEWAY, &argc, argv, &process.config, &err) != CRESS_OK) {
        return report_error(&err);
    }
    int code;
    if (argc > 1) {
        cress_error_set(&err, CRESS_USAGE, NULL, "unknown argument %s; see --help", argv[1]);
        code = report_error(&err);
    } else {
        cress_log_configure("cress-gateway", log_level(process.config->log_level),
                            process.config->log_format);
        code = serve(&process);
    }
    cress_config_free(process.config);
    return code;
}
