// SPDX-License-Identifier: Apache-2.0
// What verbs share: one run of `cress`, from its words to its exit code.
//
// DESIGN
//
//   words -> configuration -> prepare() -> connect what the verb needs -> run() -> … cress_cli_end()
//         -> close() -> broker and store closed -> the loop runs dry -> release() -> exit code
//
// stdout is data, stderr is talk. Callbacks that come after the end (CRESS_CANCELLED) are
// recognised by cress_cli_over() or cress_cli_failed(), with which a verb's callbacks begin.
//
// A server that is away is waited for, at the start and later, --connect-timeout in all; a
// permanent error, such as a refused login, is not waited for.
#ifndef CRESS_CLI_CLI_H
#define CRESS_CLI_CLI_H

#include "common/base/list.h"
#include "common/broker/broker.h"
#include "common/config/config.h"
#include "common/store/store.h"
#include "common/submit/door.h"
#include "producer/cli/output.h"
#include "producer/cli/verb.h"

#include <uv.h>

enum { CRESS_EXIT_INTERRUPTED = 130, CRESS_EXIT_TERMINATED = 143, CRESS_EXIT_PIPE = 141 };

/* The broker's confirm of one message is not waited for longer than this. */
enum { CRESS_CLI_CONFIRM_MS = 30000 };

struct cress_cli {
    const struct cress_verb *verb;
    unsigned needs; /* the verb's, to which its prepare() may add what an operand asks for */
    struct cress_args args;
    struct cress_config *config; /* NULL for verbs that do not need it */
    struct cress_output output;
    uv_loop_t loop;
    struct cress_store *store;
    struct cress_broker *broker;
    void *state; /* the verb's own */
    int64_t connect_timeout_ms;

    /* The runtime's own. */
    struct cress_list follows;
    bool running, over, stopping;
    int exit_code;
    uv_timer_t patience, deadline, ticker;
    uv_signal_t interrupt, terminate;
    void (*on_deadline)(void *arg);
    void (*on_tick)(void *arg);
    void *deadline_arg, *tick_arg;
};

/* To what a verb asks of store and broker. */
static inline struct cress_door cress_cli_door(const struct cress_cli *cli, int64_t timeout_ms)
{
    return (struct cress_door){.broker = cli->broker,
                               .store = cli->store,
                               .config = cli->config,
                               .timeout_ms = timeout_ms};
}

/* The whole of main(). */
int cress_cli_main(int argc, char **argv);

/* The verb is done. Only the first call counts. */
void cress_cli_end(struct cress_cli *cli, int exit_code);

/* Says what went wrong and ends with its exit code. */
void cress_cli_fail(struct cress_cli *cli, const struct cress_error *err);

bool cress_cli_over(const struct cress_cli *cli);

/* True when the verb is over: it was before, or `err` is not NULL and has ended it now. */
bool cress_cli_failed(struct cress_cli *cli, const struct cress_error *err);

/* Calls `then` once in `ms`, or again and again every `ms`; one of each at a time. Not after the
 * end. */
void cress_cli_after(struct cress_cli *cli, int64_t ms, void (*then)(void *arg), void *arg);
void cress_cli_every(struct cress_cli *cli, int64_t ms, void (*then)(void *arg), void *arg);

/* Writes out what was printed to stdout so far. False, and the verb has ended, when nobody reads it
 * or it cannot be written. */
bool cress_cli_flush(struct cress_cli *cli);

/* Whether --json was given. */
bool cress_cli_json(const struct cress_cli *cli);

#endif
