// SPDX-License-Identifier: Apache-2.0
// Lists of ids; see after.h.
#include "common/job/after.h"

#include "common/base/buf.h"

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

/* A comma would make two ids of one; everything else is for cress_after_check() to find. */
static enum cress_status add_id(const json_t *value, struct cress_buf *list,
                                struct cress_error *err)
{
    const char *id = json_string_value(value);
    if (!id || strlen(id) != json_string_length(value) || strchr(id, ',')) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "after must be an array of ids: [\"id\", …]");
    }
    if (list->size > 0) {
        cress_buf_add_char(list, ',');
    }
    return cress_buf_add_text(list, id) ? CRESS_OK : refuse_length(err);
}

enum cress_status cress_after_from_json(const json_t *ids, char **after, struct cress_error *err)
{
    if (!json_is_array(ids)) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "after must be an array of ids: [\"id\", …]");
    }
    struct cress_buf list = cress_buf_make(CRESS_AFTER_BYTES_MAX);
    enum cress_status status = CRESS_OK;
    for (size_t i = 0; i < json_array_size(ids) && status == CRESS_OK; i++) {
        status = add_id(json_array_get(ids, i), &list, err);
    }
    if (status == CRESS_OK && json_array_size(ids) > 0) {
        status = cress_after_check(cress_buf_text(&list), err);
    }
    if (status == CRESS_OK) {
        *after = list.size > 0 ? cress_buf_take(&list) : NULL;
    }
    cress_buf_free(&list);
    return status;
}
