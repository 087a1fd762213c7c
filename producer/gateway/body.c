// SPDX-License-Identifier: Apache-2.0
// What a request's body says; see gateway.h.
#include "producer/gateway/gateway.h"

#include "common/base/json_read.h"
#include "common/submit/cancel.h"

enum cress_status cress_gateway_body(const struct cress_server_request *request,
                                     const char *expected, struct cress_json *body,
                                     struct cress_error *err)
{
    if (request->body_size == 0) {
        return cress_error_set(err, CRESS_MALFORMED, "bad_json", "the body is empty; expected %s",
                               expected);
    }
    return cress_json_check(request->body, request->body_size, body, err);
}

enum cress_status cress_gateway_reason(const struct cress_server_request *request, char **texts,
                                       const char **reason, struct cress_error *err)
{
    static const struct cress_json_field fields[] = {{"reason", CRESS_FIELD_TEXT, .offset = 0}};
    struct cress_json body;
    *texts = NULL;
    *reason = NULL;
    if (request->body_size == 0) {
        return CRESS_OK;
    }
    enum cress_status status = cress_gateway_body(request, "", &body, err);
    if (status == CRESS_OK) {
        status = cress_json_read(body, fields, 1, "the body is {\"reason\": text}, or empty",
                                 reason, texts, err);
    }
    return status == CRESS_OK && *reason != NULL ? cress_cancel_check_reason(*reason, err) : status;
}
