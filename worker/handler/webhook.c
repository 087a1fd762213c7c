// SPDX-License-Identifier: Apache-2.0
// Signatures, statuses and Retry-After of HTTP tasks; see webhook.h.
#include "worker/handler/webhook.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_PREFIX   "whsec_"
#define SECRET_LETTERS  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define SECRET_BETWEEN  ", \t\r\n"
#define PREFIX_LENGTH   (sizeof SECRET_PREFIX - 1)
#define BASE64_SIZE(n)  (((n) + 2) / 3 * 4)
#define BASE64_KEY_MAX  BASE64_SIZE(CRESS_WEBHOOK_KEY_MAX)
#define BASE64_HMAC_MAX (BASE64_SIZE(EVP_MAX_MD_SIZE) + 1)

/* --- keys --- */

/* The number of bytes that `size` characters of base64 stand for; 0 when they are not base64. */
static size_t decode_base64(const char *text, size_t size, unsigned char *bytes)
{
    const size_t letters = strspn(text, SECRET_LETTERS);
    const size_t padding = size - (letters < size ? letters : size);
    if (size == 0 || size % 4 != 0 || padding > 2 || strspn(text + letters, "=") < padding ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)size) < 0) {
        return 0;
    }
    return size / 4 * 3 - padding;
}

static enum cress_status parse_key(const char *text, size_t size, size_t number,
                                   struct cress_webhook_key *key, struct cress_error *err)
{
    if (size < PREFIX_LENGTH || strncmp(text, SECRET_PREFIX, PREFIX_LENGTH) != 0) {
        return cress_error_set(err, CRESS_CONFIG, "bad_secret",
                               "webhook secret %zu does not begin with " SECRET_PREFIX, number);
    }
    unsigned char bytes[BASE64_KEY_MAX / 4 * 3];
    const size_t length = size - PREFIX_LENGTH;
    const size_t key_size =
        length <= BASE64_KEY_MAX ? decode_base64(text + PREFIX_LENGTH, length, bytes) : 0;
    if (key_size < CRESS_WEBHOOK_KEY_MIN || key_size > CRESS_WEBHOOK_KEY_MAX) {
        return cress_error_set(err, CRESS_CONFIG, "bad_secret",
                               "webhook secret %zu is not the base64 of %d to %d bytes", number,
                               CRESS_WEBHOOK_KEY_MIN, CRESS_WEBHOOK_KEY_MAX);
    }
    memcpy(key->bytes, bytes, key_size);
    key->size = key_size;
    return CRESS_OK;
}

enum cress_status cress_webhook_keys_parse(const char *text, struct cress_webhook_keys *keys,
                                           struct cress_error *err)
{
    struct cress_webhook_keys found = {.count = 0};
    while (*(text += strspn(text, SECRET_BETWEEN))) {
        if (found.count == CRESS_WEBHOOK_KEYS_MAX) {
            return cress_error_set(err, CRESS_CONFIG, "bad_secret",
                                   "more than %d webhook secrets", CRESS_WEBHOOK_KEYS_MAX);
        }
        const size_t size = strcspn(text, SECRET_BETWEEN);
        const enum cress_status status =
            parse_key(text, size, found.count + 1, &found.keys[found.count], err);
        if (status != CRESS_OK) {
            return status;
        }
        found.count++;
        text += size;
    }
    if (found.count == 0) {
        return cress_error_set(err, CRESS_CONFIG, "bad_secret", "there is no webhook secret");
    }
    *keys = found;
    return CRESS_OK;
}

/* --- signing --- */

static void sign_with(const struct cress_webhook_key *key, const struct cress_buf *content,
                      struct cress_buf *out)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_size = 0;
    if (!HMAC(EVP_sha256(), key->bytes, (int)key->size, (const unsigned char *)content->data,
              content->size, mac, &mac_size)) {
        abort(); /* out of memory, as in cress_alloc() */
    }
    unsigned char text[BASE64_HMAC_MAX];
    EVP_EncodeBlock(text, mac, (int)mac_size);
    cress_buf_printf(out, "%sv1,%s", out->size ? " " : "", (const char *)text);
}

void cress_webhook_sign(const struct cress_webhook_keys *keys, const char *id, int64_t timestamp_s,
                        const void *body, size_t size, struct cress_buf *out)
{
    struct cress_buf content = cress_buf_make(SIZE_MAX / 2);
    cress_buf_printf(&content, "%s.%lld.", id, (long long)timestamp_s);
    cress_buf_add(&content, body, size);
    for (size_t i = 0; i < keys->count; i++) {
        sign_with(&keys->keys[i], &content, out);
    }
    cress_buf_free(&content);
}

/* --- responses --- */

enum cress_outcome_kind cress_webhook_judge(int http_status)
{
    enum { REQUEST_TIMEOUT = 408, TOO_EARLY = 425, TOO_MANY_REQUESTS = 429 };
    if (http_status / 100 == 2) {
        return CRESS_OUTCOME_SUCCEEDED;
    }
    return http_status / 100 == 5 || http_status == REQUEST_TIMEOUT || http_status == TOO_EARLY ||
                   http_status == TOO_MANY_REQUESTS
               ? CRESS_OUTCOME_RETRY
               : CRESS_OUTCOME_FAILED;
}

/* 1 to 12 from the three letters that `name` begins with; 0 when they are no month. */
static int month_of(const char *name)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (strncmp(name, months + (size_t)3 * i, 3) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* RFC 850 has two digits of the year: one that seems more than 50 years ahead is past. */
static int full_year(const char *two_digits, int64_t now_ms)
{
    char now[CRESS_TIME_TEXT_MAX];
    const int this_year = (int)strtol(cress_time_format(now_ms, now), NULL, 10);
    const int year = this_year / 100 * 100 + (int)strtol(two_digits, NULL, 10);
    return year > this_year + 50 ? year - 100 : year;
}

/* The parts of a date stand at fixed places: `shape` has a letter where they begin and the same
 * text elsewhere, with ? for any character. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; text++, shape++) {
        const bool fits = *shape == '?'   ? *text != '\0'
                          : *shape == '#' ? *text >= '0' && *text <= '9'
                          : *shape == '_' ? *text == ' ' || (*text >= '0' && *text <= '9')
                                          : *text == *shape;
        if (!fits) {
            return false;
        }
    }
    return *text == '\0';
}

/* Rewritten as RFC 3339, which is checked elsewhere: no day 31 in April, no hour 25. */
static bool parse_http_date(const char *text, int64_t now_ms, int64_t *wall_ms)
{
    const char *month, *day, *time;
    int year;
    const char *comma = strchr(text, ',');
    if (has_shape(text, "???, ## ??? #### ##:##:## GMT")) {
        day = text + 5;
        month = text + 8;
        year = (int)strtol(text + 12, NULL, 10);
        time = text + 17;
    } else if (has_shape(text, "??? ??? _# ##:##:## ####")) {
        month = text + 4;
        day = text + 8;
        time = text + 11;
        year = (int)strtol(text + 20, NULL, 10);
    } else if (comma && has_shape(comma, ", ##-???-## ##:##:## GMT")) {
        day = comma + 2;
        month = comma + 5;
        year = full_year(comma + 9, now_ms);
        time = comma + 12;
    } else {
        return false;
    }
    char rewritten[CRESS_TIME_TEXT_MAX];
    snprintf(rewritten, sizeof rewritten, "%04d-%02d-%02dT%.8sZ", year, month_of(month),
             (int)strtol(day, NULL, 10), time);
    return cress_time_parse(rewritten, wall_ms, NULL) == CRESS_OK;
}

int64_t cress_webhook_retry_after_ms(const char *value, int64_t now_ms)
{
    int64_t wait_ms = 0;
    int64_t seconds, date_ms;
    if (value && cress_text_to_int(value, &seconds)) {
        wait_ms = seconds < CRESS_RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000
                                                            : CRESS_RETRY_AFTER_MAX_MS;
    } else if (value && parse_http_date(value, now_ms, &date_ms)) {
        wait_ms = date_ms - now_ms;
    }
    if (wait_ms < 0) {
        return 0;
    }
    return wait_ms < CRESS_RETRY_AFTER_MAX_MS ? wait_ms : CRESS_RETRY_AFTER_MAX_MS;
}
