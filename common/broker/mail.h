// SPDX-License-Identifier: Apache-2.0
// What crosses between the loop and a connection's thread. Private to common/broker.
//
// A piece of mail has one owner at a time: whoever posts it must not touch it again, except for the
// fields that are marked as the loop's own.
#ifndef CRESS_BROKER_MAIL_H
#define CRESS_BROKER_MAIL_H

#include "common/base/list.h"
#include "common/broker/broker.h"
#include "common/broker/deadline.h"
#include "common/broker/topology.h"

enum cress_mail_kind {
    /* to the thread and back */
    CRESS_MAIL_PUBLISH,
    CRESS_MAIL_INSPECT,
    CRESS_MAIL_ENSURE,
    CRESS_MAIL_FLUSH,
    CRESS_MAIL_STOP_CONSUMING,
    /* to the thread */
    CRESS_MAIL_ALLOW,   /* a queue that publishing may declare */
    CRESS_MAIL_CONSUME, /* a subscription */
    CRESS_MAIL_MORE,    /* of a paced one */
    CRESS_MAIL_PAUSE,
    CRESS_MAIL_RESUME,
    CRESS_MAIL_PREFETCH, /* another one */
    CRESS_MAIL_SETTLE,
    CRESS_MAIL_QUIT,
    /* to the loop */
    CRESS_MAIL_STATE,
    CRESS_MAIL_DELIVERIES,
    CRESS_MAIL_CONSUMING,
    CRESS_MAIL_PROBLEM,
    CRESS_MAIL_EXITED,
};

struct cress_mail {
    struct cress_list node;
    enum cress_mail_kind kind;
};

/* What ENSURE is about. */
enum cress_ensure {
    CRESS_ENSURE_QUEUE,      /* a plain queue, which may exist in any form */
    CRESS_ENSURE_WORK_QUEUE, /* with its priorities, arguments and dead letters */
    CRESS_ENSURE_CLAIM,      /* a name that is ours alone */
    CRESS_ENSURE_READABLE,   /* that the user may consume */
};

/* Something that is owed an answer: PUBLISH, INSPECT, ENSURE. */
struct cress_operation {
    struct cress_mail mail;

    /* the loop's own */
    struct cress_deadline deadline;
    bool away;     /* with the thread */
    bool tried;    /* was with it: it may have been carried out */
    bool answered; /* its callback was called: free it when it comes back */
    union {
        cress_publish_cb publish; /* PUBLISH, ENSURE */
        void (*inspect)(const struct cress_queue_stats *stats, size_t count,
                        const struct cress_error *err, void *arg);
    } done;
    void *arg;

    /* the thread's answer */
    bool handed_back;        /* not done: the connection is lost or blocked */
    struct cress_error *err; /* NULL: success. Owned */

    /* what is asked for */
    struct cress_message *message; /* PUBLISH. Owned */
    int64_t delay_ms;              /* of the delay queue it was sent to; 0: none */
    char delay_queue[CRESS_DELAY_NAME_MAX];
    void *route;              /* the publisher's own */
    bool is_suspect;          /* it was open on a channel that the broker closed */
    int64_t refused_ms;       /* monotonic: since when its queue refuses it; 0: it does not */
    bool returned;            /* the broker has sent it back */
    bool redeclared;          /* its queue was declared again because of that */
    char *name;               /* ENSURE. Owned */
    enum cress_ensure ensure; /* ENSURE */
    struct cress_queue_stats *stats; /* INSPECT; `stat_count` of them. Owned */
    size_t stat_count;
};

/* A delivery; it comes back as SETTLE. */
struct cress_incoming {
    struct cress_mail mail;
    size_t lane; /* of the consumer: which queue it came from */
    enum cress_settlement how;
    struct cress_message message;
    struct cress_delivery delivery;
};

/* What a consumed queue may be declared as. */
enum cress_lane_declares { CRESS_LANE_AS_IS, CRESS_LANE_WORK_QUEUE, CRESS_LANE_DUE };

/* Calls of cress_broker_consume(), each with its own consumer. */
enum { CRESS_CONSUMERS_MAX = 2 };

struct cress_deliveries {
    struct cress_mail mail;
    size_t group;           /* which consumer's */
    struct cress_list list; /* of struct cress_delivery */
};

/* ALLOW, CONSUME, MORE, PAUSE, RESUME, CONSUMING, PROBLEM, FLUSH, STOP_CONSUMING: a queue or a callback's address. */
struct cress_mail_note {
    struct cress_mail mail;
    char *queue;                       /* ALLOW, CONSUME. Owned */
    enum cress_lane_declares declares; /* CONSUME */
    size_t group;                      /* CONSUME: which consumer's */
    bool paced;                        /* CONSUME: not before MORE */
    bool paused;                       /* CONSUME: not before RESUME */
    bool each;                         /* CONSUME: the prefetch is that of each priority */
    int prefetch;
    size_t source; /* CONSUME, MORE, PAUSE, RESUME, PREFETCH, CONSUMING, PROBLEM: which one */
    struct cress_error err; /* PROBLEM */
    void (*done)(void *arg);
    void *arg;
};

struct cress_state_note {
    struct cress_mail mail;
    enum cress_broker_state state;
    struct cress_error err; /* why it is CONNECTING; CRESS_OK else */
    char server[128];
};

/* Frees a piece of mail of any kind but EXITED and QUIT, with all that it owns. */
void cress_mail_free(struct cress_mail *mail);

#endif
