// SPDX-License-Identifier: Apache-2.0
// cress enqueue --jsonl: many jobs, confirms pipelined, outcomes in the order of the lines.
#ifndef CRESS_CLI_BULK_H
#define CRESS_CLI_BULK_H

#include "common/base/status.h"

#include <stdbool.h>

struct cress_bulk;
struct cress_cli;

/* Opens `path` ("-": stdin). */
CRESS_MUST_CHECK enum cress_status cress_bulk_new(struct cress_cli *cli, const char *path,
                                                  struct cress_bulk **out, struct cress_error *err);

/* Before it runs: its jobs belong to batch `batch` (borrowed). Nothing is printed of those that are
 * accepted, and `then` is called with the exit code in place of the verb's end. */
void cress_bulk_into(struct cress_bulk *bulk, const char *batch,
                     void (*then)(int exit_code, void *arg), void *arg);

/* Whether it has begun. */
bool cress_bulk_is_running(const struct cress_bulk *bulk);

/* Submits every line; the verb's end is its own. */
void cress_bulk_run(struct cress_bulk *bulk);

/* Reads no further. CRESS_CANCELLED: what is under way is awaited; else it counts as
 * unconfirmed. */
void cress_bulk_stop(struct cress_bulk *bulk, const struct cress_error *why);

/* The steps of the verb's end. */
void cress_bulk_close(struct cress_bulk *bulk);
void cress_bulk_free(struct cress_bulk *bulk);

#endif
