// SPDX-License-Identifier: Apache-2.0
// Small things done to text: numbers read strictly, lists split, "did you mean". Any thread.
#ifndef CRESS_BASE_TEXT_H
#define CRESS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the whole of `text` as a decimal integer: no blanks, no rest. False when it is not one. */
bool cress_text_to_int(const char *text, int64_t *value);

/* Reads "4096", "64k", "10M", "2G" (powers of 1024). */
bool cress_text_to_bytes(const char *text, int64_t *bytes);

bool cress_text_starts_with(const char *text, const char *prefix);

/* The length of the UTF-8 sequence (RFC 3629) that `text` begins with; 0 when it is none or cut
 * short. */
size_t cress_text_utf8_length(const char *text, size_t size);
bool cress_text_is_utf8(const char *text, size_t size);

/* The length of the character that `text` begins with if it can play tricks on a terminal or on the
 * eye of a reader: control characters (C0, DEL, C1), the ends of lines U+2028 and U+2029, and what
 * turns the direction of writing (Unicode Standard Annex 9: U+061C, U+200E, U+200F, U+202A to
 * U+202E, U+2066 to U+2069). `*code` is then its number. 0: harmless, or no character at all. */
size_t cress_text_hostile_length(const char *text, size_t size, unsigned *code);

/* Splits "a, b,c" at commas, trims blanks and drops empty parts. The array ends with NULL; free it
 * with cress_text_list_free(). */
char **cress_text_split(const char *text);
void cress_text_list_free(char **list);

/* The candidate that begins with `word`, or is closest to it (Damerau-Levenshtein); NULL when none
 * is close enough to be meant. `candidates` ends with NULL. */
const char *cress_text_closest(const char *word, const char *const *candidates);

/* Copies `url` for logs and errors, with *** in place of user and password. */
void cress_text_redact_url(const char *url, char *out, size_t out_size);

#endif
