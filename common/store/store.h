// SPDX-License-Identifier: Apache-2.0
// The store: job records, batches and presence in Redis, over hiredis on the loop.
//
// One record per job, changed by Lua scripts that check the transition table, so that every change
// is atomic and a terminal state stays. Each change grows `version` and is published on the
// record's channel, which wakes waiters. A record lives until `store.ttl` after its end; before
// that it has no TTL. Keys: see keys.h.
//
// Commands are pipelined: those of one loop turn leave in one write. A connection that does not
// answer within the timeout counts as lost; it is made again for ever, with full-jitter backoff.
// Commands that were under way then fail with CRESS_UNAVAILABLE "store_unavailable" (they may or
// may not have been carried out; every script may be run twice), and so do new ones while there is
// no connection. Whoever must not fail tries again.
//
// Whatever decides reads the primary: every function here does, but for the two that are called
// cress_store_peek…. Those are for showing: where store.read_url names a replica and the caller lets
// reads lag, they ask it, and the primary only when the replica is away or cut off, has no such
// record yet, or when the record is being watched.
//
// Every function is called on the loop's thread, every callback runs there and never from within
// the call. Nothing blocks. What a callback is given lives during the callback only. `err` is NULL
// on success.
#ifndef CRESS_STORE_STORE_H
#define CRESS_STORE_STORE_H

#include "common/config/config.h"
#include "common/job/job.h"
#include "common/job/record.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct cress_store;

struct cress_store_options {
    const struct cress_config *config; /* must outlive the store */
    int64_t timeout_ms;                /* of one command; 0: store.timeout */
    bool reads_may_lag;                /* cress_store_peek() and _peek_batch() ask store.read_url */
    /* Told about each change of the connection; `err` says why it is down. May be NULL. */
    void (*on_state)(bool ready, const struct cress_error *err, void *arg);
    void *arg;
};

/* Starts connecting and returns at once. Fails only on a URL that cannot be read. */
CRESS_MUST_CHECK enum cress_status cress_store_open(uv_loop_t *loop,
                                                    const struct cress_store_options *options,
                                                    struct cress_store **out,
                                                    struct cress_error *err);

/* Fails what is under way with CRESS_CANCELLED and calls `closed` when no handle is left on the
 * loop. Nothing may be asked of the store from now on, and watches must be stopped before `closed`.
 */
void cress_store_close(struct cress_store *store, void (*closed)(void *arg), void *arg);

/* Whether commands can be sent now; if not, `why` says why. A refused password is CRESS_DENIED. */
bool cress_store_is_ready(const struct cress_store *store, struct cress_error *why);

/* The loop that the store lives on. */
uv_loop_t *cress_store_loop(const struct cress_store *store);

typedef void (*cress_store_done_cb)(const struct cress_error *err, void *arg);

/* `follow`: something is to be done; what, the function says. */
typedef void (*cress_store_close_cb)(bool follow, const struct cress_error *err, void *arg);

/* What the store says about a change. */
enum cress_verdict {
    CRESS_VERDICT_APPLIED,
    CRESS_VERDICT_TERMINAL,  /* the job has ended already: drop the message */
    CRESS_VERDICT_STALE,     /* a later attempt exists, another copy of the message runs, or the
                               caller has no say in it: drop the message */
    CRESS_VERDICT_POISON,    /* start only: its workers died too often; it must be failed */
    CRESS_VERDICT_MISSING,   /* change and cancel only: there is no record */
    CRESS_VERDICT_DUPLICATE, /* start only: another job has its unique key; the record is queued */
    CRESS_VERDICT_LEASED,    /* start only: a worker that lives runs it: ask again later */
    CRESS_VERDICT_LIMITED,   /* start only: a limit forbids it for now */
    CRESS_VERDICT_NEXT, /* start only: likewise, and its turn is near: it is to be kept in hand */
    CRESS_VERDICT_SUSPECT,   /* start only: applied, but its workers died more than once: it should
                              run beside no other such job */
    CRESS_VERDICT_CANCELLED, /* it was cancelled: it must not run, or has ended as that instead */
    CRESS_VERDICT_FOREIGN,   /* start only: the message has the id of a job that another one was
                              promised to: it must neither run nor be recorded */
};

/* For what is answered by texts; they end with NULL. */
typedef void (*cress_store_results_cb)(const char *const *results, size_t count,
                                       const struct cress_error *err, void *arg);

/* --- jobs: producers --- */

/* The job that stands in the way of a new one, untouched. */
struct cress_existing {
    enum {
        CRESS_SAME_ID,
        CRESS_SAME_UNIQUE,   /* it has the unique key */
        CRESS_SAME_REQUEST,  /* it has the idempotency key, and came from the same request */
        CRESS_OTHER_REQUEST, /* it has the idempotency key, but came from another request */
    } why;
    bool is_sent; /* not for SAME_ID: its message is known to be safe with the broker */
    const struct cress_record *record;
};

/* How long an idempotency key is remembered. */
#define CRESS_IDEMPOTENCY_MS INT64_C(86400000)

/* Makes the record of a new job, in state `state` (queued, or scheduled when job->not_before_ms is
 * in the future), takes its unique and its idempotency key, and counts it in its batch. `existing`
 * is NULL when it was made. `made` is the state that it was made in: `waiting` when it waits for
 * others that have not all ended, `cancelled` when one of them has not succeeded and the job insists
 * on that. CRESS_NOT_FOUND "unknown_job": one of them does not exist; nothing was made. The job is
 * copied. */
typedef void (*cress_store_create_cb)(const struct cress_existing *existing, enum cress_state made,
                                      const struct cress_error *err, void *arg);
void cress_store_create(struct cress_store *store, const struct cress_job *job,
                        enum cress_state state, cress_store_create_cb done, void *arg);

/* The record that create makes of `job`, and borrows from it. What the job leaves to the worker's
 * configuration stays 0; its payload stays NULL, for the job's is not terminated. */
void cress_store_record(const struct cress_job *job, enum cress_state state,
                        struct cress_record *record);

/* Takes back a record whose message the broker has refused: removed, and its keys freed, if it is
 * still queued or scheduled, no attempt was made, and no other job waits for it. */
void cress_store_discard(struct cress_store *store, const char *id, cress_store_done_cb done,
                         void *arg);

/* The message of a job with a unique or an idempotency key is safe with the broker: whoever asks
 * again need not publish it again. */
void cress_store_sent(struct cress_store *store, const char *id, cress_store_done_cb done,
                      void *arg);

/* Before a dead letter is sent again: the record of a failed job becomes queued, at attempt 0, and
 * is open again in its batch; any other record stays as it is. `was` is the state before; it means
 * nothing when there is no record, or the letter, of which `promise` (may be NULL) is, is none of
 * this job. */
typedef void (*cress_store_requeue_cb)(bool exists, enum cress_state was,
                                       const struct cress_error *err, void *arg);
void cress_store_requeue(struct cress_store *store, const char *id, const char *promise,
                         cress_store_requeue_cb done, void *arg);

/* `record` is NULL when there is none. */
typedef void (*cress_store_get_cb)(const struct cress_record *record, const struct cress_error *err,
                                   void *arg);
void cress_store_get(struct cress_store *store, const char *id, cress_store_get_cb done, void *arg);

/* The same, as of a moment ago perhaps: for showing only. */
void cress_store_peek(struct cress_store *store, const char *id, cress_store_get_cb done,
                      void *arg);

/* What became of a wish to cancel. */
struct cress_cancel_answer {
    enum cress_verdict verdict; /* APPLIED, TERMINAL (it has ended: `state` says how) or MISSING */
    enum cress_state state; /* that the job has now. APPLIED: CANCELLED, or RUNNING when the worker
                               that runs it has been asked to stop it */
    bool follow;            /* as in cress_store_change() */
    bool has_batch;         /* it has made a batch under its own id, which goes on */
};

/* Cancels a job that waits, at once; asks the worker that runs it to stop it. `error` is the job's
 * error, JSON text. Harmless when repeated. A message that is still on its way is dropped when it
 * comes: the store remembers that until then, but no longer than store.cancelled_ttl after it is
 * due. Use cress_cancel_job(), which does what follows too. */
typedef void (*cress_store_cancel_cb)(const struct cress_cancel_answer *answer,
                                      const struct cress_error *err, void *arg);
void cress_store_cancel(struct cress_store *store, const char *id, const char *error,
                        int64_t now_ms, cress_store_cancel_cb done, void *arg);

/* --- jobs: workers --- */

struct cress_start {
    const struct cress_job *job;
    const char *worker;
    bool redelivered; /* AMQP says so: the one sign that an earlier worker may have died with it */
    int64_t patience_ms; /* a run that is older than this is left alone while its worker lives */
    const char *lease;   /* the worker that ran it when the message, a guard, was made; NULL: none.
                          Alone the end of that worker makes the guard start the job */
    const char *follows; /* a retry: the worker that ran the attempt before it. When another one
                            runs that still, this is STALE; NULL: not known */
    bool is_guard; /* the message may not be the only one of its attempt: it does not take over a
                      run that another one began */
    int max_crashes;
    const char *limits; /* from cress_limits_text(); NULL: none */
    int64_t now_ms;   /* when it starts; the same in each repeat of the call, which is thereby known
                       from another copy */
    bool is_recalled; /* the store was told so before, and may have lost it: what it knows of a run
                         that began then, or later, stays. APPLIED: the record says so now */
};

/* delivery -> `running`. Makes the record when there is none (the job came from a foreign client,
 * or the store lost its data). The record learns the job's max_attempts and timeout_ms, which the
 * worker's [task] may have decided. `start` and what it points to must live until the callback. For
 * CRESS_VERDICT_TERMINAL, `follow` is as in cress_store_change(). After CRESS_VERDICT_CANCELLED the
 * end is recorded by a change to `cancelled`, whatever the record says already. After
 * CRESS_VERDICT_LIMITED the job waits in a line: its message is to come back after `wait_ms`, or
 * somewhat sooner, and may be called up before (limits.h). After CRESS_VERDICT_NEXT it is to be
 * started again when its turn is told, or after `wait_ms`. */
typedef void (*cress_store_start_cb)(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                                     const struct cress_error *err, void *arg);
void cress_store_start(struct cress_store *store, const struct cress_start *start,
                       cress_store_start_cb done, void *arg);

/* Makes the record, queued, of a job whose message is not started here, unless there is one: what a
 * foreign client has sent has none. It is counted in no batch, and claims its unique key: if another
 * job has that, or it was cancelled and only the note of that is left, no record is made. */
void cress_store_adopt(struct cress_store *store, const struct cress_job *job,
                       cress_store_done_cb done, void *arg);

/* Who speaks: a running job is changed by the worker that runs this attempt of it, or that the store
 * has told, by POISON or CANCELLED, to end it in the place of one that is gone; a job that does not
 * run, by whoever holds the message that was promised to it. What anybody else says is STALE. */
struct cress_change {
    const char *id;
    enum cress_state to;
    int attempt; /* the attempt that this is the outcome of: a later one in the record wins */
    const char *worker;  /* see worker_id.h; NULL: not a worker */
    const char *promise; /* of the message, or the record, that this is about; see promise.h */
    const char *result;  /* JSON text or NULL */
    size_t result_size;
    const char *error; /* JSON text or NULL */
    int64_t run_at_ms; /* retrying: when it is due */
    int64_t now_ms;
};

typedef void (*cress_store_verdict_cb)(enum cress_verdict verdict, bool follow,
                                       const struct cress_error *err, void *arg);

/* The outcome of an attempt. When something follows from the job's end - others wait for it, or it
 * was the last open job of a closed batch - `follow` is true: the caller then calls
 * cress_follow_up(). */
void cress_store_change(struct cress_store *store, const struct cress_change *change,
                        cress_store_verdict_cb done, void *arg);

/* What a running attempt says about itself; kept while it runs, and passed over when the record
 * says otherwise. Each wakes waiters, so they should be rare. */
struct cress_note {
    const char *id;
    int attempt;
    const char *worker;   /* who runs it */
    const char *progress; /* JSON text or NULL: unchanged */
    const char *log;      /* UTF-8 or NULL: unchanged */
};
void cress_store_note(struct cress_store *store, const struct cress_note *note,
                      cress_store_done_cb done, void *arg);

/* Says in the record of `job`, as long as it waits, what it waits for: JSON; NULL: nothing any more.
 * Nothing is said when the promise is not the record's. */
void cress_store_block(struct cress_store *store, const struct cress_job *job, const char *blocked,
                       cress_store_done_cb done, void *arg);

/* --- logs of attempts --- */

/* What one attempt has further written to its log. */
struct cress_log_piece {
    const char *id;
    int attempt;
    const char *worker; /* who runs it: nothing is kept of one that has lost it to another */
    const char *text;   /* UTF-8 */
    size_t size;
    int64_t full_bytes; /* a log of this size takes no more */
    int64_t ttl_ms;     /* how long it is kept from now on; 0: for ever */
};
void cress_store_log_add(struct cress_store *store, const struct cress_log_piece *piece,
                         cress_store_done_cb done, void *arg);

/* The log of attempt `attempt` from byte `offset` on: empty when there is none, or nothing that is
 * new. */
typedef void (*cress_store_log_cb)(const char *text, size_t size, const struct cress_error *err,
                                   void *arg);
void cress_store_log_get(struct cress_store *store, const char *id, int attempt, int64_t offset,
                         cress_store_log_cb done, void *arg);

/* Why a running job is to stop: its error as JSON text, or NULL when nobody wants that. */
typedef void (*cress_store_text_cb)(const char *text, const struct cress_error *err, void *arg);
void cress_store_cancel_reason(struct cress_store *store, const char *id, cress_store_text_cb done,
                               void *arg);

/* --- jobs: what follows their end --- */

/* What is to be done after the end of job `id` - with "", what follows when jobs are cancelled and
 * batches closed, should whoever did so have died -, `done` entries of the last answer being done. The
 * store settles what it can - a waiting job that is not to run is cancelled - and answers what it
 * cannot: "job ID OTHER", the message of job ID is to be published, and "batch ID", its completion
 * job is to be submitted. `more`: ask again, these being done. Entries that are not called done are
 * answered again, by whomever they are asked for. */
enum { CRESS_FOLLOW_UP_MAX = 65 };
typedef void (*cress_store_follow_up_cb)(const char *const *entries, size_t count, bool more,
                                         const struct cress_error *err, void *arg);
void cress_store_follow_up(struct cress_store *store, const char *id, char *const *done,
                           size_t done_count, cress_store_follow_up_cb then, void *arg);

/* The ends of the jobs `ids` (at most CRESS_OUTCOMES_MAX), each a JSON text {"id", "state",
 * "result" | "error"}; the state is null when there is no record any more. */
enum { CRESS_OUTCOMES_MAX = 64 };
void cress_store_outcomes(struct cress_store *store, const char *const *ids, size_t count,
                          cress_store_results_cb done, void *arg);

/* --- waiting --- */

struct cress_watch;

/* Calls `wake` when the record of `id` changes, and once when watching has begun and again after
 * each reconnect, because a change may have been missed: the waiter then reads the record. Ends
 * with cress_watch_stop(), which may be called from `wake`. */
struct cress_watch *cress_store_watch(struct cress_store *store, const char *id,
                                      void (*wake)(void *arg), void *arg);
void cress_watch_stop(struct cress_watch *watch);

/* The same for the counts of batch `id`. */
struct cress_watch *cress_store_watch_batch(struct cress_store *store, const char *id,
                                            void (*wake)(void *arg), void *arg);

/* Listens to what workers are told: "cancel <id>" when the running job of that id is to stop,
 * "queues" when a queue was paused or resumed. NULL when listening has begun and again after each
 * reconnect, because something may have been missed: the listener then looks for itself. Ends with
 * cress_watch_stop(). */
struct cress_watch *cress_store_listen(struct cress_store *store,
                                       void (*heard)(const char *message, void *arg), void *arg);

/* --- batches --- */

struct cress_batch {
    const char *id;
    int64_t total; /* jobs counted in so far; final when closed */
    int64_t succeeded, failed, cancelled, expired;
    bool closed;           /* no more jobs will be added */
    bool if_succeeded;     /* the completion job runs only if all jobs have succeeded */
    bool cancel_requested; /* no completion job runs; jobs that ran may still be stopping */
    bool completed;        /* nothing more follows: the completion job has been published, unless */
    bool skipped;          /* it was not to run */
    int64_t created_ms;
    const char *completion; /* the request of the completion job, as for cress_job_from_request(),
                               with its id; NULL: none */
};

/* Opens batch `id`; opening it again changes nothing. `completion` may be NULL, and runs, if
 * `if_succeeded`, only when all jobs have succeeded. */
void cress_store_batch_open(struct cress_store *store, const char *id, const char *completion,
                            bool if_succeeded, int64_t now_ms, cress_store_done_cb done, void *arg);

/* No more jobs. `follow`: they have all ended, and the caller calls cress_completion_submit(). */
void cress_store_batch_close(struct cress_store *store, const char *id, cress_store_close_cb done,
                             void *arg);

/* The completion job has been published and confirmed, or is not to run (`skipped`). The batch's
 * keys now get the TTL of finished jobs. */
void cress_store_batch_complete(struct cress_store *store, const char *id, bool skipped,
                                cress_store_done_cb done, void *arg);

/* Of a part of a batch's jobs, what was done with them. */
struct cress_batch_cancel {
    int64_t cancelled, asked, ended; /* at once; to stop, for they ran; left, for they had ended */
    const char *next;                /* the cursor of the next part; NULL: this was the last */
};

/* Closes the batch and cancels a part of its jobs, CRESS_BATCH_CANCEL_MAX at most, each as
 * cress_store_cancel() does. `cursor` is NULL for the first part; none is passed over, whatever
 * becomes of the batch meanwhile. CRESS_CONFLICT "batch_ended". What follows is in the list of no
 * job: cress_follow_up() with the id "" does it, or else the workers do. */
enum { CRESS_BATCH_CANCEL_MAX = 100 }; /* Redis serves nobody else for these 2 ms */
typedef void (*cress_store_batch_cancel_cb)(const struct cress_batch_cancel *answer,
                                            const struct cress_error *err, void *arg);
void cress_store_batch_cancel(struct cress_store *store, const char *id, const char *cursor,
                              const char *error, int64_t now_ms, cress_store_batch_cancel_cb done,
                              void *arg);

/* NULL without an error: there is no such batch. */
typedef void (*cress_store_batch_cb)(const struct cress_batch *batch, const struct cress_error *err,
                                     void *arg);
void cress_store_batch_get(struct cress_store *store, const char *id, cress_store_batch_cb done,
                           void *arg);

/* The same, as of a moment ago perhaps: for showing only. */
void cress_store_peek_batch(struct cress_store *store, const char *id, cress_store_batch_cb done,
                            void *arg);

/* The ends of its jobs in the order they came, from `offset` on, `count` at most: each a JSON text
 * {"id", "state", "result" | "error"}. */
void cress_store_batch_results(struct cress_store *store, const char *id, int64_t offset,
                               int64_t count, cress_store_results_cb done, void *arg);

/* --- presence --- */

/* What a worker says of itself with each beat. */
struct cress_beat {
    const char *worker;
    const char *json;          /* is shown by `cress workers` */
    int64_t ttl_ms;            /* forgotten after this */
    const char *const *limits; /* of its tasks, each from cress_limits_words() */
    size_t limit_count;
};
enum { CRESS_BEAT_LIMITS_MAX = 256 }; /* further ones are passed over */

/* Reports a worker. `follow`: there is something in the list of no job, see cress_follow_up(). */
void cress_store_beat(struct cress_store *store, const struct cress_beat *beat,
                      cress_store_close_cb done, void *arg);
void cress_store_leave(struct cress_store *store, const char *worker, cress_store_done_cb done,
                       void *arg);

/* The reports of all workers that are alive, JSON texts. */
void cress_store_workers(struct cress_store *store, cress_store_results_cb done, void *arg);

/* Remembers that queue `name` exists, and lists all names, sorted. */
void cress_store_add_queue(struct cress_store *store, const char *name, cress_store_done_cb done,
                           void *arg);
void cress_store_queues(struct cress_store *store, cress_store_results_cb done, void *arg);

/* Pauses a queue, or resumes it, and tells the workers. It stays paused until it is resumed.
 * `since_ms` is since when it is paused, 0 when it is not; `changed`: it was otherwise before.
 * CRESS_NOT_FOUND "unknown_queue": no worker has ever consumed it, and the configuration does not
 * name it. */
typedef void (*cress_store_pause_cb)(int64_t since_ms, bool changed, const struct cress_error *err,
                                     void *arg);
void cress_store_pause(struct cress_store *store, const char *queue, int64_t now_ms,
                       cress_store_pause_cb done, void *arg);
void cress_store_resume(struct cress_store *store, const char *queue, cress_store_pause_cb done,
                        void *arg);

/* The queues that are paused, in no order. */
struct cress_paused_queue {
    const char *name;
    int64_t since_ms;
};
typedef void (*cress_store_paused_cb)(const struct cress_paused_queue *queues, size_t count,
                                      const struct cress_error *err, void *arg);
void cress_store_paused(struct cress_store *store, cress_store_paused_cb done, void *arg);

/* --- looking through all of it: `cress doctor --fix` --- */

enum { CRESS_SCAN_PAGE = 200 }; /* keys that Redis looks at for a page; fewer or none may be ours */

/* A page of all job records, in no order; one that is made or removed meanwhile may be missing, and
 * any may come twice. Of each there is what tells where it is: not its payload, result or log.
 * `cursor` is NULL at the beginning; `next` is NULL after the last page. */
typedef void (*cress_store_scan_jobs_cb)(const struct cress_record *records, size_t count,
                                         const char *next, const struct cress_error *err,
                                         void *arg);
void cress_store_scan_jobs(struct cress_store *store, const char *cursor,
                           cress_store_scan_jobs_cb done, void *arg);

/* The same for batches. */
typedef void (*cress_store_scan_batches_cb)(const struct cress_batch *batches, size_t count,
                                            const char *next, const struct cress_error *err,
                                            void *arg);
void cress_store_scan_batches(struct cress_store *store, const char *cursor,
                              cress_store_scan_batches_cb done, void *arg);

/* The same for jobs that others wait for, or whose batch is to be completed: ids. */
typedef void (*cress_store_scan_awaited_cb)(const char *const *ids, size_t count, const char *next,
                                            const struct cress_error *err, void *arg);
void cress_store_scan_awaited(struct cress_store *store, const char *cursor,
                              cress_store_scan_awaited_cb done, void *arg);

/* The ids of jobs that hold a place in the limits of their tasks and do not run; if `free_them` the
 * places are free from now on. */
void cress_store_slots(struct cress_store *store, bool free_them, cress_store_results_cb done,
                       void *arg);

/* Before the message of a job is sent again that is lost, or whose worker is: its record becomes
 * queued, due now, if its version still is `version`; `done` tells whether it was. */
typedef void (*cress_store_mend_cb)(bool mended, const struct cress_error *err, void *arg);
void cress_store_mend(struct cress_store *store, const char *id, int64_t version, int64_t now_ms,
                      cress_store_mend_cb done, void *arg);

#endif
