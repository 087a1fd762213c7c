// SPDX-License-Identifier: Apache-2.0
// A walk through dead letters: each that lies in the queues when it begins is visited once, and then
// removed or left.
//
// DESIGN
// AMQP cannot look into a queue: letters are consumed, and those that are left go back to their
// place when the connection is closed. A letter that is left is freed at once and no more than
// a window of them is in hand, so a queue of any length takes constant memory, but for some bytes
// for each letter that stays unsettled. The walk ends after as many letters as there were at its
// beginning: what is buried meanwhile, or was sent to the end of its queue, is not visited.
//
// RabbitMQ counts how often it has delivered a message, and from 4.0 on drops one at its 21st delivery
// unless the queue has a limit of its own. Ours have; for those that earlier versions made, the user is
// told in time. A look never publishes: a copy and the removal of its original cannot be one step, so
// letters would multiply or be lost by being looked at.
//
// Two walks at once would see a part each of what is there. So a walk begins by claiming a name that
// all agree on, which RabbitMQ frees with its connection; it waits for another one, not for ever.
//
// When the connection is lost everything unsettled comes again; the walk then ends with an error.
#ifndef CRESS_CLI_DEAD_WALK_H
#define CRESS_CLI_DEAD_WALK_H

#include "common/base/list.h"
#include "common/broker/letter.h"
#include "producer/cli/cli.h"

struct cress_dead_walk;

/* A letter in hand, until cress_dead_done(). */
struct cress_dead_item {
    struct cress_list node; /* the visitor's own */
    struct cress_dead_walk *walk;
    struct cress_delivery *delivery;
    struct cress_letter letter;
    void *owner; /* the visitor's own */
};

struct cress_dead_visitor {
    void (*on_letter)(struct cress_dead_item *item, void *arg);
    void (*on_tick)(void *arg); /* now and then; NULL: nothing to do */
    /* All have been dealt with and what was removed is settled; or why not. */
    void (*on_end)(const struct cress_error *err, void *arg);
    void *arg;
};

/* Begins a walk through the dead letters of `queue`, or of all queues that are known (NULL). The
 * verb needs CRESS_NEEDS_CONSUMER and CRESS_NEEDS_STORE; the ticker of `cli` is taken. */
struct cress_dead_walk *cress_dead_walk_start(struct cress_cli *cli, const char *queue,
                                              const struct cress_dead_visitor *visitor);

/* The visitor is done with the letter: it is removed, or left in its queue. */
void cress_dead_done(struct cress_dead_item *item, bool removed);

/* Visits no more; on_end comes when those in hand are done. `why` is copied; NULL: all is well. */
void cress_dead_walk_stop(struct cress_dead_walk *walk, const struct cress_error *why);

void cress_dead_walk_free(struct cress_dead_walk *walk);

/* Whether a letter that was looked at `looks` times is in danger on this server. Pure. */
bool cress_dead_looks_endanger(const char *server, int64_t looks);

#endif
