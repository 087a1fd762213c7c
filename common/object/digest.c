// SPDX-License-Identifier: Apache-2.0
// Checksums of what is uploaded.

#include "common/object/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

void cress_hex(const unsigned char *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
}

const char *cress_sha256(const void *data, size_t size, char text[CRESS_SHA256_TEXT_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_Digest(data, size, hash, NULL, EVP_sha256(), NULL);
    cress_hex(hash, (CRESS_SHA256_TEXT_SIZE - 1) / 2, text);
    return text;
}

enum cress_status cress_read_fully(int fd, void *to, size_t size, size_t offset,
                                   struct cress_error *err)
{
    char *at = to;
    while (size > 0) {
        ssize_t n = pread(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return cress_error_set(err, CRESS_IO, NULL, "cannot read the body: %s",
                                   n < 0 ? strerror(errno) : "the file is shorter than announced");
        }
        at += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return CRESS_OK;
}

/* Two hashes in one pass. */
struct hashing {
    EVP_MD_CTX *sha256;
    EVP_MD_CTX *md5;
};

static struct hashing hashing_begin(void)
{
    struct hashing h = {EVP_MD_CTX_new(), EVP_MD_CTX_new()};
    if (!h.sha256 || !h.md5 || !EVP_DigestInit_ex(h.sha256, EVP_sha256(), NULL) ||
        !EVP_DigestInit_ex(h.md5, EVP_md5(), NULL)) {
        abort(); /* out of memory, as in cress_alloc() */
    }
    return h;
}

static void hashing_add(struct hashing *h, const void *data, size_t size)
{
    EVP_DigestUpdate(h->sha256, data, size);
    EVP_DigestUpdate(h->md5, data, size);
}

static void hashing_end(struct hashing *h, struct cress_digest *out)
{
    unsigned char sha256[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(h->sha256, sha256, NULL);
    EVP_DigestFinal_ex(h->md5, out->md5_bytes, NULL);
    EVP_MD_CTX_free(h->sha256);
    EVP_MD_CTX_free(h->md5);
    cress_hex(sha256, (CRESS_SHA256_TEXT_SIZE - 1) / 2, out->sha256);
    cress_hex(out->md5_bytes, CRESS_MD5_SIZE, out->md5);
}

enum cress_status cress_digest_file(int fd, size_t size, struct cress_digest *out,
                                    struct cress_error *err)
{
    struct hashing h = hashing_begin();
    enum cress_status status = CRESS_OK;
    char chunk[CHUNK];
    for (size_t at = 0; at < size && status == CRESS_OK;) {
        size_t n = size - at < sizeof chunk ? size - at : sizeof chunk;
        status = cress_read_fully(fd, chunk, n, at, err);
        if (status == CRESS_OK) {
            hashing_add(&h, chunk, n);
        }
        at += n;
    }
    struct cress_digest digest;
    hashing_end(&h, &digest);
    if (status == CRESS_OK) {
        *out = digest;
    }
    return status;
}

enum cress_status cress_digest_object(const struct cress_object *object, struct cress_digest *out,
                                      struct cress_error *err)
{
    if (!object->body) {
        return cress_digest_file(object->fd, object->size, out, err);
    }
    struct hashing h = hashing_begin();
    hashing_add(&h, object->body, object->size);
    hashing_end(&h, out);
    return CRESS_OK;
}
