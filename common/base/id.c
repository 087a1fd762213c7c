// SPDX-License-Identifier: Apache-2.0
// Job ids; see id.h.
#include "common/base/id.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { UUID_SIZE = 16, POOL_SIZE = 1024 };

/* Random bytes by the kilobyte: one system call for 128 ids. */
static void take_random(void *bytes, size_t size)
{
    static _Thread_local unsigned char pool[POOL_SIZE];
    static _Thread_local size_t left;
    if (left < size) {
        cress_random_bytes(pool, sizeof pool);
        left = sizeof pool;
    }
    left -= size;
    memcpy(bytes, pool + left, size);
}

static const char *write_uuid(unsigned char uuid[UUID_SIZE], int version,
                              char text[CRESS_UUID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uuid[6] = (unsigned char)((uuid[6] & 0x0F) | version << 4);
    uuid[8] = (unsigned char)((uuid[8] & 0x3F) | 0x80); /* the RFC's variant */
    char *out = text;
    for (int i = 0; i < UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = hex[uuid[i] >> 4];
        *out++ = hex[uuid[i] & 0x0F];
    }
    *out = '\0';
    return text;
}

const char *cress_token_new(char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    take_random(text, size - 1);
    for (size_t i = 0; i < size - 1; i++) {
        text[i] = hex[(unsigned char)text[i] % 16];
    }
    text[size - 1] = '\0';
    return text;
}

const char *cress_id_new(char text[CRESS_UUID_TEXT_SIZE])
{
    static _Thread_local uint64_t last; /* 48 bits of milliseconds, 12 bits of counter */
    uint64_t stamp = (uint64_t)cress_clock_wall_ms() << 12;
    if (stamp <= last) {
        stamp = last +
                1; /* the counter; when it runs over, the id is a millisecond ahead of the clock */
    }
    last = stamp;
    unsigned char uuid[UUID_SIZE];
    for (int i = 0; i < 6; i++) {
        uuid[i] = (unsigned char)(stamp >> (52 - 8 * i));
    }
    uuid[6] = (unsigned char)(stamp >> 8 & 0x0F);
    uuid[7] = (unsigned char)stamp;
    take_random(uuid + 8, 8);
    return write_uuid(uuid, 7, text);
}

const char *cress_id_derive(const char *parent, const char *name, char text[CRESS_UUID_TEXT_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    /* the NUL between keeps ("ab", "c") and ("a", "bc") apart */
    const bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
                    EVP_DigestUpdate(context, parent, strlen(parent) + 1) &&
                    EVP_DigestUpdate(context, name, strlen(name)) &&
                    EVP_DigestFinal_ex(context, digest, NULL);
    if (!ok) {
        abort(); /* OpenSSL without SHA-256 is no OpenSSL */
    }
    EVP_MD_CTX_free(context);
    return write_uuid(digest, 8, text);
}

bool cress_id_is_valid(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    const size_t n = strspn(text, allowed);
    return n > 0 && n <= CRESS_ID_MAX && text[n] == '\0';
}
