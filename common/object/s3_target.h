// SPDX-License-Identifier: Apache-2.0
// Where an S3 store is and who we are there: s3://bucket/prefix together with the configuration.
#ifndef CRESS_OBJECT_S3_TARGET_H
#define CRESS_OBJECT_S3_TARGET_H

#include "common/object/backend.h"
#include "common/object/credentials.h"

struct cress_s3_target {
    bool is_https;
    bool is_path_style; /* host/bucket/key, else bucket.host/key */
    char *host;         /* of the endpoint; with its port unless that is the scheme's own */
    char *bucket;
    char *prefix; /* without slashes at its ends; "" for none */
    char *region;
    struct cress_credentials credentials;
};

/* CRESS_INVALID for the URL, CRESS_CONFIG for options and credentials. Free with
 * cress_s3_target_free(). */
CRESS_MUST_CHECK enum cress_status cress_s3_target_read(const struct cress_config *config,
                                                        const char *url,
                                                        struct cress_s3_target *out,
                                                        struct cress_error *err);
void cress_s3_target_free(struct cress_s3_target *target);

/* Amazon's general purpose rules: 3 to 63 of a-z 0-9 . - , begins and ends with letter or digit, no
 * "..", not like an IPv4 address. */
bool cress_s3_bucket_is_valid(const char *bucket);

#endif
