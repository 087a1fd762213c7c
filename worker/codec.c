// SPDX-License-Identifier: Apache-2.0
// The protocols that publishers may speak; see codec.h.
#include "worker/codec.h"

#include "common/base/status.h"

/* Ours asks for so little that any message may be meant so: what is missing is said by read(). */
static bool recognise_any(const struct cress_message *message)
{
    (void)message;
    return true;
}

/* The correlation_id is the caller's own, as in RabbitMQ's tutorial six; else the job's id, which is
 * also the message_id. */
static void write_reply(const struct cress_reply *reply, struct cress_header *headers,
                        struct cress_message *message)
{
    const struct cress_job *job = reply->job;
    headers[0] = (struct cress_header){.name = "state", .text = cress_state_word(reply->state)};
    *message = (struct cress_message){
        .exchange = "",
        .routing_key = job->reply_to,
        .type = job->task,
        .message_id = job->id,
        .content_type = "application/json",
        .correlation_id =
            reply->original->correlation_id ? reply->original->correlation_id : job->id,
        .headers = headers,
        .header_count = 1,
        .body = reply->body,
        .body_size = reply->body_size,
    };
}

static const struct cress_codec codecs[] = {
    {
        .name = "cress",
        .recognise = recognise_any,
        .read = cress_job_from_message,
        .write = cress_job_to_message,
        .reply = write_reply,
    },
};

const struct cress_codec *cress_codec_of(const struct cress_message *message)
{
    size_t i = 0;
    while (!codecs[i].recognise(message)) {
        i++; /* the last takes all */
    }
    return &codecs[i];
}
