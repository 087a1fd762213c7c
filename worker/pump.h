// SPDX-License-Identifier: Apache-2.0
// Work that is put off to the end of the loop's turn, and done once however often it was asked for.
//
// Whoever changes what the worker has in hand - an answer of the store, a confirm, a handler that
// ends, a timer - only says so. What follows from it is looked at when all of them have spoken:
// nothing that is being taken down starts something else, and a batch of answers is followed by a
// batch of starts.
#ifndef CRESS_WORKER_PUMP_H
#define CRESS_WORKER_PUMP_H

#include <stdbool.h>
#include <uv.h>

struct cress_pump {
    /* `check` runs right after the answers of a turn have been taken; `idle`, active only while a
     * turn is wanted, runs it for what timers asked for, and keeps the loop from sleeping. */
    uv_idle_t idle;
    uv_check_t check;
    bool wanted;
    void (*turn)(void *arg);
    void *arg;
    void (*closed)(void *arg);
};

/* Embedded in its owner, who lives until it is closed. It keeps no loop alive unless a turn is
 * wanted. */
void cress_pump_init(uv_loop_t *loop, struct cress_pump *pump, void (*turn)(void *arg), void *arg);

/* `turn` is called before the loop sleeps, never from within. */
void cress_pump_want(struct cress_pump *pump);

/* No turn follows. `closed` gets the argument of cress_pump_init(). */
void cress_pump_close(struct cress_pump *pump, void (*closed)(void *arg));

#endif
