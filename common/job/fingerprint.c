// SPDX-License-Identifier: Apache-2.0
// Masks and fingerprints of errors; see fingerprint.h.
#include "common/job/fingerprint.h"

#include "common/base/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The mask while it is written. */
struct mask {
    char *out;
    size_t size;
    bool full;
};

static void put(struct mask *mask, const char *text, size_t size)
{
    mask->full = mask->full || mask->size + size >= CRESS_MASK_MAX;
    if (!mask->full) {
        memcpy(mask->out + mask->size, text, size);
        mask->size += size;
    }
}

/* By ASCII alone: the locale must not change a fingerprint. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alphanumeric(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* --- quoted parts: "…", '…', `…` --- */

/* The length of the quoted part at `text`; 0 when it is none. An apostrophe within a word quotes
 * nothing. */
static size_t quoted_length(const char *text, char before)
{
    if ((*text != '"' && *text != '\'' && *text != '`') || is_alphanumeric(before)) {
        return 0;
    }
    const char *end = strchr(text + 1, *text);
    return end ? (size_t)(end - text) + 1 : 0;
}

static void put_quoted(struct mask *mask, char quote)
{
    const char masked[] = {quote, '*', quote};
    put(mask, masked, sizeof masked);
}

/* --- URLs: the host tells, the path does not --- */

static size_t host_end(const char *text)
{
    static const char *const schemes[] = {"http://", "https://", "s3://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (cress_text_starts_with(text, schemes[i])) {
            const size_t size = strlen(schemes[i]);
            return size + strcspn(text + size, "/?# \t\r\n\"'`<>(),;");
        }
    }
    return 0;
}

/* The character at `text`, or a question mark for a byte that is not UTF-8; returns its length. */
static size_t put_character(struct mask *mask, const char *text, size_t left)
{
    const size_t size = cress_text_utf8_length(text, left);
    put(mask, size ? text : "?", size ? size : 1);
    return size ? size : 1;
}

static size_t put_url(struct mask *mask, const char *text, size_t host)
{
    const size_t rest = strcspn(text + host, " \t\r\n\"'`<>(),;");
    for (size_t i = 0; i < host;) {
        i += put_character(mask, text + i, host - i);
    }
    if (rest > 1) {
        put(mask, "/*", 2);
    }
    return host + rest;
}

/* --- numbers and hexadecimal --- */

/* Whether the word is an id or an address rather than a word: digits alone, or hexadecimal with a
 * digit in it, or 0x…. */
static bool is_number(const char *word, size_t size)
{
    const bool prefixed = size > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    size_t digits = 0, hex = prefixed ? 2 : 0;
    for (size_t i = hex; i < size; i++) {
        digits += is_digit(word[i]);
        hex += is_hex(word[i]);
    }
    return hex == size && (prefixed || digits == size || (digits > 0 && size >= 4));
}

/* A number that goes on after one of . : , - is one number: an address, a time, a UUID. */
static void put_number(struct mask *mask)
{
    const size_t n = mask->size;
    if (n >= 2 && mask->out[n - 2] == '#' && strchr(".:,-", mask->out[n - 1])) {
        mask->size--;
    } else if (n == 0 || mask->out[n - 1] != '#') {
        put(mask, "#", 1);
    }
}

/* A word such as host12 keeps its letters. */
static void put_mixed(struct mask *mask, const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(word[i])) {
            put(mask, &word[i], 1);
        } else if (i == 0 || !is_digit(word[i - 1])) {
            put(mask, "#", 1);
        }
    }
}

static size_t put_word(struct mask *mask, const char *text)
{
    size_t size = 0;
    while (is_alphanumeric(text[size])) {
        size++;
    }
    if (is_number(text, size)) {
        put_number(mask);
    } else {
        put_mixed(mask, text, size);
    }
    return size;
}

/* --- the rest --- */

static size_t put_other(struct mask *mask, const char *text)
{
    const size_t left = strlen(text);
    if (!is_blank(*text)) {
        return put_character(mask, text, left);
    }
    size_t blanks = 1;
    while (is_blank(text[blanks])) {
        blanks++;
    }
    put(mask, " ", mask->size > 0 && blanks < left);
    return blanks;
}

const char *cress_error_mask(const char *message, char mask[CRESS_MASK_MAX])
{
    struct mask made = {.out = mask};
    char before = ' ';
    for (size_t i = 0; message[i] && !made.full; before = message[i - 1]) {
        const char *at = message + i;
        const size_t quoted = quoted_length(at, before);
        const size_t host = is_alphanumeric(before) ? 0 : host_end(at);
        if (quoted) {
            put_quoted(&made, *at);
            i += quoted;
        } else if (host) {
            i += put_url(&made, at, host);
        } else {
            i += is_alphanumeric(*at) ? put_word(&made, at) : put_other(&made, at);
        }
    }
    mask[made.size] = '\0';
    return mask;
}

/* --- fingerprints --- */

uint64_t cress_hash(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* With its NUL, which keeps ("ab", "c") and ("a", "bc") apart. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    const char *known = text ? text : "";
    return cress_hash(hash, known, strlen(known) + 1);
}

const char *cress_error_fingerprint(const char *task, const char *code, const char *message,
                                    char text[CRESS_FINGERPRINT_TEXT_SIZE])
{
    char mask[CRESS_MASK_MAX] = "";
    uint64_t hash = hash_text(CRESS_HASH_BEGIN, task);
    hash = hash_text(hash, code);
    hash = hash_text(hash, cress_error_mask(message ? message : "", mask));
    snprintf(text, CRESS_FINGERPRINT_TEXT_SIZE, "%016" PRIx64, hash);
    return text;
}
