// SPDX-License-Identifier: Apache-2.0
// Lists of ids; see after.h.
#include "common/job/after.h"

#include <string.h>

bool cress_after_next(const char **rest, char id[CRESS_ID_MAX + 1])
{
    const size_t size = strcspn(*rest, ",");
    if (size == 0 || size > CRESS_ID_MAX) {
        return false;
    }
    memcpy(id, *rest, size);
    id[size] = '\0';
    if (!cress_id_is_valid(id)) {
        return false;
    }
    *rest += size + ((*rest)[size] == ',');
    return true;
}

size_t cress_after_count(const char *after)
{
    size_t count = after && *after ? 1 : 0;
    for (const char *at = after; at && (at = strchr(at, ',')); at++) {
        count++;
    }
    return count;
}

static enum cress_status refuse_length(struct cress_error *err)
{
    return cress_error_set(err, CRESS_INVALID, NULL,
                           "after: a job can wait for %d jobs, whose ids have %d bytes in all; "
                           "for more, make a batch of them",
                           CRESS_AFTER_MAX, CRESS_AFTER_BYTES_MAX);
}

enum cress_status cress_after_check(const char *after, struct cress_error *err)
{
    if (cress_after_count(after) > CRESS_AFTER_MAX || strlen(after) > CRESS_AFTER_BYTES_MAX) {
        return refuse_length(err);
    }
    char id[CRESS_ID_MAX + 1];
    const char *rest = after;
    while (cress_after_next(&rest, id)) {
    }
    if (*rest || !*after || after[strlen(after) - 1] == ',') {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "after: \"%.*s\" is not an id: 1 to %d of A-Z a-z 0-9 . _ : @ -",
                               CRESS_ID_MAX, rest, CRESS_ID_MAX);
    }
    return CRESS_OK;
}
