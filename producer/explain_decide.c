// SPDX-License-Identifier: Apache-2.0
// From facts to the explanation of a job; see explain.h. Pure.
#include "producer/explain.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/job/after.h"
#include "common/job/worker_id.h"
#include "producer/explain_workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A message that was just published or moved may be between two places. */
enum { GRACE_MS = 3000, PLACE_TEXT_MAX = 160 };

static const char *const words[CRESS_REASON_COUNT] = {
#define CRESS_REASON(name, word, meaning) [CRESS_REASON_##name] = word,
#include "producer/explain_reasons.def"
#undef CRESS_REASON
};

const char *cress_reason_word(enum cress_reason reason)
{
    return words[reason];
}

static void say(struct cress_explanation *explanation, enum cress_reason reason, const char *format,
                ...) CRESS_PRINTF(3, 4);
static void say(struct cress_explanation *explanation, enum cress_reason reason, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(explanation->text, sizeof explanation->text, format, args);
    va_end(args);
    explanation->reason = reason;
}

/* --- what a state alone tells --- */

static void explain_ended(struct cress_explanation *explanation)
{
    const struct cress_record *record = explanation->record;
    char at[CRESS_TIME_TEXT_MAX];
    json_t *error = record->error ? json_loads(record->error, 0, NULL) : NULL;
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    say(explanation, CRESS_REASON_ENDED, "it %s%s at %s%s%s%s%s",
        record->state == CRESS_STATE_CANCELLED ? "was " : "", cress_state_word(record->state),
        cress_time_format(record->finished_ms, at), code ? ": " : "", code ? code : "",
        message ? ": " : "", message ? message : "");
    json_decref(error);
}

static void explain_running(const struct cress_explain_facts *facts,
                            struct cress_explanation *explanation)
{
    const struct cress_record *record = facts->record;
    char shown[CRESS_WORKER_ID_MAX];
    const char *worker = record->worker ? cress_worker_id_shown(record->worker, shown) : "unknown";
    char since[CRESS_TIME_TEXT_MAX];
    cress_time_format(record->started_ms, since);
    if (cress_crew_has(facts->workers, record->worker) ||
        facts->now_ms - record->started_ms < GRACE_MS) {
        say(explanation, CRESS_REASON_RUNNING, "worker %s runs attempt %d of %d since %s%s", worker,
            record->attempt, record->max_attempts, since,
            record->cancel ? ", and was told to stop it" : "");
    } else {
        say(explanation, CRESS_REASON_WORKER_LOST,
            "worker %s began attempt %d at %s and no longer reports; when its connection ends "
            "RabbitMQ gives the job to another",
            worker, record->attempt, since);
    }
}

static bool is_ahead_of_time(const struct cress_record *record, int64_t now_ms)
{
    return (record->state == CRESS_STATE_SCHEDULED || record->state == CRESS_STATE_RETRYING) &&
           record->run_at_ms > now_ms;
}

static void explain_time(struct cress_explanation *explanation)
{
    const struct cress_record *record = explanation->record;
    char at[CRESS_TIME_TEXT_MAX];
    cress_time_format(record->run_at_ms, at);
    explanation->until_ms = record->run_at_ms;
    if (record->state == CRESS_STATE_SCHEDULED) {
        say(explanation, CRESS_REASON_SCHEDULED, "it is due at %s", at);
    } else {
        say(explanation, CRESS_REASON_RETRYING, "attempt %d of %d failed; the next is due at %s",
            record->attempt, record->max_attempts, at);
    }
}

/* --- what waits for other jobs --- */

static bool has_ended(const json_t *job)
{
    const char *word = json_string_value(json_object_get(job, "state"));
    enum cress_state state;
    return !word || (cress_state_parse(word, &state) && cress_state_is_terminal(state));
}

static void explain_after(const struct cress_explain_facts *facts,
                          struct cress_explanation *explanation)
{
    const size_t all = cress_after_count(facts->record->after);
    const size_t known = json_array_size(facts->awaited);
    size_t open = 0, used = 0;
    char names[CRESS_EXPLANATION_MAX / 2] = "";
    for (size_t i = 0; i < known; i++) {
        const json_t *job = json_array_get(facts->awaited, i);
        if (!has_ended(job) && open++ < 3) {
            used +=
                (size_t)snprintf(names + used, sizeof names - used, "%s%s (%s)", used ? ", " : "",
                                 json_string_value(json_object_get(job, "id")),
                                 json_string_value(json_object_get(job, "state")));
        }
    }
    say(explanation, CRESS_REASON_WAITING,
        "it waits for the end of %zu%s of the %zu jobs that it comes after%s%s", open,
        all > known ? " or more" : "", all, open ? ": " : "", names);
}

/* --- what waits in a queue --- */

static int64_t sum(const struct cress_queue_stats *queues, bool consumers)
{
    int64_t total = 0;
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        total += consumers ? queues[i].consumers : queues[i].ready;
    }
    return total;
}

static void explain_position(const struct cress_explain_facts *facts,
                             struct cress_explanation *explanation)
{
    const struct cress_record *record = facts->record;
    enum cress_priority priority = CRESS_PRIORITY_NORMAL;
    if (record->priority) {
        cress_priority_parse(record->priority, &priority);
    }
    const int64_t own = facts->queues[priority].ready;
    explanation->ahead = own > 0 ? own - 1 : 0;
    say(explanation, CRESS_REASON_QUEUED,
        "it waits in queue %s: at most about %" PRId64 " jobs of its priority (%s) are before it, "
        "%" PRId64 " wait in all",
        record->queue, explanation->ahead, cress_priority_word(priority),
        sum(facts->queues, false));
}

static int64_t member_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* Its message is in a delay queue now, or in the hands of a worker for a moment. */
static void explain_blocked(const struct cress_explain_facts *facts,
                            struct cress_explanation *explanation)
{
    json_t *blocked = json_loads(facts->record->blocked, 0, NULL);
    const char *limit = json_string_value(json_object_get(blocked, "limit"));
    const char *task = json_string_value(json_object_get(blocked, "task"));
    const char *key = json_string_value(json_object_get(blocked, "key"));
    const char *no_task = json_string_value(json_object_get(blocked, "no_task"));
    if (no_task) {
        say(explanation, CRESS_REASON_NO_TASK,
            "no worker of its queue had task %s when it came; one has it now, and takes it within "
            "10 s",
            no_task);
        json_decref(blocked);
        return;
    }
    char place[PLACE_TEXT_MAX] = "";
    if (facts->line) {
        explanation->ahead = member_of(facts->line, "ahead");
        snprintf(place, sizeof place,
                 ": it is number %" PRId64 " of the %" PRId64 " in its line, with %" PRId64
                 " of the task running",
                 explanation->ahead + 1, member_of(facts->line, "waiting"),
                 member_of(facts->line, "running"));
    }
    say(explanation, CRESS_REASON_LIMITED,
        "it waits its turn within the limit %s of task %s%s%s%s; see cress limits",
        limit ? limit : "", task ? task : "", key ? ", key " : "", key ? key : "", place);
    json_decref(blocked);
}

/* Its delay is over, and its message is not where workers take jobs. */
static bool is_on_the_way(const struct cress_record *record)
{
    return record->blocked || record->state == CRESS_STATE_SCHEDULED ||
           record->state == CRESS_STATE_RETRYING;
}

static void explain_held(const json_t *shut, struct cress_explanation *explanation)
{
    const char *until = json_string_value(json_object_get(shut, "until"));
    if (until && cress_time_parse(until, &explanation->until_ms, NULL) != CRESS_OK) {
        explanation->until_ms = 0;
    }
    say(explanation, CRESS_REASON_HELD,
        "it is due, and AMQP queue %s takes nothing since %s (%s): it goes back to the delay "
        "queues "
        "and is tried again at %s",
        json_string_value(json_object_get(shut, "queue")),
        json_string_value(json_object_get(shut, "since")),
        json_string_value(json_object_get(shut, "code")), until);
}

static void explain_unrouted(const struct cress_queue_stats *due,
                             struct cress_explanation *explanation)
{
    say(explanation, CRESS_REASON_HELD,
        "it is due, and waits in %s, where %" PRId64 " wait to be routed by a worker%s", due->name,
        due->ready, due->consumers > 0 ? "" : ": none runs; start one with cress-worker");
}

static void explain_unconsumed(const struct cress_crew *crew, const struct cress_record *record,
                               struct cress_explanation *explanation)
{
    const char *code = json_string_value(json_object_get(crew->problem, "code"));
    const char *message = json_string_value(json_object_get(crew->problem, "message"));
    say(explanation, CRESS_REASON_CANNOT_CONSUME, "worker %s cannot consume queue %s: %s: %s",
        crew->troubled, record->queue, code ? code : "", message ? message : "");
}

static void explain_waiting(const struct cress_explain_facts *facts,
                            struct cress_explanation *explanation)
{
    const struct cress_record *record = facts->record;
    const struct cress_queue_stats *due = &facts->queues[CRESS_PRIORITY_COUNT];
    const struct cress_crew crew = cress_crew_of(facts->workers, record);
    const json_t *shut = is_on_the_way(record) ? cress_crew_shut(facts->workers, record) : NULL;
    const int64_t since_ms =
        record->run_at_ms > record->created_ms ? record->run_at_ms : record->created_ms;
    const bool is_nowhere = sum(facts->queues, false) == 0 && crew.in_hand == 0;
    const bool is_consumed = sum(facts->queues, true) > 0;
    char paused[CRESS_TIME_TEXT_MAX];
    if (shut) {
        explain_held(shut, explanation);
    } else if (is_nowhere && is_on_the_way(record) && due->ready > 0) {
        explain_unrouted(due, explanation);
    } else if (!record->blocked && is_nowhere && facts->now_ms - since_ms > GRACE_MS) {
        say(explanation, CRESS_REASON_LOST,
            "its message is neither in queue %s nor with a worker; `cress doctor --fix` sends it "
            "again",
            record->queue);
    } else if (facts->paused_ms > 0) {
        say(explanation, CRESS_REASON_PAUSED,
            "queue %s is paused since %s; `cress resume %s` lets its %" PRId64 " jobs go on",
            record->queue, cress_time_format(facts->paused_ms, paused), record->queue,
            sum(facts->queues, false));
    } else if (crew.problem && !is_consumed) {
        explain_unconsumed(&crew, record, explanation);
    } else if (crew.count == 0 && !is_consumed) {
        say(explanation, CRESS_REASON_NO_CONSUMER,
            "no worker consumes queue %s: start one with cress-worker --queues %s", record->queue,
            record->queue);
    } else if (crew.count > 0 && crew.able == 0) {
        say(explanation, CRESS_REASON_NO_TASK,
            "none of the %" PRId64
            " workers of queue %s has task %s: it waits for one that has it, for "
            "worker.unknown_task_wait, and then fails",
            crew.count, record->queue, record->task);
    } else if (record->blocked) {
        explain_blocked(facts, explanation);
    } else if (sum(facts->queues, false) == 0) {
        say(explanation, CRESS_REASON_IN_HAND,
            "a worker of queue %s has fetched it, and it waits there for a free place",
            record->queue);
    } else {
        explain_position(facts, explanation);
    }
}

bool cress_explain_needs_queues(const struct cress_record *record, int64_t now_ms)
{
    return !cress_state_is_terminal(record->state) && record->state != CRESS_STATE_RUNNING &&
           record->state != CRESS_STATE_WAITING && !is_ahead_of_time(record, now_ms);
}

void cress_explain_decide(const struct cress_explain_facts *facts,
                          struct cress_explanation *explanation)
{
    const struct cress_record *record = facts->record;
    *explanation = (struct cress_explanation){
        .record = record, .ahead = -1, .terms = cress_crew_terms(facts->workers, record)};
    if (cress_state_is_terminal(record->state)) {
        explain_ended(explanation);
    } else if (record->state == CRESS_STATE_RUNNING) {
        explain_running(facts, explanation);
    } else if (record->state == CRESS_STATE_WAITING) {
        explain_after(facts, explanation);
    } else if (is_ahead_of_time(record, facts->now_ms)) {
        explain_time(explanation);
    } else {
        explain_waiting(facts, explanation);
    }
}

/* --- as JSON --- */

static void add_known(struct cress_buf *out, const char *name, int64_t number, bool known)
{
    cress_buf_add_text(out, name);
    if (known) {
        cress_buf_printf(out, "%" PRId64, number);
    } else {
        cress_buf_add_text(out, "null");
    }
}

void cress_explain_write_json(const struct cress_explanation *explanation, struct cress_buf *out)
{
    const struct cress_record *record = explanation->record;
    const struct cress_terms *terms = &explanation->terms;
    const bool has_run = record->worker != NULL;
    char worker[CRESS_WORKER_ID_MAX];
    cress_buf_add_member(out, "{\"id\":", record->id);
    cress_buf_add_member(out, ",\"state\":", cress_state_word(record->state));
    cress_buf_add_member(out, ",\"reason\":", cress_reason_word(explanation->reason));
    cress_buf_add_member(out, ",\"message\":", explanation->text);
    cress_buf_add_member(out, ",\"queue\":", record->queue);
    cress_buf_add_member(out, ",\"task\":", record->task);
    cress_buf_add_member(out, ",\"worker\":", cress_worker_id_shown(record->worker, worker));
    cress_time_add_member(out, ",\"since\":", has_run ? record->started_ms : record->created_ms);
    cress_time_add_member(out, ",\"until\":", explanation->until_ms);
    add_known(out, ",\"ahead\":", explanation->ahead, explanation->ahead >= 0);
    add_known(out, ",\"max_attempts\":", terms->max_attempts, terms->max_attempts > 0);
    add_known(out, ",\"timeout_ms\":", terms->timeout_ms, terms->timeout_ms > 0);
    cress_buf_add_member(out, ",\"backoff\":", terms->backoff);
    add_known(out, ",\"backoff_base_ms\":", terms->backoff_base_ms, terms->backoff_base_ms > 0);
    add_known(out, ",\"backoff_cap_ms\":", terms->backoff_cap_ms, terms->backoff_cap_ms > 0);
    cress_buf_add_char(out, '}');
}
