// SPDX-License-Identifier: Apache-2.0
// The built-in tasks of cress-worker; see handler/handler.h.
#include "worker/handler/handler.h"

#include <stddef.h>

const struct cress_handler *const cress_handler_groups[] = {
    cress_builtin_handlers,
    cress_render_handlers,
    cress_site_handlers,
    NULL,
};
