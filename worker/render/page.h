// SPDX-License-Identifier: Apache-2.0
// The task page.render; see page.c. Its handler is in the array cress_render_handlers.
#ifndef CRESS_WORKER_RENDER_PAGE_H
#define CRESS_WORKER_RENDER_PAGE_H

#include "common/base/status.h"

#include <jansson.h>

/* Reads {"url", "to", "cache_control"?}. The texts are the payload's. CRESS_INVALID
 * "invalid_payload". */
CRESS_MUST_CHECK enum cress_status cress_page_payload_read(json_t *payload, const char **url,
                                                           const char **to,
                                                           struct cress_error *err);

#endif
