// SPDX-License-Identifier: Apache-2.0
// What jobs write to their logs, over HTTP: GET /v1/jobs/{id}/logs. See docs/http-api.md.
#include "producer/gateway/gateway.h"

#include "common/base/id.h"
#include "common/base/text.h"
#include "producer/gateway/params.h"

#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_MAX = 32 };

/* A request for a log, in the request's memory. */
struct inquiry {
    struct cress_server_request *request;
    char id[CRESS_ID_MAX + 1];
    int64_t attempt; /* 0: the newest */
    int64_t offset;
    enum cress_state state;
    bool is_over; /* nothing more is written to this log */
};

static void on_log_read(const char *text, size_t size, const struct cress_error *err, void *arg)
{
    const struct inquiry *inquiry = arg;
    if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
        return;
    }
    char attempt[NUMBER_MAX], next[NUMBER_MAX];
    snprintf(attempt, sizeof attempt, "%" PRId64, inquiry->attempt);
    snprintf(next, sizeof next, "%" PRId64, inquiry->offset + (int64_t)size);
    struct cress_response response = {.status = 200, .body = text, .body_size = size};
    cress_response_add(&response, "Content-Type", "text/plain; charset=utf-8");
    cress_response_add(&response, "X-Content-Type-Options", "nosniff");
    cress_response_add(&response, "Cress-State", cress_state_word(inquiry->state));
    cress_response_add(&response, "Cress-Attempt", attempt);
    cress_response_add(&response, "Cress-Log-Next", next);
    if (inquiry->is_over) {
        cress_response_add(&response, "Cache-Control", "private, max-age=10");
    } else {
        cress_response_add(&response, "Cache-Control", "private, no-cache");
        cress_response_add(&response, "Retry-After", "1");
    }
    cress_gateway_respond(inquiry->request, &response);
}

/* The record first: what it says to be over has all of its log. */
static void on_logged_record(const struct cress_record *record, const struct cress_error *err,
                             void *arg)
{
    struct inquiry *inquiry = arg;
    if (err != NULL) {
        cress_gateway_error(inquiry->request, err);
        return;
    }
    if (record == NULL) {
        cress_gateway_problem(
            inquiry->request, 404, "unknown_job",
            "there is no job with this id: it never existed, or its record has expired", NULL);
        return;
    }
    if (inquiry->attempt == 0) {
        inquiry->attempt = record->attempt;
    }
    inquiry->state = record->state;
    inquiry->is_over = cress_state_is_terminal(record->state) || record->attempt > inquiry->attempt;
    cress_store_log_get(cress_gateway_of(inquiry->request)->store, inquiry->id,
                        (int)inquiry->attempt, inquiry->offset, on_log_read, inquiry);
}

/* ?name=N, or `*value` stays. False: it is no number from `min` to `max`, and that was answered. */
static bool read_attempt_number(struct cress_server_request *request, const char *name, int64_t min,
                                int64_t max, int64_t *value)
{
    char text[NUMBER_MAX];
    int64_t number;
    if (!cress_params_query(request->query, name, text, sizeof text)) {
        return true;
    }
    if (cress_text_to_int(text, &number) && number >= min && number <= max) {
        *value = number;
        return true;
    }
    char code[NUMBER_MAX], detail[128];
    snprintf(code, sizeof code, "bad_%s", name);
    snprintf(detail, sizeof detail, "%s=%s is not a number from %" PRId64 " to %" PRId64, name,
             text, min, max);
    cress_gateway_problem(request, 400, code, detail, NULL);
    return false;
}

void cress_gateway_get_logs(struct cress_server_request *request, const char *param)
{
    struct inquiry *inquiry = cress_server_request_alloc(request, sizeof *inquiry);
    inquiry->request = request;
    snprintf(inquiry->id, sizeof inquiry->id, "%s", param);
    if (!cress_id_is_valid(param)) {
        cress_gateway_problem(request, 404, "unknown_job",
                              "this is no job id: 1 to 128 of A-Z a-z 0-9 . _ : @ -", NULL);
    } else if (read_attempt_number(request, "attempt", 1, 1000, &inquiry->attempt) &&
               read_attempt_number(request, "offset", 0, INT32_MAX, &inquiry->offset)) {
        cress_store_peek(cress_gateway_of(request)->store, inquiry->id, on_logged_record, inquiry);
    }
}
