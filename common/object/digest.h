// SPDX-License-Identifier: Apache-2.0
// Checksums of what is uploaded: SHA-256 for the signature, MD5 because it is S3's ETag. Any
// thread; blocks.
#ifndef CRESS_OBJECT_DIGEST_H
#define CRESS_OBJECT_DIGEST_H

#include "common/object/object.h"

enum { CRESS_MD5_SIZE = 16, CRESS_MD5_TEXT_SIZE = 2 * CRESS_MD5_SIZE + 1 };

struct cress_digest {
    char sha256[CRESS_SHA256_TEXT_SIZE];
    char md5[CRESS_MD5_TEXT_SIZE];
    unsigned char md5_bytes[CRESS_MD5_SIZE];
};

/* Of the object's body, from memory or its file. CRESS_IO when the file cannot be read or is
 * shorter. */
CRESS_MUST_CHECK enum cress_status cress_digest_object(const struct cress_object *object,
                                                       struct cress_digest *out,
                                                       struct cress_error *err);

/* Of `size` bytes of the file `fd` from its start. */
CRESS_MUST_CHECK enum cress_status cress_digest_file(int fd, size_t size, struct cress_digest *out,
                                                     struct cress_error *err);

/* pread(2) of all of `size` bytes at `offset`; CRESS_IO, also when the file ends before. */
CRESS_MUST_CHECK enum cress_status cress_read_fully(int fd, void *to, size_t size, size_t offset,
                                                    struct cress_error *err);

/* Lower-case hexadecimal with a NUL: 2 * size + 1 bytes. */
void cress_hex(const unsigned char *bytes, size_t size, char *text);

#endif
