// SPDX-License-Identifier: Apache-2.0
// The messages that a worker sends on; see outgoing.h.
#include "worker/outgoing.h"

#include "common/base/text.h"
#include "common/broker/letter.h"

#include <string.h>

/* About the message that was consumed. The broker's would be misread by it when they come back. */
static bool is_of_the_message(const char *name)
{
    return strcmp(name, CRESS_HEADER_REDELIVERED) == 0 || strcmp(name, CRESS_HEADER_LEASE) == 0 ||
           strcmp(name, CRESS_HEADER_DUE_FROM) == 0 || strcmp(name, CRESS_HEADER_DUE_QUEUE) == 0 ||
           strcmp(name, CRESS_HEADER_NO_TASK_MS) == 0 || strcmp(name, CRESS_HEADER_GUARD) == 0 ||
           strcmp(name, "x-death") == 0 || strcmp(name, "x-delivery-count") == 0 ||
           strcmp(name, "x-acquired-count") == 0 ||
           cress_text_starts_with(name, "x-first-death-") ||
           cress_text_starts_with(name, "x-last-death-");
}

static bool has_header(const struct cress_outgoing *out, const char *name)
{
    return cress_message_header(&out->message, name) != NULL;
}

static void add_header(struct cress_outgoing *out, struct cress_header header)
{
    if (out->message.header_count < CRESS_OUTGOING_HEADER_MAX) {
        out->carried[out->message.header_count] = false;
        out->headers[out->message.header_count++] = header;
    }
}

static void add_guard(struct cress_outgoing *out, bool is_guard)
{
    if (is_guard) {
        add_header(out, (struct cress_header){
                            .name = CRESS_HEADER_GUARD, .kind = CRESS_HEADER_BOOL, .number = 1});
    }
}

bool cress_outgoing_is_guard(const struct cress_message *message)
{
    const struct cress_header *header = cress_message_header(message, CRESS_HEADER_GUARD);
    return header && header->number != 0;
}

static void add_delivered(struct cress_outgoing *out, bool was_delivered)
{
    if (was_delivered) {
        add_header(out, (struct cress_header){.name = CRESS_HEADER_REDELIVERED,
                                              .kind = CRESS_HEADER_BOOL,
                                              .number = 1});
    }
}

/* The original's headers, but for those that are set already. */
static void carry_headers(struct cress_outgoing *out, const struct cress_message *original)
{
    for (size_t i = 0; i < original->header_count; i++) {
        const struct cress_header *header = &original->headers[i];
        if (header->kind != CRESS_HEADER_OTHER && !is_of_the_message(header->name) &&
            !has_header(out, header->name) &&
            out->message.header_count < CRESS_OUTGOING_HEADER_MAX) {
            out->carried[out->message.header_count] = true;
            out->headers[out->message.header_count++] = *header;
        }
    }
}

/* All but the original's headers. */
static void begin_job(struct cress_outgoing *out, const struct cress_codec *codec,
                      const struct cress_job *job, const struct cress_message *original)
{
    codec->write(job, out->headers, &out->message);
    memset(out->carried, 0, sizeof out->carried);
    cress_route_queue_name(job->queue, job->priority, out->routing_key);
    out->message.routing_key = out->routing_key;
    out->message.app_id = original->app_id;
    out->message.correlation_id = original->correlation_id;
    out->message.headers = out->headers;
}

void cress_outgoing_job(struct cress_outgoing *out, const struct cress_codec *codec,
                        const struct cress_job *job, const struct cress_message *original)
{
    begin_job(out, codec, job, original);
    add_guard(out, cress_outgoing_is_guard(original));
    carry_headers(out, original);
}

void cress_outgoing_next(struct cress_outgoing *out, const struct cress_codec *codec,
                         const struct cress_job *job, const struct cress_message *original,
                         const char *worker)
{
    begin_job(out, codec, job, original);
    add_header(out, (struct cress_header){.name = CRESS_HEADER_FOLLOWS, .text = worker});
    carry_headers(out, original);
}

void cress_outgoing_later(struct cress_outgoing *out, const struct cress_codec *codec,
                          const struct cress_job *job, const struct cress_message *original,
                          const struct cress_later *later, int64_t now_ms)
{
    struct cress_job delayed = *job;
    delayed.not_before_ms = now_ms + later->wait_ms;
    begin_job(out, codec, &delayed, original);
    add_delivered(out, later->was_delivered);
    add_guard(out, later->is_guard || cress_outgoing_is_guard(original));
    carry_headers(out, original);
}

void cress_outgoing_guard(struct cress_outgoing *out, const struct cress_codec *codec,
                          const struct cress_job *job, const struct cress_message *original,
                          const char *lease)
{
    begin_job(out, codec, job, original);
    add_header(out, (struct cress_header){.name = CRESS_HEADER_LEASE, .text = lease});
    add_guard(out, cress_outgoing_is_guard(original));
    carry_headers(out, original);
}

/* The original, addressed to out->routing_key; without its headers. */
static void begin_copy(struct cress_outgoing *out, const struct cress_message *original)
{
    out->message = *original;
    out->message.exchange = "";
    out->message.routing_key = out->routing_key;
    out->message.transient = false;
    out->message.headers = out->headers;
    out->message.header_count = 0;
}

void cress_outgoing_again(struct cress_outgoing *out, const struct cress_message *original,
                          const char *queue, enum cress_priority priority, const char *lease)
{
    cress_route_queue_name(queue, priority, out->routing_key);
    begin_copy(out, original);
    add_delivered(out, true);
    add_guard(out, cress_outgoing_is_guard(original));
    if (lease) {
        add_header(out, (struct cress_header){.name = CRESS_HEADER_LEASE, .text = lease});
    }
    carry_headers(out, original);
}

void cress_outgoing_dead(struct cress_outgoing *out, const struct cress_message *original,
                         const char *queue, enum cress_priority priority,
                         const struct cress_error *reason, int64_t now_ms)
{
    cress_route_dead_name(queue, out->routing_key);
    cress_route_queue_name(queue, priority, out->origin);
    begin_copy(out, original);
    add_header(out, (struct cress_header){.name = CRESS_LETTER_CODE, .text = reason->code});
    add_header(out, (struct cress_header){.name = CRESS_LETTER_MESSAGE, .text = reason->message});
    add_header(out, (struct cress_header){
                        .name = CRESS_LETTER_TIME, .kind = CRESS_HEADER_INT, .number = now_ms});
    add_header(out, (struct cress_header){.name = CRESS_LETTER_QUEUE, .text = out->origin});
    carry_headers(out, original);
}

void cress_outgoing_cut(struct cress_outgoing *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->message.header_count; i++) {
        if (!out->carried[i]) {
            out->carried[kept] = false;
            out->headers[kept++] = out->headers[i];
        }
    }
    out->message.header_count = kept;
    out->message.correlation_id = NULL;
    out->message.app_id = NULL;
}

/* NULL when there is none. */
static const char *worker_in(const struct cress_message *message, const char *name)
{
    const struct cress_header *header = cress_message_header(message, name);
    return header && header->kind == CRESS_HEADER_TEXT && header->text[0] ? header->text : NULL;
}

const char *cress_lease_of(const struct cress_message *message)
{
    return worker_in(message, CRESS_HEADER_LEASE);
}

const char *cress_outgoing_follows(const struct cress_message *message)
{
    return worker_in(message, CRESS_HEADER_FOLLOWS);
}

int64_t cress_no_task_ms(const struct cress_message *message)
{
    const struct cress_header *header = cress_message_header(message, CRESS_HEADER_NO_TASK_MS);
    return header && header->kind == CRESS_HEADER_INT && header->number > 0 ? header->number : 0;
}

void cress_outgoing_add_int(struct cress_outgoing *out, const char *name, int64_t number)
{
    add_header(out,
               (struct cress_header){.name = name, .kind = CRESS_HEADER_INT, .number = number});
}

bool cress_is_copy_of_delivered(const struct cress_message *message)
{
    const struct cress_header *header = cress_message_header(message, CRESS_HEADER_REDELIVERED);
    return header && header->number != 0;
}
