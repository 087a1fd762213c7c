// SPDX-License-Identifier: Apache-2.0
// What the front (front.c) and the kinds of store behind it agree on.
//
// The front checks the request, joins prefix and key, and repeats what failed for a while. A
// backend makes one attempt: from `start` on the loop, or, when it has none, by `run` on libuv's
// thread pool.
#ifndef CRESS_OBJECT_BACKEND_H
#define CRESS_OBJECT_BACKEND_H

#include "common/base/list.h"
#include "common/object/digest.h"
#include "common/object/object.h"

enum cress_object_verb { CRESS_OBJECT_PUT, CRESS_OBJECT_HEAD, CRESS_OBJECT_CHECK };

/* What HEAD found. The texts are "" when absent. */
struct cress_object_found {
    bool exists;
    int64_t size;
    char content_type[256];
    char sha256[CRESS_SHA256_TEXT_SIZE];
};

struct cress_object_op {
    struct cress_list node; /* of its store, until it has ended */
    struct cress_object_store *store;
    void *state; /* the backend's, as its `open` made it */
    enum cress_object_verb verb;
    const char *key;            /* the whole key, prefix included; "" for CHECK */
    struct cress_object object; /* PUT: with texts of our own, `content_type` never NULL */
    struct cress_digest digest; /* for the backend: valid when `has_digest` */
    bool has_digest;
    struct cress_object_found found; /* HEAD: filled by the backend */
    struct cress_error error;        /* of this attempt; CRESS_OK: it succeeded */

    struct cress_http_call *call; /* for the backend: what can be broken off, or NULL */
    bool abandoned;               /* to be broken off; it is not tried again */

    /* Called by the backend when the attempt is over; `error` says how. Loop thread. */
    void (*ended_cb)(struct cress_object_op *op);

    char *owned_key;
    int attempts;
    uv_timer_t timer;
    uv_work_t work;
    cress_object_cb done;
    cress_object_head_cb head_done;
    void *arg;
};

struct cress_object_open {
    uv_loop_t *loop;
    struct cress_http *http;
    const struct cress_config *config;
    const char *url;
};

struct cress_object_backend {
    /* Makes the state, and the prefix that is put before every key (malloc'ed; "" for none). */
    enum cress_status (*open)(const struct cress_object_open *how, void **state, char **prefix,
                              struct cress_error *err);
    void (*close)(void *state);
    void (*start)(struct cress_object_op *op); /* ends with op->ended_cb(), later */
    /* Breaks off the attempt, if it can; it ends as it would. NULL: it never can. */
    void (*abandon)(struct cress_object_op *op);
    enum cress_status (*run)(struct cress_object_op *op, struct cress_error *err);
};

extern const struct cress_object_backend cress_object_s3;
extern const struct cress_object_backend cress_object_libs3;
extern const struct cress_object_backend cress_object_directory;

/* Whether a part of a path is "." or "..": what some software between us and the store resolves. */
static inline bool cress_part_is_dots(const char *part, size_t length)
{
    return (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
}

/* The attempt was broken off. */
static inline void cress_object_op_abandoned(struct cress_object_op *op)
{
    cress_error_set(&op->error, CRESS_CANCELLED, NULL, "broken off");
    op->ended_cb(op);
}

#endif
