// SPDX-License-Identifier: Apache-2.0
// Where Redis is and how to log in: store.url or store.read_url, taken apart. Pure functions; any
// thread.
#ifndef CRESS_STORE_ADDRESS_H
#define CRESS_STORE_ADDRESS_H

#include "common/base/status.h"

#include <stddef.h>

/* Owned texts; NULL when absent. */
struct cress_redis_address {
    char *host; /* a name or a numeric address; NULL when one of the following two is set */
    int port;
    char *path;                            /* of a socket in the file system */
    char *master;                          /* the name by which the Sentinels know the server */
    struct cress_redis_address *sentinels; /* where to ask them: host, port and label */
    size_t sentinel_count;
    char *user;
    char *password;
    int db;
    char *label; /* the same for logs and errors, without the login: 127.0.0.1:6379/0 */
};

/* Reads
 *     redis://[[user]:password@]host[:port][/db]
 *     unix://[[user]:password@]/path[?db=N]
 *     sentinel://[[user]:password@]host[:port][,host[:port]...]/master[/db]
 * %XX is decoded in user and password. CRESS_CONFIG says what is wrong with `option`, without the
 * password. Free with cress_redis_address_free(). */
CRESS_MUST_CHECK enum cress_status cress_redis_address_parse(const char *text, const char *option,
                                                             struct cress_redis_address *out,
                                                             struct cress_error *err);
void cress_redis_address_free(struct cress_redis_address *address);

#endif
