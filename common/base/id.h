// SPDX-License-Identifier: Apache-2.0
// Job ids: UUID version 7 (RFC 9562, section 5.7), sortable by time and not guessable.
//
// Producers in other languages may bring ids of their own: 1 to 128 characters of A-Z a-z 0-9 . _ :
// @ - Any thread.
#ifndef CRESS_BASE_ID_H
#define CRESS_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRESS_ID_MAX = 128, CRESS_UUID_TEXT_SIZE = 37 };

/* A new id. Ids made by one thread sort in the order they were made: 48 bits of milliseconds, 12
 * bits of counter and 62 bits of getrandom(2). Returns `text`. */
const char *cress_id_new(char text[CRESS_UUID_TEXT_SIZE]);

/* An id that depends on nothing but `parent` and `name` (UUID version 8 over SHA-256): a fan-out
 * that runs twice names the same children. Returns `text`. */
const char *cress_id_derive(const char *parent, const char *name, char text[CRESS_UUID_TEXT_SIZE]);

/* `size` - 1 random hexadecimal digits, which nobody guesses. Returns `text`. */
const char *cress_token_new(char *text, size_t size);

/* Whether `text` may be a job id: see the top of this file. */
bool cress_id_is_valid(const char *text);

#endif
