// SPDX-License-Identifier: Apache-2.0
// A publishing channel; see outlet.h.
#include "common/broker/outlet.h"

#include "common/broker/codec.h"

#include <string.h>

enum { RETURNED_BODY_MAX = 1 << 30 };

char cress_outlet_probe;

void cress_outlet_init(struct cress_outlet *outlet, amqp_channel_t number)
{
    outlet->number = number;
    outlet->returning.body = cress_buf_make(RETURNED_BODY_MAX);
    cress_window_reset(&outlet->window);
}

void cress_outlet_free(struct cress_outlet *outlet)
{
    cress_window_free(&outlet->window);
    cress_buf_free(&outlet->returning.body);
}

void cress_outlet_open(struct cress_outlet *outlet, struct cress_connection *connection)
{
    amqp_channel_open_t open = {0};
    amqp_confirm_select_t confirms = {.nowait = 1};
    cress_connection_send(connection, outlet->number, AMQP_CHANNEL_OPEN_METHOD, &open);
    cress_connection_send(connection, outlet->number, AMQP_CONFIRM_SELECT_METHOD, &confirms);
    cress_window_reset(&outlet->window);
    outlet->return_cursor = 1;
    outlet->returning.method = NULL;
    outlet->state = CRESS_OUTLET_OPEN;
}

void cress_outlet_leave(struct cress_outlet *outlet, struct cress_connection *connection)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};
    cress_connection_send(connection, outlet->number, AMQP_CHANNEL_CLOSE_METHOD, &close);
    cress_window_reset(&outlet->window);
    outlet->returning.method = NULL;
    outlet->owner = NULL;
    outlet->state = CRESS_OUTLET_LEAVING;
}

bool cress_outlet_is_idle(const struct cress_outlet *outlet)
{
    return outlet->window.low == outlet->window.next;
}

size_t cress_outlet_take(struct cress_outlet *outlet, const void *route, bool leave_probes,
                         struct cress_list *to)
{
    struct cress_window *window = &outlet->window;
    size_t count = 0;
    for (uint64_t tag = window->low; tag < window->next; tag++) {
        void **slot = cress_window_at(window, tag);
        struct cress_operation *operation = *slot;
        if (!operation || *slot == &cress_outlet_probe || (route && operation->route != route)) {
            continue;
        }
        *slot = leave_probes ? &cress_outlet_probe : NULL;
        operation->returned = false;
        cress_list_append(to, &operation->mail.node);
        count++;
    }
    cress_window_trim(window);
    return count;
}

const char *cress_operation_address(const struct cress_operation *operation)
{
    return operation->delay_ms ? operation->delay_queue : operation->message->routing_key;
}

/* --- returns --- */

static bool is_same_text(amqp_bytes_t bytes, bool present, const char *text)
{
    return present ? text && cress_bytes_equal(bytes, text) : !text;
}

static bool is_returned(const struct cress_returning *returning,
                        const struct cress_operation *operation)
{
    const struct cress_message *message = operation->message;
    const amqp_basic_return_t *method = returning->method;
    const amqp_basic_properties_t *properties = returning->properties;
    if (!cress_bytes_equal(method->routing_key, cress_operation_address(operation)) ||
        !cress_bytes_equal(method->exchange, message->exchange) ||
        !is_same_text(properties->message_id, properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG,
                      message->message_id)) {
        return false;
    }
    return message->message_id ||
           (message->body_size == returning->body.size &&
            memcmp(message->body ? message->body : "", cress_buf_text(&returning->body),
                   message->body_size) == 0);
}

static void mark_returned(struct cress_outlet *outlet)
{
    struct cress_window *window = &outlet->window;
    for (uint64_t tag = outlet->return_cursor; tag < window->next; tag++) {
        void **slot = cress_window_at(window, tag);
        struct cress_operation *operation = slot && *slot != &cress_outlet_probe ? *slot : NULL;
        if (operation && is_returned(&outlet->returning, operation)) {
            operation->returned = true;
            outlet->return_cursor = tag + 1;
            break;
        }
    }
    outlet->returning.method = NULL;
    cress_buf_free(&outlet->returning.body);
}

void cress_outlet_returned(struct cress_outlet *outlet, const amqp_basic_return_t *method)
{
    outlet->returning.method = method;
    cress_buf_clear(&outlet->returning.body);
}

/* A header, then body frames. */
void cress_outlet_content(struct cress_outlet *outlet, const amqp_frame_t *frame)
{
    struct cress_returning *returning = &outlet->returning;
    if (!returning->method) {
        return;
    }
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        returning->properties = frame->payload.properties.decoded;
        returning->body_size = frame->payload.properties.body_size;
    } else {
        const amqp_bytes_t part = frame->payload.body_fragment;
        cress_buf_add(&returning->body, part.bytes, part.len);
    }
    if (returning->body.size >= returning->body_size) {
        mark_returned(outlet);
    }
}
