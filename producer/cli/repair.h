// SPDX-License-Identifier: Apache-2.0
// cress doctor --fix: broker and records compared, and what differs repaired where that is safe.
//
// DESIGN
// A queue cannot be asked whether it holds a certain message. What is known: how many messages a
// queue and the workers hold, and that a queue is first in, first out. So a job that should be
// waiting has lost its message
//   - when its queue is empty and no worker holds anything of it, or
//   - when a job of the same queue and priority that came later has been started already.
// Neither is certain while work goes on, and need not be: a message that turns out to be the second
// one of its job is dropped by the workers. What is younger than a minute is not judged.
//
// Two passes through the records, page by page, in memory that depends on the number of queues
// alone: the first learns what has been started and what waits, the second acts. A record is changed
// only while its version is the one that was judged; then its message is published and confirmed. A
// repair that is cut short leaves what the next one finds.
#ifndef CRESS_CLI_REPAIR_H
#define CRESS_CLI_REPAIR_H

#include "producer/cli/cli.h"

enum cress_repair_kind {
#define CRESS_REPAIR(name, word, trouble, cure) CRESS_REPAIR_##name,
#include "producer/cli/repair_kinds.def"
#undef CRESS_REPAIR
    CRESS_REPAIR_COUNT,
    CRESS_REPAIR_NONE = CRESS_REPAIR_COUNT,
};

enum { CRESS_REPAIR_TEXT_MAX = 1024 };

struct cress_repair_finding {
    int64_t found, fixed;
    char examples[CRESS_REPAIR_TEXT_MAX]; /* the first few names */
    char why[CRESS_REPAIR_TEXT_MAX];      /* the first reason why one was not fixed; "" */
};

const char *cress_repair_word(enum cress_repair_kind kind);

/* "3 jobs …; 3 sent again: job-1, job-2, …" for people. */
void cress_repair_describe(enum cress_repair_kind kind, const struct cress_repair_finding *finding,
                           bool dry_run, struct cress_buf *out);

/* --- judging, pure --- */

/* What is known about a work queue. */
struct cress_repair_queue {
    char *name;
    int64_t messages;                         /* that it or a worker holds; -1: not known */
    int64_t started_ms[CRESS_PRIORITY_COUNT]; /* when the youngest that was started began to wait */
    int64_t unresolved; /* jobs that wait for long and may be among the messages */
};

/* What a record says about its queue: when it is one that was started. */
void cress_repair_learn(struct cress_repair_queue *queue, const struct cress_record *record);

/* Whether what follows the end of a job should have happened: `record` is NULL when it is gone. */
bool cress_repair_is_overdue(const struct cress_record *record, int64_t now_ms);

/* What is wrong with `record`, if anything. `queue` may be NULL: not known. `worker_is_alive`: the
 * one that runs it reports. `delays_are_empty`: no delay queue holds a message. Counts in
 * queue->unresolved. */
enum cress_repair_kind cress_repair_judge(const struct cress_record *record,
                                          struct cress_repair_queue *queue, bool worker_is_alive,
                                          bool delays_are_empty, int64_t now_ms);

/* --- doing --- */

/* `findings` has CRESS_REPAIR_COUNT elements and lives during the callback. */
typedef void (*cress_repair_cb)(const struct cress_repair_finding *findings,
                                const struct cress_error *err, void *arg);

/* Compares and repairs, or only says what it would do. The ticker of `cli` is taken. `done` is called
 * once unless the verb is over before. */
struct cress_repair *cress_repair_start(struct cress_cli *cli, bool dry_run, cress_repair_cb done,
                                        void *arg);
void cress_repair_free(struct cress_repair *repair);

/* Sends the message of job `id` again, if its record still has `version`; `done` says whether it
 * did. CRESS_REPAIR_DELAYED leaves the record as it is. */
typedef void (*cress_repair_job_cb)(bool fixed, const struct cress_error *err, void *arg);
void cress_repair_job(struct cress_cli *cli, enum cress_repair_kind kind, const char *id,
                      int64_t version, cress_repair_job_cb done, void *arg);

/* Declares work queue `queue` if some of it exists. `found`: something was wrong; `err`: it still
 * is. */
typedef void (*cress_repair_queue_cb)(bool found, const struct cress_error *err, void *arg);
void cress_repair_queue_arguments(struct cress_cli *cli, const char *queue, bool dry_run,
                                  cress_repair_queue_cb done, void *arg);

#endif
