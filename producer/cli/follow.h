// SPDX-License-Identifier: Apache-2.0
// Following jobs: their records, now and after each change, until they have ended.
#ifndef CRESS_CLI_FOLLOW_H
#define CRESS_CLI_FOLLOW_H

#include "common/job/record.h"

struct cress_cli;

/* `record` is NULL when there is no such job (yet); it lives during the callback. */
typedef void (*cress_follow_cb)(const struct cress_record *record, void *arg);

/* Calls `changed` with the record of job `id` soon, and again after each change; never after a
 * terminal state or the verb's end. While the store is away there is nothing to tell; an
 * error that waiting cannot cure ends the verb. */
void cress_follow(struct cress_cli *cli, const char *id, cress_follow_cb changed, void *arg);

/* For the runtime: no more callbacks; then, when the store is closed, the memory. */
void cress_follow_stop_all(struct cress_cli *cli);
void cress_follow_free_all(struct cress_cli *cli);

#endif
