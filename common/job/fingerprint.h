// SPDX-License-Identifier: Apache-2.0
// What errors have in common: the fingerprint by which failed jobs are grouped.
//
// Two errors are of one kind when task, code and the mask of the message are the same. The mask is
// the message without what differs from one occurrence to the next:
//
//   connect to 10.0.0.7:5432 failed after 31 ms      connect to # failed after # ms
//   no user "bob" in table 'users'                   no user "*" in table '*'
//   GET https://example.com/a/b?c=7 answered 503     GET https://example.com/* answered #
//   object 9f86d081884c7d65 is gone                  object # is gone
//
// Pure functions; any thread.
#ifndef CRESS_JOB_FINGERPRINT_H
#define CRESS_JOB_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

enum { CRESS_MASK_MAX = 256, CRESS_FINGERPRINT_TEXT_SIZE = 17 };

/* Writes the mask of `message`, cut between characters when it is too long. Returns `mask`. */
const char *cress_error_mask(const char *message, char mask[CRESS_MASK_MAX]);

/* 16 hexadecimal digits. NULL counts as "". Returns `text`. */
const char *cress_error_fingerprint(const char *task, const char *code, const char *message,
                                    char text[CRESS_FINGERPRINT_TEXT_SIZE]);

/* FNV-1a over `size` bytes, begun with CRESS_HASH_BEGIN or an earlier hash: for names that need
 * not withstand malice. */
#define CRESS_HASH_BEGIN UINT64_C(14695981039346656037)
uint64_t cress_hash(uint64_t hash, const void *data, size_t size);

#endif
