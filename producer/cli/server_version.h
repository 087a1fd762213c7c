// SPDX-License-Identifier: Apache-2.0
// How old a server is, by its own words.
#ifndef CRESS_CLI_SERVER_VERSION_H
#define CRESS_CLI_SERVER_VERSION_H

#include <stdbool.h>

/* Whether the first number in `server` ("RabbitMQ 3.10.8") is below `major`.`minor`. False when there
 * is none: what is not known is taken to be new. */
bool cress_server_is_before(const char *server, long major, long minor);

#endif
