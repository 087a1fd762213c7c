// SPDX-License-Identifier: Apache-2.0
// A Redis server of the test's own, in a folder under /tmp, to be paused, killed and started again.
#ifndef CRESS_TESTS_STORE_SERVER_H
#define CRESS_TESTS_STORE_SERVER_H

#include <sys/types.h>

struct server {
    char folder[64];
    int port;
    pid_t pid;
    char url[128]; /* of database 9, with the password */
};

/* Makes the folder and chooses a free port. */
void server_prepare(struct server *server);

/* Starts it and returns when it listens; it loads what server_stop() has saved. */
void server_start(struct server *server);

/* Ends it by SIGTERM, upon which it saves its data. */
void server_stop(struct server *server);

/* Forgets what was saved and removes the folder. */
void server_clean(struct server *server);
void server_forget(struct server *server);

#endif
