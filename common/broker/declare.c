// SPDX-License-Identifier: Apache-2.0
// Queues and exchanges declared; see declare.h. The arguments are part of the contract: RabbitMQ
// refuses a declaration with others, so changing one means a new queue name.
#include "common/broker/declare.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/broker/failure.h"
#include "common/broker/made.h"
#include "common/broker/topology.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_DEAD = CRESS_PRIORITY_COUNT,
    NAME_COUNT,
    GENERATIONS_MAX = 9,
    /* A refused declaration is not repeated for each message. */
    REFUSAL_MS = 1000,
};

struct cress_family {
    struct cress_list node;
    char *queue;
    char names[NAME_COUNT][CRESS_ROUTE_NAME_MAX]; /* by priority, then the dead letters */
    bool is_allowed;                              /* publishing may declare it */
    bool is_declared;
    int64_t refused_until_ms;
    struct cress_error refusal;
};

void cress_declarer_init(struct cress_declarer *declarer)
{
    *declarer = (struct cress_declarer){0};
    cress_list_init(&declarer->families);
}

static void forget_known(struct cress_declarer *declarer)
{
    while (declarer->known_count) {
        free(declarer->known[--declarer->known_count]);
    }
}

void cress_declarer_free(struct cress_declarer *declarer)
{
    for (struct cress_list *node; (node = cress_list_shift(&declarer->families)) != NULL;) {
        struct cress_family *family = CRESS_CONTAINER(node, struct cress_family, node);
        free(family->queue);
        free(family);
    }
    forget_known(declarer);
}

void cress_declarer_attach(struct cress_declarer *declarer, struct cress_connection *connection)
{
    declarer->connection = connection;
    declarer->channel_is_open = false;
    if (!connection) {
        cress_made_doubt();
    }
    forget_known(declarer);
    for (struct cress_list *n = declarer->families.next; n != &declarer->families; n = n->next) {
        CRESS_CONTAINER(n, struct cress_family, node)->refused_until_ms = 0;
    }
}

/* --- families --- */

static struct cress_family *family_of_queue(struct cress_declarer *declarer, const char *queue)
{
    for (struct cress_list *n = declarer->families.next; n != &declarer->families; n = n->next) {
        struct cress_family *family = CRESS_CONTAINER(n, struct cress_family, node);
        if (strcmp(family->queue, queue) == 0) {
            return family;
        }
    }
    struct cress_family *family = CRESS_NEW(struct cress_family);
    family->queue = cress_strdup(queue);
    for (int i = 0; i < CRESS_PRIORITY_COUNT; i++) {
        cress_route_queue_name(queue, (enum cress_priority)i, family->names[i]);
    }
    cress_route_dead_name(queue, family->names[NAME_DEAD]);
    cress_list_append(&declarer->families, &family->node);
    return family;
}

static bool has_name(const struct cress_family *family, const char *name)
{
    for (int i = 0; i < NAME_COUNT; i++) {
        if (strcmp(family->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The allowed family that the AMQP queue `name` belongs to, or NULL. */
static struct cress_family *family_of_name(struct cress_declarer *declarer, const char *name)
{
    if (declarer->last && has_name(declarer->last, name)) {
        return declarer->last;
    }
    for (struct cress_list *n = declarer->families.next; n != &declarer->families; n = n->next) {
        struct cress_family *family = CRESS_CONTAINER(n, struct cress_family, node);
        if (family->is_allowed && has_name(family, name)) {
            declarer->last = family;
            return family;
        }
    }
    return NULL;
}

void cress_declarer_allow(struct cress_declarer *declarer, const char *queue)
{
    family_of_queue(declarer, queue)->is_allowed = true;
}

/* --- calls --- */

static enum cress_status call(struct cress_declarer *declarer, amqp_method_number_t id,
                              void *request, amqp_method_number_t reply_id, void **reply,
                              struct cress_error *err)
{
    if (!declarer->channel_is_open) {
        const enum cress_status status =
            cress_connection_open_channel(declarer->connection, CRESS_CHANNEL_DECLARE, err);
        if (status) {
            return status;
        }
        declarer->channel_is_open = true;
    }
    cress_connection_release(declarer->connection, CRESS_CHANNEL_DECLARE);
    const enum cress_status status = cress_connection_call(
        declarer->connection, CRESS_CHANNEL_DECLARE, id, request, reply_id, reply, err);
    if (status) {
        declarer->channel_is_open = false;
    }
    return status;
}

static enum cress_status declare_queue(struct cress_declarer *declarer, const char *name,
                                       amqp_table_t arguments, struct cress_error *err)
{
    amqp_queue_declare_t request = {
        .queue = amqp_cstring_bytes(name), .durable = 1, .arguments = arguments};
    const enum cress_status status = call(declarer, AMQP_QUEUE_DECLARE_METHOD, &request,
                                          AMQP_QUEUE_DECLARE_OK_METHOD, NULL, err);
    if (status) {
        cress_failure_name_permission("configure", err);
    }
    return status;
}

/* `reply` may be NULL. CRESS_NOT_FOUND: no such queue. */
static enum cress_status look_up(struct cress_declarer *declarer, const char *name,
                                 amqp_queue_declare_ok_t **reply, struct cress_error *err)
{
    amqp_queue_declare_t request = {.queue = amqp_cstring_bytes(name), .passive = 1};
    void *decoded = NULL;
    const enum cress_status status = call(declarer, AMQP_QUEUE_DECLARE_METHOD, &request,
                                          AMQP_QUEUE_DECLARE_OK_METHOD, &decoded, err);
    if (!status && reply) {
        *reply = decoded;
    }
    return status;
}

/* --- making --- */

bool cress_declarer_is_stillborn(struct cress_declarer *declarer, const char *name)
{
    amqp_queue_declare_ok_t *reply = NULL;
    struct cress_error err;
    return cress_made_is_doubtful(name) && look_up(declarer, name, &reply, &err) == CRESS_OK &&
           reply->message_count == 0 && reply->consumer_count == 0;
}

void cress_declarer_discard(struct cress_declarer *declarer, amqp_channel_t channel,
                            const char *name)
{
    amqp_queue_delete_t request = {.queue = amqp_cstring_bytes(name), .nowait = 1};
    cress_log(CRESS_LOG_WARN, "queue was interrupted in its making and is made again",
              CRESS_KV("queue", name));
    cress_connection_send(declarer->connection, channel, AMQP_QUEUE_DELETE_METHOD, &request);
}

static enum cress_status make_queue(struct cress_declarer *declarer, const char *name,
                                    amqp_table_t arguments, struct cress_error *err)
{
    cress_made_note(name);
    const enum cress_status status = declare_queue(declarer, name, arguments, err);
    if (status && !declarer->connection->broken) {
        cress_made_forget(name);
    }
    return status;
}

/* --- arguments --- */

static amqp_table_entry_t text_argument(const char *key, const char *text)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value.kind = AMQP_FIELD_KIND_UTF8,
                                .value.value.bytes = amqp_cstring_bytes(text)};
}

static amqp_table_entry_t number_argument(const char *key, int64_t number)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value.kind = AMQP_FIELD_KIND_I64,
                                .value.value.i64 = number};
}

static amqp_table_entry_t quorum(void)
{
    return text_argument("x-queue-type", "quorum");
}

/* Dead letters reach `queue` at least once; RabbitMQ wants reject-publish with it. */
#define AT_LEAST_ONCE(queue)                                      \
    text_argument("x-dead-letter-exchange", ""),                  \
        text_argument("x-dead-letter-routing-key", queue),        \
        text_argument("x-dead-letter-strategy", "at-least-once"), \
        text_argument("x-overflow", "reject-publish")

/* Unless there is one of that name, whatever its arguments are. */
static enum cress_status declare_missing(struct cress_declarer *declarer, const char *name,
                                         amqp_table_t arguments, struct cress_error *err)
{
    const enum cress_status status = look_up(declarer, name, NULL, err);
    if (status != CRESS_NOT_FOUND || declarer->connection->broken) {
        return status;
    }
    return make_queue(declarer, name, arguments, err);
}

/* Its messages may be looked at again and again. */
static enum cress_status declare_lasting(struct cress_declarer *declarer, const char *name,
                                         struct cress_error *err)
{
    amqp_table_entry_t arguments[] = {
        quorum(), number_argument("x-delivery-limit", CRESS_DEAD_DELIVERY_LIMIT)};
    const amqp_table_t table = {.num_entries = CRESS_COUNT(arguments), .entries = arguments};
    return declare_missing(declarer, name, table, err);
}

static enum cress_status declare_work(struct cress_declarer *declarer, const char *name,
                                      const char *dead, bool checks_arguments,
                                      struct cress_error *err)
{
    amqp_table_entry_t arguments[] = {
        quorum(),
        number_argument("x-delivery-limit", CRESS_DELIVERY_LIMIT),
        AT_LEAST_ONCE(dead),
    };
    const amqp_table_t table = {.num_entries = CRESS_COUNT(arguments), .entries = arguments};
    if (!checks_arguments) {
        return declare_missing(declarer, name, table, err);
    }
    enum cress_status status = look_up(declarer, name, NULL, err);
    if (declarer->connection->broken) {
        return status;
    }
    if (status == CRESS_NOT_FOUND) {
        return make_queue(declarer, name, table, err);
    }
    status = declare_queue(declarer, name, table, err);
    return status == CRESS_DENIED ? CRESS_OK
                                  : status; /* it is there, and has arguments of its own */
}

/* Leaders sit where the declarer is connected unless told otherwise: those of all delays together. */
#define BALANCED text_argument("x-queue-leader-locator", "balanced")

enum cress_status cress_declarer_due(struct cress_declarer *declarer, struct cress_error *err)
{
    if (declarer->has_due) {
        return CRESS_OK;
    }
    enum cress_status status = declare_lasting(declarer, CRESS_UNDELIVERABLE, err);
    amqp_table_entry_t arguments[] = {
        quorum(),
        number_argument("x-delivery-limit", CRESS_DEAD_DELIVERY_LIMIT),
        AT_LEAST_ONCE(CRESS_UNDELIVERABLE),
        BALANCED,
    };
    const amqp_table_t table = {.num_entries = CRESS_COUNT(arguments), .entries = arguments};
    if (!status) {
        status = declare_missing(declarer, CRESS_DUE_QUEUE, table, err);
    }
    declarer->has_due = !status;
    return status;
}

/* The newest generation that is there: others may have replaced one that hangs. */
static enum cress_status newest_generation(struct cress_declarer *declarer, int64_t delay_ms,
                                           unsigned *generation, struct cress_error *err)
{
    enum cress_status status = CRESS_OK;
    while (!status && *generation < GENERATIONS_MAX) {
        char name[CRESS_DELAY_NAME_MAX];
        cress_delay_queue_name(delay_ms, *generation + 1, name);
        status = look_up(declarer, name, NULL, err);
        *generation += !status;
    }
    return declarer->connection->broken || status != CRESS_NOT_FOUND ? status : CRESS_OK;
}

enum cress_status cress_declarer_delay(struct cress_declarer *declarer, int64_t delay_ms,
                                       struct cress_error *err)
{
    const unsigned index = cress_delay_index(declarer->delay_steps, delay_ms);
    unsigned generation = declarer->replaced[index] + 1U;
    char name[CRESS_DELAY_NAME_MAX];
    enum cress_status status = cress_declarer_due(declarer, err);
    if (!status) {
        status = newest_generation(declarer, delay_ms, &generation, err);
    }
    cress_delay_queue_name(delay_ms, generation, name);
    amqp_table_entry_t arguments[] = {
        quorum(),
        number_argument("x-message-ttl", delay_ms),
        number_argument("x-delivery-limit", CRESS_DEAD_DELIVERY_LIMIT),
        AT_LEAST_ONCE(CRESS_DUE_QUEUE),
        BALANCED,
    };
    const amqp_table_t table = {.num_entries = CRESS_COUNT(arguments), .entries = arguments};
    if (!status) {
        status = look_up(declarer, name, NULL, err);
    }
    if (status == CRESS_NOT_FOUND && !declarer->connection->broken) {
        status = make_queue(declarer, name, table, err);
    }
    declarer->delays[index] = (unsigned char)(status ? 0 : generation);
    return status;
}

void cress_declarer_delay_name(const struct cress_declarer *declarer, int64_t delay_ms,
                               char name[CRESS_DELAY_NAME_MAX])
{
    const unsigned index = cress_delay_index(declarer->delay_steps, delay_ms);
    cress_delay_queue_name(delay_ms, declarer->delays[index], name);
}

void cress_declarer_replace_delay(struct cress_declarer *declarer, int64_t delay_ms)
{
    const unsigned index = cress_delay_index(declarer->delay_steps, delay_ms);
    if (declarer->delays[index] && declarer->delays[index] < GENERATIONS_MAX) {
        declarer->replaced[index] = declarer->delays[index];
        declarer->delays[index] = 0;
    }
}

/* It keeps the last message, and no more. */
static enum cress_status declare_canary(struct cress_declarer *declarer, struct cress_error *err)
{
    amqp_table_entry_t arguments[] = {quorum(), number_argument("x-max-length", 1)};
    const amqp_table_t table = {.num_entries = CRESS_COUNT(arguments), .entries = arguments};
    enum cress_status status = CRESS_OK;
    if (!declarer->has_canary) {
        status = declare_missing(declarer, CRESS_CANARY_QUEUE, table, err);
    }
    declarer->has_canary = !status;
    return status;
}

static enum cress_status explain_mismatch(const char *name, const char *queue,
                                          struct cress_error *err)
{
    if (err->status != CRESS_CONFLICT) {
        return err->status;
    }
    const struct cress_error cause = *err;
    return cress_error_set(err, CRESS_CONFLICT, "queue_mismatch",
                           "queue %s exists with other arguments: delete it, or set declare = "
                           "passive in section [queue %s] (%s)",
                           name, queue, cause.message);
}

static enum cress_status declare_family(struct cress_declarer *declarer,
                                        struct cress_family *family, bool checks_arguments,
                                        struct cress_error *err)
{
    if (family->is_declared) {
        return CRESS_OK;
    }
    if (cress_clock_mono_ms() < family->refused_until_ms) {
        *err = family->refusal;
        return err->status;
    }
    const char *dead = family->names[NAME_DEAD];
    const char *name = dead;
    enum cress_status status = declare_lasting(declarer, dead, err);
    for (int i = 0; i < CRESS_PRIORITY_COUNT && !status; i++) {
        name = family->names[i];
        status = declare_work(declarer, name, dead, checks_arguments, err);
    }
    if (status && !declarer->connection->broken) {
        status = explain_mismatch(name, family->queue, err);
        family->refusal = *err;
        family->refused_until_ms = cress_clock_mono_ms() + REFUSAL_MS;
    }
    family->is_declared = !status;
    return status;
}

/* --- the interface --- */

enum cress_status cress_declarer_work_queue(struct cress_declarer *declarer, const char *queue,
                                            struct cress_error *err)
{
    return declare_family(declarer, family_of_queue(declarer, queue), true, err);
}

/* A queue of someone else, which a delayed message will need. */
static enum cress_status check_exists(struct cress_declarer *declarer, const char *name,
                                      struct cress_error *err)
{
    for (size_t i = 0; i < declarer->known_count; i++) {
        if (strcmp(declarer->known[i], name) == 0) {
            return CRESS_OK;
        }
    }
    const enum cress_status status = look_up(declarer, name, NULL, err);
    if (status == CRESS_NOT_FOUND) {
        return cress_error_set(err, CRESS_NOT_FOUND, "unroutable", "there is no queue %s", name);
    }
    if (!status && declarer->known_count < CRESS_DECLARER_KNOWN_MAX) {
        declarer->known[declarer->known_count++] = cress_strdup(name);
    }
    return status;
}

enum cress_status cress_declarer_route(struct cress_declarer *declarer, const char *queue,
                                       int64_t delay_ms, struct cress_error *err)
{
    struct cress_family *family = family_of_name(declarer, queue);
    enum cress_status status = CRESS_OK;
    if (family) {
        status = declare_family(declarer, family, false, err);
    } else if (strcmp(queue, CRESS_CANARY_QUEUE) == 0) {
        status = declare_canary(declarer, err);
    } else if (delay_ms) {
        status = check_exists(declarer, queue, err);
    }
    if (!status && delay_ms &&
        !declarer->delays[cress_delay_index(declarer->delay_steps, delay_ms)]) {
        status = cress_declarer_delay(declarer, delay_ms, err);
    }
    return status;
}

bool cress_declarer_forget(struct cress_declarer *declarer, const char *queue, int64_t delay_ms)
{
    if (delay_ms) {
        declarer->delays[cress_delay_index(declarer->delay_steps, delay_ms)] = 0;
        declarer->has_due = false;
    }
    struct cress_family *family = family_of_name(declarer, queue);
    if (family) {
        family->is_declared = false;
    }
    const bool is_canary = strcmp(queue, CRESS_CANARY_QUEUE) == 0;
    declarer->has_canary = declarer->has_canary && !is_canary;
    return delay_ms || family || is_canary;
}

void cress_declarer_forget_due(struct cress_declarer *declarer)
{
    declarer->has_due = false;
}

void cress_declarer_forget_work_queue(struct cress_declarer *declarer, const char *queue)
{
    family_of_queue(declarer, queue)->is_declared = false;
}

enum cress_status cress_declarer_ensure(struct cress_declarer *declarer, const char *name,
                                        struct cress_error *err)
{
    amqp_table_entry_t arguments[] = {quorum()};
    const amqp_table_t table = {.num_entries = CRESS_COUNT(arguments), .entries = arguments};
    return declare_missing(declarer, name, table, err);
}

enum cress_status cress_declarer_claim(struct cress_declarer *declarer, const char *name,
                                       struct cress_error *err)
{
    amqp_queue_declare_t request = {.queue = amqp_cstring_bytes(name), .exclusive = 1};
    return call(declarer, AMQP_QUEUE_DECLARE_METHOD, &request, AMQP_QUEUE_DECLARE_OK_METHOD, NULL,
                err);
}

/* RabbitMQ looks at the permission first and at the arguments of the consumer last: one whose
 * priority is no number is never made, and its refusal says whether another would be. */
enum cress_status cress_declarer_readable(struct cress_declarer *declarer, const char *name,
                                          struct cress_error *err)
{
    amqp_table_entry_t arguments[] = {text_argument("x-priority", "none")};
    amqp_basic_consume_t request = {
        .queue = amqp_cstring_bytes(name),
        .arguments = {.num_entries = CRESS_COUNT(arguments), .entries = arguments},
    };
    const enum cress_status status = call(declarer, AMQP_BASIC_CONSUME_METHOD, &request,
                                          AMQP_BASIC_CONSUME_OK_METHOD, NULL, err);
    return status == CRESS_CONFLICT ? CRESS_OK : status;
}

enum cress_status cress_declarer_inspect(struct cress_declarer *declarer,
                                         struct cress_queue_stats *stats, struct cress_error *err)
{
    amqp_queue_declare_ok_t *reply = NULL;
    const enum cress_status status = look_up(declarer, stats->name, &reply, err);
    if (status == CRESS_NOT_FOUND && !declarer->connection->broken) {
        stats->exists = false;
        return CRESS_OK;
    }
    if (!status) {
        stats->exists = true;
        stats->ready = reply->message_count;
        stats->consumers = reply->consumer_count;
    }
    return status;
}
