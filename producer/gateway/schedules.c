// SPDX-License-Identifier: Apache-2.0
// Schedules over HTTP: GET /v1/schedules, GET /v1/schedules/{name}, POST
// /v1/schedules/{name}/pause, /resume and /run.
#include "producer/schedules.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "producer/gateway/gateway.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, LOCATION_MAX = CRESS_ID_MAX + 16 };

/* A request about one schedule. */
struct schedule_request {
    struct cress_server_request *request;
    char name[NAME_MAX_BYTES + 1];
};

/* NULL, and answered: there can be no such schedule. */
static struct schedule_request *begin_schedule_request(struct cress_server_request *request,
                                                       const char *name)
{
    struct schedule_request *self = cress_server_request_alloc(request, sizeof *self);
    struct cress_error err;
    if (strlen(name) > NAME_MAX_BYTES) {
        cress_schedules_missing(name, &err);
        cress_gateway_error(request, &err);
        return NULL;
    }
    self->request = request;
    snprintf(self->name, sizeof self->name, "%s", name);
    return self;
}

/* --- reading --- */

static void on_schedules(const struct cress_schedule_record *schedules, size_t count,
                         const struct cress_error *err, void *arg)
{
    struct cress_server_request *request = arg;
    if (err != NULL) {
        cress_gateway_error(request, err);
        return;
    }
    struct cress_buf *page = cress_gateway_page(cress_gateway_of(request));
    cress_buf_add_char(page, '[');
    for (size_t i = 0; i < count; i++) {
        cress_buf_add_text(page, i > 0 ? "," : "");
        cress_schedules_write_json(&schedules[i], cress_clock_wall_ms(), page);
    }
    cress_buf_add_char(page, ']');
    cress_gateway_respond_fresh(request);
}

void cress_gateway_get_schedules(struct cress_server_request *request, const char *param)
{
    (void)param;
    cress_store_schedules(cress_gateway_of(request)->store, NULL, on_schedules, request);
}

/* True when it is answered: there is no such schedule, or no store. */
static bool answer_missing(const struct schedule_request *self, size_t count,
                           const struct cress_error *err)
{
    struct cress_error missing;
    if (err == NULL && count == 0) {
        cress_schedules_missing(self->name, &missing);
        err = &missing;
    }
    if (err != NULL) {
        cress_gateway_error(self->request, err);
    }
    return err != NULL;
}

static void on_schedule(const struct cress_schedule_record *schedules, size_t count,
                        const struct cress_error *err, void *arg)
{
    struct schedule_request *self = arg;
    if (!answer_missing(self, count, err)) {
        cress_schedules_write_json(schedules, cress_clock_wall_ms(),
                                   cress_gateway_page(cress_gateway_of(self->request)));
        cress_gateway_respond_fresh(self->request);
    }
}

static void respond_schedule(struct schedule_request *self)
{
    cress_store_schedules(cress_gateway_of(self->request)->store, self->name, on_schedule, self);
}

void cress_gateway_get_schedule(struct cress_server_request *request, const char *param)
{
    struct schedule_request *self = begin_schedule_request(request, param);
    if (self != NULL) {
        respond_schedule(self);
    }
}

/* --- pausing --- */

static void on_schedule_paused(const struct cress_error *err, void *arg)
{
    struct schedule_request *self = arg;
    if (!answer_missing(self, 1, err)) {
        respond_schedule(self);
    }
}

static void pause_schedule(struct cress_server_request *request, const char *name, bool paused)
{
    struct schedule_request *self = begin_schedule_request(request, name);
    if (self != NULL) {
        cress_store_schedule_pause(cress_gateway_of(request)->store, self->name, paused,
                                   on_schedule_paused, self);
    }
}

void cress_gateway_pause_schedule(struct cress_server_request *request, const char *param)
{
    pause_schedule(request, param, true);
}

void cress_gateway_resume_schedule(struct cress_server_request *request, const char *param)
{
    pause_schedule(request, param, false);
}

/* --- running --- */

static void on_schedule_submitted(const struct cress_record *record, const struct cress_error *err,
                                  void *arg)
{
    const struct schedule_request *self = arg;
    if (err != NULL) {
        cress_gateway_error(self->request, err);
        return;
    }
    char location[LOCATION_MAX];
    struct cress_response response = {.status = 202};
    snprintf(location, sizeof location, "/v1/jobs/%s", record->id);
    cress_response_add(&response, "Location", location);
    cress_response_add(&response, "Retry-After", "1");
    cress_record_write_json(record, cress_gateway_page(cress_gateway_of(self->request)));
    cress_gateway_respond_page(self->request, &response);
}

static void on_schedule_to_run(const struct cress_schedule_record *schedules, size_t count,
                               const struct cress_error *err, void *arg)
{
    struct schedule_request *self = arg;
    if (answer_missing(self, count, err)) {
        return;
    }
    cress_schedules_run(cress_gateway_door(self->request), schedules, on_schedule_submitted, self);
}

void cress_gateway_run_schedule(struct cress_server_request *request, const char *param)
{
    struct schedule_request *self = begin_schedule_request(request, param);
    if (self != NULL) {
        cress_store_schedules(cress_gateway_of(request)->store, self->name, on_schedule_to_run,
                              self);
    }
}
