// SPDX-License-Identifier: Apache-2.0
// Errors as JSON; see error_json.h.
#include "common/base/error_json.h"

bool cress_error_json(struct cress_buf *out, const char *code, const char *message)
{
    return cress_buf_add_member(out, "{\"code\":", code) &&
           cress_buf_add_member(out, ",\"message\":", message) && cress_buf_add_char(out, '}');
}
