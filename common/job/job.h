// SPDX-License-Identifier: Apache-2.0
// The job: what is to be done, for whom, until when. And its two forms outside: a JSON request
// (HTTP, --jsonl) and a plain AMQP message that any client can publish.
//
// A struct cress_job is a view: its texts belong to whatever it was read from (a message, a JSON
// document) and live as long as that. Pure functions; any thread.
#ifndef CRESS_JOB_JOB_H
#define CRESS_JOB_JOB_H

#include "common/base/status.h"
#include "common/job/message.h"
#include "common/job/record.h"

#include <stdint.h>

enum cress_priority {
    CRESS_PRIORITY_HIGH,
    CRESS_PRIORITY_NORMAL,
    CRESS_PRIORITY_LOW,
    CRESS_PRIORITY_COUNT
};

enum { CRESS_TASK_NAME_MAX = 128, CRESS_QUEUE_NAME_MAX = 200, CRESS_JOB_ATTEMPTS_MAX = 1000 };
enum { CRESS_JOB_UNIQUE_MAX = 256 }; /* bytes of a unique key or an idempotency key */

#define CRESS_JOB_TIMEOUT_MAX_MS INT64_C(31536000000) /* a year */
#define CRESS_JOB_BACKOFF_MAX_MS CRESS_JOB_TIMEOUT_MAX_MS
#define CRESS_JOB_DELAY_MAX_MS   INT64_C(3153600000000)   /* 100 years */
#define CRESS_JOB_TIME_MAX_MS    INT64_C(253402300799999) /* the end of the year 9999 */

struct cress_record;

struct cress_job {
    const char *id;    /* see common/base/id.h */
    const char *task;  /* 1 to CRESS_TASK_NAME_MAX of A-Z a-z 0-9 . _ - */
    const char *queue; /* 1 to CRESS_QUEUE_NAME_MAX of A-Z a-z 0-9 . _ - ; the base name, without
                          .high or .low */
    enum cress_priority priority;

    const char *payload; /* JSON text, any value; not NUL-terminated. NULL: there was none that may
                            be kept */
    size_t payload_size;

    int attempt;         /* counts from 1 */
    int max_attempts;    /* 0: the configuration's default */
    int64_t timeout_ms;  /* of one attempt; 0: the configuration's default */
    const char *backoff; /* a word of common/base/backoff.h; NULL: the configuration's default */
    int64_t backoff_base_ms, backoff_cap_ms; /* 0: the configuration's default */

    int64_t created_ms;    /* wall clock; 0 unknown */
    int64_t not_before_ms; /* wall clock; 0: at once */
    int64_t expires_ms;    /* wall clock; 0: never */

    const char *key; /* whom it is for, such as a tenant: what limits tell apart; looks like an id;
                        NULL: nobody */
    const char *unique;    /* while a job has this unique key, no other is made with it: 1 to
                           CRESS_JOB_UNIQUE_MAX bytes; NULL: none */
    int64_t unique_for_ms; /* how long the unique key is taken, from created_ms on; 0: until the job
                              has ended */

    /* The HTTP header Idempotency-Key of the request that made it, and a digest of that request.
     * Not part of the message. NULL: none. */
    const char *idempotency_key, *fingerprint;

    const char *after; /* the jobs that it waits for, see after.h; NULL: none. In a message: those
                          whose results the handler is given */
    bool after_any;    /* runs even if some of those did not succeed */

    const char *batch;          /* id of the batch it belongs to; NULL: none */
    const char *reply_to;       /* queue that wants the result too; NULL: none */
    const char *correlation_id; /* what the reply shall carry; NULL: the batch, or the id */
    const char *traceparent;    /* W3C trace context; NULL: none */
    const char *promise;        /* see promise.h; NULL: none */
};

/* Reads the JSON text of a request {"task", "payload", "queue", "priority", "id", "delay_ms",
 * "run_at", "max_attempts", "backoff", "backoff_base_ms", "backoff_cap_ms", "timeout_ms",
 * "expires_ms", "key", "unique", "unique_for_ms", "after", "after_any"} into `job`. The payload is
 * borrowed from `text`, byte for byte; all other texts are allocated into `*texts` (free()).
 * `run_at` is RFC 3339, the past means at once; `priority` is high, normal or low; `delay_ms` and
 * `expires_ms` (not begun by then: expired) count from `now_ms`. Only `task` is required: a missing
 * payload is null, a missing queue `default`, a missing id stays NULL. A member that is null counts
 * as missing.
 * What is not JSON is CRESS_MALFORMED "bad_json". An unknown member, one that comes twice, a wrong
 * type, a reserved task name that is not built in: CRESS_INVALID naming the member. Checks all that
 * cress_job_check() does but the payload's size. */
CRESS_MUST_CHECK enum cress_status cress_job_from_request(const char *text, size_t size,
                                                          int64_t now_ms, struct cress_job *job,
                                                          char **texts, struct cress_error *err);

/* Checks names, ids (NULL is good), limits and payload size: what every producer must obey.
 * CRESS_INVALID or CRESS_TOO_LARGE. */
CRESS_MUST_CHECK enum cress_status
cress_job_check(const struct cress_job *job, int64_t max_payload_bytes, struct cress_error *err);

/* Measures the payload of a job that anybody may have published, and checks that it is one JSON
 * value; the white space around that is cut off. To be called before anything of the job is stored.
 * CRESS_TOO_LARGE "payload_too_large", CRESS_MALFORMED "payload_not_json". */
CRESS_MUST_CHECK enum cress_status
cress_job_check_payload(struct cress_job *job, int64_t max_payload_bytes, struct cress_error *err);

/* Whether `text` may be a unique key or an idempotency key: 1 to CRESS_JOB_UNIQUE_MAX bytes, no
 * control characters. */
bool cress_unique_is_valid(const char *text);

/* Whether jobs can be sent to a queue of this name: CRESS_INVALID says why not. */
CRESS_MUST_CHECK enum cress_status cress_queue_name_check(const char *queue,
                                                          struct cress_error *err);

/* The AMQP message of `job`, addressed to its queue through the default exchange; priorities
 * have other queues, which cress_route_queue_name() knows. `headers` (CRESS_JOB_HEADER_MAX of
 * them) is the room for the message's headers; the message borrows from it and from `job`. */
enum { CRESS_JOB_HEADER_MAX = 16 };
void cress_job_to_message(const struct cress_job *job,
                          struct cress_header headers[CRESS_JOB_HEADER_MAX],
                          struct cress_message *message);

/* The job in `message`, which was consumed from `queue` (a base name) with priority `priority`. The
 * job borrows from the message; whoever published it need not know Cress: only `type` and a JSON
 * body are needed, and `default_task` (may be NULL) stands in for a missing type. A missing
 * message_id leaves `id` NULL. CRESS_MALFORMED with a reason when it cannot be a job. Broker
 * headers such as x-death are not looked at. The body is cress_job_check_payload()'s. */
CRESS_MUST_CHECK enum cress_status
cress_job_from_message(const struct cress_message *message, const char *queue,
                       enum cress_priority priority, const char *default_task,
                       struct cress_job *job, struct cress_error *err);

/* The job that `record` is of, attempt 1, for its message to be made from the record alone. Borrows
 * from the record. */
void cress_job_from_record(const struct cress_record *record, struct cress_job *job);

/* A copy in one block of `*size` bytes; free() it. */
struct cress_job *cress_job_clone(const struct cress_job *job, size_t *size);

bool cress_priority_parse(const char *word, enum cress_priority *priority);
const char *cress_priority_word(enum cress_priority priority);

/* Names of the built-in tasks, ending with NULL. */
const char *const *cress_task_names(void);

/* Whether `task` begins like a built-in one but is none. */
bool cress_task_is_misspelt(const char *task);

/* Whether `task` may be a task's name at all. */
bool cress_task_is_valid(const char *task);

#endif
