// SPDX-License-Identifier: Apache-2.0
// Batches over HTTP: POST /v1/batches and POST /v1/batches/{id}/jobs. See docs/http-api.md.
//
// DESIGN
//
//   body -> every job is checked -> batch opened -> jobs submitted, WINDOW at once -> batch closed
//     |            | 422, nothing done                 | refused: the batch stays open
//
// What is refused by its shape is refused before anything is done. What fails later (a server is
// away, a queue does not exist) leaves the batch open, so that nothing follows from a part of it;
// the request may then be repeated: the batch is there, and so are its jobs, whose ids are derived
// from the batch's.
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/json_read.h"
#include "common/base/mem.h"
#include "common/submit/completion.h"
#include "producer/batches.h"
#include "producer/gateway/gateway.h"
#include "producer/gateway/params.h"
#include "producer/gateway/problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 10000, WINDOW = 256, LOCATION_MAX = CRESS_ID_MAX + 16, NAME_MAX_BYTES = 16 };

/* One request, in the request's memory. */
struct intake {
    struct cress_server_request *request;
    struct cress_json body;
    struct cress_json *jobs; /* requests, in the body; owned */
    size_t job_count;
    char id[CRESS_ID_MAX + 1];
    bool is_new; /* the batch is to be opened */
    bool stays_open;
    bool if_succeeded;
    char *completion;              /* owned; NULL: none */
    char (*ids)[CRESS_ID_MAX + 1]; /* of the jobs; owned */
    size_t next, under_way, accepted;
    bool pumping;
    struct cress_error failure; /* the first; CRESS_OK: none */
};

static void answer_intake(struct intake *intake)
{
    free(intake->jobs);
    free(intake->completion);
    free(intake->ids);
}

static void refuse_job(struct intake *intake, const struct cress_error *err)
{
    cress_gateway_error(intake->request, err);
    answer_intake(intake);
}

/* --- the answer --- */

static void on_intake_batch(const struct cress_batch *batch, const struct cress_error *err,
                            void *arg)
{
    struct intake *intake = arg;
    struct cress_server_request *request = intake->request;
    if (err != NULL || batch == NULL) {
        struct cress_error gone;
        cress_error_set(&gone, CRESS_NOT_FOUND, "unknown_batch", "the batch has expired");
        refuse_job(intake, err != NULL ? err : &gone);
        return;
    }
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    cress_batch_begin_json(batch, page);
    cress_buf_add_text(page, ",\"jobs\":[");
    for (size_t i = 0; i < intake->job_count; i++) {
        cress_buf_printf(page, "%s\"%s\"", i > 0 ? "," : "", intake->ids[i]);
    }
    cress_buf_add_text(page, "]}");
    char location[LOCATION_MAX];
    snprintf(location, sizeof location, "/v1/batches/%s", intake->id);
    struct cress_response response = {.status = 202};
    cress_response_add(&response, "Location", location);
    cress_response_add(&response, "Retry-After", "1");
    cress_response_add(&response, "Cache-Control", "private, no-cache");
    cress_gateway_respond_page(request, &response);
    answer_intake(intake);
}

static void on_intake_completed(const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    (void)err; /* what could not be done the workers do */
    cress_store_batch_get(cress_gateway_of(intake->request)->store, intake->id, on_intake_batch,
                          intake);
}

static void on_intake_closed(bool follow, const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    if (err != NULL) {
        refuse_job(intake, err);
    } else if (follow) {
        cress_completion_submit(cress_gateway_door(intake->request), intake->id,
                                on_intake_completed, intake);
    } else {
        on_intake_completed(NULL, intake);
    }
}

static void respond_failure(struct intake *intake)
{
    char location[LOCATION_MAX], members[sizeof intake->id + 64];
    snprintf(location, sizeof location, "/v1/batches/%s", intake->id);
    snprintf(members, sizeof members, "\"batch_id\":\"%s\",\"accepted\":%zu", intake->id,
             intake->accepted);
    struct cress_response response = {.status = cress_problem_status(intake->failure.status)};
    cress_response_add(&response, "Location", location);
    cress_gateway_problem_with(intake->request, &response, intake->failure.code,
                               intake->failure.message, members);
    answer_intake(intake);
}

static void conclude_intake(struct intake *intake)
{
    if (intake->failure.status != CRESS_OK) {
        respond_failure(intake);
    } else if (intake->stays_open) {
        on_intake_completed(NULL, intake);
    } else {
        cress_store_batch_close(cress_gateway_of(intake->request)->store, intake->id,
                                on_intake_closed, intake);
    }
}

/* --- submitting --- */

static void submit_more(struct intake *intake);

static void on_member_submitted(const struct cress_record *record, const struct cress_error *err,
                                void *arg)
{
    struct intake *intake = arg;
    const bool was_there = err != NULL && record != NULL && record->batch != NULL &&
                           strcmp(err->code, "job_exists") == 0 &&
                           strcmp(record->batch, intake->id) == 0;
    intake->under_way--;
    if (err == NULL || was_there) {
        intake->accepted++;
    } else if (intake->failure.status == CRESS_OK) {
        intake->failure = *err;
    }
    submit_more(intake);
}

/* The job at `index`, with an id of its own. It has been read once before, so this cannot fail but
 * by the clock: a time that has come since. */
static enum cress_status read_member(struct intake *intake, size_t index, struct cress_job *job,
                                     char **texts, struct cress_error *err)
{
    const struct cress_config *config = cress_gateway_of(intake->request)->config;
    char name[NAME_MAX_BYTES], derived[CRESS_UUID_TEXT_SIZE];
    const struct cress_json request = intake->jobs[index];
    enum cress_status status =
        cress_job_from_request(request.text, request.size, cress_clock_wall_ms(), job, texts, err);
    if (status == CRESS_OK) {
        status = cress_job_check(job, config->job_max_payload_bytes, err);
        if (status != CRESS_OK) {
            free(*texts);
        }
    }
    if (status != CRESS_OK) {
        cress_error_prefix(err, "jobs[%zu]", index);
        return status;
    }
    if (intake->ids[index][0] == '\0') {
        snprintf(name, sizeof name, "%zu", index);
        const char *id = job->id;
        if (id == NULL) {
            id =
                intake->is_new ? cress_id_derive(intake->id, name, derived) : cress_id_new(derived);
        }
        snprintf(intake->ids[index], sizeof intake->ids[index], "%s", id);
    }
    job->id = intake->ids[index];
    job->batch = intake->id;
    return CRESS_OK;
}

static void submit_next(struct intake *intake)
{
    struct cress_job job;
    char *texts;
    if (read_member(intake, intake->next++, &job, &texts, &intake->failure) == CRESS_OK) {
        intake->under_way++;
        cress_submit(cress_gateway_door(intake->request), &job, on_member_submitted, intake);
        free(texts);
    }
}

static void submit_more(struct intake *intake)
{
    while (intake->next < intake->job_count && intake->under_way < WINDOW &&
           intake->failure.status == CRESS_OK) {
        submit_next(intake);
    }
    if (intake->under_way == 0) {
        conclude_intake(intake);
    }
}

static void on_intake_open(const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    if (err != NULL) {
        refuse_job(intake, err);
    } else {
        submit_more(intake);
    }
}

/* --- the request --- */

/* Makes an array of the JSON one; `jobs` without text is none. */
static enum cress_status take_jobs(struct intake *intake, struct cress_json jobs,
                                   struct cress_error *err)
{
    struct cress_json job;
    if (jobs.text == NULL) {
        return CRESS_OK;
    }
    struct cress_json_walk walk = cress_json_walk(jobs);
    bool is_good = cress_json_kind(jobs) == CRESS_JSON_ARRAY;
    intake->jobs = cress_alloc(JOBS_MAX * sizeof *intake->jobs);
    while (is_good && cress_json_next(&walk, NULL, &job)) {
        is_good = intake->job_count < JOBS_MAX;
        if (is_good) {
            intake->jobs[intake->job_count++] = job;
        }
    }
    return is_good ? CRESS_OK
                   : cress_error_set(
                         err, CRESS_INVALID, "invalid",
                         "jobs must be an array of at most %d jobs; more can be added by POST "
                         "/v1/batches/{id}/jobs while the batch is open",
                         JOBS_MAX);
}

static enum cress_status check_jobs(struct intake *intake, struct cress_error *err)
{
    intake->ids = cress_alloc((intake->job_count + 1) * sizeof *intake->ids);
    for (size_t i = 0; i < intake->job_count; i++) {
        struct cress_job job;
        char *texts;
        const enum cress_status status = read_member(intake, i, &job, &texts, err);
        if (status != CRESS_OK) {
            return status;
        }
        free(texts);
    }
    return CRESS_OK;
}

static enum cress_status read_condition(const char *word, bool *if_succeeded,
                                        struct cress_error *err)
{
    *if_succeeded = word != NULL && strcmp(word, "succeeded") == 0;
    return word == NULL || *if_succeeded || strcmp(word, "ended") == 0
               ? CRESS_OK
               : cress_error_set(err, CRESS_INVALID, "invalid",
                                 "complete_on is \"ended\" or \"succeeded\"");
}

struct new_batch {
    const char *id, *complete_on;
    struct cress_json jobs, completion;
    bool open;
};

static const struct cress_json_field new_batch_fields[] = {
    {"id", CRESS_FIELD_TEXT, .offset = offsetof(struct new_batch, id)},
    {"jobs", CRESS_FIELD_JSON, .offset = offsetof(struct new_batch, jobs)},
    {"completion", CRESS_FIELD_JSON, .offset = offsetof(struct new_batch, completion)},
    {"complete_on", CRESS_FIELD_TEXT, .offset = offsetof(struct new_batch, complete_on)},
    {"open", CRESS_FIELD_BOOL, .offset = offsetof(struct new_batch, open)},
};

/* A member that is null counts as absent. */
static bool is_given(struct cress_json value)
{
    return value.text != NULL && cress_json_kind(value) != CRESS_JSON_NULL;
}

static enum cress_status take_new(struct intake *intake, const struct new_batch *batch,
                                  struct cress_error *err)
{
    char made[CRESS_UUID_TEXT_SIZE];
    if (batch->id != NULL && !cress_id_is_valid(batch->id)) {
        return cress_error_set(err, CRESS_INVALID, "invalid", "id \"%s\" is not an id", batch->id);
    }
    snprintf(intake->id, sizeof intake->id, "%s",
             batch->id != NULL ? batch->id : cress_id_new(made));
    intake->is_new = true;
    intake->stays_open = batch->open || !is_given(batch->jobs);
    enum cress_status status = read_condition(batch->complete_on, &intake->if_succeeded, err);
    if (status == CRESS_OK && is_given(batch->completion)) {
        status = cress_batch_completion(intake->id, batch->completion, &intake->completion, err);
    }
    if (status == CRESS_OK && is_given(batch->jobs)) {
        status = take_jobs(intake, batch->jobs, err);
    }
    return status;
}

static enum cress_status read_new(struct intake *intake, struct cress_error *err)
{
    struct new_batch batch = {.id = NULL};
    char *texts;
    enum cress_status status =
        cress_json_read(intake->body, new_batch_fields, CRESS_COUNT(new_batch_fields),
                        "a batch is an object with id, jobs, completion, complete_on and open",
                        &batch, &texts, err);
    if (status == CRESS_OK) {
        status = take_new(intake, &batch, err);
        free(texts);
    }
    return status;
}

static enum cress_status read_more(struct intake *intake, struct cress_error *err)
{
    struct more {
        struct cress_json jobs;
        bool close;
    } more = {.close = false};
    static const struct cress_json_field fields[] = {
        {"jobs", CRESS_FIELD_JSON, .offset = offsetof(struct more, jobs)},
        {"close", CRESS_FIELD_BOOL, .offset = offsetof(struct more, close)},
    };
    char *texts;
    enum cress_status status =
        cress_json_read(intake->body, fields, CRESS_COUNT(fields),
                        "the body is {\"jobs\": […], \"close\": bool}", &more, &texts, err);
    if (status != CRESS_OK) {
        return status;
    }
    free(texts);
    if (more.jobs.text == NULL) {
        return cress_error_set(err, CRESS_INVALID, "invalid",
                               "the body is {\"jobs\": […], \"close\": bool}: jobs is missing");
    }
    intake->stays_open = !more.close;
    return take_jobs(intake, more.jobs, err);
}

static struct intake *begin_intake(struct cress_server_request *request)
{
    struct cress_error err;
    if (!cress_params_is_json(cress_server_request_header(request, "content-type"))) {
        cress_gateway_problem(request, 415, "not_json",
                              "send the batch with Content-Type: application/json", NULL);
        return NULL;
    }
    struct intake *intake = cress_server_request_alloc(request, sizeof *intake);
    intake->request = request;
    if (cress_gateway_body(request, "{\"jobs\": [{\"task\": …}, …]}", &intake->body, &err) !=
        CRESS_OK) {
        cress_gateway_error(request, &err);
        return NULL;
    }
    return intake;
}

void cress_gateway_post_batch(struct cress_server_request *request, const char *param)
{
    (void)param;
    struct intake *intake = begin_intake(request);
    struct cress_error err;
    if (intake == NULL) {
        return;
    }
    if (read_new(intake, &err) != CRESS_OK || check_jobs(intake, &err) != CRESS_OK) {
        refuse_job(intake, &err);
        return;
    }
    cress_store_batch_open(cress_gateway_of(request)->store, intake->id, intake->completion,
                           intake->if_succeeded, cress_clock_wall_ms(), on_intake_open, intake);
}

void cress_gateway_post_batch_jobs(struct cress_server_request *request, const char *param)
{
    if (!cress_id_is_valid(param)) {
        cress_gateway_problem(request, 404, "unknown_batch", "this is no batch id", NULL);
        return;
    }
    struct intake *intake = begin_intake(request);
    struct cress_error err;
    if (intake == NULL) {
        return;
    }
    snprintf(intake->id, sizeof intake->id, "%s", param);
    if (read_more(intake, &err) != CRESS_OK || check_jobs(intake, &err) != CRESS_OK) {
        refuse_job(intake, &err);
    } else {
        submit_more(intake);
    }
}
