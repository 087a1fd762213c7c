// SPDX-License-Identifier: Apache-2.0
// The completion job of a batch, with store and submission faked: what is submitted and noted, for
// each state in which the batch may be found.
#include "common/submit/completion.h"
#include "tests/unit/unit.h"

static struct cress_batch batch; /* what the store finds, when its id is set */
static struct cress_error store_error;
static enum cress_status submit_status;

static struct {
    int submitted, noted, ended;
    bool skipped;
    struct cress_error err;
} seen;

void cress_store_batch_get(struct cress_store *store, const char *id, cress_store_batch_cb done,
                           void *arg)
{
    (void)store;
    assert_string_equal(id, "b");
    done(batch.id ? &batch : NULL, store_error.status ? &store_error : NULL, arg);
}

void cress_store_batch_complete(struct cress_store *store, const char *id, bool skipped,
                                cress_store_done_cb done, void *arg)
{
    (void)store;
    assert_string_equal(id, "b");
    seen.noted++;
    seen.skipped = skipped;
    done(NULL, arg);
}

void cress_submit(struct cress_door door, const struct cress_job *request, cress_submit_cb done,
                  void *arg)
{
    (void)door;
    struct cress_error err;
    assert_string_equal(request->id, "after-b");
    seen.submitted++;
    cress_error_set(&err, submit_status, "code", "text");
    done(NULL, submit_status == CRESS_OK ? NULL : &err, arg);
}

static void ended_cb(const struct cress_error *err, void *arg)
{
    (void)arg;
    seen.ended++;
    seen.err = err ? *err : (struct cress_error){0};
}

static void complete(void)
{
    memset(&seen, 0, sizeof seen);
    cress_completion_submit((struct cress_door){0}, "b", ended_cb, NULL);
    assert_int_equal(seen.ended, 1);
}

static int set_up(void **state)
{
    (void)state;
    batch = (struct cress_batch){
        .id = "b",
        .total = 2,
        .succeeded = 1,
        .failed = 1,
        .completion = "{\"id\":\"after-b\",\"task\":\"cress.noop\",\"payload\":null}",
    };
    store_error = (struct cress_error){0};
    submit_status = CRESS_OK;
    return 0;
}

static void test_submitted_and_noted(void **state)
{
    (void)state;
    complete();
    assert_int_equal(seen.submitted, 1);
    assert_int_equal(seen.noted, 1);
    assert_false(seen.skipped);
    submit_status = CRESS_CONFLICT; /* it was submitted before */
    complete();
    assert_int_equal(seen.noted, 1);
    assert_false(seen.skipped);
    assert_int_equal(seen.err.status, CRESS_OK);
}

/* Its records expire, and they do while somebody follows up on it. */
static void test_there_is_no_batch_any_more(void **state)
{
    (void)state;
    batch.id = NULL;
    complete();
    assert_int_equal(seen.submitted, 0);
    assert_int_equal(seen.noted, 0);
    assert_int_equal(seen.err.status, CRESS_OK);
}

static void test_completed_before(void **state)
{
    (void)state;
    batch.completed = true;
    complete();
    assert_int_equal(seen.submitted + seen.noted, 0);
}

static void test_not_wanted(void **state)
{
    (void)state;
    batch.if_succeeded = true;
    complete();
    assert_int_equal(seen.submitted, 0);
    assert_true(seen.noted == 1 && seen.skipped);
    batch.if_succeeded = false;
    batch.cancel_requested = true;
    complete();
    assert_int_equal(seen.submitted, 0);
    assert_true(seen.noted == 1 && seen.skipped);
}

static void test_none_was_asked_for(void **state)
{
    (void)state;
    batch.completion = NULL;
    complete();
    assert_int_equal(seen.submitted, 0);
    assert_true(seen.noted == 1 && !seen.skipped);
}

static void test_hopeless_is_skipped_and_the_rest_tried_again(void **state)
{
    (void)state;
    submit_status = CRESS_NOT_FOUND;
    complete();
    assert_true(seen.noted == 1 && seen.skipped);
    assert_int_equal(seen.err.status, CRESS_OK);
    submit_status = CRESS_UNAVAILABLE;
    complete();
    assert_int_equal(seen.noted, 0);
    assert_int_equal(seen.err.status, CRESS_UNAVAILABLE);
    cress_error_set(&store_error, CRESS_UNAVAILABLE, "store_away", "away");
    batch.id = NULL;
    complete();
    assert_int_equal(seen.submitted, 0);
    assert_int_equal(seen.err.status, CRESS_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_submitted_and_noted, set_up),
        cmocka_unit_test_setup(test_there_is_no_batch_any_more, set_up),
        cmocka_unit_test_setup(test_completed_before, set_up),
        cmocka_unit_test_setup(test_not_wanted, set_up),
        cmocka_unit_test_setup(test_none_was_asked_for, set_up),
        cmocka_unit_test_setup(test_hopeless_is_skipped_and_the_rest_tried_again, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
