// SPDX-License-Identifier: Apache-2.0
// Waiting for a record to change, and for what workers are told: subscriptions; see store.h.
//
// DESIGN
// One connection subscribes for all, made by the first watch. Watches of one job share a channel,
// found by its name in a tree; hiredis is given no pointer to it, for it may hand over a message
// after the channel has gone. A channel is subscribed to while it has a watch; on a new connection
// all are subscribed again and all watches begin again, so that each is woken.
#include "common/store/internal.h"

#include "common/base/mem.h"
#include "common/store/sentinel.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct channel {
    struct cress_store *store;
    char *key;
    struct cress_list watches; /* of struct cress_watch */
    bool waking;               /* wake_all() goes through it: do not free */
};

struct cress_watch {
    struct cress_list node;
    struct channel *channel;
    bool begun; /* was woken once on this connection */
    void (*wake)(void *arg);
    void (*heard)(const char *message, void *arg); /* in place of `wake`; NULL: none */
    void *arg;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct channel *)a)->key, ((const struct channel *)b)->key);
}

static struct channel *find(const struct cress_store *store, const char *key)
{
    const struct channel wanted = {.key = (char *)key};
    void *const *found = tfind(&wanted, &store->channels, compare);
    return found ? *found : NULL;
}

bool cress_watch_exists(const struct cress_store *store, const char *key)
{
    return find(store, key) != NULL;
}

static void free_if_unused(struct channel *channel)
{
    if (channel->waking || !cress_list_is_empty(&channel->watches)) {
        return;
    }
    cress_redis_unsubscribe(channel->store->subscriptions, channel->key);
    tdelete(channel, &channel->store->channels, compare);
    free(channel->key);
    free(channel);
}

static void tell(struct cress_watch *watch, const char *message)
{
    if (watch->heard) {
        watch->heard(message, watch->arg);
    } else {
        watch->wake(watch->arg);
    }
}

/* Tells the watches of `channel`; without a message those that have not begun. One that is told may
 * stop itself and any other. */
static void wake(struct channel *channel, const char *message)
{
    struct cress_list waiting;
    struct cress_list *node;

    channel->waking = true;
    cress_list_init(&waiting);
    cress_list_splice(&waiting, &channel->watches);
    while ((node = cress_list_shift(&waiting))) {
        struct cress_watch *watch = CRESS_CONTAINER(node, struct cress_watch, node);
        const bool due = message || !watch->begun;
        watch->begun = watch->begun || !message;
        cress_list_append(&channel->watches, node);
        if (due) {
            tell(watch, message);
        }
    }
    channel->waking = false;
    free_if_unused(channel);
}

void cress_watch_on_message(const redisReply *reply, void *arg)
{
    struct cress_store *store = arg;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || !reply->element[1]->str) {
        return;
    }
    struct channel *channel = find(store, reply->element[1]->str);
    const char *kind = reply->element[0]->str;
    if (channel && strcmp(kind, "message") == 0) {
        wake(channel, reply->element[2]->str);
    } else if (channel && strcmp(kind, "subscribe") == 0) {
        wake(channel, NULL);
    }
}

/* For twalk(), which passes no argument: hence channel->store. */
static void begin_again(const void *node, VISIT visit, int depth)
{
    const struct channel *channel = *(struct channel *const *)node;

    (void)depth;
    if (visit != postorder && visit != leaf) {
        return;
    }
    for (struct cress_list *at = channel->watches.next; at != &channel->watches; at = at->next) {
        CRESS_CONTAINER(at, struct cress_watch, node)->begun = false;
    }
    cress_redis_subscribe(channel->store->subscriptions, channel->key);
}

void cress_watch_on_state(bool ready, const struct cress_error *err, void *arg)
{
    struct cress_store *store = arg;

    (void)err;
    if (ready) {
        twalk(store->channels, begin_again);
    }
}

static void open_subscriptions(struct cress_store *store)
{
    store->subscriptions = cress_redis_open(
        store->loop,
        &(struct cress_redis_options){
            .address = &store->address,
            .finder = cress_sentinel_finder(store->loop, &store->address, CRESS_REDIS_PRIMARY,
                                            store->options.timeout_ms),
            .timeout_ms = store->options.timeout_ms,
            .on_state = cress_watch_on_state,
            .on_message = cress_watch_on_message,
            .arg = store,
        });
}

static struct cress_watch *add_watch(struct cress_store *store, const char *key, void *arg)
{
    struct channel *channel = find(store, key);
    struct cress_watch *watch = CRESS_NEW(struct cress_watch);

    if (!store->subscriptions) {
        open_subscriptions(store);
    }
    if (!channel) {
        channel = CRESS_NEW(struct channel);
        channel->store = store;
        channel->key = cress_strdup(key);
        cress_list_init(&channel->watches);
        tsearch(channel, &store->channels, compare);
    }
    watch->channel = channel;
    watch->arg = arg;
    cress_list_append(&channel->watches, &watch->node);
    /* Also for a channel that is subscribed to: the answer wakes the new watch. */
    cress_redis_subscribe(store->subscriptions, key);
    return watch;
}

struct cress_watch *cress_store_watch(struct cress_store *store, const char *id,
                                      void (*wake_cb)(void *arg), void *arg)
{
    char key[CRESS_KEY_MAX];
    struct cress_watch *watch = add_watch(store, cress_key(CRESS_KEY_JOB, id, key), arg);

    watch->wake = wake_cb;
    return watch;
}

struct cress_watch *cress_store_watch_batch(struct cress_store *store, const char *id,
                                            void (*wake_cb)(void *arg), void *arg)
{
    char key[CRESS_KEY_MAX];
    struct cress_watch *watch = add_watch(store, cress_key(CRESS_KEY_BATCH, id, key), arg);

    watch->wake = wake_cb;
    return watch;
}

struct cress_watch *cress_store_listen(struct cress_store *store,
                                       void (*heard)(const char *message, void *arg), void *arg)
{
    struct cress_watch *watch = add_watch(store, CRESS_KEY_CONTROL, arg);

    watch->heard = heard;
    return watch;
}

void cress_watch_stop(struct cress_watch *watch)
{
    cress_list_remove(&watch->node);
    free_if_unused(watch->channel);
    free(watch);
}
