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
    struct cress_request *request;
    json_t *body;       /* owned */
    const json_t *jobs; /* of the body; NULL: none */
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

static void finish(struct intake *intake)
{
    json_decref(intake->body);
    free(intake->completion);
    free(intake->ids);
}

static void refuse(struct intake *intake, const struct cress_error *err)
{
    cress_gateway_error(intake->request, err);
    finish(intake);
}

/* --- the answer --- */

static void on_batch(const struct cress_batch *batch, const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    struct cress_request *request = intake->request;
    if (err != NULL || batch == NULL) {
        struct cress_error gone;
        cress_error_set(&gone, CRESS_NOT_FOUND, "unknown_batch", "the batch has expired");
        refuse(intake, err != NULL ? err : &gone);
        return;
    }
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    cress_batch_begin_json(batch, page);
    cress_buf_add_text(page, ",\"jobs\":[");
    for (size_t i = 0; i < json_array_size(intake->jobs); i++) {
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
    finish(intake);
}

static void on_completed(const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    (void)err; /* what could not be done the workers do */
    cress_store_batch_get(cress_gateway_of(intake->request)->store, intake->id, on_batch, intake);
}

static void on_closed(bool follow, const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    if (err != NULL) {
        refuse(intake, err);
    } else if (follow) {
        cress_completion_submit(cress_gateway_door(intake->request), intake->id, on_completed,
                                intake);
    } else {
        on_completed(NULL, intake);
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
    finish(intake);
}

static void conclude(struct intake *intake)
{
    if (intake->failure.status != CRESS_OK) {
        respond_failure(intake);
    } else if (intake->stays_open) {
        on_completed(NULL, intake);
    } else {
        cress_store_batch_close(cress_gateway_of(intake->request)->store, intake->id, on_closed,
                                intake);
    }
}

/* --- submitting --- */

static void pump(struct intake *intake);

static void on_submitted(const struct cress_record *record, const struct cress_error *err,
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
    pump(intake);
}

/* The job at `index`, with an id of its own. It has been read once before, so this cannot fail but
 * by the clock: a time that has come since. */
static enum cress_status read_job(struct intake *intake, size_t index, struct cress_job *job,
                                  char **payload, struct cress_error *err)
{
    const struct cress_config *config = cress_gateway_of(intake->request)->config;
    char name[NAME_MAX_BYTES], derived[CRESS_UUID_TEXT_SIZE];
    enum cress_status status = cress_job_from_request(json_array_get(intake->jobs, index),
                                                      cress_clock_wall_ms(), job, payload, err);
    if (status == CRESS_OK) {
        status = cress_job_check(job, config->job_max_payload_bytes, err);
        if (status != CRESS_OK) {
            free(*payload);
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
    char *payload;
    if (read_job(intake, intake->next++, &job, &payload, &intake->failure) == CRESS_OK) {
        intake->under_way++;
        cress_submit(cress_gateway_door(intake->request), &job, on_submitted, intake);
        free(payload);
    }
}

static void pump(struct intake *intake)
{
    while (intake->next < json_array_size(intake->jobs) && intake->under_way < WINDOW &&
           intake->failure.status == CRESS_OK) {
        submit_next(intake);
    }
    if (intake->under_way == 0) {
        conclude(intake);
    }
}

static void on_open(const struct cress_error *err, void *arg)
{
    struct intake *intake = arg;
    if (err != NULL) {
        refuse(intake, err);
    } else {
        pump(intake);
    }
}

/* --- the request --- */

static enum cress_status check_jobs(struct intake *intake, struct cress_error *err)
{
    const size_t count = json_array_size(intake->jobs);
    if (intake->jobs != NULL && (!json_is_array(intake->jobs) || count > JOBS_MAX)) {
        return cress_error_set(
            err, CRESS_INVALID, "invalid",
            "jobs must be an array of at most %d jobs; more can be added by POST "
            "/v1/batches/{id}/jobs while the batch is open",
            JOBS_MAX);
    }
    intake->ids = cress_alloc((count + 1) * sizeof *intake->ids);
    for (size_t i = 0; i < count; i++) {
        struct cress_job job;
        char *payload;
        const enum cress_status status = read_job(intake, i, &job, &payload, err);
        if (status != CRESS_OK) {
            return status;
        }
        free(payload);
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

static enum cress_status read_new(struct intake *intake, struct cress_error *err)
{
    const char *id = NULL, *complete_on = NULL;
    json_t *completion = NULL;
    int open = 0;
    json_error_t problem;
    char made[CRESS_UUID_TEXT_SIZE];
    if (json_unpack_ex(intake->body, &problem, JSON_STRICT, "{s?s, s?o, s?o, s?s, s?b}", "id", &id,
                       "jobs", &intake->jobs, "completion", &completion, "complete_on",
                       &complete_on, "open", &open) != 0) {
        return cress_error_set(err, CRESS_INVALID, "invalid",
                               "a batch has id, jobs, completion, complete_on and open: %s",
                               problem.text);
    }
    if (id != NULL && !cress_id_is_valid(id)) {
        return cress_error_set(err, CRESS_INVALID, "invalid", "id \"%s\" is not an id", id);
    }
    snprintf(intake->id, sizeof intake->id, "%s", id != NULL ? id : cress_id_new(made));
    intake->is_new = true;
    intake->stays_open = open != 0 || intake->jobs == NULL;
    enum cress_status status = read_condition(complete_on, &intake->if_succeeded, err);
    if (status == CRESS_OK && completion != NULL) {
        status = cress_batch_completion(intake->id, completion, &intake->completion, err);
    }
    return status;
}

static enum cress_status read_more(struct intake *intake, struct cress_error *err)
{
    int close = 0;
    json_error_t problem;
    if (json_unpack_ex(intake->body, &problem, JSON_STRICT, "{s:o, s?b}", "jobs", &intake->jobs,
                       "close", &close) != 0) {
        return cress_error_set(err, CRESS_INVALID, "invalid",
                               "the body is {\"jobs\": […], \"close\": bool}: %s", problem.text);
    }
    intake->stays_open = close == 0;
    return CRESS_OK;
}

static struct intake *begin(struct cress_request *request)
{
    struct cress_error err;
    if (!cress_params_is_json(cress_request_header(request, "content-type"))) {
        cress_gateway_problem(request, 415, "not_json",
                              "send the batch with Content-Type: application/json", NULL);
        return NULL;
    }
    struct intake *intake = cress_request_alloc(request, sizeof *intake);
    intake->request = request;
    intake->body = cress_gateway_body(request, "{\"jobs\": [{\"task\": …}, …]}", &err);
    if (intake->body == NULL) {
        cress_gateway_error(request, &err);
        return NULL;
    }
    return intake;
}

void cress_gateway_post_batch(struct cress_request *request, const char *param)
{
    (void)param;
    struct intake *intake = begin(request);
    struct cress_error err;
    if (intake == NULL) {
        return;
    }
    if (read_new(intake, &err) != CRESS_OK || check_jobs(intake, &err) != CRESS_OK) {
        refuse(intake, &err);
        return;
    }
    cress_store_batch_open(cress_gateway_of(request)->store, intake->id, intake->completion,
                           intake->if_succeeded, cress_clock_wall_ms(), on_open, intake);
}

void cress_gateway_post_batch_jobs(struct cress_request *request, const char *param)
{
    if (!cress_id_is_valid(param)) {
        cress_gateway_problem(request, 404, "unknown_batch", "this is no batch id", NULL);
        return;
    }
    struct intake *intake = begin(request);
    struct cress_error err;
    if (intake == NULL) {
        return;
    }
    snprintf(intake->id, sizeof intake->id, "%s", param);
    if (read_more(intake, &err) != CRESS_OK || check_jobs(intake, &err) != CRESS_OK) {
        refuse(intake, &err);
    } else {
        pump(intake);
    }
}
