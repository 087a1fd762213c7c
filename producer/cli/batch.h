// SPDX-License-Identifier: Apache-2.0
// What the verbs of `cress batch` share.
#ifndef CRESS_CLI_BATCH_H
#define CRESS_CLI_BATCH_H

#include "common/base/id.h"
#include "common/job/job.h"
#include "producer/batches.h"
#include "producer/cli/cli.h"

struct cress_bulk;

/* One run of `cress batch`: cli->state. */
struct cress_batch_run {
    const struct cress_batch_verb *verb;
    const char *id; /* of the batch */
    char new_id[CRESS_UUID_TEXT_SIZE];
    char *completion;          /* create: the request of the completion job, or NULL; owned */
    struct cress_bulk *bulk;   /* create, add: the jobs; NULL: none */
    struct cress_watch *watch; /* status --watch, wait */
    bool reading, changed, overdue, shown;
    struct cress_batch last; /* what was shown; its texts are gone */
    int64_t offset;          /* results: of the next part */
};

struct cress_batch_verb {
    const char *name;
    const char *flags; /* those that it takes, separated by blanks */
    /* Checks what the user gave; NULL: nothing to check. */
    enum cress_status (*prepare)(struct cress_cli *cli, struct cress_error *err);
    void (*run)(struct cress_cli *cli);
};

extern const struct cress_batch_verb cress_batch_create, cress_batch_add,
    cress_batch_close;                                                        /* batch_make.c */
extern const struct cress_batch_verb cress_batch_status, cress_batch_wait;    /* batch_follow.c */
extern const struct cress_batch_verb cress_batch_results, cress_batch_cancel; /* batch_end.c */

/* Ends with the CRESS_NOT_FOUND error of a batch that is not there. */
void cress_batch_missing(struct cress_cli *cli);

#endif
