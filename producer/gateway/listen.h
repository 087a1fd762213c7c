// SPDX-License-Identifier: Apache-2.0
// A listening TCP socket from a text such as "127.0.0.1:8080". Loop thread only; resolving a name
// blocks.
#ifndef CRESS_GATEWAY_LISTEN_H
#define CRESS_GATEWAY_LISTEN_H

#include "common/base/status.h"

#include <uv.h>

enum { CRESS_LISTEN_URL_MAX = 128 };

/* Takes "address:port", "[address]:port" or "name:port" apart; ":8080" means all addresses. */
CRESS_MUST_CHECK enum cress_status cress_listen_parse(const char *text,
                                                      char host[CRESS_LISTEN_URL_MAX], char port[8],
                                                      struct cress_error *err);

/* Initialises `listener`, binds it and listens. On failure it is closing already: its memory must
 * live until the loop has turned. `url` gets "http://address:port" as it really is. */
CRESS_MUST_CHECK enum cress_status cress_listen_open(uv_loop_t *loop, const char *text,
                                                     uv_tcp_t *listener, uv_connection_cb accept_cb,
                                                     char url[CRESS_LISTEN_URL_MAX],
                                                     struct cress_error *err);

#endif
