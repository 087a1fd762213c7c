// SPDX-License-Identifier: Apache-2.0
// The task site.publish: when a prerender's batch is done, write its manifest and report the
// summary. See publish.c.
#ifndef CRESS_WORKER_PUBLISH_PUBLISH_H
#define CRESS_WORKER_PUBLISH_PUBLISH_H

#include "worker/handler/handler.h"

/* Where the manifest goes, below the destination's prefix: a name that no page's URL is likely to
 * have. */
#define CRESS_MANIFEST_KEY "_cress/manifest.json"

/* The request (as for cress_job_from_request()) of the job `id` that publishes batch `batch`;
 * `site` may be NULL. To be freed. */
char *cress_publish_request(const char *id, const char *queue, const char *batch, const char *site,
                            const char *to);

void cress_publish_start(struct cress_run *run);
void cress_publish_stop(struct cress_run *run, enum cress_stop_reason reason);

#endif
