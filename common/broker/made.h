// SPDX-License-Identifier: Apache-2.0
// The queues that this process has made, until it is sure that they will last. Private to
// common/broker.
//
// RabbitMQ, when it is killed while it makes a queue or within seconds of that, can leave one that is
// there and never answers: its member has no log, for which nobody calls an election, or has not even
// a process. What was in it by then is gone. A queue that has answered, and whose broker ran on for
// CRESS_MADE_YOUNG_MS, comes back by itself whenever its nodes run.
//
// So a queue that this process has made, and that has not answered on the connections of now, may be
// made again; one of unknown age may not: a majority of nodes that is down looks the same, and keeps
// what was confirmed.
//
// Shared by all connections of the process, because one makes what another consumes; safe on any
// thread.
#ifndef CRESS_BROKER_MADE_H
#define CRESS_BROKER_MADE_H

#include <stdbool.h>

enum { CRESS_MADE_YOUNG_MS = 10000 };

/* About to make it: the broker may be killed before it answers. */
void cress_made_note(const char *queue);

/* It was not made after all, or is not ours. */
void cress_made_forget(const char *queue);

/* It has answered a consumer or confirmed a message. */
void cress_made_answered(const char *queue);

/* A connection has ended: what is young has to answer again. */
void cress_made_doubt(void);

/* Whether it may never answer. */
bool cress_made_is_doubtful(const char *queue);

#endif
