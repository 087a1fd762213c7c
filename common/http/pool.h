// SPDX-License-Identifier: Apache-2.0
// A set of connections that may be reused for each other: one curl multi handle driven by the loop.
// Internal to common/http. Loop thread only.
#ifndef CRESS_HTTP_POOL_H
#define CRESS_HTTP_POOL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct cress_http_pool;

/* `ended` is called from the loop, never from within curl, for each transfer that is over.
 * cress_http_pool_remove() follows, then or later; others may be added. */
struct cress_http_pool *cress_http_pool_open(uv_loop_t *loop, int per_host,
                                             void (*ended)(CURL *easy, CURLcode result));

/* All transfers must have been removed; not from within `ended`. `closed` is called when no handle
 * is left on the loop. */
void cress_http_pool_close(struct cress_http_pool *pool, void (*closed)(void *arg), void *arg);

/* Begins the transfer on the next turn of the loop. False when curl refuses it. */
bool cress_http_pool_add(struct cress_http_pool *pool, CURL *easy);

/* Ends the transfer, if it runs. Not from within a curl callback. */
void cress_http_pool_remove(struct cress_http_pool *pool, CURL *easy);

#endif
