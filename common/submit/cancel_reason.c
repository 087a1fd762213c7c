// SPDX-License-Identifier: Apache-2.0
// Why a job is cancelled; see cancel_reason.h.
#include "common/submit/cancel_reason.h"

#include "common/base/error_json.h"
#include "common/base/text.h"

#include <string.h>

enum cress_status cress_cancel_check_reason(const char *reason, struct cress_error *err)
{
    const size_t size = strlen(reason);

    if (size > CRESS_CANCEL_REASON_MAX || !cress_text_is_utf8(reason, size)) {
        return cress_error_set(err, CRESS_INVALID, "invalid_reason",
                               "a reason is UTF-8 text of at most %d bytes",
                               CRESS_CANCEL_REASON_MAX);
    }
    return CRESS_OK;
}

char *cress_cancel_error(const char *reason)
{
    struct cress_buf error = cress_buf_make((size_t)8 * CRESS_CANCEL_REASON_MAX);

    cress_error_json(&error, "cancelled", reason);
    return cress_buf_take(&error);
}
