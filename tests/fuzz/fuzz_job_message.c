// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a message of a foreign client, read as a job and as a dead letter. An input is lines that make up a
// message, then the body:
//
//   t TYPE   i MESSAGE_ID   c CONTENT_TYPE   b CORRELATION_ID   r REPLY_TO   d DEFAULT_TASK   s
//   TIMESTAMP T NAME=TEXT   N NAME=NUMBER   B NAME=NUMBER   O NAME=     headers: text, integer,
//   bool, another kind (an empty line) BODY
#include "tests/fuzz/fuzz.h"

#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/broker/letter.h"
#include "common/job/fingerprint.h"

#include <string.h>

enum { HEADERS_MAX = 16 };

struct input {
    struct cress_message message;
    struct cress_header headers[HEADERS_MAX];
    const char *default_task;
};

static void add_header(struct input *input, char kind, char *text)
{
    char *value = strchr(text, '=');
    if (!value || input->message.header_count == HEADERS_MAX) {
        return;
    }
    *value++ = '\0';
    struct cress_header *header = &input->headers[input->message.header_count++];
    *header = (struct cress_header){.name = text, .kind = CRESS_HEADER_OTHER};
    if (kind == 'T') {
        header->kind = CRESS_HEADER_TEXT;
        header->text = value;
    } else if (kind != 'O' && cress_text_to_int(value, &header->number)) {
        header->kind = kind == 'N' ? CRESS_HEADER_INT : CRESS_HEADER_BOOL;
    }
}

static void take_line(struct input *input, char *line)
{
    char *value = line[0] != '\0' && line[1] == ' ' ? line + 2 : NULL;
    if (!value) {
        return;
    }
    switch (line[0]) {
    case 't':
        input->message.type = value;
        break;
    case 'i':
        input->message.message_id = value;
        break;
    case 'c':
        input->message.content_type = value;
        break;
    case 'b':
        input->message.correlation_id = value;
        break;
    case 'r':
        input->message.reply_to = value;
        break;
    case 'd':
        input->default_task = value;
        break;
    case 's':
        (void)cress_text_to_int(value, &input->message.timestamp_s);
        break;
    case 'T':
    case 'N':
    case 'B':
    case 'O':
        add_header(input, line[0], value);
        break;
    default:
        break;
    }
}

static void check_round_trip(const struct cress_job *job)
{
    struct cress_header headers[CRESS_JOB_HEADER_MAX];
    struct cress_message message;
    struct cress_job back;
    cress_job_to_message(job, headers, &message);
    MUST_HOLD(cress_job_from_message(&message, job->queue, job->priority, NULL, &back, NULL) ==
              CRESS_OK);
    MUST_HOLD(strcmp(back.task, job->task) == 0 && !back.id == !job->id);
    MUST_HOLD(back.attempt == job->attempt && back.max_attempts == job->max_attempts);
    MUST_HOLD(back.timeout_ms == job->timeout_ms && back.created_ms == job->created_ms);
    MUST_HOLD(back.not_before_ms == job->not_before_ms && back.expires_ms == job->expires_ms);
    MUST_HOLD(!back.backoff == !job->backoff && back.backoff_cap_ms == job->backoff_cap_ms);
    MUST_HOLD(!back.traceparent == !job->traceparent && back.payload == job->payload);
}

/* Anything is a letter, and a revived one says nothing of its past. */
static void check_letter(const struct cress_message *message)
{
    struct cress_header headers[CRESS_LETTER_HEADER_MAX];
    char routing_key[CRESS_ROUTE_NAME_MAX], mask[CRESS_MASK_MAX];
    struct cress_letter letter;
    struct cress_message copy;
    cress_letter_read(message, "q", &letter);
    MUST_HOLD(letter.attempt >= 1 && letter.died_ms >= 0 && cress_id_is_valid(letter.id));
    cress_error_mask(letter.text, mask);
    MUST_HOLD(strlen(mask) < CRESS_MASK_MAX && cress_text_is_utf8(mask, strlen(mask)));
    cress_letter_revive(&letter, 0, headers, routing_key, &copy);
    MUST_HOLD(!cress_message_header(&copy, CRESS_LETTER_CODE));
    MUST_HOLD(cress_message_header(&copy, "attempt")->number == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = cress_strndup((const char *)data, size);
    struct input input = {.message = {.exchange = "", .routing_key = "q"}};
    char *at = text;
    char *end;
    while ((end = memchr(at, '\n', size - (size_t)(at - text))) && end > at) {
        *end = '\0';
        take_line(&input, at);
        at = end + 1;
    }
    input.message.headers = input.headers;
    if (end) {
        input.message.body = at + 1;
        input.message.body_size = size - (size_t)(at + 1 - text);
    }

    struct cress_message *message = cress_message_clone(&input.message);
    struct cress_job job;
    struct cress_error err = {0};
    if (cress_job_from_message(message, "q", CRESS_PRIORITY_LOW, input.default_task, &job, &err) ==
        CRESS_OK) {
        check_round_trip(&job);
    } else {
        MUST_HOLD(err.status == CRESS_MALFORMED && err.message[0] != '\0');
    }
    check_letter(message);
    free(message);
    free(text);
    return 0;
}
