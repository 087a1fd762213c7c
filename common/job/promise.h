// SPDX-License-Identifier: Apache-2.0
// The promise: what the record of a job and its messages share, and nobody else knows.
//
// Anybody may publish a message with the id of somebody else's job. It must neither run that job
// before its time, nor with another payload, nor end it. So whoever submits a job makes a promise,
// 16 random hexadecimal digits, which goes into the record and, as the header `promise`, into the
// message; every copy of the message - a retry, a hop to a shorter delay, a dead letter that is sent
// again, one that is made from the record - has it too. The store lets no other message speak for
// the job. A record that was made from a message without a promise has none, and takes any message
// of its id; so does one of an earlier version. Any thread.
#ifndef CRESS_JOB_PROMISE_H
#define CRESS_JOB_PROMISE_H

#include "common/job/message.h"

#define CRESS_HEADER_PROMISE "promise"

enum { CRESS_PROMISE_SIZE = 17 };

/* Returns `promise`. */
const char *cress_promise_new(char promise[CRESS_PROMISE_SIZE]);

/* The promise of a message, of whatever else it consists; NULL when it has none, or something that
 * is none. */
const char *cress_promise_of(const struct cress_message *message);

/* Gives `clone`, which came from cress_message_clone(), another promise, unless it has none. */
void cress_promise_replace(struct cress_message *clone, const char *promise);

#endif
