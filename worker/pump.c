// SPDX-License-Identifier: Apache-2.0
// Work that is put off to the end of the loop's turn; see pump.h.
#include "worker/pump.h"

static void take_turn(struct cress_pump *pump)
{
    if (pump->wanted) {
        pump->wanted = false;
        uv_idle_stop(&pump->idle);
        pump->turn(pump->arg); /* may want the next one */
    }
}

static void pump_check_cb(uv_check_t *check)
{
    take_turn(check->data);
}

static void pump_idle_cb(uv_idle_t *idle)
{
    take_turn(idle->data);
}

void cress_pump_init(uv_loop_t *loop, struct cress_pump *pump, void (*turn)(void *arg), void *arg)
{
    *pump = (struct cress_pump){.turn = turn, .arg = arg};
    uv_idle_init(loop, &pump->idle);
    uv_check_init(loop, &pump->check);
    pump->idle.data = pump->check.data = pump;
    uv_check_start(&pump->check, pump_check_cb);
    uv_unref((uv_handle_t *)&pump->check);
}

void cress_pump_want(struct cress_pump *pump)
{
    if (!pump->wanted) {
        pump->wanted = true;
        uv_idle_start(&pump->idle, pump_idle_cb);
    }
}

static void pump_closed_cb(uv_handle_t *handle)
{
    struct cress_pump *pump = handle->data;
    pump->closed(pump->arg);
}

void cress_pump_close(struct cress_pump *pump, void (*closed)(void *arg))
{
    pump->closed = closed;
    pump->wanted = false;
    uv_close((uv_handle_t *)&pump->idle, NULL);
    /* closed after it, so that this one's callback ends both */
    uv_close((uv_handle_t *)&pump->check, pump_closed_cb);
}
