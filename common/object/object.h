// SPDX-License-Identifier: Apache-2.0
// Object stores behind one door: S3 with signature V4, S3 through libs3 (signature V2 servers), and
// a directory.
//
//   s3://bucket/prefix   file:///var/www/pages
//
// Endpoint and credentials come from the configuration, never from a job: a job names only bucket,
// prefix and keys. Temporary failures (5xx, timeouts, resets) are tried again with backoff,
// `s3.attempts` times in all; 403 and 404 never. An error's code is the store's own (NoSuchBucket,
// AccessDenied, SignatureDoesNotMatch, …). An upload that succeeded is confirmed by the store:
// whole, and with the right content.
//
// Loop thread only; nothing blocks (blocking libraries run on libuv's thread pool).
#ifndef CRESS_OBJECT_OBJECT_H
#define CRESS_OBJECT_OBJECT_H

#include "common/config/config.h"
#include "common/http/http.h"

#include <stdint.h>
#include <uv.h>

struct cress_object_store;

/* Reads `url` and prepares; connects to nothing. CRESS_INVALID says what is wrong with the URL,
 * CRESS_CONFIG with the options or credentials. `config` must live until this returns, `http` must
 * not be closed before the last callback: a request may be waiting for its next attempt. With
 * s3.backend = libs3, all stores belong to one thread. */
CRESS_MUST_CHECK enum cress_status
cress_object_store_open(uv_loop_t *loop, struct cress_http *http, const struct cress_config *config,
                        const char *url, struct cress_object_store **out, struct cress_error *err);

/* Lets go of it; what is under way still ends and calls back. */
void cress_object_store_close(struct cress_object_store *store);

/* Breaks off what is under way where that can be done: requests over HTTP and the waits between
 * attempts; nothing is tried again. Each still calls back, as a rule with CRESS_CANCELLED. */
void cress_object_store_abandon(struct cress_object_store *store);

enum { CRESS_OBJECT_META_MAX = 8, CRESS_OBJECT_KEY_MAX = 1024 };

struct cress_object_meta {
    const char *name; /* without x-amz-meta-: lower-case letters, digits and - */
    const char *value;
};

struct cress_object {
    const char *key; /* below the store's prefix; UTF-8, at most CRESS_OBJECT_KEY_MAX bytes with the
                        prefix */
    const void *body; /* must live until the callback; NULL: from `fd` */
    size_t size;
    int fd;
    const char *content_type;     /* NULL: application/octet-stream */
    const char *cache_control;    /* NULL: none */
    const char *content_encoding; /* NULL: none */
    struct cress_object_meta meta[CRESS_OBJECT_META_MAX];
    size_t meta_count;
};

typedef void (*cress_object_cb)(const struct cress_error *err, void *arg);

/* Stores the object, replacing an earlier one at once or not at all. The texts are copied; control
 * characters in them are CRESS_INVALID. A directory keeps the body only, takes no key with "//",
 * "." or ".." as a part, and follows no symbolic link below itself (CRESS_DENIED
 * "symlink_refused"). */
void cress_object_put(struct cress_object_store *store, const struct cress_object *object,
                      cress_object_cb done, void *arg);

struct cress_object_info {
    bool exists;
    int64_t size;
    const char *content_type; /* NULL: the store keeps none, as a directory does */
    const char *sha256; /* metadata `sha256` as we upload it, hexadecimal; NULL: absent. A directory
                           computes it. */
};

typedef void (*cress_object_head_cb)(const struct cress_object_info *info,
                                     const struct cress_error *err, void *arg);
void cress_object_head(struct cress_object_store *store, const char *key, cress_object_head_cb done,
                       void *arg);

/* Whether bucket or directory is there and may be used: for `cress doctor`. */
void cress_object_check(struct cress_object_store *store, cress_object_cb done, void *arg);

/* SHA-256 of `data` in lower-case hexadecimal. */
enum { CRESS_SHA256_TEXT_SIZE = 65 };
const char *cress_sha256(const void *data, size_t size, char text[CRESS_SHA256_TEXT_SIZE]);

#endif
