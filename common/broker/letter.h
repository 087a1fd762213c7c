// SPDX-License-Identifier: Apache-2.0
// A dead letter: a message in `<queue>.dead`, and how it becomes a job again.
//
//   error_code, error_message   headers: why; a worker writes them
//   error_ms                    header: when, wall clock
//   error_queue                 header: the AMQP queue that it came from: q, q.high or q.low
//   x-first-death-reason, …     what RabbitMQ itself writes when it gives a message up
//
// A letter need not be a job, nor ours: whatever could not be read is in the queue as well. Pure
// functions; any thread.
#ifndef CRESS_BROKER_LETTER_H
#define CRESS_BROKER_LETTER_H

#include "common/broker/topology.h"

#define CRESS_LETTER_CODE    "error_code"
#define CRESS_LETTER_MESSAGE "error_message"
#define CRESS_LETTER_TIME    "error_ms"
#define CRESS_LETTER_QUEUE   "error_queue"

enum { CRESS_LETTER_ID_SIZE = 32, CRESS_LETTER_HEADER_MAX = 64 };

/* A view of a message. Texts are NULL and times 0 when unknown. */
struct cress_letter {
    const struct cress_message *message;
    const char *queue; /* base name of the work queue */
    const char *id;    /* message_id, or made of the content; never NULL. Not always a job's id */
    bool is_job_id;    /* it may be the id of a record */
    const char *task;
    const char *code, *text; /* of the error; never NULL */
    int attempt;             /* the last one; at least 1 */
    int64_t died_ms, created_ms;
    enum cress_priority priority;
    char id_room[CRESS_LETTER_ID_SIZE];
};

/* Reads `message`, which lies in the dead letters of `queue`. Both must outlive the letter, which
 * must not move. */
void cress_letter_read(const struct cress_message *message, const char *queue,
                       struct cress_letter *letter);

/* Which letters are meant; NULL, 0: any. */
struct cress_letter_filter {
    const char *task, *code;
    const char *fingerprint; /* see fingerprint.h */
    int64_t before_ms;       /* died before; a letter that does not know when is not meant */
    int64_t after_ms;        /* died at or after; likewise */
    const char *const *ids;  /* `id_count` of them: one of these */
    size_t id_count;
};

bool cress_letter_matches(const struct cress_letter *letter,
                          const struct cress_letter_filter *filter);

/* The letter as a message that begins anew in its own queue and priority, at attempt 1: without the
 * error, without what workers noted for themselves, and without an expiry that has passed. The
 * message borrows from the letter, `headers` and `routing_key`. */
void cress_letter_revive(const struct cress_letter *letter, int64_t now_ms,
                         struct cress_header headers[CRESS_LETTER_HEADER_MAX],
                         char routing_key[CRESS_ROUTE_NAME_MAX], struct cress_message *message);

#endif
