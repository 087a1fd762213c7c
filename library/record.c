// SPDX-License-Identifier: Apache-2.0
// What users see of a job's record. To them it is opaque; it is the struct of common/job/record.h.
#include "common/job/record.h"

#include "include/cress/cress.h"

#include <stdlib.h>

/* Payload and result at their largest, each escaped. */
#define JSON_MAX_BYTES ((size_t)512 << 20)

void cress_record_free(struct cress_record *record)
{
    free(record);
}

const char *cress_record_id(const struct cress_record *record)
{
    return record->id;
}

const char *cress_record_task(const struct cress_record *record)
{
    return record->task;
}

const char *cress_record_state(const struct cress_record *record)
{
    return cress_state_word(record->state);
}

bool cress_record_is_over(const struct cress_record *record)
{
    return cress_state_is_terminal(record->state);
}

bool cress_record_has_succeeded(const struct cress_record *record)
{
    return record->state == CRESS_STATE_SUCCEEDED;
}

int cress_record_attempt(const struct cress_record *record)
{
    return record->attempt;
}

const char *cress_record_result(const struct cress_record *record)
{
    return record->state == CRESS_STATE_SUCCEEDED ? record->result : NULL;
}

const char *cress_record_error(const struct cress_record *record)
{
    return record->error;
}

char *cress_record_to_json(const struct cress_record *record)
{
    struct cress_buf json = cress_buf_make(JSON_MAX_BYTES);
    cress_record_write_json(record, &json);
    return cress_buf_take(&json);
}
