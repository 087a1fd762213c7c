// SPDX-License-Identifier: Apache-2.0
// A strict reading of an HTTP/1 request head: see head.h.
#include "producer/gateway/head.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *data;
    size_t size;
};

/* What the fields have said so far. */
struct findings {
    int field_count;
    int host_count;
    bool has_length, has_coding;
    bool http_1_0;
};

static enum cress_head_verdict refuse_head(struct cress_head *head, int status, const char *code,
                                           const char *detail)
{
    head->status = status;
    head->code = code;
    head->detail = detail;
    return CRESS_HEAD_REFUSED;
}

static enum cress_head_verdict malformed_head(struct cress_head *head, const char *detail)
{
    return refuse_head(head, 400, "malformed_request", detail);
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        const bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alphanumeric && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return text.size > 0;
}

static bool text_is(struct text text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

static bool begins_with(struct text text, const char *prefix)
{
    return text.size >= strlen(prefix) && strncasecmp(text.data, prefix, strlen(prefix)) == 0;
}

/* Cuts `text` at the first `c`: returns what is before it and leaves what is after it. */
static bool cut_piece(struct text *text, char c, struct text *before)
{
    const char *at = memchr(text->data, c, text->size);
    if (at == NULL) {
        return false;
    }
    *before = (struct text){text->data, (size_t)(at - text->data)};
    text->size -= before->size + 1;
    text->data = at + 1;
    return true;
}

static struct text trim_blanks(struct text text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* Origin form, absolute form or "*" (RFC 9112, section 3.2); visible ASCII only. */
static bool is_target(struct text target)
{
    for (size_t i = 0; i < target.size; i++) {
        if (target.data[i] <= ' ' || target.data[i] > '~') {
            return false;
        }
    }
    return begins_with(target, "/") || begins_with(target, "http://") || text_is(target, "*");
}

static enum cress_head_verdict check_first_line(struct text line, struct cress_head *head,
                                                struct findings *found)
{
    struct text method, target;
    if (!cut_piece(&line, ' ', &method) || !is_token(method) || !cut_piece(&line, ' ', &target)) {
        return malformed_head(head, "the first line is not \"METHOD target HTTP/1.1\"");
    }
    if (begins_with(line, "HTTP/") && !begins_with(line, "HTTP/1.")) {
        return refuse_head(head, 505, "http_version", "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    if (!text_is(line, "HTTP/1.1") && !text_is(line, "HTTP/1.0")) {
        return malformed_head(head, "the first line does not end in HTTP/1.1");
    }
    if (!is_target(target)) {
        return malformed_head(head, "the request target must begin with / and be percent-encoded");
    }
    found->http_1_0 = text_is(line, "HTTP/1.0");
    return CRESS_HEAD_COMPLETE;
}

static enum cress_head_verdict check_length(struct text value, struct cress_head *head,
                                            struct findings *found)
{
    enum { MAX_DIGITS = 15 }; /* far above any body, far below an overflow */
    if (found->has_length) {
        return malformed_head(head, "more than one Content-Length");
    }
    found->has_length = true;
    if (value.size == 0 || value.size > MAX_DIGITS) {
        return malformed_head(head, "Content-Length is not a number of bytes");
    }
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return malformed_head(head, "Content-Length is not a number of bytes");
        }
        head->content_length = head->content_length * 10 + (value.data[i] - '0');
    }
    return CRESS_HEAD_COMPLETE;
}

static enum cress_head_verdict check_coding(struct text value, struct cress_head *head,
                                            struct findings *found)
{
    if (found->has_coding || found->http_1_0) {
        return malformed_head(head, "Transfer-Encoding is not allowed twice, nor in HTTP/1.0");
    }
    found->has_coding = true;
    if (!text_is(value, "chunked")) {
        return refuse_head(head, 501, "transfer_coding", "the only transfer coding is chunked");
    }
    head->chunked = true;
    return CRESS_HEAD_COMPLETE;
}

static bool has_control(struct text value)
{
    for (size_t i = 0; i < value.size; i++) {
        const unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static enum cress_head_verdict check_field(struct text line, struct cress_head *head,
                                           struct findings *found)
{
    struct text name;
    if (!cut_piece(&line, ':', &name) || !is_token(name)) {
        return malformed_head(head, "a header field is not \"Name: value\"");
    }
    const struct text value = trim_blanks(line);
    if (has_control(value)) {
        return malformed_head(head, "a header field holds a control character");
    }
    if (++found->field_count > CRESS_HEAD_MAX_FIELDS) {
        return refuse_head(head, 431, "header_too_large", "more than 100 header fields");
    }
    if (text_is(name, "content-length")) {
        return check_length(value, head, found);
    }
    if (text_is(name, "transfer-encoding")) {
        return check_coding(value, head, found);
    }
    if (text_is(name, "expect") && !text_is(value, "100-continue")) {
        return refuse_head(head, 417, "expectation", "the only expectation is 100-continue");
    }
    found->host_count += text_is(name, "host");
    return CRESS_HEAD_COMPLETE;
}

static enum cress_head_verdict check_whole(struct cress_head *head, const struct findings *found)
{
    if (found->has_length && found->has_coding) {
        return malformed_head(head, "both Content-Length and Transfer-Encoding");
    }
    if (found->host_count > 1 || (found->host_count == 0 && !found->http_1_0)) {
        return malformed_head(head, "HTTP/1.1 wants exactly one Host");
    }
    return CRESS_HEAD_COMPLETE;
}

static enum cress_head_verdict judge_partial(const char *bytes, size_t size,
                                             struct cress_head *head)
{
    if (memchr(bytes, '\n', size) == NULL && size > CRESS_HEAD_MAX_TARGET) {
        return refuse_head(head, 414, "target_too_long", "the request target is over 8 KiB");
    }
    if (size > CRESS_HEAD_MAX_BYTES) {
        return refuse_head(head, 431, "header_too_large", "the header is over 16 KiB");
    }
    return CRESS_HEAD_PARTIAL;
}

enum cress_head_verdict cress_head_check(const char *bytes, size_t size, struct cress_head *head)
{
    struct text rest = {bytes, size};
    struct findings found = {0};
    *head = (struct cress_head){0};

    for (bool first = true;; first = false) {
        struct text line;
        if (!cut_piece(&rest, '\n', &line)) {
            return judge_partial(bytes, size, head);
        }
        if ((size_t)(rest.data - bytes) > CRESS_HEAD_MAX_BYTES) {
            return refuse_head(head, 431, "header_too_large", "the header is over 16 KiB");
        }
        if (line.size == 0 || line.data[line.size - 1] != '\r') {
            return malformed_head(head, "a line does not end in CR LF");
        }
        line.size--;
        if (line.size == 0 && !first) {
            head->size = (size_t)(rest.data - bytes);
            return check_whole(head, &found);
        }
        const enum cress_head_verdict verdict =
            first ? check_first_line(line, head, &found) : check_field(line, head, &found);
        if (verdict != CRESS_HEAD_COMPLETE) {
            return verdict;
        }
    }
}
