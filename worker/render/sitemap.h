// SPDX-License-Identifier: Apache-2.0
// A reader of sitemaps (sitemaps.org protocol 0.9), sitemap indexes and plain lists of URLs,
// gzipped or not, in constant memory: input is pushed in pieces, URLs come out one by one, and the
// reader can be held at any time.
//
// What it is given is told from the content, not from a name or a Content-Type: gzip by its magic
// number, XML by its first character; else one URL a line, where empty lines and lines that begin
// with # are skipped. A document type declaration is refused (entity bombs); nothing is ever
// fetched by the parser. Not thread-safe; nothing blocks.
#ifndef CRESS_WORKER_RENDER_SITEMAP_H
#define CRESS_WORKER_RENDER_SITEMAP_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct cress_sitemap;

/* `on_url` gets each URL as it was written, trimmed; `is_sitemap` says that an index names another
 * sitemap. */
struct cress_sitemap *cress_sitemap_new(void (*on_url)(const char *url, bool is_sitemap, void *arg),
                                        void *arg);
void cress_sitemap_free(struct cress_sitemap *sitemap);

/* Takes a copy of the next piece of input. */
void cress_sitemap_push(struct cress_sitemap *sitemap, const void *data, size_t size);

/* Reads what was pushed until about `budget` URLs have come out (a few hundred more at most) or the
 * input is used up: then `*drained` is true. CRESS_INVALID "not_a_sitemap" or "bad_gzip" says what
 * is wrong. */
CRESS_MUST_CHECK enum cress_status cress_sitemap_read(struct cress_sitemap *sitemap, size_t budget,
                                                      bool *drained, struct cress_error *err);

/* The input has ended and is drained: an incomplete document is an error. */
CRESS_MUST_CHECK enum cress_status cress_sitemap_end(struct cress_sitemap *sitemap,
                                                     struct cress_error *err);

#endif
