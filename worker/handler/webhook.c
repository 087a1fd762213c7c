// SPDX-License-Identifier: Apache-2.0
// Signatures and statuses of HTTP tasks; see webhook.h.
#include "worker/handler/webhook.h"

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
            return cress_error_set(err, CRESS_CONFIG, "bad_secret", "more than %d webhook secrets",
                                   CRESS_WEBHOOK_KEYS_MAX);
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
