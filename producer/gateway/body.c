// SPDX-License-Identifier: Apache-2.0
// What a request's body says; see gateway.h.
#include "producer/gateway/gateway.h"

#include "common/submit/cancel.h"

/* Duplicate members and anything after the value are refused: two readers must not see two jobs. */
json_t *cress_gateway_body(const struct cress_request *request, const char *expected,
                           struct cress_error *err)
{
    json_error_t where;
    json_t *json = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, &where);
    if (json == NULL && request->body_size == 0) {
        cress_error_set(err, CRESS_MALFORMED, "bad_json", "the body is empty; expected %s",
                        expected);
    } else if (json == NULL) {
        cress_error_set(err, CRESS_MALFORMED, "bad_json", "line %d, column %d: %s", where.line,
                        where.column, where.text);
    }
    return json;
}

enum cress_status cress_gateway_reason(const struct cress_request *request, json_t **body,
                                       const char **reason, struct cress_error *err)
{
    json_error_t problem;
    *body = NULL;
    *reason = NULL;
    if (request->body_size == 0) {
        return CRESS_OK;
    }
    *body = cress_gateway_body(request, "", err);
    if (*body == NULL) {
        return err->status;
    }
    if (json_unpack_ex(*body, &problem, JSON_STRICT, "{s?s}", "reason", reason) != 0) {
        return cress_error_set(err, CRESS_INVALID, "invalid",
                               "the body is {\"reason\": text}, or empty: %s", problem.text);
    }
    return *reason != NULL ? cress_cancel_check_reason(*reason, err) : CRESS_OK;
}
