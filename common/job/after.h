// SPDX-License-Identifier: Apache-2.0
// The list of jobs that another one waits for, as job, record and message hold it: ids separated
// by commas. Pure functions; any thread.
#ifndef CRESS_JOB_AFTER_H
#define CRESS_JOB_AFTER_H

#include "common/base/id.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* The bytes keep the list, as a header of the job's message, inside one AMQP frame (128 KiB). */
enum { CRESS_AFTER_MAX = 1000, CRESS_AFTER_BYTES_MAX = 65536 };

/* Takes the next id off `*rest` into `id`. False when there is none left, or what is left does not
 * begin with an id. */
bool cress_after_next(const char **rest, char id[CRESS_ID_MAX + 1]);

/* How many ids `after` holds; NULL holds none. */
size_t cress_after_count(const char *after);

/* Whether `after` is such a list: CRESS_INVALID says why not. */
CRESS_MUST_CHECK enum cress_status cress_after_check(const char *after, struct cress_error *err);

#endif
