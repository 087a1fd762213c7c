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
//   killed at one job's timeout      that one ends; the others are known to be innocent and go back
//                                    to the head of `waiting`, within the same attempt
//   asked to end: a job cancelled    none is left but that one; see below
//   replaced (recycle_…)             none is left: it gets no new jobs, answers, and only then its
//                                    stdin ends
//
// A cancelled job must not cost its neighbours a second run. A program that has said that it knows
// {"cancel":id} is told so, and has a moment to answer. Where it does not answer, or does not know,
// the run ends all the same, and the job is kept as `abandoned`: its answer, should there be one, is
// dropped. As long as a program has abandoned jobs it gets no others, and a new one may be started
// in its stead, in one of the spare slots, of which there are as many as instances; when its last
// neighbour has answered it is asked to end. A job without neighbours needs none of this: its
// program is asked at once.
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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_CHECK_MS = 250, LOG_INTERVAL_MS = 5000, EXPECTED_IDS = 256 };
/* A program that has said nothing for so long has started, and is busy with its first job. */
enum { STARTS_WITHIN_MS = 10000 };

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
    struct cress_list abandoned;          /* struct abandoned */
    int in_flight_count, concurrency;
    bool knows_cancel, was_asked; /* to end */
    bool was_heard;               /* its program has said something: it reads what it is sent */
    int64_t given;                /* jobs, to this program */
    uint64_t started_ms;          /* its program, by the loop's clock */
    uint64_t memory_checked_ms;   /* likewise */
    bool told_to_end;             /* its end is no fault of the program */
    bool ended_for_one;           /* it was killed, or asked to end, because a job has to stop */
    unsigned failures;            /* in a row */
    uv_timer_t timer;             /* of the pause, or the time that a job has to stop */
};

/* What a task keeps: task->state. */
struct stream {
    struct cress_task *task;
    struct cress_list waiting; /* struct work */
    struct cress_ids ids;      /* of those in flight */
    struct slot *slots;
    size_t slot_count; /* twice `instances`: see DESIGN */
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
    bool timed_out;    /* that is why */
    uint64_t asked_ms; /* by a line, when, by the loop's clock; 0: not */
};

/* A job whose run has ended and which its program may still be busy with. */
struct abandoned {
    struct cress_list node;
    char id[CRESS_ID_MAX + 1];
};

static void pump(struct stream *stream);
static void grace_over_cb(uv_timer_t *timer);

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

static void abandon(struct work *work)
{
    struct slot *slot = work->slot;
    struct abandoned *abandoned = CRESS_NEW(struct abandoned);
    snprintf(abandoned->id, sizeof abandoned->id, "%s", work->run->job.id);
    cress_list_append(&slot->abandoned, &abandoned->node);
    leave_slot(slot->stream, work);
    pump(slot->stream);
    end_stopped(work);
}

static void forget_abandoned(struct abandoned *abandoned)
{
    cress_list_remove(&abandoned->node);
    free(abandoned);
}

static struct abandoned *find_abandoned(const struct slot *slot, const char *id)
{
    for (struct cress_list *at = slot->abandoned.next; at != &slot->abandoned; at = at->next) {
        struct abandoned *abandoned = CRESS_CONTAINER(at, struct abandoned, node);
        if (strcmp(abandoned->id, id) == 0) {
            return abandoned;
        }
    }
    return NULL;
}

/* --- replacing a program --- */

/* It gets no further jobs: the signal may still be on its way when this one has been answered. */
static void ask_program(struct slot *slot)
{
    if (slot->state == SLOT_RUNNING) {
        slot->state = SLOT_DRAINING;
    }
    slot->ended_for_one = true;
    if (!slot->was_asked) {
        slot->was_asked = true;
        cress_stream_program_ask(slot->program);
        uv_timer_start(&slot->timer, grace_over_cb, CRESS_STOP_GRACE_MS, 0);
    }
}

static void finish_when_drained(struct slot *slot)
{
    if (slot->in_flight_count == 0 && !cress_list_is_empty(&slot->abandoned)) {
        ask_program(slot);
    } else if (slot->state == SLOT_DRAINING && slot->in_flight_count == 0) {
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
    slot->knows_cancel = hello->knows_cancel;
    if (hello->concurrency > 0) {
        slot->concurrency = hello->concurrency;
        pump(slot->stream);
    }
}

/* Of one that nobody waits for any more, or of none that it has. */
static void spoke_of_another(struct slot *slot, const struct cress_stream_message *message)
{
    struct abandoned *abandoned = find_abandoned(slot, message->id);
    if (!abandoned) {
        struct cress_error err;
        cress_error_set(&err, CRESS_MALFORMED, "unknown_id",
                        "the program wrote about job %.128s, which it does not have (any more)",
                        message->id);
        kill_program(slot, &err);
    } else if (message->kind == CRESS_STREAM_RESULT || message->kind == CRESS_STREAM_ERROR) {
        forget_abandoned(abandoned);
        finish_when_drained(slot);
        pump(slot->stream);
    }
}

static void message_cb(const struct cress_stream_message *message, void *arg)
{
    struct slot *slot = arg;
    if (!slot->was_heard) {
        slot->was_heard = true;
        pump(slot->stream);
    }
    if (message->kind == CRESS_STREAM_HELLO) {
        greeted(slot, message);
        return;
    }
    struct cress_id_node *node = cress_ids_find(&slot->stream->ids, message->id);
    struct work *work = node ? CRESS_CONTAINER(node, struct work, by_id) : NULL;
    if (!work || work->slot != slot) {
        spoke_of_another(slot, message);
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

static void program_ended_cb(const struct cress_error *reason, void *arg)
{
    struct slot *slot = arg;
    struct stream *stream = slot->stream;
    slot->program = NULL;
    uv_timer_stop(&slot->timer);
    struct cress_list *forgotten;
    while ((forgotten = cress_list_shift(&slot->abandoned))) {
        free(CRESS_CONTAINER(forgotten, struct abandoned, node));
    }
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

static void start_slot_program(struct slot *slot)
{
    const struct cress_task *task = slot->stream->task;
    const struct cress_stream_program_options options = {
        .task = task->config->name,
        .config = task->config,
        .wardens = slot->stream->wardens,
        .on_message = message_cb,
        .on_leaving = leaving_cb,
        .on_ended = program_ended_cb,
        .arg = slot,
    };
    slot->state = SLOT_RUNNING;
    slot->concurrency = (int)task->config->in_flight;
    slot->given = 0;
    slot->told_to_end = slot->ended_for_one = slot->was_heard = false;
    slot->knows_cancel = slot->was_asked = false;
    slot->started_ms = uv_now(task->services->loop);
    slot->program = cress_stream_program_start(task->services->loop, &options);
}

static void give(struct slot *slot, struct work *work)
{
    if (slot->state == SLOT_EMPTY) {
        start_slot_program(slot);
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

/* Of the slots that count as instances: those with a program that takes jobs, or soon will. */
static int64_t count_active(const struct stream *stream)
{
    int64_t count = 0;
    for (size_t i = 0; i < stream->slot_count; i++) {
        const struct slot *slot = &stream->slots[i];
        count += slot->state != SLOT_EMPTY && cress_list_is_empty(&slot->abandoned);
    }
    return count;
}

static bool is_warm(const struct slot *slot)
{
    return slot->was_heard ||
           uv_now(slot->stream->task->services->loop) - slot->started_ms >= STARTS_WITHIN_MS;
}

/* Jobs that lie in the pipe of a program that is starting are seen all at once. */
static bool may_lie_in_pipe(const struct slot *slot)
{
    const struct cress_task_config *config = slot->stream->task->config;
    return config->rate.count == 0 && config->key_rate.count == 0;
}

/* An idle program before a new one, and a new one before a second job for a busy one. NULL: all are
 * busy. */
static struct slot *choose_slot(struct stream *stream)
{
    const bool may_start = count_active(stream) < stream->task->config->instances;
    struct slot *best = NULL;
    int least = 0;
    for (size_t i = 0; i < stream->slot_count; i++) {
        struct slot *slot = &stream->slots[i];
        const bool has_room =
            slot->state == SLOT_RUNNING && slot->in_flight_count < slot->concurrency &&
            cress_list_is_empty(&slot->abandoned) &&
            (slot->in_flight_count == 0 || may_lie_in_pipe(slot) || is_warm(slot));
        const int load = slot->state == SLOT_EMPTY ? 1 : 2 * slot->in_flight_count;
        if ((has_room || (may_start && slot->state == SLOT_EMPTY)) && (!best || load < least)) {
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

static enum cress_readiness stream_readiness(const struct cress_task *task)
{
    const struct stream *stream = task->state;
    enum cress_readiness readiness =
        cress_list_is_empty(&stream->waiting) ? CRESS_READY_FOR_ONE : CRESS_NOT_READY;
    for (size_t i = 0; i < stream->slot_count; i++) {
        const struct slot *slot = &stream->slots[i];
        if (slot->state == SLOT_RUNNING && is_warm(slot)) {
            return CRESS_READY;
        }
        if (slot->state == SLOT_RUNNING && slot->in_flight_count > 0) {
            readiness = CRESS_NOT_READY;
        }
    }
    return readiness;
}

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

static void kill_because_of(struct slot *slot, const struct work *work)
{
    struct cress_error err;
    slot->ended_for_one = true;
    cress_error_set(&err, CRESS_CANCELLED, NULL, "killed: job %s had to stop%s", work->run->job.id,
                    work->timed_out ? " (timeout)" : "");
    kill_program(slot, &err);
}

/* It was told that the job is cancelled, and has not answered; or it would not know what that means.
 */
static void give_up_on(struct work *work)
{
    if (work->timed_out) {
        kill_because_of(work->slot, work);
    } else if (work->slot->in_flight_count > 1) {
        abandon(work);
    } else {
        ask_program(work->slot);
    }
}

static void kill_if_still_busy(struct slot *slot)
{
    struct cress_error err;
    for (struct cress_list *at = slot->in_flight.next; at != &slot->in_flight; at = at->next) {
        if (work_at(at)->stopping) {
            kill_because_of(slot, work_at(at));
            return;
        }
    }
    if (!cress_list_is_empty(&slot->abandoned)) {
        cress_error_set(&err, CRESS_CANCELLED, NULL,
                        "killed: it was asked to end, because a job was cancelled, and did not");
        kill_program(slot, &err);
    }
}

static void grace_over_cb(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    if (slot->was_asked) {
        kill_if_still_busy(slot);
        return;
    }
    const uint64_t now_ms = uv_now(timer->loop);
    uint64_t wait_ms = 0;
    struct cress_list *next;
    for (struct cress_list *at = slot->in_flight.next;
         at != &slot->in_flight && slot->state != SLOT_ENDING; at = next) {
        struct work *work = work_at(at);
        next = at->next;
        const uint64_t waited_ms = now_ms - work->asked_ms;
        if (work->asked_ms && waited_ms >= CRESS_STOP_GRACE_MS) {
            give_up_on(work);
        } else if (work->asked_ms && wait_ms < CRESS_STOP_GRACE_MS - waited_ms) {
            wait_ms = CRESS_STOP_GRACE_MS - waited_ms;
        }
    }
    if (wait_ms > 0 && !uv_is_active((uv_handle_t *)timer)) {
        uv_timer_start(timer, grace_over_cb, wait_ms, 0);
    }
}

static void tell_of_cancel(struct work *work)
{
    struct slot *slot = work->slot;
    uv_loop_t *loop = slot->stream->task->services->loop;
    cress_stream_program_cancel(slot->program, work->run->job.id);
    uv_update_time(loop);
    work->asked_ms = uv_now(loop);
    if (!uv_is_active((uv_handle_t *)&slot->timer)) {
        uv_timer_start(&slot->timer, grace_over_cb, CRESS_STOP_GRACE_MS, 0);
    }
}

static void stream_stop(struct cress_run *run, enum cress_stop_reason reason)
{
    struct work *work = run->state;
    work->stopping = true;
    work->timed_out = reason == CRESS_STOP_TIMED_OUT;
    if (!work->slot) {
        cress_list_remove(&work->node);
        end_stopped(work);
    } else if (reason == CRESS_STOP_SHUTDOWN) {
        ask_program(work->slot); /* all that it has is stopped, and none may go on meanwhile */
    } else if (work->slot->knows_cancel && work->slot->state <= SLOT_DRAINING) {
        tell_of_cancel(work);
    } else {
        give_up_on(work);
    }
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
    stream->slot_count = 2 * (size_t)task->config->instances;
    stream->slots = cress_alloc(stream->slot_count * sizeof *stream->slots);
    cress_list_init(&stream->waiting);
    cress_ids_init(&stream->ids, EXPECTED_IDS);
    for (size_t i = 0; i < stream->slot_count; i++) {
        struct slot *slot = &stream->slots[i];
        slot->stream = stream;
        cress_list_init(&slot->in_flight);
        cress_list_init(&slot->abandoned);
        uv_timer_init(task->services->loop, &slot->timer);
        slot->timer.data = slot;
    }
    task->state = stream;
}

void cress_stream_prefork(struct cress_task *task)
{
    struct stream *stream = task->state;
    for (size_t i = 0; i < stream->slot_count / 2; i++) {
        if (stream->slots[i].state == SLOT_EMPTY) {
            start_slot_program(&stream->slots[i]);
        }
    }
}

static void pause_closed_cb(uv_handle_t *timer)
{
    const struct slot *slot = timer->data;
    close_one(slot->stream);
}

static void stream_wardens_closed_cb(void *arg)
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
        if (slot->state == SLOT_RUNNING || slot->state == SLOT_DRAINING) {
            cress_stream_program_finish(slot->program);
        }
    }
    cress_wardens_close(stream->wardens, stream_wardens_closed_cb, stream);
}

const struct cress_handler cress_stream_handler = {
    .task = "stream",
    .start = stream_start,
    .stop = stream_stop,
    .check = stream_check,
    .open = stream_open,
    .readiness = stream_readiness,
    .close = stream_close,
};
