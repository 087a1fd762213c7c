// SPDX-License-Identifier: Apache-2.0
// Why is this job not running? One answer, put together from record, workers and queue, for `cress
// explain` and GET /v1/jobs/{id}/explain.
#ifndef CRESS_PRODUCER_EXPLAIN_H
#define CRESS_PRODUCER_EXPLAIN_H

#include "common/broker/broker.h"
#include "common/store/store.h"
#include "common/submit/door.h"
#include "producer/explain_workers.h"

#include <jansson.h>

enum cress_reason {
#define CRESS_REASON(name, word, meaning) CRESS_REASON_##name,
#include "producer/explain_reasons.def"
#undef CRESS_REASON
    CRESS_REASON_COUNT
};

const char *cress_reason_word(enum cress_reason reason);

/* What is known, gathered at one time. */
struct cress_explain_facts {
    const struct cress_record *record;
    const json_t *workers;                  /* array of reports; NULL: not asked for */
    const struct cress_queue_stats *queues; /* by priority, then cress.due; NULL: not asked for */
    int64_t paused_ms;                      /* since when its queue is paused; 0: it is not */
    const json_t
        *awaited; /* WAITING: {"id", "state"} of the first jobs that it names; NULL: none */
    const json_t
        *line; /* where it stands that waits for a limit, see cress_store_line(); NULL: nowhere */
    int64_t now_ms;
};

enum { CRESS_EXPLANATION_MAX = 1024 };

struct cress_explanation {
    const struct cress_record *record;
    enum cress_reason reason;
    char text[CRESS_EXPLANATION_MAX]; /* a sentence for people */
    int64_t until_ms;                 /* when it is due; 0: not known */
    int64_t ahead;                    /* QUEUED, LIMITED: at most so many are before it; else -1 */
    struct cress_terms terms;         /* that apply to it */
};

/* Whether the queues must be asked for; if not, record and workers tell it all. */
bool cress_explain_needs_queues(const struct cress_record *record, int64_t now_ms);

/* Pure. The explanation borrows from the facts. */
void cress_explain_decide(const struct cress_explain_facts *facts,
                          struct cress_explanation *explanation);

/* {"id", "state", "reason", "message", "queue", "task", "worker", "since", "until", "ahead",
 * "max_attempts", "timeout_ms", "backoff", "backoff_base_ms", "backoff_cap_ms"}: what does not apply or
 * is not known is null. */
void cress_explain_write_json(const struct cress_explanation *explanation, struct cress_buf *out);

/* `explanation` lives during the callback; it is NULL when there is no such job or no answer. */
typedef void (*cress_explain_cb)(const struct cress_explanation *explanation,
                                 const struct cress_error *err, void *arg);

/* Gathers the facts about job `id` and explains. `done` is called once, never from within. */
void cress_explain(struct cress_door door, const char *id, cress_explain_cb done, void *arg);

#endif
