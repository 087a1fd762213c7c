// SPDX-License-Identifier: Apache-2.0
// Fuzz target: what a stream program writes. Every line must be read or refused with a reason, and
// the lines must be the same however the bytes arrive.
#include "tests/fuzz/fuzz.h"

#include "worker/handler/stream_protocol.h"

#include <string.h>

enum { LINE_MAX_BYTES = 512 };

struct tally {
    size_t lines;
    size_t bytes;
};

static void check_message(const struct cress_stream_message *message)
{
    MUST_HOLD(message->kind == CRESS_STREAM_HELLO || message->id[0]);
    MUST_HOLD(message->concurrency >= 0 && message->concurrency <= CRESS_STREAM_CONCURRENCY_MAX);
    MUST_HOLD(message->percent >= 0 && message->percent <= 100);
    MUST_HOLD(message->retry_after_ms >= 0);
    MUST_HOLD((message->kind == CRESS_STREAM_RESULT) == (message->result.size > 0));
    MUST_HOLD((message->kind == CRESS_STREAM_ERROR) == (message->code[0] != '\0'));
    MUST_HOLD(message->kind != CRESS_STREAM_ERROR || message->text);
    MUST_HOLD(message->kind != CRESS_STREAM_LOG || message->text);
}

static bool line_cb(const char *line, size_t size, void *arg)
{
    struct tally *tally = arg;
    struct cress_stream_message message;
    struct cress_error err = {.message = ""};
    MUST_HOLD(size <= LINE_MAX_BYTES && !memchr(line, '\n', size));
    tally->lines++;
    tally->bytes += size;
    if (cress_stream_parse(line, size, &message, &err) == CRESS_OK) {
        check_message(&message);
        cress_stream_message_free(&message);
    } else {
        MUST_HOLD(err.status == CRESS_MALFORMED && err.message[0] != '\0');
    }
    return true;
}

/* Feeds `data` in pieces; false when a line was too long. */
static bool feed(const uint8_t *data, size_t size, size_t piece, struct tally *tally)
{
    struct cress_lines lines = cress_lines_make(LINE_MAX_BYTES);
    bool good = true;
    for (size_t at = 0; good && at < size; at += piece) {
        const size_t left = size - at;
        good = cress_lines_feed(&lines, (const char *)data + at, left < piece ? left : piece,
                                line_cb, tally);
    }
    cress_lines_free(&lines);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tally whole = {0};
    struct tally pieces = {0};
    const bool good = feed(data, size, size ? size : 1, &whole);
    MUST_HOLD(feed(data, size, 7, &pieces) == good);
    MUST_HOLD(whole.lines == pieces.lines && whole.bytes == pieces.bytes);
    return 0;
}
