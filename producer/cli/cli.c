// SPDX-License-Identifier: Apache-2.0
// One run of `cress`; see cli.h.
#include "producer/cli/cli.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "producer/cli/follow.h"
#include "producer/cli/help.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 10000, INTERRUPT_MS = 2000 };

/* --- the end --- */

/* 0, or the exit code of a stdout that cannot be written. */
static int flush_output(struct cress_output *output)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return 0;
    }
    if (errno == EPIPE) {
        return CRESS_EXIT_PIPE;
    }
    struct cress_error err;
    cress_error_set(&err, CRESS_IO, NULL, "cannot write to standard output: %s", strerror(errno));
    cress_output_error(output, &err);
    return cress_status_exit_code(err.status);
}

static void on_server_closed(void *arg)
{
    (void)arg;
}

/* On a turn of its own, because cress_cli_end() is called from callbacks of what is closed here. */
static void close_everything(uv_timer_t *timer)
{
    struct cress_cli *cli = timer->data;
    const int code = flush_output(&cli->output); /* readers need not wait for the goodbyes */
    cli->exit_code = cli->exit_code ? cli->exit_code : code;
    if (cli->verb->close && cli->running) {
        cli->verb->close(cli);
    }
    cress_follow_stop_all(cli);
    uv_close((uv_handle_t *)&cli->patience, NULL);
    uv_close((uv_handle_t *)&cli->deadline, NULL);
    uv_close((uv_handle_t *)&cli->ticker, NULL);
    uv_close((uv_handle_t *)&cli->interrupt, NULL);
    uv_close((uv_handle_t *)&cli->terminate, NULL);
    if (cli->store) {
        cress_store_close(cli->store, on_server_closed, NULL);
    }
    if (cli->broker) {
        cress_broker_close(cli->broker, on_server_closed, NULL);
    }
}

void cress_cli_end(struct cress_cli *cli, int exit_code)
{
    if (cli->over) {
        return;
    }
    cli->over = true;
    cli->exit_code = exit_code;
    uv_timer_stop(&cli->deadline);
    uv_timer_stop(&cli->ticker);
    uv_timer_start(&cli->patience, close_everything, 0, 0);
}

void cress_cli_fail(struct cress_cli *cli, const struct cress_error *err)
{
    if (!cli->over) {
        cress_output_error(&cli->output, err);
        cress_cli_end(cli, cress_status_exit_code(err->status));
    }
}

bool cress_cli_over(const struct cress_cli *cli)
{
    return cli->over;
}

bool cress_cli_failed(struct cress_cli *cli, const struct cress_error *err)
{
    if (err) {
        cress_cli_fail(cli, err);
    }
    return cli->over;
}

bool cress_cli_flush(struct cress_cli *cli)
{
    const int code = flush_output(&cli->output);
    if (code) {
        cress_cli_end(cli, code);
    }
    return code == 0;
}

/* --- stopping early --- */

static void stop_verb(struct cress_cli *cli, const struct cress_error *why, int exit_code)
{
    if (cli->over) {
        return;
    }
    cli->stopping = true;
    cli->exit_code = exit_code;
    if (cli->running && cli->verb->stop) {
        cli->verb->stop(cli, why);
        return;
    }
    if (why->status != CRESS_CANCELLED) {
        cress_output_error(&cli->output, why);
    }
    cress_cli_end(cli, exit_code);
}

/* A server that says nothing must not hold up who pressed Ctrl-C. */
static void on_interrupt_over(uv_timer_t *timer)
{
    struct cress_cli *cli = timer->data;
    struct cress_error why;
    cress_error_set(&why, CRESS_UNAVAILABLE, "unconfirmed",
                    "interrupted while broker or store had not answered");
    stop_verb(cli, &why, cli->exit_code);
    cress_cli_end(cli, cli->exit_code);
}

static void on_cli_signal(uv_signal_t *handle, int number)
{
    struct cress_cli *cli = handle->data;
    if (cli->stopping || cli->over) {
        _exit(128 + number); /* asked twice: now */
    }
    struct cress_error why;
    cress_error_set(&why, CRESS_CANCELLED, "interrupted", "interrupted");
    cress_output_progress_end(&cli->output);
    stop_verb(cli, &why, 128 + number);
    if (!cli->over) {
        uv_timer_start(&cli->patience, on_interrupt_over, INTERRUPT_MS, 0);
    }
}

/* --- connecting --- */

static bool has_store(const struct cress_cli *cli, struct cress_error *why)
{
    return !(cli->needs & CRESS_NEEDS_STORE) || cress_store_is_ready(cli->store, why);
}

static bool has_broker(const struct cress_cli *cli, struct cress_error *why)
{
    if (!(cli->needs & (CRESS_NEEDS_BROKER | CRESS_NEEDS_CONSUMER))) {
        return true;
    }
    const enum cress_broker_state state = cress_broker_state(cli->broker, why);
    if (state == CRESS_BROKER_BLOCKED) {
        cress_error_set(
            why, CRESS_UNAVAILABLE, "broker_blocked",
            "RabbitMQ takes no messages: memory or disk alarm; see `rabbitmqctl status`");
    }
    return state == CRESS_BROKER_READY;
}

static void add_hint(struct cress_error *why, const char *hint)
{
    const size_t used = strlen(why->message);
    snprintf(why->message + used, sizeof why->message - used, "; %s", hint);
}

static bool has_servers(const struct cress_cli *cli, struct cress_error *why)
{
    if (!has_broker(cli, why)) {
        char url[256];
        cress_text_redact_url(cli->config->broker_url, url, sizeof url);
        cress_error_prefix(why, "broker %s", url);
        add_hint(why, why->status == CRESS_DENIED
                          ? "check user, password and virtual host in CRESS_BROKER_URL"
                          : "is it running? See --broker-url and CRESS_BROKER_URL");
        return false;
    }
    return has_store(cli, why);
}

static void on_patience_over(uv_timer_t *timer)
{
    struct cress_cli *cli = timer->data;
    struct cress_error why;
    if (has_servers(cli, &why)) {
        return;
    }
    char text[CRESS_TIME_TEXT_MAX], hint[96];
    snprintf(hint, sizeof hint, "gave up after %s (`cress doctor` looks closer)",
             cress_duration_format(cli->connect_timeout_ms, text));
    add_hint(&why, hint);
    stop_verb(cli, &why, cress_status_exit_code(why.status));
}

/* Called whenever broker or store come or go. */
static void update_servers(struct cress_cli *cli)
{
    if (cli->over || cli->stopping) {
        return;
    }
    struct cress_error why;
    if (!has_servers(cli, &why)) {
        if (!cress_status_is_temporary(why.status)) {
            stop_verb(cli, &why, cress_status_exit_code(why.status));
        } else if (!uv_is_active((uv_handle_t *)&cli->patience)) {
            uv_timer_start(&cli->patience, on_patience_over, (uint64_t)cli->connect_timeout_ms, 0);
        }
        return;
    }
    uv_timer_stop(&cli->patience);
    if (!cli->running) {
        cli->running = true;
        cli->verb->run(cli);
    }
}

static void on_cli_store_state(bool ready, const struct cress_error *err, void *arg)
{
    (void)ready;
    (void)err;
    update_servers(arg);
}

static void on_cli_broker_state(enum cress_broker_state state, const struct cress_error *err,
                                void *arg)
{
    (void)state;
    (void)err;
    update_servers(arg);
}

static enum cress_status open_cli_store(struct cress_cli *cli, struct cress_error *err)
{
    const struct cress_store_options options = {
        .config = cli->config, .reads_may_lag = true, .on_state = on_cli_store_state, .arg = cli};
    return cress_store_open(&cli->loop, &options, &cli->store, err);
}

static enum cress_status open_cli_broker(struct cress_cli *cli, struct cress_error *err)
{
    char host[128] = "", name[192];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "cress %s %s:%ld", cli->verb->name, host, (long)getpid());
    const bool consumes = cli->needs & CRESS_NEEDS_CONSUMER;
    const struct cress_broker_options options = {
        .config = cli->config,
        .name = name,
        .roles = CRESS_BROKER_PUBLISH | (consumes ? CRESS_BROKER_CONSUME : 0),
        .on_state = on_cli_broker_state,
        .arg = cli,
    };
    return cress_broker_open(&cli->loop, &options, &cli->broker, err);
}

static enum cress_status connect_parts(struct cress_cli *cli, struct cress_error *err)
{
    const unsigned needs = cli->needs;
    enum cress_status status = CRESS_OK;
    if (needs & (CRESS_NEEDS_STORE | CRESS_OPENS_BOTH)) {
        status = open_cli_store(cli, err);
    }
    if (status == CRESS_OK &&
        needs & (CRESS_NEEDS_BROKER | CRESS_NEEDS_CONSUMER | CRESS_OPENS_BOTH)) {
        status = open_cli_broker(cli, err);
    }
    return status;
}

/* --- timers --- */

static void cli_deadline_cb(uv_timer_t *timer)
{
    struct cress_cli *cli = timer->data;
    cli->on_deadline(cli->deadline_arg);
}

static void cli_tick_cb(uv_timer_t *timer)
{
    struct cress_cli *cli = timer->data;
    cli->on_tick(cli->tick_arg);
}

void cress_cli_after(struct cress_cli *cli, int64_t ms, void (*then)(void *arg), void *arg)
{
    if (!cli->over) {
        cli->on_deadline = then;
        cli->deadline_arg = arg;
        uv_timer_start(&cli->deadline, cli_deadline_cb, (uint64_t)ms, 0);
    }
}

void cress_cli_every(struct cress_cli *cli, int64_t ms, void (*then)(void *arg), void *arg)
{
    if (!cli->over) {
        cli->on_tick = then;
        cli->tick_arg = arg;
        uv_timer_start(&cli->ticker, cli_tick_cb, (uint64_t)ms, (uint64_t)ms);
    }
}

bool cress_cli_json(const struct cress_cli *cli)
{
    return cress_args_has(&cli->args, "json");
}

/* --- one run --- */

static void init_signal(struct cress_cli *cli, uv_signal_t *handle, int number)
{
    uv_signal_init(&cli->loop, handle);
    handle->data = cli;
    uv_signal_start(handle, on_cli_signal, number);
    uv_unref((uv_handle_t *)handle);
}

static void init_loop(struct cress_cli *cli)
{
    uv_loop_init(&cli->loop);
    cress_list_init(&cli->follows);
    uv_timer_t *const timers[] = {&cli->patience, &cli->deadline, &cli->ticker};
    for (size_t i = 0; i < CRESS_COUNT(timers); i++) {
        uv_timer_init(&cli->loop, timers[i]);
        timers[i]->data = cli;
    }
    init_signal(cli, &cli->interrupt, SIGINT);
    init_signal(cli, &cli->terminate, SIGTERM);
}

static void run_verb_loop(struct cress_cli *cli)
{
    struct cress_error err;
    init_loop(cli);
    if (connect_parts(cli, &err) != CRESS_OK) {
        cress_cli_fail(cli, &err);
    } else {
        update_servers(cli);
    }
    uv_run(&cli->loop, UV_RUN_DEFAULT);
    cress_follow_free_all(cli);
    if (uv_loop_close(&cli->loop) != 0) {
        fputs("cress: internal error: something was left open\n", stderr);
    }
}

/* The CLI says itself what matters; what the connections log is for those who ask for it. */
static void configure_cli_log(const struct cress_config *config)
{
    enum cress_log_level level;
    if (!cress_log_level_parse(config->log_level, &level) || level == CRESS_LOG_INFO) {
        level = CRESS_LOG_ERROR;
    }
    cress_log_configure("cress", level, config->log_format);
}

static enum cress_status check_operands(const struct cress_cli *cli, struct cress_error *err)
{
    const struct cress_verb *verb = cli->verb;
    const int count = cli->args.operand_count;
    if (count < verb->min_operands) {
        return cress_error_set(err, CRESS_USAGE, "missing_operand",
                               "%s wants %s; see cress %s --help", verb->name, verb->operands,
                               verb->name);
    }
    if (verb->max_operands >= 0 && count > verb->max_operands) {
        return cress_error_set(err, CRESS_USAGE, "unknown_operand",
                               "%s: \"%s\" is one word too many; usage: cress %s %s", verb->name,
                               cli->args.operands[verb->max_operands], verb->name, verb->operands);
    }
    return CRESS_OK;
}

/* What can be found wrong before anything is connected. */
static enum cress_status prepare_verb(struct cress_cli *cli, int argc, char **argv,
                                      struct cress_error *err)
{
    const struct cress_verb *verb = cli->verb;
    if (verb->needs &&
        cress_config_load(CRESS_PROGRAM_CLI, &argc, argv, &cli->config, err) != CRESS_OK) {
        return err->status;
    }
    /* argv[0] is the program and argv[1] the verb. */
    if (cress_args_parse(verb->flags, cress_common_flags, argc - 2, argv + 2, &cli->args, err) !=
        CRESS_OK) {
        return err->status;
    }
    cress_output_init(&cli->output, cress_args_text(&cli->args, "color"));
    cli->connect_timeout_ms = cress_args_number(&cli->args, "connect-timeout", CONNECT_TIMEOUT_MS);
    if (cli->config) {
        configure_cli_log(cli->config);
    }
    if (check_operands(cli, err) != CRESS_OK) {
        return err->status;
    }
    return verb->prepare ? verb->prepare(cli, err) : CRESS_OK;
}

static int run_verb(const struct cress_verb *verb, int argc, char **argv)
{
    struct cress_cli cli = {.verb = verb, .needs = verb->needs};
    cress_output_init(&cli.output, NULL);
    struct cress_error err;
    if (prepare_verb(&cli, argc, argv, &err) == CRESS_OK) {
        run_verb_loop(&cli);
    } else {
        cress_output_error(&cli.output, &err);
        cli.exit_code = cress_status_exit_code(err.status);
    }
    cress_output_progress_end(&cli.output);
    if (verb->release && cli.state) {
        verb->release(&cli);
    }
    cress_config_free(cli.config);
    return cli.exit_code;
}

/* Whether `word` stands among the words before "--". */
static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* Moves the verb, the first word that is no option, to argv[1], so that flags of the configuration
 * may stand in front of it. NULL: there is none. */
static const char *take_verb(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            char *verb = argv[i];
            memmove(argv + 2, argv + 1, (size_t)(i - 1) * sizeof *argv);
            return argv[1] = verb;
        }
        if (!strchr(argv[i], '=') && strcmp(argv[i], "--json") != 0) {
            i++; /* its value */
        }
    }
    return NULL;
}

static int refuse_verb(const char *name, const char *closest)
{
    fprintf(stderr, "cress: unknown verb \"%s\"%s%s%s\n", name, closest ? ", did you mean \"" : "",
            closest ? closest : "", closest ? "\"?" : "; see cress --help");
    return cress_status_exit_code(CRESS_USAGE);
}

static int without_verb(int argc, bool wants_help)
{
    if (wants_help) {
        cress_help_program(stdout);
        return 0;
    }
    if (argc > 1) {
        fputs("cress: no verb among the words; see cress --help\n", stderr);
    } else {
        cress_help_program(stderr);
    }
    return cress_status_exit_code(CRESS_USAGE);
}

int cress_cli_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a write then fails with EPIPE: see flush_output() */
    const bool wants_help = has_word(argc, argv, "--help") || has_word(argc, argv, "-h");
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        argv[1] = "version";
    }
    const char *name = take_verb(argc, argv);
    if (!name) {
        return without_verb(argc, wants_help);
    }
    const char *closest;
    const struct cress_verb *verb = cress_verb_find(name, &closest);
    if (!verb) {
        return refuse_verb(name, closest);
    }
    if (wants_help) {
        cress_help_verb(verb, stdout);
        return 0;
    }
    return run_verb(verb, argc, argv);
}
