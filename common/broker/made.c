// SPDX-License-Identifier: Apache-2.0
// What this process has made; see made.h.
#include "common/broker/made.h"

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/broker/topology.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct made {
    struct cress_list node;
    char queue[CRESS_ROUTE_NAME_MAX];
    int64_t made_ms; /* monotonic */
    bool has_answered;
};

static pthread_mutex_t made_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cress_list all_made = {&all_made, &all_made};

static struct made *find_made(const char *queue)
{
    for (struct cress_list *n = all_made.next; n != &all_made; n = n->next) {
        struct made *made = CRESS_CONTAINER(n, struct made, node);
        if (strcmp(made->queue, queue) == 0) {
            return made;
        }
    }
    return NULL;
}

static void drop_made(struct made *made)
{
    cress_list_remove(&made->node);
    free(made);
}

static bool is_young(const struct made *made)
{
    return cress_clock_mono_ms() - made->made_ms < CRESS_MADE_YOUNG_MS;
}

void cress_made_note(const char *queue)
{
    pthread_mutex_lock(&made_lock);
    struct made *made = find_made(queue);
    if (!made) {
        made = CRESS_NEW(struct made);
        snprintf(made->queue, sizeof made->queue, "%s", queue);
        cress_list_append(&all_made, &made->node);
    }
    made->made_ms = cress_clock_mono_ms();
    made->has_answered = false;
    pthread_mutex_unlock(&made_lock);
}

void cress_made_forget(const char *queue)
{
    pthread_mutex_lock(&made_lock);
    struct made *made = find_made(queue);
    if (made) {
        drop_made(made);
    }
    pthread_mutex_unlock(&made_lock);
}

void cress_made_answered(const char *queue)
{
    pthread_mutex_lock(&made_lock);
    struct made *made = find_made(queue);
    if (made && is_young(made)) {
        made->has_answered = true;
    } else if (made) {
        drop_made(made);
    }
    pthread_mutex_unlock(&made_lock);
}

void cress_made_doubt(void)
{
    pthread_mutex_lock(&made_lock);
    for (struct cress_list *n = all_made.next, *next; n != &all_made; n = next) {
        struct made *made = CRESS_CONTAINER(n, struct made, node);
        next = n->next;
        if (made->has_answered && !is_young(made)) {
            drop_made(made);
        } else {
            made->has_answered = false;
        }
    }
    pthread_mutex_unlock(&made_lock);
}

bool cress_made_is_doubtful(const char *queue)
{
    pthread_mutex_lock(&made_lock);
    const struct made *made = find_made(queue);
    const bool is_doubtful = made && !made->has_answered;
    pthread_mutex_unlock(&made_lock);
    return is_doubtful;
}
