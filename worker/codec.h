// SPDX-License-Identifier: Apache-2.0
// How a message becomes a job, and a job a message again: a small table of functions for each
// protocol that publishers may speak. There is one today, our own (docs/wire.md).
//
// The codec that recognised a message stays with the attempt: its next attempt and its reply leave
// in the protocol that it came in. To add one: a table of these functions, and its line in codec.c
// before our own, which takes whatever nobody else does. Pure; any thread.
#ifndef CRESS_WORKER_CODEC_H
#define CRESS_WORKER_CODEC_H

#include "common/job/job.h"
#include "common/job/state.h"

/* The end of a job, for whoever waits for it. */
struct cress_reply {
    const struct cress_job *job;
    const struct cress_message *original; /* what the job came as */
    enum cress_state state;
    const char *body; /* the result or the error: JSON */
    size_t body_size;
};

struct cress_codec {
    const char *name; /* for people */

    /* Whether the message speaks this protocol; looks at properties and headers only. */
    bool (*recognise)(const struct cress_message *message);

    /* As cress_job_from_message(). */
    enum cress_status (*read)(const struct cress_message *message, const char *queue,
                              enum cress_priority priority, const char *default_task,
                              struct cress_job *job, struct cress_error *err);

    /* As cress_job_to_message(): the next attempt, or the same one on its way through a delay. Needs
     * CRESS_JOB_HEADER_MAX headers at most. */
    void (*write)(const struct cress_job *job, struct cress_header *headers,
                  struct cress_message *message);

    /* The message to the queue that the job names in reply_to. Likewise. */
    void (*reply)(const struct cress_reply *reply, struct cress_header *headers,
                  struct cress_message *message);
};

/* The codec of `message`; never NULL. */
const struct cress_codec *cress_codec_of(const struct cress_message *message);

#endif
