// SPDX-License-Identifier: Apache-2.0
// Amazon's credential chain, as far as Cress follows it: configuration (which reads
// AWS_ACCESS_KEY_ID and its kin), then the profile in ~/.aws/credentials or the file that
// AWS_SHARED_CREDENTIALS_FILE names.
#ifndef CRESS_OBJECT_CREDENTIALS_H
#define CRESS_OBJECT_CREDENTIALS_H

#include "common/config/config.h"

struct cress_credentials {
    char *access_key_id;
    char *secret;
    char *session_token; /* NULL: none */
};

/* CRESS_CONFIG says where was looked and what is missing. Reads a small file at most every 10 s: blocks
 * shortly then. Loop thread only. Free with cress_credentials_free(). */
CRESS_MUST_CHECK enum cress_status cress_credentials_find(const struct cress_config *config,
                                                          struct cress_credentials *out,
                                                          struct cress_error *err);
void cress_credentials_free(struct cress_credentials *credentials);

#endif
