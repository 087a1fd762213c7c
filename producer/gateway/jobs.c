// SPDX-License-Identifier: Apache-2.0
// Jobs over HTTP: POST /v1/jobs, GET /v1/jobs/{id}, GET /v1/jobs/{id}/result and POST
// /v1/jobs/{id}/cancel. See docs/http-api.md.
#include "producer/gateway/gateway.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/object/object.h"
#include "common/submit/cancel.h"
#include "producer/gateway/params.h"
#include "producer/gateway/problem.h"
#include "producer/gateway/waiters.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 32, LOCATION_MAX = CRESS_ID_MAX + 16 };

/* A request about one job, in the request's memory. */
struct inquiry {
    struct cress_server_request *request;
    char id[CRESS_ID_MAX + 1];
    int64_t wait_ms;
    bool preferred;                /* wait_ms came from the header Prefer */
    const char *if_none_match;     /* NULL: the client has no version yet */
    struct cress_record *accepted; /* POST that waits: the record as submitted */
    bool is_duplicate;             /* POST: an earlier job has the unique key */
    bool is_replay;                /* POST: an earlier job has the idempotency key */
    char idempotency_key[CRESS_IDEMPOTENCY_KEY_SIZE]; /* "": none */
    void (*answer)(struct inquiry *inquiry, const struct cress_record *record);
};

/* The fields of an answer about a job, with room for their texts. */
struct job_fields {
    char etag[NUMBER_MAX];
    char retry_after[NUMBER_MAX];
    char applied[NUMBER_MAX];
    char location[LOCATION_MAX];
};

/* --- what the answers have in common --- */

/* When to look again: when it is due, or after a quarter of the job's age, so that short jobs are
 * seen to end quickly and long ones are not asked for in vain. */
static int64_t retry_after_s(const struct cress_record *record, int64_t now_ms)
{
    if (record->state == CRESS_STATE_SCHEDULED || record->state == CRESS_STATE_RETRYING) {
        const int64_t due_s = (record->run_at_ms - now_ms + 999) / 1000;
        return due_s < 1 ? 1 : due_s > 3600 ? 3600 : due_s;
    }
    const int64_t quarter_s = (now_ms - record->created_ms) / 4000;
    return quarter_s < 1 ? 1 : quarter_s > 30 ? 30 : quarter_s;
}

static void write_etag(const struct cress_record *record, char etag[NUMBER_MAX])
{
    snprintf(etag, NUMBER_MAX, "\"%" PRId64 "\"", record->version);
}

static void add_fields(const struct inquiry *inquiry, const struct cress_record *record,
                       struct job_fields *fields, struct cress_response *response)
{
    write_etag(record, fields->etag);
    cress_response_add(response, "ETag", fields->etag);
    if (cress_state_is_terminal(record->state)) {
        cress_response_add(response, "Cache-Control", "private, max-age=10");
    } else {
        snprintf(fields->retry_after, sizeof fields->retry_after, "%" PRId64,
                 retry_after_s(record, cress_clock_wall_ms()));
        cress_response_add(response, "Retry-After", fields->retry_after);
        cress_response_add(response, "Cache-Control", "private, no-cache");
    }
    if (inquiry->preferred) {
        snprintf(fields->applied, sizeof fields->applied, "wait=%" PRId64, inquiry->wait_ms / 1000);
        cress_response_add(response, "Preference-Applied", fields->applied);
    }
}

static void respond_record(const struct inquiry *inquiry, const struct cress_record *record,
                           struct cress_response *response)
{
    struct cress_record shown = *record;
    shown.is_duplicate = inquiry->is_duplicate;
    cress_record_write_json(&shown, cress_gateway_page(cress_gateway_of(inquiry->request)));
    cress_gateway_respond_page(inquiry->request, response);
}

static bool client_has(const struct inquiry *inquiry, const struct cress_record *record)
{
    char etag[NUMBER_MAX];
    if (inquiry->if_none_match == NULL) {
        return false;
    }
    write_etag(record, etag);
    return cress_params_etag_matches(inquiry->if_none_match, etag);
}

/* A waiting client that has a version waits for another one; a client that has none waits for the
 * end. */
static bool is_enough(const struct cress_record *record, void *arg)
{
    const struct inquiry *inquiry = arg;
    if (cress_state_is_terminal(record->state)) {
        return true;
    }
    return inquiry->if_none_match != NULL && !client_has(inquiry, record);
}

static void on_job_record(const struct cress_record *record, const struct cress_error *err,
                          void *arg)
{
    struct inquiry *inquiry = arg;
    if (inquiry->accepted != NULL && record == NULL) {
        record = inquiry->accepted; /* the job is safe, although the store cannot be asked now */
    }
    if (record != NULL) {
        inquiry->answer(inquiry, record);
    } else if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
    } else {
        cress_gateway_problem(
            inquiry->request, 404, "unknown_job",
            "there is no job with this id: it never existed, or its record has expired", NULL);
    }
}

/* Reads the patience of the client. False: answered. */
static bool read_wait(struct inquiry *inquiry)
{
    struct cress_server_request *request = inquiry->request;
    const struct cress_gateway *gateway = cress_gateway_of(request);
    struct cress_error err;
    if (cress_params_wait(request->query, cress_server_request_header(request, "prefer"),
                          gateway->config->gateway_max_wait_ms, &inquiry->wait_ms,
                          &inquiry->preferred, &err) != CRESS_OK) {
        cress_gateway_error(request, &err);
        return false;
    }
    if (gateway->draining) {
        inquiry->wait_ms = 0;
    }
    return true;
}

static void wait_for_job(struct inquiry *inquiry)
{
    const struct cress_wait wait = {
        .request = inquiry->request,
        .id = inquiry->id,
        .wait_ms = inquiry->wait_ms,
        .enough = is_enough,
        .answer = on_job_record,
        .arg = inquiry,
    };
    cress_waiter_start(&wait);
}

/* --- GET --- */

/* NULL: answered, for the id or the patience makes no sense. */
static struct inquiry *begin_inquiry(struct cress_server_request *request, const char *id,
                                     void (*answer)(struct inquiry *inquiry,
                                                    const struct cress_record *record))
{
    struct inquiry *inquiry = cress_server_request_alloc(request, sizeof *inquiry);
    inquiry->request = request;
    inquiry->answer = answer;
    if (!read_wait(inquiry)) {
        return NULL;
    }
    snprintf(inquiry->id, sizeof inquiry->id, "%s", id);
    if (!cress_id_is_valid(id)) {
        cress_gateway_problem(request, 404, "unknown_job",
                              "this is no job id: 1 to 128 of A-Z a-z 0-9 . _ : @ -", NULL);
        return NULL;
    }
    return inquiry;
}

static void inquire(struct cress_server_request *request, const char *id,
                    void (*answer)(struct inquiry *inquiry, const struct cress_record *record))
{
    struct inquiry *inquiry = begin_inquiry(request, id, answer);
    if (inquiry == NULL) {
        return;
    }
    inquiry->if_none_match = cress_server_request_header(request, "if-none-match");
    if (inquiry->wait_ms > 0) {
        wait_for_job(inquiry);
    } else {
        cress_store_peek(cress_gateway_of(request)->store, inquiry->id, on_job_record, inquiry);
    }
}

static void answer_record(struct inquiry *inquiry, const struct cress_record *record)
{
    struct job_fields fields;
    struct cress_response response = {.status = 200};
    add_fields(inquiry, record, &fields, &response);
    if (client_has(inquiry, record)) {
        response.status = 304;
        cress_gateway_respond(inquiry->request, &response);
    } else {
        respond_record(inquiry, record, &response);
    }
}

void cress_gateway_get_job(struct cress_server_request *request, const char *param)
{
    inquire(request, param, answer_record);
}

static void respond_no_result(const struct inquiry *inquiry, const struct cress_record *record)
{
    const char *word = cress_state_word(record->state);
    char code[NUMBER_MAX], detail[128];
    snprintf(code, sizeof code, "job_%s", word);
    snprintf(detail, sizeof detail, "the job has no result: it %s%s",
             record->state == CRESS_STATE_CANCELLED ? "was " : "", word);
    char *members = cress_format("\"state\":\"%s\",\"error\":%s", word,
                                 record->error != NULL ? record->error : "null");
    cress_gateway_problem(inquiry->request, 409, code, detail, members);
    free(members);
}

static void answer_result(struct inquiry *inquiry, const struct cress_record *record)
{
    if (record->state != CRESS_STATE_SUCCEEDED && cress_state_is_terminal(record->state)) {
        respond_no_result(inquiry, record);
        return;
    }
    struct job_fields fields;
    struct cress_response response = {.status = 200};
    add_fields(inquiry, record, &fields, &response);
    if (record->state != CRESS_STATE_SUCCEEDED) {
        response.status = 202;
        respond_record(inquiry, record, &response);
        return;
    }
    if (client_has(inquiry, record)) {
        response.status = 304;
    } else {
        response.body = record->result != NULL ? record->result : "null";
        response.body_size = strlen(response.body);
        cress_response_add(&response, "Content-Type", "application/json");
    }
    cress_gateway_respond(inquiry->request, &response);
}

void cress_gateway_get_result(struct cress_server_request *request, const char *param)
{
    inquire(request, param, answer_result);
}

/* --- POST --- */

/* 200 when the job has ended within the client's patience, or was there already by its unique key;
 * else 202. A repeated request hears what the first one did. */
static void answer_post(struct inquiry *inquiry, const struct cress_record *record)
{
    struct job_fields fields;
    const bool ended =
        cress_state_is_terminal(record->state) && (!inquiry->is_replay || inquiry->wait_ms > 0);
    struct cress_response response = {.status = ended || inquiry->is_duplicate ? 200 : 202};
    if (inquiry->is_replay) {
        cress_response_add(&response, "Idempotency-Replayed", "true");
    }
    snprintf(fields.location, sizeof fields.location, "/v1/jobs/%s", record->id);
    cress_response_add(&response, "Location", fields.location);
    add_fields(inquiry, record, &fields, &response);
    respond_record(inquiry, record, &response);
    free(inquiry->accepted);
}

/* The id is taken: shows by whom. */
static void respond_conflict(const struct inquiry *inquiry, const struct cress_record *record,
                             const struct cress_error *err)
{
    struct cress_response response = {.status = cress_problem_status(err->status)};
    char location[LOCATION_MAX];
    snprintf(location, sizeof location, "/v1/jobs/%s", record->id);
    cress_response_add(&response, "Location", location);
    char members[NUMBER_MAX * 2];
    snprintf(members, sizeof members, "\"state\":\"%s\"", cress_state_word(record->state));
    cress_gateway_problem_with(inquiry->request, &response, err->code, err->message, members);
}

static void accept_job(struct inquiry *inquiry, const struct cress_record *record)
{
    inquiry->is_replay = record->is_duplicate && record->idempotency_key != NULL &&
                         strcmp(record->idempotency_key, inquiry->idempotency_key) == 0;
    inquiry->is_duplicate = record->is_duplicate && !inquiry->is_replay;
    if (inquiry->wait_ms > 0 && !cress_gateway_of(inquiry->request)->draining) {
        inquiry->accepted = cress_record_clone(record);
        snprintf(inquiry->id, sizeof inquiry->id, "%s", record->id);
        wait_for_job(inquiry);
    } else {
        answer_post(inquiry, record);
    }
}

static void on_job_submitted(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct inquiry *inquiry = arg;
    if (err != NULL && record != NULL) {
        respond_conflict(inquiry, record, err);
    } else if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
    } else {
        accept_job(inquiry, record);
    }
}

/* A digest of the request, however its members are ordered and spaced. One that jansson cannot hold
 * (1e400) must be repeated byte for byte. */
static void digest(const struct cress_server_request *request, char text[CRESS_SHA256_TEXT_SIZE])
{
    json_t *json = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, NULL);
    char *canonical = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (canonical) {
        cress_sha256(canonical, strlen(canonical), text);
    } else {
        cress_sha256(request->body, request->body_size, text);
    }
    free(canonical);
    json_decref(json);
}

static void submit_job(struct inquiry *inquiry)
{
    const struct cress_server_request *request = inquiry->request;
    struct cress_error err;
    struct cress_json body;
    struct cress_job job;
    char *texts = NULL, fingerprint[CRESS_SHA256_TEXT_SIZE];
    if (cress_gateway_body(request, "{\"task\": …, \"payload\": …}", &body, &err) != CRESS_OK ||
        cress_job_from_request(body.text, body.size, cress_clock_wall_ms(), &job, &texts, &err) !=
            CRESS_OK) {
        cress_gateway_error(inquiry->request, &err);
        return;
    }
    if (inquiry->idempotency_key[0] != '\0') {
        digest(request, fingerprint);
        job.idempotency_key = inquiry->idempotency_key;
        job.fingerprint = fingerprint;
    }
    cress_submit(cress_gateway_door(request), &job, on_job_submitted, inquiry);
    free(texts);
}

void cress_gateway_post_job(struct cress_server_request *request, const char *param)
{
    (void)param;
    struct inquiry *inquiry = cress_server_request_alloc(request, sizeof *inquiry);
    inquiry->request = request;
    inquiry->answer = answer_post;
    if (!cress_params_is_json(cress_server_request_header(request, "content-type"))) {
        cress_gateway_problem(request, 415, "not_json",
                              "send the job with Content-Type: application/json", NULL);
        return;
    }
    if (!read_wait(inquiry)) {
        return;
    }
    struct cress_error err;
    const char *key = cress_server_request_header(request, "idempotency-key");
    if (key != NULL &&
        cress_params_idempotency_key(key, inquiry->idempotency_key, &err) != CRESS_OK) {
        cress_gateway_error(request, &err);
        return;
    }
    submit_job(inquiry);
}

/* --- cancelling --- */

/* 202 while the worker stops it. */
static void answer_cancel(struct inquiry *inquiry, const struct cress_record *record)
{
    struct job_fields fields;
    struct cress_response response = {.status = cress_state_is_terminal(record->state) ? 200 : 202};
    add_fields(inquiry, record, &fields, &response);
    respond_record(inquiry, record, &response);
}

static void on_job_cancelled(enum cress_state state, const struct cress_error *err, void *arg)
{
    struct inquiry *inquiry = arg;
    if (err != NULL && err->status == CRESS_CONFLICT) {
        char members[NUMBER_MAX * 2];
        snprintf(members, sizeof members, "\"state\":\"%s\"", cress_state_word(state));
        cress_gateway_problem(inquiry->request, 409, err->code, err->message, members);
    } else if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
    } else {
        wait_for_job(
            inquiry); /* also for no time at all: it reads what a replica may not know yet */
    }
}

void cress_gateway_cancel_job(struct cress_server_request *request, const char *param)
{
    struct inquiry *inquiry = begin_inquiry(request, param, answer_cancel);
    if (inquiry == NULL) {
        return;
    }
    char *texts;
    const char *reason;
    struct cress_error err;
    if (cress_gateway_reason(request, &texts, &reason, &err) != CRESS_OK) {
        cress_gateway_error(request, &err);
    } else {
        cress_cancel_job(cress_gateway_door(request), inquiry->id, reason, on_job_cancelled,
                         inquiry);
    }
    free(texts);
}
