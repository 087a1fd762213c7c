// SPDX-License-Identifier: Apache-2.0
// Connecting, closing, and the loop thread in between; see client.h.
#include "library/client.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 10000, MAX_IN_FLIGHT = 10000 };

/* --- calls --- */

enum cress_status cress_client_check(const struct cress_client *client, struct cress_error *err)
{
    if (client->pid != getpid()) {
        return cress_error_set(err, CRESS_USAGE, "forked",
                               "the client belongs to process %ld: connect one in the child",
                               (long)client->pid);
    }
    return CRESS_OK;
}

bool cress_client_in_callback(const struct cress_client *client)
{
    const uv_thread_t self = uv_thread_self();
    return uv_thread_equal(&self, &client->thread);
}

void cress_client_post(struct cress_client *client, struct cress_client_call *call,
                       void (*begin)(struct cress_client_call *call))
{
    call->client = client;
    call->begin = begin;
    uv_mutex_lock(&client->lock);
    cress_list_append(&client->calls, &call->node);
    uv_async_send(&client->wake);
    uv_mutex_unlock(&client->lock);
}

static enum cress_status await(struct cress_client_call *call, struct cress_error *err)
{
    uv_mutex_lock(&call->client->lock);
    while (!call->over) {
        uv_cond_wait(&call->client->changed, &call->client->lock);
    }
    uv_mutex_unlock(&call->client->lock);
    if (call->err.status != CRESS_OK && err) {
        *err = call->err;
    }
    return call->err.status;
}

enum cress_status cress_client_perform(struct cress_client *client, struct cress_client_call *call,
                                       void (*begin)(struct cress_client_call *call),
                                       struct cress_error *err)
{
    if (cress_client_check(client, err) != CRESS_OK) {
        return CRESS_USAGE;
    }
    if (cress_client_in_callback(client)) {
        return cress_error_set(err, CRESS_USAGE, "in_callback",
                               "this call waits, which a callback must not");
    }
    cress_client_post(client, call, begin);
    return await(call, err);
}

void cress_client_call_end(struct cress_client_call *call, const struct cress_error *err)
{
    struct cress_client *client = call->client;
    uv_mutex_lock(&client->lock);
    if (err) {
        call->err = *err;
    }
    call->over = true;
    uv_cond_broadcast(&client->changed);
    uv_mutex_unlock(&client->lock);
}

static void on_client_wake(uv_async_t *wake)
{
    struct cress_client *client = wake->data;
    struct cress_list calls;
    struct cress_list *node;
    cress_list_init(&calls);
    uv_mutex_lock(&client->lock);
    cress_list_splice(&calls, &client->calls);
    uv_mutex_unlock(&client->lock);
    while ((node = cress_list_shift(&calls))) {
        struct cress_client_call *call = CRESS_CONTAINER(node, struct cress_client_call, node);
        call->begin(call);
    }
}

/* --- connecting: loop thread --- */

static bool is_ready(const struct cress_client *client, struct cress_error *why)
{
    const char *url = client->config->broker_url;
    bool ready = cress_broker_state(client->broker, why) != CRESS_BROKER_CONNECTING;
    if (ready) {
        url = client->config->store_url;
        ready = cress_store_is_ready(client->store, why);
    }
    if (!ready) {
        char redacted[256];
        cress_text_redact_url(url, redacted, sizeof redacted);
        cress_error_prefix(why, "%s", redacted);
    }
    return ready;
}

static void end_connecting(struct cress_client *client, const struct cress_error *err)
{
    struct cress_client_call *call = client->connecting;
    client->connecting = NULL;
    uv_timer_stop(&client->patience);
    cress_client_call_end(call, err);
}

static void patience_cb(uv_timer_t *timer)
{
    struct cress_client *client = timer->data;
    struct cress_error why;
    end_connecting(client, is_ready(client, &why) ? NULL : &why);
}

/* Called whenever broker or store come or go. */
static void update(struct cress_client *client)
{
    struct cress_error why;
    if (!client->connecting || !client->broker || !client->store) {
        return;
    }
    if (is_ready(client, &why)) {
        end_connecting(client, NULL);
    } else if (!cress_status_is_temporary(why.status)) {
        end_connecting(client, &why);
    }
}

static void on_client_store_state(bool ready, const struct cress_error *err, void *arg)
{
    (void)ready;
    (void)err;
    update(arg);
}

static void on_client_broker_state(enum cress_broker_state state, const struct cress_error *err,
                                   void *arg)
{
    (void)state;
    (void)err;
    update(arg);
}

static void begin_connecting(struct cress_client_call *call)
{
    struct cress_client *client = call->client;
    char host[128] = "", name[192];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "libcress %s:%ld", host, (long)getpid());
    const struct cress_store_options store = {.config = client->config,
                                              .reads_may_lag = true,
                                              .on_state = on_client_store_state,
                                              .arg = client};
    const struct cress_broker_options broker = {.config = client->config,
                                                .name = name,
                                                .roles = CRESS_BROKER_PUBLISH,
                                                .on_state = on_client_broker_state,
                                                .arg = client};
    struct cress_error err;
    client->connecting = call;
    uv_timer_start(&client->patience, patience_cb, (uint64_t)client->timeout_ms, 0);
    if (cress_store_open(&client->loop, &store, &client->store, &err) != CRESS_OK ||
        cress_broker_open(&client->loop, &broker, &client->broker, &err) != CRESS_OK) {
        end_connecting(client, &err);
    }
}

static void on_client_part_closed(void *arg)
{
    (void)arg; /* the loop ends by itself when no handle is left */
}

static void begin_closing(struct cress_client_call *call)
{
    struct cress_client *client = call->client;
    uv_close((uv_handle_t *)&client->wake, NULL);
    uv_close((uv_handle_t *)&client->patience, NULL);
    if (client->store) {
        cress_store_close(client->store, on_client_part_closed, NULL);
    }
    if (client->broker) {
        cress_broker_close(client->broker, on_client_part_closed, NULL);
    }
}

/* --- connecting: the caller's thread --- */

static void run_loop(void *arg)
{
    struct cress_client *client = arg;
    uv_run(&client->loop, UV_RUN_DEFAULT);
}

/* All signals stay with the user's threads. Ours inherit the mask, and so do those of the broker;
 * with SIGPIPE blocked a lost connection is an error and not the end of the program. */
static int start_thread(struct cress_client *client)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = uv_thread_create(&client->thread, run_loop, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* The options are flags of `cress`, so that file, environment and defaults are found as it does. */
static enum cress_status load_config(const struct cress_client_options *options,
                                     struct cress_config **config, struct cress_error *err)
{
    const char *const flags[][2] = {{"--config", options->config_file},
                                    {"--broker-url", options->broker_url},
                                    {"--store-url", options->store_url}};
    char *argv[2 * CRESS_COUNT(flags) + 2] = {cress_strdup("libcress")};
    int count = 1;
    for (size_t i = 0; i < CRESS_COUNT(flags); i++) {
        if (flags[i][1]) {
            argv[count++] = cress_strdup(flags[i][0]);
            argv[count++] = cress_strdup(flags[i][1]);
        }
    }
    char *given[CRESS_COUNT(argv)];
    memcpy(given, argv, sizeof given); /* loading takes the flags out of its argv */
    int rest = count;
    const enum cress_status status =
        cress_config_load(CRESS_PROGRAM_CLI, &rest, given, config, err);
    for (int i = 0; i < count; i++) {
        free(argv[i]);
    }
    return status;
}

static void configure_log(const struct cress_config *config)
{
    enum cress_log_level level;
    if (!cress_log_level_parse(config->log_level, &level) || level == CRESS_LOG_INFO) {
        level = CRESS_LOG_ERROR; /* a library is quiet unless it is asked */
    }
    cress_log_configure("libcress", level, config->log_format);
}

static void init(struct cress_client *client, const struct cress_client_options *options)
{
    client->pid = getpid();
    client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    client->max_in_flight = options->max_in_flight > 0 ? options->max_in_flight : MAX_IN_FLIGHT;
    cress_list_init(&client->calls);
    uv_mutex_init(&client->lock);
    uv_cond_init(&client->changed);
    uv_async_init(&client->loop, &client->wake, on_client_wake);
    uv_timer_init(&client->loop, &client->patience);
    client->wake.data = client->patience.data = client;
}

static void destroy(struct cress_client *client)
{
    uv_loop_close(&client->loop);
    uv_cond_destroy(&client->changed);
    uv_mutex_destroy(&client->lock);
    cress_config_free(client->config);
    free(client);
}

static enum cress_status start_client(struct cress_client *client, struct cress_error *err)
{
    if (start_thread(client) != 0) {
        uv_close((uv_handle_t *)&client->wake, NULL);
        uv_close((uv_handle_t *)&client->patience, NULL);
        uv_run(&client->loop, UV_RUN_DEFAULT);
        destroy(client);
        return cress_error_set(err, CRESS_TEMPORARY, "no_thread", "cannot start a thread");
    }
    struct cress_client_call call = {.client = client};
    cress_client_post(client, &call, begin_connecting);
    const enum cress_status status = await(&call, err);
    if (status != CRESS_OK) {
        cress_client_close(client);
    }
    return status;
}

enum cress_status cress_client_connect_abi(int abi, const struct cress_client_options *options,
                                           struct cress_client **out, struct cress_error *err)
{
    const struct cress_client_options defaults = {0};
    if (abi != CRESS_ABI) {
        return cress_error_set(err, CRESS_USAGE, "abi",
                               "the program was compiled for ABI %d of libcress, and runs with "
                               "version %s, ABI %d: compile it again",
                               abi, cress_version(), CRESS_ABI);
    }
    options = options ? options : &defaults;
    struct cress_config *config;
    const enum cress_status loaded = load_config(options, &config, err);
    if (loaded != CRESS_OK) {
        return loaded;
    }
    configure_log(config);
    struct cress_client *client = CRESS_NEW(struct cress_client);
    client->config = config;
    if (uv_loop_init(&client->loop) != 0) {
        cress_config_free(config);
        free(client);
        return cress_error_set(err, CRESS_TEMPORARY, "no_loop", "too many open files");
    }
    init(client, options);
    const enum cress_status status = start_client(client, err);
    if (status == CRESS_OK) {
        *out = client;
    }
    return status;
}

void cress_client_close(struct cress_client *client)
{
    if (!client || cress_client_check(client, NULL) != CRESS_OK) {
        return;
    }
    struct cress_client_call call;
    cress_client_post(client, &call, begin_closing);
    uv_thread_join(&client->thread);
    destroy(client);
}
