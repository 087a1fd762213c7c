// SPDX-License-Identifier: Apache-2.0
// JSON text as it is: checked, walked through and copied, never converted.
//
// What users hand to Cress (payloads, results) is passed on byte for byte, and a parser that makes
// a double of 0.1, refuses 1e400 or forgets the second of two equal names cannot do that. So this
// room knows where the parts of a text begin and end (RFC 8259) and leaves what they mean to their
// readers.
//
//   struct cress_json request, name, value;
//   if (cress_json_check(text, size, &request, err) == CRESS_OK) {
//       struct cress_json_walk walk = cress_json_walk(request);
//       while (cress_json_next(&walk, &name, &value)) {
//           if (cress_json_is(name, "payload")) ...    value.text and value.size are its bytes
//
// Legal is what the grammar allows: any number, however long; equal names; every escape, also that
// of half a surrogate pair. Not legal are invalid UTF-8, a byte order mark, and more than
// CRESS_JSON_DEPTH_MAX levels. Pure functions, any thread; nothing recurses.
#ifndef CRESS_BASE_JSON_H
#define CRESS_BASE_JSON_H

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Arrays and objects within each other. Parsers of widespread languages stop at 1,000 (Python,
 * Java's Jackson), and what Cress answers with puts some levels of its own around a payload. */
enum { CRESS_JSON_DEPTH_MAX = 512 };

/* One value of a checked text, a view, without the white space around it. */
struct cress_json {
    const char *text; /* not NUL-terminated */
    size_t size;
};

/* Where a text is not JSON. */
struct cress_json_fault {
    const char *reason; /* static, such as "expected ',' or ']'" */
    size_t offset;      /* of the byte at which it is */
};

/* Whether the whole of `text` is one JSON value, any, with white space around it or not. `value`
 * and `fault` may be NULL. Takes time in proportion to `size`, about a nanosecond a byte. */
bool cress_json_find_fault(const char *text, size_t size, struct cress_json *value,
                           struct cress_json_fault *fault);

/* The same with the answer as an error: CRESS_MALFORMED "bad_json", "line 2, column 5: expected ','
 * or ']'"; a column counts characters. */
CRESS_MUST_CHECK enum cress_status
cress_json_check(const char *text, size_t size, struct cress_json *value, struct cress_error *err);

/* `text` is NUL-terminated, or NULL, which is none. */
bool cress_json_is_valid(const char *text);

/* --- what follows is for checked text alone --- */

enum cress_json_kind {
    CRESS_JSON_NULL,
    CRESS_JSON_BOOL,
    CRESS_JSON_NUMBER,
    CRESS_JSON_STRING,
    CRESS_JSON_ARRAY,
    CRESS_JSON_OBJECT
};

enum cress_json_kind cress_json_kind(struct cress_json value);

/* Goes through the members of an object or the items of an array, in their order. Of another kind
 * there are none. Each call takes time in proportion to the value that it passes. */
struct cress_json_walk {
    const char *at, *end;
    bool of_members;
};
struct cress_json_walk cress_json_walk(struct cress_json container);

/* The next value; false at the end. `name`, the member's, is a string value; an item has none and
 * leaves it alone, so NULL will do. */
bool cress_json_next(struct cress_json_walk *walk, struct cress_json *name,
                     struct cress_json *value);

/* The last member `name` of an object, as most readers see equal names; false when there is none. */
bool cress_json_member(struct cress_json object, const char *name, struct cress_json *value);

/* Whether it is a string that says `word`, however it is escaped. */
bool cress_json_is(struct cress_json value, const char *word);

/* Appends what a string says, in UTF-8; half a surrogate pair becomes U+FFFD, \u0000 a NUL. False
 * when it is no string or does not fit. */
bool cress_json_add_string(struct cress_buf *out, struct cress_json value);

/* A whole number, without fraction and exponent, that fits. */
bool cress_json_int(struct cress_json value, int64_t *number);

/* Appends the value as one line for protocols of lines: white space between tokens that ends a line
 * (CR, LF) becomes a blank, and characters in strings at which some readers of lines stop (U+0085,
 * U+2028, U+2029) are escaped. All else stays as it is, byte for byte. False when it does not fit. */
bool cress_json_add_line(struct cress_buf *out, struct cress_json value);

/* The same for eyes: all that is hostile (cress_text_hostile_length()) is escaped. */
bool cress_json_add_visible(struct cress_buf *out, struct cress_json value);

#endif
