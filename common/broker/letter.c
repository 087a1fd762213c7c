// SPDX-License-Identifier: Apache-2.0
// Dead letters; see letter.h.
#include "common/broker/letter.h"

#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/job/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *text_header(const struct cress_message *message, const char *name)
{
    const struct cress_header *header = cress_message_header(message, name);
    return header && header->kind == CRESS_HEADER_TEXT && header->text[0] ? header->text : NULL;
}

static int64_t number_header(const struct cress_message *message, const char *name)
{
    const struct cress_header *header = cress_message_header(message, name);
    int64_t number = 0;
    if (header && header->kind == CRESS_HEADER_INT) {
        number = header->number;
    } else if (header && header->kind == CRESS_HEADER_TEXT) {
        cress_text_to_int(header->text, &number);
    }
    return number > 0 && number <= CRESS_JOB_TIME_MAX_MS ? number : 0;
}

/* --- reading --- */

/* The same message has the same id in each look, so that one can be named that came without. */
static const char *make_id(struct cress_letter *letter)
{
    const struct cress_message *message = letter->message;
    const char *type = message->type ? message->type : "";
    uint64_t hash = cress_hash(CRESS_HASH_BEGIN, type, strlen(type) + 1);
    hash = cress_hash(hash, message->body, message->body_size);
    snprintf(letter->id_room, sizeof letter->id_room, "letter-%016" PRIx64, hash);
    return letter->id_room;
}

static void read_id(struct cress_letter *letter)
{
    const char *id = letter->message->message_id;
    letter->is_job_id = id && cress_id_is_valid(id);
    letter->id = letter->is_job_id ? id : make_id(letter);
}

/* What a worker has written, else what RabbitMQ has. */
static void read_error(struct cress_letter *letter)
{
    const struct cress_message *message = letter->message;
    const char *code = text_header(message, CRESS_LETTER_CODE);
    const char *text = text_header(message, CRESS_LETTER_MESSAGE);
    if (!code) {
        code = text_header(message, "x-first-death-reason");
        text = text ? text : code ? "given up by RabbitMQ" : NULL;
    }
    letter->code = code ? code : "unknown";
    letter->text = text ? text : "";
}

/* The priority whose queue it came from; what names another queue tells nothing. */
static enum cress_priority read_priority(const struct cress_letter *letter)
{
    const char *origin = text_header(letter->message, CRESS_LETTER_QUEUE);
    if (!origin) {
        origin = text_header(letter->message, "x-first-death-queue");
    }
    for (int i = 0; origin && i < CRESS_PRIORITY_COUNT; i++) {
        char name[CRESS_ROUTE_NAME_MAX];
        cress_route_queue_name(letter->queue, (enum cress_priority)i, name);
        if (strcmp(origin, name) == 0) {
            return (enum cress_priority)i;
        }
    }
    return CRESS_PRIORITY_NORMAL;
}

void cress_letter_read(const struct cress_message *message, const char *queue,
                       struct cress_letter *letter)
{
    const int64_t attempt = number_header(message, "attempt");
    *letter = (struct cress_letter){
        .message = message,
        .queue = queue,
        .task = message->type && message->type[0] ? message->type : NULL,
        .attempt = attempt > 0 && attempt <= INT32_MAX ? (int)attempt : 1,
        .died_ms = number_header(message, CRESS_LETTER_TIME),
    };
    if (message->timestamp_s > 0 && message->timestamp_s <= CRESS_JOB_TIME_MAX_MS / 1000) {
        letter->created_ms = message->timestamp_s * 1000;
    }
    read_id(letter);
    read_error(letter);
    letter->priority = read_priority(letter);
}

/* --- choosing --- */

static bool is_one_of(const char *id, const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ids[i], id) == 0) {
            return true;
        }
    }
    return count == 0;
}

static bool has_fingerprint(const struct cress_letter *letter, const char *wanted)
{
    char fingerprint[CRESS_FINGERPRINT_TEXT_SIZE];
    cress_error_fingerprint(letter->task, letter->code, letter->text, fingerprint);
    return strcmp(fingerprint, wanted) == 0;
}

bool cress_letter_matches(const struct cress_letter *letter,
                          const struct cress_letter_filter *filter)
{
    if (filter->task && (!letter->task || strcmp(filter->task, letter->task) != 0)) {
        return false;
    }
    if (filter->code && strcmp(filter->code, letter->code) != 0) {
        return false;
    }
    if (filter->before_ms && (!letter->died_ms || letter->died_ms >= filter->before_ms)) {
        return false;
    }
    if (filter->after_ms && letter->died_ms < filter->after_ms) {
        return false;
    }
    return is_one_of(letter->id, filter->ids, filter->id_count) &&
           (!filter->fingerprint || has_fingerprint(letter, filter->fingerprint));
}

/* --- sending on --- */

/* What a worker or an earlier life has noted; the broker's own are left out by the broker room. */
static bool is_of_the_past(const struct cress_header *header, int64_t now_ms)
{
    static const char *const names[] = {
        CRESS_LETTER_CODE, CRESS_LETTER_MESSAGE, CRESS_LETTER_TIME, CRESS_LETTER_QUEUE,
        "attempt",         "not_before_ms",      "limited",         "lease",
        "follows",
    };
    for (size_t i = 0; i < CRESS_COUNT(names); i++) {
        if (strcmp(header->name, names[i]) == 0) {
            return true;
        }
    }
    return strcmp(header->name, "expires_ms") == 0 && header->kind == CRESS_HEADER_INT &&
           header->number <= now_ms;
}

static void address(const struct cress_letter *letter, const char *routing_key,
                    const struct cress_header *headers, struct cress_message *message)
{
    *message = *letter->message;
    message->exchange = "";
    message->routing_key = routing_key;
    message->transient = false;
    message->headers = headers;
    message->header_count = 0;
}

static void add(struct cress_header *headers, struct cress_message *message,
                struct cress_header header)
{
    if (message->header_count < CRESS_LETTER_HEADER_MAX) {
        headers[message->header_count++] = header;
    }
}

void cress_letter_revive(const struct cress_letter *letter, int64_t now_ms,
                         struct cress_header headers[CRESS_LETTER_HEADER_MAX],
                         char routing_key[CRESS_ROUTE_NAME_MAX], struct cress_message *message)
{
    const struct cress_message *original = letter->message;
    cress_route_queue_name(letter->queue, letter->priority, routing_key);
    address(letter, routing_key, headers, message);
    add(headers, message,
        (struct cress_header){.name = "attempt", .kind = CRESS_HEADER_INT, .number = 1});
    for (size_t i = 0; i < original->header_count; i++) {
        if (!is_of_the_past(&original->headers[i], now_ms)) {
            add(headers, message, original->headers[i]);
        }
    }
}
