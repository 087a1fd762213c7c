// SPDX-License-Identifier: Apache-2.0
// A dead letter as JSON; see dead_letter.h.
#include "producer/cli/dead_letter.h"

#include "common/base/clock.h"
#include "common/base/error_json.h"
#include "common/job/fingerprint.h"
#include "producer/cli/message_json.h"

#include <string.h>

static void add_message(struct cress_buf *out, const struct cress_message *message)
{
    cress_message_add_member(out, "message_id", message->message_id);
    cress_message_add_member(out, "content_type", message->content_type);
    cress_message_add_member(out, "correlation_id", message->correlation_id);
    cress_message_add_member(out, "reply_to", message->reply_to);
    cress_message_add_member(out, "app_id", message->app_id);
    cress_message_add_headers(out, message);
    cress_message_add_body(out, message);
}

void cress_dead_write_json(const struct cress_letter *letter, bool whole, struct cress_buf *out)
{
    char fingerprint[CRESS_FINGERPRINT_TEXT_SIZE];
    cress_error_fingerprint(letter->task, letter->code, letter->text, fingerprint);
    cress_buf_add_member(out, "{\"id\":", letter->id);
    cress_buf_add_member(out, ",\"task\":", letter->task);
    cress_buf_add_member(out, ",\"queue\":", letter->queue);
    cress_buf_add_member(out, ",\"priority\":", cress_priority_word(letter->priority));
    cress_buf_printf(out, ",\"attempt\":%d", letter->attempt);
    cress_time_add_member(out, ",\"died_at\":", letter->died_ms);
    cress_time_add_member(out, ",\"created_at\":", letter->created_ms);
    cress_buf_add_member(out, ",\"fingerprint\":", fingerprint);
    cress_buf_add_text(out, ",\"error\":");
    cress_error_json(out, letter->code, letter->text);
    if (whole) {
        add_message(out, letter->message);
    }
    cress_buf_add_char(out, '}');
}
