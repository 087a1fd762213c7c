// SPDX-License-Identifier: Apache-2.0
// Messages to and from rabbitmq-c's structs; see codec.h.
#include "common/broker/codec.h"

#include "common/base/text.h"
#include "common/broker/topology.h"

#include <string.h>

bool cress_bytes_equal(amqp_bytes_t bytes, const char *text)
{
    return strlen(text) == bytes.len && memcmp(text, bytes.bytes, bytes.len) == 0;
}

/* --- out --- */

static bool is_written_by_broker(const char *name)
{
    return cress_text_starts_with(name, "x-death") ||
           cress_text_starts_with(name, "x-first-death-") ||
           cress_text_starts_with(name, "x-last-death-") || strcmp(name, "x-delivery-count") == 0;
}

static bool encode_header(const struct cress_header *header, amqp_table_entry_t *entry)
{
    entry->key = amqp_cstring_bytes(header->name);
    switch (header->kind) {
    case CRESS_HEADER_TEXT:
        entry->value.kind = AMQP_FIELD_KIND_UTF8;
        entry->value.value.bytes = amqp_cstring_bytes(header->text);
        return true;
    case CRESS_HEADER_INT:
        entry->value.kind = AMQP_FIELD_KIND_I64;
        entry->value.value.i64 = header->number;
        return true;
    case CRESS_HEADER_BOOL:
        entry->value.kind = AMQP_FIELD_KIND_BOOLEAN;
        entry->value.value.boolean = header->number != 0;
        return true;
    case CRESS_HEADER_OTHER:
        break;
    }
    return false;
}

static void set_text(amqp_basic_properties_t *properties, amqp_flags_t flag, amqp_bytes_t *to,
                     const char *text)
{
    if (text) {
        properties->_flags |= flag;
        *to = amqp_cstring_bytes(text);
    }
}

void cress_codec_properties(const struct cress_message *message, const char *due_queue,
                            amqp_table_entry_t *entries, amqp_basic_properties_t *properties)
{
    amqp_basic_properties_t *p = properties;
    p->_flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    p->delivery_mode = message->transient ? AMQP_DELIVERY_NONPERSISTENT : AMQP_DELIVERY_PERSISTENT;
    set_text(p, AMQP_BASIC_CONTENT_TYPE_FLAG, &p->content_type, message->content_type);
    set_text(p, AMQP_BASIC_CORRELATION_ID_FLAG, &p->correlation_id, message->correlation_id);
    set_text(p, AMQP_BASIC_REPLY_TO_FLAG, &p->reply_to, message->reply_to);
    set_text(p, AMQP_BASIC_MESSAGE_ID_FLAG, &p->message_id, message->message_id);
    set_text(p, AMQP_BASIC_TYPE_FLAG, &p->type, message->type);
    set_text(p, AMQP_BASIC_APP_ID_FLAG, &p->app_id, message->app_id);
    if (message->timestamp_s) {
        p->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        p->timestamp = (uint64_t)message->timestamp_s;
    }
    p->headers = (amqp_table_t){.entries = entries};
    for (size_t i = 0; i < message->header_count; i++) {
        const struct cress_header *header = &message->headers[i];
        if (!is_written_by_broker(header->name) &&
            encode_header(header, &entries[p->headers.num_entries])) {
            p->headers.num_entries++;
        }
    }
    if (due_queue) {
        const struct cress_header header = {.name = CRESS_HEADER_DUE_QUEUE, .text = due_queue};
        encode_header(&header, &entries[p->headers.num_entries++]);
    }
    if (p->headers.num_entries) {
        p->_flags |= AMQP_BASIC_HEADERS_FLAG;
    }
}

/* --- in --- */

static bool integer_of(const amqp_field_value_t *value, int64_t *number)
{
    switch (value->kind) {
    case AMQP_FIELD_KIND_I8:
        *number = value->value.i8;
        return true;
    case AMQP_FIELD_KIND_U8:
        *number = value->value.u8;
        return true;
    case AMQP_FIELD_KIND_I16:
        *number = value->value.i16;
        return true;
    case AMQP_FIELD_KIND_U16:
        *number = value->value.u16;
        return true;
    case AMQP_FIELD_KIND_I32:
        *number = value->value.i32;
        return true;
    case AMQP_FIELD_KIND_U32:
        *number = value->value.u32;
        return true;
    case AMQP_FIELD_KIND_I64:
        *number = value->value.i64;
        return true;
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        *number = (int64_t)value->value.u64;
        return true;
    default:
        return false;
    }
}

static bool is_text(const amqp_field_value_t *value)
{
    return value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES;
}

static const char *copy_bytes(char **at, amqp_bytes_t bytes)
{
    char *copy = *at;
    if (bytes.len) {
        memcpy(copy, bytes.bytes, bytes.len);
    }
    copy[bytes.len] = '\0';
    *at += bytes.len + 1;
    return copy;
}

static void decode_header(const amqp_table_entry_t *entry, char **at, struct cress_header *header)
{
    header->name = copy_bytes(at, entry->key);
    if (is_text(&entry->value)) {
        header->kind = CRESS_HEADER_TEXT;
        header->text = copy_bytes(at, entry->value.value.bytes);
    } else if (entry->value.kind == AMQP_FIELD_KIND_BOOLEAN) {
        header->kind = CRESS_HEADER_BOOL;
        header->number = entry->value.value.boolean;
    } else if (integer_of(&entry->value, &header->number)) {
        header->kind = CRESS_HEADER_INT;
    } else {
        header->kind = CRESS_HEADER_OTHER;
    }
}

static amqp_table_t headers_of(const amqp_basic_properties_t *properties)
{
    return properties->_flags & AMQP_BASIC_HEADERS_FLAG ? properties->headers : amqp_empty_table;
}

/* The texts of a delivery and where they go in its message. The two tables are walked twice: to
 * measure, to copy. */
enum { TEXT_COUNT = 8 };
static void list_texts(const amqp_basic_deliver_t *deliver,
                       const amqp_basic_properties_t *properties, struct cress_message *message,
                       const amqp_bytes_t *from[TEXT_COUNT], const char **to[TEXT_COUNT])
{
    const struct {
        amqp_flags_t flag;
        const amqp_bytes_t *from;
        const char **to;
    } texts[TEXT_COUNT] = {
        {0, &deliver->exchange, &message->exchange},
        {0, &deliver->routing_key, &message->routing_key},
        {AMQP_BASIC_TYPE_FLAG, &properties->type, &message->type},
        {AMQP_BASIC_MESSAGE_ID_FLAG, &properties->message_id, &message->message_id},
        {AMQP_BASIC_CONTENT_TYPE_FLAG, &properties->content_type, &message->content_type},
        {AMQP_BASIC_CORRELATION_ID_FLAG, &properties->correlation_id, &message->correlation_id},
        {AMQP_BASIC_REPLY_TO_FLAG, &properties->reply_to, &message->reply_to},
        {AMQP_BASIC_APP_ID_FLAG, &properties->app_id, &message->app_id},
    };
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const bool present = (properties->_flags & texts[i].flag) == texts[i].flag;
        from[i] = present ? texts[i].from : NULL;
        to[i] = texts[i].to;
    }
}

static void decode_scalars(const amqp_basic_properties_t *properties, struct cress_message *message)
{
    if (properties->_flags & AMQP_BASIC_TIMESTAMP_FLAG) {
        message->timestamp_s = (int64_t)properties->timestamp;
    }
    message->transient = !(properties->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG) ||
                         properties->delivery_mode != AMQP_DELIVERY_PERSISTENT;
}

/* The block: struct cress_incoming | headers | texts | body. The headers come first because they
 * need alignment. */
struct cress_incoming *cress_codec_incoming(const amqp_basic_deliver_t *deliver,
                                            const amqp_basic_properties_t *properties,
                                            size_t body_size, char **body)
{
    struct cress_message message = {.body_size = body_size};
    const amqp_bytes_t *from[TEXT_COUNT];
    const char **to[TEXT_COUNT];
    list_texts(deliver, properties, &message, from, to);
    const amqp_table_t table = headers_of(properties);
    const size_t header_count = (size_t)table.num_entries;

    size_t size =
        sizeof(struct cress_incoming) + header_count * sizeof(struct cress_header) + body_size;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        size += from[i] ? from[i]->len + 1 : 0;
    }
    for (size_t i = 0; i < header_count; i++) {
        const amqp_field_value_t *value = &table.entries[i].value;
        size += table.entries[i].key.len + 1 + (is_text(value) ? value->value.bytes.len + 1 : 0);
    }

    struct cress_incoming *incoming = cress_alloc(size);
    struct cress_header *headers = (struct cress_header *)(incoming + 1);
    char *at = (char *)(headers + header_count);
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        *to[i] = from[i] ? copy_bytes(&at, *from[i]) : NULL;
    }
    for (size_t i = 0; i < header_count; i++) {
        decode_header(&table.entries[i], &at, &headers[i]);
    }
    decode_scalars(properties, &message);
    message.headers = header_count ? headers : NULL;
    message.header_count = header_count;
    message.body = body_size ? at : NULL;
    *body = at;
    incoming->message = message;

    const struct cress_header *count = cress_message_header(&message, "x-delivery-count");
    incoming->delivery = (struct cress_delivery){
        .message = &incoming->message,
        .redelivered = deliver->redelivered,
        .delivery_count = count && count->kind == CRESS_HEADER_INT ? count->number : 0,
        .tag = deliver->delivery_tag,
    };
    cress_list_init(&incoming->delivery.node);
    return incoming;
}
