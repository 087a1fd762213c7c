// SPDX-License-Identifier: Apache-2.0
// JSON objects read into structs by a table of their members; see json_read.h.
#include "common/base/json_read.h"

#include "common/base/mem.h"
#include "common/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SHOWN = 24, NAME_SHOWN = 100 };

struct reading {
    const struct cress_json_field *fields;
    size_t count;
    struct cress_json given[CRESS_JSON_FIELDS_MAX]; /* by field; text NULL: absent */
    struct cress_buf texts; /* allocated at its largest, so that pointers into it stay good */
};

/* "task, payload and queue" */
static void list_names(const struct reading *reading, struct cress_buf *list)
{
    for (size_t i = 0; i < reading->count; i++) {
        const char *before = i == 0 ? "" : i + 1 < reading->count ? ", " : " and ";
        cress_buf_add_text(list, before);
        cress_buf_add_text(list, reading->fields[i].name);
    }
}

static enum cress_status refuse_unknown(const struct reading *reading, struct cress_json json_name,
                                        struct cress_error *err)
{
    const char *names[CRESS_JSON_FIELDS_MAX + 1] = {NULL};
    struct cress_buf name = cress_buf_make(NAME_SHOWN);
    struct cress_buf list = cress_buf_make(CRESS_ERROR_MESSAGE_MAX);
    for (size_t i = 0; i < reading->count; i++) {
        names[i] = reading->fields[i].name;
    }
    list_names(reading, &list);
    cress_json_add_string(&name, json_name); /* of one that is too long, its beginning or nothing */
    const char *closest = cress_text_closest(cress_buf_text(&name), names);
    cress_error_set(err, CRESS_INVALID, NULL, "unknown member \"%s\"%s%s%s", cress_buf_text(&name),
                    closest ? ", did you mean \"" : "; there are ",
                    closest ? closest : cress_buf_text(&list), closest ? "\"?" : "");
    cress_buf_free(&list);
    cress_buf_free(&name);
    return CRESS_INVALID;
}

static enum cress_status find_field(struct reading *reading, struct cress_json name,
                                    struct cress_json value, struct cress_error *err)
{
    for (size_t i = 0; i < reading->count; i++) {
        if (!cress_json_is(name, reading->fields[i].name)) {
            continue;
        }
        if (reading->given[i].text) {
            return cress_error_set(err, CRESS_INVALID, NULL, "%s is given twice",
                                   reading->fields[i].name);
        }
        reading->given[i] = value;
        return CRESS_OK;
    }
    return refuse_unknown(reading, name, err);
}

/* --- values --- */

static enum cress_status read_text(const struct cress_json_field *field, struct cress_json value,
                                   struct cress_buf *texts, const char **out,
                                   struct cress_error *err)
{
    const size_t start = texts->size;
    if (!cress_json_add_string(texts, value)) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s must be a string", field->name);
    }
    const char *text = texts->data + start;
    if (strlen(text) != texts->size - start) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s holds a NUL character", field->name);
    }
    cress_buf_add_char(texts, '\0');
    *out = text;
    return CRESS_OK;
}

static bool is_whole_number(struct cress_json value)
{
    return cress_json_kind(value) == CRESS_JSON_NUMBER && !memchr(value.text, '.', value.size) &&
           !memchr(value.text, 'e', value.size) && !memchr(value.text, 'E', value.size);
}

static enum cress_status read_int(const struct cress_json_field *field, struct cress_json value,
                                  int64_t *out, struct cress_error *err)
{
    int64_t number = 0;
    if (!is_whole_number(value)) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s must be a whole number", field->name);
    }
    if (!cress_json_int(value, &number) || number < field->min || number > field->max) {
        return cress_error_set(err, CRESS_INVALID, NULL,
                               "%s is %.*s, allowed: %" PRId64 " to %" PRId64, field->name,
                               (int)(value.size < NUMBER_SHOWN ? value.size : NUMBER_SHOWN),
                               value.text, field->min, field->max);
    }
    *out = number;
    return CRESS_OK;
}

static enum cress_status read_bool(const struct cress_json_field *field, struct cress_json value,
                                   bool *out, struct cress_error *err)
{
    if (cress_json_kind(value) != CRESS_JSON_BOOL) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s must be true or false", field->name);
    }
    *out = value.text[0] == 't';
    return CRESS_OK;
}

static enum cress_status refuse_list(const struct cress_json_field *field, struct cress_error *err)
{
    return cress_error_set(err, CRESS_INVALID, NULL, "%s must be an array of ids: [\"id\", …]",
                           field->name);
}

/* A comma would make two ids of one; what else is no id is for their reader to find. */
static enum cress_status read_ids(const struct cress_json_field *field, struct cress_json value,
                                  struct cress_buf *texts, const char **out,
                                  struct cress_error *err)
{
    const size_t list = texts->size;
    struct cress_json_walk walk = cress_json_walk(value);
    struct cress_json item;
    if (cress_json_kind(value) != CRESS_JSON_ARRAY) {
        return refuse_list(field, err);
    }
    for (bool is_first = true; cress_json_next(&walk, NULL, &item); is_first = false) {
        if (!is_first) {
            cress_buf_add_char(texts, ',');
        }
        const size_t start = texts->size;
        if (!cress_json_add_string(texts, item) || texts->size == start ||
            strcspn(texts->data + start, ",") != texts->size - start) {
            return refuse_list(field, err);
        }
    }
    cress_buf_add_char(texts, '\0');
    *out = texts->data + list;
    return CRESS_OK;
}

static enum cress_status read_value(const struct cress_json_field *field, struct cress_json value,
                                    struct cress_buf *texts, void *out, struct cress_error *err)
{
    void *at = (char *)out + field->offset;
    if (field->kind == CRESS_FIELD_JSON) {
        *(struct cress_json *)at = value;
        return CRESS_OK;
    }
    if (cress_json_kind(value) == CRESS_JSON_NULL) {
        return CRESS_OK;
    }
    switch (field->kind) {
    case CRESS_FIELD_TEXT:
        return read_text(field, value, texts, at, err);
    case CRESS_FIELD_INT:
        return read_int(field, value, at, err);
    case CRESS_FIELD_BOOL:
        return read_bool(field, value, at, err);
    case CRESS_FIELD_IDS:
        return read_ids(field, value, texts, at, err);
    case CRESS_FIELD_JSON:
        break;
    }
    return CRESS_OK;
}

/* --- the object --- */

/* What a string says is never longer than its JSON, whose quotes make room for the NUL. */
static struct cress_buf make_texts(const struct reading *reading)
{
    size_t size = 0;
    for (size_t i = 0; i < reading->count; i++) {
        const enum cress_json_field_kind kind = reading->fields[i].kind;
        const bool has_text = kind == CRESS_FIELD_TEXT || kind == CRESS_FIELD_IDS;
        size += has_text ? reading->given[i].size : 0;
    }
    return (struct cress_buf){
        .data = cress_alloc(size + 1), .capacity = size + 1, .max_bytes = size};
}

static enum cress_status find_fields(struct reading *reading, struct cress_json object,
                                     const char *what, struct cress_error *err)
{
    if (cress_json_kind(object) != CRESS_JSON_OBJECT) {
        return cress_error_set(err, CRESS_INVALID, NULL, "%s", what);
    }
    struct cress_json_walk walk = cress_json_walk(object);
    struct cress_json name, value;
    enum cress_status status = CRESS_OK;
    while (status == CRESS_OK && cress_json_next(&walk, &name, &value)) {
        status = find_field(reading, name, value, err);
    }
    return status;
}

enum cress_status cress_json_read(struct cress_json object, const struct cress_json_field *fields,
                                  size_t count, const char *what, void *out, char **texts,
                                  struct cress_error *err)
{
    struct reading reading = {.fields = fields, .count = count};
    assert(count <= CRESS_JSON_FIELDS_MAX);
    enum cress_status status = find_fields(&reading, object, what, err);
    if (status != CRESS_OK) {
        return status;
    }
    reading.texts = make_texts(&reading);
    for (size_t i = 0; i < count && status == CRESS_OK; i++) {
        if (reading.given[i].text) {
            status = read_value(&fields[i], reading.given[i], &reading.texts, out, err);
        }
    }
    if (status == CRESS_OK) {
        *texts = cress_buf_take(&reading.texts);
    }
    cress_buf_free(&reading.texts);
    return status;
}
