// SPDX-License-Identifier: Apache-2.0
// JSON objects read into structs by a table of their members: what people and programs ask Cress
// for. Values that are not for Cress to understand stay views, byte for byte.
//
//   struct question { const char *name; int64_t limit; };
//   static const struct cress_json_field fields[] = {
//       {"name", CRESS_FIELD_TEXT, .offset = offsetof(struct question, name)},
//       {"limit", CRESS_FIELD_INT, .offset = offsetof(struct question, limit), .min = 1, .max = 100},
//   };
//
// Pure functions; any thread.
#ifndef CRESS_BASE_JSON_READ_H
#define CRESS_BASE_JSON_READ_H

#include "common/base/json.h"

enum cress_json_field_kind {
    CRESS_FIELD_TEXT, /* const char * */
    CRESS_FIELD_INT,  /* int64_t, from min to max */
    CRESS_FIELD_BOOL, /* bool */
    CRESS_FIELD_IDS,  /* const char *: the strings of an array, separated by commas; "" for none */
    CRESS_FIELD_JSON  /* struct cress_json: any value, null among them */
};

struct cress_json_field {
    const char *name;
    enum cress_json_field_kind kind;
    size_t offset; /* in the struct that is filled */
    int64_t min, max;
};

enum { CRESS_JSON_FIELDS_MAX = 32 };

/* Fills `out`, which holds the defaults, from `object`. Texts are allocated into `*texts` (free(),
 * also when there are none); a CRESS_FIELD_JSON borrows from `object`. A member that is null counts
 * as absent, but for a CRESS_FIELD_JSON.
 * CRESS_INVALID names the member: one that is not in `fields` (count of them, at most
 * CRESS_JSON_FIELDS_MAX), of the wrong type, out of range, or there twice, for two readers must not
 * see two requests in one text. `what` is what the object is, such as "a job is a JSON object like
 * {"task": "cress.echo"}" - the message when `object` is none. */
CRESS_MUST_CHECK enum cress_status cress_json_read(struct cress_json object,
                                                   const struct cress_json_field *fields,
                                                   size_t count, const char *what, void *out,
                                                   char **texts, struct cress_error *err);

#endif
