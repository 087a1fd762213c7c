// SPDX-License-Identifier: Apache-2.0
// Declares what topology.h names, on first use, and asks the broker about queues. Private to
// common/broker.
//
// Whoever publishes first asks whether a queue exists, and declares it only when it does not: so the
// permission to write does where others have declared, and RabbitMQ's own arguments (a policy's, an
// older version's) are nobody's business. Whoever consumes a work queue declares it, and hears when
// it exists with other arguments; without the permission it takes what there is.
//
// All of it happens on a channel of its own, because the broker answers "no" by closing the
// channel. The calls wait for the broker's reply; when the connection breaks meanwhile, they fail
// with its error, so callers look at `broken` first. Owned by a connection's thread.
#ifndef CRESS_BROKER_DECLARE_H
#define CRESS_BROKER_DECLARE_H

#include "common/base/list.h"
#include "common/broker/broker.h"
#include "common/broker/connection.h"
#include "common/broker/topology.h"

/* The channel that declares; channels of other uses count from CRESS_CHANNEL_FIRST. */
enum { CRESS_CHANNEL_DECLARE = 1, CRESS_CHANNEL_FIRST = 2 };

enum { CRESS_DECLARER_KNOWN_MAX = 64 };

struct cress_declarer {
    struct cress_connection *connection;
    bool channel_is_open;
    struct cress_list families;                    /* the work queues that may be declared */
    struct cress_family *last;                     /* the one found last */
    int delay_steps;                               /* broker.delay_steps */
    unsigned char delays[CRESS_DELAY_COUNT_MAX];   /* the generation that is there, 0: none; by
                                                    cress_delay_index() */
    unsigned char replaced[CRESS_DELAY_COUNT_MAX]; /* the generation that is used no more */
    bool has_canary;
    bool has_due;                          /* likewise: what they lead to */
    char *known[CRESS_DECLARER_KNOWN_MAX]; /* queues of others that were seen to exist */
    size_t known_count;
};

void cress_declarer_init(struct cress_declarer *declarer);
void cress_declarer_free(struct cress_declarer *declarer);

/* A new connection. What was declared on an earlier one is durable and counts as declared: asking a
 * cluster that elects leaders at this moment can take half a minute. What is gone all the same is
 * noticed when it is used. */
void cress_declarer_attach(struct cress_declarer *declarer, struct cress_connection *connection);

/* From now on publishing may declare the work queue `queue`. */
void cress_declarer_allow(struct cress_declarer *declarer, const char *queue);

/* Declares work queue `queue`, whether publishing may or not, unless that was done before.
 * CRESS_CONFLICT "queue_mismatch", CRESS_DENIED, … */
CRESS_MUST_CHECK enum cress_status cress_declarer_work_queue(struct cress_declarer *declarer,
                                                             const char *queue,
                                                             struct cress_error *err);

/* Declares what a message for the queue `queue` needs that is to wait for `delay_ms` (0: not at
 * all), as far as it may. As above, and CRESS_NOT_FOUND "unroutable" when a delayed message's queue
 * neither exists nor may be declared. */
CRESS_MUST_CHECK enum cress_status cress_declarer_route(struct cress_declarer *declarer,
                                                        const char *queue, int64_t delay_ms,
                                                        struct cress_error *err);

/* The route turned out to be gone. True when the next cress_declarer_route() will declare it again.
 */
bool cress_declarer_forget(struct cress_declarer *declarer, const char *queue, int64_t delay_ms);

/* Declares a delay queue, the newest generation of it. */
CRESS_MUST_CHECK enum cress_status cress_declarer_delay(struct cress_declarer *declarer,
                                                        int64_t delay_ms, struct cress_error *err);

/* The name of a delay queue that was declared. */
void cress_declarer_delay_name(const struct cress_declarer *declarer, int64_t delay_ms,
                               char name[CRESS_DELAY_NAME_MAX]);

/* From now on the next generation of the delay queue is used. */
void cress_declarer_replace_delay(struct cress_declarer *declarer, int64_t delay_ms);

/* Declares cress.due, and where it leads. */
CRESS_MUST_CHECK enum cress_status cress_declarer_due(struct cress_declarer *declarer,
                                                      struct cress_error *err);

/* It may be gone: the next cress_declarer_due() declares it again. */
void cress_declarer_forget_due(struct cress_declarer *declarer);

/* Work queue `queue` may be gone: the next cress_declarer_work_queue() declares it again. */
void cress_declarer_forget_work_queue(struct cress_declarer *declarer, const char *queue);

/* Whether the queue may never answer (see made.h), and says that it has neither messages nor
 * consumers: it can be deleted and made again. It asks the broker. */
bool cress_declarer_is_stillborn(struct cress_declarer *declarer, const char *name);

/* Deletes a stillborn queue by way of `channel`, which is open. That is not waited for: it takes
 * RabbitMQ five seconds. */
void cress_declarer_discard(struct cress_declarer *declarer, amqp_channel_t channel,
                            const char *name);

/* Declares a plain quorum queue unless `name` exists in any form. */
CRESS_MUST_CHECK enum cress_status cress_declarer_ensure(struct cress_declarer *declarer,
                                                         const char *name, struct cress_error *err);

/* Makes `name` an exclusive queue of this connection, which goes with it. CRESS_CONFLICT
 * "resource_locked": another connection has it. */
CRESS_MUST_CHECK enum cress_status cress_declarer_claim(struct cress_declarer *declarer,
                                                        const char *name, struct cress_error *err);

/* Whether the user may consume the AMQP queue `name`; nothing is consumed. CRESS_DENIED,
 * CRESS_NOT_FOUND. */
CRESS_MUST_CHECK enum cress_status
cress_declarer_readable(struct cress_declarer *declarer, const char *name, struct cress_error *err);

/* Fills in what is known about the queue stats->name. */
CRESS_MUST_CHECK enum cress_status cress_declarer_inspect(struct cress_declarer *declarer,
                                                          struct cress_queue_stats *stats,
                                                          struct cress_error *err);

#endif
