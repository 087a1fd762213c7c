// SPDX-License-Identifier: Apache-2.0
// Cancelling a job; see include/cress/cress.h.
#include "common/submit/cancel.h"

#include "common/base/id.h"
#include "library/client.h"

struct cancelling {
    struct cress_client_call call;
    const char *id, *reason;
};

static void on_client_cancelled(enum cress_state state, const struct cress_error *err, void *arg)
{
    struct cancelling *cancelling = arg;
    (void)state;
    cress_client_call_end(&cancelling->call, err);
}

static void begin_cancel(struct cress_client_call *call)
{
    struct cancelling *cancelling = CRESS_CONTAINER(call, struct cancelling, call);
    const struct cress_client *client = call->client;
    cress_cancel_job(cress_client_door(client), cancelling->id, cancelling->reason,
                     on_client_cancelled, cancelling);
}

enum cress_status cress_client_cancel(struct cress_client *client, const char *id,
                                      const char *reason, struct cress_error *err)
{
    struct cancelling cancelling = {.id = id, .reason = reason};
    if (!cress_id_is_valid(id)) {
        return cress_error_set(err, CRESS_INVALID, "bad_id",
                               "a job's id has 1 to %d of A-Z a-z 0-9 . _ : @ -", CRESS_ID_MAX);
    }
    if (reason && cress_cancel_check_reason(reason, err) != CRESS_OK) {
        return CRESS_INVALID;
    }
    return cress_client_perform(client, &cancelling.call, begin_cancel, err);
}
