// SPDX-License-Identifier: Apache-2.0
// An AMQP 0-9-1 message without the AMQP library: what the codec writes and reads and what the
// broker room carries.
//
// A struct cress_message is a view that owns nothing, unless it came from cress_message_clone().
// Any thread.
#ifndef CRESS_JOB_MESSAGE_H
#define CRESS_JOB_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cress_header_kind {
    CRESS_HEADER_TEXT,
    CRESS_HEADER_INT,
    CRESS_HEADER_BOOL,
    CRESS_HEADER_OTHER /* a table, an array, …: known to be there, not carried */
};

struct cress_header {
    const char *name;
    enum cress_header_kind kind;
    const char *text; /* CRESS_HEADER_TEXT: NUL-terminated */
    int64_t number;   /* CRESS_HEADER_INT, CRESS_HEADER_BOOL */
};

/* Texts are NULL when the property is absent. */
struct cress_message {
    const char *exchange; /* "" is the default exchange */
    const char *routing_key;
    const char *type;
    const char *message_id;
    const char *content_type;
    const char *correlation_id;
    const char *reply_to;
    const char *app_id;
    int64_t due_ms;      /* to be published: not to arrive before, by the wall clock: it goes by the
                            delay queue that fits at the moment of sending. 0: at once */
    int64_t timestamp_s; /* seconds since 1970; 0: absent */
    bool transient;      /* delivery mode 1; everything that Cress publishes is persistent */
    const struct cress_header *headers;
    size_t header_count;
    const void *body;
    size_t body_size;
};

/* A deep copy in one block of memory; free() it. */
struct cress_message *cress_message_clone(const struct cress_message *message);

/* The header `name`, or NULL. */
const struct cress_header *cress_message_header(const struct cress_message *message,
                                                const char *name);

#endif
