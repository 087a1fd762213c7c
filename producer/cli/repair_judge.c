// SPDX-License-Identifier: Apache-2.0
// What is wrong with a record; see repair.h. Pure.
#include "producer/cli/repair.h"

#include <inttypes.h>

enum {
    /* What is younger is on its way: a publish, a hop, a redelivery, a missed report. */
    GRACE_MS = 60000,
};

static const struct {
    const char *word, *trouble, *cure;
} kinds[CRESS_REPAIR_COUNT] = {
#define CRESS_REPAIR(name, word, trouble, cure) [CRESS_REPAIR_##name] = {word, trouble, cure},
#include "producer/cli/repair_kinds.def"
#undef CRESS_REPAIR
};

const char *cress_repair_word(enum cress_repair_kind kind)
{
    return kinds[kind].word;
}

void cress_repair_describe(enum cress_repair_kind kind, const struct cress_repair_finding *finding,
                           bool dry_run, struct cress_buf *out)
{
    if (finding->found == 0) {
        cress_buf_add_text(out, "nothing wrong");
        return;
    }
    cress_buf_printf(out, "%" PRId64 " %s", finding->found, kinds[kind].trouble);
    if (finding->fixed > 0) {
        cress_buf_printf(out, "; %" PRId64 " %s%s", finding->fixed, dry_run ? "would be " : "",
                         kinds[kind].cure);
    }
    if (finding->examples[0]) {
        cress_buf_printf(out, ": %s", finding->examples);
    }
    if (finding->why[0]) {
        cress_buf_printf(out, "; not repaired: %s", finding->why);
    }
}

static enum cress_priority priority_of(const struct cress_record *record)
{
    enum cress_priority priority = CRESS_PRIORITY_NORMAL;
    if (record->priority) {
        cress_priority_parse(record->priority, &priority);
    }
    return priority;
}

/* When it began to wait in its queue. */
static int64_t waiting_since(const struct cress_record *record)
{
    return record->run_at_ms > record->created_ms ? record->run_at_ms : record->created_ms;
}

void cress_repair_learn(struct cress_repair_queue *queue, const struct cress_record *record)
{
    const int64_t since_ms = waiting_since(record);
    int64_t *youngest = &queue->started_ms[priority_of(record)];
    /* one that waits for its next attempt has been started too, but says when that is due */
    if (record->started_ms >= since_ms && since_ms > *youngest) {
        *youngest = since_ms;
    }
}

static bool is_gone(const struct cress_record *record, struct cress_repair_queue *queue)
{
    if (queue->messages == 0 ||
        waiting_since(record) + GRACE_MS < queue->started_ms[priority_of(record)]) {
        return true;
    }
    queue->unresolved++;
    return false;
}

bool cress_repair_is_overdue(const struct cress_record *record, int64_t now_ms)
{
    return !record ||
           (cress_state_is_terminal(record->state) && record->finished_ms + GRACE_MS < now_ms);
}

enum cress_repair_kind cress_repair_judge(const struct cress_record *record,
                                          struct cress_repair_queue *queue, bool worker_is_alive,
                                          bool delays_are_empty, int64_t now_ms)
{
    const bool is_due = record->run_at_ms <= now_ms;
    switch (record->state) {
    case CRESS_STATE_RUNNING:
        return !worker_is_alive && record->started_ms + GRACE_MS < now_ms ? CRESS_REPAIR_RUNNING
                                                                          : CRESS_REPAIR_NONE;
    case CRESS_STATE_QUEUED:
    case CRESS_STATE_SCHEDULED:
    case CRESS_STATE_RETRYING:
        break;
    default:
        return CRESS_REPAIR_NONE;
    }
    if (!is_due) {
        return delays_are_empty && record->run_at_ms > now_ms + GRACE_MS ? CRESS_REPAIR_DELAYED
                                                                         : CRESS_REPAIR_NONE;
    }
    if (record->blocked && !delays_are_empty) {
        return CRESS_REPAIR_NONE; /* a limit forbids it to start: its message comes and goes */
    }
    if (!queue || queue->messages < 0 || waiting_since(record) + GRACE_MS >= now_ms ||
        !is_gone(record, queue)) {
        return CRESS_REPAIR_NONE;
    }
    return record->state == CRESS_STATE_QUEUED ? CRESS_REPAIR_QUEUED : CRESS_REPAIR_DUE;
}
