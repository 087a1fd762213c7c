// SPDX-License-Identifier: Apache-2.0
// The status pages for people: producer/gateway/web/*, embedded at build time. They read nothing
// but the public API.
#ifndef CRESS_GATEWAY_PAGES_H
#define CRESS_GATEWAY_PAGES_H

#include "producer/gateway/http.h"

void cress_pages_index(struct cress_server_request *request, const char *param);
void cress_pages_progress(struct cress_server_request *request,
                          const char *param); /* one job or batch */
void cress_pages_script(struct cress_server_request *request, const char *param);
void cress_pages_style(struct cress_server_request *request, const char *param);

#endif
