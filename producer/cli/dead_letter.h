// SPDX-License-Identifier: Apache-2.0
// A dead letter as people and programs see it.
#ifndef CRESS_CLI_DEAD_LETTER_H
#define CRESS_CLI_DEAD_LETTER_H

#include "common/base/buf.h"
#include "common/broker/letter.h"

/* Room for a message at its largest, each byte escaped. */
#define CRESS_DEAD_JSON_MAX ((size_t)1 << 30)

/* As a JSON object on one line: id, task, queue, priority, attempt, died_at, created_at,
 * fingerprint, error; `whole` adds the properties, the headers and the body. */
void cress_dead_write_json(const struct cress_letter *letter, bool whole, struct cress_buf *out);

#endif
