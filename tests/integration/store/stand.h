// SPDX-License-Identifier: Apache-2.0
// What the tests of the store share: a store on a loop of the test's own, beside a Redis server of its
// own; the last answer that any of its callbacks was given; and short forms of its calls.
//
// A short form that is not about failure fails the test when the call does.
#ifndef CRESS_TESTS_STORE_STAND_H
#define CRESS_TESTS_STORE_STAND_H

#include "tests/integration/store/loop.h"
#include "tests/integration/store/server.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/health.h"
#include "common/store/internal.h"

#include <stdio.h>

enum { DEADLINE_MS = 10000 };

extern struct server server;

extern uv_loop_t loop;

extern struct cress_config config;

extern struct cress_store *store;

extern bool store_ready;

void run_until(const bool *flag);

/* What the last callback was given. */
struct last {
    bool called;
    struct cress_error err;
    enum cress_verdict verdict;
    bool follow;
    int64_t wait_ms;
    struct cress_record *record; /* owned */
    enum cress_state state;
    int64_t since_ms;
    int why; /* of struct cress_existing; -1: none */
    bool is_sent;
    struct cress_batch batch;
    bool has_batch;
    size_t count;
    char texts[8][512];
};
extern struct last last;

void expect_call(void);

void done_cb(const struct cress_error *err, void *arg);

void record_cb(const struct cress_record *record, const struct cress_error *err, void *arg);

void created_cb(const struct cress_existing *existing, enum cress_state made,
                const struct cress_error *err, void *arg);

void started_cb(enum cress_verdict verdict, bool follow, int64_t wait_ms,
                const struct cress_error *err, void *arg);

void state_cb(bool ready, const struct cress_error *err, void *arg);

void batch_cb(const struct cress_batch *batch, const struct cress_error *err, void *arg);

void verdict_cb(enum cress_verdict verdict, bool follow, const struct cress_error *err, void *arg);

void requeue_cb(bool exists, enum cress_state was, const struct cress_error *err, void *arg);

void pause_cb(int64_t since_ms, bool changed, const struct cress_error *err, void *arg);

void paused_cb(const struct cress_paused_queue *queues, size_t count, const struct cress_error *err,
               void *arg);

void close_cb(bool follow, const struct cress_error *err, void *arg);
void report_worker(const char *worker, const char *json, int64_t ttl_ms);

void texts_cb(const char *const *texts, size_t count, const struct cress_error *err, void *arg);

void log_cb(const char *text, size_t size, const struct cress_error *err, void *arg);

void health_cb(const struct cress_store_health *health, const struct cress_error *err, void *arg);

/* Never from within the call; then no error. */
void wait_for_call(void);

void wait_for_success(void);

extern bool side_ready;

long long command(const char *a, const char *b, const char *c, const char *d);

struct cress_job make_job(const char *id);

void create_job(const struct cress_job *job, enum cress_state state);

void create_in(const char *id, enum cress_state state, const char *batch);

void create(const char *id);

extern const char *speaker; /* who started a job last, and says what becomes of it */

enum cress_verdict start_as(const char *id, const char *worker, int attempt, bool redelivered,
                            int64_t now_ms);

enum cress_verdict start(const char *id, int attempt);

void send_change(const char *id, enum cress_state to, int attempt);

enum cress_verdict change(const char *id, enum cress_state to, int attempt);

const struct cress_record *get(const char *id);

void closed_cb(void *arg);

void open_store(int64_t timeout_ms);

void close_store(void);

int set_up(void **state);

int tear_down(void **state);

int set_up_group(void **state);

int tear_down_group(void **state);

void requeue(const char *id);

enum cress_state create_after(const char *id, const char *after, bool any);

/* Takes a new job to `state`. */
void bring_to(const char *id, enum cress_state state);

extern int many_left;

void batch_open(const char *id);

bool batch_close(const char *id);

const struct cress_batch *batch_get(const char *id);

enum cress_verdict cancel(const char *id);

/* Milliseconds left of the note about `id`, or -2. */
long long note_ttl(const char *id);

const char *follow_up(const char *id, char *done);

void woken_cb(void *arg);

extern int cancelled;

#define STAND_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
