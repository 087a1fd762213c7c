// SPDX-License-Identifier: Apache-2.0
// The handler `stream`: jobs are lines for programs that live on. The protocol is in
// stream_protocol.h, a single program in stream_program.h; here is which job goes where, and when
// programs are started, replaced and given up.
//
// DESIGN
//
//   start() --> waiting --> a slot's program --> answer --> cress_run_done()
//                  ^               |
//                  +---------------+  killed because of another job
//
// A task has `instances` slots, each with at most one program, which is started when a job finds
// all others busy. What becomes of the jobs in flight when a program ends depends on why:
//
//   it died, or wrote nonsense       each of them may be the reason: CRASHED, another attempt
//   ended: one job had to stop       that one ends; the others are known to be innocent and go back
//                                    to the head of `waiting`, within the same attempt
//   replaced (recycle_…)             none is left: it gets no new jobs, answers, and only then its
//                                    stdin ends
//
// A slot whose program ended without having been told to waits with full-jitter backoff before the
// next one. No run is ended before everything here is as it will be: cress_run_done() may start the
// next run at once.
#include "worker/handler/stream.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "worker/handler/command.h"
#include "worker/handler/stream_program.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_CHECK_MS = 250, LOG_INTERVAL_MS = 5000, EXPECTED_IDS = 256 };

static const struct cress_backoff restart_backoff = {.base_ms = 100, .cap_ms = 5000};

enum slot_state {
    SLOT_EMPTY,    /* a program may be started */
    SLOT_RUNNING,  /* its program takes jobs */
    SLOT_DRAINING, /* its program answers what is in flight, and is then told to exit; also once it
                      was asked to end because of a job, for it may or may not do so */
    SLOT_ENDING,   /* its program is leaving, or being killed */
    SLOT_PAUSING,  /* no program, and none is started before the timer rings */
};

struct slot {
    struct stream *stream;
    enum slot_state state;
    struct cress_stream_program *program; /* NULL in EMPTY and PAUSING */
    struct cress_list in_flight;          /* struct work */
    int in_flight_count, concurrency;
    int64_t given;              /* jobs, to this program */
    uint64_t memory_checked_ms; /* by the loop's clock */
    bool told_to_end;           /* its end is no fault of the program */
    bool ended_for_one;         /* it was killed, or asked to end, because a job has to stop */
    unsigned failures;          /* in a row */
    uv_timer_t timer;           /* of the pause, or the time that a job has to stop */
};

/* What a task keeps: task->state. */
struct stream {
    struct cress_task *task;
    struct cress_list waiting; /* struct work */
    struct cress_ids ids;      /* of those in flight */
    struct slot *slots;
    size_t slot_count;
    struct cress_wardens *wardens;
    size_t open; /* when closing: programs and timers that are left, and the wardens */
    bool closing;
    struct cress_log_limit log;
};

/* One run: run->state. */
struct work {
    struct cress_list node; /* in `waiting` or in `in_flight` */
    struct cress_run *run;
    struct slot *slot; /* NULL: waiting */
    struct cress_id_node by_id;
    int64_t deadline_ms; /* wall clock */
    bool stopping;
};

static void pump(struct stream *stream);

static struct work *work_at(struct cress_list *node)
{
    return CRESS_CONTAINER(node, struct work, node);
}

/* --- runs --- */

static void leave_slot(struct stream *stream, struct work *work)
{
    cress_list_remove(&work->node);
    cress_ids_remove(&stream->ids, &work->by_id);
    if (work->slot) {
        work->slot->in_flight_count--;
        work->slot = NULL;
    }
}

/* `work` is in no list. */
static void end_run(struct work *work, struct cress_outcome outcome)
{
    struct cress_run *run = work->run;
    run->state = NULL;
    free(work);
    cress_run_done(run, outcome);
}

static void end_run_with_error(struct work *work, enum cress_outcome_kind kind,
                               const struct cress_error *err)
{
    end_run(work, (struct cress_outcome){.kind = kind, .error = *err});
}

static void end_stopped(struct work *work)
{
    struct cress_error err;
    cress_error_set(&err, CRESS_CANCELLED, NULL, "stopped before the program had answered");
    end_run_with_error(work, CRESS_OUTCOME_CANCELLED, &err);
}

/* --- replacing a program --- */

static void finish_when_drained(struct slot *slot)
{
    if (slot->state == SLOT_DRAINING && slot->in_flight_count == 0) {
        slot->state = SLOT_ENDING;
        slot->told_to_end = true;
        cress_stream_program_finish(slot->program);
    }
}

static void kill_program(struct slot *slot, const struct cress_error *reason)
{
    slot->state = SLOT_ENDING;
    cress_stream_program_kill(slot->program, reason);
}

static void drain_if_too_large(struct slot *slot)
{
    const int64_t limit_bytes = slot->stream->task->config->recycle_memory_bytes;
    const uint64_t now_ms = uv_now(slot->stream->task->services->loop);
    if (limit_bytes == 0 || slot->state != SLOT_RUNNING ||
        now_ms - slot->memory_checked_ms < MEMORY_CHECK_MS) {
        return;
    }
    slot->memory_checked_ms = now_ms;
    const int64_t bytes = cress_stream_program_memory(slot->program);
    if (bytes > limit_bytes) {
        cress_log(CRESS_LOG_INFO, "stream program has grown too large and is replaced",
                  CRESS_KV("task", slot->stream->task->config->name), CRESS_KVI("bytes", bytes),
                  CRESS_KVI("recycle_memory", limit_bytes), CRESS_KVI("jobs", slot->given));
        slot->state = SLOT_DRAINING;
    }
}

/* --- answers --- */

static struct cress_outcome outcome_of(const struct cress_stream_message *message)
{
    struct cress_outcome outcome = {.kind = CRESS_OUTCOME_SUCCEEDED};
    if (message->kind == CRESS_STREAM_RESULT) {
        outcome.result = cress_strndup(message->result.text, message->result.size);
        outcome.result_size = message->result.size;
        return outcome;
    }
    outcome.kind = message->retry ? CRESS_OUTCOME_RETRY : CRESS_OUTCOME_FAILED;
    outcome.retry_after_ms = message->retry_after_ms;
    cress_error_set(&outcome.error, message->retry ? CRESS_TEMPORARY : CRESS_INVALID, message->code,
                    "%s", message->text);
    return outcome;
}

static void answered(struct work *work, const struct cress_stream_message *message)
{
    struct slot *slot = work->slot;
    slot->failures = 0;
    leave_slot(slot->stream, work);
    drain_if_too_large(slot);
    finish_when_drained(slot);
    pump(slot->stream);
    end_run(work, outcome_of(message));
}

static void greeted(struct slot *slot, const struct cress_stream_message *hello)
{
    if (hello->concurrency > 0) {
        slot->concurrency = hello->concurrency;
        pump(slot->stream);
    }
}

static void message_cb(const struct cress_stream_message *message, void *arg)
{
    struct slot *slot = arg;
    if (message->kind == CRESS_STREAM_HELLO) {
        greeted(slot, message);
        return;
    }
    struct cress_id_node *node = cress_ids_find(&slot->stream->ids, message->id);
    struct work *work = node ? CRESS_CONTAINER(node, struct work, by_id) : NULL;
    if (!work || work->slot != slot) {
        struct cress_error err;
        cress_error_set(&err, CRESS_MALFORMED, "unknown_id",
                        "the program wrote about job %.128s, which it does not have (any more)",
                        message->id);
        kill_program(slot, &err);
    } else if (message->kind == CRESS_STREAM_PROGRESS) {
        cress_run_progress(work->run, message->percent, message->text);
    } else if (message->kind == CRESS_STREAM_LOG) {
        cress_run_log(work->run, message->text, message->text_size);
        cress_run_log(work->run, "\n", 1);
    } else {
        answered(work, message);
    }
}

/* --- the end of a program --- */

static void close_one(struct stream *stream)
{
    if (!stream->closing || --stream->open > 0) {
        return;
    }
    struct cress_task *task = stream->task;
    cress_ids_free(&stream->ids);
    free(stream->slots);
    free(stream);
    task->state = NULL;
    cress_task_closed(task);
}

static void leaving_cb(void *arg)
{
    struct slot *slot = arg;
    slot->state = SLOT_ENDING;
}

static void pause_over_cb(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    slot->state = SLOT_EMPTY;
    pump(slot->stream);
}

static void pause_slot(struct slot *slot, const struct cress_error *reason)
{
    struct stream *stream = slot->stream;
    slot->failures++;
    slot->state = SLOT_PAUSING;
    const int64_t ms = cress_backoff_ms(&restart_backoff, slot->failures, cress_random());
    uint64_t suppressed;
    if (cress_log_allow(&stream->log, LOG_INTERVAL_MS, &suppressed)) {
        cress_log(CRESS_LOG_WARN, "stream program ended, a new one is started when needed",
                  CRESS_KV("task", stream->task->config->name), CRESS_KV_ERROR(reason),
                  CRESS_KVI("jobs", slot->given), CRESS_KVI("in_flight", slot->in_flight_count),
                  CRESS_KVI("not_before_ms", ms), CRESS_KVI("others", suppressed));
    }
    uv_update_time(stream->task->services->loop);
    uv_timer_start(&slot->timer, pause_over_cb, (uint64_t)ms, 0);
}

/* The guilty and the suspects into `ended`; the innocent back to the head of `waiting`. */
static void clear_slot(struct slot *slot, struct cress_list *ended)
{
    struct stream *stream = slot->stream;
    struct cress_list innocent;
    cress_list_init(&innocent);
    while (!cress_list_is_empty(&slot->in_flight)) {
        struct work *work = work_at(slot->in_flight.next);
        leave_slot(stream, work);
        cress_list_append(slot->ended_for_one && !work->stopping ? &innocent : ended, &work->node);
    }
    cress_list_splice(&innocent, &stream->waiting);
    cress_list_splice(&stream->waiting, &innocent);
}

static bool has_program(const struct stream *stream)
{
    for (size_t i = 0; i < stream->slot_count; i++) {
        if (stream->slots[i].program) {
            return true;
        }
    }
    return false;
}

static void end_all(struct cress_list *ended, const struct cress_error *reason)
{
    const bool was_started = reason->status != CRESS_CONFIG;
    struct cress_list *node;
    while ((node = cress_list_shift(ended))) {
        struct work *work = work_at(node);
        if (work->stopping) {
            end_stopped(work);
        } else {
            end_run_with_error(work, was_started ? CRESS_OUTCOME_CRASHED : CRESS_OUTCOME_RETRY,
                               reason);
        }
    }
}

static void ended_cb(const struct cress_error *reason, void *arg)
{
    struct slot *slot = arg;
    struct stream *stream = slot->stream;
    slot->program = NULL;
    uv_timer_stop(&slot->timer);
    if (stream->closing) {
        close_one(stream);
        return;
    }
    if (slot->told_to_end || slot->ended_for_one) {
        slot->state = SLOT_EMPTY;
    } else {
        pause_slot(slot, reason);
    }
    struct cress_list ended;
    cress_list_init(&ended);
    clear_slot(slot, &ended);
    if (reason->status == CRESS_CONFIG && !has_program(stream)) {
        cress_list_splice(&ended, &stream->waiting); /* to wait here would only block the worker */
    }
    pump(stream);
    end_all(&ended, reason);
}

/* --- giving jobs to programs --- */

static void start_program(struct slot *slot)
{
    const struct cress_task *task = slot->stream->task;
    const struct cress_stream_program_options options = {
        .task = task->config->name,
        .config = task->config,
        .wardens = slot->stream->wardens,
        .on_message = message_cb,
        .on_leaving = leaving_cb,
        .on_ended = ended_cb,
        .arg = slot,
    };
    slot->state = SLOT_RUNNING;
    slot->concurrency = (int)task->config->in_flight;
    slot->given = 0;
    slot->told_to_end = slot->ended_for_one = false;
    slot->program = cress_stream_program_start(task->services->loop, &options);
}

static void give(struct slot *slot, struct work *work)
{
    if (slot->state == SLOT_EMPTY) {
        start_program(slot);
    }
    work->slot = slot;
    cress_list_append(&slot->in_flight, &work->node);
    cress_ids_add(&slot->stream->ids, &work->by_id, work->run->job.id);
    slot->in_flight_count++;
    slot->given++;
    cress_stream_program_send(slot->program, &work->run->job, work->run->after, work->deadline_ms);
    if (slot->given == slot->stream->task->config->recycle_jobs) {
        slot->state = SLOT_DRAINING;
    }
}

/* An idle program before a new one, and a new one before a second job for a busy one. NULL: all are
 * busy. */
static struct slot *choose_slot(struct stream *stream)
{
    struct slot *best = NULL;
    int least = 0;
    for (size_t i = 0; i < stream->slot_count; i++) {
        struct slot *slot = &stream->slots[i];
        const bool has_room =
            slot->state == SLOT_RUNNING && slot->in_flight_count < slot->concurrency;
        const int load = slot->state == SLOT_EMPTY ? 1 : 2 * slot->in_flight_count;
        if ((has_room || slot->state == SLOT_EMPTY) && (!best || load < least)) {
            best = slot;
            least = load;
        }
    }
    return best;
}

static void pump(struct stream *stream)
{
    struct slot *slot;
    while (!cress_list_is_empty(&stream->waiting) && (slot = choose_slot(stream))) {
        give(slot, work_at(cress_list_shift(&stream->waiting)));
    }
}

/* --- the handler --- */

static void stream_start(struct cress_run *run)
{
    struct stream *stream = run->task->state;
    struct work *work = CRESS_NEW(struct work);
    work->run = run;
    work->deadline_ms = cress_run_deadline_ms(run);
    run->state = work;
    cress_list_append(&stream->waiting, &work->node);
    pump(stream);
}

static bool has_stopping(const struct slot *slot)
{
    for (struct cress_list *at = slot->in_flight.next; at != &slot->in_flight; at = at->next) {
        if (work_at(at)->stopping) {
            return true;
        }
    }
    return false;
}

static void grace_over_cb(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    if (has_stopping(slot)) {
        struct cress_error err;
        cress_error_set(&err, CRESS_CANCELLED, NULL,
                        "killed: it was asked to end, because a job had to stop, and did not");
        kill_program(slot, &err);
    }
}

/* It gets no further jobs: the signal may still be on its way when this one has been answered. */
static void ask_program(struct slot *slot)
{
    if (slot->state == SLOT_RUNNING) {
        slot->state = SLOT_DRAINING;
    }
    if (!uv_is_active((uv_handle_t *)&slot->timer)) {
        cress_stream_program_ask(slot->program);
        uv_timer_start(&slot->timer, grace_over_cb, CRESS_STOP_GRACE_MS, 0);
    }
}

/* Nothing in the protocol stops a single job: its program ends. */
static void stream_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    struct work *work = run->state;
    work->stopping = true;
    if (!work->slot) {
        cress_list_remove(&work->node);
        end_stopped(work);
        return;
    }
    work->slot->ended_for_one = true;
    if (reason != CRESS_STOP_TIMED_OUT) {
        ask_program(work->slot);
        return;
    }
    struct cress_error err;
    cress_error_set(&err, CRESS_CANCELLED, NULL, "killed: job %s had to stop (timeout)",
                    run->job.id);
    kill_program(work->slot, &err);
}

static enum cress_status stream_check(const struct cress_task_config *config,
                                      struct cress_error *err)
{
    char **argv;
    const enum cress_status status = cress_command_make(config, &argv, err);
    if (status == CRESS_OK) {
        cress_text_list_free(argv);
    }
    return status;
}

static void stream_open(struct cress_task *task)
{
    struct stream *stream = CRESS_NEW(struct stream);
    stream->task = task;
    stream->wardens = cress_wardens_open(task->services->loop);
    stream->slot_count = (size_t)task->config->instances;
    stream->slots = cress_alloc(stream->slot_count * sizeof *stream->slots);
    cress_list_init(&stream->waiting);
    cress_ids_init(&stream->ids, EXPECTED_IDS);
    for (size_t i = 0; i < stream->slot_count; i++) {
        struct slot *slot = &stream->slots[i];
        slot->stream = stream;
        cress_list_init(&slot->in_flight);
        uv_timer_init(task->services->loop, &slot->timer);
        slot->timer.data = slot;
    }
    task->state = stream;
}

void cress_stream_prefork(struct cress_task *task)
{
    struct stream *stream = task->state;
    for (size_t i = 0; i < stream->slot_count; i++) {
        if (stream->slots[i].state == SLOT_EMPTY) {
            start_program(&stream->slots[i]);
        }
    }
}

static void pause_closed_cb(uv_handle_t *timer)
{
    const struct slot *slot = timer->data;
    close_one(slot->stream);
}

static void wardens_closed_cb(void *arg)
{
    close_one(arg);
}

static void stream_close(struct cress_task *task)
{
    struct stream *stream = task->state;
    stream->closing = true;
    stream->open = 1;
    for (size_t i = 0; i < stream->slot_count; i++) {
        struct slot *slot = &stream->slots[i];
        stream->open += slot->program ? 2 : 1;
        uv_close((uv_handle_t *)&slot->timer, pause_closed_cb);
        if (slot->state == SLOT_RUNNING) {
            cress_stream_program_finish(slot->program);
        }
    }
    cress_wardens_close(stream->wardens, wardens_closed_cb, stream);
}

const struct cress_handler cress_stream_handler = {
    .task = "stream",
    .start = stream_start,
    .stop = stream_stop,
    .check = stream_check,
    .open = stream_open,
    .close = stream_close,
};
